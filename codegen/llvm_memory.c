/* Addresses, loads and stores.
 *
 * An address is summed from its terms by loop depth: what belongs to outer loops first, the constant last. So each loop
 * adds only its own part, rows at a constant pitch share one pointer and differ in the displacement of the instruction.
 * Elements below a byte are read and written through their bytes. */
#include "codegen/emit.h"

#include <string.h>

/* ---- addresses ---- */

/* A buffer that the kernel is given: itself, or its place in the table of buffers. */
static LLVMValueRef buffer_parameter(Emitter *emitter, const Node *buffer)
{
    const uintptr_t position = (uintptr_t)map_get(&emitter->parameters, buffer);
    if (!position)
        BUG("a buffer that kernel %s uses is no parameter", emitter->kernel->payload.kernel->name);
    if (emitter->signature.whole)
        return LLVMGetParam(emitter->function, (unsigned)position - 1);
    LLVMTypeRef const pointer = LLVMPointerTypeInContext(emitter->context, 0);
    LLVMValueRef const index = emit_int(emit_index_type(emitter, 1), (int64_t)position - 1);
    LLVMValueRef const slot =
        LLVMBuildGEP2(emitter->builder, pointer, LLVMGetParam(emitter->function, 0), (LLVMValueRef[]){index}, 1, "");
    const Name name = buffer->payload.buffer->name;
    LLVMValueRef const value = LLVMBuildLoad2(emitter->builder, pointer, slot, name ? name : "");
    LLVMSetMetadata(value, LLVMGetMDKindIDInContext(emitter->context, "invariant.load", 14),
                    LLVMMetadataAsValue(emitter->context, LLVMMDNodeInContext2(emitter->context, NULL, 0)));
    return value;
}

static LLVMValueRef local_buffer(Emitter *emitter, const Node *buffer)
{
    LLVMValueRef const offset = emit_int(emit_index_type(emitter, 1), buffer->payload.buffer->offset);
    LLVMValueRef const scratch = LLVMGetParam(emitter->function, (unsigned)emitter->signature.scratch);
    return LLVMBuildGEP2(emitter->builder, emit_int_type(emitter, 8, 1), scratch, (LLVMValueRef[]){offset}, 1, "");
}

LLVMValueRef emit_buffer(Emitter *emitter, const Node *buffer)
{
    const Value *const known = map_get(&emitter->values, buffer);
    if (known)
        return known->value;
    Scope *function = emitter->scope;
    while (function->parent)
        function = function->parent;
    emit_in(emitter, emitter->entry);
    LLVMValueRef const value = emitter->target->gpu                           ? gpu_buffer(emitter, buffer)
                               : buffer->payload.buffer->place == PLACE_LOCAL ? local_buffer(emitter, buffer)
                                                                              : buffer_parameter(emitter, buffer);
    emit_at(emitter, emitter->scope);
    return emit_remember(emitter, buffer, value, function)->value;
}

enum { TERMS_MAX = 64 };

typedef struct Terms {
    Node *items[TERMS_MAX];
    int count;
    int64_t constant;
} Terms;

/* The canonical sum as a list; false when it has more terms than any address of ours. */
static bool terms_of(Node *offset, Terms *terms)
{
    *terms = (Terms){.count = 0};
    for (;; offset = offset->inputs[0]) {
        Node *const last = offset->op == OP_add ? offset->inputs[1] : offset;
        int64_t constant;
        if (const_is_int(last, &constant))
            terms->constant += constant;
        else if (terms->count == TERMS_MAX)
            return false;
        else
            terms->items[terms->count++] = last;
        if (offset->op != OP_add)
            break;
    }
    for (int i = 0; i < terms->count / 2; i++) {
        Node *const swapped = terms->items[i];
        terms->items[i] = terms->items[terms->count - 1 - i];
        terms->items[terms->count - 1 - i] = swapped;
    }
    return true;
}

