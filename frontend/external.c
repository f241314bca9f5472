/* Opening, mapping and bounds of the files of a model. */
#define _GNU_SOURCE /* O_PATH, syscall */
#include "frontend/external.h"

#include "onnx.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool file_error(Files *files, const char *path, const char *what)
{
    return diag_error(files->diagnostics, EXIT_IO, NULL, "%s: %s", diag_quote(files->arena, path, 200), what);
}

static File *file_add(Files *files, const char *path, const struct stat *status)
{
    File *file = NEW(files->arena, File);
    file->path = name_intern(files->arena, path);
    file->data = (const uint8_t *)"";
    file->device = status->st_dev;
    file->number = status->st_ino;
    *(files->last ? &files->last->next : &files->first) = file;
    files->last = file;
    return file;
}

static bool file_map(Files *files, File *file, int descriptor, off_t size)
{
    if (size == 0)
        return true;
    void *data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED)
        return file_error(files, file->path, strerror(errno));
    madvise(data, (size_t)size, MADV_RANDOM); /* names between weights are read first: do not drag the weights in */
    file->data = data;
    file->size = (size_t)size;
    file->mapped = true;
    return true;
}

/* A pipe or the like: there is nothing to map, so it is read whole. */
static bool file_read(Files *files, File *file, int descriptor, uint64_t limit)
{
    size_t capacity = 0;
    uint8_t *data = NULL;
    for (size_t used = 0;; file->size = used) {
        if (used == capacity) {
            capacity = capacity ? capacity * 2 : 1 << 16;
            uint8_t *larger = realloc(data, capacity);
            if (!larger) {
                free(data);
                return diag_error(files->diagnostics, EXIT_LIMIT, NULL, "out of memory after %zu bytes of %s", used,
                                  file->path);
            }
            file->data = data = larger;
        }
        const ssize_t got = read(descriptor, data + used, capacity - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_error(files, file->path, strerror(errno));
        if (got == 0 && used == 0) {
            free(data);
            file->data = (const uint8_t *)"";
        }
        if (got == 0)
            return true;
        used += (size_t)got;
        if (used > limit)
            return diag_error(files->diagnostics, EXIT_LIMIT, NULL, "%s: larger than the limit of %llu bytes",
                              file->path, (unsigned long long)limit);
    }
}

static bool model_open(Files *files, const char *path, int descriptor, uint64_t limit)
{
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0)
        return file_error(files, path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return file_error(files, path, "is a folder");
    File *file = file_add(files, path, &status);
    if (!S_ISREG(status.st_mode))
        return file_read(files, file, descriptor, limit);
    if ((uint64_t)status.st_size > limit)
        return diag_error(files->diagnostics, EXIT_LIMIT, NULL, "%s: %lld bytes are more than the limit of %llu",
                          diag_quote(files->arena, path, 200), (long long)status.st_size, (unsigned long long)limit);
    return file_map(files, file, descriptor, status.st_size);
}

static Files *files_make(Arena *arena, Diagnostics *diagnostics, const char *external)
{
    Files *files = NEW(arena, Files);
    files->arena = arena;
    files->diagnostics = diagnostics;
    files->links = external != NULL;
    files->folder = external ? name_intern(arena, external) : NULL;
    return files;
}

Files *files_open(Arena *arena, Diagnostics *diagnostics, const char *path, const char *external, uint64_t limit)
{
    Files *files = files_make(arena, diagnostics, external);
    const bool standard = strcmp(path, "-") == 0;
    if (!external && !standard) {
        const char *slash = strrchr(path, '/');
        files->folder = slash ? name_intern_bytes(arena, path, (size_t)(slash - path) + 1) : name_intern(arena, "./");
    }
    const int descriptor = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    const bool good = model_open(files, path, descriptor, limit);
    if (descriptor >= 0 && !standard)
        close(descriptor);
    if (good)
        return files;
    files_close(files);
    return NULL;
}

Files *files_memory(Arena *arena, Diagnostics *diagnostics, const void *data, size_t size, const char *external)
{
    Files *files = files_make(arena, diagnostics, external);
    File *file = file_add(files, "memory", &(struct stat){0});
    file->data = data;
    file->size = size;
    return files;
}

void files_rest(const Files *files)
{
    for (const File *file = files->first; file; file = file->next)
        if (file->mapped)
            madvise((void *)(uintptr_t)file->data, file->size, MADV_NORMAL);
}

void files_close(Files *files)
{
    for (File *file = files->first; file; file = file->next) {
        if (file->mapped)
            munmap((void *)(uintptr_t)file->data, file->size);
        else if (file->number && file->size)
            free((void *)(uintptr_t)file->data);
        file->mapped = false;
        file->size = 0;
        file->data = (const uint8_t *)"";
    }
}

/* ---- files that the model names ---- */

enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK };

/* The same rules as RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS for kernels without openat2: every component is opened
 * without following it. */
static int open_walking(int folder, const char *path)
{
    int at = dup(folder);
    while (at >= 0) {
        const size_t length = strcspn(path, "/");
        char part[NAME_MAX + 1];
        if (length > NAME_MAX) {
            close(at);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(part, path, length);
        part[length] = 0;
        path += length + strspn(path + length, "/");
        const int next = openat(at, *part ? part : ".",
                                *path ? O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC : OPEN_FLAGS | O_NOFOLLOW);
        const int saved = errno;
        close(at);
        errno = saved;
        at = next;
        if (!*path)
            break;
    }
    return at;
}

static int open_beneath(const Files *files, int folder, const char *path)
{
    const struct open_how how = {
        .flags = OPEN_FLAGS,
        .resolve = files->links ? RESOLVE_NO_MAGICLINKS : RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    if (!files->walk) {
        const int descriptor = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
        if (descriptor >= 0 || (errno != ENOSYS && errno != EPERM))
            return descriptor;
    }
    return files->links ? openat(folder, path, OPEN_FLAGS) : open_walking(folder, path);
}

/* What is wrong with a location before anything is opened, or NULL. */
static const char *location_wrong(const ProtobufCBinaryData *location)
{
    const char *text = (const char *)location->data;
    if (location->len == 0)
        return "is empty";
    if (memchr(text, 0, location->len))
        return "holds a zero byte";
    if (location->len >= PATH_MAX)
        return "is too long";
    if (text[0] == '/')
        return "is not relative to the model's folder";
    for (size_t i = 0; i < location->len;) {
        size_t length = 0;
        while (i + length < location->len && text[i + length] != '/')
            length++;
        if (length == 2 && memcmp(text + i, "..", 2) == 0)
            return "leaves the model's folder";
        i += length + 1;
    }
    return NULL;
}

static const char *status_wrong(const Files *files, const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        return "is not a regular file";
    if (!files->links && status->st_nlink != 1)
        return "has more than one name (hard links are followed only with --external-data)";
    return NULL;
}

/* A link is the model's fault, any other failure to open the system's: *code says which. */
static const char *open_wrong(const Files *files, int error, int *code)
{
    if (error == ELOOP || error == EXDEV)
        return "is a link (links are followed only with --external-data)";
    *code = EXIT_IO;
    return arena_format(files->arena, "cannot be opened: %s", strerror(error));
}

/* The file at `location` beneath the folder, mapped; the one that is there already when it is the same file. */
static const File *external_file(Files *files, const char *location, const char **wrong, int *code)
{
    const int folder = open(files->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int descriptor = folder < 0 ? -1 : open_beneath(files, folder, location);
    const int error = errno;
    if (folder >= 0)
        close(folder);
    if (descriptor < 0) {
        *wrong = open_wrong(files, error, code);
        return NULL;
    }
    struct stat status;
    File *file = NULL;
    if (fstat(descriptor, &status) != 0)
        *wrong = strerror(errno);
    else
        *wrong = status_wrong(files, &status);
    if (!*wrong) {
        file = files->first;
        while (file && (file->device != status.st_dev || file->number != status.st_ino))
            file = file->next;
    }
    if (!*wrong && !file) {
        const size_t length = strlen(files->folder);
        file = file_add(files,
                        arena_format(files->arena, "%s%s%s", files->folder,
                                     length && files->folder[length - 1] == '/' ? "" : "/", location),
                        &status);
        if (!file_map(files, file, descriptor, status.st_size))
            *wrong = "cannot be mapped";
    }
    close(descriptor);
    return *wrong ? NULL : file;
}

/* A decimal number of bytes and nothing else. */
static bool size_parse(const ProtobufCBinaryData *text, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < text->len; i++) {
        const uint8_t digit = (uint8_t)(text->data[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(*value, 10u, value) || __builtin_add_overflow(*value, digit, value))
            return false;
    }
    return text->len > 0;
}

typedef enum ExternalKey { KEY_LOCATION, KEY_OFFSET, KEY_LENGTH, KEY_CHECKSUM, KEY_COUNT } ExternalKey;

static const char *const key_names[KEY_COUNT] = {"location", "offset", "length", "checksum"};

const uint8_t *external_data(Files *files, const Where *where, const char *tensor, ProtobufCMessage *const *entries,
                             size_t count, uint64_t bytes)
{
    Diagnostics *diagnostics = files->diagnostics;
    const ProtobufCBinaryData *values[KEY_COUNT] = {0};
    for (size_t i = 0; i < count; i++) {
        const Onnx__StringStringEntryProto *entry = (const Onnx__StringStringEntryProto *)entries[i];
        int key = 0;
        while (key < KEY_COUNT && (entry->key.len != strlen(key_names[key]) ||
                                   memcmp(entry->key.data, key_names[key], entry->key.len) != 0))
            key++;
        if (key == KEY_COUNT || values[key]) {
            diag_error(diagnostics, EXIT_MALFORMED, where, "the external data of \"%s\" has %s", tensor,
                       key == KEY_COUNT ? "a key other than location, offset, length and checksum" : "a key twice");
            return NULL;
        }
        values[key] = &entry->value;
    }
    uint64_t offset = 0, length = bytes, end;
    if ((values[KEY_OFFSET] && !size_parse(values[KEY_OFFSET], &offset)) ||
        (values[KEY_LENGTH] && !size_parse(values[KEY_LENGTH], &length))) {
        diag_error(diagnostics, EXIT_MALFORMED, where,
                   "the external data of \"%s\" has an offset or length that is not a number of bytes", tensor);
        return NULL;
    }
    if (length != bytes) {
        diag_error(diagnostics, EXIT_MALFORMED, where,
                   "the external data of \"%s\" has %llu bytes but its shape and type need %llu", tensor,
                   (unsigned long long)length, (unsigned long long)bytes);
        return NULL;
    }
    const char *wrong = "is not given";
    if (values[KEY_LOCATION])
        wrong = location_wrong(values[KEY_LOCATION]);
    if (!wrong && !files->folder)
        wrong = "has no folder to lie in: the model does not come from a file, so name the folder with --external-data";
    const size_t shown = values[KEY_LOCATION] ? values[KEY_LOCATION]->len : 0;
    const char *location = arena_format(files->arena, "%.*s", (int)(shown < PATH_MAX ? shown : PATH_MAX),
                                        shown ? (const char *)values[KEY_LOCATION]->data : "");
    int code = EXIT_MALFORMED;
    const File *file = wrong ? NULL : external_file(files, location, &wrong, &code);
    if (!file) {
        diag_error(diagnostics, code, where, "the external data of \"%s\": the location \"%s\" %s", tensor,
                   diag_quote(files->arena, location, 200), wrong);
        return NULL;
    }
    if (__builtin_add_overflow(offset, length, &end) || end > file->size) {
        diag_error(diagnostics, EXIT_MALFORMED, where,
                   "the external data of \"%s\": bytes %llu to %llu are asked of \"%s\", which has %zu", tensor,
                   (unsigned long long)offset, (unsigned long long)(offset + length),
                   diag_quote(files->arena, location, 200), file->size);
        return NULL;
    }
    return file->data + offset;
}
