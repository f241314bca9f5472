/* The tables of a model whose course depends on data: steps over values in slots, between calls of regions. What they mean is
 * told in ir/script.h; codegen writes them (codegen/script.c), runtime/script.c walks them.
 *
 * A region is a lathe_program like that of a model without a script. Regions of one model share weights, threads, scratch and the
 * memory of their intermediate results, for one context runs one region at a time. */
#ifndef LATHE_SCRIPT_H
#define LATHE_SCRIPT_H

#include "runtime/lathe_runtime.h"

enum { LATHE_NO_SLOT = -1 };

typedef enum lathe_step_kind {
    LATHE_STEP_REGION = 0,
    LATHE_STEP_COPY = 1,
    LATHE_STEP_IF = 2,
    LATHE_STEP_LOOP = 3,
    LATHE_STEP_HOST = 4,
} lathe_step_kind;

struct lathe_run;  /* a script that is running: runtime/script.h */
struct lathe_step;
typedef int lathe_host_function(struct lathe_run *run, const struct lathe_step *step);
typedef int lathe_region_function(struct lathe_run *run, const struct lathe_step *step, void *argument);

/* Launch number `launch` of a region copies its input `input` to the beginning of its output `output` and does nothing else: where
 * nobody reads the input any more and its memory has room, the output takes that memory. So lists that grow by an item in each turn
 * of a loop are not copied in each turn. */
typedef struct lathe_growth {
    int32_t input, output, launch;
} lathe_growth;

typedef struct lathe_region {
    const lathe_program *program;
    const int32_t *symbols;      /* for each symbol of the program: its number among the script's */
    lathe_region_function *call; /* NULL in libraries. Else it does what `program` would: reads the step's inputs, makes its outputs */
    void *argument;              /* of call */
    const lathe_growth *growth;  /* NULL: none */
} lathe_region;

typedef struct lathe_bind {
    int32_t slot, position, element, symbol; /* element 0: dim `position`; 1: element `position` */
} lathe_bind;

/* An attribute of a host step. Which fields count is the function's to know. */
typedef struct lathe_attribute {
    const char *name;
    int64_t integer;
    double real;
    const char *string;
    int64_t count; /* of integers, reals or strings */
    const int64_t *integers;
    const double *reals;
    const char *const *strings;
    const struct lathe_constant *tensor;
} lathe_attribute;

typedef struct lathe_constant {
    int32_t dtype, rank; /* ONNX TensorProto.DataType */
    const int64_t *dims;
    const void *data; /* strings: const char *const * */
} lathe_constant;

typedef struct lathe_step {
    int32_t kind;
    int32_t target;                      /* region, or first body */
    lathe_host_function *host;
    const int32_t *inputs, *outputs;     /* slots */
    int32_t input_count, output_count;
    int32_t bind_count, attribute_count;
    const lathe_bind *binds;
    const lathe_attribute *attributes;   /* by name, ascending */
    const int32_t *ends;                 /* slots that nobody reads after this step in this body */
    int32_t end_count;
    const char *name;                    /* of the ONNX node */
} lathe_step;

typedef struct lathe_body {
    const int32_t *inputs, *outputs; /* slots */
    const lathe_bind *binds;
    const lathe_step *steps;
    int32_t input_count, output_count, bind_count, step_count;
} lathe_body;

/* What a slot holds: for checks of the caller's inputs, and for empty sequences. rank -2: not known; dims -1: not known. */
typedef struct lathe_slot {
    int32_t form, dtype, rank; /* form: LATHE_TENSOR or LATHE_SEQUENCE, also of optional values */
    const int64_t *dims;
} lathe_slot;

/* A function of the user's own: fills the outputs' elements, answers 0, or another number for an error. values: of the operator's attributes. */
typedef int lathe_external(const lathe_tensor *inputs, int input_count, const lathe_tensor *outputs, int output_count, const double *values);

/* What walks scripts (runtime/script.c). Models without one do not carry it. */
typedef struct lathe_walker lathe_walker;
extern const lathe_walker lathe_rt_walker;
extern const lathe_api lathe_rt_script_api; /* instead of lathe_rt_api */

/* What a generated NAME_run calls. inputs: data of tensors, const lathe_value * of what input_forms says is no plain tensor; outputs:
 * NULL where only a run knows the size of some; then lathe_rt_output, which is NAME_output, tells. */
int lathe_rt_script_run(lathe_context *context, const void *const *inputs, void *const *outputs, const int64_t *symbols);
const lathe_value *lathe_rt_output(lathe_context *context, int output);

/* What a lathe_region_function is written with: the value of a symbol by its number; what stands in an input's slot, with its ONNX type
 * (LATHE_NOTHING: nothing); memory for an output; an error with a text. */
int64_t lathe_rt_symbol(const struct lathe_run *run, int32_t symbol);
lathe_value lathe_rt_step_input(const struct lathe_run *run, const lathe_step *step, int input, int32_t *dtype);
int lathe_rt_step_output(struct lathe_run *run, const lathe_step *step, int output, int32_t dtype, int32_t rank, const int64_t *dims,
                         void **data);
int lathe_rt_step_fail(struct lathe_run *run, const lathe_step *step, int code, const char *text);

/* The main program of such a model has no launches and no kernels, but inputs, outputs, symbols and values like any other: values of dims
 * and bytes of an output that only a run knows are -1. Its levels are those of the regions, in their order. */
typedef struct lathe_script {
    const lathe_walker *walker;
    uint32_t slot_count, body_count, region_count, symbol_count;
    const lathe_slot *slots;
    const lathe_body *bodies; /* bodies[0]: the model */
    const lathe_region *regions;
} lathe_script;

#endif
