/* The tuner's loop: see tuner.h. Batches of points of one kernel are built in parallel, then measured one at a time
 * while nothing else of any tuner on this machine runs. */
#include "tools/tune/tuner.h"

#include "codegen/schedule.h"
#include "tools/tune/records.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Repetitions of one measurement; nanoseconds that more of them may take. */
enum { LEAST = 7, MOST = 40, SURE_LEAST = 15, SURE_MOST = 120, CONFIRMATIONS = 3 };
static const uint64_t trial_ns = 40000000, sure_ns = 120000000, first_timeout_ns = UINT64_C(120000000000),
                      floor_ns = 1500000000;
/* A new best must take less than this share of the old one's time, and each confirmation less than the other of the
 * cost model's: less is noise. */
static const double better = 0.985, confirmed = 0.98;

double tuner_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double time_of(const TuneTask *task)
{
    return task->skipped ? 0 : task->launches * task->standard_ns;
}

static double whole_time(const Tuner *tuner, bool tuned)
{
    double total = 0;
    for (int i = 0; i < tuner->task_count; i++)
        total += time_of(&tuner->tasks[i]) * (tuned ? tuner->tasks[i].best_ratio : 1);
    return total;
}

double tuner_whole(const Tuner *tuner)
{
    const double before = whole_time(tuner, false);
    return before > 0 ? whole_time(tuner, true) / before : 1;
}

double tuner_share(const Tuner *tuner, const TuneTask *task)
{
    const double total = whole_time(tuner, false);
    return total > 0 ? time_of(task) / total : 0;
}

/* ---- measuring ---- */

/* The runner gets the task's data, unless it has them. False: stopped or given up. */
static bool hold(Tuner *tuner, TuneTask *task)
{
    Finding finding;
    if (tuner->sent == task && tuner->client.process)
        return true;
    tuner->sent = NULL;
    if (!client_task(&tuner->client, tuner->ir, task, first_timeout_ns, &finding))
        return false;
    if (finding.status != STATUS_OK)
        task->skipped = arena_format(tuner->arena, "its reference cannot run: %s", finding.detail);
    else
        tuner->sent = task;
    return true;
}

typedef struct Effort {
    uint32_t least, most;
    uint64_t budget_ns;
} Effort;
static const Effort try_effort = {LEAST, MOST, trial_ns}, sure_effort = {SURE_LEAST, SURE_MOST, sure_ns};

/* The candidates in turns. The deadline grows with what the cost model's choice takes, so that slow machines and
 * emulators are not taken for hanging. */
static bool measure(Tuner *tuner, TuneTask *task, const Built *const *candidates, int count, const Effort *effort,
                    Finding *finding)
{
    const double run = task->standard_ns * (count + 2) * (effort->least + 1);
    const RunnerMeasure facts = {
        .count = (uint32_t)count,
        .least = effort->least,
        .most = effort->most,
        .budget_ns = effort->budget_ns,
        .timeout_ns = task->standard_ns > 0 ? floor_ns + effort->budget_ns + (uint64_t)(run * 4) : first_timeout_ns};
    if (!hold(tuner, task))
        return false;
    if (task->skipped) {
        *finding = (Finding){.status = STATUS_REFUSED, .detail = task->skipped};
        return true;
    }
    return client_measure(&tuner->client, &facts, candidates, finding);
}

/* A candidate against the cost model's choice and the best so far. */
typedef struct Verdict {
    Finding finding;
    double ns, standard_ns, to_standard, to_best, least_to_standard;
} Verdict;

