/* A script that runs: values in slots, their memory, and what host functions are written with.
 *
 * script.c         steps and bodies                 script_api.c  the calls that the model's descriptor offers
 * script_region.c  calls of regions                 host_*.c      functions of host steps, lathe_host_<name>
 * value.c          values                           heap.c        their memory
 *
 * Rules for host functions: inputs are never changed, but by value_take; what was made is given to the run (run_give) or released; every
 * refusal goes through run_fail, which names the node. */
#ifndef LATHE_RUNTIME_SCRIPT_H
#define LATHE_RUNTIME_SCRIPT_H

#include "runtime/internal.h"

enum {
    RANK_MOST = 64,
    DTYPE_FLOAT = 1, DTYPE_INT32 = 6, DTYPE_INT64 = 7, DTYPE_STRING = 8, DTYPE_BOOL = 9, DTYPE_DOUBLE = 11, /* ONNX */
};

/* --- heap.c ----------------------------------------------------------------------------------------------------------------- */

enum { HEAP_CLASSES = 256 };

/* Blocks by size class, four classes to a power of two. What is given back waits in a list for the next one who wants that size, so a
 * context that runs the same again asks the system for nothing. */
typedef struct Heap {
    uint64_t limit;
    uint64_t held;      /* bytes that the system gave */
    uint64_t used;      /* of these, in use */
    struct HeapBlock *ready[HEAP_CLASSES];
} Heap;

void *heap_take(Heap *heap, uint64_t bytes); /* aligned to a cache line; NULL: beyond the limit, or no memory */
void heap_give(Heap *heap, void *memory);    /* NULL: nothing */
void heap_trim(Heap *heap);                  /* what waits goes back to the system */
uint64_t heap_room(const void *memory);      /* bytes that the block really has */

/* --- value.c ---------------------------------------------------------------------------------------------------------------- */

/* Counted references; nobody changes a value that several hold. An optional value that is there is its content. */
typedef struct Value {
    uint32_t references;
    int32_t form;           /* LATHE_TENSOR, LATHE_SEQUENCE, LATHE_NOTHING */
    int32_t dtype, rank;    /* sequences: of the items, 0: not known */
    bool borrowed;          /* data is the caller's */
    int64_t count;          /* elements, or items */
    uint64_t bytes;         /* of data */
    void *data;             /* never NULL in a tensor; strings: addresses of const char in 64 bits each */
    struct Value **items;
    int64_t room;           /* items that fit */
    int64_t dims[];
} Value;

typedef struct lathe_run Run;

/* NULL after a message. Dims may not be negative. Elements are not set. */
Value *value_tensor(Run *run, const lathe_step *step, int32_t dtype, int32_t rank, const int64_t *dims);
/* As value_tensor, with memory for as much again as half of it; and a tensor of other dims that takes over what is at the beginning of
 * another one, which is the last reference: NULL when its memory has no room for that, without a message. */
Value *value_roomy(Run *run, const lathe_step *step, int32_t dtype, int32_t rank, const int64_t *dims);
Value *value_grow(Value *value, const int64_t *dims);
Value *value_borrow(Run *run, const lathe_step *step, int32_t dtype, int32_t rank, const int64_t *dims, void *data);
Value *value_sequence(Run *run, const lathe_step *step, int32_t dtype, int64_t room);
Value *value_nothing(Run *run, const lathe_step *step);
int value_append(Run *run, const lathe_step *step, Value *sequence, Value *item); /* takes over the reference, also when it fails */
Value *value_retain(Value *value); /* NULL stays NULL */
void value_release(Run *run, Value *value);

lathe_value value_show(Value *value); /* for the caller; items of sequences are not shown */

/* Bytes of `count` elements, -1 when they are more than 63 bits tell. */
int64_t elements_bytes(int64_t count, int32_t bits);
int64_t elements_count(int32_t rank, const int64_t *dims); /* -1: too many, or a negative dim */
void elements_copy(void *to, int64_t to_first, const void *from, int64_t from_first, int64_t count, int32_t bits);

