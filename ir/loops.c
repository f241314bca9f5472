/* The `loops` template: see loops.h. */
#include "ir/loops.h"

#include "ir/join.h"
#include "ir/procedure.h"

#include <string.h>

enum { UNITS_ENOUGH = 256, UNITS_LEAST = 8 };

/* Does the value hold a fold of several virtual lanes? Then lanes run along the reduction, not along an output axis. */
static bool has_lane_fold(Ir *ir, Node *value)
{
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_fold && nodes[i]->payload.fold.lanes > 1)
            return true;
    return false;
}

/* Does how far a reduction goes differ along this axis? */
static bool shapes_reduction(Ir *ir, Node *value, const Node *axis)
{
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        for (int j = 0; (nodes[i]->op == OP_fold || nodes[i]->op == OP_contract) && j < nodes[i]->axis_count; j++)
            if (node_depends(ir, nodes[i]->axes[j]->inputs[0], axis))
                return true;
    return false;
}

/* How many elements that the stage's reductions read at each of their points lie apart in memory along this axis. */
static int reads_apart(Ir *ir, const Node *stage, Node *axis)
{
    Node *value = stage_value(stage);
    int count, apart = 0;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op != OP_at || !node_depends(ir, nodes[i], axis))
            continue;
        bool reduced = false;
        for (int j = 0; j < count && !reduced; j++)
            for (int k = 0; (nodes[j]->op == OP_fold || nodes[j]->op == OP_contract) && k < nodes[j]->axis_count; k++)
                reduced = reduced || node_depends(ir, nodes[i], nodes[j]->axes[k]);
        apart += reduced && !index_has_unit(ir, read_offset(ir, nodes[i]), axis, NULL);
    }
    return apart;
}

/* The output axis along which reductions read neighbours in memory and, among such, the result's are neighbours; else
 * the last; -1 when there is none, or when lanes along it would go different ways. Axes that run in order are no such.
 */
static int lane_axis_of(Ir *ir, const Node *stage)
{
    Node *const offset = stage_offset(ir, stage);
    const int count = stage->axis_count - (stage_is_step(stage) ? 0 : stage_ordered(stage));
    int best = -1, best_apart = 0;
    bool best_near = false;
    for (int i = count - 1; i >= 0; i--) {
        if (shapes_reduction(ir, stage_value(stage), stage->axes[i]))
            continue;
        const bool near = index_has_unit(ir, offset, stage->axes[i], NULL) && !index_is(stage->axes[i]->inputs[0], 1);
        const int apart = reads_apart(ir, stage, stage->axes[i]);
        if (best >= 0 && (index_is(stage->axes[i]->inputs[0], 1) || apart > best_apart ||
                          (apart == best_apart && (best_near || !near))))
            continue;
        best = i;
        best_apart = apart;
        best_near = near;
    }
    return best;
}

/* How many operations of the stage's reductions are the same for all lanes, less than they do for each vector. */
static int work_saved(Ir *ir, Node *value, const Node *lane)
{
    int count, saved = 0, reduced = 0;
    const Node *axes[RANK_MAX];
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        for (int j = 0; (nodes[i]->op == OP_fold || nodes[i]->op == OP_contract) && j < nodes[i]->axis_count; j++)
            if (reduced < RANK_MAX)
                axes[reduced++] = nodes[i]->axes[j];
    for (int i = 0; i < count; i++) {
        bool inside = false;
        for (int j = 0; j < reduced && !inside && op_is_scalar(nodes[i]->op); j++)
            inside = node_depends(ir, nodes[i], axes[j]);
        saved += !inside ? 0 : node_depends(ir, nodes[i], lane) ? -1 : 1;
    }
    return saved;
}

/* Vectors of the lane axis that a reduction runs at once: what it finds out about a point is then done once for them.
 */
enum { VECTORS_AT_ONCE = 8 };

static int vectors_at_once(Ir *ir, const Node *stage, const Node *lane, int lanes)
{
    int64_t extent;
    int vectors = VECTORS_AT_ONCE;
    if (!const_is_int(lane->inputs[0], &extent) || work_saved(ir, stage_value(stage), lane) <= 0)
        return 1;
    while (vectors > 1 && extent % (vectors * lanes))
        vectors /= 2;
    return vectors;
}

typedef struct StagePlan {
    Node *axes[RANK_MAX]; /* output axes but the lane axis, outermost first */
    int axis_count;
    int unit_axes; /* how many of them the units count */
    Node *lane;    /* NULL: every axis is a plain loop; else the innermost loop, inside those that run in order */
    int lanes;
    Node *from, *to; /* of the lane axis, a stretch of it that is a unit's; NULL: all of it */
    bool apart;
} StagePlan;

