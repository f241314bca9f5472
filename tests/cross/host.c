/* A host for any compiled model, for machines that lathe itself is not on: built by a cross compiler, run in an
 * emulator.
 *
 *     host LIBRARY OUTPUT-FOLDER THREADS INPUT.npy...
 *
 * Writes output_0.npy ... as `lathe run` does. It knows the model by its descriptor alone. */
#include "runtime/lathe_model.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 2, RANK_MOST = 64, TENSORS_MOST = 64, TEXT_MOST = 1024 };

typedef struct Array {
    void *data;
    int rank;
    int64_t dims[RANK_MOST];
} Array;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "host: %s: %s\n", what, why);
    exit(1);
}

/* A file of NumPy, format 1 or 2, C order: what stands behind "shape" in the header, and the bytes. */
static Array array_read(const char *path)
{
    Array array = {0};
    unsigned char start[12];
    FILE *const file = fopen(path, "rb");
    if (!file || fread(start, 1, 10, file) != 10 || memcmp(start, "\x93NUMPY", 6) != 0)
        fail(path, "no file of NumPy");
    size_t length = (size_t)(start[8] | start[9] << 8);
    if (start[6] >= 2)
        length |= (size_t)(fgetc(file) | fgetc(file) << 8) << 16;
    char *const header = calloc(1, length + 1);
    if (!header || fread(header, 1, length, file) != length || strstr(header, "'fortran_order': True"))
        fail(path, "its header is not for us");
    const char *at = strchr(strstr(header, "'shape'"), '(');
    for (at++; *at && *at != ')'; at += strspn(at, ", ")) {
        char *end;
        array.dims[array.rank++] = strtoll(at, &end, 10);
        at = end;
    }
    free(header);
    const long first = ftell(file);
    fseek(file, 0, SEEK_END);
    const size_t bytes = (size_t)(ftell(file) - first);
    fseek(file, first, SEEK_SET);
    if (posix_memalign(&array.data, 64, bytes + 64) != 0 || fread(array.data, 1, bytes, file) != bytes)
        fail(path, "cannot be read");
    fclose(file);
    return array;
}

static const char *numpy_type(int32_t dtype)
{
    static const char *const names[] = {
        [1] = "<f4", [2] = "|u1", [3] = "|i1",  [4] = "<u2",  [5] = "<i2",  [6] = "<i4",
        [7] = "<i8", [9] = "|b1", [10] = "<f2", [11] = "<f8", [12] = "<u4", [13] = "<u8"};
    return dtype > 0 && dtype < (int)(sizeof names / sizeof *names) && names[dtype] ? names[dtype] : "|V1";
}

static void array_write(const char *path, const lathe_tensor_info *info, const Array *array, size_t bytes)
{
    char shape[TEXT_MOST] = "", header[2 * TEXT_MOST];
    for (int i = 0; i < array->rank; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%lld,", (long long)array->dims[i]);
    snprintf(header, sizeof header - 1, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
             numpy_type(info->dtype), shape);
    size_t length = strlen(header);
    while ((10 + length + 1) % 64 != 0)
        header[length++] = ' ';
    header[length++] = '\n';
    FILE *const file = fopen(path, "wb");
    const unsigned char start[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)length, (unsigned char)(length >> 8)};
    if (!file || fwrite(start, 1, 10, file) != 10 || fwrite(header, 1, length, file) != length ||
        fwrite(array->data, 1, bytes, file) != bytes || fclose(file) != 0)
        fail(path, "cannot be written");
}

static const lathe_model_v1 *model_open(const char *path)
{
    void *const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const lathe_model_v1 *const model = library ? dlsym(library, "lathe_model_v1") : NULL;
    if (!model)
        fail(path, dlerror());
    return model;
}

/* Every symbol that is an extent; those that are elements of inputs are read by the model itself. */
static int64_t *symbols_of(const lathe_model_v1 *model, const Array *inputs)
{
    int64_t *const symbols = calloc(model->symbol_count + 1, sizeof *symbols);
    for (uint32_t i = 0; symbols && i < model->symbol_count; i++)
        if (!model->symbols[i].element)
            symbols[i] = inputs[model->symbols[i].input].dims[model->symbols[i].position];
    return symbols;
}

/* One call: what goes in, what comes out. */
typedef struct Call {
    const lathe_model_v1 *model;
    lathe_context *context;
    Array inputs[TENSORS_MOST], outputs[TENSORS_MOST];
    size_t bytes[TENSORS_MOST]; /* of the outputs */
} Call;

static size_t bytes_of(const lathe_tensor_info *info, const Array *array)
{
    size_t elements = 1;
    for (int i = 0; i < array->rank; i++)
        elements *= (size_t)array->dims[i];
    return (elements * (size_t)info->bits + 7) / 8;
}

