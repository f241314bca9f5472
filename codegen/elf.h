/* Relocatable objects, ELF64 and ELF32, without an assembler: constant data streamed into a file, and local names for
 * what must not clash.
 *
 * Writing 100 MB of weights needs the memory of one piece only, because the data comes from a callback that writes it.
 */
#ifndef LATHE_CODEGEN_ELF_H
#define LATHE_CODEGEN_ELF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One constant of an object file: a read-only section of its own with one global hidden symbol at its start. */
typedef struct ElfBlob {
    const char *section; /* ".rodata.lathe_weights" */
    const char *symbol;
    uint64_t bytes;
    uint64_t alignment;                       /* a power of two */
    const void *data;                         /* all bytes, or NULL: `write` gives them */
    bool (*write)(void *context, FILE *file); /* appends exactly `bytes` bytes; false: I/O error */
    void *context;
    bool
        hole; /* nothing is written: the section has a size alone, and who links it fills the place in what comes out */
} ElfBlob;

/* Blobs of 1 GiB and more go into a large section (".l" before the name), which the linker keeps out of the way of
 * code. `machine` is ELF's e_machine and decides the class. False: input or output failed, or it is too large. */
bool elf_write(FILE *file, int machine, const ElfBlob *blobs, int count);

/* Where the bytes of `symbol` stand in a linked library, if the file holds `bytes` of them: a linker may also keep no
 * place for what it takes for zeros. */
bool elf_place(const char *path, const char *symbol, uint64_t bytes, uint64_t *offset);

/* Makes every defined global symbol of the object at `path` local, except `keep[0..count)`: then objects of several
 * models can be linked into one program. Edits in place; false when the file cannot be read or is no little-endian
 * object. */
bool elf_localize(const char *path, const char *const *keep, int count);

/* Bytes of the sections of an object in memory that are loaded: code and its constants, without debug information; all
 * bytes where it is no such object (images of devices). */
uint64_t elf_loaded_bytes(const void *object, uint64_t bytes);

/* Calls `visit` for each defined global symbol of an object in memory, in table order. False: no such object. */
bool elf_globals(const void *object, uint64_t bytes, void (*visit)(void *context, const char *name), void *context);

#endif
