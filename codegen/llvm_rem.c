/* The remainder of floats where there is no libm: exact, as C's fmod.
 *
 * With a and b the magnitudes: t = b doubled as long as it is not above a; then, from there down to b, t is taken away
 * wherever a reaches it. Every step is exact: a - t for t <= a < 2t, and halves of what was doubled. At most as many
 * steps as the exponents differ. */
#include "codegen/emit.h"

#include <math.h>
#include <string.h>

typedef struct Rem {
    Emitter *emitter;
    LLVMBuilderRef builder;
    LLVMValueRef function, a, b;
    LLVMTypeRef type;
} Rem;

static LLVMBasicBlockRef block(const Rem *rem, const char *name)
{
    return LLVMAppendBasicBlockInContext(rem->emitter->context, rem->function, name);
}

static LLVMValueRef compare(const Rem *rem, LLVMRealPredicate predicate, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildFCmp(rem->builder, predicate, a, b, "");
}

static LLVMValueRef variable(const Rem *rem, const char *name)
{
    return LLVMBuildPhi(rem->builder, rem->type, name);
}

static void incoming(LLVMValueRef phi, LLVMValueRef value, LLVMBasicBlockRef from)
{
    LLVMAddIncoming(phi, &value, &from, 1);
}

/* Doubles b up to a, in a block that goes round to itself. Continues in `next` with the last t. */
static LLVMValueRef grow(const Rem *rem, LLVMBasicBlockRef before, LLVMBasicBlockRef next)
{
    LLVMBasicBlockRef const loop = block(rem, "grow");
    LLVMBuildBr(rem->builder, loop);
    LLVMPositionBuilderAtEnd(rem->builder, loop);
    LLVMValueRef const t = variable(rem, "t");
    LLVMValueRef const twice = LLVMBuildFAdd(rem->builder, t, t, "");
    incoming(t, rem->b, before);
    incoming(t, twice, loop);
    LLVMBuildCondBr(rem->builder, compare(rem, LLVMRealOLE, twice, rem->a), loop, next);
    return t;
}

/* Takes t, t/2 ... b away. Continues in `next` with what is left. */
static LLVMValueRef shrink(const Rem *rem, LLVMValueRef t, LLVMBasicBlockRef before, LLVMBasicBlockRef loop,
                           LLVMBasicBlockRef next)
{
    LLVMPositionBuilderAtEnd(rem->builder, loop);
    LLVMValueRef const left = variable(rem, "left"), step = variable(rem, "step");
    LLVMValueRef const taken = LLVMBuildFSub(rem->builder, left, step, "");
    LLVMValueRef const rest = LLVMBuildSelect(rem->builder, compare(rem, LLVMRealOGE, left, step), taken, left, "rest");
    LLVMValueRef const half = LLVMBuildFMul(rem->builder, step, emit_real(rem->type, 0.5), "");
    incoming(left, rem->a, before);
    incoming(left, rest, loop);
    incoming(step, t, before);
    incoming(step, half, loop);
    LLVMBuildCondBr(rem->builder, compare(rem, LLVMRealOGT, step, rem->b), loop, next);
    return rest;
}

/* The body of the function: finite a >= b > 0 go round, everything else is known. */
static void define(Rem *rem, LLVMValueRef x, LLVMValueRef y)
{
    LLVMBuilderRef const builder = rem->builder;
    LLVMBasicBlockRef const entry = block(rem, "entry"), work = block(rem, "work"), down = block(rem, "down"),
                            done = block(rem, "done");
    LLVMPositionBuilderAtEnd(builder, entry);
    rem->a = emit_intrinsic(rem->emitter, "llvm.fabs", &rem->type, 1, &x, 1);
    rem->b = emit_intrinsic(rem->emitter, "llvm.fabs", &rem->type, 1, &y, 1);
    LLVMValueRef const finite = compare(rem, LLVMRealOLT, rem->a, emit_real(rem->type, INFINITY));
    LLVMValueRef const nonzero = compare(rem, LLVMRealOGT, rem->b, emit_real(rem->type, 0));
    LLVMValueRef const defined = LLVMBuildAnd(builder, finite, nonzero, "");
    LLVMValueRef const known = LLVMBuildSelect(builder, defined, rem->a, emit_real(rem->type, NAN), "");
    LLVMValueRef const goes = LLVMBuildAnd(builder, defined, compare(rem, LLVMRealOGE, rem->a, rem->b), "");
    LLVMBuildCondBr(builder, goes, work, done);
    LLVMPositionBuilderAtEnd(builder, work);
    LLVMValueRef const t = grow(rem, work, down);
    LLVMBasicBlockRef const grown = LLVMGetInstructionParent(t);
    LLVMValueRef const rest = shrink(rem, t, grown, down, done);
    LLVMPositionBuilderAtEnd(builder, done);
    LLVMValueRef const magnitude = variable(rem, "magnitude");
    incoming(magnitude, known, entry);
    incoming(magnitude, rest, down);
    const LLVMValueRef arguments[] = {magnitude, x};
    LLVMBuildRet(builder, emit_intrinsic(rem->emitter, "llvm.copysign", &rem->type, 1, arguments, 2));
}

static LLVMValueRef function_of(Emitter *emitter, LLVMTypeRef type)
{
    const char *const name = LLVMGetTypeKind(type) == LLVMFloatTypeKind ? "lathe_rem_f32" : "lathe_rem_f64";
    LLVMValueRef const known = LLVMGetNamedFunction(emitter->module, name);
    if (known)
        return known;
    LLVMTypeRef const parameters[] = {type, type};
    LLVMValueRef const function =
        LLVMAddFunction(emitter->module, name, LLVMFunctionType(type, (LLVMTypeRef *)(uintptr_t)parameters, 2, 0));
    LLVMSetLinkage(function, LLVMInternalLinkage);
    LLVMBasicBlockRef const here = LLVMGetInsertBlock(emitter->builder);
    Rem rem = {.emitter = emitter, .builder = emitter->builder, .function = function, .type = type};
    define(&rem, LLVMGetParam(function, 0), LLVMGetParam(function, 1));
    emit_in(emitter, here);
    return function;
}

LLVMValueRef emit_exact_rem(Emitter *emitter, LLVMValueRef dividend, LLVMValueRef divisor)
{
    LLVMTypeRef const type = LLVMTypeOf(dividend);
    const int lanes = emit_lanes(dividend);
    LLVMTypeRef const lane = lanes > 1 ? LLVMGetElementType(type) : type;
    LLVMValueRef const function = function_of(emitter, lane);
    LLVMValueRef result = lanes > 1 ? LLVMGetPoison(type) : NULL;
    for (int i = 0; i < lanes; i++) {
        LLVMValueRef arguments[] = {emit_lane(emitter, dividend, i), emit_lane(emitter, divisor, i)};
        LLVMValueRef const rest =
            LLVMBuildCall2(emitter->builder, LLVMGlobalGetValueType(function), function, arguments, 2, "");
        result = lanes == 1 ? rest
                            : LLVMBuildInsertElement(emitter->builder, result, rest,
                                                     emit_int(LLVMInt32TypeInContext(emitter->context), i), "");
    }
    return result;
}
