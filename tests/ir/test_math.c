/* The expansions of ir/math.h against the long double functions of the C library: sweeps with the largest error in units in the last
 * place (f32: every MATH_STRIDE-th bit pattern, environment, default 4099; f64: bit patterns and a dense interval), special values one by
 * one, and integer powers against repeated multiplication. */
#define _GNU_SOURCE
#include "ir/math.h"
#include "ir/rows.h"
#include "ir/scalar.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- evaluating an expansion on rows ---- */

typedef struct Expansion {
    Arena *arena;
    Ir *ir;
    Node *leaves[2];
    Node **order;
    int count, arithmetic; /* arithmetic: operations that are instructions: no constants, no bitcasts */
    void **values;         /* by node id */
} Expansion;

static Node *leaf_make(Ir *ir, Type type)
{
    return node_make(ir, &(Node){.op = OP_input, .type = type});
}

static Expansion expansion_open(Op op, Dtype dtype)
{
    Expansion e = {.arena = arena_open(0, NULL, NULL)};
    e.ir = ir_open(e.arena, diagnostics_open(e.arena));
    e.leaves[0] = leaf_make(e.ir, type_scalar(dtype));
    e.leaves[1] = leaf_make(e.ir, type_scalar(dtype));
    Node *const root = math_expand(e.ir, op, e.leaves, scalar_arity(op));
    cr_assert_eq(root->type.dtype, dtype);
    e.order = nodes_topological(e.ir, &root, 1, &e.count);
    e.values = NEW_ARRAY(e.arena, void *, e.ir->next_id);
    for (int i = 0; i < e.count; i++) {
        const Node *const node = e.order[i];
        e.values[node->id] = arena_alloc(e.arena, ROW_LANES * 8);
        if (op_is_scalar(node->op)) {
            cr_assert(!math_is_transcendental(node->op), "%s expands to %s", op_name(op), op_name(node->op));
            e.arithmetic += node->op != OP_bitcast;
        } else if (node->op == OP_const) {
            uint64_t element;
            element_set(&element, node->type.dtype, node->payload.bits);
            row_splat(node->type.dtype)(e.values[node->id], &element, NULL, NULL, ROW_LANES);
        }
    }
    return e;
}

static void cast_row(const Expansion *e, const Node *node)
{
    static uint64_t middle[2][ROW_LANES];
    const RowCast cast = row_cast(node->type.dtype, node->inputs[0]->type.dtype);
    const void *from = e->values[node->inputs[0]->id];
    for (int step = 0; step < cast.count; step++) {
        void *const to = step == cast.count - 1 ? e->values[node->id] : middle[step & 1];
        cast.steps[step](to, from, NULL, NULL, ROW_LANES);
        from = to;
    }
}

/* The row of results for rows x and y (y: pow only). */
static const void *expansion_run(const Expansion *e, const void *x, const void *y)
{
    for (int i = 0; i < e->count; i++) {
        const Node *const node = e->order[i];
        if (node->op == OP_input) {
            memcpy(e->values[node->id], node == e->leaves[0] ? x : y, (size_t)(ROW_LANES * row_bytes(node->type.dtype)));
            continue;
        }
        if (node->op == OP_const)
            continue;
        if (node->op == OP_cast) {
            cast_row(e, node);
            continue;
        }
        const void *in[3] = {NULL, NULL, NULL};
        for (uint32_t j = 0; j < node->input_count; j++)
            in[j] = e->values[node->inputs[j]->id];
        const Dtype operand = node->inputs[node->input_count - 1]->type.dtype;
        if (node->op == OP_bitcast)
            memcpy(e->values[node->id], in[0], (size_t)(ROW_LANES * row_bytes(operand)));
        else
            row_find(node->op, operand)(e->values[node->id], in[0], in[1], in[2], ROW_LANES);
    }
    return e->values[e->order[e->count - 1]->id];
}

/* ---- errors ---- */

/* |got - want| in units in the last place of want as a float with `bits` of precision, exponents lowest..highest. Infinity counts as the
 * power of two after the largest number. */
