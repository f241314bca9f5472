/* Operators that move elements and compute nothing: reshapes, transposes, slices, concatenation, padding. */
#include "ir/ops/axes.h"
#include "ir/ops/lower.h"
#include "ir/ops/rules.h"

#include <string.h>

/* ---- reshapes ---- */

/* The dim that `v` asks for: -1 the rest, 0 the input's (unless allowzero), else v itself. v may be known only at run time. */
static Node *asked_dim(Ir *ir, Node *v, Node *same, Node *rest, bool allow_zero)
{
    Node *dim = v;
    if (!allow_zero && index_range(ir, v).low <= 0)
        dim = scalar3(ir, OP_select, scalar2(ir, OP_eq, v, index_const(ir, 0)), same, dim);
    if (index_range(ir, v).low < 0)
        dim = scalar3(ir, OP_select, scalar2(ir, OP_eq, v, index_const(ir, -1)), rest, dim);
    return dim;
}

bool reshape_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type in = infer_type(infer, 0);
    const bool allow_zero = attribute_int(infer->node, "allowzero", 0) != 0;
    int count;
    Node *const *const asked = infer_contents(infer, 1, &count);
    if (!asked || infer_type(infer, 1).rank != 1)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where, "the shape of Reshape cannot be derived from dims and inputs");
    if (count > RANK_MAX)
        return infer_error(infer, "rank %d is beyond the limit of %d", count, RANK_MAX);
    Node *dims[RANK_MAX], *known = index_const(ir, 1);
    int wild = -1;
    for (int i = 0; i < count; i++) {
        int64_t value;
        Node *const same = i < in.rank ? in.dims[i] : index_const(ir, 0);
        if (const_is_int(asked[i], &value) && value == -1) {
            if (wild >= 0)
                return infer_error(infer, "more than one dim of the shape is -1");
            wild = i;
            continue;
        }
        if (const_is_int(asked[i], &value) && (value < -1 || (value == 0 && !allow_zero && i >= in.rank)))
            return infer_error(infer, "dim %d of the shape is %lld", i, (long long)value);
        dims[i] = asked_dim(ir, asked[i], same, index_const(ir, 1), allow_zero);
        known = index_mul(ir, known, dims[i]);
    }
    Node *const total = type_elements(ir, in);
    Node *const rest = index_floordiv(ir, total, known);
    if (wild >= 0)
        dims[wild] = rest;
    for (int i = 0; i < count; i++) /* run-time values may hold a -1 of their own: its dim is what the others leave */
        if (i != wild && index_range(ir, asked[i]).low < 0)
            dims[i] = asked_dim(ir, asked[i], i < in.rank ? in.dims[i] : index_const(ir, 0), rest, allow_zero);
    infer->types[0] = type_tensor(ir, in.dtype, count, dims);
    return infer_same_dim(infer, type_elements(ir, infer->types[0]), total, "Reshape keeps the number of elements");
}

bool flatten_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type in = infer_type(infer, 0);
    int axis;
    if (!infer_axis(infer, attribute_int(infer->node, "axis", 1), in.rank, true, &axis))
        return false;
    if (attribute_int(infer->node, "axis", 1) < 0)
        axis = (int)attribute_int(infer->node, "axis", 1) + in.rank;
    if (axis < 0)
        return infer_error(infer, "axis %d is outside the rank %d", axis, in.rank);
    Node *dims[2] = {index_const(ir, 1), index_const(ir, 1)};
    for (int i = 0; i < in.rank; i++)
        dims[i >= axis] = index_mul(ir, dims[i >= axis], in.dims[i]);
    infer->types[0] = type_tensor(ir, in.dtype, 2, dims);
    return true;
}

bool squeeze_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type in = infer_type(infer, 0);
    AxisList list = {0};
    if (infer_has(infer, 1) && !infer_axis_list(infer, 1, in.rank, &list))
        return false;
    for (int i = 0; i < in.rank && !infer_has(infer, 1); i++) {
        list.listed[i] = const_bool(ir, index_is(in.dims[i], 1));
        list.count += axis_listed(&list, i);
    }
    for (int i = 0; i < in.rank; i++) {
        Node *const fits = scalar2(ir, OP_or, scalar1(ir, OP_not, list.listed[i]), scalar2(ir, OP_eq, in.dims[i], index_const(ir, 1)));
        if (!run_check(ir, fits, "Squeeze: a squeezed dim is not 1"))
            return infer_error(infer, "dim %d of %s is squeezed but not 1", i, type_text(ir, in));
    }
    Node *dims[RANK_MAX];
    const int rank = axis_list_rest(ir, &list, in.rank, in.dims, dims);
    infer->types[0] = type_tensor(ir, in.dtype, rank, dims);
    return true;
}

