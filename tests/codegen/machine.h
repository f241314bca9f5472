/* Kernels built by hand, compiled, linked, loaded and called: for tests of machine code. */
#ifndef LATHE_TESTS_CODEGEN_MACHINE_H
#define LATHE_TESTS_CODEGEN_MACHINE_H

#include "codegen/link.h"
#include "codegen/worker.h"
#include "ir/kernel.h"
#include "runtime/lathe_runtime.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MACHINE_JOBS = 512 };

typedef struct Machine {
    Arena *arena;
    Diagnostics *diagnostics;
    Ir *ir;
    KernelJob jobs[MACHINE_JOBS];
    int count;
    void *library;
} Machine;

static inline Machine *machine_open(void)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Machine *const machine = NEW(arena, Machine);
    machine->arena = arena;
    machine->diagnostics = diagnostics_open(arena);
    machine->ir = ir_open(arena, machine->diagnostics);
    return machine;
}

static inline void machine_close(Machine *machine)
{
    if (machine->library)
        dlclose(machine->library);
    arena_close(machine->arena);
}

static inline Node *machine_buffer(Machine *machine, const char *name, Dtype dtype, int64_t elements)
{
    Node *const dim = index_const(machine->ir, elements);
    return buffer_make(machine->ir, type_tensor(machine->ir, dtype, 1, &dim),
                       &(Buffer){.name = name_intern(machine->arena, name)});
}

/* A kernel whose parameters are `buffers` in this order (each must be used by the body), then the body's symbols. */
static inline Node *machine_kernel(Machine *machine, const char *name, Block *body)
{
    Ir *const ir = machine->ir;
    Node *const bare = kernel_make(ir, name_intern(machine->arena, name), block_make(ir));
    return kernel_with_body(ir, bare, body, index_const(ir, 1), "by hand", 1 << 16);
}

static inline int machine_add(Machine *machine, Node *kernel, const TargetMachineInfo *target)
{
    cr_assert_lt(machine->count, MACHINE_JOBS);
    const int number = machine->count++;
    machine->jobs[number] =
        (KernelJob){.kernel = kernel, .target = target, .symbol = arena_format(machine->arena, "kernel_%d", number)};
    return number;
}

/* Kernels are hidden in real libraries; a test looks them up by name. */
static inline void machine_show_symbols(ObjectBytes object)
{
    char *const bytes = (char *)(uintptr_t)object.data;
    const Elf64_Ehdr *const header = (const Elf64_Ehdr *)bytes;
    const Elf64_Shdr *const sections = (const Elf64_Shdr *)(bytes + header->e_shoff);
    for (int i = 0; i < header->e_shnum; i++)
        if (sections[i].sh_type == SHT_SYMTAB)
            for (uint64_t j = 0; j < sections[i].sh_size / sizeof(Elf64_Sym); j++)
                ((Elf64_Sym *)(bytes + sections[i].sh_offset))[j].st_other = STV_DEFAULT;
}

static inline void machine_compile(Machine *machine, int workers)
{
    const bool compiled =
        compile_kernels(machine->ir, machine->jobs, machine->count, &(WorkerOptions){.workers = workers});
    if (!compiled)
        diag_print(machine->diagnostics, stderr, false);
    cr_assert(compiled);
}

