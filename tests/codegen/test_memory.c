/* links: lathe_codegen lathe_ir lathe_targets */
/* Control flow, registers, vectors and memory of compiled kernels, against the same written in C and against the
 * interpreter. */
#include "tests/codegen/machine.h"

#include "ir/interpret.h"

enum { N = 100 };

/* Builds one kernel per target with `make`, then calls `check` for each. */
typedef Node *Maker(Machine *machine);
typedef void Checker(lathe_kernel *kernel, const Node *node);
static Machine *current; /* of the test that runs in this process */

static void check_on_targets(Maker *make, Checker *check)
{
    Machine *const machine = machine_open();
    const TargetMachineInfo *targets[8];
    const int count = machine_targets(targets);
    Node *const kernel = make(machine);
    current = machine;
    for (int i = 0; i < count; i++)
        machine_add(machine, kernel, targets[i]);
    machine_compile(machine, 0);
    machine_load(machine);
    for (int i = 0; i < count; i++)
        check(machine_function(machine, i), kernel);
    machine_close(machine);
}

static size_t buffer_bytes(const Node *buffer)
{
    int64_t elements = 0;
    cr_assert(const_is_int(buffer->type.dims[0], &elements));
    return ((size_t)elements * (size_t)dtype_info[buffer->type.dtype].bits + 7) / 8;
}

/* Runs the kernel on copies of its buffers in the interpreter; after the machine code has run, both memories must be
 * equal. */
typedef struct Twin {
    void *memory[64];
    int32_t error;
} Twin;

static Twin interpret_first(const Node *node, void *const *buffers, const int64_t *dims, int64_t begin, int64_t end,
                            int32_t error)
{
    Twin twin = {.error = error};
    uint64_t bytes[64];
    void *copies[64];
    const int count = kernel_buffer_count(node);
    for (int i = 0; i < count; i++) {
        bytes[i] = buffer_bytes(node->inputs[i]);
        copies[i] = malloc(bytes[i]);
        memcpy(copies[i], buffers[i], bytes[i]);
        twin.memory[i] = copies[i];
        for (int j = 0; j < i; j++) /* one memory under two names stays one */
            if (buffers[j] == buffers[i])
                copies[i] = copies[j];
    }
    const Code *const code = interpret_compile(current->ir, (Node *)(uintptr_t)node);
    const int32_t result = interpret_run(code, copies, bytes, dims, begin, end, &twin.error);
    cr_expect_eq(result, INTERPRET_OK, "%s", interpret_message(code));
    for (int i = 0; i < count; i++)
        if (copies[i] != twin.memory[i])
            memcpy(twin.memory[i], copies[i], bytes[i]);
    return twin;
}

static void expect_twin(const Twin *twin, const Node *node, void *const *buffers, int32_t error)
{
    for (int i = 0; i < kernel_buffer_count(node); i++) {
        cr_expect_eq(memcmp(twin->memory[i], buffers[i], buffer_bytes(node->inputs[i])), 0,
                     "%s differs from the interpreter", node->inputs[i]->payload.buffer->name);
        free(twin->memory[i]);
    }
    cr_expect_eq(twin->error, error);
}

/* The memory called `name` among pairs of name and pointer, in the order of the kernel's parameters. */
static void call(lathe_kernel *kernel, const Node *node, int64_t begin, int64_t end, const int64_t *dims,
                 int32_t *error, const char *const *names, void *const *memory, int count)
{
    static _Alignas(64) char scratch[1 << 16];
    void *buffers[64] = {NULL};
    for (int i = 0; i < kernel_buffer_count(node); i++)
        for (int j = 0; j < count; j++)
            if (strcmp(node->inputs[i]->payload.buffer->name, names[j]) == 0)
                buffers[i] = memory[j];
    const Twin twin = interpret_first(node, buffers, dims, begin, end, *error);
    kernel(buffers, dims, begin, end, scratch, error);
    expect_twin(&twin, node, buffers, *error);
}

static Node *vector_constant(Machine *machine, Dtype dtype, int lanes, double value)
{
    return splat_make(machine->ir, const_float(machine->ir, dtype, value), lanes);
}

static Node *iota(Machine *machine, int lanes)
{
    return node_make(machine->ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, lanes)});
}

