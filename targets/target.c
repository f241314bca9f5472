/* Lookup of targets by name. A family is a line of `families`, a device a row of targets/devices.c. */
#include "targets/target.h"
#include "targets/aarch64.h"
#include "targets/arm.h"
#include "targets/cortexm.h"
#include "targets/cuda.h"
#include "targets/devices.h"
#include "targets/machine.h"
#include "targets/null.h"
#include "targets/x86.h"

#include <string.h>

static const TargetFamily *const families[] = {
    &x86_family, &aarch64_family, &arm_family, &cortexm_family, &cuda_family, &cuda_aarch64_family, &null_family,
};
enum { FAMILIES = sizeof families / sizeof *families, NAME_LONGEST = 40 };

int target_family_count(void)
{
    return FAMILIES;
}

const TargetFamily *target_family_at(int index)
{
    return families[index];
}

int target_device_count(void)
{
    return target_devices_count;
}

const TargetDevice *target_device_at(int index)
{
    return &target_devices[index];
}

int target_count(void)
{
    int count = 0;
    for (int i = 0; i < FAMILIES; i++)
        count += families[i]->level_count;
    return count;
}

const TargetMachineInfo *target_at(int index)
{
    int family = 0;
    for (; index >= families[family]->level_count; family++)
        index -= families[family]->level_count;
    return &families[family]->levels[index];
}

const TargetMachineInfo *target_with_dots(Arena *arena, const TargetMachineInfo *target)
{
    if (!target->dot_name)
        return NULL;
    TargetMachineInfo *const level = NEW(arena, TargetMachineInfo);
    *level = *target;
    level->name = target->dot_name;
    level->features = arena_format(arena, "%s,%s", target->features, target->dot_features);
    level->cpu_mask |= target->dot_mask;
    level->dot_name = NULL;
    level->base = target;
    return level;
}

bool target_runs_here(const TargetMachineInfo *target)
{
    const TargetFamily *const family = target->family;
    return family->host_mask && target->cpu_mask && (family->host_mask() & target->cpu_mask) == target->cpu_mask;
}

/* ---- names ---- */

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

static const TargetMachineInfo *level_called(const TargetFamily *family, const char *name)
{
    for (int i = 0; i < family->level_count; i++)
        if (strcmp(name, family->levels[i].name) == 0)
            return &family->levels[i];
    return NULL;
}

static const TargetMachineInfo *any_level_called(const char *name)
{
    const TargetMachineInfo *level = NULL;
    for (int i = 0; i < FAMILIES && !level; i++)
        level = level_called(families[i], name);
    return level;
}

void target_nearer(const char *name, const char *candidate, const char **nearest, int *least)
{
    const int distance = edit_distance(name, candidate);
    if (distance < *least) {
        *least = distance;
        *nearest = candidate;
    }
}

/* `family` NULL: of anything that can be named. */
static bool no_such_target(Diagnostics *diagnostics, const char *name, const TargetFamily *family)
{
    const char *nearest = "native";
    int least = NAME_LONGEST + 1;
    for (int i = 0; i < target_count(); i++)
        if (!family || target_at(i)->family == family)
            target_nearer(name, target_at(i)->name, &nearest, &least);
    for (int i = 0; i < FAMILIES && !family; i++)
        target_nearer(name, families[i]->name, &nearest, &least);
    for (int i = 0; i < target_devices_count && !family; i++)
        target_nearer(name, target_devices[i].name, &nearest, &least);
    return diag_error(diagnostics, EXIT_USAGE, NULL, "no target%s%s is called \"%s\"; did you mean \"%s\"?",
                      family ? " of " : "", family ? family->name : "",
                      diag_quote(diagnostics->arena, name, NAME_LONGEST), nearest);
}

static const TargetMachineInfo *target_native(Diagnostics *diagnostics)
{
    for (int i = 0; i < FAMILIES; i++)
        for (int level = families[i]->level_count - 1; level >= 0; level--)
            if (target_runs_here(&families[i]->levels[level]))
                return &families[i]->levels[level];
    diag_error(diagnostics, EXIT_UNSUPPORTED, NULL, "this machine runs none of the targets (the lowest is %s)",
               target_at(0)->name);
    return NULL;
}

const TargetMachineInfo *target_find(Diagnostics *diagnostics, const char *name)
{
    if (strcmp(name, "native") == 0)
        return target_native(diagnostics);
    const TargetMachineInfo *const level = any_level_called(name);
    if (!level)
        no_such_target(diagnostics, name, NULL);
    return level;
}

