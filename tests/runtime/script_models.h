/* Four models with scripts. x is always f32[n], the model's first input. */
#ifndef LATHE_TEST_RUNTIME_SCRIPT_MODELS_H
#define LATHE_TEST_RUNTIME_SCRIPT_MODELS_H

#include "runtime/host.h"
#include "scripts.h"

/* --- kernels: dims are n, m ------------------------------------------------------------------------------------------------- */

static inline void kernel_count(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    const float *x = buffers[0];
    int64_t count = 0;
    (void)begin, (void)end, (void)scratch, (void)error;
    for (int64_t i = 0; i < dims[0]; i++)
        count += x[i] > 0;
    *(int64_t *)buffers[1] = count;
}

static inline void kernel_fill(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    const float *x = buffers[0];
    float *y = buffers[1];
    (void)begin, (void)end, (void)scratch, (void)error;
    for (int64_t i = 0; i < dims[0]; i++)
        if (x[i] > 0)
            *y++ = x[i];
}

/* a + iteration, by way of the arena; is the first element below 100? An error when it is 13. */
static inline void kernel_step(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    const float *a = buffers[0];
    const int64_t iteration = *(const int64_t *)buffers[1];
    float *result = buffers[2], *arena = buffers[4];
    (void)begin, (void)end, (void)scratch;
    for (int64_t i = 0; i < dims[0]; i++)
        arena[i] = (float)iteration;
    for (int64_t i = 0; i < dims[0]; i++)
        result[i] = a[i] + arena[i];
    *(bool *)buffers[3] = dims[0] == 0 || result[0] < 100;
    if (dims[0] > 0 && result[0] == 13)
        *error = LATHE_E_INDEX;
}

/* In units of an element, so that threads share it. */
static inline void kernel_double(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    (void)dims, (void)scratch, (void)error;
    for (int64_t i = begin; i < end; i++)
        ((float *)buffers[1])[i] = 2 * ((const float *)buffers[0])[i];
}

/* a plus an integer, in units of an element. */
static inline void kernel_increase(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    (void)dims, (void)scratch, (void)error;
    for (int64_t i = begin; i < end; i++)
        ((float *)buffers[2])[i] = ((const float *)buffers[0])[i] + (float)*(const int64_t *)buffers[1];
}

/* --- models ----------------------------------------------------------------------------------------------------------------- */

/* y = the positive elements of x */
static inline void positives_make(Scripted *model)
{
    static const lathe_bind binds[] = {{.slot = 1, .position = 0, .element = 1, .symbol = 1}};
    scripted_open(model);
    region_make(&model->regions[0], kernel_count, 1, 1, (const Kind[]){F_N, I_1});
    region_make(&model->regions[1], kernel_fill, 1, 1, (const Kind[]){F_N, F_M});
    lathe_step *count = scripted_step(model, 0, (lathe_step){.kind = LATHE_STEP_REGION, .name = "NonZero_0"}, LIST(0), LIST(1));
    count->binds = binds;
    count->bind_count = 1;
    scripted_ends(model, count, LIST(1));
    lathe_step *fill = scripted_step(model, 0, (lathe_step){.kind = LATHE_STEP_REGION, .target = 1, .name = "NonZero_0"}, LIST(0), LIST(2));
    scripted_ends(model, fill, LIST(0));
    scripted_body(model, 0, LIST(0), LIST(2));
    scripted_close(model, (const Kind[]){F_N, F_M}, 1, 2);
    model->bodies[0].binds = script_bind_n;
    model->bodies[0].bind_count = 1;
}

/* a = x; for i in 0 .. trips while a[0] < 100: a += i, part i is a -> a, parts */
static inline void sums_make(Scripted *model)
{
    scripted_open(model);
    region_make(&model->regions[0], kernel_step, 2, 2, (const Kind[]){F_N, I_0, F_N, B_0});
    lathe_step *loop = scripted_step(model, 0, (lathe_step){.kind = LATHE_STEP_LOOP, .target = 1, .name = "Loop_0"},
                                     LIST(1, LATHE_NO_SLOT, 0), LIST(7, 8));
    scripted_ends(model, loop, LIST(0, 1));
    lathe_step *step = scripted_step(model, 1, (lathe_step){.kind = LATHE_STEP_REGION, .name = "Add_1"}, LIST(4, 2), LIST(5, 6));
    scripted_ends(model, step, LIST(4, 2));
    scripted_body(model, 1, LIST(2, LATHE_NO_SLOT, 4), LIST(6, 5, 5));
    scripted_body(model, 0, LIST(0, 1), LIST(7, 8));
    scripted_close(model, (const Kind[]){F_N, I_0, F_N, F_M}, 2, 1);
    static const int64_t dims[] = {-1, -1};
    model->slots[8] = (lathe_slot){LATHE_TENSOR, 1, 2, dims};
    model->bodies[0].binds = script_bind_n;
    model->bodies[0].bind_count = 1;
}

/* y = c ? 2 x : x */
static inline void choice_make(Scripted *model)
{
    scripted_open(model);
    region_make(&model->regions[0], kernel_double, 1, 1, (const Kind[]){F_N, F_N});
    model->regions[0].launch.units_value[0] = S_N;
    model->regions[0].launch.work_value = S_MUCH;
    scripted_step(model, 0, (lathe_step){.kind = LATHE_STEP_IF, .target = 1, .name = "If_0"}, LIST(1), LIST(2));
    scripted_step(model, 1, (lathe_step){.kind = LATHE_STEP_REGION, .name = "Mul_1"}, LIST(0), LIST(3));
    scripted_step(model, 2, (lathe_step){.kind = LATHE_STEP_COPY}, LIST(0), LIST(4));
    scripted_body(model, 0, LIST(0, 1), LIST(2));
    scripted_body(model, 1, 0, NULL, LIST(3));
    scripted_body(model, 2, 0, NULL, LIST(4));
    scripted_close(model, (const Kind[]){F_N, B_0, F_N}, 3, 1);
    model->bodies[0].binds = script_bind_n;
    model->bodies[0].bind_count = 1;
}

