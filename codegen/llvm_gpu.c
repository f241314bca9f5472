/* What is different in a kernel for a GPU: its entry, where its buffers are, and what a block's threads do together.
 *
 * A block runs one unit: `begin` is its number. Buffers come as pointers into global memory and are no tables, so that
 * the driver's launch arguments are the kernel's parameters in their order, then the error word. Shared buffers are
 * parts of the block's dynamic shared memory, laid out as kernel_shared_bytes counts it; local ones belong to the
 * thread. A kernel that was scheduled for a CPU runs too, one thread a block.
 *
 * Instructions that a whole warp executes together are marked convergent: LLVM must not move them into a branch. */
#include "codegen/emit.h"

#include "ir/kernel.h"
#include "ir/mma.h"

#include <string.h>

enum { ADDRESS_GLOBAL = 1, ADDRESS_SHARED = 3, PTX_KERNEL = 71, WARP_ALL = -1, LAST_LANE = 31, SHARED_ALIGN = 16 };

int gpu_threads(const Node *kernel)
{
    return kernel->payload.kernel->threads > 0 ? kernel->payload.kernel->threads : 1;
}

/* ---- the entry ---- */

static void function_attribute(Emitter *emitter, const char *key, const char *value)
{
    LLVMAddAttributeAtIndex(
        emitter->function, LLVMAttributeFunctionIndex,
        LLVMCreateStringAttribute(emitter->context, key, (unsigned)strlen(key), value, (unsigned)strlen(value)));
}

static void parameter_align(Emitter *emitter, unsigned parameter, uint64_t bytes)
{
    const unsigned kind = LLVMGetEnumAttributeKindForName("align", 5);
    LLVMAddAttributeAtIndex(emitter->function, parameter + 1, LLVMCreateEnumAttribute(emitter->context, kind, bytes));
}

void gpu_declare(Emitter *emitter, const char *symbol)
{
    LLVMContextRef const context = emitter->context;
    const uint32_t count = emitter->kernel->input_count;
    LLVMTypeRef const pointer = LLVMPointerTypeInContext(context, ADDRESS_GLOBAL);
    LLVMTypeRef *const parameters = NEW_ARRAY(emitter->arena, LLVMTypeRef, (size_t)count + 1);
    for (uint32_t i = 0; i < count; i++)
        parameters[i] = emitter->kernel->inputs[i]->op == OP_buffer ? pointer : LLVMInt64TypeInContext(context);
    parameters[count] = pointer;
    LLVMTypeRef const type = LLVMFunctionType(LLVMVoidTypeInContext(context), parameters, count + 1, 0);
    emitter->function = LLVMAddFunction(emitter->module, symbol, type);
    LLVMSetFunctionCallConv(emitter->function, PTX_KERNEL);
    for (uint32_t i = 0; i < count; i++)
        if (emitter->kernel->inputs[i]->op == OP_buffer)
            parameter_align(emitter, i, GPU_ALIGNMENT);
    function_attribute(emitter, "target-cpu", emitter->target->cpu);
    function_attribute(emitter, "target-features", emitter->target->features);
    function_attribute(emitter, "no-builtins", "true");
    /* Registers are shared out over exactly so many threads. */
    function_attribute(emitter, "nvvm.reqntid", arena_format(emitter->arena, "%d", gpu_threads(emitter->kernel)));
}

/* The kernel's own parameter: a buffer or a symbol. */
LLVMValueRef gpu_parameter(Emitter *emitter, const Node *node)
{
    emit_in(emitter, emitter->entry);
    for (uint32_t i = 0; i < emitter->kernel->input_count; i++)
        if (emitter->kernel->inputs[i] == node)
            return node->op == OP_buffer ? LLVMGetParam(emitter->function, i)
                                         : LLVMBuildTrunc(emitter->builder, LLVMGetParam(emitter->function, i),
                                                          emit_index_type(emitter, 1), "");
    BUG("%s is no parameter of kernel %s", op_name(node->op), emitter->kernel->payload.kernel->name);
}

LLVMValueRef gpu_error_word(Emitter *emitter)
{
    return LLVMGetParam(emitter->function, emitter->kernel->input_count);
}

