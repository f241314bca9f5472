/* Tuning records as the compiler uses them: for which kernel on which level which values, from whoever measured.
 *
 * A record belongs to the canonical text of the kernel's stages (what is computed, extents, symbols as they are), to a
 * template with the version of its space, and to a level. One that does not fit is never an error: the cost model
 * decides, and the facts say how many were passed over and why. */
#ifndef LATHE_CODEGEN_TUNING_H
#define LATHE_CODEGEN_TUNING_H

#include "codegen/space.h"
#include "ir/ir.h"
#include "targets/target.h"

typedef struct TuningRecord {
    const char *key;    /* of the kernel: tuning_key */
    const char *target; /* name of the level */
    const char *features;
    int threads;
    const char *template; /* also the value of "template" */
    int space;
    const TrialValue *values; /* without the template */
    int value_count;
    bool used; /* a kernel asked for it */
} TuningRecord;

typedef struct Tuning {
    TuningRecord *records;
    int count;
    /* Facts, once the program is built: */
    int applied;         /* kernels that got a record's schedule */
    int outside;         /* records that their kernel's space refused */
    const char *refusal; /* of the first of those */
} Tuning;

/* What identifies a kernel: 128 bits of the canonical text of its stages, in hexadecimal. */
const char *tuning_key(Ir *ir, Node *kernel);
/* The record for the kernel on the level; of several, the one for the most threads, then the last. NULL: none. */
TuningRecord *tuning_find(Tuning *tuning, const char *key, const TargetMachineInfo *target);

#endif
