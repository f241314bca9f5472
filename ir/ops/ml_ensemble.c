/* TreeEnsemble: one operator for classifiers and regressors since version 5, with sets of members. */
#include "ir/ops/ml_tree.h"

#include "ir/ops/rules.h"

#include <math.h>

typedef struct Ensemble {
    const int64_t *features, *yes, *no, *yes_leaf, *no_leaf, *missing, *targets, *roots;
    const double *splits, *modes, *weights, *members;
    int count, leaves, member_count, root_count;
} Ensemble;

static bool ensemble_read(Ir *ir, const Node *node, Ensemble *of)
{
    const char *const names[] = {"nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_trueleafs",
                                 "nodes_falseleafs"};
    const int64_t **const places[] = {&of->features, &of->yes, &of->no, &of->yes_leaf, &of->no_leaf};
    int count;
    of->splits = tree_reals(ir, node, "", "nodes_splits", &of->count);
    of->modes = tree_reals(ir, node, "", "nodes_modes", &count);
    if (of->count < 1 || count != of->count)
        return compose_error(ir, "the trees have %d splits and %d modes", of->count, count);
    for (int i = 0; i < 5; i++) {
        *places[i] = attribute_ints(node, names[i], &count);
        if (count != of->count)
            return compose_error(ir, "%s has %d elements but nodes_splits %d", names[i], count, of->count);
    }
    of->missing = attribute_ints(node, "nodes_missing_value_tracks_true", &count);
    if (of->missing && count != of->count)
        return compose_error(ir, "nodes_missing_value_tracks_true has %d elements but nodes_splits %d", count,
                             of->count);
    of->weights = tree_reals(ir, node, "", "leaf_weights", &of->leaves);
    of->targets = attribute_ints(node, "leaf_targetids", &count);
    if (count != of->leaves)
        return compose_error(ir, "there are %d leaf_weights but %d leaf_targetids", of->leaves, count);
    of->members = tree_reals(ir, node, "", "membership_values", &of->member_count);
    of->roots = attribute_ints(node, "tree_roots", &of->root_count);
    return of->root_count > 0 || compose_error(ir, "there are no tree_roots");
}

/* Nodes are 0..count-1, leaves follow; further nodes of a set, one for each member but the first, come last. */
static bool ensemble_build(const Ensemble *of, Forest *forest)
{
    Ir *const ir = forest->ir;
    const int first_leaf = of->count, room = of->count + of->leaves + of->member_count;
    int member = 0, extra = of->count + of->leaves;
    forest->nodes = NEW_ARRAY(ir->arena, TreeNode, (size_t)room + 1);
    for (int i = 0; i < of->count; i++) {
        const int64_t limit[2] = {of->yes_leaf[i] ? of->leaves : of->count, of->no_leaf[i] ? of->leaves : of->count};
        const int64_t to[2] = {of->yes[i], of->no[i]};
        if (to[0] < 0 || to[0] >= limit[0] || to[1] < 0 || to[1] >= limit[1] || of->features[i] < 0 ||
            of->features[i] > INT32_MAX - 1 || !(of->modes[i] >= 0 && of->modes[i] <= MODE_MEMBER))
            return compose_error(ir, "node %d has mode %g, feature %lld and the children %lld and %lld", i,
                                 of->modes[i], (long long)of->features[i], (long long)to[0], (long long)to[1]);
        const TreeNode node = {.mode = (uint8_t)of->modes[i],
                               .missing = of->missing && of->missing[i] != 0,
                               .feature = (int)of->features[i],
                               .yes = (int)to[0] + (of->yes_leaf[i] ? first_leaf : 0),
                               .no = (int)to[1] + (of->no_leaf[i] ? first_leaf : 0),
                               .value = of->splits[i]};
        forest->nodes[i] = node;
        if (node.mode != MODE_MEMBER)
            continue;
        /* x is in {a, b, c}: x is a, else x is b, else x is c; NaN ends a set. */
        TreeNode *at = &forest->nodes[i];
        at->mode = MODE_EQ;
        at->value = NAN; /* the empty set holds nothing */
        for (bool begun = false; member < of->member_count && !isnan(of->members[member]); member++, begun = true) {
            if (begun) {
                at->no = extra;
                at = &forest->nodes[extra++];
                *at = node;
                at->mode = MODE_EQ;
            }
            at->value = of->members[member];
        }
        member++;
    }
    for (int i = 0; i < of->leaves; i++) {
        forest->nodes[first_leaf + i].mode = MODE_LEAF;
        if (of->targets[i] < 0 || of->targets[i] >= forest->targets)
            return compose_error(ir, "leaf %d is for target %lld of %d", i, (long long)of->targets[i], forest->targets);
        forest->weights[forest->weight_count++] = (LeafWeight){first_leaf + i, (int)of->targets[i], of->weights[i]};
    }
    forest->node_count = extra;
    return true;
}

bool tree_ensemble_expand(Ir *ir, const Node *node, Node **outputs)
{
    static const Aggregate aggregates[] = {AVERAGE_OF, SUM_OF, MIN_OF, MAX_OF};
    static const char *const posts[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    const int64_t aggregate = attribute_int(node, "aggregate_function", 1),
                  post = attribute_int(node, "post_transform", 0), targets = attribute_int(node, "n_targets", 1);
    Ensemble of = {0};
    Forest forest = {.ir = ir, .targets = (int)targets};
    if (aggregate < 0 || aggregate > 3 || post < 0 || post > 4 || targets < 1 || targets > TARGETS_MOST)
        return compose_error(ir, "aggregate_function %lld, post_transform %lld or n_targets %lld is unknown",
                             (long long)aggregate, (long long)post, (long long)targets);
    Node *const x = tree_features(ir, node);
    if (!x || !ensemble_read(ir, node, &of))
        return false;
    forest.weights = NEW_ARRAY(ir->arena, LeafWeight, (size_t)of.leaves + 1);
    forest.roots = NEW_ARRAY(ir->arena, int, (size_t)of.root_count + 1);
    for (int i = 0; i < of.root_count; i++) {
        if (of.roots[i] < 0 || of.roots[i] >= of.count)
            return compose_error(ir, "tree %d begins at node %lld of %d", i, (long long)of.roots[i], of.count);
        forest.roots[forest.root_count++] = (int)of.roots[i];
    }
    if (!ensemble_build(&of, &forest) || !forest_finish(&forest))
        return false;
    outputs[0] = ml_single(ir, posts[post], forest_scores(&forest, x, aggregates[aggregate]));
    return outputs[0];
}
