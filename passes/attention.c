/* Attention: the product that makes scores, the softmax over them and the product with the values become one kernel
 * whose scores stay in scratch, a row of them as stages say it.
 *
 *     s[j] = epilogue(sum_k q[i,k] k[j,k])          scale, masks and biases are its epilogue already
 *     m = max s[j];  e[j] = exp(s[j] - m);  t = sum e[j]
 *     o[i,d] = (sum_j e[j] v[j,d]) / t
 *
 * Where bits may change a quotient of the rows is taken after the second product, d times instead of j times; with
 * --math exact the weights are divided first, as the operators say it. The softmax is recognised by what it reads and
 * writes: any stages over whole rows between two products will do. Templates keep several rows and multiply in tiles;
 * machines without them keep the kernels apart. */
#include "ir/kernel.h"
#include "passes/access.h"
#include "passes/pass.h"

#include <string.h>

/* Scores of a row, and what a template may copy of keys and values. */
enum { STAGES_MAX = 10, MAPS_MAX = 4, MEMBERS_MAX = MAPS_MAX + 3, ROW_BYTES_MAX = 64 << 10, COPY_BYTES_MAX = 4 << 20 };

typedef struct Finder {
    PassContext *context;
    Ir *ir;
    Block *body;
    Accesses accesses;
} Finder;

/* The three kernels and what they hand on. */
typedef struct Attention {
    int first, rows, last; /* kernel numbers */
    Node *scores, *weights;
    Node *axes[RANK_MAX]; /* of the rows, those of one element left out; the last is the query's */
    int axis_count;
    Node *stages[STAGES_MAX];
    int count;
    int maps[MAPS_MAX]; /* kernels whose expressions went into the first product */
    int map_count;
    int64_t scratch;
} Attention;

static Block *stages_of(const Finder *finder, int number)
{
    return kernel_stages(finder->body->nodes[number]);
}

/* Written by one kernel and read by one: nobody else misses it. */
static bool is_between(const Finder *finder, const Node *buffer)
{
    const Access access = access_of(&finder->accesses, buffer);
    return buffer->payload.buffer->place == PLACE_TEMP && !buffer->payload.buffer->alias && buffer->type.rank >= 2 &&
           buffer->type.dtype == DTYPE_F32 && access.writers == 1 && access.readers == 1;
}

/* The only stage of a kernel, around a product. */
static Node *product_stage(const Finder *finder, int number)
{
    if (number < 0)
        return NULL;
    const Block *const stages = stages_of(finder, number);
    if (stages->count != 1 || kernel_has_order(finder->body->nodes[number]) ||
        !value_contracts(finder->ir, stage_value(stages->nodes[0])))
        return NULL;
    return stages->nodes[0];
}

/* The kernel of whole rows: which temporary its stages read row by row, and that the last stage writes rows of it. */
static bool match_rows(Finder *finder, Attention *attention)
{
    Ir *const ir = finder->ir;
    const Node *const kernel = finder->body->nodes[attention->rows];
    const Block *const stages = kernel_stages(kernel);
    if (stages->count < 2 || stages->count + 2 > STAGES_MAX || kernel_has_order(kernel))
        return false;
    const Node *const last = stages->nodes[stages->count - 1];
    attention->weights = stage_buffer(last);
    const int rank = attention->weights->type.rank;
    if (!is_between(finder, attention->weights) || last->axis_count != rank)
        return false;
    for (int i = 0; i < rank; i++)
        if (stage_indices(last)[i] != last->axes[i])
            return false;
    for (int s = 0; s < stages->count; s++) {
        const Node *const stage = stages->nodes[s];
        if (value_contracts(ir, stage_value(stage)) || stage->axis_count < rank - 1 ||
            (s + 1 < stages->count && !is_local(stage_buffer(stage))))
            return false;
        for (int i = 0; i < rank - 1; i++)
            if (stage->axes[i] != last->axes[i])
                return false;
    }
    int count;
    Node **const reads = kernel_reads(ir, kernel, &count);
    attention->scores = NULL;
    for (int i = 0; i < count && !attention->scores; i++) {
        const int writer = access_of(&finder->accesses, reads[i]).writer;
        if (is_between(finder, reads[i]) && reads[i]->type.rank == rank && product_stage(finder, writer)) {
            attention->scores = reads[i];
            attention->first = writer;
        }
    }
    return attention->scores && attention->scores->type.dims[rank - 1] == attention->weights->type.dims[rank - 1];
}

