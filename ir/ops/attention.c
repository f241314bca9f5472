/* Attention: scores, masks, softmax and the weighted sum of values, as stages over temporaries; and the rotation of
 * positions.
 *
 *     score[b,h,i,j] = scale * sum(d) q[b,h,i,d] * k[b,h/G,j,d]      (then softcap)
 *     biased         = score + mask, -inf where key j is not for query i
 *     weight[.., j]  = exp(biased - max) / sum exp(biased - max)      (0 in a row without keys)
 *     y[b,h,i,e]     = sum(j) weight[b,h,i,j] * v[b,h/G,j,e]
 *
 * The weights keep the precision of the arithmetic: of f16 nothing is lost between softmax and the sum.
 * Heads of queries are split into (head of keys, one of the G queries that share it), so that every index is affine. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <math.h>

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, LENGTHS };

typedef struct Heads {
    Node *batch, *queries, *keys;                 /* B, Sq, Sk */
    Node *q_heads, *kv_heads, *size, *value_size; /* Hq, Hk, D, Dv */
    Node *past, *total;                           /* P, P + Sk */
    Node *group;                                  /* G */
} Heads;

/* ---- shapes ---- */

/* The parts of [B, H, S, D], or of [B, S, H*D] with the number of heads in the attribute. */
static bool heads_split(const Infer *infer, int input, const char *attribute, Node **heads, Node **length, Node **size)
{
    Ir *const ir = infer->ir;
    const Type type = infer_type(infer, input);
    if (type.rank == 4) {
        *heads = type.dims[1];
        *length = type.dims[2];
        *size = type.dims[3];
        return true;
    }
    const int64_t count = attribute_int(infer->node, attribute, 0);
    if (type.rank != 3)
        return infer_error(infer, "input %d of Attention must have 3 or 4 dimensions, not %s", input,
                           type_text(ir, type));
    if (count < 1 || count > INT32_MAX)
        return infer_error(infer, "inputs of 3 dimensions need %s, which is %lld", attribute, (long long)count);
    *heads = index_const(ir, count);
    *length = type.dims[1];
    *size = index_floordiv(ir, type.dims[2], *heads);
    return infer_same_dim(infer, index_mul(ir, *size, *heads), type.dims[2], "heads divide the hidden size");
}

static bool group_find(const Infer *infer, Heads *heads)
{
    Ir *const ir = infer->ir;
    int64_t many, few;
    heads->group = index_const(ir, 1);
    if (heads->q_heads == heads->kv_heads)
        return true;
    if (!const_is_int(heads->q_heads, &many) || !const_is_int(heads->kv_heads, &few)) {
        heads->group = index_floordiv(ir, heads->q_heads, heads->kv_heads);
        return infer_same_dim(infer, index_mul(ir, heads->group, heads->kv_heads), heads->q_heads,
                              "the heads of queries are a multiple of those of keys");
    }
    if (few < 1 || many % few != 0)
        return infer_error(infer, "%lld heads of queries are no multiple of %lld heads of keys", (long long)many,
                           (long long)few);
    heads->group = index_const(ir, many / few);
    return true;
}

static bool past_check(const Infer *infer, Heads *heads)
{
    Ir *const ir = infer->ir;
    heads->past = index_const(ir, 0);
    if (infer_has(infer, PAST_KEY) != infer_has(infer, PAST_VALUE))
        return infer_error(infer, "past_key and past_value are used together or not at all");
    if (infer_has(infer, PAST_KEY)) {
        const Type key = infer_type(infer, PAST_KEY), value = infer_type(infer, PAST_VALUE);
        if (key.rank != 4 || value.rank != 4 || key.dtype != infer_type(infer, K).dtype ||
            value.dtype != infer_type(infer, V).dtype)
            return infer_error(infer, "past_key %s and past_value %s do not fit key and value", type_text(ir, key),
                               type_text(ir, value));
        Node *const key_dims[4] = {heads->batch, heads->kv_heads, value.dims[2], heads->size};
        Node *const value_dims[4] = {heads->batch, heads->kv_heads, key.dims[2], heads->value_size};
        for (int i = 0; i < 4; i++)
            if (!infer_same_dim(infer, key.dims[i], key_dims[i], "past_key") ||
                !infer_same_dim(infer, value.dims[i], value_dims[i], "past_value"))
                return false;
        heads->past = key.dims[2];
        if (infer_has(infer, LENGTHS))
            return infer_error(infer, "nonpad_kv_seqlen is not used together with past_key");
    }
    heads->total = index_add(ir, heads->past, heads->keys);
    return true;
}

