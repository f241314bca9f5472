/* The contract between compiled models and the runtime that is linked into them.
 *
 * A compiled model is one constant `lathe_program` (tables, all in read-only data) plus kernels in machine code for one or
 * several ISA levels plus packed weights. The runtime walks the tables; it knows nothing of ONNX. Freestanding C11 and libc
 * only; the runtime never prints, aborts, exits or allocates while a model runs.
 *
 * Codegen writes these tables field by field (codegen/model.c); when a field changes, LATHE_RUNTIME_ABI changes with it. */
#ifndef LATHE_RUNTIME_H
#define LATHE_RUNTIME_H

#include "runtime/lathe_model.h" /* lathe_tensor_info, lathe_symbol, lathe_model_v1 */

#define LATHE_RUNTIME_ABI 7
#define LATHE_LEVELS_MAX 8

/* One kernel: computes units [begin, end) of its launch.
 * buffers: one pointer per kernel parameter. dims: the values of the kernel's symbols. scratch: private to the calling worker,
 * 64-byte aligned, at least level->scratch bytes. error: sticky, set to a negative LATHE_E* when a run-time index is out of range. */
typedef void lathe_kernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error);

enum lathe_place {
    LATHE_PLACE_INPUT = 0,   /* index: number of the model's input */
    LATHE_PLACE_OUTPUT = 1,  /* index: number of the model's output */
    LATHE_PLACE_WEIGHTS = 2, /* offset: bytes into the weights */
    LATHE_PLACE_ARENA = 3,   /* index: slot; offset: bytes into the slot */
};

typedef struct lathe_buffer {
    uint32_t place;
    uint32_t index;
    uint64_t offset;
} lathe_buffer;

/* Numbers that depend on symbolic dims are "values": entries of an int64 table that instantiation fills. A static model has a
 * constant table and no instantiate kernel. With one, the table is copied first, then the kernel writes every entry that depends on
 * symbols; its arithmetic never traps. Every field that ends in _value is an index into that table. */

typedef struct lathe_launch {
    uint32_t kernel;                       /* index into each level's kernel table */
    uint32_t buffers_first, buffers_count; /* into buffer_refs: indices of `buffers` */
    uint32_t dims_first, dims_count;       /* into value_refs: the kernel's dims */
    uint32_t deps_first, deps_count;       /* into dep_refs: earlier launches that must be done before any chunk starts */
    uint32_t units_value[LATHE_LEVELS_MAX]; /* how many units the launch has, by level */
    uint32_t work_value;                   /* rough cost of the whole launch in nanoseconds on one core: decides chunks */
    uint32_t flops_value;                  /* 2 * multiply-adds plus other arithmetic, for profiles */
    uint32_t bytes_value;                  /* bytes read and written at least once, for profiles */
    const char *name;                      /* ONNX node names, joined with '+' */
    const char *kernel_name;
} lathe_launch;

/* Which units of an earlier launch must be done before units [begin, end) of a later one start: all from slope * begin + low to
 * slope * (end - 1) + high, rounded inwards. */
typedef struct lathe_range {
    double slope, low, high;
} lathe_range;

/* A condition that instantiation proves: values[value] must not be 0, else the call fails with `code` and `message`. */
typedef struct lathe_check {
    uint32_t value;
    int32_t code;
    const char *message;
} lathe_check;

/* A kernel for a GPU as data. Its parameters: one address per buffer, one int64 per dim, the address of an int32 error word. A unit is
 * a block of `threads` threads with `shared` bytes of dynamic shared memory. */
typedef struct lathe_image {
    const char *entry;
    const void *binary; /* machine code of the level (a cubin), or NULL */
    const char *text;   /* PTX that the driver compiles, or NULL */
    uint32_t threads, shared;
} lathe_image;

typedef struct lathe_level {
    const char *name;              /* "x86-64-v4", "sm_80", ... */
    uint64_t features;             /* LATHE_CPU_* bits that the CPU must have; of a GPU: compute capability times ten */
    lathe_kernel *const *kernels;  /* kernel_count entries; NULL: for a GPU */
    uint64_t scratch;              /* bytes of scratch per worker that the level's kernels need */
    const lathe_image *images;     /* kernel_count entries; NULL: for a CPU */
} lathe_level;