/* Outer scopes first; equal depths keep their canonical order. */
static void terms_sort(Emitter *emitter, Terms *terms)
{
    for (int i = 1; i < terms->count; i++) {
        Node *const term = terms->items[i];
        const int depth = emit_scope_of(emitter, term)->depth;
        int at = i;
        for (; at > 0 && emit_scope_of(emitter, terms->items[at - 1])->depth > depth; at--)
            terms->items[at] = terms->items[at - 1];
        terms->items[at] = term;
    }
}

static LLVMValueRef step_pointer(Emitter *emitter, LLVMTypeRef element, LLVMValueRef pointer, LLVMValueRef offset)
{
    return LLVMBuildGEP2(emitter->builder, element, pointer, &offset, 1, "");
}

/* Pointers to the sum of the first terms are shared: they are found again under the node of that sum. */
static LLVMValueRef shared_pointer(Emitter *emitter, const Node *buffer, LLVMTypeRef element, const Terms *terms)
{
    NodeMap *known = map_get(&emitter->pointers, buffer);
    if (!known) {
        known = NEW(emitter->arena, NodeMap);
        map_open(known, emitter->arena);
        map_set(&emitter->pointers, buffer, known);
    }
    LLVMValueRef pointer = emit_buffer(emitter, buffer);
    Node *sum = index_const(emitter->ir, 0);
    for (int i = 0; i < terms->count;) {
        Scope *const scope = emit_scope_of(emitter, terms->items[i]);
        const int first = i;
        for (; i < terms->count && emit_scope_of(emitter, terms->items[i]) == scope; i++)
            sum = index_add(emitter->ir, sum, terms->items[i]);
        Value *value = map_get(known, sum);
        if (!value || !value->scope->open) {
            Scope *const place = emit_hoist(emitter, scope);
            emit_at(emitter, place);
            LLVMValueRef part = emit_value(emitter, terms->items[first]);
            for (int j = first + 1; j < i; j++)
                part = LLVMBuildAdd(emitter->builder, part, emit_value(emitter, terms->items[j]), "");
            if (!value) {
                value = NEW(emitter->arena, Value);
                map_set(known, sum, value);
            }
            *value = (Value){step_pointer(emitter, element, pointer, part), place};
            emit_at(emitter, emitter->scope);
        }
        pointer = value->value;
    }
    return pointer;
}

/* The address of element `offset` of elements of type `element` that start at the buffer's first byte. Leaves the
 * builder at the scope. */
static LLVMValueRef emit_address(Emitter *emitter, const Node *buffer, Node *offset, LLVMTypeRef element)
{
    Terms terms;
    if (offset->type.dtype != DTYPE_INDEX || !terms_of(offset, &terms))
        return step_pointer(emitter, element, emit_buffer(emitter, buffer), emit_value(emitter, offset));
    for (int i = 0; i < terms.count; i++)
        emit_value(emitter, terms.items[i]);
    terms_sort(emitter, &terms);
    LLVMValueRef const pointer = shared_pointer(emitter, buffer, element, &terms);
    if (terms.constant == 0)
        return pointer;
    return step_pointer(emitter, element, pointer, emit_int(emit_index_type(emitter, 1), terms.constant));
}

LLVMValueRef emit_element(Emitter *emitter, const Node *buffer, Node *offset)
{
    return emit_address(emitter, buffer, offset, emit_memory_type(emitter, buffer->type.dtype, 1));
}

/* ---- whole bytes ---- */

static int element_bytes(Dtype dtype)
{
    return dtype_info[dtype].bits / 8;
}

static bool is_packed(Dtype dtype)
{
    return dtype_info[dtype].bits < 8;
}

static LLVMValueRef from_memory(Emitter *emitter, Dtype dtype, LLVMValueRef value)
{
    if (dtype_info[dtype].kind != CLASS_BOOL)
        return value;
    return LLVMBuildICmp(emitter->builder, LLVMIntNE, value, emit_int(LLVMTypeOf(value), 0), "");
}

static LLVMValueRef to_memory(Emitter *emitter, Dtype dtype, LLVMValueRef value)
{
    if (dtype_info[dtype].kind != CLASS_BOOL)
        return value;
    return LLVMBuildZExt(emitter->builder, value, emit_memory_type(emitter, dtype, emit_lanes(value)), "");
}

