/* Splitting f32 into three bf16, for tile registers: see tiles.h. */
#include "codegen/tiles_parts.h"

#include "ir/kernel.h"
#include "ir/loops.h"

#include <math.h>

Node *tiles_load(TileProduct *p, Block *block, Node *buffer, Node *offset, int lanes)
{
    return contract_emit_load(p->ir, block, buffer, offset, lanes, NULL, true);
}

void tiles_store(TileProduct *p, Block *block, Node *buffer, Node *offset, Node *value)
{
    Node *inputs[] = {buffer, offset, value};
    block_append(p->ir, block, node_make(p->ir, &(Node){.op = OP_store, .inputs = inputs, .input_count = 3}));
}

static Node *word(Ir *ir, uint32_t bits)
{
    return splat_make(ir, const_int(ir, DTYPE_U32, bits), TILE_WORDS);
}

/* Bits of the value rounded to eight significant ones: a bf16 in the upper half of each word. */
static Node *upper(Ir *ir, Node *value)
{
    return scalar2(ir, OP_and, scalar2(ir, OP_add, bitcast_make(ir, value, DTYPE_U32), word(ir, 0x8000)),
                   word(ir, 0xffff0000));
}

/* Stores the next part of two vectors: the first one's in the low halves of words. What is left after two parts has no
 * more than eight bits, unless it is subnormal, so that the last part need not be rounded; rounded all the same where
 * its low half is cut off, for LLVM makes a permutation of a plain cut, of three operations on one port. */
void tiles_split_next(TileProduct *p, Block *block, Splitting *splitting)
{
    Ir *const ir = p->ir;
    const int part = splitting->part++;
    Node *halves[2];
    for (int i = 0; i < 2; i++) {
        Node *const value = splitting->values[i];
        halves[i] = part == PARTS - 1 && i == 0 ? bitcast_make(ir, value, DTYPE_U32) : upper(ir, value);
        splitting->values[i] = scalar2(ir, OP_sub, value, bitcast_make(ir, halves[i], DTYPE_F32));
    }
    Node *const words = scalar2(ir, OP_or, scalar2(ir, OP_shr, halves[0], word(ir, 16)), halves[1]);
    Node *const offset = index_add(ir, splitting->offset, index_const(ir, part * splitting->pitch));
    tiles_store(p, block, splitting->parts, offset, words);
}

void tiles_split_all(TileProduct *p, Block *block, Splitting splitting)
{
    while (splitting.part < PARTS)
        tiles_split_next(p, block, &splitting);
}

static Node *vector_at(TileProduct *p, Block *block, Node *buffer, Node *offset, Node *mask)
{
    const bool written = kernel_writes(p->c.kernel, buffer);
    return cast_make(p->ir, contract_emit_load(p->ir, block, buffer, offset, PANEL, mask, written), DTYPE_F32);
}

Step tiles_step(TileProduct *p, Node *step)
{
    Ir *const ir = p->ir;
    Node *const steps = index_const(ir, p->tap_steps);
    if (p->taps == 1)
        return (Step){index_const(ir, 0), index_mul(ir, step, index_const(ir, DEPTH))};
    return (Step){index_floordiv(ir, step, steps), index_mul(ir, index_mod(ir, step, steps), index_const(ir, DEPTH))};
}

Node *tiles_flat(TileProduct *p, Step step, int64_t beyond)
{
    Ir *const ir = p->ir;
    return index_add(ir, index_mul(ir, step.tap, index_const(ir, p->channels)),
                     index_add(ir, step.channel, index_const(ir, beyond)));
}