bool unsqueeze_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type in = infer_type(infer, 0);
    AxisList list = {0};
    int64_t count;
    if (!const_is_int(type_elements(ir, infer_type(infer, 1)), &count))
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where, "the number of axes of Unsqueeze is not known");
    if (count > RANK_MAX - in.rank)
        return infer_error(infer, "rank %lld is beyond the limit of %d", (long long)(in.rank + count), RANK_MAX);
    const int rank = in.rank + (int)count;
    if (!infer_axis_list(infer, 1, rank, &list))
        return false;
    Node *dims[RANK_MAX];
    axis_list_spread(ir, &list, rank, in.dims, index_const(ir, 1), dims);
    infer->types[0] = type_tensor(ir, in.dtype, rank, dims);
    return true;
}

/* Indices of the input's dims [first, last) from the linear position within their box. */
static void split_linear(Ir *ir, Type in, int first, int last, Node *linear, Node **indices)
{
    Node *pitch = index_const(ir, 1);
    for (int i = last - 1; i >= first; i--) {
        Node *const above = index_floordiv(ir, linear, pitch);
        indices[i] = i == first ? above : index_mod(ir, above, in.dims[i]);
        pitch = index_mul(ir, pitch, in.dims[i]);
    }
}

/* The same elements in row-major order: dims are matched in groups of equal products, so that only a group that merges needs divisions. */
bool reshape_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0), *const in = lower_in(lower, 0);
    const Type to = out->type, from = in->type;
    Node *axes[RANK_MAX], *indices[RANK_MAX];
    lower_axes(lower, to, axes);
    int i = 0, o = 0;
    while (i < from.rank || o < to.rank) {
        const int first_in = i, first_out = o;
        Node *size_in = index_const(ir, 1), *size_out = index_const(ir, 1);
        if (i < from.rank)
            size_in = from.dims[i++];
        if (o < to.rank)
            size_out = to.dims[o++];
        while (size_in != size_out && (i < from.rank || o < to.rank)) {
            const bool grow_in =
                o == to.rank || (i < from.rank && index_range(ir, index_sub(ir, size_in, size_out)).high < 0) ||
                (i < from.rank && index_is(size_in, 1));
            if (grow_in && i < from.rank)
                size_in = index_mul(ir, size_in, from.dims[i++]);
            else
                size_out = index_mul(ir, size_out, to.dims[o++]);
        }
        Node *linear = index_const(ir, 0);
        for (int j = first_out; j < o; j++)
            linear = index_add(ir, index_mul(ir, linear, to.dims[j]), axes[j]);
        split_linear(ir, from, first_in, i, linear, indices);
    }
    lower_define(lower, out, axes, to.rank, lower_at(lower, in, indices));
    return true;
}

bool copy_lower(Lower *lower)
{
    Node *axes[RANK_MAX];
    lower_axes(lower, lower_out(lower, 0)->type, axes);
    lower_define(lower, lower_out(lower, 0), axes, lower_out(lower, 0)->type.rank,
                 lower_at(lower, lower_in(lower, 0), axes));
    return true;
}

/* ---- transpose, expand ---- */

static bool permutation(const Node *node, int rank, int *perm)
{
    int count;
    const int64_t *const given = attribute_ints(node, "perm", &count);
    bool seen[RANK_MAX] = {false};
    for (int i = 0; i < rank; i++) {
        const int64_t axis = given ? (i < count ? given[i] : -1) : rank - 1 - i;
        if (axis < 0 || axis >= rank || seen[axis])
            return false;
        seen[axis] = true;
        perm[i] = (int)axis;
    }
    return !given || count == rank;
}

bool transpose_shape(Infer *infer)
{
    const Type in = infer_type(infer, 0);
    int perm[RANK_MAX];
    if (!permutation(infer->node, in.rank, perm))
        return infer_error(infer, "perm is not a permutation of the %d axes", in.rank);
    Node *dims[RANK_MAX];
    for (int i = 0; i < in.rank; i++)
        dims[i] = in.dims[perm[i]];
    infer->types[0] = type_tensor(infer->ir, in.dtype, in.rank, dims);
    return true;
}

