/* A map from interned names to pointers. Equal text is one pointer, so keys are hashed by address; order is never
 * exposed. */
#ifndef LATHE_FRONTEND_NAMES_H
#define LATHE_FRONTEND_NAMES_H

#include "ir/arena.h"

typedef struct NameMap {
    Arena *arena;
    Name *keys;
    void **values;
    size_t count, capacity; /* capacity 0 or a power of two */
} NameMap;

void *names_get(const NameMap *map, Name key); /* NULL when there is none */
/* Stores `value`, which is not NULL, unless the key is there already: then returns what it holds, else NULL. */
void *names_add(NameMap *map, Name key, void *value);
/* Stores `value`, replacing what was there. */
void names_set(NameMap *map, Name key, void *value);

#endif
