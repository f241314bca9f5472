/* links: lathe_passes lathe_targets lathe_ir
 * Operators of detectors: op_detect_tables.py, family.h. */
#define TABLES "op_detect_tables.h"
#include "family.h"

Test(detect, plain_loops_equal_the_reference)
{
    cr_expect(cases_run(0, 1, false, NULL) == 0);
}

Test(detect, passes_and_lanes_keep_the_values)
{
    cr_expect(cases_run(2, 1024, false, NULL) == 0);
}

Test(detect, symbolic_extents_keep_the_values)
{
    cr_expect(cases_run(2, 8, true, NULL) == 0);
}
