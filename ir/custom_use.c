/* A custom operator's definition over the inputs of one node: names, patterns of types, expansions. */
#include "ir/custom_internal.h"

#include <string.h>

static void use_bind(Use *use, const char *name, Node *node)
{
    names_bind(use->parser.environment.names, name_intern(use->ir->arena, name), node);
}

/* The node is named, and then the line of the definition. */
bool use_error(const Use *use, const Sexpr *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *const text = arena_vformat(use->ir->arena, format, arguments);
    va_end(arguments);
    diag_error(use->ir->diagnostics, EXIT_MALFORMED, use->ir->where, "%s", text);
    diag_note(use->ir->diagnostics, "%s:%d: of the operator's definition", use->custom->file, at->line);
    return false;
}

/* The letter of a type variable, or NULL. */
static Dtype *variable_of(Use *use, const Sexpr *atom)
{
    const bool letter = atom->kind == SEXPR_ATOM && atom->count == 1 && *atom->text >= 'A' && *atom->text <= 'Z';
    return letter ? &use->variables[*atom->text - 'A'] : NULL;
}

/* A letter that stands for a type, as that type. */
Sexpr use_dtype_atom(Use *use, const Sexpr *atom)
{
    const Dtype *const variable = variable_of(use, atom);
    Sexpr made = *atom;
    if (variable && *variable != DTYPE_NONE) {
        made.text = dtype_info[*variable].name;
        made.count = (int)strlen(made.text);
    }
    return made;
}

static bool dim_match(Use *use, const Sexpr *pattern, Node *dim, int input)
{
    Names *const names = use->parser.environment.names;
    int64_t number;
    if (pattern->kind == SEXPR_ATOM && !integer_read(pattern->text, &number) &&
        !names_find(names, name_intern(use->ir->arena, pattern->text))) {
        use_bind(use, pattern->text, dim);
        return true;
    }
    Node *const wanted = expression_build(use->ir, pattern, &use->parser.environment);
    int64_t a, b;
    if (!wanted || wanted->type.dtype != DTYPE_INDEX)
        return wanted && use_error(use, pattern, "a dim is a whole number");
    if (wanted == dim)
        return true;
    if (const_is_int(wanted, &a) && const_is_int(dim, &b))
        return use_error(use, pattern, "a dim of input %d is %lld, where the definition wants %lld", input,
                         (long long)b, (long long)a);
    return run_check(use->ir, scalar2(use->ir, OP_eq, wanted, dim),
                     arena_format(use->ir->arena, "%s: a dim of input %d is not what its definition wants",
                                  use->custom->name, input));
}

/* What stands behind `input %x`: a type with names for what may differ. */
static bool type_match(Use *use, Cursor *cursor, const Node *node, int input)
{
    const Sexpr *const at = cursor_peek(cursor);
    if (!cursor_take(cursor, ":"))
        return !use->custom->stages || use_error(use, at, "the inputs of stages have types, such as T[N,M]");
    const Sexpr *const dtype =
        cursor_want(&use->parser, cursor, SEXPR_ATOM, "an element type, or a capital letter that stands for one");
    const Sexpr *const dims = dtype ? cursor_want(&use->parser, cursor, SEXPR_VECTOR, "dims in square brackets") : NULL;
    if (!dims || is_omitted(node))
        return dims && use_error(use, at, "input %d is left out", input);
    Dtype *const variable = variable_of(use, dtype);
    if (variable && *variable == DTYPE_NONE)
        *variable = node->type.dtype;
    const Sexpr given = use_dtype_atom(use, dtype);
    if (dtype_from_name(given.text) != node->type.dtype)
        return use_error(use, dtype, "input %d is %s, where the definition wants %s", input,
                         type_text(use->ir, node->type), given.text);
    if (node->type.rank != dims->count)
        return use_error(use, dims, "input %d is %s, where the definition wants %d dims", input,
                         type_text(use->ir, node->type), dims->count);
    for (int i = 0; i < dims->count; i++)
        if (!dim_match(use, &dims->items[i], node->type.dims[i], input))
            return false;
    return true;
}

bool use_input_bind(Use *use, Cursor *cursor, int input)
{
    const Sexpr *const at = cursor_peek(cursor);
    Name name;
    if (!parse_name(&use->parser, cursor, &name))
        return false;
    Node *const node = input < use->input_count ? use->inputs[input] : omitted_make(use->ir);
    use_bind(use, name, node);
    return (is_omitted(node) && !use->custom->stages) || type_match(use, cursor, node, input) ||
           (use->ir->diagnostics->error_count == 0 && use_error(use, at, "input %d does not match", input));
}

