/* Old versions of operators, raised to the newest where they enter; everything after knows one version.
 *
 * A row says: nodes of an opset below `below` are changed by `raise` until they mean the same there. Rows of one
 * operator stand in order of `below` and are applied one after the other, so a row only bridges one change. Operators
 * outside the default domain are not raised. */
#include "frontend/importer.h"
#include "ir/ops/ops.h"

#include <string.h>

typedef struct Raise {
    const char *op;
    int below;
    bool (*raise)(Draft *draft, const struct Raise *row);
    const char *name; /* what the function works on, mostly an attribute */
    int number;
} Raise;

/* ---- what the rows are made of ---- */

/* The attribute, of the kind that it must have; NULL when absent. *good turns false after a diagnostic. */
static Attribute *find_kind(Draft *draft, const char *name, AttributeKind kind, bool *good)
{
    Attribute *attribute = draft_attribute(draft, name);
    if (!attribute || attribute->kind == kind)
        return attribute;
    const bool list = kind == ATTRIBUTE_INTS && attribute->kind >= ATTRIBUTE_INTS && attribute->count == 0;
    if (!list)
        *good = diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where,
                           "attribute '%s' of %s has the wrong type", name, draft->op);
    return NULL;
}

static void add(Draft *draft, Attribute attribute)
{
    draft->attributes[draft->attribute_count++] = attribute;
}

static Ir *ir_of(const Draft *draft)
{
    return draft->importer->ir;
}

static bool unsupported(Draft *draft, const char *what)
{
    return diag_error(draft->importer->diagnostics, EXIT_UNSUPPORTED, draft->where, "%s is not supported", what);
}

static void input_set(Draft *draft, int i, Node *node)
{
    while (draft->input_count <= i)
        draft->inputs[draft->input_count++] = omitted_make(ir_of(draft));
    draft->inputs[i] = node;
}

/* Another operator of the newest opset; NULL after a diagnostic. */
static Node *make(Draft *draft, const char *name, Node *const *inputs, int count, const Attribute *attributes,
                  int attribute_count)
{
    const Op op = op_find("", name);
    if (op == OP_NONE) {
        unsupported(draft, name);
        return NULL;
    }
    return tensor_make(ir_of(draft), op, inputs, count, 1, attributes, attribute_count);
}

static Node *unsqueeze(Draft *draft, Node *node, const int64_t *axes, int count)
{
    return make(draft, "Unsqueeze", (Node *[]){node, constant_ints(ir_of(draft), axes, count)}, 2, NULL, 0);
}

/* ---- attributes that became inputs ---- */

static bool ints_to_input(Draft *draft, const Raise *row)
{
    bool good = true;
    const Attribute *list = find_kind(draft, row->name, ATTRIBUTE_INTS, &good);
    if (!good)
        return false;
    if (draft_attribute(draft, row->name) && draft_input(draft, row->number))
        return diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where,
                          "%s is given as attribute and as input", row->name);
    if (list)
        input_set(draft, row->number, constant_ints(ir_of(draft), list->integers, list->count));
    draft_drop(draft, row->name);
    return true;
}

/* Reshape 1 has its shape always, Slice 1 its starts and ends. */
static bool required_to_input(Draft *draft, const Raise *row)
{
    if (!draft_attribute(draft, row->name) && !draft_input(draft, row->number))
        return diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where, "%s has no %s", draft->op,
                          row->name);
    return ints_to_input(draft, row);
}

static bool int_to_input(Draft *draft, const Raise *row)
{
    bool good = true;
    const Attribute *value = find_kind(draft, row->name, ATTRIBUTE_INT, &good);
    if (!value)
        return good && diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where, "%s has no %s", draft->op,
                                  row->name);
    input_set(draft, row->number, constant_ints(ir_of(draft), &value->integer, 1));
    draft_drop(draft, row->name);
    return true;
}

