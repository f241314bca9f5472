/* The tiles template: see tiles.h.
 *
 *     for each block of rows in chunk:
 *         for each block of k:
 *             split the rows of A into parts in scratch, and the chunk's first group of 32 columns of B
 *             for each group, each 32 rows, each 32 steps of k:
 *                 sums += A2 B0 + A1 B0 + A0 B0 + A0 B1 + A1 B1 + A0 B2
 *                 between the products, a share of the next group is split
 *                 after the last step of k: Y = epilogue(sums)
 *
 * Four registers hold sums, two A, two B.
 *
 * Parts stand in scratch as registers read them, for each pair of strips of 16 rows (columns) and 32 steps all three
 * parts of both. Word j of a row holds steps j and j + 16, so that words are made of two vectors without a permutation.
 */
#include "codegen/tiles.h"

#include "codegen/contract.h"
#include "codegen/tiles_parts.h"
#include "ir/kernel.h"
#include "ir/loops.h"

#include <string.h>

enum { SCRATCH_MAX = 8 << 20 };

/* ---- decisions ---- */

static Node *local(Tiled *t, const char *name, Dtype dtype, int64_t elements)
{
    Node *const dim = index_const(t->ir, elements);
    return local_make(t->ir, name, type_tensor(t->ir, dtype, 1, &dim), &t->c.scratch);
}

static bool match(Tiled *t)
{
    Contract *const c = &t->c;
    int64_t columns;
    if (!c->target->tiles || !contract_match(t->ir, c->kernel, &c->roles))
        return false;
    contract_plan_reading(c);
    if (c->read_b == READ_PACKED || !const_is_int(c->roles.columns, &columns) || columns < PANEL)
        return false;
    Node *const *const axes = c->roles.contract->axes;
    const int last = c->roles.contract->axis_count - 1;
    int64_t depth;
    if (!const_is_int(axes[last]->inputs[0], &t->channels) || !const_is_int(c->depth, &depth) || t->channels < 1 ||
        depth < 1)
        return false;
    t->taps = depth / t->channels;
    t->tap_steps = ceil_divide(t->channels, DEPTH);
    t->steps = t->taps * t->tap_steps;
    c->guess_depth = depth;
    c->guess_columns = columns;
    /* Rows of which nothing is known may be few, as in streams, and then splitting B is most of the work. */
    c->guess_rows = contract_extent_guess(t->ir, c->roles.rows, 0);
    if (c->guess_rows < 1)
        return false;
    t->group_count = ceil_divide(columns, WIDTH);
    return true;
}

/* Blocks of about equal size, none above `most`. */
static int64_t even_blocks(int64_t count, int64_t most)
{
    most = most < 1 ? 1 : most > count ? count : most;
    return ceil_divide(count, ceil_divide(count, most));
}

/* A unit's parts of A take two fifths of L2, of at least LEAST_ROWS rows, for the group of B is split again for each
 * block of rows; a k too long for that goes in blocks, whose sums wait in another quarter. */
enum { LEAST_ROWS = 256, LEAST_COLUMNS = 256 };

/* Cuts rows and columns into units by which the cores finish together: each unit splits its rows of A and its columns
 * of B, which costs as much as four products of a step for each strip of 16. `least`: blocks of rows that L2 asks for.
 */
static void share_units(Tiled *t, int64_t halves, int64_t least)
{
    const int64_t cores = t->c.target->cores;
    int64_t best = INT64_MAX;
    for (int64_t r = least; r <= least + cores && r <= halves; r++)
        for (int64_t b = 1; b <= 2 * cores && b <= t->group_count; b++) {
            const int64_t high = ceil_divide(ceil_divide(halves, r), PAIR) * PAIR,
                          wide = ceil_divide(t->group_count, b);
            const int64_t units = ceil_divide(halves, high) * ceil_divide(t->group_count, wide);
            const int64_t one = high * wide * PAIR + 4 * (high + wide * PAIR);
            const int64_t cost = (ceil_divide(units, cores) * cores * 2 + units) * one;
            if (cost >= best)
                continue;
            best = cost;
            t->halves = high < halves ? high : halves;
            t->groups = wide;
        }
}