bool transpose_lower(Lower *lower)
{
    Node *const out = lower_out(lower, 0);
    Node *axes[RANK_MAX], *indices[RANK_MAX];
    int perm[RANK_MAX];
    permutation(lower->node, out->type.rank, perm);
    lower_axes(lower, out->type, axes);
    for (int i = 0; i < out->type.rank; i++)
        indices[perm[i]] = axes[i];
    lower_define(lower, out, axes, out->type.rank, lower_at(lower, lower_in(lower, 0), indices));
    return true;
}

/* The dim that `asked` makes of axis `axis` of the input (negative: the input has no such axis). What only a run knows may be 1, which
 * keeps the dim of the input. */
static bool expanded_dim(const Infer *infer, int axis, Node *asked, Node **dim)
{
    Ir *const ir = infer->ir;
    int64_t value;
    const char *const text = "Expand: a dim of the shape is negative";
    if (const_is_int(asked, &value) && value < 0)
        return infer_error(infer, "a dim of the shape is %lld", (long long)value);
    if (!run_check(ir, scalar2(ir, OP_ge, asked, index_const(ir, 0)), text))
        return infer_error(infer, "%s", text);
    *dim = asked;
    Node *const own = axis < 0 ? NULL : infer_type(infer, 0).dims[axis];
    const bool open = own && own->op != OP_const; /* may be 1 too: the rule of broadcasting asks both */
    if (!own || open || const_is_int(asked, &value) || index_is(own, 1))
        return true;
    Node *const fits = scalar2(ir, OP_or, scalar2(ir, OP_eq, asked, own), scalar2(ir, OP_eq, asked, index_const(ir, 1)));
    *dim = own;
    return run_check(ir, fits, "Expand: a dim of the shape is neither 1 nor that of the input") || infer_error(infer, "the shape does not broadcast");
}

bool expand_shape(Infer *infer)
{
    int count;
    Node *const *const asked = infer_contents(infer, 1, &count);
    if (!asked || infer_type(infer, 1).rank != 1)
        return diag_error(infer->ir->diagnostics, EXIT_UNSUPPORTED, infer->ir->where, "the shape of Expand cannot be derived from dims and inputs");
    if (count > RANK_MAX)
        return infer_error(infer, "rank %d is beyond the limit of %d", count, RANK_MAX);
    Node *wanted[RANK_MAX];
    for (int i = 0; i < count; i++)
        if (!expanded_dim(infer, i - count + infer_type(infer, 0).rank, asked[i], &wanted[i]))
            return false;
    const Type types[2] = {infer_type(infer, 0), type_tensor(infer->ir, DTYPE_I64, count, wanted)};
    return infer_broadcast(infer, types, 2, types[0].dtype, &infer->types[0]);
}

bool expand_lower(Lower *lower)
{
    Node *const out = lower_out(lower, 0);
    Node *axes[RANK_MAX];
    lower_axes(lower, out->type, axes);
    lower_define(lower, out, axes, out->type.rank,
                 lower_at_broadcast(lower, lower_in(lower, 0), axes, out->type.rank));
    return true;
}

/* ---- concatenation and splitting: pieces of one buffer ---- */

bool concat_shape(Infer *infer)
{
    const Type first = infer_type(infer, 0);
    int axis;
    if (!attribute_find(infer->node, "axis"))
        return infer_error(infer, "Concat needs the attribute 'axis'");
    if (first.rank == 0)
        return infer_error(infer, "scalars cannot be concatenated");
    if (!infer_axis(infer, attribute_int(infer->node, "axis", 0), first.rank, false, &axis))
        return false;
    Node *dims[RANK_MAX];
    memcpy(dims, first.dims, (size_t)first.rank * sizeof *dims);
    for (int i = 1; i < (int)infer->node->input_count; i++) {
        const Type type = infer_type(infer, i);
        if (type.rank != first.rank || type.dtype != first.dtype)
            return infer_error(infer, "input %d is %s, input 0 is %s", i, type_text(infer->ir, type),
                               type_text(infer->ir, first));
        for (int d = 0; d < first.rank; d++)
            if (d != axis && !infer_same_dim(infer, first.dims[d], type.dims[d], "Concat"))
                return false;
        dims[axis] = index_add(infer->ir, dims[axis], type.dims[axis]);
    }
    infer->types[0] = type_tensor(infer->ir, first.dtype, first.rank, dims);
    return true;
}

static int axis_of(const Node *node, int rank, int64_t otherwise)
{
    const int64_t axis = attribute_int(node, "axis", otherwise);
    return (int)(axis < 0 ? axis + rank : axis);
}

