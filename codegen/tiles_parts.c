/* Splitting f32 into three bf16, for tile registers: see tiles.h. */
#include "codegen/tiles_parts.h"

#include "ir/kernel.h"
#include "ir/loops.h"

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

/* Stores the parts of two vectors at `offset`: the first one's in the low halves of words. */
static void emit_split(Ir *ir, Block *block, Node *low, Node *high, Node *parts, Node *offset)
{
    Node *values[] = {low, high};
    for (int part = 0; part < PARTS; part++) {
        Node *halves[2];
        for (int i = 0; i < 2; i++) {
            halves[i] = part < PARTS - 1 ? upper(ir, values[i])
                                         : bitcast_make(ir, values[i], DTYPE_U32); /* the rest has no more bits */
            values[i] = scalar2(ir, OP_sub, values[i], bitcast_make(ir, halves[i], DTYPE_F32));
        }
        Node *const words =
            scalar2(ir, OP_or, scalar2(ir, OP_shr, halves[0], word(ir, 16)),
                    part < PARTS - 1 ? halves[1] : scalar2(ir, OP_and, halves[1], word(ir, 0xffff0000)));
        Node *const inputs[] = {parts, index_add(ir, offset, index_const(ir, part * PAIR * STRIP)), words};
        block_append(ir, block,
                     node_make(ir, &(Node){.op = OP_store, .inputs = (Node **)(uintptr_t)inputs, .input_count = 3}));
    }
}

static Node *vector_at(Tiled *t, Block *block, Node *buffer, Node *offset, Node *mask)
{
    const bool written = kernel_writes(t->c.kernel, buffer);
    return cast_make(t->ir, contract_emit_load(t->ir, block, buffer, offset, PANEL, mask, written), DTYPE_F32);
}

Step tiles_step(Tiled *t, Node *step)
{
    Ir *const ir = t->ir;
    Node *const steps = index_const(ir, t->tap_steps);
    return (Step){index_floordiv(ir, step, steps), index_mul(ir, index_mod(ir, step, steps), index_const(ir, DEPTH))};
}

Node *tiles_flat(Tiled *t, Step step, int64_t beyond)
{
    Ir *const ir = t->ir;
    return index_add(ir, index_mul(ir, step.tap, index_const(ir, t->channels)),
                     index_add(ir, step.channel, index_const(ir, beyond)));
}

/* Sixteen steps of a row of A; those beyond the last channel are zeros. */
static Node *a_vector(Tiled *t, Block *block, Node *row, Step step, int beyond)
{
    Ir *const ir = t->ir;
    Contract *const c = &t->c;
    Node *mask = NULL, *const first = index_add(ir, step.channel, index_const(ir, beyond));
    if (t->channels % DEPTH) {
        Node *const iota = node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, PANEL)});
        mask = scalar2(ir, OP_lt, index_add(ir, iota, first), splat_make(ir, index_const(ir, t->channels), PANEL));
    }
    if (c->read_a == READ_STRIDED) {
        Node *const offset =
            index_add(ir, index_add(ir, c->a_rest, index_mul(ir, row, c->a_pitch)), tiles_flat(t, step, beyond));
        return vector_at(t, block, c->a_buffer, offset, mask);
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

Node *tiles_parts_at(Tiled *t, Node *pair, Node *step)
{
    Ir *const ir = t->ir;
    Node *const within = index_sub(ir, step, t->first_step);
    return index_mul(ir, index_add(ir, index_mul(ir, pair, index_const(ir, t->block_steps)), within),
                     index_const(ir, STEP_WORDS));
}

void tiles_split_rows(Tiled *t, Block *block)
{
    Ir *const ir = t->ir;
    Node *const row = axis_make(ir, "row", NULL), *const step = axis_make(ir, "step", NULL);
    Node *const strip = index_const(ir, TILE_ROWS), *const height = index_const(ir, HEIGHT);
    Node *const rows = index_mul(ir, index_ceildiv(ir, t->rows, strip), strip);
    Block *const outer = body_for(ir, block, row, index_const(ir, 0), rows, 1);
    Block *const body = body_for(ir, outer, step, t->first_step, t->last_step, 1);
    Node *const last = index_sub(ir, t->c.roles.rows, index_const(ir, 1));
    Node *const from = index_min(ir, index_add(ir, t->row, row), last);
    const Step at = tiles_step(t, step);
    Node *const offset = index_add(ir, tiles_parts_at(t, index_floordiv(ir, row, height), step),
                                   index_mul(ir, index_mod(ir, row, height), index_const(ir, TILE_WORDS)));
    emit_split(ir, body, a_vector(t, body, from, at, 0), a_vector(t, body, from, at, TILE_WORDS), t->a_parts, offset);
}

/* Row `beyond` of a step of B's panel; rows beyond the last repeat it, for A has zeros there. */
static Node *b_vector(Tiled *t, Block *block, Node *column, Step step, int beyond, Node *mask)
{
    Ir *const ir = t->ir;
    Contract *const c = &t->c;
    Node *k = tiles_flat(t, step, beyond);
    if (t->channels % DEPTH)
        k = index_min(ir, k, index_sub(ir, c->depth, index_const(ir, 1)));
    if (c->read_b == READ_STRIDED)
        return vector_at(t, block, c->b_buffer,
                         index_add(ir, c->b_rest, index_add(ir, column, index_mul(ir, k, c->b_step))), mask);
    Node *const panel = index_floordiv(ir, column, index_const(ir, PANEL));
    return vector_at(t, block, c->b_buffer, contract_panel_offset(c, panel, k), NULL);
}

void tiles_split_vector(Tiled *t, Block *block, Node *column, Node *turn, Node *step, Node *number, Node *mask)
{
    Ir *const ir = t->ir;
    Node *const strip = index_const(ir, TILE_ROWS);
    Node *const panel = index_mul(ir, index_floordiv(ir, number, strip), index_const(ir, PANEL));
    Step at = tiles_step(t, step);
    at.channel = index_add(ir, at.channel, index_mod(ir, number, strip));
    Node *const first = index_add(ir, column, panel);
    Node *const offset =
        index_add(ir, tiles_parts_at(t, turn, step), index_mul(ir, number, index_const(ir, TILE_WORDS)));
    emit_split(ir, block, b_vector(t, block, first, at, 0, mask), b_vector(t, block, first, at, TILE_ROWS, mask),
               t->b_parts, offset);
}

void tiles_split_columns(Tiled *t, Block *block, Node *column, Node *turn, Node *first, int panels, Node *const *masks)
{
    Ir *const ir = t->ir;
    for (int p = 0; p < panels; p++) {
        Node *const step = axis_make(ir, "step", NULL), *const number = axis_make(ir, "number", NULL);
        Block *const body = body_for(ir, block, step, t->first_step, t->last_step, 1);
        Node *const begin = index_max(ir, first, index_const(ir, p * TILE_ROWS));
        Block *const inner = body_for(ir, body, number, begin, index_const(ir, (p + 1) * TILE_ROWS), 1);
        tiles_split_vector(t, inner, column, turn, step, number, masks[p]);
    }
}
