/* Sampling at positions that a grid tells: GridSample and AffineGrid. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef enum GridMode { GRID_LINEAR, GRID_NEAREST, GRID_CUBIC } GridMode;
typedef enum GridPadding { GRID_ZEROS, GRID_BORDER, GRID_REFLECTION } GridPadding;

typedef struct GridPlan {
    GridMode mode;
    GridPadding padding;
    bool corners; /* -1 and 1 are the centres of the corner pixels, else their outer edges */
    int rank;     /* spatial axes */
} GridPlan;

static int choice(const Infer *infer, const char *attribute, const char *const *names)
{
    const char *const given = attribute_string(infer->node, attribute, names[0]);
    for (int i = 0; names[i]; i++)
        if (strcmp(given, names[i]) == 0)
            return i;
    infer_error(infer, "%s is '%s', which %s does not know", attribute, diag_quote(infer->ir->arena, given, 40),
                op_name(infer->node->op));
    return -1;
}

static bool grid_plan(const Infer *infer, GridPlan *plan)
{
    static const char *const modes[] = {"linear", "nearest", "cubic", NULL}, *const paddings[] = {"zeros", "border",
                                                                                                  "reflection", NULL};
    const int mode = choice(infer, "mode", modes), padding = mode < 0 ? -1 : choice(infer, "padding_mode", paddings);
    if (padding < 0)
        return false;
    *plan = (GridPlan){(GridMode)mode, (GridPadding)padding, attribute_int(infer->node, "align_corners", 0) != 0,
                       infer_type(infer, 0).rank - 2};
    return true;
}

bool grid_sample_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), grid = infer_type(infer, 1);
    GridPlan plan;
    if (!grid_plan(infer, &plan))
        return false;
    if (x.rank < 3 || grid.rank != x.rank || !dtype_is_float(grid.dtype) || dtype_info[grid.dtype].bits < 16)
        return infer_error(infer,
                           "GridSample takes [N,C,spatial...] and a grid of floats of the same rank, not %s and %s",
                           type_text(ir, x), type_text(ir, grid));
    if (plan.mode != GRID_NEAREST && !dtype_is_float(x.dtype))
        return refused(ir, REFUSED_GRID_BETWEEN);
    if (plan.mode == GRID_CUBIC && plan.rank > 3)
        return refused(ir, REFUSED_GRID_CUBIC);
    if (!infer_same_dim(infer, grid.dims[0], x.dims[0], "batches of input and grid") ||
        !infer_same_dim(infer, grid.dims[grid.rank - 1], index_const(ir, plan.rank),
                        "coordinates of the grid and spatial axes"))
        return false;
    Node *dims[RANK_MAX] = {x.dims[0], x.dims[1]};
    for (int d = 0; d < plan.rank; d++) {
        const char *const text = arena_format(ir->arena, "GridSample: spatial axis %d of the input is empty", d);
        if (!run_check(ir, scalar2(ir, OP_ge, x.dims[2 + d], index_const(ir, 1)), text))
            return infer_error(infer, "spatial axis %d of %s is empty", d, type_text(ir, x));
        dims[2 + d] = grid.dims[1 + d];
    }
    infer->types[0] = type_tensor(ir, x.dtype, x.rank, dims);
    return true;
}

/* Arithmetic on positions, all of one float type. */
static Node *number(Ir *ir, const Node *like, double value)
{
    return const_float(ir, like->type.dtype, value);
}

static Node *clamped(Ir *ir, Node *value, Node *low, Node *high)
{
    return scalar2(ir, OP_min, scalar2(ir, OP_max, value, low), high);
}

