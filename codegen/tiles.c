/* The tiles template: see tiles.h.
 *
 *     for each block of rows in chunk:
 *         for each block of k:
 *             split the rows of A into parts in scratch, and the chunk's first group of 32 columns of B
 *             for each group, each 32 rows, each 32 steps of k:
 *                 sums += A2 B0 + A1 B0 + A0 B0 + A0 B1 + A1 B1 + A0 B2
 *                 between the products, a share of the next group is split
 *                 after the last step of k: Y = epilogue(sums)
 *             of each group: a few rows beyond the last whole strip, by vectors while its columns are split
 *
 * Four registers hold sums, two A, two B.
 *
 * Parts stand in scratch as registers read them, for each pair of strips of 16 rows (columns) and 32 steps all three
 * parts of both.
 */
#include "codegen/tiles.h"

#include "codegen/contract.h"
#include "codegen/tiles_field.h"
#include "ir/kernel.h"
#include "ir/loops.h"

/* ---- decisions ---- */

/* Cycles, measured with weights that come from memory, on the first machine that has tile registers. Loads from L2 make
 * six products of a step take 1.4 times as long as their instructions. */
#define LOADED        1.4
#define A_CYCLES      1.1 /* to split an element */
#define B_CYCLES      0.75
#define RESULT_CYCLES 0.4
#define STRAY_CYCLES  0.02 /* of a row by vectors, a column and a step */

static double unit_cycles(const TileProduct *p, int64_t strips, int64_t groups)
{
    const double rows = (double)(strips * TILE_ROWS), columns = (double)(groups * WIDTH);
    const double depth = (double)(p->steps * DEPTH);
    double cycles = LOADED * DOT_CYCLES * PRODUCTS * (double)(strips * groups * PAIR * p->steps);
    cycles += A_CYCLES * (p->c.read_a == READ_STRIDED ? 1 : 1.5) * rows * depth;
    if (p->stray) /* in the last of several units */
        cycles += STRAY_CYCLES * p->stray * columns * depth * (double)strips / (double)p->shape.strips;
    return cycles + B_CYCLES * columns * depth + RESULT_CYCLES * rows * columns;
}

/* A unit's parts of A take two fifths of L2, of at least LEAST_ROWS rows, for the group of B is split again for each
 * block of rows; a k too long for that goes in blocks, whose sums wait in another quarter. */
enum { LEAST_ROWS = 256 };

/* Sums of stray rows go through a panel's steps in order, however rows are cut: what the last block of rows leaves to
 * be split apart are whole panels. */
static int plan_share(const Tiled *t)
{
    const TilesShape *const shape = &t->p.shape;
    const int64_t last = ceil_divide((shape->strips - 1) % shape->unit_strips + 1, PAIR);
    int64_t share = ceil_divide(WIDTH, ceil_divide(shape->unit_strips, PAIR));
    while (t->p.stray && last * share < WIDTH && last * share % TILE_ROWS)
        share++;
    return (int)share;
}

static void plan_units(Tiled *t)
{
    Contract *const c = &t->p.c;
    TilesShape *const shape = &t->p.shape;
    const int64_t l2 = c->target->l2, step_bytes = DEPTH * PARTS * 2, room = l2 * 2 / 5;
    const int64_t fit = room / (step_bytes * t->p.steps), most = fit < LEAST_ROWS ? LEAST_ROWS : fit;
    tiles_plan_stray(&t->p, 2, INT64_MAX);
    shape->strips = ceil_divide(c->guess_rows - t->p.stray, TILE_ROWS);
    shape->groups = ceil_divide(c->guess_columns, WIDTH);
    tiles_share(&t->p, ceil_divide(shape->strips * TILE_ROWS, most), PAIR, unit_cycles);
    shape->unit_strips = suggest_int(c->trial, "halves", 1, shape->strips, shape->unit_strips);
    if (shape->most_strips < shape->unit_strips)
        shape->most_strips = shape->unit_strips;
    /* L2 holds the parts of A, of two groups of B, and three groups as they came. */
    const int64_t step_columns = 2 * WIDTH * DEPTH * PARTS * 2 + 3 * WIDTH * DEPTH * 4;
    const int64_t deepest = l2 * 3 / 4 / (step_bytes * TILE_ROWS * shape->most_strips + step_columns);
    t->p.block_steps = tiles_even_blocks(t->p.steps, deepest);
    t->p.block_steps = suggest_int(c->trial, "steps", 1, t->p.steps, t->p.block_steps);
    shape->unit_groups = suggest_int(c->trial, "groups", 1, shape->groups, shape->unit_groups);
    if (c->read_b == READ_PANELS)
        t->share = plan_share(t);
}

