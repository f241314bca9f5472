/* Fusion is composition: what a kernel reads from an intermediate buffer is replaced by the expression that made it.
 *
 * A map (no reduction) goes into each of its readers when that saves memory traffic: with r evaluations per element
 * over all readers, the extra arithmetic cost*(r-1) may be at most one store and r loads, and what is read, all
 * operands r times, at most what is read and written when it is made once. What only moves elements costs nothing, but
 * must leave affine indices behind. A fold or contract goes only into a reader that evaluates each of its elements
 * exactly once, outside any reduction of its own: the reader becomes its epilogue. Decisions follow access maps, never
 * operator names. A kernel stops at 512 expression nodes or 24 buffers. */
#include "ir/kernel.h"
#include "ir/math.h"
#include "passes/access.h"
#include "passes/pass.h"
#include "passes/roll.h"

enum { NODES_MAX = 512, BUFFERS_MAX = 24 };

/* What is known of one kernel of a single stage. */
typedef struct Info {
    Node *kernel;
    bool plain;   /* one stage, target indices are the axes */
    bool reduces; /* holds a fold or contract */
    bool wide;    /* holds a fold of several lanes or an arg fold: keeps its own loop structure */
    int cost;     /* operations of one element, index arithmetic apart */
    int loads;    /* elements that one element is made of, those of smaller buffers apart */
    int nodes;
} Info;

typedef struct Fuser {
    PassContext *context;
    Ir *ir;
    Info *infos;
    int count;
    NodeMap producer; /* buffer -> 1 + index of the only kernel that writes it; absent when several do */
    NodeMap readers;  /* buffer -> number of kernels that read it */
} Fuser;

static int operation_cost(const Node *node)
{
    if (!op_is_scalar(node->op) || node->type.dtype == DTYPE_INDEX || node->op == OP_cast)
        return 0;
    if (math_is_transcendental(node->op))
        return 12;
    return node->op == OP_div || node->op == OP_rem || node->op == OP_sqrt ? 4 : 1;
}

/* Has `buffer` as many elements as `other`, or is their number not known? */
static bool is_as_large(Ir *ir, const Node *buffer, const Node *other)
{
    int64_t elements, least;
    return !const_is_int(type_elements(ir, buffer->type), &elements) ||
           !const_is_int(type_elements(ir, other->type), &least) || elements >= least;
}

static Info analyse(Ir *ir, Node *kernel)
{
    Info info = {.kernel = kernel};
    if (kernel_stages(kernel)->count != 1)
        return info;
    const Node *const stage = kernel_stages(kernel)->nodes[0];
    Node *value = stage_value(stage);
    info.plain = stage->axis_count == stage_buffer(stage)->type.rank && stage_ordered(stage) == 0;
    for (int i = 0; i < stage->axis_count && info.plain; i++)
        info.plain = stage_indices(stage)[i] == stage->axes[i];
    int count;
    const ArenaMark mark = arena_mark(arena_scratch(ir->arena));
    Node **const nodes = nodes_in_scratch(ir, &value, 1, &count);
    info.nodes = count;
    for (int i = 0; i < count; i++) {
        info.reduces = info.reduces || nodes[i]->op == OP_fold || nodes[i]->op == OP_contract;
        info.wide = info.wide || (nodes[i]->op == OP_fold &&
                                  (nodes[i]->payload.fold.lanes > 1 || nodes[i]->payload.fold.kind >= FOLD_ARGMAX));
        info.cost += operation_cost(nodes[i]);
        info.loads += nodes[i]->op == OP_at && is_as_large(ir, nodes[i]->inputs[0], stage_buffer(stage));
    }
    arena_reset(arena_scratch(ir->arena), mark);
    return info;
}

static void count_reader(Fuser *fuser, const Node *kernel, intptr_t change)
{
    int count;
    Node **const reads = kernel_reads(fuser->ir, kernel, &count);
    for (int i = 0; i < count; i++)
        map_set(&fuser->readers, reads[i], (void *)((intptr_t)map_get(&fuser->readers, reads[i]) + change));
}

