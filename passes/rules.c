/* The rule engine: see rules.h.
 *
 * Both sides of a rule are read once. A pattern becomes a flat list of terms, parents first, so that matching is a
 * loop: term i looks at an operand of the node that its parent term has found. A replacement stays an S-expression,
 * which the builder of ir/read.h makes into nodes once the names are bound. Rules are found by the operator of their
 * root. */
#include "passes/rules.h"

#include "ir/ops/ops.h"
#include "ir/read.h"
#include "ir/scalar.h"

#include <string.h>

enum {
    TERMS_MAX = 32,         /* of one pattern */
    NAMES_MAX = 16,         /* of one match, those that guards bind included */
    SWAPS_MAX = 4,          /* operators of one pattern that commute */
    NUMBER_BYTES = 64 << 10 /* constants beyond this are not compared with numbers */
};

typedef enum TermKind { TERM_OPERATOR, TERM_NAME, TERM_NUMBER, TERM_OMITTED } TermKind;

typedef struct Term {
    TermKind kind;
    int parent, operand; /* where it stands; the root has parent -1 */
    int swap;            /* the bit that says whether the operands have changed places; -1: they cannot */
    Op op;
    int operand_count;
    bool open;         /* ends in .. */
    const Sexpr *text; /* of an operator: its attributes are items[first_attribute ..] */
    int first_attribute;
} Term;

typedef struct CompiledRule {
    const Rule *rule;
    int number;
    int term_count;
    Term *terms;
    int swaps;
    const Sexpr *replacement;
    struct CompiledRule *next; /* with the same root, in table order */
} CompiledRule;

struct RuleSet {
    Ir *ir;
    CompiledRule *by_root[OP_ROW_COUNT];
};

struct Match {
    const RuleSet *set;
    Node *root;
    int name_count, attribute_count;
    Name names[NAMES_MAX];
    Node *nodes[NAMES_MAX];
    Attribute attributes[NAMES_MAX];
};

/* ---- reading ---- */

static bool rule_error(Ir *ir, const Rule *rule, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool rule_error(Ir *ir, const Rule *rule, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *const text = arena_vformat(ir->arena, format, arguments);
    va_end(arguments);
    return diag_error(ir->diagnostics, EXIT_INTERNAL, NULL, "rule \"%s\": %s", rule->name, text);
}

static bool commutes(Op op)
{
    static const Op ops[] = {OP_Add, OP_Mul, OP_Max,        OP_Min,       OP_Sum,        OP_And,
                             OP_Or,  OP_Xor, OP_BitwiseAnd, OP_BitwiseOr, OP_BitwiseXor, OP_Equal};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ops[i] == op)
            return true;
    return false;
}

static bool is_number(const Sexpr *atom)
{
    uint64_t bits;
    return literal_read(atom->text, DTYPE_F64, &bits) || sexpr_is(atom, "true") || sexpr_is(atom, "false");
}

static bool attributes_check(Ir *ir, const Rule *rule, const Term *term)
{
    const OpRow *const row = &op_rows[term->op - OP_TENSOR_FIRST];
    for (int i = term->first_attribute; i < term->text->count; i += 2) {
        const Sexpr *const name = &term->text->items[i];
        if (name->kind != SEXPR_ATOM || name->text[0] != ':' || i + 1 == term->text->count)
            return rule_error(ir, rule, "attributes of %s have the form: :name value", row->name);
        const AttributeRow *known = row->attributes;
        while (known->name && strcmp(known->name, name->text + 1) != 0)
            known++;
        if (!known->name)
            return rule_error(ir, rule, "%s has no attribute '%s'", row->name, name->text + 1);
        const SexprKind kind = name[1].kind;
        if (kind != SEXPR_ATOM && kind != SEXPR_STRING)
            return rule_error(ir, rule, "the attribute '%s' is a number, a string, a @name or *", name->text + 1);
    }
    return true;
}