/* Groups that have places for sums of stray rows: two in turn, or all and what is split behind the last. */
static int64_t stray_groups(const Tiled *t)
{
    return t->p.partial ? t->p.shape.groups + 1 : PAIR;
}

static bool plan(Tiled *t)
{
    if (!tiles_match(&t->p))
        return false;
    plan_units(t);
    Contract *const c = &t->p.c;
    c->tile = (Tile){HEIGHT, PAIR};
    t->p.a_parts = tiles_local(&t->p, "a_parts", DTYPE_U32,
                               ceil_divide(t->p.shape.most_strips, PAIR) * t->p.block_steps * STEP_WORDS);
    t->p.b_parts = tiles_local(&t->p, "b_parts", DTYPE_U32, 2 * t->p.block_steps * STEP_WORDS);
    t->p.c.sums = tiles_local(&t->p, "sums", DTYPE_F32, HEIGHT * WIDTH);
    if (t->p.block_steps < t->p.steps)
        t->p.partial =
            tiles_local(&t->p, "partial", DTYPE_F32, t->p.shape.groups * t->p.shape.most_strips * PAIR * TILE_ELEMENTS);
    tiles_stray_locals(&t->p, stray_groups(t) * GROUP_PLACES);
    return tiles_fit(&t->p);
}

/* ---- rows ---- */

/* The unit's rows, each pair of strips in its own slot. */
static void split_rows(Tiled *t, Block *block)
{
    Ir *const ir = t->p.ir;
    Node *const row = axis_make(ir, "row", NULL), *const step = axis_make(ir, "step", NULL);
    Node *const strip = index_const(ir, TILE_ROWS), *const height = index_const(ir, HEIGHT);
    Node *const rows = index_mul(ir, index_ceildiv(ir, t->p.rows, strip), strip);
    Block *const outer = body_for(ir, block, row, index_const(ir, 0), rows, 1);
    Block *const body = body_for(ir, outer, step, t->p.first_step, t->p.last_step, 1);
    Node *const pair = index_floordiv(ir, row, height), *const number = index_mod(ir, row, height);
    tiles_split_all(&t->p, body, tiled_split_row(t, body, row, pair, number, step));
}

/* ---- rows beyond the last strip ---- */

/* Places of their sums with a group. Groups take them in turn, or, where blocks of k follow each other, have their own.
 */
static Node *stray_places(const Tiled *t, Node *group, Node *turn)
{
    return index_mul(t->p.ir, t->p.partial ? group : turn, index_const(t->p.ir, GROUP_PLACES));
}

static void clear_stray(Tiled *t, Block *block, Node *places)
{
    if (!t->p.partial)
        tiles_clear_stray(&t->p, block, places, index_add(t->p.ir, places, index_const(t->p.ir, GROUP_PLACES)));
}

static void clear_all_stray(Tiled *t, Block *block)
{
    Ir *const ir = t->p.ir;
    if (t->p.partial)
        tiles_clear_stray(&t->p, block, index_const(ir, 0), index_const(ir, stray_groups(t) * GROUP_PLACES));
}

