/* One scheduled kernel to machine code: object bytes, or text to look at. No LLVM types here. */
#ifndef LATHE_CODEGEN_OBJECT_H
#define LATHE_CODEGEN_OBJECT_H

#include "ir/ir.h"
#include "targets/target.h"

/* Lines of the kernel's text, for debuggers and profilers. file NULL: no debug information. */
typedef struct LineTable {
    const char *folder, *file;                       /* "", "model.ir" */
    int (*line_of)(void *context, const Node *node); /* of an ordered node or the kernel itself; 0: unknown */
    void *context;
} LineTable;

typedef enum ObjectFormat { FORMAT_OBJECT, FORMAT_ASSEMBLY, FORMAT_LLVM } ObjectFormat;

typedef struct ObjectBytes {
    const void *data; /* text formats end with a zero byte that is not counted */
    size_t bytes;
} ObjectBytes;

typedef struct ObjectRequest {
    const Node *kernel;
    const TargetMachineInfo *target;
    const char *symbol;     /* of the function: hidden, signature lathe_kernel */
    const LineTable *lines; /* may be NULL */
    ObjectFormat format;
    ObjectBytes bitcode; /* instead of a kernel: a module of LLVM, optimised, that says itself for which CPU it is */
    const struct Assembler *assembler; /* of a device's text (codegen/ptxas.h); NULL: the object has no machine code */
} ObjectRequest;

/* Objects of freestanding families have an absolute symbol for each function that uses stack: its name and this, with
 * the bytes that one call takes, without what it calls. */
#define OBJECT_FRAME ".frame"

/* Makes the request's object in `arena`; of a device, a packed DeviceImage (codegen/ptxas.h). False after a diagnostic.
 * The same request gives the same bytes. */
bool object_make(Ir *ir, Arena *arena, const ObjectRequest *request, ObjectBytes *result);
/* The same for a module given as LLVM's text: tables and entry functions. `name` is for messages. */
bool object_from_text(Ir *ir, Arena *arena, const char *name, const TargetMachineInfo *target, const char *text,
                      ObjectFormat format, ObjectBytes *result);
/* Everything besides the kernel and target that decides the bytes: versions of LLVM and of this translation. */
const char *object_version(Arena *arena);
/* Registers LLVM's targets; object_make does it too. Call before forking workers, so that they share the memory. */
void object_initialize(void);

#endif