/* Are all reads of the scores of the row at hand? */
static bool reads_own_rows(Finder *finder, const Attention *attention)
{
    const Block *const stages = stages_of(finder, attention->rows);
    for (int s = 0; s < stages->count; s++) {
        Node *value = stage_value(stages->nodes[s]);
        int count;
        Node **const nodes = nodes_topological(finder->ir, &value, 1, &count);
        for (int i = 0; i < count; i++) {
            if (nodes[i]->op != OP_at || nodes[i]->inputs[0] != attention->scores)
                continue;
            const int rank = attention->scores->type.rank;
            for (int d = 0; d < rank - 1; d++)
                if (nodes[i]->inputs[1 + d] != stages->nodes[s]->axes[d])
                    return false;
            if (nodes[i]->inputs[rank]->op != OP_axis)
                return false;
        }
    }
    return true;
}

static Node *row_buffer(Finder *finder, Attention *attention, const Node *like)
{
    Node *const dim = like->type.dims[like->type.rank - 1];
    int64_t elements;
    if (!const_is_int(dim, &elements) || elements < 1 || elements * 4 > ROW_BYTES_MAX)
        return NULL;
    attention->scratch = (attention->scratch + 63) / 64 * 64;
    return local_make(finder->ir, like->payload.buffer->name, type_tensor(finder->ir, DTYPE_F32, 1, &dim),
                      &attention->scratch);
}

/* The rows' axes; those of one element stand for 0 and are left out, as readers write them so. */
static bool choose_axes(Finder *finder, Attention *attention, Node **zeros, int *zero_count)
{
    const Block *const stages = stages_of(finder, attention->rows);
    const Node *const last = stages->nodes[stages->count - 1];
    int64_t queries;
    for (int i = 0; i < last->axis_count - 1; i++) {
        if (index_is(last->axes[i]->inputs[0], 1))
            zeros[(*zero_count)++] = last->axes[i];
        else
            attention->axes[attention->axis_count++] = last->axes[i];
    }
    const Node *const query = last->axes[last->axis_count - 2];
    return attention->axis_count > 0 && attention->axes[attention->axis_count - 1] == query &&
           const_is_int(query->inputs[0], &queries);
}

static bool append(Attention *attention, Node *stage)
{
    if (attention->count == STAGES_MAX)
        return false;
    attention->stages[attention->count++] = stage;
    return true;
}

/* The number of the kernel that writes `buffer` for the first product alone, element by element; -1: it is none. */
static int map_before(const Finder *finder, const Attention *attention, Node *buffer)
{
    const int writer = access_of(&finder->accesses, buffer).writer;
    if (!is_between(finder, buffer) || access_of(&finder->accesses, buffer).reader != attention->first)
        return -1;
    const Block *const stages = stages_of(finder, writer);
    if (stages->count != 1 || kernel_has_order(finder->body->nodes[writer]))
        return -1;
    Node *const stage = stages->nodes[0], *value = stage_value(stage);
    if (stage->axis_count != buffer->type.rank || value->type.dtype != DTYPE_F32)
        return -1;
    for (int i = 0; i < buffer->type.rank; i++)
        if (stage_indices(stage)[i] != stage->axes[i])
            return -1;
    int count;
    Node **const nodes = nodes_topological(finder->ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->op == OP_fold || nodes[i]->op == OP_contract || nodes[i]->op == OP_bound)
            return -1;
    return writer;
}

/* The operand with maps that it alone reads (a scale, a transpose) in place of their results: keys and queries are
 * copied anyhow, once each. */
static Node *with_maps(Finder *finder, Attention *attention, Node *operand)
{
    Ir *const ir = finder->ir;
    int count;
    Node **const nodes = nodes_topological(ir, &operand, 1, &count);
    for (int i = 0; i < count; i++) {
        const int number = nodes[i]->op == OP_at ? map_before(finder, attention, nodes[i]->inputs[0]) : -1;
        if (number < 0 || attention->map_count == MAPS_MAX)
            continue;
        Node *const stage = stages_of(finder, number)->nodes[0];
        Node *const value =
            node_substitute(ir, stage_value(stage), stage->axes, nodes[i]->inputs + 1, stage->axis_count);
        attention->maps[attention->map_count++] = number;
        operand = node_substitute(ir, operand, &nodes[i], &value, 1);
    }
    return operand;
}

