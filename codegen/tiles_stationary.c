/* The stationary template: see tiles.h.
 *
 *     split all columns of B into parts in scratch, and the chunk's first 32 rows of A
 *     for each 32 rows in chunk, each group of 32 columns, each 32 steps of k:
 *         sums += the six products
 *         between the products, a share of the next 32 rows is split
 *         after the last step of k: Y = epilogue(sums)
 *
 * For many rows and few columns, where splitting A is as much work as the products. L2 holds the parts of all columns
 * and of two pairs of strips in turn.
 */
#include "codegen/contract.h"
#include "codegen/tiles.h"
#include "codegen/tiles_field.h"
#include "ir/kernel.h"
#include "ir/loops.h"

#include <math.h>

/* ---- decisions ---- */

/* Cycles, measured as those of tiles.c. What splits A shows where it takes longer than the products it stands between.
 */
#define LOADED        1.6
#define A_CYCLES      0.9 /* to split an element */
#define B_CYCLES      1.0 /* the chunk waits for them */
#define RESULT_CYCLES 0.25

/* Columns are not cut: a unit would split its rows for few of them. */
static double unit_cycles(const TileProduct *p, int64_t strips, int64_t groups)
{
    const double pairs = (double)ceil_divide(strips, PAIR), columns = (double)(groups * WIDTH);
    const double depth = (double)(p->steps * DEPTH), rows = (double)(strips * TILE_ROWS);
    const double products = LOADED * DOT_CYCLES * PRODUCTS * PAIR * (double)(PAIR * groups * p->steps);
    const double splitting = A_CYCLES * (p->c.read_a == READ_STRIDED ? 1 : 1.5) * HEIGHT * depth;
    if (groups < p->shape.groups)
        return HUGE_VAL;
    return pairs * (products > splitting ? products : splitting) + splitting + B_CYCLES * columns * depth +
           RESULT_CYCLES * rows * columns;
}

static bool plan(Tiled *t)
{
    TileProduct *const p = &t->p;
    if (!tiles_match(p) || p->c.roles.batch_count)
        return false;
    p->shape.strips = ceil_divide(p->c.guess_rows, TILE_ROWS);
    p->shape.groups = ceil_divide(p->c.guess_columns, WIDTH);
    p->block_steps = p->steps;
    const int64_t bytes = (p->shape.groups + 2) * p->steps * STEP_WORDS * 4;
    if (bytes > p->c.target->l2 * 3 / 4)
        return false;
    tiles_share(p, 1, 1, unit_cycles);
    p->shape.unit_groups = p->shape.groups;
    p->shape.unit_strips = suggest_int(p->c.trial, "strips", 1, p->shape.strips, p->shape.unit_strips);
    t->share = (int)ceil_divide(HEIGHT, p->shape.groups);
    p->c.tile = (Tile){HEIGHT, PAIR};
    p->a_parts = tiles_local(p, "a_parts", DTYPE_U32, 2 * p->steps * STEP_WORDS);
    p->b_parts = tiles_local(p, "b_parts", DTYPE_U32, p->shape.groups * p->steps * STEP_WORDS);
    p->c.sums = tiles_local(p, "sums", DTYPE_F32, HEIGHT * WIDTH);
    return tiles_fit(p);
}

/* ---- loops ---- */

/* The first pair of strips of the chunk. */
static void split_first(Tiled *t, Block *block)
{
    Ir *const ir = t->p.ir;
    Node *const number = axis_make(ir, "row", NULL), *const step = axis_make(ir, "step", NULL);
    Node *const zero = index_const(ir, 0), *const height = index_const(ir, HEIGHT);
    Block *const outer = body_for(ir, block, number, zero, height, 1);
    Block *const body = body_for(ir, outer, step, t->p.first_step, t->p.last_step, 1);
    tiles_split_all(&t->p, body, tiled_split_row(t, body, number, zero, number, step));
}

/* A group's share of the next pair of strips. */
static Splitting split_next(Tiled *t, Block *block, const Field *field, Node *step, int number)
{
    Ir *const ir = t->p.ir;
    Node *const flat = index_add(ir, index_mul(ir, field->group, index_const(ir, t->share)), index_const(ir, number));
    Node *const row = index_min(ir, flat, index_const(ir, HEIGHT - 1));
    Node *const slot = index_sub(ir, index_const(ir, 1), field->rows);
    return tiled_split_row(t, block, index_add(ir, field->next, row), slot, row, step);
}

