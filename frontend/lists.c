/* Lists of axes, sizes and bounds whose length is a symbolic dim.
 *
 * The newest operators take shapes, axes and bounds as tensors, and a model may leave the length of such a tensor open.
 * The rank of a result depends on it, so it must be known here: from the rank of the data, from the rank that the model
 * declares for the result, from the number of outputs. Where none of these tells, the list is spread: a bound or a mark
 * for every axis, written at the places that the list names, which has the rank's length whatever the list's is. */
#include "frontend/importer.h"
#include "ir/ops/build.h"

#include <string.h>

typedef enum Length {
    LENGTH_RANK,    /* of input 0 */
    LENGTH_TWICE,   /* twice that */
    LENGTH_RESULT,  /* rank of output 0, as declared */
    LENGTH_ADDED,   /* what output 0 has more than input 0 */
    LENGTH_REMOVED, /* what it has less */
    LENGTH_OUTPUTS, /* number of outputs */
    LENGTH_ONE,
    LENGTH_SCALAR,  /* no list: what input 1 is, when that is a scalar */
    LENGTH_SPATIAL, /* rank of output 0 without batch and channels */
} Length;

typedef struct ListRow {
    const char *op;
    int input;
    Length length;
    bool (*spread)(Draft *draft); /* when the length is not to be known; NULL: then it stays as it is */
    int axes; /* an input or attribute `axes` gives the length instead of the rank: its input, 0 for the attribute, -1:
                 none */
} ListRow;

/* ---- nodes ---- */

/* Is it a list whose length is not a constant? */
static bool is_open(const Node *list)
{
    int64_t length;
    return list && list->type.rank == 1 && !const_is_int(list->type.dims[0], &length);
}

