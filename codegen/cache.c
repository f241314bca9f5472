/* One file per object: header, key, object. Folders 00..ff by the first byte of the hash, so that none grows large. */
#define _GNU_SOURCE /* mkostemp */
#include "codegen/cache.h"
#include "codegen/descriptor.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

struct Cache {
    Arena *arena;
    const char *folder;
};

typedef struct Header {
    char magic[8];
    uint64_t key_bytes, object_bytes;
    uint64_t object_hash; /* XXH3-64 */
} Header;
static const char magic[8] = "lathe\n1";

/* ---- folders ---- */

static bool is_private_folder(const char *path)
{
    struct stat facts;
    return lstat(path, &facts) == 0 && S_ISDIR(facts.st_mode) && facts.st_uid == geteuid() &&
           (facts.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)!mkdir(path, 0700);
        *slash = '/';
    }
    (void)!mkdir(path, 0700);
}

static char *default_folder(Arena *arena)
{
    const char *const own = getenv("LATHE_CACHE_DIR");
    if (own && *own)
        return arena_format(arena, "%s", own);
    const char *const base = getenv("XDG_CACHE_HOME");
    if (base && base[0] == '/')
        return arena_format(arena, "%s/lathe", base);
    const char *const home = getenv("HOME");
    return home && home[0] == '/' ? arena_format(arena, "%s/.cache/lathe", home) : NULL;
}

Cache *cache_open(Arena *arena, const char *folder)
{
    char *const path = folder ? arena_format(arena, "%s", folder) : default_folder(arena);
    if (!path || !*path)
        return NULL;
    make_folders(path);
    if (!is_private_folder(path))
        return NULL;
    Cache *const cache = NEW(arena, Cache);
    *cache = (Cache){arena, path};
    return cache;
}

typedef struct EntryName {
    char folder[3];
    char file[31];
} EntryName;

static EntryName entry_name(const char *key, size_t key_bytes)
{
    const XXH128_hash_t hash = XXH3_128bits(key, key_bytes);
    char digits[33];
    snprintf(digits, sizeof digits, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64, (uint64_t)hash.low64);
    EntryName name;
    memcpy(name.folder, digits, 2);
    name.folder[2] = 0;
    memcpy(name.file, digits + 2, sizeof name.file);
    return name;
}

/* ---- reading ---- */

static const void *read_entry(int file, Arena *arena, const char *key, size_t key_bytes, size_t *bytes)
{
    struct stat facts;
    Header header;
    if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode) || facts.st_uid != geteuid() ||
        !descriptor_read(file, &header, sizeof header) || memcmp(header.magic, magic, sizeof magic) != 0 ||
        header.key_bytes != key_bytes || header.object_bytes > (uint64_t)facts.st_size ||
        sizeof header + header.key_bytes + header.object_bytes != (uint64_t)facts.st_size)
        return NULL;
    /* Both parts are no larger than the file, which exists: the arena is not asked for invented sizes. */
    const ArenaMark mark = arena_mark(arena);
    char *const text = arena_alloc(arena, key_bytes + 1);
    void *const object = arena_alloc(arena, header.object_bytes + 1);
    if (!descriptor_read(file, text, key_bytes) || memcmp(text, key, key_bytes) != 0 ||
        !descriptor_read(file, object, header.object_bytes) ||
        XXH3_64bits(object, header.object_bytes) != header.object_hash) {
        arena_reset(arena, mark);
        return NULL;
    }
    *bytes = header.object_bytes;
    (void)!futimens(file, NULL); /* for cache_trim: used now */
    return object;
}

const void *cache_get(Cache *cache, Arena *arena, const char *key, size_t *bytes)
{
    if (!cache)
        return NULL;
    const size_t key_bytes = strlen(key);
    const EntryName name = entry_name(key, key_bytes);
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s/%s", cache->folder, name.folder, name.file) >= (int)sizeof path)
        return NULL;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return NULL;
    const void *const object = read_entry(file, arena, key, key_bytes, bytes);
    close(file);
    return object;
}

/* ---- writing ---- */