/* In the last block of rows and the last of k. */
static void emit_stray(Tiled *t, Block *block, const Field *field, Node *const *masks)
{
    TileProduct *const p = &t->p;
    Ir *const ir = p->ir;
    Block *rest;
    if (p->stray == 0)
        return;
    Node *const whole = index_sub(ir, p->c.roles.rows, index_const(ir, p->stray));
    if (p->shape.unit_strips < p->shape.strips)
        block = contract_emit_if(ir, block, scalar2(ir, OP_ge, index_add(ir, p->row, p->rows), whole), NULL);
    block = tiles_last(p, block, &rest);
    for (int i = 0; i < field->panels; i++)
        tiles_stray_results(p, block, index_add(ir, field->places, index_const(ir, i)), i * PANEL, WIDTH);
    const Corner corner = {.row = whole, .column = field->column, .from = index_const(ir, 0), .to = p->c.depth};
    tiles_results(p, block, &corner, index_const(ir, p->stray), PAIR, field->panels, masks);
}

/* ---- columns ---- */

/* A pair's share of the next group. */
static Splitting split_next(Tiled *t, Block *block, const Field *field, Node *step, int number)
{
    Ir *const ir = t->p.ir;
    Node *const flat = index_add(ir, index_mul(ir, field->pair, index_const(ir, t->share)), index_const(ir, number));
    Node *const turn = index_sub(ir, index_const(ir, 1), field->turn);
    const Splitting splitting =
        tiled_split_vector(t, block, field->next, turn, step, index_min(ir, flat, index_const(ir, WIDTH - 1)), NULL);
    tiled_multiply_stray(t, block, field->next_places, step, index_min(ir, flat, index_const(ir, WIDTH)),
                         splitting.values);
    return splitting;
}

/* One group of columns whose parts are there: all pairs of strips of the unit's rows, and the odd one. */
static void emit_group(Tiled *t, Block *block, Field field, Node *const *masks)
{
    Ir *const ir = t->p.ir;
    Node *const strips = index_ceildiv(ir, t->p.rows, index_const(ir, TILE_ROWS)), *const two = index_const(ir, PAIR);
    Node *const pairs = index_floordiv(ir, strips, two);
    int64_t rows;
    field.halves = PAIR;
    field.rows = field.pair = axis_make(ir, "pair", NULL);
    tiled_field(t, body_for(ir, block, field.pair, index_const(ir, 0), pairs, 1), &field, masks);
    if (const_is_int(t->p.c.roles.rows, &rows) && ceil_divide(rows - t->p.stray, TILE_ROWS) % PAIR == 0 &&
        t->p.shape.unit_strips % PAIR == 0)
        return;
    field.halves = 1;
    field.rows = field.pair = axis_make(ir, "pair", NULL);
    tiled_field(t, body_for(ir, block, field.pair, pairs, index_ceildiv(ir, strips, two), 1), &field, masks);
}

/* Each pair brings some rows of a group. */
static int far_rows(const Tiled *t)
{
    return t->share ? (int)ceil_divide(DEPTH, ceil_divide(t->p.shape.unit_strips, PAIR)) : 0;
}

/* Groups of full width. The first is split before, each other one during the one before it, but for vectors of which
 * no pair of a short block of rows had the share. */
