/* The part of lathe inspect that looks at model files. */
#ifndef LATHE_TOOLS_INSPECTMODEL_H
#define LATHE_TOOLS_INSPECTMODEL_H

#include "tools/options.h"

bool inspect_model(const Options *options);

#endif
