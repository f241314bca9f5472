/* Tensor graphs: `graph name { input %x : f32[N] ... %1 = (Relu %x) : f32[N] from "node" ... output %1 "y" }`. */
#include "ir/ops/ops.h"
#include "ir/parse_internal.h"

#include <string.h>

enum { RESULTS_MAX = 1024 };

typedef struct GraphDraft {
    Graph *graph;
    Name *input_names, *output_names;
    int input_capacity, output_capacity;
    bool named; /* some output has a public name */
} GraphDraft;

static void grow(Arena *arena, Node ***nodes, Name **names, int count, int *capacity)
{
    if (count < *capacity)
        return;
    *capacity = count ? count * 2 : 8;
    Node **const more_nodes = NEW_ARRAY(arena, Node *, (size_t)*capacity);
    Name *const more_names = NEW_ARRAY(arena, Name, (size_t)*capacity);
    if (count) {
        memcpy(more_nodes, *nodes, (size_t)count * sizeof *more_nodes);
        memcpy(more_names, *names, (size_t)count * sizeof *more_names);
    }
    *nodes = more_nodes;
    *names = more_names;
}

static bool parse_input(Parser *parser, Cursor *cursor, GraphDraft *draft)
{
    Name name;
    Type type;
    if (!parse_name(parser, cursor, &name))
        return false;
    const Sexpr *const public = cursor_kind(cursor, SEXPR_STRING);
    const Name real = public ? name_intern_bytes(parser->ir->arena, public->text, (size_t) public->count)
                             : name_intern(parser->ir->arena, name + 1);
    if (!cursor_want_atom(parser, cursor, ":") || !parse_value_type(parser, cursor, &type))
        return false;
    Graph *const graph = draft->graph;
    grow(parser->ir->arena, &graph->inputs, &draft->input_names, graph->input_count, &draft->input_capacity);
    Node *const input = input_make(parser->ir, real, type);
    draft->input_names[graph->input_count] = real;
    graph->inputs[graph->input_count++] = input;
    names_bind(parser->environment.names, name, input);
    return true;
}

static bool parse_output(Parser *parser, Cursor *cursor, GraphDraft *draft)
{
    const Sexpr *const at = cursor_peek(cursor);
    Node *const node = parse_expression(parser, cursor);
    if (!node)
        return false;
    if (node->type.rank == -1 || node->result_count > 1)
        return FAIL(parser, at, "an output is a tensor");
    Graph *const graph = draft->graph;
    const Sexpr *const public = cursor_kind(cursor, SEXPR_STRING);
    grow(parser->ir->arena, &graph->outputs, &draft->output_names, graph->output_count, &draft->output_capacity);
    if (public)
        draft->output_names[graph->output_count] =
            name_intern_bytes(parser->ir->arena, public->text, (size_t) public->count);
    draft->named = draft->named || public;
    graph->outputs[graph->output_count++] = node;
    return true;
}

static bool parse_from(Parser *parser, Cursor *cursor, Where *where)
{
    if (!cursor_take(cursor, "from"))
        return true;
    const Sexpr *const name = cursor_want(parser, cursor, SEXPR_STRING, "the name of a node in quotes");
    if (name)
        where->node = name_intern_bytes(parser->ir->arena, name->text, (size_t)name->count);
    return name != NULL;
}

/* What stands behind an operator: the types of its results, the node it is from. */
typedef struct Behind {
    int count; /* of types; 0: not stated */
    Type *types;
    const Sexpr **places;
    Cursor end;
} Behind;

/* The place of types and `from` is behind the expression, but its nodes are to carry them: look ahead. */
static bool read_behind(Parser *parser, const Cursor *cursor, int count, Where *where, Behind *behind)
{
    *behind = (Behind){.end = {cursor->block, cursor->at + 1}};
    if (cursor_take(&behind->end, ":")) {
        behind->types = NEW_ARRAY(parser->ir->arena, Type, (size_t)count);
        behind->places = NEW_ARRAY(parser->ir->arena, const Sexpr *, (size_t)count);
        for (; behind->count < count; behind->count++) {
            behind->places[behind->count] = cursor_peek(&behind->end);
            if (!parse_value_type(parser, &behind->end, &behind->types[behind->count]))
                return false;
        }
    }
    return parse_from(parser, &behind->end, where);
}

/* The stated types have to be those that the operator gives: the text is a record, not a command. (What a step of a
 * script gives, it says itself: see make_tensor.) */
static bool check_types(Parser *parser, const Behind *behind, Node *node)
{
    for (int i = 0; i < behind->count; i++) {
        const Type given = behind->count > 1 ? node->results[i]->type : node->type;
        if (!type_equal(behind->types[i], given))
            return FAIL(parser, behind->places[i], "the operator gives %s, not %s", type_text(parser->ir, given),
                        type_text(parser->ir, behind->types[i]));
    }
    return true;
}

static bool bind_results(Parser *parser, const Name *names, int count, Node *node, const Sexpr *at)
{
    if (count > 1 && node->result_count != count)
        return FAIL(parser, at, "%d names stand here for %d results", count,
                    node->result_count > 1 ? node->result_count : 1);
    for (int i = 0; i < count; i++)
        names_bind(parser->environment.names, names[i], count > 1 ? node->results[i] : node);
    return true;
}

