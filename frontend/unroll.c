/* Loop and Scan whose number of iterations is known now, and small: the body is imported once for each iteration, with
 * the values of the one before in the place of its inputs. Others are refused by name. */
#include "frontend/importer.h"
#include "ir/ops/ops.h"

#include <stdio.h>
#include <string.h>

enum { PATH_LIMIT = 200 };

/* The values of one loop while it is unrolled. */
typedef struct Unroll {
    const Control *control;
    const Onnx__GraphProto *body;
    size_t carried, stacked; /* values from iteration to iteration; values of which every iteration gives a part */
    Node **values;           /* the carried ones */
    Node **parts;            /* [iteration][stacked] */
    int iterations, limit;
} Unroll;

static bool refused(const Control *control, const char *what)
{
    return diag_error(control->importer->diagnostics, EXIT_UNSUPPORTED, control->where, "%s", what);
}

static bool malformed(const Control *control, const char *what)
{
    return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where, "%s", what);
}

static bool unroll_open(Unroll *unroll, const Control *control, size_t carried, Node *const *values)
{
    Importer *importer = control->importer;
    unroll->control = control;
    unroll->carried = carried;
    unroll->stacked = control->node->n_output - carried;
    unroll->limit = importer->limits.iterations;
    unroll->values = NEW_ARRAY(importer->scratch, Node *, carried + 1);
    unroll->parts = NEW_ARRAY(importer->scratch, Node *, unroll->stacked * (size_t)unroll->limit + 1);
    for (size_t i = 0; i < carried; i++) {
        unroll->values[i] = values[i];
        if (is_omitted(values[i]))
            return malformed(control, "a carried value is not given");
    }
    return true;
}

/* Imports the body once. `before` are its inputs ahead of the carried values, `after` those behind; the outputs, of
 * which the carried values start at `skip`, come back in the unroll; the first of them is *first. */
static bool iterate(Unroll *unroll, Node *const *before, size_t before_count, Node *const *after, size_t after_count,
                    size_t skip, Node **first)
{
    const Control *control = unroll->control;
    Importer *importer = control->importer;
    if (importer->nodes++ >= importer->limits.nodes) /* an iteration may hold no node and is work all the same */
        return diag_error(importer->diagnostics, EXIT_LIMIT, &importer->file, "the model has more than %llu nodes",
                          (unsigned long long)importer->limits.nodes);
    Node **inputs = NEW_ARRAY(importer->scratch, Node *, before_count + unroll->carried + after_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < before_count; i++)
        inputs[count++] = before[i];
    for (size_t i = 0; i < unroll->carried; i++)
        inputs[count++] = unroll->values[i];
    for (size_t i = 0; i < after_count; i++)
        inputs[count++] = after[i];
    Context inside = *control->context;
    if (strlen(control->where->node) < PATH_LIMIT)
        inside.path = name_intern(importer->ir->arena,
                                  arena_format(importer->scratch, "%s[%d]/", control->where->node, unroll->iterations));
    const Graph *graph = body_import(importer, &inside, control->scope, unroll->body, inputs);
    if (!graph)
        return false;
    *first = graph->outputs[0];
    for (size_t i = 0; i < unroll->carried; i++) {
        if (graph->outputs[skip + i]->type.dtype != unroll->values[i]->type.dtype)
            return diag_error(importer->diagnostics, EXIT_MALFORMED, control->where,
                              "the carried value %zu is %s before an iteration and %s after it", i,
                              type_text(importer->ir, unroll->values[i]->type),
                              type_text(importer->ir, graph->outputs[skip + i]->type));
        unroll->values[i] = graph->outputs[skip + i];
    }
    for (size_t i = 0; i < unroll->stacked; i++)
        unroll->parts[(size_t)unroll->iterations * unroll->stacked + i] = graph->outputs[skip + unroll->carried + i];
    unroll->iterations++;
    return true;
}

