/* The dots template: see dots.h.
 *
 *     for unit in chunk:  batch axes, block of column groups, block of tiles of rows
 *         copy the rows of A to scratch as unsigned bytes, unless they stand so, and sum them up if B has a zero
 *         for each group of columns in the block:
 *             terms[v] = A's zero times the sums of the columns of B
 *             for each tile of rows in the block:
 *                 acc[r][v] = -terms[v]
 *                 for k in fours:  acc[r][v] = dot(acc[r][v], A[r, k..k+3], B[k..k+3, v])
 *                 Y[r,v] = epilogue(acc[r][v] - B's zero times the sum of row r)
 *
 * An unsigned byte times a signed one is what machines multiply: i8 of A and u8 of B are moved by 128, and so are their
 * zeros. The sum of (a - za) * (b - zb) is that of a*b less za * sum of b, less zb * sum of a, plus depth * za * zb;
 * where an element does not count (borders, filled fours) a is za. All of it wraps, so nothing depends on the order. */
#include "codegen/dots.h"

#include "codegen/contract_emit.h"
#include "codegen/dots_plan.h"
#include "ir/kernel.h"
#include "ir/loops.h"

static Node *load(Dots *d, Block *block, Node *buffer, Node *offset, int lanes)
{
    return contract_emit_load(d->c.ir, block, buffer, offset, lanes, NULL, kernel_writes(d->c.kernel, buffer));
}

static void store(Dots *d, Block *block, Node *buffer, Node *offset, Node *value)
{
    Node *inputs[] = {buffer, offset, value};
    block_append(d->c.ir, block, node_make(d->c.ir, &(Node){.op = OP_store, .inputs = inputs, .input_count = 3}));
}

static Node *dot(Ir *ir, Node *sums, Node *a, Node *b)
{
    return node_make(ir, &(Node){.op = OP_dot, .type = sums->type, .inputs = (Node *[]){sums, a, b}, .input_count = 3});
}

/* ---- tiles ---- */

static Node *load_a(Dots *d, Block *block, const Corner *corner, int row, Node *k)
{
    Contract *const c = &d->c;
    Ir *const ir = c->ir;
    Node *const number = index_const(ir, row);
    Node *const offset = d->rows
                             ? index_mul(ir, index_add(ir, corner->a_row, number), c->depth)
                             : index_add(ir, c->a_rest, index_mul(ir, index_add(ir, corner->row, number), c->a_pitch));
    return load(d, block, d->rows ? d->rows : c->a_buffer, index_add(ir, offset, k), DOT_TERMS);
}

/* Four steps of k of one panel, signed. */
static Node *load_b(Dots *d, Block *block, const Corner *corner, int vector, Node *k)
{
    Contract *const c = &d->c;
    Ir *const ir = c->ir;
    Node *const first = d->columns ? corner->panel : index_floordiv(ir, corner->column, index_const(ir, PANEL));
    Node *const panel = index_add(ir, first, index_const(ir, vector));
    Node *offset = index_mul(ir, index_add(ir, index_mul(ir, panel, c->depth), k), index_const(ir, PANEL));
    if (!d->columns)
        offset = index_add(ir, c->b_rest, offset);
    Node *const value = load(d, block, d->columns ? d->columns : c->b_buffer, offset, PANEL * DOT_TERMS);
    if (value->type.dtype == DTYPE_I8)
        return value;
    return cast_make(ir, scalar2(ir, OP_xor, value, splat_make(ir, const_int(ir, DTYPE_U8, 128), value->type.lanes)),
                     DTYPE_I8);
}