/* ---- choosing ---- */

static bool add_level(Diagnostics *diagnostics, TargetChoice *choice, const TargetMachineInfo *level)
{
    for (int i = 0; i < choice->level_count; i++)
        if (choice->levels[i] == level)
            return true;
    if (choice->family && choice->family != level->family)
        return diag_error(diagnostics, EXIT_USAGE, NULL, "%s is a level of %s, not of %s: one library has one family",
                          level->name, level->family->name, choice->family->name);
    if (choice->level_count == TARGET_LEVELS_MAX)
        return diag_error(diagnostics, EXIT_USAGE, NULL, "at most %d levels fit into one library", TARGET_LEVELS_MAX);
    choice->family = level->family;
    int at = choice->level_count++;
    for (; at > 0 && choice->levels[at - 1] < level; at--) /* rows of a family stand in one array, best last */
        choice->levels[at] = choice->levels[at - 1];
    choice->levels[at] = level;
    return true;
}

/* Adds the levels of a list with commas. */
static bool add_levels(Diagnostics *diagnostics, TargetChoice *choice, const char *list)
{
    while (*list) {
        const size_t length = strcspn(list, ",");
        const char *const name = arena_format(diagnostics->arena, "%.*s", (int)length, list);
        const TargetMachineInfo *const level = strcmp(name, "native") == 0 ? target_native(diagnostics)
                                               : choice->family            ? level_called(choice->family, name)
                                                                           : any_level_called(name);
        if (!level && strcmp(name, "native") == 0)
            return false;
        if (!level && choice->family && any_level_called(name))
            return add_level(diagnostics, choice, any_level_called(name)); /* which says of which family it is */
        if (!level)
            return no_such_target(diagnostics, name, choice->family);
        if (!add_level(diagnostics, choice, level))
            return false;
        list += length + (list[length] == ',');
    }
    return true;
}

static bool one_triple(const TargetFamily *family)
{
    for (int i = 1; i < family->level_count; i++)
        if (strcmp(family->levels[i].triple, family->levels[0].triple) != 0)
            return false;
    return true;
}

/* The family called by the first `length` characters of `name`, or all of whose levels have this triple. */
static const TargetFamily *family_called(const char *name, size_t length)
{
    for (int i = 0; i < FAMILIES; i++)
        if ((strlen(families[i]->name) == length && strncmp(families[i]->name, name, length) == 0) ||
            (strcmp(families[i]->levels[0].triple, name) == 0 && one_triple(families[i])))
            return families[i];
    return NULL;
}

/* Where triples differ between the levels of a family: the first, lowest level that has this one. */
static const char *level_of_triple(const char *triple)
{
    for (int i = 0; i < target_count(); i++)
        if (strcmp(target_at(i)->triple, triple) == 0)
            return target_at(i)->name;
    return triple;
}

static bool choose(Diagnostics *diagnostics, const char *name, const char *const *levels, int count,
                   TargetChoice *choice)
{
    const size_t length = strcspn(name, ":");
    const char *implied = name;
    if (!*name)
        return no_such_target(diagnostics, name, NULL);
    *choice = (TargetChoice){.family = family_called(name, length)};
    if (choice->family)
        implied = name[length] ? name + length + 1 : choice->family->standard;
    else
        implied = level_of_triple(name);
    for (int i = 0; i < target_devices_count && !choice->family; i++)
        if (strcmp(name, target_devices[i].name) == 0) {
            choice->device = &target_devices[i];
            implied = choice->device->target;
        }
    if (count == 0)
        return add_levels(diagnostics, choice, implied);
    /* The name still decides of which family the levels may be. */
    TargetChoice named = *choice;
    if (!add_levels(diagnostics, &named, implied))
        return false;
    choice->family = named.family;
    for (int i = 0; i < count; i++)
        if (!add_levels(diagnostics, choice, levels[i]))
            return false;
    return true;
}

bool target_choose(Diagnostics *diagnostics, const char *name, const char *const *levels, int count,
                   TargetChoice *choice)
{
    if (!choose(diagnostics, name, levels, count, choice))
        return false;
    const char *const machine = choice->device ? choice->device->machine : NULL;
    return !machine || machine_apply(diagnostics, name, machine, strlen(machine), choice);
}
