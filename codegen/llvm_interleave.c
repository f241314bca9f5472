/* Values that are stored one after the other, made side by side.
 *
 * An exponential or an error function is a chain of some twenty operations that wait for each other. A processor looks
 * about a hundred operations ahead for others that may start, and LLVM leaves operations in the order of the text: with
 * one chain behind the other the second starts when the first is nearly done. Four chains whose operations alternate
 * take the time that their number of operations takes. */
#include "codegen/emit.h"

enum {
    CHAINS_MAX = 4,
    CHAIN_LEAST = 12 /* operations of vectors: what is shorter, or one after the other in registers of a tile, stays */
};

typedef struct Chain {
    Node **nodes;
    int count;
} Chain;

static bool is_step(const Node *node)
{
    return op_is_scalar(node->op) && node->type.lanes > 1 && node->type.dtype != DTYPE_INDEX;
}

/* The operations on vectors that `value` needs and that are not made yet, operands first. */
static Chain chain_of(Emitter *emitter, Node *value)
{
    Chain chain = {0};
    int count;
    Node **const nodes = nodes_topological(emitter->ir, &value, 1, &count);
    chain.nodes = NEW_ARRAY(emitter->arena, Node *, (size_t)count);
    for (int i = 0; i < count; i++)
        if (is_step(nodes[i]) && !emit_is_made(emitter, nodes[i]))
            chain.nodes[chain.count++] = nodes[i];
    return chain;
}

void emit_stored_together(Emitter *emitter, Node *const *stores, int count)
{
    Chain chains[CHAINS_MAX];
    int made = 0, longest = 0;
    for (; made < count && made < CHAINS_MAX && stores[made]->op == OP_store; made++) {
        chains[made] = chain_of(emitter, stores[made]->inputs[2]);
        longest = chains[made].count > longest ? chains[made].count : longest;
        if (chains[made].count < CHAIN_LEAST)
            break;
    }
    for (int step = 0; made > 1 && step < longest; step++)
        for (int i = 0; i < made; i++)
            if (step < chains[i].count)
                emit_value(emitter, chains[i].nodes[step]);
}
