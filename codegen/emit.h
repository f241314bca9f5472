/* Inside of the translation to LLVM: one Emitter per kernel, shared by the llvm_*.c files.
 *
 * Pure nodes are emitted when first needed and remembered until the scope that holds them closes. A scope is the
 * function, a loop's body or a branch of an if; `block` is the basic block that its next instruction goes to.
 * Instructions for an outer scope are placed before the terminator of that scope's block, which dominates everything
 * that comes later in it. */
#ifndef LATHE_CODEGEN_EMIT_H
#define LATHE_CODEGEN_EMIT_H

#include "codegen/llvm.h"
#include "codegen/signature.h"
#include "ir/map.h"

#include <llvm-c/DebugInfo.h>

typedef enum ScopeKind { SCOPE_FUNCTION, SCOPE_LOOP, SCOPE_BRANCH } ScopeKind;

typedef struct Scope {
    struct Scope *parent;
    ScopeKind kind;
    int depth;
    bool open;
    LLVMBasicBlockRef block;
    LLVMBasicBlockRef exit; /* loops: where a break goes */
} Scope;

typedef struct Value {
    LLVMValueRef value;
    Scope *scope;
} Value;

typedef struct Emitter {
    Ir *ir;
    Arena *arena; /* of this kernel's translation */
    const Node *kernel;
    const TargetMachineInfo *target;
    KernelSignature signature;
    int index_bits; /* of index arithmetic: 32 where codegen/indexwidth.c proves that they are enough */
    LLVMModuleRef module;
    LLVMContextRef context;
    LLVMBuilderRef builder;
    LLVMValueRef function;
    LLVMBasicBlockRef entry; /* parameters and registers (allocas) */
    Scope *scope;            /* where the next ordered node goes */
    NodeMap values;          /* node -> Value */
    NodeMap parameters;      /* buffer or symbol -> 1 + its position */
    NodeMap pointers;        /* buffer -> NodeMap of partial offsets -> Value */
    NodeMap written;         /* buffers, and what they alias, that the kernel writes */
    const LineTable *lines;
    LLVMMetadataRef subprogram; /* NULL without debug information */
    LLVMMetadataRef line;       /* of the ordered node that is being emitted */
} Emitter;

/* ---- llvm.c: scopes and values ---- */
LLVMValueRef emit_value(Emitter *emitter, Node *node);
void emit_block(Emitter *emitter, const Block *block);
void emit_in(Emitter *emitter,
             LLVMBasicBlockRef block); /* the builder's next instruction goes to `block`, before its terminator */
void emit_at(Emitter *emitter, const Scope *scope); /* ... or to `scope` */
Value *emit_remember(Emitter *emitter, const Node *node, LLVMValueRef value, Scope *scope);
bool emit_is_made(const Emitter *emitter, const Node *node);
Scope *emit_scope_of(Emitter *emitter, Node *node);    /* of a node that has a value */
Scope *emit_hoist(Emitter *emitter, Scope *available); /* where a pure value goes whose operands are in `available` */

/* ---- llvm_lanes.c: of values that are made ---- */
LLVMValueRef emit_slice(Emitter *emitter, const Node *node, LLVMValueRef vector);
LLVMValueRef emit_join(Emitter *emitter, const Node *node);

/* ---- llvm_interleave.c: what the stores at the beginning of the list store, if that takes long ---- */
void emit_stored_together(Emitter *emitter, Node *const *stores, int count);

/* ---- llvm_function.c ---- */
void emit_declare(Emitter *emitter, const char *symbol); /* sets emitter->function, still without a body */

/* What LLVM makes of some text differs between x86 and all others. */
static inline bool emit_is_x86(const Emitter *emitter)
{
    return emitter->target->triple[0] == 'x';
}

/* ---- llvm_type.c: types and small instructions ---- */
LLVMTypeRef emit_int_type(Emitter *emitter, int bits, int lanes);
LLVMTypeRef emit_index_type(Emitter *emitter, int lanes);
LLVMTypeRef emit_type(Emitter *emitter, Dtype dtype, int lanes);        /* of a value */
LLVMTypeRef emit_memory_type(Emitter *emitter, Dtype dtype, int lanes); /* of whole-byte elements in memory */
LLVMValueRef emit_constant(Emitter *emitter, Dtype dtype, int lanes, uint64_t bits);
LLVMValueRef emit_int(LLVMTypeRef type, int64_t value); /* splat where type is a vector */
LLVMValueRef emit_real(LLVMTypeRef type, double value);
LLVMValueRef emit_splat(Emitter *emitter, LLVMValueRef scalar, int lanes);
LLVMValueRef emit_shuffle(Emitter *emitter, LLVMValueRef a, LLVMValueRef b, const int *lanes, int count);
/* llvm_quantize.c: a cast of what was clamped by constants; NULL: it is another. */
LLVMValueRef emit_quantized(Emitter *emitter, const Node *cast, LLVMValueRef value);
LLVMValueRef emit_dot(Emitter *emitter, const LLVMValueRef *operands); /* llvm_dot.c */
LLVMValueRef emit_intrinsic(Emitter *emitter, const char *name, const LLVMTypeRef *overloads, int overload_count,
                            const LLVMValueRef *arguments, int count);
