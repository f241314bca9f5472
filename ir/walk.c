/* Walking and rebuilding expressions, with explicit stacks: graphs may be 100,000 nodes deep. */
#include "ir/walk.h"

#include <string.h>

void list_push(NodeList *list, Node *node)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? list->capacity * 2 : 64;
        Node **const nodes = NEW_ARRAY(list->arena, Node *, capacity);
        if (list->count)
            memcpy(nodes, list->nodes, list->count * sizeof *nodes);
        list->nodes = nodes;
        list->capacity = capacity;
    }
    list->nodes[list->count++] = node;
}

/* What must come before `node`: its inputs, the extents of its axes, what its bodies give. */
static Node *operand(const Node *node, uint32_t i)
{
    if (i < node->input_count)
        return node->inputs[i];
    i -= node->input_count;
    if (i < node->axis_count)
        return node->axes[i];
    i -= node->axis_count;
    for (int j = 0; j < node->attribute_count; j++) {
        if (node->attributes[j].kind != ATTRIBUTE_GRAPH)
            continue;
        const Graph *const body = node->attributes[j].graph;
        if (i < (uint32_t)body->output_count)
            return body->outputs[i];
        i -= (uint32_t)body->output_count;
    }
    return NULL;
}

NodeWalk walk_open(Arena *arena)
{
    NodeWalk walk = {.order.arena = arena, .stack.arena = arena};
    map_open(&walk.seen, arena);
    return walk;
}

void walk_from(NodeWalk *walk, Node *root)
{
    NodeMap *const seen = &walk->seen;
    NodeList *const stack = &walk->stack;
    list_push(stack, root);
    while (stack->count) {
        Node *const node = stack->nodes[stack->count - 1];
        uintptr_t next =
            (uintptr_t)map_get(seen, node); /* 0 unseen, k+1: operands before k are done, UINTPTR_MAX done */
        if (next == UINTPTR_MAX) {
            stack->count--;
            continue;
        }
        next = next ? next : 1;
        Node *const child = operand(node, (uint32_t)next - 1);
        if (child) {
            map_set(seen, node, (void *)(next + 1));
            if ((uintptr_t)map_get(seen, child) == 0)
                list_push(stack, child);
            continue;
        }
        map_set(seen, node, (void *)UINTPTR_MAX);
        list_push(&walk->order, node);
        stack->count--;
    }
}

Node **nodes_topological(Ir *ir, Node *const *roots, int root_count, int *count)
{
    Arena *const scratch = arena_scratch(ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    Node **const order = nodes_in_scratch(ir, roots, root_count, count);
    Node **const nodes = arena_copy(ir->arena, order, (size_t)*count * sizeof *nodes);
    arena_reset(scratch, mark);
    return nodes;
}

Node **nodes_in_scratch(Ir *ir, Node *const *roots, int root_count, int *count)
{
    NodeWalk walk = walk_open(arena_scratch(ir->arena));
    for (int i = 0; i < root_count; i++)
        walk_from(&walk, roots[i]);
    *count = (int)walk.order.count;
    return walk.order.nodes;
}

bool node_depends(Ir *ir, Node *node, const Node *leaf)
{
    if (node == leaf)
        return true;
    if (node->input_count == 0)
        return false;
    Arena *const scratch = arena_scratch(ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    NodeMap seen;
    map_open(&seen, scratch);
    NodeList stack = {.arena = scratch};
    list_push(&stack, node);
    bool found = false;
    while (stack.count && !found) {
        Node *const top = stack.nodes[--stack.count];
        for (uint32_t i = 0;; i++) {
            Node *const child = operand(top, i);
            if (!child)
                break;
            if (child == leaf)
                found = true;
            if (child->input_count == 0 || map_has(&seen, child))
                continue;
            map_set(&seen, child, child);
            list_push(&stack, child);
        }
    }
    arena_reset(scratch, mark);
    return found;
}

/* Does an extent differ from point to point: does it depend on other axes or on what memory holds? */
static bool is_ragged(Ir *ir, Node *extent)
{
    Arena *const scratch = arena_scratch(ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    int count;
    Node **const nodes = nodes_in_scratch(ir, &extent, 1, &count);
    bool found = false;
    for (int i = 0; i < count && !found; i++)
        found = nodes[i]->op == OP_axis || nodes[i]->op == OP_at;
    arena_reset(scratch, mark);
    return found;
}

static Node *rebuild(Ir *ir, Node *node, const NodeMap *map)
{
    Node *small[8];
    Node **const inputs = node->input_count <= 8 ? small : NEW_ARRAY(ir->arena, Node *, node->input_count);
    bool changed = false;
    for (uint32_t i = 0; i < node->input_count; i++) {
        inputs[i] = map_get(map, node->inputs[i]);
        changed = changed || inputs[i] != node->inputs[i];
    }
    Node *axes[RANK_MAX];
    for (int i = 0; i < node->axis_count; i++) {
        axes[i] = map_get(map, node->axes[i]);
        changed = changed || axes[i] != node->axes[i];
    }
    if (changed && node->op == OP_axis && is_ragged(ir, node->inputs[0]))
        return axis_make(ir, node->payload.name, inputs[0]); /* of a reduction, which is rebuilt with it */
    if (!changed || node->op == OP_axis)
        return node; /* else an axis keeps its identity: whoever changes an extent makes a new axis and replaces it */
    if (node->op == OP_cast)
        return cast_make(ir, inputs[0], node->type.dtype);
    if (node->op == OP_bitcast)
        return bitcast_make(ir, inputs[0], node->type.dtype);
    if (op_is_scalar(node->op))
        return scalar_make(ir, node->op, inputs, (int)node->input_count);
    if (node->op == OP_guard)
        return guard_make(ir, inputs[0], inputs[1], inputs[2]);
    if (node->op == OP_splat)
        return splat_make(ir, inputs[0], node->type.lanes);
    Node draft = *node;
    draft.inputs = inputs;
    draft.axes = axes;
    return node_make(ir, &draft);
}

Node *node_substitute(Ir *ir, Node *node, Node *const *from, Node *const *to, int count)
{
    Arena *const scratch = arena_scratch(ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    NodeMap map;
    map_open(&map, scratch);
    for (int i = 0; i < count; i++)
        map_set(&map, from[i], to[i]);
    int total;
    Node **const order = nodes_in_scratch(ir, &node, 1, &total);
    for (int i = 0; i < total; i++)
        if (!map_has(&map, order[i]))
            map_set(&map, order[i], rebuild(ir, order[i], &map));
    Node *const made = map_get(&map, node);
    arena_reset(scratch, mark);
    return made;
}

bool node_depends_on_any(Ir *ir, Node *node, Node *const *leaves, int count)
{
    for (int i = 0; node && i < count; i++)
        if (node_depends(ir, node, leaves[i]))
            return true;
    return false;
}

Node *node_without_points(Ir *ir, Node *node, Node *const *axes, int count)
{
    Node *const zero = index_const(ir, 0);
    for (int i = 0; i < count; i++)
        if (index_is(axes[i]->inputs[0], 1))
            node = node_substitute(ir, node, &axes[i], (Node *const *)&zero, 1);
    return node;
}

bool axes_have(Node *const *axes, int count, const Node *node)
{
    for (int i = 0; i < count; i++)
        if (axes[i] == node)
            return true;
    return false;
}
