/* Index arithmetic in canonical form: integer polynomials over atoms.
 *
 * A canonical sum is a left-deep chain of `add`, terms ordered by the ids of their atoms, the constant last. A term is
 * a left-deep chain of `mul`, atoms ascending, the constant factor last. An atom is anything else: symbol, axis,
 * floordiv, min, max, cast. Atoms made early come first, so outer loops' parts of an address are summed before inner
 * ones and hoist as a whole. */
#include "ir/ir.h"

#include <string.h>

enum { ATOMS_MAX = 12 };

typedef struct Term {
    int count;
    Node *atoms[ATOMS_MAX]; /* ascending ids; repeated for powers */
    int64_t factor;
} Term;

typedef struct Sum {
    int count, capacity;
    Term *terms;
    Term inline_terms[8];
} Sum;

static Node *binary(Ir *ir, Op op, Node *a, Node *b)
{
    return node_make(ir, &(Node){.op = op, .type = a->type, .inputs = (Node *[]){a, b}, .input_count = 2});
}

Node *index_const(Ir *ir, int64_t value)
{
    return const_bits(ir, type_scalar(DTYPE_INDEX), (uint64_t)value);
}

static bool is_vector(const Node *a, const Node *b)
{
    return a->type.lanes > 1 || b->type.lanes > 1;
}

static Node *vector_binary(Ir *ir, Op op, Node *a, Node *b)
{
    const int lanes = a->type.lanes > b->type.lanes ? a->type.lanes : b->type.lanes;
    return binary(ir, op, splat_make(ir, a, a->type.lanes == lanes ? 1 : lanes),
                  splat_make(ir, b, b->type.lanes == lanes ? 1 : lanes));
}

static void sum_open(Sum *sum)
{
    sum->count = 0;
    sum->capacity = 8;
    sum->terms = sum->inline_terms;
}

static void term_of(Node *node, Term *term)
{
    term->count = 0;
    term->factor = 1;
    int64_t value;
    if (const_is_int(node, &value)) {
        term->factor = value;
        return;
    }
    Node *reversed[ATOMS_MAX];
    int count = 0;
    while (node->op == OP_mul && count < ATOMS_MAX - 1) {
        if (const_is_int(node->inputs[1], &value))
            term->factor = (int64_t)((uint64_t)term->factor * (uint64_t)value);
        else
            reversed[count++] = node->inputs[1];
        node = node->inputs[0];
    }
    reversed[count++] = node;
    while (count)
        term->atoms[term->count++] = reversed[--count];
}

/* Order of terms: by their atoms' ids, shorter first among equals, the constant (no atoms) last. */
static int term_compare(const Term *a, const Term *b)
{
    if (a->count == 0 || b->count == 0)
        return (a->count == 0) - (b->count == 0);
    for (int i = 0; i < a->count && i < b->count; i++)
        if (a->atoms[i] != b->atoms[i])
            return a->atoms[i]->id < b->atoms[i]->id ? -1 : 1;
    return a->count - b->count;
}

/* What does not fit into the sum itself lies in scratch: whoever opens sums gives it back. */
static void sum_insert(Ir *ir, Sum *sum, const Term *term)
{
    if (term->factor == 0)
        return;
    int at = sum->count;
    while (at > 0 && term_compare(&sum->terms[at - 1], term) > 0)
        at--;
    if (at > 0 && term_compare(&sum->terms[at - 1], term) == 0) {
        Term *const same = &sum->terms[at - 1];
        same->factor = (int64_t)((uint64_t)same->factor + (uint64_t)term->factor);
        if (same->factor == 0) {
            memmove(same, same + 1, (size_t)(sum->count - at) * sizeof *same);
            sum->count--;
        }
        return;
    }
    if (sum->count == sum->capacity) {
        Term *const terms = NEW_ARRAY(arena_scratch(ir->arena), Term, (size_t)sum->capacity * 2);
        memcpy(terms, sum->terms, (size_t)sum->count * sizeof *terms);
        sum->terms = terms;
        sum->capacity *= 2;
    }
    memmove(&sum->terms[at + 1], &sum->terms[at], (size_t)(sum->count - at) * sizeof *sum->terms);
    sum->terms[at] = *term;
    sum->count++;
}

