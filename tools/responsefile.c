/* Response files: an argument @FILE stands for the arguments that FILE lists.
 *
 * White space separates; '...' and "..." hold it together; a backslash takes the next character as it is (not within
 * '...'). Files may name further files, eight deep; there are at most FILES_MOST of them and ARGUMENTS_MOST arguments
 * in all. After "--" and for the program's own name nothing is expanded. */
#include "tools/file.h"
#include "tools/options.h"

#include <string.h>

enum { DEPTH_MOST = 8, FILES_MOST = 256, ARGUMENTS_MOST = 65536, FILE_MOST = 1 << 20 };

typedef struct Expansion {
    char **arguments;
    size_t count, capacity;
    int files;
    bool plain; /* "--" was seen */
    Arena *arena;
    Diagnostics *diagnostics;
} Expansion;

static bool expand(Expansion *expansion, char *argument, int depth);

static bool append(Expansion *expansion, char *argument)
{
    if (expansion->count == ARGUMENTS_MOST)
        return diag_error(expansion->diagnostics, EXIT_USAGE, NULL, "more than %d arguments", ARGUMENTS_MOST);
    if (expansion->count + 1 >= expansion->capacity) { /* one place stays free for the closing NULL */
        const size_t capacity = expansion->capacity * 2 + 16;
        char **larger = NEW_ARRAY(expansion->arena, char *, capacity);
        if (expansion->count)
            memcpy(larger, expansion->arguments, expansion->count * sizeof *larger);
        expansion->arguments = larger;
        expansion->capacity = capacity;
    }
    expansion->arguments[expansion->count++] = argument;
    return true;
}

/* Cuts the next argument out of `*text` in place; NULL at the end. `*open` is the quote that was never closed, or 0. */
static char *next_argument(char **text, char *open)
{
    char *from = *text + strspn(*text, " \t\r\n\f\v");
    *open = 0;
    if (!*from)
        return NULL;
    char *const start = from;
    char *to = from;
    while (*from && (*open || !strchr(" \t\r\n\f\v", *from))) {
        if (*open ? *from == *open : *from == '\'' || *from == '"')
            *open = *open ? 0 : *from;
        else if (*from == '\\' && *open != '\'' && from[1])
            *to++ = *++from;
        else
            *to++ = *from;
        from++;
    }
    *text = *from ? from + 1 : from;
    *to = '\0';
    return start;
}

static bool expand_file(Expansion *expansion, const char *path, int depth)
{
    Source source;
    if (!source_open(&source, path, FILE_MOST, expansion->arena, expansion->diagnostics))
        return false;
    char *text = arena_alloc(expansion->arena, source.size + 1);
    memcpy(text, source.bytes, source.size);
    const bool binary = strlen(text) != source.size;
    source_close(&source);
    if (binary)
        return source_error(&source, "is not text, so it cannot hold arguments");
    char open = 0;
    for (char *argument; (argument = next_argument(&text, &open));) {
        if (open)
            return source_error(&source, "a quote %c is never closed", open);
        if (!expand(expansion, argument, depth))
            return false;
    }
    return true;
}

static bool expand(Expansion *expansion, char *argument, int depth)
{
    if (strcmp(argument, "--") == 0)
        expansion->plain = true;
    if (expansion->plain || argument[0] != '@' || !argument[1])
        return append(expansion, argument);
    if (depth == DEPTH_MOST)
        return diag_error(expansion->diagnostics, EXIT_USAGE, NULL, "response files nested deeper than %d: '%s'",
                          DEPTH_MOST, diag_quote(expansion->arena, argument, 80));
    if (expansion->files++ == FILES_MOST)
        return diag_error(expansion->diagnostics, EXIT_USAGE, NULL, "more than %d response files", FILES_MOST);
    return expand_file(expansion, argument + 1, depth + 1);
}

bool response_files_expand(int *argc, char ***argv, Arena *arena, Diagnostics *diagnostics)
{
    Expansion expansion = {.arena = arena, .diagnostics = diagnostics};
    for (int i = 0; i < *argc; i++)
        if (!(i == 0 ? append(&expansion, (*argv)[i]) : expand(&expansion, (*argv)[i], 0)))
            return false;
    if (!expansion.count && !append(&expansion, arena_format(arena, "lathe")))
        return false;
    expansion.arguments[expansion.count] = NULL;
    *argc = (int)expansion.count;
    *argv = expansion.arguments;
    return true;
}
