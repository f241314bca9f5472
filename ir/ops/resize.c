/* Resize. Coordinates are exact: the position in the input is a fraction of index expressions, floor and nearest are integer divisions,
 * and only the distance to the floor becomes a float. tf_crop_and_resize alone computes positions in f64, from its region's floats. */
#include "ir/ops/resize.h"

#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <math.h>
#include <stdio.h>

enum { UNROLLED_TAPS = 16, UNROLLED_AXES = 4 }; /* more taps than these are a fold over weights in temporaries */

typedef struct Resizer {
    Lower *lower;
    Ir *ir;
    ResizePlan plan;
    Dtype compute;       /* of weights and sums */
    Node *source;        /* what is interpolated: the input, or what is already interpolated along the last axes */
    int count;           /* of axes that are not identities */
    int axis[RANK_MAX];
} Resizer;

/* Where an output position reads along one axis. */
typedef struct Position {
    Node *floor;    /* index, may be outside */
    Node *nearest;  /* index, may be outside */
    Node *fraction; /* what floor leaves, in `compute` */
    Node *outside;  /* tf_crop_and_resize: beyond the input; else NULL */
} Position;

static Node *constant(const Resizer *resizer, double value)
{
    return const_float(resizer->ir, resizer->compute, value);
}

/* numerator / denominator: the position in the input of output index o. */
static void position_fraction(const Resizer *resizer, const ResizeAxis *axis, Node *o, Node **numerator, Node **denominator)
{
    Ir *const ir = resizer->ir;
    Node *const one = index_const(ir, 1), *const two = index_const(ir, 2), *const zero = index_const(ir, 0);
    Node *const up = axis->up, *const down = axis->down;
    Node *const exact = index_mul(ir, axis->in, up), *const whole = index_mul(ir, axis->out, down); /* extents, times `down` */
    Node *const inner = index_sub(ir, axis->in, one);
    /* (o + 1/2) * down/up - 1/2 */
    Node *const half = index_sub(ir, index_mul(ir, index_add(ir, index_mul(ir, two, o), one), down), up);
    *denominator = index_mul(ir, two, up);
    switch (resizer->plan.transform) {
    case HALF_PIXEL_SYMMETRIC: /* + in/2 * (1 - out / (in * scale)) */
        *numerator = index_add(ir, half, index_sub(ir, exact, whole));
        return;
    case PYTORCH_HALF_PIXEL:
        *numerator = scalar3(ir, OP_select, scalar2(ir, OP_gt, axis->out, one), half, zero);
        return;
    case ALIGN_CORNERS: /* o * (in - 1) / (in * scale - 1); with one output o is 0 */
        *numerator = index_mul(ir, o, exact == whole ? inner : index_mul(ir, inner, down));
        *denominator = index_max(ir, one, exact == whole ? index_sub(ir, axis->out, one) : index_sub(ir, exact, down));
        return;
    case ASYMMETRIC:
        *numerator = index_mul(ir, o, down);
        *denominator = up;
        return;
    default:
        *numerator = half;
        return;
    }
}

static Node *round_fraction(const Resizer *resizer, Node *numerator, Node *denominator)
{
    Ir *const ir = resizer->ir;
    Node *const two = index_const(ir, 2);
    Node *const twice = index_mul(ir, two, numerator), *const double_denominator = index_mul(ir, two, denominator);
    switch (resizer->plan.rounding) {
    case ROUND_FLOOR:
        return index_floordiv(ir, numerator, denominator);
    case ROUND_CEIL:
        return index_ceildiv(ir, numerator, denominator);
    case ROUND_PREFER_CEIL: /* floor(x + 1/2) */
        return index_floordiv(ir, index_add(ir, twice, denominator), double_denominator);
    default: /* ceil(x - 1/2) */
        return index_ceildiv(ir, index_sub(ir, twice, denominator), double_denominator);
    }
}

