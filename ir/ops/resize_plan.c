/* The shape rule of Resize: attributes, scales and sizes checked and brought into one plan. See resize.h. */
#include "ir/ops/resize.h"

#include "ir/ops/rules.h"

#include <math.h>
#include <string.h>

static const char *const mode_names[] = {"nearest", "linear", "cubic", NULL};
static const char *const transform_names[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize",
    NULL};
static const char *const rounding_names[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
static const char *const policy_names[] = {"stretch", "not_larger", "not_smaller", NULL};
enum { STRETCH, NOT_LARGER, NOT_SMALLER };

/* Which of `names` a string attribute is; -1 after a diagnostic. */
static int choice(const Infer *infer, const char *attribute, const char *const *names)
{
    const char *const given = attribute_string(infer->node, attribute, names[0]);
    for (int i = 0; names[i]; i++)
        if (strcmp(given, names[i]) == 0)
            return i;
    infer_error(infer, "%s is '%s', which Resize does not know", attribute, diag_quote(infer->ir->arena, given, 60));
    return -1;
}

/* Is optional input i there with at least one element? Older models pass empty lists for what they leave out. */
static bool has_elements(const Infer *infer, int i)
{
    return infer_has(infer, i) && !index_is(type_elements(infer->ir, infer_type(infer, i)), 0);
}

static bool count_check(const Infer *infer, int i, const char *name, int count)
{
    Node *const elements = type_elements(infer->ir, infer_type(infer, i));
    return (infer_type(infer, i).rank == 1 && index_is(elements, count)) ||
           infer_error(infer, "%s must be a list of %d values, not %s", name, count,
                       type_text(infer->ir, infer_type(infer, i)));
}

/* The real numbers in input i: constants, or what a run knows of a small input. */
static bool reals_read(const Infer *infer, int i, const char *name, int count, Node **values)
{
    int given;
    if (!count_check(infer, i, name, count))
        return false;
    if (infer_type(infer, i).dtype != DTYPE_F32)
        return infer_error(infer, "%s of Resize must be f32, not %s", name, type_text(infer->ir, infer_type(infer, i)));
    Node *const *const contents = infer_read(infer, i, &given);
    if (!contents)
        return diag_error(infer->ir->diagnostics, EXIT_UNSUPPORTED, infer->ir->where,
                          "%s of Resize must be known at compile time or follow from dims and small inputs", name);
    for (int j = 0; j < count; j++)
        values[j] = contents[j];
    return true;
}

/* The first convergent of the continued fraction of `scale` that rounds to it as a float: 0.6f was meant as 3/5. */
static void fraction_of(double scale, int64_t *up, int64_t *down)
{
    int exponent;
    const double mantissa = frexp(scale, &exponent);
    int64_t a = (int64_t)ldexp(mantissa, 24), b = INT64_C(1) << 24;
    if (exponent > 0)
        a <<= exponent;
    else
        b <<= -exponent;
    int64_t before_up = 0, before_down = 1;
    *up = 1;
    *down = 0;
    while (b && (*down == 0 || (float)((double)*up / (double)*down) != (float)scale)) {
        const int64_t whole = a / b, rest = a % b;
        const int64_t next_up = whole * *up + before_up, next_down = whole * *down + before_down;
        before_up = *up;
        before_down = *down;
        *up = next_up;
        *down = next_down;
        a = b;
        b = rest;
    }
}

/* A scale that only a run knows: its bits are a mantissa of 24 bits over a power of two. */
static bool scale_unknown(const Infer *infer, int d, Node *scale, ResizeAxis *axis)
{
    Ir *const ir = infer->ir;
    Node *const bits = cast_make(ir, bitcast_make(ir, scale, DTYPE_U32), DTYPE_INDEX), *const step =
                                                                                           index_const(ir, 1 << 23);
    Node *const exponent = index_floordiv(ir, bits, step); /* 127 for scales from 1 to 2; with the sign on top */
    const char *const text = arena_format(ir->arena, "Resize: the scale of axis %d is outside 2^-20..2^20", d);
    Node *const inside = scalar2(ir, OP_and, scalar2(ir, OP_ge, exponent, index_const(ir, 127 - 20)),
                                 scalar2(ir, OP_lt, exponent, index_const(ir, 127 + 20)));
    if (!run_check(ir, inside, text))
        return infer_error(infer, "%s", text);
    axis->up = index_add(ir, index_mod(ir, bits, step), step);
    axis->down = scalar2(ir, OP_shl, index_const(ir, 1), index_sub(ir, index_const(ir, 127 + 23), exponent));
    Node *const extent = scalar1(ir, OP_floor, scalar2(ir, OP_mul, cast_make(ir, axis->in, DTYPE_F32), scale));
    axis->out = cast_make(ir, extent, DTYPE_INDEX);
    const char *const empty = arena_format(ir->arena, "Resize: axis %d would become empty", d);
    return run_check(ir, scalar2(ir, OP_ge, axis->out, index_const(ir, 1)), empty) || infer_error(infer, "%s", empty);
}

static bool scale_read(const Infer *infer, int d, Node *given, ResizeAxis *axis)
{
    Ir *const ir = infer->ir;
    int64_t up, down, in;
    if (given->op != OP_const)
        return given->type.dtype == DTYPE_F32 ? scale_unknown(infer, d, given, axis)
                                              : infer_error(infer, "scales must be f32");
    const double scale = const_as_double(given);
    if (!(scale >= 0x1p-20 && scale <= 0x1p20))
        return infer_error(infer, "the scale %g of axis %d is outside 2^-20..2^20", scale, d);
    fraction_of(scale, &up, &down);
    axis->up = index_const(ir, up);
    axis->down = index_const(ir, down);
    if (!const_is_int(axis->in, &in)) {
        axis->out = index_floordiv(ir, index_mul(ir, axis->in, axis->up), axis->down);
        return true;
    }
    /* In floats, as the scale was when the model was exported: 5 * 2.6f is 13, although 2.6f is a little less than 2.6.
     */
    const float extent = floorf((float)in * (float)scale);
    if (extent > 0x1p31f)
        return infer_error(infer, "axis %d of extent %lld grows beyond 2^31 with the scale %g", d, (long long)in,
                           scale);
    axis->out = index_const(ir, (int64_t)extent);
    return true;
}

static void ratio_set(Ir *ir, ResizeAxis *axis, Node *up, Node *down)
{
    int64_t a, b;
    axis->up = up;
    axis->down = down;
    if (const_is_int(up, &a) && const_is_int(down, &b) && a > 0 && b > 0) {
        axis->up = index_const(ir, a / common_divisor(a, b));
        axis->down = index_const(ir, b / common_divisor(a, b));
    }
}

/* As below, for sizes that a run gives; they and the extents are checked to be at most 2^31. */
static bool aspect_unknown(const Infer *infer, const int *axes, int count, bool larger, ResizePlan *plan)
{
    Ir *const ir = infer->ir;
    Node *const one = index_const(ir, 1), *const two = index_const(ir, 2), *const most = index_const(ir, INT32_MAX),
                *up = NULL, *down = NULL;
    for (int i = 0; i < count; i++) {
        const ResizeAxis *const axis = &plan->axes[axes[i]];
        Node *const fits = scalar2(ir, OP_and, scalar2(ir, OP_ge, axis->out, one), scalar2(ir, OP_le, axis->out, most));
        if (!run_check(ir, scalar2(ir, OP_and, fits, scalar2(ir, OP_le, axis->in, most)),
                       "Resize keeps the aspect ratio of sizes from 1 to 2^31"))
            return infer_error(infer, "Resize keeps the aspect ratio of sizes from 1 to 2^31");
        Node *const own = up ? index_mul(ir, axis->out, down) : NULL, *const best =
                                                                          up ? index_mul(ir, up, axis->in) : NULL;
        Node *const better = up ? scalar2(ir, larger ? OP_gt : OP_lt, own, best) : const_bool(ir, true);
        up = up ? scalar3(ir, OP_select, better, axis->out, up) : axis->out;
        down = down ? scalar3(ir, OP_select, better, axis->in, down) : axis->in;
    }
    for (int i = 0; i < count; i++) {
        ResizeAxis *const axis = &plan->axes[axes[i]];
        Node *const twice = index_floordiv(ir, index_mul(ir, index_mul(ir, two, axis->in), up), down);
        axis->out = index_floordiv(ir, index_add(ir, twice, one), two);
        ratio_set(ir, axis, up, down);
    }
    return true;
}

/* One scale for all axes: the smallest (or largest) of size / extent; extents are rounded, halves up. */
static bool aspect_kept(const Infer *infer, const int *axes, int count, bool larger, ResizePlan *plan)
{
    int64_t up = 0, down = 1, size, in;
    bool known = true;
    for (int i = 0; i < count; i++)
        known = known && const_is_int(plan->axes[axes[i]].out, &size) && const_is_int(plan->axes[axes[i]].in, &in);
    if (!known)
        return aspect_unknown(infer, axes, count, larger, plan);
    for (int i = 0; i < count; i++) {
        const ResizeAxis *const axis = &plan->axes[axes[i]];
        if (!const_is_int(axis->out, &size) || !const_is_int(axis->in, &in) || size > INT32_MAX || in > INT32_MAX ||
            in < 1)
            return diag_error(infer->ir->diagnostics, EXIT_UNSUPPORTED, infer->ir->where,
                              "Resize keeps the aspect ratio of known sizes only, at most 2^31");
        if (i == 0 || (larger ? size * down > up * in : size * down < up * in)) {
            up = size;
            down = in;
        }
    }
    for (int i = 0; i < count; i++) {
        ResizeAxis *const axis = &plan->axes[axes[i]];
        const_is_int(axis->in, &in);
        axis->out = index_const(infer->ir, (2 * in * up / down + 1) / 2);
        ratio_set(infer->ir, axis, index_const(infer->ir, up), index_const(infer->ir, down));
    }
    return true;
}

static bool sizes_read(const Infer *infer, const int *axes, int count, ResizePlan *plan)
{
    Ir *const ir = infer->ir;
    int given;
    const int policy = choice(infer, "keep_aspect_ratio_policy", policy_names);
    if (policy < 0 || !count_check(infer, 3, "sizes", count))
        return false;
    Node *const *const contents = infer_contents(infer, 3, &given);
    if (!contents)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where,
                          "sizes of Resize must be known at compile time or follow from dims");
    for (int i = 0; i < count; i++) {
        ResizeAxis *const axis = &plan->axes[axes[i]];
        axis->out = contents[i];
        ratio_set(ir, axis, axis->out, axis->in);
        const char *const text = arena_format(ir->arena, "Resize: axis %d of the input is empty", axes[i]);
        if (!run_check(ir, scalar2(ir, OP_ge, axis->in, index_const(ir, 1)), text))
            return infer_error(infer, "axis %d of %s is empty", axes[i], type_text(ir, infer_type(infer, 0)));
    }
    return policy == STRETCH || aspect_kept(infer, axes, count, policy == NOT_SMALLER, plan);
}