static Node *reduce(Machine *machine, FoldKind kind, Node *vector)
{
    return node_make(machine->ir, &(Node){.op = OP_reduce,
                                          .type = type_scalar(vector->type.dtype),
                                          .inputs = &vector,
                                          .input_count = 1,
                                          .payload.fold.kind = (uint8_t)kind});
}

/* ---- a masked tail and a fold with sixteen lanes ---- */

/* out[u] = sum of row u of in[4][N], by 16 lanes with a masked last vector and halves at the end */
static Node *make_row_sum(Machine *machine)
{
    Ir *const ir = machine->ir;
    Node *const in = machine_buffer(machine, "in", DTYPE_F32, 4 * N), *const out =
                                                                          machine_buffer(machine, "out", DTYPE_F32, 4);
    Block *const body = block_make(ir), *const row = block_make(ir), *const loop = block_make(ir);
    Node *const u = make_for(machine, body, "u", make_begin(machine), make_end(machine), 1, row);
    Node *const zero = vector_constant(machine, DTYPE_F32, 16, 0);
    Node *const sum = make_var(machine, row, zero);
    Node *const i = make_for(machine, row, "i", index_const(ir, 0), index_const(ir, N), 16, loop);
    Node *const left = scalar2(ir, OP_sub, index_const(ir, N), i);
    Node *const mask = scalar2(ir, OP_lt, iota(machine, 16), left);
    Node *const value =
        make_masked_load(machine, in, index_add(ir, index_mul(ir, u, index_const(ir, N)), i), mask, zero);
    make_set(machine, loop, sum, scalar2(ir, OP_add, make_get(machine, loop, sum), value));
    make_store(machine, row, out, u, reduce(machine, FOLD_SUM, make_get(machine, row, sum)), NULL);
    return machine_kernel(machine, "row_sum", body);
}

static void check_row_sum(lathe_kernel *kernel, const Node *node)
{
    /* The row is not padded: reading behind the mask would leave the allocation. */
    float *const in = malloc(4 * N * sizeof *in), out[4] = {0};
    for (int i = 0; i < 4 * N; i++)
        in[i] = (float)(i % 17) * 0.37f + 1e-3f * (float)i;
    int32_t error = 0;
    call(kernel, node, 0, 4, NULL, &error, (const char *const[]){"in", "out"}, (void *const[]){in, out}, 2);
    for (int u = 0; u < 4; u++) {
        float lanes[16] = {0};
        for (int i = 0; i < N; i++)
            lanes[i % 16] += in[u * N + i];
        for (int width = 8; width; width /= 2)
            for (int j = 0; j < width; j++)
                lanes[j] += lanes[j + width];
        cr_expect(out[u] == lanes[0], "row %d: %a, not %a", u, out[u], lanes[0]);
    }
    free(in);
}

Test(memory, a_masked_tail_reads_nothing_outside_and_folds_keep_their_order)
{
    check_on_targets(make_row_sum, check_row_sum);
}

/* ---- if, else, break, loop, check, symbols ---- */

