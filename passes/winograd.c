/* Winograd's minimal filtering for 3x3 convolutions with stride 1: a stage
 *
 *     Y[n,o,i,j] = epilogue(contract(p, q, c) x[n,c,i+p,j+q] * w[o,c,p,q])
 *
 * becomes a kernel that makes m x m outputs from a tile of s x s inputs, s = m + 2, with s*s products a channel instead
 * of 9*m*m:
 *
 *     half[xi,v,ti,tj,c]    = B^T along rows      a stage for each xi
 *     patch[xi,nu,ti,tj,c]  = B^T along columns   a stage for each nu
 *     sums[xi,nu,ti,tj,o]   = contract(c) patch[xi,nu,ti,tj,c] * U[xi,nu,c,o]
 *     part[a,nu,ti,tj,o]    = A^T along rows      a stage for each a < m
 *     Y[n,o,m*ti+a,m*tj+b]  = epilogue(A^T along columns)   a stage for each a and b < m
 *
 * U = G w G^T is a constant, computed here in f64 and rounded once; w itself is not needed any more. Tiles at the end
 * of rows and columns may be partial: what lies outside counts as 0, and Y has no points there. The order of channels
 * stays. Rounding differs from the direct sum's: docs/numerics.md says by how much, so the pass does nothing for --math
 * exact.
 *
 * A closed formula decides between F(2,3), F(4,3) and the direct sum (docs/decisions.md). */
#include "ir/kernel.h"
#include "ir/roles.h"
#include "passes/pass.h"

#include <math.h>
#include <string.h>

enum { TAPS = 3, POINTS_MAX = 6, OUTPUTS_MAX = 4, SPATIAL = 2 };
enum { SCRATCH_MAX = 256 << 20 }; /* of plain loops, which keep all tiles at once */

/* F(outputs, 3): how many points, and the matrices. B^T and A^T are functions that share sums. */
typedef struct Variant {
    int outputs, points;
    double filter[POINTS_MAX][TAPS];                  /* G */
    void (*input)(Ir *ir, Node *const *d, Node **w);  /* B^T d */
    void (*output)(Ir *ir, Node *const *m, Node **y); /* A^T m */
} Variant;

typedef struct Spatial {
    Node *out, *tap; /* an output axis and the reduced axis that goes with it: the operand knows only their sum */
    Node *position;  /* stands for the sum */
    int64_t extent, tiles;
} Spatial;

typedef struct Winograd {
    Ir *ir;
    ContractRoles roles;
    const Variant *variant;
    Spatial spatial[SPATIAL];  /* rows, columns */
    Node *batch;               /* the other output axis; NULL: there is none */
    Node *channel;             /* the reduced axis that is no tap */
    Node *operand;             /* over positions */
    int64_t channels, columns; /* extents of channel and of roles.n */
    Node *half, *patch, *sums, *part;
    int64_t scratch;
    Block *stages;
} Winograd;

/* ---- transforms ---- */

static Node *add(Ir *ir, Node *a, Node *b)
{
    return scalar2(ir, OP_add, a, b);
}

static Node *sub(Ir *ir, Node *a, Node *b)
{
    return scalar2(ir, OP_sub, a, b);
}

/* factor*a + b in one rounding */
static Node *fma_by(Ir *ir, double factor, Node *a, Node *b)
{
    return scalar3(ir, OP_fma, a, const_float(ir, DTYPE_F32, factor), b);
}

/* Points 0, 1, -1, infinity. */
static void input_2(Ir *ir, Node *const *d, Node **w)
{
    w[0] = sub(ir, d[0], d[2]);
    w[1] = add(ir, d[1], d[2]);
    w[2] = sub(ir, d[2], d[1]);
    w[3] = sub(ir, d[3], d[1]);
}

static void output_2(Ir *ir, Node *const *m, Node **y)
{
    y[0] = add(ir, m[0], add(ir, m[1], m[2]));
    y[1] = add(ir, sub(ir, m[1], m[2]), m[3]);
}