/* The mask broadcasts to the scores, but its last dim may be shorter: what is missing is masked. */
static bool mask_check(const Infer *infer, const Heads *heads)
{
    Ir *const ir = infer->ir;
    if (infer_has(infer, LENGTHS)) {
        const Type lengths = infer_type(infer, LENGTHS);
        if (lengths.rank != 1 || lengths.dtype != DTYPE_I64 ||
            !infer_same_dim(infer, lengths.dims[0], heads->batch, "nonpad_kv_seqlen"))
            return infer_error(infer, "nonpad_kv_seqlen must be one i64 for each sample, not %s",
                               type_text(ir, lengths));
    }
    if (!infer_has(infer, MASK))
        return true;
    const Type mask = infer_type(infer, MASK);
    Node *const dims[4] = {heads->batch, heads->q_heads, heads->queries, heads->total};
    if (mask.rank < 1 || mask.rank > 4)
        return infer_error(infer, "the mask must have 1 to 4 dimensions, not %s", type_text(ir, mask));
    for (int i = 0; i < mask.rank - 1; i++)
        if (!infer_broadcast_onto(infer, mask.dims[i], dims[4 - mask.rank + i], "mask and scores"))
            return false;
    return run_check(ir, scalar2(ir, OP_le, mask.dims[mask.rank - 1], heads->total),
                     "Attention: the mask is longer than the keys") ||
           infer_error(infer, "the mask %s is longer than the keys", type_text(ir, mask));
}

static bool heads_read(const Infer *infer, Heads *heads)
{
    Node *kv_heads, *keys;
    heads->batch = infer_type(infer, Q).rank ? infer_type(infer, Q).dims[0] : NULL;
    if (!heads_split(infer, Q, "q_num_heads", &heads->q_heads, &heads->queries, &heads->size))
        return false;
    Node *size;
    if (!heads_split(infer, K, "kv_num_heads", &heads->kv_heads, &heads->keys, &size) ||
        !heads_split(infer, V, "kv_num_heads", &kv_heads, &keys, &heads->value_size))
        return false;
    return infer_same_dim(infer, size, heads->size, "head sizes of query and key") &&
           infer_same_dim(infer, kv_heads, heads->kv_heads, "heads of key and value") &&
           infer_same_dim(infer, keys, heads->keys, "lengths of key and value") &&
           infer_same_dim(infer, infer_type(infer, K).dims[0], heads->batch, "batches of query and key") &&
           infer_same_dim(infer, infer_type(infer, V).dims[0], heads->batch, "batches of query and value") &&
           group_find(infer, heads) && past_check(infer, heads) && mask_check(infer, heads);
}

/* The type that the softmax is computed in and its result rounded to; NONE when it is not asked for. */
static Dtype softmax_type(const Node *node)
{
    const int64_t given = attribute_int(node, "softmax_precision", 0);
    return given < 1 || given > INT32_MAX ? DTYPE_NONE : dtype_from_onnx((int)given);
}

