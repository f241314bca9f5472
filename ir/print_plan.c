/* Placing lines: see print_plan.h.
 *
 * 1. Walk from the uses, operands first: hashes, then the order of sums and of min and max. 2. Walk again, now in the
 * order of the text: `order` lists operands before users. 3. Backwards through `order`: a node's place is the innermost
 * scope around all its uses.
 * 4. Forwards: weights, who gets a line, and before which item. */
#include "ir/print_plan.h"

#include <stdlib.h>
#include <string.h>

enum {
    WEIGHT_LINE = 20,        /* heavier expressions get a line */
    WEIGHT_SHARED = 3,       /* expressions of this weight get one when used twice */
    WEIGHT_SHARED_INDEX = 5, /* the same for index arithmetic, which reads well repeated */
    WEIGHT_MAX = 1 << 20,
};

typedef struct PlanScope {
    int parent, parent_item, depth, only_item;
} PlanScope;
typedef struct PlanItem {
    int scope;
    PlanNode *first, *last;
} PlanItem;
typedef struct PlanUse {
    Node *node;
    int item;
    bool dim;
} PlanUse;

/* A growing array in the arena. */
typedef struct List {
    void *items;
    int count, capacity;
} List;

/* A node whose operands are being walked. */
typedef struct Step {
    PlanNode *plan;
    int next;
} Step;

struct Plan {
    Arena *arena;
    const NodeMap *names;
    const char *(*label)(void *context, const Node *symbol);
    void *context;
    NodeMap nodes;
    List scopes, items, uses, order, steps;
    int bound;
};

static void *list_push(Arena *arena, List *list, size_t size)
{
    if (list->count == list->capacity) {
        const int capacity = list->capacity ? list->capacity * 2 : 16;
        void *const items = arena_array(arena, (size_t)capacity, size);
        if (list->count)
            memcpy(items, list->items, (size_t)list->count * size);
        list->items = items;
        list->capacity = capacity;
    }
    return (char *)list->items + (size_t)list->count++ * size;
}

#define SCOPE(plan, i) (((PlanScope *)(plan)->scopes.items)[i])
#define ITEM(plan, i)  (((PlanItem *)(plan)->items.items)[i])
#define USE(plan, i)   (((PlanUse *)(plan)->uses.items)[i])
#define ORDER(plan, i) (((PlanNode **)(plan)->order.items)[i])

Plan *plan_open(Arena *arena, const NodeMap *names, const char *(*label)(void *context, const Node *symbol),
                void *context)
{
    Plan *const plan = NEW(arena, Plan);
    *plan = (Plan){.arena = arena, .names = names, .label = label, .context = context};
    map_open(&plan->nodes, arena);
    return plan;
}

int plan_scope(Plan *plan, int parent, int item)
{
    PlanScope *const scope = list_push(plan->arena, &plan->scopes, sizeof *scope);
    *scope = (PlanScope){parent, item, parent < 0 ? 0 : SCOPE(plan, parent).depth + 1, -1};
    return plan->scopes.count - 1;
}

int plan_item(Plan *plan, int scope)
{
    PlanItem *const item = list_push(plan->arena, &plan->items, sizeof *item);
    *item = (PlanItem){.scope = scope};
    SCOPE(plan, scope).only_item = plan->items.count - 1;
    return plan->items.count - 1;
}

int plan_only_item(const Plan *plan, int scope)
{
    return SCOPE(plan, scope).only_item;
}

PlanNode *plan_find(const Plan *plan, const Node *node)
{
    return map_get(&plan->nodes, node);
}

static PlanNode *plan_node(Plan *plan, Node *node)
{
    PlanNode *known = plan_find(plan, node);
    if (known)
        return known;
    known = NEW(plan->arena, PlanNode);
    *known = (PlanNode){.node = node, .place = -1, .scope = -1, .first_use = -1, .number = -1};
    map_set(&plan->nodes, node, known);
    return known;
}

void plan_bind(Plan *plan, Node *leaf)
{
    plan_node(plan, leaf)->number = plan->bound++;
}

