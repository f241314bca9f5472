/* What the files of custom operators share: a definition, and a definition over the inputs of one node. */
#ifndef LATHE_IR_CUSTOM_INTERNAL_H
#define LATHE_IR_CUSTOM_INTERNAL_H

#include "ir/custom.h"
#include "ir/ops/ops.h"
#include "ir/parse_internal.h"

enum { CUSTOM_INPUTS = 32, CUSTOM_OUTPUTS = 32, CUSTOM_ATTRIBUTES = 32, CUSTOM_LETS = 64 };

struct CustomOperator {
    Name domain, name;
    const char *file, *text; /* of the whole file */
    size_t length;
    int number;         /* of the operator in its file */
    const Sexpr *place; /* the word operator */
    const Sexpr *block;
    bool stages;        /* inputs and outputs have types: stages, or an external function */
    Name external;      /* symbol of a function of the user's, or NULL */
    const char *object; /* file that has it, or NULL */
    int input_count, output_count, attribute_count;
    Attribute attributes[CUSTOM_ATTRIBUTES]; /* defaults; kind as declared */
    bool required[CUSTOM_ATTRIBUTES];
    struct CustomOperator *next;
};

/* A definition over the inputs of one node. */
typedef struct Use {
    Parser parser;
    Ir *ir;
    const CustomOperator *custom;
    Node *const *inputs;
    int input_count;
    Dtype variables[26]; /* T in T[N,M], by letter; DTYPE_NONE: not bound */
    Node *outputs[CUSTOM_OUTPUTS];
    int output_count;
} Use;

/* ---- custom.c ---- */
/* Is it the word that a statement begins with? Statements have no mark at their end. */
bool custom_statement_is(const Sexpr *item);
/* To the next of those words. */
void custom_statement_skip(Cursor *cursor);

/* ---- custom_use.c ---- */
Use *use_open(Ir *ir, const CustomOperator *custom, Node *const *inputs, int input_count, const Attribute *attributes,
              int attribute_count);
/* The node is named, and then the line of the definition. */
bool use_error(const Use *use, const Sexpr *at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A letter that stands for a type, as that type; other atoms as they are. */
Sexpr use_dtype_atom(Use *use, const Sexpr *atom);
/* What stands behind `input`: the name is bound, and names of dims and types with it. */
bool use_input_bind(Use *use, Cursor *cursor, int input);
/* `: T[N,M]` of a result or of a buffer between stages. */
bool use_result_type(Use *use, Cursor *cursor, Type *type);
/* Fills use->outputs with what an expansion gives. */
bool use_expand(Use *use);

/* ---- custom_stages.c ---- */
/* The definition that a node of it carries, over the node's inputs; NULL after a diagnostic. */
Use *custom_use_of(Ir *ir, const Node *node);
/* Binds inputs and gives the types of the results. */
bool custom_types(Use *use, Type *types);
/* What such a node carries: text, file, number, values; four of them. */
void custom_attributes(Ir *ir, const CustomOperator *custom, const Attribute *attributes, Attribute all[4]);
/* The operator lathe_Stages of this definition; NULL after a diagnostic. */
Node *custom_stages_make(Ir *ir, const CustomOperator *custom, Node *const *inputs, int input_count,
                         const Attribute *attributes);

/* ---- custom_external.c ---- */
/* The step lathe_External of this definition; NULL after a diagnostic. */
Node *custom_external_make(Ir *ir, const CustomOperator *custom, Node *const *inputs, int input_count,
                           const Attribute *attributes);

#endif
