/* Concatenations that begin alike share memory: where the parts of one buffer are the first parts of a longer one, what
 * reads the shorter reads the longer instead, and every part is copied once, as early as the shorter one had it. Of a
 * dense block, whose layers read all results so far, one buffer is left, into which the layers then write directly. */
#include "ir/kernel.h"
#include "ir/procedure.h"
#include "passes/access.h"
#include "passes/pass.h"

/* A buffer that plain copies alone make, each into a box of its own. */
typedef struct Assembly {
    Node *buffer;
    Node **sources, **offsets; /* of the parts in order; where they begin along `axis` */
    int *kernels;              /* numbers */
    int count, capacity;
    int axis;    /* -1: not yet known */
    bool usable; /* nothing but parts writes it, no procedure reads it */
    int whole;   /* the longest assembly that begins with this one; -1: none */
    bool *moved; /* parts that were copied in place of a shorter assembly's */
} Assembly;

typedef struct Viewer {
    PassContext *context;
    Ir *ir;
    Block *body;
    Assembly *assemblies;
    int count;
    NodeMap number; /* buffer -> 1 + index of its assembly */
} Viewer;

/* The only stage of a kernel that copies a buffer from its first element to its last; NULL: it does something else. */
static const Node *copy_of_whole(const Node *kernel)
{
    if (kernel_is_procedure(kernel) || kernel_stages(kernel)->count != 1 || kernel_has_order(kernel))
        return NULL;
    const Node *const stage = kernel_stages(kernel)->nodes[0], *const value = stage_value(stage);
    if (value->op != OP_at || value->type.dtype != stage_buffer(stage)->type.dtype ||
        stage_buffer(stage)->payload.buffer->place != PLACE_TEMP || value->inputs[0]->type.rank != stage->axis_count ||
        stage_buffer(stage)->type.rank != stage->axis_count)
        return NULL;
    for (int i = 0; i < stage->axis_count; i++)
        if (value->inputs[i + 1] != stage->axes[i] || stage->axes[i]->inputs[0] != value->inputs[0]->type.dims[i])
            return NULL;
    return stage;
}

/* Where the copy begins along the one axis that it is moved on; NULL: several, or another order. */
static Node *part_offset(Ir *ir, const Node *stage, int *axis)
{
    Node *offset = index_const(ir, 0);
    for (int i = 0; i < stage->axis_count; i++) {
        Node *rest;
        if (!index_has_unit(ir, stage_indices(stage)[i], stage->axes[i], &rest) ||
            node_depends_on_any(ir, rest, stage->axes, stage->axis_count))
            return NULL;
        if (index_is(rest, 0))
            continue;
        if (!index_is(offset, 0) || (*axis >= 0 && *axis != i))
            return NULL;
        *axis = i;
        offset = rest;
    }
    return offset;
}

static Assembly *assembly_of(Viewer *viewer, Node *buffer)
{
    const intptr_t known = (intptr_t)map_get(&viewer->number, buffer);
    if (known)
        return &viewer->assemblies[known - 1];
    Assembly *const made = &viewer->assemblies[viewer->count++];
    *made = (Assembly){.buffer = buffer, .axis = -1, .usable = true, .whole = -1};
    map_set(&viewer->number, buffer, (void *)(intptr_t)viewer->count);
    return made;
}

static void add_part(Viewer *viewer, Assembly *assembly, Node *source, Node *offset, int kernel)
{
    Arena *const arena = viewer->ir->arena;
    if (assembly->count == assembly->capacity) {
        const int more = assembly->capacity ? 2 * assembly->capacity : 4;
        Node **const sources = NEW_ARRAY(arena, Node *, (size_t)more),
                     **const offsets = NEW_ARRAY(arena, Node *, (size_t)more);
        int *const kernels = NEW_ARRAY(arena, int, (size_t)more);
        for (int i = 0; i < assembly->count; i++) {
            sources[i] = assembly->sources[i];
            offsets[i] = assembly->offsets[i];
            kernels[i] = assembly->kernels[i];
        }
        assembly->sources = sources;
        assembly->offsets = offsets;
        assembly->kernels = kernels;
        assembly->capacity = more;
    }
    assembly->sources[assembly->count] = source;
    assembly->offsets[assembly->count] = offset;
    assembly->kernels[assembly->count++] = kernel;
}

static void find_assemblies(Viewer *viewer)
{
    for (int i = 0; i < viewer->body->count; i++) {
        Node *const kernel = viewer->body->nodes[i];
        const Node *const stage = copy_of_whole(kernel);
        int count;
        Node **const targets = kernel_targets(viewer->ir, kernel, &count);
        for (int j = 0; j < count; j++) {
            Assembly *const assembly = assembly_of(viewer, targets[j]);
            Node *const offset = stage ? part_offset(viewer->ir, stage, &assembly->axis) : NULL;
            if (offset)
                add_part(viewer, assembly, stage_value(stage)->inputs[0], offset, i);
            else
                assembly->usable = false;
        }
    }
}

