/* `gpu row`: softmax, norms and other folds of sixteen virtual lanes along rows.
 *
 *     for unit in grid:  sixteen threads a row, `threads` / 16 rows
 *         for each stage:  a fold: lane l of the row's threads has accumulator l; then four shuffles are the tree
 *                          other values: elements l, l + 16, ...; barrier where a later stage reads them
 *
 * The order is that of the fold's meaning (ir/ir.h), so the bits are those of the plain loops; after the shuffles each
 * thread of the row has the result, so results that only the row reads stay in registers. Threads of rows behind the
 * last compute the last one and store nothing, for all must come to shuffles and barriers. */
#include "codegen/gpu.h"
#include "codegen/gpu_build.h"
#include "ir/kernel.h"
#include "ir/loops.h"

enum { LANES = 16, THREADS_MOST = 256, THREADS_LEAST = 32 };

typedef struct Row {
    Ir *ir;
    Node *kernel;           /* with rows in shared memory */
    Node *lane, *live;      /* live: does this thread's row exist? NULL when all do */
    Node *const *axes;      /* the row axes */
    Node *digits[RANK_MAX]; /* and their values */
    int axis_count;
    Node *from[RANK_MAX], *to[RANK_MAX]; /* reads of the row's scalars, and their values in registers */
    int scalars;
} Row;

/* ---- which kernels ---- */

static bool is_lane_fold(const Node *node)
{
    return node->op == OP_fold && node->payload.fold.lanes == LANES && node->payload.fold.kind < FOLD_ARGMAX;
}

/* A fold that the threads of a row can share: registers of 32 or 64 bits, and no fold around it. */
static bool is_shared_fold(Ir *ir, const Node *fold, Node *const *nodes, int count)
{
    const int bits = dtype_info[fold->type.dtype].bits;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < nodes[i]->axis_count; j++)
            if (nodes[i] != fold && node_depends(ir, (Node *)(uintptr_t)fold, nodes[i]->axes[j]))
                return false;
    return bits == 32 || bits == 64;
}

/* Are there folds, all of them such that every thread comes to the same shuffles? */
static bool stage_fits(Ir *ir, const Node *stage, int rows, bool *folds)
{
    Node *value = stage_value(stage);
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    if (dtype_info[stage_buffer(stage)->type.dtype].bits < 8 || gpu_is_ragged(ir, value, stage->axes, rows))
        return false;
    for (int i = 0; i < count; i++) {
        if (!is_lane_fold(nodes[i]))
            continue;
        if (stage->axis_count > rows || !is_shared_fold(ir, nodes[i], nodes, count))
            return false;
        *folds = true;
    }
    for (int i = rows; i < stage->axis_count; i++)
        for (int j = 0; j < rows; j++)
            if (node_depends(ir, stage->axes[i]->inputs[0], stage->axes[j]))
                return false;
    return true;
}

static bool kernel_fits(Ir *ir, const Block *stages, int rows)
{
    bool folds = false;
    for (int i = 0; i < stages->count; i++)
        if (stage_ordered(stages->nodes[i]) || !stage_fits(ir, stages->nodes[i], rows, &folds))
            return false;
    return folds;
}

/* ---- values ---- */

