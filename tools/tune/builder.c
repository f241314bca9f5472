/* Building in processes: see builder.h. A child answers with one BuildAnswer and the schedule's text on a pipe; the
 * library lies in the folder. */
#define _GNU_SOURCE
#include "tools/tune/builder.h"

#include "codegen/descriptor.h"
#include "codegen/link.h"
#include "codegen/object.h"
#include "codegen/schedule.h"
#include "ir/tiles.h"
#include "codegen/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS_MAX = 256, TEXT_MAX = 400, CPU_SECONDS = 60, POLL_MS = 200, OPTIMISED = 2 };
static const rlim_t memory_bytes = (rlim_t)8 << 30;

typedef struct BuildAnswer {
    int32_t good;
    int64_t units;
    uint64_t scratch;
    int32_t nearly;
    char text[TEXT_MAX]; /* the schedule, or what went wrong */
} BuildAnswer;

/* ---- in the child ---- */

static void limit(int resource, rlim_t value)
{
    struct rlimit old;
    if (getrlimit(resource, &old) == 0 && (old.rlim_max == RLIM_INFINITY || value < old.rlim_max))
        setrlimit(resource, &(struct rlimit){value, value});
}

static void child_confine(int cpu_seconds)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* a terminal's interrupt stops the parent, which stops us */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, (rlim_t)cpu_seconds);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    limit(RLIMIT_AS, memory_bytes);
#else
    (void)memory_bytes;
#endif
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int file = 0; file <= STDERR_FILENO; file++)
        dup2(nothing, file);
}

static bool fail(BuildAnswer *answer, const char *text)
{
    snprintf(answer->text, sizeof answer->text, "%s", text ? text : "no reason was given");
    return false;
}

static Node *schedule(const Builder *builder, const BuildJob *job, BuildAnswer *answer)
{
    Ir *const ir = builder->ir;
    Node *const kernel = job->task->kernel;
    if (!job->point)
        return kernel_schedule_plain(ir, kernel, builder->target);
    ScheduleOptions options = {.level = OPTIMISED, .math = MATH_DEFAULT};
    if (job->point->count == 0)
        return kernel_schedule(&options, ir, kernel, builder->target);
    Trial trial = trial_open(ir->arena, job->point->values, job->point->count);
    Node *const scheduled = kernel_schedule_trial(ir, kernel, builder->target, &trial);
    if (!scheduled)
        fail(answer, trial.refusal);
    return scheduled;
}

static bool build(const Builder *builder, const BuildJob *job, const char *output, BuildAnswer *answer)
{
    static const char symbol[] = "lathe_candidate_kernel";
    static const char table[] = "declare hidden void @lathe_candidate_kernel(ptr, ptr, i64, i64, ptr, ptr)\n"
                                "@lathe_candidate = constant ptr @lathe_candidate_kernel\n";
    Ir *const ir = builder->ir;
    Node *const scheduled = schedule(builder, job, answer);
    if (!scheduled)
        return false;
    const Kernel *const facts = scheduled->payload.kernel;
    const ObjectRequest request = {.kernel = scheduled, .target = builder->target, .symbol = symbol};
    ObjectBytes objects[2];
    ir->diagnostics = diagnostics_open(ir->arena);
    bool good = object_make(ir, ir->arena, &request, &objects[0]) &&
                object_from_text(ir, ir->arena, "table", builder->target, table, FORMAT_OBJECT, &objects[1]);
    const TargetFamily *const family = builder->target->family;
    const bool foreign = link_is_foreign(family->elf_machine);
    LinkStandIn stand_ins[STAND_INS];
    good = good && (!foreign || stand_ins_make(ir, builder->target, stand_ins));
    if (good) {
        const char *const exports[] = {"lathe_candidate"};
        const LinkInput inputs[2] = {{.data = objects[0].data, .bytes = objects[0].bytes},
                                     {.data = objects[1].data, .bytes = objects[1].bytes}};
        const LinkJob link = {.inputs = inputs,
                              .input_count = 2,
                              .exports = exports,
                              .export_count = 1,
                              .output = output,
                              .machine = family->elf_machine,
                              .gnu = family->gnu,
                              .stand_ins = stand_ins,
                              .stand_in_count = foreign ? STAND_INS : 0};
        good = link_shared(ir->diagnostics, &link);
    }
    if (!good)
        return fail(answer, ir->diagnostics->first ? ir->diagnostics->first->text : NULL);
    answer->nearly = kernel_has_tiles(scheduled);
    answer->units = index_evaluate(facts->units, builder->values, builder->value_count);
    answer->scratch = ((uint64_t)facts->scratch + 63) / 64 * 64;
    snprintf(answer->text, sizeof answer->text, "%s", facts->schedule);
    return answer->units >= 0 || fail(answer, "the number of units has no value");
}

/* ---- in the parent ---- */

typedef struct Child {
    pid_t process; /* 0: none */
    int from;
    BuildJob *job;
    const char *output;
} Child;

