/* Choosing templates: see schedule.h. */
#include "codegen/schedule.h"

#include "codegen/attention.h"
#include "codegen/block.h"
#include "codegen/contract.h"
#include "codegen/dots.h"
#include "codegen/gpu.h"
#include "codegen/recurrent.h"
#include "codegen/tiles.h"
#include "codegen/window.h"
#include "codegen/winograd.h"
#include "ir/loops.h"
#include "ir/procedure.h"
#include "ir/roles.h"

#include <string.h>

enum { LOOPS_SPACE = 1, LANES_MAX = 64 };

/* Lanes of the widest element that the kernel touches, so that no vector is wider than four registers. */
static int lanes_for(const Node *kernel, const TargetMachineInfo *target)
{
    int widest = 8, narrowest = 64;
    const int buffers = kernel_buffer_count(kernel);
    for (int i = 0; i < buffers; i++) {
        const int bits = dtype_info[dtype_compute(kernel->inputs[i]->type.dtype)].bits;
        widest = bits > widest ? bits : widest;
        narrowest = bits < narrowest ? bits : narrowest;
    }
    const int lanes = target->vector_bytes * 8 / (narrowest < 32 ? 32 : narrowest);
    return lanes < 1 ? 1 : lanes;
}

Node *kernel_schedule_plain(Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    if (target->gpu)
        return gpu_loops_schedule(ir, kernel, target);
    const LoopsSchedule schedule = {.lanes = lanes_for(kernel, target)};
    return loops_schedule(ir, kernel, &schedule);
}

static int suggest_lanes(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    const int standard = lanes_for(kernel, target);
    const char *names[8];
    int lanes[8], count = 0;
    if (!trial)
        return standard;
    for (int wide = 1; wide <= LANES_MAX; wide *= 2) {
        if (wide != 1 && wide != standard / 2 && wide != standard && wide != standard * 2)
            continue;
        lanes[count] = wide;
        names[count++] = arena_format(ir->arena, "%d", wide);
    }
    int usual = 0;
    while (usual < count - 1 && lanes[usual] != standard)
        usual++;
    return lanes[suggest_choice(trial, "lanes", arena_copy(ir->arena, names, sizeof names), count, usual)];
}

static Node *loops_template(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    const LoopsSchedule schedule = {.lanes = suggest_lanes(ir, kernel, target, trial), .wide = true};
    return loops_schedule(ir, kernel, &schedule);
}

static double known(Node *node, double otherwise)
{
    int64_t value;
    return const_is_int(node, &value) ? (double)value : otherwise;
}

static bool loops_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    const int lanes = suggest_lanes(ir, kernel, target, trial);
    const double flops = known(kernel_flops(ir, kernel), 1e6), bytes = known(kernel_bytes(ir, kernel), 1e6);
    const double most = (double)threads * target->memory_bytes_per_cycle, all = target->memory_bytes_per_cycle_all;
    const double stream = bytes > (double)target->l3 ? (most < all ? most : all) : threads * target->l3_bytes_per_cycle;
    *cycles = flops / lanes / threads + bytes / stream;
    return true;
}

/* ---- templates ---- */

