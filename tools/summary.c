/* What outputs look like, for people and as JSON: see outputs.h. */
#include "tools/outputs.h"

#include <math.h>
#include <string.h>

enum { FIRST_SHOWN = 8, ROWS_SHOWN = 16, ITEMS_SHOWN = 16, LABELS_MOST = 16 << 20 };

typedef struct Statistics {
    double smallest, largest, mean; /* over numbers that are neither NaN nor infinite */
    int64_t finite, nans, infinities;
} Statistics;

static Statistics statistics_of(const HostTensor *tensor)
{
    Statistics result = {0};
    double sum = 0;
    for (int64_t i = 0; i < tensor->count; i++) {
        const double value = host_element(tensor, i);
        result.nans += isnan(value) != 0;
        result.infinities += isinf(value) != 0;
        if (!isfinite(value))
            continue;
        result.smallest = result.finite && result.smallest <= value ? result.smallest : value;
        result.largest = result.finite && result.largest >= value ? result.largest : value;
        sum += value;
        result.finite++;
    }
    result.mean = result.finite ? sum / (double)result.finite : 0;
    return result;
}

static bool is_text(const HostTensor *tensor)
{
    return host_dtype(tensor->dtype)->class == HOST_CLASS_STRING;
}

/* Integers print whole, floats with as many digits as tell neighbours of their type apart at a glance. */
static void element_print(FILE *file, const HostTensor *tensor, int64_t position, Arena *arena)
{
    if (is_text(tensor))
        fprintf(file, "\"%s\"", diag_quote(arena, ((const char *const *)tensor->data)[position], 40));
    else
        fprintf(file, "%.*g", host_dtype(tensor->dtype)->class == HOST_CLASS_FLOAT ? 6 : 17,
                host_element(tensor, position));
}

static void tensor_summary(FILE *file, const HostTensor *tensor, Arena *arena)
{
    if (!is_text(tensor)) {
        const Statistics statistics = statistics_of(tensor);
        if (statistics.finite)
            fprintf(file, "  min %.6g  max %.6g  mean %.6g", statistics.smallest, statistics.largest, statistics.mean);
        if (statistics.nans)
            fprintf(file, "  %lld NaN", (long long)statistics.nans);
        if (statistics.infinities)
            fprintf(file, "  %lld infinite", (long long)statistics.infinities);
    }
    fputs("  [", file);
    for (int64_t i = 0; i < tensor->count && i < FIRST_SHOWN; i++) {
        fputs(i ? ", " : "", file);
        element_print(file, tensor, i, arena);
    }
    fputs(tensor->count > FIRST_SHOWN ? ", ...]\n" : "]\n", file);
}

void output_summary(FILE *file, const HostValue *value, const char *name, Arena *arena)
{
    fprintf(file, "%s: %s", diag_quote(arena, name, 120), host_type_text(arena, value));
    if (value->kind == HOST_TENSOR) {
        tensor_summary(file, &value->tensor, arena);
        return;
    }
    fputc('\n', file);
    for (size_t i = 0; i < value->item_count && i < ITEMS_SHOWN; i++)
        output_summary(file, &value->items[i], arena_format(arena, "%s[%zu]", name, i), arena);
    if (value->item_count > ITEMS_SHOWN)
        fprintf(file, "... and %zu more\n", value->item_count - ITEMS_SHOWN);
}

