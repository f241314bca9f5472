/* Models: first what the file says (always), then, where asked for, what importing and the passes make of it. */
#include "tools/inspectmodel.h"

#include "frontend/survey.h"
#include "ir/ops/ops.h"
#include "ir/print.h"
#include "tools/answer.h"
#include "tools/pipeline.h"
#include "tools/report.h"

#include <string.h>

enum { NAME_SHOWN = 80, TEXT_SHOWN = 2000 };

typedef struct Inspection {
    const Options *options;
    Arena *arena;
    const Survey *survey;
    Pipeline *pipeline; /* imported where tensors or memory are asked for */
    bool ops, tensors, memory, metadata;
    const TargetMachineInfo *target; /* of --support */
} Inspection;

static const char *quoted(const Inspection *inspection, const char *text)
{
    return diag_quote(inspection->arena, text, NAME_SHOWN);
}

/* ---- the file: text ---- */

static const char *value_text(const Inspection *inspection, const SurveyedValue *value)
{
    Arena *const arena = inspection->arena;
    if (strcmp(value->kind, "tensor") != 0)
        return value->kind;
    const char *text = value->dtype == DTYPE_NONE ? "?" : dtype_info[value->dtype].name;
    if (value->rank < 0)
        return arena_format(arena, "%s of any shape", text);
    text = arena_format(arena, "%s[", text);
    for (int i = 0; i < value->rank; i++) {
        const char *const dim = value->symbols[i]    ? quoted(inspection, value->symbols[i])
                                : value->dims[i] < 0 ? "?"
                                                     : arena_format(arena, "%lld", (long long)value->dims[i]);
        text = arena_format(arena, "%s%s%s", text, i ? "," : "", dim);
    }
    return arena_format(arena, "%s]", text);
}

static int64_t unsupported_count(const Survey *survey)
{
    int64_t count = 0;
    for (int i = 0; i < survey->operator_count; i++)
        count += !survey->operators[i].supported;
    return count;
}

static void print_file(const Inspection *inspection)
{
    const Survey *const survey = inspection->survey;
    printf("model      %s\n", quoted(inspection, survey->name));
    printf("producer   %s %s\n", quoted(inspection, survey->producer), quoted(inspection, survey->producer_version));
    printf("format     ir %lld, opset", (long long)survey->ir_version);
    for (int i = 0; i < survey->opset_count; i++)
        printf("%s %s%s%d", i ? "," : "", quoted(inspection, survey->opsets[i].domain),
               *survey->opsets[i].domain ? " " : "", survey->opsets[i].version);
    printf("\nsize       %llu bytes, %lld nodes, %lld initializers, %lld functions\n",
           (unsigned long long)survey->file_bytes, (long long)survey->node_count, (long long)survey->initializer_count,
           (long long)survey->function_count);
    printf("sha256     %s\n", survey->sha256);
    for (int i = 0; i < survey->input_count; i++)
        printf("input      %s: %s\n", quoted(inspection, survey->inputs[i].name),
               value_text(inspection, &survey->inputs[i]));
    for (int i = 0; i < survey->output_count; i++)
        printf("output     %s: %s\n", quoted(inspection, survey->outputs[i].name),
               value_text(inspection, &survey->outputs[i]));
    const int64_t refused = unsupported_count(survey);
    printf("operators  %d, %lld of them not supported\n", survey->operator_count, (long long)refused);
}

static const char *operator_text(const Inspection *inspection, const SurveyedOperator *operator)
{
    return *operator->domain ? arena_format(inspection->arena, "%s:%s", quoted(inspection, operator->domain),
                                            quoted(inspection, operator->op))
                             : quoted(inspection, operator->op);
}

static void print_operators(const Inspection *inspection)
{
    const Survey *const survey = inspection->survey;
    printf("%-32s %6s %9s  %s\n", "operator", "opset", "nodes", "support");
    for (int i = 0; i < survey->operator_count; i++) {
        const SurveyedOperator *const operator= & survey->operators[i];
        const char *const support = operator->function  ? "yes, by the model's own function" :
                                    operator->supported ? "yes"
                                                        : arena_format(inspection->arena, "no, first in \"%s\"",
                                                                       quoted(inspection, operator->first));
        printf("%-32s %6d %9lld  %s\n", operator_text(inspection, operator), operator->opset,
               (long long)operator->count, support);
    }
}

static void print_support(const Inspection *inspection)
{
    const Survey *const survey = inspection->survey;
    printf("%s cannot do %lld of %d operators\n", inspection->target->name, (long long)unsupported_count(survey),
           survey->operator_count);
    for (int i = 0; i < survey->operator_count; i++)
        if (!survey->operators[i].supported)
            printf("  %s, %lld nodes, first \"%s\"\n", operator_text(inspection, &survey->operators[i]),
                   (long long)survey->operators[i].count, quoted(inspection, survey->operators[i].first));
}

