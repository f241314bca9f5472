/* Lines of model.ir: which line of a module's text each kernel stands at, so that debuggers and profilers show it. */
#ifndef LATHE_CODEGEN_LINES_H
#define LATHE_CODEGEN_LINES_H

#include "codegen/object.h"

typedef struct KernelLines KernelLines;

/* Reads the text that print_module gave; the lines belong to `arena`. */
KernelLines *kernel_lines(Arena *arena, const char *text);
/* For LineTable.line_of, with KernelLines as context: the line of a kernel node, 0 for all other nodes. */
int kernel_line_of(void *lines, const Node *node);

#endif