/* for u: steps of Collatz from in[u] until 1, at most `limit` (a symbol); out[u] = steps; check that in[u] > 0 */
static Node *make_collatz(Machine *machine)
{
    Ir *const ir = machine->ir;
    Node *const in = machine_buffer(machine, "in", DTYPE_I64, N), *const out =
                                                                      machine_buffer(machine, "out", DTYPE_I64, N);
    Node *const limit = symbol_make(ir, name_intern(machine->arena, "limit"));
    Block *const body = block_make(ir), *const unit = block_make(ir), *const loop = block_make(ir),
                 *const then = block_make(ir), *const otherwise = block_make(ir);
    Node *const u = make_for(machine, body, "u", make_begin(machine), make_end(machine), 1, unit);
    Node *const start = make_load(machine, in, u, 1);
    Node *const positive = scalar2(ir, OP_gt, start, const_int(ir, DTYPE_I64, 0));
    ordered(machine, unit,
            &(Node){.op = OP_check, .inputs = (Node *[]){positive}, .input_count = 1, .payload.integer = -7});
    Node *const x = make_var(machine, unit, start), *const steps = make_var(machine, unit, const_int(ir, DTYPE_I64, 0));
    ordered(machine, unit, &(Node){.op = OP_loop, .blocks = (Block *[]){loop}, .block_count = 1});
    Node *const value = make_get(machine, loop, x), *const count = make_get(machine, loop, steps);
    Node *const done = scalar2(ir, OP_or, scalar2(ir, OP_le, value, const_int(ir, DTYPE_I64, 1)),
                               scalar2(ir, OP_ge, count, cast_make(ir, limit, DTYPE_I64)));
    ordered(machine, loop, &(Node){.op = OP_break, .inputs = (Node *[]){done}, .input_count = 1});
    make_set(machine, loop, steps, scalar2(ir, OP_add, count, const_int(ir, DTYPE_I64, 1)));
    Node *const odd = scalar2(ir, OP_and, value, const_int(ir, DTYPE_I64, 1));
    Node *const is_odd = scalar2(ir, OP_ne, odd, const_int(ir, DTYPE_I64, 0));
    ordered(machine, loop,
            &(Node){.op = OP_if,
                    .inputs = (Node *[]){is_odd},
                    .input_count = 1,
                    .blocks = (Block *[]){then, otherwise},
                    .block_count = 2});
    Node *const triple = scalar2(ir, OP_mul, value, const_int(ir, DTYPE_I64, 3));
    make_set(machine, then, x, scalar2(ir, OP_add, triple, const_int(ir, DTYPE_I64, 1)));
    make_set(machine, otherwise, x, scalar2(ir, OP_div, value, const_int(ir, DTYPE_I64, 2)));
    make_store(machine, unit, out, u, make_get(machine, unit, steps), NULL);
    return machine_kernel(machine, "collatz", body);
}

static void check_collatz(lathe_kernel *kernel, const Node *node)
{
    int64_t in[N], out[N], limit = 60;
    for (int i = 0; i < N; i++) {
        in[i] = i + 1;
        out[i] = -1;
    }
    int32_t error = 0;
    call(kernel, node, 10, 90, &limit, &error, (const char *const[]){"in", "out"}, (void *const[]){in, out}, 2);
    for (int i = 0; i < N; i++) {
        int64_t x = in[i], steps = 0;
        for (; x > 1 && steps < limit; steps++)
            x = x % 2 ? 3 * x + 1 : x / 2;
        cr_expect_eq(out[i], i < 10 || i >= 90 ? -1 : steps, "%d: %ld", i, out[i]);
    }
    cr_expect_eq(error, 0);
    in[50] = 0;
    call(kernel, node, 10, 90, &limit, &error, (const char *const[]){"in", "out"}, (void *const[]){in, out}, 2);
    cr_expect_eq(error, -7);
    error = -3; /* the first code stays */
    call(kernel, node, 10, 90, &limit, &error, (const char *const[]){"in", "out"}, (void *const[]){in, out}, 2);
    cr_expect_eq(error, -3);
}

Test(memory, loops_branches_breaks_and_checks)
{
    check_on_targets(make_collatz, check_collatz);
}

/* ---- gather, scatter, masks, local memory ---- */

/* A loop over 16 lanes: local[lane] = table[index[u*16+lane]] where index >= 0, else -1; out[15 - lane] of the unit =
 * local; for each of several dtypes. */
static const Dtype moved[] = {DTYPE_F32,  DTYPE_F64, DTYPE_I8, DTYPE_U16, DTYPE_I64,
                              DTYPE_BOOL, DTYPE_F16, DTYPE_I4, DTYPE_U2};
enum { MOVED = sizeof moved / sizeof *moved, UNITS = 4 };

static Node *make_gather(Machine *machine, Node *buffer, Node *offsets, Node *mask, Node *otherwise)
{
    return node_make(machine->ir, &(Node){.op = OP_gather,
                                          .type = type_vector(buffer->type.dtype, offsets->type.lanes),
                                          .inputs = (Node *[]){buffer, offsets, mask, otherwise},
                                          .input_count = mask ? 4 : 2});
}

