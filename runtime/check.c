/* Is what the caller handed in what the model takes? Every refusal names the tensor and both values. */
#include "runtime/internal.h"
#include "runtime/libc.h"

enum { ITEM_RANK_MOST = 64 };

/* ONNX element type, DLPack's type code and bits. */
static const struct {
    int32_t dtype;
    uint8_t code, bits;
} type_rows[] = {
    {1, 2, 32},  {2, 1, 8},   {3, 0, 8},   {4, 1, 16},  {5, 0, 16},  {6, 0, 32},  {7, 0, 64},  {8, 3, 64},  {9, 6, 8},
    {10, 2, 16}, {11, 2, 64}, {12, 1, 32}, {13, 1, 64}, {14, 5, 64}, {15, 5, 128}, {16, 4, 16}, {17, 10, 8},
    {18, 11, 8}, {19, 12, 8}, {20, 13, 8}, {21, 1, 4},  {22, 0, 4},  {23, 17, 4}, {24, 14, 8}, {25, 1, 2}, {26, 0, 2},
};

enum { TYPE_ROWS = sizeof type_rows / sizeof type_rows[0] };

void tensor_type(int32_t dtype, lathe_tensor *tensor)
{
    for (int i = 0; i < TYPE_ROWS; i++)
        if (type_rows[i].dtype == dtype) {
            tensor->dtype.code = type_rows[i].code;
            tensor->dtype.bits = type_rows[i].bits;
            tensor->dtype.lanes = 1;
        }
}

int32_t dtype_bits(int32_t dtype)
{
    for (int i = 0; i < TYPE_ROWS; i++)
        if (type_rows[i].dtype == dtype)
            return type_rows[i].bits;
    return 0;
}

/* The ONNX type of a tensor, or 0. */
static int32_t dtype_of_tensor(const lathe_tensor *tensor)
{
    for (int i = 0; i < TYPE_ROWS; i++)
        if (type_rows[i].code == tensor->dtype.code && type_rows[i].bits == tensor->dtype.bits && tensor->dtype.lanes == 1)
            return type_rows[i].dtype;
    return 0;
}

/* "input" or "output" and its description, by number in context->tensors. */
typedef struct Role {
    const char *kind;
    const lathe_tensor_info *info;
} Role;

static Role role_of(const Context *context, uint32_t tensor)
{
    const lathe_program *program = context->program;
    if (tensor < program->input_count)
        return (Role){"input", &program->inputs[tensor]};
    return (Role){"output", &program->outputs[tensor - program->input_count]};
}

bool check_form(const Context *context, uint32_t tensor)
{
    const uint32_t inputs = context->program->input_count;
    const lathe_model_v1 *model = context->model;
    const int32_t *forms = tensor < inputs ? model->input_forms : model->output_forms;
    return context->main != context || forms == NULL || forms[tensor < inputs ? tensor : tensor - inputs] == LATHE_TENSOR;
}

/* --- symbols ---------------------------------------------------------------------------------------------------------------- */

int check_symbols(Context *context)
{
    const lathe_program *program = context->program;
    for (uint32_t i = 0; i < program->symbol_count; i++) {
        const lathe_symbol *symbol = &program->symbols[i];
        const int64_t value = context->symbols[i];
        if (value < symbol->minimum || value > symbol->maximum)
            return context_fail(context, LATHE_E_SHAPE, "input '%s': %s %i (%s) is %i but must be %i to %i",
                                program->inputs[symbol->input].name, symbol->element ? "element" : "dim",
                                (int64_t)symbol->position, symbol->name, value, symbol->minimum, symbol->maximum);
    }
    return LATHE_OK;
}