void plan_use(Plan *plan, int item, Node *node)
{
    PlanUse *const use = list_push(plan->arena, &plan->uses, sizeof *use);
    *use = (PlanUse){node, item, false};
}

void plan_use_dims(Plan *plan, int item, Type type)
{
    for (int i = 0; i < type.rank; i++) {
        if (!type.dims[i])
            continue;
        PlanUse *const use = list_push(plan->arena, &plan->uses, sizeof *use);
        *use = (PlanUse){type.dims[i], item, true};
    }
}

PlanNode *plan_lines(const Plan *plan, int item)
{
    return ITEM(plan, item).first;
}

int plan_count(const Plan *plan)
{
    return plan->order.count;
}

PlanNode *plan_at(const Plan *plan, int i)
{
    return ORDER(plan, i);
}

bool plan_within(const Plan *plan, int inner, int outer)
{
    while (inner >= 0 && SCOPE(plan, inner).depth > SCOPE(plan, outer).depth)
        inner = SCOPE(plan, inner).parent;
    return inner == outer;
}

/* ---- shapes of expressions ---- */

bool plan_is_leaf(const Plan *plan, const Node *node)
{
    if (map_get(plan->names, node) || op_kind(node->op) == KIND_ORDERED)
        return true;
    switch (node->op) {
    case OP_const:
    case OP_symbol:
    case OP_axis:
    case OP_buffer:
    case OP_input:
    case OP_omitted:
    case OP_begin:
    case OP_end:
    case OP_thread:
        return true;
    default:
        return false;
    }
}

/* ---- edges ---- */

static int edge_capacity(const Node *node)
{
    int capacity = (int)node->input_count + node->axis_count + (node->type.rank > 0 ? node->type.rank : 0);
    for (int i = 0; i < node->attribute_count; i++) {
        const Attribute *const attribute = &node->attributes[i];
        capacity += attribute->kind == ATTRIBUTE_TENSOR;
        if (attribute->kind != ATTRIBUTE_GRAPH)
            continue;
        capacity += attribute->graph->output_count;
        for (int j = 0; j < attribute->graph->input_count; j++)
            capacity += attribute->graph->inputs[j]->type.rank > 0 ? attribute->graph->inputs[j]->type.rank : 0;
    }
    return capacity;
}

static void edge_add(PlanNode *node, Node *to, int body, bool dim)
{
    if (to) /* a dim that nobody knows is none */
        node->edges[node->edge_count++] = (PlanEdge){to, body, dim};
}

static void body_edges(PlanNode *node, const Graph *graph, int body)
{
    for (int i = 0; i < graph->input_count; i++)
        for (int j = 0; j < graph->inputs[i]->type.rank; j++)
            edge_add(node, graph->inputs[i]->type.dims[j], body, true);
    for (int i = 0; i < graph->output_count; i++)
        edge_add(node, graph->outputs[i], body, false);
}

static void edges_fill(Plan *plan, PlanNode *planned)
{
    const Node *const node = planned->node;
    planned->edges = NEW_ARRAY(plan->arena, PlanEdge, (size_t)edge_capacity(node));
    for (int i = 0; i < node->axis_count; i++)
        if (node->axes[i]->input_count)
            edge_add(planned, node->axes[i]->inputs[0], -1, false);
    for (uint32_t i = 0; i < node->input_count; i++)
        edge_add(planned, node->inputs[i], node->axis_count ? 0 : -1, false);
    int body = 0;
    for (int i = 0; i < node->attribute_count; i++) {
        if (node->attributes[i].kind == ATTRIBUTE_TENSOR)
            edge_add(planned, node->attributes[i].tensor, -1, false);
        if (node->attributes[i].kind == ATTRIBUTE_GRAPH)
            body_edges(planned, node->attributes[i].graph, body++);
    }
    for (int i = 0; i < node->type.rank; i++)
        edge_add(planned, node->type.dims[i], -1, true);
}

