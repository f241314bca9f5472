/* Pure expressions as text. Nesting is as deep as the plan's weight limit lets it be: heavier expressions have lines
 * and names. */
#include "ir/mma.h"
#include "ir/operands.h"
#include "ir/print_internal.h"

#include <string.h>

void put_type(Printer *printer, Type type)
{
    put(printer, "%s%s", form_text[type.form], dtype_info[type.dtype].name);
    if (type.rank == RANK_UNKNOWN || type.rank == RANK_NONE) {
        put(printer, type.rank == RANK_NONE ? "[-]" : "[...]");
    } else if (type.rank >= 0) {
        put(printer, "[");
        for (int i = 0; i < type.rank; i++) {
            put(printer, "%s", i ? "," : "");
            if (type.dims[i])
                put_value(printer, type.dims[i]);
            else
                put(printer, "?");
        }
        put(printer, "]");
    } else if (type.lanes > 1) {
        put(printer, "x%d", type.lanes);
    }
}

void put_axes(Printer *printer, Node *const *axes, int count)
{
    const char *const base = printer->flags & PRINT_CANONICAL ? "i" : NULL;
    /* Extents belong to the scope around: none may see a sibling's name, and none can, for names come to be left to
     * right. */
    for (int i = 0; i < count; i++) {
        const char *const name = name_give(printer, axes[i], base ? base : axes[i]->payload.name, base ? 0 : -1);
        put(printer, "%s%s in ", i ? ", " : "", name);
        if (axes[i]->input_count)
            put_value(printer, axes[i]->inputs[0]);
    }
}

void put_lines(Printer *printer, int item)
{
    for (PlanNode *line = plan_lines(printer->plan, item); line; line = line->next) {
        put_line(printer);
        if (op_is_tensor(line->node->op) || line->node->op == OP_constant) {
            put_tensor_line(printer, line->node);
            continue;
        }
        put(printer, "%s = ", name_give(printer, line->node, "t", 1));
        put_definition(printer, line->node);
    }
}

/* ---- sums ---- */

static bool is_simple(const Printer *printer, const Node *atom)
{
    return map_get(&printer->names, atom) || atom->op == OP_symbol || atom->op == OP_begin || atom->op == OP_end ||
           atom->op == OP_thread;
}

static bool term_is_simple(const Printer *printer, const PlanTerm *term)
{
    for (int i = 0; i < term->count; i++)
        if (!is_simple(printer, term->atoms[i]))
            return false;
    return true;
}

static void put_infix(Printer *printer, const PlanTerm *terms, int count)
{
    for (int t = 0; t < count; t++) {
        const PlanTerm *const term = &terms[t];
        const bool one = term->count && (term->factor == 1 || term->factor == -1);
        put(printer, "%s", term->factor >= 0 ? (t ? "+" : "") : one ? "-" : "");
        if (!one)
            put(printer, "%lld", (long long)term->factor);
        for (int i = 0; i < term->count; i++) {
            put(printer, "%s", i || !one ? "*" : "");
            put_value(printer, term->atoms[i]);
        }
    }
}

static void put_product(Printer *printer, const PlanTerm *term)
{
    if (term->count == 1 && term->factor == 1) {
        put_value(printer, term->atoms[0]);
        return;
    }
    put(printer, "(mul");
    for (int i = 0; i < term->count; i++) {
        put(printer, " ");
        put_value(printer, term->atoms[i]);
    }
    if (term->factor != 1)
        put(printer, " %lld", (long long)term->factor);
    put(printer, ")");
}

/* 2*%i+N-1 where all atoms have names; else (add 2*%i (mul (floordiv N 2) 4)). */
static void put_sum(Printer *printer, const PlanNode *sum)
{
    int parts = 0;
    for (int t = 0; t < sum->term_count; t++)
        parts += t == 0 || !term_is_simple(printer, &sum->terms[t]) || !term_is_simple(printer, &sum->terms[t - 1]);
    put(printer, "%s", parts > 1 ? "(add" : "");
    for (int t = 0; t < sum->term_count;) {
        int end = t;
        while (end < sum->term_count && term_is_simple(printer, &sum->terms[end]))
            end++;
        put(printer, "%s", parts > 1 ? " " : "");
        if (end > t)
            put_infix(printer, &sum->terms[t], end - t);
        else
            put_product(printer, &sum->terms[end++]);
        t = end;
    }
    put(printer, "%s", parts > 1 ? ")" : "");
}

/* ---- lists ---- */