static bool parse_definition(Parser *parser, Cursor *cursor)
{
    Where *const where = parser_place(parser, cursor_peek(cursor));
    int count = 0;
    while (cursor->at + count < cursor->block->count && !sexpr_is(&cursor->block->items[cursor->at + count], "="))
        if (++count > RESULTS_MAX)
            return FAIL(parser, cursor_peek(cursor), "no '=' follows");
    Name *const names = NEW_ARRAY(parser->ir->arena, Name, (size_t)count);
    for (int i = 0; i < count; i++)
        if (!parse_name(parser, cursor, &names[i]))
            return false;
    if (!cursor_more(cursor))
        return FAIL(parser, cursor_peek(cursor), "no '=' follows");
    cursor->at++;
    const Sexpr *const at = cursor_peek(cursor);
    if (count == 0)
        return FAIL(parser, at, "a name is missing before '='");
    if (cursor_take(cursor, "constant")) {
        Type type;
        if (!parse_tensor_type(parser, cursor, &type))
            return false;
        const Constant *const constant = parse_constant(parser, cursor, type);
        return constant && bind_results(parser, names, count, constant_make(parser->ir, type, constant), at);
    }
    Behind behind = {.end = *cursor};
    if (cursor_more(cursor) && !read_behind(parser, cursor, count, where, &behind))
        return false;
    parser->environment.output_count = count;
    parser->stated = behind.types;
    parser->stated_count = behind.count;
    Node *const node = parse_expression(parser, cursor);
    parser->stated_count = 0;
    *cursor = behind.end;
    return node && bind_results(parser, names, count, node, at) && check_types(parser, &behind, node);
}

Graph *parse_graph_block(Parser *parser, Name name, const Sexpr *block)
{
    Cursor cursor = {block, 0};
    GraphDraft draft = {.graph = NEW(parser->ir->arena, Graph)};
    draft.graph->name = name;
    names_enter(parser->environment.names);
    bool good = true;
    while (good && cursor_more(&cursor)) {
        parser_place(parser, cursor_peek(&cursor));
        if (cursor_take(&cursor, "input"))
            good = parse_input(parser, &cursor, &draft);
        else if (cursor_take(&cursor, "output"))
            good = parse_output(parser, &cursor, &draft);
        else
            good = parse_definition(parser, &cursor);
    }
    names_leave(parser->environment.names);
    draft.graph->input_names = draft.input_names;
    draft.graph->output_names = draft.named ? draft.output_names : NULL;
    return good ? draft.graph : NULL;
}

/* Numbers among the operands of a tensor operator are rank-0 constants. */
static Node *make_tensor(void *context, Op op, Node **inputs, int count, int output_count, const Attribute *attributes,
                         int attribute_count)
{
    Parser *const parser = context;
    for (int i = 0; i < count; i++)
        if (inputs[i]->op == OP_const)
            inputs[i] = constant_scalar(parser->ir, inputs[i]->type.dtype, const_as_double(inputs[i]));
    if (parser->stated_count != output_count || op_rows[op - OP_TENSOR_FIRST].meaning.form != MEANING_HOST)
        return tensor_make(parser->ir, op, inputs, count, output_count, attributes, attribute_count);
    const Type *const stated = parser->stated;
    parser->stated_count = 0; /* of the outermost operator alone */
    return tensor_make_typed(parser->ir, op, inputs, count, output_count, attributes, attribute_count, stated);
}

static Graph *read_graph(void *context, const Sexpr *name, const Sexpr *block)
{
    Parser *const parser = context;
    const Where *const where = parser->ir->where;
    const int outputs = parser->environment.output_count, stated_count = parser->stated_count;
    const Type *const stated = parser->stated;
    const uint32_t scope = ir_scope_open(parser->ir);
    Graph *const graph = parse_graph_block(
        parser, name ? name_intern_bytes(parser->ir->arena, name->text, (size_t)name->count) : NULL, block);
    ir_scope_close(parser->ir);
    if (graph)
        graph->scope = scope;
    parser->ir->where = where;
    parser->environment.output_count = outputs;
    parser->stated = stated;
    parser->stated_count = stated_count;
    return graph;
}

Graph *parse_graph(Ir *ir, const char *file, const char *text, size_t length, const ParseOptions *options)
{
    Parser parser;
    parser_open(&parser, ir, file, options);
    parser.environment.make_tensor = make_tensor;
    parser.environment.read_graph = read_graph;
    parser.environment.context = &parser;
    const Sexpr *const all = sexpr_read_all(ir->arena, ir->diagnostics, parser.file, text, length);
    if (!all)
        return NULL;
    const Where *const where = ir->where;
    Cursor cursor = {all, 0};
    Graph *graph = NULL;
    if (cursor_want_atom(&parser, &cursor, "graph")) {
        const Name name = parse_title(&parser, &cursor);
        const Sexpr *const block = cursor_want(&parser, &cursor, SEXPR_BLOCK, "the graph in braces");
        graph = block ? parse_graph_block(&parser, name, block) : NULL;
        if (graph && cursor_more(&cursor))
            graph = FAIL(&parser, cursor_peek(&cursor), "the text goes on after the graph");
    }
    ir->where = where;
    return graph;
}