/* `T[N,M]` of a result or of a buffer between stages. */
bool use_result_type(Use *use, Cursor *cursor, Type *type)
{
    if (!cursor_want_atom(&use->parser, cursor, ":"))
        return false;
    const Sexpr *const dtype =
        cursor_want(&use->parser, cursor, SEXPR_ATOM, "an element type, or a letter that an input has bound");
    const Sexpr *const dims = dtype ? cursor_want(&use->parser, cursor, SEXPR_VECTOR, "dims in square brackets") : NULL;
    if (!dims)
        return false;
    const Sexpr given = use_dtype_atom(use, dtype);
    if (dtype_from_name(given.text) == DTYPE_NONE)
        return use_error(use, dtype, "%s is no element type, and no input has it", given.text);
    for (int i = 0; i < dims->count; i++)
        if (dims->items[i].kind == SEXPR_ATOM && !integer_read(dims->items[i].text, &(int64_t){0}) &&
            !names_find(use->parser.environment.names, name_intern(use->ir->arena, dims->items[i].text)))
            return use_error(use, &dims->items[i], "no input has a dim %s", dims->items[i].text);
    return tensor_type_build(use->ir, &given, dims, &use->parser.environment, type);
}

static Node *make_operator(void *context, Op op, Node **inputs, int count, int output_count,
                           const Attribute *attributes, int attribute_count)
{
    Ir *const ir = context;
    const Type like = count && inputs[0]->type.rank >= 0 ? inputs[0]->type : count > 1 ? inputs[1]->type : (Type){0};
    for (int i = 0; i < count; i++)
        if (inputs[i]->op == OP_const)
            inputs[i] = constant_scalar(ir, like.dtype == DTYPE_NONE ? inputs[i]->type.dtype : like.dtype,
                                        const_as_double(inputs[i]));
    return tensor_make(ir, op, inputs, count, output_count, attributes, attribute_count);
}

/* Numbers among the attributes: @name, in expansions a scalar of the type of input 0, in stages a number of that type.
 */
static void attributes_bind(Use *use, const Attribute *attributes, int count)
{
    const bool typed = use->input_count && !is_omitted(use->inputs[0]);
    const Dtype like = typed ? use->inputs[0]->type.dtype : DTYPE_F32;
    for (int i = 0; i < count; i++) {
        const double value = attributes[i].kind == ATTRIBUTE_INT ? (double)attributes[i].integer : attributes[i].real;
        if (attributes[i].kind != ATTRIBUTE_INT && attributes[i].kind != ATTRIBUTE_FLOAT)
            continue;
        use_bind(use, arena_format(use->ir->arena, "@%s", attributes[i].name),
                 use->custom->stages ? const_float(use->ir, dtype_compute(like), value)
                                     : constant_scalar(use->ir, like, value));
    }
}

Use *use_open(Ir *ir, const CustomOperator *custom, Node *const *inputs, int input_count, const Attribute *attributes,
              int attribute_count)
{
    Use *const use = NEW(ir->arena, Use);
    *use = (Use){.ir = ir, .custom = custom, .inputs = inputs, .input_count = input_count};
    parser_open(&use->parser, ir, custom->file, NULL);
    use->parser.environment.attributes = attributes;
    use->parser.environment.attribute_count = attribute_count;
    attributes_bind(use, attributes, attribute_count);
    return use;
}

/* ---- expansions ---- */

static bool let_make(Use *use, Cursor *cursor)
{
    const Sexpr *const at = cursor_peek(cursor);
    Name names[CUSTOM_LETS];
    int count = 0;
    while (cursor_more(cursor) && !cursor_is(cursor, "="))
        if (count == CUSTOM_LETS || !parse_name(&use->parser, cursor, &names[count++]))
            return false;
    use->parser.environment.output_count = count;
    Node *const node =
        count && cursor_want_atom(&use->parser, cursor, "=") ? parse_expression(&use->parser, cursor) : NULL;
    use->parser.environment.output_count = 0;
    if (!node)
        return count || use_error(use, at, "a name is missing before '='");
    for (int i = 0; i < count; i++)
        names_bind(use->parser.environment.names, names[i], count > 1 ? node->results[i] : node);
    return true;
}

bool use_expand(Use *use)
{
    Cursor cursor = {use->custom->block, 0};
    bool good = true;
    int inputs = 0;
    use->parser.environment.make_tensor = make_operator;
    use->parser.environment.context = use->ir;
    while (good && cursor_more(&cursor)) {
        const Sexpr *const at = cursor_peek(&cursor);
        cursor.at++;
        if (sexpr_is(at, "input"))
            good = use_input_bind(use, &cursor, inputs++);
        else if (sexpr_is(at, "let"))
            good = let_make(use, &cursor);
        else if (sexpr_is(at, "output"))
            good = (use->outputs[use->output_count++] = parse_expression(&use->parser, &cursor)) != NULL;
        custom_statement_skip(&cursor);
        if (!good)
            diag_note(use->ir->diagnostics, "%s:%d: of the definition of %s", use->custom->file, at->line,
                      use->custom->name);
    }
    for (int i = 0; i < use->output_count && good; i++)
        if (!type_is_tensor(use->outputs[i]->type) || use->outputs[i]->result_count > 1)
            good = use_error(use, use->custom->block, "output %d of the definition is no tensor", i);
    return good;
}
