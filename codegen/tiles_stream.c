/* The stream template: see tiles.h.
 *
 *     for each block of rows in chunk, each group of panels, each block of k:
 *         split the first 32 steps of the first panel of B into parts in scratch
 *         for each field of up to 64 rows:
 *             split its rows of A
 *             for each panel of 16 columns, each 32 steps of k:
 *                 for each strip of 16 rows: sums += A2 B0 + A1 B0 + A1 B1 + A0 B0 + A0 B1 + A0 B2
 *                 between the products, the next 32 steps of B are split, and lines of later ones come to L2
 *             after the last step of k: Y = epilogue(sums)
 *
 * Four registers hold sums, one A, three B. Parts of B are those of two steps and never leave L1, and a short block of
 * k keeps those of A there: L2 is left to what streams from memory. B is split again for each field, between products
 * that leave time for it.
 *
 * A strip of one row takes as long as one of sixteen: a few rows beyond the last whole strip are multiplied by vectors
 * of f32, with the rows of B that are in registers to be split.
 */
#include "codegen/contract.h"
#include "codegen/tiles.h"
#include "codegen/tiles_parts.h"
#include "ir/kernel.h"
#include "ir/loops.h"

#include <math.h>

enum { STEP_WORDS = PARTS * STRIP, STRIPS_MOST = 4, ABREAST = 4 };
/* Steps that lines of B come to L2 before they are split; panels that are multiplied by the same rows, and strips of a
 * unit, so that a block's sums and rows of B stay in L2. */
enum { STEPS_AHEAD = 4, PANELS_MOST = 64, UNIT_STRIPS_MOST = 32, RESULT_BLOCKS = 8 };

typedef struct Stream {
    TileProduct p;
    int64_t high;                   /* strips of a field, or one less */
    int64_t group;                  /* panels that are multiplied by the same rows */
    Node *first_panel, *last_panel; /* of the group */
} Stream;

/* ---- decisions ---- */

/* Cycles, measured with weights that come from memory, on the first machine that has tile registers. Few sums wait for
 * each other; what splits a step of B shows beside few products. Rows that come from behind L2 come in short pieces. */
#define LOADED           1.55
#define CHAIN_CYCLES     280.0
#define A_CYCLES         0.7 /* to split an element */
#define A_FAR_CYCLES     1.3
#define RESULT_CYCLES    1.2
#define PARTIAL_CYCLES   60.0 /* sums of a strip, to memory and back */
#define STRAY_CYCLES     20.0 /* a row by vectors, for a step */
#define BYTES_OF_A_CYCLE 4.4  /* from behind L2 */

static double step_cycles(int64_t strips)
{
    const double cycles = LOADED * (double)(PRODUCTS * DOT_CYCLES * strips);
    return strips < 1 ? 0 : cycles < CHAIN_CYCLES ? CHAIN_CYCLES : cycles;
}

/* A unit's fields have `high` strips or one less. */
static int64_t high_fields(const Stream *s, int64_t strips)
{
    const int64_t rest = strips - ceil_divide(strips, s->high) * (s->high - 1);
    return rest < 0 ? 0 : rest;
}

static double unit_cycles(const TileProduct *p, int64_t strips, int64_t panels)
{
    const Stream *const s = (const Stream *)p; /* whose first member it is */
    if (p->stray && strips < p->shape.strips)
        return HUGE_VAL;
    const int64_t fields = ceil_divide(strips, s->high), high = high_fields(s, strips);
    const double steps = (double)p->steps, columns = (double)panels, rows = (double)(strips * TILE_ROWS);
    const double field = (double)high * step_cycles(s->high) + (double)(fields - high) * step_cycles(s->high - 1);
    const double fetch = DEPTH * PANEL * 4 / BYTES_OF_A_CYCLE;
    double cycles = steps * columns * ((field < fetch ? fetch : field) + p->stray * STRAY_CYCLES);
    const bool near = p->c.guess_rows * p->c.guess_depth * 4 <= p->c.target->l2;
    cycles += (double)ceil_divide(panels, s->group) * steps * rows * DEPTH * (near ? A_CYCLES : A_FAR_CYCLES) *
              (p->c.read_a == READ_STRIDED ? 1 : 1.5);
    cycles += rows * columns * PANEL * RESULT_CYCLES;
    return cycles + (double)(ceil_divide(p->steps, p->block_steps) - 1) * (double)strips * columns * PARTIAL_CYCLES;
}

