/* links: lathe_codegen lathe_passes lathe_targets lathe_ir */
/* What every row of targets/ must be for LLVM: a triple in its normal form (else object_make stops), a processor and
 * features that it knows, and a back end that turns a kernel into machine code. LLVM only warns of a name that it does
 * not know, on the standard error output, and then leaves it out. */
#include "codegen/object.h"
#include "ir/kernel.h"
#include "ir/loops.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* y[i] = max(x[i] * 2 + x[i], 0) for 100 elements, as plain loops: what LLVM knows of a row does not depend on the
 * schedule. */
static Node *make_kernel(Ir *ir, const TargetMachineInfo *target)
{
    Node *const extent = index_const(ir, 100), *const axis = axis_make(ir, "i", extent);
    const Type type = type_tensor(ir, DTYPE_F32, 1, &extent);
    Node *const x = buffer_make(ir, type, &(Buffer){.name = name_intern(ir->arena, "x"), .place = PLACE_INPUT});
    Node *const y = buffer_make(ir, type, &(Buffer){.name = name_intern(ir->arena, "y"), .place = PLACE_OUTPUT});
    Node *const loaded = at_make(ir, x, &axis);
    Node *const value = scalar2(ir, OP_max, scalar3(ir, OP_fma, loaded, const_float(ir, DTYPE_F32, 2), loaded),
                                const_float(ir, DTYPE_F32, 0));
    Block *const stages = block_make(ir);
    block_append(ir, stages, stage_make(ir, &axis, 1, y, &axis, value));
    const LoopsSchedule schedule = {.lanes = target->vector_bytes >= 16 ? target->vector_bytes / 4 : 1};
    return loops_schedule(ir, kernel_make(ir, name_intern(ir->arena, "axpy"), stages), &schedule);
}

/* What LLVM says while it makes the kernel's code; "" when nothing. The caller frees it. */
static char *complaints(Ir *ir, const TargetMachineInfo *target, bool *made)
{
    FILE *const caught = tmpfile();
    const int standard = dup(STDERR_FILENO);
    cr_assert(caught && standard >= 0);
    fflush(stderr);
    dup2(fileno(caught), STDERR_FILENO);
    const ObjectRequest request = {
        .kernel = make_kernel(ir, target), .target = target, .symbol = "axpy", .format = FORMAT_ASSEMBLY};
    ObjectBytes text;
    *made = object_make(ir, ir->arena, &request, &text) && text.bytes > 0;
    fflush(stderr);
    dup2(standard, STDERR_FILENO);
    close(standard);
    char *const said = calloc(1, 4096);
    rewind(caught);
    cr_assert(fread(said, 1, 4095, caught) < 4095);
    fclose(caught);
    return said;
}

Test(targets, llvm_knows_every_row)
{
    object_initialize();
    for (int i = 0; i < target_count(); i++) {
        const TargetMachineInfo *const target = target_at(i);
        Arena *const arena = arena_open(0, NULL, NULL);
        Ir *const ir = ir_open(arena, diagnostics_open(arena));
        bool made;
        char *const said = complaints(ir, target, &made);
        cr_expect(made, "%s: %s", target->name,
                  ir->diagnostics->first ? ir->diagnostics->first->text : "no machine code");
        cr_expect_str_eq(said, "", "%s", target->name);
        free(said);
        arena_close(arena);
    }
}
