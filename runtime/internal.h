/* What the files of the runtime share; no part of any interface.
 *
 * instance.c  one per process and model: ISA level, threads          plan.c   a program bound to symbols, memory and threads
 * context.c   one per caller: memory, plans                           run.c    walking a plan, by one thread or several
 * api.c       the calls that a model's descriptor offers
 * threads.c   pool of threads, sleeping and waking                    check.c  is what the caller handed in what the model takes?
 * cpu_*.c     features and floating-point mode, a file per family     limits.c how many threads this process may use
 * text.c      messages                                                profile.c times of launches
 * *_cuda.c    models for NVIDIA GPUs: driver, model on a device, runs  script.h models whose course depends on data
 * libc.h      what is used of libc, without its headers               divide_armv7.c what LLVM calls on 32-bit ARM */
#ifndef LATHE_RUNTIME_INTERNAL_H
#define LATHE_RUNTIME_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "runtime/lathe_runtime.h"
#include "runtime/lathe_script.h"

enum {
    CACHE_LINE = 64,
    LINE_WORDS = CACHE_LINE / 4,
    THREADS_MAX = 256,
    PLANS_MAX = 4,         /* instantiations that a context of a symbolic model keeps */
    SPIN_NS = 50000,       /* how long to wait awake before sleeping */
    SLICE_CHUNKS = 2,      /* of a large launch per thread: one is slower when a core is disturbed, four cost more than they give */
    CHUNK_NS = 2000,       /* a chunk is worth sharing from this much work on */
    TEXT_SIZE = 512,
    JOIN_NS = 20000,       /* smaller launches are joined to one chunk up to about this much work */
    LAUNCHES_MAX = 1 << 24 /* Plan.progress packs a step into 24 bits */
};

/* --- text.c ----------------------------------------------------------------------------------------------------------------- */

/* Writes `format` to buffer, cut to size, always terminated. %s takes a const char *, %i an int64_t; nothing else is known. */
void text_format(char *buffer, size_t size, const char *format, ...);
void text_append(char *buffer, size_t size, const char *format, ...); /* behind what stands there */
const char *text_of_code(int code);
const char *text_of_dtype(int32_t dtype); /* "float32" for ONNX's 1 */

/* --- cpu_*.c ---------------------------------------------------------------------------------------------------------------- */

uint64_t cpu_features(void); /* LATHE_CPU_* bits of CPU and system */
bool cpu_enable(uint64_t features); /* asks the system for what must be asked for (AMX state); false: not to be had */
uint64_t cpu_level_features(const char *name, bool *known); /* of "x86-64", "x86-64-v2" ... */

/* All threads of a run round to nearest, keep subnormal numbers unless the program has them flushed, and mask exceptions, whatever
 * the caller has set: same bits everywhere. */
uint32_t float_mode_enter(uint32_t program_flags); /* returns what float_mode_leave takes */
void float_mode_leave(uint32_t saved);

static inline void cpu_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* waits about as long as x86's pause; yield is nothing on most cores */
#else
    __asm__ volatile("yield" ::: "memory");
#endif
}

/* --- limits.c --------------------------------------------------------------------------------------------------------------- */

int limits_threads(void); /* min(affinity mask, CPU quota of the control groups, THREADS_MAX), at least 1 */

/* Whole CPUs that the control groups grant, or THREADS_MAX. groups: "/sys/fs/cgroup"; membership: "/proc/self/cgroup". */
int limits_quota(const char *groups, const char *membership);

enum { CPUS_MAX = 8192 };

/* Takes the calling thread to a CPU that it may use and that is not among `taken` (a bit each, CPUS_MAX in all), if there is one.
 * Afterwards it may use the same CPUs as before. */
void limits_move(const unsigned char *taken);

/* May a filter answer the calling thread's system calls, perhaps with a signal? Then those that are not needed are not made. */
bool limits_filtered(void);

/* --- threads.c -------------------------------------------------------------------------------------------------------------- */

typedef _Atomic uint32_t Word;

uint64_t clock_ns(void);

/* When the scheduler's tick comes, as one thread has found out; all zeros at first. By clock_ns. */
typedef struct Tick {
    uint64_t period; /* from tick to tick */
    uint64_t age;    /* of the coarse clock just after a tick: its steps are the ticks', but begin elsewhere */
    uint64_t look;   /* nothing is done before */
    uint64_t seen, since; /* when it last asked, and since when it has had its core, as far as that can be told */
} Tick;

