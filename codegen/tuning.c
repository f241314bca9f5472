/* Looking up tuning records: see tuning.h. */
#include "codegen/tuning.h"

#include "ir/print.h"

#include <string.h>
#include <xxhash.h>

const char *tuning_key(Ir *ir, Node *kernel)
{
    Arena *const scratch = arena_scratch(ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    size_t length;
    const char *const text = print_kernel(scratch, kernel, PRINT_CANONICAL, &length);
    const XXH128_hash_t hash = XXH3_128bits(text, length);
    arena_reset(scratch, mark);
    return arena_format(ir->arena, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}

TuningRecord *tuning_find(Tuning *tuning, const char *key, const TargetMachineInfo *target)
{
    TuningRecord *found = NULL;
    for (int i = 0; i < tuning->count; i++) {
        TuningRecord *const record = &tuning->records[i];
        if (strcmp(record->key, key) != 0 || strcmp(record->target, target->name) != 0 ||
            strcmp(record->features, target->features) != 0)
            continue;
        record->used = true;
        if (!found || record->threads >= found->threads)
            found = record;
    }
    return found;
}
