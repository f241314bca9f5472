/* Modules, kernels, stages and statements as text. See print.h. */
#include "ir/print.h"
#include "ir/kernel.h"
#include "ir/operands.h"
#include "ir/print_internal.h"
#include "ir/tiles.h"
#include "ir/unshare.h"

#include <string.h>

enum { COLUMNS = 120 };

/* ---- buffers ---- */

/* Whose memory is it in the end? Chains of aliases are short; a ring of them is cut. */
static Node *alias_root(Node *buffer)
{
    for (int i = 0; i < 1000 && buffer->payload.buffer->alias; i++)
        buffer = buffer->payload.buffer->alias;
    return buffer;
}

static const char *buffer_base(const Printer *printer, const Buffer *buffer)
{
    if (printer->flags & PRINT_CANONICAL)
        return place_is_inner(buffer->place) ? "s" : "b";
    return buffer->name && *buffer->name ? buffer->name : "b";
}

static void put_buffer_name(Printer *printer, Node *node)
{
    const Buffer *const buffer = node->payload.buffer;
    const bool counted = printer->flags & PRINT_CANONICAL || !buffer->name || !*buffer->name;
    const char *const base = buffer_base(printer, buffer);
    const char *const given = name_give(printer, node, base, counted ? 0 : -1);
    put(printer, "%s", given);
    if (!counted && strcmp(given + 1, base) != 0) {
        put(printer, " ");
        put_string(printer, base, strlen(base));
    }
    put(printer, " : ");
    put_type(printer, node->type);
}

static void put_place(Printer *printer, const Buffer *buffer, const char *public)
{
    static const char *const places[] = {[PLACE_INPUT] = "input", [PLACE_OUTPUT] = "output", [PLACE_WEIGHT] = "weight"};
    if (buffer->place == PLACE_TEMP || place_is_inner(buffer->place))
        return;
    put(printer, " %s", places[buffer->place]);
    if (buffer->place == PLACE_WEIGHT)
        return;
    put(printer, " %d", buffer->number);
    if (public) {
        put(printer, " ");
        put_string(printer, public, strlen(public));
    }
}

static void put_buffer(Printer *printer, Node *node, const char *public, Node *alias)
{
    const Buffer *const buffer = node->payload.buffer;
    put_buffer_name(printer, node);
    if (!(printer->flags & PRINT_CANONICAL))
        put_place(printer, buffer, public);
    if (buffer->layout.count)
        put_layout(printer, &buffer->layout);
    if (buffer->tame)
        put(printer, " tame");
    if (alias) {
        put(printer, " alias ");
        put_value(printer, alias);
    }
    if (printer->flags & PRINT_CANONICAL)
        return;
    if (buffer->slot || buffer->offset)
        put(printer, " slot %d offset %lld", buffer->slot, (long long)buffer->offset);
    if (buffer->constant) {
        put(printer, " constant");
        put_constant(printer, node->type, buffer->constant);
    }
}

/* Buffers to be declared, each behind the one that it shares memory with. */
typedef struct Declarations {
    Printer *printer;
    NodeMap known;
    NodeMap public; /* inputs and outputs of a module: their names for the user */
    Node **list;
    size_t count, capacity;
} Declarations;

static Declarations declarations_open(Printer *printer)
{
    Declarations declarations = {.printer = printer};
    map_open(&declarations.known, printer->arena);
    map_open(&declarations.public, printer->arena);
    return declarations;
}

static void declare_one(Declarations *declarations, Node *buffer)
{
    if (declarations->count == declarations->capacity) {
        declarations->capacity = declarations->capacity ? declarations->capacity * 2 : 32;
        Node **const list = NEW_ARRAY(declarations->printer->arena, Node *, declarations->capacity);
        if (declarations->count)
            memcpy(list, declarations->list, declarations->count * sizeof *list);
        declarations->list = list;
    }
    declarations->list[declarations->count++] = buffer;
}

static void declare(Declarations *declarations, Node *buffer)
{
    Node *chain[64];
    int depth = 0;
    for (Node *walk = buffer; walk && depth < 64 && !map_has(&declarations->known, walk);
         walk = walk->payload.buffer->alias) {
        map_set(&declarations->known, walk, walk);
        chain[depth++] = walk;
    }
    while (depth)
        declare_one(declarations, chain[--depth]);
}

