/* ai.onnx.ml: linear models and what comes before them: scaling, imputing, encoding. See ml.h; trees are in ml_tree.c,
 * support vectors in ml_svm.c, encoders in ml_encode.c. */
#include "ir/ops/ml.h"

#include "ir/ops/rules.h"

#include <math.h>
#include <string.h>

/* ---- what they share ---- */

Node *ml_features(Ir *ir, Node *x, Dtype dtype)
{
    if (x->type.rank < 1 || x->type.rank > 2) {
        compose_error(ir, "the features must be [N, C] or [C], not %s", type_text(ir, x->type));
        return NULL;
    }
    Node *const wide = build_cast(ir, x, dtype);
    return x->type.rank == 2 ? wide : build_unsqueeze(ir, wide, (int64_t[]){0}, 1);
}

/* sqrt 2 times the inverse of erf at 2x - 1, by Winitzki's formula with a = 0.147. */
static Node *probit(Ir *ir, Node *x)
{
    const double a = 0.147;
    Node *const y = build_number(ir, OP_Add, build_number(ir, OP_Mul, x, 2), -1);
    Node *const rest = build2(ir, OP_Sub, constant_scalar(ir, x->type.dtype, 1), y ? build2(ir, OP_Mul, y, y) : NULL);
    Node *const log = rest ? build1(ir, OP_Log, rest) : NULL;
    Node *const v = build_number(ir, OP_Add, build_number(ir, OP_Mul, log, 0.5), 2 / (3.14159 * a));
    Node *const inner = build2(ir, OP_Sub, v ? build2(ir, OP_Mul, v, v) : NULL, build_number(ir, OP_Mul, log, 1 / a));
    Node *const root = build1(ir, OP_Sqrt, inner ? build2(ir, OP_Sub, build1(ir, OP_Sqrt, inner), v) : NULL);
    const double sqrt2 = 1.41421356;
    Node *const positive = build_number(ir, OP_Mul, root, sqrt2);
    Node *const negative = positive ? build1(ir, OP_Neg, positive) : NULL;
    return negative ? build3(ir, OP_Where, build_number(ir, OP_Less, y, 0), negative, positive) : NULL;
}

/* Softmax in which scores of 0 keep their 0. */
static Node *softmax_zero(Ir *ir, Node *scores)
{
    static const int64_t last = -1;
    Node *const most = build_reduce(ir, OP_ReduceMax, scores, &last, 1);
    Node *const shifted = most ? build1(ir, OP_Exp, build2(ir, OP_Sub, scores, most)) : NULL;
    Node *const kept = most ? build2(ir, OP_Mul, scores, build1(ir, OP_Exp, build1(ir, OP_Neg, most))) : NULL;
    Node *const small = build_number(ir, OP_LessOrEqual, build1(ir, OP_Abs, scores), 1e-7);
    Node *const parts = build3(ir, OP_Where, small, kept, shifted);
    return parts ? build2(ir, OP_Div, parts, build_reduce(ir, OP_ReduceSum, parts, &last, 1)) : NULL;
}

Node *ml_post_transform(Ir *ir, const char *name, Node *scores)
{
    if (!scores || strcmp(name, "NONE") == 0)
        return scores;
    if (strcmp(name, "LOGISTIC") == 0)
        return build1(ir, OP_Sigmoid, scores);
    if (strcmp(name, "SOFTMAX") == 0)
        return build1_with(ir, OP_Softmax, scores, attr_int(ir, "axis", -1));
    if (strcmp(name, "SOFTMAX_ZERO") == 0)
        return softmax_zero(ir, scores);
    if (strcmp(name, "PROBIT") == 0)
        return probit(ir, scores);
    compose_error(ir, "post_transform is '%s', which the specification does not know", diag_quote(ir->arena, name, 40));
    return NULL;
}

/* A row of one score is not transformed, as there is nothing to compare it with, but by PROBIT. */
Node *ml_single(Ir *ir, const char *name, Node *scores)
{
    int64_t columns;
    const bool one = scores && const_is_int(scores->type.dims[1], &columns) && columns == 1;
    return one && name[0] != 'P' ? scores : ml_post_transform(ir, name, scores);
}

