/* links: lathe_codegen lathe_ir lathe_targets */
/* Index arithmetic has 32 bits on 32-bit machines exactly where every value fits: kernels just below and just above. */
#include "codegen/indexwidth.h"
#include "ir/kernel.h"
#include "ir/loops.h"

#include <criterion/criterion.h>

static Ir *ir;

static void open_all(void)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    ir = ir_open(arena, diagnostics_open(arena));
}

static void close_all(void)
{
    arena_close(ir->arena);
}

TestSuite(indexwidth, .init = open_all, .fini = close_all);

static Node *buffer(const char *name, Dtype dtype, int64_t elements)
{
    Node *const dim = index_const(ir, elements);
    return buffer_make(ir, type_tensor(ir, dtype, 1, &dim),
                       &(Buffer){.name = name_intern(ir->arena, name), .place = PLACE_INPUT});
}

/* y[i] = x[index of i] for i below `count`, as plain loops. */
static int width_of(int64_t count, int64_t elements, Node *(*index)(Node *axis), const char *target)
{
    Node *axis = axis_make(ir, "i", index_const(ir, count));
    Node *const x = buffer("x", DTYPE_F32, elements), *const y = buffer("y", DTYPE_F32, count);
    Node *const at = node_make(
        ir,
        &(Node){.op = OP_at, .type = type_scalar(DTYPE_F32), .inputs = (Node *[]){x, index(axis)}, .input_count = 2});
    Block *const stages = block_make(ir);
    block_append(ir, stages, stage_make(ir, &axis, 1, y, &axis, at));
    Node *const kernel = kernel_make(ir, name_intern(ir->arena, "k"), stages);
    const LoopsSchedule schedule = {.lanes = 8};
    return index_width(ir, loops_schedule(ir, kernel, &schedule), target_find(ir->diagnostics, target));
}

static Node *same(Node *axis)
{
    return axis;
}

static Node *thousandfold(Node *axis)
{
    return index_mul(ir, axis, index_const(ir, 1000));
}

/* Large on the way, small in the end: a quotient needs the large number. */
static Node *larger_and_back(Node *axis)
{
    return index_floordiv(ir, index_mul(ir, axis, index_const(ir, 1001)), index_const(ir, 3000));
}

/* What a tensor of 64-bit integers says, before anybody has looked at it. */
static Node *from_memory(Node *axis)
{
    Node *const which = buffer("which", DTYPE_I64, 100);
    Node *const at = node_make(
        ir, &(Node){.op = OP_at, .type = type_scalar(DTYPE_I64), .inputs = (Node *[]){which, axis}, .input_count = 2});
    return node_make(ir, &(Node){.op = OP_bound,
                                 .type = type_scalar(DTYPE_INDEX),
                                 .inputs = (Node *[]){cast_make(ir, at, DTYPE_INDEX), index_const(ir, 50)},
                                 .input_count = 2});
}

Test(indexwidth, follows_from_the_largest_value)
{
    cr_expect_eq(width_of(100, 100, same, "cortex-m4f"), 32);
    cr_expect_eq(width_of(2147000, INT64_C(2147000) * 1000, thousandfold, "cortex-m0plus"), 32);
    cr_expect_eq(width_of(2148000, INT64_C(2148000) * 1000, thousandfold, "cortex-m0plus"), 64);
    cr_expect_eq(width_of(2145000, 2145000, larger_and_back, "cortex-m4f"), 32);
    cr_expect_eq(width_of(2146000, 2146000, larger_and_back, "cortex-m4f"), 64);
    cr_expect_eq(width_of(100, 50, from_memory, "cortex-m4f"), 64);
    cr_expect_eq(width_of(100, 100, same, "x86-64-v3"), 64, "pointers of 64 bits");
}
