/* Writing tuning records: the form is said in tools/tune/records.h. */
#ifndef LATHE_TOOLS_TUNE_EXPORT_H
#define LATHE_TOOLS_TUNE_EXPORT_H

#include "tools/tune/tuner.h"

/* The best of every kernel that was measured, sorted by kernel. False after a diagnostic. */
bool records_write(const Tuner *tuner, const StudyKey *study, const char *path);

#endif
