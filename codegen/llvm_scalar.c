/* Scalar operations: every row of scalar.def that a kernel may hold, defined for all inputs as ir/scalar.h says. */
#include "codegen/emit.h"
#include "codegen/soft.h"
#include "ir/scalar.h"

#include <math.h>
#include <string.h>

/* What is being computed: op on values of `dtype` with their LLVM type. nodes may be NULL: operands of which nothing is
 * known. */
typedef struct Operation {
    Op op;
    Dtype dtype;
    LLVMTypeRef type;
    const Node *const *nodes;
    LLVMValueRef *in;
} Operation;

typedef LLVMValueRef Rule(Emitter *emitter, const Operation *operation);

static LLVMValueRef intrinsic_of(Emitter *emitter, const char *name, const Operation *operation, int count)
{
    return emit_intrinsic(emitter, name, &operation->type, 1, operation->in, count);
}

static LLVMValueRef choose(Emitter *emitter, LLVMValueRef condition, LLVMValueRef yes, LLVMValueRef no)
{
    return LLVMBuildSelect(emitter->builder, condition, yes, no, "");
}

static LLVMValueRef compare(Emitter *emitter, LLVMIntPredicate predicate, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildICmp(emitter->builder, predicate, a, b, "");
}

static bool is_constant(const Operation *operation, int i, int64_t *value)
{
    return operation->nodes && const_is_int(operation->nodes[i], value);
}

/* ---- integers ---- */

static int bits_of(const Emitter *emitter, const Operation *operation)
{
    return operation->dtype == DTYPE_INDEX ? emitter->index_bits : dtype_info[operation->dtype].bits;
}

/* The divisor with 0 (and, signed, -1 under the least value) replaced by 1; the dividend then is the quotient, wrapped.
 */
static LLVMValueRef safe_divisor(Emitter *emitter, const Operation *operation)
{
    LLVMBuilderRef const builder = emitter->builder;
    int64_t constant;
    if (is_constant(operation, 1, &constant) && constant != 0 && constant != -1)
        return operation->in[1];
    LLVMValueRef unsafe = compare(emitter, LLVMIntEQ, operation->in[1], emit_int(operation->type, 0));
    if (dtype_is_signed(operation->dtype)) {
        const int bits = bits_of(emitter, operation);
        LLVMValueRef const least = emit_int(operation->type, (int64_t)(UINT64_C(1) << (bits - 1)));
        LLVMValueRef const overflow =
            LLVMBuildAnd(builder, compare(emitter, LLVMIntEQ, operation->in[0], least),
                         compare(emitter, LLVMIntEQ, operation->in[1], emit_int(operation->type, -1)), "");
        unsafe = LLVMBuildOr(builder, unsafe, overflow, "");
    }
    return choose(emitter, unsafe, emit_int(operation->type, 1), operation->in[1]);
}

static LLVMValueRef zero_if_zero_divisor(Emitter *emitter, const Operation *operation, LLVMValueRef value)
{
    int64_t constant;
    if (is_constant(operation, 1, &constant) && constant != 0)
        return value;
    LLVMValueRef const zero = emit_int(operation->type, 0);
    return choose(emitter, compare(emitter, LLVMIntEQ, operation->in[1], zero), zero, value);
}

static LLVMValueRef integer_div(Emitter *emitter, const Operation *operation)
{
    LLVMValueRef const divisor = safe_divisor(emitter, operation);
    LLVMValueRef const quotient = dtype_is_signed(operation->dtype)
                                      ? LLVMBuildSDiv(emitter->builder, operation->in[0], divisor, "")
                                      : LLVMBuildUDiv(emitter->builder, operation->in[0], divisor, "");
    return zero_if_zero_divisor(emitter, operation, quotient);
}

static LLVMValueRef integer_rem(Emitter *emitter, const Operation *operation)
{
    /* x rem 1 is 0, which is what a zero divisor and MIN rem -1 give. */
    LLVMValueRef const divisor = safe_divisor(emitter, operation);
    return dtype_is_signed(operation->dtype) ? LLVMBuildSRem(emitter->builder, operation->in[0], divisor, "")
                                             : LLVMBuildURem(emitter->builder, operation->in[0], divisor, "");
}

