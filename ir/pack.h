/* Weights as buffers hold them: a constant's row-major elements in the order of a layout, blocked axes padded with
 * zeros. */
#ifndef LATHE_IR_PACK_H
#define LATHE_IR_PACK_H

#include "ir/ir.h"

/* Elements that `type` (constant dims) occupies in `layout`, padding included. UINT64_MAX when a dim is not constant or
 * the product does not fit. */
uint64_t pack_elements(Type type, const Layout *layout);
/* Bytes of that many elements of `dtype`. */
uint64_t pack_bytes(Dtype dtype, uint64_t elements);

/* Writes the whole constant, pack_bytes(...) bytes. */
void constant_pack(const Constant *constant, Type type, const Layout *layout, void *out);
/* Writes the elements first..first+count-1 of what constant_pack writes, from the first byte of `out` on. Of dtypes
 * below a byte, `first` is a multiple of the elements in a byte. Pieces of whole innermost rows are fastest. */
void constant_pack_range(const Constant *constant, Type type, const Layout *layout, uint64_t first, uint64_t count,
                         void *out);

#endif
