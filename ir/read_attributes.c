/* Attributes as text: see read_attributes.h. */
#include "ir/read_attributes.h"

#include <stdlib.h>
#include <string.h>

enum { ATTRIBUTES_MAX = 64 };

bool real_read(const char *text, double *value)
{
    uint64_t bits;
    const size_t length = strlen(text);
    const bool decimal = strspn(text, "0123456789+-.e") + 1 == length;
    if (length > 1 && length < 64 && text[length - 1] == 'f' && decimal) {
        char digits[64] = {0};
        memcpy(digits, text, length - 1);
        if (!literal_read(digits, DTYPE_F32, &bits))
            return false;
        float rounded;
        const uint32_t word = (uint32_t)bits;
        memcpy(&rounded, &word, sizeof rounded);
        *value = (double)rounded;
        return true;
    }
    if (!literal_read(text, DTYPE_F64, &bits))
        return false;
    memcpy(value, &bits, sizeof *value);
    return true;
}

static bool vector_build(Ir *ir, const Environment *environment, const Sexpr *vector, Attribute *attribute)
{
    const Sexpr *items = vector->items;
    int count = vector->count;
    attribute->kind = ATTRIBUTE_INTS;
    if (count && sexpr_is(items, ":floats"))
        attribute->kind = ATTRIBUTE_FLOATS;
    else if (count && (sexpr_is(items, ":strings") || items[0].kind == SEXPR_STRING))
        attribute->kind = ATTRIBUTE_STRINGS;
    const bool marked = count && items[0].kind == SEXPR_ATOM && items[0].text[0] == ':';
    items += marked;
    count -= marked;
    int64_t *const integers = NEW_ARRAY(ir->arena, int64_t, (size_t)count + 1);
    double *const reals = NEW_ARRAY(ir->arena, double, (size_t)count + 1);
    Name *const strings = NEW_ARRAY(ir->arena, Name, (size_t)count + 1);
    for (int i = 0; i < count; i++) {
        if (attribute->kind == ATTRIBUTE_STRINGS) {
            if (items[i].kind != SEXPR_STRING)
                return read_error(ir, environment->file, &items[i], "a string is expected in this list");
            strings[i] = name_intern_bytes(ir->arena, items[i].text, (size_t)items[i].count);
            continue;
        }
        const bool atom = items[i].kind == SEXPR_ATOM;
        if (!atom || !real_read(items[i].text, &reals[i]))
            return read_error(ir, environment->file, &items[i], "a number is expected in this list");
        if (attribute->kind == ATTRIBUTE_INTS && !integer_read(items[i].text, &integers[i]))
            attribute->kind = ATTRIBUTE_FLOATS;
    }
    attribute->count = count;
    if (attribute->kind == ATTRIBUTE_INTS)
        attribute->integers = integers;
    else if (attribute->kind == ATTRIBUTE_FLOATS)
        attribute->reals = reals;
    else
        attribute->strings = strings;
    return true;
}

static bool reference_build(Ir *ir, const Environment *environment, const Sexpr *value, Attribute *attribute)
{
    const Name name = attribute->name;
    const char *const wanted = value->text + 1;
    for (int i = 0; i < environment->attribute_count; i++)
        if (strcmp(environment->attributes[i].name, wanted) == 0) {
            *attribute = environment->attributes[i];
            attribute->name = name;
            return true;
        }
    return read_error(ir, environment->file, value, "no attribute is called '%s'", diag_quote(ir->arena, wanted, 80));
}

static bool atom_build(Ir *ir, const Environment *environment, const Sexpr *value, Attribute *attribute)
{
    if (integer_read(value->text, &attribute->integer)) {
        attribute->kind = ATTRIBUTE_INT;
        return true;
    }
    if (real_read(value->text, &attribute->real)) {
        attribute->kind = ATTRIBUTE_FLOAT;
        return true;
    }
    if (value->text[0] == '@')
        return reference_build(ir, environment, value, attribute);
    attribute->kind = ATTRIBUTE_TENSOR;
    attribute->tensor = value->text[0] == '%' ? expression_build(ir, value, environment) : NULL;
    if (attribute->tensor && attribute->tensor->op == OP_constant)
        return true;
    return read_error(ir, environment->file, value, "'%s' is no value of an attribute",
                      diag_quote(ir->arena, value->text, 80));
}

/* `graph NAME {..}` or `graph {..}`: the items from *at on. */
static bool graph_build(Ir *ir, const Environment *environment, const Sexpr *list, int *at, Attribute *attribute)
{
    const Sexpr *const name = &list->items[*at + 1];
    const bool named = *at + 1 < list->count && name->kind != SEXPR_BLOCK;
    const int block = *at + 1 + named;
    if (block >= list->count || list->items[block].kind != SEXPR_BLOCK || !environment->read_graph)
        return read_error(ir, environment->file, &list->items[*at], "a body has the form: graph name { .. }");
    attribute->kind = ATTRIBUTE_GRAPH;
    attribute->graph = environment->read_graph(environment->context, named ? name : NULL, &list->items[block]);
    *at = block;
    return attribute->graph != NULL;
}

static bool value_build(Ir *ir, const Environment *environment, const Sexpr *list, int *at, Attribute *attribute)
{
    const Sexpr *const value = &list->items[*at];
    if (sexpr_is(value, "graph"))
        return graph_build(ir, environment, list, at, attribute);
    if (value->kind == SEXPR_ATOM)
        return atom_build(ir, environment, value, attribute);
    if (value->kind == SEXPR_VECTOR)
        return vector_build(ir, environment, value, attribute);
    if (value->kind != SEXPR_STRING)
        return read_error(ir, environment->file, value,
                          "an attribute is a number, a string, a list, a constant or a graph");
    attribute->kind = ATTRIBUTE_STRING;
    attribute->string = name_intern_bytes(ir->arena, value->text, (size_t)value->count);
    attribute->count = value->count;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Attribute *)a)->name, ((const Attribute *)b)->name);
}

const Attribute *attributes_build(Ir *ir, const Environment *environment, const Sexpr *list, int first, int *count)
{
    Attribute *const attributes = NEW_ARRAY(ir->arena, Attribute, ATTRIBUTES_MAX);
    *count = 0;
    for (int at = first; at < list->count; at++) {
        const Sexpr *const name = &list->items[at];
        if (name->kind != SEXPR_ATOM || name->text[0] != ':' || name->count < 2 || at + 1 >= list->count)
            return read_error(ir, environment->file, name, "attributes have the form: :name value");
        if (*count == ATTRIBUTES_MAX)
            return read_error(ir, environment->file, name, "there are more than %d attributes", ATTRIBUTES_MAX);
        Attribute *const attribute = &attributes[*count];
        attribute->name = name_intern(ir->arena, name->text + 1);
        at++;
        if (!value_build(ir, environment, list, &at, attribute))
            return NULL;
        for (int i = 0; i < *count; i++)
            if (attributes[i].name == attribute->name)
                return read_error(ir, environment->file, name, "attribute %s is given twice", attribute->name);
        ++*count;
    }
    qsort(attributes, (size_t)*count, sizeof *attributes, by_name);
    return attributes;
}