/* ---- who am I ---- */

static LLVMValueRef special_register(Emitter *emitter, const char *name)
{
    emit_in(emitter, emitter->entry);
    LLVMValueRef const number = emit_intrinsic(emitter, name, NULL, 0, NULL, 0);
    return LLVMBuildZExt(emitter->builder, number, emit_index_type(emitter, 1), "");
}

LLVMValueRef gpu_leaf(Emitter *emitter, const Node *node)
{
    if (node->op == OP_thread)
        return special_register(emitter, "llvm.nvvm.read.ptx.sreg.tid.x");
    if (node->op != OP_begin && node->op != OP_end)
        return NULL;
    LLVMValueRef const block = special_register(emitter, "llvm.nvvm.read.ptx.sreg.ctaid.x");
    if (node->op == OP_begin)
        return block;
    LLVMValueRef const one = emit_int(LLVMTypeOf(block), 1);
    return LLVMBuildNUWAdd(emitter->builder, block, one, "end");
}

/* ---- memory ---- */

/* All shared memory of the block, one external array whose size the launch says. */
static LLVMValueRef shared_memory(Emitter *emitter)
{
    static const char name[] = "lathe_shared";
    LLVMValueRef memory = LLVMGetNamedGlobal(emitter->module, name);
    if (memory)
        return memory;
    LLVMTypeRef const type = LLVMArrayType2(LLVMInt8TypeInContext(emitter->context), 0);
    memory = LLVMAddGlobalInAddressSpace(emitter->module, type, name, ADDRESS_SHARED);
    LLVMSetAlignment(memory, SHARED_ALIGN);
    return memory;
}

static int64_t inner_bytes(const Node *buffer)
{
    int64_t elements = 1;
    for (int i = 0; i < buffer->type.rank; i++) {
        int64_t dim = 0;
        if (!const_is_int(buffer->type.dims[i], &dim))
            BUG("the buffer %s inside a kernel has an extent that is not constant", buffer->payload.buffer->name);
        elements *= dim;
    }
    return (elements * dtype_info[buffer->type.dtype].bits + 7) / 8;
}

static LLVMValueRef shared_buffer(Emitter *emitter, const Node *buffer)
{
    int count;
    Node *const *const buffers = kernel_shared(emitter->ir, emitter->kernel, &count);
    int64_t offset = 0;
    for (int i = 0; i < count && buffers[i] != buffer; i++)
        offset += (inner_bytes(buffers[i]) + SHARED_ALIGN - 1) / SHARED_ALIGN * SHARED_ALIGN;
    LLVMValueRef const start = emit_int(emit_int_type(emitter, 64, 1), offset);
    return LLVMBuildGEP2(emitter->builder, emit_int_type(emitter, 8, 1), shared_memory(emitter),
                         (LLVMValueRef[]){start}, 1, "");
}

static LLVMValueRef local_buffer(Emitter *emitter, const Node *buffer)
{
    LLVMTypeRef const type = LLVMArrayType2(LLVMInt8TypeInContext(emitter->context), (uint64_t)inner_bytes(buffer));
    LLVMValueRef const slot = LLVMBuildAlloca(emitter->builder, type, "");
    LLVMSetAlignment(slot, GPU_ALIGNMENT);
    return slot;
}

LLVMValueRef gpu_buffer(Emitter *emitter, const Node *buffer)
{
    switch (buffer->payload.buffer->place) {
    case PLACE_LOCAL:
        return local_buffer(emitter, buffer);
    case PLACE_SHARED:
        return shared_buffer(emitter, buffer);
    default:
        return gpu_parameter(emitter, buffer);
    }
}

unsigned gpu_access_alignment(Emitter *emitter, Node *offset, int lanes, int element_bytes)
{
    int known = 1;
    while (known < lanes && lanes % (known * 2) == 0 && known * 2 * element_bytes <= GPU_ALIGNMENT)
        known *= 2;
    while (known > 1 && (offset->type.dtype != DTYPE_INDEX ||
                         !index_is(index_mod(emitter->ir, offset, index_const(emitter->ir, known)), 0)))
        known /= 2;
    return (unsigned)(known * element_bytes);
}

