/* Lists of axes: see axes.h. */
#include "ir/ops/axes.h"

static bool not_known(const Infer *infer, int i)
{
    return diag_error(infer->ir->diagnostics, EXIT_UNSUPPORTED, infer->ir->where,
                      "input %d of %s must be known at compile time or follow from dims and small inputs", i,
                      op_name(infer->node->op));
}

/* An entry brought into 0..rank-1; NULL after a diagnostic. */
static Node *entry_read(const Infer *infer, Node *given, int rank)
{
    Ir *const ir = infer->ir;
    int64_t value;
    int axis;
    if (const_is_int(given, &value))
        return infer_axis(infer, value, rank, false, &axis) ? index_const(ir, axis) : NULL;
    Node *const negative = scalar2(ir, OP_lt, given, index_const(ir, 0)), *const limit = index_const(ir, rank);
    Node *const entry = scalar3(ir, OP_select, negative, index_add(ir, given, limit), given);
    Node *const inside =
        scalar2(ir, OP_and, scalar2(ir, OP_ge, entry, index_const(ir, 0)), scalar2(ir, OP_lt, entry, limit));
    const char *const text =
        arena_format(ir->arena, "%s: an axis is outside the rank %d", op_name(infer->node->op), rank);
    if (run_check(ir, inside, text))
        return entry;
    infer_error(infer, "%s", text);
    return NULL;
}

bool infer_axis_list(const Infer *infer, int i, int rank, AxisList *list)
{
    Ir *const ir = infer->ir;
    int count;
    const Type type = infer_type(infer, i);
    if (type.rank > 1 || !dtype_is_integer(type.dtype))
        return infer_error(infer, "the axes must be a list of integers, not %s", type_text(ir, type));
    Node *const *const contents = infer_contents(infer, i, &count);
    if (!contents)
        return not_known(infer, i);
    if (count > rank)
        return infer_error(infer, "%d axes are listed of a tensor of rank %d", count, rank);
    list->count = count;
    for (int d = 0; d < rank; d++)
        list->listed[d] = const_bool(ir, false);
    for (int j = 0; j < count; j++) {
        Node *const entry = list->entries[j] = entry_read(infer, contents[j], rank);
        if (!entry)
            return false;
        for (int k = 0; k < j; k++) {
            const char *const text = arena_format(ir->arena, "%s: an axis is listed twice", op_name(infer->node->op));
            if (!run_check(ir, scalar2(ir, OP_ne, entry, list->entries[k]), text))
                return infer_error(infer, "an axis of %s is listed twice", type_text(ir, infer_type(infer, 0)));
        }
        for (int d = 0; d < rank; d++)
            list->listed[d] = scalar2(ir, OP_or, list->listed[d], scalar2(ir, OP_eq, entry, index_const(ir, d)));
    }
    return true;
}

/* How many of the axes before i are not listed. */
static Node *rest_before(Ir *ir, const AxisList *list, int i)
{
    Node *count = index_const(ir, 0);
    for (int d = 0; d < i; d++)
        count = index_add(ir, count, scalar3(ir, OP_select, list->listed[d], index_const(ir, 0), index_const(ir, 1)));
    return count;
}

int axis_list_rest(Ir *ir, const AxisList *list, int rank, Node *const *all, Node **rest)
{
    const int count = rank - list->count;
    for (int k = 0; k < count; k++) {
        rest[k] = index_const(ir, 0);
        for (int i = k; i <= k + list->count; i++) {
            Node *const here = scalar2(ir, OP_eq, rest_before(ir, list, i), index_const(ir, k));
            Node *const chosen = scalar2(ir, OP_and, here, scalar1(ir, OP_not, list->listed[i]));
            rest[k] = scalar3(ir, OP_select, chosen, all[i], rest[k]);
        }
    }
    return count;
}

void axis_list_spread(Ir *ir, const AxisList *list, int rank, Node *const *rest, Node *otherwise, Node **all)
{
    const int count = rank - list->count;
    for (int i = 0; i < rank; i++) {
        Node *const before = rest_before(ir, list, i);
        Node *value = otherwise;
        for (int k = i - list->count < 0 ? 0 : i - list->count; k <= i && k < count; k++) {
            Node *const chosen = scalar2(ir, OP_and, scalar2(ir, OP_eq, before, index_const(ir, k)),
                                         scalar1(ir, OP_not, list->listed[i]));
            value = scalar3(ir, OP_select, chosen, rest[k], value);
        }
        all[i] = value;
    }
}

void axis_list_first(Ir *ir, int rank, int count, AxisList *list)
{
    list->count = count;
    for (int i = 0; i < rank; i++) {
        list->entries[i] = index_const(ir, i);
        list->listed[i] = const_bool(ir, i < count);
    }
}

Node *axis_list_choose(Ir *ir, const AxisList *list, int i, Node *const *values, Node *otherwise)
{
    Node *value = otherwise;
    for (int j = 0; j < list->count; j++)
        value = scalar3(ir, OP_select, scalar2(ir, OP_eq, list->entries[j], index_const(ir, i)), values[j], value);
    return value;
}
