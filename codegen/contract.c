/* The contract template: see contract.h.
 *
 *     for unit in chunk:  batch axes, block of column groups, block of tiles of rows
 *         copy the rows of A that the block needs to scratch, unless A can be read where it stands
 *         for each block of a long k, each group of columns in the block, each tile of rows in the block:
 *             acc[r][v] = 0                                     rows x vectors registers of 16 columns; or, after the
 *                                                               first block of k, what the block before left in scratch
 *             for k ascending:  acc[r][v] = fma(A[r,k], B[k,v], acc[r][v])
 *             Y[r,v] = epilogue(acc[r][v])
 *
 * One accumulator per element, k ascending: the bits do not depend on tile, threads or level. Rows are the flattened m
 * axes; the epilogue is the stage's own expression with the contraction replaced by the register. */
#include "codegen/contract.h"
#include "codegen/contract_emit.h"
#include "codegen/contract_window.h"

#include "ir/kernel.h"
#include "ir/loops.h"

#include <string.h>

/* ---- tiles ---- */

static Node *ordered(Ir *ir, Block *block, Node *node)
{
    if (op_kind(node->op) == KIND_ORDERED)
        block_append(ir, block, node);
    return node;
}

Node *contract_emit_load(Ir *ir, Block *block, Node *buffer, Node *offset, int lanes, Node *mask, bool written)
{
    const Type type = type_vector(buffer->type.dtype, lanes);
    Node *inputs[4] = {buffer, offset, mask, NULL};
    if (mask)
        inputs[3] = splat_make(ir, const_int(ir, type.dtype, 0), lanes);
    const Op op = written || is_local(buffer) ? OP_read : OP_load;
    return ordered(ir, block,
                   node_make(ir, &(Node){.op = op, .type = type, .inputs = inputs, .input_count = mask ? 4 : 2}));
}

static Node *vector_load(Contract *c, Block *block, Node *buffer, Node *offset, Node *mask)
{
    return contract_emit_load(c->ir, block, buffer, offset, PANEL, mask, c->b_written);
}

/* a_offset: how far k moves A from its row. */
static Node *load_a(Contract *c, Block *block, const Corner *corner, int row, Node *a_offset)
{
    Ir *const ir = c->ir;
    Node *offset, *buffer = c->a_local ? c->a_local : c->a_buffer;
    const Op op = c->a_local || c->a_written ? OP_read : OP_load;
    if (c->read_a == READ_WINDOW)
        offset = index_add(ir, corner->a_first, index_const(ir, contract_window_offset(c, corner, row)));
    else if (c->read_a == READ_PACKED)
        offset = index_mul(ir, index_add(ir, corner->a_row, index_const(ir, row)), c->depth);
    else
        offset =
            index_add(ir, c->a_rest, index_mul(ir, index_add(ir, corner->a_row, index_const(ir, row)), c->a_pitch));
    Node *const scalar = ordered(ir, block,
                                 node_make(ir, &(Node){.op = op,
                                                       .type = type_scalar(DTYPE_F32),
                                                       .inputs = (Node *[]){buffer, index_add(ir, offset, a_offset)},
                                                       .input_count = 2}));
    return splat_make(ir, scalar, PANEL);
}

Node *contract_panel_offset(Contract *c, Node *panel, Node *k)
{
    Ir *const ir = c->ir;
    Node *const offset = index_mul(ir, index_add(ir, index_mul(ir, panel, c->depth), k), index_const(ir, PANEL));
    return c->read_b == READ_PANELS ? index_add(ir, c->b_rest, offset) : offset;
}

static Node *load_b(Contract *c, Block *block, const Corner *corner, int vector, Node *k, Node *mask)
{
    Ir *const ir = c->ir;
    Node *const ahead = index_const(ir, vector);
    if (c->read_b == READ_STRIDED) {
        Node *const column = index_add(ir, corner->column, index_const(ir, vector * PANEL));
        Node *const offset = index_add(ir, c->b_rest, index_add(ir, column, index_mul(ir, k, c->b_step)));
        return vector_load(c, block, c->b_buffer, offset, mask);
    }
    Node *panel = corner->panel;
    if (c->read_b == READ_PANELS)
        panel = index_floordiv(ir, corner->column, index_const(ir, PANEL));
    Node *const buffer = c->read_b == READ_PANELS ? c->b_buffer : c->b_local;
    Node *const value = vector_load(c, block, buffer, contract_panel_offset(c, index_add(ir, panel, ahead), k), NULL);
    return cast_make(ir, value, DTYPE_F32);
}

