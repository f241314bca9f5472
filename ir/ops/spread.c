/* Operators that spread each element over a window: ConvTranspose and Col2Im. They are written from the output's side:
 * what reaches an output element, so that no element is written twice.
 *
 *     y[n, g*O' + o, s...] = sum(c, p...) x[n, g*C' + c, (s + pad - p*dilation)/stride ...] * w[g*C' + c, o, p...]
 * where that divides
 *
 * Along an axis without dilation the output falls into `stride` phases, each with its own taps and affine places: each
 * combination of phases is a piece of the output. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"
#include "ir/ops/window.h"

#include <stdio.h>
#include <string.h>

enum { PIECES_MAX = 64 };

typedef struct Spread {
    int rank;
    int64_t strides[RANK_MAX], dilations[RANK_MAX];
    Node *in[RANK_MAX], *kernel[RANK_MAX], *out[RANK_MAX];
    Node *before[RANK_MAX]; /* padding that is cut off at the start */
} Spread;

/* ---- ConvTranspose: shapes ---- */

/* Is the padding that brings the spread input to the size asked for none below 0? One missing element at the end is an
 * empty place there; for more of them the ways to share them out differ. */
static bool total_check(const Infer *infer, int d, Node *total, bool upper)
{
    Ir *const ir = infer->ir;
    int64_t known;
    const char *const text = arena_format(
        ir->arena, "ConvTranspose: spatial axis %d of the output is longer than what the input spreads to", d);
    if (const_is_int(total, &known) && known < (upper ? 0 : -1))
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where, "%s, which is not supported", text);
    return run_check(ir, scalar2(ir, OP_ge, total, index_const(ir, upper ? 0 : -1)), text) ||
           infer_error(infer, "%s", text);
}

/* What strides, kernel and output_padding spread an axis to, before the padding is cut off. */
static Node *spread_extent(Ir *ir, const Spread *spread, int d, int64_t more)
{
    Node *const one = index_const(ir, 1);
    Node *const steps = index_mul(ir, index_sub(ir, spread->in[d], one), index_const(ir, spread->strides[d]));
    Node *const span = index_mul(ir, index_sub(ir, spread->kernel[d], one), index_const(ir, spread->dilations[d]));
    return index_add(ir, index_add(ir, steps, span), index_const(ir, more + 1));
}

static bool spread_read(const Infer *infer, Type x, Type w, Spread *spread)
{
    Ir *const ir = infer->ir;
    const int rank = x.rank - 2;
    int64_t pads[2 * RANK_MAX], more[RANK_MAX], asked[RANK_MAX];
    int given;
    const char *const mode = attribute_string(infer->node, "auto_pad", "NOTSET");
    const bool upper = strcmp(mode, "SAME_UPPER") == 0, same = upper || strcmp(mode, "SAME_LOWER") == 0,
               valid = strcmp(mode, "VALID") == 0;
    if (!same && !valid && strcmp(mode, "NOTSET") != 0)
        return infer_error(infer, "auto_pad '%s' is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER",
                           diag_quote(ir->arena, mode, 40));
    spread->rank = rank;
    attribute_ints(infer->node, "output_shape", &given);
    if (!window_values(infer, "strides", rank, rank, 1, 1, spread->strides) ||
        !window_values(infer, "dilations", rank, rank, 1, 1, spread->dilations) ||
        !window_values(infer, "pads", 2 * rank, rank, 0, 0, pads) ||
        !window_values(infer, "output_padding", rank, rank, 0, 0, more) ||
        !window_values(infer, "output_shape", rank, rank, 1, 1, asked))
        return false;
    for (int d = 0; d < rank; d++) {
        spread->in[d] = x.dims[2 + d];
        spread->kernel[d] = w.dims[2 + d];
        Node *const whole = spread_extent(ir, spread, d, more[d]);
        spread->before[d] = index_const(ir, valid ? 0 : pads[d]);
        spread->out[d] = valid ? whole : index_sub(ir, whole, index_const(ir, pads[d] + pads[rank + d]));
        if (given || same) {
            spread->out[d] =
                given ? index_const(ir, asked[d]) : index_mul(ir, spread->in[d], index_const(ir, spread->strides[d]));
            Node *const total = index_sub(ir, whole, spread->out[d]);
            if (!total_check(infer, d, total, upper))
                return false;
            Node *const half = index_floordiv(ir, total, index_const(ir, 2));
            spread->before[d] = upper ? half : index_sub(ir, total, half);
        }
        const char *const text = arena_format(ir->arena, "ConvTranspose: spatial axis %d of the output is empty", d);
        if (!run_check(ir, scalar2(ir, OP_ge, spread->out[d], index_const(ir, 1)), text))
            return infer_error(infer, "spatial axis %d of the output is empty: the input is %s", d, type_text(ir, x));
    }
    return true;
}

