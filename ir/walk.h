/* A walk over expressions that remembers where it was: from each further root it lists only what is new, inputs before
 * users. */
#ifndef LATHE_IR_WALK_H
#define LATHE_IR_WALK_H

#include "ir/map.h"

typedef struct NodeList {
    Arena *arena;
    Node **nodes;
    size_t count, capacity;
} NodeList;
void list_push(NodeList *list, Node *node);

typedef struct NodeWalk {
    NodeMap seen;
    NodeList order, stack;
} NodeWalk;
/* Lists and maps lie in `arena`: mostly the scratch of an Ir's arena. */
NodeWalk walk_open(Arena *arena);
void walk_from(NodeWalk *walk, Node *root);

#endif
