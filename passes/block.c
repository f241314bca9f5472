/* Blocks of mobile networks: a product with every position alone or a first layer, a depthwise window, a product again
 * become one kernel, so that what lies between them never leaves the nearest caches (codegen/block.c runs it band of
 * rows by band).
 *
 * The stages share the batch as their first axis; what lies between them becomes local buffers of one image. It pays
 * where the values in between are more than a core's L2 keeps (decisions.md), and only templates of CPUs with vectors
 * know such kernels. It runs on final layouts: weights lie in panels, and nobody else has an opinion on the values that
 * become local. */
#include "ir/bands.h"
#include "ir/kernel.h"
#include "ir/roles.h"
#include "passes/access.h"
#include "passes/pass.h"

#include <string.h>

enum { LOCAL_BYTES_MAX = 256 << 20, MEMBERS_MAX = 3, NARROW_DEPTH = 64 };

typedef struct Blocker {
    PassContext *context;
    Ir *ir;
    Block *body;
    Accesses accesses;
    Merger merger;
} Blocker;

/* Kernels in order of execution, one after the other reading what the one before wrote. */
typedef struct Chain {
    int members[MEMBERS_MAX];
    int count;
} Chain;

/* A stage that nothing has to run in order with, alone in a kernel that no chain has yet; NULL: there is none. */
static Node *free_stage(const Blocker *blocker, int number)
{
    const Node *const kernel = number < 0 ? NULL : blocker->body->nodes[number];
    if (!kernel || blocker->merger.taken[number] || kernel_stages(kernel)->count != 1 ||
        kernel_stages(kernel)->nodes[0]->op != OP_stage || kernel_has_order(kernel))
        return NULL;
    return kernel_stages(kernel)->nodes[0];
}

/* Is the value written by one kernel and read by one, in memory of its own? */
static bool is_between(const Blocker *blocker, Node *buffer, int *writer, int *reader)
{
    const Access access = access_of(&blocker->accesses, buffer);
    *writer = access.writer;
    *reader = access.reader;
    return buffer->payload.buffer->place == PLACE_TEMP && !buffer->payload.buffer->alias && !access.is_shared &&
           buffer->type.rank == 4 && buffer->type.dtype == DTYPE_F32 && access.writers == 1 && access.readers == 1 &&
           access.reader > access.writer;
}

/* A product with a weight at every position: one axis is reduced, and the operand is read where it stands. */
static bool is_pointwise(Ir *ir, Node *stage)
{
    ContractRoles roles;
    int reduced = 0;
    if (!contract_match_stage(ir, stage, 0, &roles) || !roles.weight || roles.a->op != OP_at || roles.batch_count)
        return false;
    for (int i = 0; i < roles.contract->axis_count; i++)
        reduced += !index_is(roles.contract->axes[i]->inputs[0], 1);
    return reduced <= 1 && roles.a->type.dtype == DTYPE_F32;
}

/* A product with a weight over windows of few values, as first layers are: what its rows read is copied for each. */
static bool is_narrow_window(Ir *ir, Node *stage)
{
    ContractRoles roles;
    DepthwiseRoles window;
    int64_t depth;
    return contract_match_stage(ir, stage, 0, &roles) && roles.weight && !roles.batch_count &&
           const_is_int(roles.depth, &depth) && depth <= NARROW_DEPTH && expanding_window_match(ir, stage, &window);
}

/* Bytes of one image. */
static int64_t known_bytes(const Node *buffer)
{
    int64_t elements = 1, extent;
    for (int i = buffer->type.rank - 3; i < buffer->type.rank; i++) {
        if (!const_is_int(buffer->type.dims[i], &extent) || extent < 1 || extent > 1 << 24)
            return INT64_MAX;
        elements *= extent;
        if (elements > LOCAL_BYTES_MAX)
            return INT64_MAX;
    }
    return elements * 4;
}

/* ---- what pays ---- */

/* Bytes of the weights that the products of the chain read for each band. */
static int64_t weight_bytes(const Blocker *blocker, const Chain *chain, int window)
{
    int64_t bytes = 0;
    for (int i = 0; i < chain->count; i++) {
        ContractRoles roles;
        int64_t columns, depth;
        if (chain->members[i] != window &&
            contract_match_stage(blocker->ir, free_stage(blocker, chain->members[i]), 0, &roles) &&
            const_is_int(roles.columns, &columns) && const_is_int(roles.depth, &depth))
            bytes += columns * depth * 4;
    }
    return bytes;
}

