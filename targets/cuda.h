/* The CUDA family: see cuda.c. */
#ifndef LATHE_TARGETS_CUDA_H
#define LATHE_TARGETS_CUDA_H

#include "targets/target.h"

extern const TargetFamily cuda_family;
extern const TargetFamily cuda_aarch64_family; /* the same GPUs beside an ARM processor */

#endif
