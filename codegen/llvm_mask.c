/* Masked loads and stores. Where masks are vectors of signs (AVX2) and a masked access needs several registers, it is
 * made register by register, each with a mask of its own: LLVM 22 forgets, when it divides a mask by itself, what it
 * knows to be zero in one half, and loads all of it. The parts of a mask are computed anew from the parts of its
 * operands, so that what is known is known before. Machines without any masks are better served whole: one branch where
 * all lanes have the same mask, as at the borders of images, else a branch for each lane. */
#include "codegen/emit.h"

#include <string.h>

enum { PARTS_MAX = 64, DEPTH_MAX = 12 };

/* ---- parts of vectors ---- */

static LLVMValueRef part_of(Emitter *emitter, LLVMValueRef vector, int first, int lanes)
{
    int places[PARTS_MAX];
    for (int i = 0; i < lanes; i++)
        places[i] = first + i;
    return emit_shuffle(emitter, vector, LLVMGetPoison(LLVMTypeOf(vector)), places, lanes);
}

static bool is_lanewise(LLVMOpcode opcode)
{
    return opcode == LLVMAnd || opcode == LLVMOr || opcode == LLVMXor || opcode == LLVMAdd || opcode == LLVMSub ||
           opcode == LLVMMul;
}

/* Lanes first..first+lanes-1 of a mask, or of an operand of one. */
static LLVMValueRef mask_part(Emitter *emitter, LLVMValueRef mask, int first, int lanes, int depth)
{
    if (!LLVMIsAInstruction(mask) || depth == DEPTH_MAX)
        return part_of(emitter, mask, first, lanes);
    const LLVMOpcode opcode = LLVMGetInstructionOpcode(mask);
    if (!is_lanewise(opcode) && opcode != LLVMICmp)
        return part_of(emitter, mask, first, lanes);
    LLVMValueRef const a = mask_part(emitter, LLVMGetOperand(mask, 0), first, lanes, depth + 1);
    LLVMValueRef const b = mask_part(emitter, LLVMGetOperand(mask, 1), first, lanes, depth + 1);
    if (opcode == LLVMICmp)
        return LLVMBuildICmp(emitter->builder, LLVMGetICmpPredicate(mask), a, b, "");
    return LLVMBuildBinOp(emitter->builder, opcode, a, b, "");
}

/* Lanes of a register's worth where the access has to be made in parts, else 0. */
static int lanes_of_part(const Emitter *emitter, LLVMValueRef mask, int lanes, int bytes)
{
    /* A target that asks for fewer vectors than LLVM knows registers of gets LLVM's smallest. */
    const int part = (emitter->target->vector_bytes < 16 ? 16 : emitter->target->vector_bytes) / bytes;
    const bool divides = part > 1 && lanes > part && lanes % part == 0 && ((lanes / part) & (lanes / part - 1)) == 0;
    return emit_is_x86(emitter) && !emitter->target->masked && bytes >= 4 && divides && lanes <= 2 * PARTS_MAX &&
                   !LLVMIsConstant(mask)
               ? part
               : 0;
}

/* ---- LLVM's intrinsics ---- */

/* llvm.masked.*: up to LLVM 21 the alignment is an argument, since then an attribute of the pointer. `pointer_at` is
 * the pointer's position. */
LLVMValueRef emit_masked(Emitter *emitter, const char *name, LLVMTypeRef value_type, LLVMTypeRef pointer_type,
                         LLVMValueRef *arguments, int count, int pointer_at, int alignment)
{
    LLVMTypeRef const overloads[2] = {value_type, pointer_type};
    const unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMTypeRef const type = LLVMIntrinsicGetType(emitter->context, id, (LLVMTypeRef *)(uintptr_t)overloads, 2);
    LLVMValueRef all[5];
    int total = 0;
    const bool has_argument = (int)LLVMCountParamTypes(type) > count;
    for (int i = 0; i < count; i++) {
        all[total++] = arguments[i];
        if (i == pointer_at && has_argument)
            all[total++] = emit_int(LLVMInt32TypeInContext(emitter->context), alignment);
    }
    LLVMValueRef const call = emit_intrinsic(emitter, name, overloads, 2, all, total);
    if (!has_argument) {
        const unsigned kind = LLVMGetEnumAttributeKindForName("align", 5);
        LLVMAddCallSiteAttribute(call, (LLVMAttributeIndex)pointer_at + 1,
                                 LLVMCreateEnumAttribute(emitter->context, kind, (uint64_t)alignment));
    }
    return call;
}

static LLVMValueRef address_of_part(Emitter *emitter, LLVMValueRef address, int bytes)
{
    LLVMValueRef const offset = emit_int(emit_index_type(emitter, 1), bytes);
    return LLVMBuildGEP2(emitter->builder, LLVMInt8TypeInContext(emitter->context), address,
                         (LLVMValueRef *)(uintptr_t)&offset, 1, "");
}

LLVMValueRef emit_masked_load(Emitter *emitter, LLVMValueRef address, LLVMValueRef mask, LLVMValueRef otherwise,
                              int bytes)
{
    const int lanes = emit_lanes(otherwise), part = lanes_of_part(emitter, mask, lanes, bytes);
    if (part == 0) {
        LLVMValueRef arguments[] = {address, mask, otherwise};
        return emit_masked(emitter, "llvm.masked.load", LLVMTypeOf(otherwise), LLVMTypeOf(address), arguments, 3, 0,
                           bytes);
    }
    LLVMValueRef parts[PARTS_MAX];
    int count = lanes / part, places[2 * PARTS_MAX];
    for (int i = 0; i < count; i++)
        parts[i] = emit_masked_load(emitter, address_of_part(emitter, address, i * part * bytes),
                                    mask_part(emitter, mask, i * part, part, 0),
                                    part_of(emitter, otherwise, i * part, part), bytes);
    for (int i = 0; i < 2 * PARTS_MAX; i++)
        places[i] = i;
    for (int width = part; count > 1; count /= 2, width *= 2)
        for (int i = 0; i < count / 2; i++)
            parts[i] = emit_shuffle(emitter, parts[2 * i], parts[2 * i + 1], places, 2 * width);
    return parts[0];
}

void emit_masked_store(Emitter *emitter, LLVMValueRef address, LLVMValueRef mask, LLVMValueRef value, int bytes)
{
    const int lanes = emit_lanes(value), part = lanes_of_part(emitter, mask, lanes, bytes);
    if (part == 0) {
        LLVMValueRef arguments[] = {value, address, mask};
        emit_masked(emitter, "llvm.masked.store", LLVMTypeOf(value), LLVMTypeOf(address), arguments, 3, 1, bytes);
        return;
    }
    for (int i = 0; i < lanes / part; i++)
        emit_masked_store(emitter, address_of_part(emitter, address, i * part * bytes),
                          mask_part(emitter, mask, i * part, part, 0), part_of(emitter, value, i * part, part), bytes);
}