/* A load of what nobody writes while the kernel runs may move freely. */
static void mark_invariant(Emitter *emitter, const Node *buffer, LLVMValueRef load)
{
    for (const Node *memory = buffer; memory; memory = memory->payload.buffer->alias)
        if (place_is_inner(memory->payload.buffer->place) || map_has(&emitter->written, memory))
            return;
    LLVMSetMetadata(load, LLVMGetMDKindIDInContext(emitter->context, "invariant.load", 14),
                    LLVMMetadataAsValue(emitter->context, LLVMMDNodeInContext2(emitter->context, NULL, 0)));
}

/* CPUs take vectors from any address; a GPU takes them from multiples of their size only. */
static unsigned access_alignment(Emitter *emitter, Node *offset, int lanes, Dtype dtype)
{
    return emitter->target->gpu ? gpu_access_alignment(emitter, offset, lanes, element_bytes(dtype))
                                : (unsigned)element_bytes(dtype);
}

/* Masked intrinsics want vectors; a single lane becomes a vector of one. */
static LLVMValueRef as_vector(Emitter *emitter, LLVMValueRef value)
{
    if (LLVMGetTypeKind(LLVMTypeOf(value)) == LLVMVectorTypeKind)
        return value;
    LLVMTypeRef const type = LLVMVectorType(LLVMTypeOf(value), 1);
    return LLVMBuildInsertElement(emitter->builder, LLVMGetPoison(type), value,
                                  emit_int(LLVMInt32TypeInContext(emitter->context), 0), "");
}

static LLVMValueRef as_lanes(Emitter *emitter, LLVMValueRef vector, int lanes)
{
    if (lanes > 1)
        return vector;
    return LLVMBuildExtractElement(emitter->builder, vector, emit_int(LLVMInt32TypeInContext(emitter->context), 0), "");
}

static LLVMValueRef load_masked(Emitter *emitter, LLVMValueRef address, Dtype dtype, int lanes, LLVMValueRef mask,
                                LLVMValueRef otherwise)
{
    LLVMValueRef const other = as_vector(emitter, to_memory(emitter, dtype, otherwise));
    LLVMValueRef const loaded =
        emit_masked_load(emitter, address, as_vector(emitter, mask), other, element_bytes(dtype));
    return from_memory(emitter, dtype, as_lanes(emitter, loaded, lanes));
}

/* ---- below a byte ---- */

static int per_byte_shift(Dtype dtype)
{
    return dtype_info[dtype].bits == 4 ? 1 : 2;
}

/* Bytes that hold elements, each shifted so that its element is lowest, to values. */
static LLVMValueRef unpack(Emitter *emitter, LLVMValueRef bytes, LLVMValueRef shifts, Dtype dtype)
{
    LLVMTypeRef const type = LLVMTypeOf(bytes);
    const int bits = dtype_info[dtype].bits;
    LLVMValueRef const low = LLVMBuildLShr(emitter->builder, bytes, shifts, "");
    if (!dtype_is_signed(dtype))
        return LLVMBuildAnd(emitter->builder, low, emit_int(type, (1 << bits) - 1), "");
    LLVMValueRef const up = LLVMBuildShl(emitter->builder, low, emit_int(type, 8 - bits), "");
    return LLVMBuildAShr(emitter->builder, up, emit_int(type, 8 - bits), "");
}

/* First bit, within its byte, of the elements at `offsets`. */
static LLVMValueRef bit_of(Emitter *emitter, LLVMValueRef offsets, Dtype dtype)
{
    const int bits = dtype_info[dtype].bits, last = (1 << per_byte_shift(dtype)) - 1;
    LLVMTypeRef const type = LLVMTypeOf(offsets);
    LLVMValueRef const within = LLVMBuildAnd(emitter->builder, offsets, emit_int(type, last), "");
    LLVMValueRef const narrow =
        LLVMBuildTrunc(emitter->builder, within, emit_int_type(emitter, 8, emit_lanes(offsets)), "");
    return LLVMBuildMul(emitter->builder, narrow, emit_int(LLVMTypeOf(narrow), bits), "");
}

