/* DFT and STFT: what they transform; fourier.c says how. */
#include "ir/ops/fourier.h"
#include "ir/ops/refused.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

/* The one element of scalar input i; NULL after a diagnostic. */
static Node *scalar_known(const Infer *infer, int i, const char *name)
{
    const Type type = infer_type(infer, i);
    int count;
    if (type.rank > 1 || !index_is(type_elements(infer->ir, type), 1)) {
        infer_error(infer, "%s must be a scalar, not %s", name, type_text(infer->ir, type));
        return NULL;
    }
    const int errors = infer->ir->diagnostics->error_count;
    Node *const *const contents = infer_contents(infer, i, &count);
    if (!contents && infer->ir->diagnostics->error_count == errors)
        diag_error(infer->ir->diagnostics, EXIT_UNSUPPORTED, infer->ir->where,
                   "%s of %s cannot be derived from dims and inputs", name, op_name(infer->node->op));
    return contents ? contents[0] : NULL;
}

/* 1 <= length, and not beyond what tables are made for. */
static bool length_check(const Infer *infer, Node *length, const char *name)
{
    int64_t value;
    if (const_is_int(length, &value) && value > FOURIER_LENGTH_MAX)
        return diag_error(infer->ir->diagnostics, EXIT_LIMIT, infer->ir->where,
                          "%s is %lld, the limit is %d", name, (long long)value, FOURIER_LENGTH_MAX);
    const char *const text = arena_format(infer->ir->arena, "%s: %s is less than 1", op_name(infer->node->op), name);
    return run_check(infer->ir, scalar2(infer->ir, OP_ge, length, index_const(infer->ir, 1)), text) ||
           infer_error(infer, "%s is less than 1", name);
}

/* Of the last dim: 1 real numbers, 2 complex ones; 0 after a diagnostic. */
static int parts_of(const Infer *infer)
{
    const Type x = infer_type(infer, 0);
    int64_t parts = 0;
    const bool known = x.rank >= 2 && const_is_int(x.dims[x.rank - 1], &parts);
    if (known && (parts == 1 || parts == 2))
        return (int)parts;
    if (x.rank >= 2 && !known)
        return refused(infer->ir, REFUSED_FOURIER_PARTS);
    infer_error(infer, "%s takes [..., 1] or [..., 2], real or complex numbers, not %s", op_name(infer->node->op),
                type_text(infer->ir, x));
    return 0;
}

/* One half of the frequencies and the one in the middle. */
static Node *half_of(Ir *ir, Node *length)
{
    return index_add(ir, index_floordiv(ir, length, index_const(ir, 2)), index_const(ir, 1));
}

/* ---- DFT ---- */

typedef struct DftPlan {
    int parts;
    bool inverse, onesided;
    int rank;     /* of signals and batch: without the parts */
    Node *axis;   /* 0..rank-1, an index */
    Node *extent; /* of the input, along the axis */
    Node *given;  /* the input dft_length, or NULL */
    Node *length;
} DftPlan;

/* The length of a transform along an axis of `extent`. */
static Node *plan_length(Ir *ir, const DftPlan *plan, Node *extent)
{
    if (plan->given)
        return plan->given;
    return plan->inverse && plan->onesided ? index_mul(ir, index_const(ir, 2), index_sub(ir, extent, index_const(ir, 1)))
                                           : extent;
}

static bool plan_axis(const Infer *infer, DftPlan *plan)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    Node *const given = infer_has(infer, 2) ? scalar_known(infer, 2, "axis") : index_const(ir, -2);
    int64_t value;
    if (!given)
        return false;
    if (const_is_int(given, &value)) {
        int axis;
        if (!infer_axis(infer, value, x.rank, false, &axis))
            return false;
        if (axis == x.rank - 1)
            return infer_error(infer, "the axis %lld is that of real and imaginary parts", (long long)value);
        plan->axis = index_const(ir, axis);
        plan->extent = x.dims[axis];
        return true;
    }
    Node *const negative = scalar2(ir, OP_lt, given, index_const(ir, 0));
    plan->axis = scalar3(ir, OP_select, negative, index_add(ir, given, index_const(ir, x.rank)), given);
    if (!run_check(ir, lower_inside(ir, plan->axis, index_const(ir, plan->rank)), "DFT: the axis is outside the rank"))
        return infer_error(infer, "the axis is outside the rank");
    plan->extent = x.dims[0];
    for (int d = 1; d < plan->rank; d++)
        plan->extent = scalar3(ir, OP_select, scalar2(ir, OP_eq, plan->axis, index_const(ir, d)), x.dims[d], plan->extent);
    return true;
}

