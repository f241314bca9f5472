/* ai.onnx.ml: support vector machines. */
#include "ir/ops/ml.h"

#include "ir/ops/rules.h"

#include <string.h>

enum { TABLE_MOST = 1 << 26 };

typedef struct Kernel3 {
    double gamma, shift, degree;
} Kernel3;

static Kernel3 parameters_of(const Node *node)
{
    int count;
    const double *const given = attribute_reals(node, "kernel_params", &count);
    return (Kernel3){count > 0 ? given[0] : 0, count > 1 ? given[1] : 0, count > 2 ? given[2] : 0};
}

/* The support vectors as [C, count]. */
static Node *vectors_turned(Ir *ir, const Node *node, int64_t count)
{
    int given;
    const double *const vectors = attribute_reals(node, "support_vectors", &given);
    if (count < 1 || given < 1 || given % count != 0) {
        compose_error(ir, "%d numbers are no %lld support vectors", given, (long long)count);
        return NULL;
    }
    const int64_t columns = given / count, dims[2] = {columns, count};
    double *const turned = NEW_ARRAY(ir->arena, double, (size_t)given);
    for (int64_t i = 0; i < given; i++)
        turned[i % columns * count + i / columns] = vectors[i];
    return constant_reals(ir, DTYPE_F32, turned, dims, 2);
}

/* |x - v|^2 for all rows x and vectors v: [N, count]. Differences are squared, not products subtracted: nothing
 * cancels. */
static Node *distances(Ir *ir, const Node *node, Node *x, int64_t count)
{
    Node *const turned = vectors_turned(ir, node, count);
    Node *const vectors = turned ? build_transpose(ir, turned, (int64_t[]){1, 0}, 2) : NULL;
    Node *const difference = vectors ? build2(ir, OP_Sub, build_unsqueeze(ir, x, (int64_t[]){1}, 1), vectors) : NULL;
    return difference ? build2_with(ir, OP_ReduceSumSquare, difference, constant_ints(ir, (int64_t[]){2}, 1),
                                    attr_int(ir, "keepdims", 0))
                      : NULL;
}

/* K(x, v) for all rows x [N, C] and `count` support vectors v: [N, count]. */
static Node *kernels_of(Ir *ir, const Node *node, Node *x, int64_t count)
{
    const char *const type = attribute_string(node, "kernel_type", "LINEAR");
    const Kernel3 by = parameters_of(node);
    if (strcmp(type, "RBF") == 0) {
        Node *const square = distances(ir, node, x, count);
        return square ? build1(ir, OP_Exp, build_number(ir, OP_Mul, square, -by.gamma)) : NULL;
    }
    Node *const vectors = vectors_turned(ir, node, count);
    Node *const product = vectors ? build2(ir, OP_MatMul, x, vectors) : NULL;
    if (strcmp(type, "LINEAR") == 0)
        return product;
    Node *const bent = build_number(ir, OP_Add, build_number(ir, OP_Mul, product, by.gamma), by.shift);
    if (strcmp(type, "SIGMOID") == 0)
        return bent ? build1(ir, OP_Tanh, bent) : NULL;
    if (strcmp(type, "POLY") == 0)
        return build_number(ir, OP_Pow, bent, by.degree);
    compose_error(ir, "kernel_type is '%s'", diag_quote(ir->arena, type, 40));
    return NULL;
}

static Node *column(Ir *ir, const double *values, int64_t count)
{
    const int64_t dims[2] = {count, 1};
    return constant_reals(ir, DTYPE_F32, values, dims, 2);
}

bool svm_regressor_expand(Ir *ir, const Node *node, Node **outputs)
{
    int count, rhos;
    const double *const coefficients = attribute_reals(node, "coefficients", &count);
    const double *const rho = attribute_reals(node, "rho", &rhos);
    const int64_t supports = attribute_int(node, "n_supports", 0);
    Node *const x = ml_features(ir, node->inputs[0], DTYPE_F32);
    if (!x)
        return false;
    if (count < 1 || (supports > 0 && count != supports))
        return compose_error(ir, "%d coefficients for %lld support vectors", count, (long long)supports);
    Node *const kernels = supports > 0 ? kernels_of(ir, node, x, supports) : x;
    Node *y = kernels ? build2(ir, OP_MatMul, kernels, column(ir, coefficients, count)) : NULL;
    y = build_number(ir, OP_Add, y, rhos ? rho[0] : 0);
    if (attribute_int(node, "one_class", 0) != 0 && y) {
        Node *const inside = build_number(ir, OP_Greater, y, 0);
        y = build3(ir, OP_Where, inside, constant_scalar(ir, DTYPE_F32, 1), constant_scalar(ir, DTYPE_F32, -1));
    } else {
        y = ml_single(ir, attribute_string(node, "post_transform", "NONE"), y);
    }
    outputs[0] = y;
    return y;
}