static void emit_step(Dots *d, Block *block, const Corner *corner, Tile tile, Node **accumulators, Node *k)
{
    Ir *const ir = d->c.ir;
    Node *columns[VECTORS_MAX];
    for (int v = 0; v < tile.vectors; v++)
        columns[v] = load_b(d, block, corner, v, k);
    for (int r = 0; r < tile.rows; r++) {
        /* Without rows: sums of the columns. */
        Node *const row =
            corner->row ? load_a(d, block, corner, r, k) : splat_make(ir, const_int(ir, DTYPE_U8, 1), DOT_TERMS);
        for (int v = 0; v < tile.vectors; v++) {
            Node *const var = accumulators[r * tile.vectors + v];
            body_set(ir, block, var, dot(ir, body_get(ir, block, var), row, columns[v]));
        }
    }
}

static void emit_products(Dots *d, Block *block, const Corner *corner, Tile tile, Node **accumulators)
{
    Ir *const ir = d->c.ir;
    const int64_t round = d->c.unroll * DOT_TERMS;
    int64_t at = d->depth / round * round;
    if (at) {
        Node *const k = axis_make(ir, "k", d->c.depth);
        Block *const body = body_for(ir, block, k, index_const(ir, 0), index_const(ir, at), round);
        for (int i = 0; i < d->c.unroll; i++)
            emit_step(d, body, corner, tile, accumulators, index_add(ir, k, index_const(ir, i * DOT_TERMS)));
    }
    for (; at < d->depth; at += DOT_TERMS)
        emit_step(d, block, corner, tile, accumulators, index_const(ir, at));
}

/* An expression over rows and columns, at a row and along the columns of a vector. */
static Node *at_columns(Dots *d, Block *block, const Corner *corner, Node *expression, int vector, Node *mask)
{
    Ir *const ir = d->c.ir;
    StageEmitter emitter = stage_emitter(ir, d->c.kernel, block);
    emitter.lane_axis = d->c.roles.n;
    emitter.lanes = PANEL;
    emitter.lane_base = index_add(ir, corner->column, index_const(ir, vector * PANEL));
    emitter.mask = mask;
    Node *const value = stage_emit(&emitter, expression);
    return value->type.lanes == PANEL ? value : splat_make(ir, value, PANEL);
}

static Node *times(Ir *ir, Node *a, Node *b)
{
    return scalar2(ir, OP_mul, a, b);
}

/* terms[v] = sums of the columns less depth times B's zero, times A's zero where that is one for all rows. */
static void emit_terms(Dots *d, Block *block, const Corner *start, int vectors, Node *const *masks)
{
    Ir *const ir = d->c.ir;
    Node *sums[VECTORS_MAX];
    Corner corner = *start;
    corner.row = NULL;
    for (int v = 0; v < vectors; v++)
        sums[v] = body_var(ir, block, splat_make(ir, const_int(ir, DTYPE_I32, 0), PANEL));
    emit_products(d, block, &corner, (Tile){1, vectors}, sums);
    for (int v = 0; v < vectors; v++) {
        Node *const zero = at_columns(d, block, &corner, dots_b_zero(d), v, masks[v]);
        Node *const depth = splat_make(ir, const_int(ir, DTYPE_I32, d->depth), PANEL);
        Node *value = scalar2(ir, OP_sub, body_get(ir, block, sums[v]), times(ir, depth, zero));
        if (!d->zero_moves)
            value = times(ir, value, at_columns(d, block, &corner, dots_a_zero(d), v, NULL));
        store(d, block, d->terms, index_const(ir, v * PANEL), value);
    }
}

static Node *terms_of(Dots *d, Block *block, int vector)
{
    return load(d, block, d->terms, index_const(d->c.ir, vector * PANEL), PANEL);
}

/* What is left to do to the sum of one vector of a row. */
static Node *complete(Dots *d, Block *block, const Corner *corner, Node *row, int vector, Node *sum, Node *mask)
{
    Contract *const c = &d->c;
    Ir *const ir = c->ir;
    if (d->zero_moves && d->terms) {
        Node *const zero = contract_at_row(c, corner, dots_a_zero(d), row);
        sum = scalar2(ir, OP_sub, sum,
                      times(ir, at_columns(d, block, corner, zero, vector, NULL), terms_of(d, block, vector)));
    }
    if (d->row_sums) {
        Node *const whole = load(d, block, d->row_sums, index_add(ir, corner->a_row, row), 1);
        sum = scalar2(
            ir, OP_sub, sum,
            times(ir, splat_make(ir, whole, PANEL), at_columns(d, block, corner, dots_b_zero(d), vector, mask)));
    }
    return sum;
}

