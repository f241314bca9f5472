/* See interpreted.h. */
#include "tools/interpreted.h"

#include "codegen/schedule.h"
#include "ir/interpret.h"
#include "ir/kernel.h"
#include "ir/loops.h"
#include "ir/map.h"
#include "ir/verify.h"
#include "tools/inputs.h"
#include "tools/library.h"

#include <string.h>

/* Values of the symbols from the inputs' shapes and elements. */
static int symbol_values(const Pipeline *pipeline, const HostValue *inputs, SymbolValue *values)
{
    const Program *const program = &pipeline->program;
    for (int i = 0; i < program->symbol_count; i++) {
        const ProgramSymbol *const symbol = &program->symbols[i];
        const HostTensor *const tensor = &inputs[symbol->input].tensor;
        int64_t value = 0;
        if (!symbol->element)
            value = tensor->dims[symbol->position];
        else
            value = tensor->bits == 64 ? ((const int64_t *)tensor->data)[symbol->position]
                                       : ((const int32_t *)tensor->data)[symbol->position];
        values[i] = (SymbolValue){symbol->symbol, value};
    }
    return program->symbol_count;
}

static bool checks_hold(const Pipeline *pipeline, const HostValue *inputs, const SymbolValue *values, int count)
{
    const Program *const program = &pipeline->program;
    for (int i = 0; i < program->check_count; i++)
        if (index_evaluate(program->values[program->checks[i].value], values, count) == 0)
            return diag_error(pipeline->diagnostics, EXIT_MALFORMED, NULL, "%s", program->checks[i].message);
    for (int i = 0; i < program->module->input_count; i++)
        for (int j = 0; j < inputs[i].tensor.rank; j++) {
            const int64_t wanted = index_evaluate(program->module->inputs[i]->type.dims[j], values, count);
            if (inputs[i].tensor.dims[j] != wanted)
                return diag_error(
                    pipeline->diagnostics, EXIT_MALFORMED, NULL, "dim %d of input '%s' is %lld, the model wants %lld",
                    j, program->module->input_names[i], (long long)inputs[i].tensor.dims[j], (long long)wanted);
        }
    return true;
}

static HostSpec *graph_specs(const Pipeline *pipeline)
{
    const Module *const module = pipeline->program.module;
    HostSpec *const specs = NEW_ARRAY(pipeline->options->arena, HostSpec, (size_t)module->input_count + 1);
    for (int i = 0; i < module->input_count; i++) {
        const Type type = module->inputs[i]->type;
        int64_t *const dims = NEW_ARRAY(pipeline->options->arena, int64_t, (size_t)type.rank + 1);
        for (int j = 0; j < type.rank; j++) {
            dims[j] = -1;
            const_is_int(type.dims[j], &dims[j]);
        }
        specs[i] = (HostSpec){name_intern(pipeline->options->arena, module->input_names[i]),
                              HOST_TENSOR,
                              dtype_info[type.dtype].onnx,
                              type.rank,
                              dims,
                              false};
    }
    return specs;
}

/* Every value has memory of its own when a model is interpreted. */
static bool interpreter_fits(const Pipeline *pipeline, const SymbolValue *values, int count)
{
    const Module *const module = pipeline->program.module;
    Arena *const arena = pipeline->options->arena;
    NodeMap seen;
    uint64_t bytes = 0;
    map_open(&seen, arena);
    for (int k = 0; k < module->body->count; k++) {
        const Node *const kernel = module->body->nodes[k];
        for (int i = 0; i < kernel_buffer_count(kernel); i++) {
            const Node *const buffer = kernel->inputs[i];
            int64_t dims[RANK_MAX];
            if (buffer->payload.buffer->place == PLACE_WEIGHT || map_has(&seen, buffer))
                continue;
            map_set(&seen, buffer, pipeline->ir);
            for (int j = 0; j < buffer->type.rank; j++)
                dims[j] = index_evaluate(buffer->type.dims[j], values, count);
            bytes = tensor_bytes_add(bytes, dtype_info[buffer->type.dtype].bits, buffer->type.rank, dims);
        }
    }
    return memory_fits(pipeline->options, module->name, bytes);
}

