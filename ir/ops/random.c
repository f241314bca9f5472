/* The generator (see random.h), and the operators that are nothing but it. */
#include "ir/ops/random.h"

#include "ir/ops/build.h"
#include "ir/ops/rules.h"

#include <string.h>

enum { ROUNDS = 10 };

static Node *word(Ir *ir, uint32_t value)
{
    return const_int(ir, DTYPE_U32, value);
}

/* The halves of a * b. */
static void multiply(Ir *ir, uint32_t a, Node *b, Node **high, Node **low)
{
    Node *const product = scalar2(ir, OP_mul, const_int(ir, DTYPE_U64, a), cast_make(ir, b, DTYPE_U64));
    *low = cast_make(ir, product, DTYPE_U32);
    *high = cast_make(ir, scalar2(ir, OP_shr, product, const_int(ir, DTYPE_U64, 32)), DTYPE_U32);
}

static void philox(Ir *ir, const uint32_t *seed, Node **x)
{
    uint32_t key[2] = {seed[0], seed[1]};
    for (int i = 0; i < ROUNDS; i++) {
        Node *high[2], *low[2];
        multiply(ir, 0xD2511F53, x[0], &high[0], &low[0]);
        multiply(ir, 0xCD9E8D57, x[2], &high[1], &low[1]);
        x[0] = scalar2(ir, OP_xor, scalar2(ir, OP_xor, high[1], x[1]), word(ir, key[0]));
        x[2] = scalar2(ir, OP_xor, scalar2(ir, OP_xor, high[0], x[3]), word(ir, key[1]));
        x[1] = low[1];
        x[3] = low[0];
        key[0] += 0x9E3779B9;
        key[1] += 0xBB67AE85;
    }
}

static void seed_read(const Node *node, uint32_t *key)
{
    const Attribute *const seed = attribute_find(node, "seed");
    key[0] = key[1] = 0;
    if (seed && seed->kind == ATTRIBUTE_FLOAT) {
        const float real = (float)seed->real;
        memcpy(key, &real, sizeof real);
    } else if (seed) {
        key[0] = (uint32_t)seed->integer;
        key[1] = (uint32_t)((uint64_t)seed->integer >> 32);
    }
}

void random_words(const Lower *lower, Node *counter, Node **words)
{
    Ir *const ir = lower->ir;
    uint32_t key[2];
    seed_read(lower->node, key);
    Node *const position = cast_make(ir, counter, DTYPE_U64);
    words[0] = cast_make(ir, position, DTYPE_U32);
    words[1] = index_range(ir, counter).high <= UINT32_MAX
                   ? word(ir, 0)
                   : cast_make(ir, scalar2(ir, OP_shr, position, const_int(ir, DTYPE_U64, 32)), DTYPE_U32);
    words[2] = words[3] = word(ir, 0);
    philox(ir, key, words);
}

/* The upper `bits` of a word, or of two, as a float: whole numbers, all of them exact. */
static Node *upper_bits(Ir *ir, Dtype dtype, Node *const *words, int bits)
{
    if (dtype != DTYPE_F64) {
        Node *const top = scalar2(ir, OP_shr, words[0], word(ir, (uint32_t)(32 - bits)));
        return cast_make(ir, cast_make(ir, top, DTYPE_I32), dtype);
    }
    Node *const high = scalar2(ir, OP_shl, cast_make(ir, words[0], DTYPE_U64), const_int(ir, DTYPE_U64, 32));
    Node *const both = scalar2(ir, OP_or, high, cast_make(ir, words[1], DTYPE_U64));
    Node *const top = scalar2(ir, OP_shr, both, const_int(ir, DTYPE_U64, 64 - bits));
    return cast_make(ir, cast_make(ir, top, DTYPE_I64), dtype);
}

/* 2^-bits */
static Node *unit(Ir *ir, Dtype dtype, int bits)
{
    return const_float(ir, dtype, 1.0 / (double)(INT64_C(1) << bits));
}

Node *random_uniform(Ir *ir, Dtype dtype, Node *const *words)
{
    const Dtype compute = dtype_compute(dtype);
    const int bits = dtype == DTYPE_F64 ? 53 : dtype == DTYPE_F16 ? 11 : dtype == DTYPE_BF16 ? 8 : 24;
    return scalar2(ir, OP_mul, upper_bits(ir, compute, words, bits), unit(ir, compute, bits));
}

Node *random_normal(Ir *ir, Dtype dtype, Node *const *words)
{
    const Dtype compute = dtype_compute(dtype);
    const int bits = compute == DTYPE_F64 ? 53 : 31;
    Node *const half = const_float(ir, compute, 0.5), *const turn = const_float(ir, compute, 2 * 3.14159265358979323846);
    Node *const whole = scalar2(ir, OP_add, upper_bits(ir, compute, words, bits), half); /* not 0, whose logarithm is none */
    Node *const logarithm = scalar1(ir, OP_log, scalar2(ir, OP_mul, whole, unit(ir, compute, bits)));
    Node *const radius = scalar1(ir, OP_sqrt, scalar2(ir, OP_mul, const_float(ir, compute, -2), logarithm));
    Node *const angle = random_uniform(ir, compute, compute == DTYPE_F64 ? words + 2 : words + 1);
    return scalar2(ir, OP_mul, radius, scalar1(ir, OP_cos, scalar2(ir, OP_mul, turn, angle)));
}

