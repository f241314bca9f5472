/* The contract template: see contract.h.
 *
 *     for unit in chunk:  batch axes, block of column groups, tile of rows
 *         pack the rows of A that the tile needs, unless A can be read where it stands
 *         for each group of columns in the block:
 *             acc[r][v] = 0                                     rows x vectors registers of 16 columns
 *             for k ascending:  acc[r][v] = fma(A[r,k], B[k,v], acc[r][v])
 *             Y[r,v] = epilogue(acc[r][v])
 *
 * One accumulator per element, k ascending: the bits do not depend on tile, threads or level. Rows are the flattened m axes; the epilogue is
 * the stage's own expression with the contraction replaced by the register. */
#include "codegen/contract.h"

#include "ir/kernel.h"
#include "ir/loops.h"
#include "ir/roles.h"

#include <string.h>

enum { ROWS_MAX = 16, VECTORS_MAX = 8, UNROLL = 4, PREFETCH_ROWS = 16 };

/* How an operand is read. */
typedef enum Reading {
    READ_STRIDED, /* where it stands: offset = rest + row*pitch + k*step */
    READ_PACKED,  /* copied to scratch first */
    READ_PANELS,  /* a weight in panels [N/16][K][16] */
} Reading;

typedef struct Tile {
    int rows, vectors; /* vectors of PANEL columns */
} Tile;

typedef struct Contract {
    Ir *ir;
    Node *kernel;
    const TargetMachineInfo *target;
    ContractRoles roles;
    Node *m, *k, *depth;      /* flattened axes */
    Reading read_a, read_b;
    Node *a_buffer, *a_rest, *a_pitch, *a_step; /* READ_STRIDED: a_rest holds batch axes */
    Node *b_buffer, *b_rest, *b_step;
    Node *a_local, *b_local;  /* READ_PACKED */
    Tile tile;
    int64_t block_groups;     /* column groups of one unit */
    int ahead;                /* lines of the next group of B to fetch into L2 at each unrolled step; 0: none */
    int64_t scratch;
} Contract;

/* ---- analysis ---- */

/* `node` with the axes replaced by the digits of `number`, last axis fastest. */
static Node *with_digits(Ir *ir, Node *node, Node *const *axes, int count, Node *number)
{
    Node *digits[RANK_MAX], *pitch = index_const(ir, 1);
    for (int i = count - 1; i >= 0; i--) {
        Node *const above = index_floordiv(ir, number, pitch);
        digits[i] = i ? index_mod(ir, above, axes[i]->inputs[0]) : above;
        pitch = index_mul(ir, pitch, axes[i]->inputs[0]);
    }
    return node_substitute(ir, node, axes, digits, count);
}

static Node *flat_m(const Contract *c, Node *node, Node *row)
{
    return with_digits(c->ir, node, c->roles.m, c->roles.m_count, row);
}

static Node *flat_k(const Contract *c, Node *node, Node *k)
{
    return with_digits(c->ir, node, c->roles.contract->axes, c->roles.contract->axis_count, k);
}

/* offset = rest + m*pitch + k*step with constant pitch and step: A can be read in place. */
static bool a_is_strided(Contract *c)
{
    Ir *const ir = c->ir;
    Node *const at = c->roles.a;
    int64_t pitch, step;
    if (at->op != OP_at || at->type.dtype != DTYPE_F32)
        return false;
    Node *const linear = layout_offset(ir, at->inputs[0], at->inputs + 1);
    Node *rest, *const offset = flat_k(c, flat_m(c, linear, c->m), c->k);
    c->a_pitch = index_coefficient(ir, offset, c->m, &rest);
    c->a_step = c->a_pitch ? index_coefficient(ir, rest, c->k, &c->a_rest) : NULL;
    c->a_buffer = at->inputs[0];
    return c->a_step && const_is_int(c->a_pitch, &pitch) && const_is_int(c->a_step, &step) &&
           !node_depends(ir, c->a_rest, c->m) && !node_depends(ir, c->a_rest, c->k);
}

