/* Sequences and optionals. Where the tensors in a sequence are known, so is what comes out of it: SequenceConstruct is
 * a list of nodes, and what is asked of a list is answered here. What is left are steps of a script. */
#include "frontend/loop.h"
#include "ir/ops/host.h"

#include <string.h>

enum { SPLIT_MAX = 64 }; /* parts; more are left to the run */

/* One operator on its way. */
typedef struct Step {
    Importer *importer;
    Ir *ir;
    Node *const *inputs;
    int count;
    const Attribute *attributes;
    int attribute_count;
    bool failed; /* after a diagnostic */
} Step;
typedef Node *StepResolve(Step *step); /* NULL: it stays a step, or failed */

/* ---- what is known ---- */

/* The nodes in a sequence; false when they are not known. */
static bool list_of(const Node *sequence, Node *const **items, int *count)
{
    *items = sequence->inputs;
    *count = (int)sequence->input_count;
    return sequence->op == OP_SequenceConstruct || sequence->op == OP_SequenceEmpty;
}

static Node *input_of(const Step *step, int i)
{
    return i < step->count && !is_omitted(step->inputs[i]) ? step->inputs[i] : NULL;
}

static int64_t attribute_of(const Step *step, const char *name, int64_t otherwise)
{
    for (int i = 0; i < step->attribute_count; i++)
        if (strcmp(step->attributes[i].name, name) == 0 && step->attributes[i].kind == ATTRIBUTE_INT)
            return step->attributes[i].integer;
    return otherwise;
}

/* A position among `count` ones that is known and right; `otherwise` when none is given. */
static bool position_of(const Step *step, int input, int count, int otherwise, int *position)
{
    const Node *node = input_of(step, input);
    int64_t value;
    *position = otherwise;
    if (!node)
        return otherwise >= 0;
    if (!node->contents || !index_is(type_elements(step->ir, node->type), 1) ||
        !const_is_int(node->contents[0], &value))
        return false;
    value += value < 0 ? count : 0;
    *position = (int)value;
    return value >= 0 && value < count;
}

static Node *made(Step *step, Node *node)
{
    step->failed = !node;
    return node;
}

static Node *construct(Step *step, Node *const *items, int count, Dtype dtype)
{
    if (count)
        return made(step, tensor_make(step->ir, OP_SequenceConstruct, items, count, 1, NULL, 0));
    const Attribute attribute = attr_int(step->ir, "dtype", dtype_info[dtype].onnx);
    return made(step, tensor_make(step->ir, OP_SequenceEmpty, NULL, 0, 1, &attribute, 1));
}

static Node *scalar_of(Ir *ir, Dtype dtype, int64_t value)
{
    return constant_scalar(ir, dtype, (double)value);
}

/* ---- sequences ---- */

static Node *at_resolve(Step *step)
{
    Node *const *items;
    int count, position;
    const bool known =
        step->count == 2 && list_of(step->inputs[0], &items, &count) && position_of(step, 1, count, -1, &position);
    return known ? items[position] : NULL;
}

static Node *insert_resolve(Step *step)
{
    Node *const *items;
    int count, position;
    if (step->count < 2 || !list_of(step->inputs[0], &items, &count) ||
        (uint64_t)count >= step->importer->limits.inputs || step->inputs[1]->type.dtype != step->inputs[0]->type.dtype)
        return NULL;
    const Node *given = input_of(step, 2);
    int64_t end;
    const bool last = given && given->contents && index_is(type_elements(step->ir, given->type), 1) &&
                      const_is_int(given->contents[0], &end) && end == count;
    if (last)
        position = count;
    else if (!position_of(step, 2, count, count, &position))
        return NULL;
    Node **longer = NEW_ARRAY(step->ir->arena, Node *, (size_t)count + 1);
    memcpy(longer, items, (size_t)position * sizeof *longer);
    longer[position] = step->inputs[1];
    memcpy(longer + position + 1, items + position, (size_t)(count - position) * sizeof *longer);
    return construct(step, longer, count + 1, DTYPE_NONE);
}

