/* Functions of the model's user that a step calls: operators of --custom files with the word external. */
#include "runtime/libc.h"
#include "runtime/script.h"

enum { TENSORS_MOST = 32 };

int lathe_rt_external(Run *run, const lathe_step *step, lathe_external *function);
int lathe_host_External(Run *run, const lathe_step *step);

static void describe(const Value *value, lathe_tensor *tensor)
{
    *tensor = (lathe_tensor){.data = value->data, .device = {1, 0}, .shape = (int64_t *)(uintptr_t)value->dims};
    tensor->ndim = value->rank;
    tensor_type(value->dtype, tensor);
}

/* Inputs of the step: those of the operator, then for each result a tensor that holds its dims; element types are the attribute dtypes. */
int lathe_rt_external(Run *run, const lathe_step *step, lathe_external *function)
{
    lathe_tensor inputs[TENSORS_MOST], outputs[TENSORS_MOST];
    Value *made[TENSORS_MOST];
    const lathe_attribute *const dtypes = step_attribute(step, "dtypes"), *const values = step_attribute(step, "values");
    const int32_t count = dtypes ? (int32_t)dtypes->count : 0, own = step->input_count - count;
    int code = own < 0 || own > TENSORS_MOST || count > TENSORS_MOST ? LATHE_E_ARGUMENT : LATHE_OK;
    int32_t done = 0;
    for (int32_t i = 0; i < own && code == LATHE_OK; i++) {
        Value *value;
        code = run_want_tensor(run, step, i, 0, &value);
        if (code == LATHE_OK)
            describe(value, &inputs[i]);
    }
    for (int32_t i = 0; i < count && code == LATHE_OK; i++) {
        Value *dims;
        code = run_want_tensor(run, step, own + i, DTYPE_INT64, &dims);
        if (code != LATHE_OK)
            break;
        made[i] = value_tensor(run, step, (int32_t)dtypes->integers[i], (int32_t)dims->count, dims->data);
        if (!made[i])
            code = LATHE_E_MEMORY;
        else
            describe(made[done++], &outputs[i]);
    }
    if (code == LATHE_OK) {
        const int answer = function(inputs, own, outputs, count, values ? values->reals : NULL);
        if (answer != 0)
            code = run_fail(run, step, LATHE_E_STATE, "the function gave %i", (int64_t)answer);
    }
    for (int32_t i = 0; i < done; i++)
        if (code == LATHE_OK)
            run_give(run, step, i, made[i]);
        else
            value_release(run, made[i]);
    return code;
}

/* Where the function itself is not there: the interpreter. */
int lathe_host_External(Run *run, const lathe_step *step)
{
    return run_fail(run, step, LATHE_E_STATE, "functions of the user's own run in compiled models only");
}
