/* What this machine can do at most: chains of fused multiply-adds on registers, more chains than the latency times the
 * ports needs, and loads of whole registers one after the other. Several threads measure at the same time, so that
 * what they share (power, caches, memory) shows. */
#define _DEFAULT_SOURCE /* madvise */
#include "tools/host.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static double clock_seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double seconds(void)
{
    return clock_seconds(CLOCK_MONOTONIC);
}

#if defined(__x86_64__)
#include <immintrin.h>

enum { CHAINS = 12, ROUNDS = 20000, LOADS = 8 /* 512 bytes, of which pages are made */ };

/* The empty statement keeps the values in registers, and the compiler from knowing them. */
#define KEEP(x)      __asm__ volatile("" : "+x"(x))
#define KEEP_WIDE(x) __asm__ volatile("" : "+v"(x))

__attribute__((target("avx2,fma"))) static void chains_avx2(void)
{
    __m256 a[CHAINS], b = _mm256_set1_ps(0.999f), c = _mm256_set1_ps(0.001f);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
        a[i] = _mm256_set1_ps((float)i);
    for (int round = 0; round < ROUNDS; round++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            a[i] = _mm256_fmadd_ps(a[i], b, c);
            KEEP(a[i]);
        }
}

__attribute__((target("avx512f"))) static void chains_avx512(void)
{
    __m512 a[CHAINS], b = _mm512_set1_ps(0.999f), c = _mm512_set1_ps(0.001f);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
        a[i] = _mm512_set1_ps((float)i);
    for (int round = 0; round < ROUNDS; round++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            a[i] = _mm512_fmadd_ps(a[i], b, c);
            KEEP_WIDE(a[i]);
        }
}

__attribute__((target("avx2"))) static void loads_avx2(const char *bytes, size_t size)
{
    for (const char *at = bytes; at < bytes + size; at += LOADS * sizeof(__m256i))
#pragma GCC unroll 8
        for (int i = 0; i < LOADS; i++) {
            __m256i loaded = _mm256_load_si256((const __m256i *)(const void *)at + i);
            KEEP(loaded);
        }
}

__attribute__((target("avx512f"))) static void loads_avx512(const char *bytes, size_t size)
{
    for (const char *at = bytes; at < bytes + size; at += LOADS * sizeof(__m512i))
#pragma GCC unroll 8
        for (int i = 0; i < LOADS; i++) {
            __m512i loaded = _mm512_load_si512((const __m512i *)(const void *)at + i);
            KEEP_WIDE(loaded);
        }
}

/* Operations that wait for each other: one a cycle on every processor of these levels. (Additions of constants are not:
 * some add several at once while they rename registers.) */
static double steps(void)
{
    uint64_t sum = 0, other = 1;
    for (int i = 0; i < ROUNDS; i++)
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++)
            __asm__ volatile("xor %1, %0" : "+r"(sum) : "r"(other));
    return 16.0 * ROUNDS;
}

