/* What the window template takes and which numbers it chooses: see window_plan.h. */
#include "codegen/window_plan.h"

#include "ir/kernel.h"

enum {
    TAPS_MAX = 81,
    UNROLLED_TAPS = 25, /* windows of more taps loop over their rows */
    FIXED_BLOCKS = 2,   /* blocks on a border that get code of their own, where guards are decided ... */
    STEPS_MAX = 8000,   /* ... unless more steps of sums than these would be written out */
    COLUMNS_MAX = 8,
    VECTORS_MAX = 8,
    UNITS = 16,           /* enough for all cores to finish together */
    BAND_BYTES = 40 << 10 /* of the input that is copied at once */
};

/* ---- analysis ---- */

static Node *only_reduction(Ir *ir, const Node *stage)
{
    Node *value = stage_value(stage), *found = NULL;
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op != OP_contract && nodes[i]->op != OP_fold)
            continue;
        if (found || nodes[i]->type.dtype != DTYPE_F32 ||
            (nodes[i]->op == OP_fold && nodes[i]->payload.fold.lanes != 1))
            return NULL;
        found = nodes[i];
    }
    return found;
}

static Node *lane_axis(Ir *ir, const Node *stage, int shared)
{
    Node *const offset = stage_offset(ir, stage);
    for (int i = shared; i < stage->axis_count; i++) {
        if (index_has_unit(ir, offset, stage->axes[i], NULL) && !index_is(stage->axes[i]->inputs[0], 1))
            return stage->axes[i];
    }
    return NULL;
}

/* Fills `direction` from an index expression over one output axis and one reduced axis with constant factors and
 * extents. */
static bool direction_of(const Window *w, Node *position, WindowIndex *direction)
{
    const int inner = w->stage->axis_count - w->shared;
    int64_t constant;
    return window_index_of(w->ir, position, w->stage->axes + w->shared, inner, w->reduction->axes,
                           w->reduction->axis_count, direction) &&
           direction->out && direction->tap && direction->out != w->lane &&
           (const_is_int(direction->rest, &constant) || w->shared);
}

/* A direction along which there is nothing: one output, one tap. */
static WindowIndex direction_none(Ir *ir)
{
    Node *const one = index_const(ir, 1);
    return (WindowIndex){.index = axis_make(ir, "none", one),
                         .out = axis_make(ir, "none", one),
                         .tap = axis_make(ir, "none", one),
                         .stride = 1,
                         .dilation = 1,
                         .outs = 1,
                         .taps = 1,
                         .rest = index_const(ir, 0)};
}

/* How far apart neighbours along an axis of the output are in memory; 0: not a constant. */
static int64_t pitch_of(const Window *w, Node *axis)
{
    int64_t pitch;
    return index_factor(w->ir, stage_offset(w->ir, w->stage), axis, &pitch, NULL) ? pitch : 0;
}

/* The index expressions of the operand's reads that move with the window: rows, columns. */
static bool find_directions(Window *w)
{
    Ir *const ir = w->ir;
    int count, found = 0;
    Node **const nodes = nodes_topological(ir, &w->operand, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op != OP_at)
            continue;
        for (uint32_t j = 1; j < nodes[i]->input_count; j++) {
            const bool moves =
                node_depends_on_any(ir, nodes[i]->inputs[j], w->reduction->axes, w->reduction->axis_count);
            bool known = false;
            for (int k = 0; k < found; k++)
                known = known || w->direction[k].index == nodes[i]->inputs[j];
            if (!moves || known)
                continue;
            if (found == WINDOW_SPATIAL || !direction_of(w, nodes[i]->inputs[j], &w->direction[found++]))
                return false;
        }
    }
    if (found == 1) {
        w->direction[1] = w->direction[0];
        w->direction[0] = direction_none(ir);
        return pitch_of(w, w->direction[1].out) > 0;
    }
    if (found != WINDOW_SPATIAL || w->direction[0].out == w->direction[1].out ||
        w->direction[0].tap == w->direction[1].tap)
        return false;
    const int64_t first = pitch_of(w, w->direction[0].out), second = pitch_of(w, w->direction[1].out);
    if (first < second) { /* columns are the direction that is nearer in memory */
        const WindowIndex swap = w->direction[0];
        w->direction[0] = w->direction[1];
        w->direction[1] = swap;
    }
    return first > 0 && second > 0;
}

