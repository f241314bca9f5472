/* Good and bad calls of a static model: the answer is right, or a code and a text that name what is wrong; after an error the
 * output is untouched. */
#include <criterion/criterion.h>
#include <fenv.h>
#include <math.h>
#include <pthread.h>

#include "fixture.h"

static const lathe_api *const api = &lathe_rt_api;

/* y = 2 x + w by hand. */
static void expected_affine(const float *x, float *y)
{
    for (int i = 0; i < 64; i++)
        y[i] = 2.0f * x[i];
    y[0] += 1.0f;
    y[17] += -3.0f;
    y[63] += 0.5f;
}

static lathe_context *open_affine(void)
{
    int error = 1;
    lathe_context *context = lathe_rt_open(&affine_model, &(lathe_options){.size = sizeof(lathe_options), .threads = 1}, &error);
    cr_assert_eq(error, LATHE_OK);
    cr_assert_not_null(context);
    return context;
}

/* Tensors of the affine model that a case can spoil. */
typedef struct Call {
    _Alignas(64) float x[66], y[66];
    int64_t x_shape[3], y_shape[3], x_strides[3], y_strides[3];
    lathe_tensor input, output;
    lathe_tensor *inputs[2], *outputs[2];
    int input_count, output_count;
} Call;

static void call_make(Call *call)
{
    *call = (Call){.x_shape = {4, 16, 1}, .y_shape = {4, 16, 1}, .x_strides = {16, 1, 1}, .y_strides = {16, 1, 1},
                   .input_count = 1, .output_count = 1};
    for (int i = 0; i < 66; i++) {
        call->x[i] = (float)(i - 20) * 0.25f;
        call->y[i] = -77.0f;
    }
    call->input = (lathe_tensor){.data = call->x, .device = {1, 0}, .ndim = 2, .dtype = {2, 32, 1}, .shape = call->x_shape};
    call->output = (lathe_tensor){.data = call->y, .device = {1, 0}, .ndim = 2, .dtype = {2, 32, 1}, .shape = call->y_shape};
    call->inputs[0] = call->inputs[1] = &call->input;
    call->outputs[0] = call->outputs[1] = &call->output;
}

static int call_run(lathe_context *context, Call *call)
{
    return api->run_dl(context, call->inputs, call->input_count, call->outputs, call->output_count);
}

Test(calls, plain_and_dlpack_agree_with_arithmetic)
{
    lathe_context *context = open_affine();
    Call call;
    float expected[64];
    call_make(&call);
    expected_affine(call.x, expected);
    cr_assert_eq(call_run(context, &call), LATHE_OK);
    cr_assert_arr_eq(call.y, expected, sizeof expected);

    memset(call.y, 0, sizeof call.y);
    const void *inputs[] = {call.x};
    void *outputs[] = {call.y};
    cr_assert_eq(lathe_rt_run(context, inputs, outputs, NULL), LATHE_OK);
    cr_assert_arr_eq(call.y, expected, sizeof expected);
    cr_assert_str_eq(api->level_name(context), "x86-64");
    cr_assert_eq(api->thread_count(context), 1);
    lathe_rt_close(context);
    cr_assert_null(affine_instance);
}

Test(calls, row_major_strides_byte_offsets_and_odd_addresses_are_fine)
{
    lathe_context *context = open_affine();
    Call call;
    float expected[64];
    call_make(&call);
    call.input.strides = call.x_strides;
    call.output.strides = call.y_strides;
    call.input.byte_offset = 4; /* one element past a 64-byte boundary */
    call.output.byte_offset = 4;
    expected_affine(call.x + 1, expected);
    cr_assert_eq(call_run(context, &call), LATHE_OK, "%s", api->error_text(context));
    cr_assert_arr_eq(call.y + 1, expected, sizeof expected);
    cr_assert_eq(call.y[0], -77.0f);
    cr_assert_eq(call.y[65], -77.0f);
    lathe_rt_close(context);
}

Test(calls, nan_and_infinity_come_through)
{
    lathe_context *context = open_affine();
    Call call;
    call_make(&call);
    call.x[1] = NAN;
    call.x[2] = INFINITY;
    call.x[3] = -INFINITY;
    cr_assert_eq(call_run(context, &call), LATHE_OK);
    cr_assert(isnan(call.y[1]));
    cr_assert_eq(call.y[2], INFINITY);
    cr_assert_eq(call.y[3], -INFINITY);
    lathe_rt_close(context);
}

