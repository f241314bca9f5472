/* The block template: see block.h.
 *
 *     for unit in chunk:  image, band of output rows
 *         window rows that the band before made stay (or move up, every few bands), the others are expanded: in
 *         scratch [row][column][channel], with zeros where the border is; a first layer reads a copy of the input
 *         rows of the band, with its border
 *         the window's rows of the band, out of scratch; into scratch when they are projected
 *         the projection of the band
 *
 * Units of a chunk follow each other, so only its first band makes the rows that it shares with the band before. What
 * is zero around the window is the expanded value, as its stage says. Where nothing is expanded, windows read their
 * buffer in place, and the first and the last band, which alone see rows outside, have code of their own. Products run
 * in the tiles of `contract`, windows in the blocks of `window`: one accumulator per element, in the stage's order, so
 * the bits are those of the stages. */
#include "codegen/block.h"

#include "codegen/contract_emit.h"
#include "codegen/contract_plan.h"
#include "codegen/program.h"
#include "codegen/window.h"
#include "ir/bands.h"
#include "ir/kernel.h"
#include "ir/loops.h"

enum { POSITIONS = 196, LINE = 16, SCRATCH_MAX = 4 << 20, SLOTS_MAX = 4 };

typedef struct BlockPlan {
    Ir *ir;
    Node *kernel;
    const TargetMachineInfo *target;
    BandRoles roles;
    int64_t rows;          /* output rows of a band */
    int64_t bands;         /* of an image */
    int64_t reach;         /* window rows of a whole band */
    int64_t kept;          /* of those, shared with the next band */
    int64_t slots;         /* bands that follow each other in scratch before what is shared moves to the top */
    int64_t group;         /* channels that are expanded and go through the window before others are */
    int64_t columns;       /* window columns of a row */
    int64_t channels;      /* of a position in scratch, filled up to whole lines */
    Node *ring, *tile;     /* [row][column][channel]; NULL when nothing is expanded, projected */
    DepthwiseRoles window; /* of the expansion, where `image` is */
    Node *image; /* [channel][row][column]: what the expanded rows of a band read; NULL: they read single positions */
    int64_t image_border; /* columns of the image before the first of the input: whole lines */
    Node *sums;           /* a tile of sums before a long epilogue */
    int64_t scratch;
    Node *inner; /* a kernel of the stages that are emitted: what they write is read in order */
} BlockPlan;

/* What is emitted at the moment. */
typedef struct Spot {
    Node *band, *first; /* its number, its first output row */
    Node *base;         /* the scratch's row of its first window row */
    Node *from;         /* of its window rows, the first that is not there yet */
} Spot;

/* ---- stages of a band ---- */

/* The axes of `stage`, `from` replaced by `to` (NULL: left out). */
static int axes_with(const Node *stage, const Node *from, Node *to, Node **axes)
{
    int count = 0;
    for (int i = 0; i < stage->axis_count; i++)
        if (stage->axes[i] != from)
            axes[count++] = stage->axes[i];
        else if (to)
            axes[count++] = to;
    return count;
}

static Node *position_of(Ir *ir, const WindowIndex *way, Node *out)
{
    Node *const position = index_mul(ir, out, index_const(ir, way->stride));
    return way->tap ? index_add(ir, position, index_mul(ir, way->tap, index_const(ir, way->dilation))) : position;
}

/* Channels, rows and columns of what the expansion's windows read. */
static Node *const *image_dims(const BlockPlan *b)
{
    return b->window.at->inputs[0]->type.dims + b->window.at->inputs[0]->type.rank - 3;
}

