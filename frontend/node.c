/* One node: its inputs resolved, its meaning raised to the newest opset, its results named. */
#include "frontend/importer.h"
#include "ir/ops/ops.h"

#include <string.h>

enum { PATH_LIMIT = 256 };

const Where *node_where(Importer *importer, const Context *context, const Onnx__NodeProto *node)
{
    Where *where = NEW(importer->ir->arena, Where);
    *where = importer->file;
    const Text *name = &node->name;
    if (!name->len && node->n_output)
        name = &node->output[0];
    Arena *arena = importer->ir->arena;
    where->node = name->len ? name_intern_bytes(arena, (const char *)name->data,
                                                name->len < importer->limits.name ? name->len : importer->limits.name)
                            : "";
    if (*context->path && strlen(where->node) < PATH_LIMIT)
        where->node = name_intern(arena, arena_format(importer->scratch, "%s%s", context->path, where->node));
    where->op = node->op_type.len ? name_intern_bytes(arena, (const char *)node->op_type.data,
                                                      node->op_type.len < PATH_LIMIT ? node->op_type.len : PATH_LIMIT)
                                  : "";
    const Name domain =
        name_intern_bytes(arena, node->domain.len ? (const char *)node->domain.data : "", node->domain.len);
    where->opset = opset_version(context->opsets, domain);
    return where;
}

static bool inputs_resolve(Importer *importer, const Scope *scope, const Where *where, const Onnx__NodeProto *node,
                           Node **inputs)
{
    for (size_t i = 0; i < node->n_input; i++) {
        const Name name = text_name(importer, where, &node->input[i], "an input's name");
        if (!name)
            return false;
        inputs[i] = *name ? scope_find(scope, name) : omitted_make(importer->ir);
        if (!inputs[i])
            return diag_error(
                importer->diagnostics, EXIT_MALFORMED, where,
                "the input \"%s\" is made by no node before it and is no input or initializer of the graph",
                diag_quote(importer->scratch, name, 100));
    }
    return true;
}

Attribute *draft_attribute(const Draft *draft, const char *name)
{
    for (int i = 0; i < draft->attribute_count; i++)
        if (strcmp(draft->attributes[i].name, name) == 0)
            return &draft->attributes[i];
    return NULL;
}

void draft_drop(Draft *draft, const char *name)
{
    Attribute *attribute = draft_attribute(draft, name);
    if (attribute)
        *attribute = draft->attributes[--draft->attribute_count];
}

Node *draft_input(const Draft *draft, int i)
{
    return i < draft->input_count && !is_omitted(draft->inputs[i]) ? draft->inputs[i] : NULL;
}

/* A node that draws random numbers and has no seed gets one of its own, so that no two draw the same: the number of the
 * node in the order of import, as a float and a half (which models that count their seeds do not use), as an integer
 * beyond 32 bits. Every compilation of a model gives the same. */
static void seed_give(Draft *draft, const OpRow *row)
{
    const AttributeRow *known = row->attributes;
    while (known->name && strcmp(known->name, "seed") != 0)
        known++;
    if (known->name && draft_attribute(draft, known->name))
        return;
    Ir *ir = draft->importer->ir;
    const uint64_t number = draft->importer->nodes;
    if (known->name && known->kind == ATTRIBUTE_FLOAT)
        draft->attributes[draft->attribute_count++] = attr_float(ir, "seed", (double)number + 0.5);
    else if (known->name)
        draft->attributes[draft->attribute_count++] = attr_int(ir, "seed", (int64_t)(number | UINT64_C(1) << 32));
}

/* The rank that the graph declares for the node's first output, when that is one of the graph; -1 when it does not. */
static int declared_rank(Importer *importer, const Context *context, const Onnx__NodeProto *node)
{
    Declared *const declared = context->declared;
    if (!declared)
        return -1;
    if (!declared->known) {
        const Onnx__GraphProto *const graph = declared->graph;
        for (size_t i = 0; i < graph->n_output; i++) {
            const Name name = text_name(importer, &importer->file, &graph->output[i]->name, "an output's name");
            if (name)
                names_add(&declared->values, name, graph->output[i]);
        }
        declared->known = true;
    }
    const Name name = text_name(importer, &importer->file, &node->output[0], "an output's name");
    const Onnx__ValueInfoProto *const value = name ? names_get(&declared->values, name) : NULL;
    return value && value->type && value->type->tensor_type && value->type->tensor_type->shape &&
                   value->type->tensor_type->shape->n_dim <= RANK_MAX
               ? (int)value->type->tensor_type->shape->n_dim
               : -1;
}