/* Points 0, 1, -1, 1/2, -2, infinity. Row i of B^T holds the coefficients of the product of (x - a) over the other
 * points; with q = x^2 + 3/2 x - 1 = (x - 1/2)(x + 2) and r = x^2 - 1 = (x - 1)(x + 1) the rows are
 * r q, x(x+1) q, x(x-1) q, x(x+2) r, x(x-1/2) r, x r q. */
static void input_4(Ir *ir, Node *const *d, Node **w)
{
    Node *q[4];
    for (int i = 0; i < 4; i++)
        q[i] = fma_by(ir, 1.5, d[i + 1], sub(ir, d[i + 2], d[i]));
    Node *const r1 = sub(ir, d[3], d[1]), *const r2 = sub(ir, d[4], d[2]);
    w[0] = sub(ir, q[2], q[0]);
    w[1] = add(ir, q[2], q[1]);
    w[2] = sub(ir, q[2], q[1]);
    w[3] = fma_by(ir, 2, r1, r2);
    w[4] = fma_by(ir, -0.5, r1, r2);
    w[5] = sub(ir, q[3], q[1]);
}

static void output_4(Ir *ir, Node *const *m, Node **y)
{
    Node *const sum = add(ir, m[1], m[2]), *const difference = sub(ir, m[1], m[2]);
    y[0] = add(ir, add(ir, m[0], sum), add(ir, m[3], m[4]));
    y[1] = fma_by(ir, -2, m[4], fma_by(ir, 0.5, m[3], difference));
    y[2] = fma_by(ir, 4, m[4], fma_by(ir, 0.25, m[3], sum));
    y[3] = add(ir, fma_by(ir, -8, m[4], fma_by(ir, 0.125, m[3], difference)), m[5]);
}

/* Row i of G: powers of the point over the product of its distances to the others. */
static const Variant variants[] = {
    {2, 4, {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}}, input_2, output_2},
    {4,
     6,
     {{1, 0, 0},
      {1.0 / 3, 1.0 / 3, 1.0 / 3},
      {-1.0 / 3, 1.0 / 3, -1.0 / 3},
      {-16.0 / 15, -8.0 / 15, -4.0 / 15},
      {1.0 / 15, -2.0 / 15, 4.0 / 15},
      {0, 0, 1}},
     input_4,
     output_4},
};

/* ---- match ---- */

/* Makes `axis` of the operand's reads `position` - out; true when nothing of `out` is left then. */
static bool closes(Winograd *w, Node *operand, Spatial *spatial)
{
    Ir *const ir = w->ir;
    Node *const sum = index_sub(ir, spatial->position, spatial->out);
    w->operand = node_substitute(ir, operand, &spatial->tap, (Node *const *)&sum, 1);
    return !node_depends(ir, w->operand, spatial->out) && !node_depends(ir, w->operand, spatial->tap);
}

/* Pairs each output axis of rows with the tap that moves with it. */
static bool find_spatial(Winograd *w)
{
    Ir *const ir = w->ir;
    const Node *const contract = w->roles.contract;
    Node *const zero = index_const(ir, 0);
    bool used[RANK_MAX] = {false};
    int found = 0;
    w->operand = w->roles.a;
    for (int i = 0; i < w->roles.m_count; i++) {
        Spatial spatial = {.out = w->roles.m[i]};
        Node *const before = w->operand;
        for (int k = 0; k < contract->axis_count && !spatial.tap && found < SPATIAL; k++) {
            spatial.tap = contract->axes[k];
            if (used[k] || !index_is(spatial.tap->inputs[0], TAPS) ||
                !const_is_int(spatial.out->inputs[0], &spatial.extent))
                spatial.tap = NULL;
            if (!spatial.tap)
                continue;
            spatial.position = axis_make(ir, "u", index_const(ir, spatial.extent + TAPS - 1));
            used[k] = closes(w, before, &spatial);
            spatial.tap = used[k] ? spatial.tap : NULL;
        }
        if (spatial.tap) {
            w->spatial[found++] = spatial;
            continue;
        }
        w->operand = before;
        if (w->batch)
            return false;
        w->batch = spatial.out;
    }
    for (int k = 0; k < contract->axis_count; k++) {
        if (used[k])
            continue;
        if (index_is(contract->axes[k]->inputs[0], 1))
            w->operand = node_substitute(ir, w->operand, &contract->axes[k], (Node *const *)&zero, 1);
        else if (w->channel)
            return false;
        else
            w->channel = contract->axes[k];
    }
    return found == SPATIAL && w->channel;
}

