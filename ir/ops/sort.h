/* Order: what procedures that sort and select share.
 *
 * Elements of every type become unsigned keys, in a stage of its own; smaller keys come first. So procedures know one
 * order only: by key, and where keys are equal by position, which makes every sort stable. Numbers stand as they
 * compare: -0 equals 0, and NaN, whatever its bits, equals NaN and is greater than all numbers. */
#ifndef LATHE_IR_OPS_SORT_H
#define LATHE_IR_OPS_SORT_H

#include "ir/ops/procedure.h"

/* The unsigned type that keys of elements of `dtype` have. */
Dtype key_dtype(Dtype dtype);
/* The key of a value in its compute type; `descending`: the greatest value gets the least key. */
Node *key_of(Ir *ir, Node *value, bool descending);
/* Positions of `count` elements: i32 where they surely fit. */
Dtype position_dtype(Ir *ir, Node *count);

/* Positions to be ordered by keys: key number i is keys[key_base + i * stride]; positions stand in items[item_base
 * ...]. */
typedef struct Ranking {
    Node *keys, *key_base, *stride;
    Node *items, *item_base;
} Ranking;
Node *ranking_item(Procedure *p, const Ranking *ranking, Node *place);
void ranking_put(Procedure *p, const Ranking *ranking, Node *place, Node *item);
Node *ranking_key(Procedure *p, const Ranking *ranking, Node *item);
/* Does position a, of key `key_a`, come before position b? */
Node *ranking_before(Procedure *p, Node *key_a, Node *a, Node *key_b, Node *b);

/* Heaps of the first `count` items. `first_on_top`: every item comes before its children, else after them. */
void heap_build(Procedure *p, const Ranking *ranking, Node *count, bool first_on_top);
/* Moves the item at `place` down to where it belongs. */
void heap_sift(Procedure *p, const Ranking *ranking, Node *place, Node *count, bool first_on_top);
/* A heap with the last on top becomes a sorted list. */
void heap_sort(Procedure *p, const Ranking *ranking, Node *count);

/* Stable: orders the `count` items by key, digit by digit. item_base is the first of two stretches of `count` items;
 * `side` (an index variable, 0 or 1) says in which of them the items stand, before and after. All items are below
 * count. */
void radix_sort(Procedure *p, const Ranking *ranking, Node *count, Node *side);

#endif
