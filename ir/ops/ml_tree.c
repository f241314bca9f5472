/* Ensembles of decision trees. The trees become tables (a feature, a threshold, two children for each node), a row's
 * way through all trees is one loop over their depth, and the weights of the leaves it ends in are gathered and summed:
 * an ensemble of thousands of trees compiles to the same few kernels as one of three.
 *
 * Nodes are numbered anew, leaves first, and a leaf's children are the leaf itself: so the way may be as long as the
 * deepest tree for all. */
#include "ir/ops/ml_tree.h"

#include "ir/ops/rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const mode_names[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE",    "BRANCH_GT",
                                         "BRANCH_EQ",  "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF"};

/* ---- tables of the forest ---- */

/* The longest way from a root to a leaf; false where a node is its own ancestor. Nodes are taken away when all that
 * lead to them are gone. */
static bool depth_find(Forest *forest)
{
    const int count = forest->node_count;
    Arena *const arena = forest->ir->arena;
    int *const waiting = NEW_ARRAY(arena, int, (size_t)count + 1),
               *const far = NEW_ARRAY(arena, int, (size_t)count + 1),
               *const list = NEW_ARRAY(arena, int, (size_t)count + 1);
    int done = 0, listed = 0;
    for (int i = 0; i < count; i++)
        if (forest->nodes[i].mode != MODE_LEAF) {
            waiting[forest->nodes[i].yes]++;
            waiting[forest->nodes[i].no]++;
        }
    for (int i = 0; i < count; i++)
        if (!waiting[i])
            list[listed++] = i;
    for (; done < listed; done++) {
        const TreeNode *const node = &forest->nodes[list[done]];
        const int children[2] = {node->yes, node->no}, next = far[list[done]] + 1;
        for (int k = 0; k < 2 && node->mode != MODE_LEAF; k++) {
            if (far[children[k]] < next)
                far[children[k]] = next;
            if (--waiting[children[k]] == 0)
                list[listed++] = children[k];
        }
        if (far[list[done]] > forest->depth)
            forest->depth = far[list[done]];
    }
    if (listed < count)
        return compose_error(forest->ir, "a node of the trees is its own ancestor");
    return forest->depth <= DEPTH_MOST || refused(forest->ir, REFUSED_TREE_DEPTH);
}

/* Leaves come first. */
static void renumber(Forest *forest)
{
    Arena *const arena = forest->ir->arena;
    const int count = forest->node_count;
    int *const number = NEW_ARRAY(arena, int, (size_t)count + 1);
    TreeNode *const nodes = NEW_ARRAY(arena, TreeNode, (size_t)count + 1);
    for (int pass = 0, next = 0; pass < 2; pass++)
        for (int i = 0; i < count; i++)
            if ((forest->nodes[i].mode == MODE_LEAF) == (pass == 0)) {
                number[i] = next++;
                forest->leaf_count += pass == 0;
            }
    for (int i = 0; i < count; i++) {
        TreeNode node = forest->nodes[i];
        node.yes = node.mode == MODE_LEAF ? number[i] : number[node.yes];
        node.no = node.mode == MODE_LEAF ? number[i] : number[node.no];
        nodes[number[i]] = node;
    }
    for (int i = 0; i < forest->root_count; i++)
        forest->roots[i] = number[forest->roots[i]];
    for (int i = 0; i < forest->weight_count; i++)
        forest->weights[i].node = number[forest->weights[i].node];
    forest->nodes = nodes;
}

bool forest_finish(Forest *forest)
{
    for (int i = 0; i < forest->node_count; i++) {
        const TreeNode *const node = &forest->nodes[i];
        if (node->mode == MODE_LEAF)
            continue;
        if (node->feature < 0)
            return compose_error(forest->ir, "node %d reads feature %d", i, node->feature);
        if (node->feature >= forest->features)
            forest->features = node->feature + 1;
    }
    if (!depth_find(forest))
        return false;
    renumber(forest);
    return true;
}

typedef enum Field { FIELD_FEATURE, FIELD_MODE, FIELD_MISSING, FIELD_CHILDREN } Field;

