/* links: lathe_ir */
/* Arenas: what marks give back, what scratch arenas count, where the budget ends. */
#include "ir/arena.h"

#include <criterion/criterion.h>
#include <setjmp.h>
#include <string.h>

static void leave(void *context, size_t wanted, size_t budget)
{
    (void)wanted;
    (void)budget;
    longjmp(*(jmp_buf *)context, 1);
}

Test(arena, a_reset_gives_back_zeroed_memory)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    arena_alloc(arena, 16);
    const ArenaMark mark = arena_mark(arena);
    char *const first = arena_alloc(arena, 100);
    memset(first, 'x', 100);
    arena_reset(arena, mark);
    const char *const again = arena_alloc(arena, 100);
    cr_assert_eq(again, first);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(again[i], 0);
    arena_close(arena);
}

Test(arena, scratch_is_one_and_shares_the_account)
{
    Arena *const arena = arena_open(0, NULL, NULL), *const scratch = arena_scratch(arena);
    cr_assert_eq(arena_scratch(arena), scratch);
    const size_t before = arena_used(arena);
    const ArenaMark mark = arena_mark(scratch);
    arena_alloc(scratch, 1 << 20);
    cr_assert_geq(arena_used(arena), before + (1 << 20));
    arena_reset(scratch, mark);
    cr_assert_eq(arena_used(arena), before);
    arena_close(arena);
}

Test(arena, scratch_does_not_outgrow_the_budget)
{
    jmp_buf back;
    Arena *const arena = arena_open(1 << 20, leave, &back);
    volatile int blocks = 0;
    if (!setjmp(back))
        for (;; blocks++) {
            arena_alloc(arena, 30000);
            arena_alloc(arena_scratch(arena), 30000);
        }
    cr_assert_geq(blocks, 10);
    cr_assert_lt(blocks, 18);
    cr_assert_leq(arena_used(arena), (size_t)1 << 20);
    arena_close(arena);
}
