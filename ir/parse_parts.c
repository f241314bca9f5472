/* The small parts of the parser: cursors, names, types, constants. See parse_internal.h. */
#include "ir/ops/ops.h"
#include "ir/parse_internal.h"

#include <stdlib.h>
#include <string.h>

bool cursor_is(const Cursor *cursor, const char *atom)
{
    return cursor_more(cursor) && sexpr_is(cursor_peek(cursor), atom);
}

bool cursor_take(Cursor *cursor, const char *atom)
{
    const bool there = cursor_is(cursor, atom);
    cursor->at += there;
    return there;
}

const Sexpr *cursor_kind(Cursor *cursor, SexprKind kind)
{
    if (!cursor_more(cursor) || cursor_peek(cursor)->kind != kind)
        return NULL;
    return &cursor->block->items[cursor->at++];
}

const Sexpr *cursor_want(Parser *parser, Cursor *cursor, SexprKind kind, const char *what)
{
    const Sexpr *const item = cursor_kind(cursor, kind);
    return item ? item : FAIL(parser, cursor_peek(cursor), "%s is expected here", what);
}

bool cursor_want_atom(Parser *parser, Cursor *cursor, const char *atom)
{
    return cursor_take(cursor, atom) || FAIL(parser, cursor_peek(cursor), "'%s' is expected here", atom);
}

Where *parser_place(Parser *parser, const Sexpr *at)
{
    Where *const where = NEW(parser->ir->arena, Where);
    *where = (Where){.file = name_intern(parser->ir->arena, parser->file), .line = at->line, .column = at->column};
    parser->ir->where = where;
    return where;
}

Node *parse_expression(Parser *parser, Cursor *cursor)
{
    if (!cursor_more(cursor))
        return FAIL(parser, cursor->block, "an expression is missing at the end of this block");
    return expression_build(parser->ir, &cursor->block->items[cursor->at++], &parser->environment);
}

bool parse_integer(Parser *parser, Cursor *cursor, int64_t low, int64_t high, int64_t *value)
{
    const Sexpr *const item = cursor_want(parser, cursor, SEXPR_ATOM, "a whole number");
    if (!item)
        return false;
    if (!integer_read(item->text, value) || *value < low || *value > high)
        return FAIL(parser, item, "a whole number from %lld to %lld is expected, not '%s'", (long long)low,
                    (long long)high, diag_quote(parser->ir->arena, item->text, 40));
    return true;
}

bool parse_tensor_type(Parser *parser, Cursor *cursor, Type *type)
{
    const Sexpr *const dtype = cursor_want(parser, cursor, SEXPR_ATOM, "a type such as f32[1,N]");
    const Sexpr *const dims = dtype ? cursor_want(parser, cursor, SEXPR_VECTOR, "a list of dims such as [1,N]") : NULL;
    return dims && tensor_type_build(parser->ir, dtype, dims, &parser->environment, type);
}

/* Dims of which some are not known, as if those were 0. */
static const Sexpr *dims_fill(Parser *parser, const Sexpr *dims)
{
    Sexpr *const filled = arena_copy(parser->ir->arena, dims, sizeof *dims);
    Sexpr *const items = arena_copy(parser->ir->arena, dims->items, (size_t)dims->count * sizeof *items);
    for (int i = 0; i < dims->count; i++)
        if (sexpr_is(&items[i], "?"))
            items[i].text = "0";
    filled->items = items;
    return filled;
}

bool parse_value_type(Parser *parser, Cursor *cursor, Type *type)
{
    static const ValueForm forms[2][2] = {{FORM_TENSOR, FORM_SEQUENCE}, {FORM_OPTIONAL, FORM_OPTIONAL_SEQUENCE}};
    const bool optional = cursor_take(cursor, "optional"), sequence = cursor_take(cursor, "sequence");
    const Sexpr *const dtype = cursor_want(parser, cursor, SEXPR_ATOM, "a type such as f32[1,N]");
    const Sexpr *const dims = dtype ? cursor_want(parser, cursor, SEXPR_VECTOR, "a list of dims such as [1,N]") : NULL;
    if (!dims)
        return false;
    const bool any = dims->count == 1 && sexpr_is(&dims->items[0], "...");
    const bool none = dims->count == 1 && sexpr_is(&dims->items[0], "-");
    Sexpr empty = *dims;
    empty.count = 0;
    if (!tensor_type_build(parser->ir, dtype, any || none ? &empty : dims_fill(parser, dims), &parser->environment,
                           type))
        return false;
    type->form = forms[optional][sequence];
    if (any || none)
        type->rank = any ? RANK_UNKNOWN : RANK_NONE;
    Node **const own = arena_copy(parser->ir->arena, type->dims, (size_t)dims->count * sizeof *own);
    for (int i = 0; i < type->rank; i++)
        if (sexpr_is(&dims->items[i], "?"))
            own[i] = NULL;
    type->dims = own;
    for (int i = 0; i < type->rank && type->form == FORM_TENSOR; i++)
        if (!own[i])
            return FAIL(parser, dims, "every dim of a tensor has a name or a number");
    return true;
}

