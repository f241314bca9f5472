/* The cut graph as a script: graphs of regions, slots, steps, binds. */
#include "passes/partition.h"

#include "ir/ops/ops.h"

#include <string.h>

/* ---- slots ---- */

static RegionDraft *draft_at(Body *body, int time)
{
    Arena *const arena = body->cut->ir->arena;
    RegionDraft **const draft = &body->drafts[time / 2];
    if (*draft)
        return *draft;
    *draft = NEW(arena, RegionDraft);
    **draft = (RegionDraft){.body = body, .time = time};
    map_open(&(*draft)->nodes, arena);
    map_open(&(*draft)->given, arena);
    (*draft)->inputs.arena = (*draft)->outputs.arena = arena;
    (*draft)->input_values.arena = (*draft)->output_values.arena = arena;
    return *draft;
}

static bool of_region(const Value *value)
{
    return value->ready >= 0 && value->ready % 2 == 0;
}

/* The value whose slot this one has. */
static Value *slot_owner(Value *value)
{
    while (value->read)
        value = value->read;
    return value;
}

static int slot_of(Value *value)
{
    value = slot_owner(value);
    Cut *const cut = value->body->cut;
    if (value->slot != SLOT_NONE)
        return value->slot;
    if (cut->slot_count == cut->slot_capacity) {
        cut->slot_capacity = cut->slot_capacity ? cut->slot_capacity * 2 : 64;
        Value **const slots = NEW_ARRAY(cut->ir->arena, Value *, (size_t)cut->slot_capacity);
        if (cut->slot_count)
            memcpy(slots, cut->slots, (size_t)cut->slot_count * sizeof *slots);
        cut->slots = slots;
    }
    value->slot = cut->slot_count++;
    cut->slots[value->slot] = value;
    if (of_region(value)) {
        RegionDraft *const draft = draft_at(value->body, value->ready);
        Node *const made = map_get(&draft->nodes, value->node);
        list_push(&draft->outputs, made ? made : value->node);
        list_push(&draft->output_values, value->node);
    }
    return value->slot;
}

/* ---- graphs of regions ---- */

static const char *value_name(const Node *node)
{
    const Node *const maker = node->op == OP_result ? node->inputs[0] : node;
    if (node->op == OP_input)
        return node->payload.name;
    return maker->where && maker->where->node && *maker->where->node ? maker->where->node : op_name(maker->op);
}

/* The region's input for a value that stands in a slot. What a body is given goes in as it is. */
static Node *region_input(RegionDraft *draft, Node *node, Value *value)
{
    Ir *const ir = draft->body->cut->ir;
    Value *const owner = slot_owner(value);
    const int slot = slot_of(owner);
    Node *input = map_get(&draft->given, owner->node);
    if (!input) {
        const char *const name = arena_format(ir->arena, "%s.s%d", value_name(owner->node), slot);
        input = owner->node->op == OP_input ? owner->node
                                            : node_make(ir, &(Node){.op = OP_input,
                                                                    .type = owner->node->type,
                                                                    .payload.name = name_intern(ir->arena, name)});
        map_set(&draft->given, owner->node, input);
        list_push(&draft->inputs, input);
        list_push(&draft->input_values, owner->node);
    }
    if (!input->contents)
        input->contents = node->contents;
    return input;
}

static Node *region_operand(RegionDraft *draft, Node *node)
{
    Node *const made = map_get(&draft->nodes, node);
    if (made)
        return made;
    if (is_omitted(node) || map_has(&draft->body->cut->known, node))
        return node;
    return region_input(draft, node, body_value(draft->body, node));
}

/* The same operator over the region's nodes. Types and contents hold as they are: symbols belong to the whole script.
 */
static void region_node(RegionDraft *draft, Node *node)
{
    Ir *const ir = draft->body->cut->ir;
    Node **const inputs = NEW_ARRAY(ir->arena, Node *, node->input_count + 1);
    bool changed = false;
    for (uint32_t i = 0; i < node->input_count; i++) {
        inputs[i] = region_operand(draft, node->inputs[i]);
        changed = changed || inputs[i] != node->inputs[i];
    }
    Node *made = node;
    if (changed && node->op == OP_result)
        made = node_result(inputs[0], (int)node->payload.integer);
    else if (changed) {
        Node copy = *node;
        copy.inputs = inputs;
        copy.results = NULL;
        made = node_make(ir, &copy);
        made->contents = node->contents;
        if (node->result_count > 1 && !made->results) {
            Node **const results = NEW_ARRAY(ir->arena, Node *, node->result_count);
            for (int i = 0; i < node->result_count; i++) {
                const Node result = {.op = OP_result,
                                     .type = node->results[i]->type,
                                     .inputs = &made,
                                     .input_count = 1,
                                     .payload.integer = i};
                results[i] = node_make(ir, &result);
                results[i]->contents = node->results[i]->contents;
            }
            made->results = results;
        }
    }
    map_set(&draft->nodes, node, made);
}

