/* Arguments: see arguments.h. */
#include "tools/arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A decimal number in front of `*text`, which moves behind it. */
static bool take_number(const char **text, int64_t *value)
{
    if (**text < '0' || **text > '9')
        return false;
    char *end = NULL;
    errno = 0;
    *value = strtoll(*text, &end, 10);
    *text = end;
    return errno == 0;
}

static bool take(const char **text, const char *token)
{
    const size_t length = strlen(token);
    if (strncmp(*text, token, length) != 0)
        return false;
    *text += length;
    return true;
}

bool shape_argument_parse(ShapeArgument *shape, const char *text, Arena *arena, Diagnostics *diagnostics)
{
    *shape = (ShapeArgument){0};
    const char *const equals = strrchr(text, '='); /* names may hold '=', shapes never do */
    if (equals)
        shape->input = name_intern_bytes(arena, text, (size_t)(equals - text));
    const char *rest = equals ? equals + 1 : text;
    if (equals && !*rest)
        return true;
    do {
        if (shape->rank == SHAPE_RANK_MOST)
            return diag_error(diagnostics, EXIT_USAGE, NULL, "--shape '%s' has more than %d dimensions",
                              diag_quote(arena, text, 80), SHAPE_RANK_MOST);
        int64_t *const dim = &shape->dims[shape->rank++];
        *dim = -1;
        if (!take(&rest, "?") && !take_number(&rest, dim))
            return diag_error(diagnostics, EXIT_USAGE, NULL, "--shape '%s' is not of the form IN=1x3x224x224",
                              diag_quote(arena, text, 80));
    } while (take(&rest, "x") || take(&rest, ","));
    return !*rest || diag_error(diagnostics, EXIT_USAGE, NULL, "--shape '%s' does not end after dimension %d",
                                diag_quote(arena, text, 80), shape->rank);
}

bool dim_argument_parse(DimArgument *dim, const char *text, Arena *arena, Diagnostics *diagnostics)
{
    *dim = (DimArgument){0};
    const char *const quoted = diag_quote(arena, text, 80);
    const char *const equals = strrchr(text, '=');
    const char *rest = equals ? equals + 1 : text;
    if (!equals || equals == text || !take_number(&rest, &dim->minimum))
        return diag_error(diagnostics, EXIT_USAGE, NULL, "--dim '%s' is not of the form NAME=8 or NAME=1..32@8",
                          quoted);
    dim->symbol = name_intern_bytes(arena, text, (size_t)(equals - text));
    dim->maximum = dim->minimum;
    if (take(&rest, "..") && !take_number(&rest, &dim->maximum))
        return diag_error(diagnostics, EXIT_USAGE, NULL, "--dim '%s' has no number behind '..'", quoted);
    dim->best = dim->maximum;
    if (take(&rest, "@") && !take_number(&rest, &dim->best))
        return diag_error(diagnostics, EXIT_USAGE, NULL, "--dim '%s' has no number behind '@'", quoted);
    if (*rest)
        return diag_error(diagnostics, EXIT_USAGE, NULL, "--dim '%s' goes on behind its range", quoted);
    if (dim->minimum > dim->maximum || dim->best < dim->minimum || dim->best > dim->maximum)
        return diag_error(diagnostics, EXIT_USAGE, NULL, "--dim '%s': %lld does not lie in the range from %lld to %lld",
                          quoted, (long long)dim->best, (long long)dim->minimum, (long long)dim->maximum);
    return true;
}
