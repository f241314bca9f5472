/* Keys, heaps and radix sort: see sort.h. */
#include "ir/ops/sort.h"

enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS };

/* ---- keys ---- */

Dtype key_dtype(Dtype dtype)
{
    switch (dtype_info[dtype_compute(dtype)].bits) {
    case 64:
        return DTYPE_U64;
    case 32:
        return DTYPE_U32;
    case 16:
        return DTYPE_U16;
    default:
        return DTYPE_U8;
    }
}

/* Bits of positive numbers ascend, those of negative ones descend. */
static Node *float_key(Ir *ir, Node *value, Dtype dtype)
{
    const int bits = dtype_info[dtype].bits;
    Node *const zero = const_float(ir, value->type.dtype, 0);
    Node *const plain = scalar3(ir, OP_select, scalar2(ir, OP_eq, value, zero), zero, value);
    Node *const word = bitcast_make(ir, plain, dtype), *const none = const_int(ir, dtype, 0);
    Node *const sign = const_bits(ir, type_scalar(dtype), UINT64_C(1) << (bits - 1));
    Node *const negative = scalar2(ir, OP_ne, scalar2(ir, OP_and, word, sign), none);
    Node *const key = scalar3(ir, OP_select, negative, scalar1(ir, OP_not, word), scalar2(ir, OP_or, word, sign));
    return scalar3(ir, OP_select, scalar1(ir, OP_isnan, value), scalar1(ir, OP_not, none), key);
}

Node *key_of(Ir *ir, Node *value, bool descending)
{
    const Dtype from = value->type.dtype, dtype = key_dtype(from);
    Node *key = value;
    if (dtype_is_float(from))
        key = float_key(ir, value, dtype);
    else if (from != dtype)
        key = cast_make(ir, value, dtype);
    if (dtype_is_signed(from)) {
        const uint64_t sign = UINT64_C(1) << (dtype_info[dtype].bits - 1);
        key = scalar2(ir, OP_xor, key, const_bits(ir, type_scalar(dtype), sign));
    }
    return descending ? scalar1(ir, OP_not, key) : key;
}

Dtype position_dtype(Ir *ir, Node *count)
{
    const Range range = index_range(ir, count);
    return range.high <= INT32_MAX ? DTYPE_I32 : DTYPE_I64;
}

/* ---- rankings ---- */

Node *ranking_item(Procedure *p, const Ranking *ranking, Node *place)
{
    return procedure_read_index(p, ranking->items, index_add(p->ir, ranking->item_base, place));
}

void ranking_put(Procedure *p, const Ranking *ranking, Node *place, Node *item)
{
    procedure_write(p, ranking->items, index_add(p->ir, ranking->item_base, place), item);
}

Node *ranking_key(Procedure *p, const Ranking *ranking, Node *item)
{
    Ir *const ir = p->ir;
    return procedure_read(p, ranking->keys, index_add(ir, ranking->key_base, index_mul(ir, item, ranking->stride)));
}

Node *ranking_before(Procedure *p, Node *key_a, Node *a, Node *key_b, Node *b)
{
    Ir *const ir = p->ir;
    Node *const tie = scalar2(ir, OP_and, scalar2(ir, OP_eq, key_a, key_b), scalar2(ir, OP_lt, a, b));
    return scalar2(ir, OP_or, scalar2(ir, OP_lt, key_a, key_b), tie);
}

/* ---- heaps ---- */

/* Must a stand above b? */
static Node *above(Procedure *p, bool first_on_top, Node *key_a, Node *a, Node *key_b, Node *b)
{
    return first_on_top ? ranking_before(p, key_a, a, key_b, b) : ranking_before(p, key_b, b, key_a, a);
}

void heap_sift(Procedure *p, const Ranking *ranking, Node *place, Node *count, bool first_on_top)
{
    Ir *const ir = p->ir;
    Node *const one = index_const(ir, 1), *const two = index_const(ir, 2);
    Node *const item = ranking_item(p, ranking, place), *const key = ranking_key(p, ranking, item);
    Node *const hole = procedure_var(p, place);
    procedure_loop(p);
    {
        Node *const at = procedure_get(p, hole), *const left = index_add(ir, index_mul(ir, at, two), one);
        procedure_break(p, scalar2(ir, OP_ge, left, count));
        Node *const first = ranking_item(p, ranking, left);
        Node *const child = procedure_var(p, left), *const child_item = procedure_var(p, first);
        Node *const child_key = procedure_var(p, ranking_key(p, ranking, first));
        Node *const right = index_add(ir, left, one);
        procedure_if(p, scalar2(ir, OP_lt, right, count));
        {
            Node *const second = ranking_item(p, ranking, right), *const second_key = ranking_key(p, ranking, second);
            procedure_if(p, above(p, first_on_top, second_key, second, procedure_get(p, child_key), first));
            procedure_set(p, child, right);
            procedure_set(p, child_item, second);
            procedure_set(p, child_key, second_key);
            procedure_end(p);
        }
        procedure_end(p);
        Node *const other = procedure_get(p, child_item);
        procedure_break(p, scalar1(ir, OP_not, above(p, first_on_top, procedure_get(p, child_key), other, key, item)));
        ranking_put(p, ranking, at, other);
        procedure_set(p, hole, procedure_get(p, child));
    }
    procedure_end(p);
    ranking_put(p, ranking, procedure_get(p, hole), item);
}

