/* LLVM module, passes and emission around one kernel. */
#include "codegen/object.h"
#include "codegen/llvm.h"
#include "codegen/ptxas.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/IRReader.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Changes when the same kernel would give other machine code: cached objects of older versions are then not found. */
enum { TRANSLATION_VERSION = 5 };

/* Values in registers, common values once, loop invariants out: the little that is left to do after our own placement.
 * LLVM's vectorisers and unrollers stay off. (LLVM ends the process where instcombine would need a second round, unless
 * told not to.) Measured: a sixth of default<O2>'s time for the same inner loops. */
static const char cpu_passes[] =
    "function(sroa,early-cse,instcombine<no-verify-fixpoint>,loop-mssa(licm),gvn,simplifycfg)";

/* LLVM's loop strength reduction merges our pointers into few and keeps vector loads early: register tiles then spill
 * and run at three quarters or less. Addresses are already split by loop (llvm_memory.c), so it is off. So is its
 * second round of moving invariants out: it holds vector constants of other loops in registers across the tile's, which
 * then spills every other accumulator (measured: a fifth of the time of a 3x3 convolution). LLVM has only process-wide
 * switches for both, which may be thrown once. */
static void disable_harmful_passes(void)
{
    static atomic_flag done = ATOMIC_FLAG_INIT;
    static const char *const arguments[] = {"lathe", "-disable-lsr", "-disable-machine-licm"};
    if (!atomic_flag_test_and_set(&done))
        LLVMParseCommandLineOptions(3, arguments, "");
}

void object_initialize(void)
{
    disable_harmful_passes();
#define INITIALIZE(backend)                                                                                            \
    LLVMInitialize##backend##TargetInfo();                                                                             \
    LLVMInitialize##backend##Target();                                                                                 \
    LLVMInitialize##backend##TargetMC();                                                                               \
    LLVMInitialize##backend##AsmPrinter()
    INITIALIZE(X86);
    INITIALIZE(AArch64);
    INITIALIZE(ARM);
    INITIALIZE(NVPTX);
#undef INITIALIZE
    /* The runtime has instructions as text. */
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64AsmParser();
    LLVMInitializeARMAsmParser();
}

const char *object_version(Arena *arena)
{
    unsigned major, minor, patch;
    LLVMGetVersion(&major, &minor, &patch);
    return arena_format(arena, "llvm %u.%u.%u translation %d", major, minor, patch, TRANSLATION_VERSION);
}

static bool backend_error(Ir *ir, const ObjectRequest *request, const char *what, char *message)
{
    diag_error(ir->diagnostics, EXIT_BACKEND, NULL, "kernel %s for %s: %s: %s",
               request->kernel ? request->kernel->payload.kernel->name : request->symbol, request->target->name, what,
               diag_quote(ir->diagnostics->arena, message ? message : "", 400));
    LLVMDisposeMessage(message);
    return false;
}

static LLVMTargetMachineRef machine_open(Ir *ir, const ObjectRequest *request)
{
    LLVMTargetRef target = NULL;
    char *message = NULL;
    char *const normal = LLVMNormalizeTargetTriple(request->target->triple);
    /* Others are taken too, and quietly mean another calling convention or library. */
    if (strcmp(normal, request->target->triple) != 0)
        BUG("the triple %s of target %s is not in its normal form, which is %s", request->target->triple,
            request->target->name, normal);
    LLVMDisposeMessage(normal);
    if (LLVMGetTargetFromTriple(request->target->triple, &target, &message)) {
        backend_error(ir, request, "LLVM has no such target", message);
        return NULL;
    }
    LLVMTargetMachineRef const machine = LLVMCreateTargetMachine(
        target, request->target->triple, request->target->cpu, request->target->features, LLVMCodeGenLevelDefault,
        request->target->family->system == SYSTEM_FREESTANDING ? LLVMRelocStatic : LLVMRelocPIC, LLVMCodeModelDefault);
    LLVMSetTargetMachineAsmVerbosity(machine, true); /* comments in assembly: spills are counted by them */
    return machine;
}

/* A GPU has no flags and 32-bit registers: what is known of thread and block numbers makes divisions narrow. Everything
 * else is as above. */
static const char gpu_passes[] = "function(nvvm-intr-range,sroa,early-cse,instcombine<no-verify-fixpoint>,"
                                 "correlated-propagation,loop-mssa(licm),gvn,instcombine<no-verify-fixpoint>,"
                                 "simplifycfg)";

static bool optimize(Ir *ir, const ObjectRequest *request, LLVMModuleRef module, LLVMTargetMachineRef machine)
{
    char *message = NULL;
    if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message))
        return backend_error(ir, request, "LLVM rejects our module", message);
    LLVMDisposeMessage(message);
    LLVMPassBuilderOptionsRef const options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef const error = LLVMRunPasses(module, request->target->gpu ? gpu_passes : cpu_passes, machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error)
        return true;
    char *const text = LLVMGetErrorMessage(error);
    char *const copy = LLVMCreateMessage(text);
    LLVMDisposeErrorMessage(text);
    return backend_error(ir, request, "passes failed", copy);
}