static Node *make_moves(Machine *machine)
{
    Ir *const ir = machine->ir;
    Node *const index = machine_buffer(machine, "index", DTYPE_I32, UNITS * 16);
    Block *const body = block_make(ir), *const unit = block_make(ir);
    Node *const u = make_for(machine, body, "u", make_begin(machine), make_end(machine), 1, unit);
    Node *const first = index_mul(ir, u, index_const(ir, 16));
    Node *const wanted = cast_make(ir, make_load(machine, index, first, 16), DTYPE_INDEX);
    Node *const valid = scalar2(ir, OP_ge, wanted, index_const(ir, 0));
    Node *const back =
        scalar2(ir, OP_add, scalar2(ir, OP_sub, splat_make(ir, index_const(ir, 15), 16), iota(machine, 16)), first);
    for (int i = 0; i < MOVED; i++) {
        Node *const table = machine_buffer(machine, arena_format(machine->arena, "table%d", i), moved[i], N);
        Node *const out = machine_buffer(machine, arena_format(machine->arena, "out%d", i), moved[i], UNITS * 16);
        Node *const masked = machine_buffer(machine, arena_format(machine->arena, "masked%d", i), moved[i], UNITS * 16);
        Node *const dim = index_const(ir, 16);
        Node *const local = buffer_make(
            ir, type_tensor(ir, moved[i], 1, &dim),
            &(Buffer){.name = name_intern(machine->arena, "local"), .place = PLACE_LOCAL, .offset = 256 * i});
        Node *const one = splat_make(ir, const_int(ir, moved[i], 1), 16);
        make_store(machine, unit, local, index_const(ir, 0), make_gather(machine, table, wanted, valid, one), NULL);
        Node *const again = ordered(machine, unit,
                                    &(Node){.op = OP_read,
                                            .type = type_vector(moved[i], 16),
                                            .inputs = (Node *[]){local, index_const(ir, 0)},
                                            .input_count = 2});
        ordered(machine, unit, &(Node){.op = OP_scatter, .inputs = (Node *[]){out, back, again}, .input_count = 3});
        Node *const safe = scalar2(ir, OP_max, wanted, splat_make(ir, index_const(ir, 0), 16));
        make_store(machine, unit, masked, first, make_gather(machine, table, safe, NULL, NULL), valid);
    }
    return machine_kernel(machine, "moves", body);
}

static void check_moves(lathe_kernel *kernel, const Node *node)
{
    static uint64_t tables[MOVED][N], outs[MOVED][UNITS * 16], masks[MOVED][UNITS * 16];
    int32_t index[UNITS * 16], error = 0;
    const char *names[1 + 3 * MOVED] = {"index"};
    void *memory[1 + 3 * MOVED] = {index};
    static char text[3 * MOVED][16];
    for (int i = 0; i < UNITS * 16; i++)
        index[i] = i % 5 == 3 ? -1 - i : i * 37 % N;
    for (int i = 0; i < MOVED; i++) {
        memset(outs[i], 0, sizeof outs[i]);
        memset(masks[i], 0, sizeof masks[i]);
        for (int j = 0; j < N; j++)
            memory_set(tables[i], moved[i], j,
                       moved[i] == DTYPE_BOOL ? (uint64_t)j * 3 % 2 : (uint64_t)j * 2654435761u);
        void *const of[3] = {tables[i], outs[i], masks[i]};
        static const char *const kinds[3] = {"table", "out", "masked"};
        for (int k = 0; k < 3; k++) {
            snprintf(text[3 * i + k], sizeof text[0], "%s%d", kinds[k], i);
            names[1 + 3 * i + k] = text[3 * i + k];
            memory[1 + 3 * i + k] = of[k];
        }
    }
    call(kernel, node, 0, UNITS, NULL, &error, names, memory, 1 + 3 * MOVED);
    for (int i = 0; i < MOVED; i++)
        for (int at = 0; at < UNITS * 16; at++) {
            const int from = at / 16 * 16 + 15 - at % 16;
            uint64_t one[1] = {0};
            const uint64_t unit = moved[i] == DTYPE_F32   ? 0x3f800000
                                  : moved[i] == DTYPE_F64 ? UINT64_C(0x3ff) << 52
                                  : moved[i] == DTYPE_F16 ? 0x3c00
                                                          : 1;
            memory_set(one, moved[i], 0, unit);
            const uint64_t expected =
                index[from] < 0 ? memory_get(one, moved[i], 0) : memory_get(tables[i], moved[i], index[from]);
            const uint64_t got = memory_get(outs[i], moved[i], at);
            cr_expect_eq(got, expected, "%s out[%d] = %lx, not %lx", dtype_info[moved[i]].name, at, got, expected);
            const uint64_t kept = index[at] < 0 ? 0 : memory_get(tables[i], moved[i], index[at]);
            const uint64_t stored = memory_get(masks[i], moved[i], at);
            cr_expect_eq(stored, kept, "%s masked[%d] = %lx, not %lx", dtype_info[moved[i]].name, at, stored, kept);
        }
}

