/* Where the printer puts what: which pure nodes get a line of their own, in which block and before which statement; and
 * an order of the terms of index sums that does not depend on node ids. Private to the printer and the verifier, which
 * asks the same questions: within what does a value hold, and is it used there?
 *
 * A plan covers one unit: a graph, a stage, a kernel's body, the declarations of a module. First the printer registers
 * the scopes (blocks), the items (statements) in them and the expressions that each item uses, in the order of the
 * text; then plan_settle decides. */
#ifndef LATHE_IR_PRINT_PLAN_H
#define LATHE_IR_PRINT_PLAN_H

#include "ir/map.h"

/* A term of an index sum: factor * atoms. */
typedef struct PlanTerm {
    int64_t factor;
    int count;
    Node **atoms;
} PlanTerm;

/* What the text of a node names: an operand, an extent, a dim of its type, an output of a body. */
typedef struct PlanEdge {
    Node *node;
    int body; /* stands in the scope of the node's axes or its body of this number; -1 beside the node */
    bool dim;
} PlanEdge;

typedef struct PlanNode {
    Node *node;
    PlanEdge *edges;
    int edge_count;
    int place;  /* the scope that its line or its only use stands in; -1 not known */
    int uses;   /* as a value; dims of types do not count */
    bool root;  /* used by a statement or as the value of a fold, not by another expression */
    bool named; /* has a line of its own */
    bool visited;
    bool swapped; /* min, max of indices: operands print in reverse */
    bool opened;  /* edges and terms are filled in */
    int weight;   /* leaves and operations in its text */
    int first_use;
    int number;        /* of an axis or an ordered value: order of binding */
    uint64_t hash;     /* of its meaning, free of ids */
    const char *label; /* a symbol's text */
    int term_count;    /* of an index sum, else 0 */
    PlanTerm *terms;
    int scope;             /* the scope that its axes (or the first of its bodies) open, -1 when none */
    struct PlanNode *next; /* line after this one before the same item */
} PlanNode;

typedef struct Plan Plan;
/* `names` tells what is named already: such nodes are leaves. `label` gives a symbol's text. */
Plan *plan_open(Arena *arena, const NodeMap *names, const char *(*label)(void *context, const Node *symbol),
                void *context);
int plan_scope(Plan *plan, int parent, int item); /* parent -1: the outermost */
int plan_item(Plan *plan, int scope);
void plan_bind(Plan *plan, Node *leaf); /* an axis, input or ordered value comes to be */
void plan_use(Plan *plan, int item, Node *node);
void plan_use_dims(Plan *plan, int item, Type type);
void plan_settle(Plan *plan);

PlanNode *plan_find(const Plan *plan, const Node *node); /* NULL when it is not in the plan */
PlanNode *plan_lines(const Plan *plan, int item);        /* to be printed before the item, in this order */
int plan_only_item(const Plan *plan, int scope);         /* of a fold's or body's scope */

int plan_count(const Plan *plan);
PlanNode *plan_at(const Plan *plan, int i);               /* the i-th node, operands before users */
bool plan_within(const Plan *plan, int inner, int outer); /* is scope `inner` the scope `outer` or inside it? */
/* The item of scope `place` in which use number `use` stands. */
int plan_item_around(const Plan *plan, int use, int place);

/* A pure node that never has a line: its text is a name or a literal. */
bool plan_is_leaf(const Plan *plan, const Node *node);
/* Printed as 2*%i+N-1 or (add ..): an index add, or a product of atoms. */
bool plan_is_sum(const Node *node);
bool plan_is_index(const Node *node); /* an index, no vector of them */
/* The terms of a sum, in no particular order. */
void plan_sum_fill(Arena *arena, PlanNode *sum);

#endif
