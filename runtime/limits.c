/* How many threads are worth having: the affinity mask and the CPU quota of the control groups, version 1 and 2. */
#include "runtime/internal.h"
#include "runtime/libc.h"

enum { PATH_SIZE = 512, FILE_SIZE = 4096 };

/* The first FILE_SIZE - 1 bytes of a file, or an empty string. */
static void file_read(const char *path, char *content)
{
    size_t used = 0;
    const int file = open(path, LIBC_READ_ONLY | LIBC_CLOSE_ON_EXEC);
    if (file >= 0) {
        ptrdiff_t got;
        while (used < FILE_SIZE - 1 && (got = read(file, content + used, FILE_SIZE - 1 - used)) > 0)
            used += (size_t)got;
        close(file);
    }
    content[used] = '\0';
}

/* Reads a number and moves behind it and one space; -1 when there is none ("max", "-1", no file). */
static int64_t number_read(const char **text)
{
    int64_t number = -1;
    for (; **text >= '0' && **text <= '9' && number < INT64_MAX / 100; ++*text)
        number = (number < 0 ? 0 : number) * 10 + (**text - '0');
    if (**text == ' ')
        ++*text;
    return number;
}

/* Whole CPUs: a half one would be throttled in the middle of a launch while the others wait. */
static int quota_cpus(int64_t quota, int64_t period)
{
    if (quota < 0 || period <= 0 || quota / period >= THREADS_MAX)
        return THREADS_MAX;
    return quota < period ? 1 : (int)(quota / period);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* The limit that one group itself has; `group` ends in a slash. */
static int group_quota(const char *group)
{
    char path[PATH_SIZE], content[FILE_SIZE];
    text_format(path, sizeof path, "%scpu.max", group);
    file_read(path, content);
    const char *at = content;
    const int64_t quota = number_read(&at);
    const int second = quota_cpus(quota, number_read(&at));

    text_format(path, sizeof path, "%scpu.cfs_quota_us", group);
    file_read(path, content);
    at = content;
    const int64_t quota_us = number_read(&at);
    text_format(path, sizeof path, "%scpu.cfs_period_us", group);
    file_read(path, content);
    at = content;
    return smaller(second, quota_cpus(quota_us, number_read(&at)));
}

/* The smallest limit of the group `path` (as /proc/self/cgroup writes it) under `mount` and of all its parents. A container may
 * show a path that does not exist inside of it: then only the mount itself answers. */
static int path_quota(const char *groups, const char *mount, const char *path, size_t length)
{
    int cpus = THREADS_MAX;
    for (;;) {
        char relative[PATH_SIZE], group[PATH_SIZE];
        while (length > 0 && path[length - 1] == '/')
            length--;
        if (length < sizeof relative - 128) { /* leaves room for mount and file name */
            memcpy(relative, path, length);
            relative[length] = '\0';
            text_format(group, sizeof group, "%s%s%s/", groups, mount, relative);
            cpus = smaller(cpus, group_quota(group));
        }
        if (length == 0)
            return cpus;
        while (length > 0 && path[length - 1] != '/')
            length--;
    }
}

/* Is "cpu" among the comma-separated controllers [at, end)? */
static bool controllers_have_cpu(const char *at, const char *end)
{
    while (at < end) {
        const char *comma = at;
        while (comma < end && *comma != ',')
            comma++;
        if (comma - at == 3 && memcmp(at, "cpu", 3) == 0)
            return true;
        at = comma + 1;
    }
    return false;
}

/* One line of /proc/self/cgroup: "number:controllers:path"; version 2 has no controllers. */
static int line_quota(const char *groups, const char *line, size_t length)
{
    const char *end = line + length;
    const char *controllers = memchr(line, ':', length);
    if (controllers == NULL)
        return THREADS_MAX;
    controllers++;
    const char *path = memchr(controllers, ':', (size_t)(end - controllers));
    if (path == NULL)
        return THREADS_MAX;
    const size_t path_length = (size_t)(end - path - 1);
    if (path == controllers)
        return smaller(path_quota(groups, "", path + 1, path_length), path_quota(groups, "/unified", path + 1, path_length));
    if (!controllers_have_cpu(controllers, path))
        return THREADS_MAX;
    return smaller(path_quota(groups, "/cpu", path + 1, path_length), path_quota(groups, "/cpu,cpuacct", path + 1, path_length));
}

int limits_quota(const char *groups, const char *membership)
{
    char content[FILE_SIZE];
    file_read(membership, content);
    int cpus = THREADS_MAX;
    for (const char *line = content; *line != '\0';) {
        const char *end = strchr(line, '\n');
        const size_t length = end ? (size_t)(end - line) : strlen(line);
        cpus = smaller(cpus, line_quota(groups, line, length));
        line += length + (end != NULL);
    }
    return cpus;
}

static int affinity_cpus(void)
{
    unsigned char mask[CPUS_MAX / 8];
    const long bytes = syscall(LIBC_CALL_AFFINITY, 0, sizeof mask, mask);
    int cpus = 0;
    for (long i = 0; i < bytes; i++)
        for (unsigned bits = mask[i]; bits != 0; bits &= bits - 1)
            cpus++;
    return cpus > 0 ? cpus : 1;
}

int limits_threads(void)
{
    return smaller(smaller(affinity_cpus(), THREADS_MAX), limits_quota("/sys/fs/cgroup", "/proc/self/cgroup"));
}

bool limits_filtered(void)
{
    static const char free[] = "Seccomp:\t0";
    char content[FILE_SIZE];
    file_read("/proc/thread-self/status", content);
    for (const char *line = content, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        if ((size_t)(end - line) == sizeof free - 1 && memcmp(line, free, sizeof free - 1) == 0)
            return false;
    return true;
}

void limits_move(const unsigned char *taken)
{
    if (limits_filtered())
        return;
    unsigned char mask[CPUS_MAX / 8], others[CPUS_MAX / 8];
    const long bytes = syscall(LIBC_CALL_AFFINITY, 0, sizeof mask, mask);
    unsigned any = 0;
    for (long i = 0; i < bytes; i++) {
        others[i] = mask[i] & (unsigned char)~taken[i];
        any |= others[i];
    }
    if (any != 0 && syscall(LIBC_CALL_SET_AFFINITY, 0, bytes, others) == 0)
        syscall(LIBC_CALL_SET_AFFINITY, 0, bytes, mask);
}
