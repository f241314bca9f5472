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

/* Rounding, alike for both types: F and I are the type and the integer of its size, the rest is in these numbers. */
#define F32_PLACES      "23"          /* bits of the fraction */
#define F32_FRACTION    "8388607"     /* all of them */
#define F32_FIELD       "255"         /* all bits of the exponent's field */
#define F32_BIAS        "127"         /* the field of 1 */
#define F32_WHOLE       "149"         /* above this field there is no fraction */
#define F32_WITHIN      "31"          /* keeps a shift defined */
#define F32_SIGN        "-2147483648" /* the bit of the sign */
#define F32_SIZE        "2147483647"  /* all other bits */
#define F32_LARGE       "1258291200"  /* the bits of the next, from which on there is no fraction */
#define F32_NO_FRACTION "8388608.0"
#define F64_PLACES      "52"
#define F64_FRACTION    "4503599627370495"
#define F64_FIELD       "2047"
#define F64_BIAS        "1023"
#define F64_WHOLE       "1074"
#define F64_WITHIN      "63"
#define F64_SIGN        "-9223372036854775808"
#define F64_SIZE        "9223372036854775807"
#define F64_LARGE       "4841369599423283200"
#define F64_NO_FRACTION "4503599627370496.0"

/* Bits of the fraction are cleared; what is large, infinite or NaN has none. */
#define TRUNCATE(F, I, T)                                                                                              \
    "  %bits = bitcast " F " %x to " I "\n"                                                                            \
    "  %shifted = lshr " I " %bits, " T##_PLACES "\n"                                                                  \
                                                 "  %field = and " I " %shifted, " T##_FIELD                           \
        "\n"                                                                                                           \
        "  %sign = and " I " %bits, " T##_SIGN "\n"                                                                    \
                                               "  %places = sub " I " %field, " T##_BIAS                               \
        "\n"                                                                                                           \
        "  %within = and " I " %places, " T##_WITHIN "\n"                                                              \
                                                     "  %fraction = lshr " I " " T##_FRACTION                          \
        ", %within\n"                                                                                                  \
        "  %mask = xor " I " %fraction, -1\n"                                                                          \
        "  %cut = and " I " %bits, %mask\n"                                                                            \
        "  %small = icmp ult " I " %field, " T##_BIAS "\n"                                                             \
                                                      "  %large = icmp ugt " I " %field, " T##_WHOLE                   \
        "\n"                                                                                                           \
        "  %t1 = select i1 %small, " I " %sign, " I " %cut\n"                                                          \
        "  %t2 = select i1 %large, " I " %bits, " I " %t1\n"                                                           \
        "  %t = bitcast " I " %t2 to " F "\n"

#define TRUNC(F, I, T, name) DEFINE(F " @lathe_soft_" name "(" F " %x)") TRUNCATE(F, I, T) "  ret " F " %t\n}\n"

#define FLOOR(F, I, T, name)                                                                                           \
    DEFINE(F " @lathe_soft_" name "(" F " %x)")                                                                        \
    TRUNCATE(F, I, T)                                                                                                  \
    "  %above = fcmp ogt " F " %t, %x\n"                                                                               \
    "  %less = fadd " F " %t, -1.0\n"                                                                                  \
    "  %r = select i1 %above, " F " %less, " F " %t\n"                                                                 \
    "  ret " F " %r\n}\n"

#define CEIL(F, I, T, name)                                                                                            \
    DEFINE(F " @lathe_soft_" name "(" F " %x)")                                                                        \
    TRUNCATE(F, I, T)                                                                                                  \
    "  %below = fcmp olt " F " %t, %x\n"                                                                               \
    "  %more = fadd " F " %t, 1.0\n"                                                                                   \
    "  %r = select i1 %below, " F " %more, " F " %t\n"                                                                 \
    "  ret " F " %r\n}\n"

