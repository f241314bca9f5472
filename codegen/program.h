/* The program of a compiled model as data: launches over buffers, numbers that instantiation computes, what waits for
 * what. It is what codegen/model.c writes as the tables of runtime/lathe_runtime.h. */
#ifndef LATHE_CODEGEN_PROGRAM_H
#define LATHE_CODEGEN_PROGRAM_H

#include "ir/interpret.h"
#include "ir/ir.h"
#include "ir/map.h"
#include "passes/pass.h"
#include "targets/target.h"

enum { LEVELS_MAX = TARGET_LEVELS_MAX };

typedef struct ProgramKernel {
    const char *key; /* canonical text of the stages: equal keys share the code */
    Node *stages;    /* kernel node before scheduling */
    Node *scheduled[LEVELS_MAX];
    const char *symbol[LEVELS_MAX];
    const char *name;
} ProgramKernel;

typedef struct ProgramLaunch {
    Node *kernel; /* this launch's own kernel node: its inputs are the arguments */
    int index;    /* into kernels */
    int buffers_first, buffers_count, dims_first, dims_count, deps_first, deps_count;
    int units_value[LEVELS_MAX];
    int work_value, flops_value, bytes_value;
    const char *name;
} ProgramLaunch;

typedef struct ProgramBuffer {
    int place; /* lathe_place */
    int index;
    int64_t offset;
} ProgramBuffer;

typedef struct ProgramSymbol {
    Node *symbol;
    int input, position;
    bool element;
} ProgramSymbol;

typedef struct ProgramCheck {
    int value;
    const char *message;
} ProgramCheck;

/* A kernel of a device: first bytes of its machine code and of its text in the library's constant; -1: it has none. */
typedef struct ProgramImage {
    int64_t binary, text;
} ProgramImage;

/* A growing list of ints in an arena. */
typedef struct IntList {
    int *items;
    int count, capacity;
} IntList;

void int_list_push(Arena *arena, IntList *list, int item);

/* What a model takes of a microcontroller, in bytes. The first two are known before machine code is made. */
typedef struct Footprint {
    int64_t ram, weights;     /* the memory of a context (workspace); constants of the model */
    int64_t flash, code;      /* all that the library adds to read-only memory; of it what is no weight */
    int64_t stack;            /* below the caller of the deepest entry */
    int64_t scratch_offset;   /* within the workspace, behind intermediate results */
    bool workspace_is_static; /* the workspace is part of the library */

} Footprint;

typedef struct Program {
    Ir *ir;
    const Compilation *compilation;
    const Module *module;
    int level_count;
    const TargetMachineInfo *const *levels; /* best first */

    ProgramKernel *kernels;
    int kernel_count;
    ProgramLaunch *launches;
    int launch_count;
    ProgramBuffer *buffers;
    int buffer_count;
    ProgramSymbol *symbols;
    int symbol_count;
    ProgramCheck *checks;
    int check_count;
    Node **values; /* index expressions over symbols */
    int value_count, value_capacity;
    IntList buffer_refs, value_refs, dep_refs;
    struct Reach *dep_ranges; /* for each entry of dep_refs one per level (codegen/reach.h); NULL: whole launches */
    int range_capacity;
    int *input_dims, *input_bytes, *output_dims, *output_bytes; /* first entry in value_refs; value of the size */
    int *slot_bytes_value;
    int arena_bytes_value;
    int64_t scratch[LEVELS_MAX];
    ProgramImage *images; /* kernel_count x level_count, for devices, once they are compiled (codegen/images.h) */
    Node *instantiate;    /* scheduled kernel, or NULL when all values are constants */
    Footprint footprint;  /* SYSTEM_FREESTANDING */

    /* A model whose course depends on data: this is what its caller sees, without launches; each region is a program of
     * its own. All have the same kernels and weights. */
    struct Program *regions;
    int region_count;
    const char *suffix;                 /* of the names of its tables: "" or "_r3" */
    bool *inputs_known, *outputs_known; /* is the size a formula over the inputs' dims and elements? */

    /* private to program.c */
    NodeMap value_of, buffer_of;
} Program;

/* Chooses the schedule of one kernel for one level. */
typedef Node *ScheduleFunction(void *context, Ir *ir, Node *kernel, const TargetMachineInfo *target);

/* Builds the program of a placed module. False after a diagnostic. */
bool program_build(const Compilation *compilation, const TargetMachineInfo *const *levels, int level_count,
                   ScheduleFunction *schedule, void *context, Program *program);

/* Does the kernel run on this level as on the next, with the same function? */
bool program_shares(const Program *program, int kernel, int level);

/* Another schedule for a kernel of a finished program. Where its units are numbers that the program did not have,
 * `instantiate` is made anew. */
void program_reschedule(Program *program, int kernel, int level, Node *scheduled);

/* Would a run with these values of its symbols, in their order, pass the checks, with no negative size? */
bool program_allows(const Program *program, const SymbolValue *values);

/* The program itself, or region `i - 1` of it; NULL behind the last. */
Program *program_part(Program *program, int i);

/* Tensors all, of sizes that a caller can know before: else outputs are the context's (lathe_value). */
bool program_plain(const Program *program);

/* What runs the program itself: tables, entries and instantiation are compiled for it. */
const TargetMachineInfo *program_host(const Program *program);

/* Operations of one run of a kernel (multiply-add counts 2) and bytes that it reads and writes at least once, as index
 * expressions. */
Node *kernel_flops(Ir *ir, const Node *kernel);
Node *kernel_bytes(Ir *ir, const Node *kernel);

#endif
