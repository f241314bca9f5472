/* Reading A as a window, the code: see contract_window.h.
 *
 *     for unit in chunk:  batch and other axes, box of pixels, block of column groups (fastest)
 *         copy the box's input with its border to scratch, unless the unit before had the same box
 *         for each group of columns, each tile of pixels:
 *             for taps and channels in order:  acc = fma(scratch[first + pixel + k], B[k], acc)
 *             Y = epilogue(acc) */
#include "codegen/contract_emit.h"
#include "codegen/contract_window.h"

#include "ir/kernel.h"
#include "ir/loops.h"

/* ---- tiles ---- */

int64_t contract_window_offset(const Contract *c, const Corner *corner, int row)
{
    return row / corner->width * contract_window_pitch(c, 0) + row % corner->width * contract_window_pitch(c, 1);
}

Node *contract_window_row(const Contract *c, const Corner *corner, Node *node, Node *row)
{
    Ir *const ir = c->ir;
    const Window *const w = c->window;
    Node *from[RANK_MAX], *to[RANK_MAX];
    int count = 0;
    for (int i = 0; i < c->roles.m_count; i++) {
        if (index_is(c->roles.m[i]->inputs[0], 1)) {
            from[count] = c->roles.m[i];
            to[count++] = index_const(ir, 0);
        }
        for (int d = 0; d < WINDOW_DIRECTIONS; d++) {
            if (!w->direction[d] || w->direction[d]->out != c->roles.m[i])
                continue;
            Node *const width = index_const(ir, corner->width);
            from[count] = c->roles.m[i];
            to[count++] =
                index_add(ir, corner->pixel[d], d ? index_mod(ir, row, width) : index_floordiv(ir, row, width));
        }
    }
    return node_substitute(ir, node, from, to, count);
}

/* The offset of A at the tile's first pixel and k = 0. */
static Node *first_offset(const Contract *c, const Corner *corner)
{
    Ir *const ir = c->ir;
    const Window *const w = c->window;
    const Node *const contract = c->roles.contract;
    Node *const zero = index_const(ir, 0);
    if (!w->in_place) {
        Node *offset = zero;
        for (int d = 0; d < WINDOW_DIRECTIONS; d++)
            offset = index_add(ir, offset,
                               index_mul(ir, index_sub(ir, corner->pixel[d], w->first[d]),
                                         index_const(ir, contract_window_pitch(c, d))));
        return offset;
    }
    Node *offset = contract_window_row(c, corner, w->linear, index_const(ir, 0));
    for (int i = 0; i < contract->axis_count; i++)
        offset = node_substitute(ir, offset, &contract->axes[i], (Node *const *)&zero, 1);
    return offset;
}

/* ---- products ---- */

/* Steps k .. of the runs from `first` on, or of `count` steps of the last run, one after the other. */
typedef struct Steps {
    Node *k, *a; /* before the first of them: number and offset of A */
    int first, count;
} Steps;

static void emit_steps(Contract *c, Block *block, const Corner *corner, Tile tile, Node **accumulators,
                       Node *const *masks, const Steps *steps)
{
    Ir *const ir = c->ir;
    const Window *const w = c->window;
    for (int i = 0; i < steps->count; i++) {
        int64_t rest = i, offset = 0;
        for (int r = w->run_count - 1; r >= steps->first; r--) {
            offset += (r > steps->first ? rest % w->runs[r].extent : rest) * w->runs[r].pitch;
            rest /= w->runs[r].extent;
        }
        Node *const k = index_add(ir, steps->k, index_const(ir, i));
        contract_emit_fetch(c, block, corner, tile.vectors, k);
        contract_emit_step_of(c, block, corner, tile, accumulators, k, index_add(ir, steps->a, index_const(ir, offset)),
                              masks);
    }
}

