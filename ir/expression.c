/* The builder: S-expressions into pure nodes. See read.h.
 *
 * A list under construction is a Frame on an explicit stack; its finished operands stand in one shared stack of
 * Operands. Bare numbers wait until their neighbours are known, for those give the dtype. */
#include "ir/mma.h"
#include "ir/operands.h"
#include "ir/ops/ops.h"
#include "ir/read.h"
#include "ir/read_attributes.h"

#include <string.h>

typedef struct Operand {
    Node *node;
    const Sexpr *number; /* a bare number that has no dtype yet: node is NULL */
    const Sexpr *text;
} Operand;

typedef struct Frame {
    const Sexpr *list;
    Op op;
    int next;    /* item that is built next */
    int end;     /* items from here on are attributes */
    size_t base; /* first operand */
    Type type;   /* leading arguments */
    int64_t integer;
    Fold fold;
    const Sexpr *axes; /* (%c in C, %p in 3): extents first, then the names are bound */
    int next_axis;     /* item of `axes` that is built next */
    Node **axis_nodes;
    int axis_count;
    Name definition; /* what the item being built is called, NULL for an operand */
} Frame;

typedef struct Builder {
    Ir *ir;
    const Environment *environment;
    Frame *frames;
    int depth, frame_capacity, binders;
    Operand *operands;
    size_t operand_count, operand_capacity;
} Builder;

void *read_error(Ir *ir, const char *file, const Sexpr *expression, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *const text = arena_vformat(ir->arena, format, arguments);
    va_end(arguments);
    const Where where = {
        .file = file ? name_intern(ir->arena, file) : NULL, .line = expression->line, .column = expression->column};
    diag_error(ir->diagnostics, EXIT_MALFORMED, &where, "%s", text);
    return NULL;
}

static void *fail(const Builder *builder, const Sexpr *at, const char *message, const char *detail)
{
    return read_error(builder->ir, builder->environment->file, at, message, detail);
}

/* ---- atoms ---- */

/* The colon before a type, 0:f32: outside quotes and not in a %name. NULL when there is none. */
static const char *type_colon(const char *text)
{
    bool quoted = false;
    for (; *text && *text != '%'; text++) {
        if (quoted && *text == '\\' && text[1])
            text++;
        else if (*text == '\'')
            quoted = !quoted;
        else if (*text == ':' && !quoted)
            return text;
    }
    return NULL;
}

static bool is_number(const Sexpr *atom)
{
    int64_t ignored;
    uint64_t bits;
    return atom->kind == SEXPR_ATOM && !type_colon(atom->text) &&
           (integer_read(atom->text, &ignored) || literal_read(atom->text, DTYPE_F64, &bits));
}

/* The text of a factor without its quotes and escapes, interned. */
static Name factor_name(Ir *ir, const char *text, size_t length)
{
    if (length < 2 || text[0] != '\'')
        return name_intern_bytes(ir->arena, text, length);
    char *const plain = arena_alloc(ir->arena, length);
    size_t used = 0;
    for (size_t i = 1; i + 1 < length; i++) {
        if (text[i] == '\\')
            i++;
        plain[used++] = text[i];
    }
    return name_intern_bytes(ir->arena, plain, used);
}

static size_t factor_length(const char *text)
{
    size_t length = 0;
    bool quoted = false;
    for (; text[length] && (quoted || !strchr("+-*", text[length])); length++) {
        if (quoted && text[length] == '\\' && text[length + 1])
            length++;
        else if (text[length] == '\'')
            quoted = !quoted;
    }
    return length;
}

static Node *name_build(const Builder *builder, const Sexpr *atom, const char *text, size_t length)
{
    const Environment *const environment = builder->environment;
    Ir *const ir = builder->ir;
    const Name name = factor_name(ir, text, length);
    Node *const node = text[0] == '\'' || !environment->names ? NULL : names_find(environment->names, name);
    if (node)
        return node;
    if (length == 0)
        return fail(builder, atom, "'%s' lacks a name or a number", atom->text);
    if (text[0] == '%' || text[0] == '@' || !environment->symbols)
        return fail(builder, atom, "nothing here is called '%s'", diag_quote(ir->arena, name, 80));
    return symbol_make(ir, name);
}