typedef struct Template {
    const char *name;
    int space;
    Node *(*schedule)(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
    bool (*cost)(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);
    bool weighed; /* gives way to the next rows, up to one that is not, where they take less time */
} Template;

/* In order of preference; the last does everything. */
static const Template templates[] = {
    {"recurrent", RECURRENT_SPACE, recurrent_schedule, recurrent_cost},
    {"attention", ATTENTION_SPACE, attention_schedule, attention_cost},
    {"stream", STREAM_SPACE, stream_schedule, stream_cost, .weighed = true},
    {"stationary", STATIONARY_SPACE, stationary_schedule, stationary_cost, .weighed = true},
    {"tiles", TILES_SPACE, tiles_schedule, tiles_cost, .weighed = true},
    {"contract", CONTRACT_SPACE, contract_schedule, contract_cost},
    {"dots", DOTS_SPACE, dots_schedule, dots_cost},
    {"block", BLOCK_SPACE, block_schedule, block_cost},
    {"winograd", WINOGRAD_SPACE, winograd_schedule, winograd_cost},
    {"window", WINDOW_SPACE, window_schedule, window_cost},
    {"loops", LOOPS_SPACE, loops_template, loops_cost},
};
enum { TEMPLATES = sizeof templates / sizeof *templates, LOOPS = TEMPLATES - 1 };

/* May the template be asked? Those that choose an order of their own take nothing that runs in order. */
static bool template_suits(int number, const Node *kernel)
{
    if (number == LOOPS || kernel_is_procedure(kernel))
        return number == LOOPS;
    return !kernel_has_order(kernel) || templates[number].schedule == recurrent_schedule;
}

int template_space(const char *name)
{
    for (int i = 0; i < TEMPLATES; i++)
        if (strcmp(templates[i].name, name) == 0)
            return templates[i].space;
    return 0;
}

/* What template `number` takes in what `other` takes: won on one thread and lost on all cores is weighed. */
static double template_ratio(Ir *ir, Node *kernel, const TargetMachineInfo *target, int number, int other)
{
    const int threads[] = {1, (int)target->cores};
    double ratio = 1, own, next;
    for (int i = 0; i < 2; i++) {
        if (!templates[number].cost(ir, kernel, target, NULL, threads[i], &own) ||
            !templates[other].cost(ir, kernel, target, NULL, threads[i], &next))
            return 0;
        ratio *= own / next;
    }
    return ratio;
}

/* May the cost model take the template? */
static bool template_is_best(Ir *ir, Node *kernel, const TargetMachineInfo *target, int number)
{
    for (int other = number; templates[other].weighed; other++)
        if (template_ratio(ir, kernel, target, number, other + 1) > 1)
            return false;
    return true;
}

static const Template *suggest_template(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    const char *names[TEMPLATES];
    const Template *rows[TEMPLATES];
    int count = 0, usual = -1;
    double cycles;
    for (int i = 0; i < TEMPLATES; i++) {
        if (!template_suits(i, kernel))
            continue;
        if (i < LOOPS && !templates[i].cost(ir, kernel, target, NULL, 1, &cycles))
            continue;
        if (usual < 0 && template_is_best(ir, kernel, target, i))
            usual = count;
        rows[count] = &templates[i];
        names[count++] = templates[i].name;
    }
    return rows[suggest_choice(trial, "template", arena_copy(ir->arena, names, sizeof names), count, usual)];
}

const char *trial_template(const Trial *trial)
{
    return trial->decisions[0].choices[trial->decisions[0].value];
}

Node *kernel_schedule_trial(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    Node *const scheduled = suggest_template(ir, kernel, target, trial)->schedule(ir, kernel, target, trial);
    if (!scheduled)
        trial_refuse(trial, "the values together need too much scratch");
    return trial_accepted(trial) ? scheduled : NULL;
}

bool kernel_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    if (!suggest_template(ir, kernel, target, trial)->cost(ir, kernel, target, trial, threads, cycles))
        trial_refuse(trial, "the values together need too much scratch");
    return trial_accepted(trial);
}

/* ---- what compiles ---- */

/* The schedule of a record; NULL: none is there, or it does not fit. */
static Node *recorded(Tuning *tuning, Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    TuningRecord *const record = tuning_find(tuning, tuning_key(ir, kernel), target);
    if (!record)
        return NULL;
    TrialValue *const values = NEW_ARRAY(ir->arena, TrialValue, (size_t)record->value_count + 1);
    values[0] = (TrialValue){.name = "template", .choice = record->template};
    if (record->value_count)
        memcpy(values + 1, record->values, (size_t)record->value_count * sizeof *values);
    Trial trial = trial_open(ir->arena, values, record->value_count + 1);
    Node *scheduled = NULL;
    if (record->space == template_space(record->template))
        scheduled = kernel_schedule_trial(ir, kernel, target, &trial);
    else
        trial.refusal = arena_format(ir->arena, "version %d of the space of \"%s\" is not known here", record->space,
                                     record->template);
    tuning->applied += scheduled != NULL;
    tuning->outside += scheduled == NULL;
    if (!scheduled && !tuning->refusal)
        tuning->refusal = trial.refusal;
    return scheduled;
}

bool schedule_apart(const TargetMachineInfo *target, MathMode math)
{
    return (target->lacks & TARGET_LACKS_F32) && math != MATH_EXACT;
}

/* Small code before all: one loop nest per stage. Contractions make several neighbouring columns at once: what an
 * element of a row costs (its address, its guard) is then paid once for all of them. */
static Node *schedule_bare(Ir *ir, Node *kernel, const TargetMachineInfo *target, const ScheduleOptions *options)
{
    ContractRoles roles;
    const bool calls = target->lacks & TARGET_LACKS_F32; /* they outweigh everything else */
    const bool steps = kernel_has_steps(kernel);
    const bool columns = options->level > 0 && !calls && (steps || contract_match(ir, kernel, &roles));
    const LoopsSchedule schedule = {.lanes = columns ? target->vector_registers / 4 : 1,
                                    .products = steps,
                                    .apart = schedule_apart(target, options->math)};
    return loops_schedule(ir, kernel, &schedule);
}

Node *kernel_schedule(void *context, Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    const ScheduleOptions *const options = context;
    Node *scheduled = NULL;
    if (target->gpu)
        return gpu_schedule(ir, kernel, target, options);
    if (target->tiles && options->math == MATH_EXACT)
        target = target->base; /* tile registers round otherwise */
    if (kernel_is_procedure(kernel))
        return kernel;
    if (target->family->system == SYSTEM_FREESTANDING)
        return schedule_bare(ir, kernel, target, options);
    if (options->level > 0 && options->tuning)
        scheduled = recorded(options->tuning, ir, kernel, target);
    for (int i = options->level > 0 ? 0 : LOOPS; i < TEMPLATES && !scheduled; i++)
        if (template_suits(i, kernel) && template_is_best(ir, kernel, target, i))
            scheduled = templates[i].schedule(ir, kernel, target, NULL);
    return scheduled;
}
