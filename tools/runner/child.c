/* The child that meets the candidates: see runner.h. It loads them, runs each once on fresh memory and compares with
 * the reference, then runs them in turns and takes the times. What it finds goes to shared memory at once, so that
 * the runner knows how far it came when it dies. */
#define _GNU_SOURCE
#include "tools/runner/runner.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 256, CHUNKS_PER_THREAD = 8, SCRATCH_PATTERN = 0xff };

typedef struct Loaded {
    lathe_kernel *kernel;
    int64_t units;
    Guarded *scratch; /* one per thread */
} Loaded;

typedef struct Child {
    const Task *task;
    const Measure *measure;
    Report *report;
    Pool *pool;
    Guarded *roots;
    void **buffers;
    Loaded candidates[CANDIDATES_MAX];
    /* The run that is going on: */
    const Loaded *running;
    int64_t chunks;
    _Atomic int64_t next;
    _Atomic int32_t error;
    _Atomic uint64_t sink; /* keeps reads that only fill caches */
} Child;

static Child *the_child; /* for the signal handler */

/* ---- leaving ---- */

_Noreturn static void leave(Child *child, RunnerStatus status, const char *format, ...)
{
    RunnerResult *const result = &child->report->result;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->detail, sizeof result->detail, format, arguments);
    va_end(arguments);
    result->status = status;
    result->candidate = child->report->phase;
    child->report->done = 1;
    _exit(0);
}

static bool within(const Guarded *memory, const uint8_t *address)
{
    return memory->map && address >= memory->map && address < memory->map + memory->map_bytes;
}

/* A fault next to a buffer is told apart from other crashes; of those the second fault ends the process. Several
 * threads may come here at once. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    Child *const child = the_child;
    RunnerResult *const result = &child->report->result;
    const uint8_t *const address = info->si_addr;
    const char *what = NULL;
    for (uint32_t i = 0; i < child->task->facts.root_count; i++)
        if (within(&child->roots[i], address))
            what = "touched memory beside its buffers";
    for (uint32_t t = 0; child->running && t < child->task->facts.threads; t++)
        if (within(&child->running->scratch[t], address))
            what = "touched memory beside its scratch";
    if (!what) {
        signal(number, SIG_DFL);
        return;
    }
    strcpy(result->detail, what);
    result->status = STATUS_BOUNDS;
    result->candidate = child->report->phase;
    child->report->done = 1;
    _exit(0);
}

static void watch_faults(void)
{
    static uint8_t stack[1 << 16];
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* ---- loading ---- */

/* A file that only this process has. */
static int object_file(const Candidate *candidate)
{
    int file = memfd_create("lathe-candidate", MFD_CLOEXEC);
    char path[] = "/tmp/lathe-candidate-XXXXXX";
    if (file < 0 && (file = mkostemp(path, O_CLOEXEC)) >= 0)
        unlink(path);
    const char *at = candidate->object;
    uint64_t left = candidate->facts.object_bytes;
    while (file >= 0 && left > 0) {
        const ssize_t put = write(file, at, left);
        if (put <= 0)
            return -1;
        at += put;
        left -= (uint64_t)put;
    }
    return file;
}

static void load(Child *child, uint32_t number, int file)
{
    char path[40];
    Loaded *const loaded = &child->candidates[number];
    const uint32_t threads = child->task->facts.threads;
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    void *const library = file < 0 ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        leave(child, STATUS_LOAD, "%s", file < 0 ? "no temporary file can be made" : dlerror());
    lathe_kernel *const *const entry = dlsym(library, "lathe_candidate");
    if (!entry)
        leave(child, STATUS_LOAD, "the library has no lathe_candidate");
    *loaded = (Loaded){.kernel = *entry,
                       .units = child->measure->candidates[number].facts.units,
                       .scratch = calloc(threads, sizeof(Guarded))};
    for (uint32_t t = 0; t < threads; t++)
        if (!loaded->scratch || !guarded_open(&loaded->scratch[t], child->measure->candidates[number].facts.scratch))
            leave(child, STATUS_MEMORY, "no memory for scratch");
}

