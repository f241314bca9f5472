/* Host functions of optional values and constants. An optional value that is there is its content. */
#include "runtime/host.h"
#include "runtime/libc.h"
#include "runtime/script.h"

/* A tensor that the compiler knows and that regions cannot hold, such as strings. */
int lathe_host_Constant(Run *run, const lathe_step *step)
{
    const lathe_attribute *attribute = step_attribute(step, "value");
    if (attribute == NULL || attribute->tensor == NULL)
        return run_fail(run, step, LATHE_E_ARGUMENT, "the constant has no value");
    const lathe_constant *constant = attribute->tensor;
    Value *value = value_tensor(run, step, constant->dtype, constant->rank, constant->dims);
    if (value == NULL)
        return LATHE_E_MEMORY;
    if (constant->dtype == DTYPE_STRING)
        for (int64_t i = 0; i < value->count; i++)
            string_set(value, i, ((const char *const *)constant->data)[i]);
    else if (value->bytes > 0)
        memcpy(value->data, constant->data, value->bytes);
    run_give(run, step, 0, value);
    return LATHE_OK;
}

int lathe_host_Optional(Run *run, const lathe_step *step)
{
    Value *content = run_value(run, step, 0);
    Value *value = content != NULL ? value_retain(content) : value_nothing(run, step);
    if (value == NULL)
        return LATHE_E_MEMORY;
    run_give(run, step, 0, value);
    return LATHE_OK;
}

int lathe_host_OptionalGetElement(Run *run, const lathe_step *step)
{
    Value *content = run_value(run, step, 0);
    if (content == NULL || content->form == LATHE_NOTHING)
        return run_fail(run, step, LATHE_E_ARGUMENT, "the optional value is not there");
    run_give(run, step, 0, value_retain(content));
    return LATHE_OK;
}

int lathe_host_OptionalHasElement(Run *run, const lathe_step *step)
{
    const Value *content = run_value(run, step, 0);
    void *data;
    const int code = run_tensor(run, step, 0, DTYPE_BOOL, 0, NULL, &data);
    if (code == LATHE_OK && data != NULL)
        *(unsigned char *)data = content != NULL && content->form != LATHE_NOTHING;
    return code;
}
