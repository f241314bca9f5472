/* ai.onnx.ml: categories to numbers and back. What is looked up is compared with all keys: the first equal one counts.
 */
#include "ir/ops/ml.h"

#include "ir/ops/rules.h"

#include <string.h>

static Node *equal(Ir *ir, Node *x, Node *y)
{
    return x && y ? build2(ir, x->type.dtype == DTYPE_STRING ? OP_lathe_StringEqual : OP_Equal, x, y) : NULL;
}

Node *ml_positions(Ir *ir, Node *x, Node *keys, int64_t count)
{
    static const int64_t last = -1;
    int64_t *const numbers = NEW_ARRAY(ir->arena, int64_t, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = i;
    Node *const wide = build_unsqueeze(ir, x, (int64_t[]){x->type.rank}, 1);
    Node *same = equal(ir, wide, keys);
    if (same && dtype_is_float(x->type.dtype)) { /* a key that is no number stands for all that are none */
        Node *const none = build2(ir, OP_And, build1(ir, OP_IsNaN, wide), build1(ir, OP_IsNaN, keys));
        same = build2(ir, OP_Or, same, none);
    }
    Node *const places = same ? build3(ir, OP_Where, same, constant_ints(ir, numbers, (int)count),
                                       constant_scalar(ir, DTYPE_I64, (double)count))
                              : NULL;
    return places ? build2_with(ir, OP_ReduceMin, places, constant_ints(ir, &last, 1), attr_int(ir, "keepdims", 0))
                  : NULL;
}

/* ---- OneHotEncoder ---- */

/* y[..., c] = x[...] is category c. Without zeros a category that is not listed fails the run. */
bool one_hot_encoder_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const x = node->inputs[0];
    const Attribute *const strings = attribute_find(node, "cats_strings");
    int count;
    const int64_t *const numbers = attribute_ints(node, "cats_int64s", &count);
    const bool texts = x->type.dtype == DTYPE_STRING;
    if (texts)
        count = strings ? strings->count : 0;
    if (count < 1)
        return compose_error(ir, "there are no categories for %s", type_text(ir, x->type));
    Node *const keys = texts ? constant_strings(ir, strings->strings, count) : constant_ints(ir, numbers, count);
    Node *const from = texts ? x : build_cast(ir, x, DTYPE_I64);
    Node *const wide = from ? build_unsqueeze(ir, from, (int64_t[]){x->type.rank}, 1) : NULL;
    Node *y = wide ? build_cast(ir, equal(ir, wide, keys), DTYPE_F32) : NULL;
    if (attribute_int(node, "zeros", 1) == 0 && y) {
        Node *const places = ml_positions(ir, from, keys, count);
        Node *const ones = constant_reals(ir, DTYPE_F32, (double[]){1}, (int64_t[]){1}, 1);
        Node *const unknown =
            places ? build_cast(ir, build2(ir, OP_Equal, places, constant_scalar(ir, DTYPE_I64, count)), DTYPE_I64)
                   : NULL;
        Node *const checked = unknown ? build2(ir, OP_Gather, ones, unknown) : NULL;
        y = checked ? build2(ir, OP_Mul, y, build_unsqueeze(ir, checked, (int64_t[]){x->type.rank}, 1)) : NULL;
    }
    outputs[0] = y;
    return y;
}

/* ---- LabelEncoder, CategoryMapper ---- */

/* One side of a mapping. */
typedef struct Side {
    Node *table; /* a list; NULL: not given */
    int64_t count;
} Side;