static Node *field_table(const Forest *forest, Field field)
{
    const int64_t dims[2] = {forest->node_count, 2};
    int64_t *const values = NEW_ARRAY(forest->ir->arena, int64_t, 2 * (size_t)forest->node_count + 1);
    for (int i = 0; i < forest->node_count; i++) {
        const TreeNode *const node = &forest->nodes[i];
        if (field == FIELD_CHILDREN) {
            values[2 * i] = node->yes;
            values[2 * i + 1] = node->no;
        } else {
            values[i] = field == FIELD_FEATURE ? node->feature : field == FIELD_MODE ? node->mode : node->missing;
        }
    }
    return constant_integers(forest->ir, field == FIELD_FEATURE || field == FIELD_CHILDREN ? DTYPE_I32 : DTYPE_U8,
                             values, dims, field == FIELD_CHILDREN ? 2 : 1);
}

/* The leaf that each row of x ends in, for every tree: i32 [N, trees]. */
static Node *leaves_of(const Forest *forest, Node *x)
{
    Ir *const ir = forest->ir;
    const int64_t nodes = forest->node_count, trees = forest->root_count;
    double *const values = NEW_ARRAY(ir->arena, double, (size_t)nodes + 1);
    int64_t *const roots = NEW_ARRAY(ir->arena, int64_t, (size_t)trees + 1);
    int mode = -1;
    bool mixed = false, missing = false;
    for (int i = 0; i < nodes; i++) {
        const TreeNode *const node = &forest->nodes[i];
        values[i] = node->value;
        if (node->mode == MODE_LEAF)
            continue;
        mixed = mixed || (mode >= 0 && mode != node->mode);
        mode = node->mode;
        missing = missing || node->missing;
    }
    for (int i = 0; i < trees; i++)
        roots[i] = forest->roots[i];
    Node *const inputs[7] = {x,
                             constant_integers(ir, DTYPE_I32, roots, &trees, 1),
                             field_table(forest, FIELD_FEATURE),
                             constant_reals(ir, x->type.dtype, values, &nodes, 1),
                             field_table(forest, FIELD_CHILDREN),
                             mixed ? field_table(forest, FIELD_MODE) : omitted_make(ir),
                             missing ? field_table(forest, FIELD_MISSING) : omitted_make(ir)};
    const Attribute attributes[3] = {attr_int(ir, "depth", forest->depth), attr_int(ir, "features", forest->features),
                                     attr_int(ir, "mode", mixed || mode < 0 ? MODE_LEQ : mode)};
    return build(ir, OP_lathe_TreeWalk, inputs, missing ? 7 : mixed ? 6 : 5, attributes, 3);
}

/* What a leaf without a weight for a target adds to it. */
static double neutral(Aggregate aggregate)
{
    return aggregate == MIN_OF ? INFINITY : aggregate == MAX_OF ? -INFINITY : 0;
}

static double join(Aggregate aggregate, double a, double b)
{
    return aggregate == MIN_OF ? fmin(a, b) : aggregate == MAX_OF ? fmax(a, b) : a + b;
}

/* A table with a column for each target: [leaves, targets], gathered and reduced over the trees. */
static Node *scores_dense(const Forest *forest, Node *leaves, Dtype dtype, Aggregate aggregate)
{
    static const Op reduction[] = {OP_ReduceSum, OP_ReduceSum, OP_ReduceMin, OP_ReduceMax};
    Ir *const ir = forest->ir;
    const int64_t dims[2] = {forest->leaf_count, forest->targets};
    const size_t size = (size_t)dims[0] * (size_t)dims[1];
    double *const table = NEW_ARRAY(ir->arena, double, size + 1);
    for (size_t i = 0; i < size; i++)
        table[i] = neutral(aggregate);
    for (int i = 0; i < forest->weight_count; i++) {
        const LeafWeight *const weight = &forest->weights[i];
        double *const cell = &table[(int64_t)weight->node * dims[1] + weight->target];
        *cell = join(aggregate, *cell, weight->weight);
    }
    Node *const weights = build2(ir, OP_Gather, constant_reals(ir, dtype, table, dims, 2), leaves);
    return build2_with(ir, reduction[aggregate], weights, constant_ints(ir, (int64_t[]){1}, 1),
                       attr_int(ir, "keepdims", 0));
}

/* Where leaves know few of many targets: at most `most` (target, weight) for each leaf, and a target adds up what is
 * for it. */
