/* lathe tune: measures schedules for a model's kernels and writes down the best as tuning records. */
#include "tools/verbs.h"

#include "targets/machine.h"
#include "tools/answer.h"
#include "tools/arguments.h"
#include "tools/pipeline.h"
#include "tools/temporary.h"
#include "tools/tune/export.h"
#include "tools/tune/tuner.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INTERRUPTED = 130, TERMINATED = 143, BATCH_LEAST = 8, DRY_MOST = 10000 };
/* Of the time, for the last comparisons. */
static const double confirm_share = 0.1;

static volatile bool stopped;
static volatile sig_atomic_t stop_signal;

static void on_stop(int number)
{
    stop_signal = number;
    stopped = true;
}

typedef struct Tune {
    Pipeline pipeline;
    Tuner tuner;
    StudyKey study;
    const Options *options;
    Progress progress;
    FileWriter json_file;
    JsonWriter json;
    bool has_json;
    char note[200];
    int64_t failures;
    double start;
} Tune;

/* ---- what is said meanwhile ---- */

static const TuneTask *best_task(const Tuner *tuner)
{
    const TuneTask *best = NULL;
    for (int i = 0; i < tuner->task_count; i++)
        if (!tuner->tasks[i].skipped && (!best || tuner->tasks[i].best_ratio < best->best_ratio))
            best = &tuner->tasks[i];
    return best;
}

static void show(void *context)
{
    Tune *const tune = context;
    const TuneTask *const best = best_task(&tune->tuner);
    if (best)
        snprintf(tune->note, sizeof tune->note, "model %+.1f%%, %.60s %+.1f%%", (tuner_whole(&tune->tuner) - 1) * 100,
                 best->name, (best->best_ratio - 1) * 100);
    progress_update(&tune->progress, tune->tuner.trials, tune->note);
}

static void on_trial(void *context, const TunerEvent *event)
{
    Tune *const tune = context;
    JsonWriter *const json = &tune->json;
    const TrialRow *const trial = event->trial;
    const bool failed = strcmp(trial->state, "ok") != 0;
    tune->failures += failed;
    if (option_given(tune->options, OPTION_VERBOSE) && !option_given(tune->options, OPTION_QUIET)) {
        progress_wipe(&tune->progress);
        fprintf(stderr, "%s %d: %s, %.1f us (%.1f us), %s%s%s\n", event->task->name, trial->number,
                event->label ? event->label : trial->values, trial->ns * 1e-3, trial->standard_ns * 1e-3, trial->state,
                trial->promoted ? ", best so far" : "", failed ? trial->detail : "");
    }
    if (!tune->has_json)
        return;
    json_object(json);
    json_field_string(json, "event", "trial");
    json_field_string(json, "kernel", event->task->key);
    json_field_string(json, "name", event->task->name);
    json_field_integer(json, "number", trial->number);
    json_field_string(json, "state", trial->state);
    json_field_string(json, "schedule", event->label);
    json_field_double(json, "ns", trial->ns);
    json_field_double(json, "default_ns", trial->standard_ns);
    json_field_bool(json, "best", trial->promoted);
    if (failed)
        json_field_string(json, "detail", trial->detail);
    json_close(json);
    fflush(json->file);
}

/* ---- before ---- */

static bool read_search(Tune *tune)
{
    Search *const search = &tune->tuner.search;
    const Options *const options = tune->options;
    *search = (Search){.ir = tune->pipeline.ir,
                       .target = tune->tuner.target,
                       .kind = option_is(options, OPTION_SEARCH, "random")       ? SEARCH_RANDOM
                               : option_is(options, OPTION_SEARCH, "exhaustive") ? SEARCH_EXHAUSTIVE
                                                                                 : SEARCH_EVOLUTIONARY,
                       .seed = (uint64_t)option_integer(options, OPTION_SEED),
                       .stop = &stopped};
    tune->tuner.trials_most = option_integer(options, OPTION_TRIALS);
    return true;
}

