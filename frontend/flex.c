/* FlexAttention of ai.onnx.preview: what modifies scores and probabilities are bodies in its attributes, which stand
 * between its parts as if the model had been written so. */
#include "frontend/importer.h"
#include "ir/ops/flex.h"

#include <string.h>

bool is_flex(const Onnx__NodeProto *node)
{
    return text_is(&node->domain, "ai.onnx.preview") && text_is(&node->op_type, "FlexAttention");
}

/* The attribute of that name and type; *found is NULL when it is absent. */
static bool attribute_of(const Control *control, const char *name, int type, const Onnx__AttributeProto **found)
{
    if (!control_attribute(control, name, found))
        return false;
    return !*found || attribute_type(control->importer, control->where, *found) == type ||
           diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                      "attribute '%s' of FlexAttention has the wrong type", name);
}

/* `value`, or what the body in attribute `name` makes of it. */
static Node *modified(const Control *control, const char *name, Node *value)
{
    const Onnx__AttributeProto *found;
    const Onnx__GraphProto *body;
    Importer *importer = control->importer;
    if (!value || !control_attribute(control, name, &found))
        return NULL;
    if (!found)
        return value;
    if (!control_body(control, name, 1, 1, &body))
        return NULL;
    Graph *graph = body_import(importer, control->context, control->scope, body, &value);
    importer->ir->where = control->where;
    if (!graph)
        return NULL;
    Node *result = graph->outputs[0];
    bool same = result->type.dtype == value->type.dtype && result->type.rank == value->type.rank;
    for (int i = 0; same && i < value->type.rank; i++)
        same = run_check(importer->ir, scalar2(importer->ir, OP_eq, result->type.dims[i], value->type.dims[i]),
                         arena_format(importer->ir->arena, "FlexAttention: %s must keep the shape", name));
    if (same)
        return result;
    diag_error(importer->diagnostics, EXIT_MALFORMED, control->where, "%s makes %s of %s, and must keep type and shape",
               name, type_text(importer->ir, result->type), type_text(importer->ir, value->type));
    return NULL;
}

static bool attributes_check(const Control *control)
{
    static const char *const known[] = {"prob_mod", "scale", "score_mod", "softmax_precision"};
    for (size_t i = 0; i < control->node->n_attribute; i++) {
        const Text *name = &control->node->attribute[i]->name;
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            found = found || text_is(name, known[k]);
        if (!found)
            return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                              "FlexAttention has an attribute that is not known");
    }
    return true;
}

bool flex_import(const Control *control)
{
    Ir *ir = control->importer->ir;
    const Onnx__AttributeProto *scale, *precision;
    ir->where = control->where;
    if (control->input_count != 3)
        return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                          "FlexAttention takes 3 inputs but has %d", control->input_count);
    if (!attributes_check(control) || !attribute_of(control, "scale", TYPE_FLOAT, &scale) ||
        !attribute_of(control, "softmax_precision", TYPE_INT, &precision))
        return false;
    Node *q = control->inputs[0], *k = control->inputs[1], *v = control->inputs[2];
    const int64_t type = precision ? precision->i : 0;
    if (!flex_check(ir, q, k, v, type))
        return false;
    const double factor = scale ? (double)scale->f : 0;
    Node *scores = modified(control, "score_mod", flex_scores(ir, q, k, scale ? &factor : NULL, type));
    Node *probabilities = scores ? modified(control, "prob_mod", flex_probabilities(ir, scores)) : NULL;
    control->outputs[0] = probabilities ? flex_output(ir, probabilities, v) : NULL;
    return control->outputs[0];
}