/* Adding a number without fraction leaves no bits of one, rounded to nearest, ties to even. */
#define ROUND(F, I, T, name)                                                                                           \
    DEFINE(F " @lathe_soft_" name "(" F " %x)")                                                                        \
    "  %bits = bitcast " F " %x to " I "\n"                                                                            \
    "  %size = and " I " %bits, " T##_SIZE "\n"                                                                        \
                                           "  %sign = and " I " %bits, " T##_SIGN                                      \
        "\n"                                                                                                           \
        "  %large = icmp uge " I " %size, " T##_LARGE "\n"                                                             \
                                                      "  %a = bitcast " I " %size to " F "\n"                          \
                                                      "  %up = fadd " F " %a, " T##_NO_FRACTION                        \
        "\n"                                                                                                           \
        "  %down = fsub " F " %up, " T##_NO_FRACTION "\n"                                                              \
                                                     "  %whole = bitcast " F " %down to " I "\n"                       \
                                                     "  %signed = or " I " %whole, %sign\n"                            \
                                                     "  %r1 = bitcast " I " %signed to " F "\n"                        \
                                                     "  %r = select i1 %large, " F " %x, " F " %r1\n"                  \
                                                     "  ret " F " %r\n}\n"

static const char trunc_text[] = TRUNC("float", "i32", F32, "truncf");
static const char floor_text[] = FLOOR("float", "i32", F32, "floorf");
static const char ceil_text[] = CEIL("float", "i32", F32, "ceilf");
static const char round_text[] = ROUND("float", "i32", F32, "roundevenf");
static const char trunc_f64_text[] = TRUNC("double", "i64", F64, "trunc");
static const char floor_f64_text[] = FLOOR("double", "i64", F64, "floor");
static const char ceil_f64_text[] = CEIL("double", "i64", F64, "ceil");
static const char round_f64_text[] = ROUND("double", "i64", F64, "roundeven");

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

/* A positive finite f64 as mantissa 2^exponent, the mantissa with 53 bits also where the number is subnormal. */
static const char split_f64_text[] = "define internal i32 @lathe_soft_zeros64(i64 %x) noinline nounwind optsize {\n"
                                     "  br label %loop\n"
                                     "loop:\n"
                                     "  %v = phi i64 [ %x, %0 ], [ %v1, %loop ]\n"
                                     "  %n = phi i32 [ 0, %0 ], [ %n1, %loop ]\n"
                                     "  %v1 = shl i64 %v, 1\n"
                                     "  %n1 = add i32 %n, 1\n"
                                     "  %set = icmp slt i64 %v, 0\n"
                                     "  br i1 %set, label %done, label %loop\n"
                                     "done:\n"
                                     "  ret i32 %n\n}\n"
                                     "define internal i64 @lathe_soft_mantissa(i64 %x) noinline nounwind optsize {\n"
                                     "  %subnormal = icmp ult i64 %x, 4503599627370496\n"
                                     "  br i1 %subnormal, label %small, label %large\n"
                                     "large:\n"
                                     "  %fraction = and i64 %x, 4503599627370495\n"
                                     "  %normal = or i64 %fraction, 4503599627370496\n"
                                     "  ret i64 %normal\n"
                                     "small:\n"
                                     "  %zeros = call i32 @lathe_soft_zeros64(i64 %x)\n"
                                     "  %shift = sub i32 %zeros, 11\n"
                                     "  %wide = zext i32 %shift to i64\n"
                                     "  %shifted = shl i64 %x, %wide\n"
                                     "  ret i64 %shifted\n}\n"
                                     "define internal i32 @lathe_soft_exponent(i64 %x) noinline nounwind optsize {\n"
                                     "  %subnormal = icmp ult i64 %x, 4503599627370496\n"
                                     "  br i1 %subnormal, label %small, label %large\n"
                                     "large:\n"
                                     "  %field = lshr i64 %x, 52\n"
                                     "  %field32 = trunc i64 %field to i32\n"
                                     "  %normal = sub i32 %field32, 1075\n"
                                     "  ret i32 %normal\n"
                                     "small:\n"
                                     "  %zeros = call i32 @lathe_soft_zeros64(i64 %x)\n"
                                     "  %exponent = sub i32 -1063, %zeros\n"
                                     "  ret i32 %exponent\n}\n";