static Node *scores_sparse(const Forest *forest, Node *leaves, Dtype dtype, Aggregate aggregate, int most)
{
    static const Op reduction[] = {OP_ReduceSum, OP_ReduceSum, OP_ReduceMin, OP_ReduceMax};
    Ir *const ir = forest->ir;
    const int64_t dims[2] = {forest->leaf_count, most}, targets = forest->targets;
    const size_t size = (size_t)dims[0] * (size_t)most;
    double *const weights = NEW_ARRAY(ir->arena, double, size + 1);
    int64_t *const ids = NEW_ARRAY(ir->arena, int64_t, size + 1), *const columns =
                                                                      NEW_ARRAY(ir->arena, int64_t, (size_t)targets);
    int *const used = NEW_ARRAY(ir->arena, int, (size_t)dims[0] + 1);
    for (size_t i = 0; i < size; i++)
        ids[i] = -1;
    for (int i = 0; i < forest->weight_count; i++) {
        const LeafWeight *const weight = &forest->weights[i];
        const int64_t at = (int64_t)weight->node * most + used[weight->node]++;
        ids[at] = weight->target;
        weights[at] = weight->weight;
    }
    for (int64_t i = 0; i < targets; i++)
        columns[i] = i;
    const int64_t last = -1;
    Node *const found =
        build_unsqueeze(ir, build2(ir, OP_Gather, constant_integers(ir, DTYPE_I32, ids, dims, 2), leaves), &last, 1);
    Node *const given =
        build_unsqueeze(ir, build2(ir, OP_Gather, constant_reals(ir, dtype, weights, dims, 2), leaves), &last, 1);
    Node *const mine = build2(ir, OP_Equal, found, constant_integers(ir, DTYPE_I32, columns, &targets, 1));
    Node *const terms = build3(ir, OP_Where, mine, given, constant_scalar(ir, dtype, neutral(aggregate)));
    return build2_with(ir, reduction[aggregate], terms, constant_ints(ir, (int64_t[]){1, 2}, 2),
                       attr_int(ir, "keepdims", 0));
}

/* The scores [N, targets]; a target that no leaf spoke of has 0. */
Node *forest_scores(const Forest *forest, Node *x, Aggregate aggregate)
{
    Ir *const ir = forest->ir;
    int *const used = NEW_ARRAY(ir->arena, int, (size_t)forest->leaf_count + 1);
    int most = 1;
    for (int i = 0; i < forest->weight_count; i++)
        if (++used[forest->weights[i].node] > most)
            most = used[forest->weights[i].node];
    Node *const leaves = leaves_of(forest, x);
    const bool sparse = most * 4 < forest->targets;
    Node *y = !leaves  ? NULL
              : sparse ? scores_sparse(forest, leaves, x->type.dtype, aggregate, most)
                       : scores_dense(forest, leaves, x->type.dtype, aggregate);
    if (aggregate == AVERAGE_OF)
        return build_number(ir, OP_Div, y, forest->root_count);
    if (aggregate == SUM_OF || !y)
        return y;
    Node *const none = build_number(ir, OP_Equal, y, neutral(aggregate));
    return build3(ir, OP_Where, none, constant_scalar(ir, x->type.dtype, 0), y);
}

/* ---- reading the attributes ---- */

/* Elements of a list of floats, or of the tensor that newer versions have instead. */
const double *tree_reals(Ir *ir, const Node *node, const char *name, const char *tensor, int *count)
{
    const Attribute *const given = attribute_find(node, tensor);
    int64_t elements;
    if (!given)
        return attribute_reals(node, name, count);
    *count = 0;
    const Type type = given->tensor->type;
    const Constant *const constant = given->tensor->payload.constant;
    if (!const_is_int(type_elements(ir, type), &elements) || elements < 1 || elements > NODES_MOST ||
        dtype_info[type.dtype].bits < 8 || type.dtype == DTYPE_STRING)
        return NULL;
    const size_t size = (size_t)dtype_info[type.dtype].bits / 8;
    double *const values = NEW_ARRAY(ir->arena, double, (size_t)elements);
    for (int64_t i = 0; i < elements; i++) {
        uint64_t bits = 0;
        memcpy(&bits, (const char *)constant->data + (constant->splat ? 0 : (size_t)i * size), size);
        if (dtype_is_signed(type.dtype) && size < 8)
            bits = (uint64_t)((int64_t)(bits << (64 - 8 * size)) >> (64 - 8 * size));
        values[i] = const_as_double(const_bits(ir, type_scalar(type.dtype), bits));
    }
    *count = (int)elements;
    return values;
}

