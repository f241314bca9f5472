/* com.microsoft: attention in its many packings, brought to the Attention of the default domain: heads side by side or
 * apart, masks of lengths or of 0 and 1, caches, and positions turned in. */
#include "ir/ops/compose.h"
#include "ir/ops/rules.h"

#include <string.h>

/* ---- masks ---- */

/* Lengths or marks of the keys as something to add to the scores: 0 or the filter. */
static Node *filtered(Ir *ir, Node *allowed, Dtype dtype, double filter)
{
    return allowed ? build3(ir, OP_Where, allowed, constant_scalar(ir, dtype, 0), constant_scalar(ir, dtype, filter))
                   : NULL;
}

/* Keys before the end [B] (and, with 2B elements, from the start on): bool [B, 1, 1, T]. */
static Node *mask_of_lengths(Ir *ir, Node *lengths, Node *batch_like, Node *total)
{
    static const int64_t apart[3] = {1, 2, 3};
    Node *const keys = build_count(ir, total);
    int64_t elements, batch;
    const bool known = const_is_int(lengths->type.dims[0], &elements) && const_is_int(batch_like->type.dims[0], &batch);
    const bool same = !known || elements == batch; /* where that is not known the comparison's broadcast checks it */
    Node *const wide = build_cast(ir, lengths, DTYPE_I64);
    if (same)
        return build2(ir, OP_Less, keys, build_unsqueeze(ir, wide, apart, 3));
    if (elements != 2 * batch) {
        refused(ir, REFUSED_ATTENTION_MASK);
        return NULL;
    }
    Node *parts[2];
    if (!build_split(ir, wide, 0, 2, parts))
        return NULL;
    Node *const before = build2(ir, OP_Less, keys, build_unsqueeze(ir, parts[0], apart, 3));
    return build2(ir, OP_And, before, build2(ir, OP_GreaterOrEqual, keys, build_unsqueeze(ir, parts[1], apart, 3)));
}

/* A mask as input: lengths [B] or [2B], marks [B, T], [B, S, T] or [B, 1, S, T]. What is added to the scores comes out.
 */
static Node *mask_added(Ir *ir, Node *mask, Node *batch_like, Node *total, Dtype dtype, double filter)
{
    if (mask->type.rank < 1 || mask->type.rank > 4 || !dtype_is_integer(mask->type.dtype)) {
        compose_error(ir, "the mask must be integers of 1 to 4 dimensions, not %s", type_text(ir, mask->type));
        return NULL;
    }
    if (mask->type.rank == 1)
        return filtered(ir, mask_of_lengths(ir, mask, batch_like, total), dtype, filter);
    Node *const allowed = build_number(ir, OP_Greater, mask, 0);
    Node *const wide = mask->type.rank == 2   ? build_unsqueeze(ir, allowed, (int64_t[]){1, 2}, 2)
                       : mask->type.rank == 3 ? build_unsqueeze(ir, allowed, (int64_t[]){1}, 1)
                                              : allowed;
    return filtered(ir, wide, dtype, filter);
}

static Node *sum_of(Ir *ir, Node *a, Node *b)
{
    return a && b ? build2(ir, OP_Add, a, b) : a ? a : b;
}

/* ---- the core ---- */

typedef struct Core {
    Node *q, *k, *v, *mask, *past_key, *past_value;
    int64_t q_heads, kv_heads;
    double scale, softcap; /* 0: the default, none */
    bool causal;
} Core;