/* --- bad tensors ------------------------------------------------------------------------------------------------------------ */

static void spoil_rank(Call *c) { c->input.ndim = 1; }
static void spoil_rank_negative(Call *c) { c->input.ndim = -1; }
static void spoil_rank_huge(Call *c) { c->input.ndim = INT32_MAX; }
static void spoil_dim(Call *c) { c->x_shape[1] = 17; }
static void spoil_zero_rows(Call *c) { c->x_shape[0] = 0; }
static void spoil_dim_negative(Call *c) { c->x_shape[0] = -4; }
static void spoil_dim_huge(Call *c) { c->x_shape[0] = INT64_MAX; }
static void spoil_f64(Call *c) { c->input.dtype.bits = 64; }
static void spoil_i64(Call *c) { c->input.dtype = (__typeof__(c->input.dtype)){0, 64, 1}; }
static void spoil_lanes(Call *c) { c->input.dtype.lanes = 4; }
static void spoil_unknown_type(Call *c) { c->input.dtype.code = 99; }
static void spoil_null_input(Call *c) { c->inputs[0] = NULL; }
static void spoil_null_output(Call *c) { c->outputs[0] = NULL; }
static void spoil_null_data(Call *c) { c->input.data = NULL; }
static void spoil_null_output_data(Call *c) { c->output.data = NULL; }
static void spoil_null_data_offset(Call *c) { c->input.data = NULL, c->input.byte_offset = 64; }
static void spoil_null_shape(Call *c) { c->input.shape = NULL; }
static void spoil_missing(Call *c) { c->input_count = 0; }
static void spoil_extra(Call *c) { c->input_count = 2; }
static void spoil_negative_count(Call *c) { c->input_count = -1; }
static void spoil_no_outputs(Call *c) { c->output_count = 0; }
static void spoil_strided(Call *c) { c->x_strides[0] = 32, c->input.strides = c->x_strides; }
static void spoil_transposed(Call *c) { c->x_strides[0] = 1, c->x_strides[1] = 4, c->input.strides = c->x_strides; }
static void spoil_output_strides(Call *c) { c->y_strides[1] = -1, c->output.strides = c->y_strides; }
static void spoil_misaligned(Call *c) { c->input.byte_offset = 1; }
static void spoil_misaligned_output(Call *c) { c->output.byte_offset = 2; }
static void spoil_device(Call *c) { c->input.device.device_type = 2; }
static void spoil_output_small(Call *c) { c->y_shape[0] = 3; }
static void spoil_output_type(Call *c) { c->output.dtype.bits = 16; }
static void spoil_alias(Call *c) { c->output.data = c->x; }
static void spoil_overlap(Call *c) { c->output.data = c->x, c->output.byte_offset = 8; }
static void spoil_end_of_memory(Call *c) { c->input.data = (void *)(UINTPTR_MAX - 63); }

