/* Copies of operands for the dots template: rows of A as unsigned bytes with every k there, those that do not count
 * holding A's zero; columns of B in panels of fours. See dots.c. */
#include "codegen/contract_emit.h"
#include "codegen/dots_plan.h"

#include "ir/kernel.h"
#include "ir/loops.h"

enum { COPY_LANES = 64 };

/* The reduced axes once more, for loops of the copy. */
typedef struct Copies {
    Node *axes[RANK_MAX];
    int count;
    Node *four; /* the one of fours */
} Copies;

static Copies copy_axes(const Dots *d)
{
    const Node *const contract = d->c.roles.contract;
    Copies copies = {.count = contract->axis_count};
    for (int i = 0; i < contract->axis_count; i++) {
        copies.axes[i] = axis_make(d->c.ir, contract->axes[i]->payload.name, contract->axes[i]->inputs[0]);
        if (contract->axes[i] == d->c.roles.fours)
            copies.four = copies.axes[i];
    }
    return copies;
}

static Node *with_copies(const Dots *d, Node *node, const Copies *copies)
{
    return node_substitute(d->c.ir, node, d->c.roles.contract->axes, copies->axes, copies->count);
}

/* Steps of k before the first of fours of these taps. */
static Node *first_step(const Dots *d, const Copies *copies)
{
    Ir *const ir = d->c.ir;
    Node *step = index_const(ir, 0);
    for (int i = 0; i < copies->count; i++)
        if (copies->axes[i] != copies->four)
            step = index_add(ir, index_mul(ir, step, copies->axes[i]->inputs[0]), copies->axes[i]);
    return index_mul(ir, step, index_const(ir, (d->four + DOT_TERMS - 1) / DOT_TERMS * DOT_TERMS));
}

/* Loops over the row and all reduced axes but the fours, and these axes in this order. */
static Block *tap_loops(const Dots *d, Block *block, const Copies *copies, Node **axes, int *count)
{
    Ir *const ir = d->c.ir;
    for (int i = 0; i < copies->count; i++) {
        if (copies->axes[i] == copies->four)
            continue;
        block = body_for(ir, block, copies->axes[i], index_const(ir, 0), copies->axes[i]->inputs[0], 1);
        axes[(*count)++] = copies->axes[i];
    }
    return block;
}

/* rows[row, first + axis] = value for all of axis, in loops over axes[0..count-1]. */
static void emit_line(const Dots *d, Block *block, Node **axes, int count, Node *axis, Node *first, Node *value,
                      int lanes)
{
    Ir *const ir = d->c.ir;
    axes[count] = axis;
    Node *const indices[] = {axes[0], index_add(ir, first, axis)};
    Node *const stage = stage_make(ir, axes, count + 1, d->rows, indices, value);
    const LoopsSchedule schedule = {.lanes = lanes};
    loops_emit_within(ir, d->c.kernel, block, stage, &schedule, count);
}

/* Lanes that A is copied in: whole registers where its bytes lie side by side. */
static int copy_lanes(const Dots *d)
{
    Node *const at = d->c.roles.a;
    if (at->op != OP_at)
        return PANEL;
    Node *const factor =
        index_coefficient(d->c.ir, layout_offset(d->c.ir, at->inputs[0], at->inputs + 1), d->c.roles.fours, NULL);
    return factor && index_is(factor, 1) ? COPY_LANES : 1;
}

static Node *unsigned_bytes(Ir *ir, Node *value)
{
    if (value->type.dtype == DTYPE_U8)
        return value;
    return scalar2(ir, OP_xor, cast_make(ir, value, DTYPE_U8), const_int(ir, DTYPE_U8, 128));
}

/* Sums of the copied rows. */
static void emit_row_sums(const Dots *d, Block *block, Node *rows)
{
    Ir *const ir = d->c.ir;
    Node *const row = axis_make(ir, "row", rows), *const k = axis_make(ir, "k", d->c.depth);
    Node *const from[] = {d->rows, row, k};
    Node *const byte = node_make(
        ir, &(Node){.op = OP_at, .type = type_scalar(DTYPE_U8), .inputs = (Node **)(uintptr_t)from, .input_count = 3});
    Node *const sum = fold_make(ir, FOLD_SUM, PANEL, &k, 1, cast_make(ir, byte, DTYPE_I32));
    Node *const indices[] = {row, index_const(ir, 0)};
    Node *const stage = stage_make(ir, &row, 1, d->row_sums, indices, sum);
    const LoopsSchedule schedule = {.lanes = PANEL};
    loops_emit(ir, d->c.kernel, block, stage, &schedule);
}

