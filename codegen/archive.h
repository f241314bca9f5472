/* Static libraries: an ar file in the GNU format with a symbol index, without times, owners or anything else of the
 * machine. */
#ifndef LATHE_CODEGEN_ARCHIVE_H
#define LATHE_CODEGEN_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct ArchiveMember {
    const char *name; /* in the archive */
    const char *path; /* the object file */
} ArchiveMember;

/* Writes the whole archive; members are copied from their files. False: I/O error (errno) or a member that is no ELF
 * object. */
bool archive_write(FILE *file, const ArchiveMember *members, int count);

#endif
