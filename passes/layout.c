/* Layouts: each intermediate value gets the order of axes that its users like.
 *
 * Contractions vote: the axis that results are stored along in vectors and the axis that reductions read along should
 * be innermost. Kernels that keep positions (elementwise, pooling, concatenation) tie the layouts of what they read and
 * write together, so that no layout change stays inside a network. Weights of contractions become panels. Graph inputs
 * and outputs keep ONNX's row-major order. */
#include "ir/procedure.h"
#include "ir/roles.h"
#include "passes/access.h"
#include "passes/pass.h"

#include <string.h>

enum { DIMS_MAX = 6 }; /* higher ranks stay row-major */

typedef struct Group {
    Node *buffer;
    int parent;              /* union-find over buffers of equal rank */
    int64_t votes[DIMS_MAX]; /* for this dim to be innermost, in elements */
} Group;

typedef struct Chooser {
    PassContext *context;
    Ir *ir;
    Module *module;
    NodeMap number; /* buffer -> 1 + group */
    NodeMap fixed;  /* what procedures touch: row-major */
    Accesses accesses;
    Group *groups;
    int count, capacity;
} Chooser;

static int find(Chooser *chooser, int group)
{
    while (chooser->groups[group].parent != group)
        group = chooser->groups[group].parent = chooser->groups[chooser->groups[group].parent].parent;
    return group;
}

/* The group of a buffer whose layout is free; -1 for all others. */
static int group_of(Chooser *chooser, Node *buffer)
{
    if (buffer->payload.buffer->place != PLACE_TEMP || buffer->type.rank < 2 || buffer->type.rank > DIMS_MAX ||
        dtype_info[buffer->type.dtype].bits < 8 || buffer->payload.buffer->alias || map_has(&chooser->fixed, buffer))
        return -1;
    const intptr_t known = (intptr_t)map_get(&chooser->number, buffer);
    if (known)
        return find(chooser, (int)known - 1);
    if (chooser->count == chooser->capacity) {
        chooser->capacity = chooser->capacity ? chooser->capacity * 2 : 64;
        Group *const groups = NEW_ARRAY(chooser->ir->arena, Group, (size_t)chooser->capacity);
        if (chooser->count)
            memcpy(groups, chooser->groups, (size_t)chooser->count * sizeof *groups);
        chooser->groups = groups;
    }
    chooser->groups[chooser->count] = (Group){.buffer = buffer, .parent = chooser->count};
    map_set(&chooser->number, buffer, (void *)(intptr_t)(chooser->count + 1));
    return chooser->count++;
}

static int64_t weight_of(Ir *ir, Type type)
{
    int64_t elements;
    return const_is_int(type_elements(ir, type), &elements) ? elements : 1 << 20;
}

static void vote(Chooser *chooser, Node *buffer, int dim, int64_t times)
{
    const int group = group_of(chooser, buffer);
    if (group >= 0)
        chooser->groups[group].votes[dim] += weight_of(chooser->ir, buffer->type) * times;
}

static void tie(Chooser *chooser, Node *a, Node *b)
{
    const int left = group_of(chooser, a), right = group_of(chooser, b);
    if (left < 0 || right < 0 || left == right)
        return;
    for (int i = 0; i < DIMS_MAX; i++)
        chooser->groups[left].votes[i] += chooser->groups[right].votes[i];
    chooser->groups[right].parent = left;
}

/* Does `at` keep positions: is each of its indices made of the axis of the same place alone? Then both like the same
 * order. */
static bool keeps_positions(Ir *ir, const Node *stage, Node *at)
{
    if (at->inputs[0]->type.rank != stage_buffer(stage)->type.rank)
        return false;
    for (int i = 0; i < at->inputs[0]->type.rank; i++)
        for (int j = 0; j < stage->axis_count; j++) {
            const bool own = node_depends(ir, stage_indices(stage)[i], stage->axes[j]);
            if (!own && node_depends(ir, at->inputs[i + 1], stage->axes[j]))
                return false;
        }
    return true;
}

static void tie_stage(Chooser *chooser, const Node *stage, const Node *contract)
{
    Ir *const ir = chooser->ir;
    Node *value = stage_value(stage);
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_at && !(contract && node_depends(ir, (Node *)contract, nodes[i])) &&
            keeps_positions(ir, stage, nodes[i]))
            tie(chooser, stage_buffer(stage), nodes[i]->inputs[0]);
}

/* The dim of `at` whose index is `axis` with factor 1; -1 when there is none. */
static int dim_along(Ir *ir, Node *at, Node *axis)
{
    for (uint32_t i = 1; i < at->input_count; i++) {
        if (index_has_unit(ir, at->inputs[i], axis, NULL))
            return (int)i - 1;
    }
    return -1;
}

