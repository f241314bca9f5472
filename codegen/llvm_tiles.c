/* Tile registers as instructions of AMX (LLVM's intrinsics of that name, with registers by number). All eight are 16
 * rows of 64 bytes, from the kernel's first instruction to its last. */
#include "codegen/emit.h"

#include "ir/tiles.h"

static LLVMValueRef byte(Emitter *emitter, int64_t value)
{
    return emit_int(LLVMInt8TypeInContext(emitter->context), value);
}

/* What ldtilecfg reads: palette 1; bytes of a row in 16-bit words from byte 16; rows in bytes from byte 48. */
void emit_tiles_open(Emitter *emitter)
{
    enum { BYTES = 64, PALETTE = 0, ROW_BYTES = 16, ROWS = 48 };
    LLVMValueRef bytes[BYTES];
    for (int i = 0; i < BYTES; i++)
        bytes[i] = byte(emitter, 0);
    bytes[PALETTE] = byte(emitter, 1);
    for (int i = 0; i < TILES; i++) {
        bytes[ROW_BYTES + 2 * i] = byte(emitter, TILE_WORDS * 4);
        bytes[ROWS + i] = byte(emitter, TILE_ROWS);
    }
    LLVMTypeRef const type = LLVMInt8TypeInContext(emitter->context);
    LLVMValueRef const shape = LLVMAddGlobal(emitter->module, LLVMArrayType2(type, BYTES), "tiles");
    LLVMSetInitializer(shape, LLVMConstArray2(type, bytes, BYTES));
    LLVMSetGlobalConstant(shape, true);
    LLVMSetLinkage(shape, LLVMPrivateLinkage);
    LLVMSetAlignment(shape, BYTES);
    emit_intrinsic(emitter, "llvm.x86.ldtilecfg", NULL, 0, &shape, 1);
}

void emit_tiles_close(Emitter *emitter)
{
    emit_intrinsic(emitter, "llvm.x86.tilerelease", NULL, 0, NULL, 0);
}

static void emit_move(Emitter *emitter, const Node *node, const char *name)
{
    const int64_t number = node->payload.integer;
    LLVMValueRef const pitch = emit_int(LLVMInt64TypeInContext(emitter->context), number / TILES * 4);
    const LLVMValueRef arguments[] = {byte(emitter, number % TILES),
                                      emit_element(emitter, node->inputs[0], node->inputs[1]), pitch};
    emit_intrinsic(emitter, name, NULL, 0, arguments, 3);
}

void emit_tile(Emitter *emitter, const Node *node)
{
    const int64_t number = node->payload.integer;
    const LLVMValueRef registers[] = {byte(emitter, number % TILES), byte(emitter, number / TILES % TILES),
                                      byte(emitter, number / TILES / TILES)};
    switch (node->op) {
    case OP_tile_zero:
        emit_intrinsic(emitter, "llvm.x86.tilezero", NULL, 0, registers, 1);
        return;
    case OP_tile_load:
        emit_move(emitter, node, "llvm.x86.tileloadd64");
        return;
    case OP_tile_store:
        emit_move(emitter, node, "llvm.x86.tilestored64");
        return;
    default:
        emit_intrinsic(emitter, "llvm.x86.tdpbf16ps", NULL, 0, registers, 3);
        return;
    }
}