/* ---- together ---- */

static void mark_convergent(Emitter *emitter, LLVMValueRef call)
{
    const unsigned kind = LLVMGetEnumAttributeKindForName("convergent", 10);
    LLVMAddCallSiteAttribute(call, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(emitter->context, kind, 0));
}

static LLVMValueRef assembly(Emitter *emitter, const char *text, const char *constraints, LLVMTypeRef result,
                             LLVMValueRef *arguments, int count)
{
    LLVMTypeRef types[16];
    for (int i = 0; i < count; i++)
        types[i] = LLVMTypeOf(arguments[i]);
    LLVMTypeRef const type = LLVMFunctionType(result, types, (unsigned)count, 0);
    LLVMValueRef const callee =
        LLVMGetInlineAsm(type, text, strlen(text), constraints, strlen(constraints), 1, 0, LLVMInlineAsmDialectATT, 0);
    LLVMValueRef const call = LLVMBuildCall2(emitter->builder, type, callee, arguments, (unsigned)count, "");
    mark_convergent(emitter, call);
    return call;
}

static void emit_barrier(Emitter *emitter)
{
    static const char newer[] = "llvm.nvvm.barrier.cta.sync.aligned.all", older[] = "llvm.nvvm.barrier0";
    LLVMValueRef const first = emit_int(LLVMInt32TypeInContext(emitter->context), 0);
    if (LLVMLookupIntrinsicID(newer, sizeof newer - 1))
        emit_intrinsic(emitter, newer, NULL, 0, &first, 1);
    else
        emit_intrinsic(emitter, older, NULL, 0, NULL, 0);
}

/* ---- asynchronous copies ---- */

static void copy_by_registers(Emitter *emitter, LLVMValueRef to, LLVMValueRef from, LLVMValueRef condition, int bytes)
{
    const int words = bytes / 4;
    LLVMTypeRef const word = LLVMInt32TypeInContext(emitter->context), type = LLVMVectorType(word, (unsigned)words);
    LLVMValueRef value;
    if (condition) {
        LLVMValueRef mask = LLVMGetPoison(LLVMVectorType(LLVMInt1TypeInContext(emitter->context), (unsigned)words));
        for (int i = 0; i < words; i++)
            mask = LLVMBuildInsertElement(emitter->builder, mask, condition, emit_int(word, i), "");
        value = emit_masked_load(emitter, from, mask, LLVMConstNull(type), bytes);
    } else {
        value = LLVMBuildLoad2(emitter->builder, type, from, "");
        LLVMSetAlignment(value, (unsigned)bytes);
    }
    LLVMSetAlignment(LLVMBuildStore(emitter->builder, value, to), (unsigned)bytes);
}

/* The fourth operand is how many bytes are read; the rest is zeros. */
static void emit_copy_async(Emitter *emitter, const Node *node)
{
    LLVMBuilderRef const builder = emitter->builder;
    const Node *const to_buffer = node->inputs[0], *const from_buffer = node->inputs[2];
    const int bytes = (int)node->payload.integer * dtype_info[to_buffer->type.dtype].bits / 8;
    LLVMTypeRef const word = LLVMInt32TypeInContext(emitter->context);
    LLVMValueRef const condition = node->input_count > 4 ? emit_value(emitter, node->inputs[4]) : NULL;
    LLVMValueRef const to = emit_element(emitter, to_buffer, node->inputs[1]);
    LLVMValueRef const from = emit_element(emitter, from_buffer, node->inputs[3]);
    if (!emitter->target->gpu->copy_async) {
        copy_by_registers(emitter, to, from, condition, bytes);
        return;
    }
    LLVMValueRef const all = emit_int(word, bytes);
    LLVMValueRef const read = condition ? LLVMBuildSelect(builder, condition, all, emit_int(word, 0), "") : all;
    /* Nothing is read from an address out of range; the instruction still wants one that is mapped. */
    LLVMValueRef const source =
        condition ? LLVMBuildSelect(builder, condition, from, emit_buffer(emitter, from_buffer), "") : from;
    LLVMValueRef arguments[] = {to, source, read};
    const char *const text =
        arena_format(emitter->arena, "cp.async.%s.shared.global [$0], [$1], %d, $2;", bytes == 16 ? "cg" : "ca", bytes);
    arguments[0] = LLVMBuildPtrToInt(builder, to, word, "");
    arguments[1] = LLVMBuildPtrToInt(builder, source, LLVMInt64TypeInContext(emitter->context), "");
    assembly(emitter, text, "r,l,r,~{memory}", LLVMVoidTypeInContext(emitter->context), arguments, 3);
}

