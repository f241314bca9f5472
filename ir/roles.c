/* See roles.h. */
#include "ir/roles.h"

#include "ir/kernel.h"

static Node *stripped(Node *value)
{
    return value->op == OP_cast ? value->inputs[0] : value;
}

static bool reads_weight(Node *value)
{
    value = stripped(value);
    return value->op == OP_at && value->inputs[0]->payload.buffer->place == PLACE_WEIGHT;
}

/* Does the index move with the columns or with a reduced axis? */
static bool is_product_index(Ir *ir, const ContractRoles *roles, Node *index)
{
    return node_depends(ir, index, roles->n) ||
           node_depends_on_any(ir, index, roles->contract->axes, roles->contract->axis_count);
}

/* Every index of the weight is n, a reduced axis, or has nothing to do with them: then its elements can be stored panel
 * by panel. */
static Node *panel_weight(Ir *ir, ContractRoles *roles)
{
    if (!reads_weight(roles->b))
        return NULL;
    const Node *const at = stripped(roles->b);
    bool has_n = false, others = false;
    int64_t extent;
    for (uint32_t i = 1; i < at->input_count; i++) {
        Node *const index = at->inputs[i], *const dim = at->inputs[0]->type.dims[i - 1];
        if (index == roles->n)
            has_n = true;
        else if (!axes_have(roles->contract->axes, roles->contract->axis_count, index)) {
            if (is_product_index(ir, roles, index))
                return NULL;
            others = others || !index_is(dim, 1);
        }
        if (!const_is_int(dim, &extent) || (index->op == OP_axis && index->inputs[0] != dim))
            return NULL;
        for (uint32_t j = 1; j < i; j++)
            if (index->op == OP_axis && at->inputs[j] == index)
                return NULL;
    }
    for (int i = 0; i < roles->contract->axis_count; i++)
        if (!axes_have(at->inputs + 1, (int)at->input_count - 1, roles->contract->axes[i]) &&
            !index_is(roles->contract->axes[i]->inputs[0], 1))
            return NULL;
    roles->weight_has_others = others;
    return has_n ? at->inputs[0] : NULL;
}

/* Do loops around bind axis i, or does the step run in order along it? It is then a number like any other to the
 * product. */
static bool is_bound(const ContractRoles *roles, int i)
{
    const int last = stage_is_step(roles->stage) ? stage_step_axes(roles->stage) : 0;
    return i < roles->bound || (i < last && i >= last - stage_ordered(roles->stage));
}

/* Sorts the output axes; n is the last (or, for weights, the only plain) axis that b alone depends on. */
static bool assign(Ir *ir, ContractRoles *roles)
{
    const Node *const stage = roles->stage;
    roles->n = NULL;
    roles->m_count = roles->batch_count = 0;
    for (int i = 0; i < stage->axis_count; i++)
        if (!is_bound(roles, i) && node_depends(ir, roles->b, stage->axes[i]) &&
            !node_depends(ir, roles->a, stage->axes[i]) && !index_is(stage->axes[i]->inputs[0], 1))
            roles->n = stage->axes[i];
    if (!roles->n)
        return false;
    for (int i = 0; i < stage->axis_count; i++) {
        Node *const axis = stage->axes[i];
        if (axis == roles->n || is_bound(roles, i))
            continue;
        if (node_depends(ir, roles->b, axis))
            roles->batch[roles->batch_count++] = axis;
        else
            roles->m[roles->m_count++] = axis;
    }
    roles->weight = panel_weight(ir, roles);
    roles->rows = axes_points(ir, roles->m, roles->m_count);
    roles->columns = roles->n->inputs[0];
    roles->depth = axes_points(ir, roles->contract->axes, roles->contract->axis_count);
    return true;
}

bool contract_match(Ir *ir, const Node *kernel, ContractRoles *roles)
{
    *roles = (ContractRoles){0};
    return kernel_stages(kernel)->count == 1 && !kernel_has_steps(kernel) &&
           contract_match_stage(ir, kernel_stages(kernel)->nodes[0], 0, roles);
}

/* Does how far the contraction goes depend on where it is? */
static bool is_ragged(Ir *ir, const ContractRoles *roles)
{
    for (int i = 0; i < roles->contract->axis_count; i++)
        if (node_depends_on_any(ir, roles->contract->axes[i], roles->stage->axes, roles->stage->axis_count))
            return true;
    return false;
}

bool contract_match_stage(Ir *ir, Node *stage, int bound, ContractRoles *roles)
{
    *roles = (ContractRoles){.stage = stage, .bound = bound};
    roles->contract = value_contraction(ir, stage_value(stage), DTYPE_F32);
    if (!roles->contract || is_ragged(ir, roles))
        return false;
    Node *const first = roles->contract->inputs[0], *const second = roles->contract->inputs[1];
    const bool swap = reads_weight(first) && !reads_weight(second);
    roles->a = swap ? second : first;
    roles->b = swap ? first : second;
    return assign(ir, roles);
}

/* ---- products of bytes ---- */

typedef struct Bytes {
    Node *value, *zero, *inside;
} Bytes;

static bool is_byte(const Node *node)
{
    return node->type.dtype == DTYPE_U8 || node->type.dtype == DTYPE_I8;
}