static void roots_add(Arena *arena, Node ***roots, int *count, int *capacity, Node *const *nodes, int more)
{
    if (*count + more > *capacity) {
        *capacity = (*count + more) * 2;
        Node **const grown = NEW_ARRAY(arena, Node *, (size_t)*capacity);
        if (*count)
            memcpy(grown, *roots, (size_t)*count * sizeof *grown);
        *roots = grown;
    }
    if (more)
        memcpy(*roots + *count, nodes, (size_t)more * sizeof **roots);
    *count += more;
}

static void roots_of_block(Arena *arena, const Block *block, Node ***roots, int *count, int *capacity)
{
    for (int i = 0; i < block->count; i++) {
        const Node *const node = block->nodes[i];
        roots_add(arena, roots, count, capacity, node->inputs, (int)node->input_count);
        for (int b = 0; b < node->block_count; b++)
            roots_of_block(arena, node->blocks[b], roots, count, capacity);
    }
}

/* Buffers in the order in which the kernel's parameters and then its text name them; local ones go to `locals`. */
static void declare_kernel(Declarations *declarations, const Node *kernel, Declarations *locals)
{
    Arena *const arena = declarations->printer->arena;
    Node **roots = NULL;
    int count = 0, capacity = 0, total;
    roots_add(arena, &roots, &count, &capacity, kernel->inputs, (int)kernel->input_count);
    for (int b = 0; b < kernel->block_count; b++)
        roots_of_block(arena, kernel->blocks[b], &roots, &count, &capacity);
    Ir walker = {.arena = arena}; /* walking makes no nodes: it needs memory alone */
    Node **const order = nodes_topological(&walker, roots, count, &total);
    for (int i = 0; i < total; i++)
        if (order[i]->op == OP_buffer)
            declare(place_is_inner(order[i]->payload.buffer->place) && locals ? locals : declarations, order[i]);
}

/* Declarations as lines. Dims that are long have lines of their own before them. */
static void put_declarations(const Declarations *declarations)
{
    Printer *const printer = declarations->printer;
    printer->plan = plan_open(printer->arena, &printer->names, symbol_label, printer);
    const int scope = plan_scope(printer->plan, -1, -1);
    for (size_t i = 0; i < declarations->count; i++)
        plan_use_dims(printer->plan, plan_item(printer->plan, scope), declarations->list[i]->type);
    plan_settle(printer->plan);
    NodeMap first; /* canonical: the first parameter with the same memory stands for it */
    map_open(&first, printer->arena);
    for (size_t i = 0; i < declarations->count; i++) {
        Node *const buffer = declarations->list[i];
        Node *alias = buffer->payload.buffer->alias;
        if (printer->flags & PRINT_CANONICAL) {
            Node *const root = alias_root(buffer);
            alias = map_get(&first, root);
            if (!alias)
                map_set(&first, root, buffer);
        }
        put_lines(printer, (int)i);
        put_line(printer);
        const Place place = buffer->payload.buffer->place;
        put(printer, "%s ", place == PLACE_LOCAL ? "local" : place == PLACE_SHARED ? "shared" : "buffer");
        put_buffer(printer, buffer, map_get(&declarations->public, buffer), alias);
    }
}

/* ---- statements ---- */

/* Scopes and items of a block, in the order in which put_block meets them. */
static void plan_block(Plan *plan, const Block *block, int parent, int parent_item)
{
    const int scope = plan_scope(plan, parent, parent_item);
    for (int i = 0; i < block->count; i++) {
        Node *const node = block->nodes[i];
        const int item = plan_item(plan, scope);
        if (node->op == OP_kernel) { /* its inside has plans of its own */
            if (node->payload.kernel->units)
                plan_use(plan, item, node->payload.kernel->units);
            continue;
        }
        for (uint32_t j = 0; j < node->input_count; j++)
            plan_use(plan, item, node->inputs[j]);
        for (int j = 0; j < node->axis_count; j++)
            plan_bind(plan, node->axes[j]);
        if (node->type.dtype != DTYPE_NONE)
            plan_bind(plan, node);
        for (int j = 0; j < node->block_count; j++)
            plan_block(plan, node->blocks[j], scope, item);
    }
}

