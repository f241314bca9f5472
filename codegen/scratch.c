/* The folder is made by mkdtemp (mode 0700) in the folder of the output: same file system, so rename is atomic. */
#include "codegen/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool scratch_open(Scratch *scratch, Arena *arena, const char *output)
{
    const char *const slash = strrchr(output, '/');
    const char *const folder = slash == output ? "/"
                               : slash         ? arena_format(arena, "%.*s", (int)(slash - output), output)
                                               : ".";
    char *const name = arena_format(arena, "%s/.lathe-XXXXXX", folder);
    *scratch = (Scratch){arena, mkdtemp(name)};
    return scratch->folder != NULL;
}

void scratch_close(Scratch *scratch)
{
    DIR *const folder = opendir(scratch->folder);
    if (folder) {
        for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                unlinkat(dirfd(folder), entry->d_name, 0);
        closedir(folder);
    }
    rmdir(scratch->folder);
    scratch->folder = NULL;
}

const char *scratch_path(const Scratch *scratch, const char *name)
{
    return arena_format(scratch->arena, "%s/%s", scratch->folder, name);
}

bool scratch_write(const char *path, const void *data, size_t bytes)
{
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return false;
    size_t done = 0;
    while (done < bytes) {
        const ssize_t wrote = write(file, (const char *)data + done, bytes - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            break;
        done += (size_t)wrote;
    }
    if (close(file) != 0 || done < bytes) {
        unlink(path);
        return false;
    }
    return true;
}

static bool same_bytes(const char *left, const char *right)
{
    struct stat a, b;
    if (lstat(left, &a) != 0 || lstat(right, &b) != 0 || !S_ISREG(a.st_mode) || !S_ISREG(b.st_mode) ||
        a.st_size != b.st_size)
        return false;
    FILE *const first = fopen(left, "re"), *const second = fopen(right, "re");
    bool same = first && second;
    char one[1 << 14], two[1 << 14];
    while (same) {
        const size_t got = fread(one, 1, sizeof one, first);
        same = fread(two, 1, sizeof two, second) == got && memcmp(one, two, got) == 0;
        if (got < sizeof one)
            break;
    }
    same = same && !ferror(first) && !ferror(second);
    if (first)
        fclose(first);
    if (second)
        fclose(second);
    return same;
}

/* Linkers differ in the mode they give; an output has what the umask allows. */
static void give_mode(const char *path, const char *output)
{
    const mode_t mask = umask(0);
    umask(mask);
    const size_t length = strlen(output);
    const bool library = length > 3 && strcmp(output + length - 3, ".so") == 0;
    (void)!chmod(path, (library ? 0777 : 0666) & ~mask);
}

bool scratch_commit(const char *made, const char *output)
{
    if (same_bytes(made, output))
        return true;
    give_mode(made, output);
    return rename(made, output) == 0;
}