static void print_metadata(const Inspection *inspection)
{
    const Survey *const survey = inspection->survey;
    printf("model_version: %lld\n", (long long)survey->model_version);
    for (int i = 0; i < survey->metadata_count; i++)
        printf("%s: %s\n", quoted(inspection, survey->metadata[i].key),
               diag_quote(inspection->arena, survey->metadata[i].value, TEXT_SHOWN));
}

/* ---- the file: JSON ---- */

static void write_values(JsonWriter *json, const char *key, const SurveyedValue *values, int count)
{
    json_key(json, key);
    json_array(json);
    for (int i = 0; i < count; i++) {
        json_object(json);
        json_field_string(json, "name", values[i].name);
        json_field_string(json, "kind", values[i].kind);
        json_field_string(json, "type", values[i].dtype == DTYPE_NONE ? NULL : dtype_info[values[i].dtype].name);
        json_key(json, "shape");
        if (values[i].rank < 0) {
            json_null(json);
        } else {
            json_array(json);
            for (int j = 0; j < values[i].rank; j++) {
                if (values[i].symbols[j] || values[i].dims[j] < 0)
                    json_string(json, values[i].symbols[j]);
                else
                    json_integer(json, values[i].dims[j]);
            }
            json_close(json);
        }
        json_close(json);
    }
    json_close(json);
}

static void write_operators(JsonWriter *json, const Survey *survey)
{
    json_key(json, "operators");
    json_array(json);
    for (int i = 0; i < survey->operator_count; i++) {
        const SurveyedOperator *const operator= & survey->operators[i];
        json_object(json);
        json_field_string(json, "domain", operator->domain);
        json_field_string(json, "name", operator->op);
        json_field_integer(json, "opset", operator->opset);
        json_field_integer(json, "nodes", operator->count);
        json_field_bool(json, "supported", operator->supported);
        json_field_bool(json, "function", operator->function);
        json_field_string(json, "first", operator->first);
        json_close(json);
    }
    json_close(json);
}

static void write_file(JsonWriter *json, const Inspection *inspection)
{
    const Survey *const survey = inspection->survey;
    json_field_string(json, "name", survey->name);
    json_field_string(json, "model_sha256", survey->sha256);
    json_field_string(json, "producer", survey->producer);
    json_field_string(json, "producer_version", survey->producer_version);
    json_field_integer(json, "ir_version", survey->ir_version);
    json_field_integer(json, "model_version", survey->model_version);
    json_key(json, "opsets");
    json_object(json);
    for (int i = 0; i < survey->opset_count; i++)
        json_field_integer(json, *survey->opsets[i].domain ? survey->opsets[i].domain : "ai.onnx",
                           survey->opsets[i].version);
    json_close(json);
    json_field_integer(json, "file_bytes", (int64_t)survey->file_bytes);
    json_field_integer(json, "nodes", survey->node_count);
    json_field_integer(json, "initializers", survey->initializer_count);
    json_field_integer(json, "functions", survey->function_count);
    write_values(json, "inputs", survey->inputs, survey->input_count);
    write_values(json, "outputs", survey->outputs, survey->output_count);
    write_operators(json, survey);
    if (inspection->target)
        json_field_string(json, "target", inspection->target->name);
    json_key(json, "metadata");
    json_object(json);
    for (int i = 0; i < survey->metadata_count; i++)
        json_field_string(json, survey->metadata[i].key, survey->metadata[i].value);
    json_close(json);
}

/* ---- the imported graph ---- */

static Node **graph_nodes(const Inspection *inspection, int *count)
{
    const Graph *const graph = inspection->pipeline->model.graph;
    return nodes_topological(inspection->pipeline->ir, graph->outputs, graph->output_count, count);
}

static bool is_tensor(const Node *node)
{
    return type_is_tensor(node->type) && node->type.dtype != DTYPE_NONE;
}

static const char *tensor_name(const Node *node)
{
    if (node->op == OP_input)
        return node->payload.name;
    if (node->op == OP_constant && node->payload.constant->name)
        return node->payload.constant->name;
    return node->where && node->where->node ? node->where->node : "";
}

static void print_tensors(const Inspection *inspection)
{
    int count;
    Node **const nodes = graph_nodes(inspection, &count);
    for (int i = 0; i < count; i++)
        if (is_tensor(nodes[i]))
            printf("%-18s %-28s %s\n", op_name(nodes[i]->op), print_type(inspection->arena, nodes[i]->type),
                   quoted(inspection, tensor_name(nodes[i])));
}

