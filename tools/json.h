/* JSON writer: one value at a time straight to a stream, so that a report of any size needs no memory.
 *
 * Promises valid JSON: commas and nesting are kept by the writer, strings are escaped (bytes that are no UTF-8 become
 * U+FFFD), doubles print with the fewest digits that read back to the same bits, NaN and infinities become null.
 * Nesting is limited to JSON_DEPTH; going deeper or closing what is not open is a BUG of the caller. */
#ifndef LATHE_TOOLS_JSON_H
#define LATHE_TOOLS_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_DEPTH = 32 };

typedef struct JsonWriter {
    FILE *file;
    bool lines; /* JSON Lines: no indentation, one document per line */
    int depth;
    bool keyed;             /* a key was written, its value is due */
    char close[JSON_DEPTH]; /* '}' or ']' per open level */
    int written[JSON_DEPTH + 1];
} JsonWriter;

JsonWriter json_writer(FILE *file, bool lines);

void json_object(JsonWriter *json); /* opens an object */
void json_array(JsonWriter *json);  /* opens an array */
void json_close(JsonWriter *json);  /* closes the innermost; closing the outermost ends the line */
void json_key(JsonWriter *json, const char *key);

void json_string(JsonWriter *json, const char *text); /* NULL writes null */
void json_integer(JsonWriter *json, int64_t value);
void json_double(JsonWriter *json, double value);
void json_bool(JsonWriter *json, bool value);
void json_null(JsonWriter *json);

/* Key and value in one line. */
void json_field_string(JsonWriter *json, const char *key, const char *text);
void json_field_integer(JsonWriter *json, const char *key, int64_t value);
void json_field_double(JsonWriter *json, const char *key, double value);
void json_field_bool(JsonWriter *json, const char *key, bool value);

/* Opens the object that every --json answer is: "schema" (such as "lathe.bench/1") and "tool_version" stand first. */
void json_document(JsonWriter *json, const char *schema, const char *tool_version);

/* Bytes of the UTF-8 sequence that starts at `text`, 0 when it is not valid (overlong, surrogate, cut off). */
int utf8_length(const char *text);

#endif
