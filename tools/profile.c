/* lathe profile: what each launch of a model takes, and how far that is from what the machine can do. */
#include "tools/verbs.h"

#include "tools/answer.h"
#include "tools/host.h"
#include "tools/session.h"

#include <stdlib.h>
#include <string.h>

enum { RUNS_LEAST = 5, RUNS_MOST = 100000, READ_BYTES = 512 << 20 /* more than caches hold */ };
static const double least_time = 1e9; /* nanoseconds of profiled runs */

typedef struct Launch {
    int number; /* in order of execution */
    lathe_launch_info info;
    double wall; /* nanoseconds per run */
} Launch;

typedef struct Profile {
    Session session;
    Launch *launches; /* slowest first */
    int count;
    int64_t runs;
    double total;     /* nanoseconds of all launches per run */
    double run;       /* nanoseconds per run, seen from outside */
    double peak;      /* operations per second of all threads of the model together */
    double bandwidth; /* bytes per second that they read from memory together */
    int threads;
} Profile;

static int by_time(const void *a, const void *b)
{
    const Launch *const left = a, *const right = b;
    if (left->wall != right->wall)
        return left->wall > right->wall ? -1 : 1;
    return left->number - right->number;
}

/* Before the runs and after them, for the clock of a machine changes: half of the mean each time. */
static void measure_limits(Profile *profile)
{
    profile->peak += host_peak_flops(profile->threads, 0) / 2;
    profile->bandwidth += host_read_bandwidth(profile->threads, 0, READ_BYTES / profile->threads) / 2;
}

static bool measure(Profile *profile)
{
    Session *const session = &profile->session;
    Library *const library = &session->library;
    const lathe_api *const api = library->model->api;
    int64_t took;
    double total = 0;
    for (int64_t i = option_integer(session->options, OPTION_WARMUP); i > 0; i--)
        if (!session_run(session, &took))
            return false;
    profile->threads = api->thread_count(library->context);
    measure_limits(profile);
    if (api->profile(library->context, 1) != 0)
        return diag_error(library->diagnostics, EXIT_DEVICE, NULL, "%s: %s", library->model->name,
                          api->error_text(library->context));
    while ((total < least_time || profile->runs < RUNS_LEAST) && profile->runs < RUNS_MOST) {
        if (!session_run(session, &took))
            return false;
        total += (double)took;
        profile->runs++;
    }
    profile->run = total / (double)profile->runs;
    profile->count = (int)library->model->launch_count;
    profile->launches = NEW_ARRAY(library->arena, Launch, (size_t)profile->count + 1);
    for (int i = 0; i < profile->count; i++) {
        Launch *const launch = &profile->launches[i];
        *launch = (Launch){.number = i, .info = {.size = sizeof launch->info}};
        if (api->launch_info(library->context, i, &launch->info) != 0)
            return diag_error(library->diagnostics, EXIT_DEVICE, NULL, "%s: %s", library->model->name,
                              api->error_text(library->context));
        /* Per run of the model: launches of a loop's body run many times, others of a branch not always. */
        const double times = (double)launch->info.runs / (double)profile->runs;
        launch->wall = (double)launch->info.wall_ns / (double)profile->runs;
        launch->info.flops = (int64_t)((double)launch->info.flops * times);
        launch->info.bytes = (int64_t)((double)launch->info.bytes * times);
        profile->total += launch->wall;
    }
    measure_limits(profile);
    return true;
}

