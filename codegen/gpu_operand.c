/* Tiles of operands on their way from memory to shared memory: see gpu_contract.h.
 *
 * Copies are dealt out to the threads one after the other, neighbouring threads next to each other in memory. */
#include "codegen/gpu_contract.h"

#include "codegen/gpu_build.h"
#include "ir/kernel.h"
#include "ir/loops.h"

/* The memory behind an operand that is nothing but an element, or 0 where a condition does not hold. */
typedef struct Source {
    Node *at, *condition;
} Source;

static Source source_of(Node *value)
{
    if (value->op == OP_at)
        return (Source){value, NULL};
    return (Source){value->inputs[1], value->inputs[0]};
}

/* Which lines and k one copy of a thread brings, relative to the tile. */
typedef struct Spot {
    Node *line, *k, *inside; /* inside: NULL when every thread has a copy */
} Spot;

static int64_t copies_of(const GpuContract *c, const GpuOperand *o)
{
    return (int64_t)o->tile * c->tile.depth / o->lanes;
}

static int rounds_of(const GpuContract *c, const GpuOperand *o)
{
    return (int)((copies_of(c, o) + c->threads - 1) / c->threads);
}

/* number = (outer * middle + m) * inner + i: i, m and outer. */
static void split(Ir *ir, Node *number, int64_t inner, int64_t middle, Node *digits[3])
{
    Node *const above = index_floordiv(ir, number, index_const(ir, inner));
    digits[0] = index_mod(ir, number, index_const(ir, inner));
    digits[1] = index_mod(ir, above, index_const(ir, middle));
    digits[2] = index_floordiv(ir, above, index_const(ir, middle));
}

static Spot spot_of(const GpuContract *c, const GpuOperand *o, int round)
{
    Ir *const ir = c->ir;
    Node *const number = index_add(ir, c->thread, index_const(ir, (int64_t)round * c->threads));
    Node *const lanes = index_const(ir, o->lanes);
    Node *d[3];
    Spot spot = {.inside = NULL};
    if ((int64_t)(round + 1) * c->threads > copies_of(c, o))
        spot.inside = scalar2(ir, OP_lt, number, index_const(ir, copies_of(c, o)));
    if (o->panels) { /* a row of a panel, then the next k, then the next panel */
        split(ir, number, PANEL / o->lanes, c->tile.depth, d);
        spot.line = index_add(ir, index_mul(ir, d[2], index_const(ir, PANEL)), index_mul(ir, d[0], lanes));
        spot.k = d[1];
    } else if (o->along_k) {
        const int along = o->columns ? 1 : o->lanes;
        split(ir, number, c->tile.depth / along, o->tile, d);
        spot.k = index_mul(ir, d[0], index_const(ir, along));
        spot.line = d[1];
    } else {
        split(ir, number, o->tile / o->lanes, c->tile.depth, d);
        spot.line = index_mul(ir, d[0], lanes);
        spot.k = d[1];
    }
    return spot;
}

/* Element of shared memory. */
static Node *shared_offset(const GpuContract *c, const GpuOperand *o, Node *slot, Node *line, Node *k)
{
    Ir *const ir = c->ir;
    Node *const major = o->columns ? k : line, *const minor = o->columns ? line : k;
    const int64_t majors = o->columns ? c->tile.depth : o->tile;
    Node *const place = index_add(ir, index_mul(ir, major, index_const(ir, o->pitch)), minor);
    return index_add(ir, index_mul(ir, slot, index_const(ir, majors * o->pitch)), place);
}

/* `node`, an operand of the contraction, at one line and k of the matrix. */
static Node *at_place(const GpuContract *c, const GpuOperand *o, Node *node, Node *line, Node *k)
{
    Ir *const ir = c->ir;
    const Node *const contract = c->roles.contract;
    Node *digits[RANK_MAX];
    gpu_digits(ir, contract->axes, contract->axis_count, k, digits);
    node = node_substitute(ir, node, contract->axes, digits, contract->axis_count);
    gpu_digits(ir, o->axes, o->axis_count, line, digits);
    node = node_substitute(ir, node, o->axes, digits, o->axis_count);
    return node_substitute(ir, node, c->roles.batch, c->batch, c->roles.batch_count);
}

/* Position in the whole matrix, brought inside where tiles stand out: chunks end at its end. */
static Node *inside_of(Ir *ir, Node *position, Node *extent, int tile, int lanes)
{
    if (index_is(index_mod(ir, extent, index_const(ir, tile)), 0))
        return position;
    return index_min(ir, position, index_sub(ir, extent, index_const(ir, lanes)));
}

typedef struct From {
    Node *line, *k;
    Node *offset, *condition; /* of memory, where the operand is an element of it; condition: NULL when it always is */
} From;

static Node *both(Ir *ir, Node *a, Node *b)
{
    return a && b ? scalar2(ir, OP_and, a, b) : a ? a : b;
}

