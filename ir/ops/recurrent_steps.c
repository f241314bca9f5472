/* One direction of a recurrent network as steps of stages: gates from x*W and h, then the cell element by element.
 *
 *     for each sequence b, for t in order:
 *         gates[b,n] = xw[t,b,n] + sum(k) h[b,k] * R[k,n]
 *         c[b,j]     = forget * c[b,j] + input * new          (LSTM)
 *         h[b,j]     = ...
 *         y[t,b,j]   = h[b,j]
 *
 * h and c are one row per sequence, in the type of the arithmetic, and hold the last state when the steps are over.
 * A sequence that has ended keeps them, and its y is 0. A single step needs no order: its stages are ordinary kernels.
 */
#include "ir/ops/recurrent.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"
#include "ir/ops/scalar_text.h"

#include <string.h>

enum { XW, RECURRENT, RECURRENT_LAST, RESET_BIAS, LENGTHS, INITIAL_H, INITIAL_C, PEEPHOLES };

bool recurrence_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type xw = infer_type(infer, XW), r = infer_type(infer, RECURRENT);
    const Attribute *const functions = attribute_find(infer->node, "activations"),
                           *const alpha = attribute_find(infer->node, "alpha"),
                           *const beta = attribute_find(infer->node, "beta");
    const Cell *const cell = cell_find(attribute_string(infer->node, "cell", ""));
    if (!cell || infer->output_count != (cell->memory ? 3 : 2))
        return infer_error(infer, "has no cell of so many outputs");
    if (xw.rank != 3 || r.rank != 2 || xw.dtype != r.dtype || (infer_has(infer, RECURRENT_LAST) && cell->gates != 3))
        return infer_error(infer, "x*W and R are %s and %s", type_text(ir, xw), type_text(ir, r));
    if (!functions || !alpha || !beta || functions->count != cell->functions || alpha->count != cell->functions ||
        beta->count != cell->functions)
        return infer_error(infer, "%s takes %d activations, alpha and beta", cell->name, cell->functions);
    for (int i = 0; i < cell->functions; i++)
        if (!activation_find(functions->strings[i]))
            return infer_error(infer, "there is no activation called %s", functions->strings[i]);
    Node *const hidden = r.dims[0];
    if (!infer_same_dim(infer, xw.dims[2], index_mul(ir, index_const(ir, cell->gates), hidden), "x*W and R"))
        return false;
    Node *const all[3] = {xw.dims[0], xw.dims[1], hidden};
    infer->types[0] = type_tensor(ir, xw.dtype, 3, all);
    for (int i = 1; i < infer->output_count; i++)
        infer->types[i] = type_tensor(ir, xw.dtype, 2, all + 1);
    return true;
}

/* What the stages are made of. */
typedef struct Recurrence {
    Lower *lower;
    Ir *ir;
    const Cell *cell;
    Dtype dtype;
    LowerSteps *steps; /* NULL: a single step */
    Node *b, *t;       /* sequence, step */
    Node *at;          /* the place in x*W and y */
    Node *valid;       /* has the sequence not ended? NULL: none ends */
    Node *hidden;
    Node *h_before, *h, *c_before, *c; /* buffers; before: NULL where it is 0, and the same as after within steps */
} Recurrence;

static Node *cast_at(Recurrence *recurrence, Node *buffer, Node *const *indices)
{
    return cast_make(recurrence->ir, lower_at(recurrence->lower, buffer, indices), recurrence->dtype);
}

/* state[b, index], 0 where it has no buffer. */
static Node *state_at(Recurrence *recurrence, Node *buffer, Node *index)
{
    Node *const at[2] = {recurrence->b, index};
    return buffer ? cast_at(recurrence, buffer, at) : const_int(recurrence->ir, recurrence->dtype, 0);
}

static Node *xw_at(Recurrence *recurrence, Node *column)
{
    Node *const at[3] = {recurrence->at, recurrence->b, column};
    return cast_at(recurrence, lower_in(recurrence->lower, XW), at);
}

/* sum(k) state[b,k] * R[k,column], or nothing where the state is 0. */
static Node *product(Recurrence *recurrence, Node *state, Node *r, Node *column)
{
    Node *const k = lower_axis(recurrence->lower, "k", recurrence->hidden), *const at[2] = {k, column};
    return state ? contract_make(recurrence->ir, recurrence->dtype, &k, 1, state_at(recurrence, state, k),
                                 lower_at(recurrence->lower, r, at))
                 : NULL;
}

static Node *plus(Ir *ir, Node *a, Node *b)
{
    return b ? scalar2(ir, OP_add, a, b) : a;
}