static Node *factor_build(const Builder *builder, const Sexpr *atom, const char *text, size_t length)
{
    int64_t value;
    if (integer_read(arena_format(builder->ir->arena, "%.*s", (int)length, text), &value))
        return index_const(builder->ir, value);
    Node *const node = name_build(builder, atom, text, length);
    if (node && (node->type.dtype != DTYPE_INDEX || node->type.rank >= 0 || node->type.lanes != 1))
        return fail(builder, atom, "'%s' calculates with something that is no index", atom->text);
    return node;
}

/* 2*%i+N-1: sums of products of names and numbers, all indices. */
static Node *polynomial_build(const Builder *builder, const Sexpr *atom)
{
    Ir *const ir = builder->ir;
    const char *text = atom->text;
    Node *sum = index_const(ir, 0);
    while (*text) {
        /* The sign of a number is part of it: the lowest one has no positive twin. */
        const bool minus = *text == '-' && (text[1] < '0' || text[1] > '9');
        text += minus || *text == '+';
        Node *product = NULL;
        do {
            text += product != NULL;
            const size_t sign = !product && *text == '-';
            const size_t length = sign + factor_length(text + sign);
            Node *const factor = factor_build(builder, atom, text, length);
            if (!factor)
                return NULL;
            product = product ? index_mul(ir, product, factor) : factor;
            text += length;
        } while (*text == '*');
        sum = minus ? index_sub(ir, sum, product) : index_add(ir, sum, product);
    }
    return sum;
}

/* 0.5:f32, true, nan:f32x16 */
static Node *typed_constant(const Builder *builder, const Sexpr *atom, const char *colon)
{
    Type type;
    uint64_t bits;
    if (!type_read(colon + 1, &type))
        return fail(builder, atom, "'%s' names no type", colon + 1);
    if (!literal_read(arena_format(builder->ir->arena, "%.*s", (int)(colon - atom->text), atom->text), type.dtype,
                      &bits))
        return fail(builder, atom, "'%s' is no value of its type", atom->text);
    return const_bits(builder->ir, type, bits);
}

static Node *atom_build(const Builder *builder, const Sexpr *atom)
{
    if (atom->kind != SEXPR_ATOM)
        return fail(builder, atom, "an expression is expected%s", "");
    const char *const text = atom->text;
    if (sexpr_is(atom, "_") && builder->environment->make_tensor)
        return omitted_make(builder->ir);
    if (sexpr_is(atom, "true") || sexpr_is(atom, "false"))
        return const_bool(builder->ir, *text == 't');
    const size_t length = factor_length(text);
    const char *const colon = type_colon(text);
    if (colon && colon != text)
        return typed_constant(builder, atom, colon);
    if (text[length] == 0 && strspn(text, "0123456789") != length)
        return name_build(builder, atom, text, length);
    return polynomial_build(builder, atom);
}

/* ---- lists ---- */

static bool push_operand(Builder *builder, Operand operand)
{
    if (builder->operand_count == builder->operand_capacity) {
        const size_t capacity = builder->operand_capacity ? builder->operand_capacity * 2 : 64;
        Operand *const operands = NEW_ARRAY(arena_scratch(builder->ir->arena), Operand, capacity);
        if (builder->operand_count)
            memcpy(operands, builder->operands, builder->operand_count * sizeof *operands);
        builder->operands = operands;
        builder->operand_capacity = capacity;
    }
    builder->operands[builder->operand_count++] = operand;
    return true;
}

static bool take_type(const Builder *builder, Frame *frame)
{
    const Sexpr *const list = frame->list;
    if (frame->next < list->count && list->items[frame->next].kind == SEXPR_ATOM &&
        type_read(list->items[frame->next].text, &frame->type))
        return frame->next++, true;
    return fail(builder, list, "%s needs a type first, such as f32 or f32x16", op_name(frame->op));
}

static bool take_integer(const Builder *builder, Frame *frame)
{
    const Sexpr *const list = frame->list;
    if (frame->next < list->count && list->items[frame->next].kind == SEXPR_ATOM &&
        integer_read(list->items[frame->next].text, &frame->integer))
        return frame->next++, true;
    return fail(builder, list, "%s needs a whole number first", op_name(frame->op));
}

