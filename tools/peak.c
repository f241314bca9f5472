/* What one core can do at most: chains of fused multiply-adds on registers, more chains than the latency times the
 * ports needs. */
#include "tools/host.h"

#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>

enum { CHAINS = 12, ROUNDS = 20000 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

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

double host_peak_flops(void)
{
    __builtin_cpu_init();
    const bool wide = __builtin_cpu_supports("avx512f");
    if (!wide && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")))
        return 0;
    const double work = 2.0 * CHAINS * ROUNDS * (wide ? 16 : 8), begin = seconds();
    double best = 0;
    while (seconds() - begin < 0.05) {
        const double start = seconds();
        if (wide)
            chains_avx512();
        else
            chains_avx2();
        const double rate = work / (seconds() - start);
        best = rate > best ? rate : best;
    }
    return best;
}
#else
double host_peak_flops(void)
{
    return 0;
}
#endif
