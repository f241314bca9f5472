/* Passes: graph to graph, in a table that says what must hold before each, what holds after it, and why it stands where
 * it stands. */
#ifndef LATHE_PASSES_PASS_H
#define LATHE_PASSES_PASS_H

#include "ir/ir.h"
#include "targets/target.h"

#include <stdio.h>

/* What holds of a compilation; each state implies those before it. */
typedef enum State {
    STATE_TENSOR,    /* operators as imported, typed */
    STATE_PRIMITIVE, /* only operators that have a room or a scalar text */
    STATE_STAGES,    /* kernels of stages over buffers; no operator survives */
    STATE_PLACED,    /* every buffer has its place in arena or weights */
} State;

typedef enum MathMode { MATH_EXACT, MATH_DEFAULT, MATH_FAST } MathMode;

struct Script;
struct ScriptRegion;

typedef struct Compilation {
    Ir *ir;
    Graph *graph;   /* until lowering */
    Module *module; /* from lowering on */
    State state;
    int level; /* -O0 ... -O3 */
    MathMode math;
    Dtype weights; /* how weights of products are stored: DTYPE_F16, DTYPE_BF16, or DTYPE_NONE as the model has them */
    const TargetMachineInfo *target; /* the level that decides what all levels share: layouts, fusion */
    /* Set by planning */
    int64_t arena_bytes; /* static models */
    int64_t arena_bound; /* the least that lives at once: what planning is measured against */
    int64_t weight_bytes;
    int slot_count;    /* symbolic models */
    Node **slot_bytes; /* index: size of each slot */
    /* A model whose course depends on data: from partition on, its regions go the road, each a compilation of its own,
     * and the module of this one has inputs and outputs alone. */
    struct Script *script;
    struct Compilation *regions;
    const struct ScriptRegion *region; /* of a region: which */
    int region_number;
} Compilation;

typedef struct PassContext {
    Compilation *compilation;
    int64_t fuel;     /* decisions left; negative: without limit */
    int64_t *counter; /* decisions taken by this pass, for logs */
    FILE *rules;      /* rewrite rules report here how often each fired; NULL: nowhere */
} PassContext;
/* Takes one decision when fuel is left: a pass asks before each rewrite, so that --fuel=N stops after the N-th
 * (bisecting). */
bool pass_decide(PassContext *context);

typedef bool PassFunction(PassContext *context);
typedef struct PassRow {
    const char *name;
    PassFunction *run;
    State needs, leaves;
    int level; /* least -O that runs it */
    const char *why;
} PassRow;
extern const PassRow pass_rows[];
extern const int pass_count;

typedef struct PassOptions {
    bool verify;             /* after every pass */
    bool time;               /* print a line per pass */
    bool rules;              /* print a line per rewrite rule that fired */
    int64_t fuel;            /* negative: without limit */
    const char *stop_after;  /* pass name or NULL */
    const char *const *skip; /* NULL-terminated names of optional passes, or NULL */
    const char *dump_after;  /* pass names with commas between, "all" or NULL */
    const char *dump_folder; /* numbered files; NULL: `stream` */
    FILE *stream;            /* for dumps, times and rules */
} PassOptions;
/* The text of what it is now: graph, script, or stages (of all regions). */
const char *compilation_print(Arena *arena, const Compilation *compilation, size_t *length);
/* One section of weights for all regions; each is planned already. */
bool weights_share(Compilation *compilation, int region_count);
/* Gives every region of a script the checks that it makes. */
void script_checks(Ir *ir, struct Script *script);
/* Runs the table from the compilation's state on. False after a diagnostic. */
bool passes_run(Compilation *compilation, const PassOptions *options);
/* Runs the passes called `names`, in that order, whatever their least -O; stop_after and skip do not count. A name that
 * no pass has, or a pass that does not suit the compilation's state, is a diagnostic. */
bool passes_run_named(Compilation *compilation, const char *const *names, int count, const PassOptions *options);
const PassRow *pass_find(const char *name); /* NULL: none is called that */

#define PASS(name, needs, leaves, level, why) PassFunction pass_##name;
#include "passes/passes.def"
#undef PASS

#endif
