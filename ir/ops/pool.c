/* Pools: extremes and averages over windows. Padding is outside every window: a guard gives the neutral element there. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"
#include "ir/ops/window.h"

#include <math.h>
#include <stdio.h>

static bool pool_window(const Infer *infer, Type x, Window *window)
{
    Node *kernel[RANK_MAX];
    int64_t extents[RANK_MAX];
    int count;
    const int rank = x.rank - 2;
    attribute_ints(infer->node, "kernel_shape", &count);
    if (count == 0)
        return infer_error(infer, "%s needs the attribute kernel_shape", op_name(infer->node->op));
    if (!window_values(infer, "kernel_shape", rank, rank, 1, 1, extents))
        return false;
    for (int d = 0; d < rank; d++)
        kernel[d] = index_const(infer->ir, extents[d]);
    return window_read(infer, rank, x.dims + 2, kernel, window);
}

static bool image_check(const Infer *infer, Type x)
{
    return x.rank >= 3 || infer_error(infer, "%s takes [N,C,spatial...], not %s", op_name(infer->node->op), type_text(infer->ir, x));
}

bool pool_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    Window window;
    if (!image_check(infer, x) || !pool_window(infer, x, &window))
        return false;
    Node *dims[RANK_MAX] = {x.dims[0], x.dims[1]};
    for (int d = 0; d < window.rank; d++)
        dims[2 + d] = window.out[d];
    infer->types[0] = type_tensor(infer->ir, x.dtype, x.rank, dims);
    if (infer->output_count > 1)
        infer->types[1] = type_tensor(infer->ir, DTYPE_I64, x.rank, dims);
    return true;
}

bool global_pool_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    if (!image_check(infer, x))
        return false;
    Node *dims[RANK_MAX] = {x.dims[0], x.dims[1]};
    for (int d = 2; d < x.rank; d++)
        dims[d] = index_const(infer->ir, 1);
    infer->types[0] = type_tensor(infer->ir, x.dtype, x.rank, dims);
    return true;
}

/* The smallest value of a dtype: what max starts from. */
static Node *lowest(Ir *ir, Dtype dtype)
{
    if (dtype_is_float(dtype))
        return const_float(ir, dtype, -INFINITY);
    const int bits = dtype_info[dtype].bits;
    return const_int(ir, dtype, dtype_is_signed(dtype) ? (int64_t)(UINT64_MAX << (bits - 1)) : 0);
}

/* Fresh axes of the output and taps of a window, where they read, and whether that is in the image. */
typedef struct WindowFold {
    Node *axes[RANK_MAX], *taps[RANK_MAX], *from[RANK_MAX];
    Node *inside;
} WindowFold;

static void window_fold_open(Lower *lower, const Window *window, WindowFold *fold)
{
    lower_axes(lower, lower_out(lower, 0)->type, fold->axes);
    for (int d = 0; d < window->rank; d++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", d);
        fold->taps[d] = lower_axis(lower, name, window->kernel[d]);
    }
    fold->from[0] = fold->axes[0];
    fold->from[1] = fold->axes[1];
    fold->inside = window_indices(lower->ir, window, fold->axes + 2, fold->taps, fold->from + 2);
}

/* fold(kind, taps) guard(inside, x, outside), over fresh axes of the output. */
static Node *window_fold(Lower *lower, const Window *window, FoldKind kind, Node *outside, Node **axes)
{
    WindowFold fold;
    window_fold_open(lower, window, &fold);
    for (int i = 0; i < lower_out(lower, 0)->type.rank; i++)
        axes[i] = fold.axes[i];
    Node *const value = guard_make(lower->ir, fold.inside, lower_at(lower, lower_in(lower, 0), fold.from), outside);
    return fold_make(lower->ir, kind, 1, fold.taps, window->rank, value);
}

/* Kernel taps of number `tap`, the last spatial axis running fastest. */
static void taps_of(Ir *ir, const Window *window, Node *tap, Node **taps)
{
    for (int d = window->rank - 1; d >= 0; d--) {
        Node *const rest = d ? index_floordiv(ir, tap, window->kernel[d]) : index_const(ir, 0);
        taps[d] = index_sub(ir, tap, index_mul(ir, rest, window->kernel[d]));
        tap = rest;
    }
}

