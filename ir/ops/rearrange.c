/* Operators that move elements in blocks: space and depth, tiles, crops around the centre. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <string.h>

/* ---- DepthToSpace, SpaceToDepth ---- */

static bool block_check(const Infer *infer, int64_t *size)
{
    const Type x = infer_type(infer, 0);
    const char *const mode = attribute_string(infer->node, "mode", "DCR");
    *size = attribute_int(infer->node, "blocksize", 0);
    if (x.rank != 4)
        return infer_error(infer, "%s takes [N,C,H,W], not %s", op_name(infer->node->op), type_text(infer->ir, x));
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return infer_error(infer, "mode is '%s', neither DCR nor CRD", diag_quote(infer->ir->arena, mode, 40));
    return (*size >= 1 && *size <= 1 << 15) ||
           infer_error(infer, "blocksize is %lld, outside 1..32768", (long long)*size);
}

static bool divides(const Infer *infer, Node *dim, int64_t by)
{
    Ir *const ir = infer->ir;
    const char *const text = arena_format(ir->arena, "%s: blocks do not divide the input", op_name(infer->node->op));
    return run_check(ir, scalar2(ir, OP_eq, index_mod(ir, dim, index_const(ir, by)), index_const(ir, 0)), text) ||
           infer_error(infer, "blocks of %lld do not divide %s", (long long)by, type_text(ir, infer_type(infer, 0)));
}

bool depth_to_space_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    int64_t size;
    if (!block_check(infer, &size) || !divides(infer, x.dims[1], size * size))
        return false;
    Node *const block = index_const(ir, size);
    Node *const dims[4] = {x.dims[0], index_floordiv(ir, x.dims[1], index_const(ir, size * size)),
                           index_mul(ir, x.dims[2], block), index_mul(ir, x.dims[3], block)};
    infer->types[0] = type_tensor(ir, x.dtype, 4, dims);
    return true;
}

bool space_to_depth_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    int64_t size;
    if (!block_check(infer, &size) || !divides(infer, x.dims[2], size) || !divides(infer, x.dims[3], size))
        return false;
    Node *const block = index_const(ir, size);
    Node *const dims[4] = {x.dims[0], index_mul(ir, x.dims[1], index_const(ir, size * size)),
                           index_floordiv(ir, x.dims[2], block), index_floordiv(ir, x.dims[3], block)};
    infer->types[0] = type_tensor(ir, x.dtype, 4, dims);
    return true;
}

/* wide[n, c, h*B + i, w*B + j] and deep[n, (i*B + j)*C + c, h, w] (DCR) or deep[n, (c*B + i)*B + j, h, w] (CRD) are the
 * same element; axes n, c, i, j, h, w are those of neither, so that both sides are affine. */
static bool blocks_move(Lower *lower, Node *wide, Node *deep)
{
    Ir *const ir = lower->ir;
    Node *const block = index_const(ir, attribute_int(lower->node, "blocksize", 1));
    const bool crd = attribute_string(lower->node, "mode", "DCR")[0] == 'C';
    Node *const channels = wide->type.dims[1];
    Node *const n = lower_axis(lower, "n", wide->type.dims[0]), *const c = lower_axis(lower, "c", channels);
    Node *const h = lower_axis(lower, "h", deep->type.dims[2]), *const i = lower_axis(lower, "i", block);
    Node *const w = lower_axis(lower, "w", deep->type.dims[3]), *const j = lower_axis(lower, "j", block);
    Node *const place = index_add(ir, index_mul(ir, i, block), j);
    Node *const depth = crd ? index_add(ir, index_mul(ir, c, index_mul(ir, block, block)), place)
                            : index_add(ir, index_mul(ir, place, channels), c);
    Node *const wide_at[4] = {n, c, index_add(ir, index_mul(ir, h, block), i),
                              index_add(ir, index_mul(ir, w, block), j)};
    Node *const deep_at[4] = {n, depth, h, w};
    Node *const out = lower_out(lower, 0);
    Node *const axes[6] = {n, c, h, i, w, j};
    lower_define_box(lower, out, axes, 6, out == wide ? wide_at : deep_at,
                     out == wide ? at_make(ir, deep, deep_at) : at_make(ir, wide, wide_at));
    return true;
}

bool depth_to_space_lower(Lower *lower)
{
    return blocks_move(lower, lower_out(lower, 0), lower_in(lower, 0));
}

