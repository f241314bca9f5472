/* What a model may use of another machine's libraries, as objects that stand in for them when it is linked. */
#ifndef LATHE_CODEGEN_STANDIN_H
#define LATHE_CODEGEN_STANDIN_H

#include "codegen/link.h"
#include "ir/ir.h"
#include "targets/target.h"

enum { STAND_INS = 2 };

/* Fills in libc and libm for `target`. A function that is not among their names is an error when the model is linked:
 * nothing can be missing only where the library is loaded. False after a diagnostic. */
bool stand_ins_make(Ir *ir, const TargetMachineInfo *target, LinkStandIn stand_ins[STAND_INS]);

#endif
