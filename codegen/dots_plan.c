/* The dots template's decisions: see dots_plan.h and dots.c. */
#include "codegen/dots_plan.h"

#include "ir/kernel.h"

#include <string.h>

enum { SCRATCH_MOST = 8 << 20, DOT_ROWS_MAX = 14, DOT_VECTORS_MAX = 4 };

static Node *local(Dots *d, const char *name, Dtype dtype, int64_t lines, int64_t line)
{
    Contract *const c = &d->c;
    Ir *const ir = c->ir;
    Node *const dims[] = {index_const(ir, lines), index_const(ir, line)};
    Node *const made = local_make(ir, name, type_tensor(ir, dtype, 2, dims), &c->scratch);
    c->scratch += 64;
    return made;
}

/* ---- operands ---- */

static bool is_zero(const Node *node)
{
    int64_t value;
    return !node || (const_is_int(node, &value) && value == 0);
}

static Node *moved(Ir *ir, Node *zero, int64_t by)
{
    Node *const offset = const_int(ir, DTYPE_I32, by);
    return !zero ? offset : by ? scalar2(ir, OP_add, zero, offset) : zero;
}

Node *dots_a_zero(const Dots *d)
{
    return moved(d->c.ir, d->bytes.a_zero, d->c.roles.a->type.dtype == DTYPE_I8 ? 128 : 0);
}

Node *dots_b_zero(const Dots *d)
{
    return moved(d->c.ir, d->bytes.b_zero, d->c.roles.b->type.dtype == DTYPE_U8 ? -128 : 0);
}

/* k over all reduced axes, of which the last are of extent 1 or go in fours. */
static Node *flat(const Contract *c, Node *node, Node *k)
{
    Ir *const ir = c->ir;
    Node *digits[RANK_MAX], *pitch = index_const(ir, 1), *const *axes = c->roles.contract->axes;
    for (int i = c->roles.contract->axis_count - 1; i >= 0; i--) {
        Node *const above = index_floordiv(ir, k, pitch);
        digits[i] = i ? index_mod(ir, above, axes[i]->inputs[0]) : above;
        pitch = index_mul(ir, pitch, axes[i]->inputs[0]);
    }
    return node_substitute(ir, node, axes, digits, c->roles.contract->axis_count);
}

/* Rows of unsigned bytes at a constant pitch, with the bytes of a row side by side and nothing missing. */
static bool rows_stand(Dots *d)
{
    Contract *const c = &d->c;
    Ir *const ir = c->ir;
    Node *const at = c->roles.a, *rest;
    int64_t pitch, step;
    if (at->op != OP_at || at->type.dtype != DTYPE_U8 || d->bytes.inside || d->four % DOT_TERMS ||
        !is_zero(dots_b_zero(d)))
        return false;
    Node *const linear = layout_offset(ir, at->inputs[0], at->inputs + 1);
    Node *const offset = flat(c, contract_flat_rows(c, linear, c->m), c->k);
    c->a_pitch = index_coefficient(ir, offset, c->m, &rest);
    c->a_step = c->a_pitch ? index_coefficient(ir, rest, c->k, &c->a_rest) : NULL;
    c->a_buffer = at->inputs[0];
    return c->a_step && const_is_int(c->a_pitch, &pitch) && const_is_int(c->a_step, &step) && step == 1 &&
           contract_is_plain(ir, c->a_rest) && !node_depends(ir, c->a_rest, c->m) && !node_depends(ir, c->a_rest, c->k);
}

static bool columns_stand(Dots *d)
{
    Contract *const c = &d->c;
    Ir *const ir = c->ir;
    Node *const at = c->roles.b, *const zero = index_const(ir, 0);
    if (!c->roles.weight || at->op != OP_at)
        return false;
    const Layout wanted = panel_layout(&c->roles), *const has = &c->roles.weight->payload.buffer->layout;
    if (has->count != wanted.count || wanted.entries[wanted.count - 1].block != DOT_TERMS ||
        memcmp(has->entries, wanted.entries, (size_t)has->count * sizeof *has->entries) != 0)
        return false;
    c->b_buffer = at->inputs[0];
    Node *offset = layout_offset(ir, at->inputs[0], at->inputs + 1);
    offset = node_substitute(ir, offset, &c->roles.n, (Node *const *)&zero, 1);
    for (int i = 0; i < c->roles.contract->axis_count; i++)
        offset = node_substitute(ir, offset, &c->roles.contract->axes[i], (Node *const *)&zero, 1);
    c->b_rest = offset;
    return contract_is_plain(ir, offset);
}