static Node *filled(Draft *draft, int count, int64_t value)
{
    int64_t *const values = NEW_ARRAY(draft->importer->ir->arena, int64_t, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        values[i] = value;
    return constant_ints(draft->importer->ir, values, count);
}

static Node *counted(Draft *draft, int count)
{
    int64_t values[RANK_MAX];
    for (int i = 0; i < count; i++)
        values[i] = i;
    return constant_ints(draft->importer->ir, values, count);
}

/* 0, 1, ... for every entry of the list, an i64 list. */
static Node *places(Draft *draft, Node *list)
{
    Ir *const ir = draft->importer->ir;
    Node *const count = build2(ir, OP_Squeeze, build1(ir, OP_Shape, list), filled(draft, 1, 0));
    return build3(ir, OP_Range, constant_scalar(ir, DTYPE_I64, 0), count, constant_scalar(ir, DTYPE_I64, 1));
}

/* `otherwise` for every axis, the list's entries at the axes it belongs to. */
static Node *scattered(Draft *draft, int rank, int64_t otherwise, Node *axes, Node *list)
{
    return build3(draft->importer->ir, OP_ScatterElements, filled(draft, rank, otherwise), axes, list);
}

/* ---- what is spread ---- */

enum { SLICE_STARTS = 1, SLICE_ENDS, SLICE_AXES, SLICE_STEPS };

static bool slice_spread(Draft *draft)
{
    const int rank = draft->inputs[0]->type.rank;
    static const int64_t otherwise[] = {[SLICE_STARTS] = 0, [SLICE_ENDS] = INT64_MAX, [SLICE_STEPS] = 1};
    Node *axes = build_cast(draft->importer->ir, draft_input(draft, SLICE_AXES), DTYPE_I64);
    if (!axes)
        axes = places(draft, draft->inputs[SLICE_STARTS]);
    for (int i = SLICE_STARTS; i <= SLICE_STEPS && axes; i++) {
        if (i == SLICE_AXES || !draft_input(draft, i))
            continue;
        Node *const spread =
            scattered(draft, rank, otherwise[i], axes, build_cast(draft->importer->ir, draft->inputs[i], DTYPE_I64));
        if (!spread)
            return false;
        draft->inputs[i] = spread;
    }
    if (draft->input_count > SLICE_AXES)
        draft->inputs[SLICE_AXES] = counted(draft, rank);
    return axes;
}

enum { PADS = 1, PADS_AXES = 3 };

/* Half of the pads, at the front of the listed axes or behind them. */
static Node *pads_half(Draft *draft, Node *pads, Node *axes, bool behind)
{
    Ir *const ir = draft->importer->ir;
    Node *const length = build1(ir, OP_Shape, axes);
    Node *const first = behind ? length : filled(draft, 1, 0), *const end =
                                                                   behind ? filled(draft, 1, INT64_MAX) : length;
    return scattered(draft, draft->inputs[0]->type.rank, 0, axes, build3(ir, OP_Slice, pads, first, end));
}

static bool pad_spread(Draft *draft)
{
    Node *const axes = build_cast(draft->importer->ir, draft_input(draft, PADS_AXES), DTYPE_I64),
                *const pads = build_cast(draft->importer->ir, draft->inputs[PADS], DTYPE_I64);
    if (!axes || !pads || axes->type.rank != 1)
        return true;
    Node *const front = pads_half(draft, pads, axes, false), *const back = pads_half(draft, pads, axes, true);
    Ir *const ir = draft->importer->ir;
    Node *const both = build2_with(ir, OP_Concat, front, back, attr_int(ir, "axis", 0));
    if (!both)
        return false;
    draft->inputs[PADS] = both;
    draft->inputs[PADS_AXES] = counted(draft, draft->inputs[0]->type.rank);
    return true;
}

/* A reduction along axes that only a run knows, all of them kept: every axis becomes two, one that stays and one that
 * is reduced, and one of both is 1. */
static bool reduce_spread(Draft *draft)
{
    Ir *const ir = draft->importer->ir;
    const int rank = draft->inputs[0]->type.rank;
    const Attribute *const keep = draft_attribute(draft, "keepdims"), *const noop = draft_attribute(
                                                                          draft, "noop_with_empty_axes");
    if (keep && keep->integer == 0)
        return true;
    Node *const axes = build_cast(draft->importer->ir, draft->inputs[1], DTYPE_I64), *const zero = filled(draft, 1, 0),
                *const one = filled(draft, 1, 1);
    Node *const shape = build1(ir, OP_Shape, draft->inputs[0]), *const length = build1(ir, OP_Shape, axes);
    Node *const marks = scattered(draft, rank, 0, axes, build2(ir, OP_Expand, one, length));
    Node *reduced = build2(ir, OP_Equal, marks, one);
    if (!(noop && noop->integer))
        reduced = build2(ir, OP_Or, reduced, build2(ir, OP_Equal, length, zero));
    const int64_t column = 1, flat = -1;
    Node *const stays = build_unsqueeze(ir, build3(ir, OP_Where, reduced, one, shape), &column, 1);
    Node *const goes = build_unsqueeze(ir, build3(ir, OP_Where, reduced, shape, one), &column, 1);
    Node *const dims = build_reshape(ir, build2_with(ir, OP_Concat, stays, goes, attr_int(ir, "axis", 1)), &flat, 1);
    Node *const apart = build2_with(ir, OP_Reshape, draft->inputs[0], dims, attr_int(ir, "allowzero", 1));
    if (!apart)
        return false;
    int64_t odd[RANK_MAX];
    for (int i = 0; i < rank; i++)
        odd[i] = 2 * i + 1;
    draft->inputs[0] = apart;
    draft->inputs[1] = constant_ints(ir, odd, rank);
    draft_drop(draft, "keepdims");
    draft->attributes[draft->attribute_count++] = attr_int(ir, "keepdims", 0);
    return true;
}

/* The shape of Expand may be shorter than the rank: ones stand in front of it then. */
static bool expand_spread(Draft *draft)
{
    Ir *const ir = draft->importer->ir;
    const int rank = draft->inputs[0]->type.rank;
    const int64_t last = -rank, dims = rank;
    Node *const shape = build_cast(ir, draft->inputs[1], DTYPE_I64);
    Node *const longer = build2_with(ir, OP_Concat, filled(draft, rank, 1), shape, attr_int(ir, "axis", 0));
    Node *const end = build3(ir, OP_Slice, longer, constant_ints(ir, &last, 1), filled(draft, 1, INT64_MAX));
    Node *const settled = build_reshape(ir, end, &dims, 1);
    const char *const text = "the shape of Expand is longer than the rank that the model declares for the result";
    if (!settled || !run_check(ir, scalar2(ir, OP_le, shape->type.dims[0], index_const(ir, rank)), text))
        return false;
    draft->inputs[1] = read_make(ir, settled);
    return draft->inputs[1];
}

/* ---- tuples ---- */

/* Index tuples in the last axis of GatherND and ScatterND: how long they are follows from the ranks around them. */
static bool is_open_tuples(const Draft *draft, int *length, int result_rank)
{
    const bool gathers = strcmp(draft->op, "GatherND") == 0;
    if ((!gathers && strcmp(draft->op, "ScatterND") != 0) || !draft_input(draft, 1) ||
        (!gathers && !draft_input(draft, 2)))
        return false;
    const Type data = draft->inputs[0]->type, indices = draft->inputs[1]->type;
    const Attribute *const batch = draft_attribute(draft, "batch_dims");
    int64_t known;
    if (indices.rank < 1 || const_is_int(indices.dims[indices.rank - 1], &known))
        return false;
    const int slices = gathers ? result_rank : draft->inputs[2]->type.rank;
    *length = slices < 0 ? -1 : data.rank + indices.rank - 1 - slices - (gathers && batch ? (int)batch->integer : 0);
    return true;
}

/* The indices with the length of their tuples as a constant, which a run checks. */
static bool tuples_settle(Draft *draft, int length)
{
    Ir *const ir = draft->importer->ir;
    Node *const indices = draft->inputs[1];
    Node *const last = indices->type.dims[indices->type.rank - 1];
    const char *const text = arena_format(ir->arena, "the index tuples of %s must have %d entries", draft->op, length);
    if (!run_check(ir, scalar2(ir, OP_eq, last, index_const(ir, length)), text))
        return diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where, "%s", text);
    const int64_t entries = length;
    Node *const before = build1_with(ir, OP_Shape, indices, attr_int(ir, "end", -1));
    Node *const dims = build2_with(ir, OP_Concat, before, constant_ints(ir, &entries, 1), attr_int(ir, "axis", 0));
    Node *const settled = build2_with(ir, OP_Reshape, indices, dims, attr_int(ir, "allowzero", 1));
    draft->inputs[1] = settled ? settled : indices;
    return settled;
}

