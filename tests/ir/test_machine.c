/* Random programs of variables, branches, loops and breaks: the interpreter against a direct execution of the same
 * statements. What the translation moves, shares, shortens and places again must not show. */
#include "ir/interpret.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { VARIABLES = 4, VALUES = 400, STATEMENTS = 400, OUTPUTS = 64, DATA = 8, LANES = 4, DEPTH = 4 };

typedef enum Verb { GET, LOAD, COMPUTE, SET, STORE, BRANCH, REPEAT, LEAVE, END } Verb;
typedef struct Statement {
    Verb verb;
    int result, left, right, variable, place, operation;
} Statement;

typedef struct Program {
    Statement statements[STATEMENTS + 2 * DEPTH + 2];
    int count, value_count, output_count;
} Program;

static const Op operations[] = {OP_add, OP_sub, OP_mul, OP_xor, OP_max};

static uint32_t operate(int operation, uint32_t a, uint32_t b)
{
    switch (operation) {
    case 0:
        return a + b;
    case 1:
        return a - b;
    case 2:
        return a * b;
    case 3:
        return a ^ b;
    default:
        return (int32_t)a > (int32_t)b ? a : b;
    }
}

/* Statements in order; BRANCH (odd lanes of `left`: lane 0 decides) and REPEAT (3 times) go to their END. Values made
 * in a block end with it. */
static void generate(Program *program)
{
    int known[DEPTH + 1] = {2}, loops[DEPTH + 1] = {0}, visible[VALUES], depth = 0;
    *program = (Program){.value_count = 2};
    visible[0] = 0;
    visible[1] = 1;
    for (int i = 0; i < STATEMENTS && program->value_count < VALUES - 1; i++) {
        Statement statement = {.left = visible[rand() % known[depth]],
                               .right = visible[rand() % known[depth]],
                               .variable = rand() % VARIABLES,
                               .operation = rand() % 5,
                               .place = rand() % OUTPUTS};
        const int choice = rand() % 20;
        statement.verb = choice < 5    ? GET
                         : choice < 6  ? LOAD
                         : choice < 11 ? COMPUTE
                         : choice < 15 ? SET
                         : choice < 16 ? STORE
                         : choice < 17 ? BRANCH
                         : choice < 18 ? REPEAT
                         : choice < 19 ? END
                                       : LEAVE;
        if ((statement.verb == END && depth == 0) || (statement.verb == LEAVE && !loops[depth]) ||
            ((statement.verb == BRANCH || statement.verb == REPEAT) && depth == DEPTH))
            continue;
        if (statement.verb <= COMPUTE) {
            statement.result = program->value_count++;
            visible[known[depth]++] = statement.result;
        }
        program->statements[program->count++] = statement;
        if (statement.verb == BRANCH || statement.verb == REPEAT) {
            known[depth + 1] = known[depth];
            loops[depth + 1] = loops[depth] || statement.verb == REPEAT;
            depth++;
        }
        if (statement.verb == END)
            depth--;
    }
    for (; depth >= 0; depth--)
        program->statements[program->count++] = (Statement){.verb = END};
}

typedef struct Direct {
    const Program *program;
    uint32_t values[VALUES][LANES], variables[VARIABLES][LANES], out[OUTPUTS][LANES];
    const uint32_t (*data)[LANES];
} Direct;

static int end_of_block(const Program *program, int position)
{
    for (int depth = 0;; position++) {
        const Verb verb = program->statements[position].verb;
        depth += verb == BRANCH || verb == REPEAT;
        if (verb == END && depth-- == 0)
            return position;
    }
}

/* Executes from `position` to the END of its block; true when a LEAVE was taken. */
static bool execute(Direct *direct, int position)
{
    for (;; position++) {
        const Statement *const s = &direct->program->statements[position];
        bool left = false;
        switch (s->verb) {
        case END:
            return false;
        case LEAVE:
            if (direct->values[s->left][0] & 1)
                return true;
            break;
        case BRANCH:
            left = direct->values[s->left][0] & 1 && execute(direct, position + 1);
            position = end_of_block(direct->program, position + 1);
            break;
        case REPEAT:
            for (int i = 0; i < 3; i++)
                if (execute(direct, position + 1))
                    break;
            position = end_of_block(direct->program, position + 1);
            break;
        case GET:
            memcpy(direct->values[s->result], direct->variables[s->variable], sizeof *direct->values);
            break;
        case LOAD:
            memcpy(direct->values[s->result], direct->data[s->place % DATA], sizeof *direct->values);
            break;
        case COMPUTE:
            for (int i = 0; i < LANES; i++)
                direct->values[s->result][i] =
                    operate(s->operation, direct->values[s->left][i], direct->values[s->right][i]);
            break;
        case SET:
            memcpy(direct->variables[s->variable], direct->values[s->left], sizeof *direct->values);
            break;
        case STORE:
            memcpy(direct->out[s->place], direct->values[s->left], sizeof *direct->values);
            break;
        }
        if (left)
            return true;
    }
}

