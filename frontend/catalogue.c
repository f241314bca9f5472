/* See catalogue.h. */
#include "frontend/catalogue.h"

#include "frontend/importer.h"
#include "ir/ops/refused.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int first, removed;
} standards[] = {
#define OPERATOR(name, first, removed) {#name, first, removed},
#include "frontend/operators.def"
#undef OPERATOR
};
enum { STANDARD_COUNT = sizeof standards / sizeof *standards };

static int by_name(const void *a, const void *b)
{
    const OperatorFacts *const x = a, *const y = b;
    const int order = strcmp(x->domain, y->domain);
    return order ? order : strcmp(x->name, y->name);
}

static bool met(const OperatorFacts *list, int count, const char *domain, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0 && strcmp(list[i].domain, domain) == 0)
            return true;
    return false;
}

static void fill_in(OperatorFacts *facts)
{
    const Op op = op_find(facts->domain, facts->name);
    facts->row = op == OP_NONE ? NULL : &op_rows[op - OP_TENSOR_FIRST];
    facts->refused = refused_reason(facts->domain, facts->name);
    if (*facts->domain)
        return;
    const char *const newest = operator_newest(facts->name);
    facts->newest = strcmp(newest, facts->name) != 0 ? newest : NULL;
    const ProtobufCBinaryData name = {strlen(facts->name), (uint8_t *)facts->name};
    facts->control = is_control(&(Onnx__NodeProto){.op_type = name});
    facts->raised_count = operator_raised(facts->name, facts->raised, RAISED_MOST);
}

int catalogue_read(Arena *arena, const OperatorFacts **list)
{
    OperatorFacts *const all = NEW_ARRAY(arena, OperatorFacts, STANDARD_COUNT + OP_ROW_COUNT + REFUSED_COUNT);
    int count = 0;
    for (int i = 0; i < STANDARD_COUNT; i++)
        all[count++] = (OperatorFacts){
            .domain = "", .name = standards[i].name, .first = standards[i].first, .removed = standards[i].removed};
    for (int i = 0; i < OP_ROW_COUNT; i++)
        if (strcmp(op_rows[i].domain, "lathe") != 0 && strncmp(op_rows[i].name, "lathe_", 6) != 0 &&
            !met(all, count, op_rows[i].domain, op_rows[i].name))
            all[count++] = (OperatorFacts){.domain = op_rows[i].domain, .name = op_rows[i].name};
    for (int i = 0; i < REFUSED_COUNT; i++)
        if (!refused_rows[i].what && !met(all, count, refused_rows[i].domain, refused_rows[i].op))
            all[count++] = (OperatorFacts){.domain = refused_rows[i].domain, .name = refused_rows[i].op};
    for (int i = 0; i < count; i++)
        fill_in(&all[i]);
    qsort(all, (size_t)count, sizeof *all, by_name);
    *list = all;
    return count;
}
