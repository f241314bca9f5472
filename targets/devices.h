/* The table of named devices. */
#ifndef LATHE_TARGETS_DEVICES_H
#define LATHE_TARGETS_DEVICES_H

#include "targets/target.h"

extern const TargetDevice target_devices[];
extern const int target_devices_count;

#endif
