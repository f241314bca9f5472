/* A tensor graph with host operators becomes a script over regions: what it means is told in ir/script.h. Here: which
 * body computes what, in which order, and when. */
#include "passes/partition.h"

#include "ir/ops/ops.h"
#include "passes/pass.h"

#include <string.h>

static bool is_host(const Node *node)
{
    return op_is_tensor(node->op) && op_row(node)->meaning.form == MEANING_HOST;
}

enum { CONSTANT_MOST = 1024 };

bool is_step(const Node *node)
{
    return is_host(node) && node->op != OP_lathe_Read;
}

/* Does it stand for a value, of one kind or other? */
static bool is_value(const Node *node)
{
    return op_is_tensor(node->op) || node->op == OP_result || node->op == OP_input || node->op == OP_constant;
}

/* ---- what needs no run ---- */

/* Strings are handles, which only a run has. */
static bool follows_from_constants(const Cut *cut, const Node *node)
{
    if (node->op == OP_constant)
        return node->type.dtype != DTYPE_STRING;
    if (!is_value(node) || node->op == OP_input || node->input_count == 0 || is_host(node))
        return false;
    for (uint32_t i = 0; i < node->input_count; i++)
        if (!is_omitted(node->inputs[i]) && !map_has(&cut->known, node->inputs[i]))
            return false;
    return true;
}

static bool find_known(Cut *cut)
{
    int count;
    bool steps = false;
    Node **const nodes = nodes_topological(cut->ir, cut->graph->outputs, cut->graph->output_count, &count);
    map_open(&cut->known, cut->ir->arena);
    for (int i = 0; i < count; i++) {
        steps = steps || is_host(nodes[i]) || (is_value(nodes[i]) && nodes[i]->type.dtype == DTYPE_STRING);
        if (follows_from_constants(cut, nodes[i]))
            map_set(&cut->known, nodes[i], nodes[i]);
    }
    return steps;
}

/* ---- bodies ---- */

Value *body_value(const Body *body, const Node *node)
{
    Value *value = NULL;
    for (; body && !value; body = body->outer)
        value = map_get(&body->values, node);
    return value;
}

static Value *value_add(Body *body, Node *node, int ready)
{
    Value *const value = NEW(body->cut->ir->arena, Value);
    *value = (Value){.node = node, .body = body, .ready = ready, .slot = SLOT_NONE};
    map_set(&body->values, node, value);
    return value;
}

/* Small constants, and strings, are data of the script; others are weights, which regions read. */
static bool stands_in_tables(const Node *node)
{
    return node->op == OP_constant &&
           (node->type.dtype == DTYPE_STRING || node->payload.constant->bytes <= CONSTANT_MOST);
}

Value *value_in_slot(Body *body, Node *node)
{
    Cut *const cut = body->cut;
    Value *const value = body_value(body, node);
    if (value)
        return value;
    if (!stands_in_tables(node))
        return value_add(body, node, 0);
    list_push(&cut->constants, node);
    return value_add(cut->bodies[0], node, -1);
}

static Body *body_open(Cut *cut, const Graph *graph, Body *outer)
{
    Arena *const arena = cut->ir->arena;
    Body *const body = NEW(arena, Body);
    *body = (Body){.cut = cut, .graph = graph, .outer = outer, .number = cut->body_count, .last = -1};
    NodeMap *const maps[] = {&body->values, &body->inner, &body->taken_seen, &body->expression_ready, &body->symbols};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        map_open(maps[i], arena);
    body->order.arena = body->taken.arena = body->symbol_list.arena = body->free_symbols.arena = arena;
    body->expressions = walk_open(arena);
    if (cut->body_count == cut->body_capacity) {
        cut->body_capacity = cut->body_capacity ? cut->body_capacity * 2 : 16;
        Body **const bodies = NEW_ARRAY(arena, Body *, (size_t)cut->body_capacity);
        if (cut->body_count)
            memcpy(bodies, cut->bodies, (size_t)cut->body_count * sizeof *bodies);
        cut->bodies = bodies;
    }
    cut->bodies[cut->body_count++] = body;
    for (int i = 0; i < graph->input_count; i++)
        value_add(body, graph->inputs[i], -1);
    return body;
}

/* The body around (or the one itself) that computes what `body` wants: that of the node's scope. What belongs to a body
 * beside it is computed here once more; what belongs to none any more, by the innermost that is left of those around.
 */
static Body *home_of(Body *body, const Node *node)
{
    const Ir *const ir = body->cut->ir;
    if (node->op == OP_input) {
        while (body->outer && !map_has(&body->values, node))
            body = body->outer;
        return body;
    }
    const uint32_t scope = node->op == OP_result ? node->inputs[0]->scope : node->scope;
    if (!ir_scope_holds(ir, scope, body->graph->scope))
        return body;
    while (body->outer && !ir_scope_holds(ir, body->graph->scope, scope))
        body = body->outer;
    return body;
}

