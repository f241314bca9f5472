/* See staging.h. */
#include "tools/staging.h"

#include "codegen/scratch.h"
#include "tools/temporary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void staging_open(Staging *staging, Arena *arena, Diagnostics *diagnostics)
{
    *staging = (Staging){.arena = arena, .diagnostics = diagnostics};
}

static bool failed(const Staging *staging, const char *path)
{
    return diag_error(staging->diagnostics, EXIT_IO, NULL, "%s cannot be written: %s",
                      diag_quote(staging->arena, path, 400), strerror(errno));
}

/* Standard output, devices and pipes are written to; only files are replaced. */
static bool is_stream(const char *path)
{
    struct stat facts;
    return strcmp(path, "-") == 0 || (stat(path, &facts) == 0 && !S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode));
}

static bool make_folder(Staging *staging, const char *path)
{
    const char *const slash = strrchr(path, '/'), *const elsewhere = getenv("TMPDIR");
    const char *beside = slash == path ? "/"
                         : slash       ? arena_format(staging->arena, "%.*s", (int)(slash - path), path)
                                       : ".";
    if (is_stream(path))
        beside = elsewhere && *elsewhere ? elsewhere : "/tmp";
    char *const folder = arena_format(staging->arena, "%s/.lathe-XXXXXX", beside);
    if (!temporary_folder_make(folder))
        return failed(staging, path);
    staging->folder = folder;
    return true;
}

static StagedFile *add(Staging *staging, const char *path)
{
    if (staging->count == STAGED_MOST)
        BUG("more than %d outputs", STAGED_MOST);
    if (path_is_folder(path)) {
        diag_error(staging->diagnostics, EXIT_IO, NULL, "%s cannot be written: it is a folder",
                   diag_quote(staging->arena, path, 400));
        return NULL;
    }
    StagedFile *const file = &staging->files[staging->count];
    *file = (StagedFile){.path = path};
    return file;
}

const char *staging_path(Staging *staging, const char *path, const char *ending)
{
    StagedFile *const file = add(staging, path);
    if (!file || (!staging->folder && !make_folder(staging, path)))
        return NULL;
    file->made = arena_format(staging->arena, "%s/%d%s", staging->folder, staging->count, ending);
    staging->count++;
    return file->made;
}

FILE *staging_stream(Staging *staging, const char *path)
{
    StagedFile *const file = add(staging, path);
    if (!file || !file_writer_open(&file->writer, path, staging->arena, staging->diagnostics))
        return NULL;
    staging->count++;
    return file->writer.file;
}

static bool copy_to_stream(const Staging *staging, const StagedFile *file)
{
    FileWriter writer;
    char piece[1 << 14];
    FILE *const made = fopen(file->made, "rbe");
    if (!made)
        return failed(staging, file->path);
    bool good = file_writer_open(&writer, file->path, staging->arena, staging->diagnostics);
    if (good) {
        for (size_t got; (got = fread(piece, 1, sizeof piece, made)) > 0;)
            fwrite(piece, 1, got, writer.file);
        good = file_writer_commit(&writer);
    }
    fclose(made);
    return good;
}

static bool put(const Staging *staging, StagedFile *file)
{
    if (!file->made)
        return file_writer_commit(&file->writer);
    if (is_stream(file->path))
        return copy_to_stream(staging, file);
    return scratch_commit(file->made, file->path) || failed(staging, file->path);
}

bool staging_commit(Staging *staging)
{
    int done = 0;
    while (done < staging->count && put(staging, &staging->files[done]))
        done++;
    const bool good = done == staging->count;
    for (done++; done < staging->count; done++)
        if (!staging->files[done].made)
            file_writer_abandon(&staging->files[done].writer);
    staging->count = 0;
    return good;
}

void staging_close(Staging *staging)
{
    for (int i = 0; i < staging->count; i++)
        if (!staging->files[i].made)
            file_writer_abandon(&staging->files[i].writer);
    staging->count = 0;
    if (staging->folder)
        temporary_folder_remove(staging->folder);
    staging->folder = NULL;
}
