/* Rewrite rules over tensor operators: text tables with a numeric class, and the engine that compiles and applies them.
 *
 * A rule is a row { CLASS, "name", "pattern", "replacement", when, flags } in the notation of the text IR:
 *   x          a name binds a node that is there; met again it must be the same node
 *   0 -1 true  a number matches a constant all of whose elements have the bits of that number in the constant's own
 * type (so 0 is not -0) _          an operand that is omitted;  ..  after the operands: any further ones :perm @p   an
 * attribute that is given binds to @p (met again: equal);  :seed *  any value, or none; :axis 1    an attribute with
 * this value; one that the pattern does not mention must have its default, or be absent The replacement is built from
 * the bindings; `when` may refuse a match and may bind more names for the replacement.
 *
 * The contract of a rule writer:
 *   - The engine keeps type and shape: a replacement whose type is not provably that of the root, or that needs a check
 * at run time, is refused. So rules need no guard against broadcasting, and x on the right of a rule means "x, where it
 * has the shape already".
 *   - Never larger on the right, or nearer the canonical form that the table names; no bare commutativity: rules run to
 * a fixed point.
 *   - The class says what may differ. Explain FAST: which bits.
 *   - Dtypes: a pattern matches every dtype that its operators allow, wrapping integers and storage types included.
 * First match in table order wins, and operands come before their users. */
#ifndef LATHE_PASSES_RULES_H
#define LATHE_PASSES_RULES_H

#include "ir/ir.h"

/* What may differ, in the order of what --math allows: exact takes EXACT alone, default up to BOUNDED, fast all. */
typedef enum RuleClass {
    EXACT,   /* nothing: the same bits, NaN for NaN */
    REORDER, /* the same terms in another order; no term lost */
    BOUNDED, /* rounding, within a bound that the rule states */
    FAST,    /* special values: -0, infinities, NaN, or more rounding than a bound tells */
} RuleClass;

typedef struct Match Match;
typedef bool RuleGuard(Match *match);

enum RuleFlag {
    COMMUTES =
        1, /* every operator of two operands in the pattern whose operands may change places matches either way */
};

typedef struct Rule {
    RuleClass class;
    const char *name; /* unique; reads as an equation */
    const char *pattern;
    const char *replacement;
    RuleGuard *when;
    int flags; /* of RuleFlag */
} Rule;
extern const Rule tensor_rules[]; /* rules_tensor.c */
extern const int tensor_rule_count;

/* ---- for guards ---- */
Ir *match_ir(const Match *match);
Node *match_root(const Match *match);
Node *match_node(const Match *match, const char *name);                 /* bound by the pattern: BUG when it is not */
const Attribute *match_attribute(const Match *match, const char *name); /* without the @ */
/* Names for the replacement. */
void match_bind(Match *match, const char *name, Node *node);
void match_bind_attribute(Match *match, const char *name, Attribute attribute);

/* ---- the engine ---- */
typedef struct RuleSet RuleSet;
/* Reads the rules and looks up what they name. NULL after a diagnostic: rule "x * 1 = x": no operation is called
 * 'Mull'. */
RuleSet *rules_compile(Ir *ir, const Rule *rules, int count);
/* What the first rule that fits `root`, of class `most` or stricter, makes of it; NULL when none fits. *fired is its
 * number. The nodes are made, but nothing is counted: the caller may still refuse. */
Node *rules_apply(RuleSet *set, Node *root, RuleClass most, int *fired);

#endif
