/* Kernels whose results nobody reads go: mostly shape arithmetic that inference has already answered. */
#include "ir/kernel.h"
#include "passes/access.h"
#include "passes/pass.h"

bool pass_prune(PassContext *context)
{
    Ir *const ir = context->compilation->ir;
    Module *const module = context->compilation->module;
    NodeMap needed;
    map_open(&needed, ir->arena);
    Node **const kept = NEW_ARRAY(ir->arena, Node *, (size_t)module->body->count + 1);
    int count = 0;
    for (int i = module->body->count - 1; i >= 0; i--) {
        Node *const kernel = module->body->nodes[i];
        int targets, reads;
        Node **const target = kernel_targets(ir, kernel, &targets);
        bool wanted = false;
        for (int j = 0; j < targets; j++)
            wanted = wanted || target[j]->payload.buffer->place == PLACE_OUTPUT || map_has(&needed, target[j]);
        if (!wanted)
            continue;
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