/* Where in the flat input each maximum stands: taps are numbered, the fold gives the number, and the number the position. With
 * storage_order 1 the spatial axes count as if the first ran fastest. */
static void indices_define(Lower *lower, const Window *window)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    Node *axes[RANK_MAX], *taps[RANK_MAX], *from[RANK_MAX];
    lower_axes(lower, lower_out(lower, 1)->type, axes);
    from[0] = axes[0];
    from[1] = axes[1];
    Node *const tap = lower_axis(lower, "t", dims_product(ir, window->kernel, window->rank));
    taps_of(ir, window, tap, taps);
    Node *const inside = window_indices(ir, window, axes + 2, taps, from + 2);
    Node *const value = guard_make(ir, inside, lower_at(lower, x, from), lowest(ir, dtype_compute(x->type.dtype)));
    taps_of(ir, window, fold_make(ir, FOLD_ARGMAX, 1, &tap, 1, value), taps);
    window_indices(ir, window, axes + 2, taps, from + 2);
    const bool column_major = attribute_int(lower->node, "storage_order", 0) != 0;
    Node *flat = index_add(ir, index_mul(ir, axes[0], x->type.dims[1]), axes[1]);
    for (int i = 0; i < window->rank; i++) {
        const int d = column_major ? window->rank - 1 - i : i;
        flat = index_add(ir, index_mul(ir, flat, window->in[d]), from[2 + d]);
    }
    lower_define(lower, lower_out(lower, 1), axes, x->type.rank, flat);
}

bool max_pool_lower(Lower *lower)
{
    const Infer infer = lower_infer(lower);
    const Type x = lower_in(lower, 0)->type;
    Window window;
    Node *axes[RANK_MAX];
    if (!pool_window(&infer, x, &window))
        return false;
    Node *const value = window_fold(lower, &window, FOLD_MAX, lowest(lower->ir, dtype_compute(x.dtype)), axes);
    lower_define(lower, lower_out(lower, 0), axes, x.rank, value);
    if (lower->node->result_count > 1)
        indices_define(lower, &window);
    return true;
}

/* How many taps of the window at `out` fall into low <= position < high along axis d. */
static Node *taps_within(Ir *ir, const Window *window, int d, Node *out, Node *low, Node *high)
{
    Node *const dilation = index_const(ir, window->dilations[d]), *const zero = index_const(ir, 0);
    Node *const start = window_index(ir, window, d, out, zero);
    Node *const first = index_max(ir, zero, index_ceildiv(ir, index_sub(ir, low, start), dilation));
    Node *const end = index_min(ir, window->kernel[d], index_ceildiv(ir, index_sub(ir, high, start), dilation));
    return index_sub(ir, end, first);
}

/* The mean of a window counts the taps in the image, or with count_include_pad those in the padded image; never those that ceil_mode lets
 * hang over the padding. */
bool average_pool_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    const Type x = lower_in(lower, 0)->type;
    const Dtype compute = dtype_compute(x.dtype);
    const bool padding_counts = attribute_int(lower->node, "count_include_pad", 0) != 0;
    Window window;
    Node *axes[RANK_MAX];
    if (!pool_window(&infer, x, &window))
        return false;
    Node *const sum = window_fold(lower, &window, FOLD_SUM, const_float(ir, compute, 0), axes);
    Node *count = index_const(ir, 1);
    for (int d = 0; d < window.rank; d++) {
        Node *low = index_const(ir, 0), *high = window.in[d];
        if (padding_counts) {
            low = index_sub(ir, low, window.before[d]);
            high = index_add(ir, high, window.after[d]);
        }
        count = index_mul(ir, count, taps_within(ir, &window, d, axes[2 + d], low, high));
    }
    Node *const mean = scalar2(ir, OP_div, sum, cast_make(ir, count, compute));
    lower_define(lower, lower_out(lower, 0), axes, x.rank, mean);
    return true;
}

