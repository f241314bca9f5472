/* Kernel and stage nodes: see kernel.h. */
#include "ir/kernel.h"

#include "ir/math.h"
#include "ir/walk.h"

#include <string.h>

Node *stage_make(Ir *ir, Node *const *axes, int axis_count, Node *buffer, Node *const *indices, Node *value)
{
    return stage_make_ordered(ir, axes, axis_count, 0, buffer, indices, value);
}

static Node *stage_numbered(Ir *ir, Node *const *axes, int axis_count, int64_t number, Node *buffer,
                            Node *const *indices, Node *value)
{
    Node *inputs[RANK_MAX + 2] = {buffer, value};
    for (int i = 0; i < buffer->type.rank; i++)
        inputs[i + 2] = indices[i];
    return node_make(ir, &(Node){.op = OP_stage,
                                 .inputs = inputs,
                                 .input_count = (uint32_t)buffer->type.rank + 2,
                                 .axes = axes,
                                 .axis_count = (uint16_t)axis_count,
                                 .payload.integer = number});
}

Node *stage_make_ordered(Ir *ir, Node *const *axes, int axis_count, int ordered, Node *buffer, Node *const *indices,
                         Node *value)
{
    return stage_numbered(ir, axes, axis_count, ordered, buffer, indices, value);
}

Node *stage_make_step(Ir *ir, Node *const *axes, int axis_count, int leading, int ordered, Node *buffer,
                      Node *const *indices, Node *value)
{
    return stage_numbered(ir, axes, axis_count, (int64_t)(leading + 1) * STAGE_STEP + ordered, buffer, indices, value);
}

Node *stage_remake(Ir *ir, const Node *stage, Node *buffer, Node *const *indices, Node *value)
{
    return stage_numbered(ir, stage->axes, stage->axis_count, stage->payload.integer, buffer, indices, value);
}

/* What kernels read and write, in order of discovery; all of it lies in scratch. */
typedef struct Collector {
    Ir *ir;
    ArenaMark mark;
    NodeWalk walk;
    size_t looked_at; /* nodes of the walk whose part in the lists is done */
    NodeList buffers, symbols;
} Collector;

static Collector collector_open(Ir *ir)
{
    Arena *const scratch = arena_scratch(ir->arena);
    Collector collector = {.ir = ir, .mark = arena_mark(scratch), .buffers.arena = scratch, .symbols.arena = scratch};
    collector.walk = walk_open(scratch);
    return collector;
}

static void collect(Collector *collector, Node *const *roots, int count)
{
    NodeWalk *const walk = &collector->walk;
    for (int i = 0; i < count; i++)
        walk_from(walk, roots[i]);
    while (collector->looked_at < walk->order.count) {
        Node *const node = walk->order.nodes[collector->looked_at++];
        if (node->op == OP_symbol)
            list_push(&collector->symbols, node);
        if (node->op != OP_buffer)
            continue;
        if (!place_is_inner(node->payload.buffer->place))
            list_push(&collector->buffers, node);
        for (int i = 0; i < node->type.rank; i++)
            walk_from(walk, node->type.dims[i]);
    }
}

static void collect_block(Collector *collector, const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        Node *const node = block->nodes[i];
        if (node->op == OP_stage) { /* reads first, then what is written */
            collect(collector, node->inputs + 1, (int)node->input_count - 1);
            collect(collector, node->axes, node->axis_count);
            collect(collector, node->inputs, 1);
            continue;
        }
        collect(collector, node->inputs, (int)node->input_count);
        collect(collector, node->axes, node->axis_count);
        for (int j = 0; j < node->block_count; j++)
            collect_block(collector, node->blocks[j]);
    }
}

static Node *finish(Ir *ir, Collector *collector, Kernel *kernel, Block *stages, Block *body)
{
    NodeList *const inputs = &collector->buffers;
    for (size_t i = 0; i < collector->symbols.count; i++)
        list_push(inputs, collector->symbols.nodes[i]);
    Node *const made = node_make(ir, &(Node){.op = OP_kernel,
                                             .inputs = inputs->nodes,
                                             .input_count = (uint32_t)inputs->count,
                                             .blocks = (Block *[]){stages, body},
                                             .block_count = body ? 2 : 1,
                                             .payload.kernel = kernel});
    arena_reset(arena_scratch(ir->arena), collector->mark);
    return made;
}

Node *kernel_make(Ir *ir, Name name, Block *stages)
{
    Collector collector = collector_open(ir);
    collect_block(&collector, stages);
    Kernel *const kernel = NEW(ir->arena, Kernel);
    kernel->name = name;
    return finish(ir, &collector, kernel, stages, NULL);
}

Node *kernel_with_body(Ir *ir, Node *node, Block *body, Node *units, const char *schedule, int64_t scratch)
{
    return kernel_with_threads(ir, node, body, units, schedule, scratch, 0);
}

Node *kernel_with_threads(Ir *ir, Node *node, Block *body, Node *units, const char *schedule, int64_t scratch,
                          int threads)
{
    Collector collector = collector_open(ir);
    collect_block(&collector, kernel_stages(node));
    collect_block(&collector, body);
    collect(&collector, &units, 1);
    Kernel *const kernel = arena_copy(ir->arena, node->payload.kernel, sizeof *kernel);
    kernel->units = units;
    kernel->schedule = schedule;
    kernel->scratch = scratch;
    kernel->threads = threads;
    return finish(ir, &collector, kernel, kernel_stages(node), body);
}

Node *thread_make(Ir *ir, int threads)
{
    Node *const extent = index_const(ir, threads);
    return node_make(
        ir, &(Node){.op = OP_thread, .type = type_scalar(DTYPE_INDEX), .inputs = (Node *[]){extent}, .input_count = 1});
}