static LLVMValueRef byte_address(Emitter *emitter, const Node *buffer, LLVMValueRef offsets, Dtype dtype)
{
    LLVMValueRef const byte =
        LLVMBuildAShr(emitter->builder, offsets, emit_int(LLVMTypeOf(offsets), per_byte_shift(dtype)), "");
    return step_pointer(emitter, emit_int_type(emitter, 8, 1), emit_buffer(emitter, buffer), byte);
}

/* first, first + 1, ... */
static LLVMValueRef consecutive(Emitter *emitter, LLVMValueRef first, int lanes)
{
    if (lanes == 1)
        return first;
    LLVMValueRef steps[1024];
    for (int i = 0; i < lanes; i++)
        steps[i] = emit_int(LLVMTypeOf(first), i);
    return LLVMBuildAdd(emitter->builder, emit_splat(emitter, first, lanes), LLVMConstVector(steps, (unsigned)lanes),
                        "");
}

static LLVMValueRef all_true(Emitter *emitter, int lanes)
{
    return emit_int(emit_int_type(emitter, 1, lanes), 1);
}

static LLVMValueRef gather_bytes(Emitter *emitter, LLVMValueRef addresses, LLVMValueRef mask, Dtype dtype,
                                 LLVMValueRef otherwise)
{
    LLVMValueRef const other = as_vector(emitter, otherwise), pointers = as_vector(emitter, addresses);
    LLVMValueRef arguments[] = {pointers, as_vector(emitter, mask), other};
    return emit_masked(emitter, "llvm.masked.gather", LLVMTypeOf(other), LLVMTypeOf(pointers), arguments, 3, 0,
                       is_packed(dtype) ? 1 : element_bytes(dtype));
}

/* Elements at `offsets`, anywhere. */
static LLVMValueRef gather_packed(Emitter *emitter, const Node *buffer, LLVMValueRef offsets, LLVMValueRef mask,
                                  LLVMValueRef otherwise, Dtype dtype)
{
    const int lanes = emit_lanes(offsets);
    LLVMValueRef const addresses = byte_address(emitter, buffer, offsets, dtype);
    LLVMTypeRef const type = emit_int_type(emitter, 8, lanes);
    LLVMValueRef const bytes = as_lanes(
        emitter, gather_bytes(emitter, addresses, mask ? mask : all_true(emitter, lanes), dtype, LLVMConstNull(type)),
        lanes);
    LLVMValueRef const value = unpack(emitter, bytes, bit_of(emitter, offsets, dtype), dtype);
    return mask ? LLVMBuildSelect(emitter->builder, mask, value, otherwise, "") : value;
}

/* Do the elements start and end at bytes? Then whole bytes can be moved. */
static bool fills_bytes(Emitter *emitter, Node *offset, Dtype dtype, int lanes)
{
    const int per_byte = 1 << per_byte_shift(dtype);
    return lanes > 1 && lanes % per_byte == 0 &&
           index_is(index_mod(emitter->ir, offset, index_const(emitter->ir, per_byte)), 0);
}

/* The shift of each lane within its byte. */
static LLVMValueRef lane_shifts(Emitter *emitter, Dtype dtype, int lanes)
{
    const int per_byte = 1 << per_byte_shift(dtype);
    LLVMValueRef shifts[1024];
    for (int i = 0; i < lanes; i++)
        shifts[i] = emit_int(emit_int_type(emitter, 8, 1), i % per_byte * dtype_info[dtype].bits);
    return LLVMConstVector(shifts, (unsigned)lanes);
}