Test(memory, gathers_scatters_masks_and_local_buffers)
{
    check_on_targets(make_moves, check_moves);
}

/* ---- packed elements at any offset ---- */

static Node *make_packed(Machine *machine)
{
    Ir *const ir = machine->ir;
    static const Dtype dtypes[] = {DTYPE_I4, DTYPE_U4, DTYPE_I2, DTYPE_U2, DTYPE_F4E2M1};
    Block *const body = block_make(ir), *const unit = block_make(ir);
    Node *const u = make_for(machine, body, "u", make_begin(machine), make_end(machine), 1, unit);
    for (int i = 0; i < 5; i++) {
        Node *const in = machine_buffer(machine, arena_format(machine->arena, "in%d", i), dtypes[i], N);
        Node *const out = machine_buffer(machine, arena_format(machine->arena, "out%d", i), dtypes[i], N);
        /* whole bytes, lanes at an odd offset, one element */
        make_store(machine, unit, out, index_mul(ir, u, index_const(ir, 8)),
                   make_load(machine, in, index_mul(ir, u, index_const(ir, 8)), 8), NULL);
        Node *const odd = index_add(ir, index_mul(ir, u, index_const(ir, 4)), index_const(ir, 33));
        make_store(machine, unit, out, odd, make_load(machine, in, index_add(ir, odd, index_const(ir, 1)), 4), NULL);
        Node *const single = index_add(ir, u, index_const(ir, 71));
        make_store(machine, unit, out, single, make_load(machine, in, index_const(ir, 99), 1),
                   scalar2(ir, OP_ne, u, index_const(ir, 2)));
    }
    return machine_kernel(machine, "packed", body);
}

static void check_packed(lathe_kernel *kernel, const Node *node)
{
    static const int bits[] = {4, 4, 2, 2, 4};
    uint8_t in[5][N], out[5][N];
    int32_t error = 0;
    const char *const names[] = {"in0", "out0", "in1", "out1", "in2", "out2", "in3", "out3", "in4", "out4"};
    void *const memory[] = {in[0], out[0], in[1], out[1], in[2], out[2], in[3], out[3], in[4], out[4]};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < N; j++) {
            in[i][j] = (uint8_t)(j * 151 + i * 7);
            out[i][j] = 0xa5;
        }
    call(kernel, node, 0, 4, NULL, &error, names, memory, 10);
    for (int i = 0; i < 5; i++) {
        const int per_byte = 8 / bits[i], ones = (1 << bits[i]) - 1;
        for (int at = 0; at < N; at++) {
            int from = -1; /* kept */
            if (at < 32)
                from = at;
            else if (at >= 33 && at < 49)
                from = at + 1;
            else if (at >= 71 && at < 75 && at != 73)
                from = 99;
            const int got = out[i][at / per_byte] >> at % per_byte * bits[i] & ones;
            const int expected = from < 0 ? 0xa5 >> at % per_byte * bits[i] & ones
                                          : in[i][from / per_byte] >> from % per_byte * bits[i] & ones;
            cr_expect_eq(got, expected, "buffer %d, element %d: %d, not %d", i, at, got, expected);
        }
    }
}

Test(memory, elements_below_a_byte_leave_their_neighbours_alone)
{
    check_on_targets(make_packed, check_packed);
}

/* ---- vectors taken apart and put together, wider than the machine ---- */