static void sum_add(Ir *ir, Sum *sum, Node *node, int64_t factor)
{
    for (;;) {
        Term term;
        Node *const last = node->op == OP_add ? node->inputs[1] : node;
        term_of(last, &term);
        term.factor = (int64_t)((uint64_t)term.factor * (uint64_t)factor);
        sum_insert(ir, sum, &term);
        if (node->op != OP_add)
            return;
        node = node->inputs[0];
    }
}

static Node *term_node(Ir *ir, const Term *term)
{
    if (term->count == 0)
        return index_const(ir, term->factor);
    Node *node = term->atoms[0];
    for (int i = 1; i < term->count; i++)
        node = binary(ir, OP_mul, node, term->atoms[i]);
    return term->factor == 1 ? node : binary(ir, OP_mul, node, index_const(ir, term->factor));
}

static Node *sum_node(Ir *ir, const Sum *sum)
{
    if (sum->count == 0)
        return index_const(ir, 0);
    Node *node = term_node(ir, &sum->terms[0]);
    for (int i = 1; i < sum->count; i++)
        node = binary(ir, OP_add, node, term_node(ir, &sum->terms[i]));
    return node;
}

static Node *scratch_reset(Ir *ir, ArenaMark mark, Node *result)
{
    arena_reset(arena_scratch(ir->arena), mark);
    return result;
}

static Node *linear(Ir *ir, Node *a, Node *b, int64_t factor)
{
    const ArenaMark mark = arena_mark(arena_scratch(ir->arena));
    Sum sum;
    sum_open(&sum);
    sum_add(ir, &sum, a, 1);
    sum_add(ir, &sum, b, factor);
    return scratch_reset(ir, mark, sum_node(ir, &sum));
}

Node *index_add(Ir *ir, Node *a, Node *b)
{
    return is_vector(a, b) ? vector_binary(ir, OP_add, a, b) : linear(ir, a, b, 1);
}

Node *index_sub(Ir *ir, Node *a, Node *b)
{
    return is_vector(a, b) ? vector_binary(ir, OP_sub, a, b) : linear(ir, a, b, -1);
}

static void term_multiply(Term *term, const Term *by)
{
    term->factor = (int64_t)((uint64_t)term->factor * (uint64_t)by->factor);
    for (int i = 0; i < by->count; i++) {
        int at = term->count++;
        while (at > 0 && term->atoms[at - 1]->id > by->atoms[i]->id) {
            term->atoms[at] = term->atoms[at - 1];
            at--;
        }
        term->atoms[at] = by->atoms[i];
    }
}

static Node *product_of(Ir *ir, Node *a, Node *b)
{
    Sum left, right, product;
    sum_open(&left);
    sum_open(&right);
    sum_open(&product);
    sum_add(ir, &left, a, 1);
    sum_add(ir, &right, b, 1);
    for (int i = 0; i < left.count; i++)
        for (int j = 0; j < right.count; j++) {
            Term term = left.terms[i];
            if (term.count + right.terms[j].count > ATOMS_MAX || product.count > 64)
                return binary(ir, OP_mul, a, b); /* too long to expand: an opaque product */
            term_multiply(&term, &right.terms[j]);
            sum_insert(ir, &product, &term);
        }
    return sum_node(ir, &product);
}

Node *index_mul(Ir *ir, Node *a, Node *b)
{
    const ArenaMark mark = arena_mark(arena_scratch(ir->arena));
    return is_vector(a, b) ? vector_binary(ir, OP_mul, a, b) : scratch_reset(ir, mark, product_of(ir, a, b));
}

/* ---- ranges ---- */