static void vote_operand(Chooser *chooser, Node *operand, Node *axis)
{
    int count;
    Node **const nodes = nodes_topological(chooser->ir, &operand, 1, &count);
    for (int i = 0; i < count; i++) {
        const int dim = nodes[i]->op == OP_at ? dim_along(chooser->ir, nodes[i], axis) : -1;
        if (dim >= 0)
            vote(chooser, nodes[i]->inputs[0], dim, 1);
    }
}

static void vote_contract(Chooser *chooser, const ContractRoles *roles)
{
    const Node *const stage = roles->stage;
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        if (stage_indices(stage)[i] == roles->n)
            vote(chooser, stage_buffer(stage), i, 2);
    Node *last = NULL;
    for (int i = 0; i < roles->contract->axis_count; i++)
        if (!index_is(roles->contract->axes[i]->inputs[0], 1))
            last = roles->contract->axes[i];
    if (last)
        vote_operand(chooser, roles->a, last);
    vote_operand(chooser, roles->b, roles->n);
}

/* The weight in this layout. One that several kernels read in different ways gets a copy per way. */
static Node *lay_out_weight(Chooser *chooser, Node *kernel, Node *weight, const Layout *layout)
{
    Buffer *const buffer = weight->payload.buffer;
    if (buffer->layout.count == layout->count &&
        memcmp(buffer->layout.entries, layout->entries, (size_t)layout->count * sizeof *layout->entries) == 0)
        return kernel;
    if (!pass_decide(chooser->context))
        return kernel;
    if (buffer->layout.count == 0 && access_of(&chooser->accesses, weight).readers == 1) {
        buffer->layout = *layout;
        return kernel;
    }
    Buffer copy = *buffer;
    copy.layout = *layout;
    NodeMap replacement;
    map_open(&replacement, chooser->ir->arena);
    map_set(&replacement, weight, buffer_make(chooser->ir, weight->type, &copy));
    return kernel_replace_buffers(chooser->ir, kernel, &replacement);
}

static void fix_order(Chooser *chooser)
{
    for (int i = 0; i < chooser->module->body->count; i++) {
        const Node *const kernel = chooser->module->body->nodes[i];
        const int buffers = kernel_is_procedure(kernel) ? kernel_buffer_count(kernel) : 0;
        for (int j = 0; j < buffers; j++)
            map_set(&chooser->fixed, kernel->inputs[j], kernel->inputs[j]);
    }
}

static Layout with_innermost(int rank, int innermost)
{
    Layout layout = {0};
    for (int i = 0; i < rank; i++)
        if (i != innermost)
            layout.entries[layout.count++] = (LayoutEntry){(uint8_t)i, PART_WHOLE, 0};
    layout.entries[layout.count++] = (LayoutEntry){(uint8_t)innermost, PART_WHOLE, 0};
    return layout;
}

/* Weights of kernels that are no contraction (depthwise filters): along the axis that results are stored in vectors. */
static Node *lay_out_other_weights(Chooser *chooser, Node *kernel)
{
    Ir *const ir = chooser->ir;
    if (kernel_stages(kernel)->count != 1)
        return kernel;
    const Node *const stage = kernel_stages(kernel)->nodes[0];
    Node *const offset = stage_offset(ir, stage);
    Node *lane = NULL, *value = stage_value(stage);
    for (int i = 0; i < stage->axis_count; i++) {
        if (index_has_unit(ir, offset, stage->axes[i], NULL) && !index_is(stage->axes[i]->inputs[0], 1))
            lane = stage->axes[i];
    }
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count && lane; i++) {
        Node *const weight = nodes[i]->op == OP_at ? nodes[i]->inputs[0] : NULL;
        if (!weight || weight->payload.buffer->place != PLACE_WEIGHT || weight->payload.buffer->layout.count ||
            weight->type.rank < 2)
            continue;
        const int dim = dim_along(ir, nodes[i], lane);
        if (dim < 0 || dim == weight->type.rank - 1)
            continue;
        const Layout layout = with_innermost(weight->type.rank, dim);
        kernel = lay_out_weight(chooser, kernel, weight, &layout);
    }
    return kernel;
}

static void apply_votes(Chooser *chooser)
{
    for (int i = 0; i < chooser->count; i++) {
        const Group *const group = &chooser->groups[find(chooser, i)];
        Node *const buffer = chooser->groups[i].buffer;
        const int rank = buffer->type.rank;
        int best = rank - 1;
        for (int dim = rank - 1; dim >= 0; dim--)
            if (group->votes[dim] > group->votes[best])
                best = dim;
        if (best != rank - 1 && pass_decide(chooser->context))
            buffer->payload.buffer->layout = with_innermost(rank, best);
    }
}