bool attention_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type q = infer_type(infer, Q), k = infer_type(infer, K), v = infer_type(infer, V);
    const int64_t mode = attribute_int(infer->node, "qk_matmul_output_mode", 0);
    const Dtype precision = softmax_type(infer->node);
    Heads heads = {0};
    if (k.dtype != q.dtype || !dtype_is_float(v.dtype))
        return infer_error(infer, "query, key and value are %s, %s and %s", type_text(ir, q), type_text(ir, k),
                           type_text(ir, v));
    if (!heads_read(infer, &heads))
        return false;
    if (mode < 0 || mode > 3)
        return infer_error(infer, "qk_matmul_output_mode is %lld, outside 0..3", (long long)mode);
    if (attribute_find(infer->node, "softmax_precision") &&
        (precision == DTYPE_NONE || !dtype_is_float(precision) || dtype_info[precision].bits < 16))
        return infer_error(infer, "softmax_precision is %lld, no float type",
                           (long long)attribute_int(infer->node, "softmax_precision", 0));
    Node *const whole[4] = {heads.batch, heads.q_heads, heads.queries, heads.value_size};
    Node *const flat[3] = {heads.batch, heads.queries, index_mul(ir, heads.q_heads, heads.value_size)};
    infer->types[0] = type_tensor(ir, q.dtype, q.rank, q.rank == 4 ? whole : flat);
    Node *const keys[4] = {heads.batch, heads.kv_heads, heads.total, heads.size};
    Node *const values[4] = {heads.batch, heads.kv_heads, heads.total, heads.value_size};
    Node *const scores[4] = {heads.batch, heads.q_heads, heads.queries, heads.total};
    if (infer->output_count > 1)
        infer->types[1] = type_tensor(ir, k.dtype, 4, keys);
    if (infer->output_count > 2)
        infer->types[2] = type_tensor(ir, v.dtype, 4, values);
    if (infer->output_count > 3)
        infer->types[3] = type_tensor(ir, q.dtype, 4, scores);
    return true;
}

/* ---- stages ---- */

/* Axes over a tensor [B, Hq, Sq, last]: the head is g*G + r. */
typedef struct HeadAxes {
    Node *list[5];
    int count;
    Node *b, *g, *i, *last;
    Node *at[4]; /* [b, h, i, last] */
} HeadAxes;

static HeadAxes head_axes(Lower *lower, const Heads *heads, Node *last)
{
    Ir *const ir = lower->ir;
    HeadAxes axes = {.b = lower_axis(lower, "b", heads->batch), .g = lower_axis(lower, "h", heads->kv_heads)};
    axes.list[axes.count++] = axes.b;
    axes.list[axes.count++] = axes.g;
    Node *head = axes.g;
    if (!index_is(heads->group, 1)) {
        Node *const r = lower_axis(lower, "r", heads->group);
        axes.list[axes.count++] = r;
        head = index_add(ir, index_mul(ir, axes.g, heads->group), r);
    }
    axes.i = axes.list[axes.count++] = lower_axis(lower, "i", heads->queries);
    if (last)
        axes.last = axes.list[axes.count++] = lower_axis(lower, "j", last);
    axes.at[0] = axes.b;
    axes.at[1] = head;
    axes.at[2] = axes.i;
    axes.at[3] = axes.last;
    return axes;
}

/* The element [b, h, s, d] of a buffer of 4 dimensions, or of 3 with the heads side by side. */
static Node *head_at(Lower *lower, Node *buffer, Node *b, Node *h, Node *s, Node *d, Node *size)
{
    Ir *const ir = lower->ir;
    if (buffer->type.rank == 4)
        return lower_at(lower, buffer, (Node *[]){b, h, s, d});
    return lower_at(lower, buffer, (Node *[]){b, s, index_add(ir, index_mul(ir, h, size), d)});
}

/* The keys or values of past and present, one after the other. */
static void present_define(Lower *lower, Node *out, int past, int now, Node *size)
{
    Ir *const ir = lower->ir;
    const Type type = out->type;
    Node *axes[RANK_MAX], *before = index_const(ir, 0);
    if (lower_has(lower, past)) {
        Node *const old = lower_in(lower, past);
        lower_axes(lower, old->type, axes);
        lower_define_box(lower, out, axes, 4, axes, lower_at(lower, old, axes));
        before = old->type.dims[2];
    }
    Node *const dims[4] = {type.dims[0], type.dims[1], index_sub(ir, type.dims[2], before), type.dims[3]};
    lower_axes(lower, type_tensor(ir, type.dtype, 4, dims), axes);
    Node *const at[4] = {axes[0], axes[1], index_add(ir, axes[2], before), axes[3]};
    lower_define_box(lower, out, axes, 4, at,
                     head_at(lower, lower_in(lower, now), axes[0], axes[1], axes[2], axes[3], size));
}

