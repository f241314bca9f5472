/* Modules, kernels, stages and statements: see parse.h. Blocks nest at most BLOCK_DEPTH_MAX deep (the reader sees to
 * it), so the functions here may call each other. */
#include "ir/parse.h"
#include "ir/kernel.h"
#include "ir/operands.h"
#include "ir/parse_internal.h"

#include <string.h>

void parser_open(Parser *parser, Ir *ir, const char *file, const ParseOptions *options)
{
    *parser = (Parser){.ir = ir, .file = file ? file : "text"};
    if (options)
        parser->options = *options;
    parser->environment = (Environment){.file = parser->file, .names = names_open(ir->arena), .symbols = true};
    static const Op ends[] = {OP_begin, OP_end};
    for (int i = 0; i < 2; i++)
        names_bind(parser->environment.names, name_intern(ir->arena, i ? "%end" : "%begin"),
                   node_make(ir, &(Node){.op = ends[i], .type = type_scalar(DTYPE_INDEX)}));
}

/* ---- statements ---- */

static bool parse_block(Parser *parser, const Sexpr *text, Block *block, int level);

/* Makes an ordered node, if its operands suit it, and puts it into the block. */
static Node *append(Parser *parser, Block *block, const Node *draft, const Sexpr *at)
{
    const char *const problem = operands_problem(parser->ir->arena, draft, false);
    if (problem)
        return FAIL(parser, at, "%s: %s", op_name(draft->op), problem);
    Node *const node = node_make(parser->ir, draft);
    block_append(parser->ir, block, node);
    return node;
}

static Block *parse_nested(Parser *parser, Cursor *cursor)
{
    const Sexpr *const text = cursor_want(parser, cursor, SEXPR_BLOCK, "a block in braces");
    if (!text)
        return NULL;
    Block *const block = block_make(parser->ir);
    const Where *const where = parser->ir->where;
    names_enter(parser->environment.names);
    const bool good = parse_block(parser, text, block, LEVEL_KERNEL);
    names_leave(parser->environment.names);
    parser->ir->where = where;
    return good ? block : NULL;
}

static bool parse_for(Parser *parser, Cursor *cursor, Block *block, const Sexpr *at)
{
    Name name;
    Node *inputs[3] = {NULL, NULL, index_const(parser->ir, 1)};
    if (!parse_name(parser, cursor, &name) || !cursor_want_atom(parser, cursor, "in") ||
        !(inputs[0] = parse_expression(parser, cursor)) || !cursor_want_atom(parser, cursor, "..") ||
        !(inputs[1] = parse_expression(parser, cursor)))
        return false;
    if (cursor_take(cursor, "step") && !(inputs[2] = parse_expression(parser, cursor)))
        return false;
    Node *axis = axis_make(parser->ir, name + 1, NULL);
    names_enter(parser->environment.names);
    names_bind(parser->environment.names, name, axis);
    Block *body = parse_nested(parser, cursor);
    names_leave(parser->environment.names);
    return body && append(parser, block,
                          &(Node){.op = OP_for,
                                  .inputs = inputs,
                                  .input_count = 3,
                                  .axes = &axis,
                                  .axis_count = 1,
                                  .blocks = &body,
                                  .block_count = 1},
                          at);
}

static bool parse_if(Parser *parser, Cursor *cursor, Block *block, const Sexpr *at)
{
    Node *condition = parse_expression(parser, cursor);
    Block *blocks[2] = {condition ? parse_nested(parser, cursor) : NULL, NULL};
    if (!blocks[0])
        return false;
    const bool otherwise = cursor_take(cursor, "else");
    if (otherwise && !(blocks[1] = parse_nested(parser, cursor)))
        return false;
    return append(parser, block,
                  &(Node){.op = OP_if,
                          .inputs = &condition,
                          .input_count = 1,
                          .blocks = blocks,
                          .block_count = otherwise ? 2 : 1},
                  at) != NULL;
}