static double ulp_error(long double got, long double want, int bits, int lowest, int highest)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got) ? 0 : INFINITY;
    const long double beyond = ldexpl(1, highest + 1);
    got = fminl(fmaxl(got, -beyond), beyond);
    want = fminl(fmaxl(want, -beyond), beyond);
    if (got == want)
        return 0;
    int exponent = want == 0 ? lowest : ilogbl(want);
    exponent = exponent < lowest ? lowest : exponent > highest ? highest : exponent;
    return (double)ldexpl(fabsl(got - want), bits - 1 - exponent);
}

static double float_at(const void *row, Dtype dtype, int i)
{
    return dtype == DTYPE_F32 ? (double)((const float *)row)[i] : ((const double *)row)[i];
}

static double error_at(Dtype dtype, double got, long double want)
{
    if (dtype == DTYPE_F32)
        return ulp_error(got, want, 24, -126, 127);
    return ulp_error(got, want, 53, -1022, 1023);
}

typedef long double Reference(long double);

static long double sigmoid_reference(long double x)
{
    return 1 / (1 + expl(-x));
}

/* f32 gives 0 from half a step below the normal numbers on. */
static long double sigmoid_reference_f32(long double x)
{
    return x < -127.5L * logl(2) ? 0 : sigmoid_reference(x);
}

static long double swish_reference(long double x)
{
    return x * sigmoid_reference(x);
}

static long double swish_reference_f32(long double x)
{
    return x * sigmoid_reference_f32(x);
}

typedef struct Worst {
    double error, x, y, got;
} Worst;

static void worst_take(Worst *worst, double error, double x, double y, double got)
{
    if (error > worst->error || isnan(error))
        *worst = (Worst){error, x, y, got};
}

static void row_check(const Expansion *e, Reference *reference, Dtype dtype, const void *xs, double range, Worst *worst)
{
    const void *const results = expansion_run(e, xs, xs);
    for (int i = 0; i < ROW_LANES; i++) {
        const double x = float_at(xs, dtype, i), got = float_at(results, dtype, i);
        if (fabs(x) > range && !isinf(x)) {
            cr_assert(fabs(got) <= 1, "%g outside the range gives %g", x, got);
            continue;
        }
        worst_take(worst, error_at(dtype, got, reference(x)), x, 0, got);
    }
}

static uint64_t random_next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static double random_between(uint64_t *state, double low, double high)
{
    return low + (high - low) * ((double)(random_next(state) >> 11) * 0x1p-53);
}

/* ---- sweeps ---- */

typedef struct SweepRow {
    const char *name;
    Op op;
    Reference *reference;
    double low, high;            /* dense sweep of f64 */
    double limit_f32, limit_f64; /* units in the last place */
    double range;                /* where the limits hold for tan and tan's kin; beyond, results are bounded by 1 */
    Reference *single;           /* of f32, where it is another; NULL: the same */
} SweepRow;

static const SweepRow sweep_rows[] = {
    {"exp",     OP_exp,     expl,              -750, 720, 1.6, 1.0, INFINITY},
    {"log",     OP_log,     logl,              0, 4,      1.0, 1.0, INFINITY},
    {"log1p",   OP_log1p,   log1pl,            -1, 4,     1.5, 1.5, INFINITY},
    {"tanh",    OP_tanh,    tanhl,             -20, 20,   2.5, 2.5, INFINITY},
    {"sigmoid", OP_sigmoid, sigmoid_reference, -750, 50,  2.5, 3.0, INFINITY, sigmoid_reference_f32},
    {"gate",    OP_gate,    swish_reference,   -750, 50,  6.5, 380, INFINITY, swish_reference_f32}, /* of x and x; f64: 745 halves of what sigmoid lost among subnormal numbers */
    {"erf",     OP_erf,     erfl,              -6, 6,     2.7, 1.5, INFINITY},
    {"sin",     OP_sin,     sinl,              -100, 100, 0.6, 1.0, 0x1p50},
    {"cos",     OP_cos,     cosl,              -100, 100, 0.6, 1.0, 0x1p50},
    {"tan",     OP_tan,     tanl,              -100, 100, 0.6, 2.5, 0x1p50},
    {"asin",    OP_asin,    asinl,             -1, 1,     0.6, 2.5, INFINITY},
    {"acos",    OP_acos,    acosl,             -1, 1,     0.6, 2.0, INFINITY},
    {"atan",    OP_atan,    atanl,             -10, 10,   0.6, 1.8, INFINITY},
    {"sinh",    OP_sinh,    sinhl,             -715, 715, 0.6, 2.5, INFINITY},
    {"cosh",    OP_cosh,    coshl,             -715, 715, 0.6, 2.0, INFINITY},
    {"asinh",   OP_asinh,   asinhl,            -20, 20,   0.6, 3.0, INFINITY},
    {"acosh",   OP_acosh,   acoshl,            1, 20,     0.6, 3.0, INFINITY},
    {"atanh",   OP_atanh,   atanhl,            -1, 1,     0.6, 3.0, INFINITY},
};
enum { SWEEP_ROWS = sizeof sweep_rows / sizeof *sweep_rows };

