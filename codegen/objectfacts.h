/* What an ELF32 relocatable object says about itself: sizes by kind of memory, frames, names that it misses. */
#ifndef LATHE_CODEGEN_OBJECTFACTS_H
#define LATHE_CODEGEN_OBJECTFACTS_H

#include "codegen/object.h"

typedef struct ObjectFacts {
    int64_t read_only, writable; /* bytes of sections that are loaded; of those that the program may write */
} ObjectFacts;

/* False: no little-endian ELF32 object. */
bool object_facts(const ObjectBytes *object, ObjectFacts *facts);
/* Calls `visit` for every name that is used and not defined; the text is the object's. */
bool object_undefined(const ObjectBytes *object, void (*visit)(void *context, const char *name), void *context);
/* The bytes of the frame of `function`; 0: none is recorded. */
int64_t object_frame(const ObjectBytes *object, const char *function);

#endif
