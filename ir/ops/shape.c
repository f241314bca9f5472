/* Operators about shapes, and generators of tensors. */
#include "ir/ops/lower.h"
#include "ir/ops/rules.h"

#include <math.h>
#include <string.h>

/* ---- Shape, Size ---- */

static void shape_bounds(const Node *node, int rank, int *start, int *end)
{
    int64_t first = attribute_int(node, "start", 0), last = attribute_int(node, "end", rank);
    first = first < 0 ? first + rank : first;
    last = last < 0 ? last + rank : last;
    *start = (int)(first < 0 ? 0 : first > rank ? rank : first);
    *end = (int)(last < 0 ? 0 : last > rank ? rank : last);
    if (*end < *start)
        *end = *start;
}

bool shape_shape(Infer *infer)
{
    int start, end;
    shape_bounds(infer->node, infer_type(infer, 0).rank, &start, &end);
    Node *const dim = index_const(infer->ir, end - start);
    infer->types[0] = type_tensor(infer->ir, DTYPE_I64, 1, &dim);
    return true;
}

/* One piece per dim: out[i] = dim. */
bool shape_lower(Lower *lower)
{
    const Type in = lower->node->inputs[0]->type;
    int start, end;
    shape_bounds(lower->node, in.rank, &start, &end);
    for (int i = start; i < end; i++) {
        Node *const at = index_const(lower->ir, i - start);
        lower_define_box(lower, lower_out(lower, 0), NULL, 0, &at, in.dims[i]);
    }
    return true;
}

bool size_shape(Infer *infer)
{
    infer->types[0] = type_tensor(infer->ir, DTYPE_I64, 0, NULL);
    return true;
}

bool size_lower(Lower *lower)
{
    lower_define(lower, lower_out(lower, 0), NULL, 0, type_elements(lower->ir, lower->node->inputs[0]->type));
    return true;
}

/* ---- Range ---- */

/* The length for a delta whose sign only a run knows. */
static bool length_signed(Infer *infer, Node *const *value, Node **length)
{
    Ir *const ir = infer->ir;
    Node *const zero = index_const(ir, 0), *const down = index_sub(ir, zero, value[2]);
    if (!run_check(ir, scalar2(ir, OP_ne, value[2], zero), "Range: the delta is 0"))
        return infer_error(infer, "the delta of Range is 0");
    Node *const up = scalar2(ir, OP_gt, value[2], zero);
    Node *const steps = scalar3(ir, OP_select, up, index_ceildiv(ir, index_sub(ir, value[1], value[0]), value[2]),
                                index_ceildiv(ir, index_sub(ir, value[0], value[1]), down));
    *length = index_max(ir, steps, zero);
    return true;
}

static bool range_length(Infer *infer, Node **length)
{
    Ir *const ir = infer->ir;
    Node *value[3];
    bool known = true;
    for (int i = 0; i < 3; i++) {
        int count = 0;
        Node *const *const contents = infer_read(infer, i, &count);
        if (infer_type(infer, i).dtype != infer_type(infer, 0).dtype || (contents && count != 1))
            return infer_error(infer, "start, limit and delta must be scalars of one type");
        known = known && contents;
        value[i] = contents ? contents[0] : NULL;
    }
    if (!known)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where, "the length of Range cannot be derived from dims and inputs");
    int64_t delta;
    if (value[0]->type.dtype == DTYPE_INDEX) {
        if (!const_is_int(value[2], &delta))
            return length_signed(infer, value, length);
        if (delta == 0 || delta == INT64_MIN)
            return infer_error(infer, "the delta of Range is %lld", (long long)delta);
        int64_t first, last, distance;
        if (const_is_int(value[0], &first) && const_is_int(value[1], &last) && __builtin_sub_overflow(last, first, &distance))
            return infer_error(infer, "Range from %lld to %lld is longer than 63 bits can count", (long long)first, (long long)last);
        Node *const span = delta > 0 ? index_sub(ir, value[1], value[0]) : index_sub(ir, value[0], value[1]);
        *length = index_max(ir, index_ceildiv(ir, span, index_const(ir, delta > 0 ? delta : -delta)), index_const(ir, 0));
        return true;
    }
    if (value[0]->op != OP_const || value[1]->op != OP_const || value[2]->op != OP_const) {
        const char *const text = "Range: the delta is 0";
        Node *const zero = const_float(ir, value[2]->type.dtype, 0);
        if (!run_check(ir, scalar2(ir, OP_ne, value[2], zero), text))
            return infer_error(infer, "%s", text);
        for (int i = 0; i < 3; i++)
            value[i] = cast_make(ir, value[i], DTYPE_F64); /* as NumPy counts */
        Node *const steps = scalar2(ir, OP_div, scalar2(ir, OP_sub, value[1], value[0]), value[2]);
        *length = index_max(ir, cast_make(ir, scalar1(ir, OP_ceil, steps), DTYPE_INDEX), index_const(ir, 0));
        return true;
    }
    const double count = ceil((const_as_double(value[1]) - const_as_double(value[0])) / const_as_double(value[2]));
    if (!(count < 1e15))
        return infer_error(infer, "Range has %g elements", count);
    *length = index_const(ir, count > 0 ? (int64_t)count : 0);
    return true;
}