/* What stands in slots for steps and for what is given back. */
static void slots_for_step(Body *body, const Node *node)
{
    for (uint32_t i = 0; i < node->input_count; i++)
        if (!is_omitted(node->inputs[i]))
            slot_of(value_in_slot(body, node->inputs[i]));
}

static void body_regions(Body *body)
{
    Ir *const ir = body->cut->ir;
    body->drafts = NEW_ARRAY(ir->arena, RegionDraft *, (size_t)(body->last < 0 ? 0 : body->last / 2) + 2);
    for (size_t i = 0; i < body->order.count; i++) {
        Node *const node = body->order.nodes[i];
        Value *const value = map_get(&body->values, node);
        if (of_region(value))
            region_node(draft_at(body, value->ready), node);
        else if (node->op == OP_lathe_Read)
            slot_of(value);
        else if (is_step(node))
            slots_for_step(body, node);
    }
    for (int i = 0; i < body->graph->output_count; i++)
        slot_of(value_in_slot(body, body->graph->outputs[i]));
}

/* ---- steps ---- */

typedef struct BindList {
    ScriptBind *items;
    int count, capacity;
} BindList;

static void bind_push(Arena *arena, BindList *list, ScriptBind bind)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 8;
        ScriptBind *const items = NEW_ARRAY(arena, ScriptBind, (size_t)list->capacity);
        if (list->count)
            memcpy(items, list->items, (size_t)list->count * sizeof *items);
        list->items = items;
    }
    list->items[list->count++] = bind;
}

/* While the steps of one body are written. */
typedef struct StepWriter {
    Body *body;
    NodeMap bound;     /* symbols that have their bind */
    NodeMap binds;     /* node in whose slot symbols are found -> BindList, after the step that makes it */
    BindList at_start; /* from what is there before */
    Step *steps;
    int count;
} StepWriter;

static void bind_symbol(StepWriter *writer, const Value *value, Node *symbol, int position, bool element)
{
    Body *const body = writer->body;
    if (!symbol || symbol->op != OP_symbol || !map_has(&body->symbols, symbol) || map_has(&writer->bound, symbol))
        return;
    map_set(&writer->bound, symbol, symbol);
    const bool made_here =
        value->body == body && (of_region(value) || value->node->op == OP_result || is_step(value->node));
    BindList *list = made_here ? map_get(&writer->binds, value->node) : &writer->at_start;
    if (!list) {
        list = NEW(body->cut->ir->arena, BindList);
        map_set(&writer->binds, value->node, list);
    }
    bind_push(body->cut->ir->arena, list, (ScriptBind){value->slot, position, element, symbol});
}

/* Binds for the symbols that the value of `node` is the first to tell: dims where it was not computed by a region. */
static void bind_value(StepWriter *writer, const Node *node)
{
    int64_t elements;
    Value *const value = map_get(&writer->body->values, node);
    const Type type = node->type;
    if (!value || type.form != FORM_TENSOR || type.rank < 0)
        return;
    Value *const owner = slot_owner(value);
    if (owner->slot == SLOT_NONE)
        slot_of(owner); /* nobody wants the value, but somebody its size */
    for (int i = 0; i < type.rank; i++)
        bind_symbol(writer, owner, type.dims[i], i, false);
    if (node->contents && const_is_int(type_elements(writer->body->cut->ir, type), &elements))
        for (int64_t i = 0; i < elements; i++)
            bind_symbol(writer, owner, content_symbol(node->contents[i]), (int)i, true);
}

/* Is a symbol that this value tells used anywhere? */
static bool symbol_used(const Body *body, const Node *node)
{
    int64_t elements;
    const Type type = node->type;
    for (int i = 0; i < type.rank; i++)
        if (type.dims[i] && map_has(&body->expression_ready, type.dims[i]))
            return true;
    if (node->contents && const_is_int(type_elements(body->cut->ir, type), &elements))
        for (int64_t i = 0; i < elements; i++) {
            const Node *const symbol = content_symbol(node->contents[i]);
            if (symbol && map_has(&body->expression_ready, symbol))
                return true;
        }
    return false;
}

