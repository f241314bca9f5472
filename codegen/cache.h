/* Objects that were compiled before, on disk, found by the whole text of what they were compiled from.
 *
 * The file's name is a hash of the key, but a hit needs the full key to be equal, byte for byte: a wrong object is
 * never taken. The cache never fails a compile: what is missing, damaged, too open or unwritable is as if it were not
 * there. Several processes may use one cache at once (files arrive by rename and never change). */
#ifndef LATHE_CODEGEN_CACHE_H
#define LATHE_CODEGEN_CACHE_H

#include "ir/arena.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Cache Cache;

/* folder NULL: $LATHE_CACHE_DIR, else $XDG_CACHE_HOME/lathe, else ~/.cache/lathe. NULL when there is no usable folder
 * (it must belong to this user and nobody else may write to it); the functions below take that NULL and do nothing. */
Cache *cache_open(Arena *arena, const char *folder);
/* The object under `key`, in `arena`, or NULL. */
const void *cache_get(Cache *cache, Arena *arena, const char *key, size_t *bytes);
void cache_put(Cache *cache, const char *key, const void *object, size_t bytes);

typedef struct CacheFacts {
    const char *folder;
    int64_t files, bytes;
} CacheFacts;
CacheFacts cache_facts(Cache *cache);
/* Removes the least recently used files until at most `limit` bytes are left. */
void cache_trim(Cache *cache, int64_t limit);

#endif