static bool body_collect(Body *body);

/* The bodies of an If or Loop that `body` holds. Nesting is limited by the importer. */
static Body **bodies_inside(Body *body, const Node *node)
{
    static const char *const names[] = {"then_branch", "else_branch", "body"};
    Body **inner = map_get(&body->inner, node);
    if (inner)
        return inner;
    int count = 0;
    inner = NEW_ARRAY(body->cut->ir->arena, Body *, 4);
    map_set(&body->inner, node, inner);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const Attribute *const attribute = attribute_find(node, names[i]);
        if (attribute && attribute->kind == ATTRIBUTE_GRAPH)
            inner[count++] = body_open(body->cut, attribute->graph, body);
    }
    for (int i = 0; i < count; i++)
        body_collect(inner[i]);
    return inner;
}

/* What must be there before `node`: its inputs and what its bodies take. */
static Node *operand(Body *body, Node *node, uint32_t i)
{
    if (i < node->input_count)
        return node->inputs[i];
    i -= node->input_count;
    for (Body **inner = is_step(node) ? bodies_inside(body, node) : NULL; inner && *inner; inner++) {
        if (i < (*inner)->taken.count)
            return (*inner)->taken.nodes[i];
        i -= (uint32_t)(*inner)->taken.count;
    }
    return NULL;
}

/* Is there work to do for it in this body? Notes what comes from around. */
static bool computed_here(Body *body, Node *node)
{
    if (!is_value(node) || map_has(&body->cut->known, node) || map_has(&body->values, node))
        return false;
    if (node->op == OP_constant) { /* of strings: a step of the outermost body, at the start */
        value_in_slot(body, node);
        return false;
    }
    if (home_of(body, node) == body)
        return true;
    if (!map_has(&body->taken_seen, node)) {
        map_set(&body->taken_seen, node, node);
        list_push(&body->taken, node);
    }
    return false;
}

static bool body_collect(Body *body)
{
    Arena *const scratch = arena_scratch(body->cut->ir->arena);
    NodeMap next; /* 1 + operand to look at; UINTPTR_MAX: done */
    NodeList stack = {.arena = scratch};
    map_open(&next, scratch);
    for (int i = 0; i < body->graph->output_count; i++)
        list_push(&stack, body->graph->outputs[i]);
    while (stack.count) {
        Node *const node = stack.nodes[stack.count - 1];
        const uintptr_t at = (uintptr_t)map_get(&next, node);
        if (at == UINTPTR_MAX || (at == 0 && !computed_here(body, node))) {
            stack.count--;
            continue;
        }
        Node *const child = operand(body, node, at ? (uint32_t)at - 1 : 0);
        if (child) {
            map_set(&next, node, (void *)((at ? at : 1) + 1));
            if (!map_has(&next, child))
                list_push(&stack, child);
            continue;
        }
        map_set(&next, node, (void *)UINTPTR_MAX);
        list_push(&body->order, node);
        stack.count--;
    }
    return true;
}

/* ---- times ---- */

static bool symbol_visible(const Body *body, const Node *symbol)
{
    for (; body; body = body->outer)
        if (map_has(&body->symbols, symbol))
            return true;
    return false;
}

static void symbol_known(Body *body, Node *symbol, int ready)
{
    if (!symbol || symbol->op != OP_symbol || symbol_visible(body, symbol))
        return;
    map_set(&body->symbols, symbol, (void *)(intptr_t)(ready + 2));
    list_push(&body->symbol_list, symbol);
}

/* The symbols that a value in a slot tells. */
static void type_tells(Body *body, const Node *node, int ready)
{
    int64_t elements;
    const Type type = node->type;
    if (type.form != FORM_TENSOR || type.rank < 0)
        return;
    for (int i = 0; i < type.rank; i++)
        symbol_known(body, type.dims[i], ready);
    if (node->contents && (node->op == OP_input || node->op == OP_lathe_Read) &&
        const_is_int(type_elements(body->cut->ir, type), &elements))
        for (int64_t i = 0; i < elements; i++)
            symbol_known(body, content_symbol(node->contents[i]), ready);
}

