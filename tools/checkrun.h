/* A command of the user's that says whether a model still fails, run on one candidate after the other. */
#ifndef LATHE_TOOLS_CHECKRUN_H
#define LATHE_TOOLS_CHECKRUN_H

#include "ir/diag.h"

typedef struct CheckResult {
    int status; /* exit status; 128 + number of a signal */
    bool timed_out;
    double seconds;
    const char *said; /* the last 64 KiB of both streams */
} CheckResult;

/* Runs `command` by /bin/sh with every {model} replaced by `model` (appended where none is). False after a diagnostic:
 * it could not be started. */
bool check_run(CheckResult *result, const char *command, const char *model, double limit, Arena *arena,
               Diagnostics *diagnostics);

#endif