/* ---- SVMClassifier ---- */

typedef struct Machine {
    const double *coefficients, *rho, *a, *b;
    const int64_t *sizes;
    int64_t supports;
    int classes, coefficient_count, rho_count, a_count, b_count, pairs;
} Machine;

static bool machine_read(Ir *ir, const Node *node, Machine *of)
{
    int sizes;
    of->coefficients = attribute_reals(node, "coefficients", &of->coefficient_count);
    of->rho = attribute_reals(node, "rho", &of->rho_count);
    of->a = attribute_reals(node, "prob_a", &of->a_count);
    of->b = attribute_reals(node, "prob_b", &of->b_count);
    of->sizes = attribute_ints(node, "vectors_per_class", &sizes);
    of->classes = ml_label_count(node, "classlabels_ints", "classlabels_strings");
    of->pairs = of->classes * (of->classes - 1) / 2;
    for (int i = 0; i < sizes; i++) {
        if (of->sizes[i] < 0 || of->sizes[i] > INT32_MAX)
            return compose_error(ir, "class %d has %lld support vectors", i, (long long)of->sizes[i]);
        of->supports += of->sizes[i];
    }
    if (of->classes < 2 || of->classes > 1024 || of->coefficient_count < 1)
        return compose_error(ir, "there are %d classes and %d coefficients", of->classes, of->coefficient_count);
    if (of->a_count != of->b_count || (of->a_count && of->a_count < of->pairs))
        return compose_error(ir, "prob_a and prob_b have %d and %d elements", of->a_count, of->b_count);
    if (of->supports && (sizes != of->classes || of->coefficient_count != of->supports * (of->classes - 1) ||
                         of->rho_count < of->pairs))
        return compose_error(ir, "%d coefficients and %d rho do not fit %lld support vectors of %d classes",
                             of->coefficient_count, of->rho_count, (long long)of->supports, of->classes);
    return of->supports * of->pairs <= TABLE_MOST ||
           compose_error(ir, "%lld support vectors of %d classes are too many", (long long)of->supports, of->classes);
}

/* What each pair of classes decides: [N, pairs]. The weights of a pair (i, j) stand in row j-1 for the vectors of i and
 * in row i for those of j. */
static Node *decisions(Ir *ir, const Machine *of, Node *kernels)
{
    const int64_t dims[2] = {of->supports, of->pairs}, width = of->pairs;
    double *const table = NEW_ARRAY(ir->arena, double, (size_t)(dims[0] * dims[1]));
    int64_t *const starts = NEW_ARRAY(ir->arena, int64_t, (size_t)of->classes + 1);
    for (int i = 0; i < of->classes; i++)
        starts[i + 1] = starts[i] + of->sizes[i];
    for (int i = 0, pair = 0; i < of->classes; i++)
        for (int j = i + 1; j < of->classes; j++, pair++) {
            for (int64_t k = starts[i]; k < starts[i + 1]; k++)
                table[k * width + pair] += of->coefficients[(j - 1) * of->supports + k];
            for (int64_t k = starts[j]; k < starts[j + 1]; k++)
                table[k * width + pair] += of->coefficients[i * of->supports + k];
        }
    Node *const sum = kernels ? build2(ir, OP_MatMul, kernels, constant_reals(ir, DTYPE_F32, table, dims, 2)) : NULL;
    return build2(ir, OP_Add, sum, constant_reals(ir, DTYPE_F32, of->rho, &width, 1));
}

/* How often each class wins against another: [N, classes]. */
static Node *votes_of(Ir *ir, const Machine *of, Node *decided)
{
    const int64_t dims[2] = {of->pairs, of->classes}, width = of->classes;
    double *const table = NEW_ARRAY(ir->arena, double, (size_t)(dims[0] * dims[1])), *const losses =
                                                                                         NEW_ARRAY(ir->arena, double,
                                                                                                   (size_t)width);
    for (int i = 0, pair = 0; i < of->classes; i++)
        for (int j = i + 1; j < of->classes; j++, pair++) {
            table[(int64_t)pair * width + i] = 1;
            table[(int64_t)pair * width + j] = -1;
            losses[j]++;
        }
    Node *const wins = decided ? build_cast(ir, build_number(ir, OP_Greater, decided, 0), DTYPE_F32) : NULL;
    return build2(ir, OP_Add, wins ? build2(ir, OP_MatMul, wins, constant_reals(ir, DTYPE_F32, table, dims, 2)) : NULL,
                  constant_reals(ir, DTYPE_F32, losses, &width, 1));
}

