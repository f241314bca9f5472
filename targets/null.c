/* The smallest target: one lane, no vectors, no masks, no gather. Every kernel becomes plain loops.
 *
 * It exists for whoever adds a target (ADDING.md): all that a family must have stands here, and the tests compile and
 * run models for it, so that the recipe cannot rot. Its code runs where x86-64-v3's does, which it is for LLVM: with
 * fused multiply-adds, or they would be calls. */
#include "targets/null.h"
#include "targets/x86.h"

enum { ELF_X86_64 = 62 };

static const TargetMachineInfo levels[] = {
    {
        .family = &null_family,
        .name = "null",
        .triple = "x86_64-unknown-linux-gnu",
        .cpu = "x86-64",
        .features = "+64bit,+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+avx,+fma,+f16c",
        .vector_bytes = 4,
        .vector_registers = 16,
        .masked = false,
        .gather = false,
        .l1 = 32 << 10,
        .l2 = 256 << 10,
        .l3 = 1 << 20,
        .cores = 4,
        TARGET_USUAL,
        .memory_bytes_per_cycle = 4,
        .memory_bytes_per_cycle_all = 12,
        .exp_cycles = 10,
        .cpu_mask = TARGET_CPU_SSE42 | TARGET_CPU_AVX2,
    },
};

static uint64_t null_host_mask(void)
{
    return x86_family.host_mask();
}

const TargetFamily null_family = {
    .name = "null",
    .what = "one lane and nothing else: the pattern for new targets",
    .standard = "null",
    .system = SYSTEM_HOSTED,
    .pointer_bits = 64,
    .elf_machine = ELF_X86_64,
    .gnu = "x86_64-linux-gnu",
    .runtime = "x86-64",
    .levels = levels,
    .level_count = sizeof levels / sizeof *levels,
    .host_mask = null_host_mask,
};