/* One level is measured: the one that runs, or that the runner's machine is. */
static bool choose_level(Tune *tune)
{
    const Pipeline *const pipeline = &tune->pipeline;
    const TargetMachineInfo *const target = tune->tuner.target = pipeline->build.levels[0];
    if (pipeline->build.level_count > 1)
        return diag_error(pipeline->diagnostics, EXIT_USAGE, NULL,
                          "tune measures one level at a time, not %d: name it with --cpu, for example --cpu %s",
                          pipeline->build.level_count, target->name);
    if (target->family->system == SYSTEM_HOSTED &&
        (target_runs_here(target) || option_given(tune->options, OPTION_RUNNER)))
        return true;
    if (target->family->system != SYSTEM_HOSTED)
        return diag_error(pipeline->diagnostics, EXIT_UNSUPPORTED, NULL, "kernels of %s cannot be measured yet",
                          target->name);
    diag_error(pipeline->diagnostics, EXIT_DEVICE, NULL, "this machine does not run %s", target->name);
    diag_hint(pipeline->diagnostics, "measure where it does: --runner 'ssh board lathe-runner'");
    return false;
}

/* Sizes of symbolic models: the best of --dim, else what the model's checks allow. */
static bool choose_sizes(Tune *tune, SymbolValue **values)
{
    const Program *const program = &tune->pipeline.program;
    const Options *const options = tune->options;
    *values = NEW_ARRAY(options->arena, SymbolValue, (size_t)program->symbol_count + 1);
    for (int i = 0; i < program->symbol_count; i++)
        (*values)[i].symbol = program->symbols[i].symbol;
    for (int i = 0; i < option_count(options, OPTION_DIM); i++) {
        DimArgument dim;
        if (!dim_argument_parse(&dim, option_at(options, OPTION_DIM, i), options->arena, options->diagnostics))
            return false;
        for (int j = 0; j < program->symbol_count; j++)
            if (strcmp((*values)[j].symbol->payload.name, dim.symbol) == 0)
                (*values)[j].value = dim.best;
    }
    return symbols_choose(program, *values) ||
           diag_error(options->diagnostics, EXIT_USAGE, NULL,
                      "no sizes were found that the model takes; say some with --dim NAME=LOW..HIGH@SIZE");
}

static bool find_tasks(Tune *tune)
{
    Tuner *const tuner = &tune->tuner;
    Pipeline *const pipeline = &tune->pipeline;
    SymbolValue *values;
    if (!choose_sizes(tune, &values))
        return false;
    const int threads = tune->study.threads ? tune->study.threads : 1;
    tuner->search.threads = threads;
    tuner->tasks =
        tasks_find(&pipeline->program, 0, threads, values, pipeline->program.symbol_count, &tuner->task_count);
    tuner->builder = (Builder){.ir = pipeline->ir,
                               .arena = tuner->arena,
                               .target = tuner->target,
                               .values = values,
                               .value_count = pipeline->program.symbol_count,
                               .jobs = pipeline->build.workers,
                               .stop = &stopped};
    tuner->batch = pipeline->build.workers * 2 > BATCH_LEAST ? pipeline->build.workers * 2 : BATCH_LEAST;
    return true;
}

static bool open_runner(Tune *tune)
{
    Client *const client = &tune->tuner.client;
    *client = (Client){.command = option_text(tune->options, OPTION_RUNNER),
                       .arena = tune->tuner.arena,
                       .diagnostics = tune->tuner.diagnostics,
                       .stop = &stopped};
    if (!client_open(client))
        return false;
    if (!client->hello.confined && !option_given(tune->options, OPTION_QUIET))
        fprintf(stderr, "lathe: warning: where candidates run, system calls cannot be filtered; limits of time and "
                        "memory hold\n");
    tune->study.threads = (int)option_integer(tune->options, OPTION_THREADS);
    if (tune->study.threads == 0)
        tune->study.threads = (int)client->hello.cores;
    tune->study.threads = tune->study.threads < 1 ? 1 : tune->study.threads > 256 ? 256 : tune->study.threads;
    tune->tuner.machine = client->command ? -1 : machine_open();
    return true;
}

/* What measures, and with --machine the numbers from which the cost model starts: other numbers are another study. */
static const char *machine_text(const Tune *tune)
{
    const char *text = tune->tuner.client.hello.machine;
    for (int i = 0; i < machine_field_count && option_given(tune->options, OPTION_MACHINE); i++)
        text = arena_format(tune->tuner.arena, "%s%s%s=%.17g", text, i ? " " : "; ", machine_fields[i].name,
                            machine_number(tune->tuner.target, &machine_fields[i]));
    return text;
}

