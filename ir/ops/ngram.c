/* TfIdfVectorizer: how often each n-gram of a pool occurs in a row, over positions and skips. Strings become numbers
 * before. */
#include "ir/ops/lower.h"
#include "ir/ops/ml.h"
#include "ir/ops/rules.h"

#include <stdlib.h>
#include <string.h>

enum { GRAM_MOST = 64 };

/* ---- the count of n-grams of one length ---- */

/* x [B, L] or [L], pool [G, n] -> f32 [B, G] or [G] */
bool ngram_count_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0), pool = infer_type(infer, 1);
    int64_t length;
    if (x.rank < 1 || x.rank > 2 || pool.rank != 2 || x.dtype != pool.dtype || !const_is_int(pool.dims[1], &length) ||
        length < 1 || length > GRAM_MOST)
        return infer_error(infer, "n-grams %s do not fit %s", type_text(infer->ir, pool), type_text(infer->ir, x));
    Node *const dims[2] = {x.rank == 2 ? x.dims[0] : pool.dims[0], pool.dims[0]};
    infer->types[0] = type_tensor(infer->ir, DTYPE_F32, x.rank, dims);
    return true;
}

/* y[b, g] = how many (skip, start) have x[b, start + i*(skip+1)] = pool[g, i] for all i. One number has no skips. */
bool ngram_count_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const pool = lower_in(lower, 1), *const out = lower_out(lower, 0);
    const int rank = x->type.rank;
    int64_t length = 1;
    const_is_int(pool->type.dims[1], &length);
    Node *axes[2], *const extent = x->type.dims[rank - 1], *const one = index_const(ir, 1);
    lower_axes(lower, out->type, axes);
    const int64_t skips = length > 1 ? attribute_int(lower->node, "max_skip_count", 0) : 0;
    Node *const reduced[2] = {lower_axis(lower, "skip", index_min(ir, index_const(ir, skips + 1), extent)),
                              lower_axis(lower, "start", extent)};
    Node *const step = index_add(ir, reduced[0], one);
    Node *const last = index_add(ir, reduced[1], index_mul(ir, step, index_const(ir, length - 1)));
    Node *same = const_bool(ir, true);
    for (int64_t i = 0; i < length; i++) {
        Node *const place = index_add(ir, reduced[1], index_mul(ir, step, index_const(ir, i)));
        Node *const element = lower_at(lower, x, rank == 2 ? (Node *[]){axes[0], place} : &place);
        Node *const wanted = lower_at(lower, pool, (Node *[]){axes[rank - 1], index_const(ir, i)});
        same = scalar2(ir, OP_and, same, scalar2(ir, OP_eq, element, wanted));
    }
    Node *const found = guard_make(ir, scalar2(ir, OP_lt, last, extent), same, const_bool(ir, false));
    Node *const count = fold_make(ir, FOLD_SUM, 1, reduced, 2, cast_make(ir, found, DTYPE_F32));
    lower_define(lower, out, axes, rank, count);
    return true;
}

/* ---- TfIdfVectorizer ---- */

typedef struct Pool {
    const int64_t *numbers, *starts, *indexes;
    int number_count, start_count, gram_count;
    int64_t least, most, skips, outputs;
} Pool;

static bool pool_read(Ir *ir, const Node *node, Pool *pool)
{
    pool->numbers = attribute_ints(node, "pool_int64s", &pool->number_count);
    pool->starts = attribute_ints(node, "ngram_counts", &pool->start_count);
    pool->indexes = attribute_ints(node, "ngram_indexes", &pool->gram_count);
    pool->least = attribute_int(node, "min_gram_length", 1);
    pool->most = attribute_int(node, "max_gram_length", 1);
    pool->skips = attribute_int(node, "max_skip_count", 0);
    if (pool->least < 1 || pool->most < pool->least || pool->most > GRAM_MOST || pool->skips < 0 ||
        pool->skips > INT32_MAX)
        return compose_error(ir, "lengths of n-grams are %lld to %lld, with up to %lld skips", (long long)pool->least,
                             (long long)pool->most, (long long)pool->skips);
    pool->outputs = 0;
    for (int i = 0; i < pool->gram_count; i++) {
        if (pool->indexes[i] < 0 || pool->indexes[i] > INT32_MAX)
            return compose_error(ir, "element %d of ngram_indexes is %lld", i, (long long)pool->indexes[i]);
        if (pool->indexes[i] >= pool->outputs)
            pool->outputs = pool->indexes[i] + 1;
    }
    return pool->gram_count > 0 || compose_error(ir, "ngram_indexes is empty");
}

/* The counts of all n-grams of the pool, in its order; those of lengths that do not count are 0. */
static Node *counts_of(Ir *ir, const Pool *pool, Node *x)
{
    Node **const parts = NEW_ARRAY(ir->arena, Node *, (size_t)pool->start_count + 1);
    int count = 0, grams = 0;
    for (int i = 0; i < pool->start_count; i++) {
        const int64_t start = pool->starts[i],
                      end = i + 1 < pool->start_count ? pool->starts[i + 1] : pool->number_count;
        const int64_t length = i + 1, dims[2] = {(end - start) / length, length};
        if (start < 0 || end < start || end > pool->number_count || (end - start) % length != 0) {
            compose_error(ir, "ngram_counts does not divide the pool of %d: n-grams of length %d stand at %lld to %lld",
                          pool->number_count, i + 1, (long long)start, (long long)end);
            return NULL;
        }
        if (end == start)
            continue;
        Node *const table = constant_integers(ir, x->type.dtype, pool->numbers + start, dims, 2);
        Node *part = build2_with(ir, OP_lathe_NgramCount, x, table, attr_int(ir, "max_skip_count", pool->skips));
        if (part && (length < pool->least || length > pool->most))
            part = build_number(ir, OP_Mul, part, 0);
        parts[count++] = part;
        grams += (int)dims[0];
    }
    if (grams != pool->gram_count) {
        compose_error(ir, "the pool has %d n-grams but ngram_indexes %d elements", grams, pool->gram_count);
        return NULL;
    }
    return build_concat(ir, parts, count, -1);
}

