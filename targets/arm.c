/* 32-bit ARM with Linux and a hard-float ABI: processors with NEON, VFPv4 (fused multiply-add, half precision) and
 * integer division, which is everything since Cortex-A7 and A15. NEON has 16 registers of 16 bytes.
 *
 * Cache sizes are those of a Raspberry Pi 2 (Cortex-A7: 32 KiB, 512 KiB for four). */
#include "targets/arm.h"

#if defined(__arm__)
#include <sys/auxv.h>
#endif

enum { ELF_ARM = 40 };

static const TargetMachineInfo levels[] = {
    {
        .family = &arm_family,
        .name = "armv7-neon",
        .triple = "armv7-unknown-linux-gnueabihf",
        .cpu = "generic",
        .features = "+armv7-a,+d32,+dsp,+fp16,+fp64,+hwdiv,+hwdiv-arm,+neon,+thumb2,+use-misched,+vfp4",
        .vector_bytes = 16,
        .vector_registers = 16,
        .masked = false,
        .gather = false,
        .rounds_in_steps = true,
        .flushes = true,
        .l1 = 32 << 10,
        .l2 = 256 << 10,
        .l3 = 512 << 10,
        .cores = 4,
        TARGET_USUAL,
        .memory_bytes_per_cycle = 2,
        .memory_bytes_per_cycle_all = 4,
        .exp_cycles = 8,
        .cpu_mask = TARGET_CPU_NEON,
    },
};

#if defined(__arm__)
static uint64_t arm_host_mask(void)
{
    /* AT_HWCAP: NEON, VFPv4, division in both instruction sets. As in runtime/cpu_armv7.c. */
    const unsigned long needed = 1ul << 12 | 1ul << 16 | 1ul << 17 | 1ul << 18;
    return (getauxval(AT_HWCAP) & needed) == needed ? TARGET_CPU_NEON : 0;
}
#else
static uint64_t arm_host_mask(void)
{
    return 0;
}
#endif

const TargetFamily arm_family = {
    .name = "armv7",
    .what = "Linux on 32-bit ARM",
    .standard = "armv7-neon",
    .system = SYSTEM_HOSTED,
    .pointer_bits = 32,
    .elf_machine = ELF_ARM,
    .gnu = "arm-linux-gnueabihf",
    .runtime = "armv7",
    .levels = levels,
    .level_count = sizeof levels / sizeof *levels,
    .host_mask = arm_host_mask,
};