/* A float becomes a scalar input of the type of input 0. */
static bool float_to_input(Draft *draft, const Raise *row)
{
    bool good = true;
    const Attribute *value = find_kind(draft, row->name, ATTRIBUTE_FLOAT, &good);
    if (value && draft->input_count && dtype_is_float(draft->inputs[0]->type.dtype))
        input_set(draft, row->number, constant_scalar(ir_of(draft), draft->inputs[0]->type.dtype, value->real));
    else if (value && value->real != 0 && value->real == (double)(int64_t)value->real && draft->input_count)
        input_set(draft, row->number, constant_scalar(ir_of(draft), draft->inputs[0]->type.dtype, value->real));
    else if (value && value->real != 0)
        return unsupported(draft, row->name);
    draft_drop(draft, row->name);
    return good;
}

/* DFT: the axis has another default since it is an input. */
static bool axis_to_input(Draft *draft, const Raise *row)
{
    bool good = true;
    const Attribute *axis = find_kind(draft, row->name, ATTRIBUTE_INT, &good);
    input_set(draft, row->number, constant_scalar(ir_of(draft), DTYPE_I64, axis ? (double)axis->integer : 1));
    draft_drop(draft, row->name);
    return good;
}

/* ---- attributes that went, changed their name, type or default ---- */

static bool drop_it(Draft *draft, const Raise *row)
{
    draft_drop(draft, row->name);
    return true;
}

/* Only the value that the newest version always means is accepted. */
static bool drop_int(Draft *draft, const Raise *row)
{
    bool good = true;
    const Attribute *value = find_kind(draft, row->name, ATTRIBUTE_INT, &good);
    if (value && value->integer != row->number)
        return unsupported(draft,
                           arena_format(draft->importer->scratch, "%s = %lld", row->name, (long long)value->integer));
    draft_drop(draft, row->name);
    return good;
}

static bool default_int(Draft *draft, const Raise *row)
{
    if (!draft_attribute(draft, row->name))
        add(draft, attr_int(ir_of(draft), row->name, row->number));
    return true;
}

static bool float_to_int(Draft *draft, const Raise *row)
{
    bool good = true;
    Attribute *value = find_kind(draft, row->name, ATTRIBUTE_FLOAT, &good);
    if (!value)
        return good;
    const int64_t integer = value->real >= 0 && value->real < 1e6 ? (int64_t)value->real : -1;
    if ((double)integer != value->real)
        return unsupported(draft, "a norm that is no integer");
    *value = attr_int(ir_of(draft), row->name, integer);
    return true;
}

static bool pad_rename(Draft *draft, const Raise *row)
{
    (void)row;
    Attribute *paddings = draft_attribute(draft, "paddings");
    if (paddings)
        paddings->name = name_intern(ir_of(draft)->arena, "pads");
    return true;
}

static bool selu_defaults(Draft *draft, const Raise *row)
{
    (void)row;
    if (!draft_attribute(draft, "alpha"))
        add(draft, attr_float(ir_of(draft), "alpha", 1.6732f));
    if (!draft_attribute(draft, "gamma"))
        add(draft, attr_float(ir_of(draft), "gamma", 1.0507f));
    return true;
}

static bool cast_from_name(Draft *draft, const Raise *row)
{
    static const char *const names[] = {"UNDEFINED", "FLOAT",  "UINT8",     "INT8",      "UINT16",  "INT16",
                                        "INT32",     "INT64",  "STRING",    "BOOL",      "FLOAT16", "DOUBLE",
                                        "UINT32",    "UINT64", "COMPLEX64", "COMPLEX128"};
    bool good = true;
    Attribute *to = find_kind(draft, row->name, ATTRIBUTE_STRING, &good);
    for (size_t i = 1; to && i < sizeof names / sizeof *names; i++)
        if (strcmp(to->string, names[i]) == 0) {
            *to = attr_int(ir_of(draft), row->name, (int64_t)i);
            return true;
        }
    return good && diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where,
                              "Cast has no known type in its attribute 'to'");
}

static bool roi_align_corners(Draft *draft, const Raise *row)
{
    (void)row;
    add(draft, attr_string(ir_of(draft), "coordinate_transformation_mode", "output_half_pixel"));
    return true;
}

