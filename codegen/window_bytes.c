/* Windows over bytes: see window_bytes.h. */
#include "codegen/window_bytes.h"

#include "ir/kernel.h"

enum { PRODUCT_MOST = 255 * 255, EXACT_MOST = 1 << 24 };

static bool is_byte(const Node *node)
{
    return node->op == OP_cast && node->type.dtype == DTYPE_I32 &&
           (node->inputs[0]->type.dtype == DTYPE_U8 || node->inputs[0]->type.dtype == DTYPE_I8);
}

/* A byte, or a constant that is one. */
static Node *byte_in_floats(Ir *ir, Node *node)
{
    int64_t value;
    if (is_byte(node))
        return cast_make(ir, node->inputs[0], DTYPE_F32);
    return const_is_int(node, &value) && value >= -128 && value <= 255 ? const_float(ir, DTYPE_F32, (double)value)
                                                                       : NULL;
}

/* (guard inside (sub byte zero) 0), of which guard and zero may be missing. */
static Node *operand_in_floats(Ir *ir, Node *node)
{
    int64_t otherwise;
    if (node->op == OP_guard) {
        Node *const value = operand_in_floats(ir, node->inputs[1]);
        return value && const_is_int(node->inputs[2], &otherwise) && otherwise == 0
                   ? guard_make(ir, node->inputs[0], value, const_float(ir, DTYPE_F32, 0))
                   : NULL;
    }
    if (node->op != OP_sub)
        return is_byte(node) ? byte_in_floats(ir, node) : NULL;
    Node *const value = byte_in_floats(ir, node->inputs[0]), *const zero = byte_in_floats(ir, node->inputs[1]);
    /* Both of one type, or their difference may be larger than a byte. */
    const bool same = node->inputs[1]->op == OP_const ||
                      (is_byte(node->inputs[0]) && is_byte(node->inputs[1]) &&
                       node->inputs[0]->inputs[0]->type.dtype == node->inputs[1]->inputs[0]->type.dtype);
    return value && zero && same ? scalar2(ir, OP_sub, value, zero) : NULL;
}

Node *window_in_floats(Ir *ir, Node *stage)
{
    Node *contract = value_contraction(ir, stage_value(stage), DTYPE_I32);
    int64_t points;
    if (!contract || !const_is_int(axes_points(ir, contract->axes, contract->axis_count), &points) || points < 1 ||
        points * PRODUCT_MOST >= EXACT_MOST)
        return stage;
    Node *const a = operand_in_floats(ir, contract->inputs[0]), *const b = operand_in_floats(ir, contract->inputs[1]);
    if (!a || !b)
        return stage;
    Node *const sum = contract_make(ir, DTYPE_F32, contract->axes, contract->axis_count, a, b);
    Node *const whole = cast_make(ir, sum, DTYPE_I32);
    Node *const value = node_substitute(ir, stage_value(stage), &contract, (Node *const *)&whole, 1);
    return stage_remake(ir, stage, stage_buffer(stage), stage_indices(stage), value);
}