int check_symbol_elements(Context *context)
{
    const lathe_program *program = context->program;
    for (uint32_t i = 0; i < program->symbol_count; i++) {
        const lathe_symbol *symbol = &program->symbols[i];
        const lathe_tensor_info *info = &program->inputs[symbol->input];
        const unsigned char *data = context->tensors[symbol->input];
        if (!symbol->element)
            continue;
        if (data == NULL)
            return context_fail(context, LATHE_E_NULL, "input '%s' is NULL", info->name);
        if (context->tensor_on_device != NULL && context->tensor_on_device[symbol->input])
            return context_fail(context, LATHE_E_DEVICE, "input '%s' gives a size and must be in host memory", info->name);
        int32_t narrow;
        if (info->bits == 64) {
            memcpy(&context->symbols[i], data + (size_t)symbol->position * 8, 8);
        } else {
            memcpy(&narrow, data + (size_t)symbol->position * 4, 4);
            context->symbols[i] = narrow;
        }
    }
    return LATHE_OK;
}

/* --- addresses -------------------------------------------------------------------------------------------------------------- */

static int check_pointer(Context *context, const Role *role, const void *data, int64_t bytes)
{
    const lathe_tensor_info *info = role->info;
    if (data == NULL && bytes > 0 && !info->optional)
        return context_fail(context, LATHE_E_NULL, "%s '%s' is NULL", role->kind, info->name);
    const uintptr_t element = info->bits >= 8 ? (uintptr_t)info->bits / 8 : 1;
    if ((uintptr_t)data % element != 0)
        return context_fail(context, LATHE_E_ARGUMENT, "%s '%s' is at an address that is %i past a multiple of %i, the element size",
                            role->kind, info->name, (int64_t)((uintptr_t)data % element), (int64_t)element);
    if (bytes > 0 && (uintptr_t)data > UINTPTR_MAX - (uintptr_t)bytes)
        return context_fail(context, LATHE_E_ARGUMENT, "%s '%s' of %i bytes does not fit behind its address", role->kind,
                            info->name, bytes);
    return LATHE_OK;
}

static bool overlap(const void *a, int64_t a_bytes, const void *b, int64_t b_bytes)
{
    if (a == NULL || b == NULL || a_bytes <= 0 || b_bytes <= 0)
        return false;
    return (uintptr_t)a < (uintptr_t)b + (uintptr_t)b_bytes && (uintptr_t)b < (uintptr_t)a + (uintptr_t)a_bytes;
}

int check_pointers(Context *context, const Plan *plan, bool outputs)
{
    const lathe_program *program = context->program;
    const uint32_t count = program->input_count + (outputs ? program->output_count : 0);
    for (uint32_t i = 0; i < count; i++) {
        const Role role = role_of(context, i);
        const int64_t bytes = plan->values[role.info->bytes_value];
        if (!check_form(context, i))
            continue;
        const int code = check_pointer(context, &role, context->tensors[i], bytes);
        if (code != LATHE_OK)
            return code;
        /* Kernels may write an output before they have read everything else. */
        for (uint32_t k = 0; i >= program->input_count && k < i; k++) {
            const Role other = role_of(context, k);
            if (check_form(context, k) && overlap(context->tensors[i], bytes, context->tensors[k], plan->values[other.info->bytes_value]))
                return context_fail(context, LATHE_E_ARGUMENT, "output '%s' overlaps %s '%s'", role.info->name, other.kind,
                                    other.info->name);
        }
    }
    return LATHE_OK;
}

/* --- DLPack tensors --------------------------------------------------------------------------------------------------------- */

static int check_dl_strides(Context *context, const Role *role, const lathe_tensor *tensor)
{
    if (tensor->strides == NULL)
        return LATHE_OK;
    for (int32_t i = 0; i < tensor->ndim; i++)
        if (tensor->shape[i] == 0)
            return LATHE_OK;
    int64_t expected = 1;
    for (int32_t i = tensor->ndim - 1; i >= 0; i--) {
        if (tensor->shape[i] != 1 && tensor->strides[i] != expected)
            return context_fail(context, LATHE_E_SHAPE, "%s '%s': the stride of dim %i is %i but must be %i (row-major order)",
                                role->kind, role->info->name, (int64_t)i, tensor->strides[i], expected);
        if (__builtin_mul_overflow(expected, tensor->shape[i], &expected))
            return context_fail(context, LATHE_E_SHAPE, "%s '%s' has more than 2^63 elements", role->kind, role->info->name);
    }
    return LATHE_OK;
}

