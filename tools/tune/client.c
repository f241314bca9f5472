/* Talking to the runner: see client.h. */
#define _GNU_SOURCE
#include "tools/tune/client.h"

#include "codegen/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOST_MOST = 3, POLL_MS = 200, SLACK_S = 20 };

static const char *const names[] = {
    [STATUS_OK] = "ok",         [STATUS_WRONG] = "wrong", [STATUS_BOUNDS] = "bounds",
    [STATUS_CRASH] = "crash",   [STATUS_HANG] = "hang",   [STATUS_FORBIDDEN] = "forbidden",
    [STATUS_MEMORY] = "memory", [STATUS_LOAD] = "load",   [STATUS_REFUSED] = "refused",
};

const char *status_name(RunnerStatus status)
{
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

/* ---- the process ---- */

static bool start(Client *client)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0)
        return false;
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return false;
    }
    fflush(NULL);
    const pid_t process = fork();
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int number = 1; number < NSIG; number++)
            signal(number, SIG_DFL);
        signal(SIGINT, SIG_IGN); /* a terminal's interrupt is ours to deal with */
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        if (client->command)
            execl("/bin/sh", "sh", "-c", arena_format(client->arena, "exec %s", client->command), (char *)NULL);
        else
            execl("/proc/self/exe", "lathe-runner", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    client->to = in[1];
    client->from = out[0];
    client->process = process > 0 ? process : 0;
    return process > 0;
}

static void end(Client *client)
{
    if (!client->process)
        return;
    close(client->to);
    close(client->from);
    kill(client->process, SIGKILL);
    while (waitpid(client->process, NULL, 0) < 0 && errno == EINTR)
        continue;
    client->process = 0;
}

/* Reads all of `bytes` before `deadline` (seconds of the monotonic clock). */
static bool receive(Client *client, void *data, size_t bytes, double deadline)
{
    for (uint8_t *at = data; bytes > 0;) {
        struct timespec time;
        struct pollfd slot = {.fd = client->from, .events = POLLIN};
        clock_gettime(CLOCK_MONOTONIC, &time);
        if (*client->stop || (double)time.tv_sec > deadline)
            return false;
        if (poll(&slot, 1, POLL_MS) <= 0)
            continue;
        const ssize_t got = read(client->from, at, bytes);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            return false;
        at += got > 0 ? got : 0;
        bytes -= got > 0 ? (size_t)got : 0;
    }
    return true;
}

static double seconds_from_now(double seconds)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + seconds;
}

/* One message there and one back. *answer: in memory of malloc. */
static bool exchange(Client *client, RunnerKind kind, const void *data, size_t bytes, double seconds, void **answer,
                     size_t *answer_bytes)
{
    const RunnerFrame frame = {RUNNER_MAGIC, kind, bytes};
    RunnerFrame back;
    struct sigaction old;
    *answer = NULL;
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, &old);
    const double deadline = seconds_from_now(seconds);
    bool good = descriptor_write(client->to, &frame, sizeof frame) && descriptor_write(client->to, data, bytes) &&
                receive(client, &back, sizeof back, deadline) && back.magic == RUNNER_MAGIC && back.kind == kind &&
                back.bytes < RUNNER_BYTES_MAX && (*answer = malloc(back.bytes + 1)) != NULL &&
                receive(client, *answer, back.bytes, deadline);
    sigaction(SIGPIPE, &old, NULL);
    *answer_bytes = good ? back.bytes : 0;
    if (!good) {
        free(*answer);
        *answer = NULL;
    }
    return good;
}

static bool no_runner(const Client *client, const char *why)
{
    return diag_error(client->diagnostics, EXIT_DEVICE, NULL, "the runner%s%s %s", client->command ? " " : "",
                      client->command ? diag_quote(client->arena, client->command, 200) : "", why);
}

bool client_open(Client *client)
{
    enum { HELLO_S = 60 };
    void *answer;
    size_t bytes;
    if (!start(client))
        return no_runner(client, arena_format(client->arena, "cannot be started: %s", strerror(errno)));
    const bool good =
        exchange(client, RUNNER_HELLO, NULL, 0, HELLO_S, &answer, &bytes) && bytes == sizeof client->hello;
    if (good)
        memcpy(&client->hello, answer, sizeof client->hello);
    free(answer);
    client->hello.machine[sizeof client->hello.machine - 1] = 0;
    for (char *c = client->hello.machine; *c; c++)
        *c = *c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\' ? '?' : *c;
    if (good && client->hello.version == RUNNER_VERSION)
        return true;
    end(client);
    if (*client->stop)
        return false;
    return no_runner(client, good ? "is of another version" : "does not answer; is it lathe-runner?");
}