static void report(const char *name, const char *dtype, const Expansion *e, const Worst *worst, double limit)
{
    fprintf(stderr, "%-8s %s  %6.3f ulp at (%a, %a) -> %a  %d operations\n", name, dtype, worst->error, worst->x, worst->y, worst->got,
            e->arithmetic);
    cr_expect(worst->error <= limit, "%s %s: %g units in the last place at (%a, %a), %g allowed", name, dtype, worst->error, worst->x,
              worst->y, limit);
}

Test(math, f32_over_all_exponents)
{
    const char *const given = getenv("MATH_STRIDE");
    const uint64_t stride = given ? strtoull(given, NULL, 10) : 4099;
    for (int row = 0; row < SWEEP_ROWS; row++) {
        const Expansion e = expansion_open(sweep_rows[row].op, DTYPE_F32);
        Reference *const reference = sweep_rows[row].single ? sweep_rows[row].single : sweep_rows[row].reference;
        Worst worst = {-1, 0, 0, 0};
        for (uint64_t next = 0; next < UINT64_C(1) << 32;) {
            uint32_t patterns[ROW_LANES];
            for (int i = 0; i < ROW_LANES; i++, next += stride)
                patterns[i] = (uint32_t)next;
            row_check(&e, reference, DTYPE_F32, patterns, sweep_rows[row].range, &worst);
        }
        report(sweep_rows[row].name, "f32", &e, &worst, sweep_rows[row].limit_f32);
        arena_close(e.arena);
    }
}

Test(math, f64_dense_and_over_all_exponents)
{
    for (int row = 0; row < SWEEP_ROWS; row++) {
        const SweepRow *const sweep = &sweep_rows[row];
        const Expansion e = expansion_open(sweep->op, DTYPE_F64);
        Worst worst = {-1, 0, 0, 0};
        uint64_t state = (uint64_t)row;
        for (int part = 0; part < 600; part++) {
            double values[ROW_LANES];
            for (int i = 0; i < ROW_LANES; i++) {
                const uint64_t pattern = random_next(&state);
                if (part % 3 == 0)
                    values[i] = random_between(&state, sweep->low, sweep->high);
                else if (part % 3 == 1)
                    memcpy(&values[i], &pattern, sizeof pattern);
                else /* exponents around 0 */
                    values[i] = ldexp(random_between(&state, -1, 1), (int)(pattern % 80) - 40);
            }
            row_check(&e, sweep->reference, DTYPE_F64, values, sweep->range, &worst);
        }
        report(sweep->name, "f64", &e, &worst, sweep->limit_f64);
        arena_close(e.arena);
    }
}

static long double softexp_reference_f32(long double x)
{
    return x < logl(0x1p-126L) ? 0 : expl(x);
}

static long double softexp_reference_f64(long double x)
{
    return x < logl(0x1p-1022L) ? 0 : expl(x);
}

