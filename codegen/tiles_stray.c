/* A few rows beyond the last strip of sixteen, which vectors multiply while columns are split: see tiles_parts.h. */
#include "codegen/tiles_parts.h"
#include "ir/kernel.h"
#include "ir/loops.h"

void tiles_plan_stray(TileProduct *p, int64_t least, int64_t most)
{
    int64_t rows;
    if (!const_is_int(p->c.roles.rows, &rows))
        return;
    const int64_t strips = rows / TILE_ROWS, more = rows % TILE_ROWS;
    if (strips < least || strips > most || more < 1 || more > STRAY_MOST)
        return;
    p->stray = suggest_int(p->c.trial, "stray", 0, 1, 1) ? (int)more : 0;
}

void tiles_stray_locals(TileProduct *p, int64_t places)
{
    if (p->stray == 0)
        return;
    p->stray_a = tiles_local(p, "stray_a", DTYPE_F32, p->stray * p->steps * DEPTH);
    p->stray_sums = tiles_local(p, "stray_sums", DTYPE_F32, places * p->stray * PANEL);
}

static Node *stray_at(const TileProduct *p, Node *step, int row, Node *beyond)
{
    Ir *const ir = p->ir;
    Node *const at = index_add(ir, index_mul(ir, step, index_const(ir, DEPTH)), beyond);
    return index_add(ir, index_const(ir, row * p->steps * DEPTH), at);
}

void tiles_copy_stray(TileProduct *p, Block *block)
{
    Ir *const ir = p->ir;
    if (p->stray == 0)
        return;
    Node *const step = axis_make(ir, "step", NULL), *const steps = index_const(ir, p->steps);
    Block *const body = body_for(ir, block, step, index_const(ir, 0), steps, 1);
    for (int row = 0; row < p->stray; row++) {
        Node *const number = index_sub(ir, p->c.roles.rows, index_const(ir, p->stray - row));
        const Splitting splitting = tiles_split_a(p, body, number, tiles_step(p, step));
        for (int i = 0; i < 2; i++)
            tiles_store(p, body, p->stray_a, stray_at(p, step, row, index_const(ir, i * TILE_WORDS)),
                        splitting.values[i]);
    }
}

static Node *sum_at(const TileProduct *p, Node *place, int row)
{
    Ir *const ir = p->ir;
    return index_add(ir, index_mul(ir, place, index_const(ir, p->stray * PANEL)), index_const(ir, row * PANEL));
}

void tiles_clear_stray(TileProduct *p, Block *block, Node *first, Node *end)
{
    Ir *const ir = p->ir;
    if (p->stray == 0)
        return;
    Node *const place = axis_make(ir, "place", NULL), *const zero = const_int(ir, DTYPE_F32, 0);
    Block *const body = body_for(ir, block, place, first, end, 1);
    for (int row = 0; row < p->stray; row++)
        tiles_store(p, body, p->stray_sums, sum_at(p, place, row), splat_make(ir, zero, PANEL));
}

void tiles_load_stray(TileProduct *p, Block *block, Node *place, Node **sums)
{
    for (int row = 0; row < p->stray; row++)
        sums[row] = tiles_load(p, block, p->stray_sums, sum_at(p, place, row), PANEL);
}

void tiles_store_stray(TileProduct *p, Block *block, Node *place, Node *const *sums)
{
    for (int row = 0; row < p->stray; row++)
        tiles_store(p, block, p->stray_sums, sum_at(p, place, row), sums[row]);
}

void tiles_multiply_stray(TileProduct *p, Block *block, Node *step, Node *number, Node *const *values, Node **sums)
{
    Ir *const ir = p->ir;
    for (int row = 0; row < p->stray; row++)
        for (int i = 0; i < 2; i++) {
            Node *const beyond = index_add(ir, number, index_const(ir, i * TILE_WORDS));
            Node *const a = tiles_load(p, block, p->stray_a, stray_at(p, step, row, beyond), 1);
            sums[row] = scalar3(ir, OP_fma, splat_make(ir, a, PANEL), values[i], sums[row]);
        }
}

void tiles_stray_results(TileProduct *p, Block *block, Node *place, int64_t first, int64_t pitch)
{
    Node *sums[STRAY_MOST];
    tiles_load_stray(p, block, place, sums);
    for (int row = 0; row < p->stray; row++)
        tiles_store(p, block, p->c.sums, index_const(p->ir, first + row * pitch), sums[row]);
}