void contract_emit_step_of(Contract *c, Block *block, const Corner *corner, Tile tile, Node **accumulators, Node *k,
                           Node *a_offset, Node *const *masks)
{
    Ir *const ir = c->ir;
    Node *columns[VECTORS_MAX];
    for (int v = 0; v < tile.vectors; v++)
        columns[v] = load_b(c, block, corner, v, k, masks ? masks[v] : NULL);
    for (int r = 0; r < tile.rows; r++) {
        Node *const row = load_a(c, block, corner, r, a_offset);
        for (int v = 0; v < tile.vectors; v++) {
            Node *const var = accumulators[r * tile.vectors + v];
            body_set(ir, block, var, scalar3(ir, OP_fma, row, columns[v], body_get(ir, block, var)));
        }
    }
}

static void emit_step(Contract *c, Block *block, const Corner *corner, Tile tile, Node **accumulators, Node *k,
                      Node *const *masks)
{
    Node *const a_offset = c->read_a == READ_STRIDED ? index_mul(c->ir, k, c->a_step) : k;
    contract_emit_step_of(c, block, corner, tile, accumulators, k, a_offset, masks);
}

/* The whole rounds of the tile's part of k. */
static void emit_products(Contract *c, Block *block, const Corner *corner, Tile tile, Node **accumulators,
                          Node *const *masks)
{
    Ir *const ir = c->ir;
    Node *const round = index_const(ir, c->unroll);
    Node *const whole = index_mul(ir, index_floordiv(ir, c->depth, round), round);
    if (index_is(whole, 0))
        return;
    Node *const k = axis_make(ir, "k", c->depth), *const last = c->partial ? index_min(ir, corner->to, whole) : whole;
    Block *const body = body_for(ir, block, k, corner->from, last, c->unroll);
    contract_emit_round_fetch(c, body, corner, k);
    for (int i = 0; i < c->unroll; i++) {
        Node *const step = index_add(ir, k, index_const(ir, i));
        contract_emit_fetch(c, body, corner, tile.vectors, step);
        emit_step(c, body, corner, tile, accumulators, step, masks);
    }
}

/* The steps at the end of k that are no whole round. */
static void emit_rest(Contract *c, Block *block, const Corner *corner, Tile tile, Node **accumulators,
                      Node *const *masks)
{
    Ir *const ir = c->ir;
    Node *const round = index_const(ir, c->unroll);
    Node *const whole = index_mul(ir, index_floordiv(ir, c->depth, round), round);
    int64_t at, end;
    if (const_is_int(whole, &at) && const_is_int(c->depth, &end)) {
        for (; at < end; at++)
            emit_step(c, block, corner, tile, accumulators, index_const(ir, at), masks);
        return;
    }
    Node *const k = axis_make(ir, "k", c->depth);
    emit_step(c, body_for(ir, block, k, whole, c->depth, 1), corner, tile, accumulators, k, masks);
}

/* The tile's sums after an earlier block of k come from scratch, or go there. */
static void emit_partial(Contract *c, Block *block, const Corner *corner, Tile tile, Node **accumulators, bool store)
{
    Ir *const ir = c->ir;
    Node *const rows = index_const(ir, c->block_tiles * c->tile.rows);
    for (int v = 0; v < tile.vectors; v++)
        for (int r = 0; r < tile.rows; r++) {
            Node *const var = accumulators[r * tile.vectors + v];
            Node *const line = index_add(ir, index_mul(ir, index_add(ir, corner->panel, index_const(ir, v)), rows),
                                         index_add(ir, corner->unit_row, index_const(ir, r)));
            Node *const offset = index_mul(ir, line, index_const(ir, PANEL));
            if (!store) {
                body_set(ir, block, var, vector_load(c, block, c->partial, offset, NULL));
                continue;
            }
            Node *const value = body_get(ir, block, var);
            ordered(
                ir, block,
                node_make(ir,
                          &(Node){.op = OP_store, .inputs = (Node *[]){c->partial, offset, value}, .input_count = 3}));
        }
}

