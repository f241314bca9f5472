/* Operand rules: see operands.h. Scalar operations follow scalar.def; the others a row each, one letter per operand. */
#include "ir/operands.h"
#include "ir/mma.h"
#include "ir/tiles.h"

#include <string.h>

enum { F = 1, I = 2, B = 4 };

typedef struct ScalarFacts {
    uint8_t arity, rule, classes;
} ScalarFacts;
#define SAME    RULE_SAME
#define SHIFT   RULE_SAME
#define BOOLEAN RULE_BOOLEAN
#define SELECT  RULE_SELECT
#define CAST    RULE_CAST
static const ScalarFacts scalar_facts[] = {
#define SCALAR_OP(enumerator, text, arity, rule, classes) [OP_##enumerator - OP_SCALAR_FIRST] = {arity, rule, classes},
#include "ir/scalar.def"
#undef SCALAR_OP
};
#undef SAME
#undef SHIFT
#undef BOOLEAN
#undef SELECT
#undef CAST

/* Operands of the structural operations, in order. `optional` of the last ones may be missing, all together.
 *   b buffer   r var          c bool         i index         x a scalar or vector    s a scalar
 *   v as the node's own type  I index, lanes as the node     m bool, lanes as the node
 *   w a value of the dtype of operand 0 (a buffer, a var)    J index and M bool, lanes as operand 2
 *   * any number of what stands before */
typedef struct CoreFacts {
    Op op;
    const char *operands;
    int optional;
} CoreFacts;
static const CoreFacts core_facts[] = {
    {OP_axis, "i", 1},       {OP_at, "bi*", 0},       {OP_guard, "cvv", 0},     {OP_fold, "s", 0},
    {OP_contract, "ss", 0},  {OP_stage, "bsi*", 0},   {OP_load, "bimv", 2},     {OP_gather, "bImv", 2},
    {OP_splat, "s", 0},      {OP_iota, "", 0},        {OP_extract, "x", 0},     {OP_slice, "x", 0},
    {OP_join, "xx*", 0},     {OP_reduce, "x", 0},     {OP_for, "iii", 0},       {OP_if, "c", 0},
    {OP_loop, "", 0},        {OP_break, "c", 0},      {OP_var, "x", 0},         {OP_get, "r", 0},
    {OP_set, "rw", 0},       {OP_read, "bimv", 2},    {OP_store, "biwM", 1},    {OP_scatter, "bJwM", 1},
    {OP_check, "c", 0},      {OP_prefetch, "bi", 0},  {OP_launch, "b*", 0},     {OP_bound, "ii", 0},
    {OP_begin, "", 0},       {OP_end, "", 0},         {OP_const, "", 0},        {OP_symbol, "", 0},
    {OP_thread, "i", 0},     {OP_barrier, "", 0},     {OP_shuffle, "v", 0},     {OP_copy_async, "bibic", 1},
    {OP_copy_commit, "", 0}, {OP_copy_wait, "", 0},   {OP_mma, "xxv", 0},       {OP_dot, "vxx", 0},
    {OP_tile_zero, "", 0},   {OP_tile_load, "bi", 0}, {OP_tile_store, "bi", 0}, {OP_tile_dot, "", 0},
};

ScalarRule scalar_rule(Op op)
{
    return (ScalarRule)scalar_facts[op - OP_SCALAR_FIRST].rule;
}

typedef struct Form {
    Op op;
    int leading;
} Form;
static const Form forms[] = {
    {OP_at, 0},
    {OP_guard, 0},
    {OP_bound, 0},
    {OP_join, 0},
    {OP_get, 0},
    {OP_cast, LEADING_TYPE},
    {OP_bitcast, LEADING_TYPE},
    {OP_load, LEADING_TYPE},
    {OP_gather, LEADING_TYPE},
    {OP_read, LEADING_TYPE},
    {OP_splat, LEADING_TYPE},
    {OP_iota, LEADING_TYPE},
    {OP_extract, LEADING_INTEGER},
    {OP_slice, LEADING_TYPE | LEADING_INTEGER},
    {OP_reduce, LEADING_KIND},
    {OP_fold, LEADING_KIND | LEADING_LANES | LEADING_AXES},
    {OP_contract, LEADING_TYPE | LEADING_AXES},
    {OP_shuffle, LEADING_INTEGER},
    {OP_mma, LEADING_ROW},
    {OP_dot, 0},
};

