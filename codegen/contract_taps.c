/* Reading A as a window, tap by tap: every tap is a product of its own over the pixels whose input lies inside the
 * image, read where it stands; sums wait in scratch meanwhile.
 *
 *     for each group of columns:
 *         S[pixels of the box, columns] = 0
 *         for each tap:  for each tile of the pixels that the tap reaches:  S[tile] += A[tile + tap] * B[tap]
 *                        S = S + 0 for the others
 *         Y = epilogue(S)
 *
 * What a tap reads outside of the image is +0. Adding +0 * w to a sum for all channels is adding +0 once, if every w is
 * finite and one of them is not negative: the weight says so (`tame`, see ir.h). Each row of B is read once for all
 * pixels of the box, and dilated windows do not multiply their border. */
#include "codegen/contract_emit.h"
#include "codegen/contract_window.h"

#include "ir/kernel.h"
#include "ir/loops.h"

enum { CHANNELS_MIN = 16, CONDITIONS_MAX = 32, TAPS_MAX = 9, SET_PIXELS = 10 };

/* ---- analysis ---- */

/* The position that moves as the index does, but for a constant; NULL: none. */
static WindowPosition *position_of(const Contract *c, Node *index, int64_t *rest)
{
    Ir *const ir = c->ir;
    Window *const w = c->window;
    for (int i = 0; i < w->count; i++) {
        WindowPosition *const p = &w->positions[i];
        Node *const far =
            index_sub(ir, index,
                      index_add(ir, p->out ? index_mul(ir, p->out, index_const(ir, p->out_factor)) : index_const(ir, 0),
                                p->tap ? index_mul(ir, p->tap, index_const(ir, p->tap_factor)) : index_const(ir, 0)));
        if (const_is_int(far, rest))
            return p;
    }
    return NULL;
}

/* One comparison of a position with a constant: what it says of out_factor*out + tap_factor*tap. */
static bool take_bound(const Contract *c, const Node *condition)
{
    Ir *const ir = c->ir;
    int64_t rest;
    const bool comparison =
        condition->op == OP_ge || condition->op == OP_gt || condition->op == OP_lt || condition->op == OP_le;
    if (!comparison || condition->inputs[0]->type.dtype != DTYPE_INDEX || condition->type.lanes != 1)
        return false;
    WindowPosition *const p = position_of(c, index_sub(ir, condition->inputs[0], condition->inputs[1]), &rest);
    if (!p)
        return false;
    const int64_t bound = -rest + (condition->op == OP_gt || condition->op == OP_le);
    if (condition->op == OP_ge || condition->op == OP_gt)
        p->low = bound > p->low ? bound : p->low;
    else
        p->high = bound < p->high ? bound : p->high;
    return true;
}

/* Is A a load inside a box of positions and +0 outside? */
static bool find_bounds(const Contract *c, Window *w)
{
    Node *stack[CONDITIONS_MAX] = {w->operand->op == OP_guard ? w->operand->inputs[0] : NULL};
    int count = stack[0] != NULL;
    for (int i = 0; i < w->count; i++) {
        WindowPosition *const p = &w->positions[i];
        p->low = 0;
        p->high = (p->outs - 1) * p->out_factor + (p->taps - 1) * p->tap_factor + 1;
    }
    while (count > 0) {
        Node *const condition = stack[--count];
        if (condition->op == OP_and && count + 2 <= CONDITIONS_MAX) {
            stack[count++] = condition->inputs[0];
            stack[count++] = condition->inputs[1];
        } else if (!take_bound(c, condition)) {
            return false;
        }
    }
    return w->operand->op != OP_guard ||
           (w->operand->inputs[2]->op == OP_const && w->operand->inputs[2]->payload.bits == 0);
}

bool contract_taps_match(Contract *c)
{
    Window *const w = c->window;
    const Node *const contract = c->roles.contract;
    const WindowPosition *const rows = w->direction[0], *const columns = w->direction[1];
    const WindowPosition *channels = NULL;
    if (!rows || !columns || !columns->tap || columns->taps * rows->taps > TAPS_MAX || c->read_b != READ_PANELS ||
        c->b_buffer->type.dtype != DTYPE_F32 || !c->b_buffer->payload.buffer->tame)
        return false;
    for (int i = 0; i < w->count; i++) {
        const WindowPosition *const p = &w->positions[i];
        if (p == rows || p == columns || !p->tap)
            continue;
        if (channels || p->out)
            return false;
        channels = p;
    }
    if (!channels || channels->taps < CHANNELS_MIN)
        return false;
    /* Taps run outside of channels, rows outside of columns. */
    Node *order[3];
    int count = 0;
    for (int i = 0; i < contract->axis_count; i++)
        if (!index_is(contract->axes[i]->inputs[0], 1) && count < 3)
            order[count++] = contract->axes[i];
    if (count != (rows->tap && rows->taps > 1 ? 3 : 2) || order[count - 1] != channels->tap ||
        order[count - 2] != columns->tap)
        return false;
    w->channels = channels;
    return find_bounds(c, w) && contract_window_in_place(c);
}

