/* Lookup of targets by name. A new family adds its rows to `target_at` and its host test to `target_host_mask`. */
#include "targets/target.h"
#include "targets/x86.h"

#include <string.h>

int target_count(void)
{
    return X86_LEVELS;
}

const TargetMachineInfo *target_at(int index)
{
    return &x86_levels[index];
}

uint64_t target_host_mask(void)
{
    return x86_host_mask();
}

bool target_runs_here(const TargetMachineInfo *target)
{
    return (target_host_mask() & target->cpu_mask) == target->cpu_mask;
}

enum { NAME_LONGEST = 40 };

/* Edits (insert, delete, replace one character) that turn `a` into `b`; both are cut to NAME_LONGEST. */
static int edit_distance(const char *a, const char *b)
{
    const int a_length = (int)strnlen(a, NAME_LONGEST), b_length = (int)strnlen(b, NAME_LONGEST);
    int row[NAME_LONGEST + 1];
    for (int j = 0; j <= b_length; j++)
        row[j] = j;
    for (int i = 1; i <= a_length; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= b_length; j++) {
            const int replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            const int shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[b_length];
}

static const TargetMachineInfo *target_native(Diagnostics *diagnostics)
{
    for (int i = target_count() - 1; i >= 0; i--)
        if (target_runs_here(target_at(i)))
            return target_at(i);
    diag_error(diagnostics, EXIT_UNSUPPORTED, NULL, "this machine runs none of the targets (the lowest is %s)",
               target_at(0)->name);
    return NULL;
}

const TargetMachineInfo *target_find(Diagnostics *diagnostics, const char *name)
{
    if (strcmp(name, "native") == 0)
        return target_native(diagnostics);
    int nearest = 0, least = NAME_LONGEST + 1;
    for (int i = 0; i < target_count(); i++) {
        const int distance = edit_distance(name, target_at(i)->name);
        if (strcmp(name, target_at(i)->name) == 0)
            return target_at(i);
        if (distance < least) {
            least = distance;
            nearest = i;
        }
    }
    diag_error(diagnostics, EXIT_USAGE, NULL, "no target is called \"%s\"; did you mean \"%s\"?",
               diag_quote(diagnostics->arena, name, NAME_LONGEST), target_at(nearest)->name);
    return NULL;
}
