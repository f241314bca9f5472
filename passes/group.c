/* Rows: kernels that walk the same rows become one kernel of several stages, so that a row stays in the nearest cache
 * and its sums in scratch.
 *
 * A fold along the innermost axis (softmax's maximum and sum, a norm's mean and variance) opens a group; the map that
 * makes what it adds up, such as a residual sum, leads it, and kernels that read its result row by row join, with their
 * axes renamed to the group's. Results that only the group reads live in the worker's scratch, one row of them. */
#include "ir/kernel.h"
#include "passes/access.h"
#include "passes/pass.h"

#include <string.h>

enum { MEMBERS_MAX = 8, DISTANCE_MAX = 16, LOCAL_BYTES_MAX = 256 << 10 };

typedef struct Group {
    int members[MEMBERS_MAX]; /* kernel numbers, ascending */
    int count;
    bool led;          /* the first is a map, the fold comes after it */
    Node *const *axes; /* the rows */
    int axis_count;
} Group;

typedef struct Grouper {
    PassContext *context;
    Ir *ir;
    Block *body;
    Accesses accesses;
    Merger merger;
} Grouper;

static Node *stage_of(const Grouper *grouper, int number)
{
    return kernel_stages(grouper->body->nodes[number])->nodes[0];
}

/* A fold of several lanes, one result per combination of the stage's axes. */
static bool opens_group(Grouper *grouper, int number)
{
    const Node *const kernel = grouper->body->nodes[number];
    if (grouper->merger.taken[number] || kernel_stages(kernel)->count != 1)
        return false;
    const Node *const stage = stage_of(grouper, number);
    Node *value = stage_value(stage);
    if (stage_buffer(stage)->payload.buffer->place != PLACE_TEMP || stage_ordered(stage) ||
        access_of(&grouper->accesses, stage_buffer(stage)).writers != 1)
        return false;
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        if (i >= stage->axis_count || stage_indices(stage)[i] != stage->axes[i])
            return false;
    int count;
    Node **const nodes = nodes_topological(grouper->ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_fold && nodes[i]->payload.fold.lanes > 1)
            return stage->axis_count > 0;
    return false;
}

static Node *group_target(const Grouper *grouper, const Group *group, const Node *buffer)
{
    for (int i = 0; i < group->count; i++)
        if (stage_buffer(stage_of(grouper, group->members[i])) == buffer)
            return stage_of(grouper, group->members[i]);
    return NULL;
}

/* Which axis of `stage` stands for each row axis: from the indices of its reads of the group's results. False when they
 * disagree, or a read is not of the same row. */
static bool match_axes(Grouper *grouper, const Group *group, const Node *stage, Node **mapped)
{
    Node *value = stage_value(stage);
    int count;
    Node **const nodes = nodes_topological(grouper->ir, &value, 1, &count);
    memset(mapped, 0, (size_t)group->axis_count * sizeof *mapped);
    bool any = false;
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op != OP_at || !group_target(grouper, group, nodes[i]->inputs[0]))
            continue;
        if (nodes[i]->inputs[0]->type.rank < group->axis_count)
            return false;
        any = true;
        for (int d = 0; d < group->axis_count; d++) {
            Node *const index = nodes[i]->inputs[d + 1];
            if (!stage_has_axis(stage, index) || index->inputs[0] != group->axes[d]->inputs[0] ||
                (mapped[d] && mapped[d] != index))
                return false;
            mapped[d] = index;
        }
    }
    for (int d = 0; any && d < group->axis_count; d++)
        for (int e = 0; e < d; e++)
            any = any && mapped[d] != mapped[e];
    return any;
}

static bool reads_group(Grouper *grouper, const Group *group, const Node *kernel)
{
    int count;
    Node **const reads = kernel_reads(grouper->ir, kernel, &count);
    for (int i = 0; i < count; i++)
        if (group_target(grouper, group, reads[i]))
            return true;
    return false;
}

/* Does the stage make whole rows, axis for axis, of as many rows as `fold` has? */
static bool makes_rows(Grouper *grouper, const Node *stage, const Node *fold)
{
    Node *value = stage_value(stage);
    int count;
    if (stage_ordered(stage) || stage->axis_count != stage_buffer(stage)->type.rank ||
        stage->axis_count <= fold->axis_count || access_of(&grouper->accesses, stage_buffer(stage)).writers != 1)
        return false;
    for (int i = 0; i < stage->axis_count; i++)
        if (stage_indices(stage)[i] != stage->axes[i] ||
            (i < fold->axis_count && stage->axes[i]->inputs[0] != fold->axes[i]->inputs[0]))
            return false;
    Node **const nodes = nodes_topological(grouper->ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_fold || nodes[i]->op == OP_contract)
            return false;
    return true;
}

