/* NonZero and Compress: where elements are not zero. Elements are counted by blocks, in vectors; sums of the counts say
 * where each block's positions begin, so that blocks are filled apart, and those without a hit are not looked at again.
 */
#include "ir/ops/select.h"

#include "ir/ops/build.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <string.h>

enum { BLOCK = 1024 };

bool at_once(Infer *infer)
{
    BUG("%s has a node: it should have become others at once", op_name(infer->node->op));
}

Node *size_read(const Infer *infer, int input)
{
    int count;
    Node *const *const elements = infer_contents(infer, input, &count);
    return elements && count == 1 ? elements[0] : NULL;
}

void starts_lower(Lower *lower, Node *counts, Node *number, Node *starts, Node *total)
{
    Ir *const ir = lower->ir;
    Node *const zero = index_const(ir, 0);
    Procedure p = procedure_open(lower, "starts", index_const(ir, 1));
    Node *const sum = procedure_var(&p, zero);
    Node *const i = procedure_for(&p, "i", zero, number);
    {
        Node *const before = procedure_get(&p, sum);
        procedure_write(&p, starts, i, before);
        procedure_set(&p, sum, index_add(ir, before, procedure_read_index(&p, counts, i)));
    }
    procedure_end(&p);
    procedure_write(&p, starts, number, procedure_get(&p, sum));
    procedure_write(&p, total, zero, procedure_get(&p, sum));
    procedure_close(&p);
}

/* ---- counting ---- */

static Node *is_nonzero(Ir *ir, Node *value)
{
    const Dtype dtype = value->type.dtype;
    if (dtype == DTYPE_BOOL)
        return value;
    return scalar2(ir, OP_ne, value, dtype_is_float(dtype) ? const_float(ir, dtype, 0) : const_int(ir, dtype, 0));
}

static Node *block_count(Ir *ir, Node *elements)
{
    return index_ceildiv(ir, elements, index_const(ir, BLOCK));
}

bool nonzero_count_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    Node *const one = index_const(ir, 1);
    Node *const edges = index_add(ir, block_count(ir, infer_type(infer, 0).dims[0]), one);
    infer->types[0] = type_tensor(ir, DTYPE_I64, 1, &one);
    infer->types[1] = type_tensor(ir, DTYPE_I64, 1, &edges);
    return true;
}

bool nonzero_count_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const elements = x->type.dims[0], *const blocks = block_count(ir, elements);
    Node *const block = lower_axis(lower, "block", blocks), *const i = lower_axis(lower, "i", index_const(ir, BLOCK));
    Node *const at = index_add(ir, index_mul(ir, block, index_const(ir, BLOCK)), i);
    Node *const hit = cast_make(ir, is_nonzero(ir, lower_at(lower, x, &at)), DTYPE_I32);
    Node *const inside = guard_make(ir, scalar2(ir, OP_lt, at, elements), hit, const_int(ir, DTYPE_I32, 0));
    Node *const counts = lower_temp(lower, "counts", DTYPE_I32, 1, &blocks);
    lower_define(lower, counts, &block, 1, fold_make(ir, FOLD_SUM, 16, &i, 1, inside));
    starts_lower(lower, counts, blocks, lower_out(lower, 1), lower_out(lower, 0));
    return true;
}

/* ---- filling ---- */

/* Inputs: x, starts, the number of elements that are not zero. */
bool nonzero_fill_shape(Infer *infer)
{
    const int rank = infer_type(infer, 0).rank;
    Node *const size = size_read(infer, 2);
    if (!size)
        return false;
    Node *const dims[2] = {index_const(infer->ir, rank ? rank : 1), size};
    infer->types[0] = type_tensor(infer->ir, DTYPE_I64, 2, dims);
    return true;
}

/* out[d, place] = index d of element number `at` of x. */
static void write_position(Procedure *p, Node *x, Node *out, Node *place, Node *at)
{
    Ir *const ir = p->ir;
    Node *const pitch = out->type.dims[1];
    Node *rest = at;
    for (int d = x->type.rank - 1; d > 0; d--) {
        Node *const extent = x->type.dims[d], *const above = index_floordiv(ir, rest, extent);
        Node *const index = index_sub(ir, rest, index_mul(ir, above, extent));
        procedure_write(p, out, index_add(ir, index_mul(ir, index_const(ir, d), pitch), place), index);
        rest = above;
    }
    procedure_write(p, out, place, rest);
}