/* buffer[b, axis] = value, at each step. */
static void define(Recurrence *recurrence, Node *buffer, Node *axis, Node *value)
{
    Node *const both[2] = {recurrence->b, axis};
    if (recurrence->steps)
        lower_step(recurrence->steps, buffer, &axis, 1, both, value);
    else
        lower_define(recurrence->lower, buffer, both, 2, value);
}

/* The new value while the sequence goes on, then the old one. */
static Node *kept(Recurrence *recurrence, Node *value, Node *before, Node *j)
{
    return recurrence->valid
               ? scalar3(recurrence->ir, OP_select, recurrence->valid, value, state_at(recurrence, before, j))
               : value;
}

/* function[i](x) */
static Node *unclipped(Recurrence *recurrence, int i, Node *x)
{
    Ir *const ir = recurrence->ir;
    const Node *const node = recurrence->lower->node;
    const Activation *const row = activation_find(attribute_find(node, "activations")->strings[i]);
    return scalar_text_apply(ir, row->name, row->text, x, attribute_find(node, "alpha")->reals[i],
                             attribute_find(node, "beta")->reals[i]);
}

/* The function of a gate, whose sum is clipped before. */
static Node *apply(Recurrence *recurrence, int i, Node *x)
{
    Ir *const ir = recurrence->ir;
    const Node *const node = recurrence->lower->node;
    if (attribute_find(node, "clip")) {
        const double clip = attribute_float(node, "clip", 0);
        x = scalar2(ir, OP_max, const_float(ir, x->type.dtype, -clip),
                    scalar2(ir, OP_min, const_float(ir, x->type.dtype, clip), x));
    }
    return unclipped(recurrence, i, x);
}

static Node *temp(Recurrence *recurrence, const char *name, Node *columns)
{
    Node *const dims[2] = {lower_out(recurrence->lower, 0)->type.dims[1], columns};
    return lower_temp(recurrence->lower, name, recurrence->dtype, 2, dims);
}

/* x + P[number] * c: a peephole, where there are any. */
static Node *peephole(Recurrence *recurrence, Node *x, int number, Node *c, Node *j)
{
    Ir *const ir = recurrence->ir;
    if (!lower_has(recurrence->lower, PEEPHOLES) || !c)
        return x;
    Node *const at = index_add(ir, j, index_mul(ir, index_const(ir, number), recurrence->hidden));
    Node *const weight = cast_at(recurrence, lower_in(recurrence->lower, PEEPHOLES), &at);
    return scalar2(ir, OP_add, x, scalar2(ir, OP_mul, weight, c));
}

/* gates[b,n] = xw + h*R for the first `count` hidden sizes of columns; without xw where that is added elsewhere. */
static Node *gates_define(Recurrence *recurrence, int count, bool with_xw)
{
    Ir *const ir = recurrence->ir;
    Node *const columns = index_mul(ir, index_const(ir, count), recurrence->hidden);
    Node *const gates = temp(recurrence, "gates", columns), *const n = lower_axis(recurrence->lower, "n", columns);
    Node *const sum = product(recurrence, recurrence->h_before, lower_in(recurrence->lower, RECURRENT), n);
    Node *const zero = const_int(ir, recurrence->dtype, 0);
    define(recurrence, gates, n, with_xw ? plus(ir, xw_at(recurrence, n), sum) : sum ? sum : zero);
    return gates;
}

static Node *gate_at(Recurrence *recurrence, Node *gates, int number, Node *j)
{
    Ir *const ir = recurrence->ir;
    return state_at(recurrence, gates, index_add(ir, j, index_mul(ir, index_const(ir, number), recurrence->hidden)));
}

static void rnn_step(Recurrence *recurrence)
{
    Node *const gates = gates_define(recurrence, 1, true), *const j =
                                                               lower_axis(recurrence->lower, "j", recurrence->hidden);
    define(recurrence, recurrence->h, j,
           kept(recurrence, apply(recurrence, 0, gate_at(recurrence, gates, 0, j)), recurrence->h_before, j));
}

/* Gates i, o, f, c. */
static void lstm_step(Recurrence *recurrence)
{
    Ir *const ir = recurrence->ir;
    Node *const gates = gates_define(recurrence, 4, true);
    Node *j = lower_axis(recurrence->lower, "j", recurrence->hidden);
    Node *const before = state_at(recurrence, recurrence->c_before, j);
    Node *const input = apply(recurrence, 0, peephole(recurrence, gate_at(recurrence, gates, 0, j), 0, before, j));
    Node *forget = apply(recurrence, 0, peephole(recurrence, gate_at(recurrence, gates, 2, j), 2, before, j));
    if (attribute_int(recurrence->lower->node, "input_forget", 0))
        forget = scalar2(ir, OP_sub, const_int(ir, recurrence->dtype, 1), input);
    Node *const new = scalar2(ir, OP_mul, input, apply(recurrence, 1, gate_at(recurrence, gates, 3, j)));
    Node *const c = recurrence->c_before ? scalar2(ir, OP_add, scalar2(ir, OP_mul, forget, before), new) : new;
    define(recurrence, recurrence->c, j, kept(recurrence, c, recurrence->c_before, j));
    j = lower_axis(recurrence->lower, "j", recurrence->hidden);
    Node *const now = state_at(recurrence, recurrence->c, j);
    Node *const output = apply(recurrence, 0, peephole(recurrence, gate_at(recurrence, gates, 1, j), 1, now, j));
    define(recurrence, recurrence->h, j,
           kept(recurrence, scalar2(ir, OP_mul, output, unclipped(recurrence, 2, now)), recurrence->h_before, j));
}