/* When the symbols of an expression are known. What bodies around tell is there from the start. */
static int expression_ready(Body *body, Node *expression)
{
    walk_from(&body->expressions, expression);
    const NodeList *const order = &body->expressions.order;
    for (; body->expressions_done < order->count; body->expressions_done++) {
        Node *const node = order->nodes[body->expressions_done];
        intptr_t ready = 1;
        if (node->op == OP_symbol) {
            const intptr_t own = (intptr_t)map_get(&body->symbols, node);
            ready = own ? own : 1;
            if (!own)
                list_push(&body->free_symbols, node);
        }
        for (uint32_t i = 0; i < node->input_count; i++) {
            const intptr_t input = (intptr_t)map_get(&body->expression_ready, node->inputs[i]);
            ready = input > ready ? input : ready;
        }
        map_set(&body->expression_ready, node, (void *)ready);
    }
    return (int)(intptr_t)map_get(&body->expression_ready, expression) - 2;
}

static int type_ready(Body *body, const Node *node)
{
    int ready = -1;
    int64_t elements;
    const Type type = node->type;
    for (int i = 0; i < type.rank; i++) {
        const int dim = type.dims[i] ? expression_ready(body, type.dims[i]) : -1;
        ready = dim > ready ? dim : ready;
    }
    if (node->contents && const_is_int(type_elements(body->cut->ir, type), &elements))
        for (int64_t i = 0; i < elements; i++) {
            const int element = expression_ready(body, node->contents[i]);
            ready = element > ready ? element : ready;
        }
    return ready;
}

static int later(int a, int b)
{
    return a > b ? a : b;
}

/* When what the node takes is there, of this body; -1 for what comes from around. */
static int input_ready(const Body *body, const Node *node)
{
    const Value *const value = map_get(&body->values, node);
    return value ? value->ready : -1;
}

static void body_times(Body *body);

/* A step's bodies run inside of it: what they take must be there before. */
static int inner_ready(Body *body, const Node *node, int ready)
{
    for (Body **inner = map_get(&body->inner, node); inner && *inner; inner++) {
        body_times(*inner);
        for (size_t i = 0; i < (*inner)->taken.count; i++)
            ready = later(ready, input_ready(body, (*inner)->taken.nodes[i]));
        for (size_t i = 0; i < (*inner)->free_symbols.count; i++)
            ready = later(ready, expression_ready(body, (*inner)->free_symbols.nodes[i]));
    }
    return ready;
}

static void time_of(Body *body, Node *node)
{
    int ready = -1;
    for (uint32_t i = 0; i < node->input_count; i++) {
        ready = later(ready, input_ready(body, node->inputs[i]));
        /* A region gives what is known to a step, unless it stands in the tables. */
        if (is_host(node) && map_has(&body->cut->known, node->inputs[i]) && !stands_in_tables(node->inputs[i]))
            ready = later(ready, 0);
    }
    if (node->op == OP_result) { /* as its maker */
        if (is_step(node->inputs[0]))
            type_tells(body, node, ready);
        value_add(body, node, ready);
    } else if (node->op == OP_lathe_Read) {
        ready = ready_for_step(ready);
        value_add(body, node, ready)->read = value_in_slot(body, node->inputs[0]);
        type_tells(body, node, ready);
    } else if (is_step(node)) {
        ready = ready_for_step(inner_ready(body, node, ready));
        type_tells(body, node, ready);
        value_add(body, node, ready);
    } else {
        ready = later(ready, type_ready(body, node));
        for (int i = 0; i < node->result_count && node->result_count > 1; i++)
            ready = later(ready, type_ready(body, node->results[i]));
        ready = ready_for_region(ready);
        value_add(body, node, ready);
    }
    body->last = later(body->last, ready);
}

/* ---- what waits for its reader ---- */

enum { NUMBERS_FEW = 64 };

static bool is_few(Ir *ir, const Node *node)
{
    int64_t elements;
    return is_omitted(node) || (type_is_tensor(node->type) && const_is_int(type_elements(ir, node->type), &elements) &&
                                elements <= NUMBERS_FEW);
}

/* Made of a few numbers, and larger than they: a fill, a range. */
static bool is_spread(Ir *ir, const Node *node)
{
    bool few = op_is_tensor(node->op) && !is_host(node) && node->result_count <= 1 && !is_few(ir, node);
    for (uint32_t i = 0; i < node->input_count && few; i++)
        few = is_few(ir, node->inputs[i]);
    return few;
}

enum { STAYS = -1 };

static void first_read(NodeMap *first, const Node *node, int time)
{
    const intptr_t now = (intptr_t)map_get(first, node);
    map_set(first, node, (void *)(time == STAYS || now == STAYS ? STAYS : !now || time + 1 < now ? time + 1 : now));
}

/* What spreads a few numbers is computed by the region that reads it, where it melts into its readers, instead of
 * waiting in a slot. `first` holds 1 + the time of the first region that reads a value. */
