/* Guarded memory: see runner.h. Data ends next to the second page (up to 63 bytes of padding, for alignment), so that
 * reading or writing on is a fault; the rest of its pages holds a pattern. */
#define _GNU_SOURCE
#include "tools/runner/runner.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLACK = 0xa5, ALIGNMENT = 64 };

static uint64_t page(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

bool guarded_open(Guarded *memory, uint64_t bytes)
{
    const uint64_t padded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const uint64_t inside = (padded / page() + 1) * page();
    *memory = (Guarded){.bytes = bytes, .map_bytes = inside + 2 * page()};
    memory->map = mmap(NULL, memory->map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory->map == MAP_FAILED || mprotect(memory->map + page(), inside, PROT_READ | PROT_WRITE) != 0)
        return false;
    uint8_t *const start = memory->map + page(), *const end = start + inside;
    memory->data = end - padded;
    memset(start, SLACK, (size_t)(memory->data - start));
    memset(memory->data + bytes, SLACK, (size_t)(padded - bytes));
    return true;
}

bool guarded_intact(const Guarded *memory)
{
    const uint8_t *at = memory->map + page();
    for (; at < memory->data; at++)
        if (*at != SLACK)
            return false;
    for (at = memory->data + memory->bytes; at < memory->map + memory->map_bytes - page(); at++)
        if (*at != SLACK)
            return false;
    return true;
}

void guarded_protect(const Guarded *memory, bool read_only)
{
    mprotect(memory->map + page(), memory->map_bytes - 2 * page(), read_only ? PROT_READ : PROT_READ | PROT_WRITE);
}
