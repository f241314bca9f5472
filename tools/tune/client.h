/* The tuner's end of a runner: a process that measures candidates, here or (through a command such as ssh) elsewhere.
 * Candidates that misbehave cost an answer; a runner that does is started again. */
#ifndef LATHE_TOOLS_TUNE_CLIENT_H
#define LATHE_TOOLS_TUNE_CLIENT_H

#include "ir/diag.h"
#include "tools/runner/protocol.h"
#include "tools/tune/task.h"

#include <sys/types.h>

typedef struct Client {
    const char *command; /* for sh; NULL: this program itself, as lathe-runner */
    Arena *arena;
    Diagnostics *diagnostics;
    const volatile bool *stop;
    pid_t process; /* 0: none */
    int to, from;
    RunnerHello hello;
    int lost; /* one after the other */
} Client;

/* What a measurement found: one row of statistics per candidate. */
typedef struct Finding {
    RunnerStatus status;
    int candidate; /* who is to blame */
    const char *detail;
    int repetitions;
    double quartile[CANDIDATES_MAX], least[CANDIDATES_MAX]; /* nanoseconds */
} Finding;

/* Starts the runner and asks what it is. False after a diagnostic. */
bool client_open(Client *client);
void client_close(Client *client);
/* Sends the task's data and has the reference run. The finding is about the reference. False: stopped, or after a
 * diagnostic when no runner can be had any more. */
bool client_task(Client *client, Ir *ir, const TuneTask *task, uint64_t timeout_ns, Finding *finding);
/* Measures in turns; the last is the new one. False as above; a runner that was lost gives STATUS_CRASH, and the task
 * must be sent again: client->process is 0. */
bool client_measure(Client *client, const RunnerMeasure *facts, const Built *const *candidates, Finding *finding);

const char *status_name(RunnerStatus status); /* as it is stored: "ok", "wrong", ... */

#endif
