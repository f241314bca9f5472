/* See access.h. */
#include "passes/access.h"

#include "ir/procedure.h"
#include "ir/walk.h"

Node *buffer_root(Node *buffer)
{
    while (buffer->payload.buffer->alias)
        buffer = buffer->payload.buffer->alias;
    return buffer;
}

Node **kernel_reads(Ir *ir, const Node *kernel, int *count)
{
    if (kernel_is_procedure(kernel))
        return procedure_reads(ir, kernel, count);
    const Block *const stages = kernel_stages(kernel);
    Arena *const scratch = arena_scratch(ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    NodeWalk walk = walk_open(scratch);
    for (int i = 0; i < stages->count; i++)
        for (uint32_t j = 1; j < stages->nodes[i]->input_count; j++)
            walk_from(&walk, stages->nodes[i]->inputs[j]);
    size_t most = 0;
    for (size_t i = 0; i < walk.order.count; i++)
        most += walk.order.nodes[i]->op == OP_buffer;
    Node **const reads = NEW_ARRAY(ir->arena, Node *, most + 1);
    *count = 0;
    for (size_t i = 0; i < walk.order.count; i++)
        if (walk.order.nodes[i]->op == OP_buffer)
            reads[(*count)++] = walk.order.nodes[i];
    arena_reset(scratch, mark);
    return reads;
}

Node **kernel_targets(Ir *ir, const Node *kernel, int *count)
{
    if (kernel_is_procedure(kernel))
        return procedure_targets(ir, kernel, count);
    const Block *const stages = kernel_stages(kernel);
    Node **const targets = NEW_ARRAY(ir->arena, Node *, (size_t)stages->count + 1);
    *count = 0;
    for (int i = 0; i < stages->count; i++) {
        bool known = false;
        for (int j = 0; j < *count; j++)
            known = known || targets[j] == stage_buffer(stages->nodes[i]);
        if (!known)
            targets[(*count)++] = stage_buffer(stages->nodes[i]);
    }
    return targets;
}

static Access *access_at(Accesses *accesses, Arena *arena, const Node *buffer)
{
    Access *access = map_get(&accesses->buffers, buffer);
    if (!access) {
        access = NEW(arena, Access);
        *access = (Access){.writer = -1, .reader = -1};
        map_set(&accesses->buffers, buffer, access);
    }
    return access;
}

Accesses accesses_of(Ir *ir, const Block *body)
{
    Accesses accesses;
    map_open(&accesses.buffers, ir->arena);
    for (int i = 0; i < body->count; i++) {
        const Node *const kernel = body->nodes[i];
        int count;
        Node **const reads = kernel_reads(ir, kernel, &count);
        for (int j = 0; j < count; j++) {
            Access *const access = access_at(&accesses, ir->arena, reads[j]);
            access->readers++;
            access->reader = i;
        }
        Node **const targets = kernel_targets(ir, kernel, &count);
        for (int j = 0; j < count; j++) {
            Access *const access = access_at(&accesses, ir->arena, targets[j]);
            access->writers++;
            access->writer = i;
        }
        for (int j = 0; j < kernel_buffer_count(kernel); j++)
            if (buffer_root(kernel->inputs[j]) != kernel->inputs[j])
                access_at(&accesses, ir->arena, buffer_root(kernel->inputs[j]))->is_shared = true;
    }
    return accesses;
}

Access access_of(const Accesses *accesses, const Node *buffer)
{
    const Access *const access = map_get(&accesses->buffers, buffer);
    return access ? *access : (Access){.writer = -1, .reader = -1};
}

Merger merger_open(Ir *ir, const Block *body)
{
    return (Merger){.body = body,
                    .whole = NEW_ARRAY(ir->arena, Node *, (size_t)body->count + 1),
                    .taken = NEW_ARRAY(ir->arena, bool, (size_t)body->count + 1)};
}

void merger_join(Merger *merger, const int *members, int count, Node *whole)
{
    int last = members[0];
    for (int i = 0; i < count; i++) {
        merger->taken[members[i]] = true;
        last = members[i] > last ? members[i] : last;
    }
    merger->whole[last] = whole;
}

Block *merger_body(Ir *ir, const Merger *merger)
{
    Block *const body = block_make(ir);
    for (int i = 0; i < merger->body->count; i++) {
        if (merger->whole[i])
            block_append(ir, body, merger->whole[i]);
        else if (!merger->taken[i])
            block_append(ir, body, merger->body->nodes[i]);
    }
    return body;
}

Node *kernel_replace_buffers(Ir *ir, Node *kernel, const NodeMap *replacement)
{
    Node **const from = NEW_ARRAY(ir->arena, Node *, kernel->input_count + 1);
    Node **const to = NEW_ARRAY(ir->arena, Node *, kernel->input_count + 1);
    int count = 0;
    for (uint32_t i = 0; i < kernel->input_count; i++) {
        Node *const other = map_get(replacement, kernel->inputs[i]);
        if (!other || other == kernel->inputs[i])
            continue;
        from[count] = kernel->inputs[i];
        to[count++] = other;
    }
    if (count == 0)
        return kernel;
    if (kernel_is_procedure(kernel))
        return procedure_replace(ir, kernel, from, to, count);
    Block *const stages = block_make(ir);
    for (int i = 0; i < kernel_stages(kernel)->count; i++) {
        const Node *const stage = kernel_stages(kernel)->nodes[i];
        Node *indices[RANK_MAX];
        Node *const target = map_get(replacement, stage_buffer(stage));
        for (int j = 0; j < stage_buffer(stage)->type.rank; j++)
            indices[j] = node_substitute(ir, stage_indices(stage)[j], from, to, count);
        block_append(ir, stages,
                     stage_remake(ir, stage, target ? target : stage_buffer(stage), indices,
                                  node_substitute(ir, stage_value(stage), from, to, count)));
    }
    Node *const made = kernel_make(ir, kernel->payload.kernel->name, stages);
    *made->payload.kernel = *kernel->payload.kernel;
    return made;
}

const Where *const *kernels_wheres(Ir *ir, Node *const *kernels, int count)
{
    size_t total = 0, kept = 0;
    for (int i = 0; i < count; i++)
        for (const Where *const *where = kernels[i]->payload.kernel->wheres; where && *where; where++)
            total++;
    const Where **const wheres = NEW_ARRAY(ir->arena, const Where *, total + 1);
    for (int i = 0; i < count; i++)
        for (const Where *const *where = kernels[i]->payload.kernel->wheres; where && *where; where++)
            if (kept == 0 || wheres[kept - 1] != *where)
                wheres[kept++] = *where;
    return wheres;
}
