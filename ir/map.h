/* A map from nodes to pointers or numbers, in an arena. Order of iteration is never exposed, so results stay
 * deterministic. */
#ifndef LATHE_IR_MAP_H
#define LATHE_IR_MAP_H

#include "ir/ir.h"

typedef struct NodeMap {
    Arena *arena;
    const Node **keys;
    void **values;
    size_t count, capacity;
} NodeMap;

void map_open(NodeMap *map, Arena *arena);
/* The value stored for `key`, NULL when there is none. */
void *map_get(const NodeMap *map, const Node *key);
bool map_has(const NodeMap *map, const Node *key);
void map_set(NodeMap *map, const Node *key, void *value);

#endif
