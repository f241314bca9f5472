/* See shrink.h. */
#include "frontend/shrink.h"

#include "frontend/importer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PREFIX_MOST = 10 };

struct Shrink {
    Importer *importer;
    Ir *ir;
    const Onnx__GraphProto *graph;
    NameMap types; /* ImportedValue by name, and of inputs the ValueInfoProto that they have: */
    NameMap inputs;
    NameMap constants; /* TensorProto by name */
    int attribute_count;
    int extent_count;
    int64_t extents[64];
};

static Name name_of(const Shrink *shrink, const Text *text)
{
    return name_intern_bytes(shrink->ir->arena, text->len ? (const char *)text->data : "", text->len);
}

static Text text_of(Name name)
{
    return (Text){strlen(name), (uint8_t *)(uintptr_t)name};
}

/* ---- reading ---- */

/* May the model of these bytes be imported here? A model that fails may crash the importer, so another process tries it
 * first. */
static bool import_survives(const void *bytes, size_t size)
{
    static const ImportOptions options = {.keep_values = true};
    int status = 0;
    const pid_t process = fork();
    if (process == 0) {
        const int nothing = open("/dev/null", O_WRONLY);
        dup2(nothing, STDOUT_FILENO);
        dup2(nothing, STDERR_FILENO);
        Arena *const arena = arena_open(0, NULL, NULL);
        ImportedModel model;
        onnx_import_memory(ir_open(arena, diagnostics_open(arena)), "model", bytes, size, &options, &model);
        _exit(0);
    }
    while (process > 0 && waitpid(process, &status, 0) < 0 && errno == EINTR)
        ;
    return process > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The types of the values between the nodes: of all that can be imported, or of as many of the first nodes as do not
 * crash. */
static void types_read(Shrink *shrink)
{
    static const ImportOptions options = {.keep_values = true};
    Arena *const arena = shrink->ir->arena;
    ShrinkChoice choice = shrink_all(shrink, arena);
    const int count = shrink_node_count(shrink);
    const void *bytes = NULL;
    size_t size = 0;
    for (int low = 0, high = count, tried = count; low < high || tried == count;) {
        for (int i = 0; i < count; i++)
            choice.nodes[i] = i < tried;
        size_t length;
        const void *const part = shrink_pack(shrink, arena, &choice, &length);
        if (part && import_survives(part, length)) {
            bytes = part;
            size = length;
            low = tried;
        } else {
            high = tried - 1;
        }
        if (low >= high)
            break;
        tried = low + (high - low + 1) / 2;
    }
    ImportedModel model = {0};
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    const bool good = bytes && onnx_import_memory(ir, "model", bytes, size, &options, &model);
    for (int i = 0; i < model.value_count; i++)
        if (model.values[i].type.dtype != DTYPE_NONE)
            names_add(&shrink->types, name_intern(arena, model.values[i].name), (void *)(uintptr_t)&model.values[i]);
    if (good)
        onnx_close(&model);
}

Shrink *shrink_open(Ir *ir, const char *path)
{
    static const ImportOptions no_options;
    Arena *const arena = ir->arena;
    const ImportLimits limits = {.file = 2ull << 30, .nodes = 1000000, .name = 1 << 17, .nesting = 64, .fold = 1};
    Files *const files = files_open(arena, ir->diagnostics, path, NULL, limits.file);
    if (!files)
        return NULL;
    Importer *const importer = NEW(arena, Importer);
    *importer = (Importer){.ir = ir,
                           .scratch = arena,
                           .diagnostics = ir->diagnostics,
                           .options = &no_options,
                           .limits = limits,
                           .files = files,
                           .file = {.file = name_intern(arena, path)},
                           .functions = {.arena = arena}};
    if (!model_decode(importer)) {
        files_close(files);
        return NULL;
    }
    Shrink *const shrink = NEW(arena, Shrink);
    *shrink = (Shrink){.importer = importer,
                       .ir = ir,
                       .graph = importer->model->graph,
                       .types = {.arena = arena},
                       .inputs = {.arena = arena},
                       .constants = {.arena = arena}};
    const Onnx__GraphProto *const graph = shrink->graph;
    for (size_t i = 0; i < graph->n_input; i++)
        names_add(&shrink->inputs, name_of(shrink, &graph->input[i]->name), graph->input[i]);
    for (size_t i = 0; i < graph->n_initializer; i++)
        names_add(&shrink->constants, name_of(shrink, &graph->initializer[i]->name), graph->initializer[i]);
    for (size_t i = 0; i < graph->n_node; i++)
        shrink->attribute_count += (int)graph->node[i]->n_attribute;
    types_read(shrink);
    return shrink;
}

void shrink_close(Shrink *shrink)
{
    files_close(shrink->importer->files);
}

int shrink_node_count(const Shrink *shrink)
{
    return (int)shrink->graph->n_node;
}

int shrink_constant_count(const Shrink *shrink)
{
    return (int)shrink->graph->n_initializer;
}

int shrink_attribute_count(const Shrink *shrink)
{
    return shrink->attribute_count;
}

static bool *all_true(Arena *arena, int count)
{
    bool *const list = NEW_ARRAY(arena, bool, (size_t)count + 1);
    memset(list, true, (size_t)count + 1);
    return list;
}

ShrinkChoice shrink_all(const Shrink *shrink, Arena *arena)
{
    return (ShrinkChoice){.nodes = all_true(arena, shrink_node_count(shrink)),
                          .constants = all_true(arena, shrink_constant_count(shrink)),
                          .attributes = all_true(arena, shrink->attribute_count),
                          .inner_outputs = true,
                          .functions = true};
}

/* ---- what a choice needs and makes ---- */

/* All names that nodes and the bodies inside them read. Bodies are nested no deeper than the reader allows. */
static void reads_collect(const Shrink *shrink, const Onnx__NodeProto *node, NameMap *reads)
{
    for (size_t i = 0; i < node->n_input; i++)
        names_add(reads, name_of(shrink, &node->input[i]), reads);
    for (size_t k = 0; k < node->n_attribute; k++) {
        const Onnx__GraphProto *const body = node->attribute[k]->g;
        for (size_t i = 0; body && i < body->n_node; i++)
            reads_collect(shrink, body->node[i], reads);
        for (size_t i = 0; body && i < body->n_output; i++)
            names_add(reads, name_of(shrink, &body->output[i]->name), reads);
    }
}

static NameMap choice_reads(const Shrink *shrink, const ShrinkChoice *choice, Arena *arena)
{
    NameMap reads = {.arena = arena};
    for (size_t i = 0; i < shrink->graph->n_node; i++)
        if (choice->nodes[i])
            reads_collect(shrink, shrink->graph->node[i], &reads);
    return reads;
}

bool shrink_uses_constant(const Shrink *shrink, const ShrinkChoice *choice, int constant)
{
    Arena *const scratch = arena_scratch(shrink->ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    const NameMap reads = choice_reads(shrink, choice, scratch);
    const bool uses = names_get(&reads, name_of(shrink, &shrink->graph->initializer[constant]->name));
    arena_reset(scratch, mark);
    return uses;
}

bool shrink_uses_attribute(const Shrink *shrink, const ShrinkChoice *choice, int attribute)
{
    for (size_t i = 0; i < shrink->graph->n_node; i++) {
        const int count = (int)shrink->graph->node[i]->n_attribute;
        if (attribute < count)
            return choice->nodes[i];
        attribute -= count;
    }
    return false;
}

/* ---- writing ---- */

typedef struct Packing {
    Shrink *shrink;
    Arena *arena;
    const ShrinkChoice *choice;
    NameMap reads, made, given; /* given: inputs and constants of the choice */
    Onnx__GraphProto graph;
    bool good;
} Packing;

#define MAKE(packing, Type, type) type_init(NEW((packing)->arena, Onnx__##Type), &onnx__##type##__descriptor)
static void *type_init(void *message, const ProtobufCMessageDescriptor *descriptor)
{
    protobuf_c_message_init(descriptor, message);
    return message;
}

static int64_t dim_changed(Packing *packing, int64_t dim)
{
    Shrink *const shrink = packing->shrink;
    for (int i = 0; i < packing->choice->dim_count; i++)
        if (packing->choice->dims[i] == dim)
            dim = packing->choice->to[i];
    bool met = dim < 2 || shrink->extent_count == 64;
    for (int i = 0; i < shrink->extent_count && !met; i++)
        met = shrink->extents[i] == dim;
    if (!met)
        shrink->extents[shrink->extent_count++] = dim;
    return dim;
}

/* A tensor type whose dims are numbers, or names where `names[i]` is not NULL. */
static Onnx__TypeProto *tensor_type(Packing *packing, int element, int rank, const int64_t *dims, const Name *names)
{
    Onnx__TypeProto *const type = MAKE(packing, TypeProto, type_proto);
    Onnx__TypeProto__Tensor *const tensor = MAKE(packing, TypeProto__Tensor, type_proto__tensor);
    Onnx__TensorShapeProto *const shape = MAKE(packing, TensorShapeProto, tensor_shape_proto);
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = element;
    tensor->shape = shape;
    shape->n_dim = (size_t)rank;
    shape->dim = NEW_ARRAY(packing->arena, Onnx__TensorShapeProto__Dimension *, (size_t)rank + 1);
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *const dim =
            MAKE(packing, TensorShapeProto__Dimension, tensor_shape_proto__dimension);
        dim->has_dim_value = !names || !names[i];
        dim->has_dim_param = !dim->has_dim_value;
        if (dim->has_dim_value)
            dim->dim_value = dim_changed(packing, dims[i]);
        else
            dim->dim_param = text_of(names[i]);
        shape->dim[i] = dim;
    }
    return type;
}

/* NULL: the type is not known, or no tensor's. */
static Onnx__TypeProto *value_type(Packing *packing, Name name)
{
    const ImportedValue *const value = names_get(&packing->shrink->types, name);
    if (!value || !type_is_tensor(value->type))
        return NULL;
    int64_t dims[RANK_MAX];
    Name names[RANK_MAX];
    for (int i = 0; i < value->type.rank; i++) {
        Node *const dim = value->type.dims[i];
        names[i] = NULL;
        if (!dim || !const_is_int(dim, &dims[i]))
            names[i] =
                dim && dim->op == OP_symbol ? dim->payload.name : arena_format(packing->arena, "%s_dim%d", name, i);
    }
    return tensor_type(packing, dtype_info[value->type.dtype].onnx, value->type.rank, dims, names);
}

static Onnx__ValueInfoProto *value_info(Packing *packing, Name name, Onnx__TypeProto *type)
{
    Onnx__ValueInfoProto *const info = MAKE(packing, ValueInfoProto, value_info_proto);
    info->has_name = 1;
    info->name = text_of(name);
    info->type = type;
    return info;
}

/* A declared type with the changed dims. */
static Onnx__TypeProto *declared_type(Packing *packing, Onnx__TypeProto *type)
{
    const Onnx__TensorShapeProto *const shape = type && type->tensor_type ? type->tensor_type->shape : NULL;
    int64_t dims[RANK_MAX];
    Name names[RANK_MAX];
    if (!shape || shape->n_dim > RANK_MAX)
        return type;
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *const dim = shape->dim[i];
        dims[i] = dim->dim_value;
        names[i] = dim->has_dim_value   ? NULL
                   : dim->dim_param.len ? name_of(packing->shrink, &dim->dim_param)
                                        : arena_format(packing->arena, "dim%zu_%p", i, (const void *)dim);
    }
    return tensor_type(packing, type->tensor_type->elem_type, (int)shape->n_dim, dims, names);
}