static bool transpose_check(const Infer *infer, Type x, Type w)
{
    Ir *const ir = infer->ir;
    const int64_t group = attribute_int(infer->node, "group", 1);
    int count;
    const int64_t *const kernel = attribute_ints(infer->node, "kernel_shape", &count);
    if (x.rank < 3 || w.rank != x.rank)
        return infer_error(infer, "ConvTranspose takes [N,C,spatial...] and a weight of the same rank, not %s and %s",
                           type_text(ir, x), type_text(ir, w));
    if (group < 1 || group > INT32_MAX)
        return infer_error(infer, "group is %lld, outside 1..%lld", (long long)group, (long long)INT32_MAX);
    if (!infer_same_dim(infer, x.dims[1], w.dims[0], "channels of input and weight"))
        return false;
    Node *const rest = index_mod(ir, w.dims[0], index_const(ir, group));
    if (!run_check(ir, scalar2(ir, OP_eq, rest, index_const(ir, 0)),
                   "ConvTranspose: the groups do not divide the input channels"))
        return infer_error(infer, "%lld groups do not divide the channels of %s", (long long)group, type_text(ir, x));
    if (count && count != x.rank - 2)
        return infer_error(infer, "kernel_shape has %d values but the weight is %s", count, type_text(ir, w));
    for (int d = 0; d < count; d++)
        if (!infer_same_dim(infer, index_const(ir, kernel[d]), w.dims[2 + d], "kernel_shape and the weight's dim"))
            return false;
    for (int d = 0; d < x.rank - 2; d++)
        if (index_range(ir, w.dims[2 + d]).high < 1)
            return infer_error(infer, "the weight %s has an empty spatial dimension", type_text(ir, w));
    return true;
}

bool conv_transpose_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), w = infer_type(infer, 1);
    Spread spread;
    for (int i = 1; i < (int)infer->node->input_count; i++)
        if (infer_has(infer, i) && infer_type(infer, i).dtype != x.dtype)
            return infer_error(infer, "input %d is %s but input 0 is %s, their types must agree", i,
                               type_text(ir, infer_type(infer, i)), type_text(ir, x));
    if (!transpose_check(infer, x, w) || !spread_read(infer, x, w, &spread))
        return false;
    Node *dims[RANK_MAX] = {x.dims[0],
                            index_mul(ir, w.dims[1], index_const(ir, attribute_int(infer->node, "group", 1)))};
    for (int d = 0; d < spread.rank; d++)
        dims[2 + d] = spread.out[d];
    infer->types[0] = type_tensor(ir, x.dtype, x.rank, dims);
    if (!infer_has(infer, 2))
        return true;
    const Type bias = infer_type(infer, 2);
    return bias.rank == 1
               ? infer_same_dim(infer, bias.dims[0], dims[1], "bias and output channels")
               : infer_error(infer, "the bias must have 1 dimension, not %d: it is %s", bias.rank, type_text(ir, bias));
}

/* ---- places ---- */

/* One axis of a piece: output place, tap and input place over an axis of the piece and a reduced one. */
typedef struct SpreadPlace {
    Node *axis, *reduced;
    Node *out, *tap, *in;
    Node *inside;
} SpreadPlace;

/* Can the places along axis d be split into one phase for each step of the stride? Else they are found by division. */
static bool has_phases(const Spread *spread, int d)
{
    int64_t ignored;
    return const_is_int(spread->before[d], &ignored) && const_is_int(spread->kernel[d], &ignored) &&
           spread->dilations[d] == 1 && spread->strides[d] <= PIECES_MAX;
}

/* Every output place and every tap: the input place is where the stride divides. */
static SpreadPlace place_divided(Lower *lower, const Spread *spread, int d)
{
    Ir *const ir = lower->ir;
    char name[16];
    SpreadPlace place;
    snprintf(name, sizeof name, "s%d", d);
    place.out = place.axis = lower_axis(lower, name, spread->out[d]);
    snprintf(name, sizeof name, "p%d", d);
    place.tap = place.reduced = lower_axis(lower, name, spread->kernel[d]);
    Node *const reach = index_mul(ir, place.tap, index_const(ir, spread->dilations[d]));
    Node *const from = index_sub(ir, index_add(ir, place.out, spread->before[d]), reach), *const stride = index_const(
                                                                                              ir, spread->strides[d]);
    place.in = index_floordiv(ir, from, stride);
    place.inside = scalar2(ir, OP_and, scalar2(ir, OP_eq, index_mod(ir, from, stride), index_const(ir, 0)),
                           lower_inside(ir, place.in, spread->in[d]));
    return place;
}