/* Gives the core to whoever waits for it if the tick would take it soon. For moments when nobody waits for the caller: a thread that
 * loses its core in the middle of a chunk keeps what depends on it waiting for a whole tick. Costs a look at the clock. */
void tick_pass(Tick *tick);
bool word_spin(Word *word, uint32_t expected, uint32_t nanoseconds); /* waits awake until it differs; false: it did not in time */
void word_sleep(Word *word, uint32_t expected);   /* until somebody wakes the word, or at once when it is not `expected` */
void word_wake(Word *word, int sleepers);

typedef void PoolWork(void *job, uint32_t worker); /* worker: 1 .. threads - 1 */

/* The head of every pool. Models reach a shared pool only through these pointers: they may be those of another library. */
struct lathe_pool {
    size_t size;
    uint32_t abi;
    int32_t threads;                                         /* workers and the caller */
    int (*attach)(lathe_pool *, void *job, PoolWork *work);  /* -> slot, or -1 when all are taken */
    void (*post)(lathe_pool *, int slot, int helpers);       /* workers begin to call work(job); returns at once */
    void (*retire)(lathe_pool *, int slot);                  /* no worker begins any more */
    void (*settle)(lathe_pool *, int slot);                  /* after retire: returns when no worker is inside work(job) */
    void (*detach)(lathe_pool *, int slot);                  /* after settle */
    int (*close)(lathe_pool *);                              /* LATHE_E_STATE while something is attached */
};

enum { POOL_ABI = 1 };

lathe_pool *pool_open(int threads, int *error); /* fewer threads when the system gives no more: never an error */
void pool_grow(lathe_pool *pool, int threads);  /* only under the lock of the instance that owns the pool */

/* --- instance.c ------------------------------------------------------------------------------------------------------------- */

typedef struct Instance {
    int references;
    uint32_t level;    /* index into program->levels; of a device's model every context has its own */
    lathe_pool *pool;  /* made when the first context wants more than one thread */
    void *devices;     /* what the contexts on the same device share: see model_cuda.c */
} Instance;

/* Sole use of the instance, which somebody else holds a reference to. */
Instance *instance_enter(const lathe_model_v1 *model);
void instance_leave(const lathe_model_v1 *model, Instance *instance);

/* Takes the model's instance, making it if there is none. NULL: *error and message. */
Instance *instance_acquire(const lathe_model_v1 *model, int *error, char *message, size_t size);
lathe_pool *instance_pool(const lathe_model_v1 *model, int threads); /* NULL without memory: callers do everything themselves */
void instance_release(const lathe_model_v1 *model);

/* --- plan.c ----------------------------------------------------------------------------------------------------------------- */

/* A launch, bound. */
typedef struct Call {
    lathe_kernel *kernel;
    void *const *buffers;
    const int64_t *dims;
    int64_t units;
} Call;

/* What is claimed, done and waited for as a whole: one launch cut into chunks, or several neighbours that are not worth cutting,
 * run one after the other as one chunk. Slice s has the chunks s * per_slice ... and the words of cache line first_line + s. */
typedef struct Step {
    uint32_t launch_first, launch_count;
    uint32_t slices, per_slice;
    uint32_t first_line;
    uint32_t deps_first, deps_count; /* into Plan.deps: earlier steps */
    uint32_t spans_first;            /* into Plan.spans: for each of deps one per chunk; SPANS_NONE: all of those steps */
} Step;

enum { SPANS_NONE = UINT32_MAX };

/* The chunks of an earlier step, first to last, that a chunk waits for. */
typedef struct Span {
    uint16_t first, last;
} Span;

/* A reference to a tensor of the caller, patched at the start of each run. */
typedef struct Patch {
    uint32_t pointer; /* into Plan.pointers */
    uint32_t tensor;  /* number of the input, or input_count + number of the output */
    uint64_t offset;
} Patch;