static void plan_units(Stream *s)
{
    Contract *const c = &s->p.c;
    tiles_plan_stray(&s->p, 1, STRIPS_MOST);
    const int64_t strips = ceil_divide(c->guess_rows - s->p.stray, TILE_ROWS);
    s->p.shape.strips = strips;
    s->p.shape.groups = ceil_divide(c->guess_columns, PANEL);
    /* L1 holds the parts of a field's rows for two steps beside sums of blocks before and lines of B, for three where
     * one field's products take longer than those lines. */
    s->p.block_steps = tiles_even_blocks(s->p.steps, strips == STRIPS_MOST ? 3 : 2);
    s->p.block_steps = suggest_int(c->trial, "steps", 1, s->p.steps, s->p.block_steps);
    s->group = s->p.shape.groups < PANELS_MOST ? s->p.shape.groups : PANELS_MOST;
    int64_t most = UNIT_STRIPS_MOST;
    if (s->p.block_steps < s->p.steps)
        most = c->target->l2 / 4 / (s->group * STRIP * 4);
    s->high = tiles_even_blocks(strips, STRIPS_MOST);
    tiles_share(&s->p, ceil_divide(strips, most < s->high ? s->high : most), 1, unit_cycles);
    s->p.shape.unit_strips = suggest_int(c->trial, "strips", s->p.stray ? strips : 1, strips, s->p.shape.unit_strips);
    s->p.shape.unit_groups = suggest_int(c->trial, "panels", 1, s->p.shape.groups, s->p.shape.unit_groups);
    s->p.shape.most_strips = s->p.shape.unit_strips;
    s->high = tiles_even_blocks(s->p.shape.unit_strips, STRIPS_MOST);
}

static bool plan(Stream *s)
{
    TileProduct *const p = &s->p;
    if (!tiles_match(p))
        return false;
    plan_units(s);
    p->c.tile = (Tile){(int)(s->high * TILE_ROWS), 1};
    p->a_parts = tiles_local(p, "a_parts", DTYPE_U32, s->high * p->block_steps * STEP_WORDS);
    p->b_parts = tiles_local(p, "b_parts", DTYPE_U32, 2 * STEP_WORDS);
    p->c.sums = tiles_local(p, "sums", DTYPE_F32, s->high * STRIP + s->p.stray * PANEL);
    tiles_stray_locals(p, s->group + 1);
    if (p->block_steps < p->steps)
        p->partial = tiles_local(p, "partial", DTYPE_F32,
                                 ceil_divide(s->p.shape.unit_strips, s->high) * s->group * s->high * STRIP);
    return tiles_fit(p);
}

/* ---- splitting ---- */

enum { SUMS = 0, A_REGISTER = 4, B_REGISTERS = 5 };

/* Strips of 16 rows by one panel of 16 columns. */
typedef struct Field {
    int strips;
    Node *number, *first; /* within the unit's fields, within the unit's strips */
    Node *panel, *column;
} Field;

/* What is done beside the products of a step, a share of it after each of them. */
typedef struct Beside {
    Splitting splitting;
    Node *panel, *step, *slot, *mask; /* to split */
    Node *line;                       /* offset of the first line of B that comes to L2; NULL: none */
    int lines;
    Node *near; /* that of those of a step that come to L1, which are split soon; NULL: none */
    ResultRows results;
    int dots, done;
    Node *stray[STRAY_MOST]; /* their sums with what was split */
} Beside;

/* Where the parts of a field's rows for a step begin: [step][strip][part][TILE_ELEMENTS]. */
static Node *rows_at(Stream *s, Node *step)
{
    Ir *const ir = s->p.ir;
    return index_mul(ir, index_sub(ir, step, s->p.first_step), index_const(ir, s->high * STEP_WORDS));
}