/* Definitions inside a fold stand in its list: (%t1 = (..)). */
static void put_inner_lines(Printer *printer, int item)
{
    for (PlanNode *line = plan_lines(printer->plan, item); line; line = line->next) {
        put(printer, " (%s = ", name_give(printer, line->node, "t", 1));
        put_definition(printer, line->node);
        put(printer, ")");
    }
}

void put_leading(Printer *printer, const Node *node)
{
    const int leading = op_leading(node->op) == LEADING_NONE ? 0 : op_leading(node->op);
    if (leading & LEADING_TYPE) {
        put(printer, " ");
        put_type(printer, node->type);
    }
    if (leading & LEADING_INTEGER)
        put(printer, " %lld", (long long)node->payload.integer);
    if (leading & LEADING_KIND)
        put(printer, " %s", node->payload.fold.kind < FOLD_KINDS ? fold_name[node->payload.fold.kind] : "?");
    if (leading & LEADING_LANES && node->payload.fold.lanes != 1)
        put(printer, " lanes=%d", node->payload.fold.lanes);
    if (leading & LEADING_ROW)
        put(printer, " %s", mma_row(node->payload.integer) ? mma_row(node->payload.integer)->name : "?");
}

static void put_list(Printer *printer, const Node *node)
{
    const PlanNode *const plan = printer->plan ? plan_find(printer->plan, node) : NULL;
    put(printer, "(%s", op_name(node->op));
    put_leading(printer, node);
    const bool binder = node->axis_count > 0;
    const size_t mark = binder ? scope_enter(printer) : 0;
    if (binder) {
        put(printer, " (");
        put_axes(printer, node->axes, node->axis_count);
        put(printer, ")");
        if (plan && plan->scope >= 0)
            put_inner_lines(printer, plan_only_item(printer->plan, plan->scope));
    }
    for (uint32_t i = 0; i < node->input_count; i++) {
        put(printer, " ");
        put_value(printer, node->inputs[plan && plan->swapped ? node->input_count - 1 - i : i]);
    }
    put_attributes(printer, node, plan);
    put(printer, ")");
    if (binder)
        scope_leave(printer, mark);
}

static void put_const(Printer *printer, const Node *node)
{
    put_literal(printer, node->type.dtype, node->payload.bits);
    const bool bare = node->type.lanes == 1 && (node->type.dtype == DTYPE_INDEX || node->type.dtype == DTYPE_BOOL);
    if (!bare) {
        put(printer, ":");
        put_type(printer, node->type);
    }
}

void put_definition(Printer *printer, Node *node)
{
    switch (node->op) {
    case OP_const:
        put_const(printer, node);
        return;
    case OP_symbol:
        put(printer, "%s", symbol_label(printer, node));
        return;
    case OP_begin:
    case OP_end:
    case OP_thread:
        put(printer, "%%%s", op_name(node->op));
        return;
    case OP_omitted:
        put(printer, "_");
        return;
    case OP_axis: /* without a name only outside its binder: in messages, or the verifier's to report */
    case OP_input:
        put(printer, "%%%s", node->payload.name);
        return;
    case OP_buffer:
        put(printer, "%%%s", node->payload.buffer->name ? node->payload.buffer->name : "buffer");
        return;
    default:
        break;
    }
    if (op_kind(node->op) == KIND_ORDERED) {
        put(printer, "%%%s", op_name(node->op));
        return;
    }
    const PlanNode *const plan = printer->plan ? plan_find(printer->plan, node) : NULL;
    if (plan && plan->term_count)
        put_sum(printer, plan);
    else
        put_list(printer, node);
}

void put_value(Printer *printer, Node *node)
{
    const char *const name = map_get(&printer->names, node);
    if (name)
        put(printer, "%s", name);
    else
        put_definition(printer, node);
}

static const char *print_alone(Arena *arena, Node *node, const Type *type)
{
    Printer printer;
    printer_open(&printer, arena, PRINT_PLAIN);
    printer.plan = plan_open(arena, &printer.names, symbol_label, &printer);
    const int item = plan_item(printer.plan, plan_scope(printer.plan, -1, -1));
    if (node)
        plan_use(printer.plan, item, node);
    else
        plan_use_dims(printer.plan, item, *type);
    plan_settle(printer.plan);
    put_lines(&printer, item);
    if (printer.used)
        put_line(&printer);
    if (node)
        put_value(&printer, node);
    else
        put_type(&printer, *type);
    return printer_finish(&printer, NULL);
}

const char *print_expression(Arena *arena, Node *node)
{
    return print_alone(arena, node, NULL);
}

const char *print_type(Arena *arena, Type type)
{
    return print_alone(arena, NULL, &type);
}
