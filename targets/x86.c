/* x86-64 levels. There is no x86-64-v2 row: it has no fused multiply-add, which would become a call per lane.
 *
 * Cache sizes are those of typical server cores of the level (v3: Haswell to Zen 3, v4: Ice Lake to Zen 5). */
#include "targets/x86.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define X86_V3                                                                                                         \
    "+64bit,+cmov,+cx8,+cx16,+fxsr,+mmx,+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+sahf,+crc32,+xsave,+avx,"     \
    "+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe"
#define X86_V4 X86_V3 ",+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"

#define X86_V4_AMX X86_V4 ",+avx512vnni,+amx-tile,+amx-bf16"

enum { ELF_X86_64 = 62 };

/* The numbers of a row of AVX-512, whatever else it has. */
#define X86_WIDE                                                                                                       \
    .family = &x86_family, .triple = "x86_64-unknown-linux-gnu", .cpu = "x86-64-v4", .vector_bytes = 64,               \
    .vector_registers = 32, .masked = true, .gather = true, .dots = true, .l1 = 48 << 10, .l2 = 2 << 20,               \
    .l3 = 2 << 20, .cores = 4, TARGET_USUAL, .memory_bytes_per_cycle = 4.4, .memory_bytes_per_cycle_all = 16,          \
    .exp_cycles = 1

const TargetMachineInfo x86_levels[] = {
    {
        .family = &x86_family,
        .name = "x86-64-v3",
        .triple = "x86_64-unknown-linux-gnu",
        .cpu = "x86-64-v3",
        .features = X86_V3,
        .vector_bytes = 32,
        .vector_registers = 16,
        .masked = false,
        .gather = true,
        .dots = true,
        .dot_name = "x86-64-v3-vnni",
        .dot_features = "+avxvnni",
        .dot_mask = TARGET_CPU_AVX_VNNI,
        .l1 = 32 << 10,
        .l2 = 512 << 10,
        .l3 = 2 << 20,
        .cores = 4,
        TARGET_USUAL,
        .memory_bytes_per_cycle = 4,
        .memory_bytes_per_cycle_all = 12,
        .exp_cycles = 2,
        .cpu_mask = TARGET_CPU_SSE42 | TARGET_CPU_AVX2,
    },
    {
        X86_WIDE,
        .name = "x86-64-v4",
        .features = X86_V4,
        .dot_name = "x86-64-v4-vnni",
        .dot_features = "+avx512vnni",
        .dot_mask = TARGET_CPU_AVX512_VNNI,
        .cpu_mask = TARGET_CPU_SSE42 | TARGET_CPU_AVX2 | TARGET_CPU_AVX512,
    },
    {
        X86_WIDE,
        .name = "x86-64-v4-amx",
        .features = X86_V4_AMX,
        .tiles = true,
        .base = &x86_levels[1],
        .cpu_mask =
            TARGET_CPU_SSE42 | TARGET_CPU_AVX2 | TARGET_CPU_AVX512 | TARGET_CPU_AVX512_VNNI | TARGET_CPU_AMX_BF16,
    },
};

#if defined(__x86_64__)
/* AMX-TILE and AMX-BF16, which the system saves and lets this process use: Linux does when asked. */
static bool has_tiles(void)
{
    enum { LEAF = 7, BF16 = 1 << 22, TILE = 1 << 24, STATES = 3 << 17, REQUEST = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d;
    if (!__get_cpuid_count(LEAF, 0, &a, &b, &c, &d) || (d & (BF16 | TILE)) != (BF16 | TILE))
        return false;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0)); /* it is there where AVX is */
    return (a & STATES) == STATES && syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

static uint64_t x86_host_mask(void)
{
    __builtin_cpu_init();
    uint64_t mask = 0;
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"))
        mask |= TARGET_CPU_SSE42;
    if (mask && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
        __builtin_cpu_supports("bmi2"))
        mask |= TARGET_CPU_AVX2;
    if ((mask & TARGET_CPU_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        mask |= TARGET_CPU_AVX512;
    if ((mask & TARGET_CPU_AVX512) && __builtin_cpu_supports("avx512vnni"))
        mask |= TARGET_CPU_AVX512_VNNI;
    if ((mask & TARGET_CPU_AVX2) && __builtin_cpu_supports("avxvnni"))
        mask |= TARGET_CPU_AVX_VNNI;
    if ((mask & TARGET_CPU_AVX512) && has_tiles())
        mask |= TARGET_CPU_AMX_BF16;
    return mask;
}
#else
static uint64_t x86_host_mask(void)
{
    return 0;
}
#endif

const TargetFamily x86_family = {
    .name = "x86-64",
    .what = "Linux on x86-64",
    .standard = "x86-64-v4-amx,x86-64-v4,x86-64-v3",
    .system = SYSTEM_HOSTED,
    .pointer_bits = 64,
    .elf_machine = ELF_X86_64,
    .gnu = "x86_64-linux-gnu",
    .runtime = "x86-64",
    .levels = x86_levels,
    .level_count = sizeof x86_levels / sizeof *x86_levels,
    .host_mask = x86_host_mask,
};