/* `value` thrown back at the borders until it lies between them; a range without extent is one point. */
static Node *reflected(Ir *ir, Node *value, Node *low, Node *high)
{
    Node *const range = scalar2(ir, OP_sub, high, low), *const zero = number(ir, value, 0);
    Node *const below = scalar2(ir, OP_lt, value, low), *const above = scalar2(ir, OP_gt, value, high);
    Node *const distance =
        scalar3(ir, OP_select, below, scalar2(ir, OP_sub, low, value), scalar2(ir, OP_sub, value, high));
    Node *const times = scalar1(ir, OP_trunc, scalar2(ir, OP_div, distance, range));
    Node *const rest = scalar2(ir, OP_sub, distance, scalar2(ir, OP_mul, times, range));
    Node *const even = scalar2(ir, OP_eq, scalar2(ir, OP_mod, times, number(ir, value, 2)), zero);
    Node *const from_low = scalar2(ir, OP_add, low, rest), *const from_high = scalar2(ir, OP_sub, high, rest);
    Node *const up =
        scalar2(ir, OP_eq, even, below); /* an even number of turns leaves it at the border that it crossed */
    Node *const back = scalar3(ir, OP_select, up, from_low, from_high);
    Node *const inside = scalar3(ir, OP_select, scalar2(ir, OP_or, below, above), back, value);
    return scalar3(ir, OP_select, scalar2(ir, OP_gt, range, zero), inside, low);
}

static void borders(Ir *ir, const GridPlan *plan, Node *extent, Dtype dtype, Node **low, Node **high)
{
    *low = const_float(ir, dtype, plan->corners ? 0 : -0.5);
    *high = scalar2(ir, OP_sub, cast_make(ir, extent, dtype), const_float(ir, dtype, plan->corners ? 1 : 0.5));
}

/* The position along spatial axis d, in pixels, brought where the padding wants it: a temporary over [N, out...].
 * Coordinates of the grid come in the order x, y, z: the last axis first. What is far outside is brought near, so that
 * it stays a small integer. */
static Node *position_define(Lower *lower, const GridPlan *plan, int d)
{
    Ir *const ir = lower->ir;
    Node *const grid = lower_in(lower, 1), *const extent = lower_in(lower, 0)->type.dims[2 + d];
    const Dtype dtype = dtype_compute(grid->type.dtype);
    Node *const position = lower_temp(lower, "position", dtype, plan->rank + 1, grid->type.dims);
    Node *axes[RANK_MAX], *low, *high;
    lower_axes(lower, position->type, axes);
    axes[plan->rank + 1] = index_const(ir, plan->rank - 1 - d);
    Node *const one = const_float(ir, dtype, 1), *const half = const_float(ir, dtype, 0.5),
                *const size = cast_make(ir, extent, dtype);
    Node *const shifted = scalar2(ir, OP_add, lower_at(lower, grid, axes), one);
    Node *value;
    if (plan->corners)
        value = scalar2(ir, OP_mul, scalar2(ir, OP_mul, shifted, half), scalar2(ir, OP_sub, size, one));
    else
        value = scalar2(ir, OP_mul, scalar2(ir, OP_sub, scalar2(ir, OP_mul, shifted, size), one), half);
    if (plan->mode == GRID_NEAREST)
        value = scalar1(ir, OP_round, value);
    borders(ir, plan, extent, dtype, &low, &high);
    if (plan->padding == GRID_BORDER) {
        Node *const outside = scalar2(ir, OP_or, scalar2(ir, OP_lt, value, low), scalar2(ir, OP_gt, value, high));
        Node *const at_border = clamped(ir, value, const_float(ir, dtype, 0), scalar2(ir, OP_sub, size, one));
        value = scalar3(ir, OP_select, outside, at_border, value);
    } else if (plan->padding == GRID_REFLECTION) {
        value = reflected(ir, value, low, high);
    }
    value = clamped(ir, value, const_float(ir, dtype, -4), scalar2(ir, OP_add, size, const_float(ir, dtype, 4)));
    lower_define(lower, position, axes, plan->rank + 1, value);
    return position;
}

