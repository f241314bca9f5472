/* links: lathe_codegen lathe_ir lathe_targets */
/* The functions of codegen/soft.c against the C library, bit for bit: all special values against each other, every
 * exponent against every exponent, and random bits. They are compiled for the machine that runs this: they are
 * arithmetic of f32, f64 and integers, which is the same everywhere. */
#include "codegen/link.h"
#include "codegen/object.h"
#include "codegen/soft.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"lathe_soft_fmaf",  "lathe_soft_sqrtf",  "lathe_soft_floorf",
                                    "lathe_soft_ceilf", "lathe_soft_truncf", "lathe_soft_roundevenf",
                                    "lathe_soft_fma",   "lathe_soft_sqrt",   "lathe_soft_floor",
                                    "lathe_soft_ceil",  "lathe_soft_trunc",  "lathe_soft_roundeven"};
enum { NAMES = sizeof names / sizeof *names, RANDOM = 3000000 };

typedef float Unary(float);
typedef float Ternary(float, float, float);

static const TargetMachineInfo *here(void)
{
    for (int i = 0; i < target_count(); i++)
        if (target_runs_here(target_at(i)))
            return target_at(i);
    return NULL;
}

/* A library with all functions under their names. */
static void *load(Arena *arena)
{
    Diagnostics *const diagnostics = diagnostics_open(arena);
    Ir *const ir = ir_open(arena, diagnostics);
    Text text;
    ObjectBytes object;
    text_open(&text);
    soft_add(&text, names, NAMES);
    char *const visible = arena_copy(arena, text.data, text.length + 1); /* "define hidden" loses its second word */
    for (char *place = visible; (place = strstr(place, "hidden")) != NULL;)
        memset(place, ' ', 6);
    text_close(&text);
    cr_assert(object_from_text(ir, arena, "soft", here(), visible, FORMAT_OBJECT, &object));
    char folder[] = "/tmp/lathe-test-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    const char *const output = arena_format(arena, "%s/soft.so", folder);
    const LinkInput input = {.data = object.data, .bytes = object.bytes};
    const LinkJob job = {.inputs = &input, .input_count = 1, .exports = names, .export_count = NAMES, .output = output};
    cr_assert(link_shared(diagnostics, &job));
    void *const library = dlopen(output, RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(library, "%s", dlerror());
    unlink(output);
    rmdir(folder);
    return library;
}

static float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static bool same(float a, float b)
{
    return bits_of(a) == bits_of(b) || (isnan(a) && isnan(b));
}

/* xorshift64* */
static uint64_t next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static const uint32_t special[] = {
    0,          1,          2,          3,          0x007fffff, 0x007ffffe, 0x00400000, 0x00800000, 0x00800001,
    0x00ffffff, 0x33800000, 0x33800001, 0x34000000, 0x3effffff, 0x3f000000, 0x3f000001, 0x3f7fffff, 0x3f800000,
    0x3f800001, 0x3fc00000, 0x3fffffff, 0x40000000, 0x40200000, 0x4affffff, 0x4b000000, 0x4b000001, 0x4b7fffff,
    0x4b800000, 0x7e800000, 0x7f000000, 0x7f7fffff, 0x7f7ffffe, 0x7f800000, 0x7fc00000,
};
enum { SPECIAL = 2 * (sizeof special / sizeof *special) };

static float special_at(int i)
{
    return of_bits(special[i / 2] | (i % 2 ? 0x80000000 : 0));
}

static void check_fma(Ternary *fma_of, float a, float b, float c)
{
    const float got = fma_of(a, b, c), wanted = fmaf(a, b, c);
    cr_assert(same(got, wanted), "fma(%a, %a, %a) is %a, not %a", a, b, c, got, wanted);
}

Test(soft, fma_is_that_of_the_c_library)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    void *const library = load(arena);
    Ternary *fma_of;
    *(void **)&fma_of = dlsym(library, "lathe_soft_fmaf");
    for (int i = 0; i < SPECIAL; i++)
        for (int j = 0; j < SPECIAL; j++)
            for (int k = 0; k < SPECIAL; k++)
                check_fma(fma_of, special_at(i), special_at(j), special_at(k));
    uint64_t state = 1;
    for (int i = 0; i < RANDOM; i++) {
        const uint64_t one = next(&state), two = next(&state);
        check_fma(fma_of, of_bits((uint32_t)one), of_bits((uint32_t)(one >> 32)), of_bits((uint32_t)two));
        /* Sums that cancel, or whose product is near the subnormal numbers: c is close to -a*b. */
        const float a = of_bits((uint32_t)one), b = of_bits((uint32_t)(one >> 32));
        check_fma(fma_of, a, b, of_bits(bits_of(-(a * b)) + (uint32_t)(two % 5) - 2));
        const float small = of_bits((uint32_t)(two & 0x00ffffff)),
                    scale = of_bits(0x3e000000 + (uint32_t)(one & 0x1ffffff));
        check_fma(fma_of, small, scale, of_bits((uint32_t)(two >> 40) & 0x80ffffff));
    }
    dlclose(library);
    arena_close(arena);
}

static void check_unary(const char *name, Unary *of, Unary *wanted_of, float x)
{
    const float got = of(x), wanted = wanted_of(x);
    cr_assert(same(got, wanted), "%s(%a) is %a, not %a", name, x, got, wanted);
}

