/* Linear attention, whose state is a matrix per head, and the causal convolution that stands before it. */
#include "ir/ops/build.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <math.h>
#include <string.h>

/* ---- LinearAttention ---- */

enum { Q, K, V, PAST_STATE, DECAY, BETA };

typedef struct Rule {
    const char *name;
    bool gated, delta;
} Rule;
static const Rule rules[] = {
    {"linear", false, false}, {"gated", true, false}, {"delta", false, true}, {"gated_delta", true, true}};

static const Rule *rule_of(const Node *node)
{
    const Name name = attribute_string(node, "update_rule", "gated_delta");
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

/* Heads of queries and of keys; the sizes of a head in keys and in values. */
typedef struct Linear {
    int64_t queries, keys;
    Node *batch, *steps, *size, *value_size;
} Linear;

static bool linear_dims(const Infer *infer, Linear *linear)
{
    Ir *const ir = infer->ir;
    linear->queries = attribute_int(infer->node, "q_num_heads", 0);
    linear->keys = attribute_int(infer->node, "kv_num_heads", 0);
    if (linear->keys < 1 || linear->queries < 1 || linear->queries > INT32_MAX || linear->queries % linear->keys)
        return infer_error(infer, "%lld heads of queries are no multiple of %lld heads of keys",
                           (long long)linear->queries, (long long)linear->keys);
    for (int i = Q; i <= V; i++)
        if (infer_type(infer, i).rank != 3 || infer_type(infer, i).dtype != infer_type(infer, Q).dtype)
            return infer_error(infer, "input %d must have 3 dimensions and the type of the first, not %s", i,
                               type_text(ir, infer_type(infer, i)));
    Node *const *const q = infer_type(infer, Q).dims, *const *const k = infer_type(infer, K).dims,
                       *const *const v = infer_type(infer, V).dims;
    Node *const queries = index_const(ir, linear->queries), *const keys = index_const(ir, linear->keys);
    linear->batch = q[0];
    linear->steps = q[1];
    linear->size = index_floordiv(ir, q[2], queries);
    linear->value_size = index_floordiv(ir, v[2], keys);
    return infer_same_dim(infer, index_mul(ir, linear->size, queries), q[2], "heads divide the query") &&
           infer_same_dim(infer, index_mul(ir, linear->size, keys), k[2], "head sizes of query and key") &&
           infer_same_dim(infer, index_mul(ir, linear->value_size, keys), v[2], "heads divide the value") &&
           infer_same_dim(infer, k[0], q[0], "batches of query and key") &&
           infer_same_dim(infer, v[0], q[0], "batches of query and value") &&
           infer_same_dim(infer, k[1], q[1], "lengths of query and key") &&
           infer_same_dim(infer, v[1], q[1], "lengths of query and value");
}

/* decay [B, T, H] or [B, T, H*D], beta [B, T, H] or [B, T, 1]: as the rule wants them. */
static bool gate_check(const Infer *infer, const Linear *linear, int input, bool wanted, Node *most, Node *least)
{
    const char *const name = input == DECAY ? "decay" : "beta";
    if (infer_has(infer, input) != wanted)
        return infer_error(infer, "update_rule %s %s %s", rule_of(infer->node)->name, wanted ? "needs" : "takes no",
                           name);
    if (!wanted)
        return true;
    const Type type = infer_type(infer, input);
    if (type.rank != 3 || type.dtype != infer_type(infer, Q).dtype)
        return infer_error(infer, "%s must have 3 dimensions and the type of the query, not %s", name,
                           type_text(infer->ir, type));
    Ir *const ir = infer->ir;
    Node *const last = type.dims[2];
    const char *const text = arena_format(ir->arena, "%s has another last dim than LinearAttention allows", name);
    return infer_same_dim(infer, type.dims[0], linear->batch, name) &&
           infer_same_dim(infer, type.dims[1], linear->steps, name) &&
           (last == least || last == most ||
            run_check(ir, scalar2(ir, OP_or, scalar2(ir, OP_eq, last, least), scalar2(ir, OP_eq, last, most)), text) ||
            infer_error(infer, "the last dim of %s fits neither all heads nor one for all: %s", name,
                        type_text(ir, type)));
}

bool linear_attention_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Rule *const rule = rule_of(infer->node);
    Linear linear;
    if (!rule)
        return infer_error(infer, "update_rule is \"%s\": linear, gated, delta or gated_delta",
                           attribute_string(infer->node, "update_rule", ""));
    if (!linear_dims(infer, &linear))
        return false;
    Node *const keys = index_const(ir, linear.keys), *const one = index_const(ir, 1);
    if (!gate_check(infer, &linear, DECAY, rule->gated, index_mul(ir, keys, linear.size), keys) ||
        !gate_check(infer, &linear, BETA, rule->delta, keys, one))
        return false;
    Node *const state[4] = {linear.batch, keys, linear.size, linear.value_size};
    Dtype stored = infer_type(infer, Q).dtype;
    if (infer_has(infer, PAST_STATE)) {
        const Type past = infer_type(infer, PAST_STATE);
        stored = past.dtype;
        if (past.rank != 4 || !dtype_is_float(past.dtype))
            return infer_error(infer, "past_state must have 4 dimensions, not %s", type_text(ir, past));
        for (int i = 0; i < 4; i++)
            if (!infer_same_dim(infer, past.dims[i], state[i], "past_state"))
                return false;
    }
    Node *const out[3] = {linear.batch, linear.steps,
                          index_mul(ir, index_const(ir, linear.queries), linear.value_size)};
    infer->types[0] = type_tensor(ir, infer_type(infer, Q).dtype, 3, out);
    if (infer->output_count > 1)
        infer->types[1] = type_tensor(ir, stored, 4, state);
    return true;
}