/* Items are numbered as plan_block made them: depth first. */
static void put_block(Printer *printer, const Block *block, int *item);

static void put_operands(Printer *printer, const Node *node)
{
    const uint32_t mask = node->op == OP_store || node->op == OP_scatter ? 3
                          : node->op == OP_copy_async                    ? 4
                                                                         : UINT32_MAX;
    for (uint32_t i = 0; i < node->input_count; i++) {
        put(printer, "%s", i == mask ? " mask " : " ");
        put_value(printer, node->inputs[i]);
    }
}

static void put_nested(Printer *printer, const Block *block, int *item)
{
    put(printer, " {");
    printer->indent++;
    put_block(printer, block, item);
    printer->indent--;
    put_line(printer);
    put(printer, "}");
}

static void put_for(Printer *printer, Node *node, int *item)
{
    const size_t mark = scope_enter(printer);
    put(printer, "for ");
    const bool canonical = printer->flags & PRINT_CANONICAL;
    const char *const name =
        name_give(printer, node->axes[0], canonical ? "i" : node->axes[0]->payload.name, canonical ? 0 : -1);
    put(printer, "%s in ", name);
    put_value(printer, node->inputs[0]);
    put(printer, " .. ");
    put_value(printer, node->inputs[1]);
    if (!index_is(node->inputs[2], 1)) {
        put(printer, " step ");
        put_value(printer, node->inputs[2]);
    }
    put_nested(printer, node->blocks[0], item);
    scope_leave(printer, mark);
}

static void put_blocks(Printer *printer, Node *node, int *item)
{
    put(printer, "%s", op_name(node->op));
    put_operands(printer, node);
    for (int i = 0; i < node->block_count; i++) {
        put(printer, "%s", i ? " else" : "");
        const size_t mark = scope_enter(printer);
        put_nested(printer, node->blocks[i], item);
        scope_leave(printer, mark);
    }
}

static void put_launch(Printer *printer, const Node *node)
{
    put(printer, "launch ");
    put_title(printer, node->payload.name ? node->payload.name : "");
    put(printer, " (");
    for (uint32_t i = 0; i < node->input_count; i++) {
        put(printer, "%s", i ? ", " : "");
        put_value(printer, node->inputs[i]);
    }
    put(printer, ")");
}

static void put_kernel(Printer *printer, Node *kernel);

static void put_statement(Printer *printer, Node *node, int *item)
{
    switch (node->op) {
    case OP_for:
        if (node->axis_count == 1 && node->input_count == 3 && node->block_count == 1)
            put_for(printer, node, item);
        return;
    case OP_if:
    case OP_loop:
        put_blocks(printer, node, item);
        return;
    case OP_var: {
        const bool canonical = printer->flags & PRINT_CANONICAL || !node->payload.name || !*node->payload.name;
        put(printer, "var %s =", name_give(printer, node, canonical ? "r" : node->payload.name, canonical ? 1 : -1));
        put_operands(printer, node);
        return;
    }
    case OP_get:
    case OP_read:
    case OP_shuffle:
    case OP_mma:
        put(printer, "%s = ", name_give(printer, node, "v", 1));
        put(printer, "(%s", op_name(node->op));
        put_leading(printer, node);
        put_operands(printer, node);
        put(printer, ")");
        return;
    case OP_launch:
        put_launch(printer, node);
        return;
    case OP_kernel:
        put_kernel(printer, node);
        return;
    default:
        put(printer, "%s", op_name(node->op));
        put_operands(printer, node);
        if (node->op == OP_check || node->op == OP_prefetch || node->op == OP_copy_async || node->op == OP_copy_wait ||
            op_is_tile(node->op))
            put(printer, " %lld", (long long)node->payload.integer);
        return;
    }
}

static void put_block(Printer *printer, const Block *block, int *item)
{
    const size_t mark = scope_enter(printer);
    for (int i = 0; i < block->count; i++) {
        Plan *const plan = printer->plan;
        put_lines(printer, (*item)++);
        put_line(printer);
        put_statement(printer, block->nodes[i], item);
        printer->plan = plan; /* a kernel has plans of its own */
    }
    scope_leave(printer, mark);
}

