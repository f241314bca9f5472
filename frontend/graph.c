/* Graphs: scopes, initialisers, declared types and symbolic dims, inputs and outputs. The same code serves the model
 * and its bodies. */
#include "frontend/importer.h"
#include "ir/ops/ops.h"

#include <stdio.h>
#include <string.h>

Node *scope_find(const Scope *scope, Name name)
{
    Node *node = NULL;
    for (; scope && !node; scope = scope->outer)
        node = names_get(&scope->values, name);
    return node;
}

bool scope_add(Importer *importer, const Where *where, Scope *scope, Name name, Node *node)
{
    return !names_add(&scope->values, name, node) ||
           diag_error(importer->diagnostics, EXIT_MALFORMED, where, "the value \"%s\" is made twice",
                      diag_quote(importer->scratch, name, 100));
}

/* Sparse and dense initialisers become values of the scope. */
static bool initializers_import(Importer *importer, const Onnx__GraphProto *graph, Scope *scope)
{
    for (size_t i = 0; i < graph->n_initializer + graph->n_sparse_initializer; i++) {
        const bool dense = i < graph->n_initializer;
        const Onnx__SparseTensorProto *sparse = dense ? NULL : graph->sparse_initializer[i - graph->n_initializer];
        const Onnx__TensorProto *tensor = dense ? graph->initializer[i] : sparse->values;
        Node *node =
            dense ? tensor_import(importer, &importer->file, tensor) : sparse_import(importer, &importer->file, sparse);
        const Name name = node ? text_name(importer, &importer->file, &tensor->name, "a tensor's name") : NULL;
        if (!name)
            return false;
        if (!*name)
            return diag_error(importer->diagnostics, EXIT_MALFORMED, &importer->file, "an initializer has no name");
        if (!scope_add(importer, &importer->file, scope, name, node))
            return false;
    }
    return true;
}

/* ---- symbolic dims ---- */

/* A symbol's text is letters, digits, '_' and '.', so that it can stand in IR text and in C comments; other bytes
 * become _xHH. */
static Name symbol_text(Importer *importer, Name name)
{
    Arena *arena = importer->scratch;
    char *text = arena_alloc(arena, strlen(name) * 4 + 8), *at = text;
    for (const char *c = name; *c; c++) {
        const bool digit = *c >= '0' && *c <= '9';
        const bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
        if (letter || (c > name && (digit || *c == '.')))
            *at++ = *c;
        else if (digit)
            at += sprintf(at, "_%c", *c);
        else
            at += sprintf(at, "_x%02x", (unsigned char)*c);
    }
    return name_intern(importer->ir->arena, text);
}

static bool text_taken(const Importer *importer, Name text)
{
    for (int i = 0; i < importer->dim_count; i++)
        if (importer->dims[i].symbol == text)
            return true;
    return false;
}

/* The index node for a dim's name: what an option binds it to, the symbol made before, or a new one. */
static Node *dim_named(Importer *importer, Name name)
{
    names_set(&importer->used, name, importer);
    Node *node = names_get(&importer->bound, name);
    if (!node)
        node = names_get(&importer->symbols, name);
    if (node)
        return node;
    Name text = symbol_text(importer, name);
    while (text_taken(importer, text))
        text = name_intern(importer->ir->arena, arena_format(importer->scratch, "%s_", text));
    if (importer->dim_count == importer->dim_capacity) {
        importer->dim_capacity = importer->dim_capacity ? importer->dim_capacity * 2 : 16;
        ImportedDim *larger = NEW_ARRAY(importer->ir->arena, ImportedDim, (size_t)importer->dim_capacity);
        if (importer->dim_count)
            memcpy(larger, importer->dims, (size_t)importer->dim_count * sizeof *larger);
        importer->dims = larger;
    }
    importer->dims[importer->dim_count++] = (ImportedDim){text, name};
    node = symbol_make(importer->ir, text);
    names_add(&importer->symbols, name, node);
    return node;
}

/* "x.dim2", or with more underscores when the model calls another dim that. */
static Name dim_fresh_name(Importer *importer, Name value, int i)
{
    Name name = name_intern(importer->ir->arena, arena_format(importer->scratch, "%s.dim%d", value, i));
    while (names_get(&importer->symbols, name) || names_get(&importer->declared, name))
        name = name_intern(importer->ir->arena, arena_format(importer->scratch, "%s_", name));
    return name;
}

static const ShapeOption *shape_option(const Importer *importer, Name name)
{
    for (int i = 0; i < importer->options->shape_count; i++)
        if (strcmp(importer->options->shapes[i].input, name) == 0)
            return &importer->options->shapes[i];
    return NULL;
}

