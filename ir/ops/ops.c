/* The operator table and the making of operator nodes: see ops.h. */
#include "ir/ops/ops.h"

#include "ir/ops/lower.h"
#include "ir/ops/rules.h"
#include "ir/ops/scalar_text.h"

#include <stdlib.h>
#include <string.h>

/* ---- the table ---- */
#define INT(name, value)       {#name, ATTRIBUTE_INT, true, value, 0, NULL}
#define INT_GIVEN(name)        {#name, ATTRIBUTE_INT, false, 0, 0, NULL}
#define FLOAT(name, value)     {#name, ATTRIBUTE_FLOAT, true, 0, value, NULL}
#define FLOAT_GIVEN(name)      {#name, ATTRIBUTE_FLOAT, false, 0, 0, NULL}
#define STRING(name, value)    {#name, ATTRIBUTE_STRING, true, 0, 0, value}
#define STRING_GIVEN(name)     {#name, ATTRIBUTE_STRING, false, 0, 0, NULL}
#define INTS(name)             {#name, ATTRIBUTE_INTS, false, 0, 0, NULL}
#define REALS(name)            {#name, ATTRIBUTE_FLOATS, false, 0, 0, NULL}
#define STRINGS(name)          {#name, ATTRIBUTE_STRINGS, false, 0, 0, NULL}
#define TENSOR(name)           {#name, ATTRIBUTE_TENSOR, false, 0, 0, NULL}
#define GRAPH(name)            {#name, ATTRIBUTE_GRAPH, false, 0, 0, NULL}
#define NONE                   (const AttributeRow[]) { {NULL, 0, false, 0, 0, NULL} }
#define ATTRIBUTES(...)        (const AttributeRow[]) { __VA_ARGS__, {NULL, 0, false, 0, 0, NULL} }
#define SCALAR(text)           {MEANING_SCALAR, text, NULL, NULL}
#define EXPAND(text)           {MEANING_EXPAND, text, NULL, NULL}
#define EXPAND_BY(function)    {MEANING_EXPAND_BY, NULL, NULL, function}
#define LOWER(function)        {MEANING_LOWER, NULL, function, NULL}
#define AT_ONCE(function)      {MEANING_AT_ONCE, NULL, NULL, function}
#define HOST(name)             {MEANING_HOST, #name, NULL, NULL}
#define IN(least, most)        least, most
#define OUT(least, most)       least, most
#define DEFAULT_DOMAIN ""
#define DOMAIN_ai_onnx_ml      "ai.onnx.ml"
#define DOMAIN_ai_onnx_preview "ai.onnx.preview"
#define DOMAIN_com_microsoft   "com.microsoft"
#define DOMAIN_mmdeploy        "mmdeploy"
#define DOMAIN_mmcv            "mmcv"
#define DOMAIN_TRT             "TRT"
#define DOMAIN_lathe           "lathe"
const OpRow op_rows[] = {
#define OP(name, since, in, out, types, attributes, shape, meaning) {#name, DEFAULT_DOMAIN, #name, since, in, out, types, attributes, shape, meaning},
#define DOMAIN_OP(domain, name, since, in, out, types, attributes, shape, meaning) {#name, DOMAIN_##domain, #domain "_" #name, since, in, out, types, attributes, shape, meaning},
#include "ir/ops/ops.def"
#undef OP
};
#undef NONE
#undef SCALAR
#undef IN
#undef OUT

Op op_row_find(const char *name, size_t length)
{
    for (int i = 0; i < OP_ROW_COUNT; i++)
        if (!*op_rows[i].domain && strlen(op_rows[i].name) == length && memcmp(op_rows[i].name, name, length) == 0)
            return (Op)(OP_TENSOR_FIRST + i);
    return OP_NONE;
}

Op op_find(const char *domain, const char *name)
{
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    if (strcmp(domain, DOMAIN_lathe) == 0)
        return OP_NONE;
    for (int i = 0; i < OP_ROW_COUNT; i++)
        if (strcmp(op_rows[i].name, name) == 0 && strcmp(op_rows[i].domain, domain) == 0)
            return (Op)(OP_TENSOR_FIRST + i);
    return OP_NONE;
}