static void note_producers(Fuser *fuser)
{
    for (int i = 0; i < fuser->count; i++) {
        int count;
        Node **const targets = kernel_targets(fuser->ir, fuser->infos[i].kernel, &count);
        for (int j = 0; j < count; j++)
            map_set(&fuser->producer, targets[j],
                    map_has(&fuser->producer, targets[j]) ? NULL : (void *)(intptr_t)(i + 1));
        count_reader(fuser, fuser->infos[i].kernel, 1);
    }
}

/* Is every index affine in every axis that it mentions? */
static bool affine(Ir *ir, Node *at)
{
    int count;
    bool good = true;
    const ArenaMark mark = arena_mark(arena_scratch(ir->arena));
    Node **const nodes = nodes_in_scratch(ir, at->inputs + 1, (int)at->input_count - 1, &count);
    for (int j = 0; j < count; j++)
        good = good && nodes[j]->op != OP_floordiv && nodes[j]->op != OP_min && nodes[j]->op != OP_max &&
               nodes[j]->op != OP_select;
    arena_reset(arena_scratch(ir->arena), mark);
    return good;
}

static bool all_affine(Ir *ir, Node *value)
{
    int count;
    bool good = true;
    const ArenaMark mark = arena_mark(arena_scratch(ir->arena));
    Node **const nodes = nodes_in_scratch(ir, &value, 1, &count);
    for (int i = 0; i < count && good; i++)
        good = nodes[i]->op != OP_at || affine(ir, nodes[i]);
    arena_reset(arena_scratch(ir->arena), mark);
    return good;
}

/* The reduction of `value` that evaluates `inside`, or NULL. */
static Node *reduction_around(Ir *ir, Node *value, const Node *inside)
{
    int count;
    Node *found = NULL;
    const ArenaMark mark = arena_mark(arena_scratch(ir->arena));
    Node **const nodes = nodes_in_scratch(ir, &value, 1, &count);
    for (int i = 0; i < count && !found; i++)
        if ((nodes[i]->op == OP_fold || nodes[i]->op == OP_contract) && node_depends(ir, nodes[i], inside))
            found = nodes[i];
    arena_reset(arena_scratch(ir->arena), mark);
    return found;
}

/* Evaluations of `at` per element of its buffer, or -1 when that is not a known number. */
static int64_t repetition(Ir *ir, const Node *stage, Node *at)
{
    Node *points = axes_points(ir, stage->axes, stage->axis_count);
    const Node *const reduction = reduction_around(ir, stage_value(stage), at);
    if (reduction)
        points = index_mul(ir, points, axes_points(ir, reduction->axes, reduction->axis_count));
    Node *const elements = type_elements(ir, at->inputs[0]->type);
    int64_t many, few;
    if (points == elements)
        return 1;
    if (const_is_int(points, &many) && const_is_int(elements, &few) && few > 0)
        return (many + few - 1) / few;
    return -1;
}

/* Are the indices distinct axes of the stage, all of them (dims of extent 1 may stand at 0)? Then each element is read
 * once. */
static bool bijective(const Node *stage, const Node *at)
{
    int used = 0;
    for (uint32_t i = 1; i < at->input_count; i++) {
        if (index_is(at->inputs[i], 0) && index_is(at->inputs[0]->type.dims[i - 1], 1))
            continue;
        if (!stage_has_axis(stage, at->inputs[i]) || axes_have(at->inputs + 1, (int)i - 1, at->inputs[i]) ||
            at->inputs[i]->inputs[0] != at->inputs[0]->type.dims[i - 1])
            return false;
        used++;
    }
    for (int j = 0; j < stage->axis_count; j++)
        used += index_is(stage->axes[j]->inputs[0], 1);
    for (uint32_t i = 1; i < at->input_count; i++)
        used -= index_is(at->inputs[0]->type.dims[i - 1], 1) && !index_is(at->inputs[i], 0);
    return used == stage->axis_count;
}

/* The producer's value as seen by `at`. */
static Node *composed(Ir *ir, const Node *producer, const Node *at)
{
    Node *const value =
        node_substitute(ir, stage_value(producer), producer->axes, at->inputs + 1, producer->axis_count);
    return cast_make(ir, value, at->type.dtype);
}