static From place_of(const GpuContract *c, const GpuOperand *o, const Spot *spot, Node *k_tile)
{
    Ir *const ir = c->ir;
    const int line_lanes = o->columns ? o->lanes : 1, k_lanes = o->columns ? 1 : o->lanes;
    Node *const k = index_add(ir, index_mul(ir, k_tile, index_const(ir, c->tile.depth)), spot->k);
    From place = {.offset = NULL};
    if (c->mma && !index_is(index_mod(ir, c->roles.depth, index_const(ir, c->tile.depth)), 0))
        place.condition = scalar2(ir, OP_lt, k, c->roles.depth);
    place.k = inside_of(ir, k, c->roles.depth, c->tile.depth, k_lanes);
    Node *const line = index_add(ir, o->first, spot->line), *const panel = index_const(ir, PANEL);
    if (o->panels) { /* panels are whole: columns behind the last are zeros */
        Node *const padded = index_mul(ir, index_ceildiv(ir, o->lines, panel), panel);
        place.line = inside_of(ir, line, padded, o->tile, line_lanes);
        Node *const number = index_floordiv(ir, place.line, panel);
        place.offset =
            index_add(ir, index_mul(ir, index_add(ir, index_mul(ir, number, c->roles.depth), place.k), panel),
                      index_mod(ir, place.line, panel));
        return place;
    }
    place.line = inside_of(ir, line, o->lines, o->tile, line_lanes);
    if (!o->async && o->lanes == 1)
        return place;
    const Source source = source_of(o->value);
    Node *const linear = read_offset(ir, source.at);
    place.offset = at_place(c, o, linear, place.line, place.k);
    if (source.condition)
        place.condition = both(ir, place.condition, at_place(c, o, source.condition, place.line, place.k));
    return place;
}

static Node *load_place(GpuContract *c, const GpuOperand *o, Node *buffer, const From *place)
{
    Ir *const ir = c->ir;
    const Type type = type_vector(buffer->type.dtype, o->lanes);
    Node *inputs[4] = {buffer, place->offset, NULL, NULL};
    if (place->condition) {
        inputs[2] = splat_make(ir, place->condition, o->lanes);
        inputs[3] = splat_make(ir, const_int(ir, type.dtype, 0), o->lanes);
    }
    return node_make(ir,
                     &(Node){.op = OP_load, .type = type, .inputs = inputs, .input_count = place->condition ? 4 : 2});
}

void operand_open(GpuContract *c, GpuOperand *o, Block *block)
{
    Ir *const ir = c->ir;
    for (int round = 0; round < rounds_of(c, o) && !o->async; round++)
        o->vars[round] = body_var(ir, block, splat_make(ir, const_int(ir, o->dtype, 0), o->lanes));
}

void operand_fetch(GpuContract *c, GpuOperand *o, Block *block, Node *k_tile, Node *slot)
{
    Ir *const ir = c->ir;
    Node *const buffer = o->panels                  ? c->roles.weight
                         : o->async || o->lanes > 1 ? source_of(o->value).at->inputs[0]
                                                    : NULL;
    for (int round = 0; round < rounds_of(c, o); round++) {
        const Spot spot = spot_of(c, o, round);
        const From place = place_of(c, o, &spot, k_tile);
        Block *const mine = spot.inside ? gpu_if(ir, block, spot.inside) : block;
        if (o->async) {
            Node *const inputs[] = {o->shared, shared_offset(c, o, slot, spot.line, spot.k), buffer, place.offset,
                                    place.condition};
            gpu_order(ir, mine, OP_copy_async, inputs, place.condition ? 5 : 4, o->lanes);
            continue;
        }
        StageEmitter emitter = stage_emitter(ir, c->kernel, mine);
        Node *value;
        if (place.offset) {
            From emitted = place;
            emitted.offset = stage_emit(&emitter, place.offset);
            emitted.condition = place.condition ? stage_emit(&emitter, place.condition) : NULL;
            value = load_place(c, o, buffer, &emitted);
        } else {
            value = at_place(c, o, o->value, place.line, place.k);
            if (place.condition)
                value = guard_make(ir, place.condition, value, const_int(ir, value->type.dtype, 0));
            value = stage_emit(&emitter, value);
        }
        body_set(ir, mine, o->vars[round], cast_make(ir, value, o->dtype));
    }
}

void operand_land(GpuContract *c, GpuOperand *o, Block *block, Node *slot)
{
    Ir *const ir = c->ir;
    for (int round = 0; round < rounds_of(c, o) && !o->async; round++) {
        const Spot spot = spot_of(c, o, round);
        Block *const mine = spot.inside ? gpu_if(ir, block, spot.inside) : block;
        gpu_store(ir, mine, o->shared, shared_offset(c, o, slot, spot.line, spot.k),
                  body_get(ir, mine, o->vars[round]));
    }
}

Node *operand_read(GpuContract *c, const GpuOperand *o, Block *block, Node *slot, Node *line, Node *k, int lanes)
{
    return gpu_read(c->ir, block, o->shared, shared_offset(c, o, slot, line, k), lanes);
}
