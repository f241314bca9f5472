/* What every compiled model shows to C and C++: options, error codes, tensors, the descriptor of a model.
 *
 * This text is copied into each generated header, so it is complete in itself (C99 and C++, no functions, two standard headers)
 * and guarded: several generated headers may meet in one file. Structs begin with their size or are read-only data of the model,
 * so they can grow at the end. */
#ifndef LATHE_MODEL_H
#define LATHE_MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LATHE_MODEL_ABI 1

/* What functions answer: LATHE_OK or one of the negative codes. After an error no output was written, except after LATHE_E_INDEX and
 * in models whose course depends on data, where an error may come when some outputs are there already. */
enum {
    LATHE_OK = 0,
    LATHE_E_NULL = -1,      /* a pointer that must not be NULL is NULL */
    LATHE_E_SHAPE = -2,     /* rank, extent, stride, or a dimension out of the range that the model was compiled for */
    LATHE_E_DTYPE = -3,     /* element type */
    LATHE_E_COUNT = -4,     /* number of inputs or outputs */
    LATHE_E_ARGUMENT = -5,  /* another argument: alignment, overlapping tensors, options */
    LATHE_E_DEVICE = -6,    /* the tensor does not live in the memory that the model runs in */
    LATHE_E_CPU = -7,       /* this CPU is below the lowest level that the model was compiled for */
    LATHE_E_MEMORY = -8,    /* not enough memory */
    LATHE_E_INDEX = -9,     /* an index that was computed while running is out of range; the outputs hold nothing useful */
    LATHE_E_ABI = -10,      /* a struct is of another version */
    LATHE_E_STATE = -11,    /* the context is in use by another thread, or the object is not open */
    LATHE_E_DRIVER = -12,   /* models for a GPU: the driver is not there, too old, or does not start */
    LATHE_E_NO_DEVICE = -13, /* models for a GPU: there is no GPU of this number */
    LATHE_E_IMAGE = -14,    /* models for a GPU: nothing in the model is code that this GPU and driver take */
    LATHE_E_LAUNCH = -15,   /* models for a GPU: the driver reports an error while running */
    LATHE_E_STOPPED = -16   /* the run was stopped: by the caller, or a loop reached the limit of iterations */
};

/* A tensor in the caller's memory, with the layout of DLPack's DLTensor. Where dlpack.h was included before, it is DLTensor;
 * where it comes later or never, a DLTensor * can be cast. strides: elements, or NULL for row-major order. */
#ifdef DLPACK_DLPACK_H_
typedef DLTensor lathe_tensor;
#else
typedef struct lathe_tensor {
    void *data;
    struct {
        int32_t device_type; /* 1: host memory; 2: memory of a CUDA device, for a model that runs there */
        int32_t device_id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code; /* 0 signed, 1 unsigned, 2 float, 4 bfloat16, 6 bool */
        uint8_t bits;
        uint16_t lanes; /* 1 */
    } dtype;
    int64_t *shape;
    int64_t *strides;
    uint64_t byte_offset;
} lathe_tensor;
#endif

/* A value of a model whose inputs or outputs are not all tensors of sizes that are known beforehand. */
typedef enum lathe_form {
    LATHE_TENSOR = 0,   /* `tensor`. Strings: dtype code 3, 64 bits; elements: const char * in 64 bits, UTF-8, not NULL */
    LATHE_SEQUENCE = 1, /* `count` items, tensors of one type */
    LATHE_NOTHING = 2,  /* an optional value that is not there */
    LATHE_OPTIONAL = 4  /* in forms of inputs and outputs, added: may be LATHE_NOTHING */
} lathe_form;

typedef struct lathe_value {
    int32_t form;
    int32_t count;
    lathe_tensor tensor;
    const struct lathe_value *items;
} lathe_value;

typedef struct lathe_context lathe_context; /* one caller's state: memory for intermediate results. Not for two threads at once. */
typedef struct lathe_pool lathe_pool;       /* threads that several contexts, also of several models, can share */

typedef struct lathe_options {
    size_t size;     /* sizeof(lathe_options) */
    int32_t threads; /* 1: the caller alone; 0: as many as the process may use; never more than that, except in a pool */
    uint32_t flags;  /* 0 */
    /* The host's own threads: calls f(arg, 0) ... f(arg, n - 1) in any order, also one after the other, and returns when all are
     * done. NULL: the model makes threads of its own. */
    void (*parallel_for)(void *parallel_pool, int n, void (*f)(void *arg, int i), void *arg);
    void *parallel_pool;
    lathe_pool *pool;    /* threads made by pool_open of any model; NULL: none. Not together with parallel_for. */
    char *message;       /* where open writes the reason of a failure; may be NULL */
    size_t message_size; /* bytes at message */
    /* What follows is newer: a caller whose size ends here gets zeros. Only models for a GPU look at it. */
    int32_t device;      /* number of the GPU */
    int32_t reserved;    /* 0 */
    void *stream;        /* a CUstream of that GPU's primary context that runs are put on; NULL: one of the context's own */
    /* Newer still. Only models whose course depends on data look at it. */
    uint64_t heap_limit; /* bytes that values of a run may take, and each of their intermediate results; 0: 4 GiB */
    int64_t loop_limit;  /* iterations of one loop; 0: 2^24 */
    const volatile int32_t *stop; /* not 0 there: a run that is going on ends with LATHE_E_STOPPED; may be NULL */
} lathe_options;