static bool open_storage(Tune *tune)
{
    Tuner *const tuner = &tune->tuner;
    const Options *const options = tune->options;
    const bool resume = option_given(options, OPTION_RESUME);
    bool found;
    const char *const path = storage_path(option_text(options, OPTION_STORAGE), tuner->arena, tuner->diagnostics);
    tuner->storage = path ? storage_open(path, tuner->arena, tuner->diagnostics) : NULL;
    if (!tuner->storage)
        return false;
    tune->study.model = tune->pipeline.build.info.name;
    tune->study.model_sha256 = pipeline_sha256(&tune->pipeline);
    tune->study.target = tuner->target->name;
    tune->study.features = tuner->target->features;
    tune->study.machine = machine_text(tune);
    tune->study.tool = "lathe " LATHE_VERSION;
    tuner->study = storage_study(tuner->storage, &tune->study, resume, &found);
    if (resume && !found && tuner->study)
        diag_warning(
            tuner->diagnostics, NULL,
            "there is nothing to resume for this model, target, machine and number of threads; beginning anew");
    return tuner->study != 0;
}

/* ---- after ---- */

static void print_table(const Tune *tune)
{
    const Tuner *const tuner = &tune->tuner;
    printf("%-28s %7s %11s %11s %7s %6s  %s\n", "kernel", "share", "default", "best", "gain", "trials", "schedule");
    for (int i = 0; i < tuner->task_count; i++) {
        const TuneTask *const task = &tuner->tasks[i];
        if (task->skipped) {
            printf("%-28.28s %7s  not tuned: %s\n", task->name, "", task->skipped);
            continue;
        }
        if (!task->ready)
            continue;
        printf("%-28.28s %6.1f%% %8.1f us %8.1f us %+6.1f%% %6d  %s\n", task->name, tuner_share(tuner, task) * 100,
               task->standard_ns * 1e-3, task->best_ns * 1e-3, (task->best_ratio - 1) * 100, task->trials,
               task->best.object ? task->best.label : "as it was");
    }
    printf("%lld trials, %lld of them failed; the whole model: %+.1f%% of its time by the sum of its kernels\n",
           (long long)tuner->trials, (long long)tune->failures, (tuner_whole(tuner) - 1) * 100);
}

static void write_result(Tune *tune)
{
    JsonWriter *const json = &tune->json;
    const Tuner *const tuner = &tune->tuner;
    json_document(json, "lathe.tune/1", LATHE_VERSION);
    json_field_string(json, "event", "result");
    json_field_string(json, "model", tune->study.model);
    json_field_string(json, "model_sha256", tune->study.model_sha256);
    json_field_string(json, "target", tune->study.target);
    json_field_string(json, "machine", tune->study.machine);
    json_field_integer(json, "threads", tune->study.threads);
    json_field_integer(json, "trials", tuner->trials);
    json_field_integer(json, "resumed", tuner->resumed);
    json_field_integer(json, "failed", tune->failures);
    json_field_double(json, "time_ratio", tuner_whole(tuner));
    json_key(json, "kernels");
    json_array(json);
    for (int i = 0; i < tuner->task_count; i++) {
        const TuneTask *const task = &tuner->tasks[i];
        json_object(json);
        json_field_string(json, "kernel", task->key);
        json_field_string(json, "name", task->name);
        json_field_double(json, "share", tuner_share(tuner, task));
        json_field_integer(json, "trials", task->trials);
        json_field_double(json, "default_ns", task->standard_ns);
        json_field_double(json, "ns", task->best_ns);
        json_field_string(json, "schedule", task->best.object ? task->best.label : task->standard.label);
        json_field_string(json, "not_tuned", task->skipped);
        json_close(json);
    }
    json_close(json);
    json_close(json);
}

/* ---- the verb ---- */

static bool dry_run(Tune *tune)
{
    const Tuner *const tuner = &tune->tuner;
    printf("%-28s %8s %9s  %s\n", "kernel", "launches", "points", "roles");
    for (int i = 0; i < tuner->task_count; i++) {
        const TuneTask *const task = &tuner->tasks[i];
        if (task->skipped) {
            printf("%-28.28s not tuned: %s\n", task->name, task->skipped);
            continue;
        }
        const int64_t points = search_count(&tuner->search, task, tuner->arena, DRY_MOST);
        printf("%-28.28s %8d %8lld%s  %s\n", task->name, task->launches, (long long)points,
               points == DRY_MOST ? "+" : " ", task->roles);
    }
    return true;
}

