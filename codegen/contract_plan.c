/* The contract template's decisions: how operands are read, the register tile, the cut into units. See contract.h. */
#include "codegen/contract_plan.h"
#include "codegen/contract_window.h"

#include "ir/kernel.h"

#include <string.h>

/* ---- analysis ---- */

/* `node` with the axes replaced by the digits of `number`, last axis fastest. The first digit takes all that is left:
 * that of a batch of one is 0, so that rows of unknown pixels are one number, too. */
static Node *with_digits(Ir *ir, Node *node, Node *const *axes, int count, Node *number)
{
    Node *digits[RANK_MAX], *pitch = index_const(ir, 1);
    int first = 0;
    while (first < count - 1 && index_is(axes[first]->inputs[0], 1))
        digits[first++] = index_const(ir, 0);
    for (int i = count - 1; i >= first; i--) {
        Node *const above = index_floordiv(ir, number, pitch);
        digits[i] = i > first ? index_mod(ir, above, axes[i]->inputs[0]) : above;
        pitch = index_mul(ir, pitch, axes[i]->inputs[0]);
    }
    return node_substitute(ir, node, axes, digits, count);
}

Node *contract_flat_rows(const Contract *c, Node *node, Node *row)
{
    return with_digits(c->ir, node, c->roles.m, c->roles.m_count, row);
}

static Node *flat_k(const Contract *c, Node *node, Node *k)
{
    return with_digits(c->ir, node, c->roles.contract->axes, c->roles.contract->axis_count, k);
}

/* Is the index arithmetic over axes and symbols alone, without loaded or checked parts? Those are emitted where
 * operands are copied. */
bool contract_is_plain(Ir *ir, Node *index)
{
    int count;
    Node **const nodes = nodes_topological(ir, &index, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_at || nodes[i]->op == OP_bound || nodes[i]->op == OP_guard)
            return false;
    return true;
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
    Node *rest, *const offset = flat_k(c, contract_flat_rows(c, linear, c->m), c->k);
    c->a_pitch = index_coefficient(ir, offset, c->m, &rest);
    c->a_step = c->a_pitch ? index_coefficient(ir, rest, c->k, &c->a_rest) : NULL;
    c->a_buffer = at->inputs[0];
    return c->a_step && const_is_int(c->a_pitch, &pitch) && const_is_int(c->a_step, &step) &&
           contract_is_plain(ir, c->a_rest) && !node_depends(ir, c->a_rest, c->m) && !node_depends(ir, c->a_rest, c->k);
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
    return c->b_step && contract_is_plain(ir, c->b_step) && contract_is_plain(ir, c->b_rest);
}

/* Where the panels begin: the offset of column 0 and k = 0, in terms of the other axes. */
static Node *panels_begin(const Contract *c)
{
    Ir *const ir = c->ir;
    Node *const at = c->roles.b->op == OP_cast ? c->roles.b->inputs[0] : c->roles.b, *const zero = index_const(ir, 0);
    if (at->op != OP_at)
        return zero;
    Node *offset =
        node_substitute(ir, layout_offset(ir, at->inputs[0], at->inputs + 1), &c->roles.n, (Node *const *)&zero, 1);
    for (int i = 0; i < c->roles.contract->axis_count; i++)
        offset = node_substitute(ir, offset, &c->roles.contract->axes[i], (Node *const *)&zero, 1);
    return offset;
}

/* A copy in panels that a template around has made: local[n/16][k][n%16]. */
static bool b_is_copied(Contract *c)
{
    Ir *const ir = c->ir;
    Node *const at = c->roles.b, *const width = index_const(ir, PANEL);
    if (at->op != OP_at || !is_local(at->inputs[0]) || at->inputs[0]->type.rank != 3 ||
        c->roles.contract->axis_count != 1 || !index_is(at->inputs[0]->type.dims[2], PANEL) ||
        at->inputs[0]->type.dims[1] != c->depth || at->inputs[2] != c->roles.contract->axes[0] ||
        at->inputs[1] != index_floordiv(ir, c->roles.n, width) || at->inputs[3] != index_mod(ir, c->roles.n, width))
        return false;
    c->b_buffer = at->inputs[0];
    c->b_rest = index_const(ir, 0);
    return true;
}

