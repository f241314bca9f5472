/* Kernels built by hand, for tests of what runs them. */
#ifndef LATHE_TESTS_IR_BENCH_H
#define LATHE_TESTS_IR_BENCH_H

#include "ir/interpret.h"
#include "ir/kernel.h"

typedef struct Bench {
    Ir *ir;
    Block *body, *block; /* the kernel's, and where nodes are appended */
    Node *kernel;
    Code *code;
} Bench;

static inline Bench bench_open(void)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Bench bench = {.ir = ir_open(arena, diagnostics_open(arena))};
    bench.body = bench.block = block_make(bench.ir);
    return bench;
}

static inline void bench_close(Bench *bench)
{
    arena_close(bench->ir->arena);
}

static inline Node *constant(Bench *bench, int64_t value)
{
    return index_const(bench->ir, value);
}

static inline Node *tensor(Bench *bench, const char *name, Dtype dtype, Node *extent, Place place)
{
    Ir *const ir = bench->ir;
    return buffer_make(ir, type_tensor(ir, dtype, 1, &extent),
                       &(Buffer){.name = name_intern(ir->arena, name), .place = place});
}

static inline Node *ordered(Bench *bench, Op op, Type type, Node *const *inputs, int count)
{
    Node *const node =
        node_make(bench->ir, &(Node){.op = op, .type = type, .inputs = inputs, .input_count = (uint32_t)count});
    block_append(bench->ir, bench->block, node);
    return node;
}

static inline Node *pure(Bench *bench, Op op, Type type, Node *const *inputs, int count)
{
    return node_make(bench->ir, &(Node){.op = op, .type = type, .inputs = inputs, .input_count = (uint32_t)count});
}

static inline Node *load(Bench *bench, Node *buffer, Node *offset, int lanes)
{
    return pure(bench, OP_load, type_vector(buffer->type.dtype, lanes), (Node *[]){buffer, offset}, 2);
}

static inline void store(Bench *bench, Node *buffer, Node *offset, Node *value)
{
    ordered(bench, OP_store, (Type){.lanes = 1, .rank = -1}, (Node *[]){buffer, offset, value}, 3);
}

static const Type no_value = {.lanes = 1, .rank = -1};

/* Opens a loop and returns its variable; what is appended goes into it until `*outer` is put back. */
static inline Node *loop_begin(Bench *bench, const char *name, Node *lower, Node *upper, int64_t step, Block **outer)
{
    Node *axis = axis_make(bench->ir, name, NULL);
    Block *body = block_make(bench->ir);
    Node *const loop = node_make(bench->ir, &(Node){.op = OP_for,
                                                    .type = no_value,
                                                    .inputs = (Node *[]){lower, upper, constant(bench, step)},
                                                    .input_count = 3,
                                                    .axes = &axis,
                                                    .axis_count = 1,
                                                    .blocks = &body,
                                                    .block_count = 1});
    block_append(bench->ir, bench->block, loop);
    *outer = bench->block;
    bench->block = body;
    return axis;
}

static inline Node *begin_of(Bench *bench)
{
    return pure(bench, OP_begin, type_scalar(DTYPE_INDEX), NULL, 0);
}

static inline Node *end_of(Bench *bench)
{
    return pure(bench, OP_end, type_scalar(DTYPE_INDEX), NULL, 0);
}

static inline void compile(Bench *bench, Node *const *inputs, int count)
{
    Ir *const ir = bench->ir;
    Kernel *const kernel = NEW(ir->arena, Kernel);
    kernel->name = name_intern(ir->arena, "k");
    kernel->units = index_const(ir, 1);
    bench->kernel = node_make(ir, &(Node){.op = OP_kernel,
                                          .type = no_value,
                                          .inputs = inputs,
                                          .input_count = (uint32_t)count,
                                          .blocks = (Block *[]){block_make(ir), bench->body},
                                          .block_count = 2,
                                          .payload.kernel = kernel});
    bench->code = interpret_compile(ir, bench->kernel);
}

#endif