/* Pixels low..high that tap number `tap` reaches in direction d. */
static void reached(const Window *w, int d, int64_t tap, int64_t *low, int64_t *high)
{
    const WindowPosition *const p = w->direction[d];
    *low = ceil_divide(p->low - tap * p->tap_factor, p->out_factor);
    *high = ceil_divide(p->high - tap * p->tap_factor, p->out_factor);
    *low = *low < 0 ? 0 : *low > p->outs ? p->outs : *low;
    *high = *high < *low ? *low : *high > p->outs ? p->outs : *high;
}

/* ---- the plan ---- */

/* The width of tiles for so many pixels side by side: even parts. */
static int64_t even_width(int64_t pixels, int64_t most)
{
    return ceil_divide(pixels, ceil_divide(pixels, most));
}

/* Cycles of all columns of one row of pixels (or of `high` rows at once) under one column tap. */
static double row_cycles(const Contract *c, int64_t high, int64_t pixels, int64_t most, int vectors)
{
    const double channels = (double)c->window->channels->taps, turn = 40;
    if (pixels == 0)
        return 0;
    const int64_t width = even_width(pixels, most);
    double cycles = 0;
    for (int64_t at = 0; at < pixels; at += width) {
        const int64_t part = pixels - at < width ? pixels - at : width;
        cycles += channels * contract_tile_cycles(c->target, high * part, vectors) + turn +
                  2 * (double)(high * part * vectors);
    }
    return cycles * (double)ceil_divide(ceil_divide(c->guess_columns, PANEL), vectors);
}

static double taps_cycles(const Contract *c, int64_t high, int64_t most, int vectors)
{
    const Window *const w = c->window;
    double cycles = 0;
    for (int64_t i = 0; i < w->direction[0]->taps; i++)
        for (int64_t j = 0; j < w->direction[1]->taps; j++) {
            int64_t low, end, from, to;
            reached(w, 0, i, &low, &end);
            reached(w, 1, j, &from, &to);
            cycles += (double)((end - low) / high) * row_cycles(c, high, to - from, most, vectors);
            cycles += (double)((end - low) % high) * row_cycles(c, 1, to - from, most, vectors);
        }
    return cycles;
}

double contract_taps_choose(Contract *c, int64_t tile[2], int *vectors)
{
    const int64_t panels = ceil_divide(c->guess_columns, PANEL);
    const Window *const w = c->window;
    const bool pages = contract_window_pitch(c, 1) * 4 % 4096 == 0;
    double least = 1e300;
    for (int v = 1; v <= VECTORS_MAX && v <= panels; v++)
        for (int64_t high = 1; high <= w->outs[0] && high <= 4; high++)
            for (int64_t wide = 1; high * wide <= ROWS_MAX - 2 && wide <= w->outs[1]; wide++) {
                if (!contract_tile_fits(c->target, (int)(high * wide), v))
                    continue;
                /* Pixels whose addresses differ by multiples of a page share the few places of one set of L1. */
                const double cycles = taps_cycles(c, high, wide, v) * (pages && high * wide > SET_PIXELS ? 1.5 : 1);
                if (cycles >= least * 0.999)
                    continue;
                least = cycles;
                tile[0] = high;
                tile[1] = wide;
                *vectors = v;
            }
    return least * (double)w->points;
}

double contract_taps_cycles(const Contract *c)
{
    const Window *const w = c->window;
    return taps_cycles(c, w->tile[0], w->tile[1], c->tile.vectors) * (double)w->points;
}

int64_t contract_taps_row_bytes(const Contract *c)
{
    const Window *const w = c->window;
    const WindowPosition *const rows = w->direction[0];
    const int64_t each = rows->taps * rows->tap_factor > rows->out_factor && rows->tap_factor > 1 ? rows->taps : 1;
    return each * rows->out_factor * w->outs[1] * w->direction[1]->out_factor * w->channels->taps * 4;
}