/* Sixteen steps of a row of A; those beyond the last channel are zeros. */
static Node *a_vector(TileProduct *p, Block *block, Node *row, Step step, int beyond)
{
    Ir *const ir = p->ir;
    Contract *const c = &p->c;
    Node *mask = NULL, *const first = index_add(ir, step.channel, index_const(ir, beyond));
    if (p->channels % DEPTH) {
        Node *const iota = node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, PANEL)});
        mask = scalar2(ir, OP_lt, index_add(ir, iota, first), splat_make(ir, index_const(ir, p->channels), PANEL));
    }
    if (c->read_a == READ_STRIDED) {
        Node *const offset =
            index_add(ir, index_add(ir, c->a_rest, index_mul(ir, row, c->a_pitch)), tiles_flat(p, step, beyond));
        return vector_at(p, block, c->a_buffer, offset, mask);
    }
    Node *const *const axes = c->roles.contract->axes;
    const int last = c->roles.contract->axis_count - 1;
    Node *value = contract_flat_rows(c, c->roles.a, row), *above = step.tap;
    for (int i = last - 1; i >= 0; i--) {
        Node *const digit = i ? index_mod(ir, above, axes[i]->inputs[0]) : above;
        above = index_floordiv(ir, above, axes[i]->inputs[0]);
        value = node_substitute(ir, value, &axes[i], (Node *const *)&digit, 1);
    }
    StageEmitter emitter = stage_emitter(ir, c->kernel, block);
    emitter.lane_axis = axes[last];
    emitter.lanes = PANEL;
    emitter.lane_base = first;
    emitter.mask = mask;
    value = stage_emit(&emitter, cast_make(ir, value, DTYPE_F32));
    if (value->type.lanes == 1)
        value = splat_make(ir, value, PANEL);
    return mask ? scalar3(ir, OP_select, mask, value, splat_make(ir, const_int(ir, DTYPE_F32, 0), PANEL)) : value;
}

/* Row `beyond` of a step of B's panel; rows beyond the last repeat it, for A has zeros there. */
static Node *b_vector(TileProduct *p, Block *block, Node *column, Step step, int beyond, Node *mask)
{
    Ir *const ir = p->ir;
    Contract *const c = &p->c;
    Node *k = tiles_flat(p, step, beyond);
    if (p->channels % DEPTH)
        k = index_min(ir, k, index_sub(ir, c->depth, index_const(ir, 1)));
    if (c->read_b == READ_STRIDED)
        return vector_at(p, block, c->b_buffer,
                         index_add(ir, c->b_rest, index_add(ir, column, index_mul(ir, k, c->b_step))), mask);
    Node *const panel = index_floordiv(ir, column, index_const(ir, PANEL));
    return vector_at(p, block, c->b_buffer, contract_panel_offset(c, panel, k), NULL);
}

Splitting tiles_split_a(TileProduct *p, Block *block, Node *row, Step step)
{
    return (Splitting){.values = {a_vector(p, block, row, step, 0), a_vector(p, block, row, step, TILE_WORDS)},
                       .parts = p->a_parts};
}

Splitting tiles_split_b(TileProduct *p, Block *block, Node *column, Step step, Node *number, Node *mask)
{
    step.channel = index_add(p->ir, step.channel, number);
    return (Splitting){
        .values = {b_vector(p, block, column, step, 0, mask), b_vector(p, block, column, step, TILE_ROWS, mask)},
        .parts = p->b_parts};
}

/* ---- what both templates decide and emit alike ---- */

Node *tiles_local(TileProduct *p, const char *name, Dtype dtype, int64_t elements)
{
    Node *const dim = index_const(p->ir, elements);
    return local_make(p->ir, name, type_tensor(p->ir, dtype, 1, &dim), &p->c.scratch);
}

bool tiles_match(TileProduct *p)
{
    Contract *const c = &p->c;
    int64_t columns;
    if (!c->target->tiles || !contract_match(p->ir, c->kernel, &c->roles))
        return false;
    contract_plan_reading(c);
    if (c->read_b == READ_PACKED || !const_is_int(c->roles.columns, &columns) || columns < PANEL)
        return false;
    Node *const *const axes = c->roles.contract->axes;
    const int last = c->roles.contract->axis_count - 1;
    int64_t depth;
    if (!const_is_int(axes[last]->inputs[0], &p->channels) || !const_is_int(c->depth, &depth) || p->channels < 1 ||
        depth < 1)
        return false;
    p->taps = depth / p->channels;
    p->tap_steps = ceil_divide(p->channels, DEPTH);
    p->steps = p->taps * p->tap_steps;
    c->guess_depth = depth;
    c->guess_columns = columns;
    /* Rows of which nothing is known may be few, as in streams, and then splitting B is most of the work. */
    c->guess_rows = contract_extent_guess(p->ir, c->roles.rows, 0);
    return c->guess_rows > 0;
}

