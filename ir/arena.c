/* Arena and interned names: see arena.h. Blocks grow geometrically; large requests get a block of their own. */
#include "ir/arena.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ArenaBlock {
    struct ArenaBlock *before;
    size_t size, used;
    _Alignas(16) unsigned char bytes[];
} ArenaBlock;

typedef struct NameEntry {
    uint64_t hash;
    size_t length;
    char *text;
} NameEntry;

struct Arena {
    ArenaBlock *block;
    size_t total, budget;
    ArenaHandler *handler;
    void *context;
    NameEntry *names; /* open addressing, capacity a power of two */
    size_t name_count, name_capacity;
    ArenaBlock *name_block; /* interned text: survives arena_reset */
    Arena *scratch, *owner; /* of an owner: its scratch arena, made when asked for; of a scratch arena: its owner */
};

enum { FIRST_BLOCK = 1 << 16, LARGEST_BLOCK = 1 << 22 };

static _Noreturn void leave_over_budget(void *context, size_t wanted, size_t budget)
{
    (void)context;
    fprintf(stderr, "lathe: error: out of memory: %zu more bytes wanted, the limit is %zu\n", wanted, budget);
    exit(8);
}

Arena *arena_open(size_t budget, ArenaHandler *handler, void *context)
{
    Arena *arena = calloc(1, sizeof *arena);
    if (!arena)
        leave_over_budget(NULL, sizeof *arena, budget);
    arena->budget = budget;
    arena->handler = handler ? handler : leave_over_budget;
    arena->context = context;
    return arena;
}

static void blocks_free(ArenaBlock *block)
{
    while (block) {
        ArenaBlock *const before = block->before;
        free(block);
        block = before;
    }
}

void arena_close(Arena *arena)
{
    if (!arena)
        return;
    arena_close(arena->scratch);
    blocks_free(arena->block);
    blocks_free(arena->name_block);
    free(arena->names);
    free(arena);
}

/* The arena that keeps the account. */
static Arena *account_of(Arena *arena)
{
    return arena->owner ? arena->owner : arena;
}

static void over_budget(Arena *arena, size_t wanted)
{
    arena = account_of(arena);
    arena->handler(arena->context, wanted, arena->budget);
    abort(); /* a handler must not return */
}

static void *block_alloc(Arena *arena, ArenaBlock **list, size_t bytes)
{
    ArenaBlock *block = *list;
    if (!block || block->size - block->used < bytes) {
        Arena *const account = account_of(arena);
        size_t size = block ? block->size * 2 : FIRST_BLOCK;
        if (size > LARGEST_BLOCK)
            size = LARGEST_BLOCK;
        if (size < bytes)
            size = bytes;
        if (account->budget && (account->total > account->budget || size > account->budget - account->total))
            size = bytes;
        if (account->budget && (account->total > account->budget || size > account->budget - account->total))
            over_budget(arena, bytes);
        block = calloc(1, sizeof *block + size);
        if (!block)
            over_budget(arena, bytes);
        block->size = size;
        block->before = *list;
        *list = block;
        account->total += size;
    }
    void *const memory = block->bytes + block->used;
    block->used += bytes;
    return memory;
}

void *arena_alloc(Arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        over_budget(arena, bytes);
    return block_alloc(arena, &arena->block, (bytes + 15) & ~(size_t)15);
}

void *arena_array(Arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        over_budget(arena, SIZE_MAX);
    return arena_alloc(arena, bytes);
}

void *arena_copy(Arena *arena, const void *bytes, size_t count)
{
    void *const memory = arena_alloc(arena, count);
    if (count)
        memcpy(memory, bytes, count);
    return memory;
}

char *arena_vformat(Arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *const text = arena_alloc(arena, (size_t)(length < 0 ? 0 : length) + 1);
    if (length > 0)
        vsnprintf(text, (size_t)length + 1, format, arguments);
    return text;
}

char *arena_format(Arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *const text = arena_vformat(arena, format, arguments);
    va_end(arguments);
    return text;
}

Arena *arena_scratch(Arena *arena)
{
    if (arena->scratch)
        return arena->scratch;
    Arena *const scratch = arena_open(0, NULL, NULL);
    scratch->owner = arena;
    arena->scratch = scratch;
    (void)arena_alloc(scratch, 1); /* a first block that no reset gives back */
    return scratch;
}

size_t arena_used(const Arena *arena)
{
    return arena->total;
}

ArenaMark arena_mark(const Arena *arena)
{
    return (ArenaMark){arena->block, arena->block ? arena->block->used : 0};
}

void arena_reset(Arena *arena, ArenaMark mark)
{
    while (arena->block != mark.block) {
        ArenaBlock *const before = arena->block->before;
        account_of(arena)->total -= arena->block->size;
        free(arena->block);
        arena->block = before;
    }
    if (!arena->block)
        return;
    memset(arena->block->bytes + mark.used, 0, arena->block->used - mark.used);
    arena->block->used = mark.used;
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t text_hash(const char *text, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash;
}

static NameEntry *name_slot(NameEntry *names, size_t capacity, const char *text, size_t length, uint64_t hash)
{
    size_t slot = hash & (capacity - 1);
    while (names[slot].text) {
        const NameEntry *entry = &names[slot];
        if (entry->hash == hash && entry->length == length && memcmp(entry->text, text, length) == 0)
            break;
        slot = (slot + 1) & (capacity - 1);
    }
    return &names[slot];
}

static void names_grow(Arena *arena)
{
    const size_t capacity = arena->name_capacity ? arena->name_capacity * 2 : 256;
    NameEntry *const names = calloc(capacity, sizeof *names);
    if (!names)
        over_budget(arena, capacity * sizeof *names);
    for (size_t i = 0; i < arena->name_capacity; i++)
        if (arena->names[i].text)
            *name_slot(names, capacity, arena->names[i].text, arena->names[i].length, arena->names[i].hash) =
                arena->names[i];
    free(arena->names);
    arena->names = names;
    arena->name_capacity = capacity;
}

Name name_intern_bytes(Arena *arena, const char *text, size_t length)
{
    if (arena->name_count * 2 >= arena->name_capacity)
        names_grow(arena);
    const uint64_t hash = text_hash(text, length);
    NameEntry *const entry = name_slot(arena->names, arena->name_capacity, text, length, hash);
    if (entry->text)
        return entry->text;
    char *const copy = block_alloc(arena, &arena->name_block, (length + 1 + 15) & ~(size_t)15);
    memcpy(copy, text, length);
    *entry = (NameEntry){hash, length, copy};
    arena->name_count++;
    return copy;
}

Name name_intern(Arena *arena, const char *text)
{
    return name_intern_bytes(arena, text, strlen(text));
}
