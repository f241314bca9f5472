/* Functions that the model brings along: found by name, and their bodies put where they are called. */
#include "frontend/importer.h"
#include "ir/ops/ops.h"

#include <string.h>

/* Domain, name and overload with zero bytes between: no two functions have the same. */
static Name function_key(Importer *importer, const Text *domain, const Text *name, const Text *overload)
{
    static const Text nothing = {0, NULL};
    const Text *parts[] = {text_is(domain, "ai.onnx") ? &nothing : domain, name, overload};
    size_t length = 0;
    for (int i = 0; i < 3; i++)
        length += parts[i]->len + 1;
    char *key = arena_alloc(importer->scratch, length), *at = key;
    for (int i = 0; i < 3; i++) {
        if (parts[i]->len)
            memcpy(at, parts[i]->data, parts[i]->len);
        at += parts[i]->len + 1;
    }
    return name_intern_bytes(importer->ir->arena, key, length);
}

bool functions_import(Importer *importer)
{
    const Onnx__ModelProto *model = importer->model;
    for (size_t i = 0; i < model->n_functions; i++) {
        const Onnx__FunctionProto *proto = model->functions[i];
        const Name name = text_name(importer, &importer->file, &proto->name, "a function's name");
        if (!name || !text_name(importer, &importer->file, &proto->domain, "a domain") ||
            !text_name(importer, &importer->file, &proto->overload, "an overload"))
            return false;
        Function *function = NEW(importer->scratch, Function);
        function->proto = proto;
        if (!opsets_import(importer, proto->opset_import, proto->n_opset_import, &function->opsets))
            return false;
        if (!*name || names_add(&importer->functions,
                                function_key(importer, &proto->domain, &proto->name, &proto->overload), function))
            return diag_error(importer->diagnostics, EXIT_MALFORMED, &importer->file,
                              *name ? "the function \"%s\" is there twice" : "a function has no name%s",
                              *name ? diag_quote(importer->scratch, name, 100) : "");
    }
    return true;
}

Function *function_find(Importer *importer, const Onnx__NodeProto *node)
{
    if (!importer->functions.count)
        return NULL;
    return names_get(&importer->functions, function_key(importer, &node->domain, &node->op_type, &node->overload));
}

/* What the body's references mean: the call's attributes, and the function's defaults where the call has none. */
static bool attributes_bind(Importer *importer, const Context *context, const Where *where, const Onnx__NodeProto *node,
                            const Onnx__FunctionProto *proto, NameMap *attributes)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->attribute[i];
        const Name name = text_name(importer, where, &attribute->name, "an attribute's name");
        if (!name || !attribute_resolve(importer, context, where, attribute, &attribute))
            return false;
        if (attribute && names_add(attributes, name, (void *)(uintptr_t)attribute))
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "attribute \"%s\" is given twice",
                              diag_quote(importer->scratch, name, 100));
    }
    for (size_t i = 0; i < proto->n_attribute_proto; i++) {
        const Name name = text_name(importer, where, &proto->attribute_proto[i]->name, "an attribute's name");
        if (!name)
            return false;
        names_add(attributes, name, proto->attribute_proto[i]);
    }
    return true;
}

static bool parameters_bind(Importer *importer, const Where *where, const Onnx__FunctionProto *proto,
                            Node *const *inputs, int input_count, Scope *scope)
{
    for (size_t i = 0; i < proto->n_input; i++) {
        const Name name = text_name(importer, where, &proto->input[i], "a parameter's name");
        if (!name)
            return false;
        Node *value = i < (size_t)input_count ? inputs[i] : omitted_make(importer->ir);
        if (*name && !scope_add(importer, where, scope, name, value))
            return false;
    }
    return true;
}

static Name call_path(Importer *importer, const Where *where)
{
    enum { PATH_LIMIT = 256 };
    return strlen(where->node) < PATH_LIMIT
               ? name_intern(importer->ir->arena, arena_format(importer->scratch, "%s/", where->node))
               : "";
}

bool function_inline(Importer *importer, const Context *context, const Scope *scope, const Where *where,
                     const Onnx__NodeProto *node, Function *function, Node *const *inputs, int input_count,
                     Node **outputs)
{
    (void)scope; /* a function does not see the values around its call */
    const Onnx__FunctionProto *proto = function->proto;
    if ((size_t)input_count > proto->n_input || node->n_output > proto->n_output)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                          "the function has %zu inputs and %zu outputs but is called with %d and %zu", proto->n_input,
                          proto->n_output, input_count, node->n_output);
    NameMap attributes = {.arena = importer->scratch};
    Scope inside = {NULL, {.arena = importer->scratch}};
    const Context called = {&function->opsets, &attributes, call_path(importer, where), context->depth + 1};
    if (called.depth > importer->limits.nesting)
        return diag_error(importer->diagnostics, EXIT_LIMIT, where, "graphs and functions are nested more than %d deep",
                          importer->limits.nesting);
    if (!attributes_bind(importer, context, where, node, proto, &attributes) ||
        !parameters_bind(importer, where, proto, inputs, input_count, &inside) ||
        !nodes_import(importer, &called, &inside, proto->node, proto->n_node))
        return false;
    for (size_t i = 0; i < node->n_output; i++) {
        const Name name = text_name(importer, where, &proto->output[i], "an output's name");
        outputs[i] = name && *name ? scope_find(&inside, name) : NULL;
        if (!outputs[i])
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                              "the function does not make its output \"%s\"",
                              name ? diag_quote(importer->scratch, name, 100) : "");
    }
    return true;
}