/* All steps of the tile's part of k. Returns where the sums are complete. */
static Block *emit_part(Contract *c, Block *block, const Corner *corner, Tile tile, Node **accumulators,
                        Node *const *masks)
{
    Ir *const ir = c->ir;
    if (c->partial)
        emit_partial(c, contract_emit_if(ir, block, scalar2(ir, OP_lt, index_const(ir, 0), corner->from), NULL), corner,
                     tile, accumulators, false);
    emit_products(c, block, corner, tile, accumulators, masks);
    if (c->partial) {
        Block *last;
        emit_partial(c, contract_emit_if(ir, block, scalar2(ir, OP_lt, corner->to, c->depth), &last), corner, tile,
                     accumulators, true);
        block = last;
    }
    emit_rest(c, block, corner, tile, accumulators, masks);
    return block;
}

/* masked: columns beyond the last may be touched neither in B (unless padded) nor in Y. */
static void emit_tile(Contract *c, Block *block, const Corner *corner, Tile tile, bool masked)
{
    Ir *const ir = c->ir;
    Node *accumulators[ROWS_MAX * VECTORS_MAX], *masks[VECTORS_MAX] = {0};
    Node *const zero = splat_make(ir, const_int(ir, DTYPE_F32, 0), PANEL);
    for (int i = 0; i < tile.rows * tile.vectors; i++)
        accumulators[i] = body_var(ir, block, zero);
    contract_emit_masks(c, corner, tile.vectors, masked, masks);
    contract_emit_result_fetch(c, block, corner, tile);
    if (c->read_a == READ_WINDOW)
        contract_window_products(c, block, corner, tile, accumulators, masks);
    else
        block = emit_part(c, block, corner, tile, accumulators, masks);
    if (c->sums) {
        contract_emit_results_from_memory(c, block, corner, tile, accumulators, masks);
        return;
    }
    for (int r = 0; r < tile.rows; r++)
        for (int v = 0; v < tile.vectors; v++)
            contract_emit_result(c, block, corner, index_const(ir, r), v,
                                 body_get(ir, block, accumulators[r * tile.vectors + v]), masks[v]);
}

/* ---- loops over tiles ---- */

Block *contract_emit_if(Ir *ir, Block *block, Node *condition, Block **otherwise)
{
    Block *blocks[2] = {block_make(ir), otherwise ? block_make(ir) : NULL};
    block_append(ir, block,
                 node_make(ir, &(Node){.op = OP_if,
                                       .inputs = &condition,
                                       .input_count = 1,
                                       .blocks = blocks,
                                       .block_count = otherwise ? 2 : 1}));
    if (otherwise)
        *otherwise = blocks[1];
    return blocks[0];
}

void contract_emit_group(Contract *c, Block *block, const Corner *corner, int rows, bool narrow)
{
    Ir *const ir = c->ir;
    const int vectors = c->tile.vectors;
    int64_t columns;
    if (!narrow) {
        emit_tile(c, block, corner, (Tile){rows, vectors}, false);
        return;
    }
    if (const_is_int(c->roles.columns, &columns)) {
        const int64_t rest = columns % (vectors * PANEL);
        emit_tile(c, block, corner, (Tile){rows, (int)((rest + PANEL - 1) / PANEL)}, rest % PANEL != 0);
        return;
    }
    for (int v = 0; v < vectors; v++) { /* unknown width: vector by vector, those wholly outside are left out */
        Corner part = *corner;
        part.column = index_add(ir, corner->column, index_const(ir, v * PANEL));
        part.panel = index_add(ir, corner->panel, index_const(ir, v));
        emit_tile(c, contract_emit_if(ir, block, scalar2(ir, OP_lt, part.column, c->roles.columns), NULL), &part,
                  (Tile){rows, 1}, true);
    }
}