static const struct {
    const char *name;
    void (*spoil)(Call *);
    int code;
    const char *text;
} bad_calls[] = {
    {"rank", spoil_rank, LATHE_E_SHAPE, "input 'x' has rank 1 but must have 2"},
    {"negative rank", spoil_rank_negative, LATHE_E_SHAPE, "input 'x' has rank -1 but must have 2"},
    {"huge rank", spoil_rank_huge, LATHE_E_SHAPE, "input 'x' has rank 2147483647 but must have 2"},
    {"dim", spoil_dim, LATHE_E_SHAPE, "input 'x': dim 1 is 17 but must be 16"},
    {"zero rows", spoil_zero_rows, LATHE_E_SHAPE, "input 'x': dim 0 is 0 but must be 4"},
    {"negative dim", spoil_dim_negative, LATHE_E_SHAPE, "input 'x': dim 0 is -4 but must be 4"},
    {"huge dim", spoil_dim_huge, LATHE_E_SHAPE, "input 'x': dim 0 is 9223372036854775807 but must be 4"},
    {"f64", spoil_f64, LATHE_E_DTYPE, "input 'x' is float64 (DLPack code 2, 64 bits, 1 lanes) but must be float32"},
    {"i64", spoil_i64, LATHE_E_DTYPE, "input 'x' is int64 (DLPack code 0, 64 bits, 1 lanes) but must be float32"},
    {"lanes", spoil_lanes, LATHE_E_DTYPE, "input 'x' is undefined (DLPack code 2, 32 bits, 4 lanes) but must be float32"},
    {"no type", spoil_unknown_type, LATHE_E_DTYPE, "input 'x' is undefined (DLPack code 99, 32 bits, 1 lanes) but must be float32"},
    {"NULL input", spoil_null_input, LATHE_E_NULL, "input 'x' is NULL"},
    {"NULL output", spoil_null_output, LATHE_E_NULL, "output 'y' is NULL"},
    {"NULL data", spoil_null_data, LATHE_E_NULL, "input 'x' is NULL"},
    {"NULL data with offset", spoil_null_data_offset, LATHE_E_NULL, "input 'x' is NULL"},
    {"NULL output data", spoil_null_output_data, LATHE_E_NULL, "output 'y' is NULL"},
    {"NULL shape", spoil_null_shape, LATHE_E_NULL, "input 'x' has no shape"},
    {"missing", spoil_missing, LATHE_E_COUNT, "0 inputs were given, but the model has 1"},
    {"extra", spoil_extra, LATHE_E_COUNT, "2 inputs were given, but the model has 1"},
    {"negative count", spoil_negative_count, LATHE_E_COUNT, "-1 inputs were given, but the model has 1"},
    {"no outputs", spoil_no_outputs, LATHE_E_COUNT, "0 outputs were given, but the model has 1"},
    {"strided", spoil_strided, LATHE_E_SHAPE, "input 'x': the stride of dim 0 is 32 but must be 16 (row-major order)"},
    {"transposed", spoil_transposed, LATHE_E_SHAPE, "input 'x': the stride of dim 1 is 4 but must be 1 (row-major order)"},
    {"output strides", spoil_output_strides, LATHE_E_SHAPE, "output 'y': the stride of dim 1 is -1 but must be 1 (row-major order)"},
    {"misaligned", spoil_misaligned, LATHE_E_ARGUMENT,
     "input 'x' is at an address that is 1 past a multiple of 4, the element size"},
    {"misaligned output", spoil_misaligned_output, LATHE_E_ARGUMENT,
     "output 'y' is at an address that is 2 past a multiple of 4, the element size"},
    {"device", spoil_device, LATHE_E_DEVICE, "input 'x' is on device type 2 but must be in host memory (1)"},
    {"small output", spoil_output_small, LATHE_E_SHAPE, "output 'y': dim 0 is 3 but must be 4"},
    {"output type", spoil_output_type, LATHE_E_DTYPE, "output 'y' is float16 (DLPack code 2, 16 bits, 1 lanes) but must be float32"},
    {"alias", spoil_alias, LATHE_E_ARGUMENT, "output 'y' overlaps input 'x'"},
    {"overlap", spoil_overlap, LATHE_E_ARGUMENT, "output 'y' overlaps input 'x'"},
    {"end of memory", spoil_end_of_memory, LATHE_E_ARGUMENT, "input 'x' of 256 bytes does not fit behind its address"},
};

Test(calls, bad_tensors_are_refused_by_name)
{
    lathe_context *context = open_affine();
    for (size_t i = 0; i < COUNT(bad_calls); i++) {
        Call call, before;
        call_make(&call);
        bad_calls[i].spoil(&call);
        memcpy(&before, &call, sizeof call);
        cr_expect_eq(call_run(context, &call), bad_calls[i].code, "%s", bad_calls[i].name);
        cr_expect_str_eq(api->error_text(context), bad_calls[i].text, "%s: %s", bad_calls[i].name, api->error_text(context));
        cr_expect(memcmp(&before, &call, sizeof call) == 0, "%s: something was written", bad_calls[i].name);
        call_make(&call);
        cr_expect_eq(call_run(context, &call), LATHE_OK, "the context still works after: %s", bad_calls[i].name);
        cr_expect_str_eq(api->error_text(context), "");
    }
    lathe_rt_close(context);
}