static bool make_outputs(const Pipeline *pipeline, const SymbolValue *values, int count, HostValue *outputs)
{
    const Module *const module = pipeline->program.module;
    Arena *const arena = pipeline->options->arena;
    for (int i = 0; i < module->output_count; i++) {
        const Type type = module->outputs[i]->type;
        int64_t *const dims = NEW_ARRAY(arena, int64_t, (size_t)type.rank + 1);
        for (int j = 0; j < type.rank; j++)
            dims[j] = index_evaluate(type.dims[j], values, count);
        const Source source = source_of_bytes(NULL, 0, module->output_names[i], arena, pipeline->diagnostics);
        HostTensor tensor;
        if (!host_tensor_make(&tensor, &source, dtype_info[type.dtype].onnx, type.rank, dims))
            return false;
        tensor.name = name_intern(arena, module->output_names[i]);
        outputs[i] = host_value_of_tensor(tensor);
        outputs[i].name = tensor.name;
    }
    return true;
}

bool interpreted_schedule(Pipeline *pipeline, Module *module)
{
    Ir *const ir = pipeline->ir;
    const TargetMachineInfo *const target = pipeline->build.levels[0];
    const LoopsSchedule rows = {
        .lanes = 1024, .apart = schedule_apart(target, pipeline->compilation.math), .any_tail = true};
    const Block *const stages = module->body;
    module->body = block_make(ir);
    for (int i = 0; i < stages->count; i++) {
        Node *const kernel = stages->nodes[i];
        Node *const scheduled = target->gpu ? kernel_schedule(&pipeline->build.schedule, ir, kernel, target)
                                            : loops_schedule(ir, kernel, &rows);
        if (target->gpu && !verify_kernel(ir, scheduled, pipeline->diagnostics))
            return false;
        block_append(ir, module->body, scheduled);
    }
    return true;
}

bool interpreted_run(Pipeline *pipeline, const HostValue *given, Interpreted *result)
{
    const Options *const options = pipeline->options;
    Program *const program = &pipeline->program;
    if (!pipeline_passes(pipeline) || !pipeline_program(pipeline))
        return false;
    if (program->compilation->script)
        return interpreted_script_run(pipeline, given, result);
    const Module *const module = program->module;
    HostValue *const inputs = NEW_ARRAY(options->arena, HostValue, (size_t)module->input_count + 1);
    HostValue *const outputs = NEW_ARRAY(options->arena, HostValue, (size_t)module->output_count + 1);
    SymbolValue *const values = NEW_ARRAY(options->arena, SymbolValue, (size_t)program->symbol_count + 1);
    const HostSpec *const specs = graph_specs(pipeline);
    uint64_t bytes = 0;
    for (int i = 0; i < module->input_count; i++)
        bytes = tensor_bytes_add(bytes, dtype_info[module->inputs[i]->type.dtype].bits, specs[i].rank, specs[i].dims);
    if (!memory_fits(options, module->name, bytes))
        return false;
    if (given)
        memcpy(inputs, given, (size_t)module->input_count * sizeof *inputs);
    else if (!inputs_bind(inputs, specs, (size_t)module->input_count, options))
        return false;
    const int count = symbol_values(pipeline, inputs, values);
    if (!checks_hold(pipeline, inputs, values, count) || !interpreter_fits(pipeline, values, count) ||
        !make_outputs(pipeline, values, count, outputs))
        return false;
    Module scheduled = *module;
    if (!interpreted_schedule(pipeline, &scheduled))
        return false;
    Memory *const in = NEW_ARRAY(options->arena, Memory, (size_t)module->input_count + 1);
    Memory *const out = NEW_ARRAY(options->arena, Memory, (size_t)module->output_count + 1);
    for (int i = 0; i < module->input_count; i++)
        in[i] = (Memory){inputs[i].tensor.data, inputs[i].tensor.bytes};
    for (int i = 0; i < module->output_count; i++)
        out[i] = (Memory){outputs[i].tensor.data, outputs[i].tensor.bytes};
    int32_t error = 0;
    const RunOptions run = {.detect_unwritten = pipeline->build.levels[0]->gpu != NULL};
    if (interpret_module(pipeline->ir, &scheduled, in, out, values, count, &run, &error) != INTERPRET_OK)
        return false;
    if (error)
        return diag_error(options->diagnostics, EXIT_MALFORMED, NULL,
                          "an index computed while running is out of range");
    *result = (Interpreted){inputs, outputs, module->input_count, module->output_count};
    return true;
}
