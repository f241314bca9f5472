/* Fourier transforms: see fourier.h. */
#include "ir/ops/fourier.h"

#include "ir/ops/room.h"

/* A transform of known length in factors. Its result lies in a buffer [batch..., digit of factor 1, 2, ..., 1, last
 * digit, part]: frequency k is digit 1 + f1 (digit 2 + f2 (digit 3 ...)). */
typedef struct Chain {
    const Fourier *fourier;
    int64_t length;
    int sign; /* of the exponent */
    int count, factors[FACTORS_MAX];
    bool real;
    FourierSample *sample;
    const void *context;
    Node *result;
} Chain;

static Node *number(const Fourier *fourier, double value)
{
    return const_float(fourier->lower->ir, fourier->compute, value);
}

static Node *other_part(Ir *ir, Node *c)
{
    return index_sub(ir, index_const(ir, 1), c);
}

/* Part c of the product of x and a number of which `real` and `imaginary` are given: x[c] * real -+ x[1-c] * imaginary. */
static Node *product_part(const Fourier *fourier, Node *own, Node *other, Node *real, Node *imaginary, Node *c)
{
    Ir *const ir = fourier->lower->ir;
    Node *const first = scalar2(ir, OP_eq, c, index_const(ir, 0));
    Node *const crossed = scalar2(ir, OP_mul, other, imaginary);
    Node *const sum = scalar3(ir, OP_select, first, scalar1(ir, OP_neg, crossed), crossed);
    return scalar2(ir, OP_add, scalar2(ir, OP_mul, own, real), sum);
}

/* m[i, c, j, d]: what part c of input i gives to part d of output j, e^(sign 2 pi i (i j) / f) as a matrix. */
static Node *matrix_make(const Chain *chain, int f, int parts, int parts_out)
{
    const int64_t dims[4] = {f, parts, f, parts_out};
    double *const values =
        arena_alloc(chain->fourier->lower->ir->arena, (size_t)f * (size_t)f * 4 * sizeof(double));
    double *at = values;
    for (int64_t i = 0; i < f; i++)
        for (int c = 0; c < parts; c++)
            for (int64_t j = 0; j < f; j++) {
                double part[2];
                root_of_unity(chain->sign * i * j, f, &part[0], &part[1]);
                for (int d = 0; d < parts_out; d++)
                    *at++ = c == 0 ? part[d] : d == 0 ? -part[1] : part[0];
            }
    return fourier_table(chain->fourier, 4, dims, values);
}

/* t[i, q, part] = e^(sign 2 pi i (i q) / (f before)), q < before */
static Node *twiddles_make(const Chain *chain, int f, int64_t before)
{
    const int64_t dims[3] = {f, before, 2};
    double *const values =
        arena_alloc(chain->fourier->lower->ir->arena, (size_t)f * (size_t)before * 2 * sizeof(double));
    for (int64_t i = 0; i < f; i++)
        for (int64_t q = 0; q < before; q++)
            root_of_unity(chain->sign * i * q, f * before, &values[2 * (i * before + q)],
                          &values[2 * (i * before + q) + 1]);
    return fourier_table(chain->fourier, 3, dims, values);
}

/* What step s reads: part c of element i * rest + r of the sequence that the digits so far belong to, turned. */
static Node *step_load(const Chain *chain, int s, Node *before, Node *const *axes, Node *i, Node *c)
{
    const Fourier *const fourier = chain->fourier;
    Lower *const lower = fourier->lower;
    Ir *const ir = lower->ir;
    const int b = fourier->batch_rank;
    Node *const rest = before ? before->type.dims[b + s - 1] : index_const(ir, chain->length);
    Node *const position =
        index_add(ir, index_mul(ir, i, index_floordiv(ir, rest, index_const(ir, chain->factors[s]))), axes[b + s]);
    if (!before)
        return chain->sample(fourier, chain->context, axes, position, c);
    Node *at[RANK_MAX], *q = index_const(ir, 0);
    int64_t scale = 1;
    for (int k = 0; k < b; k++)
        at[k] = axes[k];
    for (int k = 0; k < s; k++) { /* the last digit stands behind the rest */
        at[b + k + (k == s - 1)] = axes[b + k];
        q = index_add(ir, q, index_mul(ir, axes[b + k], index_const(ir, scale)));
        scale *= chain->factors[k];
    }
    at[b + s - 1] = position;
    Node *const twiddles = twiddles_make(chain, chain->factors[s], scale);
    Node *parts[2], *roots[2];
    for (int k = 0; k < 2; k++) {
        at[b + s + 1] = k ? other_part(ir, c) : c;
        parts[k] = lower_at(lower, before, at);
        roots[k] = lower_at(lower, twiddles, (Node *[]){i, q, index_const(ir, k)});
    }
    return product_part(fourier, parts[0], parts[1], roots[0], roots[1], c);
}