/* Columns one after the other in memory, k at a constant step. */
static bool b_is_strided(Contract *c)
{
    Ir *const ir = c->ir;
    Node *const at = c->roles.b;
    if (at->op != OP_at || at->type.dtype != DTYPE_F32)
        return false;
    Node *const linear = layout_offset(ir, at->inputs[0], at->inputs + 1);
    Node *rest, *const offset = flat_k(c, linear, c->k);
    Node *const column = index_coefficient(ir, offset, c->roles.n, &rest);
    c->b_step = column && index_is(column, 1) ? index_coefficient(ir, rest, c->k, &c->b_rest) : NULL;
    c->b_buffer = at->inputs[0];
    return c->b_step != NULL;
}

static bool b_is_panels(Contract *c)
{
    if (!c->roles.weight)
        return false;
    const Layout wanted = panel_layout(&c->roles);
    const Layout *const has = &c->roles.weight->payload.buffer->layout;
    c->b_buffer = c->roles.weight;
    return has->count == wanted.count && memcmp(has->entries, wanted.entries, (size_t)has->count * sizeof *has->entries) == 0 &&
           (c->roles.b->op == OP_at || c->roles.b->op == OP_cast);
}

/* Cycles of one k step of a tile, roughly: multiply-adds, against loads, against rows of B that come from L2 at 28 bytes a cycle. */
static double tile_cycles(const TargetMachineInfo *target, int64_t rows, int64_t vectors)
{
    const double width = target->vector_bytes >= 64 ? 1 : 2; /* registers per 16 columns */
    const double multiply = (double)(rows * vectors) * width / 2, loads = ((double)rows + (double)vectors * width) / 2;
    const double stream = (double)vectors * PANEL * 4 / 28;
    const double bound = multiply > loads ? multiply : loads;
    return (bound > stream ? bound : stream) + 0.1 * loads + 0.1 * stream;
}

static bool tile_fits(const TargetMachineInfo *target, int rows, int vectors)
{
    const int width = target->vector_bytes >= 64 ? 1 : 2;
    return rows * vectors * width + vectors * width + 1 <= target->vector_registers - (width == 1 ? 1 : 1);
}

/* The tile with the least work over the whole product, tails included. */
static Tile choose_tile(const Contract *c)
{
    int64_t rows, columns;
    if (!const_is_int(c->roles.rows, &rows))
        rows = 128;
    if (!const_is_int(c->roles.columns, &columns))
        columns = 128;
    const int64_t panels = (columns + PANEL - 1) / PANEL;
    Tile best = {1, 1};
    double least = 1e300;
    for (int r = 1; r <= ROWS_MAX - 2; r++)
        for (int v = 1; v <= VECTORS_MAX; v++) {
            if (!tile_fits(c->target, r, v) || (r > rows && r > 1) || (v > panels && v > 1))
                continue;
            const int64_t full_m = rows / r, tail_m = rows % r, full_n = panels / v, tail_n = panels % v;
            double cost = (double)(full_m * full_n) * tile_cycles(c->target, r, v);
            if (tail_m)
                cost += (double)full_n * tile_cycles(c->target, tail_m, v);
            if (tail_n)
                cost += (double)full_m * tile_cycles(c->target, r, tail_n);
            if (tail_m && tail_n)
                cost += tile_cycles(c->target, tail_m, tail_n);
            if (cost < least * 0.999) {
                least = cost;
                best = (Tile){r, v};
            }
        }
    return best;
}

/* ---- scratch ---- */

static Node *local_buffer(Contract *c, const char *name, int rank, Node *const *dims)
{
    Ir *const ir = c->ir;
    const Buffer buffer = {.name = name_intern(ir->arena, name), .place = PLACE_LOCAL, .offset = c->scratch};
    Node *const node = buffer_make(ir, type_tensor(ir, DTYPE_F32, rank, dims), &buffer);
    int64_t elements;
    if (!const_is_int(type_elements(ir, node->type), &elements))
        return NULL;
    c->scratch += (elements * 4 + 127) / 64 * 64;
    return node;
}

enum { SCRATCH_MAX = 8 << 20 };

/* When B as a whole does not stay in L2 and A needs no copies, columns go outside: one group of B serves all rows, and meanwhile the next
 * group comes into L2, a few lines at each step, spread evenly over the tiles of rows. Measured on BERT: 141-150 -> 121-132 ms. */
