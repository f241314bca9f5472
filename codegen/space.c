/* Suggestions and replay: see space.h. */
#include "codegen/space.h"

#include "ir/diag.h"

#include <string.h>

Trial trial_open(Arena *arena, const TrialValue *values, int count)
{
    return (Trial){.arena = arena, .values = values, .value_count = count};
}

void trial_refuse(Trial *trial, const char *reason)
{
    if (trial && !trial->refusal)
        trial->refusal = reason;
}

static const TrialValue *given_value(const Trial *trial, const char *name)
{
    for (int i = 0; i < trial->value_count; i++)
        if (strcmp(trial->values[i].name, name) == 0)
            return &trial->values[i];
    return NULL;
}

/* The number that `given` means for the question; false when it was not offered. */
static bool answer_of(const Decision *decision, const TrialValue *given, int64_t *number)
{
    if (!decision->choices) {
        *number = given->number;
        return !given->choice &&
               ((*number >= decision->low && *number <= decision->high) || *number == decision->standard);
    }
    for (int64_t i = 0; i <= decision->high && given->choice; i++)
        if (strcmp(decision->choices[i], given->choice) == 0) {
            *number = i;
            return true;
        }
    return false;
}

static int64_t ask(Trial *trial, Decision decision)
{
    const TrialValue *const given = given_value(trial, decision.name);
    if (trial->decision_count == DECISIONS_MAX)
        BUG("a template asks more than %d questions", DECISIONS_MAX);
    for (int i = 0; i < trial->decision_count; i++)
        if (strcmp(trial->decisions[i].name, decision.name) == 0)
            BUG("a template asks for \"%s\" twice", decision.name);
    decision.value = decision.standard;
    if (!given && trial->answer)
        decision.value = trial->answer(trial->context, &decision);
    if (given && !answer_of(&decision, given, &decision.value)) {
        decision.value = decision.standard;
        trial_refuse(trial,
                     given->choice
                         ? arena_format(trial->arena, "%s=%s is not offered", given->name, given->choice)
                         : arena_format(trial->arena, "%s=%lld is not offered", given->name, (long long)given->number));
    }
    trial->decisions[trial->decision_count++] = decision;
    return decision.value;
}

int64_t suggest_int(Trial *trial, const char *name, int64_t low, int64_t high, int64_t standard)
{
    return trial ? ask(trial, (Decision){.name = name, .low = low, .high = high, .standard = standard}) : standard;
}

int suggest_choice(Trial *trial, const char *name, const char *const *choices, int count, int standard)
{
    return trial
               ? (int)ask(trial, (Decision){.name = name, .choices = choices, .high = count - 1, .standard = standard})
               : standard;
}

bool trial_accepted(Trial *trial)
{
    for (int i = 0; i < trial->value_count && !trial->refusal; i++) {
        bool asked = false;
        for (int j = 0; j < trial->decision_count; j++)
            asked = asked || strcmp(trial->decisions[j].name, trial->values[i].name) == 0;
        if (!asked)
            trial_refuse(trial, arena_format(trial->arena, "nothing here is called %s", trial->values[i].name));
    }
    return !trial->refusal;
}

TrialValue decision_value(const Decision *decision)
{
    return (TrialValue){.name = decision->name,
                        .choice = decision->choices ? decision->choices[decision->value] : NULL,
                        .number = decision->choices ? 0 : decision->value};
}
