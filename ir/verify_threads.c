/* Kernels of threads: what belongs to them alone, and whether all threads of a block come to its barriers and all lanes
 * of a warp to its operations.
 *
 * Control flow is uniform when nothing that decides it depends on the number of the thread, on memory or on variables:
 * what remains (symbols, begin, end, axes of uniform loops) is the same for all. That refuses some kernels that would
 * be right, but none is accepted that is wrong. Within a warp, thread / 32 is the same for all too. */
#include "ir/kernel.h"
#include "ir/read.h"
#include "ir/verify_internal.h"

/* For whom is a value the same? */
typedef enum Variance { SAME_IN_BLOCK, SAME_IN_WARP, VARIES } Variance;

typedef struct Uniformity {
    Verifier *verifier;
    NodeMap variance; /* of planned nodes, plus one */
    int threads;
} Uniformity;

static Variance larger(Variance a, Variance b)
{
    return a > b ? a : b;
}

static Variance variance_of(const Uniformity *uniformity, const Node *node)
{
    const uintptr_t known = (uintptr_t)map_get(&uniformity->variance, node);
    if (known)
        return (Variance)(known - 1);
    return node->op == OP_const || node->op == OP_symbol ? SAME_IN_BLOCK : VARIES;
}

static bool is_thread_and_warps(const Node *node)
{
    int64_t number;
    return node->input_count == 2 && node->inputs[0]->op == OP_thread && const_is_int(node->inputs[1], &number) &&
           number > 0 && number % WARP_LANES == 0;
}

static Variance loop_variance(const Uniformity *uniformity, const Node *loop)
{
    Variance variance = SAME_IN_BLOCK;
    for (uint32_t i = 0; loop && i < loop->input_count; i++)
        variance = larger(variance, variance_of(uniformity, loop->inputs[i]));
    return loop ? variance : VARIES;
}

static Variance planned_variance(const Uniformity *uniformity, const PlanNode *planned)
{
    const Node *const node = planned->node;
    switch (node->op) {
    case OP_begin:
    case OP_end:
        return SAME_IN_BLOCK;
    case OP_axis:
        return loop_variance(uniformity, map_get(&uniformity->verifier->loops, node));
    case OP_thread:
    case OP_load:
    case OP_gather:
        return VARIES;
    case OP_floordiv:
    case OP_lt:
    case OP_ge:
        if (is_thread_and_warps(node))
            return SAME_IN_WARP;
        break;
    default:
        if (op_kind(node->op) == KIND_ORDERED)
            return VARIES;
        break;
    }
    Variance variance = SAME_IN_BLOCK;
    for (int i = 0; i < planned->edge_count; i++)
        variance = larger(variance, variance_of(uniformity, planned->edges[i].node));
    return variance;
}

static void settle(Uniformity *uniformity)
{
    const Plan *const plan = uniformity->verifier->plan;
    for (int i = 0; i < plan_count(plan); i++) {
        const PlanNode *const planned = plan_at(plan, i);
        map_set(&uniformity->variance, planned->node, (void *)(uintptr_t)(planned_variance(uniformity, planned) + 1));
    }
}

/* Of the conditions under which the loop around `block` is left early. Loops inside keep their own breaks. */
static Variance breaks_of(const Uniformity *uniformity, const Block *block, Variance around, int depth)
{
    Variance variance = SAME_IN_BLOCK;
    for (int i = 0; i < block->count && depth < BLOCK_DEPTH_MAX; i++) {
        const Node *const node = block->nodes[i];
        if (node->op != OP_break && node->op != OP_if)
            continue;
        const Variance inner = node->input_count ? larger(around, variance_of(uniformity, node->inputs[0])) : VARIES;
        if (node->op == OP_break)
            variance = larger(variance, inner);
        for (int j = 0; j < node->block_count; j++)
            variance = larger(variance, breaks_of(uniformity, node->blocks[j], inner, depth + 1));
    }
    return variance;
}

static bool is_of_threads(Op op)
{
    return op == OP_barrier || op == OP_copy_async || op == OP_copy_commit || op == OP_copy_wait || op == OP_shuffle ||
           op == OP_mma;
}