/* (a + 2)|x|^3 - (a + 3)|x|^2 + 1 near the point, a|x|^3 - 5a|x|^2 + 8a|x| - 4a beyond a pixel: a = -0.75 */
static Node *cubic_weight(Ir *ir, Node *distance)
{
    const double a = -0.75;
    Node *const near =
        scalar2(ir, OP_sub, scalar2(ir, OP_mul, number(ir, distance, a + 2), distance), number(ir, distance, a + 3));
    Node *const square = scalar2(ir, OP_mul, distance, distance);
    Node *const inner = scalar2(ir, OP_add, scalar2(ir, OP_mul, near, square), number(ir, distance, 1));
    Node *far =
        scalar2(ir, OP_sub, scalar2(ir, OP_mul, number(ir, distance, a), distance), number(ir, distance, 5 * a));
    far = scalar2(ir, OP_add, scalar2(ir, OP_mul, far, distance), number(ir, distance, 8 * a));
    far = scalar2(ir, OP_sub, scalar2(ir, OP_mul, far, distance), number(ir, distance, 4 * a));
    return scalar3(ir, OP_select, scalar2(ir, OP_le, distance, number(ir, distance, 1)), inner, far);
}

/* The pixel index of a tap, inside the image; *inside tells whether it was. */
static Node *pixel_index(Ir *ir, const GridPlan *plan, Node *index, Node *extent, Dtype dtype, Node **inside)
{
    Node *const zero = index_const(ir, 0), *const last = index_sub(ir, extent, index_const(ir, 1));
    if (plan->padding == GRID_ZEROS) {
        *inside = scalar2(ir, OP_and, *inside, lower_inside(ir, index, extent));
        return index;
    }
    if (plan->padding == GRID_REFLECTION) {
        Node *low, *high;
        borders(ir, plan, extent, dtype, &low, &high);
        index = cast_make(ir, reflected(ir, cast_make(ir, index, dtype), low, high), DTYPE_INDEX);
    }
    return index_max(ir, index_min(ir, index, last), zero);
}

/* y[n,c,o...] = sum over taps of weights times pixels; the pixels of `zeros` padding are guarded. */
bool grid_sample_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    const Dtype dtype = dtype_compute(lower_in(lower, 1)->type.dtype), compute = dtype_compute(x->type.dtype);
    GridPlan plan;
    if (!grid_plan(&infer, &plan))
        return false;
    Node *positions[RANK_MAX], *axes[RANK_MAX], *taps[RANK_MAX], *from[RANK_MAX], *at[RANK_MAX];
    for (int d = 0; d < plan.rank; d++)
        positions[d] = position_define(lower, &plan, d);
    lower_axes(lower, out->type, axes);
    from[0] = at[0] = axes[0];
    from[1] = axes[1];
    for (int d = 0; d < plan.rank; d++)
        at[1 + d] = axes[2 + d];
    Node *inside = const_bool(ir, true), *weight = NULL;
    for (int d = 0; d < plan.rank; d++) {
        Node *const position = lower_at(lower, positions[d], at), *const base = scalar1(ir, OP_floor, position);
        char name[16];
        snprintf(name, sizeof name, "p%d", d);
        taps[d] = plan.mode == GRID_NEAREST
                      ? index_const(ir, 0)
                      : lower_axis(lower, name, index_const(ir, plan.mode == GRID_LINEAR ? 2 : 4));
        Node *const tap = plan.mode == GRID_CUBIC ? index_sub(ir, taps[d], index_const(ir, 1)) : taps[d];
        from[2 + d] = pixel_index(ir, &plan, index_add(ir, cast_make(ir, base, DTYPE_INDEX), tap), x->type.dims[2 + d],
                                  dtype, &inside);
        if (plan.mode == GRID_NEAREST)
            continue;
        Node *const place = scalar2(ir, OP_add, base, cast_make(ir, tap, dtype));
        Node *const distance = scalar1(ir, OP_abs, scalar2(ir, OP_sub, position, place));
        Node *const own = plan.mode == GRID_LINEAR ? scalar2(ir, OP_sub, number(ir, distance, 1), distance)
                                                   : cubic_weight(ir, distance);
        weight = weight ? scalar2(ir, OP_mul, weight, own) : own;
    }
    Node *value = guard_make(ir, inside, lower_at(lower, x, from), const_int(ir, compute, 0));
    if (plan.mode != GRID_NEAREST)
        value = fold_make(ir, FOLD_SUM, 1, taps, plan.rank, scalar2(ir, OP_mul, cast_make(ir, weight, compute), value));
    lower_define(lower, out, axes, out->type.rank, value);
    return true;
}

