/* Diagnostics: see diag.h. */
#include "ir/diag.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_LIMIT = 200, LINE_LIMIT = 4000 };

static _Thread_local const char *current_pass, *current_node;

Diagnostics *diagnostics_open(Arena *arena)
{
    Diagnostics *const diagnostics = NEW(arena, Diagnostics);
    diagnostics->arena = arena;
    return diagnostics;
}

/* Length of the valid UTF-8 sequence at `text`, 0 when there is none (or a control character stands there). */
static int utf8_length(const unsigned char *text)
{
    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7f;
    const int length = text[0] >= 0xf0 && text[0] < 0xf5 ? 4 : text[0] >= 0xe0 ? 3 : text[0] >= 0xc2 ? 2 : 0;
    if (text[0] >= 0xf5)
        return 0;
    for (int i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

const char *diag_quote(Arena *arena, const char *text, size_t limit)
{
    if (!text)
        return "";
    const size_t length = strnlen(text, limit + 1);
    char *const out = arena_alloc(arena, (length < limit ? length : limit) * 4 + 8);
    size_t used = 0;
    for (size_t i = 0; text[i];) {
        if (i >= limit) {
            used += (size_t)sprintf(out + used, "...");
            break;
        }
        const int bytes = utf8_length((const unsigned char *)text + i);
        if (bytes) {
            memcpy(out + used, text + i, (size_t)bytes);
            used += (size_t)bytes;
            i += (size_t)bytes;
        } else {
            used += (size_t)sprintf(out + used, "\\x%02x", (unsigned char)text[i]);
            i++;
        }
        if (i > limit)
            break;
    }
    out[used] = 0;
    return out;
}

static void append(Diagnostics *diagnostics, Severity severity, int code, const char *text)
{
    Diagnostic *const diagnostic = NEW(diagnostics->arena, Diagnostic);
    *diagnostic = (Diagnostic){severity, code, text, NULL};
    if (diagnostics->last)
        diagnostics->last->next = diagnostic;
    else
        diagnostics->first = diagnostic;
    diagnostics->last = diagnostic;
}

/* "model.onnx: node "Conv_12" (Conv, opset 11): " or "file.ir:3:7: ", with the fields that are known. */
static const char *where_text(Arena *arena, const Where *where)
{
    if (!where)
        return "";
    const char *text = where->file ? arena_format(arena, "%s", diag_quote(arena, where->file, LINE_LIMIT)) : "";
    if (where->line)
        text = arena_format(arena, "%s:%d:%d", text, where->line, where->column);
    if (*text)
        text = arena_format(arena, "%s: ", text);
    if (!where->node && !where->op)
        return text;
    text = arena_format(arena, "%snode \"%s\"", text, diag_quote(arena, where->node, NAME_LIMIT));
    if (where->op && where->opset)
        text = arena_format(arena, "%s (%s, opset %d)", text, diag_quote(arena, where->op, NAME_LIMIT), where->opset);
    else if (where->op)
        text = arena_format(arena, "%s (%s)", text, diag_quote(arena, where->op, NAME_LIMIT));
    return arena_format(arena, "%s: ", text);
}

static void record(Diagnostics *diagnostics, Severity severity, int code, const Where *where, const char *format,
                   va_list arguments)
{
    static const char *const label[] = {"error: ", "warning: ", "note: ", "hint: "};
    Arena *const arena = diagnostics->arena;
    const char *const body = diag_quote(arena, arena_vformat(arena, format, arguments), LINE_LIMIT);
    append(diagnostics, severity, code, arena_format(arena, "%s%s%s", where_text(arena, where), label[severity], body));
}

bool diag_error(Diagnostics *diagnostics, int code, const Where *where, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    record(diagnostics, SEVERITY_ERROR, code, where, format, arguments);
    va_end(arguments);
    if (diagnostics->error_count++ == 0)
        diagnostics->code = code;
    return false;
}

void diag_warning(Diagnostics *diagnostics, const Where *where, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    record(diagnostics, SEVERITY_WARNING, 0, where, format, arguments);
    va_end(arguments);
}

void diag_note(Diagnostics *diagnostics, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    record(diagnostics, SEVERITY_NOTE, 0, NULL, format, arguments);
    va_end(arguments);
}

void diag_hint(Diagnostics *diagnostics, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    record(diagnostics, SEVERITY_HINT, 0, NULL, format, arguments);
    va_end(arguments);
}

void diag_keep_first(Diagnostics *diagnostics, int errors)
{
    int met = 0;
    for (Diagnostic *diagnostic = diagnostics->first; diagnostic; diagnostic = diagnostic->next) {
        met += diagnostic->severity == SEVERITY_ERROR;
        if (met <= errors || (diagnostic->next && diagnostic->next->severity >= SEVERITY_NOTE))
            continue;
        diagnostic->next = NULL;
        diagnostics->last = diagnostic;
        diagnostics->error_count = met;
    }
}

void diag_print(const Diagnostics *diagnostics, FILE *file, bool color)
{
    static const char *const paint[] = {"\033[1;31m", "\033[1;35m", "\033[1;36m", "\033[1;32m"};
    for (const Diagnostic *diagnostic = diagnostics->first; diagnostic; diagnostic = diagnostic->next) {
        const char *const indent = diagnostic->severity >= SEVERITY_NOTE ? "  " : "";
        if (color)
            fprintf(file, "%s%s%s\033[0m\n", indent, paint[diagnostic->severity], diagnostic->text);
        else
            fprintf(file, "%s%s\n", indent, diagnostic->text);
    }
}

void breadcrumb(const char *pass, const char *node)
{
    current_pass = pass;
    current_node = node;
}

void breadcrumb_read(const char **pass, const char **node)
{
    *pass = current_pass;
    *node = current_node;
}

void bug_at(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "lathe: internal error: ");
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    if (current_pass)
        fprintf(stderr, " while running \"%s\"", current_pass);
    if (current_node)
        fprintf(stderr, " on node \"%s\"", current_node);
    const char *const base = strrchr(file, '/');
    fprintf(stderr, " (%s:%d); please report this\n", base ? base + 1 : file, line);
    exit(EXIT_INTERNAL);
}
