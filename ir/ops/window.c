/* Windows over spatial axes: see window.h. Dims may be symbolic; what only a run can decide becomes a check of the run. */
#include "ir/ops/window.h"

#include "ir/ops/lower.h"

#include <string.h>

bool window_values(const Infer *infer, const char *name, int count, int rank, int64_t least, int64_t otherwise, int64_t *values)
{
    int given;
    const int64_t *const list = attribute_ints(infer->node, name, &given);
    if (given && given != count)
        return infer_error(infer, "%s has %d values, but %d spatial dimensions need %d", name, given, rank, count);
    for (int i = 0; i < count; i++) {
        values[i] = given ? list[i] : otherwise;
        if (values[i] < least || values[i] > INT32_MAX)
            return infer_error(infer, "%s[%d] is %lld, outside %lld..%lld", name, i, (long long)values[i], (long long)least,
                               (long long)INT32_MAX);
    }
    return true;
}

typedef enum Padding { PADDING_GIVEN, PADDING_NONE, PADDING_SAME_UPPER, PADDING_SAME_LOWER } Padding;

static bool padding_read(const Infer *infer, Padding *padding)
{
    static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    const char *const given = attribute_string(infer->node, "auto_pad", "NOTSET");
    for (int i = 0; i < 4; i++)
        if (strcmp(given, names[i]) == 0) {
            *padding = (Padding)i;
            return true;
        }
    return infer_error(infer, "auto_pad '%s' is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER", diag_quote(infer->ir->arena, given, 40));
}

/* Positions from the first tap to the last, both included. */
static Node *window_span(Ir *ir, const Window *window, int d)
{
    Node *const one = index_const(ir, 1);
    return index_add(ir, index_mul(ir, index_sub(ir, window->kernel[d], one), index_const(ir, window->dilations[d])), one);
}

/* SAME: as many outputs as strides fit into the input, and the padding that this needs, the odd one at the end (or at the start). */
static void pad_same(Ir *ir, Window *window, int d, bool upper)
{
    Node *const stride = index_const(ir, window->strides[d]);
    window->out[d] = index_ceildiv(ir, window->in[d], stride);
    Node *const last = index_mul(ir, index_sub(ir, window->out[d], index_const(ir, 1)), stride);
    Node *const missing = index_sub(ir, index_add(ir, last, window_span(ir, window, d)), window->in[d]);
    Node *const total = index_max(ir, missing, index_const(ir, 0));
    Node *const half = index_floordiv(ir, total, index_const(ir, 2));
    Node *const more = index_sub(ir, total, half);
    window->before[d] = upper ? half : more;
    window->after[d] = upper ? more : half;
}

/* With ceil_mode a last window may hang over the end, but none starts in the padding after it. */
static bool out_given(const Infer *infer, Window *window, int d, bool ceil)
{
    Ir *const ir = infer->ir;
    Node *const stride = index_const(ir, window->strides[d]);
    Node *const begin = index_add(ir, window->in[d], window->before[d]);
    Node *const slack = index_sub(ir, index_add(ir, begin, window->after[d]), window_span(ir, window, d));
    const char *const text = arena_format(ir->arena, "%s: spatial axis %d: the window is larger than the padded input", op_name(infer->node->op), d);
    int64_t known;
    if (const_is_int(slack, &known) && known < 0)
        return infer_error(infer, "spatial axis %d: the window is %lld larger than the padded input", d, (long long)-known);
    if (!run_check(ir, scalar2(ir, OP_ge, slack, index_const(ir, 0)), text))
        return infer_error(infer, "%s", text);
    Node *last = ceil ? index_ceildiv(ir, slack, stride) : index_floordiv(ir, slack, stride);
    if (ceil)
        last = index_min(ir, last, index_floordiv(ir, index_sub(ir, begin, index_const(ir, 1)), stride));
    window->out[d] = index_add(ir, last, index_const(ir, 1));
    window->unpadded[d] = !ceil && index_is(window->before[d], 0) && index_is(window->after[d], 0);
    return true;
}

static bool out_positive(const Infer *infer, const Window *window, int d)
{
    if (index_range(infer->ir, window->out[d]).high < 1)
        return infer_error(infer, "spatial axis %d of the output would be empty: the input is %s", d,
                           type_text(infer->ir, infer_type(infer, 0)));
    return true;
}

bool window_read(const Infer *infer, int rank, Node *const *in, Node *const *kernel, Window *window)
{
    Ir *const ir = infer->ir;
    int64_t pads[2 * RANK_MAX];
    Padding padding = PADDING_GIVEN;
    window->rank = rank;
    if (!padding_read(infer, &padding) || !window_values(infer, "strides", rank, rank, 1, 1, window->strides) ||
        !window_values(infer, "dilations", rank, rank, 1, 1, window->dilations) ||
        !window_values(infer, "pads", 2 * rank, rank, 0, 0, pads))
        return false;
    /* The rule for VALID and SAME has no ceil in it. */
    const bool ceil = padding == PADDING_GIVEN && attribute_int(infer->node, "ceil_mode", 0) != 0;
    for (int d = 0; d < rank; d++) {
        window->in[d] = in[d];
        window->kernel[d] = kernel[d];
        window->unpadded[d] = false;
        if (padding == PADDING_SAME_UPPER || padding == PADDING_SAME_LOWER) {
            pad_same(ir, window, d, padding == PADDING_SAME_UPPER);
        } else {
            window->before[d] = index_const(ir, padding == PADDING_GIVEN ? pads[d] : 0);
            window->after[d] = index_const(ir, padding == PADDING_GIVEN ? pads[rank + d] : 0);
            if (!out_given(infer, window, d, ceil))
                return false;
        }
        if (!out_positive(infer, window, d))
            return false;
    }
    return true;
}

Node *window_index(Ir *ir, const Window *window, int d, Node *out, Node *tap)
{
    Node *const start = index_sub(ir, index_mul(ir, out, index_const(ir, window->strides[d])), window->before[d]);
    return index_add(ir, start, index_mul(ir, tap, index_const(ir, window->dilations[d])));
}

Node *window_indices(Ir *ir, const Window *window, Node *const *out, Node *const *taps, Node **indices)
{
    Node *inside = const_bool(ir, true);
    for (int d = 0; d < window->rank; d++) {
        indices[d] = window_index(ir, window, d, out[d], taps[d]);
        if (!window->unpadded[d])
            inside = scalar2(ir, OP_and, inside, lower_inside(ir, indices[d], window->in[d]));
    }
    return inside;
}
