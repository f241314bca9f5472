/* The cache folder: see cachefolder.h. */
#include "tools/cachefolder.h"

#include "tools/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first line is the convention of cache folders (bford.info/cachedir), the second says whose it is. */
static const char tag[] =
    "Signature: 8a477f597d28d172789f06886806bc55\n# This is the cache of lathe: every file may be removed.\n";
static const char tag_name[] = "CACHEDIR.TAG";

enum { FILES_MOST = 10000000, FOLDERS_MOST = 1000000 };

const char *cache_folder(const Options *options)
{
    if (option_given(options, OPTION_NO_CACHE))
        return NULL;
    if (option_given(options, OPTION_CACHE_DIR))
        return option_text(options, OPTION_CACHE_DIR);
    const char *const own = getenv("LATHE_CACHE_DIR");
    if (own && *own)
        return own;
    const char *const user = getenv("XDG_CACHE_HOME");
    if (user && *user == '/') /* the specification has relative ones ignored */
        return arena_format(options->arena, "%s/lathe", user);
    const char *const home = getenv("HOME");
    return home && *home ? arena_format(options->arena, "%s/.cache/lathe", home) : NULL;
}

static bool folder_marked(const char *folder, Arena *arena)
{
    FILE *const file = fopen(arena_format(arena, "%s/%s", folder, tag_name), "re");
    if (!file)
        return false;
    char text[sizeof tag];
    const size_t got = fread(text, 1, sizeof tag - 1, file);
    fclose(file);
    return got == sizeof tag - 1 && memcmp(text, tag, got) == 0;
}

bool cache_folder_open(const char *folder, Arena *arena, Diagnostics *diagnostics)
{
    if (folder_marked(folder, arena))
        return true;
    if (!folder_make(folder, arena, diagnostics))
        return false;
    FileWriter writer;
    if (!file_writer_open(&writer, arena_format(arena, "%s/%s", folder, tag_name), arena, diagnostics))
        return false;
    fputs(tag, writer.file);
    return file_writer_commit(&writer);
}

typedef struct Walk {
    CacheListing *listing;
    size_t capacity;
    const char **folders; /* still to read */
    size_t folder_count, folder_capacity;
    Arena *arena;
} Walk;

/* Room for one more element: doubles the array in the arena. */
static void *grown(Arena *arena, void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity * 2 + 64;
    void *larger = arena_array(arena, *capacity, size);
    if (count)
        memcpy(larger, array, count * size);
    return larger;
}

static void walk_entry(Walk *walk, DIR *directory, const char *folder, const char *name)
{
    struct stat status;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        fstatat(dirfd(directory), name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    CacheListing *const listing = walk->listing;
    if (S_ISDIR(status.st_mode) && walk->folder_count < FOLDERS_MOST) {
        walk->folders =
            grown(walk->arena, walk->folders, walk->folder_count, &walk->folder_capacity, sizeof *walk->folders);
        walk->folders[walk->folder_count++] = arena_format(walk->arena, "%s/%s", folder, name);
    }
    if (!S_ISREG(status.st_mode) || listing->count == FILES_MOST || strcmp(name, tag_name) == 0)
        return;
    listing->files = grown(walk->arena, listing->files, listing->count, &walk->capacity, sizeof *listing->files);
    const bool read_later =
        status.st_atim.tv_sec > status.st_mtim.tv_sec ||
        (status.st_atim.tv_sec == status.st_mtim.tv_sec && status.st_atim.tv_nsec > status.st_mtim.tv_nsec);
    listing->files[listing->count++] = (CacheFile){.path = arena_format(walk->arena, "%s/%s", folder, name),
                                                   .bytes = status.st_size,
                                                   .used = read_later ? status.st_atim : status.st_mtim};
    listing->bytes += status.st_size;
}

static int compare_use(const void *left, const void *right)
{
    const CacheFile *const a = left;
    const CacheFile *const b = right;
    if (a->used.tv_sec != b->used.tv_sec)
        return a->used.tv_sec < b->used.tv_sec ? -1 : 1;
    if (a->used.tv_nsec != b->used.tv_nsec)
        return a->used.tv_nsec < b->used.tv_nsec ? -1 : 1;
    return strcmp(a->path, b->path);
}

bool cache_list(CacheListing *listing, const char *folder, Arena *arena, Diagnostics *diagnostics)
{
    *listing = (CacheListing){.folder = folder, .marked = folder_marked(folder, arena)};
    Walk walk = {.listing = listing, .arena = arena};
    walk.folders = grown(arena, NULL, 0, &walk.folder_capacity, sizeof *walk.folders);
    walk.folders[walk.folder_count++] = folder;
    while (walk.folder_count > 0) {
        const char *const path = walk.folders[--walk.folder_count];
        const int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (path == folder ? 0 : O_NOFOLLOW));
        DIR *const directory = descriptor < 0 ? NULL : fdopendir(descriptor);
        if (!directory && errno == ENOENT)
            continue;
        if (!directory) {
            const Where where = {.file = name_intern(arena, path)};
            return diag_error(diagnostics, EXIT_IO, &where, "cannot read the folder: %s", strerror(errno));
        }
        for (const struct dirent *entry; (entry = readdir(directory));)
            walk_entry(&walk, directory, path, entry->d_name);
        closedir(directory);
    }
    if (listing->count)
        qsort(listing->files, listing->count, sizeof *listing->files, compare_use);
    return true;
}
