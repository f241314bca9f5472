/* From PTX text to machine code of one GPU level, by NVIDIA's assembler: a program of the system, found like linkers.
 * Where there is none, libraries carry the text alone and the driver compiles it when the model is opened. */
#ifndef LATHE_CODEGEN_PTXAS_H
#define LATHE_CODEGEN_PTXAS_H

#include "codegen/object.h"

typedef struct Assembler {
    const char *path;
    const char *version; /* "13.0.88" */
} Assembler;

/* LATHE_PTXAS, else ptxas in PATH, else where CUDA is usually installed. False: there is none, or it does not run. */
bool ptxas_find(Arena *arena, Assembler *assembler);
/* `text` ends with a zero byte. False after a diagnostic that has the assembler's first words. */
bool ptxas_assemble(Ir *ir, Arena *arena, const Assembler *assembler, const ObjectRequest *request, ObjectBytes text,
                    ObjectBytes *binary);

/* What a kernel of a device becomes: the text, and machine code where it was assembled (else no bytes), as one object
 * for the pipe of a worker and the cache. */
typedef struct DeviceImage {
    ObjectBytes text, binary;
} DeviceImage;
ObjectBytes device_image_pack(Arena *arena, const DeviceImage *image);
DeviceImage device_image_unpack(ObjectBytes packed);

#endif
