/* Types, constants and small instructions of LLVM in terms of dtypes and lanes.
 *
 * A value of a float type below 32 bits is its code in an integer; one of an integer below 8 bits is an i8, sign- or
 * zero-extended; a bool is an i1. */
#include "codegen/emit.h"

#include <string.h>

LLVMTypeRef emit_int_type(Emitter *emitter, int bits, int lanes)
{
    LLVMTypeRef const element = LLVMIntTypeInContext(emitter->context, (unsigned)bits);
    return lanes > 1 ? LLVMVectorType(element, (unsigned)lanes) : element;
}

LLVMTypeRef emit_index_type(Emitter *emitter, int lanes)
{
    return emit_int_type(emitter, emitter->index_bits, lanes);
}

static LLVMTypeRef element_type(Emitter *emitter, Dtype dtype, int bool_bits)
{
    const DtypeInfo *const info = &dtype_info[dtype];
    if (dtype == DTYPE_F32)
        return LLVMFloatTypeInContext(emitter->context);
    if (dtype == DTYPE_F64)
        return LLVMDoubleTypeInContext(emitter->context);
    if (info->kind == CLASS_NONE)
        BUG("a kernel holds a value of type %s", info->name);
    const int bits = dtype == DTYPE_INDEX       ? emitter->index_bits
                     : info->kind == CLASS_BOOL ? bool_bits
                     : info->bits < 8           ? 8
                                                : info->bits;
    return LLVMIntTypeInContext(emitter->context, (unsigned)bits);
}

LLVMTypeRef emit_type(Emitter *emitter, Dtype dtype, int lanes)
{
    LLVMTypeRef const element = element_type(emitter, dtype, 1);
    return lanes > 1 ? LLVMVectorType(element, (unsigned)lanes) : element;
}

LLVMTypeRef emit_memory_type(Emitter *emitter, Dtype dtype, int lanes)
{
    LLVMTypeRef const element = element_type(emitter, dtype, 8);
    return lanes > 1 ? LLVMVectorType(element, (unsigned)lanes) : element;
}

static LLVMValueRef constant_splat(LLVMTypeRef type, LLVMValueRef element)
{
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return element;
    enum { LANES_MAX = 1024 };
    const unsigned lanes = LLVMGetVectorSize(type);
    LLVMValueRef elements[LANES_MAX];
    if (lanes > LANES_MAX)
        BUG("a vector of %u lanes", lanes);
    for (unsigned i = 0; i < lanes; i++)
        elements[i] = element;
    return LLVMConstVector(elements, lanes);
}

static LLVMTypeRef lane_type(LLVMTypeRef type)
{
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMGetElementType(type) : type;
}

LLVMValueRef emit_int(LLVMTypeRef type, int64_t value)
{
    LLVMTypeRef const lane = lane_type(type);
    /* LLVM wants no bits above the type's width. */
    const unsigned width = LLVMGetIntTypeWidth(lane);
    const uint64_t bits = width < 64 ? (uint64_t)value & ((UINT64_C(1) << width) - 1) : (uint64_t)value;
    return constant_splat(type, LLVMConstInt(lane, bits, 0));
}

LLVMValueRef emit_real(LLVMTypeRef type, double value)
{
    return constant_splat(type, LLVMConstReal(lane_type(type), value));
}

LLVMValueRef emit_constant(Emitter *emitter, Dtype dtype, int lanes, uint64_t bits)
{
    LLVMTypeRef const type = emit_type(emitter, dtype, lanes), lane = lane_type(type);
    const LLVMTypeKind kind = LLVMGetTypeKind(lane);
    if (kind == LLVMIntegerTypeKind)
        return emit_int(type, (int64_t)bits);
    const int width = kind == LLVMDoubleTypeKind ? 64 : 32;
    LLVMValueRef const code = emit_int(emit_int_type(emitter, width, 1), (int64_t)bits);
    return constant_splat(type, LLVMConstBitCast(code, lane));
}

LLVMValueRef emit_shuffle(Emitter *emitter, LLVMValueRef a, LLVMValueRef b, const int *lanes, int count)
{
    LLVMTypeRef const index = LLVMInt32TypeInContext(emitter->context);
    LLVMValueRef *const mask = NEW_ARRAY(emitter->arena, LLVMValueRef, (size_t)count);
    for (int i = 0; i < count; i++)
        mask[i] = lanes[i] < 0 ? LLVMGetUndef(index) : emit_int(index, lanes[i]);
    return LLVMBuildShuffleVector(emitter->builder, a, b ? b : LLVMGetPoison(LLVMTypeOf(a)),
                                  LLVMConstVector(mask, (unsigned)count), "");
}

LLVMValueRef emit_splat(Emitter *emitter, LLVMValueRef scalar, int lanes)
{
    if (lanes == 1)
        return scalar;
    LLVMTypeRef const type = LLVMVectorType(LLVMTypeOf(scalar), (unsigned)lanes);
    LLVMTypeRef const index = LLVMInt32TypeInContext(emitter->context);
    LLVMValueRef const first =
        LLVMBuildInsertElement(emitter->builder, LLVMGetPoison(type), scalar, emit_int(index, 0), "");
    LLVMValueRef const zeros = LLVMConstNull(LLVMVectorType(index, (unsigned)lanes));
    return LLVMBuildShuffleVector(emitter->builder, first, LLVMGetPoison(type), zeros, "");
}

int emit_lanes(LLVMValueRef value)
{
    LLVMTypeRef const type = LLVMTypeOf(value);
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(type) : 1;
}

LLVMValueRef emit_lane(Emitter *emitter, LLVMValueRef vector, int lane)
{
    if (emit_lanes(vector) == 1 && LLVMGetTypeKind(LLVMTypeOf(vector)) != LLVMVectorTypeKind)
        return vector;
    LLVMValueRef const index = emit_int(LLVMInt32TypeInContext(emitter->context), lane);
    return LLVMBuildExtractElement(emitter->builder, vector, index, "");
}

LLVMValueRef emit_intrinsic(Emitter *emitter, const char *name, const LLVMTypeRef *overloads, int overload_count,
                            const LLVMValueRef *arguments, int count)
{
    const unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (!id)
        BUG("LLVM has no %s", name);
    LLVMTypeRef *const types = (LLVMTypeRef *)(uintptr_t)overloads;
    LLVMValueRef const callee = LLVMGetIntrinsicDeclaration(emitter->module, id, types, (size_t)overload_count);
    LLVMTypeRef const type = LLVMIntrinsicGetType(emitter->context, id, types, (size_t)overload_count);
    return LLVMBuildCall2(emitter->builder, type, callee, (LLVMValueRef *)(uintptr_t)arguments, (unsigned)count, "");
}
