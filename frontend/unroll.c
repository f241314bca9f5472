/* Loops whose number of iterations is known now, and small: the body is imported once for each iteration, with the
 * values of the one before in the place of its inputs. */
#include "frontend/loop.h"
#include "ir/ops/ops.h"

#include <string.h>

enum { PATH_LIMIT = 200, NODES_MOST = 8192 };

/* The values of one loop while it is unrolled. */
typedef struct Unroll {
    const LoopDraft *draft;
    Node *condition;
    Node **values; /* the carried ones */
    Node **parts;  /* [iteration][part] */
    int iterations;
} Unroll;

static Node *counter_make(Ir *ir, int64_t value)
{
    Constant *constant = NEW(ir->arena, Constant);
    *constant = (Constant){.data = arena_copy(ir->arena, &value, sizeof value), .bytes = sizeof value};
    return constant_make(ir, type_tensor(ir, DTYPE_I64, 0, NULL), constant);
}

static bool iterate(Unroll *unroll)
{
    const LoopDraft *draft = unroll->draft;
    const Control *control = draft->control;
    Importer *importer = control->importer;
    if (importer->nodes++ >= importer->limits.nodes) /* an iteration may hold no node and is work all the same */
        return diag_error(importer->diagnostics, EXIT_LIMIT, &importer->file, "the model has more than %llu nodes",
                          (unsigned long long)importer->limits.nodes);
    Context inside = *control->context;
    if (strlen(control->where->node) < PATH_LIMIT)
        inside.path = name_intern(importer->ir->arena,
                                  arena_format(importer->scratch, "%s[%d]/", control->where->node, unroll->iterations));
    Node **before = arena_copy(importer->scratch, unroll->values, draft->carried * sizeof *before);
    Node **parts = unroll->parts + (size_t)unroll->iterations * draft->parts;
    if (!draft->iterate(draft, &inside, counter_make(importer->ir, unroll->iterations), &unroll->condition,
                        unroll->values, parts))
        return false;
    importer->ir->where = control->where;
    for (size_t i = 0; i < draft->carried; i++)
        if (!type_same_kind(unroll->values[i]->type, before[i]->type))
            return diag_error(importer->diagnostics, EXIT_MALFORMED, control->where,
                              "the carried value %zu is %s before an iteration and %s after it", i,
                              type_text(importer->ir, before[i]->type),
                              type_text(importer->ir, unroll->values[i]->type));
    unroll->iterations++;
    return true;
}

/* The parts of value i side by side along a new axis. */
static Node *stack(const Unroll *unroll, size_t i)
{
    const LoopDraft *draft = unroll->draft;
    Importer *importer = draft->control->importer;
    Ir *ir = importer->ir;
    int64_t axis = draft->axes ? draft->axes[i] : 0;
    Node **parts = NEW_ARRAY(importer->scratch, Node *, (size_t)unroll->iterations + 1);
    ir->where = draft->control->where;
    for (int t = 0; t < unroll->iterations; t++) {
        const int from = draft->backwards && draft->backwards[i] ? unroll->iterations - 1 - t : t;
        Node *inputs[] = {unroll->parts[(size_t)from * draft->parts + i], constant_ints(ir, &axis, 1)};
        if (!(parts[t] = tensor_make(ir, OP_Unsqueeze, inputs, 2, 1, NULL, 0)))
            return NULL;
    }
    if (axis < 0) /* counted from the end of the result */
        axis += parts[0]->type.rank;
    const Attribute attribute = attr_int(ir, "axis", axis);
    return unroll->iterations == 1 ? parts[0] : tensor_make(ir, OP_Concat, parts, unroll->iterations, 1, &attribute, 1);
}

/* The number of iterations at most: -1 when a run decides, INT64_MAX when nothing limits it. */
static int64_t trip_count(const LoopDraft *draft)
{
    int64_t count;
    if (is_omitted(draft->trip))
        return INT64_MAX;
    return draft->trip->contents && const_is_int(draft->trip->contents[0], &count) ? (count < 0 ? 0 : count) : -1;
}

static Unrolled unroll_all(Unroll *unroll, int64_t most)
{
    const LoopDraft *draft = unroll->draft;
    Importer *importer = draft->control->importer;
    const uint64_t begin = importer->nodes;
    for (int64_t t = 0; t < most; t++) {
        bool known, going;
        if (!condition_read(draft->control, unroll->condition, &known, &going))
            return UNROLL_FAILED;
        if (!known)
            return UNROLL_NOT;
        if (!going)
            break;
        if (t >= importer->limits.iterations)
            return UNROLL_NOT;
        if (!iterate(unroll))
            return UNROLL_FAILED;
        const uint64_t nodes = importer->nodes - begin;
        if (nodes > NODES_MOST || (t == 0 && most != INT64_MAX && nodes * (uint64_t)most > NODES_MOST))
            return UNROLL_NOT;
    }
    if (draft->parts && unroll->iterations == 0)
        return UNROLL_NOT;
    for (size_t i = 0; i < draft->carried; i++)
        draft->outputs[i] = unroll->values[i];
    for (size_t i = 0; i < draft->parts; i++)
        if (!(draft->outputs[draft->carried + i] = stack(unroll, i)))
            return UNROLL_FAILED;
    return UNROLL_DONE;
}

Unrolled loop_unroll(const LoopDraft *draft)
{
    Importer *importer = draft->control->importer;
    const int64_t most = trip_count(draft);
    const int limit = importer->limits.iterations;
    if (most < 0 || (most != INT64_MAX && most > limit))
        return UNROLL_NOT;
    RunCheck *const last = run_checks_last(importer->ir);
    Unroll unroll = {
        .draft = draft,
        .condition = is_omitted(draft->condition) ? constant_scalar(importer->ir, DTYPE_BOOL, 1) : draft->condition,
        .values = arena_copy(importer->scratch, draft->initial, draft->carried * sizeof(Node *)),
        .parts = NEW_ARRAY(importer->scratch, Node *, draft->parts * (size_t)limit + 1),
    };
    const Unrolled result = unroll_all(&unroll, most);
    if (result == UNROLL_NOT)
        run_checks_forget(importer->ir, last);
    return result;
}
