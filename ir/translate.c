/* From a kernel's body to instructions.
 *
 * Ordered nodes are walked in order. A pure node is computed when first needed: arithmetic, which is total, in the
 * outermost scope where its operands are known; a load no further out than it is certain to be executed, since it may
 * be out of range. A loop therefore has two scopes, `pre` (entered when the loop runs at least once) and its body. A
 * value is remembered while its scope is open. */
#include "ir/interpret.h"
#include "ir/kernel.h"
#include "ir/tiles.h"
#include "ir/translator.h"

#include <string.h>

static void append(Translator *translator, Listing *listing, const Listing *tail)
{
    for (int i = 0; i < tail->count; i++)
        *instruction_emit(translator, listing, CODE_STOP, NULL) = tail->instructions[i];
}

/* About how many scalar instructions a listing is worth. */
static int64_t listing_work(const Listing *listing)
{
    int64_t work = 1;
    for (int i = 0; i < listing->count; i++)
        work += 1 + listing->instructions[i].lanes / 16;
    return work;
}

/* ---- ordered nodes ---- */

static Scope *scope_open(Translator *translator, ScopeKind kind, const Node *node, const Block *block)
{
    Scope *const scope = NEW(translator->scratch, Scope);
    scope->parent = translator->scope;
    scope->kind = kind;
    scope->depth = scope->parent ? scope->parent->depth + 1 : 0;
    scope->node = node;
    scope->block = block;
    scope->certain = kind == SCOPE_BODY || kind == SCOPE_ROOT;
    return translator->scope = scope;
}

static void scope_forget(Translator *translator, Scope *scope)
{
    for (int i = 0; i < scope->known_count; i++)
        map_set(&translator->values, scope->known[i], NULL);
    scope->known_count = 0;
    translator->scope = scope->parent;
}

static void loop_open(Translator *translator, Node *node)
{
    int64_t lower, upper;
    const bool counted = node->op == OP_for;
    for (uint32_t i = 0; i < node->input_count; i++)
        value_need(translator, node->inputs[i]);
    Scope *const pre = scope_open(translator, SCOPE_PRE, node, NULL);
    pre->certain =
        !counted || (const_is_int(node->inputs[0], &lower) && const_is_int(node->inputs[1], &upper) && lower < upper);
    Scope *const body = scope_open(translator, SCOPE_BODY, node, node->blocks[0]);
    if (!counted)
        return;
    pre->lower = value_of(translator, node->inputs[0]);
    pre->upper = value_of(translator, node->inputs[1]);
    pre->step = value_of(translator, node->inputs[2]);
    pre->variable = register_new(translator, 8, body);
    value_remember(translator, body, node->axes[0], pre->variable);
}

/* Breaks of this loop are those that nothing inside has resolved. */
static void resolve_breaks(Listing *body)
{
    for (int i = 0; i < body->count; i++)
        if (body->instructions[i].opcode == CODE_BREAK && body->instructions[i].jump == 0)
            body->instructions[i].jump = body->count - i + 1;
}

static void loop_close(Translator *translator, Scope *body)
{
    Scope *const pre = body->parent;
    const bool counted = body->node->op == OP_for;
    Listing *const out = &pre->parent->code;
    resolve_breaks(&body->code);
    if (counted) {
        Instruction *const enter = instruction_emit(translator, out, CODE_FOR, body->node);
        enter->to = pre->variable;
        enter->a = pre->lower;
        enter->b = pre->upper;
        enter->c = pre->step;
        enter->jump = pre->code.count + body->code.count + 2;
    }
    append(translator, out, &pre->code);
    append(translator, out, &body->code);
    Instruction *const next = instruction_emit(translator, out, counted ? CODE_NEXT : CODE_AGAIN, body->node);
    next->jump = -body->code.count;
    next->immediate = listing_work(&body->code);
    if (counted) {
        next->to = pre->variable;
        next->b = pre->upper;
        next->c = pre->step;
    }
    scope_forget(translator, body);
    scope_forget(translator, pre);
}