/* An operator: its attributes begin at the first item with a colon. */
static bool operator_read(Ir *ir, const Rule *rule, Term *term)
{
    const Sexpr *const list = term->text;
    if (list->count == 0 || list->items[0].kind != SEXPR_ATOM)
        return rule_error(ir, rule, "a list starts with the name of an operation");
    term->op = op_from_name(list->items[0].text, (size_t)list->items[0].count);
    if (term->op == OP_NONE || !op_is_tensor(term->op))
        return rule_error(ir, rule, "no operation is called '%s'", list->items[0].text);
    int end = 1;
    while (end < list->count && !(list->items[end].kind == SEXPR_ATOM && list->items[end].text[0] == ':'))
        end++;
    term->first_attribute = end;
    term->open = end > 1 && list->items[end - 1].kind == SEXPR_ATOM && sexpr_is(&list->items[end - 1], "..");
    term->operand_count = end - 1 - term->open;
    const OpRow *const row = &op_rows[term->op - OP_TENSOR_FIRST];
    if (term->operand_count > row->input_max || (term->operand_count < row->input_min && !term->open))
        return rule_error(ir, rule, "%s does not take %d operands", row->name, term->operand_count);
    return attributes_check(ir, rule, term);
}

static bool term_read(Ir *ir, const Rule *rule, Term *term)
{
    const Sexpr *const text = term->text;
    term->kind = text->kind == SEXPR_LIST ? TERM_OPERATOR
                 : sexpr_is(text, "_")    ? TERM_OMITTED
                 : is_number(text)        ? TERM_NUMBER
                                          : TERM_NAME;
    term->swap = -1;
    if (term->kind == TERM_OPERATOR)
        return operator_read(ir, rule, term);
    const bool plain = text->kind == SEXPR_ATOM &&
                       (text->text[0] != '@' && text->text[0] != ':' && text->text[0] != '%' && text->text[0] != '.');
    return plain || rule_error(ir, rule, "an operand is an operator, a name, a number or _");
}

/* All terms of one side, parents first. */
static bool terms_read(Ir *ir, const Rule *rule, const char *text, Term *terms, int *count)
{
    terms[0] = (Term){.parent = -1, .text = sexpr_read(ir->arena, ir->diagnostics, rule->name, text)};
    *count = 1;
    for (int i = 0; i < *count; i++) {
        if (!terms[i].text || !term_read(ir, rule, &terms[i]))
            return false;
        for (int j = 0; terms[i].kind == TERM_OPERATOR && j < terms[i].operand_count; j++) {
            if (*count == TERMS_MAX)
                return rule_error(ir, rule, "one side has more than %d terms", TERMS_MAX);
            terms[(*count)++] = (Term){.parent = i, .operand = j, .text = &terms[i].text->items[1 + j]};
        }
    }
    return true;
}

static bool binds(const Term *terms, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (terms[i].kind == TERM_NAME && sexpr_is(terms[i].text, name))
            return true;
        for (int j = terms[i].first_attribute; terms[i].kind == TERM_OPERATOR && j + 1 < terms[i].text->count; j += 2)
            if (terms[i].text->items[j + 1].kind == SEXPR_ATOM && sexpr_is(&terms[i].text->items[j + 1], name))
                return true;
    }
    return false;
}

/* Every name on the right must come from the left, or may come from the guard. */
static bool replacement_check(Ir *ir, const CompiledRule *compiled, const Term *terms, int count)
{
    const Rule *const rule = compiled->rule;
    for (int i = 0; i < count; i++) {
        const Sexpr *const text = terms[i].text;
        if (terms[i].open)
            return rule_error(ir, rule, "'..' stands in the replacement");
        if (terms[i].kind == TERM_NAME && !rule->when && !binds(compiled->terms, compiled->term_count, text->text))
            return rule_error(ir, rule, "nothing is called '%s'", text->text);
        for (int j = terms[i].first_attribute; terms[i].kind == TERM_OPERATOR && j < text->count; j += 2) {
            const Sexpr *const value = &text->items[j + 1];
            if (value->kind == SEXPR_ATOM && value->text[0] == '@' && !rule->when &&
                !binds(compiled->terms, compiled->term_count, value->text))
                return rule_error(ir, rule, "nothing is called '%s'", value->text);
        }
    }
    return true;
}

