/* links: lathe_targets lathe_ir */
/* The rows of all targets, whatever they are, and the names by which they are chosen. */
#include "ir/mma.h"
#include "runtime/lathe_runtime.h"
#include "targets/target.h"

#include <criterion/criterion.h>
#include <string.h>

_Static_assert((int)TARGET_CPU_SSE42 == (int)LATHE_CPU_SSE42 && (int)TARGET_CPU_AVX2 == (int)LATHE_CPU_AVX2 &&
                   (int)TARGET_CPU_AVX512 == (int)LATHE_CPU_AVX512 &&
                   (int)TARGET_CPU_AVX512_VNNI == (int)LATHE_CPU_AVX512_VNNI &&
                   (int)TARGET_CPU_AVX_VNNI == (int)LATHE_CPU_AVX_VNNI &&
                   (int)TARGET_CPU_AMX_BF16 == (int)LATHE_CPU_AMX_BF16,
               "targets and runtime must name CPU features alike");

static Diagnostics *diagnostics;

static void open_all(void)
{
    diagnostics = diagnostics_open(arena_open(0, NULL, NULL));
}

static void close_all(void)
{
    arena_close(diagnostics->arena);
}

TestSuite(target, .init = open_all, .fini = close_all);

Test(target, every_row_is_found_by_its_name)
{
    for (int i = 0; i < target_count(); i++)
        cr_assert_eq(target_find(diagnostics, target_at(i)->name), target_at(i));
    cr_assert_eq(diagnostics->error_count, 0);
}

Test(target, an_unknown_name_gets_the_nearest_one)
{
    cr_assert_null(target_find(diagnostics, "x86_64-v4"));
    cr_assert_eq(diagnostics->code, EXIT_USAGE);
    cr_assert_not_null(strstr(diagnostics->first->text, "\"x86-64-v4\""));
}

Test(target, native_runs_here)
{
    const TargetMachineInfo *native = target_find(diagnostics, "native");
    if (target_runs_here(target_at(0)))
        cr_assert(native && target_runs_here(native));
    else
        cr_assert_null(native);
}

/* What every part of the compiler takes for granted of a row. */
Test(target, every_family_is_complete)
{
    for (int i = 0; i < target_family_count(); i++) {
        const TargetFamily *const family = target_family_at(i);
        TargetChoice choice;
        cr_assert(family->name && family->what && family->standard && family->level_count > 0, "family %d", i);
        cr_expect(family->pointer_bits == 32 || family->pointer_bits == 64, "%s", family->name);
        cr_expect(family->elf_machine > 0, "%s", family->name);
        cr_expect_eq(family->system == SYSTEM_DEVICE, family->host != NULL, "%s: devices alone have a host",
                     family->name);
        cr_expect(!family->host || family->host->family->system == SYSTEM_HOSTED, "%s", family->name);
        cr_assert(target_choose(diagnostics, family->name, NULL, 0, &choice), "%s: its standard levels \"%s\"",
                  family->name, family->standard);
        cr_expect_eq(choice.family, family);
        for (int j = 0; j < family->level_count; j++) {
            const TargetMachineInfo *const level = &family->levels[j];
            cr_assert(level->family == family && level->name && level->triple && level->cpu && level->features,
                      "%s, level %d", family->name, j);
            cr_expect(level->vector_bytes >= 4 && level->vector_registers > 0, "%s", level->name);
            /* Several levels of one library are tried best first, so each must ask for more than the one below. */
            if (j > 0 && family->system == SYSTEM_HOSTED)
                cr_expect_eq(level->cpu_mask & family->levels[j - 1].cpu_mask, family->levels[j - 1].cpu_mask, "%s",
                             level->name);
        }
    }
}

Test(target, no_name_means_two_things)
{
    for (int i = 0; i < target_device_count(); i++) {
        const TargetDevice *const device = target_device_at(i);
        for (int j = 0; j < target_count(); j++)
            cr_expect_str_neq(device->name, target_at(j)->name);
        for (int j = 0; j < target_family_count(); j++)
            cr_expect_str_neq(device->name, target_family_at(j)->name);
        for (int j = 0; j < i; j++)
            cr_expect_str_neq(device->name, target_device_at(j)->name);
    }
}

Test(target, every_device_stands_for_a_level)
{
    for (int i = 0; i < target_device_count(); i++) {
        const TargetDevice *const device = target_device_at(i);
        TargetChoice choice;
        cr_assert(target_choose(diagnostics, device->name, NULL, 0, &choice), "%s", device->name);
        cr_expect_eq(choice.device, device);
        cr_expect_eq(choice.level_count, 1, "%s", device->name);
        cr_expect(device->what && *device->what, "%s", device->name);
        cr_expect_eq(choice.family->system == SYSTEM_FREESTANDING, device->ram > 0 && device->flash > 0,
                     "%s: microcontrollers alone have limits", device->name);
    }
}