/* for i in 0 .. trips: x = 2 (x + i) -> x; two regions in turns, each shared by threads */
static inline void turns_make(Scripted *model)
{
    scripted_open(model);
    region_make(&model->regions[0], kernel_increase, 2, 1, (const Kind[]){F_N, I_0, F_N});
    region_make(&model->regions[1], kernel_double, 1, 1, (const Kind[]){F_N, F_N});
    for (int i = 0; i < 2; i++) {
        model->regions[i].launch.units_value[0] = S_N;
        model->regions[i].launch.work_value = S_MUCH;
    }
    scripted_step(model, 0, (lathe_step){.kind = LATHE_STEP_LOOP, .target = 1, .name = "Loop_0"}, LIST(1, LATHE_NO_SLOT, 0), LIST(6));
    scripted_step(model, 1, (lathe_step){.kind = LATHE_STEP_REGION, .name = "Add_1"}, LIST(3, 2), LIST(4));
    scripted_step(model, 1, (lathe_step){.kind = LATHE_STEP_REGION, .target = 1, .name = "Mul_2"}, LIST(4), LIST(5));
    scripted_body(model, 1, LIST(2, LATHE_NO_SLOT, 3), LIST(LATHE_NO_SLOT, 5));
    scripted_body(model, 0, LIST(0, 1), LIST(6));
    scripted_close(model, (const Kind[]){F_N, I_0, F_N}, 2, 2);
    model->bodies[0].binds = script_bind_n;
    model->bodies[0].bind_count = 1;
}

/* Runs it on n elements; 0: right, 1: wrong, or the error. */
static inline int turns_run(lathe_context *context, int64_t n, int64_t trips)
{
    static _Thread_local float x[1000], y[1000];
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)i;
    const void *inputs[] = {x, &trips};
    const int code = lathe_rt_script_run(context, inputs, (void *[]){y}, &n);
    for (int64_t i = 0; i < n && code == LATHE_OK; i++) {
        float expected = (float)i;
        for (int64_t t = 0; t < trips; t++)
            expected = 2 * (expected + (float)t);
        if (y[i] != expected)
            return 1;
    }
    return code;
}

/* s = []; for i in 0 .. trips: s = s + [x + 0 + 1 .. + i] (while it is below 100) -> s, its length, its last item, all joined */
static inline void list_make(Scripted *model)
{
    static const lathe_attribute dtype[] = {{.name = "dtype", .integer = 1}};
    scripted_open(model);
    region_make(&model->regions[0], kernel_step, 2, 2, (const Kind[]){F_N, I_0, F_N, B_0});
    scripted_step(model, 0, (lathe_step){.kind = LATHE_STEP_HOST, .host = lathe_host_SequenceEmpty, .name = "SequenceEmpty_0",
                  .attributes = dtype, .attribute_count = 1}, 0, NULL, LIST(2));
    lathe_step *loop = scripted_step(model, 0, (lathe_step){.kind = LATHE_STEP_LOOP, .target = 1, .name = "Loop_1"},
                                     LIST(1, LATHE_NO_SLOT, 0, 2), LIST(LATHE_NO_SLOT, 3));
    scripted_ends(model, loop, LIST(0, 1, 2));
    lathe_step *step = scripted_step(model, 1, (lathe_step){.kind = LATHE_STEP_REGION, .name = "Add_2"}, LIST(11, 10), LIST(13, 14));
    scripted_ends(model, step, LIST(10, 11));
    lathe_step *insert = scripted_step(model, 1, (lathe_step){.kind = LATHE_STEP_HOST, .host = lathe_host_SequenceInsert,
                                       .name = "SequenceInsert_3"}, LIST(12, 13), LIST(15));
    scripted_ends(model, insert, LIST(12));
    scripted_body(model, 1, LIST(10, LATHE_NO_SLOT, 11, 12), LIST(14, 13, 15));
    scripted_step(model, 0, (lathe_step){.kind = LATHE_STEP_HOST, .host = lathe_host_SequenceLength, .name = "SequenceLength_4"},
                  LIST(3), LIST(4));
    scripted_step(model, 0, (lathe_step){.kind = LATHE_STEP_HOST, .host = lathe_host_SequenceAt, .name = "SequenceAt_5"},
                  LIST(3, 16), LIST(5));
    scripted_step(model, 0, (lathe_step){.kind = LATHE_STEP_HOST, .host = lathe_host_ConcatFromSequence, .name = "Concat_6"},
                  LIST(3), LIST(6));
    scripted_body(model, 0, LIST(0, 1, 16), LIST(3, 4, 5, 6));
    scripted_close(model, (const Kind[]){F_N, I_0, I_0, F_N, I_0, F_N, F_M}, 2, 1);
    model->slots[2].form = model->slots[3].form = model->slots[12].form = model->slots[15].form = LATHE_SEQUENCE;
    model->forms[3] = LATHE_SEQUENCE;
    model->bodies[0].binds = script_bind_n;
    model->bodies[0].bind_count = 1;
}

#endif
