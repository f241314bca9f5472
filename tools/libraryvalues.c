/* See libraryvalues.h. */
#include "tools/libraryvalues.h"

#include <string.h>

bool library_is_script(const Library *library)
{
    return (library->model->flags & LATHE_MODEL_SCRIPT) != 0;
}

/* Libraries of older versions end before the forms. */
static int32_t form_of(const Library *library, const int32_t *forms, uint32_t i)
{
    return library_is_script(library) && forms ? forms[i] : LATHE_TENSOR;
}

static HostKind kind_of_form(int32_t form)
{
    return form & LATHE_OPTIONAL ? HOST_OPTIONAL : form & LATHE_SEQUENCE ? HOST_SEQUENCE : HOST_TENSOR;
}

HostKind library_input_kind(const Library *library, uint32_t input)
{
    return library_is_script(library) ? kind_of_form(form_of(library, library->model->input_forms, input))
                                      : HOST_TENSOR;
}

/* ---- in ---- */

static lathe_value tensor_value(const Library *library, const lathe_tensor_info *info, const HostValue *given)
{
    const HostDtype *const type = host_dtype(given->tensor.dtype);
    lathe_tensor_info own = *info; /* the runtime judges the type that the file has */
    own.dtype = given->tensor.dtype;
    own.bits = type ? type->bits : info->bits;
    return (lathe_value){.form = LATHE_TENSOR, .tensor = *library_tensor(library->arena, &own, given)};
}

/* An item of a sequence is a tensor: what is none is refused by the runtime. */
static lathe_value sequence_value(const Library *library, const lathe_tensor_info *info, const HostValue *given)
{
    lathe_value *const items = NEW_ARRAY(library->arena, lathe_value, given->item_count + 1);
    for (size_t i = 0; i < given->item_count; i++)
        items[i] = given->items[i].kind == HOST_TENSOR ? tensor_value(library, info, &given->items[i])
                                                       : (lathe_value){.form = LATHE_NOTHING};
    return (lathe_value){.form = LATHE_SEQUENCE, .count = (int32_t)given->item_count, .items = items};
}

static lathe_value value_of(const Library *library, const lathe_tensor_info *info, const HostValue *given)
{
    const HostValue *content = given;
    if (given->kind == HOST_OPTIONAL && given->item_count == 1)
        content = &given->items[0];
    if (content->kind == HOST_TENSOR)
        return tensor_value(library, info, content);
    if (content->kind == HOST_SEQUENCE)
        return sequence_value(library, info, content);
    return (lathe_value){.form = LATHE_NOTHING};
}

static uint64_t value_bytes(const HostValue *value)
{
    uint64_t bytes = value->kind == HOST_TENSOR ? value->tensor.bytes : 0;
    for (size_t i = 0; i < value->item_count && value->kind != HOST_TENSOR; i++)
        bytes += value->items[i].kind == HOST_TENSOR ? value->items[i].tensor.bytes : 0;
    return bytes;
}

bool library_values_prepare(Library *library, const Options *options, const HostValue *inputs)
{
    const lathe_model_v1 *const model = library->model;
    uint64_t bytes = model->api->arena_bytes(library->context);
    library->values_in = NEW_ARRAY(library->arena, lathe_value, model->input_count + 1);
    library->values_out = NEW_ARRAY(library->arena, lathe_value, model->output_count + 1);
    for (uint32_t i = 0; i < model->input_count; i++) {
        library->values_in[i] = value_of(library, &model->inputs[i], &inputs[i]);
        bytes += value_bytes(&inputs[i]);
    }
    return memory_fits(options, model->name, bytes);
}

bool library_values_run(Library *library)
{
    const lathe_model_v1 *const model = library->model;
    const int code = model->api->run_values(library->context, library->values_in, (int)model->input_count,
                                            library->values_out, (int)model->output_count);
    return code == 0 || library_run_failed(library, code);
}

/* ---- out ---- */

static bool tensor_collect(const Library *library, const lathe_tensor_info *info, const lathe_tensor *tensor,
                           HostValue *result)
{
    const Source source = source_of_bytes(NULL, 0, info->name, library->arena, library->diagnostics);
    HostTensor made;
    if (!host_tensor_make(&made, &source, info->dtype, tensor->ndim, tensor->shape))
        return false;
    if (info->dtype == ONNX_STRING)
        for (int64_t i = 0; i < made.count; i++)
            ((const char **)made.data)[i] =
                arena_format(library->arena, "%s", (const char *)(uintptr_t)((const uint64_t *)tensor->data)[i]);
    else if (made.bytes)
        memcpy(made.data, tensor->data, made.bytes);
    *result = host_value_of_tensor(made);
    return true;
}

static bool content_collect(const Library *library, const lathe_tensor_info *info, const lathe_value *value,
                            HostValue *result)
{
    if (value->form == LATHE_TENSOR)
        return tensor_collect(library, info, &value->tensor, result);
    *result = (HostValue){.kind = HOST_SEQUENCE, .item_kind = HOST_TENSOR, .item_count = (size_t)value->count};
    result->items = NEW_ARRAY(library->arena, HostValue, (size_t)value->count + 1);
    for (int32_t i = 0; i < value->count; i++)
        if (!tensor_collect(library, info, &value->items[i].tensor, &result->items[i]))
            return false;
    return true;
}

/* As the form of the output wants it, even if the value is there. */
static bool optional_collect(const Library *library, const lathe_tensor_info *info, int32_t form,
                             const lathe_value *value, HostValue *result)
{
    *result = (HostValue){.kind = HOST_OPTIONAL, .item_kind = kind_of_form(form & LATHE_SEQUENCE)};
    result->items = NEW_ARRAY(library->arena, HostValue, 1);
    result->item_count = value->form != LATHE_NOTHING;
    return result->item_count == 0 || content_collect(library, info, value, result->items);
}

bool library_values_collect(const Library *library, HostValue *outputs)
{
    const lathe_model_v1 *const model = library->model;
    for (uint32_t i = 0; i < model->output_count; i++) {
        const lathe_tensor_info *const info = &model->outputs[i];
        const lathe_value *const value = &library->values_out[i];
        const int32_t form = form_of(library, model->output_forms, i);
        const bool good = form & LATHE_OPTIONAL || value->form == LATHE_NOTHING
                              ? optional_collect(library, info, form, value, &outputs[i])
                              : content_collect(library, info, value, &outputs[i]);
        if (!good)
            return false;
        outputs[i].name = name_intern(library->arena, info->name);
        outputs[i].tensor.name = outputs[i].name;
    }
    return true;
}