static void input_add(Packing *packing, Onnx__ValueInfoProto *info)
{
    packing->graph.input[packing->graph.n_input++] = info;
}

/* Numeric lists that the reader left undecoded, in the form in which protobuf-c writes what it does not know: behind
 * the tag. */
static Onnx__TensorProto *tensor_packed(Packing *packing, const Onnx__TensorProto *from)
{
    Onnx__TensorProto *const tensor = arena_copy(packing->arena, from, sizeof *from);
    const unsigned count = from->base.n_unknown_fields;
    ProtobufCMessageUnknownField *const fields =
        NEW_ARRAY(packing->arena, ProtobufCMessageUnknownField, (size_t)count + 1);
    for (unsigned i = 0; i < count; i++) {
        const ProtobufCMessageUnknownField *const field = &from->base.unknown_fields[i];
        uint8_t *const data = arena_alloc(packing->arena, field->len + PREFIX_MOST);
        size_t used = 0;
        fields[i] = *field;
        if (field->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            for (size_t rest = field->len; used == 0 || rest > 0; rest >>= 7)
                data[used++] = (uint8_t)((rest & 127) | (rest >> 7 ? 128 : 0));
            memcpy(data + used, field->data, field->len);
            fields[i].len = used + field->len;
        } else { /* its own tag stands there, a byte: these fields have small numbers */
            memcpy(data, field->data + 1, field->len - 1);
            fields[i].len = field->len - 1;
        }
        fields[i].data = data;
    }
    tensor->base.unknown_fields = fields;
    return tensor;
}

