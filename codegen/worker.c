/* The pool: one pipe pair and one poll slot per worker. A message to a worker is a job's number; the answer is a
 * header, then the object or an error's text. What a worker prints goes to a file of its own, for the warning when it
 * dies. */
#define _GNU_SOURCE /* memfd_create, pipe2 */
#include "codegen/worker.h"
#include "codegen/descriptor.h"
#include "codegen/ptxas.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CPU_SECONDS = 120, WORKERS_MAX = 256, QUIT = -1, MESSAGE_MAX = 1000 };
static const int64_t MEMORY_BYTES = INT64_C(16) << 30;

typedef struct Answer {
    int32_t job;
    int32_t done; /* 1: an object follows; 0: the text of an error */
    uint64_t bytes;
} Answer;

typedef struct Worker {
    pid_t process; /* 0: none */
    int to, from, output;
    int job;   /* what it works on, -1: nothing */
    int epoch; /* fallbacks made before it was forked: it knows their kernels */
    Answer answer;
    size_t received; /* of the answer's header and bytes together */
    char *bytes;
} Worker;

typedef struct Pool {
    Ir *ir;
    KernelJob *jobs;
    int count;
    const WorkerOptions *options;
    Worker *workers;
    int worker_count;
    int *queue; /* numbers of jobs that wait, in order */
    int queue_first, queue_end;
    int finished;
    int epoch; /* fallbacks made so far */
    bool failed;
} Pool;

static ObjectRequest job_request(const Pool *pool, const KernelJob *job)
{
    return (ObjectRequest){.kernel = job->kernel,
                           .bitcode = job->bitcode,
                           .target = job->target,
                           .symbol = job->symbol,
                           .lines = pool->options->lines,
                           .format = FORMAT_OBJECT,
                           .assembler = pool->options->assembler};
}

/* ---- in the worker ---- */

static void limit(int resource, rlim_t value)
{
    struct rlimit old;
    if (getrlimit(resource, &old) != 0)
        return;
    const rlim_t allowed = old.rlim_max != RLIM_INFINITY && value > old.rlim_max ? old.rlim_max : value;
    setrlimit(resource, &(struct rlimit){allowed, old.rlim_max});
}

/* Processor time is limited per job: the limit moves on with what was used before. */
static void limit_job(const WorkerOptions *options)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const int seconds = options->cpu_seconds ? options->cpu_seconds : CPU_SECONDS;
    limit(RLIMIT_CPU, (rlim_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + 1 + seconds));
}

static void limit_memory(const WorkerOptions *options)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)options; /* sanitizers reserve terabytes of addresses */
    (void)MEMORY_BYTES;
#else
    int64_t pages = 0;
    FILE *const facts = fopen("/proc/self/statm", "re");
    if (facts) {
        if (fscanf(facts, "%ld", &pages) != 1)
            pages = 0;
        fclose(facts);
    }
    const int64_t more = options->memory_bytes ? options->memory_bytes : MEMORY_BYTES;
    limit(RLIMIT_AS, (rlim_t)(pages * sysconf(_SC_PAGESIZE) + more));
#endif
}

/* A job's diagnostics go back as one text: the parent reports them. */
static void answer_job(const Pool *pool, int number, int to)
{
    const KernelJob *const job = &pool->jobs[number];
    Ir *const ir = pool->ir;
    Arena *const arena = arena_open(0, NULL, NULL);
    Diagnostics *const outer = ir->diagnostics;
    ir->diagnostics = diagnostics_open(arena);
    const ObjectRequest request = job_request(pool, job);
    ObjectBytes object = {0};
    const bool done = object_make(ir, arena, &request, &object);
    const Diagnostic *const first = ir->diagnostics->first;
    static const char label[] = "error: "; /* the parent's own report has one */
    const char *const given = first ? first->text : "no reason was given";
    const char *const text = strncmp(given, label, sizeof label - 1) == 0 ? given + sizeof label - 1 : given;
    const Answer answer = {number, done, done ? object.bytes : strlen(text)};
    const bool sent =
        descriptor_write(to, &answer, sizeof answer) && descriptor_write(to, done ? object.data : text, answer.bytes);
    ir->diagnostics = outer;
    arena_close(arena);
    if (!sent)
        _exit(EXIT_IO);
}

