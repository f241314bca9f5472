/* The reader: text into S-expressions. See read.h. */
#include "ir/read.h"

#include <string.h>

typedef struct Reader {
    Arena *arena;
    Diagnostics *diagnostics;
    const char *file;
    const char *text, *end;
    int line, column;
    Sexpr *stack; /* finished items of the lists that are still open, innermost last */
    size_t count, capacity;
} Reader;

/* An open list: its own head stands in `open`, its items from `first` on in the reader's stack. */
typedef struct Open {
    Sexpr head;
    size_t first;
    char closer;
} Open;

static bool error_at(Reader *reader, int line, int column, const char *format, const char *detail)
{
    const Where where = {.file = name_intern(reader->arena, reader->file), .line = line, .column = column};
    return diag_error(reader->diagnostics, EXIT_MALFORMED, &where, format, detail);
}

static void push(Reader *reader, const Sexpr *item)
{
    if (reader->count == reader->capacity) {
        const size_t capacity = reader->capacity ? reader->capacity * 2 : 64;
        Sexpr *const stack = NEW_ARRAY(reader->arena, Sexpr, capacity);
        if (reader->count)
            memcpy(stack, reader->stack, reader->count * sizeof *stack);
        reader->stack = stack;
        reader->capacity = capacity;
    }
    reader->stack[reader->count++] = *item;
}

static void advance(Reader *reader)
{
    if (*reader->text++ == '\n') {
        reader->line++;
        reader->column = 0;
    }
    reader->column++;
}