static bool b_is_panels(Contract *c)
{
    if (b_is_copied(c))
        return true;
    if (!c->roles.weight)
        return false;
    const Layout wanted = panel_layout(&c->roles);
    const Layout *const has = &c->roles.weight->payload.buffer->layout;
    c->b_buffer = c->roles.weight;
    c->b_rest = panels_begin(c);
    return has->count == wanted.count &&
           memcmp(has->entries, wanted.entries, (size_t)has->count * sizeof *has->entries) == 0 &&
           (c->roles.b->op == OP_at || c->roles.b->op == OP_cast);
}

/* Registers that hold one row of a panel. */
static int panel_registers(const TargetMachineInfo *target)
{
    return target->vector_bytes >= PANEL * 4 ? 1 : PANEL * 4 / target->vector_bytes;
}

/* Cycles of one k step of a tile, roughly: multiply-adds, against loads, against rows of B that come from L2. Loads
 * cost where multiply-adds bound too: 8x48 instead of 13x32 tiles, which have three quarters of its loads, take 2 %
 * less time in bert_base_s128. */
double contract_tile_cycles(const TargetMachineInfo *target, int64_t rows, int64_t vectors)
{
    const double width = panel_registers(target);
    const double multiply = (double)(rows * vectors) * width / target->multiplies_per_cycle;
    const double loads = ((double)rows + (double)vectors * width) / target->loads_per_cycle;
    const double stream = (double)vectors * PANEL * 4 / target->l2_bytes_per_cycle;
    const double bound = multiply > loads ? multiply : loads;
    return (bound > stream ? bound : stream) + 0.17 * loads + 0.1 * stream;
}

bool contract_tile_fits(const TargetMachineInfo *target, int rows, int vectors)
{
    const int width = panel_registers(target);
    return rows * vectors * width + vectors * width + 1 < target->vector_registers;
}

/* Cycles of one step of k of the whole product in tiles of r rows x v vectors, tails included. */
static double product_cycles(const TargetMachineInfo *target, int64_t rows, int64_t panels, int r, int v)
{
    const int64_t full_m = rows / r, tail_m = rows % r, full_n = panels / v, tail_n = panels % v;
    double cost = (double)(full_m * full_n) * contract_tile_cycles(target, r, v);
    if (tail_m)
        cost += (double)full_n * contract_tile_cycles(target, tail_m, v);
    if (tail_n)
        cost += (double)full_m * contract_tile_cycles(target, r, tail_n);
    if (tail_m && tail_n)
        cost += contract_tile_cycles(target, tail_m, tail_n);
    return cost;
}

/* The tile with the least work over the whole product. `vectors` is its width, 0: any. */
static Tile choose_tile(const Contract *c, int64_t rows, int64_t panels, int vectors)
{
    Tile best = {1, vectors ? vectors : 1};
    double least = 1e300;
    for (int r = 1; r <= ROWS_MAX - 2; r++)
        for (int v = vectors ? vectors : 1; v <= (vectors ? vectors : VECTORS_MAX); v++) {
            if (!contract_tile_fits(c->target, r, v) || (r > rows && r > 1) || (v > panels && v > 1))
                continue;
            const double cost = product_cycles(c->target, rows, panels, r, v);
            if (cost < least * 0.999) {
                least = cost;
                best = (Tile){r, v};
            }
        }
    return best;
}

double contract_step_cycles(const TargetMachineInfo *target, int64_t rows, int64_t columns)
{
    const Contract contract = {.target = target};
    const int64_t panels = ceil_divide(columns, PANEL);
    const Tile tile = choose_tile(&contract, rows, panels, 0);
    return product_cycles(target, rows, panels, tile.rows, tile.vectors);
}

int64_t contract_extent_guess(Ir *ir, Node *extent, int64_t usual)
{
    enum { BOUND_MAX = 1024 };
    int64_t known;
    if (const_is_int(extent, &known))
        return known;
    const Range range = index_range(ir, extent);
    return range.high > 0 && range.high <= BOUND_MAX ? range.high : usual < range.low ? range.low : usual;
}

/* The width of tiles for a single row: each weight is read once, so what counts is that all cores read as many.
 * Narrower ones than four vectors wait for their own sums. */
