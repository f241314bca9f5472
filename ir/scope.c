/* Bodies of If and Loop while a graph is made: what belongs to which, and what a run has to check. */
#include "ir/ir.h"

#include <string.h>

bool run_check(Ir *ir, Node *condition, const char *text)
{
    int64_t known;
    if (const_is_int(condition, &known))
        return known != 0;
    RunCheck **end = &ir->checks;
    for (; *end; end = &(*end)->next)
        if ((*end)->condition == condition && ir_scope_holds(ir, (*end)->scope, ir->scope))
            return true;
    *end = NEW(ir->arena, RunCheck);
    **end = (RunCheck){condition, text, ir->scope, NULL};
    return true;
}

uint32_t ir_scope_open(Ir *ir)
{
    if (ir->scope_count + 1 >= ir->scope_capacity) {
        ir->scope_capacity = ir->scope_capacity ? ir->scope_capacity * 2 : 16;
        uint32_t *const outer = NEW_ARRAY(ir->arena, uint32_t, ir->scope_capacity);
        if (ir->scope_outer)
            memcpy(outer, ir->scope_outer, (ir->scope_count + 1) * sizeof *outer);
        ir->scope_outer = outer;
    }
    ir->scope_outer[++ir->scope_count] = ir->scope;
    return ir->scope = ir->scope_count;
}

void ir_scope_close(Ir *ir)
{
    ir->scope = ir->scope_outer[ir->scope];
}

bool ir_scope_holds(const Ir *ir, uint32_t outer, uint32_t inner)
{
    while (inner > outer) /* a scope's number is larger than that of the one around it */
        inner = ir->scope_outer[inner];
    return inner == outer;
}
