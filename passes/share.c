/* The regions of a script share one section of weights: constants of equal bytes in equal layout stand there once. */
#include "ir/kernel.h"
#include "passes/access.h"
#include "passes/pass.h"

#include <string.h>

enum { WEIGHT_ALIGNMENT = 64 };

typedef struct Shared {
    Node **slots; /* by content: open addressing */
    uint64_t *hashes;
    size_t count, capacity;
} Shared;

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 29);
}

static uint64_t weight_hash(const Node *buffer)
{
    const Constant *const constant = buffer->payload.buffer->constant;
    const unsigned char *const data = constant->data;
    uint64_t hash = mix(constant->bytes, (uint64_t)buffer->type.dtype << 1 | constant->splat), word = 0;
    for (int i = 0; i < buffer->type.rank; i++)
        hash = mix(hash, buffer->type.dims[i]->id);
    uint64_t at = 0;
    for (; at + sizeof word <= constant->bytes; at += sizeof word) {
        memcpy(&word, data + at, sizeof word);
        hash = mix(hash, word);
    }
    for (; at < constant->bytes; at++)
        hash = mix(hash, data[at]);
    return hash;
}

static bool same_layout(const Layout *a, const Layout *b)
{
    if (a->count != b->count)
        return false;
    for (int i = 0; i < a->count; i++)
        if (a->entries[i].axis != b->entries[i].axis || a->entries[i].part != b->entries[i].part ||
            a->entries[i].block != b->entries[i].block)
            return false;
    return true;
}

static bool same_weight(const Node *a, const Node *b)
{
    const Buffer *const one = a->payload.buffer, *const two = b->payload.buffer;
    return type_equal(a->type, b->type) && same_layout(&one->layout, &two->layout) &&
           one->constant->splat == two->constant->splat && one->constant->bytes == two->constant->bytes &&
           (one->constant->data == two->constant->data ||
            memcmp(one->constant->data, two->constant->data, one->constant->bytes) == 0);
}

static size_t slot_of(const Shared *shared, const Node *buffer, uint64_t hash)
{
    size_t slot = hash & (shared->capacity - 1);
    while (shared->slots[slot] && (shared->hashes[slot] != hash || !same_weight(shared->slots[slot], buffer)))
        slot = (slot + 1) & (shared->capacity - 1);
    return slot;
}

static void grow(Shared *shared, Arena *arena)
{
    const Shared old = *shared;
    shared->capacity = old.capacity ? old.capacity * 2 : 64;
    shared->slots = NEW_ARRAY(arena, Node *, shared->capacity);
    shared->hashes = NEW_ARRAY(arena, uint64_t, shared->capacity);
    for (size_t i = 0; i < old.capacity; i++) {
        if (!old.slots[i])
            continue;
        size_t slot = old.hashes[i] & (shared->capacity - 1);
        while (shared->slots[slot])
            slot = (slot + 1) & (shared->capacity - 1);
        shared->slots[slot] = old.slots[i];
        shared->hashes[slot] = old.hashes[i];
    }
}

/* Bytes of a weight in its layout; planning has seen that they are constant and not too many. */
static int64_t weight_bytes(Ir *ir, Node *buffer)
{
    int64_t elements = 0;
    const_is_int(layout_elements(ir, buffer), &elements);
    const int64_t bytes = (elements * dtype_info[buffer->type.dtype].bits + 7) / 8;
    return (bytes + WEIGHT_ALIGNMENT - 1) / WEIGHT_ALIGNMENT * WEIGHT_ALIGNMENT;
}

static bool place(Ir *ir, Shared *shared, Node *buffer, int64_t *total)
{
    if ((shared->count + 1) * 2 > shared->capacity)
        grow(shared, ir->arena);
    const uint64_t hash = weight_hash(buffer);
    const size_t slot = slot_of(shared, buffer, hash);
    if (shared->slots[slot]) {
        buffer->payload.buffer->offset = shared->slots[slot]->payload.buffer->offset;
        return true;
    }
    shared->slots[slot] = buffer;
    shared->hashes[slot] = hash;
    shared->count++;
    buffer->payload.buffer->offset = *total;
    *total += weight_bytes(ir, buffer);
    return *total <= (int64_t)1 << 40 ||
           diag_error(ir->diagnostics, EXIT_LIMIT, NULL, "the constants are larger than 1 TiB");
}

bool weights_share(Compilation *compilation, int region_count)
{
    Ir *const ir = compilation->ir;
    Shared shared = {0};
    NodeMap seen;
    map_open(&seen, ir->arena);
    compilation->weight_bytes = 0;
    for (int i = 0; i < region_count; i++) {
        const Block *const body = compilation->regions[i].module->body;
        for (int j = 0; j < body->count; j++)
            for (int k = 0; k < kernel_buffer_count(body->nodes[j]); k++) {
                Node *const root = buffer_root(body->nodes[j]->inputs[k]);
                if (root->payload.buffer->place != PLACE_WEIGHT || map_has(&seen, root))
                    continue;
                map_set(&seen, root, root);
                if (!place(ir, &shared, root, &compilation->weight_bytes))
                    return false;
            }
    }
    return true;
}
