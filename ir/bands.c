/* See bands.h. */
#include "ir/bands.h"

#include "ir/kernel.h"

#include <string.h>

/* ---- depthwise ---- */

static bool is_positive_zero(const Node *node)
{
    return node->op == OP_const && node->type.dtype == DTYPE_F32 && node->payload.bits == 0;
}

/* `position` as that of a window, within `dim`. */
static bool way_of(Ir *ir, DepthwiseRoles *roles, Node *position, Node *dim, int number)
{
    const Node *const stage = roles->stage, *const contract = roles->contract;
    WindowIndex *const way = &roles->way[number];
    return window_index_of(ir, position, stage->axes, stage->axis_count, contract->axes, contract->axis_count, way) &&
           way->out && way->out != roles->channel && const_is_int(way->rest, &roles->offset[number]) &&
           roles->offset[number] <= 0 && const_is_int(dim, &roles->ins[number]) && roles->ins[number] > 0;
}

/* Is every part of the condition that a position is inside? Then what is inside is read, and the rest is zero. */
static bool guards_borders_alone(Ir *ir, Node *condition, Node *const *positions, Node *const *dims)
{
    enum { PARTS_MAX = 16 };
    Node *parts[PARTS_MAX] = {condition}, *const zero = index_const(ir, 0);
    int count = 1;
    while (count) {
        Node *const part = parts[--count];
        bool border = false;
        for (int i = 0; i < 2; i++)
            border = border || part == scalar2(ir, OP_ge, positions[i], zero) ||
                     part == scalar2(ir, OP_lt, positions[i], dims[i]);
        if (border)
            continue;
        if (part->op != OP_and || count + 2 > PARTS_MAX)
            return false;
        parts[count++] = part->inputs[0];
        parts[count++] = part->inputs[1];
    }
    return true;
}

/* What is read around each position: rows, columns and their borders. */
static bool match_positions(Ir *ir, DepthwiseRoles *roles, Node *operand)
{
    Node *condition = NULL;
    operand = node_without_points(ir, operand, roles->contract->axes, roles->contract->axis_count);
    if (operand->op == OP_guard && is_positive_zero(operand->inputs[2])) {
        condition = operand->inputs[0];
        operand = operand->inputs[1];
    }
    if (operand->op != OP_at || operand->type.dtype != DTYPE_F32 || operand->inputs[0]->type.rank < 3)
        return false;
    const int first = operand->inputs[0]->type.rank - 3;
    Node *const *const indices = operand->inputs + 1 + first, *const *const dims =
                                                                  operand->inputs[0]->type.dims + first;
    const Node *const contract = roles->contract;
    roles->at = operand;
    roles->channel = indices[0];
    for (int i = 0; i < first; i++)
        if (node_depends_on_any(ir, operand->inputs[1 + i], contract->axes, contract->axis_count))
            return false;
    return way_of(ir, roles, indices[1], dims[1], 0) && way_of(ir, roles, indices[2], dims[2], 1) &&
           roles->way[0].out != roles->way[1].out && (!roles->way[0].tap || roles->way[0].tap != roles->way[1].tap) &&
           (!condition || guards_borders_alone(ir, condition, indices + 1, dims + 1));
}

/* The dim of the channels that are read. */
static const Node *channels_read(const DepthwiseRoles *roles)
{
    return roles->at->inputs[0]->type.dims[roles->at->inputs[0]->type.rank - 3];
}

/* Is the channel of what is read the stage's own? */
static bool reads_own_channel(const DepthwiseRoles *roles)
{
    return stage_has_axis(roles->stage, roles->channel) && roles->channel->inputs[0] == channels_read(roles);
}

/* Every reduced axis of more than one point is a tap, rows before columns: then taps ascend as positions do. */
static bool taps_ascend(const DepthwiseRoles *roles)
{
    int next = 0;
    for (int i = 0; i < roles->contract->axis_count; i++) {
        const Node *const axis = roles->contract->axes[i];
        if (index_is(axis->inputs[0], 1))
            continue;
        while (next < 2 && roles->way[next].tap != axis)
            next++;
        if (next++ == 2)
            return false;
    }
    return true;
}

bool depthwise_match(Ir *ir, Node *stage, DepthwiseRoles *roles)
{
    *roles = (DepthwiseRoles){.stage = stage, .contract = value_contraction(ir, stage_value(stage), DTYPE_F32)};
    const Node *const contract = roles->contract;
    int64_t channels;
    if (!contract || stage_ordered(stage) || stage_buffer(stage)->type.dtype != DTYPE_F32)
        return false;
    for (int side = 0; side < 2; side++) {
        roles->side = side;
        roles->weights = node_without_points(ir, contract->inputs[!side], contract->axes, contract->axis_count);
        if (!match_positions(ir, roles, contract->inputs[side]) || !reads_own_channel(roles))
            continue;
        Node *const moving[2] = {roles->way[0].out, roles->way[1].out};
        return const_is_int(roles->channel->inputs[0], &channels) && channels > 0 &&
               node_depends(ir, roles->weights, roles->channel) &&
               !node_depends_on_any(ir, roles->weights, moving, 2) && taps_ascend(roles);
    }
    return false;
}

