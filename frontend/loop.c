/* Loops whose course a run decides: the body is a graph of its own, and the types of the values that it hands on are
 * those that hold before and after every iteration. They are found by trying: what an iteration changes becomes a
 * symbol of the body, until nothing changes. */
#include "frontend/loop.h"
#include "ir/ops/host.h"

#include <string.h>

enum { ROUNDS_WIDE = 4, ROUNDS_MAX = 12, ITERATIONS_MAX = 1 << 24 };

typedef struct Making {
    const LoopDraft *draft;
    Ir *ir;
    uint32_t first; /* symbols from here on belong to the body */
    Type *types;    /* of the carried values */
    Node *condition;
    Node **formals; /* iteration, condition, carried */
    Node **results; /* condition, carried, parts */
    uint32_t scope;
} Making;

static bool dim_is_open(const Making *making, const Node *dim)
{
    return !dim || (dim->op == OP_symbol && dim->id >= making->first);
}

static const char *value_hint(const Making *making, size_t i)
{
    const Control *control = making->draft->control;
    return i < control->node->n_output && control->node->output[i].len
               ? arena_format(control->importer->scratch, "%.*s", (int)(control->node->output[i].len % 64),
                              (const char *)control->node->output[i].data)
               : control->where->op;
}

static Node *dim_open(const Making *making, ValueForm form, size_t i, int axis)
{
    return form == FORM_TENSOR
               ? symbol_fresh(making->ir, arena_format(making->ir->arena, "%s.dim%d", value_hint(making, i), axis))
               : NULL;
}

/* The type with every dim that belongs to the body opened. */
static Type type_outer(const Making *making, Type type, size_t i)
{
    return type_outside(making->ir, type, making->first, value_hint(making, i));
}

/* Makes the type of carried value i hold for `after` too. */
static bool type_widen(const Making *making, size_t i, Type after, bool wide, bool *changed)
{
    Type *type = &making->types[i];
    const Control *control = making->draft->control;
    if (after.dtype != type->dtype || form_inside(after.form) != form_inside(type->form))
        return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                          "the carried value %zu is %s before an iteration and %s after it", i,
                          type_text(making->ir, *type), type_text(making->ir, after));
    if (form_is_optional(after.form) && !form_is_optional(type->form)) {
        *type = type_reform(making->ir, *type, after.form, "");
        *changed = true;
    }
    if (after.rank == RANK_NONE || type->rank == RANK_UNKNOWN)
        return true;
    if (type->rank == RANK_NONE) {
        after.form = type->form;
        *type = type_outer(making, after, i);
        *changed = true;
        return true;
    }
    if (after.rank != type->rank) {
        type->rank = RANK_UNKNOWN;
        *changed = true;
        return true;
    }
    Node *dims[RANK_MAX];
    bool opened = false;
    for (int d = 0; d < type->rank; d++) {
        const bool open = !dim_is_open(making, type->dims[d]) && (wide || type->dims[d] != after.dims[d]);
        dims[d] = open ? dim_open(making, type->form, i, d) : type->dims[d];
        opened = opened || open;
    }
    if (!opened)
        return true;
    const ValueForm form = type->form;
    *type = type_tensor(making->ir, type->dtype, type->rank, dims);
    type->form = form;
    *changed = true;
    return true;
}

/* ---- the body ---- */

static Node *formal_make(const Making *making, const char *name, Type type)
{
    Ir *ir = making->ir;
    return input_make(ir, name_intern(ir->arena, arena_format(ir->arena, "%s~%u", name, ir->next_id)), type);
}

/* The number of the iteration is never negative: its symbol is that of a size. */
static Node *iteration_make(Ir *ir)
{
    Node *symbol = symbol_fresh(ir, "iteration");
    Node *iteration = input_make(ir, symbol->payload.name, type_tensor(ir, DTYPE_I64, 0, NULL));
    iteration->contents = arena_copy(ir->arena, &symbol, sizeof symbol);
    return iteration;
}

