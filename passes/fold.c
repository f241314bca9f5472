/* Kernels that read only constants run now, on the interpreter; their results become constants.
 *
 * Only results up to 64 KiB or no larger than what is read are folded, so that a model's weights never grow, and only
 * within a limit of work. A buffer of several pieces is folded when every kernel that writes it can be; each piece is
 * weighed by itself. */
#include "ir/interpret.h"
#include "ir/loops.h"
#include "ir/procedure.h"
#include "passes/access.h"
#include "passes/pass.h"

enum { SMALL = 64 << 10, WORK_LIMIT = 1 << 28, ROW = 1024 };
/* Of one value, and of all together: models that fold without end are compiled unfolded. */
static const int64_t WORK_TOTAL = INT64_C(1) << 32;

typedef struct Folder {
    PassContext *context;
    Ir *ir;
    Module *module;
    NodeMap writers;  /* target -> kernels that write it */
    NodeMap foldable; /* target -> kernels of them that could be folded */
    NodeMap constant; /* target -> weight buffer that replaces it */
    NodeMap first;    /* target -> 1 + index of its first kernel */
    int64_t work;     /* done so far */
} Folder;

static bool tensor_bytes(Ir *ir, Node *buffer, int64_t *bytes)
{
    int64_t elements;
    if (!const_is_int(layout_elements(ir, buffer), &elements) || elements < 0 || elements > (int64_t)1 << 40)
        return false;
    *bytes = (elements * dtype_info[buffer->type.dtype].bits + 7) / 8;
    return true;
}

static bool is_constant(const Folder *folder, Node *buffer)
{
    return buffer->payload.buffer->place == PLACE_WEIGHT ||
           (map_has(&folder->foldable, buffer) &&
            map_get(&folder->foldable, buffer) == map_get(&folder->writers, buffer));
}

/* Bytes that the kernel's one stage writes: of a result in pieces, its piece. */
static int64_t written_bytes(Ir *ir, const Node *kernel, int64_t whole)
{
    const Node *const stage = kernel_stages(kernel)->nodes[0];
    const int bits = dtype_info[stage_buffer(stage)->type.dtype].bits;
    int64_t points;
    if (!const_is_int(axes_points(ir, stage->axes, stage->axis_count), &points) || points > whole)
        return whole;
    return (points * bits + 7) / 8 < whole ? (points * bits + 7) / 8 : whole;
}

static bool can_fold(const Folder *folder, Node *kernel)
{
    Ir *const ir = folder->ir;
    Node *const target = stage_buffer(kernel_stages(kernel)->nodes[0]);
    int64_t size, read_size = 0, bytes;
    int reads;
    if (kernel_stages(kernel)->count != 1 || target->payload.buffer->place != PLACE_TEMP ||
        !tensor_bytes(ir, target, &size))
        return false;
    if (kernel_buffer_count(kernel) != (int)kernel->input_count)
        return false; /* symbols: not known yet */
    Node **const read = kernel_reads(ir, kernel, &reads);
    for (int i = 0; i < reads; i++) {
        if (!is_constant(folder, read[i]) || !tensor_bytes(ir, read[i], &bytes))
            return false;
        read_size += bytes;
    }
    return size <= SMALL || written_bytes(ir, kernel, size) <= read_size;
}

static void count(NodeMap *map, Node *target)
{
    map_set(map, target, (void *)((intptr_t)map_get(map, target) + 1));
}

/* What the kernel writes, when its meaning are stages. */
static Node *target_of(const Node *kernel)
{
    if (kernel_is_procedure(kernel) || kernel_stages(kernel)->count != 1)
        return NULL;
    return stage_buffer(kernel_stages(kernel)->nodes[0]);
}

