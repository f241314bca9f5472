/* The family x86-64. */
#ifndef LATHE_TARGETS_X86_H
#define LATHE_TARGETS_X86_H

#include "targets/target.h"

extern const TargetFamily x86_family;
extern const TargetMachineInfo x86_levels[]; /* lowest first: hosts of devices */

#endif
