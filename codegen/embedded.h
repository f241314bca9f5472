/* The library of a microcontroller: no runtime, no tables. Its program is a function that calls the kernels in order,
 * over a workspace that its caller gives or that the library holds itself. */
#ifndef LATHE_CODEGEN_EMBEDDED_H
#define LATHE_CODEGEN_EMBEDDED_H

#include "codegen/model.h"

enum { WORKSPACE_ALIGNMENT = 8 };

/* Is the program for such a machine? */
bool embedded(const Program *program);
/* Lays out the workspace and gives the kernels names that begin with the model's prefix. False after a diagnostic: a
 * symbolic size. */
bool embedded_prepare(Program *program, const ModelInfo *info, bool workspace_is_static);
/* The object with constants and entry functions. `undefined` are the names that the kernels' objects do not define. */
bool embedded_object(const Program *program, const ModelInfo *info, const void *weights, const char *const *undefined,
                     int undefined_count, ObjectFormat format, ObjectBytes *result);
/* Fills flash, code and stack of the footprint from the objects of the kernels and of the entries (the last). False
 * after a diagnostic: a kernel needs a function that no library of a microcontroller is sure to have. */
bool embedded_measure(Program *program, const ObjectBytes *objects, int count);
/* Names that an object uses and does not define, added to `names`; the text stays that of the object. */
int embedded_undefined(const ObjectBytes *object, const char **names, int count, int most);

#endif