/* After the moving positions are replaced by axes of their own, nothing of the window may be left in the operand. */
static bool operand_is_closed(Window *w)
{
    Node *const from[WINDOW_SPATIAL] = {w->direction[0].index, w->direction[1].index};
    Node *const to[WINDOW_SPATIAL] = {axis_make(w->ir, "u", NULL), axis_make(w->ir, "v", NULL)};
    Node *const closed = node_substitute(w->ir, w->operand, from, to, WINDOW_SPATIAL);
    for (int i = 0; i < WINDOW_SPATIAL; i++)
        if (node_depends(w->ir, closed, w->direction[i].out))
            return false;
    return !node_depends_on_any(w->ir, closed, w->reduction->axes, w->reduction->axis_count);
}

static int64_t window_taps(const Window *w)
{
    return w->direction[0].taps * w->direction[1].taps;
}

static bool match(Window *w)
{
    Ir *const ir = w->ir;
    w->reduction = only_reduction(ir, w->stage);
    w->lane = w->reduction ? lane_axis(ir, w->stage, w->shared) : NULL;
    if (!w->lane)
        return false;
    w->operand = node_without_points(ir, w->reduction->inputs[0], w->reduction->axes, w->reduction->axis_count);
    if (w->reduction->op == OP_contract) {
        w->other = node_without_points(ir, w->reduction->inputs[1], w->reduction->axes, w->reduction->axis_count);
        if (!node_depends(ir, w->other, w->lane))
            return false;
    }
    if (w->operand->type.dtype != DTYPE_F32 || !node_depends(ir, w->operand, w->lane) || !find_directions(w) ||
        !operand_is_closed(w))
        return false;
    for (int i = w->shared; i < w->stage->axis_count; i++)
        if (w->stage->axes[i] != w->lane && w->stage->axes[i] != w->direction[0].out &&
            w->stage->axes[i] != w->direction[1].out)
            w->rest[w->rest_count++] = w->stage->axes[i];
    for (int i = 0; i < w->reduction->axis_count; i++)
        if (!index_is(w->reduction->axes[i]->inputs[0], 1) && w->reduction->axes[i] != w->direction[0].tap &&
            w->reduction->axes[i] != w->direction[1].tap)
            return false;
    return window_taps(w) <= TAPS_MAX;
}

/* ---- reading ---- */

/* Do lanes of every read stand side by side? */
static bool lanes_are_neighbours(const Window *w)
{
    Ir *const ir = w->ir;
    int count;
    Node *const operand = w->operand;
    Node **const nodes = nodes_topological(ir, &operand, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op == OP_at && node_depends(ir, nodes[i], w->lane) &&
            !index_has_unit(ir, read_offset(ir, nodes[i]), w->lane, NULL))
            return false;
    }
    return true;
}

/* Is the operand an element and its guard, without arithmetic that every tap would repeat? */
static bool operand_is_read(Node *operand)
{
    while (operand->op == OP_guard || operand->op == OP_cast) {
        if (operand->op == OP_guard && operand->inputs[2]->op != OP_const)
            return false;
        operand = operand->op == OP_guard ? operand->inputs[1] : operand->inputs[0];
    }
    return operand->op == OP_at;
}

/* A copy takes guards and arithmetic out of the inner loop, and brings lanes together that stand apart. */
static bool copy_pays(const Window *w)
{
    const bool once = w->direction[0].stride >= w->direction[0].taps && w->direction[1].stride >= w->direction[1].taps;
    return !lanes_are_neighbours(w) || (!once && !operand_is_read(w->operand));
}

/* ---- the border ---- */

/* Appends the conditions under which `operand` reads, taken apart. */
static int conditions_of(Ir *ir, Node *operand, Node **list, int most)
{
    int count, found = 0;
    Node **const nodes = nodes_topological(ir, &operand, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op != OP_guard)
            continue;
        Node *open[64] = {nodes[i]->inputs[0]};
        for (int left = 1; left > 0;) {
            Node *const condition = open[--left];
            if (condition->op == OP_and && left + 2 <= 64) {
                open[left++] = condition->inputs[0];
                open[left++] = condition->inputs[1];
            } else if (found == most) {
                return -1;
            } else {
                list[found++] = condition;
            }
        }
    }
    return found;
}