/* The buffer that holds all keys (or values): the output, a temporary where there is a past, or the input itself. */
static Node *all_of(Lower *lower, int output, int past, int now, Node *heads, Node *total, Node *size)
{
    Node *const in = lower_in(lower, now);
    Node *const dims[4] = {in->type.dims[0], heads, total, size};
    Node *out = lower->node->result_count > output ? lower_out(lower, output) : NULL;
    if (!out && !lower_has(lower, past))
        return in;
    if (!out)
        out = lower_temp(lower, now == K ? "keys" : "values", in->type.dtype, 4, dims);
    present_define(lower, out, past, now, size);
    return out;
}

/* Does query i attend key j as far as positions say? Positions count from the first key that is kept. */
static Node *allowed_positions(Lower *lower, const Heads *heads, const HeadAxes *axes)
{
    Ir *const ir = lower->ir;
    const int64_t left = attribute_int(lower->node, "left_window_size", -1),
                  right = attribute_int(lower->node, "right_window_size", -1);
    Node *offset = heads->past, *allowed = const_bool(ir, true);
    if (lower_has(lower, LENGTHS)) {
        Node *const length = cast_make(ir, lower_at(lower, lower_in(lower, LENGTHS), &axes->at[0]), DTYPE_INDEX);
        offset = index_sub(ir, length, heads->queries);
        allowed = scalar2(ir, OP_lt, axes->last, length);
    }
    Node *const ahead = index_sub(ir, axes->last, index_add(ir, axes->i, offset));
    if (attribute_int(lower->node, "is_causal", 0) != 0)
        allowed = scalar2(ir, OP_and, allowed, scalar2(ir, OP_le, ahead, index_const(ir, 0)));
    if (left >= 0)
        allowed = scalar2(ir, OP_and, allowed, scalar2(ir, OP_ge, ahead, index_const(ir, -left)));
    if (right >= 0)
        allowed = scalar2(ir, OP_and, allowed, scalar2(ir, OP_le, ahead, index_const(ir, right)));
    return allowed;
}

/* The score with masks: -inf where the key is not for the query. */
static Node *biased(Lower *lower, const Heads *heads, const HeadAxes *axes, Node *score)
{
    Ir *const ir = lower->ir;
    Node *const never = const_float(ir, score->type.dtype, -INFINITY);
    Node *allowed = allowed_positions(lower, heads, axes);
    if (lower_has(lower, MASK)) {
        Node *const mask = lower_in(lower, MASK);
        const int rank = mask->type.rank;
        Node *const extents[4] = {heads->batch, heads->q_heads, heads->queries, heads->total};
        Node *at[4];
        for (int i = 0; i < rank; i++)
            at[i] = i < rank - 1
                        ? broadcast_index(ir, mask->type.dims[i], extents[4 - rank + i], axes->at[4 - rank + i])
                        : axes->at[3];
        Node *const inside = scalar2(ir, OP_lt, axes->last, mask->type.dims[rank - 1]);
        Node *const element = lower_at(lower, mask, at);
        if (mask->type.dtype == DTYPE_BOOL) {
            allowed = scalar2(ir, OP_and, allowed, guard_make(ir, inside, element, const_bool(ir, false)));
        } else {
            Node *const term = guard_make(ir, inside, cast_make(ir, element, score->type.dtype), never);
            score = scalar2(ir, OP_add, score, term);
        }
    }
    return scalar3(ir, OP_select, allowed, score, never);
}

static void output_define(Lower *lower, int64_t mode, const Heads *heads, Node *from)
{
    if (lower->node->result_count < 4 || attribute_int(lower->node, "qk_matmul_output_mode", 0) != mode)
        return;
    const HeadAxes axes = head_axes(lower, heads, heads->total);
    lower_define_box(lower, lower_out(lower, 3), axes.list, axes.count, axes.at, lower_at(lower, from, axes.at));
}

