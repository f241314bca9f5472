/* Regions of images: RoiAlign and MaxRoiPool. How many points a region takes follows from the region: what is summed has
 * an extent of its own for each. Regions may be anything; extents are bounded by the image, beyond which nothing counts. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { SIZE_MOST = 1 << 20 };

static bool size_check(const Infer *infer, const char *name, int64_t value, int64_t least)
{
    return (value >= least && value <= SIZE_MOST) ||
           infer_error(infer, "%s is %lld, outside %lld..%d", name, (long long)value, (long long)least, SIZE_MOST);
}

/* x [N,C,H,W] and rois [R, columns]. */
static bool regions_check(const Infer *infer, int columns)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), rois = infer_type(infer, 1);
    if (x.rank != 4 || rois.rank != 2 || rois.dtype != x.dtype)
        return infer_error(infer, "%s takes [N,C,H,W] and regions [R,%d] of the same type, not %s and %s",
                           op_name(infer->node->op), columns, type_text(ir, x), type_text(ir, rois));
    if (!infer_same_dim(infer, rois.dims[1], index_const(ir, columns), "columns of the regions"))
        return false;
    for (int d = 2; d < 4; d++) {
        const char *const text = arena_format(ir->arena, "%s: the image is empty", op_name(infer->node->op));
        if (!run_check(ir, scalar2(ir, OP_ge, x.dims[d], index_const(ir, 1)), text))
            return infer_error(infer, "the image %s is empty", type_text(ir, x));
    }
    return true;
}

static void result_type(Infer *infer, int64_t height, int64_t width)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    Node *const dims[4] = {infer_type(infer, 1).dims[0], x.dims[1], index_const(ir, height), index_const(ir, width)};
    infer->types[0] = type_tensor(ir, x.dtype, 4, dims);
}

static Node *real_at(Lower *lower, Node *buffer, Node *row, int column)
{
    return lower_at(lower, buffer, (Node *[]){row, index_const(lower->ir, column)});
}

static Node *number(Ir *ir, const Node *like, double value)
{
    return const_float(ir, like->type.dtype, value);
}

static Node *clamped(Ir *ir, Node *value, Node *low, Node *high)
{
    return scalar2(ir, OP_min, scalar2(ir, OP_max, value, low), high);
}

/* Channels innermost: what is found out about a region and a bin is then done once for many of them. */

/* The image as [N, H, W, C]. */
static Node *pixels_define(Lower *lower)
{
    Node *const x = lower_in(lower, 0), *const *const d = x->type.dims;
    Node *const dims[4] = {d[0], d[2], d[3], d[1]}, *axes[4];
    Node *const pixels = lower_temp(lower, "pixels", x->type.dtype, 4, dims);
    lower_axes(lower, pixels->type, axes);
    lower_define(lower, pixels, axes, 4, at_make(lower->ir, x, (Node *[]){axes[0], axes[3], axes[1], axes[2]}));
    return pixels;
}

/* Room for the result as [R, height, width, C], and axes over it in the order of the output: r, c, i, j. */
static Node *pooled_open(Lower *lower, Node **axes)
{
    Node *const out = lower_out(lower, 0), *const *const d = out->type.dims;
    Node *const dims[4] = {d[0], d[2], d[3], d[1]}, *own[4];
    Node *const pooled = lower_temp(lower, "pooled", out->type.dtype, 4, dims);
    lower_axes(lower, pooled->type, own);
    axes[0] = own[0];
    axes[1] = own[3];
    axes[2] = own[1];
    axes[3] = own[2];
    return pooled;
}

static void pooled_define(Lower *lower, Node *pooled, Node *const *axes, Node *value)
{
    Node *const own[4] = {axes[0], axes[2], axes[3], axes[1]}, *const out = lower_out(lower, 0);
    lower_define(lower, pooled, own, 4, value);
    Node *copy[4];
    lower_axes(lower, out->type, copy);
    lower_define(lower, out, copy, 4, at_make(lower->ir, pooled, (Node *[]){copy[0], copy[2], copy[3], copy[1]}));
}

/* ---- RoiAlign ---- */

typedef struct AlignPlan {
    int64_t size[2], ratio;
    bool shifted; /* half_pixel */
    bool extreme; /* mode max */
    double scale;
} AlignPlan;

