/* links: lathe_passes lathe_targets lathe_ir
 * com.microsoft and ai.onnx.ml, as ONNX Runtime computes them: op_contrib_tables.py, family.h. */
#define TABLES "op_contrib_tables.h"
#include "family.h"

Test(contrib, plain_loops_equal_the_reference)
{
    cr_expect(cases_run(0, 1, false, NULL) == 0);
}

Test(contrib, passes_and_lanes_keep_the_values)
{
    cr_expect(cases_run(2, 1024, false, NULL) == 0);
}

Test(contrib, symbolic_extents_keep_the_values)
{
    cr_expect(cases_run(2, 8, true, NULL) == 0);
}