/* The field's rows; those beyond the last repeat it. */
static void split_rows(Stream *s, Block *block, const Field *field)
{
    TileProduct *const p = &s->p;
    Ir *const ir = p->ir;
    Node *const row = axis_make(ir, "row", NULL), *const step = axis_make(ir, "step", NULL);
    Node *const height = index_const(ir, TILE_ROWS), *const zero = index_const(ir, 0);
    Block *const outer = body_for(ir, block, row, zero, index_const(ir, field->strips * TILE_ROWS), 1);
    Block *const body = body_for(ir, outer, step, p->first_step, p->last_step, 1);
    Node *const last = index_sub(ir, p->c.roles.rows, index_const(ir, 1));
    Node *const number = index_add(ir, index_mul(ir, field->first, height), row);
    Node *const strip = index_mul(ir, index_floordiv(ir, row, height), index_const(ir, STEP_WORDS));
    Node *const within = index_mul(ir, index_mod(ir, row, height), index_const(ir, TILE_WORDS));
    Splitting splitting =
        tiles_split_a(p, body, index_min(ir, index_add(ir, p->row, number), last), tiles_step(p, step));
    splitting.offset = index_add(ir, rows_at(s, step), index_add(ir, strip, within));
    splitting.pitch = STRIP;
    tiles_split_all(p, body, splitting);
}

/* The columns of a panel that there are; NULL: all, or those beyond are zeros. */
static Node *panel_mask(Stream *s, Node *panel)
{
    const Corner corner = {.column = index_mul(s->p.ir, panel, index_const(s->p.ir, PANEL))};
    Node *mask = NULL;
    contract_emit_masks(&s->p.c, &corner, 1, s->p.c.read_b == READ_STRIDED, &mask);
    return mask;
}

/* Word row `number` of a step of a panel, to one of both slots. */
static Splitting split_vector(Stream *s, Block *block, Node *panel, Node *slot, Node *step, Node *number, Node *mask)
{
    Ir *const ir = s->p.ir;
    Splitting splitting = tiles_split_b(&s->p, block, index_mul(ir, panel, index_const(ir, PANEL)),
                                        tiles_step(&s->p, step), number, mask);
    splitting.offset = index_add(ir, index_mul(ir, slot, index_const(ir, STEP_WORDS)),
                                 index_mul(ir, number, index_const(ir, TILE_WORDS)));
    splitting.pitch = STRIP;
    return splitting;
}

/* ---- products ---- */

/* Of stray rows, within the group; one place more is for what is split behind the last panel. */
static Node *stray_place(const Stream *s, Node *panel)
{
    return index_sub(s->p.ir, panel, s->first_panel);
}

static void split_first(Stream *s, Block *block)
{
    Ir *const ir = s->p.ir;
    Node *const number = axis_make(ir, "number", NULL), *const zero = index_const(ir, 0);
    Block *const body = body_for(ir, block, number, zero, index_const(ir, TILE_ROWS), 1);
    Node *const mask = panel_mask(s, s->first_panel), *sums[STRAY_MOST];
    const Splitting splitting = split_vector(s, body, s->first_panel, zero, s->p.first_step, number, mask);
    tiles_load_stray(&s->p, body, zero, sums);
    tiles_multiply_stray(&s->p, body, s->p.first_step, number, splitting.values, sums);
    tiles_store_stray(&s->p, body, zero, sums);
    tiles_split_all(&s->p, body, splitting);
}

static Corner field_corner(const Stream *s, const Field *field)
{
    Node *const first = index_mul(s->p.ir, field->first, index_const(s->p.ir, TILE_ROWS));
    return tiles_corner(&s->p, first, field->column);
}

static void emit_beside(Stream *s, Block *block, const Field *field, Beside *beside)
{
    enum { ALL = TILE_ROWS * PARTS };
    Ir *const ir = s->p.ir;
    const int from = beside->done++, to = beside->done, dots = beside->dots;
    for (int i = from * ALL / dots; i < to * ALL / dots; i++) {
        if (i % PARTS == 0) {
            Node *const number = index_const(ir, i / PARTS);
            beside->splitting = split_vector(s, block, beside->panel, beside->slot, beside->step, number, beside->mask);
            tiles_multiply_stray(&s->p, block, beside->step, number, beside->splitting.values, beside->stray);
        }
        tiles_split_next(&s->p, block, &beside->splitting);
    }
    for (int i = from * beside->lines / dots; i < to * beside->lines / dots; i++)
        contract_emit_prefetch(&s->p.c, block, s->p.c.b_buffer, index_add(ir, beside->line, index_const(ir, i * PANEL)),
                               2);
    for (int i = from * DEPTH / dots; beside->near && i < to * DEPTH / dots; i++)
        contract_emit_prefetch(&s->p.c, block, s->p.c.b_buffer, index_add(ir, beside->near, index_const(ir, i * PANEL)),
                               1);
    const Corner corner = field_corner(s, field);
    for (int i = from * beside->results.count / dots; i < to * beside->results.count / dots; i++)
        contract_emit_row_fetch(&s->p.c, block, &corner, tiles_result_row(&s->p, &beside->results, i), 1);
}