static void write_tensors(JsonWriter *json, const Inspection *inspection)
{
    int count;
    Node **const nodes = graph_nodes(inspection, &count);
    json_key(json, "tensors");
    json_array(json);
    for (int i = 0; i < count; i++) {
        if (!is_tensor(nodes[i]))
            continue;
        json_object(json);
        json_field_string(json, "name", tensor_name(nodes[i]));
        json_field_string(json, "operator", op_name(nodes[i]->op));
        json_field_string(json, "type", dtype_info[nodes[i]->type.dtype].name);
        json_key(json, "shape");
        report_shape(json, inspection->arena, nodes[i]->type);
        json_close(json);
    }
    json_close(json);
}

static void print_memory(const Inspection *inspection)
{
    const Compilation *const compilation = &inspection->pipeline->compilation;
    if (compilation->slot_count > 0) {
        printf("arena      depends on symbolic dims, %d slots\n", compilation->slot_count);
        for (int i = 0; i < compilation->slot_count; i++)
            printf("  slot %-4d %s bytes\n", i, print_expression(inspection->arena, compilation->slot_bytes[i]));
    } else {
        const double bound =
            compilation->arena_bound > 0 ? (double)compilation->arena_bytes / (double)compilation->arena_bound : 1;
        printf("arena      %lld bytes, %.3f times the lower bound of %lld\n", (long long)compilation->arena_bytes,
               bound, (long long)compilation->arena_bound);
    }
    printf("weights    %lld bytes\n", (long long)compilation->weight_bytes);
}

static void write_memory(JsonWriter *json, const Inspection *inspection)
{
    const Compilation *const compilation = &inspection->pipeline->compilation;
    json_key(json, "memory");
    json_object(json);
    if (compilation->slot_count == 0) {
        json_field_integer(json, "arena_bytes", compilation->arena_bytes);
        json_field_integer(json, "arena_bound", compilation->arena_bound);
    } else {
        json_key(json, "slot_bytes");
        json_array(json);
        for (int i = 0; i < compilation->slot_count; i++)
            json_string(json, print_expression(inspection->arena, compilation->slot_bytes[i]));
        json_close(json);
    }
    json_field_integer(json, "weight_bytes", compilation->weight_bytes);
    json_close(json);
}

/* ---- all together ---- */

static void answer_text(const Inspection *inspection)
{
    const bool all =
        !inspection->ops && !inspection->tensors && !inspection->memory && !inspection->metadata && !inspection->target;
    if (all)
        print_file(inspection);
    if (inspection->ops)
        print_operators(inspection);
    if (inspection->target)
        print_support(inspection);
    if (inspection->metadata)
        print_metadata(inspection);
    if (inspection->tensors)
        print_tensors(inspection);
    if (inspection->memory)
        print_memory(inspection);
}

static bool answer_json(const Inspection *inspection)
{
    Answer answer;
    if (!answer_open(&answer, inspection->options, "lathe.inspect/1"))
        return false;
    write_file(&answer.json, inspection);
    if (inspection->tensors)
        write_tensors(&answer.json, inspection);
    if (inspection->memory)
        write_memory(&answer.json, inspection);
    return answer_close(&answer);
}

static bool inspect(Inspection *inspection)
{
    const Options *const options = inspection->options;
    const char *const target = option_text(options, OPTION_SUPPORT), *const path = options->arguments[0];
    inspection->target = target ? target_find(options->diagnostics, target) : NULL;
    if (target && !inspection->target)
        return false;
    if ((inspection->tensors || inspection->memory) && !pipeline_import(inspection->pipeline, path))
        return false;
    if (inspection->memory && !pipeline_passes(inspection->pipeline))
        return false;
    if (answer_wants_text(options))
        answer_text(inspection);
    if (answer_wants_json(options) && !answer_json(inspection))
        return false;
    const int64_t refused = unsupported_count(inspection->survey);
    if (target && refused > 0)
        return diag_error(options->diagnostics, EXIT_NEGATIVE, NULL, "%lld operators of %s are not supported on %s",
                          (long long)refused, diag_quote(options->arena, path, 400), inspection->target->name);
    return true;
}

bool inspect_model(const Options *options)
{
    Pipeline pipeline;
    Survey survey;
    Inspection inspection = {.options = options,
                             .arena = options->arena,
                             .survey = &survey,
                             .pipeline = &pipeline,
                             .ops = option_given(options, OPTION_OPS),
                             .tensors = option_given(options, OPTION_TENSORS),
                             .memory = option_given(options, OPTION_MEMORY),
                             .metadata = option_given(options, OPTION_METADATA)};
    const bool good = pipeline_start(&pipeline, options) && onnx_survey(pipeline.ir, options->arguments[0], &survey) &&
                      inspect(&inspection);
    pipeline_close(&pipeline);
    return good;
}