bool expanding_window_match(Ir *ir, Node *stage, DepthwiseRoles *roles)
{
    *roles = (DepthwiseRoles){.stage = stage, .contract = value_contraction(ir, stage_value(stage), DTYPE_F32)};
    const Node *const contract = roles->contract;
    int64_t channels;
    if (!contract || stage_ordered(stage))
        return false;
    for (int side = 0; side < 2; side++) {
        roles->side = side;
        roles->weights = node_without_points(ir, contract->inputs[!side], contract->axes, contract->axis_count);
        if (!match_positions(ir, roles, contract->inputs[side]))
            continue;
        const WindowIndex *const rows = &roles->way[0], *const columns = &roles->way[1];
        Node *const moving[2] = {rows->out, columns->out};
        return const_is_int(channels_read(roles), &channels) && channels > 0 &&
               !stage_has_axis(stage, roles->channel) && (rows->tap || columns->tap) && rows->dilation <= 1 &&
               columns->dilation <= 1 && !node_depends_on_any(ir, roles->weights, moving, 2);
    }
    return false;
}

int64_t depthwise_band_bytes(const DepthwiseRoles *roles, int64_t rows)
{
    int64_t channels = 0;
    const_is_int(roles->channel->inputs[0], &channels);
    const int64_t read = window_reach(&roles->way[0], rows) * window_reach(&roles->way[1], roles->way[1].outs);
    return (read + rows * roles->way[1].outs) * channels * 4;
}

/* ---- blocks ---- */

/* The last three indices: channel, row, column. */
static Node *const *last_indices(Node *const *indices, const Node *buffer)
{
    return indices + buffer->type.rank - 3;
}

bool stage_reads_own_position(Ir *ir, const Node *stage, const Node *from)
{
    Node *value = stage_value(stage);
    const Node *const contract = value_contraction(ir, value, DTYPE_F32);
    int count;
    if (!contract || stage_buffer(stage)->type.rank < 3)
        return false;
    Node *const *const own = last_indices(stage_indices(stage), stage_buffer(stage));
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op != OP_at || nodes[i]->inputs[0] != from)
            continue;
        Node *const plain = node_without_points(ir, nodes[i], contract->axes, contract->axis_count);
        Node *const *const indices = last_indices(plain->inputs + 1, from);
        if (indices[1] != own[1] || indices[2] != own[2])
            return false;
    }
    return stage_has_axis(stage, own[1]) && stage_has_axis(stage, own[2]) && own[1] != own[2];
}

/* A stage that leaves one element per point of [channel, row, column] in a local buffer, itself the only product. */
static bool leaves_positions(Ir *ir, Node *stage, const Node *batch)
{
    const Node *const buffer = stage_buffer(stage);
    if (!is_local(buffer) || buffer->type.rank != 3 || buffer->type.dtype != DTYPE_F32 || stage->axis_count != 4)
        return false;
    for (int i = 0; i < 3; i++) {
        Node *const axis = stage_indices(stage)[i];
        if (!stage_has_axis(stage, axis) || axis == batch || axis->inputs[0] != buffer->type.dims[i])
            return false;
        for (int j = 0; j < i; j++)
            if (stage_indices(stage)[j] == axis)
                return false;
    }
    return value_contraction(ir, stage_value(stage), DTYPE_F32) != NULL;
}

bool bands_match(Ir *ir, const Node *kernel, BandRoles *roles)
{
    const Block *const stages = kernel_stages(kernel);
    *roles = (BandRoles){0};
    if (stages->count < 2 || stages->count > 3 || kernel_has_order(kernel) || !stages->nodes[0]->axis_count)
        return false;
    roles->batch = stages->nodes[0]->axes[0];
    for (int i = 0; i < stages->count; i++) {
        const Node *const stage = stages->nodes[i];
        if (!stage->axis_count || stage->axes[0] != roles->batch)
            return false;
        for (int j = 0; j < i; j++)
            if (stage_buffer(stages->nodes[j]) == stage_buffer(stage))
                return false;
    }
    const bool first = stages->count == 2 && depthwise_match(ir, stages->nodes[0], &roles->depthwise);
    const int middle = first ? 0 : 1;
    if (!first && !depthwise_match(ir, stages->nodes[1], &roles->depthwise))
        return false;
    roles->expand = middle ? stages->nodes[0] : NULL;
    roles->project = middle + 1 < stages->count ? stages->nodes[middle + 1] : NULL;
    const DepthwiseRoles *const depthwise = &roles->depthwise;
    if (depthwise->channel == roles->batch || depthwise->way[0].out == roles->batch ||
        depthwise->way[1].out == roles->batch || depthwise->stage->axis_count != 4)
        return false;
    if (roles->expand &&
        (!leaves_positions(ir, roles->expand, roles->batch) || depthwise->at->inputs[0] != stage_buffer(roles->expand)))
        return false;
    return !roles->project ||
           (leaves_positions(ir, depthwise->stage, roles->batch) && stage_buffer(roles->project)->type.rank == 4 &&
            stage_reads_own_position(ir, roles->project, stage_buffer(depthwise->stage)));
}
