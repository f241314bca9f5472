/* The attention template: see attention.h.
 *
 *     for unit in chunk:  batch axes, block of bands of rows
 *         copy the keys to panels (and the values, where they cannot be read in place)
 *         for each band of rows in the block:
 *             copy the queries, unless they can be read in place
 *             scores[r,j]                    register tiles, as the contract template multiplies, or tile registers
 *             for each row:  the stages between the products, in vectors, in place
 *             output[r,d]                    register tiles
 *
 * Sums have one accumulator and k ascends, folds keep their lanes: the bits do not depend on bands or tiles. */
#include "codegen/attention.h"

#include "codegen/contract_emit.h"
#include "codegen/panels.h"
#include "codegen/program.h"
#include "codegen/rows.h"
#include "codegen/tiles_field.h"
#include "ir/kernel.h"
#include "ir/loops.h"

#include <string.h>

/* Bands of 24 to 64 rows: scores of a band stay in the near caches, and keys are read from L2 seldom enough. */
enum {
    STAGES_MAX = 10,
    BAND_MOST = 64,
    BAND_LEAST = 12,
    UNITS_ENOUGH = 8,
    LINE = 64,
    SCRATCH_MAX = 16 << 20,
    NEAR_BYTES = 40 << 10,
    TILED_LEAST = 512
};

/* A local buffer of the stages and what holds a band of it. */
typedef struct Band {
    Node *row, *band;
} Band;

typedef struct Attention {
    Ir *ir;
    Node *kernel;
    const TargetMachineInfo *target;
    const Block *stages;
    int shared; /* leading axes that all stages walk together; the last is the query's */
    Node *query;
    int64_t queries, length, rows; /* length: of a row of scores; rows: of a band */
    int64_t batches;               /* 1 where their number is not known */
    int64_t bands, block;          /* bands in all, and of one unit */
    Band bands_of[STAGES_MAX];
    int band_count;
    Node *keys, *values, *copied; /* local copies: panels [columns/16][k][16], rows of the queries; NULL: in place */
    Tiled tiled;                  /* parts of keys and queries for tile registers; no buffers: vectors multiply */
    int64_t scratch;
    Node *written; /* a kernel whose stages write all local buffers of the schedule */
} Attention;

static Node *stage_at(const Attention *a, int i)
{
    return a->stages->nodes[i];
}

/* The product of stage number i; NULL: it has none, or one of several reduced axes. */
static Node *product_at(const Attention *a, int i)
{
    Node *const contract = value_contraction(a->ir, stage_value(stage_at(a, i)), DTYPE_F32);
    return contract && contract->axis_count == 1 ? contract : NULL;
}

/* ---- local buffers ---- */

/* Between what is large an odd line, so that it does not meet in few sets. */
static Node *band_local(Attention *a, const char *name, int rank, Node *const *dims)
{
    Node *const made = local_make(a->ir, name, type_tensor(a->ir, DTYPE_F32, rank, dims), &a->scratch);
    a->scratch += LINE;
    return made;
}

/* Rows one after the other, each on lines of its own; an odd number of them, so that rows do not meet in one set. */
static Node *band_make(Attention *a, const Node *row)
{
    Node *dims[2] = {index_const(a->ir, a->rows), NULL};
    int64_t length;
    if (row->type.rank == 0)
        return band_local(a, row->payload.buffer->name, 1, dims);
    if (row->type.rank != 1 || row->type.dtype != DTYPE_F32 || !const_is_int(row->type.dims[0], &length))
        return NULL;
    dims[1] = index_const(a->ir, (((length + PANEL - 1) / PANEL) | 1) * PANEL);
    return band_local(a, row->payload.buffer->name, 2, dims);
}

static Node *band_of(const Attention *a, const Node *row)
{
    for (int i = 0; i < a->band_count; i++)
        if (a->bands_of[i].row == row)
            return a->bands_of[i].band;
    return NULL;
}

static bool reads(const Attention *a, int stage, const Node *buffer)
{
    Node *value = stage_value(stage_at(a, stage));
    int count;
    Node **const nodes = nodes_topological(a->ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_at && nodes[i]->inputs[0] == buffer)
            return true;
    return false;
}

