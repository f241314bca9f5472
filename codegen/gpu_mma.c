/* `gpu mma`: the products of a `gpu contract` kernel by matrix instructions, each warp a tile of the block's.
 *
 * Fragments are read from shared memory by the maps of ir/mma.def, along k in pairs where elements of 16 bits share a
 * register. The order and the rounding of the sums are the hardware's, so results differ from the plain loops' within
 * the bound of docs/numerics.md. */
#include "codegen/gpu_build.h"
#include "codegen/gpu_contract.h"
#include "ir/kernel.h"
#include "ir/loops.h"

enum { SLOTS_MAX = 8 };

typedef struct WarpTile {
    Node *lane, *row, *column; /* row, column: the warp's first within the block's tile */
    int down, across;          /* instructions that a warp's tile takes */
    Node *sums[WARP_SUMS_MAX];
} WarpTile;

static Node *join(Ir *ir, Node *const *parts, int count, Type type)
{
    return count == 1
               ? parts[0]
               : node_make(ir, &(Node){.op = OP_join, .type = type, .inputs = parts, .input_count = (uint32_t)count});
}

/* This lane's fragment of an operand whose corner is (line, k) of the tile. `map` gives (row, column) of the operand's
 * matrix: line and k for A, k and line for B. */
static Node *fragment(GpuContract *c, const GpuOperand *o, const MmaMap *map, const WarpTile *tile, Block *block,
                      Node *slot, Node *line, Node *k)
{
    Ir *const ir = c->ir;
    const MmaIndex *const along = o->columns ? &map->row : &map->column;
    const int together = !o->columns && along->bits[0] == 1 ? 2 : 1;
    Node *parts[SLOTS_MAX];
    int count = 0;
    for (int s = 0; s < map->slots; s += together) {
        Node *const row = mma_place_row(ir, map, tile->lane, s), *const column =
                                                                     mma_place_column(ir, map, tile->lane, s);
        parts[count++] = operand_read(c, o, block, slot, index_add(ir, line, o->columns ? column : row),
                                      index_add(ir, k, o->columns ? row : column), together);
    }
    return join(ir, parts, count, type_vector(o->dtype, map->slots));
}

static void multiply_warps(GpuContract *c, void *context, Block *block, Node *slot, Node *k_tile)
{
    Ir *const ir = c->ir;
    const WarpTile *const tile = context;
    const MmaRow *const mma = c->mma;
    Node *const depth = index_const(ir, c->tile.depth), *const k = axis_make(ir, "k", depth);
    Node *b[WARP_SUMS_MAX];
    (void)k_tile; /* what lies behind the last k is zero on both sides */
    block = body_for(ir, block, k, index_const(ir, 0), depth, mma->k);
    for (int j = 0; j < tile->across; j++)
        b[j] =
            fragment(c, &c->b, &mma->b, tile, block, slot, index_add(ir, tile->column, index_const(ir, j * mma->n)), k);
    for (int i = 0; i < tile->down; i++) {
        Node *const a =
            fragment(c, &c->a, &mma->a, tile, block, slot, index_add(ir, tile->row, index_const(ir, i * mma->m)), k);
        for (int j = 0; j < tile->across; j++) {
            Node *const sum = tile->sums[i * tile->across + j];
            Node *const inputs[] = {a, b[j], body_get(ir, block, sum)};
            body_set(ir, block, sum,
                     gpu_ordered_value(ir, block,
                                       &(Node){.op = OP_mma,
                                               .type = type_vector(mma->accumulator, mma->c.slots),
                                               .inputs = inputs,
                                               .input_count = 3,
                                               .payload.integer = mma_find(mma->name)}));
        }
    }
}

/* Neighbouring columns of one row that the lane has of one instruction's result. */
static void emit_pair(GpuContract *c, Block *block, const WarpTile *tile, int i, int j, int first)
{
    Ir *const ir = c->ir;
    const MmaMap *const map = &c->mma->c;
    const int lanes = map->column.bits[0] == 1 ? 2 : 1;
    Node *const at_row = index_add(ir, tile->row, index_const(ir, i * c->mma->m));
    Node *const at_column = index_add(ir, tile->column, index_const(ir, j * c->mma->n));
    Node *const row = index_add(ir, c->a.first, index_add(ir, at_row, mma_place_row(ir, map, tile->lane, first)));
    Node *const column =
        index_add(ir, c->b.first, index_add(ir, at_column, mma_place_column(ir, map, tile->lane, first)));
    Block *const inside = gpu_contract_rows(c, block, row);
    Node *const all = body_get(ir, inside, tile->sums[i * tile->across + j]);
    Node *const part = node_make(ir, &(Node){.op = lanes == 1 ? OP_extract : OP_slice,
                                             .type = type_vector(c->mma->accumulator, lanes),
                                             .inputs = &all,
                                             .input_count = 1,
                                             .payload.integer = first});
    gpu_contract_result(c, inside, row, column, part);
}

void gpu_mma_tile(GpuContract *c, Block *block)
{
    Ir *const ir = c->ir;
    const GpuTile *const t = &c->tile;
    Node *const warp = index_floordiv(ir, c->thread, index_const(ir, WARP_LANES));
    Node *const beside = index_const(ir, t->columns / t->warp_columns);
    WarpTile tile = {.lane = index_mod(ir, c->thread, index_const(ir, WARP_LANES)),
                     .down = t->warp_rows / c->mma->m,
                     .across = t->warp_columns / c->mma->n};
    tile.row = index_mul(ir, index_floordiv(ir, warp, beside), index_const(ir, t->warp_rows));
    tile.column = index_mul(ir, index_mod(ir, warp, beside), index_const(ir, t->warp_columns));
    Node *const zero = splat_make(ir, const_int(ir, c->mma->accumulator, 0), c->mma->c.slots);
    for (int i = 0; i < tile.down * tile.across; i++)
        tile.sums[i] = body_var(ir, block, zero);
    gpu_contract_loop(c, block, multiply_warps, &tile);
    const int lanes = c->mma->c.column.bits[0] == 1 ? 2 : 1;
    for (int i = 0; i < tile.down; i++)
        for (int first = 0; first < c->mma->c.slots; first += lanes)
            for (int j = 0; j < tile.across; j++)
                emit_pair(c, block, &tile, i, j, first);
}
