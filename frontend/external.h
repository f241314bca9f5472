/* The files of a model: the one place that opens them.
 *
 * The model itself is what the user named, and may be a pipe. Files that the model names (external data) are opened
 * beneath one folder, never through a link, a device or a second name (hard link), because the model is not trusted.
 * `links` lifts the last three rules for a folder that the user named. Every file is mapped once and stays until
 * files_close; what is mapped must not be changed meanwhile. */
#ifndef LATHE_FRONTEND_EXTERNAL_H
#define LATHE_FRONTEND_EXTERNAL_H

#include "ir/arena.h"
#include "ir/diag.h"

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>
#include <stdint.h>

typedef struct File {
    Name path; /* as a build system should see it; "-" for standard input */
    const uint8_t *data;
    size_t size;
    uint64_t device, number; /* what makes it the same file */
    bool mapped;             /* else read into memory of its own */
    struct File *next;
} File;

typedef struct Files {
    Arena *arena;
    Diagnostics *diagnostics;
    Name folder; /* where external data lies; NULL when there is none */
    bool links;
    bool walk; /* open folder by folder even where the kernel could do it in one call */
    File *first, *last;
} Files;

/* Starts the list with the model; NULL after a diagnostic. `external` is the folder the user named, or NULL for the
 * model's own. */
Files *files_open(Arena *arena, Diagnostics *diagnostics, const char *path, const char *external, uint64_t limit);
/* The same for a model that stands in memory, which stays the caller's. */
Files *files_memory(Arena *arena, Diagnostics *diagnostics, const void *data, size_t size, const char *external);
/* The structure has been read: from now on the files are read in large pieces. */
void files_rest(const Files *files);
void files_close(Files *files);

/* The `bytes` bytes that a tensor's external_data list names; NULL after a diagnostic. */
const uint8_t *external_data(Files *files, const Where *where, const char *tensor, ProtobufCMessage *const *entries,
                             size_t count, uint64_t bytes);

#endif