/* A row that stage number `s` reads element by element for the last time: its place serves for the result. */
static Node *dying_row(const Attention *a, int s)
{
    const Node *const stage = stage_at(a, s);
    Node *value = stage_value(stage), *found = NULL;
    int count;
    Node **const nodes = nodes_topological(a->ir, &value, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op == OP_fold || nodes[i]->op == OP_contract)
            return NULL;
        if (nodes[i]->op == OP_at && is_local(nodes[i]->inputs[0]) && nodes[i]->inputs[0]->type.rank == 1) {
            if (nodes[i]->inputs[1] != stage_indices(stage)[0] || (found && found != nodes[i]->inputs[0]))
                return NULL;
            found = nodes[i]->inputs[0];
        }
    }
    for (int later = s + 1; later < a->stages->count && found; later++)
        if (reads(a, later, found))
            return NULL;
    return found;
}

static bool plan_bands(Attention *a)
{
    for (int s = 0; s + 1 < a->stages->count; s++) {
        Node *const row = stage_buffer(stage_at(a, s));
        if (!is_local(row))
            return false;
        if (band_of(a, row))
            continue;
        const Node *const before = s && row->type.rank == 1 ? dying_row(a, s) : NULL;
        Node *band = before && index_is(index_sub(a->ir, before->type.dims[0], row->type.dims[0]), 0)
                         ? band_of(a, before)
                         : band_make(a, row);
        if (!band || a->band_count == STAGES_MAX)
            return false;
        a->bands_of[a->band_count++] = (Band){row, band};
    }
    return true;
}

/* ---- stages for a band ---- */

typedef struct BandRow {
    const Attention *attention;
    Node *row;
} BandRow;

static Node *read_of_band(Ir *ir, Node *read, void *context)
{
    const BandRow *const at = context;
    Node *const band = band_of(at->attention, read->inputs[0]);
    Node *const indices[2] = {at->row, read->input_count > 1 ? read->inputs[1] : NULL};
    return band ? at_make(ir, band, indices) : NULL;
}

/* `node` with the query of number base + row, and rows of the band for the row at hand. */
static Node *banded(const Attention *a, Node *node, Node *base, Node *row)
{
    Node *const number = index_add(a->ir, base, row);
    node = node_substitute(a->ir, node, &a->query, &number, 1);
    return value_replace_reads(a->ir, node, read_of_band, &(BandRow){a, row});
}

/* The stage along `row` instead of the query, with this value. */
static Node *banded_stage(const Attention *a, const Node *stage, Node *base, Node *row, Node *value)
{
    Ir *const ir = a->ir;
    Node *axes[RANK_MAX], *indices[RANK_MAX], *target = stage_buffer(stage);
    Node *const number = index_add(ir, base, row), *const band = band_of(a, target);
    for (int i = 0; i < stage->axis_count; i++)
        axes[i] = stage->axes[i] == a->query ? row : stage->axes[i];
    indices[0] = row;
    for (int i = 0; i < target->type.rank; i++)
        indices[i + (band != NULL)] = node_substitute(ir, stage_indices(stage)[i], &a->query, &number, 1);
    return stage_make(ir, axes, stage->axis_count, band ? band : target, indices, value);
}

/* ---- products ---- */

/* Which operand of the stage's product is read along the columns of the result? */
static int column_operand(const Attention *a, const Node *contract)
{
    const Node *const first = contract->inputs[0];
    return node_depends(a->ir, contract->inputs[0], a->query) || (first->op == OP_at && band_of(a, first->inputs[0]));
}

/* The one axis of the stage's own that the operand is read along; NULL: none, or several. */
static Node *column_axis(const Attention *a, const Node *stage, Node *operand)
{
    Node *column = NULL;
    for (int i = a->shared; i < stage->axis_count; i++)
        if (node_depends(a->ir, operand, stage->axes[i])) {
            if (column || index_is(stage->axes[i]->inputs[0], 1))
                return NULL;
            column = stage->axes[i];
        }
    return column;
}

static Node *panels_make(Attention *a, const char *name, Node *columns, Node *depth)
{
    Ir *const ir = a->ir;
    return band_local(a, name, 3,
                      (Node *[]){index_ceildiv(ir, columns, index_const(ir, PANEL)), depth, index_const(ir, PANEL)});
}

static Node *at_panel(Ir *ir, Node *panels, Node *column, Node *k)
{
    Node *const width = index_const(ir, PANEL);
    return at_make(ir, panels, (Node *[]){index_floordiv(ir, column, width), k, index_mod(ir, column, width)});
}