static void plan_ahead(Contract *c, int64_t b_bytes)
{
    int64_t rows, depth;
    if (c->read_a != READ_STRIDED || c->read_b != READ_PANELS || b_bytes <= c->target->l2 / 4)
        return;
    if (!const_is_int(c->roles.rows, &rows) || !const_is_int(c->depth, &depth) || depth < UNROLL)
        return;
    const int64_t tiles = (rows + c->tile.rows - 1) / c->tile.rows;
    c->block_groups = 1;
    c->ahead = (int)((UNROLL * c->tile.vectors + tiles - 1) / tiles);
}

static bool plan(Contract *c)
{
    Ir *const ir = c->ir;
    int64_t depth = 0, columns, groups = 1;
    c->m = axis_make(ir, "m", c->roles.rows);
    c->k = axis_make(ir, "k", c->roles.depth);
    c->depth = c->roles.depth;
    const_is_int(c->depth, &depth);
    c->tile = choose_tile(c);
    c->read_a = a_is_strided(c) ? READ_STRIDED : READ_PACKED;
    c->read_b = b_is_panels(c) ? READ_PANELS : b_is_strided(c) ? READ_STRIDED : READ_PACKED;
    if ((c->read_a == READ_PACKED || c->read_b == READ_PACKED) && depth == 0)
        return false; /* scratch needs a known depth */
    /* Columns of a unit: as many groups as keep the block of B within half of L2, so that rows of tiles find it there. */
    const int64_t group_bytes = (depth ? depth : 512) * c->tile.vectors * PANEL * 4;
    c->block_groups = c->target->l2 / 2 / (group_bytes ? group_bytes : 1);
    if (const_is_int(c->roles.columns, &columns))
        groups = (columns + c->tile.vectors * PANEL - 1) / (c->tile.vectors * PANEL);
    else
        groups = 4;
    c->block_groups = c->block_groups < 1 ? 1 : c->block_groups > groups ? groups : c->block_groups;
    plan_ahead(c, group_bytes * groups);
    if (c->read_a == READ_PACKED) {
        Node *dims[RANK_MAX] = {index_const(ir, c->tile.rows)};
        for (int i = 0; i < c->roles.contract->axis_count; i++)
            dims[i + 1] = c->roles.contract->axes[i]->inputs[0];
        c->a_local = local_buffer(c, "rows", c->roles.contract->axis_count + 1, dims);
        if (!c->a_local)
            return false;
    }
    if (c->read_b == READ_PACKED) {
        Node *dims[RANK_MAX] = {index_const(ir, c->block_groups * c->tile.vectors)};
        int rank = 1;
        for (int i = 0; i < c->roles.contract->axis_count; i++)
            dims[rank++] = c->roles.contract->axes[i]->inputs[0];
        dims[rank++] = index_const(ir, PANEL);
        c->b_local = local_buffer(c, "columns", rank, dims);
        if (!c->b_local)
            return false;
    }
    return c->scratch <= SCRATCH_MAX;
}

/* ---- tiles ---- */

/* Where a tile stands: its first row as a number of m and as a row of what A is read from, and its first column. */
typedef struct Corner {
    Node *row, *a_row, *column, *panel; /* panel: number within the packed block of B */
    Node *tile;                         /* number of the tile of rows */
} Corner;

static Node *vector_load(Contract *c, Node *buffer, Node *offset, Node *mask)
{
    Ir *const ir = c->ir;
    const Type type = type_vector(buffer->type.dtype, PANEL);
    Node *inputs[4] = {buffer, offset, mask, NULL};
    if (mask)
        inputs[3] = splat_make(ir, const_int(ir, type.dtype, 0), PANEL);
    const bool local = buffer->payload.buffer->place == PLACE_LOCAL;
    return node_make(ir, &(Node){.op = local ? OP_read : OP_load, .type = type, .inputs = inputs, .input_count = mask ? 4 : 2});
}

static Node *ordered(Ir *ir, Block *block, Node *node)
{
    if (op_kind(node->op) == KIND_ORDERED)
        block_append(ir, block, node);
    return node;
}

static Node *load_a(Contract *c, Block *block, const Corner *corner, int row, Node *k)
{
    Ir *const ir = c->ir;
    Node *const r = index_add(ir, corner->a_row, index_const(ir, row));
    Node *offset, *buffer = c->a_buffer;
    Op op = OP_load;
    if (c->read_a == READ_PACKED) {
        buffer = c->a_local;
        offset = index_add(ir, index_mul(ir, r, c->depth), k);
        op = OP_read;
    } else {
        offset = index_add(ir, c->a_rest, index_add(ir, index_mul(ir, r, c->a_pitch), index_mul(ir, k, c->a_step)));
    }
    Node *const scalar = ordered(ir, block, node_make(ir, &(Node){.op = op, .type = type_scalar(DTYPE_F32), .inputs = (Node *[]){buffer, offset}, .input_count = 2}));
    return splat_make(ir, scalar, PANEL);
}