void contract_emit_row_tiles(Contract *c, Block *block, const Unit *unit, const Corner *start, Node *base,
                             TileEmitter *emit, void *context)
{
    Ir *const ir = c->ir;
    Node *const height = index_const(ir, c->tile.rows), *const tile = axis_make(ir, "tile", NULL);
    Node *const whole = index_floordiv(ir, c->roles.rows, height);
    int64_t rows;
    const bool known = const_is_int(c->roles.rows, &rows);
    Corner corner = *start;
    Block *body = body_for(ir, block, tile, unit->first_tile, unit->last_tile, 1), *low = NULL;
    corner.tile = index_sub(ir, tile, unit->first_tile);
    corner.row = index_mul(ir, tile, height);
    corner.a_row = index_sub(ir, corner.row, base);
    corner.unit_row = index_mul(ir, corner.tile, height);
    if (!known || rows % c->tile.rows)
        body = contract_emit_if(ir, body, scalar2(ir, OP_lt, tile, whole), &low);
    emit(context, body, &corner, c->tile.rows);
    if (!low)
        return;
    if (known) {
        emit(context, low, &corner, (int)(rows % c->tile.rows));
        return;
    }
    /* Unknown rows are left: tiles of half, a quarter ... of the height, so that B is not read once per row. */
    Node *from = corner.row;
    for (int part = c->tile.rows > 1 ? c->tile.rows / 2 : 1; part > 0; part /= 2) {
        Node *const row = axis_make(ir, "row", NULL), *const pitch = index_const(ir, part);
        Node *const left = index_floordiv(ir, index_sub(ir, c->roles.rows, from), pitch);
        Node *const to = part == 1 ? c->roles.rows : index_add(ir, from, index_mul(ir, left, pitch));
        corner.row = row;
        corner.a_row = index_sub(ir, row, base);
        corner.unit_row = index_sub(ir, row, index_mul(ir, unit->first_tile, height));
        emit(context, body_for(ir, low, row, from, to, part), &corner, part);
        from = to;
    }
}

typedef struct GroupAt {
    Contract *contract;
    bool narrow;
} GroupAt;

static void emit_group_tile(void *context, Block *block, const Corner *corner, int rows)
{
    const GroupAt *const at = context;
    contract_emit_group(at->contract, block, corner, rows, at->narrow);
}

static void emit_tiles(Contract *c, Block *block, const Unit *unit, const Corner *start, bool narrow)
{
    Ir *const ir = c->ir;
    if (c->read_a == READ_WINDOW) {
        contract_window_tiles(c, block, unit, start, narrow);
        return;
    }
    Node *const packed = index_mul(ir, unit->first_tile, index_const(ir, c->tile.rows));
    GroupAt at = {c, narrow};
    contract_emit_row_tiles(c, block, unit, start, c->read_a == READ_PACKED ? packed : index_const(ir, 0),
                            emit_group_tile, &at);
}

static Corner corner_at(Contract *c, const Unit *unit, Node *group, Node *column)
{
    Ir *const ir = c->ir;
    return (Corner){
        .column = column,
        .panel = index_mul(ir, index_sub(ir, group, unit->first_group), index_const(ir, c->tile.vectors)),
        .from = unit->from,
        .to = unit->to,
        .next = contract_next_offset(c, unit, group),
    };
}

static void emit_groups(Contract *c, Block *block, const Unit *unit)
{
    Ir *const ir = c->ir;
    Node *const width = index_const(ir, c->tile.vectors * PANEL);
    Node *const whole = index_floordiv(ir, c->roles.columns, width); /* groups without a mask */
    int64_t columns;
    const bool known = const_is_int(c->roles.columns, &columns);
    if (!index_is(whole, 0)) {
        Node *const group = axis_make(ir, "group", NULL);
        Block *const body = body_for(ir, block, group, unit->first_group, index_min(ir, unit->last_group, whole), 1);
        const Corner corner = corner_at(c, unit, group, index_mul(ir, group, width));
        emit_tiles(c, body, unit, &corner, false);
    }
    if (known && columns % (c->tile.vectors * PANEL) == 0)
        return;
    Node *const narrow = axis_make(ir, "narrow", NULL); /* runs once, in the units that hold the last group */
    Block *const body = body_for(ir, block, narrow, index_max(ir, unit->first_group, whole), unit->last_group, 1);
    const Corner corner = corner_at(c, unit, narrow, index_mul(ir, known ? whole : narrow, width));
    emit_tiles(c, body, unit, &corner, true);
}

void contract_emit_groups(Contract *c, Block *block, Unit unit)
{
    Ir *const ir = c->ir;
    unit.from = index_const(ir, 0);
    unit.to = c->depth;
    if (c->partial) {
        unit.from = axis_make(ir, "from", c->depth);
        unit.to = index_min(ir, index_add(ir, unit.from, index_const(ir, c->block_depth)), c->depth);
        block = body_for(ir, block, unit.from, index_const(ir, 0), c->depth, c->block_depth);
    }
    emit_groups(c, block, &unit);
}