static LLVMValueRef rounds_down(Emitter *emitter, const Operation *operation, LLVMValueRef rest)
{
    LLVMValueRef const zero = emit_int(operation->type, 0);
    LLVMValueRef const signs = LLVMBuildXor(emitter->builder, rest, operation->in[1], "");
    return LLVMBuildAnd(emitter->builder, compare(emitter, LLVMIntNE, rest, zero),
                        compare(emitter, LLVMIntSLT, signs, zero), "");
}

/* Indices that are known not to be negative divide without corrections. */
static bool is_natural(Emitter *emitter, const Operation *operation)
{
    int64_t divisor;
    return operation->dtype == DTYPE_INDEX && is_constant(operation, 1, &divisor) && divisor > 0 &&
           operation->nodes[0]->type.lanes == 1 &&
           index_range(emitter->ir, (Node *)(uintptr_t)operation->nodes[0]).low >= 0;
}

static int power_of_two(const Operation *operation)
{
    int64_t divisor;
    if (!is_constant(operation, 1, &divisor) || divisor <= 0 || (divisor & (divisor - 1)) != 0)
        return -1;
    return __builtin_ctzll((uint64_t)divisor);
}

static LLVMValueRef integer_floordiv(Emitter *emitter, const Operation *operation)
{
    if (!dtype_is_signed(operation->dtype))
        return integer_div(emitter, operation);
    const int shift = power_of_two(operation);
    if (shift >= 0)
        return LLVMBuildAShr(emitter->builder, operation->in[0], emit_int(operation->type, shift), "");
    if (is_natural(emitter, operation))
        return LLVMBuildUDiv(emitter->builder, operation->in[0], operation->in[1], "");
    LLVMValueRef const quotient = integer_div(emitter, operation);
    LLVMValueRef const down = rounds_down(emitter, operation, integer_rem(emitter, operation));
    return choose(emitter, down, LLVMBuildSub(emitter->builder, quotient, emit_int(operation->type, 1), ""), quotient);
}

static LLVMValueRef integer_mod(Emitter *emitter, const Operation *operation)
{
    if (!dtype_is_signed(operation->dtype))
        return integer_rem(emitter, operation);
    if (power_of_two(operation) >= 0) {
        int64_t divisor = 0;
        is_constant(operation, 1, &divisor);
        return LLVMBuildAnd(emitter->builder, operation->in[0], emit_int(operation->type, divisor - 1), "");
    }
    if (is_natural(emitter, operation))
        return LLVMBuildURem(emitter->builder, operation->in[0], operation->in[1], "");
    LLVMValueRef const rest = integer_rem(emitter, operation);
    LLVMValueRef const down = rounds_down(emitter, operation, rest);
    return choose(emitter, down, LLVMBuildAdd(emitter->builder, rest, operation->in[1], ""), rest);
}

static LLVMValueRef integer_min(Emitter *emitter, const Operation *operation)
{
    return intrinsic_of(emitter, dtype_is_signed(operation->dtype) ? "llvm.smin" : "llvm.umin", operation, 2);
}

static LLVMValueRef integer_max(Emitter *emitter, const Operation *operation)
{
    return intrinsic_of(emitter, dtype_is_signed(operation->dtype) ? "llvm.smax" : "llvm.umax", operation, 2);
}

static LLVMValueRef integer_neg(Emitter *emitter, const Operation *operation)
{
    return LLVMBuildNeg(emitter->builder, operation->in[0], "");
}

static LLVMValueRef integer_abs(Emitter *emitter, const Operation *operation)
{
    if (!dtype_is_signed(operation->dtype))
        return operation->in[0];
    LLVMValueRef const zero = emit_int(operation->type, 0);
    LLVMValueRef const negative = compare(emitter, LLVMIntSLT, operation->in[0], zero);
    return choose(emitter, negative, LLVMBuildNeg(emitter->builder, operation->in[0], ""), operation->in[0]);
}

static LLVMValueRef integer_not(Emitter *emitter, const Operation *operation)
{
    return LLVMBuildNot(emitter->builder, operation->in[0], "");
}

/* A shift by too much is poison in LLVM, also where a select drops it: the amount is made small first. */
static LLVMValueRef integer_shl(Emitter *emitter, const Operation *operation)
{
    const int bits = bits_of(emitter, operation);
    LLVMValueRef const inside = compare(emitter, LLVMIntULT, operation->in[1], emit_int(operation->type, bits));
    LLVMValueRef const amount =
        LLVMBuildAnd(emitter->builder, operation->in[1], emit_int(operation->type, bits - 1), "");
    return choose(emitter, inside, LLVMBuildShl(emitter->builder, operation->in[0], amount, ""),
                  emit_int(operation->type, 0));
}

