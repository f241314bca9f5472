/* Accesses of kernels: parameters, read-only buffers, places that are provably outside. */
#include "ir/verify_internal.h"

static const Range any = {INT64_MIN, INT64_MAX};

/* ---- ranges ---- */

static int64_t clamp(__int128 value)
{
    return value < INT64_MIN ? INT64_MIN : value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* INT64_MIN and MAX stand for no bound, and stay so. */
static int64_t add_bound(int64_t a, int64_t b, int64_t none)
{
    return a == none || b == none ? none : clamp((__int128)a + b);
}

static Range range_add(Range a, Range b)
{
    return (Range){add_bound(a.low, b.low, INT64_MIN), add_bound(a.high, b.high, INT64_MAX)};
}

static int64_t mul_bound(int64_t a, int64_t b)
{
    return clamp((__int128)a * b);
}

static Range range_mul(Range a, Range b)
{
    const int64_t corners[4] = {mul_bound(a.low, b.low), mul_bound(a.low, b.high), mul_bound(a.high, b.low),
                                mul_bound(a.high, b.high)};
    Range range = {corners[0], corners[0]};
    for (int i = 1; i < 4; i++) {
        range.low = corners[i] < range.low ? corners[i] : range.low;
        range.high = corners[i] > range.high ? corners[i] : range.high;
    }
    return range;
}

static Range range_of(const Verifier *verifier, const Node *node)
{
    int64_t value;
    if (const_is_int(node, &value))
        return (Range){value, value};
    const Range *const known = map_get(&verifier->ranges, node);
    return known ? *known : any;
}

static Range sum_range(const Verifier *verifier, const PlanNode *sum)
{
    Range total = {0, 0};
    for (int t = 0; t < sum->term_count; t++) {
        const PlanTerm *const term = &sum->terms[t];
        Range product = {term->factor, term->factor};
        for (int i = 0; i < term->count; i++)
            product = range_mul(product, range_of(verifier, term->atoms[i]));
        total = range_add(total, product);
    }
    return total;
}

static Range axis_range(const Verifier *verifier, const Node *axis)
{
    if (axis->input_count) {
        const Range extent = range_of(verifier, axis->inputs[0]);
        if (extent.high < 1)
            return any; /* an axis without points: nothing is accessed */
        return (Range){0, add_bound(extent.high, -1, INT64_MAX)};
    }
    const Node *const loop = map_get(&verifier->loops, axis);
    int64_t step;
    if (!loop || loop->input_count != 3 || !const_is_int(loop->inputs[2], &step) || step <= 0)
        return any;
    const Range lower = range_of(verifier, loop->inputs[0]), upper = range_of(verifier, loop->inputs[1]);
    if (upper.high <= lower.low)
        return any; /* it never runs */
    return (Range){lower.low, add_bound(upper.high, -1, INT64_MAX)};
}

static Range floordiv_range(Range a, Range b)
{
    if (b.low != b.high || b.low <= 0)
        return any;
    const int64_t low = a.low / b.low - (a.low % b.low < 0), high = a.high / b.low - (a.high % b.low < 0);
    return (Range){a.low == INT64_MIN ? INT64_MIN : low, a.high == INT64_MAX ? INT64_MAX : high};
}

static Range inner_range(const Verifier *verifier, const PlanNode *planned)
{
    const Node *const node = planned->node;
    const Range a = node->input_count > 0 ? range_of(verifier, node->inputs[0]) : any;
    const Range b = node->input_count > 1 ? range_of(verifier, node->inputs[1]) : any;
    switch (node->op) {
    case OP_symbol:
    case OP_begin:
    case OP_end:
        return (Range){0, INT64_MAX};
    case OP_thread:
        return (Range){0, add_bound(a.high, -1, INT64_MAX)};
    case OP_axis:
        return axis_range(verifier, node);
    case OP_floordiv:
        return floordiv_range(a, b);
    case OP_bound:
        return (Range){0, add_bound(b.high, -1, INT64_MAX)};
    case OP_min:
        return (Range){a.low < b.low ? a.low : b.low, a.high < b.high ? a.high : b.high};
    case OP_max:
        return (Range){a.low > b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
    default:
        return planned->term_count ? sum_range(verifier, planned) : any;
    }
}

void verify_range(Verifier *verifier, const PlanNode *planned)
{
    const Node *const node = planned->node;
    if (node->type.dtype != DTYPE_INDEX || node->type.lanes != 1 || node->type.rank >= 0 || node->op == OP_const)
        return;
    Range *const range = NEW(verifier->scratch, Range);
    *range = inner_range(verifier, planned);
    map_set(&verifier->ranges, node, range);
}

/* ---- places ---- */

/* Elements of a buffer with constant dims, padding of blocks included; INT64_MAX when not known. A dim of 0 says it
 * all. */
static int64_t buffer_elements(const Node *buffer)
{
    const Layout *const layout = &buffer->payload.buffer->layout;
    int64_t elements = 1;
    bool known = true;
    for (int i = 0; i < buffer->type.rank; i++) {
        int64_t dim;
        if (!const_is_int(buffer->type.dims[i], &dim) || dim < 0) {
            known = false;
            continue;
        }
        for (int j = 0; j < layout->count; j++)
            if (layout->entries[j].axis == i && layout->entries[j].part == PART_OUTER && layout->entries[j].block)
                dim = clamp(((__int128)dim + layout->entries[j].block - 1) / layout->entries[j].block *
                            layout->entries[j].block);
        elements = clamp((__int128)elements * dim);
    }
    return known || elements == 0 ? elements : INT64_MAX;
}

/* load, read, store without a mask, each side of copy_async: lanes elements from the offset on, which stands behind
 * the buffer. */
static void check_offset(Verifier *verifier, const Node *node, int operand, int lanes)
{
    const Node *const buffer = node->inputs[operand];
    const Range offset = range_of(verifier, node->inputs[operand + 1]);
    const int64_t elements = buffer_elements(buffer);
    if (elements == 0)
        return; /* only axes without points lead there, which may be known at run time alone */
    if (offset.high < 0 || offset.low > elements - lanes)
        verify_wrong(verifier, node, "reaches element %lld and %d lanes of a buffer of %lld",
                     (long long)(offset.high < 0 ? offset.high : offset.low), lanes, (long long)elements);
}

static void check_indices(Verifier *verifier, const Node *node, Node *const *indices)
{
    const Node *const buffer = node->inputs[0];
    for (int i = 0; i < buffer->type.rank; i++) {
        const Range index = range_of(verifier, indices[i]);
        int64_t dim;
        if (!const_is_int(buffer->type.dims[i], &dim) || dim == 0) /* as above */
            continue;
        if (index.high < 0 || index.low >= dim)
            verify_wrong(verifier, node, "index %d is %lld or %s, of a dim of %lld", i + 1,
                         (long long)(index.high < 0 ? index.high : index.low), index.high < 0 ? "less" : "more",
                         (long long)dim);
    }
}

static void check_write(Verifier *verifier, const Node *node)
{
    const Place place = node->inputs[0]->payload.buffer->place;
    if (place == PLACE_WEIGHT || place == PLACE_INPUT)
        verify_wrong(verifier, node, "writes a buffer that is %s", place == PLACE_WEIGHT ? "a weight" : "an input");
}

/* Operations that name a buffer in operand 0. */
static bool accesses(const Node *node)
{
    switch (node->op) {
    case OP_at:
    case OP_stage:
    case OP_load:
    case OP_gather:
    case OP_read:
    case OP_store:
    case OP_scatter:
    case OP_prefetch:
    case OP_copy_async:
    case OP_tile_load:
    case OP_tile_store:
        return node->input_count > 1 && node->inputs[0]->op == OP_buffer;
    default:
        return false;
    }
}

static void check_named(Verifier *verifier, const Node *node, const Node *buffer)
{
    if (verifier->kernel && !place_is_inner(buffer->payload.buffer->place) && !map_has(&verifier->parameters, buffer))
        verify_wrong(verifier, node, "names a buffer that is no parameter of the kernel");
}

static void check_copy(Verifier *verifier, const Node *node)
{
    if (node->inputs[2]->op != OP_buffer)
        return;
    if (node->inputs[0]->payload.buffer->place != PLACE_SHARED)
        verify_wrong(verifier, node, "goes to a buffer that is not shared");
    if (place_is_inner(node->inputs[2]->payload.buffer->place))
        verify_wrong(verifier, node, "comes from a buffer of the kernel itself");
    check_named(verifier, node, node->inputs[2]);
}

void verify_access(Verifier *verifier, const Node *node, int scope, bool guarded)
{
    if (node->op == OP_symbol && verifier->kernel && !map_has(&verifier->parameters, node))
        verify_wrong(verifier, node, "is no parameter of the kernel");
    if (!accesses(node))
        return;
    const Node *const buffer = node->inputs[0];
    check_named(verifier, node, buffer);
    if (node->op == OP_copy_async && node->input_count > 3)
        check_copy(verifier, node);
    if (node->op == OP_stage || node->op == OP_store || node->op == OP_scatter)
        check_write(verifier, node);
    if (node->op == OP_gather && buffer->payload.buffer->place == PLACE_SHARED)
        verify_wrong(verifier, node, "is pure, but shared memory changes");
    if (node->op == OP_load && map_has(&verifier->written, buffer))
        verify_wrong(verifier, node, "is pure, but the kernel writes its buffer: this has to be a read");
    const bool conditional =
        guarded || (scope >= 0 && scope < verifier->conditional_capacity && verifier->conditional[scope]);
    if (conditional)
        return;
    if ((node->op == OP_load || node->op == OP_read) && node->input_count == 2)
        check_offset(verifier, node, 0, node->type.lanes);
    if (node->op == OP_store && node->input_count == 3)
        check_offset(verifier, node, 0, node->inputs[2]->type.lanes);
    if (node->op == OP_copy_async && node->input_count == 4)
        check_offset(verifier, node, 2, (int)node->payload.integer);
    if (node->op == OP_copy_async && node->input_count >= 4)
        check_offset(verifier, node, 0, (int)node->payload.integer);
    if (node->op == OP_at)
        check_indices(verifier, node, node->inputs + 1);
    if (node->op == OP_stage && node->input_count == 2 + (uint32_t)buffer->type.rank)
        check_indices(verifier, node, node->inputs + 2);
}
