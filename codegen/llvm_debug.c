/* Debug information: one function and one line per ordered node of the kernel's text, nothing about variables or types.
 */
#include "codegen/emit.h"

#include <string.h>

static void module_flag(Emitter *emitter, const char *name, unsigned value)
{
    LLVMTypeRef const type = LLVMInt32TypeInContext(emitter->context);
    LLVMAddModuleFlag(emitter->module, LLVMModuleFlagBehaviorWarning, name, strlen(name),
                      LLVMValueAsMetadata(LLVMConstInt(type, value, 0)));
}

static int line_of(const Emitter *emitter, const Node *node)
{
    return emitter->lines->line_of ? emitter->lines->line_of(emitter->lines->context, node) : 0;
}

void emit_debug_open(Emitter *emitter, const char *symbol)
{
    if (!emitter->lines)
        return;
    static const char producer[] = "lathe";
    const char *const file_name = emitter->lines->file;
    const char *const folder_name = emitter->lines->folder ? emitter->lines->folder : "";
    const char *const name = emitter->kernel->payload.kernel->name;
    module_flag(emitter, "Dwarf Version", 4);
    module_flag(emitter, "Debug Info Version", LLVMDebugMetadataVersion());
    LLVMDIBuilderRef const builder = LLVMCreateDIBuilder(emitter->module);
    LLVMMetadataRef const file =
        LLVMDIBuilderCreateFile(builder, file_name, strlen(file_name), folder_name, strlen(folder_name));
    LLVMDIBuilderCreateCompileUnit(builder, LLVMDWARFSourceLanguageC99, file, producer, sizeof producer - 1, 1, "", 0,
                                   0, "", 0, LLVMDWARFEmissionFull, 0, 0, 0, "", 0, "", 0);
    LLVMMetadataRef const type = LLVMDIBuilderCreateSubroutineType(builder, file, NULL, 0, LLVMDIFlagZero);
    const int line = line_of(emitter, emitter->kernel);
    emitter->subprogram = LLVMDIBuilderCreateFunction(builder, file, name, strlen(name), symbol, strlen(symbol), file,
                                                      (unsigned)line, type, 0, 1, (unsigned)line, LLVMDIFlagZero, 1);
    LLVMSetSubprogram(emitter->function, emitter->subprogram);
    LLVMDIBuilderFinalize(builder);
    LLVMDisposeDIBuilder(builder);
}

void emit_debug_line(Emitter *emitter, const Node *node)
{
    if (!emitter->subprogram)
        return;
    const int line = line_of(emitter, node);
    emitter->line = LLVMDIBuilderCreateDebugLocation(emitter->context, (unsigned)line, 0, emitter->subprogram, NULL);
    LLVMSetCurrentDebugLocation2(emitter->builder, emitter->line);
}