static LLVMValueRef integer_shr(Emitter *emitter, const Operation *operation)
{
    const int bits = bits_of(emitter, operation);
    LLVMValueRef const last = emit_int(operation->type, bits - 1);
    LLVMValueRef const inside = compare(emitter, LLVMIntULT, operation->in[1], emit_int(operation->type, bits));
    if (dtype_is_signed(operation->dtype))
        return LLVMBuildAShr(emitter->builder, operation->in[0], choose(emitter, inside, operation->in[1], last), "");
    LLVMValueRef const amount = LLVMBuildAnd(emitter->builder, operation->in[1], last, "");
    return choose(emitter, inside, LLVMBuildLShr(emitter->builder, operation->in[0], amount, ""),
                  emit_int(operation->type, 0));
}

/* ---- floats ---- */

static LLVMValueRef float_compare(Emitter *emitter, LLVMRealPredicate predicate, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildFCmp(emitter->builder, predicate, a, b, "");
}

/* LLVM makes a call of libm's fmod of it, or, for a GPU, something that is only nearly it. */
static LLVMValueRef float_rem(Emitter *emitter, const Operation *operation)
{
    if (emitter->target->gpu || (emitter->target->lacks & TARGET_LACKS_LIBM))
        return emit_exact_rem(emitter, operation->in[0], operation->in[1]);
    return LLVMBuildFRem(emitter->builder, operation->in[0], operation->in[1], "");
}

/* Python's %: the sign of the divisor, zeros included. */
static LLVMValueRef float_mod(Emitter *emitter, const Operation *operation)
{
    LLVMValueRef const zero = emit_real(operation->type, 0);
    LLVMValueRef const rest = float_rem(emitter, operation), divisor = operation->in[1];
    LLVMValueRef const other_sign = LLVMBuildXor(emitter->builder, float_compare(emitter, LLVMRealOLT, rest, zero),
                                                 float_compare(emitter, LLVMRealOLT, divisor, zero), "");
    LLVMValueRef const moved = LLVMBuildFAdd(emitter->builder, rest, divisor, "");
    LLVMValueRef const signed_zero =
        emit_intrinsic(emitter, "llvm.copysign", &operation->type, 1, (LLVMValueRef[]){zero, divisor}, 2);
    return choose(emitter, float_compare(emitter, LLVMRealOEQ, rest, zero), signed_zero,
                  choose(emitter, other_sign, moved, rest));
}

/* AVX-512's range instruction orders zeros as we do and differs only in NaN, where x + y is right: three instructions,
 * LLVM's own minimum and maximum take six. `first`: the lane of the operands that one register starts with. */
static LLVMValueRef range_register(Emitter *emitter, const Operation *operation, bool is_max, int first, int count)
{
    LLVMBuilderRef const builder = emitter->builder;
    LLVMTypeRef const word = LLVMInt32TypeInContext(emitter->context);
    LLVMValueRef in[2];
    int lanes[16];
    for (int i = 0; i < count; i++)
        lanes[i] = first + i;
    for (int i = 0; i < 2; i++)
        in[i] = emit_lanes(operation->in[i]) == count ? operation->in[i]
                                                      : emit_shuffle(emitter, operation->in[i], NULL, lanes, count);
    enum { KEEP_SIGN = 4, MAXIMUM = 1, CURRENT_ROUNDING = 4 };
    const LLVMValueRef arguments[] = {in[0],
                                      in[1],
                                      emit_int(word, KEEP_SIGN | (is_max ? MAXIMUM : 0)),
                                      LLVMConstNull(LLVMTypeOf(in[0])),
                                      emit_int(emit_int_type(emitter, count, 1), -1),
                                      emit_int(word, CURRENT_ROUNDING)};
    const char *const name = count == 16 ? "llvm.x86.avx512.mask.range.ps.512" : "llvm.x86.avx512.mask.range.pd.512";
    LLVMValueRef const value = emit_intrinsic(emitter, name, NULL, 0, arguments, 6);
    return choose(emitter, float_compare(emitter, LLVMRealUNO, in[0], in[1]), LLVMBuildFAdd(builder, in[0], in[1], ""),
                  value);
}