/* ---- norms of windows ---- */

bool lp_pool_shape(Infer *infer)
{
    const int64_t p = attribute_int(infer->node, "p", 2);
    return p >= 1 ? pool_shape(infer) : infer_error(infer, "p is %lld, less than 1", (long long)p);
}

bool global_lp_pool_shape(Infer *infer)
{
    const int64_t p = attribute_int(infer->node, "p", 2);
    return p >= 1 ? global_pool_shape(infer) : infer_error(infer, "p is %lld, less than 1", (long long)p);
}

/* |x|^p */
static Node *power_of(Ir *ir, Node *x, int64_t p)
{
    Node *const size = scalar1(ir, OP_abs, x);
    return p == 1 ? size : p == 2 ? scalar2(ir, OP_mul, x, x) : scalar2(ir, OP_pow, size, const_float(ir, x->type.dtype, (double)p));
}

static Node *root_of(Ir *ir, Node *sum, int64_t p)
{
    return p == 1 ? sum : p == 2 ? scalar1(ir, OP_sqrt, sum) : scalar2(ir, OP_pow, sum, const_float(ir, sum->type.dtype, 1 / (double)p));
}

/* (sum |x|^p)^(1/p) */
bool lp_pool_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    Node *const x = lower_in(lower, 0);
    const int64_t p = attribute_int(lower->node, "p", 2);
    Window window;
    WindowFold fold;
    if (!pool_window(&infer, x->type, &window))
        return false;
    window_fold_open(lower, &window, &fold);
    Node *const term = guard_make(ir, fold.inside, power_of(ir, lower_at(lower, x, fold.from), p), const_float(ir, dtype_compute(x->type.dtype), 0));
    Node *const sum = fold_make(ir, FOLD_SUM, 1, fold.taps, window.rank, term);
    lower_define(lower, lower_out(lower, 0), fold.axes, x->type.rank, root_of(ir, sum, p));
    return true;
}

/* Fresh axes of the output, and indices of the input: all spatial ones are reduced. */
static void global_axes(Lower *lower, Node **axes, Node **from)
{
    Node *const x = lower_in(lower, 0);
    lower_axes(lower, lower_out(lower, 0)->type, axes);
    from[0] = axes[0];
    from[1] = axes[1];
    for (int d = 2; d < x->type.rank; d++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", d - 2);
        from[d] = lower_axis(lower, name, x->type.dims[d]);
    }
}

/* A fold over all spatial axes. */
static Node *global_fold(Lower *lower, FoldKind kind, Node **axes)
{
    Node *const x = lower_in(lower, 0);
    Node *from[RANK_MAX];
    global_axes(lower, axes, from);
    return fold_make(lower->ir, kind, 1, from + 2, x->type.rank - 2, lower_at(lower, x, from));
}

bool global_average_pool_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Type x = lower_in(lower, 0)->type;
    Node *axes[RANK_MAX];
    Node *const sum = global_fold(lower, FOLD_SUM, axes);
    Node *const count = cast_make(ir, dims_product(ir, x.dims + 2, x.rank - 2), dtype_compute(x.dtype));
    lower_define(lower, lower_out(lower, 0), axes, x.rank, scalar2(ir, OP_div, sum, count));
    return true;
}

bool global_max_pool_lower(Lower *lower)
{
    Node *axes[RANK_MAX];
    Node *const value = global_fold(lower, FOLD_MAX, axes);
    lower_define(lower, lower_out(lower, 0), axes, lower_in(lower, 0)->type.rank, value);
    return true;
}

bool global_lp_pool_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const int64_t p = attribute_int(lower->node, "p", 2);
    Node *axes[RANK_MAX], *from[RANK_MAX];
    global_axes(lower, axes, from);
    Node *const sum = fold_make(ir, FOLD_SUM, 1, from + 2, x->type.rank - 2, power_of(ir, lower_at(lower, x, from), p));
    lower_define(lower, lower_out(lower, 0), axes, x->type.rank, root_of(ir, sum, p));
    return true;
}
