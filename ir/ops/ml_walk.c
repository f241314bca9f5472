/* A row's way through trees: inputs x [N, F], roots [T], features [M], values [M], children [M, 2], and where they
 * differ modes [M] and what missing values do [M]. */
#include "ir/ops/lower.h"
#include "ir/ops/rules.h"

enum { X, ROOTS, FEATURES, VALUES, CHILDREN, MODES, MISSING };

bool tree_walk_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, X);
    const int64_t features = attribute_int(infer->node, "features", 0);
    if (x.rank != 2)
        return infer_error(infer, "the features are %s, not [N, C]", type_text(ir, x));
    if (!run_check(ir, scalar2(ir, OP_ge, x.dims[1], index_const(ir, features)),
                   "the trees read more features than there are"))
        return infer_error(infer, "the trees read feature %lld of %s", (long long)features - 1, type_text(ir, x));
    Node *const dims[2] = {x.dims[0], infer_type(infer, ROOTS).dims[0]};
    infer->types[0] = type_tensor(ir, DTYPE_I32, 2, dims);
    return true;
}

/* Does x go the way of the node's yes? By the modes of ml_tree.c: <=, <, >=, >, =, not =. */
static Node *decided(Lower *lower, Node *x, Node *value, Node *at)
{
    static const Op comparisons[] = {OP_le, OP_lt, OP_ge, OP_gt, OP_eq, OP_ne};
    Ir *const ir = lower->ir;
    const int64_t mode = attribute_int(lower->node, "mode", 0);
    if (!lower_has(lower, MODES))
        return scalar2(ir, comparisons[mode >= 0 && mode < 6 ? mode : 0], x, value);
    Node *const own = cast_make(ir, lower_at(lower, lower_in(lower, MODES), &at), DTYPE_I32);
    Node *yes = scalar2(ir, OP_le, x, value);
    for (int i = 1; i < 6; i++)
        yes = scalar3(ir, OP_select, scalar2(ir, OP_eq, own, const_int(ir, DTYPE_I32, i)),
                      scalar2(ir, comparisons[i], x, value), yes);
    return yes;
}

/* place[n, t] = root, then `depth` times the child of place[n, t]: a leaf is its own. */
bool tree_walk_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, X), *const out = lower_out(lower, 0),
                *const nodes = lower_in(lower, FEATURES)->type.dims[0];
    Node *axes[3];
    lower_axes(lower, out->type, axes);
    lower_define(lower, out, axes, 2, lower_at(lower, lower_in(lower, ROOTS), &axes[1]));
    const int64_t depth = attribute_int(lower->node, "depth", 0);
    if (depth == 0)
        return true;
    lower_axes(lower, out->type, axes);
    axes[2] = lower_axis(lower, "depth", index_const(ir, depth));
    Node *const at = bound_make(ir, cast_make(ir, at_make(ir, out, axes), DTYPE_INDEX), nodes);
    Node *const feature =
        bound_make(ir, cast_make(ir, lower_at(lower, lower_in(lower, FEATURES), &at), DTYPE_INDEX), x->type.dims[1]);
    Node *const element = lower_at(lower, x, (Node *[]){axes[0], feature});
    Node *yes = decided(lower, element, lower_at(lower, lower_in(lower, VALUES), &at), at);
    if (lower_has(lower, MISSING)) {
        Node *const tracks =
            scalar2(ir, OP_ne, cast_make(ir, lower_at(lower, lower_in(lower, MISSING), &at), DTYPE_I32),
                    const_int(ir, DTYPE_I32, 0));
        yes = scalar2(ir, OP_or, yes, scalar2(ir, OP_and, tracks, scalar1(ir, OP_isnan, element)));
    }
    Node *const side = scalar3(ir, OP_select, yes, index_const(ir, 0), index_const(ir, 1));
    Node *const next = lower_at(lower, lower_in(lower, CHILDREN), (Node *[]){at, side});
    lower_define_ordered(lower, out, axes, 3, 1, axes, next);
    return true;
}
