/* See checkrun.h. */
#include "tools/checkrun.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SAID_MOST = 64 << 10 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* `text` in single quotes of a shell. */
static const char *quoted(Arena *arena, const char *text)
{
    const char *result = "'";
    for (const char *at = text; *at; at++)
        result = *at == '\'' ? arena_format(arena, "%s'\\''", result) : arena_format(arena, "%s%c", result, *at);
    return arena_format(arena, "%s'", result);
}

static const char *command_for(Arena *arena, const char *command, const char *model)
{
    static const char place[] = "{model}";
    const char *const name = quoted(arena, model);
    const char *found = strstr(command, place), *result = "";
    if (!found)
        return arena_format(arena, "%s %s", command, name);
    for (; found; found = strstr(command, place)) {
        result = arena_format(arena, "%s%.*s%s", result, (int)(found - command), command, name);
        command = found + sizeof place - 1;
    }
    return arena_format(arena, "%s%s", result, command);
}

_Noreturn static void become(const char *command, int output)
{
    const int nothing = open("/dev/null", O_RDONLY);
    setpgid(0, 0);
    dup2(nothing, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

/* Reads until the end or the limit, keeping what came last; false: time is over. */
static bool listen_to(int input, char *text, size_t *used, double end)
{
    for (;;) {
        struct pollfd waiting = {.fd = input, .events = POLLIN};
        const double left = end - now();
        const int ready = left > 0 ? poll(&waiting, 1, (int)(left * 1000) + 1) : 0;
        if (ready == 0)
            return false;
        if (*used > SAID_MOST) {
            memmove(text, text + *used - SAID_MOST / 2, SAID_MOST / 2);
            *used = SAID_MOST / 2;
        }
        const ssize_t got = ready < 0 ? -1 : read(input, text + *used, SAID_MOST);
        if (got == 0 || (got < 0 && errno != EINTR))
            return true;
        *used += got > 0 ? (size_t)got : 0;
    }
}

bool check_run(CheckResult *result, const char *command, const char *model, double limit, Arena *arena,
               Diagnostics *diagnostics)
{
    int ends[2], status = 0;
    char *const text = arena_alloc(arena, 2 * SAID_MOST + 1);
    size_t used = 0;
    const char *const line = command_for(arena, command, model);
    if (pipe(ends) < 0)
        return diag_error(diagnostics, EXIT_IO, NULL, "no pipe: %s", strerror(errno));
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    const double start = now();
    const pid_t process = fork();
    if (process == 0)
        become(line, ends[1]);
    close(ends[1]);
    if (process > 0)
        setpgid(process, process);
    if (process < 0) {
        close(ends[0]);
        return diag_error(diagnostics, EXIT_IO, NULL, "no process: %s", strerror(errno));
    }
    const bool ended = listen_to(ends[0], text, &used, start + limit);
    close(ends[0]);
    while (ended && waitpid(process, &status, WNOHANG) == 0 && now() < start + limit)
        poll(NULL, 0, 1);
    kill(-process, SIGKILL); /* what is left of it */
    while (waitpid(process, &status, 0) < 0 && errno == EINTR)
        ;
    text[used] = '\0';
    *result = (CheckResult){.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                            .timed_out = !ended,
                            .seconds = now() - start,
                            .said = text};
    return true;
}