bool labels_read(Labels *labels, const char *path, Arena *arena, Diagnostics *diagnostics)
{
    Source source;
    if (!source_open(&source, path, LABELS_MOST, arena, diagnostics))
        return false;
    *labels = (Labels){0};
    size_t lines = 1;
    for (size_t i = 0; i < source.size; i++)
        lines += source.bytes[i] == '\n';
    labels->names = NEW_ARRAY(arena, const char *, lines);
    const char *at = (const char *)source.bytes;
    const char *const end = at + source.size;
    while (at < end) {
        const char *const newline = memchr(at, '\n', (size_t)(end - at));
        const char *const stop = newline ? newline : end;
        const char *from = at, *to = stop;
        while (from < to && strchr(" \t\r", *from))
            from++;
        while (to > from && strchr(" \t\r", to[-1]))
            to--;
        char *const name = arena_alloc(arena, (size_t)(to - from) + 1);
        memcpy(name, from, (size_t)(to - from));
        labels->names[labels->count++] = name;
        at = newline ? newline + 1 : end;
    }
    source_close(&source);
    return true;
}

/* The best `top` of a row, best first, by insertion; equal scores keep their order, NaN comes last. */
static int64_t best_of_row(int64_t *best, int64_t top, const HostTensor *tensor, int64_t first, int64_t classes)
{
    int64_t count = 0;
    for (int64_t i = 0; i < classes; i++) {
        const double score = host_element(tensor, first + i);
        int64_t place = count;
        while (place > 0 && !isnan(score) && !(host_element(tensor, first + best[place - 1]) >= score))
            place--;
        if (place == top)
            continue;
        count += count < top;
        memmove(best + place + 1, best + place, (size_t)(count - 1 - place) * sizeof *best);
        best[place] = i;
    }
    return count;
}

void output_classes(FILE *file, const HostTensor *tensor, const Labels *labels, int top, Arena *arena)
{
    if (is_text(tensor) || tensor->rank < 1 || tensor->count == 0 || top < 1)
        return;
    const int64_t classes = tensor->dims[tensor->rank - 1];
    const int64_t rows = tensor->count / classes;
    const int64_t most = top < classes ? top : classes;
    int64_t *const best = NEW_ARRAY(arena, int64_t, (size_t)most);
    for (int64_t row = 0; row < rows && row < ROWS_SHOWN; row++) {
        if (rows > 1)
            fprintf(file, "  row %lld:\n", (long long)row);
        const int64_t count = best_of_row(best, most, tensor, row * classes, classes);
        for (int64_t i = 0; i < count; i++) {
            fprintf(file, "  %3lld. ", (long long)i + 1);
            fprintf(file, "%-12.6g class %lld", host_element(tensor, row * classes + best[i]), (long long)best[i]);
            if ((uint64_t)best[i] < labels->count)
                fprintf(file, "  %s", diag_quote(arena, labels->names[best[i]], 120));
            fputc('\n', file);
        }
    }
    if (rows > ROWS_SHOWN)
        fprintf(file, "  ... and %lld more rows\n", (long long)(rows - ROWS_SHOWN));
}

static void tensor_json(JsonWriter *json, const HostTensor *tensor)
{
    json_key(json, "shape");
    json_array(json);
    for (int i = 0; i < tensor->rank; i++)
        json_integer(json, tensor->dims[i]);
    json_close(json);
    if (!is_text(tensor)) {
        const Statistics statistics = statistics_of(tensor);
        if (statistics.finite) {
            json_field_double(json, "min", statistics.smallest);
            json_field_double(json, "max", statistics.largest);
            json_field_double(json, "mean", statistics.mean);
        }
        json_field_integer(json, "nan", statistics.nans);
        json_field_integer(json, "inf", statistics.infinities);
    }
    json_key(json, "first");
    json_array(json);
    for (int64_t i = 0; i < tensor->count && i < FIRST_SHOWN; i++) {
        if (is_text(tensor))
            json_string(json, ((const char *const *)tensor->data)[i]);
        else
            json_double(json, host_element(tensor, i));
    }
    json_close(json);
}

void output_json(JsonWriter *json, const HostValue *value, const char *name, Arena *arena)
{
    json_object(json);
    json_field_string(json, "name", name);
    json_field_string(json, "type", host_type_text(arena, value));
    if (value->kind == HOST_TENSOR)
        tensor_json(json, &value->tensor);
    json_close(json);
}