int op_leading(Op op)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (forms[i].op == op)
            return forms[i].leading;
    return op_is_scalar(op) || op_is_tensor(op) ? 0 : LEADING_NONE;
}

static int class_of(Dtype dtype)
{
    switch (dtype_info[dtype].kind) {
    case CLASS_FLOAT:
        return F;
    case CLASS_SIGNED:
    case CLASS_UNSIGNED:
    case CLASS_INDEX:
        return I;
    case CLASS_BOOL:
        return B;
    default:
        return 0;
    }
}

const char *operand_type_text(Arena *arena, const Node *node)
{
    const Type type = node->type;
    if (node->op == OP_buffer)
        return arena_format(arena, "a buffer of %s", dtype_info[type.dtype].name);
    if (type.dtype == DTYPE_NONE)
        return "nothing";
    if (type_is_tensor(type))
        return arena_format(arena, "a tensor of %s, rank %d", dtype_info[type.dtype].name, type.rank);
    return type.lanes > 1 ? arena_format(arena, "%sx%d", dtype_info[type.dtype].name, type.lanes)
                          : dtype_info[type.dtype].name;
}

static bool is_register(const Node *node)
{
    return !type_is_tensor(node->type) && node->type.dtype != DTYPE_NONE && node->op != OP_buffer;
}

static bool is_scalar(const Node *node)
{
    return is_register(node) && node->type.lanes == 1;
}

/* The result that the operands of a scalar operation lead to; casts keep what the node says. */
static Type scalar_result(const Node *node, int lanes)
{
    const ScalarRule rule = scalar_rule(node->op);
    const Dtype dtype = rule == RULE_CAST      ? node->type.dtype
                        : rule == RULE_BOOLEAN ? DTYPE_BOOL
                                               : node->inputs[rule == RULE_SELECT]->type.dtype;
    return type_vector(dtype, lanes);
}

static const char *scalar_problem(Arena *arena, const Node *node, bool splat)
{
    const ScalarFacts facts = scalar_facts[node->op - OP_SCALAR_FIRST];
    if (node->input_count != facts.arity)
        return arena_format(arena, "takes %d operands but has %u", facts.arity, node->input_count);
    int lanes = 1;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (!is_register(node->inputs[i]))
            return arena_format(arena, "operand %u is %s", i + 1, operand_type_text(arena, node->inputs[i]));
        lanes = node->inputs[i]->type.lanes > lanes ? node->inputs[i]->type.lanes : lanes;
    }
    const uint32_t first = facts.rule == RULE_SELECT;
    if (first && node->inputs[0]->type.dtype != DTYPE_BOOL)
        return arena_format(arena, "chooses by a bool, not by %s", operand_type_text(arena, node->inputs[0]));
    for (uint32_t i = 0; i < node->input_count; i++) {
        const Type type = node->inputs[i]->type;
        if (type.lanes != lanes && !(splat && type.lanes == 1))
            return arena_format(arena, "operands have %d and %d lanes", lanes, type.lanes);
        if (i >= first && type.dtype != node->inputs[first]->type.dtype)
            return arena_format(arena, "operands are %s and %s", operand_type_text(arena, node->inputs[first]),
                                operand_type_text(arena, node->inputs[i]));
        if (i >= first && !(class_of(type.dtype) & facts.classes))
            return arena_format(arena, "is not defined on %s", dtype_info[type.dtype].name);
    }
    if (facts.rule == RULE_CAST && (!class_of(node->type.dtype) || type_is_tensor(node->type)))
        return "gives no scalar or vector";
    if (node->op == OP_bitcast && dtype_info[node->type.dtype].bits != dtype_info[node->inputs[0]->type.dtype].bits)
        return arena_format(arena, "operand has %d bits and the result %d",
                            dtype_info[node->inputs[0]->type.dtype].bits, dtype_info[node->type.dtype].bits);
    if (!splat && !type_equal(node->type, scalar_result(node, lanes)))
        return arena_format(arena, "has type %s, which its operands do not give", operand_type_text(arena, node));
    return NULL;
}

