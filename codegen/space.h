/* The search space of a template is what it asks for: instead of deciding a number for itself, it calls suggest_int or
 * suggest_choice where the number is needed, in plain C conditionals, and says which one its cost model would take.
 *
 * Without a trial the answer is that one, so a compilation without tuning never pays for the space. With a trial, the
 * given values are replayed by name, what is not given is answered by a function or by the cost model, and everything
 * that was asked is written down in order: a tuner enumerates or mutates what it finds there. A value that was not
 * offered, or that nobody asked for, is a refusal: the caller then schedules without the trial. */
#ifndef LATHE_CODEGEN_SPACE_H
#define LATHE_CODEGEN_SPACE_H

#include "ir/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum { DECISIONS_MAX = 24 };

/* A value to replay. */
typedef struct TrialValue {
    const char *name;
    const char *choice; /* NULL: a number */
    int64_t number;
} TrialValue;

/* One question and its answer. */
typedef struct Decision {
    const char *name;
    const char *const *choices; /* NULL: an integer */
    int64_t low, high;          /* both offered; of choices: 0 and their count - 1 */
    int64_t standard, value;    /* what the cost model would take; what was answered */
} Decision;

typedef struct Trial {
    Arena *arena; /* for refusals */
    const TrialValue *values;
    int value_count;
    /* What is not given; NULL: the standard. */
    int64_t (*answer)(void *context, const Decision *question);
    void *context;
    /* Results: */
    Decision decisions[DECISIONS_MAX];
    int decision_count;
    const char *refusal; /* the first, as a clause; NULL: none */
} Trial;

Trial trial_open(Arena *arena, const TrialValue *values, int count);
/* An integer of low..high. `standard` is offered even where it lies outside. */
int64_t suggest_int(Trial *trial, const char *name, int64_t low, int64_t high, int64_t standard);
/* An index of `choices`, which outlive the trial. */
int suggest_choice(Trial *trial, const char *name, const char *const *choices, int count, int standard);
/* After the template has asked: has every value been used as it was given? Otherwise trial->refusal says which not. */
bool trial_accepted(Trial *trial);
/* For a template that finds the answers together impossible. */
void trial_refuse(Trial *trial, const char *reason);
/* The answer to a question, as a value to replay. */
TrialValue decision_value(const Decision *decision);

#endif
