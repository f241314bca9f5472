/* See property.h. */
#include "tests/codegen/property.h"

#include "targets/machine.h"

#include <math.h>
#include <string.h>

/* The level as it is, and with so few registers and so little cache that tiles and blocks become odd. */
static TargetMachineInfo machine_like(const TargetMachineInfo *target, uint64_t seed, int64_t cache)
{
    TargetMachineInfo info = *target;
    if (seed % 3 == 0)
        return info;
    const int least = target->vector_bytes == 16 ? 10 : 5; /* a tile of one row needs two times sixteen columns */
    info.vector_registers = least + (int)(seed / 3 % (uint64_t)(target->vector_registers - least + 1));
    info.l2 = cache ? cache : seed % 2 ? target->l2 : 2048;
    return info;
}

/* Any numbers that a machine file may say, those of caches from tiny to large, costs within a factor of 16. */
static void draw_numbers(TargetMachineInfo *info, uint64_t seed)
{
    uint64_t state = seed * 2 + 1;
    for (int i = 0; i < machine_field_count; i++) {
        const MachineField *const field = &machine_fields[i];
        const double factor = exp2((double)random_below(&state, 9) - 4);
        const double drawn =
            field->whole ? floor(machine_number(info, field) * factor) : machine_number(info, field) * factor;
        machine_number_set(info, field, fmin(fmax(drawn, field->least), field->most));
    }
}

/* Was a kernel taken by the template that the plan is about (NULL: any but the plain loops)? */
static bool takes(const Proof *proof, const char *template)
{
    for (int i = 0; i < proof->program.kernel_count; i++) {
        const char *const schedule = proof->program.kernels[i].scheduled[0]->payload.kernel->schedule;
        if (template ? strncmp(schedule, template, strlen(template)) == 0 : strncmp(schedule, "loops", 5) != 0)
            return true;
    }
    return false;
}

typedef struct Answers {
    uint64_t state;
    const char *wrong; /* what does not hold of spaces; NULL: all is well */
} Answers;

/* Any answer that is offered. */
static int64_t drawn(void *context, const Decision *question)
{
    Answers *const answers = context;
    return question->low + random_below(&answers->state, question->high - question->low + 1);
}

/* A random schedule; replaying the answers by name must give the same one. Values that together need too much scratch
 * are drawn again. */
static Node *schedule_anyhow(void *context, Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    Answers *const answers = context;
    Node *scheduled = NULL;
    TrialValue values[DECISIONS_MAX];
    double cycles;
    for (int tries = 0; tries < 20 && !scheduled; tries++) {
        Trial trial = trial_open(ir->arena, NULL, 0);
        trial.answer = drawn;
        trial.context = context;
        scheduled = kernel_schedule_trial(ir, kernel, target, &trial);
        for (int i = 0; i < trial.decision_count; i++)
            values[i] = decision_value(&trial.decisions[i]);
        Trial again = trial_open(ir->arena, values, trial.decision_count), costed = again;
        Node *const replayed = kernel_schedule_trial(ir, kernel, target, &again);
        const bool costs = kernel_cost(ir, kernel, target, &costed, 4, &cycles);
        if (!scheduled != !replayed ||
            (scheduled && strcmp(scheduled->payload.kernel->schedule, replayed->payload.kernel->schedule) != 0))
            answers->wrong = "the same answers give another schedule";
        if (costs != (scheduled != NULL) || costed.decision_count != trial.decision_count)
            answers->wrong = "the cost is asked other questions than the schedule";
        if (scheduled && !(cycles > 0 && cycles < 1e18))
            answers->wrong = "a schedule has no cost";
    }
    return scheduled ? scheduled : kernel_schedule_plain(ir, kernel, target);
}

bool property_holds(const Plan *plan, const TargetMachineInfo *target, uint64_t seed, bool *taken)
{
    const ProofOptions options = {.level = 2, .target = target->name, .work = 200000000, .rounds = 2};
    TargetMachineInfo odd = machine_like(target, seed, plan->cache);
    Proof proof;
    Random random;
    Tally tally = {0};
    char name[40];
    snprintf(name, sizeof name, "seed %llu", (unsigned long long)seed);
    proof_start(&proof, name, &options);
    proof.levels[0] = proof.compilation.target = &odd;
    Answers answers = {.state = seed};
    if (plan->numbers)
        draw_numbers(&odd, seed);
    proof.schedule = plan->anyhow ? schedule_anyhow : NULL;
    proof.context = &answers;
    case_build(&random, &proof, plan->maker, DTYPE_F32, plan->symbolic, seed);
    bool good = proof_program(&proof) && proof_plan(&proof);
    const bool machine = good && plan->machine && (target_runs_here(target) || !elsewhere_missing(target));
    good = good && (!machine || proof_load(&proof, 0, 0));
    if (good)
        proof_kernels(&proof, 0, machine, &options, &tally);
    if (good)
        proof_orders(&proof, 0, 3, options.work, &tally.failures);
    *taken = good && takes(&proof, plan->template);
    good = good && tally.failures == 0 && tally.compared > 0 && !answers.wrong;
    if (!good) {
        printf("%s", answers.wrong ? answers.wrong : "");
        diag_print(proof.diagnostics, stdout, false);
        printf("seed %llu on %s:%s\n", (unsigned long long)seed, target->name, random.text);
    }
    proof_close(&proof);
    return good;
}