static void plan_units(Tiled *t)
{
    Contract *const c = &t->c;
    const int64_t l2 = c->target->l2, step_bytes = DEPTH * PARTS * 2, room = l2 * 2 / 5;
    int64_t rows = room / (step_bytes * t->steps);
    rows = rows < LEAST_ROWS ? LEAST_ROWS : rows;
    const int64_t halves = ceil_divide(c->guess_rows, TILE_ROWS);
    t->halves = even_blocks(halves, rows / TILE_ROWS);
    const int64_t cores = c->target->cores;
    /* Every chunk splits its rows of A: two for each core where columns are many. */
    const bool wide = c->guess_columns >= 2 * cores * LEAST_COLUMNS;
    const int64_t blocks = ceil_divide((wide ? 2 : 1) * cores, ceil_divide(halves, t->halves));
    t->groups = even_blocks(t->group_count, t->group_count / blocks);
    if (c->guess_rows > c->guess_columns)
        share_units(t, halves, ceil_divide(halves, t->halves));
    t->halves = suggest_int(c->trial, "halves", 1, halves, t->halves);
    /* L2 holds the parts of A, of two groups of B, and three groups as they came. */
    const int64_t step_columns = 2 * WIDTH * DEPTH * PARTS * 2 + 3 * WIDTH * DEPTH * 4;
    const int64_t deepest = l2 * 3 / 4 / (step_bytes * TILE_ROWS * t->halves + step_columns);
    t->block_steps = even_blocks(t->steps, deepest);
    t->block_steps = suggest_int(c->trial, "steps", 1, t->steps, t->block_steps);
    t->groups = suggest_int(c->trial, "groups", 1, t->group_count, t->groups);
    const int64_t pairs = ceil_divide(t->halves, PAIR);
    t->share = c->read_b == READ_PANELS ? (int)ceil_divide(WIDTH, pairs) : 0;
}

static bool plan(Tiled *t)
{
    if (!match(t))
        return false;
    plan_units(t);
    Contract *const c = &t->c;
    c->tile = (Tile){HEIGHT, PAIR};
    c->fetch_result = FETCH_BEFORE;
    t->a_parts = local(t, "a_parts", DTYPE_U32, ceil_divide(t->halves, PAIR) * t->block_steps * STEP_WORDS);
    t->b_parts = local(t, "b_parts", DTYPE_U32, 2 * t->block_steps * STEP_WORDS);
    t->c.sums = local(t, "sums", DTYPE_F32, HEIGHT * WIDTH);
    if (t->block_steps < t->steps)
        t->partial = local(t, "partial", DTYPE_F32, t->group_count * t->halves * PAIR * TILE_ELEMENTS);
    return c->scratch <= SCRATCH_MAX;
}

/* Cycles, measured on the first machine that has tile registers against the vectors' tiles, one thread, weights cold
 * (ratio of times): 32x768x768 0.89, 64x768x3072 1.08, 196x256x1024 1.77, 784x512x128 1.32, 3136x256x64 1.01. On four
 * threads 64x768x3072 is 0.9: what brings and splits B counts for more than alone. A small B comes in time:
 * mobilenet_v2's 196x96x576 takes 74 us instead of 122. Loads from L2 make six products of a step take 1.4 times as
 * long as their instructions. */
enum { DOT_CYCLES = 16, PRODUCTS = 6, CHUNKS = 2 };
#define LOADED        1.4
#define A_CYCLES      1.2 /* to split an element */
#define B_CYCLES      1.3
#define B_NEAR_CYCLES 0.5 /* of a B that is a quarter of L2 at most */
#define RESULT_CYCLES 0.2