static bool align_plan(const Infer *infer, AlignPlan *plan)
{
    const char *const mode = attribute_string(infer->node, "mode", "avg");
    const char *const transform = attribute_string(infer->node, "coordinate_transformation_mode", "half_pixel");
    plan->extreme = strcasecmp(mode, "max") == 0;
    plan->shifted = strcmp(transform, "half_pixel") == 0;
    plan->size[0] = attribute_int(infer->node, "output_height", 1);
    plan->size[1] = attribute_int(infer->node, "output_width", 1);
    plan->ratio = attribute_int(infer->node, "sampling_ratio", 0);
    plan->scale = attribute_float(infer->node, "spatial_scale", 1);
    if (!plan->extreme && strcasecmp(mode, "avg") != 0)
        return infer_error(infer, "mode is '%s', neither avg nor max", diag_quote(infer->ir->arena, mode, 40));
    if (!plan->shifted && strcmp(transform, "output_half_pixel") != 0)
        return infer_error(infer, "coordinate_transformation_mode is '%s', neither half_pixel nor output_half_pixel",
                           diag_quote(infer->ir->arena, transform, 40));
    return size_check(infer, "output_height", plan->size[0], 1) && size_check(infer, "output_width", plan->size[1], 1) &&
           size_check(infer, "sampling_ratio", plan->ratio, 0);
}

bool roi_align_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type places = infer_type(infer, 2);
    AlignPlan plan;
    if (!align_plan(infer, &plan) || !regions_check(infer, 4))
        return false;
    if (places.rank != 1 || places.dtype != DTYPE_I64)
        return infer_error(infer, "batch_indices must be a list of i64, not %s", type_text(ir, places));
    if (!infer_same_dim(infer, places.dims[0], infer_type(infer, 1).dims[0], "batch_indices and regions"))
        return false;
    result_type(infer, plan.size[0], plan.size[1]);
    return true;
}

/* For each region and direction (0 down, 1 across): where it begins, the size of a bin, and how many points a bin has. */
enum { REGION_START, REGION_BIN, REGION_POINTS, REGION_NUMBERS };

static Node *regions_define(Lower *lower, const AlignPlan *plan)
{
    Ir *const ir = lower->ir;
    Node *const rois = lower_in(lower, 1);
    const Dtype compute = dtype_compute(rois->type.dtype);
    Node *const dims[3] = {rois->type.dims[0], index_const(ir, 2), index_const(ir, REGION_NUMBERS)};
    Node *const regions = lower_temp(lower, "regions", compute, 3, dims);
    for (int d = 0; d < 2; d++) {
        Node *const r = lower_axis(lower, "r", dims[0]);
        Node *const scale = const_float(ir, compute, plan->scale), *const shift =
                                                                       const_float(ir, compute, plan->shifted ? 0.5 : 0);
        Node *const start = scalar2(ir, OP_sub, scalar2(ir, OP_mul, real_at(lower, rois, r, 1 - d), scale), shift);
        Node *const end = scalar2(ir, OP_sub, scalar2(ir, OP_mul, real_at(lower, rois, r, 3 - d), scale), shift);
        Node *extent = scalar2(ir, OP_sub, end, start);
        if (!plan->shifted) /* malformed regions are one pixel */
            extent = scalar2(ir, OP_max, extent, const_float(ir, compute, 1));
        Node *const bin = scalar2(ir, OP_div, extent, const_float(ir, compute, (double)plan->size[d]));
        Node *const points = plan->ratio ? const_float(ir, compute, (double)plan->ratio) : scalar1(ir, OP_ceil, bin);
        Node *const values[REGION_NUMBERS] = {start, bin, points};
        for (int k = 0; k < REGION_NUMBERS; k++) {
            Node *const at[3] = {r, index_const(ir, d), index_const(ir, k)};
            lower_define_box(lower, regions, &r, 1, at, values[k]);
        }
    }
    return regions;
}

/* One direction of the grid of points in a bin. */
typedef struct Grid {
    Node *axis;          /* over points that may lie in the image */
    Node *inside;        /* does this one, and is it one of the bin? */
    Node *points, *more; /* of the bin, a float; are there some that `axis` leaves out? */
    Node *low, *high;    /* pixels around it: indices */
    Node *low_weight, *high_weight;
} Grid;

/* Points lie at start + (i + 0.5) * step. Those of a bin of adaptive grid are half a pixel apart or more, so that only
 * 2 * (extent + 2) of them can lie in the image: the axis begins one before the first that does. */
