/* links: lathe_codegen */
/* Suggestions: what is asked, what is replayed, what is refused. */
#include "codegen/schedule.h"

#include "ir/diag.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const colours[] = {"red", "green", "blue"};

/* A template in small: the second question depends on the first answer. */
static int64_t paint(Trial *trial)
{
    const int colour = suggest_choice(trial, "colour", colours, 3, 1);
    const int64_t coats = suggest_int(trial, "coats", 1, colour == 2 ? 9 : 3, 2);
    return colour == 0 ? coats * 100 + suggest_int(trial, "primer", 0, 5, 0) : coats * 100;
}

Test(space, without_a_trial_the_standard_is_taken)
{
    cr_assert_eq(paint(NULL), 200);
}

Test(space, what_was_asked_is_written_down_in_order)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Trial trial = trial_open(arena, (TrialValue[]){{"colour", "red", 0}, {"primer", NULL, 4}}, 2);
    cr_assert_eq(paint(&trial), 204);
    cr_assert(trial_accepted(&trial), "%s", trial.refusal);
    cr_assert_eq(trial.decision_count, 3);
    cr_assert_str_eq(trial.decisions[0].name, "colour");
    cr_assert_eq(trial.decisions[0].value, 0);
    cr_assert_eq(trial.decisions[0].standard, 1);
    cr_assert_eq(trial.decisions[1].value, 2, "what is not given is the standard");
    cr_assert_str_eq(decision_value(&trial.decisions[0]).choice, "red");
    cr_assert_eq(decision_value(&trial.decisions[2]).number, 4);
    arena_close(arena);
}

typedef struct Row {
    TrialValue value;
    const char *refusal; /* NULL: accepted */
} Row;

static const Row rows[] = {
    {{"coats", NULL, 3}, NULL},
    {{"coats", NULL, 4}, "coats=4 is not offered"},
    {{"coats", NULL, INT64_MIN}, "coats=-9223372036854775808 is not offered"},
    {{"coats", "3", 0}, "coats=3 is not offered"},
    {{"colour", "violet", 0}, "colour=violet is not offered"},
    {{"colour", NULL, 1}, "colour=1 is not offered"},
    {{"primer", NULL, 1}, "nothing here is called primer"},
    {{"shine", "matt", 0}, "nothing here is called shine"},
};

Test(space, values_outside_are_refused_by_name)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Trial trial = trial_open(arena, &rows[i].value, 1);
        paint(&trial);
        cr_expect_eq(trial_accepted(&trial), rows[i].refusal == NULL, "%s", rows[i].value.name);
        if (rows[i].refusal)
            cr_expect_str_eq(trial.refusal, rows[i].refusal);
    }
    arena_close(arena);
}

Test(space, every_template_has_a_version_and_no_other_name_has)
{
    cr_assert_gt(template_space("contract"), 0);
    cr_assert_gt(template_space("window"), 0);
    cr_assert_gt(template_space("loops"), 0);
    cr_assert_eq(template_space("lop"), 0);
}

/* ---- records ---- */

static TargetMachineInfo level(const char *name, const char *features)
{
    return (TargetMachineInfo){.name = name, .features = features};
}

Test(space, a_record_belongs_to_kernel_level_and_features)
{
    TuningRecord records[] = {
        {.key = "k1", .target = "v4", .features = "+a", .threads = 1, .space = 1},
        {.key = "k1", .target = "v4", .features = "+a", .threads = 4, .space = 2},
        {.key = "k1", .target = "v4", .features = "+a", .threads = 2, .space = 3},
        {.key = "k2", .target = "v3", .features = "+a", .threads = 1, .space = 4},
    };
    Tuning tuning = {.records = records, .count = 4};
    const TargetMachineInfo v4 = level("v4", "+a"), v3 = level("v3", "+a"), other = level("v4", "+a,+b");
    cr_assert_eq(tuning_find(&tuning, "k1", &v4)->space, 2, "the one for the most threads");
    cr_assert_null(tuning_find(&tuning, "k1", &v3));
    cr_assert_null(tuning_find(&tuning, "k1", &other));
    cr_assert_eq(tuning_find(&tuning, "k2", &v3)->space, 4);
    cr_assert_null(tuning_find(&tuning, "k3", &v3));
    cr_assert(records[0].used && records[3].used);
}