/* Numerators of softmax: arguments up to 0, results normal or 0. Every exponent, and densely where results vanish. */
Test(math, softexp_up_to_zero)
{
    const Expansion e = expansion_open(OP_softexp, DTYPE_F32), wide = expansion_open(OP_softexp, DTYPE_F64);
    Worst worst = {-1, 0, 0, 0}, worst_wide = {-1, 0, 0, 0};
    for (uint64_t next = UINT64_C(1) << 31; next < UINT64_C(1) << 32;) {
        uint32_t patterns[ROW_LANES], edge[ROW_LANES];
        for (int i = 0; i < ROW_LANES; i++, next += 4099) {
            patterns[i] = (uint32_t)next;
            edge[i] = UINT32_C(0xc2aeac4f) + (uint32_t)(next % 65536) - 32768; /* around ln 2^-126 */
        }
        row_check(&e, softexp_reference_f32, DTYPE_F32, patterns, INFINITY, &worst);
        row_check(&e, softexp_reference_f32, DTYPE_F32, edge, INFINITY, &worst);
    }
    uint64_t state = 1;
    for (int part = 0; part < 300; part++) {
        double values[ROW_LANES];
        for (int i = 0; i < ROW_LANES; i++)
            values[i] = random_between(&state, -750, 0);
        row_check(&wide, softexp_reference_f64, DTYPE_F64, values, INFINITY, &worst_wide);
    }
    report("softexp", "f32", &e, &worst, 0.9);
    report("softexp", "f64", &wide, &worst_wide, 1.0);
    arena_close(e.arena);
    arena_close(wide.arena);
}

/* Multiples of pi/2 rounded to the format: nothing is nearer to a zero of sin and cos. */
Test(math, near_multiples_of_half_pi)
{
    static const Op ops[] = {OP_sin, OP_cos, OP_tan};
    static Reference *const references[] = {sinl, cosl, tanl};
    for (int f = 0; f < 6; f++) {
        const Dtype dtype = f < 3 ? DTYPE_F32 : DTYPE_F64;
        const Expansion e = expansion_open(ops[f % 3], dtype);
        Worst worst = {-1, 0, 0, 0};
        uint64_t state = 7;
        for (int part = 0; part < 100; part++) {
            float singles[ROW_LANES];
            double doubles[ROW_LANES];
            for (int i = 0; i < ROW_LANES; i++) {
                const uint64_t multiple = random_next(&state) >> (15 + part % 48);
                doubles[i] = (double)((long double)multiple * 1.57079632679489661923132169163975144L);
                singles[i] = (float)doubles[i];
            }
            row_check(&e, references[f % 3], dtype, dtype == DTYPE_F32 ? (const void *)singles : doubles, 0x1p50, &worst);
        }
        report(op_name(ops[f % 3]), dtype_info[dtype].name, &e, &worst, f < 3 ? 0.6 : 2.5);
        arena_close(e.arena);
    }
}

static double pow_argument(uint64_t *state, int kind, bool base)
{
    const uint64_t pattern = random_next(state);
    double value;
    switch (kind) {
    case 0: /* anything */
        memcpy(&value, &pattern, sizeof pattern);
        return value;
    case 1: /* results all over the range */
        return base ? ldexp(random_between(state, 1, 2), (int)(pattern % 60) - 30) : random_between(state, -40, 40);
    case 2: /* near 1 with large exponents */
        return base ? 1 + ldexp(random_between(state, -1, 1), -(int)(pattern % 30)) : ldexp(random_between(state, -1, 1), (int)(pattern % 40));
    default: /* whole exponents */
        return base ? random_between(state, -8, 8) : (double)((int)(pattern % 401) - 200);
    }
}

static void pow_sweep(Dtype dtype, double limit)
{
    const Expansion e = expansion_open(OP_pow, dtype);
    Worst worst = {-1, 0, 0, 0};
    uint64_t state = 3;
    for (int part = 0; part < 1600; part++) {
        float xs[ROW_LANES], ys[ROW_LANES];
        double xd[ROW_LANES], yd[ROW_LANES];
        for (int i = 0; i < ROW_LANES; i++) {
            xs[i] = (float)(xd[i] = pow_argument(&state, part % 4, true));
            ys[i] = (float)(yd[i] = pow_argument(&state, part % 4, false));
        }
        const bool single = dtype == DTYPE_F32;
        const void *const x = single ? (const void *)xs : xd, *const y = single ? (const void *)ys : yd;
        const void *const results = expansion_run(&e, x, y);
        for (int i = 0; i < ROW_LANES; i++) {
            const double a = float_at(x, dtype, i), b = float_at(y, dtype, i), got = float_at(results, dtype, i);
            worst_take(&worst, error_at(dtype, got, powl(a, b)), a, b, got);
        }
    }
    report("pow", dtype_info[dtype].name, &e, &worst, limit);
    arena_close(e.arena);
}

Test(math, pow_of_floats)
{
    pow_sweep(DTYPE_F32, 0.6);
    pow_sweep(DTYPE_F64, 1.5);
}

