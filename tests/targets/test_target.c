/* links: lathe_targets lathe_ir */
#include "runtime/lathe_runtime.h"
#include "targets/target.h"

#include <criterion/criterion.h>
#include <string.h>

_Static_assert((int)TARGET_CPU_SSE42 == (int)LATHE_CPU_SSE42 && (int)TARGET_CPU_AVX2 == (int)LATHE_CPU_AVX2 &&
                   (int)TARGET_CPU_AVX512 == (int)LATHE_CPU_AVX512,
               "targets and runtime must name CPU features alike");

Test(target, every_row_is_found_by_its_name)
{
    Arena *arena = arena_open(0, NULL, NULL);
    Diagnostics *diagnostics = diagnostics_open(arena);
    for (int i = 0; i < target_count(); i++)
        cr_assert_eq(target_find(diagnostics, target_at(i)->name), target_at(i));
    cr_assert_eq(diagnostics->error_count, 0);
    arena_close(arena);
}

Test(target, an_unknown_name_gets_the_nearest_one)
{
    Arena *arena = arena_open(0, NULL, NULL);
    Diagnostics *diagnostics = diagnostics_open(arena);
    cr_assert_null(target_find(diagnostics, "x86_64-v4"));
    cr_assert_eq(diagnostics->code, EXIT_USAGE);
    cr_assert_not_null(strstr(diagnostics->first->text, "\"x86-64-v4\""));
    arena_close(arena);
}

Test(target, native_runs_here)
{
    Arena *arena = arena_open(0, NULL, NULL);
    Diagnostics *diagnostics = diagnostics_open(arena);
    const TargetMachineInfo *native = target_find(diagnostics, "native");
    if (target_runs_here(target_at(0)))
        cr_assert(native && target_runs_here(native));
    else
        cr_assert_null(native);
    arena_close(arena);
}

/* The host of a device is a level that a program can be compiled for, and a schedule finds its numbers. */
Test(target, every_device_family_has_a_host_and_numbers)
{
    for (int i = 0; i < target_count(); i++) {
        const TargetMachineInfo *const level = target_at(i);
        cr_expect_eq(level->family->system == SYSTEM_DEVICE, level->family->host != NULL, "%s", level->name);
        cr_expect(level->family->system != SYSTEM_DEVICE || level->family->host->family->system == SYSTEM_HOSTED);
        cr_expect(!level->gpu || (level->gpu->warp > 0 && level->gpu->block_threads % level->gpu->warp == 0 &&
                                  level->gpu->block_shared <= level->gpu->sm_shared),
                  "%s", level->name);
    }
}

Test(target, several_levels_of_cuda_stand_best_first)
{
    Arena *arena = arena_open(0, NULL, NULL);
    Diagnostics *diagnostics = diagnostics_open(arena);
    TargetChoice choice;
    cr_assert(target_choose(diagnostics, "cuda:sm_80,sm_100,sm_75", NULL, 0, &choice));
    cr_assert_eq(choice.level_count, 3);
    cr_expect_str_eq(choice.levels[0]->name, "sm_100");
    cr_expect_str_eq(choice.levels[2]->name, "sm_75");
    cr_assert(target_choose(diagnostics, "a100", NULL, 0, &choice));
    cr_expect_str_eq(choice.levels[0]->name, "sm_80");
    cr_expect_str_eq(choice.device->name, "a100");
    arena_close(arena);
}