typedef struct Attend {
    Lower *lower;
    Ir *ir;
    Linear linear;
    LowerSteps steps;
    Dtype dtype;
    Node *b, *h, *t;
    Node *state, *decay, *update; /* [B,H,D,Dv], exp(decay) [B,H,D] or [B,H,1], the corrected value [B,H,Dv] */
} Attend;

/* input[b, t, head*size + i] */
static Node *packed(Attend *attend, int input, Node *head, Node *size, Node *i)
{
    Node *const at[3] = {attend->b, attend->t, index_add(attend->ir, index_mul(attend->ir, head, size), i)};
    return cast_make(attend->ir, lower_at(attend->lower, lower_in(attend->lower, input), at), attend->dtype);
}

static Node *state_at(Attend *attend, Node *d, Node *m)
{
    Node *const at[4] = {attend->b, attend->h, d, m};
    return at_make(attend->ir, attend->state, at);
}

/* Which of `extent` gates belongs to number i: its own, or the one for all. */
static Node *shared_gate(Ir *ir, Node *i, Node *extent)
{
    return index_min(ir, i, index_sub(ir, extent, index_const(ir, 1)));
}

/* The state as it is after the decay of this step. */
static Node *decayed(Attend *attend, Node *d, Node *m)
{
    if (!attend->decay)
        return state_at(attend, d, m);
    Node *const at[3] = {attend->b, attend->h, shared_gate(attend->ir, d, attend->decay->type.dims[2])};
    return scalar2(attend->ir, OP_mul, state_at(attend, d, m), at_make(attend->ir, attend->decay, at));
}

static void define_decay(Attend *attend)
{
    Ir *const ir = attend->ir;
    Node *const keys = index_const(ir, attend->linear.keys);
    Node *const size = index_floordiv(ir, lower_in(attend->lower, DECAY)->type.dims[2], keys);
    Node *const dims[3] = {attend->linear.batch, keys, size};
    Node *const d = lower_axis(attend->lower, "d", size), *const at[3] = {attend->b, attend->h, d};
    attend->decay = lower_temp(attend->lower, "decay", attend->dtype, 3, dims);
    lower_step(&attend->steps, attend->decay, &d, 1, at,
               scalar1(ir, OP_exp, packed(attend, DECAY, attend->h, size, d)));
}

/* beta * (v - state^T k) */
static void define_update(Attend *attend)
{
    Ir *const ir = attend->ir;
    Node *const one = index_const(ir, 1), *const zero = index_const(ir, 0);
    Node *const dims[3] = {attend->linear.batch, index_const(ir, attend->linear.keys), attend->linear.value_size};
    Node *const m = lower_axis(attend->lower, "m", attend->linear.value_size),
                *const d = lower_axis(attend->lower, "d", attend->linear.size),
                *const at[3] = {attend->b, attend->h, m};
    Node *const gate = shared_gate(ir, attend->h, lower_in(attend->lower, BETA)->type.dims[2]);
    attend->update = lower_temp(attend->lower, "update", attend->dtype, 3, dims);
    Node *const found = contract_make(ir, attend->dtype, &d, 1, packed(attend, K, attend->h, attend->linear.size, d),
                                      decayed(attend, d, m));
    Node *const value = packed(attend, V, attend->h, attend->linear.value_size, m);
    lower_step(&attend->steps, attend->update, &m, 1, at,
               scalar2(ir, OP_mul, packed(attend, BETA, gate, one, zero), scalar2(ir, OP_sub, value, found)));
}

