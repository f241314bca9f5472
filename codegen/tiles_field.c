/* Fields of two strips by two panels, for tile registers: see tiles_field.h. */
#include "codegen/tiles_field.h"

#include "codegen/contract.h"
#include "ir/loops.h"

/* ---- splitting ---- */

Node *tiled_parts_at(Tiled *t, Node *slot, Node *step)
{
    Ir *const ir = t->p.ir;
    Node *const within = index_sub(ir, step, t->p.first_step);
    return index_mul(ir, index_add(ir, index_mul(ir, slot, index_const(ir, t->p.block_steps)), within),
                     index_const(ir, STEP_WORDS));
}

Splitting tiled_split_row(Tiled *t, Block *block, Node *row, Node *slot, Node *number, Node *step)
{
    Ir *const ir = t->p.ir;
    Node *const last = index_sub(ir, t->p.c.roles.rows, index_const(ir, 1));
    Splitting splitting =
        tiles_split_a(&t->p, block, index_min(ir, index_add(ir, t->p.row, row), last), tiles_step(&t->p, step));
    splitting.offset = index_add(ir, tiled_parts_at(t, slot, step), index_mul(ir, number, index_const(ir, TILE_WORDS)));
    splitting.pitch = PAIR * STRIP;
    return splitting;
}

Splitting tiled_split_vector(Tiled *t, Block *block, Node *column, Node *slot, Node *step, Node *number, Node *mask)
{
    Ir *const ir = t->p.ir;
    Node *const strip = index_const(ir, TILE_ROWS);
    Node *const panel = index_mul(ir, index_floordiv(ir, number, strip), index_const(ir, PANEL));
    Splitting splitting = tiles_split_b(&t->p, block, index_add(ir, column, panel), tiles_step(&t->p, step),
                                        index_mod(ir, number, strip), mask);
    splitting.offset = index_add(ir, tiled_parts_at(t, slot, step), index_mul(ir, number, index_const(ir, TILE_WORDS)));
    splitting.pitch = PAIR * STRIP;
    return splitting;
}

void tiled_multiply_stray(Tiled *t, Block *block, Node *places, Node *step, Node *number, Node *const *values)
{
    TileProduct *const p = &t->p;
    Ir *const ir = p->ir;
    if (p->stray == 0)
        return;
    Node *const strip = index_const(ir, TILE_ROWS), *sums[STRAY_MOST];
    Node *const place = index_add(ir, places, index_floordiv(ir, number, strip));
    tiles_load_stray(p, block, place, sums);
    tiles_multiply_stray(p, block, step, index_mod(ir, number, strip), values, sums);
    tiles_store_stray(p, block, place, sums);
}

void tiled_split_columns(Tiled *t, Block *block, const Field *field, Node *first, Node *const *masks)
{
    Ir *const ir = t->p.ir;
    for (int i = 0; i < field->panels; i++) {
        Node *const step = axis_make(ir, "step", NULL), *const number = axis_make(ir, "number", NULL);
        Block *const body = body_for(ir, block, step, t->p.first_step, t->p.last_step, 1);
        Node *const begin = index_max(ir, first, index_const(ir, i * TILE_ROWS));
        Block *const inner = body_for(ir, body, number, begin, index_const(ir, (i + 1) * TILE_ROWS), 1);
        const Splitting splitting = tiled_split_vector(t, inner, field->column, field->turn, step, number, masks[i]);
        tiled_multiply_stray(t, inner, field->places, step, number, splitting.values);
        tiles_split_all(&t->p, inner, splitting);
    }
}

/* ---- products ---- */

enum { SUMS = 0, A_FIRST = 4, B_FIRST = 6 };

static void load_parts(Tiled *t, Block *block, Node *parts, Node *slot, int strips, Node *step, int part, int first)
{
    Ir *const ir = t->p.ir;
    for (int i = 0; i < strips; i++)
        tiles_op(&t->p, block, OP_tile_load, parts,
                 index_add(ir, tiled_parts_at(t, slot, step), index_const(ir, (part * PAIR + i) * STRIP)),
                 tile_move_number(first + i, TILE_WORDS));
}

/* What is done beside the products of a step, in shares after each of them: the field's share of what comes later is
 * split, lines of B come to L2 and what results are made of, and to L1 what A's registers load in the next step; within
 * another template the rows of a call stay there, and it is B's. */
enum { NEAR_LINES = STEP_WORDS / TILE_WORDS };
typedef struct Beside {
    const Field *field;
    Node *step;
    Splitting splitting;
    int parts;               /* of all vectors to split */
    Node *near;              /* offset of the parts that come to L1 */
    Node *far_panel, *far_k; /* first panel and row of B that come to L2 */
    int far_lines;
    ResultRows results;
    int dots, done;
} Beside;

static Beside plan_beside(Tiled *t, const Field *field, Node *step)
{
    Ir *const ir = t->p.ir;
    const int rows = field->far_rows;
    Beside beside = {.field = field, .step = step, .dots = PRODUCTS * field->halves * field->panels};
    beside.near = tiled_parts_at(t, t->within ? field->turn : field->rows, index_add(ir, step, index_const(ir, 1)));
    if (t->within)
        return beside;
    beside.parts = field->vectors * PARTS;
    beside.far_panel =
        index_add(ir, index_floordiv(ir, field->column, index_const(ir, PANEL)), index_const(ir, 2 * PAIR));
    beside.far_k =
        index_add(ir, tiles_flat(&t->p, tiles_step(&t->p, step), 0), index_mul(ir, field->pair, index_const(ir, rows)));
    beside.far_lines = rows * PAIR;
    beside.results = tiles_result_rows(&t->p, step, field->halves * TILE_ROWS);
    return beside;
}

