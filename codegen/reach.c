/* What units touch: see reach.h. Index expressions become lines with a low and a high one beside each other: every
 * value that the expression takes while unit u runs lies between. */
#include "codegen/reach.h"

#include "ir/kernel.h"
#include "ir/map.h"
#include "ir/walk.h"

#include <math.h>

typedef struct Reacher {
    Ir *ir;
    Arena *arena;
    const Node *kernel;
    double last; /* the number of the last unit */
    NodeMap variables,
        lines; /* of the loops around and of what is computed in them: Reach, high being the last value */
    NodeWalk walk;
    Reach *touched;
    bool whole; /* begin and end are used for more than counting units */
} Reacher;

static const Reach anything = {0, -INFINITY, INFINITY};

Reach reach_sloped(Reach line, double slope, double last)
{
    const double change = (line.slope - slope) * last;
    return (Reach){slope, line.low + fmin(0, change), line.high + fmax(0, change)};
}

static double width(Reach line)
{
    return line.high - line.low;
}

/* The line that is `slope` of the one and of the other tightest around `low` of a and `high` of b. */
static Reach between(const Reacher *reacher, Reach a, Reach b)
{
    const Reach first = {a.slope, a.low, reach_sloped(b, a.slope, reacher->last).high};
    const Reach second = {b.slope, reach_sloped(a, b.slope, reacher->last).low, b.high};
    return width(first) <= width(second) ? first : second;
}

Reach reach_united(Reach a, Reach b, double last)
{
    const Reach other = reach_sloped(b, a.slope, last), own = reach_sloped(a, b.slope, last);
    const Reach first = {a.slope, fmin(a.low, other.low), fmax(a.high, other.high)};
    const Reach second = {b.slope, fmin(own.low, b.low), fmax(own.high, b.high)};
    return width(first) <= width(second) ? first : second;
}

static Reach scaled(Reach line, double factor)
{
    if (factor == 0)
        return (Reach){0};
    const double a = line.low * factor, b = line.high * factor;
    return (Reach){line.slope * factor, fmin(a, b), fmax(a, b)};
}

static bool is_fixed(Reach line)
{
    return line.slope == 0 && line.low == line.high;
}

static Reach product(const Reacher *reacher, Reach a, Reach b)
{
    if (is_fixed(a))
        return scaled(b, a.low);
    if (is_fixed(b))
        return scaled(a, b.low);
    a = reach_sloped(a, 0, reacher->last);
    b = reach_sloped(b, 0, reacher->last);
    if (isinf(a.low) || isinf(a.high) || isinf(b.low) || isinf(b.high))
        return anything;
    const double corner[4] = {a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high};
    return (Reach){0, fmin(fmin(corner[0], corner[1]), fmin(corner[2], corner[3])),
                   fmax(fmax(corner[0], corner[1]), fmax(corner[2], corner[3]))};
}

static Reach divided(const Reacher *reacher, Reach a, Reach b)
{
    if (!is_fixed(b) || b.low < 1)
        return anything;
    const Reach all = reach_sloped(a, 0, reacher->last);
    const Reach level = {0, floor(all.low / b.low), floor(all.high / b.low)};
    const Reach slanted = {a.slope / b.low, (a.low - (b.low - 1)) / b.low, a.high / b.low};
    return width(level) <= width(slanted) ? level : slanted;
}

/* The lesser of two: not above either of them. */
static Reach lesser(const Reacher *reacher, Reach a, Reach b)
{
    const Reach low = reach_united(a, b, reacher->last);
    const Reach first = {a.slope, reach_sloped(low, a.slope, reacher->last).low, a.high};
    const Reach second = {b.slope, reach_sloped(low, b.slope, reacher->last).low, b.high};
    return width(first) <= width(second) ? first : second;
}

static Reach negative(Reach line)
{
    return scaled(line, -1);
}

static Reach line_of(const Reacher *reacher, Node *node)
{
    const Reach *const known = map_get(&reacher->lines, node);
    int64_t value;
    if (known)
        return *known;
    return const_is_int(node, &value) ? (Reach){0, (double)value, (double)value} : anything;
}

static Reach axis_line(const Reacher *reacher, const Node *axis)
{
    const Reach *const bound = map_get(&reacher->variables, axis);
    int64_t extent;
    if (bound)
        return *bound;
    return axis->input_count && const_is_int(axis->inputs[0], &extent) ? (Reach){0, 0, (double)extent - 1} : anything;
}

static Reach index_line(const Reacher *reacher, Node *node)
{
    const Reach a = node->input_count > 0 ? line_of(reacher, node->inputs[0]) : anything;
    const Reach b = node->input_count > 1 ? line_of(reacher, node->inputs[1]) : anything;
    if (node->input_count > 2 && node->op != OP_select)
        return anything;
    switch (node->op) {
    case OP_axis:
        return axis_line(reacher, node);
    case OP_add:
        return (Reach){a.slope + b.slope, a.low + b.low, a.high + b.high};
    case OP_sub:
        return (Reach){a.slope - b.slope, a.low - b.high, a.high - b.low};
    case OP_mul:
        return product(reacher, a, b);
    case OP_floordiv:
        return divided(reacher, a, b);
    case OP_min:
        return lesser(reacher, a, b);
    case OP_max:
        return negative(lesser(reacher, negative(a), negative(b)));
    case OP_select:
        return reach_united(b, line_of(reacher, node->inputs[2]), reacher->last);
    case OP_splat:
        return a;
    case OP_iota:
        return (Reach){0, 0, node->type.lanes - 1};
    default:
        return anything;
    }
}