typedef void Each(Tiled *t, Block *block, const Field *field, Node *const *masks);

/* Does it for the groups of two panels, in a loop, and for what is left of the matrix. */
static void each_group(Tiled *t, Block *block, Field field, Each *each)
{
    Ir *const ir = t->p.ir;
    const int64_t whole = t->p.c.guess_columns / WIDTH, rest = t->p.c.guess_columns % WIDTH;
    Node *const end = index_const(ir, whole), *masks[PAIR] = {0};
    field.panels = PAIR;
    field.group = field.turn = axis_make(ir, "group", NULL);
    field.column = index_mul(ir, field.group, index_const(ir, WIDTH));
    if (whole)
        each(t, body_for(ir, block, field.group, index_const(ir, 0), end, 1), &field, masks);
    if (!rest)
        return;
    field.panels = (int)ceil_divide(rest, PANEL);
    field.group = field.turn = end;
    field.column = index_const(ir, whole * WIDTH);
    const Corner corner = {.column = field.column};
    contract_emit_masks(&t->p.c, &corner, field.panels, rest % PANEL != 0, masks);
    each(t, block, &field, masks);
}

static void split_columns(Tiled *t, Block *block, const Field *field, Node *const *masks)
{
    tiled_split_columns(t, block, field, index_const(t->p.ir, 0), masks);
}

/* Pairs of strips, and the odd one. */
static void emit_rows(Tiled *t, Block *block)
{
    Ir *const ir = t->p.ir;
    Node *const two = index_const(ir, PAIR), *const one = index_const(ir, 1), *const height = index_const(ir, HEIGHT);
    Node *const strips = index_ceildiv(ir, t->p.rows, index_const(ir, TILE_ROWS));
    Node *const pairs = index_floordiv(ir, strips, two);
    int64_t rows;
    Field field = {.halves = PAIR, .pair = axis_make(ir, "pair", NULL), .split = split_next, .vectors = t->share};
    field.rows = index_mod(ir, field.pair, two);
    field.next = index_mul(ir, index_add(ir, field.pair, one), height);
    each_group(t, body_for(ir, block, field.pair, index_const(ir, 0), pairs, 1), field, tiled_field);
    if (const_is_int(t->p.c.roles.rows, &rows) && ceil_divide(rows, TILE_ROWS) % PAIR == 0 &&
        t->p.shape.unit_strips % PAIR == 0)
        return;
    field = (Field){.halves = 1, .pair = axis_make(ir, "odd", NULL)};
    field.rows = index_mod(ir, field.pair, two);
    each_group(t, body_for(ir, block, field.pair, pairs, index_ceildiv(ir, strips, two), 1), field, tiled_field);
}

/* Units are rows, and a chunk goes through all of its own as one. */
static Node *emit_units(Tiled *t, Block *body)
{
    TileProduct *const p = &t->p;
    Ir *const ir = p->ir;
    Node *const height = index_const(ir, p->shape.unit_strips * TILE_ROWS), *const all = p->c.roles.rows;
    Node *const begin = node_make(ir, &(Node){.op = OP_begin, .type = type_scalar(DTYPE_INDEX)});
    Node *const end = node_make(ir, &(Node){.op = OP_end, .type = type_scalar(DTYPE_INDEX)});
    p->row = index_mul(ir, begin, height);
    p->rows = index_sub(ir, index_min(ir, index_mul(ir, end, height), all), p->row);
    p->first_step = index_const(ir, 0);
    p->last_step = index_const(ir, p->steps);
    each_group(t, body, (Field){0}, split_columns);
    split_first(t, body);
    emit_rows(t, body);
    return index_ceildiv(ir, all, height);
}

/* ---- what schedules ---- */

static bool open(Tiled *t, Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    *t = (Tiled){.p = {.ir = ir, .c = {.ir = ir, .kernel = kernel, .target = target, .trial = trial}}};
    return plan(t);
}

Node *stationary_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    Tiled tiled;
    if (!open(&tiled, ir, kernel, target, trial))
        return NULL;
    Block *const body = block_make(ir);
    Node *const units = emit_units(&tiled, body);
    return tiles_kernel(&tiled.p, "stationary", body, units, WIDTH);
}

bool stationary_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    Tiled tiled;
    if (!open(&tiled, ir, kernel, target, trial))
        return false;
    *cycles = tiles_cycles(&tiled.p, threads, unit_cycles);
    return true;
}
