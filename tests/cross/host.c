/* A host for any compiled model, for machines that lathe itself is not on: built by a cross compiler, run in an
 * emulator.
 *
 *     host LIBRARY OUTPUT-FOLDER THREADS INPUT.npy...
 *
 * Writes output_0.npy ... as `lathe run` does. It knows the model by its descriptor alone. */
#include "runtime/lathe_model.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANK_MOST = 64, TENSORS_MOST = 64, TEXT_MOST = 1024 };

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

int main(int count, char **arguments)
{
    if (count < 4)
        fail("usage", "host LIBRARY OUTPUT-FOLDER THREADS INPUT.npy...");
    const lathe_model_v1 *const model = model_open(arguments[1]);
    if ((uint32_t)(count - 4) != model->input_count || model->output_count > TENSORS_MOST || count > TENSORS_MOST)
        fail(arguments[1], "takes another number of inputs");
    Array inputs[TENSORS_MOST], outputs[TENSORS_MOST];
    size_t bytes[TENSORS_MOST];
    const void *in[TENSORS_MOST];
    void *out[TENSORS_MOST];
    for (int i = 4; i < count; i++) {
        inputs[i - 4] = array_read(arguments[i]);
        in[i - 4] = inputs[i - 4].data;
    }
    int error = 0;
    char why[TEXT_MOST] = "";
    const lathe_options options = {
        .size = sizeof options, .threads = atoi(arguments[3]), .message = why, .message_size = sizeof why};
    lathe_context *const context = model->api->open(model, &options, &error);
    if (!context)
        fail("open", why);
    int64_t *const symbols = symbols_of(model, inputs);
    for (uint32_t i = 0; i < model->output_count; i++) {
        outputs[i] = (Array){.rank = model->outputs[i].rank};
        if (model->api->output_dims(context, symbols, (int)i, outputs[i].dims) != 0)
            fail("output_dims", model->api->error_text(context));
        bytes[i] = 1;
        for (int j = 0; j < outputs[i].rank; j++)
            bytes[i] *= (size_t)outputs[i].dims[j];
        bytes[i] = (bytes[i] * (size_t)model->outputs[i].bits + 7) / 8;
        if (posix_memalign(&outputs[i].data, 64, bytes[i] + 64) != 0)
            fail("outputs", "no memory");
        out[i] = outputs[i].data;
    }
    /* Twice: the second run must not depend on what the first left. */
    for (int run = 0; run < 2; run++)
        if (model->api->run(context, in, out, symbols) != 0)
            fail("run", model->api->error_text(context));
    for (uint32_t i = 0; i < model->output_count; i++) {
        char path[TEXT_MOST];
        snprintf(path, sizeof path, "%s/output_%u.npy", arguments[2], i);
        if (model->outputs[i].bits < 8) /* NumPy has no such type: the bytes */
            outputs[i] = (Array){.data = out[i], .rank = 1, .dims = {(int64_t)bytes[i]}};
        array_write(path, &model->outputs[i], &outputs[i], bytes[i]);
    }
    printf("%s %s %d threads\n", model->name, model->api->level_name(context), model->api->thread_count(context));
    model->api->close(context);
    return 0;
}
