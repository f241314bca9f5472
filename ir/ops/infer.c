/* Helpers of shape rules, and the rules that several operators share. */
#include "ir/ops/ops.h"
#include "ir/ops/rules.h"
#include "ir/ops/scalar_text.h"

#include <stdio.h>
#include <string.h>

bool infer_error(const Infer *infer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *const text = arena_vformat(infer->ir->arena, format, arguments);
    va_end(arguments);
    return diag_error(infer->ir->diagnostics, EXIT_MALFORMED, infer->ir->where, "%s%s%s",
                      infer->ir->where ? "" : op_name(infer->node->op), infer->ir->where ? "" : ": ", text);
}

static const char *dim_text(Ir *ir, const Node *dim)
{
    int64_t value;
    if (const_is_int(dim, &value))
        return arena_format(ir->arena, "%lld", (long long)value);
    return dim->op == OP_symbol ? diag_quote(ir->arena, dim->payload.name, 60) : "?";
}

const char *type_text(Ir *ir, Type type)
{
    const char *text = arena_format(ir->arena, "%s%s[%s", form_text[type.form], dtype_info[type.dtype].name,
                                    type.rank == RANK_NONE ? "-" : type.rank == RANK_UNKNOWN ? "..." : "");
    for (int i = 0; i < type.rank; i++)
        text = arena_format(ir->arena, "%s%s%s", text, i ? "," : "", type.dims[i] ? dim_text(ir, type.dims[i]) : "?");
    return arena_format(ir->arena, "%s]", text);
}

bool infer_axis(const Infer *infer, int64_t given, int rank, bool after, int *axis)
{
    const int64_t limit = rank + (after ? 1 : 0);
    const int64_t value = given < 0 ? given + limit : given;
    if (value < 0 || value >= limit)
        return infer_error(infer, "axis %lld is outside the rank %d of %s", (long long)given, rank,
                           type_text(infer->ir, infer_type(infer, 0)));
    *axis = (int)value;
    return true;
}

bool infer_same_dim(const Infer *infer, Node *a, Node *b, const char *what)
{
    if (a == b)
        return true;
    Ir *const ir = infer->ir;
    Node *const equal = scalar2(ir, OP_eq, a, b);
    const char *const text = arena_format(ir->arena, "%s: %s and %s must be equal", what, dim_text(ir, a), dim_text(ir, b));
    return run_check(ir, equal, text) || infer_error(infer, "%s: %s is not %s", what, dim_text(ir, a), dim_text(ir, b));
}

bool infer_broadcast_onto(const Infer *infer, Node *dim, Node *onto, const char *what)
{
    Ir *const ir = infer->ir;
    int64_t known;
    Node *const one = scalar2(ir, OP_eq, dim, index_const(ir, 1));
    if (const_is_int(one, &known))
        return known != 0 || infer_same_dim(infer, dim, onto, what);
    const char *const text = arena_format(ir->arena, "%s: %s must be %s or 1", what, dim_text(ir, dim), dim_text(ir, onto));
    return run_check(ir, scalar2(ir, OP_or, one, scalar2(ir, OP_eq, dim, onto)), text);
}

bool infer_broadcasts_onto(const Infer *infer, int i, Type onto)
{
    const Type type = infer_type(infer, i);
    const char *const what = arena_format(infer->ir->arena, "input %d does not broadcast to %s", i, type_text(infer->ir, onto));
    if (type.rank > onto.rank)
        return infer_error(infer, "input %d is %s and does not broadcast to %s", i, type_text(infer->ir, type), type_text(infer->ir, onto));
    for (int axis = 0; axis < type.rank; axis++)
        if (!infer_broadcast_onto(infer, type.dims[axis], onto.dims[onto.rank - type.rank + axis], what))
            return false;
    return true;
}

bool infer_broadcast_dim(const Infer *infer, Node *a, Node *b, Node **result)
{
    if (a == b || index_is(b, 1)) {
        *result = a;
        return true;
    }
    *result = b;
    if (index_is(a, 1))
        return true;
    Ir *const ir = infer->ir;
    int64_t known;
    Node *const one = index_const(ir, 1);
    Node *const a_is_one = scalar2(ir, OP_eq, a, one), *const b_is_one = scalar2(ir, OP_eq, b, one);
    Node *const either = scalar2(ir, OP_or, a_is_one, b_is_one);
    if (const_is_int(either, &known)) /* neither can be 1 */
        return infer_same_dim(infer, a, b, "dims cannot be broadcast");
    *result = scalar3(ir, OP_select, a_is_one, b, a);
    const char *const text =
        arena_format(ir->arena, "dims cannot be broadcast: %s and %s must be equal, or one of them 1", dim_text(ir, a), dim_text(ir, b));
    return run_check(ir, scalar2(ir, OP_or, either, scalar2(ir, OP_eq, a, b)), text) ||
           infer_error(infer, "dims cannot be broadcast: %s is not %s", dim_text(ir, a), dim_text(ir, b));
}