/* y and, when asked for, the keys and values of past and present. */
static bool core_build(Ir *ir, const Core *core, Node **y, Node **key, Node **value)
{
    Attribute attributes[5];
    int count = 0;
    Node *const none = omitted_make(ir);
    Node *const inputs[6] = {core->q,
                             core->k,
                             core->v,
                             core->mask ? core->mask : none,
                             core->past_key ? core->past_key : none,
                             core->past_value ? core->past_value : none};
    attributes[count++] = attr_int(ir, "q_num_heads", core->q_heads);
    attributes[count++] = attr_int(ir, "kv_num_heads", core->kv_heads);
    attributes[count++] = attr_int(ir, "is_causal", core->causal);
    attributes[count++] = attr_float(ir, "softcap", core->softcap);
    if (core->scale != 0)
        attributes[count++] = attr_float(ir, "scale", core->scale);
    if (!core->q || !core->k || !core->v)
        return false;
    const int outputs = key ? 3 : 1;
    Node *const made = tensor_make(ir, OP_Attention, inputs,
                                   core->past_key ? 6
                                   : core->mask   ? 4
                                                  : 3,
                                   outputs, attributes, count);
    if (!made)
        return false;
    *y = node_result(made, 0);
    if (key) {
        *key = node_result(made, 1);
        *value = node_result(made, 2);
    }
    return true;
}

static bool heads_read(Ir *ir, const Node *node, const char *name, int64_t *heads)
{
    *heads = attribute_int(node, name, 0);
    return (*heads > 0 && *heads <= INT32_MAX) || compose_error(ir, "%s is %lld", name, (long long)*heads);
}

static bool refused_of(Ir *ir, const Node *node, const char *name, int64_t plain)
{
    return attribute_int(node, name, plain) == plain || refused(ir, REFUSED_ATTENTION_CACHE);
}

static bool input_refused(Ir *ir, const Node *node, int i)
{
    return !compose_input(node, i) || refused(ir, REFUSED_ATTENTION_CACHE);
}

/* ---- Attention and QAttention: the projection is part of it ---- */

/* From the projected [B, S, Q + K + V]; inputs from `first` on are mask_index, past; present is the second output. */
static bool projected(Ir *ir, const Node *node, Node *projection, Node *mask, Node *past, Node *bias, Node **outputs)
{
    Core core = {.scale = attribute_float(node, "scale", 0), .causal = attribute_int(node, "unidirectional", 0) != 0};
    int count;
    const int64_t *const sizes = attribute_ints(node, "qkv_hidden_sizes", &count);
    Node *parts[3], *present[2];
    if (!projection || !heads_read(ir, node, "num_heads", &core.q_heads) || !refused_of(ir, node, "do_rotary", 0) ||
        !refused_of(ir, node, "past_present_share_buffer", 0))
        return false;
    if (count != 0 && count != 3)
        return compose_error(ir, "qkv_hidden_sizes has %d elements, not 3", count);
    if (!(count ? build_split_sizes(ir, projection, 2, sizes, 3, parts) : build_split(ir, projection, 2, 3, parts)))
        return false;
    core.kv_heads = core.q_heads;
    core.q = parts[0];
    core.k = parts[1];
    core.v = parts[2];
    Node *total = build_dim(ir, projection, 1);
    if (past) {
        if (past->type.rank != 5)
            return compose_error(ir, "past must be [2, B, H, P, D], not %s", type_text(ir, past->type));
        core.past_key = build_pick(ir, past, 0, 0);
        core.past_value = build_pick(ir, past, 0, 1);
        total = build2(ir, OP_Add, total, build_dim(ir, past, 3));
        if (!core.past_key || !core.past_value)
            return false;
    }
    if (mask && !(mask = mask_added(ir, mask, projection, total, projection->type.dtype,
                                    attribute_float(node, "mask_filter_value", -10000))))
        return false;
    core.mask = sum_of(ir, mask, bias);
    const bool whole = node->result_count > 1;
    if (!core_build(ir, &core, &outputs[0], whole ? &present[0] : NULL, whole ? &present[1] : NULL))
        return false;
    if (whole) {
        for (int i = 0; i < 2; i++)
            present[i] = build_unsqueeze(ir, present[i], (int64_t[]){0}, 1);
        outputs[1] = build_concat(ir, present, 2, 0);
    }
    return !whole || outputs[1];
}