static const char sqrt_f64_text[] =
    DEFINE("double @lathe_soft_sqrt(double %x)") "  %bits = bitcast double %x to i64\n"
                                                 "  %size = and i64 %bits, 9223372036854775807\n"
                                                 "  %zero = icmp eq i64 %size, 0\n"
                                                 "  %special = icmp uge i64 %bits, 9218868437227405312\n"
                                                 "  %leave = or i1 %zero, %special\n"
                                                 "  br i1 %leave, label %out, label %in\n"
                                                 "out:\n"
                                                 "  %negative = icmp ugt i64 %bits, -9223372036854775808\n"
                                                 "  %number = icmp ule i64 %size, 9218868437227405312\n"
                                                 "  %wrong = and i1 %negative, %number\n"
                                                 "  %same = fadd double %x, %x\n"
                                                 "  %r0 = select i1 %wrong, double 0x7FF8000000000000, double %same\n"
                                                 "  ret double %r0\n"
                                                 "in:\n"
                                                 "  %m = call i64 @lathe_soft_mantissa(i64 %bits)\n"
                                                 "  %k = call i32 @lathe_soft_exponent(i64 %bits)\n"
                                                 "  %parity = and i32 %k, 1\n"
                                                 "  %shift = add i32 54, %parity\n"
                                                 "  %wide = zext i64 %m to i128\n"
                                                 "  %shift128 = zext i32 %shift to i128\n"
                                                 "  %radicand = shl i128 %wide, %shift128\n"
                                                 "  br label %loop\n"
                                                 "loop:\n"
                                                 "  %bit = phi i64 [ 9007199254740992, %in ], [ %bit1, %loop ]\n"
                                                 "  %root = phi i64 [ 0, %in ], [ %root1, %loop ]\n"
                                                 "  %try = or i64 %root, %bit\n"
                                                 "  %try128 = zext i64 %try to i128\n"
                                                 "  %square = mul i128 %try128, %try128\n"
                                                 "  %fits = icmp ule i128 %square, %radicand\n"
                                                 "  %root1 = select i1 %fits, i64 %try, i64 %root\n"
                                                 "  %bit1 = lshr i64 %bit, 1\n"
                                                 "  %last = icmp eq i64 %bit1, 0\n"
                                                 "  br i1 %last, label %done, label %loop\n"
                                                 "done:\n"
                                                 "  %up = add i64 %root1, 1\n"
                                                 "  %rounded = lshr i64 %up, 1\n"
                                                 "  %e1 = sub i32 %k, %shift\n"
                                                 "  %e2 = ashr i32 %e1, 1\n"
                                                 "  %e3 = add i32 %e2, 1075\n"
                                                 "  %e4 = zext i32 %e3 to i64\n"
                                                 "  %e5 = shl i64 %e4, 52\n"
                                                 "  %result = add i64 %e5, %rounded\n"
                                                 "  %r = bitcast i64 %result to double\n"
                                                 "  ret double %r\n}\n";

/* f64: the product has 106 bits; it and the addend are aligned in 128, what falls off below stays as one bit (a bit
 * that is far below the last of the result, so that rounding sees whether anything was there). */