/* o * (end - start) * (in - 1) / (out - 1) + start * (in - 1), or the middle of the region when there is one output. */
static Position position_crop(const Resizer *resizer, const ResizeAxis *axis, Node *o)
{
    static const struct {
        double shift;
        Op round;
    } rounding[] = {[ROUND_PREFER_FLOOR] = {-0.5, OP_ceil}, [ROUND_PREFER_CEIL] = {0.5, OP_floor}, [ROUND_FLOOR] = {0, OP_floor}, [ROUND_CEIL] = {0, OP_ceil}};
    Ir *const ir = resizer->ir;
    Node *const one = index_const(ir, 1);
    Node *const last = cast_make(ir, index_sub(ir, axis->in, one), DTYPE_F64);
    Node *const steps = cast_make(ir, index_sub(ir, axis->out, one), DTYPE_F64);
    Node *const size = scalar2(ir, OP_sub, axis->end, axis->start);
    Node *const along = scalar2(ir, OP_div, scalar2(ir, OP_mul, scalar2(ir, OP_mul, cast_make(ir, o, DTYPE_F64), size), last), steps);
    Node *const middle = scalar2(ir, OP_mul, scalar2(ir, OP_mul, size, last), const_float(ir, DTYPE_F64, 0.5));
    Node *const offset = scalar3(ir, OP_select, scalar2(ir, OP_gt, axis->out, one), along, middle);
    Node *const x = scalar2(ir, OP_add, offset, scalar2(ir, OP_mul, axis->start, last));
    Node *const floor_x = scalar1(ir, OP_floor, x);
    Node *const shifted = scalar2(ir, OP_add, x, const_float(ir, DTYPE_F64, rounding[resizer->plan.rounding].shift));
    Node *const below = scalar2(ir, OP_lt, x, const_float(ir, DTYPE_F64, 0)), *const above = scalar2(ir, OP_gt, x, last);
    return (Position){
        .floor = cast_make(ir, floor_x, DTYPE_INDEX),
        .nearest = cast_make(ir, scalar1(ir, rounding[resizer->plan.rounding].round, shifted), DTYPE_INDEX),
        .fraction = cast_make(ir, scalar2(ir, OP_sub, x, floor_x), resizer->compute),
        .outside = scalar2(ir, OP_or, below, above),
    };
}

static Position position_of(const Resizer *resizer, const ResizeAxis *axis, Node *o)
{
    Ir *const ir = resizer->ir;
    Node *numerator, *denominator;
    if (resizer->plan.transform == TF_CROP_AND_RESIZE)
        return position_crop(resizer, axis, o);
    position_fraction(resizer, axis, o, &numerator, &denominator);
    if (resizer->plan.mode == RESIZE_NEAREST)
        return (Position){.nearest = round_fraction(resizer, numerator, denominator)};
    Node *const floor_index = index_floordiv(ir, numerator, denominator);
    Node *const rest = index_sub(ir, numerator, index_mul(ir, denominator, floor_index));
    Node *const fraction = scalar2(ir, OP_div, cast_make(ir, rest, resizer->compute), cast_make(ir, denominator, resizer->compute));
    return (Position){.floor = floor_index, .fraction = fraction};
}

static Node *clamped(Ir *ir, Node *index, Node *extent)
{
    return index_min(ir, index_max(ir, index, index_const(ir, 0)), index_sub(ir, extent, index_const(ir, 1)));
}

/* ---- weights ---- */

/* Elements along an axis that one output takes, as floor + first ... floor + first + count - 1. When antialiased the filter is
 * stretched by 1/scale. */
typedef struct Taps {
    Node *first, *count; /* indices */
    Node *stretch;       /* distances are multiplied by it: at most 1; NULL: they are not */
} Taps;

/* Elements on either side of a position that a filter reaches when it is not stretched. */
static int64_t reach_of(const Resizer *resizer)
{
    return resizer->plan.mode == RESIZE_CUBIC ? 2 : 1;
}

static Taps taps_of(const Resizer *resizer, const ResizeAxis *axis)
{
    Ir *const ir = resizer->ir;
    const int64_t reach = reach_of(resizer);
    int64_t up, down;
    Taps taps = {.first = index_const(ir, 1 - reach)};
    const bool known = const_is_int(axis->up, &up) && const_is_int(axis->down, &down);
    if (resizer->plan.antialias && known && up < down) {
        const double stretch = (double)up / (double)down;
        taps.first = index_const(ir, (int64_t)floor((double)-reach / stretch) + 1);
        taps.stretch = constant(resizer, stretch);
    } else if (resizer->plan.antialias && !known) {
        Node *const longer = index_max(ir, axis->up, axis->down);
        taps.first = index_add(ir, index_floordiv(ir, index_mul(ir, index_const(ir, -reach), longer), axis->up), index_const(ir, 1));
        taps.stretch = scalar2(ir, OP_div, cast_make(ir, axis->up, resizer->compute), cast_make(ir, longer, resizer->compute));
    }
    taps.count = index_sub(ir, index_const(ir, 2), index_mul(ir, index_const(ir, 2), taps.first));
    return taps;
}

