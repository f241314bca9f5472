/* See session.h. */
#include "tools/session.h"

#include "tools/arguments.h"
#include "tools/inputs.h"

#include <string.h>
#include <time.h>

/* A library has the dims that it was compiled with; for a model, compiling has checked the names. */
static bool unknown_name(const Session *session, const char *option, const char *name)
{
    const Options *const options = session->options;
    return !library_is(options->arguments[0]) ||
           diag_error(options->diagnostics, EXIT_USAGE, NULL, "%s: the library has no symbolic dim of \"%s\"", option,
                      diag_quote(options->arena, name ? name : "its input", 100));
}

/* Symbols that `shape` decides get their values. */
static bool sizes_of_shape(const Session *session, const ShapeArgument *shape, int64_t *sizes)
{
    const lathe_model_v1 *const model = session->library.model;
    bool met = false;
    for (uint32_t i = 0; i < model->symbol_count; i++) {
        const lathe_symbol *const symbol = &model->symbols[i];
        if (symbol->element || (shape->input && strcmp(shape->input, model->inputs[symbol->input].name) != 0))
            continue;
        met = true;
        if (symbol->position < (uint32_t)shape->rank && shape->dims[symbol->position] >= 0)
            sizes[i] = shape->dims[symbol->position];
    }
    return met || unknown_name(session, "--shape", shape->input);
}

/* A range leaves the size open: files may have any within it, generators make the best. */
static bool sizes_of_dim(const Session *session, const DimArgument *dim, int64_t *sizes, int64_t *made)
{
    const lathe_model_v1 *const model = session->library.model;
    bool met = false;
    for (uint32_t i = 0; i < model->symbol_count; i++)
        if (strcmp(model->symbols[i].name, dim->symbol) == 0) {
            sizes[i] = dim->minimum == dim->maximum ? dim->best : sizes[i];
            made[i] = dim->best;
            met = true;
        }
    return met || unknown_name(session, "--dim", dim->symbol);
}

/* The value of each symbol as --shape and --dim say it, else -1; and what generators make of it: with `fill` at least
 * the least. */
static bool choose_sizes(const Session *session, bool fill, int64_t *sizes, int64_t *made)
{
    const Options *const options = session->options;
    const lathe_model_v1 *const model = session->library.model;
    for (uint32_t i = 0; i < model->symbol_count; i++)
        sizes[i] = made[i] = -1;
    for (int i = 0; i < option_count(options, OPTION_SHAPE); i++) {
        ShapeArgument shape;
        if (!shape_argument_parse(&shape, option_at(options, OPTION_SHAPE, i), options->arena, options->diagnostics) ||
            !sizes_of_shape(session, &shape, sizes))
            return false;
    }
    for (int i = 0; i < option_count(options, OPTION_DIM); i++) {
        DimArgument dim;
        if (!dim_argument_parse(&dim, option_at(options, OPTION_DIM, i), options->arena, options->diagnostics) ||
            !sizes_of_dim(session, &dim, sizes, made))
            return false;
    }
    for (uint32_t i = 0; i < model->symbol_count; i++) {
        const int64_t least = !fill ? -1 : model->symbols[i].minimum > 1 ? model->symbols[i].minimum : 1;
        made[i] = sizes[i] >= 0 ? sizes[i] : made[i] >= 0 ? made[i] : least;
    }
    return true;
}

/* The input's dims with the symbols' values in place of -1. */
static int64_t *sized_dims(const Session *session, const lathe_tensor_info *info, const int64_t *sizes)
{
    const lathe_model_v1 *const model = session->library.model;
    int64_t *const dims = NEW_ARRAY(session->library.arena, int64_t, (size_t)info->rank + 1);
    for (int j = 0; j < info->rank; j++) {
        dims[j] = info->dims[j];
        const char *const name = info->dim_names ? info->dim_names[j] : NULL;
        for (uint32_t s = 0; s < model->symbol_count && name; s++)
            if (dims[j] < 0 && strcmp(model->symbols[s].name, name) == 0)
                dims[j] = sizes[s];
    }
    return dims;
}

static HostSpec *sized_specs(const Session *session, bool fill, const int64_t *sizes, const int64_t *made)
{
    const lathe_model_v1 *const model = session->library.model;
    HostSpec *const specs = library_specs(&session->library);
    for (uint32_t i = 0; i < model->input_count; i++) {
        specs[i].dims = sized_dims(session, &model->inputs[i], sizes);
        specs[i].made = sized_dims(session, &model->inputs[i], made);
        specs[i].small = fill;
    }
    return specs;
}

