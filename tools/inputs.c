/* Binding of -i arguments: see inputs.h. */
#include "tools/inputs.h"

#include <string.h>

typedef struct Binder {
    const HostSpec *specs;
    HostValue *values;
    bool *bound;
    size_t count;
    HostImageOptions image;
    Arena *arena;
    Diagnostics *diagnostics;
} Binder;

bool image_options_read(HostImageOptions *image, const Options *options)
{
    *image = host_image_plain;
    image->bgr = option_is(options, OPTION_IMAGE_ORDER, "bgr");
    if (!option_numbers(options, OPTION_IMAGE_MEAN, image->mean, 3) ||
        !option_numbers(options, OPTION_IMAGE_SCALE, image->scale, 3))
        return false;
    if (!image->bgr)
        return true;
    /* The options name red, green, blue; the tensor has blue first. */
    const HostImageOptions given = *image;
    for (int i = 0; i < 3; i++) {
        image->mean[i] = given.mean[2 - i];
        image->scale[i] = given.scale[2 - i];
    }
    return true;
}

/* The input that "NAME=SOURCE" names; count: none does, and the whole text is a source. */
static size_t named_input(const Binder *binder, const char *text, const char **source)
{
    for (const char *equals = strchr(text, '='); equals; equals = strchr(equals + 1, '=')) {
        const size_t length = (size_t)(equals - text);
        for (size_t i = 0; i < binder->count; i++) {
            const char *const name = binder->specs[i].name;
            if (!name || strlen(name) != length || memcmp(name, text, length) != 0)
                continue;
            *source = equals + 1;
            return i;
        }
    }
    return binder->count;
}

/* Reads `source` for input `i`. */
static bool bind(Binder *binder, size_t i, const char *source)
{
    const HostSpec *const spec = &binder->specs[i];
    HostValue *const value = &binder->values[i];
    const char *const name = diag_quote(binder->arena, spec->name ? spec->name : "", 80);
    if (binder->bound[i])
        return diag_error(binder->diagnostics, EXIT_USAGE, NULL, "the input \"%s\" is given twice", name);
    binder->bound[i] = true;
    if (generator_is(source))
        return generator_read(value, source, spec, i, binder->arena, binder->diagnostics);
    if (strcmp(source, "none") == 0) {
        *value = (HostValue){.kind = HOST_ABSENT, .name = spec->name};
        return spec->optional || spec->kind == HOST_OPTIONAL ||
               diag_error(binder->diagnostics, EXIT_USAGE, NULL, "the input \"%s\" cannot be none: it is not optional",
                          name);
    }
    if (!host_value_read(value, source, spec, &binder->image, binder->arena, binder->diagnostics) ||
        !host_value_check(value, spec, source, binder->diagnostics))
        return false;
    value->name = spec->name;
    value->tensor.name = spec->name;
    return true;
}

static size_t first_free(const Binder *binder)
{
    size_t i = 0;
    while (i < binder->count && binder->bound[i])
        i++;
    return i;
}

/* An .npz binds its members by name; one alone may also bind by place. */
static bool bind_members(Binder *binder, const char *path)
{
    Source source;
    HostTensor *members = NULL;
    size_t count = 0;
    if (!source_open(&source, path, 0, binder->arena, binder->diagnostics))
        return false;
    const bool read = npz_read(&members, &count, &source);
    source_close(&source);
    for (size_t m = 0; read && m < count; m++) {
        size_t i = 0;
        while (i < binder->count && !(binder->specs[i].name && strcmp(binder->specs[i].name, members[m].name) == 0))
            i++;
        i = i == binder->count && count == 1 ? first_free(binder) : i;
        if (i == binder->count)
            return source_error(&source, "has the member \"%s\", but the model has no such input",
                                diag_quote(binder->arena, members[m].name, 80));
        if (binder->bound[i])
            return diag_error(binder->diagnostics, EXIT_USAGE, NULL, "the input \"%s\" is given twice",
                              diag_quote(binder->arena, members[m].name, 80));
        binder->bound[i] = true;
        binder->values[i] = host_value_of_tensor(members[m]);
        if (!host_value_check(&binder->values[i], &binder->specs[i], path, binder->diagnostics))
            return false;
        binder->values[i].name = binder->specs[i].name;
    }
    return read;
}

static bool bind_argument(Binder *binder, const char *text, const char **filler)
{
    const char *source = text;
    size_t i = named_input(binder, text, &source);
    if (i == binder->count && generator_is(text)) {
        *filler = text;
        return true;
    }
    if (i == binder->count && path_has_suffix(text, ".npz"))
        return bind_members(binder, text);
    if (i == binder->count)
        i = first_free(binder);
    if (i == binder->count)
        return diag_error(binder->diagnostics, EXIT_USAGE, NULL, "-i '%s' is one too many: the model has %zu inputs",
                          diag_quote(binder->arena, text, 80), binder->count);
    return bind(binder, i, source);
}

bool inputs_bind(HostValue *values, const HostSpec *specs, size_t count, const Options *options)
{
    Binder binder = {.specs = specs,
                     .values = values,
                     .bound = NEW_ARRAY(options->arena, bool, count ? count : 1),
                     .count = count,
                     .arena = options->arena,
                     .diagnostics = options->diagnostics};
    const char *filler = NULL;
    if (!image_options_read(&binder.image, options))
        return false;
    /* Names first, so that what binds by place fills the gaps wherever it stands. */
    for (int pass = 0; pass < 2; pass++)
        for (int n = 0; n < option_count(options, OPTION_INPUT); n++) {
            const char *const text = option_at(options, OPTION_INPUT, n);
            const char *source = NULL;
            const bool named = named_input(&binder, text, &source) < count;
            if (named == (pass == 0) && !bind_argument(&binder, text, &filler))
                return false;
        }
    for (size_t i = 0; i < count; i++) {
        if (binder.bound[i])
            continue;
        values[i] = (HostValue){.kind = HOST_ABSENT, .name = specs[i].name};
        const bool optional = specs[i].optional || specs[i].kind == HOST_OPTIONAL;
        if (filler && !optional && !bind(&binder, i, filler))
            return false;
        if (!filler && !optional) {
            diag_error(options->diagnostics, EXIT_USAGE, NULL, "the input \"%s\", %s, is not given",
                       diag_quote(options->arena, specs[i].name ? specs[i].name : "", 80),
                       host_shape_text(options->arena, specs[i].dtype, specs[i].rank, specs[i].dims));
            diag_hint(options->diagnostics, "-i random:1 fills every input that is not given");
            return false;
        }
    }
    return true;
}