static Node *panel_offset(Contract *c, Node *panel, Node *k)
{
    Ir *const ir = c->ir;
    return index_mul(ir, index_add(ir, index_mul(ir, panel, c->depth), k), index_const(ir, PANEL));
}

static Node *load_b(Contract *c, Block *block, const Corner *corner, int vector, Node *k, Node *mask)
{
    Ir *const ir = c->ir;
    Node *const ahead = index_const(ir, vector);
    if (c->read_b == READ_STRIDED) {
        Node *const column = index_add(ir, corner->column, index_const(ir, vector * PANEL));
        Node *const offset = index_add(ir, c->b_rest, index_add(ir, column, index_mul(ir, k, c->b_step)));
        return vector_load(c, c->b_buffer, offset, mask);
    }
    Node *panel = corner->panel;
    if (c->read_b == READ_PANELS)
        panel = index_floordiv(ir, corner->column, index_const(ir, PANEL));
    Node *const buffer = c->read_b == READ_PANELS ? c->b_buffer : c->b_local;
    Node *const value = ordered(ir, block, vector_load(c, buffer, panel_offset(c, index_add(ir, panel, ahead), k), NULL));
    return cast_make(ir, value, DTYPE_F32);
}

static void prefetch_b(Contract *c, Block *block, const Corner *corner, int vectors, Node *k)
{
    Ir *const ir = c->ir;
    if (c->read_b != READ_PANELS)
        return;
    Node *const panel = index_floordiv(ir, corner->column, index_const(ir, PANEL));
    for (int v = 0; v < vectors; v++) {
        Node *const offset = panel_offset(c, index_add(ir, panel, index_const(ir, v)), index_add(ir, k, index_const(ir, PREFETCH_ROWS)));
        block_append(ir, block, node_make(ir, &(Node){.op = OP_prefetch, .inputs = (Node *[]){c->b_buffer, offset}, .input_count = 2, .payload.integer = 1}));
    }
}

/* Lines of the group of columns after this one, for the tile's share of them. */
static void prefetch_next(Contract *c, Block *block, const Corner *corner, Node *k)
{
    Ir *const ir = c->ir;
    if (!c->ahead)
        return;
    Node *const next = panel_offset(c, index_add(ir, index_floordiv(ir, corner->column, index_const(ir, PANEL)), index_const(ir, c->tile.vectors)), index_const(ir, 0));
    Node *const steps = index_floordiv(ir, c->depth, index_const(ir, UNROLL));
    Node *const step = index_add(ir, index_mul(ir, corner->tile, steps), index_floordiv(ir, k, index_const(ir, UNROLL)));
    for (int i = 0; i < c->ahead; i++) {
        Node *const line = index_add(ir, index_mul(ir, step, index_const(ir, c->ahead)), index_const(ir, i));
        Node *const offset = index_add(ir, next, index_mul(ir, line, index_const(ir, PANEL)));
        block_append(ir, block, node_make(ir, &(Node){.op = OP_prefetch, .inputs = (Node *[]){c->b_buffer, offset}, .input_count = 2, .payload.integer = 2}));
    }
}

/* One step of k: all products of the tile. */
static void emit_step(Contract *c, Block *block, const Corner *corner, Tile tile, Node **accumulators, Node *k, Node *const *masks)
{
    Ir *const ir = c->ir;
    Node *columns[VECTORS_MAX];
    for (int v = 0; v < tile.vectors; v++)
        columns[v] = load_b(c, block, corner, v, k, masks ? masks[v] : NULL);
    for (int r = 0; r < tile.rows; r++) {
        Node *const row = load_a(c, block, corner, r, k);
        for (int v = 0; v < tile.vectors; v++) {
            Node *const var = accumulators[r * tile.vectors + v];
            body_set(ir, block, var, scalar3(ir, OP_fma, row, columns[v], body_get(ir, block, var)));
        }
    }
}

