/* Kernels to LLVM functions: scopes, on-demand emission of pure nodes, ordered nodes. See emit.h for the idea. */
#include "codegen/emit.h"

#include "codegen/indexwidth.h"
#include "ir/tiles.h"
#include "ir/kernel.h"

#include <string.h>

enum { NESTING_MAX = 400 };

/* ---- scopes ---- */

void emit_in(Emitter *emitter, LLVMBasicBlockRef block)
{
    LLVMValueRef const terminator = LLVMGetBasicBlockTerminator(block);
    if (terminator)
        LLVMPositionBuilderBefore(emitter->builder, terminator);
    else
        LLVMPositionBuilderAtEnd(emitter->builder, block);
    /* Standing before an instruction took over its line. */
    if (emitter->line)
        LLVMSetCurrentDebugLocation2(emitter->builder, emitter->line);
}

void emit_at(Emitter *emitter, const Scope *scope)
{
    emit_in(emitter, scope->block);
}

static Scope *scope_open(Emitter *emitter, ScopeKind kind, LLVMBasicBlockRef block, LLVMBasicBlockRef exit)
{
    Scope *const scope = NEW(emitter->arena, Scope);
    *scope = (Scope){emitter->scope, kind, emitter->scope ? emitter->scope->depth + 1 : 0, true, block, exit};
    if (scope->depth > NESTING_MAX)
        BUG("blocks of a kernel are nested %d deep", scope->depth);
    emitter->scope = scope;
    emit_at(emitter, scope);
    return scope;
}

static void scope_close(Emitter *emitter, Scope *scope)
{
    scope->open = false;
    emitter->scope = scope->parent;
}

Value *emit_remember(Emitter *emitter, const Node *node, LLVMValueRef value, Scope *scope)
{
    Value *known = map_get(&emitter->values, node);
    if (!known) {
        known = NEW(emitter->arena, Value);
        map_set(&emitter->values, node, known);
    }
    *known = (Value){value, scope};
    return known;
}

static Value *recall(const Emitter *emitter, const Node *node)
{
    Value *const known = map_get(&emitter->values, node);
    return known && known->scope->open ? known : NULL;
}

bool emit_is_made(const Emitter *emitter, const Node *node)
{
    return recall(emitter, node) != NULL;
}

static Scope *function_scope(Emitter *emitter)
{
    Scope *scope = emitter->scope;
    while (scope->parent)
        scope = scope->parent;
    return scope;
}

Scope *emit_scope_of(Emitter *emitter, Node *node)
{
    Value *const known = recall(emitter, node);
    return known ? known->scope : function_scope(emitter);
}

/* Before the outermost loop that the operands do not depend on; ifs alone are not left, so that work stays conditional.
 */
Scope *emit_hoist(Emitter *emitter, Scope *available)
{
    Scope *place = emitter->scope;
    for (Scope *scope = emitter->scope; scope != available; scope = scope->parent)
        if (scope->kind == SCOPE_LOOP)
            place = scope->parent;
    return place;
}

/* ---- pure nodes ---- */

/* The first unit, or the one after the last. A kernel that is called once for everything knows them. */
static LLVMValueRef emit_unit(Emitter *emitter, bool is_end)
{
    LLVMTypeRef const type = emit_index_type(emitter, 1);
    int64_t units = 0;
    emit_in(emitter, emitter->entry);
    if (!emitter->signature.whole)
        return LLVMBuildTrunc(emitter->builder, LLVMGetParam(emitter->function, is_end ? 3 : 2), type, "");
    if (!const_is_int(emitter->kernel->payload.kernel->units, &units))
        BUG("kernel %s runs as a whole and has symbolic units", emitter->kernel->payload.kernel->name);
    return emit_int(type, is_end ? units : 0);
}

static LLVMValueRef emit_leaf(Emitter *emitter, const Node *node)
{
    if (node->op == OP_const)
        return emit_constant(emitter, node->type.dtype, node->type.lanes, node->payload.bits);
    if (emitter->target->gpu && node->op != OP_iota)
        return gpu_leaf(emitter, node);
    if (node->op == OP_begin || node->op == OP_end)
        return emit_unit(emitter, node->op == OP_end);
    if (node->op == OP_iota) {
        LLVMValueRef lanes[1024];
        for (int i = 0; i < node->type.lanes; i++)
            lanes[i] = emit_int(emit_index_type(emitter, 1), i);
        return node->type.lanes > 1 ? LLVMConstVector(lanes, (unsigned)node->type.lanes) : lanes[0];
    }
    return NULL;
}