static void grid_axis(Lower *lower, const AlignPlan *plan, Node *points, Node *start, Node *step, Node *extent, Grid *grid)
{
    Ir *const ir = lower->ir;
    Node *const zero = index_const(ir, 0), *first = zero;
    Node *count = plan->ratio ? index_const(ir, plan->ratio) : cast_make(ir, points, DTYPE_INDEX);
    grid->more = const_bool(ir, false);
    if (!plan->ratio) {
        Node *const most = index_add(ir, index_mul(ir, extent, index_const(ir, 2)), index_const(ir, 8));
        Node *const before = scalar2(ir, OP_div, scalar2(ir, OP_sub, number(ir, start, -1), start), step);
        Node *const entry = scalar2(ir, OP_sub, scalar1(ir, OP_floor, before), number(ir, start, 2));
        grid->more = scalar2(ir, OP_gt, count, most);
        first = cast_make(ir, scalar2(ir, OP_max, entry, number(ir, start, 0)), DTYPE_INDEX);
        count = index_max(ir, zero, index_min(ir, count, most));
    }
    grid->axis = lower_axis(lower, "p", count);
    grid->points = points;
    Node *const i = scalar2(ir, OP_add, cast_make(ir, first, start->type.dtype), cast_make(ir, grid->axis, start->type.dtype));
    Node *const offset = scalar2(ir, OP_mul, scalar2(ir, OP_add, i, number(ir, i, 0.5)), step);
    Node *const position = scalar2(ir, OP_add, start, offset);
    Node *const size = cast_make(ir, extent, position->type.dtype);
    Node *const in_image = scalar2(ir, OP_and, scalar2(ir, OP_ge, position, number(ir, position, -1)),
                                   scalar2(ir, OP_le, position, size));
    grid->inside = scalar2(ir, OP_and, in_image, scalar2(ir, OP_lt, i, points));
    Node *const last = scalar2(ir, OP_sub, size, number(ir, size, 1));
    Node *const place = clamped(ir, position, number(ir, position, 0), last), *const floor = scalar1(ir, OP_floor, place);
    Node *const end = index_sub(ir, extent, index_const(ir, 1));
    grid->low = index_max(ir, zero, index_min(ir, cast_make(ir, floor, DTYPE_INDEX), end));
    grid->high = index_min(ir, index_add(ir, grid->low, index_const(ir, 1)), end);
    grid->high_weight = scalar2(ir, OP_sub, place, floor);
    grid->low_weight = scalar2(ir, OP_sub, number(ir, floor, 1), grid->high_weight);
}

static void grid_make(Lower *lower, const AlignPlan *plan, Node *regions, Node *region, Node *bin_number, int d, Grid *grid)
{
    Ir *const ir = lower->ir;
    Node *values[REGION_NUMBERS];
    for (int k = 0; k < REGION_NUMBERS; k++)
        values[k] = lower_at(lower, regions, (Node *[]){region, index_const(ir, d), index_const(ir, k)});
    Node *const bin = values[REGION_BIN];
    Node *const start =
        scalar2(ir, OP_add, values[REGION_START], scalar2(ir, OP_mul, cast_make(ir, bin_number, bin->type.dtype), bin));
    Node *const step = scalar2(ir, OP_div, bin, values[REGION_POINTS]);
    grid_axis(lower, plan, values[REGION_POINTS], start, step, lower_in(lower, 0)->type.dims[2 + d], grid);
}

/* As many points in each bin: what is found out about them is written down once, and not for each bin of the other
 * direction and each few channels again. A pixel below 0 says that the point lies outside. */
static void grid_read(Lower *lower, const AlignPlan *plan, Node *regions, Node *const *axes, int d, Grid *grid)
{
    Ir *const ir = lower->ir;
    Node *const extent = lower_in(lower, 0)->type.dims[2 + d], *const zero = index_const(ir, 0);
    Node *const dims[3] = {regions->type.dims[0], index_const(ir, plan->size[d]), index_const(ir, plan->ratio)};
    Node *const lows = lower_temp(lower, "lows", DTYPE_I32, 3, dims);
    Node *const weights = lower_temp(lower, "weights", regions->type.dtype, 3, dims);
    for (int table = 0; table < 2; table++) {
        Node *const r = lower_axis(lower, "r", dims[0]), *const i = lower_axis(lower, "i", dims[1]);
        grid_make(lower, plan, regions, r, i, d, grid);
        Node *const low = scalar3(ir, OP_select, grid->inside, cast_make(ir, grid->low, DTYPE_I32), const_int(ir, DTYPE_I32, -1));
        lower_define(lower, table ? weights : lows, (Node *[]){r, i, grid->axis}, 3, table ? grid->high_weight : low);
    }
    grid->axis = lower_axis(lower, "p", dims[2]);
    grid->points = const_float(ir, regions->type.dtype, (double)plan->ratio);
    Node *const at[3] = {axes[0], axes[2 + d], grid->axis}, *const low = lower_at(lower, lows, at);
    Node *const end = index_sub(ir, extent, index_const(ir, 1));
    grid->inside = scalar2(ir, OP_ge, low, const_int(ir, DTYPE_I32, 0));
    grid->low = index_max(ir, zero, index_min(ir, cast_make(ir, low, DTYPE_INDEX), end));
    grid->high = index_min(ir, index_add(ir, grid->low, index_const(ir, 1)), end);
    grid->high_weight = lower_at(lower, weights, at);
    grid->low_weight = scalar2(ir, OP_sub, number(ir, grid->high_weight, 1), grid->high_weight);
}