static void define_state(Attend *attend)
{
    Ir *const ir = attend->ir;
    Node *const within[2] = {lower_axis(attend->lower, "d", attend->linear.size),
                             lower_axis(attend->lower, "m", attend->linear.value_size)};
    Node *const at[4] = {attend->b, attend->h, within[0], within[1]};
    Node *const known[3] = {attend->b, attend->h, within[1]};
    Node *const value = attend->update ? at_make(ir, attend->update, known)
                                       : packed(attend, V, attend->h, attend->linear.value_size, within[1]);
    Node *const key = packed(attend, K, attend->h, attend->linear.size, within[0]);
    lower_step(&attend->steps, attend->state, within, 2, at,
               scalar2(ir, OP_add, decayed(attend, within[0], within[1]), scalar2(ir, OP_mul, key, value)));
}

/* Queries share the state of their head of keys: head h*G + g. */
static void define_output(Attend *attend)
{
    Ir *const ir = attend->ir;
    const Linear *const linear = &attend->linear;
    Node *const group = index_const(ir, linear->queries / linear->keys);
    Node *const within[2] = {lower_axis(attend->lower, "g", group), lower_axis(attend->lower, "m", linear->value_size)};
    Node *const d = lower_axis(attend->lower, "d", linear->size);
    Node *const head = index_add(ir, index_mul(ir, attend->h, group), within[0]);
    Node *const at[3] = {attend->b, attend->t, index_add(ir, index_mul(ir, head, linear->value_size), within[1])};
    Node *const sum = contract_make(ir, attend->dtype, &d, 1, packed(attend, Q, head, linear->size, d),
                                    state_at(attend, d, within[1]));
    const double given = attribute_float(attend->lower->node, "scale", 0);
    Node *const size = cast_make(ir, linear->size, attend->dtype);
    Node *const scale = given != 0 ? const_float(ir, attend->dtype, given)
                                   : scalar2(ir, OP_div, const_int(ir, attend->dtype, 1), scalar1(ir, OP_sqrt, size));
    lower_step(&attend->steps, lower_out(attend->lower, 0), within, 2, at, scalar2(ir, OP_mul, scale, sum));
}

bool linear_attention_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    Attend attend = {.lower = lower, .ir = ir, .dtype = dtype_compute(lower_in(lower, Q)->type.dtype)};
    if (!linear_dims(&infer, &attend.linear))
        return false;
    const Linear *const linear = &attend.linear;
    Node *const keys = index_const(ir, linear->keys);
    Node *const dims[4] = {linear->batch, keys, linear->size, linear->value_size};
    const bool out = lower->node->result_count > 1;
    const bool same = out && lower_out(lower, 1)->type.dtype == attend.dtype;
    attend.state = same ? lower_out(lower, 1) : lower_temp(lower, "state", attend.dtype, 4, dims);
    Node *axes[4];
    lower_axes(lower, attend.state->type, axes);
    Node *const zero = const_int(ir, attend.dtype, 0);
    lower_define(lower, attend.state, axes, 4,
                 lower_has(lower, PAST_STATE) ? lower_at(lower, lower_in(lower, PAST_STATE), axes) : zero);
    Node *const leading[3] = {attend.b = lower_axis(lower, "b", linear->batch), attend.h = lower_axis(lower, "h", keys),
                              attend.t = lower_axis(lower, "t", linear->steps)};
    attend.steps = lower_steps_open(lower, leading, 3, 1);
    if (lower_has(lower, DECAY))
        define_decay(&attend);
    if (lower_has(lower, BETA))
        define_update(&attend);
    define_state(&attend);
    define_output(&attend);
    lower_steps_close(&attend.steps);
    if (out && !same) {
        lower_axes(lower, attend.state->type, axes);
        lower_define(lower, lower_out(lower, 1), axes, 4, lower_at(lower, attend.state, axes));
    }
    return true;
}

/* ---- CausalConvWithState ---- */

enum { INPUT, WEIGHT, BIAS, PAST };
/* Filters up to so many elements are sums of products, which go into what is around them; longer ones a convolution. */
enum { TAPS_FEW = 8 };

static bool is_smooth(const Node *node)
{
    const Name name = attribute_string(node, "activation", "none");
    return strcmp(name, "silu") == 0 || strcmp(name, "swish") == 0;
}