static LLVMValueRef emit_symbol(Emitter *emitter, const Node *node)
{
    if (emitter->target->gpu)
        return gpu_parameter(emitter, node);
    const uintptr_t position = (uintptr_t)map_get(&emitter->parameters, node);
    if (!position)
        BUG("the symbol %s is no parameter of kernel %s", node->payload.name, emitter->kernel->payload.kernel->name);
    LLVMTypeRef const type = emit_int_type(emitter, 64, 1);
    LLVMValueRef const index = emit_int(type, (int64_t)position - 1);
    emit_in(emitter, emitter->entry);
    LLVMValueRef const address =
        LLVMBuildGEP2(emitter->builder, type, LLVMGetParam(emitter->function, 1), (LLVMValueRef[]){index}, 1, "");
    LLVMValueRef const value = LLVMBuildLoad2(emitter->builder, type, address, node->payload.name);
    LLVMSetMetadata(value, LLVMGetMDKindIDInContext(emitter->context, "invariant.load", 14),
                    LLVMMetadataAsValue(emitter->context, LLVMMDNodeInContext2(emitter->context, NULL, 0)));
    return LLVMBuildTrunc(emitter->builder, value, emit_index_type(emitter, 1), "");
}

static LLVMValueRef emit_pure(Emitter *emitter, const Node *node)
{
    LLVMValueRef operands[3] = {NULL};
    if (node->op != OP_join)
        for (uint32_t i = 0; i < node->input_count && i < 3; i++)
            operands[i] = recall(emitter, node->inputs[i])->value;
    switch (node->op) {
    case OP_splat:
        return emit_splat(emitter, operands[0], node->type.lanes);
    case OP_extract:
        return emit_lane(emitter, operands[0], (int)node->payload.integer);
    case OP_slice:
        return emit_slice(emitter, node, operands[0]);
    case OP_join:
        return emit_join(emitter, node);
    case OP_reduce:
        return emit_reduce(emitter, node, operands[0]);
    case OP_dot:
        return emit_dot(emitter, operands);
    default:
        if (!op_is_scalar(node->op))
            BUG("%s stands in kernel %s", op_name(node->op), emitter->kernel->payload.kernel->name);
        return emit_scalar(emitter, node, operands);
    }
}

static bool is_access(const Node *node)
{
    return node->op == OP_load || node->op == OP_gather;
}

/* Values wait on this stack until their operands have values: expressions may be deep, C's stack is not used. */
typedef struct Pending {
    Node **nodes;
    int count, capacity;
} Pending;

static void pending_push(Emitter *emitter, Pending *pending, Node *node)
{
    if (pending->count == pending->capacity) {
        pending->capacity = pending->capacity * 2 + 64;
        Node **const grown = NEW_ARRAY(emitter->arena, Node *, (size_t)pending->capacity);
        if (pending->count)
            memcpy(grown, pending->nodes, (size_t)pending->count * sizeof *grown);
        pending->nodes = grown;
    }
    pending->nodes[pending->count++] = node;
}

static bool push_operands(Emitter *emitter, Pending *pending, Node *node)
{
    const int before = pending->count;
    if (is_access(node) && node->inputs[1]->op == OP_add && node->inputs[1]->type.lanes == 1) {
        /* The terms of an address are summed by emit_load itself, outer loops first. */
        Node *offset = node->inputs[1];
        for (; offset->op == OP_add; offset = offset->inputs[0])
            if (!recall(emitter, offset->inputs[1]))
                pending_push(emitter, pending, offset->inputs[1]);
        if (!recall(emitter, offset))
            pending_push(emitter, pending, offset);
    } else if (is_access(node) && !recall(emitter, node->inputs[1])) {
        pending_push(emitter, pending, node->inputs[1]);
    }
    for (uint32_t i = is_access(node) ? 2 : 0; i < node->input_count; i++)
        if (!recall(emitter, node->inputs[i]))
            pending_push(emitter, pending, node->inputs[i]);
    return pending->count > before;
}

static void emit_ready(Emitter *emitter, Node *node)
{
    if (is_access(node)) {
        /* Never moved out of a branch or loop: the address may be valid only there. LLVM hoists what must be executed.
         */
        LLVMValueRef const loaded = node->op == OP_load ? emit_load(emitter, node) : emit_gather(emitter, node);
        emit_remember(emitter, node, loaded, emitter->scope);
        return;
    }
    Scope *available = function_scope(emitter);
    for (uint32_t i = 0; i < node->input_count; i++) {
        Scope *const scope = recall(emitter, node->inputs[i])->scope;
        if (scope->depth > available->depth)
            available = scope;
    }
    Scope *const place = emit_hoist(emitter, available);
    emit_at(emitter, place);
    LLVMValueRef const value = emit_pure(emitter, node);
    emit_at(emitter, emitter->scope);
    emit_remember(emitter, node, value, place);
}