static int even_vectors(const Contract *c, int64_t panels, int usual)
{
    enum { LEAST = 4 };
    int best = usual;
    int64_t least = INT64_MAX;
    for (int v = usual; v >= (usual < LEAST ? usual : LEAST); v--) {
        const int64_t load = ceil_divide(ceil_divide(panels, v), c->target->cores) * v;
        if (load < least) {
            best = v;
            least = load;
        }
    }
    return best;
}

static void plan_tile(Contract *c)
{
    const int64_t rows = contract_extent_guess(c->ir, c->roles.rows, 128),
                  columns = contract_extent_guess(c->ir, c->roles.columns, 128);
    const int64_t panels = ceil_divide(columns, PANEL);
    Tile best = choose_tile(c, rows, panels, 0);
    if (rows == 1 && c->roles.batch_count == 0)
        best.vectors = even_vectors(c, panels, best.vectors);
    if (c->trial) {
        int widest = 1, highest = 1;
        while (widest < VECTORS_MAX && widest < panels && contract_tile_fits(c->target, 1, widest + 1))
            widest++;
        const int vectors = (int)suggest_int(c->trial, "vectors", 1, widest, best.vectors);
        if (vectors != best.vectors)
            best = choose_tile(c, rows, panels, vectors);
        while (highest < ROWS_MAX - 2 && highest < rows && contract_tile_fits(c->target, highest + 1, vectors))
            highest++;
        best.rows = (int)suggest_int(c->trial, "rows", 1, highest, best.rows);
    }
    c->tile = best;
}

/* ---- scratch ---- */

Node *contract_local(Contract *c, const char *name, int rank, Node *const *dims)
{
    enum { LINE = 64 };
    Node *const made = local_make(c->ir, name, type_tensor(c->ir, DTYPE_F32, rank, dims), &c->scratch);
    c->scratch += LINE;
    return made;
}

enum { SCRATCH_MAX = 8 << 20 };

/* A long k goes in blocks of this many steps, so that a group of B stays in L1 for all tiles of rows: long rows of A
 * lie at pitches that are multiples of 4096 bytes (K = 2048, 3072) and drive each other, and B, out of L1. Measured:
 * 128x3072x768 at 84 instead of 76 % of the peak, 52x2048x512 at 78 instead of 74. Where many rows go in blocks of
 * tiles enough to stream B for them, the sums' way to scratch and back costs more (1600x2048x512: 4 %). */
enum { DEEP = 1536, BLOCK_DEPTH = 256, BLOCKS_MAX = 64, DEEP_TILES = 8 };

/* A product of at least so many rows, whose result L1 does not hold, fetches the lines of its result ahead: during the
 * tile before where that has few rounds, for all of them at once then stand in the way of its products. Beside more
 * than one line of B in a round, LLVM spills sums (mobilenet_v2's 49x160x960). */
enum { FETCHED_ROWS = 4, FETCHED_ROUNDS = 80 };

static void plan_result(Contract *c)
{
    static const char *const names[] = {"never", "before", "during"};
    const bool usual = c->guess_rows >= FETCHED_ROWS && c->guess_rows * c->guess_columns * 4 > c->target->l1;
    const bool few = c->read_a != READ_WINDOW && c->ahead <= 1 && c->block_depth == c->guess_depth &&
                     c->guess_depth >= c->unroll && c->guess_depth / c->unroll <= FETCHED_ROUNDS;
    int64_t depth;
    const int modes = few && const_is_int(c->depth, &depth) ? 3 : 2;
    c->fetch_result = (FetchResult)suggest_choice(c->trial, "result", names, modes, usual ? modes - 1 : FETCH_NEVER);
}

/* Rows of A that lie one behind the other and are more than L2 keeps. */
static void plan_rows(Contract *c)
{
    int64_t depth, pitch, step;
    if (c->read_a != READ_STRIDED || c->block_tiles > 1 || !const_is_int(c->depth, &depth) || depth < c->unroll ||
        !const_is_int(c->a_pitch, &pitch) || !const_is_int(c->a_step, &step) || pitch != depth || step != 1 ||
        depth % PANEL || c->block_depth < depth)
        return;
    const bool usual = c->guess_rows > c->tile.rows && c->guess_rows * depth * 4 > c->target->l2 / 4;
    c->fetch_rows = suggest_int(c->trial, "next", 0, 1, usual) == 1;
}