/* Panels of `operand`; columns beyond the last hold zeros. */
static Node *panel_stage(const Attention *a, Node *panels, Node *operand, Node *column, Node *k)
{
    Ir *const ir = a->ir;
    Node *const axes[3] = {axis_make(ir, "panel", panels->type.dims[0]), axis_make(ir, "k", k->inputs[0]),
                           axis_make(ir, "lane", index_const(ir, PANEL))};
    Node *const number = index_add(ir, index_mul(ir, axes[0], index_const(ir, PANEL)), axes[2]);
    Node *value = node_substitute(ir, operand, (Node *[]){column, k}, (Node *[]){number, axes[1]}, 2);
    value = guard_make(ir, scalar2(ir, OP_lt, number, column->inputs[0]), cast_make(ir, value, DTYPE_F32),
                       const_float(ir, DTYPE_F32, 0));
    return stage_make(ir, axes, 3, panels, axes, value);
}

/* The product stage number `s` for a band, with its operands where they are read from. */
static Node *product_stage(const Attention *a, int s, Node *base, Node *row)
{
    Ir *const ir = a->ir;
    const Node *const stage = stage_at(a, s);
    Node *const contract = product_at(a, s), *const panels = s == 0 ? a->keys : a->values;
    const int b = column_operand(a, contract);
    Node *operands[2] = {banded(a, contract->inputs[0], base, row), banded(a, contract->inputs[1], base, row)};
    if (panels)
        operands[b] = at_panel(ir, panels, column_axis(a, stage, contract->inputs[b]), contract->axes[0]);
    if (s == 0 && a->copied)
        operands[!b] = at_make(ir, a->copied, (Node *[]){row, contract->axes[0]});
    Node *const made = contract_make(ir, DTYPE_F32, contract->axes, 1, operands[0], operands[1]);
    /* The product must survive the replacement of what surrounds it: a stand-in takes its place first. */
    Node *const stand_in = cast_make(ir, axis_make(ir, "sum", NULL), DTYPE_F32);
    Node *value = node_substitute(ir, stage_value(stage), (Node *const *)&contract, (Node *const *)&stand_in, 1);
    value = node_substitute(ir, banded(a, value, base, row), (Node *const *)&stand_in, (Node *const *)&made, 1);
    return banded_stage(a, stage, base, row, value);
}

/* The queries of a band, as the product takes them. */
static Node *copy_stage(const Attention *a, Node *base, Node *row)
{
    Ir *const ir = a->ir;
    const Node *const contract = product_at(a, 0);
    Node *const k = axis_make(ir, "k", contract->axes[0]->inputs[0]);
    Node *value = banded(a, contract->inputs[!column_operand(a, contract)], base, row);
    value = cast_make(ir, node_substitute(ir, value, contract->axes, &k, 1), DTYPE_F32);
    Node *const axes[2] = {row, k};
    return stage_make(ir, axes, 2, a->copied, axes, value);
}

static bool plan_product(Attention *a, int s, Contract *contract)
{
    Ir *const ir = a->ir;
    Node *const row = axis_make(ir, "row", index_const(ir, a->rows));
    *contract = (Contract){.ir = ir, .kernel = a->written ? a->written : a->kernel, .target = a->target};
    Node *const base = axis_make(ir, "base", index_const(ir, a->queries - a->rows + 1));
    return contract_plan_within(contract, product_stage(a, s, base, row), a->shared - 1);
}

/* The scores by tile registers: keys are split once for a unit, queries for each band. */
static bool plan_tiled(Attention *a, Tiled *tiled, int64_t rows)
{
    Ir *const ir = a->ir;
    Node *const row = axis_make(ir, "row", index_const(ir, rows));
    *tiled =
        (Tiled){.p = {.ir = ir, .c = {.ir = ir, .kernel = a->written ? a->written : a->kernel, .target = a->target}}};
    Node *const base = axis_make(ir, "base", index_const(ir, a->queries - rows + 1));
    return a->target->tiles && tiles_plan_within(tiled, product_stage(a, 0, base, row), a->shared - 1);
}

/* Tile registers take two thirds of the time of vectors, which pays for splitting where units are large: whisper's
 * 1,500 keys 25 -> 22.5 ms a layer, but the 197 of vit_b_16 13.4 -> 16.1 ms in all. */
static void plan_scores(Attention *a, Trial *trial)
{
    static const char *const names[] = {"vectors", "tiles"};
    Tiled tiled;
    if (!plan_tiled(a, &tiled, a->rows))
        return;
    const bool large = tiled.p.c.guess_columns >= TILED_LEAST && a->block * a->rows >= TILED_LEAST;
    if (suggest_choice(trial, "scores", names, 2, large) == 0)
        return;
    a->tiled = tiled;
    tiles_locals_within(&a->tiled, &a->scratch);
}

