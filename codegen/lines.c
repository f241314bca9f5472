/* See lines.h. The text has one line "    kernel NAME (..." per kernel; names are unique in a module. */
#include "codegen/lines.h"

#include <stdlib.h>
#include <string.h>

typedef struct KernelLine {
    const char *name; /* in the text, `length` bytes */
    size_t length;
    int line;
} KernelLine;

struct KernelLines {
    KernelLine *lines; /* sorted by name */
    int count;
};

static int by_name(const void *a, const void *b)
{
    const KernelLine *const left = a, *const right = b;
    const size_t shorter = left->length < right->length ? left->length : right->length;
    const int order = memcmp(left->name, right->name, shorter);
    return order ? order : (left->length > right->length) - (left->length < right->length);
}

KernelLines *kernel_lines(Arena *arena, const char *text)
{
    static const char word[] = "kernel ";
    KernelLines *const lines = NEW(arena, KernelLines);
    int capacity = 0, number = 1;
    for (const char *at = text; *at; number++) {
        const char *start = at;
        while (*start == ' ')
            start++;
        if (strncmp(start, word, sizeof word - 1) == 0) {
            if (lines->count == capacity) {
                capacity = capacity ? capacity * 2 : 64;
                KernelLine *const grown = NEW_ARRAY(arena, KernelLine, (size_t)capacity);
                if (lines->count)
                    memcpy(grown, lines->lines, (size_t)lines->count * sizeof *grown);
                lines->lines = grown;
            }
            const char *const name = start + sizeof word - 1;
            lines->lines[lines->count++] = (KernelLine){name, strcspn(name, " \n"), number};
        }
        const char *const end = strchr(at, '\n');
        if (!end)
            break;
        at = end + 1;
    }
    qsort(lines->lines, (size_t)lines->count, sizeof *lines->lines, by_name);
    return lines;
}

int kernel_line_of(void *context, const Node *node)
{
    const KernelLines *const lines = context;
    if (node->op != OP_kernel)
        return 0;
    const KernelLine key = {node->payload.kernel->name, strlen(node->payload.kernel->name), 0};
    const KernelLine *const found =
        lines->count ? bsearch(&key, lines->lines, (size_t)lines->count, sizeof key, by_name) : NULL;
    return found ? found->line : 0;
}
