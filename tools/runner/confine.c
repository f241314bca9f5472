/* What a candidate may do: compute, and nothing else. Limits of resources hold everywhere; the filter of system calls
 * where the kernel has one (not under qemu's user mode). */
#define _GNU_SOURCE
#include "tools/runner/runner.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define ARCHITECTURE AUDIT_ARCH_ARM
#endif

static void limit(int resource, rlim_t value)
{
    struct rlimit old;
    if (getrlimit(resource, &old) != 0)
        return;
    if (old.rlim_max != RLIM_INFINITY && value > old.rlim_max)
        value = old.rlim_max;
    setrlimit(resource, &(struct rlimit){value, value});
}

void ask_for_units(void)
{
#if defined(__x86_64__)
    enum { REQUEST = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM: tile registers; elsewhere it fails, and nothing needs them */
    (void)syscall(SYS_arch_prctl, REQUEST, TILE_DATA);
#endif
}

void confine_resources(uint64_t memory_bytes, uint64_t nanoseconds, uint32_t threads)
{
    enum { FILES = 16 };
    const rlim_t seconds = (rlim_t)(nanoseconds / 1000000000 + 2) * threads;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    limit(RLIMIT_CPU, seconds);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, FILES);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)memory_bytes; /* sanitizers reserve terabytes of addresses */
#else
    unsigned long pages = 0;
    FILE *const facts = fopen("/proc/self/statm", "re");
    if (facts) {
        if (fscanf(facts, "%lu", &pages) != 1)
            pages = 0;
        fclose(facts);
    }
    /* Threads' stacks count too. */
    const rlim_t stacks = (rlim_t)threads * (80 << 20);
    limit(RLIMIT_AS, (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + memory_bytes + stacks);
#endif
}

#if defined(ARCHITECTURE) && __has_include(<linux/seccomp.h>)
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
bool confine_calls(void)
{
    return true; /* their own calls would be the first to be caught */
}
#else
static const int allowed[] = {
    SYS_futex,           SYS_clock_gettime, SYS_exit_group, SYS_exit, SYS_sched_yield,     SYS_rt_sigreturn,
    SYS_rt_sigaction,    SYS_madvise,       SYS_munmap,     SYS_brk,  SYS_restart_syscall,
#ifdef SYS_clock_gettime64
    SYS_clock_gettime64,
#endif
};
enum { ALLOWED = sizeof allowed / sizeof *allowed };

bool confine_calls(void)
{
    limit(RLIMIT_NPROC, 0); /* the threads are up */
    struct sock_filter filter[2 * ALLOWED + 8];
    unsigned short count = 0;
    filter[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    filter[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    filter[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < ALLOWED; i++) {
        filter[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
        filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    const struct sock_fprog program = {count, filter};
    /* TSYNC: threads that run already too. */
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}
#endif

bool confine_possible(void)
{
    /* A filter that is no address: the kernel that has seccomp says so. */
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) == -1 && errno == EFAULT;
}
#else
bool confine_calls(void)
{
    return false;
}

bool confine_possible(void)
{
    return false;
}
#endif