/* Into how many equal blocks k goes. */
static void plan_depth(Contract *c, int64_t depth, bool deep)
{
    const int64_t rounds = ceil_divide(depth, c->unroll), most = rounds < BLOCKS_MAX ? rounds : BLOCKS_MAX;
    const int64_t usual = deep ? ceil_divide(depth, BLOCK_DEPTH) : 1;
    const int64_t blocks = suggest_int(c->trial, "blocks", 1, most, usual < most ? usual : most);
    c->block_depth = ceil_divide(rounds, blocks) * c->unroll;
}

/* Points of the batch axes; unknown ones count once. */
static int64_t batches(const Contract *c)
{
    int64_t points = 1, extent;
    for (int i = 0; i < c->roles.batch_count; i++)
        if (const_is_int(c->roles.batch[i]->inputs[0], &extent) && extent > 0)
            points *= extent;
    return points;
}

/* Tiles times groups of the busiest core, when units have so many. */
static int64_t busiest(const Contract *c, int64_t tiles, int64_t groups, int64_t block_tiles, int64_t block_groups)
{
    const int64_t units = ceil_divide(tiles, block_tiles) * ceil_divide(groups, block_groups) * batches(c);
    return ceil_divide(units, c->target->cores) * block_tiles * block_groups;
}

/* The number of groups near `usual` that leaves cores waiting least. */
static int64_t balanced_groups(const Contract *c, int64_t tiles, int64_t groups, int64_t usual)
{
    int64_t best = usual, least = busiest(c, tiles, groups, c->block_tiles, usual);
    for (int64_t block = usual * 2 < groups ? usual * 2 : groups; block >= ceil_divide(usual, 2); block--) {
        const int64_t load = busiest(c, tiles, groups, c->block_tiles, block);
        if (load < least) {
            best = block;
            least = load;
        }
    }
    return best;
}

/* Where a few groups of columns are no even shares for the cores, rows are cut too, if L2 keeps B for all of them. */
static int64_t balanced_tiles(const Contract *c, int64_t tiles, int64_t groups)
{
    const int64_t even = ceil_divide(tiles * groups * batches(c), c->target->cores);
    int64_t block = c->block_tiles;
    while (block > 1 && busiest(c, tiles, groups, block, 1) * 5 > even * 6)
        block = ceil_divide(block, 2);
    return block;
}

/* About `most` of so many tiles, so that all blocks have as many. */
static int64_t even_block(int64_t tiles, int64_t most)
{
    most = most < 1 ? 1 : most > tiles ? tiles : most;
    return ceil_divide(tiles, ceil_divide(tiles, most));
}

/* How rows and columns are cut into units. A unit's columns go outside, its tiles of rows inside: one group of B serves
 * all of them.
 *
 * B within a quarter of L2 stays there by itself: units are single tiles of rows with all columns. A larger B is
 * streamed once per unit, so units hold as many rows as L2 keeps of A (half of it when they are copied to scratch), and
 * the next group of B is fetched meanwhile, a few lines at each step, spread evenly over the tiles. Columns are cut
 * only as far as there are not enough units for threads. Measured: BERT 141-150 -> 121-132 ms by fetching ahead. */