/* `lanes` elements from each value of `offset` on. */
static void touch(const Reacher *reacher, const Node *buffer, Reach offset, int lanes)
{
    const int buffers = kernel_buffer_count(reacher->kernel);
    const double bytes = dtype_info[buffer->type.dtype].bits / 8.0;
    Reach line = {offset.slope * bytes, offset.low * bytes, (offset.high + lanes) * bytes};
    if (bytes < 1)
        line = anything;
    for (int i = 0; i < buffers; i++) {
        if (reacher->kernel->inputs[i] != buffer)
            continue;
        Reach *const touched = &reacher->touched[i];
        *touched = touched->low > touched->high ? line : reach_united(*touched, line, reacher->last);
    }
}

static void node_reach(Reacher *reacher, Node *node)
{
    switch (node->op) {
    case OP_load:
    case OP_read:
        touch(reacher, node->inputs[0], line_of(reacher, node->inputs[1]), node->type.lanes);
        return;
    case OP_store:
        touch(reacher, node->inputs[0], line_of(reacher, node->inputs[1]), node->inputs[2]->type.lanes);
        return;
    case OP_gather:
    case OP_scatter:
        touch(reacher, node->inputs[0], line_of(reacher, node->inputs[1]), 1);
        return;
    case OP_begin:
    case OP_end:
    case OP_const:
    case OP_for:
        return;
    case OP_copy_async:
    case OP_thread:
        reacher->whole = true;
        return;
    default:
        for (uint32_t i = 0; i < node->input_count; i++)
            reacher->whole |= node->inputs[i]->op == OP_begin || node->inputs[i]->op == OP_end;
    }
    if (node->type.dtype != DTYPE_INDEX || node->type.rank >= 0)
        return;
    Reach *const line = NEW(reacher->arena, Reach);
    *line = index_line(reacher, node);
    map_set(&reacher->lines, node, line);
}

static void forget(Reacher *reacher)
{
    reacher->walk = walk_open(reacher->arena);
    map_open(&reacher->lines, reacher->arena);
}

static void expression_reach(Reacher *reacher, Node *root)
{
    const size_t before = reacher->walk.order.count;
    walk_from(&reacher->walk, root);
    for (size_t i = before; i < reacher->walk.order.count; i++)
        node_reach(reacher, reacher->walk.order.nodes[i]);
}

/* What the variable of a loop is: from the lower bound on, in steps, below the upper one. */
static Reach loop_line(const Reacher *reacher, const Node *loop)
{
    const Reach lower = line_of(reacher, loop->inputs[0]), upper = line_of(reacher, loop->inputs[1]);
    Reach line = between(reacher, lower, (Reach){upper.slope, upper.low - 1, upper.high - 1});
    int64_t step;
    if (const_is_int(loop->inputs[2], &step) && line.slope == lower.slope && lower.low == lower.high &&
        line.high >= line.low)
        line.high = lower.low + floor((line.high - lower.low) / (double)step) * (double)step;
    return line;
}

/* Binds the loop's variable. One that another loop had before makes what was computed with it void. */
static void loop_reach(Reacher *reacher, const Node *loop)
{
    expression_reach(reacher, loop->inputs[0]);
    expression_reach(reacher, loop->inputs[1]);
    Reach *const line = NEW(reacher->arena, Reach);
    if (loop->inputs[0]->op == OP_begin && loop->inputs[1]->op == OP_end) {
        *line = (Reach){1, 0, 0};
    } else {
        *line = loop_line(reacher, loop);
        for (int i = 0; i < 2; i++)
            reacher->whole |= loop->inputs[i]->op == OP_begin || loop->inputs[i]->op == OP_end;
    }
    if (map_has(&reacher->lines, loop->axes[0]) || map_has(&reacher->variables, loop->axes[0]))
        forget(reacher);
    map_set(&reacher->variables, loop->axes[0], line);
}

/* Everything that the block says, in order. Blocks nest as deep as a template makes them. */
static void block_reach(Reacher *reacher, const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        Node *const node = block->nodes[i];
        if (node->op == OP_for)
            loop_reach(reacher, node);
        expression_reach(reacher, node);
        for (int j = 0; j < node->block_count; j++)
            block_reach(reacher, node->blocks[j]);
    }
}

Reach *kernel_reach(Ir *ir, const Node *scheduled, int64_t units)
{
    const int buffers = kernel_buffer_count(scheduled);
    Reach *const touched = NEW_ARRAY(ir->arena, Reach, (size_t)buffers + 1);
    Arena *const scratch = arena_scratch(ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    Reacher reacher = {.ir = ir,
                       .arena = scratch,
                       .kernel = scheduled,
                       .last = units > 1 ? (double)(units - 1) : 0,
                       .walk = walk_open(scratch),
                       .touched = touched};
    map_open(&reacher.variables, scratch);
    map_open(&reacher.lines, scratch);
    for (int i = 0; i < buffers; i++)
        touched[i] = (Reach){0, INFINITY, -INFINITY};
    block_reach(&reacher, kernel_body(scheduled));
    for (int i = 0; i < buffers && reacher.whole; i++)
        touched[i] = anything;
    arena_reset(scratch, mark);
    return touched;
}
