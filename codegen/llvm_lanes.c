/* Vectors that are made of lanes of others. */
#include "codegen/emit.h"

LLVMValueRef emit_slice(Emitter *emitter, const Node *node, LLVMValueRef vector)
{
    const int first = (int)node->payload.integer, count = node->type.lanes;
    if (count == 1)
        return emit_lane(emitter, vector, first);
    int *const lanes = NEW_ARRAY(emitter->arena, int, (size_t)count);
    for (int i = 0; i < count; i++)
        lanes[i] = first + i;
    return emit_shuffle(emitter, vector, NULL, lanes, count);
}

/* Single lanes of at most two vectors are one shuffle; NULL: they are something else. */
static LLVMValueRef emit_lanes_joined(Emitter *emitter, const Node *node)
{
    Node *vectors[2] = {NULL};
    int *const lanes = NEW_ARRAY(emitter->arena, int, node->input_count);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const Node *const part = node->inputs[i];
        Node *const from = part->op == OP_extract ? part->inputs[0] : NULL;
        if (!from || from->type.lanes != node->type.lanes)
            return NULL;
        const int which = !vectors[0] || vectors[0] == from ? 0 : 1;
        if (vectors[which] && vectors[which] != from)
            return NULL;
        vectors[which] = from;
        lanes[i] = which * node->type.lanes + (int)part->payload.integer;
    }
    LLVMValueRef const first = emit_value(emitter, vectors[0]);
    return emit_shuffle(emitter, first, vectors[1] ? emit_value(emitter, vectors[1]) : NULL, lanes, node->type.lanes);
}

LLVMValueRef emit_join(Emitter *emitter, const Node *node)
{
    LLVMValueRef const shuffled = emit_lanes_joined(emitter, node);
    if (shuffled)
        return shuffled;
    const int total = node->type.lanes;
    int *const lanes = NEW_ARRAY(emitter->arena, int, (size_t)total);
    LLVMValueRef joined = LLVMGetPoison(emit_type(emitter, node->type.dtype, total));
    int filled = 0;
    for (uint32_t part = 0; part < node->input_count; part++) {
        LLVMValueRef const value = emit_value(emitter, node->inputs[part]);
        const int count = node->inputs[part]->type.lanes;
        if (count == 1) {
            LLVMValueRef const index = emit_int(LLVMInt32TypeInContext(emitter->context), filled++);
            joined = LLVMBuildInsertElement(emitter->builder, joined, value, index, "");
            continue;
        }
        for (int i = 0; i < total; i++)
            lanes[i] = i < count ? i : -1;
        LLVMValueRef const widened = count == total ? value : emit_shuffle(emitter, value, NULL, lanes, total);
        for (int i = 0; i < total; i++)
            lanes[i] = i < filled ? i : i < filled + count ? total + i - filled : -1;
        joined = filled == 0 ? widened : emit_shuffle(emitter, joined, widened, lanes, total);
        filled += count;
    }
    return joined;
}
