/* See rows.h. */
#include "codegen/rows.h"

#include "ir/kernel.h"

enum { PARTS = 4 }; /* vectors of one round: constants are loaded once for them */

/* The one fold of the stage's value, when there is no other reduction. */
static Node *only_fold(Ir *ir, const Node *stage)
{
    Node *value = stage_value(stage), *found = NULL;
    int count, reductions = 0;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_fold || nodes[i]->op == OP_contract) {
            reductions++;
            found = nodes[i];
        }
    return reductions == 1 && found->op == OP_fold ? found : NULL;
}

/* Does `sum` add up the row that `stage` writes along its own axis, in vectors? The fold; NULL: no. */
static Node *sum_of(Ir *ir, const Node *stage, const Node *sum, int shared)
{
    Node *const fold = only_fold(ir, sum), *const target = stage_buffer(stage);
    int64_t extent;
    if (!fold || only_fold(ir, stage) || value_contracts(ir, stage_value(stage)) || fold->axis_count != 1 ||
        fold->payload.fold.kind != FOLD_SUM || fold->payload.fold.lanes < 2 || stage->axis_count != shared + 1 ||
        sum->axis_count != shared || target->type.dtype != fold->type.dtype)
        return NULL;
    Node *const own = stage->axes[shared], *const read = fold->inputs[0];
    if (own->inputs[0] != fold->axes[0]->inputs[0] || !const_is_int(own->inputs[0], &extent) || read->op != OP_at ||
        read->inputs[0] != target || stage_buffer(sum) == target)
        return NULL;
    for (int i = 0; i < target->type.rank; i++)
        if (node_substitute(ir, read->inputs[1 + i], fold->axes, &own, 1) != stage_indices(stage)[i])
            return NULL;
    return fold;
}

/* Vectors [from, to) of the row, `parts` at a time: written, and added to the total. `inside`: lanes that there are. */
static void emit_vectors(Ir *ir, const Node *kernel, Block *block, const Node *stage, Node *axis, const Node *fold,
                         Node *total, int64_t from, int64_t to, int parts)
{
    const int lanes = fold->payload.fold.lanes;
    int64_t extent = to;
    const_is_int(axis->inputs[0], &extent);
    Block *const body = body_for(ir, block, axis, index_const(ir, from), index_const(ir, to), (int64_t)lanes * parts);
    StageEmitter emitters[PARTS];
    Node *values[PARTS];
    for (int part = 0; part < parts; part++) {
        StageEmitter emitter = stage_emitter(ir, kernel, body);
        emitter.lane_axis = axis;
        emitter.lane_base = part ? index_add(ir, axis, index_const(ir, part * lanes)) : NULL;
        emitter.lanes = lanes;
        if (extent - from < lanes) {
            Node *const iota = node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, lanes)});
            emitter.mask = scalar2(ir, OP_lt, index_add(ir, iota, axis), splat_make(ir, axis->inputs[0], lanes));
        }
        Node *const value = stage_emit(&emitter, stage_value(stage));
        values[part] = splat_make(ir, value, value->type.lanes == lanes ? 1 : lanes);
        emitters[part] = emitter;
    }
    for (int part = 0; part < parts; part++) /* one after the other, so that they are made side by side */
        stage_emit_store(&emitters[part], stage_buffer(stage), stage_indices(stage), values[part]);
    for (int part = 0; part < parts; part++) {
        Node *value = values[part];
        if (emitters[part].mask)
            value = scalar3(ir, OP_select, emitters[part].mask, value,
                            splat_make(ir, fold_neutral(ir, FOLD_SUM, fold->type.dtype), lanes));
        body_set(ir, body, total, fold_step(ir, FOLD_SUM, body_get(ir, body, total), value));
    }
}

static void emit_pair(Ir *ir, const Node *kernel, Block *block, const Node *stage, const Node *sum, Node *fold,
                      int shared)
{
    Node *const axis = stage->axes[shared];
    const int lanes = fold->payload.fold.lanes;
    int64_t extent = 0;
    const_is_int(axis->inputs[0], &extent);
    const int64_t rounds = extent / (lanes * PARTS) * (lanes * PARTS), whole = extent / lanes * lanes;
    Node *const total = body_var(ir, block, splat_make(ir, fold_neutral(ir, FOLD_SUM, fold->type.dtype), lanes));
    if (rounds)
        emit_vectors(ir, kernel, block, stage, axis, fold, total, 0, rounds, PARTS);
    if (whole > rounds)
        emit_vectors(ir, kernel, block, stage, axis, fold, total, rounds, whole, 1);
    if (extent > whole)
        emit_vectors(ir, kernel, block, stage, axis, fold, total, whole, extent, 1);
    Node *const all = body_get(ir, block, total);
    StageEmitter emitter = stage_emitter(ir, kernel, block);
    stage_preset(&emitter, fold,
                 node_make(ir, &(Node){.op = OP_reduce,
                                       .type = type_scalar(fold->type.dtype),
                                       .inputs = &all,
                                       .input_count = 1,
                                       .payload.fold = {FOLD_SUM, 1}}));
    stage_emit_store(&emitter, stage_buffer(sum), stage_indices(sum), stage_emit(&emitter, stage_value(sum)));
}

int rows_emit(Ir *ir, const Node *kernel, Block *block, Node *const *stages, int count, int shared,
              const LoopsSchedule *schedule)
{
    Node *const fold = count > 1 ? sum_of(ir, stages[0], stages[1], shared) : NULL;
    if (fold)
        emit_pair(ir, kernel, block, stages[0], stages[1], fold, shared);
    else
        loops_emit_within(ir, kernel, block, stages[0], schedule, shared);
    return fold ? 2 : 1;
}
