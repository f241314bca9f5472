/* Scripts: regions, symbols that a run finds, branches, loops, sequences, limits, outputs of the context and of the caller. */
#include <criterion/criterion.h>

#include "script_models.h"

static lathe_context *open_with(const lathe_model_v1 *model, lathe_options options)
{
    int error = 0;
    options.size = sizeof options;
    lathe_context *context = lathe_rt_open(model, &options, &error);
    cr_assert_eq(error, LATHE_OK);
    cr_assert_not_null(context);
    return context;
}

static int run(lathe_context *context, const Scripted *model, const lathe_value *inputs, lathe_value *outputs)
{
    return lathe_rt_script_api.run_values(context, inputs, (int)model->model.input_count, outputs, (int)model->model.output_count);
}

#define expect_code(context, code, expected)                                                                                       \
    cr_assert_eq(code, expected, "%d: %s", code, lathe_rt_script_api.error_text(context))

static void expect_floats(const lathe_value *value, int rank, const int64_t *dims, const float *expected)
{
    int64_t count = 1;
    cr_assert_eq(value->form, LATHE_TENSOR);
    cr_assert_eq(value->tensor.ndim, rank);
    for (int i = 0; i < rank; i++) {
        cr_assert_eq(value->tensor.shape[i], dims[i], "dim %d is %lld", i, (long long)value->tensor.shape[i]);
        count *= dims[i];
    }
    for (int64_t i = 0; i < count; i++)
        cr_assert_eq(((const float *)value->tensor.data)[i], expected[i], "element %lld", (long long)i);
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

/* --- regions and symbols ---------------------------------------------------------------------------------------------------- */

Test(script, a_run_finds_the_size)
{
    Scripted model;
    positives_make(&model);
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1});
    float x[] = {1, -2, 3, 0, 5, -6};
    lathe_value outputs[1];
    for (int64_t n = 6; n >= 0; n--) {
        const float expected[] = {1, 3, 5};
        const int64_t counts[] = {0, 1, 1, 2, 2, 3, 3};
        const int code = run(context, &model, &(lathe_value){.tensor = script_tensor(x, 2, 32, 1, &n)}, outputs);
        expect_code(context, code, LATHE_OK);
        expect_floats(&outputs[0], 1, &counts[n], expected);
    }
    lathe_rt_close(context);
}

Test(script, inputs_are_checked_like_those_of_other_models)
{
    Scripted model;
    positives_make(&model);
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1});
    float x[] = {1, 2};
    int64_t dims[] = {2, 1}, negative = -1;
    lathe_value outputs[1];
    lathe_value value = script_floats(x, dims);
    value.tensor.dtype.code = 0;
    expect_code(context, run(context, &model, &value, outputs), LATHE_E_DTYPE);
    value = script_floats(x, dims);
    value.tensor.ndim = 2;
    expect_code(context, run(context, &model, &value, outputs), LATHE_E_SHAPE);
    value = script_floats(x, &negative);
    expect_code(context, run(context, &model, &value, outputs), LATHE_E_SHAPE);
    value = script_floats(NULL, dims);
    expect_code(context, run(context, &model, &value, outputs), LATHE_E_NULL);
    value = (lathe_value){.form = LATHE_NOTHING};
    expect_code(context, run(context, &model, &value, outputs), LATHE_E_ARGUMENT);
    value = (lathe_value){.form = LATHE_SEQUENCE};
    expect_code(context, run(context, &model, &value, outputs), LATHE_E_ARGUMENT);
    cr_assert_str_eq(lathe_rt_script_api.error_text(context), "model 'scripted': input 'in0' must be a tensor");
    expect_code(context, lathe_rt_script_api.run_values(context, &value, 2, outputs, 1), LATHE_E_COUNT);
    expect_code(context, lathe_rt_script_api.run_values(context, NULL, 1, outputs, 1), LATHE_E_NULL);
    lathe_rt_close(context);
}