/* Omitted operands at the end do not count, as in nodes. */
static void trim_omitted(Term *terms, int count)
{
    for (int i = count - 1; i > 0; i--) {
        Term *const parent = &terms[terms[i].parent];
        if (terms[i].kind == TERM_OMITTED && !parent->open && terms[i].operand == parent->operand_count - 1)
            parent->operand_count--;
    }
}

static bool rule_compile(Ir *ir, const Rule *rule, CompiledRule *compiled)
{
    Term terms[TERMS_MAX];
    int count;
    if (!terms_read(ir, rule, rule->pattern, terms, &count))
        return false;
    if (terms[0].kind != TERM_OPERATOR)
        return rule_error(ir, rule, "the pattern is no operator");
    for (int i = 0; i < count && rule->flags & COMMUTES; i++)
        if (terms[i].kind == TERM_OPERATOR && terms[i].operand_count == 2 && !terms[i].open && commutes(terms[i].op))
            terms[i].swap = compiled->swaps++;
    if (compiled->swaps > SWAPS_MAX || (rule->flags & COMMUTES && compiled->swaps == 0))
        return rule_error(ir, rule, "%d operators commute, 1 to %d may", compiled->swaps, SWAPS_MAX);
    trim_omitted(terms, count);
    compiled->rule = rule;
    compiled->terms = arena_copy(ir->arena, terms, (size_t)count * sizeof *terms);
    compiled->term_count = count;
    if (!terms_read(ir, rule, rule->replacement, terms, &count))
        return false;
    compiled->replacement = terms[0].text;
    return replacement_check(ir, compiled, terms, count);
}

RuleSet *rules_compile(Ir *ir, const Rule *rules, int count)
{
    RuleSet *const set = NEW(ir->arena, RuleSet);
    CompiledRule **ends[OP_ROW_COUNT];
    set->ir = ir;
    for (int i = 0; i < OP_ROW_COUNT; i++)
        ends[i] = &set->by_root[i];
    for (int i = 0; i < count; i++) {
        CompiledRule *const compiled = NEW(ir->arena, CompiledRule);
        if (!rule_compile(ir, &rules[i], compiled))
            return NULL;
        for (int j = 0; j < i; j++)
            if (strcmp(rules[i].name, rules[j].name) == 0)
                return rule_error(ir, &rules[i], "two rules have this name"), NULL;
        compiled->number = i;
        CompiledRule ***const end = &ends[compiled->terms[0].op - OP_TENSOR_FIRST];
        **end = compiled;
        *end = &compiled->next;
    }
    return set;
}

/* ---- matching ---- */

static bool name_match(Match *match, const char *text, Node *node)
{
    if (is_omitted(node))
        return false;
    for (int i = 0; i < match->name_count; i++)
        if (strcmp(match->names[i], text) == 0)
            return match->nodes[i] == node;
    match_bind(match, text, node);
    return true;
}

/* Are all elements of the constant the number that `text` is in the constant's type? */
static bool number_match(const char *text, const Node *node)
{
    if (node->op != OP_constant || node->type.dtype == DTYPE_STRING || dtype_info[node->type.dtype].bits < 8)
        return false;
    const Constant *const constant = node->payload.constant;
    const size_t size = (size_t)dtype_info[node->type.dtype].bits / 8;
    uint64_t wanted;
    if (constant->bytes < size || constant->bytes > NUMBER_BYTES || !literal_read(text, node->type.dtype, &wanted))
        return false;
    unsigned char element[8];
    element_set(element, node->type.dtype, wanted);
    const unsigned char *const data = constant->data;
    for (size_t at = 0; at + size <= constant->bytes; at += size)
        if (memcmp(data + at, element, size) != 0)
            return false;
    return true;
}