#define REDUCTION(name)                                                                                                \
    {                                                                                                                  \
        name, 1, LENGTH_REMOVED, reduce_spread, -1                                                                     \
    }
static const ListRow rows[] = {
    {"Reshape", 1, LENGTH_RESULT, NULL, -1},
    {"Expand", 1, LENGTH_RESULT, expand_spread, -1},
    {"ConstantOfShape", 0, LENGTH_RESULT, NULL, -1},
    {"AffineGrid", 1, LENGTH_RESULT, NULL, -1},
    {"Tile", 1, LENGTH_RANK, NULL, -1},
    {"CenterCropPad", 1, LENGTH_RANK, NULL, 0},
    {"Resize", 1, LENGTH_TWICE, NULL, 0},
    {"Resize", 2, LENGTH_RANK, NULL, 0},
    {"Resize", 3, LENGTH_RANK, NULL, 0},
    {"Unsqueeze", 1, LENGTH_ADDED, NULL, -1},
    {"Squeeze", 1, LENGTH_REMOVED, NULL, -1},
    {"Split", 1, LENGTH_OUTPUTS, NULL, -1},
    {"Pad", 1, LENGTH_TWICE, pad_spread, PADS_AXES},
    {"Slice", 1, LENGTH_RANK, slice_spread, SLICE_AXES},
    {"Upsample", 1, LENGTH_RANK, NULL, -1},
    {"Col2Im", 1, LENGTH_SPATIAL, NULL, -1},
    {"Col2Im", 2, LENGTH_SPATIAL, NULL, -1},
    {"MaxUnpool", 2, LENGTH_RANK, NULL, -1},
    {"DequantizeLinear", 2, LENGTH_SCALAR, NULL, -1},
    {"QuantizeLinear", 2, LENGTH_SCALAR, NULL, -1},
    {"TopK", 1, LENGTH_ONE, NULL, -1},
    {"NonMaxSuppression", 2, LENGTH_ONE, NULL, -1},
    {"NonMaxSuppression", 3, LENGTH_ONE, NULL, -1},
    {"NonMaxSuppression", 4, LENGTH_ONE, NULL, -1},
    {"OneHot", 1, LENGTH_ONE, NULL, -1},
    {"QLinearMatMul", 1, LENGTH_ONE, NULL, -1},
    {"QLinearMatMul", 2, LENGTH_ONE, NULL, -1},
    {"QLinearMatMul", 6, LENGTH_ONE, NULL, -1},
    {"QLinearMatMul", 7, LENGTH_ONE, NULL, -1},
    REDUCTION("ReduceL1"),
    REDUCTION("ReduceL2"),
    REDUCTION("ReduceLogSum"),
    REDUCTION("ReduceLogSumExp"),
    REDUCTION("ReduceMax"),
    REDUCTION("ReduceMean"),
    REDUCTION("ReduceMin"),
    REDUCTION("ReduceProd"),
    REDUCTION("ReduceSum"),
    REDUCTION("ReduceSumSquare"),
};