static bool on_host(const lathe_tensor *tensor)
{
    return tensor->device.device_type == DEVICE_HOST || tensor->device.device_type == DEVICE_HOST_PINNED;
}

int check_item(Context *context, const lathe_tensor_info *info, const lathe_tensor *tensor)
{
    const Role role = {"item of input", info};
    const int32_t dtype = dtype_of_tensor(tensor);
    if (!on_host(tensor))
        return context_fail(context, LATHE_E_DEVICE, "an item of input '%s' is not in host memory", info->name);
    if (dtype != info->dtype)
        return context_fail(context, LATHE_E_DTYPE, "an item of input '%s' is %s but must be %s", info->name, text_of_dtype(dtype),
                            text_of_dtype(info->dtype));
    if (tensor->ndim < 0 || tensor->ndim > ITEM_RANK_MOST || (tensor->ndim > 0 && tensor->shape == NULL))
        return context_fail(context, LATHE_E_SHAPE, "an item of input '%s' has rank %i or no shape", info->name, (int64_t)tensor->ndim);
    bool empty = false;
    for (int32_t i = 0; i < tensor->ndim; i++) {
        if (tensor->shape[i] < 0)
            return context_fail(context, LATHE_E_SHAPE, "item of input '%s': dim %i is %i but must not be negative", info->name, (int64_t)i,
                                tensor->shape[i]);
        empty |= tensor->shape[i] == 0;
    }
    const int code = check_dl_strides(context, &role, tensor);
    if (code != LATHE_OK || empty)
        return code;
    const uintptr_t element = info->bits >= 8 ? (uintptr_t)info->bits / 8 : 1;
    if (tensor->data == NULL || ((uintptr_t)tensor->data + tensor->byte_offset) % element != 0)
        return context_fail(context, tensor->data == NULL ? LATHE_E_NULL : LATHE_E_ARGUMENT,
                            "the data of an item of input '%s' is NULL or not aligned to %i bytes", info->name, (int64_t)element);
    return LATHE_OK;
}

/* Everything about one tensor that does not depend on symbols. */
static int check_dl_tensor(Context *context, const Role *role, const lathe_tensor *tensor)
{
    const lathe_tensor_info *info = role->info;
    if (tensor == NULL)
        return info->optional ? LATHE_OK : context_fail(context, LATHE_E_NULL, "%s '%s' is NULL", role->kind, info->name);
    const bool host = on_host(tensor);
    const lathe_device *device = context->program->device;
    if (!host && device != NULL && !device->holds(context, tensor))
        return context_fail(context, LATHE_E_DEVICE, "%s '%s' is on device %i of type %i, which the model does not run on", role->kind,
                            info->name, (int64_t)tensor->device.device_id, (int64_t)tensor->device.device_type);
    if (!host && device == NULL)
        return context_fail(context, LATHE_E_DEVICE, "%s '%s' is on device type %i but must be in host memory (%i)", role->kind,
                            info->name, (int64_t)tensor->device.device_type, (int64_t)DEVICE_HOST);
    const int32_t dtype = dtype_of_tensor(tensor);
    if (dtype != info->dtype)
        return context_fail(context, LATHE_E_DTYPE, "%s '%s' is %s (DLPack code %i, %i bits, %i lanes) but must be %s", role->kind,
                            info->name, text_of_dtype(dtype), (int64_t)tensor->dtype.code, (int64_t)tensor->dtype.bits,
                            (int64_t)tensor->dtype.lanes, text_of_dtype(info->dtype));
    if (tensor->ndim != info->rank)
        return context_fail(context, LATHE_E_SHAPE, "%s '%s' has rank %i but must have %i", role->kind, info->name,
                            (int64_t)tensor->ndim, (int64_t)info->rank);
    if (tensor->shape == NULL && info->rank > 0)
        return context_fail(context, LATHE_E_NULL, "%s '%s' has no shape", role->kind, info->name);
    for (int32_t i = 0; i < info->rank; i++)
        if (tensor->shape[i] < 0 || (info->dims[i] >= 0 && tensor->shape[i] != info->dims[i]))
            return context_fail(context, LATHE_E_SHAPE, info->dims[i] >= 0 ? "%s '%s': dim %i is %i but must be %i"
                                                                           : "%s '%s': dim %i is %i but must not be negative",
                                role->kind, info->name, (int64_t)i, tensor->shape[i], info->dims[i]);
    return check_dl_strides(context, role, tensor);
}