/* Does operand i suit its letter? */
static bool operand_fits(const Node *node, uint32_t i, char letter)
{
    const Node *const operand = node->inputs[i];
    const Type type = operand->type;
    const int third = node->input_count > 2 ? node->inputs[2]->type.lanes : 1;
    switch (letter) {
    case 'b':
        return operand->op == OP_buffer;
    case 'r':
        return operand->op == OP_var;
    case 'c':
        return is_scalar(operand) && type.dtype == DTYPE_BOOL;
    case 'i':
        return is_scalar(operand) && type.dtype == DTYPE_INDEX;
    case 'x':
        return is_register(operand);
    case 's':
        return is_scalar(operand);
    case 'v':
        return is_register(operand) && type_equal(type, node->type);
    case 'I':
        return is_register(operand) && type.dtype == DTYPE_INDEX && type.lanes == node->type.lanes;
    case 'm':
        return is_register(operand) && type.dtype == DTYPE_BOOL && type.lanes == node->type.lanes;
    case 'J':
        return is_register(operand) && type.dtype == DTYPE_INDEX && type.lanes == third;
    case 'M':
        return is_register(operand) && type.dtype == DTYPE_BOOL && type.lanes == third;
    default: /* w */
        return is_register(operand) && type.dtype == node->inputs[0]->type.dtype &&
               (node->inputs[0]->op != OP_var || type.lanes == node->inputs[0]->type.lanes);
    }
}

static const char *letter_text(char letter)
{
    static const char *const texts[] = {"ba buffer",
                                        "ra var",
                                        "ca bool",
                                        "ian index",
                                        "xa value",
                                        "sa scalar",
                                        "vof the result's type",
                                        "Ian index with the result's lanes",
                                        "ma bool with the result's lanes",
                                        "Jan index with the value's lanes",
                                        "Ma bool with the value's lanes",
                                        "wa value of the dtype that it goes to"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i][0] == letter)
            return texts[i] + 1;
    return "";
}

static const char *letters_problem(Arena *arena, const Node *node, const CoreFacts *facts)
{
    const size_t length = strlen(facts->operands);
    const bool many = length && facts->operands[length - 1] == '*';
    const uint32_t most = (uint32_t)(many ? length - 1 : length);
    const uint32_t least = (uint32_t)((int)most - facts->optional) - (many ? 1 : 0);
    const uint32_t count = node->input_count;
    if (count < least || (!many && count != least && count != most))
        return many            ? arena_format(arena, "takes at least %u operands but has %u", least, count)
               : least == most ? arena_format(arena, "takes %u operands but has %u", most, count)
                               : arena_format(arena, "takes %u or %u operands but has %u", least, most, count);
    for (uint32_t i = 0; i < count; i++) {
        const char letter = facts->operands[i < most ? i : most - 1];
        if (!operand_fits(node, i, letter))
            return arena_format(arena, "operand %u must be %s but is %s", i + 1, letter_text(letter),
                                operand_type_text(arena, node->inputs[i]));
    }
    return NULL;
}

