/* What GroupQueryAttention does with its cache, as stages: new keys or values behind those that each sample has, and
 * who may look at whom. */
#include "ir/ops/lower.h"
#include "ir/ops/rules.h"

enum { NOW, PAST, TOTAL, CACHE };

/* Inputs: now [B, S, H*D], past i64 [B], total i64 [], cache [B, H, P, D]. The result [B, H, max(P, total), D]. */
bool cache_append_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type now = infer_type(infer, NOW);
    const int64_t heads = attribute_int(infer->node, "heads", 0);
    int count;
    if (now.rank != 3 || heads < 1 || infer_type(infer, PAST).rank != 1)
        return infer_error(infer, "new keys or values %s do not fit %lld heads", type_text(ir, now), (long long)heads);
    Node *const size = index_floordiv(ir, now.dims[2], index_const(ir, heads));
    if (!infer_same_dim(infer, index_mul(ir, size, index_const(ir, heads)), now.dims[2],
                        "heads divide the hidden size") ||
        !infer_same_dim(infer, infer_type(infer, PAST).dims[0], now.dims[0], "seqlens_k and the batch"))
        return false;
    Node *const *const total = infer_contents(infer, TOTAL, &count);
    if (!total || count != 1)
        return infer_error(infer, "total_sequence_length is not known");
    if (!run_check(ir, scalar2(ir, OP_ge, total[0], now.dims[1]),
                   "GroupQueryAttention: total_sequence_length is less than the new tokens"))
        return infer_error(infer, "total_sequence_length is less than the new tokens");
    Node *length = total[0];
    if (infer_has(infer, CACHE)) {
        const Type cache = infer_type(infer, CACHE);
        if (cache.rank != 4 || cache.dtype != now.dtype ||
            !infer_same_dim(infer, cache.dims[0], now.dims[0], "the cache and the batch") ||
            !infer_same_dim(infer, cache.dims[1], index_const(ir, heads), "the cache and the heads") ||
            !infer_same_dim(infer, cache.dims[3], size, "the cache and the size of a head"))
            return infer_error(infer, "the cache %s does not fit %s", type_text(ir, cache), type_text(ir, now));
        length = index_max(ir, cache.dims[2], length);
    }
    infer->types[0] = type_tensor(ir, now.dtype, 4, (Node *[]){now.dims[0], index_const(ir, heads), length, size});
    return true;
}

/* y[b, h, t] = the cache's before past[b], then the new ones, then 0. */
bool cache_append_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const now = lower_in(lower, NOW), *const out = lower_out(lower, 0);
    Node *axes[4], *const zero = const_float(ir, dtype_compute(out->type.dtype), 0);
    lower_axes(lower, out->type, axes);
    Node *const past = cast_make(ir, lower_at(lower, lower_in(lower, PAST), &axes[0]), DTYPE_INDEX);
    Node *const step = index_sub(ir, axes[2], past);
    Node *const column = index_add(ir, index_mul(ir, axes[1], out->type.dims[3]), axes[3]);
    Node *value = guard_make(ir, lower_inside(ir, step, now->type.dims[1]),
                             lower_at(lower, now, (Node *[]){axes[0], step, column}), zero);
    if (lower_has(lower, CACHE)) {
        Node *const cache = lower_in(lower, CACHE);
        Node *const kept =
            scalar2(ir, OP_and, scalar2(ir, OP_lt, axes[2], past), scalar2(ir, OP_lt, axes[2], cache->type.dims[2]));
        value = guard_make(ir, kept, lower_at(lower, cache, axes), value);
    }
    lower_define(lower, out, axes, 4, value);
    return true;
}

/* Inputs: past i64 [B], q [B, S, H*D], keys [B, H, T, D]; bool [B, 1, S, T]. */
bool cache_mask_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type past = infer_type(infer, 0), q = infer_type(infer, 1), keys = infer_type(infer, 2);
    if (past.rank != 1 || q.rank != 3 || keys.rank != 4)
        return infer_error(infer, "a mask between %s and %s is not possible", type_text(ir, q), type_text(ir, keys));
    infer->types[0] =
        type_tensor(ir, DTYPE_BOOL, 4, (Node *[]){q.dims[0], index_const(ir, 1), q.dims[1], keys.dims[2]});
    return true;
}

/* y[b, 0, i, j] = token past[b] + i may look at key j: none that comes later and, with a window, none that is too far
 * back. */
bool cache_mask_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0);
    const int64_t window = attribute_int(lower->node, "window", -1);
    Node *axes[4];
    lower_axes(lower, out->type, axes);
    Node *const own = index_add(ir, axes[2], cast_make(ir, lower_at(lower, lower_in(lower, 0), &axes[0]), DTYPE_INDEX));
    Node *allowed = scalar2(ir, OP_le, axes[3], own);
    if (window > 0)
        allowed =
            scalar2(ir, OP_and, allowed, scalar2(ir, OP_gt, axes[3], index_sub(ir, own, index_const(ir, window))));
    lower_define(lower, out, axes, 4, allowed);
    return true;
}