/* 1 where a number is the last before the end or beyond, else 0. */
static Node *is_last(Ir *ir, Node *number, Node *end)
{
    Node *const one = index_const(ir, 1), *const beyond = index_sub(ir, index_add(ir, number, one), end);
    return index_max(ir, index_min(ir, index_add(ir, beyond, one), one), index_const(ir, 0));
}

/* Several fields share the lines of the next block of k; one alone fetches those of some steps later, at the end of the
 * group those of the next block of k. */
static void plan_lines(Stream *s, Beside *beside, const Field *field, Node *step)
{
    TileProduct *const p = &s->p;
    Ir *const ir = p->ir;
    const int64_t fields = ceil_divide(s->p.shape.unit_strips, s->high);
    Node *const steps = index_sub(ir, p->last_step, p->first_step), *const one = index_const(ir, 1);
    Node *panel = field->panel, *later = one, *row = index_const(ir, 0);
    if (p->c.read_b != READ_PANELS)
        return;
    beside->lines = DEPTH;
    if (fields > 1 && p->partial) {
        beside->lines = (int)ceil_divide(DEPTH, fields);
        row = index_mul(ir, field->number, index_const(ir, beside->lines));
    } else {
        Node *const ahead = index_const(ir, ceil_divide(STEPS_AHEAD, p->block_steps));
        Node *const next = index_min(ir, index_add(ir, panel, one), index_sub(ir, s->last_panel, one));
        if (s->high < STRIPS_MOST)
            beside->near = contract_panel_offset(&p->c, next, tiles_flat(p, tiles_step(p, step), 0));
        panel = index_add(ir, panel, ahead);
        later = is_last(ir, index_sub(ir, panel, one), s->last_panel);
        panel = index_sub(ir, panel, index_mul(ir, later, index_sub(ir, s->last_panel, s->first_panel)));
        panel = index_min(ir, panel, index_sub(ir, s->last_panel, one));
    }
    const Step at = tiles_step(p, index_add(ir, step, index_mul(ir, later, steps)));
    beside->line = contract_panel_offset(&p->c, panel, index_add(ir, tiles_flat(p, at, 0), row));
}

/* Steps of a block of k are numbered through fields and panels: every other one has the same slot. Behind the last
 * panel the first one follows, for the next field. */
static Beside plan_beside(Stream *s, const Field *field, Node *step, Node *slot)
{
    TileProduct *const p = &s->p;
    Ir *const ir = p->ir;
    Node *const one = index_const(ir, 1), *const steps = index_sub(ir, p->last_step, p->first_step);
    Beside beside = {.dots = PRODUCTS * field->strips};
    Node *const end = is_last(ir, step, p->last_step), *const around =
                                                           index_mul(ir, end, is_last(ir, field->panel, s->last_panel));
    beside.panel = index_sub(ir, index_add(ir, field->panel, end),
                             index_mul(ir, around, index_sub(ir, s->last_panel, s->first_panel)));
    beside.step = index_sub(ir, index_add(ir, step, one), index_mul(ir, end, steps));
    beside.slot = index_sub(ir, one, slot);
    beside.mask = panel_mask(s, beside.panel);
    plan_lines(s, &beside, field, step);
    if (p->steps <= RESULT_BLOCKS * p->block_steps) /* else it costs more before the last block than it gives there */
        beside.results = tiles_result_rows(p, step, field->strips * TILE_ROWS);
    return beside;
}

