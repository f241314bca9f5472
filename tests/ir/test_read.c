/* Reads: elements that only a run knows are symbols; bodies own what is made in them. */
#include "ir/ops/ops.h"

#include <criterion/criterion.h>
#include <string.h>

static Ir *open_ir(void)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    return ir_open(arena, diagnostics_open(arena));
}

static Node *tensor_input(Ir *ir, const char *name, Dtype dtype, int rank, const int64_t *extents)
{
    Node *dims[4];
    for (int i = 0; i < rank; i++)
        dims[i] = index_const(ir, extents[i]);
    return input_make(ir, name_intern(ir->arena, name), type_tensor(ir, dtype, rank, dims));
}

Test(read, elements_become_symbols_that_are_the_same_for_one_tensor)
{
    Ir *const ir = open_ir();
    Node *const x = tensor_input(ir, "x", DTYPE_I64, 2, (int64_t[]){2, 2});
    Node *const read = read_make(ir, x);
    cr_assert_eq(read->op, OP_lathe_Read);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(read->contents[i]->op, OP_symbol);
        cr_assert_not_null(strchr(read->contents[i]->payload.name, '['));
        cr_assert_eq(index_range(ir, read->contents[i]).low, INT64_MIN);
    }
    cr_assert_eq(read_make(ir, x), read);
    cr_assert_eq(read_make(ir, read), read, "what is known is not read again");
    cr_assert_eq(index_range(ir, read_sizes_make(ir, x)->contents[0]).low, 0);
    arena_close(ir->arena);
}

Test(read, what_cannot_be_read_stays_unknown)
{
    Ir *const ir = open_ir();
    Node *const large = tensor_input(ir, "large", DTYPE_I64, 2, (int64_t[]){5, 13});
    Node *const real = tensor_input(ir, "real", DTYPE_F64, 2, (int64_t[]){1, 1});
    cr_assert_eq(read_make(ir, large), large);
    cr_assert_eq(read_make(ir, real), real);
    arena_close(ir->arena);
}

Test(read, a_shape_that_the_model_computes_is_read)
{
    Ir *const ir = open_ir();
    Node *const x = tensor_input(ir, "x", DTYPE_F32, 2, (int64_t[]){4, 6});
    Node *const shape = tensor_input(ir, "shape", DTYPE_I64, 2, (int64_t[]){1, 2});
    Node *const row =
        tensor_make(ir, OP_Squeeze, (Node *[]){shape, constant_ints(ir, (int64_t[]){0}, 1)}, 2, 1, NULL, 0);
    Node *const reshaped = tensor_make(ir, OP_Reshape, (Node *[]){x, row}, 2, 1, NULL, 0);
    cr_assert_not_null(reshaped);
    cr_assert_eq(reshaped->type.rank, 2);
    cr_assert_eq(reshaped->inputs[1]->op, OP_lathe_Read, "lowering sees the read, too");
    cr_assert_eq(reshaped->inputs[1]->inputs[0], row);
    arena_close(ir->arena);
}

Test(read, bodies_share_with_what_is_around_them_and_not_with_each_other)
{
    Ir *const ir = open_ir();
    Node *const x = tensor_input(ir, "x", DTYPE_F32, 1, (int64_t[]){4});
    Node *const outside = tensor_make(ir, OP_Exp, &x, 1, 1, NULL, 0);
    const uint32_t then_scope = ir_scope_open(ir);
    cr_assert_eq(tensor_make(ir, OP_Exp, &x, 1, 1, NULL, 0), outside);
    Node *const one = tensor_make(ir, OP_Neg, &x, 1, 1, NULL, 0);
    const uint32_t inner = ir_scope_open(ir);
    cr_assert_eq(tensor_make(ir, OP_Neg, &x, 1, 1, NULL, 0), one);
    ir_scope_close(ir);
    ir_scope_close(ir);
    const uint32_t else_scope = ir_scope_open(ir);
    Node *const other = tensor_make(ir, OP_Neg, &x, 1, 1, NULL, 0);
    ir_scope_close(ir);
    cr_assert_neq(one, other);
    cr_assert_eq(one->scope, then_scope);
    cr_assert_eq(other->scope, else_scope);
    cr_assert_eq(outside->scope, 0);
    cr_assert(ir_scope_holds(ir, 0, inner) && ir_scope_holds(ir, then_scope, inner));
    cr_assert(!ir_scope_holds(ir, else_scope, inner) && !ir_scope_holds(ir, inner, then_scope));
    arena_close(ir->arena);
}

Test(read, bits_of_small_inputs_stay_unknown)
{
    Ir *const ir = open_ir();
    Node *const x = tensor_input(ir, "x", DTYPE_F32, 1, (int64_t[]){1});
    Node *const y = tensor_input(ir, "y", DTYPE_I32, 1, (int64_t[]){1});
    const Attribute to = attr_int(ir, "to", 6);
    Node *const bits = tensor_make(ir, OP_BitCast, &x, 1, 1, &to, 1);
    cr_assert_not_null(bits);
    cr_assert_null(bits->contents);
    cr_assert_not_null(tensor_make(ir, OP_BitwiseXor, (Node *[]){bits, y}, 2, 1, NULL, 0));
    arena_close(ir->arena);
}

/* A detector pads its image so: the largest of the batch's heights, up to a multiple of 32, in floats. */
Test(read, the_largest_of_known_floats_is_known)
{
    Ir *const ir = open_ir();
    Node *const image = tensor_input(ir, "image", DTYPE_F32, 3, (int64_t[]){3, 300, 340});
    const Attribute real = attr_int(ir, "to", 1), whole = attr_int(ir, "to", 7), keep = attr_int(ir, "keepdims", 1);
    Node *node = tensor_make(ir, OP_Shape, &image, 1, 1, NULL, 0);
    node = tensor_make(ir, OP_Cast, &node, 1, 1, &real, 1);
    node = tensor_make(ir, OP_ReduceMax, &node, 1, 1, &keep, 1);
    node = tensor_make(ir, OP_Cast, &node, 1, 1, &whole, 1);
    Node *const parts[] = {constant_ints(ir, (int64_t[]){-1}, 1), node};
    const Attribute axis = attr_int(ir, "axis", 0);
    Node *const shape = tensor_make(ir, OP_Concat, parts, 2, 1, &axis, 1);
    Node *const flat = tensor_make(ir, OP_Reshape, (Node *[]){image, shape}, 2, 1, NULL, 0);
    cr_assert_not_null(flat);
    cr_assert_eq(flat->type.rank, 2);
    cr_assert(index_is(flat->type.dims[0], 900) && index_is(flat->type.dims[1], 340));
    arena_close(ir->arena);
}