static bool grid_mode_names(Draft *draft, const Raise *row)
{
    bool good = true;
    Attribute *mode = find_kind(draft, row->name, ATTRIBUTE_STRING, &good);
    if (mode && strcmp(mode->string, "bilinear") == 0)
        *mode = attr_string(ir_of(draft), row->name, "linear");
    else if (mode && strcmp(mode->string, "bicubic") == 0)
        *mode = attr_string(ir_of(draft), row->name, "cubic");
    return good;
}

/* Without sizes the parts are equal; since 18 that must be said. */
static bool split_count(Draft *draft, const Raise *row)
{
    if (!draft_input(draft, 1) && !draft_attribute(draft, row->name))
        add(draft, attr_int(ir_of(draft), row->name, draft->written_count));
    return true;
}

/* ---- broadcasting before there was broadcasting (opset 7) ---- */

/* B stands at `axis` of A, or at its end: dims of 1 behind B say the same to today's rule. Without `broadcast` the
 * shapes are equal. */
static bool broadcast_axis(Draft *draft, const Raise *row)
{
    (void)row;
    bool good = true;
    const Attribute *broadcast = find_kind(draft, "broadcast", ATTRIBUTE_INT, &good);
    const Attribute *axis = find_kind(draft, "axis", ATTRIBUTE_INT, &good);
    if (good && broadcast && broadcast->integer && axis && draft->input_count == 2) {
        const int rank = draft->inputs[0]->type.rank, inner = draft->inputs[1]->type.rank;
        const int64_t at = axis->integer < 0 ? axis->integer + rank : axis->integer;
        if (at < 0 || at > rank - inner)
            return diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where,
                              "the axis %lld does not fit inputs of rank %d and %d", (long long)axis->integer, rank,
                              inner);
        int64_t axes[RANK_MAX];
        const int count = rank - inner - (int)at;
        for (int i = 0; i < count; i++)
            axes[i] = inner + i;
        if (count && !(draft->inputs[1] = unsqueeze(draft, draft->inputs[1], axes, count)))
            return false;
    }
    draft_drop(draft, "broadcast");
    draft_drop(draft, "axis");
    return good;
}

/* A slope per channel stands at axis 1. */
static bool slope_channels(Draft *draft, const Raise *row)
{
    (void)row;
    if (draft->input_count != 2 || draft->inputs[1]->type.rank != 1 || index_is(draft->inputs[1]->type.dims[0], 1))
        return true;
    int64_t axes[RANK_MAX];
    const int count = draft->inputs[0]->type.rank - 2;
    for (int i = 0; i < count; i++)
        axes[i] = 1 + i;
    return count <= 0 || (draft->inputs[1] = unsqueeze(draft, draft->inputs[1], axes, count));
}

/* ---- Softmax, LogSoftmax, Hardmax before 13: over all axes from `axis` on, as one ---- */

static bool softmax_flatten(Draft *draft, const Raise *row)
{
    bool good = true;
    const Attribute *given = find_kind(draft, row->name, ATTRIBUTE_INT, &good);
    const int64_t axis = given ? given->integer : 1;
    draft_drop(draft, row->name);
    if (!good || draft->input_count != 1)
        return good;
    Node *x = draft->inputs[0];
    const int rank = x->type.rank;
    if (axis < -rank || axis > rank)
        return diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where,
                          "axis %lld is outside the rank %d", (long long)axis, rank);
    const int first = (int)(axis < 0 ? axis + rank : axis);
    const Attribute last = attr_int(ir_of(draft), "axis", -1);
    if (first == rank - 1) {
        add(draft, last);
        return true;
    }
    const Attribute flat_axis = attr_int(ir_of(draft), "axis", first);
    Node *shape = make(draft, "Shape", &x, 1, NULL, 0);
    Node *flat = make(draft, "Flatten", &x, 1, &flat_axis, 1);
    Node *soft = flat ? make(draft, draft->op, &flat, 1, &last, 1) : NULL;
    Node *whole = soft && shape ? make(draft, "Reshape", (Node *[]){soft, shape}, 2, NULL, 0) : NULL;
    draft->outputs = arena_copy(draft->importer->scratch, &whole, sizeof whole);
    return whole;
}

