/* AttributeProto becomes Attribute: kinds checked, references to a function's attributes resolved, Constant's value
 * made. */
#include "frontend/importer.h"
#include "ir/ops/ops.h"

#include <string.h>

static const char *const type_names[] = {
    [TYPE_FLOAT] = "float",          [TYPE_INT] = "int",       [TYPE_STRING] = "string", [TYPE_TENSOR] = "tensor",
    [TYPE_GRAPH] = "graph",          [TYPE_FLOATS] = "floats", [TYPE_INTS] = "ints",     [TYPE_STRINGS] = "strings",
    [TYPE_SPARSE] = "sparse tensor", [TYPE_TYPE] = "type",
};
enum { TYPE_COUNT = sizeof type_names / sizeof *type_names };

static const char *quoted(Importer *importer, const Text *text)
{
    return diag_quote(importer->scratch,
                      arena_format(importer->scratch, "%.*s", (int)(text->len < 200 ? text->len : 200),
                                   text->len ? (const char *)text->data : ""),
                      100);
}

/* Bit t is set when the value field of type t is there. */
static unsigned fields_present(const Onnx__AttributeProto *attribute)
{
    const bool present[TYPE_COUNT] = {
        [TYPE_FLOAT] = attribute->has_f,
        [TYPE_INT] = attribute->has_i,
        [TYPE_STRING] = attribute->has_s,
        [TYPE_TENSOR] = attribute->t,
        [TYPE_GRAPH] = attribute->g,
        [TYPE_FLOATS] = attribute->n_floats,
        [TYPE_INTS] = attribute->n_ints,
        [TYPE_STRINGS] = attribute->n_strings,
        [TYPE_SPARSE] = attribute->sparse_tensor,
        [TYPE_TYPE] = attribute->tp,
    };
    unsigned bits = 0;
    for (int type = 0; type < TYPE_COUNT; type++)
        bits |= (unsigned)present[type] << type;
    return bits;
}

int attribute_type(Importer *importer, const Where *where, const Onnx__AttributeProto *attribute)
{
    const unsigned present = fields_present(attribute);
    int type = attribute->type;
    if (!type && present) /* the first format versions did not write it */
        type = __builtin_ctz(present);
    if (type < 1 || type >= TYPE_COUNT || !type_names[type]) {
        diag_error(importer->diagnostics, type > 0 && type <= 14 ? EXIT_UNSUPPORTED : EXIT_MALFORMED, where,
                   "attribute \"%s\" has %s", quoted(importer, &attribute->name),
                   type ? "a type that is not supported" : "no value");
        return 0;
    }
    const unsigned other = present & ~(1u << type);
    const bool needed = type == TYPE_TENSOR || type == TYPE_GRAPH || type == TYPE_SPARSE || type == TYPE_TYPE;
    if (other || (needed && !present)) {
        diag_error(importer->diagnostics, EXIT_MALFORMED, where, "attribute \"%s\" is declared as %s but holds %s",
                   quoted(importer, &attribute->name), type_names[type],
                   other ? type_names[__builtin_ctz(other)] : "nothing");
        return 0;
    }
    return type;
}

bool attribute_resolve(Importer *importer, const Context *context, const Where *where,
                       const Onnx__AttributeProto *attribute, const Onnx__AttributeProto **resolved)
{
    *resolved = attribute;
    if (!attribute->ref_attr_name.len)
        return true;
    if (!context->attributes)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                          "attribute \"%s\" refers to an attribute of a function, but stands in none",
                          quoted(importer, &attribute->name));
    const Name name = text_name(importer, where, &attribute->ref_attr_name, "an attribute's name");
    if (!name)
        return false;
    *resolved = names_get(context->attributes, name);
    if (*resolved && attribute->type && (*resolved)->type && attribute->type != (*resolved)->type)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                          "attribute \"%s\" gets a value of another type from the call",
                          quoted(importer, &attribute->name));
    return true;
}

static const int64_t *ints_copy(Arena *arena, const Onnx__AttributeProto *attribute)
{
    return arena_copy(arena, attribute->ints, attribute->n_ints * sizeof *attribute->ints);
}

static const double *floats_copy(Arena *arena, const Onnx__AttributeProto *attribute)
{
    double *copy = NEW_ARRAY(arena, double, attribute->n_floats);
    for (size_t i = 0; i < attribute->n_floats; i++)
        copy[i] = attribute->floats[i];
    return copy;
}

static const Name *strings_copy(Arena *arena, const Onnx__AttributeProto *attribute)
{
    Name *copy = NEW_ARRAY(arena, Name, attribute->n_strings);
    for (size_t i = 0; i < attribute->n_strings; i++)
        copy[i] = name_intern_bytes(arena, (const char *)attribute->strings[i].data, attribute->strings[i].len);
    return copy;
}

