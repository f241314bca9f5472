/* The cache folder: where it is, and what may be removed from it.
 *
 * A folder counts as Lathe's cache when it holds CACHEDIR.TAG with the line that cache_folder_open writes: so a cache
 * that was pointed at somebody's documents is never cleaned. Cleaning touches regular files only and follows no links.
 */
#ifndef LATHE_TOOLS_CACHEFOLDER_H
#define LATHE_TOOLS_CACHEFOLDER_H

#include "tools/options.h"

#include <time.h>

typedef struct CacheFile {
    const char *path;
    int64_t bytes;
    struct timespec used; /* the later of last read and last change */
} CacheFile;

typedef struct CacheListing {
    const char *folder;
    bool marked;      /* it is Lathe's own */
    CacheFile *files; /* least recently used first; ties by path */
    size_t count;
    int64_t bytes;
} CacheListing;

/* --cache-dir, LATHE_CACHE_DIR, $XDG_CACHE_HOME/lathe, ~/.cache/lathe; NULL: --no-cache, or nowhere to put it. */
const char *cache_folder(const Options *options);
/* Makes the folder and marks it as a cache. Whoever writes to the cache calls this first. */
bool cache_folder_open(const char *folder, Arena *arena, Diagnostics *diagnostics);
/* A folder that does not exist lists as empty. */
bool cache_list(CacheListing *listing, const char *folder, Arena *arena, Diagnostics *diagnostics);

#endif