/* ---- copies that a permutation of the source makes free ---- */

static bool next_permutation(int *order, int count)
{
    int i = count - 2;
    while (i >= 0 && order[i] > order[i + 1])
        i--;
    if (i < 0)
        return false;
    int j = count - 1;
    while (order[j] < order[i])
        j--;
    const int swap = order[i];
    order[i] = order[j];
    order[j] = swap;
    for (int low = i + 1, high = count - 1; low < high; low++, high--) {
        const int other = order[low];
        order[low] = order[high];
        order[high] = other;
    }
    return true;
}

/* A copy y = x(...) whose offsets agree under some order of x's axes: x takes that order and the copy will be an alias.
 */
static void free_copy(Chooser *chooser, const Node *kernel)
{
    Ir *const ir = chooser->ir;
    if (kernel_stages(kernel)->count != 1)
        return;
    const Node *const stage = kernel_stages(kernel)->nodes[0];
    Node *const at = stage_value(stage);
    if (at->op != OP_at || at->type.dtype != stage_buffer(stage)->type.dtype)
        return;
    Node *const source = at->inputs[0];
    const int rank = source->type.rank, group = group_of(chooser, source);
    if (group < 0 || rank > 5 || source->payload.buffer->layout.count ||
        layout_elements(ir, source) != layout_elements(ir, stage_buffer(stage)))
        return;
    Node *const wanted = stage_offset(ir, stage);
    if (layout_offset(ir, source, at->inputs + 1) == wanted)
        return;
    int order[DIMS_MAX];
    for (int i = 0; i < rank; i++)
        order[i] = i;
    while (next_permutation(order, rank)) {
        Layout layout = {.count = rank};
        for (int i = 0; i < rank; i++)
            layout.entries[i] = (LayoutEntry){(uint8_t)order[i], PART_WHOLE, 0};
        source->payload.buffer->layout = layout;
        if (layout_offset(ir, source, at->inputs + 1) == wanted && pass_decide(chooser->context))
            return;
    }
    source->payload.buffer->layout = (Layout){0};
}

/* Is the weight what `tame` says (ir.h)? `last`: the dim of the last reduced axis. */
static bool is_tame(const Type type, const Constant *constant, int last)
{
    int64_t dims[RANK_MAX], outer = 1, inner = 1;
    if (type.dtype != DTYPE_F32 || !constant)
        return false;
    for (int i = 0; i < type.rank; i++) {
        if (!const_is_int(type.dims[i], &dims[i]))
            return false;
        outer *= i < last ? dims[i] : 1;
        inner *= i > last ? dims[i] : 1;
    }
    for (int64_t i = 0; i < outer * inner; i++) {
        uint32_t negative = 1;
        for (int64_t k = 0; k < dims[last]; k++) {
            uint32_t bits;
            const int64_t at = constant->splat ? 0 : (i / inner * dims[last] + k) * inner + i % inner;
            memcpy(&bits, (const char *)constant->data + at * (int64_t)sizeof bits, sizeof bits);
            if ((bits & 0x7f800000u) == 0x7f800000u)
                return false;
            negative &= bits >> 31;
        }
        if (negative)
            return false;
    }
    return true;
}

/* Weights that padded windows multiply with: schedules may leave out what lies in the border. */
static void mark_tame(const ContractRoles *roles)
{
    const Node *const weight = roles->weight;
    if (!weight || roles->a->op != OP_guard || roles->contract->axis_count < 2)
        return;
    Buffer *const buffer = weight->payload.buffer;
    const int count = buffer->layout.count;
    if (count > 2 && buffer->layout.entries[count - 1].part == PART_INNER)
        buffer->tame = is_tame(weight->type, buffer->constant, buffer->layout.entries[count - 2].axis);
}

/* Panels, unless there is no room for the zeros that fill the last one. */
static Node *lay_out_columns(Chooser *chooser, Node *kernel, const ContractRoles *roles)
{
    const TargetMachineInfo *const target = chooser->context->compilation->target;
    const bool bare = target && target->family->system == SYSTEM_FREESTANDING;
    int64_t columns = PANEL;
    const_is_int(roles->columns, &columns);
    if (!roles->weight || (roles->weight_has_others && ((target && target->gpu) || columns < PANEL / 2)))
        return kernel; /* what GPUs do not read so, or would be mostly padding */
    const Layout layout = bare ? columns_layout(roles) : panel_layout(roles);
    return lay_out_weight(chooser, kernel, roles->weight, &layout);
}