static bool compare(Tuner *tuner, TuneTask *task, const Built *candidate, const Effort *effort, Verdict *verdict)
{
    const Built *candidates[CANDIDATES_MAX] = {&task->standard};
    int count = 1;
    if (task->best.object && candidate != &task->best)
        candidates[count++] = &task->best;
    candidates[count] = candidate;
    *verdict = (Verdict){.to_standard = 1, .to_best = 1};
    if (!measure(tuner, task, candidates, count + 1, effort, &verdict->finding))
        return false;
    const Finding *const found = &verdict->finding;
    if (found->status != STATUS_OK || found->repetitions < 1)
        return true;
    verdict->ns = found->quartile[count];
    verdict->standard_ns = found->quartile[0];
    verdict->to_standard = verdict->ns / found->quartile[0];
    verdict->to_best = verdict->ns / found->quartile[count - 1];
    verdict->least_to_standard = found->least[count] / found->least[0];
    return true;
}

static int by_number(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

/* Does the candidate win each of several longer comparisons? *ratio: the median one to the cost model's choice. */
static bool wins(Tuner *tuner, TuneTask *task, const Built *candidate, Verdict *last, double *ratio, bool *won)
{
    double ratios[CONFIRMATIONS];
    *won = true;
    for (int i = 0; i < CONFIRMATIONS && *won; i++) {
        if (!compare(tuner, task, candidate, &sure_effort, last))
            return false;
        *won = last->finding.status == STATUS_OK && last->to_standard < confirmed && last->to_best < 1;
        ratios[i] = last->to_standard;
    }
    if (*won) {
        qsort(ratios, CONFIRMATIONS, sizeof *ratios, by_number);
        *ratio = ratios[CONFIRMATIONS / 2];
    }
    return true;
}

/* ---- trials ---- */

static bool record(Tuner *tuner, TuneTask *task, const Point *point, const char *label, TrialRow row)
{
    row.template = point->count ? point->values[0].choice : "";
    row.space = template_space(row.template);
    row.values = point->text;
    const TunerEvent event = {task, &row, label};
    if (tuner->storage && !storage_trial(tuner->storage, task->row, &row))
        return false;
    tuner->event(tuner->context, &event);
    return true;
}

static bool try_point(Tuner *tuner, TuneTask *task, const Point *point, BuildJob *job)
{
    Verdict verdict = {.to_standard = 1};
    bool won = false;
    double ratio = 1;
    TrialRow row = {.number = task->trials + 1, .state = "build", .detail = job->failure ? job->failure : ""};
    if (job->built.object) {
        if (!compare(tuner, task, &job->built, &try_effort, &verdict))
            return false;
        const bool promising = verdict.finding.status == STATUS_OK && verdict.to_best < better &&
                               verdict.to_standard < better && verdict.least_to_standard < 1;
        row.state = status_name(verdict.finding.status);
        row.detail = verdict.finding.detail;
        row.ns = verdict.ns;
        row.standard_ns = verdict.standard_ns;
        if (promising && !wins(tuner, task, &job->built, &verdict, &ratio, &won))
            return false;
        if (won) {
            row.ns = ratio * task->standard_ns;
            row.standard_ns = task->standard_ns;
        }
        row.promoted = won;
    }
    task->trials++;
    task->failures += strcmp(row.state, "ok") != 0;
    tuner->trials++;
    task_see(task, tuner->arena, point->text);
    if (won) {
        free(task->best.object);
        task->best = job->built;
        task->best_point = *point;
        task->best_ratio = ratio;
        task->best_ns = ratio * task->standard_ns;
        job->built.object = NULL;
    }
    return record(tuner, task, point, job->built.label, row);
}

/* ---- before ---- */

typedef struct Restoring {
    Tuner *tuner;
    TuneTask *task;
} Restoring;

static void restore_trial(void *context, const TrialRow *trial)
{
    const Restoring *const restoring = context;
    Tuner *const tuner = restoring->tuner;
    TuneTask *const task = restoring->task;
    Point point = {.text = trial->values};
    task->recorded = task->recorded || trial->number == 0;
    if (trial->number == 0 ||
        !values_parse(trial->values, strlen(trial->values), tuner->arena, point.values, &point.count))
        return;
    task->trials = trial->number > task->trials ? trial->number : task->trials;
    task->failures += strcmp(trial->state, "ok") != 0;
    tuner->trials++;
    tuner->resumed++;
    task_see(task, tuner->arena, trial->values);
    if (trial->promoted && trial->space == template_space(trial->template) && trial->standard_ns > 0) {
        task->best_point = point;
        task->best_ratio = trial->ns / trial->standard_ns;
    }
}

static bool restore(Tuner *tuner)
{
    for (int i = 0; i < tuner->task_count; i++) {
        TuneTask *const task = &tuner->tasks[i];
        Restoring restoring = {tuner, task};
        if (task->skipped || !tuner->storage)
            continue;
        task->row = storage_task(tuner->storage, tuner->study, task->key, task->text, task->name);
        if (!task->row || !storage_trials(tuner->storage, task->row, restore_trial, &restoring))
            return false;
    }
    return true;
}

/* The reference, the cost model's choice and, of an earlier run, the best, of all tasks at once. */
static bool build_all(Tuner *tuner)
{
    BuildJob *const jobs = NEW_ARRAY(tuner->arena, BuildJob, (size_t)tuner->task_count * 3 + 1);
    int count = 0;
    for (int i = 0; i < tuner->task_count; i++) {
        TuneTask *const task = &tuner->tasks[i];
        if (task->skipped)
            continue;
        jobs[count++] = (BuildJob){.task = task};
        jobs[count++] = (BuildJob){.task = task, .point = &task->standard_point};
        if (task->best_point.count)
            jobs[count++] = (BuildJob){.task = task, .point = &task->best_point};
    }
    const bool built =
        machine_lock(tuner->machine, MACHINE_SHARED, tuner->stop) && builder_build(&tuner->builder, jobs, count);
    machine_lock(tuner->machine, MACHINE_FREE, tuner->stop);
    for (int i = 0; i < count && built; i++) {
        TuneTask *const task = &tuner->tasks[jobs[i].task - tuner->tasks];
        if (!jobs[i].point)
            task->reference = jobs[i].built;
        else if (jobs[i].point == &task->standard_point)
            task->standard = jobs[i].built;
        else
            task->best = jobs[i].built;
        if (!jobs[i].built.object && jobs[i].point != &task->best_point)
            task->skipped = jobs[i].failure;
    }
    return built;
}

static bool measure_standard(Tuner *tuner, TuneTask *task)
{
    const Built *const candidates[] = {&task->standard};
    Finding finding;
    if (!measure(tuner, task, candidates, 1, &try_effort, &finding))
        return false;
    if (finding.status != STATUS_OK || finding.repetitions < 1) {
        task->skipped = arena_format(tuner->arena, "what the cost model takes cannot run (%s): %s",
                                     status_name(finding.status), finding.detail);
        return true;
    }
    task->standard_ns = finding.quartile[0];
    task->best_ns = task->best_ratio * task->standard_ns;
    task->ready = true;
    if (!task->best_point.count || !task->best.object) {
        task->best_point = task->standard_point;
        task->best_ratio = 1;
        task->best_ns = task->standard_ns;
    }
    return task->recorded ||
           record(tuner, task, &task->standard_point, task->standard.label,
                  (TrialRow){.state = "ok", .detail = "", .ns = task->standard_ns, .standard_ns = task->standard_ns});
}

bool tuner_prepare(Tuner *tuner)
{
    for (int i = 0; i < tuner->task_count; i++) {
        TuneTask *const task = &tuner->tasks[i];
        if (!task->skipped && search_propose(&tuner->search, task, tuner->arena, NULL, 0, &task->standard_point) < 0 &&
            !*tuner->stop)
            task->skipped = "its space cannot be asked";
    }
    if (*tuner->stop || !restore(tuner) || !build_all(tuner) ||
        !machine_lock(tuner->machine, MACHINE_ALONE, tuner->stop))
        return false;
    bool good = true;
    for (int i = 0; i < tuner->task_count && good; i++) {
        if (!tuner->tasks[i].skipped)
            good = measure_standard(tuner, &tuner->tasks[i]);
        tuner->tick(tuner->context);
    }
    machine_lock(tuner->machine, MACHINE_FREE, tuner->stop);
    return good && !*tuner->stop;
}

/* ---- the search ---- */

/* Trials go where time is spent. */
static TuneTask *next_task(const Tuner *tuner)
{
    TuneTask *found = NULL;
    double most = 0;
    for (int i = 0; i < tuner->task_count; i++) {
        TuneTask *const task = &tuner->tasks[i];
        const double worth = time_of(task) / (1 + (double)task->trials / tuner->batch);
        if (task->skipped || task->exhausted || worth <= most)
            continue;
        most = worth;
        found = task;
    }
    return found;
}

static bool over(const Tuner *tuner)
{
    return *tuner->stop || (tuner->trials_most > 0 && tuner->trials >= tuner->trials_most) || tuner_now() > tuner->end;
}

static bool try_batch(Tuner *tuner, TuneTask *task)
{
    enum { BATCH_MAX = 256 };
    Point *const points = NEW_ARRAY(tuner->arena, Point, BATCH_MAX), standard;
    BuildJob jobs[BATCH_MAX] = {{0}};
    int most = tuner->batch < BATCH_MAX ? tuner->batch : BATCH_MAX;
    if (tuner->trials_most > 0 && tuner->trials_most - tuner->trials < most)
        most = (int)(tuner->trials_most - tuner->trials);
    const int count = search_propose(&tuner->search, task, tuner->arena, points, most, &standard);
    if (count <= 0) {
        task->exhausted = true;
        return true;
    }
    for (int i = 0; i < count; i++)
        jobs[i] = (BuildJob){.task = task, .point = &points[i]};
    bool good = machine_lock(tuner->machine, MACHINE_SHARED, tuner->stop) &&
                builder_build(&tuner->builder, jobs, count) && machine_lock(tuner->machine, MACHINE_ALONE, tuner->stop);
    for (int i = 0; i < count; i++) {
        if (good && !over(tuner) && !task->skipped)
            good = try_point(tuner, task, &points[i], &jobs[i]);
        free(jobs[i].built.object);
        tuner->tick(tuner->context);
    }
    machine_lock(tuner->machine, MACHINE_FREE, tuner->stop);
    return good;
}

bool tuner_search(Tuner *tuner)
{
    while (!over(tuner)) {
        TuneTask *const task = next_task(tuner);
        if (!task)
            return true;
        if (!try_batch(tuner, task))
            return *tuner->stop;
    }
    return true;
}

bool tuner_confirm(Tuner *tuner)
{
    bool good = machine_lock(tuner->machine, MACHINE_ALONE, tuner->stop);
    for (int i = 0; i < tuner->task_count && good; i++) {
        TuneTask *const task = &tuner->tasks[i];
        Verdict verdict;
        bool won = false;
        if (task->skipped || !task->best.object)
            continue;
        good = wins(tuner, task, &task->best, &verdict, &task->best_ratio, &won);
        task->best_ns = task->best_ratio * task->standard_ns;
        tuner->tick(tuner->context);
        if (!good || won)
            continue;
        free(task->best.object);
        task->best = (Built){0};
        task->best_point = task->standard_point;
        task->best_ratio = 1;
        task->best_ns = task->standard_ns;
    }
    machine_lock(tuner->machine, MACHINE_FREE, tuner->stop);
    return good || *tuner->stop;
}

void tuner_close(Tuner *tuner)
{
    client_close(&tuner->client);
    for (int i = 0; i < tuner->task_count; i++) {
        free(tuner->tasks[i].reference.object);
        free(tuner->tasks[i].standard.object);
        free(tuner->tasks[i].best.object);
    }
}
