/* The runtime as data: what the compiler puts into every model that it links. Library lathe_runtime_embed. */
#ifndef LATHE_RUNTIME_EMBED_H
#define LATHE_RUNTIME_EMBED_H

#include <stddef.h>

/* The runtime of this name (TargetFamily.runtime) as LLVM bitcode, or NULL: runtime/runtime.cmake lists them. The code names its own
 * CPU and features, the lowest of the families that it is for. Visible to other objects: lathe_rt_* and what LLVM itself calls;
 * undefined: functions of libc alone. */
const void *runtime_bitcode(const char *name, size_t *bytes);

/* The text of lathe_model.h, which generated headers carry; ends in a zero that size does not count. */
extern const char lathe_model_header[];
extern const size_t lathe_model_header_size;

#endif