/* ---- single operators ---- */

/* Inference alone is compiled: nothing is dropped, so ratio and seed say nothing. */
static bool dropout_inference(Draft *draft, const Raise *row)
{
    (void)row;
    draft_drop(draft, "ratio");
    draft_drop(draft, "is_test");
    return true;
}

static bool normalization_outputs(Draft *draft, const Raise *row)
{
    (void)row;
    return draft->output_count == 1 || unsupported(draft, "BatchNormalization in training");
}

static bool tile_axis(Draft *draft, const Raise *row)
{
    (void)row;
    int64_t tiles, axis, repeats[RANK_MAX];
    if (draft->input_count != 3 || !draft->inputs[1]->contents || !draft->inputs[2]->contents ||
        draft->inputs[1]->type.rank > 1 || !const_is_int(draft->inputs[1]->contents[0], &tiles) ||
        !const_is_int(draft->inputs[2]->contents[0], &axis))
        return unsupported(draft, "Tile with tiles or axis that are not constants");
    const int rank = draft->inputs[0]->type.rank;
    if (axis < 0 || axis >= rank)
        return diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where,
                          "axis %lld is outside the rank %d", (long long)axis, rank);
    for (int i = 0; i < rank; i++)
        repeats[i] = i == axis ? tiles : 1;
    draft->inputs[1] = constant_ints(ir_of(draft), repeats, rank);
    draft->input_count = 2;
    return true;
}

static bool upsample_scales_list(Draft *draft, const Raise *row)
{
    (void)row;
    bool good = true;
    const Attribute *height = find_kind(draft, "height_scale", ATTRIBUTE_FLOAT, &good);
    const Attribute *width = find_kind(draft, "width_scale", ATTRIBUTE_FLOAT, &good);
    if (!height || !width)
        return good && diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where,
                                  "Upsample has no height_scale or width_scale");
    double *scales = NEW_ARRAY(ir_of(draft)->arena, double, 4);
    memcpy(scales, (double[]){1, 1, height->real, width->real}, 4 * sizeof *scales);
    draft_drop(draft, "height_scale");
    draft_drop(draft, "width_scale");
    add(draft,
        (Attribute){
            .name = name_intern(ir_of(draft)->arena, "scales"), .kind = ATTRIBUTE_FLOATS, .count = 4, .reals = scales});
    return true;
}

static bool upsample_scales_input(Draft *draft, const Raise *row)
{
    bool good = true;
    const Attribute *scales = find_kind(draft, row->name, ATTRIBUTE_FLOATS, &good);
    if (!scales)
        return good && diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where, "Upsample has no scales");
    float *values = NEW_ARRAY(draft->importer->scratch, float, (size_t)scales->count);
    for (int i = 0; i < scales->count; i++)
        values[i] = (float)scales->reals[i];
    input_set(draft, row->number, values_constant(draft->importer, DTYPE_F32, 1, values, scales->count, NULL));
    draft_drop(draft, row->name);
    return true;
}

/* Until 10 output pixels stood at x / scale, rounded down; the region is not used by that rule. */
static bool resize_asymmetric(Draft *draft, const Raise *row)
{
    (void)row;
    Ir *ir = ir_of(draft);
    bool good = true;
    Attribute *mode = find_kind(draft, "mode", ATTRIBUTE_STRING, &good);
    if (mode && strcmp(mode->string, "bilinear") == 0)
        *mode = attr_string(ir, "mode", "linear");
    add(draft, attr_string(ir, "coordinate_transformation_mode", "asymmetric"));
    add(draft, attr_string(ir, "nearest_mode", "floor"));
    if (draft->input_count != 2)
        return good && diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where,
                                  "%s takes 2 inputs but has %d", draft->op, draft->input_count);
    Node *scales = draft->inputs[1];
    draft->inputs[1] = omitted_make(ir);
    input_set(draft, 2, scales);
    draft->op = "Resize";
    return good;
}

