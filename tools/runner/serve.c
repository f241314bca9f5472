/* The runner's own process: reads requests, forks a child for each measurement and watches it. It never runs a
 * candidate itself. */
#define _GNU_SOURCE
#include "tools/runner/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LEFT_OK = 0, LEFT_USAGE = 2, LEFT_IO = 5, LEFT_MEMORY = 8, THREADS_MAX = 256, TABLE_MAX = 1 << 16 };

/* ---- messages ---- */

static bool read_whole(int file, void *data, uint64_t bytes)
{
    for (uint8_t *at = data; bytes > 0;) {
        const ssize_t got = read(file, at, bytes < (1u << 30) ? bytes : 1u << 30);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        bytes -= (uint64_t)got;
    }
    return true;
}

static bool write_whole(int file, const void *data, uint64_t bytes)
{
    for (const uint8_t *at = data; bytes > 0;) {
        const ssize_t put = write(file, at, bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += put;
        bytes -= (uint64_t)put;
    }
    return true;
}

static bool answer(int out, RunnerKind kind, const void *data, uint64_t bytes, const void *more, uint64_t more_bytes)
{
    const RunnerFrame frame = {RUNNER_MAGIC, kind, bytes + more_bytes};
    return write_whole(out, &frame, sizeof frame) && write_whole(out, data, bytes) &&
           write_whole(out, more, more_bytes);
}

/* Takes the next `bytes` of a message, and the padding behind them; NULL: it ends before. */
typedef struct Cursor {
    uint8_t *at;
    uint64_t left;
} Cursor;

static void *take(Cursor *cursor, uint64_t bytes)
{
    const uint64_t padded = (bytes + 7) & ~UINT64_C(7);
    void *const found = cursor->at;
    if (bytes > cursor->left || padded > cursor->left)
        return NULL;
    cursor->at += padded;
    cursor->left -= padded;
    return found;
}

static bool refuse(int out, RunnerKind kind, RunnerStatus status, const char *detail)
{
    RunnerResult result = {.status = status};
    snprintf(result.detail, sizeof result.detail, "%s", detail);
    return answer(out, kind, &result, sizeof result, NULL, 0);
}

/* ---- HELLO ---- */

static void describe(char *text, size_t size)
{
    struct utsname names;
    char line[256], processor[80] = "";
    FILE *const file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file) && !*processor) {
        const char *const colon = strchr(line, ':');
        if (colon && (strncmp(line, "model name", 10) == 0 || strncmp(line, "CPU part", 8) == 0))
            snprintf(processor, sizeof processor, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    }
    if (file)
        fclose(file);
    uname(&names);
    snprintf(text, size, "%s %s", names.machine, *processor ? processor : "unknown processor");
}

static bool say_hello(int out)
{
    RunnerHello hello = {
        .version = RUNNER_VERSION, .cores = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN), .confined = confine_possible()};
    describe(hello.machine, sizeof hello.machine);
    return answer(out, RUNNER_HELLO, &hello, sizeof hello, NULL, 0);
}

/* ---- TASK ---- */

static void task_close(Task *task)
{
    for (uint32_t i = 0; task->expected && i < task->facts.root_count; i++)
        free(task->expected[i]);
    free(task->expected);
    free(task->contents);
    if (task->flush)
        munmap(task->flush, task->facts.flush_bytes);
    *task = (Task){0};
}

/* False: the message is not what it says. It stays alive as long as the task. */
static bool task_read(Task *task, Cursor cursor)
{
    const RunnerTask *const facts = take(&cursor, sizeof *facts);
    if (!facts || facts->root_count > TABLE_MAX || facts->buffer_count > TABLE_MAX || facts->dim_count > TABLE_MAX ||
        facts->threads < 1 || facts->threads > THREADS_MAX)
        return false;
    task->facts = *facts;
    task->roots = take(&cursor, facts->root_count * sizeof *task->roots);
    task->buffer_roots = take(&cursor, facts->buffer_count * sizeof *task->buffer_roots);
    task->dims = take(&cursor, facts->dim_count * sizeof *task->dims);
    task->contents = calloc(facts->root_count + 1, sizeof *task->contents);
    if (!task->roots || !task->buffer_roots || !task->dims || !task->contents)
        return false;
    for (uint32_t i = 0; i < facts->buffer_count; i++)
        if (task->buffer_roots[i] >= facts->root_count)
            return false;
    for (uint32_t i = 0; i < facts->root_count; i++)
        if (!(task->contents[i] = take(&cursor, task->roots[i].bytes)))
            return false;
    return true;
}