/* Levenshtein distance, cut at 64 characters. */
static int edit_distance(const char *a, const char *b)
{
    int row[65];
    const int width = (int)strnlen(b, 64), height = (int)strnlen(a, 64);
    for (int j = 0; j <= width; j++)
        row[j] = j;
    for (int i = 1; i <= height; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= width; j++) {
            const int replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            const int inserted = row[j - 1] + 1, removed = row[j] + 1;
            row[j] = replaced < inserted ? replaced : inserted;
            row[j] = row[j] < removed ? row[j] : removed;
        }
    }
    return row[width];
}

const char *op_nearest(const char *name)
{
    const char *nearest = NULL;
    int least = (int)strnlen(name, 64) / 3 + 1;
    for (int i = 0; i < OP_ROW_COUNT; i++) {
        const int distance = edit_distance(name, op_rows[i].name);
        if (distance < least && strcmp(op_rows[i].domain, DOMAIN_lathe) != 0) {
            least = distance;
            nearest = op_rows[i].name;
        }
    }
    return nearest;
}

/* ---- leaves ---- */

enum { CONTENTS_MAX = 64, REALS_MAX = 16 };

Node *input_make(Ir *ir, Name name, Type type)
{
    Node *const node = node_make(ir, &(Node){.op = OP_input, .type = type, .payload.name = name});
    int64_t elements;
    const bool real = type.dtype == DTYPE_F32;
    if (!type_is_tensor(type) || type.rank > 1 || !const_is_int(type_elements(ir, type), &elements) || elements > (real ? REALS_MAX : CONTENTS_MAX) ||
        (type.dtype != DTYPE_I64 && type.dtype != DTYPE_I32 && !real))
        return node;
    /* A small input may turn out to be a shape, or the scales of one: its elements are symbols "name[i]" that instantiation reads. Of floats
     * the symbol is the bits. */
    Node **const contents = NEW_ARRAY(ir->arena, Node *, (size_t)elements + 1);
    for (int64_t i = 0; i < elements; i++) {
        const char *const text = arena_format(ir->arena, "%s[%d]", name, (int)i);
        Node *const symbol = symbol_make(ir, name_intern(ir->arena, text));
        contents[i] = real ? bitcast_make(ir, cast_make(ir, symbol, DTYPE_U32), DTYPE_F32) : symbol;
    }
    node->contents = contents;
    return node;
}

Node *content_symbol(Node *content)
{
    if (content->op == OP_bitcast && content->inputs[0]->op == OP_cast)
        content = content->inputs[0]->inputs[0];
    if (content->op == OP_ne && content->inputs[0]->op == OP_symbol) /* a bool that is read */
        content = content->inputs[0];
    return content->op == OP_symbol ? content : NULL;
}

static int64_t element_integer(Dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case DTYPE_I64:
        return ((const int64_t *)data)[i];
    case DTYPE_I32:
        return ((const int32_t *)data)[i];
    default:
        return ((const uint8_t *)data)[i];
    }
}

/* Small constants are known element by element. */
static Node *const *constant_contents(Ir *ir, Type type, const Constant *constant)
{
    int64_t elements;
    const Dtype dtype = type.dtype;
    if (!const_is_int(type_elements(ir, type), &elements) || elements > CONTENTS_MAX)
        return NULL;
    if (dtype != DTYPE_I64 && dtype != DTYPE_I32 && dtype != DTYPE_BOOL && dtype != DTYPE_F32 && dtype != DTYPE_U8)
        return NULL;
    if ((uintptr_t)constant->data % (uintptr_t)(dtype_info[dtype].bits / 8))
        return NULL;
    Node **const contents = NEW_ARRAY(ir->arena, Node *, (size_t)elements + 1);
    for (int64_t i = 0; i < elements; i++) {
        const int64_t at = constant->splat ? 0 : i;
        if (dtype == DTYPE_F32)
            contents[i] = const_float(ir, dtype, ((const float *)constant->data)[at]);
        else if (dtype == DTYPE_BOOL)
            contents[i] = const_bool(ir, element_integer(dtype, constant->data, at) != 0);
        else
            contents[i] = index_const(ir, element_integer(dtype, constant->data, at));
    }
    return contents;
}

