/* Writing a procedure (ir/procedure.h) in a room: statements one after the other, blocks opened and ended.
 *
 *     Procedure p = procedure_open(lower, "count", rows);
 *     Node *const row = index_mul(ir, p.unit, length);
 *     Node *const n = procedure_var(&p, index_const(ir, 0));
 *     Node *const i = procedure_for(&p, "i", zero, length);
 *     {
 *         procedure_if(&p, procedure_read(&p, x, index_add(ir, row, i)));
 *         procedure_add(&p, n, 1);
 *         procedure_end(&p);
 *     }
 *     procedure_end(&p);
 *     procedure_write(&p, counts, p.unit, procedure_get(&p, n));
 *     procedure_close(&p);
 *
 * What stands between open and close is the body of one unit; units have nothing to do with each other and run in any
 * order, on any thread. Offsets are linear, in elements, row-major. Values are scalars: arithmetic by scalar2,
 * index_add and so on; a value read or got is that of the moment. Every offset must be inside its buffer, whatever the
 * data: a procedure checks what it computes positions from, nobody else does. */
#ifndef LATHE_IR_OPS_PROCEDURE_H
#define LATHE_IR_OPS_PROCEDURE_H

#include "ir/ops/lower.h"

enum { PROCEDURE_DEPTH = 24 };

typedef struct Procedure {
    Lower *lower;
    Ir *ir;
    const char *name;
    Node *unit; /* the number of the unit: an index */
    Node *units;
    Block *body, *block; /* all of it; where statements go */
    Block *around[PROCEDURE_DEPTH], *other[PROCEDURE_DEPTH];
    int depth;
    int64_t scratch;
} Procedure;

/* A procedure of `units` units, and its end: it becomes the next kernel of the node. */
Procedure procedure_open(Lower *lower, const char *name, Node *units);
void procedure_close(Procedure *procedure);

/* An element of a buffer in its compute type (f32 for f16), and a value of any type stored in the buffer's type. */
Node *procedure_read(Procedure *procedure, Node *buffer, Node *offset);
Node *procedure_read_lanes(Procedure *procedure, Node *buffer, Node *offset, int lanes); /* so many elements that follow */
void procedure_write(Procedure *procedure, Node *buffer, Node *offset, Node *value);
/* As read, an integer as an index; the sum is left in index arithmetic. */
Node *procedure_read_index(Procedure *procedure, Node *buffer, Node *offset);
/* Memory of this unit alone, a few KiB of constant size; what it holds at first is undefined. Larger or symbolic: a
 * lower_temp buffer with a row per unit. */
Node *procedure_local(Procedure *procedure, const char *name, Dtype dtype, int64_t elements);

Node *procedure_var(Procedure *procedure, Node *initial);
Node *procedure_get(Procedure *procedure, Node *var);
void procedure_set(Procedure *procedure, Node *var, Node *value);
void procedure_add(Procedure *procedure, Node *var, int64_t step); /* of an index variable; gets nothing */

/* Each opens a block, which procedure_end ends. */
Node *procedure_for(Procedure *procedure, const char *name, Node *from, Node *to); /* the variable */
void procedure_loop(Procedure *procedure);                                         /* until a break */
void procedure_if(Procedure *procedure, Node *condition);
void procedure_if_else(Procedure *procedure, Node *condition); /* then, procedure_else, else, procedure_end */
void procedure_else(Procedure *procedure);
void procedure_end(Procedure *procedure);
/* Leaves the innermost for or loop. */
void procedure_break(Procedure *procedure, Node *condition);
/* An error of the run, naming the node, when `condition` does not hold; the procedure goes on. */
void procedure_check(Procedure *procedure, Node *condition);

#endif