/* scale * q.k; with a cap on its size. */
static Node *scores_define(Lower *lower, const Heads *heads, Node *keys)
{
    Ir *const ir = lower->ir;
    const Dtype compute = dtype_compute(lower_in(lower, Q)->type.dtype);
    const double cap = attribute_float(lower->node, "softcap", 0);
    Node *const dims[4] = {heads->batch, heads->q_heads, heads->queries, heads->total};
    Node *const scores = lower_temp(lower, "scores", compute, 4, dims);
    HeadAxes axes = head_axes(lower, heads, heads->total);
    Node *const d = lower_axis(lower, "d", heads->size);
    Node *const q = head_at(lower, lower_in(lower, Q), axes.b, axes.at[1], axes.i, d, heads->size);
    Node *const k = head_at(lower, keys, axes.b, axes.g, axes.last, d, heads->size);
    const Attribute *const given = attribute_find(lower->node, "scale");
    Node *const scale = given ? const_float(ir, compute, given->real)
                              : scalar2(ir, OP_div, const_float(ir, compute, 1),
                                        scalar1(ir, OP_sqrt, cast_make(ir, heads->size, compute)));
    Node *const product = contract_make(ir, compute, &d, 1, q, k);
    lower_define_box(lower, scores, axes.list, axes.count, axes.at, scalar2(ir, OP_mul, product, scale));
    output_define(lower, 0, heads, scores);
    if (!(cap > 0)) {
        output_define(lower, 1, heads, scores);
        return scores;
    }
    Node *const capped = lower_temp(lower, "capped", compute, 4, dims), *const limit = const_float(ir, compute, cap);
    axes = head_axes(lower, heads, heads->total);
    Node *const bent = scalar1(ir, OP_tanh, scalar2(ir, OP_div, lower_at(lower, scores, axes.at), limit));
    lower_define_box(lower, capped, axes.list, axes.count, axes.at, scalar2(ir, OP_mul, bent, limit));
    output_define(lower, 1, heads, capped);
    return capped;
}

/* The weights of the values: softmax of the biased scores along the keys. A row whose maximum is -inf has no keys and
 * no weights. */
static Node *weights_define(Lower *lower, const Heads *heads, Node *scores)
{
    Ir *const ir = lower->ir;
    const Dtype asked = softmax_type(lower->node), type = lower_in(lower, Q)->type.dtype;
    const Dtype compute = dtype_compute(asked == DTYPE_NONE ? type : asked);
    Node *const dims[4] = {heads->batch, heads->q_heads, heads->queries, heads->total};
    Node *const masked = lower_temp(lower, "biased", scores->type.dtype, 4, dims);
    Node *const most = lower_temp(lower, "max", compute, 3, dims), *const total =
                                                                       lower_temp(lower, "sum", compute, 3, dims);
    Node *const weights = lower_temp(lower, "weights", compute, 4, dims);
    HeadAxes axes = head_axes(lower, heads, heads->total);
    lower_define_box(lower, masked, axes.list, axes.count, axes.at,
                     biased(lower, heads, &axes, lower_at(lower, scores, axes.at)));
    output_define(lower, 2, heads, masked);

    for (int step = 0; step < 2; step++) {
        axes = head_axes(lower, heads, NULL);
        axes.at[3] = lower_axis(lower, "j", heads->total);
        Node *value = lower_at(lower, masked, axes.at);
        value = cast_make(ir, asked == DTYPE_NONE ? value : cast_make(ir, value, asked), compute);
        if (step == 1)
            value = scalar1(ir, OP_softexp, scalar2(ir, OP_sub, value, lower_at(lower, most, axes.at)));
        Node *fold = fold_make(ir, step == 0 ? FOLD_MAX : FOLD_SUM, fold_lanes(compute, true), &axes.at[3], 1, value);
        if (step == 0)
            fold = scalar3(ir, OP_select, scalar2(ir, OP_eq, fold, const_float(ir, compute, -INFINITY)),
                           const_float(ir, compute, 0), fold);
        lower_define_box(lower, step == 0 ? most : total, axes.list, axes.count, axes.at, fold);
    }

    axes = head_axes(lower, heads, heads->total);
    Node *value = lower_at(lower, masked, axes.at);
    value = cast_make(ir, asked == DTYPE_NONE ? value : cast_make(ir, value, asked), compute);
    value = scalar1(ir, OP_softexp, scalar2(ir, OP_sub, value, lower_at(lower, most, axes.at)));
    Node *const sum = lower_at(lower, total, axes.at);
    Node *const divisor =
        scalar3(ir, OP_select, scalar2(ir, OP_eq, sum, const_float(ir, compute, 0)), const_float(ir, compute, 1), sum);
    value = scalar2(ir, OP_div, value, divisor);
    lower_define_box(lower, weights, axes.list, axes.count, axes.at,
                     asked == DTYPE_NONE ? value : cast_make(ir, cast_make(ir, value, asked), compute));
    output_define(lower, 3, heads, weights);
    return weights;
}

