/* Facts from /proc and /sys: see host.h. */
#define _GNU_SOURCE /* CPU_COUNT */
#include "tools/host.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The first line of a small file, without its end; NULL when there is none. */
static const char *first_line(Arena *arena, const char *path)
{
    char line[256];
    FILE *const file = fopen(path, "re");
    const bool got = file && fgets(line, sizeof line, file);
    if (file)
        fclose(file);
    if (!got)
        return NULL;
    line[strcspn(line, "\n")] = 0;
    return arena_format(arena, "%s", line);
}

static const char *cpu_name(Arena *arena)
{
    char line[512];
    const char *name = "unknown";
    FILE *const file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file)) {
        const char *const colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = 0;
        name = arena_format(arena, "%s", colon + 1 + strspn(colon + 1, " \t"));
        break;
    }
    if (file)
        fclose(file);
    return name;
}

/* "48K", "2M". */
static int64_t size_of_text(const char *text)
{
    char *end;
    const int64_t number = strtoll(text, &end, 10);
    return *end == 'K' ? number << 10 : *end == 'M' ? number << 20 : *end == 'G' ? number << 30 : number;
}

/* "0-3,8": four and one. */
static int processors_of_list(const char *text)
{
    int count = 0;
    while (*text) {
        char *end;
        const long first = strtol(text, &end, 10);
        long last = first;
        if (end == text)
            break;
        if (*end == '-')
            last = strtol(end + 1, &end, 10);
        count += (int)(last - first) + 1;
        text = *end == ',' ? end + 1 : end;
    }
    return count;
}

static void read_caches(HostFacts *host, Arena *arena)
{
    for (int i = 0; i < CACHES_MOST; i++) {
        static const char *const names[] = {"level", "type", "size", "shared_cpu_list"};
        const char *texts[4];
        bool good = true;
        for (int j = 0; j < 4; j++) {
            texts[j] =
                first_line(arena, arena_format(arena, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", i, names[j]));
            good = good && texts[j];
        }
        if (good)
            host->caches[host->cache_count++] =
                (HostCache){atoi(texts[0]), texts[1], size_of_text(texts[2]), processors_of_list(texts[3])};
    }
}

HostFacts host_facts(Arena *arena)
{
    HostFacts host = {.cpu = cpu_name(arena), .system = "unknown"};
    struct utsname name;
    cpu_set_t set;
    host.cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    host.memory_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    if (uname(&name) == 0)
        host.system = arena_format(arena, "%s %s %s", name.sysname, name.release, name.machine);
    read_caches(&host, arena);
    return host;
}

void host_json(JsonWriter *json, const HostFacts *host)
{
    json_key(json, "host");
    json_object(json);
    json_field_string(json, "cpu", host->cpu);
    json_field_integer(json, "cores", host->cores);
    json_close(json);
}