/* Copies the rows of A that the unit's tiles need to scratch. */
static void emit_pack_rows(Contract *c, Block *block, const Unit *unit)
{
    Ir *const ir = c->ir;
    const Node *const contract = c->roles.contract;
    Node *const height = index_const(ir, c->tile.rows), *const first = index_mul(ir, unit->first_tile, height);
    Node *const rows = index_sub(ir, index_min(ir, index_mul(ir, unit->last_tile, height), c->roles.rows), first);
    Node *axes[RANK_MAX], *copies[RANK_MAX];
    axes[0] = axis_make(ir, "row", rows);
    for (int i = 0; i < contract->axis_count; i++)
        copies[i] = axes[i + 1] = axis_make(ir, contract->axes[i]->payload.name, contract->axes[i]->inputs[0]);
    Node *value = contract_flat_rows(c, c->roles.a, index_add(ir, first, axes[0]));
    value = cast_make(ir, node_substitute(ir, value, contract->axes, copies, contract->axis_count), DTYPE_F32);
    Node *const stage = stage_make(ir, axes, contract->axis_count + 1, c->a_local, axes, value);
    const LoopsSchedule schedule = {.lanes = PANEL};
    loops_emit(ir, c->kernel, block, stage, &schedule);
}

/* Copies the columns of the unit's groups of B to scratch, as panels; columns beyond the last hold zeros. */
static void emit_pack_columns(Contract *c, Block *block, const Unit *unit)
{
    Ir *const ir = c->ir;
    Node *const first = unit->first_group, *const last = unit->last_group;
    const Node *const contract = c->roles.contract;
    Node *axes[RANK_MAX], *copies[RANK_MAX];
    const int rank = contract->axis_count + 2;
    axes[0] = axis_make(ir, "panel", index_mul(ir, index_sub(ir, last, first), index_const(ir, c->tile.vectors)));
    for (int i = 0; i < contract->axis_count; i++)
        copies[i] = axes[i + 1] = axis_make(ir, contract->axes[i]->payload.name, contract->axes[i]->inputs[0]);
    axes[rank - 1] = axis_make(ir, "lane", index_const(ir, PANEL));
    Node *const panel = index_add(ir, axes[0], index_mul(ir, first, index_const(ir, c->tile.vectors)));
    Node *const column = index_add(ir, index_mul(ir, panel, index_const(ir, PANEL)), axes[rank - 1]);
    Node *value = node_substitute(ir, c->roles.b, &c->roles.n, (Node *const *)&column, 1);
    value = cast_make(ir, node_substitute(ir, value, contract->axes, copies, contract->axis_count), DTYPE_F32);
    value = guard_make(ir, scalar2(ir, OP_lt, column, c->roles.columns), value, const_int(ir, DTYPE_F32, 0));
    Node *const stage = stage_make(ir, axes, rank, c->b_local, axes, value);
    const LoopsSchedule schedule = {.lanes = PANEL};
    loops_emit(ir, c->kernel, block, stage, &schedule);
}

Block *contract_bind(Ir *ir, Block *block, Node *const *axes, int count, Node *number)
{
    Node *pitch = index_const(ir, 1);
    for (int i = count - 1; i >= 0; i--) {
        Node *const above = index_floordiv(ir, number, pitch);
        Node *const digit = i ? index_mod(ir, above, axes[i]->inputs[0]) : above;
        pitch = index_mul(ir, pitch, axes[i]->inputs[0]);
        block = body_for(ir, block, axes[i], digit, index_add(ir, digit, index_const(ir, 1)), 1);
    }
    return block;
}

