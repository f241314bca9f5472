/* See refused.h. */
#include "ir/ops/refused.h"

#include <string.h>

const RefusedRow refused_rows[REFUSED_COUNT] = {
#define REFUSED(id, domain, op, what, reason) {domain, op, what, reason},
#include "ir/ops/refused.def"
#undef REFUSED
};

bool refused(Ir *ir, RefusedId id)
{
    const RefusedRow *const row = &refused_rows[id];
    return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where, "%s is not supported: %s", row->what ? row->what : row->op, row->reason);
}

const char *refused_reason(const char *domain, const char *op)
{
    for (int i = 0; i < REFUSED_COUNT; i++)
        if (!refused_rows[i].what && strcmp(refused_rows[i].domain, domain) == 0 && strcmp(refused_rows[i].op, op) == 0)
            return refused_rows[i].reason;
    return NULL;
}