/* s[j]: the first product along the rows' axes. Its keys must be the same for all queries. */
static bool take_scores(Finder *finder, Attention *attention, Node *const *zeros, int zero_count, Node *row)
{
    Ir *const ir = finder->ir;
    const Node *const stage = product_stage(finder, attention->first);
    const Block *const stages = stages_of(finder, attention->rows);
    const Node *const last = stages->nodes[stages->count - 1];
    const int rank = attention->scores->type.rank;
    Node *const query = attention->axes[attention->axis_count - 1];
    if (stage->axis_count != rank)
        return false;
    Node *to[RANK_MAX], *axes[RANK_MAX];
    for (int i = 0; i < rank; i++) {
        if (stage_indices(stage)[i] != stage->axes[i])
            return false;
        to[i] = i < rank - 1 ? last->axes[i] : stage->axes[i];
        if (stage->axes[i]->inputs[0] != to[i]->inputs[0])
            return false;
    }
    Node *value = node_substitute(ir, stage_value(stage), stage->axes, to, rank);
    value = node_without_points(ir, value, zeros, zero_count);
    Node *const contract = value_contraction(ir, value, DTYPE_F32), *const column = to[rank - 1];
    if (!contract || contract->axis_count != 1)
        return false;
    const bool first = node_depends(ir, contract->inputs[0], query);
    Node *const queries = contract->inputs[first ? 0 : 1], *const keys = contract->inputs[first ? 1 : 0];
    int64_t depth, length;
    if (index_is(column->inputs[0], 1) || node_depends(ir, keys, query) || node_depends(ir, queries, column) ||
        !node_depends(ir, keys, column) || !node_depends(ir, queries, query) ||
        !const_is_int(contract->axes[0]->inputs[0], &depth) || !const_is_int(column->inputs[0], &length) ||
        depth * length * 4 > COPY_BYTES_MAX)
        return false;
    Node *const plain[2] = {queries, keys}, *const computed[2] = {with_maps(finder, attention, queries),
                                                                  with_maps(finder, attention, keys)};
    value = node_substitute(ir, value, plain, computed, 2);
    memcpy(axes, attention->axes, sizeof axes);
    axes[attention->axis_count] = column;
    return append(attention, stage_make(ir, axes, attention->axis_count + 1, row, &column, value));
}

/* What weights are divided by, or multiplied with, after the product instead of before it. */
typedef struct Scale {
    Op op;
    Node *by; /* of the row; NULL: weights are as they are */
} Scale;

/* Is the weight of a column a numerator over, or times, something of the row? The numerator; NULL: no. */
static Node *numerator_of(Finder *finder, Node *value, const Node *column, Scale *scale)
{
    Ir *const ir = finder->ir;
    *scale = (Scale){.op = value->op};
    if (finder->context->compilation->math == MATH_EXACT || (value->op != OP_div && value->op != OP_mul))
        return NULL;
    for (int i = value->op == OP_div; i < 2; i++)
        if (!node_depends(ir, value->inputs[i], column) && node_depends(ir, value->inputs[1 - i], column)) {
            scale->by = value->inputs[i];
            return value->inputs[1 - i];
        }
    return NULL;
}

/* `node` with the sum of the numerators reading where those are kept; NULL: it holds no such sum. */
static Node *sum_of_kept(Finder *finder, Node *node, Node *numerator, Node *column, Node *weights)
{
    Ir *const ir = finder->ir;
    int count;
    Node **const nodes = nodes_topological(ir, &node, 1, &count);
    for (int i = 0; i < count && numerator; i++) {
        if (nodes[i]->op != OP_fold || nodes[i]->axis_count != 1 || nodes[i]->payload.fold.kind != FOLD_SUM)
            continue;
        Node *const axis = nodes[i]->axes[0], *const same = node_substitute(ir, numerator, &column, &axis, 1);
        Node *const kept = at_make(ir, weights, &axis);
        if (nodes[i]->inputs[0] == same)
            return node_substitute(ir, node, &same, &kept, 1);
    }
    return NULL;
}

