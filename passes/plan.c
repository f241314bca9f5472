/* Planning: every intermediate buffer gets a slot of the arena, every weight its place in the file.
 *
 * A buffer lives from the first kernel that writes it (or an alias) to the last that reads it. Static models: greedy
 * best fit, in the best of a few orders, into one range of offsets. Models with symbolic sizes: buffers share a slot
 * only when their lives are disjoint, whatever the sizes; the run adds up slot sizes. User buffers are never planned
 * over. */
#include "ir/kernel.h"
#include "passes/access.h"
#include "passes/pass.h"

#include <stdlib.h>

enum { ALIGNMENT = 64, BARE_ALIGNMENT = 8 };

typedef struct Life {
    Node *buffer; /* a root with PLACE_TEMP */
    int first, last;
    Node *bytes; /* index: a multiple of the alignment */
    int64_t size;
    int64_t offset;
    int slot;
} Life;

typedef struct Planner {
    Compilation *compilation;
    Ir *ir;
    NodeMap number; /* root buffer -> 1 + position in lives, or 1 for seen weights */
    Life *lives;
    int count, capacity;
    int64_t weight_bytes;
} Planner;

/* Lines of a cache, or what any element wants where memory is scarce. */
static int alignment(const Compilation *compilation)
{
    const TargetMachineInfo *const target = compilation->target;
    return target && target->family->system == SYSTEM_FREESTANDING ? BARE_ALIGNMENT : ALIGNMENT;
}

static Node *buffer_bytes(const Planner *planner, Node *buffer)
{
    Ir *const ir = planner->ir;
    const int unit = alignment(planner->compilation);
    Node *const bits = index_mul(ir, layout_elements(ir, buffer), index_const(ir, dtype_info[buffer->type.dtype].bits));
    return index_mul(ir, index_ceildiv(ir, bits, index_const(ir, 8 * unit)), index_const(ir, unit));
}

static bool place_weight(Planner *planner, Node *buffer)
{
    int64_t bytes;
    if (!const_is_int(buffer_bytes(planner, buffer), &bytes) || bytes < 0 || bytes > (int64_t)1 << 40)
        return diag_error(planner->ir->diagnostics, EXIT_LIMIT, NULL, "constant \"%s\" is too large",
                          buffer->payload.buffer->name);
    buffer->payload.buffer->offset = planner->weight_bytes;
    planner->weight_bytes += bytes;
    return planner->weight_bytes <= (int64_t)1 << 40 ||
           diag_error(planner->ir->diagnostics, EXIT_LIMIT, NULL, "the constants are larger than 1 TiB");
}

static bool touch(Planner *planner, Node *buffer, int when)
{
    Node *const root = buffer_root(buffer);
    const Place place = root->payload.buffer->place;
    const intptr_t known = (intptr_t)map_get(&planner->number, root);
    if (place == PLACE_WEIGHT && !known) {
        map_set(&planner->number, root, (void *)1);
        return place_weight(planner, root);
    }
    if (place != PLACE_TEMP)
        return true;
    if (known) {
        planner->lives[known - 1].last = when;
        return true;
    }
    if (planner->count == planner->capacity) {
        const int capacity = planner->capacity ? planner->capacity * 2 : 64;
        Life *const lives = NEW_ARRAY(planner->ir->arena, Life, (size_t)capacity);
        for (int i = 0; i < planner->count; i++)
            lives[i] = planner->lives[i];
        planner->lives = lives;
        planner->capacity = capacity;
    }
    Life *const life = &planner->lives[planner->count++];
    *life = (Life){.buffer = root, .first = when, .last = when, .bytes = buffer_bytes(planner, root)};
    if (!const_is_int(life->bytes, &life->size))
        life->size = -1;
    map_set(&planner->number, root, (void *)(intptr_t)planner->count);
    return true;
}

static int larger_first(const void *a, const void *b)
{
    const Life *const left = *(const Life *const *)a, *const right = *(const Life *const *)b;
    if (left->size != right->size)
        return left->size > right->size ? -1 : 1;
    return left->first != right->first ? left->first - right->first : (left->buffer->id < right->buffer->id ? -1 : 1);
}