/* The axes that scales, sizes and roi speak of. */
static bool axes_read(const Infer *infer, int rank, int *axes, int *count)
{
    int given;
    bool seen[RANK_MAX] = {0};
    const int64_t *const list = attribute_ints(infer->node, "axes", &given);
    if (given > rank)
        return infer_error(infer, "axes has %d values but the input has %d dimensions", given, rank);
    *count = given ? given : rank;
    for (int i = 0; i < *count; i++) {
        if (!infer_axis(infer, given ? list[i] : i, rank, false, &axes[i]))
            return false;
        if (seen[axes[i]])
            return infer_error(infer, "axis %d is resized twice", axes[i]);
        seen[axes[i]] = true;
    }
    return true;
}

static bool roi_read(const Infer *infer, const int *axes, int count, ResizePlan *plan)
{
    Node *values[2 * RANK_MAX];
    if (!has_elements(infer, 1))
        return infer_error(infer, "tf_crop_and_resize needs the input roi");
    if (!reals_read(infer, 1, "roi", 2 * count, values))
        return false;
    for (int i = 0; i < count; i++) {
        ResizeAxis *const axis = &plan->axes[axes[i]];
        axis->start = cast_make(infer->ir, values[i], DTYPE_F64);
        axis->end = cast_make(infer->ir, values[count + i], DTYPE_F64);
        Node *const sum = scalar2(infer->ir, OP_sub, axis->end, axis->start);
        if (sum->op == OP_const && !isfinite(const_as_double(sum)))
            return infer_error(infer, "roi of axis %d is not finite", axes[i]);
    }
    return true;
}