static void emit_products(Contract *c, Block *block, const Corner *corner, Tile tile, Node **accumulators, Node *const *masks)
{
    Ir *const ir = c->ir;
    Node *const four = index_const(ir, UNROLL);
    Node *const whole = index_mul(ir, index_floordiv(ir, c->depth, four), four);
    if (!index_is(whole, 0)) {
        Node *const k = axis_make(ir, "k", c->depth);
        Block *const body = body_for(ir, block, k, index_const(ir, 0), whole, UNROLL);
        prefetch_next(c, body, corner, k);
        for (int i = 0; i < UNROLL; i++) {
            Node *const step = index_add(ir, k, index_const(ir, i));
            prefetch_b(c, body, corner, tile.vectors, step);
            emit_step(c, body, corner, tile, accumulators, step, masks);
        }
    }
    int64_t at, end;
    if (const_is_int(whole, &at) && const_is_int(c->depth, &end)) {
        for (; at < end; at++)
            emit_step(c, block, corner, tile, accumulators, index_const(ir, at), masks);
        return;
    }
    Node *const k = axis_make(ir, "k", c->depth);
    emit_step(c, body_for(ir, block, k, whole, c->depth, 1), corner, tile, accumulators, k, masks);
}

/* Y[row r, vector v] = the stage's expression with the contraction in a register. */
static void emit_result(Contract *c, Block *block, const Corner *corner, int row, int vector, Node *var, Node *mask)
{
    Ir *const ir = c->ir;
    const Node *const stage = c->roles.stage;
    Node *const result = body_get(ir, block, var);
    Node *const number = index_add(ir, corner->row, index_const(ir, row));
    StageEmitter emitter = stage_emitter(ir, c->kernel, block);
    emitter.lane_axis = c->roles.n;
    emitter.lanes = PANEL;
    emitter.lane_base = index_add(ir, corner->column, index_const(ir, vector * PANEL));
    emitter.mask = mask;
    /* The contraction must survive the replacement of row axes: a stand-in takes its place first. */
    Node *stand_in = axis_make(ir, "sum", NULL);
    Node *const held = cast_make(ir, stand_in, DTYPE_F32);
    Node *value = node_substitute(ir, stage_value(stage), &c->roles.contract, (Node *const *)&held, 1);
    value = flat_m(c, value, number);
    stage_preset(&emitter, held, result);
    Node *indices[RANK_MAX];
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = flat_m(c, stage_indices(stage)[i], number);
    stage_emit_store(&emitter, stage_buffer(stage), indices, stage_emit(&emitter, value));
}

/* masked: columns beyond the last may be touched neither in B (unless padded) nor in Y. */
static void emit_tile(Contract *c, Block *block, const Corner *corner, Tile tile, bool masked)
{
    Ir *const ir = c->ir;
    Node *accumulators[ROWS_MAX * VECTORS_MAX], *masks[VECTORS_MAX] = {0};
    Node *const zero = splat_make(ir, const_int(ir, DTYPE_F32, 0), PANEL);
    for (int i = 0; i < tile.rows * tile.vectors; i++)
        accumulators[i] = body_var(ir, block, zero);
    for (int v = 0; v < tile.vectors && masked; v++) {
        Node *const first = index_add(ir, corner->column, index_const(ir, v * PANEL));
        Node *const last = index_add(ir, first, index_const(ir, PANEL - 1));
        if (index_range(ir, index_sub(ir, last, c->roles.columns)).high < 0)
            continue;
        Node *const iota = node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, PANEL)});
        masks[v] = scalar2(ir, OP_lt, index_add(ir, iota, first), splat_make(ir, c->roles.columns, PANEL));
    }
    emit_products(c, block, corner, tile, accumulators, masks);
    for (int r = 0; r < tile.rows; r++)
        for (int v = 0; v < tile.vectors; v++)
            emit_result(c, block, corner, r, v, accumulators[r * tile.vectors + v], masks[v]);
}

/* ---- loops over tiles ---- */

