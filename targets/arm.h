/* The 32-bit ARM family. */
#ifndef LATHE_TARGETS_ARM_H
#define LATHE_TARGETS_ARM_H

#include "targets/target.h"

extern const TargetFamily arm_family;

#endif
