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
    TARGET_CPU_AVX512_VNNI = 1 << 3,
    TARGET_CPU_AMX_BF16 = 1 << 5,
    TARGET_CPU_AVX_VNNI = 1 << 6,
    TARGET_CPU_NEON = 1 << 16,
};

/* What a machine does not have, so that kernels do without or call a function of their own for it. */
enum {
    TARGET_LACKS_F32 = 1 << 0,      /* instructions for f32: every operation is a call */
    TARGET_LACKS_ROUNDING = 1 << 1, /* floor, ceil, trunc and round of f32 */
    TARGET_LACKS_F64 = 1 << 2,      /* instructions for f64 */
    TARGET_LACKS_LIBM = 1 << 3,     /* a C library with mathematical functions */
};

/* What of the world outside the kernels a family has. It decides the form of the output, never how a kernel computes.
 */
typedef enum TargetSystem {
    SYSTEM_HOSTED,       /* an operating system with a C library: shared and static libraries, threads */
    SYSTEM_FREESTANDING, /* a microcontroller: static libraries that need nothing but memory */
    SYSTEM_DEVICE,       /* an accelerator: its kernels travel as data in a library for `host` */
} TargetSystem;

/* Levels that understand the same machine code, one above the other, and share tables, runtime and file format. */
typedef struct TargetFamily {
    const char *name;     /* as in --target: "x86-64" */
    const char *what;     /* for people */
    const char *standard; /* the levels of a library when only the family is named, best first, with commas */
    TargetSystem system;
    int pointer_bits;
    int elf_machine;     /* e_machine of object files */
    const char *gnu;     /* how GNU's tools for it begin: "aarch64-linux-gnu"; NULL: there are none */
    const char *runtime; /* the bitcode linked into its libraries, as runtime/runtime.cmake names it */
    const struct TargetMachineInfo *levels;
    int level_count;                      /* best last */
    const struct TargetMachineInfo *host; /* SYSTEM_DEVICE: what runs the program of launches */
    uint64_t (*host_mask)(void);          /* TARGET_CPU_* bits of the machine that runs this; NULL: never this family */
} TargetFamily;

/* What schedules for a GPU need to know. */
typedef struct TargetGpu {
    int sm;                /* compute capability times ten: 80, 100 */
    int warp;              /* threads that run in step */
    int block_threads;     /* most of a block */
    int registers;         /* 32-bit registers of a multiprocessor */
    int thread_registers;  /* most of a thread */
    int sm_threads;        /* most that a multiprocessor holds at once */
    int sm_blocks;         /* most that a multiprocessor holds at once */
    int sms;               /* multiprocessors of a typical part */
    int64_t static_shared; /* bytes of shared memory that a block has without asking the driver for more */
    int64_t block_shared;  /* most of a block */
    int64_t sm_shared;     /* of a multiprocessor, for all its blocks */
    bool copy_async;       /* copies from global to shared memory pass by the registers */
    const char *mma;       /* rows of ir/mma.def that are instructions, with spaces */
} TargetGpu;

/* What the rows of CPUs say of themselves unless they were measured: two ports for multiply-adds, two for loads, and
 * caches as on servers. */
#define TARGET_USUAL                                                                                                   \
    .multiplies_per_cycle = 2, .loads_per_cycle = 2, .l2_bytes_per_cycle = 28, .l3_bytes_per_cycle = 10,               \
    .copy_cycles = 0.4, .round_cycles = 1.5

typedef struct TargetMachineInfo {
    const TargetFamily *family;
    const char *name;     /* as in --cpu */
    const char *triple;   /* normalised */
    const char *cpu;      /* LLVM's name: its tuning */
    const char *features; /* LLVM's feature list, complete: code never depends on what the name implies */
    int vector_bytes;     /* widest register that kernels use */
    int vector_registers;
    bool masked;          /* loads and stores have cheap masks of any lane */
    bool tiles;           /* tile registers (ir/tiles.h) that multiply pairs of bf16 */
    bool gather;          /* 32- and 64-bit elements can be gathered by one instruction */
    bool rounds_in_steps; /* no instructions for floor, ceil, trunc and round: LLVM would call the C library for each
                             lane */
    bool dots;            /* products of bytes are made in fours (OP_dot) */
    const char *dot_name; /* what a machine of the level may have for them: name, features and mask of a level with */
    const char *dot_features; /* it; models without such products do not know of it. NULL: nothing, or it is that one */
    uint64_t dot_mask;
    bool flushes; /* vectors of f32 take denormals for zeros, whatever the mode: NEON of 32-bit ARM */
#define WHOLE(name, least, most, what) int64_t name; /* what it is */
#define REAL(name, least, most, what)  double name;
#include "targets/machine.def"
    /* The level that this one is but for a unit that only some kernels use (tiles, instructions for dots); those that do
     * not are compiled once for both. NULL: none. */
    const struct TargetMachineInfo *base;
    uint64_t cpu_mask;    /* TARGET_CPU_*; of the family's own */
    unsigned lacks;       /* TARGET_LACKS_* */
    const TargetGpu *gpu; /* NULL: a CPU */
} TargetMachineInfo;

/* A thing that people own, in the terms of a level. */
typedef struct TargetDevice {
    const char *name;   /* as in --target: "raspberry-pi-4" */
    const char *target; /* a level */
    int64_t ram,
        flash;        /* bytes of a microcontroller: the limits unless --max-ram and --max-flash say others; 0: none */
    const char *what; /* for people */
    const char *machine; /* what its cost models read instead of the level's row, as a machine file; NULL: nothing */
} TargetDevice;

enum { TARGET_LEVELS_MAX = 8 }; /* in one library */

/* What --target and --cpu ask for. */
typedef struct TargetChoice {
    const TargetFamily *family;
    const TargetMachineInfo *levels[TARGET_LEVELS_MAX]; /* best first */
    int level_count;
    const TargetDevice *device; /* NULL: none was named */
} TargetChoice;

int target_family_count(void);
const TargetFamily *target_family_at(int index);
int target_device_count(void);
const TargetDevice *target_device_at(int index);

/* All levels of all families, one after the other. */
int target_count(void);
const TargetMachineInfo *target_at(int index); /* best level of a family last */
/* The row called `name`; "native" is the best level that this machine runs. NULL after a diagnostic that names the
 * nearest row. */
const TargetMachineInfo *target_find(Diagnostics *diagnostics, const char *name);
/* `name` is a family ("x86-64"), a level, a device, a triple of a family, several levels of one family after its name
 * ("cuda:sm_80,sm_90"), or "native". Levels of a device that says more of its machine are copies with its numbers.
 * `levels` replaces the levels that the name implies; count 0 keeps them. False after a diagnostic that names the
 * nearest. */
bool target_choose(Diagnostics *diagnostics, const char *name, const char *const *levels, int count,
                   TargetChoice *choice);
/* The level with what machines of `target` may have for products of bytes; NULL: there is none. */
const TargetMachineInfo *target_with_dots(Arena *arena, const TargetMachineInfo *target);
bool target_runs_here(const TargetMachineInfo *target);
/* Takes `candidate` when it is nearer to `name` than what was `least` edits away. */
void target_nearer(const char *name, const char *candidate, const char **nearest, int *least);

#endif
