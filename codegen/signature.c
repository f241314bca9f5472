/* See signature.h. */
#include "codegen/signature.h"

#include "ir/kernel.h"

/* Blocks nest as deep as templates make loops. */
static bool has_check(const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        if (block->nodes[i]->op == OP_check)
            return true;
        for (int j = 0; j < block->nodes[i]->block_count; j++)
            if (has_check(block->nodes[i]->blocks[j]))
                return true;
    }
    return false;
}

KernelSignature kernel_signature(const Node *kernel, const TargetMachineInfo *target)
{
    if (target->family->system != SYSTEM_FREESTANDING)
        return (KernelSignature){.count = 6, .scratch = 4, .error = 5};
    KernelSignature signature = {.whole = true, .count = kernel_buffer_count(kernel), .scratch = -1, .error = -1};
    if (kernel->payload.kernel->scratch > 0)
        signature.scratch = signature.count++;
    if (kernel_body(kernel) && has_check(kernel_body(kernel)))
        signature.error = signature.count++;
    return signature;
}
