/* The family null. */
#ifndef LATHE_TARGETS_NULL_H
#define LATHE_TARGETS_NULL_H

#include "targets/target.h"

extern const TargetFamily null_family;

#endif
