/* Calls kernels of a library for a test that runs on another machine: see call.h. Built by a cross compiler, run in an
 * emulator.
 *
 *     guest LIBRARY TABLE-SYMBOL */
#include "runtime/lathe_runtime.h"
#include "tests/codegen/guarded.h"
#include "tests/cross/call.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Call {
    CallRequest request;
    CallMemory facts[CALL_MEMORIES_MOST];
    uint64_t owners[CALL_LISTS_MOST];
    int64_t dims[CALL_LISTS_MOST];
    CallPiece pieces[CALL_LISTS_MOST];
    Guarded memories[CALL_MEMORIES_MOST + 1]; /* the last one is scratch */
    void *buffers[CALL_LISTS_MOST];
    lathe_kernel *kernel;
    int32_t error;
} Call;

static void take(void *data, uint64_t bytes)
{
    if (bytes && fread(data, 1, bytes, stdin) != bytes)
        exit(0); /* the test is done */
}

static void give(const void *data, uint64_t bytes)
{
    if (bytes && fwrite(data, 1, bytes, stdout) != bytes)
        exit(1);
}

static void call_take(Call *call)
{
    take(&call->request, sizeof call->request);
    const CallRequest *const request = &call->request;
    if (request->memories > CALL_MEMORIES_MOST || request->buffers > CALL_LISTS_MOST ||
        request->dims > CALL_LISTS_MOST || request->pieces > CALL_LISTS_MOST)
        exit(2);
    take(call->facts, request->memories * sizeof *call->facts);
    take(call->owners, request->buffers * sizeof *call->owners);
    take(call->dims, request->dims * sizeof *call->dims);
    take(call->pieces, request->pieces * sizeof *call->pieces);
    for (uint64_t i = 0; i < request->memories; i++) {
        call->memories[i] = guarded_open(call->facts[i].bytes, call->facts[i].at_end != 0);
        take(call->memories[i].data, call->facts[i].bytes);
        guarded_protect(&call->memories[i], call->facts[i].read_only != 0);
    }
    call->memories[request->memories] = guarded_open(request->scratch, true);
    for (uint64_t i = 0; i < request->buffers; i++)
        call->buffers[i] = call->memories[call->owners[i]].data;
}

static void run(void *context)
{
    Call *const call = context;
    Guarded *const scratch = &call->memories[call->request.memories];
    for (uint64_t i = 0; i < call->request.pieces; i++) {
        memset(scratch->data, 0xff, scratch->bytes);
        if (call->pieces[i].from < call->pieces[i].to)
            call->kernel(call->buffers, call->dims, call->pieces[i].from, call->pieces[i].to, scratch->data,
                         &call->error);
    }
}

static CallAnswer judge(Call *call)
{
    const void *fault = NULL;
    call->error = 0;
    const uint64_t count = call->request.memories + 1;
    const bool returned = run_guarded(run, call, &fault);
    CallAnswer answer = {.verdict = returned ? CALL_GOOD : CALL_FAULT, .memory = count, .error = call->error};
    for (uint64_t i = 0; i < count; i++) {
        const Guarded *const memory = &call->memories[i];
        const uint8_t *const at = fault;
        if (returned && !guarded_intact(memory)) {
            answer.verdict = CALL_OUTSIDE;
            answer.memory = i;
        } else if (!returned && at >= memory->map && at < memory->map + memory->map_bytes) {
            answer.memory = i;
            answer.offset = at - memory->data;
        }
    }
    return answer;
}

int main(int count, char **arguments)
{
    static Call call;
    void *const library = count == 3 ? dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    lathe_kernel *const *const kernels = library ? dlsym(library, arguments[2]) : NULL;
    if (!kernels) {
        fprintf(stderr, "guest: %s\n", count == 3 ? dlerror() : "guest LIBRARY TABLE-SYMBOL");
        return 1;
    }
    for (;;) {
        call_take(&call);
        call.kernel = kernels[call.request.kernel];
        const CallAnswer answer = judge(&call);
        give(&answer, sizeof answer);
        for (uint64_t i = 0; i < call.request.memories; i++)
            if (!call.facts[i].read_only)
                give(call.memories[i].data, call.facts[i].bytes);
        fflush(stdout);
        for (uint64_t i = 0; i <= call.request.memories; i++)
            guarded_close(&call.memories[i]);
    }
}