/* The parts of value i side by side along a new axis. */
static Node *stack(const Unroll *unroll, size_t i, int64_t axis, bool reverse)
{
    Importer *importer = unroll->control->importer;
    Ir *ir = importer->ir;
    Node **parts = NEW_ARRAY(importer->scratch, Node *, (size_t)unroll->iterations + 1);
    ir->where = unroll->control->where;
    for (int t = 0; t < unroll->iterations; t++) {
        const int from = reverse ? unroll->iterations - 1 - t : t;
        Node *inputs[] = {unroll->parts[(size_t)from * unroll->stacked + i], constant_ints(ir, &axis, 1)};
        if (!(parts[t] = tensor_make(ir, OP_Unsqueeze, inputs, 2, 1, NULL, 0)))
            return NULL;
    }
    if (axis < 0) /* counted from the end of the result */
        axis += parts[0]->type.rank;
    const Attribute attribute = attr_int(ir, "axis", axis);
    return unroll->iterations == 1 ? parts[0] : tensor_make(ir, OP_Concat, parts, unroll->iterations, 1, &attribute, 1);
}

/* count: -1 when it is not known */
static bool too_long(const Unroll *unroll, int64_t count)
{
    Arena *scratch = unroll->control->importer->scratch;
    return diag_error(unroll->control->importer->diagnostics, EXIT_UNSUPPORTED, unroll->control->where,
                      "%s has %s iterations; loops are unrolled, at most %d times", unroll->control->where->op,
                      count < 0 ? arena_format(scratch, "more than %d", unroll->limit)
                                : arena_format(scratch, "%lld", (long long)count),
                      unroll->limit);
}

/* ---- Loop ---- */

/* The number of iterations that M allows: INT64_MAX when it is absent. */
static bool trip_count(const Control *control, int64_t *count)
{
    *count = INT64_MAX;
    if (control->input_count < 1 || is_omitted(control->inputs[0]))
        return true;
    const Node *node = control->inputs[0];
    if (node->type.dtype != DTYPE_I64 || !index_is(type_elements(control->importer->ir, node->type), 1))
        return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                          "the number of iterations of Loop is %s, not one i64",
                          type_text(control->importer->ir, node->type));
    return (node->contents && const_is_int(node->contents[0], count)) ||
           refused(control, "a Loop is supported only with a number of iterations that is known at compile time");
}

static Node *counter_make(Ir *ir, int64_t value)
{
    Constant *constant = NEW(ir->arena, Constant);
    *constant = (Constant){.data = arena_copy(ir->arena, &value, sizeof value), .bytes = sizeof value};
    return constant_make(ir, type_tensor(ir, DTYPE_I64, 0, NULL), constant);
}

static bool loop_iterate(Unroll *unroll, Node *condition, int64_t most)
{
    const Control *control = unroll->control;
    for (int64_t t = 0; t < most; t++) {
        bool known, going;
        if (!condition_read(control, condition, &known, &going))
            return false;
        if (!known)
            return refused(control, "a Loop is supported only with a condition that is known at compile time");
        if (!going)
            break;
        if (t >= unroll->limit)
            return too_long(unroll, -1);
        Node *before[] = {counter_make(control->importer->ir, t), condition};
        if (!iterate(unroll, before, 2, NULL, 0, 1, &condition))
            return false;
    }
    return true;
}

bool loop_import(const Control *control)
{
    Importer *importer = control->importer;
    const size_t carried = control->input_count > 2 ? (size_t)control->input_count - 2 : 0;
    Unroll unroll = {0};
    int64_t most;
    if (control->node->n_output < carried)
        return malformed(control, "Loop has fewer outputs than carried values");
    if (!control_body(control, "body", carried + 2, control->node->n_output + 1, &unroll.body) ||
        !trip_count(control, &most) || !unroll_open(&unroll, control, carried, control->inputs + (carried ? 2 : 0)))
        return false;
    Node *condition = control->input_count > 1 && !is_omitted(control->inputs[1])
                          ? control->inputs[1]
                          : constant_scalar(importer->ir, DTYPE_BOOL, 1);
    if (most != INT64_MAX && most > unroll.limit)
        return too_long(&unroll, most);
    if (!loop_iterate(&unroll, condition, most))
        return false;
    if (unroll.stacked && unroll.iterations == 0)
        return refused(control, "a Loop that stacks outputs but never iterates is not supported");
    for (size_t i = 0; i < carried; i++)
        control->outputs[i] = unroll.values[i];
    for (size_t i = 0; i < unroll.stacked; i++)
        if (!(control->outputs[carried + i] = stack(&unroll, i, 0, false)))
            return false;
    return true;
}