static const char *copy_problem(Arena *arena, const Node *node)
{
    const Dtype dtype = node->inputs[0]->type.dtype, source = node->inputs[2]->type.dtype;
    if (dtype != source)
        return arena_format(arena, "goes from %s to %s", dtype_info[source].name, dtype_info[dtype].name);
    const int64_t elements = node->payload.integer;
    const int64_t bits = elements >= 1 && elements <= 128 ? elements * dtype_info[dtype].bits : 0;
    return bits == 32 || bits == 64 || bits == 128
               ? NULL
               : arena_format(arena, "moves 4, 8 or 16 bytes, not %lld elements of %s", (long long)elements,
                              dtype_info[dtype].name);
}

static const char *mma_problem(Arena *arena, const Node *node)
{
    const MmaRow *const row = mma_row(node->payload.integer);
    if (!row)
        return arena_format(arena, "has no row %lld", (long long)node->payload.integer);
    const Type wanted[3] = {type_vector(row->operand, row->a.slots), type_vector(row->operand, row->b.slots),
                            type_vector(row->accumulator, row->c.slots)};
    for (int i = 0; i < 3; i++)
        if (!type_equal(node->inputs[i]->type, wanted[i]))
            return arena_format(arena, "%s takes %sx%d as operand %d, not %s", row->name,
                                dtype_info[wanted[i].dtype].name, wanted[i].lanes, i + 1,
                                operand_type_text(arena, node->inputs[i]));
    return NULL;
}