/* A block with a plan of its own. */
static void put_unit(Printer *printer, const Block *block)
{
    printer->plan = plan_open(printer->arena, &printer->names, symbol_label, printer);
    plan_block(printer->plan, block, -1, -1);
    plan_settle(printer->plan);
    int item = 0;
    put_block(printer, block, &item);
}

/* ---- stages ---- */

/* The axes get their names now, and their text goes where the head of the stage wants it. */
static const char *axes_text(Printer *printer, const Node *stage)
{
    const size_t start = printer->used;
    put_axes(printer, stage->axes, stage->axis_count);
    const char *const text = arena_format(printer->arena, "%s", printer->text + start);
    printer->used = start;
    printer->text[start] = 0;
    return text;
}

static const char *ordered_text(Printer *printer, const Node *stage)
{
    if (stage_is_step(stage))
        return arena_format(printer->arena, " ordered=%d within=%d", stage_ordered(stage),
                            stage->axis_count - stage_step_axes(stage));
    return stage_ordered(stage) ? arena_format(printer->arena, " ordered=%d", stage_ordered(stage)) : "";
}

/* %y[%n, 2*%i] */
static void put_target(Printer *printer, const Node *stage)
{
    put_value(printer, stage->inputs[0]);
    put(printer, "[");
    for (uint32_t i = 2; i < stage->input_count; i++) {
        put(printer, "%s", i > 2 ? ", " : "");
        put_value(printer, stage->inputs[i]);
    }
    put(printer, "]");
}

/* The value on the line that begins at `start`, or on a line of its own when that gets long. */
static void put_right_side(Printer *printer, Node *value, size_t start)
{
    const size_t here = printer->used;
    put(printer, " ");
    put_value(printer, value);
    if (printer->used - start <= COLUMNS)
        return;
    const char *const text = arena_format(printer->arena, "%s", printer->text + here + 1);
    printer->used = here;
    printer->indent++;
    put_line(printer);
    printer->indent--;
    put(printer, "%s", text);
}

static Plan *plan_stage(Printer *printer, Node *stage, int *head, int *item)
{
    Plan *const plan = plan_open(printer->arena, &printer->names, symbol_label, printer);
    const int outer = plan_scope(plan, -1, -1);
    *head = plan_item(plan, outer);
    *item = plan_item(plan, plan_scope(plan, outer, *head));
    for (int i = 0; i < stage->axis_count; i++) {
        plan_bind(plan, stage->axes[i]);
        if (stage->axes[i]->input_count)
            plan_use(plan, *head, stage->axes[i]->inputs[0]);
    }
    for (uint32_t i = 2; i < stage->input_count; i++)
        plan_use(plan, *item, stage->inputs[i]);
    plan_use(plan, *item, stage->inputs[1]);
    plan_settle(plan);
    return plan;
}

static void put_stage(Printer *printer, Node *stage)
{
    int head, item;
    printer->plan = plan_stage(printer, stage, &head, &item);
    put_lines(printer, head);
    put_line(printer);
    const size_t mark = scope_enter(printer);
    const char *const axes = axes_text(printer, stage);
    if (plan_lines(printer->plan, item)) {
        put(printer, "stage over (%s)%s {", axes, ordered_text(printer, stage));
        printer->indent++;
        put_lines(printer, item);
        put_line(printer);
        put_target(printer, stage);
        put(printer, " = ");
        put_value(printer, stage->inputs[1]);
        printer->indent--;
        put_line(printer);
        put(printer, "}");
    } else {
        const size_t start = printer->used;
        put(printer, "stage ");
        put_target(printer, stage);
        put(printer, " over (%s)%s =", axes, ordered_text(printer, stage));
        put_right_side(printer, stage->inputs[1], start);
    }
    scope_leave(printer, mark);
}

/* ---- kernels ---- */

