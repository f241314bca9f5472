/* Decisions of the `gpu contract` template: how operands come to shared memory, and the tiles. See gpu_contract.h. */
#include "codegen/gpu_contract.h"

#include "codegen/gpu_build.h"
#include "ir/kernel.h"

#include <string.h>

/* ---- operands ---- */

/* Is the index arithmetic or condition over axes and symbols alone, without loaded or checked parts? */
static bool is_plain(Ir *ir, Node *node)
{
    int count;
    Node **const nodes = nodes_topological(ir, &node, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_at || nodes[i]->op == OP_bound || nodes[i]->op == OP_guard || nodes[i]->axis_count)
            return false;
    return true;
}

/* The element of memory that `value` is, or is where a condition holds, with zero elsewhere. */
static Node *element_of(Ir *ir, const GpuContract *c, Node *value, Node **condition)
{
    *condition = NULL;
    if (value->op == OP_guard && value->inputs[2]->op == OP_const && value->inputs[2]->payload.bits == 0) {
        *condition = value->inputs[0];
        value = value->inputs[1];
    }
    if (value->op != OP_at || kernel_writes(c->kernel, value->inputs[0]) || (*condition && !is_plain(ir, *condition)))
        return NULL;
    for (uint32_t i = 1; i < value->input_count; i++)
        if (!is_plain(ir, value->inputs[i]))
            return NULL;
    return value;
}

/* Any place of memory that the operand reads: neighbours of it decide which way threads go. */
static Node *some_read(Ir *ir, Node *value)
{
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = count - 1; i >= 0; i--)
        if (nodes[i]->op == OP_at && nodes[i]->inputs[0]->type.rank > 0)
            return nodes[i];
    return NULL;
}

static bool is_unit(Ir *ir, Node *offset, Node *axis)
{
    return axis && index_has_unit(ir, offset, axis, NULL);
}

/* The innermost of the axes that has more than one point. */
static Node *innermost(Node *const *axes, int count)
{
    for (int i = count - 1; i >= 0; i--)
        if (!index_is(axes[i]->inputs[0], 1))
            return axes[i];
    return NULL;
}

/* Do `lanes` elements along `axis`, from a multiple of `lanes` on, stand one after the other at a multiple of as many,
 * under one condition? Then they are one copy. */
static bool is_chunked(Ir *ir, Node *offset, Node *condition, Node *axis, int lanes)
{
    int64_t extent;
    Node *rest;
    return index_has_unit(ir, offset, axis, &rest) && const_is_int(axis->inputs[0], &extent) && extent % lanes == 0 &&
           index_is(index_mod(ir, rest, index_const(ir, lanes)), 0) &&
           (!condition || !node_depends(ir, condition, axis));
}

static bool is_panels(const GpuContract *c)
{
    if (!c->roles.weight)
        return false;
    const Layout wanted = panel_layout(&c->roles);
    const Layout *const has = &c->roles.weight->payload.buffer->layout;
    return has->count == wanted.count &&
           memcmp(has->entries, wanted.entries, (size_t)has->count * sizeof *has->entries) == 0;
}

static int chunk_of(Dtype dtype)
{
    return 128 / dtype_info[dtype].bits;
}

static GpuOperand plan_operand(const GpuContract *c, Node *value, Node *const *axes, int axis_count, bool columns)
{
    Ir *const ir = c->ir;
    const Dtype dtype = c->mma ? c->mma->operand : DTYPE_F32;
    GpuOperand o = {.value = value, .axes = axes, .axis_count = axis_count, .columns = columns, .dtype = dtype};
    o.lines = axes_points(ir, axes, axis_count);
    o.lanes = 1;
    if (columns && is_panels(c)) {
        const Dtype stored = c->roles.weight->type.dtype;
        o.panels = true;
        o.lanes = dtype_info[stored].bits >= 16 ? chunk_of(dtype) : 1;
        o.async = c->target->gpu->copy_async && stored == dtype;
        return o;
    }
    Node *const k = innermost(c->roles.contract->axes, c->roles.contract->axis_count);
    Node *const line = innermost(axes, axis_count), *condition;
    Node *const read = some_read(ir, value), *const element = element_of(ir, c, value, &condition);
    Node *const near = read ? read_offset(ir, read) : NULL;
    o.along_k = near && is_unit(ir, near, k) && !is_unit(ir, near, line);
    if (!columns && near && !o.along_k)
        o.along_k = !is_unit(ir, near, line);
    if (!element || element->type.dtype != dtype)
        return o;
    Node *const offset = read_offset(ir, element);
    Node *const along = columns ? line : k;
    if (along && o.along_k == !columns && is_chunked(ir, offset, condition, along, chunk_of(dtype)) &&
        index_is(index_mod(ir, c->roles.depth, index_const(ir, columns ? 1 : chunk_of(dtype))), 0))
        o.lanes = chunk_of(dtype);
    o.async = c->target->gpu->copy_async && o.lanes * dtype_info[dtype].bits >= 32;
    return o;
}