bool concat_lower(Lower *lower)
{
    Node *const out = lower_out(lower, 0);
    const int axis = axis_of(lower->node, out->type.rank, 0);
    Node *offset = index_const(lower->ir, 0);
    for (int i = 0; i < lower_input_count(lower); i++) {
        Node *const in = lower_in(lower, i);
        Node *axes[RANK_MAX], *indices[RANK_MAX];
        lower_axes(lower, in->type, axes);
        memcpy(indices, axes, sizeof axes);
        indices[axis] = index_add(lower->ir, axes[axis], offset);
        lower_define_box(lower, out, axes, in->type.rank, indices, lower_at(lower, in, axes));
        offset = index_add(lower->ir, offset, in->type.dims[axis]);
    }
    return true;
}

bool split_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type in = infer_type(infer, 0);
    int axis, count = 0;
    if (!infer_axis(infer, attribute_int(infer->node, "axis", 0), in.rank, false, &axis))
        return false;
    Node *const *const sizes = infer_has(infer, 1) ? infer_contents(infer, 1, &count) : NULL;
    if (infer_has(infer, 1) && !sizes)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where, "the sizes of Split cannot be derived from dims and inputs");
    if (sizes && count != infer->output_count)
        return infer_error(infer, "%d sizes are given for %d outputs", count, infer->output_count);
    const int64_t parts = attribute_int(infer->node, "num_outputs", infer->output_count);
    if (parts != infer->output_count)
        return infer_error(infer, "num_outputs is %lld, there are %d outputs", (long long)parts, infer->output_count);
    Node *const chunk = index_ceildiv(ir, in.dims[axis], index_const(ir, parts));
    Node *total = index_const(ir, 0), *dims[RANK_MAX];
    for (int i = 0; i < infer->output_count; i++) {
        memcpy(dims, in.dims, (size_t)in.rank * sizeof *dims);
        dims[axis] = sizes                          ? sizes[i]
                     : i < infer->output_count - 1 ? chunk
                                                   : index_sub(ir, in.dims[axis], total);
        if (index_range(ir, dims[axis]).high < 0)
            return infer_error(infer, "part %d of the split has a negative size", i);
        total = index_add(ir, total, dims[axis]);
        infer->types[i] = type_tensor(ir, in.dtype, in.rank, dims);
    }
    return infer_same_dim(infer, total, in.dims[axis], "the sizes of Split add up to the dim");
}

bool split_lower(Lower *lower)
{
    Node *const in = lower_in(lower, 0);
    const int axis = axis_of(lower->node, in->type.rank, 0);
    Node *offset = index_const(lower->ir, 0);
    const int count = lower->node->result_count > 1 ? lower->node->result_count : 1;
    for (int i = 0; i < count; i++) {
        Node *const out = lower_out(lower, i);
        Node *axes[RANK_MAX], *indices[RANK_MAX];
        lower_axes(lower, out->type, axes);
        memcpy(indices, axes, sizeof axes);
        indices[axis] = index_add(lower->ir, axes[axis], offset);
        lower_define(lower, out, axes, out->type.rank, lower_at(lower, in, indices));
        offset = index_add(lower->ir, offset, out->type.dims[axis]);
    }
    return true;
}

/* ---- slices ---- */

typedef struct SlicePlan {
    Node *start[RANK_MAX];
    Node *length[RANK_MAX];
    Node *step[RANK_MAX];
} SlicePlan;

static Node *wrapped(Ir *ir, Node *value, Node *dim)
{
    if (index_range(ir, value).low >= 0)
        return value;
    Node *const negative = scalar2(ir, OP_lt, value, index_const(ir, 0));
    return scalar3(ir, OP_select, negative, index_add(ir, value, dim), value);
}

static Node *clamped(Ir *ir, Node *value, Node *low, Node *high)
{
    return index_max(ir, index_min(ir, value, high), low);
}

/* Start and length of a slice that goes up (or down) in steps of `step`, which has that sign. */
static void slice_direction(Ir *ir, Node *dim, Node *start, Node *end, Node *step, bool up, Node **first, Node **length)
{
    Node *const zero = index_const(ir, 0), *const last = index_sub(ir, dim, index_const(ir, 1));
    Node *const from = wrapped(ir, start, dim);
    if (up)
        *first = clamped(ir, from, zero, dim);
    else /* -1 where the axis is empty: then nothing is left */
        *first = index_min(ir, from, last) == last ? last : index_min(ir, index_max(ir, from, zero), last);
    Node *const stop = clamped(ir, wrapped(ir, end, dim), up ? zero : index_const(ir, -1), up ? dim : last);
    Node *const span = up ? index_sub(ir, stop, *first) : index_sub(ir, *first, stop);
    *length = index_max(ir, index_ceildiv(ir, span, up ? step : index_sub(ir, zero, step)), zero);
}

