/* lathe inspect: what a model, a compiled library or this machine is. A model is described also when it cannot be
 * compiled. */
#include "tools/verbs.h"

#include "codegen/link.h"
#include "tools/answer.h"
#include "tools/host.h"
#include "tools/inspectmodel.h"
#include "runtime/lathe_runtime.h"
#include "tools/library.h"

#include <string.h>

enum { NAME_SHOWN = 80 };

/* ---- machine ---- */

static const char *bytes_text(Arena *arena, int64_t bytes)
{
    return bytes < 1 << 10   ? arena_format(arena, "%lld bytes", (long long)bytes)
           : bytes < 1 << 20 ? arena_format(arena, "%.1f KiB", (double)bytes / 0x1p10)
           : bytes < 1 << 30 ? arena_format(arena, "%.1f MiB", (double)bytes / 0x1p20)
                             : arena_format(arena, "%.1f GiB", (double)bytes / 0x1p30);
}

static void host_text(const HostFacts *host, Arena *arena)
{
    const char *const linker = link_find(arena);
    printf("processor  %s, %d cores\n", host->cpu, host->cores);
    printf("levels    ");
    for (int i = 0; i < target_count(); i++)
        if (target_runs_here(target_at(i)))
            printf(" %s", target_at(i)->name);
    printf("\n");
    for (int i = 0; i < host->cache_count; i++)
        printf("cache L%d   %s %s, shared by %d\n", host->caches[i].level, host->caches[i].kind,
               bytes_text(arena, host->caches[i].bytes), host->caches[i].shared_by);
    printf("memory     %s\n", bytes_text(arena, host->memory_bytes));
    printf("system     %s\n", host->system);
    printf("linker     %s\n", linker ? linker : "none");
    printf("back end   %s\n", object_version(arena));
}

static void host_fields(JsonWriter *json, const HostFacts *host, Arena *arena)
{
    host_json(json, host);
    json_key(json, "levels");
    json_array(json);
    for (int i = 0; i < target_count(); i++)
        if (target_runs_here(target_at(i)))
            json_string(json, target_at(i)->name);
    json_close(json);
    json_key(json, "caches");
    json_array(json);
    for (int i = 0; i < host->cache_count; i++) {
        json_object(json);
        json_field_integer(json, "level", host->caches[i].level);
        json_field_string(json, "kind", host->caches[i].kind);
        json_field_integer(json, "bytes", host->caches[i].bytes);
        json_field_integer(json, "shared_by", host->caches[i].shared_by);
        json_close(json);
    }
    json_close(json);
    json_field_integer(json, "memory_bytes", host->memory_bytes);
    json_field_string(json, "system", host->system);
    json_field_string(json, "linker", link_find(arena));
    json_field_string(json, "back_end", object_version(arena));
}

static bool inspect_host(const Options *options)
{
    const HostFacts host = host_facts(options->arena);
    Answer answer;
    if (answer_wants_text(options))
        host_text(&host, options->arena);
    if (!answer_wants_json(options))
        return true;
    if (!answer_open(&answer, options, "lathe.host/1"))
        return false;
    host_fields(&answer.json, &host, options->arena);
    return answer_close(&answer);
}

/* ---- libraries ---- */

/* "sequence", "optional tensor" ...; forms: of the inputs or of the outputs. */
static const char *form_name(const lathe_model_v1 *model, const int32_t *forms, uint32_t i)
{
    static const char *const names[] = {"tensor", "sequence", "", "", "optional tensor", "optional sequence"};
    const bool known = model->flags & LATHE_MODEL_SCRIPT && forms && forms[i] >= 0 && forms[i] < 6;
    return names[known ? forms[i] : 0];
}

static const char *info_type(Arena *arena, const lathe_tensor_info *info, const char *form)
{
    const Dtype dtype = dtype_from_onnx(info->dtype);
    const bool plain = strcmp(form, "tensor") == 0;
    if (info->rank < 0 || !plain)
        return arena_format(arena, "%s%s%s", plain ? "" : form, plain ? "" : " of ", dtype_info[dtype].name);
    const char *text = arena_format(arena, "%s[", dtype_info[dtype].name);
    for (int i = 0; i < info->rank; i++) {
        const char *const name = info->dim_names ? info->dim_names[i] : NULL;
        const char *const dim = info->dims[i] >= 0 ? arena_format(arena, "%lld", (long long)info->dims[i])
                                : name             ? diag_quote(arena, name, NAME_SHOWN)
                                                   : "?";
        text = arena_format(arena, "%s%s%s", text, i ? "," : "", dim);
    }
    return arena_format(arena, "%s]", text);
}

/* Kernels of one level that come as machine code and as PTX; false: they are functions of this library. */
static bool images_count(const lathe_model_v1 *model, uint32_t level, int64_t *binaries, int64_t *texts)
{
    const lathe_program *const program = model->program;
    const lathe_image *const images =
        program && program->abi == LATHE_RUNTIME_ABI ? program->levels[level].images : NULL;
    *binaries = *texts = 0;
    for (uint32_t i = 0; images && i < program->kernel_count; i++) {
        *binaries += images[i].binary != NULL;
        *texts += images[i].text != NULL;
    }
    return images != NULL;
}

static void images_text(const lathe_model_v1 *model)
{
    int64_t binaries, texts;
    for (uint32_t i = 0; i < model->level_count; i++)
        if (images_count(model, i, &binaries, &texts))
            printf("kernels    %s: %lld cubins, %lld texts of PTX\n", model->level_names[i], (long long)binaries,
                   (long long)texts);
}