/* Where operands are read from: copies where they cannot be read in place. Keys are always copied, for all bands read
 * them. */
static bool plan_operands(Attention *a)
{
    Ir *const ir = a->ir;
    Contract contract;
    const Node *const scores = product_at(a, 0);
    Node *const depth = scores->axes[0]->inputs[0];
    Node *const key = column_axis(a, stage_at(a, 0), scores->inputs[column_operand(a, scores)]);
    const int last = a->stages->count - 1;
    a->keys = key ? panels_make(a, "keys", key->inputs[0], depth) : NULL;
    if (!a->keys)
        return false;
    if (!plan_product(a, 0, &contract)) {
        a->copied = band_local(a, "queries", 2, (Node *[]){index_const(ir, a->rows), depth});
        if (!a->copied || !plan_product(a, 0, &contract))
            return false;
    }
    if (plan_product(a, last, &contract))
        return true;
    const Node *const product = product_at(a, last);
    Node *const column = column_axis(a, stage_at(a, last), product->inputs[column_operand(a, product)]);
    a->values = column ? panels_make(a, "values", column->inputs[0], product->axes[0]->inputs[0]) : NULL;
    return a->values && plan_product(a, last, &contract);
}

/* ---- the decisions ---- */

/* Is it a product, stages of rows and a product with one of those, all of known size? */
static bool match(Attention *a)
{
    Ir *const ir = a->ir;
    const int count = a->stages->count;
    if (count < 3 || count > STAGES_MAX || kernel_has_order(a->kernel) || kernel_has_steps(a->kernel))
        return false;
    a->shared = stages_shared_axes(a->stages);
    const Node *const first = stage_at(a, 0);
    if (a->shared < 1 || first->axis_count != a->shared + 1 || !product_at(a, 0) || !product_at(a, count - 1))
        return false;
    a->query = first->axes[a->shared - 1];
    if (!const_is_int(a->query->inputs[0], &a->queries) || a->queries < 1 ||
        !const_is_int(first->axes[a->shared]->inputs[0], &a->length) || a->length < 1)
        return false;
    for (int i = 0; i < count; i++) {
        const Node *const stage = stage_at(a, i);
        if ((i > 0 && i + 1 < count && value_contracts(ir, stage_value(stage))) ||
            (i + 1 < count && !is_local(stage_buffer(stage))))
            return false;
    }
    return true;
}

/* Cycles of the products of a band of `rows` rows, roughly, and of beginning with one. */
static double rows_cycles(const Attention *a, int64_t rows)
{
    const Node *const last = stage_at(a, a->stages->count - 1);
    Node *const product = product_at(a, a->stages->count - 1);
    const Node *const column = column_axis(a, last, product->inputs[column_operand(a, product)]);
    int64_t depth = 1, columns = 1;
    const_is_int(product_at(a, 0)->axes[0]->inputs[0], &depth);
    if (column)
        const_is_int(column->inputs[0], &columns);
    return rows < 1 ? 0
                    : 1000 + (double)depth * contract_step_cycles(a->target, rows, a->length) +
                          (double)a->length * contract_step_cycles(a->target, rows, columns);
}

/* Bands that tiles fill, the last one too. */
static int64_t choose_rows(const Attention *a)
{
    int64_t most = a->target->l2 / (a->length * 4) < BAND_LEAST ? BAND_LEAST : a->target->l2 / (a->length * 4);
    most = most < BAND_MOST ? most : BAND_MOST;
    most = a->queries < most ? a->queries : most;
    if (a->target->tiles && most == BAND_MOST && a->length >= TILED_LEAST)
        return most; /* whole pairs of strips */
    int64_t best = most;
    double least = 1e300;
    for (int64_t rows = most; rows >= 1 && (rows >= BAND_LEAST || rows == most); rows--) {
        const double cycles = (double)(a->queries / rows) * rows_cycles(a, rows) + rows_cycles(a, a->queries % rows);
        if (cycles < least * 0.999) {
            best = rows;
            least = cycles;
        }
    }
    return best;
}