/* The value alone; the name is the caller's. */
static bool value_import(Importer *importer, const Context *context, const Scope *scope, const Where *where,
                         const Onnx__AttributeProto *attribute, Attribute *result)
{
    Arena *arena = importer->ir->arena;
    switch (attribute_type(importer, where, attribute)) {
    case TYPE_INT:
        result->kind = ATTRIBUTE_INT;
        result->integer = attribute->i;
        return true;
    case TYPE_FLOAT:
        result->kind = ATTRIBUTE_FLOAT;
        result->real = attribute->f;
        return true;
    case TYPE_STRING:
        result->kind = ATTRIBUTE_STRING;
        result->count = (int)attribute->s.len;
        result->string =
            name_intern_bytes(arena, attribute->s.len ? (const char *)attribute->s.data : "", attribute->s.len);
        return true;
    case TYPE_INTS:
        result->kind = ATTRIBUTE_INTS;
        result->count = (int)attribute->n_ints;
        result->integers = ints_copy(arena, attribute);
        return true;
    case TYPE_FLOATS:
        result->kind = ATTRIBUTE_FLOATS;
        result->count = (int)attribute->n_floats;
        result->reals = floats_copy(arena, attribute);
        return true;
    case TYPE_STRINGS:
        result->kind = ATTRIBUTE_STRINGS;
        result->count = (int)attribute->n_strings;
        result->strings = strings_copy(arena, attribute);
        return true;
    case TYPE_TENSOR:
        result->kind = ATTRIBUTE_TENSOR;
        result->tensor = tensor_import(importer, where, attribute->t);
        return result->tensor;
    case TYPE_GRAPH:
        result->kind = ATTRIBUTE_GRAPH;
        result->graph = graph_import(importer, context, scope, attribute->g);
        return result->graph;
    case 0:
        return false;
    default:
        return diag_error(importer->diagnostics, EXIT_UNSUPPORTED, where,
                          "attribute \"%s\" has a type that is not supported", quoted(importer, &attribute->name));
    }
}

bool attributes_import(Importer *importer, const Context *context, const Scope *scope, const Where *where,
                       const Onnx__NodeProto *node, Attribute *attributes, int *count)
{
    NameMap seen = {.arena = importer->scratch};
    *count = 0;
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->attribute[i], *resolved;
        const Name name = text_name(importer, where, &attribute->name, "an attribute's name");
        if (!name)
            return false;
        if (!*name || names_add(&seen, name, (void *)(uintptr_t)attribute))
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                              *name ? "attribute \"%s\" is given twice" : "an attribute has no name%s",
                              *name ? diag_quote(importer->scratch, name, 100) : "");
        if (!attribute_resolve(importer, context, where, attribute, &resolved))
            return false;
        if (!resolved)
            continue;
        Attribute *result = &attributes[(*count)++];
        result->name = name;
        if (!value_import(importer, context, scope, where, resolved, result))
            return false;
    }
    return true;
}

/* ---- Constant ---- */

static Node *strings_constant(Importer *importer, const Where *where, int rank, const Text *strings, size_t count)
{
    char **const list = strings_decode(importer, where, strings, count);
    return list ? values_constant(importer, DTYPE_STRING, rank, list, (int64_t)count, NULL) : NULL;
}

/* The forms of a constant's value: attribute, type it must have. */
static const struct {
    const char *name;
    int type;
} constant_forms[] = {
    {"value", TYPE_TENSOR},        {"sparse_value", TYPE_SPARSE},   {"value_float", TYPE_FLOAT},
    {"value_floats", TYPE_FLOATS}, {"value_int", TYPE_INT},         {"value_ints", TYPE_INTS},
    {"value_string", TYPE_STRING}, {"value_strings", TYPE_STRINGS},
};

Node *constant_import(Importer *importer, const Context *context, const Where *where, const Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *value = NULL;
    size_t form = 0;
    for (size_t i = 0; i < node->n_attribute; i++) {
        form = 0;
        while (form < sizeof constant_forms / sizeof *constant_forms &&
               !text_is(&node->attribute[i]->name, constant_forms[form].name))
            form++;
        if (form == sizeof constant_forms / sizeof *constant_forms || value) {
            diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                       value ? "a constant has two values%s" : "there is no attribute \"%s\"",
                       value ? "" : quoted(importer, &node->attribute[i]->name));
            return NULL;
        }
        if (!attribute_resolve(importer, context, where, node->attribute[i], &value))
            return NULL;
    }
    if (!value) {
        diag_error(importer->diagnostics, EXIT_MALFORMED, where, "a constant has no value");
        return NULL;
    }
    const int type = attribute_type(importer, where, value);
    if (type != constant_forms[form].type) {
        if (type)
            diag_error(importer->diagnostics, EXIT_MALFORMED, where, "attribute \"%s\" is %s but must be %s",
                       constant_forms[form].name, type_names[type], type_names[constant_forms[form].type]);
        return NULL;
    }
    switch (type) {
    case TYPE_TENSOR:
        return tensor_import(importer, where, value->t);
    case TYPE_SPARSE:
        return sparse_import(importer, where, value->sparse_tensor);
    case TYPE_FLOAT:
        return values_constant(importer, DTYPE_F32, 0, &value->f, 1, NULL);
    case TYPE_FLOATS:
        return values_constant(importer, DTYPE_F32, 1, value->floats, (int64_t)value->n_floats, NULL);
    case TYPE_INT:
        return values_constant(importer, DTYPE_I64, 0, &value->i, 1, NULL);
    case TYPE_INTS:
        return values_constant(importer, DTYPE_I64, 1, value->ints, (int64_t)value->n_ints, NULL);
    case TYPE_STRING:
        return strings_constant(importer, where, 0, &value->s, 1);
    default:
        return strings_constant(importer, where, 1, value->strings, value->n_strings);
    }
}