/* [batch..., digits of factors 0..s-1, rest, digit of factor s, part] from the same of the step before. */
static Node *step_define(const Chain *chain, int s, Node *before)
{
    const Fourier *const fourier = chain->fourier;
    Lower *const lower = fourier->lower;
    Ir *const ir = lower->ir;
    const int b = fourier->batch_rank, f = chain->factors[s], parts = s == 0 && chain->real ? 1 : 2;
    const int parts_out = fourier->real_only && chain->count == 1 ? 1 : 2;
    Node *dims[RANK_MAX], *axes[RANK_MAX];
    int64_t rest = chain->length;
    for (int i = 0; i < b; i++)
        dims[i] = fourier->batch[i];
    for (int i = 0; i < s; i++) {
        dims[b + i] = index_const(ir, chain->factors[i]);
        rest /= chain->factors[i];
    }
    dims[b + s] = index_const(ir, rest / f);
    dims[b + s + 1] = index_const(ir, f);
    dims[b + s + 2] = index_const(ir, parts_out);
    Node *const buffer = lower_temp(lower, "frequencies", fourier->compute, b + s + 3, dims);
    lower_axes(lower, buffer->type, axes);
    Node *const i = lower_axis(lower, "i", dims[b + s + 1]);
    Node *const c = parts == 2 ? lower_axis(lower, "c", index_const(ir, 2)) : index_const(ir, 0);
    Node *const a = step_load(chain, s, before, axes, i, c);
    Node *const matrix = matrix_make(chain, f, parts, parts_out);
    Node *const m = lower_at(lower, matrix, (Node *[]){i, c, axes[b + s + 1], axes[b + s + 2]});
    Node *const value = contract_make(ir, fourier->compute, (Node *[]){i, c}, parts, a, m);
    lower_define(lower, buffer, axes, b + s + 3, value);
    return buffer;
}

/* A real signal has a real frequency in the middle: exactly so when the last factor is even. */
static void even_last(Chain *chain)
{
    for (int i = 0; i < chain->count; i++)
        if (chain->factors[i] % 2 == 0) {
            const int even = chain->factors[i];
            for (; i < chain->count - 1; i++)
                chain->factors[i] = chain->factors[i + 1];
            chain->factors[i] = even;
        }
}

static void chain_define(Chain *chain)
{
    chain->result = NULL;
    if (chain->real)
        even_last(chain);
    for (int s = 0; s < chain->count; s++)
        chain->result = step_define(chain, s, chain->result);
}

/* Part c of frequency k. */
static Node *chain_at(const Chain *chain, Node *const *batch, Node *k, Node *c)
{
    Ir *const ir = chain->fourier->lower->ir;
    const int b = chain->fourier->batch_rank, last = chain->count - 1;
    Node *at[RANK_MAX];
    for (int i = 0; i < b; i++)
        at[i] = batch[i];
    for (int i = 0; i < last; i++) {
        Node *const factor = index_const(ir, chain->factors[i]);
        at[b + i] = index_mod(ir, k, factor);
        k = index_floordiv(ir, k, factor);
    }
    at[b + last] = index_const(ir, 0);
    at[b + last + 1] = k;
    at[b + last + 2] = c;
    return lower_at(chain->fourier->lower, chain->result, at);
}

/* Fresh axes of the output: batch, frequency, part. */
typedef struct Output {
    Node *axes[RANK_MAX], *batch[RANK_MAX];
    Node *k, *c;
} Output;

static Output output_open(const Fourier *fourier, Node *out)
{
    Output output;
    lower_axes(fourier->lower, out->type, output.axes);
    output.c = output.axes[out->type.rank - 1];
    output.k = output.axes[fourier->place];
    for (int i = 0; i < fourier->batch_rank; i++)
        output.batch[i] = output.axes[i < fourier->place ? i : i + 1];
    return output;
}

/* The inverse transform is a mean. */
static void output_define(const Fourier *fourier, Node *out, const Output *output, Node *value)
{
    Ir *const ir = fourier->lower->ir;
    if (fourier->inverse)
        value = scalar2(ir, OP_div, value, cast_make(ir, fourier->length, fourier->compute));
    lower_define(fourier->lower, out, output->axes, out->type.rank, value);
}

/* ---- Bluestein: with w[n] = e^(sign pi i n^2 / N) the transform is w[k] sum over n of (x[n] w[n]) conj(w[k - n]) ---- */

