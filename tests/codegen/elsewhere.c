/* The guest's process and the talk with it: see elsewhere.h. */
#define _GNU_SOURCE
#include "tests/codegen/elsewhere.h"

#include "codegen/object.h"
#include "codegen/standin.h"
#include "runtime/embed.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct Elsewhere {
    pid_t process;
    FILE *to, *from;
};

/* CROSS_GUESTS: folder of the guests that the build could make. */
static const struct {
    const char *family, *guest, *emulator, *sysroot;
} rows[] = {
    {"aarch64", CROSS_GUESTS "/guest-aarch64-linux-gnu", "qemu-aarch64-static", "/usr/aarch64-linux-gnu"},
    {"armv7", CROSS_GUESTS "/guest-arm-linux-gnueabihf", "qemu-arm-static", "/usr/arm-linux-gnueabihf"},
};

static int row_of(const TargetMachineInfo *target)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].family, target->family->name) == 0)
            return (int)i;
    return -1;
}

const char *elsewhere_missing(const TargetMachineInfo *target)
{
    const int row = row_of(target);
    if (row < 0)
        return "an emulator";
    Arena *const arena = arena_open(0, NULL, NULL);
    const bool emulated = program_find(arena, rows[row].emulator) != NULL;
    arena_close(arena);
    if (!emulated)
        return rows[row].emulator;
    return access(rows[row].guest, X_OK) == 0 ? NULL : "a cross compiler when this was built";
}