Node *constant_make(Ir *ir, Type type, const Constant *constant)
{
    Node *const node = node_make(ir, &(Node){.op = OP_constant, .type = type, .payload.constant = constant});
    node->contents = constant_contents(ir, type, constant);
    return node;
}

static Node *constant_of(Ir *ir, Type type, const void *data, uint64_t bytes)
{
    Constant *const constant = NEW(ir->arena, Constant);
    constant->data = arena_copy(ir->arena, data, bytes ? bytes : 1);
    constant->bytes = bytes;
    return constant_make(ir, type, constant);
}

Node *constant_ints(Ir *ir, const int64_t *values, int count)
{
    Node *const dim = index_const(ir, count);
    return constant_of(ir, type_tensor(ir, DTYPE_I64, 1, &dim), values, (uint64_t)count * sizeof *values);
}

Node *constant_scalar(Ir *ir, Dtype dtype, double value)
{
    Node *const element = const_float(ir, dtype, value);
    const uint64_t bits = element->payload.bits;
    return constant_of(ir, type_tensor(ir, dtype, 0, NULL), &bits, ((uint64_t)dtype_info[dtype].bits + 7) / 8);
}

Node *omitted_make(Ir *ir)
{
    return node_make(ir, &(Node){.op = OP_omitted});
}

Attribute attr_int(Ir *ir, const char *name, int64_t value)
{
    return (Attribute){.name = name_intern(ir->arena, name), .kind = ATTRIBUTE_INT, .integer = value};
}

Attribute attr_float(Ir *ir, const char *name, double value)
{
    return (Attribute){.name = name_intern(ir->arena, name), .kind = ATTRIBUTE_FLOAT, .real = value};
}

Attribute attr_ints(Ir *ir, const char *name, const int64_t *values, int count)
{
    return (Attribute){.name = name_intern(ir->arena, name),
                       .kind = ATTRIBUTE_INTS,
                       .count = count,
                       .integers = arena_copy(ir->arena, values, (size_t)count * sizeof *values)};
}

Attribute attr_string(Ir *ir, const char *name, const char *value)
{
    return (Attribute){.name = name_intern(ir->arena, name),
                       .kind = ATTRIBUTE_STRING,
                       .count = (int)strlen(value),
                       .string = name_intern(ir->arena, value)};
}

/* ---- making operator nodes ---- */

static bool make_error(Ir *ir, const OpRow *row, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool make_error(Ir *ir, const OpRow *row, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *const text = arena_vformat(ir->arena, format, arguments);
    va_end(arguments);
    return ir->where ? diag_error(ir->diagnostics, code, ir->where, "%s", text)
                     : diag_error(ir->diagnostics, code, NULL, "%s: %s", row->name, text);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Attribute *)a)->name, ((const Attribute *)b)->name);
}

static const AttributeRow *attribute_row(const OpRow *row, const char *name)
{
    for (const AttributeRow *known = row->attributes; known->name; known++)
        if (strcmp(known->name, name) == 0)
            return known;
    return NULL;
}

/* Given attributes checked against the row, defaults added, sorted by name. */
static bool attributes_complete(Ir *ir, const OpRow *row, const Attribute *given, int count, Attribute **out,
                                int *out_count)
{
    int total = count;
    for (const AttributeRow *known = row->attributes; known->name; known++)
        total++;
    Attribute *const all = NEW_ARRAY(ir->arena, Attribute, (size_t)total + 1);
    for (int i = 0; i < count; i++) {
        const AttributeRow *const known = attribute_row(row, given[i].name);
        if (!known)
            return make_error(ir, row, EXIT_MALFORMED, "%s has no attribute '%s'", row->name,
                              diag_quote(ir->arena, given[i].name, 100));
        const bool empty_list = given[i].count == 0 && known->kind >= ATTRIBUTE_INTS && known->kind <= ATTRIBUTE_STRINGS &&
                                given[i].kind >= ATTRIBUTE_INTS && given[i].kind <= ATTRIBUTE_STRINGS;
        if (known->kind != given[i].kind && !empty_list)
            return make_error(ir, row, EXIT_MALFORMED, "attribute '%s' of %s has the wrong type", given[i].name, row->name);
        all[i] = given[i];
        all[i].kind = known->kind;
    }
    *out_count = count;
    for (const AttributeRow *known = row->attributes; known->name; known++) {
        bool present = !known->has_default;
        for (int i = 0; i < count && !present; i++)
            present = strcmp(given[i].name, known->name) == 0;
        if (present)
            continue;
        Attribute *const added = &all[(*out_count)++];
        *added = known->kind == ATTRIBUTE_INT     ? attr_int(ir, known->name, known->integer)
                 : known->kind == ATTRIBUTE_FLOAT ? attr_float(ir, known->name, known->real)
                                                  : attr_string(ir, known->name, known->string);
    }
    qsort(all, (size_t)*out_count, sizeof *all, by_name);
    for (int i = 1; i < *out_count; i++)
        if (all[i].name == all[i - 1].name)
            return make_error(ir, row, EXIT_MALFORMED, "attribute '%s' of %s is given twice", all[i].name, row->name);
    *out = all;
    return true;
}