static bool parse_loop(Parser *parser, Cursor *cursor, Block *block, const Sexpr *at)
{
    Block *body = parse_nested(parser, cursor);
    return body && append(parser, block, &(Node){.op = OP_loop, .blocks = &body, .block_count = 1}, at);
}

static bool parse_var(Parser *parser, Cursor *cursor, Block *block, const Sexpr *at)
{
    Name name;
    if (!parse_name(parser, cursor, &name) || !cursor_want_atom(parser, cursor, "="))
        return false;
    Node *initial = parse_expression(parser, cursor);
    if (!initial)
        return false;
    Node *const node = append(parser, block,
                              &(Node){.op = OP_var,
                                      .type = initial->type,
                                      .inputs = &initial,
                                      .input_count = 1,
                                      .payload.name = name_intern(parser->ir->arena, name + 1)},
                              at);
    if (node)
        names_bind(parser->environment.names, name, node);
    return node != NULL;
}

static bool parse_launch(Parser *parser, Cursor *cursor, Block *block, const Sexpr *at)
{
    const Name kernel = parse_title(parser, cursor);
    if (!kernel)
        return FAIL(parser, cursor_peek(cursor), "the name of a kernel is expected here");
    const Sexpr *const list = cursor_want(parser, cursor, SEXPR_LIST, "the buffers in parentheses");
    if (!list)
        return false;
    Node **const inputs = NEW_ARRAY(parser->ir->arena, Node *, (size_t)list->count + 1);
    Cursor items = {list, 0};
    for (int i = 0; i < list->count; i++)
        if (!(inputs[i] = parse_expression(parser, &items)))
            return false;
    return append(
               parser, block,
               &(Node){.op = OP_launch, .inputs = inputs, .input_count = (uint32_t)list->count, .payload.name = kernel},
               at) != NULL;
}

/* %t1 = (..), %v1 = (get %x) */
static bool parse_definition(Parser *parser, Cursor *cursor, Block *block)
{
    Name name;
    if (!parse_name(parser, cursor, &name) || !cursor_want_atom(parser, cursor, "="))
        return false;
    const Sexpr *const at = cursor_peek(cursor);
    Node *const node = parse_expression(parser, cursor);
    if (!node)
        return false;
    if (op_kind(node->op) == KIND_ORDERED && at->kind == SEXPR_LIST) {
        if (!block)
            return FAIL(parser, at, "%s belongs into a body", op_name(node->op));
        block_append(parser->ir, block, node);
    }
    names_bind(parser->environment.names, name, node);
    return true;
}

/* Statements that are a word and operands. */
typedef struct Simple {
    const char *word;
    Op op;
    int operands, levels;
    bool mask, number;
} Simple;
static const Simple simple[] = {
    /* word      op           operands levels                       mask   number */
    {"break", OP_break, 1, LEVEL_KERNEL, false, false},
    {"set", OP_set, 2, LEVEL_KERNEL, false, false},
    {"store", OP_store, 3, LEVEL_KERNEL, true, false},
    {"scatter", OP_scatter, 3, LEVEL_KERNEL, true, false},
    {"check", OP_check, 1, LEVEL_KERNEL | LEVEL_PROGRAM, false, true},
    {"prefetch", OP_prefetch, 2, LEVEL_KERNEL, false, true},
    {"barrier", OP_barrier, 0, LEVEL_KERNEL, false, false},
    {"copy_async", OP_copy_async, 4, LEVEL_KERNEL, true, true},
    {"copy_commit", OP_copy_commit, 0, LEVEL_KERNEL, false, false},
    {"copy_wait", OP_copy_wait, 0, LEVEL_KERNEL, false, true},
    {"tile_zero", OP_tile_zero, 0, LEVEL_KERNEL, false, true},
    {"tile_load", OP_tile_load, 2, LEVEL_KERNEL, false, true},
    {"tile_store", OP_tile_store, 2, LEVEL_KERNEL, false, true},
    {"tile_dot", OP_tile_dot, 0, LEVEL_KERNEL, false, true},
};

