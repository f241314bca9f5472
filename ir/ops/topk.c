/* TopK: the first k of each row in order. Equal elements come by position, NaN counts as greater than all numbers; the
 * result is sorted whatever `sorted` says, which the specification leaves open.
 *
 * Small k: a heap of the best so far with the worst of them on top, so that most elements cost one comparison. Large k:
 * radix sort of the whole row. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"
#include "ir/ops/sort.h"

/* The heap pays while k is at most this part of the row, or the row is short. */
enum { HEAP_SHARE = 8, ROW_SMALL = 256 };

static bool topk_axis(const Infer *infer, int *axis)
{
    return infer_axis(infer, attribute_int(infer->node, "axis", -1), infer_type(infer, 0).rank, false, axis);
}

bool topk_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), given = infer_type(infer, 1);
    int axis, count;
    Node *dims[RANK_MAX];
    if (x.rank < 1)
        return infer_error(infer, "TopK of a scalar has no axis to choose along");
    if (!topk_axis(infer, &axis))
        return false;
    if (given.dtype != DTYPE_I64 || given.rank > 1)
        return infer_error(infer, "k must be one i64, not %s", type_text(ir, given));
    Node *const *const k = infer_contents(infer, 1, &count);
    if (!k)
        return false;
    if (count != 1)
        return infer_error(infer, "k must be one number, not %d", count);
    Node *const inside =
        scalar2(ir, OP_and, scalar2(ir, OP_ge, k[0], index_const(ir, 0)), scalar2(ir, OP_le, k[0], x.dims[axis]));
    if (!run_check(ir, inside, arena_format(ir->arena, "TopK: k is negative or larger than axis %d", axis))) {
        int64_t value = 0;
        const_is_int(k[0], &value);
        return infer_error(infer, "k is %lld, but axis %d is that of %s", (long long)value, axis, type_text(ir, x));
    }
    for (int i = 0; i < x.rank; i++)
        dims[i] = i == axis ? k[0] : x.dims[i];
    infer->types[0] = type_tensor(ir, x.dtype, x.rank, dims);
    infer->types[1] = type_tensor(ir, DTYPE_I64, x.rank, dims);
    return true;
}

/* ---- one row ---- */

typedef struct TopK {
    Lower *lower;
    Node *rows, *length, *k;
    Node *values, *indices; /* where results go: NULL and [rows..., k], or the outputs themselves */
    Ranking ranking;
} TopK;

static void write_result(Procedure *p, const TopK *top, Node *place, Node *item)
{
    Ir *const ir = p->ir;
    Node *const to = index_add(ir, index_mul(ir, p->unit, top->k), place);
    procedure_write(p, top->indices, to, item);
    if (!top->values)
        return;
    Node *const from = index_add(ir, index_mul(ir, p->unit, top->length), item);
    procedure_write(p, top->values, to, procedure_read(p, lower_in(top->lower, 0), from));
}

static void write_results(Procedure *p, const TopK *top, Node *first)
{
    Node *const place = procedure_for(p, "place", index_const(p->ir, 0), top->k);
    write_result(p, top, place, ranking_item(p, &top->ranking, index_add(p->ir, first, place)));
    procedure_end(p);
}

static void select_by_heap(Procedure *p, const TopK *top)
{
    Ir *const ir = p->ir;
    const Ranking *const ranking = &top->ranking;
    Node *const zero = index_const(ir, 0);
    procedure_if(p, scalar2(ir, OP_gt, top->k, zero));
    Node *const i = procedure_for(p, "i", zero, top->k);
    ranking_put(p, ranking, i, i);
    procedure_end(p);
    heap_build(p, ranking, top->k, false);
    Node *const worst = procedure_var(p, ranking_key(p, ranking, ranking_item(p, ranking, zero)));
    Node *const j = procedure_for(p, "j", top->k, top->length);
    {
        procedure_if(p, scalar2(ir, OP_lt, ranking_key(p, ranking, j), procedure_get(p, worst)));
        ranking_put(p, ranking, zero, j);
        heap_sift(p, ranking, zero, top->k, false);
        procedure_set(p, worst, ranking_key(p, ranking, ranking_item(p, ranking, zero)));
        procedure_end(p);
    }
    procedure_end(p);
    heap_sort(p, ranking, top->k);
    write_results(p, top, zero);
    procedure_end(p);
}