Test(calls, bad_plain_pointers)
{
    lathe_context *context = open_affine();
    float x[65] = {0}, y[65] = {0};
    const void *inputs[] = {NULL};
    void *outputs[] = {y};
    cr_expect_eq(lathe_rt_run(context, inputs, outputs, NULL), LATHE_E_NULL);
    cr_expect_str_eq(api->error_text(context), "input 'x' is NULL");
    cr_expect_eq(lathe_rt_run(context, NULL, outputs, NULL), LATHE_E_NULL);
    cr_expect_str_eq(api->error_text(context), "the array of inputs is NULL");
    inputs[0] = x;
    cr_expect_eq(lathe_rt_run(context, inputs, NULL, NULL), LATHE_E_NULL);
    inputs[0] = (char *)x + 1;
    cr_expect_eq(lathe_rt_run(context, inputs, outputs, NULL), LATHE_E_ARGUMENT);
    cr_expect_eq(api->run_dl(context, NULL, 1, NULL, 1), LATHE_E_NULL);
    cr_expect_eq(lathe_rt_run(NULL, inputs, outputs, NULL), LATHE_E_NULL, "call before open");
    cr_expect_eq(api->run_dl(NULL, NULL, 0, NULL, 0), LATHE_E_NULL);
    cr_expect_eq(api->output_dims(NULL, NULL, 0, NULL), LATHE_E_NULL);
    cr_expect_eq(api->output_dims_dl(NULL, NULL, 0, NULL, 0), LATHE_E_NULL);
    cr_expect_eq(api->profile(NULL, 1), LATHE_E_NULL);
    cr_expect_eq(api->launch_info(NULL, 0, NULL), LATHE_E_NULL);
    cr_expect_eq(api->thread_count(NULL), 0);
    cr_expect_eq(api->arena_bytes(NULL), 0);
    cr_expect_str_eq(api->level_name(NULL), "");
    cr_expect_str_eq(api->error_text(NULL), api->code_text(LATHE_E_NULL));
    lathe_rt_close(NULL);
    lathe_rt_close(context);
}

/* --- bad openings ----------------------------------------------------------------------------------------------------------- */

static void sequential_for(void *pool, int n, void (*f)(void *, int), void *arg)
{
    (void)pool;
    for (int i = 0; i < n; i++)
        f(arg, i);
}

typedef struct LargerOptions {
    lathe_options known;
    uint64_t unknown;
} LargerOptions;

Test(calls, bad_options_and_models_are_refused)
{
    char message[200];
    int error;
    const lathe_options good = {.size = sizeof good, .message = message, .message_size = sizeof message};
    lathe_options options = good;
    options.size = 8;
    cr_expect_null(lathe_rt_open(&affine_model, &options, &error));
    cr_expect_eq(error, LATHE_E_ABI);
    options.size = (size_t)-1;
    cr_expect_null(lathe_rt_open(&affine_model, &options, &error));
    cr_expect_eq(error, LATHE_E_ABI);
    options = good, options.threads = -1;
    cr_expect_null(lathe_rt_open(&affine_model, &options, &error));
    cr_expect_eq(error, LATHE_E_ARGUMENT);
    cr_expect_str_eq(message, "options: the number of threads is negative");
    options = good, options.flags = 1;
    cr_expect_null(lathe_rt_open(&affine_model, &options, &error));
    cr_expect_eq(error, LATHE_E_ARGUMENT);
    options = good, options.pool = api->pool_open(2, &error), options.parallel_for = sequential_for;
    cr_expect_null(lathe_rt_open(&affine_model, &options, &error));
    cr_expect_eq(error, LATHE_E_ARGUMENT);
    cr_expect_eq(api->pool_close(options.pool), LATHE_OK);
    uint64_t foreign[16] = {sizeof foreign, 99};
    options = good, options.pool = (lathe_pool *)foreign;
    cr_expect_null(lathe_rt_open(&affine_model, &options, &error));
    cr_expect_eq(error, LATHE_E_ABI);
    cr_expect_eq(api->pool_close(options.pool), LATHE_E_ABI);

    LargerOptions larger = {.known = {.size = sizeof larger}};
    lathe_context *context = lathe_rt_open(&affine_model, &larger.known, &error);
    cr_expect_not_null(context, "fields of a later version that are zero change nothing");
    lathe_rt_close(context);
    larger.unknown = 1;
    cr_expect_null(lathe_rt_open(&affine_model, &larger.known, &error));
    cr_expect_eq(error, LATHE_E_ABI);

    cr_expect_null(lathe_rt_open(NULL, &good, &error));
    cr_expect_eq(error, LATHE_E_NULL);
    lathe_model_v1 model = affine_model;
    model.abi = LATHE_MODEL_ABI + 1;
    cr_expect_null(lathe_rt_open(&model, &good, &error));
    cr_expect_eq(error, LATHE_E_ABI);
    cr_expect_str_eq(message, "the model and its runtime are of different versions");
    lathe_program program = affine_program;
    program.abi = LATHE_RUNTIME_ABI + 1;
    model = affine_model, model.program = &program;
    cr_expect_null(lathe_rt_open(&model, NULL, &error));
    cr_expect_eq(error, LATHE_E_ABI);
    cr_expect_null(affine_instance);
    cr_expect_null(api->pool_open(-1, &error));
    cr_expect_eq(error, LATHE_E_ARGUMENT);
    cr_expect_null(api->pool_open(100000, &error));
    cr_expect_eq(error, LATHE_E_ARGUMENT);
}

