/* The one file that reads JSON: jansson's names and those of tools/json.h do not go together. */
#include "tools/baseline.h"

#include "tools/file.h"

#include <jansson.h>
#include <string.h>

enum { BASELINE_MOST = 64 << 20 };

bool baseline_read(double *median, const char *path, Arena *arena, Diagnostics *diagnostics)
{
    Source source;
    json_error_t error;
    if (!source_open(&source, path, BASELINE_MOST, arena, diagnostics))
        return false;
    json_t *const root = json_loadb((const char *)source.bytes, source.size, 0, &error);
    const char *const schema = json_string_value(json_object_get(root, "schema"));
    *median = json_number_value(json_object_get(root, "median_ns"));
    bool good = true;
    if (!root)
        good = source_error(&source, "is no JSON: line %d: %s", error.line, error.text);
    else if (!schema || strcmp(schema, "lathe.bench/1") != 0 || !(*median > 0))
        good = source_error(&source,
                            "is no result of lathe bench: it needs the schema lathe.bench/1 and median_ns above 0");
    json_decref(root);
    source_close(&source);
    return good;
}