static bool serve_task(Task *task, Cursor cursor, int out)
{
    task_close(task);
    if (!task_read(task, cursor)) {
        task->facts = (RunnerTask){0};
        return refuse(out, RUNNER_TASK, STATUS_REFUSED, "the task makes no sense");
    }
    if (task->facts.flush_bytes) {
        void *const flush =
            mmap(NULL, task->facts.flush_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        task->flush = flush == MAP_FAILED ? NULL : flush;
        if (!task->flush)
            return refuse(out, RUNNER_TASK, STATUS_MEMORY, "no memory to flush caches with");
        memset(task->flush, 1, task->facts.flush_bytes);
    }
    return refuse(out, RUNNER_TASK, STATUS_OK, "");
}

/* ---- MEASURE ---- */

static bool measure_read(const Task *task, Measure *measure, Cursor cursor)
{
    const RunnerMeasure *const facts = take(&cursor, sizeof *facts);
    if (!facts || facts->count < 1 || facts->count > CANDIDATES_MAX || facts->most < 1 || facts->most > TABLE_MAX ||
        facts->least > facts->most || !task->contents)
        return false;
    const bool reference = facts->flags & MEASURE_REFERENCE;
    if (reference ? facts->count != 1 : !task->expected)
        return false;
    measure->facts = *facts;
    for (uint32_t i = 0; i < facts->count; i++) {
        Candidate *const candidate = &measure->candidates[i];
        const RunnerCandidate *const row = take(&cursor, sizeof *row);
        if (!row || row->units < 0)
            return false;
        candidate->facts = *row;
        candidate->label = take(&cursor, row->label_bytes);
        candidate->object = take(&cursor, row->object_bytes);
        if (!candidate->label || !candidate->object)
            return false;
    }
    return true;
}

static uint64_t milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Waits until the child has left or time is up; kills it and whatever it has started. True: it left by itself. */
static bool wait_for(pid_t process, int alive, uint64_t timeout_ns, int *status)
{
    const uint64_t end = milliseconds() + timeout_ns / 1000000 + 1;
    bool left = false;
    for (uint64_t time = milliseconds(); !left && time < end; time = milliseconds()) {
        struct pollfd slot = {.fd = alive, .events = POLLIN};
        left = poll(&slot, 1, (int)(end - time < 1000000 ? end - time : 1000000)) > 0;
    }
    if (!left)
        kill(process, SIGKILL);
    kill(-process, SIGKILL);
    while (waitpid(process, status, 0) < 0 && errno == EINTR)
        continue;
    kill(-process, SIGKILL); /* what it started between */
    return left;
}

/* How it died, when it did not say. */
static void judge_death(RunnerResult *result, uint32_t phase, bool left, int status)
{
    result->candidate = phase;
    if (!left || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)) {
        result->status = STATUS_HANG;
        snprintf(result->detail, sizeof result->detail, "did not end in time");
    } else if (WIFSIGNALED(status)) {
        result->code = WTERMSIG(status);
        result->status = result->code == SIGSYS ? STATUS_FORBIDDEN : STATUS_CRASH;
        snprintf(result->detail, sizeof result->detail, "died with signal %d (%s)", result->code,
                 strsignal(result->code));
    } else {
        result->code = WEXITSTATUS(status);
        result->status = STATUS_CRASH;
        snprintf(result->detail, sizeof result->detail, "left with exit code %d", result->code);
    }
}

static bool keep_reference(Task *task, const Report *report, const uint8_t *outputs)
{
    if (!task->expected)
        task->expected = calloc(task->facts.root_count + 1, sizeof *task->expected);
    for (uint32_t i = 0; task->expected && i < task->facts.root_count; i++) {
        if (!(task->roots[i].flags & ROOT_WRITTEN))
            continue;
        free(task->expected[i]);
        task->expected[i] = malloc(task->roots[i].bytes + 1);
        if (!task->expected[i])
            return false;
        memcpy(task->expected[i], outputs, task->roots[i].bytes);
        outputs += task->roots[i].bytes;
    }
    task->expected_error = report->error;
    return task->expected != NULL;
}