static Onnx__NodeProto *node_packed(Packing *packing, const Onnx__NodeProto *from, const bool *attributes);

static Onnx__GraphProto *body_packed(Packing *packing, const Onnx__GraphProto *from)
{
    Onnx__GraphProto *const body = arena_copy(packing->arena, from, sizeof *from);
    body->node = NEW_ARRAY(packing->arena, Onnx__NodeProto *, from->n_node + 1);
    body->initializer = NEW_ARRAY(packing->arena, Onnx__TensorProto *, from->n_initializer + 1);
    for (size_t i = 0; i < from->n_node; i++)
        body->node[i] = node_packed(packing, from->node[i], NULL);
    for (size_t i = 0; i < from->n_initializer; i++)
        body->initializer[i] = tensor_packed(packing, from->initializer[i]);
    return body;
}

/* attributes: which to keep; NULL: all. */
static Onnx__NodeProto *node_packed(Packing *packing, const Onnx__NodeProto *from, const bool *attributes)
{
    Onnx__NodeProto *const node = arena_copy(packing->arena, from, sizeof *from);
    node->attribute = NEW_ARRAY(packing->arena, Onnx__AttributeProto *, from->n_attribute + 1);
    node->n_attribute = 0;
    for (size_t i = 0; i < from->n_attribute; i++) {
        if (attributes && !attributes[i])
            continue;
        Onnx__AttributeProto *const attribute = arena_copy(packing->arena, from->attribute[i], sizeof *attribute);
        if (attribute->t)
            attribute->t = tensor_packed(packing, attribute->t);
        if (attribute->g)
            attribute->g = body_packed(packing, attribute->g);
        node->attribute[node->n_attribute++] = attribute;
    }
    return node;
}

