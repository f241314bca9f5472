/* AArch64: every processor of the architecture has what our one level needs. The floating-point mode of a run. */
#include "runtime/internal.h"
#include "runtime/libc.h"

uint64_t cpu_features(void)
{
    return LATHE_CPU_NEON;
}

bool cpu_enable(uint64_t features)
{
    (void)features;
    return true;
}

uint64_t cpu_level_features(const char *name, bool *known)
{
    *known = strcmp(name, "aarch64") == 0;
    return LATHE_CPU_NEON;
}

/* FPCR of zero: round to nearest, denormals kept, no default NaN, every exception masked. Bit 24 (FZ): those of f32 and f64 are
 * zeros, as operands and as results. */
uint32_t float_mode_enter(uint32_t program_flags)
{
    uint64_t saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved) : : "memory");
    const uint64_t mode = program_flags & LATHE_PROGRAM_FLUSH ? UINT64_C(1) << 24 : 0;
    __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory");
    return (uint32_t)saved;
}

void float_mode_leave(uint32_t saved)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)saved) : "memory");
}