bool range_shape(Infer *infer)
{
    Node *length;
    if (!range_length(infer, &length))
        return false;
    infer->types[0] = type_tensor(infer->ir, infer_type(infer, 0).dtype, 1, &length);
    return true;
}

bool range_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0);
    Node *axis, *const zero[1] = {index_const(ir, 0)};
    lower_axes(lower, out->type, &axis);
    Node *const start = lower_at(lower, lower_in(lower, 0), zero), *const delta = lower_at(lower, lower_in(lower, 2), zero);
    Node *const step = scalar2(ir, OP_mul, cast_make(ir, axis, start->type.dtype), delta);
    lower_define(lower, out, &axis, 1, scalar2(ir, OP_add, start, step));
    return true;
}

/* How many elements a Range of any type has, counted in f64: what a run reads before it fills them (frontend/readable.c). */
bool range_count_shape(Infer *infer)
{
    Node *const one = index_const(infer->ir, 1);
    infer->types[0] = type_tensor(infer->ir, DTYPE_I64, 1, &one);
    return true;
}

bool range_count_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *value[3], *axis, *const zero[1] = {index_const(ir, 0)};
    for (int i = 0; i < 3; i++)
        value[i] = cast_make(ir, lower_at(lower, lower_in(lower, i), zero), DTYPE_F64);
    Node *const steps = scalar1(ir, OP_ceil, scalar2(ir, OP_div, scalar2(ir, OP_sub, value[1], value[0]), value[2]));
    Node *const most = const_float(ir, DTYPE_F64, (double)((int64_t)1 << 40)), *const none = const_float(ir, DTYPE_F64, 0);
    lower_axes(lower, lower_out(lower, 0)->type, &axis);
    Node *const count = scalar2(ir, OP_min, scalar2(ir, OP_max, steps, none), most);
    lower_define(lower, lower_out(lower, 0), &axis, 1, cast_make(ir, count, DTYPE_I64));
    return true;
}

bool range_fill_shape(Infer *infer)
{
    int count;
    Node *const *const length = infer_contents(infer, 2, &count);
    if (!length)
        return infer_error(infer, "the length is not known");
    infer->types[0] = type_tensor(infer->ir, infer_type(infer, 0).dtype, 1, length);
    return true;
}

bool range_fill_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0);
    Node *axis, *const zero[1] = {index_const(ir, 0)};
    lower_axes(lower, out->type, &axis);
    Node *const start = lower_at(lower, lower_in(lower, 0), zero), *const delta = lower_at(lower, lower_in(lower, 1), zero);
    Node *const step = scalar2(ir, OP_mul, cast_make(ir, axis, start->type.dtype), delta);
    lower_define(lower, out, &axis, 1, scalar2(ir, OP_add, start, step));
    return true;
}

/* ---- constants ---- */