void contract_window_products(Contract *c, Block *block, const Corner *corner, Tile tile, Node **accumulators,
                              Node *const *masks)
{
    Ir *const ir = c->ir;
    const Window *const w = c->window;
    const int last = w->run_count - 1;
    const WindowRun *const run = &w->runs[last];
    Node *k = index_const(ir, 0), *a = k;
    int64_t inner = c->guess_depth;
    for (int i = 0; i < w->unrolled; i++) { /* loops over the outer runs */
        Node *const axis = axis_make(ir, "tap", NULL);
        block = body_for(ir, block, axis, index_const(ir, 0), index_const(ir, w->runs[i].extent), 1);
        inner /= w->runs[i].extent;
        k = index_add(ir, k, index_mul(ir, axis, index_const(ir, inner)));
        a = index_add(ir, a, index_mul(ir, axis, index_const(ir, w->runs[i].pitch)));
    }
    if (inner <= c->unroll) {
        contract_emit_ahead(c, block, corner, k);
        emit_steps(c, block, corner, tile, accumulators, masks, &(Steps){k, a, w->unrolled, (int)inner});
        return;
    }
    const int64_t whole = run->extent / c->unroll * c->unroll;
    Node *const axis = axis_make(ir, "k", NULL);
    Block *const body = body_for(ir, block, axis, index_const(ir, 0), index_const(ir, whole), c->unroll);
    const Steps steps = {index_add(ir, k, axis), index_add(ir, a, index_mul(ir, axis, index_const(ir, run->pitch))),
                         last, c->unroll};
    contract_emit_ahead(c, body, corner, steps.k);
    emit_steps(c, body, corner, tile, accumulators, masks, &steps);
    if (whole < run->extent)
        emit_steps(c, block, corner, tile, accumulators, masks,
                   &(Steps){index_add(ir, k, index_const(ir, whole)),
                            index_add(ir, a, index_const(ir, whole * run->pitch)), last, (int)(run->extent - whole)});
}

/* ---- loops over tiles ---- */

/* A loop over the tiles of the unit in direction d: those of whole size, or (tail) the one that is left of the image.
 * Returns the pixels of a tile, 0 for none. */
static int64_t tile_loop(Contract *c, Block **block, int d, bool tail, Corner *corner)
{
    Ir *const ir = c->ir;
    const Window *const w = c->window;
    const int64_t whole = w->outs[d] / w->tile[d] * w->tile[d], size = tail ? w->outs[d] - whole : w->tile[d];
    if (size == 0)
        return 0;
    Node *const pixel = axis_make(ir, d ? "j" : "i", NULL), *const end = index_const(ir, whole);
    Node *const from = tail ? index_max(ir, w->first[d], end) : w->first[d];
    Node *const to = tail ? w->last[d] : index_min(ir, w->last[d], end);
    *block = body_for(ir, *block, pixel, from, to, size);
    corner->pixel[d] = pixel;
    return size;
}

void contract_window_tiles(Contract *c, Block *block, const Unit *unit, const Corner *start, bool narrow)
{
    Ir *const ir = c->ir;
    const Window *const w = c->window;
    const int64_t side = (w->band[1] + w->tile[1] - 1) / w->tile[1];
    (void)unit;
    if (w->by_taps) {
        contract_taps_tiles(c, block, start, narrow);
        return;
    }
    for (int part = 0; part < 4; part++) {
        Corner corner = *start;
        Block *body = block;
        const int64_t high = tile_loop(c, &body, 0, part & 2, &corner);
        corner.width = high ? tile_loop(c, &body, 1, part & 1, &corner) : 0;
        if (!corner.width)
            continue;
        Node *tile = index_const(ir, 0);
        for (int d = 0; d < WINDOW_DIRECTIONS && c->ahead; d++) {
            Node *const far = index_sub(ir, corner.pixel[d], w->first[d]);
            tile = index_add(ir, index_mul(ir, tile, index_const(ir, side)),
                             index_floordiv(ir, far, index_const(ir, w->tile[d])));
        }
        corner.tile = tile;
        corner.a_first = first_offset(c, &corner);
        contract_emit_group(c, body, &corner, (int)(high * corner.width), narrow);
    }
}

/* ---- units ---- */

