/* Weights of products in 16 bits, where the user asks for it (`--weights f16`): half the memory and, where a model
 * waits for its weights, half the time. Sums stay in f32; every reader of such a weight sees the rounded values, so
 * that no weight is stored twice. */
#include "ir/kernel.h"
#include "ir/map.h"
#include "ir/procedure.h"
#include "ir/roles.h"
#include "ir/rows.h"
#include "passes/access.h"
#include "passes/pass.h"

#include <string.h>

enum { LEAST_ELEMENTS = 1024 }; /* below that nothing is gained */

/* The constant in `dtype`, each element rounded once. */
static const Constant *rounded(Ir *ir, const Constant *from, int64_t elements, Dtype dtype)
{
    const RowCast cast = row_cast(dtype, DTYPE_F32);
    const size_t width = (size_t)row_bytes(dtype);
    unsigned char *const data = arena_alloc(ir->arena, (size_t)elements * width);
    const unsigned char *const source = from->data;
    for (int64_t at = 0; at < elements; at += ROW_LANES) {
        _Alignas(64) unsigned char rows[2][ROW_LANES * 8];
        const int lanes = elements - at < ROW_LANES ? (int)(elements - at) : ROW_LANES;
        memcpy(rows[1], source + at * (int64_t)sizeof(float), (size_t)lanes * sizeof(float));
        for (int i = 0; i < cast.count; i++)
            cast.steps[i](rows[i % 2], rows[1 - i % 2], NULL, NULL, lanes);
        memcpy(data + (size_t)at * width, rows[(cast.count - 1) % 2], (size_t)lanes * width);
    }
    Constant *const constant = NEW(ir->arena, Constant);
    *constant = (Constant){.data = data, .bytes = (uint64_t)elements * width, .splat = from->splat, .name = from->name};
    return constant;
}

static void narrow_weight(PassContext *context, NodeMap *narrow, Node *weight)
{
    Ir *const ir = context->compilation->ir;
    const Buffer *const old = weight->payload.buffer;
    int64_t elements;
    if (weight->type.dtype != DTYPE_F32 || map_has(narrow, weight) || !old->constant ||
        !const_is_int(type_elements(ir, weight->type), &elements) || elements < LEAST_ELEMENTS || !pass_decide(context))
        return;
    Buffer buffer = *old;
    buffer.constant = rounded(ir, old->constant, old->constant->splat ? 1 : elements, context->compilation->weights);
    const Type type = type_tensor(ir, context->compilation->weights, weight->type.rank, weight->type.dims);
    map_set(narrow, weight, buffer_make(ir, type, &buffer));
}

/* A read of a narrowed weight reads the narrow one and widens what it finds. */
static Node *narrow_read(Ir *ir, Node *read, void *narrow)
{
    Node *const weight = map_get(narrow, read->inputs[0]);
    return weight ? cast_make(ir, at_make(ir, weight, read->inputs + 1), DTYPE_F32) : NULL;
}

static Node *rewritten(Ir *ir, Node *kernel, NodeMap *narrow)
{
    bool reads = false;
    const int buffers = kernel_buffer_count(kernel);
    for (int i = 0; i < buffers; i++)
        reads = reads || map_has(narrow, kernel->inputs[i]);
    if (!reads)
        return kernel;
    Block *const stages = block_make(ir);
    for (int i = 0; i < kernel_stages(kernel)->count; i++) {
        const Node *const stage = kernel_stages(kernel)->nodes[i];
        block_append(ir, stages,
                     stage_remake(ir, stage, stage_buffer(stage), stage_indices(stage),
                                  value_replace_reads(ir, stage_value(stage), narrow_read, narrow)));
    }
    Node *const made = kernel_make(ir, kernel->payload.kernel->name, stages);
    *made->payload.kernel = *kernel->payload.kernel;
    return made;
}

bool pass_narrow(PassContext *context)
{
    Ir *const ir = context->compilation->ir;
    Module *const module = context->compilation->module;
    NodeMap narrow, kept; /* weight -> its narrow buffer; what procedures read stays as it is */
    map_open(&narrow, ir->arena);
    map_open(&kept, ir->arena);
    if (context->compilation->weights == DTYPE_NONE)
        return true;
    for (int i = 0; i < module->body->count; i++) {
        const Node *const kernel = module->body->nodes[i];
        const int buffers = kernel_is_procedure(kernel) ? kernel_buffer_count(kernel) : 0;
        for (int j = 0; j < buffers; j++)
            map_set(&kept, kernel->inputs[j], kernel->inputs[j]);
    }
    for (int i = 0; i < module->body->count; i++) {
        Block *const stages = kernel_stages(module->body->nodes[i]);
        for (int j = 0; j < stages->count && !kernel_is_procedure(module->body->nodes[i]); j++) {
            ContractRoles roles;
            if (contract_match_stage(ir, stages->nodes[j], 0, &roles) && roles.weight && !map_has(&kept, roles.weight))
                narrow_weight(context, &narrow, roles.weight);
        }
    }
    for (int i = 0; i < module->body->count; i++)
        if (!kernel_is_procedure(module->body->nodes[i]))
            module->body->nodes[i] = rewritten(ir, module->body->nodes[i], &narrow);
    return true;
}