/* The stages of the softmax over the row in scratch. */
static bool take_rows(Finder *finder, Attention *attention, Node *const *zeros, int zero_count, Node *scores,
                      Node *weights, Scale *scale)
{
    Ir *const ir = finder->ir;
    const Block *const stages = stages_of(finder, attention->rows);
    const Node *const last = stages->nodes[stages->count - 1];
    Node *const column = last->axes[last->axis_count - 1];
    Node *value =
        value_read_within(ir, node_without_points(ir, stage_value(last), zeros, zero_count), attention->scores, scores);
    Node *const numerator = numerator_of(finder, value, column, scale);
    Node *axes[RANK_MAX];
    memcpy(axes, attention->axes, sizeof axes);
    bool stored = false;
    for (int s = 0; s + 1 < stages->count; s++) {
        const Node *const stage = stages->nodes[s];
        const int own = stage->axis_count - (last->axis_count - 1);
        for (int i = 0; i < own; i++)
            axes[attention->axis_count + i] = stage->axes[last->axis_count - 1 + i];
        Node *inside = value_read_within(ir, node_without_points(ir, stage_value(stage), zeros, zero_count),
                                         attention->scores, scores);
        Node *const sum = sum_of_kept(finder, inside, numerator, column, weights);
        if (sum && !stored) {
            axes[attention->axis_count] = column;
            if (!append(attention, stage_make(ir, axes, attention->axis_count + 1, weights, &column, numerator)))
                return false;
            stored = true;
        }
        inside = sum ? sum : inside;
        if (!append(attention, stage_make(ir, axes, attention->axis_count + own, stage_buffer(stage),
                                          stage_indices(stage), inside)))
            return false;
    }
    axes[attention->axis_count] = column;
    return stored || append(attention, stage_make(ir, axes, attention->axis_count + 1, weights, &column,
                                                  numerator ? numerator : value));
}

/* Are the values the same for all queries, with a column axis for vectors, and no more than a template may copy? */
static bool values_suit(Finder *finder, const Attention *attention, const Node *contract, const Node *weights,
                        Node *const *axes, int axis_count)
{
    Ir *const ir = finder->ir;
    const bool first = contract->inputs[0]->op == OP_at && contract->inputs[0]->inputs[0] == weights;
    Node *const values = contract->inputs[first ? 1 : 0], *column = NULL;
    int64_t length, width;
    for (int i = attention->axis_count; i < axis_count; i++)
        if (node_depends(ir, values, axes[i])) {
            if (column)
                return false;
            column = axes[i];
        }
    return !node_depends(ir, values, attention->axes[attention->axis_count - 1]) && column &&
           const_is_int(column->inputs[0], &width) && const_is_int(contract->axes[0]->inputs[0], &length) &&
           width > 1 && width * length * 4 <= COPY_BYTES_MAX;
}

/* o[i,d]: the second product, with its own axes for the rows' replaced by those. */
static bool take_output(Finder *finder, Attention *attention, Node *weights, const Scale *scale)
{
    Ir *const ir = finder->ir;
    const Node *const stage = product_stage(finder, attention->last);
    const Block *const stages = stages_of(finder, attention->rows);
    const Node *const last = stages->nodes[stages->count - 1];
    Node *const contract = value_contraction(ir, stage_value(stage), DTYPE_F32), *at = NULL;
    int count, reads = 0;
    if (!contract || contract->axis_count != 1)
        return false;
    for (int i = 0; i < 2; i++)
        if (contract->inputs[i]->op == OP_at && contract->inputs[i]->inputs[0] == attention->weights)
            at = contract->inputs[i];
    Node *value = stage_value(stage);
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++)
        reads += nodes[i]->op == OP_at && nodes[i]->inputs[0] == attention->weights;
    const int rank = attention->weights->type.rank;
    if (!at || reads != 1 || at->inputs[rank] != contract->axes[0] ||
        contract->axes[0]->inputs[0] != attention->weights->type.dims[rank - 1])
        return false;
    Node *from[RANK_MAX], *to[RANK_MAX], *axes[RANK_MAX];
    int mapped = 0;
    for (int d = 0; d < rank - 1; d++) {
        Node *const index = at->inputs[1 + d];
        if (index_is(last->axes[d]->inputs[0], 1) && index_is(index, 0))
            continue;
        if (!stage_has_axis(stage, index) || axes_have(from, mapped, index) ||
            index->inputs[0] != last->axes[d]->inputs[0])
            return false;
        if (index_is(last->axes[d]->inputs[0], 1))
            continue; /* an axis of one element that the output has: its own */
        from[mapped] = index;
        to[mapped++] = last->axes[d];
    }
    if (mapped != attention->axis_count)
        return false;
    Node *const column = contract->axes[0], *sum = at_make(ir, weights, &column);
    if (scale->by) {
        /* The product is replaced by its multiple, then the weights within. */
        sum = contract_make(ir, contract->type.dtype, contract->axes, 1,
                            contract->inputs[0] == at ? sum : contract->inputs[0],
                            contract->inputs[1] == at ? sum : contract->inputs[1]);
        sum = scalar2(ir, scale->op, sum, scale->by);
        value = node_substitute(ir, value, (Node *const *)&contract, &sum, 1);
    } else {
        value = node_substitute(ir, value, &at, &sum, 1);
    }
    value = node_substitute(ir, value, from, to, mapped);
    memcpy(axes, attention->axes, sizeof axes);
    int axis_count = attention->axis_count;
    for (int a = 0; a < stage->axis_count; a++) {
        if (axes_have(from, mapped, stage->axes[a]))
            continue;
        axes[axis_count++] = stage->axes[a];
        value = node_without_points(ir, value, &stage->axes[a], 1); /* operands are read along other axes alone */
    }
    Node *indices[RANK_MAX];
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = node_substitute(ir, stage_indices(stage)[i], from, to, mapped);
    const Node *const product = value_contraction(ir, value, DTYPE_F32);
    if (!product || !values_suit(finder, attention, product, weights, axes, axis_count))
        return false;
    return append(attention, stage_make(ir, axes, axis_count, stage_buffer(stage), indices, value));
}