/* Does the operand hold arithmetic on elements alone? Checks and reductions are not for being repeated. */
static bool is_simple(Ir *ir, Node *operand)
{
    int count;
    Node **const nodes = nodes_topological(ir, &operand, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_fold || nodes[i]->op == OP_contract || nodes[i]->op == OP_bound)
            return false;
    return operand->type.dtype == DTYPE_F32;
}

/* Are the elements of the reads along `axis` neighbours in memory, where they move with it? */
static bool reads_neighbours(Ir *ir, Node *value, Node *axis)
{
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op == OP_at && node_depends(ir, nodes[i], axis) &&
            !index_has_unit(ir, read_offset(ir, nodes[i]), axis, NULL))
            return false;
    }
    return true;
}

static bool writes_neighbours(Ir *ir, const Node *stage, Node *axis)
{
    return index_has_unit(ir, stage_offset(ir, stage), axis, NULL);
}

/* Its indices are n, the channel, the taps, or 0. */
static bool weight_fits(const Winograd *w)
{
    const Node *const at = w->roles.b;
    const Constant *const constant = w->roles.weight->payload.buffer->constant;
    return at->op == OP_at && at->type.dtype == DTYPE_F32 && constant && constant->data && !w->roles.weight_has_others;
}

static bool match(Winograd *w, const Node *kernel)
{
    Ir *const ir = w->ir;
    return !kernel_has_order(kernel) && contract_match(ir, kernel, &w->roles) && w->roles.weight &&
           w->roles.batch_count == 0 && weight_fits(w) && find_spatial(w) && is_simple(ir, w->operand) &&
           const_is_int(w->channel->inputs[0], &w->channels) && const_is_int(w->roles.columns, &w->columns) &&
           reads_neighbours(ir, w->operand, w->channel) && writes_neighbours(ir, w->roles.stage, w->roles.n);
}

/* ---- choice ---- */

/* What was fitted to measurements of resnet18, squeezenet1_1 and densenet121: the share of the peak that products reach
 * and what each of them costs, in channels; cycles of a vector of channels or columns at one point; the share of L2 for
 * the points of a block; the share of the direct sum's time that pays for the larger weights. */
static const double product_share = 0.8, product_channels = 8, input_cycles = 4, output_cycles = 5, block_share = 0.4,
                    worth_share = 0.8;
enum { TILES_LEAST = 16, GROUP_WIDTH = 2 * PANEL };

static double product_cycles(const Winograd *w, const TargetMachineInfo *target, double products)
{
    const double rate = target->vector_bytes / 4.0 * target->multiplies_per_cycle * product_share;
    return products * (double)((w->channels + (int64_t)product_channels) * w->columns) / rate;
}

/* Of the weights, so many for each pair of channel and column: the first time they come from memory, for other layers
 * ran since, then from behind L2. */
static double stream_cycles(const Winograd *w, const TargetMachineInfo *target, double weights, double times)
{
    const double bytes = weights * (double)(w->channels * w->columns) * 4;
    return bytes / target->memory_bytes_per_cycle + bytes * (times - 1) / target->l3_bytes_per_cycle;
}