/* Do all conditions on the position of `direction` hold when the position is `position`? */
static bool holds(Ir *ir, const WindowIndex *direction, Node *const *conditions, int count, Node *position)
{
    for (int i = 0; i < count; i++) {
        if (!node_depends(ir, conditions[i], direction->out))
            continue;
        Node *const there = node_substitute(ir, conditions[i], &direction->index, (Node *const *)&position, 1);
        int64_t value;
        if (!const_is_int(there, &value) || !value)
            return false;
    }
    return true;
}

static bool output_is_clear(Ir *ir, const WindowIndex *direction, Node *const *conditions, int count, int64_t out)
{
    for (int64_t tap = 0; tap < direction->taps; tap++) {
        const int64_t moved = out * direction->stride + tap * direction->dilation;
        if (!holds(ir, direction, conditions, count, index_add(ir, direction->rest, index_const(ir, moved))))
            return false;
    }
    return true;
}

/* The outputs [*low, *high) whose windows no condition on this direction's position cuts. */
static void clear_outputs(const Window *w, const WindowIndex *direction, int64_t *low, int64_t *high)
{
    enum { CONDITIONS_MAX = 32 };
    Ir *const ir = w->ir;
    Node *conditions[CONDITIONS_MAX];
    const int count = w->copied ? 0 : conditions_of(ir, w->operand, conditions, CONDITIONS_MAX);
    *low = 0;
    *high = direction->outs;
    while (*low < *high && (count < 0 || !output_is_clear(ir, direction, conditions, count, *low)))
        ++*low;
    while (*low < *high && !output_is_clear(ir, direction, conditions, count, *high - 1))
        --*high;
    if (*low == *high)
        return;
    Node *const inside = axis_make(ir, "inside", index_const(ir, window_reach(direction, *high - *low)));
    Node *const first = index_add(ir, direction->rest, index_const(ir, *low * direction->stride));
    if (!holds(ir, direction, conditions, count, index_add(ir, first, inside)))
        *low = *high = 0;
}

static void segment_add(Segments *segments, int64_t first, int64_t count, int size)
{
    if (count > 0)
        segments->list[segments->count++] = (Segment){first, count, size};
}

/* Blocks [from, to) that a border cuts: up to `fixed` get code of their own. */
static void segments_of_border(Segments *segments, int64_t from, int64_t to, int size, int fixed)
{
    if (to - from > fixed) {
        segment_add(segments, from * size, to - from, size);
        return;
    }
    for (int64_t block = from; block < to; block++)
        segment_add(segments, block * size, 1, size);
}

/* The outputs of a direction in blocks of `size`: those that the border cuts, those between, and the last smaller one.
 */
static Segments segments_of(const Window *w, const WindowIndex *direction, int size, int fixed)
{
    Segments segments = {0};
    int64_t low, high;
    clear_outputs(w, direction, &low, &high);
    const int64_t whole = direction->outs / size;
    int64_t from = (low + size - 1) / size, to = high / size;
    if (from >= to) /* none is clear */
        from = to = whole;
    segments_of_border(&segments, 0, from, size, fixed);
    segment_add(&segments, from * size, to - from, size);
    segments_of_border(&segments, to, whole, size, fixed);
    const int left = (int)(direction->outs - whole * size);
    segment_add(&segments, whole * size, left > 0, left);
    return segments;
}

/* ---- the plan ---- */

int64_t window_row_blocks(const Window *w)
{
    return (w->direction[0].outs + w->size[0] - 1) / w->size[0];
}

/* Does the first direction's tap come first in the reduction? Only then its taps may be a loop around the others. */
static bool rows_come_first(const Window *w)
{
    for (int i = 0; i < w->reduction->axis_count; i++)
        if (w->reduction->axes[i] == w->direction[0].tap || w->reduction->axes[i] == w->direction[1].tap)
            return w->reduction->axes[i] == w->direction[0].tap;
    return false;
}