static Node *condition_shape(Ir *ir, Node *condition, int rank)
{
    if (!condition || condition->type.rank == rank)
        return condition;
    const int64_t zero = 0;
    Node *inputs[] = {condition, constant_ints(ir, &zero, 1)};
    Node *const scalar = tensor_make(ir, OP_Squeeze, inputs, 1, 1, NULL, 0);
    if (!scalar || rank == 0)
        return scalar;
    inputs[0] = scalar;
    return tensor_make(ir, OP_Unsqueeze, inputs, 2, 1, NULL, 0);
}

static bool body_fill(const Making *making)
{
    const LoopDraft *draft = making->draft;
    const Control *control = draft->control;
    Ir *ir = making->ir;
    Node *one = index_const(ir, 1);
    making->formals[0] = iteration_make(ir);
    making->formals[1] = formal_make(making, "going", type_tensor(ir, DTYPE_BOOL, draft->condition_rank, &one));
    for (size_t i = 0; i < draft->carried; i++)
        making->formals[i + 2] = formal_make(making, value_hint(making, i), making->types[i]);
    for (size_t i = 0; i <= draft->carried; i++)
        making->results[i] = making->formals[i + 1];
    if (!draft->iterate(draft, control->context, making->formals[0], &making->results[0], making->results + 1,
                        making->results + 1 + draft->carried))
        return false;
    ir->where = control->where;
    bool known, value;
    if (!condition_read(control, making->results[0], &known, &value))
        return false;
    making->results[0] = condition_shape(ir, making->results[0], draft->condition_rank);
    for (size_t i = 0; i < draft->parts; i++)
        if (making->results[1 + draft->carried + i]->type.form != FORM_TENSOR)
            return diag_error(control->importer->diagnostics, EXIT_MALFORMED, control->where,
                              "output %zu of the body is %s, which cannot be stacked", 1 + draft->carried + i,
                              type_text(ir, making->results[1 + draft->carried + i]->type));
    return making->results[0];
}

static bool body_try(Making *making)
{
    Importer *importer = making->draft->control->importer;
    if (importer->nodes++ >= importer->limits.nodes) /* a body may hold no node and is work all the same */
        return diag_error(importer->diagnostics, EXIT_LIMIT, &importer->file, "the model has more than %llu nodes",
                          (unsigned long long)importer->limits.nodes);
    making->scope = ir_scope_open(making->ir);
    const bool good = body_fill(making);
    ir_scope_close(making->ir);
    return good;
}

/* A value that is empty at first, to which every iteration adds: the body may not be possible with nothing. */
static bool open_empty(const Making *making)
{
    bool opened = false;
    for (size_t i = 0; i < making->draft->carried; i++) {
        Type *type = &making->types[i];
        Node *dims[RANK_MAX];
        bool empty = false;
        for (int d = 0; type->form == FORM_TENSOR && d < type->rank; d++) {
            dims[d] = index_is(type->dims[d], 0) ? dim_open(making, type->form, i, d) : type->dims[d];
            empty = empty || dims[d] != type->dims[d];
        }
        if (empty)
            *type = type_tensor(making->ir, type->dtype, type->rank, dims);
        opened = opened || empty;
    }
    return opened;
}

static bool body_first(Making *making)
{
    Diagnostics *diagnostics = making->ir->diagnostics;
    const Diagnostics before = *diagnostics;
    if (body_try(making))
        return true;
    const Diagnostics failed = *diagnostics;
    if (failed.code == EXIT_LIMIT || !open_empty(making))
        return false;
    *diagnostics = before;
    if (before.last)
        before.last->next = NULL;
    if (body_try(making))
        return true;
    if (diagnostics->code != EXIT_LIMIT) {
        *diagnostics = failed;
        if (before.last)
            before.last->next = failed.last;
    }
    return false;
}

/* ---- what an earlier import of the same loop found ---- */