static void open_memory(Child *child)
{
    const Task *const task = child->task;
    child->roots = calloc(task->facts.root_count + 1, sizeof *child->roots);
    child->buffers = calloc(task->facts.buffer_count + 1, sizeof *child->buffers);
    if (!child->roots || !child->buffers)
        leave(child, STATUS_MEMORY, "no memory for tables");
    for (uint32_t i = 0; i < task->facts.root_count; i++) {
        if (!guarded_open(&child->roots[i], task->roots[i].bytes))
            leave(child, STATUS_MEMORY, "no memory for buffers");
        memcpy(child->roots[i].data, task->contents[i], task->roots[i].bytes);
        if (!(task->roots[i].flags & ROOT_WRITTEN))
            guarded_protect(&child->roots[i], true);
    }
    for (uint32_t i = 0; i < task->facts.buffer_count; i++)
        child->buffers[i] = child->roots[task->buffer_roots[i]].data;
}

/* ---- running ---- */

static void run_chunks(void *context, uint32_t thread)
{
    Child *const child = context;
    const Loaded *const loaded = child->running;
    int32_t error = 0;
    for (;;) {
        const int64_t chunk = atomic_fetch_add_explicit(&child->next, 1, memory_order_relaxed);
        if (chunk >= child->chunks)
            break;
        const int64_t quotient = loaded->units / child->chunks, rest = loaded->units % child->chunks;
        const int64_t begin = quotient * chunk + rest * chunk / child->chunks;
        const int64_t end = quotient * (chunk + 1) + rest * (chunk + 1) / child->chunks;
        loaded->kernel(child->buffers, child->task->dims, begin, end, loaded->scratch[thread].data, &error);
    }
    if (error)
        atomic_store(&child->error, error);
}

static void run(Child *child, const Loaded *loaded)
{
    const int64_t most = (int64_t)child->task->facts.threads * CHUNKS_PER_THREAD;
    child->running = loaded;
    child->chunks = child->task->facts.threads == 1 ? 1 : loaded->units < most ? loaded->units : most;
    atomic_store(&child->next, 0);
    if (loaded->units > 0)
        pool_run(child->pool, run_chunks, child);
}

static void restore(Child *child, uint32_t flags)
{
    for (uint32_t i = 0; i < child->task->facts.root_count; i++)
        if ((child->task->roots[i].flags & flags) == flags)
            memcpy(child->roots[i].data, child->task->contents[i], child->task->roots[i].bytes);
}

/* ---- verification ---- */

static bool is_nan(const uint8_t *at)
{
    float value;
    memcpy(&value, at, sizeof value);
    return isnan(value);
}

static float float_at(const uint8_t *data, uint64_t at)
{
    float value;
    memcpy(&value, data + at, sizeof value);
    return value;
}

/* The first f32 that is further from the reference's than 1e-4 of the largest, as byte; -1: none. */
static int64_t far_off(const RunnerRoot *root, const uint8_t *a, const uint8_t *b)
{
    float largest = 0;
    for (uint64_t at = 0; at + sizeof(float) <= root->bytes; at += sizeof(float))
        largest = fabsf(float_at(b, at)) > largest ? fabsf(float_at(b, at)) : largest;
    for (uint64_t at = 0; at + sizeof(float) <= root->bytes; at += sizeof(float))
        if (memcmp(a + at, b + at, sizeof(float)) != 0 && !(is_nan(a + at) && is_nan(b + at)) &&
            !(fabsf(float_at(a, at) - float_at(b, at)) <= 1e-4F * largest))
            return (int64_t)at;
    return -1;
}

/* The first byte that differs, -1 when there is none. */
static int64_t difference(const RunnerRoot *root, const uint8_t *a, const uint8_t *b, bool nearly)
{
    if (memcmp(a, b, root->bytes) == 0)
        return -1;
    if (nearly && root->flags & ROOT_F32)
        return far_off(root, a, b);
    const uint64_t step = root->flags & ROOT_F32 ? 4 : 1;
    for (uint64_t at = 0; at + step <= root->bytes; at += step)
        if (memcmp(a + at, b + at, step) != 0 && !(step == 4 && is_nan(a + at) && is_nan(b + at)))
            return (int64_t)at;
    return -1;
}

static void check_bounds(Child *child, const Loaded *loaded)
{
    for (uint32_t i = 0; i < child->task->facts.root_count; i++)
        if (!guarded_intact(&child->roots[i]))
            leave(child, STATUS_BOUNDS, "wrote beside its buffers");
    for (uint32_t t = 0; t < child->task->facts.threads; t++)
        if (!guarded_intact(&loaded->scratch[t]))
            leave(child, STATUS_BOUNDS, "wrote beside its scratch");
}

