/* links: lathe_passes lathe_targets lathe_ir
 * Operators by family, against ONNX's reference evaluator and NumPy: op_family_tables.py, family.h. */
#define TABLES "op_family_tables.h"
#include "family.h"

Test(families, plain_loops_equal_the_reference)
{
    cr_expect(cases_run(0, 1, false, NULL) == 0);
}

Test(families, passes_and_lanes_keep_the_values)
{
    cr_expect(cases_run(2, 1024, false, NULL) == 0);
}

/* Only how many axes a tuple picks, and how many heads share a key, must be known. */
static void refused(const FamilyCase *row)
{
    cr_expect(strstr(row->text, "GatherND") || strstr(row->text, "ScatterND") || strstr(row->text, "(Attention"),
              "%s is refused", row->name);
}

Test(families, symbolic_extents_keep_the_values)
{
    cr_expect(cases_run(2, 8, true, refused) < 10);
}