static const struct {
    const char *target, *cpu[2];
    const char *levels; /* of the choice, best first; NULL: an error, of which `text` is a part */
    const char *text;
} choices[] = {
    {"x86-64", {0}, "x86-64-v4-amx x86-64-v4 x86-64-v3 ", NULL},
    {"x86-64-v3", {0}, "x86-64-v3 ", NULL},
    {"x86-64:x86-64-v4", {0}, "x86-64-v4 ", NULL},
    {"x86-64:x86-64-v3,x86-64-v4,x86-64-v3", {0}, "x86-64-v4 x86-64-v3 ", NULL},
    {"x86_64-unknown-linux-gnu", {0}, "x86-64-v4-amx x86-64-v4 x86-64-v3 ", NULL},
    {"haswell", {0}, "x86-64-v3 ", NULL},
    {"haswell", {"x86-64-v4"}, "x86-64-v4 ", NULL},
    {"x86-64", {"x86-64-v3", "x86-64-v4"}, "x86-64-v4 x86-64-v3 ", NULL},
    {"x86-64", {"null"}, NULL, "null is a level of null, not of x86-64"},
    {"x86-64-v3,null", {0}, NULL, "null is a level of null, not of x86-64"},
    {"x86-64:x86-64-v5", {0}, NULL, "no target of x86-64 is called \"x86-64-v5\"; did you mean \"x86-64-v"},
    {"haswel", {0}, NULL, "did you mean \"haswell\"?"},
    {"cuda:sm_80,sm_100,sm_75", {0}, "sm_100 sm_80 sm_75 ", NULL},
    {"a100", {0}, "sm_80 ", NULL},
    {"jetson-orin", {0}, "sm_87-aarch64 ", NULL},
    {"cuda:sm_87-aarch64", {0}, NULL, "sm_87-aarch64 is a level of cuda-aarch64, not of cuda"},
    {"", {0}, NULL, "no target is called \"\""},
};

Test(target, choices)
{
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        TargetChoice choice;
        Diagnostics *const own = diagnostics_open(diagnostics->arena);
        const int count = (choices[i].cpu[0] != NULL) + (choices[i].cpu[1] != NULL);
        const bool good = target_choose(own, choices[i].target, choices[i].cpu, count, &choice);
        cr_expect_eq(good, choices[i].levels != NULL, "%s", choices[i].target);
        if (!good) {
            cr_expect_eq(own->code, EXIT_USAGE);
            cr_expect(strstr(own->first->text, choices[i].text), "%s: %s", choices[i].target, own->first->text);
            continue;
        }
        const char *levels = "";
        for (int j = 0; j < choice.level_count; j++)
            levels = arena_format(diagnostics->arena, "%s%s ", levels, choice.levels[j]->name);
        cr_expect_str_eq(levels, choices[i].levels, "%s", choices[i].target);
    }
}

/* A schedule for a device finds its numbers. */
Test(target, every_device_level_has_numbers)
{
    for (int i = 0; i < target_count(); i++) {
        const TargetMachineInfo *const level = target_at(i);
        cr_expect_eq(level->family->system == SYSTEM_DEVICE, level->gpu != NULL, "%s", level->name);
        cr_expect(!level->gpu || (level->gpu->warp > 0 && level->gpu->block_threads % level->gpu->warp == 0 &&
                                  level->gpu->block_shared <= level->gpu->sm_shared),
                  "%s", level->name);
    }
}

/* Levels of a family with triples of their own are not what the family stands for. */
Test(target, a_triple_is_the_lowest_level_that_has_it)
{
    static const char *const rows[][2] = {{"thumbv6m-unknown-none-eabi", "cortex-m0plus"},
                                          {"thumbv7em-unknown-none-eabi", "cortex-m4f"},
                                          {"thumbv8.1m.main-unknown-none-eabi", "cortex-m55"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        TargetChoice choice;
        cr_assert(target_choose(diagnostics, rows[i][0], NULL, 0, &choice), "%s", rows[i][0]);
        cr_expect_str_eq(choice.levels[0]->name, rows[i][1]);
        cr_expect_eq(choice.level_count, 1);
    }
}

Test(target, matrix_instructions_of_a_level_are_the_rows_that_it_has)
{
    Arena *arena = arena_open(0, NULL, NULL);
    for (int i = 0; i < target_count(); i++) {
        const TargetGpu *const gpu = target_at(i)->gpu;
        int64_t listed = 0, has = 0;
        for (const char *name = gpu ? gpu->mma : ""; *name; name += strspn(name, " ")) {
            const size_t length = strcspn(name, " ");
            const int64_t number = mma_find(arena_format(arena, "%.*s", (int)length, name));
            cr_assert_geq(number, 0, "%s: %s", target_at(i)->name, name);
            cr_expect_leq(mma_row(number)->sm, gpu->sm, "%s: %s", target_at(i)->name, name);
            listed++;
            name += length;
        }
        for (int64_t number = 0; gpu && mma_row(number); number++)
            has += mma_row(number)->sm <= gpu->sm;
        cr_expect_eq(listed, has, "%s", target_at(i)->name);
    }
    arena_close(arena);
}
