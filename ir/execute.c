/* Whole modules in the interpreter: kernels in order, temporaries from first to last use, weights packed when first
 * used. */
#include "ir/kernel.h"
#include "ir/machine.h"
#include "ir/map.h"
#include "ir/pack.h"

#include <stdlib.h>
#include <string.h>

/* Memory that one or several buffers (aliases) share. */
typedef struct Storage {
    Node *root; /* the buffer that owns the memory */
    uint8_t *data;
    uint64_t bytes; /* of the largest buffer in it */
    int last_use;   /* position of a kernel; INT_MAX for what outputs need */
    bool owned;
} Storage;

typedef struct Execution {
    Ir *ir;
    const Module *module;
    const Memory *inputs, *outputs;
    const SymbolValue *symbols;
    int symbol_count;
    RunOptions options; /* work_limit: what is left */
    int32_t *error;
    Arena *scratch;
    NodeMap numbers; /* root buffer -> number in storages, plus one */
    Storage *storages;
    int storage_count, storage_capacity;
} Execution;

static int32_t fail(const Execution *execution, int32_t result, const char *text, Name name)
{
    const int code = result == INTERPRET_LIMIT || result == INTERPRET_MEMORY ? EXIT_LIMIT : EXIT_INTERNAL;
    diag_error(execution->ir->diagnostics, code, NULL, name ? "interpreter: %s: %s" : "interpreter: %s", text, name);
    return result;
}

static Node *root_buffer(Node *buffer)
{
    for (int steps = 0; buffer->payload.buffer->alias; steps++) {
        if (steps > 1 << 20)
            BUG("aliases of a buffer go in a circle");
        buffer = buffer->payload.buffer->alias;
    }
    return buffer;
}

static Storage *storage_of(Execution *execution, Node *buffer)
{
    Node *const root = root_buffer(buffer);
    const uintptr_t number = (uintptr_t)map_get(&execution->numbers, root);
    if (number)
        return &execution->storages[number - 1];
    if (execution->storage_count == execution->storage_capacity) {
        execution->storage_capacity = execution->storage_capacity * 2 + 16;
        Storage *const grown = NEW_ARRAY(execution->scratch, Storage, (size_t)execution->storage_capacity);
        if (execution->storage_count)
            memcpy(grown, execution->storages, (size_t)execution->storage_count * sizeof *grown);
        execution->storages = grown;
    }
    Storage *const storage = &execution->storages[execution->storage_count++];
    *storage = (Storage){.root = root, .last_use = -1};
    map_set(&execution->numbers, root, (void *)(uintptr_t)execution->storage_count);
    return storage;
}

/* UINT64_MAX when an extent has no value or is negative. */
static uint64_t buffer_bytes(const Execution *execution, Node *buffer)
{
    const int64_t elements =
        index_evaluate(layout_elements(execution->ir, buffer), execution->symbols, execution->symbol_count);
    return elements < 0 ? UINT64_MAX : pack_bytes(buffer->type.dtype, (uint64_t)elements);
}

static int32_t use_buffer(Execution *execution, Node *buffer, int position)
{
    const uint64_t bytes = buffer_bytes(execution, buffer);
    if (bytes == UINT64_MAX)
        return fail(execution, INTERPRET_MODULE, "a buffer has no size", buffer->payload.buffer->name);
    Storage *const storage = storage_of(execution, buffer);
    if (bytes > storage->bytes)
        storage->bytes = bytes;
    if (position > storage->last_use)
        storage->last_use = position;
    return INTERPRET_OK;
}

