/* Rewrite rules, to a fixed point, and equal constants become one.
 *
 * The graph is walked once from its outputs, operands first, on an explicit stack. A node is done when its operands are
 * done and no rule fits it; a node that a rule replaces waits for its replacement, whose operands are mostly done
 * already. So the work is linear in nodes and rewrites, and what the outputs no longer reach is gone. */
#include "ir/map.h"
#include "ir/ops/ops.h"
#include "passes/pass.h"
#include "passes/rules.h"

#include <string.h>

enum {
    SHARED_BYTES = 64 << 10, /* larger constants are not compared */
    REWRITES_PER_NODE = 16,  /* more, over the whole graph, is a table that goes round in circles */
};

typedef struct Simplifier {
    PassContext *context;
    Ir *ir;
    RuleSet *rules;
    RuleClass most;
    NodeMap done; /* node -> what stands for it; that stands for itself */
    NodeMap open; /* node under work -> what it waits for, or itself while it waits for its operands */
    Node **stack;
    size_t stack_count, stack_capacity;
    Node **constants; /* by content: open addressing */
    size_t constant_count, constant_capacity;
    int64_t rewrites, rewrites_max;
    int64_t *fired; /* by rule */
} Simplifier;

/* ---- constants of equal content ---- */

static uint64_t content_hash(const Node *node)
{
    const Constant *const constant = node->payload.constant;
    const unsigned char *const data = constant->data;
    uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)node->type.dtype << 8 ^ (uint64_t)constant->splat;
    for (int i = 0; i < node->type.rank; i++)
        hash = (hash ^ node->type.dims[i]->id) * 0x100000001b3u;
    for (uint64_t i = 0; i < constant->bytes; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

static bool same_content(const Node *a, const Node *b)
{
    const Constant *const x = a->payload.constant, *const y = b->payload.constant;
    return type_equal(a->type, b->type) && x->splat == y->splat && x->bytes == y->bytes &&
           memcmp(x->data, y->data, x->bytes) == 0;
}

static Node **constant_slot(Node **slots, size_t capacity, const Node *node)
{
    size_t slot = content_hash(node) & (capacity - 1);
    while (slots[slot] && !same_content(slots[slot], node))
        slot = (slot + 1) & (capacity - 1);
    return &slots[slot];
}

/* The first constant met that has the content of `node`. */
static Node *constant_shared(Simplifier *simplifier, Node *node)
{
    if (node->type.dtype == DTYPE_STRING || node->payload.constant->bytes > SHARED_BYTES)
        return node;
    if (simplifier->constant_count * 2 >= simplifier->constant_capacity) {
        const size_t capacity = simplifier->constant_capacity ? simplifier->constant_capacity * 2 : 64;
        Node **const slots = NEW_ARRAY(simplifier->ir->arena, Node *, capacity);
        for (size_t i = 0; i < simplifier->constant_capacity; i++)
            if (simplifier->constants[i])
                *constant_slot(slots, capacity, simplifier->constants[i]) = simplifier->constants[i];
        simplifier->constants = slots;
        simplifier->constant_capacity = capacity;
    }
    Node **const slot = constant_slot(simplifier->constants, simplifier->constant_capacity, node);
    if (*slot)
        return *slot == node || pass_decide(simplifier->context) ? *slot : node;
    simplifier->constant_count++;
    return *slot = node;
}

/* ---- the walk ---- */

static void push(Simplifier *simplifier, Node *node)
{
    if (simplifier->stack_count == simplifier->stack_capacity) {
        const size_t capacity = simplifier->stack_capacity ? simplifier->stack_capacity * 2 : 256;
        Node **const stack = NEW_ARRAY(simplifier->ir->arena, Node *, capacity);
        if (simplifier->stack_count)
            memcpy(stack, simplifier->stack, simplifier->stack_count * sizeof *stack);
        simplifier->stack = stack;
        simplifier->stack_capacity = capacity;
    }
    simplifier->stack[simplifier->stack_count++] = node;
}

/* `node` cannot go on before `needed` is done. What is under work already would wait for itself. */
static void wait_for(Simplifier *simplifier, const Node *node, Node *needed)
{
    if (map_has(&simplifier->open, needed))
        BUG("rewriting %s comes back to where it was", op_name(node->op));
    push(simplifier, needed);
}

static void finish(Simplifier *simplifier, const Node *node, Node *result)
{
    map_set(&simplifier->done, node, result);
    simplifier->stack_count--;
}

/* The same node over operands that are done. NULL after a diagnostic. */
static Node *remake(Simplifier *simplifier, Node *node)
{
    Ir *const ir = simplifier->ir;
    bool changed = false;
    for (uint32_t i = 0; i < node->input_count; i++)
        changed = changed || map_get(&simplifier->done, node->inputs[i]) != node->inputs[i];
    if (!changed)
        return node;
    if (node->op == OP_result)
        return node_result(map_get(&simplifier->done, node->inputs[0]), (int)node->payload.integer);
    Node **const inputs = NEW_ARRAY(ir->arena, Node *, node->input_count);
    for (uint32_t i = 0; i < node->input_count; i++)
        inputs[i] = map_get(&simplifier->done, node->inputs[i]);
    ir->where = node->where;
    return tensor_remake(ir, node, inputs);
}

/* What a rule makes of a node whose operands are done; the node itself when none does. */
static Node *rewrite(Simplifier *simplifier, Node *node)
{
    int fired;
    breadcrumb("simplify", node->where ? node->where->node : NULL);
    Node *const made =
        simplifier->context->fuel == 0 ? NULL : rules_apply(simplifier->rules, node, simplifier->most, &fired);
    if (!made || !pass_decide(simplifier->context))
        return node;
    if (++simplifier->rewrites > simplifier->rewrites_max)
        BUG("rule \"%s\" and others rewrite without end", tensor_rules[fired].name);
    simplifier->fired[fired]++;
    return made;
}

/* Does the next piece of work for the node on top of the stack. */
static bool step(Simplifier *simplifier, Node *node)
{
    Node *const awaited = map_get(&simplifier->open, node);
    if (awaited && awaited != node) {
        finish(simplifier, node, map_get(&simplifier->done, awaited));
        return true;
    }
    const size_t before = simplifier->stack_count;
    map_set(&simplifier->open, node, node);
    for (uint32_t i = node->input_count; i-- > 0;)
        if (!map_has(&simplifier->done, node->inputs[i]))
            wait_for(simplifier, node, node->inputs[i]);
    if (simplifier->stack_count > before)
        return true;
    Node *next = remake(simplifier, node);
    if (!next)
        return false;
    if (next == node && node->op == OP_constant)
        next = constant_shared(simplifier, node);
    if (next == node)
        next = rewrite(simplifier, node);
    if (next == node) {
        finish(simplifier, node, node);
    } else if (map_has(&simplifier->done, next)) {
        finish(simplifier, node, map_get(&simplifier->done, next));
    } else {
        map_set(&simplifier->open, node, next);
        wait_for(simplifier, node, next);
    }
    return true;
}

static bool simplify(Simplifier *simplifier, Node *output)
{
    push(simplifier, output);
    while (simplifier->stack_count) {
        Node *const node = simplifier->stack[simplifier->stack_count - 1];
        if (map_has(&simplifier->done, node))
            simplifier->stack_count--; /* two users asked for it */
        else if (!step(simplifier, node))
            return false;
    }
    return true;
}

/* ---- the pass ---- */

static void report(const Simplifier *simplifier, FILE *stream)
{
    static const char *const class[] = {
        [EXACT] = "exact", [REORDER] = "reorder", [BOUNDED] = "bounded", [FAST] = "fast"};
    for (int i = 0; i < tensor_rule_count; i++)
        if (simplifier->fired[i])
            fprintf(stream, "%8lld  %-8s %s\n", (long long)simplifier->fired[i], class[tensor_rules[i].class],
                    tensor_rules[i].name);
}

bool pass_simplify(PassContext *context)
{
    static const RuleClass most[] = {[MATH_EXACT] = EXACT, [MATH_DEFAULT] = BOUNDED, [MATH_FAST] = FAST};
    Compilation *const compilation = context->compilation;
    Ir *const ir = compilation->ir;
    Graph *const graph = compilation->graph;
    Simplifier simplifier = {.context = context, .ir = ir, .most = most[compilation->math]};
    simplifier.rules = rules_compile(ir, tensor_rules, tensor_rule_count);
    if (!simplifier.rules)
        BUG("%s", ir->diagnostics->last->text);
    simplifier.fired = NEW_ARRAY(ir->arena, int64_t, (size_t)tensor_rule_count);
    map_open(&simplifier.done, ir->arena);
    map_open(&simplifier.open, ir->arena);
    int count;
    nodes_topological(ir, graph->outputs, graph->output_count, &count);
    simplifier.rewrites_max = (int64_t)REWRITES_PER_NODE * (count + 4);
    Node **const outputs = NEW_ARRAY(ir->arena, Node *, (size_t)graph->output_count + 1);
    for (int i = 0; i < graph->output_count; i++) {
        if (!simplify(&simplifier, graph->outputs[i]))
            return false;
        outputs[i] = map_get(&simplifier.done, graph->outputs[i]);
    }
    graph->outputs = outputs;
    ir->where = NULL;
    if (context->rules)
        report(&simplifier, context->rules);
    return true;
}
