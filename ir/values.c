/* Pure nodes as instructions: where each is computed, and into which register. See ir/translate.c for the rules. */
#include "ir/scalar.h"
#include "ir/translator.h"

#include <string.h>

/* Room for one more element of `size` bytes. */
static void *room(Arena *arena, void *list, int count, int *capacity, size_t size)
{
    if (count < *capacity)
        return list;
    *capacity = *capacity ? *capacity * 2 : 16;
    void *const grown = arena_array(arena, (size_t)*capacity, size);
    if (count)
        memcpy(grown, list, (size_t)count * size);
    return grown;
}

/* ---- registers ---- */

uint32_t register_new(Translator *translator, int bytes, Scope *scope)
{
    translator->registers = room(translator->scratch, translator->registers, translator->register_count,
                                 &translator->register_capacity, sizeof *translator->registers);
    const uint32_t number = (uint32_t)translator->register_count++;
    translator->registers[number] = (Register){.base = number, .bytes = bytes, .scope = scope};
    return number;
}

static uint32_t register_view(Translator *translator, uint32_t of, int offset, int bytes)
{
    const Register whole = translator->registers[of];
    const uint32_t view = register_new(translator, bytes, whole.scope);
    translator->registers[view].base = whole.base;
    translator->registers[view].offset = whole.offset + offset;
    return view;
}

uint32_t register_pinned(Translator *translator, int bytes, Scope *root)
{
    const size_t alignment = bytes > 8 ? 64 : 8;
    const size_t place = (translator->image_bytes + alignment - 1) & ~(alignment - 1);
    const size_t needed = place + (size_t)bytes;
    if (needed > translator->image_capacity) {
        translator->image_capacity = needed * 2;
        uint8_t *const grown = arena_alloc(translator->scratch, translator->image_capacity);
        if (translator->image_bytes)
            memcpy(grown, translator->image, translator->image_bytes);
        translator->image = grown;
    }
    translator->image_bytes = needed;
    const uint32_t number = register_new(translator, bytes, root);
    translator->registers[number].pinned = true;
    translator->registers[number].place = (uint32_t)place;
    return number;
}

static Scope *register_scope(const Translator *translator, uint32_t number)
{
    return translator->registers[number].scope;
}

void value_remember(Translator *translator, Scope *scope, Node *node, uint32_t number)
{
    map_set(&translator->values, node, (void *)(uintptr_t)(number + 1));
    scope->known =
        room(translator->scratch, scope->known, scope->known_count, &scope->known_capacity, sizeof *scope->known);
    scope->known[scope->known_count++] = node;
}

static bool is_known(const Translator *translator, const Node *node)
{
    return map_get(&translator->values, node) != NULL;
}

uint32_t value_of(const Translator *translator, const Node *node)
{
    const uintptr_t stored = (uintptr_t)map_get(&translator->values, node);
    if (!stored)
        BUG("kernel %s: %s is used where it has no value", translator->kernel->payload.kernel->name, op_name(node->op));
    return (uint32_t)(stored - 1);
}

int value_bytes(const Node *node)
{
    if (node->type.lanes < 1 || node->type.lanes > ROW_LANES || node->type.dtype == DTYPE_NONE)
        BUG("%s of %d lanes of %s has no register", op_name(node->op), node->type.lanes,
            dtype_info[node->type.dtype].name);
    return node->type.lanes * row_bytes(node->type.dtype);
}

/* ---- instructions ---- */

Instruction *instruction_emit(Translator *translator, Listing *listing, Opcode opcode, const Node *node)
{
    listing->instructions = room(translator->scratch, listing->instructions, listing->count, &listing->capacity,
                                 sizeof *listing->instructions);
    Instruction *const instruction = &listing->instructions[listing->count++];
    *instruction = (Instruction){.opcode = (uint16_t)opcode,
                                 .to = NO_REGISTER,
                                 .a = NO_REGISTER,
                                 .b = NO_REGISTER,
                                 .c = NO_REGISTER,
                                 .node = node};
    return instruction;
}