_Noreturn static void worker_main(const Pool *pool, int from, int to, int output)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    /* A terminal's interrupt stops the parent, whose death stops us. */
    signal(SIGINT, SIG_IGN);
    if (output >= 0) {
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
    }
    limit(RLIMIT_CORE, 0);
    limit_memory(pool->options);
    int32_t number;
    while (descriptor_read(from, &number, sizeof number) && number != QUIT) {
        limit_job(pool->options);
        if (pool->options->in_worker)
            pool->options->in_worker(pool->options->context, &pool->jobs[number]);
        answer_job(pool, number, to);
    }
    _exit(0);
}

/* ---- workers, from the parent ---- */

static void close_files(Worker *worker)
{
    close(worker->to);
    close(worker->from);
    if (worker->output >= 0)
        close(worker->output);
}

static void close_others(const Pool *pool, const Worker *self)
{
    for (int i = 0; i < pool->worker_count; i++)
        if (&pool->workers[i] != self && pool->workers[i].process)
            close_files((Worker *)(uintptr_t)&pool->workers[i]);
}

static bool worker_start(Pool *pool, Worker *worker)
{
    int in[2], out[2];
    *worker = (Worker){.job = -1, .output = -1, .epoch = pool->epoch};
    if (pipe2(in, O_CLOEXEC) != 0)
        return false;
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return false;
    }
    const int output = memfd_create("lathe-worker", MFD_CLOEXEC);
    fflush(NULL);
    const pid_t process = fork();
    if (process == 0) {
        close_others(pool, worker);
        close(in[1]);
        close(out[0]);
        worker_main(pool, in[0], out[1], output);
    }
    close(in[0]);
    close(out[1]);
    worker->to = in[1];
    worker->from = out[0];
    worker->output = output;
    worker->process = process;
    if (process > 0)
        return true;
    close_files(worker);
    worker->process = 0;
    return false;
}

/* Waits for the process and gives its status. */
static int worker_stop(Worker *worker)
{
    int status = 0;
    while (waitpid(worker->process, &status, 0) < 0 && errno == EINTR)
        continue;
    close_files(worker);
    free(worker->bytes);
    worker->bytes = NULL;
    worker->process = 0;
    return status;
}

static void give_job(Pool *pool, Worker *worker)
{
    const int32_t number = pool->queue[pool->queue_first];
    worker->answer = (Answer){0};
    worker->received = 0;
    worker->job = number;
    pool->queue_first++;
    /* A worker that is already dead is noticed when its answer is awaited. */
    (void)!descriptor_write(worker->to, &number, sizeof number);
}

/* ---- keys of the cache ---- */

typedef struct Text {
    Arena *arena;
    char *bytes;
    size_t used, capacity;
} Text;

static void text_add(Text *text, const char *more)
{
    const size_t length = strlen(more);
    if (text->used + length + 1 > text->capacity) {
        const size_t capacity = (text->used + length + 1) * 2 + 256;
        char *const bytes = arena_alloc(text->arena, capacity);
        if (text->used)
            memcpy(bytes, text->bytes, text->used);
        text->bytes = bytes;
        text->capacity = capacity;
    }
    memcpy(text->bytes + text->used, more, length + 1);
    text->used += length;
}

static void add_lines(Text *text, const LineTable *lines, const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        char number[16];
        snprintf(number, sizeof number, " %d", lines->line_of(lines->context, block->nodes[i]));
        text_add(text, number);
        for (int j = 0; j < block->nodes[i]->block_count; j++)
            add_lines(text, lines, block->nodes[i]->blocks[j]);
    }
}

/* Everything that decides the object's bytes, as one text. */
static const char *full_key(Arena *arena, const KernelJob *job, const WorkerOptions *options)
{
    const LineTable *const lines = options->lines;
    Text text = {.arena = arena};
    text_add(&text, arena_format(arena, "%s\n%s %s %s\nsymbol %s\n", object_version(arena), job->target->triple,
                                 job->target->cpu, job->target->features, job->symbol));
    if (job->target->gpu)
        text_add(&text, arena_format(arena, "ptxas %s\n", options->assembler ? options->assembler->version : "none"));
    if (job->kernel && lines && lines->file && lines->line_of) {
        text_add(&text, arena_format(arena, "name %s\nfile %s %s\nlines %d", job->kernel->payload.kernel->name,
                                     lines->folder ? lines->folder : "", lines->file,
                                     lines->line_of(lines->context, job->kernel)));
        for (int i = 1; i < job->kernel->block_count; i++)
            add_lines(&text, lines, job->kernel->blocks[i]);
        text_add(&text, "\n");
    }
    text_add(&text, job->key);
    return text.bytes;
}

/* ---- results ---- */