/* A point's value: the sum of its four weighted pixels, or the largest of them; 0 outside of the image. */
static Node *point_value(Lower *lower, const AlignPlan *plan, Node *pixels, Node *batch, Node *channel, const Grid *grids)
{
    Ir *const ir = lower->ir;
    Node *value = NULL;
    for (int corner = 0; corner < 4; corner++) {
        const bool down = corner & 2, across = corner & 1;
        Node *const from[4] = {batch, down ? grids[0].high : grids[0].low, across ? grids[1].high : grids[1].low, channel};
        Node *const weight = scalar2(ir, OP_mul, down ? grids[0].high_weight : grids[0].low_weight,
                                     across ? grids[1].high_weight : grids[1].low_weight);
        Node *const term = scalar2(ir, OP_mul, weight, lower_at(lower, pixels, from));
        value = value ? scalar2(ir, plan->extreme ? OP_max : OP_add, value, term) : term;
    }
    Node *const inside = scalar2(ir, OP_and, grids[0].inside, grids[1].inside);
    return guard_make(ir, inside, value, number(ir, value, 0));
}

/* y[r, c, i, j] = mean or maximum over the points of bin i, j of region r */
bool roi_align_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    Node *const out = lower_out(lower, 0);
    const Dtype compute = dtype_compute(out->type.dtype);
    AlignPlan plan;
    Grid grids[2];
    Node *axes[4];
    if (!align_plan(&infer, &plan))
        return false;
    Node *const regions = regions_define(lower, &plan), *const pixels = pixels_define(lower);
    Node *const pooled = pooled_open(lower, axes);
    for (int d = 0; d < 2; d++)
        if (plan.ratio)
            grid_read(lower, &plan, regions, axes, d, &grids[d]);
        else
            grid_make(lower, &plan, regions, axes[0], axes[2 + d], d, &grids[d]);
    Node *const place = cast_make(ir, lower_at(lower, lower_in(lower, 2), &axes[0]), DTYPE_INDEX);
    Node *const batch = bound_make(ir, place, lower_in(lower, 0)->type.dims[0]);
    Node *const points[2] = {grids[0].axis, grids[1].axis}, *const zero = const_float(ir, compute, 0);
    Node *const point = point_value(lower, &plan, pixels, batch, axes[1], grids);
    Node *const all = scalar2(ir, OP_mul, grids[0].points, grids[1].points);
    Node *value = fold_make(ir, plan.extreme ? FOLD_MAX : FOLD_SUM, 1, points, 2, point);
    if (plan.extreme) { /* points that were left out are 0; a bin without points is 0 */
        Node *const more = scalar2(ir, OP_or, grids[0].more, grids[1].more);
        Node *const some = scalar2(ir, OP_and, scalar2(ir, OP_ge, grids[0].points, const_float(ir, compute, 1)),
                                   scalar2(ir, OP_ge, grids[1].points, const_float(ir, compute, 1)));
        value = scalar3(ir, OP_select, more, scalar2(ir, OP_max, value, zero), value);
        value = scalar3(ir, OP_select, some, value, zero);
    } else {
        value = scalar2(ir, OP_div, value, scalar2(ir, OP_max, all, const_float(ir, compute, 1)));
    }
    pooled_define(lower, pooled, axes, value);
    return true;
}

/* ---- MaxRoiPool ---- */