static void slice_axis(Ir *ir, SlicePlan *plan, int axis, Node *dim, Node *start, Node *end, Node *step)
{
    const Range range = index_range(ir, step);
    Node *first[2], *length[2];
    plan->step[axis] = step;
    if (range.low > 0 || range.high < 0) {
        slice_direction(ir, dim, start, end, step, range.low > 0, &plan->start[axis], &plan->length[axis]);
        return;
    }
    for (int up = 0; up < 2; up++)
        slice_direction(ir, dim, start, end, step, up, &first[up], &length[up]);
    Node *const ascends = scalar2(ir, OP_gt, step, index_const(ir, 0));
    plan->start[axis] = scalar3(ir, OP_select, ascends, first[1], first[0]);
    plan->length[axis] = scalar3(ir, OP_select, ascends, length[1], length[0]);
}

static bool step_check(const Infer *infer, int axis, Node *step)
{
    int64_t value;
    if (const_is_int(step, &value) && (value == 0 || value == INT64_MIN))
        return infer_error(infer, "the step of axis %d is %lld", axis, (long long)value);
    return run_check(infer->ir, scalar2(infer->ir, OP_ne, step, index_const(infer->ir, 0)), "Slice: a step is 0") ||
           infer_error(infer, "the step of axis %d is 0", axis);
}

static bool slice_plan(const Infer *infer, SlicePlan *plan)
{
    Ir *const ir = infer->ir;
    const Type in = infer_type(infer, 0);
    AxisList list = {0};
    int starts, ends, steps;
    Node *const *const start = infer_contents(infer, 1, &starts), *const *const end = infer_contents(infer, 2, &ends);
    if (!start || !end)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where, "the bounds of Slice cannot be derived from dims and inputs");
    Node *const *const step = infer_has(infer, 4) ? infer_contents(infer, 4, &steps) : NULL;
    if (infer_has(infer, 4) && !step)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where, "the steps of Slice cannot be derived from dims and inputs");
    if (infer_has(infer, 3) && !infer_axis_list(infer, 3, in.rank, &list))
        return false;
    if (starts != ends || starts > in.rank || (infer_has(infer, 3) && list.count != starts) || (step && steps != starts))
        return infer_error(infer, "%d starts, %d ends, %d axes, %d steps do not agree", starts, ends, infer_has(infer, 3) ? list.count : 0, step ? steps : 0);
    if (!infer_has(infer, 3))
        axis_list_first(ir, in.rank, starts, &list);
    for (int i = 0; i < in.rank; i++) {
        int64_t listed;
        Node *const zero = index_const(ir, 0), *const one = index_const(ir, 1);
        plan->start[i] = zero;
        plan->length[i] = in.dims[i];
        plan->step[i] = one;
        if (const_is_int(list.listed[i], &listed) && !listed)
            continue;
        Node *const stride = step ? axis_list_choose(ir, &list, i, step, one) : one;
        if (!step_check(infer, i, stride))
            return false;
        slice_axis(ir, plan, i, in.dims[i], axis_list_choose(ir, &list, i, start, zero), axis_list_choose(ir, &list, i, end, in.dims[i]), stride);
    }
    return true;
}

bool slice_shape(Infer *infer)
{
    SlicePlan plan;
    if (!slice_plan(infer, &plan))
        return false;
    infer->types[0] = type_tensor(infer->ir, infer_type(infer, 0).dtype, infer_type(infer, 0).rank, plan.length);
    return true;
}

bool slice_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    SlicePlan plan;
    const Infer infer = {.ir = ir, .node = lower->node};
    if (!slice_plan(&infer, &plan))
        return false;
    Node *const out = lower_out(lower, 0);
    Node *axes[RANK_MAX], *indices[RANK_MAX];
    lower_axes(lower, out->type, axes);
    for (int i = 0; i < out->type.rank; i++)
        indices[i] = index_add(ir, plan.start[i], index_mul(ir, axes[i], plan.step[i]));
    lower_define(lower, out, axes, out->type.rank, lower_at(lower, lower_in(lower, 0), indices));
    return true;
}