static bool rename_it(Draft *draft, const Raise *row)
{
    draft->op = row->name;
    return true;
}

/* Scale and bias per group become scale and bias per channel: [G] -> [G,1] -> [G,C/G] -> [C]. */
static bool group_channels(Draft *draft, const Raise *row)
{
    bool good = true;
    const Attribute *groups = find_kind(draft, row->name, ATTRIBUTE_INT, &good);
    int64_t channels;
    if (!good || !groups || groups->integer < 1 || draft->input_count != 3 || draft->inputs[0]->type.rank < 2)
        return good;
    if (!const_is_int(draft->inputs[0]->type.dims[1], &channels) || channels % groups->integer)
        return unsupported(draft,
                           "GroupNormalization with channels that the groups do not divide or that are not constant");
    Ir *ir = ir_of(draft);
    Node *wide = constant_ints(ir, (int64_t[]){groups->integer, channels / groups->integer}, 2);
    Node *flat = constant_ints(ir, &channels, 1);
    for (int i = 1; i < 3; i++) {
        Node *node = unsqueeze(draft, draft->inputs[i], (int64_t[]){1}, 1);
        node = node ? make(draft, "Expand", (Node *[]){node, wide}, 2, NULL, 0) : NULL;
        node = node ? make(draft, "Reshape", (Node *[]){node, flat}, 2, NULL, 0) : NULL;
        if (!(draft->inputs[i] = node))
            return false;
    }
    return true;
}

/* clang-format off */
/*    operator                below  function               name                number */
static const Raise raises[] = {
    {"Add",                   7,     broadcast_axis,        NULL,               0},
    {"And",                   7,     broadcast_axis,        NULL,               0},
    {"BatchNormalization",    7,     drop_it,               "is_test",          0},
    {"BatchNormalization",    9,     drop_int,              "spatial",          1},
    {"BatchNormalization",    14,    normalization_outputs, NULL,               0},
    {"Cast",                  6,     cast_from_name,        "to",               0},
    {"Clip",                  11,    float_to_input,        "min",              1},
    {"Clip",                  11,    float_to_input,        "max",              2},
    {"Concat",                4,     default_int,           "axis",             1},
    {"DFT",                   20,    axis_to_input,         "axis",             2},
    {"Div",                   7,     broadcast_axis,        NULL,               0},
    {"Dropout",               12,    dropout_inference,     NULL,               0},
    {"Equal",                 7,     broadcast_axis,        NULL,               0},
    {"GRU",                   7,     drop_it,               "output_sequence",  0},
    {"Gemm",                  7,     drop_it,               "broadcast",        0},
    {"GlobalLpPool",          2,     float_to_int,          "p",                0},
    {"Greater",               7,     broadcast_axis,        NULL,               0},
    {"GridSample",            20,    grid_mode_names,       "mode",             0},
    {"GroupNormalization",    21,    group_channels,        "num_groups",       0},
    {"Hardmax",               13,    softmax_flatten,       "axis",             0},
    {"LSTM",                  7,     drop_it,               "output_sequence",  0},
    {"Less",                  7,     broadcast_axis,        NULL,               0},
    {"LogSoftmax",            13,    softmax_flatten,       "axis",             0},
    {"LpPool",                2,     float_to_int,          "p",                0},
    {"Mul",                   7,     broadcast_axis,        NULL,               0},
    {"Or",                    7,     broadcast_axis,        NULL,               0},
    {"PRelu",                 7,     slope_channels,        NULL,               0},
    {"Pad",                   2,     pad_rename,            NULL,               0},
    {"Pad",                   11,    required_to_input,     "pads",             1},
    {"Pad",                   11,    float_to_input,        "value",            2},
    {"Pow",                   7,     broadcast_axis,        NULL,               0},
    {"RNN",                   7,     drop_it,               "output_sequence",  0},
    {"ReduceL1",              18,    ints_to_input,         "axes",             1},
    {"ReduceL2",              18,    ints_to_input,         "axes",             1},
    {"ReduceLogSum",          18,    ints_to_input,         "axes",             1},
    {"ReduceLogSumExp",       18,    ints_to_input,         "axes",             1},
    {"ReduceMax",             18,    ints_to_input,         "axes",             1},
    {"ReduceMean",            18,    ints_to_input,         "axes",             1},
    {"ReduceMin",             18,    ints_to_input,         "axes",             1},
    {"ReduceProd",            18,    ints_to_input,         "axes",             1},
    {"ReduceSum",             13,    ints_to_input,         "axes",             1},
    {"ReduceSumSquare",       18,    ints_to_input,         "axes",             1},
    {"Reshape",               5,     required_to_input,     "shape",            1},
    {"Resize",                11,    resize_asymmetric,     NULL,               0},
    {"RoiAlign",              16,    roi_align_corners,     NULL,               0},
    {"Scatter",               11,    rename_it,             "ScatterElements",  0},
    {"Selu",                  6,     selu_defaults,         NULL,               0},
    {"Slice",                 10,    required_to_input,     "starts",           1},
    {"Slice",                 10,    required_to_input,     "ends",             2},
    {"Slice",                 10,    ints_to_input,         "axes",             3},
    {"Softmax",               13,    softmax_flatten,       "axis",             0},
    {"Split",                 13,    ints_to_input,         "split",            1},
    {"Split",                 18,    split_count,           "num_outputs",      0},
    {"Squeeze",               13,    ints_to_input,         "axes",             1},
    {"Sub",                   7,     broadcast_axis,        NULL,               0},
    {"Tile",                  6,     tile_axis,             NULL,               0},
    {"TopK",                  10,    int_to_input,          "k",                1},
    {"Unsqueeze",             13,    required_to_input,     "axes",             1},
    {"Upsample",              7,     upsample_scales_list,  NULL,               0},
    {"Upsample",              9,     upsample_scales_input, "scales",           1},
    {"Upsample",              10,    resize_asymmetric,     NULL,               0},
    {"Xor",                   7,     broadcast_axis,        NULL,               0},
};
/* clang-format on */
enum { RAISE_COUNT = sizeof raises / sizeof *raises };

