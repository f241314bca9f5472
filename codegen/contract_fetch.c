/* What tiles of the contract template fetch before they need it: lines of B, for this tile into L1 and for the next
 * group of columns into L2, and lines of what a tile's result is written to or made of. */
#include "codegen/contract_emit.h"

#include "ir/kernel.h"

void contract_emit_prefetch(Contract *c, Block *block, Node *buffer, Node *offset, int level)
{
    Ir *const ir = c->ir;
    block_append(ir, block,
                 node_make(ir, &(Node){.op = OP_prefetch,
                                       .inputs = (Node *[]){buffer, offset},
                                       .input_count = 2,
                                       .payload.integer = level}));
}

/* Round `number` of `rounds` in turn `turn` of `turns` (which is constant while the rounds run): its first of `lines`
 * lines that are spread over all of them. A multiplication and a shift, so that the rounds of a tile stay short. */
enum { SPREAD_BITS = 16 };

static Node *spread(Ir *ir, Node *turn, int64_t turns, Node *number, int64_t rounds, int64_t lines)
{
    const int64_t share = (lines + turns - 1) / turns, scale = ((share << SPREAD_BITS) + rounds - 1) / rounds;
    Node *const begin = index_floordiv(ir, index_mul(ir, turn, index_const(ir, lines)), index_const(ir, turns));
    Node *const within = index_mul(ir, number, index_const(ir, scale));
    return index_add(ir, begin, index_floordiv(ir, within, index_const(ir, 1 << SPREAD_BITS)));
}

/* Where vector `vector` of row k of B stands: in panels, or as it is in memory. */
static Node *row_offset(Contract *c, const Corner *corner, int vector, Node *k)
{
    Ir *const ir = c->ir;
    Node *const column = index_add(ir, corner->column, index_const(ir, vector * PANEL));
    if (c->read_b == READ_STRIDED)
        return index_add(ir, c->b_rest, index_add(ir, column, index_mul(ir, k, c->b_step)));
    return contract_panel_offset(c, index_floordiv(ir, column, index_const(ir, PANEL)), k);
}

void contract_emit_fetch_row(Contract *c, Block *block, const Corner *corner, int vectors, Node *k, int level)
{
    for (int v = 0; v < vectors; v++)
        contract_emit_prefetch(c, block, c->b_buffer, row_offset(c, corner, v, k), level);
}

void contract_emit_fetch(Contract *c, Block *block, const Corner *corner, int vectors, Node *k)
{
    if (c->fetch)
        contract_emit_fetch_row(c, block, corner, vectors, index_add(c->ir, k, index_const(c->ir, c->fetch)), 1);
}

Node *contract_next_offset(Contract *c, const Unit *unit, Node *group)
{
    Ir *const ir = c->ir;
    Node *const one = index_const(ir, 1), *const zero = index_const(ir, 0), *const after = index_add(ir, group, one);
    Node *const vectors = index_const(ir, c->tile.vectors);
    if (c->next)
        return index_add(ir, contract_panel_offset(c, index_mul(ir, group, vectors), zero), c->next);
    if (!c->partial)
        return contract_panel_offset(c, index_mul(ir, after, vectors), zero);
    Node *const ends = index_max(ir, index_sub(ir, index_add(ir, after, one), unit->last_group), zero); /* 0 or 1 */
    Node *const done = index_max(ir, index_sub(ir, one, index_sub(ir, c->depth, unit->to)), zero);
    Node *const back = index_mul(ir, index_mul(ir, ends, index_sub(ir, one, done)),
                                 index_sub(ir, unit->last_group, unit->first_group));
    Node *const k = index_sub(ir, index_add(ir, unit->from, index_mul(ir, ends, index_sub(ir, unit->to, unit->from))),
                              index_mul(ir, index_mul(ir, ends, done), unit->to));
    return contract_panel_offset(c, index_mul(ir, index_sub(ir, after, back), vectors), k);
}

void contract_emit_ahead(Contract *c, Block *block, const Corner *corner, Node *k)
{
    Ir *const ir = c->ir;
    int64_t known;
    if (!c->ahead)
        return;
    const int64_t lines = c->unroll * c->tile.vectors; /* of a group, for each round of one tile */
    Node *const round = index_const(ir, c->unroll), *depth = c->depth;
    if (c->partial)
        depth = index_const(ir, c->block_depth);
    Node *const rounds = index_floordiv(ir, depth, round);
    Node *const number = index_floordiv(ir, index_sub(ir, k, corner->from), round);
    Node *first = index_mul(ir, index_add(ir, index_mul(ir, corner->tile, rounds), number), index_const(ir, c->ahead));
    /* None twice and none beyond the group, unless that takes more lines than are allowed in each round. */
    if (c->ahead * c->block_tiles >= lines && const_is_int(rounds, &known))
        first = spread(ir, corner->tile, c->block_tiles, number, known, lines * known);
    Node *start = index_add(ir, corner->next, index_mul(ir, first, index_const(ir, PANEL)));
    if (c->partial) { /* a panel has more lines than its block */
        Node *const beyond = index_mul(ir, index_sub(ir, c->depth, depth), index_const(ir, PANEL));
        start = index_add(ir, start, index_mul(ir, index_floordiv(ir, first, depth), beyond));
    }
    for (int i = 0; i < c->ahead; i++)
        contract_emit_prefetch(c, block, c->b_buffer, index_add(ir, start, index_const(ir, i * PANEL)), 2);
}

/* ---- rows of A ---- */

/* While a tile has its turn, the rows of the next one come to L2: they lie behind each other, and many short rows side
 * by side are too many streams for what a machine fetches ahead by itself. */