static int check_dl(Context *context, uint32_t first, uint32_t expected, lathe_tensor *const *tensors, int count)
{
    const char *kind = first == 0 ? "input" : "output";
    if (count < 0 || (uint32_t)count != expected)
        return context_fail(context, LATHE_E_COUNT, "%i %ss were given, but the model has %i", (int64_t)count, kind,
                            (int64_t)expected);
    if (tensors == NULL && expected > 0)
        return context_fail(context, LATHE_E_NULL, "the array of %ss is NULL", kind);
    for (uint32_t i = 0; i < expected; i++) {
        const Role role = role_of(context, first + i);
        const lathe_tensor *tensor = tensors[i];
        if (!check_form(context, first + i))
            continue;
        const int code = check_dl_tensor(context, &role, tensor);
        if (code != LATHE_OK)
            return code;
        if (context->tensor_on_device != NULL)
            context->tensor_on_device[first + i] = tensor != NULL && !on_host(tensor);
        unsigned char *data = tensor != NULL ? tensor->data : NULL;
        context->tensors[first + i] = data != NULL ? data + tensor->byte_offset : NULL;
    }
    return LATHE_OK;
}

int check_dl_inputs(Context *context, lathe_tensor *const *inputs, int count)
{
    const lathe_program *program = context->program;
    const int code = check_dl(context, 0, program->input_count, inputs, count);
    if (code != LATHE_OK)
        return code;
    for (uint32_t i = 0; i < program->symbol_count; i++) {
        const lathe_symbol *symbol = &program->symbols[i];
        if (symbol->element)
            continue;
        if (inputs[symbol->input] == NULL)
            return context_fail(context, LATHE_E_NULL, "input '%s' is NULL, but its dim %i gives '%s'",
                                program->inputs[symbol->input].name, (int64_t)symbol->position, symbol->name);
        context->symbols[i] = inputs[symbol->input]->shape[symbol->position];
    }
    return LATHE_OK;
}

int check_dl_outputs(Context *context, lathe_tensor *const *outputs, int count)
{
    return check_dl(context, context->program->input_count, context->program->output_count, outputs, count);
}

int check_dl_shapes(Context *context, const Plan *plan, lathe_tensor *const *inputs, lathe_tensor *const *outputs)
{
    const lathe_program *program = context->program;
    const uint32_t count = program->input_count + (outputs != NULL ? program->output_count : 0);
    for (uint32_t i = 0; i < count; i++) {
        const Role role = role_of(context, i);
        const lathe_tensor *tensor = i < program->input_count ? inputs[i] : outputs[i - program->input_count];
        for (int32_t d = 0; tensor != NULL && check_form(context, i) && d < role.info->rank; d++) {
            const int64_t expected = plan->values[program->value_refs[role.info->dims_first + (uint32_t)d]];
            if (program->script != NULL && expected < 0) /* only regions tell (interpreted models) */
                continue;
            if (tensor->shape[d] != expected)
                return context_fail(context, LATHE_E_SHAPE, "%s '%s': dim %i is %i but must be %i", role.kind, role.info->name,
                                    (int64_t)d, tensor->shape[d], expected);
        }
    }
    return LATHE_OK;
}
