/* 32-bit ARM: what Linux says of the CPU, and the floating-point mode of a run.
 *
 * The mode is that of scalar code (VFP). NEON of 32-bit ARM has no modes: it always rounds to nearest, flushes denormals to zero
 * and makes the default NaN (docs/numerics.md). */
#include "runtime/internal.h"
#include "runtime/libc.h"

/* Bits of AT_HWCAP. */
enum {
    HARDWARE_NEON = 1 << 12,
    HARDWARE_VFPV4 = 1 << 16,
    HARDWARE_DIVIDE_ARM = 1 << 17,
    HARDWARE_DIVIDE_THUMB = 1 << 18,
    HARDWARE_NEEDED = HARDWARE_NEON | HARDWARE_VFPV4 | HARDWARE_DIVIDE_ARM | HARDWARE_DIVIDE_THUMB,
};

uint64_t cpu_features(void)
{
    return (getauxval(LIBC_HARDWARE) & HARDWARE_NEEDED) == HARDWARE_NEEDED ? LATHE_CPU_NEON : 0;
}

bool cpu_enable(uint64_t features)
{
    (void)features;
    return true;
}

uint64_t cpu_level_features(const char *name, bool *known)
{
    *known = strcmp(name, "armv7-neon") == 0;
    return LATHE_CPU_NEON;
}

/* FPSCR of zero: round to nearest, denormals kept, no default NaN, no short vectors, every exception masked. */
uint32_t float_mode_enter(uint32_t program_flags)
{
    uint32_t saved;
    const uint32_t mode = program_flags & LATHE_PROGRAM_FLUSH ? UINT32_C(1) << 24 : 0; /* FZ: as NEON does anyway */
    __asm__ volatile("vmrs %0, fpscr" : "=r"(saved) : : "memory");
    __asm__ volatile("vmsr fpscr, %0" : : "r"(mode) : "memory");
    return saved;
}

void float_mode_leave(uint32_t saved)
{
    __asm__ volatile("vmsr fpscr, %0" : : "r"(saved) : "memory");
}
