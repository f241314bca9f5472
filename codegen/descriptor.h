/* Whole transfers over a file descriptor: a short read or write and EINTR are gone on with; false at the end of the
 * file or on an error. May be called between fork and exec: no allocation, no locks. Safe on distinct files from any
 * thread. */
#ifndef LATHE_CODEGEN_DESCRIPTOR_H
#define LATHE_CODEGEN_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>

bool descriptor_read(int file, void *into, size_t bytes);
bool descriptor_write(int file, const void *from, size_t bytes);

#endif