Test(script, who_wants_memory_of_an_unknown_size_is_told)
{
    Scripted model;
    positives_make(&model);
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1});
    float x[] = {1, -2, 3}, y[3];
    const int64_t n = 3;
    const void *inputs[] = {x};
    expect_code(context, lathe_rt_script_run(context, inputs, (void *[]){y}, &n), LATHE_E_SHAPE);
    cr_assert_not_null(strstr(lathe_rt_script_api.error_text(context), "only a run knows the size of output 'out0'"));
    expect_code(context, lathe_rt_script_run(context, inputs, NULL, &n), LATHE_OK);
    expect_floats(lathe_rt_output(context, 0), 1, DIMS(2), (const float[]){1, 3});
    cr_assert_null(lathe_rt_output(context, 1));
    cr_assert_null(lathe_rt_output(context, -1));
    lathe_rt_close(context);
}

/* --- branches --------------------------------------------------------------------------------------------------------------- */

Test(script, a_branch_writes_where_the_caller_wants)
{
    Scripted model;
    choice_make(&model);
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1});
    float x[] = {1, -2, 3}, y[3];
    const int64_t n = 3;
    for (int i = 0; i < 4; i++) {
        const bool choice = i % 2;
        const void *inputs[] = {x, &choice};
        expect_code(context, lathe_rt_script_run(context, inputs, (void *[]){y}, &n), LATHE_OK);
        for (int k = 0; k < 3; k++)
            cr_assert_eq(y[k], choice ? 2 * x[k] : x[k]);
        cr_assert_null(lathe_rt_output(context, 0));
    }
    lathe_rt_close(context);
}

Test(script, outputs_do_not_depend_on_memory_of_inputs)
{
    Scripted model;
    choice_make(&model);
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1});
    float x[] = {1, -2, 3};
    int64_t n = 3;
    bool choice = false;
    lathe_value output;
    expect_code(context, run(context, &model, (lathe_value[]){script_floats(x, &n), script_bool(&choice)}, &output), LATHE_OK);
    memset(x, 0, sizeof x);
    expect_floats(&output, 1, DIMS(3), (const float[]){1, -2, 3});
    lathe_rt_close(context);
}

Test(script, dlpack_tensors_come_and_go)
{
    Scripted model;
    choice_make(&model);
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1});
    float x[] = {1, -2, 3}, y[3];
    int64_t n = 3, wrong = 2;
    bool choice = true;
    lathe_tensor in = script_tensor(x, 2, 32, 1, &n), flag = script_tensor(&choice, 6, 8, 0, NULL), out = script_tensor(y, 2, 32, 1, &n);
    lathe_tensor *inputs[] = {&in, &flag}, *outputs[] = {&out};
    expect_code(context, lathe_rt_script_api.run_dl(context, inputs, 2, outputs, 1), LATHE_OK);
    cr_assert_eq(y[2], 6);
    out.shape = &wrong;
    expect_code(context, lathe_rt_script_api.run_dl(context, inputs, 2, outputs, 1), LATHE_E_SHAPE);
    lathe_rt_close(context);
}

/* --- loops ------------------------------------------------------------------------------------------------------------------ */

static int run_sums(lathe_context *context, const Scripted *model, float first, int64_t n, int64_t trips, lathe_value *outputs)
{
    float x[512];
    for (int i = 0; i < n; i++)
        x[i] = first + (float)i;
    return run(context, model, (lathe_value[]){script_floats(x, &n), script_integer(&trips)}, outputs);
}

static void expect_sums(const lathe_value *outputs, float first, int64_t n, int64_t trips)
{
    float sum = first, expected[4096] = {0};
    for (int64_t t = 0; t < trips; t++) {
        sum += (float)t;
        for (int64_t i = 0; i < n; i++)
            expected[t * n + i] = sum + (float)i;
    }
    expect_floats(&outputs[1], 2, DIMS(trips, trips == 0 ? 0 : n), expected);
    for (int64_t i = 0; i < n; i++)
        expected[i] = sum + (float)i;
    expect_floats(&outputs[0], 1, &n, expected);
}

