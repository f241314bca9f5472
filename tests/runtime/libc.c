/* The numbers and types of runtime/libc.h against the headers of the machine that this is compiled for: compiling is the test. */
#define _GNU_SOURCE
#define LIBC_NUMBERS_ONLY
#include "runtime/libc.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

_Static_assert(LIBC_READ_ONLY == O_RDONLY, "");
_Static_assert(LIBC_CLOSE_ON_EXEC == O_CLOEXEC, "");
_Static_assert(LIBC_CLOCK_MONOTONIC == CLOCK_MONOTONIC, "");
_Static_assert(LIBC_FUTEX_WAIT_PRIVATE == FUTEX_WAIT_PRIVATE, "");
_Static_assert(LIBC_FUTEX_WAKE_PRIVATE == FUTEX_WAKE_PRIVATE, "");
_Static_assert(LIBC_ADVICE_HUGE_PAGES == MADV_HUGEPAGE, "");
_Static_assert(LIBC_SIGNALS_REPLACE == SIG_SETMASK, "");
_Static_assert(LIBC_HARDWARE == AT_HWCAP, "");
_Static_assert(LIBC_BIND_NOW == RTLD_NOW, "");
_Static_assert(LIBC_CALL_FUTEX == SYS_futex, "");
_Static_assert(LIBC_CALL_AFFINITY == SYS_sched_getaffinity, "");
_Static_assert(LIBC_CALL_SET_AFFINITY == SYS_sched_setaffinity, "");
_Static_assert(LIBC_CALL_SCHEDULE == SYS_sched_getattr, "");
_Static_assert(LIBC_CALL_SET_SCHEDULE == SYS_sched_setattr, "");
_Static_assert(LIBC_POLICY_FAIR == SCHED_OTHER, "");
#ifdef __x86_64__
_Static_assert(LIBC_CALL_ARCH_PRCTL == SYS_arch_prctl, "");
#endif

_Static_assert(sizeof(libc_time) == sizeof(struct timespec), "");
_Static_assert(offsetof(libc_time, nanoseconds) == offsetof(struct timespec, tv_nsec), "");
_Static_assert(sizeof(((libc_time *)0)->seconds) == sizeof(time_t), "");
_Static_assert(sizeof(libc_schedule) == 56, ""); /* SCHED_ATTR_SIZE_VER1; the header of struct sched_attr is not everywhere */
_Static_assert(sizeof(libc_thread) == sizeof(pthread_t), "");
_Static_assert(sizeof(libc_thread_attributes) >= sizeof(pthread_attr_t), "");
_Static_assert(_Alignof(libc_thread_attributes) >= _Alignof(pthread_attr_t), "");
_Static_assert(sizeof(libc_signals) >= sizeof(sigset_t), "");
_Static_assert(_Alignof(libc_signals) >= _Alignof(sigset_t), "");
_Static_assert(sizeof(ssize_t) == sizeof(ptrdiff_t), "");
_Static_assert(sizeof(pid_t) == sizeof(int) && sizeof(clockid_t) == sizeof(int), "");

int libc_is_as_declared;