Node *random_counter(Ir *ir, Type type, Node *const *indices)
{
    Node *position = index_const(ir, 0);
    for (int i = 0; i < type.rank; i++)
        position = index_add(ir, index_mul(ir, position, type.dims[i]), indices[i]);
    return position;
}

/* ---- RandomNormal, RandomUniform and their like ---- */

static bool random_type(const Infer *infer, Dtype dtype, Type like)
{
    const int64_t given = attribute_int(infer->node, "dtype", dtype_info[dtype].onnx);
    dtype = given < 1 || given > INT32_MAX ? DTYPE_NONE : dtype_from_onnx((int)given);
    if (dtype != DTYPE_F32 && dtype != DTYPE_F64 && dtype != DTYPE_F16 && dtype != DTYPE_BF16)
        return infer_error(infer, "dtype is %lld, and %s makes f16, bf16, f32 or f64", (long long)given,
                           op_name(infer->node->op));
    infer->types[0] = like;
    infer->types[0].dtype = dtype;
    return true;
}

bool random_shape(Infer *infer)
{
    int count;
    const int64_t *const shape = attribute_ints(infer->node, "shape", &count);
    Node *dims[RANK_MAX];
    if (!attribute_find(infer->node, "shape"))
        return infer_error(infer, "%s needs the attribute shape", op_name(infer->node->op));
    if (count > RANK_MAX)
        return infer_error(infer, "rank %d is beyond the limit of %d", count, RANK_MAX);
    for (int i = 0; i < count; i++) {
        if (shape[i] < 0)
            return infer_error(infer, "dim %d is %lld", i, (long long)shape[i]);
        dims[i] = index_const(infer->ir, shape[i]);
    }
    return random_type(infer, DTYPE_F32, type_tensor(infer->ir, DTYPE_F32, count, dims));
}

bool random_like_shape(Infer *infer)
{
    return random_type(infer, infer_type(infer, 0).dtype, infer_type(infer, 0));
}

/* offset + number * factor */
static bool random_define(Lower *lower, bool normal, double offset, double factor)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0);
    const Dtype compute = dtype_compute(out->type.dtype);
    Node *axes[RANK_MAX], *words[4];
    lower_axes(lower, out->type, axes);
    random_words(lower, random_counter(ir, out->type, axes), words);
    Node *const number = normal ? random_normal(ir, out->type.dtype, words) : random_uniform(ir, out->type.dtype, words);
    Node *const scaled = scalar2(ir, OP_mul, number, const_float(ir, compute, factor));
    lower_define(lower, out, axes, out->type.rank, scalar2(ir, OP_add, const_float(ir, compute, offset), scaled));
    return true;
}

bool random_normal_lower(Lower *lower)
{
    return random_define(lower, true, attribute_float(lower->node, "mean", 0), attribute_float(lower->node, "scale", 1));
}

bool random_uniform_lower(Lower *lower)
{
    const double low = attribute_float(lower->node, "low", 0);
    return random_define(lower, false, low, attribute_float(lower->node, "high", 1) - low);
}

/* ---- Bernoulli ---- */

bool bernoulli_shape(Infer *infer)
{
    const int64_t given = attribute_int(infer->node, "dtype", dtype_info[infer_type(infer, 0).dtype].onnx);
    const Dtype dtype = given < 1 || given > INT32_MAX ? DTYPE_NONE : dtype_from_onnx((int)given);
    if (dtype == DTYPE_NONE || dtype == DTYPE_STRING)
        return infer_error(infer, "dtype is %lld, which is no type of numbers", (long long)given);
    infer->types[0] = infer_type(infer, 0);
    infer->types[0].dtype = dtype;
    return true;
}

/* As the function body of the specification: 1 where a number of RandomUniformLike is below the probability, which is
 * compared in f32 at least: small ones would not be met in the steps of f16. */
bool bernoulli_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const x = build_cast(ir, node->inputs[0], dtype_compute(node->inputs[0]->type.dtype));
    const Attribute *const seed = attribute_find(node, "seed");
    Node *const number = !x ? NULL : build(ir, OP_RandomUniformLike, &x, 1, seed, seed ? 1 : 0);
    const int64_t to = attribute_int(node, "dtype", dtype_info[node->inputs[0]->type.dtype].onnx);
    outputs[0] = build_cast(ir, build2(ir, OP_Greater, x, number), dtype_from_onnx((int)to));
    return outputs[0] != NULL;
}
