/* lathe cache: what the cache holds, and cleaning it. */
#include "tools/cachefolder.h"
#include "tools/file.h"
#include "tools/json.h"
#include "tools/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

typedef struct CacheResult {
    size_t removed, kept;
    int64_t removed_bytes, kept_bytes;
} CacheResult;

static double age_of(const CacheFile *file, const struct timespec *now)
{
    return difftime(now->tv_sec, file->used.tv_sec);
}

/* Removes the least recently used files until the limits hold. A file that is gone already was removed by somebody
 * else. */
static CacheResult clean(const Options *options, const CacheListing *listing)
{
    const int64_t most_bytes = option_integer(options, OPTION_MAX_SIZE);
    const bool aged = option_given(options, OPTION_MAX_AGE);
    const double most_age = option_number(options, OPTION_MAX_AGE);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    CacheResult result = {.kept = listing->count, .kept_bytes = listing->bytes};
    for (size_t i = 0; i < listing->count; i++) {
        const CacheFile *const file = &listing->files[i];
        if (result.kept_bytes <= most_bytes && !(aged && age_of(file, &now) > most_age))
            break;
        if (!option_given(options, OPTION_DRY_RUN) && unlink(file->path) < 0 && errno != ENOENT) {
            const Where where = {.file = name_intern(options->arena, file->path)};
            diag_error(options->diagnostics, EXIT_IO, &where, "cannot remove: %s", strerror(errno));
            continue;
        }
        result.removed++;
        result.removed_bytes += file->bytes;
        result.kept--;
        result.kept_bytes -= file->bytes;
    }
    return result;
}

static void time_text(char *text, size_t size, const struct timespec *when)
{
    struct tm parts;
    if (!gmtime_r(&when->tv_sec, &parts) || !strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &parts))
        snprintf(text, size, "unknown");
}

static void stats_text(FILE *file, const CacheListing *listing)
{
    fprintf(file, "folder  %s\nfiles   %zu\nbytes   %" PRId64 "\n", listing->folder, listing->count, listing->bytes);
    if (!listing->count)
        return;
    char oldest[40], newest[40];
    time_text(oldest, sizeof oldest, &listing->files[0].used);
    time_text(newest, sizeof newest, &listing->files[listing->count - 1].used);
    fprintf(file, "used    %s to %s\n", oldest, newest);
}

static void stats_json(FILE *file, const CacheListing *listing)
{
    JsonWriter json = json_writer(file, false);
    json_document(&json, "lathe.cache-stats/1", LATHE_VERSION);
    json_field_string(&json, "folder", listing->folder);
    json_field_integer(&json, "files", (int64_t)listing->count);
    json_field_integer(&json, "bytes", listing->bytes);
    if (listing->count) {
        char text[40];
        time_text(text, sizeof text, &listing->files[0].used);
        json_field_string(&json, "oldest_use", text);
        time_text(text, sizeof text, &listing->files[listing->count - 1].used);
        json_field_string(&json, "newest_use", text);
    }
    json_close(&json);
}

static void gc_text(FILE *file, const CacheResult *result, bool dry)
{
    fprintf(file, "%s %zu files (%" PRId64 " bytes), kept %zu (%" PRId64 " bytes)\n", dry ? "would remove" : "removed",
            result->removed, result->removed_bytes, result->kept, result->kept_bytes);
}

static void gc_json(FILE *file, const CacheListing *listing, const CacheResult *result, bool dry)
{
    JsonWriter json = json_writer(file, false);
    json_document(&json, "lathe.cache-gc/1", LATHE_VERSION);
    json_field_string(&json, "folder", listing->folder);
    json_field_bool(&json, "dry_run", dry);
    json_field_integer(&json, "removed_files", (int64_t)result->removed);
    json_field_integer(&json, "removed_bytes", result->removed_bytes);
    json_field_integer(&json, "kept_files", (int64_t)result->kept);
    json_field_integer(&json, "kept_bytes", result->kept_bytes);
    json_close(&json);
}

/* Writes the answer as text, and as JSON to standard output (instead) or to the file that --json=FILE names. */
static bool answer(const Options *options, const CacheListing *listing, const CacheResult *result)
{
    const bool dry = option_given(options, OPTION_DRY_RUN);
    const bool json = option_given(options, OPTION_JSON);
    const char *const path = json ? option_text(options, OPTION_JSON) : NULL;
    if (!json || path) {
        if (result)
            gc_text(stdout, result, dry);
        else
            stats_text(stdout, listing);
    }
    if (!json)
        return true;
    FileWriter writer;
    if (!file_writer_open(&writer, path ? path : "-", options->arena, options->diagnostics))
        return false;
    if (result)
        gc_json(writer.file, listing, result, dry);
    else
        stats_json(writer.file, listing);
    return file_writer_commit(&writer);
}

int verb_cache(const Options *options)
{
    const bool collect = strcmp(options->arguments[0], "gc") == 0;
    if (!collect && strcmp(options->arguments[0], "stats") != 0) {
        diag_error(options->diagnostics, EXIT_USAGE, NULL, "lathe cache knows stats and gc, not '%s'",
                   diag_quote(options->arena, options->arguments[0], 80));
        return EXIT_USAGE;
    }
    const char *const folder = cache_folder(options);
    if (!folder) {
        diag_error(options->diagnostics, EXIT_USAGE, NULL,
                   "there is no cache folder: --no-cache is given, or HOME is not set");
        return EXIT_USAGE;
    }
    CacheListing listing;
    if (!cache_list(&listing, folder, options->arena, options->diagnostics))
        return EXIT_IO;
    if (collect && listing.count && !listing.marked) {
        const Where where = {.file = name_intern(options->arena, folder)};
        diag_error(options->diagnostics, EXIT_USAGE, &where,
                   "is not marked as a cache of lathe (no CACHEDIR.TAG), so nothing is removed");
        return EXIT_USAGE;
    }
    const CacheResult result = collect ? clean(options, &listing) : (CacheResult){0};
    if (!answer(options, &listing, collect ? &result : NULL))
        return EXIT_IO;
    return options->diagnostics->error_count ? EXIT_IO : EXIT_OK;
}