LLVMValueRef emit_value(Emitter *emitter, Node *root)
{
    const Value *known = recall(emitter, root);
    if (known)
        return known->value;
    Pending pending = {0};
    pending_push(emitter, &pending, root);
    while (pending.count) {
        Node *const node = pending.nodes[pending.count - 1];
        if (recall(emitter, node)) {
            pending.count--;
            continue;
        }
        LLVMValueRef const leaf = node->op == OP_symbol ? emit_symbol(emitter, node) : emit_leaf(emitter, node);
        if (leaf) {
            emit_at(emitter, emitter->scope);
            emit_remember(emitter, node, leaf, function_scope(emitter));
            pending.count--;
            continue;
        }
        if (node->op == OP_axis || op_kind(node->op) == KIND_ORDERED)
            BUG("%s %s of kernel %s is used outside its block", op_name(node->op),
                node->op == OP_axis ? node->payload.name : "", emitter->kernel->payload.kernel->name);
        if (push_operands(emitter, &pending, node))
            continue;
        emit_ready(emitter, node);
        pending.count--;
    }
    return recall(emitter, root)->value;
}

/* ---- ordered nodes ---- */

static LLVMBasicBlockRef new_block(Emitter *emitter, const char *name)
{
    return LLVMAppendBasicBlockInContext(emitter->context, emitter->function, name);
}

static void continue_in(Emitter *emitter, LLVMBasicBlockRef block)
{
    emitter->scope->block = block;
    emit_at(emitter, emitter->scope);
}

/* All lanes true. */
static LLVMValueRef emit_condition(Emitter *emitter, Node *node)
{
    LLVMValueRef const condition = emit_value(emitter, node);
    LLVMTypeRef const type = LLVMTypeOf(condition);
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return condition;
    return emit_intrinsic(emitter, "llvm.vector.reduce.and", &type, 1, &condition, 1);
}

static bool runs_at_least_once(const Node *node)
{
    int64_t lower, upper;
    return const_is_int(node->inputs[0], &lower) && const_is_int(node->inputs[1], &upper) && lower < upper;
}

/* Guard, then a body that ends with the test for the next round. A block of a GPU has one unit: one round. */
static void emit_for(Emitter *emitter, const Node *node)
{
    LLVMBuilderRef const builder = emitter->builder;
    LLVMTypeRef const type = emit_index_type(emitter, 1);
    LLVMValueRef const lower = emit_value(emitter, node->inputs[0]), upper = emit_value(emitter, node->inputs[1]);
    LLVMValueRef const step = emit_value(emitter, node->inputs[2]);
    LLVMBasicBlockRef const before = emitter->scope->block, body = new_block(emitter, node->axes[0]->payload.name),
                            after = new_block(emitter, "");
    const bool once = emitter->target->gpu && node->inputs[0]->op == OP_begin && node->inputs[1]->op == OP_end;
    if (once || runs_at_least_once(node))
        LLVMBuildBr(builder, body);
    else
        LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntSLT, lower, upper, ""), body, after);
    Scope *const scope = scope_open(emitter, SCOPE_LOOP, body, after);
    LLVMValueRef const variable = LLVMBuildPhi(builder, type, node->axes[0]->payload.name);
    emit_remember(emitter, node->axes[0], variable, scope);
    emit_block(emitter, node->blocks[0]);
    emit_debug_line(emitter, node);
    LLVMValueRef const next = LLVMBuildNSWAdd(builder, variable, step, "");
    LLVMAddIncoming(variable, (LLVMValueRef[]){lower, next}, (LLVMBasicBlockRef[]){before, scope->block}, once ? 1 : 2);
    if (once)
        LLVMBuildBr(builder, after);
    else
        LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntSLT, next, upper, ""), body, after);
    scope_close(emitter, scope);
    continue_in(emitter, after);
}

static void emit_loop(Emitter *emitter, const Node *node)
{
    LLVMBasicBlockRef const body = new_block(emitter, "loop"), after = new_block(emitter, "");
    LLVMBuildBr(emitter->builder, body);
    Scope *const scope = scope_open(emitter, SCOPE_LOOP, body, after);
    emit_block(emitter, node->blocks[0]);
    LLVMBuildBr(emitter->builder, body);
    scope_close(emitter, scope);
    continue_in(emitter, after);
}