int kernel_buffer_count(const Node *kernel)
{
    int count = 0;
    while (count < (int)kernel->input_count && kernel->inputs[count]->op == OP_buffer)
        count++;
    return count;
}

typedef struct SharedList {
    NodeMap met;
    NodeList found;
} SharedList;

static void shared_add(SharedList *list, Node *buffer)
{
    if (buffer->op != OP_buffer || buffer->payload.buffer->place != PLACE_SHARED || map_has(&list->met, buffer))
        return;
    map_set(&list->met, buffer, buffer);
    list_push(&list->found, buffer);
}

static void shared_of_block(SharedList *list, const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        const Node *const node = block->nodes[i]; /* shared buffers are named by ordered nodes alone */
        for (uint32_t j = 0; j < node->input_count; j++)
            shared_add(list, node->inputs[j]);
        for (int j = 0; j < node->block_count; j++)
            shared_of_block(list, node->blocks[j]);
    }
}

Node **kernel_shared(Ir *ir, const Node *kernel, int *count)
{
    SharedList list = {.found = {.arena = ir->arena}};
    map_open(&list.met, ir->arena);
    if (kernel_body(kernel))
        shared_of_block(&list, kernel_body(kernel));
    *count = (int)list.found.count;
    return list.found.nodes;
}

int64_t kernel_shared_bytes(Ir *ir, const Node *kernel)
{
    int count;
    Node *const *const buffers = kernel_shared(ir, kernel, &count);
    int64_t total = 0, elements, bits, bytes;
    for (int i = 0; i < count; i++) {
        if (!const_is_int(layout_elements(ir, buffers[i]), &elements) || elements < 0 ||
            __builtin_mul_overflow(elements, dtype_info[buffers[i]->type.dtype].bits, &bits) ||
            __builtin_add_overflow(bits, 127, &bytes) || __builtin_add_overflow(total, bytes / 128 * 16, &total))
            return INT64_MAX;
    }
    return total;
}

static bool block_writes(const Block *block, const Node *buffer)
{
    for (int i = 0; i < block->count; i++) {
        const Node *const node = block->nodes[i];
        if ((node->op == OP_store || node->op == OP_scatter || node->op == OP_stage || node->op == OP_copy_async ||
             node->op == OP_tile_store) &&
            node->inputs[0] == buffer)
            return true;
        for (int j = 0; j < node->block_count; j++) /* blocks nest as deep as a template makes loops */
            if (block_writes(node->blocks[j], buffer))
                return true;
    }
    return false;
}

bool kernel_writes(const Node *kernel, const Node *buffer)
{
    for (int i = 0; i < kernel->block_count; i++)
        if (block_writes(kernel->blocks[i], buffer))
            return true;
    return false;
}

bool kernel_has_order(const Node *kernel)
{
    const Block *const stages = kernel_stages(kernel);
    for (int i = 0; i < stages->count; i++)
        if (stage_ordered(stages->nodes[i]))
            return true;
    return false;
}

Node *local_make(Ir *ir, const char *name, Type type, int64_t *scratch)
{
    enum { LINE = 64 };
    const Buffer buffer = {.name = name_intern(ir->arena, name), .place = PLACE_LOCAL, .offset = *scratch};
    int64_t elements;
    if (!const_is_int(type_elements(ir, type), &elements))
        return NULL;
    *scratch += (elements * dtype_info[type.dtype].bits / 8 + LINE - 1) / LINE * LINE;
    return buffer_make(ir, type, &buffer);
}

bool stage_has_long_epilogue(Ir *ir, const Node *stage, Node *reduction)
{
    Node *const stand_in = cast_make(ir, axis_make(ir, "sum", NULL), reduction->type.dtype);
    Node *const value = node_substitute(ir, stage_value(stage), &reduction, (Node *const *)&stand_in, 1);
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        if (math_is_transcendental(nodes[i]->op))
            return true;
    return false;
}

bool value_contracts(Ir *ir, Node *value)
{
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_contract)
            return true;
    return false;
}

Node *value_contraction(Ir *ir, Node *value, Dtype dtype)
{
    Node *found = NULL;
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op == OP_fold || (nodes[i]->op == OP_contract && found))
            return NULL;
        if (nodes[i]->op == OP_contract)
            found = nodes[i];
    }
    return found && found->type.dtype == dtype ? found : NULL;
}

Node *value_replace_reads(Ir *ir, Node *value, ReadRule *rule, void *context)
{
    Arena *const scratch = arena_scratch(ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    int count, replaced = 0;
    Node **const nodes = nodes_in_scratch(ir, &value, 1, &count);
    Node **const from = NEW_ARRAY(scratch, Node *, (size_t)count),
                 **const to = NEW_ARRAY(scratch, Node *, (size_t)count);
    for (int i = 0; i < count; i++) {
        Node *const instead = nodes[i]->op == OP_at ? rule(ir, nodes[i], context) : NULL;
        if (!instead)
            continue;
        from[replaced] = nodes[i];
        to[replaced++] = instead;
    }
    Node *const made = replaced ? node_substitute(ir, value, from, to, replaced) : value;
    arena_reset(scratch, mark);
    return made;
}

typedef struct ReadMove {
    Node *from, *to;
} ReadMove;

static Node *moved_read(Ir *ir, Node *read, void *context)
{
    const ReadMove *const move = context;
    if (read->inputs[0] != move->from)
        return NULL;
    return at_make(ir, move->to, read->inputs + read->input_count - move->to->type.rank);
}

Node *value_read_within(Ir *ir, Node *value, Node *from, Node *to)
{
    return value_replace_reads(ir, value, moved_read, &(ReadMove){from, to});
}
