/* Scalar operations in steps, for machines that have no instruction for them: LLVM would call a library, lane by lane,
 * or has no code at all. */
#include "codegen/emit.h"

#include <math.h>

static LLVMValueRef choose(Emitter *emitter, LLVMValueRef condition, LLVMValueRef yes, LLVMValueRef no)
{
    return LLVMBuildSelect(emitter->builder, condition, yes, no, "");
}

static LLVMValueRef compare(Emitter *emitter, LLVMRealPredicate predicate, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildFCmp(emitter->builder, predicate, a, b, "");
}

static LLVMValueRef call(Emitter *emitter, const char *name, LLVMValueRef a, LLVMValueRef b)
{
    const LLVMTypeRef type = LLVMTypeOf(a);
    return emit_intrinsic(emitter, name, &type, 1, (LLVMValueRef[]){a, b}, b ? 2 : 1);
}

/* Adding and taking away 2^23 (f64: 2^52) leaves the nearest whole number, ties to even; from there on every float is
 * whole, and so is what is no number. */
LLVMValueRef emit_round_in_steps(Emitter *emitter, Op op, Dtype dtype, LLVMValueRef value)
{
    LLVMBuilderRef const builder = emitter->builder;
    LLVMTypeRef const type = LLVMTypeOf(value);
    LLVMValueRef const large = emit_real(type, dtype == DTYPE_F32 ? 0x1p23 : 0x1p52), one = emit_real(type, 1);
    LLVMValueRef const magnitude = call(emitter, "llvm.fabs", value, NULL);
    LLVMValueRef const nearest = LLVMBuildFSub(builder, LLVMBuildFAdd(builder, magnitude, large, ""), large, "");
    LLVMValueRef const is_small = compare(emitter, LLVMRealOLT, magnitude, large);
    /* The sign of the value also where zero is left. */
    LLVMValueRef whole = call(emitter, "llvm.copysign", nearest, value);
    if (op == OP_trunc) {
        LLVMValueRef const less = LLVMBuildFSub(builder, nearest, one, "");
        whole = choose(emitter, compare(emitter, LLVMRealOGT, nearest, magnitude), less, nearest);
    } else if (op == OP_floor) {
        LLVMValueRef const less = LLVMBuildFSub(builder, whole, one, "");
        whole = choose(emitter, compare(emitter, LLVMRealOGT, whole, value), less, whole);
    } else if (op == OP_ceil) {
        LLVMValueRef const more = LLVMBuildFAdd(builder, whole, one, "");
        whole = choose(emitter, compare(emitter, LLVMRealOLT, whole, value), more, whole);
    }
    return choose(emitter, is_small, call(emitter, "llvm.copysign", whole, value), value);
}

/* Equal numbers have equal bits but for zeros, whose signs meet; what is no number goes through the sum. */
LLVMValueRef emit_extremum_in_steps(Emitter *emitter, Dtype dtype, bool is_max, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef const builder = emitter->builder;
    LLVMTypeRef const type = LLVMTypeOf(a), bits = emit_int_type(emitter, dtype_info[dtype].bits, emit_lanes(a));
    LLVMValueRef const a_bits = LLVMBuildBitCast(builder, a, bits, ""), b_bits = LLVMBuildBitCast(builder, b, bits, "");
    LLVMValueRef const both =
        is_max ? LLVMBuildAnd(builder, a_bits, b_bits, "") : LLVMBuildOr(builder, a_bits, b_bits, "");
    LLVMValueRef value = choose(emitter, compare(emitter, is_max ? LLVMRealOGT : LLVMRealOLT, a, b), a, b);
    value = choose(emitter, compare(emitter, LLVMRealOEQ, a, b), LLVMBuildBitCast(builder, both, type, ""), value);
    return choose(emitter, compare(emitter, LLVMRealUNO, a, b), LLVMBuildFAdd(builder, a, b, ""), value);
}
