/* See roll.h. Concat of two Slices of the same tensor, as shifted windows have it. */
#include "passes/roll.h"

#include "ir/kernel.h"
#include "passes/access.h"

/* A stage that copies elements: from where, in terms of its axes. */
typedef struct Copy {
    Node *stage, *source;
    Node *indices[RANK_MAX];
} Copy;

static bool copy_of(const Block *body, int number, Copy *copy)
{
    const Node *const kernel = body->nodes[number];
    if (kernel_stages(kernel)->count != 1)
        return false;
    Node *const stage = kernel_stages(kernel)->nodes[0], *const value = stage_value(stage);
    if (value->op != OP_at || stage_ordered(stage) || stage_is_step(stage) ||
        stage->axis_count != stage_buffer(stage)->type.rank || value->inputs[0]->type.rank != stage->axis_count)
        return false;
    *copy = (Copy){.stage = stage, .source = value->inputs[0]};
    for (int d = 0; d < stage->axis_count; d++)
        copy->indices[d] = value->inputs[d + 1];
    return true;
}

static bool stands_at(Node *index, Node *axis)
{
    return index == axis || (index_is(index, 0) && index_is(axis->inputs[0], 1));
}

/* What a piece copies, read where a slice before it read: pieces are read axis for axis. */
static bool piece_of(Ir *ir, const Block *body, const Accesses *accesses, int number, Copy *piece)
{
    Copy slice;
    if (!copy_of(body, number, piece))
        return false;
    const Node *const stage = piece->stage;
    for (int d = 0; d < stage->axis_count; d++)
        if (!stands_at(piece->indices[d], stage->axes[d]))
            return false;
    const Access access = access_of(accesses, piece->source);
    if (piece->source->payload.buffer->place != PLACE_TEMP || access.writers != 1 || access.is_shared ||
        access.writer > number || !copy_of(body, access.writer, &slice))
        return false;
    for (int d = 0; d < stage->axis_count; d++) {
        if (!stands_at(stage_indices(slice.stage)[d], slice.stage->axes[d]))
            return false;
        piece->indices[d] = node_substitute(ir, slice.indices[d], slice.stage->axes, stage->axes, stage->axis_count);
    }
    piece->source = slice.source;
    return true;
}

/* The axis along which `second` follows `first` in their buffer and stands before it in their source; -1: none. */
static int rolled_axis(Ir *ir, const Copy *first, const Copy *second)
{
    const Node *const buffer = stage_buffer(first->stage);
    const int rank = buffer->type.rank;
    int found = -1;
    if (stage_buffer(second->stage) != buffer || first->source != second->source ||
        first->source->type.dtype != buffer->type.dtype)
        return -1;
    for (int d = 0; d < rank; d++) {
        Node *const a = first->stage->axes[d], *const b = second->stage->axes[d], *const length = a->inputs[0];
        if (first->source->type.dims[d] != buffer->type.dims[d] || !stands_at(stage_indices(first->stage)[d], a) ||
            !stands_at(second->indices[d], b))
            return -1;
        if (stands_at(first->indices[d], a) && stands_at(stage_indices(second->stage)[d], b) &&
            length == b->inputs[0] && length == buffer->type.dims[d])
            continue;
        if (found >= 0 || first->indices[d] != index_add(ir, a, b->inputs[0]) ||
            stage_indices(second->stage)[d] != index_add(ir, b, length) ||
            index_add(ir, length, b->inputs[0]) != buffer->type.dims[d])
            return -1;
        found = d;
    }
    return found < rank - 1 ? found : -1;
}

static Node *rolled(Ir *ir, const Copy *first, const Copy *second, int axis, Node **members)
{
    Node *const buffer = stage_buffer(first->stage);
    Node *axes[RANK_MAX], *indices[RANK_MAX];
    for (int d = 0; d < buffer->type.rank; d++)
        indices[d] = axes[d] = axis_make(ir, "a", buffer->type.dims[d]);
    indices[axis] =
        index_mod(ir, index_add(ir, axes[axis], second->stage->axes[axis]->inputs[0]), buffer->type.dims[axis]);
    Block *const stages = block_make(ir);
    block_append(ir, stages,
                 stage_make(ir, axes, buffer->type.rank, buffer, axes, at_make(ir, first->source, indices)));
    Node *const kernel = kernel_make(ir, members[1]->payload.kernel->name, stages);
    kernel->payload.kernel->wheres = kernels_wheres(ir, members, 2);
    return kernel;
}

Block *rolls_merged(PassContext *context, Block *body)
{
    Ir *const ir = context->compilation->ir;
    const Accesses accesses = accesses_of(ir, body);
    Merger merger = merger_open(ir, body);
    for (int i = 1; i < body->count; i++) {
        Copy first, second;
        if (!piece_of(ir, body, &accesses, i - 1, &first) || !piece_of(ir, body, &accesses, i, &second) ||
            access_of(&accesses, stage_buffer(second.stage)).writers != 2)
            continue;
        const int axis = rolled_axis(ir, &first, &second);
        if (axis >= 0 && pass_decide(context))
            merger_join(&merger, (int[]){i - 1, i}, 2,
                        rolled(ir, &first, &second, axis, (Node *[]){body->nodes[i - 1], body->nodes[i]}));
    }
    return merger_body(ir, &merger);
}
