/* What is refused on purpose, with its reason: the rows of refused.def. */
#ifndef LATHE_IR_OPS_REFUSED_H
#define LATHE_IR_OPS_REFUSED_H

#include "ir/ir.h"

typedef enum RefusedId {
#define REFUSED(id, domain, op, what, reason) REFUSED_##id,
#include "ir/ops/refused.def"
#undef REFUSED
    REFUSED_COUNT
} RefusedId;

typedef struct RefusedRow {
    const char *domain; /* "" is the default domain */
    const char *op;     /* one operator, or several with ", " between */
    const char *what;   /* NULL: the operator as a whole */
    const char *reason;
} RefusedRow;
extern const RefusedRow refused_rows[REFUSED_COUNT];

/* Reports that the node at ir->where is refused; false. */
bool refused(Ir *ir, RefusedId id);
/* Why an operator is refused as a whole; NULL when no row says so. */
const char *refused_reason(const char *domain, const char *op);

#endif