static int64_t add_saturating(int64_t a, int64_t b)
{
    int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

static int64_t mul_saturating(int64_t a, int64_t b)
{
    int64_t product;
    if (!__builtin_mul_overflow(a, b, &product))
        return product;
    return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

static bool unbounded(int64_t value)
{
    return value == INT64_MIN || value == INT64_MAX;
}

static Range range_add(Range a, Range b)
{
    return (Range){unbounded(a.low) || unbounded(b.low) ? INT64_MIN : add_saturating(a.low, b.low),
                   unbounded(a.high) || unbounded(b.high) ? INT64_MAX : add_saturating(a.high, b.high)};
}

static int64_t bound_mul(int64_t a, int64_t b)
{
    return a == 0 || b == 0 ? 0 : mul_saturating(a, b);
}

static Range range_mul(Range a, Range b)
{
    const int64_t corner[4] = {bound_mul(a.low, b.low), bound_mul(a.low, b.high), bound_mul(a.high, b.low),
                               bound_mul(a.high, b.high)};
    Range range = {corner[0], corner[0]};
    for (int i = 1; i < 4; i++) {
        range.low = corner[i] < range.low ? corner[i] : range.low;
        range.high = corner[i] > range.high ? corner[i] : range.high;
    }
    return range;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - ((a % b != 0) && ((a < 0) != (b < 0)));
}

enum { VISITS_PLAIN = 64, VISITS_MOST = 8192, RANGES_KNOWN = 512 };

typedef struct RangeKnown {
    const Node *node;
    Range range;
} RangeKnown;

/* Most expressions are small. In large ones much is shared: then what is known is kept. */
typedef struct RangeWalk {
    int visits; /* left */
    RangeKnown *known;
} RangeWalk;

static Range range_apart(RangeWalk *walk, const Node *node, int depth);

static Range range_within(RangeWalk *walk, const Node *node, int depth)
{
    const Range any = {INT64_MIN, INT64_MAX};
    int64_t value;
    if (const_is_int(node, &value))
        return (Range){value, value};
    if (depth > 40 || --walk->visits < 0)
        return any;
    RangeKnown *const known = walk->known ? &walk->known[node->id % RANGES_KNOWN] : NULL;
    if (known && known->node == node)
        return known->range;
    const Range range = range_apart(walk, node, depth);
    if (known && walk->visits >= 0)
        *known = (RangeKnown){node, range};
    return range;
}

static Range range_apart(RangeWalk *walk, const Node *node, int depth)
{
    const Range any = {INT64_MIN, INT64_MAX};
    Range a = any, b = any;
    if (node->input_count > 0 && node->inputs[0]->type.dtype == DTYPE_INDEX)
        a = range_within(walk, node->inputs[0], depth + 1);
    if (node->input_count > 1 && node->inputs[1]->type.dtype == DTYPE_INDEX)
        b = range_within(walk, node->inputs[1], depth + 1);
    switch (node->op) {
    case OP_symbol: /* dims are not negative; elements of inputs, "name[i]", may be anything */
        return strchr(node->payload.name, '[') ? any : (Range){0, INT64_MAX};
    case OP_bound:
        return (Range){0, unbounded(b.high) ? INT64_MAX : b.high - 1};
    case OP_axis:
        return node->input_count ? (Range){0, unbounded(a.high) ? INT64_MAX : a.high - 1} : any;
    case OP_begin:
    case OP_end:
        return (Range){0, INT64_MAX};
    case OP_thread:
        return (Range){0, a.high - 1};
    case OP_add:
        return range_add(a, b);
    case OP_mul:
        return range_mul(a, b);
    case OP_floordiv:
        if (b.low <= 0)
            return any;
        return (Range){unbounded(a.low) ? INT64_MIN : floor_divide(a.low, a.low < 0 ? b.low : b.high),
                       unbounded(a.high) ? INT64_MAX : floor_divide(a.high, a.high < 0 ? b.high : b.low)};
    case OP_min:
        return (Range){a.low < b.low ? a.low : b.low, a.high < b.high ? a.high : b.high};
    case OP_max:
        return (Range){a.low > b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
    case OP_select:
        a = range_within(walk, node->inputs[1], depth + 1);
        b = range_within(walk, node->inputs[2], depth + 1);
        return (Range){a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
    case OP_fold:
        if (node->payload.fold.kind >= FOLD_ARGMAX && node->axis_count == 1 && node->axes[0]->input_count)
            return range_within(walk, node->axes[0], depth + 1);
        return any;
    case OP_cast:
        switch (node->inputs[0]->type.dtype) {
        case DTYPE_BOOL:
            return (Range){0, 1};
        case DTYPE_U8:
            return (Range){0, 255};
        case DTYPE_I8:
            return (Range){-128, 127};
        default:
            return any;
        }
    default:
        return any;
    }
}

static Range range_at_depth(const Node *node, int depth)
{
    RangeWalk walk = {.visits = VISITS_PLAIN};
    const Range range = range_within(&walk, node, depth);
    if (walk.visits >= 0)
        return range;
    RangeKnown known[RANGES_KNOWN] = {{0}};
    walk = (RangeWalk){VISITS_MOST, known};
    return range_within(&walk, node, depth);
}

/* The largest (or smallest) value that symbolic extents allow: axes that grow the sum become extent - 1, those that
 * shrink it 0. */
static Node *extreme(Ir *ir, Node *node, bool largest)
{
    const ArenaMark mark = arena_mark(arena_scratch(ir->arena));
    Sum sum, bound;
    sum_open(&sum);
    sum_open(&bound);
    sum_add(ir, &sum, node, 1);
    for (int i = 0; i < sum.count; i++) {
        Term *const term = &sum.terms[i];
        int axes = 0, at = 0;
        for (int j = 0; j < term->count; j++)
            if (term->atoms[j]->op == OP_axis && term->atoms[j]->input_count) {
                axes++;
                at = j;
            }
        Term rest = *term;
        bool nonnegative = true;
        for (int j = 0; j < term->count; j++)
            nonnegative = nonnegative && range_at_depth(term->atoms[j], 20).low >= 0;
        if (axes == 0 || !nonnegative) {
            sum_insert(ir, &bound, term);
            continue;
        }
        if ((term->factor > 0) != largest)
            continue; /* this term is 0 at its extreme */
        Node *const extent = term->atoms[at]->inputs[0];
        memmove(&rest.atoms[at], &rest.atoms[at + 1], (size_t)(rest.count - at - 1) * sizeof *rest.atoms);
        rest.count--;
        Node *const grown = index_mul(ir, term_node(ir, &rest), index_sub(ir, extent, index_const(ir, 1)));
        sum_add(ir, &bound, axes > 1 ? extreme(ir, grown, largest) : grown, 1);
    }
    return scratch_reset(ir, mark, sum_node(ir, &bound));
}

Range index_range(Ir *ir, Node *node)
{
    Range range = range_at_depth(node, 0);
    if (node->op != OP_add && node->op != OP_mul)
        return range;
    if (range.low < 0) {
        const Range low = range_at_depth(extreme(ir, node, false), 0);
        range.low = low.low > range.low ? low.low : range.low;
    }
    const Range high = range_at_depth(extreme(ir, node, true), 0);
    range.high = high.high < range.high ? high.high : range.high;
    return range;
}

/* ---- division ---- */

/* term / divisor when that is exact: a constant factor or one of the atoms is divided out. */
static bool term_divide(const Term *term, Node *divisor, Term *quotient)
{
    Term by;
    if (divisor->op == OP_add)
        return false;
    term_of(divisor, &by);
    *quotient = *term;
    if (by.factor == 0 || term->factor % by.factor != 0)
        return false;
    quotient->factor = term->factor / by.factor;
    for (int i = 0; i < by.count; i++) {
        int at = 0;
        while (at < quotient->count && quotient->atoms[at] != by.atoms[i])
            at++;
        if (at == quotient->count)
            return false;
        memmove(&quotient->atoms[at], &quotient->atoms[at + 1],
                (size_t)(quotient->count - at - 1) * sizeof *quotient->atoms);
        quotient->count--;
    }
    return true;
}

/* floordiv(rest, divisor) that no term leaves: divides out a common constant, or stays an atom. */
static Node *floordiv_rest(Ir *ir, Sum *rest, Node *divisor)
{
    Node *node = sum_node(ir, rest);
    const Range range = index_range(ir, node);
    if (range.low >= 0 && index_range(ir, index_sub(ir, node, divisor)).high < 0)
        return index_const(ir, 0);
    int64_t constant;
    if (const_is_int(divisor, &constant) && constant > 1) {
        int64_t common = constant;
        for (int i = 0; i < rest->count; i++)
            if (rest->terms[i].count)
                common = common_divisor(common, rest->terms[i].factor);
        if (common > 1) {
            Sum reduced;
            sum_open(&reduced);
            for (int i = 0; i < rest->count; i++) {
                Term term = rest->terms[i];
                term.factor = floor_divide(term.factor, common);
                sum_insert(ir, &reduced, &term);
            }
            return index_floordiv(ir, sum_node(ir, &reduced), index_const(ir, constant / common));
        }
        int64_t inner;
        if (node->op == OP_floordiv && const_is_int(node->inputs[1], &inner) && inner > 0 && inner < INT32_MAX &&
            constant < INT32_MAX)
            return index_floordiv(ir, node->inputs[0], index_const(ir, inner * constant));
    }
    return binary(ir, OP_floordiv, node, divisor);
}

Node *index_floordiv(Ir *ir, Node *a, Node *b)
{
    if (is_vector(a, b))
        return vector_binary(ir, OP_floordiv, a, b);
    int64_t dividend, divisor = 0;
    if (const_is_int(b, &divisor)) {
        if (divisor == 0)
            return index_const(ir, 0);
        if (divisor == 1)
            return a;
        if (const_is_int(a, &dividend))
            return index_const(ir, divisor == -1 ? (int64_t)(0 - (uint64_t)dividend) : floor_divide(dividend, divisor));
    }
    const ArenaMark mark = arena_mark(arena_scratch(ir->arena));
    Sum sum, whole, rest;
    sum_open(&sum);
    sum_open(&whole);
    sum_open(&rest);
    sum_add(ir, &sum, a, 1);
    for (int i = 0; i < sum.count; i++) {
        Term quotient;
        Term term = sum.terms[i];
        if (term_divide(&term, b, &quotient)) {
            sum_insert(ir, &whole, &quotient);
            continue;
        }
        if (divisor > 1) {
            /* q*d + r with 0 <= r < d; a partial quotient keeps what is left small (and canonical) */
            const int64_t part = floor_divide(term.factor, divisor);
            if (part != 0) {
                Term out = term;
                out.factor = part;
                sum_insert(ir, &whole, &out);
                term.factor -= part * divisor;
            }
        }
        sum_insert(ir, &rest, &term);
    }
    if (rest.count == 0)
        return scratch_reset(ir, mark, sum_node(ir, &whole));
    /* x/N for a symbolic N of 0 would be defined as 0, and whole terms are not: extents of 0 never reach an address. */
    return scratch_reset(ir, mark, index_add(ir, sum_node(ir, &whole), floordiv_rest(ir, &rest, b)));
}

Node *index_ceildiv(Ir *ir, Node *a, Node *b)
{
    return index_floordiv(ir, index_add(ir, a, index_sub(ir, b, index_const(ir, 1))), b);
}

Node *index_mod(Ir *ir, Node *a, Node *b)
{
    return index_sub(ir, a, index_mul(ir, b, index_floordiv(ir, a, b)));
}

static Node *extremum(Ir *ir, Op op, Node *a, Node *b)
{
    if (is_vector(a, b))
        return vector_binary(ir, op, a, b);
    const Range difference = index_range(ir, index_sub(ir, a, b));
    if (difference.high <= 0)
        return op == OP_min ? a : b;
    if (difference.low >= 0)
        return op == OP_min ? b : a;
    const int64_t neutral = op == OP_min ? INT64_MAX : INT64_MIN; /* "to the end", as slices say it */
    if (index_is(a, neutral) || index_is(b, neutral))
        return index_is(a, neutral) ? b : a;
    return a->id < b->id ? binary(ir, op, a, b) : binary(ir, op, b, a);
}

Node *index_min(Ir *ir, Node *a, Node *b)
{
    return extremum(ir, OP_min, a, b);
}

Node *index_max(Ir *ir, Node *a, Node *b)
{
    return extremum(ir, OP_max, a, b);
}

static Node *coefficient(Ir *ir, Node *node, const Node *axis, Node **rest)
{
    Sum sum, factor, other;
    sum_open(&sum);
    sum_open(&factor);
    sum_open(&other);
    sum_add(ir, &sum, node, 1);
    for (int i = 0; i < sum.count; i++) {
        Term term = sum.terms[i];
        int times = 0, at = 0;
        for (int j = 0; j < term.count; j++) {
            if (term.atoms[j] == axis) {
                times++;
                at = j;
            } else if (node_depends(ir, term.atoms[j], axis)) {
                return NULL;
            }
        }
        if (times > 1)
            return NULL;
        if (times == 0) {
            sum_insert(ir, &other, &term);
            continue;
        }
        memmove(&term.atoms[at], &term.atoms[at + 1], (size_t)(term.count - at - 1) * sizeof *term.atoms);
        term.count--;
        sum_insert(ir, &factor, &term);
    }
    if (rest)
        *rest = sum_node(ir, &other);
    return sum_node(ir, &factor);
}

Node *index_coefficient(Ir *ir, Node *node, Node *axis, Node **rest)
{
    const ArenaMark mark = arena_mark(arena_scratch(ir->arena));
    return scratch_reset(ir, mark, coefficient(ir, node, axis, rest));
}
