/* Names in scope: one open-addressing table from interned names to their innermost binding, and a log that leaving a
 * scope undoes. */
#include "ir/read.h"

#include <string.h>

typedef struct Binding {
    Name name;
    Node *node;   /* NULL: not bound now (the slot stays, so that probing goes on) */
    size_t scope; /* which entering of a scope it was bound in */
} Binding;

struct Names {
    Arena *arena;
    Binding *slots;
    size_t count, capacity;
    Binding *log; /* what each binding replaced */
    size_t log_count, log_capacity;
    size_t *scopes; /* log_count at each entry */
    int depth, scope_capacity;
};

Names *names_open(Arena *arena)
{
    Names *const names = NEW(arena, Names);
    names->arena = arena;
    return names;
}

static Binding *slot_of(const Names *names, Name name)
{
    size_t slot = ((uintptr_t)name * (size_t)0x9e3779b97f4a7c15u >> 24) & (names->capacity - 1);
    while (names->slots[slot].name && names->slots[slot].name != name)
        slot = (slot + 1) & (names->capacity - 1);
    return &names->slots[slot];
}

static void grow(Names *names)
{
    const Binding *const old = names->slots;
    const size_t count = names->capacity;
    names->capacity = count ? count * 2 : 64;
    names->slots = NEW_ARRAY(names->arena, Binding, names->capacity);
    for (size_t i = 0; i < count; i++)
        if (old[i].name)
            *slot_of(names, old[i].name) = old[i];
}

static void log_push(Names *names, const Binding *binding)
{
    if (names->log_count == names->log_capacity) {
        names->log_capacity = names->log_capacity ? names->log_capacity * 2 : 64;
        Binding *const log = NEW_ARRAY(names->arena, Binding, names->log_capacity);
        if (names->log_count)
            memcpy(log, names->log, names->log_count * sizeof *log);
        names->log = log;
    }
    names->log[names->log_count++] = *binding;
}

/* Which scope is open: the log's height at its entry, plus one; two scopes open at once with equal heights bind nothing
 * between them. */
static size_t scope_mark(const Names *names)
{
    return names->depth ? names->scopes[names->depth - 1] + 1 : 0;
}

void names_bind(Names *names, Name name, Node *node)
{
    if (names->count * 2 >= names->capacity)
        grow(names);
    Binding *const slot = slot_of(names, name);
    if (!slot->name) {
        slot->name = name;
        names->count++;
    }
    log_push(names, slot);
    slot->node = node;
    slot->scope = scope_mark(names);
}

Node *names_find(const Names *names, Name name)
{
    return names->capacity ? slot_of(names, name)->node : NULL;
}

bool names_bound_here(const Names *names, Name name)
{
    if (!names->capacity)
        return false;
    const Binding *const slot = slot_of(names, name);
    return slot->node && slot->scope == scope_mark(names);
}

void names_enter(Names *names)
{
    if (names->depth == names->scope_capacity) {
        const int capacity = names->scope_capacity ? names->scope_capacity * 2 : 16;
        size_t *const scopes = NEW_ARRAY(names->arena, size_t, (size_t)capacity);
        if (names->depth)
            memcpy(scopes, names->scopes, (size_t)names->depth * sizeof *scopes);
        names->scopes = scopes;
        names->scope_capacity = capacity;
    }
    names->scopes[names->depth++] = names->log_count;
}

void names_leave(Names *names)
{
    const size_t height = names->scopes[--names->depth];
    while (names->log_count > height) {
        const Binding *const before = &names->log[--names->log_count];
        Binding *const slot = slot_of(names, before->name);
        slot->node = before->node;
        slot->scope = before->scope;
    }
}

int names_depth(const Names *names)
{
    return names->depth;
}