/* ---- tiles ---- */

static bool has_instruction(const TargetMachineInfo *target)
{
    return target->cpu_mask & (TARGET_CPU_AVX512_VNNI | TARGET_CPU_AVX_VNNI);
}

/* Registers that a vector of PANEL sums takes. */
static int parts(const TargetMachineInfo *target)
{
    return PANEL * 4 / target->vector_bytes;
}

/* Sums, B and A; without the instruction B and A in even and odd bytes, and a product. */
static bool tile_fits(const TargetMachineInfo *target, int64_t rows, int64_t vectors)
{
    const int64_t b = vectors * parts(target), sums = rows * b;
    return sums + (has_instruction(target) ? b + 2 : 2 * b + 3) <= target->vector_registers;
}

/* Cycles of four steps of k of a tile, roughly. */
static double tile_cycles(const TargetMachineInfo *target, int64_t rows, int64_t vectors)
{
    const double b = (double)(vectors * parts(target)), products = (double)rows * b;
    const double arithmetic = has_instruction(target) ? products / 2 : products * 1.6 + b + (double)rows;
    const double loads = ((double)rows + b) / 2;
    const double front = (products + b + (double)rows) / 5;
    return arithmetic > loads ? arithmetic > front ? arithmetic : front : loads > front ? loads : front;
}

static double all_cycles(const TargetMachineInfo *target, int64_t rows, int64_t panels, int64_t height, int64_t width)
{
    const int64_t low = rows % height, narrow = panels % width;
    double cycles = (double)(rows / height) * (double)(panels / width) * tile_cycles(target, height, width);
    if (low)
        cycles += (double)(panels / width) * tile_cycles(target, low, width);
    if (narrow)
        cycles += (double)(rows / height) * tile_cycles(target, height, narrow);
    if (low && narrow)
        cycles += tile_cycles(target, low, narrow);
    return cycles;
}

static bool plan_tile(Dots *d)
{
    Contract *const c = &d->c;
    const int64_t rows = c->guess_rows, panels = ceil_divide(c->guess_columns, PANEL);
    double least = 0;
    for (int width = 1; width <= DOT_VECTORS_MAX && width <= panels; width++)
        for (int height = 1; height <= DOT_ROWS_MAX && height <= rows; height++) {
            if (!tile_fits(c->target, height, width))
                continue;
            const double cycles = all_cycles(c->target, rows, panels, height, width) + (double)(rows / height) * 0.01;
            if (c->tile.rows == 0 || cycles < least) {
                c->tile = (Tile){height, width};
                least = cycles;
            }
        }
    if (c->tile.rows == 0)
        return false;
    c->tile.vectors = (int)suggest_int(c->trial, "vectors", 1, DOT_VECTORS_MAX, c->tile.vectors);
    c->tile.rows = (int)suggest_int(c->trial, "rows", 1, DOT_ROWS_MAX, c->tile.rows);
    return true;
}

/* A unit has rows enough to stream B for them, as far as L2 keeps their copies, and columns are cut only where there
 * are not enough units for threads: copies are repeated for each block of them. */
static void plan_units(Dots *d)
{
    enum { TILES_ENOUGH = 4 };
    Contract *const c = &d->c;
    const int64_t tiles = ceil_divide(c->guess_rows, c->tile.rows);
    const int64_t groups = ceil_divide(c->guess_columns, c->tile.vectors * PANEL);
    int64_t most = c->target->l2 / 4 / (d->depth * c->tile.rows), batches = 1, extent;
    for (int i = 0; i < c->roles.batch_count; i++)
        if (const_is_int(c->roles.batch[i]->inputs[0], &extent) && extent > 0)
            batches *= extent;
    const int64_t wanted = ceil_divide(2 * c->target->cores, batches), even = ceil_divide(tiles, wanted);
    most = most < 1 ? 1 : most;
    if (most > even)
        most = even > TILES_ENOUGH ? even : TILES_ENOUGH;
    most = most > tiles ? tiles : most;
    most = ceil_divide(tiles, ceil_divide(tiles, most));
    c->block_tiles = suggest_int(c->trial, "tiles", 1, tiles, most);
    int64_t blocks = ceil_divide(wanted, ceil_divide(tiles, c->block_tiles));
    blocks = blocks < 1 ? 1 : blocks > groups ? groups : blocks;
    c->block_groups = suggest_int(c->trial, "groups", 1, groups, ceil_divide(groups, blocks));
    c->unroll = (int)suggest_int(c->trial, "unroll", 1, UNROLL_MAX, UNROLL);
}