static void emit_branch(Emitter *emitter, const Block *block, LLVMBasicBlockRef start, LLVMBasicBlockRef after)
{
    Scope *const scope = scope_open(emitter, SCOPE_BRANCH, start, NULL);
    emit_block(emitter, block);
    LLVMBuildBr(emitter->builder, after);
    scope_close(emitter, scope);
}

static void emit_if(Emitter *emitter, const Node *node)
{
    LLVMValueRef const condition = emit_condition(emitter, node->inputs[0]);
    const bool has_else = node->block_count > 1;
    LLVMBasicBlockRef const yes = new_block(emitter, "then"), no = has_else ? new_block(emitter, "else") : NULL,
                            after = new_block(emitter, "");
    LLVMBuildCondBr(emitter->builder, condition, yes, has_else ? no : after);
    emit_branch(emitter, node->blocks[0], yes, after);
    if (has_else)
        emit_branch(emitter, node->blocks[1], no, after);
    continue_in(emitter, after);
}

static void emit_break(Emitter *emitter, const Node *node)
{
    LLVMValueRef const condition = emit_condition(emitter, node->inputs[0]);
    const Scope *loop = emitter->scope;
    while (loop && loop->kind != SCOPE_LOOP)
        loop = loop->parent;
    if (!loop)
        BUG("break outside a loop in kernel %s", emitter->kernel->payload.kernel->name);
    LLVMBasicBlockRef const rest = new_block(emitter, "");
    LLVMBuildCondBr(emitter->builder, condition, loop->exit, rest);
    continue_in(emitter, rest);
}

static void emit_var(Emitter *emitter, const Node *node)
{
    LLVMValueRef const initial = emit_value(emitter, node->inputs[0]);
    emit_in(emitter, emitter->entry);
    LLVMValueRef const slot = LLVMBuildAlloca(emitter->builder, LLVMTypeOf(initial), "");
    emit_at(emitter, emitter->scope);
    LLVMBuildStore(emitter->builder, initial, slot);
    emit_remember(emitter, node, slot, emitter->scope);
}

static void emit_get(Emitter *emitter, const Node *node)
{
    LLVMValueRef const slot = recall(emitter, node->inputs[0])->value;
    LLVMTypeRef const type = emit_type(emitter, node->type.dtype, node->type.lanes);
    emit_remember(emitter, node, LLVMBuildLoad2(emitter->builder, type, slot, ""), emitter->scope);
}

static void emit_set(Emitter *emitter, const Node *node)
{
    LLVMValueRef const value = emit_value(emitter, node->inputs[1]);
    LLVMBuildStore(emitter->builder, value, recall(emitter, node->inputs[0])->value);
}

/* The first failed check's code stays; other threads, where there are any, may write theirs at the same time: the
 * accesses are atomic. */
static void emit_check(Emitter *emitter, const Node *node)
{
    LLVMBuilderRef const builder = emitter->builder;
    LLVMTypeRef const type = LLVMInt32TypeInContext(emitter->context);
    LLVMBasicBlockRef const failed = new_block(emitter, "failed"), after = new_block(emitter, "");
    LLVMBuildCondBr(builder, emit_condition(emitter, node->inputs[0]), after, failed);
    LLVMPositionBuilderAtEnd(builder, failed);
    LLVMValueRef const word = emitter->target->gpu
                                  ? gpu_error_word(emitter)
                                  : LLVMGetParam(emitter->function, (unsigned)emitter->signature.error);
    LLVMValueRef const old = LLVMBuildLoad2(builder, type, word, "");
    const LLVMAtomicOrdering ordering =
        emitter->signature.whole ? LLVMAtomicOrderingNotAtomic : LLVMAtomicOrderingMonotonic;
    LLVMSetOrdering(old, ordering);
    LLVMSetAlignment(old, 4);
    LLVMValueRef const is_first = LLVMBuildICmp(builder, LLVMIntEQ, old, emit_int(type, 0), "");
    LLVMValueRef const code = LLVMBuildSelect(builder, is_first, emit_int(type, node->payload.integer), old, "");
    LLVMValueRef const store = LLVMBuildStore(builder, code, word);
    LLVMSetOrdering(store, ordering);
    LLVMSetAlignment(store, 4);
    LLVMBuildBr(builder, after);
    continue_in(emitter, after);
}