static bool take_kind(const Builder *builder, Frame *frame)
{
    const Sexpr *const list = frame->list;
    frame->fold.lanes = 1;
    for (int kind = 0; kind < FOLD_KINDS && frame->next < list->count; kind++)
        if (sexpr_is(&list->items[frame->next], fold_name[kind])) {
            frame->fold.kind = (uint8_t)kind;
            return frame->next++, true;
        }
    return fail(builder, list, "%s needs a kind first, such as sum or max", op_name(frame->op));
}

static bool take_row(const Builder *builder, Frame *frame)
{
    const Sexpr *const list = frame->list;
    if (frame->next < list->count && list->items[frame->next].kind == SEXPR_ATOM)
        frame->integer = mma_find(list->items[frame->next++].text);
    return mma_row(frame->integer) ||
           fail(builder, list, "%s needs a row of mma.def first, such as m16n8k16.f16.f32", op_name(frame->op));
}

static bool take_lanes(Frame *frame)
{
    if (frame->next < frame->list->count && sexpr_is(&frame->list->items[frame->next], "lanes=16")) {
        frame->fold.lanes = 16;
        frame->next++;
    }
    return true;
}

static bool take_axes(Builder *builder, Frame *frame)
{
    const Sexpr *const list = frame->list;
    if (frame->next >= list->count || list->items[frame->next].kind != SEXPR_LIST)
        return fail(builder, list, "%s needs its axes in parentheses, such as (%%c in C)", op_name(frame->op));
    frame->axes = &list->items[frame->next++];
    if (frame->axes->count % 3 || frame->axes->count == 0 || frame->axes->count > 3 * RANK_MAX)
        return fail(builder, frame->axes, "%s", "axes are 1 to 32 of the form: %name in extent");
    for (int i = 0; i < frame->axes->count; i += 3)
        if (frame->axes->items[i].kind != SEXPR_ATOM || frame->axes->items[i].text[0] != '%' ||
            !sexpr_is(&frame->axes->items[i + 1], "in"))
            return fail(builder, &frame->axes->items[i], "%s", "an axis has the form: %name in extent");
    if (++builder->binders > BLOCK_DEPTH_MAX)
        return fail(builder, list, "folds are nested more than 64 deep%s", "");
    frame->axis_nodes = NEW_ARRAY(builder->ir->arena, Node *, (size_t)frame->axes->count / 3);
    return true;
}

static bool frame_open(Builder *builder, const Sexpr *list)
{
    if (list->count == 0 || list->items[0].kind != SEXPR_ATOM)
        return fail(builder, list, "a list starts with the name of an operation%s", "");
    const Op op = op_from_name(list->items[0].text, (size_t)list->items[0].count);
    const int leading = op_leading(op);
    if (op == OP_NONE) {
        fail(builder, list, "no operation is called '%s'", diag_quote(builder->ir->arena, list->items[0].text, 80));
        const char *const near = op_nearest(list->items[0].text);
        if (near && builder->environment->make_tensor)
            diag_hint(builder->ir->diagnostics, "did you mean %s?", near);
        return false;
    }
    if (leading == LEADING_NONE)
        return fail(builder, list, "%s is no expression", op_name(op));
    if (op_is_tensor(op) && !builder->environment->make_tensor)
        return fail(builder, list, "%s is an operator of the tensor graph", op_name(op));
    if (op_kind(op) == KIND_ORDERED && builder->depth)
        return fail(builder, list, "%s has its place in the order: give it a line of its own", op_name(op));
    if (builder->depth == builder->frame_capacity) {
        const int capacity = builder->frame_capacity ? builder->frame_capacity * 2 : 32;
        Frame *const frames = NEW_ARRAY(arena_scratch(builder->ir->arena), Frame, (size_t)capacity);
        if (builder->depth)
            memcpy(frames, builder->frames, (size_t)builder->depth * sizeof *frames);
        builder->frames = frames;
        builder->frame_capacity = capacity;
    }
    Frame *const frame = &builder->frames[builder->depth++];
    *frame =
        (Frame){.list = list, .op = op, .integer = -1, .next = 1, .end = list->count, .base = builder->operand_count};
    if (op_is_tensor(op))
        for (int i = list->count - 1; i > 0; i--)
            if (list->items[i].kind == SEXPR_ATOM && list->items[i].text[0] == ':')
                frame->end = i;
    return (!(leading & LEADING_TYPE) || take_type(builder, frame)) &&
           (!(leading & LEADING_INTEGER) || take_integer(builder, frame)) &&
           (!(leading & LEADING_KIND) || take_kind(builder, frame)) &&
           (!(leading & LEADING_LANES) || take_lanes(frame)) &&
           (!(leading & LEADING_ROW) || take_row(builder, frame)) &&
           (!(leading & LEADING_AXES) || take_axes(builder, frame));
}