/* The atoms of a sum, in the order of its terms. */
static void sum_edges(Plan *plan, PlanNode *sum)
{
    int count = 0;
    for (int t = 0; t < sum->term_count; t++)
        count += sum->terms[t].count;
    sum->edges = NEW_ARRAY(plan->arena, PlanEdge, (size_t)count);
    sum->edge_count = 0;
    for (int t = 0; t < sum->term_count; t++)
        for (int a = 0; a < sum->terms[t].count; a++)
            edge_add(sum, sum->terms[t].atoms[a], -1, false);
}

static void node_open(Plan *plan, PlanNode *node)
{
    if (node->opened)
        return;
    node->opened = true;
    if (plan_is_sum(node->node)) {
        plan_sum_fill(plan->arena, node);
        sum_edges(plan, node);
    } else {
        edges_fill(plan, node);
    }
    for (int i = 0; i < node->node->axis_count; i++)
        plan_bind(plan, node->node->axes[i]);
}

static void push_step(Plan *plan, PlanNode *node)
{
    Step *const step = list_push(plan->arena, &plan->steps, sizeof *step);
    *step = (Step){node, 0};
}

/* ---- keys: an order of atoms that is free of ids ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 29);
}

static uint64_t text_hash(const char *text)
{
    uint64_t hash = 1;
    for (; *text; text++)
        hash = mix(hash, (unsigned char)*text);
    return hash;
}

static void leaf_key(Plan *plan, PlanNode *leaf)
{
    const Node *const node = leaf->node;
    const char *const name = map_get(plan->names, node);
    if (node->op == OP_symbol && !name) {
        leaf->label = plan->label(plan->context, node);
        leaf->hash = text_hash(leaf->label);
    } else if (leaf->number >= 0) {
        leaf->hash = mix(2, (uint64_t)leaf->number);
    } else if (name) {
        leaf->hash = text_hash(name);
    } else {
        leaf->hash = mix(mix(3, node->op), node->op == OP_const ? node->payload.bits : 0);
    }
}

static void inner_key(Plan *plan, PlanNode *inner)
{
    const Node *const node = inner->node;
    uint64_t hash = mix(mix(4, node->op), (uint64_t)node->type.dtype << 32 | (uint32_t)node->type.lanes);
    if (inner->term_count) { /* whatever the order of the terms */
        for (int t = 0; t < inner->term_count; t++) {
            uint64_t term = 0;
            for (int a = 0; a < inner->terms[t].count; a++)
                term += plan_find(plan, inner->terms[t].atoms[a])->hash;
            hash += mix(term, (uint64_t)inner->terms[t].factor);
        }
        inner->hash = mix(hash, 5);
        return;
    }
    if (node->op == OP_extract || node->op == OP_slice || node->op == OP_result)
        hash = mix(hash, (uint64_t)node->payload.integer);
    if (node->op == OP_fold || node->op == OP_reduce)
        hash = mix(hash, node->payload.fold.kind);
    const bool sorted = plan_is_index(node) && (node->op == OP_min || node->op == OP_max);
    uint64_t commutative = 0;
    for (int i = 0; i < inner->edge_count; i++) {
        const uint64_t child = plan_find(plan, inner->edges[i].node)->hash;
        if (sorted)
            commutative += mix(6, child);
        else
            hash = mix(hash, child);
    }
    inner->hash = mix(hash, commutative);
}