static bool dft_plan(const Infer *infer, DftPlan *plan)
{
    plan->parts = parts_of(infer);
    plan->rank = infer_type(infer, 0).rank - 1;
    plan->inverse = attribute_int(infer->node, "inverse", 0) != 0;
    plan->onesided = attribute_int(infer->node, "onesided", 0) != 0;
    if (!plan->parts || !plan_axis(infer, plan))
        return false;
    plan->given = infer_has(infer, 1) ? scalar_known(infer, 1, "dft_length") : NULL;
    if (infer_has(infer, 1) && !plan->given)
        return false;
    plan->length = plan_length(infer->ir, plan, plan->extent);
    return length_check(infer, plan->length, "dft_length");
}

/* Dims of the output of a transform along `axis`. */
static void dft_dims(Ir *ir, const DftPlan *plan, Type x, Node *axis, Node *length, Node **dims)
{
    Node *const along = plan->onesided && !plan->inverse ? half_of(ir, length) : length;
    for (int d = 0; d < plan->rank; d++)
        dims[d] = scalar3(ir, OP_select, scalar2(ir, OP_eq, axis, index_const(ir, d)), along, x.dims[d]);
    dims[plan->rank] = index_const(ir, plan->onesided && plan->inverse ? 1 : 2);
}

bool dft_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    DftPlan plan;
    if (!dft_plan(infer, &plan))
        return false;
    Node *dims[RANK_MAX];
    dft_dims(ir, &plan, x, plan.axis, plan.length, dims);
    infer->types[0] = type_tensor(ir, x.dtype, x.rank, dims);
    return true;
}

/* What a sample is taken from. */
typedef struct DftSource {
    const DftPlan *plan;
    int axis;
    Node *extent, *length; /* along the axis */
} DftSource;

/* Zeros behind the signal. The inverse of one half takes the other from symmetry: x[N - n] is x[n] with the imaginary
 * part negated. */
static Node *dft_sample(const Fourier *fourier, const void *context, Node *const *batch, Node *n, Node *c)
{
    const DftSource *const source = context;
    Lower *const lower = fourier->lower;
    Ir *const ir = lower->ir;
    const int rank = source->plan->rank;
    Node *at[RANK_MAX], *sign = NULL;
    if (source->plan->onesided && source->plan->inverse) {
        Node *const below = scalar2(ir, OP_lt, n, half_of(ir, source->length));
        Node *const flipped = scalar2(ir, OP_and, scalar1(ir, OP_not, below), scalar2(ir, OP_eq, c, index_const(ir, 1)));
        sign = scalar3(ir, OP_select, flipped, const_float(ir, fourier->compute, -1), const_float(ir, fourier->compute, 1));
        n = scalar3(ir, OP_select, below, n, index_sub(ir, source->length, n));
    }
    for (int d = 0; d < rank; d++)
        at[d] = d == source->axis ? n : batch[d < source->axis ? d : d - 1];
    at[rank] = c;
    Node *value = lower_at(lower, lower_in(lower, 0), at);
    if (sign)
        value = scalar2(ir, OP_mul, value, sign);
    return guard_make(ir, scalar2(ir, OP_lt, n, source->extent), value, const_float(ir, fourier->compute, 0));
}

static void dft_define(Lower *lower, const DftPlan *plan, int axis, Node *length, Node *out)
{
    const Type x = lower_in(lower, 0)->type;
    const DftSource source = {plan, axis, x.dims[axis], length};
    Fourier fourier = {.lower = lower,
                       .compute = dtype_compute(x.dtype),
                       .place = axis,
                       .length = length,
                       .inverse = plan->inverse,
                       .real = plan->parts == 1,
                       .real_only = plan->onesided && plan->inverse,
                       .sample = dft_sample,
                       .context = &source};
    for (int d = 0; d < plan->rank; d++)
        if (d != axis)
            fourier.batch[fourier.batch_rank++] = x.dims[d];
    fourier_define(&fourier, out);
}