Test(calls, every_code_has_a_text)
{
    for (int code = LATHE_E_STOPPED; code <= LATHE_OK; code++)
        cr_expect_str_neq(api->code_text(code), "unknown code");
    cr_expect_str_eq(api->code_text(1), "unknown code");
    cr_expect_str_eq(api->code_text(LATHE_E_STOPPED - 1), "unknown code");
    cr_expect_str_eq(api->code_text(INT32_MIN), "unknown code");
}

/* --- kernels that report ---------------------------------------------------------------------------------------------------- */

static void failing_kernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    (void)buffers, (void)dims, (void)begin, (void)end, (void)scratch;
    if (((const float *)buffers[0])[0] < 0.0f)
        *error = LATHE_E_INDEX;
}

Test(calls, an_index_out_of_range_names_the_node_and_the_next_call_works)
{
    static lathe_kernel *const kernels[] = {failing_kernel};
    static const lathe_level levels[] = {{"x86-64", 0, kernels, 0}};
    lathe_program program = affine_program;
    lathe_model_v1 model = affine_model;
    program.levels = levels;
    model.program = &program;
    int error;
    lathe_context *context = lathe_rt_open(&model, NULL, &error);
    Call call;
    call_make(&call);
    cr_expect_eq(call_run(context, &call), LATHE_E_INDEX);
    cr_expect_str_eq(api->error_text(context), "node 'Mul_0+Add_1': an index is out of range");
    call.x[0] = 1.0f;
    cr_expect_eq(call_run(context, &call), LATHE_OK);
    lathe_rt_close(context);
}

/* --- floating-point modes of the caller ---------------------------------------------------------------------------------------- */

Test(calls, the_callers_float_mode_changes_nothing_and_comes_back)
{
    lathe_context *context = open_affine();
    Call call;
    float expected[64];
    call_make(&call);
    call.x[5] = 1e-40f;    /* denormal */
    call.x[17] = 1.0f / 3; /* rounds in 2 x - 3 */
    expected_affine(call.x, expected);
    const uint32_t flush_and_up = 0x1f80 | 0x8040 | 0x4000;
    const uint32_t unmasked = 0x1f80 & ~(1u << 7 | 1u << 9 | 1u << 10); /* invalid, zero divide, overflow */
    const uint32_t modes[] = {flush_and_up, unmasked};
    for (size_t i = 0; i < COUNT(modes); i++) {
        uint32_t after;
        call.x[9] = i == 1 ? INFINITY : 1.0f;
        call.x[10] = 3e38f; /* overflows */
        expected[9] = 2.0f * call.x[9];
        expected[10] = INFINITY;
        __asm__ volatile("ldmxcsr %0" : : "m"(modes[i]) : "memory");
        const int code = call_run(context, &call);
        __asm__ volatile("stmxcsr %0" : "=m"(after) : : "memory");
        __asm__ volatile("ldmxcsr %0" : : "m"((uint32_t){0x1f80}) : "memory");
        cr_assert_eq(code, LATHE_OK);
        cr_assert_eq(after & ~0x3fu, modes[i] & ~0x3fu);
        cr_assert_arr_eq(call.y, expected, sizeof expected);
    }
    lathe_rt_close(context);
}

Test(calls, a_program_may_have_subnormal_numbers_flushed)
{
    lathe_program program = affine_program;
    program.flags = LATHE_PROGRAM_FLUSH;
    lathe_model_v1 model = affine_model;
    model.program = &program;
    lathe_context *context = lathe_rt_open(&model, NULL, &(int){0});
    cr_assert_not_null(context);
    Call call;
    float expected[64];
    call_make(&call);
    call.x[5] = 1e-40f;
    expected_affine(call.x, expected);
    cr_assert_neq(expected[5], 0);
    expected[5] = 0;
    uint32_t after;
    cr_assert_eq(call_run(context, &call), LATHE_OK);
    __asm__ volatile("stmxcsr %0" : "=m"(after) : : "memory");
    cr_assert_eq(after & 0x8040, 0, "the caller's mode comes back");
    cr_assert_arr_eq(call.y, expected, sizeof expected);
    lathe_rt_close(context);
}