int emit_lanes(LLVMValueRef value); /* 1 for scalars */
LLVMValueRef emit_lane(Emitter *emitter, LLVMValueRef vector, int lane);

/* ---- llvm_scalar.c, llvm_convert.c ---- */
LLVMValueRef emit_scalar(Emitter *emitter, const Node *node, LLVMValueRef *operands);
/* One operation on values of a compute dtype. */
LLVMValueRef emit_operation(Emitter *emitter, Op op, Dtype dtype, const Node *const *nodes, LLVMValueRef *operands);
LLVMValueRef emit_cast(Emitter *emitter, LLVMValueRef value, Dtype from, Dtype to);
/* The low bits of an i8 extended to the whole of it, for a dtype below a byte. */
LLVMValueRef emit_extend(Emitter *emitter, LLVMValueRef byte, Dtype dtype);
LLVMValueRef emit_reduce(Emitter *emitter, const Node *node, LLVMValueRef vector);

/* ---- llvm_memory.c ---- */
LLVMValueRef emit_buffer(Emitter *emitter, const Node *buffer); /* its first byte */
LLVMValueRef emit_load(Emitter *emitter, const Node *node);
LLVMValueRef emit_gather(Emitter *emitter, const Node *node);
void emit_store(Emitter *emitter, const Node *node);
void emit_scatter(Emitter *emitter, const Node *node);
void emit_prefetch(Emitter *emitter, const Node *node);
/* Tile registers (llvm_tiles.c): operations, and what stands around all of a kernel's. */
void emit_tile(Emitter *emitter, const Node *node);
void emit_tiles_open(Emitter *emitter);
void emit_tiles_close(Emitter *emitter);

/* The address of an element of whole bytes. */
LLVMValueRef emit_element(Emitter *emitter, const Node *buffer, Node *offset);

/* ---- llvm_rem.c ---- */
LLVMValueRef emit_exact_rem(Emitter *emitter, LLVMValueRef dividend, LLVMValueRef divisor); /* C's fmod, without libm */

/* ---- llvm_gpu.c: kernels of emitter->target->gpu ---- */
enum { GPU_ALIGNMENT = 16 }; /* of every buffer's first byte */
void gpu_declare(Emitter *emitter, const char *symbol);
LLVMValueRef gpu_parameter(Emitter *emitter, const Node *node); /* a buffer or a symbol */
LLVMValueRef gpu_error_word(Emitter *emitter);
LLVMValueRef gpu_leaf(Emitter *emitter, const Node *node);     /* thread, begin, end; else NULL */
LLVMValueRef gpu_buffer(Emitter *emitter, const Node *buffer); /* its first byte; the builder stands in the entry */
/* What is known of the address of `lanes` elements at `offset`, at most what one access takes. */
unsigned gpu_access_alignment(Emitter *emitter, Node *offset, int lanes, int element_bytes);
bool gpu_ordered(Emitter *emitter, const Node *node); /* false: nothing that only GPUs have */

/* ---- llvm_mask.c: of values as they are in memory, vectors even of one lane ---- */
LLVMValueRef emit_masked(Emitter *emitter, const char *name, LLVMTypeRef value_type, LLVMTypeRef pointer_type,
                         LLVMValueRef *arguments, int count, int pointer_at, int alignment);
LLVMValueRef emit_masked_load(Emitter *emitter, LLVMValueRef address, LLVMValueRef mask, LLVMValueRef otherwise,
                              int bytes);
void emit_masked_store(Emitter *emitter, LLVMValueRef address, LLVMValueRef mask, LLVMValueRef value, int bytes);

/* ---- llvm_debug.c ---- */
void emit_debug_open(Emitter *emitter, const char *symbol);
void emit_debug_line(Emitter *emitter, const Node *node);

/* ---- in steps, where the machine has no instruction (llvm_steps.c) ---- */

/* round (to even), floor, ceil or trunc. */
LLVMValueRef emit_round_in_steps(Emitter *emitter, Op op, Dtype dtype, LLVMValueRef value);
LLVMValueRef emit_extremum_in_steps(Emitter *emitter, Dtype dtype, bool is_max, LLVMValueRef a, LLVMValueRef b);

#endif