/* One accumulator of a lane: elements lane, lane + 16, ... of the last axis, for all of the outer ones. */
static Node *emit_fold(const Row *row, Block *block, Node *fold)
{
    Ir *const ir = row->ir;
    const FoldKind kind = fold->payload.fold.kind;
    Node *const neutral = fold_neutral(ir, kind, fold->type.dtype), *const total = body_var(ir, block, neutral);
    Node *const zero = index_const(ir, 0), *const width = index_const(ir, LANES);
    Block *inner = block;
    const int last = fold->axis_count - 1;
    for (int i = 0; i < last; i++)
        inner = body_for(ir, inner, fold->axes[i], zero, fold->axes[i]->inputs[0], 1);
    Node *const axis = fold->axes[last], *const extent = axis->inputs[0];
    Node *const whole = index_mul(ir, index_floordiv(ir, extent, width), width);
    for (int tail = 0; tail < 2; tail++) {
        Node *const from = tail ? whole : zero, *const to = tail ? extent : whole;
        if (from == to)
            continue;
        Node *const base = axis_make(ir, "base", extent), *const element = index_add(ir, base, row->lane);
        Block *const body = body_for(ir, inner, base, from, to, LANES);
        StageEmitter emitter = stage_emitter(ir, row->kernel, body);
        if (tail)
            emitter.mask = scalar2(ir, OP_lt, element, extent);
        Node *value = stage_emit(&emitter, node_substitute(ir, fold->inputs[0], &axis, &element, 1));
        if (tail)
            value = scalar3(ir, OP_select, emitter.mask, value, neutral);
        body_set(ir, body, total, fold_step(ir, kind, body_get(ir, body, total), value));
    }
    Node *value = body_get(ir, block, total);
    for (int distance = LANES / 2; distance > 0; distance /= 2)
        value = fold_step(ir, kind, value,
                          gpu_ordered_value(ir, block,
                                            &(Node){.op = OP_shuffle,
                                                    .type = value->type,
                                                    .inputs = &value,
                                                    .input_count = 1,
                                                    .payload.integer = distance}));
    return value;
}

/* The value of a stage that has one element in the row. Folds are replaced by what was emitted for them, inner ones
 * first: emitting that again gives the same nodes. */
static Node *emit_scalar(const Row *row, Block *block, Node *value)
{
    Ir *const ir = row->ir;
    for (;;) {
        int count;
        Node **const nodes = nodes_topological(ir, &value, 1, &count);
        Node *fold = NULL;
        for (int i = 0; i < count && !fold; i++)
            if (is_lane_fold(nodes[i]))
                fold = nodes[i];
        if (!fold)
            break;
        Node *const folded = emit_fold(row, block, fold);
        value = node_substitute(ir, value, &fold, &folded, 1);
    }
    StageEmitter emitter = stage_emitter(ir, row->kernel, block);
    return stage_emit(&emitter, value);
}

/* ---- stages ---- */

static Block *if_live(const Row *row, Block *block)
{
    return row->live ? gpu_if(row->ir, block, row->live) : block;
}

static void emit_elements(const Row *row, Block *block, const Node *stage)
{
    Ir *const ir = row->ir;
    Node *axes[RANK_MAX], *digits[RANK_MAX];
    const int count = stage->axis_count;
    for (int i = 0; i < count; i++)
        axes[i] = stage->axes[i];
    gpu_sort_axes(ir, stage, axes, count);
    Node *const points = axes_points(ir, axes, count), *const number = axis_make(ir, "element", points);
    block = body_for(ir, if_live(row, block), number, row->lane, points, LANES);
    gpu_digits(ir, axes, count, number, digits);
    const Node *const placed = gpu_place(ir, stage, axes, digits, count);
    StageEmitter emitter = stage_emitter(ir, row->kernel, block);
    stage_emit_store(&emitter, stage_buffer(placed), stage_indices(placed), stage_emit(&emitter, stage_value(placed)));
}

/* `stage` with the row's indices and scalars in place of axes and reads. */
static const Node *at_row(const Row *row, const Node *stage)
{
    Ir *const ir = row->ir;
    const Node *const placed = gpu_place(ir, stage, row->axes, row->digits, row->axis_count);
    return stage_remake(ir, placed, stage_buffer(placed), stage_indices(placed),
                        node_substitute(ir, stage_value(placed), row->from, row->to, row->scalars));
}