static void emit_copy_order(Emitter *emitter, const Node *node)
{
    if (!emitter->target->gpu->copy_async)
        return; /* copies are done when they are stated */
    const char *const text = node->op == OP_copy_commit
                                 ? "cp.async.commit_group;"
                                 : arena_format(emitter->arena, "cp.async.wait_group %d;", (int)node->payload.integer);
    assembly(emitter, text, "~{memory}", LLVMVoidTypeInContext(emitter->context), NULL, 0);
}

/* ---- values of other lanes ---- */

static LLVMValueRef shuffle_word(Emitter *emitter, LLVMValueRef word, int mask)
{
    LLVMTypeRef const type = LLVMInt32TypeInContext(emitter->context);
    const LLVMValueRef arguments[] = {emit_int(type, WARP_ALL), word, emit_int(type, mask), emit_int(type, LAST_LANE)};
    return emit_intrinsic(emitter, "llvm.nvvm.shfl.sync.bfly.i32", NULL, 0, arguments, 4);
}

/* One lane of any type, through words. */
static LLVMValueRef shuffle_scalar(Emitter *emitter, LLVMValueRef value, int mask)
{
    LLVMBuilderRef const builder = emitter->builder;
    LLVMTypeRef const type = LLVMTypeOf(value), word = LLVMInt32TypeInContext(emitter->context);
    const bool is_real = LLVMGetTypeKind(type) != LLVMIntegerTypeKind;
    const int bits = LLVMGetTypeKind(type) == LLVMDoubleTypeKind  ? 64
                     : LLVMGetTypeKind(type) == LLVMFloatTypeKind ? 32
                                                                  : (int)LLVMGetIntTypeWidth(type);
    LLVMTypeRef const code = emit_int_type(emitter, bits, 1);
    LLVMValueRef whole = is_real ? LLVMBuildBitCast(builder, value, code, "") : value;
    if (bits <= 32) {
        whole = shuffle_word(emitter, LLVMBuildZExt(builder, whole, word, ""), mask);
        whole = LLVMBuildTrunc(builder, whole, code, "");
    } else {
        LLVMValueRef const half = emit_int(code, 32);
        LLVMValueRef const low = shuffle_word(emitter, LLVMBuildTrunc(builder, whole, word, ""), mask);
        LLVMValueRef const high =
            shuffle_word(emitter, LLVMBuildTrunc(builder, LLVMBuildLShr(builder, whole, half, ""), word, ""), mask);
        LLVMValueRef const top = LLVMBuildShl(builder, LLVMBuildZExt(builder, high, code, ""), half, "");
        whole = LLVMBuildOr(builder, top, LLVMBuildZExt(builder, low, code, ""), "");
    }
    return is_real ? LLVMBuildBitCast(builder, whole, type, "") : whole;
}

static void emit_shuffle_lanes(Emitter *emitter, const Node *node)
{
    LLVMValueRef const value = emit_value(emitter, node->inputs[0]);
    const int lanes = emit_lanes(value), mask = (int)node->payload.integer;
    LLVMValueRef result = lanes > 1 ? LLVMGetPoison(LLVMTypeOf(value)) : NULL;
    for (int i = 0; i < lanes; i++) {
        LLVMValueRef const lane = shuffle_scalar(emitter, emit_lane(emitter, value, i), mask);
        result = lanes == 1 ? lane
                            : LLVMBuildInsertElement(emitter->builder, result, lane,
                                                     emit_int(LLVMInt32TypeInContext(emitter->context), i), "");
    }
    emit_remember(emitter, node, result, emitter->scope);
}

/* ---- tensor cores ---- */