static void plan_units(Contract *c, int64_t depth, int64_t rows, int64_t columns)
{
    const int64_t l2 = c->target->l2;
    const int64_t tiles = ceil_divide(rows, c->tile.rows), groups = ceil_divide(columns, c->tile.vectors * PANEL);
    const int64_t group_bytes = depth * c->tile.vectors * PANEL * 4;
    const bool stays = group_bytes * groups <= l2 / 4;
    /* Where a unit has all rows, as with B packed, their sums would not stay. */
    const bool known = const_is_int(c->depth, &depth) && c->read_b != READ_PACKED;
    const int64_t plain =
        even_block(tiles, (c->read_a == READ_PACKED ? l2 / 2 : l2 * 3 / 4) / (depth * c->tile.rows * 4));
    const bool deep = known && depth >= DEEP && !stays && (plain == tiles || plain < DEEP_TILES);
    c->block_tiles = stays ? 1 : plain;
    if (deep) { /* sums wait beside a block of A */
        const int64_t width = (c->read_a == READ_STRIDED ? BLOCK_DEPTH : depth) + columns;
        c->block_tiles = even_block(tiles, l2 / 2 / (width * c->tile.rows * 4));
    }
    if (!deep && c->read_a == READ_STRIDED && group_bytes * groups <= l2 / 2)
        c->block_tiles = balanced_tiles(c, tiles, groups);
    c->block_tiles = suggest_int(c->trial, "tiles", 1, tiles, c->block_tiles);
    const int64_t row_blocks = ceil_divide(tiles, c->block_tiles);
    /* Copies of A are repeated for each block of columns, and so are the walks over the blocks of a long k: fewer. */
    const int64_t cores = c->target->cores;
    const int64_t enough = c->read_a == READ_PACKED ? cores : deep && c->block_tiles > 1 ? 2 * cores : 4 * cores;
    int64_t blocks = ceil_divide(enough, row_blocks);
    blocks = blocks > groups ? groups : blocks;
    c->block_groups = balanced_groups(c, tiles, groups, ceil_divide(groups, blocks < 1 ? 1 : blocks));
    c->block_groups = suggest_int(c->trial, "groups", 1, groups, c->block_groups);
    c->unroll = (int)suggest_int(c->trial, "unroll", 1, UNROLL_MAX, UNROLL);
    if (known)
        plan_depth(c, depth, deep && c->block_tiles > 1);
    if (c->read_b != READ_PANELS)
        return;
    c->fetch = (int)suggest_int(c->trial, "fetch", 0, FETCH_MAX, c->block_depth < depth ? 0 : PREFETCH_ROWS);
    if (depth < c->unroll)
        return;
    const int most = 2 * c->tile.vectors;
    c->ahead = stays ? 0 : (int)ceil_divide(c->unroll * c->tile.vectors, c->block_tiles);
    if (c->ahead > most)
        c->ahead = 0; /* too few tiles to spread the lines over */
    c->ahead = (int)suggest_int(c->trial, "ahead", 0, most, c->ahead);
}

/* How operands are read: where they stand when that is possible. Copies need a known depth. */
static void plan_reading(Contract *c, bool known)
{
    static const char *const names[] = {[READ_STRIDED] = "strided", [READ_PACKED] = "packed"};
    static const char *const windows[] = {"packed", "window"};
    const bool strided = a_is_strided(c);
    c->read_a = strided ? READ_STRIDED : READ_PACKED;
    c->read_b = b_is_panels(c) ? READ_PANELS : b_is_strided(c) ? READ_STRIDED : READ_PACKED;
    if (known && strided)
        c->read_a = (Reading)suggest_choice(c->trial, "a", names, 2, READ_STRIDED);
    if (known && c->read_b == READ_STRIDED)
        c->read_b = (Reading)suggest_choice(c->trial, "b", names, 2, READ_STRIDED);
    if (known && !strided && c->read_b != READ_PACKED && contract_window_match(c) &&
        suggest_choice(c->trial, "a", windows, 2, 1) == 1)
        c->read_a = READ_WINDOW;
}

void contract_plan_reading(Contract *c)
{
    c->m = axis_make(c->ir, "m", c->roles.rows);
    c->k = axis_make(c->ir, "k", c->roles.depth);
    c->depth = c->roles.depth;
    Trial *const trial = c->trial;
    c->trial = NULL;
    plan_reading(c, false);
    c->trial = trial;
    if (c->read_a == READ_STRIDED && !index_is(c->a_step, 1))
        c->read_a = READ_PACKED;
}

static bool plan_epilogue(Contract *c)
{
    static const char *const names[] = {"registers", "memory"};
    if (suggest_choice(c->trial, "sums", names, 2, stage_has_long_epilogue(c->ir, c->roles.stage, c->roles.contract)) ==
        0)
        return true;
    Ir *const ir = c->ir;
    Node *const dims[] = {index_const(ir, c->tile.rows), index_const(ir, c->tile.vectors * PANEL)};
    c->sums = contract_local(c, "sums", 2, dims);
    return c->sums != NULL;
}

