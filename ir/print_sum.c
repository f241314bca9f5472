/* Index sums as lists of terms: what the chains of add and mul that ir/index.c makes say, without their order. See
 * print_plan.h. */
#include "ir/print_plan.h"

bool plan_is_index(const Node *node)
{
    return node->type.dtype == DTYPE_INDEX && node->type.lanes == 1 && node->type.rank < 0;
}

/* A product of atoms; products with sums inside are opaque: they were too long to multiply out. */
static bool is_product(const Node *node)
{
    return node->op == OP_mul && plan_is_index(node) && node->inputs[0]->op != OP_add &&
           node->inputs[1]->op != OP_add && node->inputs[1]->op != OP_mul;
}

bool plan_is_sum(const Node *node)
{
    return (node->op == OP_add && plan_is_index(node) && node->inputs[1]->op != OP_add) || is_product(node);
}

static void term_fill(Arena *arena, Node *node, PlanTerm *term)
{
    int count = 1;
    for (const Node *walk = node; is_product(walk); walk = walk->inputs[0])
        count++;
    *term = (PlanTerm){.factor = 1, .atoms = NEW_ARRAY(arena, Node *, (size_t)count)};
    for (;;) {
        Node *const atom = is_product(node) ? node->inputs[1] : node;
        int64_t value;
        if (const_is_int(atom, &value))
            term->factor = (int64_t)((uint64_t)term->factor * (uint64_t)value);
        else
            term->atoms[term->count++] = atom;
        if (!is_product(node))
            return;
        node = node->inputs[0];
    }
}

void plan_sum_fill(Arena *arena, PlanNode *sum)
{
    int count = 1;
    for (const Node *walk = sum->node; walk->op == OP_add && plan_is_sum(walk); walk = walk->inputs[0])
        count++;
    sum->terms = NEW_ARRAY(arena, PlanTerm, (size_t)count);
    for (Node *node = sum->node;; node = node->inputs[0]) {
        const bool more = node->op == OP_add && plan_is_sum(node);
        term_fill(arena, more ? node->inputs[1] : node, &sum->terms[sum->term_count++]);
        if (!more)
            return;
    }
}
