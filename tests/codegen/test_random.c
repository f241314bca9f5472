/* links: lathe_codegen lathe_ir lathe_targets */
/* Random kernels of nested loops, branches and shared expressions: machine code must equal the interpreter in every
 * byte. What this finds is a value that was placed in the wrong scope. */
#include "tests/codegen/machine.h"

#include "ir/interpret.h"

enum { N = 128, KERNELS = 100, POOL = 64, STATEMENTS = 5, DEPTH = 4, KINDS = 4 };
typedef enum Kind { INDEX, REAL, VECTOR, TRUTH } Kind;

typedef struct Pool {
    Node *items[POOL];
    int count;
} Pool;

typedef struct Random {
    Machine *machine;
    Ir *ir;
    uint64_t state;
    Node *in, *numbers, *out;
    Pool values[KINDS], variables[KINDS];
    int loops; /* around the current block */
} Random;

static unsigned pick(Random *random, unsigned count)
{
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random->state >> 33) % count;
}

static Node *remember(Random *random, Kind kind, Node *node)
{
    Pool *const pool = &random->values[kind];
    if (pool->count < POOL)
        pool->items[pool->count++] = node;
    return node;
}

static Node *any(Random *random, Kind kind)
{
    const Pool *const pool = &random->values[kind];
    /* Mostly recent values, so that expressions grow. */
    const int from = pick(random, 3) ? pool->count * 2 / 3 : 0;
    return pool->items[from + (int)pick(random, (unsigned)(pool->count - from))];
}

static Node *place(Random *random, int lanes)
{
    return index_mod(random->ir, any(random, INDEX), index_const(random->ir, N + 1 - lanes));
}

static Node *make_index(Random *random)
{
    Ir *const ir = random->ir;
    Node *const a = any(random, INDEX), *const b = any(random, INDEX);
    switch (pick(random, 7)) {
    case 0:
        return index_add(ir, a, b);
    case 1:
        return index_sub(ir, a, b);
    case 2:
        return index_mod(ir, index_mul(ir, a, b), index_const(ir, 1000));
    case 3:
        return index_floordiv(ir, a, index_const(ir, 1 + pick(random, 9)));
    case 4:
        return index_mod(ir, a, index_const(ir, 1 + pick(random, 9)));
    case 5:
        return index_max(ir, a, b);
    default:
        return index_mod(ir,
                         cast_make(ir, make_load(random->machine, random->numbers, place(random, 1), 1), DTYPE_INDEX),
                         index_const(ir, 50));
    }
}

static Node *make_float(Random *random, Kind kind)
{
    static const Op ops[] = {OP_add, OP_sub, OP_mul, OP_max, OP_min, OP_div};
    Ir *const ir = random->ir;
    const int lanes = kind == VECTOR ? 16 : 1;
    switch (pick(random, 6)) {
    case 0:
        return make_load(random->machine, random->in, place(random, lanes), lanes);
    case 1:
        return scalar3(ir, OP_fma, any(random, kind), any(random, REAL), any(random, kind));
    case 2:
        return scalar3(ir, OP_select, splat_make(ir, any(random, TRUTH), lanes), any(random, kind), any(random, kind));
    case 3:
        return splat_make(ir, cast_make(ir, any(random, INDEX), DTYPE_F32), lanes);
    default:
        return scalar2(ir, ops[pick(random, 6)], any(random, kind), any(random, pick(random, 2) ? REAL : kind));
    }
}

static void make_value(Random *random)
{
    const Kind kind = (Kind)pick(random, KINDS);
    if (kind == INDEX)
        remember(random, INDEX, make_index(random));
    else if (kind == TRUTH)
        remember(random, TRUTH, scalar2(random->ir, OP_lt, any(random, INDEX), any(random, INDEX)));
    else
        remember(random, kind, make_float(random, kind));
}

static void make_block(Random *random, Block *block, int depth);