bool space_to_depth_lower(Lower *lower)
{
    return blocks_move(lower, lower_in(lower, 0), lower_out(lower, 0));
}

/* ---- Tile ---- */

bool tile_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    int count;
    Node *const *const repeats = infer_contents(infer, 1, &count);
    Node *dims[RANK_MAX];
    if (infer_type(infer, 1).rank != 1 || !index_is(infer_type(infer, 1).dims[0], x.rank))
        return infer_error(infer, "repeats must be a list of %d, not %s", x.rank, type_text(ir, infer_type(infer, 1)));
    if (!repeats)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where,
                          "the repeats of Tile cannot be derived from dims and inputs");
    for (int i = 0; i < x.rank; i++) {
        if (!run_check(ir, scalar2(ir, OP_ge, repeats[i], index_const(ir, 0)), "Tile: a repeat is negative"))
            return infer_error(infer, "repeat %d is negative", i);
        int64_t dim, repeat;
        if (const_is_int(x.dims[i], &dim) && const_is_int(repeats[i], &repeat) &&
            __builtin_mul_overflow(dim, repeat, &dim))
            return infer_error(infer, "dim %d of %s repeated %lld times is more than 63 bits can count", i,
                               type_text(ir, x), (long long)repeat);
        dims[i] = index_mul(ir, x.dims[i], repeats[i]);
    }
    infer->types[0] = type_tensor(ir, x.dtype, x.rank, dims);
    return true;
}

bool tile_lower(Lower *lower)
{
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    Node *axes[RANK_MAX], *at[RANK_MAX];
    lower_axes(lower, out->type, axes);
    for (int i = 0; i < x->type.rank; i++)
        at[i] = out->type.dims[i] == x->type.dims[i] ? axes[i] : index_mod(lower->ir, axes[i], x->type.dims[i]);
    lower_define(lower, out, axes, x->type.rank, at_make(lower->ir, x, at));
    return true;
}

/* ---- CenterCropPad ---- */

bool center_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    int given, count;
    bool seen[RANK_MAX] = {0};
    Node *dims[RANK_MAX];
    const int64_t *const axes = attribute_ints(infer->node, "axes", &given);
    Node *const *const asked = infer_contents(infer, 1, &count);
    if (!asked || infer_type(infer, 1).rank != 1)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where,
                          "the shape of CenterCropPad cannot be derived from dims and inputs");
    if (count != (given ? given : x.rank))
        return infer_error(infer, "the shape has %d values, not %d", count, given ? given : x.rank);
    for (int i = 0; i < x.rank; i++)
        dims[i] = x.dims[i];
    for (int i = 0; i < count; i++) {
        int axis;
        if (!infer_axis(infer, given ? axes[i] : i, x.rank, false, &axis))
            return false;
        if (seen[axis])
            return infer_error(infer, "axis %d is listed twice", axis);
        if (!run_check(ir, scalar2(ir, OP_ge, asked[i], index_const(ir, 0)),
                       "CenterCropPad: a dim of the shape is negative"))
            return infer_error(infer, "dim %d of the shape is negative", i);
        seen[axis] = true;
        dims[axis] = asked[i];
    }
    infer->types[0] = type_tensor(ir, x.dtype, x.rank, dims);
    return true;
}

/* Element i is that of the input shifted by half the difference, rounded down for a crop and for a pad alike; outside
 * it is 0. */
bool center_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    Node *axes[RANK_MAX], *at[RANK_MAX],
        *inside = const_bool(ir, true), *const zero = index_const(ir, 0), *const two = index_const(ir, 2);
    lower_axes(lower, out->type, axes);
    for (int i = 0; i < x->type.rank; i++) {
        Node *const crop = index_max(ir, index_sub(ir, x->type.dims[i], out->type.dims[i]), zero);
        Node *const pad = index_max(ir, index_sub(ir, out->type.dims[i], x->type.dims[i]), zero);
        at[i] = index_sub(ir, index_add(ir, axes[i], index_floordiv(ir, crop, two)), index_floordiv(ir, pad, two));
        inside = scalar2(ir, OP_and, inside, lower_inside(ir, at[i], x->type.dims[i]));
    }
    Node *const filler = const_int(ir, dtype_compute(x->type.dtype), 0);
    lower_define(lower, out, axes, x->type.rank, guard_make(ir, inside, lower_at(lower, x, at), filler));
    return true;
}