/* A place in the lists of nodes by tree and number. */
typedef struct Key {
    int64_t tree, node;
    int place;
} Key;

static int key_order(const void *a, const void *b)
{
    const Key *const left = a, *const right = b;
    if (left->tree != right->tree)
        return left->tree < right->tree ? -1 : 1;
    return left->node < right->node ? -1 : left->node > right->node;
}

static const Key *key_find(const Key *keys, int count, int64_t tree, int64_t node)
{
    const Key wanted = {tree, node, 0};
    return bsearch(&wanted, keys, (size_t)count, sizeof *keys, key_order);
}

typedef struct Lists {
    const int64_t *trees, *nodes, *features, *yes, *no, *missing;
    const double *values;
    const Attribute *modes;
    int count;
} Lists;

static bool lists_read(Ir *ir, const Node *node, Lists *lists)
{
    const char *const names[] = {"nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_truenodeids",
                                 "nodes_falsenodeids"};
    const int64_t **const places[] = {&lists->trees, &lists->nodes, &lists->features, &lists->yes, &lists->no};
    int count;
    lists->modes = attribute_find(node, "nodes_modes");
    lists->count = lists->modes ? lists->modes->count : 0;
    if (lists->count < 1 || lists->count > NODES_MOST)
        return compose_error(ir, "the trees have %d nodes", lists->count);
    for (int i = 0; i < 5; i++) {
        *places[i] = attribute_ints(node, names[i], &count);
        if (count != lists->count)
            return compose_error(ir, "%s has %d elements but nodes_modes %d", names[i], count, lists->count);
    }
    lists->values = tree_reals(ir, node, "nodes_values", "nodes_values_as_tensor", &count);
    if (count != lists->count)
        return compose_error(ir, "nodes_values has %d elements but nodes_modes %d", count, lists->count);
    lists->missing = attribute_ints(node, "nodes_missing_value_tracks_true", &count);
    return !lists->missing || count == lists->count ||
           compose_error(ir, "nodes_missing_value_tracks_true has %d elements but nodes_modes %d", count, lists->count);
}

static bool mode_read(Ir *ir, const char *name, uint8_t *mode)
{
    for (size_t i = 0; i < sizeof mode_names / sizeof *mode_names; i++)
        if (i != MODE_MEMBER && strcmp(name, mode_names[i]) == 0) {
            *mode = (uint8_t)i;
            return true;
        }
    return compose_error(ir, "a node's mode is '%s'", diag_quote(ir->arena, name, 40));
}

/* The nodes as listed; a root is a node that is nobody's child. */
static bool nodes_read(Ir *ir, const Lists *lists, const Key *keys, Forest *forest)
{
    bool *const child = NEW_ARRAY(ir->arena, bool, (size_t)lists->count + 1);
    forest->nodes = NEW_ARRAY(ir->arena, TreeNode, (size_t)lists->count + 1);
    forest->node_count = lists->count;
    for (int i = 0; i < lists->count; i++) {
        TreeNode *const node = &forest->nodes[i];
        if (!mode_read(ir, lists->modes->strings[i], &node->mode))
            return false;
        if (node->mode == MODE_LEAF)
            continue;
        const Key *const yes = key_find(keys, lists->count, lists->trees[i], lists->yes[i]), *const no = key_find(
                                                                                                 keys, lists->count,
                                                                                                 lists->trees[i],
                                                                                                 lists->no[i]);
        if (!yes || !no || lists->features[i] < 0 || lists->features[i] > INT32_MAX - 1)
            return compose_error(ir, "node %lld of tree %lld has the children %lld and %lld and reads feature %lld",
                                 (long long)lists->nodes[i], (long long)lists->trees[i], (long long)lists->yes[i],
                                 (long long)lists->no[i], (long long)lists->features[i]);
        node->yes = yes->place;
        node->no = no->place;
        node->feature = (int)lists->features[i];
        node->value = lists->values[i];
        node->missing = lists->missing && lists->missing[i] != 0;
        child[node->yes] = child[node->no] = true;
    }
    forest->roots = NEW_ARRAY(ir->arena, int, (size_t)lists->count + 1);
    for (int i = 0; i < lists->count; i++)
        if (!child[keys[i].place]) {
            const int64_t tree = keys[i].tree;
            if (forest->root_count && lists->trees[forest->roots[forest->root_count - 1]] == tree)
                return compose_error(ir, "tree %lld has two roots", (long long)tree);
            forest->roots[forest->root_count++] = keys[i].place;
        }
    return true;
}