static int32_t find_uses(Execution *execution)
{
    const Module *const module = execution->module;
    int32_t result = INTERPRET_OK;
    for (int i = 0; i < module->body->count && !result; i++) {
        const Node *const kernel = module->body->nodes[i];
        if (kernel->op != OP_kernel || !kernel_body(kernel))
            return fail(execution, INTERPRET_MODULE, "not a scheduled kernel",
                        kernel->op == OP_kernel ? kernel->payload.kernel->name : op_name(kernel->op));
        for (int j = 0; j < kernel_buffer_count(kernel) && !result; j++) {
            result = use_buffer(execution, kernel->inputs[j], i);
            if (!result)
                result = use_buffer(execution, root_buffer(kernel->inputs[j]), i);
        }
    }
    for (int i = 0; i < module->output_count && !result; i++)
        result = use_buffer(execution, module->outputs[i], INT32_MAX);
    return result;
}

static int32_t open_given(Execution *execution, Storage *storage, const Memory *given, int count)
{
    const Buffer *const buffer = storage->root->payload.buffer;
    if (buffer->number < 0 || buffer->number >= count || given[buffer->number].bytes < storage->bytes)
        return fail(execution, INTERPRET_MODULE, "the memory given is smaller than the tensor", buffer->name);
    storage->data = given[buffer->number].data;
    return INTERPRET_OK;
}

/* Gives the storage its memory before its first use. */
static int32_t storage_open(Execution *execution, Storage *storage)
{
    const Buffer *const buffer = storage->root->payload.buffer;
    if (storage->data)
        return INTERPRET_OK;
    if (buffer->place == PLACE_INPUT)
        return open_given(execution, storage, execution->inputs, execution->module->input_count);
    if (buffer->place == PLACE_OUTPUT)
        return open_given(execution, storage, execution->outputs, execution->module->output_count);
    if (buffer->place == PLACE_WEIGHT && buffer->layout.count == 0 && !buffer->constant->splat &&
        buffer->constant->bytes >= storage->bytes) {
        storage->data = (uint8_t *)(uintptr_t)buffer->constant->data; /* kernels do not write weights */
        return INTERPRET_OK;
    }
    storage->data = storage->bytes < SIZE_MAX ? malloc(storage->bytes + 1) : NULL;
    if (!storage->data)
        return fail(execution, INTERPRET_MEMORY, "no memory for a buffer", buffer->name);
    storage->owned = true;
    memset(storage->data, 0xff, storage->bytes); /* NaN, so that what is read unwritten shows */
    if (buffer->place == PLACE_WEIGHT)
        constant_pack(buffer->constant, storage->root->type, &buffer->layout, storage->data);
    return INTERPRET_OK;
}

static void storage_close(Storage *storage)
{
    if (storage->owned)
        free(storage->data);
    storage->owned = false;
    storage->data = NULL;
}

static int32_t run_chunks(Execution *execution, const Code *code, void *const *buffers, const uint64_t *bytes,
                          const int64_t *dims, int64_t units)
{
    /* A kernel of threads is one launch: its blocks are watched against each other. */
    int64_t chunks = execution->options.chunks > 1 && !code->threads ? execution->options.chunks : 1;
    if (chunks > units)
        chunks = units;
    const int64_t size = chunks ? units / chunks : 0,
                  larger = chunks ? units % chunks : 0; /* the first ones are one unit larger */
    int64_t begin = 0;
    for (int64_t i = 0; i < chunks; i++) {
        const int64_t end = begin + size + (i < larger);
        int64_t work = 0;
        const int32_t result =
            code_run(code, buffers, bytes, dims, begin, end, execution->error, &execution->options, &work);
        if (result)
            return fail(execution, result, interpret_message(code), NULL);
        if (execution->options.work_limit && (execution->options.work_limit -= work) <= 0)
            return fail(execution, INTERPRET_LIMIT, "more work than allowed", code->name);
        begin = end;
    }
    return INTERPRET_OK;
}

