/* Products of bytes added up in fours (OP_dot): one instruction where the machine has one, else two multiplications of
 * 16-bit numbers whose neighbours are added, which is exact as well: the even bytes of all fours, then the odd ones. */
#include "codegen/emit.h"

#include <string.h>

static LLVMValueRef as(Emitter *emitter, LLVMValueRef value, int bits, int lanes)
{
    return LLVMBuildBitCast(emitter->builder, value, emit_int_type(emitter, bits, lanes), "");
}

/* The instruction takes its operands in the types that this LLVM gives them. */
static LLVMValueRef emit_call(Emitter *emitter, const char *name, LLVMValueRef *in, int count)
{
    LLVMTypeRef types[3];
    const unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (!id)
        BUG("LLVM has no %s", name);
    LLVMGetParamTypes(LLVMIntrinsicGetType(emitter->context, id, NULL, 0), types);
    for (int i = 0; i < count; i++)
        in[i] = LLVMBuildBitCast(emitter->builder, in[i], types[i], "");
    return emit_intrinsic(emitter, name, NULL, 0, in, count);
}

/* The even (odd) bytes of `fours` as 16-bit numbers. */
static LLVMValueRef halves(Emitter *emitter, LLVMValueRef fours, int lanes, bool is_signed, bool odd)
{
    LLVMTypeRef const type = emit_int_type(emitter, 16, lanes * 2);
    LLVMValueRef const eight = emit_int(type, 8);
    LLVMValueRef value = LLVMBuildBitCast(emitter->builder, fours, type, "");
    if (!odd)
        value = LLVMBuildShl(emitter->builder, value, eight, "");
    return is_signed ? LLVMBuildAShr(emitter->builder, value, eight, "")
                     : LLVMBuildLShr(emitter->builder, value, eight, "");
}

static LLVMValueRef emit_widened(Emitter *emitter, LLVMValueRef sums, LLVMValueRef a, LLVMValueRef b, int lanes)
{
    const char *const name = lanes == 16 ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd";
    for (int odd = 0; odd < 2; odd++) {
        LLVMValueRef in[2] = {halves(emitter, a, lanes, false, odd), halves(emitter, b, lanes, true, odd)};
        sums = LLVMBuildAdd(emitter->builder, sums, emit_call(emitter, name, in, 2), "");
    }
    return sums;
}

/* One register of sums. */
static LLVMValueRef emit_register(Emitter *emitter, LLVMValueRef sums, LLVMValueRef a, LLVMValueRef b, int lanes)
{
    if (!(emitter->target->cpu_mask & (TARGET_CPU_AVX512_VNNI | TARGET_CPU_AVX_VNNI)))
        return emit_widened(emitter, sums, a, b, lanes);
    LLVMValueRef in[3] = {sums, a, b};
    return emit_call(emitter, lanes == 16 ? "llvm.x86.avx512.vpdpbusd.512" : "llvm.x86.avx512.vpdpbusd.256", in, 3);
}

/* Any machine, any number of sums. */
static LLVMValueRef emit_plain(Emitter *emitter, LLVMValueRef sums, LLVMValueRef a, LLVMValueRef b, int lanes)
{
    LLVMTypeRef const type = emit_int_type(emitter, 32, lanes);
    int *const order = NEW_ARRAY(emitter->arena, int, (size_t)lanes);
    for (int term = 0; term < DOT_TERMS; term++) {
        for (int i = 0; i < lanes; i++)
            order[i] = DOT_TERMS * i + term;
        LLVMValueRef const byte = emit_splat(emitter, emit_lane(emitter, a, term), lanes);
        LLVMValueRef const terms =
            lanes == 1 ? emit_lane(emitter, b, term) : emit_shuffle(emitter, b, NULL, order, lanes);
        LLVMValueRef const product = LLVMBuildMul(emitter->builder, LLVMBuildZExt(emitter->builder, byte, type, ""),
                                                  LLVMBuildSExt(emitter->builder, terms, type, ""), "");
        sums = LLVMBuildAdd(emitter->builder, sums, product, "");
    }
    return sums;
}

LLVMValueRef emit_dot(Emitter *emitter, const LLVMValueRef *operands)
{
    const int lanes = emit_lanes(operands[0]), width = emitter->target->vector_bytes / 4;
    if (!emit_is_x86(emitter) || (width != 8 && width != 16) || (lanes != width && lanes != 2 * width))
        return emit_plain(emitter, operands[0], operands[1], operands[2], lanes);
    LLVMValueRef const four = as(emitter, operands[1], 32, 1), a = emit_splat(emitter, four, width);
    if (lanes == width)
        return emit_register(emitter, operands[0], a, operands[2], lanes);
    /* Two registers. */
    int order[64];
    LLVMValueRef parts[2];
    for (int part = 0; part < 2; part++) {
        for (int i = 0; i < width * DOT_TERMS; i++)
            order[i] = part * width * DOT_TERMS + i;
        LLVMValueRef const b = emit_shuffle(emitter, operands[2], NULL, order, width * DOT_TERMS);
        for (int i = 0; i < width; i++)
            order[i] = part * width + i;
        parts[part] = emit_register(emitter, emit_shuffle(emitter, operands[0], NULL, order, width), a, b, width);
    }
    for (int i = 0; i < lanes; i++)
        order[i] = i;
    return emit_shuffle(emitter, parts[0], parts[1], order, lanes);
}
