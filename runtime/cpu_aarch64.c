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

/* FPCR of zero: round to nearest, denormals kept, no default NaN, every exception masked. */
uint32_t float_mode_enter(void)
{
    uint64_t saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved) : : "memory");
    __asm__ volatile("msr fpcr, xzr" : : : "memory");
    return (uint32_t)saved;
}

void float_mode_leave(uint32_t saved)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)saved) : "memory");
}