/* `original`: the stage as it was before rows came to shared memory. */
static void emit_stage(Row *row, Block *block, const Node *stage, const Node *original)
{
    Ir *const ir = row->ir;
    const Node *const here = at_row(row, stage);
    if (here->axis_count) {
        emit_elements(row, block, here);
        return;
    }
    Node *const value = emit_scalar(row, block, stage_value(here));
    if (is_local(stage_buffer(original))) {
        row->from[row->scalars] = at_make(ir, stage_buffer(here), stage_indices(here));
        row->to[row->scalars++] = value;
        return;
    }
    Block *const one = gpu_if(ir, if_live(row, block), scalar2(ir, OP_eq, row->lane, index_const(ir, 0)));
    StageEmitter emitter = stage_emitter(ir, row->kernel, one);
    stage_emit_store(&emitter, stage_buffer(here), stage_indices(here), value);
}

static bool mentions(Ir *ir, const Node *stage, const Node *buffer)
{
    return stage_buffer(stage) == buffer || node_depends(ir, stage_value(stage), buffer);
}

/* Does a stage touch what an earlier one, from number `first` on, has touched, one of them to write it? Scalars in
 * registers do not count. */
static bool needs_barrier(Ir *ir, const Block *stages, const Block *original, int first, int number, int rows)
{
    const Node *const stage = stages->nodes[number];
    for (int i = first; i < number; i++) {
        const Node *const before = stages->nodes[i], *const target = stage_buffer(before);
        const bool kept = is_local(stage_buffer(original->nodes[i])) && before->axis_count == rows;
        if ((!kept && mentions(ir, stage, target)) || mentions(ir, before, stage_buffer(stage)))
            return true;
    }
    return false;
}

/* Sixteen threads a row; fewer rows in a block while blocks are fewer than two a multiprocessor. */
static int threads_for(Node *rows, const TargetMachineInfo *target)
{
    int64_t known;
    int threads = THREADS_MOST / 2;
    if (!const_is_int(rows, &known))
        return threads;
    while (threads > THREADS_LEAST && known * LANES / threads < 2 * target->gpu->sms)
        threads /= 2;
    return threads;
}

Node *gpu_row_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    const Block *const original = kernel_stages(kernel);
    Row row = {.ir = ir, .axes = original->nodes[0]->axes, .axis_count = gpu_shared_axes(original)};
    if (!kernel_fits(ir, original, row.axis_count))
        return NULL;
    Node *const rows = axes_points(ir, row.axes, row.axis_count), *const width = index_const(ir, LANES);
    int threads = threads_for(rows, target);
    for (; !row.kernel && threads >= THREADS_LEAST; threads /= 2)
        row.kernel = gpu_share_locals(ir, kernel, threads / LANES, index_floordiv(ir, thread_make(ir, threads), width),
                                      target->gpu->static_shared);
    if (!row.kernel)
        return NULL;
    threads *= 2;
    Node *const together = index_const(ir, threads / LANES), *const thread = thread_make(ir, threads), *unit;
    Node *const units = index_ceildiv(ir, rows, together);
    Block *const body = block_make(ir), *const block = gpu_blocks(ir, body, units, &unit);
    Node *number = index_add(ir, index_mul(ir, unit, together), index_floordiv(ir, thread, width));
    row.lane = index_mod(ir, thread, width);
    if (!index_is(index_mod(ir, rows, together), 0)) {
        row.live = scalar2(ir, OP_lt, number, rows);
        number = index_min(ir, number, index_sub(ir, rows, index_const(ir, 1)));
    }
    gpu_digits(ir, row.axes, row.axis_count, number, row.digits);
    const Block *const stages = kernel_stages(row.kernel);
    for (int i = 0, since = 0; i < stages->count; i++) {
        if (needs_barrier(ir, stages, original, since, i, row.axis_count)) {
            gpu_barrier(ir, block);
            since = i;
        }
        emit_stage(&row, block, stages->nodes[i], original->nodes[i]);
    }
    return kernel_with_threads(ir, kernel, body, units,
                               arena_format(ir->arena, "gpu row rows=%d threads=%d", threads / LANES, threads), 0,
                               threads);
}
