/* What workers ask of the scheduler, and that they ask nothing where a filter may answer. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/internal.h"
#define LIBC_NUMBERS_ONLY
#include "runtime/libc.h"

static const lathe_api *const api = &lathe_rt_api;

typedef struct Seen {
    libc_schedule schedule;
    Word done;
} Seen;

static void look(void *job, uint32_t worker)
{
    Seen *seen = job;
    (void)worker;
    syscall(SYS_sched_getattr, 0, &seen->schedule, sizeof seen->schedule, 0);
    atomic_store(&seen->done, 1);
}

/* How one worker is scheduled. */
static libc_schedule worker_schedule(void)
{
    int error;
    Seen seen;
    memset(&seen, 0, sizeof seen);
    lathe_pool *const pool = api->pool_open(2, &error);
    cr_assert_not_null(pool);
    const int slot = pool->attach(pool, &seen, look);
    pool->post(pool, slot, 1);
    while (!atomic_load(&seen.done))
        usleep(100);
    pool->retire(pool, slot);
    pool->settle(pool, slot);
    pool->detach(pool, slot);
    api->pool_close(pool);
    return seen.schedule;
}

Test(slices, workers_have_short_ones_and_keep_the_rest)
{
    libc_schedule own;
    cr_assert_eq(syscall(SYS_sched_getattr, 0, &own, sizeof own, 0), 0);
    const libc_schedule schedule = worker_schedule();
    cr_expect_eq(schedule.policy, own.policy);
    cr_expect_eq(schedule.nice, own.nice);
    if (own.policy == LIBC_POLICY_FAIR && own.runtime > 100000 && !limits_filtered())
        cr_expect_eq(schedule.runtime, 100000);
    else
        cr_expect_eq(schedule.runtime, own.runtime);
    libc_schedule after;
    syscall(SYS_sched_getattr, 0, &after, sizeof after, 0);
    cr_expect_eq(after.runtime, own.runtime, "the caller's own slice changed");
}

/* As service managers do it: the process dies of calls that change how it is scheduled. */
static bool filter_install(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setattr, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setaffinity, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum { NO_FILTERS = 77 };

static int status_in_filter(void (*body)(void))
{
    const pid_t child = fork();
    int status;
    if (child == 0) {
        if (!filter_install())
            _exit(NO_FILTERS);
        body();
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return status;
}

static void set_schedule(void)
{
    libc_schedule own;
    syscall(SYS_sched_getattr, 0, &own, sizeof own, 0);
    syscall(SYS_sched_setattr, 0, &own, 0);
}

static void work_and_move(void)
{
    static const unsigned char taken[CPUS_MAX / 8] = {1};
    worker_schedule();
    limits_move(taken);
}

Test(slices, nothing_is_asked_where_a_filter_may_answer)
{
    const int status = status_in_filter(set_schedule);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FILTERS)
        cr_skip("no filters of system calls here");
    cr_assert(WIFSIGNALED(status), "the filter lets calls through");
    cr_expect_eq(status_in_filter(work_and_move), 0);
}