/* What letters cannot say: ranks, lanes, payloads. */
static const char *shape_problem(Arena *arena, const Node *node)
{
    const Node *const first = node->input_count ? node->inputs[0] : NULL;
    const int lanes = node->type.lanes;
    switch (node->op) {
    case OP_at:
    case OP_stage: {
        const int indices = (int)node->input_count - (node->op == OP_at ? 1 : 2);
        if (indices != first->type.rank)
            return arena_format(arena, "has %d indices but the buffer has rank %d", indices, first->type.rank);
        const Dtype value = node->op == OP_at ? node->type.dtype : node->inputs[1]->type.dtype;
        if (value != first->type.dtype)
            return arena_format(arena, "the value is %s but the buffer holds %s", dtype_info[value].name,
                                dtype_info[first->type.dtype].name);
        return NULL;
    }
    case OP_fold:
        if (node->payload.fold.kind >= FOLD_KINDS)
            return "has no such kind";
        if (node->payload.fold.kind >= FOLD_ARGMAX && node->axis_count != 1)
            return arena_format(arena, "%s reduces one axis, not %d", fold_name[node->payload.fold.kind],
                                node->axis_count);
        if (node->payload.fold.lanes != 1 && node->payload.fold.lanes != 16)
            return arena_format(arena, "has 1 or 16 lanes, not %d", node->payload.fold.lanes);
        if (node->type.dtype != (node->payload.fold.kind >= FOLD_ARGMAX ? DTYPE_INDEX : first->type.dtype))
            return arena_format(arena, "of %s cannot be %s", dtype_info[first->type.dtype].name,
                                dtype_info[node->type.dtype].name);
        return NULL;
    case OP_load:
    case OP_gather:
    case OP_read:
        return node->type.dtype == first->type.dtype && !type_is_tensor(node->type)
                   ? NULL
                   : arena_format(arena, "of %s cannot be %s", dtype_info[first->type.dtype].name,
                                  operand_type_text(arena, node));
    case OP_splat:
        return type_equal(node->type, type_vector(first->type.dtype, lanes)) ? NULL : "changes the dtype";
    case OP_extract:
        return node->payload.integer >= 0 && node->payload.integer < first->type.lanes
                   ? NULL
                   : arena_format(arena, "takes lane %lld of %d", (long long)node->payload.integer, first->type.lanes);
    case OP_slice:
        return node->payload.integer >= 0 && node->payload.integer <= first->type.lanes - lanes &&
                       node->type.dtype == first->type.dtype
                   ? NULL
                   : arena_format(arena, "takes %d lanes from lane %lld of %s", lanes, (long long)node->payload.integer,
                                  operand_type_text(arena, first));
    case OP_reduce:
        if (node->payload.fold.kind >= FOLD_ARGMAX || (first->type.lanes & (first->type.lanes - 1)))
            return "takes a power of two of lanes and no arg kind";
        return type_equal(node->type, type_scalar(first->type.dtype)) ? NULL : "changes the dtype";
    case OP_join: {
        int64_t sum = 0;
        for (uint32_t i = 0; i < node->input_count; i++) {
            sum += node->inputs[i]->type.lanes;
            if (node->inputs[i]->type.dtype != first->type.dtype)
                return arena_format(arena, "operands are %s and %s", operand_type_text(arena, first),
                                    operand_type_text(arena, node->inputs[i]));
        }
        return sum == lanes && node->type.dtype == first->type.dtype
                   ? NULL
                   : arena_format(arena, "of %lld lanes cannot be %s", (long long)sum, operand_type_text(arena, node));
    }
    case OP_get:
    case OP_var:
        return type_equal(node->type, first->type)
                   ? NULL
                   : arena_format(arena, "has type %s but holds %s", operand_type_text(arena, node),
                                  operand_type_text(arena, first));
    case OP_prefetch:
        return node->payload.integer >= 1 && node->payload.integer <= 3
                   ? NULL
                   : arena_format(arena, "goes to cache level 1, 2 or 3, not %lld", (long long)node->payload.integer);
    case OP_tile_zero:
        return node->payload.integer >= 0 && node->payload.integer < TILES ? NULL : "names a tile register from 0 to 7";
    case OP_tile_dot:
        return node->payload.integer >= 0 && node->payload.integer < TILES * TILES * TILES
                   ? NULL
                   : "names three tile registers from 0 to 7";
    case OP_tile_load:
    case OP_tile_store:
        return node->payload.integer >= TILES * TILE_WORDS && dtype_info[first->type.dtype].bits == 32 &&
                       first->payload.buffer->place == PLACE_LOCAL
                   ? NULL
                   : "moves rows of 16 words or more apart from or to a local buffer of 32-bit elements";
    case OP_thread:
        return node->type.dtype == DTYPE_INDEX && first->op == OP_const ? NULL : "is an index below a constant";
    case OP_shuffle:
        return node->payload.integer >= 1 && node->payload.integer <= 31
                   ? NULL
                   : arena_format(arena, "takes a mask of 1 to 31, not %lld", (long long)node->payload.integer);
    case OP_copy_wait:
        return node->payload.integer >= 0
                   ? NULL
                   : arena_format(arena, "cannot leave %lld groups open", (long long)node->payload.integer);
    case OP_copy_async:
        return copy_problem(arena, node);
    case OP_mma:
        return mma_problem(arena, node);
    case OP_dot:
        return type_equal(first->type, type_vector(DTYPE_I32, lanes)) &&
                       type_equal(node->inputs[1]->type, type_vector(DTYPE_U8, DOT_TERMS)) &&
                       type_equal(node->inputs[2]->type, type_vector(DTYPE_I8, DOT_TERMS * lanes))
                   ? NULL
                   : arena_format(arena, "takes sums of i32, u8x4 and four i8 for each sum, not %s, %s and %s",
                                  operand_type_text(arena, first), operand_type_text(arena, node->inputs[1]),
                                  operand_type_text(arena, node->inputs[2]));
    default:
        return NULL;
    }
}

const char *operands_problem(Arena *arena, const Node *node, bool splat)
{
    if (op_is_scalar(node->op))
        return scalar_problem(arena, node, splat);
    for (size_t i = 0; i < sizeof core_facts / sizeof *core_facts; i++)
        if (core_facts[i].op == node->op) {
            const char *const problem = letters_problem(arena, node, &core_facts[i]);
            return problem ? problem : shape_problem(arena, node);
        }
    return NULL;
}