/* Values bound by the text first, in order of binding; then symbols by name; then the rest by meaning. */
static int atom_compare(const Plan *plan, const Node *a, const Node *b)
{
    const PlanNode *const x = plan_find(plan, a), *const y = plan_find(plan, b);
    const int class_x = x->number >= 0 ? 0 : x->label ? 1 : 2, class_y = y->number >= 0 ? 0 : y->label ? 1 : 2;
    if (class_x != class_y)
        return class_x - class_y;
    if (class_x == 0)
        return (x->number > y->number) - (x->number < y->number);
    if (class_x == 1)
        return strcmp(x->label, y->label);
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static int term_compare(const Plan *plan, const PlanTerm *a, const PlanTerm *b)
{
    if (!a->count || !b->count)
        return (a->count == 0) - (b->count == 0);
    for (int i = 0; i < a->count && i < b->count; i++) {
        const int order = atom_compare(plan, a->atoms[i], b->atoms[i]);
        if (order)
            return order;
    }
    return b->count - a->count;
}

/* Merge sort: stable, so that terms that compare equal keep the order they have. */
static void terms_sort(const Plan *plan, PlanTerm *terms, PlanTerm *spare, int count)
{
    if (count < 2)
        return;
    const int half = count / 2;
    terms_sort(plan, terms, spare, half);
    terms_sort(plan, terms + half, spare, count - half);
    memcpy(spare, terms, (size_t)count * sizeof *terms);
    for (int i = 0, left = 0, right = half; i < count; i++) {
        const bool take_left = right == count || (left < half && term_compare(plan, &spare[left], &spare[right]) <= 0);
        terms[i] = take_left ? spare[left++] : spare[right++];
    }
}

static void sum_sort(Plan *plan, PlanNode *sum)
{
    for (int t = 0; t < sum->term_count; t++) {
        PlanTerm *const term = &sum->terms[t];
        for (int i = 1; i < term->count; i++) {
            Node *const atom = term->atoms[i];
            int at = i;
            for (; at > 0 && atom_compare(plan, term->atoms[at - 1], atom) > 0; at--)
                term->atoms[at] = term->atoms[at - 1];
            term->atoms[at] = atom;
        }
    }
    terms_sort(plan, sum->terms, NEW_ARRAY(plan->arena, PlanTerm, (size_t)sum->term_count), sum->term_count);
}

/* The edges of a finished node in the order of its text. */
static void edges_sort(Plan *plan, PlanNode *node)
{
    if (node->term_count) {
        sum_sort(plan, node);
        sum_edges(plan, node);
    }
    const Op op = node->node->op;
    if (!plan_is_index(node->node) || (op != OP_min && op != OP_max) || node->edge_count != 2)
        return;
    node->swapped = atom_compare(plan, node->edges[0].node, node->edges[1].node) > 0;
    if (node->swapped) {
        const PlanEdge first = node->edges[0];
        node->edges[0] = node->edges[1];
        node->edges[1] = first;
    }
}

static void keys_walk(Plan *plan, Node *root)
{
    push_step(plan, plan_node(plan, root));
    while (plan->steps.count) {
        Step *const step = &((Step *)plan->steps.items)[plan->steps.count - 1];
        PlanNode *const node = step->plan;
        const bool leaf = plan_is_leaf(plan, node->node);
        if (!node->visited && !leaf)
            node_open(plan, node);
        if (!node->visited && !leaf && step->next < node->edge_count) {
            PlanNode *const child = plan_node(plan, node->edges[step->next++].node);
            if (!child->visited)
                push_step(plan, child);
            continue;
        }
        plan->steps.count--;
        if (node->visited)
            continue;
        node->visited = true;
        if (leaf) {
            leaf_key(plan, node);
            continue;
        }
        inner_key(plan, node);
        edges_sort(plan, node);
    }
}

/* ---- order, places, lines ---- */

static void order_walk(Plan *plan, Node *root, int use)
{
    push_step(plan, plan_find(plan, root));
    while (plan->steps.count) {
        Step *const step = &((Step *)plan->steps.items)[plan->steps.count - 1];
        PlanNode *const node = step->plan;
        if (node->first_use >= 0 && step->next == 0) {
            plan->steps.count--;
            continue;
        }
        node->first_use = use;
        if (step->next < node->edge_count) {
            PlanNode *const child = plan_find(plan, node->edges[step->next++].node);
            if (child->first_use < 0)
                push_step(plan, child);
            continue;
        }
        *(PlanNode **)list_push(plan->arena, &plan->order, sizeof(PlanNode *)) = node;
        plan->steps.count--;
    }
}

static int scope_common(const Plan *plan, int a, int b)
{
    if (a < 0)
        return b;
    while (a != b) {
        const bool a_deeper = SCOPE(plan, a).depth >= SCOPE(plan, b).depth;
        if (a_deeper)
            a = SCOPE(plan, a).parent;
        else
            b = SCOPE(plan, b).parent;
    }
    return a;
}

static int bodies_of(const Node *node)
{
    int bodies = node->axis_count > 0;
    for (int i = 0; i < node->attribute_count; i++)
        bodies += node->attributes[i].kind == ATTRIBUTE_GRAPH;
    return bodies;
}

/* The users of `node` are all placed: so is it, and it places its operands. */
static void place_operands(Plan *plan, PlanNode *node)
{
    if (plan_is_leaf(plan, node->node))
        return;
    const int bodies = bodies_of(node->node);
    for (int i = 0; i < bodies; i++) {
        const int scope = plan_scope(plan, node->place, -1);
        plan_item(plan, scope);
        node->scope = node->scope < 0 ? scope : node->scope;
    }
    for (int i = 0; i < node->edge_count; i++) {
        const PlanEdge *const edge = &node->edges[i];
        PlanNode *const child = plan_find(plan, edge->node);
        child->place = scope_common(plan, child->place, edge->body >= 0 ? node->scope + edge->body : node->place);
        child->root = child->root || edge->body >= 0;
        child->uses += !edge->dim;
    }
}

static int weigh(const Plan *plan, const PlanNode *node)
{
    if (plan_is_leaf(plan, node->node) || node->node->op == OP_result)
        return 1;
    int weight = node->term_count ? 0 : 1 + node->node->axis_count;
    for (int t = 0; t < node->term_count; t++)
        weight += node->terms[t].factor != 1 && node->terms[t].factor != -1;
    for (int i = 0; weight < WEIGHT_MAX && i < node->edge_count; i++) {
        const PlanNode *const child = plan_find(plan, node->edges[i].node);
        weight += child->named ? 1 : child->weight;
    }
    return weight < WEIGHT_MAX ? weight : WEIGHT_MAX;
}

static bool needs_line(const Plan *plan, const PlanNode *node)
{
    if (plan_is_leaf(plan, node->node) || node->node->op == OP_result)
        return false;
    if (op_is_tensor(node->node->op) || node->node->op == OP_constant)
        return true;
    if (node->uses > 1 && node->weight >= (plan_is_index(node->node) ? WEIGHT_SHARED_INDEX : WEIGHT_SHARED))
        return true;
    return node->weight > WEIGHT_LINE && !(node->root && node->uses <= 1);
}

int plan_item_around(const Plan *plan, int use, int place)
{
    int item = USE(plan, use).item;
    while (item >= 0 && ITEM(plan, item).scope != place)
        item = SCOPE(plan, ITEM(plan, item).scope).parent_item;
    return item >= 0 ? item : plan_only_item(plan, place);
}

static void add_line(Plan *plan, PlanNode *node)
{
    const int index = plan_item_around(plan, node->first_use, node->place);
    if (index < 0)
        return;
    PlanItem *const item = &ITEM(plan, index);
    if (item->last)
        item->last->next = node;
    else
        item->first = node;
    item->last = node;
}

void plan_settle(Plan *plan)
{
    for (int i = 0; i < plan->uses.count; i++)
        keys_walk(plan, USE(plan, i).node);
    for (int i = 0; i < plan->uses.count; i++)
        order_walk(plan, USE(plan, i).node, i);
    for (int i = 0; i < plan->uses.count; i++) {
        PlanNode *const node = plan_find(plan, USE(plan, i).node);
        node->place = scope_common(plan, node->place, ITEM(plan, USE(plan, i).item).scope);
        node->uses += !USE(plan, i).dim;
        node->root = true;
    }
    for (int i = plan->order.count - 1; i >= 0; i--)
        place_operands(plan, ORDER(plan, i));
    for (int i = 0; i < plan->order.count; i++) {
        PlanNode *const node = ORDER(plan, i);
        node->weight = weigh(plan, node);
        node->named = needs_line(plan, node);
        if (node->named)
            add_line(plan, node);
    }
}
