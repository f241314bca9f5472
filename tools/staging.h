/* The files of one compilation: made beside their final places, and put there all together at the end, or not at all.
 */
#ifndef LATHE_TOOLS_STAGING_H
#define LATHE_TOOLS_STAGING_H

#include "tools/file.h"

enum { STAGED_MOST = 16 };

typedef struct StagedFile {
    const char *path; /* final */
    const char *made; /* a file that some program has written, NULL: the writer's */
    FileWriter writer;
} StagedFile;

typedef struct Staging {
    Arena *arena;
    Diagnostics *diagnostics;
    const char *folder; /* for what programs write; NULL: none yet */
    StagedFile files[STAGED_MOST];
    int count;
} Staging;

void staging_open(Staging *staging, Arena *arena, Diagnostics *diagnostics);
/* The name under which a program (the linker) may write what becomes `path`; NULL after a diagnostic. */
const char *staging_path(Staging *staging, const char *path, const char *ending);
/* A stream for what becomes `path`; NULL after a diagnostic. */
FILE *staging_stream(Staging *staging, const char *path);
/* Puts everything into its place. Always followed by staging_close. */
bool staging_commit(Staging *staging);
/* Removes what was not put into place. */
void staging_close(Staging *staging);

#endif