void tiles_share(TileProduct *p, int64_t least, int64_t even, TilesCost *cost)
{
    TilesShape *const shape = &p->shape;
    const int64_t cores = p->c.target->cores, strips = shape->strips, groups = shape->groups;
    int64_t rows;
    const bool whole = least == 1 && p->c.roles.batch_count == 0 && const_is_int(p->c.roles.rows, &rows);
    double best = HUGE_VAL;
    for (int64_t r = least; r <= least + 2 * cores && r <= strips; r++)
        for (int64_t b = 1; b <= 2 * cores && b <= groups; b++) {
            const int64_t aligned = ceil_divide(ceil_divide(strips, r), even) * even;
            const int64_t high = aligned < strips ? aligned : strips, wide = ceil_divide(groups, b);
            const int64_t units = ceil_divide(strips, high) * ceil_divide(groups, wide);
            const double all = (double)(ceil_divide(units, cores) * cores) * cost(p, high, wide);
            const double one =
                whole ? cost(p, strips, groups) : (double)ceil_divide(strips, high) * cost(p, high, groups);
            const double cycles = 2 * all + one;
            if (cycles >= best)
                continue;
            best = cycles;
            shape->unit_strips = high;
            shape->unit_groups = wide;
        }
    shape->most_strips = whole ? strips : 0;
}

double tiles_cycles(const TileProduct *p, int threads, TilesCost *cost)
{
    const TilesShape *const shape = &p->shape;
    const int64_t rows = ceil_divide(shape->strips, shape->unit_strips);
    const int64_t columns = ceil_divide(shape->groups, shape->unit_groups);
    const int64_t groups = threads == 1 ? shape->groups : shape->unit_groups;
    const int64_t last = shape->strips - (rows - 1) * shape->unit_strips;
    if (threads == 1 && shape->most_strips == shape->strips)
        return cost(p, shape->strips, groups);
    const double cycles = (double)(rows - 1) * cost(p, shape->unit_strips, groups) + cost(p, last, groups);
    return contract_thread_cycles(&p->c, cycles * (double)(threads == 1 ? 1 : columns), rows * columns, threads);
}

bool tiles_fit(const TileProduct *p)
{
    enum { SCRATCH_MAX = 8 << 20 };
    return p->c.scratch <= SCRATCH_MAX;
}

Node *tiles_kernel(const TileProduct *p, const char *name, Block *body, Node *units, int width)
{
    const char *const text = arena_format(
        p->ir->arena, "%s rows=%lld columns=%lld depth=%lld", name, (long long)(p->shape.unit_strips * TILE_ROWS),
        (long long)(p->shape.unit_groups * width), (long long)(p->block_steps * DEPTH));
    return kernel_with_body(p->ir, p->c.kernel, body, units, text, p->c.scratch);
}

int64_t tiles_even_blocks(int64_t count, int64_t most)
{
    most = most < 1 ? 1 : most > count ? count : most;
    return ceil_divide(count, ceil_divide(count, most));
}

void tiles_op(TileProduct *p, Block *block, Op op, Node *buffer, Node *offset, int64_t number)
{
    Node *inputs[] = {buffer, offset};
    block_append(
        p->ir, block,
        node_make(p->ir,
                  &(Node){.op = op, .inputs = inputs, .input_count = buffer ? 2 : 0, .payload.integer = number}));
}