Test(script, loops_carry_and_stack)
{
    Scripted model;
    sums_make(&model);
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1});
    lathe_value outputs[2];
    for (int64_t trips = 0; trips < 12; trips++)
        for (int64_t n = 1; n < 40; n += 13) {
            expect_code(context, run_sums(context, &model, 1, n, trips, outputs), LATHE_OK);
            expect_sums(outputs, 1, n, trips);
        }
    expect_code(context, run_sums(context, &model, 1, 3, -5, outputs), LATHE_OK);
    expect_sums(outputs, 1, 3, 0);
    expect_code(context, run_sums(context, &model, 90, 3, INT64_MAX, outputs), LATHE_OK); /* 90 + 0 + 1 + 2 + 3 + 4 = 100 */
    expect_sums(outputs, 90, 3, 5);
    expect_code(context, run_sums(context, &model, 1, 0, 3, outputs), LATHE_OK);
    expect_floats(&outputs[1], 2, DIMS(3, 0), NULL);
    lathe_rt_close(context);
}

Test(script, a_failing_kernel_ends_the_run_and_not_the_context)
{
    Scripted model;
    sums_make(&model);
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1});
    lathe_value outputs[2];
    expect_code(context, run_sums(context, &model, 7, 3, 9, outputs), LATHE_E_INDEX); /* 7 + 0 + 1 + 2 + 3 = 13 */
    cr_assert_str_eq(lathe_rt_script_api.error_text(context), "node 'node': an index is out of range");
    cr_assert_null(lathe_rt_output(context, 0));
    expect_code(context, run_sums(context, &model, 7, 3, 3, outputs), LATHE_OK);
    expect_sums(outputs, 7, 3, 3);
    lathe_rt_close(context);
}

Test(script, a_loop_without_end_is_stopped)
{
    Scripted model;
    sums_make(&model);
    lathe_value outputs[2];
    int32_t stop = 0;
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1, .loop_limit = 100, .stop = &stop});
    expect_code(context, run_sums(context, &model, 0, 0, INT64_MAX, outputs), LATHE_E_STOPPED);
    cr_assert_str_eq(lathe_rt_script_api.error_text(context), "node 'Loop_0': the loop wants more than 100 iterations, the limit");
    expect_code(context, run_sums(context, &model, 0, 0, 100, outputs), LATHE_OK);
    stop = 1;
    expect_code(context, run_sums(context, &model, 0, 0, 100, outputs), LATHE_E_STOPPED);
    lathe_rt_close(context);
}

/* --- the heap --------------------------------------------------------------------------------------------------------------- */

Test(script, the_heap_has_a_limit)
{
    Scripted model;
    sums_make(&model);
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1, .heap_limit = 64 * 1024});
    lathe_value outputs[2];
    expect_code(context, run_sums(context, &model, 0, 512, 2, outputs), LATHE_OK);
    expect_sums(outputs, 0, 512, 2);
    cr_assert_leq(lathe_rt_script_api.heap_bytes(context), 64 * 1024);
    expect_code(context, run_sums(context, &model, -4000, 512, 70, outputs), LATHE_E_MEMORY);
    const char *text = lathe_rt_script_api.error_text(context);
    cr_assert_not_null(strstr(text, "node 'Loop_0': "), "%s", text);
    cr_assert_not_null(strstr(text, "the limit of the heap is 65536 bytes"), "%s", text);
    expect_code(context, run_sums(context, &model, 0, 512, 2, outputs), LATHE_OK);
    expect_sums(outputs, 0, 512, 2);
    lathe_rt_close(context);
}

