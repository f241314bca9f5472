/* Ranges of all indices of a scheduled kernel: loops give those of their variables, intervals those of expressions. An
 * index that is nowhere bounded (an element of a 64-bit tensor before it is checked) keeps its kernel at 64 bits, so
 * that a value which does not fit is still seen to be out of range. */
#include "codegen/indexwidth.h"

#include "ir/kernel.h"
#include "ir/map.h"

typedef struct Interval {
    int64_t low, high; /* inclusive; beyond FAR: unknown */
} Interval;
static const int64_t FAR = INT64_C(1) << 61;
static const Interval anything = {-(INT64_C(1) << 61), INT64_C(1) << 61};

typedef struct Widths {
    Ir *ir;
    Arena *arena;
    const Node *kernel;
    NodeMap axes;  /* of the loops around -> Interval; one axis may be the variable of several loops */
    NodeMap known; /* other nodes of one statement -> Interval */
    bool narrow;
} Widths;

static int64_t near(__int128 value)
{
    return value > FAR ? FAR : value < -(__int128)FAR ? -FAR : (int64_t)value;
}

static Interval product(Interval a, Interval b)
{
    const __int128 corners[4] = {(__int128)a.low * b.low, (__int128)a.low * b.high, (__int128)a.high * b.low,
                                 (__int128)a.high * b.high};
    __int128 low = corners[0], high = corners[0];
    for (int i = 1; i < 4; i++) {
        low = corners[i] < low ? corners[i] : low;
        high = corners[i] > high ? corners[i] : high;
    }
    return (Interval){near(low), near(high)};
}

static int64_t floor_quotient(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static Interval quotient(Interval a, Interval b)
{
    if (b.low <= 0)
        return anything;
    return (Interval){floor_quotient(a.low, a.low < 0 ? b.low : b.high),
                      floor_quotient(a.high, a.high < 0 ? b.high : b.low)};
}

static Interval either(Interval a, Interval b)
{
    return (Interval){a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
}

static Interval of_dtype(Dtype dtype)
{
    const int bits = dtype_info[dtype].bits;
    if (dtype == DTYPE_BOOL)
        return (Interval){0, 1};
    if (!dtype_is_integer(dtype) || bits > 32)
        return anything;
    return dtype_is_signed(dtype) ? (Interval){-(INT64_C(1) << (bits - 1)), (INT64_C(1) << (bits - 1)) - 1}
                                  : (Interval){0, (INT64_C(1) << bits) - 1};
}

static Interval known(const Widths *widths, const Node *node)
{
    const Interval *const interval = map_get(node->op == OP_axis ? &widths->axes : &widths->known, node);
    return interval ? *interval : anything;
}

static void know(Widths *widths, NodeMap *map, const Node *node, Interval interval)
{
    Interval *const copy = NEW(widths->arena, Interval);
    *copy = interval;
    map_set(map, node, copy);
}

/* Operands come first in `nodes_topological`, so theirs are known. */
static Interval interval_of(const Widths *widths, const Node *node)
{
    int64_t value;
    const Interval a = node->input_count > 0 ? known(widths, node->inputs[0]) : anything;
    const Interval b = node->input_count > 1 ? known(widths, node->inputs[1]) : anything;
    if (const_is_int(node, &value))
        return (Interval){near(value), near(value)};
    switch (node->op) {
    case OP_begin:
    case OP_end:
        return const_is_int(widths->kernel->payload.kernel->units, &value) ? (Interval){0, near(value)} : anything;
    case OP_thread: /* 0 to its extent - 1 */
        return (Interval){0, a.high - 1};
    case OP_iota:
        return (Interval){0, node->type.lanes - 1};
    case OP_splat:
    case OP_extract:
    case OP_slice:
        return a;
    case OP_add:
        return (Interval){near((__int128)a.low + b.low), near((__int128)a.high + b.high)};
    case OP_sub:
        return (Interval){near((__int128)a.low - b.high), near((__int128)a.high - b.low)};
    case OP_mul:
        return product(a, b);
    case OP_floordiv:
        return quotient(a, b);
    case OP_mod:
        return b.low > 0 ? (Interval){0, b.high - 1} : anything;
    case OP_min:
        return (Interval){a.low < b.low ? a.low : b.low, a.high < b.high ? a.high : b.high};
    case OP_max:
        return (Interval){a.low > b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
    case OP_select:
        return either(b, known(widths, node->inputs[2]));
    case OP_cast:
        return of_dtype(node->inputs[0]->type.dtype);
    case OP_get: /* what was set before, and every value that is set is looked at */
        return (Interval){INT32_MIN, INT32_MAX};
    default:
        return anything;
    }
}

static bool fits(Interval interval)
{
    return interval.low >= INT32_MIN && interval.high <= INT32_MAX;
}

static void look_at(Widths *widths, Node *const *roots, int root_count)
{
    int count;
    Node **const nodes = nodes_topological(widths->ir, roots, root_count, &count);
    map_open(&widths->known, widths->arena);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->type.dtype != DTYPE_INDEX || nodes[i]->op == OP_axis)
            continue;
        const Interval interval = interval_of(widths, nodes[i]);
        know(widths, &widths->known, nodes[i], interval);
        widths->narrow = widths->narrow && fits(interval);
    }
}

/* The variable, and what it is compared with after the last step. */
static void look_at_loop(Widths *widths, const Node *loop)
{
    const Interval lower = known(widths, loop->inputs[0]), upper = known(widths, loop->inputs[1]),
                   step = known(widths, loop->inputs[2]);
    know(widths, &widths->axes, loop->axes[0], (Interval){lower.low, upper.high - 1});
    widths->narrow = widths->narrow && fits((Interval){lower.low, near((__int128)upper.high + step.high)});
}

/* Blocks nest as deep as templates make loops. */
static void look_into(Widths *widths, const Block *block)
{
    for (int i = 0; i < block->count && widths->narrow; i++) {
        const Node *const node = block->nodes[i];
        look_at(widths, node->inputs, (int)node->input_count);
        if (node->op == OP_for)
            look_at_loop(widths, node);
        for (int j = 0; j < node->block_count; j++)
            look_into(widths, node->blocks[j]);
    }
}

int index_width(Ir *ir, const Node *kernel, const TargetMachineInfo *target)
{
    if (target->family->pointer_bits > 32 && !target->gpu)
        return 64;
    Widths widths = {.ir = ir, .arena = arena_open(0, NULL, NULL), .kernel = kernel, .narrow = true};
    map_open(&widths.axes, widths.arena);
    look_into(&widths, kernel_body(kernel));
    arena_close(widths.arena);
    return widths.narrow ? 32 : 64;
}
