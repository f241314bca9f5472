/* Making nodes: hash-consing, types, folding of constants. Index expressions get their canonical form in ir/index.c. */
#include "ir/ir.h"
#include "ir/scalar.h"

#include <assert.h>
#include <string.h>

struct ConsTable {
    Node **slots; /* open addressing; capacity a power of two */
    size_t count, capacity;
};

Ir *ir_open(Arena *arena, Diagnostics *diagnostics)
{
    Ir *const ir = NEW(arena, Ir);
    ir->arena = arena;
    ir->diagnostics = diagnostics;
    ir->next_id = 1;
    ir->table = NEW(arena, struct ConsTable);
    return ir;
}

/* ---- types ---- */

Type type_scalar(Dtype dtype)
{
    return (Type){.dtype = dtype, .lanes = 1, .rank = -1};
}

Type type_vector(Dtype dtype, int lanes)
{
    return (Type){.dtype = dtype, .lanes = lanes, .rank = -1};
}

Type type_tensor(Ir *ir, Dtype dtype, int rank, Node *const *dims)
{
    return (Type){
        .dtype = dtype, .lanes = 1, .rank = rank, .dims = arena_copy(ir->arena, dims, (size_t)rank * sizeof *dims)};
}

bool type_equal(Type a, Type b)
{
    if (a.dtype != b.dtype || a.lanes != b.lanes || a.rank != b.rank || a.form != b.form)
        return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dims[i] != b.dims[i])
            return false;
    return true;
}

Node *type_elements(Ir *ir, Type type)
{
    Node *elements = index_const(ir, 1);
    for (int i = 0; i < type.rank; i++)
        elements = index_mul(ir, elements, type.dims[i]);
    return elements;
}

Node *axes_points(Ir *ir, Node *const *axes, int count)
{
    Node *points = index_const(ir, 1);
    for (int i = 0; i < count; i++)
        points = index_mul(ir, points, axes[i]->inputs[0]);
    return points;
}

/* ---- hash-consing ---- */

static uint32_t mix(uint32_t hash, uint64_t value)
{
    const uint64_t mixed = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed ^ (mixed >> 32));
}

static uint64_t payload_word(const Node *node)
{
    uint64_t word;
    static_assert(sizeof node->payload == sizeof word, "the payload is one word");
    memcpy(&word, &node->payload, sizeof word);
    return word;
}

static uint32_t attribute_hash(uint32_t hash, const Attribute *attribute)
{
    for (const char *c = attribute->name; *c; c++)
        hash = mix(hash, (unsigned char)*c);
    hash = mix(hash, (uint64_t)attribute->kind << 32 | (uint32_t)attribute->count);
    if (attribute->kind == ATTRIBUTE_INTS)
        for (int i = 0; i < attribute->count; i++)
            hash = mix(hash, (uint64_t)attribute->integers[i]);
    if (attribute->kind == ATTRIBUTE_INT)
        hash = mix(hash, (uint64_t)attribute->integer);
    return hash;
}

static uint32_t node_hash(const Node *node)
{
    /* Names and buffers hash by nothing of their address, so that the order of probing never reaches an output. */
    uint32_t hash = mix(0, node->op);
    hash = mix(hash, (uint64_t)node->type.dtype << 32 | (uint32_t)(node->type.lanes * 64 + node->type.rank));
    for (int i = 0; i < node->type.rank; i++)
        hash = mix(hash, node->type.dims[i] ? node->type.dims[i]->id : 0);
    for (uint32_t i = 0; i < node->input_count; i++)
        hash = mix(hash, node->inputs[i]->id);
    for (int i = 0; i < node->axis_count; i++)
        hash = mix(hash, node->axes[i]->id);
    for (int i = 0; i < node->attribute_count; i++)
        hash = attribute_hash(hash, &node->attributes[i]);
    if (node->op == OP_symbol)
        for (const char *c = node->payload.name; *c; c++)
            hash = mix(hash, (unsigned char)*c);
    else
        hash = mix(hash, payload_word(node));
    return hash;
}