static Node *erase_resolve(Step *step)
{
    Node *const *items;
    int count, position;
    if (step->count < 1 || !list_of(step->inputs[0], &items, &count) || count == 0 ||
        !position_of(step, 1, count, count - 1, &position))
        return NULL;
    Node **shorter = NEW_ARRAY(step->ir->arena, Node *, (size_t)count);
    memcpy(shorter, items, (size_t)position * sizeof *shorter);
    memcpy(shorter + position, items + position + 1, (size_t)(count - position - 1) * sizeof *shorter);
    return construct(step, shorter, count - 1, step->inputs[0]->type.dtype);
}

static Node *length_resolve(Step *step)
{
    Node *const *items;
    int count;
    return step->count == 1 && list_of(step->inputs[0], &items, &count) ? scalar_of(step->ir, DTYPE_I64, count) : NULL;
}

static Node *concat_resolve(Step *step)
{
    Node *const *items;
    int count;
    Ir *ir = step->ir;
    int64_t axis = attribute_of(step, "axis", INT64_MIN);
    if (step->count != 1 || !list_of(step->inputs[0], &items, &count) || count == 0 || axis == INT64_MIN)
        return NULL;
    Node **parts = arena_copy(ir->arena, items, (size_t)count * sizeof *parts);
    for (int i = 0; attribute_of(step, "new_axis", 0) && i < count; i++) {
        Node *inputs[] = {items[i], constant_ints(ir, &axis, 1)};
        if (!(parts[i] = made(step, tensor_make(ir, OP_Unsqueeze, inputs, 2, 1, NULL, 0))))
            return NULL;
    }
    const Attribute attribute = attr_int(ir, "axis", axis);
    return made(step, tensor_make(ir, OP_Concat, parts, count, 1, &attribute, 1));
}

/* Sizes of the parts of an extent, and their number; 0 when they are not known. */
static int split_sizes(const Step *step, int64_t extent, int64_t *sizes)
{
    const Node *split = input_of(step, 1);
    int64_t size = 1, count, total = 0;
    if (split && (!split->contents || !const_is_int(type_elements(step->ir, split->type), &count) || count > SPLIT_MAX))
        return 0;
    if (!split || split->type.rank == 0) {
        if ((split && !const_is_int(split->contents[0], &size)) || size < 1 || extent < 1)
            return 0;
        const int64_t parts = extent / size + (extent % size != 0);
        for (int64_t i = 0; i < parts && parts <= SPLIT_MAX; i++)
            sizes[i] = extent - i * size < size ? extent - i * size : size;
        return parts <= SPLIT_MAX ? (int)parts : 0;
    }
    for (int64_t i = 0; i < count; i++) {
        if (!const_is_int(split->contents[i], &sizes[i]) || sizes[i] < 0 || sizes[i] > extent)
            return 0;
        total += sizes[i];
    }
    return total == extent ? (int)count : 0;
}

static Node *split_resolve(Step *step)
{
    Ir *ir = step->ir;
    int64_t sizes[SPLIT_MAX], extent, axis = attribute_of(step, "axis", 0);
    if (step->count < 1 || !type_is_tensor(step->inputs[0]->type))
        return NULL;
    const Type type = step->inputs[0]->type;
    axis += axis < 0 ? type.rank : 0;
    if (axis < 0 || axis >= type.rank || !const_is_int(type.dims[axis], &extent))
        return NULL;
    const int count = split_sizes(step, extent, sizes);
    if (count == 0)
        return NULL;
    Node *inputs[] = {step->inputs[0], constant_ints(ir, sizes, count)};
    const Attribute attribute = attr_int(ir, "axis", axis);
    Node *split = count == 1 ? step->inputs[0] : made(step, tensor_make(ir, OP_Split, inputs, 2, count, &attribute, 1));
    Node *parts[SPLIT_MAX];
    const bool squeeze = !input_of(step, 1) && !attribute_of(step, "keepdims", 1);
    for (int i = 0; split && i < count; i++) {
        Node *part[] = {count == 1 ? split : node_result(split, i), constant_ints(ir, &axis, 1)};
        parts[i] = squeeze ? made(step, tensor_make(ir, OP_Squeeze, part, 2, 1, NULL, 0)) : part[0];
        if (!parts[i])
            return NULL;
    }
    return split ? construct(step, parts, count, DTYPE_NONE) : NULL;
}

/* ---- optionals, and values of other forms in operators that know tensors ---- */

static Node *has_resolve(Step *step)
{
    const Node *x = input_of(step, 0);
    const bool known = !x || x->op == OP_Optional || !form_is_optional(x->type.form);
    return known ? scalar_of(step->ir, DTYPE_BOOL, x && (x->op != OP_Optional || x->input_count)) : NULL;
}