bool parse_name(Parser *parser, Cursor *cursor, Name *name)
{
    const Sexpr *const item = cursor_want(parser, cursor, SEXPR_ATOM, "a new name such as %x");
    if (!item)
        return false;
    if (item->text[0] != '%' || !item->text[1] || strpbrk(item->text, "+*-:'="))
        return FAIL(parser, item, "a new name such as %%x is expected, not '%s'",
                    diag_quote(parser->ir->arena, item->text, 80));
    *name = name_intern(parser->ir->arena, item->text);
    if (names_bound_here(parser->environment.names, *name))
        return FAIL(parser, item, "%s has a meaning already in this block",
                    diag_quote(parser->ir->arena, item->text, 80));
    return true;
}

Name parse_title(Parser *parser, Cursor *cursor)
{
    const Sexpr *const item = cursor_peek(cursor);
    if (!cursor_more(cursor) || (item->kind != SEXPR_ATOM && item->kind != SEXPR_STRING))
        return NULL;
    cursor->at++;
    return name_intern_bytes(parser->ir->arena, item->text, (size_t)item->count);
}

/* ---- constants ---- */

static bool is_hash(const Cursor *cursor)
{
    return cursor_more(cursor) && cursor_peek(cursor)->kind == SEXPR_ATOM && cursor_peek(cursor)->text[0] == '#';
}

static void set_element(unsigned char *data, Dtype dtype, int64_t i, uint64_t bits)
{
    const int width = dtype_info[dtype].bits;
    if (width >= 8)
        memcpy(data + (size_t)i * (size_t)(width / 8), &bits, (size_t)width / 8);
    else
        data[(size_t)i * (size_t)width / 8] |=
            (unsigned char)((bits & ((1u << width) - 1)) << ((size_t)i * (size_t)width % 8));
}

static bool parse_element(Parser *parser, const Sexpr *item, Type type, Constant *constant, int64_t i)
{
    if (type.dtype == DTYPE_STRING) {
        if (item->kind != SEXPR_STRING)
            return FAIL(parser, item, "a string is expected here");
        constant->strings[i] = arena_copy(parser->ir->arena, item->text, (size_t)item->count + 1);
        return true;
    }
    uint64_t bits;
    if (item->kind != SEXPR_ATOM || !literal_read(item->text, type.dtype, &bits))
        return FAIL(parser, item, "a value of %s is expected here", dtype_info[type.dtype].name);
    set_element((unsigned char *)(uintptr_t)constant->data, type.dtype, i, bits);
    return true;
}

static bool parse_elements(Parser *parser, const Sexpr *items, int count, Type type, Constant *constant)
{
    Arena *const arena = parser->ir->arena;
    constant->bytes = ((uint64_t)count * (uint64_t)dtype_info[type.dtype].bits + 7) / 8;
    constant->data = arena_alloc(arena, (size_t)constant->bytes + 8);
    if (type.dtype == DTYPE_STRING)
        constant->strings = NEW_ARRAY(arena, char *, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        if (!parse_element(parser, &items[i], type, constant, i))
            return false;
    return true;
}

static bool parse_list(Parser *parser, const Sexpr *list, Type type, Constant *constant)
{
    int64_t elements = 1, dim;
    for (int i = 0; i < type.rank; i++)
        if (!const_is_int(type.dims[i], &dim) || dim < 0 || __builtin_mul_overflow(elements, dim, &elements))
            return FAIL(parser, list, "a constant has constant dims");
    if (elements != list->count)
        return FAIL(parser, list, "the type has %lld elements but %d stand here", (long long)elements, list->count);
    return parse_elements(parser, list->items, list->count, type, constant);
}

const Constant *parse_constant(Parser *parser, Cursor *cursor, Type type)
{
    Constant *const constant = NEW(parser->ir->arena, Constant);
    const Sexpr *const start = cursor_peek(cursor);
    uint64_t hash = 0;
    const Sexpr *const list = cursor_kind(cursor, SEXPR_VECTOR);
    const bool hashed = !list && is_hash(cursor);
    if (list) {
        if (!parse_list(parser, list, type, constant))
            return NULL;
    } else if (hashed) {
        char *end;
        hash = strtoull(cursor_peek(cursor)->text + 1, &end, 16);
        if (*end || end == cursor_peek(cursor)->text + 1)
            return FAIL(parser, start, "a hash such as #0123456789abcdef is expected here");
        cursor->at++;
    } else {
        if (!cursor_take(cursor, "splat") || !cursor_more(cursor))
            return FAIL(parser, start, "a constant is [elements], splat element or #hash");
        constant->splat = true;
        if (!parse_elements(parser, &cursor->block->items[cursor->at++], 1, type, constant))
            return NULL;
    }
    const Sexpr *const name = cursor_kind(cursor, SEXPR_STRING);
    constant->name = name ? name_intern_bytes(parser->ir->arena, name->text, (size_t)name->count) : NULL;
    if (!hashed)
        return constant;
    if (parser->options.resolve)
        return parser->options.resolve(parser->options.context, constant->name, hash, type);
    constant->splat = true;
    static const Sexpr zero = {.kind = SEXPR_ATOM, .line = 1, .column = 1, .count = 1, .text = "0"};
    static const Sexpr empty = {.kind = SEXPR_STRING, .line = 1, .column = 1, .text = ""};
    return parse_elements(parser, type.dtype == DTYPE_STRING ? &empty : &zero, 1, type, constant) ? constant : NULL;
}
