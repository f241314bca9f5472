/* An earlier result of lathe bench. */
#ifndef LATHE_TOOLS_BASELINE_H
#define LATHE_TOOLS_BASELINE_H

#include "ir/diag.h"

/* Its median in nanoseconds, above 0; false after a diagnostic. */
bool baseline_read(double *median, const char *path, Arena *arena, Diagnostics *diagnostics);

#endif