/* What lies between the stages is written and read again from behind L2 when it is larger; what an only expanded window
 * leaves is still written, so that pays later. A first layer's products are few beside what it writes, so that pays
 * earlier. The rows of a band must stay, and the weights beside them. */
static bool pays(const Blocker *blocker, const Chain *chain, int window, const DepthwiseRoles *roles)
{
    const int64_t l2 = blocker->context->compilation->target->l2;
    const int64_t in = known_bytes(roles->at->inputs[0]), out = known_bytes(stage_buffer(roles->stage));
    const bool projected = chain->members[chain->count - 1] != window;
    const bool narrow =
        chain->members[0] != window && is_narrow_window(blocker->ir, free_stage(blocker, chain->members[0]));
    return in < LOCAL_BYTES_MAX && out < LOCAL_BYTES_MAX &&
           in + out > (narrow      ? l2 / 3
                       : projected ? l2 * 2 / 3
                                   : l2) &&
           depthwise_band_bytes(roles, 1) <= l2 / 3 && weight_bytes(blocker, chain, window) <= l2 / 4;
}

/* ---- merging ---- */

/* The first axis of the stage's target, when all dims of the batch are one. */
static Node *batch_axis(const Node *stage)
{
    Node *const index = stage_indices(stage)[0];
    return stage_has_axis(stage, index) ? index : NULL;
}

/* The buffer for one image: the same layout without the batch. */
static Node *image_buffer(Ir *ir, Node *buffer, int64_t *scratch)
{
    Buffer local = {.name = buffer->payload.buffer->name, .place = PLACE_LOCAL, .offset = *scratch};
    const Layout *const layout = &buffer->payload.buffer->layout;
    for (int i = 0; i < layout->count; i++)
        if (layout->entries[i].axis != 0) {
            local.layout.entries[local.layout.count] = layout->entries[i];
            local.layout.entries[local.layout.count++].axis--;
        }
    Node *const made = buffer_make(ir, type_tensor(ir, buffer->type.dtype, 3, buffer->type.dims + 1), &local);
    *scratch += (known_bytes(made) + 63) / 64 * 64;
    return made;
}

/* Is every read of `from` of the image `batch`? */
static bool reads_image(Ir *ir, Node *value, const Node *from, const Node *batch)
{
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_at && nodes[i]->inputs[0] == from && nodes[i]->inputs[1] != batch &&
            !index_is(from->type.dims[0], 1))
            return false;
    return true;
}

/* The stage with `batch` as its first axis, in place of its own. */
static Node *with_batch(Ir *ir, const Node *stage, Node *batch)
{
    Node *const own = batch_axis(stage), *axes[RANK_MAX] = {batch}, *indices[RANK_MAX];
    int count = 1;
    for (int i = 0; i < stage->axis_count; i++)
        if (stage->axes[i] != own)
            axes[count++] = stage->axes[i];
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = own ? node_substitute(ir, stage_indices(stage)[i], &own, &batch, 1) : stage_indices(stage)[i];
    return stage_make(ir, axes, count, stage_buffer(stage), indices,
                      own ? node_substitute(ir, stage_value(stage), &own, &batch, 1) : stage_value(stage));
}

/* The kernel of all members, or NULL when it is no block after all. */
static Node *merge(const Blocker *blocker, const Chain *chain)
{
    Ir *const ir = blocker->ir;
    Node *stages[MEMBERS_MAX], *members[MEMBERS_MAX], *batch = NULL;
    int64_t scratch = 0;
    for (int i = 0; i < chain->count; i++) {
        members[i] = blocker->body->nodes[chain->members[i]];
        stages[i] = kernel_stages(members[i])->nodes[0];
        Node *const own = batch_axis(stages[i]);
        if (!own || (batch && own->inputs[0] != batch->inputs[0]))
            return NULL;
        batch = batch ? batch : own;
        stages[i] = with_batch(ir, stages[i], batch);
    }
    for (int i = 0; i + 1 < chain->count; i++) {
        Node *const buffer = stage_buffer(stages[i]), *const local = image_buffer(ir, buffer, &scratch);
        stages[i] = stage_make(ir, stages[i]->axes, stages[i]->axis_count, local, stage_indices(stages[i]) + 1,
                               stage_value(stages[i]));
        if (!reads_image(ir, stage_value(stages[i + 1]), buffer, batch))
            return NULL;
        stages[i + 1] = stage_remake(ir, stages[i + 1], stage_buffer(stages[i + 1]), stage_indices(stages[i + 1]),
                                     value_read_within(ir, stage_value(stages[i + 1]), buffer, local));
    }
    Block *const block = block_make(ir);
    for (int i = 0; i < chain->count; i++)
        block_append(ir, block, stages[i]);
    Node *const kernel = kernel_make(ir, members[chain->count - 1]->payload.kernel->name, block);
    kernel->payload.kernel->wheres = kernels_wheres(ir, members, chain->count);
    kernel->payload.kernel->scratch = scratch;
    BandRoles roles;
    return scratch <= LOCAL_BYTES_MAX && bands_match(ir, kernel, &roles) ? kernel : NULL;
}