static bool modes_read(const Infer *infer, ResizePlan *plan)
{
    const int mode = choice(infer, "mode", mode_names);
    const int transform = mode < 0 ? -1 : choice(infer, "coordinate_transformation_mode", transform_names);
    const int rounding = transform < 0 ? -1 : choice(infer, "nearest_mode", rounding_names);
    if (rounding < 0)
        return false;
    plan->mode = (ResizeMode)mode;
    plan->transform = (ResizeTransform)transform;
    plan->rounding = (ResizeRounding)rounding;
    plan->antialias = attribute_int(infer->node, "antialias", 0) != 0 && plan->mode != RESIZE_NEAREST;
    plan->exclude_outside = attribute_int(infer->node, "exclude_outside", 0) != 0;
    plan->cubic = attribute_float(infer->node, "cubic_coeff_a", -0.75);
    plan->extrapolation = attribute_float(infer->node, "extrapolation_value", 0);
    return true;
}

static bool axis_finish(const Infer *infer, int d, ResizePlan *plan)
{
    ResizeAxis *const axis = &plan->axes[d];
    int64_t known;
    axis->identity = axis->up == axis->down && axis->out == axis->in;
    if (plan->transform == TF_CROP_AND_RESIZE)
        axis->identity = axis->identity && axis->start == const_float(infer->ir, DTYPE_F64, 0) &&
                         axis->end == const_float(infer->ir, DTYPE_F64, 1);
    if (const_is_int(axis->out, &known) && (known < 1 || known > INT32_MAX) && !axis->identity)
        return infer_error(infer, "axis %d of %s would get the extent %lld", d,
                           type_text(infer->ir, infer_type(infer, 0)), (long long)known);
    return true;
}

