/* The library of a microcontroller: no runtime, no tables. Its program is a function that calls the kernels in order,
 * over a workspace that its caller gives or that the library holds itself. */
#ifndef LATHE_CODEGEN_EMBEDDED_H
#define LATHE_CODEGEN_EMBEDDED_H

#include "codegen/model.h"

enum { WORKSPACE_ALIGNMENT = 8 };

typedef struct EmbeddedOptions {
    bool workspace_is_static;
    int64_t max_ram, max_flash; /* bytes; 0: no limit */
} EmbeddedOptions;

/* Is the program for such a machine? */
bool embedded(const Program *program);
/* Lays out the workspace and gives the kernels names that begin with the model's prefix. False after a diagnostic: a
 * symbolic size, or more memory than there is. */
bool embedded_prepare(Program *program, const ModelInfo *info, const EmbeddedOptions *options);
/* The object with constants, entry functions and what of codegen/soft.h the kernels' objects ask for. */
bool embedded_object(const Program *program, const ModelInfo *info, const void *weights, const ObjectBytes *kernels,
                     int count, ObjectFormat format, ObjectBytes *result);
/* Fills the footprint's stack from the objects of the kernels and, behind them, that of the entries. False after a
 * diagnostic: a kernel needs a function that a microcontroller's program is not sure to have. */
bool embedded_stack(Program *program, const ModelInfo *info, const ObjectBytes *objects, int count);
/* Fills flash and code from the linked object. False after a diagnostic: more than there is. */
bool embedded_sizes(Program *program, const ObjectBytes *linked, const EmbeddedOptions *options);

/* ---- embedded_limits.c: false after a diagnostic that names the largest values; limit 0: none ---- */
bool embedded_ram_fits(const Program *program, int64_t limit);
bool embedded_flash_fits(const Program *program, int64_t limit); /* of constants alone, as long as code is not known */

#endif