/* Columns of a block: a divisor of the row if there is a good one, else as many as `most`. */
static int choose_columns(const Window *w, int most)
{
    const int64_t outs = w->direction[1].outs;
    if (outs <= most)
        return (int)outs;
    for (int columns = most; columns > most / 2; columns--)
        if (outs % columns == 0)
            return columns;
    return most;
}

/* Sums that registers hold beside a row of weights and an input. */
static int most_sums(const Window *w)
{
    const int most = w->target->vector_registers - 2 - (w->other ? (int)w->direction[1].taps : 1);
    return most > WINDOW_OUTS_MAX ? WINDOW_OUTS_MAX : most < 1 ? 1 : most;
}

static int64_t at_most(int64_t value, int64_t most)
{
    return value < most ? value : most;
}

static void plan_blocks(Window *w)
{
    const int most = most_sums(w);
    const bool many = window_taps(w) > UNROLLED_TAPS;
    const int rows = !many && most >= 8 && w->direction[0].outs > 1 ? 2 : 1;
    w->size[0] = (int)suggest_int(w->trial, "rows", 1, at_most(w->direction[0].outs, 2), rows);
    const int left = most / w->size[0] > 0 ? most / w->size[0] : 1;
    const int columns = choose_columns(w, left >= 8 ? 8 : left >= 4 ? 4 : left);
    w->size[1] =
        (int)suggest_int(w->trial, "columns", 1, at_most(w->direction[1].outs, at_most(left, COLUMNS_MAX)), columns);
    w->tap_loop = many && w->size[0] == 1 && rows_come_first(w);
}

/* Channels of a unit. Where L1 holds the rows of a block for a few vectors, those go over all rows before the next few:
 * a line comes from L2 once, not once for each row that reads it. Otherwise pixels are the outer loops and all their
 * channels follow each other: lines come in the order of memory, which prefetching sees (33x33x960, 5x5 apart by 2:
 * 0.64 ms, by one vector 1.37). Large windows read a line too often for that. */
static void plan_channels(Window *w)
{
    enum { FEW = 4 };
    int64_t channels;
    w->chunk = w->lanes;
    if (w->copied || !const_is_int(w->lane->inputs[0], &channels))
        return;
    const int64_t vectors = (channels + w->lanes - 1) / w->lanes;
    const int64_t row = w->direction[1].outs * w->direction[1].stride * w->lanes * 4;
    const bool near = FEW * row * window_reach(&w->direction[0], w->size[0]) <= w->target->l1;
    const int64_t groups = near || window_taps(w) > UNROLLED_TAPS ? (vectors + FEW - 1) / FEW : 1;
    w->chunk =
        w->lanes * suggest_int(w->trial, "vectors", 1, at_most(vectors, VECTORS_MAX), (vectors + groups - 1) / groups);
}

/* Units that the axes beside the rows make: images, groups of channels. */
static int64_t other_units(const Window *w)
{
    int64_t units = 1, extent;
    for (int i = 0; i < w->rest_count; i++)
        if (const_is_int(w->rest[i]->inputs[0], &extent) && extent > 0 && units < UNITS)
            units *= extent;
    if (const_is_int(w->lane->inputs[0], &extent) && extent > 0)
        units *= (extent + w->chunk - 1) / w->chunk;
    return units;
}

static void plan_band(Window *w)
{
    const int64_t blocks = window_row_blocks(w);
    int64_t band = blocks;
    while (w->copied && band > 1 &&
           window_reach(&w->direction[0], band * w->size[0]) * w->columns * w->lanes * 4 > BAND_BYTES)
        band = (band + 1) / 2;
    if (!w->copied) {
        const int64_t bands = (UNITS + other_units(w) - 1) / other_units(w);
        band = (blocks + at_most(bands, blocks) - 1) / at_most(bands, blocks);
    }
    w->band = suggest_int(w->trial, "band", 1, blocks, band);
}

/* [row][column][channel of a vector] */
static Node *window_local(Window *w, const char *name, int64_t rows, int64_t columns)
{
    Ir *const ir = w->ir;
    Node *const dims[3] = {index_const(ir, rows), index_const(ir, columns), index_const(ir, w->lanes)};
    return local_make(ir, name, type_tensor(ir, DTYPE_F32, 3, dims), &w->scratch);
}