/* An operator of the table, in the newest opset's terms. */
static bool operator_import(Importer *importer, const Context *context, const Scope *scope, const Where *where,
                            const Onnx__NodeProto *node, Node **inputs, int input_count, int output_count,
                            Node **outputs)
{
    Draft draft = {
        .importer = importer,
        .where = where,
        .op = where->op,
        .domain = domain_normal(text_name(importer, where, &node->domain, "a domain")),
        .version = where->opset,
        .input_count = input_count,
        .output_count = output_count,
        .written_count = (int)node->n_output,
        .inputs = inputs,
        .attributes = NEW_ARRAY(importer->scratch, Attribute, node->n_attribute + DRAFT_ROOM),
    };
    if (!attributes_import(importer, context, scope, where, node, draft.attributes, &draft.attribute_count))
        return false;
    importer->ir->where = where;
    if (!*draft.domain && (!draft_raise(&draft) || (!draft.outputs && !sizes_settle(&draft))))
        return false;
    if (draft.outputs) {
        memcpy(outputs, draft.outputs, (size_t)output_count * sizeof *outputs);
        return true;
    }
    const Op op = op_find(draft.domain, draft.op);
    if (op == OP_NONE)
        return diag_error(importer->diagnostics, EXIT_UNSUPPORTED, where, "the operator is not supported");
    seed_give(&draft, &op_rows[op - OP_TENSOR_FIRST]);
    if (!*draft.domain && lists_are_open(&draft) && !lists_settle(&draft, declared_rank(importer, context, node)))
        return false;
    Node *made = operator_make(importer, op, draft.inputs, draft.input_count, draft.output_count, draft.attributes,
                               draft.attribute_count);
    for (int i = 0; made && i < output_count; i++)
        outputs[i] = node_result(made, i);
    return made;
}

/* An operator of the user's own. */
static bool custom_import(Importer *importer, const Context *context, const Scope *scope, const Where *where,
                          const Onnx__NodeProto *node, const CustomOperator *custom, Node **inputs, int input_count,
                          Node **outputs, int output_count)
{
    Attribute *const attributes = NEW_ARRAY(importer->scratch, Attribute, node->n_attribute + 1);
    int count;
    if (!attributes_import(importer, context, scope, where, node, attributes, &count))
        return false;
    importer->ir->where = where;
    return custom_make(importer->ir, custom, inputs, input_count, attributes, count, outputs, output_count);
}

static bool node_import(Importer *importer, const Context *context, Scope *scope, const Onnx__NodeProto *node)
{
    const Where *where = node_where(importer, context, node);
    if (importer->nodes++ >= importer->limits.nodes)
        return diag_error(importer->diagnostics, EXIT_LIMIT, &importer->file, "the model has more than %llu nodes",
                          (unsigned long long)importer->limits.nodes);
    if (!text_name(importer, where, &node->name, "a node's name"))
        return false;
    if (node->n_input > importer->limits.inputs)
        return diag_error(importer->diagnostics, EXIT_LIMIT, where, "the node has %zu inputs, the limit is %llu",
                          node->n_input, (unsigned long long)importer->limits.inputs);
    Node **inputs = NEW_ARRAY(importer->scratch, Node *, node->n_input + DRAFT_ROOM);
    Node **outputs = NEW_ARRAY(importer->scratch, Node *, node->n_output);
    if (!inputs_resolve(importer, scope, where, node, inputs))
        return false;
    int input_count = (int)node->n_input, output_count = (int)node->n_output;
    while (input_count && is_omitted(inputs[input_count - 1]))
        input_count--;
    while (output_count && !node->output[output_count - 1].len)
        output_count--;
    if (output_count == 0)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "the node has no outputs");
    Function *function = function_find(importer, node);
    bool good;
    const Name domain = text_name(importer, where, &node->domain, "a domain");
    const CustomOperator *custom =
        domain ? custom_find(importer->options->customs, domain_normal(domain), where->op) : NULL;
    if (!domain) {
        good = false;
    } else if (custom) {
        good = custom_import(importer, context, scope, where, node, custom, inputs, input_count, outputs, output_count);
    } else if (function) {
        good = function_inline(importer, context, scope, where, node, function, inputs, input_count, outputs);
    } else if (strcmp(where->op, "Constant") == 0 && !node->domain.len) {
        if (input_count || output_count != 1)
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "a constant has no inputs and one output");
        good = (outputs[0] = constant_import(importer, context, where, node));
    } else if (is_flex(node)) {
        good = flex_import(&(Control){importer, context, scope, where, node, inputs, input_count, outputs});
    } else if (is_control(node)) {
        good = control_import(&(Control){importer, context, scope, where, node, inputs, input_count, outputs});
    } else {
        good = operator_import(importer, context, scope, where, node, inputs, input_count, output_count, outputs);
    }
    for (int i = 0; good && i < output_count; i++) {
        const Name name = text_name(importer, where, &node->output[i], "an output's name");
        if (!name)
            return false;
        if (*name && !outputs[i])
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "the node has no output %d", i);
        if (*name && !scope_add(importer, where, scope, name, outputs[i]))
            return false;
    }
    return good;
}

bool nodes_import(Importer *importer, const Context *context, Scope *scope, Onnx__NodeProto *const *nodes, size_t count)
{
    uint32_t *order = NEW_ARRAY(importer->scratch, uint32_t, count);
    if (!nodes_order(importer, context, scope, nodes, count, order))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!node_import(importer, context, scope, nodes[order[i]]))
            return false;
    return true;
}
