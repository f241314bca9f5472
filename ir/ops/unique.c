/* Unique: elements, or slices along an axis, that differ. They are sorted by radix, a column after the other from the
 * last, so equal ones stand together and the first of them is the first of the input. */
#include "ir/ops/build.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"
#include "ir/ops/select.h"
#include "ir/ops/sort.h"

/* The items: x[i, ...] along `axis`, or all elements. */
bool unique_find_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const int axis = (int)attribute_int(infer->node, "axis", 0);
    Node *const items = infer_type(infer, 0).dims[axis], *const one = index_const(ir, 1);
    for (int i = 0; i < 3; i++)
        infer->types[i] = type_tensor(ir, DTYPE_I64, 1, &items);
    infer->types[3] = type_tensor(ir, DTYPE_I64, 1, &one);
    return true;
}

typedef struct Unique {
    Ranking ranking; /* key_base is set column by column */
    Node *items, *width, *side;
    Node *first, *inverse, *counts, *total; /* results, in sorted order */
} Unique;

static Node *column_key(Procedure *p, const Unique *unique, Node *item, Node *column)
{
    Ranking ranking = unique->ranking;
    ranking.key_base = column;
    return ranking_key(p, &ranking, item);
}

static void sort_items(Procedure *p, Unique *unique)
{
    Ir *const ir = p->ir;
    Node *const zero = index_const(ir, 0), *const last = index_sub(ir, unique->width, index_const(ir, 1));
    Node *const i = procedure_for(p, "i", zero, unique->items);
    ranking_put(p, &unique->ranking, i, i);
    procedure_end(p);
    Node *const column = procedure_for(p, "column", zero, unique->width);
    Ranking ranking = unique->ranking;
    ranking.key_base = index_sub(ir, last, column);
    radix_sort(p, &ranking, unique->items, unique->side);
    procedure_end(p);
}

/* A variable that says whether two items differ. */
static Node *items_differ(Procedure *p, const Unique *unique, Node *a, Node *b)
{
    Node *const differ = procedure_var(p, const_bool(p->ir, false));
    Node *const column = procedure_for(p, "column", index_const(p->ir, 0), unique->width);
    Node *const left = column_key(p, unique, a, column), *const right = column_key(p, unique, b, column);
    procedure_set(p, differ, scalar2(p->ir, OP_ne, left, right));
    procedure_break(p, procedure_get(p, differ));
    procedure_end(p);
    return differ;
}

/* Groups of equal items in sorted order; the variable of their number. */
static Node *group_items(Procedure *p, const Unique *unique)
{
    Ir *const ir = p->ir;
    Node *const zero = index_const(ir, 0), *const one = index_const(ir, 1);
    Node *const groups = procedure_var(p, zero), *const before = procedure_var(p, zero);
    Node *const base = index_mul(ir, procedure_get(p, unique->side), unique->items);
    Node *const place = procedure_for(p, "place", zero, unique->items);
    {
        Node *const item = ranking_item(p, &unique->ranking, index_add(ir, base, place));
        Node *const differ = items_differ(p, unique, procedure_get(p, before), item);
        procedure_if(p, scalar2(ir, OP_or, scalar2(ir, OP_eq, place, zero), procedure_get(p, differ)));
        Node *const next = procedure_get(p, groups);
        procedure_write(p, unique->first, next, item);
        procedure_write(p, unique->counts, next, zero);
        procedure_set(p, groups, index_add(ir, next, one));
        procedure_end(p);
        Node *const group = index_sub(ir, procedure_get(p, groups), one);
        procedure_write(p, unique->inverse, item, group);
        procedure_write(p, unique->counts, group, index_add(ir, procedure_read_index(p, unique->counts, group), one));
        procedure_set(p, before, item);
    }
    procedure_end(p);
    return groups;
}

/* The groups in order of their first items: a group's number is found at its first item. */
static void order_by_first(Procedure *p, const Unique *sorted, const Unique *result, Node *owner, Node *groups)
{
    Ir *const ir = p->ir;
    Node *const zero = index_const(ir, 0), *const one = index_const(ir, 1), *const none = index_const(ir, -1);
    Node *const clear = procedure_for(p, "i", zero, sorted->items);
    procedure_write(p, owner, clear, none);
    procedure_end(p);
    Node *const group = procedure_for(p, "group", zero, procedure_get(p, groups));
    procedure_write(p, owner, procedure_read_index(p, sorted->first, group), group);
    procedure_end(p);
    Node *const next = procedure_var(p, zero);
    Node *const item = procedure_for(p, "item", zero, sorted->items);
    {
        Node *const own = procedure_read_index(p, owner, item), *const number = procedure_get(p, next);
        procedure_if(p, scalar2(ir, OP_ge, own, zero));
        procedure_write(p, result->first, number, item);
        procedure_write(p, result->counts, number, procedure_read_index(p, sorted->counts, own));
        procedure_write(p, sorted->first, own, number); /* from here on: the new number */
        procedure_set(p, next, index_add(ir, number, one));
        procedure_end(p);
        /* The first item of a group comes before its others: its number is known. */
        Node *const old = procedure_read_index(p, sorted->inverse, item);
        procedure_write(p, result->inverse, item, procedure_read_index(p, sorted->first, old));
    }
    procedure_end(p);
}