/* All extents are known: the axes come to be, and their names hold until the frame closes. */
static void bind_axes(const Builder *builder, Frame *frame)
{
    names_enter(builder->environment->names);
    for (int i = 0; i < frame->axis_count; i++) {
        const char *const name = frame->axes->items[3 * i].text;
        frame->axis_nodes[i] = axis_make(builder->ir, name + 1, frame->axis_nodes[i]);
        names_bind(builder->environment->names, name_intern(builder->ir->arena, name), frame->axis_nodes[i]);
    }
}

/* The next item of `frame` to build; NULL when all are. */
static const Sexpr *frame_next(const Builder *builder, Frame *frame)
{
    if (frame->axes && frame->next_axis < frame->axes->count) {
        frame->next_axis += 3;
        return &frame->axes->items[frame->next_axis - 1];
    }
    if (frame->axes && frame->next_axis == frame->axes->count) {
        frame->next_axis++;
        bind_axes(builder, frame);
    }
    if (frame->next == frame->end)
        return NULL;
    const Sexpr *const item = &frame->list->items[frame->next++];
    frame->definition = NULL;
    if (frame->axes && item->kind == SEXPR_LIST && item->count == 3 && sexpr_is(&item->items[1], "=") &&
        item->items[0].kind == SEXPR_ATOM && item->items[0].text[0] == '%') {
        frame->definition = name_intern(builder->ir->arena, item->items[0].text);
        return &item->items[2];
    }
    return item;
}

static bool frame_accept(Builder *builder, Frame *frame, Operand operand)
{
    if (frame->definition) {
        Node *const node = operand.node ? operand.node : atom_build(builder, operand.number);
        if (node)
            names_bind(builder->environment->names, frame->definition, node);
        return node != NULL;
    }
    if (!frame->axes || frame->next_axis > frame->axes->count)
        return push_operand(builder, operand);
    Node *const extent = operand.node ? operand.node : atom_build(builder, operand.number);
    if (!extent)
        return false;
    if (extent->type.dtype != DTYPE_INDEX || extent->type.rank >= 0 || extent->type.lanes != 1)
        return fail(builder, operand.text, "the extent of an axis is an index, not %s",
                    operand_type_text(builder->ir->arena, extent));
    frame->axis_nodes[frame->axis_count++] = extent;
    return true;
}

/* ---- closing a list ---- */

/* Bare numbers become constants of the dtype that the operands beside them have. */
static bool numbers_settle(const Builder *builder, const Frame *frame)
{
    Operand *const operands = builder->operands + frame->base;
    const size_t count = builder->operand_count - frame->base;
    const bool alike = op_is_scalar(frame->op) || op_is_tensor(frame->op) || frame->op == OP_guard;
    const size_t first = frame->op == OP_select || frame->op == OP_guard;
    Dtype dtype = DTYPE_NONE;
    for (size_t i = first; i < count && alike && dtype == DTYPE_NONE; i++)
        if (operands[i].node)
            dtype = operands[i].node->type.dtype;
    for (size_t i = 0; i < count; i++) {
        if (operands[i].node)
            continue;
        int64_t ignored;
        uint64_t bits;
        Dtype wanted = dtype;
        if (wanted == DTYPE_NONE)
            wanted =
                op_is_tensor(frame->op) && !integer_read(operands[i].number->text, &ignored) ? DTYPE_F32 : DTYPE_INDEX;
        if (!literal_read(operands[i].number->text, wanted, &bits))
            return read_error(builder->ir, builder->environment->file, operands[i].number, "'%s' is no value of %s",
                              operands[i].number->text, dtype_info[wanted].name);
        operands[i].node = const_bits(builder->ir, type_scalar(wanted), bits);
    }
    return true;
}

