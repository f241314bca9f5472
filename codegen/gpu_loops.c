/* `gpu loops`: any stages as blocks of threads, each thread one element of the result after the other. The floor of the
 * other GPU templates: obvious and right.
 *
 *     one stage:        for unit in grid:  element = unit * threads + thread;  if element is one:  buffer[element] =
 * value several stages:   for unit in grid:  a row; for each stage:  elements of the row thread by thread;  barrier
 *     steps:            for unit in grid:  a row; for each step:  the same
 *
 * Axes that run in order are loops of the thread that has the other axes. Rows of intermediate results lie in shared
 * memory; where they are too large, one thread does the row. Elements below a byte are written by one thread. */
#include "codegen/gpu.h"
#include "codegen/gpu_build.h"
#include "ir/loops.h"
#include "ir/procedure.h"

enum { THREADS_MOST = 256, THREADS_LEAST = 32, THREADS_ALONE = 1024 };

typedef struct Loops {
    Ir *ir;
    Node *kernel; /* whose stages are emitted: rows may lie in shared memory */
    int threads;
} Loops;

/* How many of the last axes are loops of the thread that has the other axes: none of a step, whose order is the
 * block's. */
static int own_order(const Node *stage)
{
    return stage_is_step(stage) ? 0 : stage_ordered(stage);
}

/* The element of a stage whose axes but the ordered ones have values. */
static void emit_element(const Loops *loops, Block *block, const Node *stage)
{
    Ir *const ir = loops->ir;
    const int apart = stage->axis_count - own_order(stage);
    for (int i = apart; i < stage->axis_count; i++)
        block = body_for(ir, block, stage->axes[i], index_const(ir, 0), stage->axes[i]->inputs[0], 1);
    StageEmitter emitter = stage_emitter(ir, loops->kernel, block);
    stage_emit_store(&emitter, stage_buffer(stage), stage_indices(stage), stage_emit(&emitter, stage_value(stage)));
}

/* The element number `number` of those that the axes count. */
static void emit_numbered(const Loops *loops, Block *block, const Node *stage, Node *const *axes, int count,
                          Node *number)
{
    Ir *const ir = loops->ir;
    Node *digits[RANK_MAX];
    gpu_digits(ir, axes, count, number, digits);
    const int apart = stage->axis_count - own_order(stage);
    bool ragged = gpu_is_ragged(ir, stage_value(stage), axes, count);
    for (int i = apart; i < stage->axis_count; i++)
        for (int j = 0; j < count; j++)
            ragged = ragged || node_depends(ir, stage->axes[i]->inputs[0], axes[j]);
    if (!ragged) {
        emit_element(loops, block, gpu_place(ir, stage, axes, digits, count));
        return;
    }
    for (int i = 0; i < count; i++)
        block = body_for(ir, block, axes[i], digits[i], index_add(ir, digits[i], index_const(ir, 1)), 1);
    StageEmitter emitter = stage_emitter(ir, loops->kernel, block);
    for (int i = apart; i < stage->axis_count; i++)
        emitter.block = body_for(ir, emitter.block, stage->axes[i], index_const(ir, 0), stage->axes[i]->inputs[0], 1);
    stage_emit_store(&emitter, stage_buffer(stage), stage_indices(stage), stage_emit(&emitter, stage_value(stage)));
}

/* The axes of the stage that threads share out among them, from number `first` on. */
static int thread_axes(Ir *ir, const Node *stage, int first, Node **axes)
{
    const int count = stage->axis_count - own_order(stage) - first;
    for (int i = 0; i < count; i++)
        axes[i] = stage->axes[first + i];
    gpu_sort_axes(ir, stage, axes, count);
    return count;
}

/* Fewer threads in a block while there are fewer blocks than multiprocessors. */
static int threads_for(Node *points, const TargetMachineInfo *target)
{
    int64_t known;
    if (!const_is_int(points, &known))
        return THREADS_MOST / 2;
    int threads = THREADS_MOST;
    while (threads > THREADS_LEAST && (known + threads - 1) / threads < target->gpu->sms)
        threads /= 2;
    return threads;
}