static void branch_close(Translator *translator, Scope *branch)
{
    const Node *const node = branch->node;
    const bool first = branch->block == node->blocks[0];
    scope_forget(translator, branch);
    if (first && node->block_count > 1) {
        Scope *const otherwise = scope_open(translator, SCOPE_BRANCH, node, node->blocks[1]);
        otherwise->then = branch->code;
        return;
    }
    const Listing *const then = first ? &branch->code : &branch->then;
    Listing *const out = &translator->scope->code;
    Instruction *const unless = instruction_emit(translator, out, CODE_UNLESS, node);
    unless->a = value_of(translator, node->inputs[0]);
    unless->jump = then->count + (first ? 1 : 2);
    append(translator, out, then);
    if (first)
        return;
    instruction_emit(translator, out, CODE_JUMP, node)->jump = branch->code.count + 1;
    append(translator, out, &branch->code);
}

static void require_scalar_bool(const Node *node)
{
    if (node->inputs[0]->type.dtype != DTYPE_BOOL || node->inputs[0]->type.lanes != 1)
        BUG("the condition of %s is %d lanes of %s", op_name(node->op), node->inputs[0]->type.lanes,
            dtype_info[node->inputs[0]->type.dtype].name);
}

static void copy_into(Translator *translator, const Node *node, uint32_t to, uint32_t from, int bytes)
{
    Instruction *const copy = instruction_emit(translator, &translator->scope->code, CODE_COPY, node);
    copy->to = to;
    copy->a = from;
    copy->lanes = bytes;
}

/* After a break may have been taken, loads stay where they are. A break leaves branches too, up to its loop. */
static void leave_certainty(Scope *scope)
{
    while (scope->kind == SCOPE_BRANCH)
        scope = scope->parent;
    scope->certain = false;
}

static void require_threads(const Translator *translator, const Node *node)
{
    if (!translator->kernel->payload.kernel->threads)
        BUG("%s stands in kernel %s, which has no threads", op_name(node->op),
            translator->kernel->payload.kernel->name);
}

static void translate_copy(Translator *translator, const Node *node)
{
    require_threads(translator, node);
    const uint16_t to = buffer_number(translator, node->inputs[0]), from = buffer_number(translator, node->inputs[2]);
    translator->buffer_list[to].stored = true;
    Instruction *const copy = instruction_emit(translator, &translator->scope->code, CODE_COPY_ASYNC, node);
    copy->buffer = to;
    copy->immediate = from;
    copy->lanes = (int32_t)node->payload.integer;
    copy->a = value_of(translator, node->inputs[1]);
    copy->b = value_of(translator, node->inputs[3]);
    copy->c = node->input_count == 5 ? value_of(translator, node->inputs[4]) : NO_REGISTER;
}

static void translate_warp(Translator *translator, Node *node)
{
    require_threads(translator, node);
    Scope *const scope = translator->scope;
    uint32_t operands[3] = {NO_REGISTER, NO_REGISTER, NO_REGISTER};
    for (uint32_t i = 0; i < node->input_count && i < 3; i++)
        operands[i] = value_of(translator, node->inputs[i]);
    const uint32_t value = register_new(translator, value_bytes(node), scope);
    Instruction *const instruction =
        instruction_emit(translator, &scope->code, node->op == OP_mma ? CODE_MMA : CODE_SHUFFLE, node);
    instruction->immediate = node->payload.integer;
    instruction->lanes = value_bytes(node);
    instruction->to = value;
    instruction->a = operands[0];
    instruction->b = operands[1];
    instruction->c = operands[2];
    value_remember(translator, scope, node, value);
}

static void translate_tile(Translator *translator, const Node *node)
{
    if (!translator->has_tiles) {
        const uint32_t all = register_pinned(translator, TILES * TILE_ELEMENTS * 4, translator->scope);
        translator->tiles = translator->registers[all].place;
        translator->has_tiles = true;
    }
    Instruction *const instruction = instruction_emit(translator, &translator->scope->code, CODE_TILE, node);
    instruction->immediate = node->payload.integer;
    if (node->input_count == 0)
        return;
    instruction->buffer = buffer_number(translator, node->inputs[0]);
    instruction->a = value_of(translator, node->inputs[1]);
    if (node->op == OP_tile_store)
        translator->buffer_list[instruction->buffer].stored = true;
}