static void select_by_radix(Procedure *p, const TopK *top)
{
    Ir *const ir = p->ir;
    Node *const zero = index_const(ir, 0), *const side = procedure_var(p, zero);
    Node *const i = procedure_for(p, "i", zero, top->length);
    ranking_put(p, &top->ranking, i, i);
    procedure_end(p);
    radix_sort(p, &top->ranking, top->length, side);
    write_results(p, top, index_mul(ir, procedure_get(p, side), top->length));
}

/* One kernel over rows: indices, and values where a row of the output is a row of the input. */
static void select_rows(Lower *lower, TopK *top, Node *keys)
{
    Ir *const ir = lower->ir;
    Node *const seldom = scalar2(ir, OP_le, index_mul(ir, top->k, index_const(ir, HEAP_SHARE)), top->length);
    Node *const small = scalar2(ir, OP_le, top->length, index_const(ir, ROW_SMALL));
    Node *const by_heap = scalar2(ir, OP_or, seldom, small);
    int64_t known = -1;
    const_is_int(by_heap, &known);
    Node *const pitch = known == 1 ? top->k : index_mul(ir, top->length, index_const(ir, 2));
    Node *const items = lower_temp(lower, "items", position_dtype(ir, top->length), 2, (Node *[]){top->rows, pitch});
    Procedure p = procedure_open(lower, "topk", top->rows);
    top->ranking =
        (Ranking){keys, index_mul(ir, p.unit, top->length), index_const(ir, 1), items, index_mul(ir, p.unit, pitch)};
    if (known < 0)
        procedure_if_else(&p, by_heap);
    if (known != 0)
        select_by_heap(&p, top);
    if (known < 0)
        procedure_else(&p);
    if (known != 1)
        select_by_radix(&p, top);
    if (known < 0)
        procedure_end(&p);
    procedure_close(&p);
}

/* A stage over no points: also a result without elements is made by somebody. */
static void define_nothing(Lower *lower, Node *out)
{
    Node *axes[RANK_MAX];
    lower_axes(lower, out->type, axes);
    lower_define(lower, out, axes, out->type.rank, const_int(lower->ir, dtype_compute(out->type.dtype), 0));
}

bool topk_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    Node *const x = lower_in(lower, 0), *const values = lower_out(lower, 0), *const indices = lower_out(lower, 1);
    const int rank = x->type.rank;
    int axis;
    if (!topk_axis(&infer, &axis))
        return false;
    /* axes in the order of rows: all but the one, then it */
    Node *from[RANK_MAX], *dims[RANK_MAX], *axes[RANK_MAX];
    lower_axes(lower, x->type, axes);
    for (int i = 0; i < rank; i++) {
        const int at = i < axis ? i : i == axis ? rank - 1 : i - 1;
        from[at] = axes[i];
        dims[at] = x->type.dims[i];
    }
    TopK top = {.lower = lower,
                .rows = dims_product(ir, dims, rank - 1),
                .length = x->type.dims[axis],
                .k = values->type.dims[axis]};
    if (index_is(top.k, 0)) {
        define_nothing(lower, values);
        define_nothing(lower, indices);
        return true;
    }
    Node *const value = lower_at(lower, x, axes);
    Node *const key = key_of(ir, value, attribute_int(lower->node, "largest", 1) != 0);
    Node *const keys = lower_temp(lower, "keys", key->type.dtype, rank, dims);
    lower_define_box(lower, keys, axes, rank, from, key);
    if (axis == rank - 1) {
        top.values = values;
        top.indices = indices;
        select_rows(lower, &top, keys);
        return true;
    }
    dims[rank - 1] = top.k;
    top.indices = lower_temp(lower, "order", DTYPE_I64, rank, dims);
    select_rows(lower, &top, keys);
    Node *out[RANK_MAX], *row[RANK_MAX];
    lower_axes(lower, values->type, out);
    for (int i = 0; i < rank; i++)
        row[i < axis ? i : i == axis ? rank - 1 : i - 1] = out[i];
    Node *const position = lower_at(lower, top.indices, row);
    lower_define(lower, indices, out, rank, position);
    Node *at[RANK_MAX];
    for (int i = 0; i < rank; i++)
        at[i] = i == axis ? bound_make(ir, cast_make(ir, position, DTYPE_INDEX), top.length) : out[i];
    lower_define(lower, values, out, rank, lower_at(lower, x, at));
    return true;
}
