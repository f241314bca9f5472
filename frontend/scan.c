/* Loop and Scan: what an iteration takes and gives. */
#include "frontend/loop.h"
#include "ir/ops/ops.h"

#include <string.h>

static bool malformed(const Control *control, const char *what)
{
    return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where, "%s", what);
}

/* ---- Loop ---- */

static bool loop_iterate(const LoopDraft *draft, const Context *inside, Node *iteration, Node **condition,
                         Node **carried, Node **parts)
{
    const Control *control = draft->control;
    Importer *importer = control->importer;
    Node **inputs = NEW_ARRAY(importer->scratch, Node *, draft->carried + 2);
    inputs[0] = iteration;
    inputs[1] = *condition;
    memcpy(inputs + 2, carried, draft->carried * sizeof *inputs);
    const Graph *graph = body_import(importer, inside, control->scope, draft->data, inputs);
    if (!graph)
        return false;
    *condition = graph->outputs[0];
    memcpy(carried, graph->outputs + 1, draft->carried * sizeof *carried);
    memcpy(parts, graph->outputs + 1 + draft->carried, draft->parts * sizeof *parts);
    return true;
}

static bool trip_check(const Control *control, const Node *trip)
{
    Ir *ir = control->importer->ir;
    const Type type = trip->type;
    if (is_omitted(trip) || (type.dtype == DTYPE_I64 && type_is_tensor(type) && index_is(type_elements(ir, type), 1)))
        return true;
    return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                      "the number of iterations of Loop is %s, not one i64", type_text(ir, type));
}

/* Bodies say whether they take the condition as a scalar or as a list of one. */
static int declared_rank(const Onnx__ValueInfoProto *value, const Node *given)
{
    const Onnx__TypeProto__Tensor *tensor = value->type ? value->type->tensor_type : NULL;
    if (tensor && tensor->shape)
        return tensor->shape->n_dim == 1;
    return !is_omitted(given) && given->type.rank == 1;
}

bool loop_import(const Control *control)
{
    Importer *importer = control->importer;
    const size_t carried = control->input_count > 2 ? (size_t)control->input_count - 2 : 0;
    const Onnx__GraphProto *body;
    bool known, value;
    if (control->node->n_output < carried)
        return malformed(control, "Loop has fewer outputs than carried values");
    if (!control_body(control, "body", carried + 2, control->node->n_output + 1, &body))
        return false;
    const LoopDraft draft = {
        .control = control,
        .iterate = loop_iterate,
        .data = body,
        .trip = control->input_count > 0 ? control->inputs[0] : omitted_make(importer->ir),
        .condition = control->input_count > 1 ? control->inputs[1] : omitted_make(importer->ir),
        .condition_rank =
            declared_rank(body->input[1], control->input_count > 1 ? control->inputs[1] : omitted_make(importer->ir)),
        .carried = carried,
        .parts = control->node->n_output - carried,
        .initial = control->inputs + (carried ? 2 : 0),
        .outputs = control->outputs,
    };
    return trip_check(control, draft.trip) &&
           (is_omitted(draft.condition) || condition_read(control, draft.condition, &known, &value)) &&
           loop_run(&draft);
}

/* ---- Scan ---- */

typedef struct Scan {
    const Onnx__GraphProto *body;
    Node *const *scanned;
    size_t count; /* of the scanned inputs */
    const int64_t *axes, *backwards;
    Node *length; /* an i64 */
} Scan;

/* The list of integers of an attribute, `count` long; zeros when it is absent. */
static bool integers_read(const Control *control, const char *name, size_t count, int64_t *values)
{
    const Onnx__AttributeProto *found;
    memset(values, 0, count * sizeof *values);
    if (!control_attribute(control, name, &found))
        return false;
    if (found && found->n_ints != count)
        return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where, "%s has %zu values, not %zu",
                          name, found->n_ints, count);
    for (size_t i = 0; found && i < count; i++)
        values[i] = found->ints[i];
    return true;
}