/* Copies the input of the unit's box, border included, to scratch. */
static void emit_copy(Contract *c, Block *block)
{
    Ir *const ir = c->ir;
    const Window *const w = c->window;
    Node *axes[POSITIONS_MAX], *from[2 * POSITIONS_MAX], *to[2 * POSITIONS_MAX];
    int count = 0;
    for (int i = 0; i < w->count; i++) {
        const WindowPosition *const position = &w->positions[w->order[i]];
        Node *places = index_const(ir, position->places), *first = index_const(ir, 0);
        for (int d = 0; d < WINDOW_DIRECTIONS; d++) {
            if (w->direction[d] != position)
                continue;
            Node *const more = index_sub(ir, index_sub(ir, w->last[d], w->first[d]), index_const(ir, 1));
            places = index_add(ir, index_mul(ir, more, index_const(ir, position->stride)),
                               index_const(ir, (position->taps - 1) * position->dilation + 1));
            first = w->first[d];
        }
        if (position->out && position != w->direction[0] && position != w->direction[1])
            first = position->out;
        axes[i] = axis_make(ir, "place", places);
        const bool by_out = position->given == position->out;
        from[count] = position->given;
        to[count++] = index_add(ir, index_mul(ir, first, index_const(ir, position->stride)), axes[i]);
        if (position->out && position->tap) {
            from[count] = by_out ? position->tap : position->out;
            to[count++] = index_const(ir, 0);
        }
    }
    Node *const value = cast_make(ir, node_substitute(ir, w->operand, from, to, count), DTYPE_F32);
    Node *const stage = stage_make(ir, axes, w->count, c->a_local, axes, value);
    const LoopsSchedule schedule = {.lanes = PANEL};
    loops_emit(ir, c->kernel, block, stage, &schedule);
}

/* The unit's box in direction d; what is left of its number. */
static Node *take_band(Contract *c, Node *number, int d)
{
    Ir *const ir = c->ir;
    Window *const w = c->window;
    Node *const bands = index_const(ir, (w->outs[d] + w->band[d] - 1) / w->band[d]);
    w->first[d] = index_mul(ir, index_mod(ir, number, bands), index_const(ir, w->band[d]));
    w->last[d] = index_min(ir, index_add(ir, w->first[d], index_const(ir, w->band[d])), index_const(ir, w->outs[d]));
    return index_floordiv(ir, number, bands);
}

/* Axes of rows that tiles do not extend along. */
static int other_axes(const Contract *c, Node **axes)
{
    const Window *const w = c->window;
    int count = 0;
    for (int i = 0; i < c->roles.m_count; i++) {
        bool inside = index_is(c->roles.m[i]->inputs[0], 1);
        for (int d = 0; d < WINDOW_DIRECTIONS; d++)
            inside = inside || (w->direction[d] && w->direction[d]->out == c->roles.m[i]);
        if (!inside)
            axes[count++] = c->roles.m[i];
    }
    return count;
}

Node *contract_window_units(Contract *c, Block *body)
{
    Ir *const ir = c->ir;
    Node *axes[2 * RANK_MAX];
    const Window *const w = c->window;
    int count = 0;
    for (; count < c->roles.batch_count; count++)
        axes[count] = c->roles.batch[count];
    count += other_axes(c, axes + count);
    Node *const groups = index_ceildiv(ir, c->roles.columns, index_const(ir, c->tile.vectors * PANEL));
    Node *const block_groups = index_const(ir, c->block_groups), *const blocks =
                                                                     index_ceildiv(ir, groups, block_groups);
    Node *units = index_mul(ir, blocks, axes_points(ir, axes, count));
    for (int d = 0; d < WINDOW_DIRECTIONS; d++)
        units = index_mul(ir, units, index_const(ir, (w->outs[d] + w->band[d] - 1) / w->band[d]));
    Node *const begin = node_make(ir, &(Node){.op = OP_begin, .type = type_scalar(DTYPE_INDEX)});
    Node *const number = axis_make(ir, "unit", units), *const column_block = index_mod(ir, number, blocks);
    Block *block = body_units(ir, body, number), *copy = block;
    Node *above = index_floordiv(ir, number, blocks);
    for (int d = WINDOW_DIRECTIONS - 1; d >= 0; d--)
        above = take_band(c, above, d);
    block = copy = contract_bind(ir, block, axes, count, above);
    if (!w->in_place && !index_is(blocks, 1))
        copy = contract_emit_if(
            ir, block,
            scalar2(ir, OP_or, scalar2(ir, OP_eq, column_block, index_const(ir, 0)), scalar2(ir, OP_eq, number, begin)),
            NULL);
    if (!w->in_place)
        emit_copy(c, copy);
    Unit unit = {.first_group = index_mul(ir, column_block, block_groups)};
    unit.last_group = index_min(ir, index_add(ir, unit.first_group, block_groups), groups);
    contract_emit_groups(c, block, unit);
    return units;
}
