/* See gpu_build.h. */
#include "codegen/gpu_build.h"

#include "ir/kernel.h"
#include "ir/loops.h"
#include "ir/map.h"

Block *gpu_blocks(Ir *ir, Block *body, Node *units, Node **unit)
{
    Node *const begin = node_make(ir, &(Node){.op = OP_begin, .type = type_scalar(DTYPE_INDEX)});
    Node *const end = node_make(ir, &(Node){.op = OP_end, .type = type_scalar(DTYPE_INDEX)});
    *unit = axis_make(ir, "unit", units);
    return body_for(ir, body, *unit, begin, end, 1);
}

Block *gpu_if(Ir *ir, Block *block, Node *condition)
{
    int64_t proven;
    if (const_is_int(condition, &proven) && proven)
        return block;
    Block *inside = block_make(ir);
    block_append(
        ir, block,
        node_make(ir,
                  &(Node){.op = OP_if, .inputs = &condition, .input_count = 1, .blocks = &inside, .block_count = 1}));
    return inside;
}

Node *gpu_ordered_value(Ir *ir, Block *block, const Node *draft)
{
    Node *const node = node_make(ir, draft);
    block_append(ir, block, node);
    return node;
}

void gpu_order(Ir *ir, Block *block, Op op, Node *const *inputs, int count, int64_t integer)
{
    gpu_ordered_value(ir, block,
                      &(Node){.op = op, .inputs = inputs, .input_count = (uint32_t)count, .payload.integer = integer});
}

void gpu_barrier(Ir *ir, Block *block)
{
    gpu_order(ir, block, OP_barrier, NULL, 0, 0);
}

Node *gpu_shared(Ir *ir, const char *name, Dtype dtype, int64_t elements)
{
    Node *const extent = index_const(ir, elements);
    const Buffer buffer = {.name = name_intern(ir->arena, name), .place = PLACE_SHARED};
    return buffer_make(ir, type_tensor(ir, dtype, 1, &extent), &buffer);
}

Node *gpu_read(Ir *ir, Block *block, Node *buffer, Node *offset, int lanes)
{
    return gpu_ordered_value(ir, block,
                             &(Node){.op = OP_read,
                                     .type = type_vector(buffer->type.dtype, lanes),
                                     .inputs = (Node *[]){buffer, offset},
                                     .input_count = 2});
}

void gpu_store(Ir *ir, Block *block, Node *buffer, Node *offset, Node *value)
{
    gpu_order(ir, block, OP_store, (Node *[]){buffer, offset, value}, 3, 0);
}

/* ---- axes ---- */

void gpu_digits(Ir *ir, Node *const *axes, int count, Node *number, Node **digits)
{
    Node *pitch = index_const(ir, 1);
    for (int i = count - 1; i >= 0; i--) {
        Node *const above = index_floordiv(ir, number, pitch);
        digits[i] = i ? index_mod(ir, above, axes[i]->inputs[0]) : above;
        pitch = index_mul(ir, pitch, axes[i]->inputs[0]);
    }
}

Node *gpu_place(Ir *ir, const Node *stage, Node *const *axes, Node *const *values, int count)
{
    Node *left[RANK_MAX], *indices[RANK_MAX];
    int kept = 0;
    for (int i = 0; i < stage->axis_count; i++)
        if (!axes_have(axes, count, stage->axes[i]))
            left[kept++] = stage->axes[i];
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = node_substitute(ir, stage_indices(stage)[i], axes, values, count);
    return stage_make_ordered(ir, left, kept, stage_is_step(stage) ? 0 : stage_ordered(stage), stage_buffer(stage),
                              indices, node_substitute(ir, stage_value(stage), axes, values, count));
}

void gpu_sort_axes(Ir *ir, const Node *stage, Node **axes, int count)
{
    Node *const offset = stage_offset(ir, stage);
    int64_t pitch[RANK_MAX];
    for (int i = 0; i < count; i++) {
        if (!index_factor(ir, offset, axes[i], &pitch[i], NULL))
            pitch[i] = INT64_MAX;
    }
    for (int i = 1; i < count; i++) /* stable: what is not known stays where it is */
        for (int j = i; j > 0 && pitch[j - 1] < pitch[j]; j--) {
            Node *const axis = axes[j];
            const int64_t moved = pitch[j];
            axes[j] = axes[j - 1];
            pitch[j] = pitch[j - 1];
            axes[j - 1] = axis;
            pitch[j - 1] = moved;
        }
}

