/* What is known of every operator, gathered from the tables: operator rows, operators.def, versions.c, control.c and refused.def. */
#ifndef LATHE_FRONTEND_CATALOGUE_H
#define LATHE_FRONTEND_CATALOGUE_H

#include "ir/ops/ops.h"

enum { RAISED_MOST = 8 };
typedef struct OperatorFacts {
    const char *domain; /* "" is the default domain */
    const char *name;
    int first, removed;  /* opset versions of the default domain; 0: not known, or not removed */
    const OpRow *row;    /* NULL: it has none */
    const char *newest;  /* the operator that it is raised to, when that is another one; else NULL */
    bool control;        /* its attributes hold bodies */
    const char *refused; /* why it is refused as a whole; NULL: it is not, or nobody has written it yet */
    int raised_count;    /* opset versions below which the importer raises it */
    int raised[RAISED_MOST];
} OperatorFacts;
static inline bool operator_taken(const OperatorFacts *facts)
{
    return facts->row || facts->newest || facts->control;
}

/* Every operator of the standard's default domain, and what else there are rows for (but those of the compiler's own
 * domain, lathe), by domain and name. Returns their number; the list belongs to the arena. */
int catalogue_read(Arena *arena, const OperatorFacts **list);

#endif
