/* lathe bench: how long one run takes. Every run is timed by itself and all times are kept, so that percentiles are
 * exact. */
#include "tools/verbs.h"

#include "tools/answer.h"
#include "tools/baseline.h"
#include "tools/host.h"
#include "tools/session.h"

#include <stdlib.h>
#include <string.h>

enum { RUNS_LEAST = 5, RUNS_MOST = 20000000, SAMPLES_SHOWN = 10000, PERCENTILES_MOST = 32 };

typedef struct Bench {
    Session session;
    int64_t *samples; /* nanoseconds, sorted at the end */
    size_t count, capacity;
    double mean;
    double percentiles[PERCENTILES_MOST];
    int percentile_count;
    double baseline; /* median of the baseline, 0: none */
} Bench;

static bool keep(Bench *bench, int64_t nanoseconds)
{
    if (bench->count == bench->capacity) {
        const size_t capacity = bench->capacity ? bench->capacity * 2 : 1024;
        int64_t *const samples = realloc(bench->samples, capacity * sizeof *samples);
        if (!samples)
            return diag_error(bench->session.options->diagnostics, EXIT_LIMIT, NULL, "no memory for %zu times",
                              capacity);
        bench->samples = samples;
        bench->capacity = capacity;
    }
    bench->samples[bench->count++] = nanoseconds;
    return true;
}