static void emit_step(Stream *s, Block *block, const Field *field, Node *step)
{
    TileProduct *const p = &s->p;
    Ir *const ir = p->ir;
    Node *const panels = index_sub(ir, s->last_panel, s->first_panel);
    Node *const before =
        index_add(ir, index_mul(ir, field->number, panels), index_sub(ir, field->panel, s->first_panel));
    Node *const number = index_add(ir, index_mul(ir, before, index_sub(ir, p->last_step, p->first_step)),
                                   index_sub(ir, step, p->first_step));
    Node *const slot = index_mod(ir, number, index_const(ir, 2)), *const rows = rows_at(s, step);
    Beside beside = plan_beside(s, field, step, slot);
    Node *const place = stray_place(s, index_add(ir, field->panel, is_last(ir, step, p->last_step)));
    tiles_load_stray(p, block, place, beside.stray);
    for (int part = 0; part < PARTS; part++) {
        Node *const words =
            index_add(ir, index_mul(ir, slot, index_const(ir, STEP_WORDS)), index_const(ir, part * STRIP));
        tiles_op(p, block, OP_tile_load, p->b_parts, words, tile_move_number(B_REGISTERS + part, TILE_WORDS));
    }
    for (int part = PARTS - 1; part >= 0; part--)
        for (int i = 0; i < field->strips; i++) {
            Node *const words = index_add(ir, rows, index_const(ir, (i * PARTS + part) * STRIP));
            tiles_op(p, block, OP_tile_load, p->a_parts, words, tile_move_number(A_REGISTER, TILE_WORDS));
            for (int other = 0; part + other < PARTS; other++) {
                tiles_op(p, block, OP_tile_dot, NULL, NULL, tile_dot_number(SUMS + i, A_REGISTER, B_REGISTERS + other));
                emit_beside(s, block, field, &beside);
            }
        }
    tiles_store_stray(p, block, place, beside.stray);
}

/* All sums of the field, to or from memory: [field][panel][strip][TILE_ELEMENTS]. */
static void move_partial(Stream *s, Block *block, Op op, const Field *field)
{
    Ir *const ir = s->p.ir;
    Node *const panel = index_sub(ir, field->panel, s->first_panel);
    Node *const place = index_add(ir, index_mul(ir, field->number, index_const(ir, s->group)), panel);
    Node *const words = index_mul(ir, place, index_const(ir, s->high * STRIP));
    for (int i = 0; i < field->strips; i++)
        tiles_op(&s->p, block, op, s->p.partial, index_add(ir, words, index_const(ir, i * STRIP)),
                 tile_move_number(SUMS + i, TILE_WORDS));
}

static void emit_results(Stream *s, Block *block, const Field *field, Node *const *masks)
{
    TileProduct *const p = &s->p;
    Ir *const ir = p->ir;
    Node *const first = index_mul(ir, field->first, index_const(ir, TILE_ROWS));
    const Corner corner = field_corner(s, field);
    for (int i = 0; i < field->strips; i++)
        tiles_op(p, block, OP_tile_store, p->c.sums, index_const(ir, i * STRIP),
                 tile_move_number(SUMS + i, TILE_WORDS));
    tiles_stray_results(p, block, stray_place(s, field->panel), field->strips * STRIP, PANEL);
    Node *const rows = index_min(ir, index_sub(ir, p->rows, first), index_const(ir, field->strips * TILE_ROWS));
    tiles_results(p, block, &corner, index_add(ir, rows, index_const(ir, p->stray)), ABREAST, 1, masks);
}

static void emit_field(Stream *s, Block *block, const Field *field, Node *const *masks)
{
    TileProduct *const p = &s->p;
    Block *carried, *rest, *const fresh = tiles_fresh(p, block, &carried);
    for (int i = 0; i < field->strips; i++)
        tiles_op(p, fresh, OP_tile_zero, NULL, NULL, SUMS + i);
    if (carried)
        move_partial(s, carried, OP_tile_load, field);
    Node *const step = axis_make(p->ir, "step", NULL);
    emit_step(s, body_for(p->ir, block, step, p->first_step, p->last_step, 1), field, step);
    Block *const last = tiles_last(p, block, &rest);
    if (rest)
        move_partial(s, rest, OP_tile_store, field);
    emit_results(s, last, field, masks);
}