static bool input_rank(Ir *ir, Node *x, int rank)
{
    return x->type.rank == rank ||
           compose_error(ir, "the input must have %d dimensions, not %s", rank, type_text(ir, x->type));
}

bool ms_attention_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const bias = compose_input(node, 2);
    if (!input_rank(ir, node->inputs[0], 3) || !input_refused(ir, node, 6))
        return false;
    Node *projection = build2(ir, OP_MatMul, node->inputs[0], node->inputs[1]);
    if (bias)
        projection = build2(ir, OP_Add, projection, bias);
    return projected(ir, node, projection, compose_input(node, 3), compose_input(node, 4), compose_input(node, 5),
                     outputs);
}

/* Inputs: x, weight, bias, scales of both, mask_index, zero points of both, past. */
bool qattention_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const none = omitted_make(ir), *const x_zero = compose_input(node, 6), *const w_zero = compose_input(node, 7);
    Node *const inputs[4] = {node->inputs[0], node->inputs[1], x_zero ? x_zero : none, w_zero ? w_zero : none};
    if (!input_rank(ir, node->inputs[0], 3))
        return false;
    Node *const sum = build(ir, OP_MatMulInteger, inputs, w_zero ? 4 : x_zero ? 3 : 2, NULL, 0);
    Node *const scale = build2(ir, OP_Mul, node->inputs[3], node->inputs[4]);
    Node *const scaled = scale ? build2(ir, OP_Mul, build_cast(ir, sum, scale->type.dtype), scale) : NULL;
    Node *const projection = scaled ? build2(ir, OP_Add, scaled, node->inputs[2]) : NULL;
    return projected(ir, node, projection, compose_input(node, 5), compose_input(node, 8), NULL, outputs);
}

/* ---- MultiHeadAttention ---- */

/* Part `index` of [B, S, H, parts, D] as [B, S, H*D]. */
static Node *unpacked_part(Ir *ir, Node *packed, int64_t index)
{
    Node *const part = build_pick(ir, packed, 3, index);
    return part ? build_reshape(ir, part, (int64_t[]){0, 0, -1}, 3) : NULL;
}

/* Parts of the bias [Q + K + V]: of the hidden sizes of query and value, the key's is the query's. */
static bool bias_added(Ir *ir, Node *bias, Core *core, bool apart)
{
    Node **const places[3] = {&core->q, &core->k, &core->v};
    int64_t start = 0, width[3];
    if (!core->q || !core->k || !core->v)
        return false;
    for (int i = 0; i < 3; i++) /* sizes that are not known are thirds: adding checks them */
        if (!const_is_int((*places[apart ? 0 : i])->type.dims[2], &width[i])) {
            if (bias->type.rank != 1 || !const_is_int(bias->type.dims[0], &width[i]) || width[i] % 3 != 0)
                return refused(ir, REFUSED_ATTENTION_BIAS);
            width[i] /= 3;
        }
    for (int i = 0; i < 3; start += width[i], i++) {
        Node *const part = build_slice(ir, bias, 0, start, start + width[i]);
        if ((i == 0 || !apart) && !(*places[i] = build2(ir, OP_Add, *places[i], part)))
            return false;
    }
    return true;
}