/* Units: batch x blocks of columns x blocks of rows, rows fastest. With B packed its columns serve all rows. */
static Node *emit_units(Contract *c, Block *body)
{
    Ir *const ir = c->ir;
    Node *const one = index_const(ir, 1), *const zero = index_const(ir, 0);
    Node *const groups = index_ceildiv(ir, c->roles.columns, index_const(ir, c->tile.vectors * PANEL));
    Node *const tiles = index_ceildiv(ir, c->roles.rows, index_const(ir, c->tile.rows));
    Node *const block_groups = index_const(ir, c->block_groups), *const block_tiles = index_const(ir, c->block_tiles);
    Node *const column_blocks = index_ceildiv(ir, groups, block_groups);
    Node *const row_blocks = c->read_b == READ_PACKED ? one : index_ceildiv(ir, tiles, block_tiles);
    Node *batches = one;
    for (int i = 0; i < c->roles.batch_count; i++)
        batches = index_mul(ir, batches, c->roles.batch[i]->inputs[0]);
    Node *const units = index_mul(ir, index_mul(ir, batches, column_blocks), row_blocks);
    Node *const number = axis_make(ir, "unit", units);
    Block *block = body_units(ir, body, number);
    Node *const above = index_floordiv(ir, number, row_blocks);
    block = contract_bind(ir, block, c->roles.batch, c->roles.batch_count, index_floordiv(ir, above, column_blocks));
    Unit unit = {.first_group = index_mul(ir, index_mod(ir, above, column_blocks), block_groups)};
    unit.last_group = index_min(ir, index_add(ir, unit.first_group, block_groups), groups);
    if (c->read_b != READ_PACKED) {
        unit.first_tile = index_mul(ir, index_mod(ir, number, row_blocks), block_tiles);
        unit.last_tile = index_min(ir, index_add(ir, unit.first_tile, block_tiles), tiles);
    } else {
        emit_pack_columns(c, block, &unit);
        unit.first_tile = zero;
        unit.last_tile = tiles;
        if (c->read_a == READ_PACKED) { /* both: block of rows by block of rows */
            Node *const from = axis_make(ir, "block", NULL);
            block = body_for(ir, block, from, zero, tiles, c->block_tiles);
            unit.first_tile = from;
            unit.last_tile = index_min(ir, index_add(ir, from, block_tiles), tiles);
        }
    }
    if (c->read_a == READ_PACKED)
        emit_pack_rows(c, block, &unit);
    contract_emit_groups(c, block, unit);
    return units;
}

void contract_emit_columns(Contract *c, Block *block, Node *first_group, Node *last_group, Node *first_tile,
                           Node *last_tile)
{
    const Unit unit = {
        .first_group = first_group, .last_group = last_group, .first_tile = first_tile, .last_tile = last_tile};
    contract_emit_groups(c, block, unit);
}

void contract_emit_within(Contract *c, Block *block, Node *first_tile, Node *last_tile)
{
    Ir *const ir = c->ir;
    Node *const groups = index_ceildiv(ir, c->roles.columns, index_const(ir, c->tile.vectors * PANEL));
    contract_emit_columns(c, block, index_const(ir, 0), groups, first_tile, last_tile);
}

void contract_emit_step(Contract *c, Block *block, Node *tile)
{
    contract_emit_within(c, block, tile, index_add(c->ir, tile, index_const(c->ir, 1)));
}

/* What the cost model alone would not have chosen is said only where it was. */
static const char *schedule_text(const Contract *c)
{
    static const char *const reading[] = {"strided", "packed", "panels", "window"};
    Arena *const arena = c->ir->arena;
    if (c->read_a == READ_WINDOW)
        return contract_window_text(c);
    const char *text = arena_format(arena, "contract rows=%d vectors=%d tiles=%lld groups=%lld ahead=%d a=%s b=%s",
                                    c->tile.rows, c->tile.vectors, (long long)c->block_tiles,
                                    (long long)c->block_groups, c->ahead, reading[c->read_a], reading[c->read_b]);
    if (c->partial)
        text = arena_format(arena, "%s deep=%lld", text, (long long)c->block_depth);
    if (c->sums)
        text = arena_format(arena, "%s sums=memory", text);
    if (c->unroll != UNROLL)
        text = arena_format(arena, "%s unroll=%d", text, c->unroll);
    if (c->read_b == READ_PANELS && c->fetch != (c->partial ? 0 : PREFETCH_ROWS))
        text = arena_format(arena, "%s fetch=%d", text, c->fetch);
    return text;
}

Node *contract_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    Contract contract = {.ir = ir, .kernel = kernel, .target = target, .trial = trial};
    if (!contract_plan(&contract))
        return NULL;
    Block *const body = block_make(ir);
    Node *const units =
        contract.read_a == READ_WINDOW ? contract_window_units(&contract, body) : emit_units(&contract, body);
    return kernel_with_body(ir, kernel, body, units, schedule_text(&contract), contract.scratch);
}

bool contract_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    Contract contract = {.ir = ir, .kernel = kernel, .target = target, .trial = trial};
    if (!contract_plan(&contract))
        return false;
    *cycles = contract_plan_cycles(&contract, threads);
    return true;
}
