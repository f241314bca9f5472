/* What a machine is, as data: every level of instruction set that Lathe generates code for is one row.
 *
 * Schedules read the numbers (vector width, registers, caches); codegen reads triple, CPU and features; the runtime
 * picks a level by its CPU mask. A row never changes with the machine that compiles, so that the same command gives the
 * same bytes everywhere; only the name "native" depends on the host, and only in which row it means. */
#ifndef LATHE_TARGETS_TARGET_H
#define LATHE_TARGETS_TARGET_H

#include "ir/diag.h"

#include <stdbool.h>
#include <stdint.h>

/* CPU features that a level needs: the bits of LATHE_CPU_* in runtime/lathe_runtime.h (a test compares them). */
enum {
    TARGET_CPU_SSE42 = 1 << 0,
    TARGET_CPU_AVX2 = 1 << 1,
    TARGET_CPU_AVX512 = 1 << 2,
};

typedef struct TargetMachineInfo {
    const char *name;     /* as in --cpu */
    const char *triple;   /* normalised */
    const char *cpu;      /* LLVM's name: its tuning */
    const char *features; /* LLVM's feature list, complete: code never depends on what the name implies */
    int elf_machine;      /* e_machine of object files */
    int vector_bytes;     /* widest register that kernels use */
    int vector_registers;
    bool masked;        /* loads and stores have cheap masks of any lane */
    bool gather;        /* 32- and 64-bit elements can be gathered by one instruction */
    int64_t l1, l2, l3; /* bytes of data cache; l3 is one core's share */
    uint64_t cpu_mask;  /* TARGET_CPU_* */
} TargetMachineInfo;

int target_count(void);
const TargetMachineInfo *target_at(int index); /* best level of a family last */
/* The row called `name`; "native" is the best level that this machine runs. NULL after a diagnostic that names the
 * nearest row. */
const TargetMachineInfo *target_find(Diagnostics *diagnostics, const char *name);
/* TARGET_CPU_* bits of the machine that runs this function, 0 where it is of another family. */
uint64_t target_host_mask(void);
bool target_runs_here(const TargetMachineInfo *target);

#endif