static void fetch_rows(Contract *c, Block *block, const Corner *corner, Node *number, int64_t rounds)
{
    Ir *const ir = c->ir;
    const int64_t turns = c->block_groups, lines = c->tile.rows * c->guess_depth / PANEL;
    Node *const group = index_floordiv(ir, corner->panel, index_const(ir, c->tile.vectors));
    Node *const line = spread(ir, group, turns, number, rounds, lines);
    Node *const row = index_add(ir, corner->a_row, index_const(ir, c->tile.rows));
    Node *const start = index_add(ir, c->a_rest, index_mul(ir, row, c->a_pitch));
    for (int64_t i = 0; i * turns * rounds < lines; i++)
        contract_emit_prefetch(
            c, block, c->a_buffer,
            index_add(ir, start, index_mul(ir, index_add(ir, line, index_const(ir, i)), index_const(ir, PANEL))), 2);
}

/* ---- results ---- */

/* Is `node` an element whose place depends on rows and columns of the product alone? */
static bool is_beside(const Contract *c, Node *node)
{
    Ir *const ir = c->ir;
    if (node->op != OP_at || is_local(node->inputs[0]) || !node_depends(ir, node, c->roles.n))
        return false;
    for (uint32_t i = 1; i < node->input_count; i++)
        if (!contract_is_plain(ir, node->inputs[i]))
            return false;
    return !node_depends_on_any(ir, node, c->roles.contract->axes, c->roles.contract->axis_count) &&
           node_depends_on_any(ir, node, c->roles.m, c->roles.m_count);
}

/* What a tile's result is written to and made of: buffers and where the tile's elements stand in them. */
enum { BESIDE_MAX = 4 };
typedef struct Beside {
    Node *buffers[BESIDE_MAX], *offsets[BESIDE_MAX];
    int count;
} Beside;

static void add_beside(Contract *c, Beside *beside, Node *buffer, Node *const *indices)
{
    if (beside->count == BESIDE_MAX)
        return;
    beside->buffers[beside->count] = buffer;
    beside->offsets[beside->count++] = layout_offset(c->ir, buffer, indices);
}

static Beside beside_of(Contract *c)
{
    const Node *const stage = c->roles.stage;
    Beside beside = {0};
    int count;
    Node *value = stage_value(stage), **const nodes = nodes_topological(c->ir, &value, 1, &count);
    add_beside(c, &beside, stage_buffer(stage), stage_indices(stage));
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_fold) /* what it reads is not one element */
            return beside;
    for (int i = 0; i < count; i++)
        if (is_beside(c, nodes[i]))
            add_beside(c, &beside, nodes[i]->inputs[0], nodes[i]->inputs + 1);
    return beside;
}

static void fetch_beside(Contract *c, Block *block, const Corner *corner, const Beside *beside, Node *row, Node *column)
{
    Ir *const ir = c->ir;
    for (int i = 0; i < beside->count; i++) {
        Node *const offset = node_substitute(ir, beside->offsets[i], &c->roles.n, (Node *const *)&column, 1);
        contract_emit_prefetch(c, block, beside->buffers[i], contract_at_row(c, corner, offset, row), 2);
    }
}

void contract_emit_result_fetch(Contract *c, Block *block, const Corner *corner, Tile tile)
{
    Ir *const ir = c->ir;
    if (c->fetch_result != FETCH_BEFORE)
        return;
    const Beside beside = beside_of(c);
    if (c->partial)
        block = contract_emit_if(ir, block, scalar2(ir, OP_le, c->depth, corner->to), NULL);
    for (int r = 0; r < tile.rows; r++)
        for (int v = 0; v < tile.vectors; v++)
            fetch_beside(c, block, corner, &beside, index_const(ir, r),
                         index_add(ir, corner->column, index_const(ir, v * PANEL)));
}

void contract_emit_row_fetch(Contract *c, Block *block, const Corner *corner, Node *row, int vectors)
{
    const Beside beside = beside_of(c);
    for (int v = 0; v < vectors; v++)
        fetch_beside(c, block, corner, &beside, row, index_add(c->ir, corner->column, index_const(c->ir, v * PANEL)));
}

/* Some lines of the next tile's result. */
static void fetch_next_result(Contract *c, Block *block, const Corner *corner, Node *number, int64_t rounds)
{
    Ir *const ir = c->ir;
    const Beside beside = beside_of(c);
    const int64_t lines = c->tile.rows * c->tile.vectors;
    Node *const vectors = index_const(ir, c->tile.vectors);
    Node *const first = spread(ir, index_const(ir, 0), 1, number, rounds, lines);
    Node *const down = index_const(ir, c->block_tiles > 1 ? c->tile.rows : 0);
    Node *const right = index_const(ir, c->block_tiles > 1 ? 0 : c->tile.vectors);
    for (int64_t i = 0; i * rounds < lines; i++) {
        Node *const line = index_add(ir, first, index_const(ir, i));
        Node *const vector = index_add(ir, right, index_mod(ir, line, vectors));
        Node *const column = index_add(ir, corner->column, index_mul(ir, vector, index_const(ir, PANEL)));
        fetch_beside(c, block, corner, &beside, index_add(ir, down, index_floordiv(ir, line, vectors)), column);
    }
}

void contract_emit_round_fetch(Contract *c, Block *block, const Corner *corner, Node *k)
{
    Ir *const ir = c->ir;
    const int64_t rounds = c->guess_depth / c->unroll;
    Node *const number = index_floordiv(ir, index_sub(ir, k, corner->from), index_const(ir, c->unroll));
    contract_emit_ahead(c, block, corner, k);
    if (c->fetch_rows)
        fetch_rows(c, block, corner, number, rounds);
    if (c->fetch_result == FETCH_DURING)
        fetch_next_result(c, block, corner, number, rounds);
}