bool contract_taps_plan(Contract *c)
{
    Window *const w = c->window;
    Ir *const ir = c->ir;
    const int64_t groups = ceil_divide(c->guess_columns, c->tile.vectors * PANEL);
    int64_t band = c->target->l2 * 5 / 8 / contract_taps_row_bytes(c);
    band = band < 1 ? 1 : band > w->outs[0] ? w->outs[0] : band;
    /* Few columns: as many boxes as give all cores two units. */
    const int64_t wanted = ceil_divide(2 * c->target->cores, w->points * groups);
    if (ceil_divide(w->outs[0], band) < wanted)
        band = ceil_divide(w->outs[0], wanted);
    band = ceil_divide(even_width(w->outs[0], band), w->tile[0]) * w->tile[0];
    band = band < w->outs[0] ? band : w->outs[0];
    w->band[0] = suggest_int(c->trial, "band", 1, w->outs[0], band);
    w->band[1] = w->outs[1];
    const int64_t boxes = w->points * ceil_divide(w->outs[0], w->band[0]);
    int64_t blocks = ceil_divide(4 * c->target->cores, boxes);
    blocks = blocks < groups ? blocks : groups;
    c->block_groups = suggest_int(c->trial, "groups", 1, groups, contract_window_groups(c, boxes, groups, blocks));
    c->unroll = (int)suggest_int(c->trial, "unroll", 1, UNROLL_MAX, UNROLL);
    c->fetch = (int)suggest_int(c->trial, "fetch", 0, FETCH_MAX, PREFETCH_ROWS);
    const int64_t tiles = ceil_divide(w->band[0], w->tile[0]) * ceil_divide(w->outs[1], w->tile[1]);
    const int64_t ahead = ceil_divide(c->unroll, tiles);
    c->ahead = (int)suggest_int(c->trial, "ahead", 0, 4, ahead > 4 ? 0 : ahead);
    c->a_buffer = w->read->inputs[0];
    w->sums = contract_local(
        c, "sums", 2, (Node *[]){index_const(ir, w->band[0] * w->outs[1]), index_const(ir, c->tile.vectors * PANEL)});
    return w->sums != NULL;
}

/* ---- emission ---- */

/* A group of columns of the unit, and the tap at hand. */
typedef struct Group {
    Contract *contract;
    const Corner *start;
    int vectors;
    Node *tap; /* of rows */
    int64_t column_tap;
} Group;

static Node *sum_offset(const Group *g, Node *i, Node *j, int vector)
{
    Ir *const ir = g->contract->ir;
    const Window *const w = g->contract->window;
    Node *const pixel = index_add(ir, index_mul(ir, index_sub(ir, i, w->first[0]), index_const(ir, w->outs[1])), j);
    return index_add(ir, index_mul(ir, pixel, index_const(ir, g->contract->tile.vectors * PANEL)),
                     index_const(ir, vector * PANEL));
}

static Node *sum_read(const Group *g, Block *block, Node *i, Node *j, int vector)
{
    Node *const value =
        node_make(g->contract->ir, &(Node){.op = OP_read,
                                           .type = type_vector(DTYPE_F32, PANEL),
                                           .inputs = (Node *[]){g->contract->window->sums, sum_offset(g, i, j, vector)},
                                           .input_count = 2});
    block_append(g->contract->ir, block, value);
    return value;
}

static void sum_store(const Group *g, Block *block, Node *i, Node *j, int vector, Node *value)
{
    Node *const offset = sum_offset(g, i, j, vector);
    block_append(g->contract->ir, block,
                 node_make(g->contract->ir, &(Node){.op = OP_store,
                                                    .inputs = (Node *[]){g->contract->window->sums, offset, value},
                                                    .input_count = 3}));
}

static Block *loop(const Group *g, Block *block, const char *name, Node *from, Node *to, int64_t step, Node **variable)
{
    *variable = axis_make(g->contract->ir, name, NULL);
    return body_for(g->contract->ir, block, *variable, from, to, step);
}

/* Sums of pixels i_from..i_to, j_from..j_to become 0 (`clear`) or add +0. */
static void emit_zeros(const Group *g, Block *block, bool clear, Node *i_from, Node *i_to, int64_t j_from, int64_t j_to)
{
    Ir *const ir = g->contract->ir;
    Node *const zero = splat_make(ir, const_int(ir, DTYPE_F32, 0), PANEL), *i, *j;
    if (j_from == j_to)
        return;
    Block *body = loop(g, block, "i", i_from, i_to, 1, &i);
    body = loop(g, body, "j", index_const(ir, j_from), index_const(ir, j_to), 1, &j);
    for (int v = 0; v < g->vectors; v++)
        sum_store(g, body, i, j, v, clear ? zero : scalar2(ir, OP_add, sum_read(g, body, i, j, v), zero));
}

