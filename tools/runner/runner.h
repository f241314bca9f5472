/* Inside of lathe-runner: a program without threads and without the compiler that holds the data of one kernel and
 * measures candidates, each in a forked child that may crash, hang, eat memory or compute nonsense. */
#ifndef LATHE_TOOLS_RUNNER_RUNNER_H
#define LATHE_TOOLS_RUNNER_RUNNER_H

#include "runtime/lathe_runtime.h"
#include "tools/runner/protocol.h"

#include <stdbool.h>
#include <stddef.h>

/* Serves requests until the input ends; an exit code. */
int runner_serve(int in, int out);

/* ---- the task (serve.c) ---- */

typedef struct Task {
    RunnerTask facts;
    RunnerRoot *roots;
    uint32_t *buffer_roots;
    int64_t *dims;
    uint8_t **contents;
    uint8_t **expected; /* of roots that are written; NULL: there is no reference yet */
    int32_t expected_error;
    uint8_t *flush;
} Task;

typedef struct Candidate {
    RunnerCandidate facts;
    const char *label;
    const void *object;
} Candidate;

typedef struct Measure {
    RunnerMeasure facts;
    Candidate candidates[CANDIDATES_MAX];
} Measure;

/* Where the child leaves its findings: memory shared with the runner. */
typedef struct Report {
    RunnerResult result;
    uint32_t phase; /* the candidate that is being looked at */
    uint32_t done;  /* the result is whole */
    int32_t error;  /* of the reference */
    uint32_t reserved;
    uint64_t times[]; /* count * most */
} Report;

/* In the child: loads, verifies, measures, fills `report` in, and leaves. `outputs`: where the reference's results go,
 * one after the other. */
_Noreturn void child_run(const Task *task, Measure *measure, Report *report, uint8_t *outputs);

/* ---- memory with pages around it that cannot be touched (memory.c) ---- */

typedef struct Guarded {
    uint8_t *data, *map;
    uint64_t bytes, map_bytes;
} Guarded;
bool guarded_open(Guarded *memory, uint64_t bytes); /* false: no memory */
bool guarded_intact(const Guarded *memory);         /* are the bytes between data and pages as they were? */
void guarded_protect(const Guarded *memory, bool read_only);

/* ---- limits (confine.c) ---- */

/* Units of the processor that a process may use only after asking: while it still may call the system. */
void ask_for_units(void);
void confine_resources(uint64_t memory_bytes, uint64_t nanoseconds, uint32_t threads);
/* From now on this process may compute, wait and leave; anything else kills it. False: the system cannot. */
bool confine_calls(void);
bool confine_possible(void);

/* ---- threads (pool.c) ---- */

typedef struct Pool Pool;
typedef void PoolWork(void *context, uint32_t thread);
Pool *pool_start(uint32_t threads); /* NULL: cannot be started */
void pool_run(Pool *pool, PoolWork *work, void *context);

#endif
