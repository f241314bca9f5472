/* Files as the tools use them: read whole with a limit, written atomically.
 *
 * A writer fills a temporary file in the folder of its target and renames it at the end: readers see the old file or
 * the new one, never half of one. When the new content equals the old file, the old one stays untouched, so that build
 * systems do not rebuild what follows. "-" means standard input and standard output. */
#ifndef LATHE_TOOLS_FILE_H
#define LATHE_TOOLS_FILE_H

#include "ir/diag.h"

/* A file's content, or part of one that stands in a container. The readers of formats take nothing else. */
typedef struct Source {
    const uint8_t *bytes;
    size_t size;
    Where where;  /* the file's name, for messages */
    Arena *arena; /* owns what readers produce */
    Diagnostics *diagnostics;
} Source;

/* Reads all of `path`, at most `limit` bytes (0: no limit). False: an error is recorded and nothing needs closing. */
bool source_open(Source *source, const char *path, size_t limit, Arena *arena, Diagnostics *diagnostics);
void source_close(Source *source);
/* A source over bytes that somebody else owns. */
Source source_of_bytes(const void *bytes, size_t size, const char *name, Arena *arena, Diagnostics *diagnostics);
/* Records an error about the content (exit code 4) and returns false. */
bool source_error(const Source *source, const char *format, ...) __attribute__((format(printf, 2, 3)));

typedef struct FileWriter {
    FILE *file;            /* write here */
    const char *path;      /* the final name; "-" is standard output */
    const char *temporary; /* NULL for standard output, devices and pipes */
    Arena *arena;
    Diagnostics *diagnostics;
} FileWriter;

/* Every open is followed by one of commit and abandon. */
bool file_writer_open(FileWriter *writer, const char *path, Arena *arena, Diagnostics *diagnostics);
bool file_writer_commit(FileWriter *writer);
void file_writer_abandon(FileWriter *writer);

/* Does `path` name a folder that exists, or end in '/'? Then outputs go into it. */
bool path_is_folder(const char *path);
/* Makes the folder and those above it (mode 0777 less umask); one that exists is fine. */
bool folder_make(const char *path, Arena *arena, Diagnostics *diagnostics);
/* Does `path` end in `suffix`, letters compared without case? */
bool path_has_suffix(const char *path, const char *suffix);

#endif