/* The sums go to memory that stays in L1, the rest of the expression is a loop over rows: 28 copies of a requantisation
 * would be most of the code. */
static void emit_tile(Dots *d, Block *block, const Corner *corner, Tile tile, Node *const *masks)
{
    Contract *const c = &d->c;
    Ir *const ir = c->ir;
    Node *accumulators[ROWS_MAX * VECTORS_MAX], *const none = splat_make(ir, const_int(ir, DTYPE_I32, 0), PANEL);
    for (int v = 0; v < tile.vectors; v++) {
        Node *const first = d->terms && !d->zero_moves ? scalar2(ir, OP_sub, none, terms_of(d, block, v)) : none;
        for (int r = 0; r < tile.rows; r++)
            accumulators[r * tile.vectors + v] = body_var(ir, block, first);
    }
    emit_products(d, block, corner, tile, accumulators);
    Node *const pitch = index_const(ir, c->tile.vectors * PANEL);
    for (int i = 0; i < tile.rows * tile.vectors; i++) {
        Node *const line = index_mul(ir, index_const(ir, i / tile.vectors), pitch);
        store(d, block, d->sums, index_add(ir, line, index_const(ir, i % tile.vectors * PANEL)),
              body_get(ir, block, accumulators[i]));
    }
    Node *const row = axis_make(ir, "row", index_const(ir, tile.rows));
    Block *const body = body_for(ir, block, row, index_const(ir, 0), row->inputs[0], 1);
    for (int v = 0; v < tile.vectors; v++) {
        Node *const offset = index_add(ir, index_mul(ir, row, pitch), index_const(ir, v * PANEL));
        Node *const sum = complete(d, body, corner, row, v, load(d, body, d->sums, offset, PANEL), masks[v]);
        contract_emit_result(c, body, corner, row, v, sum, masks[v]);
    }
}

/* ---- loops ---- */

typedef struct GroupAt {
    Dots *dots;
    int vectors;
    Node *masks[VECTORS_MAX];
} GroupAt;

static void emit_group_tile(void *context, Block *block, const Corner *corner, int rows)
{
    GroupAt *const at = context;
    emit_tile(at->dots, block, corner, (Tile){rows, at->vectors}, at->masks);
}

static void emit_tiles(Dots *d, Block *block, const Unit *unit, const Corner *start, int vectors, bool narrow)
{
    Contract *const c = &d->c;
    GroupAt at = {.dots = d, .vectors = vectors};
    contract_emit_masks(c, start, vectors, narrow, at.masks);
    if (d->terms)
        emit_terms(d, block, start, vectors, at.masks);
    Node *const base = index_mul(c->ir, unit->first_tile, index_const(c->ir, c->tile.rows));
    contract_emit_row_tiles(c, block, unit, start, base, emit_group_tile, &at);
}

