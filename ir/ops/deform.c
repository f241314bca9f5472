/* DeformConv: the pixels that a window reads lie between pixels, at offsets that are an input. What they read is sampled
 * into a temporary once for all output channels; what is left is a contraction. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"
#include "ir/ops/window.h"

#include <stdio.h>

enum { SPATIAL_MOST = 4 }; /* 2^4 corners of a sample */

typedef struct DeformPlan {
    Window window;
    int64_t group, offset_group;
    Node *taps; /* of a window */
} DeformPlan;

static bool divides(const Infer *infer, int64_t groups, Node *channels, const char *what)
{
    Ir *const ir = infer->ir;
    if (groups < 1 || groups > INT32_MAX)
        return infer_error(infer, "%s is %lld, outside 1..%lld", what, (long long)groups, (long long)INT32_MAX);
    Node *const rest = index_mod(ir, channels, index_const(ir, groups));
    const char *const text = arena_format(ir->arena, "DeformConv: %s does not divide the channels", what);
    return run_check(ir, scalar2(ir, OP_eq, rest, index_const(ir, 0)), text) ||
           infer_error(infer, "%s = %lld does not divide the channels", what, (long long)groups);
}

static bool deform_plan(const Infer *infer, DeformPlan *plan)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), w = infer_type(infer, 1);
    const int rank = x.rank - 2;
    int64_t kernel[RANK_MAX];
    int count;
    if (rank < 1 || w.rank != x.rank || w.dtype != x.dtype)
        return infer_error(infer, "DeformConv takes [N,C,spatial...] and weights of the same rank and type, not %s and %s",
                           type_text(ir, x), type_text(ir, w));
    if (rank > SPATIAL_MOST)
        return infer_error(infer, "DeformConv has %d spatial axes, the limit is %d", rank, SPATIAL_MOST);
    attribute_ints(infer->node, "kernel_shape", &count);
    if (count && !window_values(infer, "kernel_shape", rank, rank, 1, 1, kernel))
        return false;
    for (int d = 0; d < rank && count; d++)
        if (!infer_same_dim(infer, w.dims[2 + d], index_const(ir, kernel[d]), "kernel_shape and the weights"))
            return false;
    if (!window_read(infer, rank, x.dims + 2, w.dims + 2, &plan->window))
        return false;
    plan->group = attribute_int(infer->node, "group", 1);
    plan->offset_group = attribute_int(infer->node, "offset_group", 1);
    plan->taps = dims_product(ir, w.dims + 2, rank);
    return divides(infer, plan->group, x.dims[1], "group") && divides(infer, plan->group, w.dims[0], "group") &&
           divides(infer, plan->offset_group, x.dims[1], "offset_group") &&
           infer_same_dim(infer, index_mul(ir, w.dims[1], index_const(ir, plan->group)), x.dims[1],
                          "channels of weights and input");
}

/* [N, channels, out...] as the window says. */
static bool map_check(const Infer *infer, const DeformPlan *plan, int input, Node *channels, const char *name)
{
    const Type x = infer_type(infer, 0), type = infer_type(infer, input);
    if (type.rank != x.rank || type.dtype != x.dtype)
        return infer_error(infer, "%s must be %s of rank %d, not %s", name, dtype_info[x.dtype].name, x.rank,
                           type_text(infer->ir, type));
    bool good = infer_same_dim(infer, type.dims[0], x.dims[0], name) && infer_same_dim(infer, type.dims[1], channels, name);
    for (int d = 0; d < plan->window.rank && good; d++)
        good = infer_same_dim(infer, type.dims[2 + d], plan->window.out[d], name);
    return good;
}

bool deform_conv_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), w = infer_type(infer, 1);
    DeformPlan plan;
    if (!deform_plan(infer, &plan))
        return false;
    Node *const points = index_mul(ir, plan.taps, index_const(ir, plan.offset_group));
    Node *const numbers = index_mul(ir, points, index_const(ir, plan.window.rank));
    if (!map_check(infer, &plan, 2, numbers, "offset") || (infer_has(infer, 4) && !map_check(infer, &plan, 4, points, "mask")))
        return false;
    if (infer_has(infer, 3)) {
        const Type bias = infer_type(infer, 3);
        if (bias.rank != 1 || bias.dtype != x.dtype)
            return infer_error(infer, "B must be a list of %s, not %s", dtype_info[x.dtype].name, type_text(ir, bias));
        if (!infer_same_dim(infer, bias.dims[0], w.dims[0], "B and the output channels"))
            return false;
    }
    Node *dims[RANK_MAX] = {x.dims[0], w.dims[0]};
    for (int d = 0; d < plan.window.rank; d++)
        dims[2 + d] = plan.window.out[d];
    infer->types[0] = type_tensor(ir, x.dtype, x.rank, dims);
    return true;
}

/* Indices of one point that a window reads: image, channel, tap, place in the output. */
typedef struct Point {
    Node *image, *channel, *taps[SPATIAL_MOST], *out[SPATIAL_MOST];
} Point;

/* Element `part` of `parts` that a map [N, groups * taps * parts, out...] has for the point. */
static Node *map_at(Lower *lower, const DeformPlan *plan, const Point *point, Node *map, int part, int parts)
{
    Ir *const ir = lower->ir;
    Node *const groups = index_const(ir, plan->offset_group);
    Node *place = index_floordiv(ir, point->channel, index_floordiv(ir, lower_in(lower, 0)->type.dims[1], groups));
    for (int d = 0; d < plan->window.rank; d++)
        place = index_add(ir, index_mul(ir, place, plan->window.kernel[d]), point->taps[d]);
    place = index_add(ir, index_mul(ir, place, index_const(ir, parts)), index_const(ir, part));
    Node *at[RANK_MAX] = {point->image, place};
    for (int d = 0; d < plan->window.rank; d++)
        at[2 + d] = point->out[d];
    return lower_at(lower, map, at);
}

