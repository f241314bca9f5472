/* The functions of host steps. */
#ifndef LATHE_RUNTIME_HOST_H
#define LATHE_RUNTIME_HOST_H

#include "runtime/lathe_script.h"

#define HOST_FUNCTION(name) lathe_host_function lathe_host_##name;
#include "runtime/host.def"
#undef HOST_FUNCTION

#endif