/* Weights that the stages of a kernel multiply with. */
static Node *lay_out_stages(Chooser *chooser, Node *kernel)
{
    for (int i = 0; i < kernel_stages(kernel)->count; i++) {
        ContractRoles roles;
        if (contract_match_stage(chooser->ir, kernel_stages(kernel)->nodes[i], 0, &roles))
            kernel = lay_out_columns(chooser, kernel, &roles);
    }
    return kernel;
}

/* A local buffer stands row-major: what is copied into it, or out of it, likes the axis that is innermost there. */
static void vote_local(Chooser *chooser, const Node *stage)
{
    Ir *const ir = chooser->ir;
    Node *value = stage_value(stage);
    const Node *const target = stage_buffer(stage);
    const int rank = target->type.rank;
    if (is_local(target) && rank > 1 && stage_indices(stage)[rank - 1]->op == OP_axis)
        vote_operand(chooser, value, stage_indices(stage)[rank - 1]);
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op != OP_at || !is_local(nodes[i]->inputs[0]) || nodes[i]->input_count < 3)
            continue;
        const Node *const last = nodes[i]->inputs[nodes[i]->input_count - 1];
        for (int d = 0; d < rank; d++)
            if (stage_indices(stage)[d] == last && last->op == OP_axis)
                vote(chooser, stage_buffer(stage), d, 1);
    }
}

/* A result of the graph stands row-major: what is read several times for it likes the axis that is innermost there, as
 * often as it is read. */
static void vote_output(Chooser *chooser, const Node *stage)
{
    Ir *const ir = chooser->ir;
    Node *value = stage_value(stage);
    const Node *const target = stage_buffer(stage);
    const int rank = target->type.rank;
    int64_t points;
    if (target->payload.buffer->place != PLACE_OUTPUT || rank < 2 || stage_indices(stage)[rank - 1]->op != OP_axis ||
        !const_is_int(axes_points(ir, stage->axes, stage->axis_count), &points))
        return;
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++) {
        const int dim = nodes[i]->op == OP_at ? dim_along(ir, nodes[i], stage_indices(stage)[rank - 1]) : -1;
        const int64_t elements = dim >= 0 ? weight_of(ir, nodes[i]->inputs[0]->type) : 0;
        if (elements > 0 && points >= 2 * elements)
            vote(chooser, nodes[i]->inputs[0], dim, points / elements);
    }
}

/* Products of floats, or of bytes where the machine makes those in fours. */
static bool match(const Chooser *chooser, const Node *kernel, ContractRoles *roles)
{
    const TargetMachineInfo *const target = chooser->context->compilation->target;
    ByteRoles bytes;
    if (contract_match(chooser->ir, kernel, roles))
        return true;
    if (!target || !target->dots || !contract_match_bytes(chooser->ir, kernel, &bytes))
        return false;
    *roles = bytes.roles;
    return true;
}

bool pass_layout(PassContext *context)
{
    Ir *const ir = context->compilation->ir;
    Module *const module = context->compilation->module;
    Chooser chooser = {.context = context, .ir = ir, .module = module, .accesses = accesses_of(ir, module->body)};
    map_open(&chooser.number, ir->arena);
    map_open(&chooser.fixed, ir->arena);
    fix_order(&chooser);
    for (int i = 0; i < module->body->count; i++) {
        ContractRoles roles;
        const bool matched = match(&chooser, module->body->nodes[i], &roles);
        for (int j = 0; j < kernel_stages(module->body->nodes[i])->count; j++)
            tie_stage(&chooser, kernel_stages(module->body->nodes[i])->nodes[j], matched ? roles.contract : NULL);
        if (matched)
            vote_contract(&chooser, &roles);
        for (int j = 0; j < kernel_stages(module->body->nodes[i])->count; j++)
            vote_local(&chooser, kernel_stages(module->body->nodes[i])->nodes[j]);
        for (int j = 0; !matched && j < kernel_stages(module->body->nodes[i])->count; j++)
            vote_output(&chooser, kernel_stages(module->body->nodes[i])->nodes[j]);
    }
    apply_votes(&chooser);
    Block *const body = block_make(ir);
    for (int i = 0; i < module->body->count; i++) {
        ContractRoles roles;
        Node *kernel = module->body->nodes[i];
        if (match(&chooser, kernel, &roles)) {
            kernel = lay_out_columns(&chooser, kernel, &roles);
            if (match(&chooser, kernel, &roles))
                mark_tame(&roles);
        } else if (kernel_stages(kernel)->count > 1 || kernel_has_steps(kernel)) {
            kernel = lay_out_stages(&chooser, kernel);
        } else {
            kernel = lay_out_other_weights(&chooser, kernel);
        }
        free_copy(&chooser, kernel);
        block_append(ir, body, kernel);
    }
    module->body = body;
    return true;
}
