/* A symbolic model by hand: x f32[batch, 3], extra i64[2], optional bias f32[3] -> y f32[batch + n, 3] with n = extra[1].
 * t = 2 x (in the arena); y = t, then n rows of -1, plus the bias if there is one. batch is 1 to 1000000, n is -2 to 100, and a
 * check wants batch + n > 0. */
#ifndef LATHE_TEST_RUNTIME_SYMBOLIC_H
#define LATHE_TEST_RUNTIME_SYMBOLIC_H

#include "fixture.h"

enum { V_BATCH, V_ROWS, V_THREE, V_X_BYTES, V_Y_BYTES, V_TWO, V_SIXTEEN, V_TWELVE, V_WORK, V_POSITIVE, V_COUNT };

static inline void symbolic_instantiate(void *const *buffers, const int64_t *symbols, int64_t begin, int64_t end, void *scratch,
                                        int32_t *error)
{
    int64_t *values = buffers[0];
    (void)begin, (void)end, (void)scratch, (void)error;
    values[V_BATCH] = symbols[0];
    values[V_ROWS] = symbols[0] + symbols[1];
    values[V_X_BYTES] = symbols[0] * 12;
    values[V_Y_BYTES] = values[V_ROWS] * 12;
    values[V_WORK] = symbols[0] * 4000;
    values[V_POSITIVE] = values[V_ROWS] > 0;
}

/* buffers: x, t; a unit is a row */
static inline void symbolic_double(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch,
                                   int32_t *error)
{
    const float *x = buffers[0];
    float *t = buffers[1];
    (void)dims, (void)scratch, (void)error;
    for (int64_t i = begin * 3; i < end * 3; i++)
        t[i] = 2.0f * x[i];
}

/* buffers: t, bias or NULL, y; dims: batch; a unit is a row */
static inline void symbolic_pad(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch,
                                int32_t *error)
{
    const float *t = buffers[0], *bias = buffers[1];
    float *y = buffers[2];
    (void)scratch, (void)error;
    for (int64_t row = begin; row < end; row++)
        for (int64_t i = 0; i < 3; i++)
            y[row * 3 + i] = (row < dims[0] ? t[row * 3 + i] : -1.0f) + (bias != NULL ? bias[i] : 0.0f);
}

static const int64_t symbolic_values[V_COUNT] = {[V_THREE] = 3, [V_TWO] = 2, [V_SIXTEEN] = 16, [V_TWELVE] = 12};
static const uint32_t symbolic_value_refs[] = {V_BATCH, V_THREE, V_TWO, V_THREE, V_ROWS, V_THREE, V_BATCH};
static const int64_t symbolic_x[] = {-1, 3}, symbolic_extra[] = {2}, symbolic_bias[] = {3}, symbolic_y[] = {-1, 3};
static const lathe_tensor_info symbolic_inputs[] = {
    {"x", 1, 32, 2, 0, symbolic_x, NULL, 0, V_X_BYTES},
    {"extra", 7, 64, 1, 0, symbolic_extra, NULL, 2, V_SIXTEEN},
    {"bias", 1, 32, 1, 1, symbolic_bias, NULL, 3, V_TWELVE},
};
static const lathe_tensor_info symbolic_outputs[] = {{"y", 1, 32, 2, 0, symbolic_y, NULL, 4, V_Y_BYTES}};
static const lathe_symbol symbolic_symbols[] = {{"batch", 0, 0, 0, 1, 1000000}, {"n", 1, 1, 1, -2, 100}};
static const lathe_buffer symbolic_buffers[] = {
    {LATHE_PLACE_INPUT, 0, 0}, {LATHE_PLACE_ARENA, 0, 0}, {LATHE_PLACE_INPUT, 2, 0}, {LATHE_PLACE_OUTPUT, 0, 0}};
static const uint32_t symbolic_buffer_refs[] = {0, 1, 1, 2, 3};
static const uint32_t symbolic_deps[] = {0};
static const uint32_t symbolic_slots[] = {V_X_BYTES};
static const lathe_check symbolic_checks[] = {{V_POSITIVE, LATHE_E_SHAPE, "node 'Pad_1': batch + n must be positive"}};
static const lathe_launch symbolic_launches[] = {
    {.kernel = 0, .buffers_first = 0, .buffers_count = 2, .units_value = {V_BATCH}, .work_value = V_WORK, .name = "Mul_0"},
    {.kernel = 1, .buffers_first = 2, .buffers_count = 3, .dims_first = 6, .dims_count = 1, .deps_count = 1,
     .units_value = {V_ROWS}, .work_value = V_WORK, .name = "Pad_1"},
};
static lathe_kernel *const symbolic_kernels[] = {symbolic_double, symbolic_pad};
static const lathe_level symbolic_levels[] = {{"x86-64", 0, symbolic_kernels, 0}};
static const lathe_program symbolic_program = {
    .abi = LATHE_RUNTIME_ABI, .input_count = 3, .output_count = 1, .symbol_count = 2, .value_count = V_COUNT, .buffer_count = 4,
    .launch_count = 2, .slot_count = 1, .check_count = 1, .level_count = 1, .kernel_count = 2, .name = "symbolic",
    .inputs = symbolic_inputs, .outputs = symbolic_outputs, .symbols = symbolic_symbols, .values = symbolic_values,
    .instantiate = symbolic_instantiate, .buffers = symbolic_buffers, .launches = symbolic_launches,
    .buffer_refs = symbolic_buffer_refs, .value_refs = symbolic_value_refs, .dep_refs = symbolic_deps,
    .slot_bytes_value = symbolic_slots, .checks = symbolic_checks, .levels = symbolic_levels,
};
static void *symbolic_instance;
static const lathe_model_v1 symbolic_model = {
    .size = sizeof symbolic_model, .abi = LATHE_MODEL_ABI, .name = "symbolic", .input_count = 3, .output_count = 1,
    .symbol_count = 2, .launch_count = 2, .level_count = 1, .inputs = symbolic_inputs, .outputs = symbolic_outputs,
    .symbols = symbolic_symbols, .api = &lathe_rt_api, .program = &symbolic_program, .instance = &symbolic_instance,
};

/* Runs with plain pointers and compares with the sentence at the top: 0 right, 1 wrong, or the error. */
static inline int symbolic_run(lathe_context *context, int64_t batch, int64_t n, int with_bias)
{
    const float bias[3] = {0.5f, 0.25f, -8.0f};
    const int64_t extra[2] = {12345, n};
    static _Thread_local float x[1200], y[1503];
    if (batch > 400 || batch + n > 500)
        return 2;
    for (int i = 0; i < batch * 3; i++)
        x[i] = (float)(i % 7) - 3.0f;
    memset(y, 0, sizeof y);
    const void *inputs[] = {x, extra, with_bias ? bias : NULL};
    void *outputs[] = {y};
    const int64_t symbols[] = {batch, 999999}; /* n is read from the input */
    const int code = lathe_rt_run(context, inputs, outputs, symbols);
    if (code != LATHE_OK)
        return code;
    for (int64_t i = 0; i < (batch + n) * 3; i++) {
        const float expected = (i < batch * 3 ? 2.0f * x[i] : -1.0f) + (with_bias ? bias[i % 3] : 0.0f);
        if (y[i] != expected)
            return 1;
    }
    return y[(batch + n) * 3] != 0.0f; /* nothing behind the end */
}

#endif