/* What runs a program elsewhere than on this CPU (runtime/internal.h). */
typedef struct lathe_device lathe_device;
extern const lathe_device lathe_rt_cuda;

/* CPU features, a bit each; cpu_features() detects them. */
enum {
    LATHE_CPU_SSE42 = 1 << 0, /* x86-64-v2 */
    LATHE_CPU_AVX2 = 1 << 1,  /* x86-64-v3: AVX2, FMA, BMI1/2, F16C, LZCNT, MOVBE and OS support */
    LATHE_CPU_AVX512 = 1 << 2, /* x86-64-v4: F, BW, CD, DQ, VL and OS support */
    LATHE_CPU_AVX512_VNNI = 1 << 3,
    LATHE_CPU_AMX_INT8 = 1 << 4,
    LATHE_CPU_AMX_BF16 = 1 << 5,
    LATHE_CPU_AVX_VNNI = 1 << 6,
    LATHE_CPU_AVX512_BF16 = 1 << 7,
    LATHE_CPU_AVX512_FP16 = 1 << 8,
    LATHE_CPU_NEON = 1 << 16, /* AArch64; 32-bit ARM: with fused multiply-add (VFPv4), half precision and integer division */
};

enum { LATHE_PROGRAM_FLUSH = 1 }; /* subnormal numbers are taken for zeros, where the processor can */

typedef struct lathe_program {
    uint32_t abi; /* LATHE_RUNTIME_ABI */
    uint32_t input_count, output_count, symbol_count, value_count;
    uint32_t buffer_count, launch_count, slot_count, check_count, level_count, kernel_count;
    const char *name;    /* model name */
    const char *tool;    /* "lathe 0.1.0" */
    const char *sha256;  /* of the model file, hex */
    const lathe_tensor_info *inputs, *outputs;
    const lathe_symbol *symbols;
    const int64_t *values;      /* constant table; entries that depend on symbols hold 0 */
    lathe_kernel *instantiate;  /* buffers[0]: int64 values (written), dims: symbols; NULL when nothing depends on symbols */
    const lathe_buffer *buffers;
    const lathe_launch *launches;
    const uint32_t *buffer_refs, *value_refs, *dep_refs;
    const uint32_t *slot_bytes_value; /* size of each arena slot; only read when the model has symbols */
    const uint64_t *slot_offset;      /* static offsets, used when instantiate is NULL */
    uint32_t arena_bytes_value;       /* static models: size of the arena */
    const lathe_check *checks;
    const lathe_level *levels;        /* best first */
    const void *weights;
    uint64_t weights_bytes;
    const lathe_device *device;       /* NULL: this CPU */
    const struct lathe_script *script; /* NULL: the launches are the model. Else they are none, and the script's regions run */
    const lathe_range *dep_ranges;     /* for each level one per entry of dep_refs; NULL: launches wait for whole launches */
    uint32_t dep_count;                /* entries of dep_refs, where there are dep_ranges */
    uint32_t flags;                    /* LATHE_PROGRAM_... */
} lathe_program;

/* What generated code calls. A generated `<prefix>_open(options, error)` is lathe_rt_open(&<prefix>_model, options, error);
 * `<prefix>_run` puts its pointers into two arrays and calls lathe_rt_run; the rest of the descriptor is data, with
 * `api = &lathe_rt_api` and `instance` = the address of a zero pointer in .bss, one per model. */
extern const lathe_api lathe_rt_api;
lathe_context *lathe_rt_open(const lathe_model_v1 *model, const lathe_options *options, int *error);
void lathe_rt_close(lathe_context *context);
int lathe_rt_run(lathe_context *context, const void *const *inputs, void *const *outputs, const int64_t *symbols);

/* How many elements the output has for these symbols (all of them given, elements too), or a negative code. No context needed. */
int64_t lathe_rt_output_elements(const lathe_model_v1 *model, const int64_t *symbols, int output);

#endif