/* Values and variables of a block end with it. */
static Block *make_inner(Random *random, Node *axis, int depth)
{
    Pool values[KINDS], variables[KINDS];
    memcpy(values, random->values, sizeof values);
    memcpy(variables, random->variables, sizeof variables);
    Block *const block = block_make(random->ir);
    if (axis)
        remember(random, INDEX, axis);
    make_block(random, block, depth);
    memcpy(random->values, values, sizeof values);
    memcpy(random->variables, variables, sizeof variables);
    return block;
}

static void make_loop(Random *random, Block *block, int depth)
{
    Ir *const ir = random->ir;
    Node *const axis = axis_make(ir, "i", NULL);
    Node *const upper =
        pick(random, 2) ? index_const(ir, pick(random, 5)) : index_mod(ir, any(random, INDEX), index_const(ir, 5));
    random->loops++;
    Block *inner = make_inner(random, axis, depth + 1);
    random->loops--;
    ordered(random->machine, block,
            &(Node){.op = OP_for,
                    .axes = (Node *[]){axis},
                    .axis_count = 1,
                    .inputs = (Node *[]){index_const(ir, 0), upper, index_const(ir, 1 + pick(random, 2))},
                    .input_count = 3,
                    .blocks = &inner,
                    .block_count = 1});
}

static void make_if(Random *random, Block *block, int depth)
{
    Node *const condition = any(random, TRUTH);
    const bool has_else = pick(random, 2);
    Block *blocks[2] = {make_inner(random, NULL, depth + 1), NULL};
    if (has_else)
        blocks[1] = make_inner(random, NULL, depth + 1);
    ordered(random->machine, block,
            &(Node){.op = OP_if,
                    .inputs = (Node *[]){condition},
                    .input_count = 1,
                    .blocks = blocks,
                    .block_count = has_else ? 2 : 1});
}

static void make_statement(Random *random, Block *block, int depth)
{
    Machine *const machine = random->machine;
    const Kind kind = (Kind)pick(random, 3);
    Pool *const variables = &random->variables[kind];
    const unsigned choice = pick(random, 12);
    if (choice < 3 && depth < DEPTH) {
        make_loop(random, block, depth);
    } else if (choice < 5 && depth < DEPTH) {
        make_if(random, block, depth);
    } else if (choice == 5 && variables->count < POOL) {
        variables->items[variables->count++] = make_var(machine, block, any(random, kind));
    } else if (choice < 8 && variables->count) {
        Node *const variable = variables->items[pick(random, (unsigned)variables->count)];
        Node *const value = any(random, kind);
        make_set(machine, block, variable,
                 kind == INDEX ? index_mod(random->ir, value, index_const(random->ir, 1000)) : value);
    } else if (choice == 8 && variables->count) {
        remember(random, kind, make_get(machine, block, variables->items[pick(random, (unsigned)variables->count)]));
    } else if (choice == 9 && random->loops) {
        ordered(machine, block, &(Node){.op = OP_break, .inputs = (Node *[]){any(random, TRUTH)}, .input_count = 1});
    } else if (choice == 10) {
        const int lanes = pick(random, 2) ? 16 : 1;
        Node *const inputs[] = {random->out, place(random, lanes)};
        remember(
            random, lanes == 16 ? VECTOR : REAL,
            ordered(machine, block,
                    &(Node){.op = OP_read, .type = type_vector(DTYPE_F32, lanes), .inputs = inputs, .input_count = 2}));
    } else {
        const Kind stored = pick(random, 2) ? VECTOR : REAL;
        make_store(machine, block, random->out, place(random, stored == VECTOR ? 16 : 1), any(random, stored), NULL);
    }
}

static void make_block(Random *random, Block *block, int depth)
{
    for (int i = 0; i < STATEMENTS; i++) {
        make_value(random);
        make_value(random);
        make_statement(random, block, depth);
    }
}