static bool parse_simple(Parser *parser, Cursor *cursor, const Simple *row, Block *block, const Sexpr *at)
{
    Node *inputs[5];
    Node draft = {.op = row->op, .inputs = inputs};
    for (int i = 0; i < row->operands; i++)
        if (!(inputs[draft.input_count++] = parse_expression(parser, cursor)))
            return false;
    if (row->mask && cursor_take(cursor, "mask") && !(inputs[draft.input_count++] = parse_expression(parser, cursor)))
        return false;
    if (row->number && !parse_integer(parser, cursor, INT32_MIN, INT32_MAX, &draft.payload.integer))
        return false;
    return append(parser, block, &draft, at) != NULL;
}

/* ---- kernels ---- */

static bool parse_axes(Parser *parser, const Sexpr *list, Node **axes, int *count)
{
    if (list->count % 3 || list->count > 3 * RANK_MAX)
        return FAIL(parser, list, "axes are at most %d of the form: %%name in extent", RANK_MAX);
    for (int i = 0; i < list->count; i += 3) {
        Cursor cursor = {list, i + 2};
        if (!sexpr_is(&list->items[i + 1], "in") || list->items[i].kind != SEXPR_ATOM)
            return FAIL(parser, &list->items[i], "an axis has the form: %%name in extent");
        axes[i / 3] = parse_expression(parser, &cursor);
        if (!axes[i / 3])
            return false;
    }
    names_enter(parser->environment.names);
    *count = list->count / 3;
    for (int i = 0; i < *count; i++) {
        Cursor cursor = {list, 3 * i};
        Name name;
        Node *extent = axes[i];
        if (!parse_name(parser, &cursor, &name))
            return false;
        if (extent->type.dtype != DTYPE_INDEX || extent->type.lanes != 1 || extent->type.rank >= 0)
            return FAIL(parser, &list->items[3 * i + 2], "the extent of an axis is an index, not %s",
                        operand_type_text(parser->ir->arena, extent));
        axes[i] = axis_make(parser->ir, name + 1, extent);
        names_bind(parser->environment.names, name, axes[i]);
    }
    return true;
}

/* word=N after the axes, from `least` to `most`; -1: it is not there. */
static bool parse_count(Parser *parser, Cursor *cursor, const char *word, int least, int most, int64_t *count)
{
    const size_t length = strlen(word);
    *count = -1;
    if (!cursor_more(cursor) || cursor_peek(cursor)->kind != SEXPR_ATOM ||
        strncmp(cursor_peek(cursor)->text, word, length) != 0)
        return true;
    const Sexpr *const atom = cursor_peek(cursor);
    cursor->at++;
    return (integer_read(atom->text + length, count) && *count >= least && *count <= most) ||
           FAIL(parser, atom, "%s takes %d to %d of the axes", word, least, most);
}

/* A step has the leading axes of the kernel's first stage instead of its own. */
static bool share_axes(Parser *parser, const Block *block, const Sexpr *list, Node **axes, int leading, int64_t number)
{
    const Node *const first = block->count ? block->nodes[0] : NULL;
    if (!first)
        return true;
    if (first->op != OP_stage || first->payload.integer != number)
        return FAIL(parser, list, "the steps of a kernel share their leading axes and how many of them run in order");
    for (int i = 0; i < leading; i++) {
        if (first->axes[i]->inputs[0] != axes[i]->inputs[0])
            return FAIL(parser, list, "axis %d of this step has another extent than that of the first", i + 1);
        names_bind(parser->environment.names, name_intern(parser->ir->arena, list->items[3 * i].text), first->axes[i]);
        axes[i] = first->axes[i];
    }
    return true;
}