/* ---- buffers ---- */

uint16_t buffer_add(Translator *translator, const Node *node, bool local)
{
    translator->buffer_list = room(translator->scratch, translator->buffer_list, translator->buffer_count,
                                   &translator->buffer_capacity, sizeof *translator->buffer_list);
    if (translator->buffer_count >= UINT16_MAX)
        BUG("kernel %s has more than %d buffers", translator->kernel->payload.kernel->name, UINT16_MAX);
    const int number = translator->buffer_count++;
    translator->buffer_list[number] =
        (CodeBuffer){.node = node, .bits = dtype_info[node->type.dtype].bits, .local = local};
    map_set(&translator->buffers, node, (void *)(uintptr_t)(number + 1));
    return (uint16_t)number;
}

static uint16_t buffer_local(Translator *translator, Node *node)
{
    const uint16_t number = buffer_add(translator, node, true);
    CodeBuffer *const buffer = &translator->buffer_list[number];
    int64_t bits, bytes;
    if (!const_is_int(layout_elements(translator->ir, node), &buffer->elements) || buffer->elements < 0)
        BUG("kernel %s: the extents of a local buffer are not constant", translator->kernel->payload.kernel->name);
    buffer->shared = node->payload.buffer->place == PLACE_SHARED;
    int64_t *const total = buffer->shared ? &translator->shared_bytes : &translator->local_bytes;
    buffer->offset = *total;
    if (__builtin_mul_overflow(buffer->elements, buffer->bits, &bits) || __builtin_add_overflow(bits, 511, &bytes) ||
        __builtin_add_overflow(*total, bytes / 512 * 64, total))
        BUG("kernel %s: local buffers exceed 64 bits", translator->kernel->payload.kernel->name);
    return number;
}

uint16_t buffer_number(Translator *translator, Node *node)
{
    const uintptr_t stored = (uintptr_t)map_get(&translator->buffers, node);
    if (stored)
        return (uint16_t)(stored - 1);
    if (node->op != OP_buffer || !place_is_inner(node->payload.buffer->place))
        BUG("kernel %s accesses a buffer that is not a parameter", translator->kernel->payload.kernel->name);
    return buffer_local(translator, node);
}

/* ---- pure nodes ---- */

static uint32_t constant_register(Translator *translator, Scope *root, const Node *node)
{
    const int bytes = row_bytes(node->type.dtype);
    const uint32_t number = register_pinned(translator, value_bytes(node), root);
    uint8_t *const image = translator->image + translator->registers[number].place;
    for (int i = 0; i < node->type.lanes; i++)
        element_set(image + i * bytes, node->type.dtype, node->op == OP_iota ? (uint64_t)i : node->payload.bits);
    return number;
}

static uint32_t emit_row(Translator *translator, Scope *scope, const Node *node, RowFunction *row, int bytes,
                         const uint32_t *operands, int count)
{
    Instruction *const instruction = instruction_emit(translator, &scope->code, CODE_ROW, node);
    instruction->row = row;
    instruction->lanes = node->type.lanes;
    instruction->a = operands[0];
    instruction->b = count > 1 ? operands[1] : NO_REGISTER;
    instruction->c = count > 2 ? operands[2] : NO_REGISTER;
    /* Not through the pointer: a new register may move nothing but the list of registers. */
    return instruction->to = register_new(translator, bytes * node->type.lanes, scope);
}

static uint32_t emit_cast(Translator *translator, Scope *scope, const Node *node, Dtype result, Dtype operand,
                          uint32_t value)
{
    const RowCast cast = row_cast(result, operand);
    for (int i = 0; i < cast.count; i++)
        value = emit_row(translator, scope, node, cast.steps[i], row_bytes(cast.dtypes[i]), &value, 1);
    return value;
}