bool attribute_same_value(const Attribute *a, const Attribute *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    switch (a->kind) {
    case ATTRIBUTE_INT:
        return a->integer == b->integer;
    case ATTRIBUTE_FLOAT:
        return memcmp(&a->real, &b->real, sizeof a->real) == 0;
    case ATTRIBUTE_STRING:
        return a->string == b->string;
    case ATTRIBUTE_INTS:
        return memcmp(a->integers, b->integers, (size_t)a->count * sizeof *a->integers) == 0;
    case ATTRIBUTE_FLOATS:
        return memcmp(a->reals, b->reals, (size_t)a->count * sizeof *a->reals) == 0;
    case ATTRIBUTE_STRINGS:
        return memcmp(a->strings, b->strings, (size_t)a->count * sizeof *a->strings) == 0;
    case ATTRIBUTE_TENSOR:
        return a->tensor == b->tensor;
    case ATTRIBUTE_GRAPH:
        return a->graph == b->graph;
    }
    return false;
}

static bool node_equal(const Node *a, const Node *b)
{
    if (a->hash != b->hash || a->op != b->op || a->scope != b->scope || a->input_count != b->input_count ||
        a->axis_count != b->axis_count || a->attribute_count != b->attribute_count || !type_equal(a->type, b->type) ||
        payload_word(a) != payload_word(b))
        return false;
    for (uint32_t i = 0; i < a->input_count; i++)
        if (a->inputs[i] != b->inputs[i])
            return false;
    for (int i = 0; i < a->axis_count; i++)
        if (a->axes[i] != b->axes[i])
            return false;
    for (int i = 0; i < a->attribute_count; i++)
        if (a->attributes[i].name != b->attributes[i].name ||
            !attribute_same_value(&a->attributes[i], &b->attributes[i]))
            return false;
    return true;
}

static void table_grow(Ir *ir, struct ConsTable *table)
{
    const size_t capacity = table->capacity ? table->capacity * 2 : 1024;
    Node **const slots = NEW_ARRAY(ir->arena, Node *, capacity);
    for (size_t i = 0; i < table->capacity; i++) {
        if (!table->slots[i])
            continue;
        size_t slot = table->slots[i]->hash & (capacity - 1);
        while (slots[slot])
            slot = (slot + 1) & (capacity - 1);
        slots[slot] = table->slots[i];
    }
    table->slots = slots;
    table->capacity = capacity;
}

static Node *node_new(Ir *ir, const Node *draft)
{
    Node *const node = arena_copy(ir->arena, draft, sizeof *draft);
    node->id = ir->next_id++;
    node->inputs = arena_copy(ir->arena, draft->inputs, draft->input_count * sizeof *draft->inputs);
    node->axes = arena_copy(ir->arena, draft->axes, draft->axis_count * sizeof *draft->axes);
    node->attributes = arena_copy(ir->arena, draft->attributes, draft->attribute_count * sizeof *draft->attributes);
    node->blocks = arena_copy(ir->arena, draft->blocks, draft->block_count * sizeof *draft->blocks);
    if (!node->where)
        node->where = ir->where;
    return node;
}

/* The place in the table of what is equal to `key`, or the free one where the search ended. */
static Node **table_find(const struct ConsTable *table, const Node *key)
{
    size_t slot = key->hash & (table->capacity - 1);
    while (table->slots[slot] && !node_equal(table->slots[slot], key))
        slot = (slot + 1) & (table->capacity - 1);
    return &table->slots[slot];
}

Node *node_make(Ir *ir, const Node *draft)
{
    Node key = *draft;
    if (key.type.lanes == 0)
        key.type.lanes = 1;
    key.scope = op_is_tensor(key.op) ? ir->scope : 0;
    if (op_kind(key.op) != KIND_PURE || key.block_count)
        return node_new(ir, &key);
    key.hash = node_hash(&key);
    struct ConsTable *const table = ir->table;
    if (table->count * 2 >= table->capacity)
        table_grow(ir, table);
    Node **own = table_find(table, &key), **found = own;
    for (Node outer = key; !*found && outer.scope;) {
        outer.scope = ir->scope_outer[outer.scope];
        found = table_find(table, &outer);
    }
    if (*found)
        return *found;
    table->count++;
    return *own = node_new(ir, &key);
}

/* ---- constants and leaves ---- */

Node *const_bits(Ir *ir, Type type, uint64_t bits)
{
    return node_make(ir, &(Node){.op = OP_const, .type = type, .payload.bits = bits});
}

Node *const_int(Ir *ir, Dtype dtype, int64_t value)
{
    const uint64_t bits = (uint64_t)value;
    if (dtype == DTYPE_I64 || dtype == DTYPE_INDEX)
        return const_bits(ir, type_scalar(dtype), bits);
    return const_bits(ir, type_scalar(dtype), scalar_evaluate(OP_cast, dtype, DTYPE_I64, &bits));
}