/* A program bound to symbols, threads and memory. words: see run.c. */
typedef struct Plan {
    struct lathe_context *owner;
    bool valid;
    bool bound;               /* pointers hold arena */
    bool parallel;            /* some step has several chunks */
    uint64_t last_use;
    int64_t *symbols, *values;
    int64_t *dims;            /* like value_refs, but the values themselves */
    void **pointers;          /* like buffer_refs, but the addresses themselves */
    uint64_t *slot_offsets;
    uint64_t arena_bytes;
    unsigned char *arena;     /* that pointers point into */
    Call *calls;
    Step *steps;
    uint32_t *step_of_launch;
    uint32_t *waited_by;      /* per step, while building: 1 + the last step that waits for it */
    unsigned char *covered;   /* per step, while building: is it done when some later step is? */
    uint32_t *deps;
    Span *spans;
    uint32_t step_count;
    Step last;                /* no chunks; waits for every step that is not done when a later one is */
    Word *words;
    uint64_t *seen;           /* per walker and step: the last run in which the walker saw the step done */
    uint64_t seen_stride;
    void *memory;
    _Atomic uint64_t run;      /* number of the parallel run of this plan, from 1 */
    _Atomic uint64_t progress; /* run << 24 | step: all chunks of the steps before it are claimed */
} Plan;

/* The first unit of chunk number `chunk`: floor(units * chunk / chunks) without overflow. */
static inline int64_t chunk_units(int64_t units, uint32_t chunks, uint32_t chunk)
{
    const int64_t quotient = units / chunks, rest = units % chunks;
    return quotient * chunk + rest * chunk / chunks;
}

/* A place for one walker of a run; 0 is the caller's. */
typedef struct Seat {
    _Alignas(CACHE_LINE) Word taken; /* 1 while somebody walks there */
    Word cpu;       /* 1 + the number of the CPU that the walker was last seen on; 0: it sleeps, or there is none */
    int32_t error;  /* of the kernel that the walker runs */
    uint64_t moved; /* when a walker last left its CPU for another one, by clock_ns */
    Tick tick;
} Seat;

struct lathe_context;

int plan_make(struct lathe_context *context, Plan *plan);  /* memory for any symbols */
void plan_close(Plan *plan);

/* Binds the plan to symbols; then plan->valid. On error the context's text says why. */
int plan_instantiate(struct lathe_context *context, Plan *plan, const int64_t *symbols);
void plan_bind_arena(struct lathe_context *context, Plan *plan); /* after the context's arena is large enough */

/* --- profile.c -------------------------------------------------------------------------------------------------------------- */

typedef struct Times {
    uint64_t start, end, busy; /* start 0: the walker had no part */
} Times;

typedef struct Totals {
    uint64_t runs, wall, busy;
} Totals;

/* --- context.c -------------------------------------------------------------------------------------------------------------- */

#define CONTEXT_MAGIC UINT64_C(0x74786f636568746c)

/* A model for a device goes the same road as one for the CPU, up to these calls. Each answers with a code and the context's text. */
struct lathe_device {
    int (*open)(struct lathe_context *context, const lathe_options *options); /* sets level, weights */
    void (*close)(struct lathe_context *context);                             /* also after a failed open */
    int (*reserve)(struct lathe_context *context, const Plan *plan);          /* context->arena holds the plan's */
    int (*run)(struct lathe_context *context, Plan *plan);
    bool (*holds)(const struct lathe_context *context, const lathe_tensor *tensor); /* is it in memory that kernels can reach? */
};

/* What models with a script add (script.c). */
struct lathe_walker {
    int (*open)(struct lathe_context *context, const lathe_options *options);
    void (*close)(struct lathe_context *context); /* also after a failed open */
};

/* Of a script each region has a context of its own, a part: program, plans and tensors are its own; threads, scratch, seats and the
 * memory of the arena are those of the main context, the one that the caller has. */
struct lathe_context {
    uint64_t magic;
    struct lathe_context *main; /* itself, or the one that it is a part of */
    const lathe_model_v1 *model;
    const lathe_program *program;
    const lathe_level *level;
    uint32_t level_index;
    uint32_t threads;
    lathe_pool *pool;          /* NULL: alone or parallel_for */
    int slot;                  /* of the pool */
    void (*parallel_for)(void *pool, int n, void (*f)(void *, int), void *arg);
    void *parallel_pool;
    _Atomic uint32_t busy;     /* a call is inside */

    const unsigned char *weights; /* as kernels see them, like arena */
    unsigned char *arena;
    uint64_t arena_size;
    uint64_t arena_limit;      /* of the main context; 0: none */
    void *on_device;           /* of program->device */
    struct lathe_run *script;  /* of the walker */
    bool *tensor_on_device;    /* like tensors, NULL for the CPU: the address is the device's */
    unsigned char *scratch;    /* threads times scratch_stride */
    uint64_t scratch_stride;
    Seat *seats;               /* as many as threads */
    void **tensors;            /* the caller's inputs, then outputs */
    int64_t *symbols;
    Patch *patches;
    uint32_t patch_count;
    uint32_t pointer_count, dim_count, dep_count; /* used entries of buffer_refs, value_refs, dep_refs */

