/* From objects to what users get: a shared library, a static library or one object file.
 *
 * The linker is a program of the system (ld.lld, mold, ld or cc; LATHE_LINKER names another), started with an argument
 * vector, never through a shell. Outputs are made beside their final name and renamed when complete; an output that
 * would be the same bytes is left untouched. The same inputs give the same bytes. A library needs libc (and libm when
 * it calls it) and nothing else.
 *
 * For another machine the linker must know that machine (ld.lld and mold know all, else GNU's cross tools), and no
 * files of that machine are needed: stand-ins for its libc are linked on the way, so that the library names libc.so.6
 * as what it needs and asks for no versions of its functions. */
#ifndef LATHE_CODEGEN_LINK_H
#define LATHE_CODEGEN_LINK_H

#include "ir/diag.h"

#include <stdbool.h>
#include <stddef.h>

/* An object: a file, or bytes in memory when path is NULL. */
typedef struct LinkInput {
    const char *path;
    const void *data;
    size_t bytes;
} LinkInput;

/* A library of another machine in name: what the linked one says it needs. */
typedef struct LinkStandIn {
    const char *name; /* "libc.so.6" */
    LinkInput object; /* defines what may be used of it */
} LinkStandIn;

/* A blob of an input that has no contents (ElfBlob.hole): they are written into what was linked, so that a linker does
 * not copy hundreds of megabytes. */
typedef struct LinkHole {
    const char *symbol;
    uint64_t bytes;
    bool (*fill)(void *context, const char *path, uint64_t offset); /* false with errno */
    void *context;
    bool no_place; /* result: the linker has kept no place for it; nothing was made, and nothing reported */
} LinkHole;

typedef struct LinkJob {
    const LinkInput *inputs;
    int input_count;
    const char *const *exports; /* symbols that stay visible; everything else becomes local */
    int export_count;
    const char *output;
    bool strip_debug;
    int machine;                  /* ELF's e_machine of the inputs; 0: of this program */
    const char *gnu;              /* how GNU's tools for that machine begin; NULL: there are none */
    const LinkStandIn *stand_ins; /* for another machine */
    int stand_in_count;
    LinkHole *hole;           /* link_shared: may be NULL */
    bool bare;                /* for a machine without an operating system: no unwind tables */
    struct ObjectBytes *made; /* bare: gets a copy of the linked object, in the diagnostics' arena */
} LinkJob;

/* Is this another machine than the one that lathe runs on? Then stand_ins are needed. */
bool link_is_foreign(int machine);

/* Each reports what went wrong with exit code 5 (files) or 6 (linker) and then leaves no file behind. */
bool link_shared(Diagnostics *diagnostics, const LinkJob *job);
bool link_static(Diagnostics *diagnostics, const LinkJob *job);
bool link_object(Diagnostics *diagnostics, const LinkJob *job);

/* The linker that would be used, as a path in the arena; NULL when there is none. For `lathe doctor` and messages. */
const char *link_find(Arena *arena);
/* The program `name` in the folders of PATH; a name with a slash is itself. NULL: there is none. */
const char *program_find(Arena *arena, const char *name);

#endif
