/* Reading A as a window, the decisions: see contract_window.h. */
#include "codegen/contract_window.h"

#include "ir/kernel.h"

enum { CORE_UNITS = 4, ALIAS_BYTES = 4096 };

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

/* Cycles that B takes from behind L2: once for every box of rows whose input is `keep` bytes. */
static double stream_cycles(const Contract *c, const Window *w, int64_t keep)
{
    const double bytes = (double)(c->guess_depth * c->guess_columns) * 4;
    const int64_t boxes = ceil_divide(w->outs[0] * contract_taps_row_bytes(c), keep);
    return 0.3 * bytes * (double)(w->points * boxes) / c->target->l3_bytes_per_cycle;
}

/* By taps each row of B is read once for all pixels of a unit; else it comes from L2, or from behind it, for each tile.
 */
static bool is_better_by_taps(Contract *c, Window *w)
{
    const int64_t l2 = c->target->l2;
    int64_t tile[WINDOW_DIRECTIONS];
    int vectors = 1;
    double pixels = choose_tile(c, w, tile, &vectors) * (double)(c->guess_depth * w->points);
    if (c->guess_depth * vectors * PANEL * 4 > l2 / 4)
        pixels *= 1.05;
    if (c->guess_depth * c->guess_columns * 4 > l2 / 2)
        pixels += stream_cycles(c, w, l2 * 3 / 8);
    return contract_taps_choose(c, tile, &vectors) + stream_cycles(c, w, l2 * 5 / 8) < pixels;
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

/* Into how many units rows are cut: so many that all cores have some and finish together, while the border is not
 * copied too often. */
static int64_t choose_units(const Contract *c, Window *w)
{
    const int64_t tiles = ceil_divide(w->outs[0], w->tile[0]),
                  cores = c->target->cores > 1 ? (int64_t)c->target->cores : 1;
    int64_t best = 1;
    double least = 1e300;
    for (int64_t units = 1; units <= tiles && units <= 2 * CORE_UNITS * cores; units++) {
        w->band[0] = even_band(w, 0, units);
        contract_window_place(w);
        const int64_t boxes = w->points * ceil_divide(w->outs[0], w->band[0]);
        const double all = (double)(w->points * w->outs[0]), share = w->in_place ? 0 : copy_share(c, w);
        const double rounds = (double)(ceil_divide(boxes, cores) * cores * w->band[0]) / all;
        const double few = boxes < 2 * cores ? 0.2 : 0;
        const double cycles = (1 + share) * (0.5 + 0.5 * (rounds + few));
        if (cycles < least * 0.999) {
            least = cycles;
            best = units;
        }
    }
    return best;
}

int64_t contract_window_groups(const Contract *c, int64_t boxes, int64_t groups, int64_t blocks)
{
    int64_t best = ceil_divide(groups, blocks), least = INT64_MAX;
    if (blocks == 1)
        return groups;
    for (int64_t block = best; block >= 1 && ceil_divide(groups, block) <= 2 * blocks; block--) {
        const int64_t load = ceil_divide(boxes * ceil_divide(groups, block), c->target->cores) * block;
        if (load < least) {
            best = block;
            least = load;
        }
    }
    return best;
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
    int64_t units = 1;
    w->band[1] = w->outs[1];
    if (stays)
        units = choose_units(c, w);
    w->band[0] = even_band(w, 0, units);
    contract_window_place(w);
    for (; w->bytes > keep && w->band[0] > w->tile[0]; contract_window_place(w))
        w->band[0] = even_band(w, 0, ++units);
    for (int64_t parts = 1; w->bytes > keep && w->band[1] > w->tile[1]; contract_window_place(w))
        w->band[1] = even_band(w, 1, ++parts);
    for (int d = 0; d < WINDOW_DIRECTIONS; d++) {
        const int64_t tiles = ceil_divide(w->outs[d], w->tile[d]);
        const int64_t standard = ceil_divide(w->band[d], w->tile[d]);
        w->band[d] = suggest_int(c->trial, d ? "band_columns" : "band", 1, tiles, standard) * w->tile[d];
        w->band[d] = w->band[d] < w->outs[d] ? w->band[d] : w->outs[d];
    }
    contract_window_place(w);
    const int64_t boxes = w->points * ceil_divide(w->outs[0], w->band[0]) * ceil_divide(w->outs[1], w->band[1]);
    int64_t blocks = stays ? 1 : ceil_divide(CORE_UNITS * c->target->cores, boxes);
    blocks = blocks < groups ? blocks : groups;
    c->block_groups = suggest_int(c->trial, "groups", 1, groups, contract_window_groups(c, boxes, groups, blocks));
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
        w->in_place = true;
        const bool aliases = contract_window_pitch(c, w->direction[1] ? 1 : 0) * 4 % ALIAS_BYTES == 0;
        w->in_place = suggest_choice(c->trial, "copy", copies, 2, aliases) == 0;
    }
    plan_units(c, w);
    contract_window_runs(c, w);
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
    c->a_local = w->bytes <= WINDOW_BYTES_MAX ? contract_local(c, "window", w->count, dims) : NULL;
    return c->a_local != NULL;
}

bool contract_window_plan_within(Contract *c)
{
    Window *const w = c->window;
    if (c->tile.rows || w->points != 1 || w->operand->op == OP_guard || !contract_window_in_place(c) ||
        !const_is_int(c->depth, &c->guess_depth) || !const_is_int(c->roles.columns, &c->guess_columns))
        return false;
    w->in_place = true;
    plan_tile(c, w);
    for (int d = 0; d < WINDOW_DIRECTIONS; d++) {
        w->band[d] = w->outs[d];
        w->first[d] = index_const(c->ir, 0);
        w->last[d] = index_const(c->ir, w->outs[d]);
    }
    contract_window_place(w);
    contract_window_runs(c, w);
    plan_rounds(c, w);
    c->a_buffer = w->read->inputs[0];
    return true;
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
    return contract_thread_cycles(c, cycles, boxes * blocks, threads);
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
