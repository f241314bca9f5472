/* The family of Cortex-M microcontrollers. */
#ifndef LATHE_TARGETS_CORTEXM_H
#define LATHE_TARGETS_CORTEXM_H

#include "targets/target.h"

extern const TargetFamily cortexm_family;

#endif
