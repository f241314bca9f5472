/* Symbolic dimensions: any shape in range runs and is right, in any order and with any number of threads; others are refused. */
#include <criterion/criterion.h>

#include "symbolic.h"

static const lathe_api *const api = &lathe_rt_api;

static lathe_context *open_symbolic(int threads)
{
    int error = 1;
    lathe_context *context = lathe_rt_open(&symbolic_model, &(lathe_options){.size = sizeof(lathe_options), .threads = threads},
                                           &error);
    cr_assert_not_null(context, "error %d", error);
    return context;
}

Test(symbolic, shapes_in_any_order)
{
    for (int threads = 0; threads <= 3; threads++) {
        lathe_context *context = open_symbolic(threads);
        uint64_t random = 7;
        for (int run = 0; run < 400; run++) {
            random = mix(random + 1);
            const int64_t batch = 3 + (int64_t)(random % (run % 3 == 0 ? 397 : 6)); /* a few that come again, and others */
            const int64_t n = (int64_t)(random >> 20) % 5 - 2;
            cr_expect_eq(symbolic_run(context, batch, n, run % 2), 0, "%d threads, batch %d, n %d", threads, (int)batch, (int)n);
        }
        lathe_rt_close(context);
    }
    cr_expect_null(symbolic_instance);
}

Test(symbolic, one_run_per_growing_shape)
{
    lathe_context *context = open_symbolic(0);
    for (int64_t batch = 3; batch < 400; batch++)
        cr_expect_eq(symbolic_run(context, batch, -2, 0), 0);
    cr_expect_geq(api->arena_bytes(context), 399 * 12);
    lathe_rt_close(context);
}

static const struct {
    int64_t batch, n;
    int code;
    const char *text;
} refused[] = {
    {0, 0, LATHE_E_SHAPE, "input 'x': dim 0 (batch) is 0 but must be 1 to 1000000"},
    {-1, 0, LATHE_E_SHAPE, "input 'x': dim 0 (batch) is -1 but must be 1 to 1000000"},
    {1, 101, LATHE_E_SHAPE, "input 'extra': element 1 (n) is 101 but must be -2 to 100"},
    {1, INT64_MIN, LATHE_E_SHAPE, "input 'extra': element 1 (n) is -9223372036854775808 but must be -2 to 100"},
    {1, -1, LATHE_E_SHAPE, "node 'Pad_1': batch + n must be positive"},
    {2, -2, LATHE_E_SHAPE, "node 'Pad_1': batch + n must be positive"},
};

Test(symbolic, values_out_of_range_are_refused)
{
    lathe_context *context = open_symbolic(2);
    for (size_t i = 0; i < COUNT(refused); i++) {
        cr_expect_eq(symbolic_run(context, refused[i].batch, refused[i].n, 0), refused[i].code);
        cr_expect_str_eq(api->error_text(context), refused[i].text, "%s", api->error_text(context));
        cr_expect_eq(symbolic_run(context, 5, 1, 1), 0, "the context still works");
    }
    float x[3] = {0}, y[30];
    const int64_t extra[2] = {0, 0}, batch[] = {1, 0};
    void *outputs[] = {y};
    cr_expect_eq(lathe_rt_run(context, (const void *[]){x, extra, NULL}, outputs, NULL), LATHE_E_NULL);
    cr_expect_str_eq(api->error_text(context), "the dimensions are NULL, but 'batch' is needed");
    cr_expect_eq(lathe_rt_run(context, (const void *[]){x, NULL, NULL}, outputs, batch), LATHE_E_NULL);
    cr_expect_str_eq(api->error_text(context), "input 'extra' is NULL");
    lathe_rt_close(context);
}

/* --- DLPack and shapes ------------------------------------------------------------------------------------------------------- */

typedef struct Tensors {
    float x[30], y[60];
    int64_t extra[2], x_shape[2], extra_shape[1], y_shape[2];
    lathe_tensor tensors[3];
    lathe_tensor *inputs[3], *outputs[1];
} Tensors;