/* Row `line` of the image, which is the input's row `at`; rows outside are zero. */
static Node *stage_of_image(const BlockPlan *b, Node *line, Node *at)
{
    Ir *const ir = b->ir;
    Node *const read = b->window.at, *const *const dims = image_dims(b), *indices[RANK_MAX];
    const int rank = read->inputs[0]->type.rank;
    for (int i = 0; i < rank - 3; i++)
        indices[i] = read->inputs[1 + i];
    Node *const axes[2] = {axis_make(ir, "channel", dims[0]), axis_make(ir, "column", dims[2])};
    indices[rank - 3] = axes[0];
    indices[rank - 2] = at;
    indices[rank - 1] = axes[1];
    Node *const inside =
        scalar2(ir, OP_and, scalar2(ir, OP_ge, at, index_const(ir, 0)), scalar2(ir, OP_lt, at, dims[1]));
    Node *const place[3] = {axes[0], line, index_add(ir, axes[1], index_const(ir, b->image_border))};
    return stage_make(ir, axes, 2, b->image, place,
                      guard_make(ir, inside, at_make(ir, read->inputs[0], indices), const_int(ir, DTYPE_F32, 0)));
}

/* The sum of the band's window row `row` out of the image. */
static Node *from_image(const BlockPlan *b, Node *row)
{
    Ir *const ir = b->ir;
    const DepthwiseRoles *const roles = &b->window;
    const Node *const contract = roles->contract;
    Node *operands[2];
    Node *const column = position_of(ir, &roles->way[1], roles->way[1].out);
    Node *const indices[3] = {roles->channel, position_of(ir, &roles->way[0], row),
                              index_add(ir, column, index_const(ir, b->image_border + roles->offset[1]))};
    operands[roles->side] = at_make(ir, b->image, indices);
    operands[!roles->side] = contract->inputs[!roles->side];
    return contract_make(ir, DTYPE_F32, contract->axes, contract->axis_count, operands[0], operands[1]);
}

/* The band's window row `row`, which is the image's row `at`, in the scratch that begins with row `base`. */
static Node *stage_of_row(const BlockPlan *b, Node *base, Node *row, Node *at)
{
    Ir *const ir = b->ir;
    Node *const border = index_const(ir, -b->roles.depthwise.offset[1]), *axes[RANK_MAX];
    const Node *const stage = b->roles.expand;
    Node *const *const own = stage_indices(stage);
    const int count = axes_with(stage, own[1], NULL, axes);
    Node *const indices[3] = {index_add(ir, base, row), index_add(ir, own[2], border), own[0]};
    Node *value = stage_value(stage);
    if (b->image) {
        Node *const contract = from_image(b, row);
        value = node_substitute(ir, value, &b->window.contract, (Node *const *)&contract, 1);
    }
    return stage_make(ir, axes, count, b->ring, indices, node_substitute(ir, value, &own[1], &at, 1));
}

/* What windows read in place, with a guard on columns alone. */
static Node *read_inside(const BlockPlan *b)
{
    Ir *const ir = b->ir;
    const DepthwiseRoles *const roles = &b->roles.depthwise;
    Node *const column = roles->at->inputs[roles->at->input_count - 1];
    Node *const inside = scalar2(ir, OP_and, scalar2(ir, OP_ge, column, index_const(ir, 0)),
                                 scalar2(ir, OP_lt, column, index_const(ir, roles->ins[1])));
    return guard_make(ir, inside, roles->at, const_int(ir, DTYPE_F32, 0));
}

/* What the window of output row `row` of the band reads, in the scratch that begins with row `base`; `inside`: its band
 * sees no row outside of the image. */
static Node *window_operand(const BlockPlan *b, Node *base, Node *row, bool inside)
{
    Ir *const ir = b->ir;
    const DepthwiseRoles *const roles = &b->roles.depthwise;
    if (!b->ring)
        return inside ? read_inside(b) : roles->contract->inputs[roles->side];
    Node *const from[3] = {index_add(ir, base, position_of(ir, &roles->way[0], row)),
                           position_of(ir, &roles->way[1], roles->way[1].out), roles->channel};
    return at_make(ir, b->ring, from);
}