/* ---- special values, IEEE 754-2019 9.2.1 and C11 annex F ---- */

typedef struct Special {
    Op op;
    double x, y, want;
} Special;

static const Special specials[] = {
    {OP_exp, 0, 0, 1}, {OP_exp, -0.0, 0, 1}, {OP_exp, -INFINITY, 0, 0}, {OP_exp, INFINITY, 0, INFINITY}, {OP_exp, NAN, 0, NAN},
    {OP_exp, 1e30, 0, INFINITY}, {OP_exp, -1e30, 0, 0},
    {OP_softexp, 0, 0, 1}, {OP_softexp, -0.0, 0, 1}, {OP_softexp, -INFINITY, 0, 0}, {OP_softexp, -1e30, 0, 0}, {OP_softexp, NAN, 0, NAN},
    {OP_log, 0, 0, -INFINITY}, {OP_log, -0.0, 0, -INFINITY}, {OP_log, 1, 0, 0}, {OP_log, -1, 0, NAN}, {OP_log, -INFINITY, 0, NAN},
    {OP_log, INFINITY, 0, INFINITY}, {OP_log, NAN, 0, NAN},
    {OP_log1p, 0, 0, 0}, {OP_log1p, -0.0, 0, -0.0}, {OP_log1p, -1, 0, -INFINITY}, {OP_log1p, -2, 0, NAN}, {OP_log1p, -INFINITY, 0, NAN},
    {OP_log1p, INFINITY, 0, INFINITY}, {OP_log1p, NAN, 0, NAN}, {OP_log1p, 1e-30, 0, 1e-30},
    {OP_tanh, 0, 0, 0}, {OP_tanh, -0.0, 0, -0.0}, {OP_tanh, INFINITY, 0, 1}, {OP_tanh, -INFINITY, 0, -1}, {OP_tanh, NAN, 0, NAN},
    {OP_tanh, 30, 0, 1}, {OP_tanh, -30, 0, -1},
    {OP_sigmoid, 0, 0, 0.5}, {OP_sigmoid, INFINITY, 0, 1}, {OP_sigmoid, -INFINITY, 0, 0}, {OP_sigmoid, NAN, 0, NAN},
    {OP_gate, NAN, 1, NAN}, {OP_gate, 0, 3, 1.5}, {OP_gate, INFINITY, -2, -2}, {OP_gate, -INFINITY, 5, 0}, {OP_gate, 100, NAN, NAN},
    {OP_sigmoid, 1e30, 0, 1}, {OP_sigmoid, -1e30, 0, 0}, {OP_sigmoid, 88.5, 0, 1}, {OP_sigmoid, 710, 0, 1},
    {OP_erf, 0, 0, 0}, {OP_erf, -0.0, 0, -0.0}, {OP_erf, INFINITY, 0, 1}, {OP_erf, -INFINITY, 0, -1}, {OP_erf, NAN, 0, NAN},
    {OP_erf, 6.5, 0, 1}, {OP_erf, -6.5, 0, -1},
    {OP_sin, 0, 0, 0}, {OP_sin, -0.0, 0, -0.0}, {OP_sin, INFINITY, 0, NAN}, {OP_sin, -INFINITY, 0, NAN}, {OP_sin, NAN, 0, NAN},
    {OP_cos, 0, 0, 1}, {OP_cos, -0.0, 0, 1}, {OP_cos, INFINITY, 0, NAN}, {OP_cos, NAN, 0, NAN},
    {OP_tan, 0, 0, 0}, {OP_tan, -0.0, 0, -0.0}, {OP_tan, INFINITY, 0, NAN}, {OP_tan, NAN, 0, NAN},
    {OP_asin, 0, 0, 0}, {OP_asin, -0.0, 0, -0.0}, {OP_asin, 1.5, 0, NAN}, {OP_asin, -1.5, 0, NAN}, {OP_asin, NAN, 0, NAN},
    {OP_acos, 1, 0, 0}, {OP_acos, 1.5, 0, NAN}, {OP_acos, -1.5, 0, NAN}, {OP_acos, NAN, 0, NAN},
    {OP_atan, 0, 0, 0}, {OP_atan, -0.0, 0, -0.0}, {OP_atan, NAN, 0, NAN},
    {OP_sinh, 0, 0, 0}, {OP_sinh, -0.0, 0, -0.0}, {OP_sinh, INFINITY, 0, INFINITY}, {OP_sinh, -INFINITY, 0, -INFINITY},
    {OP_sinh, NAN, 0, NAN}, {OP_sinh, 1e30, 0, INFINITY},
    {OP_cosh, 0, 0, 1}, {OP_cosh, -0.0, 0, 1}, {OP_cosh, INFINITY, 0, INFINITY}, {OP_cosh, -INFINITY, 0, INFINITY}, {OP_cosh, NAN, 0, NAN},
    {OP_asinh, 0, 0, 0}, {OP_asinh, -0.0, 0, -0.0}, {OP_asinh, INFINITY, 0, INFINITY}, {OP_asinh, -INFINITY, 0, -INFINITY},
    {OP_asinh, NAN, 0, NAN},
    {OP_acosh, 1, 0, 0}, {OP_acosh, 0.5, 0, NAN}, {OP_acosh, -5, 0, NAN}, {OP_acosh, -INFINITY, 0, NAN},
    {OP_acosh, INFINITY, 0, INFINITY}, {OP_acosh, NAN, 0, NAN},
    {OP_atanh, 0, 0, 0}, {OP_atanh, -0.0, 0, -0.0}, {OP_atanh, 1, 0, INFINITY}, {OP_atanh, -1, 0, -INFINITY}, {OP_atanh, 2, 0, NAN},
    {OP_atanh, -INFINITY, 0, NAN}, {OP_atanh, NAN, 0, NAN},
    {OP_pow, NAN, 0, 1}, {OP_pow, NAN, -0.0, 1}, {OP_pow, INFINITY, 0, 1}, {OP_pow, 0, 0, 1}, {OP_pow, -3, 0, 1},
    {OP_pow, 1, NAN, 1}, {OP_pow, 1, INFINITY, 1}, {OP_pow, 1, -INFINITY, 1}, {OP_pow, 1, 5, 1},
    {OP_pow, -1, INFINITY, 1}, {OP_pow, -1, -INFINITY, 1}, {OP_pow, -1, 3, -1}, {OP_pow, -1, 4, 1}, {OP_pow, -1, 0.5, NAN},
    {OP_pow, NAN, 2, NAN}, {OP_pow, 2, NAN, NAN},
    {OP_pow, 0, 3, 0}, {OP_pow, -0.0, 3, -0.0}, {OP_pow, -0.0, 4, 0}, {OP_pow, -0.0, 0.5, 0}, {OP_pow, 0, INFINITY, 0},
    {OP_pow, 0, -3, INFINITY}, {OP_pow, -0.0, -3, -INFINITY}, {OP_pow, -0.0, -4, INFINITY}, {OP_pow, -0.0, -0.5, INFINITY},
    {OP_pow, 0, -INFINITY, INFINITY}, {OP_pow, -0.0, -INFINITY, INFINITY},
    {OP_pow, INFINITY, 2, INFINITY}, {OP_pow, INFINITY, -2, 0}, {OP_pow, INFINITY, INFINITY, INFINITY}, {OP_pow, INFINITY, -INFINITY, 0},
    {OP_pow, -INFINITY, 3, -INFINITY}, {OP_pow, -INFINITY, 2, INFINITY}, {OP_pow, -INFINITY, 0.5, INFINITY},
    {OP_pow, -INFINITY, -3, -0.0}, {OP_pow, -INFINITY, -2, 0}, {OP_pow, -INFINITY, -0.5, 0},
    {OP_pow, 0.5, INFINITY, 0}, {OP_pow, 0.5, -INFINITY, INFINITY}, {OP_pow, 2, INFINITY, INFINITY}, {OP_pow, 2, -INFINITY, 0},
    {OP_pow, -0.5, INFINITY, 0}, {OP_pow, -2, -INFINITY, 0}, {OP_pow, -2, INFINITY, INFINITY},
    {OP_pow, 2, 10, 1024}, {OP_pow, -2, 3, -8}, {OP_pow, -8, 1.5, NAN}, {OP_pow, 2, 5000, INFINITY}, {OP_pow, 2, -5000, 0},
    {OP_pow, -2, 5001, -INFINITY}, {OP_pow, -2, -5001, -0.0}, {OP_pow, 2, 1e30, INFINITY}, {OP_pow, 9, 0.5, 3},
};