/* (guard inside (sub (cast i32 value) zero) 0), of which guard and zero may be missing. */
static bool take_bytes(Node *operand, Bytes *bytes)
{
    *bytes = (Bytes){0};
    if (operand->op == OP_guard) {
        if (operand->inputs[2]->op != OP_const || operand->inputs[2]->payload.bits != 0)
            return false;
        bytes->inside = operand->inputs[0];
        operand = operand->inputs[1];
    }
    if (operand->op == OP_sub) {
        bytes->zero = operand->inputs[1];
        operand = operand->inputs[0];
    }
    if (operand->op != OP_cast || operand->type.dtype != DTYPE_I32 || !is_byte(operand->inputs[0]))
        return false;
    bytes->value = operand->inputs[0];
    return true;
}

bool contract_match_bytes(Ir *ir, const Node *kernel, ByteRoles *bytes)
{
    ContractRoles *const roles = &bytes->roles;
    Bytes first, second;
    *bytes = (ByteRoles){0};
    if (kernel_stages(kernel)->count != 1 || kernel_has_order(kernel))
        return false;
    roles->stage = kernel_stages(kernel)->nodes[0];
    roles->contract = value_contraction(ir, stage_value(roles->stage), DTYPE_I32);
    if (!roles->contract || is_ragged(ir, roles) || !take_bytes(roles->contract->inputs[0], &first) ||
        !take_bytes(roles->contract->inputs[1], &second))
        return false;
    const bool swap = reads_weight(first.value) && !reads_weight(second.value);
    const Bytes *const a = swap ? &second : &first, *const b = swap ? &first : &second;
    roles->a = a->value;
    roles->b = b->value;
    bytes->inside = a->inside;
    bytes->a_zero = a->zero;
    bytes->b_zero = b->zero;
    Node *const *const reduced = roles->contract->axes;
    const int count = roles->contract->axis_count;
    if (b->inside || !assign(ir, roles) || node_depends_on_any(ir, bytes->a_zero, reduced, count) ||
        node_depends_on_any(ir, bytes->b_zero, reduced, count) ||
        node_depends_on_any(ir, bytes->a_zero, &roles->n, 1) || node_depends_on_any(ir, bytes->inside, &roles->n, 1) ||
        node_depends_on_any(ir, bytes->b_zero, roles->m, roles->m_count))
        return false;
    for (int i = 0; i < count; i++)
        if (!roles->fours || !index_is(reduced[i]->inputs[0], 1))
            roles->fours = reduced[i];
    return true;
}

/* The dim of the weight that columns run along. */
static int column_dim(const ContractRoles *roles)
{
    const Node *const at = stripped(roles->b);
    for (uint32_t i = 1; i < at->input_count; i++)
        if (at->inputs[i] == roles->n)
            return (int)i - 1;
    return 0;
}

/* Dims of 1 and those along axes that are neither columns nor reduced. */
static void add_others(const ContractRoles *roles, Layout *layout)
{
    const Node *const at = stripped(roles->b);
    for (uint32_t i = 1; i < at->input_count; i++)
        if (at->inputs[i] != roles->n && !axes_have(roles->contract->axes, roles->contract->axis_count, at->inputs[i]))
            layout->entries[layout->count++] = (LayoutEntry){(uint8_t)(i - 1), PART_WHOLE, 0};
}

/* The reduced axes in order. */
static void add_rows(const ContractRoles *roles, Layout *layout)
{
    const Node *const at = stripped(roles->b);
    for (int k = 0; k < roles->contract->axis_count; k++)
        for (uint32_t i = 1; i < at->input_count; i++)
            if (at->inputs[i] == roles->contract->axes[k])
                layout->entries[layout->count++] = (LayoutEntry){(uint8_t)(i - 1), PART_WHOLE, 0};
}

/* The dim of the weight that `fours` walks. */
static int fours_dim(const ContractRoles *roles)
{
    const Node *const at = stripped(roles->b);
    for (uint32_t i = 1; i < at->input_count && roles->fours; i++)
        if (at->inputs[i] == roles->fours)
            return (int)i - 1;
    return -1;
}

Layout panel_layout(const ContractRoles *roles)
{
    const uint8_t column = (uint8_t)column_dim(roles);
    const int fours = fours_dim(roles);
    Layout layout = {0};
    add_others(roles, &layout);
    layout.entries[layout.count++] = (LayoutEntry){column, PART_OUTER, PANEL};
    add_rows(roles, &layout);
    for (int i = 0; i < layout.count; i++)
        if (layout.entries[i].axis == fours && layout.entries[i].part == PART_WHOLE)
            layout.entries[i] = (LayoutEntry){(uint8_t)fours, PART_OUTER, DOT_TERMS};
    layout.entries[layout.count++] = (LayoutEntry){column, PART_INNER, PANEL};
    if (fours >= 0)
        layout.entries[layout.count++] = (LayoutEntry){(uint8_t)fours, PART_INNER, DOT_TERMS};
    return layout;
}

Layout columns_layout(const ContractRoles *roles)
{
    Layout layout = {0};
    add_others(roles, &layout);
    add_rows(roles, &layout);
    layout.entries[layout.count++] = (LayoutEntry){(uint8_t)column_dim(roles), PART_WHOLE, 0};
    return layout;
}
