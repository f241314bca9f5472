/* See panels.h. A gather of 16 floats costs more than a load, four shuffles and a store, which is what a square costs
 * per vector. */
#include "codegen/panels.h"

#include "codegen/program.h"
#include "ir/kernel.h"
#include "ir/loops.h"
#include "ir/roles.h"

enum { QUARTER = PANEL / 4 };

/* Is the operand read along k, vector by vector, and not along columns? */
static bool reads_along(Ir *ir, Node *operand, Node *column, Node *k)
{
    int count, along = 0;
    Node **const nodes = nodes_topological(ir, &operand, 1, &count), *rest;
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op == OP_fold || nodes[i]->op == OP_contract || nodes[i]->op == OP_guard)
            return false;
        if (nodes[i]->op != OP_at || !node_depends(ir, nodes[i], k))
            continue;
        Node *const offset = read_offset(ir, nodes[i]);
        Node *const step = index_coefficient(ir, offset, k, &rest);
        if (!step || !index_is(step, 1) || node_depends(ir, rest, k))
            return false;
        along += node_depends(ir, nodes[i], column);
    }
    return along > 0;
}

static Node *lane_of(Ir *ir, Node *vector, int lane)
{
    return node_make(ir, &(Node){.op = OP_extract,
                                 .type = type_scalar(vector->type.dtype),
                                 .inputs = &vector,
                                 .input_count = 1,
                                 .payload.integer = lane});
}

/* Lanes of a (0 to 15) and b (16 to 31). */
static Node *shuffle(Ir *ir, Node *a, Node *b, const int *lanes)
{
    Node *parts[PANEL];
    for (int i = 0; i < PANEL; i++)
        parts[i] = lane_of(ir, lanes[i] < PANEL ? a : b, lanes[i] % PANEL);
    return node_make(ir, &(Node){.op = OP_join, .type = a->type, .inputs = parts, .input_count = PANEL});
}

/* In each quarter of the vectors, pieces of `width` lanes from a and b in turn, from piece `first` on. */
static Node *interleave(Ir *ir, Node *a, Node *b, int width, int first)
{
    int lanes[PANEL];
    for (int i = 0; i < PANEL; i++) {
        const int piece = i % QUARTER / width;
        lanes[i] = piece % 2 * PANEL + i / QUARTER * QUARTER + (piece / 2 + first) * width + i % width;
    }
    return shuffle(ir, a, b, lanes);
}

/* Quarters first and first + 2 of a, then of b. */
static Node *quarters(Ir *ir, Node *a, Node *b, int first)
{
    int lanes[PANEL];
    for (int i = 0; i < PANEL; i++)
        lanes[i] = i / 8 * PANEL + (i / QUARTER % 2 * 2 + first) * QUARTER + i % QUARTER;
    return shuffle(ir, a, b, lanes);
}

/* Rows become columns, by shuffles of two vectors that are one instruction each: within quarters, then of quarters. */
static void transpose(Ir *ir, Node **rows)
{
    Node *pairs[PANEL], *fours[PANEL];
    for (int i = 0; i < PANEL; i++)
        pairs[i] = interleave(ir, rows[i / 2 * 2], rows[i / 2 * 2 + 1], 1, i % 2 * 2);
    for (int i = 0; i < PANEL; i++) { /* quarter q of fours[4 g + c]: column 4 q + c of rows 4 g to 4 g + 3 */
        const int first = i / 4 * 4 + i % 4 / 2;
        fours[i] = interleave(ir, pairs[first], pairs[first + 2], 2, i % 2);
    }
    for (int c = 0; c < QUARTER; c++)
        for (int half = 0; half < 2; half++) {
            Node *const above = quarters(ir, fours[c], fours[4 + c], half);
            Node *const below = quarters(ir, fours[8 + c], fours[12 + c], half);
            rows[4 * half + c] = quarters(ir, above, below, 0);
            rows[8 + 4 * half + c] = quarters(ir, above, below, 1);
        }
}

/* Columns [16 panel, 16 panel + columns) for k, k + 1, ... k + 15. */
static void emit_square(Ir *ir, const Node *kernel, Block *block, Node *panels, Node *operand, Node *column, Node *k,
                        Node *panel, Node *base, int columns)
{
    Node *rows[PANEL];
    for (int i = 0; i < PANEL; i++) {
        StageEmitter emitter = stage_emitter(ir, kernel, block);
        emitter.lane_axis = k;
        emitter.lane_base = base;
        emitter.lanes = PANEL;
        Node *const number = index_add(ir, index_mul(ir, panel, index_const(ir, PANEL)), index_const(ir, i));
        Node *const value = node_substitute(ir, operand, &column, &number, 1);
        rows[i] = i < columns ? stage_emit(&emitter, cast_make(ir, value, DTYPE_F32))
                              : splat_make(ir, const_float(ir, DTYPE_F32, 0), PANEL);
    }
    transpose(ir, rows);
    for (int i = 0; i < PANEL; i++) {
        Node *const line =
            index_add(ir, index_mul(ir, panel, panels->type.dims[1]), index_add(ir, base, index_const(ir, i)));
        Node *const offset = index_mul(ir, line, index_const(ir, PANEL));
        block_append(
            ir, block,
            node_make(ir, &(Node){.op = OP_store, .inputs = (Node *[]){panels, offset, rows[i]}, .input_count = 3}));
    }
}

bool panels_emit_transposed(Ir *ir, const Node *kernel, Block *block, Node *panels, Node *operand, Node *column,
                            Node *k)
{
    int64_t columns, depth;
    if (!const_is_int(column->inputs[0], &columns) || !const_is_int(k->inputs[0], &depth) || depth % PANEL != 0 ||
        !reads_along(ir, operand, column, k))
        return false;
    Node *const whole = index_const(ir, columns / PANEL), *const zero = index_const(ir, 0);
    Node *const panel = axis_make(ir, "panel", whole), *const base = axis_make(ir, "k", k->inputs[0]);
    if (!index_is(whole, 0)) {
        Block *const body = body_for(ir, block, panel, zero, whole, 1);
        emit_square(ir, kernel, body_for(ir, body, base, zero, k->inputs[0], PANEL), panels, operand, column, k, panel,
                    base, PANEL);
    }
    if (columns % PANEL) {
        Node *const rest = axis_make(ir, "k", k->inputs[0]);
        emit_square(ir, kernel, body_for(ir, block, rest, zero, k->inputs[0], PANEL), panels, operand, column, k, whole,
                    rest, (int)(columns % PANEL));
    }
    return true;
}