static void emit_whole_groups(Tiled *t, Block *block, Node *last)
{
    Ir *const ir = t->p.ir;
    Node *const width = index_const(ir, WIDTH), *const zero = index_const(ir, 0), *const one = index_const(ir, 1);
    Node *const none[PAIR] = {0};
    Node *const group = axis_make(ir, "group", NULL), *const within = index_sub(ir, group, t->first_group);
    Block *const body = body_for(ir, block, group, t->first_group, last, 1);
    Field field = {.panels = PAIR, .group = group, .column = index_mul(ir, group, width), .far_rows = far_rows(t)};
    field.turn = index_mod(ir, within, index_const(ir, 2));
    field.places = stray_places(t, group, field.turn);
    Block *again;
    Block *const first = contract_emit_if(ir, body, scalar2(ir, OP_eq, within, zero), &again);
    clear_stray(t, first, field.places);
    tiled_split_columns(t, first, &field, zero, none);
    Node *const pairs = index_ceildiv(ir, t->p.rows, index_const(ir, HEIGHT));
    if (!t->share)
        clear_stray(t, again, field.places);
    tiled_split_columns(t, again, &field, index_mul(ir, pairs, index_const(ir, t->share)), none);
    if (t->share) {
        Node *const next = index_add(ir, group, one);
        field.next = index_mul(ir, index_min(ir, next, index_sub(ir, last, one)), width);
        field.split = split_next;
        field.vectors = t->share;
        field.next_places = stray_places(t, next, index_sub(ir, one, field.turn));
        clear_stray(t, body, field.next_places);
    }
    emit_group(t, body, field, none);
    emit_stray(t, body, &field, none);
}

static void emit_groups(Tiled *t, Block *block)
{
    Ir *const ir = t->p.ir;
    const int64_t columns = t->p.c.guess_columns, whole = columns / WIDTH, rest = columns % WIDTH;
    Node *const end = index_const(ir, whole), *const zero = index_const(ir, 0);
    if (whole)
        emit_whole_groups(t, block, index_min(ir, t->last_group, end));
    if (!rest)
        return;
    Node *const narrow = axis_make(ir, "narrow", NULL); /* runs once, in the units that hold the last group */
    Block *const body = body_for(ir, block, narrow, index_max(ir, t->first_group, end), t->last_group, 1);
    const Field field = {
        .panels = (int)ceil_divide(rest, PANEL),
        .group = end,
        .column = index_const(ir, whole * WIDTH),
        .turn = zero,
        .far_rows = far_rows(t),
        .places =
            stray_places(t, index_const(ir, whole + 1), zero), /* the last whole group is split again as its next */
    };
    const Corner corner = {.column = field.column};
    Node *masks[PAIR] = {0};
    contract_emit_masks(&t->p.c, &corner, field.panels, rest % PANEL != 0, masks);
    clear_stray(t, body, field.places);
    tiled_split_columns(t, body, &field, zero, masks);
    emit_group(t, body, field, masks);
    emit_stray(t, body, &field, masks);
}

/* ---- units ---- */

static Node *emit_units(Tiled *t, Block *body)
{
    Ir *const ir = t->p.ir;
    Node *const groups = index_const(ir, t->p.shape.unit_groups);
    TilesUnits units;
    Block *block = tiles_units(&t->p, body, t->p.shape.unit_strips * TILE_ROWS,
                               ceil_divide(t->p.shape.groups, t->p.shape.unit_groups), &units);
    t->first_group = index_mul(ir, units.first, groups);
    t->last_group = index_min(ir, index_mul(ir, units.last, groups), index_const(ir, t->p.shape.groups));
    tiles_copy_stray(&t->p, block);
    clear_all_stray(t, block);
    block = tiles_depth(&t->p, block);
    split_rows(t, block);
    emit_groups(t, block);
    return units.count;
}

/* ---- within another template ---- */

bool tiles_plan_within(Tiled *t, Node *stage, int bound)
{
    Contract *const c = &t->p.c;
    int64_t depth;
    if (!contract_plan_within(c, stage, bound) || c->read_b != READ_PANELS || !index_is(c->a_step, 1) ||
        c->roles.contract->axis_count != 1 || !const_is_int(c->depth, &depth) || depth < 1 ||
        !const_is_int(c->roles.rows, &c->guess_rows) || !const_is_int(c->roles.columns, &c->guess_columns))
        return false;
    t->within = true;
    t->p.channels = depth;
    t->p.taps = 1;
    t->p.tap_steps = t->p.steps = t->p.block_steps = ceil_divide(depth, DEPTH);
    t->p.shape.unit_strips = ceil_divide(c->guess_rows, TILE_ROWS);
    t->p.shape.groups = ceil_divide(c->guess_columns, WIDTH);
    t->p.row = t->p.first_step = t->first_group = index_const(t->p.ir, 0);
    t->p.rows = c->roles.rows;
    t->p.last_step = index_const(t->p.ir, t->p.steps);
    t->last_group = index_const(t->p.ir, t->p.shape.groups);
    c->tile = (Tile){HEIGHT, PAIR};
    return true;
}