void cache_put(Cache *cache, const char *key, const void *object, size_t bytes)
{
    if (!cache)
        return;
    const size_t key_bytes = strlen(key);
    const EntryName name = entry_name(key, key_bytes);
    char folder[4096], temporary[4200], path[4200];
    if (snprintf(folder, sizeof folder, "%s/%s", cache->folder, name.folder) >= (int)sizeof folder)
        return;
    snprintf(temporary, sizeof temporary, "%s/new-XXXXXX", folder);
    snprintf(path, sizeof path, "%s/%s", folder, name.file);
    (void)!mkdir(folder, 0700);
    const int file = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (file < 0)
        return;
    Header header = {.key_bytes = key_bytes, .object_bytes = bytes, .object_hash = XXH3_64bits(object, bytes)};
    memcpy(header.magic, magic, sizeof magic);
    const bool written = descriptor_write(file, &header, sizeof header) && descriptor_write(file, key, key_bytes) &&
                         descriptor_write(file, object, bytes);
    if (close(file) != 0 || !written || rename(temporary, path) != 0)
        unlink(temporary);
}

/* ---- care ---- */

typedef struct Entry {
    char path[3 + 32 + 1]; /* below the cache's folder */
    int64_t bytes;
    struct timespec used;
} Entry;

typedef struct Entries {
    Entry *items;
    int64_t count, capacity;
} Entries;

static void entry_add(Entries *entries, int folder, const char *folder_name, const char *file_name)
{
    struct stat facts;
    if (strlen(file_name) > 31 || fstatat(folder, file_name, &facts, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(facts.st_mode))
        return;
    if (entries->count == entries->capacity) {
        const int64_t capacity = entries->capacity * 2 + 256;
        Entry *const items = realloc(entries->items, (size_t)capacity * sizeof *items);
        if (!items)
            return;
        entries->items = items;
        entries->capacity = capacity;
    }
    Entry *const entry = &entries->items[entries->count++];
    snprintf(entry->path, sizeof entry->path, "%.2s/%.31s", folder_name, file_name);
    entry->bytes = facts.st_size;
    entry->used = facts.st_mtim;
}

static Entries entries_read(const Cache *cache)
{
    Entries entries = {0};
    for (int i = 0; i < 256; i++) {
        char name[3], path[4200];
        snprintf(name, sizeof name, "%02x", i);
        snprintf(path, sizeof path, "%s/%s", cache->folder, name);
        DIR *const folder = opendir(path);
        if (!folder)
            continue;
        for (const struct dirent *file = readdir(folder); file; file = readdir(folder))
            if (file->d_name[0] != '.')
                entry_add(&entries, dirfd(folder), name, file->d_name);
        closedir(folder);
    }
    return entries;
}

CacheFacts cache_facts(Cache *cache)
{
    CacheFacts facts = {0};
    if (!cache)
        return facts;
    facts.folder = cache->folder;
    const Entries entries = entries_read(cache);
    facts.files = entries.count;
    for (int64_t i = 0; i < entries.count; i++)
        facts.bytes += entries.items[i].bytes;
    free(entries.items);
    return facts;
}

static int older_first(const void *left, const void *right)
{
    const Entry *const a = left, *const b = right;
    if (a->used.tv_sec != b->used.tv_sec)
        return a->used.tv_sec < b->used.tv_sec ? -1 : 1;
    if (a->used.tv_nsec != b->used.tv_nsec)
        return a->used.tv_nsec < b->used.tv_nsec ? -1 : 1;
    return strcmp(a->path, b->path);
}

void cache_trim(Cache *cache, int64_t limit)
{
    if (!cache)
        return;
    const Entries entries = entries_read(cache);
    int64_t total = 0;
    for (int64_t i = 0; i < entries.count; i++)
        total += entries.items[i].bytes;
    if (entries.count)
        qsort(entries.items, (size_t)entries.count, sizeof *entries.items, older_first);
    for (int64_t i = 0; i < entries.count && total > limit; i++) {
        char path[4200];
        snprintf(path, sizeof path, "%s/%s", cache->folder, entries.items[i].path);
        if (unlink(path) == 0)
            total -= entries.items[i].bytes;
    }
    free(entries.items);
}
