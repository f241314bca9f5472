/* What the tests of tools/ share: an arena with diagnostics, and the sample files. */
#ifndef LATHE_TESTS_TOOLS_SAMPLE_H
#define LATHE_TESTS_TOOLS_SAMPLE_H

#include "tools/tensorfile.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES SOURCE_DIR "/tests/data/tensorfiles/"

typedef struct Bench {
    Arena *arena;
    Diagnostics *diagnostics;
} Bench;

static inline Bench bench_open(void)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    return (Bench){.arena = arena, .diagnostics = diagnostics_open(arena)};
}

static inline void bench_close(Bench *bench)
{
    arena_close(bench->arena);
}

static inline const char *first_message(const Bench *bench)
{
    return bench->diagnostics->first ? bench->diagnostics->first->text : "";
}

static inline bool said(const Bench *bench, const char *part)
{
    for (const Diagnostic *d = bench->diagnostics->first; d; d = d->next)
        if (strstr(d->text, part))
            return true;
    return false;
}

/* Reads a sample; fails the test with the message when that goes wrong. */
static inline HostTensor sample_tensor(Bench *bench, const char *name, const HostSpec *spec)
{
    HostValue value = {0};
    const char *const path = arena_format(bench->arena, SAMPLES "%s", name);
    const bool good = host_value_read(&value, path, spec, &host_image_plain, bench->arena, bench->diagnostics);
    cr_assert(good, "%s: %s", name, first_message(bench));
    cr_assert_eq(value.kind, HOST_TENSOR, "%s is a tensor", name);
    return value.tensor;
}

#endif