static Node *dim_import(Importer *importer, const Where *where, const Onnx__TensorShapeProto__Dimension *dim,
                        Name value, int i)
{
    if (dim && dim->has_dim_value)
        return index_const(importer->ir, dim->dim_value);
    Name name = dim ? text_name(importer, where, &dim->dim_param, "the name of a dim") : "";
    if (name && !*name)
        name = dim_fresh_name(importer, value, i);
    return name ? dim_named(importer, name) : NULL;
}

/* Type of a declared value; symbolic dims where model and option (which may be NULL) leave them open. */
static bool type_import(Importer *importer, const Onnx__ValueInfoProto *value, Name name, const ShapeOption *option,
                        Type *type)
{
    const Where *where = &importer->file;
    const char *what = arena_format(importer->scratch, "value \"%s\"", diag_quote(importer->scratch, name, 100));
    if (!value->type)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "%s has no type", what);
    const Onnx__TypeProto__Tensor *tensor = value->type->tensor_type;
    if (!tensor)
        return diag_error(importer->diagnostics, EXIT_UNSUPPORTED, where,
                          "%s is not a tensor but a %s, which is not supported", what,
                          value->type->sequence_type   ? "sequence"
                          : value->type->optional_type ? "optional"
                          : value->type->map_type      ? "map"
                                                       : "value of another kind");
    const Dtype dtype = dtype_import(importer, where, what, tensor->elem_type);
    if (dtype == DTYPE_NONE)
        return false;
    const Onnx__TensorShapeProto *shape = tensor->shape;
    if (!shape && !option)
        return diag_error(importer->diagnostics, EXIT_UNSUPPORTED, where, "%s has no shape: give one with --shape",
                          what);
    const size_t rank = shape ? shape->n_dim : (size_t)option->rank;
    if (option && (size_t)option->rank != rank)
        return diag_error(importer->diagnostics, EXIT_USAGE, where, "%s has %zu dims, --shape gives %d", what, rank,
                          option->rank);
    int64_t fixed[RANK_MAX];
    Node *dims[RANK_MAX];
    uint64_t elements, bytes;
    for (size_t i = 0; i < rank && i < RANK_MAX; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape ? shape->dim[i] : NULL;
        if (dim && dim->has_dim_value && dim->dim_value < 0) /* before it becomes an index */
            return dims_check(importer, where, what, &dim->dim_value, 1, dtype, &elements, &bytes);
        dims[i] = option && option->dims[i] >= 0 ? index_const(importer->ir, option->dims[i])
                                                 : dim_import(importer, where, dim, name, (int)i);
        if (!dims[i])
            return false;
        if (!const_is_int(dims[i], &fixed[i]))
            fixed[i] = 1;
    }
    if (!dims_check(importer, where, what, fixed, rank, dtype, &elements, &bytes))
        return false;
    *type = type_tensor(importer->ir, dtype, (int)rank, dims);
    return true;
}

/* ---- inputs and outputs ---- */

static bool inputs_import(Importer *importer, const Onnx__GraphProto *proto, Scope *scope, Graph *graph)
{
    const Where *where = &importer->file;
    NameMap seen = {.arena = importer->scratch};
    Name *names = NEW_ARRAY(importer->ir->arena, Name, proto->n_input);
    graph->inputs = NEW_ARRAY(importer->ir->arena, Node *, proto->n_input);
    graph->input_names = names;
    for (size_t i = 0; i < proto->n_input; i++) {
        const Name name = text_name(importer, where, &proto->input[i]->name, "an input's name");
        if (!name)
            return false;
        if (!*name || names_add(&seen, name, proto->input[i]))
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                              *name ? "the input \"%s\" is there twice" : "an input has no name%s",
                              *name ? diag_quote(importer->scratch, name, 100) : "");
        if (names_get(&scope->values, name)) /* an input with a default: the default is what we compile */
            continue;
        Type type;
        const ShapeOption *option = scope->outer ? NULL : shape_option(importer, name);
        if (!type_import(importer, proto->input[i], name, option, &type))
            return false;
        Node *input = input_make(importer->ir, name, type);
        names[graph->input_count] = name;
        graph->inputs[graph->input_count++] = input;
        names_add(&scope->values, name, input);
    }
    return true;
}