static double cycles_of(const Tiled *t, int threads)
{
    const Contract *const c = &t->c;
    const int64_t halves = ceil_divide(c->guess_rows, TILE_ROWS), panels = ceil_divide(c->guess_columns, PANEL);
    const int64_t row_blocks = ceil_divide(halves, t->halves), column_blocks = ceil_divide(t->group_count, t->groups);
    const int64_t units = row_blocks * column_blocks;
    const double depth = (double)(t->steps * DEPTH);
    double cycles = LOADED * DOT_CYCLES * PRODUCTS * (double)(halves * panels * t->steps);
    const double b_bytes = depth * (double)(panels * PANEL) * 4;
    cycles += (b_bytes <= (double)c->target->l2 / 4 ? B_NEAR_CYCLES : B_CYCLES) * b_bytes / 4 * (double)row_blocks;
    cycles += RESULT_CYCLES * (double)(c->guess_rows * c->guess_columns);
    /* Every chunk splits its rows. */
    const int64_t chunks = threads == 1 ? 1 : units < CHUNKS * threads ? units : CHUNKS * threads;
    const double splits = chunks > row_blocks ? (double)chunks / (double)row_blocks : 1;
    cycles += splits * A_CYCLES * (double)(halves * TILE_ROWS) * depth * (c->read_a == READ_STRIDED ? 1 : 1.5);
    return contract_thread_cycles(c, cycles, units, threads);
}

/* ---- products ---- */

static void tile_op(Ir *ir, Block *block, Op op, Node *buffer, Node *offset, int64_t number)
{
    Node *inputs[] = {buffer, offset};
    block_append(
        ir, block,
        node_make(ir, &(Node){.op = op, .inputs = inputs, .input_count = buffer ? 2 : 0, .payload.integer = number}));
}

/* A block of results: strips of 16 rows and panels of 16 columns, registers of which each has. */
typedef struct Field {
    int halves, panels;
    Node *pair, *group; /* numbers within the unit's rows, within all groups */
    Node *column, *turn;
    Node *next; /* the column of the group to split meanwhile; NULL: none */
} Field;
enum { SUMS = 0, A_FIRST = 4, B_FIRST = 6 };

static void load_parts(Tiled *t, Block *block, Node *parts, Node *pair, int strips, Node *step, int part, int first)
{
    Ir *const ir = t->ir;
    for (int i = 0; i < strips; i++)
        tile_op(ir, block, OP_tile_load, parts,
                index_add(ir, tiles_parts_at(t, pair, step), index_const(ir, (part * PAIR + i) * STRIP)),
                first + i + TILES * TILE_WORDS);
}

static void multiply(Tiled *t, Block *block, const Field *field)
{
    for (int h = 0; h < field->halves; h++)
        for (int p = 0; p < field->panels; p++)
            tile_op(t->ir, block, OP_tile_dot, NULL, NULL,
                    tile_dot_number(SUMS + PAIR * h + p, A_FIRST + h, B_FIRST + p));
}

/* What A's registers load in the next step comes to L1, a share of it before each product; within another template the
 * rows of a call stay there, and it is B's. */
static void emit_near(Tiled *t, Block *block, const Field *field, Node *step, int product)
{
    enum { LINES = STEP_WORDS / TILE_WORDS / PRODUCTS };
    Ir *const ir = t->ir;
    Node *const next =
        tiles_parts_at(t, t->within ? field->turn : field->pair, index_add(ir, step, index_const(ir, 1)));
    for (int i = 0; i < LINES; i++)
        contract_emit_prefetch(&t->c, block, t->within ? t->b_parts : t->a_parts,
                               index_add(ir, next, index_const(ir, (product * LINES + i) * TILE_WORDS)), 1);
}

/* Some rows of the group after the next come to L2 in each step. */
static void emit_far(Tiled *t, Block *block, const Field *field, Node *step)
{
    Ir *const ir = t->ir;
    Contract *const c = &t->c;
    if (!t->share)
        return;
    const int64_t rows = ceil_divide(DEPTH, ceil_divide(t->halves, PAIR));
    Node *const panel =
        index_add(ir, index_floordiv(ir, field->column, index_const(ir, PANEL)), index_const(ir, 2 * PAIR));
    Node *const turn = index_mul(ir, field->pair, index_const(ir, rows));
    Step at = tiles_step(t, step);
    for (int p = 0; p < PAIR; p++)
        for (int64_t i = 0; i < rows; i++) {
            Node *const k = index_add(ir, tiles_flat(t, at, 0), index_add(ir, turn, index_const(ir, i)));
            contract_emit_prefetch(c, block, c->b_buffer,
                                   contract_panel_offset(c, index_add(ir, panel, index_const(ir, p)), k), 2);
        }
}