typedef struct Bluestein {
    int64_t length, padded; /* N; a power of two, at least 2N - 1 */
    Node *chirp;            /* [N, 2]: w */
    Node *kernel;           /* [padded, 2]: the transform of conj(w), divided by `padded` */
    const Chain *forward;
} Bluestein;

static Node *chirp_at(const Fourier *fourier, Node *table, Node *n, int part)
{
    return lower_at(fourier->lower, table, (Node *[]){n, index_const(fourier->lower->ir, part)});
}

/* x[n] w[n], and 0 behind the signal */
static Node *chirped_sample(const Fourier *fourier, const void *context, Node *const *batch, Node *n, Node *c)
{
    const Bluestein *const plan = context;
    Ir *const ir = fourier->lower->ir;
    Node *const own = fourier->sample(fourier, fourier->context, batch, n, c);
    Node *const other = fourier->real ? NULL : fourier->sample(fourier, fourier->context, batch, n, other_part(ir, c));
    Node *const real = chirp_at(fourier, plan->chirp, n, 0), *const imaginary = chirp_at(fourier, plan->chirp, n, 1);
    Node *value;
    if (other)
        value = product_part(fourier, own, other, real, imaginary, c);
    else /* part 0 is all there is: c chooses the part of the product */
        value = scalar2(ir, OP_mul, fourier->sample(fourier, fourier->context, batch, n, index_const(ir, 0)),
                        lower_at(fourier->lower, plan->chirp, (Node *[]){n, c}));
    Node *const inside = scalar2(ir, OP_lt, n, index_const(ir, plan->length));
    return guard_make(ir, inside, value, number(fourier, 0));
}

static Node *convolved_sample(const Fourier *fourier, const void *context, Node *const *batch, Node *n, Node *c)
{
    const Bluestein *const plan = context;
    Ir *const ir = fourier->lower->ir;
    Node *const own = chain_at(plan->forward, batch, n, c);
    Node *const other = chain_at(plan->forward, batch, n, other_part(ir, c));
    return product_part(fourier, own, other, chirp_at(fourier, plan->kernel, n, 0), chirp_at(fourier, plan->kernel, n, 1),
                        c);
}

static void bluestein_tables(const Fourier *fourier, Bluestein *plan, int sign)
{
    Arena *const arena = fourier->lower->ir->arena;
    const int64_t n = plan->length, padded = plan->padded;
    double *const chirp = arena_alloc(arena, (size_t)n * 2 * sizeof(double));
    double *const kernel = arena_alloc(arena, (size_t)padded * 2 * sizeof(double));
    for (int64_t i = 0; i < n; i++) {
        root_of_unity(sign * (i * i % (2 * n)), 2 * n, &chirp[2 * i], &chirp[2 * i + 1]);
        const int64_t mirrored = i ? padded - i : 0; /* k - n may be negative */
        kernel[2 * i] = kernel[2 * mirrored] = chirp[2 * i];
        kernel[2 * i + 1] = kernel[2 * mirrored + 1] = -chirp[2 * i + 1];
    }
    fourier_compute(kernel, padded, -1);
    for (int64_t i = 0; i < 2 * padded; i++)
        kernel[i] /= (double)padded;
    plan->chirp = fourier_table(fourier, 2, (int64_t[]){n, 2}, chirp);
    plan->kernel = fourier_table(fourier, 2, (int64_t[]){padded, 2}, kernel);
}

static void bluestein_define(const Fourier *fourier, Node *out, int64_t length)
{
    Ir *const ir = fourier->lower->ir;
    Bluestein plan = {.length = length, .padded = 1};
    while (plan.padded < 2 * length - 1)
        plan.padded *= 2;
    Fourier inner = *fourier; /* whose chains give both parts */
    inner.real_only = false;
    bluestein_tables(&inner, &plan, fourier->inverse ? 1 : -1);
    Chain forward = {.fourier = &inner, .length = plan.padded, .sign = -1, .sample = chirped_sample, .context = &plan};
    Chain back = {.fourier = &inner, .length = plan.padded, .sign = 1, .sample = convolved_sample, .context = &plan};
    fourier_factors(plan.padded, forward.factors, &forward.count);
    fourier_factors(plan.padded, back.factors, &back.count);
    plan.forward = &forward;
    chain_define(&forward);
    chain_define(&back);
    const Output output = output_open(fourier, out);
    Node *const own = chain_at(&back, output.batch, output.k, output.c);
    Node *const other = chain_at(&back, output.batch, output.k, other_part(ir, output.c));
    output_define(fourier, out, &output,
                  product_part(fourier, own, other, chirp_at(fourier, plan.chirp, output.k, 0),
                               chirp_at(fourier, plan.chirp, output.k, 1), output.c));
}