/* The window's stage for `rows` rows from `first` on. */
static Node *stage_of_window(const BlockPlan *b, Node *base, Node *first, int64_t rows, bool inside)
{
    Ir *const ir = b->ir;
    const DepthwiseRoles *const roles = &b->roles.depthwise;
    const Node *const stage = roles->stage;
    Node *const out = roles->way[0].out, *const row = axis_make(ir, "row", index_const(ir, rows));
    Node *const at = index_add(ir, first, row), *axes[RANK_MAX], *indices[RANK_MAX], *operands[2];
    operands[roles->side] = node_substitute(ir, window_operand(b, base, row, inside), &out, &at, 1);
    operands[!roles->side] = roles->contract->inputs[!roles->side];
    Node *const contract =
        contract_make(ir, DTYPE_F32, roles->contract->axes, roles->contract->axis_count, operands[0], operands[1]);
    Node *value = node_substitute(ir, stage_value(stage), &roles->contract, (Node *const *)&contract, 1);
    value = node_substitute(ir, value, &out, &at, 1);
    const int count = axes_with(stage, out, row, axes);
    if (b->tile) {
        Node *const place[3] = {row, roles->way[1].out, roles->channel};
        return stage_make(ir, axes, count, b->tile, place, value);
    }
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = node_substitute(ir, stage_indices(stage)[i], &out, &at, 1);
    return stage_make(ir, axes, count, stage_buffer(stage), indices, value);
}

typedef struct TileRow {
    const BlockPlan *plan;
    Node *row;
} TileRow;

/* What the window leaves is read in the tile. */
static Node *read_of_tile(Ir *ir, Node *read, void *context)
{
    const TileRow *const at = context;
    Node *const *const own = read->inputs + 1;
    if (read->inputs[0] != stage_buffer(at->plan->roles.depthwise.stage))
        return NULL;
    return at_make(ir, at->plan->tile, (Node *[]){at->row, own[2], own[0]});
}

/* The projection of `rows` rows from `first` on, out of the tile. */
static Node *stage_of_project(const BlockPlan *b, Node *first, int64_t rows)
{
    Ir *const ir = b->ir;
    const Node *const stage = b->roles.project;
    Node *axes[RANK_MAX], *indices[RANK_MAX];
    Node *const out = stage_indices(stage)[2], *const row = axis_make(ir, "row", index_const(ir, rows));
    Node *const at = index_add(ir, first, row);
    Node *value = value_replace_reads(ir, stage_value(stage), read_of_tile, &(TileRow){b, row});
    value = node_substitute(ir, value, &out, &at, 1);
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = node_substitute(ir, stage_indices(stage)[i], &out, &at, 1);
    return stage_make(b->ir, axes, axes_with(stage, out, row, axes), stage_buffer(stage), indices, value);
}

/* ---- the plan ---- */

static Node *scratch_buffer(BlockPlan *b, const char *name, int64_t outer, int64_t middle, int64_t inner)
{
    Ir *const ir = b->ir;
    Node *const dims[3] = {index_const(ir, outer), index_const(ir, middle), index_const(ir, inner)};
    return local_make(ir, name, type_tensor(ir, DTYPE_F32, 3, dims), &b->scratch);
}

/* Rows enough for tiles of products, if a third of L2 holds them; a divisor of all rows where one is near. */
static int64_t choose_rows(const BlockPlan *b)
{
    const DepthwiseRoles *const depthwise = &b->roles.depthwise;
    const int64_t outs = depthwise->way[0].outs;
    int64_t least = ceil_divide(POSITIONS, depthwise->way[1].outs);
    while (least > 1 && depthwise_band_bytes(depthwise, least) > b->target->l2 / 3)
        least--;
    for (int64_t count = least; count < 2 * least && count < outs; count++)
        if (outs % count == 0 && depthwise_band_bytes(depthwise, count) <= b->target->l2 / 3)
            return count;
    return least < outs ? least : outs;
}

