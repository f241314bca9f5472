/* What the files of the printer share: the text so far, the names given, the plan of the unit being printed. */
#ifndef LATHE_IR_PRINT_INTERNAL_H
#define LATHE_IR_PRINT_INTERNAL_H

#include "ir/print.h"
#include "ir/print_plan.h"
#include "ir/read.h"

typedef struct Printer {
    Arena *arena;
    int flags;
    char *text;
    size_t used, capacity;
    int indent;
    NodeMap names; /* nodes that have a name now: their text, with the % */
    Names *taken;  /* texts in use, and counters: see name_give */
    Node **named;  /* who was named, innermost scope last */
    size_t named_count, named_capacity;
    NodeMap symbols; /* canonical: d0, d1 .. */
    int symbol_count;
    Plan *plan;
} Printer;

void printer_open(Printer *printer, Arena *arena, int flags);
const char *printer_finish(Printer *printer, size_t *length);

/* ---- text ---- */
void put(Printer *printer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void put_line(Printer *printer); /* a new line, indented */
void put_string(Printer *printer, const char *bytes, size_t length);
void put_title(Printer *printer, const char *name); /* of a graph, module, kernel: bare when it can be */
void put_literal(Printer *printer, Dtype dtype, uint64_t bits);
void put_real(Printer *printer, double value); /* of an attribute: always tells itself from an integer */
/* The elements of a constant of `type`, or its hash when there are many; then its name. */
void put_constant(Printer *printer, Type type, const Constant *constant);
void put_layout(Printer *printer, const Layout *layout);

/* ---- names ---- */
/* Gives `node` a name like `base`, unique among the names in use. numbered_from < 0: the base itself when it is free,
 * else base.2 ..; otherwise the base and the next free number from there. Returns it, with the %. */
const char *name_give(Printer *printer, Node *node, const char *base, int numbered_from);
size_t scope_enter(Printer *printer); /* returns what scope_leave wants */
void scope_leave(Printer *printer, size_t mark);
const char *symbol_label(void *printer, const Node *symbol);

/* ---- expressions ---- */
void put_value(Printer *printer, Node *node);      /* its name, or its text */
void put_definition(Printer *printer, Node *node); /* its text, whatever its name */
void put_type(Printer *printer, Type type);
/* What op_leading says, behind the name of the operation. */
void put_leading(Printer *printer, const Node *node);
void put_axes(Printer *printer, Node *const *axes, int count); /* %c in C, %p in 3 without the brackets; names them */
void put_lines(Printer *printer, int item);                    /* %t1 = (..) before an item */

/* ---- graphs ---- */
void put_tensor_line(Printer *printer, Node *node);
void put_attributes(Printer *printer, const Node *node, const PlanNode *plan);
void put_graph(Printer *printer, const Graph *graph, int item);

#endif