static const char fma_f64_text[] = DEFINE(
    "double @lathe_soft_fma(double %x, double %y, double %z)") "  %xb = bitcast double %x to i64\n"
                                                               "  %yb = bitcast double %y to i64\n"
                                                               "  %zb = bitcast double %z to i64\n"
                                                               "  %xs = and i64 %xb, 9223372036854775807\n"
                                                               "  %ys = and i64 %yb, 9223372036854775807\n"
                                                               "  %zs = and i64 %zb, 9223372036854775807\n"
                                                               "  %x0 = icmp eq i64 %xs, 0\n"
                                                               "  %y0 = icmp eq i64 %ys, 0\n"
                                                               "  %z0 = icmp eq i64 %zs, 0\n"
                                                               "  %xi = icmp uge i64 %xs, 9218868437227405312\n"
                                                               "  %yi = icmp uge i64 %ys, 9218868437227405312\n"
                                                               "  %zi = icmp uge i64 %zs, 9218868437227405312\n"
                                                               "  %p1 = or i1 %x0, %y0\n"
                                                               "  %p2 = or i1 %xi, %yi\n"
                                                               "  %plain = or i1 %p1, %p2\n"
                                                               "  br i1 %plain, label %exact, label %finite\n"
                                                               "exact:\n" /* a factor is 0, infinite or NaN: the product
                                                                             is not rounded */
                                                               "  %product = fmul double %x, %y\n"
                                                               "  %sum = fadd double %product, %z\n"
                                                               "  ret double %sum\n"
                                                               "finite:\n"
                                                               "  br i1 %zi, label %far, label %near\n"
                                                               "far:\n"
                                                               "  %same = fadd double %z, %z\n"
                                                               "  ret double %same\n"
                                                               "near:\n"
                                                               "  br i1 %z0, label %alone, label %both\n"
                                                               "alone:\n"
                                                               "  %rounded = fmul double %x, %y\n"
                                                               "  ret double %rounded\n"
                                                               "both:\n"
                                                               "  %xm = call i64 @lathe_soft_mantissa(i64 %xs)\n"
                                                               "  %ym = call i64 @lathe_soft_mantissa(i64 %ys)\n"
                                                               "  %zm = call i64 @lathe_soft_mantissa(i64 %zs)\n"
                                                               "  %xe = call i32 @lathe_soft_exponent(i64 %xs)\n"
                                                               "  %ye = call i32 @lathe_soft_exponent(i64 %ys)\n"
                                                               "  %ze = call i32 @lathe_soft_exponent(i64 %zs)\n"
                                                               "  %xw = zext i64 %xm to i128\n"
                                                               "  %yw = zext i64 %ym to i128\n"
                                                               "  %zw = zext i64 %zm to i128\n"
                                                               "  %pw = mul i128 %xw, %yw\n"
                                                               "  %p = shl i128 %pw, 20\n"
                                                               "  %q = shl i128 %zw, 73\n"
                                                               "  %pe1 = add i32 %xe, %ye\n"
                                                               "  %pe = sub i32 %pe1, 20\n"
                                                               "  %qe = sub i32 %ze, 73\n"
                                                               "  %d = sub i32 %pe, %qe\n"
                                                               "  %negative = sub i32 0, %d\n"
                                                               "  %pd = call i32 @llvm.smax.i32(i32 %negative, i32 0)\n"
                                                               "  %qd = call i32 @llvm.smax.i32(i32 %d, i32 0)\n"
                                                               "  %pa = call i128 @lathe_soft_shift(i128 %p, i32 %pd)\n"
                                                               "  %qa = call i128 @lathe_soft_shift(i128 %q, i32 %qd)\n"
                                                               "  %e = call i32 @llvm.smax.i32(i32 %pe, i32 %qe)\n"
                                                               "  %ps = xor i64 %xb, %yb\n"
                                                               "  %signs = xor i64 %ps, %zb\n"
                                                               "  %apart = icmp slt i64 %signs, 0\n"
                                                               "  %less = icmp ult i128 %pa, %qa\n"
                                                               "  %large = select i1 %less, i128 %qa, i128 %pa\n"
                                                               "  %small = select i1 %less, i128 %pa, i128 %qa\n"
                                                               "  %sign1 = select i1 %less, i64 %zb, i64 %ps\n"
                                                               "  %sign = and i64 %sign1, -9223372036854775808\n"
                                                               "  %more = add i128 %large, %small\n"
                                                               "  %rest = sub i128 %large, %small\n"
                                                               "  %s = select i1 %apart, i128 %rest, i128 %more\n"
                                                               "  %none = icmp eq i128 %s, 0\n"
                                                               "  br i1 %none, label %zero, label %up\n"
                                                               "zero:\n"
                                                               "  ret double 0.0\n"
                                                               "up:\n" /* the first bit to the top; b is the exponent
                                                                          field of the result */
                                                               "  %v = phi i128 [ %s, %both ], [ %v1, %again ]\n"
                                                               "  %n = phi i32 [ %e, %both ], [ %n1, %again ]\n"
                                                               "  %full = icmp slt i128 %v, 0\n"
                                                               "  br i1 %full, label %round, label %again\n"
                                                               "again:\n"
                                                               "  %v1 = shl i128 %v, 1\n"
                                                               "  %n1 = sub i32 %n, 1\n"
                                                               "  br label %up\n"
                                                               "round:\n"
                                                               "  %b = add i32 %n, 1150\n"
                                                               "  %lack = sub i32 1, %b\n"
                                                               "  %lack1 = call i32 @llvm.smax.i32(i32 %lack, i32 0)\n"
                                                               "  %r = call i128 @lathe_soft_shift(i128 %v, i32 "
                                                               "%lack1)\n"
                                                               "  %m1 = lshr i128 %r, 75\n"
                                                               "  %m = trunc i128 %m1 to i64\n"
                                                               "  %low = and i128 %r, 37778931862957161709567\n"
                                                               "  %above = icmp ugt i128 %low, "
                                                               "18889465931478580854784\n"
                                                               "  %tie = icmp eq i128 %low, 18889465931478580854784\n"
                                                               "  %last = trunc i64 %m to i1\n"
                                                               "  %odd = and i1 %tie, %last\n"
                                                               "  %increase = or i1 %above, %odd\n"
                                                               "  %one = zext i1 %increase to i64\n"
                                                               "  %field1 = sub i32 %b, 1\n"
                                                               "  %field2 = call i32 @llvm.smax.i32(i32 %field1, i32 "
                                                               "0)\n"
                                                               "  %field = call i32 @llvm.smin.i32(i32 %field2, i32 "
                                                               "2046)\n"
                                                               "  %wide = zext i32 %field to i64\n"
                                                               "  %top = shl i64 %wide, 52\n"
                                                               "  %bits1 = add i64 %top, %m\n"
                                                               "  %bits2 = add i64 %bits1, %one\n"
                                                               "  %bits3 = call i64 @llvm.umin.i64(i64 %bits2, i64 "
                                                               "9218868437227405312)\n"
                                                               "  %bits = or i64 %bits3, %sign\n"
                                                               "  %result = bitcast i64 %bits to double\n"
                                                               "  ret double %result\n}\n"
                                                               "declare i32 @llvm.smax.i32(i32, i32)\n"
                                                               "declare i32 @llvm.smin.i32(i32, i32)\n"
                                                               "declare i64 @llvm.umin.i64(i64, i64)\n"
                                                               /* To the right, with a one for whatever falls off. */
                                                               "define internal i128 @lathe_soft_shift(i128 %x, i32 "
                                                               "%count) noinline nounwind optsize {\n"
                                                               "  %most = call i32 @llvm.smin.i32(i32 %count, i32 "
                                                               "127)\n"
                                                               "  %wide = zext i32 %most to i128\n"
                                                               "  %shifted = lshr i128 %x, %wide\n"
                                                               "  %back = shl i128 %shifted, %wide\n"
                                                               "  %lost = icmp ne i128 %back, %x\n"
                                                               "  %bit = zext i1 %lost to i128\n"
                                                               "  %result = or i128 %shifted, %bit\n"
                                                               "  ret i128 %result\n}\n";