static Corner field_corner(const Tiled *t, const Field *field)
{
    Node *const first = index_mul(t->p.ir, field->pair, index_const(t->p.ir, HEIGHT));
    return tiles_corner(&t->p, first, field->column);
}

static void emit_beside(Tiled *t, Block *block, Beside *beside)
{
    Ir *const ir = t->p.ir;
    Contract *const c = &t->p.c;
    const Field *const field = beside->field;
    const int from = beside->done++, to = beside->done, dots = beside->dots;
    for (int i = from * beside->parts / dots; i < to * beside->parts / dots; i++) {
        if (i % PARTS == 0)
            beside->splitting = field->split(t, block, field, beside->step, i / PARTS);
        tiles_split_next(&t->p, block, &beside->splitting);
    }
    for (int i = from * NEAR_LINES / dots; i < to * NEAR_LINES / dots; i++)
        contract_emit_prefetch(c, block, t->within ? t->p.b_parts : t->p.a_parts,
                               index_add(ir, beside->near, index_const(ir, i * TILE_WORDS)), 1);
    for (int i = from * beside->far_lines / dots; i < to * beside->far_lines / dots; i++) {
        Node *const panel = index_add(ir, beside->far_panel, index_const(ir, i % PAIR));
        Node *const k = index_add(ir, beside->far_k, index_const(ir, i / PAIR));
        contract_emit_prefetch(c, block, c->b_buffer, contract_panel_offset(c, panel, k), 2);
    }
    const Corner corner = field_corner(t, field);
    for (int i = from * beside->results.count / dots; i < to * beside->results.count / dots; i++)
        contract_emit_row_fetch(c, block, &corner, tiles_result_row(&t->p, &beside->results, i), field->panels);
}

static void multiply(Tiled *t, Block *block, const Field *field, Beside *beside)
{
    for (int h = 0; h < field->halves; h++)
        for (int p = 0; p < field->panels; p++) {
            tiles_op(&t->p, block, OP_tile_dot, NULL, NULL,
                     tile_dot_number(SUMS + PAIR * h + p, A_FIRST + h, B_FIRST + p));
            emit_beside(t, block, beside);
        }
}

/* The six products, the smallest first. Registers of an operand stay while the next product needs the same part. */
static void emit_step(Tiled *t, Block *block, const Field *field, Node *step)
{
    static const struct {
        int a, b;
    } products[PRODUCTS] = {{2, 0}, {1, 0}, {0, 0}, {0, 1}, {1, 1}, {0, 2}};
    int a = -1, b = -1;
    Beside beside = plan_beside(t, field, step);
    for (int i = 0; i < PRODUCTS; i++) {
        if (products[i].b != b)
            load_parts(t, block, t->p.b_parts, field->turn, field->panels, step, b = products[i].b, B_FIRST);
        if (products[i].a != a)
            load_parts(t, block, t->p.a_parts, field->rows, field->halves, step, a = products[i].a, A_FIRST);
        multiply(t, block, field, &beside);
    }
}

/* All sums of the field, to or from a buffer whose rows are `pitch` apart. */
static void move_sums(Tiled *t, Block *block, Op op, const Field *field, Node *buffer, Node *offset, int64_t half_pitch,
                      int64_t panel_pitch, int64_t pitch)
{
    Ir *const ir = t->p.ir;
    for (int h = 0; h < field->halves; h++)
        for (int p = 0; p < field->panels; p++)
            tiles_op(&t->p, block, op, buffer, index_add(ir, offset, index_const(ir, h * half_pitch + p * panel_pitch)),
                     tile_move_number(SUMS + PAIR * h + p, pitch));
}

static void move_partial(Tiled *t, Block *block, Op op, const Field *field)
{
    Ir *const ir = t->p.ir;
    Node *const strip = index_add(ir, index_mul(ir, field->group, index_const(ir, t->p.shape.most_strips)),
                                  index_mul(ir, field->pair, index_const(ir, PAIR)));
    Node *const offset = index_mul(ir, strip, index_const(ir, PAIR * STRIP));
    move_sums(t, block, op, field, t->p.partial, offset, PAIR * STRIP, STRIP, TILE_WORDS);
}

static void emit_results(Tiled *t, Block *block, const Field *field, Node *const *masks)
{
    Ir *const ir = t->p.ir;
    Node *const first = index_mul(ir, field->pair, index_const(ir, HEIGHT)), *const zero = index_const(ir, 0);
    const Corner corner = field_corner(t, field);
    move_sums(t, block, OP_tile_store, field, t->p.c.sums, zero, TILE_ROWS * WIDTH, PANEL, WIDTH);
    Node *const rows = index_min(ir, index_sub(ir, t->p.rows, first), index_const(ir, field->halves * TILE_ROWS));
    tiles_results(&t->p, block, &corner, rows, PAIR, field->panels, masks);
}

void tiled_field(Tiled *t, Block *block, const Field *field, Node *const *masks)
{
    Ir *const ir = t->p.ir;
    Block *carried, *rest;
    Block *const fresh = tiles_fresh(&t->p, block, &carried);
    for (int h = 0; h < field->halves; h++)
        for (int p = 0; p < field->panels; p++)
            tiles_op(&t->p, fresh, OP_tile_zero, NULL, NULL, SUMS + PAIR * h + p);
    if (carried)
        move_partial(t, carried, OP_tile_load, field);
    Node *const step = axis_make(ir, "step", NULL);
    emit_step(t, body_for(ir, block, step, t->p.first_step, t->p.last_step, 1), field, step);
    Block *const last = tiles_last(&t->p, block, &rest);
    if (rest)
        move_partial(t, rest, OP_tile_store, field);
    emit_results(t, last, field, masks);
}