static void special_check(const Special *special, Dtype dtype, bool known_exponent)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    Node *operands[2] = {const_float(ir, dtype, special->x), const_float(ir, dtype, special->y)};
    double got;
    if (known_exponent) {
        /* Folding makes a constant of the expansion on constants. */
        const Node *const value = math_expand(ir, special->op, operands, scalar_arity(special->op));
        cr_assert_eq(value->op, OP_const);
        got = const_as_double(value);
    } else {
        const Expansion e = expansion_open(special->op, dtype);
        uint64_t xs[ROW_LANES], ys[ROW_LANES], element;
        element_set(&element, dtype, operands[0]->payload.bits);
        row_splat(dtype)(xs, &element, NULL, NULL, ROW_LANES);
        element_set(&element, dtype, operands[1]->payload.bits);
        row_splat(dtype)(ys, &element, NULL, NULL, ROW_LANES);
        got = float_at(expansion_run(&e, xs, ys), dtype, 0);
        arena_close(e.arena);
    }
    const double want = dtype == DTYPE_F32 ? (double)(float)special->want : special->want;
    const bool same = isnan(want) ? isnan(got) : got == want && !signbit(got) == !signbit(want);
    cr_expect(same, "%s(%g, %g) of %s gives %g instead of %g", op_name(special->op), special->x, special->y, dtype_info[dtype].name, got,
              want);
    arena_close(arena);
}

