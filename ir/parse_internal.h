/* What the files of the parser share. */
#ifndef LATHE_IR_PARSE_INTERNAL_H
#define LATHE_IR_PARSE_INTERNAL_H

#include "ir/parse.h"
#include "ir/read.h"

typedef struct Parser {
    Ir *ir;
    const char *file;
    ParseOptions options;
    Environment environment;
    const Type *stated; /* types that the text states for the operator that is being made, or NULL */
    int stated_count;
    /* buffers with a public name, by place and number */
    Node **inputs, **outputs;
    Name *input_names, *output_names;
    int input_count, output_count, input_capacity, output_capacity;
} Parser;

/* Items of a block, one after the other. */
typedef struct Cursor {
    const Sexpr *block;
    int at;
} Cursor;

void parser_open(Parser *parser, Ir *ir, const char *file, const ParseOptions *options);
/* Reports and returns NULL. */
#define FAIL(parser, at, ...) read_error((parser)->ir, (parser)->file, (at), __VA_ARGS__)

static inline bool cursor_more(const Cursor *cursor)
{
    return cursor->at < cursor->block->count;
}
/* The next item, or the block itself (for its place) when there is none. */
static inline const Sexpr *cursor_peek(const Cursor *cursor)
{
    return cursor_more(cursor) ? &cursor->block->items[cursor->at] : cursor->block;
}
bool cursor_is(const Cursor *cursor, const char *atom);
bool cursor_take(Cursor *cursor, const char *atom); /* only if it is there */
const Sexpr *cursor_kind(Cursor *cursor,
                         SexprKind kind); /* the next item if it is of this kind, else NULL and no step */
const Sexpr *cursor_want(Parser *parser, Cursor *cursor, SexprKind kind, const char *what); /* else a diagnostic */
bool cursor_want_atom(Parser *parser, Cursor *cursor, const char *atom);

/* Nodes made from here on come from this place of the text. */
Where *parser_place(Parser *parser, const Sexpr *at);
Node *parse_expression(Parser *parser, Cursor *cursor);
bool parse_integer(Parser *parser, Cursor *cursor, int64_t low, int64_t high, int64_t *value);
bool parse_tensor_type(Parser *parser, Cursor *cursor, Type *type);
/* Of any form, as in the tensor graph: sequence f32[2,?], optional f32[...], sequence f32[-]. */
bool parse_value_type(Parser *parser, Cursor *cursor, Type *type);
/* A new name: starts with %, is not bound in this very scope. */
bool parse_name(Parser *parser, Cursor *cursor, Name *name);
/* A bare word or a string: NULL when neither is next. */
Name parse_title(Parser *parser, Cursor *cursor);
/* [..], splat x or #hash, then perhaps "name". */
const Constant *parse_constant(Parser *parser, Cursor *cursor, Type type);

/* What follows `buffer` or `local`; inputs and outputs join the module's lists. */
bool parse_buffer(Parser *parser, Cursor *cursor, Place place);

/* What follows `stage`: the node goes into the block. */
bool parse_stage(Parser *parser, Cursor *cursor, Block *block, const Sexpr *at);

/* `graph name { .. }` without the word. */
Graph *parse_graph_block(Parser *parser, Name name, const Sexpr *block);

#endif
