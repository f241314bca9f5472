/* AArch64 with Linux: one level, what every processor of the architecture has. NEON has 32 registers of 16 bytes and
 * fused multiply-adds by a lane; it has no masks and no gather.
 *
 * Cache sizes are between those of the small cores (Cortex-A53: 32 KiB, 512 KiB for four) and the large ones
 * (Cortex-A72: 32 KiB, 1 MiB for four; Neoverse N1: 64 KiB, 1 MiB for itself). */
#include "targets/aarch64.h"

enum { ELF_AARCH64 = 183 };

const TargetMachineInfo aarch64_levels[] = {
    {
        .family = &aarch64_family,
        .name = "aarch64",
        .triple = "aarch64-unknown-linux-gnu",
        .cpu = "generic",
        .features = "+v8a,+fp-armv8,+neon",
        .vector_bytes = 16,
        .vector_registers = 32,
        .masked = false,
        .gather = false,
        .l1 = 32 << 10,
        .l2 = 512 << 10,
        .l3 = 1 << 20,
        .cores = 4,
        TARGET_USUAL,
        .memory_bytes_per_cycle = 3,
        .memory_bytes_per_cycle_all = 6,
        .exp_cycles = 4,
        .cpu_mask = TARGET_CPU_NEON,
    },
};

#if defined(__aarch64__)
static uint64_t aarch64_host_mask(void)
{
    return TARGET_CPU_NEON;
}
#else
static uint64_t aarch64_host_mask(void)
{
    return 0;
}
#endif

const TargetFamily aarch64_family = {
    .name = "aarch64",
    .what = "Linux on 64-bit ARM",
    .standard = "aarch64",
    .system = SYSTEM_HOSTED,
    .pointer_bits = 64,
    .elf_machine = ELF_AARCH64,
    .gnu = "aarch64-linux-gnu",
    .runtime = "aarch64",
    .levels = aarch64_levels,
    .level_count = sizeof aarch64_levels / sizeof *aarch64_levels,
    .host_mask = aarch64_host_mask,
};
