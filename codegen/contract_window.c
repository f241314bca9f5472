/* Reading A as a window, what can be: see contract_window.h. */
#include "codegen/contract_window.h"

#include "ir/kernel.h"
#include "ir/windowindex.h"

#include <string.h>

/* ---- positions ---- */

/* Adds the direction that an index of A moves in, unless it is there already. False: the index is none of ours. */
static bool add_position(const Contract *c, Window *w, Node *index)
{
    Ir *const ir = c->ir;
    const Node *const contract = c->roles.contract;
    WindowIndex at;
    if (!window_index_of(ir, index, c->roles.m, c->roles.m_count, contract->axes, contract->axis_count, &at))
        return false;
    if (!at.out && !at.tap)
        return true;
    if (!contract_is_plain(ir, at.rest))
        return false;
    WindowPosition p = {.out = at.out,
                        .tap = at.tap,
                        .out_factor = at.stride,
                        .tap_factor = at.dilation,
                        .outs = at.outs,
                        .taps = at.taps};
    /* Places between which nothing is read are left out. */
    const int64_t unit = common_divisor(at.stride, at.dilation);
    p.given = at.stride == unit ? p.out : p.tap;
    p.stride = at.stride / unit;
    p.dilation = at.dilation / unit;
    if ((p.given == p.out ? p.stride : p.dilation) != 1)
        return false;
    for (int i = 0; i < w->count; i++) {
        const WindowPosition *const other = &w->positions[i];
        if (other->out == p.out && other->tap == p.tap && other->stride == p.stride && other->dilation == p.dilation)
            return true;
        if ((p.out && other->out == p.out) || (p.tap && other->tap == p.tap))
            return false;
    }
    if (w->count == POSITIONS_MAX)
        return false;
    w->positions[w->count++] = p;
    return true;
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
    w->operand = node_without_points(ir, c->roles.a, c->roles.m, c->roles.m_count);
    w->operand = node_without_points(ir, w->operand, contract->axes, contract->axis_count);
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
    return index_factor(ir, linear, axis, &pitch, NULL) ? pitch : -1;
}

/* Scratch keeps the order that A has in memory: the copy is then a row after a row. */
static void find_order(const Contract *c, Window *w)
{
    Ir *const ir = c->ir;
    const Node *const read = main_read(c, w);
    Node *const linear = read_offset(ir, read);
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
    w->linear = read_offset(ir, w->read);
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
void contract_window_place(Window *w)
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
void contract_window_runs(const Contract *c, Window *w)
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

/* Does an element of A belong to several rows? Copying whole rows costs no more otherwise, and their tiles may go from
 * one row of pixels to the next. */
static bool rows_overlap(const Window *w)
{
    for (int i = 0; i < w->count; i++)
        if (w->positions[i].out && w->positions[i].taps > 1)
            return true;
    return false;
}

bool contract_window_match(Contract *c)
{
    Window *const w = NEW(c->ir->arena, Window);
    *w = (Window){0};
    if (c->roles.m_count < 1 || !find_positions(c, w) || !main_read(c, w))
        return false;
    find_order(c, w);
    find_directions(c, w);
    c->window = w;
    if (!w->direction[0] || (!rows_overlap(w) && (w->operand->op == OP_guard || !contract_window_in_place(c))))
        return false;
    w->band[0] = w->band[1] = ROWS_MAX; /* what any tile needs */
    contract_window_place(w);
    w->fits = w->bytes <= WINDOW_BYTES_MAX;
    return w->fits || contract_taps_match(c);
}
