/* Open addressing over interned names. */
#include "frontend/names.h"

#include <stdint.h>

/* The slot of `key`, or the free one where it belongs. */
static size_t slot_of(const NameMap *map, Name key)
{
    size_t slot = (size_t)((uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u >> 20) & (map->capacity - 1);
    while (map->keys[slot] && map->keys[slot] != key)
        slot = (slot + 1) & (map->capacity - 1);
    return slot;
}

static void names_grow(NameMap *map)
{
    const NameMap old = *map;
    map->capacity = old.capacity ? old.capacity * 2 : 8;
    map->keys = NEW_ARRAY(map->arena, Name, map->capacity);
    map->values = NEW_ARRAY(map->arena, void *, map->capacity);
    for (size_t i = 0; i < old.capacity; i++) {
        if (!old.keys[i])
            continue;
        const size_t slot = slot_of(map, old.keys[i]);
        map->keys[slot] = old.keys[i];
        map->values[slot] = old.values[i];
    }
}

void *names_get(const NameMap *map, Name key)
{
    return map->capacity ? map->values[slot_of(map, key)] : NULL;
}

void *names_add(NameMap *map, Name key, void *value)
{
    if (map->count * 4 >= map->capacity * 3)
        names_grow(map);
    const size_t slot = slot_of(map, key);
    if (map->keys[slot])
        return map->values[slot];
    map->keys[slot] = key;
    map->values[slot] = value;
    map->count++;
    return NULL;
}

void names_set(NameMap *map, Name key, void *value)
{
    if (names_add(map, key, value))
        map->values[slot_of(map, key)] = value;
}