static void nodes_pack(Packing *packing)
{
    const Onnx__GraphProto *const from = packing->shrink->graph;
    const bool *attributes = packing->choice->attributes;
    packing->graph.node = NEW_ARRAY(packing->arena, Onnx__NodeProto *, from->n_node + 1);
    packing->graph.n_node = 0;
    for (size_t i = 0; i < from->n_node; attributes += from->node[i++]->n_attribute) {
        if (!packing->choice->nodes[i])
            continue;
        packing->graph.node[packing->graph.n_node++] = node_packed(packing, from->node[i], attributes);
        for (size_t k = 0; k < from->node[i]->n_output; k++)
            names_add(&packing->made, name_of(packing->shrink, &from->node[i]->output[k]), from->node[i]);
    }
}

static void constants_pack(Packing *packing)
{
    const Onnx__GraphProto *const from = packing->shrink->graph;
    packing->graph.initializer = NEW_ARRAY(packing->arena, Onnx__TensorProto *, from->n_initializer + 1);
    packing->graph.n_initializer = 0;
    for (size_t i = 0; i < from->n_initializer; i++) {
        const Onnx__TensorProto *const tensor = from->initializer[i];
        const Name name = name_of(packing->shrink, &tensor->name);
        if (!names_get(&packing->reads, name) || names_add(&packing->given, name, packing))
            continue;
        if (packing->choice->constants[i] && !tensor->n_external_data)
            packing->graph.initializer[packing->graph.n_initializer++] = tensor_packed(packing, tensor);
        else
            input_add(packing,
                      value_info(packing, name,
                                 tensor_type(packing, tensor->data_type, (int)tensor->n_dims, tensor->dims, NULL)));
    }
}

/* What the nodes read and nobody gives: inputs of the model first, in its order. */
static void inputs_pack(Packing *packing)
{
    Shrink *const shrink = packing->shrink;
    const Onnx__GraphProto *const from = shrink->graph;
    for (size_t i = 0; i < from->n_input; i++) {
        const Name name = name_of(shrink, &from->input[i]->name);
        if (names_get(&packing->reads, name) && !names_add(&packing->given, name, packing))
            input_add(packing, value_info(packing, name, declared_type(packing, from->input[i]->type)));
    }
    for (size_t i = 0; i < from->n_node && packing->good; i++)
        for (size_t k = 0; k < from->node[i]->n_output; k++) {
            const Name name = name_of(shrink, &from->node[i]->output[k]);
            if (!*name || !names_get(&packing->reads, name) || names_get(&packing->made, name) ||
                names_add(&packing->given, name, packing))
                continue;
            Onnx__TypeProto *const type = value_type(packing, name);
            packing->good = packing->good && type;
            if (type)
                input_add(packing, value_info(packing, name, type));
        }
}