void dots_pack_rows(Dots *d, Block *block, Node *first_tile, Node *last_tile)
{
    Contract *const c = &d->c;
    Ir *const ir = c->ir;
    Node *const height = index_const(ir, c->tile.rows), *const first = index_mul(ir, first_tile, height);
    Node *const rows = index_sub(ir, index_min(ir, index_mul(ir, last_tile, height), c->roles.rows), first);
    Node *const row = axis_make(ir, "row", rows), *const at = index_add(ir, first, row);
    const Copies copies = copy_axes(d);
    Node *const value = unsigned_bytes(ir, with_copies(d, contract_flat_rows(c, c->roles.a, at), &copies));
    Node *const zero = cast_make(ir, contract_flat_rows(c, dots_a_zero(d), at), DTYPE_U8);
    Node *const inside = d->bytes.inside ? with_copies(d, contract_flat_rows(c, d->bytes.inside, at), &copies) : NULL;
    Node *axes[RANK_MAX + 1] = {row};
    int count = 1;
    Block *body = body_for(ir, block, row, index_const(ir, 0), rows, 1);
    body = tap_loops(d, body, &copies, axes, &count);
    Node *const step = first_step(d, &copies), *const whole = copies.four->inputs[0];
    const int64_t filled = (d->four + DOT_TERMS - 1) / DOT_TERMS * DOT_TERMS;
    const bool within = inside && node_depends(ir, inside, copies.four);
    if (inside && !within) {
        Block *outside;
        body = contract_emit_if(ir, body, inside, &outside);
        emit_line(d, outside, axes, count, axis_make(ir, "k", index_const(ir, filled)), step, zero, COPY_LANES);
    }
    emit_line(d, body, axes, count, copies.four, step, within ? guard_make(ir, inside, value, zero) : value,
              copy_lanes(d));
    if (filled > d->four)
        emit_line(d, body, axes, count, axis_make(ir, "fill", index_const(ir, filled - d->four)),
                  index_add(ir, step, whole), zero, 1);
    if (d->row_sums)
        emit_row_sums(d, block, rows);
}

void dots_pack_columns(Dots *d, Block *block, Node *first_group, Node *last_group)
{
    Contract *const c = &d->c;
    Ir *const ir = c->ir;
    Node *const width = index_const(ir, c->tile.vectors), *const terms = index_const(ir, DOT_TERMS);
    Node *const panel = axis_make(ir, "panel", index_mul(ir, index_sub(ir, last_group, first_group), width));
    Copies copies = copy_axes(d);
    Node *const fours = axis_make(ir, "fours", index_ceildiv(ir, c->roles.fours->inputs[0], terms));
    Node *const lane = axis_make(ir, "lane", index_const(ir, PANEL)), *const term = axis_make(ir, "term", terms);
    Node *const column = index_add(
        ir, index_mul(ir, index_add(ir, panel, index_mul(ir, first_group, width)), index_const(ir, PANEL)), lane);
    Node *const four = index_add(ir, index_mul(ir, fours, terms), term);
    Node *const step = index_add(ir, first_step(d, &copies), index_mul(ir, fours, terms));
    Node *value = node_substitute(ir, c->roles.b, &c->roles.n, (Node *const *)&column, 1);
    value = with_copies(d, value, &copies);
    value = node_substitute(ir, value, (Node *const *)&copies.four, (Node *const *)&four, 1);
    Node *const there = scalar2(ir, OP_and, scalar2(ir, OP_lt, column, c->roles.columns),
                                scalar2(ir, OP_lt, four, c->roles.fours->inputs[0]));
    value = guard_make(ir, there, value, const_int(ir, value->type.dtype, 0));
    Node *axes[RANK_MAX + 4] = {panel};
    int count = 1;
    for (int i = 0; i < copies.count; i++)
        if (copies.axes[i] != copies.four)
            axes[count++] = copies.axes[i];
    axes[count++] = fours;
    axes[count++] = lane;
    axes[count++] = term;
    Node *const place =
        index_add(ir, index_mul(ir, step, index_const(ir, PANEL)), index_add(ir, index_mul(ir, lane, terms), term));
    Node *const indices[] = {panel, place};
    Node *const stage = stage_make(ir, axes, count, d->columns, indices, value);
    const LoopsSchedule schedule = {.lanes = 1};
    loops_emit(ir, c->kernel, block, stage, &schedule);
}
