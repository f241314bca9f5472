/* A walk over the decoded file: see survey.h. */
#include "frontend/survey.h"

#include "frontend/importer.h"
#include "ir/ops/ops.h"

#include <stdlib.h>
#include <string.h>

enum { OPERATORS_MOST = 100000 };

typedef struct Walk {
    Importer *importer;
    Survey *survey;
    NameMap found; /* SurveyedOperator by domain:op */
    SurveyedOperator **list;
    int count, capacity;
} Walk;

static Name text_of(const Importer *importer, const Text *text)
{
    return name_intern_bytes(importer->ir->arena, text->len ? (const char *)text->data : "", text->len);
}

/* ---- operators ---- */

static bool supported(const char *domain, const char *op, int version)
{
    const char *what;
    int since;
    if (*domain)
        return op_find(domain, op) != OP_NONE;
    const bool standard = operator_exists(op, version, &what, &since);
    const Text name = {strlen(op), (uint8_t *)(uintptr_t)op};
    return op_find("", operator_newest(op)) != OP_NONE ||
           (standard && (strcmp(op, "Constant") == 0 || is_control(&(Onnx__NodeProto){.op_type = name})));
}

static SurveyedOperator *operator_add(Walk *walk, Name domain, Name op)
{
    Arena *const arena = walk->importer->ir->arena;
    if (walk->count == walk->capacity) {
        walk->capacity = walk->capacity ? walk->capacity * 2 : 64;
        SurveyedOperator **const larger = NEW_ARRAY(arena, SurveyedOperator *, (size_t)walk->capacity);
        if (walk->count)
            memcpy(larger, walk->list, (size_t)walk->count * sizeof *larger);
        walk->list = larger;
    }
    SurveyedOperator *const made = NEW(arena, SurveyedOperator);
    *made = (SurveyedOperator){.domain = domain, .op = op};
    walk->list[walk->count++] = made;
    return made;
}

static bool walk_node(Walk *walk, const Opsets *opsets, const Onnx__NodeProto *node)
{
    Importer *const importer = walk->importer;
    const Name op = text_name(importer, &importer->file, &node->op_type, "an operator's name");
    const Name given = op ? text_name(importer, &importer->file, &node->domain, "a domain") : NULL;
    if (!given)
        return false;
    const Name domain = name_intern(importer->ir->arena, domain_normal(given));
    const Name key = name_intern(importer->ir->arena, arena_format(importer->scratch, "%s:%s", domain, op));
    SurveyedOperator *known = names_get(&walk->found, key);
    if (!known) {
        if (walk->count == OPERATORS_MOST)
            return diag_error(importer->diagnostics, EXIT_LIMIT, &importer->file,
                              "the model uses more than %d operators", OPERATORS_MOST);
        known = operator_add(walk, domain, op);
        known->opset = opset_version(opsets, domain);
        known->function = function_find(importer, node) != NULL;
        known->supported = known->function || supported(domain, op, known->opset);
        known->first = text_of(importer, node->name.len || !node->n_output ? &node->name : &node->output[0]);
        names_add(&walk->found, key, known);
    }
    known->count++;
    walk->survey->node_count++;
    return true;
}

/* The reader has limited how deep bodies are nested. */
static bool walk_nodes(Walk *walk, const Opsets *opsets, Onnx__NodeProto *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!walk_node(walk, opsets, nodes[i]))
            return false;
        for (size_t k = 0; k < nodes[i]->n_attribute; k++) {
            const Onnx__GraphProto *const body = nodes[i]->attribute[k]->g;
            if (body && !walk_nodes(walk, opsets, body->node, body->n_node))
                return false;
        }
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    const SurveyedOperator *const left = a, *const right = b;
    const int order = strcmp(left->domain, right->domain);
    return order ? order : strcmp(left->op, right->op);
}

static bool walk_operators(Walk *walk, const Opsets *opsets)
{
    const Onnx__ModelProto *const model = walk->importer->model;
    if (!walk_nodes(walk, opsets, model->graph->node, model->graph->n_node))
        return false;
    for (size_t i = 0; i < model->n_functions; i++) {
        Opsets inside;
        if (!opsets_import(walk->importer, model->functions[i]->opset_import, model->functions[i]->n_opset_import,
                           &inside) ||
            !walk_nodes(walk, &inside, model->functions[i]->node, model->functions[i]->n_node))
            return false;
    }
    SurveyedOperator *const sorted = NEW_ARRAY(walk->importer->ir->arena, SurveyedOperator, (size_t)walk->count + 1);
    for (int i = 0; i < walk->count; i++)
        sorted[i] = *walk->list[i];
    qsort(sorted, (size_t)walk->count, sizeof *sorted, by_name);
    walk->survey->operators = sorted;
    walk->survey->operator_count = walk->count;
    return true;
}

/* ---- inputs and outputs ---- */

