/* Shape rules of the steps of a script: sequences, optionals, strings. A dim that only a run knows is a fresh symbol,
 * which the step sets. */
#include "ir/ops/host.h"
#include "ir/ops/rules.h"

/* ---- types ---- */

ValueForm form_inside(ValueForm form)
{
    return form == FORM_OPTIONAL ? FORM_TENSOR : form == FORM_OPTIONAL_SEQUENCE ? FORM_SEQUENCE : form;
}

bool form_is_optional(ValueForm form)
{
    return form_inside(form) != form;
}

static Node *dim_fresh(Ir *ir, const char *hint, int i)
{
    return symbol_fresh(ir, arena_format(ir->arena, "%.40s.dim%d", hint, i));
}

Type type_reform(Ir *ir, Type type, ValueForm form, const char *hint)
{
    Node *dims[RANK_MAX];
    if (form == FORM_TENSOR && type.rank == RANK_NONE)
        type.rank = RANK_UNKNOWN;
    const int rank = type.rank;
    for (int i = 0; i < rank; i++)
        dims[i] = type.dims[i] || form != FORM_TENSOR ? type.dims[i] : dim_fresh(ir, hint, i);
    type = type_tensor(ir, type.dtype, rank < 0 ? 0 : rank, dims);
    type.rank = rank;
    type.form = form;
    return type;
}

bool dim_is_outside(Ir *ir, Node *dim, uint32_t first)
{
    int count;
    Node **const nodes = nodes_topological(ir, &dim, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_symbol && nodes[i]->id >= first)
            return false;
    return true;
}

Type type_outside(Ir *ir, Type type, uint32_t first, const char *hint)
{
    Node *dims[RANK_MAX];
    for (int i = 0; i < type.rank; i++)
        dims[i] = type.dims[i] && dim_is_outside(ir, type.dims[i], first) ? type.dims[i] : NULL;
    type.dims = dims;
    return type_reform(ir, type, type.form, hint);
}

bool type_join(Ir *ir, Type a, Type b, const char *hint, Type *joined)
{
    if (a.dtype != b.dtype || form_inside(a.form) != form_inside(b.form))
        return false;
    const ValueForm form = form_is_optional(a.form) ? a.form : b.form;
    const bool tensor = form == FORM_TENSOR;
    if (a.rank == RANK_NONE || b.rank == RANK_NONE) { /* nothing was seen of one of them */
        *joined = type_reform(ir, a.rank == RANK_NONE ? b : a, form, hint);
        return true;
    }
    Node *dims[RANK_MAX] = {0};
    const bool known = a.rank == b.rank && a.rank >= 0;
    for (int i = 0; known && i < a.rank; i++)
        dims[i] = a.dims[i] == b.dims[i] ? a.dims[i] : tensor ? dim_fresh(ir, hint, i) : NULL;
    *joined = type_tensor(ir, a.dtype, known ? a.rank : 0, dims);
    joined->rank = known ? a.rank : RANK_UNKNOWN;
    joined->form = form;
    return true;
}

/* What fresh dims of a node's results are called after. */
static const char *hint_of(const Infer *infer)
{
    const Where *const where = infer->ir->where;
    return where && where->node && *where->node ? where->node : op_name(infer->node->op);
}

bool stated_shape(Infer *infer)
{
    return infer_error(infer, "the types of the results of %s are to be stated", op_name(infer->node->op));
}

static bool want_form(const Infer *infer, int i, ValueForm form)
{
    static const char *const names[] = {"a tensor", "a sequence", "an optional", "an optional sequence"};
    return infer_type(infer, i).form == form ||
           infer_error(infer, "input %d of %s must be %s, not %s", i, op_name(infer->node->op), names[form],
                       type_text(infer->ir, infer_type(infer, i)));
}

/* A dim that must be 1: proven, or checked by the run. */
static bool is_one(const Infer *infer, Node *dim, const char *what)
{
    Node *const one = index_const(infer->ir, 1);
    return run_check(infer->ir, scalar2(infer->ir, OP_eq, dim, one),
                     arena_format(infer->ir->arena, "%s must be 1", what));
}

static bool want_position(const Infer *infer, int i)
{
    const Type type = infer_type(infer, i);
    const bool integer = type.dtype == DTYPE_I64 || type.dtype == DTYPE_I32;
    const bool one = type.form == FORM_TENSOR &&
                     (type.rank == 0 || (type.rank == 1 && is_one(infer, type.dims[0], "the number of positions")));
    return (integer && one) ||
           infer_error(infer, "the position must be one i32 or i64, not %s", type_text(infer->ir, type));
}

