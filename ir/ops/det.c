/* Det: the determinant of square matrices, by elimination with the largest pivot of each column. */
#include "ir/ops/procedure.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

bool det_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    if (x.rank < 2)
        return infer_error(infer, "Det takes matrices, not %s", type_text(infer->ir, x));
    infer->types[0] = type_tensor(infer->ir, x.dtype, x.rank - 2, x.dims);
    return infer_same_dim(infer, x.dims[x.rank - 2], x.dims[x.rank - 1], "the sides of the matrices of Det");
}

typedef struct Matrix {
    Node *elements, *base, *side;
} Matrix;

static Node *place(const Procedure *p, const Matrix *matrix, Node *row, Node *column)
{
    return index_add(p->ir, matrix->base, index_add(p->ir, index_mul(p->ir, row, matrix->side), column));
}

static Node *element(Procedure *p, const Matrix *matrix, Node *row, Node *column)
{
    return procedure_read(p, matrix->elements, place(p, matrix, row, column));
}

/* The row at or below `column` with the largest element there. NaN is passed by, unless it stands first. */
static Node *find_pivot(Procedure *p, const Matrix *matrix, Node *column)
{
    Ir *const ir = p->ir;
    Node *const best = procedure_var(p, column);
    Node *const most = procedure_var(p, scalar1(ir, OP_abs, element(p, matrix, column, column)));
    Node *const row = procedure_for(p, "row", index_add(ir, column, index_const(ir, 1)), matrix->side);
    Node *const size = scalar1(ir, OP_abs, element(p, matrix, row, column));
    procedure_if(p, scalar2(ir, OP_gt, size, procedure_get(p, most)));
    procedure_set(p, best, row);
    procedure_set(p, most, size);
    procedure_end(p);
    procedure_end(p);
    return procedure_get(p, best);
}

static void swap_rows(Procedure *p, const Matrix *matrix, Node *a, Node *b)
{
    Node *const column = procedure_for(p, "column", index_const(p->ir, 0), matrix->side);
    Node *const left = element(p, matrix, a, column), *const right = element(p, matrix, b, column);
    procedure_write(p, matrix->elements, place(p, matrix, a, column), right);
    procedure_write(p, matrix->elements, place(p, matrix, b, column), left);
    procedure_end(p);
}

/* Rows below `k` lose what they have of row k. */
static void eliminate(Procedure *p, const Matrix *matrix, Node *k, Node *pivot)
{
    Ir *const ir = p->ir;
    Node *const next = index_add(ir, k, index_const(ir, 1));
    Node *const row = procedure_for(p, "row", next, matrix->side);
    Node *const factor = scalar2(ir, OP_div, element(p, matrix, row, k), pivot);
    Node *const column = procedure_for(p, "column", next, matrix->side);
    Node *const product = scalar2(ir, OP_mul, factor, element(p, matrix, k, column));
    Node *const rest = scalar2(ir, OP_sub, element(p, matrix, row, column), product);
    procedure_write(p, matrix->elements, place(p, matrix, row, column), rest);
    procedure_end(p);
    procedure_end(p);
}

bool det_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const int rank = x->type.rank;
    const Dtype dtype = dtype_compute(x->type.dtype);
    Node *axes[RANK_MAX];
    lower_axes(lower, x->type, axes);
    Node *const work = lower_temp(lower, "rows", dtype, rank, x->type.dims);
    lower_define(lower, work, axes, rank, lower_at(lower, x, axes));
    Procedure p = procedure_open(lower, "det", dims_product(ir, x->type.dims, rank - 2));
    Node *const side = x->type.dims[rank - 1], *const zero = const_float(ir, dtype, 0);
    const Matrix matrix = {work, index_mul(ir, p.unit, index_mul(ir, side, side)), side};
    Node *const product = procedure_var(&p, const_float(ir, dtype, 1));
    Node *const k = procedure_for(&p, "k", index_const(ir, 0), side);
    {
        Node *const row = find_pivot(&p, &matrix, k), *const pivot = element(&p, &matrix, row, k);
        procedure_set(&p, product, scalar2(ir, OP_mul, procedure_get(&p, product), pivot));
        procedure_break(&p, scalar2(ir, OP_eq, pivot, zero));
        procedure_if(&p, scalar2(ir, OP_ne, row, k));
        swap_rows(&p, &matrix, row, k);
        procedure_set(&p, product, scalar1(ir, OP_neg, procedure_get(&p, product)));
        procedure_end(&p);
        eliminate(&p, &matrix, k, pivot);
    }
    procedure_end(&p);
    procedure_write(&p, lower_out(lower, 0), p.unit, procedure_get(&p, product));
    procedure_close(&p);
    return true;
}