/* ---- padding ---- */

static bool pad_amounts(const Infer *infer, Node **before, Node **after)
{
    Ir *const ir = infer->ir;
    const Type in = infer_type(infer, 0);
    for (int i = 0; i < in.rank; i++)
        before[i] = after[i] = index_const(ir, 0);
    int count;
    AxisList list = {0};
    Node *const *const pads = infer_contents(infer, 1, &count);
    if (!pads)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where, "the pads of Pad cannot be derived from dims and inputs");
    if (infer_has(infer, 3) && !infer_axis_list(infer, 3, in.rank, &list))
        return false;
    if (!infer_has(infer, 3))
        axis_list_first(ir, in.rank, in.rank, &list);
    if (count != 2 * list.count)
        return infer_error(infer, "%d pads are given for %d axes", count, list.count);
    if (!infer_moderate(infer, 1, pads, count))
        return false;
    for (int i = 0; i < in.rank; i++) {
        before[i] = axis_list_choose(ir, &list, i, pads, before[i]);
        after[i] = axis_list_choose(ir, &list, i, pads + list.count, after[i]);
    }
    return true;
}

bool pad_shape(Infer *infer)
{
    const Type in = infer_type(infer, 0);
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    const char *const mode = attribute_string(infer->node, "mode", "constant");
    bool known = false;
    for (int i = 0; i < 4; i++)
        known = known || strcmp(mode, modes[i]) == 0;
    if (!known)
        return infer_error(infer, "the mode '%s' of Pad is not known", mode);
    Node *before[RANK_MAX], *after[RANK_MAX], *dims[RANK_MAX];
    if (!pad_amounts(infer, before, after))
        return false;
    for (int i = 0; i < in.rank; i++) {
        dims[i] = index_add(infer->ir, index_add(infer->ir, before[i], in.dims[i]), after[i]);
        if (index_range(infer->ir, dims[i]).high < 0)
            return infer_error(infer, "the pads of axis %d make it negative", i);
        if (index_is(in.dims[i], 0) && strcmp(mode, "constant") != 0 && !index_is(dims[i], 0))
            return infer_error(infer, "axis %d is empty: mode '%s' has nothing to repeat", i, mode);
    }
    infer->types[0] = type_tensor(infer->ir, in.dtype, in.rank, dims);
    return true;
}

/* The source position of padded position `at` (already shifted by the pad) in a dim of `extent`. */
static Node *pad_source(Ir *ir, const char *mode, Node *at, Node *extent)
{
    Node *const zero = index_const(ir, 0), *const last = index_sub(ir, extent, index_const(ir, 1));
    if (strcmp(mode, "edge") == 0)
        return clamped(ir, at, zero, last);
    if (strcmp(mode, "wrap") == 0)
        return index_mod(ir, at, extent);
    /* reflect: a triangle wave of period 2*(extent-1); an extent of 1 repeats its one element */
    Node *const period = index_max(ir, index_mul(ir, index_const(ir, 2), last), index_const(ir, 1));
    Node *const phase = index_mod(ir, at, period);
    return clamped(ir, index_min(ir, phase, index_sub(ir, period, phase)), zero, last);
}

bool pad_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const in = lower_in(lower, 0), *const out = lower_out(lower, 0);
    const char *const mode = attribute_string(lower->node, "mode", "constant");
    const Infer infer = {.ir = ir, .node = lower->node};
    Node *before[RANK_MAX], *after[RANK_MAX], *axes[RANK_MAX], *indices[RANK_MAX];
    if (!pad_amounts(&infer, before, after))
        return false;
    lower_axes(lower, out->type, axes);
    Node *inside = const_bool(ir, true);
    for (int i = 0; i < out->type.rank; i++) {
        indices[i] = index_sub(ir, axes[i], before[i]);
        if (strcmp(mode, "constant") == 0)
            inside = scalar2(ir, OP_and, inside, lower_inside(ir, indices[i], in->type.dims[i]));
        else if (!index_is(before[i], 0) || !index_is(after[i], 0))
            indices[i] = pad_source(ir, mode, indices[i], in->type.dims[i]);
    }
    Node *const zero[1] = {index_const(ir, 0)};
    Node *const filler = lower_has(lower, 2) ? lower_at(lower, lower_in(lower, 2), zero)
                                             : const_int(ir, dtype_compute(in->type.dtype), 0);
    lower_define(lower, out, axes, out->type.rank, guard_make(ir, inside, lower_at(lower, in, indices), filler));
    return true;
}