/* The map whose rows kernel `first` adds up, when nobody reads them before; -1: none. */
static int leader_of(Grouper *grouper, int first)
{
    const Node *const fold = stage_of(grouper, first);
    int reads, inside;
    Node **const read = kernel_reads(grouper->ir, grouper->body->nodes[first], &reads);
    for (int i = first - 1; i >= 0 && i >= first - DISTANCE_MAX; i--) {
        const Node *const kernel = grouper->body->nodes[i];
        for (int j = 0; j < reads; j++) {
            const Group alone = {.members = {i}, .count = 1, .axes = fold->axes, .axis_count = fold->axis_count};
            Node *mapped[RANK_MAX];
            if (!grouper->merger.taken[i] && kernel_stages(kernel)->count == 1 &&
                stage_buffer(stage_of(grouper, i)) == read[j])
                return makes_rows(grouper, stage_of(grouper, i), fold) && match_axes(grouper, &alone, fold, mapped) &&
                               memcmp(mapped, fold->axes, (size_t)fold->axis_count * sizeof *mapped) == 0
                           ? i
                           : -1;
        }
        Node **const others = kernel_reads(grouper->ir, kernel, &inside);
        for (int j = 0; j < reads; j++)
            for (int k = 0; k < inside; k++)
                if (others[k] == read[j])
                    return -1;
    }
    return -1;
}

/* Members after the first: until a reader of the group cannot join. */
static void gather(Grouper *grouper, Group *group, int first)
{
    const int leader = leader_of(grouper, first);
    group->led = leader >= 0;
    if (group->led)
        group->members[group->count++] = leader;
    group->members[group->count++] = first;
    group->axes = stage_of(grouper, first)->axes;
    group->axis_count = stage_of(grouper, first)->axis_count;
    for (int i = first + 1; i < grouper->body->count && i <= first + DISTANCE_MAX && group->count < MEMBERS_MAX; i++) {
        const Node *const kernel = grouper->body->nodes[i];
        Node *mapped[RANK_MAX];
        if (!reads_group(grouper, group, kernel))
            continue;
        if (grouper->merger.taken[i] || kernel_stages(kernel)->count != 1 || stage_ordered(stage_of(grouper, i)) ||
            value_contracts(grouper->ir, stage_value(stage_of(grouper, i))) ||
            access_of(&grouper->accesses, stage_buffer(stage_of(grouper, i))).writers != 1 ||
            !match_axes(grouper, group, stage_of(grouper, i), mapped))
            return;
        group->members[group->count++] = i;
    }
}

/* The stage of a member with the group's row axes in place of its own; they come first. */
static Node *with_group_axes(Grouper *grouper, const Group *group, int member)
{
    Ir *const ir = grouper->ir;
    Node *const stage = stage_of(grouper, group->members[member]);
    Node *mapped[RANK_MAX], *axes[RANK_MAX], *indices[RANK_MAX];
    if (member == group->led)
        return stage;
    if (group->led && member == 0)
        memcpy(mapped, stage->axes, (size_t)group->axis_count * sizeof *mapped);
    else if (!match_axes(grouper, group, stage, mapped))
        return stage;
    int count = 0;
    for (int d = 0; d < group->axis_count; d++)
        axes[count++] = group->axes[d];
    for (int a = 0; a < stage->axis_count; a++)
        if (!axes_have(mapped, group->axis_count, stage->axes[a]))
            axes[count++] = stage->axes[a];
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = node_substitute(ir, stage_indices(stage)[i], mapped, group->axes, group->axis_count);
    return stage_make(ir, axes, count, stage_buffer(stage), indices,
                      node_substitute(ir, stage_value(stage), mapped, group->axes, group->axis_count));
}

/* How many of the group's kernels read `buffer`. */
static int inner_readers(Grouper *grouper, const Group *group, const Node *buffer)
{
    int inside = 0, count;
    for (int i = 0; i < group->count; i++) {
        Node **const reads = kernel_reads(grouper->ir, grouper->body->nodes[group->members[i]], &count);
        for (int j = 0; j < count; j++)
            inside += reads[j] == buffer;
    }
    return inside;
}

/* One row of `buffer` in scratch, or NULL when others read it or its rows have no known size. */
static Node *row_buffer(Grouper *grouper, const Group *group, Node *buffer, const Node *stage, int64_t *scratch)
{
    Ir *const ir = grouper->ir;
    const int rows = group->axis_count, rank = buffer->type.rank;
    int64_t elements;
    if (buffer->payload.buffer->place != PLACE_TEMP || rank < rows || dtype_info[buffer->type.dtype].bits < 8)
        return NULL;
    for (int d = 0; d < rows; d++)
        if (stage_indices(stage)[d] != group->axes[d])
            return NULL;
    if (access_of(&grouper->accesses, buffer).readers != inner_readers(grouper, group, buffer))
        return NULL;
    const Type row = type_tensor(ir, buffer->type.dtype, rank - rows, buffer->type.dims + rows);
    if (!const_is_int(type_elements(ir, row), &elements) || elements > LOCAL_BYTES_MAX / 8)
        return NULL;
    return local_make(ir, buffer->payload.buffer->name, row, scratch);
}