    Plan plans[PLANS_MAX];
    _Atomic(Plan *) plan;      /* of this or the last run */
    uint64_t uses;
    _Atomic uint64_t failure;  /* 0, or (launch + 1) << 32 | code: the first kernel that reported an index out of range */

    Times *times;              /* walkers x launches, NULL while not profiling */
    Totals *totals;
    void *memory;
    char text[TEXT_SIZE];
};

typedef struct lathe_context Context;

/* Writes the context's text and returns code. */
#define context_fail(context, code, ...) (text_format((context)->text, TEXT_SIZE, __VA_ARGS__), (code))

int context_open_part(Context *part, const lathe_program *program, Context *main);
void context_close_part(Context *part); /* nobody looks at it any more */

/* The plan for context->symbols, made if there is none; the arena is large enough for it. */
int context_plan(Context *context, Plan **plan);
void context_settle(Context *context); /* returns when no worker looks at the context any more */
void *memory_aligned(uint64_t bytes);  /* by cache line, or by huge page where that is worth it; free() it; NULL: no memory */

/* Cuts pieces from one block: once with base NULL to learn the size, then with memory. */
typedef struct Block {
    unsigned char *base;
    uint64_t used;
} Block;

void *block_take(Block *block, uint64_t count, uint64_t size);

/* --- check.c ---------------------------------------------------------------------------------------------------------------- */

int check_symbols(Context *context);                     /* context->symbols in their ranges */
int check_symbol_elements(Context *context);             /* fills the symbols that are elements of inputs */
int check_pointers(Context *context, const Plan *plan, bool outputs); /* context->tensors: NULL, alignment, overlap; all, or inputs */
enum { DEVICE_HOST = 1, DEVICE_HOST_PINNED = 3 }; /* DLPack */
bool check_form(const Context *context, uint32_t tensor); /* is the input or output, by number in context->tensors, a tensor in any case? */
int check_dl_inputs(Context *context, lathe_tensor *const *inputs, int count);   /* type, rank; fills tensors and symbols */
int check_dl_outputs(Context *context, lathe_tensor *const *outputs, int count); /* type, rank; fills tensors */
int check_item(Context *context, const lathe_tensor_info *info, const lathe_tensor *tensor); /* of a sequence: all about it */
int check_dl_shapes(Context *context, const Plan *plan, lathe_tensor *const *inputs, lathe_tensor *const *outputs);
void tensor_type(int32_t dtype, lathe_tensor *tensor);   /* sets the DLPack type that the ONNX type has */
int32_t dtype_bits(int32_t dtype);                       /* of an element in memory; 0: no such type */

/* --- api.c: the calls of every model ---------------------------------------------------------------------------------------- */

int context_enter(Context *context); /* LATHE_E_STATE when another thread is inside */
int context_leave(Context *context, int code);
int plain_tensors(Context *context, const void *const *inputs, void *const *outputs); /* into context->tensors */
int plain_symbols(Context *context, const int64_t *symbols);
int plan_for_symbols(Context *context, Plan **plan); /* after a check of context->symbols */
int api_output_dims(lathe_context *context, const int64_t *symbols, int output, int64_t *dims);
int api_output_dims_dl(lathe_context *context, lathe_tensor *const *inputs, int input_count, lathe_tensor *const *outputs,
                       int output_count);
const char *api_error_text(const lathe_context *context);
const char *api_level_name(const lathe_context *context);
int api_thread_count(const lathe_context *context);
uint64_t api_arena_bytes(const lathe_context *context);
int api_pool_close(lathe_pool *pool);

/* --- run.c ------------------------------------------------------------------------------------------------------------------ */

int run_plan(Context *context, Plan *plan); /* context->tensors are checked and the plan is bound */
void run_patch(Context *context, Plan *plan); /* the plan's pointers to tensors become those of context->tensors */
PoolWork run_help;                          /* a worker of a pool joins the run of a context */

void profile_fold(Context *context); /* after a run: the walkers' times into the totals */

int profile_switch(Context *context, int on);
int profile_launch_info(Context *context, const Plan *plan, int launch, lathe_launch_info *info);

#endif
