/* Register tiles: keeping LLVM's schedulers from gathering loads at the top of a tile's loop.
 *
 * A tile needs nearly all vector registers for its accumulators and loads one row of operands at a time. LLVM may place
 * loads of neighbouring addresses side by side, as of four unrolled steps, and then spill accumulators, which costs up
 * to half of the speed. An empty instruction sequence that must stay in place, before each vector load but the first of
 * a base, keeps these loads in the order of the text; for other tiles it does harm. Which, only the machine code tells:
 * object.c emits both ways and counts. All of this runs after the passes, so that nothing but scheduling sees it. */
#define _GNU_SOURCE /* memmem */
#include "codegen/emit.h"

#include <stdlib.h>
#include <string.h>

enum {
    TILE_PRODUCTS = 16, /* multiply-adds of vectors in one block: a register tile */
    BASES_MAX = 64,
    VECTOR_BYTES = 32,
};

static bool is_vector(LLVMTypeRef type)
{
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return false;
    LLVMTypeRef const element = LLVMGetElementType(type);
    const LLVMTypeKind kind = LLVMGetTypeKind(element);
    const unsigned bits = kind == LLVMIntegerTypeKind  ? LLVMGetIntTypeWidth(element)
                          : kind == LLVMDoubleTypeKind ? 64
                                                       : 32;
    return LLVMGetVectorSize(type) * bits / 8 >= VECTOR_BYTES;
}

static bool is_product(LLVMValueRef instruction)
{
    if (LLVMGetInstructionOpcode(instruction) != LLVMCall || !is_vector(LLVMTypeOf(instruction)))
        return false;
    size_t length;
    LLVMValueRef const callee = LLVMGetCalledValue(instruction);
    return callee && strncmp(LLVMGetValueName2(callee, &length), "llvm.fma.", 9) == 0;
}

static bool is_register_tile(LLVMBasicBlockRef block)
{
    int products = 0;
    for (LLVMValueRef i = LLVMGetFirstInstruction(block); i; i = LLVMGetNextInstruction(i))
        products += is_product(i);
    return products >= TILE_PRODUCTS;
}

/* The pointer without constant displacements. */
static LLVMValueRef base_of(LLVMValueRef pointer)
{
    while (LLVMIsAGetElementPtrInst(pointer) && LLVMGetNumOperands(pointer) == 2 &&
           LLVMIsConstant(LLVMGetOperand(pointer, 1)))
        pointer = LLVMGetOperand(pointer, 0);
    return pointer;
}

static void insert_fence(LLVMBuilderRef builder, LLVMContextRef context, LLVMValueRef before)
{
    LLVMTypeRef const type = LLVMFunctionType(LLVMVoidTypeInContext(context), NULL, 0, 0);
    LLVMValueRef const nothing = LLVMGetInlineAsm(type, "", 0, "", 0, 1, 0, LLVMInlineAsmDialectATT, 0);
    LLVMPositionBuilderBefore(builder, before);
    LLVMBuildCall2(builder, type, nothing, NULL, 0, "");
}

static void keep_order(LLVMBuilderRef builder, LLVMContextRef context, LLVMBasicBlockRef block)
{
    LLVMValueRef bases[BASES_MAX];
    int count = 0;
    for (LLVMValueRef i = LLVMGetFirstInstruction(block); i; i = LLVMGetNextInstruction(i)) {
        if (LLVMGetInstructionOpcode(i) != LLVMLoad || !is_vector(LLVMTypeOf(i)))
            continue;
        LLVMValueRef const base = base_of(LLVMGetOperand(i, 0));
        int known = 0;
        while (known < count && bases[known] != base)
            known++;
        if (known < count)
            insert_fence(builder, context, i);
        else if (count < BASES_MAX)
            bases[count++] = base;
    }
}

bool llvm_has_register_tile(LLVMModuleRef module)
{
    for (LLVMValueRef function = LLVMGetFirstFunction(module); function; function = LLVMGetNextFunction(function))
        for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block; block = LLVMGetNextBasicBlock(block))
            if (is_register_tile(block))
                return true;
    return false;
}

/* "16-byte Spill", "32-byte Folded Reload" and the like, in LLVM's comments: registers that go to the stack or come
 * back. */
static bool is_vector_spill(const char *line, size_t length)
{
    enum { LEAST = 16 };
    const char *const unit = memmem(line, length, "-byte ", 6);
    if (!unit || (!memmem(line, length, "Spill", 5) && !memmem(line, length, "Reload", 6)))
        return false;
    const char *digits = unit;
    while (digits > line && digits[-1] >= '0' && digits[-1] <= '9')
        digits--;
    return atoi(digits) >= LEAST;
}

int llvm_count_spills(const char *assembly, size_t bytes)
{
    int spills = 0;
    const char *const end = assembly + bytes;
    for (const char *line = assembly; line < end;) {
        const char *const newline = memchr(line, '\n', (size_t)(end - line));
        const size_t length = (size_t)((newline ? newline : end) - line);
        spills += is_vector_spill(line, length);
        line += length + 1;
    }
    return spills;
}

void llvm_keep_tile_order(LLVMModuleRef module)
{
    LLVMContextRef const context = LLVMGetModuleContext(module);
    LLVMBuilderRef const builder = LLVMCreateBuilderInContext(context);
    for (LLVMValueRef function = LLVMGetFirstFunction(module); function; function = LLVMGetNextFunction(function))
        for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block; block = LLVMGetNextBasicBlock(block))
            if (is_register_tile(block))
                keep_order(builder, context, block);
    LLVMDisposeBuilder(builder);
}