static LLVMValueRef load_whole_bytes(Emitter *emitter, const Node *buffer, Node *offset, Dtype dtype, int lanes)
{
    const int per_byte = 1 << per_byte_shift(dtype), bytes = lanes / per_byte;
    LLVMValueRef const address = byte_address(emitter, buffer, emit_value(emitter, offset), dtype);
    LLVMValueRef const loaded = LLVMBuildLoad2(emitter->builder, emit_int_type(emitter, 8, bytes), address, "");
    LLVMSetAlignment(loaded, 1);
    int order[1024];
    for (int i = 0; i < lanes; i++)
        order[i] = i / per_byte;
    LLVMValueRef const spread =
        bytes == 1 ? emit_splat(emitter, loaded, lanes) : emit_shuffle(emitter, loaded, NULL, order, lanes);
    return unpack(emitter, spread, lane_shifts(emitter, dtype, lanes), dtype);
}

static LLVMValueRef load_packed(Emitter *emitter, const Node *node, LLVMValueRef mask, LLVMValueRef otherwise)
{
    const Dtype dtype = node->type.dtype;
    if (!mask && fills_bytes(emitter, node->inputs[1], dtype, node->type.lanes))
        return load_whole_bytes(emitter, node->inputs[0], node->inputs[1], dtype, node->type.lanes);
    LLVMValueRef const offsets = consecutive(emitter, emit_value(emitter, node->inputs[1]), node->type.lanes);
    return gather_packed(emitter, node->inputs[0], offsets, mask, otherwise, dtype);
}

/* One element: its byte is read, changed and written, if `mask` (NULL: always). Neighbours belong to the same chunk:
 * partitions fall on bytes. */
static void store_packed_lane(Emitter *emitter, const Node *buffer, LLVMValueRef offset, LLVMValueRef value,
                              LLVMValueRef mask, Dtype dtype)
{
    LLVMBuilderRef const builder = emitter->builder;
    LLVMTypeRef const type = emit_int_type(emitter, 8, 1);
    const int ones = (1 << dtype_info[dtype].bits) - 1;
    LLVMValueRef const address = byte_address(emitter, buffer, offset, dtype), shift = bit_of(emitter, offset, dtype);
    LLVMValueRef const enabled = mask ? mask : all_true(emitter, 1);
    LLVMValueRef const old = as_lanes(emitter, gather_bytes(emitter, address, enabled, dtype, LLVMConstNull(type)), 1);
    LLVMValueRef const hole = LLVMBuildNot(builder, LLVMBuildShl(builder, emit_int(type, ones), shift, ""), "");
    LLVMValueRef const field = LLVMBuildShl(builder, LLVMBuildAnd(builder, value, emit_int(type, ones), ""), shift, "");
    LLVMValueRef const byte = as_vector(emitter, LLVMBuildOr(builder, LLVMBuildAnd(builder, old, hole, ""), field, ""));
    LLVMValueRef arguments[] = {byte, address, as_vector(emitter, enabled)};
    emit_masked(emitter, "llvm.masked.store", LLVMTypeOf(byte), LLVMTypeOf(address), arguments, 3, 1, 1);
}

static void scatter_packed(Emitter *emitter, const Node *buffer, LLVMValueRef offsets, LLVMValueRef value,
                           LLVMValueRef mask)
{
    const int lanes = emit_lanes(offsets);
    for (int i = 0; i < lanes; i++)
        store_packed_lane(emitter, buffer, emit_lane(emitter, offsets, i), emit_lane(emitter, value, i),
                          mask ? emit_lane(emitter, mask, i) : NULL, buffer->type.dtype);
}

static void store_whole_bytes(Emitter *emitter, const Node *buffer, Node *offset, LLVMValueRef value)
{
    LLVMBuilderRef const builder = emitter->builder;
    const Dtype dtype = buffer->type.dtype;
    const int lanes = emit_lanes(value), per_byte = 1 << per_byte_shift(dtype), bytes = lanes / per_byte;
    LLVMValueRef const low =
        LLVMBuildAnd(builder, value, emit_int(LLVMTypeOf(value), (1 << dtype_info[dtype].bits) - 1), "");
    LLVMValueRef const placed = LLVMBuildShl(builder, low, lane_shifts(emitter, dtype, lanes), "");
    LLVMValueRef packed = NULL;
    int order[1024];
    for (int part = 0; part < per_byte; part++) {
        for (int i = 0; i < bytes; i++)
            order[i] = i * per_byte + part;
        LLVMValueRef const piece =
            bytes == 1 ? emit_lane(emitter, placed, part) : emit_shuffle(emitter, placed, NULL, order, bytes);
        packed = packed ? LLVMBuildOr(builder, packed, piece, "") : piece;
    }
    LLVMSetAlignment(LLVMBuildStore(builder, packed, byte_address(emitter, buffer, emit_value(emitter, offset), dtype)),
                     1);
}