static void localize(Grouper *grouper, const Group *group, Node **stages, int64_t *scratch)
{
    Ir *const ir = grouper->ir;
    for (int i = 0; i + 1 < group->count; i++) {
        Node *const buffer = stage_buffer(stages[i]);
        Node *const row = row_buffer(grouper, group, buffer, stages[i], scratch);
        if (!row)
            continue;
        for (int j = 0; j < group->count; j++) {
            const bool target = stage_buffer(stages[j]) == buffer;
            stages[j] = stage_make(ir, stages[j]->axes, stages[j]->axis_count, target ? row : stage_buffer(stages[j]),
                                   target ? stage_indices(stages[j]) + group->axis_count : stage_indices(stages[j]),
                                   value_read_within(ir, stage_value(stages[j]), buffer, row));
        }
    }
}

/* `node` with `factor` times instead of over `divisor`. *other: whether the divisor is read in another way too. */
static Node *times_instead(Ir *ir, Node *node, Node *divisor, bool *other)
{
    int count, replaced = 0;
    Node **const nodes = nodes_topological(ir, &node, 1, &count);
    Node **const old = NEW_ARRAY(ir->arena, Node *, (size_t)count),
                 **const new = NEW_ARRAY(ir->arena, Node *, (size_t)count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op == OP_div && nodes[i]->inputs[1] == divisor && nodes[i]->inputs[0] != divisor) {
            old[replaced] = nodes[i];
            new[replaced++] = scalar2(ir, OP_mul, nodes[i]->inputs[0], divisor);
            continue;
        }
        for (uint32_t j = 0; j < nodes[i]->input_count; j++)
            *other = *other || nodes[i]->inputs[j] == divisor;
    }
    return replaced ? node_substitute(ir, node, old, new, replaced) : node;
}

/* The sum of softmax's numerators, which is at least 1, becomes its reciprocal where the others only divide by it: a
 * division for each row instead of one for each element, which takes a processor as long as the exponential. One more
 * rounding, at most a unit in the last place: not with --math exact. */
static void divide_once(const Grouper *grouper, Node **stages, int count)
{
    Ir *const ir = grouper->ir;
    if (grouper->context->compilation->math == MATH_EXACT)
        return;
    for (int s = 0; s < count; s++) {
        Node *const sum = stage_buffer(stages[s]), *const value = stage_value(stages[s]), *after[MEMBERS_MAX];
        if (!is_local(sum) || sum->type.rank > 0 || value->op != OP_fold || value->payload.fold.kind != FOLD_SUM ||
            value->inputs[0]->op != OP_softexp)
            continue;
        Node *const read = at_make(ir, sum, NULL);
        bool other = false, changed = false;
        for (int i = 0; i < count; i++) {
            after[i] = i == s ? value : times_instead(ir, stage_value(stages[i]), read, &other);
            changed = changed || after[i] != stage_value(stages[i]);
        }
        if (other || !changed)
            continue;
        after[s] = scalar2(ir, OP_div, const_float(ir, value->type.dtype, 1), value);
        for (int i = 0; i < count; i++)
            stages[i] = stage_remake(ir, stages[i], stage_buffer(stages[i]), stage_indices(stages[i]), after[i]);
    }
}

static Node *merge(Grouper *grouper, const Group *group)
{
    Ir *const ir = grouper->ir;
    Node *stages[MEMBERS_MAX], *members[MEMBERS_MAX];
    int64_t scratch = 0;
    for (int i = 0; i < group->count; i++) {
        stages[i] = with_group_axes(grouper, group, i);
        members[i] = grouper->body->nodes[group->members[i]];
    }
    localize(grouper, group, stages, &scratch);
    divide_once(grouper, stages, group->count);
    Block *const block = block_make(ir);
    for (int i = 0; i < group->count; i++)
        block_append(ir, block, stages[i]);
    const int last = group->members[group->count - 1];
    Node *const kernel = kernel_make(ir, grouper->body->nodes[last]->payload.kernel->name, block);
    kernel->payload.kernel->wheres = kernels_wheres(ir, members, group->count);
    kernel->payload.kernel->scratch = scratch;
    return kernel;
}

bool pass_group(PassContext *context)
{
    Ir *const ir = context->compilation->ir;
    Module *const module = context->compilation->module;
    Grouper grouper = {.context = context,
                       .ir = ir,
                       .body = module->body,
                       .accesses = accesses_of(ir, module->body),
                       .merger = merger_open(ir, module->body)};
    for (int i = 0; i < module->body->count; i++) {
        Group group = {.count = 0};
        if (!opens_group(&grouper, i))
            continue;
        gather(&grouper, &group, i);
        if (group.count >= 2 && pass_decide(context))
            merger_join(&grouper.merger, group.members, group.count, merge(&grouper, &group));
    }
    module->body = merger_body(ir, &grouper.merger);
    return true;
}
