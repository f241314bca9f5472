/* The object that makes kernels a model: the tables of runtime/lathe_runtime.h, the descriptor, the typed entry
 * functions; and the C header that declares them. */
#ifndef LATHE_CODEGEN_MODEL_H
#define LATHE_CODEGEN_MODEL_H

#include "codegen/object.h"
#include "codegen/program.h"

typedef struct ModelInfo {
    const char *prefix; /* C identifier that all public names begin with */
    const char *name;   /* of the model file, for people */
    const char *sha256;
    const char *tool; /* "lathe 0.1.0" */
    bool shared;      /* also export the descriptor as lathe_model_v1 */
} ModelInfo;

/* Symbols that the object defines for the public, in the program's arena. */
const char *const *model_exports(const Program *program, const ModelInfo *info, int *count);
/* Tables and entries as LLVM text, to be compiled for the lowest level. weights is the name of the symbol at the packed
 * weights. */
bool model_object(const Program *program, const ModelInfo *info, const char *weights, ObjectFormat format,
                  ObjectBytes *result);
/* The generated C header. */
const char *model_header(const Program *program, const ModelInfo *info);
/* A C identifier from any text: letters, digits and underscores, never empty, never beginning with a digit. */
const char *c_identifier(Arena *arena, const char *text);

#endif