/* ---- the nodes ---- */

LLVMValueRef emit_load(Emitter *emitter, const Node *node)
{
    const Dtype dtype = node->type.dtype;
    const Node *const buffer = node->inputs[0];
    LLVMValueRef mask = NULL, otherwise = NULL;
    if (node->input_count > 2) {
        mask = emit_value(emitter, node->inputs[2]);
        otherwise = emit_value(emitter, node->inputs[3]);
    }
    if (is_packed(dtype))
        return load_packed(emitter, node, mask, otherwise);
    LLVMTypeRef const element = emit_memory_type(emitter, dtype, 1);
    LLVMValueRef const address = emit_address(emitter, buffer, node->inputs[1], element);
    if (mask)
        return load_masked(emitter, address, dtype, node->type.lanes, mask, otherwise);
    LLVMValueRef const load =
        LLVMBuildLoad2(emitter->builder, emit_memory_type(emitter, dtype, node->type.lanes), address, "");
    LLVMSetAlignment(load, access_alignment(emitter, node->inputs[1], node->type.lanes, dtype));
    if (node->op == OP_load)
        mark_invariant(emitter, buffer, load);
    return from_memory(emitter, dtype, load);
}

/* Lane by lane: without a mask, or without a machine instruction, that is what the machine would do. */
static LLVMValueRef gather_lanes(Emitter *emitter, const Node *node, LLVMValueRef offsets)
{
    const Dtype dtype = node->type.dtype;
    LLVMTypeRef const element = emit_memory_type(emitter, dtype, 1);
    LLVMValueRef const base = emit_buffer(emitter, node->inputs[0]);
    LLVMValueRef result = LLVMGetPoison(emit_memory_type(emitter, dtype, node->type.lanes));
    for (int i = 0; i < node->type.lanes; i++) {
        LLVMValueRef const address = step_pointer(emitter, element, base, emit_lane(emitter, offsets, i));
        LLVMValueRef const load = LLVMBuildLoad2(emitter->builder, element, address, "");
        LLVMSetAlignment(load, (unsigned)element_bytes(dtype));
        mark_invariant(emitter, node->inputs[0], load);
        result = node->type.lanes == 1
                     ? load
                     : LLVMBuildInsertElement(emitter->builder, result, load,
                                              emit_int(LLVMInt32TypeInContext(emitter->context), i), "");
    }
    return from_memory(emitter, dtype, result);
}

LLVMValueRef emit_gather(Emitter *emitter, const Node *node)
{
    const Dtype dtype = node->type.dtype;
    LLVMValueRef const offsets = emit_value(emitter, node->inputs[1]);
    LLVMValueRef mask = NULL, otherwise = NULL;
    if (node->input_count > 2) {
        mask = emit_value(emitter, node->inputs[2]);
        otherwise = emit_value(emitter, node->inputs[3]);
    }
    if (is_packed(dtype))
        return gather_packed(emitter, node->inputs[0], offsets, mask, otherwise, dtype);
    const bool has_instruction = emitter->target->gather && element_bytes(dtype) >= 4 && node->type.lanes > 1;
    if (!mask && !has_instruction)
        return gather_lanes(emitter, node, offsets);
    LLVMValueRef const base = emit_buffer(emitter, node->inputs[0]);
    LLVMValueRef const addresses = step_pointer(emitter, emit_memory_type(emitter, dtype, 1), base, offsets);
    LLVMValueRef const other = otherwise ? to_memory(emitter, dtype, otherwise)
                                         : LLVMConstNull(emit_memory_type(emitter, dtype, node->type.lanes));
    LLVMValueRef const loaded =
        gather_bytes(emitter, addresses, mask ? mask : all_true(emitter, node->type.lanes), dtype, other);
    return from_memory(emitter, dtype, as_lanes(emitter, loaded, node->type.lanes));
}