static bool worth_inlining(Fuser *fuser, const Info *producer, const Node *stage, Node *at)
{
    Ir *const ir = fuser->ir;
    const Node *const from = kernel_stages(producer->kernel)->nodes[0];
    const int readers = (int)(intptr_t)map_get(&fuser->readers, at->inputs[0]);
    if (producer->cost == 0) {
        Node *const seen = composed(ir, from, at);
        return all_affine(ir, seen) || ((!all_affine(ir, stage_value(from)) || !affine(ir, at)) &&
                                        !reduction_around(ir, stage_value(stage), at));
    }
    const int64_t times = repetition(ir, stage, at);
    if (times < 0 || times > 64)
        return false;
    const int64_t total = times * readers;
    return producer->cost * (total - 1) <= 1 + total && (producer->loads - 1) * total <= producer->loads + 1;
}

/* A reduction moves into its only reader, which then evaluates each element once, and not while it goes in order. */
static bool worth_merging(Fuser *fuser, const Info *producer, const Info *reader, const Node *stage, const Node *at)
{
    if (reader->reduces || stage_ordered(stage) > 0 || (intptr_t)map_get(&fuser->readers, at->inputs[0]) != 1 ||
        producer->wide)
        return false;
    int count, reads = 0;
    Node *value = stage_value(stage);
    const ArenaMark mark = arena_mark(arena_scratch(fuser->ir->arena));
    Node **const nodes = nodes_in_scratch(fuser->ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        reads += nodes[i]->op == OP_at && nodes[i]->inputs[0] == at->inputs[0];
    arena_reset(arena_scratch(fuser->ir->arena), mark);
    return reads == 1 && bijective(stage, at);
}

/* Does `at` read element by element what the producer's stage makes, axis for axis? */
static bool same_axes(const Node *producer, const Node *stage, const Node *at)
{
    bool same = producer->axis_count == stage->axis_count;
    for (int i = 0; i < stage->axis_count && same; i++)
        same = at->inputs[i + 1] == stage->axes[i] && producer->axes[i]->inputs[0] == stage->axes[i]->inputs[0];
    return same;
}

/* The stage with `at` replaced by what its producer computes: the producer's value in terms of the reader's axes or,
 * where that is less to rebuild and nobody else reads it (this reader is counted off), the reader in terms of the
 * producer's. So a long chain is fused in linear memory. */
static Node *inlined_stage(Fuser *fuser, const Info *reader, const Node *stage, Node *at, const Info *producer)
{
    Ir *const ir = fuser->ir;
    Node *const made = kernel_stages(producer->kernel)->nodes[0];
    const int count = stage->axis_count;
    Node *from[RANK_MAX + 1], *to[RANK_MAX + 1], *indices[RANK_MAX];
    if (producer->nodes <= reader->nodes || !same_axes(made, stage, at) ||
        (intptr_t)map_get(&fuser->readers, at->inputs[0]) != 0) {
        Node *seen = composed(ir, made, at);
        for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
            indices[i] = node_substitute(ir, stage_indices(stage)[i], &at, &seen, 1);
        return stage_remake(ir, stage, stage_buffer(stage), indices,
                            node_substitute(ir, stage_value(stage), &at, &seen, 1));
    }
    for (int i = 0; i < count; i++) {
        from[i] = stage->axes[i];
        to[i] = made->axes[i];
    }
    from[count] = at;
    to[count] = cast_make(ir, stage_value(made), at->type.dtype);
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = node_substitute(ir, stage_indices(stage)[i], from, to, count + 1);
    return stage_make_ordered(ir, made->axes, count, stage_ordered(stage), stage_buffer(stage), indices,
                              node_substitute(ir, stage_value(stage), from, to, count + 1));
}

/* The reader's kernel with `at` replaced by what its producer computes. */
static Node *inline_into(Fuser *fuser, const Info *reader, Node *at, const Info *source)
{
    Ir *const ir = fuser->ir;
    Node *const kernel = reader->kernel, *const producer = source->kernel;
    Block *const stages = block_make(ir);
    block_append(ir, stages, inlined_stage(fuser, reader, kernel_stages(kernel)->nodes[0], at, source));
    Node *const made = kernel_make(ir, kernel->payload.kernel->name, stages);
    int before = 0, after = 0;
    while (producer->payload.kernel->wheres && producer->payload.kernel->wheres[before])
        before++;
    while (kernel->payload.kernel->wheres && kernel->payload.kernel->wheres[after])
        after++;
    const Where **const wheres = NEW_ARRAY(ir->arena, const Where *, (size_t)(before + after) + 1);
    for (int i = 0; i < before; i++)
        wheres[i] = producer->payload.kernel->wheres[i];
    for (int i = 0; i < after; i++)
        wheres[before + i] = kernel->payload.kernel->wheres[i];
    made->payload.kernel->wheres = wheres;
    return made;
}

/* One improvement of kernel `index`; false when there is none. Leaves lists in scratch. */
static bool improve_once(Fuser *fuser, int index)
{
    Ir *const ir = fuser->ir;
    Info *const reader = &fuser->infos[index];
    if (kernel_stages(reader->kernel)->count != 1 || kernel_has_steps(reader->kernel))
        return false;
    const Node *const stage = kernel_stages(reader->kernel)->nodes[0];
    Node *roots[RANK_MAX + 1]; /* the value, and where it goes */
    const int rank = stage_buffer(stage)->type.rank;
    for (int i = 0; i < rank; i++)
        roots[i] = stage_indices(stage)[i];
    roots[rank] = stage_value(stage);
    int count;
    Node **const nodes = nodes_in_scratch(ir, roots, rank + 1, &count);
    for (int i = count - 1; i >= 0; i--) {
        Node *const at = nodes[i];
        if (at->op != OP_at || at->inputs[0]->payload.buffer->place != PLACE_TEMP)
            continue;
        const int from = (int)(intptr_t)map_get(&fuser->producer, at->inputs[0]) - 1;
        if (from < 0 || from >= index)
            continue;
        const Info *const producer = &fuser->infos[from];
        if (!producer->plain || producer->nodes + reader->nodes > NODES_MAX ||
            producer->kernel->input_count + reader->kernel->input_count > BUFFERS_MAX)
            continue;
        if (producer->reduces ? !worth_merging(fuser, producer, reader, stage, at)
                              : !worth_inlining(fuser, producer, stage, at))
            continue;
        if (!pass_decide(fuser->context))
            return false;
        count_reader(fuser, reader->kernel, -1);
        *reader = analyse(ir, inline_into(fuser, reader, at, producer));
        count_reader(fuser, reader->kernel, 1);
        if ((intptr_t)map_get(&fuser->readers, at->inputs[0]) == 0)
            count_reader(fuser, producer->kernel, -1); /* it will be pruned: what it reads has a reader less */
        return true;
    }
    return false;
}

static bool improve(Fuser *fuser, int index)
{
    Arena *const scratch = arena_scratch(fuser->ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    const bool improved = improve_once(fuser, index);
    arena_reset(scratch, mark);
    return improved;
}

bool pass_fuse(PassContext *context)
{
    Compilation *const compilation = context->compilation;
    Ir *const ir = compilation->ir;
    Module *const module = compilation->module;
    module->body = rolls_merged(context, module->body);
    Fuser fuser = {.context = context, .ir = ir, .count = module->body->count};
    map_open(&fuser.producer, ir->arena);
    map_open(&fuser.readers, ir->arena);
    fuser.infos = NEW_ARRAY(ir->arena, Info, (size_t)fuser.count + 1);
    for (int i = 0; i < fuser.count; i++)
        fuser.infos[i] = analyse(ir, module->body->nodes[i]);
    note_producers(&fuser);
    for (int i = 0; i < fuser.count; i++)
        while (improve(&fuser, i))
            continue;
    Block *const body = block_make(ir);
    for (int i = 0; i < fuser.count; i++)
        block_append(ir, body, fuser.infos[i].kernel);
    module->body = body;
    return pass_prune(context);
}