bool gpu_is_ragged(Ir *ir, Node *node, Node *const *axes, int count)
{
    int total;
    Node **const nodes = nodes_topological(ir, &node, 1, &total);
    for (int i = 0; i < total; i++)
        for (int j = 0; j < nodes[i]->axis_count; j++)
            for (int k = 0; k < count; k++)
                if (node_depends(ir, nodes[i]->axes[j]->inputs[0], axes[k]))
                    return true;
    return false;
}

int gpu_shared_axes(const Block *stages)
{
    int shared = stages->count ? stages->nodes[0]->axis_count - stage_ordered(stages->nodes[0]) : 0;
    for (int i = 1; i < stages->count; i++) {
        const Node *const stage = stages->nodes[i];
        int same = 0;
        while (same < shared && same < stage->axis_count - stage_ordered(stage) &&
               stage->axes[same] == stages->nodes[0]->axes[same])
            same++;
        shared = same;
    }
    return shared;
}

/* ---- rows in shared memory ---- */

/* Buffers of the stages' rows, and what stands for each. */
typedef struct Locals {
    Node *from[RANK_MAX], *to[RANK_MAX];
    int count;
    int64_t bytes;
} Locals;

/* False when there is no place for `buffer`. */
static bool locals_add(Ir *ir, Locals *locals, Node *buffer, int copies, int64_t bytes_most)
{
    for (int i = 0; i < locals->count; i++)
        if (locals->from[i] == buffer)
            return true;
    int64_t elements;
    if (locals->count == RANK_MAX || !const_is_int(layout_elements(ir, buffer), &elements) ||
        dtype_info[buffer->type.dtype].bits < 8)
        return false;
    const int64_t bytes = elements * copies * dtype_info[buffer->type.dtype].bits / 8;
    if (elements > bytes_most || locals->bytes + bytes > bytes_most)
        return false;
    locals->bytes += (bytes + 15) / 16 * 16;
    Node *dims[RANK_MAX] = {index_const(ir, copies)};
    for (int i = 0; i < buffer->type.rank; i++)
        dims[i + 1] = buffer->type.dims[i];
    const Buffer shared = {.name = buffer->payload.buffer->name, .place = PLACE_SHARED};
    locals->from[locals->count] = buffer;
    locals->to[locals->count++] =
        buffer_make(ir, type_tensor(ir, buffer->type.dtype, buffer->type.rank + 1, dims), &shared);
    return true;
}

static Node *locals_find(const Locals *locals, const Node *buffer)
{
    for (int i = 0; i < locals->count; i++)
        if (locals->from[i] == buffer)
            return locals->to[i];
    return NULL;
}

/* Reads of the buffers become reads of row `copy`; inner reads are replaced first, they may stand in indices. */
static Node *with_shared(Ir *ir, Node *node, const Locals *locals, Node *copy)
{
    for (;;) {
        int count;
        Node **const nodes = nodes_topological(ir, &node, 1, &count);
        Node *read = NULL;
        for (int i = 0; i < count && !read; i++)
            if (nodes[i]->op == OP_at && locals_find(locals, nodes[i]->inputs[0]))
                read = nodes[i];
        if (!read)
            return node;
        Node *indices[RANK_MAX] = {copy};
        for (uint32_t i = 1; i < read->input_count; i++)
            indices[i] = read->inputs[i];
        Node *const now = at_make(ir, locals_find(locals, read->inputs[0]), indices);
        node = node_substitute(ir, node, &read, &now, 1);
    }
}

Node *gpu_share_locals(Ir *ir, Node *kernel, int copies, Node *copy, int64_t bytes_most)
{
    const Block *const stages = kernel_stages(kernel);
    Locals locals = {.count = 0};
    for (int i = 0; i < stages->count; i++) {
        Node *const target = stage_buffer(stages->nodes[i]);
        if (is_local(target) && !locals_add(ir, &locals, target, copies, bytes_most))
            return NULL;
    }
    Block *const block = block_make(ir);
    for (int i = 0; i < stages->count; i++) {
        const Node *const stage = stages->nodes[i];
        Node *const target = stage_buffer(stage), *const shared = locals_find(&locals, target);
        Node *indices[RANK_MAX + 1] = {copy};
        const int first = shared ? 1 : 0;
        for (int d = 0; d < target->type.rank; d++)
            indices[first + d] = with_shared(ir, stage_indices(stage)[d], &locals, copy);
        block_append(ir, block,
                     stage_remake(ir, stage, shared ? shared : target, indices,
                                  with_shared(ir, stage_value(stage), &locals, copy)));
    }
    return kernel_make(ir, kernel->payload.kernel->name, block);
}
