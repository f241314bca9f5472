/* Multinomial: classes drawn by their probabilities, which are given as logarithms without a common factor.
 *
 * Sample s of row b takes u, the uniform number of position b * samples + s (ir/ops/random.h), and is the first class
 * whose summed weight, the sum in f64 and in order, is above u times that of all. */
#include "ir/ops/procedure.h"
#include "ir/ops/random.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

bool multinomial_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    const Dtype dtype = dtype_from_onnx((int)attribute_int(infer->node, "dtype", 6));
    const int64_t samples = attribute_int(infer->node, "sample_size", 1);
    if (x.rank != 2)
        return infer_error(infer, "Multinomial takes a list of classes per row, not %s", type_text(ir, x));
    if (dtype != DTYPE_I32 && dtype != DTYPE_I64)
        return infer_error(infer, "the dtype of Multinomial must be int32 or int64");
    if (samples < 0)
        return infer_error(infer, "sample_size is %lld", (long long)samples);
    if (!run_check(ir, scalar2(ir, OP_ge, x.dims[1], index_const(ir, 1)), "Multinomial: there is no class to draw"))
        return infer_error(infer, "there is no class to draw in %s", type_text(ir, x));
    infer->types[0] = type_tensor(ir, dtype, 2, (Node *[]){x.dims[0], index_const(ir, samples)});
    return true;
}

/* sums[b, c] = weight of the classes 0..c of row b. */
static void sum_weights(Lower *lower, Node *weights, Node *sums)
{
    Ir *const ir = lower->ir;
    Node *const classes = weights->type.dims[1];
    Procedure p = procedure_open(lower, "multinomial", weights->type.dims[0]);
    Node *const row = index_mul(ir, p.unit, classes), *const sum = procedure_var(&p, const_float(ir, DTYPE_F64, 0));
    Node *const c = procedure_for(&p, "c", index_const(ir, 0), classes);
    Node *const weight = cast_make(ir, procedure_read(&p, weights, index_add(ir, row, c)), DTYPE_F64);
    procedure_set(&p, sum, scalar2(ir, OP_add, procedure_get(&p, sum), weight));
    procedure_write(&p, sums, index_add(ir, row, c), procedure_get(&p, sum));
    procedure_end(&p);
    procedure_close(&p);
}

bool multinomial_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0), *const classes = x->type.dims[1];
    const Dtype dtype = dtype_compute(x->type.dtype);
    Node *axes[2], *at[2], *words[4], *uniform;
    lower_axes(lower, x->type, axes);
    Node *const most = lower_temp(lower, "most", dtype, 1, x->type.dims);
    Node *const c = lower_axis(lower, "c", classes);
    lower_define(lower, most, axes, 1,
                 fold_make(ir, FOLD_MAX, fold_lanes(dtype, true), &c, 1, lower_at(lower, x, (Node *[]){axes[0], c})));
    Node *const weights = lower_temp(lower, "weights", dtype, 2, x->type.dims);
    Node *const sums = lower_temp(lower, "sums", DTYPE_F64, 2, x->type.dims);
    lower_axes(lower, x->type, axes);
    lower_define(lower, weights, axes, 2,
                 scalar1(ir, OP_exp, scalar2(ir, OP_sub, lower_at(lower, x, axes), lower_at(lower, most, axes))));
    sum_weights(lower, weights, sums);

    lower_axes(lower, out->type, at);
    random_words(lower, random_counter(ir, out->type, at), words);
    uniform = cast_make(ir, random_uniform(ir, dtype, words), DTYPE_F64);
    Node *const last = index_sub(ir, classes, index_const(ir, 1));
    Node *const aim = scalar2(ir, OP_mul, uniform, lower_at(lower, sums, (Node *[]){at[0], last}));
    Node *const other = lower_axis(lower, "c", classes);
    Node *const passed = scalar2(ir, OP_le, lower_at(lower, sums, (Node *[]){at[0], other}), aim);
    Node *const place = fold_make(ir, FOLD_SUM, 1, &other, 1, cast_make(ir, passed, DTYPE_I64));
    lower_define(lower, out, at, 2, scalar2(ir, OP_min, place, cast_make(ir, last, DTYPE_I64)));
    return true;
}