static void job_done(Pool *pool, int number, ObjectBytes object)
{
    KernelJob *const job = &pool->jobs[number];
    Arena *const scratch = arena_scratch(pool->ir->diagnostics->arena);
    const ArenaMark mark = arena_mark(scratch);
    job->object = object;
    pool->finished++;
    /* The fallback's object does not belong to the key of the schedule that crashed. */
    if (job->key && !job->fell_back && !job->from_cache)
        cache_put(pool->options->cache, full_key(scratch, job, pool->options), object.data, object.bytes);
    arena_reset(scratch, mark);
    if (pool->options->progress)
        pool->options->progress(pool->options->context, pool->finished, pool->count);
}

static void job_failed(Pool *pool)
{
    pool->failed = true;
    pool->finished++;
}

static const char *last_words(Arena *arena, int output)
{
    char text[MESSAGE_MAX + 1];
    if (output < 0)
        return "";
    const off_t end = lseek(output, 0, SEEK_END);
    const off_t start = end > MESSAGE_MAX ? end - MESSAGE_MAX : 0;
    const ssize_t got = pread(output, text, MESSAGE_MAX, start);
    if (got <= 0)
        return "";
    text[got] = 0;
    return diag_quote(arena, arena_format(arena, "%s", text), MESSAGE_MAX);
}

static const char *cause_of_death(Arena *arena, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return "exceeded its time limit";
    if (WIFSIGNALED(status))
        return arena_format(arena, "died with signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return arena_format(arena, "left with exit code %d", WEXITSTATUS(status));
}

static const Where *where_of(const Node *kernel)
{
    if (!kernel)
        return NULL;
    const Where *const *const wheres = kernel->payload.kernel->wheres;
    return kernel->where ? kernel->where : wheres ? wheres[0] : NULL;
}

/* The worker is gone: its job gets the fallback's schedule and waits again, or fails. */
static void worker_died(Pool *pool, Worker *worker)
{
    Arena *const arena = pool->ir->diagnostics->arena;
    Diagnostics *const diagnostics = pool->ir->diagnostics;
    const int number = worker->job;
    const char *const words = last_words(arena, worker->output);
    const char *const cause = cause_of_death(arena, worker_stop(worker));
    if (number < 0)
        return;
    KernelJob *const job = &pool->jobs[number];
    const char *const name = job->kernel ? job->kernel->payload.kernel->name : job->symbol;
    const bool final = !job->kernel || job->fell_back || !pool->options->fallback;
    Node *const again = final ? NULL : pool->options->fallback(pool->options->context, job);
    if (!again) {
        diag_error(diagnostics, EXIT_BACKEND, where_of(job->kernel), "compiling kernel %s for %s %s%s%s", name,
                   job->target->name, cause, *words ? ": " : "", words);
        job_failed(pool);
        return;
    }
    diag_warning(diagnostics, where_of(job->kernel),
                 "compiling kernel %s for %s %s; it gets the plain schedule instead%s%s", name, job->target->name,
                 cause, *words ? ": " : "", words);
    job->kernel = again;
    job->fell_back = true;
    pool->epoch++;
    pool->queue[--pool->queue_first] = number; /* its own place in the queue is free */
}

static void answer_complete(Pool *pool, Worker *worker)
{
    Diagnostics *const diagnostics = pool->ir->diagnostics;
    if (worker->answer.done) {
        const ObjectBytes object = {arena_copy(diagnostics->arena, worker->bytes, worker->answer.bytes),
                                    worker->answer.bytes};
        job_done(pool, worker->job, object);
    } else {
        diag_error(diagnostics, EXIT_BACKEND, where_of(pool->jobs[worker->job].kernel), "%.*s",
                   (int)worker->answer.bytes, worker->bytes);
        job_failed(pool);
    }
    free(worker->bytes);
    worker->bytes = NULL;
    worker->job = -1;
}

/* Reads what is there. False: the worker is gone or answers nonsense. */
static bool receive(Pool *pool, Worker *worker)
{
    const size_t header = sizeof worker->answer;
    char *into = (char *)&worker->answer + worker->received;
    size_t wanted = header - worker->received;
    if (worker->received >= header) {
        into = worker->bytes + (worker->received - header);
        wanted = header + worker->answer.bytes - worker->received;
    }
    const ssize_t got = read(worker->from, into, wanted);
    if (got < 0 && errno == EINTR)
        return true;
    if (got <= 0)
        return false;
    worker->received += (size_t)got;
    if (worker->received == header) {
        if (worker->answer.job != worker->job || worker->answer.bytes > (UINT64_C(1) << 32))
            return false;
        worker->bytes = malloc(worker->answer.bytes + 1);
        if (!worker->bytes)
            return false;
    }
    if (worker->received == header + worker->answer.bytes)
        answer_complete(pool, worker);
    return true;
}

/* ---- the loop ---- */

static void worker_retire(Worker *worker)
{
    const int32_t quit = QUIT;
    if (worker->job >= 0)
        kill(worker->process, SIGKILL);
    else
        (void)!descriptor_write(worker->to, &quit, sizeof quit);
    worker_stop(worker);
}

static int start_and_feed(Pool *pool)
{
    int busy = 0;
    for (int i = 0; i < pool->worker_count; i++) {
        Worker *const worker = &pool->workers[i];
        const bool waiting = pool->queue_first < pool->queue_end;
        if (waiting && worker->process && worker->job < 0 && worker->epoch != pool->epoch)
            worker_retire(worker);
        if (waiting && !worker->process && !worker_start(pool, worker))
            continue;
        if (waiting && worker->job < 0)
            give_job(pool, worker);
        busy += worker->process && worker->job >= 0;
    }
    return busy;
}

static void wait_and_receive(Pool *pool)
{
    struct pollfd slots[WORKERS_MAX];
    Worker *owners[WORKERS_MAX];
    int count = 0;
    for (int i = 0; i < pool->worker_count; i++)
        if (pool->workers[i].process && pool->workers[i].job >= 0) {
            owners[count] = &pool->workers[i];
            slots[count++] = (struct pollfd){.fd = pool->workers[i].from, .events = POLLIN};
        }
    if (poll(slots, (nfds_t)count, -1) <= 0)
        return;
    for (int i = 0; i < count; i++)
        if (slots[i].revents && !receive(pool, owners[i])) {
            kill(owners[i]->process, SIGKILL);
            worker_died(pool, owners[i]);
        }
}

static void compile_in_workers(Pool *pool)
{
    /* A worker may die before it reads its job: the write must then fail, not kill us. */
    struct sigaction old;
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, &old);
    while (pool->finished < pool->count) {
        if (start_and_feed(pool) == 0) {
            diag_error(pool->ir->diagnostics, EXIT_BACKEND, NULL, "cannot start a compile worker: %s", strerror(errno));
            pool->failed = true;
            break;
        }
        wait_and_receive(pool);
    }
    for (int i = 0; i < pool->worker_count; i++)
        if (pool->workers[i].process)
            worker_retire(&pool->workers[i]);
    sigaction(SIGPIPE, &old, NULL);
}