/* The offset of A at the tile's first pixel, the tap and channel 0. */
static Node *tap_offset(const Group *g, const Corner *corner)
{
    Contract *const c = g->contract;
    Ir *const ir = c->ir;
    const Window *const w = c->window;
    Node *offset = contract_window_row(c, corner, w->linear, index_const(ir, 0));
    Node *const from[] = {w->direction[1]->tap, w->channels->tap};
    Node *const to[] = {index_const(ir, g->column_tap), index_const(ir, 0)};
    offset = node_substitute(ir, offset, from, to, 2);
    return w->direction[0]->tap ? node_substitute(ir, offset, &w->direction[0]->tap, &g->tap, 1) : offset;
}

/* Fetches rows of the next tap's weights into L2, a few at each round. */
static void fetch_next(const Group *g, Block *block, const Corner *corner, Node *first, Node *channel)
{
    Contract *const c = g->contract;
    Ir *const ir = c->ir;
    const int64_t channels = c->window->channels->taps;
    Node *const round = index_add(ir, index_mul(ir, corner->tile, index_const(ir, channels / c->unroll)),
                                  index_floordiv(ir, channel, index_const(ir, c->unroll)));
    for (int i = 0; i < c->ahead; i++) {
        Node *const row = index_add(ir, index_mul(ir, round, index_const(ir, c->ahead)), index_const(ir, channels + i));
        contract_emit_fetch_row(c, block, corner, g->vectors, index_add(ir, first, row), 2);
    }
}

static void emit_channels(const Group *g, Block *block, const Corner *corner, Tile tile, Node **accumulators)
{
    Contract *const c = g->contract;
    Ir *const ir = c->ir;
    const WindowPosition *const channels = c->window->channels;
    const int64_t whole = channels->taps / c->unroll * c->unroll, pitch = contract_window_tap_pitch(c, channels);
    const Window *const w = c->window;
    Node *number = index_const(ir, g->column_tap);
    if (g->tap)
        number = index_add(ir, number, index_mul(ir, g->tap, index_const(ir, w->direction[1]->taps)));
    Node *const first = index_mul(ir, number, index_const(ir, channels->taps)), *channel;
    Block *const body = loop(g, block, "k", index_const(ir, 0), index_const(ir, whole), c->unroll, &channel);
    if (c->ahead)
        fetch_next(g, body, corner, first, channel);
    for (int64_t step = 0; step < c->unroll + channels->taps - whole; step++) {
        const bool last = step >= c->unroll;
        Node *const at =
            last ? index_const(ir, whole + step - c->unroll) : index_add(ir, channel, index_const(ir, step));
        Node *const k = index_add(ir, first, at);
        contract_emit_fetch(c, last ? block : body, corner, tile.vectors, k);
        contract_emit_step_of(c, last ? block : body, corner, tile, accumulators, k,
                              index_mul(ir, at, index_const(ir, pitch)), NULL);
    }
}

/* One tile of high x corner->width pixels under the tap. */
static void emit_tile(const Group *g, Block *block, Corner *corner, int64_t high)
{
    Contract *const c = g->contract;
    Ir *const ir = c->ir;
    const Tile tile = {(int)(high * corner->width), g->vectors};
    Node *accumulators[ROWS_MAX * VECTORS_MAX];
    Node *i[ROWS_MAX], *j[ROWS_MAX];
    for (int r = 0; r < tile.rows; r++) {
        i[r] = index_add(ir, corner->pixel[0], index_const(ir, r / corner->width));
        j[r] = index_add(ir, corner->pixel[1], index_const(ir, r % corner->width));
        for (int v = 0; v < tile.vectors; v++)
            accumulators[r * tile.vectors + v] = body_var(ir, block, sum_read(g, block, i[r], j[r], v));
    }
    corner->a_first = tap_offset(g, corner);
    emit_channels(g, block, corner, tile, accumulators);
    for (int r = 0; r < tile.rows; r++)
        for (int v = 0; v < tile.vectors; v++)
            sum_store(g, block, i[r], j[r], v, body_get(ir, block, accumulators[r * tile.vectors + v]));
}

