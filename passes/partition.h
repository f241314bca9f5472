/* Between the two halves of the cut: partition.c says what is computed when, regions.c makes graphs and steps of it. */
#ifndef LATHE_PASSES_PARTITION_H
#define LATHE_PASSES_PARTITION_H

#include "ir/script.h"
#include "ir/walk.h"

typedef struct Body Body;

/* What a node gives, in the body that computes it. */
typedef struct Value {
    Node *node;
    Body *body;
    int ready; /* even: computed by the region of that time; odd: in a slot from then on (see script.h) */
    int slot;
    struct Value *read; /* of a lathe_Read: what it reads, whose slot it shares */
} Value;

typedef struct Cut {
    Ir *ir;
    const Graph *graph;
    NodeMap known; /* constants, and what follows from them alone */
    Body **bodies; /* by number */
    int body_count, body_capacity;
    int slot_count, slot_capacity;
    Value **slots;      /* by number */
    NodeList constants; /* that stand in slots, each once */
} Cut;

typedef struct RegionDraft {
    Body *body;
    int time, number;
    NodeMap nodes; /* node of the whole graph -> that of the region */
    NodeMap given; /* node of a value in a slot -> the region's input */
    NodeList inputs, outputs;
    NodeList input_values, output_values; /* the nodes of the whole graph */
    bool checks;                          /* something is checked here */
} RegionDraft;

struct Body {
    Cut *cut;
    const Graph *graph;
    Body *outer;
    int number;
    NodeMap values; /* node -> Value that this body computes or is given */
    NodeMap inner;  /* If, Loop -> its bodies, NULL-terminated */
    NodeMap taken_seen;
    NodeList order, taken; /* what is computed here, operands first; nodes of bodies around */
    NodeWalk expressions;  /* of dims and contents */
    size_t expressions_done;
    NodeMap expression_ready; /* -> ready + 2 */
    NodeMap symbols;          /* that become known here -> ready + 2 */
    NodeList symbol_list, free_symbols;
    int last;             /* the latest time */
    RegionDraft **drafts; /* by time / 2; NULL: none */
};

static inline int ready_for_region(int ready)
{
    return (ready + 1) & ~1;
}
static inline int ready_for_step(int ready)
{
    return ready | 1;
}

/* The value that `node` has for `body`, which may be one of a body around it; NULL for what is known. */
Value *body_value(const Body *body, const Node *node);
/* The same, made when it is known: a step of the outermost body gives constants, a region what follows from them. */
Value *value_in_slot(Body *body, Node *node);
bool is_step(const Node *node); /* an operator with HOST meaning that is a step: no lathe_Read */
/* Every body with its nodes in order and their times. */
Body *cut_bodies(Cut *cut);
Script *cut_script(Cut *cut);
/* A region for every check that no region could make. */
void cut_checks(Cut *cut, const Script *script);
void region_for_check(Body *body, int time);

#endif