bool contract_plan(Contract *c)
{
    Ir *const ir = c->ir;
    int64_t depth;
    if (!contract_tile_fits(c->target, 1, 1) || !contract_match(ir, c->kernel, &c->roles))
        return false;
    c->m = axis_make(ir, "m", c->roles.rows);
    c->k = axis_make(ir, "k", c->roles.depth);
    c->depth = c->roles.depth;
    const bool known = const_is_int(c->depth, &depth);
    depth = contract_extent_guess(ir, c->depth, 512);
    const int64_t rows = contract_extent_guess(ir, c->roles.rows, 128),
                  columns = contract_extent_guess(ir, c->roles.columns, 256);
    if (depth < 1 || rows < 1 || columns < 1)
        return false;
    c->guess_rows = rows;
    c->guess_columns = columns;
    c->guess_depth = depth;
    c->block_depth = depth;
    plan_reading(c, known);
    if (c->read_a == READ_WINDOW) {
        plan_result(c);
        return contract_window_plan(c) && (c->window->by_taps || plan_epilogue(c)) && c->scratch <= SCRATCH_MAX;
    }
    plan_tile(c);
    if ((c->read_a == READ_PACKED || c->read_b == READ_PACKED) && !known)
        return false; /* scratch needs a known depth */
    plan_units(c, depth, rows, columns);
    plan_result(c);
    plan_rows(c);
    Node *dims[RANK_MAX] = {index_const(ir, c->read_a == READ_PACKED ? c->tile.rows * c->block_tiles : 0)};
    const int reduced = c->roles.contract->axis_count;
    for (int i = 0; i < reduced; i++)
        dims[i + 1] = c->roles.contract->axes[i]->inputs[0];
    if (c->read_a == READ_PACKED && !(c->a_local = contract_local(c, "rows", reduced + 1, dims)))
        return false;
    dims[0] = index_const(ir, c->block_groups * c->tile.vectors);
    dims[reduced + 1] = index_const(ir, PANEL);
    if (c->read_b == READ_PACKED && !(c->b_local = contract_local(c, "columns", reduced + 2, dims)))
        return false;
    if (known && c->block_depth < depth) {
        Node *const size = index_const(ir, c->block_groups * c->tile.vectors * c->block_tiles * c->tile.rows * PANEL);
        c->partial = contract_local(c, "partial", 1, &size);
    }
    return plan_epilogue(c) && c->scratch <= SCRATCH_MAX;
}

/* ---- steps ---- */

/* Columns in groups of equal width, as wide as registers allow: a row alone needs many sums under way. */
static int step_vectors(const Contract *c, int64_t columns)
{
    const int64_t panels = ceil_divide(columns, PANEL);
    int64_t vectors = 1;
    while (vectors < VECTORS_MAX && vectors < panels && contract_tile_fits(c->target, c->tile.rows, (int)vectors + 1))
        vectors++;
    return (int)ceil_divide(panels, ceil_divide(panels, vectors));
}

bool contract_plan_step(Contract *c, Node *stage)
{
    Ir *const ir = c->ir;
    int64_t depth, columns;
    if (!contract_match_stage(ir, stage, 0, &c->roles) || c->roles.batch_count || c->roles.m_count != 1 ||
        c->roles.m[0] != stage->axes[0] || !const_is_int(c->roles.depth, &depth) ||
        !const_is_int(c->roles.columns, &columns) || depth < 1 || columns < 1 ||
        !contract_tile_fits(c->target, c->tile.rows, 1))
        return false;
    c->m = axis_make(ir, "m", c->roles.rows);
    c->k = axis_make(ir, "k", c->roles.depth);
    c->depth = c->roles.depth;
    plan_reading(c, false);
    if (c->read_a != READ_STRIDED || c->read_b == READ_PACKED || kernel_writes(c->kernel, c->b_buffer))
        return false;
    c->a_written = kernel_writes(c->kernel, c->a_buffer);
    c->tile.vectors = step_vectors(c, columns);
    c->block_tiles = 1;
    c->block_groups = ceil_divide(columns, c->tile.vectors * PANEL);
    c->unroll = UNROLL;
    c->fetch = c->read_b == READ_PANELS ? PREFETCH_ROWS : 0;
    return true;
}

