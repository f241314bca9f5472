/* The kernels of a device as data of the library: one constant that holds machine code and texts one after the other.
 */
#ifndef LATHE_CODEGEN_IMAGES_H
#define LATHE_CODEGEN_IMAGES_H

#include "codegen/elf.h"
#include "codegen/program.h"
#include "codegen/worker.h"

extern const char images_symbol[];

/* Takes the images from the jobs of the program's kernels (kernel by kernel, each for all levels) and notes in
 * program->images where they will be. The text stays where there is no machine code, and of the lowest level, for
 * devices to come. */
ElfBlob images_collect(Program *program, const KernelJob *jobs);

#endif