static bool has(int vector_bytes)
{
    __builtin_cpu_init();
    if (vector_bytes == 64)
        return __builtin_cpu_supports("avx512f");
    return vector_bytes == 32 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* Both return what they did: operations, bytes. */
static double multiply(int vector_bytes)
{
    if (vector_bytes == 64)
        chains_avx512();
    else
        chains_avx2();
    return 2.0 * CHAINS * ROUNDS * vector_bytes / 4;
}

static double load(int vector_bytes, const char *bytes, size_t size)
{
    if (vector_bytes == 64)
        loads_avx512(bytes, size);
    else
        loads_avx2(bytes, size);
    return (double)size;
}
#else
static double steps(void)
{
    return 0;
}

static bool has(int vector_bytes)
{
    (void)vector_bytes;
    return false;
}

static double multiply(int vector_bytes)
{
    (void)vector_bytes;
    return 0;
}

static double load(int vector_bytes, const char *bytes, size_t size)
{
    (void)vector_bytes;
    (void)bytes;
    (void)size;
    return 0;
}
#endif

/* ---- several threads at once ---- */

enum { SLICE_BYTES = 4 << 20, PASSES_LEAST = 3, SHARE_OF_MEMORY = 8 };

typedef struct Team {
    int vector_bytes;
    size_t bytes;     /* that each thread reads; 0: they multiply */
    double time, end; /* seconds */
    atomic_int ready; /* threads that wait for the start */
    atomic_bool begun;
} Team;

typedef struct Member {
    Team *team;
    pthread_t thread;
    double rate; /* per second of its own CPU time, so that what takes the core away does not count */
} Member;

/* Long enough for the clock, short enough to lie between what disturbs. Slices walk through a large memory, so that
 * what they read was last read a whole round ago. */
static double slice(const Team *team, const char *memory, size_t *at)
{
    double work = 0;
    if (!team->bytes)
        return multiply(team->vector_bytes);
    while (work < SLICE_BYTES) {
        const size_t left = team->bytes - *at, size = left < SLICE_BYTES ? left : SLICE_BYTES;
        work += load(team->vector_bytes, memory + *at, size);
        *at = left == size ? 0 : *at + size;
    }
    return work;
}

/* `memory` NULL: none is wanted. A mean, as times of kernels are: the clock goes up and down meanwhile. */
static void member_measure(Member *member, const char *memory)
{
    const Team *const team = member->team;
    size_t at = 0;
    double work = 0;
    const double begin = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    for (int pass = 0; pass < PASSES_LEAST || seconds() < team->end; pass++)
        work += slice(team, memory, &at);
    member->rate = work / (clock_seconds(CLOCK_THREAD_CPUTIME_ID) - begin);
}

static void *member_run(void *context)
{
    Member *const member = context;
    Team *const team = member->team;
    char *memory = NULL;
    if (team->bytes)
        memory = mmap(NULL, team->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const bool good = memory != MAP_FAILED;
    if (good && memory) {
        (void)madvise(memory, team->bytes, MADV_HUGEPAGE);
        for (size_t i = 0; i < team->bytes; i += 64)
            memory[i] = 1; /* pages that were never written are all the same one */
    }
    atomic_fetch_add(&team->ready, 1);
    while (!atomic_load(&team->begun))
        sched_yield();
    if (good)
        member_measure(member, memory);
    if (good && memory)
        munmap(memory, team->bytes);
    return NULL;
}

/* The sum of what `threads` threads do per second, all at once; the caller is not one of them. */
static double team_rate(Team *team, int threads)
{
    double rate = 0;
    int started = 0;
    Member *const members = calloc((size_t)threads, sizeof *members);
    for (; members && started < threads; started++) {
        members[started].team = team;
        if (pthread_create(&members[started].thread, NULL, member_run, &members[started]) != 0)
            break;
    }
    while (atomic_load(&team->ready) < started)
        sched_yield();
    team->end = seconds() + team->time;
    atomic_store(&team->begun, true);
    for (int i = 0; i < started; i++) {
        pthread_join(members[i].thread, NULL);
        rate += members[i].rate;
    }
    free(members);
    return rate;
}

/* 0: the widest that there is. */
static int widest(int vector_bytes)
{
    return vector_bytes ? vector_bytes : has(64) ? 64 : 32;
}

double host_peak_flops(int threads, int vector_bytes)
{
    Team team = {.vector_bytes = widest(vector_bytes), .time = 0.05};
    return has(team.vector_bytes) ? team_rate(&team, threads) : 0;
}

double host_read_bandwidth(int threads, int vector_bytes, int64_t bytes)
{
    const int64_t most = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / SHARE_OF_MEMORY / threads;
    Team team = {.vector_bytes = widest(vector_bytes), .time = 0.05};
    bytes = bytes < most ? bytes : most;
    team.bytes = (size_t)(bytes & ~(int64_t)4095);
    return has(team.vector_bytes) && team.bytes ? team_rate(&team, threads) : 0;
}

double host_cycles_per_ns(void)
{
    const double end = seconds() + 0.05;
    double best = 0;
    while (seconds() < end) {
        const double begin = seconds(), count = steps(), rate = count / (seconds() - begin);
        best = rate > best ? rate : best;
    }
    return best * 1e-9;
}