bool resize_plan(const Infer *infer, ResizePlan *plan)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    int axes[RANK_MAX], count = 0;
    Node *scales[RANK_MAX];
    const bool by_scale = has_elements(infer, 2), by_size = has_elements(infer, 3);
    plan->rank = x.rank;
    if (by_scale == by_size)
        return infer_error(infer, "Resize needs either scales or sizes, and has %s", by_size ? "both" : "none");
    if (!modes_read(infer, plan) || !axes_read(infer, x.rank, axes, &count))
        return false;
    for (int d = 0; d < x.rank; d++)
        plan->axes[d] = (ResizeAxis){.in = x.dims[d],
                                     .out = x.dims[d],
                                     .up = index_const(ir, 1),
                                     .down = index_const(ir, 1),
                                     .start = const_float(ir, DTYPE_F64, 0),
                                     .end = const_float(ir, DTYPE_F64, 1)};
    if (by_scale && !reals_read(infer, 2, "scales", count, scales))
        return false;
    for (int i = 0; by_scale && i < count; i++)
        if (!scale_read(infer, axes[i], scales[i], &plan->axes[axes[i]]))
            return false;
    if ((by_size && !sizes_read(infer, axes, count, plan)) ||
        (plan->transform == TF_CROP_AND_RESIZE && !roi_read(infer, axes, count, plan)))
        return false;
    for (int d = 0; d < x.rank; d++)
        if (!axis_finish(infer, d, plan))
            return false;
    return true;
}

bool resize_shape(Infer *infer)
{
    ResizePlan plan;
    Node *dims[RANK_MAX];
    if (!resize_plan(infer, &plan))
        return false;
    for (int d = 0; d < plan.rank; d++)
        dims[d] = plan.axes[d].out;
    infer->types[0] = type_tensor(infer->ir, infer_type(infer, 0).dtype, plan.rank, dims);
    return true;
}