/* Both are 0 where nothing is known. */
static double per_second(double amount, double nanoseconds)
{
    return nanoseconds > 0 ? amount / nanoseconds * 1e9 : 0;
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void print_text(const Profile *profile)
{
    Arena *const arena = profile->session.options->arena;
    const lathe_model_v1 *const model = profile->session.library.model;
    const int64_t top = option_integer(profile->session.options, OPTION_PROFILE_TOP);
    printf("%s: %.3f ms per run, %.3f ms in %d launches; measured on %d thread%s: peak %.1f GFLOP/s (fp32 "
           "multiply-adds), %.1f GB/s read from memory (above 100 %%: from caches); busy: of the "
           "threads' time from a launch's start to its end\n",
           model->name, profile->run * 1e-6, profile->total * 1e-6, profile->count, profile->threads,
           profile->threads == 1 ? "" : "s at once", profile->peak * 1e-9, profile->bandwidth * 1e-9);
    printf("%9s %6s %9s %6s %8s %6s %6s  %s\n", "ms", "%", "GFLOP/s", "%peak", "GB/s", "%band", "%busy",
           "kernel: ONNX nodes");
    for (int i = 0; i < profile->count && i < top; i++) {
        const Launch *const launch = &profile->launches[i];
        const double flops = per_second((double)launch->info.flops, launch->wall);
        const double bytes = per_second((double)launch->info.bytes, launch->wall);
        const double busy = (double)launch->info.busy_ns / (double)profile->runs;
        printf("%9.4f %6.1f %9.2f %6.1f %8.2f %6.1f %6.1f  %s: %s\n", launch->wall * 1e-6,
               share(launch->wall, profile->total) * 100, flops * 1e-9, share(flops, profile->peak) * 100, bytes * 1e-9,
               share(bytes, profile->bandwidth) * 100, share(busy, launch->wall * profile->threads) * 100,
               diag_quote(arena, launch->info.kernel_name, 40), diag_quote(arena, launch->info.name, 120));
    }
    if (profile->count > top)
        printf("and %lld more launches (--top)\n", (long long)(profile->count - top));
}

static bool write_json(const Profile *profile)
{
    const Options *const options = profile->session.options;
    const lathe_model_v1 *const model = profile->session.library.model;
    const HostFacts host = host_facts(options->arena);
    Answer answer;
    if (!answer_open(&answer, options, "lathe.profile/1"))
        return false;
    JsonWriter *const json = &answer.json;
    json_field_string(json, "model", model->name);
    json_field_string(json, "model_sha256", model->sha256);
    host_json(json, &host);
    json_field_string(json, "sizes", session_sizes(&profile->session));
    json_field_string(json, "level", model->api->level_name(profile->session.library.context));
    json_field_integer(json, "threads", profile->threads);
    json_field_integer(json, "runs", profile->runs);
    json_field_double(json, "run_ns", profile->run);
    json_field_double(json, "launches_ns", profile->total);
    json_field_double(json, "peak_flops_per_second", profile->peak);
    json_field_double(json, "read_bytes_per_second", profile->bandwidth);
    json_key(json, "launches"); /* slowest first */
    json_array(json);
    for (int i = 0; i < profile->count; i++) {
        const Launch *const launch = &profile->launches[i];
        json_object(json);
        json_field_integer(json, "number", launch->number);
        json_field_string(json, "kernel", launch->info.kernel_name);
        json_field_string(json, "nodes", launch->info.name);
        json_field_double(json, "wall_ns", launch->wall);
        json_field_double(json, "busy_ns", (double)launch->info.busy_ns / (double)profile->runs);
        json_field_double(json, "share", share(launch->wall, profile->total));
        json_field_integer(json, "flops", launch->info.flops);
        json_field_integer(json, "bytes", launch->info.bytes);
        json_field_double(json, "peak_share",
                          share(per_second((double)launch->info.flops, launch->wall), profile->peak));
        json_field_double(json, "bandwidth_share",
                          share(per_second((double)launch->info.bytes, launch->wall), profile->bandwidth));
        json_close(json);
    }
    json_close(json);
    return answer_close(&answer);
}

static int by_number(const void *a, const void *b)
{
    return ((const Launch *)a)->number - ((const Launch *)b)->number;
}

/* One run as a timeline: launches one after the other, each as long as it takes on average. */
static bool write_trace(Profile *profile, const char *path)
{
    const Options *const options = profile->session.options;
    FileWriter writer;
    double at = 0;
    if (!file_writer_open(&writer, path, options->arena, options->diagnostics))
        return false;
    qsort(profile->launches, (size_t)profile->count, sizeof *profile->launches, by_number);
    JsonWriter json = json_writer(writer.file, false);
    json_object(&json);
    json_field_string(&json, "displayTimeUnit", "ns");
    json_key(&json, "traceEvents");
    json_array(&json);
    for (int i = 0; i < profile->count; i++) {
        const Launch *const launch = &profile->launches[i];
        json_object(&json);
        json_field_string(&json, "name", launch->info.name);
        json_field_string(&json, "cat", "launch");
        json_field_string(&json, "ph", "X");
        json_field_double(&json, "ts", at * 1e-3); /* microseconds */
        json_field_double(&json, "dur", launch->wall * 1e-3);
        json_field_integer(&json, "pid", 1);
        json_field_integer(&json, "tid", 1);
        json_key(&json, "args");
        json_object(&json);
        json_field_string(&json, "kernel", launch->info.kernel_name);
        json_field_integer(&json, "flops", launch->info.flops);
        json_field_integer(&json, "bytes", launch->info.bytes);
        json_close(&json);
        json_close(&json);
        at += launch->wall;
    }
    json_close(&json);
    json_close(&json);
    return file_writer_commit(&writer);
}

int verb_profile(const Options *options)
{
    Profile *const profile = NEW(options->arena, Profile);
    const char *const trace = option_text(options, OPTION_TRACE);
    bool good = session_open(&profile->session, options, true) && measure(profile);
    if (good)
        qsort(profile->launches, (size_t)profile->count, sizeof *profile->launches, by_time);
    if (good && answer_wants_text(options))
        print_text(profile);
    if (good && answer_wants_json(options))
        good = write_json(profile);
    if (good && trace)
        good = write_trace(profile, trace);
    session_close(&profile->session);
    return good ? EXIT_OK : options->diagnostics->code;
}