static void tensors_make(Tensors *t, int64_t batch, int64_t n, int64_t rows)
{
    *t = (Tensors){.extra = {0, n}, .x_shape = {batch, 3}, .extra_shape = {2}, .y_shape = {rows, 3}};
    for (int i = 0; i < 30; i++)
        t->x[i] = (float)i;
    t->tensors[0] = (lathe_tensor){.data = t->x, .device = {1, 0}, .ndim = 2, .dtype = {2, 32, 1}, .shape = t->x_shape};
    t->tensors[1] = (lathe_tensor){.data = t->extra, .device = {1, 0}, .ndim = 1, .dtype = {0, 64, 1}, .shape = t->extra_shape};
    t->tensors[2] = (lathe_tensor){.data = t->y, .device = {1, 0}, .ndim = 2, .dtype = {2, 32, 1}, .shape = t->y_shape};
    t->inputs[0] = &t->tensors[0];
    t->inputs[1] = &t->tensors[1];
    t->outputs[0] = &t->tensors[2];
}

Test(symbolic, dlpack_shapes_give_the_symbols)
{
    lathe_context *context = open_symbolic(1);
    Tensors t;
    tensors_make(&t, 10, 5, 15);
    cr_expect_eq(api->run_dl(context, t.inputs, 3, t.outputs, 1), LATHE_OK, "%s", api->error_text(context));
    for (int i = 0; i < 45; i++)
        cr_expect_eq(t.y[i], i < 30 ? 2.0f * (float)i : -1.0f);
    tensors_make(&t, 10, 5, 14);
    cr_expect_eq(api->run_dl(context, t.inputs, 3, t.outputs, 1), LATHE_E_SHAPE);
    cr_expect_str_eq(api->error_text(context), "output 'y': dim 0 is 14 but must be 15");
    cr_expect_eq(t.y[0], 0.0f, "untouched");
    tensors_make(&t, -5, 5, 0);
    cr_expect_eq(api->run_dl(context, t.inputs, 3, t.outputs, 1), LATHE_E_SHAPE);
    cr_expect_str_eq(api->error_text(context), "input 'x': dim 0 is -5 but must not be negative");
    tensors_make(&t, 2000000, 5, 0);
    cr_expect_eq(api->run_dl(context, t.inputs, 3, t.outputs, 1), LATHE_E_SHAPE);
    cr_expect_str_eq(api->error_text(context), "input 'x': dim 0 (batch) is 2000000 but must be 1 to 1000000");
    tensors_make(&t, 10, 5, 15);
    t.extra_shape[0] = 1; /* n would lie behind the end */
    cr_expect_eq(api->run_dl(context, t.inputs, 3, t.outputs, 1), LATHE_E_SHAPE);
    cr_expect_str_eq(api->error_text(context), "input 'extra': dim 0 is 1 but must be 2");
    tensors_make(&t, 10, 5, 15);
    t.inputs[0] = NULL;
    cr_expect_eq(api->run_dl(context, t.inputs, 3, t.outputs, 1), LATHE_E_NULL);
    lathe_rt_close(context);
}