/* (1 - z) * new + z * h */
static Node *mixed(Recurrence *recurrence, Node *z, Node *new, Node *before)
{
    Ir *const ir = recurrence->ir;
    Node *const rest = scalar2(ir, OP_mul, scalar2(ir, OP_sub, const_int(ir, recurrence->dtype, 1), z), new);
    return plus(ir, rest, recurrence->h_before ? scalar2(ir, OP_mul, z, before) : NULL);
}

/* Gates z, r, h; the reset is applied to h*R. */
static void gru_step_after(Recurrence *recurrence)
{
    Ir *const ir = recurrence->ir;
    Node *const gates = gates_define(recurrence, 3, false), *const j =
                                                                lower_axis(recurrence->lower, "j", recurrence->hidden);
    Node *column[3], *sum[3];
    for (int i = 0; i < 3; i++) {
        column[i] = index_add(ir, j, index_mul(ir, index_const(ir, i), recurrence->hidden));
        sum[i] = gate_at(recurrence, gates, i, j);
    }
    Node *const z = apply(recurrence, 0, scalar2(ir, OP_add, xw_at(recurrence, column[0]), sum[0]));
    Node *const r = apply(recurrence, 0, scalar2(ir, OP_add, xw_at(recurrence, column[1]), sum[1]));
    if (lower_has(recurrence->lower, RESET_BIAS))
        sum[2] = scalar2(ir, OP_add, sum[2], cast_at(recurrence, lower_in(recurrence->lower, RESET_BIAS), &j));
    Node *const new =
        apply(recurrence, 1, scalar2(ir, OP_add, xw_at(recurrence, column[2]), scalar2(ir, OP_mul, r, sum[2])));
    Node *const before = state_at(recurrence, recurrence->h_before, j);
    define(recurrence, recurrence->h, j, kept(recurrence, mixed(recurrence, z, new, before), recurrence->h_before, j));
}

/* The reset is applied to h, before R. */
static void gru_step_before(Recurrence *recurrence)
{
    Ir *const ir = recurrence->ir;
    Node *const gates = gates_define(recurrence, 2, true);
    Node *reset = NULL, *j = lower_axis(recurrence->lower, "j", recurrence->hidden);
    if (recurrence->h_before) {
        reset = temp(recurrence, "reset", recurrence->hidden);
        define(recurrence, reset, j,
               scalar2(ir, OP_mul, apply(recurrence, 0, gate_at(recurrence, gates, 1, j)),
                       state_at(recurrence, recurrence->h_before, j)));
    }
    Node *const last = temp(recurrence, "last", recurrence->hidden);
    Node *const n = lower_axis(recurrence->lower, "n", recurrence->hidden);
    Node *const sum = product(recurrence, reset, lower_in(recurrence->lower, RECURRENT_LAST), n);
    define(recurrence, last, n,
           plus(ir, xw_at(recurrence, index_add(ir, n, index_mul(ir, index_const(ir, 2), recurrence->hidden))), sum));
    j = lower_axis(recurrence->lower, "j", recurrence->hidden);
    Node *const z = apply(recurrence, 0, gate_at(recurrence, gates, 0, j)), *const new =
                                                                                apply(recurrence, 1,
                                                                                      state_at(recurrence, last, j));
    Node *const before = state_at(recurrence, recurrence->h_before, j);
    define(recurrence, recurrence->h, j, kept(recurrence, mixed(recurrence, z, new, before), recurrence->h_before, j));
}

/* Where step t stands in x*W and y: at t or, backwards, at the end less t. Lengths outside 0..T are errors of the run.
 */