static bool side_read(Ir *ir, const Node *node, const char *const *names, Side *side)
{
    const Attribute *const tensor = names[0] ? attribute_find(node, names[0]) : NULL,
                           *const ints = attribute_find(node, names[1]),
                           *const strings = attribute_find(node, names[2]),
                           *const reals = names[3] ? attribute_find(node, names[3]) : NULL;
    *side = (Side){0};
    if (tensor) {
        if (!const_is_int(type_elements(ir, tensor->tensor->type), &side->count))
            return false;
        side->table =
            tensor->tensor->type.rank == 1 ? tensor->tensor : build_reshape(ir, tensor->tensor, (int64_t[]){-1}, 1);
        return side->table;
    }
    const Attribute *const given = ints && ints->count         ? ints
                                   : strings && strings->count ? strings
                                   : reals && reals->count     ? reals
                                                               : NULL;
    if (!given)
        return true;
    side->count = given->count;
    side->table = given == ints      ? constant_ints(ir, ints->integers, ints->count)
                  : given == strings ? constant_strings(ir, strings->strings, strings->count)
                                     : constant_attribute(ir, node, names[3], DTYPE_F32);
    return true;
}

/* What a key that is not listed becomes, as a list of one. */
static Node *otherwise(Ir *ir, const Node *node, Dtype dtype)
{
    const Attribute *const tensor = attribute_find(node, "default_tensor");
    const Name string = attribute_string(node, "default_string", "_Unused");
    if (tensor)
        return build_reshape(ir, tensor->tensor, (int64_t[]){1}, 1);
    if (dtype == DTYPE_STRING)
        return constant_strings(ir, &string, 1);
    const double real = attribute_float(node, "default_float", 0);
    const int64_t integer = attribute_int(node, "default_int64", -1), one = 1;
    return dtype_is_float(dtype) ? constant_reals(ir, dtype, &real, &one, 1)
                                 : constant_integers(ir, dtype, &integer, &one, 1);
}

/* values[position of x among the keys], or what is given for the others. */
static bool mapped(Ir *ir, const Node *node, Node *x, const Side *keys, const Side *values, Node **outputs)
{
    if (!keys->table || !values->table || keys->count != values->count)
        return compose_error(ir, "%lld keys and %lld values are no mapping", (long long)keys->count,
                             (long long)values->count);
    if (x->type.dtype != keys->table->type.dtype)
        return compose_error(ir, "the input is %s but the keys are %s", type_text(ir, x->type),
                             type_text(ir, keys->table->type));
    Node *const rest = otherwise(ir, node, values->table->type.dtype);
    Node *const table = build_concat(ir, (Node *[]){values->table, rest}, 2, 0), *const places = ml_positions(
                                                                                     ir, x, keys->table, keys->count);
    outputs[0] = table && places ? build2(ir, OP_Gather, table, places) : NULL;
    return outputs[0];
}

bool label_encoder_expand(Ir *ir, const Node *node, Node **outputs)
{
    static const char *const key_names[] = {"keys_tensor", "keys_int64s", "keys_strings", "keys_floats"};
    static const char *const value_names[] = {"values_tensor", "values_int64s", "values_strings", "values_floats"};
    const Attribute *const classes = attribute_find(node, "classes_strings");
    Node *const x = node->inputs[0];
    Side keys, values;
    if (classes && classes->count) { /* the first version: strings to their number, and back */
        const bool texts = x->type.dtype == DTYPE_STRING;
        int64_t *const numbers = NEW_ARRAY(ir->arena, int64_t, (size_t)classes->count);
        for (int i = 0; i < classes->count; i++)
            numbers[i] = i;
        const Side names = {constant_strings(ir, classes->strings, classes->count), classes->count},
                   counted = {constant_ints(ir, numbers, classes->count), classes->count};
        return mapped(ir, node, x, texts ? &names : &counted, texts ? &counted : &names, outputs);
    }
    return side_read(ir, node, key_names, &keys) && side_read(ir, node, value_names, &values) &&
           mapped(ir, node, x, &keys, &values, outputs);
}

bool category_mapper_expand(Ir *ir, const Node *node, Node **outputs)
{
    static const char *const names[] = {NULL, "cats_int64s", "", NULL}, *const texts[] = {NULL, "", "cats_strings",
                                                                                          NULL};
    Side ints, strings;
    if (!side_read(ir, node, names, &ints) || !side_read(ir, node, texts, &strings))
        return false;
    const bool from_texts = node->inputs[0]->type.dtype == DTYPE_STRING;
    return mapped(ir, node, node->inputs[0], from_texts ? &strings : &ints, from_texts ? &ints : &strings, outputs);
}