static bool pooled_size(const Infer *infer, int64_t *size)
{
    int count;
    const int64_t *const given = attribute_ints(infer->node, "pooled_shape", &count);
    if (count != 2)
        return infer_error(infer, "pooled_shape must be height and width, and has %d values", count);
    size[0] = given[0];
    size[1] = given[1];
    return size_check(infer, "pooled_shape", size[0], 1) && size_check(infer, "pooled_shape", size[1], 1);
}

bool max_roi_pool_shape(Infer *infer)
{
    int64_t size[2];
    if (!pooled_size(infer, size) || !regions_check(infer, 5))
        return false;
    result_type(infer, size[0], size[1]);
    return true;
}

/* Halves go away from zero. */
static Node *rounded(Ir *ir, Node *value)
{
    Node *const size = scalar1(ir, OP_floor, scalar2(ir, OP_add, scalar1(ir, OP_abs, value), number(ir, value, 0.5)));
    return scalar2(ir, OP_copysign, size, value);
}

/* The pixels of a bin in one direction: first <= pixel < end, by an axis over as many as the region's bins may have. */
static void pool_axis(Lower *lower, Node *const *axes, int64_t bins, int d, Node **axis, Node **pixel, Node **inside)
{
    Ir *const ir = lower->ir;
    Node *const rois = lower_in(lower, 1), *const extent = lower_in(lower, 0)->type.dims[2 + d];
    const Dtype compute = dtype_compute(rois->type.dtype);
    Node *const scale = const_float(ir, compute, attribute_float(lower->node, "spatial_scale", 1));
    Node *const start = rounded(ir, scalar2(ir, OP_mul, real_at(lower, rois, axes[0], 2 - d), scale));
    Node *const end = rounded(ir, scalar2(ir, OP_mul, real_at(lower, rois, axes[0], 4 - d), scale));
    Node *const one = const_float(ir, compute, 1), *const zero = const_float(ir, compute, 0);
    Node *const pixels = scalar2(ir, OP_max, scalar2(ir, OP_add, scalar2(ir, OP_sub, end, start), one), one);
    Node *const bin = scalar2(ir, OP_div, pixels, const_float(ir, compute, (double)bins));
    Node *const i = cast_make(ir, axes[2 + d], compute), *const size = cast_make(ir, extent, compute);
    Node *const low = scalar2(ir, OP_add, scalar1(ir, OP_floor, scalar2(ir, OP_mul, i, bin)), start);
    Node *const above = scalar1(ir, OP_ceil, scalar2(ir, OP_mul, scalar2(ir, OP_add, i, one), bin));
    Node *const first = cast_make(ir, clamped(ir, low, zero, size), DTYPE_INDEX);
    Node *const past = cast_make(ir, clamped(ir, scalar2(ir, OP_add, above, start), zero, size), DTYPE_INDEX);
    Node *const most = cast_make(ir, clamped(ir, scalar2(ir, OP_add, scalar1(ir, OP_ceil, bin), one), zero, size), DTYPE_INDEX);
    *axis = lower_axis(lower, "p", index_max(ir, index_const(ir, 0), index_min(ir, most, extent)));
    *pixel = index_add(ir, first, *axis);
    *inside = scalar2(ir, OP_lt, *pixel, past);
}

/* y[r, c, i, j] = maximum of the pixels in bin i, j of region r; 0 where it has none */
bool max_roi_pool_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    const Dtype compute = dtype_compute(out->type.dtype);
    int64_t size[2];
    Node *axes[4], *points[2], *from[4], *inside[2];
    if (!pooled_size(&infer, size))
        return false;
    Node *const pixels = pixels_define(lower), *const pooled = pooled_open(lower, axes);
    for (int d = 0; d < 2; d++)
        pool_axis(lower, axes, size[d], d, &points[d], &from[2 + d], &inside[d]);
    Node *const place = cast_make(ir, real_at(lower, lower_in(lower, 1), axes[0], 0), DTYPE_INDEX);
    from[0] = bound_make(ir, place, x->type.dims[0]);
    Node *const at[4] = {from[0], from[2], from[3], axes[1]};
    Node *const in_bin = scalar2(ir, OP_and, inside[0], inside[1]), *const none = const_float(ir, compute, -INFINITY);
    Node *const pixel = guard_make(ir, in_bin, lower_at(lower, pixels, at), none);
    Node *const most = fold_make(ir, FOLD_MAX, 1, points, 2, pixel);
    Node *const empty = scalar2(ir, OP_eq, most, none);
    pooled_define(lower, pooled, axes, scalar3(ir, OP_select, empty, const_float(ir, compute, 0), most));
    return true;
}
