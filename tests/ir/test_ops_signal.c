/* links: lathe_passes lathe_targets lathe_ir
 * Signals, regions of images, random numbers, training: op_signal_tables.py, family.h. */
#define TABLES "op_signal_tables.h"
#include "family.h"

Test(signal, plain_loops_equal_the_reference)
{
    cr_expect(cases_run(0, 1, false, NULL) == 0);
}

Test(signal, passes_and_lanes_keep_the_values)
{
    cr_expect(cases_run(2, 1024, false, NULL) == 0);
}

/* Whether numbers are real or complex must be known. */
static void refused(const FamilyCase *row)
{
    cr_expect(strstr(row->text, "(DFT") || strstr(row->text, "(STFT"), "%s is refused", row->name);
}

Test(signal, symbolic_extents_keep_the_values)
{
    cr_expect(cases_run(2, 8, true, refused) < 20);
}
