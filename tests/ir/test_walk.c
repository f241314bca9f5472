/* Walking expressions: what substitution keeps, ranges of expressions that share their parts. */
#include "ir/ir.h"

#include <criterion/criterion.h>

static Ir *open_ir(void)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    return ir_open(arena, diagnostics_open(arena));
}

Test(walk, a_fold_as_far_as_a_point_says_follows_the_point)
{
    Ir *const ir = open_ir();
    Node *const four = index_const(ir, 4);
    Node *const buffer = buffer_make(ir, type_tensor(ir, DTYPE_I64, 1, &four), &(Buffer){.name = "b"});
    Node *const point = axis_make(ir, "a0", four), *const other = axis_make(ir, "a1", four);
    Node *const reach = axis_make(ir, "p", cast_make(ir, at_make(ir, buffer, &point), DTYPE_INDEX));
    Node *const value = fold_make(ir, FOLD_SUM, 1, &reach, 1, cast_make(ir, reach, DTYPE_I64));
    Node *const moved = node_substitute(ir, value, &point, &other, 1);
    cr_assert(node_depends(ir, value, point));
    cr_assert(node_depends(ir, moved, other));
    cr_assert_not(node_depends(ir, moved, point), "the extent of the fold still follows the old point");
    cr_assert(node_depends(ir, moved, moved->axes[0]) && moved->axes[0] != reach);
    arena_close(ir->arena);
}

Test(walk, an_axis_of_the_stage_keeps_its_identity)
{
    Ir *const ir = open_ir();
    Node *const size = symbol_make(ir, name_intern(ir->arena, "N"));
    Node *const axis = axis_make(ir, "a0", size), *const eight = index_const(ir, 8);
    Node *const moved = node_substitute(ir, index_add(ir, axis, size), (Node *[]){size}, (Node *[]){eight}, 1);
    cr_assert_eq(moved, index_add(ir, axis, eight));
    arena_close(ir->arena);
}

/* Each level has the one below twice: without memory the walk would have 2^38 steps. */
Test(walk, ranges_of_shared_parts_are_found_once, .timeout = 60)
{
    Ir *const ir = open_ir();
    Node *node = symbol_make(ir, name_intern(ir->arena, "x[0]"));
    Node *const limit = symbol_make(ir, name_intern(ir->arena, "N"));
    for (int i = 0; i < 38; i++) {
        Node *const other = index_max(ir, index_floordiv(ir, node, index_const(ir, 3 + i)), limit);
        node = index_min(ir, index_floordiv(ir, index_add(ir, node, other), index_const(ir, 2 + i)), other);
    }
    cr_assert_eq(index_range(ir, node).high, INT64_MAX);
    cr_assert_geq(index_range(ir, index_max(ir, node, index_const(ir, 5))).low, 5);
    arena_close(ir->arena);
}
