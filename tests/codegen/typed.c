/* codegen_typed: the typed entry of a compiled model, <prefix>_run, called with as many arguments as the model has (by
 * libffi), gives what the descriptor gives, bit for bit.
 *
 *     codegen_typed PREFIX MODEL.so [PREFIX MODEL.so ...] */
#include "runtime/lathe_model.h"

#include <dlfcn.h>
#include <ffi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS = 30, EXTENT = 3 };

typedef struct Entry {
    const lathe_model_v1 *model;
    lathe_context *context;
    int64_t symbols[TENSORS];
    void *inputs[TENSORS], *expected[TENSORS], *outputs[TENSORS];
    size_t output_bytes[TENSORS];
    void (*run)(void); /* int <prefix>_run(context, [dims,] inputs..., outputs...) */
} Entry;

static size_t bytes_of(const lathe_tensor_info *info, const int64_t *dims)
{
    size_t bits = (size_t)info->bits;
    for (int i = 0; i < info->rank; i++)
        bits *= (size_t)(dims[i] < 0 ? EXTENT : dims[i]);
    return (bits + 7) / 8;
}

/* Floats in [-1, 1], integers 0 and 1: indices that every model takes. */
static void *input_make(const lathe_tensor_info *info, int number)
{
    const size_t bytes = bytes_of(info, info->dims);
    unsigned char *const data = calloc(1, bytes + 64);
    for (size_t i = 0; i < bytes * 8 / (size_t)info->bits && data; i++) {
        if (info->dtype == 1)
            ((float *)(void *)data)[i] = (float)((int)(i * 29 + (size_t)number * 7) % 33 - 16) / 16;
        else
            data[i * (size_t)info->bits / 8] = i % 3 == 1;
    }
    return data;
}

static bool open_entry(Entry *entry, const char *prefix, void *library)
{
    char name[300];
    int error = 0;
    entry->model = dlsym(library, "lathe_model_v1");
    if (!entry->model || entry->model->input_count > TENSORS || entry->model->output_count > TENSORS ||
        entry->model->symbol_count > TENSORS)
        return false;
    snprintf(name, sizeof name, "%.200s_open", prefix);
    lathe_context *(*open)(const lathe_options *, int *);
    void *const open_symbol = dlsym(library, name);
    memcpy(&open, &open_symbol, sizeof open);
    snprintf(name, sizeof name, "%.200s_run", prefix);
    void *const run_symbol = dlsym(library, name);
    memcpy(&entry->run, &run_symbol, sizeof entry->run);
    entry->context = open_symbol && run_symbol ? open(NULL, &error) : NULL;
    return entry->context != NULL;
}

static int call_typed(Entry *entry)
{
    const lathe_model_v1 *const model = entry->model;
    ffi_type *types[2 + 2 * TENSORS];
    void *pointers[2 + 2 * TENSORS], *values[2 + 2 * TENSORS];
    unsigned count = 0;
    pointers[count++] = entry->context;
    if (model->symbol_count)
        pointers[count++] = entry->symbols;
    for (uint32_t i = 0; i < model->input_count; i++)
        pointers[count++] = entry->inputs[i];
    for (uint32_t i = 0; i < model->output_count; i++)
        pointers[count++] = entry->outputs[i];
    for (unsigned i = 0; i < count; i++) {
        types[i] = &ffi_type_pointer;
        values[i] = &pointers[i];
    }
    ffi_cif cif;
    ffi_arg result = 0;
    if (ffi_prep_cif(&cif, FFI_DEFAULT_ABI, count, &ffi_type_sint, types) != FFI_OK)
        return LATHE_E_ARGUMENT;
    ffi_call(&cif, entry->run, &result, values);
    return (int)result;
}

static const char *compare(const char *prefix, void *library)
{
    static Entry entry;
    entry = (Entry){0};
    if (!open_entry(&entry, prefix, library))
        return "cannot be opened";
    const lathe_model_v1 *const model = entry.model;
    for (uint32_t i = 0; i < model->symbol_count; i++)
        entry.symbols[i] = EXTENT;
    for (uint32_t i = 0; i < model->input_count; i++)
        entry.inputs[i] = input_make(&model->inputs[i], (int)i);
    for (uint32_t i = 0; i < model->output_count; i++) {
        int64_t dims[64];
        if (model->api->output_dims(entry.context, entry.symbols, (int)i, dims))
            return model->api->error_text(entry.context);
        entry.output_bytes[i] = bytes_of(&model->outputs[i], dims);
        entry.expected[i] = calloc(1, entry.output_bytes[i] + 1);
        entry.outputs[i] = calloc(1, entry.output_bytes[i] + 1);
    }
    if (model->api->run(entry.context, (const void *const *)entry.inputs, entry.expected, entry.symbols) ||
        call_typed(&entry))
        return model->api->error_text(entry.context);
    bool moved = false;
    for (uint32_t i = 0; i < model->output_count; i++) {
        if (memcmp(entry.outputs[i], entry.expected[i], entry.output_bytes[i]) != 0)
            return "the typed entry gives another result";
        for (size_t j = 0; j < entry.output_bytes[i]; j++)
            moved = moved || ((unsigned char *)entry.outputs[i])[j];
    }
    if (!moved)
        return "all results are zero: nothing was compared";
    /* A NULL where a tensor must be is an error of the call, and the outputs stay as they are. */
    void *const first = entry.inputs[0];
    entry.inputs[0] = NULL;
    memset(entry.outputs[0], 0x5a, entry.output_bytes[0]);
    if (call_typed(&entry) != LATHE_E_NULL || *(unsigned char *)entry.outputs[0] != 0x5a)
        return "NULL is taken for an input";
    entry.inputs[0] = first;
    model->api->close(entry.context);
    for (int i = 0; i < TENSORS; i++) {
        free(entry.inputs[i]);
        free(entry.expected[i]);
        free(entry.outputs[i]);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    int failures = 0;
    for (int i = 1; i + 1 < count; i += 2) {
        void *const library = dlopen(arguments[i + 1], RTLD_NOW | RTLD_LOCAL);
        const char *const problem = library ? compare(arguments[i], library) : dlerror();
        printf("%s: %s\n", arguments[i + 1], problem ? problem : "same");
        failures += problem != NULL;
    }
    return failures || count < 3;
}
