/* The assembler is given files that exist in memory only: nothing is left behind, however it or we end. */
#define _GNU_SOURCE /* memfd_create */
#include "codegen/ptxas.h"
#include "codegen/descriptor.h"
#include "codegen/link.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *const places[] = {"ptxas", "/usr/local/cuda/bin/ptxas", "/opt/cuda/bin/ptxas",
                                     "/usr/lib/nvidia-cuda-toolkit/bin/ptxas"};

enum { WORDS_MAX = 2000, IN = 3, OUT = 4 };

/* Runs it with `in` and `out` as descriptors 3 and 4 (-1: none) and what it prints in `log`. -1 with errno, or its exit
 * status. */
static int run(const char *const *arguments, int in, int out, int log)
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = 0;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -1;
    int failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    failed = failed ? failed : posix_spawn_file_actions_adddup2(&actions, log, STDOUT_FILENO);
    failed = failed ? failed : posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO);
    if (in >= 0)
        failed = failed ? failed : posix_spawn_file_actions_adddup2(&actions, in, IN);
    if (out >= 0)
        failed = failed ? failed : posix_spawn_file_actions_adddup2(&actions, out, OUT);
    failed = failed ? failed
                    : posix_spawn(&child, arguments[0], &actions, NULL, (char *const *)(uintptr_t)arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed) {
        errno = failed;
        return -1;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A file in memory whose number cannot be one of those that the child gets. */
static int memory_file(const char *name)
{
    const int low = memfd_create(name, MFD_CLOEXEC);
    if (low < 0)
        return -1;
    const int file = fcntl(low, F_DUPFD_CLOEXEC, 10);
    close(low);
    return file;
}

static char *contents(Arena *arena, int file, size_t most, size_t *bytes)
{
    struct stat facts;
    *bytes = fstat(file, &facts) == 0 && facts.st_size > 0 ? (size_t)facts.st_size : 0;
    *bytes = *bytes < most ? *bytes : most;
    char *const text = arena_alloc(arena, *bytes + 1);
    const ssize_t got = pread(file, text, *bytes, 0);
    *bytes = got > 0 ? (size_t)got : 0;
    text[*bytes] = 0;
    return text;
}

/* "... V13.0.88 ...", NULL when it does not answer like that. */
static const char *version_of(Arena *arena, const char *path)
{
    const int log = memory_file("lathe-ptxas-version");
    const char *version = NULL;
    size_t bytes;
    if (log >= 0 && run((const char *const[]){path, "--version", NULL}, -1, -1, log) == 0) {
        const char *const found = strstr(contents(arena, log, WORDS_MAX, &bytes), ", V");
        version = found ? arena_format(arena, "%.*s", (int)strspn(found + 3, "0123456789."), found + 3) : NULL;
    }
    if (log >= 0)
        close(log);
    return version;
}

bool ptxas_find(Arena *arena, Assembler *assembler)
{
    const char *const chosen = getenv("LATHE_PTXAS");
    *assembler = (Assembler){0};
    if (chosen && *chosen)
        assembler->path = program_find(arena, chosen);
    else
        for (size_t i = 0; i < sizeof places / sizeof *places && !assembler->path; i++)
            assembler->path = program_find(arena, places[i]);
    if (assembler->path)
        assembler->version = version_of(arena, assembler->path);
    return assembler->version != NULL;
}

bool ptxas_assemble(Ir *ir, Arena *arena, const Assembler *assembler, const ObjectRequest *request, ObjectBytes text,
                    ObjectBytes *binary)
{
    const int in = memory_file("lathe-ptx"), out = memory_file("lathe-cubin"), log = memory_file("lathe-ptxas");
    const char *const level = arena_format(arena, "-arch=%s", request->target->cpu);
    const char *const arguments[] = {assembler->path, level, "-o", "/proc/self/fd/4", "/proc/self/fd/3", NULL};
    int status = -1;
    size_t words;
    if (in >= 0 && out >= 0 && log >= 0 && descriptor_write(in, text.data, text.bytes))
        status = run(arguments, in, out, log);
    const int reason = errno;
    if (status == 0) {
        binary->data = contents(arena, out, SIZE_MAX, &binary->bytes);
        status = binary->bytes > 0 ? 0 : EXIT_FAILURE;
    }
    if (status < 0)
        diag_error(ir->diagnostics, EXIT_BACKEND, NULL, "%s cannot be run: %s", assembler->path, strerror(reason));
    else if (status > 0)
        diag_error(ir->diagnostics, EXIT_BACKEND, NULL, "%s (exit code %d) does not assemble %s for %s: %s",
                   assembler->path, status, request->symbol, request->target->name,
                   diag_quote(ir->diagnostics->arena, contents(arena, log, WORDS_MAX, &words), WORDS_MAX));
    const int files[] = {in, out, log};
    for (int i = 0; i < 3; i++)
        if (files[i] >= 0)
            close(files[i]);
    return status == 0;
}

/* ---- images: two sizes, then the bytes of both ---- */

enum { HEADER = 2 * sizeof(uint64_t) };

ObjectBytes device_image_pack(Arena *arena, const DeviceImage *image)
{
    const uint64_t sizes[2] = {image->text.bytes, image->binary.bytes};
    char *const bytes = arena_alloc(arena, HEADER + image->text.bytes + image->binary.bytes + 1);
    memcpy(bytes, sizes, HEADER);
    memcpy(bytes + HEADER, image->text.data, image->text.bytes);
    if (image->binary.bytes)
        memcpy(bytes + HEADER + image->text.bytes, image->binary.data, image->binary.bytes);
    return (ObjectBytes){bytes, HEADER + image->text.bytes + image->binary.bytes};
}

DeviceImage device_image_unpack(ObjectBytes packed)
{
    uint64_t sizes[2];
    const char *const bytes = packed.data;
    if (packed.bytes < HEADER)
        BUG("a device's image has %zu bytes", packed.bytes);
    memcpy(sizes, bytes, HEADER);
    if (sizes[0] > packed.bytes - HEADER || sizes[1] != packed.bytes - HEADER - sizes[0])
        BUG("a device's image of %zu bytes says it has %llu and %llu", packed.bytes, (unsigned long long)sizes[0],
            (unsigned long long)sizes[1]);
    return (DeviceImage){{bytes + HEADER, sizes[0]}, {bytes + HEADER + sizes[0], sizes[1]}};
}