static double direct_cycles(const Winograd *w, const TargetMachineInfo *target)
{
    const double pixels = (double)(w->spatial[0].extent * w->spatial[1].extent);
    return product_cycles(w, target, TAPS * TAPS * pixels) + stream_cycles(w, target, TAPS * TAPS, 1);
}

static double variant_cycles(const Winograd *w, const TargetMachineInfo *target, const Variant *variant)
{
    const double points = variant->points * variant->points, lanes = target->vector_bytes / 4.0;
    double tiles = 1, times = 1;
    for (int i = 0; i < SPATIAL; i++)
        tiles *= (double)((w->spatial[i].extent + variant->outputs - 1) / variant->outputs);
    /* Weights that L2 does not keep are read once per block of tiles. */
    if (points * (double)(w->channels * w->columns) * 4 > (double)target->l2 / 2)
        times = ceil(points * tiles * (double)(w->channels + GROUP_WIDTH) * 4 / (block_share * (double)target->l2));
    return tiles < TILES_LEAST
               ? HUGE_VAL
               : product_cycles(w, target, points * tiles) + stream_cycles(w, target, points, times) +
                     points * tiles * ((double)w->channels * input_cycles + (double)w->columns * output_cycles) / lanes;
}

/* The cheapest; NULL: the direct sum. */
static const Variant *choose(const Winograd *w, const TargetMachineInfo *target)
{
    for (int i = 0; i < SPATIAL; i++)
        if (w->spatial[i].extent < OUTPUTS_MAX)
            return NULL;
    if (w->channels < PANEL || w->columns < PANEL)
        return NULL;
    double least = worth_share * direct_cycles(w, target);
    const Variant *best = NULL;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const double cycles = variant_cycles(w, target, &variants[i]);
        best = cycles < least ? &variants[i] : best;
        least = cycles < least ? cycles : least;
    }
    return best;
}

/* ---- the constant ---- */

/* How far the weight's elements are apart along an axis; they stand row-major, or there is one for all. */
static int64_t pitch_along(const Winograd *w, const Node *axis)
{
    const Node *const at = w->roles.b;
    int64_t pitch = w->roles.weight->payload.buffer->constant->splat ? 0 : 1, extent;
    for (uint32_t i = at->input_count - 1; i > 0; i--) {
        if (at->inputs[i] == axis)
            return pitch;
        const_is_int(at->inputs[0]->type.dims[i - 1], &extent);
        pitch *= extent;
    }
    return 0;
}

/* U[.,.] of one filter, elements `plane` apart. */
static void filter_transform(const Variant *variant, float filter[TAPS][TAPS], float *out, int64_t plane)
{
    double half[POINTS_MAX][TAPS] = {{0}};
    for (int xi = 0; xi < variant->points; xi++)
        for (int p = 0; p < TAPS; p++)
            for (int q = 0; q < TAPS; q++)
                half[xi][q] += variant->filter[xi][p] * (double)filter[p][q];
    for (int xi = 0; xi < variant->points; xi++)
        for (int nu = 0; nu < variant->points; nu++) {
            double sum = 0;
            for (int q = 0; q < TAPS; q++)
                sum += half[xi][q] * variant->filter[nu][q];
            out[(xi * variant->points + nu) * plane] = (float)sum;
        }
}

