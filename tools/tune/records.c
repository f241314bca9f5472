/* Reading tuning records: see records.h. jansson's names and those of tools/json.h do not go together, so what writes
 * them is elsewhere. */
#include "tools/tune/records.h"

#include "tools/file.h"

#include <jansson.h>
#include <string.h>

enum { FILE_MOST = 64 << 20, NAME_MOST = 40, LINES_MOST = 1 << 20, THREADS_MOST = 1 << 16, SPACE_MOST = 1 << 20 };

typedef struct Reader {
    Source *source;
    Arena *arena;
    Tuning *tuning;
    int capacity, line;
    TuningRecord section; /* what the header says */
    bool headed;
} Reader;

static bool wrong(const Reader *reader, const char *what)
{
    Where where = reader->source->where;
    where.line = reader->line;
    where.column = 1;
    return diag_error(reader->source->diagnostics, EXIT_MALFORMED, &where, "%s", what);
}

/* ---- values ---- */

static bool is_name(const char *text)
{
    const size_t length = strlen(text);
    return length > 0 && length <= NAME_MOST &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == length;
}

static bool values_of(json_t *object, Arena *arena, TrialValue *values, int *count)
{
    const char *name;
    json_t *value;
    *count = 0;
    if (!json_is_object(object) || json_object_size(object) > DECISIONS_MAX)
        return false;
    json_object_foreach(object, name, value)
    {
        if (!is_name(name) || !(json_is_integer(value) || (json_is_string(value) && is_name(json_string_value(value)))))
            return false;
        values[(*count)++] = (TrialValue){
            .name = arena_format(arena, "%s", name),
            .choice = json_is_string(value) ? arena_format(arena, "%s", json_string_value(value)) : NULL,
            .number = json_integer_value(value),
        };
    }
    return true;
}

bool values_parse(const char *text, size_t length, Arena *arena, TrialValue *values, int *count)
{
    json_t *const object = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const bool good = object && values_of(object, arena, values, count);
    json_decref(object);
    return good;
}

const char *values_text(Arena *arena, const TrialValue *values, int count)
{
    const char *text = "{";
    for (int i = 0; i < count; i++)
        text = values[i].choice
                   ? arena_format(arena, "%s%s\"%s\":\"%s\"", text, i ? "," : "", values[i].name, values[i].choice)
                   : arena_format(arena, "%s%s\"%s\":%lld", text, i ? "," : "", values[i].name,
                                  (long long)values[i].number);
    return arena_format(arena, "%s}", text);
}

/* ---- lines ---- */

/* A string of printable ASCII in the arena; NULL: there is none. */
static const char *text_of(const Reader *reader, json_t *object, const char *key)
{
    enum { TEXT_MOST = 4096 };
    const char *const text = json_string_value(json_object_get(object, key));
    if (!text || strlen(text) > TEXT_MOST)
        return NULL;
    for (const char *c = text; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            return NULL;
    return arena_format(reader->arena, "%s", text);
}

static bool number_of(json_t *object, const char *key, int64_t least, int64_t most, int *number)
{
    json_t *const value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most)
        return false;
    *number = (int)json_integer_value(value);
    return true;
}

static bool read_header(Reader *reader, json_t *object, const char *schema)
{
    TuningRecord *const section = &reader->section;
    if (strcmp(schema, RECORDS_SCHEMA) != 0)
        return wrong(reader, arena_format(reader->arena, "has the schema \"%s\"; this version reads %s",
                                          diag_quote(reader->arena, schema, 40), RECORDS_SCHEMA));
    section->target = text_of(reader, object, "target");
    section->features = text_of(reader, object, "features");
    if (!section->target || !section->features || !number_of(object, "threads", 1, THREADS_MOST, &section->threads))
        return wrong(reader, "a header needs \"target\", \"features\" and \"threads\" (1 or more)");
    return reader->headed = true;
}

static bool read_kernel(Reader *reader, json_t *object)
{
    TrialValue values[DECISIONS_MAX];
    TuningRecord record = reader->section;
    if (!reader->headed)
        return wrong(reader, "a header with \"schema\":\"" RECORDS_SCHEMA "\" must stand before the first kernel");
    record.key = text_of(reader, object, "kernel");
    record.template = text_of(reader, object, "template");
    if (!record.key || strlen(record.key) != 32 || strspn(record.key, "0123456789abcdef") != 32)
        return wrong(reader, "\"kernel\" must be 32 hexadecimal digits");
    if (!record.template || !is_name(record.template) || !number_of(object, "space", 1, SPACE_MOST, &record.space))
        return wrong(reader, "a kernel needs \"template\" and \"space\" (1 or more)");
    if (!values_of(json_object_get(object, "values"), reader->arena, values, &record.value_count))
        return wrong(reader, "\"values\" must be an object of integers and names");
    if (record.value_count == DECISIONS_MAX)
        return wrong(reader, "\"values\" holds more than any template asks for");
    record.values = arena_copy(reader->arena, values, (size_t)record.value_count * sizeof *values);
    Tuning *const tuning = reader->tuning;
    if (tuning->count == reader->capacity) {
        reader->capacity = reader->capacity * 2 + 64;
        TuningRecord *const records = NEW_ARRAY(reader->arena, TuningRecord, (size_t)reader->capacity);
        if (tuning->count)
            memcpy(records, tuning->records, (size_t)tuning->count * sizeof *records);
        tuning->records = records;
    }
    tuning->records[tuning->count++] = record;
    return true;
}

static bool read_line(Reader *reader, const char *text, size_t length)
{
    json_error_t error;
    json_t *const object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        return wrong(reader, arena_format(reader->arena, "is no JSON: %s",
                                          diag_quote(reader->arena, error.text, sizeof error.text)));
    const char *const schema = json_string_value(json_object_get(object, "schema"));
    const bool good = !json_is_object(object) ? wrong(reader, "must be a JSON object")
                      : schema                ? read_header(reader, object, schema)
                                              : read_kernel(reader, object);
    json_decref(object);
    return good;
}

bool records_read(Tuning *tuning, const char *path, Arena *arena, Diagnostics *diagnostics)
{
    Source source;
    *tuning = (Tuning){0};
    if (!source_open(&source, path, FILE_MOST, arena, diagnostics))
        return false;
    Reader reader = {.source = &source, .arena = arena, .tuning = tuning};
    const char *at = (const char *)source.bytes, *const end = at + source.size;
    bool good = true;
    while (good && at < end) {
        const char *const newline = memchr(at, '\n', (size_t)(end - at));
        const size_t length = newline ? (size_t)(newline - at) : (size_t)(end - at);
        reader.line++;
        size_t blank = 0;
        while (blank < length && (at[blank] == ' ' || at[blank] == '\t' || at[blank] == '\r'))
            blank++;
        if (blank < length)
            good = read_line(&reader, at, length);
        at += length + 1;
    }
    if (good && !reader.headed)
        good = source_error(&source, "holds no tuning records");
    source_close(&source);
    return good;
}