/* ---- tiles ---- */

/* Tiles of threads: rows, columns and depth of the block's, then rows, vectors and lanes of a thread's. */
static const GpuTile thread_tiles[] = {
    {128, 128, 16, 8, 2, 4}, {128, 64, 16, 8, 2, 4}, {64, 128, 16, 8, 2, 4}, {64, 64, 16, 8, 2, 4},
    {64, 64, 16, 4, 2, 4},   {64, 32, 16, 4, 1, 4},  {32, 64, 16, 4, 1, 4},  {32, 32, 16, 4, 1, 4},
    {32, 32, 32, 2, 1, 4},   {16, 64, 16, 2, 1, 4},  {16, 32, 32, 1, 1, 4},  {8, 64, 32, 1, 1, 4},
    {64, 16, 16, 4, 1, 2},   {32, 16, 32, 2, 1, 2},  {4, 64, 32, 1, 1, 2},   {2, 64, 32, 1, 1, 1},
    {2, 16, 64, 1, 1, 1},    {1, 32, 64, 1, 1, 1},   {1, 64, 64, 1, 1, 1},   {1, 128, 32, 1, 1, 1},
};

/* Tiles of warps: rows, columns and depth of the block's, then rows and columns of a warp's. */
static const GpuTile warp_tiles[] = {
    {128, 128, 32, .warp_rows = 64, .warp_columns = 32}, {128, 128, 16, .warp_rows = 64, .warp_columns = 32},
    {128, 64, 32, .warp_rows = 64, .warp_columns = 32},  {128, 64, 16, .warp_rows = 64, .warp_columns = 32},
    {64, 64, 32, .warp_rows = 32, .warp_columns = 32},   {64, 64, 16, .warp_rows = 32, .warp_columns = 32},
    {64, 32, 32, .warp_rows = 32, .warp_columns = 16},   {32, 64, 32, .warp_rows = 16, .warp_columns = 32},
    {32, 32, 32, .warp_rows = 16, .warp_columns = 16},   {16, 64, 32, .warp_rows = 16, .warp_columns = 16},
    {16, 32, 32, .warp_rows = 16, .warp_columns = 8},
};

static int threads_of(const GpuTile *tile)
{
    if (tile->warp_rows)
        return tile->rows / tile->warp_rows * (tile->columns / tile->warp_columns) * WARP_LANES;
    return tile->rows / tile->thread_rows * (tile->columns / (tile->vectors * tile->lanes));
}

/* Elements from line to line (or k to k) in shared memory, so that neither copies of 16 bytes nor the reads of a warp
 * meet in one bank. */
static void plan_pitches(GpuContract *c)
{
    const int chunk = chunk_of(c->a.dtype);
    c->a.pitch = c->tile.depth + chunk;
    c->b.pitch = c->tile.columns + (c->mma ? 8 : c->tile.columns % 32 == 0 ? 16 : 0);
    c->a.tile = c->tile.rows;
    c->b.tile = c->tile.columns;
}

static int64_t shared_bytes(const GpuContract *c, int stages)
{
    const int64_t elements = (int64_t)c->tile.rows * c->a.pitch + (int64_t)c->tile.depth * c->b.pitch;
    return stages * elements * dtype_info[c->a.dtype].bits / 8;
}

/* Two tiles of k, or three where copies pass by the registers and the third costs no residence. */
static int plan_stages(const GpuContract *c)
{
    const bool async = c->a.async && c->b.async;
    return async && shared_bytes(c, 3) <= 32 << 10 ? 3 : 2;
}

static int64_t known(Node *node, int64_t otherwise)
{
    int64_t value;
    return const_is_int(node, &value) ? value : otherwise;
}