bool attention_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    Heads heads = {0};
    if (!heads_read(&infer, &heads))
        return false;
    Node *const out = lower_out(lower, 0);
    Node *const keys = all_of(lower, 1, PAST_KEY, K, heads.kv_heads, heads.total, heads.size);
    Node *const values = all_of(lower, 2, PAST_VALUE, V, heads.kv_heads, heads.total, heads.value_size);
    Node *const weights = weights_define(lower, &heads, scores_define(lower, &heads, keys));

    const HeadAxes axes = head_axes(lower, &heads, heads.value_size);
    Node *const j = lower_axis(lower, "k", heads.total);
    const Dtype compute = dtype_compute(out->type.dtype);
    Node *const weight = cast_make(ir, lower_at(lower, weights, (Node *[]){axes.b, axes.at[1], axes.i, j}), compute);
    Node *const value = head_at(lower, values, axes.b, axes.g, j, axes.last, heads.value_size);
    Node *const sum = contract_make(ir, compute, &j, 1, weight, value);
    Node *const flat[3] = {axes.b, axes.i, index_add(ir, index_mul(ir, axes.at[1], heads.value_size), axes.last)};
    lower_define_box(lower, out, axes.list, axes.count, out->type.rank == 4 ? axes.at : flat, sum);
    return true;
}

/* ---- RotaryEmbedding ---- */

enum { COSINE = 1, SINE, POSITIONS };

typedef struct Rotation {
    Node *batch, *heads, *steps, *size;
    Node *half; /* elements that turn, halved */
} Rotation;

static bool rotation_read(const Infer *infer, Rotation *rotation)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    const int64_t given = attribute_int(infer->node, "rotary_embedding_dim", 0);
    if (x.rank != 3 && x.rank != 4)
        return infer_error(infer, "RotaryEmbedding takes 3 or 4 dimensions, not %s", type_text(ir, x));
    rotation->batch = x.dims[0];
    if (!heads_split(infer, 0, "num_heads", &rotation->heads, &rotation->steps, &rotation->size))
        return false;
    Node *const turned = given ? index_const(ir, given) : rotation->size;
    if (given < 0 || given > INT32_MAX ||
        !run_check(ir, scalar2(ir, OP_le, turned, rotation->size),
                   "RotaryEmbedding: more elements turn than a head has"))
        return infer_error(infer, "rotary_embedding_dim is %lld for heads of %s", (long long)given, type_text(ir, x));
    rotation->half = index_floordiv(ir, turned, index_const(ir, 2));
    return infer_same_dim(infer, index_mul(ir, rotation->half, index_const(ir, 2)), turned,
                          "an even number of elements turns");
}

