/* NVIDIA GPUs by compute capability, from Turing on; older ones are refused by current assemblers.
 *
 * The numbers are those of the CUDA programming guide's table of technical specifications and of the PTX ISA. The PTX
 * version of a level is the lowest that has the level's instructions, so that old drivers take the text too. What
 * differs between parts of one level (multiprocessors, L2) is that of the part that most schedules will meet. */
#include "targets/cuda.h"
#include "targets/aarch64.h"
#include "targets/x86.h"

enum { ELF_CUDA = 190, KIB = 1 << 10, MIB = 1 << 20 };

#define MMA_TURING "m16n8k8.f16.f32"
#define MMA_AMPERE MMA_TURING " m16n8k16.f16.f32 m16n8k16.bf16.f32 m16n8k8.tf32.f32"

/* What no level differs in. */
#define GPU .warp = 32, .block_threads = 1024, .registers = 65536, .thread_registers = 255, .static_shared = 48 * KIB

/*         sm   of a multiprocessor: threads  blocks  shared memory      a block's most      multiprocessors */
static const TargetGpu gpus[] = {
    {GPU, .sm = 75, .sm_threads = 1024, .sm_blocks = 16, .sm_shared = 64 * KIB, .block_shared = 64 * KIB, .sms = 40,
     .mma = MMA_TURING},
    {GPU, .sm = 80, .sm_threads = 2048, .sm_blocks = 32, .sm_shared = 164 * KIB, .block_shared = 163 * KIB, .sms = 108,
     .copy_async = true, .mma = MMA_AMPERE},
    {GPU, .sm = 86, .sm_threads = 1536, .sm_blocks = 16, .sm_shared = 100 * KIB, .block_shared = 99 * KIB, .sms = 82,
     .copy_async = true, .mma = MMA_AMPERE},
    {GPU, .sm = 87, .sm_threads = 1536, .sm_blocks = 16, .sm_shared = 164 * KIB, .block_shared = 163 * KIB, .sms = 16,
     .copy_async = true, .mma = MMA_AMPERE},
    {GPU, .sm = 89, .sm_threads = 1536, .sm_blocks = 24, .sm_shared = 100 * KIB, .block_shared = 99 * KIB, .sms = 58,
     .copy_async = true, .mma = MMA_AMPERE},
    {GPU, .sm = 90, .sm_threads = 2048, .sm_blocks = 32, .sm_shared = 228 * KIB, .block_shared = 227 * KIB, .sms = 132,
     .copy_async = true, .mma = MMA_AMPERE},
    {GPU, .sm = 100, .sm_threads = 2048, .sm_blocks = 32, .sm_shared = 228 * KIB, .block_shared = 227 * KIB, .sms = 148,
     .copy_async = true, .mma = MMA_AMPERE},
};

/* Sixteen bytes are the widest access of a thread. */
#define LEVEL .triple = "nvptx64-nvidia-cuda", .vector_bytes = 16, .vector_registers = 32, .l1 = 64 * KIB

static const TargetMachineInfo levels[] = {
    {LEVEL, .family = &cuda_family, .name = "sm_75", .cpu = "sm_75", .features = "+ptx70", .l2 = 4 * MIB, .l3 = 4 * MIB,
     .gpu = &gpus[0]},
    {LEVEL, .family = &cuda_family, .name = "sm_80", .cpu = "sm_80", .features = "+ptx70", .l2 = 40 * MIB,
     .l3 = 40 * MIB, .gpu = &gpus[1]},
    {LEVEL, .family = &cuda_family, .name = "sm_86", .cpu = "sm_86", .features = "+ptx71", .l2 = 6 * MIB, .l3 = 6 * MIB,
     .gpu = &gpus[2]},
    {LEVEL, .family = &cuda_family, .name = "sm_87", .cpu = "sm_87", .features = "+ptx74", .l2 = 4 * MIB, .l3 = 4 * MIB,
     .gpu = &gpus[3]},
    {LEVEL, .family = &cuda_family, .name = "sm_89", .cpu = "sm_89", .features = "+ptx78", .l2 = 48 * MIB,
     .l3 = 48 * MIB, .gpu = &gpus[4]},
    {LEVEL, .family = &cuda_family, .name = "sm_90", .cpu = "sm_90", .features = "+ptx78", .l2 = 50 * MIB,
     .l3 = 50 * MIB, .gpu = &gpus[5]},
    {LEVEL, .family = &cuda_family, .name = "sm_100", .cpu = "sm_100", .features = "+ptx86", .l2 = 126 * MIB,
     .l3 = 126 * MIB, .gpu = &gpus[6]},
};

const TargetFamily cuda_family = {
    .name = "cuda",
    .what = "NVIDIA GPUs, in a library for Linux on x86-64",
    .standard = "sm_90,sm_80,sm_75",
    .system = SYSTEM_DEVICE,
    .pointer_bits = 64,
    .elf_machine = ELF_CUDA,
    .runtime = "cuda-x86-64",
    .levels = levels,
    .level_count = sizeof levels / sizeof *levels,
    .host = &x86_levels[0],
};

/* Jetson and Grace: what differs is the library around the kernels. */
static const TargetMachineInfo aarch64_hosted[] = {
    {LEVEL, .family = &cuda_aarch64_family, .name = "sm_87-aarch64", .cpu = "sm_87", .features = "+ptx74",
     .l2 = 4 * MIB, .l3 = 4 * MIB, .gpu = &gpus[3]},
    {LEVEL, .family = &cuda_aarch64_family, .name = "sm_90-aarch64", .cpu = "sm_90", .features = "+ptx78",
     .l2 = 50 * MIB, .l3 = 50 * MIB, .gpu = &gpus[5]},
};

const TargetFamily cuda_aarch64_family = {
    .name = "cuda-aarch64",
    .what = "NVIDIA GPUs, in a library for Linux on AArch64",
    .standard = "sm_90-aarch64,sm_87-aarch64",
    .system = SYSTEM_DEVICE,
    .pointer_bits = 64,
    .elf_machine = ELF_CUDA,
    .runtime = "cuda-aarch64",
    .levels = aarch64_hosted,
    .level_count = sizeof aarch64_hosted / sizeof *aarch64_hosted,
    .host = &aarch64_levels[0],
};