static bool attribute_match(Match *match, const Sexpr *wanted, const Attribute *given)
{
    if (wanted->kind == SEXPR_ATOM && sexpr_is(wanted, "*"))
        return true;
    if (!given)
        return false;
    int64_t integer;
    uint64_t bits;
    if (wanted->kind == SEXPR_STRING)
        return given->kind == ATTRIBUTE_STRING && strcmp(given->string, wanted->text) == 0;
    if (wanted->text[0] != '@')
        return (given->kind == ATTRIBUTE_INT && integer_read(wanted->text, &integer) && given->integer == integer) ||
               (given->kind == ATTRIBUTE_FLOAT && literal_read(wanted->text, DTYPE_F64, &bits) &&
                memcmp(&given->real, &bits, sizeof bits) == 0);
    for (int i = 0; i < match->attribute_count; i++)
        if (strcmp(match->attributes[i].name, wanted->text + 1) == 0)
            return attribute_same_value(&match->attributes[i], given);
    match_bind_attribute(match, wanted->text + 1, *given);
    return true;
}

/* An attribute that no term names must be as if it were not there. */
static bool is_default(const Node *node, const Attribute *attribute)
{
    for (const AttributeRow *row = op_row(node)->attributes; row->name; row++)
        if (strcmp(row->name, attribute->name) == 0)
            return row->has_default &&
                   (attribute->kind == ATTRIBUTE_INT ? attribute->integer == row->integer
                    : attribute->kind == ATTRIBUTE_FLOAT
                        ? attribute->real == row->real
                        : attribute->kind == ATTRIBUTE_STRING && strcmp(attribute->string, row->string) == 0);
    return false;
}

static bool attributes_match(Match *match, const Term *term, const Node *node)
{
    const Sexpr *const items = term->text->items;
    for (int i = term->first_attribute; i < term->text->count; i += 2)
        if (!attribute_match(match, &items[i + 1], attribute_find(node, items[i].text + 1)))
            return false;
    for (int i = 0; i < node->attribute_count; i++) {
        bool named = is_default(node, &node->attributes[i]);
        for (int j = term->first_attribute; j < term->text->count && !named; j += 2)
            named = strcmp(items[j].text + 1, node->attributes[i].name) == 0;
        if (!named)
            return false;
    }
    return true;
}

static bool term_match(Match *match, const Term *term, Node *node)
{
    switch (term->kind) {
    case TERM_NAME:
        return name_match(match, term->text->text, node);
    case TERM_NUMBER:
        return number_match(term->text->text, node);
    case TERM_OMITTED:
        return is_omitted(node);
    case TERM_OPERATOR:
        return node->op == term->op && node->result_count <= 1 &&
               (term->open ? (int)node->input_count >= term->operand_count
                           : (int)node->input_count == term->operand_count) &&
               attributes_match(match, term, node);
    }
    return false;
}

/* One way of reading the pattern: bit i of `swaps` says that the operands of commuting operator i have changed places.
 */
static bool pattern_match(Match *match, const CompiledRule *compiled, Node *root, unsigned swaps)
{
    Node *found[TERMS_MAX];
    match->root = root;
    match->name_count = match->attribute_count = 0;
    for (int i = 0; i < compiled->term_count; i++) {
        const Term *const term = &compiled->terms[i];
        found[i] = root;
        if (term->parent >= 0) {
            const Term *const parent = &compiled->terms[term->parent];
            const bool swapped = parent->swap >= 0 && swaps >> parent->swap & 1;
            if (term->operand >= parent->operand_count)
                continue; /* omitted at the end: not there at all */
            found[i] = found[term->parent]->inputs[swapped ? 1 - term->operand : term->operand];
        }
        if (!term_match(match, term, found[i]))
            return false;
    }
    return !compiled->rule->when || compiled->rule->when(match);
}

/* ---- what guards see ---- */

Ir *match_ir(const Match *match)
{
    return match->set->ir;
}

Node *match_root(const Match *match)
{
    return match->root;
}