static void images_fields(JsonWriter *json, const lathe_model_v1 *model)
{
    int64_t binaries, texts;
    if (model->level_count == 0 || !images_count(model, 0, &binaries, &texts))
        return;
    json_key(json, "images");
    json_array(json);
    for (uint32_t i = 0; i < model->level_count; i++) {
        images_count(model, i, &binaries, &texts);
        json_object(json);
        json_field_string(json, "level", model->level_names[i]);
        json_field_integer(json, "cubins", binaries);
        json_field_integer(json, "ptx", texts);
        json_close(json);
    }
    json_close(json);
}

static void library_text(const Library *library)
{
    const lathe_model_v1 *const model = library->model;
    Arena *const arena = library->arena;
    printf("model      %s\n", diag_quote(arena, model->name, NAME_SHOWN));
    printf("compiled   by %s, sha256 of the model %s\n", model->tool, model->sha256);
    printf("levels    ");
    for (uint32_t i = 0; i < model->level_count; i++)
        printf(" %s", model->level_names[i]);
    printf("\n");
    for (uint32_t i = 0; i < model->input_count; i++)
        printf("input      %s: %s\n", diag_quote(arena, model->inputs[i].name, NAME_SHOWN),
               info_type(arena, &model->inputs[i], form_name(model, model->input_forms, i)));
    for (uint32_t i = 0; i < model->output_count; i++)
        printf("output     %s: %s\n", diag_quote(arena, model->outputs[i].name, NAME_SHOWN),
               info_type(arena, &model->outputs[i], form_name(model, model->output_forms, i)));
    for (uint32_t i = 0; i < model->symbol_count; i++)
        printf("symbol     %s: %s %u of input %s\n", model->symbols[i].name,
               model->symbols[i].element ? "element" : "dim", model->symbols[i].position,
               diag_quote(arena, model->inputs[model->symbols[i].input].name, NAME_SHOWN));
    images_text(model);
    printf("launches   %u\n", model->launch_count);
    if (model->flags & LATHE_MODEL_SCRIPT)
        printf("arena      depends on data\n");
    else if (model->arena_bytes || model->symbol_count == 0)
        printf("arena      %s\n", bytes_text(arena, (int64_t)model->arena_bytes));
    else
        printf("arena      depends on the symbols\n");
    printf("weights    %s\n", bytes_text(arena, (int64_t)model->weights_bytes));
}

static void info_fields(JsonWriter *json, const char *key, const lathe_model_v1 *model, const lathe_tensor_info *infos,
                        const int32_t *forms, uint32_t count)
{
    json_key(json, key);
    json_array(json);
    for (uint32_t i = 0; i < count; i++) {
        json_object(json);
        json_field_string(json, "name", infos[i].name);
        json_field_string(json, "type", dtype_info[dtype_from_onnx(infos[i].dtype)].name);
        if (model->flags & LATHE_MODEL_SCRIPT)
            json_field_string(json, "form", form_name(model, forms, i));
        json_key(json, "shape");
        json_array(json);
        for (int j = 0; j < infos[i].rank; j++) {
            if (infos[i].dims[j] >= 0)
                json_integer(json, infos[i].dims[j]);
            else
                json_string(json, infos[i].dim_names ? infos[i].dim_names[j] : NULL);
        }
        json_close(json);
        json_close(json);
    }
    json_close(json);
}

static void library_fields(JsonWriter *json, const lathe_model_v1 *model)
{
    json_field_string(json, "name", model->name);
    json_field_string(json, "model_sha256", model->sha256);
    json_field_string(json, "tool", model->tool);
    json_field_integer(json, "abi", model->abi);
    json_key(json, "levels");
    json_array(json);
    for (uint32_t i = 0; i < model->level_count; i++)
        json_string(json, model->level_names[i]);
    json_close(json);
    info_fields(json, "inputs", model, model->inputs, model->input_forms, model->input_count);
    info_fields(json, "outputs", model, model->outputs, model->output_forms, model->output_count);
    json_key(json, "symbols");
    json_array(json);
    for (uint32_t i = 0; i < model->symbol_count; i++) {
        json_object(json);
        json_field_string(json, "name", model->symbols[i].name);
        json_field_string(json, "input", model->inputs[model->symbols[i].input].name);
        json_field_integer(json, model->symbols[i].element ? "element" : "dim", model->symbols[i].position);
        json_close(json);
    }
    json_close(json);
    images_fields(json, model);
    json_field_integer(json, "launches", model->launch_count);
    json_field_integer(json, "arena_bytes", (int64_t)model->arena_bytes);
    json_field_integer(json, "weight_bytes", (int64_t)model->weights_bytes);
}

static bool inspect_library(const Options *options)
{
    Library library;
    Answer answer;
    bool good = library_open(&library, options, options->arguments[0]);
    if (good && answer_wants_text(options))
        library_text(&library);
    if (good && answer_wants_json(options)) {
        good = answer_open(&answer, options, "lathe.library/1");
        if (good) {
            library_fields(&answer.json, library.model);
            good = answer_close(&answer);
        }
    }
    library_close(&library);
    return good;
}

int verb_inspect(const Options *options)
{
    const bool host = option_given(options, OPTION_HOST), model = options->argument_count > 0;
    bool good = true;
    if (host == model) {
        diag_error(options->diagnostics, EXIT_USAGE, NULL,
                   host ? "inspect takes a model or --host, not both" : "inspect needs a model, a library or --host");
        return EXIT_USAGE;
    }
    if (host)
        good = inspect_host(options);
    else if (library_is(options->arguments[0]))
        good = inspect_library(options);
    else
        good = inspect_model(options);
    return good ? EXIT_OK : options->diagnostics->code;
}