void tiles_locals_within(Tiled *t, int64_t *scratch)
{
    t->p.c.scratch = *scratch;
    t->p.a_parts =
        tiles_local(&t->p, "a_parts", DTYPE_U32, ceil_divide(t->p.shape.unit_strips, PAIR) * t->p.steps * STEP_WORDS);
    t->p.b_parts = tiles_local(&t->p, "b_parts", DTYPE_U32, t->p.shape.groups * t->p.steps * STEP_WORDS);
    t->p.c.sums = tiles_local(&t->p, "sums", DTYPE_F32, HEIGHT * WIDTH);
    *scratch = t->p.c.scratch;
}

void tiles_columns_within(Tiled *t, Block *block)
{
    Ir *const ir = t->p.ir;
    Node *const none[PAIR] = {0}, *const zero = index_const(ir, 0), *const group = axis_make(ir, "group", NULL);
    const int64_t panels = ceil_divide(t->p.c.guess_columns, PANEL);
    Node *const whole = index_const(ir, panels / PAIR);
    Field field = {.panels = PAIR, .column = index_mul(ir, group, index_const(ir, WIDTH)), .turn = group};
    tiled_split_columns(t, body_for(ir, block, group, zero, whole, 1), &field, zero, none);
    field = (Field){.panels = 1, .column = index_mul(ir, whole, index_const(ir, WIDTH)), .turn = whole};
    if (panels % PAIR)
        tiled_split_columns(t, block, &field, zero, none);
}

void tiles_rows_within(Tiled *t, Block *block)
{
    Ir *const ir = t->p.ir;
    const int64_t whole = t->p.c.guess_columns / WIDTH, rest = t->p.c.guess_columns % WIDTH;
    Node *masks[PAIR] = {0}, *const end = index_const(ir, whole), *const group = axis_make(ir, "group", NULL);
    split_rows(t, block);
    Field field = {.panels = PAIR, .group = group, .column = index_mul(ir, group, index_const(ir, WIDTH))};
    field.turn = group;
    if (whole)
        emit_group(t, body_for(ir, block, group, index_const(ir, 0), end, 1), field, masks);
    if (!rest)
        return;
    field = (Field){
        .panels = (int)ceil_divide(rest, PANEL), .group = end, .column = index_const(ir, whole * WIDTH), .turn = end};
    const Corner corner = {.column = field.column};
    contract_emit_masks(&t->p.c, &corner, field.panels, rest % PANEL != 0, masks);
    emit_group(t, block, field, masks);
}

/* ---- what schedules ---- */

static bool open(Tiled *t, Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    *t = (Tiled){.p = {.ir = ir, .c = {.ir = ir, .kernel = kernel, .target = target, .trial = trial}}};
    return plan(t);
}

Node *tiles_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    Tiled tiled;
    if (!open(&tiled, ir, kernel, target, trial))
        return NULL;
    Block *const body = block_make(ir);
    Node *const units = emit_units(&tiled, body);
    return tiles_kernel(&tiled.p, "tiles", body, units, WIDTH);
}

bool tiles_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    Tiled tiled;
    if (!open(&tiled, ir, kernel, target, trial))
        return false;
    *cycles = tiles_cycles(&tiled.p, threads, unit_cycles);
    return true;
}