static bool in_set(Dtype dtype, TypeSet set)
{
    switch (set) {
    case ANY_VALUE:
        return true;
    case ANY_TYPE:
        return dtype != DTYPE_STRING;
    case NUMERIC:
        return dtype != DTYPE_BOOL && dtype != DTYPE_STRING;
    case FLOATS:
        return dtype == DTYPE_F32 || dtype == DTYPE_F64 || dtype == DTYPE_F16 || dtype == DTYPE_BF16;
    case INTEGERS:
        return dtype_is_integer(dtype);
    case BOOLEAN_ONLY:
        return dtype == DTYPE_BOOL;
    case ANY_FLOAT:
        return dtype_is_float(dtype);
    }
    return false;
}

/* Steps that look into no tensor. */
static bool takes_any_rank(const OpRow *row)
{
    static const Op ops[] = {OP_If, OP_Loop, OP_SequenceConstruct, OP_SequenceInsert, OP_Optional, OP_OptionalGetElement, OP_OptionalHasElement};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (row == &op_rows[ops[i] - OP_TENSOR_FIRST])
            return true;
    return false;
}

/* Why nobody knows the rank of a tensor. */
static const char *rank_story(Ir *ir, const Node *node)
{
    const Node *const maker = node->op == OP_result ? node->inputs[0] : node;
    const int64_t output = node->op == OP_result ? node->payload.integer : 0;
    if (maker->op != OP_If)
        return node->op == OP_input ? "the model does not declare it" : "what is inside has none that holds for all";
    return arena_format(ir->arena, "If gives %s or %s", type_text(ir, attribute_find(maker, "then_branch")->graph->outputs[output]->type),
                        type_text(ir, attribute_find(maker, "else_branch")->graph->outputs[output]->type));
}

static bool arity_check(Ir *ir, const OpRow *row, Node *const *inputs, int input_count, int output_count)
{
    static const char *const set_name[] = {"any type but string", "any type", "a number type", "a float type", "an integer type", "bool", "a float type of any width"};
    if (input_count < row->input_min || input_count > row->input_max)
        return make_error(ir, row, EXIT_MALFORMED, "%s takes %d%s inputs but has %d", row->name, row->input_min,
                          row->input_max > row->input_min ? " or more" : "", input_count);
    if (output_count < row->output_min || output_count > row->output_max)
        return make_error(ir, row, EXIT_MALFORMED, "%s has %d%s outputs, not %d", row->name, row->output_min,
                          row->output_max > row->output_min ? " or more" : "", output_count);
    for (int i = 0; i < row->input_min; i++)
        if (is_omitted(inputs[i]))
            return make_error(ir, row, EXIT_MALFORMED, "input %d of %s is required", i, row->name);
    for (int i = 0; i < input_count; i++) {
        const Type type = inputs[i]->type;
        if (type.form != FORM_TENSOR && row->meaning.form != MEANING_HOST)
            return make_error(ir, row, EXIT_MALFORMED, "input %d of %s is %s, not a tensor", i, row->name, type_text(ir, type));
        if (type.rank == RANK_UNKNOWN && type.form == FORM_TENSOR && !takes_any_rank(row))
            return make_error(ir, row, EXIT_UNSUPPORTED, "the rank of input %d of %s is not known: %s", i, row->name,
                              rank_story(ir, inputs[i]));
        if (type.dtype == DTYPE_STRING && row->types != ANY_VALUE && row != &op_rows[OP_ROW_Where])
            return make_error(ir, row, EXIT_UNSUPPORTED, "%s of strings is not supported", row->name);
    }
    if (input_count && !is_omitted(inputs[0]) && !in_set(inputs[0]->type.dtype, row->types))
        return make_error(ir, row, EXIT_MALFORMED, "%s takes %s, not %s", row->name, set_name[row->types],
                          type_text(ir, inputs[0]->type));
    return true;
}