static Node *get_resolve(Step *step)
{
    Node *x = input_of(step, 0);
    if (x && x->op == OP_Optional && x->input_count)
        return x->inputs[0];
    return x && !form_is_optional(x->type.form) ? x : NULL;
}

static Node *identity_resolve(Step *step)
{
    Node *x = input_of(step, 0);
    return step->count == 1 && x && !type_is_tensor(x->type) ? x : NULL;
}

static Node *equal_resolve(Step *step)
{
    const bool strings = step->count == 2 && step->inputs[0]->type.dtype == DTYPE_STRING;
    return strings ? made(step, tensor_make(step->ir, OP_lathe_StringEqual, step->inputs, 2, 1, NULL, 0)) : NULL;
}

static const struct {
    Op op;
    StepResolve *resolve;
} resolves[] = {
    {OP_SequenceAt, at_resolve},
    {OP_SequenceInsert, insert_resolve},
    {OP_SequenceErase, erase_resolve},
    {OP_SequenceLength, length_resolve},
    {OP_ConcatFromSequence, concat_resolve},
    {OP_SplitToSequence, split_resolve},
    {OP_OptionalHasElement, has_resolve},
    {OP_OptionalGetElement, get_resolve},
    {OP_Identity, identity_resolve},
    {OP_Equal, equal_resolve},
};

/* Inputs of one element whose rank nobody knows, in an operator for which it makes no difference: they become scalars.
 */
static Node *const *inputs_settle(Importer *importer, Op op, Node *const *inputs, int count)
{
    const OpRow *row = &op_rows[op - OP_TENSOR_FIRST];
    int rank = 0, most = 0;
    for (int i = 0; i < count; i++)
        rank = inputs[i]->type.rank > rank ? inputs[i]->type.rank : rank;
    Node **settled = NULL;
    for (int i = 0; i < count; i++) {
        Node *const single = inputs[i]->type.rank == RANK_UNKNOWN ? map_get(&importer->singles, inputs[i]) : NULL;
        if (!single)
            continue;
        for (int k = 0; k < 2; k++) { /* If: the ranks that the branches give */
            const Graph *branch = single->inputs[0]->attributes[k].graph;
            const int given = branch->outputs[inputs[i]->payload.integer]->type.rank;
            most = given > most ? given : most;
        }
        settled = settled ? settled : arena_copy(importer->scratch, inputs, (size_t)count * sizeof *settled);
        settled[i] = single;
    }
    const bool type_alone = op == OP_CastLike && count == 2 && settled && settled[0] == inputs[0];
    const bool covered = (row->meaning.form == MEANING_SCALAR || op == OP_Pow || op == OP_Mod) && rank >= most;
    return settled && (type_alone || covered) ? settled : inputs;
}

Node *operator_make(Importer *importer, Op op, Node *const *inputs, int input_count, int output_count,
                    const Attribute *attributes, int attribute_count)
{
    inputs = inputs_settle(importer, op, inputs, input_count);
    Step step = {importer, importer->ir, inputs, input_count, attributes, attribute_count, false};
    for (size_t i = 0; output_count == 1 && i < sizeof resolves / sizeof *resolves; i++) {
        Node *node = resolves[i].op == op ? resolves[i].resolve(&step) : NULL;
        if (node || step.failed)
            return node;
    }
    Node *node = tensor_make(importer->ir, op, inputs, input_count, output_count, attributes, attribute_count);
    if (!node)
        assume_want(importer, inputs, input_count);
    return node;
}

/* ---- Optional ---- */

bool optional_import(const Control *control)
{
    Importer *importer = control->importer;
    const Onnx__AttributeProto *declared;
    Type type;
    if (!control_attribute(control, "type", &declared))
        return false;
    importer->ir->where = control->where;
    if (control->input_count) {
        control->outputs[0] = tensor_make(importer->ir, OP_Optional, control->inputs, control->input_count, 1, NULL, 0);
        return control->outputs[0];
    }
    if (!declared || !declared->tp)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, control->where,
                          "Optional has neither an input nor a type");
    if (!type_import(importer, declared->tp, control->where->node, NULL, &type))
        return false;
    if (form_is_optional(type.form))
        return diag_error(importer->diagnostics, EXIT_MALFORMED, control->where, "the type of Optional is %s",
                          type_text(importer->ir, type));
    type.form = type.form == FORM_SEQUENCE ? FORM_OPTIONAL_SEQUENCE : FORM_OPTIONAL;
    control->outputs[0] = tensor_make_typed(importer->ir, OP_Optional, NULL, 0, 1, NULL, 0, &type);
    return control->outputs[0];
}

