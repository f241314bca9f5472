/* What the fuzz targets share. A target is a program with LLVMFuzzerTestOneInput: libFuzzer's main draws inputs (LATHE_FUZZ, clang), or
 * replay.c gives it the files of a folder, as a test. A finding becomes a file of tests/data. */
#ifndef LATHE_TESTS_FUZZ_TARGET_H
#define LATHE_TESTS_FUZZ_TARGET_H

#include "ir/diag.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TARGET_BUDGET = 256 << 20 };

/* Too much memory is an answer, not a finding. */
static inline _Noreturn void target_leave(void *context, size_t wanted, size_t budget)
{
    (void)wanted, (void)budget;
    longjmp(*(jmp_buf *)context, 1);
}

/* Runs `body` with an arena of its own, which is closed whatever happens. */
static inline void target_run(void (*body)(Arena *arena, const uint8_t *data, size_t size), const uint8_t *data, size_t size)
{
    static jmp_buf leave;
    Arena *volatile arena = arena_open(TARGET_BUDGET, target_leave, &leave);
    if (setjmp(leave) == 0)
        body(arena, data, size);
    arena_close(arena);
}

#endif