/* ordered=N and, for steps, within=N after the axes. */
static bool parse_order(Parser *parser, Cursor *cursor, const Block *block, const Sexpr *list, Node **axes, int count,
                        int64_t *number)
{
    int64_t ordered, within;
    if (!parse_count(parser, cursor, "ordered=", 1, count, &ordered) ||
        !parse_count(parser, cursor, "within=", 0, count - (ordered > 0 ? (int)ordered : 0), &within))
        return false;
    *number = ordered > 0 ? ordered : 0;
    if (within < 0)
        return true;
    if (ordered < 1)
        return FAIL(parser, list, "within= stands after ordered=");
    *number += (count - within + 1) * STAGE_STEP;
    return share_axes(parser, block, list, axes, count - (int)within, *number);
}

/* A stage between `stage` and its end: either order of head and axes. Opens a scope of names that parse_stage closes.
 */
static bool parse_stage_parts(Parser *parser, Cursor *cursor, Block *block, const Sexpr *at)
{
    Node *axes[RANK_MAX], *indices[RANK_MAX + 2];
    int axis_count = 0;
    const bool braces = cursor_is(cursor, "over");
    Cursor target = *cursor;
    cursor->at += braces ? 0 : 2;
    const Sexpr *const list = cursor_want_atom(parser, cursor, "over")
                                  ? cursor_want(parser, cursor, SEXPR_LIST, "axes in parentheses")
                                  : NULL;
    int64_t number;
    if (!list || !parse_axes(parser, list, axes, &axis_count) ||
        !parse_order(parser, cursor, block, list, axes, axis_count, &number))
        return false;
    if (braces) {
        const Sexpr *const inner = cursor_want(parser, cursor, SEXPR_BLOCK, "a block in braces");
        if (!inner)
            return false;
        target = (Cursor){inner, 0};
        while (target.at + 1 < inner->count && inner->items[target.at + 1].kind == SEXPR_ATOM)
            if (!parse_definition(parser, &target, NULL))
                return false;
    }
    Node *const buffer = parse_expression(parser, &target);
    const Sexpr *const left = buffer ? cursor_want(parser, &target, SEXPR_VECTOR, "indices in square brackets") : NULL;
    if (!left)
        return false;
    if (buffer->op != OP_buffer || buffer->type.rank != left->count)
        return FAIL(parser, left, "a stage writes a buffer with as many indices as it has dims");
    Cursor items = {left, 0};
    indices[0] = buffer;
    for (int i = 0; i < left->count; i++)
        if (!(indices[i + 2] = parse_expression(parser, &items)))
            return false;
    Cursor *const rest = braces ? &target : cursor;
    if (!cursor_want_atom(parser, rest, "=") || !(indices[1] = parse_expression(parser, rest)))
        return false;
    if (braces && cursor_more(&target))
        return FAIL(parser, cursor_peek(&target), "the stage goes on after its value");
    return append(parser, block,
                  &(Node){.op = OP_stage,
                          .inputs = indices,
                          .input_count = (uint32_t)left->count + 2,
                          .axes = axes,
                          .axis_count = (uint16_t)axis_count,
                          .payload.integer = number},
                  at) != NULL;
}

bool parse_stage(Parser *parser, Cursor *cursor, Block *block, const Sexpr *at)
{
    const int depth = names_depth(parser->environment.names);
    const bool good = parse_stage_parts(parser, cursor, block, at);
    while (names_depth(parser->environment.names) > depth)
        names_leave(parser->environment.names);
    return good;
}

static bool parse_wheres(Parser *parser, Cursor *cursor, Kernel *kernel)
{
    int count = 0;
    const int first = cursor->at;
    while (cursor_take(cursor, "from")) {
        if (!cursor_want(parser, cursor, SEXPR_STRING, "the name of a node in quotes"))
            return false;
        count++;
    }
    const Where **const wheres = NEW_ARRAY(parser->ir->arena, const Where *, (size_t)count + 1);
    for (int i = 0; i < count; i++) {
        const Sexpr *const name = &cursor->block->items[first + 2 * i + 1];
        Where *const where = parser_place(parser, name);
        where->node = name_intern_bytes(parser->ir->arena, name->text, (size_t)name->count);
        wheres[i] = where;
    }
    kernel->wheres = count ? wheres : NULL;
    return true;
}

