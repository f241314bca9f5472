/* The door: file to ModelProto, model-wide checks, options, and the result. */
#include "frontend/import.h"

#include "frontend/importer.h"
#include "ir/ops/ops.h"

#include <gcrypt.h>
#include <string.h>

enum { IR_VERSION_MAX = 14, DEPTH_MEMORY = 24 };
#define MEMORY_FLOOR   ((size_t)64 << 20)
#define MEMORY_CEILING ((size_t)3 << 29)

bool text_is(const Text *text, const char *word)
{
    return text->len == strlen(word) && (text->len == 0 || memcmp(text->data, word, text->len) == 0);
}

Name text_name(Importer *importer, const Where *where, const Text *text, const char *what)
{
    if (text->len > importer->limits.name) {
        diag_error(importer->diagnostics, EXIT_LIMIT, where, "%s has %zu bytes, the limit is %u", what, text->len,
                   importer->limits.name);
        return NULL;
    }
    return name_intern_bytes(importer->ir->arena, text->len ? (const char *)text->data : "", text->len);
}

/* ---- operator sets ---- */

const char *domain_normal(const char *domain)
{
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

int opset_version(const Opsets *opsets, const char *domain)
{
    domain = domain_normal(domain);
    for (int i = 0; i < opsets->count; i++)
        if (strcmp(opsets->entries[i].domain, domain) == 0)
            return opsets->entries[i].version;
    return 0;
}

bool opsets_import(Importer *importer, Onnx__OperatorSetIdProto *const *entries, size_t count, Opsets *opsets)
{
    enum { DOMAINS_MAX = 1000 };
    const Where *where = &importer->file;
    if (count > DOMAINS_MAX)
        return diag_error(importer->diagnostics, EXIT_LIMIT, where, "%zu operator sets are imported, the limit is %d",
                          count, DOMAINS_MAX);
    ImportedOpset *list = NEW_ARRAY(importer->ir->arena, ImportedOpset, count);
    opsets->count = 0;
    opsets->entries = list;
    for (size_t i = 0; i < count; i++) {
        Name domain = text_name(importer, where, &entries[i]->domain, "a domain");
        if (!domain)
            return false;
        domain = domain_normal(domain);
        const char *quoted = diag_quote(importer->scratch, *domain ? domain : "ai.onnx", 100);
        const int64_t version = entries[i]->version, newest = *domain ? INT32_MAX : NEWEST_OPSET;
        if (opset_version(opsets, domain))
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "the operator set %s is imported twice",
                              quoted);
        if (version < 1)
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                              "the operator set %s is imported in version %lld", quoted, (long long)version);
        if (version > newest)
            return diag_error(importer->diagnostics, EXIT_UNSUPPORTED, where,
                              "the operator set %s is imported in version %lld; the newest supported is %lld", quoted,
                              (long long)version, (long long)newest);
        list[opsets->count++] = (ImportedOpset){domain, (int)version};
    }
    return true;
}

/* ---- options ---- */

static ImportLimits limits_complete(ImportLimits limits)
{
    const ImportLimits standard = {.file = 2ull << 30,
                                   .nodes = 1000000,
                                   .inputs = 2048,
                                   .name = 1 << 17,
                                   .nesting = 64,
                                   .iterations = 64,
                                   .fold = 256ull << 20};
    limits.file = limits.file ? limits.file : standard.file;
    limits.nodes = limits.nodes ? limits.nodes : standard.nodes;
    limits.inputs = limits.inputs ? limits.inputs : standard.inputs;
    limits.name = limits.name ? limits.name : standard.name;
    limits.nesting = limits.nesting ? limits.nesting : standard.nesting;
    limits.iterations = limits.iterations ? limits.iterations : standard.iterations;
    limits.fold = limits.fold ? limits.fold : standard.fold;
    return limits;
}

static bool dim_bind(Importer *importer, Name name, int64_t value)
{
    int64_t before;
    Node *node = names_add(&importer->bound, name, index_const(importer->ir, value));
    return !node || !const_is_int(node, &before) || before == value ||
           diag_error(importer->diagnostics, EXIT_USAGE, &importer->file, "the dim \"%s\" is given as %lld and as %lld",
                      diag_quote(importer->scratch, name, 100), (long long)before, (long long)value);
}

/* A shape that an option gives decides the model's names of those dims everywhere. */
static bool shape_bind(Importer *importer, const ShapeOption *option)
{
    const Onnx__GraphProto *graph = importer->model->graph;
    const Onnx__TypeProto *type = NULL;
    bool found = false;
    for (size_t i = 0; i < graph->n_input && !found; i++) {
        found = text_is(&graph->input[i]->name, option->input);
        type = graph->input[i]->type;
    }
    if (!found)
        return diag_error(importer->diagnostics, EXIT_USAGE, &importer->file, "--shape: the model has no input \"%s\"",
                          diag_quote(importer->scratch, option->input, 100));
    const Onnx__TensorShapeProto *shape = type && type->tensor_type ? type->tensor_type->shape : NULL;
    for (size_t i = 0; shape && i < shape->n_dim && i < (size_t)option->rank; i++) {
        if (option->dims[i] < 0 || shape->dim[i]->has_dim_value || !shape->dim[i]->dim_param.len)
            continue;
        const Name name = text_name(importer, &importer->file, &shape->dim[i]->dim_param, "the name of a dim");
        if (!name || !dim_bind(importer, name, option->dims[i]))
            return false;
        names_set(&importer->used, name, importer);
    }
    return true;
}