/* ---- AffineGrid ---- */

bool affine_grid_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type theta = infer_type(infer, 0);
    int count;
    Node *const *const size = infer_contents(infer, 1, &count);
    if (!size || infer_type(infer, 1).rank != 1)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where,
                          "the size of AffineGrid cannot be derived from dims and inputs");
    if (count != 4 && count != 5)
        return infer_error(infer, "the size has %d values, neither [N,C,H,W] nor [N,C,D,H,W]", count);
    const int rank = count - 2;
    if (theta.rank != 3 || !infer_same_dim(infer, theta.dims[0], size[0], "batches of theta and size") ||
        !infer_same_dim(infer, theta.dims[1], index_const(ir, rank), "rows of theta") ||
        !infer_same_dim(infer, theta.dims[2], index_const(ir, rank + 1), "columns of theta"))
        return infer_error(infer, "theta must be [N,%d,%d], not %s", rank, rank + 1, type_text(ir, theta));
    Node *dims[5] = {size[0]};
    for (int d = 0; d < rank; d++) {
        if (!run_check(ir, scalar2(ir, OP_ge, size[2 + d], index_const(ir, 0)), "AffineGrid: a size is negative"))
            return infer_error(infer, "size %d is negative", 2 + d);
        dims[1 + d] = size[2 + d];
    }
    dims[1 + rank] = index_const(ir, rank);
    infer->types[0] = type_tensor(ir, theta.dtype, rank + 2, dims);
    return true;
}

/* y[n, ..., k] = theta[n,k,0]*x + theta[n,k,1]*y (+ theta[n,k,2]*z) + the shift; x runs from -1 to 1 along the last
 * axis. */
bool affine_grid_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const theta = lower_in(lower, 0), *const out = lower_out(lower, 0);
    const int rank = out->type.rank - 2;
    const Dtype dtype = dtype_compute(theta->type.dtype);
    const bool corners = attribute_int(lower->node, "align_corners", 0) != 0;
    Node *axes[RANK_MAX], *const one = const_float(ir, dtype, 1), *const two = const_float(ir, dtype, 2);
    lower_axes(lower, out->type, axes);
    Node *value = lower_at(lower, theta, (Node *[]){axes[0], axes[rank + 1], index_const(ir, rank)});
    for (int k = 0; k < rank; k++) {
        Node *const i = cast_make(ir, axes[rank - k], dtype), *const extent =
                                                                  cast_make(ir, out->type.dims[rank - k], dtype);
        Node *const twice = scalar2(ir, OP_mul, two, i);
        Node *place = corners ? scalar2(ir, OP_div, twice, scalar2(ir, OP_sub, extent, one))
                              : scalar2(ir, OP_div, scalar2(ir, OP_add, twice, one), extent);
        place = scalar2(ir, OP_sub, place, one);
        if (corners) /* a single pixel stands where the others begin: the function of the specification has the step 0 for it */
            place = scalar3(ir, OP_select, scalar2(ir, OP_gt, extent, one), place, const_float(ir, dtype, -1));
        Node *const factor = lower_at(lower, theta, (Node *[]){axes[0], axes[rank + 1], index_const(ir, k)});
        value = scalar2(ir, OP_add, value, scalar2(ir, OP_mul, factor, place));
    }
    lower_define(lower, out, axes, rank + 2, value);
    return true;
}