static SurveyedValue value_of(const Importer *importer, const Onnx__ValueInfoProto *value)
{
    const Onnx__TypeProto *const type = value->type;
    const Onnx__TypeProto__Tensor *const tensor = type ? type->tensor_type : NULL;
    const Onnx__TensorShapeProto *const shape = tensor ? tensor->shape : NULL;
    SurveyedValue made = {.name = text_of(importer, &value->name), .rank = -1};
    made.kind = !type                      ? "unknown"
                : tensor                   ? "tensor"
                : type->sequence_type      ? "sequence"
                : type->optional_type      ? "optional"
                : type->map_type           ? "map"
                : type->sparse_tensor_type ? "sparse tensor"
                                           : "unknown";
    made.dtype = tensor ? dtype_from_onnx(tensor->elem_type) : DTYPE_NONE;
    if (!shape || shape->n_dim > INT32_MAX)
        return made;
    int64_t *const dims = NEW_ARRAY(importer->ir->arena, int64_t, shape->n_dim + 1);
    Name *const symbols = NEW_ARRAY(importer->ir->arena, Name, shape->n_dim + 1);
    for (size_t i = 0; i < shape->n_dim; i++) {
        dims[i] = shape->dim[i]->has_dim_value ? shape->dim[i]->dim_value : -1;
        symbols[i] = !shape->dim[i]->has_dim_value && shape->dim[i]->dim_param.len
                         ? text_of(importer, &shape->dim[i]->dim_param)
                         : NULL;
    }
    made.rank = (int)shape->n_dim;
    made.dims = dims;
    made.symbols = symbols;
    return made;
}

static const SurveyedValue *values_of(const Importer *importer, Onnx__ValueInfoProto *const *values, size_t count,
                                      const NameMap *without, int *kept)
{
    SurveyedValue *const list = NEW_ARRAY(importer->ir->arena, SurveyedValue, count + 1);
    *kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!without || !names_get(without, text_of(importer, &values[i]->name)))
            list[(*kept)++] = value_of(importer, values[i]);
    return list;
}

static void survey_values(Importer *importer, Survey *survey)
{
    const Onnx__GraphProto *const graph = importer->model->graph;
    NameMap initialized = {.arena = importer->scratch};
    for (size_t i = 0; i < graph->n_initializer; i++)
        names_set(&initialized, text_of(importer, &graph->initializer[i]->name), importer);
    for (size_t i = 0; i < graph->n_sparse_initializer; i++)
        if (graph->sparse_initializer[i]->values)
            names_set(&initialized, text_of(importer, &graph->sparse_initializer[i]->values->name), importer);
    survey->inputs = values_of(importer, graph->input, graph->n_input, &initialized, &survey->input_count);
    survey->outputs = values_of(importer, graph->output, graph->n_output, NULL, &survey->output_count);
    survey->initializer_count = (int64_t)(graph->n_initializer + graph->n_sparse_initializer);
}

static void survey_texts(const Importer *importer, Survey *survey)
{
    const Onnx__ModelProto *const model = importer->model;
    ImportedText *const list = NEW_ARRAY(importer->ir->arena, ImportedText, model->n_metadata_props + 1);
    for (size_t i = 0; i < model->n_metadata_props; i++)
        list[i] = (ImportedText){text_of(importer, &model->metadata_props[i]->key),
                                 text_of(importer, &model->metadata_props[i]->value)};
    survey->metadata = list;
    survey->metadata_count = (int)model->n_metadata_props;
    survey->name = text_of(importer, &model->graph->name);
    survey->producer = text_of(importer, &model->producer_name);
    survey->producer_version = text_of(importer, &model->producer_version);
    survey->ir_version = model->ir_version;
    survey->model_version = model->model_version;
    survey->function_count = (int64_t)model->n_functions;
}

/* ---- the file ---- */

static bool survey_file(Importer *importer, Survey *survey)
{
    Opsets opsets;
    if (!model_decode(importer) ||
        !opsets_import(importer, importer->model->opset_import, importer->model->n_opset_import, &opsets) ||
        !functions_import(importer))
        return false;
    Walk walk = {.importer = importer, .survey = survey, .found = {.arena = importer->scratch}};
    survey->opsets = opsets.entries;
    survey->opset_count = opsets.count;
    survey->file_bytes = importer->files->first->size;
    survey_values(importer, survey);
    survey_texts(importer, survey);
    return walk_operators(&walk, &opsets);
}

bool onnx_survey(Ir *ir, const char *path, Survey *survey)
{
    static const ImportOptions no_options;
    const ImportLimits limits = {.file = 2ull << 30, .nodes = 1000000, .name = 1 << 17, .nesting = 64, .fold = 1};
    *survey = (Survey){0};
    Files *const files = files_open(ir->arena, ir->diagnostics, path, NULL, limits.file);
    if (!files)
        return false;
    Arena *const scratch = arena_open(0, NULL, NULL);
    Importer *const importer = NEW(scratch, Importer);
    *importer = (Importer){.ir = ir,
                           .scratch = scratch,
                           .diagnostics = ir->diagnostics,
                           .options = &no_options,
                           .limits = limits,
                           .files = files,
                           .file = {.file = name_intern(ir->arena, path)},
                           .functions = {.arena = scratch}};
    const bool good = survey_file(importer, survey);
    if (good) {
        ImportedModel model = {.open = files};
        survey->sha256 = onnx_sha256(ir, &model);
    }
    arena_close(scratch);
    files_close(files);
    return good;
}