/* Scratch of what is expanded. */
static void plan_ring(BlockPlan *b)
{
    const int64_t band = b->rows * b->roles.depthwise.way[0].stride;
    const int64_t bytes = band * b->columns * b->channels * 4;
    b->slots = b->kept ? 1 + b->target->l2 / 4 / bytes : 1;
    b->slots = b->slots > SLOTS_MAX ? SLOTS_MAX : b->slots;
    b->slots = b->slots > b->bands ? b->bands : b->slots;
    b->ring = scratch_buffer(b, "ring", (b->slots - 1) * band + b->reach, b->columns, b->channels);
    if (expanding_window_match(b->ir, b->roles.expand, &b->window)) {
        const WindowIndex *const rows = &b->window.way[0], *const columns = &b->window.way[1];
        int64_t read = 0;
        const_is_int(image_dims(b)[0], &read);
        b->image_border = b->window.offset[1] < 0 ? ceil_divide(-b->window.offset[1], LINE) * LINE : 0;
        const int64_t reach = window_reach(columns, columns->outs) + b->window.offset[1];
        const int64_t wide = b->image_border + (reach > b->window.ins[1] ? reach : b->window.ins[1]);
        b->image = scratch_buffer(b, "image", read, window_reach(rows, b->reach), ceil_divide(wide, LINE) * LINE);
    }
}

static bool block_plan(BlockPlan *b, Trial *trial)
{
    if (b->target->vector_bytes < 16 || !contract_tile_fits(b->target, 1, 1) ||
        !bands_match(b->ir, b->kernel, &b->roles))
        return false;
    const WindowIndex *const rows = &b->roles.depthwise.way[0], *const columns = &b->roles.depthwise.way[1];
    int64_t channels = 0;
    const_is_int(b->roles.depthwise.channel->inputs[0], &channels);
    b->channels = ceil_divide(channels, LINE) * LINE;
    if (b->channels % (8 * LINE) == 0) /* positions a power of two apart fall on few sets of a cache */
        b->channels += LINE;
    b->rows = suggest_int(trial, "rows", 1, rows->outs, choose_rows(b));
    b->bands = ceil_divide(rows->outs, b->rows);
    b->reach = window_reach(rows, b->rows);
    b->kept = b->reach - b->rows * rows->stride;
    b->kept = b->kept < 0 ? 0 : b->kept;
    b->columns = window_reach(columns, columns->outs);
    if (b->columns < b->roles.depthwise.ins[1] - b->roles.depthwise.offset[1])
        b->columns = b->roles.depthwise.ins[1] - b->roles.depthwise.offset[1];
    if (b->roles.expand)
        plan_ring(b);
    if (b->roles.project)
        b->tile = scratch_buffer(b, "tile", b->rows, columns->outs, b->channels);
    b->sums = scratch_buffer(b, "sums", ROWS_MAX, VECTORS_MAX, LINE);
    return b->scratch <= SCRATCH_MAX;
}

/* ---- emission ---- */

static void emit_plain(const BlockPlan *b, Block *block, const Node *stage, int shared)
{
    const LoopsSchedule schedule = {.lanes = LINE};
    loops_emit_within(b->ir, b->inner, block, stage, &schedule, shared);
}

/* A stage around a product, its first axis bound: in register tiles where its operands can be read in place. */
static void emit_product(const BlockPlan *b, Block *block, Node *stage)
{
    Ir *const ir = b->ir;
    Contract product = {.ir = ir, .kernel = b->inner, .target = b->target};
    if (!contract_plan_within(&product, stage, 1)) {
        emit_plain(b, block, stage, 1);
        return;
    }
    if (stage_has_long_epilogue(ir, stage, product.roles.contract))
        product.sums = b->sums;
    Node *const tiles = index_ceildiv(ir, product.roles.rows, index_const(ir, product.tile.rows));
    contract_emit_within(&product, block, index_const(ir, 0), tiles);
}