bool contract_plan_within(Contract *c, Node *stage, int bound)
{
    Ir *const ir = c->ir;
    int64_t depth, columns;
    if (!contract_tile_fits(c->target, 1, 1) || !contract_match_stage(ir, stage, bound, &c->roles) ||
        c->roles.batch_count || !const_is_int(c->roles.columns, &columns) || columns < 1)
        return false;
    c->m = axis_make(ir, "m", c->roles.rows);
    c->k = axis_make(ir, "k", c->roles.depth);
    c->depth = c->roles.depth;
    if (const_is_int(c->depth, &depth) && depth < 1)
        return false;
    c->trial = NULL;
    plan_reading(c, false);
    if (c->read_a != READ_STRIDED && contract_window_match(c) && contract_window_plan_within(c))
        c->read_a = READ_WINDOW;
    if (c->read_a == READ_PACKED || c->read_b == READ_PACKED)
        return false;
    c->a_written = kernel_writes(c->kernel, c->a_buffer) || is_local(c->a_buffer);
    c->b_written = c->read_b == READ_STRIDED && (kernel_writes(c->kernel, c->b_buffer) || is_local(c->b_buffer));
    c->block_tiles = 1;
    if (c->read_a == READ_WINDOW) {
        c->block_groups = ceil_divide(columns, c->tile.vectors * PANEL);
        return true;
    }
    if (!c->tile.rows)
        plan_tile(c);
    c->block_groups = ceil_divide(columns, c->tile.vectors * PANEL);
    c->unroll = UNROLL;
    c->fetch = c->read_b == READ_PANELS ? PREFETCH_ROWS : PREFETCH_APART;
    return true;
}

/* ---- cost ---- */

double contract_thread_cycles(const Contract *c, double cycles, int64_t units, int threads)
{
    int64_t extent;
    for (int i = 0; i < c->roles.batch_count; i++)
        if (const_is_int(c->roles.batch[i]->inputs[0], &extent) && extent > 0) {
            units *= extent;
            cycles *= (double)extent;
        }
    /* The last round of units leaves threads idle. */
    return cycles * (double)ceil_divide(units, threads) / (double)units;
}

double contract_plan_cycles(const Contract *c, int threads)
{
    if (c->read_a == READ_WINDOW)
        return contract_window_cycles(c, threads);
    const int64_t rows = c->guess_rows, columns = c->guess_columns, depth = c->guess_depth, l2 = c->target->l2;
    const int64_t tiles = ceil_divide(rows, c->tile.rows), width = c->tile.vectors * PANEL;
    const int64_t groups = ceil_divide(columns, width), column_blocks = ceil_divide(groups, c->block_groups);
    const int64_t row_blocks = c->read_b == READ_PACKED ? 1 : ceil_divide(tiles, c->block_tiles);
    double cycles =
        (double)depth * product_cycles(c->target, rows, ceil_divide(columns, PANEL), c->tile.rows, c->tile.vectors);
    cycles += c->target->round_cycles * (double)(tiles * groups) * (double)ceil_divide(depth, c->unroll);
    if (c->partial) /* two vectors of sums to scratch and back for each block */
        cycles += (double)(rows * columns) * (double)(ceil_divide(depth, c->block_depth) - 1) / 8;
    if (c->read_a == READ_PACKED)
        cycles += c->target->copy_cycles * (double)(rows * depth * column_blocks);
    if (c->read_b == READ_PACKED)
        cycles += c->target->copy_cycles * (double)(columns * depth);
    /* B comes from behind L2 once per block of rows, A once per group where its block does not stay. */
    const double b_bytes = (double)(columns * depth) * 4,
                 a_depth = (double)(c->read_a == READ_STRIDED ? c->block_depth : depth);
    const double a_block = (double)(c->block_tiles * c->tile.rows) * a_depth * 4;
    if (b_bytes > (double)l2 / 4)
        cycles += (c->ahead ? 0.3 : 1.0) * b_bytes * (double)row_blocks / c->target->l3_bytes_per_cycle;
    if (a_block > (double)l2 * 3 / 4)
        cycles += (double)(rows * depth * groups) * 4 / c->target->l3_bytes_per_cycle;
    return contract_thread_cycles(c, cycles, row_blocks * column_blocks, threads);
}