/* The same type with dims of which nothing is said. */
static Onnx__TypeProto *open_type(Packing *packing, Onnx__TypeProto *type)
{
    const Onnx__TensorShapeProto *const shape = type->tensor_type ? type->tensor_type->shape : NULL;
    const int rank = shape && shape->n_dim < RANK_MAX ? (int)shape->n_dim : 0;
    static const int64_t zeros[RANK_MAX];
    if (!shape)
        return type;
    Onnx__TypeProto *const open = tensor_type(packing, type->tensor_type->elem_type, rank, zeros, NULL);
    for (int i = 0; i < rank; i++)
        open->tensor_type->shape->dim[i]->has_dim_value = 0;
    return open;
}

/* With changed dims the shapes of results are not known. */
static void output_add(Packing *packing, Name name)
{
    const Onnx__GraphProto *const from = packing->shrink->graph;
    Onnx__TypeProto *type = NULL;
    for (size_t i = 0; i < from->n_output && !type; i++)
        if (name_of(packing->shrink, &from->output[i]->name) == name)
            type = from->output[i]->type;
    type = type ? type : value_type(packing, name);
    if (packing->choice->dim_count && type)
        type = open_type(packing, type);
    packing->graph.output[packing->graph.n_output++] = value_info(packing, name, type);
}

/* Results of nodes that nobody reads; with inner_outputs also the model's own among the others. */
static void outputs_pack(Packing *packing)
{
    Shrink *const shrink = packing->shrink;
    const Onnx__GraphProto *const from = shrink->graph;
    NameMap own = {.arena = packing->arena};
    for (size_t i = 0; i < from->n_output; i++)
        names_add(&own, name_of(shrink, &from->output[i]->name), from->output[i]);
    for (size_t i = 0; i < from->n_node; i++) {
        const Onnx__NodeProto *const node = from->node[i];
        bool read = false;
        for (size_t k = 0; k < node->n_output; k++)
            read = read || names_get(&packing->reads, name_of(shrink, &node->output[k]));
        for (size_t k = 0; k < node->n_output && packing->choice->nodes[i]; k++) {
            const Name name = name_of(shrink, &node->output[k]);
            if (*name && (!read || (names_get(&own, name) &&
                                    (packing->choice->inner_outputs || !names_get(&packing->reads, name)))))
                output_add(packing, name);
        }
    }
}

const void *shrink_pack(Shrink *shrink, Arena *arena, const ShrinkChoice *choice, size_t *size)
{
    const Onnx__GraphProto *const from = shrink->graph;
    Packing packing = {.shrink = shrink,
                       .arena = arena,
                       .choice = choice,
                       .made = {.arena = arena},
                       .given = {.arena = arena},
                       .graph = *from,
                       .good = true};
    size_t outputs = 0;
    for (size_t i = 0; i < from->n_node; i++)
        outputs += from->node[i]->n_output;
    shrink->extent_count = 0;
    packing.reads = choice_reads(shrink, choice, arena);
    packing.graph.input = NEW_ARRAY(arena, Onnx__ValueInfoProto *, from->n_input + from->n_initializer + outputs + 1);
    packing.graph.output = NEW_ARRAY(arena, Onnx__ValueInfoProto *, outputs + 1);
    packing.graph.n_input = packing.graph.n_output = 0;
    nodes_pack(&packing);
    constants_pack(&packing);
    inputs_pack(&packing);
    const int extents = shrink->extent_count;
    outputs_pack(&packing);
    shrink->extent_count = extents;
    if (!packing.good || packing.graph.n_node == 0 || packing.graph.n_output == 0)
        return NULL;
    Onnx__ModelProto model = *shrink->importer->model;
    model.graph = &packing.graph;
    model.n_metadata_props = 0;
    if (!choice->functions)
        model.n_functions = 0;
    *size = onnx__model_proto__get_packed_size(&model);
    uint8_t *const bytes = arena_alloc(arena, *size + 1);
    onnx__model_proto__pack(&model, bytes);
    return bytes;
}

int shrink_extents(const Shrink *shrink, int64_t *extents, int most)
{
    const int count = shrink->extent_count < most ? shrink->extent_count : most;
    memcpy(extents, shrink->extents, (size_t)count * sizeof *extents);
    return count;
}