/* Output places stride*u + phase meet taps stride*q + first; the input place is u - q + a constant. */
static SpreadPlace place_phase(Lower *lower, const Spread *spread, int d, int64_t phase)
{
    Ir *const ir = lower->ir;
    const int64_t stride = spread->strides[d];
    int64_t before = 0, kernel = 0;
    const_is_int(spread->before[d], &before);
    const_is_int(spread->kernel[d], &kernel);
    const int64_t first = (phase + before) % stride, taps = kernel > first ? (kernel - first + stride - 1) / stride : 0;
    char name[16];
    SpreadPlace place;
    snprintf(name, sizeof name, "s%d", d);
    place.axis = lower_axis(
        lower, name, index_ceildiv(ir, index_sub(ir, spread->out[d], index_const(ir, phase)), index_const(ir, stride)));
    place.out = index_add(ir, index_mul(ir, place.axis, index_const(ir, stride)), index_const(ir, phase));
    snprintf(name, sizeof name, "p%d", d);
    place.reduced = lower_axis(lower, name, index_const(ir, taps));
    place.tap = index_add(ir, index_mul(ir, place.reduced, index_const(ir, stride)), index_const(ir, first));
    place.in =
        index_add(ir, index_sub(ir, place.axis, place.reduced), index_const(ir, (phase + before - first) / stride));
    place.inside = lower_inside(ir, place.in, spread->in[d]);
    return place;
}

static void piece_define(Lower *lower, const Spread *spread, const SpreadPlace *places)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const w = lower_in(lower, 1), *const y = lower_out(lower, 0);
    const Dtype compute = dtype_compute(x->type.dtype);
    const int64_t group = attribute_int(lower->node, "group", 1);
    Node *const channels = index_floordiv(ir, w->type.dims[0], index_const(ir, group));
    Node *axes[RANK_MAX + 1], *reduced[RANK_MAX], *at[RANK_MAX], *from[RANK_MAX], *weight[RANK_MAX];
    int count = 0, reduced_count = 0;
    Node *inside = const_bool(ir, true), *taps = index_const(ir, 1);
    at[0] = from[0] = axes[count++] = lower_axis(lower, "n", y->type.dims[0]);
    Node *const g = group > 1 ? lower_axis(lower, "g", index_const(ir, group)) : index_const(ir, 0);
    if (group > 1)
        axes[count++] = g;
    Node *const o = axes[count++] = lower_axis(lower, "o", w->type.dims[1]), *const c =
                                                                                 lower_axis(lower, "c", channels);
    at[1] = index_add(ir, index_mul(ir, g, w->type.dims[1]), o);
    from[1] = weight[0] = index_add(ir, index_mul(ir, g, channels), c);
    weight[1] = o;
    for (int d = 0; d < spread->rank; d++) {
        axes[count++] = places[d].axis;
        reduced[reduced_count++] = places[d].reduced;
        taps = index_mul(ir, taps, places[d].reduced->inputs[0]);
        at[2 + d] = places[d].out;
        from[2 + d] = places[d].in;
        weight[2 + d] = places[d].tap;
        inside = scalar2(ir, OP_and, inside, places[d].inside);
    }
    reduced[reduced_count++] = c;
    Node *value = const_float(ir, compute, 0);
    if (!index_is(taps, 0)) {
        Node *const a = guard_make(ir, inside, lower_at(lower, x, from), const_float(ir, compute, 0));
        value = contract_make(ir, compute, reduced, reduced_count, a, lower_at(lower, w, weight));
    }
    if (lower_has(lower, 2))
        value = scalar2(ir, OP_add, value, lower_at(lower, lower_in(lower, 2), &at[1]));
    lower_define_box(lower, y, axes, count, at, value);
}