Test(math, special_values)
{
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        for (int variant = 0; variant < 4; variant++)
            special_check(&specials[i], variant & 1 ? DTYPE_F32 : DTYPE_F64, variant & 2);
}

/* pow with a known exponent, which has shorter expansions, against powl. */
Test(math, pow_with_known_exponents)
{
    static const double exponents[] = {0, 1, 2, 3, -1, 0.5, 4, -2};
    static const double bases[] = {0, -0.0, 1, -1, 1.7, -1.7, 1e-30, -1e30, 3e38, 1e-45, INFINITY, -INFINITY, NAN};
    Arena *const arena = arena_open(0, NULL, NULL);
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    for (size_t i = 0; i < sizeof exponents / sizeof *exponents; i++)
        for (size_t j = 0; j < sizeof bases / sizeof *bases; j++) {
            Node *const operands[2] = {const_float(ir, DTYPE_F32, bases[j]), const_float(ir, DTYPE_F32, exponents[i])};
            const double got = const_as_double(math_expand(ir, OP_pow, operands, 2));
            const long double want = powl((float)bases[j], exponents[i]);
            cr_expect(error_at(DTYPE_F32, got, want) <= 1.5, "pow(%g, %g) gives %g", bases[j], exponents[i], got);
            cr_expect(isnan(want) || !signbit(got) == !signbit(want), "sign of pow(%g, %g)", bases[j], exponents[i]);
        }
    Node *const x = leaf_make(ir, type_scalar(DTYPE_F32));
    cr_assert_eq(math_expand(ir, OP_pow, (Node *[]){x, const_float(ir, DTYPE_F32, 2)}, 2), scalar2(ir, OP_mul, x, x));
    arena_close(arena);
}

/* f(-x) = -f(x) bit for bit, and |f| <= 1. */
Test(math, tanh_and_erf_are_odd_and_bounded)
{
    static const Op ops[] = {OP_tanh, OP_erf};
    for (int f = 0; f < 2; f++) {
        const Expansion e = expansion_open(ops[f], DTYPE_F32);
        for (uint64_t next = 0; next < UINT64_C(0x7f800000);) {
            uint32_t positive[ROW_LANES], negative[ROW_LANES], results[ROW_LANES];
            for (int i = 0; i < ROW_LANES; i++, next += 1021) {
                positive[i] = next < UINT64_C(0x7f800000) ? (uint32_t)next : UINT32_C(0x7f800000);
                negative[i] = positive[i] | UINT32_C(0x80000000);
            }
            memcpy(results, expansion_run(&e, positive, NULL), sizeof results);
            const uint32_t *const mirrored = expansion_run(&e, negative, NULL);
            for (int i = 0; i < ROW_LANES; i++) {
                cr_assert_eq(results[i] | UINT32_C(0x80000000), mirrored[i]);
                cr_assert_leq(results[i], UINT32_C(0x3f800000));
            }
        }
        arena_close(e.arena);
    }
}