/* The child's side of fork: a process group of its own, nothing of ours in its hands. */
_Noreturn static void child_start(const Task *task, Measure *measure, Report *report, uint8_t *outputs, int in, int out)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nothing = open("/dev/null", O_RDWR);
    if (in > STDERR_FILENO)
        close(in);
    if (out > STDERR_FILENO)
        close(out);
    for (int file = 0; file <= STDERR_FILENO; file++)
        dup2(nothing, file);
    if (nothing > STDERR_FILENO)
        close(nothing);
    child_run(task, measure, report, outputs);
}

static void *shared(uint64_t bytes)
{
    void *const memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static bool serve_measure(Task *task, Cursor cursor, int in, int out)
{
    Measure measure = {.facts = {0}};
    if (!measure_read(task, &measure, cursor))
        return refuse(out, RUNNER_MEASURE, STATUS_REFUSED, "the measurement makes no sense");
    const bool reference = measure.facts.flags & MEASURE_REFERENCE;
    const uint64_t report_bytes =
        sizeof(Report) + (uint64_t)measure.facts.count * measure.facts.most * sizeof(uint64_t);
    uint64_t output_bytes = 1;
    for (uint32_t i = 0; i < task->facts.root_count && reference; i++)
        output_bytes += task->roots[i].flags & ROOT_WRITTEN ? task->roots[i].bytes : 0;
    Report *const report = shared(report_bytes);
    uint8_t *const outputs = reference ? shared(output_bytes) : NULL;
    int pipes[2], status = 0;
    if (!report || (reference && !outputs) || pipe2(pipes, O_CLOEXEC) != 0)
        return refuse(out, RUNNER_MEASURE, STATUS_MEMORY, "no memory for results");
    const pid_t process = fork();
    if (process == 0) {
        close(pipes[0]);
        child_start(task, &measure, report, outputs, in, out);
    }
    close(pipes[1]);
    const bool left = process > 0 && wait_for(process, pipes[0], measure.facts.timeout_ns, &status);
    close(pipes[0]);
    RunnerResult result = report->result;
    result.count = measure.facts.count;
    if (!left || !report->done || !WIFEXITED(status)) {
        result = (RunnerResult){.count = measure.facts.count};
        judge_death(&result, report->phase, left, status);
    }
    if (result.status == STATUS_OK && reference && !keep_reference(task, report, outputs)) {
        result.status = STATUS_MEMORY;
        snprintf(result.detail, sizeof result.detail, "no memory for the reference");
    }
    if (result.repetitions > measure.facts.most)
        result.repetitions = measure.facts.most;
    const uint64_t times = result.status == STATUS_OK ? (uint64_t)result.repetitions * result.count : 0;
    const bool sent = answer(out, RUNNER_MEASURE, &result, sizeof result, report->times, times * sizeof *report->times);
    munmap(report, report_bytes);
    if (outputs)
        munmap(outputs, output_bytes);
    return sent;
}

/* ---- requests ---- */

int runner_serve(int in, int out)
{
    Task task = {0};
    RunnerFrame frame;
    uint8_t *held = NULL; /* the message that the task lives in */
    signal(SIGPIPE, SIG_IGN);
    while (read_whole(in, &frame, sizeof frame)) {
        if (frame.magic != RUNNER_MAGIC || frame.bytes > RUNNER_BYTES_MAX)
            return LEFT_USAGE;
        uint8_t *const bytes = malloc(frame.bytes + 8);
        if (!bytes)
            return LEFT_MEMORY;
        if (!read_whole(in, bytes, frame.bytes))
            return LEFT_IO;
        const Cursor cursor = {bytes, frame.bytes};
        bool good = false;
        if (frame.kind == RUNNER_HELLO)
            good = say_hello(out);
        else if (frame.kind == RUNNER_TASK)
            good = serve_task(&task, cursor, out);
        else if (frame.kind == RUNNER_MEASURE)
            good = serve_measure(&task, cursor, in, out);
        if (frame.kind == RUNNER_TASK) {
            free(held);
            held = bytes;
        } else {
            free(bytes);
        }
        if (!good)
            return LEFT_IO;
    }
    task_close(&task);
    free(held);
    return LEFT_OK;
}