/* The part of a scanned input that belongs to an iteration. */
static Node *part_of(Ir *ir, const Scan *scan, size_t i, Node *iteration)
{
    const Attribute attribute = attr_int(ir, "axis", scan->axes[i]);
    if (scan->backwards[i]) {
        Node *last[] = {scan->length, constant_scalar(ir, DTYPE_I64, 1)};
        last[0] = tensor_make(ir, OP_Sub, last, 2, 1, NULL, 0);
        last[1] = iteration;
        iteration = last[0] ? tensor_make(ir, OP_Sub, last, 2, 1, NULL, 0) : NULL;
    }
    Node *inputs[] = {scan->scanned[i], iteration};
    return iteration ? tensor_make(ir, OP_Gather, inputs, 2, 1, &attribute, 1) : NULL;
}

static bool scan_iterate(const LoopDraft *draft, const Context *inside, Node *iteration, Node **condition,
                         Node **carried, Node **parts)
{
    const Scan *scan = draft->data;
    const Control *control = draft->control;
    Importer *importer = control->importer;
    Node **inputs = NEW_ARRAY(importer->scratch, Node *, draft->carried + scan->count);
    memcpy(inputs, carried, draft->carried * sizeof *inputs);
    importer->ir->where = control->where;
    for (size_t i = 0; i < scan->count; i++)
        if (!(inputs[draft->carried + i] = part_of(importer->ir, scan, i, iteration)))
            return false;
    const Graph *graph = body_import(importer, inside, control->scope, scan->body, inputs);
    if (!graph)
        return false;
    *condition = constant_scalar(importer->ir, DTYPE_BOOL, 1);
    memcpy(carried, graph->outputs, draft->carried * sizeof *carried);
    memcpy(parts, graph->outputs + draft->carried, draft->parts * sizeof *parts);
    return true;
}

/* The extent of an axis as an i64. */
static Node *extent_of(Ir *ir, Node *value, int64_t axis)
{
    const Attribute range[] = {attr_int(ir, "end", axis + 1), attr_int(ir, "start", axis)};
    Node *shape = tensor_make(ir, OP_Shape, &value, 1, 1, range, 2);
    return shape ? tensor_make(ir, OP_Squeeze, &shape, 1, 1, NULL, 0) : NULL;
}

/* How many parts do the scanned inputs have? Axes become positive. */
static bool scan_length(const Control *control, Scan *scan, int64_t *axes)
{
    Ir *ir = control->importer->ir;
    Node *first = NULL;
    for (size_t i = 0; i < scan->count; i++) {
        const Type type = scan->scanned[i]->type;
        axes[i] += axes[i] < 0 && type.rank > 0 ? type.rank : 0;
        if (!type_is_tensor(type) || axes[i] < 0 || axes[i] >= type.rank)
            return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                              "the axis of scanned input %zu is outside the rank of %s", i, type_text(ir, type));
        Node *dim = type.dims[axes[i]];
        first = first ? first : dim;
        if (!run_check(ir, scalar2(ir, OP_eq, dim, first),
                       arena_format(ir->arena, "%s: the scanned inputs must have as many parts as the first",
                                    control->where->node)))
            return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                              "scanned input %zu has another number of parts than the first: %s and %s", i,
                              type_text(ir, type), type_text(ir, scan->scanned[0]->type));
    }
    ir->where = control->where;
    scan->length = extent_of(ir, scan->scanned[0], axes[0]);
    return scan->length;
}

static bool scan_run(const Control *control, LoopDraft *draft, Scan *scan, int64_t *axes)
{
    Ir *ir = control->importer->ir;
    if (!scan_length(control, scan, axes))
        return false;
    draft->control = control;
    draft->iterate = scan_iterate;
    draft->data = scan;
    draft->trip = scan->length;
    draft->condition = omitted_make(ir);
    return loop_run(draft);
}

/* ---- Scan of opset 8: a batch of scans, axis 0 of everything; the one before all inputs may hold their lengths ----
 */

