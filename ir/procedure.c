/* Kernels with a body of their own: see procedure.h. */
#include "ir/procedure.h"

#include "ir/map.h"
#include "ir/walk.h"

Node *procedure_make(Ir *ir, Name name, Block *body, Node *units, int64_t scratch)
{
    Node *const bare = kernel_make(ir, name, block_make(ir));
    return kernel_with_body(ir, bare, body, units, "procedure", scratch);
}

/* ---- what it touches ---- */

typedef struct Touched {
    NodeWalk walk; /* expressions looked at, ordered nodes among them */
    size_t looked_at;
    NodeMap known;
    Node **buffers;
    int count;
} Touched;

static bool is_store(const Node *node)
{
    return node->op == OP_store || node->op == OP_scatter;
}

static void touch(Touched *touched, Node *buffer)
{
    if (place_is_inner(buffer->payload.buffer->place) || map_has(&touched->known, buffer))
        return;
    map_set(&touched->known, buffer, buffer);
    touched->buffers[touched->count++] = buffer;
}

static void touch_reads(Touched *touched, const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        const Node *const node = block->nodes[i];
        for (uint32_t j = is_store(node) ? 1 : 0; j < node->input_count; j++)
            walk_from(&touched->walk, node->inputs[j]);
        for (; touched->looked_at < touched->walk.order.count; touched->looked_at++)
            if (touched->walk.order.nodes[touched->looked_at]->op == OP_buffer)
                touch(touched, touched->walk.order.nodes[touched->looked_at]);
        for (int j = 0; j < node->block_count; j++)
            touch_reads(touched, node->blocks[j]);
    }
}

static void touch_targets(Touched *touched, const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        const Node *const node = block->nodes[i];
        if (is_store(node))
            touch(touched, node->inputs[0]);
        for (int j = 0; j < node->block_count; j++)
            touch_targets(touched, node->blocks[j]);
    }
}

static Node **touched_by(Ir *ir, const Node *kernel, void (*find)(Touched *, const Block *), int *count)
{
    Arena *const scratch = arena_scratch(ir->arena);
    Touched touched = {.buffers = NEW_ARRAY(ir->arena, Node *, kernel->input_count + 1)};
    const ArenaMark mark = arena_mark(scratch);
    map_open(&touched.known, scratch);
    touched.walk = walk_open(scratch);
    find(&touched, kernel_body(kernel));
    arena_reset(scratch, mark);
    *count = touched.count;
    return touched.buffers;
}

Node **procedure_reads(Ir *ir, const Node *kernel, int *count)
{
    return touched_by(ir, kernel, touch_reads, count);
}

Node **procedure_targets(Ir *ir, const Node *kernel, int *count)
{
    return touched_by(ir, kernel, touch_targets, count);
}

/* ---- copies ---- */

/* What stands for what in the copy: the buffers, then every statement met so far. */
typedef struct Copying {
    Ir *ir;
    NodeList from, to;
} Copying;

static Node *copied(const Copying *copying, Node *node)
{
    return node_substitute(copying->ir, node, copying->from.nodes, copying->to.nodes, (int)copying->from.count);
}

static Block *copy_block(Copying *copying, const Block *block)
{
    Block *const made = block_make(copying->ir);
    for (int i = 0; i < block->count; i++) {
        Node draft = *block->nodes[i];
        Node **const inputs = NEW_ARRAY(copying->ir->arena, Node *, draft.input_count + 1);
        Block *inside[2];
        for (uint32_t j = 0; j < draft.input_count; j++)
            inputs[j] = copied(copying, draft.inputs[j]);
        draft.inputs = inputs;
        for (int j = 0; j < draft.block_count; j++)
            inside[j] = copy_block(copying, draft.blocks[j]);
        draft.blocks = inside;
        Node *const node = node_make(copying->ir, &draft);
        block_append(copying->ir, made, node);
        list_push(&copying->from, block->nodes[i]);
        list_push(&copying->to, node);
    }
    return made;
}

Node *procedure_replace(Ir *ir, Node *kernel, Node *const *from, Node *const *to, int count)
{
    Copying copying = {.ir = ir, .from.arena = ir->arena, .to.arena = ir->arena};
    for (int i = 0; i < count; i++) {
        list_push(&copying.from, from[i]);
        list_push(&copying.to, to[i]);
    }
    const Kernel *const old = kernel->payload.kernel;
    Node *const made =
        procedure_make(ir, old->name, copy_block(&copying, kernel_body(kernel)), old->units, old->scratch);
    made->payload.kernel->wheres = old->wheres;
    return made;
}

Node *procedure_with_threads(Ir *ir, Node *kernel, int threads)
{
    const Node *const loop = kernel_body(kernel)->nodes[0];
    Node *const units = kernel->payload.kernel->units, *const width = index_const(ir, threads);
    Node *const begin = loop->inputs[0], *const number =
                                             index_add(ir, index_mul(ir, begin, width), thread_make(ir, threads));
    Node draft = *loop;
    draft.inputs = (Node *[]){number, index_min(ir, index_add(ir, number, index_const(ir, 1)), units), loop->inputs[2]};
    Block *const body = block_make(ir);
    block_append(ir, body, node_make(ir, &draft));
    Node *const blocks = index_ceildiv(ir, units, width);
    return kernel_with_threads(ir, kernel, body, blocks, arena_format(ir->arena, "procedure threads=%d", threads),
                               kernel->payload.kernel->scratch, threads);
}