bool multi_head_attention_expand(Ir *ir, const Node *node, Node **outputs)
{
    Core core = {.scale = attribute_float(node, "scale", 0), .causal = attribute_int(node, "unidirectional", 0) != 0};
    Node *const query = node->inputs[0], *const key = compose_input(node, 1), *const value = compose_input(node, 2),
                *const bias = compose_input(node, 3);
    Node *mask = compose_input(node, 4);
    if (!heads_read(ir, node, "num_heads", &core.q_heads) || !input_refused(ir, node, 8) || !input_refused(ir, node, 9))
        return false;
    if (node->result_count > 3)
        return refused(ir, REFUSED_ATTENTION_SCORES);
    core.kv_heads = core.q_heads;
    core.past_key = compose_input(node, 6);
    core.past_value = compose_input(node, 7);
    if (query->type.rank == 5) {
        core.q = unpacked_part(ir, query, 0);
        core.k = unpacked_part(ir, query, 1);
        core.v = unpacked_part(ir, query, 2);
    } else if (key && key->type.rank == 5) {
        core.q = query;
        core.k = unpacked_part(ir, key, 0);
        core.v = unpacked_part(ir, key, 1);
    } else {
        core.q = query;
        core.k = key;
        core.v = value;
    }
    if (!core.q || !core.k || !core.v || core.q->type.rank != 3 || (core.k->type.rank != 3 && core.k->type.rank != 4) ||
        core.v->type.rank != core.k->type.rank)
        return compose_error(ir, "query, key and value are in none of the forms of MultiHeadAttention");
    if (bias && !bias_added(ir, bias, &core, core.k->type.rank == 4))
        return false;
    Node *total = build_dim(ir, core.k, core.k->type.rank == 4 ? 2 : 1);
    if (core.past_key) {
        if (core.past_key->type.rank != 4)
            return compose_error(ir, "past_key must be [B, H, P, D], not %s", type_text(ir, core.past_key->type));
        total = build2(ir, OP_Add, total, build_dim(ir, core.past_key, 2));
    }
    if (mask && !(mask = mask_added(ir, mask, core.q, total, core.q->type.dtype,
                                    attribute_float(node, "mask_filter_value", -10000))))
        return false;
    core.mask = sum_of(ir, mask, compose_input(node, 5));
    Node *unused;
    if (!core_build(ir, &core, &outputs[0], node->result_count > 1 ? &outputs[1] : NULL,
                    node->result_count > 2 ? &outputs[2] : &unused))
        return false;
    return true;
}

/* ---- RotaryEmbedding ---- */

/* x [B, S, H*D] or [B, H, S, D] turned at positions [B, S] (or from the one given on); tables [positions, D/2]. */
static Node *rotated(Ir *ir, Node *x, Node *positions, Node *cosine, Node *sine, int64_t heads, int64_t turned,
                     bool interleaved)
{
    int64_t half;
    if (!x || !positions)
        return NULL;
    if ((x->type.rank != 3 && x->type.rank != 4) || cosine->type.rank != 2) {
        compose_error(ir, "%s is no input to turn by a table %s", type_text(ir, x->type), type_text(ir, cosine->type));
        return NULL;
    }
    if (x->type.rank == 3 && heads < 1) { /* the table tells the size of a head */
        int64_t width;
        if (!const_is_int(cosine->type.dims[1], &half) || !const_is_int(x->type.dims[2], &width) || half < 1 ||
            width % (2 * half) != 0) {
            compose_error(ir, "num_heads is not given and does not follow from %s and %s", type_text(ir, x->type),
                          type_text(ir, cosine->type));
            return NULL;
        }
        heads = width / (2 * half);
    }
    const int steps = x->type.rank == 3 ? 1 : 2;
    if (positions->type.rank == 1) {
        Node *const counted = build2(ir, OP_Add, positions, build_count(ir, build_dim(ir, x, steps)));
        Node *const shape = build_concat(
            ir, (Node *[]){build_slice(ir, build1(ir, OP_Shape, x), 0, 0, 1), constant_ints(ir, (int64_t[]){1}, 1)}, 2,
            0);
        positions = build2(ir, OP_Expand, build_unsqueeze(ir, counted, (int64_t[]){0}, 1), shape);
    }
    Attribute attributes[3] = {attr_int(ir, "interleaved", interleaved), attr_int(ir, "rotary_embedding_dim", turned),
                               attr_int(ir, "num_heads", heads)};
    Node *const tables[2] = {build_cast(ir, cosine, x->type.dtype), build_cast(ir, sine, x->type.dtype)};
    return build(ir, OP_RotaryEmbedding, (Node *[]){x, tables[0], tables[1], positions}, 4, attributes,
                 x->type.rank == 3 ? 3 : 2);
}

