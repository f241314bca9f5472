/* What makes a model too large for a microcontroller, by name: see embedded_ram_fits and embedded_flash_fits in
 * embedded.h. */
#include "codegen/embedded.h"

#include "ir/kernel.h"
#include "ir/pack.h"
#include "passes/access.h"

#include <stdlib.h>

enum { NAMED_MOST = 8, NAME_SHOWN = 80 };

typedef struct Tenant {
    const Node *buffer; /* a root */
    int first, last;    /* launches that touch it */
    int64_t bytes;
} Tenant;

typedef struct Tenants {
    Tenant *items;
    int count;
} Tenants;

static int64_t buffer_bytes(const Node *buffer)
{
    return (int64_t)pack_bytes(buffer->type.dtype, pack_elements(buffer->type, &buffer->payload.buffer->layout));
}

/* Buffers of one place, each with its life. */
static Tenants tenants_of(const Program *program, Place place)
{
    Arena *const arena = program->ir->arena;
    size_t most = 1;
    for (int i = 0; i < program->launch_count; i++)
        most += program->launches[i].kernel->input_count;
    Tenants tenants = {.items = NEW_ARRAY(arena, Tenant, most)};
    NodeMap number;
    map_open(&number, arena);
    for (int i = 0; i < program->launch_count; i++)
        for (int j = 0; j < program->launches[i].buffers_count; j++) {
            const Node *const root = buffer_root(program->launches[i].kernel->inputs[j]);
            if (root->payload.buffer->place != place)
                continue;
            const intptr_t known = (intptr_t)map_get(&number, root);
            if (known) {
                tenants.items[known - 1].last = i;
                continue;
            }
            tenants.items[tenants.count++] = (Tenant){root, i, i, buffer_bytes(root)};
            map_set(&number, root, (void *)(intptr_t)tenants.count);
        }
    return tenants;
}

static int larger_first(const void *a, const void *b)
{
    const Tenant *const left = a, *const right = b;
    if (left->bytes != right->bytes)
        return left->bytes > right->bytes ? -1 : 1;
    return left->first - right->first;
}

static const char *name_of(Arena *arena, const Tenant *tenant)
{
    const Name name = tenant->buffer->payload.buffer->name;
    return diag_quote(arena, name ? name : "", NAME_SHOWN);
}

static void note_tenant(Diagnostics *diagnostics, const Tenant *tenant)
{
    diag_note(diagnostics, "%lld bytes: \"%s\"", (long long)tenant->bytes, name_of(diagnostics->arena, tenant));
}

/* The largest first; ", the largest is ..." or nothing. */
static const char *sort(Arena *arena, Tenants *tenants)
{
    qsort(tenants->items, (size_t)tenants->count, sizeof *tenants->items, larger_first);
    return tenants->count ? arena_format(arena, ", the largest is \"%s\" (%lld bytes)", name_of(arena, tenants->items),
                                         (long long)tenants->items->bytes)
                          : "";
}

/* Those that live during one launch. */
static Tenants alive(Arena *arena, const Tenants *all, int launch)
{
    Tenants tenants = {.items = NEW_ARRAY(arena, Tenant, (size_t)all->count + 1)};
    for (int i = 0; i < all->count; i++)
        if (all->items[i].first <= launch && launch <= all->items[i].last)
            tenants.items[tenants.count++] = all->items[i];
    return tenants;
}

/* The launch during which the most bytes live. */
static int peak_of(const Tenants *tenants, int launches, int64_t *bytes)
{
    int peak = 0;
    *bytes = 0;
    for (int i = 0; i < launches; i++) {
        int64_t now = 0;
        for (int j = 0; j < tenants->count; j++)
            now += tenants->items[j].first <= i && i <= tenants->items[j].last ? tenants->items[j].bytes : 0;
        if (now > *bytes) {
            *bytes = now;
            peak = i;
        }
    }
    return peak;
}

bool embedded_ram_fits(const Program *program, int64_t limit)
{
    Diagnostics *const diagnostics = program->ir->diagnostics;
    if (limit <= 0 || program->footprint.ram <= limit)
        return true;
    const Tenants all = tenants_of(program, PLACE_TEMP);
    int64_t bytes;
    const int peak = peak_of(&all, program->launch_count, &bytes);
    Tenants tenants = alive(program->ir->arena, &all, peak);
    const char *const largest = sort(program->ir->arena, &tenants);
    diag_error(diagnostics, EXIT_LIMIT, NULL,
               "the model needs %lld bytes of RAM, and there are %lld; the most values live while %s runs%s",
               (long long)program->footprint.ram, (long long)limit,
               program->launch_count ? diag_quote(diagnostics->arena, program->launches[peak].name, NAME_SHOWN) : "it",
               largest);
    for (int i = 0; i < tenants.count && i < NAMED_MOST; i++)
        note_tenant(diagnostics, &tenants.items[i]);
    if (program->scratch[0] > 0)
        diag_note(diagnostics, "%lld bytes: scratch of kernels", (long long)program->scratch[0]);
    return false;
}

bool embedded_flash_fits(const Program *program, int64_t limit)
{
    Diagnostics *const diagnostics = program->ir->diagnostics;
    const Footprint *const footprint = &program->footprint;
    const int64_t needs = footprint->flash ? footprint->flash : footprint->weights;
    if (limit <= 0 || needs <= limit)
        return true;
    Tenants tenants = tenants_of(program, PLACE_WEIGHT);
    const char *const largest = sort(program->ir->arena, &tenants);
    diag_error(diagnostics, EXIT_LIMIT, NULL, "the model needs %s%lld bytes of flash, and there are %lld%s",
               footprint->flash ? "" : "more than ", (long long)needs, (long long)limit, largest);
    for (int i = 0; i < tenants.count && i < NAMED_MOST; i++)
        note_tenant(diagnostics, &tenants.items[i]);
    if (footprint->flash)
        diag_note(diagnostics, "%lld bytes: code", (long long)footprint->code);
    return false;
}
