/* Values of index expressions when symbols have values: extents, units, conditions of variants. */
#include "ir/interpret.h"
#include "ir/map.h"
#include "ir/scalar.h"

typedef struct Evaluation {
    const SymbolValue *symbols;
    int symbol_count;
    Arena *scratch;
    NodeMap places; /* node -> place in values, plus one */
    int64_t *values;
    int count, capacity;
    Node **stack;
    int stack_count, stack_capacity;
} Evaluation;

static bool symbol_value(const Evaluation *evaluation, const Node *symbol, int64_t *value)
{
    for (int i = 0; i < evaluation->symbol_count; i++)
        if (evaluation->symbols[i].symbol == symbol) {
            *value = evaluation->symbols[i].value;
            return true;
        }
    return false;
}

/* Extents must not wrap, whatever the arithmetic of kernels does. */
static bool checked_scalar(const Node *node, const int64_t *operands, int64_t *value)
{
    const Dtype operand = node->inputs[node->input_count - 1]->type.dtype;
    if (!scalar_can_evaluate(node->op) || node->type.lanes != 1)
        return false;
    if (node->type.dtype == DTYPE_INDEX || node->type.dtype == DTYPE_I64) {
        if (node->op == OP_add)
            return !__builtin_add_overflow(operands[0], operands[1], value);
        if (node->op == OP_sub)
            return !__builtin_sub_overflow(operands[0], operands[1], value);
        if (node->op == OP_mul)
            return !__builtin_mul_overflow(operands[0], operands[1], value);
    }
    uint64_t bits[3] = {0};
    for (uint32_t i = 0; i < node->input_count; i++)
        bits[i] = (uint64_t)operands[i];
    *value = (int64_t)scalar_evaluate(node->op, node->type.dtype, operand, bits);
    return true;
}

static bool value_known(const Evaluation *evaluation, const Node *node, int64_t *value)
{
    const uintptr_t place = (uintptr_t)map_get(&evaluation->places, node);
    if (place)
        *value = evaluation->values[place - 1];
    return place != 0;
}

static bool evaluate_node(Evaluation *evaluation, Node *node)
{
    int64_t value = 0, operands[3];
    if (node->op == OP_const) /* floats are kept as their bits */
        value = node->payload.integer;
    else if (node->op == OP_symbol) {
        if (!symbol_value(evaluation, node, &value))
            return false;
    } else {
        if (!op_is_scalar(node->op))
            return false;
        for (uint32_t i = 0; i < node->input_count; i++)
            if (!value_known(evaluation, node->inputs[i], &operands[i]))
                return false;
        if (!checked_scalar(node, operands, &value))
            return false;
    }
    if (evaluation->count == evaluation->capacity) {
        evaluation->capacity = evaluation->capacity * 2 + 16;
        int64_t *const grown = NEW_ARRAY(evaluation->scratch, int64_t, (size_t)evaluation->capacity);
        for (int i = 0; i < evaluation->count; i++)
            grown[i] = evaluation->values[i];
        evaluation->values = grown;
    }
    evaluation->values[evaluation->count++] = value;
    map_set(&evaluation->places, node, (void *)(uintptr_t)evaluation->count);
    return true;
}

static void push(Evaluation *evaluation, Node *node)
{
    if (evaluation->stack_count == evaluation->stack_capacity) {
        evaluation->stack_capacity = evaluation->stack_capacity * 2 + 16;
        Node **const grown = NEW_ARRAY(evaluation->scratch, Node *, (size_t)evaluation->stack_capacity);
        for (int i = 0; i < evaluation->stack_count; i++)
            grown[i] = evaluation->stack[i];
        evaluation->stack = grown;
    }
    evaluation->stack[evaluation->stack_count++] = node;
}

static bool evaluate_all(Evaluation *evaluation, Node *root, int64_t *value)
{
    push(evaluation, root);
    while (evaluation->stack_count) {
        Node *const node = evaluation->stack[evaluation->stack_count - 1];
        const int before = evaluation->stack_count;
        int64_t known;
        if (!value_known(evaluation, node, &known) && op_is_scalar(node->op))
            for (uint32_t i = 0; i < node->input_count; i++)
                if (!value_known(evaluation, node->inputs[i], &known))
                    push(evaluation, node->inputs[i]);
        if (evaluation->stack_count > before)
            continue;
        evaluation->stack_count--;
        if (!value_known(evaluation, node, &known) && !evaluate_node(evaluation, node))
            return false;
    }
    return value_known(evaluation, root, value);
}

int64_t index_evaluate(Node *node, const SymbolValue *symbols, int count)
{
    int64_t value;
    if (const_is_int(node, &value))
        return value;
    Evaluation evaluation = {.symbols = symbols, .symbol_count = count};
    if (node->op == OP_symbol)
        return symbol_value(&evaluation, node, &value) ? value : INT64_MIN;
    evaluation.scratch = arena_open(0, NULL, NULL);
    map_open(&evaluation.places, evaluation.scratch);
    const bool known = evaluate_all(&evaluation, node, &value);
    arena_close(evaluation.scratch);
    return known ? value : INT64_MIN;
}