void heap_build(Procedure *p, const Ranking *ranking, Node *count, bool first_on_top)
{
    Ir *const ir = p->ir;
    Node *const parents = index_floordiv(ir, count, index_const(ir, 2));
    Node *const i = procedure_for(p, "parent", index_const(ir, 0), parents);
    heap_sift(p, ranking, index_sub(ir, index_sub(ir, parents, index_const(ir, 1)), i), count, first_on_top);
    procedure_end(p);
}

void heap_sort(Procedure *p, const Ranking *ranking, Node *count)
{
    Ir *const ir = p->ir;
    Node *const zero = index_const(ir, 0), *const end = index_sub(ir, count, index_const(ir, 1));
    Node *const i = procedure_for(p, "sorted", zero, end);
    {
        Node *const last = index_sub(ir, end, i);
        Node *const top = ranking_item(p, ranking, zero);
        ranking_put(p, ranking, zero, ranking_item(p, ranking, last));
        ranking_put(p, ranking, last, top);
        heap_sift(p, ranking, zero, last, false);
    }
    procedure_end(p);
}

/* ---- radix sort ---- */

static Node *digit_of(Procedure *p, Node *key, Node *shift)
{
    Ir *const ir = p->ir;
    Node *const digit =
        scalar2(ir, OP_and, scalar2(ir, OP_shr, key, shift), const_int(ir, key->type.dtype, DIGITS - 1));
    return cast_make(ir, digit, DTYPE_INDEX);
}

/* counts[d] = how many keys have the digit d. */
static void count_digits(Procedure *p, const Ranking *ranking, Node *count, Node *shift, Node *counts)
{
    Ir *const ir = p->ir;
    Node *const zero = index_const(ir, 0);
    Node *const c = procedure_for(p, "digit", zero, index_const(ir, DIGITS));
    procedure_write(p, counts, c, zero);
    procedure_end(p);
    Node *const i = procedure_for(p, "i", zero, count);
    Node *const digit = digit_of(p, ranking_key(p, ranking, i), shift);
    procedure_write(p, counts, digit, index_add(ir, procedure_read_index(p, counts, digit), index_const(ir, 1)));
    procedure_end(p);
}

/* Counts become the place of the first item of each digit. */
static void sum_digits(Procedure *p, Node *counts)
{
    Ir *const ir = p->ir;
    Node *const sum = procedure_var(p, index_const(ir, 0));
    Node *const c = procedure_for(p, "digit", index_const(ir, 0), index_const(ir, DIGITS));
    Node *const start = procedure_get(p, sum), *const many = procedure_read_index(p, counts, c);
    procedure_write(p, counts, c, start);
    procedure_set(p, sum, index_add(ir, start, many));
    procedure_end(p);
}

/* Items go to the other side in the order of their digits. */
static void move_items(Procedure *p, const Ranking *ranking, Node *count, Node *shift, Node *counts, Node *side)
{
    Ir *const ir = p->ir;
    Node *const one = index_const(ir, 1), *const now = procedure_get(p, side), *const then = index_sub(ir, one, now);
    Node *const from = index_mul(ir, now, count), *const to = index_mul(ir, then, count);
    Node *const i = procedure_for(p, "i", index_const(ir, 0), count);
    Node *const item = ranking_item(p, ranking, index_add(ir, from, i));
    Node *const digit = digit_of(p, ranking_key(p, ranking, item), shift);
    Node *const place = procedure_read_index(p, counts, digit);
    procedure_write(p, counts, digit, index_add(ir, place, one));
    ranking_put(p, ranking, index_add(ir, to, place), item);
    procedure_end(p);
    procedure_set(p, side, then);
}

void radix_sort(Procedure *p, const Ranking *ranking, Node *count, Node *side)
{
    Ir *const ir = p->ir;
    const Dtype dtype = ranking->keys->type.dtype;
    Node *const counts = procedure_local(p, "counts", DTYPE_I64, DIGITS);
    Node *const zero = index_const(ir, 0), *const digits = index_const(ir, dtype_info[dtype].bits / DIGIT_BITS);
    procedure_if(p, scalar2(ir, OP_gt, count, zero));
    Node *const d = procedure_for(p, "d", zero, digits);
    {
        Node *const shift = cast_make(ir, index_mul(ir, d, index_const(ir, DIGIT_BITS)), dtype);
        count_digits(p, ranking, count, shift, counts);
        Node *const first = digit_of(p, ranking_key(p, ranking, zero), shift);
        procedure_if(p, scalar2(ir, OP_ne, procedure_read_index(p, counts, first), count)); /* else nothing to order */
        sum_digits(p, counts);
        move_items(p, ranking, count, shift, counts, side);
        procedure_end(p);
    }
    procedure_end(p);
    procedure_end(p);
}