/* All column groups [first, last) of a row of tiles; the last group of the matrix may be narrower and masked. */
static void emit_columns(Contract *c, Block *block, const Corner *start, int rows, Node *first, Node *last)
{
    Ir *const ir = c->ir;
    const int vectors = c->tile.vectors;
    Node *const width = index_const(ir, vectors * PANEL);
    int64_t columns;
    const bool known = const_is_int(c->roles.columns, &columns);
    Node *const whole = index_floordiv(ir, c->roles.columns, width); /* groups without a mask */
    Node *const group = axis_make(ir, "group", NULL);
    Corner corner = *start;
    if (!index_is(whole, 0)) {
        Block *const body = body_for(ir, block, group, first, index_min(ir, last, whole), 1);
        corner.column = index_mul(ir, group, width);
        corner.panel = index_mul(ir, index_sub(ir, group, first), index_const(ir, vectors));
        emit_tile(c, body, &corner, (Tile){rows, vectors}, false);
    }
    if (known && columns % (vectors * PANEL) == 0)
        return;
    Node *const narrow = axis_make(ir, "tail", NULL); /* runs once, in the unit that holds the last group */
    Block *const body = body_for(ir, block, narrow, index_max(ir, first, whole), last, 1);
    corner.column = index_mul(ir, narrow, width);
    corner.panel = index_mul(ir, index_sub(ir, narrow, first), index_const(ir, vectors));
    if (known) {
        const int64_t rest = columns % (vectors * PANEL);
        corner.column = index_mul(ir, whole, width);
        emit_tile(c, body, &corner, (Tile){rows, (int)((rest + PANEL - 1) / PANEL)}, rest % PANEL != 0);
        return;
    }
    for (int v = 0; v < vectors; v++) { /* unknown width: vector by vector, those wholly outside are left out */
        Corner part = corner;
        part.column = index_add(ir, corner.column, index_const(ir, v * PANEL));
        part.panel = index_add(ir, corner.panel, index_const(ir, v));
        Node *const inside = scalar2(ir, OP_lt, part.column, c->roles.columns);
        Block *then = block_make(ir);
        block_append(ir, body, node_make(ir, &(Node){.op = OP_if, .inputs = (Node *const *)&inside, .input_count = 1, .blocks = &then, .block_count = 1}));
        emit_tile(c, then, &part, (Tile){rows, 1}, true);
    }
}

/* Copies the rows [row, row + rows) of A to scratch. */
static void emit_pack_rows(Contract *c, Block *block, Node *row, Node *rows)
{
    Ir *const ir = c->ir;
    const Node *const contract = c->roles.contract;
    Node *axes[RANK_MAX], *copies[RANK_MAX];
    axes[0] = axis_make(ir, "row", rows);
    for (int i = 0; i < contract->axis_count; i++)
        copies[i] = axes[i + 1] = axis_make(ir, contract->axes[i]->payload.name, contract->axes[i]->inputs[0]);
    Node *value = flat_m(c, c->roles.a, index_add(ir, row, axes[0]));
    value = cast_make(ir, node_substitute(ir, value, contract->axes, copies, contract->axis_count), DTYPE_F32);
    Node *const stage = stage_make(ir, axes, contract->axis_count + 1, c->a_local, axes, value);
    const LoopsSchedule schedule = {.lanes = PANEL};
    loops_emit(ir, c->kernel, block, stage, &schedule);
}

