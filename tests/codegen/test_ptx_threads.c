/* links: lathe_codegen lathe_ir lathe_targets */
/* What a block's threads do together, as PTX: barriers, asynchronous copies, shuffles of every dtype and the matrix
 * instructions. What these mean is the interpreter's to test; here it is the instruction, and that NVIDIA's assembler
 * takes it on every level. */
#include "codegen/ptxas.h"
#include "tests/codegen/machine.h"

#include "ir/mma.h"

enum { THREADS = 64, ELEMENTS = 1024 };

typedef struct Blocks {
    Machine *machine;
    Ir *ir;
    Block *body;
    Node *thread;
} Blocks;

static Blocks blocks_open(void)
{
    Machine *const machine = machine_open();
    return (Blocks){machine, machine->ir, block_make(machine->ir), thread_make(machine->ir, THREADS)};
}

static Node *shared_buffer(Blocks *blocks, Dtype dtype, int64_t elements)
{
    Node *const dim = index_const(blocks->ir, elements);
    return buffer_make(blocks->ir, type_tensor(blocks->ir, dtype, 1, &dim),
                       &(Buffer){.name = name_intern(blocks->machine->arena, "tile"), .place = PLACE_SHARED});
}

static Node *add_node(Blocks *blocks, Op op, Type type, Node **inputs, uint32_t count, int64_t integer)
{
    return ordered(blocks->machine, blocks->body,
                   &(Node){.op = op, .type = type, .inputs = inputs, .input_count = count, .payload.integer = integer});
}

static Node *kernel_of(Blocks *blocks)
{
    Node *const bare = kernel_make(blocks->ir, name_intern(blocks->machine->arena, "together"), block_make(blocks->ir));
    return kernel_with_threads(blocks->ir, bare, blocks->body, index_const(blocks->ir, 4), "by hand", 0, THREADS);
}

/* The text for a level; assembled too where there is an assembler. */
static const char *text_of(Blocks *blocks, Node *kernel, const TargetMachineInfo *target)
{
    Arena *const arena = blocks->machine->arena;
    Assembler assembler;
    ObjectBytes object;
    const ObjectRequest request = {.kernel = kernel,
                                   .target = target,
                                   .symbol = "together",
                                   .format = FORMAT_OBJECT,
                                   .assembler = ptxas_find(arena, &assembler) ? &assembler : NULL};
    if (!object_make(blocks->ir, arena, &request, &object)) {
        diag_print(blocks->machine->diagnostics, stderr, false);
        cr_assert(false, "%s", target->name);
    }
    const DeviceImage image = device_image_unpack(object);
    return arena_format(arena, "%.*s", (int)image.text.bytes, (const char *)image.text.data);
}

static int occurrences(const char *text, const char *what)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

static void expect_in(const char *text, const char *what, int count, const char *level)
{
    cr_expect_eq(occurrences(text, what), count, "%s for %s, not %d times:\n%s", what, level, count, text);
}

Test(ptx_threads, copies_are_asynchronous_where_the_level_has_them)
{
    for (int i = 0; i < target_count(); i++) {
        const TargetMachineInfo *const target = target_at(i);
        if (!target->gpu)
            continue;
        Blocks blocks = blocks_open();
        Ir *const ir = blocks.ir;
        Node *const in = machine_buffer(blocks.machine, "in", DTYPE_F32, ELEMENTS), *const out = machine_buffer(
                                                                                        blocks.machine, "out",
                                                                                        DTYPE_F32, ELEMENTS);
        Node *const tile = shared_buffer(&blocks, DTYPE_F32, THREADS * 4), *const second = shared_buffer(
                                                                               &blocks, DTYPE_F32, THREADS);
        Node *const wide = index_mul(ir, blocks.thread, index_const(ir, 4));
        Node *const condition = scalar2(ir, OP_lt, blocks.thread, index_const(ir, 50));
        add_node(&blocks, OP_copy_async, (Type){0}, (Node *[]){tile, wide, in, wide}, 4, 4);
        add_node(&blocks, OP_copy_async, (Type){0}, (Node *[]){second, blocks.thread, in, blocks.thread, condition}, 5,
                 1);
        add_node(&blocks, OP_copy_commit, (Type){0}, NULL, 0, 0);
        add_node(&blocks, OP_copy_wait, (Type){0}, NULL, 0, 2);
        add_node(&blocks, OP_barrier, (Type){0}, NULL, 0, 0);
        Node *const value =
            ordered(blocks.machine, blocks.body,
                    &(Node){.op = OP_read,
                            .type = type_vector(DTYPE_F32, 1),
                            .inputs = (Node *[]){second, index_sub(ir, index_const(ir, THREADS - 1), blocks.thread)},
                            .input_count = 2});
        make_store(blocks.machine, blocks.body, out, blocks.thread, value, NULL);
        Node *const kernel = kernel_of(&blocks);
        const char *const text = text_of(&blocks, kernel, target);
        const int async = target->gpu->copy_async;
        expect_in(text, "cp.async.cg.shared.global", async, target->name);
        expect_in(text, "cp.async.ca.shared.global", async, target->name);
        expect_in(text, "cp.async.commit_group;", async, target->name);
        expect_in(text, "cp.async.wait_group 2;", async, target->name);
        expect_in(text, "st.shared.v4", !async, target->name);
        expect_in(text, "bar.sync", 1, target->name);
        expect_in(text, ".reqntid 64", 1, target->name);
        expect_in(text, ".extern .shared .align 16 .b8 lathe_shared[]", 1, target->name);
        cr_expect_eq(kernel_shared_bytes(ir, kernel), THREADS * 5 * 4);
        machine_close(blocks.machine);
    }
}

