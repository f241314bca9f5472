/* JSON writer: see json.h. */
#include "tools/json.h"

#include "ir/diag.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

JsonWriter json_writer(FILE *file, bool lines)
{
    return (JsonWriter){.file = file, .lines = lines};
}

static void indent(const JsonWriter *json)
{
    if (json->lines)
        return;
    fputc('\n', json->file);
    for (int i = 0; i < json->depth; i++)
        fputs("  ", json->file);
}

/* What has to stand between the value before and the one that comes now. */
static void separate(JsonWriter *json)
{
    if (json->keyed) {
        json->keyed = false;
        return;
    }
    if (json->depth == 0)
        return;
    if (json->written[json->depth]++)
        fputc(',', json->file);
    indent(json);
}

static void end_value(JsonWriter *json)
{
    if (json->depth == 0)
        fputc('\n', json->file);
}

static void open_level(JsonWriter *json, char open, char close)
{
    if (json->depth == JSON_DEPTH)
        BUG("JSON nested deeper than %d", JSON_DEPTH);
    separate(json);
    fputc(open, json->file);
    json->close[json->depth++] = close;
    json->written[json->depth] = 0;
}

void json_object(JsonWriter *json)
{
    open_level(json, '{', '}');
}

void json_array(JsonWriter *json)
{
    open_level(json, '[', ']');
}

void json_close(JsonWriter *json)
{
    if (json->depth == 0 || json->keyed)
        BUG("JSON closed with %s", json->keyed ? "a key that has no value" : "nothing open");
    const bool any = json->written[json->depth] > 0;
    json->depth--;
    if (any)
        indent(json);
    fputc(json->close[json->depth], json->file);
    end_value(json);
}

int utf8_length(const char *text)
{
    const unsigned char *bytes = (const unsigned char *)text;
    if (bytes[0] < 0x80)
        return 1;
    const int length = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4)
        return 0;
    uint32_t point = bytes[0] & (0x7fu >> length);
    for (int i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (bytes[i] & 0x3f);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < smallest[length] || point > 0x10ffff || surrogate ? 0 : length;
}

static void write_escaped(FILE *file, const char *text)
{
    static const char escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: the character, the letter behind the backslash */
    fputc('"', file);
    while (*text) {
        const char *escape = escapes;
        while (*escape && *escape != *text)
            escape += 2;
        const int length = utf8_length(text);
        if (*escape)
            fprintf(file, "\\%c", escape[1]);
        else if ((unsigned char)*text < 0x20 || *text == 0x7f)
            fprintf(file, "\\u%04x", (unsigned char)*text);
        else if (length == 0)
            fputs("\xef\xbf\xbd", file);
        else
            fwrite(text, 1, (size_t)length, file);
        text += length ? length : 1;
    }
    fputc('"', file);
}

void json_key(JsonWriter *json, const char *key)
{
    if (json->depth == 0 || json->close[json->depth - 1] != '}' || json->keyed)
        BUG("JSON key \"%s\" outside an object", key);
    separate(json);
    write_escaped(json->file, key);
    fputs(json->lines ? ":" : ": ", json->file);
    json->keyed = true;
}

static void write_plain(JsonWriter *json, const char *text)
{
    separate(json);
    fputs(text, json->file);
    end_value(json);
}

void json_string(JsonWriter *json, const char *text)
{
    if (!text) {
        json_null(json);
        return;
    }
    separate(json);
    write_escaped(json->file, text);
    end_value(json);
}

void json_integer(JsonWriter *json, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    write_plain(json, text);
}

void json_double(JsonWriter *json, double value)
{
    if (!isfinite(value)) {
        json_null(json);
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    write_plain(json, text);
}

void json_bool(JsonWriter *json, bool value)
{
    write_plain(json, value ? "true" : "false");
}

void json_null(JsonWriter *json)
{
    write_plain(json, "null");
}

void json_field_string(JsonWriter *json, const char *key, const char *text)
{
    json_key(json, key);
    json_string(json, text);
}

void json_field_integer(JsonWriter *json, const char *key, int64_t value)
{
    json_key(json, key);
    json_integer(json, value);
}

void json_field_double(JsonWriter *json, const char *key, double value)
{
    json_key(json, key);
    json_double(json, value);
}

void json_field_bool(JsonWriter *json, const char *key, bool value)
{
    json_key(json, key);
    json_bool(json, value);
}

void json_document(JsonWriter *json, const char *schema, const char *tool_version)
{
    json_object(json);
    json_field_string(json, "schema", schema);
    json_field_string(json, "tool_version", tool_version);
}
