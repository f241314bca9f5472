/* Graphs: scopes, initialisers, declared types and symbolic dims, inputs and outputs. The same code serves the model
 * and its bodies. */
#include "frontend/importer.h"
#include "ir/ops/host.h"

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

/* ---- inputs and outputs ---- */

static const ShapeOption *shape_option(const Importer *importer, Name name)
{
    for (int i = 0; i < importer->options->shape_count; i++)
        if (strcmp(importer->options->shapes[i].input, name) == 0)
            return &importer->options->shapes[i];
    return NULL;
}

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
        if (!type_import(importer, proto->input[i]->type, name, option, &type))
            return false;
        Node *input = input_make(importer->ir, name, type);
        names[graph->input_count] = name;
        graph->inputs[graph->input_count++] = input;
        names_add(&scope->values, name, input);
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

/* The model's output is an optional if and only if it is declared as one. */
static Node *output_form(Importer *importer, const Onnx__ValueInfoProto *declared, Node *output)
{
    const Onnx__TypeProto *type = declared->type;
    const bool is = form_is_optional(output->type.form), wanted = type && type->optional_type;
    if (!type || wanted == is || !(type->tensor_type || type->sequence_type || wanted))
        return output;
    return operator_make(importer, wanted ? OP_Optional : OP_OptionalGetElement, &output, 1, 1, NULL, 0);
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
        if (!declared_check(importer, proto->output[i], "output", name, output->type) ||
            (!scope->outer && !(output = output_form(importer, proto->output[i], output))))
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
