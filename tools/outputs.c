/* Writing of outputs: see outputs.h. */
#include "tools/outputs.h"

#include <string.h>
#include <sys/stat.h>

static const char *name_of(const HostValue *value, size_t index, Arena *arena)
{
    return value->name && *value->name ? value->name : arena_format(arena, "output_%zu", index);
}

static bool names_write(const char *folder, const HostValue *values, size_t count, const Options *options)
{
    FileWriter writer;
    if (!file_writer_open(&writer, arena_format(options->arena, "%s/names.json", folder), options->arena,
                          options->diagnostics))
        return false;
    JsonWriter json = json_writer(writer.file, false);
    json_document(&json, "lathe.outputs/1", LATHE_VERSION);
    json_key(&json, "outputs");
    json_array(&json);
    for (size_t i = 0; i < count; i++) {
        json_object(&json);
        json_field_integer(&json, "index", (int64_t)i);
        json_field_string(&json, "name", name_of(&values[i], i, options->arena));
        json_field_string(&json, "file",
                          arena_format(options->arena, "output_%zu.%s", i, npy_holds(&values[i]) ? "npy" : "pb"));
        json_field_string(&json, "type", host_type_text(options->arena, &values[i]));
        json_close(&json);
    }
    json_close(&json);
    json_close(&json);
    return file_writer_commit(&writer);
}

static bool folder_write(const char *folder, const HostValue *values, size_t count, const Options *options)
{
    Arena *const arena = options->arena;
    if (!folder_make(folder, arena, options->diagnostics))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *const path =
            arena_format(arena, "%s/output_%zu.%s", folder, i, npy_holds(&values[i]) ? "npy" : "pb");
        if (!host_value_write(path, &values[i], arena, options->diagnostics))
            return false;
    }
    return names_write(folder, values, count, options);
}

/* All outputs into one .npz, under their names. */
static bool archive_write(const char *path, const HostValue *values, size_t count, const Options *options)
{
    HostTensor *const members = NEW_ARRAY(options->arena, HostTensor, count ? count : 1);
    const Where where = {.file = name_intern(options->arena, path)};
    for (size_t i = 0; i < count; i++) {
        if (!npy_holds(&values[i]))
            return diag_error(options->diagnostics, EXIT_UNSUPPORTED, &where,
                              "cannot hold the output \"%s\", %s; name a folder instead",
                              diag_quote(options->arena, name_of(&values[i], i, options->arena), 80),
                              host_type_text(options->arena, &values[i]));
        members[i] = values[i].tensor;
        members[i].name = name_of(&values[i], i, options->arena);
    }
    FileWriter writer;
    if (!file_writer_open(&writer, path, options->arena, options->diagnostics))
        return false;
    if (npz_write(writer.file, members, count))
        return file_writer_commit(&writer);
    file_writer_abandon(&writer);
    return diag_error(options->diagnostics, EXIT_IO, &where, "cannot be written");
}

/* A name without an extension is a folder: results are files of many types. */
static bool means_folder(const char *path)
{
    const char *const slash = strrchr(path, '/');
    struct stat status;
    if (path_is_folder(path))
        return true;
    return strcmp(path, "-") != 0 && !strchr(slash ? slash : path, '.') && stat(path, &status) < 0;
}

static bool output_write(const char *text, const HostValue *values, size_t count, const Options *options)
{
    for (const char *equals = strchr(text, '='); equals; equals = strchr(equals + 1, '='))
        for (size_t i = 0; i < count; i++) {
            const char *const name = name_of(&values[i], i, options->arena);
            if (strlen(name) == (size_t)(equals - text) && strncmp(name, text, strlen(name)) == 0)
                return host_value_write(equals + 1, &values[i], options->arena, options->diagnostics);
        }
    if (means_folder(text))
        return folder_write(text, values, count, options);
    if (path_has_suffix(text, ".npz"))
        return archive_write(text, values, count, options);
    if (count == 1)
        return host_value_write(text, &values[0], options->arena, options->diagnostics);
    diag_error(options->diagnostics, EXIT_USAGE, NULL, "-o '%s' is one file for %zu outputs",
               diag_quote(options->arena, text, 80), count);
    diag_hint(options->diagnostics, "name a folder, an .npz, or OUTPUT=FILE for each");
    return false;
}

bool outputs_write(const HostValue *values, size_t count, const Options *options)
{
    for (int i = 0; i < option_count(options, OPTION_OUTPUT); i++)
        if (!output_write(option_at(options, OPTION_OUTPUT, i), values, count, options))
            return false;
    return true;
}