/* Copies the columns of groups [first, last) of B to scratch, as panels; columns beyond the last hold zeros. */
static void emit_pack_columns(Contract *c, Block *block, Node *first, Node *last)
{
    Ir *const ir = c->ir;
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

/* One tile of rows starting at `row`, `rows` of them (a constant), through all columns of the unit. */
static void emit_rows(Contract *c, Block *block, Node *tile, Node *row, int rows, Node *first, Node *last)
{
    Ir *const ir = c->ir;
    Corner corner = {.row = row, .a_row = row, .tile = tile};
    if (c->read_a == READ_PACKED) {
        emit_pack_rows(c, block, row, index_const(ir, rows));
        corner.a_row = index_const(ir, 0);
    }
    emit_columns(c, block, &corner, rows, first, last);
}

/* The tile number `tile` of the rows: a whole one, or what is left. */
static void emit_row_tile(Contract *c, Block *block, Node *tile, Node *first, Node *last)
{
    Ir *const ir = c->ir;
    Node *const height = index_const(ir, c->tile.rows);
    Node *const row = index_mul(ir, tile, height), *const whole = index_floordiv(ir, c->roles.rows, height);
    int64_t rows;
    const bool known = const_is_int(c->roles.rows, &rows);
    if (known && rows % c->tile.rows == 0) {
        emit_rows(c, block, tile, row, c->tile.rows, first, last);
        return;
    }
    Node *const full = scalar2(ir, OP_lt, tile, whole);
    Block *then = block_make(ir), *otherwise = block_make(ir);
    block_append(ir, block, node_make(ir, &(Node){.op = OP_if, .inputs = (Node *const *)&full, .input_count = 1, .blocks = (Block *[]){then, otherwise}, .block_count = 2}));
    emit_rows(c, then, tile, row, c->tile.rows, first, last);
    if (known) {
        emit_rows(c, otherwise, tile, row, (int)(rows % c->tile.rows), first, last);
        return;
    }
    Node *const single = axis_make(ir, "row", NULL);
    Block *const body = body_for(ir, otherwise, single, row, c->roles.rows, 1);
    emit_rows(c, body, tile, single, 1, first, last);
}

/* Binds the batch axes to the digits of `number`, as variables of loops that run once. */
static Block *bind_batch(Contract *c, Block *block, Node *number)
{
    Ir *const ir = c->ir;
    Node *pitch = index_const(ir, 1);
    for (int i = c->roles.batch_count - 1; i >= 0; i--) {
        Node *const axis = c->roles.batch[i];
        Node *const above = index_floordiv(ir, number, pitch);
        Node *const digit = i ? index_mod(ir, above, axis->inputs[0]) : above;
        pitch = index_mul(ir, pitch, axis->inputs[0]);
        block = body_for(ir, block, axis, digit, index_add(ir, digit, index_const(ir, 1)), 1);
    }
    return block;
}

/* Units: batch x blocks of columns x tiles of rows (rows fastest, so that the block of B stays in cache). With B packed the rows are inside. */
static Node *emit_units(Contract *c, Block *body)
{
    Ir *const ir = c->ir;
    Node *const one = index_const(ir, 1);
    Node *const groups = index_ceildiv(ir, c->roles.columns, index_const(ir, c->tile.vectors * PANEL));
    Node *const block_groups = index_const(ir, c->block_groups);
    Node *const blocks = index_ceildiv(ir, groups, block_groups);
    Node *const tiles = index_ceildiv(ir, c->roles.rows, index_const(ir, c->tile.rows));
    Node *const inner = c->read_b == READ_PACKED ? one : tiles;
    Node *batches = one;
    for (int i = 0; i < c->roles.batch_count; i++)
        batches = index_mul(ir, batches, c->roles.batch[i]->inputs[0]);
    Node *const units = index_mul(ir, index_mul(ir, batches, blocks), inner);
    Node *const begin = node_make(ir, &(Node){.op = OP_begin, .type = type_scalar(DTYPE_INDEX)});
    Node *const end = node_make(ir, &(Node){.op = OP_end, .type = type_scalar(DTYPE_INDEX)});
    Node *const unit = axis_make(ir, "unit", units);
    Block *block = body_for(ir, body, unit, begin, end, 1);
    Node *const above = index_floordiv(ir, unit, inner);
    block = bind_batch(c, block, index_floordiv(ir, above, blocks));
    Node *const first = index_mul(ir, index_mod(ir, above, blocks), block_groups);
    Node *const last = index_min(ir, index_add(ir, first, block_groups), groups);
    if (c->read_b != READ_PACKED) {
        emit_row_tile(c, block, index_mod(ir, unit, inner), first, last);
        return units;
    }
    emit_pack_columns(c, block, first, last);
    Node *const tile = axis_make(ir, "tile", tiles);
    emit_row_tile(c, body_for(ir, block, tile, index_const(ir, 0), tiles, 1), tile, first, last);
    return units;
}

Node *contract_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    Contract contract = {.ir = ir, .kernel = kernel, .target = target};
    if (!contract_match(ir, kernel, &contract.roles) || !plan(&contract))
        return NULL;
    static const char *const reading[] = {"strided", "packed", "panels"};
    Block *const body = block_make(ir);
    Node *const units = emit_units(&contract, body);
    const char *const text = arena_format(ir->arena, "contract rows=%d vectors=%d block=%lld a=%s b=%s", contract.tile.rows, contract.tile.vectors, (long long)contract.block_groups, reading[contract.read_a], reading[contract.read_b]);
    return kernel_with_body(ir, kernel, body, units, text, contract.scratch);
}