void emit_store(Emitter *emitter, const Node *node)
{
    const Node *const buffer = node->inputs[0];
    const Dtype dtype = buffer->type.dtype;
    LLVMValueRef const value = emit_value(emitter, node->inputs[2]);
    LLVMValueRef const mask = node->input_count > 3 ? emit_value(emitter, node->inputs[3]) : NULL;
    const int lanes = emit_lanes(value);
    if (is_packed(dtype)) {
        if (!mask && fills_bytes(emitter, node->inputs[1], dtype, lanes))
            store_whole_bytes(emitter, buffer, node->inputs[1], value);
        else
            scatter_packed(emitter, buffer, consecutive(emitter, emit_value(emitter, node->inputs[1]), lanes), value,
                           mask);
        return;
    }
    LLVMValueRef const address = emit_address(emitter, buffer, node->inputs[1], emit_memory_type(emitter, dtype, 1));
    LLVMValueRef const stored = to_memory(emitter, dtype, value);
    if (!mask) {
        LLVMSetAlignment(LLVMBuildStore(emitter->builder, stored, address),
                         access_alignment(emitter, node->inputs[1], lanes, dtype));
        return;
    }
    LLVMValueRef const vector = as_vector(emitter, stored);
    emit_masked_store(emitter, address, as_vector(emitter, mask), vector, element_bytes(dtype));
}

/* Lanes write in ascending order: the last of equal offsets stays. */
void emit_scatter(Emitter *emitter, const Node *node)
{
    const Node *const buffer = node->inputs[0];
    const Dtype dtype = buffer->type.dtype;
    LLVMValueRef const offsets = emit_value(emitter, node->inputs[1]), value = emit_value(emitter, node->inputs[2]);
    LLVMValueRef const mask = node->input_count > 3 ? emit_value(emitter, node->inputs[3]) : NULL;
    const int lanes = emit_lanes(value);
    if (is_packed(dtype)) {
        scatter_packed(emitter, buffer, offsets, value, mask);
        return;
    }
    LLVMValueRef const base = emit_buffer(emitter, buffer);
    LLVMValueRef const addresses = step_pointer(emitter, emit_memory_type(emitter, dtype, 1), base, offsets);
    LLVMValueRef const vector = as_vector(emitter, to_memory(emitter, dtype, value)),
                       pointers = as_vector(emitter, addresses);
    LLVMValueRef arguments[] = {vector, pointers, as_vector(emitter, mask ? mask : all_true(emitter, lanes))};
    emit_masked(emitter, "llvm.masked.scatter", LLVMTypeOf(vector), LLVMTypeOf(pointers), arguments, 3, 1,
                element_bytes(dtype));
}

void emit_prefetch(Emitter *emitter, const Node *node)
{
    if (emitter->target->gpu)
        return; /* other warps run while one waits */
    LLVMTypeRef const pointer = LLVMPointerTypeInContext(emitter->context, 0),
                      word = LLVMInt32TypeInContext(emitter->context);
    const Dtype dtype = node->inputs[0]->type.dtype;
    LLVMValueRef const address =
        emit_address(emitter, node->inputs[0], node->inputs[1],
                     is_packed(dtype) ? emit_int_type(emitter, 8, 1) : emit_memory_type(emitter, dtype, 1));
    /* read, into the cache level asked for (LLVM counts the other way round), data */
    const LLVMValueRef arguments[] = {address, emit_int(word, 0), emit_int(word, 4 - node->payload.integer),
                                      emit_int(word, 1)};
    emit_intrinsic(emitter, "llvm.prefetch", &pointer, 1, arguments, 4);
}
