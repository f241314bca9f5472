/* Operators that hold bodies, and If among them.
 *
 * If with a condition that is known now: the branch taken stands in its place, the other is not looked at. With a
 * condition that only a run knows both branches are computed and Where chooses, which is the same when they are little
 * work and cannot fail, and give tensors of the same types; else it is a step of a script, and the branches are bodies.
 */
#include "frontend/importer.h"
#include "ir/ops/host.h"
#include "ir/ops/speculate.h"

#include <string.h>

typedef struct ControlRow {
    const char *op;
    ControlImport *import;
    const char *attributes[8];
} ControlRow;
static const ControlRow controls[] = {
    {"If", if_import, {"then_branch", "else_branch"}},
    {"Loop", loop_import, {"body"}},
    {"Optional", optional_import, {"type"}},
    {"SequenceMap", sequence_map_import, {"body"}},
    {"Scan",
     scan_import,
     {"body", "directions", "num_scan_inputs", "scan_input_axes", "scan_input_directions", "scan_output_axes",
      "scan_output_directions"}},
};

static const ControlRow *row_find(const Onnx__NodeProto *node)
{
    if (node->domain.len && !text_is(&node->domain, "ai.onnx"))
        return NULL;
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++)
        if (text_is(&node->op_type, controls[i].op))
            return &controls[i];
    return NULL;
}

bool is_control(const Onnx__NodeProto *node)
{
    return row_find(node);
}

bool is_if(const Onnx__NodeProto *node)
{
    return row_find(node) && row_find(node)->import == if_import;
}

bool control_import(const Control *control)
{
    const ControlRow *row = row_find(control->node);
    Importer *importer = control->importer;
    for (size_t i = 0; i < control->node->n_attribute; i++) {
        const Text *name = &control->node->attribute[i]->name;
        bool known = false;
        for (const char *const *attribute = row->attributes; *attribute; attribute++)
            known = known || text_is(name, *attribute);
        if (!known) {
            const Name text = text_name(importer, control->where, name, "an attribute's name");
            return text && diag_error(importer->diagnostics, EXIT_MALFORMED, control->where, "%s has no attribute '%s'",
                                      row->op, diag_quote(importer->scratch, text, 100));
        }
    }
    return row->import(control);
}

bool control_attribute(const Control *control, const char *name, const Onnx__AttributeProto **found)
{
    const Onnx__AttributeProto *attribute = NULL;
    *found = NULL;
    for (size_t i = 0; i < control->node->n_attribute; i++)
        if (text_is(&control->node->attribute[i]->name, name))
            attribute = control->node->attribute[i];
    return !attribute || attribute_resolve(control->importer, control->context, control->where, attribute, found);
}

bool control_body(const Control *control, const char *name, size_t inputs, size_t outputs,
                  const Onnx__GraphProto **graph)
{
    const Onnx__AttributeProto *found;
    Diagnostics *diagnostics = control->importer->diagnostics;
    if (!control_attribute(control, name, &found))
        return false;
    *graph = found ? found->g : NULL;
    if (!*graph)
        return diag_error(diagnostics, EXIT_MALFORMED, control->where, "%s has no %s", control->where->op, name);
    if ((*graph)->n_input != inputs)
        return diag_error(diagnostics, EXIT_MALFORMED, control->where, "the %s of %s has %zu inputs but %s %zu", name,
                          control->where->op, (*graph)->n_input, inputs ? "the node gives" : "takes", inputs);
    return (*graph)->n_output == outputs ||
           diag_error(diagnostics, EXIT_MALFORMED, control->where, "the %s of %s has %zu outputs, not %zu", name,
                      control->where->op, (*graph)->n_output, outputs);
}

bool condition_read(const Control *control, const Node *condition, bool *known, bool *value)
{
    Ir *ir = control->importer->ir;
    int64_t integer;
    if (condition->type.dtype != DTYPE_BOOL || !type_is_tensor(condition->type) ||
        !index_is(type_elements(ir, condition->type), 1))
        return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                          "the condition of %s is %s, not one bool", control->where->op,
                          type_text(ir, condition->type));
    *known = true;
    if (condition->op == OP_constant && condition->payload.constant->bytes)
        *value = *(const uint8_t *)condition->payload.constant->data != 0;
    else if (condition->contents && const_is_int(condition->contents[0], &integer))
        *value = integer != 0;
    else
        *known = false;
    return true;
}

/* ---- If ---- */

static Graph *branch_import(const Control *control, const Onnx__GraphProto *branch)
{
    return nodes_supported(control->importer, control->context, branch)
               ? graph_import(control->importer, control->context, control->scope, branch)
               : NULL;
}

/* As a body of its own. */
static Graph *branch_import_scoped(const Control *control, const Onnx__GraphProto *branch)
{
    Ir *ir = control->importer->ir;
    const uint32_t scope = ir_scope_open(ir);
    Graph *graph = branch_import(control, branch);
    ir_scope_close(ir);
    if (graph)
        graph->scope = scope;
    return graph;
}

/* Does every output have one type of tensor, whichever branch is taken? */
static bool types_agree(const Control *control, const Graph *taken, const Graph *other)
{
    for (size_t i = 0; i < control->node->n_output; i++) {
        const Type one = other->outputs[i]->type, two = taken->outputs[i]->type;
        if (!type_equal(one, two) || one.dtype == DTYPE_STRING || !type_is_tensor(one))
            return false;
    }
    return true;
}

