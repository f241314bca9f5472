/* x86-64: which features CPU and system offer together, and the floating-point mode of a run. */
#include "runtime/internal.h"
#include "runtime/libc.h"

#include <cpuid.h>

enum {
    ARCH_REQUEST_STATE = 0x1023, /* ARCH_REQ_XCOMP_PERM */
    AMX_TILE_DATA = 18,
    DEFAULT_MXCSR = 0x1f80, /* round to nearest, denormals kept, every exception masked */
    FLUSH_MXCSR = 0x8040,   /* results and operands that are denormal are zeros */
};

/* What cpuid and xgetbv say, in the order of the columns below. */
typedef struct Registers {
    uint32_t c1, b7, c7, d7, a7_1, c8, states;
} Registers;

/* Bits of extended states that the system must save: 0x6 for ymm, 0xe0 more for zmm and masks, 0x60000 for AMX tiles. */
static const struct {
    uint64_t feature, needs;
    Registers all; /* every bit given must be set */
} feature_rows[] = {
    /* CX16, POPCNT, SSE3, SSSE3, SSE4.1, SSE4.2; LAHF */
    {LATHE_CPU_SSE42, 0, {.c1 = 1u << 13 | 1u << 23 | 1u << 0 | 1u << 9 | 1u << 19 | 1u << 20, .c8 = 1u << 0}},
    /* FMA, MOVBE, OSXSAVE, AVX, F16C; BMI1, AVX2, BMI2; LZCNT */
    {LATHE_CPU_AVX2, LATHE_CPU_SSE42,
     {.c1 = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29, .b7 = 1u << 3 | 1u << 5 | 1u << 8, .c8 = 1u << 5, .states = 0x6}},
    /* F, DQ, CD, BW, VL */
    {LATHE_CPU_AVX512, LATHE_CPU_AVX2, {.b7 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31, .states = 0xe6}},
    {LATHE_CPU_AVX512_VNNI, LATHE_CPU_AVX512, {.c7 = 1u << 11}},
    {LATHE_CPU_AVX512_BF16, LATHE_CPU_AVX512, {.a7_1 = 1u << 5}},
    {LATHE_CPU_AVX512_FP16, LATHE_CPU_AVX512, {.d7 = 1u << 23}},
    {LATHE_CPU_AVX_VNNI, LATHE_CPU_AVX2, {.a7_1 = 1u << 4}},
    {LATHE_CPU_AMX_INT8, LATHE_CPU_AVX512, {.d7 = 1u << 24 | 1u << 25, .states = 0x60000}},
    {LATHE_CPU_AMX_BF16, LATHE_CPU_AVX512, {.d7 = 1u << 24 | 1u << 22, .states = 0x60000}},
};

static Registers registers_read(void)
{
    Registers read = {0};
    uint32_t a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d))
        read.c1 = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        const uint32_t subleaves = a;
        read.b7 = b, read.c7 = c, read.d7 = d;
        if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
            read.a7_1 = a;
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d))
        read.c8 = c;
    if (read.c1 & 1u << 27) /* OSXSAVE: xgetbv exists */
        __asm__ volatile("xgetbv" : "=a"(read.states), "=d"(d) : "c"(0));
    return read;
}

static bool has(uint32_t value, uint32_t bits)
{
    return (value & bits) == bits;
}

uint64_t cpu_features(void)
{
    const Registers read = registers_read();
    uint64_t features = 0;
    for (size_t i = 0; i < sizeof feature_rows / sizeof feature_rows[0]; i++) {
        const Registers *all = &feature_rows[i].all;
        if (has(read.c1, all->c1) && has(read.b7, all->b7) && has(read.c7, all->c7) && has(read.d7, all->d7) &&
            has(read.a7_1, all->a7_1) && has(read.c8, all->c8) && has(read.states, all->states) &&
            (features & feature_rows[i].needs) == feature_rows[i].needs)
            features |= feature_rows[i].feature;
    }
    return features;
}

bool cpu_enable(uint64_t features)
{
    if ((features & (LATHE_CPU_AMX_INT8 | LATHE_CPU_AMX_BF16)) == 0)
        return true;
    return syscall(LIBC_CALL_ARCH_PRCTL, ARCH_REQUEST_STATE, AMX_TILE_DATA) == 0;
}

uint64_t cpu_level_features(const char *name, bool *known)
{
    static const struct {
        const char *name;
        uint64_t features;
    } rows[] = {
        {"x86-64", 0},
        {"x86-64-v2", LATHE_CPU_SSE42},
        {"x86-64-v3", LATHE_CPU_SSE42 | LATHE_CPU_AVX2},
        {"x86-64-v4", LATHE_CPU_SSE42 | LATHE_CPU_AVX2 | LATHE_CPU_AVX512},
    };
    *known = true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].features;
    *known = false;
    return 0;
}

uint32_t float_mode_enter(uint32_t program_flags)
{
    uint32_t saved;
    const uint32_t mode = program_flags & LATHE_PROGRAM_FLUSH ? DEFAULT_MXCSR | FLUSH_MXCSR : DEFAULT_MXCSR;
    __asm__ volatile("stmxcsr %0" : "=m"(saved) : : "memory");
    __asm__ volatile("ldmxcsr %0" : : "m"(mode) : "memory");
    return saved;
}

void float_mode_leave(uint32_t saved)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(saved) : "memory");
}