static bool dims_declare(Importer *importer)
{
    const Onnx__GraphProto *graph = importer->model->graph;
    for (size_t i = 0; i < graph->n_input; i++) {
        const Onnx__TypeProto *type = graph->input[i]->type;
        const Onnx__TensorShapeProto *shape = type && type->tensor_type ? type->tensor_type->shape : NULL;
        for (size_t k = 0; shape && k < shape->n_dim; k++) {
            const Name name = text_name(importer, &importer->file, &shape->dim[k]->dim_param, "the name of a dim");
            if (!name)
                return false;
            names_set(&importer->declared, name, importer);
        }
    }
    return true;
}

static bool options_bind(Importer *importer)
{
    const ImportOptions *options = importer->options;
    for (int i = 0; i < options->dim_count; i++)
        if (options->dims[i].value < 0 ||
            !dim_bind(importer, name_intern(importer->ir->arena, options->dims[i].name), options->dims[i].value))
            return diag_error(importer->diagnostics, EXIT_USAGE, &importer->file, "--dim %s: %lld is not a size",
                              diag_quote(importer->scratch, options->dims[i].name, 100),
                              (long long)options->dims[i].value);
    for (int i = 0; i < options->shape_count; i++)
        if (!shape_bind(importer, &options->shapes[i]))
            return false;
    return true;
}

/* A dim that is given but that no input has is a mistake of the user's. */
static bool dim_options_used(Importer *importer)
{
    for (int i = 0; i < importer->options->dim_count; i++)
        if (!names_get(&importer->used, name_intern(importer->ir->arena, importer->options->dims[i].name)))
            return diag_error(importer->diagnostics, EXIT_USAGE, &importer->file, "--dim: no input has a dim \"%s\"",
                              diag_quote(importer->scratch, importer->options->dims[i].name, 100));
    return true;
}

/* ---- the model ---- */

bool model_decode(Importer *importer)
{
    const File *const file = importer->files->first;
    size_t memory = MEMORY_FLOOR;
    if (file->size < MEMORY_CEILING / DEPTH_MEMORY)
        memory += file->size * DEPTH_MEMORY;
    else
        memory += MEMORY_CEILING;
    const WireLimits limits = {.graphs = importer->limits.nesting, .memory = memory};
    importer->model = wire_read(importer->scratch, importer->diagnostics, &importer->file,
                                &onnx__model_proto__descriptor, file->data, file->size, &limits);
    if (!importer->model)
        return false;
    if (!importer->model->graph)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, &importer->file,
                          "not an ONNX model: there is no graph");
    return true;
}

static bool model_read(Importer *importer)
{
    if (importer->files->first->size == 0)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, &importer->file, "the file is empty");
    if (!model_decode(importer))
        return false;
    const int64_t version = importer->model->ir_version;
    if (version < 1 || version > IR_VERSION_MAX)
        return diag_error(importer->diagnostics, version < 1 ? EXIT_MALFORMED : EXIT_UNSUPPORTED, &importer->file,
                          "the format version is %lld; versions 1 to %d are supported", (long long)version,
                          IR_VERSION_MAX);
    return true;
}

static bool model_opsets(Importer *importer, Opsets *opsets)
{
    static const ImportedOpset first = {"", 1};
    if (importer->model->ir_version < 3 &&
        importer->model->n_opset_import == 0) { /* from before there were operator sets */
        *opsets = (Opsets){1, &first};
        return true;
    }
    return opsets_import(importer, importer->model->opset_import, importer->model->n_opset_import, opsets) &&
           (opsets->count ||
            diag_error(importer->diagnostics, EXIT_MALFORMED, &importer->file, "the model imports no operator set"));
}

static const ImportedValue *values_list(Arena *arena, Node *const *nodes, const Name *names, int count)
{
    ImportedValue *list = NEW_ARRAY(arena, ImportedValue, (size_t)count);
    for (int i = 0; i < count; i++)
        list[i] = (ImportedValue){names[i], nodes[i]->type};
    return list;
}