/* The groups of columns of the unit; the last of the matrix may be narrower. */
static void emit_groups(Dots *d, Block *block, const Unit *unit)
{
    Contract *const c = &d->c;
    Ir *const ir = c->ir;
    const int64_t width = c->tile.vectors * PANEL, rest = c->guess_columns % width;
    Node *const whole = index_const(ir, c->guess_columns / width), *const vectors = index_const(ir, c->tile.vectors);
    Node *const group = axis_make(ir, "group", NULL);
    Corner corner = {.column = index_mul(ir, group, index_const(ir, width)),
                     .panel = index_mul(ir, index_sub(ir, group, unit->first_group), vectors)};
    if (c->guess_columns >= width)
        emit_tiles(d, body_for(ir, block, group, unit->first_group, index_min(ir, unit->last_group, whole), 1), unit,
                   &corner, c->tile.vectors, false);
    if (!rest)
        return;
    Node *const narrow = axis_make(ir, "narrow", NULL); /* runs once, in the units that hold the last group */
    corner.column = index_mul(ir, whole, index_const(ir, width));
    corner.panel = index_mul(ir, index_sub(ir, narrow, unit->first_group), vectors);
    emit_tiles(d, body_for(ir, block, narrow, index_max(ir, unit->first_group, whole), unit->last_group, 1), unit,
               &corner, (int)((rest + PANEL - 1) / PANEL), rest % PANEL != 0);
}

/* Units: batch x blocks of columns x blocks of rows, rows fastest. With B copied its columns serve all rows. */
static Node *emit_units(Dots *d, Block *body)
{
    Contract *const c = &d->c;
    Ir *const ir = c->ir;
    Node *const groups = index_ceildiv(ir, c->roles.columns, index_const(ir, c->tile.vectors * PANEL));
    Node *const tiles = index_ceildiv(ir, c->roles.rows, index_const(ir, c->tile.rows));
    Node *const block_groups = index_const(ir, c->block_groups), *const block_tiles = index_const(ir, c->block_tiles);
    Node *const column_blocks = index_ceildiv(ir, groups, block_groups);
    Node *const row_blocks = d->columns ? index_const(ir, 1) : index_ceildiv(ir, tiles, block_tiles);
    Node *units = index_mul(ir, column_blocks, row_blocks);
    for (int i = 0; i < c->roles.batch_count; i++)
        units = index_mul(ir, units, c->roles.batch[i]->inputs[0]);
    Node *const number = axis_make(ir, "unit", units), *const above = index_floordiv(ir, number, row_blocks);
    Block *block = body_units(ir, body, number);
    block = contract_bind(ir, block, c->roles.batch, c->roles.batch_count, index_floordiv(ir, above, column_blocks));
    Unit unit = {.first_group = index_mul(ir, index_mod(ir, above, column_blocks), block_groups)};
    unit.last_group = index_min(ir, index_add(ir, unit.first_group, block_groups), groups);
    unit.first_tile = index_mul(ir, index_mod(ir, number, row_blocks), block_tiles);
    if (d->columns) {
        dots_pack_columns(d, block, unit.first_group, unit.last_group);
        unit.first_tile = axis_make(ir, "block", NULL);
        block = body_for(ir, block, unit.first_tile, index_const(ir, 0), tiles, c->block_tiles);
    }
    unit.last_tile = index_min(ir, index_add(ir, unit.first_tile, block_tiles), tiles);
    if (d->rows)
        dots_pack_rows(d, block, unit.first_tile, unit.last_tile);
    emit_groups(d, block, &unit);
    return units;
}

Node *dots_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    Dots dots = {.c = {.ir = ir, .kernel = kernel, .target = target, .trial = trial}};
    const Contract *const c = &dots.c;
    if (!dots_plan(&dots))
        return NULL;
    Block *const body = block_make(ir);
    Node *const units = emit_units(&dots, body);
    const char *const text =
        arena_format(ir->arena, "dots rows=%d vectors=%d tiles=%lld groups=%lld a=%s b=%s", c->tile.rows,
                     c->tile.vectors, (long long)c->block_tiles, (long long)c->block_groups,
                     dots.rows ? "packed" : "strided", dots.columns ? "packed" : "panels");
    return kernel_with_body(ir, kernel, body, units, text, c->scratch);
}

bool dots_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    Dots dots = {.c = {.ir = ir, .kernel = kernel, .target = target, .trial = trial}};
    if (!dots_plan(&dots))
        return false;
    *cycles = dots_plan_cycles(&dots, threads);
    return true;
}