static int32_t run_kernel(Execution *execution, Node *kernel)
{
    const int buffer_count = kernel_buffer_count(kernel), dim_count = (int)kernel->input_count - buffer_count;
    const ArenaMark mark = arena_mark(execution->scratch);
    void **const buffers = NEW_ARRAY(execution->scratch, void *, (size_t)buffer_count + 1);
    uint64_t *const bytes = NEW_ARRAY(execution->scratch, uint64_t, (size_t)buffer_count + 1);
    int64_t *const dims = NEW_ARRAY(execution->scratch, int64_t, (size_t)dim_count + 1);
    const Name name = kernel->payload.kernel->name;
    for (int i = 0; i < buffer_count; i++) {
        Storage *const storage = storage_of(execution, kernel->inputs[i]);
        const int32_t result = storage_open(execution, storage);
        if (result)
            return result;
        buffers[i] = storage->data;
        bytes[i] = buffer_bytes(execution, kernel->inputs[i]);
    }
    for (int i = 0; i < dim_count; i++) {
        dims[i] = index_evaluate(kernel->inputs[buffer_count + i], execution->symbols, execution->symbol_count);
        if (dims[i] == INT64_MIN)
            return fail(execution, INTERPRET_MODULE, "a dim has no value",
                        kernel->inputs[buffer_count + i]->payload.name);
    }
    Node *const units_node = kernel->payload.kernel->units;
    const int64_t units = units_node ? index_evaluate(units_node, execution->symbols, execution->symbol_count) : 1;
    if (units < 0)
        return fail(execution, INTERPRET_MODULE, "the number of chunks has no value", name);
    breadcrumb("interpret", name);
    const int32_t result = run_chunks(execution, interpret_compile(execution->ir, kernel), buffers, bytes, dims, units);
    arena_reset(execution->scratch, mark);
    return result;
}

/* Outputs that are views of something else (an input, a temporary, another output) are copied out at the end. */
static int32_t copy_outputs(Execution *execution)
{
    for (int i = 0; i < execution->module->output_count; i++) {
        Node *const buffer = execution->module->outputs[i];
        const Node *const root = root_buffer(buffer);
        Storage *const storage = storage_of(execution, buffer);
        const int number = buffer->payload.buffer->number;
        const uint64_t bytes = buffer_bytes(execution, buffer);
        const int32_t result = storage_open(execution, storage);
        if (result)
            return result;
        if (root->payload.buffer->place == PLACE_OUTPUT && root->payload.buffer->number == number)
            continue;
        if (number < 0 || number >= execution->module->output_count || execution->outputs[number].bytes < bytes)
            return fail(execution, INTERPRET_MODULE, "the memory given is smaller than the tensor",
                        buffer->payload.buffer->name);
        if (bytes)
            memcpy(execution->outputs[number].data, storage->data, bytes);
    }
    return INTERPRET_OK;
}

static int32_t run_kernels(Execution *execution)
{
    const Block *const body = execution->module->body;
    for (int i = 0; i < body->count; i++) {
        const int32_t result = run_kernel(execution, body->nodes[i]);
        if (result)
            return result;
        const int buffer_count = kernel_buffer_count(body->nodes[i]);
        for (int j = 0; j < buffer_count; j++) {
            Storage *const storage = storage_of(execution, body->nodes[i]->inputs[j]);
            if (storage->last_use == i)
                storage_close(storage);
        }
    }
    return copy_outputs(execution);
}

int32_t interpret_module(Ir *ir, const Module *module, const Memory *inputs, const Memory *outputs,
                         const SymbolValue *symbols, int symbol_count, const RunOptions *options, int32_t *error)
{
    int32_t ignored = 0;
    Execution execution = {.ir = ir,
                           .module = module,
                           .inputs = inputs,
                           .outputs = outputs,
                           .symbols = symbols,
                           .symbol_count = symbol_count,
                           .options = options ? *options : (RunOptions){0},
                           .error = error ? error : &ignored,
                           .scratch = arena_open(0, NULL, NULL)};
    map_open(&execution.numbers, execution.scratch);
    int32_t result = find_uses(&execution);
    if (result == INTERPRET_OK)
        result = run_kernels(&execution);
    if (execution.options.work_done)
        *execution.options.work_done += options->work_limit - execution.options.work_limit;
    for (int i = 0; i < execution.storage_count; i++)
        storage_close(&execution.storages[i]);
    arena_close(execution.scratch);
    return result;
}