Node *constant_strings(Ir *ir, const Name *strings, int count)
{
    Constant *const constant = NEW(ir->arena, Constant);
    Node *const dim = index_const(ir, count);
    constant->strings = NEW_ARRAY(ir->arena, char *, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        constant->strings[i] = arena_copy(ir->arena, strings[i], strlen(strings[i]) + 1);
    return constant_make(ir, type_tensor(ir, DTYPE_STRING, 1, &dim), constant);
}

int ml_label_count(const Node *node, const char *ints, const char *strings)
{
    const Attribute *const numbers = attribute_find(node, ints), *const texts = attribute_find(node, strings);
    return texts && texts->count ? texts->count : numbers ? numbers->count : 0;
}

Node *ml_labels(Ir *ir, const Node *node, const char *ints, const char *strings, Node *numbers)
{
    const Attribute *const texts = attribute_find(node, strings);
    int count;
    const int64_t *const labels = attribute_ints(node, ints, &count);
    if (texts && texts->count)
        return build2(ir, OP_Gather, constant_strings(ir, texts->strings, texts->count), numbers);
    bool same = true;
    for (int i = 0; i < count; i++)
        same = same && labels[i] == i;
    return same ? numbers : build2(ir, OP_Gather, constant_ints(ir, labels, count), numbers);
}

/* The number of the greatest score of each row, the first of equal ones: i64 [N]. */
static Node *greatest(Ir *ir, Node *scores)
{
    const Attribute attributes[2] = {attr_int(ir, "axis", 1), attr_int(ir, "keepdims", 0)};
    return build(ir, OP_ArgMax, &scores, 1, attributes, 2);
}

bool ml_classify(Ir *ir, const Node *node, const char *ints, const char *strings, Node *scores, Node **outputs)
{
    const int labels = ml_label_count(node, ints, strings);
    const char *const post = attribute_string(node, "post_transform", "NONE");
    int64_t columns;
    if (!scores)
        return false;
    if (!const_is_int(scores->type.dims[1], &columns) || columns < 1)
        return compose_error(ir, "there is no class");
    Node *numbers, *given = scores;
    if (columns == 1) { /* one score decides between two classes */
        Node *const positive = build_number(ir, OP_Greater, build_squeeze(ir, scores, 1), 0);
        numbers = build_cast(ir, positive, DTYPE_I64);
        given = strcmp(post, "PROBIT") == 0 || labels != 2 ? ml_single(ir, post, scores) : scores;
        if (labels == 2) {
            const bool logistic = strcmp(post, "LOGISTIC") == 0;
            Node *const other = logistic ? build1(ir, OP_Neg, given)
                                         : build2(ir, OP_Sub, constant_scalar(ir, scores->type.dtype, 1), given);
            given = build_concat(ir, (Node *[]){other, given}, 2, 1);
            given = logistic ? build1(ir, OP_Sigmoid, given) : given;
        }
    } else {
        numbers = greatest(ir, scores);
        given = ml_post_transform(ir, post, scores);
    }
    if (labels && labels < (columns == 1 ? 1 : columns))
        return compose_error(ir, "%d labels for %lld classes", labels, (long long)columns);
    outputs[0] = numbers ? ml_labels(ir, node, ints, strings, numbers) : NULL;
    if (node->result_count > 1)
        outputs[1] = given;
    return outputs[0] && (node->result_count < 2 || outputs[1]);
}

/* ---- linear models ---- */

/* x * coefficients^T + intercepts, with `rows` rows of coefficients. */
static Node *linear(Ir *ir, const Node *node, int64_t rows)
{
    int count, shift_count;
    const double *const coefficients = attribute_reals(node, "coefficients", &count);
    const double *const shifts = attribute_reals(node, "intercepts", &shift_count);
    Node *const x = ml_features(ir, node->inputs[0], DTYPE_F32);
    if (!x)
        return NULL;
    if (rows < 1 || count < 1 || count % rows != 0 || (shift_count && shift_count != rows)) {
        compose_error(ir, "%d coefficients and %d intercepts do not make %lld linear functions", count, shift_count,
                      (long long)rows);
        return NULL;
    }
    double *const turned = NEW_ARRAY(ir->arena, double, (size_t)count);
    const int64_t columns = count / rows, dims[2] = {columns, rows};
    for (int64_t i = 0; i < count; i++)
        turned[i % columns * rows + i / columns] = coefficients[i];
    Node *const product = build2(ir, OP_MatMul, x, constant_reals(ir, DTYPE_F32, turned, dims, 2));
    return shifts ? build2(ir, OP_Add, product, constant_attribute(ir, node, "intercepts", DTYPE_F32)) : product;
}

bool linear_regressor_expand(Ir *ir, const Node *node, Node **outputs)
{
    outputs[0] = ml_single(ir, attribute_string(node, "post_transform", "NONE"),
                           linear(ir, node, attribute_int(node, "targets", 1)));
    return outputs[0];
}

bool linear_classifier_expand(Ir *ir, const Node *node, Node **outputs)
{
    int intercepts;
    const int labels = ml_label_count(node, "classlabels_ints", "classlabels_strings");
    attribute_reals(node, "intercepts", &intercepts);
    Node *const scores = linear(ir, node, intercepts ? intercepts : labels);
    return ml_classify(ir, node, "classlabels_ints", "classlabels_strings", scores, outputs);
}

/* ---- features ---- */

/* y = x[..., indices] along the last axis; of a list a row. */
bool array_feature_extractor_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const x = node->inputs[0];
    Node *const indices = build_reshape(ir, node->inputs[1], (int64_t[]){-1}, 1);
    if (x->type.rank < 1)
        return compose_error(ir, "ArrayFeatureExtractor takes no scalar");
    outputs[0] = build2_with(ir, OP_Gather, x, indices, attr_int(ir, "axis", x->type.rank - 1));
    if (x->type.rank == 1)
        outputs[0] = build_unsqueeze(ir, outputs[0], (int64_t[]){0}, 1);
    return outputs[0];
}