static int by_time(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static bool measure(Bench *bench)
{
    const Options *const options = bench->session.options;
    const double wanted = option_number(options, OPTION_MIN_TIME) * 1e9;
    int64_t took;
    double total = 0;
    for (int64_t i = option_integer(options, OPTION_WARMUP); i > 0; i--)
        if (!session_run(&bench->session, &took))
            return false;
    while ((total < wanted || bench->count < RUNS_LEAST) && bench->count < RUNS_MOST) {
        if (!session_run(&bench->session, &took) || !keep(bench, took))
            return false;
        total += (double)took;
    }
    bench->mean = total / (double)bench->count;
    qsort(bench->samples, bench->count, sizeof *bench->samples, by_time);
    return true;
}

/* The nearest rank: a time that was measured, never one in between. */
static int64_t percentile(const Bench *bench, double percent)
{
    const double rank = percent / 100 * (double)bench->count;
    size_t place = (size_t)rank;
    if ((double)place < rank)
        place++;
    return bench->samples[place ? place - 1 : 0];
}

/* ---- before: what the command line says ---- */

static bool read_percentiles(Bench *bench, const Options *options)
{
    const char *const *texts;
    const int count = option_list(options, OPTION_PERCENTILES, &texts);
    if (count > PERCENTILES_MOST)
        return diag_error(options->diagnostics, EXIT_USAGE, NULL, "--percentiles takes at most %d numbers, not %d",
                          PERCENTILES_MOST, count);
    for (int i = 0; i < count; i++)
        if (!text_to_number(texts[i], &bench->percentiles[i]) || bench->percentiles[i] < 0 ||
            bench->percentiles[i] > 100)
            return diag_error(options->diagnostics, EXIT_USAGE, NULL,
                              "--percentiles takes numbers from 0 to 100, not '%s'",
                              diag_quote(options->arena, texts[i], 80));
    bench->percentile_count = count;
    return true;
}

/* The median of an earlier result; read before measuring, so that a mistake shows at once. */
static bool read_baseline(Bench *bench, const Options *options)
{
    const char *const path = option_text(options, OPTION_BASELINE);
    if (!path)
        return !option_given(options, OPTION_FAIL_IF) ||
               diag_error(options->diagnostics, EXIT_USAGE, NULL, "--fail-if needs --baseline FILE to compare with");
    return baseline_read(&bench->baseline, path, options->arena, options->diagnostics);
}

/* ---- after: what was found ---- */

static const char *time_text(Arena *arena, double nanoseconds)
{
    return nanoseconds < 1e3   ? arena_format(arena, "%.0f ns", nanoseconds)
           : nanoseconds < 1e6 ? arena_format(arena, "%.2f us", nanoseconds * 1e-3)
           : nanoseconds < 1e9 ? arena_format(arena, "%.3f ms", nanoseconds * 1e-6)
                               : arena_format(arena, "%.3f s", nanoseconds * 1e-9);
}

static void print_text(const Bench *bench)
{
    const Library *const library = &bench->session.library;
    const lathe_api *const api = library->model->api;
    Arena *const arena = library->arena;
    const char *const sizes = session_sizes(&bench->session);
    printf("model      %s%s%s\n", diag_quote(arena, library->model->name, 200), *sizes ? "  " : "", sizes);
    printf("median     %s\n", time_text(arena, (double)percentile(bench, 50)));
    printf("min        %s\n", time_text(arena, (double)bench->samples[0]));
    printf("mean       %s\n", time_text(arena, bench->mean));
    for (int i = 0; i < bench->percentile_count; i++)
        printf("%-10s %s\n", arena_format(arena, "p%g", bench->percentiles[i]),
               time_text(arena, (double)percentile(bench, bench->percentiles[i])));
    printf("runs       %zu\n", bench->count);
    printf("threads    %d\n", api->thread_count(library->context));
    printf("level      %s\n", api->level_name(library->context));
    printf("arena      %llu bytes\n", (unsigned long long)api->arena_bytes(library->context));
    printf("weights    %llu bytes\n", (unsigned long long)library->model->weights_bytes);
    if (bench->baseline > 0)
        printf("baseline   %s, now %+.1f%%\n", time_text(arena, bench->baseline),
               ((double)percentile(bench, 50) / bench->baseline - 1) * 100);
}

static void write_times(JsonWriter *json, const Bench *bench)
{
    Arena *const arena = bench->session.options->arena;
    json_field_integer(json, "median_ns", percentile(bench, 50));
    json_field_integer(json, "min_ns", bench->samples[0]);
    json_field_integer(json, "max_ns", bench->samples[bench->count - 1]);
    json_field_double(json, "mean_ns", bench->mean);
    json_key(json, "percentiles_ns");
    json_object(json);
    for (int i = 0; i < bench->percentile_count; i++)
        json_field_integer(json, arena_format(arena, "%g", bench->percentiles[i]),
                           percentile(bench, bench->percentiles[i]));
    json_close(json);
    if (bench->count > SAMPLES_SHOWN)
        return;
    json_key(json, "samples_ns"); /* sorted */
    json_array(json);
    for (size_t i = 0; i < bench->count; i++)
        json_integer(json, bench->samples[i]);
    json_close(json);
}

static bool write_json(const Bench *bench)
{
    const Options *const options = bench->session.options;
    const Library *const library = &bench->session.library;
    const lathe_api *const api = library->model->api;
    const HostFacts host = host_facts(options->arena);
    Answer answer;
    if (!answer_open(&answer, options, "lathe.bench/1"))
        return false;
    JsonWriter *const json = &answer.json;
    json_field_string(json, "model", library->model->name);
    json_field_string(json, "model_sha256", library->model->sha256);
    host_json(json, &host);
    json_field_string(json, "sizes", session_sizes(&bench->session));
    json_field_string(json, "level", api->level_name(library->context));
    json_field_integer(json, "threads", api->thread_count(library->context));
    json_field_integer(json, "warmup", option_integer(options, OPTION_WARMUP));
    json_field_integer(json, "runs", (int64_t)bench->count);
    json_field_integer(json, "arena_bytes", (int64_t)api->arena_bytes(library->context));
    json_field_integer(json, "weights_bytes", (int64_t)library->model->weights_bytes);
    write_times(json, bench);
    if (bench->baseline > 0)
        json_field_double(json, "baseline_median_ns", bench->baseline);
    return answer_close(&answer);
}

/* 0, or 1 when it became slower than allowed. */
static int judge(const Bench *bench)
{
    const Options *const options = bench->session.options;
    const double allowed = bench->baseline * (1 + option_number(options, OPTION_FAIL_IF)),
                 median = (double)percentile(bench, 50);
    if (!(bench->baseline > 0) || median <= allowed)
        return EXIT_OK;
    diag_error(options->diagnostics, EXIT_NEGATIVE, NULL,
               "the median became slower: %s, the baseline is %s and allows %s", time_text(options->arena, median),
               time_text(options->arena, bench->baseline), time_text(options->arena, allowed));
    return EXIT_NEGATIVE;
}

int verb_bench(const Options *options)
{
    Bench *const bench = NEW(options->arena, Bench);
    if (!read_percentiles(bench, options) || !read_baseline(bench, options))
        return options->diagnostics->code;
    bool good = session_open(&bench->session, options, true) && measure(bench);
    if (good && answer_wants_text(options))
        print_text(bench);
    if (good && answer_wants_json(options))
        good = write_json(bench);
    const int code = good ? judge(bench) : options->diagnostics->code;
    session_close(&bench->session);
    free(bench->samples);
    return code;
}