/* `prefix` is target or class. */
static bool weights_read(Ir *ir, const Node *node, const Lists *lists, const Key *keys, const char *prefix,
                         Forest *forest)
{
    int count, counts[3];
    const double *const weights = tree_reals(ir, node, arena_format(ir->arena, "%s_weights", prefix),
                                             arena_format(ir->arena, "%s_weights_as_tensor", prefix), &count);
    const int64_t *const trees = attribute_ints(node, arena_format(ir->arena, "%s_treeids", prefix), &counts[0]),
                         *const nodes = attribute_ints(node, arena_format(ir->arena, "%s_nodeids", prefix), &counts[1]),
                         *const ids = attribute_ints(node, arena_format(ir->arena, "%s_ids", prefix), &counts[2]);
    if (counts[0] != count || counts[1] != count || counts[2] != count)
        return compose_error(ir, "the leaves have %d weights but %d trees, %d nodes and %d ids", count, counts[0],
                             counts[1], counts[2]);
    forest->weights = NEW_ARRAY(ir->arena, LeafWeight, (size_t)count + 1);
    for (int i = 0; i < count; i++) {
        const Key *const key = key_find(keys, lists->count, trees[i], nodes[i]);
        if (!key || ids[i] < 0 || ids[i] >= forest->targets)
            return compose_error(ir, "weight %d is for id %lld (of %d) at node %lld of tree %lld", i, (long long)ids[i],
                                 forest->targets, (long long)nodes[i], (long long)trees[i]);
        if (forest->nodes[key->place].mode == MODE_LEAF)
            forest->weights[forest->weight_count++] = (LeafWeight){key->place, (int)ids[i], weights[i]};
    }
    return true;
}

static bool forest_read(Ir *ir, const Node *node, const char *prefix, Forest *forest)
{
    Lists lists = {0};
    if (!lists_read(ir, node, &lists))
        return false;
    Key *const keys = NEW_ARRAY(ir->arena, Key, (size_t)lists.count + 1);
    for (int i = 0; i < lists.count; i++)
        keys[i] = (Key){lists.trees[i], lists.nodes[i], i};
    qsort(keys, (size_t)lists.count, sizeof *keys, key_order);
    for (int i = 1; i < lists.count; i++)
        if (key_order(&keys[i - 1], &keys[i]) == 0)
            return compose_error(ir, "node %lld of tree %lld is there twice", (long long)keys[i].node,
                                 (long long)keys[i].tree);
    return nodes_read(ir, &lists, keys, forest) && weights_read(ir, node, &lists, keys, prefix, forest) &&
           forest_finish(forest);
}

/* + base values, one for all targets or one for each. */
static Node *based(Ir *ir, const Node *node, Node *scores, int targets)
{
    int count;
    const double *const base = tree_reals(ir, node, "base_values", "base_values_as_tensor", &count);
    const int64_t dim = count;
    if (!base || !scores)
        return scores;
    if (count != 1 && count != targets) {
        compose_error(ir, "%d base values for %d targets", count, targets);
        return NULL;
    }
    return build2(ir, OP_Add, scores, constant_reals(ir, scores->type.dtype, base, &dim, 1));
}

Node *tree_features(Ir *ir, const Node *node)
{
    return ml_features(ir, node->inputs[0], node->inputs[0]->type.dtype == DTYPE_F64 ? DTYPE_F64 : DTYPE_F32);
}

/* ---- the operators ---- */