/* --- small stacks, two threads, profiles --------------------------------------------------------------------------------------- */

static void *call_once(void *argument)
{
    Call *call = argument;
    int error;
    lathe_context *context = lathe_rt_open(&affine_model, &(lathe_options){.size = sizeof(lathe_options)}, &error);
    if (context == NULL || call_run(context, call) != LATHE_OK)
        return NULL;
    call->input.ndim = 3;
    const int code = call_run(context, call);
    lathe_rt_close(context);
    return code == LATHE_E_SHAPE ? call : NULL;
}

Test(calls, a_stack_of_64_kib_is_enough)
{
    Call call;
    float expected[64];
    call_make(&call);
    expected_affine(call.x, expected);
    pthread_attr_t attributes;
    pthread_t thread;
    void *result = NULL;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    cr_assert_eq(pthread_create(&thread, &attributes, call_once, &call), 0);
    pthread_join(thread, &result);
    cr_expect_eq(result, &call);
    cr_expect_arr_eq(call.y, expected, sizeof expected);
}

static _Atomic int inside, leave;

static void waiting_kernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    (void)buffers, (void)dims, (void)begin, (void)end, (void)scratch, (void)error;
    atomic_store(&inside, 1);
    while (!atomic_load(&leave))
        nanosleep(&(struct timespec){0, 100000}, NULL);
}

static void *call_context(void *argument)
{
    Call call;
    call_make(&call);
    return (void *)(intptr_t)call_run(argument, &call);
}

Test(calls, two_threads_in_one_context_is_an_error)
{
    static lathe_kernel *const kernels[] = {waiting_kernel};
    static const lathe_level levels[] = {{"x86-64", 0, kernels, 0}};
    lathe_program program = affine_program;
    lathe_model_v1 model = affine_model;
    program.levels = levels;
    model.program = &program;
    int error;
    lathe_context *context = lathe_rt_open(&model, NULL, &error);
    pthread_t thread;
    void *first = &first;
    cr_assert_eq(pthread_create(&thread, NULL, call_context, context), 0);
    while (!atomic_load(&inside))
        nanosleep(&(struct timespec){0, 100000}, NULL);
    cr_expect_eq((intptr_t)call_context(context), LATHE_E_STATE);
    cr_expect_eq(api->profile(context, 1), LATHE_E_STATE);
    atomic_store(&leave, 1);
    pthread_join(thread, &first);
    cr_expect_eq((intptr_t)first, LATHE_OK);
    cr_expect_eq((intptr_t)call_context(context), LATHE_OK);
    lathe_rt_close(context);
}

Test(calls, profiles_count_runs_and_describe_launches)
{
    lathe_context *context = open_affine();
    Call call;
    call_make(&call);
    lathe_launch_info info = {.size = sizeof info};
    cr_expect_eq(call_run(context, &call), LATHE_OK);
    cr_expect_eq(api->launch_info(context, 0, &info), LATHE_OK);
    cr_expect_str_eq(info.name, "Mul_0+Add_1");
    cr_expect_str_eq(info.kernel_name, "k0");
    cr_expect_eq(info.flops, 128);
    cr_expect_eq(info.runs, 0);
    cr_expect_eq(api->profile(context, 1), LATHE_OK);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(call_run(context, &call), LATHE_OK);
    cr_expect_eq(api->launch_info(context, 0, &info), LATHE_OK);
    cr_expect_eq(info.runs, 3);
    cr_expect_eq(info.wall_ns, info.busy_ns, "one thread: the same");
    cr_expect_eq(api->launch_info(context, 1, &info), LATHE_E_ARGUMENT);
    cr_expect_eq(api->launch_info(context, -1, &info), LATHE_E_ARGUMENT);
    cr_expect_eq(api->launch_info(context, 0, NULL), LATHE_E_NULL);
    info.size = 8;
    cr_expect_eq(api->launch_info(context, 0, &info), LATHE_E_ABI);
    cr_expect_eq(api->profile(context, 0), LATHE_OK);
    lathe_rt_close(context);
}
