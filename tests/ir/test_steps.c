/* Steps: several stages that read what any of them left at an earlier point. */
#include "ir/interpret.h"
#include "ir/kernel.h"
#include "ir/loops.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 2, STEPS = 5, COLUMNS = 3 };

static char text[1 << 14];

static void read_text(void)
{
    FILE *const file = fopen(SOURCE_DIR "/tests/data/ir/steps.ir", "rb");
    cr_assert_not_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
}

/* The module of steps.ir, plainly. */
static void expect(const float *x, float *y)
{
    for (int i = 0; i < ROWS; i++) {
        float a[COLUMNS] = {0, 1, 2}, b = 1;
        for (int t = 0; t < STEPS; t++) {
            float sum = 0;
            for (int j = 0; j < COLUMNS; j++)
                sum += (a[j] += b) * 0.5f;
            b = x[i * STEPS + t] + sum;
            for (int j = 0; j < COLUMNS; j++)
                y[(i * STEPS + t) * COLUMNS + j] = a[j] * b;
        }
    }
}

Test(steps, run_together_at_each_point_in_order)
{
    static const int lanes[] = {1, 2, 16, 1024};
    const float x[ROWS * STEPS] = {1, -2, 3, -4, 5, 0.5f, 0.25f, 0, -1, 2};
    float wanted[ROWS * STEPS * COLUMNS], got[ROWS * STEPS * COLUMNS];
    read_text();
    expect(x, wanted);
    for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++) {
        Arena *const arena = arena_open(0, NULL, NULL);
        Ir *const ir = ir_open(arena, diagnostics_open(arena));
        Module *const module = parse_module(ir, "steps.ir", text, strlen(text), NULL);
        cr_assert_not_null(module);
        const LoopsSchedule schedule = {.lanes = lanes[i], .any_tail = lanes[i] > 16};
        for (int k = 0; k < module->body->count; k++)
            module->body->nodes[k] = loops_schedule(ir, module->body->nodes[k], &schedule);
        cr_assert(verify_module(ir, module, ir->diagnostics));
        const Memory input = {(void *)(uintptr_t)x, sizeof x}, output = {got, sizeof got};
        int32_t error = 0;
        memset(got, 0xff, sizeof got);
        cr_assert_eq(interpret_module(ir, module, &input, &output, NULL, 0, NULL, &error), INTERPRET_OK);
        cr_assert_eq(error, 0);
        cr_expect_eq(memcmp(got, wanted, sizeof got), 0, "lanes %d", lanes[i]);
        arena_close(arena);
    }
}

/* The text with the first `from` replaced: what the readers or the verifier say. */
static const char *problem(Arena *arena, const char *from, const char *to)
{
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    read_text();
    char *const place = strstr(text, from);
    cr_assert_not_null(place, "%s", from);
    const char *const changed = arena_format(arena, "%.*s%s%s", (int)(place - text), text, to, place + strlen(from));
    const Module *const module = parse_module(ir, "steps.ir", changed, strlen(changed), NULL);
    cr_assert(!module || !verify_module(ir, module, ir->diagnostics), "%s", changed);
    return ir->diagnostics->first->text;
}

Test(steps, share_their_leading_axes)
{
    static const struct {
        const char *from, *to, *says;
    } rows[] = {
        {"over (%i in 2, %t in 5) ordered=1 within=0", "over (%i in 2, %t in 4) ordered=1 within=0", "another extent"},
        {"over (%i in 2, %t in 5) ordered=1 within=0", "over (%i in 2, %t in 5) ordered=2 within=0", "share"},
        {"over (%i in 2, %t in 5) ordered=1 within=0", "over (%i in 2, %t in 5) within=0", "after ordered="},
        {"over (%i in 2, %t in 5) ordered=1 within=0", "over (%i in 2, %t in 5) ordered=1 within=2", "within="},
        {"over (%i in 2, %t in 5) ordered=1 within=0", "over (%i in 2, %t in 5)", "leading axes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Arena *const arena = arena_open(0, NULL, NULL);
        const char *const says = problem(arena, rows[i].from, rows[i].to);
        cr_expect_not_null(strstr(says, rows[i].says), "%s: %s", rows[i].to, says);
        arena_close(arena);
    }
}