Test(symbolic, output_shapes_can_be_asked_for)
{
    lathe_context *context = open_symbolic(1);
    Tensors t;
    int64_t dims[2] = {0, 0};
    cr_expect_eq(api->output_dims(context, (int64_t[]){7, 4}, 0, dims), LATHE_OK);
    cr_expect_eq(dims[0], 11);
    cr_expect_eq(dims[1], 3);
    cr_expect_eq(api->output_dims(context, (int64_t[]){7, 4}, 1, dims), LATHE_E_COUNT);
    cr_expect_eq(api->output_dims(context, (int64_t[]){7, 4}, -1, dims), LATHE_E_COUNT);
    cr_expect_eq(api->output_dims(context, NULL, 0, dims), LATHE_E_NULL);
    cr_expect_eq(api->output_dims(context, (int64_t[]){7, 4}, 0, NULL), LATHE_E_NULL);
    cr_expect_eq(api->output_dims(context, (int64_t[]){0, 4}, 0, dims), LATHE_E_SHAPE);

    tensors_make(&t, 9, 2, 0);
    t.tensors[2].ndim = 0;
    t.tensors[2].dtype.bits = 0;
    cr_expect_eq(api->output_dims_dl(context, t.inputs, 3, t.outputs, 1), LATHE_OK);
    cr_expect_eq(t.tensors[2].ndim, 2);
    cr_expect_eq(t.y_shape[0], 11);
    cr_expect_eq(t.y_shape[1], 3);
    cr_expect_eq(t.tensors[2].dtype.code, 2);
    cr_expect_eq(t.tensors[2].dtype.bits, 32);
    cr_expect_eq(api->output_dims_dl(context, t.inputs, 3, t.outputs, 2), LATHE_E_COUNT);
    t.tensors[2].shape = NULL;
    cr_expect_eq(api->output_dims_dl(context, t.inputs, 3, t.outputs, 1), LATHE_E_NULL);

    cr_expect_eq(lathe_rt_output_elements(&symbolic_model, (int64_t[]){7, 4}, 0), 33);
    cr_expect_eq(lathe_rt_output_elements(&symbolic_model, (int64_t[]){7, 4}, 1), LATHE_E_COUNT);
    cr_expect_eq(lathe_rt_output_elements(&symbolic_model, (int64_t[]){0, 4}, 0), LATHE_E_SHAPE);
    cr_expect_eq(lathe_rt_output_elements(&symbolic_model, (int64_t[]){1, -2}, 0), LATHE_E_SHAPE, "the check fails");
    cr_expect_eq(lathe_rt_output_elements(&symbolic_model, NULL, 0), LATHE_E_NULL);
    cr_expect_eq(lathe_rt_output_elements(&affine_model, NULL, 0), 64);
    lathe_rt_close(context);
}

/* --- variations of the model -------------------------------------------------------------------------------------------------- */

Test(symbolic, no_rows_at_all)
{
    static const lathe_symbol symbols[] = {{"batch", 0, 0, 0, 0, 100}, {"n", 1, 1, 1, 0, 100}};
    lathe_program program = symbolic_program;
    lathe_model_v1 model = symbolic_model;
    program.symbols = symbols;
    program.check_count = 0;
    model.program = &program;
    for (int threads = 1; threads <= 2; threads++) {
        int error;
        lathe_context *context = lathe_rt_open(&model, &(lathe_options){.size = sizeof(lathe_options), .threads = threads}, &error);
        Tensors t;
        tensors_make(&t, 0, 2, 2);
        int64_t strides[] = {-5, 77}; /* of no meaning without elements */
        t.tensors[0].data = NULL;
        t.tensors[0].strides = strides;
        cr_expect_eq(api->run_dl(context, t.inputs, 3, t.outputs, 1), LATHE_OK, "%s", api->error_text(context));
        cr_expect_eq(t.y[5], -1.0f);
        cr_expect_eq(t.y[6], 0.0f);
        tensors_make(&t, 0, 0, 0);
        t.tensors[2].data = NULL;
        cr_expect_eq(api->run_dl(context, t.inputs, 3, t.outputs, 1), LATHE_OK, "%s", api->error_text(context));
        cr_expect_eq(symbolic_run(context, 4, 1, 1), 0);
        lathe_rt_close(context);
    }
}

Test(symbolic, symbols_can_be_int32_elements)
{
    static const lathe_tensor_info inputs[] = {
        {"x", 1, 32, 2, 0, symbolic_x, NULL, 0, V_X_BYTES},
        {"extra", 6, 32, 1, 0, symbolic_extra, NULL, 2, V_TWELVE},
        {"bias", 1, 32, 1, 1, symbolic_bias, NULL, 3, V_TWELVE},
    };
    lathe_program program = symbolic_program;
    lathe_model_v1 model = symbolic_model;
    program.inputs = inputs;
    model.program = &program;
    int error;
    lathe_context *context = lathe_rt_open(&model, NULL, &error);
    Tensors t;
    tensors_make(&t, 4, 0, 2);
    const int32_t extra[] = {1000, -2};
    memcpy(t.extra, extra, sizeof extra);
    t.tensors[1].dtype.bits = 32;
    cr_expect_eq(api->run_dl(context, t.inputs, 3, t.outputs, 1), LATHE_OK, "%s", api->error_text(context));
    lathe_rt_close(context);
}