/* Extents that must be numbers. */
static bool plan_extents(Dots *d)
{
    Contract *const c = &d->c;
    int64_t extent;
    c->guess_rows = 128;
    const_is_int(c->roles.rows, &c->guess_rows);
    if (!const_is_int(c->roles.columns, &c->guess_columns) || !const_is_int(c->roles.fours->inputs[0], &d->four) ||
        d->four < 1 || c->guess_columns < 1 || c->guess_rows < 1)
        return false;
    d->depth = ceil_divide(d->four, DOT_TERMS) * DOT_TERMS;
    for (int i = 0; i < c->roles.contract->axis_count; i++) {
        if (!const_is_int(c->roles.contract->axes[i]->inputs[0], &extent) || extent < 1)
            return false;
        d->depth *= c->roles.contract->axes[i] == c->roles.fours ? 1 : extent;
    }
    return d->depth <= 1 << 20;
}

bool dots_plan(Dots *d)
{
    Contract *const c = &d->c;
    Ir *const ir = c->ir;
    if (!c->target->dots || !contract_match_bytes(ir, c->kernel, &d->bytes))
        return false;
    c->roles = d->bytes.roles;
    if (!plan_extents(d))
        return false;
    c->m = axis_make(ir, "m", c->roles.rows);
    c->k = axis_make(ir, "k", c->roles.depth);
    c->depth = index_const(ir, d->depth);
    const bool stands = rows_stand(d), panels = columns_stand(d);
    static const char *const names[] = {"strided", "packed"};
    c->read_a = stands && suggest_choice(c->trial, "a", names, 2, 0) == 0 ? READ_STRIDED : READ_PACKED;
    c->read_b = panels ? READ_PANELS : READ_PACKED;
    if (!plan_tile(d))
        return false;
    Node *const a_zero = dots_a_zero(d);
    d->zero_moves = false;
    for (int i = 0; i < c->roles.m_count; i++)
        d->zero_moves = d->zero_moves || node_depends(ir, a_zero, c->roles.m[i]);
    plan_units(d);
    const int64_t rows = c->block_tiles * c->tile.rows, width = c->tile.vectors * PANEL;
    if (c->block_tiles * d->depth > SCRATCH_MOST || c->block_groups * d->depth > SCRATCH_MOST)
        return false;
    if (c->read_a == READ_PACKED)
        d->rows = local(d, "rows", DTYPE_U8, rows, d->depth);
    if (c->read_b == READ_PACKED)
        d->columns = local(d, "columns", c->roles.b->type.dtype, c->block_groups * c->tile.vectors, d->depth * PANEL);
    if (!is_zero(dots_b_zero(d)))
        d->row_sums = local(d, "row_sums", DTYPE_I32, rows, 1);
    if (!is_zero(a_zero))
        d->terms = local(d, "terms", DTYPE_I32, 1, width);
    d->sums = local(d, "sums", DTYPE_I32, c->tile.rows, width);
    return c->scratch <= SCRATCH_MOST;
}

double dots_plan_cycles(const Dots *d, int threads)
{
    const Contract *const c = &d->c;
    const int64_t rows = c->guess_rows, columns = c->guess_columns, tiles = ceil_divide(rows, c->tile.rows);
    const int64_t groups = ceil_divide(columns, c->tile.vectors * PANEL);
    const int64_t row_blocks = ceil_divide(tiles, c->block_tiles), column_blocks = ceil_divide(groups, c->block_groups);
    double cycles = (double)(d->depth / DOT_TERMS) *
                    all_cycles(c->target, rows, ceil_divide(columns, PANEL), c->tile.rows, c->tile.vectors);
    if (d->rows)
        cycles += (double)(rows * d->depth * column_blocks) / 16;
    if (d->terms)
        cycles += (double)(columns * d->depth * row_blocks) / 64;
    cycles += (double)(rows * columns) / 4;
    return contract_thread_cycles(c, cycles, row_blocks * column_blocks, threads);
}