typedef struct Shortcut {
    Op op;
    Dtype dtype;
    Opcode opcode;
    bool swapped;
} Shortcut;
static const Shortcut shortcuts[] = {
    {OP_add, DTYPE_INDEX, CODE_ADD_64, false}, {OP_sub, DTYPE_INDEX, CODE_SUB_64, false},
    {OP_mul, DTYPE_INDEX, CODE_MUL_64, false}, {OP_min, DTYPE_INDEX, CODE_MIN_64, false},
    {OP_max, DTYPE_INDEX, CODE_MAX_64, false}, {OP_lt, DTYPE_INDEX, CODE_LT_64, false},
    {OP_le, DTYPE_INDEX, CODE_LE_64, false},   {OP_gt, DTYPE_INDEX, CODE_LT_64, true},
    {OP_ge, DTYPE_INDEX, CODE_LE_64, true},    {OP_eq, DTYPE_INDEX, CODE_EQ_64, false},
    {OP_add, DTYPE_I64, CODE_ADD_64, false},   {OP_mul, DTYPE_I64, CODE_MUL_64, false},
    {OP_add, DTYPE_F32, CODE_ADD_F32, false},  {OP_sub, DTYPE_F32, CODE_SUB_F32, false},
    {OP_mul, DTYPE_F32, CODE_MUL_F32, false},
};

static const Shortcut *shortcut_find(const Node *node, Dtype operand)
{
    for (size_t i = 0; node->type.lanes == 1 && i < sizeof shortcuts / sizeof *shortcuts; i++)
        if (shortcuts[i].op == node->op && shortcuts[i].dtype == operand)
            return &shortcuts[i];
    return NULL;
}

static uint32_t emit_scalar(Translator *translator, Scope *scope, const Node *node)
{
    const int count = (int)node->input_count;
    const Dtype operand = node->inputs[count - 1]->type.dtype;
    uint32_t operands[3];
    for (int i = 0; i < count; i++) {
        operands[i] = value_of(translator, node->inputs[i]);
        if (node->inputs[i]->type.lanes != node->type.lanes)
            BUG("%s of %d and %d lanes", op_name(node->op), node->type.lanes, node->inputs[i]->type.lanes);
    }
    if (node->op == OP_cast)
        return emit_cast(translator, scope, node, node->type.dtype, operand, operands[0]);
    const Shortcut *const shortcut = shortcut_find(node, operand);
    if (shortcut) {
        Instruction *const instruction = instruction_emit(translator, &scope->code, shortcut->opcode, node);
        instruction->a = operands[shortcut->swapped];
        instruction->b = operands[!shortcut->swapped];
        return instruction->to = register_new(translator, row_bytes(node->type.dtype), scope);
    }
    RowFunction *row = row_find(node->op, operand);
    if (row)
        return emit_row(translator, scope, node, row, row_bytes(node->type.dtype), operands, count);
    const Dtype compute = dtype_compute(operand);
    row = compute == operand ? NULL : row_find(node->op, compute);
    if (!row)
        BUG("kernel %s: %s of %s cannot be interpreted", translator->kernel->payload.kernel->name, op_name(node->op),
            dtype_info[operand].name);
    for (int i = 0; i < count; i++)
        operands[i] = emit_cast(translator, scope, node, compute, operand, operands[i]);
    const bool same = node->type.dtype == operand;
    const uint32_t wide =
        emit_row(translator, scope, node, row, row_bytes(same ? compute : node->type.dtype), operands, count);
    return same ? emit_cast(translator, scope, node, operand, compute, wide) : wide;
}

static uint32_t emit_join(Translator *translator, Scope *scope, const Node *node)
{
    const uint32_t whole = register_new(translator, value_bytes(node), scope);
    int64_t offset = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const int bytes = value_bytes(node->inputs[i]);
        Instruction *const copy = instruction_emit(translator, &scope->code, CODE_COPY, node);
        copy->to = whole;
        copy->a = value_of(translator, node->inputs[i]);
        copy->lanes = bytes;
        copy->immediate = offset;
        offset += bytes;
    }
    if (offset != value_bytes(node))
        BUG("join of %lld bytes gives %d lanes", (long long)offset, node->type.lanes);
    return whole;
}