/* The field's share of splitting the next group at this step, spread over its products. */
static void emit_meanwhile(Tiled *t, Block *block, const Field *field, Node *step, int product)
{
    Ir *const ir = t->ir;
    Node *const turn = index_sub(ir, index_const(ir, 1), field->turn);
    for (int i = 0; field->next && i < t->share; i++)
        if (i * PRODUCTS / t->share == product) {
            Node *const number =
                index_add(ir, index_mul(ir, field->pair, index_const(ir, t->share)), index_const(ir, i));
            tiles_split_vector(t, block, field->next, turn, step, index_min(ir, number, index_const(ir, WIDTH - 1)),
                               NULL);
        }
}

/* The six products, the smallest first. Registers of an operand stay while the next product needs the same part. */
static void emit_step(Tiled *t, Block *block, const Field *field, Node *step)
{
    static const struct {
        int a, b;
    } products[PRODUCTS] = {{2, 0}, {1, 0}, {0, 0}, {0, 1}, {1, 1}, {0, 2}};
    int a = -1, b = -1;
    emit_far(t, block, field, step);
    for (int i = 0; i < PRODUCTS; i++) {
        if (products[i].b != b)
            load_parts(t, block, t->b_parts, field->turn, field->panels, step, b = products[i].b, B_FIRST);
        if (products[i].a != a)
            load_parts(t, block, t->a_parts, field->pair, field->halves, step, a = products[i].a, A_FIRST);
        emit_near(t, block, field, step, i);
        emit_meanwhile(t, block, field, step, i);
        multiply(t, block, field);
    }
}

/* All sums of the field, to or from a buffer whose rows are `pitch` apart. */
static void move_sums(Tiled *t, Block *block, Op op, const Field *field, Node *buffer, Node *offset, int64_t half_pitch,
                      int64_t panel_pitch, int64_t pitch)
{
    Ir *const ir = t->ir;
    for (int h = 0; h < field->halves; h++)
        for (int p = 0; p < field->panels; p++)
            tile_op(ir, block, op, buffer, index_add(ir, offset, index_const(ir, h * half_pitch + p * panel_pitch)),
                    SUMS + PAIR * h + p + TILES * pitch);
}

static void move_partial(Tiled *t, Block *block, Op op, const Field *field)
{
    Ir *const ir = t->ir;
    Node *const strip = index_add(ir, index_mul(ir, field->group, index_const(ir, t->halves)),
                                  index_mul(ir, field->pair, index_const(ir, PAIR)));
    Node *const offset = index_mul(ir, strip, index_const(ir, PAIR * STRIP));
    move_sums(t, block, op, field, t->partial, offset, PAIR * STRIP, STRIP, TILE_WORDS);
}

static void emit_results(Tiled *t, Block *block, const Field *field, Node *const *masks)
{
    Ir *const ir = t->ir;
    Node *const first = index_mul(ir, field->pair, index_const(ir, HEIGHT)), *const zero = index_const(ir, 0);
    const Corner corner = {
        .row = index_add(ir, t->row, first), .column = field->column, .from = zero, .to = t->c.depth};
    contract_emit_result_fetch(&t->c, block, &corner, (Tile){field->halves * TILE_ROWS, field->panels});
    move_sums(t, block, OP_tile_store, field, t->c.sums, zero, TILE_ROWS * WIDTH, PANEL, WIDTH);
    Node *const row = axis_make(ir, "row", index_const(ir, field->halves * TILE_ROWS)), *const pair =
                                                                                            index_const(ir, PAIR);
    Node *const rows = index_min(ir, index_sub(ir, t->rows, first), row->inputs[0]);
    Node *const even = index_mul(ir, index_floordiv(ir, rows, pair), pair);
    contract_emit_results_of_rows(&t->c, body_for(ir, block, row, zero, even, PAIR), &corner, row, PAIR, field->panels,
                                  masks);
    if (index_is(index_sub(ir, rows, even), 0))
        return;
    Node *const odd = axis_make(ir, "odd", NULL);
    contract_emit_results_of_rows(&t->c, body_for(ir, block, odd, even, rows, 1), &corner, odd, 1, field->panels,
                                  masks);
}

