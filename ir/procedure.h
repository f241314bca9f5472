/* Procedures: kernels whose body a room writes itself, because its loops depend on data (sorting, selecting, counting).
 *
 * Such a kernel has no stages; its body stands there from lowering on, over buffers in row-major order, and is one loop
 * over units that have nothing to do with each other: threads share them out. For passes it is opaque: it reads these
 * buffers and writes those. One text is what the interpreter runs and every target compiles; a GPU gives each unit to a
 * thread. Rooms write bodies with ir/ops/procedure.h. */
#ifndef LATHE_IR_PROCEDURE_H
#define LATHE_IR_PROCEDURE_H

#include "ir/kernel.h"

/* A kernel of `body`, which is `for unit in begin .. end { ... }`; scratch: bytes of its local buffers. */
Node *procedure_make(Ir *ir, Name name, Block *body, Node *units, int64_t scratch);
static inline bool kernel_is_procedure(const Node *kernel)
{
    return kernel_stages(kernel)->count == 0 && kernel_body(kernel);
}
/* Buffers that the body reads, or writes, each once, in order of first mention; not those of the kernel itself. The
 * list belongs to the Ir's arena. */
Node **procedure_reads(Ir *ir, const Node *kernel, int *count);
Node **procedure_targets(Ir *ir, const Node *kernel, int *count);
/* The same with from[i] replaced by to[i]: buffers of equal types. */
Node *procedure_replace(Ir *ir, Node *kernel, Node *const *from, Node *const *to, int count);
/* The same for a GPU, one thread per unit. */
Node *procedure_with_threads(Ir *ir, Node *kernel, int threads);

#endif