static uint32_t emit_part(Translator *translator, const Node *node)
{
    const int64_t first = node->op == OP_extract || node->op == OP_slice ? node->payload.integer : 0;
    if (first < 0 || first + node->type.lanes > node->inputs[0]->type.lanes)
        BUG("%s of lane %lld out of %d", op_name(node->op), (long long)first, node->inputs[0]->type.lanes);
    return register_view(translator, value_of(translator, node->inputs[0]), (int)first * row_bytes(node->type.dtype),
                         value_bytes(node));
}

static uint32_t emit_reduce(Translator *translator, Scope *scope, const Node *node)
{
    static const Op fold_ops[FOLD_KINDS] = {[FOLD_SUM] = OP_add, [FOLD_PROD] = OP_mul, [FOLD_MAX] = OP_max,
                                            [FOLD_MIN] = OP_min, [FOLD_AND] = OP_and,  [FOLD_OR] = OP_or};
    const Node *const vector = node->inputs[0];
    const int lanes = vector->type.lanes;
    const Op op = node->payload.fold.kind < FOLD_KINDS ? fold_ops[node->payload.fold.kind] : OP_NONE;
    RowFunction *const row = op ? row_find(op, vector->type.dtype) : NULL;
    if (!row || lanes & (lanes - 1))
        BUG("reduce %s over %d lanes of %s is not defined", fold_name[node->payload.fold.kind % FOLD_KINDS], lanes,
            dtype_info[vector->type.dtype].name);
    Instruction *const reduce = instruction_emit(translator, &scope->code, CODE_REDUCE, node);
    reduce->row = row;
    reduce->lanes = lanes;
    reduce->immediate = row_bytes(vector->type.dtype);
    reduce->a = value_of(translator, vector);
    reduce->b = register_new(translator, value_bytes(vector), scope);
    return reduce->to = register_new(translator, value_bytes(node), scope);
}

void access_require(const Node *access, const Node *operand, int lanes, Dtype dtype)
{
    if (operand->type.lanes != lanes || operand->type.dtype != dtype)
        BUG("%s of %d lanes has an operand of %d lanes of %s", op_name(access->op), lanes, operand->type.lanes,
            dtype_info[operand->type.dtype].name);
}

uint32_t access_load(Translator *translator, Scope *scope, const Node *node)
{
    const int lanes = node->type.lanes;
    const bool masked = node->input_count == 4;
    access_require(node, node->inputs[1], node->op == OP_gather ? lanes : 1, DTYPE_INDEX);
    if (masked) {
        access_require(node, node->inputs[2], lanes, DTYPE_BOOL);
        access_require(node, node->inputs[3], lanes, node->type.dtype);
    }
    if (node->type.dtype != node->inputs[0]->type.dtype)
        BUG("%s of %s from a buffer of %s", op_name(node->op), dtype_info[node->type.dtype].name,
            dtype_info[node->inputs[0]->type.dtype].name);
    const uint16_t buffer = buffer_number(translator, node->inputs[0]);
    Instruction *const load =
        instruction_emit(translator, &scope->code, node->op == OP_gather ? CODE_GATHER : CODE_LOAD, node);
    load->buffer = buffer;
    load->lanes = lanes;
    load->immediate = node->type.dtype;
    load->a = value_of(translator, node->inputs[1]);
    load->b = masked ? value_of(translator, node->inputs[2]) : NO_REGISTER;
    load->c = masked ? value_of(translator, node->inputs[3]) : NO_REGISTER;
    return load->to = register_new(translator, value_bytes(node), scope);
}