static void emit_field(Tiled *t, Block *block, const Field *field, Node *const *masks)
{
    Ir *const ir = t->ir;
    Block *fresh = block, *carried = NULL;
    if (t->partial)
        fresh = contract_emit_if(ir, block, scalar2(ir, OP_eq, t->first_step, index_const(ir, 0)), &carried);
    for (int h = 0; h < field->halves; h++)
        for (int p = 0; p < field->panels; p++)
            tile_op(ir, fresh, OP_tile_zero, NULL, NULL, SUMS + PAIR * h + p);
    if (carried)
        move_partial(t, carried, OP_tile_load, field);
    Node *const step = axis_make(ir, "step", NULL);
    emit_step(t, body_for(ir, block, step, t->first_step, t->last_step, 1), field, step);
    if (!t->partial) {
        emit_results(t, block, field, masks);
        return;
    }
    Block *last;
    Block *const rest = contract_emit_if(ir, block, scalar2(ir, OP_lt, t->last_step, index_const(ir, t->steps)), &last);
    move_partial(t, rest, OP_tile_store, field);
    emit_results(t, last, field, masks);
}

/* One group of columns whose parts are there: all pairs of strips of the unit's rows, and the odd one. */
static void emit_group(Tiled *t, Block *block, Field field, Node *const *masks)
{
    Ir *const ir = t->ir;
    Node *const strips = index_ceildiv(ir, t->rows, index_const(ir, TILE_ROWS)), *const two = index_const(ir, PAIR);
    Node *const pairs = index_floordiv(ir, strips, two);
    int64_t rows;
    field.halves = PAIR;
    field.pair = axis_make(ir, "pair", NULL);
    emit_field(t, body_for(ir, block, field.pair, index_const(ir, 0), pairs, 1), &field, masks);
    if (const_is_int(t->c.roles.rows, &rows) && ceil_divide(rows, TILE_ROWS) % PAIR == 0 && t->halves % PAIR == 0)
        return;
    field.halves = 1;
    field.pair = axis_make(ir, "pair", NULL);
    emit_field(t, body_for(ir, block, field.pair, pairs, index_ceildiv(ir, strips, two), 1), &field, masks);
}

/* Groups of full width. The first is split before, each other one during the one before it, but for vectors of which
 * no pair of a short block of rows had the share. */
static void emit_whole_groups(Tiled *t, Block *block, Node *last)
{
    Ir *const ir = t->ir;
    Node *const width = index_const(ir, WIDTH), *const zero = index_const(ir, 0);
    Node *const none[PAIR] = {0};
    Node *const group = axis_make(ir, "group", NULL), *const within = index_sub(ir, group, t->first_group);
    Block *const body = body_for(ir, block, group, t->first_group, last, 1);
    Field field = {.panels = PAIR, .group = group, .column = index_mul(ir, group, width)};
    field.turn = index_mod(ir, within, index_const(ir, 2));
    Block *again;
    Block *const first = contract_emit_if(ir, body, scalar2(ir, OP_eq, within, zero), &again);
    tiles_split_columns(t, first, field.column, field.turn, zero, PAIR, none);
    Node *const pairs = index_ceildiv(ir, t->rows, index_const(ir, HEIGHT));
    tiles_split_columns(t, again, field.column, field.turn, index_mul(ir, pairs, index_const(ir, t->share)), PAIR,
                        none);
    if (t->share)
        field.next = index_mul(
            ir, index_min(ir, index_add(ir, group, index_const(ir, 1)), index_sub(ir, last, index_const(ir, 1))),
            width);
    emit_group(t, body, field, none);
}