/* The first `shared` axes are bound outside. */
static StagePlan plan_stage(Ir *ir, const Node *stage, const LoopsSchedule *schedule, int shared)
{
    StagePlan plan = {.lanes = 1, .apart = schedule->apart};
    int lane = -1;
    if (schedule->lanes > 1 && dtype_info[stage_buffer(stage)->type.dtype].bits >= 8 &&
        !has_lane_fold(ir, stage_value(stage)) && (!schedule->products || value_contracts(ir, stage_value(stage))))
        lane = lane_axis_of(ir, stage);
    lane = lane < shared ? -1 : lane;
    for (int i = shared; i < stage->axis_count; i++)
        if (i != lane)
            plan.axes[plan.axis_count++] = stage->axes[i];
    if (lane >= 0) {
        plan.lane = stage->axes[lane];
        plan.lanes = schedule->lanes;
        if (schedule->wide)
            plan.lanes *= vectors_at_once(ir, stage, plan.lane, plan.lanes);
    }
    int64_t units = 1, extent;
    const int apart =
        plan.axis_count - (stage_is_step(stage) ? 0 : stage_ordered(stage)); /* what runs in order is one unit's */
    while (plan.unit_axes < apart && units < UNITS_ENOUGH) {
        units *= const_is_int(plan.axes[plan.unit_axes]->inputs[0], &extent) && extent < UNITS_ENOUGH ? extent
                                                                                                      : UNITS_ENOUGH;
        plan.unit_axes++;
        if (units == 0)
            break;
    }
    /* Neighbouring elements below a byte share one: a single unit writes them. */
    if (dtype_info[stage_buffer(stage)->type.dtype].bits < 8)
        plan.unit_axes = 0;
    return plan;
}

/* One pass over the lane axis in `block`: [from, to) by `lanes`, with `mask` where the end is not known to be whole. */
static void emit_lanes(Ir *ir, const Node *kernel, Block *block, const Node *stage, const StagePlan *plan, Node *from,
                       Node *to, int lanes, bool masked)
{
    Block *const body = body_for(ir, block, plan->lane, from, to, lanes);
    StageEmitter emitter = stage_emitter(ir, kernel, body);
    emitter.lane_axis = plan->lane;
    emitter.lanes = lanes;
    emitter.apart = plan->apart;
    if (masked) {
        Node *const iota = node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, lanes)});
        emitter.mask = scalar2(ir, OP_lt, index_add(ir, iota, plan->lane), splat_make(ir, to, lanes));
    }
    stage_emit_store(&emitter, stage_buffer(stage), stage_indices(stage), stage_emit(&emitter, stage_value(stage)));
}

/* Units of few rows count stretches of the lane axis too, so that all threads have something to do. */
static void cut_lanes(Ir *ir, StagePlan *plan, int bits)
{
    int64_t units = 1, extent, axis;
    if (plan->lanes < 2 || !const_is_int(plan->lane->inputs[0], &extent) || extent % plan->lanes || bits < 8)
        return;
    for (int i = 0; i < plan->unit_axes; i++) {
        if (!const_is_int(plan->axes[i]->inputs[0], &axis))
            return;
        units *= axis;
    }
    if (units < 1 || units >= UNITS_LEAST || extent < 2 * plan->lanes || plan->axis_count == RANK_MAX)
        return;
    const int64_t vectors = (extent + plan->lanes - 1) / plan->lanes, wanted = (UNITS_LEAST + units - 1) / units;
    const int64_t stretch = (vectors + wanted - 1) / wanted * plan->lanes;
    Node *const number = axis_make(ir, "stretch", index_const(ir, (extent + stretch - 1) / stretch));
    for (int i = plan->axis_count++; i > plan->unit_axes; i--)
        plan->axes[i] = plan->axes[i - 1];
    plan->axes[plan->unit_axes++] = number;
    plan->from = index_mul(ir, number, index_const(ir, stretch));
    plan->to = index_min(ir, index_add(ir, plan->from, index_const(ir, stretch)), index_const(ir, extent));
}

static void emit_stage_rows(Ir *ir, const Node *kernel, Block *block, const Node *stage, const StagePlan *plan,
                            bool any_tail)
{
    if (!plan->lane) {
        StageEmitter emitter = stage_emitter(ir, kernel, block);
        emitter.apart = plan->apart;
        stage_emit_store(&emitter, stage_buffer(stage), stage_indices(stage), stage_emit(&emitter, stage_value(stage)));
        return;
    }
    if (plan->from) {
        emit_lanes(ir, kernel, block, stage, plan, plan->from, plan->to, plan->lanes, false);
        return;
    }
    Node *const extent = plan->lane->inputs[0], *const width = index_const(ir, plan->lanes);
    Node *const whole = index_mul(ir, index_floordiv(ir, extent, width), width);
    if (!index_is(whole, 0))
        emit_lanes(ir, kernel, block, stage, plan, index_const(ir, 0), whole, plan->lanes, false);
    int64_t at, end;
    if (!const_is_int(whole, &at) || !const_is_int(extent, &end)) {
        emit_lanes(ir, kernel, block, stage, plan, whole, extent, plan->lanes, true);
        return;
    }
    for (int lanes = any_tail ? (int)(end - at) : plan->lanes / 2; at < end; lanes /= 2)
        if (lanes && end - at >= lanes) {
            emit_lanes(ir, kernel, block, stage, plan, index_const(ir, at), index_const(ir, at + lanes), lanes, false);
            at += lanes;
        }
}