static Node *schedule_elements(Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    const Node *const stage = kernel_stages(kernel)->nodes[0];
    Node *axes[RANK_MAX], *unit;
    const int count = thread_axes(ir, stage, 0, axes);
    Node *const points = axes_points(ir, axes, count);
    const int threads = threads_for(points, target);
    Node *const width = index_const(ir, threads), *const units = index_ceildiv(ir, points, width);
    Block *const body = block_make(ir);
    Block *block = gpu_blocks(ir, body, units, &unit);
    Node *const number = index_add(ir, index_mul(ir, unit, width), thread_make(ir, threads));
    block = gpu_if(ir, block, scalar2(ir, OP_lt, number, points));
    emit_numbered(&(Loops){ir, kernel, threads}, block, stage, axes, count, number);
    return kernel_with_threads(ir, kernel, body, units, arena_format(ir->arena, "gpu loops threads=%d", threads),
                               kernel->payload.kernel->scratch, threads);
}

/* The elements of the row that `stage` writes, by all threads of the block. */
static void emit_row_stage(const Loops *loops, Block *block, const Node *stage, int rows)
{
    Ir *const ir = loops->ir;
    Node *axes[RANK_MAX];
    const int count = thread_axes(ir, stage, rows, axes);
    Node *const points = axes_points(ir, axes, count);
    if (index_is(points, 1)) {
        Node *const first = scalar2(ir, OP_eq, thread_make(ir, loops->threads), index_const(ir, 0));
        emit_numbered(loops, loops->threads == 1 ? block : gpu_if(ir, block, first), stage, axes, count,
                      index_const(ir, 0));
        return;
    }
    Node *const number = axis_make(ir, "element", points);
    block = body_for(ir, block, number, thread_make(ir, loops->threads), points, loops->threads);
    emit_numbered(loops, block, stage, axes, count, number);
}

static bool writes_below_bytes(const Block *stages)
{
    for (int i = 0; i < stages->count; i++)
        if (dtype_info[stage_buffer(stages->nodes[i])->type.dtype].bits < 8)
            return true;
    return false;
}

static Node *schedule_rows(Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    const Block *const original = kernel_stages(kernel);
    const bool alone = writes_below_bytes(original);
    Node *const shared = gpu_share_locals(ir, kernel, 1, index_const(ir, 0), target->gpu->static_shared);
    const int steps = kernel_has_steps(kernel) ? stage_ordered(original->nodes[0]) : 0;
    const int leading = steps ? stage_step_axes(original->nodes[0]) : 0;
    const int rows = alone ? 0 : steps ? leading - steps : gpu_shared_axes(original);
    const Loops loops = {.ir = ir,
                         .kernel = shared ? shared : kernel,
                         .threads = alone || !shared ? 1
                                    : rows           ? THREADS_MOST / 2
                                                     : THREADS_ALONE};
    Node *const *const axes = original->nodes[0]->axes;
    Node *digits[RANK_MAX], *unit, *const units = axes_points(ir, axes, rows);
    Block *const body = block_make(ir);
    Block *block = gpu_blocks(ir, body, units, &unit);
    gpu_digits(ir, axes, rows, unit, digits);
    for (int i = 0; i < rows; i++)
        block = body_for(ir, block, axes[i], digits[i], index_add(ir, digits[i], index_const(ir, 1)), 1);
    for (int i = rows; i < leading; i++)
        block = body_for(ir, block, axes[i], index_const(ir, 0), axes[i]->inputs[0], 1);
    const Block *const stages = kernel_stages(loops.kernel);
    for (int i = 0; i < stages->count; i++) {
        if (i > 0 && loops.threads > 1)
            gpu_barrier(ir, block);
        emit_row_stage(&loops, block, stages->nodes[i], steps ? leading : rows);
    }
    if (steps && loops.threads > 1)
        gpu_barrier(ir, block);
    return kernel_with_threads(ir, kernel, body, units,
                               arena_format(ir->arena, "gpu loops rows=%d threads=%d", rows, loops.threads),
                               shared ? 0 : kernel->payload.kernel->scratch, loops.threads);
}

Node *gpu_loops_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    const Block *const stages = kernel_stages(kernel);
    if (kernel_is_procedure(kernel))
        return procedure_with_threads(ir, kernel, THREADS_LEAST);
    if (stages->count == 1 && !kernel_has_steps(kernel) &&
        dtype_info[stage_buffer(stages->nodes[0])->type.dtype].bits >= 8)
        return schedule_elements(ir, kernel, target);
    return schedule_rows(ir, kernel, target);
}
