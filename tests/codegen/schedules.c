/* codegen_schedules: random cases of everything that has a template, with schedules of the cost model and with any that
 * a space holds, on machines as they are and with odd numbers: machine code against interpreter, bit for bit.
 *
 *     codegen_schedules [--level NAME] [--case NAME] FIRST LAST
 *
 * A line per kind of case and level, and one per failure with its seed; ends with 1 when anything failed. Levels that
 * this machine does not run are only interpreted. */
#include "tests/codegen/property.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    Maker *maker;
    int symbolic;
    const char *template; /* that some must be taken by; NULL: any but the plain loops; "": any */
    int64_t cache;        /* bytes of the small L2 */
} cases[] = {
    {"matmul", case_matmul, 20, NULL, 0},
    {"gemm", case_gemm, 25, NULL, 0},
    {"conv", case_conv, 10, NULL, 0},
    {"border", case_border, 10, NULL, 0},
    {"recurrent", case_recurrent, 25, "recurrent", 0},
    {"window", case_window, 10, "window", 0},
    {"transform", case_transform, 15, "winograd", 128 << 10},
    {"block", case_block, 5, "block", 64 << 10},
    {"attention", case_attention, 15, "attention", 1 << 20},
    {"rows", case_rows, 20, "", 0},
    {"views", case_views, 10, NULL, 0},
    {"bytes", case_bytes, 15, "dots", 0},
};
enum { CASES = sizeof cases / sizeof *cases, MANY = 20 };

/* Half of the seeds draw schedules, half have odd numbers too, and small caches are of two sizes. */
static int prove(int number, const TargetMachineInfo *target, uint64_t first, uint64_t last)
{
    int failures = 0, taken = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        uint64_t state = seed;
        const uint64_t bits = random_next(&state);
        const Plan plan = {.maker = cases[number].maker,
                           .symbolic = cases[number].symbolic,
                           .machine = true,
                           .anyhow = bits & 1,
                           .numbers = bits & 2,
                           .template = cases[number].template,
                           .cache = cases[number].cache >> (bits >> 2 & 1)};
        bool by_template;
        failures += !property_holds(&plan, target, seed, &by_template);
        taken += by_template;
    }
    failures += last - first >= MANY && taken == 0; /* the case is not what it is meant to be */
    printf("%s %s on %s: seeds %llu to %llu, %d with a template, %d failures\n", failures ? "FAILED" : "ok",
           cases[number].name, target->name, (unsigned long long)first, (unsigned long long)last, taken, failures);
    fflush(stdout);
    return failures;
}

int main(int count, char **arguments)
{
    const char *level = NULL, *only = NULL;
    int failures = 0, at = 1;
    for (; at + 1 < count && strncmp(arguments[at], "--", 2) == 0; at += 2)
        *(strcmp(arguments[at], "--level") == 0 ? &level : &only) = arguments[at + 1];
    if (count - at != 2) {
        fprintf(stderr, "usage: codegen_schedules [--level NAME] [--case NAME] FIRST LAST\n");
        return 2;
    }
    const uint64_t first = strtoull(arguments[at], NULL, 10), last = strtoull(arguments[at + 1], NULL, 10);
    Arena *const arena = arena_open(0, NULL, NULL);
    for (int i = 0; i < target_family_at(0)->level_count; i++) {
        const TargetMachineInfo *const levels[] = {target_at(i), target_with_dots(arena, target_at(i))};
        for (int j = 0; j < CASES; j++)
            for (int k = 0; k < (cases[j].maker == case_bytes ? 2 : 1); k++)
                if (levels[k] && (!level || strcmp(level, target_at(i)->name) == 0) &&
                    (!only || strcmp(only, cases[j].name) == 0))
                    failures += prove(j, levels[k], first, last);
    }
    arena_close(arena);
    return failures > 0;
}