/* ---- SequenceMap ---- */

static bool map_iterate(const LoopDraft *draft, const Context *inside, Node *iteration, Node **condition,
                        Node **carried, Node **parts)
{
    (void)parts;
    const Control *control = draft->control;
    Importer *importer = control->importer;
    Ir *ir = importer->ir;
    Node **inputs = arena_copy(importer->scratch, control->inputs, (size_t)control->input_count * sizeof *inputs);
    ir->where = control->where;
    for (int i = 0; i < control->input_count; i++) {
        Node *at[] = {inputs[i], iteration};
        if (inputs[i]->type.form == FORM_SEQUENCE &&
            !(inputs[i] = operator_make(importer, OP_SequenceAt, at, 2, 1, NULL, 0)))
            return false;
    }
    const Graph *graph = body_import(importer, inside, control->scope, draft->data, inputs);
    ir->where = control->where;
    for (int i = 0; graph && i < graph->output_count; i++) {
        Node *insert[] = {carried[i], graph->outputs[i]};
        if (insert[0]->op == OP_SequenceEmpty && insert[0]->type.dtype != insert[1]->type.dtype) {
            const Attribute dtype = attr_int(ir, "dtype", dtype_info[insert[1]->type.dtype].onnx);
            insert[0] = tensor_make(ir, OP_SequenceEmpty, NULL, 0, 1, &dtype, 1);
        }
        if (!(carried[i] = operator_make(importer, OP_SequenceInsert, insert, 2, 1, NULL, 0)))
            return false;
    }
    *condition = constant_scalar(ir, DTYPE_BOOL, 1);
    return graph;
}

/* Element types of the results, by a look into the body that leaves nothing behind. */
static bool map_dtypes(const LoopDraft *draft, Node **empty)
{
    Ir *ir = draft->control->importer->ir;
    RunCheck *const last = run_checks_last(ir);
    const Attribute any = attr_int(ir, "dtype", 1);
    Node *condition, *zero = input_make(ir, "iteration", type_tensor(ir, DTYPE_I64, 0, NULL));
    for (size_t i = 0; i < draft->carried; i++)
        empty[i] = tensor_make(ir, OP_SequenceEmpty, NULL, 0, 1, &any, 1);
    ir_scope_open(ir);
    const bool good = map_iterate(draft, draft->control->context, zero, &condition, empty, NULL);
    ir_scope_close(ir);
    run_checks_forget(ir, last);
    for (size_t i = 0; good && i < draft->carried; i++) {
        const Attribute dtype = attr_int(ir, "dtype", dtype_info[empty[i]->type.dtype].onnx);
        empty[i] = tensor_make(ir, OP_SequenceEmpty, NULL, 0, 1, &dtype, 1);
    }
    return good;
}

bool sequence_map_import(const Control *control)
{
    Importer *importer = control->importer;
    const Onnx__GraphProto *body;
    if (control->input_count < 1 || control->inputs[0]->type.form != FORM_SEQUENCE)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, control->where,
                          "the first input of SequenceMap must be a sequence");
    for (int i = 0; i < control->input_count; i++)
        if (is_omitted(control->inputs[i]))
            return diag_error(importer->diagnostics, EXIT_MALFORMED, control->where,
                              "input %d of SequenceMap is required", i);
    if (!control_body(control, "body", (size_t)control->input_count, control->node->n_output, &body))
        return false;
    importer->ir->where = control->where;
    Node **empty = NEW_ARRAY(importer->scratch, Node *, control->node->n_output);
    const LoopDraft draft = {
        .control = control,
        .iterate = map_iterate,
        .data = body,
        .trip = operator_make(importer, OP_SequenceLength, control->inputs, 1, 1, NULL, 0),
        .condition = omitted_make(importer->ir),
        .carried = control->node->n_output,
        .initial = empty,
        .outputs = control->outputs,
    };
    return draft.trip && map_dtypes(&draft, empty) && loop_run(&draft);
}