static bool metadata_import(Importer *importer, ImportedModel *model)
{
    const Onnx__ModelProto *proto = importer->model;
    ImportedText *list = NEW_ARRAY(importer->ir->arena, ImportedText, proto->n_metadata_props);
    for (size_t i = 0; i < proto->n_metadata_props; i++) {
        const Text *value = &proto->metadata_props[i]->value;
        list[i].key = text_name(importer, &importer->file, &proto->metadata_props[i]->key, "a metadata key");
        list[i].value = name_intern_bytes(importer->ir->arena, value->len ? (const char *)value->data : "", value->len);
        if (!list[i].key)
            return false;
    }
    model->metadata = list;
    model->metadata_count = (int)proto->n_metadata_props;
    model->producer = text_name(importer, &importer->file, &proto->producer_name, "the producer's name");
    return model->producer;
}

static const Name *files_list(Importer *importer, int *count)
{
    *count = 0;
    for (const File *file = importer->files->first; file; file = file->next)
        ++*count;
    Name *list = NEW_ARRAY(importer->ir->arena, Name, (size_t)*count);
    int i = 0;
    for (const File *file = importer->files->first; file; file = file->next)
        list[i++] = file->path;
    return list;
}

static bool model_import(Importer *importer, ImportedModel *model)
{
    Opsets opsets;
    if (!model_read(importer) || !dims_declare(importer) || !options_bind(importer) ||
        !model_opsets(importer, &opsets) || !functions_import(importer))
        return false;
    const Context context = {&opsets, NULL, "", 0};
    const int errors = importer->diagnostics->error_count;
    const bool supported = nodes_supported(importer, &context, importer->model->graph);
    if ((!supported && !importer->options->keep_values) || !metadata_import(importer, model))
        return false;
    Graph *graph = model_graph_import(importer, &context);
    model->values = importer->values;
    model->value_count = importer->value_count;
    if (!supported)
        diag_keep_first(importer->diagnostics, errors); /* of what came after it, none is news */
    if (!supported)
        return false;
    if (!graph || !dim_options_used(importer))
        return false;
    Arena *arena = importer->ir->arena;
    model->graph = graph;
    model->name = graph->name;
    model->ir_version = importer->model->ir_version;
    model->opset_count = opsets.count;
    model->opsets = opsets.entries;
    model->inputs = values_list(arena, graph->inputs, graph->input_names, model->input_count = graph->input_count);
    model->outputs = values_list(arena, graph->outputs, graph->output_names, model->output_count = graph->output_count);
    model->dims = importer->dims;
    model->kept = importer->kept;
    model->kept_count = importer->kept_count;
    model->dim_count = importer->dim_count;
    model->files = files_list(importer, &model->file_count);
    model->open = importer->files;
    files_rest(importer->files);
    return true;
}

static bool files_import(Ir *ir, Files *files, const char *name, const ImportOptions *options, ImportedModel *model)
{
    Arena *scratch = arena_open(0, NULL, NULL);
    Importer *importer = NEW(scratch, Importer);
    *importer = (Importer){
        .ir = ir,
        .scratch = scratch,
        .diagnostics = ir->diagnostics,
        .options = options,
        .limits = limits_complete(options->limits),
        .files = files,
        .file = {.file = name_intern(ir->arena, name)},
        .functions = {.arena = scratch},
        .symbols = {.arena = scratch},
        .bound = {.arena = scratch},
        .used = {.arena = scratch},
        .declared = {.arena = scratch},
        .settled = {.arena = scratch},
    };
    map_open(&importer->singles, scratch);
    assume_open(importer);
    const Where *before = ir->where;
    const bool good = model_import(importer, model);
    ir->where = before;
    arena_close(scratch);
    if (!good)
        files_close(files);
    return good;
}

static const ImportOptions no_options;

bool onnx_import(Ir *ir, const char *path, const ImportOptions *options, ImportedModel *model)
{
    options = options ? options : &no_options;
    *model = (ImportedModel){0};
    Files *files =
        files_open(ir->arena, ir->diagnostics, path, options->external, limits_complete(options->limits).file);
    return files && files_import(ir, files, path, options, model);
}

bool onnx_import_memory(Ir *ir, const char *name, const void *data, size_t size, const ImportOptions *options,
                        ImportedModel *model)
{
    options = options ? options : &no_options;
    *model = (ImportedModel){0};
    return files_import(ir, files_memory(ir->arena, ir->diagnostics, data, size, options->external), name, options,
                        model);
}

void onnx_close(ImportedModel *model)
{
    if (model->open)
        files_close(model->open);
    model->open = NULL;
}

size_t onnx_bytes(const ImportedModel *model)
{
    return model->open->first->size;
}

Name onnx_sha256(Ir *ir, const ImportedModel *model)
{
    enum { DIGEST = 32 };
    unsigned char digest[DIGEST];
    char text[2 * DIGEST + 1];
    if (!gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P)) {
        gcry_check_version(NULL);
        gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
        gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    }
    gcry_md_hash_buffer(GCRY_MD_SHA256, digest, model->open->first->data, model->open->first->size);
    for (int i = 0; i < DIGEST; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return name_intern(ir->arena, text);
}