/* Tiles of `high` rows from i_from on, as many as fit below i_to; returns where they end. */
static Node *emit_rows(const Group *g, Block *block, int64_t high, Node *i_from, Node *i_to, int64_t j_from,
                       int64_t j_to)
{
    Contract *const c = g->contract;
    Ir *const ir = c->ir;
    const Window *const w = c->window;
    Node *const step = index_const(ir, high);
    Node *const end = index_add(ir, i_from, index_mul(ir, index_floordiv(ir, index_sub(ir, i_to, i_from), step), step));
    const int64_t width = even_width(j_to - j_from, w->tile[1]), whole = (j_to - j_from) / width * width;
    const int64_t across = ceil_divide(j_to - j_from, width);
    Corner corner = *g->start;
    Block *const row = loop(g, block, "i", i_from, end, high, &corner.pixel[0]);
    Node *const above =
        index_mul(ir, index_floordiv(ir, index_sub(ir, corner.pixel[0], i_from), step), index_const(ir, across));
    Block *const body =
        loop(g, row, "j", index_const(ir, j_from), index_const(ir, j_from + whole), width, &corner.pixel[1]);
    corner.width = width;
    corner.tile = index_add(
        ir, above, index_floordiv(ir, index_sub(ir, corner.pixel[1], index_const(ir, j_from)), index_const(ir, width)));
    emit_tile(g, body, &corner, high);
    if (whole == j_to - j_from)
        return end;
    corner.pixel[1] = index_const(ir, j_from + whole);
    corner.width = j_to - j_from - whole;
    corner.tile = index_add(ir, above, index_const(ir, across - 1));
    emit_tile(g, row, &corner, high);
    return end;
}

/* An end of the rows that a tap of rows reaches, within the unit. */
static Node *row_end(const Group *g, int64_t bound)
{
    Ir *const ir = g->contract->ir;
    const Window *const w = g->contract->window;
    const WindowPosition *const p = w->direction[0];
    Node *far = index_const(ir, bound);
    if (g->tap)
        far = index_sub(ir, far, index_mul(ir, g->tap, index_const(ir, p->tap_factor)));
    Node *const row = index_ceildiv(ir, far, index_const(ir, p->out_factor));
    return index_max(ir, w->first[0], index_min(ir, w->last[0], row));
}

/* The tap at hand over all pixels of the unit. */
static void emit_tap(const Group *g, Block *block)
{
    const Window *const w = g->contract->window;
    Node *const i_from = row_end(g, w->direction[0]->low);
    Node *const i_to = index_max(g->contract->ir, i_from, row_end(g, w->direction[0]->high));
    int64_t j_from, j_to;
    reached(w, 1, g->column_tap, &j_from, &j_to);
    emit_zeros(g, block, false, w->first[0], i_from, 0, w->outs[1]);
    emit_zeros(g, block, false, i_to, w->last[0], 0, w->outs[1]);
    emit_zeros(g, block, false, i_from, i_to, 0, j_from);
    emit_zeros(g, block, false, i_from, i_to, j_to, w->outs[1]);
    if (j_from == j_to)
        return;
    Node *const end = emit_rows(g, block, w->tile[0], i_from, i_to, j_from, j_to);
    if (w->tile[0] > 1)
        emit_rows(g, block, 1, end, i_to, j_from, j_to);
}

static void emit_results(const Group *g, Block *block, bool narrow)
{
    Contract *const c = g->contract;
    Ir *const ir = c->ir;
    const Window *const w = c->window;
    Corner corner = *g->start;
    Node *masks[VECTORS_MAX] = {0};
    contract_emit_masks(c, &corner, g->vectors, narrow, masks);
    corner.width = 1;
    Block *body = loop(g, block, "i", w->first[0], w->last[0], 1, &corner.pixel[0]);
    body = loop(g, body, "j", index_const(ir, 0), index_const(ir, w->outs[1]), 1, &corner.pixel[1]);
    for (int v = 0; v < g->vectors; v++)
        contract_emit_result(c, body, &corner, index_const(ir, 0), v,
                             sum_read(g, body, corner.pixel[0], corner.pixel[1], v), masks[v]);
}

void contract_taps_tiles(Contract *c, Block *block, const Corner *start, bool narrow)
{
    Ir *const ir = c->ir;
    const Window *const w = c->window;
    const int64_t rest = c->guess_columns % (c->tile.vectors * PANEL);
    Group g = {.contract = c, .start = start, .vectors = narrow ? (int)ceil_divide(rest, PANEL) : c->tile.vectors};
    emit_zeros(&g, block, true, w->first[0], w->last[0], 0, w->outs[1]);
    Block *body = block;
    if (w->direction[0]->tap)
        body = loop(&g, block, "tap", index_const(ir, 0), index_const(ir, w->direction[0]->taps), 1, &g.tap);
    for (g.column_tap = 0; g.column_tap < w->direction[1]->taps; g.column_tap++)
        emit_tap(&g, body);
    emit_results(&g, block, narrow && rest % PANEL != 0);
}