bool constant_of_shape_shape(Infer *infer)
{
    int count;
    Node *const *const dims = infer_contents(infer, 0, &count);
    const Attribute *const value = attribute_find(infer->node, "value");
    if (!dims || infer_type(infer, 0).rank != 1)
        return diag_error(infer->ir->diagnostics, EXIT_UNSUPPORTED, infer->ir->where, "the shape of ConstantOfShape cannot be derived from dims and inputs");
    if (count > RANK_MAX)
        return infer_error(infer, "rank %d is beyond the limit of %d", count, RANK_MAX);
    for (int i = 0; i < count; i++)
        if (index_range(infer->ir, dims[i]).high < 0)
            return infer_error(infer, "dim %d of the shape is negative", i);
    if (value && !index_is(type_elements(infer->ir, value->tensor->type), 1))
        return infer_error(infer, "value must hold one element, not %s", type_text(infer->ir, value->tensor->type));
    infer->types[0] = type_tensor(infer->ir, value ? value->tensor->type.dtype : DTYPE_F32, count, dims);
    return true;
}

bool constant_of_shape_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0);
    Node *axes[RANK_MAX];
    lower_axes(lower, out->type, axes);
    uint64_t bits = 0;
    const Attribute *const value = attribute_find(lower->node, "value");
    const int width = dtype_info[out->type.dtype].bits;
    if (value)
        memcpy(&bits, value->tensor->payload.constant->data, (size_t)(width + 7) / 8);
    if (width < 8)
        bits &= (1u << width) - 1;
    if (dtype_is_signed(out->type.dtype) && width < 64)
        bits = (uint64_t)((int64_t)(bits << (64 - width)) >> (64 - width));
    lower_define(lower, out, axes, out->type.rank, const_bits(ir, type_scalar(out->type.dtype), bits));
    return true;
}

bool constant_shape(Infer *infer)
{
    const Node *const node = infer->node;
    const Attribute *const tensor = attribute_find(node, "value");
    int count = 0;
    for (const char *const *name = (const char *const[]){"value", "value_float", "value_floats", "value_int", "value_ints", NULL}; *name; name++)
        count += attribute_find(node, *name) != NULL;
    if (count != 1)
        return infer_error(infer, "Constant needs one value attribute, not %d", count);
    if (tensor) {
        infer->types[0] = tensor->tensor->type;
        return true;
    }
    const Attribute *const list = attribute_find(node, "value_ints") ? attribute_find(node, "value_ints") : attribute_find(node, "value_floats");
    const bool real = attribute_find(node, "value_float") || attribute_find(node, "value_floats");
    Node *const dim = index_const(infer->ir, list ? list->count : 1);
    infer->types[0] = type_tensor(infer->ir, real ? DTYPE_F32 : DTYPE_I64, list ? 1 : 0, &dim);
    return true;
}

bool constant_expand(Ir *ir, const Node *node, Node **outputs)
{
    const Attribute *const tensor = attribute_find(node, "value");
    if (tensor) {
        outputs[0] = tensor->tensor;
        return true;
    }
    int count = 1;
    const Attribute *const reals = attribute_find(node, "value_floats");
    if (attribute_find(node, "value_int")) {
        const int64_t value = attribute_int(node, "value_int", 0);
        Constant *const constant = NEW(ir->arena, Constant);
        *constant = (Constant){.data = arena_copy(ir->arena, &value, sizeof value), .bytes = sizeof value};
        outputs[0] = constant_make(ir, node->type, constant);
        return true;
    }
    if (attribute_find(node, "value_ints")) {
        const int64_t *const values = attribute_ints(node, "value_ints", &count);
        outputs[0] = constant_ints(ir, values, count);
        return true;
    }
    count = reals ? reals->count : 1;
    float *const values = NEW_ARRAY(ir->arena, float, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        values[i] = (float)(reals ? reals->reals[i] : attribute_float(node, "value_float", 0));
    Constant *const constant = NEW(ir->arena, Constant);
    *constant = (Constant){.data = values, .bytes = (uint64_t)count * sizeof *values};
    outputs[0] = constant_make(ir, node->type, constant);
    return true;
}
