/* A table of paths in static memory, because signal handlers can neither allocate nor lock: see temporary.h. */
#define _GNU_SOURCE /* mkostemps, getdents64 */
#include "tools/temporary.h"

#include "ir/diag.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct Temporary {
    volatile sig_atomic_t used;
    pid_t owner;
    char path[PATH_MAX];
} Temporary;
static Temporary temporaries[TEMPORARIES_MOST];

enum { DEPTH_MOST = 3, ROUNDS_MOST = 100 };

/* ---- removing, with system calls only ---- */

/* Removes what the folder `descriptor` holds. Entries that appear meanwhile are met in the next round. */
static void folder_empty(int descriptor, int depth)
{
    _Alignas(struct dirent64) char buffer[2048];
    bool removed = true;
    for (int round = 0; round < ROUNDS_MOST && removed; round++) {
        removed = false;
        lseek(descriptor, 0, SEEK_SET);
        for (long got; (got = syscall(SYS_getdents64, descriptor, buffer, sizeof buffer)) > 0;)
            for (long at = 0; at < got;) {
                const struct dirent64 *const entry = (const struct dirent64 *)(buffer + at);
                at += entry->d_reclen;
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                    continue;
                bool gone = unlinkat(descriptor, entry->d_name, 0) == 0;
                const int inner = gone || depth == DEPTH_MOST ? -1
                                                              : openat(descriptor, entry->d_name,
                                                                       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (inner >= 0) {
                    folder_empty(inner, depth + 1);
                    close(inner);
                    gone = unlinkat(descriptor, entry->d_name, AT_REMOVEDIR) == 0;
                }
                removed = removed || gone;
            }
    }
}

static void path_remove(const char *path)
{
    if (unlink(path) == 0)
        return;
    const int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0)
        return;
    folder_empty(descriptor, 1);
    close(descriptor);
    rmdir(path);
}

void temporaries_remove(void)
{
    const pid_t self = getpid();
    for (int i = 0; i < TEMPORARIES_MOST; i++)
        if (temporaries[i].used && temporaries[i].owner == self) {
            temporaries[i].used = 0;
            path_remove(temporaries[i].path);
        }
}

/* ---- the table ---- */

static void signals_wait(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, before);
}

static void signals_go_on(const sigset_t *before)
{
    const int saved = errno;
    sigprocmask(SIG_SETMASK, before, NULL);
    errno = saved;
}

static void enter(const char *path)
{
    /* Relative paths stay relative: nothing here changes the working folder. */
    for (int i = 0; i < TEMPORARIES_MOST; i++)
        if (!temporaries[i].used) {
            strcpy(temporaries[i].path, path);
            temporaries[i].owner = getpid();
            temporaries[i].used = 1;
            return;
        }
    BUG("more than %d temporary files at a time", TEMPORARIES_MOST);
}

static bool fits(const char *path)
{
    if (strlen(path) < PATH_MAX)
        return true;
    errno = ENAMETOOLONG;
    return false;
}

bool temporary_folder_make(char *path)
{
    sigset_t before;
    if (!fits(path))
        return false;
    signals_wait(&before);
    const bool made = mkdtemp(path) != NULL;
    if (made)
        enter(path);
    signals_go_on(&before);
    return made;
}

int temporary_file_make(char *path, int suffix_length)
{
    sigset_t before;
    if (!fits(path))
        return -1;
    signals_wait(&before);
    const int descriptor = mkostemps(path, suffix_length, O_CLOEXEC);
    if (descriptor >= 0)
        enter(path);
    signals_go_on(&before);
    return descriptor;
}

void temporary_forget(const char *path)
{
    for (int i = 0; i < TEMPORARIES_MOST; i++)
        if (temporaries[i].used && strcmp(temporaries[i].path, path) == 0)
            temporaries[i].used = 0;
}

void temporary_folder_remove(const char *path)
{
    path_remove(path);
    temporary_forget(path);
}