static Node *scalar_finish(const Builder *builder, const Frame *frame, Node *draft)
{
    Ir *const ir = builder->ir;
    if ((draft->op == OP_add || draft->op == OP_mul) && draft->input_count > 2) {
        Node *sum = draft->inputs[0];
        for (uint32_t i = 1; i < draft->input_count && sum; i++) {
            Node pair = *draft;
            pair.inputs = (Node *[]){sum, draft->inputs[i]};
            pair.input_count = 2;
            sum = scalar_finish(builder, frame, &pair);
        }
        return sum;
    }
    const char *const problem = operands_problem(ir->arena, draft, true);
    if (problem)
        return read_error(ir, builder->environment->file, frame->list, "%s: %s", op_name(draft->op), problem);
    if (draft->op == OP_cast)
        return cast_make(ir, draft->inputs[0], draft->type.dtype);
    if (draft->op == OP_bitcast)
        return bitcast_make(ir, draft->inputs[0], draft->type.dtype);
    return scalar_make(ir, draft->op, draft->inputs, (int)draft->input_count);
}

static Node *tensor_finish(const Builder *builder, const Frame *frame, const Node *draft)
{
    Ir *const ir = builder->ir;
    int count;
    const Attribute *const attributes = attributes_build(ir, builder->environment, frame->list, frame->end, &count);
    if (!attributes)
        return NULL;
    for (uint32_t i = 0; i < draft->input_count; i++) {
        const Node *const input = draft->inputs[i];
        const bool register_value = input->op != OP_const && !is_omitted(input) && input->type.rank == -1;
        if (register_value && input->type.dtype != DTYPE_NONE)
            return read_error(ir, builder->environment->file, frame->list, "%s: operand %u is %s, not a tensor",
                              op_name(draft->op), i + 1, operand_type_text(ir->arena, input));
    }
    const int outputs =
        builder->depth == 1 && builder->environment->output_count ? builder->environment->output_count : 1;
    return builder->environment->make_tensor(builder->environment->context, draft->op,
                                             (Node **)(uintptr_t)draft->inputs, (int)draft->input_count, outputs,
                                             attributes, count);
}

/* The type that the list's own text or its operands give. */
static Type frame_type(const Frame *frame, Node *const *inputs, int count)
{
    Type type = frame->type;
    if (frame->op == OP_reduce || frame->op == OP_extract)
        return type_scalar(count ? inputs[0]->type.dtype : DTYPE_NONE);
    if (frame->op == OP_guard)
        return count > 1 ? inputs[1]->type : type;
    if (frame->op == OP_fold)
        return type_scalar(frame->fold.kind >= FOLD_ARGMAX || !count ? DTYPE_INDEX : inputs[0]->type.dtype);
    if (frame->op == OP_bound)
        return type_scalar(DTYPE_INDEX);
    if (frame->op == OP_get || frame->op == OP_shuffle || frame->op == OP_dot)
        return count ? inputs[0]->type : type;
    if (frame->op == OP_mma)
        return count > 2 ? inputs[2]->type : type;
    if (frame->op == OP_at)
        return type_scalar(count ? inputs[0]->type.dtype : DTYPE_NONE);
    if (frame->op == OP_join) {
        type = type_vector(count ? inputs[0]->type.dtype : DTYPE_NONE, 0);
        for (int i = 0; i < count && type.lanes < (1 << 20); i++)
            type.lanes += inputs[i]->type.lanes;
    }
    return type;
}