static bool batch_iterate(const LoopDraft *draft, const Context *inside, Node *iteration, Node **condition,
                          Node **carried, Node **parts)
{
    (void)carried;
    const Scan *batch = draft->data;
    Importer *importer = draft->control->importer;
    Ir *ir = importer->ir;
    const size_t inputs = (size_t)draft->control->input_count - 1, states = inputs - batch->count;
    Control control = *draft->control;
    control.context = inside;
    Node **own = NEW_ARRAY(importer->scratch, Node *, inputs);
    const Attribute first = attr_int(ir, "axis", 0);
    ir->where = control.where;
    for (size_t i = 0; i < inputs; i++) {
        Node *gather[] = {control.inputs[i + 1], iteration};
        if (!(own[i] = tensor_make(ir, OP_Gather, gather, 2, 1, &first, 1)))
            return false;
    }
    Scan scan = *batch;
    scan.scanned = own + states;
    int64_t *axes = NEW_ARRAY(importer->scratch, int64_t, scan.count);
    scan.axes = axes;
    LoopDraft inner = {.carried = states, .parts = draft->parts - states, .initial = own, .outputs = parts};
    *condition = constant_scalar(ir, DTYPE_BOOL, 1);
    return scan_run(&control, &inner, &scan, axes);
}

static bool batch_import(const Control *control, Scan *scan)
{
    Ir *ir = control->importer->ir;
    if (control->input_count < 1 || !is_omitted(control->inputs[0]))
        return diag_error(control->importer->diagnostics, EXIT_UNSUPPORTED, control->where,
                          "Scan of opset 8 with lengths of its own for each sequence is not supported");
    const size_t inputs = (size_t)control->input_count - 1;
    int64_t *backwards = NEW_ARRAY(control->importer->scratch, int64_t, scan->count + 1);
    for (size_t i = 0; i < inputs; i++)
        if (!type_is_tensor(control->inputs[i + 1]->type) || control->inputs[i + 1]->type.rank < 1)
            return malformed(control, "an input of Scan has no batch axis");
    if (inputs < scan->count || control->node->n_output < inputs - scan->count)
        return malformed(control, "num_scan_inputs does not fit the numbers of inputs and outputs");
    if (!control_body(control, "body", inputs, control->node->n_output, &scan->body) ||
        !integers_read(control, "directions", scan->count, backwards))
        return false;
    scan->backwards = backwards;
    ir->where = control->where;
    Node *batch = extent_of(ir, control->inputs[1], 0);
    const LoopDraft draft = {
        .control = control,
        .iterate = batch_iterate,
        .data = scan,
        .trip = batch,
        .condition = omitted_make(ir),
        .parts = control->node->n_output,
        .outputs = control->outputs,
    };
    return batch && loop_run(&draft);
}

bool scan_import(const Control *control)
{
    Arena *scratch = control->importer->scratch;
    const Onnx__AttributeProto *number;
    if (!control_attribute(control, "num_scan_inputs", &number))
        return false;
    const bool batched = control->where->opset < 9;
    const size_t inputs = (size_t)control->input_count;
    if (!number || number->i < 1 || (uint64_t)number->i > inputs ||
        (!batched && control->node->n_output < inputs - (size_t)number->i))
        return malformed(control, "num_scan_inputs does not fit the numbers of inputs and outputs");
    Scan scan = {.count = (size_t)number->i};
    if (batched)
        return batch_import(control, &scan);
    const size_t carried = inputs - scan.count, stacked = control->node->n_output - carried;
    int64_t *axes = NEW_ARRAY(scratch, int64_t, 2 * scan.count + 2 * stacked + 1);
    int64_t *backwards = axes + scan.count, *out_axes = backwards + scan.count, *out_backwards = out_axes + stacked;
    if (!control_body(control, "body", inputs, control->node->n_output, &scan.body) ||
        !integers_read(control, "scan_input_axes", scan.count, axes) ||
        !integers_read(control, "scan_input_directions", scan.count, backwards) ||
        !integers_read(control, "scan_output_axes", stacked, out_axes) ||
        !integers_read(control, "scan_output_directions", stacked, out_backwards))
        return false;
    scan.scanned = control->inputs + carried;
    scan.axes = axes;
    scan.backwards = backwards;
    LoopDraft draft = {.carried = carried,
                       .parts = stacked,
                       .initial = control->inputs,
                       .axes = out_axes,
                       .backwards = out_backwards,
                       .outputs = control->outputs};
    return scan_run(control, &draft, &scan, axes);
}
