/* Which region makes which check of a run: the earliest of the body that asked for it, once all its symbols are known.
 */
#include "passes/partition.h"

#include "passes/pass.h"

enum { TIME_UNKNOWN = -2 };

typedef struct Places {
    Ir *ir;
    int body_count;
    const uint32_t *scopes; /* of each body */
    const int *outer;
    NodeMap *symbols;                    /* of each body: symbol -> time + 2 */
    int *first_of_scope, *next_of_scope; /* bodies of a scope, + 1 */
} Places;

static Places places_open(Ir *ir, const Script *script, const uint32_t *scopes, const int *outer, int body_count)
{
    Arena *const arena = ir->arena;
    Places places = {.ir = ir, .body_count = body_count, .scopes = scopes, .outer = outer};
    places.symbols = NEW_ARRAY(arena, NodeMap, (size_t)body_count);
    places.first_of_scope = NEW_ARRAY(arena, int, (size_t)ir->scope_count + 1);
    places.next_of_scope = NEW_ARRAY(arena, int, (size_t)body_count);
    for (int i = body_count - 1; i >= 0; i--) {
        map_open(&places.symbols[i], arena);
        places.next_of_scope[i] = places.first_of_scope[scopes[i]];
        places.first_of_scope[scopes[i]] = i + 1;
    }
    for (int i = 0; i < script->symbol_count; i++)
        map_set(&places.symbols[script->symbols[i].body], script->symbols[i].symbol,
                (void *)(intptr_t)(script->symbols[i].time + 2));
    return places;
}

static int symbol_time(const Places *places, int body, const Node *symbol)
{
    const intptr_t own = (intptr_t)map_get(&places->symbols[body], symbol);
    if (own)
        return (int)own - 2;
    for (int around = places->outer[body]; around >= 0; around = places->outer[around])
        if (map_has(&places->symbols[around], symbol))
            return -1;
    return TIME_UNKNOWN;
}

/* When all symbols of the condition are known in the body; TIME_UNKNOWN: one never is (what asked is not there any
 * more). */
static int condition_time(const Places *places, int body, Node *condition)
{
    Arena *const scratch = arena_scratch(places->ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    int count, time = -1;
    Node **const nodes = nodes_in_scratch(places->ir, &condition, 1, &count);
    for (int i = 0; i < count && time != TIME_UNKNOWN; i++) {
        if (nodes[i]->op != OP_symbol)
            continue;
        const int known = symbol_time(places, body, nodes[i]);
        time = known == TIME_UNKNOWN || known > time ? known : time;
    }
    arena_reset(scratch, mark);
    return time;
}

/* The first of the bodies that a check belongs to, + 1: those of the innermost scope around it that is a body. */
static int bodies_of(const Places *places, const RunCheck *check)
{
    uint32_t scope = check->scope;
    while (scope && !places->first_of_scope[scope])
        scope = places->ir->scope_outer[scope];
    return places->first_of_scope[scope];
}

/* A region for every check, where none is that makes it. */
void cut_checks(Cut *cut, const Script *script)
{
    uint32_t *const scopes = NEW_ARRAY(cut->ir->arena, uint32_t, (size_t)cut->body_count);
    int *const outer = NEW_ARRAY(cut->ir->arena, int, (size_t)cut->body_count);
    for (int i = 0; i < cut->body_count; i++) {
        scopes[i] = cut->bodies[i]->graph->scope;
        outer[i] = cut->bodies[i]->outer ? cut->bodies[i]->outer->number : -1;
    }
    const Places places = places_open(cut->ir, script, scopes, outer, cut->body_count);
    for (const RunCheck *check = cut->ir->checks; check; check = check->next)
        for (int i = bodies_of(&places, check); i; i = places.next_of_scope[i - 1]) {
            const int known = condition_time(&places, i - 1, check->condition);
            if (known != TIME_UNKNOWN)
                region_for_check(cut->bodies[i - 1], ready_for_region(known));
        }
}

/* The earliest region of the body at that time or later, -1: none. Regions are in order of bodies and times. */
static int region_from(const Script *script, int body, int time)
{
    int low = 0, high = script->region_count;
    while (low < high) {
        const int middle = (low + high) / 2;
        const ScriptRegion *const region = &script->regions[middle];
        if (region->body < body || (region->body == body && region->time < time))
            low = middle + 1;
        else
            high = middle;
    }
    return low < script->region_count && script->regions[low].body == body ? low : -1;
}

static void region_checks(Arena *arena, ScriptRegion *region, const RunCheck *check, int *capacity)
{
    if (region->check_count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 8;
        const RunCheck **const checks = NEW_ARRAY(arena, const RunCheck *, (size_t)*capacity);
        for (int i = 0; i < region->check_count; i++)
            checks[i] = region->checks[i];
        region->checks = checks;
    }
    region->checks[region->check_count++] = check;
}

void script_checks(Ir *ir, Script *script)
{
    uint32_t *const scopes = NEW_ARRAY(ir->arena, uint32_t, (size_t)script->body_count);
    int *const outer = NEW_ARRAY(ir->arena, int, (size_t)script->body_count);
    int *const capacities = NEW_ARRAY(ir->arena, int, (size_t)script->region_count + 1);
    for (int i = 0; i < script->body_count; i++) {
        scopes[i] = script->bodies[i].scope;
        outer[i] = script->bodies[i].outer;
    }
    for (int i = 0; i < script->region_count; i++) {
        script->regions[i].checks = NULL;
        script->regions[i].check_count = 0;
    }
    const Places places = places_open(ir, script, scopes, outer, script->body_count);
    for (const RunCheck *check = ir->checks; check; check = check->next)
        for (int i = bodies_of(&places, check); i; i = places.next_of_scope[i - 1]) {
            const int known = condition_time(&places, i - 1, check->condition);
            const int region = known == TIME_UNKNOWN ? -1 : region_from(script, i - 1, known);
            if (region >= 0)
                region_checks(ir->arena, &script->regions[region], check, &capacities[region]);
        }
}