bool ms_rotary_expand(Ir *ir, const Node *node, Node **outputs)
{
    if (attribute_float(node, "scale", 1) != 1 || attribute_int(node, "is_packed_batching", 0) != 0)
        return refused(ir, REFUSED_ROTARY_SCALE);
    outputs[0] = rotated(ir, node->inputs[0], node->inputs[1], node->inputs[2], node->inputs[3],
                         attribute_int(node, "num_heads", 0), attribute_int(node, "rotary_embedding_dim", 0),
                         attribute_int(node, "interleaved", 0) != 0);
    return outputs[0];
}

/* ---- GroupQueryAttention ---- */

enum {
    G_QUERY,
    G_KEY,
    G_VALUE,
    G_PAST_KEY,
    G_PAST_VALUE,
    G_LENGTHS,
    G_TOTAL,
    G_COSINE,
    G_SINE,
    G_POSITIONS,
    G_BIAS,
    G_SINK,
    G_OTHERS = G_SINK + 5 /* head_sink, scales of the cache, norms */
};

static bool group_check(Ir *ir, const Node *node)
{
    for (int i = G_SINK; i < G_OTHERS; i++)
        if (!input_refused(ir, node, i))
            return false;
    if (attribute_int(node, "smooth_softmax", 0) > 0 || attribute_int(node, "sliding_window_cache", 0) != 0 ||
        attribute_int(node, "qk_output", 0) != 0 || attribute_int(node, "causal", 1) != 1 || node->result_count > 3)
        return refused(ir, REFUSED_ATTENTION_CACHE);
    return true;
}

/* q, k, v of [B, S, heads*D] each, of a packed query or of three inputs. */
static bool group_operands(Ir *ir, const Node *node, int64_t heads, int64_t kv_heads, Node **q, Node **k, Node **v)
{
    Node *const query = node->inputs[G_QUERY], *parts[3];
    int64_t width;
    if (!input_rank(ir, query, 3))
        return false;
    *q = query;
    *k = compose_input(node, G_KEY);
    *v = compose_input(node, G_VALUE);
    if (*k && *v)
        return input_rank(ir, *k, 3) && input_rank(ir, *v, 3);
    if (*k || *v || !const_is_int(query->type.dims[2], &width) || width % (heads + 2 * kv_heads) != 0)
        return compose_error(ir, "query %s does not hold %lld heads of queries and %lld of keys and values",
                             type_text(ir, query->type), (long long)heads, (long long)kv_heads);
    const int64_t size = width / (heads + 2 * kv_heads), sizes[3] = {heads * size, kv_heads * size, kv_heads * size};
    if (!build_split_sizes(ir, query, 2, sizes, 3, parts))
        return false;
    *q = parts[0];
    *k = parts[1];
    *v = parts[2];
    return true;
}

/* How many keys each sample has before the new ones: i64 [B]. A prompt (as many new ones as there are in all) has none,
 * however long its samples. */
static Node *group_past(Ir *ir, const Node *node, Node *q, Node *total)
{
    Node *const lengths = build_cast(ir, node->inputs[G_LENGTHS], DTYPE_I64), *const steps = build_dim(ir, q, 1);
    Node *const flat = build_reshape(ir, lengths, (int64_t[]){-1}, 1);
    Node *const before = build2(ir, OP_Sub, build_number(ir, OP_Add, flat, 1), steps);
    Node *const prompt = build2(ir, OP_Equal, steps, total);
    return build3(ir, OP_Where, prompt, constant_scalar(ir, DTYPE_I64, 0), before);
}