/* Sizes of the outputs are told before the run. */
static void run_sized(Call *call)
{
    const lathe_model_v1 *const model = call->model;
    const void *in[TENSORS_MOST];
    void *out[TENSORS_MOST];
    int64_t *const symbols = symbols_of(model, call->inputs);
    for (uint32_t i = 0; i < model->input_count; i++)
        in[i] = call->inputs[i].data;
    for (uint32_t i = 0; i < model->output_count; i++) {
        Array *const output = &call->outputs[i];
        output->rank = model->outputs[i].rank;
        if (model->api->output_dims(call->context, symbols, (int)i, output->dims) != 0)
            fail("output_dims", model->api->error_text(call->context));
        call->bytes[i] = bytes_of(&model->outputs[i], output);
        if (posix_memalign(&output->data, 64, call->bytes[i] + 64) != 0)
            fail("outputs", "no memory");
        out[i] = output->data;
    }
    /* Twice: the second run must not depend on what the first left. */
    for (int run = 0; run < 2; run++)
        if (model->api->run(call->context, in, out, symbols) != 0)
            fail("run", model->api->error_text(call->context));
    free(symbols);
}

static lathe_value value_of(const lathe_tensor_info *info, Array *array)
{
    lathe_value value = {.form = LATHE_TENSOR};
    const char kind = numpy_type(info->dtype)[1];
    value.tensor.data = array->data;
    value.tensor.device.device_type = 1;
    value.tensor.ndim = array->rank;
    value.tensor.dtype.code = kind == 'f' ? 2 : kind == 'u' ? 1 : kind == 'b' ? 6 : 0;
    value.tensor.dtype.bits = (uint8_t)info->bits;
    value.tensor.dtype.lanes = 1;
    value.tensor.shape = array->dims;
    return value;
}

static Array array_of(const lathe_tensor *tensor)
{
    Array array = {.data = tensor->data, .rank = tensor->ndim};
    for (int i = 0; i < tensor->ndim; i++)
        array.dims[i] = tensor->shape[i];
    return array;
}

static void items_join(const lathe_value *value, const lathe_tensor_info *info, Array *joined)
{
    *joined = (Array){.rank = 1};
    for (int i = 0; i < value->count; i++) {
        const Array item = array_of(&value->items[i].tensor);
        const size_t bytes = bytes_of(info, &item), before = (size_t)joined->dims[0];
        joined->data = realloc(joined->data, before + bytes + 1);
        if (!joined->data)
            fail("a sequence", "no memory");
        memcpy((char *)joined->data + before, item.data, bytes);
        joined->dims[0] += (int64_t)bytes;
    }
}

/* Only the run knows how large the outputs are: the context keeps them. */
static void run_found(Call *call)
{
    const lathe_model_v1 *const model = call->model;
    lathe_value in[TENSORS_MOST];
    lathe_value out[TENSORS_MOST];
    for (uint32_t i = 0; i < model->input_count; i++)
        in[i] = value_of(&model->inputs[i], &call->inputs[i]);
    for (int run = 0; run < 2; run++)
        if (model->api->run_values(call->context, in, (int)model->input_count, out, (int)model->output_count) != 0)
            fail("run_values", model->api->error_text(call->context));
    for (uint32_t i = 0; i < model->output_count; i++) {
        Array *const output = &call->outputs[i];
        if (out[i].form == LATHE_TENSOR)
            *output = array_of(&out[i].tensor);
        else /* the bytes of the items, one behind the other */
            items_join(&out[i], &model->outputs[i], output);
        call->bytes[i] = out[i].form == LATHE_TENSOR ? bytes_of(&model->outputs[i], output) : (size_t)output->dims[0];
    }
}

int main(int count, char **arguments)
{
    if (count < 4)
        fail("usage", "host LIBRARY OUTPUT-FOLDER THREADS INPUT.npy...");
    Call *const call = calloc(1, sizeof *call);
    if (!call)
        fail("call", "no memory");
    const lathe_model_v1 *const model = call->model = model_open(arguments[1]);
    if ((uint32_t)(count - 4) != model->input_count || model->output_count > TENSORS_MOST || count > TENSORS_MOST)
        fail(arguments[1], "takes another number of inputs");
    for (int i = 4; i < count; i++)
        call->inputs[i - 4] = array_read(arguments[i]);
    int error = 0;
    char why[TEXT_MOST] = "";
    const lathe_options options = {
        .size = sizeof options, .threads = atoi(arguments[3]), .message = why, .message_size = sizeof why};
    call->context = model->api->open(model, &options, &error);
    if (!call->context)
        fail("open", why);
    if (model->flags & LATHE_MODEL_VALUES)
        run_found(call);
    else
        run_sized(call);
    for (uint32_t i = 0; i < model->output_count; i++) {
        char path[TEXT_MOST];
        Array *const output = &call->outputs[i];
        snprintf(path, sizeof path, "%s/output_%u.npy", arguments[2], i);
        lathe_tensor_info info = model->outputs[i];
        const bool is_sequence = model->output_forms && model->output_forms[i] != LATHE_TENSOR;
        if (info.bits < 8) /* NumPy has no such type: the bytes */
            *output = (Array){.data = output->data, .rank = 1, .dims = {(int64_t)call->bytes[i]}};
        if (is_sequence)
            info.dtype = BYTES;
        array_write(path, &info, output, call->bytes[i]);
    }
    printf("%s %s %d threads\n", model->name, model->api->level_name(call->context),
           model->api->thread_count(call->context));
    model->api->close(call->context);
    free(call);
    return 0;
}