static bool plan(Attention *a, Trial *trial)
{
    a->stages = kernel_stages(a->kernel);
    if (!match(a))
        return false;
    const int64_t most = a->queries < BAND_MOST ? a->queries : BAND_MOST;
    a->rows = suggest_int(trial, "rows", 1, most, choose_rows(a));
    a->bands = (a->queries + a->rows - 1) / a->rows;
    int64_t extent;
    a->batches = 1;
    for (int i = 0; i + 1 < a->shared; i++)
        a->batches *= const_is_int(stage_at(a, 0)->axes[i]->inputs[0], &extent) && extent > 0 ? extent : 1;
    const int64_t blocks = a->batches >= UNITS_ENOUGH ? 1 : ceil_divide(UNITS_ENOUGH, a->batches);
    a->block = (a->bands + blocks - 1) / blocks;
    a->block = suggest_int(trial, "bands", 1, a->bands, a->block);
    a->scratch = (a->kernel->payload.kernel->scratch + LINE - 1) / LINE * LINE;
    if (!plan_bands(a) || !plan_operands(a))
        return false;
    plan_scores(a, trial);
    return a->scratch <= SCRATCH_MAX;
}

/* ---- emission ---- */

/* All local buffers of the schedule as targets of stages, so that what is read from them is read when it is reached. */
static void note_written(Attention *a)
{
    Ir *const ir = a->ir;
    Node *const zero = index_const(ir, 0), *const row = axis_make(ir, "row", index_const(ir, a->rows));
    Block *const block = block_make(ir);
    for (int s = 0; s < a->stages->count; s++) {
        const Node *const stage = stage_at(a, s);
        block_append(ir, block, banded_stage(a, stage, zero, row, const_float(ir, DTYPE_F32, 0)));
    }
    Node *const extras[3] = {a->keys, a->values, a->copied};
    Node *const zeros[3] = {zero, zero, zero};
    for (int i = 0; i < 3; i++)
        if (extras[i])
            block_append(ir, block, stage_make(ir, &row, 1, extras[i], zeros, const_float(ir, DTYPE_F32, 0)));
    a->written = kernel_make(ir, a->kernel->payload.kernel->name, block);
}

static LoopsSchedule vectors(const Attention *a)
{
    return (LoopsSchedule){.lanes = a->target->vector_bytes < 4 ? 1 : a->target->vector_bytes / 4};
}

static void emit_product(Attention *a, Block *block, int s, Node *base, Node *row)
{
    Contract contract = {.ir = a->ir, .kernel = a->written, .target = a->target};
    Node *const stage = product_stage(a, s, base, row);
    const LoopsSchedule schedule = vectors(a);
    if (!value_contracts(a->ir, stage_value(stage))) { /* a guard hides it from all rows of the band */
        loops_emit_within(a->ir, a->written, block, stage, &schedule, a->shared - 1);
        return;
    }
    if (s == 0 && a->tiled.p.b_parts) {
        Tiled tiled = {.p = {.ir = a->ir, .c = {.ir = a->ir, .kernel = a->written, .target = a->target}}};
        if (!tiles_plan_within(&tiled, stage, a->shared - 1))
            BUG("a product that was planned cannot be emitted");
        tiled.p.a_parts = a->tiled.p.a_parts;
        tiled.p.b_parts = a->tiled.p.b_parts;
        tiled.p.c.sums = a->tiled.p.c.sums;
        tiles_rows_within(&tiled, block);
        return;
    }
    if (!contract_plan_within(&contract, stage, a->shared - 1))
        BUG("a product that was planned cannot be emitted");
    contract_emit_within(&contract, block, index_const(a->ir, 0),
                         index_ceildiv(a->ir, contract.roles.rows, index_const(a->ir, contract.tile.rows)));
}

/* The stages between the products. Where the band stays in L1 each walks all of its rows, for what a row waits for (its
 * largest, its sum) the next ones hide; else a row goes through all of them while it is near. */
static void emit_rows(Attention *a, Block *block, Node *base, Node *row)
{
    Ir *const ir = a->ir;
    const LoopsSchedule schedule = vectors(a);
    const int count = a->stages->count - 2;
    int64_t rows = 1;
    const_is_int(row->inputs[0], &rows);
    const bool near = rows * a->length * 4 <= NEAR_BYTES;
    Node *stages[STAGES_MAX];
    for (int s = 0; s < count; s++) {
        const Node *const stage = stage_at(a, s + 1);
        stages[s] = banded_stage(a, stage, base, row, banded(a, stage_value(stage), base, row));
    }
    Block *inside = NULL;
    for (int s = 0; s < count;) {
        if (!inside || near)
            inside = body_for(ir, block, row, index_const(ir, 0), row->inputs[0], 1);
        s += rows_emit(ir, a->written, inside, stages + s, count - s, a->shared, &schedule);
    }
}

