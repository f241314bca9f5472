/* See export.h. The same results give the same bytes: no dates, no paths. */
#include "tools/tune/export.h"

#include "codegen/schedule.h"
#include "tools/file.h"
#include "tools/json.h"
#include "tools/tune/records.h"

#include <stdlib.h>
#include <string.h>

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const TuneTask *const *)a)->key, (*(const TuneTask *const *)b)->key);
}

static void write_values(JsonWriter *json, const Point *point)
{
    json_key(json, "values");
    json_object(json);
    for (int i = 1; i < point->count; i++) /* the first is the template */
        if (point->values[i].choice)
            json_field_string(json, point->values[i].name, point->values[i].choice);
        else
            json_field_integer(json, point->values[i].name, point->values[i].number);
    json_close(json);
}

static void write_task(JsonWriter *json, const TuneTask *task)
{
    const char *const template = task->best_point.values[0].choice;
    json_object(json);
    json_field_string(json, "kernel", task->key);
    json_field_string(json, "name", task->name);
    if (*task->roles)
        json_field_string(json, "roles", task->roles);
    json_field_string(json, "template", template);
    json_field_integer(json, "space", template_space(template));
    write_values(json, &task->best_point);
    json_field_integer(json, "ns", (int64_t)(task->best_ns + 0.5));
    json_field_integer(json, "default_ns", (int64_t)(task->standard_ns + 0.5));
    json_close(json);
}

bool records_write(const Tuner *tuner, const StudyKey *study, const char *path)
{
    FileWriter writer;
    const TuneTask **const sorted = NEW_ARRAY(tuner->arena, const TuneTask *, (size_t)tuner->task_count + 1);
    int count = 0;
    for (int i = 0; i < tuner->task_count; i++)
        if (tuner->tasks[i].ready && tuner->tasks[i].best_point.count)
            sorted[count++] = &tuner->tasks[i];
    qsort(sorted, (size_t)count, sizeof *sorted, by_key);
    if (!file_writer_open(&writer, path, tuner->arena, tuner->diagnostics))
        return false;
    JsonWriter json = json_writer(writer.file, true);
    json_object(&json);
    json_field_string(&json, "schema", RECORDS_SCHEMA);
    json_field_string(&json, "tool_version", LATHE_VERSION);
    json_field_string(&json, "target", study->target);
    json_field_string(&json, "features", study->features);
    json_field_integer(&json, "threads", study->threads);
    json_field_string(&json, "machine", study->machine);
    json_field_string(&json, "model", study->model);
    json_field_string(&json, "model_sha256", study->model_sha256);
    json_close(&json);
    for (int i = 0; i < count; i++)
        write_task(&json, sorted[i]);
    return file_writer_commit(&writer);
}