bool nonzero_fill_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const starts = lower_in(lower, 1), *const out = lower_out(lower, 0);
    Node *const elements = type_elements(ir, x->type), *const size = out->type.dims[1];
    Node *const zero = index_const(ir, 0), *const one = index_const(ir, 1), *const width = index_const(ir, BLOCK);
    Procedure p = procedure_open(lower, "nonzero", block_count(ir, elements));
    Node *const from = index_mul(ir, p.unit, width), *const to = index_min(ir, index_add(ir, from, width), elements);
    Node *const start = procedure_read_index(&p, starts, p.unit);
    Node *const end = procedure_read_index(&p, starts, index_add(ir, p.unit, one));
    procedure_if(&p, scalar2(ir, OP_and, scalar2(ir, OP_ge, start, zero), scalar2(ir, OP_lt, start, end)));
    Node *const place = procedure_var(&p, start);
    Node *const i = procedure_for(&p, "i", from, to);
    {
        procedure_if(&p, is_nonzero(ir, procedure_read(&p, x, i)));
        Node *const now = procedure_get(&p, place);
        procedure_if(&p, scalar2(ir, OP_lt, now, size));
        write_position(&p, x, out, now, i);
        procedure_set(&p, place, index_add(ir, now, one));
        procedure_end(&p);
        procedure_end(&p);
    }
    procedure_end(&p);
    procedure_end(&p);
    procedure_close(&p);
    return true;
}

/* ---- the operators ---- */

/* How many elements of a constant are not zero; -1: what is counted is no plain constant. */
static int64_t count_known(Ir *ir, const Node *x)
{
    const int bits = dtype_info[x->type.dtype].bits;
    int64_t elements, count = 0;
    if (x->op != OP_constant || !x->payload.constant->data || bits < 8 ||
        !const_is_int(type_elements(ir, x->type), &elements))
        return -1;
    const Constant *const constant = x->payload.constant;
    const size_t size = (size_t)bits / 8;
    for (int64_t i = 0; i < elements; i++) {
        uint64_t word = 0;
        memcpy(&word, (const char *)constant->data + (constant->splat ? 0 : (size_t)i * size), size);
        if (dtype_is_float(x->type.dtype))
            word &= ~(UINT64_C(1) << (bits - 1)); /* -0 is zero */
        count += word != 0;
    }
    return count;
}

bool nonzero_make(Ir *ir, const Node *node, Node **outputs)
{
    Node *const x = node->inputs[0];
    Node *const flat = x->type.rank == 1 ? x : build_reshape(ir, x, (const int64_t[]){-1}, 1);
    Node *const counted = flat ? tensor_make(ir, OP_lathe_NonZeroCount, &flat, 1, 2, NULL, 0) : NULL;
    if (!counted)
        return false;
    const int64_t known = count_known(ir, x);
    Node *const size = known >= 0 ? constant_ints(ir, &known, 1) : read_sizes_make(ir, node_result(counted, 0));
    outputs[0] = size ? build3(ir, OP_lathe_NonZeroFill, x, node_result(counted, 1), size) : NULL;
    return outputs[0] != NULL;
}

Node *select_from(const Infer *infer, int *axis)
{
    Node *const x = infer->node->inputs[0];
    const Attribute *const given = attribute_find(infer->node, "axis");
    *axis = 0;
    if (given)
        return infer_axis(infer, given->integer, x->type.rank, false, axis) ? x : NULL;
    return x->type.rank == 1 ? x : build_reshape(infer->ir, x, (const int64_t[]){-1}, 1);
}

bool compress_make(Ir *ir, const Node *node, Node **outputs)
{
    const Infer infer = {.ir = ir, .node = node};
    Node *const condition = node->inputs[1];
    int axis;
    if (condition->type.dtype != DTYPE_BOOL || condition->type.rank != 1)
        return infer_error(&infer, "the condition must be a list of bool, not %s", type_text(ir, condition->type));
    Node *const x = select_from(&infer, &axis);
    if (!x)
        return false;
    const char *const text = arena_format(ir->arena, "Compress: the condition is longer than axis %d", axis);
    if (!run_check(ir, scalar2(ir, OP_le, condition->type.dims[0], x->type.dims[axis]), text))
        return infer_error(&infer, "the condition %s is longer than axis %d of %s", type_text(ir, condition->type),
                           axis, type_text(ir, x->type));
    Node *const found = build1(ir, OP_NonZero, condition);
    Node *const places = found ? build2(ir, OP_Squeeze, found, constant_ints(ir, (const int64_t[]){0}, 1)) : NULL;
    outputs[0] = places ? build2_with(ir, OP_lathe_Pick, x, places, attr_int(ir, "axis", axis)) : NULL;
    return outputs[0] != NULL;
}

/* Gather of positions that are counted, not given: an axis without elements is no error, for then there are none. */
bool pick_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    Node *dims[RANK_MAX];
    const int axis = (int)attribute_int(infer->node, "axis", 0);
    for (int i = 0; i < x.rank; i++)
        dims[i] = i == axis ? infer_type(infer, 1).dims[0] : x.dims[i];
    infer->types[0] = type_tensor(infer->ir, x.dtype, x.rank, dims);
    return true;
}

bool pick_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    const int axis = (int)attribute_int(lower->node, "axis", 0);
    Node *axes[RANK_MAX], *at[RANK_MAX];
    lower_axes(lower, out->type, axes);
    for (int i = 0; i < x->type.rank; i++)
        at[i] = axes[i];
    Node *const place = cast_make(ir, lower_at(lower, lower_in(lower, 1), &axes[axis]), DTYPE_INDEX);
    at[axis] = bound_make(ir, place, x->type.dims[axis]);
    lower_define(lower, out, axes, out->type.rank, lower_at(lower, x, at));
    return true;
}