bool rotary_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    const bool chosen = infer_has(infer, POSITIONS);
    Rotation rotation;
    if (!rotation_read(infer, &rotation))
        return false;
    for (int i = COSINE; i <= SINE; i++) {
        const Type cache = infer_type(infer, i);
        if (cache.dtype != x.dtype || cache.rank != (chosen ? 2 : 3))
            return infer_error(infer, "the cache %s must have %d dimensions of %s", type_text(ir, cache),
                               chosen ? 2 : 3, dtype_info[x.dtype].name);
        if (!infer_same_dim(infer, cache.dims[cache.rank - 1], rotation.half, "the cache and half of what turns") ||
            (!chosen && (!infer_same_dim(infer, cache.dims[0], rotation.batch, "cache and batch") ||
                         !infer_same_dim(infer, cache.dims[1], rotation.steps, "cache and sequence"))))
            return false;
    }
    if (chosen) {
        const Type positions = infer_type(infer, POSITIONS);
        if (positions.rank != 2 || positions.dtype != DTYPE_I64)
            return infer_error(infer, "position_ids must be i64 of 2 dimensions, not %s", type_text(ir, positions));
        if (!infer_same_dim(infer, positions.dims[0], rotation.batch, "positions and batch") ||
            !infer_same_dim(infer, positions.dims[1], rotation.steps, "positions and sequence"))
            return false;
    }
    infer->types[0] = x;
    return true;
}

/* One box of the output: axes b, h, s and `last`, which stands at `place` within the head. */
static void rotary_define(Lower *lower, const Rotation *rotation, Node *const *axes, Node *place, Node *value)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0);
    Node *const whole[4] = {axes[0], axes[1], axes[2], place};
    Node *const flat[3] = {axes[0], axes[2], index_add(ir, index_mul(ir, axes[1], rotation->size), place)};
    lower_define_box(lower, out, axes, 4, out->type.rank == 4 ? whole : flat, value);
}

static void rotary_axes(Lower *lower, const Rotation *rotation, Node *last, Node **axes)
{
    axes[0] = lower_axis(lower, "b", rotation->batch);
    axes[1] = lower_axis(lower, "h", rotation->heads);
    axes[2] = lower_axis(lower, "s", rotation->steps);
    axes[3] = lower_axis(lower, "i", last);
}

static Node *cache_at(Lower *lower, int input, Node *const *axes)
{
    Node *const buffer = lower_in(lower, input);
    if (!lower_has(lower, POSITIONS))
        return lower_at(lower, buffer, (Node *[]){axes[0], axes[2], axes[3]});
    Node *const position =
        cast_make(lower->ir, lower_at(lower, lower_in(lower, POSITIONS), (Node *[]){axes[0], axes[2]}), DTYPE_INDEX);
    return lower_at(lower, buffer, (Node *[]){bound_make(lower->ir, position, buffer->type.dims[0]), axes[3]});
}

/* Pairs (x1, x2) become (cos x1 - sin x2, sin x1 + cos x2): neighbours when interleaved, else the halves; what is left
 * stays. */
bool rotary_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    const bool interleaved = attribute_int(lower->node, "interleaved", 0) != 0;
    Node *const x = lower_in(lower, 0), *const two = index_const(ir, 2);
    Rotation rotation;
    Node *axes[4];
    if (!rotation_read(&infer, &rotation))
        return false;
    for (int part = 0; part < 2; part++) {
        rotary_axes(lower, &rotation, rotation.half, axes);
        Node *const first = interleaved ? index_mul(ir, axes[3], two) : axes[3];
        Node *const second = index_add(ir, first, interleaved ? index_const(ir, 1) : rotation.half);
        Node *const x1 = head_at(lower, x, axes[0], axes[1], axes[2], first, rotation.size);
        Node *const x2 = head_at(lower, x, axes[0], axes[1], axes[2], second, rotation.size);
        Node *const along = scalar2(ir, OP_mul, cache_at(lower, part ? SINE : COSINE, axes), x1);
        Node *const across = scalar2(ir, OP_mul, cache_at(lower, part ? COSINE : SINE, axes), x2);
        rotary_define(lower, &rotation, axes, part ? second : first,
                      scalar2(ir, part ? OP_add : OP_sub, along, across));
    }
    Node *const turned = index_mul(ir, rotation.half, two), *const rest = index_sub(ir, rotation.size, turned);
    if (index_is(rest, 0))
        return true;
    rotary_axes(lower, &rotation, rest, axes);
    Node *const place = index_add(ir, axes[3], turned);
    rotary_define(lower, &rotation, axes, place, head_at(lower, x, axes[0], axes[1], axes[2], place, rotation.size));
    return true;
}