static void emit_groups(Tiled *t, Block *block)
{
    Ir *const ir = t->ir;
    const int64_t columns = t->c.guess_columns, whole = columns / WIDTH, rest = columns % WIDTH;
    Node *const end = index_const(ir, whole), *const zero = index_const(ir, 0);
    if (whole)
        emit_whole_groups(t, block, index_min(ir, t->last_group, end));
    if (!rest)
        return;
    Node *const narrow = axis_make(ir, "narrow", NULL); /* runs once, in the units that hold the last group */
    Block *const body = body_for(ir, block, narrow, index_max(ir, t->first_group, end), t->last_group, 1);
    const Field field = {
        .panels = (int)ceil_divide(rest, PANEL), .group = end, .column = index_const(ir, whole * WIDTH), .turn = zero};
    const Corner corner = {.column = field.column};
    Node *masks[PAIR] = {0};
    contract_emit_masks(&t->c, &corner, field.panels, rest % PANEL != 0, masks);
    tiles_split_columns(t, body, field.column, zero, zero, field.panels, masks);
    emit_group(t, body, field, masks);
}

/* ---- units ---- */

/* Batch x blocks of rows x blocks of columns, columns fastest. All units of a chunk in one block of rows go together,
 * so that the rows are split once. */
static Node *emit_units(Tiled *t, Block *body)
{
    Ir *const ir = t->ir;
    Contract *const c = &t->c;
    Node *const one = index_const(ir, 1), *const zero = index_const(ir, 0);
    Node *const height = index_const(ir, t->halves * TILE_ROWS), *const groups = index_const(ir, t->groups);
    Node *const row_blocks = index_ceildiv(ir, c->roles.rows, height);
    Node *const column_blocks = index_const(ir, ceil_divide(t->group_count, t->groups));
    Node *batches = one;
    for (int i = 0; i < c->roles.batch_count; i++)
        batches = index_mul(ir, batches, c->roles.batch[i]->inputs[0]);
    Node *const blocks = index_mul(ir, batches, row_blocks), *const units = index_mul(ir, blocks, column_blocks);
    Node *const begin = node_make(ir, &(Node){.op = OP_begin, .type = type_scalar(DTYPE_INDEX)});
    Node *const end = node_make(ir, &(Node){.op = OP_end, .type = type_scalar(DTYPE_INDEX)});
    Node *const number = axis_make(ir, "block", blocks), *const before = index_mul(ir, number, column_blocks);
    Block *block =
        body_for(ir, body, number, index_floordiv(ir, begin, column_blocks), index_ceildiv(ir, end, column_blocks), 1);
    block = contract_bind(ir, block, c->roles.batch, c->roles.batch_count, index_floordiv(ir, number, row_blocks));
    t->row = index_mul(ir, index_mod(ir, number, row_blocks), height);
    t->rows = index_min(ir, height, index_sub(ir, c->roles.rows, t->row));
    Node *const first = index_max(ir, index_sub(ir, begin, before), zero);
    t->first_group = index_mul(ir, first, groups);
    t->last_group = index_min(ir, index_mul(ir, index_sub(ir, end, before), groups), index_const(ir, t->group_count));
    t->first_step = zero;
    t->last_step = index_const(ir, t->steps);
    if (t->partial) {
        t->first_step = axis_make(ir, "from", NULL);
        t->last_step = index_min(ir, index_add(ir, t->first_step, index_const(ir, t->block_steps)), t->last_step);
        block = body_for(ir, block, t->first_step, zero, index_const(ir, t->steps), t->block_steps);
    }
    tiles_split_rows(t, block);
    emit_groups(t, block);
    return units;
}

/* ---- within another template ---- */