typedef struct SoftRow {
    Op op;
    Dtype dtype;
    unsigned lacks; /* wanted by targets that lack any of these */
    const char *name, *text;
} SoftRow;

static const SoftRow rows[] = {
    {OP_fma, DTYPE_F32, TARGET_LACKS_F32, "lathe_soft_fmaf", fma_text},
    {OP_sqrt, DTYPE_F32, TARGET_LACKS_F32, "lathe_soft_sqrtf", sqrt_text},
    {OP_floor, DTYPE_F32, TARGET_LACKS_ROUNDING, "lathe_soft_floorf", floor_text},
    {OP_ceil, DTYPE_F32, TARGET_LACKS_ROUNDING, "lathe_soft_ceilf", ceil_text},
    {OP_trunc, DTYPE_F32, TARGET_LACKS_ROUNDING, "lathe_soft_truncf", trunc_text},
    {OP_round, DTYPE_F32, TARGET_LACKS_ROUNDING, "lathe_soft_roundevenf", round_text},
    {OP_fma, DTYPE_F64, TARGET_LACKS_F64, "lathe_soft_fma", fma_f64_text},
    {OP_sqrt, DTYPE_F64, TARGET_LACKS_F64, "lathe_soft_sqrt", sqrt_f64_text},
    {OP_floor, DTYPE_F64, TARGET_LACKS_F64, "lathe_soft_floor", floor_f64_text},
    {OP_ceil, DTYPE_F64, TARGET_LACKS_F64, "lathe_soft_ceil", ceil_f64_text},
    {OP_trunc, DTYPE_F64, TARGET_LACKS_F64, "lathe_soft_trunc", trunc_f64_text},
    {OP_round, DTYPE_F64, TARGET_LACKS_F64, "lathe_soft_roundeven", round_f64_text},
};
enum { ROWS = sizeof rows / sizeof *rows };

const char *soft_function(const TargetMachineInfo *target, Op op, Dtype dtype)
{
    for (int i = 0; i < ROWS; i++)
        if (rows[i].op == op && rows[i].dtype == dtype && (target->lacks & rows[i].lacks))
            return rows[i].name;
    return NULL;
}

void soft_add(Text *text, const char *const *names, int count)
{
    bool splits = false;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < count; j++)
            if (strcmp(rows[i].name, names[j]) == 0) {
                text_add(text, "%s", rows[i].text);
                splits = splits || strstr(rows[i].text, "@lathe_soft_mantissa");
                break;
            }
    if (splits)
        text_add(text, "%s", split_f64_text);
}