bool infer_broadcast(const Infer *infer, const Type *types, int count, Dtype dtype, Type *result)
{
    Node *dims[RANK_MAX];
    int rank = 0;
    for (int i = 0; i < count; i++)
        rank = types[i].rank > rank ? types[i].rank : rank;
    for (int axis = 0; axis < rank; axis++)
        dims[axis] = index_const(infer->ir, 1);
    for (int i = 0; i < count; i++)
        for (int axis = 0; axis < types[i].rank; axis++) {
            Node **const dim = &dims[rank - types[i].rank + axis];
            if (!infer_broadcast_dim(infer, *dim, types[i].dims[axis], dim))
                return false;
        }
    *result = type_tensor(infer->ir, dtype, rank, dims);
    return true;
}

Node *const *infer_contents(const Infer *infer, int i, int *count)
{
    const Type type = infer_type(infer, i);
    if (type.dtype == DTYPE_I64 || type.dtype == DTYPE_I32)
        return infer_read(infer, i, count);
    infer_error(infer, "input %d of %s must be i64 or i32, not %s", i, op_name(infer->node->op), type_text(infer->ir, type));
    return NULL;
}

Node *const *infer_read(const Infer *infer, int i, int *count)
{
    Node *const given = infer->node->inputs[i];
    if (!given->contents && infer->inputs) {
        Node *const read = read_make(infer->ir, given);
        if (!read)
            return NULL;
        infer->inputs[i] = read;
    }
    return infer_elements(infer, i, count);
}

Node *const *infer_elements(const Infer *infer, int i, int *count)
{
    Node *const node = infer->node->inputs[i];
    int64_t elements;
    if (!node->contents || !const_is_int(type_elements(infer->ir, node->type), &elements))
        return NULL;
    *count = (int)elements;
    return node->contents;
}

bool infer_moderate(const Infer *infer, int i, Node *const *values, int count)
{
    const int64_t most = INT64_C(1) << 40;
    int64_t value;
    for (int j = 0; j < count; j++)
        if (const_is_int(values[j], &value) && (value < -most || value > most))
            return infer_error(infer, "element %d of input %d of %s is %lld, outside -2^40..2^40", j, i, op_name(infer->node->op),
                               (long long)value);
    return true;
}

/* ---- shared rules ---- */

bool same_shape(Infer *infer)
{
    for (int i = 0; i < infer->output_count; i++)
        infer->types[i] = infer_type(infer, 0);
    return true;
}

static bool same_dtypes(const Infer *infer, int first)
{
    const Dtype dtype = infer_type(infer, first).dtype;
    for (int i = first + 1; i < (int)infer->node->input_count; i++)
        if (infer_has(infer, i) && infer_type(infer, i).dtype != dtype)
            return infer_error(infer, "inputs %d and %d are %s and %s, they must agree", first, i,
                               type_text(infer->ir, infer_type(infer, first)),
                               type_text(infer->ir, infer_type(infer, i)));
    return true;
}

static bool broadcast_all(Infer *infer, Dtype dtype)
{
    const int count = (int)infer->node->input_count;
    Type *const types = NEW_ARRAY(infer->ir->arena, Type, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        types[i] = infer_type(infer, i);
    return infer_broadcast(infer, types, count, dtype, &infer->types[0]);
}

bool broadcast_shape(Infer *infer)
{
    return same_dtypes(infer, 0) && broadcast_all(infer, infer_type(infer, 0).dtype);
}

bool compare_shape(Infer *infer)
{
    return same_dtypes(infer, 0) && broadcast_all(infer, DTYPE_BOOL);
}

bool test_shape(Infer *infer)
{
    infer->types[0] = infer_type(infer, 0);
    infer->types[0].dtype = DTYPE_BOOL;
    return true;
}

bool where_shape(Infer *infer)
{
    if (!same_dtypes(infer, 1))
        return false;
    return broadcast_all(infer, infer_type(infer, 1).dtype);
}

bool pow_shape(Infer *infer)
{
    return broadcast_all(infer, infer_type(infer, 0).dtype);
}

/* PRelu: the slope broadcasts to x, never the other way. */
bool slope_shape(Infer *infer)
{
    infer->types[0] = infer_type(infer, 0);
    return same_dtypes(infer, 0) && infer_broadcasts_onto(infer, 1, infer_type(infer, 0));
}

bool clip_shape(Infer *infer)
{
    for (int i = 1; i < 3; i++)
        if (infer_has(infer, i) && (infer_type(infer, i).rank > 1 || !index_is(type_elements(infer->ir, infer_type(infer, i)), 1)))
            return infer_error(infer, "input %d of Clip must be a scalar, not %s", i,
                               type_text(infer->ir, infer_type(infer, i)));
    infer->types[0] = infer_type(infer, 0);
    return same_dtypes(infer, 0);
}

bool cast_shape(Infer *infer)
{
    const Dtype dtype = dtype_from_onnx((int)attribute_int(infer->node, "to", 0));
    if (dtype == DTYPE_NONE || dtype == DTYPE_STRING)
        return diag_error(infer->ir->diagnostics, EXIT_UNSUPPORTED, infer->ir->where, "Cast to element type %lld is not supported",
                          (long long)attribute_int(infer->node, "to", 0));
    infer->types[0] = infer_type(infer, 0);
    infer->types[0].dtype = dtype;
    return true;
}