static Node *make_kernel(Machine *machine, uint64_t seed)
{
    Ir *const ir = machine->ir;
    Random random = {.machine = machine, .ir = ir, .state = seed};
    random.in = machine_buffer(machine, "in", DTYPE_F32, N);
    random.numbers = machine_buffer(machine, "numbers", DTYPE_I32, N);
    random.out = machine_buffer(machine, "out", DTYPE_F32, N);
    remember(&random, INDEX, make_begin(machine));
    remember(&random, INDEX, symbol_make(ir, name_intern(machine->arena, "S")));
    remember(&random, INDEX, index_const(ir, 3));
    remember(&random, REAL, const_float(ir, DTYPE_F32, 0.5));
    remember(&random, VECTOR, splat_make(ir, const_float(ir, DTYPE_F32, -1.25), 16));
    remember(&random, TRUTH, scalar2(ir, OP_lt, index_const(ir, 5), symbol_make(ir, name_intern(machine->arena, "S"))));
    Block *const body = block_make(ir);
    make_store(machine, body, random.out, index_const(ir, 0), make_load(machine, random.in, index_const(ir, 0), 1),
               NULL);
    make_store(machine, body, random.out, index_const(ir, 1),
               cast_make(ir, make_load(machine, random.numbers, index_const(ir, 0), 1), DTYPE_F32), NULL);
    make_block(&random, body, 0);
    make_block(&random, body, 0);
    return machine_kernel(machine, arena_format(machine->arena, "random_%d", (int)seed), body);
}

typedef struct State {
    float in[N], out[N];
    int32_t numbers[N];
} State;

static void state_fill(State *state)
{
    for (int i = 0; i < N; i++) {
        state->in[i] = (float)(i * 37 % 101 - 50) * 0.25f;
        state->out[i] = (float)i;
        state->numbers[i] = i * 29 % 61 - 20;
    }
}

static void bind(const Node *kernel, State *state, void **buffers, uint64_t *bytes)
{
    for (int i = 0; i < kernel_buffer_count(kernel); i++) {
        const char *const name = kernel->inputs[i]->payload.buffer->name;
        buffers[i] = strcmp(name, "in") == 0    ? (void *)state->in
                     : strcmp(name, "out") == 0 ? (void *)state->out
                                                : state->numbers;
        bytes[i] = N * 4;
    }
}

/* NaN equals NaN: payloads are not part of the meaning. */
static bool same_floats(const float *a, const float *b)
{
    for (int i = 0; i < N; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && (a[i] == a[i] || b[i] == b[i]))
            return false;
    return true;
}

Test(random, machine_code_equals_the_interpreter)
{
    Machine *const machine = machine_open();
    const TargetMachineInfo *targets[8];
    const int target_total = machine_targets(targets);
    for (int seed = 0; seed < KERNELS; seed++) {
        Node *const kernel = make_kernel(machine, (uint64_t)seed);
        for (int t = 0; t < target_total; t++)
            machine_add(machine, kernel, targets[t]);
    }
    machine_compile(machine, 3);
    machine_load(machine);
    int changed = 0;
    for (int job = 0; job < machine->count; job++) {
        Node *const kernel = machine->jobs[job].kernel;
        const Code *const code = interpret_compile(machine->ir, kernel);
        for (int64_t symbol = 0; symbol < 12; symbol += 4) {
            State expected, got;
            void *buffers[8];
            uint64_t bytes[8];
            int32_t error = 0;
            state_fill(&expected);
            state_fill(&got);
            bind(kernel, &expected, buffers, bytes);
            cr_assert_eq(interpret_run(code, buffers, bytes, &symbol, 2, 9, &error), INTERPRET_OK, "%s",
                         interpret_message(code));
            bind(kernel, &got, buffers, bytes);
            machine_function(machine, job)(buffers, &symbol, 2, 9, NULL, &error);
            State start;
            state_fill(&start);
            changed += memcmp(start.out + 2, got.out + 2, (N - 2) * sizeof(float)) != 0;
            cr_expect(same_floats(expected.out, got.out), "%s with S = %ld on %s", kernel->payload.kernel->name, symbol,
                      machine->jobs[job].target->name);
        }
    }
    cr_expect_gt(changed, machine->count * 2, "most kernels must do something: %d of %d runs changed memory", changed,
                 machine->count * 3);
    machine_close(machine);
}
