/* Axes that lie one behind the other in memory, joined for the `loops` template: see join.h. */
#include "ir/join.h"

#include "ir/kernel.h"
#include "ir/walk.h"

enum { JOINED_ENOUGH = 256, UNITS_LEAST = 8 };

/* Does the offset move with `outer` as a digit above `inner`: by inner's extent times what inner moves it? Then it
 * moves with both by one number. */
static bool moves_with_both(Ir *ir, Node *offset, Node *outer, Node *inner)
{
    if (!node_depends(ir, offset, outer) && !node_depends(ir, offset, inner))
        return true;
    Node *rest, *last;
    Node *const high = index_coefficient(ir, offset, outer, &rest);
    Node *const low = high ? index_coefficient(ir, rest, inner, &last) : NULL;
    return low && high == index_mul(ir, low, inner->inputs[0]) && !node_depends(ir, last, outer) &&
           !node_depends(ir, last, inner);
}

/* Is every use of the two axes in `value` the place of an element that moves with both? */
static bool value_joins(Ir *ir, Node *value, Node *outer, Node *inner)
{
    Arena *const scratch = arena_scratch(ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    NodeList stack = {.arena = scratch};
    NodeMap seen;
    bool joins = true;
    map_open(&seen, scratch);
    list_push(&stack, value);
    while (stack.count && joins) {
        Node *const node = stack.nodes[--stack.count];
        if (map_has(&seen, node))
            continue;
        map_set(&seen, node, node);
        joins = node != outer && node != inner &&
                (node->op != OP_at ||
                 moves_with_both(ir, layout_offset(ir, node->inputs[0], node->inputs + 1), outer, inner));
        for (uint32_t i = 0; i < node->input_count && node->op != OP_at; i++)
            list_push(&stack, node->inputs[i]);
        for (int i = 0; i < node->axis_count; i++)
            list_push(&stack, node->axes[i]->inputs[0]);
    }
    arena_reset(scratch, mark);
    return joins;
}

/* Are there units enough when these two are one axis along which lanes run? */
static bool units_stay(const Node *stage, int outer, int inner, int lanes)
{
    int64_t units = 1, high, low;
    const bool known =
        const_is_int(stage->axes[outer]->inputs[0], &high) && const_is_int(stage->axes[inner]->inputs[0], &low);
    if (known && high * low % lanes == 0 && high * low >= 2 * lanes)
        return true; /* stretches of it are units */
    for (int i = 0; i < stage->axis_count - stage_ordered(stage); i++)
        if (i != outer && i != inner)
            units *= const_is_int(stage->axes[i]->inputs[0], &high) ? high : UNITS_LEAST;
    return units >= UNITS_LEAST;
}

static Node *joined(Ir *ir, const Node *stage, int outer, int inner)
{
    Node *const old[] = {stage->axes[outer], stage->axes[inner]}, *const width = old[1]->inputs[0];
    Node *const axis = axis_make(ir, old[1]->payload.name, index_mul(ir, old[0]->inputs[0], width));
    Node *const digits[] = {index_floordiv(ir, axis, width), index_mod(ir, axis, width)};
    Node *axes[RANK_MAX], *indices[RANK_MAX];
    int count = 0;
    for (int i = 0; i < stage->axis_count; i++)
        if (i != outer)
            axes[count++] = i == inner ? axis : stage->axes[i];
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = node_substitute(ir, stage_indices(stage)[i], old, digits, 2);
    return stage_make_ordered(ir, axes, count, stage_ordered(stage), stage_buffer(stage), indices,
                              node_substitute(ir, stage_value(stage), old, digits, 2));
}

Node *stage_join_axes(Ir *ir, Node *stage, int *lane, int lanes)
{
    const int apart = stage->axis_count - stage_ordered(stage);
    int64_t extent;
    if (!const_is_int(stage->axes[*lane]->inputs[0], &extent) || extent >= JOINED_ENOUGH)
        return stage;
    Node *const inner = stage->axes[*lane];
    for (int i = apart - 1; i >= 0; i--) {
        if (i == *lane || index_is(stage->axes[i]->inputs[0], 1) || !units_stay(stage, i, *lane, lanes) ||
            !moves_with_both(ir, layout_offset(ir, stage_buffer(stage), stage_indices(stage)), stage->axes[i], inner) ||
            !value_joins(ir, stage_value(stage), stage->axes[i], inner))
            continue;
        Node *const whole = joined(ir, stage, i, *lane);
        *lane -= i < *lane;
        return stage_join_axes(ir, whole, lane, lanes);
    }
    return stage;
}