/* ---- Scan ---- */

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

/* Part `t` of a scanned input. */
static Node *part_of(const Control *control, Node *input, int64_t axis, int64_t t)
{
    Ir *ir = control->importer->ir;
    const Attribute attribute = attr_int(ir, "axis", axis);
    Node *inputs[] = {input, counter_make(ir, t)};
    ir->where = control->where;
    return tensor_make(ir, OP_Gather, inputs, 2, 1, &attribute, 1);
}

/* How many parts do the scanned inputs have? Axes become positive. */
static bool scan_length(const Unroll *unroll, Node *const *scanned, size_t count, int64_t *axes, int64_t *length)
{
    const Control *control = unroll->control;
    *length = -1;
    for (size_t i = 0; i < count; i++) {
        const Type type = scanned[i]->type;
        int64_t dim;
        axes[i] += axes[i] < 0 ? type.rank : 0;
        if (axes[i] < 0 || axes[i] >= type.rank)
            return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                              "the axis of scanned input %zu is outside the rank of %s", i,
                              type_text(control->importer->ir, type));
        if (!const_is_int(type.dims[axes[i]], &dim))
            return refused(control, "a Scan is supported only over dims that are known at compile time");
        if (*length >= 0 && dim != *length)
            return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                              "scanned input %zu has %lld parts, the first has %lld", i, (long long)dim,
                              (long long)*length);
        *length = dim;
    }
    if (*length > unroll->limit)
        return too_long(unroll, *length);
    return *length > 0 || refused(control, "a Scan over nothing is not supported");
}

static bool scan_iterate(Unroll *unroll, Node *const *scanned, size_t count, int64_t *axes, const int64_t *backwards)
{
    int64_t length;
    if (!scan_length(unroll, scanned, count, axes, &length))
        return false;
    Node **parts = NEW_ARRAY(unroll->control->importer->scratch, Node *, count);
    for (int64_t t = 0; t < length; t++) {
        Node *ignored;
        for (size_t i = 0; i < count; i++)
            if (!(parts[i] = part_of(unroll->control, scanned[i], axes[i], backwards[i] ? length - 1 - t : t)))
                return false;
        if (!iterate(unroll, NULL, 0, parts, count, 0, &ignored))
            return false;
    }
    return true;
}

bool scan_import(const Control *control)
{
    Arena *scratch = control->importer->scratch;
    const Onnx__AttributeProto *number;
    const size_t inputs = (size_t)control->input_count;
    Unroll unroll = {0};
    if (control->where->opset < 9)
        return refused(control, "Scan of opset 8 is not supported");
    if (!control_attribute(control, "num_scan_inputs", &number))
        return false;
    if (!number || number->i < 1 || (uint64_t)number->i > inputs ||
        control->node->n_output < inputs - (size_t)number->i)
        return malformed(control, "num_scan_inputs does not fit the numbers of inputs and outputs");
    const size_t scanned = (size_t)number->i, carried = inputs - scanned;
    const size_t stacked = control->node->n_output - carried;
    int64_t *axes = NEW_ARRAY(scratch, int64_t, 2 * scanned + 2 * stacked + 1);
    int64_t *backwards = axes + scanned, *out_axes = backwards + scanned, *out_backwards = out_axes + stacked;
    if (!control_body(control, "body", inputs, control->node->n_output, &unroll.body) ||
        !integers_read(control, "scan_input_axes", scanned, axes) ||
        !integers_read(control, "scan_input_directions", scanned, backwards) ||
        !integers_read(control, "scan_output_axes", stacked, out_axes) ||
        !integers_read(control, "scan_output_directions", stacked, out_backwards) ||
        !unroll_open(&unroll, control, carried, control->inputs) ||
        !scan_iterate(&unroll, control->inputs + carried, scanned, axes, backwards))
        return false;
    for (size_t i = 0; i < carried; i++)
        control->outputs[i] = unroll.values[i];
    for (size_t i = 0; i < stacked; i++)
        if (!(control->outputs[carried + i] = stack(&unroll, i, out_axes[i], out_backwards[i] != 0)))
            return false;
    return true;
}