static void plan_scratch(Window *w)
{
    static const char *const places[] = {"registers", "memory"};
    if (w->copied)
        w->local = window_local(w, "band", window_reach(&w->direction[0], w->band * w->size[0]), w->columns);
    if (!w->shared &&
        suggest_choice(w->trial, "sums", places, 2, stage_has_long_epilogue(w->ir, w->stage, w->reduction)) == 1)
        w->sums = window_local(w, "sums", w->size[0], w->size[1]);
}

/* Steps of sums that are written out. */
static int64_t steps_written(const Window *w)
{
    int64_t outs[WINDOW_SPATIAL] = {0}, channels;
    for (int d = 0; d < WINDOW_SPATIAL; d++)
        for (int i = 0; i < w->segments[d].count; i++)
            outs[d] += w->segments[d].list[i].size;
    const bool whole = w->copied || (const_is_int(w->lane->inputs[0], &channels) && channels % w->lanes == 0);
    return outs[0] * outs[1] * (w->tap_loop ? w->direction[1].taps : window_taps(w)) * (whole ? 1 : 2);
}

/* Code for each block of a border, or, where that is much, loops over them with masks: of rows first. */
static void plan_segments(Window *w)
{
    static const int fixed[][WINDOW_SPATIAL] = {{FIXED_BLOCKS, FIXED_BLOCKS}, {1, FIXED_BLOCKS}, {1, 1}};
    for (int i = 0; i < (int)(sizeof fixed / sizeof *fixed); i++) {
        for (int d = 0; d < WINDOW_SPATIAL; d++)
            w->segments[d] = segments_of(w, &w->direction[d], w->size[d], fixed[i][d]);
        if (steps_written(w) <= STEPS_MAX)
            return;
    }
}

bool window_plan(Window *w)
{
    enum { SCRATCH_MAX = 4 << 20, LANES_MAX = 16, LANES_MIN = 4 };
    static const char *const readings[] = {"direct", "copied"};
    if (!match(w))
        return false;
    const int wide = w->target->vector_bytes / 4;
    w->lanes = wide > LANES_MAX ? LANES_MAX : wide < LANES_MIN ? LANES_MIN : wide;
    w->copied = copy_pays(w);
    if (w->shared && w->copied)
        return false;
    if (!w->shared)
        w->copied = suggest_choice(w->trial, "reading", readings, 2, w->copied) == 1;
    w->columns = window_reach(&w->direction[1], w->direction[1].outs);
    plan_blocks(w);
    plan_channels(w);
    plan_band(w);
    plan_scratch(w);
    plan_segments(w);
    return w->scratch <= SCRATCH_MAX;
}

/* ---- cost ---- */

/* A vector goes to the band in the time of some elements that are copied one by one; steps of sums share their ports
 * with loads; and what a block of outputs takes beside its steps, in cycles. */
static const double vector_copies = 7.5, step_share = 1.2, block_cycles = 16;

double window_plan_cycles(const Window *w, int threads)
{
    const int64_t rows = w->band * w->size[0], blocks = window_row_blocks(w);
    const double columns = (double)((w->direction[1].outs + w->size[1] - 1) / w->size[1]);
    const double taps = (double)window_taps(w);
    const int sums = w->size[0] * w->size[1];
    const double ports = 4 * w->target->multiplies_per_cycle; /* sums wait for each other: four cycles a step */
    const double busy = sums < ports ? ports / sums : 1;
    int64_t units = (blocks + w->band - 1) / w->band, extent;
    const double step = step_share / w->target->multiplies_per_cycle;
    double one = (double)w->band * columns * (step * taps * sums * busy + block_cycles);
    one *= (double)(w->chunk / w->lanes);
    if (w->copied)
        one += vector_copies * w->target->copy_cycles * (double)(window_reach(&w->direction[0], rows) * w->columns);
    if (w->scratch > w->target->l1 / 2)
        one *= 1.2;
    for (int i = 0; i < w->rest_count; i++)
        if (const_is_int(w->rest[i]->inputs[0], &extent) && extent > 0)
            units *= extent;
    if (const_is_int(w->lane->inputs[0], &extent) && extent > 0)
        units *= (extent + w->chunk - 1) / w->chunk;
    return one * (double)((units + threads - 1) / threads);
}
