/* The numbers of this machine, measured: what lathe doctor --calibrate writes (targets/machine.h reads it). */
#ifndef LATHE_TOOLS_CALIBRATE_H
#define LATHE_TOOLS_CALIBRATE_H

#include "tools/options.h"

/* False after a diagnostic. */
bool calibrate(const Options *options);

#endif
