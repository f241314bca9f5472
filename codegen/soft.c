/* The functions as LLVM text: see soft.h. tests/codegen/test_soft.c compares them with the C library, bit for bit. */
#include "codegen/soft.h"

#include <string.h>

#define DEFINE(signature) "define hidden " signature " nounwind optsize {\n"

/* The product of two floats is exact in f64. The sum is made odd where it was rounded (Boldo and Melquiond 2008,
 * Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd): then rounding it once more, to
 * f32, gives what rounding the exact value gives, for subnormal results too. */
static const char fma_text[] =
    DEFINE("float @lathe_soft_fmaf(float %x, float %y, float %z)") "  %a = fpext float %x to double\n"
                                                                   "  %b = fpext float %y to double\n"
                                                                   "  %c = fpext float %z to double\n"
                                                                   "  %p = fmul double %a, %b\n"
                                                                   "  %s = fadd double %p, %c\n"
                                                                   "  %s1 = fsub double %s, %p\n" /* Knuth's two-sum: s
                                                                                                     + e is exact */
                                                                   "  %s2 = fsub double %s, %s1\n"
                                                                   "  %e1 = fsub double %c, %s1\n"
                                                                   "  %e2 = fsub double %p, %s2\n"
                                                                   "  %e = fadd double %e1, %e2\n"
                                                                   "  %bits = bitcast double %s to i64\n"
                                                                   "  %error = bitcast double %e to i64\n"
                                                                   "  %last = and i64 %bits, 1\n"
                                                                   "  %even = icmp eq i64 %last, 0\n"
                                                                   "  %inexact = fcmp one double %e, 0.0\n"
                                                                   "  %move = and i1 %even, %inexact\n"
                                                                   "  %signs = xor i64 %bits, %error\n"
                                                                   "  %inward = icmp slt i64 %signs, 0\n"
                                                                   "  %step = select i1 %inward, i64 -1, i64 1\n"
                                                                   "  %moved = add i64 %bits, %step\n"
                                                                   "  %odd = select i1 %move, i64 %moved, i64 %bits\n"
                                                                   "  %wide = bitcast i64 %odd to double\n"
                                                                   "  %r = fptrunc double %wide to float\n"
                                                                   "  ret float %r\n}\n";

/* Bits of the fraction are cleared; what is large, infinite or NaN has none. */
#define TRUNCATE                                                                                                       \
    "  %bits = bitcast float %x to i32\n"                                                                              \
    "  %shifted = lshr i32 %bits, 23\n"                                                                                \
    "  %field = and i32 %shifted, 255\n"                                                                               \
    "  %sign = and i32 %bits, -2147483648\n"                                                                           \
    "  %places = sub i32 %field, 127\n"                                                                                \
    "  %within = and i32 %places, 31\n"                                                                                \
    "  %fraction = lshr i32 8388607, %within\n"                                                                        \
    "  %mask = xor i32 %fraction, -1\n"                                                                                \
    "  %cut = and i32 %bits, %mask\n"                                                                                  \
    "  %small = icmp ult i32 %field, 127\n"                                                                            \
    "  %large = icmp ugt i32 %field, 149\n"                                                                            \
    "  %t1 = select i1 %small, i32 %sign, i32 %cut\n"                                                                  \
    "  %t2 = select i1 %large, i32 %bits, i32 %t1\n"                                                                   \
    "  %t = bitcast i32 %t2 to float\n"

static const char trunc_text[] = DEFINE("float @lathe_soft_truncf(float %x)") TRUNCATE "  ret float %t\n}\n";

static const char floor_text[] =
    DEFINE("float @lathe_soft_floorf(float %x)") TRUNCATE "  %above = fcmp ogt float %t, %x\n"
                                                          "  %less = fadd float %t, -1.0\n"
                                                          "  %r = select i1 %above, float %less, float %t\n"
                                                          "  ret float %r\n}\n";

static const char ceil_text[] =
    DEFINE("float @lathe_soft_ceilf(float %x)") TRUNCATE "  %below = fcmp olt float %t, %x\n"
                                                         "  %more = fadd float %t, 1.0\n"
                                                         "  %r = select i1 %below, float %more, float %t\n"
                                                         "  ret float %r\n}\n";

/* Adding 2^23 leaves no bits of a fraction, rounded to nearest, ties to even. */
static const char round_text[] =
    DEFINE("float @lathe_soft_roundevenf(float %x)") "  %bits = bitcast float %x to i32\n"
                                                     "  %size = and i32 %bits, 2147483647\n"
                                                     "  %sign = and i32 %bits, -2147483648\n"
                                                     "  %large = icmp uge i32 %size, 1258291200\n"
                                                     "  %a = bitcast i32 %size to float\n"
                                                     "  %up = fadd float %a, 8388608.0\n"
                                                     "  %down = fsub float %up, 8388608.0\n"
                                                     "  %whole = bitcast float %down to i32\n"
                                                     "  %signed = or i32 %whole, %sign\n"
                                                     "  %r1 = bitcast i32 %signed to float\n"
                                                     "  %r = select i1 %large, float %x, float %r1\n"
                                                     "  ret float %r\n}\n";

/* x = m 2^k; the root of m 2^25 or m 2^26, whichever makes the exponent even, has 25 bits, digit by digit. It is never
 * half way between two floats: its square would be odd. */