/* Columns of `counts`, in the order of the pool, put where ngram_indexes says; those that share a place are added. */
static Node *placed(Ir *ir, const Pool *pool, Node *counts)
{
    bool straight = pool->outputs == pool->gram_count;
    for (int i = 0; i < pool->gram_count && straight; i++)
        straight = pool->indexes[i] == i;
    if (straight || !counts)
        return counts;
    const int rank = counts->type.rank;
    const int64_t dim = pool->gram_count, row[2] = {1, dim}, width[2] = {1, pool->outputs};
    Node *indexes = constant_integers(ir, DTYPE_I64, pool->indexes, rank == 2 ? row : &dim, rank);
    Node *zeros = build2(ir, OP_Expand, constant_scalar(ir, DTYPE_F32, 0),
                         constant_ints(ir, rank == 2 ? width : &width[1], rank));
    if (rank == 2) {
        Node *const batch = build_slice(ir, build1(ir, OP_Shape, counts), 0, 0, 1);
        Node *const one = constant_ints(ir, (int64_t[]){1}, 1);
        Node *const shape = build_concat(ir, (Node *[]){batch, one}, 2, 0);
        indexes = build2(ir, OP_Expand, indexes, shape);
        zeros = build2(ir, OP_Expand, zeros, shape);
    }
    const Attribute attributes[2] = {attr_int(ir, "axis", -1), attr_string(ir, "reduction", "add")};
    return build(ir, OP_ScatterElements, (Node *[]){zeros, indexes, counts}, 3, attributes, 2);
}

/* A word of the pool. Names are kept once: equal is pointer-equal. */
typedef struct Word {
    Name name;
    int place;
} Word;

static int word_order(const void *a, const void *b)
{
    const Word *const left = a, *const right = b;
    const uintptr_t names[2] = {(uintptr_t)left->name, (uintptr_t)right->name};
    return names[0] != names[1] ? (names[0] < names[1] ? -1 : 1) : left->place - right->place;
}

/* Words become numbers: the pool's by their first place in it, those of x by looking them up among the pool's. */
static Node *words_numbered(Ir *ir, const Node *node, Pool *pool, Node *x)
{
    const Attribute *const words = attribute_find(node, "pool_strings");
    const int count = words ? words->count : 0;
    int64_t *const numbers = NEW_ARRAY(ir->arena, int64_t, (size_t)count + 1);
    Word *const sorted = NEW_ARRAY(ir->arena, Word, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        sorted[i] = (Word){words->strings[i], i};
    qsort(sorted, (size_t)count, sizeof *sorted, word_order);
    for (int i = 0, first = 0; i < count; i++) {
        first = i && sorted[i].name == sorted[i - 1].name ? first : sorted[i].place;
        numbers[sorted[i].place] = first;
    }
    pool->numbers = numbers;
    pool->number_count = count;
    return count ? ml_positions(ir, x, constant_strings(ir, words->strings, count), count) : NULL;
}

bool tfidf_expand(Ir *ir, const Node *node, Node **outputs)
{
    Pool pool = {0};
    Node *x = node->inputs[0];
    const char *const mode = attribute_string(node, "mode", "TF");
    int weight_count;
    const double *const weights = attribute_reals(node, "weights", &weight_count);
    if (!pool_read(ir, node, &pool))
        return false;
    if (x->type.rank < 1 || x->type.rank > 2 || (x->type.dtype != DTYPE_STRING && !dtype_is_integer(x->type.dtype)))
        return compose_error(ir, "TfIdfVectorizer takes integers or strings of 1 or 2 dimensions, not %s",
                             type_text(ir, x->type));
    if (strcmp(mode, "TF") != 0 && strcmp(mode, "IDF") != 0 && strcmp(mode, "TFIDF") != 0)
        return compose_error(ir, "mode is '%s', none of TF, IDF, TFIDF", diag_quote(ir->arena, mode, 40));
    if (weights && weight_count != pool.gram_count)
        return compose_error(ir, "%d weights for %d n-grams", weight_count, pool.gram_count);
    if (x->type.dtype == DTYPE_STRING && !(x = words_numbered(ir, node, &pool, x)))
        return compose_error(ir, "there are no pool_strings");
    Node *y = counts_of(ir, &pool, x);
    if (mode[0] == 'I' && y)
        y = build_cast(ir, build2(ir, OP_Greater, y, constant_scalar(ir, DTYPE_F32, 0)), DTYPE_F32);
    if (weights && strcmp(mode, "TF") != 0)
        y = build2(ir, OP_Mul, y, constant_attribute(ir, node, "weights", DTYPE_F32));
    outputs[0] = placed(ir, &pool, y);
    return outputs[0];
}