/* The image between pixels, 0 outside: the mean of the corners around, weighted by nearness. */
static Node *sample(Lower *lower, const DeformPlan *plan, const Point *point)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const Dtype compute = dtype_compute(x->type.dtype);
    Node *from[RANK_MAX] = {point->image, point->channel}, *corners[SPATIAL_MOST];
    Node *inside = const_bool(ir, true), *weight = NULL;
    for (int d = 0; d < plan->window.rank; d++) {
        char name[16];
        snprintf(name, sizeof name, "q%d", d);
        corners[d] = lower_axis(lower, name, index_const(ir, 2));
        Node *const base = window_index(ir, &plan->window, d, point->out[d], point->taps[d]);
        Node *const size = cast_make(ir, plan->window.in[d], compute);
        Node *position = scalar2(ir, OP_add, cast_make(ir, base, compute),
                                 map_at(lower, plan, point, lower_in(lower, 2), d, plan->window.rank));
        position = scalar2(ir, OP_max, position, const_float(ir, compute, -4)); /* far outside: small integers */
        position = scalar2(ir, OP_min, position, scalar2(ir, OP_add, size, const_float(ir, compute, 4)));
        Node *const floor = scalar1(ir, OP_floor, position), *const high = scalar2(ir, OP_sub, position, floor);
        Node *const low = scalar2(ir, OP_sub, const_float(ir, compute, 1), high);
        Node *const own = scalar3(ir, OP_select, scalar2(ir, OP_eq, corners[d], index_const(ir, 0)), low, high);
        weight = weight ? scalar2(ir, OP_mul, weight, own) : own;
        from[2 + d] = index_add(ir, cast_make(ir, floor, DTYPE_INDEX), corners[d]);
        inside = scalar2(ir, OP_and, inside, lower_inside(ir, from[2 + d], plan->window.in[d]));
    }
    Node *const pixel = guard_make(ir, inside, lower_at(lower, x, from), const_float(ir, compute, 0));
    return fold_make(ir, FOLD_SUM, 1, corners, plan->window.rank, scalar2(ir, OP_mul, weight, pixel));
}

/* samples[n, c, taps..., out...], under the mask */
static Node *samples_define(Lower *lower, const DeformPlan *plan)
{
    Ir *const ir = lower->ir;
    const Type x = lower_in(lower, 0)->type;
    const int rank = plan->window.rank;
    Node *dims[RANK_MAX] = {x.dims[0], x.dims[1]}, *axes[RANK_MAX];
    Point point;
    for (int d = 0; d < rank; d++) {
        dims[2 + d] = plan->window.kernel[d];
        dims[2 + rank + d] = plan->window.out[d];
    }
    Node *const samples = lower_temp(lower, "samples", dtype_compute(x.dtype), 2 + 2 * rank, dims);
    lower_axes(lower, samples->type, axes);
    point.image = axes[0];
    point.channel = axes[1];
    for (int d = 0; d < rank; d++) {
        point.taps[d] = axes[2 + d];
        point.out[d] = axes[2 + rank + d];
    }
    Node *value = sample(lower, plan, &point);
    if (lower_has(lower, 4))
        value = scalar2(ir, OP_mul, value, map_at(lower, plan, &point, lower_in(lower, 4), 0, 1));
    lower_define(lower, samples, axes, 2 + 2 * rank, value);
    return samples;
}

/* y[n, g * O + o, out...] = sum over c, taps of w[g * O + o, c, taps] samples[n, g * C + c, taps, out] + B */
bool deform_conv_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    Node *const w = lower_in(lower, 1), *const y = lower_out(lower, 0);
    const Dtype compute = dtype_compute(y->type.dtype);
    DeformPlan plan;
    if (!deform_plan(&infer, &plan))
        return false;
    Node *const samples = samples_define(lower, &plan), *const groups = index_const(ir, plan.group);
    Node *const outputs = index_floordiv(ir, y->type.dims[1], groups);
    Node *all[RANK_MAX], *at[RANK_MAX], *reduced[RANK_MAX], *weight[RANK_MAX], *from[RANK_MAX];
    int count = 0;
    const int rank = plan.window.rank;
    at[0] = from[0] = all[count++] = lower_axis(lower, "n", y->type.dims[0]);
    Node *const g = plan.group > 1 ? lower_axis(lower, "g", groups) : index_const(ir, 0);
    if (plan.group > 1)
        all[count++] = g;
    Node *const o = all[count++] = lower_axis(lower, "o", outputs), *const c = reduced[0] =
                                                                        lower_axis(lower, "c", w->type.dims[1]);
    at[1] = weight[0] = index_add(ir, index_mul(ir, g, outputs), o);
    from[1] = index_add(ir, index_mul(ir, g, w->type.dims[1]), c);
    weight[1] = c;
    for (int d = 0; d < rank; d++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", d);
        weight[2 + d] = from[2 + d] = reduced[1 + d] = lower_axis(lower, name, w->type.dims[2 + d]);
        snprintf(name, sizeof name, "s%d", d);
        at[2 + d] = from[2 + rank + d] = all[count++] = lower_axis(lower, name, y->type.dims[2 + d]);
    }
    Node *value = contract_make(ir, compute, reduced, rank + 1, lower_at(lower, w, weight), lower_at(lower, samples, from));
    if (lower_has(lower, 3))
        value = scalar2(ir, OP_add, value, lower_at(lower, lower_in(lower, 3), &at[1]));
    lower_define_box(lower, y, all, count, at, value);
    return true;
}
