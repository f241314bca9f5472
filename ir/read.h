/* Text into trees into nodes: the reader of S-expressions, and the builder that makes pure expressions of them.
 *
 * Everything that Lathe reads as text (IR files, operator rows, rewrite rules) is one notation: atoms, "strings",
 * (lists), [vectors], {blocks}; commas are white space, `;` starts a comment. The reader knows nothing of operations;
 * the builder knows only expressions; statements are ir/parse.c's. Neither recurses, whatever the text. Errors are
 * EXIT_MALFORMED with file:line:column. */
#ifndef LATHE_IR_READ_H
#define LATHE_IR_READ_H

#include "ir/ir.h"

enum {
    PAREN_DEPTH_MAX = 10000, /* of ( and [ */
    BLOCK_DEPTH_MAX = 64,    /* of { ; and of folds inside folds */
};

typedef enum SexprKind { SEXPR_ATOM, SEXPR_STRING, SEXPR_LIST, SEXPR_VECTOR, SEXPR_BLOCK } SexprKind;
typedef struct Sexpr {
    SexprKind kind;
    int line, column;          /* of its first character, 1-based */
    int count;                 /* bytes of an atom or string, items of the others */
    const char *text;          /* atom or string, ends in a zero byte (a string may hold more of them) */
    const struct Sexpr *items; /* list, vector or block */
} Sexpr;

/* The one expression in `text`; NULL after a diagnostic. */
const Sexpr *sexpr_read(Arena *arena, Diagnostics *diagnostics, const char *file, const char *text);
/* All expressions of a text of `length` bytes, as the items of a block. */
const Sexpr *sexpr_read_all(Arena *arena, Diagnostics *diagnostics, const char *file, const char *text, size_t length);
bool sexpr_is(const Sexpr *expression, const char *atom);

/* ---- names in scope ---- */

/* Interned names to nodes, with scopes that open and close like blocks. Inner names hide outer ones. */
typedef struct Names Names;
Names *names_open(Arena *arena);
void names_bind(Names *names, Name name, Node *node);
Node *names_find(const Names *names, Name name);      /* NULL when unbound */
bool names_bound_here(const Names *names, Name name); /* in the innermost scope? */
void names_enter(Names *names);
void names_leave(Names *names);
int names_depth(const Names *names);

/* ---- expressions ---- */

/* What an expression may refer to. Names are looked up as written: `x`, `%x`, `@alpha`. */
typedef struct Environment {
    const char *file; /* for messages */
    Names *names;
    bool symbols;                /* a bare name that is not bound is a symbol */
    const Attribute *attributes; /* what `:alpha @alpha` means in an operator row */
    int attribute_count;
    /* Makes a tensor operator of `output_count` outputs; NULL after a diagnostic. NULL: tensor operators are not
     * allowed. */
    Node *(*make_tensor)(void *context, Op op, Node **inputs, int count, int output_count, const Attribute *attributes,
                         int attribute_count);
    Graph *(*read_graph)(void *context, const Sexpr *name,
                         const Sexpr *block); /* an attribute that is a body; may be NULL */
    void *context;
    int output_count; /* outputs of an outermost tensor operator; 0 stands for 1 */
} Environment;

/* A pure expression; an outermost (get ..) or (read ..) is made too, for the caller to put into its block. A bare
 * number takes the dtype of the first operand beside it that has one, else it is an index. NULL after a diagnostic. */
Node *expression_build(Ir *ir, const Sexpr *expression, const Environment *environment);
/* f32, f32x16. False (and no diagnostic) when `text` is none. */
bool type_read(const char *text, Type *type);
/* f32[1,3,N]: the two expressions atom and vector. */
bool tensor_type_build(Ir *ir, const Sexpr *dtype, const Sexpr *dims, const Environment *environment, Type *type);
/* The bits of `text` (a number, nan, inf, true, false, or 0x.. for the very bits) in dtype; false when it is none. */
bool literal_read(const char *text, Dtype dtype, uint64_t *bits);
/* Is this the text of a whole number? */
bool integer_read(const char *text, int64_t *value);
/* Reports at `expression` and returns NULL. */
void *read_error(Ir *ir, const char *file, const Sexpr *expression, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