/* NULL where the instruction is missing or the lanes do not fill registers. */
static LLVMValueRef range_extremum(Emitter *emitter, const Operation *operation, bool is_max)
{
    const int lanes = emit_lanes(operation->in[0]), count = operation->dtype == DTYPE_F32 ? 16 : 8;
    const int registers = lanes / count;
    const bool fills = lanes % count == 0 && registers > 0 && registers <= 16 && (registers & (registers - 1)) == 0;
    if (!(emitter->target->cpu_mask & TARGET_CPU_AVX512) || !fills)
        return NULL;
    LLVMValueRef parts[16];
    for (int i = 0; i < registers; i++)
        parts[i] = range_register(emitter, operation, is_max, i * count, count);
    int order[256];
    for (int i = 0; i < 256; i++)
        order[i] = i;
    for (int width = 1; width < registers; width *= 2)
        for (int i = 0; i < registers; i += 2 * width)
            parts[i] = emit_shuffle(emitter, parts[i], parts[i + width], order, 2 * width * count);
    return parts[0];
}

/* Where LLVM would call the C library. Equal values have the same bits but for zeros, whose signs are joined. */
static LLVMValueRef extremum_of_comparisons(Emitter *emitter, const Operation *operation, bool is_max)
{
    LLVMBuilderRef const builder = emitter->builder;
    LLVMValueRef const a = operation->in[0], b = operation->in[1];
    LLVMTypeRef const bits =
        emit_int_type(emitter, operation->dtype == DTYPE_F64 ? 64 : 32, emit_lanes(operation->in[0]));
    LLVMValueRef const a_bits = LLVMBuildBitCast(builder, a, bits, ""), b_bits = LLVMBuildBitCast(builder, b, bits, "");
    LLVMValueRef const joined =
        is_max ? LLVMBuildAnd(builder, a_bits, b_bits, "") : LLVMBuildOr(builder, a_bits, b_bits, "");
    LLVMValueRef const better = float_compare(emitter, is_max ? LLVMRealOGT : LLVMRealOLT, a, b);
    LLVMValueRef const value =
        choose(emitter, float_compare(emitter, LLVMRealOEQ, a, b),
               LLVMBuildBitCast(builder, joined, operation->type, ""), choose(emitter, better, a, b));
    return choose(emitter, float_compare(emitter, LLVMRealUNO, a, b), LLVMBuildFAdd(builder, a, b, ""), value);
}

/* Against a constant one machine instruction is enough: `c > x ? c : x` gives x when x is NaN, and zeros need care only
 * when both sides can be zeros of different sign. */
static LLVMValueRef float_extremum(Emitter *emitter, const Operation *operation, bool is_max)
{
    for (int i = 0; i < 2 && operation->nodes; i++) {
        if (operation->nodes[i]->op != OP_const)
            continue;
        const double constant = const_as_double(operation->nodes[i]);
        LLVMValueRef const c = operation->in[i], x = operation->in[1 - i];
        if (isnan(constant) || (!is_max && constant == 0 && signbit(constant)))
            break;
        LLVMValueRef const better = float_compare(emitter, is_max ? LLVMRealOGT : LLVMRealOLT, c, x);
        LLVMValueRef const result = choose(emitter, better, c, x);
        /* max(+0, -0) is +0, and -0 + +0 is +0; every other value stays. */
        const bool fix_zero = is_max && constant == 0 && !signbit(constant);
        return fix_zero ? LLVMBuildFAdd(emitter->builder, result, emit_real(operation->type, 0), "") : result;
    }
    if (emitter->target->lacks & (operation->dtype == DTYPE_F64 ? TARGET_LACKS_F64 : TARGET_LACKS_F32))
        return extremum_of_comparisons(emitter, operation, is_max);
    /* LLVM's backend for 32-bit ARM has none of f64. */
    if (operation->dtype == DTYPE_F64 && emitter->target->family->pointer_bits == 32)
        return emit_extremum_in_steps(emitter, DTYPE_F64, is_max, operation->in[0], operation->in[1]);
    LLVMValueRef const value = range_extremum(emitter, operation, is_max);
    return value ? value : intrinsic_of(emitter, is_max ? "llvm.maximum" : "llvm.minimum", operation, 2);
}

static LLVMValueRef float_min(Emitter *emitter, const Operation *operation)
{
    return float_extremum(emitter, operation, false);
}

static LLVMValueRef float_max(Emitter *emitter, const Operation *operation)
{
    return float_extremum(emitter, operation, true);
}

