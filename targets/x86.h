/* x86-64 levels: the rows and what the host has. */
#ifndef LATHE_TARGETS_X86_H
#define LATHE_TARGETS_X86_H

#include "targets/target.h"

enum { X86_LEVELS = 2 };
extern const TargetMachineInfo x86_levels[X86_LEVELS];
uint64_t x86_host_mask(void);

#endif