/* An input or output. */
typedef struct lathe_tensor_info {
    const char *name;
    int32_t dtype;                  /* ONNX TensorProto.DataType: 1 float32, 2 uint8, 3 int8, 6 int32, 7 int64, 9 bool ... */
    int32_t bits;                   /* per element in memory */
    int32_t rank;                   /* -1: only a run knows */
    int32_t optional;               /* 1: NULL is allowed */
    const int64_t *dims;            /* rank extents; -1 where the extent is symbolic */
    const char *const *dim_names;   /* rank names, NULL for static extents; the pointer itself may be NULL */
    uint32_t dims_first;            /* for the runtime: first of rank entries of value_refs, the expected extents */
    uint32_t bytes_value;           /* for the runtime: the value that is the size of the whole tensor in bytes */
} lathe_tensor_info;

/* A symbolic dimension, or an integer that shapes depend on. Where it comes from: dim `position` of input `input`, or
 * (element != 0) element `position` of that input, whose shape is static: an int32 or int64, or the bits of a float32. */
typedef struct lathe_symbol {
    const char *name;
    uint32_t input;
    uint32_t position;
    int32_t element;
    int64_t minimum, maximum; /* inclusive; outside: LATHE_E_SHAPE */
} lathe_symbol;

/* One launch of a kernel, as lathe_api.launch_info describes it. Times are sums since profiling was switched on. */
typedef struct lathe_launch_info {
    size_t size;             /* in: sizeof(lathe_launch_info) */
    const char *name;        /* names of the ONNX nodes, joined with '+' */
    const char *kernel_name;
    int64_t flops;           /* per run; 0 while the shapes are unknown */
    int64_t bytes;           /* per run: read and written at least once */
    uint64_t runs;           /* profiled runs */
    uint64_t wall_ns;        /* from the start of the first piece to the end of the last */
    uint64_t busy_ns;        /* summed over all threads */
} lathe_launch_info;

typedef struct lathe_model_v1 lathe_model_v1;

enum {
    LATHE_MODEL_SCRIPT = 1, /* its course depends on data: api->run_values is there */
    LATHE_MODEL_VALUES = 2  /* some input or output is no tensor, or of a size that only a run knows: only run_values takes it */
};

/* What can be done with a model. Text that functions return lives as long as the model or, for error_text, until the next call
 * with the same context. `symbols`: one value per symbol of the model in its order; NULL where there are none. */
typedef struct lathe_api {
    size_t size; /* sizeof(lathe_api) */
    lathe_context *(*open)(const lathe_model_v1 *model, const lathe_options *options, int *error); /* both may be NULL */
    void (*close)(lathe_context *context);
    /* inputs, outputs: row-major data in the model's order. Symbols that are elements of inputs are read from there. */
    int (*run)(lathe_context *context, const void *const *inputs, void *const *outputs, const int64_t *symbols);
    int (*run_dl)(lathe_context *context, lathe_tensor *const *inputs, int input_count, lathe_tensor *const *outputs,
                  int output_count);
    /* Writes rank entries to dims. */
    int (*output_dims)(lathe_context *context, const int64_t *symbols, int output, int64_t *dims);
    /* Sets ndim, dtype and what shape points at (room for the rank that the descriptor tells) of each output. */
    int (*output_dims_dl)(lathe_context *context, lathe_tensor *const *inputs, int input_count, lathe_tensor *const *outputs,
                          int output_count);
    const char *(*error_text)(const lathe_context *context); /* of the last failed call with this context */
    const char *(*code_text)(int code);
    const char *(*level_name)(const lathe_context *context); /* of the machine code in use */
    int (*thread_count)(const lathe_context *context);
    uint64_t (*arena_bytes)(const lathe_context *context);   /* memory for intermediate results right now */
    int (*profile)(lathe_context *context, int on);          /* switching on clears the times */
    int (*launch_info)(lathe_context *context, int launch, lathe_launch_info *info);
    lathe_pool *(*pool_open)(int threads, int *error);       /* exactly so many, the caller counted; 0: what the process may use */
    int (*pool_close)(lathe_pool *pool);                     /* LATHE_E_STATE while contexts use it */
    /* What follows is newer, and NULL in models whose flags lack LATHE_MODEL_SCRIPT. One value per input and output; an optional one
     * that is not there is LATHE_NOTHING. Outputs belong to the context, until its next run or close. */
    int (*run_values)(lathe_context *context, const lathe_value *inputs, int input_count, lathe_value *outputs, int output_count);
    const lathe_value *(*output)(lathe_context *context, int output); /* of the last run, if it was good and outputs were not given */
    uint64_t (*heap_bytes)(const lathe_context *context);    /* memory for values of runs right now */
} lathe_api;

struct lathe_model_v1 {
    uint32_t size; /* sizeof(lathe_model_v1) */
    uint32_t abi;  /* LATHE_MODEL_ABI */
    const char *name;
    const char *tool;   /* "lathe 0.1.0" */
    const char *sha256; /* of the model file, hexadecimal */
    uint32_t input_count, output_count, symbol_count, launch_count, level_count;
    uint32_t flags;     /* LATHE_MODEL_* */
    const lathe_tensor_info *inputs, *outputs;
    const lathe_symbol *symbols;
    const char *const *level_names; /* best first */
    uint64_t arena_bytes;           /* 0 where it depends on symbols */
    uint64_t weights_bytes;
    const lathe_api *api;
    const struct lathe_program *program; /* for the runtime, like instance */
    void **instance;                     /* NULL at first; the only memory of the model that is written outside of contexts */
    const int32_t *input_forms, *output_forms; /* newer: lathe_form of each; NULL: all tensors */
};

#ifdef __cplusplus
}
#endif
#endif