/* Runs the kernels that write `target` and gives the weight buffer of the result; NULL when the interpreter gave up. */
static Node *run(Folder *folder, Node *target, Node *const *kernels, int kernel_count)
{
    Ir *const ir = folder->ir;
    Module part = {.name = "fold", .body = block_make(ir), .output_count = 1, .outputs = &target};
    const LoopsSchedule schedule = {.lanes = ROW, .any_tail = true};
    for (int i = 0; i < kernel_count; i++)
        block_append(ir, part.body, loops_schedule(ir, kernels[i], &schedule));
    int64_t bytes;
    if (!tensor_bytes(ir, target, &bytes))
        return NULL;
    const Memory memory = {arena_alloc(ir->arena, (size_t)bytes + 64), (uint64_t)bytes};
    const RunOptions options = {.work_limit = WORK_LIMIT, .work_done = &folder->work};
    int32_t error = 0;
    if (interpret_module(ir, &part, NULL, &memory, NULL, 0, &options, &error) != INTERPRET_OK || error)
        return NULL;
    Constant *const constant = NEW(ir->arena, Constant);
    *constant = (Constant){.data = memory.data, .bytes = (uint64_t)bytes, .name = target->payload.buffer->name};
    const Buffer buffer = {.name = constant->name, .place = PLACE_WEIGHT, .constant = constant};
    return buffer_make(ir, target->type, &buffer);
}

static void fold_target(Folder *folder, Node *target, int last)
{
    Ir *const ir = folder->ir;
    const int first = (int)(intptr_t)map_get(&folder->first, target) - 1; /* pieces may be far apart */
    const intptr_t writers = (intptr_t)map_get(&folder->writers, target);
    Node **const kernels = NEW_ARRAY(ir->arena, Node *, (size_t)writers + 1);
    int kernel_count = 0;
    for (int i = first; i <= last; i++) {
        Node *const kernel = folder->module->body->nodes[i];
        if (target_of(kernel) == target)
            kernels[kernel_count++] = kernel_replace_buffers(ir, kernel, &folder->constant);
    }
    Diagnostics *const reported = ir->diagnostics;
    ir->diagnostics = diagnostics_open(ir->arena); /* an interpreter that gives up is no error of the model */
    Node *const weight = run(folder, target, kernels, kernel_count);
    ir->diagnostics = reported;
    if (weight)
        map_set(&folder->constant, target, weight);
    else
        map_set(&folder->foldable, target, (void *)(intptr_t)-1);
}

bool pass_fold(PassContext *context)
{
    Ir *const ir = context->compilation->ir;
    Module *const module = context->compilation->module;
    Folder folder = {.context = context, .ir = ir, .module = module};
    map_open(&folder.writers, ir->arena);
    map_open(&folder.foldable, ir->arena);
    map_open(&folder.constant, ir->arena);
    map_open(&folder.first, ir->arena);
    for (int i = 0; i < module->body->count; i++) {
        int targets;
        Node **const target = kernel_targets(ir, module->body->nodes[i], &targets);
        for (int j = 0; j < targets; j++)
            count(&folder.writers, target[j]);
    }
    NodeMap seen; /* target -> its kernels met so far */
    map_open(&seen, ir->arena);
    for (int i = 0; i < module->body->count; i++) {
        Node *const kernel = module->body->nodes[i];
        Node *const target = target_of(kernel);
        if (!target)
            continue;
        count(&seen, target);
        if (!map_has(&folder.first, target))
            map_set(&folder.first, target, (void *)(intptr_t)(i + 1));
        if (can_fold(&folder, kernel))
            count(&folder.foldable, target);
        if (map_get(&seen, target) != map_get(&folder.writers, target) ||
            map_get(&folder.foldable, target) != map_get(&folder.writers, target))
            continue;
        if (folder.work < WORK_TOTAL && pass_decide(context))
            fold_target(&folder, target, i);
        else
            map_set(&folder.foldable, target, (void *)(intptr_t)-1);
    }
    Block *const body = block_make(ir);
    for (int i = 0; i < module->body->count; i++)
        if (!target_of(module->body->nodes[i]) || !map_has(&folder.constant, target_of(module->body->nodes[i])))
            block_append(ir, body, kernel_replace_buffers(ir, module->body->nodes[i], &folder.constant));
    module->body = body;
    return true;
}