/* Unit number -> indices of the unit axes, last fastest; the axes are variables of loops that run once. */
static Block *decode_units(Ir *ir, Block *block, const StagePlan *plan, Node *unit)
{
    Node *pitch = index_const(ir, 1), *index[RANK_MAX];
    for (int i = plan->unit_axes - 1; i >= 0; i--) {
        Node *const above = index_floordiv(ir, unit, pitch);
        index[i] = i ? index_mod(ir, above, plan->axes[i]->inputs[0]) : above;
        pitch = index_mul(ir, pitch, plan->axes[i]->inputs[0]);
    }
    for (int i = 0; i < plan->unit_axes; i++)
        block = body_for(ir, block, plan->axes[i], index[i], index_add(ir, index[i], index_const(ir, 1)), 1);
    return block;
}

/* A loop over units begin..end in `block`, with the axes of `plan` that units count bound inside; sets *units. */
static Block *unit_loop(Ir *ir, Block *block, const StagePlan *plan, Node **units)
{
    *units = index_const(ir, 1);
    for (int i = 0; i < plan->unit_axes; i++)
        *units = index_mul(ir, *units, plan->axes[i]->inputs[0]);
    if (plan->unit_axes == 0)
        return block;
    Node *const unit = plan->unit_axes == 1 ? plan->axes[0] : axis_make(ir, "unit", *units);
    block = body_units(ir, block, unit);
    return plan->unit_axes > 1 ? decode_units(ir, block, plan, unit) : block;
}

/* The loops of one stage inside those of its first `shared` axes. With `units` NULL the whole stage runs; else units
 * begin..end. */
static void emit_stage(Ir *ir, const Node *kernel, Block *block, const Node *stage, const LoopsSchedule *schedule,
                       int shared, Node **units)
{
    StagePlan plan = plan_stage(ir, stage, schedule, shared);
    if (units)
        cut_lanes(ir, &plan, dtype_info[stage_buffer(stage)->type.dtype].bits);
    if (units)
        block = unit_loop(ir, block, &plan, units);
    else
        plan.unit_axes = 0;
    for (int i = plan.unit_axes; i < plan.axis_count; i++)
        block = body_for(ir, block, plan.axes[i], index_const(ir, 0), plan.axes[i]->inputs[0], 1);
    emit_stage_rows(ir, kernel, block, stage, &plan, schedule->any_tail);
}

void loops_emit(Ir *ir, const Node *kernel, Block *block, const Node *stage, const LoopsSchedule *schedule)
{
    emit_stage(ir, kernel, block, stage, schedule, 0, NULL);
}

void loops_emit_within(Ir *ir, const Node *kernel, Block *block, const Node *stage, const LoopsSchedule *schedule,
                       int shared)
{
    emit_stage(ir, kernel, block, stage, schedule, shared, NULL);
}

int stages_shared_axes(const Block *stages)
{
    if (stage_is_step(stages->nodes[0]))
        return stage_step_axes(stages->nodes[0]);
    int shared = stages->count ? stages->nodes[0]->axis_count : 0;
    for (int i = 1; i < stages->count; i++) {
        int same = 0;
        while (same < shared && same < stages->nodes[i]->axis_count &&
               stages->nodes[i]->axes[same] == stages->nodes[0]->axes[same])
            same++;
        shared = same;
    }
    return shared;
}

Node *loops_schedule(Ir *ir, Node *kernel, const LoopsSchedule *schedule)
{
    const Block *const stages = kernel_stages(kernel);
    if (kernel_is_procedure(kernel))
        return kernel;
    Block *const body = block_make(ir);
    Node *units = index_const(ir, 1);
    if (stages->count == 1 && !kernel_has_steps(kernel)) {
        Node *stage = stages->nodes[0];
        int lane = schedule->wide && !has_lane_fold(ir, stage_value(stage)) ? lane_axis_of(ir, stage) : -1;
        if (lane >= 0)
            stage = stage_join_axes(ir, stage, &lane, schedule->lanes);
        emit_stage(ir, kernel, body, stage, schedule, 0, &units);
    } else {
        StagePlan rows = {.axis_count = stages_shared_axes(stages)};
        rows.unit_axes = rows.axis_count - (kernel_has_steps(kernel) ? stage_ordered(stages->nodes[0]) : 0);
        for (int i = 0; i < rows.axis_count; i++)
            rows.axes[i] = stages->nodes[0]->axes[i];
        Block *inside = unit_loop(ir, body, &rows, &units);
        for (int i = rows.unit_axes; i < rows.axis_count; i++)
            inside = body_for(ir, inside, rows.axes[i], index_const(ir, 0), rows.axes[i]->inputs[0], 1);
        for (int i = 0; i < stages->count; i++)
            emit_stage(ir, kernel, inside, stages->nodes[i], schedule, rows.axis_count, NULL);
    }
    return kernel_with_body(
        ir, kernel, body, units,
        arena_format(ir->arena, "loops lanes=%d%s", schedule->lanes, schedule->apart ? " apart" : ""),
        kernel->payload.kernel->scratch);
}