static int lower_offset(const void *a, const void *b)
{
    const Life *const left = *(const Life *const *)a, *const right = *(const Life *const *)b;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

static bool overlap(const Life *a, const Life *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Best fit: the smallest gap among the placed buffers that live at the same time, else on top. */
static int64_t best_offset(const Life *life, Life **placed, int count, Life **neighbours)
{
    int near = 0;
    for (int i = 0; i < count; i++)
        if (overlap(life, placed[i]))
            neighbours[near++] = placed[i];
    qsort(neighbours, (size_t)near, sizeof *neighbours, lower_offset);
    int64_t best = -1, best_gap = INT64_MAX, top = 0;
    for (int i = 0; i < near; i++) {
        const int64_t gap = neighbours[i]->offset - top;
        if (gap >= life->size && gap < best_gap) {
            best_gap = gap;
            best = top;
        }
        const int64_t end = neighbours[i]->offset + neighbours[i]->size;
        top = end > top ? end : top;
    }
    return best >= 0 ? best : top;
}

/* The most bytes that live at once. */
static int64_t lower_bound(const Planner *planner, int kernel_count)
{
    int64_t *const change = NEW_ARRAY(planner->ir->arena, int64_t, (size_t)kernel_count + 2);
    for (int i = 0; i < planner->count; i++) {
        change[planner->lives[i].first] += planner->lives[i].size;
        change[planner->lives[i].last + 1] -= planner->lives[i].size;
    }
    int64_t now = 0, most = 0;
    for (int i = 0; i <= kernel_count; i++) {
        now += change[i];
        most = now > most ? now : most;
    }
    return most;
}

/* Buffers that live long and large, then what fits between them. */
static int larger_life_first(const void *a, const void *b)
{
    const Life *const left = *(const Life *const *)a, *const right = *(const Life *const *)b;
    const int64_t area = left->size * (left->last - left->first + 1),
                  other = right->size * (right->last - right->first + 1);
    return area != other ? (area > other ? -1 : 1) : larger_first(a, b);
}

static int longer_first(const void *a, const void *b)
{
    const Life *const left = *(const Life *const *)a, *const right = *(const Life *const *)b;
    const int length = left->last - left->first, other = right->last - right->first;
    return length != other ? other - length : larger_first(a, b);
}

static int earlier_first(const void *a, const void *b)
{
    const Life *const left = *(const Life *const *)a, *const right = *(const Life *const *)b;
    return left->first != right->first ? left->first - right->first : larger_first(a, b);
}

/* Offsets of all lives, taken in this order; the bytes of the arena. */
static int64_t place_lives(const Planner *planner, Life **order, Life **neighbours,
                           int (*first)(const void *, const void *))
{
    int64_t total = 0;
    qsort(order, (size_t)planner->count, sizeof *order, first);
    for (int i = 0; i < planner->count; i++) {
        order[i]->offset = best_offset(order[i], order, i, neighbours);
        const int64_t end = order[i]->offset + order[i]->size;
        total = end > total ? end : total;
    }
    return total;
}

/* The first order that comes to the lower bound, else the best one. Quadratic, so that large programs take the first.
 */
static bool plan_static(Planner *planner, int kernel_count)
{
    enum { LIVES_FEW = 4096 };
    static int (*const orders[])(const void *, const void *) = {larger_first, larger_life_first, longer_first,
                                                                earlier_first};
    Arena *const arena = planner->ir->arena;
    Life **const order = NEW_ARRAY(arena, Life *, (size_t)planner->count + 1);
    Life **const neighbours = NEW_ARRAY(arena, Life *, (size_t)planner->count + 1);
    const int64_t bound = lower_bound(planner, kernel_count);
    for (int i = 0; i < planner->count; i++) {
        order[i] = &planner->lives[i];
        if (order[i]->size > (int64_t)1 << 40)
            return diag_error(planner->ir->diagnostics, EXIT_LIMIT, NULL, "value \"%s\" needs %lld bytes",
                              order[i]->buffer->payload.buffer->name, (long long)order[i]->size);
    }
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < sizeof orders / sizeof *orders && least > bound && (i == 0 || planner->count < LIVES_FEW);
         i++) {
        const int64_t total = place_lives(planner, order, neighbours, orders[i]);
        for (int j = 0; j < planner->count && total < least; j++)
            planner->lives[j].buffer->payload.buffer->offset = planner->lives[j].offset;
        least = total < least ? total : least;
    }
    planner->compilation->arena_bytes = least;
    planner->compilation->arena_bound = bound;
    return true;
}

/* Slots in order of first use; a free slot of the same size is taken first, then any free one. */
static bool plan_symbolic(Planner *planner)
{
    Compilation *const compilation = planner->compilation;
    Ir *const ir = planner->ir;
    Node **const bytes = NEW_ARRAY(ir->arena, Node *, (size_t)planner->count + 1);
    int *const busy_until = NEW_ARRAY(ir->arena, int, (size_t)planner->count + 1);
    int slots = 0;
    for (int i = 0; i < planner->count; i++) {
        Life *const life = &planner->lives[i];
        int chosen = -1;
        for (int s = 0; s < slots; s++)
            if (busy_until[s] < life->first &&
                (chosen < 0 || (bytes[s] == life->bytes && bytes[chosen] != life->bytes)))
                chosen = s;
        if (chosen < 0) {
            chosen = slots++;
            bytes[chosen] = life->bytes;
        }
        bytes[chosen] = index_max(ir, bytes[chosen], life->bytes);
        busy_until[chosen] = life->last;
        life->buffer->payload.buffer->slot = chosen;
    }
    compilation->slot_count = slots;
    compilation->slot_bytes = bytes;
    return true;
}

bool pass_plan(PassContext *context)
{
    Compilation *const compilation = context->compilation;
    Ir *const ir = compilation->ir;
    const Block *const body = compilation->module->body;
    Planner planner = {.compilation = compilation, .ir = ir};
    map_open(&planner.number, ir->arena);
    for (int i = 0; i < body->count; i++) {
        const int buffers = kernel_buffer_count(body->nodes[i]);
        for (int j = 0; j < buffers; j++)
            if (!touch(&planner, body->nodes[i]->inputs[j], i))
                return false;
    }
    bool symbolic = false;
    for (int i = 0; i < planner.count; i++)
        symbolic = symbolic || planner.lives[i].size < 0;
    compilation->weight_bytes = planner.weight_bytes;
    return symbolic ? plan_symbolic(&planner) : plan_static(&planner, body->count);
}