/* A loop in a body is imported as often as the body. That its own tries do not multiply, the first import leaves behind
 * what it had to open. */
typedef struct Settled {
    ValueForm form;
    int rank;
    uint32_t open;     /* bit d: dim d */
    Node *const *dims; /* of sequences: constants or NULL */
} Settled;

static Settled *settled_of(const Making *making)
{
    const Control *control = making->draft->control;
    return names_get(&control->importer->settled, (Name)(uintptr_t)control->node);
}

static void settled_keep(const Making *making)
{
    const Control *control = making->draft->control;
    Arena *scratch = control->importer->scratch;
    Settled *all = NEW_ARRAY(scratch, Settled, making->draft->carried + 1);
    for (size_t i = 0; i < making->draft->carried; i++) {
        const Type type = making->types[i];
        Node **dims = NEW_ARRAY(scratch, Node *, RANK_MAX);
        all[i] = (Settled){type.form, type.rank, 0, dims};
        for (int d = 0; d < type.rank; d++) {
            all[i].open |= dim_is_open(making, type.dims[d]) ? UINT32_C(1) << d : 0;
            dims[d] = type.dims[d] && type.dims[d]->op == OP_const ? type.dims[d] : NULL;
        }
    }
    names_set(&control->importer->settled, (Name)(uintptr_t)control->node, all);
}

static void settled_use(Making *making)
{
    const Settled *all = settled_of(making);
    for (size_t i = 0; all && i < making->draft->carried; i++) {
        Type *type = &making->types[i];
        Node *dims[RANK_MAX];
        if (form_is_optional(all[i].form))
            type->form = all[i].form;
        if (type->rank == RANK_NONE && all[i].rank != RANK_NONE) {
            const ValueForm form = type->form;
            *type = type_tensor(making->ir, type->dtype, all[i].rank < 0 ? 0 : all[i].rank, all[i].dims);
            type->rank = all[i].rank;
            type->form = form;
            continue;
        }
        if (type->rank < 0 || all[i].rank != type->rank) {
            type->rank = all[i].rank == RANK_UNKNOWN ? RANK_UNKNOWN : type->rank;
            continue;
        }
        for (int d = 0; d < type->rank; d++)
            dims[d] = all[i].open >> d & 1 ? dim_open(making, type->form, i, d) : type->dims[d];
        const ValueForm form = type->form;
        *type = type_tensor(making->ir, type->dtype, type->rank, dims);
        type->form = form;
    }
}

/* Imports the body until the types of the carried values stay as they are. */
static bool body_settle(Making *making)
{
    const LoopDraft *draft = making->draft;
    RunCheck *const last = run_checks_last(making->ir);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        bool changed = false;
        if (!(round ? body_try(making) : body_first(making)))
            return false;
        for (size_t i = 0; i < draft->carried; i++)
            if (!type_widen(making, i, making->results[i + 1]->type, round >= ROUNDS_WIDE, &changed))
                return false;
        if (!changed)
            return true;
        run_checks_forget(making->ir, last);
    }
    return diag_error(making->ir->diagnostics, EXIT_UNSUPPORTED, draft->control->where,
                      "the types of the values that %s carries do not settle", draft->control->where->op);
}

static Graph *body_graph(const Making *making)
{
    Arena *arena = making->ir->arena;
    const size_t inputs = making->draft->carried + 2, outputs = 1 + making->draft->carried + making->draft->parts;
    Graph *graph = NEW(arena, Graph);
    Name *input_names = NEW_ARRAY(arena, Name, inputs), *output_names = NEW_ARRAY(arena, Name, outputs);
    for (size_t i = 0; i < inputs; i++)
        input_names[i] = making->formals[i]->payload.name;
    for (size_t i = 0; i < outputs; i++)
        output_names[i] = name_intern(arena, arena_format(arena, "result%zu", i));
    *graph = (Graph){.name = "",
                     .scope = making->scope,
                     .input_count = (int)inputs,
                     .output_count = (int)outputs,
                     .inputs = arena_copy(arena, making->formals, inputs * sizeof *making->formals),
                     .outputs = arena_copy(arena, making->results, outputs * sizeof *making->results),
                     .input_names = input_names,
                     .output_names = output_names};
    return graph;
}

