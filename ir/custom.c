/* See custom.h. A definition is read when the file is (its form), and again for each node that it stands for
 * (custom_use.c). */
#include "ir/custom_internal.h"

#include <string.h>

/* ---- form ---- */

static bool attribute_form(Parser *parser, Cursor *cursor, CustomOperator *custom)
{
    const Sexpr *const at = cursor_peek(cursor);
    const Name name = parse_title(parser, cursor);
    if (!name || custom->attribute_count == CUSTOM_ATTRIBUTES)
        return FAIL(parser, at, "an attribute has a name, and an operator at most %d attributes", CUSTOM_ATTRIBUTES);
    const Sexpr *const value = cursor_peek(cursor);
    Attribute *const attribute = &custom->attributes[custom->attribute_count];
    int64_t integer;
    uint64_t bits;
    *attribute = (Attribute){.name = name};
    custom->required[custom->attribute_count] =
        sexpr_is(value, "int") || sexpr_is(value, "float") || sexpr_is(value, "string") || sexpr_is(value, "ints");
    if (!cursor_more(cursor))
        return FAIL(parser, value, "behind an attribute stands its default, or its kind: int, float, string or ints");
    if (sexpr_is(value, "int") || (value->kind == SEXPR_ATOM && integer_read(value->text, &integer))) {
        attribute->kind = ATTRIBUTE_INT;
        attribute->integer = sexpr_is(value, "int") ? 0 : integer;
    } else if (sexpr_is(value, "float") || (value->kind == SEXPR_ATOM && literal_read(value->text, DTYPE_F64, &bits))) {
        attribute->kind = ATTRIBUTE_FLOAT;
        if (!sexpr_is(value, "float"))
            memcpy(&attribute->real, &bits, sizeof attribute->real);
    } else if (sexpr_is(value, "string") || value->kind == SEXPR_STRING) {
        *attribute = attr_string(parser->ir, name, value->kind == SEXPR_STRING ? value->text : "");
    } else if (sexpr_is(value, "ints")) {
        attribute->kind = ATTRIBUTE_INTS;
    } else {
        return FAIL(parser, value, "behind an attribute stands its default, or its kind: int, float, string or ints");
    }
    cursor->at++;
    custom->attribute_count++;
    return true;
}

static const char *const statements[] = {"input", "attribute", "let", "output", "temp", "stage", "external"};

bool custom_statement_is(const Sexpr *item)
{
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (sexpr_is(item, statements[i]))
            return true;
    return false;
}

/* Statements have no mark at their end: the next begins with a word that no expression is. */
void custom_statement_skip(Cursor *cursor)
{
    while (cursor_more(cursor) && !custom_statement_is(cursor_peek(cursor)))
        cursor->at++;
}

/* The items of a statement behind its word, so that what does not belong there is seen: a name or an expression, and a
 * type. */
static void statement_pass(Cursor *cursor, const Sexpr *word)
{
    if (sexpr_is(word, "stage")) {
        custom_statement_skip(cursor);
        return;
    }
    if (sexpr_is(word, "let"))
        while (cursor_more(cursor) && !custom_statement_is(cursor_peek(cursor)) && !cursor_is(cursor, "="))
            cursor->at++;
    cursor->at += sexpr_is(word, "let") ? 2 : 1;
    if (cursor_is(cursor, ":"))
        cursor->at += 3;
}