static bool parse_kernel_head(Parser *parser, Cursor *cursor, Kernel *kernel)
{
    if (cursor_take(cursor, "schedule")) {
        const Sexpr *const schedule = cursor_want(parser, cursor, SEXPR_STRING, "a schedule in quotes");
        if (!schedule)
            return false;
        kernel->schedule = schedule->text;
    }
    if (cursor_take(cursor, "units")) {
        const Sexpr *const at = cursor_peek(cursor);
        kernel->units = parse_expression(parser, cursor);
        if (!kernel->units)
            return false;
        if (kernel->units->type.dtype != DTYPE_INDEX || kernel->units->type.lanes != 1 || kernel->units->type.rank >= 0)
            return FAIL(parser, at, "units are an index");
    }
    int64_t threads = 0;
    if (cursor_take(cursor, "threads") && !parse_integer(parser, cursor, 1, THREADS_MAX, &threads))
        return false;
    kernel->threads = (int)threads;
    if (cursor_take(cursor, "scratch") && !parse_integer(parser, cursor, 0, INT64_MAX, &kernel->scratch))
        return false;
    return parse_wheres(parser, cursor, kernel);
}

static bool parse_kernel_block(Parser *parser, const Sexpr *text, Block *stages, Block **body)
{
    Cursor cursor = {text, 0};
    while (cursor_more(&cursor)) {
        const Sexpr *const at = cursor_peek(&cursor);
        parser_place(parser, at);
        bool good;
        if (*body)
            good = FAIL(parser, at, "the body ends the kernel");
        else if (cursor_take(&cursor, "local"))
            good = parse_buffer(parser, &cursor, PLACE_LOCAL);
        else if (cursor_take(&cursor, "shared"))
            good = parse_buffer(parser, &cursor, PLACE_SHARED);
        else if (cursor_take(&cursor, "stage"))
            good = parse_stage(parser, &cursor, stages, at);
        else if (cursor_take(&cursor, "body"))
            good = (*body = parse_nested(parser, &cursor)) != NULL;
        else
            good = parse_definition(parser, &cursor, NULL);
        if (!good)
            return false;
    }
    return true;
}

static bool parse_kernel_node(Parser *parser, Cursor *cursor, Block *block)
{
    Kernel *const kernel = NEW(parser->ir->arena, Kernel);
    kernel->name = parse_title(parser, cursor);
    const Sexpr *const list = cursor_want(parser, cursor, SEXPR_LIST, "parameters in parentheses");
    if (!list)
        return false;
    Node **const inputs = NEW_ARRAY(parser->ir->arena, Node *, (size_t)list->count + 1);
    Cursor items = {list, 0};
    for (int i = 0; i < list->count; i++) {
        inputs[i] = parse_expression(parser, &items);
        if (!inputs[i])
            return false;
        if (inputs[i]->op != OP_buffer && inputs[i]->op != OP_symbol)
            return FAIL(parser, &list->items[i], "a parameter is a buffer or a symbol");
    }
    const Sexpr *const text = parse_kernel_head(parser, cursor, kernel)
                                  ? cursor_want(parser, cursor, SEXPR_BLOCK, "the kernel in braces")
                                  : NULL;
    if (!text)
        return false;
    Block *blocks[2] = {block_make(parser->ir), NULL};
    const Where *const where = parser->ir->where;
    names_enter(parser->environment.names);
    if (kernel->threads)
        names_bind(parser->environment.names, name_intern(parser->ir->arena, "%thread"),
                   thread_make(parser->ir, kernel->threads));
    const bool good = parse_kernel_block(parser, text, blocks[0], &blocks[1]);
    names_leave(parser->environment.names);
    parser->ir->where = where;
    if (good)
        block_append(parser->ir, block,
                     node_make(parser->ir, &(Node){.op = OP_kernel,
                                                   .inputs = inputs,
                                                   .input_count = (uint32_t)list->count,
                                                   .blocks = blocks,
                                                   .block_count = blocks[1] ? 2 : 1,
                                                   .payload.kernel = kernel}));
    return good;
}