bool tiles_plan_within(Tiled *t, Node *stage, int bound)
{
    Contract *const c = &t->c;
    int64_t depth;
    if (!contract_plan_within(c, stage, bound) || c->read_b != READ_PANELS || !index_is(c->a_step, 1) ||
        c->roles.contract->axis_count != 1 || !const_is_int(c->depth, &depth) || depth < 1 ||
        !const_is_int(c->roles.rows, &c->guess_rows) || !const_is_int(c->roles.columns, &c->guess_columns))
        return false;
    t->within = true;
    t->channels = depth;
    t->taps = 1;
    t->tap_steps = t->steps = t->block_steps = ceil_divide(depth, DEPTH);
    t->halves = ceil_divide(c->guess_rows, TILE_ROWS);
    t->group_count = ceil_divide(c->guess_columns, WIDTH);
    t->row = t->first_step = t->first_group = index_const(t->ir, 0);
    t->rows = c->roles.rows;
    t->last_step = index_const(t->ir, t->steps);
    t->last_group = index_const(t->ir, t->group_count);
    c->tile = (Tile){HEIGHT, PAIR};
    c->fetch_result = FETCH_NEVER;
    return true;
}

void tiles_locals_within(Tiled *t, int64_t *scratch)
{
    t->c.scratch = *scratch;
    t->a_parts = local(t, "a_parts", DTYPE_U32, ceil_divide(t->halves, PAIR) * t->steps * STEP_WORDS);
    t->b_parts = local(t, "b_parts", DTYPE_U32, t->group_count * t->steps * STEP_WORDS);
    t->c.sums = local(t, "sums", DTYPE_F32, HEIGHT * WIDTH);
    *scratch = t->c.scratch;
}

void tiles_columns_within(Tiled *t, Block *block)
{
    Ir *const ir = t->ir;
    Node *const none[PAIR] = {0}, *const zero = index_const(ir, 0), *const group = axis_make(ir, "group", NULL);
    const int64_t panels = ceil_divide(t->c.guess_columns, PANEL);
    Node *const whole = index_const(ir, panels / PAIR);
    tiles_split_columns(t, body_for(ir, block, group, zero, whole, 1), index_mul(ir, group, index_const(ir, WIDTH)),
                        group, zero, PAIR, none);
    if (panels % PAIR)
        tiles_split_columns(t, block, index_mul(ir, whole, index_const(ir, WIDTH)), whole, zero, 1, none);
}

void tiles_rows_within(Tiled *t, Block *block)
{
    Ir *const ir = t->ir;
    const int64_t whole = t->c.guess_columns / WIDTH, rest = t->c.guess_columns % WIDTH;
    Node *masks[PAIR] = {0}, *const end = index_const(ir, whole), *const group = axis_make(ir, "group", NULL);
    tiles_split_rows(t, block);
    Field field = {.panels = PAIR, .group = group, .column = index_mul(ir, group, index_const(ir, WIDTH))};
    field.turn = group;
    if (whole)
        emit_group(t, body_for(ir, block, group, index_const(ir, 0), end, 1), field, masks);
    if (!rest)
        return;
    field = (Field){
        .panels = (int)ceil_divide(rest, PANEL), .group = end, .column = index_const(ir, whole * WIDTH), .turn = end};
    const Corner corner = {.column = field.column};
    contract_emit_masks(&t->c, &corner, field.panels, rest % PANEL != 0, masks);
    emit_group(t, block, field, masks);
}

/* ---- what schedules ---- */

static bool open(Tiled *t, Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    *t = (Tiled){.ir = ir, .c = {.ir = ir, .kernel = kernel, .target = target, .trial = trial}};
    return plan(t);
}

Node *tiles_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    Tiled tiled;
    if (!open(&tiled, ir, kernel, target, trial))
        return NULL;
    Block *const body = block_make(ir);
    Node *const units = emit_units(&tiled, body);
    const char *const text =
        arena_format(ir->arena, "tiles rows=%lld columns=%lld depth=%lld", (long long)(tiled.halves * TILE_ROWS),
                     (long long)(tiled.groups * WIDTH), (long long)(tiled.block_steps * DEPTH));
    return kernel_with_body(ir, kernel, body, units, text, tiled.c.scratch);
}

bool tiles_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    Tiled tiled;
    if (!open(&tiled, ir, kernel, target, trial))
        return false;
    *cycles = cycles_of(&tiled, threads);
    return true;
}
