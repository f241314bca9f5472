/* The machine function of a kernel: its parameters (codegen/signature.h) and what LLVM may take for granted of it. */
#include "codegen/emit.h"

#include <string.h>

static void function_attribute(Emitter *emitter, const char *key, const char *value)
{
    LLVMAddAttributeAtIndex(
        emitter->function, LLVMAttributeFunctionIndex,
        LLVMCreateStringAttribute(emitter->context, key, (unsigned)strlen(key), value, (unsigned)strlen(value)));
}

static void enum_attribute(Emitter *emitter, LLVMAttributeIndex index, const char *name, uint64_t value)
{
    const unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    if (kind)
        LLVMAddAttributeAtIndex(emitter->function, index, LLVMCreateEnumAttribute(emitter->context, kind, value));
}

void emit_declare(Emitter *emitter, const char *symbol)
{
    LLVMContextRef const context = emitter->context;
    LLVMTypeRef const pointer = LLVMPointerTypeInContext(context, 0), index = LLVMInt64TypeInContext(context);
    LLVMTypeRef const tables[] = {pointer, pointer, index, index, pointer, pointer};
    const KernelSignature *const signature = &emitter->signature;
    LLVMTypeRef *const parameters = NEW_ARRAY(emitter->arena, LLVMTypeRef, (size_t)signature->count + 1);
    for (int i = 0; i < signature->count; i++)
        parameters[i] = signature->whole ? pointer : tables[i];
    LLVMTypeRef const type =
        LLVMFunctionType(LLVMVoidTypeInContext(context), parameters, (unsigned)signature->count, 0);
    emitter->function = LLVMAddFunction(emitter->module, symbol, type);
    LLVMSetVisibility(emitter->function, LLVMHiddenVisibility);
    const bool wide = emitter->target->vector_bytes >= 64;
    function_attribute(emitter, "target-cpu", emitter->target->cpu);
    function_attribute(emitter, "target-features", emitter->target->features);
    function_attribute(emitter, "prefer-vector-width", wide ? "512" : "256");
    function_attribute(emitter, "min-legal-vector-width", wide ? "512" : "256");
    function_attribute(emitter, "frame-pointer", "none");
    function_attribute(emitter, "no-builtins", "true"); /* a loop of ours never becomes a call of memset */
    enum_attribute(emitter, LLVMAttributeFunctionIndex, "nounwind", 0);
    if (signature->whole) {
        enum_attribute(emitter, LLVMAttributeFunctionIndex, "optsize", 0);
        if (signature->scratch >= 0)
            enum_attribute(emitter, (unsigned)signature->scratch + 1, "noalias", 0);
        return;
    }
    for (unsigned i = 1; i <= 2; i++) { /* tables of buffers and dims: nobody writes them */
        enum_attribute(emitter, i, "noalias", 0);
        enum_attribute(emitter, i, "readonly", 0);
    }
    enum_attribute(emitter, 5, "noalias", 0); /* scratch */
    enum_attribute(emitter, 5, "align", 64);
}