static inline void machine_load(Machine *machine)
{
    LinkInput inputs[MACHINE_JOBS];
    const char *exports[MACHINE_JOBS];
    for (int i = 0; i < machine->count; i++) {
        machine_show_symbols(machine->jobs[i].object);
        inputs[i] = (LinkInput){.data = machine->jobs[i].object.data, .bytes = machine->jobs[i].object.bytes};
        exports[i] = machine->jobs[i].symbol;
    }
    char folder[] = "/tmp/lathe-test-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    const char *const output = arena_format(machine->arena, "%s/kernels.so", folder);
    const LinkJob job = {inputs, machine->count, exports, machine->count, output, false};
    const bool linked = link_shared(machine->diagnostics, &job);
    if (!linked)
        diag_print(machine->diagnostics, stderr, false);
    cr_assert(linked);
    machine->library = dlopen(output, RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(machine->library, "%s", dlerror());
    unlink(output);
    rmdir(folder);
}

static inline lathe_kernel *machine_function(Machine *machine, int number)
{
    lathe_kernel *function;
    *(void **)&function = dlsym(machine->library, machine->jobs[number].symbol);
    cr_assert_not_null(*(void **)&function);
    return function;
}

/* The targets that this machine can run, worst first. */
static inline int machine_targets(const TargetMachineInfo **targets)
{
    int count = 0;
    for (int i = 0; i < target_count(); i++)
        if (target_runs_here(target_at(i)))
            targets[count++] = target_at(i);
    return count;
}

/* ---- making bodies ---- */

static inline Node *ordered(Machine *machine, Block *block, const Node *draft)
{
    Node *const node = node_make(machine->ir, draft);
    block_append(machine->ir, block, node);
    return node;
}

static inline Node *make_for(Machine *machine, Block *block, const char *name, Node *lower, Node *upper, int64_t step,
                             Block *body)
{
    Node *const axis = axis_make(machine->ir, name, NULL);
    ordered(machine, block,
            &(Node){.op = OP_for,
                    .axes = (Node *[]){axis},
                    .axis_count = 1,
                    .inputs = (Node *[]){lower, upper, index_const(machine->ir, step)},
                    .input_count = 3,
                    .blocks = (Block *[]){body},
                    .block_count = 1});
    return axis;
}

static inline Node *make_load(Machine *machine, Node *buffer, Node *offset, int lanes)
{
    return node_make(machine->ir, &(Node){.op = OP_load,
                                          .type = type_vector(buffer->type.dtype, lanes),
                                          .inputs = (Node *[]){buffer, offset},
                                          .input_count = 2});
}

static inline Node *make_masked_load(Machine *machine, Node *buffer, Node *offset, Node *mask, Node *otherwise)
{
    return node_make(machine->ir, &(Node){.op = OP_load,
                                          .type = otherwise->type,
                                          .inputs = (Node *[]){buffer, offset, mask, otherwise},
                                          .input_count = 4});
}

static inline void make_store(Machine *machine, Block *block, Node *buffer, Node *offset, Node *value, Node *mask)
{
    ordered(machine, block,
            &(Node){.op = OP_store, .inputs = (Node *[]){buffer, offset, value, mask}, .input_count = mask ? 4 : 3});
}

static inline Node *make_var(Machine *machine, Block *block, Node *initial)
{
    return ordered(machine, block, &(Node){.op = OP_var, .type = initial->type, .inputs = &initial, .input_count = 1});
}

static inline Node *make_get(Machine *machine, Block *block, Node *variable)
{
    return ordered(machine, block,
                   &(Node){.op = OP_get, .type = variable->type, .inputs = &variable, .input_count = 1});
}

static inline void make_set(Machine *machine, Block *block, Node *variable, Node *value)
{
    ordered(machine, block, &(Node){.op = OP_set, .inputs = (Node *[]){variable, value}, .input_count = 2});
}

static inline Node *make_begin(Machine *machine)
{
    return node_make(machine->ir, &(Node){.op = OP_begin, .type = type_scalar(DTYPE_INDEX)});
}

static inline Node *make_end(Machine *machine)
{
    return node_make(machine->ir, &(Node){.op = OP_end, .type = type_scalar(DTYPE_INDEX)});
}

/* ---- elements in memory: sub-byte ones packed low bits first ---- */

static inline uint64_t memory_get(const void *memory, Dtype dtype, int64_t at)
{
    const int bits = dtype_info[dtype].bits;
    uint64_t value = 0;
    if (bits < 8)
        value = ((const uint8_t *)memory)[at * bits / 8] >> (at * bits % 8) & ((1u << bits) - 1);
    else
        memcpy(&value, (const char *)memory + at * (bits / 8), (size_t)bits / 8);
    if (dtype_is_signed(dtype) && bits < 64)
        value = (uint64_t)((int64_t)(value << (64 - bits)) >> (64 - bits));
    return value;
}

static inline void memory_set(void *memory, Dtype dtype, int64_t at, uint64_t value)
{
    const int bits = dtype_info[dtype].bits;
    if (bits < 8) {
        uint8_t *const byte = (uint8_t *)memory + at * bits / 8;
        const unsigned ones = (1u << bits) - 1, shift = (unsigned)(at * bits % 8);
        *byte = (uint8_t)((*byte & ~(ones << shift)) | ((unsigned)value & ones) << shift);
        return;
    }
    memcpy((char *)memory + at * (bits / 8), &value, (size_t)bits / 8);
}

#endif