/* Tensor constant from contents that are all constants; NULL when one is symbolic. */
static Node *constant_from_contents(Ir *ir, const Node *node, int64_t elements)
{
    const Dtype dtype = node->type.dtype;
    const size_t size = (size_t)dtype_info[dtype].bits / 8;
    unsigned char *const data = arena_alloc(ir->arena, (size_t)elements * size + 1);
    for (int64_t i = 0; i < elements; i++) {
        const Node *const element = node->contents[i];
        if (element->op != OP_const)
            return NULL;
        const Node *const typed = cast_make(ir, (Node *)element, dtype);
        memcpy(data + (size_t)i * size, &typed->payload.bits, size);
    }
    return constant_of(ir, node->type, data, (uint64_t)elements * size);
}

/* Is this result small, and of a type that shapes are made of? */
static bool type_wanted(Ir *ir, Type type)
{
    int64_t elements;
    if (!type_is_tensor(type))
        return false;
    const bool shape = type.dtype == DTYPE_I64 || type.dtype == DTYPE_I32 || type.dtype == DTYPE_BOOL || type.dtype == DTYPE_F32;
    return shape && const_is_int(type_elements(ir, type), &elements) && elements <= CONTENTS_MAX;
}

static bool contents_wanted(Ir *ir, Node *node)
{
    if (op_row(node)->meaning.form != MEANING_SCALAR && op_row(node)->meaning.form != MEANING_LOWER)
        return false;
    for (int i = 0; i == 0 || i < node->result_count; i++)
        if (!type_wanted(ir, node_result(node, i)->type))
            return false;
    const bool reads_shape_only = node->op == OP_Shape || node->op == OP_Size;
    for (uint32_t i = 0; i < node->input_count && !reads_shape_only; i++)
        if (!is_omitted(node->inputs[i]) && !node->inputs[i]->contents)
            return false;
    return true;
}

/* Dims that are constants must leave a tensor that some machine could hold: so no product of dims overflows further on. */
static bool size_check(Ir *ir, const OpRow *row, Type type)
{
    const uint64_t most = TENSOR_BYTES_MAX * 8;
    uint64_t bits = (uint64_t)dtype_info[type.dtype].bits;
    bool over = false;
    for (int i = 0; i < type.rank; i++) {
        int64_t dim;
        if (!type.dims[i] || !const_is_int(type.dims[i], &dim))
            continue;
        if (dim < 0)
            return make_error(ir, row, EXIT_MALFORMED, "dim %d of the result is %lld", i, (long long)dim);
        if (dim == 0)
            return true;
        over = over || __builtin_mul_overflow(bits, (uint64_t)dim, &bits) || bits > most;
    }
    return !over || make_error(ir, row, EXIT_LIMIT, "the result %s is larger than the limit of %llu GiB", type_text(ir, type),
                               (unsigned long long)TENSOR_BYTES_MAX >> 30);
}

static bool types_infer(Infer *infer, const OpRow *row)
{
    Ir *const ir = infer->ir;
    const int errors = ir->diagnostics->error_count;
    bool good = row->shape(infer);
    for (int i = 0; i < infer->output_count && good; i++)
        good = infer->types[i].form != FORM_TENSOR || size_check(ir, row, infer->types[i]);
    if (!good && ir->diagnostics->error_count == errors)
        make_error(ir, row, EXIT_MALFORMED, "%s: shapes cannot be inferred", row->name);
    if (!good)
        diag_keep_first(ir->diagnostics, errors);
    return good;
}