static LLVMValueRef float_neg(Emitter *emitter, const Operation *operation)
{
    return LLVMBuildFNeg(emitter->builder, operation->in[0], "");
}

/* Of f64 on CPUs by a choice: where the result is rounded to f16, LLVM for x86 rounds the sign's operand in one step,
 * by a function that only its own library has (and of the bits put together it makes the same again). */
static LLVMValueRef float_copysign(Emitter *emitter, const Operation *operation)
{
    if (operation->dtype != DTYPE_F64 || emitter->target->gpu)
        return intrinsic_of(emitter, "llvm.copysign", operation, 2);
    LLVMTypeRef const bits = emit_type(emitter, DTYPE_I64, emit_lanes(operation->in[0]));
    LLVMValueRef const magnitude = intrinsic_of(emitter, "llvm.fabs", operation, 1);
    LLVMValueRef const signs = LLVMBuildBitCast(emitter->builder, operation->in[1], bits, "");
    LLVMValueRef const negative = LLVMBuildICmp(emitter->builder, LLVMIntSLT, signs, emit_int(bits, 0), "");
    return choose(emitter, negative, LLVMBuildFNeg(emitter->builder, magnitude, ""), magnitude);
}

static LLVMValueRef float_isnan(Emitter *emitter, const Operation *operation)
{
    return float_compare(emitter, LLVMRealUNO, operation->in[0], operation->in[0]);
}

static LLVMValueRef float_isinf(Emitter *emitter, const Operation *operation)
{
    LLVMValueRef const magnitude = intrinsic_of(emitter, "llvm.fabs", operation, 1);
    return float_compare(emitter, LLVMRealOEQ, magnitude, emit_real(operation->type, INFINITY));
}

/* ---- the table ---- */

/* How an operation is made per class: one instruction (opcode), one intrinsic of the same type, or a rule above. */
typedef struct Row {
    LLVMOpcode float_opcode, integer_opcode;
    const char *float_intrinsic;
    Rule *float_rule, *integer_rule;
    int float_predicate, signed_predicate, unsigned_predicate; /* comparisons */
} Row;

#define ROW(op) [OP_##op - OP_SCALAR_FIRST]
static const Row rows[OP_SCALAR_END - OP_SCALAR_FIRST] = {
    ROW(add) = {.float_opcode = LLVMFAdd, .integer_opcode = LLVMAdd},
    ROW(sub) = {.float_opcode = LLVMFSub, .integer_opcode = LLVMSub},
    ROW(mul) = {.float_opcode = LLVMFMul, .integer_opcode = LLVMMul},
    ROW(div) = {.float_opcode = LLVMFDiv, .integer_rule = integer_div},
    ROW(rem) = {.float_rule = float_rem, .integer_rule = integer_rem},
    ROW(floordiv) = {.integer_rule = integer_floordiv},
    ROW(mod) = {.float_rule = float_mod, .integer_rule = integer_mod},
    ROW(min) = {.float_rule = float_min, .integer_rule = integer_min},
    ROW(max) = {.float_rule = float_max, .integer_rule = integer_max},
    ROW(fma) = {.float_intrinsic = "llvm.fma"},
    ROW(neg) = {.float_rule = float_neg, .integer_rule = integer_neg},
    ROW(abs) = {.float_intrinsic = "llvm.fabs", .integer_rule = integer_abs},
    ROW(sqrt) = {.float_intrinsic = "llvm.sqrt"},
    ROW(floor) = {.float_intrinsic = "llvm.floor"},
    ROW(ceil) = {.float_intrinsic = "llvm.ceil"},
    ROW(trunc) = {.float_intrinsic = "llvm.trunc"},
    ROW(round) = {.float_intrinsic = "llvm.roundeven"},
    ROW(copysign) = {.float_rule = float_copysign},
    ROW(and) = {.integer_opcode = LLVMAnd},
    ROW(or) = {.integer_opcode = LLVMOr},
    ROW(xor) = {.integer_opcode = LLVMXor},
    ROW(not ) = {.integer_rule = integer_not},
    ROW(shl) = {.integer_rule = integer_shl},
    ROW(shr) = {.integer_rule = integer_shr},
    ROW(eq) = {.float_predicate = LLVMRealOEQ, .signed_predicate = LLVMIntEQ, .unsigned_predicate = LLVMIntEQ},
    ROW(ne) = {.float_predicate = LLVMRealUNE, .signed_predicate = LLVMIntNE, .unsigned_predicate = LLVMIntNE},
    ROW(lt) = {.float_predicate = LLVMRealOLT, .signed_predicate = LLVMIntSLT, .unsigned_predicate = LLVMIntULT},
    ROW(le) = {.float_predicate = LLVMRealOLE, .signed_predicate = LLVMIntSLE, .unsigned_predicate = LLVMIntULE},
    ROW(gt) = {.float_predicate = LLVMRealOGT, .signed_predicate = LLVMIntSGT, .unsigned_predicate = LLVMIntUGT},
    ROW(ge) = {.float_predicate = LLVMRealOGE, .signed_predicate = LLVMIntSGE, .unsigned_predicate = LLVMIntUGE},
    ROW(isnan) = {.float_rule = float_isnan},
    ROW(isinf) = {.float_rule = float_isinf},
};
#undef ROW