static bool start(Elsewhere *elsewhere, Arena *arena, int row, const char *library, const char *table)
{
    int in[2], out[2];
    const char *const emulator = program_find(arena, rows[row].emulator);
    const char *const arguments[] = {emulator, "-L", rows[row].sysroot, rows[row].guest, library, table, NULL};
    posix_spawn_file_actions_t actions;
    if (!emulator || pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    const bool started =
        posix_spawn(&elsewhere->process, emulator, &actions, NULL, (char *const *)(uintptr_t)arguments, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    elsewhere->to = fdopen(in[1], "wb");
    elsewhere->from = fdopen(out[0], "rb");
    return started;
}

/* The objects and the target's runtime, which has what LLVM itself calls. */
static bool link_all(Ir *ir, const TargetMachineInfo *target, const LinkInput *given, int count, const char *table,
                     const char *output)
{
    LinkStandIn stand_ins[STAND_INS];
    LinkInput *const inputs = NEW_ARRAY(ir->arena, LinkInput, (size_t)count + 1);
    ObjectRequest request = {.target = target, .symbol = "runtime"};
    ObjectBytes runtime;
    request.bitcode.data = runtime_bitcode(target->family->runtime, &request.bitcode.bytes);
    if (!object_make(ir, ir->arena, &request, &runtime) || !stand_ins_make(ir, target, stand_ins))
        return false;
    memcpy(inputs, given, (size_t)count * sizeof *inputs);
    inputs[count] = (LinkInput){.data = runtime.data, .bytes = runtime.bytes};
    const LinkJob job = {.inputs = inputs,
                         .input_count = count + 1,
                         .exports = &table,
                         .export_count = 1,
                         .output = output,
                         .machine = target->family->elf_machine,
                         .gnu = target->family->gnu,
                         .stand_ins = stand_ins,
                         .stand_in_count = STAND_INS};
    return link_shared(ir->diagnostics, &job);
}

Elsewhere *elsewhere_open(Ir *ir, const TargetMachineInfo *target, const LinkInput *inputs, int count,
                          const char *table)
{
    char folder[] = "/tmp/lathe-elsewhere-XXXXXX";
    const int row = row_of(target);
    if (row < 0 || !mkdtemp(folder))
        return NULL;
    const char *const output = arena_format(ir->arena, "%s/kernels.so", folder);
    Elsewhere *const elsewhere = NEW(ir->arena, Elsewhere);
    bool good = link_all(ir, target, inputs, count, table, output) && start(elsewhere, ir->arena, row, output, table);
    /* The first answer tells that the library is mapped: its file may go. */
    CallAnswer answer;
    good = good && elsewhere_call(elsewhere, &(CallRequest){0}, NULL, NULL, NULL, NULL, NULL, &answer);
    unlink(output);
    rmdir(folder);
    if (!good)
        diag_error(ir->diagnostics, EXIT_BACKEND, NULL, "the guest for %s does not answer", target->name);
    return good ? elsewhere : NULL;
}

bool kernel_table(Ir *ir, const KernelJob *jobs, int count, const TargetMachineInfo *target, const char *table,
                  ObjectBytes *object)
{
    char *text = NULL;
    size_t length;
    FILE *const stream = open_memstream(&text, &length);
    for (int i = 0; i < count; i++)
        fprintf(stream, "declare hidden void @%s(ptr, ptr, i64, i64, ptr, ptr)\n", jobs[i].symbol);
    fprintf(stream, "@%s = constant [%d x ptr] [", table, count);
    for (int i = 0; i < count; i++)
        fprintf(stream, "%sptr @%s", i ? ", " : "", jobs[i].symbol);
    fprintf(stream, "]\n");
    fclose(stream);
    const bool good = object_from_text(ir, ir->arena, "table", target, text, FORMAT_OBJECT, object);
    free(text);
    return good;
}

Elsewhere *elsewhere_of_jobs(Ir *ir, const KernelJob *jobs, int count)
{
    static const char table[] = "lathe_jobs_table";
    LinkInput *const inputs = NEW_ARRAY(ir->arena, LinkInput, (size_t)count + 1);
    ObjectBytes object;
    if (!kernel_table(ir, jobs, count, jobs[0].target, table, &object))
        return NULL;
    for (int i = 0; i < count; i++)
        inputs[i] = (LinkInput){.data = jobs[i].object.data, .bytes = jobs[i].object.bytes};
    inputs[count] = (LinkInput){.data = object.data, .bytes = object.bytes};
    return elsewhere_open(ir, jobs[0].target, inputs, count + 1, table);
}

void elsewhere_close(Elsewhere *elsewhere)
{
    fclose(elsewhere->to);
    fclose(elsewhere->from);
    waitpid(elsewhere->process, NULL, 0);
}

static bool give(Elsewhere *elsewhere, const void *data, uint64_t bytes)
{
    return bytes == 0 || fwrite(data, 1, bytes, elsewhere->to) == bytes;
}

static bool take(Elsewhere *elsewhere, void *data, uint64_t bytes)
{
    return bytes == 0 || fread(data, 1, bytes, elsewhere->from) == bytes;
}

bool elsewhere_call(Elsewhere *elsewhere, const CallRequest *request, const CallMemory *memories, void *const *data,
                    const uint64_t *owners, const int64_t *dims, const CallPiece *pieces, CallAnswer *answer)
{
    /* A guest that died is an answer that does not come, not a signal. */
    void (*const before)(int) = signal(SIGPIPE, SIG_IGN);
    bool good = give(elsewhere, request, sizeof *request) &&
                give(elsewhere, memories, request->memories * sizeof *memories) &&
                give(elsewhere, owners, request->buffers * sizeof *owners) &&
                give(elsewhere, dims, request->dims * sizeof *dims) &&
                give(elsewhere, pieces, request->pieces * sizeof *pieces);
    for (uint64_t i = 0; i < request->memories && good; i++)
        good = give(elsewhere, data[i], memories[i].bytes);
    good = good && fflush(elsewhere->to) == 0 && take(elsewhere, answer, sizeof *answer);
    for (uint64_t i = 0; i < request->memories && good; i++)
        if (!memories[i].read_only)
            good = take(elsewhere, data[i], memories[i].bytes);
    signal(SIGPIPE, before);
    return good;
}