void access_store(Translator *translator, Scope *scope, const Node *node)
{
    const Node *const value = node->inputs[2];
    const int lanes = value->type.lanes;
    const bool masked = node->input_count == 4;
    access_require(node, node->inputs[1], node->op == OP_scatter ? lanes : 1, DTYPE_INDEX);
    access_require(node, value, lanes, node->inputs[0]->type.dtype);
    if (masked)
        access_require(node, node->inputs[3], lanes, DTYPE_BOOL);
    const uint16_t buffer = buffer_number(translator, node->inputs[0]);
    translator->buffer_list[buffer].stored = true;
    Instruction *const store =
        instruction_emit(translator, &scope->code, node->op == OP_scatter ? CODE_SCATTER : CODE_STORE, node);
    store->buffer = buffer;
    store->lanes = lanes;
    store->immediate = value->type.dtype;
    store->a = value_of(translator, node->inputs[1]);
    store->b = value_of(translator, value);
    store->c = masked ? value_of(translator, node->inputs[3]) : NO_REGISTER;
}

static bool is_load(const Node *node)
{
    return node->op == OP_load || node->op == OP_gather || node->op == OP_read;
}

uint32_t access_first_value(const Node *node)
{
    return is_load(node) || node->op == OP_store || node->op == OP_scatter || node->op == OP_prefetch ||
                   node->op == OP_tile_load || node->op == OP_tile_store
               ? 1
               : 0;
}

static Scope *root_of(Scope *scope)
{
    while (scope->parent)
        scope = scope->parent;
    return scope;
}

/* Where `node`, all of whose operands are known, is computed. */
static Scope *scope_for(const Translator *translator, const Node *node)
{
    Scope *deepest = root_of(translator->scope);
    for (uint32_t i = access_first_value(node); i < node->input_count; i++) {
        Scope *const scope = register_scope(translator, value_of(translator, node->inputs[i]));
        if (scope->depth > deepest->depth)
            deepest = scope;
    }
    if (!is_load(node))
        return deepest;
    Scope *scope = translator->scope;
    while (scope != deepest && scope->certain)
        scope = scope->parent;
    return scope;
}

static void compute(Translator *translator, Node *node)
{
    Scope *const scope = scope_for(translator, node);
    uint32_t number;
    switch (node->op) {
    case OP_const:
    case OP_iota:
        number = constant_register(translator, scope, node);
        break;
    case OP_extract:
    case OP_slice:
        number = emit_part(translator, node);
        break;
    case OP_splat: {
        const uint32_t scalar = value_of(translator, node->inputs[0]);
        number =
            emit_row(translator, scope, node, row_splat(node->type.dtype), row_bytes(node->type.dtype), &scalar, 1);
        break;
    }
    case OP_join:
        number = emit_join(translator, scope, node);
        break;
    case OP_reduce:
        number = emit_reduce(translator, scope, node);
        break;
    case OP_dot: {
        const uint32_t operands[3] = {value_of(translator, node->inputs[0]), value_of(translator, node->inputs[1]),
                                      value_of(translator, node->inputs[2])};
        number = emit_row(translator, scope, node, row_dot, row_bytes(DTYPE_I32), operands, 3);
        break;
    }
    case OP_load:
    case OP_gather:
        number = access_load(translator, scope, node);
        break;
    default:
        if (!op_is_scalar(node->op))
            BUG("kernel %s: %s is used where it has no value", translator->kernel->payload.kernel->name,
                op_name(node->op));
        number = emit_scalar(translator, scope, node);
        break;
    }
    value_remember(translator, scope, node, number);
}

static void push_unknown(Translator *translator, Node *node)
{
    if (is_known(translator, node))
        return;
    translator->stack = room(translator->scratch, translator->stack, translator->stack_count,
                             &translator->stack_capacity, sizeof *translator->stack);
    translator->stack[translator->stack_count++] = node;
}

void value_need(Translator *translator, Node *root)
{
    push_unknown(translator, root);
    while (translator->stack_count) {
        Node *const node = translator->stack[translator->stack_count - 1];
        const int before = translator->stack_count;
        if (!is_known(translator, node) && op_kind(node->op) == KIND_PURE)
            for (uint32_t i = node->input_count; i > access_first_value(node); i--)
                push_unknown(translator, node->inputs[i - 1]);
        if (translator->stack_count > before)
            continue;
        translator->stack_count--;
        if (!is_known(translator, node))
            compute(translator, node);
    }
}