static bool search_and_write(Tune *tune)
{
    Tuner *const tuner = &tune->tuner;
    const Options *const options = tune->options;
    const double seconds = option_number(options, OPTION_TIMEOUT);
    char folder[] = "/tmp/lathe-tune-XXXXXX";
    if (!temporary_folder_make(folder))
        return diag_error(tuner->diagnostics, EXIT_IO, NULL, "no folder can be made in /tmp");
    tuner->builder.folder = folder;
    tuner->end = tune->start + seconds * (1 - confirm_share);
    tune->progress = progress_open(stderr,
                                   option_given(options, OPTION_QUIET)
                                       ? PROGRESS_NONE
                                       : progress_mode(option_text(options, OPTION_PROGRESS), stderr),
                                   "trials", tuner->trials_most, NULL, NULL);
    bool good = tuner_prepare(tuner) && tuner_search(tuner);
    if (good && !stopped)
        good = tuner_confirm(tuner);
    show(tune);
    progress_close(&tune->progress, tune->note);
    temporary_folder_remove(folder);
    temporary_forget(folder);
    if (!good && !stopped)
        return false;
    if (tuner->diagnostics->error_count > 0)
        return false;
    if (!records_write(tuner, &tune->study, option_text(options, OPTION_OUTPUT)))
        return false;
    if (answer_wants_text(options) && !option_given(options, OPTION_QUIET))
        print_table(tune);
    if (tune->has_json) {
        write_result(tune);
        tune->has_json = false;
        return file_writer_commit(&tune->json_file);
    }
    return true;
}

static bool open_json(Tune *tune)
{
    const char *const path = option_text(tune->options, OPTION_JSON);
    if (!answer_wants_json(tune->options))
        return true;
    tune->has_json = file_writer_open(&tune->json_file, path && *path ? path : "-", tune->options->arena,
                                      tune->options->diagnostics);
    tune->json = json_writer(tune->json_file.file, true);
    return tune->has_json;
}

static bool check_usage(const Options *options)
{
    if (option_given(options, OPTION_DRY_RUN))
        return true;
    if (option_count(options, OPTION_OUTPUT) != 1)
        return diag_error(options->diagnostics, EXIT_USAGE, NULL,
                          "tune needs one -o RECORDS, such as -o model.tune.jsonl");
    return option_integer(options, OPTION_LEVEL) > 0 ||
           diag_error(options->diagnostics, EXIT_USAGE, NULL, "-O0 leaves nothing to tune");
}

static bool tune_model(Tune *tune)
{
    Pipeline *const pipeline = &tune->pipeline;
    const bool dry = option_given(tune->options, OPTION_DRY_RUN);
    if (!pipeline_start(pipeline, tune->options) || !check_usage(tune->options) || (!dry && !choose_level(tune)) ||
        !pipeline_import(pipeline, tune->options->arguments[0]) || !pipeline_passes(pipeline) ||
        !pipeline_program(pipeline))
        return false;
    tune->tuner.target = pipeline->build.levels[0];
    tune->tuner.ir = pipeline->ir;
    const struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    read_search(tune);
    if (dry)
        return find_tasks(tune) && dry_run(tune);
    return open_runner(tune) && find_tasks(tune) && open_json(tune) && open_storage(tune) && search_and_write(tune);
}

int verb_tune(const Options *options)
{
    Tune *const tune = NEW(options->arena, Tune);
    tune->options = options;
    tune->start = tuner_now();
    tune->tuner.arena = options->arena;
    tune->tuner.diagnostics = options->diagnostics;
    tune->tuner.stop = &stopped;
    tune->tuner.event = on_trial;
    tune->tuner.tick = show;
    tune->tuner.context = tune;
    tune->tuner.machine = -1;
    const bool good = tune_model(tune);
    if (tune->has_json)
        file_writer_abandon(&tune->json_file);
    tuner_close(&tune->tuner);
    storage_close(tune->tuner.storage);
    pipeline_close(&tune->pipeline);
    if (stopped && (good || options->diagnostics->error_count == 0))
        return stop_signal == SIGTERM ? TERMINATED : INTERRUPTED;
    return good ? EXIT_OK : options->diagnostics->code;
}
