/* Trees on their way from the attributes of an operator to tables. */
#ifndef LATHE_IR_OPS_ML_TREE_H
#define LATHE_IR_OPS_ML_TREE_H

#include "ir/ops/ml.h"

typedef enum Mode { MODE_LEQ, MODE_LT, MODE_GTE, MODE_GT, MODE_EQ, MODE_NEQ, MODE_MEMBER, MODE_LEAF } Mode;
enum { NODES_MOST = 1 << 27, TARGETS_MOST = 1 << 20, DEPTH_MOST = 1 << 16 };

typedef struct TreeNode {
    uint8_t mode, missing;
    int feature;
    int yes, no; /* numbers of nodes; of a leaf itself */
    double value;
} TreeNode;

typedef struct LeafWeight {
    int node, target; /* node: the leaf's number among all nodes, later among leaves */
    double weight;
} LeafWeight;

typedef struct Forest {
    Ir *ir;
    TreeNode *nodes;
    int *roots;
    LeafWeight *weights;
    int node_count, root_count, weight_count, leaf_count, depth, features;
    int targets;
} Forest;

typedef enum Aggregate { SUM_OF, AVERAGE_OF, MIN_OF, MAX_OF } Aggregate;

/* After nodes, roots and weights are in: checks the nodes and brings them into the order of the tables. */
bool forest_finish(Forest *forest);
/* The scores [N, targets] of the features x; a target that no leaf spoke of has 0. */
Node *forest_scores(const Forest *forest, Node *x, Aggregate aggregate);
/* The features in the type that the trees compare in. */
Node *tree_features(Ir *ir, const Node *node);
/* Elements of a list of floats, or of the tensor that newer versions have instead. */
const double *tree_reals(Ir *ir, const Node *node, const char *name, const char *tensor, int *count);

#endif