/* All inputs side by side in floats, each cut or filled with zeros to the width that is given. */
bool feature_vectorizer_expand(Ir *ir, const Node *node, Node **outputs)
{
    int count;
    const int64_t *const widths = attribute_ints(node, "inputdimensions", &count);
    Node **const parts = NEW_ARRAY(ir->arena, Node *, node->input_count);
    for (int i = 0; i < (int)node->input_count; i++) {
        int64_t width;
        Node *part = ml_features(ir, node->inputs[i], DTYPE_F32);
        if (!part)
            return false;
        if (i < count && (widths[i] < 0 || widths[i] > INT32_MAX))
            return compose_error(ir, "element %d of inputdimensions is %lld", i, (long long)widths[i]);
        if (i < count && const_is_int(part->type.dims[1], &width) && width > widths[i])
            part = build_slice(ir, part, 1, 0, widths[i]);
        else if (i < count && const_is_int(part->type.dims[1], &width) && width < widths[i])
            part = build2(ir, OP_Pad, part, constant_ints(ir, (int64_t[]){0, 0, 0, widths[i] - width}, 4));
        parts[i] = part;
    }
    outputs[0] = build_concat(ir, parts, (int)node->input_count, 1);
    return outputs[0];
}

/* One value for all features, or one for each. */
static bool feature_values(Ir *ir, const char *name, int count, Type x)
{
    int64_t width;
    return count == 1 || (x.rank > 0 && (!const_is_int(x.dims[x.rank - 1], &width) || width == count)) ||
           compose_error(ir, "%s has %d values for %s", name, count, type_text(ir, x));
}

bool imputer_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const x = node->inputs[0];
    const bool real = dtype_is_float(x->type.dtype);
    const double replaced = attribute_float(node, "replaced_value_float", 0);
    const Attribute *const values = attribute_find(node, real ? "imputed_value_floats" : "imputed_value_int64s");
    if (!values || !values->count)
        return compose_error(ir, "there are no values to impute for %s", type_text(ir, x->type));
    if (!feature_values(ir, values->name, values->count, x->type))
        return false;
    const int64_t dim = values->count;
    Node *const filled = real ? constant_reals(ir, x->type.dtype, values->reals, &dim, 1)
                              : constant_integers(ir, x->type.dtype, values->integers, &dim, 1);
    Node *missing;
    if (real && isnan(replaced))
        missing = build1(ir, OP_IsNaN, x);
    else if (real)
        missing = build_number(ir, OP_Equal, x, replaced);
    else
        missing = build2(
            ir, OP_Equal, x,
            constant_integers(ir, x->type.dtype, &(int64_t){attribute_int(node, "replaced_value_int64", 0)}, NULL, 0));
    outputs[0] = build3(ir, OP_Where, missing, filled, x);
    return outputs[0];
}

/* (x - offset) * scale */
bool scaler_expand(Ir *ir, const Node *node, Node **outputs)
{
    static const char *const names[] = {"offset", "scale"};
    Node *y = build_cast(ir, node->inputs[0], DTYPE_F32);
    for (int i = 0; i < 2; i++) {
        Node *const values = constant_attribute(ir, node, names[i], DTYPE_F32);
        int count;
        attribute_reals(node, names[i], &count);
        if (!values)
            continue;
        if (!feature_values(ir, names[i], count, node->inputs[0]->type))
            return false;
        y = build2(ir, i ? OP_Mul : OP_Sub, y, values);
    }
    outputs[0] = y;
    return y;
}

/* Rows divided by their greatest value, the sum of their sizes or their length; rows of 0 stay. */
bool normalizer_expand(Ir *ir, const Node *node, Node **outputs)
{
    static const int64_t last = -1;
    const char *const norm = attribute_string(node, "norm", "MAX");
    Node *const x = build_cast(ir, node->inputs[0], DTYPE_F32);
    if (!x || x->type.rank < 1)
        return x && compose_error(ir, "Normalizer takes no scalar");
    Node *size;
    if (strcmp(norm, "MAX") == 0)
        size = build_reduce(ir, OP_ReduceMax, x, &last, 1);
    else if (strcmp(norm, "L1") == 0)
        size = build_reduce(ir, OP_ReduceL1, x, &last, 1);
    else if (strcmp(norm, "L2") == 0)
        size = build_reduce(ir, OP_ReduceL2, x, &last, 1);
    else
        return compose_error(ir, "norm is '%s', none of MAX, L1, L2", diag_quote(ir->arena, norm, 40));
    Node *const none = build_number(ir, OP_Equal, size, 0);
    Node *const divisor = none ? build3(ir, OP_Where, none, constant_scalar(ir, DTYPE_F32, 1), size) : NULL;
    outputs[0] = build2(ir, OP_Div, x, divisor);
    return outputs[0];
}
