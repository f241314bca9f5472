/* Files: see file.h. */
#define _GNU_SOURCE /* mkostemps */
#include "tools/file.h"

#include "tools/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

Source source_of_bytes(const void *bytes, size_t size, const char *name, Arena *arena, Diagnostics *diagnostics)
{
    return (Source){.bytes = bytes,
                    .size = size,
                    .where = {.file = name_intern(arena, name)},
                    .arena = arena,
                    .diagnostics = diagnostics};
}

bool source_error(const Source *source, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vformat(source->arena, format, arguments);
    va_end(arguments);
    return diag_error(source->diagnostics, EXIT_MALFORMED, &source->where, "%s", text);
}

static bool io_error(Arena *arena, Diagnostics *diagnostics, const char *path, const char *what)
{
    const Where where = {.file = name_intern(arena, path)};
    return diag_error(diagnostics, EXIT_IO, &where, "cannot %s: %s", what, strerror(errno));
}

/* Reads a stream of unknown length; the buffer doubles. */
static bool read_all(Source *source, int descriptor, size_t expected, size_t limit)
{
    size_t capacity = expected + 1; /* one more, so that the end of a file of the expected size is seen at once */
    uint8_t *bytes = malloc(capacity);
    size_t size = 0;
    while (bytes) {
        if (size == capacity) {
            uint8_t *const larger = capacity <= SIZE_MAX / 2 ? realloc(bytes, capacity * 2) : NULL;
            if (!larger)
                break;
            bytes = larger;
            capacity *= 2;
        }
        const ssize_t got = read(descriptor, bytes + size, capacity - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(bytes);
            return io_error(source->arena, source->diagnostics, source->where.file, "read");
        }
        if (got == 0) {
            source->bytes = bytes;
            source->size = size;
            return true;
        }
        size += (size_t)got;
        if (limit && size > limit) {
            free(bytes);
            return diag_error(source->diagnostics, EXIT_LIMIT, &source->where, "is larger than %zu bytes", limit);
        }
    }
    free(bytes);
    return diag_error(source->diagnostics, EXIT_LIMIT, &source->where, "no memory for %zu bytes", capacity);
}

bool source_open(Source *source, const char *path, size_t limit, Arena *arena, Diagnostics *diagnostics)
{
    const bool standard = strcmp(path, "-") == 0;
    *source = source_of_bytes(NULL, 0, standard ? "standard input" : path, arena, diagnostics);
    const int descriptor = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return io_error(arena, diagnostics, path, "open");
    struct stat status;
    bool good = fstat(descriptor, &status) == 0 || io_error(arena, diagnostics, path, "read");
    if (good && S_ISDIR(status.st_mode))
        good = diag_error(diagnostics, EXIT_IO, &source->where, "is a folder, not a file");
    if (good) {
        const bool sized = S_ISREG(status.st_mode) && (!limit || (uint64_t)status.st_size <= limit);
        good = read_all(source, descriptor, sized ? (size_t)status.st_size : 65536, limit);
    }
    if (!standard)
        close(descriptor);
    return good;
}

void source_close(Source *source)
{
    free((void *)source->bytes);
    source->bytes = NULL;
    source->size = 0;
}

bool file_writer_open(FileWriter *writer, const char *path, Arena *arena, Diagnostics *diagnostics)
{
    *writer = (FileWriter){.path = path, .arena = arena, .diagnostics = diagnostics};
    if (strcmp(path, "-") == 0) {
        writer->file = stdout;
        return true;
    }
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
        /* A device or pipe (/dev/null, /dev/stdout) is written to, never replaced. */
        writer->file = fopen(path, "wbe");
        return writer->file || io_error(arena, diagnostics, path, "write");
    }
    char *const temporary = arena_format(arena, "%s.XXXXXX.tmp", path);
    const int descriptor = temporary_file_make(temporary, 4);
    if (descriptor < 0)
        return io_error(arena, diagnostics, path, "write");
    /* mkstemp makes files private; outputs get the mode that a plain open would give. */
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(descriptor, 0666 & ~mask);
    writer->temporary = temporary;
    writer->file = fdopen(descriptor, "w+b");
    if (writer->file)
        return true;
    close(descriptor);
    unlink(temporary);
    temporary_forget(temporary);
    return io_error(arena, diagnostics, path, "write");
}

/* Is the file under the final name the same as what was just written? */
static bool content_is_old(FileWriter *writer)
{
    FILE *const old = fopen(writer->path, "rb");
    if (!old)
        return false;
    struct stat status;
    bool same = fstat(fileno(old), &status) == 0 && S_ISREG(status.st_mode) &&
                status.st_size == (off_t)ftello(writer->file) && fseeko(writer->file, 0, SEEK_SET) == 0;
    char first[4096], second[4096];
    while (same) {
        const size_t got = fread(first, 1, sizeof first, old);
        same = fread(second, 1, sizeof second, writer->file) == got && memcmp(first, second, got) == 0;
        if (got < sizeof first)
            break;
    }
    fclose(old);
    return same;
}

bool file_writer_commit(FileWriter *writer)
{
    FILE *const file = writer->file;
    const bool flushed = fflush(file) == 0 && !ferror(file);
    if (!writer->temporary) {
        const bool good = (file == stdout || fclose(file) == 0) && flushed;
        return good || io_error(writer->arena, writer->diagnostics, writer->path, "write");
    }
    const bool same = flushed && content_is_old(writer);
    writer->file = NULL;
    const bool closed = fclose(file) == 0;
    bool good = same || (flushed && closed && rename(writer->temporary, writer->path) == 0);
    if (!good)
        good = io_error(writer->arena, writer->diagnostics, writer->path, "write");
    if (same || !good)
        unlink(writer->temporary);
    temporary_forget(writer->temporary);
    return good;
}

void file_writer_abandon(FileWriter *writer)
{
    if (writer->file && writer->file != stdout)
        fclose(writer->file);
    if (writer->temporary) {
        unlink(writer->temporary);
        temporary_forget(writer->temporary);
    }
    writer->file = NULL;
}

bool path_is_folder(const char *path)
{
    struct stat status;
    const size_t length = strlen(path);
    return (length > 0 && path[length - 1] == '/') || (stat(path, &status) == 0 && S_ISDIR(status.st_mode));
}

bool folder_make(const char *path, Arena *arena, Diagnostics *diagnostics)
{
    char *const part = arena_format(arena, "%s", path);
    for (char *end = part; *end; end++) {
        if (*end != '/' || end == part)
            continue;
        *end = '\0';
        if (mkdir(part, 0777) < 0 && errno != EEXIST)
            return io_error(arena, diagnostics, part, "make the folder");
        *end = '/';
    }
    if (mkdir(part, 0777) < 0 && errno != EEXIST)
        return io_error(arena, diagnostics, part, "make the folder");
    return true;
}

/* As in the C locale, whatever the user's. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool path_has_suffix(const char *path, const char *suffix)
{
    const size_t length = strlen(path), tail = strlen(suffix);
    bool same = length >= tail;
    for (size_t i = 0; i < tail && same; i++)
        same = lower(path[length - tail + i]) == lower(suffix[i]);
    return same;
}
