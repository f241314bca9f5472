/* What the files of the verifier share: one unit (a graph, a stage, a body) with its plan, and where its leaves are
 * bound. */
#ifndef LATHE_IR_VERIFY_INTERNAL_H
#define LATHE_IR_VERIFY_INTERNAL_H

#include "ir/print_plan.h"
#include "ir/verify.h"

/* Where an axis, an input or an ordered value comes to be: it holds in `scope`, there after `item` (-1: from its
 * start). */
typedef struct Bound {
    int scope, item;
} Bound;

typedef struct Verifier {
    Arena *scratch; /* of one call: verifying makes no nodes and leaves nothing behind but diagnostics */
    Diagnostics *diagnostics;
    int wrong;
    NodeMap blocks_of; /* ordered nodes met */
    /* of the kernel */
    NodeMap parameters; /* buffers and symbols */
    NodeMap written;
    Node *kernel;
    /* of the unit */
    int level;
    Plan *plan;
    NodeMap nothing; /* no node has a name here */
    NodeMap bounds;
    NodeMap ranges;    /* of planned index values: Range */
    NodeMap loops;     /* axes of for to their for */
    bool *conditional; /* scopes that stand inside an if, by number */
    int conditional_capacity;
} Verifier;

/* Counts and reports; returns false. `node` gives place and text. */
bool verify_wrong(Verifier *verifier, const Node *node, const char *format, ...) __attribute__((format(printf, 3, 4)));
void unit_open(Verifier *verifier, int level);
void unit_bind(Verifier *verifier, Node *leaf, int scope, int item);
/* Settles the plan and checks every pure node of the unit: level, operands, and that leaves are used where they hold.
 */
void unit_check(Verifier *verifier);
/* What stands around a block. */
typedef struct Context {
    bool conditional, loop;
    int depth;
} Context;
void verify_block(Verifier *verifier, const Block *block, int scope, Context context);
void verify_statement(Verifier *verifier, Node *node);
/* What the statements themselves access, once the unit is checked and ranges are known. */
void verify_block_accesses(Verifier *verifier, const Block *block, Context context);

/* ---- verify_threads.c ---- */
/* What belongs to kernels of threads: stands it in one, do all threads (or lanes) come to barriers (and operations of
 * warps), does shared memory suffice? The unit is checked already. */
void verify_threads(Verifier *verifier, const Block *body);

/* ---- verify_access.c ---- */
/* Bounds of a planned index value by intervals, operands first. Unlike index_range it makes no nodes. */
void verify_range(Verifier *verifier, const PlanNode *planned);
/* A statement or expression that names buffers: are they parameters, may they be written, is the place inside them? */
void verify_access(Verifier *verifier, const Node *node, int scope, bool guarded);

#endif
