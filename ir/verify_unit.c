/* Pure nodes and the places of values: the part of the verifier that all levels share. */
#include "ir/kernel.h"
#include "ir/math.h"
#include "ir/operands.h"
#include "ir/print.h"
#include "ir/read.h"
#include "ir/verify_internal.h"

#include <string.h>

enum { WRONG_MAX = 20, TEXT_MAX = 160 };

bool verify_wrong(Verifier *verifier, const Node *node, const char *format, ...)
{
    if (verifier->wrong++ >= WRONG_MAX)
        return false;
    Arena *const arena = verifier->scratch;
    va_list arguments;
    va_start(arguments, format);
    const char *const text = arena_vformat(arena, format, arguments);
    va_end(arguments);
    diag_error(verifier->diagnostics, EXIT_MALFORMED, node->where, "%s: %s", op_name(node->op), text);
    if (op_kind(node->op) == KIND_PURE && !op_is_tensor(node->op))
        diag_note(verifier->diagnostics, "in %s",
                  diag_quote(arena, print_expression(arena, (Node *)(uintptr_t)node), TEXT_MAX));
    return false;
}

static const char *symbol_name(void *context, const Node *symbol)
{
    (void)context;
    return symbol->payload.name;
}

void unit_open(Verifier *verifier, int level)
{
    Arena *const arena = verifier->scratch;
    verifier->level = level;
    map_open(&verifier->nothing, arena);
    map_open(&verifier->bounds, arena);
    map_open(&verifier->ranges, arena);
    map_open(&verifier->loops, arena);
    verifier->plan = plan_open(arena, &verifier->nothing, symbol_name, NULL);
    if (verifier->conditional_capacity)
        memset(verifier->conditional, 0, (size_t)verifier->conditional_capacity * sizeof *verifier->conditional);
}

void unit_bind(Verifier *verifier, Node *leaf, int scope, int item)
{
    if (map_has(&verifier->bounds, leaf)) {
        verify_wrong(verifier, leaf, "%%%s is bound twice",
                     leaf->op == OP_axis ? leaf->payload.name : op_name(leaf->op));
        return;
    }
    Bound *const bound = NEW(verifier->scratch, Bound);
    *bound = (Bound){scope, item};
    map_set(&verifier->bounds, leaf, bound);
}

/* Axes of folds and inputs of bodies hold in the scopes that the plan gave them. */
static void bind_inner(Verifier *verifier, const PlanNode *planned)
{
    const Node *const node = planned->node;
    if (planned->scope < 0)
        return;
    for (int i = 0; i < node->axis_count; i++)
        unit_bind(verifier, node->axes[i], planned->scope, -1);
    int body = 0;
    for (int i = 0; i < node->attribute_count; i++) {
        const Attribute *const attribute = &node->attributes[i];
        for (int j = 0; attribute->kind == ATTRIBUTE_GRAPH && j < attribute->graph->input_count; j++)
            unit_bind(verifier, attribute->graph->inputs[j], planned->scope + body, -1);
        body += attribute->kind == ATTRIBUTE_GRAPH;
    }
}

static bool needs_binding(const Node *node)
{
    return node->op == OP_axis || node->op == OP_input || op_kind(node->op) == KIND_ORDERED;
}

/* Is `leaf`, which stands in `scope` first at use number `use`, bound there? */
static void check_leaf(Verifier *verifier, const Node *user, Node *leaf, int scope, int use)
{
    if (!needs_binding(leaf))
        return;
    const Bound *const bound = map_get(&verifier->bounds, leaf);
    const char *const name = leaf->op == OP_axis || leaf->op == OP_input ? leaf->payload.name : op_name(leaf->op);
    if (!bound)
        verify_wrong(verifier, user, "uses %%%s, which nothing here %s", name,
                     leaf->op == OP_axis ? "binds" : "defines");
    else if (!plan_within(verifier->plan, scope, bound->scope))
        verify_wrong(verifier, user, "uses %%%s outside of what binds it", name);
    else if (bound->item >= 0 && plan_item_around(verifier->plan, use, bound->scope) <= bound->item)
        verify_wrong(verifier, user, "uses %%%s before it is defined", name);
}

static void check_node(Verifier *verifier, const PlanNode *planned, bool guarded)
{
    const Node *const node = planned->node;
    if (!(op_levels(node->op) & verifier->level)) {
        verify_wrong(verifier, node, "is not of this level");
        return;
    }
    if (verifier->level == LEVEL_KERNEL && math_is_transcendental(node->op))
        verify_wrong(verifier, node, "has to become arithmetic before a kernel is scheduled");
    if (needs_binding(node))
        return; /* judged where it is bound */
    const char *const problem = operands_problem(verifier->scratch, node, false);
    if (problem) {
        verify_wrong(verifier, node, "%s", problem);
        return;
    }
    verify_access(verifier, node, planned->place, guarded);
    for (int i = 0; i < planned->edge_count; i++) {
        const PlanEdge *const edge = &planned->edges[i];
        check_leaf(verifier, node, edge->node, edge->body >= 0 ? planned->scope + edge->body : planned->place,
                   planned->first_use);
    }
}