static void verify(Child *child, const Loaded *loaded, bool nearly, uint8_t *outputs)
{
    const Task *const task = child->task;
    restore(child, ROOT_WRITTEN);
    for (uint32_t t = 0; t < task->facts.threads; t++)
        memset(loaded->scratch[t].data, SCRATCH_PATTERN, loaded->scratch[t].bytes);
    atomic_store(&child->error, 0);
    run(child, loaded);
    check_bounds(child, loaded);
    const int32_t error = atomic_load(&child->error);
    child->report->error = error;
    if (!outputs && error != task->expected_error)
        leave(child, STATUS_WRONG, "gives error %d, the reference %d", error, task->expected_error);
    for (uint32_t i = 0; i < task->facts.root_count; i++) {
        if (!(task->roots[i].flags & ROOT_WRITTEN))
            continue;
        if (outputs) {
            memcpy(outputs, child->roots[i].data, task->roots[i].bytes);
            outputs += task->roots[i].bytes;
            continue;
        }
        const int64_t at = difference(&task->roots[i], child->roots[i].data, task->expected[i], nearly);
        if (at >= 0)
            leave(child, STATUS_WRONG, "byte %lld of output %u differs from the reference", (long long)at, i);
    }
}

/* ---- measurement ---- */

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t read_lines(const uint8_t *data, uint64_t bytes)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < bytes; i += 64)
        sum += data[i];
    return sum;
}

/* Caches as they are in a model: weights were last used a whole run ago, activations have just been written. */
static void settle_caches(void *context, uint32_t thread)
{
    Child *const child = context;
    const Task *const task = child->task;
    uint64_t sum = read_lines(task->flush, task->facts.flush_bytes);
    for (uint32_t i = 0; i < task->facts.root_count; i++) {
        const uint64_t share = task->roots[i].bytes / task->facts.threads;
        if (task->roots[i].flags & ROOT_WARM)
            sum += read_lines(child->roots[i].data + share * thread, share);
    }
    atomic_fetch_add_explicit(&child->sink, sum, memory_order_relaxed);
}

/* In turns, each time in another order, so that what disturbs the machine disturbs all alike. */
static void measure_all(Child *child)
{
    const RunnerMeasure *const facts = &child->measure->facts;
    RunnerResult *const result = &child->report->result;
    uint64_t least[CANDIDATES_MAX] = {0};
    const uint64_t start = now();
    for (uint32_t round = 0; round < facts->most; round++) {
        if (round >= facts->least && now() - start > facts->budget_ns)
            break;
        for (uint32_t i = 0; i < facts->count; i++) {
            const uint32_t number = (i + round) % facts->count;
            child->report->phase = number;
            restore(child, ROOT_READ | ROOT_WRITTEN);
            if (child->task->facts.flush_bytes)
                pool_run(child->pool, settle_caches, child);
            const uint64_t before = now();
            run(child, &child->candidates[number]);
            const uint64_t time = now() - before;
            child->report->times[round * facts->count + number] = time;
            least[number] = least[number] == 0 || time < least[number] ? time : least[number];
        }
        result->repetitions = round + 1;
        /* Hopeless ones are left early. */
        if (round >= 2 && facts->count > 1 && least[facts->count - 1] > 2 * least[0])
            break;
    }
}

void child_run(const Task *task, Measure *measure, Report *report, uint8_t *outputs)
{
    static Child child;
    int files[CANDIDATES_MAX];
    child = (Child){.task = task, .measure = measure, .report = report};
    the_child = &child;
    report->result.count = measure->facts.count;
    for (uint32_t i = 0; i < measure->facts.count; i++)
        files[i] = object_file(&measure->candidates[i]); /* before files may no longer grow */
    ask_for_units();
    confine_resources(task->facts.memory_bytes, measure->facts.timeout_ns, task->facts.threads);
    watch_faults();
    open_memory(&child);
    for (uint32_t i = 0; i < measure->facts.count; i++) {
        report->phase = i;
        load(&child, i, files[i]);
    }
    child.pool = pool_start(task->facts.threads);
    if (!child.pool)
        leave(&child, STATUS_MEMORY, "no memory for threads");
    (void)confine_calls(); /* HELLO has said whether that is possible */
    for (uint32_t i = 0; i < measure->facts.count; i++) {
        report->phase = i;
        verify(&child, &child.candidates[i], measure->candidates[i].facts.flags & CANDIDATE_NEAR, outputs);
    }
    measure_all(&child);
    report->phase = measure->facts.count - 1;
    leave(&child, STATUS_OK, "%s", "");
}
