/* Values of options: getters over `Options`, the forms that values are written in, and suggestions for typing errors.
 */
#include "tools/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool option_given(const Options *options, OptionId id)
{
    return options->values[id].count > 0;
}

int option_count(const Options *options, OptionId id)
{
    return options->values[id].count;
}

const char *option_text(const Options *options, OptionId id)
{
    const OptionValues *values = &options->values[id];
    return values->count ? values->texts[values->count - 1] : option_rows[id].initial;
}

const char *option_at(const Options *options, OptionId id, int index)
{
    return options->values[id].texts[index];
}

int64_t option_integer(const Options *options, OptionId id)
{
    int64_t value = 0;
    const char *text = option_text(options, id);
    if (text)
        (void)(option_rows[id].kind == KIND_SIZE ? text_to_size(text, &value) : text_to_integer(text, &value));
    return value;
}

double option_number(const Options *options, OptionId id)
{
    double value = 0;
    const char *text = option_text(options, id);
    if (text)
        (void)(option_rows[id].kind == KIND_PERCENT ? text_to_percent(text, &value) : text_to_duration(text, &value));
    return value;
}

bool option_is(const Options *options, OptionId id, const char *choice)
{
    const char *text = option_text(options, id);
    return text && strcmp(text, choice) == 0;
}

int option_list(const Options *options, OptionId id, const char *const **elements)
{
    const OptionValues *values = &options->values[id];
    const char *const initial[] = {option_rows[id].initial};
    const char *const *texts = values->count ? values->texts : initial;
    const int text_count = values->count ? values->count : initial[0] != NULL;
    size_t commas = 0;
    for (int i = 0; i < text_count; i++)
        for (const char *c = texts[i]; c && *c; c++)
            commas += *c == ',';
    const char **list = NEW_ARRAY(options->arena, const char *, commas + (size_t)text_count + 1);
    int count = 0;
    for (int i = 0; i < text_count; i++) {
        char *rest =
            texts[i] ? arena_format(options->arena, "%s", texts[i]) : NULL; /* NULL: a flag, it has no elements */
        for (char *element; (element = strsep(&rest, ","));)
            list[count++] = element;
    }
    *elements = list;
    return count;
}

bool option_list_has(const Options *options, OptionId id, const char *element)
{
    const char *const *elements = NULL;
    const int count = option_list(options, id, &elements);
    for (int i = 0; i < count; i++)
        if (strcmp(elements[i], element) == 0)
            return true;
    return false;
}

bool option_numbers(const Options *options, OptionId id, double *numbers, int count)
{
    const char *const *elements = NULL;
    const int given = option_list(options, id, &elements);
    const char *const name = option_rows[id].name;
    if (given != 1 && given != count)
        return diag_error(options->diagnostics, EXIT_USAGE, NULL, "--%s takes 1 or %d numbers, but has %d", name, count,
                          given);
    for (int i = 0; i < count; i++) {
        const char *text = elements[given == 1 ? 0 : i];
        if (!text_to_number(text, &numbers[i]))
            return diag_error(options->diagnostics, EXIT_USAGE, NULL, "--%s needs numbers, not '%s'", name,
                              diag_quote(options->arena, text, 80));
    }
    return true;
}

bool text_to_integer(const char *text, int64_t *value)
{
    const char *const digits = *text == '-' ? text + 1 : text;
    if (!*digits || strspn(digits, "0123456789") != strlen(digits))
        return false;
    errno = 0;
    *value = strtoll(text, NULL, 10);
    return errno == 0;
}

/* A decimal number in front of `text`; `*end` is what follows it. Neither spaces nor hexadecimal nor "inf". */
static bool leading_number(const char *text, double *value, const char **end)
{
    const char *const digits = text + (*text == '-' || *text == '+');
    const size_t length = strspn(digits, "0123456789.");
    if (length == 0 || strspn(digits, ".") == length || (digits[0] == '0' && (digits[1] | 0x20) == 'x'))
        return false;
    char *stop = NULL;
    *value = strtod(text, &stop);
    *end = stop;
    return isfinite(*value);
}

bool text_to_number(const char *text, double *value)
{
    const char *end = NULL;
    return leading_number(text, value, &end) && !*end;
}

typedef struct Unit {
    const char *name;
    double factor;
} Unit;

static bool text_with_unit(const char *text, const Unit *units, int count, double *value)
{
    const char *end = NULL;
    if (*text == '-' || *text == '+' || !leading_number(text, value, &end))
        return false;
    for (int i = 0; i < count; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        *value *= units[i].factor;
        return true;
    }
    return false;
}

bool text_to_size(const char *text, int64_t *bytes)
{
    static const Unit units[] = {
        {"", 1},
        {"k", 1024},
        {"K", 1024},
        {"M", 1048576},
        {"G", 1073741824},
        {"T", 1099511627776},
        {"KiB", 1024},
        {"MiB", 1048576},
        {"GiB", 1073741824},
        {"TiB", 1099511627776},
        {"B", 1},
    };
    double value = 0;
    if (!text_with_unit(text, units, sizeof units / sizeof *units, &value) || value >= 9007199254740992.0)
        return false;
    *bytes = (int64_t)value;
    return true;
}

bool text_to_duration(const char *text, double *seconds)
{
    static const Unit units[] = {{"", 1},  {"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3},
                                 {"s", 1}, {"m", 60},    {"h", 3600},  {"d", 86400}};
    return text_with_unit(text, units, sizeof units / sizeof *units, seconds);
}

bool text_to_percent(const char *text, double *fraction)
{
    const char *end = NULL;
    if (!leading_number(text, fraction, &end) || strcmp(end, "%") != 0)
        return false;
    *fraction /= 100;
    return true;
}

/* Letters to insert, delete, replace or swap with their neighbour; names longer than the table count as far away. */
static int edit_distance(const char *left, const char *right)
{
    enum { LONGEST = 40 };
    const size_t left_length = strlen(left);
    const size_t right_length = strlen(right);
    if (left_length > LONGEST || right_length > LONGEST)
        return LONGEST;
    int rows[3][LONGEST + 1]; /* the row being filled and the two before it, by i % 3 */
    for (size_t j = 0; j <= right_length; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= left_length; i++) {
        int *const row = rows[i % 3];
        const int *const last = rows[(i + 2) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= right_length; j++) {
            int best = last[j - 1] + (left[i - 1] != right[j - 1]);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
                best = rows[(i + 1) % 3][j - 2] + 1 < best ? rows[(i + 1) % 3][j - 2] + 1 : best;
            row[j] = best;
        }
    }
    return rows[left_length % 3][right_length];
}

const char *nearest_name(const char *text, const char *const *candidates, int count)
{
    const int length = (int)strnlen(text, 100);
    int limit = length <= 3 ? 1 : length <= 6 ? 2 : length / 3;
    const char *nearest = NULL;
    for (int i = 0; i < count; i++) {
        const bool abbreviated = length > 1 && strncmp(text, candidates[i], (size_t)length) == 0;
        const int distance = abbreviated ? 1 : edit_distance(text, candidates[i]);
        if (distance > limit || (nearest && distance == limit))
            continue;
        nearest = candidates[i];
        limit = distance;
    }
    return nearest;
}