Test(ptx_threads, lanes_exchange_values_of_every_dtype)
{
    static const struct {
        Dtype dtype;
        int lanes, words;
    } rows[] = {{DTYPE_F32, 1, 1}, {DTYPE_F32, 4, 4},  {DTYPE_F64, 1, 2}, {DTYPE_I64, 2, 4}, {DTYPE_F16, 1, 1},
                {DTYPE_I8, 1, 1},  {DTYPE_BOOL, 1, 1}, {DTYPE_U32, 1, 1}, {DTYPE_BF16, 2, 2}};
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (int i = 0; i < target_count(); i++) {
            if (!target_at(i)->gpu)
                continue;
            Blocks blocks = blocks_open();
            const Dtype dtype = rows[row].dtype;
            Node *const in = machine_buffer(blocks.machine, "in", dtype, ELEMENTS), *const out = machine_buffer(
                                                                                        blocks.machine, "out", dtype,
                                                                                        ELEMENTS);
            Node *const offset = index_mul(blocks.ir, blocks.thread, index_const(blocks.ir, rows[row].lanes));
            Node *value = make_load(blocks.machine, in, offset, rows[row].lanes);
            value = add_node(&blocks, OP_shuffle, value->type, &value, 1, 16);
            make_store(blocks.machine, blocks.body, out, offset, value, NULL);
            const char *const text = text_of(&blocks, kernel_of(&blocks), target_at(i));
            expect_in(text, "shfl.sync.bfly.b32", rows[row].words, target_at(i)->name);
            expect_in(text, ", 16, 31, -1;", rows[row].words, target_at(i)->name);
            machine_close(blocks.machine);
        }
}

Test(ptx_threads, every_row_of_matrix_instructions_is_taken)
{
    for (int64_t number = 0; mma_row(number); number++)
        for (int i = 0; i < target_count(); i++) {
            const MmaRow *const row = mma_row(number);
            if (!target_at(i)->gpu || target_at(i)->gpu->sm < row->sm)
                continue;
            Blocks blocks = blocks_open();
            const MmaMap *const maps[] = {&row->a, &row->b, &row->c};
            Node *operands[3];
            for (int k = 0; k < 3; k++) {
                const int slots = maps[k]->slots;
                Node *const buffer = machine_buffer(blocks.machine, arena_format(blocks.machine->arena, "in%d", k),
                                                    k == 2 ? row->accumulator : row->operand, THREADS * slots);
                operands[k] = make_load(blocks.machine, buffer,
                                        index_mul(blocks.ir, blocks.thread, index_const(blocks.ir, slots)), slots);
            }
            Node *const value = add_node(&blocks, OP_mma, operands[2]->type, operands, 3, number);
            Node *const out = machine_buffer(blocks.machine, "out", row->accumulator, THREADS * row->c.slots);
            make_store(blocks.machine, blocks.body, out,
                       index_mul(blocks.ir, blocks.thread, index_const(blocks.ir, row->c.slots)), value, NULL);
            expect_in(text_of(&blocks, kernel_of(&blocks), target_at(i)), row->instruction, 1, target_at(i)->name);
            machine_close(blocks.machine);
        }
}
