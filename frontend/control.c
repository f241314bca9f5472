/* If with a condition that is known when the model is imported: the branch taken stands in its place, the other is not
 * looked at. */
#include "frontend/importer.h"
#include "ir/ops/ops.h"

bool is_if(const Onnx__NodeProto *node)
{
    return text_is(&node->op_type, "If") && (node->domain.len == 0 || text_is(&node->domain, "ai.onnx"));
}

bool condition_known(const Node *condition, bool *value)
{
    int64_t integer;
    if (condition->op == OP_constant && condition->payload.constant->bytes) {
        *value = *(const uint8_t *)condition->payload.constant->data != 0;
        return true;
    }
    if (!condition->contents || !const_is_int(condition->contents[0], &integer))
        return false;
    *value = integer != 0;
    return true;
}

static bool branch_find(Importer *importer, const Context *context, const Where *where, const Onnx__NodeProto *node,
                        const char *name, const Onnx__GraphProto **graph)
{
    const Onnx__AttributeProto *found = NULL;
    for (size_t i = 0; i < node->n_attribute; i++)
        if (text_is(&node->attribute[i]->name, name))
            found = node->attribute[i];
    if (found && !attribute_resolve(importer, context, where, found, &found))
        return false;
    *graph = found ? found->g : NULL;
    if (!*graph)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "If has no %s", name);
    if ((*graph)->n_input)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "the %s of If has %zu inputs but takes none",
                          name, (*graph)->n_input);
    if ((*graph)->n_output != node->n_output)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                          "the %s of If has %zu outputs but the node has %zu", name, (*graph)->n_output,
                          node->n_output);
    return true;
}

bool if_import(Importer *importer, const Context *context, const Scope *scope, const Where *where,
               const Onnx__NodeProto *node, const Node *condition, Node **outputs)
{
    const Onnx__GraphProto *branches[2];
    if (!branch_find(importer, context, where, node, "else_branch", &branches[0]) ||
        !branch_find(importer, context, where, node, "then_branch", &branches[1]))
        return false;
    if (condition->type.dtype != DTYPE_BOOL || !index_is(type_elements(importer->ir, condition->type), 1))
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "the condition of If is %s, not one bool",
                          type_text(importer->ir, condition->type));
    bool taken;
    if (!condition_known(condition, &taken))
        return diag_error(importer->diagnostics, EXIT_UNSUPPORTED, where,
                          "If is supported only with a condition that is known at compile time");
    if (!nodes_supported(importer, context, branches[taken]))
        return false;
    const Graph *graph = graph_import(importer, context, scope, branches[taken]);
    for (size_t i = 0; graph && i < node->n_output; i++)
        outputs[i] = graph->outputs[i];
    return graph;
}
