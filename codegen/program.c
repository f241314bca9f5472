/* From a placed module to a program: see program.h. */
#include "codegen/program.h"
#include "ir/tiles.h"

#include "codegen/depend.h"
#include "ir/kernel.h"
#include "ir/ops/ops.h"
#include "ir/print.h"
#include "ir/roles.h"
#include "ir/script.h"
#include "passes/access.h"
#include "runtime/lathe_runtime.h"

#include <string.h>
#include <xxhash.h>

void int_list_push(Arena *arena, IntList *list, int item)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 64;
        int *const items = NEW_ARRAY(arena, int, (size_t)list->capacity);
        if (list->count)
            memcpy(items, list->items, (size_t)list->count * sizeof *items);
        list->items = items;
    }
    list->items[list->count++] = item;
}

/* The number of an expression's value; equal expressions share it. */
static int value_of(Program *program, Node *node)
{
    const intptr_t known = (intptr_t)map_get(&program->value_of, node);
    if (known)
        return (int)known - 1;
    if (program->value_count == program->value_capacity) {
        program->value_capacity = program->value_capacity ? program->value_capacity * 2 : 64;
        Node **const values = NEW_ARRAY(program->ir->arena, Node *, (size_t)program->value_capacity);
        if (program->value_count)
            memcpy(values, program->values, (size_t)program->value_count * sizeof *values);
        program->values = values;
    }
    program->values[program->value_count++] = node;
    map_set(&program->value_of, node, (void *)(intptr_t)program->value_count);
    return program->value_count - 1;
}

static int buffer_number(Program *program, Node *buffer)
{
    const intptr_t known = (intptr_t)map_get(&program->buffer_of, buffer);
    if (known)
        return (int)known - 1;
    static const int place[] = {[PLACE_TEMP] = LATHE_PLACE_ARENA,
                                [PLACE_INPUT] = LATHE_PLACE_INPUT,
                                [PLACE_OUTPUT] = LATHE_PLACE_OUTPUT,
                                [PLACE_WEIGHT] = LATHE_PLACE_WEIGHTS};
    const Buffer *const root = buffer_root(buffer)->payload.buffer;
    const bool user = root->place == PLACE_INPUT || root->place == PLACE_OUTPUT;
    program->buffers[program->buffer_count++] = (ProgramBuffer){place[root->place],
                                                                user                        ? root->number
                                                                : root->place == PLACE_TEMP ? root->slot
                                                                                            : 0,
                                                                user ? 0 : root->offset};
    map_set(&program->buffer_of, buffer, (void *)(intptr_t)program->buffer_count);
    return program->buffer_count - 1;
}

/* ---- symbols ---- */

static void add_symbol(Program *program, NodeMap *seen, Node *symbol, int input, int position, bool element)
{
    if (!symbol || symbol->op != OP_symbol || map_has(seen, symbol))
        return;
    map_set(seen, symbol, symbol);
    program->symbols[program->symbol_count++] = (ProgramSymbol){symbol, input, position, element};
}

/* Symbols of input dims first, then elements of small inputs that something depends on. */
static void collect_symbols(Program *program, const NodeMap *used)
{
    Ir *const ir = program->ir;
    const Graph *const graph = program->compilation->graph;
    int most = 1;
    for (int i = 0; i < graph->input_count; i++)
        most += graph->inputs[i]->type.rank + 64;
    program->symbols = NEW_ARRAY(ir->arena, ProgramSymbol, (size_t)most);
    NodeMap seen;
    map_open(&seen, ir->arena);
    for (int i = 0; i < graph->input_count; i++)
        for (int j = 0; j < graph->inputs[i]->type.rank; j++)
            add_symbol(program, &seen, graph->inputs[i]->type.dims[j], i, j, false);
    for (int i = 0; i < graph->input_count; i++) {
        int64_t elements;
        if (!graph->inputs[i]->contents || !const_is_int(type_elements(ir, graph->inputs[i]->type), &elements))
            continue;
        for (int64_t j = 0; j < elements; j++) {
            Node *const symbol = content_symbol(graph->inputs[i]->contents[j]);
            if (symbol && map_has(used, symbol))
                add_symbol(program, &seen, symbol, i, (int)j, true);
        }
    }
}