/* ((a + 2) x - (a + 3)) x^2 + 1, for distances up to 1 */
static Node *cubic_near(const Resizer *resizer, Node *x)
{
    Ir *const ir = resizer->ir;
    const double a = resizer->plan.cubic;
    Node *const slope = scalar2(ir, OP_sub, scalar2(ir, OP_mul, constant(resizer, a + 2), x), constant(resizer, a + 3));
    return scalar2(ir, OP_add, scalar2(ir, OP_mul, scalar2(ir, OP_mul, slope, x), x), constant(resizer, 1));
}

/* ((a x - 5a) x + 8a) x - 4a, for distances from 1 to 2 */
static Node *cubic_far(const Resizer *resizer, Node *x)
{
    Ir *const ir = resizer->ir;
    const double a = resizer->plan.cubic;
    Node *value = scalar2(ir, OP_sub, scalar2(ir, OP_mul, constant(resizer, a), x), constant(resizer, 5 * a));
    value = scalar2(ir, OP_add, scalar2(ir, OP_mul, value, x), constant(resizer, 8 * a));
    return scalar2(ir, OP_sub, scalar2(ir, OP_mul, value, x), constant(resizer, 4 * a));
}

/* The weight of the element `offset` beyond the floor, for any offset. */
static Node *weight_at(const Resizer *resizer, const Taps *taps, Node *fraction, Node *offset)
{
    Ir *const ir = resizer->ir;
    Node *const zero = constant(resizer, 0), *const one = constant(resizer, 1);
    Node *const distance = scalar1(ir, OP_abs, scalar2(ir, OP_sub, cast_make(ir, offset, resizer->compute), fraction));
    Node *const x = taps->stretch ? scalar2(ir, OP_mul, distance, taps->stretch) : distance;
    if (resizer->plan.mode == RESIZE_LINEAR)
        return scalar2(ir, OP_max, zero, scalar2(ir, OP_sub, one, x));
    Node *const far = scalar3(ir, OP_select, scalar2(ir, OP_lt, x, constant(resizer, 2)), cubic_far(resizer, x), zero);
    return scalar3(ir, OP_select, scalar2(ir, OP_le, x, one), cubic_near(resizer, x), far);
}

/* As above for the known tap number `tap` of a filter that is not stretched: which piece of it is known too. */
static Node *weight_known(const Resizer *resizer, int tap, Node *fraction)
{
    Ir *const ir = resizer->ir;
    Node *const rest = scalar2(ir, OP_sub, constant(resizer, 1), fraction);
    if (resizer->plan.mode == RESIZE_LINEAR)
        return tap == 0 ? rest : fraction;
    switch (tap) {
    case 0:
        return cubic_far(resizer, scalar2(ir, OP_add, constant(resizer, 1), fraction));
    case 1:
        return cubic_near(resizer, fraction);
    case 2:
        return cubic_near(resizer, rest);
    default:
        return cubic_far(resizer, scalar2(ir, OP_add, constant(resizer, 1), rest));
    }
}

static Node *weight_inside(const Resizer *resizer, const ResizeAxis *axis, Node *index, Node *weight)
{
    if (!resizer->plan.exclude_outside)
        return weight;
    return scalar3(resizer->ir, OP_select, lower_inside(resizer->ir, index, axis->in), weight, constant(resizer, 0));
}

/* ---- few taps: one expression ---- */

typedef struct TapTable {
    Node *index[4], *weight[4];
} TapTable;

static void table_fill(const Resizer *resizer, const ResizeAxis *axis, const Position *position, TapTable *table)
{
    Ir *const ir = resizer->ir;
    const int64_t reach = reach_of(resizer);
    Node *total = NULL;
    for (int t = 0; t < 2 * reach; t++) {
        Node *const index = index_add(ir, position->floor, index_const(ir, 1 - reach + t));
        table->index[t] = clamped(ir, index, axis->in);
        table->weight[t] = weight_inside(resizer, axis, index, weight_known(resizer, t, position->fraction));
        total = total ? scalar2(ir, OP_add, total, table->weight[t]) : table->weight[t];
    }
    for (int t = 0; t < 2 * reach && resizer->plan.exclude_outside; t++)
        table->weight[t] = scalar2(ir, OP_div, table->weight[t], total);
}