static void emit_ordered(Emitter *emitter, Node *node)
{
    switch (node->op) {
    case OP_for:
        emit_for(emitter, node);
        return;
    case OP_if:
        emit_if(emitter, node);
        return;
    case OP_loop:
        emit_loop(emitter, node);
        return;
    case OP_break:
        emit_break(emitter, node);
        return;
    case OP_var:
        emit_var(emitter, node);
        return;
    case OP_get:
        emit_get(emitter, node);
        return;
    case OP_set:
        emit_set(emitter, node);
        return;
    case OP_read:
        emit_remember(emitter, node, emit_load(emitter, node), emitter->scope);
        return;
    case OP_store:
        emit_store(emitter, node);
        return;
    case OP_scatter:
        emit_scatter(emitter, node);
        return;
    case OP_check:
        emit_check(emitter, node);
        return;
    case OP_prefetch:
        emit_prefetch(emitter, node);
        return;
    case OP_tile_zero:
    case OP_tile_load:
    case OP_tile_store:
    case OP_tile_dot:
        emit_tile(emitter, node);
        return;
    default:
        if (emitter->target->gpu && gpu_ordered(emitter, node))
            return;
        BUG("%s stands in the body of kernel %s", op_name(node->op), emitter->kernel->payload.kernel->name);
    }
}

/* Blocks nest as deep as a template makes loops (NESTING_MAX). */
void emit_block(Emitter *emitter, const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        emit_debug_line(emitter, block->nodes[i]);
        if (block->nodes[i]->op == OP_store)
            emit_stored_together(emitter, block->nodes + i, block->count - i);
        emit_ordered(emitter, block->nodes[i]);
    }
}

/* ---- functions ---- */

static void find_parameters(Emitter *emitter)
{
    uintptr_t buffers = 0, symbols = 0;
    for (uint32_t i = 0; i < emitter->kernel->input_count; i++) {
        const Node *const node = emitter->kernel->inputs[i];
        const uintptr_t position = node->op == OP_buffer ? buffers++ : symbols++;
        map_set(&emitter->parameters, node, (void *)(position + 1));
    }
}

static void find_written(Emitter *emitter, const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        const Node *const node = block->nodes[i];
        if (node->op == OP_store || node->op == OP_scatter || node->op == OP_tile_store)
            for (const Node *buffer = node->inputs[0]; buffer; buffer = buffer->payload.buffer->alias)
                map_set(&emitter->written, buffer, emitter);
        for (int j = 0; j < node->block_count; j++)
            find_written(emitter, node->blocks[j]);
    }
}

static void emit_function(Emitter *emitter, const char *symbol)
{
    if (emitter->target->gpu)
        gpu_declare(emitter, symbol);
    else
        emit_declare(emitter, symbol);
    emit_debug_open(emitter, symbol);
    emitter->entry = new_block(emitter, "entry");
    LLVMBasicBlockRef const start = new_block(emitter, "");
    LLVMPositionBuilderAtEnd(emitter->builder, emitter->entry);
    emit_debug_line(emitter, emitter->kernel);
    LLVMBuildBr(emitter->builder, start);
    Scope *const scope = scope_open(emitter, SCOPE_FUNCTION, start, NULL);
    const bool tiles = kernel_has_tiles(emitter->kernel);
    if (tiles)
        emit_tiles_open(emitter);
    emit_block(emitter, kernel_body(emitter->kernel));
    if (tiles)
        emit_tiles_close(emitter);
    LLVMBuildRetVoid(emitter->builder);
    scope_close(emitter, scope);
}

bool llvm_emit_kernel(Ir *ir, const Node *kernel, const TargetMachineInfo *target, const char *symbol,
                      const LineTable *lines, LLVMModuleRef module)
{
    if (!kernel_body(kernel))
        return diag_error(ir->diagnostics, EXIT_INTERNAL, NULL, "kernel %s has no schedule",
                          kernel->payload.kernel->name);
    LLVMContextRef const context = LLVMGetModuleContext(module);
    Arena *const arena = arena_open(0, NULL, NULL);
    Emitter emitter = {
        .ir = ir,
        .arena = arena,
        .kernel = kernel,
        .target = target,
        .signature = kernel_signature(kernel, target),
        .index_bits = index_width(ir, kernel, target),
        .module = module,
        .context = context,
        .builder = LLVMCreateBuilderInContext(context),
        .lines = lines && lines->file && !target->gpu ? lines : NULL,
    };
    breadcrumb("codegen", kernel->payload.kernel->name);
    map_open(&emitter.values, arena);
    map_open(&emitter.parameters, arena);
    map_open(&emitter.pointers, arena);
    map_open(&emitter.written, arena);
    find_parameters(&emitter);
    find_written(&emitter, kernel_body(kernel));
    emit_function(&emitter, symbol);
    LLVMDisposeBuilder(emitter.builder);
    arena_close(arena);
    return true;
}