/* Lane by lane through a function of ours (codegen/soft.h). */
static LLVMValueRef soft_operation(Emitter *emitter, const Operation *operation, const char *name)
{
    const int lanes = emit_lanes(operation->in[0]), arity = scalar_arity(operation->op);
    LLVMTypeRef const type = emit_type(emitter, operation->dtype, 1);
    LLVMTypeRef function_type = LLVMFunctionType(type, (LLVMTypeRef[]){type, type, type}, (unsigned)arity, 0);
    LLVMValueRef function = LLVMGetNamedFunction(emitter->module, name);
    if (!function) {
        function = LLVMAddFunction(emitter->module, name, function_type);
        LLVMSetVisibility(function, LLVMHiddenVisibility);
    }
    LLVMValueRef result = LLVMGetPoison(operation->type);
    for (int lane = 0; lane < lanes; lane++) {
        LLVMValueRef in[3] = {NULL};
        for (int i = 0; i < arity; i++)
            in[i] = emit_lane(emitter, operation->in[i], lane);
        LLVMValueRef const value = LLVMBuildCall2(emitter->builder, function_type, function, in, (unsigned)arity, "");
        LLVMValueRef const index = emit_int(LLVMInt32TypeInContext(emitter->context), lane);
        result = lanes == 1 ? value : LLVMBuildInsertElement(emitter->builder, result, value, index, "");
    }
    return result;
}

static LLVMValueRef float_operation(Emitter *emitter, const Operation *operation, const Row *row)
{
    const bool is_round =
        operation->op == OP_round || operation->op == OP_floor || operation->op == OP_ceil || operation->op == OP_trunc;
    if (is_round && emitter->target->rounds_in_steps)
        return emit_round_in_steps(emitter, operation->op, operation->dtype, operation->in[0]);
    const char *const soft = soft_function(emitter->target, operation->op, operation->dtype);
    if (soft)
        return soft_operation(emitter, operation, soft);
    if (row->float_opcode)
        return LLVMBuildBinOp(emitter->builder, row->float_opcode, operation->in[0], operation->in[1], "");
    if (row->float_intrinsic)
        return intrinsic_of(emitter, row->float_intrinsic, operation, scalar_arity(operation->op));
    if (row->float_predicate)
        return float_compare(emitter, (LLVMRealPredicate)row->float_predicate, operation->in[0], operation->in[1]);
    return row->float_rule ? row->float_rule(emitter, operation) : NULL;
}

static LLVMValueRef integer_operation(Emitter *emitter, const Operation *operation, const Row *row)
{
    if (row->integer_opcode)
        return LLVMBuildBinOp(emitter->builder, row->integer_opcode, operation->in[0], operation->in[1], "");
    if (row->signed_predicate)
        return compare(
            emitter,
            (LLVMIntPredicate)(dtype_is_signed(operation->dtype) ? row->signed_predicate : row->unsigned_predicate),
            operation->in[0], operation->in[1]);
    return row->integer_rule ? row->integer_rule(emitter, operation) : NULL;
}

LLVMValueRef emit_operation(Emitter *emitter, Op op, Dtype dtype, const Node *const *nodes, LLVMValueRef *operands)
{
    const Operation operation = {op, dtype, LLVMTypeOf(operands[0]), nodes, operands};
    const Row *const row = &rows[op - OP_SCALAR_FIRST];
    LLVMValueRef const value =
        dtype_is_float(dtype) ? float_operation(emitter, &operation, row) : integer_operation(emitter, &operation, row);
    if (!value)
        BUG("%s of %s has no machine code", op_name(op), dtype_info[dtype].name);
    return value;
}