/* What a value is declared to be, against what it is: types that contradict each other mean a wrong model. */
static bool declared_check(Importer *importer, const Onnx__ValueInfoProto *declared, const char *kind, Name name,
                           Type type)
{
    const Where *where = &importer->file;
    const char *what = arena_format(importer->scratch, "%s \"%s\"", kind, diag_quote(importer->scratch, name, 100));
    if (!declared->type)
        return true;
    const Onnx__TypeProto__Tensor *tensor = declared->type->tensor_type;
    if (!tensor)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                          "%s is declared as something else than the tensor it is", what);
    if (tensor->elem_type && dtype_from_onnx(tensor->elem_type) != type.dtype)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "%s is declared with element type %d but is %s",
                          what, tensor->elem_type, type_text(importer->ir, type));
    if (!tensor->shape || importer->options->shape_count)
        return true;
    if (tensor->shape->n_dim != (size_t)type.rank)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "%s is declared with %zu dims but is %s", what,
                          tensor->shape->n_dim, type_text(importer->ir, type));
    for (int i = 0; i < type.rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = tensor->shape->dim[i];
        int64_t is;
        if (dim->has_dim_value && const_is_int(type.dims[i], &is) && is != dim->dim_value)
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                              "%s is declared with dim %d = %lld but is %s", what, i, (long long)dim->dim_value,
                              type_text(importer->ir, type));
    }
    return true;
}

/* Values of the graph around the body stand for its inputs. */
static bool inputs_bind(Importer *importer, const Onnx__GraphProto *proto, Node *const *given, Scope *scope)
{
    for (size_t i = 0; i < proto->n_input; i++) {
        const Name name = text_name(importer, &importer->file, &proto->input[i]->name, "an input's name");
        if (!name)
            return false;
        if (!*name)
            return diag_error(importer->diagnostics, EXIT_MALFORMED, &importer->file, "an input has no name");
        if (!declared_check(importer, proto->input[i], "input", name, given[i]->type) ||
            !scope_add(importer, &importer->file, scope, name, given[i]))
            return false;
    }
    return true;
}

static bool outputs_import(Importer *importer, const Onnx__GraphProto *proto, const Scope *scope, Graph *graph)
{
    const Where *where = &importer->file;
    NameMap seen = {.arena = importer->scratch};
    Name *names = NEW_ARRAY(importer->ir->arena, Name, proto->n_output);
    graph->outputs = NEW_ARRAY(importer->ir->arena, Node *, proto->n_output);
    graph->output_names = names;
    for (size_t i = 0; i < proto->n_output; i++) {
        const Name name = text_name(importer, where, &proto->output[i]->name, "an output's name");
        if (!name)
            return false;
        const char *quoted = diag_quote(importer->scratch, name, 100);
        const bool twice =
            names_add(&seen, name, proto->output[i]) && !scope->outer; /* a body may give one value twice */
        if (!*name || twice)
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                              *name ? "the output \"%s\" is there twice" : "an output has no name%s",
                              *name ? quoted : "");
        Node *output = scope_find(scope, name);
        if (!output)
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "the output \"%s\" is made by no node",
                              quoted);
        if (!declared_check(importer, proto->output[i], "output", name, output->type))
            return false;
        names[i] = name;
        graph->outputs[i] = output;
    }
    graph->output_count = (int)proto->n_output;
    return true;
}

static bool nodes_import_kept(Importer *importer, const Context *context, Scope *scope, const Onnx__GraphProto *proto)
{
    const bool good = nodes_import(importer, context, scope, proto->node, proto->n_node);
    const bool keep = !scope->outer && importer->options->keep_values;
    return (!keep || values_keep(importer, context, scope, proto)) && good;
}

/* given: what stands for the inputs, NULL for inputs of its own */
static Graph *graph_fill(Importer *importer, const Context *context, const Scope *outer, const Onnx__GraphProto *proto,
                         Node *const *given)
{
    Scope scope = {outer, {.arena = importer->scratch}};
    Declared declared = {.graph = proto, .values = {.arena = importer->scratch}};
    const Context inside = {context->opsets, context->attributes, context->path, context->depth + (outer != NULL),
                            &declared};
    const Where *where = &importer->file;
    Graph *graph = NEW(importer->ir->arena, Graph);
    graph->name = text_name(importer, where, &proto->name, "a graph's name");
    if (inside.depth > importer->limits.nesting) {
        diag_error(importer->diagnostics, EXIT_LIMIT, where, "graphs and functions are nested more than %d deep",
                   importer->limits.nesting);
        return NULL;
    }
    const bool good =
        graph->name && initializers_import(importer, proto, &scope) &&
        (given ? inputs_bind(importer, proto, given, &scope) : inputs_import(importer, proto, &scope, graph)) &&
        nodes_import_kept(importer, &inside, &scope, proto) && outputs_import(importer, proto, &scope, graph);
    return good ? graph : NULL;
}

Graph *graph_import(Importer *importer, const Context *context, const Scope *outer, const Onnx__GraphProto *proto)
{
    return graph_fill(importer, context, outer, proto, NULL);
}

Graph *body_import(Importer *importer, const Context *context, const Scope *outer, const Onnx__GraphProto *proto,
                   Node *const *inputs)
{
    return graph_fill(importer, context, outer, proto, inputs);
}