/* U[xi,nu,c,o] as a weight in panels. */
static Node *filter_buffer(const Winograd *w)
{
    Ir *const ir = w->ir;
    const int points = w->variant->points;
    const int64_t plane = w->channels * w->columns;
    const Buffer *const weight = w->roles.weight->payload.buffer;
    const char *const from = weight->constant->data; /* of a mapped file: anywhere */
    const int64_t row = pitch_along(w, w->spatial[0].tap), column = pitch_along(w, w->spatial[1].tap);
    const int64_t channel = pitch_along(w, w->channel), out = pitch_along(w, w->roles.n);
    const size_t bytes = (size_t)(points * points * plane) * sizeof(float);
    float *const to = arena_alloc(ir->arena, bytes);
    for (int64_t c = 0; c < w->channels; c++)
        for (int64_t o = 0; o < w->columns; o++) {
            float filter[TAPS][TAPS];
            for (int p = 0; p < TAPS; p++)
                for (int q = 0; q < TAPS; q++)
                    memcpy(&filter[p][q], from + 4 * (c * channel + o * out + p * row + q * column), sizeof(float));
            filter_transform(w->variant, filter, to + c * w->columns + o, plane);
        }
    Constant *const constant = NEW(ir->arena, Constant);
    *constant = (Constant){.data = to, .bytes = bytes, .name = weight->name};
    const Buffer buffer = {.name = weight->name,
                           .place = PLACE_WEIGHT,
                           .constant = constant,
                           .layout = {5,
                                      {{0, PART_WHOLE, 0},
                                       {1, PART_WHOLE, 0},
                                       {3, PART_OUTER, PANEL},
                                       {2, PART_WHOLE, 0},
                                       {3, PART_INNER, PANEL}}}};
    Node *const dims[4] = {index_const(ir, points), index_const(ir, points), w->channel->inputs[0], w->roles.columns};
    return buffer_make(ir, type_tensor(ir, DTYPE_F32, 4, dims), &buffer);
}

/* ---- stages ---- */

static Node *local(Winograd *w, const char *name, int first, int second, Node *last)
{
    Ir *const ir = w->ir;
    Node *const dims[5] = {index_const(ir, first), index_const(ir, second), index_const(ir, w->spatial[0].tiles),
                           index_const(ir, w->spatial[1].tiles), last};
    return local_make(ir, name, type_tensor(ir, DTYPE_F32, 5, dims), &w->scratch);
}

/* Axes of a stage: the batch, one or two of the transform, the tile's row and column, channels. */
typedef struct Axes {
    Node *all[RANK_MAX];
    int count;
    Node *first, *second, *row, *column, *last; /* second: NULL when there is one */
} Axes;

static Axes axes_of(const Winograd *w, const char *first, const char *second, const Node *last)
{
    Ir *const ir = w->ir;
    Node *const points = index_const(ir, w->variant->points);
    Axes axes = {.first = axis_make(ir, first, points), .second = second ? axis_make(ir, second, points) : NULL};
    axes.row = axis_make(ir, "ti", index_const(ir, w->spatial[0].tiles));
    axes.column = axis_make(ir, "tj", index_const(ir, w->spatial[1].tiles));
    axes.last = axis_make(ir, last->payload.name, last->inputs[0]);
    if (w->batch)
        axes.all[axes.count++] = w->batch;
    axes.all[axes.count++] = axes.first;
    if (second)
        axes.all[axes.count++] = axes.second;
    axes.all[axes.count++] = axes.row;
    axes.all[axes.count++] = axes.column;
    axes.all[axes.count++] = axes.last;
    return axes;
}

static void add_stage(Winograd *w, const Axes *axes, Node *buffer, Node *first, Node *second, Node *value)
{
    Node *const indices[5] = {first, second, axes->row, axes->column, axes->last};
    block_append(w->ir, w->stages, stage_make(w->ir, axes->all, axes->count, buffer, indices, value));
}

static Node *read_local(const Winograd *w, const Axes *axes, Node *buffer, Node *first, Node *second)
{
    return at_make(w->ir, buffer, (Node *const[]){first, second, axes->row, axes->column, axes->last});
}

/* Is the last tile partial? Then the operand is asked about positions that the stage never reads. */
static Node *inside(const Winograd *w, const Spatial *spatial, Node *position)
{
    Ir *const ir = w->ir;
    return scalar2(ir, OP_lt, position, index_const(ir, spatial->extent + TAPS - 1));
}

