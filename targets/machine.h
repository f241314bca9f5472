/* Machine files: the numbers of one machine as text, for cost models.
 *
 *     lathe-machine 1
 *     # numbers of every level
 *     cores 4
 *     l2 2097152
 *     level x86-64-v4
 *     # numbers of this level
 *     multiplies_per_cycle 2
 *
 * The first line names the format and its version; a line is a name of targets/machine.def and a number, or begins the
 * numbers of a level; what follows # is a comment. What a file does not say stays as the level's row has it, and what
 * it says of levels that are not asked for is checked and not used. */
#ifndef LATHE_TARGETS_MACHINE_H
#define LATHE_TARGETS_MACHINE_H

#include "targets/target.h"

typedef struct MachineField {
    const char *name;
    const char *what;   /* for people */
    size_t offset;      /* in TargetMachineInfo */
    bool whole;         /* int64_t, else double */
    double least, most; /* both are allowed */
} MachineField;

extern const MachineField machine_fields[];
extern const int machine_field_count;

double machine_number(const TargetMachineInfo *level, const MachineField *field);
void machine_number_set(TargetMachineInfo *level, const MachineField *field, double number);

/* Gives the levels of the choice the numbers of a file: they become copies in the arena of the diagnostics. `name` is
 * the file's, for messages. False after a diagnostic with name and line. */
bool machine_apply(Diagnostics *diagnostics, const char *name, const char *text, size_t size, TargetChoice *choice);
/* Writes a number as machine_apply reads it, without losing bits. */
void machine_number_print(FILE *file, const TargetMachineInfo *level, const MachineField *field);

#endif