bool group_query_attention_expand(Ir *ir, const Node *node, Node **outputs)
{
    Core core = {.scale = attribute_float(node, "scale", 0), .softcap = attribute_float(node, "softcap", 0)};
    Node *q, *k, *v, *none = omitted_make(ir);
    const int64_t window = attribute_int(node, "local_window_size", -1);
    if (!group_check(ir, node) || !heads_read(ir, node, "num_heads", &core.q_heads) ||
        !heads_read(ir, node, "kv_num_heads", &core.kv_heads) ||
        !group_operands(ir, node, core.q_heads, core.kv_heads, &q, &k, &v))
        return false;
    Node *const lengths = compose_input(node, G_LENGTHS), *const given = compose_input(node, G_TOTAL);
    if (!lengths || !given)
        return compose_error(ir, "seqlens_k and total_sequence_length are required");
    Node *const total = build_cast(ir, build_reshape(ir, given, (int64_t[]){0}, 0), DTYPE_I64);
    Node *const past = total ? group_past(ir, node, q, total) : NULL;
    if (!past)
        return false;
    if (attribute_int(node, "do_rotary", 0) != 0) {
        Node *const cosine = compose_input(node, G_COSINE), *const sine = compose_input(node, G_SINE),
                    *at = compose_input(node, G_POSITIONS);
        const bool interleaved = attribute_int(node, "rotary_interleaved", 0) != 0;
        int64_t half;
        if (!cosine || !sine || cosine->type.rank != 2 || !const_is_int(cosine->type.dims[1], &half))
            return compose_error(ir, "do_rotary needs cos_cache and sin_cache");
        if (!at) {
            Node *const counted = build_count(ir, build_dim(ir, q, 1));
            at = build2(ir, OP_Add, build_unsqueeze(ir, past, (int64_t[]){1}, 1), counted);
        }
        q = rotated(ir, q, at, cosine, sine, core.q_heads, 2 * half, interleaved);
        k = rotated(ir, k, at, cosine, sine, core.kv_heads, 2 * half, interleaved);
    }
    Node *const past_key = compose_input(node, G_PAST_KEY), *const past_value = compose_input(node, G_PAST_VALUE);
    const Attribute heads = attr_int(ir, "heads", core.kv_heads);
    Node *const key = build(ir, OP_lathe_CacheAppend, (Node *[]){k, past, total, past_key ? past_key : none},
                            past_key ? 4 : 3, &heads, 1);
    Node *const value = build(ir, OP_lathe_CacheAppend, (Node *[]){v, past, total, past_value ? past_value : none},
                              past_value ? 4 : 3, &heads, 1);
    if (!q || !key || !value)
        return false;
    const Attribute by = attr_int(ir, "window", window);
    Node *const allowed = build(ir, OP_lathe_CacheMask, (Node *[]){past, q, key}, 3, &by, 1);
    Node *const bias = compose_input(node, G_BIAS);
    core.q = q;
    core.k = key;
    core.v = value;
    core.mask = allowed;
    if (bias &&
        allowed) { /* the bias is as long as the keys in use, the cache may be longer: what is missing is not allowed */
        Node *const longer = build2(ir, OP_Sub, build_dim(ir, key, 2), build_dim(ir, bias, 3));
        Node *const pads = build_concat(ir,
                                        (Node *[]){constant_ints(ir, (int64_t[]){0, 0, 0, 0, 0, 0, 0}, 7),
                                                   build_reshape(ir, longer, (int64_t[]){1}, 1)},
                                        2, 0);
        Node *const padded = build2(ir, OP_Pad, bias, pads);
        core.mask = build3(ir, OP_Where, allowed, padded, constant_scalar(ir, bias->type.dtype, -1.0 / 0.0));
    }
    if (!core.mask || !core_build(ir, &core, &outputs[0], NULL, NULL))
        return false;
    if (node->result_count > 1)
        outputs[1] = key;
    if (node->result_count > 2)
        outputs[2] = value;
    return true;
}