/* ---- integers ---- */

static uint64_t integer_power(Dtype dtype, uint64_t base, uint64_t exponent)
{
    const bool negative = dtype_is_signed(dtype) && (int64_t)exponent < 0;
    if (negative) {
        if (base == 1)
            return 1;
        return base == UINT64_MAX ? (exponent & 1 ? UINT64_MAX : 1) : 0;
    }
    uint64_t power = 1;
    /* Only the low bits count, and those of powers repeat: 2^16 steps cover i8 and i16, the others use small exponents. */
    for (uint64_t i = 0; i < exponent; i++)
        power *= base;
    uint64_t element = 0;
    element_set(&element, dtype, power);
    return element_bits(&element, dtype);
}

Test(math, integer_powers_are_exact)
{
    static const Dtype dtypes[] = {DTYPE_I8, DTYPE_U8, DTYPE_I16, DTYPE_U16, DTYPE_I32, DTYPE_U32, DTYPE_I64, DTYPE_U64, DTYPE_INDEX};
    static const int64_t bases[] = {0, 1, -1, 2, -2, 3, -3, 5, 7, 10, -10, 100, 127, -128, 255, 46341, -2147483647, INT64_MAX, INT64_MIN};
    static const int64_t exponents[] = {0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 32, 33, 62, 63, 64, 65, 100, 127, 255, 1000, 65535, -1, -2, -3, INT64_MIN};
    Arena *const arena = arena_open(0, NULL, NULL);
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++)
        for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
            for (size_t j = 0; j < sizeof exponents / sizeof *exponents; j++) {
                if (!dtype_is_signed(dtypes[d]) && exponents[j] < 0)
                    continue;
                Node *const x = const_int(ir, dtypes[d], bases[i]), *const y = const_int(ir, dtypes[d], exponents[j]);
                const Node *const value = math_expand(ir, OP_pow, (Node *[]){x, y}, 2);
                cr_assert_eq(value->op, OP_const);
                cr_expect_eq(value->payload.bits, integer_power(dtypes[d], x->payload.bits, y->payload.bits), "%lld ^ %lld of %s",
                             (long long)bases[i], (long long)exponents[j], dtype_info[dtypes[d]].name);
            }
    arena_close(arena);
}

Test(math, integer_powers_of_rows)
{
    const Expansion e = expansion_open(OP_pow, DTYPE_I64);
    int64_t xs[ROW_LANES], ys[ROW_LANES];
    uint64_t state = 5;
    for (int i = 0; i < ROW_LANES; i++) {
        xs[i] = (int64_t)random_next(&state) >> (i % 64);
        ys[i] = (int64_t)(random_next(&state) % 3000) - 500;
    }
    const int64_t *const got = expansion_run(&e, xs, ys);
    for (int i = 0; i < ROW_LANES; i++)
        cr_expect_eq((uint64_t)got[i], integer_power(DTYPE_I64, (uint64_t)xs[i], (uint64_t)ys[i]), "%lld ^ %lld", (long long)xs[i],
                     (long long)ys[i]);
    arena_close(e.arena);
}

/* ---- forms ---- */

Test(math, vectors_and_small_floats)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    for (Op op = OP_exp; op < OP_SCALAR_END; op++) {
        cr_assert(math_is_transcendental(op));
        for (int d = 0; d < 3; d++) {
            static const Dtype dtypes[] = {DTYPE_F32, DTYPE_F64, DTYPE_BF16};
            Node *const vector = leaf_make(ir, type_vector(dtypes[d], 8));
            Node *const operands[2] = {vector, const_float(ir, dtypes[d], 2.5)};
            Node *const value = math_expand(ir, op, operands, scalar_arity(op));
            cr_assert(type_equal(value->type, vector->type), "%s of 8 lanes", op_name(op));
            cr_assert_eq(math_expand(ir, op, operands, scalar_arity(op)), value);
        }
    }
    cr_assert(!math_is_transcendental(OP_bitcast));
    cr_assert(!math_is_transcendental(OP_NONE));
    arena_close(arena);
}
