/* The tuner: proposes points, has them built and measured, keeps what was learned.
 *
 * A candidate becomes a kernel's best only when it gave the reference's bits, was faster than the best and than the
 * cost model's choice when all were run in turns, and was so again three times. At the end each best is run against
 * the cost model's choice three times more; where it does not win each time, the cost model's choice stays. */
#ifndef LATHE_TOOLS_TUNE_TUNER_H
#define LATHE_TOOLS_TUNE_TUNER_H

#include "tools/tune/builder.h"
#include "tools/tune/client.h"
#include "tools/tune/search.h"
#include "tools/tune/storage.h"

typedef struct TunerEvent {
    const TuneTask *task;
    const TrialRow *trial;
    const char *label; /* the schedule's text; NULL: it was not built */
} TunerEvent;

typedef struct Tuner {
    Ir *ir;
    Arena *arena;
    Diagnostics *diagnostics;
    const TargetMachineInfo *target;
    Search search;
    Builder builder;
    Client client;
    Storage *storage; /* NULL: nothing is kept */
    int64_t study;
    int machine; /* lock, -1: none */
    TuneTask *tasks;
    int task_count;
    int64_t trials_most; /* 0: no limit */
    double end;          /* seconds of the monotonic clock */
    int batch;
    const volatile bool *stop;
    void (*event)(void *context, const TunerEvent *event);
    void (*tick)(void *context); /* now and then */
    void *context;
    int64_t trials, resumed;
    const TuneTask *sent; /* what the runner holds */
} Tuner;

double tuner_now(void);
/* Builds and measures what the cost model takes for every task, and takes up what the study knows already. False:
 * stopped, or after a diagnostic. */
bool tuner_prepare(Tuner *tuner);
/* Trials until there is no time, no trial or no point left, or it is stopped. False after a diagnostic. */
bool tuner_search(Tuner *tuner);
/* The last comparison of each best with the cost model's choice. False after a diagnostic. */
bool tuner_confirm(Tuner *tuner);
void tuner_close(Tuner *tuner);

/* The whole model's time with the best schedules, as a share of that with the cost model's; by launches of kernels. */
double tuner_whole(const Tuner *tuner);
/* A task's share of the whole model's time. */
double tuner_share(const Tuner *tuner, const TuneTask *task);

#endif