static void check_statement(const Uniformity *uniformity, const Node *node, Variance around)
{
    Verifier *const verifier = uniformity->verifier;
    const bool of_warp = node->op == OP_shuffle || node->op == OP_mma;
    if (!is_of_threads(node->op))
        return;
    if (!uniformity->threads)
        verify_wrong(verifier, node, "stands in a kernel that has no threads");
    else if (of_warp && uniformity->threads % WARP_LANES)
        verify_wrong(verifier, node, "needs whole warps of %d lanes, the kernel has %d threads", WARP_LANES,
                     uniformity->threads);
    if (node->op == OP_barrier && around != SAME_IN_BLOCK)
        verify_wrong(verifier, node,
                     "may be reached by some threads of the block only: an if, a loop or a break around it depends on "
                     "the thread, on memory or on a variable");
    if (of_warp && around == VARIES)
        verify_wrong(verifier, node,
                     "may be reached by some lanes of a warp only: an if, a loop or a break around it depends on the "
                     "lane, on memory or on a variable");
}

static void check_block(const Uniformity *uniformity, const Block *block, Variance around, int depth)
{
    for (int i = 0; i < block->count && depth < BLOCK_DEPTH_MAX; i++) {
        const Node *const node = block->nodes[i];
        check_statement(uniformity, node, around);
        if (!node->block_count)
            continue;
        Variance inside = larger(around, loop_variance(uniformity, node)); /* the condition of an if likewise */
        if (node->op == OP_for || node->op == OP_loop)
            inside = larger(inside, breaks_of(uniformity, node->blocks[0], SAME_IN_BLOCK, depth + 1));
        for (int j = 0; j < node->block_count; j++)
            check_block(uniformity, node->blocks[j], inside, depth + 1);
    }
}

/* Bytes of a shared buffer; INT64_MAX when they are too many, 0 when a dim is not constant, which is wrong anyway. */
static int64_t shared_bytes(const Node *buffer)
{
    __int128 bits = dtype_info[buffer->type.dtype].bits;
    for (int i = 0; i < buffer->type.rank; i++) {
        int64_t dim;
        if (!const_is_int(buffer->type.dims[i], &dim))
            return 0;
        if (dim < 0 || (bits *= dim) > INT32_MAX)
            return INT64_MAX;
    }
    return (int64_t)((bits + 127) / 128 * 16);
}

static void check_shared(Verifier *verifier, int threads)
{
    int64_t total = 0;
    for (int i = 0; i < plan_count(verifier->plan); i++) {
        const Node *const node = plan_at(verifier->plan, i)->node;
        int64_t extent;
        if (node->op == OP_thread && (!const_is_int(node->inputs[0], &extent) || extent != threads))
            verify_wrong(verifier, node, "counts to another number than the kernel's %d threads", threads);
        if (node->op != OP_buffer || node->payload.buffer->place != PLACE_SHARED)
            continue;
        if (!threads)
            verify_wrong(verifier, node, "is shared, but the kernel has no threads");
        if (node->payload.buffer->alias || node->payload.buffer->layout.count)
            verify_wrong(verifier, node, "is shared and has an alias or a layout");
        const int64_t bytes = shared_bytes(node);
        if (total <= SHARED_BYTES_MAX && (bytes > SHARED_BYTES_MAX || (total += bytes) > SHARED_BYTES_MAX)) {
            verify_wrong(verifier, node, "the shared buffers up to this one need more than %d bytes", SHARED_BYTES_MAX);
            total = INT32_MAX;
        }
    }
}

void verify_threads(Verifier *verifier, const Block *body)
{
    const int threads = verifier->kernel->payload.kernel->threads;
    if (threads < 0 || threads > THREADS_MAX)
        verify_wrong(verifier, verifier->kernel, "has %d threads: 0 to %d are possible", threads, THREADS_MAX);
    Uniformity uniformity = {.verifier = verifier, .threads = threads};
    map_open(&uniformity.variance, verifier->scratch);
    settle(&uniformity);
    check_block(&uniformity, body, SAME_IN_BLOCK, 0);
    check_shared(verifier, threads);
}