/* The operand at row `p` and column `v` of a tile. */
static Node *input_at(const Winograd *w, const Axes *axes, int p, Node *v)
{
    Ir *const ir = w->ir;
    Node *const pitch = index_const(ir, w->variant->outputs);
    Node *const from[SPATIAL + 1] = {w->spatial[0].position, w->spatial[1].position, w->channel};
    Node *const row = index_add(ir, index_mul(ir, axes->row, pitch), index_const(ir, p));
    Node *const column = index_add(ir, index_mul(ir, axes->column, pitch), v);
    Node *const to[SPATIAL + 1] = {row, column, axes->last};
    Node *value = node_substitute(ir, w->operand, from, to, SPATIAL + 1);
    Node *condition = scalar2(ir, OP_and, inside(w, &w->spatial[0], row), inside(w, &w->spatial[1], column));
    Node *const zero = const_int(ir, DTYPE_F32, 0);
    if (value->op == OP_guard && value->inputs[2] == zero) {
        condition = scalar2(ir, OP_and, condition, value->inputs[0]);
        value = value->inputs[1];
    }
    return guard_make(ir, condition, value, zero);
}

static void add_input(Winograd *w)
{
    Ir *const ir = w->ir;
    const int points = w->variant->points;
    Node *d[POINTS_MAX], *transformed[POINTS_MAX];
    const Axes half = axes_of(w, "v", NULL, w->channel);
    for (int p = 0; p < points; p++)
        d[p] = input_at(w, &half, p, half.first);
    w->variant->input(ir, d, transformed);
    for (int xi = 0; xi < points; xi++)
        add_stage(w, &half, w->half, index_const(ir, xi), half.first, transformed[xi]);
    const Axes patch = axes_of(w, "xi", NULL, w->channel);
    for (int v = 0; v < points; v++)
        d[v] = read_local(w, &patch, w->half, patch.first, index_const(ir, v));
    w->variant->input(ir, d, transformed);
    for (int nu = 0; nu < points; nu++)
        add_stage(w, &patch, w->patch, patch.first, index_const(ir, nu), transformed[nu]);
}

static void add_product(Winograd *w)
{
    Ir *const ir = w->ir;
    Node *const filter = filter_buffer(w);
    const Axes axes = axes_of(w, "xi", "nu", w->roles.n);
    Node *const c = axis_make(ir, w->channel->payload.name, w->channel->inputs[0]);
    Node *const a = at_make(ir, w->patch, (Node *const[]){axes.first, axes.second, axes.row, axes.column, c});
    Node *const b = at_make(ir, filter, (Node *const[]){axes.first, axes.second, c, axes.last});
    add_stage(w, &axes, w->sums, axes.first, axes.second, contract_make(ir, DTYPE_F32, &c, 1, a, b));
}

/* Output number `a` of the tiles that have it. */
static Node *tiles_with(const Winograd *w, const char *name, const Spatial *spatial, int a)
{
    const int64_t outputs = w->variant->outputs;
    return axis_make(w->ir, name, index_const(w->ir, (spatial->extent - a + outputs - 1) / outputs));
}

static void add_result(Winograd *w, Node *row, Node *column, Node *last, int a, int b)
{
    Ir *const ir = w->ir;
    const Node *const stage = w->roles.stage;
    const int points = w->variant->points;
    Node *m[POINTS_MAX], *y[OUTPUTS_MAX], *indices[RANK_MAX];
    const Axes axes = {.row = row, .column = column, .last = last};
    for (int nu = 0; nu < points; nu++)
        m[nu] = read_local(w, &axes, w->part, index_const(ir, a), index_const(ir, nu));
    w->variant->output(ir, m, y);
    /* The contraction goes before the axes that it reads are replaced. */
    Node *const held = cast_make(ir, axis_make(ir, "sum", NULL), DTYPE_F32);
    Node *const pitch = index_const(ir, w->variant->outputs);
    Node *const from[4] = {w->spatial[0].out, w->spatial[1].out, w->roles.n, held};
    Node *const to[4] = {index_add(ir, index_mul(ir, row, pitch), index_const(ir, a)),
                         index_add(ir, index_mul(ir, column, pitch), index_const(ir, b)), last, y[b]};
    Node *value = node_substitute(ir, stage_value(stage), &w->roles.contract, (Node *const *)&held, 1);
    value = node_substitute(ir, value, from, to, 4);
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = node_substitute(ir, stage_indices(stage)[i], from, to, 3);
    Node *const all[4] = {w->batch, last, row, column};
    const int skip = w->batch ? 0 : 1;
    block_append(ir, w->stages, stage_make(ir, all + skip, 4 - skip, stage_buffer(stage), indices, value));
}