static bool child_start(const Builder *builder, Child *child, BuildJob *job, int number)
{
    int pipes[2];
    *child = (Child){.job = job, .output = arena_format(builder->arena, "%s/%d.so", builder->folder, number)};
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return false;
    fflush(NULL);
    child->process = fork();
    if (child->process == 0) {
        BuildAnswer answer = {0};
        child_confine(builder->cpu_seconds ? builder->cpu_seconds : CPU_SECONDS);
        answer.good = build(builder, job, child->output, &answer);
        _exit(descriptor_write(pipes[1], &answer, sizeof answer) ? 0 : 1);
    }
    close(pipes[1]);
    child->from = pipes[0];
    return child->process > 0;
}

static void *read_file(const char *path, size_t *bytes)
{
    struct stat facts;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    void *data = NULL;
    if (file >= 0 && fstat(file, &facts) == 0 && (data = malloc((size_t)facts.st_size + 1)) != NULL) {
        *bytes = (size_t)facts.st_size;
        if (!descriptor_read(file, data, *bytes)) {
            free(data);
            data = NULL;
        }
    }
    if (file >= 0)
        close(file);
    return data;
}

static const char *death(Arena *arena, int status)
{
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
        return "compiling it took too long";
    if (WIFSIGNALED(status))
        return arena_format(arena, "compiling it died with signal %d (%s)", WTERMSIG(status),
                            strsignal(WTERMSIG(status)));
    return arena_format(arena, "compiling it left with exit code %d", WEXITSTATUS(status));
}

static void child_end(const Builder *builder, Child *child)
{
    BuildAnswer answer = {0};
    BuildJob *const job = child->job;
    int status = 0;
    const bool answered = descriptor_read(child->from, &answer, sizeof answer);
    close(child->from);
    while (waitpid(child->process, &status, 0) < 0 && errno == EINTR)
        continue;
    child->process = 0;
    answer.text[TEXT_MAX - 1] = 0;
    if (!answered)
        job->failure = death(builder->arena, status);
    else if (!answer.good)
        job->failure = arena_format(builder->arena, "%s", answer.text);
    else if (!(job->built.object = read_file(child->output, &job->built.object_bytes)))
        job->failure = "its library cannot be read";
    job->built.units = answer.units;
    job->built.scratch = answer.scratch;
    job->built.nearly = answer.nearly;
    job->built.label = arena_format(builder->arena, "%s", answer.text);
    unlink(child->output);
}

static void kill_all(Child *children, int count)
{
    for (int i = 0; i < count; i++) {
        if (!children[i].process)
            continue;
        kill(children[i].process, SIGKILL);
        close(children[i].from);
        while (waitpid(children[i].process, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
}

bool builder_build(const Builder *builder, BuildJob *jobs, int count)
{
    Child children[JOBS_MAX] = {{0}};
    const int most = builder->jobs < JOBS_MAX ? builder->jobs : JOBS_MAX;
    int next = 0, finished = 0;
    object_initialize();
    while (finished < count) {
        struct pollfd slots[JOBS_MAX];
        Child *owners[JOBS_MAX];
        int waiting = 0;
        for (int i = 0; i < most; i++) {
            if (!children[i].process && next < count) {
                BuildJob *const job = &jobs[next];
                if (!child_start(builder, &children[i], job, next)) {
                    job->failure = "no process can be started";
                    children[i].process = 0;
                    finished++;
                }
                next++;
            }
            if (children[i].process) {
                owners[waiting] = &children[i];
                slots[waiting++] = (struct pollfd){.fd = children[i].from, .events = POLLIN};
            }
        }
        poll(slots, (nfds_t)waiting, POLL_MS);
        if (*builder->stop) {
            kill_all(children, most);
            return false;
        }
        for (int i = 0; i < waiting; i++)
            if (slots[i].revents) {
                child_end(builder, owners[i]);
                finished++;
            }
    }
    return true;
}

const char *fork_text(Arena *arena, void (*child)(void *context, FILE *file), void *context, const volatile bool *stop)
{
    enum { PIECE = 1 << 14 };
    int pipes[2], status = 0;
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return NULL;
    fflush(NULL);
    const pid_t process = fork();
    if (process == 0) {
        child_confine(CPU_SECONDS);
        FILE *const file = fdopen(pipes[1], "w");
        child(context, file);
        fflush(file);
        _exit(ferror(file) ? 1 : 0);
    }
    close(pipes[1]);
    char *text = malloc(PIECE);
    size_t used = 0, capacity = text ? PIECE : 0;
    while (process > 0 && text && !*stop) {
        struct pollfd slot = {.fd = pipes[0], .events = POLLIN};
        if (poll(&slot, 1, POLL_MS) <= 0)
            continue;
        if (capacity - used < PIECE) {
            char *const larger = realloc(text, capacity * 2);
            if (!larger)
                break;
            text = larger;
            capacity *= 2;
        }
        const ssize_t got = read(pipes[0], text + used, capacity - used - 1);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    close(pipes[0]);
    if (*stop && process > 0)
        kill(process, SIGKILL);
    while (process > 0 && waitpid(process, &status, 0) < 0 && errno == EINTR)
        continue;
    const bool good = process > 0 && text && !*stop && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    char *const result = good ? arena_copy(arena, text, used + 1) : NULL;
    if (result)
        result[used] = 0;
    free(text);
    return result;
}