static void place(Recurrence *recurrence)
{
    Lower *const lower = recurrence->lower;
    Ir *const ir = recurrence->ir;
    Node *const steps = lower_out(lower, 0)->type.dims[0], *const one = index_const(ir, 1);
    const bool reverse = attribute_int(lower->node, "reverse", 0) != 0;
    recurrence->at = reverse ? index_sub(ir, index_sub(ir, steps, one), recurrence->t) : recurrence->t;
    if (!lower_has(lower, LENGTHS))
        return;
    Node *const given = cast_make(ir, lower_at(lower, lower_in(lower, LENGTHS), &recurrence->b), DTYPE_INDEX);
    Node *const length = bound_make(ir, given, index_add(ir, steps, one));
    recurrence->valid = scalar2(ir, OP_lt, recurrence->t, length);
    if (reverse) {
        Node *const back = index_sub(ir, index_sub(ir, length, one), recurrence->t);
        recurrence->at = bound_make(ir, scalar3(ir, OP_select, recurrence->valid, back, recurrence->t), steps);
    }
}

/* state[b,j] = initial, or 0. */
static void start(Recurrence *recurrence, Node *state, int input)
{
    Lower *const lower = recurrence->lower;
    Node *axes[2];
    lower_axes(lower, state->type, axes);
    lower_define(lower, state, axes, 2,
                 lower_has(lower, input) ? cast_at(recurrence, lower_in(lower, input), axes)
                                         : const_int(recurrence->ir, recurrence->dtype, 0));
}

/* The buffers of a state: the output itself where that has the type of the arithmetic. */
static Node *state_make(Recurrence *recurrence, const char *name, int output)
{
    Node *const out = lower_out(recurrence->lower, output);
    return out->type.dtype == recurrence->dtype
               ? out
               : lower_temp(recurrence->lower, name, recurrence->dtype, 2, out->type.dims);
}

static void copy_out(Recurrence *recurrence, Node *state, int output)
{
    Node *const out = lower_out(recurrence->lower, output), *axes[2];
    if (state == out)
        return;
    lower_axes(recurrence->lower, out->type, axes);
    lower_define(recurrence->lower, out, axes, 2, lower_at(recurrence->lower, state, axes));
}

static void states_make(Recurrence *recurrence)
{
    Lower *const lower = recurrence->lower;
    recurrence->h = state_make(recurrence, "h", 1);
    recurrence->c = recurrence->cell->memory ? state_make(recurrence, "c", 2) : NULL;
    recurrence->h_before = recurrence->h;
    recurrence->c_before = recurrence->c;
    if (!recurrence->steps) {
        recurrence->h_before = lower_has(lower, INITIAL_H) ? lower_in(lower, INITIAL_H) : NULL;
        recurrence->c_before = recurrence->c && lower_has(lower, INITIAL_C) ? lower_in(lower, INITIAL_C) : NULL;
        return;
    }
    start(recurrence, recurrence->h, INITIAL_H);
    if (recurrence->c)
        start(recurrence, recurrence->c, INITIAL_C);
}

static void step_define(Recurrence *recurrence)
{
    const Node *const node = recurrence->lower->node;
    if (recurrence->cell->memory)
        lstm_step(recurrence);
    else if (recurrence->cell->gates == 1)
        rnn_step(recurrence);
    else if (attribute_int(node, "linear_before_reset", 0))
        gru_step_after(recurrence);
    else
        gru_step_before(recurrence);
}

/* y[t,b,j] = h[b,j], 0 behind the end of the sequence. */
static void output_define(Recurrence *recurrence)
{
    Node *const y = lower_out(recurrence->lower, 0), *const j = lower_axis(recurrence->lower, "j", recurrence->hidden);
    Node *value = state_at(recurrence, recurrence->h, j);
    if (recurrence->valid)
        value = scalar3(recurrence->ir, OP_select, recurrence->valid, value,
                        const_int(recurrence->ir, recurrence->dtype, 0));
    Node *const at[3] = {recurrence->at, recurrence->b, j}, *const axes[2] = {recurrence->b, j};
    if (recurrence->steps)
        lower_step(recurrence->steps, y, &j, 1, at, value);
    else
        lower_define_box(recurrence->lower, y, axes, 2, at, value);
}

bool recurrence_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Type y = lower_out(lower, 0)->type;
    const bool single = index_is(y.dims[0], 1);
    Recurrence recurrence = {.lower = lower,
                             .ir = ir,
                             .cell = cell_find(attribute_string(lower->node, "cell", "")),
                             .dtype = dtype_compute(y.dtype),
                             .hidden = y.dims[2],
                             .b = lower_axis(lower, "b", y.dims[1]),
                             .t = single ? index_const(ir, 0) : lower_axis(lower, "t", y.dims[0])};
    Node *const leading[2] = {recurrence.b, recurrence.t};
    LowerSteps steps = lower_steps_open(lower, leading, 2, 1);
    recurrence.steps = single ? NULL : &steps;
    place(&recurrence);
    states_make(&recurrence);
    step_define(&recurrence);
    output_define(&recurrence);
    if (recurrence.steps)
        lower_steps_close(&steps);
    copy_out(&recurrence, recurrence.h, 1);
    if (recurrence.c)
        copy_out(&recurrence, recurrence.c, 2);
    return true;
}
