/* Reading A as a window, the decisions: see contract_window.h. */
#include "codegen/contract_window.h"

#include "ir/kernel.h"

#include <string.h>

enum { SCRATCH_MAX = 4 << 20, CORE_UNITS = 4 };

static int64_t ceil_divide(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* ---- positions ---- */

/* The one axis of `axes` that the index moves with; false when it moves with several. */
static bool only_axis(Ir *ir, Node *index, Node *const *axes, int count, Node **found)
{
    *found = NULL;
    for (int i = 0; i < count; i++) {
        if (index_is(axes[i]->inputs[0], 1) || !node_depends(ir, index, axes[i]))
            continue;
        if (*found)
            return false;
        *found = axes[i];
    }
    return true;
}

/* index = factor*axis + rest with a constant positive factor; an axis that is NULL has the factor 0. */
static bool positive_factor(Ir *ir, Node *index, Node *axis, int64_t *factor, Node **rest)
{
    *factor = 0;
    *rest = index;
    if (!axis)
        return true;
    Node *const coefficient = index_coefficient(ir, index, axis, rest);
    return coefficient && const_is_int(coefficient, factor) && *factor > 0;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int64_t points_of(const Node *axis)
{
    int64_t points = 1;
    if (axis && !const_is_int(axis->inputs[0], &points))
        return 0;
    return points;
}

/* Adds the direction that an index of A moves in, unless it is there already. False: the index is none of ours. */
static bool add_position(const Contract *c, Window *w, Node *index)
{
    Ir *const ir = c->ir;
    const Node *const contract = c->roles.contract;
    WindowPosition p = {0};
    Node *rest;
    if (!only_axis(ir, index, c->roles.m, c->roles.m_count, &p.out) ||
        !only_axis(ir, index, contract->axes, contract->axis_count, &p.tap))
        return false;
    if (!p.out && !p.tap)
        return true;
    if (!positive_factor(ir, index, p.out, &p.stride, &rest) || !positive_factor(ir, rest, p.tap, &p.dilation, &rest) ||
        !contract_is_plain(ir, rest))
        return false;
    for (int i = 0; i < c->roles.m_count; i++)
        if (node_depends(ir, rest, c->roles.m[i]))
            return false;
    p.out_factor = p.stride;
    p.tap_factor = p.dilation;
    /* Places between which nothing is read are left out. */
    const int64_t unit = common_divisor(p.stride, p.dilation);
    p.given = p.stride == unit ? p.out : p.tap;
    p.stride /= unit;
    p.dilation /= unit;
    if ((p.given == p.out ? p.stride : p.dilation) != 1)
        return false;
    p.outs = points_of(p.out);
    p.taps = points_of(p.tap);
    for (int i = 0; i < w->count; i++) {
        const WindowPosition *const other = &w->positions[i];
        if (other->out == p.out && other->tap == p.tap && other->stride == p.stride && other->dilation == p.dilation)
            return true;
        if ((p.out && other->out == p.out) || (p.tap && other->tap == p.tap))
            return false;
    }
    if (w->count == POSITIONS_MAX || p.outs < 1 || p.taps < 1)
        return false;
    w->positions[w->count++] = p;
    return true;
}

/* `node` with those of the axes that have one point at 0. */
static Node *without_points(Ir *ir, Node *node, Node *const *axes, int count)
{
    Node *const zero = index_const(ir, 0);
    for (int i = 0; i < count; i++)
        if (index_is(axes[i]->inputs[0], 1))
            node = node_substitute(ir, node, &axes[i], (Node *const *)&zero, 1);
    return node;
}

static bool is_covered(const Window *w, const Node *axis)
{
    bool found = index_is(axis->inputs[0], 1);
    for (int i = 0; i < w->count; i++)
        found = found || w->positions[i].out == axis || w->positions[i].tap == axis;
    return found;
}

/* Does A say nothing about its axes but the positions? Then they may be replaced by one number per direction. */
static bool is_closed(const Contract *c, const Window *w, Node *const *indices, int count)
{
    Ir *const ir = c->ir;
    Node *operand = w->operand;
    for (int i = 0; i < count; i++) {
        Node *const stand_in = axis_make(ir, "place", NULL);
        operand = node_substitute(ir, operand, &indices[i], (Node *const *)&stand_in, 1);
    }
    for (int i = 0; i < w->count; i++)
        if ((w->positions[i].out && node_depends(ir, operand, w->positions[i].out)) ||
            (w->positions[i].tap && node_depends(ir, operand, w->positions[i].tap)))
            return false;
    return true;
}

enum { INDICES_MAX = 64 };

static bool find_positions(const Contract *c, Window *w)
{
    Ir *const ir = c->ir;
    const Node *const contract = c->roles.contract;
    Node *moving[INDICES_MAX];
    int count, found = 0;
    w->operand = without_points(ir, c->roles.a, c->roles.m, c->roles.m_count);
    w->operand = without_points(ir, w->operand, contract->axes, contract->axis_count);
    Node **const nodes = nodes_topological(ir, &w->operand, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op == OP_bound || nodes[i]->op == OP_fold || nodes[i]->op == OP_contract)
            return false;
        for (uint32_t j = 1; nodes[i]->op == OP_at && j < nodes[i]->input_count; j++) {
            if (found == INDICES_MAX || !add_position(c, w, nodes[i]->inputs[j]))
                return false;
            if (nodes[i]->inputs[j]->op != OP_const)
                moving[found++] = nodes[i]->inputs[j];
        }
    }
    for (int i = 0; i < c->roles.m_count; i++)
        if (!is_covered(w, c->roles.m[i]))
            return false;
    for (int i = 0; i < contract->axis_count; i++)
        if (!is_covered(w, contract->axes[i]))
            return false;
    return is_closed(c, w, moving, found);
}

/* ---- memory ---- */

/* The read of A that moves in most directions. */
static Node *main_read(const Contract *c, const Window *w)
{
    Ir *const ir = c->ir;
    Node *best = NULL, *operand = w->operand;
    int count, most = 0;
    Node **const nodes = nodes_topological(ir, &operand, 1, &count);
    for (int i = 0; i < count; i++) {
        int moves = 0;
        for (int p = 0; p < w->count && nodes[i]->op == OP_at; p++)
            moves += node_depends(ir, nodes[i], w->positions[p].given);
        if (moves > most) {
            most = moves;
            best = nodes[i];
        }
    }
    return best;
}

static int64_t pitch_along(Ir *ir, Node *linear, Node *axis)
{
    int64_t pitch;
    Node *const factor = index_coefficient(ir, linear, axis, NULL);
    return factor && const_is_int(factor, &pitch) ? pitch : -1;
}

/* Scratch keeps the order that A has in memory: the copy is then a row after a row. */
static void find_order(const Contract *c, Window *w)
{
    Ir *const ir = c->ir;
    const Node *const read = main_read(c, w);
    Node *const linear = layout_offset(ir, read->inputs[0], read->inputs + 1);
    int64_t pitch[POSITIONS_MAX];
    for (int i = 0; i < w->count; i++) {
        const int64_t mine = pitch[i] = pitch_along(ir, linear, w->positions[i].given);
        int at = i;
        for (; at > 0 && pitch[w->order[at - 1]] < mine; at--)
            w->order[at] = w->order[at - 1];
        w->order[at] = i;
    }
}

bool contract_window_in_place(Contract *c)
{
    Ir *const ir = c->ir;
    Window *const w = c->window;
    w->read = w->operand->op == OP_guard ? w->operand->inputs[1] : w->operand;
    if (w->read->op != OP_at || w->read->type.dtype != DTYPE_F32)
        return false;
    w->linear = layout_offset(ir, w->read->inputs[0], w->read->inputs + 1);
    for (int i = 0; i < w->count; i++)
        if ((w->positions[i].out && pitch_along(ir, w->linear, w->positions[i].out) < 0) ||
            (w->positions[i].tap && pitch_along(ir, w->linear, w->positions[i].tap) < 0))
            return false;
    return true;
}

/* The last two axes of rows are those that tiles extend along; a single one is the rows. */
static void find_directions(const Contract *c, Window *w)
{
    int left = WINDOW_DIRECTIONS, moving = 0;
    for (int i = 0; i < c->roles.m_count; i++)
        moving += !index_is(c->roles.m[i]->inputs[0], 1);
    if (moving == 1)
        left = 1;
    w->outs[0] = w->outs[1] = w->points = 1;
    for (int i = c->roles.m_count - 1; i >= 0; i--)
        for (int p = 0; p < w->count; p++) {
            WindowPosition *const position = &w->positions[p];
            if (position->out != c->roles.m[i])
                continue;
            position->band = 1;
            if (left == 0) {
                w->points *= position->outs;
                continue;
            }
            w->direction[--left] = position;
            w->outs[left] = position->outs;
        }
}

static int64_t places(const WindowPosition *position, int64_t outs)
{
    return (outs - 1) * position->stride + (position->taps - 1) * position->dilation + 1;
}

enum { ALIAS_BYTES = 1024, PAD = 16 };

/* Places and pitches of scratch for units of w->band. Pixels at a distance that caches map to few sets get a line more
 * between them. */
static void place_scratch(Window *w)
{
    int64_t pitch = 1;
    for (int d = 0; d < WINDOW_DIRECTIONS; d++)
        if (w->direction[d])
            w->direction[d]->band = w->band[d];
    for (int i = w->count - 1; i >= 0; i--) {
        WindowPosition *const position = &w->positions[w->order[i]];
        position->places = places(position, position->out ? position->band : 1);
        if (position == w->direction[1] && pitch * 4 % ALIAS_BYTES == 0)
            pitch += PAD;
        position->pitch = pitch;
        pitch *= position->places;
    }
    w->bytes = pitch * 4;
}

int64_t contract_window_pitch(const Contract *c, int d)
{
    const Window *const w = c->window;
    if (!w->direction[d])
        return 0;
    return w->in_place ? pitch_along(c->ir, w->linear, w->direction[d]->out)
                       : w->direction[d]->stride * w->direction[d]->pitch;
}

int64_t contract_window_tap_pitch(const Contract *c, const WindowPosition *position)
{
    const Window *const w = c->window;
    return w->in_place ? pitch_along(c->ir, w->linear, position->tap) : position->dilation * position->pitch;
}

/* Reduced axes, those that memory runs along as along one together. */
static void find_runs(const Contract *c, Window *w)
{
    const Node *const contract = c->roles.contract;
    w->run_count = 0;
    for (int i = 0; i < contract->axis_count; i++)
        for (int p = 0; p < w->count; p++) {
            if (w->positions[p].tap != contract->axes[i])
                continue;
            const WindowRun run = {w->positions[p].taps, contract_window_tap_pitch(c, &w->positions[p])};
            WindowRun *const before = w->run_count ? &w->runs[w->run_count - 1] : NULL;
            if (before && before->pitch == run.pitch * run.extent)
                *before = (WindowRun){before->extent * run.extent, run.pitch};
            else
                w->runs[w->run_count++] = run;
        }
    if (!w->run_count)
        w->runs[w->run_count++] = (WindowRun){1, 0};
}

bool contract_window_match(Contract *c)
{
    Window *const w = NEW(c->ir->arena, Window);
    *w = (Window){0};
    if (c->roles.m_count < 1 || !find_positions(c, w) || !main_read(c, w))
        return false;
    find_order(c, w);
    find_directions(c, w);
    if (!w->direction[0])
        return false;
    w->band[0] = w->band[1] = ROWS_MAX; /* what any tile needs */
    place_scratch(w);
    c->window = w;
    w->fits = w->bytes <= SCRATCH_MAX;
    return w->fits || contract_taps_match(c);
}

/* ---- the plan ---- */

/* Cycles of one step of k over all pixels and columns in tiles of rows x columns pixels and v vectors. */
static double product_cycles(const Contract *c, const Window *w, int64_t rows, int64_t columns, int v)
{
    const int64_t panels = ceil_divide(c->guess_columns, PANEL);
    double cycles = 0;
    for (int part = 0; part < 8; part++) {
        const int64_t high = part & 1 ? w->outs[0] % rows : rows, wide = part & 2 ? w->outs[1] % columns : columns;
        const int64_t vectors = part & 4 ? panels % v : v;
        const int64_t times =
            (part & 1 ? 1 : w->outs[0] / rows) * (part & 2 ? 1 : w->outs[1] / columns) * (part & 4 ? 1 : panels / v);
        if (high && wide && vectors)
            cycles += (double)times * contract_tile_cycles(c->target, high * wide, vectors);
    }
    return cycles;
}

/* The tile with the least work. */
static double choose_tile(const Contract *c, const Window *w, int64_t best[WINDOW_DIRECTIONS], int *vectors)
{
    const int64_t panels = ceil_divide(c->guess_columns, PANEL);
    double least = 1e300;
    for (int v = 1; v <= VECTORS_MAX && v <= panels; v++)
        for (int64_t rows = 1; rows <= w->outs[0] && rows <= ROWS_MAX - 2; rows++)
            for (int64_t columns = 1; columns <= w->outs[1] && rows * columns <= ROWS_MAX - 2; columns++) {
                if (!contract_tile_fits(c->target, (int)(rows * columns), v))
                    continue;
                const double cycles = product_cycles(c, w, rows, columns, v);
                if (cycles >= least * 0.999)
                    continue;
                least = cycles;
                best[0] = rows;
                best[1] = columns;
                *vectors = v;
            }
    return least;
}

/* By taps each row of B is read once for all pixels of a unit; else it comes from L2, or from behind it, for each tile.
 */
static bool is_better_by_taps(Contract *c, Window *w)
{
    int64_t tile[WINDOW_DIRECTIONS];
    int vectors = 1;
    const double pixels = choose_tile(c, w, tile, &vectors) * (double)(c->guess_depth * w->points);
    const bool far = c->guess_depth * vectors * PANEL * 4 > c->target->l2 / 4;
    return contract_taps_choose(c, tile, &vectors) < pixels * (far ? 1.05 : 1);
}

static void plan_tile(Contract *c, Window *w)
{
    const int64_t panels = ceil_divide(c->guess_columns, PANEL);
    int64_t best[WINDOW_DIRECTIONS] = {1, 1};
    int vectors = 1, most_vectors = 1, most = 1;
    if (w->by_taps)
        contract_taps_choose(c, best, &vectors);
    else
        choose_tile(c, w, best, &vectors);
    while (most_vectors < VECTORS_MAX && most_vectors < panels && contract_tile_fits(c->target, 1, most_vectors + 1))
        most_vectors++;
    c->tile.vectors = (int)suggest_int(c->trial, "vectors", 1, most_vectors, vectors);
    while (most < ROWS_MAX - 2 && contract_tile_fits(c->target, most + 1, c->tile.vectors))
        most++;
    int64_t high = most < w->outs[0] ? most : w->outs[0];
    w->tile[0] = suggest_int(c->trial, "rows", 1, high, best[0] < high ? best[0] : high);
    high = most / w->tile[0] < w->outs[1] ? most / w->tile[0] : w->outs[1];
    w->tile[1] = suggest_int(c->trial, "columns", 1, high, best[1] < high ? best[1] : high);
    c->tile.rows = (int)(w->tile[0] * w->tile[1]);
}

/* Part of the unit's work that copying its input is. */
static double copy_share(const Contract *c, const Window *w)
{
    const double product =
        (double)(w->band[0] * w->band[1] * c->guess_depth * ceil_divide(c->guess_columns, PANEL)) / 2;
    return c->target->copy_cycles * (double)w->bytes / 4 / product;
}

/* How many tiles a unit is long in direction d, so that about `units` units come out. */
static int64_t even_band(const Window *w, int d, int64_t units)
{
    const int64_t tiles = ceil_divide(w->outs[d], w->tile[d]);
    const int64_t band = ceil_divide(tiles, units < 1 ? 1 : units > tiles ? tiles : units) * w->tile[d];
    return band < w->outs[d] ? band : w->outs[d];
}

/* A unit is a box of pixels and a block of groups of columns. A B that stays in L2 is used whole by each unit, and
 * units are as low as copying their border allows; a larger one is streamed once per box, so boxes are as high as L2
 * keeps their input, and columns are cut to have units enough. */
static void plan_units(Contract *c, Window *w)
{
    const int64_t groups = ceil_divide(c->guess_columns, c->tile.vectors * PANEL);
    const int64_t b_bytes = c->guess_depth * ceil_divide(c->guess_columns, PANEL) * PANEL * 4;
    const bool stays = b_bytes <= c->target->l2 / 2;
    const int64_t keep = c->target->l2 * 3 / 8;
    int64_t units = stays ? ceil_divide(CORE_UNITS * c->target->cores, w->points) : 1;
    w->band[1] = w->outs[1];
    w->band[0] = even_band(w, 0, units);
    place_scratch(w);
    for (; stays && !w->in_place && units > 1 && copy_share(c, w) > 0.04; place_scratch(w))
        w->band[0] = even_band(w, 0, units /= 2);
    for (; w->bytes > keep && w->band[0] > w->tile[0]; place_scratch(w))
        w->band[0] = even_band(w, 0, ++units);
    for (int64_t parts = 1; w->bytes > keep && w->band[1] > w->tile[1]; place_scratch(w))
        w->band[1] = even_band(w, 1, ++parts);
    for (int d = 0; d < WINDOW_DIRECTIONS; d++) {
        const int64_t tiles = ceil_divide(w->outs[d], w->tile[d]);
        const int64_t standard = ceil_divide(w->band[d], w->tile[d]);
        w->band[d] = suggest_int(c->trial, d ? "band_columns" : "band", 1, tiles, standard) * w->tile[d];
        w->band[d] = w->band[d] < w->outs[d] ? w->band[d] : w->outs[d];
    }
    place_scratch(w);
    const int64_t boxes = w->points * ceil_divide(w->outs[0], w->band[0]) * ceil_divide(w->outs[1], w->band[1]);
    int64_t blocks = stays ? 1 : ceil_divide(CORE_UNITS * c->target->cores, boxes);
    blocks = blocks < groups ? blocks : groups;
    c->block_groups = suggest_int(c->trial, "groups", 1, groups, ceil_divide(groups, blocks));
    c->block_tiles = ceil_divide(w->band[0], w->tile[0]) * ceil_divide(w->band[1], w->tile[1]);
    c->ahead = stays ? 0 : 1;
}

/* Elements from one step of the runs from `first` on to a later one. */
static int64_t step_offset(const Window *w, int first, int64_t step)
{
    int64_t offset = 0;
    for (int r = w->run_count - 1; r > first; r--) {
        offset += step % w->runs[r].extent * w->runs[r].pitch;
        step /= w->runs[r].extent;
    }
    return first < w->run_count ? offset + step * w->runs[first].pitch : offset;
}

/* Do the pixels of a tile read an element twice within so many steps? LLVM would keep it in a register, which the sums
 * need. */
static bool reads_twice(const Contract *c, const Window *w, int first, int64_t steps)
{
    int64_t across[WINDOW_DIRECTIONS] = {0};
    for (int d = 0; d < WINDOW_DIRECTIONS; d++)
        if (w->direction[d])
            across[d] = contract_window_pitch(c, d);
    for (int64_t step = 1; step < steps; step++)
        for (int64_t before = 0; before < step; before++) {
            const int64_t far = step_offset(w, first, step) - step_offset(w, first, before);
            for (int64_t i = 1 - w->tile[0]; i < w->tile[0]; i++)
                for (int64_t j = 1 - w->tile[1]; j < w->tile[1]; j++)
                    if (i * across[0] + j * across[1] == far)
                        return true;
        }
    return false;
}

/* Steps of k in one round, and what is fetched in it. */
static void plan_rounds(Contract *c, Window *w)
{
    const int64_t group_bytes = c->guess_depth * c->tile.vectors * PANEL * 4;
    const int last = w->run_count - 1;
    w->unrolled = w->run_count;
    c->unroll = 1;
    while (w->unrolled > 0 && c->unroll * w->runs[w->unrolled - 1].extent <= RUN_STEPS_MAX &&
           !reads_twice(c, w, w->unrolled - 1, c->unroll * w->runs[w->unrolled - 1].extent))
        c->unroll *= (int)w->runs[--w->unrolled].extent;
    if (w->unrolled == w->run_count) {
        w->unrolled = last;
        c->unroll = w->runs[last].extent < UNROLL ? (int)w->runs[last].extent : UNROLL;
        while (c->unroll > 1 && reads_twice(c, w, last, c->unroll))
            c->unroll--;
        const int most = w->runs[last].extent < UNROLL_MAX ? (int)w->runs[last].extent : UNROLL_MAX;
        c->unroll = (int)suggest_int(c->trial, "unroll", 1, most, c->unroll);
    }
    if (c->read_b != READ_PANELS) {
        c->ahead = 0;
        return;
    }
    const int fetch = group_bytes <= c->target->l1 / 2 ? 0 : PREFETCH_ROWS;
    c->fetch = (int)suggest_int(c->trial, "fetch", 0, FETCH_MAX, fetch);
    const int most = 2 * c->tile.vectors;
    int64_t ahead = c->ahead ? ceil_divide(c->unroll * c->tile.vectors, c->block_tiles) : 0;
    if (ahead > most)
        ahead = 0; /* too few tiles to spread the lines over */
    c->ahead = (int)suggest_int(c->trial, "ahead", 0, most, ahead);
}

bool contract_window_plan(Contract *c)
{
    static const char *const copies[] = {"no", "yes"}, *const orders[] = {"pixels", "taps"};
    Ir *const ir = c->ir;
    Window *const w = c->window;
    Node *dims[POSITIONS_MAX];
    if (contract_taps_match(c)) {
        w->in_place = true;
        w->by_taps = !w->fits || suggest_choice(c->trial, "order", orders, 2, is_better_by_taps(c, w)) == 1;
        w->in_place = w->by_taps;
    }
    plan_tile(c, w);
    if (w->by_taps)
        return contract_taps_plan(c);
    if (w->operand->op != OP_guard && contract_window_in_place(c)) {
        const WindowPosition *const along = w->direction[1] ? w->direction[1] : w->direction[0];
        const bool aliases = pitch_along(ir, w->linear, along->out) * 4 % (ALIAS_BYTES * 2) == 0;
        w->in_place = suggest_choice(c->trial, "copy", copies, 2, aliases) == 0;
    }
    plan_units(c, w);
    find_runs(c, w);
    plan_rounds(c, w);
    if (w->in_place) {
        c->a_buffer = w->read->inputs[0];
        return true;
    }
    for (int i = 0; i < w->count; i++) {
        const WindowPosition *const outer = i ? &w->positions[w->order[i - 1]] : NULL;
        dims[i] =
            index_const(ir, outer ? outer->pitch / w->positions[w->order[i]].pitch : w->positions[w->order[i]].places);
    }
    c->a_local = w->bytes <= SCRATCH_MAX ? contract_local(c, "window", w->count, dims) : NULL;
    return c->a_local != NULL;
}

double contract_window_cycles(const Contract *c, int threads)
{
    Window *const w = c->window;
    const int64_t groups = ceil_divide(c->guess_columns, c->tile.vectors * PANEL);
    const int64_t boxes = w->points * ceil_divide(w->outs[0], w->band[0]) * ceil_divide(w->outs[1], w->band[1]);
    const int64_t tiles = ceil_divide(w->outs[0], w->tile[0]) * ceil_divide(w->outs[1], w->tile[1]) * groups;
    const int64_t blocks = ceil_divide(groups, c->block_groups);
    const double b_bytes = (double)(c->guess_depth * c->guess_columns) * 4;
    double cycles = w->by_taps ? contract_taps_cycles(c)
                               : (double)(w->points * c->guess_depth) *
                                     product_cycles(c, w, w->tile[0], w->tile[1], c->tile.vectors);
    cycles += c->target->round_cycles * (double)(w->points * tiles) * (double)ceil_divide(c->guess_depth, c->unroll);
    if (!w->in_place)
        cycles += c->target->copy_cycles * (double)w->bytes / 4 * (double)boxes;
    if (b_bytes > (double)c->target->l2 / 2)
        cycles += (c->ahead ? 0.3 : 1.0) * b_bytes * (double)boxes / c->target->l3_bytes_per_cycle;
    int64_t units = boxes * blocks, extent;
    for (int i = 0; i < c->roles.batch_count; i++)
        if (const_is_int(c->roles.batch[i]->inputs[0], &extent) && extent > 0) {
            units *= extent;
            cycles *= (double)extent;
        }
    return cycles * (double)ceil_divide(units, threads) / (double)units;
}

const char *contract_window_text(const Contract *c)
{
    const Window *const w = c->window;
    return arena_format(c->ir->arena,
                        "contract rows=%d vectors=%d tile=%lldx%lld band=%lldx%lld groups=%lld ahead=%d unroll=%d "
                        "fetch=%d a=%s b=%s",
                        c->tile.rows, c->tile.vectors, (long long)w->tile[0], (long long)w->tile[1],
                        (long long)w->band[0], (long long)w->band[1], (long long)c->block_groups, c->ahead, c->unroll,
                        c->fetch,
                        w->by_taps    ? "taps"
                        : w->in_place ? "window in place"
                                      : "window",
                        c->read_b == READ_PANELS ? "panels" : "strided");
}