/* Zeros in columns [from, to) of row `row` of the scratch. */
static void emit_zeros(const BlockPlan *b, Block *block, Node *row, int64_t from, int64_t to)
{
    Ir *const ir = b->ir;
    if (from >= to)
        return;
    Node *const column = axis_make(ir, "column", index_const(ir, to - from));
    Node *const channel = axis_make(ir, "channel", index_const(ir, b->channels));
    Node *const indices[3] = {row, index_add(ir, column, index_const(ir, from)), channel};
    emit_plain(b, block,
               stage_make(b->ir, (Node *[]){column, channel}, 2, b->ring, indices, const_int(ir, DTYPE_F32, 0)), 0);
}

/* Zeros in columns [from, to) of all rows of the image. */
static void emit_image_border(const BlockPlan *b, Block *block, int64_t from, int64_t to)
{
    Ir *const ir = b->ir;
    Node *const *const dims = b->image->type.dims;
    if (from >= to)
        return;
    Node *const axes[3] = {axis_make(ir, "channel", dims[0]), axis_make(ir, "row", dims[1]),
                           axis_make(ir, "column", index_const(ir, to - from))};
    Node *const indices[3] = {axes[0], axes[1], index_add(ir, axes[2], index_const(ir, from))};
    emit_plain(b, block, stage_make(ir, axes, 3, b->image, indices, const_int(ir, DTYPE_F32, 0)), 0);
}

/* Columns beside the image are zero in every row: they are written once. */
static void emit_borders(const BlockPlan *b, Block *block)
{
    Ir *const ir = b->ir;
    const DepthwiseRoles *const depthwise = &b->roles.depthwise, *const window = &b->window;
    Node *const row = axis_make(ir, "row", b->ring->type.dims[0]);
    Block *const body = body_for(ir, block, row, index_const(ir, 0), row->inputs[0], 1);
    emit_zeros(b, body, row, 0, -depthwise->offset[1]);
    emit_zeros(b, body, row, depthwise->ins[1] - depthwise->offset[1], b->columns);
    if (!b->image)
        return;
    const int64_t first = b->image_border + window->offset[1];
    emit_image_border(b, block, first, b->image_border);
    emit_image_border(b, block, b->image_border + window->ins[1],
                      first + window_reach(&window->way[1], window->way[1].outs));
}

/* What this band shares with the one before, to the top of the scratch. */
static void emit_kept(const BlockPlan *b, Block *block)
{
    Ir *const ir = b->ir;
    const WindowIndex *const rows = &b->roles.depthwise.way[0];
    Node *const row = axis_make(ir, "row", index_const(ir, b->kept));
    Node *const column = axis_make(ir, "column", index_const(ir, b->columns));
    Node *const channel = axis_make(ir, "channel", b->roles.depthwise.channel->inputs[0]);
    Node *const from[3] = {index_add(ir, row, index_const(ir, b->slots * b->rows * rows->stride)), column, channel};
    Node *const to[3] = {row, column, channel};
    emit_plain(b, block, stage_make(b->ir, to, 3, b->ring, to, at_make(ir, b->ring, from)), 0);
}

/* The image's row that the band's window row `row` is. */
static Node *row_of_image(const BlockPlan *b, const Spot *spot, Node *row)
{
    Ir *const ir = b->ir;
    const WindowIndex *const rows = &b->roles.depthwise.way[0];
    return index_add(ir, index_add(ir, index_mul(ir, spot->first, index_const(ir, rows->stride)), row),
                     index_const(ir, b->roles.depthwise.offset[0]));
}

/* What the window rows that are not there yet read. */
static void emit_image(const BlockPlan *b, Block *block, const Spot *spot)
{
    Ir *const ir = b->ir;
    const WindowIndex *const rows = &b->window.way[0];
    Node *const line = axis_make(ir, "line", b->image->type.dims[1]), *const stride = index_const(ir, rows->stride);
    Node *const top = index_add(ir, index_mul(ir, row_of_image(b, spot, index_const(ir, 0)), stride),
                                index_const(ir, b->window.offset[0]));
    Block *const body = body_for(ir, block, line, index_mul(ir, spot->from, stride), line->inputs[0], 1);
    emit_plain(b, body, stage_of_image(b, line, index_add(ir, top, line)), 0);
}