/* ---- sequences ---- */

static bool join_into(const Infer *infer, Type *sequence, Type tensor)
{
    Type element = tensor;
    element.form = FORM_SEQUENCE;
    return type_join(infer->ir, *sequence, element, hint_of(infer), sequence) ||
           infer_error(infer, "%s cannot be put into %s", type_text(infer->ir, tensor),
                       type_text(infer->ir, *sequence));
}

bool sequence_empty_shape(Infer *infer)
{
    const int64_t number = attribute_int(infer->node, "dtype", 1);
    const Dtype dtype = number > 0 && number < 1000 ? dtype_from_onnx((int)number) : DTYPE_NONE;
    infer->types[0] = (Type){.dtype = dtype, .lanes = 1, .rank = RANK_NONE, .form = FORM_SEQUENCE};
    return dtype != DTYPE_NONE || infer_error(infer, "there is no element type %lld", (long long)number);
}

bool sequence_construct_shape(Infer *infer)
{
    Type *const type = &infer->types[0];
    *type = (Type){.dtype = infer_type(infer, 0).dtype, .lanes = 1, .rank = RANK_NONE, .form = FORM_SEQUENCE};
    for (int i = 0; i < (int)infer->node->input_count; i++)
        if (!want_form(infer, i, FORM_TENSOR) || !join_into(infer, type, infer_type(infer, i)))
            return false;
    return true;
}

bool sequence_insert_shape(Infer *infer)
{
    infer->types[0] = infer_type(infer, 0);
    return want_form(infer, 0, FORM_SEQUENCE) && want_form(infer, 1, FORM_TENSOR) &&
           (!infer_has(infer, 2) || want_position(infer, 2)) &&
           join_into(infer, &infer->types[0], infer_type(infer, 1));
}

bool sequence_erase_shape(Infer *infer)
{
    infer->types[0] = infer_type(infer, 0);
    return want_form(infer, 0, FORM_SEQUENCE) && (!infer_has(infer, 1) || want_position(infer, 1));
}

bool sequence_at_shape(Infer *infer)
{
    infer->types[0] = type_reform(infer->ir, infer_type(infer, 0), FORM_TENSOR, hint_of(infer));
    return want_form(infer, 0, FORM_SEQUENCE) && want_position(infer, 1);
}

bool sequence_length_shape(Infer *infer)
{
    infer->types[0] = type_tensor(infer->ir, DTYPE_I64, 0, NULL);
    return want_form(infer, 0, FORM_SEQUENCE);
}

/* The size of every part along the axis where they are all alike, NULL where not. */
static Node *part_size(const Infer *infer, Node *dim)
{
    int64_t whole, size;
    int count;
    if (!infer_has(infer, 1))
        return index_const(infer->ir, 1);
    Node *const *const sizes = infer_elements(infer, 1, &count);
    const bool scalar = sizes && infer_type(infer, 1).rank == 0;
    if (scalar && const_is_int(dim, &whole) && const_is_int(sizes[0], &size) && size > 0 && whole % size == 0)
        return sizes[0];
    return NULL;
}

bool split_sequence_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    int axis, rank = 0;
    Node *dims[RANK_MAX];
    if (!want_form(infer, 0, FORM_TENSOR) ||
        !infer_axis(infer, attribute_int(infer->node, "axis", 0), x.rank, false, &axis))
        return false;
    if (infer_has(infer, 1)) {
        const Type split = infer_type(infer, 1);
        if ((split.dtype != DTYPE_I64 && split.dtype != DTYPE_I32) || split.rank > 1 || split.form != FORM_TENSOR)
            return infer_error(infer, "the sizes of the parts must be integers, not %s", type_text(infer->ir, split));
    }
    const bool keep = infer_has(infer, 1) || attribute_int(infer->node, "keepdims", 1);
    for (int i = 0; i < x.rank; i++)
        if (i != axis || keep)
            dims[rank++] = i == axis ? part_size(infer, x.dims[i]) : x.dims[i];
    infer->types[0] = type_tensor(infer->ir, x.dtype, rank, dims);
    infer->types[0].form = FORM_SEQUENCE;
    return true;
}

