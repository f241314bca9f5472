/* links: lathe_ir */
/* Every operator that is a step of a script has its function in the runtime. */
#include <criterion/criterion.h>
#include <string.h>

#include "ir/ir.h"
#include "ir/ops/ops.h"

/* Which the walker does itself, or are read by it. */
static const char *const walked[] = {"If", "Loop", "Read"};

static const char *const functions[] = {
#define HOST_FUNCTION(name) #name,
#include "runtime/host.def"
#undef HOST_FUNCTION
};

static bool is_among(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

Test(hosts, every_row_has_its_function)
{
    size_t steps = 0;
    static const Op ops[] = {
#define OP(name, ...) OP_##name,
#include "ir/ops/ops.def"
#undef OP
    };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        const OpRow *const row = &op_rows[ops[i] - OP_TENSOR_FIRST];
        if (row->meaning.form != MEANING_HOST)
            continue;
        steps++;
        cr_expect(is_among(row->meaning.text, functions, sizeof functions / sizeof *functions) ||
                      is_among(row->meaning.text, walked, sizeof walked / sizeof *walked),
                  "%s wants lathe_host_%s", row->name, row->meaning.text);
    }
    cr_assert_gt(steps, sizeof walked / sizeof *walked);
}