/* external SYMBOL, and perhaps the object file that has it, beside the file of definitions. */
static bool external_form(Parser *parser, Cursor *cursor, CustomOperator *custom)
{
    const Sexpr *const symbol = cursor_want(parser, cursor, SEXPR_ATOM, "the name of a C function");
    if (!symbol)
        return false;
    for (const char *at = symbol->text; *at; at++)
        if (!(*at == '_' || (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
              (at > symbol->text && *at >= '0' && *at <= '9')))
            return FAIL(parser, symbol, "the name of a C function is expected here");
    const Sexpr *const object = cursor_kind(cursor, SEXPR_STRING);
    const char *const slash = strrchr(custom->file, '/');
    custom->external = name_intern(parser->ir->arena, symbol->text);
    custom->stages = true;
    if (object)
        custom->object =
            *object->text == '/' || !slash
                ? object->text
                : arena_format(parser->ir->arena, "%.*s/%s", (int)(slash - custom->file), custom->file, object->text);
    return true;
}

static bool operator_form(Parser *parser, CustomOperator *custom)
{
    Cursor cursor = {custom->block, 0};
    while (cursor_more(&cursor)) {
        const Sexpr *const at = cursor_peek(&cursor);
        if (!custom_statement_is(at))
            return FAIL(parser, at, "input, attribute, let, output, temp, stage or external is expected here");
        cursor.at++;
        custom->input_count += sexpr_is(at, "input");
        custom->output_count += sexpr_is(at, "output");
        custom->stages = custom->stages || sexpr_is(at, "stage") || sexpr_is(at, "temp");
        if (sexpr_is(at, "attribute") && !attribute_form(parser, &cursor, custom))
            return false;
        if (custom->stages && sexpr_is(at, "let"))
            return FAIL(parser, at, "let belongs to expansions, and this operator has stages");
        if (sexpr_is(at, "external") && !external_form(parser, &cursor, custom))
            return false;
        if (!sexpr_is(at, "attribute") && !sexpr_is(at, "external"))
            statement_pass(&cursor, at);
    }
    if (custom->output_count < 1 || custom->output_count > CUSTOM_OUTPUTS || custom->input_count > CUSTOM_INPUTS)
        return FAIL(parser, custom->place, "an operator has 1 to %d outputs and at most %d inputs", CUSTOM_OUTPUTS,
                    CUSTOM_INPUTS);
    for (int i = 0; i < custom->attribute_count && custom->stages; i++)
        if (custom->attributes[i].kind != ATTRIBUTE_INT && custom->attributes[i].kind != ATTRIBUTE_FLOAT)
            return FAIL(parser, custom->place, "attributes of stages are numbers, and %s is none",
                        custom->attributes[i].name);
    return true;
}

static bool operator_read(Parser *parser, Cursor *cursor, Customs *customs, CustomOperator *custom)
{
    custom->place = cursor_peek(cursor);
    if (!cursor_want_atom(parser, cursor, "operator"))
        return false;
    const Name domain = parse_title(parser, cursor), name = domain ? parse_title(parser, cursor) : NULL;
    if (!name)
        return FAIL(parser, cursor_peek(cursor), "an operator has a domain and a name");
    custom->domain = strcmp(domain, "ai.onnx") == 0 ? name_intern(parser->ir->arena, "") : domain;
    custom->name = name;
    custom->block = cursor_want(parser, cursor, SEXPR_BLOCK, "the definition in braces");
    if (!custom->block || !operator_form(parser, custom))
        return false;
    if (custom_find(customs, custom->domain, custom->name))
        return FAIL(parser, custom->place, "%s of %s is defined twice", custom->name, domain);
    *(customs->last ? &customs->last->next : &customs->first) = custom;
    customs->last = custom;
    return true;
}

bool customs_read(Ir *ir, const char *file, const char *text, size_t length, Customs *customs)
{
    Parser parser;
    const Where *const where = ir->where;
    parser_open(&parser, ir, name_intern(ir->arena, file), NULL);
    const Sexpr *const all = sexpr_read_all(ir->arena, ir->diagnostics, parser.file, text, length);
    Cursor cursor = {all, 0};
    bool good = all;
    for (int number = 0; good && cursor_more(&cursor); number++) {
        CustomOperator *const custom = NEW(ir->arena, CustomOperator);
        *custom = (CustomOperator){.file = parser.file, .text = text, .length = length, .number = number};
        good = operator_read(&parser, &cursor, customs, custom);
    }
    ir->where = where;
    return good;
}

const char *customs_object(const Customs *customs, int number)
{
    const CustomOperator *custom = customs->first;
    for (; custom; custom = custom->next)
        if (custom->object && number-- == 0)
            return custom->object;
    return NULL;
}

const CustomOperator *custom_find(const Customs *customs, const char *domain, const char *name)
{
    const CustomOperator *custom = customs ? customs->first : NULL;
    while (custom && (strcmp(custom->name, name) != 0 || strcmp(custom->domain, domain) != 0))
        custom = custom->next;
    return custom;
}
/* ---- nodes ---- */

/* The node's attributes in the order of the declarations, defaults filled in. */
static bool attributes_complete(Ir *ir, const CustomOperator *custom, const Attribute *given, int count, Attribute *all)
{
    for (int i = 0; i < custom->attribute_count; i++) {
        bool found = false;
        all[i] = custom->attributes[i];
        for (int k = 0; k < count && !found; k++) {
            found = strcmp(given[k].name, custom->attributes[i].name) == 0;
            if (found && given[k].kind != custom->attributes[i].kind)
                return diag_error(ir->diagnostics, EXIT_MALFORMED, ir->where, "attribute '%s' of %s has the wrong type",
                                  given[k].name, custom->name);
            if (found)
                all[i] = given[k];
        }
        if (!found && custom->required[i])
            return diag_error(ir->diagnostics, EXIT_MALFORMED, ir->where, "%s has no attribute '%s'", custom->name,
                              custom->attributes[i].name);
    }
    for (int k = 0; k < count; k++) {
        bool known = false;
        for (int i = 0; i < custom->attribute_count; i++)
            known = known || strcmp(given[k].name, custom->attributes[i].name) == 0;
        if (!known)
            return diag_error(ir->diagnostics, EXIT_MALFORMED, ir->where, "%s has no attribute '%s'", custom->name,
                              diag_quote(ir->arena, given[k].name, 100));
    }
    return true;
}

bool custom_make(Ir *ir, const CustomOperator *custom, Node *const *inputs, int input_count,
                 const Attribute *attributes, int attribute_count, Node **outputs, int output_count)
{
    Attribute *const all = NEW_ARRAY(ir->arena, Attribute, CUSTOM_ATTRIBUTES);
    if (input_count > custom->input_count || output_count > custom->output_count)
        return diag_error(ir->diagnostics, EXIT_MALFORMED, ir->where,
                          "%s has %d inputs and %d outputs by its definition, and the node %d and %d", custom->name,
                          custom->input_count, custom->output_count, input_count, output_count);
    if (!attributes_complete(ir, custom, attributes, attribute_count, all))
        return false;
    if (custom->stages) {
        Node *const node = custom->external ? custom_external_make(ir, custom, inputs, input_count, all)
                                            : custom_stages_make(ir, custom, inputs, input_count, all);
        for (int i = 0; i < output_count && node; i++)
            outputs[i] = node_result(node, i);
        return node;
    }
    Use *const use = use_open(ir, custom, inputs, input_count, all, custom->attribute_count);
    if (!use_expand(use))
        return false;
    memcpy(outputs, use->outputs, (size_t)output_count * sizeof *outputs);
    return true;
}
