/* Cortex-M: microcontrollers without an operating system. Every level has its own instruction set; none runs another's
 * code unchanged, so a library has one of them.
 *
 * Kernels use single registers: those of the scalar FPU or, without one, of the integers that soft floats are. LATER:
 * the M55's vectors (MVE); its row is that of its scalar FPU. */
#include "targets/cortexm.h"

enum { ELF_ARM = 40 };

/* Unaligned words are legal on ARMv7-M and later but not on every bus: never made. The names of CPUs imply most of
 * this, but code must not depend on names. */
#define V6M  "+armv6-m,+thumb-mode,+mclass,+noarm,+strict-align"
#define V7M  "+armv7e-m,+thumb-mode,+thumb2,+mclass,+noarm,+hwdiv,+dsp,+strict-align"
#define V81M "+armv8.1-m.main,+thumb-mode,+thumb2,+mclass,+noarm,+hwdiv,+dsp,+strict-align"

/* The float ABI is the base one: no function of a library takes or gives a float, so it fits programs of either ABI. */
static const TargetMachineInfo levels[] = {
    {
        .family = &cortexm_family,
        .name = "cortex-m0plus",
        .triple = "thumbv6m-unknown-none-eabi",
        .cpu = "cortex-m0plus",
        .features = V6M,
        .vector_bytes = 4,
        .vector_registers = 8,
        .lacks = TARGET_LACKS_LIBM | TARGET_LACKS_F32 | TARGET_LACKS_ROUNDING | TARGET_LACKS_F64,
    },
    {
        .family = &cortexm_family,
        .name = "cortex-m4f",
        .triple = "thumbv7em-unknown-none-eabi",
        .cpu = "cortex-m4",
        .features = V7M ",+vfp4d16sp",
        .vector_bytes = 4,
        .vector_registers = 32,
        .lacks = TARGET_LACKS_LIBM | TARGET_LACKS_ROUNDING | TARGET_LACKS_F64,
    },
    {
        .family = &cortexm_family,
        .name = "cortex-m7",
        .triple = "thumbv7em-unknown-none-eabi",
        .cpu = "cortex-m7",
        .features = V7M ",+fp-armv8d16",
        .vector_bytes = 4,
        .vector_registers = 32,
        .lacks = TARGET_LACKS_LIBM,
    },
    {
        .family = &cortexm_family,
        .name = "cortex-m7-sp",
        .triple = "thumbv7em-unknown-none-eabi",
        .cpu = "cortex-m7",
        .features = V7M ",+fp-armv8d16sp",
        .vector_bytes = 4,
        .vector_registers = 32,
        .lacks = TARGET_LACKS_LIBM | TARGET_LACKS_F64,
    },
    {
        .family = &cortexm_family,
        .name = "cortex-m55",
        .triple = "thumbv8.1m.main-unknown-none-eabi",
        .cpu = "cortex-m55",
        .features = V81M ",+fp-armv8d16,+fullfp16,+lob,+ras,-mve,-mve.fp",
        .vector_bytes = 4,
        .vector_registers = 32,
        .lacks = TARGET_LACKS_LIBM,
    },
};

const TargetFamily cortexm_family = {
    .name = "cortex-m",
    .what = "microcontrollers with a Cortex-M core, no operating system",
    .standard = "cortex-m4f",
    .system = SYSTEM_FREESTANDING,
    .pointer_bits = 32,
    .elf_machine = ELF_ARM,
    .gnu = "arm-none-eabi",
    .levels = levels,
    .level_count = sizeof levels / sizeof *levels,
};