/* The window rows that are not there yet. */
static void emit_window_rows(const BlockPlan *b, Block *block, const Spot *spot)
{
    Ir *const ir = b->ir;
    const WindowIndex *const rows = &b->roles.depthwise.way[0];
    Node *const row = axis_make(ir, "row", index_const(ir, b->reach)), *const at = row_of_image(b, spot, row);
    Block *body = body_for(ir, block, row, spot->from, row->inputs[0], 1), *outside = NULL;
    const bool above = b->roles.depthwise.offset[0] < 0;
    const bool below = (b->bands * b->rows - b->rows) * rows->stride + b->reach + b->roles.depthwise.offset[0] >
                       b->roles.depthwise.ins[0];
    if (above || below) {
        Node *const inside = scalar2(ir, OP_and, scalar2(ir, OP_ge, at, index_const(ir, 0)),
                                     scalar2(ir, OP_lt, at, index_const(ir, b->roles.depthwise.ins[0])));
        body = contract_emit_if(ir, body, inside, &outside);
        emit_zeros(b, outside, index_add(ir, spot->base, row), 0, b->columns);
    }
    emit_product(b, body, stage_of_row(b, spot->base, row, at));
}

/* A kernel of what is emitted. */
static Node *make_inner(const BlockPlan *b)
{
    Ir *const ir = b->ir;
    Node *const zero = index_const(ir, 0);
    Block *const stages = block_make(ir);
    if (b->image)
        block_append(ir, stages, stage_of_image(b, zero, zero));
    if (b->ring)
        block_append(ir, stages, stage_of_row(b, zero, zero, zero));
    block_append(ir, stages, stage_of_window(b, zero, zero, 1, false));
    if (b->tile)
        block_append(ir, stages, stage_of_project(b, zero, 1));
    return kernel_make(ir, b->kernel->payload.kernel->name, stages);
}

/* `rows` rows of the band from output row `first` on. */
static void emit_rows(const BlockPlan *b, Block *block, const Spot *spot, Node *first, int64_t rows, bool inside)
{
    Node *const stage = stage_of_window(b, spot->base, first, rows, inside);
    if (!window_emit_within(b->ir, b->inner, block, stage, b->target, 1))
        emit_plain(b, block, stage, 1);
    if (b->tile)
        emit_product(b, block, stage_of_project(b, first, rows));
}

/* What the band shares with the one before moves up where that was the last in the scratch. Returns the first of its
 * window rows that is not there. */
static Node *emit_shared(const BlockPlan *b, Block *block, Node *unit, Node *begin, const Spot *spot)
{
    Ir *const ir = b->ir;
    Node *const zero = index_const(ir, 0);
    if (!b->kept || b->bands == 1)
        return zero;
    Node *const fresh = scalar2(ir, OP_or, scalar2(ir, OP_eq, spot->band, zero), scalar2(ir, OP_eq, unit, begin));
    Node *const moves = scalar2(ir, OP_and, scalar1(ir, OP_not, fresh), scalar2(ir, OP_eq, spot->base, zero));
    emit_kept(b, contract_emit_if(ir, block, moves, NULL));
    return scalar3(ir, OP_select, fresh, zero, index_const(ir, b->kept));
}

/* Do bands but the first and the last see rows of the image alone? */
static bool middle_is_inside(const BlockPlan *b)
{
    const WindowIndex *const rows = &b->roles.depthwise.way[0];
    const int64_t last = (b->bands - 2) * b->rows * rows->stride + b->roles.depthwise.offset[0] + b->reach;
    return b->rows * rows->stride + b->roles.depthwise.offset[0] >= 0 && last <= b->roles.depthwise.ins[0];
}