/* The band of `rows` rows from number `base` on. */
static void emit_band(Attention *a, Block *block, int64_t rows, Node *base)
{
    Ir *const ir = a->ir;
    const LoopsSchedule schedule = vectors(a);
    Node *const row = axis_make(ir, "row", index_const(ir, rows));
    if (a->copied)
        loops_emit(ir, a->written, block, copy_stage(a, base, row), &schedule);
    emit_product(a, block, 0, base, row);
    emit_rows(a, block, base, row);
    emit_product(a, block, a->stages->count - 1, base, axis_make(ir, "row", index_const(ir, rows)));
}

static void emit_panels(Attention *a, Block *block, int s, Node *panels)
{
    const Node *const stage = stage_at(a, s), *const contract = product_at(a, s);
    Node *const operand = contract->inputs[column_operand(a, contract)];
    Node *const column = column_axis(a, stage, operand), *const k = contract->axes[0];
    const LoopsSchedule schedule = {.lanes = PANEL};
    if (a->target->vector_bytes >= PANEL * 4 &&
        panels_emit_transposed(a->ir, a->written, block, panels, operand, column, k))
        return;
    loops_emit(a->ir, a->written, block, panel_stage(a, panels, operand, column, k), &schedule);
}

Node *attention_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    Attention a = {.ir = ir, .kernel = kernel, .target = target};
    if (!plan(&a, trial))
        return NULL;
    note_written(&a);
    Node *const rows = index_const(ir, a.rows), *const whole = index_const(ir, a.queries / a.rows);
    const int64_t blocks = (a.bands + a.block - 1) / a.block, left = a.queries % a.rows;
    Node *units = index_const(ir, blocks);
    for (int i = 0; i + 1 < a.shared; i++)
        units = index_mul(ir, units, stage_at(&a, 0)->axes[i]->inputs[0]);
    Node *const unit = axis_make(ir, "unit", units);
    Block *const body = block_make(ir);
    Block *block = body_units(ir, body, unit);
    block = contract_bind(ir, block, stage_at(&a, 0)->axes, a.shared - 1,
                          index_floordiv(ir, unit, index_const(ir, blocks)));
    emit_panels(&a, block, 0, a.keys);
    if (a.values)
        emit_panels(&a, block, a.stages->count - 1, a.values);
    Tiled tiled;
    if (a.tiled.p.b_parts && plan_tiled(&a, &tiled, a.rows)) {
        tiled.p.b_parts = a.tiled.p.b_parts;
        tiles_columns_within(&tiled, block);
    }
    Node *const first = index_mul(ir, index_mod(ir, unit, index_const(ir, blocks)), index_const(ir, a.block));
    Node *const last = index_min(ir, index_add(ir, first, index_const(ir, a.block)), index_const(ir, a.bands));
    if (!index_is(whole, 0)) {
        Node *const band = axis_make(ir, "band", NULL);
        emit_band(&a, body_for(ir, block, band, first, index_min(ir, last, whole), 1), a.rows,
                  index_mul(ir, band, rows));
    }
    if (left) /* runs once, in the units that hold the last band */
        emit_band(&a, body_for(ir, block, axis_make(ir, "low", NULL), index_max(ir, first, whole), last, 1), left,
                  index_mul(ir, whole, rows));
    const char *const text = arena_format(ir->arena, "attention rows=%lld bands=%lld queries=%s values=%s%s",
                                          (long long)a.rows, (long long)a.block, a.copied ? "packed" : "strided",
                                          a.values ? "packed" : "strided", a.tiled.p.b_parts ? " scores=tiles" : "");
    return kernel_with_body(ir, kernel, body, units, text, a.scratch);
}

bool attention_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    Attention a = {.ir = ir, .kernel = kernel, .target = target};
    if (!plan(&a, trial))
        return false;
    const int64_t left = a.queries % a.rows, units = a.batches * ceil_divide(a.bands, a.block);
    const double products = (double)(a.queries / a.rows) * rows_cycles(&a, a.rows) + rows_cycles(&a, left);
    const double rows = (double)(a.queries * a.length) * target->exp_cycles;
    *cycles = (products + rows) * (double)a.batches / (double)units * (double)ceil_divide(units, threads);
    return true;
}
