/* links: lathe_proof */
/* Random matrix products and convolutions, with what fusion puts before and after them: every schedule must give the
 * bits of the plain stages, on every level and with odd tiles (targets with few registers and small caches make them).
 * A failing case prints its seed. */
#include "tests/codegen/property.h"

#include <criterion/criterion.h>

static void check(const Plan *plan)
{
    int failures = 0, taken = 0;
    for (int level = 0; level < target_family_at(0)->level_count; level++)
        for (uint64_t seed = 1; seed <= plan->seeds; seed++) {
            bool by_template;
            failures += !property_holds(plan, target_at(level), seed, &by_template);
            taken += by_template;
        }
    fflush(stdout);
    cr_assert_eq(failures, 0);
    cr_assert_geq(taken, plan->least, "only %d cases were taken by a template", taken);
}

Test(contract, matrix_products_interpreted)
{
    check(&(Plan){case_matmul, 0, 150, false, 150});
}

Test(contract, matrix_products_of_unknown_sizes_interpreted)
{
    check(&(Plan){case_matmul, 60, 100, false, 50});
}

Test(contract, gemm_interpreted)
{
    check(&(Plan){case_gemm, 25, 150, false, 150});
}

Test(contract, convolutions_interpreted)
{
    check(&(Plan){case_conv, 10, 150, false, 150});
}

Test(contract, matrix_products_compiled)
{
    check(&(Plan){case_matmul, 20, 25, true, 25});
}

Test(contract, gemm_compiled)
{
    check(&(Plan){case_gemm, 25, 15, true, 15});
}

Test(contract, convolutions_compiled)
{
    check(&(Plan){case_conv, 10, 20, true, 20});
}

Test(contract, recurrences_interpreted)
{
    check(&(Plan){case_recurrent, 25, 60, false, 60, false, "recurrent"});
}

Test(contract, recurrences_compiled)
{
    check(&(Plan){case_recurrent, 25, 12, true, 12, false, "recurrent"});
}

/* ---- machines that this one is not, in emulators ---- */

static void check_elsewhere(const char *name, Maker *maker, bool anyhow)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    const TargetMachineInfo *const target = target_find(diagnostics_open(arena), name);
    const char *const missing = elsewhere_missing(target);
    const Plan plan = {.maker = maker, .symbolic = 15, .machine = true, .anyhow = anyhow};
    int failures = 0, taken = 0;
    enum { SEEDS = 12 };
    if (missing)
        cr_skip_test("not run on %s: there is not %s", name, missing);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        bool by_template;
        failures += !property_holds(&plan, target, seed, &by_template);
        taken += by_template;
    }
    fflush(stdout);
    cr_assert_eq(failures, 0);
    cr_assert_geq(taken, SEEDS / 3);
    arena_close(arena);
}

Test(contract, compiled_for_aarch64)
{
    check_elsewhere("aarch64", case_matmul, false);
    check_elsewhere("aarch64", case_gemm, false);
    check_elsewhere("aarch64", case_conv, false);
    check_elsewhere("aarch64", case_conv, true);
    check_elsewhere("aarch64", case_recurrent, false);
    check_elsewhere("aarch64", case_transform, false);
    check_elsewhere("aarch64", case_attention, false);
}

Test(contract, compiled_for_32_bit_arm)
{
    check_elsewhere("armv7-neon", case_matmul, false);
    check_elsewhere("armv7-neon", case_conv, false);
    check_elsewhere("armv7-neon", case_conv, true);
    check_elsewhere("armv7-neon", case_recurrent, false);
    check_elsewhere("armv7-neon", case_attention, false);
}

/* ---- every candidate that a tuner can make ---- */

Test(contract, spaces_of_matrix_products_interpreted)
{
    check(&(Plan){case_matmul, 20, 150, false, 60, true});
}

Test(contract, spaces_of_gemm_interpreted)
{
    check(&(Plan){case_gemm, 25, 100, false, 40, true});
}

Test(contract, spaces_of_convolutions_interpreted)
{
    check(&(Plan){case_conv, 10, 150, false, 60, true});
}

Test(contract, spaces_of_recurrences_interpreted)
{
    check(&(Plan){case_recurrent, 25, 60, false, 20, true, "recurrent"});
}

Test(contract, attention_interpreted)
{
    check(&(Plan){case_attention, 0, 60, false, 60, false, "attention", 1 << 20});
}

Test(contract, attention_compiled)
{
    check(&(Plan){case_attention, 0, 20, true, 10, false, "attention", 1 << 20});
}

Test(contract, spaces_of_attention_interpreted)
{
    check(&(Plan){case_attention, 0, 40, false, 10, true, "attention", 1 << 20});
}

/* As the cost model has them. */
Test(contract, windows_interpreted)
{
    check(&(Plan){case_window, 10, 100, false, 40, false, "window"});
}

Test(contract, windows_compiled)
{
    check(&(Plan){case_window, 0, 20, true, 5, false, "window"});
}

Test(contract, spaces_of_windows_interpreted)
{
    check(&(Plan){case_window, 10, 100, false, 40, true, "window"});
}

Test(contract, spaces_of_windows_compiled)
{
    check(&(Plan){case_window, 0, 20, true, 5, true, "window"});
}

Test(contract, spaces_compiled)
{
    check(&(Plan){case_matmul, 20, 25, true, 8, true});
    check(&(Plan){case_conv, 10, 25, true, 8, true});
}

Test(contract, transforms_interpreted)
{
    check(&(Plan){case_transform, 15, 30, false, 30, false, "winograd", 64 << 10});
}

Test(contract, transforms_compiled)
{
    check(&(Plan){case_transform, 15, 10, true, 8, false, "winograd", 64 << 10});
}

Test(contract, spaces_of_transforms_interpreted)
{
    check(&(Plan){case_transform, 0, 30, false, 10, true, "winograd", 64 << 10});
}