/* The stages behind the ring. Out of scratch, only a last band of fewer rows differs from the others; in place, the
 * first one and the last, where rows are missing. */
static void emit_band(const BlockPlan *b, Block *block, const Spot *spot)
{
    Ir *const ir = b->ir;
    const int64_t outs = b->roles.depthwise.way[0].outs, left = outs - (b->bands - 1) * b->rows;
    Node *const final = index_const(ir, b->bands - 1), *const final_row = index_const(ir, (b->bands - 1) * b->rows);
    const bool inside = !b->ring && middle_is_inside(b);
    Block *last = NULL, *top = NULL;
    if (b->bands == 1) {
        emit_rows(b, block, spot, final_row, left, false);
        return;
    }
    if (!inside && left == b->rows) {
        emit_rows(b, block, spot, spot->first, b->rows, false);
        return;
    }
    block = contract_emit_if(ir, block, scalar2(ir, OP_lt, spot->band, final), &last);
    emit_rows(b, last, spot, final_row, left, false);
    if (inside) {
        block = contract_emit_if(ir, block, scalar2(ir, OP_ge, spot->band, index_const(ir, 1)), &top);
        emit_rows(b, top, spot, index_const(ir, 0), b->rows, false);
    }
    emit_rows(b, block, spot, spot->first, b->rows, inside);
}

static Node *emit_units(BlockPlan *b, Block *body)
{
    Ir *const ir = b->ir;
    Node *const batch = b->roles.batch, *const bands = index_const(ir, b->bands);
    Node *const units = index_mul(ir, batch->inputs[0], bands);
    Node *const begin = node_make(ir, &(Node){.op = OP_begin, .type = type_scalar(DTYPE_INDEX)});
    Node *const unit = axis_make(ir, "unit", units), *const band = index_mod(ir, unit, bands);
    Node *const image = index_floordiv(ir, unit, bands);
    Spot spot = {.band = band, .first = index_mul(ir, band, index_const(ir, b->rows)), .base = index_const(ir, 0)};
    b->inner = make_inner(b);
    if (b->ring) {
        Node *const size = index_const(ir, b->rows * b->roles.depthwise.way[0].stride);
        spot.base = index_mul(ir, index_mod(ir, band, index_const(ir, b->slots)), size);
        emit_borders(b, body);
    }
    Block *block = body_units(ir, body, unit);
    block = body_for(ir, block, batch, image, index_add(ir, image, index_const(ir, 1)), 1);
    if (b->ring)
        spot.from = emit_shared(b, block, unit, begin, &spot);
    if (b->image)
        emit_image(b, block, &spot);
    if (b->ring)
        emit_window_rows(b, block, &spot);
    emit_band(b, block, &spot);
    return units;
}

Node *block_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    BlockPlan plan = {.ir = ir, .kernel = kernel, .target = target};
    if (!block_plan(&plan, trial))
        return NULL;
    Block *const body = block_make(ir);
    Node *const units = emit_units(&plan, body);
    return kernel_with_body(ir, kernel, body, units, arena_format(ir->arena, "block rows=%lld", (long long)plan.rows),
                            plan.scratch);
}

bool block_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    BlockPlan plan = {.ir = ir, .kernel = kernel, .target = target};
    int64_t flops, images;
    if (!block_plan(&plan, trial))
        return false;
    if (!const_is_int(kernel_flops(ir, kernel), &flops))
        flops = 1000000;
    if (!const_is_int(plan.roles.batch->inputs[0], &images) || images < 1)
        images = 1;
    const int64_t units = plan.bands * images;
    /* Rows that bands share are moved, and bands that do not fill their last one waste it. */
    const double moved =
        plan.ring ? (double)(plan.kept * plan.columns * plan.channels / plan.slots) * target->copy_cycles / 4 : 0;
    const double band =
        (double)flops / (double)units / (double)(target->vector_bytes / 4) / target->multiplies_per_cycle + moved;
    *cycles = band * (double)ceil_divide(units, threads);
    return true;
}