/* What symbolic extents are taken for. */
enum { ROWS_GUESS = 128, COLUMNS_GUESS = 256, DEPTH_GUESS = 512 };
/* Cycles until memory answers and until a block is under way; instructions of a copy and its address; registers for
 * addresses. */
enum { LATENCY = 600, BLOCK_START = 1000, COPY_INSTRUCTIONS = 12, REGISTERS_REST = 40 };

/* What one k of a block's tile takes of a multiprocessor. */
typedef struct StepCost {
    double products;     /* cycles of its units for multiply-adds */
    double instructions; /* of warps, without copies */
    double reads;        /* cycles of shared memory, 128 bytes each */
    int registers;       /* of a thread, without addresses */
} StepCost;

static StepCost step_cost(const GpuContract *c)
{
    const GpuTile *const t = &c->tile;
    const double warps = threads_of(t) / (double)WARP_LANES;
    StepCost step;
    if (c->mma) { /* 1,024 multiply-adds of 16 bits a cycle, or 512 of 32 */
        const int down = t->warp_rows / c->mma->m, across = t->warp_columns / c->mma->n;
        const double bits = dtype_info[c->mma->operand].bits;
        const double fragments = down * c->mma->a.slots * bits / 32 + across * c->mma->b.slots;
        step.products = (double)t->rows * t->columns / (16384 / bits);
        step.reads = warps * fragments / c->mma->k;
        step.instructions = warps * (fragments + down * across) / c->mma->k;
        step.registers = down * across * c->mma->c.slots + (int)fragments;
        return step;
    }
    const int across = t->columns / (t->vectors * t->lanes), sums = t->thread_rows * t->vectors * t->lanes;
    step.products = warps * sums / 4;
    step.reads = warps * (t->thread_rows / 4.0 + t->vectors * (across > 8 ? across / 8.0 : 1) * t->lanes / 4.0);
    step.instructions = warps * (sums + t->thread_rows / 4.0 + t->vectors);
    step.registers = sums + 4 * t->thread_rows + t->vectors * t->lanes;
    return step;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Cycles of the busiest multiprocessor, roughly: per k, the slowest of multiply-adds, instructions (four a cycle),
 * reads of shared memory and what comes from L2 (64 bytes a cycle); a block alone waits for memory once per tile of k.
 */
static double tile_cycles(const GpuContract *c)
{
    const TargetGpu *const gpu = c->target->gpu;
    const GpuTile *const t = &c->tile;
    const StepCost step = step_cost(c);
    const double warps = threads_of(t) / (double)WARP_LANES;
    const double stream = (t->rows + t->columns) * dtype_info[c->a.dtype].bits / 512.0;
    const double copies = (double)(t->rows / c->a.lanes + t->columns / c->b.lanes) / WARP_LANES * COPY_INSTRUCTIONS;
    const double issue = (step.instructions + copies) / 4;
    const double full = 1.1 * larger(larger(step.products, issue), larger(step.reads, stream));
    const double alone = larger(step.products, issue) * (warps < 4 ? 4 / warps : 1) + step.reads / 2;
    const double depth = (double)known(c->roles.depth, DEPTH_GUESS), steps = depth / t->depth;
    const double latency = larger(LATENCY / (double)(c->stages - 1) * steps, alone * depth) + LATENCY;
    int64_t blocks = ceil_divide(known(c->roles.rows, ROWS_GUESS), t->rows) *
                     ceil_divide(known(c->roles.columns, COLUMNS_GUESS), t->columns);
    for (int i = 0; i < c->roles.batch_count; i++)
        blocks *= known(c->roles.batch[i]->inputs[0], 1);
    int64_t resident = gpu->registers / ((int64_t)(step.registers + REGISTERS_REST) * threads_of(t));
    const int64_t by_shared = gpu->sm_shared / (shared_bytes(c, c->stages) + 1024);
    const int64_t by_threads = gpu->sm_threads / threads_of(t);
    resident = by_shared < resident ? by_shared : resident;
    resident = by_threads < resident ? by_threads : resident;
    resident = resident < 1 ? 1 : resident;
    const int64_t busiest = ceil_divide(blocks, gpu->sms), rest = busiest % resident;
    const double together = (double)resident * full * depth, last = (double)rest * full * depth;
    double cycles = (double)(busiest / resident) * larger(together, latency);
    if (rest)
        cycles += larger(last, latency);
    return cycles + (double)busiest * BLOCK_START / (double)resident;
}

static bool fits(const GpuContract *c)
{
    const GpuTile *const tile = &c->tile;
    const int64_t most = (int64_t)FETCH_MAX * c->threads;
    return shared_bytes(c, c->stages) <= c->target->gpu->static_shared &&
           (int64_t)tile->rows * tile->depth / c->a.lanes <= most &&
           (int64_t)tile->columns * tile->depth / c->b.lanes <= most;
}

/* Everything that follows from the tile. False when it does not fit. */
static bool take_tile(GpuContract *c, const GpuTile *tile)
{
    c->tile = *tile;
    plan_pitches(c);
    c->threads = threads_of(tile);
    c->stages = plan_stages(c);
    return fits(c);
}

static bool plan_tile(GpuContract *c)
{
    const GpuTile *const tiles = c->mma ? warp_tiles : thread_tiles, *best = NULL;
    const size_t count = c->mma ? sizeof warp_tiles / sizeof *tiles : sizeof thread_tiles / sizeof *tiles;
    double least = 1e300;
    for (size_t i = 0; i < count; i++) {
        if (!take_tile(c, &tiles[i]))
            continue;
        const double cycles = tile_cycles(c);
        if (cycles < least) {
            least = cycles;
            best = &tiles[i];
        }
    }
    if (!best)
        return false;
    const int64_t chosen = suggest_int(c->trial, "tile", 0, (int64_t)count - 1, best - tiles);
    take_tile(c, &tiles[chosen]);
    if (c->a.async && c->b.async)
        c->stages = (int)suggest_int(c->trial, "stages", 2, STAGES_MAX, c->stages);
    return fits(c);
}

/* ---- matrix instructions ---- */

/* In order of preference. tf32 has 10 bits of f32's 23, so only --math fast asks for it. */
static const struct {
    const char *name;
    Dtype operand;
    MathMode math; /* least */
} instructions[] = {
    {"m16n8k16.f16.f32", DTYPE_F16, MATH_DEFAULT},
    {"m16n8k8.f16.f32", DTYPE_F16, MATH_DEFAULT},
    {"m16n8k16.bf16.f32", DTYPE_BF16, MATH_DEFAULT},
    {"m16n8k8.tf32.f32", DTYPE_F32, MATH_FAST},
};

static bool has_word(const char *words, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = words; at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL)
        if (strncmp(at, word, length) == 0 && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

/* A value that was widened for the sum. */
static Node *narrow(Node *value)
{
    return value->op == OP_cast && value->type.dtype == DTYPE_F32 && dtype_is_float(value->inputs[0]->type.dtype)
               ? value->inputs[0]
               : value;
}

static const MmaRow *plan_mma(const GpuContract *c, const ScheduleOptions *options)
{
    const Dtype operand = narrow(c->roles.a)->type.dtype;
    for (size_t i = 0; i < sizeof instructions / sizeof *instructions; i++)
        if (instructions[i].operand == operand && narrow(c->roles.b)->type.dtype == operand &&
            options->math >= instructions[i].math && has_word(c->target->gpu->mma, instructions[i].name))
            return mma_row(mma_find(instructions[i].name));
    return NULL;
}

bool gpu_contract_plan(GpuContract *c, const ScheduleOptions *options)
{
    Ir *const ir = c->ir;
    if (!contract_match(ir, c->kernel, &c->roles))
        return false;
    if (known(c->roles.depth, 1) < 1 || known(c->roles.rows, 1) < 1 || known(c->roles.columns, 1) < 1)
        return false;
    c->mma = plan_mma(c, options);
    c->a = plan_operand(c, c->mma ? narrow(c->roles.a) : c->roles.a, c->roles.m, c->roles.m_count, false);
    c->b = plan_operand(c, c->mma ? narrow(c->roles.b) : c->roles.b, &c->roles.n, 1, true);
    if (!plan_tile(c))
        return false;
    c->k_tiles = index_ceildiv(ir, c->roles.depth, index_const(ir, c->tile.depth));
    c->thread = thread_make(ir, c->threads);
    c->a.shared = gpu_shared(ir, "a", c->a.dtype, (int64_t)c->stages * c->tile.rows * c->a.pitch);
    c->b.shared = gpu_shared(ir, "b", c->b.dtype, (int64_t)c->stages * c->tile.depth * c->b.pitch);
    return true;
}