/* Do both products multiply values of this run? With a weight in panels they are better off apart. */
static bool has_weights(const Finder *finder, int number)
{
    int count;
    Node **const reads = kernel_reads(finder->ir, finder->body->nodes[number], &count);
    Node *value = stage_value(product_stage(finder, number));
    Node *const contract = value_contraction(finder->ir, value, DTYPE_F32);
    for (int i = 0; contract && i < count; i++)
        if (reads[i]->payload.buffer->place == PLACE_WEIGHT)
            for (int j = 0; j < 2; j++)
                if (node_depends(finder->ir, contract->inputs[j], reads[i]))
                    return true;
    return false;
}

/* Fills the stages of the whole. */
static bool match(Finder *finder, Attention *attention)
{
    Node *zeros[RANK_MAX];
    Scale scale;
    int zero_count = 0;
    if (!match_rows(finder, attention) || !reads_own_rows(finder, attention))
        return false;
    attention->last = access_of(&finder->accesses, attention->weights).reader;
    if (!product_stage(finder, attention->last) || has_weights(finder, attention->first) ||
        has_weights(finder, attention->last) || !choose_axes(finder, attention, zeros, &zero_count))
        return false;
    attention->scratch = finder->body->nodes[attention->rows]->payload.kernel->scratch;
    Node *const scores = row_buffer(finder, attention, attention->scores);
    Node *const weights = scores ? row_buffer(finder, attention, attention->weights) : NULL;
    return weights && take_scores(finder, attention, zeros, zero_count, scores) &&
           take_rows(finder, attention, zeros, zero_count, scores, weights, &scale) &&
           take_output(finder, attention, weights, &scale);
}

/* Where the members stand that become one; the last is the second product. */
static int members_of(const Attention *attention, int *members)
{
    int count = 0;
    for (int i = 0; i < attention->map_count; i++)
        members[count++] = attention->maps[i];
    members[count++] = attention->first;
    members[count++] = attention->rows;
    members[count++] = attention->last;
    return count;
}

static void merge(const Finder *finder, const Attention *attention, Merger *merger)
{
    Ir *const ir = finder->ir;
    int numbers[MEMBERS_MAX];
    Node *members[MEMBERS_MAX];
    const int count = members_of(attention, numbers);
    for (int i = 0; i < count; i++)
        members[i] = finder->body->nodes[numbers[i]];
    Block *const block = block_make(ir);
    for (int i = 0; i < attention->count; i++)
        block_append(ir, block, attention->stages[i]);
    Node *const kernel = kernel_make(ir, members[count - 1]->payload.kernel->name, block);
    kernel->payload.kernel->wheres = kernels_wheres(ir, members, count);
    kernel->payload.kernel->scratch = attention->scratch;
    merger_join(merger, numbers, count, kernel);
}

bool pass_attention(PassContext *context)
{
    Ir *const ir = context->compilation->ir;
    Module *const module = context->compilation->module;
    const TargetMachineInfo *const target = context->compilation->target;
    if (!target || target->gpu || target->family->system == SYSTEM_FREESTANDING)
        return true;
    Finder finder = {.context = context, .ir = ir, .body = module->body, .accesses = accesses_of(ir, module->body)};
    Merger merger = merger_open(ir, module->body);
    for (int i = 0; i < module->body->count; i++) {
        Attention attention = {.rows = i};
        if (match(&finder, &attention) && pass_decide(context))
            merge(&finder, &attention, &merger);
    }
    module->body = merger_body(ir, &merger);
    return true;
}
