/* Temporary files of one output: a private folder beside it, so that the finished file arrives by rename. */
#ifndef LATHE_CODEGEN_SCRATCH_H
#define LATHE_CODEGEN_SCRATCH_H

#include "ir/arena.h"

#include <stdbool.h>

typedef struct Scratch {
    Arena *arena;
    const char *folder;
} Scratch;

/* False with errno when no folder can be made beside `output`. */
bool scratch_open(Scratch *scratch, Arena *arena, const char *output);
void scratch_close(Scratch *scratch); /* removes the folder and every file in it */
const char *scratch_path(const Scratch *scratch, const char *name);
/* The whole file at `path` becomes `bytes`; false with errno. */
bool scratch_write(const char *path, const void *data, size_t bytes);
/* Renames `made` to `output`, unless `output` already holds the same bytes: then it keeps its time. */
bool scratch_commit(const char *made, const char *output);

#endif