bool concat_sequence_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type tensor = type_reform(ir, infer_type(infer, 0), FORM_TENSOR, hint_of(infer));
    const bool stack = attribute_int(infer->node, "new_axis", 0);
    if (!want_form(infer, 0, FORM_SEQUENCE))
        return false;
    if (!attribute_find(infer->node, "axis"))
        return infer_error(infer, "ConcatFromSequence needs an axis");
    if (tensor.rank < 0) {
        infer->types[0] = tensor;
        return true;
    }
    const int rank = tensor.rank + (stack ? 1 : 0);
    int axis;
    Node *dims[RANK_MAX];
    if (rank > RANK_MAX)
        return infer_error(infer, "rank %d is beyond the limit of %d", rank, RANK_MAX);
    if (!infer_axis(infer, attribute_int(infer->node, "axis", 0), tensor.rank, stack, &axis))
        return false;
    for (int i = 0; i < rank; i++)
        dims[i] = i == axis ? dim_fresh(ir, hint_of(infer), i) : tensor.dims[i - (stack && i > axis ? 1 : 0)];
    infer->types[0] = type_tensor(ir, tensor.dtype, rank, dims);
    return true;
}

/* ---- optionals ---- */

bool optional_shape(Infer *infer)
{
    if (!infer_has(infer, 0))
        return stated_shape(infer);
    const Type x = infer_type(infer, 0);
    if (form_is_optional(x.form))
        return infer_error(infer, "an optional holds a tensor or a sequence, not %s", type_text(infer->ir, x));
    infer->types[0] = x;
    infer->types[0].form = x.form == FORM_SEQUENCE ? FORM_OPTIONAL_SEQUENCE : FORM_OPTIONAL;
    return true;
}

bool optional_get_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    infer->types[0] = type_reform(infer->ir, x, form_inside(x.form), hint_of(infer));
    return true;
}

bool optional_has_shape(Infer *infer)
{
    infer->types[0] = type_tensor(infer->ir, DTYPE_BOOL, 0, NULL);
    return true;
}

/* ---- strings ---- */

static bool want_strings(const Infer *infer)
{
    for (int i = 0; i < (int)infer->node->input_count; i++) {
        const Type type = infer_type(infer, i);
        if (type.dtype != DTYPE_STRING || !type_is_tensor(type))
            return infer_error(infer, "%s takes strings, not %s", op_name(infer->node->op), type_text(infer->ir, type));
    }
    return true;
}

static bool strings_broadcast(Infer *infer, Dtype dtype)
{
    if (!want_strings(infer))
        return false;
    const Type types[2] = {infer_type(infer, 0), infer_type(infer, 1)};
    return infer_broadcast(infer, types, 2, dtype, &infer->types[0]);
}

bool string_concat_shape(Infer *infer)
{
    return strings_broadcast(infer, DTYPE_STRING);
}

bool string_equal_shape(Infer *infer)
{
    return strings_broadcast(infer, DTYPE_BOOL);
}

bool string_match_shape(Infer *infer)
{
    if (!attribute_find(infer->node, "pattern"))
        return infer_error(infer, "RegexFullMatch needs a pattern");
    infer->types[0] = infer_type(infer, 0);
    infer->types[0].dtype = DTYPE_BOOL;
    return want_strings(infer);
}

bool string_normalizer_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    if (!want_strings(infer))
        return false;
    if (x.rank != 1 && !(x.rank == 2 && is_one(infer, x.dims[0], "the number of rows of StringNormalizer")))
        return infer_error(infer, "StringNormalizer takes string[C] or string[1,C], not %s", type_text(infer->ir, x));
    Node *dims[2];
    dims[0] = x.dims[0];
    dims[x.rank - 1] = dim_fresh(infer->ir, hint_of(infer), x.rank - 1);
    infer->types[0] = type_tensor(infer->ir, DTYPE_STRING, x.rank, dims);
    return true;
}

bool string_split_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    Node *dims[RANK_MAX];
    if (!want_strings(infer))
        return false;
    if (x.rank == RANK_MAX)
        return infer_error(infer, "rank %d is beyond the limit of %d", x.rank + 1, RANK_MAX);
    for (int i = 0; i < x.rank; i++)
        dims[i] = x.dims[i];
    dims[x.rank] = dim_fresh(infer->ir, hint_of(infer), x.rank);
    infer->types[0] = type_tensor(infer->ir, DTYPE_STRING, x.rank + 1, dims);
    if (infer->output_count > 1)
        infer->types[1] = type_tensor(infer->ir, DTYPE_I64, x.rank, dims);
    return true;
}
