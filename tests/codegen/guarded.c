/* Pages without permission, and a signal handler that jumps back: see guarded.h. */
#define _GNU_SOURCE
#include "tests/codegen/guarded.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, SLACK = 0xa5 };

Guarded guarded_open(uint64_t bytes, bool at_end)
{
    const uint64_t inside = (bytes + PAGE - 1) / PAGE * PAGE + (bytes == 0) * PAGE;
    Guarded memory = {.bytes = bytes, .map_bytes = inside + 2 * PAGE};
    memory.map = mmap(NULL, memory.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory.map == MAP_FAILED || mprotect(memory.map + PAGE, inside, PROT_READ | PROT_WRITE) != 0) {
        perror("guarded memory");
        exit(8);
    }
    memory.data = memory.map + PAGE + (at_end ? inside - bytes : 0);
    memset(memory.map + PAGE, SLACK, (size_t)(memory.data - memory.map - PAGE));
    memset(memory.data + bytes, SLACK, (size_t)(memory.map + PAGE + inside - memory.data) - bytes);
    return memory;
}

void guarded_close(Guarded *memory)
{
    if (memory->map)
        munmap(memory->map, memory->map_bytes);
    *memory = (Guarded){0};
}

void guarded_protect(const Guarded *memory, bool read_only)
{
    mprotect(memory->map + PAGE, memory->map_bytes - 2 * PAGE, read_only ? PROT_READ : PROT_READ | PROT_WRITE);
}

bool guarded_intact(const Guarded *memory)
{
    const uint8_t *at = memory->map + PAGE;
    for (; at < memory->data; at++)
        if (*at != SLACK)
            return false;
    for (at = memory->data + memory->bytes; at < memory->map + memory->map_bytes - PAGE; at++)
        if (*at != SLACK)
            return false;
    return true;
}

/* ---- faults ---- */

static sigjmp_buf fault_return;
static const void *volatile fault_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    fault_address = info->si_addr;
    siglongjmp(fault_return, signal);
}

bool run_guarded(void (*function)(void *context), void *context, const void **fault)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction before[4], action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < 4; i++)
        sigaction(signals[i], &action, &before[i]);
    const bool good = sigsetjmp(fault_return, 1) == 0;
    if (good)
        function(context);
    else
        *fault = fault_address;
    for (int i = 0; i < 4; i++)
        sigaction(signals[i], &before[i], NULL);
    return good;
}