bool draft_raise(Draft *draft)
{
    const char *op = draft->op;
    if (draft->version < 6) /* a hint for memory that was dropped */
        draft_drop(draft, "consumed_inputs");
    for (int i = 0; i < RAISE_COUNT && !draft->outputs; i++)
        if (draft->version < raises[i].below && strcmp(raises[i].op, op) == 0 && !raises[i].raise(draft, &raises[i]))
            return false;
    return true;
}

int operator_raised(const char *op, int *versions, int most)
{
    int count = 0;
    for (int i = 0; i < RAISE_COUNT && count < most; i++)
        if (strcmp(raises[i].op, op) == 0 && (count == 0 || versions[count - 1] != raises[i].below))
            versions[count++] = raises[i].below;
    return count;
}

/* ---- which operators there are ---- */

typedef struct Standard {
    const char *name;
    int first, removed;
} Standard;

static const Standard standards[] = {
#define OPERATOR(name, first, removed) {#name, first, removed},
#include "frontend/operators.def"
#undef OPERATOR
};

static const struct {
    const char *old, *newest;
} renamed[] = {{"Scatter", "ScatterElements"}, {"Upsample", "Resize"}};

const char *operator_newest(const char *op)
{
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
        if (strcmp(renamed[i].old, op) == 0)
            return renamed[i].newest;
    return op;
}

bool operator_exists(const char *op, int version, const char **what, int *since)
{
    *since = 0;
    const Standard *found = NULL;
    for (size_t i = 0; i < sizeof standards / sizeof *standards && !found; i++)
        if (strcmp(standards[i].name, op) == 0)
            found = &standards[i];
    if (!found)
        return false;
    if (version >= found->first && (!found->removed || version < found->removed))
        return true;
    *what = version < found->first ? "the operator came" : "the operator was removed";
    *since = version < found->first ? found->first : found->removed;
    return false;
}