static Node *make_vectors(Machine *machine)
{
    Ir *const ir = machine->ir;
    Node *const in = machine_buffer(machine, "in", DTYPE_I32, 64), *const out =
                                                                       machine_buffer(machine, "out", DTYPE_I32, 256);
    Block *const body = block_make(ir);
    Node *const whole = make_load(machine, in, index_const(ir, 0), 64);
    Node *const low = node_make(ir, &(Node){.op = OP_slice,
                                            .type = type_vector(DTYPE_I32, 24),
                                            .inputs = (Node *[]){whole},
                                            .input_count = 1,
                                            .payload.integer = 5});
    Node *const lane = node_make(ir, &(Node){.op = OP_extract,
                                             .type = type_scalar(DTYPE_I32),
                                             .inputs = (Node *[]){whole},
                                             .input_count = 1,
                                             .payload.integer = 40});
    Node *const joined = node_make(ir, &(Node){.op = OP_join,
                                               .type = type_vector(DTYPE_I32, 50),
                                               .inputs = (Node *[]){lane, low, lane, low},
                                               .input_count = 4});
    make_store(machine, body, out, index_const(ir, 0), joined, NULL);
    make_store(machine, body, out, index_const(ir, 64), scalar2(ir, OP_mul, whole, splat_make(ir, lane, 64)), NULL);
    static const FoldKind kinds[] = {FOLD_SUM, FOLD_PROD, FOLD_MAX, FOLD_MIN, FOLD_AND, FOLD_OR};
    for (int i = 0; i < 6; i++)
        make_store(machine, body, out, index_const(ir, 128 + i), reduce(machine, kinds[i], whole), NULL);
    ordered(machine, body,
            &(Node){.op = OP_prefetch,
                    .inputs = (Node *[]){in, index_const(ir, 1 << 20)},
                    .input_count = 2,
                    .payload.integer = 2});
    return machine_kernel(machine, "vectors", body);
}

static void check_vectors(lathe_kernel *kernel, const Node *node)
{
    int32_t in[64], out[256] = {0}, error = 0;
    for (int i = 0; i < 64; i++)
        in[i] = i * 77 + 3;
    call(kernel, node, 0, 1, NULL, &error, (const char *const[]){"in", "out"}, (void *const[]){in, out}, 2);
    for (int i = 0; i < 50; i++)
        cr_expect_eq(out[i], i % 25 == 0 ? in[40] : in[5 + i % 25 - 1], "joined %d: %d", i, out[i]);
    uint32_t sum = 0, product = 1, all = UINT32_MAX, any = 0;
    for (int i = 0; i < 64; i++) {
        cr_expect_eq(out[64 + i], in[i] * in[40]);
        sum += (uint32_t)in[i];
        product *= (uint32_t)in[i];
        all &= (uint32_t)in[i];
        any |= (uint32_t)in[i];
    }
    cr_expect_eq((uint32_t)out[128], sum);
    cr_expect_eq((uint32_t)out[129], product);
    cr_expect_eq(out[130], in[63]);
    cr_expect_eq(out[131], in[0]);
    cr_expect_eq((uint32_t)out[132], all);
    cr_expect_eq((uint32_t)out[133], any);
}

Test(memory, vectors_are_sliced_joined_and_reduced)
{
    check_on_targets(make_vectors, check_vectors);
}

/* ---- reading what an aliasing buffer wrote ---- */

/* view is an alias of out: out[u] = in[u] + 1; then out2[u] = view[u] by a plain load of the alias, which must see the
 * store */
static Node *make_alias(Machine *machine)
{
    Ir *const ir = machine->ir;
    Node *const in = machine_buffer(machine, "in", DTYPE_F32, N), *const out =
                                                                      machine_buffer(machine, "out", DTYPE_F32, N);
    Node *const other = machine_buffer(machine, "other", DTYPE_F32, N);
    Node *const view = buffer_make(ir, out->type, &(Buffer){.name = name_intern(machine->arena, "view"), .alias = out});
    Block *const body = block_make(ir), *const first = block_make(ir), *const second = block_make(ir);
    Node *const u = make_for(machine, body, "u", make_begin(machine), make_end(machine), 1, first);
    make_store(machine, first, out, u, scalar2(ir, OP_add, make_load(machine, in, u, 1), const_float(ir, DTYPE_F32, 1)),
               NULL);
    Node *const v = make_for(machine, body, "v", make_begin(machine), make_end(machine), 1, second);
    make_store(machine, second, other, v, make_load(machine, view, v, 1), NULL);
    return machine_kernel(machine, "alias", body);
}

static void check_alias(lathe_kernel *kernel, const Node *node)
{
    float in[N], out[N] = {0}, other[N] = {0};
    for (int i = 0; i < N; i++)
        in[i] = (float)i;
    int32_t error = 0;
    call(kernel, node, 0, N, NULL, &error, (const char *const[]){"in", "out", "view", "other"},
         (void *const[]){in, out, out, other}, 4);
    for (int i = 0; i < N; i++)
        cr_expect_eq(other[i], (float)i + 1);
}

Test(memory, a_load_sees_what_was_stored_through_an_alias)
{
    check_on_targets(make_alias, check_alias);
}
