/* The property that all schedules have: a random case, scheduled by the cost model or by values drawn from the
 * templates' spaces, for a machine as it is or with odd numbers, gives the bits of its plain stages. A seed gives the
 * same case everywhere. */
#ifndef LATHE_TESTS_CODEGEN_PROPERTY_H
#define LATHE_TESTS_CODEGEN_PROPERTY_H

#include "tests/codegen/cases.h"

typedef struct Plan {
    Maker *maker;
    int symbolic; /* per cent of extents */
    uint64_t seeds;
    bool machine;
    int least;            /* of the cases that the template takes */
    bool anyhow;          /* with values drawn from the templates' spaces instead of the cost model's */
    const char *template; /* that must take so many; NULL: any but the plain loops */
    int64_t cache;        /* bytes of the small L2; 0: hardly any */
    bool numbers;         /* all numbers that cost models read are drawn, too: decisions of passes become odd */
} Plan;

/* False after lines on standard output that tell the seed. *taken: did the template take a kernel? */
bool property_holds(const Plan *plan, const TargetMachineInfo *target, uint64_t seed, bool *taken);

#endif
