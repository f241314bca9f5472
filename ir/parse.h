/* The parser: what ir/print.h prints, read back. Statements and declarations are its own; expressions are ir/read.h's.
 *
 * Whatever the text, it answers with IR or with diagnostics (EXIT_MALFORMED, file:line:column), in bounded stack. It
 * checks what making the nodes needs; everything else (scopes of gets, ranks of parameters, levels) is the verifier's.
 */
#ifndef LATHE_IR_PARSE_H
#define LATHE_IR_PARSE_H

#include "ir/ir.h"

typedef struct ParseOptions {
    /* Large constants are in the text by name and hash only: this finds the data, NULL after a diagnostic. Without it
     * they are zeros. */
    const Constant *(*resolve)(void *context, Name name, uint64_t hash, Type type);
    void *context;
} ParseOptions;

/* `options` may be NULL. NULL after a diagnostic. */
Module *parse_module(Ir *ir, const char *file, const char *text, size_t length, const ParseOptions *options);
Graph *parse_graph(Ir *ir, const char *file, const char *text, size_t length, const ParseOptions *options);
/* The text of one kernel with its buffers, as print_kernel gives it: the kernel node. */
Node *parse_kernel(Ir *ir, const char *file, const char *text, size_t length);

#endif