/* ---- the node ---- */

/* Does nothing in the body end the loop? */
static bool goes_on(const Making *making)
{
    const LoopDraft *draft = making->draft;
    const Node *after = making->results[0];
    bool known, value = true;
    while (after->op == OP_Identity)
        after = after->inputs[0];
    if (after != making->formals[1] && !(condition_read(draft->control, after, &known, &value) && known && value))
        return false;
    return is_omitted(draft->condition) ||
           (condition_read(draft->control, draft->condition, &known, &value) && known && value);
}

/* The number of iterations where it is known, as an index. */
static Node *iterations(const Making *making)
{
    const Node *trip = making->draft->trip;
    if (is_omitted(trip) || !trip->contents || !goes_on(making))
        return NULL;
    int64_t count;
    if (const_is_int(trip->contents[0], &count))
        return index_const(making->ir, count < 0 ? 0 : count);
    return index_range(making->ir, trip->contents[0]).low >= 0 ? trip->contents[0] : NULL;
}

static bool ends(const Making *making)
{
    const Control *control = making->draft->control;
    int64_t count = INT64_MAX;
    if (!is_omitted(making->draft->trip) &&
        (!making->draft->trip->contents || !const_is_int(making->draft->trip->contents[0], &count)))
        return true;
    if (count <= ITERATIONS_MAX || !goes_on(making))
        return true;
    return diag_error(control->importer->diagnostics, EXIT_UNSUPPORTED, control->where,
                      count == INT64_MAX ? "%s never ends: nothing limits its iterations"
                                         : "%s has %lld iterations, the limit is %d",
                      control->where->op, (long long)count, ITERATIONS_MAX);
}

static Type *result_types(const Making *making)
{
    const LoopDraft *draft = making->draft;
    Type *types = NEW_ARRAY(making->ir->arena, Type, draft->carried + draft->parts + 1);
    for (size_t i = 0; i < draft->carried; i++)
        types[i] = type_outer(making, making->types[i], i);
    Node *count = iterations(making);
    for (size_t i = draft->carried; i < draft->carried + draft->parts; i++) {
        const Type part = type_outer(making, making->results[i + 1]->type, i);
        Node *dims[RANK_MAX + 1];
        if (part.rank < 0 || part.rank == RANK_MAX) {
            types[i] = part;
            types[i].rank = RANK_UNKNOWN;
            continue;
        }
        dims[0] =
            count && dim_is_outside(making->ir, count, making->first) ? count : dim_open(making, FORM_TENSOR, i, 0);
        memcpy(dims + 1, part.dims, (size_t)part.rank * sizeof *dims);
        types[i] = type_tensor(making->ir, part.dtype, part.rank + 1, dims);
    }
    return types;
}

/* The last part first. (Only loops of which the number of iterations is the trip count have such parts.) */
static Node *part_flip(const LoopDraft *draft, Ir *ir, Node *stacked)
{
    Node *one = constant_scalar(ir, DTYPE_I64, 1), *range[] = {constant_scalar(ir, DTYPE_I64, 0), draft->trip, one};
    Node *last[] = {draft->trip, one};
    last[0] = tensor_make(ir, OP_Sub, last, 2, 1, NULL, 0);
    last[1] = tensor_make(ir, OP_Range, range, 3, 1, NULL, 0);
    Node *gather[] = {stacked, last[0] && last[1] ? tensor_make(ir, OP_Sub, last, 2, 1, NULL, 0) : NULL};
    const Attribute axis = attr_int(ir, "axis", 0);
    return gather[1] ? tensor_make(ir, OP_Gather, gather, 2, 1, &axis, 1) : NULL;
}

