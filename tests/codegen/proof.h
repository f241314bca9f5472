/* Proofs by running: compiled models against the interpreter, bit for bit, in memory that no access may leave.
 *
 * A Proof is one compilation (from a model file or a graph made by a test) up to its program and, per level, its
 * machine code. An Experiment is one kernel with the same random contents of its buffers for every way of running it:
 * the scheduled body interpreted, the plain stages interpreted, the machine code. Results equal when every byte does;
 * NaN is NaN, whatever its bits. */
#ifndef LATHE_TESTS_CODEGEN_PROOF_H
#define LATHE_TESTS_CODEGEN_PROOF_H

#include "codegen/schedule.h"
#include "frontend/import.h"
#include "ir/interpret.h"
#include "runtime/lathe_runtime.h"
#include "tests/codegen/elsewhere.h"
#include "tests/codegen/guarded.h"

/* ---- random numbers: the same everywhere for the same seed ---- */

static inline uint64_t random_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static inline int64_t random_below(uint64_t *state, int64_t count)
{
    return (int64_t)(random_next(state) >> 1) % count;
}

/* ---- memory (proof_memory.c) ---- */

/* What tensors are filled with. */
typedef enum Values {
    VALUES_PLAIN,   /* floats in [-1, 1], integers small enough to be indices of nearly everything */
    VALUES_SPECIAL, /* zeros of both signs, denormals, huge numbers, infinities, NaN; integers of any size */
    VALUES_KINDS
} Values;
void values_fill(Ir *ir, Dtype dtype, void *data, uint64_t bytes, Values values, uint64_t *state);
/* Denormals of f32 become zeros. */
void values_flush(Dtype dtype, void *data, uint64_t bytes);
/* The first element that differs, -1 when there is none. With `flushes` denormals of f32 and zeros are the same. */
int64_t values_differ(Dtype dtype, const void *a, const void *b, uint64_t bytes, bool flushes);
/* The first element of f32 that is further from the other than 1e-4 of the largest of `a`, -1 when there is none; other
 * types have to be equal. For kernels whose sums have another order than the plain stages' (a few thousand terms, each
 * rounded by 2^-24). */
int64_t values_far(Dtype dtype, const void *a, const void *b, uint64_t bytes);
/* Are there no infinities and NaN of f32? */
bool values_finite(Dtype dtype, const void *data, uint64_t bytes);
/* One element as text, in the arena. */
const char *value_text(Arena *arena, Dtype dtype, const void *data, int64_t element);

/* ---- models (proof_model.c) ---- */

typedef struct Proof {
    const char *name;
    Arena *arena;
    Diagnostics *diagnostics;
    Ir *ir;
    ImportedModel model;
    bool imported;
    Compilation compilation;
    Program program;
    const TargetMachineInfo *levels[LEVELS_MAX];
    int level_count;
    ScheduleFunction *schedule; /* NULL: kernel_schedule */
    void *context;
    void *library[LEVELS_MAX];
    lathe_kernel *const *functions[LEVELS_MAX]; /* by kernel */
    lathe_kernel *instantiate[LEVELS_MAX];
    Elsewhere *elsewhere[LEVELS_MAX]; /* calls the functions of a level that this machine does not run; they are NULL */
} Proof;

typedef struct ProofOptions {
    int level;          /* -O */
    const char *target; /* one level alone, whether this machine runs it or not; NULL: all that it runs */
    int workers;        /* compiling processes; 0: in this one */
    const char *only;   /* kernels whose name holds this text, or NULL */
    int64_t work;       /* what the interpreter may do for one run of a kernel */
    int rounds;         /* how many kinds of values */
    uint64_t seed;      /* of the order of threads and blocks on a GPU */
} ProofOptions;

/* An empty compilation: a test makes proof->compilation.graph in proof->ir. */
void proof_start(Proof *proof, const char *name, const ProofOptions *options);
/* From a file; false (and a line on standard output) when the model is not supported. */
bool proof_import(Proof *proof, const char *path, const ProofOptions *options);
/* Passes and program. */
bool proof_program(Proof *proof);
/* Machine code of one of proof->levels, in an emulator where this machine does not run it. */
bool proof_load(Proof *proof, int level, int workers);
void proof_close(Proof *proof);

/* Values for the program's symbols that its checks allow; at most `most` different sets. values[set *
 * program.symbol_count + symbol]. */
int proof_symbols(const Proof *proof, SymbolValue *values, int most);

/* ---- kernels (proof_kernel.c) ---- */

typedef struct Tally {
    int kernels, compared, partly, unproven, failures; /* unproven: more work than allowed, even for a few units */
} Tally;

/* Every kernel of the program on the level: machine code == scheduled body == plain stages. With `machine` false only
 * the latter two. */
void proof_kernels(Proof *proof, int level, bool machine, const ProofOptions *options, Tally *tally);

/* ---- plans (proof_plan.c) ---- */

/* Launches that touch the same bytes wait for each other, what is still needed is not written over, and slots are large
 * enough. */
bool proof_plan(const Proof *proof);
/* The whole program interpreted in its planned memory, in order and in `orders` random orders that the launches'
 * dependencies allow: outputs equal those of plain stages in memory of their own. False when there was too much to do;
 * *failures counts differences. */
bool proof_orders(Proof *proof, int level, int orders, int64_t work, int *failures);

#endif