static void translate(Translator *translator, Node *node)
{
    Scope *const scope = translator->scope;
    if (node->op == OP_prefetch)
        return;
    for (uint32_t i = access_first_value(node); i < node->input_count; i++)
        if (node->inputs[i]->op != OP_buffer)
            value_need(translator, node->inputs[i]);
    switch (node->op) {
    case OP_for:
    case OP_loop:
        loop_open(translator, node);
        return;
    case OP_if:
        require_scalar_bool(node);
        scope_open(translator, SCOPE_BRANCH, node, node->blocks[0]);
        return;
    case OP_break:
    case OP_check: {
        require_scalar_bool(node);
        Instruction *const instruction =
            instruction_emit(translator, &scope->code, node->op == OP_break ? CODE_BREAK : CODE_CHECK, node);
        instruction->a = value_of(translator, node->inputs[0]);
        instruction->immediate = node->payload.integer;
        if (node->op == OP_break)
            leave_certainty(scope);
        return;
    }
    case OP_var: {
        const uint32_t variable = register_new(translator, value_bytes(node->inputs[0]), scope);
        translator->registers[variable].variable = true;
        copy_into(translator, node, variable, value_of(translator, node->inputs[0]), value_bytes(node->inputs[0]));
        value_remember(translator, scope, node, variable);
        return;
    }
    case OP_get: {
        const uint32_t value = register_new(translator, value_bytes(node), scope);
        copy_into(translator, node, value, value_of(translator, node->inputs[0]), value_bytes(node));
        value_remember(translator, scope, node, value);
        return;
    }
    case OP_set:
        access_require(node, node->inputs[1], node->inputs[0]->inputs[0]->type.lanes,
                       node->inputs[0]->inputs[0]->type.dtype);
        copy_into(translator, node, value_of(translator, node->inputs[0]), value_of(translator, node->inputs[1]),
                  value_bytes(node->inputs[1]));
        return;
    case OP_read:
        value_remember(translator, scope, node, access_load(translator, scope, node));
        return;
    case OP_store:
    case OP_scatter:
        access_store(translator, scope, node);
        return;
    case OP_barrier:
        require_threads(translator, node);
        instruction_emit(translator, &scope->code, CODE_BARRIER, node);
        return;
    case OP_copy_commit:
        require_threads(translator, node);
        instruction_emit(translator, &scope->code, CODE_COMMIT, node);
        return;
    case OP_copy_wait:
        require_threads(translator, node);
        instruction_emit(translator, &scope->code, CODE_WAIT, node)->immediate = node->payload.integer;
        return;
    case OP_copy_async:
        translate_copy(translator, node);
        return;
    case OP_tile_zero:
    case OP_tile_load:
    case OP_tile_store:
    case OP_tile_dot:
        translate_tile(translator, node);
        return;
    case OP_shuffle:
    case OP_mma:
        translate_warp(translator, node);
        return;
    default:
        BUG("%s stands in the body of kernel %s", op_name(node->op), translator->kernel->payload.kernel->name);
    }
}

static void translate_all(Translator *translator)
{
    for (;;) {
        Scope *const scope = translator->scope;
        if (scope->position < scope->block->count)
            translate(translator, scope->block->nodes[scope->position++]);
        else if (scope->kind == SCOPE_BODY)
            loop_close(translator, scope);
        else if (scope->kind == SCOPE_BRANCH)
            branch_close(translator, scope);
        else
            return;
    }
}

/* ---- kernels ---- */