Node *match_node(const Match *match, const char *name)
{
    for (int i = 0; i < match->name_count; i++)
        if (strcmp(match->names[i], name) == 0)
            return match->nodes[i];
    BUG("a rule asks for '%s', which it does not bind", name);
}

const Attribute *match_attribute(const Match *match, const char *name)
{
    for (int i = 0; i < match->attribute_count; i++)
        if (strcmp(match->attributes[i].name, name) == 0)
            return &match->attributes[i];
    BUG("a rule asks for '@%s', which it does not bind", name);
}

void match_bind(Match *match, const char *name, Node *node)
{
    if (match->name_count == NAMES_MAX)
        BUG("a rule binds more than %d names", NAMES_MAX);
    match->names[match->name_count] = name_intern(match->set->ir->arena, name);
    match->nodes[match->name_count++] = node;
}

void match_bind_attribute(Match *match, const char *name, Attribute attribute)
{
    if (match->attribute_count == NAMES_MAX)
        BUG("a rule binds more than %d attributes", NAMES_MAX);
    attribute.name = name_intern(match->set->ir->arena, name);
    match->attributes[match->attribute_count++] = attribute;
}

/* ---- replacing ---- */

/* Numbers among the operands are rank-0 constants. */
static Node *make_operator(void *context, Op op, Node **inputs, int count, int output_count,
                           const Attribute *attributes, int attribute_count)
{
    Ir *const ir = context;
    for (int i = 0; i < count; i++)
        if (inputs[i]->op == OP_const)
            inputs[i] = constant_scalar(ir, inputs[i]->type.dtype, const_as_double(inputs[i]));
    return tensor_make(ir, op, inputs, count, output_count, attributes, attribute_count);
}

static bool all_known(const RunCheck *checks, const RunCheck *known)
{
    for (; checks; checks = checks->next) {
        const RunCheck *same = known;
        while (same && same->condition != checks->condition)
            same = same->next;
        if (!same)
            return false;
    }
    return true;
}

/* The replacement, if it is as good as the root: same type, elements as well known, no new check at run time. */
static Node *replacement_build(const CompiledRule *compiled, const Match *match)
{
    Ir *const ir = match->set->ir;
    Diagnostics *const diagnostics = ir->diagnostics;
    RunCheck *const checks = ir->checks;
    const Where *const where = ir->where;
    Environment environment = {.file = compiled->rule->name,
                               .names = names_open(ir->arena),
                               .attributes = match->attributes,
                               .attribute_count = match->attribute_count,
                               .make_tensor = make_operator,
                               .context = ir};
    for (int i = 0; i < match->name_count; i++)
        names_bind(environment.names, match->names[i], match->nodes[i]);
    ir->diagnostics =
        diagnostics_open(ir->arena); /* what cannot be inferred is a rule that does not fit, no error of the model */
    ir->checks = NULL;
    ir->where = match->root->where;
    Node *const made = expression_build(ir, compiled->replacement, &environment);
    const bool known = all_known(ir->checks, checks);
    ir->diagnostics = diagnostics;
    ir->checks = checks;
    ir->where = where;
    const bool good =
        made && known && made != match->root && made->result_count <= 1 && type_equal(made->type, match->root->type);
    return good && (made->contents || !match->root->contents) ? made : NULL;
}

Node *rules_apply(RuleSet *set, Node *root, RuleClass most, int *fired)
{
    if (!op_is_tensor(root->op) || root->result_count > 1)
        return NULL;
    Match match = {.set = set};
    for (const CompiledRule *rule = set->by_root[root->op - OP_TENSOR_FIRST]; rule; rule = rule->next) {
        for (unsigned swaps = 0; rule->rule->class <= most && swaps < 1u << rule->swaps; swaps++) {
            Node *const made = pattern_match(&match, rule, root, swaps) ? replacement_build(rule, &match) : NULL;
            if (!made)
                continue;
            *fired = rule->number;
            return made;
        }
    }
    return NULL;
}
