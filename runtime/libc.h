/* What the runtime uses of libc and Linux, declared by ourselves: it is compiled to bitcode for every family of targets, and no
 * headers of another machine's libc are needed for that.
 *
 * Types have the size and alignment that the C libraries of all our families agree on, or are larger where the library fills them in.
 * A 32-bit `clock_gettime` is the one with a 32-bit time: only differences of a clock that starts at boot are read.
 * tests/runtime/libc.c compares every number here with the headers of the machine that it is compiled for. */
#ifndef LATHE_RUNTIME_LIBC_H
#define LATHE_RUNTIME_LIBC_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

/* The same numbers on all Linux systems that we know. */
enum {
    LIBC_READ_ONLY = 0, /* O_RDONLY */
    LIBC_CLOSE_ON_EXEC = 02000000,
    LIBC_CLOCK_MONOTONIC = 1,
    LIBC_CLOCK_MONOTONIC_COARSE = 6,
    LIBC_FUTEX_WAIT_PRIVATE = 128,
    LIBC_FUTEX_WAKE_PRIVATE = 129,
    LIBC_ADVICE_HUGE_PAGES = 14, /* MADV_HUGEPAGE */
    LIBC_SIGNALS_REPLACE = 2,    /* SIG_SETMASK */
    LIBC_HARDWARE = 16,          /* AT_HWCAP */
    LIBC_BIND_NOW = 2,           /* RTLD_NOW */
    LIBC_POLICY_FAIR = 0,        /* SCHED_OTHER */
};

/* Numbers of system calls. */
#if defined(__x86_64__)
enum { LIBC_CALL_FUTEX = 202, LIBC_CALL_AFFINITY = 204, LIBC_CALL_SET_AFFINITY = 203, LIBC_CALL_ARCH_PRCTL = 158 };
enum { LIBC_CALL_SCHEDULE = 315, LIBC_CALL_SET_SCHEDULE = 314 }; /* sched_getattr, sched_setattr */
#elif defined(__aarch64__)
enum { LIBC_CALL_FUTEX = 98, LIBC_CALL_AFFINITY = 123, LIBC_CALL_SET_AFFINITY = 122 };
enum { LIBC_CALL_SCHEDULE = 275, LIBC_CALL_SET_SCHEDULE = 274 };
#elif defined(__arm__)
enum { LIBC_CALL_FUTEX = 240, LIBC_CALL_AFFINITY = 242, LIBC_CALL_SET_AFFINITY = 241 };
enum { LIBC_CALL_SCHEDULE = 381, LIBC_CALL_SET_SCHEDULE = 380 };
#else
#error "the runtime does not know the numbers of this machine's system calls"
#endif

typedef struct libc_time {
    long seconds, nanoseconds;
} libc_time;

typedef struct libc_schedule { /* struct sched_attr */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime; /* of a thread of policy LIBC_POLICY_FAIR: its slice in nanoseconds, 0 where Linux is older than 6.12 */
    uint64_t deadline, period;
    uint32_t least, most;
} libc_schedule;

typedef uintptr_t libc_thread; /* pthread_t: an integer or a pointer */

typedef union libc_thread_attributes {
    long align;
    char bytes[128];
} libc_thread_attributes;

typedef union libc_signals {
    long align;
    char bytes[128];
} libc_signals;

#ifndef LIBC_NUMBERS_ONLY
void *malloc(size_t bytes);
void *calloc(size_t count, size_t bytes);
int posix_memalign(void **memory, size_t alignment, size_t bytes);
void free(void *memory);
int madvise(void *memory, size_t bytes, int advice);
char *getenv(const char *name);
unsigned long getauxval(unsigned long type);

void *memchr(const void *bytes, int byte, size_t count);
int memcmp(const void *left, const void *right, size_t count);
void *memcpy(void *to, const void *from, size_t count);
void *memset(void *bytes, int byte, size_t count);
char *strchr(const char *text, int character);
int strcmp(const char *left, const char *right);
size_t strlen(const char *text);

int open(const char *path, int flags, ...);
ptrdiff_t read(int file, void *bytes, size_t count);
int close(int file);
long syscall(long number, ...);
int getpid(void);
int sched_getcpu(void);
int sched_yield(void);

void *dlopen(const char *path, int flags);
void *dlsym(void *handle, const char *name);

int clock_gettime(int clock, libc_time *now);
int clock_getres(int clock, libc_time *step);
int nanosleep(const libc_time *duration, libc_time *left);

int sigfillset(libc_signals *signals);
int pthread_sigmask(int how, const libc_signals *signals, libc_signals *before);
int pthread_attr_init(libc_thread_attributes *attributes);
int pthread_attr_setstacksize(libc_thread_attributes *attributes, size_t bytes);
int pthread_attr_destroy(libc_thread_attributes *attributes);
int pthread_create(libc_thread *thread, const libc_thread_attributes *attributes, void *(*body)(void *), void *argument);
int pthread_join(libc_thread thread, void **result);
#endif

#endif
