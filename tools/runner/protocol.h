/* What lathe tune and lathe-runner say to each other, over standard input and output of the runner.
 *
 * Every message is a RunnerFrame and `bytes` bytes. The tuner sends HELLO, then TASK (memory and contents of one
 * kernel), then any number of MEASURE; the runner answers each with one message of the same kind. Numbers are
 * little-endian, as on every machine that Lathe compiles for; nothing is aligned beyond 8 bytes. */
#ifndef LATHE_TOOLS_RUNNER_PROTOCOL_H
#define LATHE_TOOLS_RUNNER_PROTOCOL_H

#include <stdint.h>

enum { RUNNER_MAGIC = 0x4e555231, RUNNER_VERSION = 2 };
/* More is nonsense: the other side is no runner, or no tuner. */
#define RUNNER_BYTES_MAX (UINT64_C(1) << 36)

typedef enum RunnerKind { RUNNER_HELLO = 1, RUNNER_TASK = 2, RUNNER_MEASURE = 3 } RunnerKind;

typedef struct RunnerFrame {
    uint32_t magic, kind;
    uint64_t bytes;
} RunnerFrame;

/* Answer to HELLO (whose message is empty). */
typedef struct RunnerHello {
    uint32_t version, cores;
    uint32_t confined; /* 1: candidates run under a filter of system calls */
    uint32_t reserved;
    char machine[112]; /* processor and system, for people and to keep results of machines apart */
} RunnerHello;

/* ---- TASK ---- */

enum { ROOT_READ = 1, ROOT_WRITTEN = 2, ROOT_WARM = 4, ROOT_F32 = 8 };

/* Memory that one or several of the kernel's buffers share. */
typedef struct RunnerRoot {
    uint64_t bytes;
    uint32_t flags; /* WARM: was just written when the kernel starts; F32: NaN equals NaN, whatever its bits */
    uint32_t reserved;
} RunnerRoot;

/* Followed by roots, the root number of every buffer (u32, padded to 8 bytes), dims (i64), the contents of every root
 * (each padded to 8 bytes). Answered by a RunnerResult. */
typedef struct RunnerTask {
    uint32_t root_count, buffer_count, dim_count, threads;
    uint64_t flush_bytes;  /* read between repetitions, so that caches are as in a model; 0: nothing */
    uint64_t memory_bytes; /* what a candidate may take beyond its buffers */
} RunnerTask;

/* ---- MEASURE ---- */

enum { CANDIDATES_MAX = 4 };
enum { MEASURE_REFERENCE = 1 }; /* the only candidate's outputs are what all others must give */

/* Followed by RunnerCandidate, label and object of each (both padded to 8 bytes). The last candidate is the new one. */
typedef struct RunnerMeasure {
    uint32_t count, flags;
    uint32_t least, most; /* repetitions */
    uint64_t budget_ns;   /* for repetitions beyond the least */
    uint64_t timeout_ns;  /* of everything together */
} RunnerMeasure;

enum { CANDIDATE_NEAR = 1 }; /* adds f32 in an order of its own: results are near to the reference's */

typedef struct RunnerCandidate {
    int64_t units;
    uint64_t scratch;
    uint64_t label_bytes;  /* the schedule's text, for logs */
    uint64_t object_bytes; /* a shared library with the symbol lathe_candidate: a pointer to the kernel */
    uint64_t flags;
} RunnerCandidate;

/* How a trial ended. Numbers and names are stored: they stay. */
typedef enum RunnerStatus {
    STATUS_OK = 0,
    STATUS_WRONG = 1,     /* another result than the reference's */
    STATUS_BOUNDS = 2,    /* wrote beside its buffers */
    STATUS_CRASH = 3,     /* died with a signal, or left */
    STATUS_HANG = 4,      /* took longer than timeout_ns */
    STATUS_FORBIDDEN = 5, /* called the system */
    STATUS_MEMORY = 6,    /* wanted more memory than it may have */
    STATUS_LOAD = 7,      /* is no library that this machine can load */
    STATUS_REFUSED = 8,   /* the request makes no sense: the tuner's fault */
} RunnerStatus;

/* Followed by times in nanoseconds (u64): of all candidates' first repetition, of all second ones, ... */
typedef struct RunnerResult {
    uint32_t status, candidate; /* candidate: who was it */
    uint32_t repetitions, count;
    int32_t code; /* signal or exit code */
    uint32_t reserved;
    char detail[168];
} RunnerResult;

#endif