Test(script, intermediate_results_have_the_limit_too)
{
    Scripted model;
    sums_make(&model);
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1, .heap_limit = 2000});
    lathe_value outputs[2];
    expect_code(context, run_sums(context, &model, 0, 512, 2, outputs), LATHE_E_MEMORY);
    cr_assert_str_eq(lathe_rt_script_api.error_text(context),
                     "node 'Add_1': intermediate results take 2048 bytes, the limit of the heap is 2000 bytes");
    lathe_rt_close(context);
}

Test(script, memory_is_used_again)
{
    Scripted model;
    list_make(&model);
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1});
    uint64_t held = 0;
    for (int i = 0; i < 50; i++) {
        float x[] = {1, 2, 3};
        int64_t n = 3, trips = 9, last = -1;
        lathe_value outputs[4];
        expect_code(context, run(context, &model, (lathe_value[]){script_floats(x, &n), script_integer(&trips), script_integer(&last)},
                                 outputs), LATHE_OK);
        if (i == 1)
            held = lathe_rt_script_api.heap_bytes(context);
        cr_assert(i < 1 || lathe_rt_script_api.heap_bytes(context) == held);
    }
    lathe_rt_close(context);
}

/* --- sequences -------------------------------------------------------------------------------------------------------------- */

Test(script, sequences_grow_in_a_loop)
{
    Scripted model;
    list_make(&model);
    lathe_context *context = open_with(&model.model, (lathe_options){.threads = 1});
    float x[] = {1, -1};
    int64_t n = 2, trips = 4, at = -2;
    lathe_value outputs[4];
    const lathe_value inputs[] = {script_floats(x, &n), script_integer(&trips), script_integer(&at)};
    expect_code(context, run(context, &model, inputs, outputs), LATHE_OK);
    const float all[] = {1, -1, 2, 0, 4, 2, 7, 5};
    cr_assert_eq(outputs[0].form, LATHE_SEQUENCE);
    cr_assert_eq(outputs[0].count, 4);
    for (int i = 0; i < 4; i++)
        expect_floats(&outputs[0].items[i], 1, DIMS(2), all + i * 2);
    cr_assert_eq(*(const int64_t *)outputs[1].tensor.data, 4);
    expect_floats(&outputs[2], 1, DIMS(2), all + 4);
    expect_floats(&outputs[3], 1, DIMS(8), all);
    at = 4;
    expect_code(context, run(context, &model, inputs, outputs), LATHE_E_INDEX);
    cr_assert_str_eq(lathe_rt_script_api.error_text(context), "node 'SequenceAt_5': position 4 is outside of a sequence of 4");
    trips = 0;
    expect_code(context, run(context, &model, inputs, outputs), LATHE_E_INDEX);
    lathe_rt_close(context);
}

/* --- threads ---------------------------------------------------------------------------------------------------------------- */

Test(script, regions_share_a_pool)
{
    Scripted model;
    sums_make(&model);
    lathe_context *contexts[2] = {open_with(&model.model, (lathe_options){.threads = 4}),
                                  open_with(&model.model, (lathe_options){.threads = 2})};
    lathe_value outputs[2];
    for (int i = 0; i < 200; i++) {
        expect_code(contexts[i % 2], run_sums(contexts[i % 2], &model, 1, 1 + i % 30, i % 9, outputs), LATHE_OK);
        expect_sums(outputs, 1, 1 + i % 30, i % 9);
    }
    lathe_rt_close(contexts[0]);
    lathe_rt_close(contexts[1]);
}

Test(script, regions_take_turns_in_a_pool)
{
    Scripted model;
    turns_make(&model);
    lathe_context *contexts[2] = {open_with(&model.model, (lathe_options){.threads = 4}),
                                  open_with(&model.model, (lathe_options){.threads = 3})};
    for (int i = 0; i < 300; i++)
        cr_assert_eq(turns_run(contexts[i % 2], 1 + i * 7 % 1000, i % 6), LATHE_OK, "run %d: %s", i,
                     lathe_rt_script_api.error_text(contexts[i % 2]));
    lathe_rt_close(contexts[0]);
    lathe_rt_close(contexts[1]);
    cr_assert_null(model.instance);
}