void unit_check(Verifier *verifier)
{
    plan_settle(verifier->plan);
    const int count = plan_count(verifier->plan);
    bool guarded = false;
    for (int i = 0; i < count; i++) {
        guarded = guarded || plan_at(verifier->plan, i)->node->op == OP_guard;
        bind_inner(verifier, plan_at(verifier->plan, i));
    }
    for (int i = 0; i < count; i++) {
        verify_range(verifier, plan_at(verifier->plan, i));
        check_node(verifier, plan_at(verifier->plan, i), guarded);
    }
    /* A leaf that a statement names itself: its place is the innermost scope around all of them. */
    for (int i = 0; i < count; i++) {
        const PlanNode *const planned = plan_at(verifier->plan, i);
        if (planned->root)
            check_leaf(verifier, planned->node, planned->node, planned->place, planned->first_use);
    }
}

/* ---- statements ---- */

/* What stands inside a statement. */
typedef struct StatementFacts {
    Op op;
    int axes_least, axes_most, blocks_least, blocks_most;
} StatementFacts;
static const StatementFacts statement_facts[] = {
    {OP_stage, 0, RANK_MAX, 0, 0}, {OP_kernel, 0, 0, 1, 2}, {OP_for, 1, 1, 1, 1},
    {OP_if, 0, 0, 1, 2},           {OP_loop, 0, 0, 1, 1},
};

void verify_statement(Verifier *verifier, Node *node)
{
    StatementFacts facts = {OP_NONE, 0, 0, 0, 0};
    for (size_t i = 0; i < sizeof statement_facts / sizeof *statement_facts; i++)
        if (statement_facts[i].op == node->op)
            facts = statement_facts[i];
    if (op_kind(node->op) != KIND_ORDERED)
        verify_wrong(verifier, node, "stands in a block but has no order");
    else if (!(op_levels(node->op) & verifier->level))
        verify_wrong(verifier, node, "is not of this level");
    if (node->axis_count < facts.axes_least || node->axis_count > facts.axes_most)
        verify_wrong(verifier, node, "has %d axes", node->axis_count);
    if (node->op == OP_stage &&
        (node->payload.integer < 0 || stage_ordered(node) > node->axis_count ||
         (stage_is_step(node) && (stage_step_axes(node) > node->axis_count || stage_ordered(node) < 1 ||
                                  stage_ordered(node) > stage_step_axes(node)))))
        verify_wrong(verifier, node, "has %d axes of which %lld run in order", node->axis_count,
                     (long long)node->payload.integer);
    if (node->block_count < facts.blocks_least || node->block_count > facts.blocks_most)
        verify_wrong(verifier, node, "has %d blocks", node->block_count);
    const char *const problem = operands_problem(verifier->scratch, node, false);
    if (problem)
        verify_wrong(verifier, node, "%s", problem);
}

static void mark_conditional(Verifier *verifier, int scope)
{
    if (scope >= verifier->conditional_capacity) {
        const int capacity = (scope + 1) * 2;
        bool *const grown = NEW_ARRAY(verifier->scratch, bool, (size_t)capacity);
        if (verifier->conditional_capacity)
            memcpy(grown, verifier->conditional, (size_t)verifier->conditional_capacity * sizeof *grown);
        verifier->conditional = grown;
        verifier->conditional_capacity = capacity;
    }
    verifier->conditional[scope] = true;
}

void verify_block(Verifier *verifier, const Block *block, int scope, Context context)
{
    Plan *const plan = verifier->plan;
    if (context.conditional)
        mark_conditional(verifier, scope);
    for (int i = 0; i < block->count; i++) {
        Node *const node = block->nodes[i];
        const int item = plan_item(plan, scope);
        verify_statement(verifier, node);
        if (node->op == OP_break && !context.loop)
            verify_wrong(verifier, node, "stands in no for and no loop");
        for (uint32_t j = 0; j < node->input_count; j++)
            plan_use(plan, item, node->inputs[j]);
        if (node->type.dtype != DTYPE_NONE)
            unit_bind(verifier, node, scope, item);
        if (node->op == OP_kernel)
            continue;
        if (node->block_count && context.depth == BLOCK_DEPTH_MAX) {
            verify_wrong(verifier, node, "blocks are nested more than %d deep", BLOCK_DEPTH_MAX);
            continue;
        }
        const Context inside = {context.conditional || node->op == OP_if,
                                context.loop || node->op == OP_for || node->op == OP_loop, context.depth + 1};
        for (int j = 0; j < node->block_count; j++) {
            const int inner = plan_scope(plan, scope, item);
            for (int k = 0; k < node->axis_count && j == 0; k++) {
                unit_bind(verifier, node->axes[k], inner, -1);
                map_set(&verifier->loops, node->axes[k], node);
            }
            verify_block(verifier, node->blocks[j], inner, inside);
        }
    }
}

void verify_block_accesses(Verifier *verifier, const Block *block, Context context)
{
    for (int i = 0; i < block->count; i++) {
        const Node *const node = block->nodes[i];
        verify_access(verifier, node, -1, context.conditional);
        for (int j = 0; j < node->block_count && context.depth < BLOCK_DEPTH_MAX; j++)
            verify_block_accesses(verifier, node->blocks[j],
                                  (Context){context.conditional || node->op == OP_if, true, context.depth + 1});
    }
}