static void put_kernel_head(Printer *printer, const Node *node)
{
    const Kernel *const kernel = node->payload.kernel;
    const bool canonical = printer->flags & PRINT_CANONICAL;
    put(printer, "kernel ");
    if (!canonical && kernel->name) {
        put_title(printer, kernel->name);
        put(printer, " ");
    }
    put(printer, "(");
    for (uint32_t i = 0; i < node->input_count; i++) {
        put(printer, "%s", i ? ", " : "");
        put_value(printer, node->inputs[i]);
    }
    put(printer, ")");
    if (kernel->schedule) {
        put(printer, " schedule ");
        put_string(printer, kernel->schedule, strlen(kernel->schedule));
    }
    if (kernel->units) {
        put(printer, " units ");
        put_value(printer, kernel->units);
    }
    if (kernel->threads)
        put(printer, " threads %d", kernel->threads);
    if (kernel->scratch)
        put(printer, " scratch %lld", (long long)kernel->scratch);
    for (const Where *const *where = canonical ? NULL : kernel->wheres; where && *where; where++)
        if ((*where)->node) {
            put(printer, " from ");
            put_string(printer, (*where)->node, strlen((*where)->node));
        }
}

static void put_kernel(Printer *printer, Node *node)
{
    Declarations locals = declarations_open(printer), others = declarations_open(printer);
    declare_kernel(&others, node, &locals);
    const size_t mark = scope_enter(printer);
    put_kernel_head(printer, node);
    put(printer, " {");
    printer->indent++;
    put_declarations(&locals);
    for (int i = 0; i < kernel_stages(node)->count; i++)
        put_stage(printer, kernel_stages(node)->nodes[i]);
    if (kernel_body(node)) {
        put_line(printer);
        put(printer, "body {");
        printer->indent++;
        put_unit(printer, block_unshared(printer->arena, kernel_body(node)));
        printer->indent--;
        put_line(printer);
        put(printer, "}");
    }
    printer->indent--;
    put_line(printer);
    put(printer, "}");
    scope_leave(printer, mark);
}

const char *print_kernel(Arena *arena, Node *kernel, int flags, size_t *length)
{
    Printer printer;
    printer_open(&printer, arena, flags);
    for (uint32_t i = 0; i < kernel->input_count; i++)
        if (kernel->inputs[i]->op == OP_symbol)
            symbol_label(&printer, kernel->inputs[i]);
    Declarations declarations = declarations_open(&printer), locals = declarations_open(&printer);
    if (flags & PRINT_CANONICAL)
        for (uint32_t i = 0; i < kernel->input_count; i++)
            if (kernel->inputs[i]->op == OP_buffer && !map_has(&declarations.known, kernel->inputs[i])) {
                map_set(&declarations.known, kernel->inputs[i], kernel->inputs[i]);
                declare_one(&declarations, kernel->inputs[i]); /* by position, aliases too */
            }
    declare_kernel(&declarations, kernel, &locals);
    put_declarations(&declarations);
    Block alone = {.nodes = &kernel, .count = 1};
    put_unit(&printer, &alone);
    put(&printer, "\n");
    return printer_finish(&printer, length);
}

static void declare_public(Declarations *declarations, Node *const *nodes, const Name *names, int count)
{
    for (int i = 0; i < count; i++) {
        const char *const own = nodes[i]->payload.buffer->name;
        const char *const public = names && names[i] ? names[i] : own ? own : "";
        map_set(&declarations->public, nodes[i], (void *)(uintptr_t) public);
        declare(declarations, nodes[i]);
    }
}

const char *print_module(Arena *arena, const Module *module, size_t *length)
{
    Printer printer;
    printer_open(&printer, arena, PRINT_PLAIN);
    Declarations declarations = declarations_open(&printer), locals = declarations_open(&printer);
    declare_public(&declarations, module->inputs, module->input_names, module->input_count);
    declare_public(&declarations, module->outputs, module->output_names, module->output_count);
    for (int i = 0; i < module->body->count; i++) {
        const Node *const node = module->body->nodes[i];
        if (node->op == OP_kernel)
            declare_kernel(&declarations, node, &locals);
        for (uint32_t j = 0; j < node->input_count && node->op == OP_launch; j++)
            if (node->inputs[j]->op == OP_buffer)
                declare(&declarations, node->inputs[j]);
    }
    put(&printer, "module ");
    put_title(&printer, module->name ? module->name : "");
    put(&printer, " {");
    printer.indent++;
    put_declarations(&declarations);
    put_unit(&printer, module->body);
    printer.indent--;
    put_line(&printer);
    put(&printer, "}\n");
    return printer_finish(&printer, length);
}
