/* Kernels whose results nobody reads go: mostly shape arithmetic that inference has already answered. */
#include "ir/kernel.h"
#include "passes/access.h"
#include "passes/pass.h"

static bool is_read_within(Ir *ir, const Node *kernel, const Node *buffer)
{
    int reads;
    Node **const read = kernel_reads(ir, kernel, &reads);
    for (int i = 0; i < reads; i++)
        if (read[i] == buffer)
            return true;
    return false;
}

/* The kernel without steps whose result nobody reads, such as the output of every step where only the last counts. */
static Node *without_idle_steps(Ir *ir, Node *kernel, const NodeMap *needed)
{
    Block *const stages = block_make(ir);
    for (int i = 0; i < kernel_stages(kernel)->count; i++) {
        Node *const stage = kernel_stages(kernel)->nodes[i], *const target = stage_buffer(stage);
        if (target->payload.buffer->place == PLACE_OUTPUT || map_has(needed, target) ||
            is_read_within(ir, kernel, target))
            block_append(ir, stages, stage);
    }
    if (stages->count == kernel_stages(kernel)->count)
        return kernel;
    Node *const made = kernel_make(ir, kernel->payload.kernel->name, stages);
    *made->payload.kernel = *kernel->payload.kernel;
    return made;
}

bool pass_prune(PassContext *context)
{
    Ir *const ir = context->compilation->ir;
    Module *const module = context->compilation->module;
    NodeMap needed;
    map_open(&needed, ir->arena);
    Node **const kept = NEW_ARRAY(ir->arena, Node *, (size_t)module->body->count + 1);
    int count = 0;
    for (int i = module->body->count - 1; i >= 0; i--) {
        Node *kernel = module->body->nodes[i];
        int targets, reads;
        Node **const target = kernel_targets(ir, kernel, &targets);
        bool wanted = false;
        for (int j = 0; j < targets; j++)
            wanted = wanted || target[j]->payload.buffer->place == PLACE_OUTPUT || map_has(&needed, target[j]);
        if (!wanted)
            continue;
        if (kernel_has_steps(kernel))
            kernel = without_idle_steps(ir, kernel, &needed);
        Node **const read = kernel_reads(ir, kernel, &reads);
        for (int j = 0; j < reads; j++)
            map_set(&needed, read[j], kernel);
        kept[count++] = kernel;
    }
    Block *const body = block_make(ir);
    while (count)
        block_append(ir, body, kept[--count]);
    module->body = body;
    return true;
}
