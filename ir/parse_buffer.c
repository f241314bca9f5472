/* Declarations of buffers: `buffer %x "name" : f32[N,3] input 0 "image" layout [0 1/16 1%16] alias %y slot 1 offset 64
 * constant ..`. */
#include "ir/parse_internal.h"

#include <string.h>

static bool parse_layout(Parser *parser, Cursor *cursor, const Type *type, Layout *layout)
{
    const Sexpr *const list = cursor_want(parser, cursor, SEXPR_VECTOR, "a layout such as [0 1/16 2 1%16]");
    if (!list)
        return false;
    if (list->count > (int)(sizeof layout->entries / sizeof *layout->entries))
        return FAIL(parser, list, "a layout has at most %d entries",
                    (int)(sizeof layout->entries / sizeof *layout->entries));
    for (int i = 0; i < list->count; i++) {
        const Sexpr *const item = &list->items[i];
        const char *const split = item->kind == SEXPR_ATOM ? strpbrk(item->text, "/%") : NULL;
        int64_t axis, block = 0;
        const char *const head =
            item->kind == SEXPR_ATOM
                ? arena_format(parser->ir->arena, "%.*s", (int)(split ? split - item->text : item->count), item->text)
                : "";
        if (!integer_read(head, &axis) || axis < 0 || axis >= type->rank ||
            (split && (!integer_read(split + 1, &block) || block < 1 || block > UINT16_MAX)))
            return FAIL(parser, item, "an entry is an axis of the buffer, axis/block or axis%%block");
        layout->entries[layout->count++] = (LayoutEntry){(uint8_t)axis,
                                                         !split          ? PART_WHOLE
                                                         : *split == '/' ? PART_OUTER
                                                                         : PART_INNER,
                                                         (uint16_t)block};
    }
    return true;
}

/* `input 0 "name"`: the module's list of inputs is ordered by number. */
static bool add_public(Parser *parser, Node *node, Name public)
{
    const bool in = node->payload.buffer->place == PLACE_INPUT;
    Node ***const nodes = in ? &parser->inputs : &parser->outputs;
    Name **const names = in ? &parser->input_names : &parser->output_names;
    int *const count = in ? &parser->input_count : &parser->output_count;
    int *const capacity = in ? &parser->input_capacity : &parser->output_capacity;
    if (*count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 8;
        Node **const more_nodes = NEW_ARRAY(parser->ir->arena, Node *, (size_t)*capacity);
        Name *const more_names = NEW_ARRAY(parser->ir->arena, Name, (size_t)*capacity);
        if (*count) {
            memcpy(more_nodes, *nodes, (size_t)*count * sizeof *more_nodes);
            memcpy(more_names, *names, (size_t)*count * sizeof *more_names);
        }
        *nodes = more_nodes;
        *names = more_names;
    }
    int at = (*count)++;
    for (; at > 0 && (*nodes)[at - 1]->payload.buffer->number > node->payload.buffer->number; at--) {
        (*nodes)[at] = (*nodes)[at - 1];
        (*names)[at] = (*names)[at - 1];
    }
    (*nodes)[at] = node;
    (*names)[at] = public;
    return true;
}

static bool parse_alias(Parser *parser, Cursor *cursor, Buffer *buffer)
{
    const Sexpr *const at = cursor_peek(cursor);
    buffer->alias = parse_expression(parser, cursor);
    if (!buffer->alias)
        return false;
    return buffer->alias->op == OP_buffer || FAIL(parser, at, "an alias is another buffer");
}

static bool parse_number(Parser *parser, Cursor *cursor, Buffer *buffer, Name *public)
{
    int64_t number;
    if (!parse_integer(parser, cursor, 0, INT32_MAX, &number))
        return false;
    buffer->number = (int)number;
    const Sexpr *const text = cursor_kind(cursor, SEXPR_STRING);
    *public = text ? name_intern_bytes(parser->ir->arena, text->text, (size_t)text->count) : NULL;
    return true;
}

static bool parse_slot(Parser *parser, Cursor *cursor, Buffer *buffer)
{
    int64_t slot;
    if (!parse_integer(parser, cursor, INT32_MIN, INT32_MAX, &slot) || !cursor_want_atom(parser, cursor, "offset"))
        return false;
    buffer->slot = (int)slot;
    return parse_integer(parser, cursor, INT64_MIN, INT64_MAX, &buffer->offset);
}

/* What may follow a buffer's type, in any order. Returns false after a diagnostic; *more tells whether there was a
 * clause. */
static bool parse_clause(Parser *parser, Cursor *cursor, Type *type, Buffer *buffer, Name *public, bool *more)
{
    *more = true;
    if (cursor_take(cursor, "layout"))
        return parse_layout(parser, cursor, type, &buffer->layout);
    if (cursor_take(cursor, "tame"))
        return buffer->tame = true;
    if (cursor_take(cursor, "alias"))
        return parse_alias(parser, cursor, buffer);
    if (place_is_inner(buffer->place)) {
        *more = false;
        return true;
    }
    if (cursor_take(cursor, "slot"))
        return parse_slot(parser, cursor, buffer);
    if (cursor_take(cursor, "constant"))
        return (buffer->constant = parse_constant(parser, cursor, *type)) != NULL;
    if (cursor_take(cursor, "weight")) {
        buffer->place = PLACE_WEIGHT;
        return true;
    }
    const bool in = cursor_take(cursor, "input");
    *more = in || cursor_take(cursor, "output");
    if (!*more)
        return true;
    buffer->place = in ? PLACE_INPUT : PLACE_OUTPUT;
    return parse_number(parser, cursor, buffer, public);
}

bool parse_buffer(Parser *parser, Cursor *cursor, Place place)
{
    Buffer buffer = {.place = place};
    Name name, public = NULL;
    Type type;
    if (!parse_name(parser, cursor, &name))
        return false;
    const Sexpr *const own = cursor_kind(cursor, SEXPR_STRING);
    buffer.name = own ? name_intern_bytes(parser->ir->arena, own->text, (size_t)own->count)
                      : name_intern(parser->ir->arena, name + 1);
    if (!cursor_want_atom(parser, cursor, ":") || !parse_tensor_type(parser, cursor, &type))
        return false;
    for (bool more = true; more;)
        if (!parse_clause(parser, cursor, &type, &buffer, &public, &more))
            return false;
    Node *const node = buffer_make(parser->ir, type, &buffer);
    names_bind(parser->environment.names, name, node);
    return !public || add_public(parser, node, public);
}