bool tree_regressor_expand(Ir *ir, const Node *node, Node **outputs)
{
    static const char *const aggregates[] = {"SUM", "AVERAGE", "MIN", "MAX"};
    const char *const given = attribute_string(node, "aggregate_function", "SUM");
    const int64_t targets = attribute_int(node, "n_targets", 1);
    Forest forest = {.ir = ir, .targets = (int)targets};
    Aggregate aggregate = SUM_OF;
    while (aggregate <= MAX_OF && strcmp(aggregates[aggregate], given) != 0)
        aggregate++;
    if (aggregate > MAX_OF)
        return compose_error(ir, "aggregate_function is '%s'", diag_quote(ir->arena, given, 40));
    if (targets < 1 || targets > TARGETS_MOST)
        return compose_error(ir, "n_targets is %lld", (long long)targets);
    Node *const x = tree_features(ir, node);
    if (!x || !forest_read(ir, node, "target", &forest))
        return false;
    Node *const scores = based(ir, node, forest_scores(&forest, x, aggregate), forest.targets);
    outputs[0] = build_cast(ir, ml_single(ir, attribute_string(node, "post_transform", "NONE"), scores), DTYPE_F32);
    return outputs[0];
}

/* Two classes of which the leaves know one, number `known`. Its score decides: above a half when no weight is negative,
 * else above 0. What the other gets is not specified; this is what ONNX Runtime gives: of class 1 nothing follows; else
 * 1 - s or, with negative weights, -s. */
static bool binary_classify(Ir *ir, const Node *node, Node *score, int known, bool positive, Node **outputs)
{
    const char *const post = attribute_string(node, "post_transform", "NONE");
    const bool logistic = strcmp(post, "LOGISTIC") == 0;
    Node *const chosen = score ? build_number(ir, OP_Greater, build_squeeze(ir, score, 1), positive ? 0.5 : 0) : NULL;
    Node *const number = chosen ? build_cast(ir, chosen, DTYPE_I64) : NULL;
    outputs[0] = number ? ml_labels(ir, node, "classlabels_int64s", "classlabels_strings", number) : NULL;
    if (!outputs[0] || node->result_count < 2)
        return outputs[0];
    Node *other = known == 1              ? build_number(ir, OP_Mul, score, 0)
                  : positive && !logistic ? build2(ir, OP_Sub, constant_scalar(ir, score->type.dtype, 1), score)
                                          : build1(ir, OP_Neg, score);
    Node *const both = build_concat(ir, (Node *[]){other, score}, 2, 1);
    outputs[1] = known == 1 ? ml_post_transform(ir, post, both) : logistic ? build1(ir, OP_Sigmoid, both) : both;
    outputs[1] = build_cast(ir, outputs[1], DTYPE_F32);
    return outputs[1];
}

bool tree_classifier_expand(Ir *ir, const Node *node, Node **outputs)
{
    const int labels = ml_label_count(node, "classlabels_int64s", "classlabels_strings");
    Forest forest = {.ir = ir, .targets = labels};
    Node *const x = tree_features(ir, node);
    if (!x || labels < 1)
        return x && compose_error(ir, "there are no class labels");
    if (!forest_read(ir, node, "class", &forest))
        return false;
    bool one = true, positive = true;
    for (int i = 0; i < forest.weight_count; i++) {
        one = one && forest.weights[i].target == forest.weights[0].target;
        positive = positive && forest.weights[i].weight >= 0;
    }
    if (labels == 2 && one) {
        const int known = forest.weight_count ? forest.weights[0].target : 0;
        for (int i = 0; i < forest.weight_count; i++)
            forest.weights[i].target = 0;
        forest.targets = 1;
        int count;
        const double *const base = tree_reals(ir, node, "base_values", "base_values_as_tensor", &count);
        Node *score = forest_scores(&forest, x, SUM_OF);
        if (known < count)
            score = build_number(ir, OP_Add, score, base[known]);
        return binary_classify(ir, node, score, known, positive, outputs);
    }
    Node *const scores = based(ir, node, forest_scores(&forest, x, SUM_OF), labels);
    if (!ml_classify(ir, node, "classlabels_int64s", "classlabels_strings", scores, outputs))
        return false;
    if (node->result_count > 1)
        outputs[1] = build_cast(ir, outputs[1], DTYPE_F32);
    return node->result_count < 2 || outputs[1];
}
