/* Einsum: operands are contracted one after the other, left to right; a label is summed as soon as nobody asks for it
 * any more.
 *
 * Labels are letters; the dims of an ellipsis are labels of their own, aligned at the end, and broadcast. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <string.h>

enum { LABELS = 256, ELLIPSIS = 128, OPERANDS_MAX = 24 };

typedef struct Term {
    int count;
    uint8_t labels[RANK_MAX];
    bool ellipsis;
    int ellipsis_at, ellipsis_rank;
} Term;

typedef struct Equation {
    int count;
    Term operands[OPERANDS_MAX], output;
    Node *extents[LABELS]; /* NULL: no such label */
} Equation;

static bool wrong(const Infer *infer, const char *why)
{
    return infer_error(infer, "the equation '%s' %s",
                       diag_quote(infer->ir->arena, attribute_string(infer->node, "equation", ""), 100), why);
}

/* One term up to a comma, an arrow or the end; spaces say nothing. */
static bool term_read(const Infer *infer, const char **text, Term *term)
{
    *term = (Term){0};
    for (; **text && **text != ',' && **text != '-'; (*text)++) {
        const char letter = **text;
        if (letter == ' ')
            continue;
        if (letter == '.') {
            if (strncmp(*text, "...", 3) != 0 || term->ellipsis)
                return wrong(infer, "has a dot that belongs to no ellipsis, or two of them in a term");
            term->ellipsis = true;
            term->ellipsis_at = term->count;
            *text += 2;
            continue;
        }
        if (!((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z')))
            return wrong(infer, "holds a character that is no letter");
        if (term->count == RANK_MAX)
            return wrong(infer, "has a term that is too long");
        term->labels[term->count++] = (uint8_t)letter;
    }
    return true;
}

/* The ellipsis of a term becomes `rank` labels, the last of all ellipses' last. */
static bool ellipsis_expand(const Infer *infer, Term *term, int rank)
{
    if (!term->ellipsis)
        return true;
    if (term->count + rank > RANK_MAX || rank < 0)
        return wrong(infer, "does not fit its operands");
    memmove(&term->labels[term->ellipsis_at + rank], &term->labels[term->ellipsis_at],
            (size_t)(term->count - term->ellipsis_at));
    for (int i = 0; i < rank; i++)
        term->labels[term->ellipsis_at + i] = (uint8_t)(ELLIPSIS + RANK_MAX - rank + i);
    term->count += rank;
    term->ellipsis_rank = rank;
    return true;
}

static bool has_label(const Term *term, int label)
{
    return memchr(term->labels, label, (size_t)term->count) != NULL;
}

static bool extents_find(const Infer *infer, Equation *equation)
{
    for (int i = 0; i < equation->count; i++) {
        const Type type = infer_type(infer, i);
        Term *const term = &equation->operands[i];
        if (term->count != type.rank)
            return infer_error(infer, "term %d has %d labels but its operand is %s", i, term->count,
                               type_text(infer->ir, type));
        for (int d = 0; d < type.rank; d++) {
            Node **const extent = &equation->extents[term->labels[d]];
            if (!*extent)
                *extent = type.dims[d];
            else if (term->labels[d] >= ELLIPSIS ? !infer_broadcast_dim(infer, *extent, type.dims[d], extent)
                                                 : !infer_same_dim(infer, *extent, type.dims[d], "dims of one label"))
                return false;
        }
    }
    return true;
}

/* Without an arrow: the ellipsis first, then the labels that stand there once, in the order of their codes. */
static void output_implicit(Equation *equation, int rank)
{
    int times[LABELS] = {0};
    for (int i = 0; i < equation->count; i++)
        for (int d = 0; d < equation->operands[i].count; d++)
            times[equation->operands[i].labels[d]]++;
    Term *const output = &equation->output;
    *output = (Term){0};
    for (int i = 0; i < rank; i++)
        output->labels[output->count++] = (uint8_t)(ELLIPSIS + RANK_MAX - rank + i);
    for (int label = 0; label < ELLIPSIS && output->count < RANK_MAX; label++)
        if (times[label] == 1)
            output->labels[output->count++] = (uint8_t)label;
}

static bool equation_read(const Infer *infer, Equation *equation)
{
    const char *text = attribute_string(infer->node, "equation", "");
    int rank = 0;
    *equation = (Equation){0};
    for (;;) {
        if (equation->count == OPERANDS_MAX || equation->count == (int)infer->node->input_count)
            return wrong(infer, "has more terms than there are operands");
        Term *const term = &equation->operands[equation->count];
        if (!term_read(infer, &text, term))
            return false;
        const int own = infer_type(infer, equation->count++).rank - term->count;
        if (!ellipsis_expand(infer, term, own))
            return false;
        rank = term->ellipsis && own > rank ? own : rank;
        if (*text != ',')
            break;
        text++;
    }
    if (equation->count != (int)infer->node->input_count)
        return wrong(infer, "has fewer terms than there are operands");
    if (!extents_find(infer, equation))
        return false;
    if (*text == 0) {
        output_implicit(equation, rank);
        return true;
    }
    if (text[1] != '>')
        return wrong(infer, "has a dash that belongs to no arrow");
    text += 2;
    if (!term_read(infer, &text, &equation->output) || *text || !ellipsis_expand(infer, &equation->output, rank))
        return *text ? wrong(infer, "goes on after its output") : false;
    for (int i = 0; i < equation->output.count; i++) {
        const int label = equation->output.labels[i];
        if (!equation->extents[label])
            return wrong(infer, "asks for a label that no operand has");
        if (memchr(&equation->output.labels[i + 1], label, (size_t)(equation->output.count - i - 1)))
            return wrong(infer, "has a label twice in its output");
    }
    return true;
}

bool einsum_shape(Infer *infer)
{
    Equation *const equation = NEW(infer->ir->arena, Equation);
    Node *dims[RANK_MAX];
    const Dtype dtype = infer_type(infer, 0).dtype;
    for (int i = 1; i < (int)infer->node->input_count; i++)
        if (infer_type(infer, i).dtype != dtype)
            return infer_error(infer, "operand %d is %s but the first is %s", i,
                               type_text(infer->ir, infer_type(infer, i)), type_text(infer->ir, infer_type(infer, 0)));
    if (!equation_read(infer, equation))
        return false;
    for (int i = 0; i < equation->output.count; i++)
        dims[i] = equation->extents[equation->output.labels[i]];
    infer->types[0] = type_tensor(infer->ir, dtype, equation->output.count, dims);
    return true;
}

/* ---- lowering ---- */

/* A value so far: a buffer and the label of each of its dims. */
typedef struct Operand {
    Node *buffer;
    Term term;
} Operand;

static Node *operand_at(Lower *lower, const Operand *operand, Node *const *axes)
{
    Node *at[RANK_MAX];
    for (int d = 0; d < operand->term.count; d++)
        at[d] = broadcast_index(lower->ir, operand->buffer->type.dims[d], axes[operand->term.labels[d]]->inputs[0],
                                axes[operand->term.labels[d]]);
    return lower_at(lower, operand->buffer, at);
}

/* The labels of `terms` that `wanted` does not hold get axes of a reduction; the list of these. */
static int summed_axes(Lower *lower, const Equation *equation, const Term *const *terms, int count, const bool *wanted,
                       Node **axes, Node **summed)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        for (int d = 0; d < terms[i]->count; d++) {
            const int label = terms[i]->labels[d];
            if (wanted[label] || axes[label])
                continue;
            axes[label] = summed[found++] = lower_axis(lower, "k", equation->extents[label]);
        }
    return found;
}

/* out[labels of `term`] = sum over the other labels of left (times right) */
static void pair_define(Lower *lower, const Equation *equation, const Operand *left, const Operand *right,
                        const Term *term, Node *out)
{
    Ir *const ir = lower->ir;
    Node *axes[LABELS] = {0}, *own[RANK_MAX], *summed[2 * RANK_MAX];
    bool wanted[LABELS] = {0};
    for (int d = 0; d < term->count; d++) {
        const char name[2] = {(char)(term->labels[d] < ELLIPSIS ? term->labels[d] : 'e'), 0};
        own[d] = axes[term->labels[d]] = lower_axis(lower, name, equation->extents[term->labels[d]]);
        wanted[term->labels[d]] = true;
    }
    const Term *const terms[2] = {&left->term, right ? &right->term : NULL};
    const int count = summed_axes(lower, equation, terms, right ? 2 : 1, wanted, axes, summed);
    Node *const a = operand_at(lower, left, axes), *const b = right ? operand_at(lower, right, axes) : NULL;
    Node *value;
    if (b)
        value = count ? contract_make(ir, a->type.dtype, summed, count, a, b) : scalar2(ir, OP_mul, a, b);
    else
        value = count ? fold_make(ir, FOLD_SUM, 1, summed, count, a) : a;
    lower_define(lower, out, own, term->count, value);
}

/* What is left of two operands: labels that the output or a later operand asks for, in the order of their coming. */
static Term remaining(const Equation *equation, const Term *left, const Term *right, int next)
{
    Term term = {0};
    const Term *const both[2] = {left, right};
    for (int i = 0; i < 2; i++)
        for (int d = 0; d < both[i]->count; d++) {
            const int label = both[i]->labels[d];
            bool asked = has_label(&equation->output, label);
            for (int j = next; j < equation->count; j++)
                asked = asked || has_label(&equation->operands[j], label);
            if (asked && !has_label(&term, label) && term.count < RANK_MAX)
                term.labels[term.count++] = (uint8_t)label;
        }
    return term;
}

bool einsum_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    Equation *const equation = NEW(ir->arena, Equation);
    if (!equation_read(&infer, equation))
        return false;
    Node *const out = lower_out(lower, 0);
    Operand so_far = {lower_in(lower, 0), equation->operands[0]};
    if (equation->count == 1) {
        pair_define(lower, equation, &so_far, NULL, &equation->output, out);
        return true;
    }
    for (int i = 1; i < equation->count; i++) {
        const Operand next = {lower_in(lower, i), equation->operands[i]};
        if (i == equation->count - 1) {
            pair_define(lower, equation, &so_far, &next, &equation->output, out);
            break;
        }
        Operand made = {.term = remaining(equation, &so_far.term, &next.term, i + 1)};
        Node *dims[RANK_MAX];
        for (int d = 0; d < made.term.count; d++)
            dims[d] = equation->extents[made.term.labels[d]];
        made.buffer = lower_temp(lower, "product", dtype_compute(out->type.dtype), made.term.count, dims);
        pair_define(lower, equation, &so_far, &next, &made.term, made.buffer);
        so_far = made;
    }
    return true;
}