/* A device's object: its text, and what the assembler makes of it. */
static bool assemble(Ir *ir, Arena *arena, const ObjectRequest *request, ObjectBytes *result)
{
    DeviceImage image = {.text = *result};
    if (request->assembler && !ptxas_assemble(ir, arena, request->assembler, request, image.text, &image.binary))
        return false;
    *result = device_image_pack(arena, &image);
    return true;
}

/* ---- stack ---- */

typedef struct Frames {
    Arena *arena;
    const char *lines; /* assembler: one symbol per function */
} Frames;

/* "stack frame size (24) exceeds limit (0) in function 'name'" */
static void take_frame(LLVMDiagnosticInfoRef info, void *context)
{
    Frames *const frames = context;
    char *const text = LLVMGetDiagInfoDescription(info);
    const char *const size = strstr(text, "stack frame size ("), *const name = strchr(text, '\'');
    if (size && name)
        frames->lines = arena_format(frames->arena, "%s.set \"%.*s%s\", %d\n", frames->lines,
                                     (int)strcspn(name + 1, "'"), name + 1, OBJECT_FRAME, atoi(strchr(size, '(') + 1));
    LLVMDisposeMessage(text);
}

static void ignore_frame(LLVMDiagnosticInfoRef info, void *context)
{
    (void)info;
    (void)context;
}

/* LLVM tells frame sizes while it emits, so a copy is emitted first; then each becomes a symbol of the object. */
static void record_frames(Arena *arena, LLVMModuleRef module, LLVMTargetMachineRef machine)
{
    LLVMContextRef const context = LLVMGetModuleContext(module);
    Frames frames = {arena, ""};
    LLVMAttributeRef const limit = LLVMCreateStringAttribute(context, "warn-stack-size", 15, "0", 1);
    for (LLVMValueRef function = LLVMGetFirstFunction(module); function; function = LLVMGetNextFunction(function))
        if (!LLVMIsDeclaration(function))
            LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, limit);
    LLVMModuleRef const copy = LLVMCloneModule(module);
    LLVMMemoryBufferRef memory = NULL;
    char *message = NULL;
    LLVMContextSetDiagnosticHandler(context, take_frame, &frames);
    if (!LLVMTargetMachineEmitToMemoryBuffer(machine, copy, LLVMObjectFile, &message, &memory))
        LLVMDisposeMemoryBuffer(memory);
    LLVMDisposeMessage(message);
    LLVMDisposeModule(copy);
    LLVMContextSetDiagnosticHandler(context, ignore_frame, NULL);
    LLVMAppendModuleInlineAsm(module, frames.lines, strlen(frames.lines));
    /* No float is passed between functions of different objects: the float ABI of the rest of the program is free. */
    static const char any_float_abi[] = ".eabi_attribute 28, 3\n";
    LLVMAppendModuleInlineAsm(module, any_float_abi, sizeof any_float_abi - 1);
}

static bool wants_frames(const ObjectRequest *request)
{
    return request->target->family->system == SYSTEM_FREESTANDING && request->format == FORMAT_OBJECT;
}

static bool emit(Ir *ir, Arena *arena, const ObjectRequest *request, LLVMModuleRef module, LLVMTargetMachineRef machine,
                 ObjectBytes *result)
{
    if (wants_frames(request))
        record_frames(arena, module, machine);
    if (request->format == FORMAT_LLVM) {
        char *const text = LLVMPrintModuleToString(module);
        result->bytes = strlen(text);
        result->data = arena_copy(arena, text, result->bytes + 1);
        LLVMDisposeMessage(text);
        return true;
    }
    LLVMMemoryBufferRef memory = NULL;
    char *message = NULL;
    const bool device = request->target->gpu != NULL;
    const LLVMCodeGenFileType type = request->format == FORMAT_ASSEMBLY || device ? LLVMAssemblyFile : LLVMObjectFile;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, type, &message, &memory))
        return backend_error(ir, request, "emission failed", message);
    result->bytes = LLVMGetBufferSize(memory);
    char *const data = arena_alloc(arena, result->bytes + 1);
    memcpy(data, LLVMGetBufferStart(memory), result->bytes);
    result->data = data;
    LLVMDisposeMemoryBuffer(memory);
    return !device || request->format != FORMAT_OBJECT || assemble(ir, arena, request, result);
}

/* -1: emission failed, which the real emission will report. Emission changes a module, so a copy is emitted. */
static int count_spills(LLVMModuleRef module, LLVMTargetMachineRef machine)
{
    LLVMModuleRef const copy = LLVMCloneModule(module);
    LLVMMemoryBufferRef memory = NULL;
    char *message = NULL;
    int spills = -1;
    if (!LLVMTargetMachineEmitToMemoryBuffer(machine, copy, LLVMAssemblyFile, &message, &memory)) {
        spills = llvm_count_spills(LLVMGetBufferStart(memory), LLVMGetBufferSize(memory));
        LLVMDisposeMemoryBuffer(memory);
    }
    LLVMDisposeMessage(message);
    LLVMDisposeModule(copy);
    return spills;
}

