/* Many kernels to objects: a pool of worker processes, with the cache before it and a second chance behind it.
 *
 * Workers are forked from this process, so they see the kernels without any copying; only the number of a job goes in
 * and object bytes come out. A worker that dies (a crash of LLVM, a time limit) costs its kernel one retry with the
 * schedule that `fallback` gives. The objects do not depend on the number of workers. The caller must not have started
 * threads. */
#ifndef LATHE_CODEGEN_WORKER_H
#define LATHE_CODEGEN_WORKER_H

#include "codegen/cache.h"
#include "codegen/object.h"

typedef struct KernelJob {
    Node *kernel;        /* scheduled; becomes the fallback's kernel after a crash */
    ObjectBytes bitcode; /* instead of a kernel: see object.h */
    const TargetMachineInfo *target;
    const char *symbol;
    const char
        *key; /* canonical text of the scheduled kernel, whole, or what stands for the bitcode; NULL: not cached */
    /* Results: */
    ObjectBytes object; /* in the arena of the diagnostics */
    bool from_cache, fell_back;
} KernelJob;

typedef struct WorkerOptions {
    int workers;  /* processes; 0: compile in this process (no limits, no second chance), for debuggers */
    Cache *cache; /* may be NULL */
    const LineTable *lines;
    const struct Assembler *assembler; /* of devices' kernels; NULL: their objects have no machine code */
    int cpu_seconds;                   /* per kernel; 0: 120 */
    int64_t memory_bytes;              /* per worker, beyond what this process uses; 0: 16 GiB */
    /* Another schedule for a kernel whose worker died, NULL for none: then the compile fails. */
    Node *(*fallback)(void *context, const KernelJob *job);
    void (*progress)(void *context, int done, int total);
    void (*in_worker)(void *context, const KernelJob *job); /* for tests: called in the worker before it compiles */
    void *context;
} WorkerOptions;

/* Fills in every job's results. False after diagnostics, one per kernel that could not be compiled. */
bool compile_kernels(Ir *ir, KernelJob *jobs, int count, const WorkerOptions *options);

#endif
