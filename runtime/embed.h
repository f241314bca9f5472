/* The runtime as data: what the compiler puts into every model that it links. Library lathe_runtime_embed. */
#ifndef LATHE_RUNTIME_EMBED_H
#define LATHE_RUNTIME_EMBED_H

#include <stddef.h>

/* A relocatable x86-64 ELF object. Global: lathe_rt_*; undefined: functions of libc alone. */
extern const unsigned char lathe_runtime_object[];
extern const size_t lathe_runtime_object_size;

/* The text of lathe_model.h, which generated headers carry; ends in a zero that size does not count. */
extern const char lathe_model_header[];
extern const size_t lathe_model_header_size;

#endif
