/* See access.h. */
#include "passes/access.h"

#include "ir/kernel.h"

Node *buffer_root(Node *buffer)
{
    while (buffer->payload.buffer->alias)
        buffer = buffer->payload.buffer->alias;
    return buffer;
}

Node **kernel_reads(Ir *ir, const Node *kernel, int *count)
{
    const Block *const stages = kernel_stages(kernel);
    Node **const reads = NEW_ARRAY(ir->arena, Node *, kernel->input_count + 1);
    NodeMap seen;
    map_open(&seen, ir->arena);
    *count = 0;
    for (int i = 0; i < stages->count; i++) {
        const Node *const stage = stages->nodes[i];
        int total;
        Node **const order = nodes_topological(ir, stage->inputs + 1, (int)stage->input_count - 1, &total);
        for (int j = 0; j < total; j++)
            if (order[j]->op == OP_buffer && !map_has(&seen, order[j])) {
                map_set(&seen, order[j], order[j]);
                reads[(*count)++] = order[j];
            }
    }
    return reads;
}

Node **kernel_targets(Ir *ir, const Node *kernel, int *count)
{
    const Block *const stages = kernel_stages(kernel);
    Node **const targets = NEW_ARRAY(ir->arena, Node *, (size_t)stages->count + 1);
    *count = 0;
    for (int i = 0; i < stages->count; i++) {
        bool known = false;
        for (int j = 0; j < *count; j++)
            known = known || targets[j] == stage_buffer(stages->nodes[i]);
        if (!known)
            targets[(*count)++] = stage_buffer(stages->nodes[i]);
    }
    return targets;
}

Node *kernel_replace_buffers(Ir *ir, Node *kernel, const NodeMap *replacement)
{
    Node **const from = NEW_ARRAY(ir->arena, Node *, kernel->input_count + 1);
    Node **const to = NEW_ARRAY(ir->arena, Node *, kernel->input_count + 1);
    int count = 0;
    for (uint32_t i = 0; i < kernel->input_count; i++) {
        Node *const other = map_get(replacement, kernel->inputs[i]);
        if (!other || other == kernel->inputs[i])
            continue;
        from[count] = kernel->inputs[i];
        to[count++] = other;
    }
    if (count == 0)
        return kernel;
    Block *const stages = block_make(ir);
    for (int i = 0; i < kernel_stages(kernel)->count; i++) {
        const Node *const stage = kernel_stages(kernel)->nodes[i];
        Node *indices[RANK_MAX];
        Node *const target = map_get(replacement, stage_buffer(stage));
        for (int j = 0; j < stage_buffer(stage)->type.rank; j++)
            indices[j] = node_substitute(ir, stage_indices(stage)[j], from, to, count);
        block_append(ir, stages,
                     stage_remake(ir, stage, target ? target : stage_buffer(stage), indices,
                                node_substitute(ir, stage_value(stage), from, to, count)));
    }
    Node *const made = kernel_make(ir, kernel->payload.kernel->name, stages);
    *made->payload.kernel = *kernel->payload.kernel;
    return made;
}