bool causal_conv_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, INPUT), weight = infer_type(infer, WEIGHT);
    const Name activation = attribute_string(infer->node, "activation", "none");
    int64_t taps;
    if (!is_smooth(infer->node) && strcmp(activation, "none") != 0)
        return infer_error(infer, "activation is \"%s\": none, silu or swish", activation);
    if (x.rank != 3 || weight.rank != 3 || weight.dtype != x.dtype)
        return infer_error(infer, "input and weight must have 3 dimensions and one type, not %s and %s",
                           type_text(ir, x), type_text(ir, weight));
    if (!infer_same_dim(infer, weight.dims[0], x.dims[1], "channels of input and weight") ||
        !infer_same_dim(infer, weight.dims[1], index_const(ir, 1), "channels of a filter"))
        return false;
    if (!const_is_int(weight.dims[2], &taps))
        return refused(ir, REFUSED_CAUSAL_TAPS);
    if (taps < 1)
        return infer_error(infer, "the filter has no element: %s", type_text(ir, weight));
    Node *const state[3] = {x.dims[0], x.dims[1], index_const(ir, taps - 1)};
    if (infer_has(infer, PAST)) {
        const Type past = infer_type(infer, PAST);
        if (past.rank != 3 || past.dtype != x.dtype)
            return infer_error(infer, "past_state must have 3 dimensions and the type of the input, not %s",
                               type_text(ir, past));
        for (int i = 0; i < 3; i++)
            if (!infer_same_dim(infer, past.dims[i], state[i], "past_state"))
                return false;
    }
    infer->types[0] = x;
    if (infer->output_count > 1)
        infer->types[1] = type_tensor(ir, x.dtype, 3, state);
    return true;
}

/* What was before the input: past_state, or zeros. */
static Node *causal_padded(Ir *ir, const Node *node, int64_t taps)
{
    Node *const x = node->inputs[INPUT];
    const int64_t pads[6] = {0, 0, taps - 1, 0, 0, 0};
    if (taps == 1)
        return x;
    if (node->input_count > PAST && !is_omitted(node->inputs[PAST]))
        return build2_with(ir, OP_Concat, node->inputs[PAST], x, attr_int(ir, "axis", 2));
    return build2(ir, OP_Pad, x, constant_ints(ir, pads, 6));
}

/* What was before the input, the input, and the filter in the type of the arithmetic, added tap by tap. */
static Node *causal_taps(Ir *ir, Node *padded, Node *weight, Node *bias, int64_t taps)
{
    const Dtype dtype = padded->type.dtype, compute = dtype_compute(dtype);
    const int64_t axis[1] = {2}, column[2] = {-1, 1};
    Node *const wide = build_cast(ir, padded, compute), *sum = NULL;
    if (bias)
        sum = build_reshape(ir, build_cast(ir, bias, compute), column, 2);
    for (int64_t i = 0; i < taps; i++) {
        const int64_t first[1] = {i}, last[1] = {i + 1 == taps ? INT32_MAX : i + 1 - taps}, next[1] = {i + 1};
        Node *const shifted[4] = {wide, constant_ints(ir, first, 1), constant_ints(ir, last, 1),
                                  constant_ints(ir, axis, 1)};
        Node *const tap[4] = {build_cast(ir, weight, compute), constant_ints(ir, first, 1), constant_ints(ir, next, 1),
                              constant_ints(ir, axis, 1)};
        Node *const row = build_reshape(ir, build(ir, OP_Slice, tap, 4, NULL, 0), column, 2);
        Node *const product = build2(ir, OP_Mul, build(ir, OP_Slice, shifted, 4, NULL, 0), row);
        sum = sum ? build2(ir, OP_Add, sum, product) : product;
        if (!sum)
            return NULL;
    }
    return build_cast(ir, sum, dtype);
}

static Node *causal_sum(Ir *ir, Node *padded, Node *weight, Node *bias, int64_t taps)
{
    int64_t channels;
    if (taps <= TAPS_FEW)
        return causal_taps(ir, padded, weight, bias, taps);
    if (!const_is_int(weight->type.dims[0], &channels) && !const_is_int(padded->type.dims[1], &channels)) {
        refused(ir, REFUSED_CAUSAL_CHANNELS);
        return NULL;
    }
    Node *const inputs[3] = {padded, weight, bias};
    const Attribute group = attr_int(ir, "group", channels);
    return build(ir, OP_Conv, inputs, bias ? 3 : 2, &group, 1);
}

bool causal_conv_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const weight = node->inputs[WEIGHT];
    int64_t taps;
    if (!const_is_int(weight->type.dims[2], &taps))
        return refused(ir, REFUSED_CAUSAL_TAPS);
    Node *const padded = causal_padded(ir, node, taps);
    const bool has_bias = node->input_count > BIAS && !is_omitted(node->inputs[BIAS]);
    Node *const sum = padded ? causal_sum(ir, padded, weight, has_bias ? node->inputs[BIAS] : NULL, taps) : NULL;
    outputs[0] = sum && is_smooth(node) ? build1(ir, OP_Swish, sum) : sum;
    if (!outputs[0] || node->result_count < 2)
        return outputs[0] != NULL;
    const int64_t from[1] = {taps == 1 ? INT32_MAX : 1 - taps}, to[1] = {INT32_MAX}, axis[1] = {2};
    Node *const parts[4] = {padded, constant_ints(ir, from, 1), constant_ints(ir, to, 1), constant_ints(ir, axis, 1)};
    outputs[1] = build(ir, OP_Slice, parts, 4, NULL, 0);
    return outputs[1] != NULL;
}