static Node *frame_finish(Builder *builder, Frame *frame)
{
    Ir *const ir = builder->ir;
    const int count = (int)(builder->operand_count - frame->base);
    if (!numbers_settle(builder, frame))
        return NULL;
    Node **const inputs = NEW_ARRAY(ir->arena, Node *, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        inputs[i] = builder->operands[frame->base + (size_t)i].node;
    builder->operand_count = frame->base;
    if (frame->axes) {
        names_leave(builder->environment->names);
        builder->binders--;
    }
    Node draft = {.op = frame->op,
                  .type = frame_type(frame, inputs, count),
                  .inputs = inputs,
                  .input_count = (uint32_t)count,
                  .axes = frame->axis_nodes,
                  .axis_count = (uint16_t)frame->axis_count};
    if (op_is_tensor(frame->op))
        return tensor_finish(builder, frame, &draft);
    if (op_is_scalar(frame->op))
        return scalar_finish(builder, frame, &draft);
    if (frame->op == OP_fold || frame->op == OP_reduce)
        draft.payload.fold = frame->fold;
    if (op_leading(frame->op) & (LEADING_INTEGER | LEADING_ROW))
        draft.payload.integer = frame->integer;
    const char *const problem = operands_problem(ir->arena, &draft, false);
    if (problem)
        return read_error(ir, builder->environment->file, frame->list, "%s: %s", op_name(frame->op), problem);
    if (frame->op == OP_guard)
        return guard_make(ir, inputs[0], inputs[1], inputs[2]);
    if (frame->op == OP_bound)
        return bound_make(ir, inputs[0], inputs[1]);
    if (frame->op == OP_splat)
        return splat_make(ir, inputs[0], draft.type.lanes);
    return node_make(ir, &draft);
}

static Node *build(Ir *ir, const Sexpr *expression, const Environment *environment)
{
    Environment complete = *environment;
    if (!complete.names)
        complete.names = names_open(ir->arena);
    Builder builder = {.ir = ir, .environment = &complete};
    if (expression->kind != SEXPR_LIST)
        return atom_build(&builder, expression);
    const int depth = names_depth(complete.names);
    bool good = frame_open(&builder, expression);
    Node *node = NULL;
    while (good && builder.depth) {
        Frame *frame = &builder.frames[builder.depth - 1];
        const Sexpr *text = frame_next(&builder, frame);
        if (text && text->kind == SEXPR_LIST) {
            good = frame_open(&builder, text);
            continue;
        }
        Operand operand = {.text = text ? text : frame->list};
        if (!text) {
            operand.node = frame_finish(&builder, frame);
            builder.depth--;
        } else if (is_number(text)) {
            operand.number = text;
        } else {
            operand.node = atom_build(&builder, text);
        }
        good = operand.node || operand.number;
        node = operand.node;
        if (good && builder.depth)
            good = frame_accept(&builder, &builder.frames[builder.depth - 1], operand);
    }
    while (names_depth(complete.names) > depth)
        names_leave(complete.names);
    return good ? node : NULL;
}

Node *expression_build(Ir *ir, const Sexpr *expression, const Environment *environment)
{
    Arena *const scratch = arena_scratch(ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    Node *const node = build(ir, expression, environment);
    arena_reset(scratch, mark);
    return node;
}

bool tensor_type_build(Ir *ir, const Sexpr *dtype, const Sexpr *dims, const Environment *environment, Type *type)
{
    Type element;
    if (dtype->kind != SEXPR_ATOM || !type_read(dtype->text, &element) || element.lanes != 1)
        return read_error(ir, environment->file, dtype, "a type such as f32[1,N] is expected");
    if (dims->kind != SEXPR_VECTOR || dims->count > RANK_MAX)
        return read_error(ir, environment->file, dims, "at most %d dims in square brackets are expected", RANK_MAX);
    Node *nodes[RANK_MAX];
    for (int i = 0; i < dims->count; i++) {
        nodes[i] = expression_build(ir, &dims->items[i], environment);
        if (!nodes[i])
            return false;
        if (nodes[i]->type.dtype != DTYPE_INDEX || nodes[i]->type.rank >= 0 || nodes[i]->type.lanes != 1)
            return read_error(ir, environment->file, &dims->items[i], "a dim is an index, not %s",
                              operand_type_text(ir->arena, nodes[i]));
        int64_t dim;
        if (const_is_int(nodes[i], &dim) && dim < 0)
            return read_error(ir, environment->file, &dims->items[i], "a dim cannot be %lld", (long long)dim);
    }
    *type = type_tensor(ir, element.dtype, dims->count, nodes);
    return true;
}