static Node *element(const Resizer *resizer, Node *const *from)
{
    return cast_make(resizer->ir, lower_at(resizer->lower, resizer->source, from), resizer->compute);
}

/* sum of weight * (the same over the axes after k); at most four axes deep, for there are at most sixteen taps. */
static Node *interpolate(const Resizer *resizer, const TapTable *tables, int k, Node **from)
{
    Ir *const ir = resizer->ir;
    if (k == resizer->count || k == UNROLLED_AXES)
        return element(resizer, from);
    Node *sum = NULL;
    for (int t = 0; t < 2 * reach_of(resizer); t++) {
        from[resizer->axis[k]] = tables[k].index[t];
        Node *const term = scalar2(ir, OP_mul, tables[k].weight[t], interpolate(resizer, tables, k + 1, from));
        sum = sum ? scalar2(ir, OP_add, sum, term) : term;
    }
    return sum;
}

/* The last resized axis first, into a temporary that has the input's extents along the others: enlarging, its rows are read many times,
 * and indices and weights of the last axis are made for few of them. The sums are the same. */
static void interpolate_last(Resizer *resizer, const TapTable *tables, Node *const *axes)
{
    const Node *const in = lower_in(resizer->lower, 0);
    const int last = resizer->axis[--resizer->count];
    Node *dims[RANK_MAX], *own[RANK_MAX], *from[RANK_MAX];
    for (int d = 0; d < in->type.rank; d++) {
        dims[d] = d == last ? resizer->plan.axes[d].out : in->type.dims[d];
        own[d] = d == last ? axes[d] : lower_axis(resizer->lower, "r", dims[d]);
        from[d] = own[d];
    }
    Node *sum = NULL;
    for (int t = 0; t < 2 * reach_of(resizer); t++) {
        from[last] = tables[resizer->count].index[t];
        Node *const term = scalar2(resizer->ir, OP_mul, tables[resizer->count].weight[t], element(resizer, from));
        sum = sum ? scalar2(resizer->ir, OP_add, sum, term) : term;
    }
    Node *const rows = lower_temp(resizer->lower, "rows", resizer->compute, in->type.rank, dims);
    lower_define(resizer->lower, rows, own, in->type.rank, sum);
    resizer->source = rows;
}

/* Is an axis of several elements before the last resized one enlarged, by known numbers? */
static bool enlarges(const Resizer *resizer)
{
    int64_t in, out;
    bool larger = false;
    for (int k = 0; k < resizer->count - 1; k++) {
        const ResizeAxis *const axis = &resizer->plan.axes[resizer->axis[k]];
        if (!const_is_int(axis->in, &in) || !const_is_int(axis->out, &out) || out < in)
            return false;
        larger = larger || (out > in && in > 1);
    }
    return larger;
}

/* ---- many taps: weights in temporaries, then a fold ---- */

/* weights[o, t], normalised where they do not add up to 1 by themselves. */
static Node *weights_define(const Resizer *resizer, const ResizeAxis *axis, const Taps *taps)
{
    Ir *const ir = resizer->ir;
    Lower *const lower = resizer->lower;
    Node *const dims[2] = {axis->out, taps->count};
    Node *const weights = lower_temp(lower, "weights", resizer->compute, 2, dims);
    Node *const o = lower_axis(lower, "o", dims[0]);
    const Position position = position_of(resizer, axis, o);
    Node *axes[2] = {o, lower_axis(lower, "t", dims[1])}, *terms[2];
    Node *const other = lower_axis(lower, "u", dims[1]);
    for (int i = 0; i < 2; i++) {
        Node *const offset = index_add(ir, i == 0 ? axes[1] : other, taps->first);
        terms[i] = weight_inside(resizer, axis, index_add(ir, position.floor, offset), weight_at(resizer, taps, position.fraction, offset));
    }
    Node *value = terms[0];
    if (resizer->plan.antialias || resizer->plan.exclude_outside)
        value = scalar2(ir, OP_div, value, fold_make(ir, FOLD_SUM, 1, &other, 1, terms[1]));
    lower_define(lower, weights, axes, 2, value);
    return weights;
}