/* ---- a length that only a run knows ---- */

/* roots[m, part] = e^(2 pi i m / N): by quarters of a turn, so that whole quarters are exact. */
static Node *roots_define(const Fourier *fourier)
{
    Lower *const lower = fourier->lower;
    Ir *const ir = lower->ir;
    Node *const dims[2] = {fourier->length, index_const(ir, 2)};
    Node *const roots = lower_temp(lower, "roots", fourier->compute, 2, dims);
    Node *axes[2];
    lower_axes(lower, roots->type, axes);
    Node *const length = cast_make(ir, fourier->length, DTYPE_F64);
    Node *const four = index_mul(ir, axes[0], index_const(ir, 4));
    Node *const quarter = scalar1(ir, OP_floor, scalar2(ir, OP_div, cast_make(ir, four, DTYPE_F64), length));
    Node *const rest = scalar2(ir, OP_sub, cast_make(ir, four, DTYPE_F64), scalar2(ir, OP_mul, quarter, length));
    Node *const half_pi = const_float(ir, DTYPE_F64, 1.57079632679489661923);
    Node *const angle = scalar2(ir, OP_div, scalar2(ir, OP_mul, half_pi, rest), length);
    Node *const c = scalar1(ir, OP_cos, angle), *const s = scalar1(ir, OP_sin, angle);
    Node *const turn = index_mod(ir, index_sub(ir, cast_make(ir, quarter, DTYPE_INDEX), axes[1]), index_const(ir, 4));
    Node *const odd = scalar2(ir, OP_eq, index_mod(ir, turn, index_const(ir, 2)), index_const(ir, 1));
    Node *const size = scalar3(ir, OP_select, odd, s, c);
    /* cos: c, -s, -c, s in the four quarters; sin is cos a quarter earlier */
    Node *const before = scalar2(ir, OP_or, scalar2(ir, OP_eq, turn, index_const(ir, 1)),
                                 scalar2(ir, OP_eq, turn, index_const(ir, 2)));
    lower_define(lower, roots, axes, 2, scalar3(ir, OP_select, before, scalar1(ir, OP_neg, size), size));
    return roots;
}

/* y[k] = sum over n of x[n] e^(sign 2 pi i k n / N) */
static void sum_define(const Fourier *fourier, Node *out)
{
    Lower *const lower = fourier->lower;
    Ir *const ir = lower->ir;
    Node *const roots = roots_define(fourier);
    const Output output = output_open(fourier, out);
    Node *const n = lower_axis(lower, "n", fourier->length);
    Node *const m = index_mod(ir, index_mul(ir, output.k, n), fourier->length);
    Node *const real = lower_at(lower, roots, (Node *[]){m, index_const(ir, 0)});
    Node *imaginary = lower_at(lower, roots, (Node *[]){m, index_const(ir, 1)});
    if (!fourier->inverse)
        imaginary = scalar1(ir, OP_neg, imaginary);
    Node *term;
    if (fourier->real) {
        Node *const x = fourier->sample(fourier, fourier->context, output.batch, n, index_const(ir, 0));
        Node *const first = scalar2(ir, OP_eq, output.c, index_const(ir, 0));
        term = scalar2(ir, OP_mul, x, scalar3(ir, OP_select, first, real, imaginary));
    } else {
        Node *const own = fourier->sample(fourier, fourier->context, output.batch, n, output.c);
        Node *const other =
            fourier->sample(fourier, fourier->context, output.batch, n, other_part(ir, output.c));
        term = product_part(fourier, own, other, real, imaginary, output.c);
    }
    output_define(fourier, out, &output, fold_make(ir, FOLD_SUM, 1, &n, 1, term));
}

void fourier_define(const Fourier *fourier, Node *out)
{
    int64_t length;
    Chain chain = {.fourier = fourier,
                   .sign = fourier->inverse ? 1 : -1,
                   .real = fourier->real,
                   .sample = fourier->sample,
                   .context = fourier->context};
    if (!const_is_int(fourier->length, &length) || length > FOURIER_LENGTH_MAX) {
        sum_define(fourier, out);
        return;
    }
    chain.length = length;
    const bool deep = fourier->batch_rank + FACTORS_MAX + 3 > RANK_MAX; /* digits are axes */
    if (!fourier_factors(length, chain.factors, &chain.count) || deep) {
        if (length <= 128 || deep)
            sum_define(fourier, out);
        else
            bluestein_define(fourier, out, length);
        return;
    }
    chain_define(&chain);
    const Output output = output_open(fourier, out);
    output_define(fourier, out, &output, chain_at(&chain, output.batch, output.k, output.c));
}