/* ---- lengths ---- */

/* -1: not to be known. */
static int length_find(const Draft *draft, const ListRow *row, int result_rank)
{
    const int rank = draft->input_count ? draft->inputs[0]->type.rank : 0;
    switch (row->length) {
    case LENGTH_RANK:
    case LENGTH_TWICE:
        if (row->axes == 0 && draft_attribute(draft, "axes"))
            return draft_attribute(draft, "axes")->count * (row->length == LENGTH_TWICE ? 2 : 1);
        if (row->axes > 0 && draft_input(draft, row->axes))
            return -1;
        if (row->spread == slice_spread) /* bounds may be given of the first axes only */
            return -1;
        return row->length == LENGTH_TWICE ? 2 * rank : rank;
    case LENGTH_RESULT:
        return row->spread == expand_spread && result_rank <= rank ? -1 : result_rank;
    case LENGTH_ADDED:
        return result_rank < 0 ? -1 : result_rank - rank;
    case LENGTH_REMOVED: {
        const Attribute *const keep = draft_attribute(draft, "keepdims");
        const bool kept = row->spread == reduce_spread && (!keep || keep->integer != 0);
        return result_rank < 0 || kept ? -1 : rank - result_rank;
    }
    case LENGTH_OUTPUTS:
        return draft->output_count;
    case LENGTH_ONE:
        return 1;
    case LENGTH_SCALAR:
        return draft->inputs[1]->type.rank == 0 ? 1 : -1;
    case LENGTH_SPATIAL:
        return result_rank < 2 ? -1 : result_rank - 2;
    }
    return -1;
}

/* The list with its length as a constant, which a run checks, and its entries as far as a run can tell them to shapes.
 */
static Node *list_of(Draft *draft, Node *list, int length, Length kind)
{
    Ir *const ir = draft->importer->ir;
    Node *const wanted = index_const(ir, length);
    const char *const text = arena_format(ir->arena, "a list of %s must have %d entries", draft->op, length);
    if (!run_check(ir, scalar2(ir, OP_eq, list->type.dims[0], wanted), text)) {
        diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where, "%s", text);
        return NULL;
    }
    const int64_t dims = length;
    Node *const settled = build_reshape(ir, list, &dims, kind != LENGTH_SCALAR);
    const bool told = length > 0 && kind != LENGTH_SCALAR && kind != LENGTH_ONE;
    return settled && told ? read_make(ir, settled) : settled;
}

bool lists_are_open(const Draft *draft)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].op, draft->op) == 0 && is_open(draft_input(draft, rows[i].input)))
            return true;
    int length;
    return is_open_tuples(draft, &length, 0);
}

bool lists_settle(Draft *draft, int result_rank)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const ListRow *const row = &rows[i];
        if (strcmp(row->op, draft->op) != 0 || !is_open(draft_input(draft, row->input)))
            continue;
        const int length = length_find(draft, row, result_rank);
        if (length >= 0 && length <= 2 * RANK_MAX) {
            Node *const list = list_of(draft, draft->inputs[row->input], length, row->length);
            if (!list)
                return false;
            draft->inputs[row->input] = list;
        } else if (row->spread && draft->inputs[0]->type.rank > 0 && draft->inputs[0]->type.rank <= RANK_MAX / 2 &&
                   !row->spread(draft)) {
            return false;
        }
    }
    int length;
    return !is_open_tuples(draft, &length, result_rank) || length < 0 || length > draft->inputs[0]->type.rank ||
           tuples_settle(draft, length);
}
