/* Matrix instructions of a warp: see mma.h and mma.def. */
#include "ir/mma.h"

#include <string.h>

static const MmaRow rows[] = {
#define MAP(slots, group, quad, bit0, bit1, bit2, column_group, column_quad, column_bit0, column_bit1, column_bit2)    \
    {                                                                                                                  \
        slots, {group, quad, {bit0, bit1, bit2}},                                                                      \
        {                                                                                                              \
            column_group, column_quad,                                                                                 \
            {                                                                                                          \
                column_bit0, column_bit1, column_bit2                                                                  \
            }                                                                                                          \
        }                                                                                                              \
    }
#define MMA(name, instruction, m, n, k, operand, accumulator, sm, a, b, c)                                             \
    {name, instruction, m, n, k, DTYPE_##operand, DTYPE_##accumulator, sm, a, b, c},
#include "ir/mma.def"
#undef MMA
#undef MAP
};

const MmaRow *mma_row(int64_t number)
{
    return number >= 0 && number < (int64_t)(sizeof rows / sizeof *rows) ? &rows[number] : NULL;
}

int64_t mma_find(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0)
            return (int64_t)i;
    return -1;
}

static int of_slot(const MmaIndex *index, int slot)
{
    int sum = 0;
    for (int i = 0; i < 3; i++)
        sum += (slot >> i & 1) * index->bits[i];
    return sum;
}

void mma_place(const MmaMap *map, int lane, int slot, int *row, int *column)
{
    *row = lane / 4 * map->row.group + lane % 4 * map->row.quad + of_slot(&map->row, slot);
    *column = lane / 4 * map->column.group + lane % 4 * map->column.quad + of_slot(&map->column, slot);
}

static Node *place(Ir *ir, const MmaIndex *index, Node *lane, int slot)
{
    Node *const four = index_const(ir, 4);
    Node *const group = index_mul(ir, index_floordiv(ir, lane, four), index_const(ir, index->group));
    Node *const quad = index_mul(ir, index_mod(ir, lane, four), index_const(ir, index->quad));
    return index_add(ir, index_add(ir, group, quad), index_const(ir, of_slot(index, slot)));
}

Node *mma_place_row(Ir *ir, const MmaMap *map, Node *lane, int slot)
{
    return place(ir, &map->row, lane, slot);
}

Node *mma_place_column(Ir *ir, const MmaMap *map, Node *lane, int slot)
{
    return place(ir, &map->column, lane, slot);
}