/* All panels of a field: those of full width, and what is left of the matrix. */
static void emit_panels(Stream *s, Block *block, Field field)
{
    Ir *const ir = s->p.ir;
    const int64_t columns = s->p.c.guess_columns;
    Node *const end = index_const(ir, columns / PANEL), *const width = index_const(ir, PANEL);
    Node *masks[1] = {0};
    split_rows(s, block, &field);
    field.panel = axis_make(ir, "panel", NULL);
    field.column = index_mul(ir, field.panel, width);
    emit_field(s, body_for(ir, block, field.panel, s->first_panel, index_min(ir, s->last_panel, end), 1), &field,
               masks);
    if (columns % PANEL == 0)
        return;
    field.panel = axis_make(ir, "narrow", NULL); /* runs once, in the units that hold the last panel */
    field.column = index_mul(ir, end, width);
    const Corner corner = {.column = field.column};
    contract_emit_masks(&s->p.c, &corner, 1, true, masks);
    emit_field(s, body_for(ir, block, field.panel, index_max(ir, s->first_panel, end), s->last_panel, 1), &field,
               masks);
}

/* The unit's rows: as many fields of `high` strips as are needed for the others to have one less. */
static void emit_fields(Stream *s, Block *block)
{
    Ir *const ir = s->p.ir;
    Node *const high = index_const(ir, s->high), *const low = index_const(ir, s->high - 1),
                *const zero = index_const(ir, 0);
    Node *const strips = index_ceildiv(ir, s->p.rows, index_const(ir, TILE_ROWS));
    Node *const fields = index_ceildiv(ir, strips, high);
    Node *const whole = index_max(ir, index_sub(ir, strips, index_mul(ir, fields, low)), zero);
    Field field = {.strips = (int)s->high, .number = axis_make(ir, "field", NULL)};
    field.first = index_mul(ir, field.number, high);
    emit_panels(s, body_for(ir, block, field.number, zero, whole, 1), field);
    if (s->high == 1 || index_is(index_sub(ir, fields, whole), 0))
        return;
    field = (Field){.strips = (int)s->high - 1, .number = axis_make(ir, "low", NULL)};
    field.first = index_add(ir, index_mul(ir, field.number, low), whole);
    emit_panels(s, body_for(ir, block, field.number, whole, fields, 1), field);
}

static Node *emit_units(Stream *s, Block *body)
{
    TileProduct *const p = &s->p;
    Ir *const ir = p->ir;
    Node *const panels = index_const(ir, s->p.shape.unit_groups), *const all = index_const(ir, s->p.shape.groups);
    TilesUnits units;
    Block *block = tiles_units(p, body, s->p.shape.unit_strips * TILE_ROWS,
                               ceil_divide(s->p.shape.groups, s->p.shape.unit_groups), &units);
    s->first_panel = index_mul(ir, units.first, panels);
    s->last_panel = index_min(ir, index_mul(ir, units.last, panels), all);
    tiles_copy_stray(p, block);
    if (s->group < s->p.shape.groups) {
        Node *const group = axis_make(ir, "group", NULL);
        block = body_for(ir, block, group, s->first_panel, s->last_panel, s->group);
        s->first_panel = group;
        s->last_panel = index_min(ir, index_add(ir, group, index_const(ir, s->group)), s->last_panel);
    }
    Node *const places = index_sub(ir, index_add(ir, s->last_panel, index_const(ir, 1)), s->first_panel);
    tiles_clear_stray(p, block, index_const(ir, 0), places);
    block = tiles_depth(p, block);
    split_first(s, block);
    emit_fields(s, block);
    return units.count;
}

/* ---- what schedules ---- */

static bool open(Stream *s, Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    *s = (Stream){.p = {.ir = ir, .c = {.ir = ir, .kernel = kernel, .target = target, .trial = trial}}};
    return plan(s);
}

Node *stream_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    Stream stream;
    if (!open(&stream, ir, kernel, target, trial))
        return NULL;
    Block *const body = block_make(ir);
    Node *const units = emit_units(&stream, body);
    return tiles_kernel(&stream.p, "stream", body, units, PANEL);
}

bool stream_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    Stream stream;
    if (!open(&stream, ir, kernel, target, trial))
        return false;
    *cycles = tiles_cycles(&stream.p, threads, unit_cycles);
    return true;
}