static void add_output(Winograd *w)
{
    Ir *const ir = w->ir;
    const Variant *const variant = w->variant;
    Node *m[POINTS_MAX], *transformed[OUTPUTS_MAX];
    const Axes axes = axes_of(w, "nu", NULL, w->roles.n);
    for (int xi = 0; xi < variant->points; xi++)
        m[xi] = read_local(w, &axes, w->sums, index_const(ir, xi), axes.first);
    variant->output(ir, m, transformed);
    for (int a = 0; a < variant->outputs; a++)
        add_stage(w, &axes, w->part, index_const(ir, a), axes.first, transformed[a]);
    Node *rows[OUTPUTS_MAX], *columns[OUTPUTS_MAX];
    for (int a = 0; a < variant->outputs; a++) {
        rows[a] = tiles_with(w, "ti", &w->spatial[0], a);
        columns[a] = tiles_with(w, "tj", &w->spatial[1], a);
    }
    Node *const last = axis_make(ir, w->roles.n->payload.name, w->roles.columns);
    for (int a = 0; a < variant->outputs; a++)
        for (int b = 0; b < variant->outputs; b++)
            add_result(w, rows[a], columns[b], last, a, b);
}

static Node *rewrite(Winograd *w, const Node *kernel)
{
    const int points = w->variant->points, outputs = w->variant->outputs;
    for (int i = 0; i < SPATIAL; i++)
        w->spatial[i].tiles = (w->spatial[i].extent + outputs - 1) / outputs;
    w->half = local(w, "half", points, points, w->channel->inputs[0]);
    w->patch = local(w, "patch", points, points, w->channel->inputs[0]);
    w->sums = local(w, "sums", points, points, w->roles.columns);
    w->part = local(w, "part", outputs, points, w->roles.columns);
    if (w->scratch > SCRATCH_MAX)
        return NULL;
    w->stages = block_make(w->ir);
    add_input(w);
    add_product(w);
    add_output(w);
    Node *const made = kernel_make(w->ir, kernel->payload.kernel->name, w->stages);
    made->payload.kernel->wheres = kernel->payload.kernel->wheres;
    made->payload.kernel->scratch = w->scratch;
    return made;
}

/* Those that have caches and a template for it. */
static bool target_suits(const TargetMachineInfo *target)
{
    return target && !target->gpu && target->family->system == SYSTEM_HOSTED && !(target->lacks & TARGET_LACKS_F32);
}

bool pass_winograd(PassContext *context)
{
    const Compilation *const compilation = context->compilation;
    Block *const body = compilation->module->body;
    if (compilation->math == MATH_EXACT || !target_suits(compilation->target))
        return true;
    for (int i = 0; i < body->count; i++) {
        Winograd winograd = {.ir = compilation->ir};
        if (kernel_stages(body->nodes[i])->count != 1 || !match(&winograd, body->nodes[i]))
            continue;
        winograd.variant = choose(&winograd, compilation->target);
        if (!winograd.variant || !pass_decide(context))
            continue;
        Node *const made = rewrite(&winograd, body->nodes[i]);
        if (made)
            body->nodes[i] = made;
    }
    return true;
}
