/* Where trials are kept while they are made: one SQLite file for all models, a row per trial, written in a transaction
 * of its own as soon as the trial has ended. Killing the tuner loses no finished trial. */
#ifndef LATHE_TOOLS_TUNE_STORAGE_H
#define LATHE_TOOLS_TUNE_STORAGE_H

#include "ir/diag.h"

typedef struct Storage Storage;

/* What a study is about: only a run with the same of all these may go on with it. */
typedef struct StudyKey {
    const char *model; /* its name, for people */
    const char *model_sha256, *target, *features, *machine, *tool;
    int threads;
} StudyKey;

typedef struct TrialRow {
    int number;        /* within its task; 0: what the cost model takes */
    const char *state; /* "ok", or how it failed */
    const char *template;
    int space;
    const char *values; /* JSON */
    double ns, standard_ns;
    bool promoted; /* the best from then on */
    const char *detail;
} TrialRow;

/* --storage, LATHE_STORAGE, $XDG_DATA_HOME/lathe/tune.db; NULL after a diagnostic. A path, or sqlite:///PATH. */
const char *storage_path(const char *given, Arena *arena, Diagnostics *diagnostics);
/* NULL after a diagnostic: the folder cannot be written, the file is none of ours or of a later version, or it lies on
 * a network file system, where SQLite's log does not work. */
Storage *storage_open(const char *path, Arena *arena, Diagnostics *diagnostics);
void storage_close(Storage *storage);

/* Begins a study, or (resume) finds the last one with this key; *found says which. Returns its row, 0 after a
 * diagnostic. */
int64_t storage_study(Storage *storage, const StudyKey *key, bool resume, bool *found);
/* The row of a kernel in a study. */
int64_t storage_task(Storage *storage, int64_t study, const char *key, const char *text, const char *name);
bool storage_trial(Storage *storage, int64_t task, const TrialRow *trial);
/* All trials of a task in order; texts live in the arena of the storage. False after a diagnostic. */
bool storage_trials(Storage *storage, int64_t task, void (*each)(void *context, const TrialRow *trial), void *context);

/* One tuner measures at a time, whoever runs it; compiling goes on meanwhile as long as nobody measures. */
typedef enum MachineLock { MACHINE_FREE, MACHINE_SHARED, MACHINE_ALONE } MachineLock;
int machine_open(void); /* a descriptor, or -1: there is nowhere to lock */
/* Waits; false when *stop became true. */
bool machine_lock(int descriptor, MachineLock lock, const volatile bool *stop);

#endif