Test(symbolic, optional_inputs_of_which_a_symbol_comes_are_needed)
{
    static const lathe_tensor_info inputs[] = {
        {"x", 1, 32, 2, 1, symbolic_x, NULL, 0, V_X_BYTES},
        {"extra", 7, 64, 1, 0, symbolic_extra, NULL, 2, V_SIXTEEN},
        {"bias", 1, 32, 1, 1, symbolic_bias, NULL, 3, V_TWELVE},
    };
    lathe_program program = symbolic_program;
    lathe_model_v1 model = symbolic_model;
    program.inputs = inputs;
    model.program = &program;
    int error;
    lathe_context *context = lathe_rt_open(&model, NULL, &error);
    Tensors t;
    tensors_make(&t, 4, 0, 4);
    t.inputs[0] = NULL;
    cr_expect_eq(api->run_dl(context, t.inputs, 3, t.outputs, 1), LATHE_E_NULL);
    cr_expect_str_eq(api->error_text(context), "input 'x' is NULL, but its dim 0 gives 'batch'");
    lathe_rt_close(context);
}

Test(symbolic, arenas_of_megabytes)
{
    enum { BATCH = 400000 };
    float *x = calloc(BATCH * 3, sizeof *x), *y = calloc(BATCH * 3, sizeof *y);
    cr_assert(x != NULL && y != NULL);
    for (int i = 0; i < BATCH * 3; i++)
        x[i] = (float)(i % 1000);
    const int64_t extra[] = {0, 0}, symbols[] = {BATCH, 0};
    lathe_context *context = open_symbolic(0);
    cr_expect_eq(lathe_rt_run(context, (const void *[]){x, extra, NULL}, (void *[]){y}, symbols), LATHE_OK);
    int wrong = 0;
    for (int i = 0; i < BATCH * 3; i++)
        wrong += y[i] != 2.0f * (float)(i % 1000);
    cr_expect_eq(wrong, 0);
    cr_expect_eq(api->arena_bytes(context), BATCH * 12);
    cr_expect_eq(symbolic_run(context, 5, 1, 1), 0);
    lathe_rt_close(context);
    free(x);
    free(y);
}

/* --- sizes that do not fit ---------------------------------------------------------------------------------------------------- */

static void huge_instantiate(void *const *buffers, const int64_t *symbols, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    symbolic_instantiate(buffers, symbols, begin, end, scratch, error);
    if (symbols[0] == 2)
        ((int64_t *)buffers[0])[V_X_BYTES] = INT64_MAX - 3;
    if (symbols[0] == 3)
        ((int64_t *)buffers[0])[V_X_BYTES] = INT64_MIN;
    if (symbols[0] == 4)
        *error = LATHE_E_SHAPE;
}

Test(symbolic, sizes_that_fit_nowhere_are_errors)
{
    lathe_program program = symbolic_program;
    lathe_model_v1 model = symbolic_model;
    program.instantiate = huge_instantiate;
    model.program = &program;
    int error;
    lathe_context *context = lathe_rt_open(&model, NULL, &error);
    cr_assert_not_null(context);
    cr_expect_eq(symbolic_run(context, 2, 0, 0), LATHE_E_MEMORY);
    cr_expect_eq(symbolic_run(context, 3, 0, 0), LATHE_E_SHAPE);
    cr_expect_str_eq(api->error_text(context), "input 'x' is too large: its size does not fit into 63 bits");
    cr_expect_eq(symbolic_run(context, 4, 0, 0), LATHE_E_SHAPE);
    cr_expect_eq(symbolic_run(context, 5, 0, 0), 0);
    lathe_rt_close(context);
}
