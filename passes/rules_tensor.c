/* The rules for tensor operators, in the order in which they are tried; guards above, the table below. See rules.h for
 * the contract.
 *
 * Canonical forms that rules lead to: views of the same elements in the same order are one Reshape with a known shape;
 * a Transpose has its perm; Max with 0 is Relu; constants stand together, away from what is not constant. */
#include "passes/rules.h"

#include "ir/ops/ops.h"
#include "ir/scalar.h"

#include <math.h>
#include <string.h>

/* ---- types ---- */

static bool is_integer(Match *match)
{
    return dtype_is_integer(match_root(match)->type.dtype);
}

static bool is_float(Match *match)
{
    return dtype_is_float(match_root(match)->type.dtype);
}

/* Abs of an unsigned number is the number; the negative of one wraps. */
static bool is_signed(Match *match)
{
    return is_float(match) || dtype_is_signed(match_root(match)->type.dtype);
}

/* Has `to` room for every value of `from`? Storage types below 16 bits are left out: their special values differ from
 * type to type. */
static bool holds_all(Dtype from, Dtype to)
{
    static const struct {
        Dtype from, to[8];
    } rows[] = {
        {DTYPE_F16, {DTYPE_F32, DTYPE_F64}},
        {DTYPE_BF16, {DTYPE_F32, DTYPE_F64}},
        {DTYPE_F32, {DTYPE_F64}},
        {DTYPE_BOOL, {DTYPE_U8, DTYPE_I8, DTYPE_I32, DTYPE_I64, DTYPE_F16, DTYPE_F32, DTYPE_F64}},
        {DTYPE_U8, {DTYPE_U16, DTYPE_U32, DTYPE_U64, DTYPE_I16, DTYPE_I32, DTYPE_I64, DTYPE_F32, DTYPE_F64}},
        {DTYPE_I8, {DTYPE_I16, DTYPE_I32, DTYPE_I64, DTYPE_F32, DTYPE_F64}},
        {DTYPE_U16, {DTYPE_U32, DTYPE_U64, DTYPE_I32, DTYPE_I64, DTYPE_F32, DTYPE_F64}},
        {DTYPE_I16, {DTYPE_I32, DTYPE_I64, DTYPE_F32, DTYPE_F64}},
        {DTYPE_U32, {DTYPE_U64, DTYPE_I64, DTYPE_F64}},
        {DTYPE_I32, {DTYPE_I64, DTYPE_F64}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int j = 0; rows[i].from == from && j < 8; j++)
            if (rows[i].to[j] == to)
                return true;
    return false;
}

/* The first cast loses nothing. An integer that becomes a float saturates in the second cast where the integer itself
 * would wrap. */
static bool first_cast_widens(Match *match)
{
    const Dtype from = match_node(match, "x")->type.dtype, to = match_root(match)->type.dtype;
    const Dtype between = dtype_from_onnx((int)match_attribute(match, "between")->integer);
    return holds_all(from, between) && !(dtype_is_integer(from) && dtype_is_float(between) && dtype_is_integer(to));
}

/* ---- views ---- */

/* Binds `shape`: the root's, as Reshape takes it, when at most one dim is not a number. */
static bool shape_known(Match *match)
{
    const Type type = match_root(match)->type;
    int64_t dims[RANK_MAX];
    int unknown = 0;
    for (int i = 0; i < type.rank; i++)
        if (!const_is_int(type.dims[i], &dims[i])) {
            dims[i] = -1;
            unknown++;
        } else if (dims[i] <= 0) {
            return false;
        }
    if (unknown > 1)
        return false;
    match_bind(match, "shape", constant_ints(match_ir(match), dims, type.rank));
    return true;
}

static void bind_perm(Match *match, const int64_t *perm, int rank)
{
    match_bind_attribute(match, "r", attr_ints(match_ir(match), "r", perm, rank));
}

static bool perm_reverses(Match *match)
{
    const int rank = match_root(match)->type.rank;
    int64_t perm[RANK_MAX];
    for (int i = 0; i < rank; i++)
        perm[i] = rank - 1 - i;
    bind_perm(match, perm, rank);
    return true;
}

/* Output axis i of the second is axis q[i] of the first, which is axis p[q[i]] of x. */
static bool perms_compose(Match *match)
{
    const Attribute *const p = match_attribute(match, "p"), *const q = match_attribute(match, "q");
    int64_t perm[RANK_MAX];
    for (int i = 0; i < q->count; i++)
        perm[i] = p->integers[q->integers[i]];
    bind_perm(match, perm, q->count);
    return true;
}

static bool perm_is_identity(Match *match)
{
    const Attribute *const p = match_attribute(match, "p");
    for (int i = 0; i < p->count; i++)
        if (p->integers[i] != i)
            return false;
    return true;
}

/* The axes of more than one element stay in order, so the elements do. */
static bool moves_ones(const Node *transpose)
{
    int count;
    const int64_t *const perm = attribute_ints(transpose, "perm", &count);
    int64_t last = -1;
    for (int i = 0; i < count; i++) {
        if (index_is(transpose->inputs[0]->type.dims[perm[i]], 1))
            continue;
        if (perm[i] < last)
            return false;
        last = perm[i];
    }
    return true;
}

static bool transpose_moves_ones(Match *match)
{
    return moves_ones(match_root(match)) && shape_known(match);
}

static bool operand_moves_ones(Match *match)
{
    return moves_ones(match_root(match)->inputs[0]) && shape_known(match);
}

static bool all_contents(const Node *node, int64_t low, int64_t high)
{
    int64_t count, value;
    if (!node->contents || node->type.rank != 1 || !const_is_int(node->type.dims[0], &count))
        return false;
    for (int64_t i = 0; i < count; i++)
        if (!const_is_int(node->contents[i], &value) || value < low || value > high)
            return false;
    return true;
}

static bool pads_are_zero(Match *match)
{
    return all_contents(match_node(match, "pads"), 0, 0);
}

/* A slice as long as its axis, forward, starts at 0. */
static bool steps_are_one(Match *match)
{
    const Node *const root = match_root(match);
    return root->input_count < 5 || is_omitted(root->inputs[4]) || all_contents(root->inputs[4], 1, 1);
}

/* ---- constants ---- */

typedef struct Values {
    int64_t count;
    double low, high;         /* of the values */
    double smallest, largest; /* of their magnitudes */
} Values;
enum { VALUES_MAX = 1 << 16 };

/* What is known of the elements of a float constant; false when it is none, is large, or holds a NaN. */
static bool values_of(Match *match, const char *name, Values *values)
{
    const Node *const node = match_node(match, name);
    const Dtype dtype = node->type.dtype;
    if (node->op != OP_constant || !dtype_is_float(dtype) || dtype_info[dtype].bits < 16)
        return false;
    const Constant *const constant = node->payload.constant;
    const size_t size = (size_t)dtype_info[dtype].bits / 8;
    if (constant->bytes < size || constant->bytes > VALUES_MAX * size ||
        !const_is_int(type_elements(match_ir(match), node->type), &values->count))
        return false;
    values->low = values->smallest = INFINITY;
    values->high = -INFINITY;
    values->largest = 0;
    for (uint64_t at = 0; at + size <= constant->bytes; at += size) {
        unsigned char element[8];
        memcpy(element, (const unsigned char *)constant->data + at, size);
        const uint64_t bits = element_bits(element, dtype), wide = scalar_evaluate(OP_cast, DTYPE_F64, dtype, &bits);
        double value;
        memcpy(&value, &wide, sizeof value);
        if (isnan(value))
            return false;
        values->low = fmin(values->low, value);
        values->high = fmax(values->high, value);
        values->smallest = fmin(values->smallest, fabs(value));
        values->largest = fmax(values->largest, fabs(value));
    }
    return true;
}

/* Are all magnitudes from `low` to `high` normal numbers of dtype? */
static bool is_normal(Dtype dtype, double low, double high)
{
    switch (dtype) {
    case DTYPE_F64:
        return low >= 0x1p-1022 && high <= 0x1.fffffffffffffp+1023;
    case DTYPE_F32:
        return low >= 0x1p-126 && high <= 0x1.fffffep+127;
    case DTYPE_BF16:
        return low >= 0x1p-126 && high <= 0x1.fep+127;
    case DTYPE_F16:
        return low >= 0x1p-14 && high <= 65504;
    default:
        return false;
    }
}

static bool is_constant(Match *match, const char *name)
{
    return match_node(match, name)->op == OP_constant;
}

/* a and b are constants and x is none; together they are no larger than the larger one. */
static bool constants_meet(Match *match)
{
    Ir *const ir = match_ir(match);
    const Node *const a = match_node(match, "a"), *const b = match_node(match, "b");
    if (is_constant(match, "x") || !is_constant(match, "a") || !is_constant(match, "b"))
        return false;
    return index_is(type_elements(ir, a->type), 1) || index_is(type_elements(ir, b->type), 1) ||
           type_equal(a->type, b->type);
}

static bool integer_constants_meet(Match *match)
{
    return is_integer(match) && constants_meet(match);
}

/* The product neither overflows nor loses bits at the lower end, where x * a * b would not. */
static bool factors_meet(Match *match)
{
    const Dtype dtype = match_root(match)->type.dtype;
    Values a, b;
    return constants_meet(match) && values_of(match, "a", &a) && values_of(match, "b", &b) &&
           is_normal(dtype, a.smallest, a.largest) && is_normal(dtype, b.smallest, b.largest) &&
           is_normal(dtype, a.smallest * b.smallest, a.largest * b.largest);
}

/* Terms of one sign: nothing cancels that did not cancel before, and the zero of their sum has their sign. */
static bool terms_meet(Match *match)
{
    const Dtype dtype = match_root(match)->type.dtype;
    Values a, b;
    return constants_meet(match) && values_of(match, "a", &a) && values_of(match, "b", &b) && a.smallest > 0 &&
           b.smallest > 0 && is_normal(dtype, 1, fmax(1, a.largest + b.largest)) &&
           ((a.low > 0 && b.low > 0) || (a.high < 0 && b.high < 0));
}

/* 1/c is a number of the type, so that x/c and x*(1/c) round the same exact value. Binds `r`. */
static bool divisor_is_power_of_two(Match *match)
{
    Values c;
    int exponent;
    if (!values_of(match, "c", &c) || c.low != c.high)
        return false;
    const Dtype dtype = match_root(match)->type.dtype;
    if (fabs(frexp(c.low, &exponent)) != 0.5 || !is_normal(dtype, c.smallest, c.largest) ||
        !is_normal(dtype, 1 / c.largest, 1 / c.smallest))
        return false;
    match_bind(match, "r", constant_scalar(match_ir(match), dtype, 1 / c.low));
    return true;
}

static bool divisor_has_reciprocal(Match *match)
{
    const Dtype dtype = match_root(match)->type.dtype;
    Values c;
    return values_of(match, "c", &c) && !is_constant(match, "x") && is_normal(dtype, c.smallest, c.largest) &&
           is_normal(dtype, 1 / c.largest, 1 / c.smallest);
}

static bool high_is_positive(Match *match)
{
    Values b;
    return values_of(match, "b", &b) && b.low > 0;
}

/* Clips with low <= high are monotone functions, and the second maps the first's bounds to those of both. */
static bool clips_nest(Match *match)
{
    Values a, b, c, d;
    return values_of(match, "a", &a) && values_of(match, "b", &b) && values_of(match, "c", &c) &&
           values_of(match, "d", &d) && a.low <= b.low && c.low <= d.low;
}

/* ---- the table ---- */

/* clang-format off */
/*    class    name                                  pattern                                                          replacement               when, flags */
const Rule tensor_rules[] = {
    /* What changes nothing */
    {EXACT,   "identity x = x",                      "(Identity x)",                                                  "x"},
    {EXACT,   "dropout x = x",                       "(Dropout x .. :seed *)",                                        "x"},
    {EXACT,   "max of one = x",                      "(Max x)",                                                       "x"},
    {EXACT,   "min of one = x",                      "(Min x)",                                                       "x"},
    {EXACT,   "sum of one = x",                      "(Sum x)",                                                       "x"},
    {EXACT,   "mean of one = x",                     "(Mean x)",                                                      "x"},
    {EXACT,   "concat of one = x",                   "(Concat x :axis *)",                                            "x"},
    {EXACT,   "split into one = x",                  "(Split x .. :axis * :num_outputs *)",                           "x"},
    {EXACT,   "clip without bounds = x",             "(Clip x)",                                                      "x"},
    {EXACT,   "cast to its own type = x",            "(Cast x :to * :saturate * :round_mode *)",                      "x"},
    {EXACT,   "expand to its own shape = x",         "(Expand x shape)",                                              "x"},
    {EXACT,   "slice of everything = x",             "(Slice x starts ..)",                                           "x",                      steps_are_one},
    {EXACT,   "pad by nothing = x",                  "(Pad x pads .. :mode *)",                                       "x",                      pads_are_zero},

    /* Neutral elements. x + 0 is not among them: -0 + 0 is +0. */
    {EXACT,   "x - 0 = x",                           "(Sub x 0)",                                                     "x"},
    {EXACT,   "x + -0 = x",                          "(Add x -0)",                                                    "x",                      is_float, COMMUTES},
    {EXACT,   "x + 0 = x, whole numbers",            "(Add x 0)",                                                     "x",                      is_integer, COMMUTES},
    {EXACT,   "0 - x = -x, whole numbers",           "(Sub 0 x)",                                                     "(Neg x)",                is_integer},
    {EXACT,   "x * 1 = x",                           "(Mul x 1)",                                                     "x",                      NULL, COMMUTES},
    {EXACT,   "x / 1 = x",                           "(Div x 1)",                                                     "x"},
    {EXACT,   "x ^ 1 = x",                           "(Pow x 1)",                                                     "x"},
    {EXACT,   "x and true = x",                      "(And x true)",                                                  "x",                      NULL, COMMUTES},
    {EXACT,   "x or false = x",                      "(Or x false)",                                                  "x",                      NULL, COMMUTES},
    {EXACT,   "x xor false = x",                     "(Xor x false)",                                                 "x",                      NULL, COMMUTES},
    {EXACT,   "where true = x",                      "(Where true x y)",                                              "x"},
    {EXACT,   "where false = y",                     "(Where false x y)",                                             "y"},

    /* Said twice */
    {EXACT,   "relu relu = relu",                    "(Relu (Relu x))",                                               "(Relu x)"},
    {EXACT,   "abs abs = abs",                       "(Abs (Abs x))",                                                 "(Abs x)"},
    {EXACT,   "floor floor = floor",                 "(Floor (Floor x))",                                             "(Floor x)"},
    {EXACT,   "ceil ceil = ceil",                    "(Ceil (Ceil x))",                                               "(Ceil x)"},
    {EXACT,   "round round = round",                 "(Round (Round x))",                                             "(Round x)"},
    {EXACT,   "max x x = x",                         "(Max x x)",                                                     "x"},
    {EXACT,   "min x x = x",                         "(Min x x)",                                                     "x"},
    {EXACT,   "and x x = x",                         "(And x x)",                                                     "x"},
    {EXACT,   "or x x = x",                          "(Or x x)",                                                      "x"},
    {EXACT,   "where c x x = x",                     "(Where c x x)",                                                 "x"},
    {EXACT,   "clip twice = clip",                   "(Clip (Clip x a b) a b)",                                       "(Clip x a b)"},
    {EXACT,   "neg neg = x",                         "(Neg (Neg x))",                                                 "x"},
    {EXACT,   "not not = x",                         "(Not (Not x))",                                                 "x"},
    {EXACT,   "bitwise not twice = x",               "(BitwiseNot (BitwiseNot x))",                                   "x"},

    /* Signs */
    {EXACT,   "abs neg = abs",                       "(Abs (Neg x))",                                                 "(Abs x)",                is_signed},
    {EXACT,   "x * -1 = -x",                         "(Mul x -1)",                                                    "(Neg x)",                NULL, COMMUTES},
    {EXACT,   "x / -1 = -x",                         "(Div x -1)",                                                    "(Neg x)"},
    {EXACT,   "x + -y = x - y",                      "(Add x (Neg y))",                                               "(Sub x y)",              NULL, COMMUTES},
    {EXACT,   "x - -y = x + y",                      "(Sub x (Neg y))",                                               "(Add x y)"},
    {EXACT,   "-x * -y = x * y",                     "(Mul (Neg x) (Neg y))",                                         "(Mul x y)"},
    {EXACT,   "-x / -y = x / y",                     "(Div (Neg x) (Neg y))",                                         "(Div x y)",              is_float},
    {EXACT,   "where not c x y = where c y x",       "(Where (Not c) x y)",                                           "(Where c y x)"},

    /* Canonical forms */
    {EXACT,   "sum of two = add",                    "(Sum x y)",                                                     "(Add x y)"},
    {EXACT,   "max x 0 = relu",                      "(Max x 0)",                                                     "(Relu x)",               NULL, COMMUTES},
    {EXACT,   "clip from 0 = relu",                  "(Clip x 0)",                                                    "(Relu x)"},
    {EXACT,   "clip 0 b of relu = clip 0 b",         "(Clip (Relu x) 0 b)",                                           "(Clip x 0 b)"},
    {EXACT,   "relu of clip 0 b = clip 0 b",         "(Relu (Clip x 0 b))",                                           "(Clip x 0 b)",           high_is_positive},
    {EXACT,   "clip of clip = clip",                 "(Clip (Clip x a b) c d)",                                       "(Clip x (Clip a c d) (Clip b c d))", clips_nest},

    /* Views */
    {EXACT,   "transpose has its perm",              "(Transpose x)",                                                 "(Transpose x :perm @r)", perm_reverses},
    {EXACT,   "transpose by nothing = x",            "(Transpose x :perm @p)",                                        "x",                      perm_is_identity},
    {EXACT,   "transpose transpose = transpose",     "(Transpose (Transpose x :perm @p) :perm @q)",                   "(Transpose x :perm @r)", perms_compose},
    {EXACT,   "reshape to its own shape = x",        "(Reshape x s :allowzero *)",                                    "x"},
    {EXACT,   "flatten of its own shape = x",        "(Flatten x :axis *)",                                           "x"},
    {EXACT,   "squeeze of nothing = x",              "(Squeeze x ..)",                                                "x"},
    {EXACT,   "unsqueeze by nothing = x",            "(Unsqueeze x a)",                                               "x"},
    {EXACT,   "squeeze unsqueeze = x",               "(Squeeze (Unsqueeze x a) ..)",                                  "x"},
    {EXACT,   "unsqueeze squeeze = x",               "(Unsqueeze (Squeeze x ..) a)",                                  "x"},
    {EXACT,   "flatten = reshape",                   "(Flatten x :axis *)",                                           "(Reshape x shape)",      shape_known},
    {EXACT,   "squeeze = reshape",                   "(Squeeze x ..)",                                                "(Reshape x shape)",      shape_known},
    {EXACT,   "unsqueeze = reshape",                 "(Unsqueeze x a)",                                               "(Reshape x shape)",      shape_known},
    {EXACT,   "reshape there and back = x",          "(Reshape (Reshape x s :allowzero *) t :allowzero *)",           "x"},
    {EXACT,   "reshape reshape = reshape",           "(Reshape (Reshape x s :allowzero *) t :allowzero *)",           "(Reshape x shape)",      shape_known},
    {EXACT,   "reshape reshape = the outer one",     "(Reshape (Reshape x s :allowzero *) t :allowzero @z)",          "(Reshape x t :allowzero @z)"},
    /* Alone it keeps its axes apart, which passes over stages like better than a linear index. */
    {EXACT,   "transpose of ones of reshape",        "(Transpose (Reshape x s :allowzero *) :perm *)",                "(Reshape x shape)",      transpose_moves_ones},
    {EXACT,   "reshape of transpose of ones",        "(Reshape (Transpose x :perm *) s :allowzero *)",                "(Reshape x shape)",      operand_moves_ones},
    {EXACT,   "widening cast and cast = cast",       "(Cast (Cast x :to @between :saturate * :round_mode *) :to @to :saturate @s :round_mode @m)",
              "(Cast x :to @to :saturate @s :round_mode @m)", first_cast_widens},

    /* Constants together: pass fold makes one of them. Whole numbers wrap, and max and min order -0 before 0, so those lose nothing. */
    {EXACT,   "x / 2^k = x * 2^-k",                  "(Div x c)",                                                     "(Mul x r)",              divisor_is_power_of_two},
    {EXACT,   "x + a + b, whole numbers",            "(Add (Add x a) b)",                                             "(Add x (Add a b))",      integer_constants_meet, COMMUTES},
    {EXACT,   "x * a * b, whole numbers",            "(Mul (Mul x a) b)",                                             "(Mul x (Mul a b))",      integer_constants_meet, COMMUTES},
    {EXACT,   "max (max x a) b",                     "(Max (Max x a) b)",                                             "(Max x (Max a b))",      constants_meet, COMMUTES},
    {EXACT,   "min (min x a) b",                     "(Min (Min x a) b)",                                             "(Min x (Min a b))",      constants_meet, COMMUTES},
    {REORDER, "x + a + b = x + (a + b)",             "(Add (Add x a) b)",                                             "(Add x (Add a b))",      terms_meet, COMMUTES},
    {REORDER, "x * a * b = x * (a * b)",             "(Mul (Mul x a) b)",                                             "(Mul x (Mul a b))",      factors_meet, COMMUTES},

    /* Rounding: two roundings of half a unit each where there was one; erf smooths what the quotient's steps might decide */
    /* One rounding instead of two, and exp to three more units in the last place. */
    {BOUNDED, "x * sigmoid x = swish x",             "(Mul x (Sigmoid x))",                                            "(Swish x)", NULL, COMMUTES},
    {BOUNDED, "erf (x / c) = erf (x * (1 / c))",     "(Erf (Div x c))",                                               "(Erf (Mul x (Div 1 c)))", divisor_has_reciprocal},

    /* Other special values, said in each row */
    {FAST,    "x + 0 = x",                           "(Add x 0)",                                                     "x",                      NULL, COMMUTES}, /* -0 + 0 is +0 */
    {FAST,    "0 - x = -x",                          "(Sub 0 x)",                                                     "(Neg x)"},                /* 0 - 0 is +0 */
    {FAST,    "-(x - y) = y - x",                    "(Neg (Sub x y))",                                               "(Sub y x)"},              /* -(x - x) is -0 */
    {FAST,    "x / c = x * (1 / c)",                 "(Div x c)",                                                     "(Mul x (Div 1 c))",      divisor_has_reciprocal}, /* rounds twice; may overflow in between */
    {FAST,    "x ^ 0.5 = sqrt x",                    "(Pow x 0.5)",                                                   "(Sqrt x)",               is_float}, /* of -0 and -inf */
    {FAST,    "log exp x = x",                       "(Log (Exp x))",                                                 "x"},                      /* exp overflows and underflows */
    {FAST,    "exp log x = x",                       "(Exp (Log x))",                                                 "x"},                      /* negative x gives NaN */
    {FAST,    "log softmax = logsoftmax",            "(Log (Softmax x :axis @a))",                                    "(LogSoftmax x :axis @a)"}, /* small probabilities underflow to log 0 */
};
/* clang-format on */
const int tensor_rule_count = sizeof tensor_rules / sizeof *tensor_rules;