static inline const char *string_at(const Value *value, int64_t position)
{
    return (const char *)(uintptr_t)((const uint64_t *)value->data)[position];
}

static inline void string_set(Value *value, int64_t position, const char *string)
{
    ((uint64_t *)value->data)[position] = (uintptr_t)string;
}

/* Memory for text (length + 1 bytes) that lives until the results of the run are released. NULL after a message. */
char *run_text(Run *run, const lathe_step *step, uint64_t length);

/* --- script.c --------------------------------------------------------------------------------------------------------------- */

/* A part of a loop's results, growing along axis 0. */
typedef struct Stack {
    Value *value;   /* dims[0]: items that fit; NULL: none yet */
    int64_t items, each; /* elements of one */
} Stack;

/* A body that runs, and where it is. */
typedef struct Frame {
    const lathe_body *body;
    const lathe_step *step; /* that runs it; NULL: the model */
    int32_t at;
    int64_t iteration, trips;
    Stack *stacks;
    Value **carried;          /* room for the values on their way from one iteration to the next */
} Frame;

struct TextChunk;

struct lathe_run {
    Context *main;
    const lathe_program *program;
    const lathe_script *script;
    Heap heap;
    Value **slots;
    int64_t *symbols;
    Context *parts;     /* of the regions */
    Value *unread;      /* outputs of the region that runs that nobody reads, linked by data */
    Frame *frames;
    int32_t depth;
    int32_t *homes;     /* per slot: the body that sets it */
    int32_t *outputs;   /* per slot: 1 + the output of the model that it is, 0: none */
    void **given;       /* per output: the caller's memory, or NULL */
    uint64_t *given_bytes;
    Value **results;    /* per output, after a run that was not given memory */
    lathe_value *shown; /* the same for the caller */
    struct TextChunk *texts;
    int64_t loop_limit;
    const volatile int32_t *stop;
    void *memory;
};

/* Runs the model: slots of inputs are set, given says where outputs go. On success results hold the outputs; on errors nothing is held. */
int script_run(Run *run);
void script_forget(Run *run); /* results, texts and what is shown of them */

/* An error of a step with a text: "node 'Loop_3': ...". */
#define run_fail(run, step, code, ...) (run_name(run, step), text_append((run)->main->text, TEXT_SIZE, __VA_ARGS__), (code))
void run_name(Run *run, const lathe_step *step);

Value *run_value(const Run *run, const lathe_step *step, int input); /* NULL: omitted */
bool run_is_last(const Run *run, const lathe_step *step, int input); /* nobody else holds it and nobody reads it later */
Value *run_take(Run *run, const lathe_step *step, int input);        /* the slot's own reference, when run_is_last */
void run_give(Run *run, const lathe_step *step, int output, Value *value); /* takes over the reference */

/* A tensor for an output of the step, in the caller's memory where that was given; *data: NULL when nobody wants the output. */
int run_tensor(Run *run, const lathe_step *step, int output, int32_t dtype, int32_t rank, const int64_t *dims, void **data);

/* Inputs that host functions want: present, a tensor or a sequence, of one integer. */
int run_want_tensor(Run *run, const lathe_step *step, int input, int32_t dtype, Value **value); /* dtype 0: any */
int run_want_sequence(Run *run, const lathe_step *step, int input, Value **value);
int run_want_integer(Run *run, const lathe_step *step, int input, int64_t *integer); /* i32 or i64, one element */

const lathe_attribute *step_attribute(const lathe_step *step, const char *name); /* NULL: not given */
int64_t step_integer(const lathe_step *step, const char *name, int64_t otherwise);

/* --- script_region.c -------------------------------------------------------------------------------------------------------- */

int region_run(Run *run, const lathe_step *step);

#endif