static const char sqrt_text[] = DEFINE(
    "float @lathe_soft_sqrtf(float %x)") "  %bits = bitcast float %x to i32\n"
                                         "  %size = and i32 %bits, 2147483647\n"
                                         "  %zero = icmp eq i32 %size, 0\n"
                                         "  %special = icmp uge i32 %bits, 2139095040\n" /* infinite, NaN or negative */
                                         "  %leave = or i1 %zero, %special\n"
                                         "  br i1 %leave, label %out, label %in\n"
                                         "out:\n"
                                         "  %negative = icmp ugt i32 %bits, -2147483648\n"
                                         "  %number = icmp ule i32 %size, 2139095040\n"
                                         "  %wrong = and i1 %negative, %number\n"
                                         "  %same = fadd float %x, %x\n" /* quiets a NaN */
                                         "  %r0 = select i1 %wrong, float 0x7FF8000000000000, float %same\n"
                                         "  ret float %r0\n"
                                         "in:\n"
                                         "  %subnormal = icmp ult i32 %bits, 8388608\n"
                                         "  %field = lshr i32 %bits, 23\n"
                                         "  %fraction = and i32 %bits, 8388607\n"
                                         "  %normal = or i32 %fraction, 8388608\n"
                                         "  %zeros = call i32 @lathe_soft_zeros(i32 %bits)\n"
                                         "  %missing = sub i32 %zeros, 8\n"
                                         "  %missing1 = select i1 %subnormal, i32 %missing, i32 0\n"
                                         "  %m0 = select i1 %subnormal, i32 %bits, i32 %normal\n"
                                         "  %m = shl i32 %m0, %missing1\n"
                                         "  %field1 = select i1 %subnormal, i32 1, i32 %field\n"
                                         "  %field2 = sub i32 %field1, %missing1\n"
                                         "  %k = sub i32 %field2, 150\n"
                                         "  %parity = and i32 %k, 1\n"
                                         "  %shift = sub i32 26, %parity\n"
                                         "  %m64 = zext i32 %m to i64\n"
                                         "  %shift64 = zext i32 %shift to i64\n"
                                         "  %radicand = shl i64 %m64, %shift64\n"
                                         "  br label %loop\n"
                                         "loop:\n"
                                         "  %bit = phi i64 [ 16777216, %in ], [ %bit1, %loop ]\n"
                                         "  %root = phi i64 [ 0, %in ], [ %root1, %loop ]\n"
                                         "  %try = or i64 %root, %bit\n"
                                         "  %square = mul i64 %try, %try\n"
                                         "  %fits = icmp ule i64 %square, %radicand\n"
                                         "  %root1 = select i1 %fits, i64 %try, i64 %root\n"
                                         "  %bit1 = lshr i64 %bit, 1\n"
                                         "  %last = icmp eq i64 %bit1, 0\n"
                                         "  br i1 %last, label %done, label %loop\n"
                                         "done:\n"
                                         "  %root32 = trunc i64 %root1 to i32\n"
                                         "  %up = add i32 %root32, 1\n"
                                         "  %rounded = lshr i32 %up, 1\n"
                                         "  %e1 = sub i32 %k, %shift\n"
                                         "  %e2 = ashr i32 %e1, 1\n"
                                         "  %e3 = add i32 %e2, 150\n" /* one for the bit that rounding took, one less
                                                                         for the bit that m shows */
                                         "  %e4 = shl i32 %e3, 23\n"
                                         "  %result = add i32 %e4, %rounded\n"
                                         "  %r = bitcast i32 %result to float\n"
                                         "  ret float %r\n}\n"
                                         "define internal i32 @lathe_soft_zeros(i32 %x) nounwind optsize {\n"
                                         "  br label %loop\n" /* a call of the compiler's library otherwise, where there
                                                                 is no instruction */
                                         "loop:\n"
                                         "  %v = phi i32 [ %x, %0 ], [ %v1, %loop ]\n"
                                         "  %n = phi i32 [ 0, %0 ], [ %n1, %loop ]\n"
                                         "  %v1 = shl i32 %v, 1\n"
                                         "  %n1 = add i32 %n, 1\n"
                                         "  %set = icmp slt i32 %v, 0\n"
                                         "  br i1 %set, label %done, label %loop\n"
                                         "done:\n"
                                         "  ret i32 %n\n}\n";

typedef struct SoftRow {
    Op op;
    unsigned lacks; /* wanted by targets that lack any of these */
    const char *name, *text;
} SoftRow;

static const SoftRow rows[] = {
    {OP_fma, TARGET_LACKS_F32, "lathe_soft_fmaf", fma_text},
    {OP_sqrt, TARGET_LACKS_F32, "lathe_soft_sqrtf", sqrt_text},
    {OP_floor, TARGET_LACKS_ROUNDING, "lathe_soft_floorf", floor_text},
    {OP_ceil, TARGET_LACKS_ROUNDING, "lathe_soft_ceilf", ceil_text},
    {OP_trunc, TARGET_LACKS_ROUNDING, "lathe_soft_truncf", trunc_text},
    {OP_round, TARGET_LACKS_ROUNDING, "lathe_soft_roundevenf", round_text},
};
enum { ROWS = sizeof rows / sizeof *rows };

const char *soft_function(const TargetMachineInfo *target, Op op, Dtype dtype)
{
    for (int i = 0; i < ROWS && dtype == DTYPE_F32; i++)
        if (rows[i].op == op && (target->lacks & rows[i].lacks))
            return rows[i].name;
    return NULL;
}

void soft_add(Text *text, const char *const *names, int count)
{
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < count; j++)
            if (strcmp(rows[i].name, names[j]) == 0) {
                text_add(text, "%s", rows[i].text);
                break;
            }
}