void client_close(Client *client)
{
    end(client);
}

/* After a failed exchange: stopped, started anew, or given up. */
static bool recover(Client *client, Finding *finding)
{
    end(client);
    if (*client->stop)
        return false;
    *finding = (Finding){.status = STATUS_CRASH, .detail = "the runner was lost"};
    if (++client->lost >= LOST_MOST)
        return no_runner(client, "was lost several times, one after the other");
    return true;
}

/* ---- results ---- */

static int by_value(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static bool read_result(Client *client, const void *answer, size_t bytes, Finding *finding)
{
    RunnerResult result;
    if (bytes < sizeof result)
        return false;
    memcpy(&result, answer, sizeof result);
    result.detail[sizeof result.detail - 1] = 0;
    *finding = (Finding){.status = (RunnerStatus)result.status,
                         .candidate = (int)result.candidate,
                         .detail = arena_format(client->arena, "%s", diag_quote(client->arena, result.detail, 160)),
                         .repetitions = (int)result.repetitions};
    if (result.status != STATUS_OK || result.repetitions == 0)
        return true;
    if (result.count < 1 || result.count > CANDIDATES_MAX ||
        bytes != sizeof result + (size_t)result.repetitions * result.count * sizeof(uint64_t))
        return false;
    uint64_t *const column = malloc(result.repetitions * sizeof *column);
    for (uint32_t i = 0; column && i < result.count; i++) {
        for (uint32_t j = 0; j < result.repetitions; j++)
            memcpy(&column[j],
                   (const uint8_t *)answer + sizeof result + ((size_t)j * result.count + i) * sizeof(uint64_t),
                   sizeof *column);
        qsort(column, result.repetitions, sizeof *column, by_value);
        finding->least[i] = (double)column[0];
        finding->quartile[i] = (double)column[result.repetitions / 4];
    }
    free(column);
    return column != NULL;
}

/* ---- requests ---- */

static size_t padded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

bool client_measure(Client *client, const RunnerMeasure *facts, const Built *const *candidates, Finding *finding)
{
    size_t bytes = sizeof *facts, answer_bytes;
    void *answer;
    for (uint32_t i = 0; i < facts->count; i++)
        bytes +=
            sizeof(RunnerCandidate) + padded(strlen(candidates[i]->label) + 1) + padded(candidates[i]->object_bytes);
    uint8_t *const message = calloc(1, bytes), *at = message;
    if (!message)
        return diag_error(client->diagnostics, EXIT_LIMIT, NULL, "no memory for a message of %zu bytes", bytes);
    memcpy(at, facts, sizeof *facts);
    at += sizeof *facts;
    for (uint32_t i = 0; i < facts->count; i++) {
        const Built *const built = candidates[i];
        const RunnerCandidate row = {built->units, built->scratch, strlen(built->label) + 1, built->object_bytes,
                                    built->nearly ? CANDIDATE_NEAR : 0};
        memcpy(at, &row, sizeof row);
        memcpy(at + sizeof row, built->label, row.label_bytes);
        at += sizeof row + padded(row.label_bytes);
        memcpy(at, built->object, built->object_bytes);
        at += padded(built->object_bytes);
    }
    const double seconds = (double)facts->timeout_ns * 1e-9 + SLACK_S;
    const bool answered = exchange(client, RUNNER_MEASURE, message, bytes, seconds, &answer, &answer_bytes) &&
                          read_result(client, answer, answer_bytes, finding);
    free(message);
    free(answer);
    if (!answered)
        return recover(client, finding);
    client->lost = 0;
    return true;
}

bool client_task(Client *client, Ir *ir, const TuneTask *task, uint64_t timeout_ns, Finding *finding)
{
    const Built *const reference = &task->reference;
    const RunnerMeasure facts = {
        .count = 1, .flags = MEASURE_REFERENCE, .least = 1, .most = 1, .timeout_ns = timeout_ns};
    void *answer;
    size_t bytes, answer_bytes;
    if (!client->process && !client_open(client))
        return false;
    void *const message = task_message(ir, task, &bytes);
    if (!message)
        return diag_error(client->diagnostics, EXIT_LIMIT, NULL, "no memory for a task of %zu bytes", bytes);
    const double seconds = 60 + (double)bytes / 1e6;
    const bool answered = exchange(client, RUNNER_TASK, message, bytes, seconds, &answer, &answer_bytes) &&
                          read_result(client, answer, answer_bytes, finding);
    free(message);
    free(answer);
    if (!answered)
        return recover(client, finding);
    return finding->status != STATUS_OK || client_measure(client, &facts, &reference, finding);
}
