/* Copies of loops whose variable was bound before: see unshare.h.
 *
 * Each such loop opens a Level. A node as a level sees it is the node as the level around sees it, or a copy when the
 * loop's own variable or an ordered node of its body stands behind it; so what does not depend on the loop stays
 * shared. */
#include "ir/unshare.h"
#include "ir/map.h"

#include <string.h>

typedef struct Level {
    struct Level *outer;
    NodeMap seen; /* nodes as this level sees them */
} Level;

typedef struct Unshare {
    Arena *arena;
    NodeMap bound; /* axes of the loops met so far */
    const Node **stack;
    size_t count, capacity;
} Unshare;

static Node *as_seen(const Level *level, const Node *node)
{
    return level ? map_get(&level->seen, node) : (Node *)(uintptr_t)node;
}

static Node *copy_with_inputs(Arena *arena, const Node *node, const Level *level)
{
    Node *const copy = arena_copy(arena, node, sizeof *node);
    Node **const inputs = NEW_ARRAY(arena, Node *, node->input_count);
    for (uint32_t i = 0; i < node->input_count; i++)
        inputs[i] = as_seen(level, node->inputs[i]);
    copy->inputs = inputs;
    return copy;
}

/* All operands are seen already. */
static Node *see(Arena *arena, const Level *level, const Node *node)
{
    const Node *const outside = as_seen(level->outer, node);
    if (op_kind(node->op) != KIND_PURE)
        return (Node *)(uintptr_t)outside;
    for (uint32_t i = 0; i < node->input_count; i++)
        if (as_seen(level, node->inputs[i]) != outside->inputs[i])
            return copy_with_inputs(arena, node, level);
    return (Node *)(uintptr_t)outside;
}

static void push(Unshare *unshare, const Node *node)
{
    if (unshare->count == unshare->capacity) {
        unshare->capacity = unshare->capacity ? unshare->capacity * 2 : 64;
        const Node **const stack = NEW_ARRAY(unshare->arena, const Node *, unshare->capacity);
        if (unshare->count)
            memcpy(stack, unshare->stack, unshare->count * sizeof *stack);
        unshare->stack = stack;
    }
    unshare->stack[unshare->count++] = node;
}

/* Makes `root` and what it reads known to one level; the levels around know them. */
static void see_all(Unshare *unshare, Level *level, const Node *root)
{
    push(unshare, root);
    while (unshare->count) {
        const Node *const node = unshare->stack[unshare->count - 1];
        if (map_has(&level->seen, node)) {
            unshare->count--;
            continue;
        }
        const size_t before = unshare->count;
        for (uint32_t i = 0; op_kind(node->op) == KIND_PURE && i < node->input_count; i++)
            if (!map_has(&level->seen, node->inputs[i]))
                push(unshare, node->inputs[i]);
        if (unshare->count > before)
            continue;
        map_set(&level->seen, node, see(unshare->arena, level, node));
        unshare->count--;
    }
}

static Node *resolve(Unshare *unshare, Level *level, Node *node)
{
    if (!level)
        return node;
    resolve(unshare, level->outer, node);
    see_all(unshare, level, node);
    return map_get(&level->seen, node);
}

static Block *copy_block(Unshare *unshare, Level *level, const Block *block);

static Node *copy_loop(Unshare *unshare, Level *level, const Node *node, Node *copy)
{
    Level inner = {.outer = level};
    map_open(&inner.seen, unshare->arena);
    Node *const axis = arena_copy(unshare->arena, node->axes[0], sizeof **node->axes);
    map_set(&inner.seen, node->axes[0], axis);
    copy->axes = arena_copy(unshare->arena, &axis, sizeof axis);
    copy->blocks = NEW_ARRAY(unshare->arena, Block *, node->block_count);
    for (int i = 0; i < node->block_count; i++)
        copy->blocks[i] = copy_block(unshare, &inner, node->blocks[i]);
    return copy;
}

static Node *copy_statement(Unshare *unshare, Level *level, Node *node)
{
    for (uint32_t i = 0; i < node->input_count; i++)
        resolve(unshare, level, node->inputs[i]);
    Node *const copy = copy_with_inputs(unshare->arena, node, level);
    for (Level *walk = level; walk; walk = walk->outer)
        map_set(&walk->seen, node, copy);
    if (node->op == OP_for && node->axis_count == 1) {
        if (map_has(&unshare->bound, node->axes[0]))
            return copy_loop(unshare, level, node, copy);
        map_set(&unshare->bound, node->axes[0], node->axes[0]);
    }
    copy->blocks = NEW_ARRAY(unshare->arena, Block *, node->block_count);
    for (int i = 0; i < node->block_count; i++)
        copy->blocks[i] = copy_block(unshare, level, node->blocks[i]);
    return copy;
}

/* Outside of all levels statements keep their identity, but for what holds a copied loop. */
static Block *copy_block(Unshare *unshare, Level *level, const Block *block)
{
    Block *const copy = NEW(unshare->arena, Block);
    copy->nodes = NEW_ARRAY(unshare->arena, Node *, (size_t)block->count);
    copy->count = copy->capacity = block->count;
    for (int i = 0; i < block->count; i++) {
        Node *const node = block->nodes[i];
        copy->nodes[i] = level || node->block_count ? copy_statement(unshare, level, node) : node;
    }
    return copy;
}

static bool binds_twice(NodeMap *bound, const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        const Node *const node = block->nodes[i];
        for (int j = 0; j < node->axis_count && node->op == OP_for; j++) {
            if (map_has(bound, node->axes[j]))
                return true;
            map_set(bound, node->axes[j], node->axes[j]);
        }
        for (int j = 0; j < node->block_count; j++)
            if (binds_twice(bound, node->blocks[j]))
                return true;
    }
    return false;
}

const Block *block_unshared(Arena *arena, const Block *block)
{
    NodeMap bound;
    map_open(&bound, arena);
    if (!binds_twice(&bound, block))
        return block;
    Unshare unshare = {.arena = arena};
    map_open(&unshare.bound, arena);
    return copy_block(&unshare, NULL, block);
}