/* Stacked along axis 0 in order of the iterations; brought to where the draft wants it. */
static Node *part_turn(const LoopDraft *draft, Ir *ir, Node *stacked, size_t i)
{
    int64_t axis = draft->axes ? draft->axes[i] : 0, order[RANK_MAX];
    const int rank = stacked->type.rank;
    axis += axis < 0 && rank > 0 ? rank : 0;
    if (draft->backwards && draft->backwards[i])
        stacked = part_flip(draft, ir, stacked);
    if (!stacked || axis == 0)
        return stacked;
    if (rank < 0 || axis < 0 || axis >= rank) {
        diag_error(ir->diagnostics, EXIT_MALFORMED, draft->control->where,
                   "the axis of stacked output %zu is outside the rank of %s", i, type_text(ir, stacked->type));
        return NULL;
    }
    for (int d = 0; d < rank; d++)
        order[d] = d < axis ? d + 1 : d == axis ? 0 : d;
    const Attribute perm = attr_ints(ir, "perm", order, rank);
    return tensor_make(ir, OP_Transpose, &stacked, 1, 1, &perm, 1);
}

static bool node_fill(const Making *making)
{
    const LoopDraft *draft = making->draft;
    Ir *ir = making->ir;
    const size_t outputs = draft->carried + draft->parts;
    if (!ends(making))
        return false;
    if (outputs == 0)
        return true;
    Node **inputs = NEW_ARRAY(ir->arena, Node *, draft->carried + 2);
    inputs[0] = draft->trip;
    /* Nodes do not end in omitted inputs, and a Loop has at least two. */
    inputs[1] =
        draft->carried == 0 && is_omitted(draft->condition) ? constant_scalar(ir, DTYPE_BOOL, 1) : draft->condition;
    if (!is_omitted(inputs[1]))
        inputs[1] = condition_shape(ir, inputs[1], draft->condition_rank);
    if (!inputs[1])
        return false;
    memcpy(inputs + 2, draft->initial, draft->carried * sizeof *inputs);
    const Attribute body = {
        .name = name_intern(ir->arena, "body"), .kind = ATTRIBUTE_GRAPH, .graph = body_graph(making)};
    Node *node =
        tensor_make_typed(ir, OP_Loop, inputs, (int)draft->carried + 2, (int)outputs, &body, 1, result_types(making));
    for (size_t i = 0; node && i < outputs; i++) {
        Node *value = node_result(node, (int)i);
        draft->outputs[i] = i < draft->carried ? value : part_turn(draft, ir, value, i - draft->carried);
        if (!draft->outputs[i])
            return false;
    }
    return node;
}

static bool loop_make(const LoopDraft *draft)
{
    Importer *importer = draft->control->importer;
    Arena *scratch = importer->scratch;
    Making making = {
        .draft = draft,
        .ir = importer->ir,
        .first = importer->ir->next_id,
        .types = NEW_ARRAY(scratch, Type, draft->carried + 1),
        .formals = NEW_ARRAY(scratch, Node *, draft->carried + 2),
        .results = NEW_ARRAY(scratch, Node *, 1 + draft->carried + draft->parts),
    };
    for (size_t i = 0; i < draft->carried; i++)
        making.types[i] = draft->initial[i]->type;
    settled_use(&making);
    if (!body_settle(&making))
        return false;
    settled_keep(&making);
    importer->ir->where = draft->control->where;
    return node_fill(&making);
}

bool loop_run(const LoopDraft *draft)
{
    for (size_t i = 0; i < draft->carried; i++)
        if (is_omitted(draft->initial[i]))
            return diag_error(draft->control->importer->diagnostics, EXIT_MALFORMED, draft->control->where,
                              "a carried value is not given");
    switch (loop_unroll(draft)) {
    case UNROLL_DONE:
        return true;
    case UNROLL_FAILED:
        return false;
    default:
        return loop_make(draft);
    }
}