static float round_to_even(float x)
{
    return rintf(x); /* the rounding mode is to nearest, ties to even */
}

Test(soft, roots_and_roundings_are_those_of_the_c_library)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    void *const library = load(arena);
    Unary *const wanted[] = {sqrtf, floorf, ceilf, truncf, round_to_even};
    for (int i = 0; i < 5; i++) {
        Unary *of;
        *(void **)&of = dlsym(library, names[i + 1]);
        for (int j = 0; j < SPECIAL; j++)
            check_unary(names[i + 1], of, wanted[i], special_at(j));
        for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += 1021) /* every exponent, four million values */
            check_unary(names[i + 1], of, wanted[i], of_bits((uint32_t)bits));
    }
    dlclose(library);
    arena_close(arena);
}

/* ---- f64 ---- */

typedef double UnaryWide(double);
typedef double TernaryWide(double, double, double);

static double wide_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t wide_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static bool same_wide(double a, double b)
{
    return wide_bits(a) == wide_bits(b) || (isnan(a) && isnan(b));
}

static const uint64_t special_wide[] = {
    0,
    1,
    2,
    3,
    0x000fffffffffffff,
    0x0008000000000000,
    0x0010000000000000,
    0x0010000000000001,
    0x001fffffffffffff,
    0x3ca0000000000000,
    0x3ca0000000000001,
    0x3fdfffffffffffff,
    0x3fe0000000000000,
    0x3fe0000000000001,
    0x3fefffffffffffff,
    0x3ff0000000000000,
    0x3ff0000000000001,
    0x3ff8000000000000,
    0x4000000000000000,
    0x4330000000000000,
    0x4330000000000001,
    0x4340000000000000,
    0x7fd0000000000000,
    0x7fe0000000000000,
    0x7fefffffffffffff,
    0x7ff0000000000000,
    0x7ff8000000000000,
};
enum { SPECIAL_WIDE = 2 * (sizeof special_wide / sizeof *special_wide) };

static double special_wide_at(int i)
{
    return wide_of(special_wide[i / 2] | (uint64_t)(i % 2) << 63);
}

static void check_fma_wide(TernaryWide *fma_of, double a, double b, double c)
{
    const double got = fma_of(a, b, c), wanted = fma(a, b, c);
    cr_assert(same_wide(got, wanted), "fma(%a, %a, %a) is %a, not %a", a, b, c, got, wanted);
}

static double one_to_two(uint64_t random)
{
    return wide_of(0x3ff0000000000000 | random >> 12);
}

Test(soft, fma_of_f64_is_that_of_the_c_library)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    void *const library = load(arena);
    TernaryWide *fma_of;
    *(void **)&fma_of = dlsym(library, "lathe_soft_fma");
    for (int i = 0; i < SPECIAL_WIDE; i++)
        for (int j = 0; j < SPECIAL_WIDE; j++)
            for (int k = 0; k < SPECIAL_WIDE; k++)
                check_fma_wide(fma_of, special_wide_at(i), special_wide_at(j), special_wide_at(k));
    uint64_t state = 1;
    for (int i = 0; i < RANDOM / 4; i++) {
        const uint64_t a = next(&state), b = next(&state), c = next(&state);
        check_fma_wide(fma_of, wide_of(a), wide_of(b), wide_of(c));
        /* Sums that cancel; results near the subnormal numbers; addends at every distance from the product. */
        check_fma_wide(fma_of, wide_of(a), wide_of(b), wide_of(wide_bits(-(wide_of(a) * wide_of(b))) + c % 5 - 2));
        check_fma_wide(fma_of, wide_of(a & 0x001fffffffffffff), wide_of(0x3c00000000000000 + (b & 0x03ffffffffffffff)),
                       wide_of(c & 0x801fffffffffffff));
        check_fma_wide(fma_of, one_to_two(a), one_to_two(b), -one_to_two(c) * (double)(1 << (c & 3)));
        check_fma_wide(fma_of, one_to_two(a), one_to_two(b), ldexp(one_to_two(c), (int)(c % 240) - 120));
    }
    dlclose(library);
    arena_close(arena);
}

static double round_to_even_wide(double x)
{
    return rint(x);
}

Test(soft, roots_and_roundings_of_f64_are_those_of_the_c_library)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    void *const library = load(arena);
    UnaryWide *const wanted[] = {sqrt, floor, ceil, trunc, round_to_even_wide};
    uint64_t state = 1;
    for (int i = 0; i < 5; i++) {
        UnaryWide *of;
        *(void **)&of = dlsym(library, names[i + 7]);
        for (int j = 0; j < SPECIAL_WIDE + RANDOM / 4; j++) {
            const uint64_t bits = next(&state);
            const double x = j < SPECIAL_WIDE ? special_wide_at(j)
                             : j % 2          ? wide_of(bits)
                                              : ldexp(one_to_two(bits), (int)(bits % 70) - 5);
            const double got = of(x), right = wanted[i](x);
            cr_assert(same_wide(got, right), "%s(%a) is %a, not %a", names[i + 7], x, got, right);
        }
    }
    dlclose(library);
    arena_close(arena);
}