static void body_sink(Body *body)
{
    NodeMap first;
    map_open(&first, body->cut->ir->arena);
    for (int i = 0; i < body->graph->output_count; i++)
        first_read(&first, body->graph->outputs[i], STAYS);
    for (size_t i = body->order.count; i-- > 0;) {
        Node *const node = body->order.nodes[i];
        Value *const value = map_get(&body->values, node);
        const intptr_t read = (intptr_t)map_get(&first, node);
        if (read > 0 && read - 1 > value->ready && is_spread(body->cut->ir, node))
            value->ready = (int)read - 1;
        const bool stays = node->op == OP_result || is_host(node);
        for (uint32_t j = 0; j < node->input_count; j++)
            first_read(&first, node->inputs[j], stays ? STAYS : value->ready);
        for (Body **inner = map_get(&body->inner, node); inner && *inner; inner++)
            for (size_t j = 0; j < (*inner)->taken.count; j++)
                first_read(&first, (*inner)->taken.nodes[j], STAYS);
    }
}

static void body_times(Body *body)
{
    for (int i = 0; i < body->graph->input_count; i++)
        type_tells(body, body->graph->inputs[i], -1);
    for (size_t i = 0; i < body->order.count; i++)
        time_of(body, body->order.nodes[i]);
    body_sink(body);
}

Body *cut_bodies(Cut *cut)
{
    Body *const root = body_open(cut, cut->graph, NULL);
    body_collect(root);
    body_times(root);
    return root;
}

/* What is left of the model itself: what goes in and what comes out. */
static Module *interface_module(Ir *ir, const Graph *graph)
{
    Module *const module = NEW(ir->arena, Module);
    *module = (Module){.name = graph->name,
                       .input_count = graph->input_count,
                       .output_count = graph->output_count,
                       .input_names = graph->input_names,
                       .output_names = graph->output_names,
                       .inputs = NEW_ARRAY(ir->arena, Node *, (size_t)graph->input_count + 1),
                       .outputs = NEW_ARRAY(ir->arena, Node *, (size_t)graph->output_count + 1),
                       .body = block_make(ir)};
    for (int i = 0; i < graph->input_count; i++) {
        const Buffer buffer = {.name = graph->input_names[i], .place = PLACE_INPUT, .number = i};
        module->inputs[i] = buffer_make(ir, graph->inputs[i]->type, &buffer);
    }
    for (int i = 0; i < graph->output_count; i++) {
        const Buffer buffer = {.name = graph->output_names[i], .place = PLACE_OUTPUT, .number = i};
        module->outputs[i] = buffer_make(ir, graph->outputs[i]->type, &buffer);
    }
    return module;
}

/* A microcontroller's library and one for a GPU have nothing that walks steps. */
static bool target_walks(const Compilation *compilation, const Cut *cut)
{
    const TargetMachineInfo *const target = compilation->target;
    if (!target || target->family->system == SYSTEM_HOSTED)
        return true;
    int count;
    Node **const nodes = nodes_topological(cut->ir, cut->graph->outputs, cut->graph->output_count, &count);
    const Node *first = NULL;
    for (int i = 0; i < count && !first; i++)
        first = is_host(nodes[i]) ? nodes[i] : NULL;
    return diag_error(cut->ir->diagnostics, EXIT_UNSUPPORTED, first ? first->where : NULL,
                      "%s needs a system under it: sizes and steps that only a run knows are not supported for %s",
                      !first                       ? "a value that is no tensor"
                      : first->op == OP_lathe_Read ? "a size that the model computes"
                                                   : op_name(first->op),
                      target->family->name);
}

/* Values that are no tensors pass through scripts alone. */
static bool hands_other_forms(const Graph *graph)
{
    for (int i = 0; i < graph->input_count; i++)
        if (!type_is_tensor(graph->inputs[i]->type))
            return true;
    for (int i = 0; i < graph->output_count; i++)
        if (!type_is_tensor(graph->outputs[i]->type))
            return true;
    return false;
}

bool pass_partition(PassContext *context)
{
    Compilation *const compilation = context->compilation;
    Ir *const ir = compilation->ir;
    Cut cut = {.ir = ir, .graph = compilation->graph, .constants.arena = ir->arena};
    if (!find_known(&cut) && !hands_other_forms(compilation->graph))
        return true;
    if (!target_walks(compilation, &cut))
        return false;
    cut_bodies(&cut);
    Script *const script = cut_script(&cut);
    compilation->script = script;
    compilation->module = interface_module(ir, compilation->graph);
    compilation->regions = NEW_ARRAY(ir->arena, Compilation, (size_t)script->region_count + 1);
    for (int i = 0; i < script->region_count; i++) {
        Compilation *const region = &compilation->regions[i];
        *region = *compilation;
        region->graph = script->regions[i].graph;
        region->script = NULL;
        region->regions = NULL;
        region->module = NULL;
        region->region = &script->regions[i];
        region->region_number = i;
    }
    return true;
}