Node *const_float(Ir *ir, Dtype dtype, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (dtype != DTYPE_F64)
        bits = scalar_evaluate(OP_cast, dtype, DTYPE_F64, &bits);
    return const_bits(ir, type_scalar(dtype), bits);
}

Node *const_bool(Ir *ir, bool value)
{
    return const_bits(ir, type_scalar(DTYPE_BOOL), value);
}

bool const_is_int(const Node *node, int64_t *value)
{
    if (node->op != OP_const || dtype_is_float(node->type.dtype))
        return false;
    *value = node->payload.integer;
    return true;
}

double const_as_double(const Node *node)
{
    const uint64_t bits = scalar_evaluate(OP_cast, DTYPE_F64, node->type.dtype, &node->payload.bits);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

Node *symbol_make(Ir *ir, Name name)
{
    return node_make(ir, &(Node){.op = OP_symbol, .type = type_scalar(DTYPE_INDEX), .payload.name = name});
}

Node *axis_make(Ir *ir, const char *name, Node *extent)
{
    return node_make(ir, &(Node){.op = OP_axis,
                                 .type = type_scalar(DTYPE_INDEX),
                                 .inputs = &extent,
                                 .input_count = extent != NULL,
                                 .payload.name = name_intern(ir->arena, name)});
}

Node *buffer_make(Ir *ir, Type type, const Buffer *buffer)
{
    Buffer *const copy = arena_copy(ir->arena, buffer, sizeof *buffer);
    return node_make(ir, &(Node){.op = OP_buffer, .type = type, .payload.buffer = copy});
}

/* ---- scalar arithmetic ---- */

typedef enum Rule { SAME, BOOLEAN, SELECT, CAST } Rule;
typedef struct ScalarRow {
    int arity;
    Rule rule;
} ScalarRow;
static const ScalarRow scalar_rows[] = {
#define SCALAR_OP(enumerator, text, arity, rule, classes) [OP_##enumerator - OP_SCALAR_FIRST] = {arity, rule},
#include "ir/scalar.def"
#undef SCALAR_OP
};

Node *splat_make(Ir *ir, Node *scalar, int lanes)
{
    if (lanes == 1)
        return scalar;
    const Type type = type_vector(scalar->type.dtype, lanes);
    if (scalar->op == OP_const)
        return const_bits(ir, type, scalar->payload.bits);
    return node_make(ir, &(Node){.op = OP_splat, .type = type, .inputs = &scalar, .input_count = 1});
}

static bool all_constant(Node *const *inputs, int count)
{
    for (int i = 0; i < count; i++)
        if (inputs[i]->op != OP_const)
            return false;
    return true;
}

static Node *fold_constants(Ir *ir, Op op, Type type, Node *const *inputs, int count)
{
    uint64_t operands[3];
    for (int i = 0; i < count; i++)
        operands[i] = inputs[i]->payload.bits;
    const Dtype operand = inputs[count - 1]->type.dtype;
    return const_bits(ir, type, scalar_evaluate(op, type.dtype, operand, operands));
}

static bool is_true(const Node *node)
{
    return node->op == OP_const && node->type.dtype == DTYPE_BOOL && node->payload.bits;
}

static bool is_false(const Node *node)
{
    return node->op == OP_const && node->type.dtype == DTYPE_BOOL && !node->payload.bits;
}

/* Comparisons of index expressions that their ranges decide: 1 true, 0 false, -1 open. */
static int index_compare(Ir *ir, Op op, Node *a, Node *b)
{
    const Range range = index_range(ir, index_sub(ir, a, b));
    switch (op) {
    case OP_lt:
        return range.high < 0 ? 1 : range.low >= 0 ? 0 : -1;
    case OP_le:
        return range.high <= 0 ? 1 : range.low > 0 ? 0 : -1;
    case OP_gt:
        return range.low > 0 ? 1 : range.high <= 0 ? 0 : -1;
    case OP_ge:
        return range.low >= 0 ? 1 : range.high < 0 ? 0 : -1;
    case OP_eq:
        return range.low == 0 && range.high == 0 ? 1 : range.low > 0 || range.high < 0 ? 0 : -1;
    case OP_ne:
        return range.low == 0 && range.high == 0 ? 0 : range.low > 0 || range.high < 0 ? 1 : -1;
    default:
        return -1;
    }
}

/* Identities that hold bit for bit, on any operands. NULL when none applies. */
static Node *simplify(Ir *ir, Op op, Node *const *in)
{
    switch (op) {
    case OP_and:
        return is_true(in[0]) || is_false(in[1]) ? in[1] : is_true(in[1]) || is_false(in[0]) ? in[0] : NULL;
    case OP_or:
        return is_false(in[0]) || is_true(in[1]) ? in[1] : is_false(in[1]) || is_true(in[0]) ? in[0] : NULL;
    case OP_select:
        return is_true(in[0]) || in[1] == in[2] ? in[1] : is_false(in[0]) ? in[2] : NULL;
    case OP_lt:
    case OP_le:
    case OP_gt:
    case OP_ge:
    case OP_eq:
    case OP_ne:
        if (in[0]->type.dtype == DTYPE_INDEX && in[0]->type.lanes == 1) {
            const int known = index_compare(ir, op, in[0], in[1]);
            return known >= 0 ? const_bool(ir, known) : NULL;
        }
        return NULL;
    default:
        return NULL;
    }
}

static Node *index_scalar(Ir *ir, Op op, Node *const *in)
{
    switch (op) {
    case OP_add:
        return index_add(ir, in[0], in[1]);
    case OP_sub:
        return index_sub(ir, in[0], in[1]);
    case OP_mul:
        return index_mul(ir, in[0], in[1]);
    case OP_neg:
        return index_sub(ir, index_const(ir, 0), in[0]);
    case OP_floordiv:
        return index_floordiv(ir, in[0], in[1]);
    case OP_mod:
        return index_mod(ir, in[0], in[1]);
    case OP_min:
        return index_min(ir, in[0], in[1]);
    case OP_max:
        return index_max(ir, in[0], in[1]);
    default:
        return NULL;
    }
}

static Node *scalar_typed(Ir *ir, Op op, Node *const *given, int count, Dtype dtype)
{
    const ScalarRow row = scalar_rows[op - OP_SCALAR_FIRST];
    if (count != row.arity)
        BUG("%s takes %d operands, not %d", op_name(op), row.arity, count);
    int lanes = 1;
    for (int i = 0; i < count; i++)
        if (given[i]->type.lanes > lanes)
            lanes = given[i]->type.lanes;
    Node *in[3];
    for (int i = 0; i < count; i++)
        in[i] = given[i]->type.lanes == lanes ? given[i] : splat_make(ir, given[i], lanes);
    const int first = row.rule == SELECT ? 1 : 0;
    for (int i = first + 1; i < count; i++)
        if (in[i]->type.dtype != in[first]->type.dtype)
            BUG("%s of %s and %s", op_name(op), dtype_info[in[first]->type.dtype].name,
                dtype_info[in[i]->type.dtype].name);
    if (row.rule == SAME || row.rule == SELECT)
        dtype = in[first]->type.dtype;
    else if (row.rule == BOOLEAN)
        dtype = DTYPE_BOOL;
    const Type type = type_vector(dtype, lanes);
    if (lanes == 1 && dtype == DTYPE_INDEX && row.rule == SAME) {
        Node *const node = index_scalar(ir, op, in);
        if (node)
            return node;
    }
    if (all_constant(in, count) && scalar_can_evaluate(op))
        return fold_constants(ir, op, type, in, count);
    Node *const simple = simplify(ir, op, in);
    if (simple)
        return simple->type.lanes == lanes ? simple : splat_make(ir, simple, lanes);
    return node_make(ir, &(Node){.op = op, .type = type, .inputs = in, .input_count = (uint32_t)count});
}

Node *scalar_make(Ir *ir, Op op, Node *const *inputs, int count)
{
    return scalar_typed(ir, op, inputs, count, DTYPE_NONE);
}

Node *scalar1(Ir *ir, Op op, Node *a)
{
    return scalar_make(ir, op, &a, 1);
}

Node *scalar2(Ir *ir, Op op, Node *a, Node *b)
{
    return scalar_make(ir, op, (Node *[]){a, b}, 2);
}

Node *scalar3(Ir *ir, Op op, Node *a, Node *b, Node *c)
{
    return scalar_make(ir, op, (Node *[]){a, b, c}, 3);
}

Node *cast_make(Ir *ir, Node *value, Dtype dtype)
{
    if (value->type.dtype == dtype)
        return value;
    /* Widening to i64 and back is the identity: index expressions travel through ONNX's int64 tensors. */
    if (value->op == OP_cast && value->inputs[0]->type.dtype == dtype &&
        ((dtype == DTYPE_INDEX && value->type.dtype == DTYPE_I64) ||
         (dtype == DTYPE_I64 && value->type.dtype == DTYPE_INDEX)))
        return value->inputs[0];
    return scalar_typed(ir, OP_cast, &value, 1, dtype);
}

Node *bitcast_make(Ir *ir, Node *value, Dtype dtype)
{
    return value->type.dtype == dtype ? value : scalar_typed(ir, OP_bitcast, &value, 1, dtype);
}

Node *guard_make(Ir *ir, Node *condition, Node *value, Node *otherwise)
{
    if (is_true(condition))
        return value;
    if (is_false(condition))
        return otherwise;
    return node_make(ir, &(Node){.op = OP_guard,
                                 .type = value->type,
                                 .inputs = (Node *[]){condition, value, otherwise},
                                 .input_count = 3});
}

Node *bound_make(Ir *ir, Node *index, Node *extent)
{
    if (index_range(ir, index).low >= 0 && index_range(ir, index_sub(ir, index, extent)).high < 0)
        return index;
    return node_make(ir, &(Node){.op = OP_bound,
                                 .type = type_scalar(DTYPE_INDEX),
                                 .inputs = (Node *[]){index, extent},
                                 .input_count = 2});
}

Node *at_make(Ir *ir, Node *buffer, Node *const *indices)
{
    Node *inputs[RANK_MAX + 1] = {buffer};
    for (int i = 0; i < buffer->type.rank; i++)
        inputs[i + 1] = indices[i];
    return node_make(ir, &(Node){.op = OP_at,
                                 .type = type_scalar(buffer->type.dtype),
                                 .inputs = inputs,
                                 .input_count = (uint32_t)buffer->type.rank + 1});
}

Node *fold_make(Ir *ir, FoldKind kind, int lanes, Node *const *axes, int count, Node *value)
{
    const Dtype dtype = kind >= FOLD_ARGMAX ? DTYPE_INDEX : value->type.dtype;
    return node_make(ir, &(Node){.op = OP_fold,
                                 .type = type_scalar(dtype),
                                 .inputs = &value,
                                 .input_count = 1,
                                 .axes = axes,
                                 .axis_count = (uint16_t)count,
                                 .payload.fold = {(uint8_t)kind, (uint8_t)lanes}});
}

Node *contract_make(Ir *ir, Dtype accumulator, Node *const *axes, int count, Node *a, Node *b)
{
    return node_make(ir, &(Node){.op = OP_contract,
                                 .type = type_scalar(accumulator),
                                 .inputs = (Node *[]){a, b},
                                 .input_count = 2,
                                 .axes = axes,
                                 .axis_count = (uint16_t)count});
}

/* ---- blocks ---- */

Block *block_make(Ir *ir)
{
    return NEW(ir->arena, Block);
}

void block_append(Ir *ir, Block *block, Node *node)
{
    if (block->count == block->capacity) {
        const int capacity = block->capacity ? block->capacity * 2 : 8;
        Node **const nodes = NEW_ARRAY(ir->arena, Node *, (size_t)capacity);
        if (block->count)
            memcpy(nodes, block->nodes, (size_t)block->count * sizeof *nodes);
        block->nodes = nodes;
        block->capacity = capacity;
    }
    block->nodes[block->count++] = node;
}

/* ---- attributes ---- */

const Attribute *attribute_find(const Node *node, const char *name)
{
    for (int i = 0; i < node->attribute_count; i++)
        if (strcmp(node->attributes[i].name, name) == 0)
            return &node->attributes[i];
    return NULL;
}

int64_t attribute_int(const Node *node, const char *name, int64_t otherwise)
{
    const Attribute *const attribute = attribute_find(node, name);
    return attribute && attribute->kind == ATTRIBUTE_INT ? attribute->integer : otherwise;
}

double attribute_float(const Node *node, const char *name, double otherwise)
{
    const Attribute *const attribute = attribute_find(node, name);
    return attribute && attribute->kind == ATTRIBUTE_FLOAT ? attribute->real : otherwise;
}

Name attribute_string(const Node *node, const char *name, Name otherwise)
{
    const Attribute *const attribute = attribute_find(node, name);
    return attribute && attribute->kind == ATTRIBUTE_STRING ? attribute->string : otherwise;
}

const int64_t *attribute_ints(const Node *node, const char *name, int *count)
{
    const Attribute *const attribute = attribute_find(node, name);
    if (!attribute || attribute->kind != ATTRIBUTE_INTS) {
        *count = 0;
        return NULL;
    }
    *count = attribute->count;
    return attribute->integers;
}