/* Nothing reads what stands behind the groups, but all of it is written: a tensor has no holes. */
static void clear_rest(Procedure *p, const Unique *unique, Node *groups)
{
    Node *const zero = index_const(p->ir, 0);
    Node *const i = procedure_for(p, "rest", procedure_get(p, groups), unique->items);
    procedure_write(p, unique->first, i, zero);
    procedure_write(p, unique->counts, i, zero);
    procedure_end(p);
}

/* Keys as [items, width], whatever the axis. */
static Node *define_keys(Lower *lower, int axis)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    Node *axes[RANK_MAX], *dims[RANK_MAX], *to[RANK_MAX];
    lower_axes(lower, x->type, axes);
    for (int i = 0; i < x->type.rank; i++) {
        const int place = i == axis ? 0 : i < axis ? i + 1 : i;
        dims[place] = x->type.dims[i];
        to[place] = axes[i];
    }
    Node *const key = key_of(ir, lower_at(lower, x, axes), false);
    Node *const keys = lower_temp(lower, "keys", key->type.dtype, x->type.rank, dims);
    lower_define_box(lower, keys, axes, x->type.rank, to, key);
    return keys;
}

bool unique_find_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const int axis = (int)attribute_int(lower->node, "axis", 0);
    const bool sorted = attribute_int(lower->node, "sorted", 1) != 0;
    Node *const x = lower_in(lower, 0), *const items = x->type.dims[axis], *const zero = index_const(ir, 0);
    Node *const keys = define_keys(lower, axis);
    Node *const width = dims_product(ir, keys->type.dims + 1, keys->type.rank - 1);
    Node *const pair = index_mul(ir, items, index_const(ir, 2));
    Unique result = {.items = items,
                     .width = width,
                     .first = lower_out(lower, 0),
                     .inverse = lower_out(lower, 1),
                     .counts = lower_out(lower, 2)};
    result.ranking =
        (Ranking){keys, zero, width, lower_temp(lower, "items", position_dtype(ir, items), 1, &pair), zero};
    Unique groups = result;
    Node *owner = NULL;
    if (!sorted) {
        groups.first = lower_temp(lower, "first", DTYPE_I64, 1, &items);
        groups.inverse = lower_temp(lower, "inverse", DTYPE_I64, 1, &items);
        groups.counts = lower_temp(lower, "counts", DTYPE_I64, 1, &items);
        owner = lower_temp(lower, "owner", DTYPE_I64, 1, &items);
    }
    Procedure p = procedure_open(lower, "unique", index_const(ir, 1));
    groups.side = procedure_var(&p, zero);
    sort_items(&p, &groups);
    Node *const number = group_items(&p, &groups);
    if (!sorted)
        order_by_first(&p, &groups, &result, owner, number);
    clear_rest(&p, &result, number);
    procedure_write(&p, lower_out(lower, 3), zero, procedure_get(&p, number));
    procedure_close(&p);
    return true;
}

/* ---- the results ---- */

/* Inputs: x, first, inverse, counts, how many there are. */
bool unique_fill_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    const int axis = (int)attribute_int(infer->node, "axis", 0);
    Node *dims[RANK_MAX], *size = size_read(infer, 4);
    if (!size)
        return false;
    for (int i = 0; i < x.rank; i++)
        dims[i] = i == axis ? size : x.dims[i];
    const Type types[4] = {type_tensor(ir, x.dtype, x.rank, dims), type_tensor(ir, DTYPE_I64, 1, &size),
                           infer_type(infer, 2), type_tensor(ir, DTYPE_I64, 1, &size)};
    for (int i = 0; i < infer->output_count; i++)
        infer->types[i] = types[i];
    return true;
}

bool unique_fill_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const int axis = (int)attribute_int(lower->node, "axis", 0);
    Node *const x = lower_in(lower, 0), *const first = lower_in(lower, 1);
    const int outputs = lower->node->result_count > 1 ? lower->node->result_count : 1;
    Node *axes[RANK_MAX], *at[RANK_MAX];
    lower_axes(lower, lower_out(lower, 0)->type, axes);
    for (int i = 0; i < x->type.rank; i++)
        at[i] = axes[i];
    at[axis] = bound_make(ir, cast_make(ir, lower_at(lower, first, &axes[axis]), DTYPE_INDEX), x->type.dims[axis]);
    lower_define(lower, lower_out(lower, 0), axes, x->type.rank, lower_at(lower, x, at));
    for (int i = 1; i < outputs; i++) {
        Node *axis_of[1];
        lower_axes(lower, lower_out(lower, i)->type, axis_of);
        lower_define(lower, lower_out(lower, i), axis_of, 1, lower_at(lower, lower_in(lower, i), axis_of));
    }
    return true;
}

bool unique_make(Ir *ir, const Node *node, Node **outputs)
{
    const Infer infer = {.ir = ir, .node = node};
    int axis;
    Node *const x = select_from(&infer, &axis);
    if (!x)
        return false;
    const Attribute attributes[2] = {attr_int(ir, "axis", axis),
                                     attr_int(ir, "sorted", attribute_int(node, "sorted", 1))};
    Node *const found = tensor_make(ir, OP_lathe_UniqueFind, &x, 1, 4, attributes, 2);
    Node *const size = found ? read_sizes_make(ir, node_result(found, 3)) : NULL;
    if (!size)
        return false;
    Node *const inputs[5] = {x, node_result(found, 0), node_result(found, 1), node_result(found, 2), size};
    outputs[0] =
        tensor_make(ir, OP_lathe_UniqueFill, inputs, 5, node->result_count > 1 ? node->result_count : 1, attributes, 1);
    return outputs[0] != NULL;
}