static Node *top(Ir *ir, Node *scores)
{
    const Attribute attributes[2] = {attr_int(ir, "axis", 1), attr_int(ir, "keepdims", 0)};
    return build(ir, OP_ArgMax, &scores, 1, attributes, 2);
}

static bool finish(Ir *ir, const Node *node, Node *numbers, Node *scores, Node **outputs)
{
    outputs[0] = numbers ? ml_labels(ir, node, "classlabels_ints", "classlabels_strings", numbers) : NULL;
    if (node->result_count > 1)
        outputs[1] = scores;
    return outputs[0] && scores;
}

/* The chance of the first class of each pair: 1 / (1 + exp(a * decision + b)). */
static Node *chances(Ir *ir, const Machine *of, Node *decided)
{
    const int64_t width = of->pairs;
    Node *const scaled = build2(ir, OP_Mul, decided, constant_reals(ir, DTYPE_F32, of->a, &width, 1));
    Node *const sum = build2(ir, OP_Add, scaled, constant_reals(ir, DTYPE_F32, of->b, &width, 1));
    Node *const chance = sum ? build1(ir, OP_Sigmoid, build1(ir, OP_Neg, sum)) : NULL;
    return chance ? build3(ir, OP_Clip, chance, constant_scalar(ir, DTYPE_F32, 1e-7),
                           constant_scalar(ir, DTYPE_F32, 1 - 1e-7))
                  : NULL;
}

bool svm_classifier_expand(Ir *ir, const Node *node, Node **outputs)
{
    const char *const post = attribute_string(node, "post_transform", "NONE");
    Machine of = {0};
    Node *const x = ml_features(ir, node->inputs[0], DTYPE_F32);
    if (!x || !machine_read(ir, node, &of))
        return false;
    if (!of.supports) { /* linear: a row of coefficients for each class */
        const int64_t columns = of.coefficient_count / of.classes, dims[2] = {columns, of.classes};
        double *const turned = NEW_ARRAY(ir->arena, double, (size_t)of.coefficient_count);
        if (columns * of.classes != of.coefficient_count)
            return compose_error(ir, "%d coefficients for %d classes", of.coefficient_count, of.classes);
        for (int64_t i = 0; i < of.coefficient_count; i++)
            turned[i % columns * of.classes + i / columns] = of.coefficients[i];
        Node *scores = build2(ir, OP_MatMul, x, constant_reals(ir, DTYPE_F32, turned, dims, 2));
        if (of.rho_count)
            scores = build_number(ir, OP_Add, scores, of.rho[0]);
        return finish(ir, node, top(ir, scores), ml_post_transform(ir, post, scores), outputs);
    }
    Node *const decided = decisions(ir, &of, kernels_of(ir, node, x, of.supports));
    if (of.a_count && of.classes > 2)
        return refused(ir, REFUSED_SVM_CHANCES);
    Node *const numbers = top(ir, votes_of(ir, &of, decided));
    if (of.a_count) {
        Node *const first = chances(ir, &of, decided);
        Node *const second = first ? build2(ir, OP_Sub, constant_scalar(ir, DTYPE_F32, 1), first) : NULL;
        return finish(ir, node, numbers, ml_post_transform(ir, post, build_concat(ir, (Node *[]){first, second}, 2, 1)),
                      outputs);
    }
    if (of.classes > 2)
        return finish(ir, node, numbers, ml_post_transform(ir, post, decided), outputs);
    if (!decided)
        return false;
    /* Two classes share one decision. The specification does not say how; ONNX Runtime does it so. */
    const bool plain = strcmp(post, "NONE") == 0, logistic = strcmp(post, "LOGISTIC") == 0;
    Node *const other = plain || logistic ? build1(ir, OP_Neg, decided)
                                          : build2(ir, OP_Sub, constant_scalar(ir, DTYPE_F32, 1), decided);
    Node *const both = build_concat(ir, (Node *[]){other, decided}, 2, 1);
    return finish(ir, node, numbers, logistic && both ? build1(ir, OP_Sigmoid, both) : both, outputs);
}