static void exclude_procedures(Viewer *viewer)
{
    for (int i = 0; i < viewer->body->count; i++) {
        int count;
        Node **const reads = kernel_reads(viewer->ir, viewer->body->nodes[i], &count);
        for (int j = 0; kernel_is_procedure(viewer->body->nodes[i]) && j < count; j++)
            assembly_of(viewer, reads[j])->usable = false;
    }
}

/* Is `part` what `whole` begins with? */
static bool begins_with(const Assembly *whole, const Assembly *part)
{
    if (!whole->usable || whole->count <= part->count || whole->axis != part->axis ||
        whole->buffer->type.dtype != part->buffer->type.dtype || whole->buffer->type.rank != part->buffer->type.rank)
        return false;
    for (int i = 0; i < part->buffer->type.rank; i++)
        if (i != part->axis && whole->buffer->type.dims[i] != part->buffer->type.dims[i])
            return false;
    for (int i = 0; i < part->count; i++)
        if (whole->sources[i] != part->sources[i] || whole->offsets[i] != part->offsets[i])
            return false;
    return true;
}

/* For each assembly of several parts the longest that begins with it; those of one first source are compared. */
static bool find_wholes(Viewer *viewer)
{
    Arena *const arena = viewer->ir->arena;
    NodeMap last; /* first source -> 1 + the assembly seen last */
    int *const before = NEW_ARRAY(arena, int, (size_t)viewer->count + 1);
    bool found = false;
    map_open(&last, arena);
    for (int i = 0; i < viewer->count; i++) {
        Assembly *const whole = &viewer->assemblies[i];
        if (!whole->usable || whole->count < 2)
            continue;
        before[i] = (int)(intptr_t)map_get(&last, whole->sources[0]) - 1;
        map_set(&last, whole->sources[0], (void *)(intptr_t)(i + 1));
        for (int j = before[i]; j >= 0; j = before[j]) {
            Assembly *const part = &viewer->assemblies[j];
            const bool longer = part->whole < 0 || viewer->assemblies[part->whole].count < whole->count;
            if (!longer || !begins_with(whole, part))
                continue;
            if (part->whole < 0 && !pass_decide(viewer->context))
                continue;
            part->whole = i;
            found = true;
        }
    }
    return found;
}

/* The end of the chain: every buffer of it begins with the part. */
static Assembly *longest(const Viewer *viewer, Assembly *assembly)
{
    while (assembly->whole >= 0)
        assembly = &viewer->assemblies[assembly->whole];
    return assembly;
}

/* The kernel that stands at place `number` of the module from now on: itself, the same part's copy into the longest
 * assembly, or NULL, when that was made before. */
static Node *kernel_now(Viewer *viewer, int number)
{
    Node *const kernel = viewer->body->nodes[number];
    const Node *const stage = copy_of_whole(kernel);
    Assembly *const assembly = stage ? assembly_of(viewer, stage_buffer(stage)) : NULL;
    if (!assembly || !assembly->usable || assembly->count < 2)
        return kernel;
    Assembly *const whole = longest(viewer, assembly);
    int part = 0;
    while (assembly->kernels[part] != number)
        part++;
    if (!whole->moved)
        whole->moved = NEW_ARRAY(viewer->ir->arena, bool, (size_t)whole->count);
    if (whole->moved[part])
        return NULL;
    whole->moved[part] = true;
    return viewer->body->nodes[whole->kernels[part]];
}

bool pass_view(PassContext *context)
{
    Ir *const ir = context->compilation->ir;
    Module *const module = context->compilation->module;
    Viewer viewer = {.context = context, .ir = ir, .body = module->body};
    size_t most = 0;
    for (int i = 0; i < module->body->count; i++)
        most += module->body->nodes[i]->input_count;
    viewer.assemblies = NEW_ARRAY(ir->arena, Assembly, most + 1);
    map_open(&viewer.number, ir->arena);
    find_assemblies(&viewer);
    exclude_procedures(&viewer);
    if (!find_wholes(&viewer))
        return true;
    NodeMap replaced;
    map_open(&replaced, ir->arena);
    for (int i = 0; i < viewer.count; i++)
        if (viewer.assemblies[i].whole >= 0)
            map_set(&replaced, viewer.assemblies[i].buffer, longest(&viewer, &viewer.assemblies[i])->buffer);
    Block *const body = block_make(ir);
    for (int i = 0; i < module->body->count; i++) {
        Node *const kernel = kernel_now(&viewer, i);
        if (kernel)
            block_append(ir, body, kernel_replace_buffers(ir, kernel, &replaced));
    }
    module->body = body;
    return true;
}