static Node *interpolate_fold(const Resizer *resizer, const Position *positions, Node **axes, Node **from)
{
    Ir *const ir = resizer->ir;
    Node *taps_axes[RANK_MAX], *weight = NULL;
    for (int k = 0; k < resizer->count; k++) {
        const int d = resizer->axis[k];
        const ResizeAxis *const axis = &resizer->plan.axes[d];
        const Taps taps = taps_of(resizer, axis);
        char name[16];
        snprintf(name, sizeof name, "t%d", d);
        taps_axes[k] = lower_axis(resizer->lower, name, taps.count);
        Node *const weights = weights_define(resizer, axis, &taps);
        Node *const factor = lower_at(resizer->lower, weights, (Node *[]){axes[d], taps_axes[k]});
        weight = weight ? scalar2(ir, OP_mul, weight, factor) : factor;
        Node *const index = index_add(ir, positions[k].floor, index_add(ir, taps_axes[k], taps.first));
        from[d] = clamped(ir, index, axis->in);
    }
    return fold_make(ir, FOLD_SUM, 1, taps_axes, resizer->count, scalar2(ir, OP_mul, weight, element(resizer, from)));
}

static bool few_taps(const Resizer *resizer)
{
    int64_t product = 1;
    for (int k = 0; k < resizer->count && product <= UNROLLED_TAPS; k++)
        product *= 2 * reach_of(resizer);
    return product <= UNROLLED_TAPS && !resizer->plan.antialias;
}

/* ---- the room ---- */

static Node *sample(Resizer *resizer, const Position *positions, Node **axes, Node **from)
{
    Ir *const ir = resizer->ir;
    if (resizer->plan.mode == RESIZE_NEAREST || resizer->count == 0) {
        for (int k = 0; k < resizer->count; k++)
            from[resizer->axis[k]] = clamped(ir, positions[k].nearest, resizer->plan.axes[resizer->axis[k]].in);
        return lower_at(resizer->lower, lower_in(resizer->lower, 0), from);
    }
    Node *value;
    if (few_taps(resizer)) {
        TapTable tables[UNROLLED_AXES];
        for (int k = 0; k < resizer->count; k++)
            table_fill(resizer, &resizer->plan.axes[resizer->axis[k]], &positions[k], &tables[k]);
        if (enlarges(resizer))
            interpolate_last(resizer, tables, axes);
        value = interpolate(resizer, tables, 0, from);
    } else {
        value = interpolate_fold(resizer, positions, axes, from);
    }
    return dtype_is_float(lower_in(resizer->lower, 0)->type.dtype) ? value : scalar1(ir, OP_round, value);
}

/* Weights of wide integers are f64, for f32 does not hold their values. */
static Dtype resize_compute(Dtype dtype)
{
    if (dtype_is_float(dtype))
        return dtype_compute(dtype);
    return dtype_info[dtype].bits >= 32 ? DTYPE_F64 : DTYPE_F32;
}

bool resize_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const Infer infer = lower_infer(lower);
    Resizer resizer = {.lower = lower, .ir = ir, .compute = resize_compute(x->type.dtype), .source = x};
    Node *axes[RANK_MAX], *from[RANK_MAX], *outside = const_bool(ir, false);
    Position positions[RANK_MAX];
    if (!resize_plan(&infer, &resizer.plan))
        return false;
    lower_axes(lower, lower_out(lower, 0)->type, axes);
    for (int d = 0; d < x->type.rank; d++) {
        from[d] = axes[d];
        if (resizer.plan.axes[d].identity)
            continue;
        Position *const position = &positions[resizer.count];
        resizer.axis[resizer.count++] = d;
        *position = position_of(&resizer, &resizer.plan.axes[d], axes[d]);
        if (position->outside)
            outside = scalar2(ir, OP_or, outside, position->outside);
    }
    Node *const value = sample(&resizer, positions, axes, from);
    Node *const extrapolation = value->type.dtype == DTYPE_BOOL
                                    ? const_bool(ir, resizer.plan.extrapolation != 0)
                                    : const_float(ir, value->type.dtype, resizer.plan.extrapolation);
    lower_define(lower, lower_out(lower, 0), axes, x->type.rank, guard_make(ir, scalar1(ir, OP_not, outside), value, extrapolation));
    return true;
}