/* A region's symbols are the script's, which sets them before. */
static void collect_region_symbols(Program *program)
{
    int count;
    Node **const nodes = nodes_topological(program->ir, program->values, program->value_count, &count);
    program->symbols = NEW_ARRAY(program->ir->arena, ProgramSymbol, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_symbol)
            program->symbols[program->symbol_count++] =
                (ProgramSymbol){nodes[i], -1, 0, index_range(program->ir, nodes[i]).low < 0};
}

/* ---- kernels and launches ---- */

typedef struct KeyTable {
    const char **keys;
    uint64_t *hashes;
    int *numbers; /* 1 + kernel */
    size_t capacity;
} KeyTable;

/* Stages printed canonically; equal text gives the kernel that exists. */
static int kernel_number(Program *program, KeyTable *table, Node *kernel)
{
    Arena *const arena = program->ir->arena, *const scratch = arena_scratch(arena);
    const ArenaMark mark = arena_mark(scratch);
    size_t length;
    const char *const text = print_kernel(scratch, kernel, PRINT_CANONICAL, &length);
    const uint64_t hash = XXH3_64bits(text, length);
    size_t slot = hash & (table->capacity - 1);
    while (table->numbers[slot] && (table->hashes[slot] != hash || strcmp(table->keys[slot], text) != 0))
        slot = (slot + 1) & (table->capacity - 1);
    const char *const key = table->numbers[slot] ? table->keys[slot] : arena_copy(arena, text, length + 1);
    arena_reset(scratch, mark);
    if (table->numbers[slot])
        return table->numbers[slot] - 1;
    table->keys[slot] = key;
    table->hashes[slot] = hash;
    table->numbers[slot] = ++program->kernel_count;
    program->kernels[program->kernel_count - 1] =
        (ProgramKernel){.key = key, .stages = kernel, .name = kernel->payload.kernel->name};
    return program->kernel_count - 1;
}

