/* The machine that this program runs on, for reports. */
#ifndef LATHE_TOOLS_HOST_H
#define LATHE_TOOLS_HOST_H

#include "tools/json.h"
#include "ir/arena.h"

enum { CACHES_MOST = 16 };

typedef struct HostCache {
    int level;
    const char *kind; /* "Data", "Instruction", "Unified" */
    int64_t bytes;
    int shared_by; /* logical processors */
} HostCache;

typedef struct HostFacts {
    const char *cpu;    /* the model's name, "unknown" where the system does not tell */
    const char *system; /* "Linux 6.1.0 x86_64" */
    int cores;          /* logical processors that this process may use */
    int64_t memory_bytes;
    HostCache caches[CACHES_MOST];
    int cache_count;
} HostFacts;

HostFacts host_facts(Arena *arena);
/* The field "host" of a report: cpu and cores. */
void host_json(JsonWriter *json, const HostFacts *host);

/* Both measure `threads` threads at the same time, with registers of 32 or 64 bytes (0: the widest that this machine
 * has), for about 50 ms, and give the sum over the threads of what each did per second of its CPU time; 0 where the
 * machine has no such registers or no fused multiply-add. */
/* Single-precision multiply-adds per second, counted as two operations each. */
double host_peak_flops(int threads, int vector_bytes);
/* Bytes per second read by each thread from `bytes` of its own, again and again. More than an eighth of the machine's
 * memory is not taken. */
double host_read_bandwidth(int threads, int vector_bytes, int64_t bytes);
/* Cycles per nanosecond of one core that counts; 0 where that is not known. */
double host_cycles_per_ns(void);

#endif