Block *tiles_units(TileProduct *p, Block *body, int64_t unit_rows, int64_t column_blocks, TilesUnits *units)
{
    Ir *const ir = p->ir;
    Contract *const c = &p->c;
    Node *const one = index_const(ir, 1), *const zero = index_const(ir, 0);
    Node *const rows = index_sub(ir, c->roles.rows, index_const(ir, p->stray));
    Node *const height = index_const(ir, unit_rows), *const row_blocks = index_ceildiv(ir, rows, height);
    Node *const columns = index_const(ir, column_blocks);
    Node *batches = one;
    for (int i = 0; i < c->roles.batch_count; i++)
        batches = index_mul(ir, batches, c->roles.batch[i]->inputs[0]);
    Node *const blocks = index_mul(ir, batches, row_blocks);
    Node *const begin = node_make(ir, &(Node){.op = OP_begin, .type = type_scalar(DTYPE_INDEX)});
    Node *const end = node_make(ir, &(Node){.op = OP_end, .type = type_scalar(DTYPE_INDEX)});
    Node *const number = axis_make(ir, "block", blocks), *const before = index_mul(ir, number, columns);
    units->count = index_mul(ir, blocks, columns);
    Node *last = index_ceildiv(ir, end, columns), *most = height;
    if (p->shape.most_strips > p->shape.unit_strips) { /* a chunk of all units is one block */
        Node *const others = index_sub(ir, units->count, index_sub(ir, end, begin));
        Node *const all = index_max(ir, index_sub(ir, one, others), zero);
        last = index_sub(ir, last, index_mul(ir, all, index_sub(ir, row_blocks, one)));
        most = index_max(ir, height, index_mul(ir, all, rows));
    }
    Block *const block = body_for(ir, body, number, index_floordiv(ir, begin, columns), last, 1);
    p->row = index_mul(ir, index_mod(ir, number, row_blocks), height);
    p->rows = index_min(ir, most, index_sub(ir, rows, p->row));
    units->first = index_max(ir, index_sub(ir, begin, before), zero);
    units->last = index_sub(ir, end, before);
    return contract_bind(ir, block, c->roles.batch, c->roles.batch_count, index_floordiv(ir, number, row_blocks));
}

Block *tiles_depth(TileProduct *p, Block *block)
{
    Ir *const ir = p->ir;
    Node *const zero = index_const(ir, 0), *const steps = index_const(ir, p->steps);
    p->first_step = zero;
    p->last_step = steps;
    if (!p->partial)
        return block;
    p->first_step = axis_make(ir, "from", NULL);
    p->last_step = index_min(ir, index_add(ir, p->first_step, index_const(ir, p->block_steps)), steps);
    return body_for(ir, block, p->first_step, zero, steps, p->block_steps);
}

Block *tiles_fresh(TileProduct *p, Block *block, Block **carried)
{
    *carried = NULL;
    return p->partial
               ? contract_emit_if(p->ir, block, scalar2(p->ir, OP_eq, p->first_step, index_const(p->ir, 0)), carried)
               : block;
}

Block *tiles_last(TileProduct *p, Block *block, Block **rest)
{
    Block *last = block;
    *rest = NULL;
    if (p->partial)
        *rest =
            contract_emit_if(p->ir, block, scalar2(p->ir, OP_lt, p->last_step, index_const(p->ir, p->steps)), &last);
    return last;
}

Corner tiles_corner(const TileProduct *p, Node *first, Node *column)
{
    return (Corner){
        .row = index_add(p->ir, p->row, first), .column = column, .from = index_const(p->ir, 0), .to = p->c.depth};
}

ResultRows tiles_result_rows(TileProduct *p, Node *step, int rows)
{
    Ir *const ir = p->ir;
    const int64_t count = ceil_divide(rows, p->block_steps);
    Node *const one = index_const(ir, 1), *const steps = index_const(ir, p->steps);
    Node *const first = index_mul(ir, index_sub(ir, step, p->first_step), index_const(ir, count));
    Node *const last = index_max(ir, index_sub(ir, index_add(ir, p->last_step, one), steps), index_const(ir, 0));
    return (ResultRows){first, last, (int)count};
}

Node *tiles_result_row(TileProduct *p, const ResultRows *rows, int number)
{
    return index_mul(p->ir, index_add(p->ir, rows->first, index_const(p->ir, number)), rows->last_block);
}

void tiles_results(TileProduct *p, Block *block, const Corner *corner, Node *rows, int at_once, int panels,
                   Node *const *masks)
{
    Ir *const ir = p->ir;
    Node *const row = axis_make(ir, "row", rows), *const odd = axis_make(ir, "odd", NULL);
    Node *const height = index_const(ir, at_once), *const even =
                                                       index_mul(ir, index_floordiv(ir, rows, height), height);
    contract_emit_results_of_rows(&p->c, body_for(ir, block, row, index_const(ir, 0), even, at_once), corner, row,
                                  at_once, panels, masks);
    if (!index_is(index_sub(ir, rows, even), 0))
        contract_emit_results_of_rows(&p->c, body_for(ir, block, odd, even, rows, 1), corner, odd, 1, panels, masks);
}
