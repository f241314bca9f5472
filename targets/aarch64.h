/* The AArch64 family. */
#ifndef LATHE_TARGETS_AARCH64_H
#define LATHE_TARGETS_AARCH64_H

#include "targets/target.h"

extern const TargetFamily aarch64_family;
extern const TargetMachineInfo aarch64_levels[]; /* lowest first: hosts of devices */

#endif