/* Of the two orders of loads the one that keeps more vectors in registers. */
static LLVMModuleRef choose_tile_order(LLVMModuleRef module, const TargetMachineInfo *target,
                                       LLVMTargetMachineRef machine)
{
    const int spills = !target->gpu && llvm_has_register_tile(module) ? count_spills(module, machine) : 0;
    if (spills <= 0)
        return module;
    LLVMModuleRef const ordered = LLVMCloneModule(module);
    llvm_keep_tile_order(ordered);
    const int ordered_spills = count_spills(ordered, machine);
    const bool better = ordered_spills >= 0 && ordered_spills < spills;
    LLVMDisposeModule(better ? module : ordered);
    return better ? ordered : module;
}

static void for_machine(LLVMModuleRef module, const TargetMachineInfo *target, LLVMTargetMachineRef machine)
{
    LLVMTargetDataRef const layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetTarget(module, target->triple);
    LLVMSetModuleDataLayout(module, layout);
    LLVMDisposeTargetData(layout);
}

/* A module of LLVM's text or bitcode; NULL after a diagnostic. */
static LLVMModuleRef module_read(Ir *ir, const ObjectRequest *request, LLVMContextRef context, const void *data,
                                 size_t bytes)
{
    LLVMMemoryBufferRef const buffer =
        LLVMCreateMemoryBufferWithMemoryRangeCopy(data, bytes, request->symbol); /* the parser frees it */
    LLVMModuleRef module = NULL;
    char *message = NULL;
    if (LLVMParseIRInContext(context, buffer, &module, &message)) {
        backend_error(ir, request, "LLVM cannot read our module", message);
        return NULL;
    }
    return module;
}

/* A kernel's module, optimised. NULL after a diagnostic. */
static LLVMModuleRef kernel_module(Ir *ir, const ObjectRequest *request, LLVMContextRef context,
                                   LLVMTargetMachineRef machine)
{
    LLVMModuleRef const module = LLVMModuleCreateWithNameInContext("lathe", context);
    for_machine(module, request->target, machine);
    if (llvm_emit_kernel(ir, request->kernel, request->target, request->symbol, request->lines, module) &&
        optimize(ir, request, module, machine))
        return choose_tile_order(module, request->target, machine);
    LLVMDisposeModule(module);
    return NULL;
}

/* Functions of the runtime that a model does not need are dropped by the linker, which drops whole sections. */
static void sections_split(Arena *arena, LLVMModuleRef module)
{
    for (LLVMValueRef function = LLVMGetFirstFunction(module); function; function = LLVMGetNextFunction(function))
        if (!LLVMIsDeclaration(function))
            LLVMSetSection(function, arena_format(arena, ".text.%s", LLVMGetValueName(function)));
}

/* A module of bitcode, as it came. NULL after a diagnostic. */
static LLVMModuleRef bitcode_module(Ir *ir, Arena *arena, const ObjectRequest *request, LLVMContextRef context)
{
    LLVMModuleRef const module = module_read(ir, request, context, request->bitcode.data, request->bitcode.bytes);
    if (module)
        sections_split(arena, module);
    return module;
}

bool object_make(Ir *ir, Arena *arena, const ObjectRequest *request, ObjectBytes *result)
{
    object_initialize();
    LLVMTargetMachineRef const machine = machine_open(ir, request);
    if (!machine)
        return false;
    LLVMContextRef const context = LLVMContextCreate();
    LLVMModuleRef const module =
        request->kernel ? kernel_module(ir, request, context, machine) : bitcode_module(ir, arena, request, context);
    const bool done = module && emit(ir, arena, request, module, machine, result);
    if (module)
        LLVMDisposeModule(module);
    LLVMContextDispose(context);
    LLVMDisposeTargetMachine(machine);
    return done;
}

bool object_from_text(Ir *ir, Arena *arena, const char *name, const TargetMachineInfo *target, const char *text,
                      ObjectFormat format, ObjectBytes *result)
{
    const ObjectRequest request = {.target = target, .symbol = name, .format = format};
    object_initialize();
    LLVMTargetMachineRef const machine = machine_open(ir, &request);
    if (!machine)
        return false;
    LLVMContextRef const context = LLVMContextCreate();
    LLVMModuleRef const module = module_read(ir, &request, context, text, strlen(text));
    bool done = false;
    if (module) {
        for_machine(module, target, machine);
        done = optimize(ir, &request, module, machine) && emit(ir, arena, &request, module, machine, result);
        LLVMDisposeModule(module);
    }
    LLVMContextDispose(context);
    LLVMDisposeTargetMachine(machine);
    return done;
}