static void bind_all(StepWriter *writer)
{
    Body *const body = writer->body;
    for (int i = 0; i < body->graph->input_count; i++) {
        Node *const input = body->graph->inputs[i];
        const Value *const value = map_get(&body->values, input);
        const bool counter = body->outer && i < 2; /* iteration and condition of a loop */
        if (!counter || value->slot != SLOT_NONE || symbol_used(body, input))
            bind_value(writer, input);
        if (!counter)
            slot_of(map_get(&body->values, input)); /* of other forms, too */
    }
    for (size_t i = 0; i < body->order.count; i++) {
        Node *const node = body->order.nodes[i];
        const bool told = node->op == OP_lathe_Read ||
                          (node->op == OP_result ? is_step(node->inputs[0]) : is_step(node) && node->result_count <= 1);
        const Value *const value = map_get(&body->values, node);
        if (told && (node->op == OP_lathe_Read || value->slot != SLOT_NONE || symbol_used(body, node)))
            bind_value(writer, node);
    }
}

static int slot_or_none(const Body *body, const Node *node)
{
    Value *const value = is_omitted(node) ? NULL : body_value(body, node);
    return value ? slot_owner(value)->slot : SLOT_NONE;
}

static const int *slots_of(const Body *body, Node *const *nodes, int count)
{
    int *const slots = NEW_ARRAY(body->cut->ir->arena, int, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        slots[i] = slot_or_none(body, nodes[i]);
    return slots;
}

/* All that is bound right after the step that makes `nodes`. */
static void step_binds(StepWriter *writer, Step *step, Node *const *nodes, int count)
{
    BindList all = {0};
    for (int i = 0; i < count; i++) {
        const BindList *const list = map_get(&writer->binds, nodes[i]);
        for (int j = 0; list && j < list->count; j++)
            bind_push(writer->body->cut->ir->arena, &all, list->items[j]);
    }
    step->binds = all.items;
    step->bind_count = all.count;
}

static void write_region(StepWriter *writer, const RegionDraft *draft)
{
    Step *const step = &writer->steps[writer->count++];
    const Body *const body = writer->body;
    *step = (Step){.kind = STEP_REGION,
                   .target = draft->number,
                   .input_count = (int)draft->inputs.count,
                   .output_count = (int)draft->outputs.count,
                   .inputs = slots_of(body, draft->input_values.nodes, (int)draft->inputs.count),
                   .outputs = slots_of(body, draft->output_values.nodes, (int)draft->outputs.count)};
    step_binds(writer, step, draft->output_values.nodes, (int)draft->outputs.count);
}

static void write_step(StepWriter *writer, Node *node)
{
    Step *const step = &writer->steps[writer->count++];
    Body *const body = writer->body;
    Body *const *const inner = map_get(&body->inner, node);
    const int results = node->result_count > 1 ? node->result_count : 1;
    Node *const *const outputs = node->result_count > 1 ? node->results : &node;
    *step = (Step){.kind = node->op == OP_If     ? STEP_IF
                           : node->op == OP_Loop ? STEP_LOOP
                                                 : STEP_HOST,
                   .target = inner && inner[0] ? inner[0]->number : -1,
                   .host = node->op == OP_constant ? "Constant"
                           : inner && inner[0]     ? NULL
                                                   : op_row(node)->meaning.text,
                   .input_count = (int)node->input_count,
                   .output_count = results,
                   .inputs = slots_of(body, node->inputs, (int)node->input_count),
                   .outputs = slots_of(body, outputs, results),
                   .node = node};
    step_binds(writer, step, outputs, results);
}

/* ---- lives ---- */

/* Who reads a slot in this body: the step itself, or the bodies inside it. */
static void step_reads(const Body *body, const Step *step, int number, int *last)
{
    for (int i = 0; i < step->input_count; i++)
        if (step->inputs[i] >= 0)
            last[step->inputs[i]] = number;
    Body *const *inner = step->node ? map_get(&body->inner, step->node) : NULL;
    for (; inner && *inner; inner++)
        for (size_t i = 0; i < (*inner)->taken.count; i++) {
            const int slot = slot_or_none(body, (*inner)->taken.nodes[i]);
            if (slot >= 0)
                last[slot] = number;
        }
}

static void add_end(Step *steps, int slot, const int *last, int *first, int *next)
{
    if (slot < 0 || last[slot] < 0)
        return;
    next[slot] = first[last[slot]];
    first[last[slot]] = slot;
    steps[last[slot]].end_count++;
}

/* Slots that the body itself fills, or a loop fills for it, end with the last step that reads them, or the one that
 * makes them. The model's inputs are the caller's. */
static void write_ends(const Body *body, Step *steps, int count, int *last)
{
    const Cut *const cut = body->cut;
    int *const first = NEW_ARRAY(cut->ir->arena, int, (size_t)count + 2); /* of a list per step */
    int *const next = NEW_ARRAY(cut->ir->arena, int, (size_t)cut->slot_count + 1);
    for (int i = 0; i < count; i++)
        first[i] = -1;
    for (int i = 0; i < count; i++) {
        step_reads(body, &steps[i], i, last);
        for (int j = 0; j < steps[i].output_count; j++)
            if (steps[i].outputs[j] >= 0)
                last[steps[i].outputs[j]] = i;
    }
    for (int i = 0; i < body->graph->output_count; i++)
        last[slot_or_none(body, body->graph->outputs[i])] = -1; /* which always has one */
    for (int i = 0; i < count; i++)
        for (int j = 0; j < steps[i].output_count && !(steps[i].node && steps[i].node->op == OP_constant); j++)
            add_end(steps, steps[i].outputs[j], last, first, next);
    for (int i = 0; i < body->graph->input_count && body->outer && count; i++)
        add_end(steps, slot_or_none(body, body->graph->inputs[i]), last, first, next);
    for (int i = 0; i < count; i++) {
        int *const ends = NEW_ARRAY(cut->ir->arena, int, (size_t)steps[i].end_count + 1);
        int slot = first[i];
        for (int j = 0; j < steps[i].end_count; j++, slot = next[slot])
            ends[j] = slot;
        steps[i].ends = ends;
    }
}

/* ---- the script ---- */

/* Host steps of each time in order of the graph. */
static NodeList *steps_by_time(const Body *body)
{
    Arena *const arena = body->cut->ir->arena;
    const int times = (body->last + 1) / 2 + 2;
    NodeList *const lists = NEW_ARRAY(arena, NodeList, (size_t)times);
    for (int i = 0; i < times; i++)
        lists[i].arena = arena;
    for (size_t i = 0; i < body->order.count; i++) {
        Node *const node = body->order.nodes[i];
        const Value *const value = map_get(&body->values, node);
        if (is_step(node))
            list_push(&lists[(value->ready + 1) / 2], node);
    }
    return lists;
}

static bool region_wanted(const RegionDraft *draft)
{
    return draft && (draft->outputs.count > 0 || draft->checks);
}

void region_for_check(Body *body, int time)
{
    for (int i = time / 2; i <= (body->last < 0 ? 0 : body->last / 2); i++)
        if (region_wanted(body->drafts[i]))
            return;
    draft_at(body, time)->checks = true;
    body->last = time > body->last ? time : body->last;
}

static ScriptBody write_body(Body *body, StepWriter *writer)
{
    Arena *const arena = body->cut->ir->arena;
    const Graph *const graph = body->graph;
    const NodeList *const hosts = steps_by_time(body);
    const int times = (body->last + 1) / 2 + 1;
    size_t most = body->order.count + (size_t)times + 2 + (body->outer ? 0 : body->cut->constants.count);
    writer->steps = NEW_ARRAY(arena, Step, most);
    for (size_t i = 0; i < body->cut->constants.count && !body->outer; i++)
        write_step(writer, body->cut->constants.nodes[i]);
    for (int i = 0; i <= times; i++) {
        for (size_t j = 0; i < times + 1 && j < hosts[i].count; j++)
            write_step(writer, hosts[i].nodes[j]);
        if (i < times && region_wanted(body->drafts[i]))
            write_region(writer, body->drafts[i]);
    }
    int *const last = NEW_ARRAY(arena, int, (size_t)body->cut->slot_count + 1);
    write_ends(body, writer->steps, writer->count, last);
    return (ScriptBody){.input_count = graph->input_count,
                        .output_count = graph->output_count,
                        .bind_count = writer->at_start.count,
                        .step_count = writer->count,
                        .inputs = slots_of(body, graph->inputs, graph->input_count),
                        .outputs = slots_of(body, graph->outputs, graph->output_count),
                        .binds = writer->at_start.items,
                        .steps = writer->steps,
                        .outer = body->outer ? body->outer->number : -1,
                        .scope = graph->scope};
}

static Graph *write_graph(const RegionDraft *draft)
{
    Ir *const ir = draft->body->cut->ir;
    const int inputs = (int)draft->inputs.count, outputs = (int)draft->outputs.count;
    Graph *const graph = NEW(ir->arena, Graph);
    Name *const names = NEW_ARRAY(ir->arena, Name, (size_t)(inputs + outputs) + 1);
    for (int i = 0; i < inputs; i++)
        names[i] = draft->inputs.nodes[i]->payload.name;
    for (int i = 0; i < outputs; i++) {
        const Node *const value = draft->output_values.nodes[i];
        const char *const name = arena_format(ir->arena, "%s.s%d", value_name(value), slot_or_none(draft->body, value));
        names[inputs + i] = name_intern(ir->arena, name);
    }
    *graph = (Graph){.name = name_intern(ir->arena, arena_format(ir->arena, "region%d", draft->number)),
                     .scope = draft->body->graph->scope,
                     .input_count = inputs,
                     .output_count = outputs,
                     .inputs = draft->inputs.nodes,
                     .outputs = draft->outputs.nodes,
                     .input_names = names,
                     .output_names = names + inputs};
    return graph;
}

static void write_regions(Cut *cut, Script *script)
{
    int most = 0;
    for (int i = 0; i < cut->body_count; i++)
        most += cut->bodies[i]->last / 2 + 2;
    script->regions = NEW_ARRAY(cut->ir->arena, ScriptRegion, (size_t)most);
    for (int i = 0; i < cut->body_count; i++)
        for (int j = 0; j <= (cut->bodies[i]->last < 0 ? 0 : cut->bodies[i]->last / 2); j++) {
            RegionDraft *const draft = cut->bodies[i]->drafts[j];
            if (!region_wanted(draft))
                continue;
            draft->number = script->region_count;
            script->regions[script->region_count++] =
                (ScriptRegion){.graph = write_graph(draft), .body = i, .time = draft->time};
        }
}

static void write_symbols(const Cut *cut, Script *script)
{
    size_t count = 0;
    for (int i = 0; i < cut->body_count; i++)
        count += cut->bodies[i]->symbol_list.count;
    ScriptSymbol *const symbols = NEW_ARRAY(cut->ir->arena, ScriptSymbol, count + 1);
    for (int i = 0; i < cut->body_count; i++)
        for (size_t j = 0; j < cut->bodies[i]->symbol_list.count; j++) {
            Node *const symbol = cut->bodies[i]->symbol_list.nodes[j];
            const int ready = (int)(intptr_t)map_get(&cut->bodies[i]->symbols, symbol) - 2;
            symbols[script->symbol_count++] = (ScriptSymbol){symbol, i, ready};
        }
    script->symbols = symbols;
}

Script *cut_script(Cut *cut)
{
    Ir *const ir = cut->ir;
    Script *const script = NEW(ir->arena, Script);
    StepWriter *const writers = NEW_ARRAY(ir->arena, StepWriter, (size_t)cut->body_count);
    ScriptBody *const bodies = NEW_ARRAY(ir->arena, ScriptBody, (size_t)cut->body_count);
    for (int i = 0; i < cut->body_count; i++) /* bodies around come first */
        body_regions(cut->bodies[i]);
    write_symbols(cut, script);
    for (int i = 0; i < cut->body_count; i++) {
        writers[i].body = cut->bodies[i];
        map_open(&writers[i].bound, ir->arena);
        map_open(&writers[i].binds, ir->arena);
        bind_all(&writers[i]);
    }
    cut_checks(cut, script);
    write_regions(cut, script);
    for (int i = 0; i < cut->body_count; i++)
        bodies[i] = write_body(cut->bodies[i], &writers[i]);
    Type *const slots = NEW_ARRAY(ir->arena, Type, (size_t)cut->slot_count + 1);
    for (int i = 0; i < cut->slot_count; i++)
        slots[i] = cut->slots[i]->node->type;
    script->slot_count = cut->slot_count;
    script->slots = slots;
    script->body_count = cut->body_count;
    script->bodies = bodies;
    return script;
}