/* ---- blocks ---- */

/* Statements with blocks or names of their own. */
typedef struct Structured {
    const char *word;
    int levels;
    bool (*parse)(Parser *parser, Cursor *cursor, Block *block, const Sexpr *at);
} Structured;
static const Structured structured[] = {
    {"for", LEVEL_KERNEL, parse_for}, {"if", LEVEL_KERNEL, parse_if},          {"loop", LEVEL_KERNEL, parse_loop},
    {"var", LEVEL_KERNEL, parse_var}, {"launch", LEVEL_PROGRAM, parse_launch},
};

static bool parse_statement(Parser *parser, Cursor *cursor, Block *block, int level)
{
    const Sexpr *const at = cursor_peek(cursor);
    for (size_t i = 0; i < sizeof structured / sizeof *structured; i++)
        if (structured[i].levels & level && cursor_take(cursor, structured[i].word))
            return structured[i].parse(parser, cursor, block, at);
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
        if (simple[i].levels & level && cursor_take(cursor, simple[i].word))
            return parse_simple(parser, cursor, &simple[i], block, at);
    if (level == LEVEL_PROGRAM && cursor_take(cursor, "buffer"))
        return parse_buffer(parser, cursor, PLACE_TEMP);
    if (level == LEVEL_PROGRAM && cursor_take(cursor, "kernel"))
        return parse_kernel_node(parser, cursor, block);
    if (at->kind == SEXPR_ATOM && at->text[0] == '%')
        return parse_definition(parser, cursor, level == LEVEL_KERNEL ? block : NULL);
    return FAIL(parser, at, "no statement starts like this");
}

static bool parse_block(Parser *parser, const Sexpr *text, Block *block, int level)
{
    Cursor cursor = {text, 0};
    while (cursor_more(&cursor)) {
        parser_place(parser, cursor_peek(&cursor));
        if (!parse_statement(parser, &cursor, block, level))
            return false;
    }
    return true;
}

Module *parse_module(Ir *ir, const char *file, const char *text, size_t length, const ParseOptions *options)
{
    Parser parser;
    parser_open(&parser, ir, file, options);
    const Sexpr *block = sexpr_read_all(ir->arena, ir->diagnostics, parser.file, text, length);
    if (!block)
        return NULL;
    const Where *const where = ir->where;
    Module *const module = NEW(ir->arena, Module);
    Cursor cursor = {block, 0};
    if (cursor_take(&cursor, "module")) {
        module->name = parse_title(&parser, &cursor);
        block = cursor_want(&parser, &cursor, SEXPR_BLOCK, "the module in braces");
        if (block && cursor_more(&cursor))
            block = FAIL(&parser, cursor_peek(&cursor), "the text goes on after the module");
    }
    module->body = block_make(ir);
    const bool good = block && parse_block(&parser, block, module->body, LEVEL_PROGRAM);
    ir->where = where;
    module->inputs = parser.inputs;
    module->input_names = parser.input_names;
    module->input_count = parser.input_count;
    module->outputs = parser.outputs;
    module->output_names = parser.output_names;
    module->output_count = parser.output_count;
    return good ? module : NULL;
}

Node *parse_kernel(Ir *ir, const char *file, const char *text, size_t length)
{
    const Module *const module = parse_module(ir, file, text, length, NULL);
    if (!module)
        return NULL;
    if (module->body->count == 1 && module->body->nodes[0]->op == OP_kernel)
        return module->body->nodes[0];
    const Where place = {.file = name_intern(ir->arena, file ? file : "text"), .line = 1, .column = 1};
    diag_error(ir->diagnostics, EXIT_MALFORMED, &place, "one kernel is expected here, not %d statements",
               module->body->count);
    return NULL;
}