/* An axis that only a run knows: the transforms along every axis, and a choice among them. */
static void dft_any(Lower *lower, const DftPlan *plan)
{
    Ir *const ir = lower->ir;
    const Type x = lower_in(lower, 0)->type;
    Node *const out = lower_out(lower, 0), *axes[RANK_MAX], *results[RANK_MAX] = {0};
    for (int d = 0; d < plan->rank; d++) {
        Node *const length = plan_length(ir, plan, x.dims[d]);
        int64_t known;
        if (const_is_int(length, &known) && known < 1)
            continue; /* then it is not this axis */
        Node *dims[RANK_MAX];
        dft_dims(ir, plan, x, index_const(ir, d), length, dims);
        results[d] = lower_temp(lower, "transform", dtype_compute(x.dtype), x.rank, dims);
        dft_define(lower, plan, d, length, results[d]);
    }
    lower_axes(lower, out->type, axes);
    Node *value = const_float(ir, dtype_compute(x.dtype), 0);
    for (int d = 0; d < plan->rank; d++)
        if (results[d])
            value = guard_make(ir, scalar2(ir, OP_eq, plan->axis, index_const(ir, d)), lower_at(lower, results[d], axes),
                               value);
    lower_define(lower, out, axes, x.rank, value);
}

bool dft_lower(Lower *lower)
{
    const Infer infer = lower_infer(lower);
    DftPlan plan;
    int64_t axis;
    if (!dft_plan(&infer, &plan))
        return false;
    if (const_is_int(plan.axis, &axis))
        dft_define(lower, &plan, (int)axis, plan.length, lower_out(lower, 0));
    else
        dft_any(lower, &plan);
    return true;
}

/* ---- STFT ---- */

typedef struct StftPlan {
    int parts;
    Node *step, *length, *frames;
} StftPlan;

static bool stft_plan(const Infer *infer, StftPlan *plan)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    plan->parts = parts_of(infer);
    if (!plan->parts)
        return false;
    if (x.rank != 3)
        return infer_error(infer, "STFT takes [batch, length, 1 or 2], not %s", type_text(ir, x));
    if (infer_has(infer, 2) && (infer_type(infer, 2).rank != 1 || infer_type(infer, 2).dtype != x.dtype))
        return infer_error(infer, "the window must be a list of %s, not %s", dtype_info[x.dtype].name,
                           type_text(ir, infer_type(infer, 2)));
    Node *const window = infer_has(infer, 2) ? infer_type(infer, 2).dims[0] : NULL;
    plan->step = scalar_known(infer, 1, "frame_step");
    plan->length = infer_has(infer, 3) ? scalar_known(infer, 3, "frame_length") : window ? window : x.dims[1];
    if (!plan->step || !plan->length || !length_check(infer, plan->step, "frame_step") ||
        !length_check(infer, plan->length, "frame_length"))
        return false;
    if (window && !infer_same_dim(infer, window, plan->length, "window and frame_length"))
        return false;
    Node *const room = index_sub(ir, x.dims[1], plan->length);
    if (!run_check(ir, scalar2(ir, OP_ge, room, index_const(ir, 0)), "STFT: a frame is longer than the signal"))
        return infer_error(infer, "a frame is longer than the signal %s", type_text(ir, x));
    plan->frames = index_add(ir, index_floordiv(ir, room, plan->step), index_const(ir, 1));
    return true;
}

bool stft_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    StftPlan plan;
    if (!stft_plan(infer, &plan))
        return false;
    const bool onesided = attribute_int(infer->node, "onesided", 1) != 0;
    if (onesided && plan.parts == 2)
        return infer_error(infer, "STFT of complex numbers has no symmetric half: onesided must be 0");
    Node *const dims[4] = {x.dims[0], plan.frames, onesided ? half_of(ir, plan.length) : plan.length,
                           index_const(ir, 2)};
    infer->types[0] = type_tensor(ir, x.dtype, 4, dims);
    return true;
}

/* Sample n of a frame, under the window. */
static Node *stft_sample(const Fourier *fourier, const void *context, Node *const *batch, Node *n, Node *c)
{
    const StftPlan *const plan = context;
    Lower *const lower = fourier->lower;
    Ir *const ir = lower->ir;
    Node *const position = index_add(ir, index_mul(ir, batch[1], plan->step), n);
    Node *const value = lower_at(lower, lower_in(lower, 0), (Node *[]){batch[0], position, c});
    return lower_has(lower, 2) ? scalar2(ir, OP_mul, value, lower_at(lower, lower_in(lower, 2), &n)) : value;
}

bool stft_lower(Lower *lower)
{
    const Infer infer = lower_infer(lower);
    Node *const x = lower_in(lower, 0);
    StftPlan plan;
    if (!stft_plan(&infer, &plan))
        return false;
    const Fourier fourier = {.lower = lower,
                             .compute = dtype_compute(x->type.dtype),
                             .batch_rank = 2,
                             .batch = {x->type.dims[0], plan.frames},
                             .place = 2,
                             .length = plan.length,
                             .real = plan.parts == 1,
                             .sample = stft_sample,
                             .context = &plan};
    fourier_define(&fourier, lower_out(lower, 0));
    return true;
}