static bool select_outputs(const Control *control, Node *condition, const Graph *taken, const Graph *other)
{
    Ir *ir = control->importer->ir;
    ir->where = control->where;
    if (condition->type.rank > 0)
        condition = tensor_make(ir, OP_Squeeze, &condition, 1, 1, NULL, 0);
    for (size_t i = 0; i < control->node->n_output && condition; i++) {
        Node *inputs[] = {condition, taken->outputs[i], other->outputs[i]};
        control->outputs[i] = inputs[1] == inputs[2] ? inputs[1] : tensor_make(ir, OP_Where, inputs, 3, 1, NULL, 0);
        if (!control->outputs[i])
            return false;
    }
    return condition;
}

static bool is_single(Ir *ir, Type type)
{
    return type_is_tensor(type) && index_is(type_elements(ir, type), 1);
}

/* A branch gives `value` without its dims too, which are all 1. */
static bool branch_add_scalar(Ir *ir, Graph *branch, Node *value)
{
    const uint32_t scope = ir->scope;
    ir->scope = branch->scope;
    Node *scalar = value->type.rank ? tensor_make(ir, OP_Squeeze, &value, 1, 1, NULL, 0) : value;
    ir->scope = scope;
    const size_t count = (size_t)branch->output_count;
    Node **outputs = NEW_ARRAY(ir->arena, Node *, count + 1);
    Name *names = NEW_ARRAY(ir->arena, Name, count + 1);
    memcpy(outputs, branch->outputs, count * sizeof *outputs);
    memcpy(names, branch->output_names, count * sizeof *names);
    outputs[count] = scalar;
    names[count] = name_intern(ir->arena, arena_format(ir->arena, "scalar%zu", count));
    branch->outputs = outputs;
    branch->output_names = names;
    branch->output_count++;
    return scalar;
}

/* One element of a rank that differs from branch to branch: many operators that take it do not care about its rank.
 * The If gets one more result for each such output; singles[k] is which. */
static bool singles_add(const Control *control, Graph *taken, Graph *other, size_t *singles, size_t *count)
{
    Ir *ir = control->importer->ir;
    *count = 0;
    for (size_t i = 0; i < control->node->n_output; i++) {
        Node *const one = taken->outputs[i], *const two = other->outputs[i];
        if (!is_single(ir, one->type) || !is_single(ir, two->type) || one->type.rank == two->type.rank ||
            one->type.dtype != two->type.dtype)
            continue;
        if (!branch_add_scalar(ir, taken, one) || !branch_add_scalar(ir, other, two))
            return false;
        singles[(*count)++] = i;
    }
    return true;
}

/* An If that a run decides: types hold for both branches, whose symbols are made since `since`. */
static bool if_make(const Control *control, Node *condition, Graph *taken, Graph *other, uint32_t since)
{
    Ir *ir = control->importer->ir;
    const size_t count = control->node->n_output;
    Type *types = NEW_ARRAY(ir->arena, Type, 2 * count);
    size_t *singles = NEW_ARRAY(control->importer->scratch, size_t, count), single_count;
    if (!singles_add(control, taken, other, singles, &single_count))
        return false;
    for (size_t i = 0; i < count + single_count; i++)
        if (!type_join(ir, type_outside(ir, taken->outputs[i]->type, since, control->where->node),
                       type_outside(ir, other->outputs[i]->type, since, control->where->node), control->where->node,
                       &types[i]))
            return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                              "output %zu of If is %s in one branch and %s in the other", i,
                              type_text(ir, taken->outputs[i]->type), type_text(ir, other->outputs[i]->type));
    const Attribute branches[] = {
        {.name = name_intern(ir->arena, "else_branch"), .kind = ATTRIBUTE_GRAPH, .graph = other},
        {.name = name_intern(ir->arena, "then_branch"), .kind = ATTRIBUTE_GRAPH, .graph = taken},
    };
    ir->where = control->where;
    Node *node = tensor_make_typed(ir, OP_If, &condition, 1, (int)(count + single_count), branches, 2, types);
    for (size_t i = 0; node && i < count; i++)
        assume_offer(control, condition, control->outputs[i] = node_result(node, (int)i));
    for (size_t k = 0; node && k < single_count; k++)
        map_set(&control->importer->singles, node_result(node, (int)singles[k]), node_result(node, (int)(count + k)));
    return node;
}

/* Both branches are computed when that is little work and cannot fail; else the run takes one. */
static bool if_choose(const Control *control, Node *condition, const Onnx__GraphProto *const branches[2])
{
    Ir *ir = control->importer->ir;
    const uint32_t since = ir->next_id;
    RunCheck *const last = run_checks_last(ir);
    Graph *taken = branch_import_scoped(control, branches[1]);
    Graph *other = taken ? branch_import_scoped(control, branches[0]) : NULL;
    const char *why;
    if (!other)
        return false;
    if (types_agree(control, taken, other) && last == run_checks_last(ir) &&
        speculation_harmless(ir, taken->outputs, taken->output_count, since, &why) &&
        speculation_harmless(ir, other->outputs, other->output_count, since, &why))
        return select_outputs(control, condition, taken, other);
    return if_make(control, condition, taken, other, since);
}

bool if_import(const Control *control)
{
    const Onnx__GraphProto *branches[2];
    bool known, taken;
    if (control->input_count != 1)
        return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where, "If takes 1 input but has %d",
                          control->input_count);
    if (!control_body(control, "else_branch", 0, control->node->n_output, &branches[0]) ||
        !control_body(control, "then_branch", 0, control->node->n_output, &branches[1]) ||
        !condition_read(control, control->inputs[0], &known, &taken))
        return false;
    if (!known && !assume_known(control, control->inputs[0], &taken, &known))
        return false;
    if (!known)
        return if_choose(control, control->inputs[0], branches);
    const Graph *graph = branch_import(control, branches[taken]);
    for (size_t i = 0; graph && i < control->node->n_output; i++)
        control->outputs[i] = graph->outputs[i];
    return graph;
}
