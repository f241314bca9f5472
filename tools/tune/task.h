/* What is tuned: the distinct kernels of a program for one level, each with data to run it on. */
#ifndef LATHE_TOOLS_TUNE_TASK_H
#define LATHE_TOOLS_TUNE_TASK_H

#include "codegen/program.h"
#include "codegen/space.h"
#include "ir/interpret.h"
#include "tools/runner/protocol.h"

/* One point of a kernel's space. */
typedef struct Point {
    TrialValue values[DECISIONS_MAX];
    int count;        /* 0: what the cost model takes */
    const char *text; /* the values as JSON, in the order of the questions: equal points have equal text */
} Point;

/* Machine code of a point, as the runner wants it. The bytes belong to malloc. */
typedef struct Built {
    int64_t units;
    uint64_t scratch;
    const char *label; /* the schedule's text line */
    void *object;
    size_t object_bytes;
    bool nearly; /* adds in an order of its own: its results are near to the plain schedule's */
} Built;

typedef struct TuneTask {
    Node *kernel; /* stages */
    const char *key, *text, *name, *roles;
    int launches;
    /* Data: */
    RunnerTask facts;
    RunnerRoot *roots;
    uint32_t *buffer_roots;
    int64_t *dims;
    Node **root_buffers;
    const char *skipped; /* why it is not tuned; NULL: it is */
    /* What is known so far: */
    Built reference, standard, best; /* best.object NULL: the standard is */
    Point best_point, standard_point;
    double standard_ns, best_ns; /* as the last measurement of both said */
    double best_ratio;           /* of the best's time to the standard's; 1 at first */
    int trials;                  /* finished, without the standard */
    int failures;
    bool exhausted;
    bool ready;        /* the standard has been measured */
    bool recorded;     /* the storage holds the standard */
    int64_t row;       /* in the storage */
    const char **seen; /* texts of points that were tried */
    int seen_count, seen_capacity;
} TuneTask;

/* Finds the program's kernels; `level` is an index of its levels. Symbols get `values`. */
TuneTask *tasks_find(const Program *program, int level, int threads, const SymbolValue *values, int value_count,
                     int *count);
/* The TASK message, in memory of malloc. The contents are the same for the same kernel. */
void *task_message(Ir *ir, const TuneTask *task, size_t *bytes);
bool task_seen(const TuneTask *task, const char *text);
void task_see(TuneTask *task, Arena *arena, const char *text);
/* Values for the symbols that the program's checks allow; those that `given` names are kept. False: none were found. */
bool symbols_choose(const Program *program, SymbolValue *values);

#endif