static bool same_text(const Program *program, Node *a, Node *b)
{
    Arena *const scratch = arena_scratch(program->ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    size_t lengths[2];
    const char *const texts[] = {print_kernel(scratch, a, PRINT_CANONICAL, &lengths[0]),
                                 print_kernel(scratch, b, PRINT_CANONICAL, &lengths[1])};
    const bool same = lengths[0] == lengths[1] && memcmp(texts[0], texts[1], lengths[0]) == 0;
    arena_reset(scratch, mark);
    return same;
}

static const TargetMachineInfo *last_base(const TargetMachineInfo *level)
{
    while (level->base)
        level = level->base;
    return level;
}

/* Does the level run the kernel as the one below does, with the same function? They are the same but for units that the
 * kernel does not use, and tuning says the same of both. */
static bool is_as_below(Program *program, const ProgramKernel *kernel, int level, Node *scheduled)
{
    ByteRoles bytes;
    if (level + 1 >= program->level_count || kernel_has_tiles(scheduled))
        return false;
    const TargetMachineInfo *const own = program->levels[level], *const below = program->levels[level + 1];
    if (strcmp(last_base(own)->name, last_base(below)->name) != 0 ||
        (!own->dot_name != !below->dot_name && contract_match_bytes(program->ir, kernel->stages, &bytes)))
        return false;
    return same_text(program, scheduled, kernel->scheduled[level + 1]);
}

bool program_shares(const Program *program, int kernel, int level)
{
    const char *const *const symbols = program->kernels[kernel].symbol;
    return level + 1 < program->level_count && symbols[level] == symbols[level + 1];
}

static bool schedule_levels(Program *program, ProgramKernel *kernel, int number, ScheduleFunction *schedule,
                            void *context)
{
    for (int level = program->level_count - 1; level >= 0; level--) {
        Node *scheduled = schedule(context, program->ir, kernel->stages, program->levels[level]);
        if (!scheduled)
            return false;
        if (scheduled->input_count != kernel->stages->input_count ||
            memcmp(scheduled->inputs, kernel->stages->inputs, scheduled->input_count * sizeof *scheduled->inputs) != 0)
            BUG("the schedule \"%s\" of kernel %s changed its parameters", scheduled->payload.kernel->schedule,
                kernel->name);
        const bool as_below = is_as_below(program, kernel, level, scheduled);
        if (as_below)
            scheduled = kernel->scheduled[level + 1];
        kernel->scheduled[level] = scheduled;
        kernel->symbol[level] =
            as_below ? kernel->symbol[level + 1] : arena_format(program->ir->arena, "lathe_k%d_%d", number, level);
        if (scheduled->payload.kernel->scratch > program->scratch[level])
            program->scratch[level] = scheduled->payload.kernel->scratch;
    }
    return true;
}

static const char *launch_name(Ir *ir, const Node *kernel)
{
    const char *text = NULL;
    for (const Where *const *where = kernel->payload.kernel->wheres; where && *where; where++) {
        const char *const node = (*where)->node ? (*where)->node : "";
        text = text ? arena_format(ir->arena, "%s+%s", text, node) : node;
        if (strlen(text) > 400)
            return arena_format(ir->arena, "%s+...", text);
    }
    return text && *text ? text : kernel->payload.kernel->name;
}

/* The units of `level`, in this launch's own symbols: those of the shared kernel with its symbols replaced. */
static Node *launch_units(Program *program, const ProgramKernel *kernel, const Node *own, int level)
{
    Node *const units = kernel->scheduled[level]->payload.kernel->units;
    return node_substitute(program->ir, units, kernel->stages->inputs, own->inputs, (int)own->input_count);
}

static void add_launch(Program *program, Node *kernel, int number)
{
    Ir *const ir = program->ir;
    const ProgramKernel *const shared = &program->kernels[number];
    ProgramLaunch *const launch = &program->launches[program->launch_count++];
    const int buffers = kernel_buffer_count(kernel);
    *launch = (ProgramLaunch){.kernel = kernel,
                              .index = number,
                              .buffers_first = program->buffer_refs.count,
                              .buffers_count = buffers,
                              .dims_first = program->value_refs.count,
                              .dims_count = (int)kernel->input_count - buffers};
    for (int i = 0; i < buffers; i++)
        int_list_push(ir->arena, &program->buffer_refs, buffer_number(program, kernel->inputs[i]));
    for (int i = buffers; i < (int)kernel->input_count; i++)
        int_list_push(ir->arena, &program->value_refs, value_of(program, kernel->inputs[i]));
    for (int level = 0; level < program->level_count; level++)
        launch->units_value[level] = value_of(program, launch_units(program, shared, kernel, level));
    Node *const flops = kernel_flops(ir, kernel), *const bytes = kernel_bytes(ir, kernel);
    /* Rough: 40 operations and 10 bytes a nanosecond on one core. */
    Node *const work =
        index_add(ir, index_floordiv(ir, flops, index_const(ir, 40)), index_floordiv(ir, bytes, index_const(ir, 10)));
    launch->work_value = value_of(program, work);
    launch->flops_value = value_of(program, flops);
    launch->bytes_value = value_of(program, bytes);
    launch->name = launch_name(ir, kernel);
}

static KeyTable key_table(Arena *arena, int kernels)
{
    KeyTable table = {.capacity = 64};
    while (table.capacity < (size_t)kernels * 2)
        table.capacity *= 2;
    table.keys = NEW_ARRAY(arena, const char *, table.capacity);
    table.hashes = NEW_ARRAY(arena, uint64_t, table.capacity);
    table.numbers = NEW_ARRAY(arena, int, table.capacity);
    return table;
}

static bool add_kernels(Program *program, KeyTable *table, ScheduleFunction *schedule, void *context)
{
    Arena *const arena = program->ir->arena;
    const Block *const body = program->module->body;
    size_t most_buffers = 1;
    for (int i = 0; i < body->count; i++)
        most_buffers += body->nodes[i]->input_count;
    program->launches = NEW_ARRAY(arena, ProgramLaunch, (size_t)body->count + 1);
    program->buffers = NEW_ARRAY(arena, ProgramBuffer, most_buffers);
    for (int i = 0; i < body->count; i++) {
        const int before = program->kernel_count;
        const int number = kernel_number(program, table, body->nodes[i]);
        if (number == before && !schedule_levels(program, &program->kernels[number], number, schedule, context))
            return false;
        add_launch(program, body->nodes[i], number);
    }
    return true;
}

/* ---- tensors, memory, checks ---- */

/* Is it a formula over what the caller's inputs tell? `told` NULL: it always is. */
static bool dim_known(Program *program, const NodeMap *told, Node *dim)
{
    if (!dim)
        return false;
    if (!told)
        return true;
    int count;
    Node **const nodes = nodes_topological(program->ir, &dim, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_symbol && !map_has(told, nodes[i]))
            return false;
    return true;
}

/* What only a run knows has the value -1. */
static bool *add_tensors(Program *program, Node *const *buffers, int count, const NodeMap *told, int **dims,
                         int **bytes)
{
    Ir *const ir = program->ir;
    bool *const known = NEW_ARRAY(ir->arena, bool, (size_t)count + 1);
    *dims = NEW_ARRAY(ir->arena, int, (size_t)count + 1);
    *bytes = NEW_ARRAY(ir->arena, int, (size_t)count + 1);
    for (int i = 0; i < count; i++) {
        const Type type = buffers[i]->type;
        (*dims)[i] = program->value_refs.count;
        known[i] = type_is_tensor(type);
        for (int j = 0; j < type.rank; j++) {
            const bool dim = dim_known(program, told, type.dims[j]);
            known[i] = known[i] && dim;
            int_list_push(ir->arena, &program->value_refs, value_of(program, dim ? type.dims[j] : index_const(ir, -1)));
        }
        if (!known[i]) {
            (*bytes)[i] = value_of(program, index_const(ir, -1));
            continue;
        }
        Node *const bits = index_mul(ir, type_elements(ir, type), index_const(ir, dtype_info[type.dtype].bits));
        (*bytes)[i] = value_of(program, index_ceildiv(ir, bits, index_const(ir, 8)));
    }
    return known;
}

static void add_memory(Program *program)
{
    Ir *const ir = program->ir;
    const Compilation *const compilation = program->compilation;
    const int slots = compilation->slot_count ? compilation->slot_count : 1;
    program->slot_bytes_value = NEW_ARRAY(ir->arena, int, (size_t)slots);
    program->slot_bytes_value[0] = value_of(program, index_const(ir, compilation->arena_bytes));
    for (int i = 0; i < compilation->slot_count; i++)
        program->slot_bytes_value[i] = value_of(program, compilation->slot_bytes[i]);
    program->arena_bytes_value = value_of(program, index_const(ir, compilation->arena_bytes));
}

static void add_check(Program *program, const RunCheck *check)
{
    Node *const condition = cast_make(program->ir, check->condition, DTYPE_INDEX);
    program->checks[program->check_count++] = (ProgramCheck){value_of(program, condition), check->text};
}

/* A region makes its own; the caller's view of a script none, whose regions do. */
static void add_checks(Program *program)
{
    Ir *const ir = program->ir;
    const Compilation *const compilation = program->compilation;
    int count = compilation->region ? compilation->region->check_count : 0;
    for (const RunCheck *check = ir->checks; check; check = check->next)
        count++;
    program->checks = NEW_ARRAY(ir->arena, ProgramCheck, (size_t)count + 1);
    for (int i = 0; compilation->region && i < compilation->region->check_count; i++)
        add_check(program, compilation->region->checks[i]);
    for (const RunCheck *check = ir->checks; check && !compilation->region && !compilation->script; check = check->next)
        add_check(program, check);
}

/* A kernel that writes every value that is not a constant. */
static void make_instantiate(Program *program)
{
    Ir *const ir = program->ir;
    Node *const count = index_const(ir, program->value_count);
    const Buffer table = {.name = "values", .place = PLACE_TEMP};
    Node *const values = buffer_make(ir, type_tensor(ir, DTYPE_I64, 1, &count), &table);
    Block *const body = block_make(ir);
    for (int i = 0; i < program->value_count; i++) {
        if (program->values[i]->op == OP_const)
            continue;
        block_append(ir, body,
                     node_make(ir, &(Node){.op = OP_store,
                                           .inputs = (Node *[]){values, index_const(ir, i),
                                                                cast_make(ir, program->values[i], DTYPE_I64)},
                                           .input_count = 3}));
    }
    if (body->count == 0)
        return;
    Node *const empty = kernel_make(ir, name_intern(ir->arena, "instantiate"), block_make(ir));
    Node *const kernel = kernel_with_body(ir, empty, body, index_const(ir, 1), "scalars", 0);
    /* Its parameters are the table and all symbols in the program's order, used or not. */
    Node **const inputs = NEW_ARRAY(ir->arena, Node *, (size_t)program->symbol_count + 1);
    inputs[0] = values;
    for (int i = 0; i < program->symbol_count; i++)
        inputs[i + 1] = program->symbols[i].symbol;
    Node draft = *kernel;
    draft.inputs = inputs;
    draft.input_count = (uint32_t)program->symbol_count + 1;
    program->instantiate = node_make(ir, &draft);
}

static void part_reschedule(Program *program, int number, int level, const Node *scheduled)
{
    const int values = program->value_count;
    const ProgramKernel *const kernel = &program->kernels[number];
    program->dep_ranges = NULL; /* those of other units */
    if (scheduled->payload.kernel->scratch > program->scratch[level])
        program->scratch[level] = scheduled->payload.kernel->scratch;
    for (int i = 0; i < program->launch_count; i++)
        if (program->launches[i].index == number)
            program->launches[i].units_value[level] =
                value_of(program, launch_units(program, kernel, program->launches[i].kernel, level));
    if (program->value_count > values)
        make_instantiate(program);
}

void program_reschedule(Program *program, int number, int level, Node *scheduled)
{
    program->kernels[number].scheduled[level] = scheduled;
    for (int i = 0; i <= program->region_count; i++)
        part_reschedule(program_part(program, i), number, level, scheduled);
}

static void mark_symbols(Program *program, NodeMap *used)
{
    int count;
    Node **const nodes = nodes_topological(program->ir, program->values, program->value_count, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_symbol)
            map_set(used, nodes[i], nodes[i]);
}

static bool all_symbols_known(Program *program, const NodeMap *used)
{
    NodeMap known;
    map_open(&known, program->ir->arena);
    for (int i = 0; i < program->symbol_count; i++)
        map_set(&known, program->symbols[i].symbol, program);
    int count;
    Node **const nodes = nodes_topological(program->ir, program->values, program->value_count, &count);
    for (int i = 0; i < count; i++)
        if (map_has(used, nodes[i]) && !map_has(&known, nodes[i]))
            return diag_error(program->ir->diagnostics, EXIT_UNSUPPORTED, NULL,
                              "the size '%s' does not follow from any input", nodes[i]->payload.name);
    return true;
}

bool program_allows(const Program *program, const SymbolValue *values)
{
    for (int i = 0; i < program->check_count; i++)
        if (index_evaluate(program->values[program->checks[i].value], values, program->symbol_count) == 0)
            return false;
    for (int i = 0; i < program->value_count; i++)
        if (index_evaluate(program->values[i], values, program->symbol_count) < 0)
            return false;
    return true;
}

const TargetMachineInfo *program_host(const Program *program)
{
    const TargetMachineInfo *const lowest = program->levels[program->level_count - 1];
    return lowest->family->host ? lowest->family->host : lowest;
}

Program *program_part(Program *program, int i)
{
    return i == 0 ? program : i <= program->region_count ? &program->regions[i - 1] : NULL;
}

bool program_plain(const Program *program)
{
    for (int i = 0; i < program->module->input_count; i++)
        if (!program->inputs_known[i])
            return false;
    for (int i = 0; i < program->module->output_count; i++)
        if (!program->outputs_known[i])
            return false;
    return true;
}

/* The symbols that the caller's inputs tell. */
static void mark_told(const Program *program, NodeMap *told)
{
    const Graph *const graph = program->compilation->graph;
    map_open(told, program->ir->arena);
    for (int i = 0; i < graph->input_count; i++) {
        const Type type = graph->inputs[i]->type;
        int64_t elements;
        for (int j = 0; type_is_tensor(type) && j < type.rank; j++)
            if (type.dims[j] && type.dims[j]->op == OP_symbol)
                map_set(told, type.dims[j], graph->inputs[i]);
        if (!graph->inputs[i]->contents || !const_is_int(type_elements(program->ir, type), &elements))
            continue;
        for (int64_t j = 0; j < elements; j++)
            if (content_symbol(graph->inputs[i]->contents[j]))
                map_set(told, content_symbol(graph->inputs[i]->contents[j]), graph->inputs[i]);
    }
}

static bool build_part(Program *program, KeyTable *table, ScheduleFunction *schedule, void *context)
{
    Ir *const ir = program->ir;
    const bool script = program->compilation->script != NULL;
    NodeMap used, told;
    map_open(&program->value_of, ir->arena);
    map_open(&program->buffer_of, ir->arena);
    if (script)
        mark_told(program, &told);
    if (!add_kernels(program, table, schedule, context))
        return false;
    launches_depend(program);
    program->inputs_known = add_tensors(program, program->module->inputs, program->module->input_count,
                                        script ? &told : NULL, &program->input_dims, &program->input_bytes);
    program->outputs_known = add_tensors(program, program->module->outputs, program->module->output_count,
                                         script ? &told : NULL, &program->output_dims, &program->output_bytes);
    add_memory(program);
    add_checks(program);
    map_open(&used, ir->arena);
    mark_symbols(program, &used);
    if (program->compilation->region)
        collect_region_symbols(program);
    else
        collect_symbols(program, &used);
    if (!all_symbols_known(program, &used))
        return false;
    make_instantiate(program);
    return true;
}

/* Regions one after the other: each goes on with the kernels of those before it. */
static bool build_regions(Program *program, KeyTable *table, ScheduleFunction *schedule, void *context)
{
    Arena *const arena = program->ir->arena;
    program->region_count = program->compilation->script->region_count;
    program->regions = NEW_ARRAY(arena, Program, (size_t)program->region_count + 1);
    const Program *before = program;
    for (int i = 0; i < program->region_count; i++) {
        const Compilation *const compilation = &program->compilation->regions[i];
        Program *const region = &program->regions[i];
        *region = (Program){.ir = program->ir,
                            .compilation = compilation,
                            .module = compilation->module,
                            .levels = program->levels,
                            .level_count = program->level_count,
                            .kernels = program->kernels,
                            .kernel_count = before->kernel_count,
                            .suffix = arena_format(arena, "_r%d", i)};
        memcpy(region->scratch, before->scratch, sizeof region->scratch);
        if (!build_part(region, table, schedule, context))
            return false;
        before = region;
    }
    for (int i = 0; i <= program->region_count; i++) {
        Program *const part = program_part(program, i);
        part->kernel_count = before->kernel_count;
        memcpy(part->scratch, before->scratch, sizeof part->scratch);
    }
    return true;
}

bool program_build(const Compilation *compilation, const TargetMachineInfo *const *levels, int level_count,
                   ScheduleFunction *schedule, void *context, Program *program)
{
    Arena *const arena = compilation->ir->arena;
    int most = compilation->module->body->count;
    for (int i = 0; compilation->script && i < compilation->script->region_count; i++)
        most += compilation->regions[i].module->body->count;
    *program = (Program){.ir = compilation->ir,
                         .compilation = compilation,
                         .module = compilation->module,
                         .levels = levels,
                         .level_count = level_count,
                         .kernels = NEW_ARRAY(arena, ProgramKernel, (size_t)most + 1),
                         .suffix = ""};
    KeyTable table = key_table(arena, most);
    return build_part(program, &table, schedule, context) &&
           (!compilation->script || build_regions(program, &table, schedule, context));
}