static Node *is_odd(Bench *bench, Node *vector)
{
    Ir *const ir = bench->ir;
    Node *const lane =
        node_make(ir, &(Node){.op = OP_extract, .type = type_scalar(DTYPE_I32), .inputs = &vector, .input_count = 1});
    return scalar2(ir, OP_eq, scalar2(ir, OP_and, lane, const_int(ir, DTYPE_I32, 1)), const_int(ir, DTYPE_I32, 1));
}

static void build(Bench *bench, const Program *program)
{
    Ir *const ir = bench->ir;
    const Type vector = type_vector(DTYPE_I32, LANES);
    Node *const data = tensor(bench, "data", DTYPE_I32, constant(bench, DATA * LANES), PLACE_INPUT);
    Node *const out = tensor(bench, "out", DTYPE_I32, constant(bench, OUTPUTS * LANES), PLACE_OUTPUT);
    Node *values[VALUES], *variables[VARIABLES];
    Block *outer[DEPTH + 1];
    int depth = 0;
    for (int i = 0; i < 2; i++)
        values[i] = load(bench, data, constant(bench, i * LANES), LANES);
    for (int i = 0; i < VARIABLES; i++)
        variables[i] =
            ordered(bench, OP_var, no_value, (Node *[]){splat_make(ir, const_int(ir, DTYPE_I32, i), LANES)}, 1);
    for (int i = 0; i < program->count - 1; i++) {
        const Statement s = program->statements[i];
        switch (s.verb) {
        case GET:
            values[s.result] = ordered(bench, OP_get, vector, &variables[s.variable], 1);
            break;
        case LOAD:
            values[s.result] = load(bench, data, constant(bench, s.place % DATA * LANES), LANES);
            break;
        case COMPUTE:
            values[s.result] = scalar2(ir, operations[s.operation], values[s.left], values[s.right]);
            break;
        case SET:
            ordered(bench, OP_set, no_value, (Node *[]){variables[s.variable], values[s.left]}, 2);
            break;
        case STORE:
            store(bench, out, constant(bench, s.place * LANES), values[s.left]);
            break;
        case LEAVE:
            ordered(bench, OP_break, no_value, (Node *[]){is_odd(bench, values[s.left])}, 1);
            break;
        case REPEAT:
            loop_begin(bench, "i", constant(bench, 0), constant(bench, 3), 1, &outer[depth++]);
            break;
        case BRANCH: {
            Block *then = block_make(ir);
            block_append(ir, bench->block,
                         node_make(ir, &(Node){.op = OP_if,
                                               .type = no_value,
                                               .inputs = (Node *[]){is_odd(bench, values[s.left])},
                                               .input_count = 1,
                                               .blocks = &then,
                                               .block_count = 1}));
            outer[depth++] = bench->block;
            bench->block = then;
            break;
        }
        case END:
            bench->block = outer[--depth];
            break;
        }
    }
    for (int i = 0; i < VARIABLES; i++)
        store(bench, out, constant(bench, i * LANES), ordered(bench, OP_get, vector, &variables[i], 1));
    compile(bench, (Node *[]){data, out}, 2);
}

Test(machine, random_programs)
{
    static Program program;
    static Direct direct;
    srand(20);
    for (int round = 0; round < 3000; round++) {
        uint32_t data[DATA][LANES], out[OUTPUTS][LANES];
        for (int i = 0; i < DATA * LANES; i++)
            data[i / LANES][i % LANES] = (uint32_t)rand();
        generate(&program);
        Bench bench = bench_open();
        build(&bench, &program);
        memset(out, 0, sizeof out);
        cr_assert_eq(
            interpret_run(bench.code, (void *[]){data, out}, (uint64_t[]){sizeof data, sizeof out}, NULL, 0, 1, NULL),
            INTERPRET_OK);
        memset(&direct, 0, sizeof direct);
        direct.program = &program;
        direct.data = (const uint32_t(*)[LANES])data;
        memcpy(direct.values, data, 2 * sizeof *direct.values);
        for (int i = 0; i < VARIABLES * LANES; i++)
            direct.variables[i / LANES][i % LANES] = (uint32_t)(i / LANES);
        execute(&direct, 0);
        memcpy(direct.out, direct.variables, sizeof direct.variables);
        cr_assert_arr_eq(out, direct.out, sizeof out, "program %d", round);
        bench_close(&bench);
    }
}
