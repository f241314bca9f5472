/* Tensor graphs as text: one operator a line, bodies of If, Loop and Scan as nested blocks. */
#include "ir/print_internal.h"

#include <string.h>

static void put_strings(Printer *printer, const Attribute *attribute)
{
    put(printer, "[%s", attribute->count ? "" : ":strings");
    for (int i = 0; i < attribute->count; i++) {
        put(printer, "%s", i ? " " : "");
        put_string(printer, attribute->strings[i], strlen(attribute->strings[i]));
    }
    put(printer, "]");
}

static void put_numbers(Printer *printer, const Attribute *attribute)
{
    const bool real = attribute->kind == ATTRIBUTE_FLOATS;
    put(printer, "[%s", real && !attribute->count ? ":floats" : "");
    for (int i = 0; i < attribute->count; i++) {
        put(printer, "%s", i ? " " : "");
        if (real)
            put_real(printer, attribute->reals[i]);
        else
            put(printer, "%lld", (long long)attribute->integers[i]);
    }
    put(printer, "]");
}

static void put_attribute(Printer *printer, const Attribute *attribute, int *scope)
{
    put(printer, " :%s ", attribute->name);
    switch (attribute->kind) {
    case ATTRIBUTE_INT:
        put(printer, "%lld", (long long)attribute->integer);
        return;
    case ATTRIBUTE_FLOAT:
        put_real(printer, attribute->real);
        return;
    case ATTRIBUTE_STRING:
        put_string(printer, attribute->string, (size_t)attribute->count);
        return;
    case ATTRIBUTE_INTS:
    case ATTRIBUTE_FLOATS:
        put_numbers(printer, attribute);
        return;
    case ATTRIBUTE_STRINGS:
        put_strings(printer, attribute);
        return;
    case ATTRIBUTE_TENSOR:
        put_value(printer, attribute->tensor);
        return;
    case ATTRIBUTE_GRAPH:
        put_graph(printer, attribute->graph, plan_only_item(printer->plan, (*scope)++));
        return;
    }
}

void put_attributes(Printer *printer, const Node *node, const PlanNode *plan)
{
    int scope = plan ? plan->scope : -1;
    for (int i = 0; i < node->attribute_count; i++)
        put_attribute(printer, &node->attributes[i], &scope);
}

static void put_where(Printer *printer, const Where *where)
{
    if (!where || !where->node || !*where->node)
        return;
    put(printer, " from ");
    put_string(printer, where->node, strlen(where->node));
}

void put_tensor_line(Printer *printer, Node *node)
{
    if (node->op == OP_constant) {
        const Constant *const constant = node->payload.constant;
        put(printer, "%s = constant ",
            name_give(printer, node, constant->name ? constant->name : "c", constant->name ? -1 : 1));
        put_type(printer, node->type);
        put_constant(printer, node->type, constant);
        return;
    }
    const int results = node->result_count > 1 ? node->result_count : 1;
    for (int i = 0; i < results; i++)
        put(printer, "%s ", name_give(printer, node->result_count > 1 ? node->results[i] : node, "", 1));
    put(printer, "= ");
    put_definition(printer, node);
    put(printer, " :");
    for (int i = 0; i < results; i++) {
        put(printer, " ");
        put_type(printer, node->result_count > 1 ? node->results[i]->type : node->type);
    }
    put_where(printer, node->where);
}

static bool same_as_name(const char *name, const char *given)
{
    return given && strcmp(given + 1, name) == 0;
}

static void put_input(Printer *printer, const Graph *graph, int i)
{
    Node *const input = graph->inputs[i];
    const char *const public =
        graph->input_names && graph->input_names[i] ? graph->input_names[i] : input->payload.name;
    put_line(printer);
    const char *const given = name_give(printer, input, public, -1);
    put(printer, "input %s", given);
    if (!same_as_name(public, given)) {
        put(printer, " ");
        put_string(printer, public, strlen(public));
    }
    put(printer, " : ");
    put_type(printer, input->type);
}

void put_graph(Printer *printer, const Graph *graph, int item)
{
    const size_t mark = scope_enter(printer);
    put(printer, "graph ");
    if (graph->name && *graph->name) {
        put_title(printer, graph->name);
        put(printer, " ");
    }
    put(printer, "{");
    printer->indent++;
    for (int i = 0; i < graph->input_count; i++)
        put_input(printer, graph, i);
    put_lines(printer, item);
    for (int i = 0; i < graph->output_count; i++) {
        put_line(printer);
        put(printer, "output ");
        put_value(printer, graph->outputs[i]);
        if (graph->output_names && graph->output_names[i]) {
            put(printer, " ");
            put_string(printer, graph->output_names[i], strlen(graph->output_names[i]));
        }
    }
    printer->indent--;
    put_line(printer);
    put(printer, "}");
    scope_leave(printer, mark);
}

const char *print_graph(Arena *arena, const Graph *graph, size_t *length)
{
    Printer printer;
    printer_open(&printer, arena, PRINT_PLAIN);
    printer.plan = plan_open(arena, &printer.names, symbol_label, &printer);
    const int item = plan_item(printer.plan, plan_scope(printer.plan, -1, -1));
    for (int i = 0; i < graph->input_count; i++) {
        plan_bind(printer.plan, graph->inputs[i]);
        plan_use_dims(printer.plan, item, graph->inputs[i]->type);
    }
    for (int i = 0; i < graph->output_count; i++)
        plan_use(printer.plan, item, graph->outputs[i]);
    plan_settle(printer.plan);
    put_graph(&printer, graph, item);
    put(&printer, "\n");
    return printer_finish(&printer, length);
}