bool conv_transpose_lower(Lower *lower)
{
    const Infer infer = lower_infer(lower);
    Spread spread;
    if (!spread_read(&infer, lower_in(lower, 0)->type, lower_in(lower, 1)->type, &spread))
        return false;
    int64_t phases[RANK_MAX], pieces = 1; /* 0: places by division */
    for (int d = 0; d < spread.rank; d++) {
        phases[d] = has_phases(&spread, d) && pieces * spread.strides[d] <= PIECES_MAX ? spread.strides[d] : 0;
        pieces *= phases[d] ? phases[d] : 1;
    }
    for (int64_t piece = 0; piece < pieces; piece++) {
        SpreadPlace places[RANK_MAX];
        int64_t rest = piece;
        for (int d = spread.rank - 1; d >= 0; d--) {
            places[d] = phases[d] ? place_phase(lower, &spread, d, rest % phases[d]) : place_divided(lower, &spread, d);
            rest /= phases[d] ? phases[d] : 1;
        }
        piece_define(lower, &spread, places);
    }
    return true;
}

/* ---- Col2Im ---- */

/* The blocks slide over the padded image as a window does: what they hold is summed where they overlap. */
static bool columns_read(const Infer *infer, Window *window)
{
    Ir *const ir = infer->ir;
    int count, blocks;
    Node *const *const image = infer_contents(infer, 1, &count), *const *const block =
                                                                     infer_contents(infer, 2, &blocks);
    if (!image || !block || infer_type(infer, 1).rank != 1 || infer_type(infer, 2).rank != 1)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where,
                          "the image or block shape of Col2Im cannot be derived from dims and inputs");
    if (count != blocks || count < 1 || count > RANK_MAX - 2)
        return infer_error(infer, "image_shape has %d values and block_shape %d", count, blocks);
    for (int d = 0; d < count; d++)
        if (!run_check(ir, scalar2(ir, OP_ge, image[d], index_const(ir, 1)),
                       "Col2Im: a dim of the image is not positive") ||
            !run_check(ir, scalar2(ir, OP_ge, block[d], index_const(ir, 1)),
                       "Col2Im: a dim of the block is not positive"))
            return infer_error(infer, "dim %d of the image or the block is not positive", d);
    return window_read(infer, count, image, block, window);
}

bool col2im_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    Window window;
    if (x.rank != 3)
        return infer_error(infer, "Col2Im takes [N, C*block, L], not %s", type_text(ir, x));
    if (!columns_read(infer, &window))
        return false;
    Node *const block = dims_product(ir, window.kernel, window.rank);
    Node *dims[RANK_MAX] = {x.dims[0], index_floordiv(ir, x.dims[1], block)};
    for (int d = 0; d < window.rank; d++)
        dims[2 + d] = window.in[d];
    infer->types[0] = type_tensor(ir, x.dtype, window.rank + 2, dims);
    return infer_same_dim(infer, index_mul(ir, dims[1], block), x.dims[1], "channels of blocks") &&
           infer_same_dim(infer, dims_product(ir, window.out, window.rank), x.dims[2],
                          "blocks that fit into the image");
}

bool col2im_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    Window window;
    if (!columns_read(&infer, &window))
        return false;
    Node *axes[RANK_MAX], *taps[RANK_MAX], *inside = const_bool(ir, true);
    lower_axes(lower, out->type, axes);
    Node *row = axes[1], *column = index_const(ir, 0);
    for (int d = 0; d < window.rank; d++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", d);
        taps[d] = lower_axis(lower, name, window.kernel[d]);
        Node *const stride = index_const(ir, window.strides[d]), *const reach = index_mul(
                                                                     ir, taps[d], index_const(ir, window.dilations[d]));
        Node *const from = index_sub(ir, index_add(ir, axes[2 + d], window.before[d]), reach), *const place =
                                                                                                   index_floordiv(
                                                                                                       ir, from,
                                                                                                       stride);
        inside = scalar2(ir, OP_and, inside, scalar2(ir, OP_eq, index_mod(ir, from, stride), index_const(ir, 0)));
        inside = scalar2(ir, OP_and, inside, lower_inside(ir, place, window.out[d]));
        row = index_add(ir, index_mul(ir, row, window.kernel[d]), taps[d]);
        column = index_add(ir, index_mul(ir, column, window.out[d]), place);
    }
    const Dtype compute = dtype_compute(x->type.dtype);
    Node *const zero = compute == DTYPE_BOOL ? const_bool(ir, false) : const_int(ir, compute, 0);
    Node *const element = guard_make(ir, inside, lower_at(lower, x, (Node *[]){axes[0], row, column}), zero);
    const FoldKind kind = compute == DTYPE_BOOL ? FOLD_OR : FOLD_SUM;
    lower_define(lower, out, axes, out->type.rank, fold_make(ir, kind, 1, taps, window.rank, element));
    return true;
}