/* A fragment as the instruction's registers: f32 accumulators are floats, everything else words. */
static int fragment_registers(Emitter *emitter, LLVMValueRef vector, bool as_float, LLVMValueRef *registers)
{
    LLVMTypeRef const type = LLVMTypeOf(vector);
    const LLVMTypeKind kind = LLVMGetTypeKind(LLVMGetElementType(type));
    const int bits = kind == LLVMFloatTypeKind ? 32 : (int)LLVMGetIntTypeWidth(LLVMGetElementType(type));
    const int count = emit_lanes(vector) * bits / 32;
    LLVMTypeRef const word = as_float ? LLVMFloatTypeInContext(emitter->context) : emit_int_type(emitter, 32, 1);
    LLVMTypeRef const words = count > 1 ? LLVMVectorType(word, (unsigned)count) : word;
    LLVMValueRef const cast = LLVMBuildBitCast(emitter->builder, vector, words, "");
    for (int i = 0; i < count; i++)
        registers[i] = emit_lane(emitter, cast, i);
    return count;
}

static void add_constraints(Emitter *emitter, const char **constraints, const char *kind, int count)
{
    for (int i = 0; i < count; i++)
        *constraints = arena_format(emitter->arena, "%s%s%s", *constraints, **constraints ? "," : "", kind);
}

/* "{$4,$5,$6,$7}" */
static const char *operand_list(Emitter *emitter, int first, int count)
{
    const char *text = "";
    for (int i = 0; i < count; i++)
        text = arena_format(emitter->arena, "%s%s$%d", text, i ? "," : "", first + i);
    return arena_format(emitter->arena, "{%s}", text);
}

static void emit_mma(Emitter *emitter, const Node *node)
{
    const MmaRow *const row = mma_row(node->payload.integer);
    LLVMValueRef arguments[16];
    LLVMTypeRef const real = LLVMFloatTypeInContext(emitter->context);
    if (emitter->target->gpu->sm < row->sm)
        BUG("kernel %s for %s holds %s", emitter->kernel->payload.kernel->name, emitter->target->name, row->name);
    const int a = fragment_registers(emitter, emit_value(emitter, node->inputs[0]), false, arguments);
    const int b = fragment_registers(emitter, emit_value(emitter, node->inputs[1]), false, arguments + a);
    const int c = fragment_registers(emitter, emit_value(emitter, node->inputs[2]), true, arguments + a + b);
    const char *constraints = "";
    add_constraints(emitter, &constraints, "=f", c);
    add_constraints(emitter, &constraints, "r", a + b);
    add_constraints(emitter, &constraints, "f", c);
    LLVMTypeRef reals[8];
    for (int i = 0; i < c; i++)
        reals[i] = real;
    const char *const text =
        arena_format(emitter->arena, "%s %s, %s, %s, %s;", row->instruction, operand_list(emitter, 0, c),
                     operand_list(emitter, c, a), operand_list(emitter, c + a, b), operand_list(emitter, c + a + b, c));
    LLVMTypeRef const result = LLVMStructTypeInContext(emitter->context, reals, (unsigned)c, 0);
    LLVMValueRef const call = assembly(emitter, text, constraints, result, arguments, a + b + c);
    LLVMValueRef vector = LLVMGetPoison(LLVMVectorType(real, (unsigned)c));
    for (int i = 0; i < c; i++)
        vector = LLVMBuildInsertElement(emitter->builder, vector,
                                        LLVMBuildExtractValue(emitter->builder, call, (unsigned)i, ""),
                                        emit_int(LLVMInt32TypeInContext(emitter->context), i), "");
    emit_remember(emitter, node, vector, emitter->scope);
}

bool gpu_ordered(Emitter *emitter, const Node *node)
{
    switch (node->op) {
    case OP_barrier:
        emit_barrier(emitter);
        return true;
    case OP_copy_async:
        emit_copy_async(emitter, node);
        return true;
    case OP_copy_commit:
    case OP_copy_wait:
        emit_copy_order(emitter, node);
        return true;
    case OP_shuffle:
        emit_shuffle_lanes(emitter, node);
        return true;
    case OP_mma:
        emit_mma(emitter, node);
        return true;
    default:
        return false;
    }
}