static void skip_blank(Reader *reader)
{
    bool comment = false;
    for (; reader->text < reader->end; advance(reader)) {
        const char c = *reader->text;
        if (c == ';')
            comment = true;
        if (c == '\n')
            comment = false;
        if (!comment && c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != ',')
            return;
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The character that the escape at `text` (after the backslash) stands for, and its length; length 0 when it is none.
 */
static int escape_length(const char *text, const char *end, char *value)
{
    static const char letters[] = "n\nt\tr\r\"\"''\\\\";
    if (text >= end)
        return 0;
    if (*text == 'x' && end - text >= 3 && hex_digit(text[1]) >= 0 && hex_digit(text[2]) >= 0) {
        *value = (char)(hex_digit(text[1]) * 16 + hex_digit(text[2]));
        return 3;
    }
    for (const char *pair = letters; *pair; pair += 2)
        if (*pair == *text) {
            *value = pair[1];
            return 1;
        }
    return 0;
}

static bool read_string(Reader *reader, Sexpr *out)
{
    advance(reader);
    const char *close = reader->text;
    while (close < reader->end && *close != '"' && *close != '\n')
        close += *close == '\\' && close + 1 < reader->end ? 2 : 1;
    if (close >= reader->end || *close != '"')
        return error_at(reader, out->line, out->column, "this string has no end on its line%s", "");
    char *const bytes = arena_alloc(reader->arena, (size_t)(close - reader->text) + 1);
    out->kind = SEXPR_STRING;
    out->text = bytes;
    while (reader->text < close) {
        char c = *reader->text;
        if (c == '\\') {
            const int length = escape_length(reader->text + 1, close, &c);
            if (!length)
                return error_at(reader, reader->line, reader->column,
                                "this is no escape: \\\\ \\\" \\' \\n \\t \\r \\xHH are%s", "");
            for (int i = 0; i < length; i++)
                advance(reader);
        }
        bytes[out->count++] = c;
        advance(reader);
    }
    advance(reader);
    return true;
}

static bool ends_atom(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',' || c == ';' || c == '(' || c == ')' ||
           c == '[' || c == ']' || c == '{' || c == '}' || c == '"';
}

/* An atom may hold quoted parts, 'seq len', in which everything but a line's end stands for itself. */
static bool read_atom(Reader *reader, Sexpr *out)
{
    const char *const start = reader->text;
    bool quoted = false;
    while (reader->text < reader->end && (quoted ? *reader->text != '\n' : !ends_atom(*reader->text))) {
        const unsigned char c = (unsigned char)*reader->text;
        if (c < 0x20 || c == 0x7f)
            return error_at(reader, reader->line, reader->column, "a control character stands here%s", "");
        if (quoted && c == '\\' && reader->text + 1 < reader->end && reader->text[1] != '\n')
            advance(reader);
        else if (c == '\'')
            quoted = !quoted;
        advance(reader);
    }
    if (quoted)
        return error_at(reader, out->line, out->column, "this name has no closing '%s", "");
    out->kind = SEXPR_ATOM;
    out->count = (int)(reader->text - start);
    char *const text = arena_alloc(reader->arena, (size_t)out->count + 1);
    memcpy(text, start, (size_t)out->count);
    out->text = text;
    return true;
}

static bool read_open(Reader *reader, Open *open, const Sexpr *here)
{
    static const char openers[] = "([{", closers[] = ")]}";
    static const SexprKind kinds[] = {SEXPR_LIST, SEXPR_VECTOR, SEXPR_BLOCK};
    const int which = (int)(strchr(openers, *reader->text) - openers);
    *open = (Open){*here, reader->count, closers[which]};
    open->head.kind = kinds[which];
    advance(reader);
    return true;
}

static void close_list(Reader *reader, const Open *open)
{
    Sexpr list = open->head;
    list.count = (int)(reader->count - open->first);
    list.items = arena_copy(reader->arena, reader->stack + open->first, (size_t)list.count * sizeof *list.items);
    reader->count = open->first;
    push(reader, &list);
}

/* Reads items until the text ends. */
static bool read_items(Reader *reader)
{
    int depth = 0, blocks = 0, capacity = 64;
    Open *opens = NEW_ARRAY(reader->arena, Open, (size_t)capacity);
    for (;;) {
        skip_blank(reader);
        const Sexpr here = {.line = reader->line, .column = reader->column};
        if (reader->text == reader->end)
            return depth == 0 ||
                   error_at(reader, opens[depth - 1].head.line, opens[depth - 1].head.column, "'%s' is never closed",
                            opens[depth - 1].closer == ')'   ? "("
                            : opens[depth - 1].closer == ']' ? "["
                                                             : "{");
        const char c = *reader->text;
        if (c == '(' || c == '[' || c == '{') {
            blocks += c == '{';
            if (blocks > BLOCK_DEPTH_MAX)
                return error_at(reader, here.line, here.column, "blocks are nested more than 64 deep%s", "");
            if (depth >= PAREN_DEPTH_MAX)
                return error_at(reader, here.line, here.column, "brackets are nested more than 10000 deep%s", "");
            if (depth == capacity) {
                Open *const grown = NEW_ARRAY(reader->arena, Open, (size_t)capacity * 2);
                memcpy(grown, opens, (size_t)capacity * sizeof *opens);
                opens = grown;
                capacity *= 2;
            }
            read_open(reader, &opens[depth++], &here);
            continue;
        }
        if (c == ')' || c == ']' || c == '}') {
            if (depth == 0 || opens[depth - 1].closer != c)
                return error_at(reader, here.line, here.column, "'%s' closes nothing here",
                                c == ')'   ? ")"
                                : c == ']' ? "]"
                                           : "}");
            blocks -= c == '}';
            advance(reader);
            close_list(reader, &opens[--depth]);
            continue;
        }
        Sexpr item = here;
        if (!(c == '"' ? read_string(reader, &item) : read_atom(reader, &item)))
            return false;
        push(reader, &item);
    }
}

const Sexpr *sexpr_read_all(Arena *arena, Diagnostics *diagnostics, const char *file, const char *text, size_t length)
{
    Reader reader = {.arena = arena,
                     .diagnostics = diagnostics,
                     .file = file ? file : "text",
                     .text = text,
                     .end = text + length,
                     .line = 1,
                     .column = 1};
    if (length > INT32_MAX) {
        error_at(&reader, 1, 1, "the text is longer than 2 GiB%s", "");
        return NULL;
    }
    if (!read_items(&reader))
        return NULL;
    const Open all = {.head = {.kind = SEXPR_BLOCK, .line = 1, .column = 1}};
    close_list(&reader, &all);
    return arena_copy(arena, reader.stack, sizeof *reader.stack);
}

const Sexpr *sexpr_read(Arena *arena, Diagnostics *diagnostics, const char *file, const char *text)
{
    const Sexpr *const all = sexpr_read_all(arena, diagnostics, file, text, strlen(text));
    if (!all)
        return NULL;
    if (all->count == 1)
        return &all->items[0];
    const Sexpr *const place = all->count ? &all->items[1] : all;
    const Where where = {
        .file = name_intern(arena, file ? file : "text"), .line = place->line, .column = place->column};
    diag_error(diagnostics, EXIT_MALFORMED, &where, "one expression is expected here, not %d", all->count);
    return NULL;
}

bool sexpr_is(const Sexpr *expression, const char *atom)
{
    return expression->kind == SEXPR_ATOM && strcmp(expression->text, atom) == 0;
}
