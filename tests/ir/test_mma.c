/* links: lathe_ir */
/* The table of matrix instructions: every element of every matrix is held by exactly one lane in one slot, and the
 * places are those that the PTX ISA names. */
#include "ir/mma.h"

#include <criterion/criterion.h>

static void covers(const MmaRow *row, const char *name, const MmaMap *map, int rows, int columns)
{
    int held[16][16] = {{0}};
    cr_assert_eq(map->slots * 32, rows * columns, "%s %s", row->name, name);
    for (int lane = 0; lane < 32; lane++)
        for (int slot = 0; slot < map->slots; slot++) {
            int i, j;
            mma_place(map, lane, slot, &i, &j);
            cr_assert(i >= 0 && i < rows && j >= 0 && j < columns, "%s %s: lane %d slot %d is (%d,%d)", row->name, name,
                      lane, slot, i, j);
            held[i][j]++;
        }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            cr_expect_eq(held[i][j], 1, "%s %s: (%d,%d) is held %d times", row->name, name, i, j, held[i][j]);
}

Test(mma, every_element_is_held_once)
{
    int count = 0;
    for (const MmaRow *row; (row = mma_row(count)); count++) {
        covers(row, "A", &row->a, row->m, row->k);
        covers(row, "B", &row->b, row->k, row->n);
        covers(row, "C", &row->c, row->m, row->n);
        cr_expect_eq(mma_find(row->name), count);
    }
    cr_assert_geq(count, 4);
    cr_expect_eq(mma_find("m8n8k4.f64.f64"), -1);
    cr_expect_null(mma_row(-1));
}

/* Lane 13 is group 3, quad 1: the formulas of the PTX ISA by hand. */
typedef struct PlaceCase {
    const char *name;
    char matrix;
    int slot, row, column;
} PlaceCase;
static const PlaceCase places[] = {
    {"m16n8k8.f16.f32", 'a', 1, 3, 3},    {"m16n8k8.f16.f32", 'a', 2, 11, 2},  {"m16n8k8.f16.f32", 'b', 1, 3, 3},
    {"m16n8k8.f16.f32", 'c', 3, 11, 3},   {"m16n8k16.f16.f32", 'a', 3, 11, 3}, {"m16n8k16.f16.f32", 'a', 5, 3, 11},
    {"m16n8k16.f16.f32", 'a', 6, 11, 10}, {"m16n8k16.f16.f32", 'b', 2, 10, 3}, {"m16n8k16.bf16.f32", 'b', 3, 11, 3},
    {"m16n8k16.bf16.f32", 'c', 0, 3, 2},  {"m16n8k8.tf32.f32", 'a', 1, 11, 1}, {"m16n8k8.tf32.f32", 'a', 2, 3, 5},
    {"m16n8k8.tf32.f32", 'b', 0, 1, 3},   {"m16n8k8.tf32.f32", 'b', 1, 5, 3},  {"m16n8k8.tf32.f32", 'c', 2, 11, 2},
};

Test(mma, places_are_those_of_the_ptx_isa)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const PlaceCase *const one = &places[i];
        const MmaRow *const row = mma_row(mma_find(one->name));
        cr_assert_not_null(row, "%s", one->name);
        const MmaMap *const map = one->matrix == 'a' ? &row->a : one->matrix == 'b' ? &row->b : &row->c;
        int at, column;
        mma_place(map, 13, one->slot, &at, &column);
        cr_expect(at == one->row && column == one->column, "%s %c%d: (%d,%d)", one->name, one->matrix, one->slot, at,
                  column);
        Node *const lane = index_const(ir, 13);
        cr_expect(index_is(mma_place_row(ir, map, lane, one->slot), one->row));
        cr_expect(index_is(mma_place_column(ir, map, lane, one->slot), one->column));
    }
    arena_close(arena);
}