/* bitcast keeps the code; what extends codes below a byte follows the new type. */
static LLVMValueRef emit_bitcast(Emitter *emitter, const Node *node, LLVMValueRef value)
{
    if (dtype_info[node->type.dtype].bits < 8)
        return emit_extend(emitter, value, node->type.dtype);
    return LLVMBuildBitCast(emitter->builder, value, emit_type(emitter, node->type.dtype, node->type.lanes), "");
}

LLVMValueRef emit_scalar(Emitter *emitter, const Node *node, LLVMValueRef *operands)
{
    LLVMValueRef const quantized = node->op == OP_cast ? emit_quantized(emitter, node, operands[0]) : NULL;
    if (quantized)
        return quantized;
    const int count = scalar_arity(node->op);
    const Dtype dtype = node->inputs[count - 1]->type.dtype, compute = dtype_compute(dtype);
    if (node->op == OP_cast)
        return emit_cast(emitter, operands[0], dtype, node->type.dtype);
    if (node->op == OP_bitcast)
        return emit_bitcast(emitter, node, operands[0]);
    if (node->op == OP_select)
        return choose(emitter, operands[0], operands[1], operands[2]);
    if (compute == dtype)
        return emit_operation(emitter, node->op, dtype, (const Node *const *)node->inputs, operands);
    /* Storage types are widened, computed and rounded back. */
    LLVMValueRef wide[3];
    for (int i = 0; i < count; i++)
        wide[i] = emit_cast(emitter, operands[i], dtype, compute);
    LLVMValueRef const value = emit_operation(emitter, node->op, compute, NULL, wide);
    return node->type.dtype == dtype ? emit_cast(emitter, value, compute, dtype) : value;
}

/* The largest or smallest lane of a whole AVX-512 register: it turns by half, a quarter ... and stays a register, for
 * parts of one have no range instruction. NULL: it is none. */
static LLVMValueRef reduce_register(Emitter *emitter, Op op, Dtype dtype, LLVMValueRef vector)
{
    const int lanes = emit_lanes(vector);
    int order[16];
    if ((op != OP_max && op != OP_min) || !(emitter->target->cpu_mask & TARGET_CPU_AVX512) ||
        !((dtype == DTYPE_F32 && lanes == 16) || (dtype == DTYPE_F64 && lanes == 8)))
        return NULL;
    for (int half = lanes / 2; half; half /= 2) {
        for (int i = 0; i < lanes; i++)
            order[i] = (i + half) % lanes;
        LLVMValueRef in[2] = {vector, emit_shuffle(emitter, vector, NULL, order, lanes)};
        vector = emit_operation(emitter, op, dtype, NULL, in);
    }
    return emit_lane(emitter, vector, 0);
}

/* Halves are combined lane by lane, lane j with lane j + n/2, until one is left: the order is part of a fold's meaning.
 */
LLVMValueRef emit_reduce(Emitter *emitter, const Node *node, LLVMValueRef vector)
{
    static const Op fold_ops[FOLD_KINDS] = {
        [FOLD_SUM] = OP_add, [FOLD_PROD] = OP_mul, [FOLD_MAX] = OP_max,
        [FOLD_MIN] = OP_min, [FOLD_AND] = OP_and,  [FOLD_OR] = OP_or,
    };
    const Op op = fold_ops[node->payload.fold.kind];
    if (op == OP_NONE)
        BUG("reduce by %s", fold_name[node->payload.fold.kind]);
    LLVMValueRef const whole = reduce_register(emitter, op, node->type.dtype, vector);
    if (whole)
        return whole;
    int lanes = emit_lanes(vector);
    int order[1024];
    while (lanes > 1) {
        if (lanes % 2 || lanes / 2 > 1024)
            BUG("reduce of %d lanes", node->inputs[0]->type.lanes);
        lanes /= 2;
        LLVMValueRef halves[2];
        for (int half = 0; half < 2; half++) {
            for (int i = 0; i < lanes; i++)
                order[i] = half * lanes + i;
            halves[half] =
                lanes == 1 ? emit_lane(emitter, vector, half) : emit_shuffle(emitter, vector, NULL, order, lanes);
        }
        vector = emit_operation(emitter, op, node->type.dtype, NULL, halves);
    }
    return vector;
}