static void add_parameters(Translator *translator, Code *code)
{
    Scope *const root = translator->scope;
    const Node *const kernel = translator->kernel;
    for (uint32_t i = 0; i < kernel->input_count; i++)
        if (kernel->inputs[i]->op == OP_buffer)
            buffer_add(translator, kernel->inputs[i], false);
    code->parameter_count = translator->buffer_count;
    /* begin and end are hash-consed: making them here finds the nodes that the body uses, if any. */
    const Op bounds[] = {OP_begin, OP_end};
    uint32_t *const places[] = {&code->begin, &code->end};
    for (int i = 0; i < 2; i++) {
        Node *const node = node_make(translator->ir, &(Node){.op = bounds[i], .type = type_scalar(DTYPE_INDEX)});
        const uint32_t number = register_pinned(translator, 8, root);
        *places[i] = translator->registers[number].place;
        value_remember(translator, root, node, number);
    }
    code->thread = NO_REGISTER;
    code->threads = kernel->payload.kernel->threads;
    if (code->threads) {
        const uint32_t number = register_pinned(translator, 8, root);
        code->thread = translator->registers[number].place;
        value_remember(translator, root, thread_make(translator->ir, code->threads), number);
    }
    for (uint32_t i = 0; i < kernel->input_count; i++) {
        if (kernel->inputs[i]->op != OP_symbol)
            continue;
        const uint32_t number = register_pinned(translator, 8, root);
        if (code->dim_count++ == 0)
            code->dims = translator->registers[number].place;
        value_remember(translator, root, kernel->inputs[i], number);
    }
}

/* Numbers of registers become places in the frame. */
static void resolve_places(Listing *listing, const Register *registers)
{
    for (int i = 0; i < listing->count; i++) {
        Instruction *const instruction = &listing->instructions[i];
        uint32_t *const operands[] = {&instruction->to, &instruction->a, &instruction->b, &instruction->c};
        for (int j = 0; j < 4; j++)
            if (*operands[j] != NO_REGISTER) {
                const Register *const view = &registers[*operands[j]];
                *operands[j] = registers[view->base].place + (uint32_t)view->offset;
            } else if (instruction->opcode == CODE_ROW) {
                *operands[j] = 0; /* never read, but added to the frame's address */
            }
    }
}

Code *interpret_compile(Ir *ir, Node *kernel)
{
    const Block *const body = kernel_body(kernel);
    if (!body)
        BUG("kernel %s has no body to interpret", kernel->payload.kernel->name);
    Arena *const scratch = arena_open(0, NULL, NULL);
    Code *const code = NEW(ir->arena, Code);
    Translator translator = {.ir = ir, .kernel = kernel, .scratch = scratch};
    map_open(&translator.values, scratch);
    map_open(&translator.buffers, scratch);
    Scope *const root = scope_open(&translator, SCOPE_ROOT, NULL, body);
    add_parameters(&translator, code);
    translate_all(&translator);
    code->tiles = translator.tiles;
    Listing *const listing = &root->code;
    instruction_emit(&translator, listing, CODE_STOP, NULL);
    peephole_shorten(listing, translator.registers, translator.register_count, scratch);
    code->frame_bytes = places_assign(listing, translator.registers, translator.register_count,
                                      (uint32_t)translator.image_bytes, scratch);
    resolve_places(listing, translator.registers);
    code->name = kernel->payload.kernel->name;
    code->instructions =
        arena_copy(ir->arena, listing->instructions, (size_t)listing->count * sizeof *listing->instructions);
    code->count = listing->count;
    code->work = listing_work(listing);
    code->image = arena_copy(ir->arena, translator.image, translator.image_bytes);
    code->image_bytes = (uint32_t)translator.image_bytes;
    code->buffers =
        arena_copy(ir->arena, translator.buffer_list, (size_t)translator.buffer_count * sizeof *translator.buffer_list);
    code->buffer_count = translator.buffer_count;
    code->local_bytes = translator.local_bytes;
    code->shared_bytes = translator.shared_bytes;
    code->message = arena_alloc(ir->arena, CODE_MESSAGE_BYTES);
    arena_close(scratch);
    return code;
}