/* The command line with inputs for what it does not give. */
static Options filled_options(const Session *session)
{
    const Options *const options = session->options;
    const lathe_model_v1 *const model = session->library.model;
    Options filled = *options;
    OptionValues *const given = &filled.values[OPTION_INPUT];
    const int before = given->count;
    const char **const texts = NEW_ARRAY(options->arena, const char *, (size_t)before + model->symbol_count + 1);
    bool filler = false;
    for (int i = 0; i < before; i++) {
        texts[i] = given->texts[i];
        filler = filler || generator_is(texts[i]);
    }
    for (uint32_t i = 0; i < model->symbol_count && before == 0; i++) {
        bool met = false;
        for (uint32_t j = 0; j < i; j++)
            met = met || (model->symbols[j].element && model->symbols[j].input == model->symbols[i].input);
        if (model->symbols[i].element && !met)
            texts[given->count++] =
                arena_format(options->arena, "%s=ones", model->inputs[model->symbols[i].input].name);
    }
    if (!filler)
        texts[given->count++] = "random:1";
    given->texts = texts;
    return filled;
}

/* What is known before anything is allocated: a model with huge tensors is refused while it has cost nothing. */
static bool session_fits(const Session *session, const HostSpec *specs)
{
    const lathe_model_v1 *const model = session->library.model;
    uint64_t bytes = model->arena_bytes;
    for (uint32_t i = 0; i < model->input_count; i++)
        bytes = tensor_bytes_add(bytes, model->inputs[i].bits, specs[i].rank, specs[i].made);
    for (uint32_t i = 0; i < model->output_count; i++)
        bytes = tensor_bytes_add(bytes, model->outputs[i].bits, model->outputs[i].rank, model->outputs[i].dims);
    return memory_fits(session->options, model->name, bytes);
}

/* Which sizes a run that failed had; false. */
static bool explain(const Session *session)
{
    if (session->library.model->symbol_count)
        diag_note(session->options->diagnostics, "with %s",
                  diag_quote(session->options->arena, session_sizes(session), 300));
    return false;
}

/* The library is there. */
static bool session_start(Session *session, bool fill)
{
    const Options *const options = session->options;
    Library *const library = &session->library;
    if (!library_start(library, (int)option_integer(options, OPTION_THREADS)))
        return false;
    const lathe_model_v1 *const model = library->model;
    int64_t *const sizes = NEW_ARRAY(options->arena, int64_t, (size_t)model->symbol_count + 1);
    int64_t *const made = NEW_ARRAY(options->arena, int64_t, (size_t)model->symbol_count + 1);
    if (!choose_sizes(session, fill, sizes, made))
        return false;
    session->inputs = NEW_ARRAY(options->arena, HostValue, (size_t)model->input_count + 1);
    session->outputs = NEW_ARRAY(options->arena, HostValue, (size_t)model->output_count + 1);
    const Options filled = fill ? filled_options(session) : *options;
    HostSpec *const specs = sized_specs(session, fill, sizes, made);
    return session_fits(session, specs) && inputs_bind(session->inputs, specs, model->input_count, &filled) &&
           (library_prepare(library, options, session->inputs, session->outputs) || explain(session));
}

bool session_open(Session *session, const Options *options, bool fill)
{
    *session = (Session){.options = options};
    return library_open(&session->library, options, options->arguments[0]) && session_start(session, fill);
}

bool session_build(Session *session, const Options *options, Pipeline *pipeline, bool fill)
{
    *session = (Session){.options = options};
    return library_build(&session->library, pipeline) && session_start(session, fill);
}

void session_close(Session *session)
{
    library_close(&session->library);
}

bool session_run(Session *session, int64_t *nanoseconds)
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    const bool good = library_run(&session->library) || explain(session);
    clock_gettime(CLOCK_MONOTONIC, &end);
    *nanoseconds = (int64_t)(end.tv_sec - start.tv_sec) * 1000000000 + (end.tv_nsec - start.tv_nsec);
    return good;
}

const char *session_sizes(const Session *session)
{
    const lathe_model_v1 *const model = session->library.model;
    Arena *const arena = session->options->arena;
    const char *text = "";
    for (uint32_t i = 0; i < model->symbol_count; i++) {
        const lathe_symbol *const symbol = &model->symbols[i];
        const HostTensor *const tensor = &session->inputs[symbol->input].tensor;
        const bool known = session->inputs[symbol->input].kind == HOST_TENSOR;
        const int64_t value = !known            ? -1
                              : symbol->element ? (int64_t)host_element(tensor, symbol->position)
                                                : tensor->dims[symbol->position];
        text = arena_format(arena, "%s%s%s=%lld", text, i ? " " : "", symbol->name, (long long)value);
    }
    return text;
}
