/* Node map: open addressing by node id. */
#include "ir/map.h"

void map_open(NodeMap *map, Arena *arena)
{
    *map = (NodeMap){.arena = arena};
}

static size_t slot_of(const NodeMap *map, const Node *key)
{
    size_t slot = (key->id * (size_t)0x9e3779b97f4a7c15u >> 20) & (map->capacity - 1);
    while (map->keys[slot] && map->keys[slot] != key)
        slot = (slot + 1) & (map->capacity - 1);
    return slot;
}

bool map_has(const NodeMap *map, const Node *key)
{
    return map->capacity && map->keys[slot_of(map, key)];
}

void *map_get(const NodeMap *map, const Node *key)
{
    if (!map->capacity)
        return NULL;
    const size_t slot = slot_of(map, key);
    return map->keys[slot] ? map->values[slot] : NULL;
}

static void grow(NodeMap *map)
{
    NodeMap larger = {.arena = map->arena, .count = map->count, .capacity = map->capacity ? map->capacity * 2 : 32};
    larger.keys = NEW_ARRAY(map->arena, const Node *, larger.capacity);
    larger.values = NEW_ARRAY(map->arena, void *, larger.capacity);
    for (size_t i = 0; i < map->capacity; i++) {
        if (!map->keys[i])
            continue;
        const size_t slot = slot_of(&larger, map->keys[i]);
        larger.keys[slot] = map->keys[i];
        larger.values[slot] = map->values[i];
    }
    *map = larger;
}

void map_set(NodeMap *map, const Node *key, void *value)
{
    if (map->count * 2 >= map->capacity)
        grow(map);
    const size_t slot = slot_of(map, key);
    if (!map->keys[slot]) {
        map->keys[slot] = key;
        map->count++;
    }
    map->values[slot] = value;
}