/* Does a kernel between the members write memory that a member reads? Those before the last run later than they did. */
static bool is_disturbed(const Blocker *blocker, const Chain *chain)
{
    Ir *const ir = blocker->ir;
    NodeMap read;
    map_open(&read, ir->arena);
    int count, member = 0;
    for (int i = chain->members[0]; i < chain->members[chain->count - 1]; i++) {
        const Node *const kernel = blocker->body->nodes[i];
        if (i == chain->members[member]) {
            Node **const reads = kernel_reads(ir, kernel, &count);
            for (int j = 0; j < count; j++)
                map_set(&read, buffer_root(reads[j]), reads[j]);
            member++;
            continue;
        }
        Node **const targets = kernel_targets(ir, kernel, &count);
        for (int j = 0; j < count; j++)
            if (map_has(&read, buffer_root(targets[j])))
                return true;
    }
    return false;
}

/* ---- finding ---- */

/* The chain around the depthwise kernel `number`: with `before` and `after` where they are asked for. */
static bool find_chain(Blocker *blocker, int number, const DepthwiseRoles *roles, bool before, bool after, Chain *chain)
{
    Ir *const ir = blocker->ir;
    int writer, reader;
    *chain = (Chain){.count = 0};
    if (before) {
        Node *const buffer = roles->at->inputs[0];
        Node *const stage = is_between(blocker, buffer, &writer, &reader) ? free_stage(blocker, writer) : NULL;
        if (!stage || reader != number || (!is_pointwise(ir, stage) && !is_narrow_window(ir, stage)))
            return false;
        chain->members[chain->count++] = writer;
    }
    chain->members[chain->count++] = number;
    if (after) {
        Node *const buffer = stage_buffer(roles->stage);
        Node *const stage = is_between(blocker, buffer, &writer, &reader) ? free_stage(blocker, reader) : NULL;
        if (!stage || writer != number || !is_pointwise(ir, stage) || !stage_reads_own_position(ir, stage, buffer))
            return false;
        chain->members[chain->count++] = reader;
    }
    return !is_disturbed(blocker, chain);
}

static Node *block_around(Blocker *blocker, int number, Chain *chain)
{
    static const struct {
        bool before, after;
    } forms[] = {{true, true}, {true, false}, {false, true}};
    Node *const stage = free_stage(blocker, number);
    DepthwiseRoles roles;
    if (!stage || !depthwise_match(blocker->ir, stage, &roles) || roles.at->inputs[0]->type.rank != 4)
        return NULL;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!find_chain(blocker, number, &roles, forms[i].before, forms[i].after, chain) ||
            !pays(blocker, chain, number, &roles))
            continue;
        Node *const kernel = merge(blocker, chain);
        if (kernel)
            return pass_decide(blocker->context) ? kernel : NULL;
    }
    return NULL;
}

/* Templates of CPUs with vectors take such kernels. */
static bool has_template(const TargetMachineInfo *target)
{
    return target && !target->gpu && target->family->system == SYSTEM_HOSTED && target->vector_bytes >= 16;
}

bool pass_block(PassContext *context)
{
    Ir *const ir = context->compilation->ir;
    Module *const module = context->compilation->module;
    if (!has_template(context->compilation->target))
        return true;
    Blocker blocker = {.context = context,
                       .ir = ir,
                       .body = module->body,
                       .accesses = accesses_of(ir, module->body),
                       .merger = merger_open(ir, module->body)};
    for (int i = 0; i < module->body->count; i++) {
        Chain chain;
        Node *const kernel = block_around(&blocker, i, &chain);
        if (kernel)
            merger_join(&blocker.merger, chain.members, chain.count, kernel);
    }
    module->body = merger_body(ir, &blocker.merger);
    return true;
}
