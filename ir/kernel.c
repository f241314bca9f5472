/* Kernel and stage nodes: see kernel.h. */
#include "ir/kernel.h"

#include "ir/map.h"

#include <string.h>

Node *stage_make(Ir *ir, Node *const *axes, int axis_count, Node *buffer, Node *const *indices, Node *value)
{
    return stage_make_ordered(ir, axes, axis_count, 0, buffer, indices, value);
}

Node *stage_make_ordered(Ir *ir, Node *const *axes, int axis_count, int ordered, Node *buffer, Node *const *indices, Node *value)
{
    Node *inputs[RANK_MAX + 2] = {buffer, value};
    for (int i = 0; i < buffer->type.rank; i++)
        inputs[i + 2] = indices[i];
    return node_make(ir, &(Node){.op = OP_stage,
                                 .inputs = inputs,
                                 .input_count = (uint32_t)buffer->type.rank + 2,
                                 .axes = axes,
                                 .axis_count = (uint16_t)axis_count,
                                 .payload.integer = ordered});
}

typedef struct Collector {
    Ir *ir;
    NodeMap seen;
    Node **buffers, **symbols;
    int buffer_count, symbol_count, buffer_capacity, symbol_capacity;
} Collector;

static void push(Ir *ir, Node ***list, int *count, int *capacity, Node *node)
{
    if (*count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 8;
        Node **const grown = NEW_ARRAY(ir->arena, Node *, (size_t)*capacity);
        if (*count)
            memcpy(grown, *list, (size_t)*count * sizeof *grown);
        *list = grown;
    }
    (*list)[(*count)++] = node;
}

static void collect(Collector *collector, Node *const *roots, int count)
{
    int total;
    Node **const order = nodes_topological(collector->ir, roots, count, &total);
    for (int i = 0; i < total; i++) {
        Node *const node = order[i];
        if ((node->op != OP_buffer && node->op != OP_symbol) || map_has(&collector->seen, node))
            continue;
        map_set(&collector->seen, node, node);
        if (node->op == OP_symbol) {
            push(collector->ir, &collector->symbols, &collector->symbol_count, &collector->symbol_capacity, node);
            continue;
        }
        if (node->payload.buffer->place != PLACE_LOCAL)
            push(collector->ir, &collector->buffers, &collector->buffer_count, &collector->buffer_capacity, node);
        collect(collector, node->type.dims, node->type.rank); /* dims hold no buffers: one level */
    }
}

static void collect_block(Collector *collector, const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        Node *const node = block->nodes[i];
        if (node->op == OP_stage) { /* reads first, then what is written */
            collect(collector, node->inputs + 1, (int)node->input_count - 1);
            collect(collector, node->axes, node->axis_count);
            collect(collector, node->inputs, 1);
            continue;
        }
        collect(collector, node->inputs, (int)node->input_count);
        collect(collector, node->axes, node->axis_count);
        for (int j = 0; j < node->block_count; j++)
            collect_block(collector, node->blocks[j]);
    }
}

static Node *finish(Ir *ir, Collector *collector, Kernel *kernel, Block *stages, Block *body)
{
    const int count = collector->buffer_count + collector->symbol_count;
    Node **const inputs = NEW_ARRAY(ir->arena, Node *, (size_t)count + 1);
    if (collector->buffer_count)
        memcpy(inputs, collector->buffers, (size_t)collector->buffer_count * sizeof *inputs);
    if (collector->symbol_count)
        memcpy(inputs + collector->buffer_count, collector->symbols, (size_t)collector->symbol_count * sizeof *inputs);
    return node_make(ir, &(Node){.op = OP_kernel,
                                 .inputs = inputs,
                                 .input_count = (uint32_t)count,
                                 .blocks = (Block *[]){stages, body},
                                 .block_count = body ? 2 : 1,
                                 .payload.kernel = kernel});
}

Node *kernel_make(Ir *ir, Name name, Block *stages)
{
    Collector collector = {.ir = ir};
    map_open(&collector.seen, ir->arena);
    collect_block(&collector, stages);
    Kernel *const kernel = NEW(ir->arena, Kernel);
    kernel->name = name;
    return finish(ir, &collector, kernel, stages, NULL);
}

Node *kernel_with_body(Ir *ir, Node *node, Block *body, Node *units, const char *schedule, int64_t scratch)
{
    Collector collector = {.ir = ir};
    map_open(&collector.seen, ir->arena);
    collect_block(&collector, kernel_stages(node));
    collect_block(&collector, body);
    collect(&collector, &units, 1);
    Kernel *const kernel = arena_copy(ir->arena, node->payload.kernel, sizeof *kernel);
    kernel->units = units;
    kernel->schedule = schedule;
    kernel->scratch = scratch;
    return finish(ir, &collector, kernel, kernel_stages(node), body);
}

int kernel_buffer_count(const Node *kernel)
{
    int count = 0;
    while (count < (int)kernel->input_count && kernel->inputs[count]->op == OP_buffer)
        count++;
    return count;
}

static bool block_writes(const Block *block, const Node *buffer)
{
    for (int i = 0; i < block->count; i++) {
        const Node *const node = block->nodes[i];
        if ((node->op == OP_store || node->op == OP_scatter || node->op == OP_stage) && node->inputs[0] == buffer)
            return true;
        for (int j = 0; j < node->block_count; j++) /* blocks nest as deep as a template makes loops */
            if (block_writes(node->blocks[j], buffer))
                return true;
    }
    return false;
}

bool kernel_writes(const Node *kernel, const Node *buffer)
{
    for (int i = 0; i < kernel->block_count; i++)
        if (block_writes(kernel->blocks[i], buffer))
            return true;
    return false;
}
