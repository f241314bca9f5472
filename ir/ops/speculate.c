/* See speculate.h. Operators are lowered for the question alone: stages say exactly how much is computed and whether an
 * index is checked. */
#include "ir/ops/speculate.h"

#include "ir/map.h"
#include "ir/ops/lower.h"
#include "ir/ops/scalar_text.h"
#include "ir/procedure.h"

/* A run may waste this many evaluations, an import may look at this many operators. */
enum { WORK_MAX = 1 << 24, NODES_MAX = 1000 };

typedef struct Speculation {
    Ir *ir;
    uint32_t since;
    NodeMap seen;
    Node **stack; /* grows: an operator may have many inputs */
    size_t depth, capacity;
    int nodes;
    int64_t work;
    const char *why; /* NULL: nothing is in the way so far */
} Speculation;

static void push(Speculation *speculation, Node *node)
{
    if (node->id < speculation->since || map_has(&speculation->seen, node))
        return;
    map_set(&speculation->seen, node, node);
    if (speculation->depth == speculation->capacity) {
        speculation->capacity = speculation->capacity ? speculation->capacity * 2 : 64;
        Node **const stack = NEW_ARRAY(speculation->ir->arena, Node *, speculation->capacity);
        for (size_t i = 0; i < speculation->depth; i++)
            stack[i] = speculation->stack[i];
        speculation->stack = stack;
    }
    speculation->stack[speculation->depth++] = node;
}

/* `points` times the extents of axes, at most WORK_MAX + 1; -1 when an extent is symbolic. */
static int64_t points_of(Node *const *axes, int count, int64_t points)
{
    for (int i = 0; i < count; i++) {
        int64_t extent;
        if (!const_is_int(axes[i]->inputs[0], &extent))
            return -1;
        points = __builtin_mul_overflow(points, extent, &points) || points > WORK_MAX ? WORK_MAX + 1 : points;
    }
    return points;
}

static void weigh_stage(Speculation *speculation, const Node *stage)
{
    const int64_t points = points_of(stage->axes, stage->axis_count, 1);
    int64_t work = points;
    int count;
    Node **const nodes = nodes_topological(speculation->ir, stage->inputs, (int)stage->input_count, &count);
    for (int i = 0; i < count && work >= 0; i++) {
        if (nodes[i]->op == OP_bound)
            speculation->why = "an index that a run computes would be checked in a branch that is not taken";
        if (nodes[i]->op != OP_fold && nodes[i]->op != OP_contract)
            continue;
        const int64_t inner = points_of(nodes[i]->axes, nodes[i]->axis_count, points);
        work = inner < 0 ? -1 : work + inner;
    }
    speculation->work += work < 0 ? 0 : work;
    if (work < 0)
        speculation->why = "the work of a branch depends on symbolic dims";
    else if (speculation->work > WORK_MAX)
        speculation->why = "a branch that is not taken would be too much work";
}

static void weigh_lowered(Speculation *speculation, const Node *node)
{
    Ir *const ir = speculation->ir;
    const Buffer value = {.name = "value", .place = PLACE_TEMP};
    const int count = node->result_count > 1 ? node->result_count : 1;
    Node **const inputs = NEW_ARRAY(ir->arena, Node *, node->input_count + 1);
    Node **const outputs = NEW_ARRAY(ir->arena, Node *, (size_t)count);
    for (uint32_t i = 0; i < node->input_count; i++)
        inputs[i] = is_omitted(node->inputs[i]) ? NULL : buffer_make(ir, node->inputs[i]->type, &value);
    for (int i = 0; i < count; i++)
        outputs[i] = buffer_make(ir, node_result((Node *)node, i)->type, &value);
    Block *const kernels = block_make(ir);
    if (!node_lower(ir, node, inputs, outputs, kernels))
        speculation->why = "an operator of a branch is not supported";
    for (int i = 0; i < kernels->count; i++) {
        if (kernel_is_procedure(kernels->nodes[i]))
            speculation->why = "the work of a branch depends on data";
        for (int j = 0; j < kernel_stages(kernels->nodes[i])->count; j++)
            weigh_stage(speculation, kernel_stages(kernels->nodes[i])->nodes[j]);
    }
}

static void weigh(Speculation *speculation, Node *node)
{
    Ir *const ir = speculation->ir;
    const Meaning *const meaning = &op_row(node)->meaning;
    const int count = node->result_count > 1 ? node->result_count : 1;
    if (++speculation->nodes > NODES_MAX) {
        speculation->why = "a branch is too long";
        return;
    }
    ir->where = node->where;
    if (meaning->form == MEANING_SCALAR || meaning->form == MEANING_LOWER) {
        weigh_lowered(speculation, node);
        return;
    }
    if (meaning->form == MEANING_HOST) {
        speculation->why = "a branch has steps of its own";
        return;
    }
    Node **const outputs = NEW_ARRAY(ir->arena, Node *, (size_t)count);
    if (meaning->form == MEANING_EXPAND)
        outputs[0] = expand_text_build(ir, node);
    else if (!meaning->expand(ir, node, outputs))
        outputs[0] = NULL;
    if (!outputs[0])
        speculation->why = "an operator of a branch is not supported";
    for (int i = 0; i < count && !speculation->why; i++)
        push(speculation, outputs[i]);
}

bool speculation_harmless(Ir *ir, Node *const *values, int count, uint32_t since, const char **why)
{
    Speculation speculation = {.ir = ir, .since = since};
    const Where *const where = ir->where;
    map_open(&speculation.seen, ir->arena);
    for (int i = 0; i < count; i++)
        push(&speculation, values[i]);
    while (speculation.depth && !speculation.why) {
        Node *const node = speculation.stack[--speculation.depth];
        if (op_is_tensor(node->op))
            weigh(&speculation, node);
        for (uint32_t i = 0; i < node->input_count; i++)
            push(&speculation, node->inputs[i]);
    }
    ir->where = where;
    *why = speculation.why;
    return !speculation.why;
}
