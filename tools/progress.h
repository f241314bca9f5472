/* Progress of long work, on standard error.
 *
 * bar: one line that is redrawn at most ten times a second, with rate and time left. plain: a line every ten seconds or
 * ten percent, with the time since the start, for logs. json: JSON Lines, {"event":"progress",...}, at the pace of
 * plain. auto takes bar on a terminal that is not dumb, unless CI is set, else plain. Blocks are UTF-8 only in a UTF-8
 * locale. */
#ifndef LATHE_TOOLS_PROGRESS_H
#define LATHE_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum ProgressMode { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_NONE } ProgressMode;

typedef double ProgressClock(void *context); /* seconds, never going back */

typedef struct Progress {
    FILE *file;
    ProgressMode mode;
    const char *label;
    int64_t total; /* 0: unknown */
    int64_t done;
    ProgressClock *clock;
    void *clock_context;
    bool utf8;
    double start, shown; /* seconds */
    int64_t shown_done;
    int shown_columns; /* of the bar, to wipe what a shorter one leaves */
} Progress;

/* The mode that `text` (a value of --progress) means for `file`. */
ProgressMode progress_mode(const char *text, FILE *file);
/* clock NULL: the machine's monotonic clock. */
Progress progress_open(FILE *file, ProgressMode mode, const char *label, int64_t total, ProgressClock *clock,
                       void *context);
/* `note` may be NULL: what is best so far, or what is worked on. */
void progress_update(Progress *progress, int64_t done, const char *note);
/* Prints the last state once; for a bar ends its line. */
void progress_close(Progress *progress, const char *note);
/* Takes the bar off the screen so that a message can be printed; the next update draws it again. */
void progress_wipe(Progress *progress);

#endif