/* Finds the contents of the results where they are small and known. False after a diagnostic. */
static bool results_know(Ir *ir, Node *node)
{
    enum { RESULTS_MAX = 16 };
    Node *const *contents[RESULTS_MAX];
    const int errors = ir->diagnostics->error_count;
    if (node_result(node, 0)->contents || node->result_count > RESULTS_MAX || !contents_wanted(ir, node))
        return true;
    if (!contents_evaluate(ir, node, contents))
        return ir->diagnostics->error_count == errors;
    for (int i = 0; i == 0 || i < node->result_count; i++)
        node_result(node, i)->contents = contents[i];
    return true;
}

Node *tensor_remake(Ir *ir, const Node *node, Node *const *inputs)
{
    const int count = node->result_count > 1 ? node->result_count : 1;
    Type *const types = NEW_ARRAY(ir->arena, Type, (size_t)count);
    for (int i = 0; i < count; i++)
        types[i] = node_result((Node *)(uintptr_t)node, i)->type;
    const bool host = op_row(node)->meaning.form == MEANING_HOST;
    Node *const made = tensor_make_typed(ir, node->op, inputs, (int)node->input_count, count, node->attributes,
                                         node->attribute_count, host ? types : NULL);
    if (made && host && !made->contents)
        made->contents = node->contents;
    return made;
}

Node *tensor_make(Ir *ir, Op op, Node *const *inputs, int input_count, int output_count, const Attribute *attributes,
                  int attribute_count)
{
    return tensor_make_typed(ir, op, inputs, input_count, output_count, attributes, attribute_count, NULL);
}

Node *tensor_make_typed(Ir *ir, Op op, Node *const *inputs, int input_count, int output_count, const Attribute *attributes,
                        int attribute_count, const Type *given)
{
    const OpRow *const row = &op_rows[op - OP_TENSOR_FIRST];
    while (input_count > row->input_min && input_count > 0 && is_omitted(inputs[input_count - 1]))
        input_count--;
    Attribute *all = NULL;
    int all_count = 0;
    if (!arity_check(ir, row, inputs, input_count, output_count) ||
        !attributes_complete(ir, row, attributes, attribute_count, &all, &all_count))
        return NULL;
    Node draft = {.op = op,
                  .inputs = inputs,
                  .input_count = (uint32_t)input_count,
                  .attributes = all,
                  .attribute_count = (uint16_t)all_count,
                  .where = ir->where};
    if (row->meaning.form == MEANING_AT_ONCE) {
        Node *made = NULL;
        draft.result_count = (uint16_t)output_count;
        return row->meaning.expand(ir, &draft, &made) ? made : NULL;
    }
    Type *const types = NEW_ARRAY(ir->arena, Type, (size_t)output_count);
    Node **const known = arena_copy(ir->arena, inputs, (size_t)input_count * sizeof *inputs);
    draft.inputs = known;
    Infer infer = {ir, &draft, known, output_count, types};
    if (given)
        memcpy(types, given, (size_t)output_count * sizeof *types);
    else if (!types_infer(&infer, row))
        return NULL;
    draft.type = output_count == 1 ? types[0] : (Type){0};
    draft.result_count = (uint16_t)output_count;
    Node *const node = node_make(ir, &draft);
    if (output_count > 1) {
        if (!node->results) {
            Node **const results = NEW_ARRAY(ir->arena, Node *, (size_t)output_count);
            for (int i = 0; i < output_count; i++)
                results[i] = node_make(ir, &(Node){.op = OP_result,
                                                   .type = types[i],
                                                   .inputs = &node,
                                                   .input_count = 1,
                                                   .payload.integer = i});
            node->results = results;
        }
        return results_know(ir, node) ? node : NULL;
    }
    if (input_count == 0 && row->meaning.form == MEANING_EXPAND_BY) { /* an operator without inputs is a constant */
        Node *constant;
        return row->meaning.expand(ir, node, &constant) ? constant : NULL;
    }
    if (!results_know(ir, node))
        return NULL;
    int64_t elements;
    if (node->contents && const_is_int(type_elements(ir, node->type), &elements)) {
        Node *const constant = constant_from_contents(ir, node, elements);
        if (constant)
            return constant;
    }
    return node;
}