static void compile_here(Pool *pool)
{
    for (; pool->queue_first < pool->queue_end; pool->queue_first++) {
        const int number = pool->queue[pool->queue_first];
        const KernelJob *const job = &pool->jobs[number];
        const ObjectRequest request = job_request(pool, job);
        ObjectBytes object;
        if (object_make(pool->ir, pool->ir->diagnostics->arena, &request, &object))
            job_done(pool, number, object);
        else
            job_failed(pool);
    }
}

static void take_from_cache(Pool *pool)
{
    Arena *const arena = pool->ir->diagnostics->arena, *const scratch = arena_scratch(arena);
    for (int i = 0; i < pool->count; i++) {
        const ArenaMark mark = arena_mark(scratch);
        KernelJob *const job = &pool->jobs[i];
        ObjectBytes object = {0};
        job->from_cache = job->fell_back = false;
        if (job->key && pool->options->cache)
            object.data = cache_get(pool->options->cache, arena, full_key(scratch, job, pool->options), &object.bytes);
        arena_reset(scratch, mark);
        job->from_cache = object.data != NULL;
        if (object.data)
            job_done(pool, i, object);
        else
            pool->queue[pool->queue_end++] = i;
    }
}

bool compile_kernels(Ir *ir, KernelJob *jobs, int count, const WorkerOptions *options)
{
    Arena *const arena = ir->diagnostics->arena;
    const int waiting = options->workers < count ? options->workers : count;
    Pool pool = {
        .ir = ir,
        .jobs = jobs,
        .count = count,
        .options = options,
        .worker_count = waiting < WORKERS_MAX ? waiting : WORKERS_MAX,
        .queue = NEW_ARRAY(arena, int, (size_t)count + 1),
        .workers = NEW_ARRAY(arena, Worker, WORKERS_MAX),
    };
    object_initialize();
    take_from_cache(&pool);
    if (options->workers > 0)
        compile_in_workers(&pool);
    else
        compile_here(&pool);
    return !pool.failed;
}
