/* Declared types of values: forms, element types, symbolic dims; and what is declared against what is. */
#include "frontend/importer.h"
#include "ir/ops/host.h"

#include <stdio.h>
#include <string.h>

/* ---- symbolic dims ---- */

/* A symbol's text is letters, digits, '_' and '.', so that it can stand in IR text and in C comments; other bytes
 * become _xHH. */
static Name symbol_text(Importer *importer, Name name)
{
    Arena *arena = importer->scratch;
    char *text = arena_alloc(arena, strlen(name) * 4 + 8), *at = text;
    for (const char *c = name; *c; c++) {
        const bool digit = *c >= '0' && *c <= '9';
        const bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
        if (letter || (c > name && (digit || *c == '.')))
            *at++ = *c;
        else if (digit)
            at += sprintf(at, "_%c", *c);
        else
            at += sprintf(at, "_x%02x", (unsigned char)*c);
    }
    return name_intern(importer->ir->arena, text);
}

static bool text_taken(const Importer *importer, Name text)
{
    for (int i = 0; i < importer->dim_count; i++)
        if (importer->dims[i].symbol == text)
            return true;
    return false;
}

/* The index node for a dim's name: what an option binds it to, the symbol made before, or a new one. */
static Node *dim_named(Importer *importer, Name name)
{
    names_set(&importer->used, name, importer);
    Node *node = names_get(&importer->bound, name);
    if (!node)
        node = names_get(&importer->symbols, name);
    if (node)
        return node;
    Name text = symbol_text(importer, name);
    while (text_taken(importer, text))
        text = name_intern(importer->ir->arena, arena_format(importer->scratch, "%s_", text));
    if (importer->dim_count == importer->dim_capacity) {
        importer->dim_capacity = importer->dim_capacity ? importer->dim_capacity * 2 : 16;
        ImportedDim *larger = NEW_ARRAY(importer->ir->arena, ImportedDim, (size_t)importer->dim_capacity);
        if (importer->dim_count)
            memcpy(larger, importer->dims, (size_t)importer->dim_count * sizeof *larger);
        importer->dims = larger;
    }
    importer->dims[importer->dim_count++] = (ImportedDim){text, name};
    node = symbol_make(importer->ir, text);
    names_add(&importer->symbols, name, node);
    return node;
}

/* "x.dim2", or with more underscores when the model calls another dim that. */
static Name dim_fresh_name(Importer *importer, Name value, int i)
{
    Name name = name_intern(importer->ir->arena, arena_format(importer->scratch, "%s.dim%d", value, i));
    while (names_get(&importer->symbols, name) || names_get(&importer->declared, name))
        name = name_intern(importer->ir->arena, arena_format(importer->scratch, "%s_", name));
    return name;
}

static Node *dim_import(Importer *importer, const Where *where, const Onnx__TensorShapeProto__Dimension *dim,
                        Name value, int i)
{
    if (dim && dim->has_dim_value)
        return index_const(importer->ir, dim->dim_value);
    Name name = dim ? text_name(importer, where, &dim->dim_param, "the name of a dim") : "";
    if (name && !*name)
        name = dim_fresh_name(importer, value, i);
    return name ? dim_named(importer, name) : NULL;
}

/* ---- declared types ---- */

/* The tensor inside of a declared type, and the form it has there; NULL when there is none, or none that we know. */
static const Onnx__TypeProto__Tensor *type_inside(const Onnx__TypeProto *type, ValueForm *form)
{
    bool optional = false, sequence = false;
    if (type->optional_type) {
        optional = true;
        type = type->optional_type->elem_type;
    }
    if (type && type->sequence_type) {
        sequence = true;
        type = type->sequence_type->elem_type;
    }
    static const ValueForm forms[2][2] = {{FORM_TENSOR, FORM_SEQUENCE}, {FORM_OPTIONAL, FORM_OPTIONAL_SEQUENCE}};
    *form = forms[optional][sequence];
    return type ? type->tensor_type : NULL;
}

static bool type_is_empty(const Onnx__TypeProto *type)
{
    return !type->tensor_type && !type->sequence_type && !type->optional_type && !type->map_type &&
           !type->sparse_tensor_type && !type->opaque_type;
}

static const char *type_kind(const Onnx__TypeProto *type)
{
    return type->sequence_type   ? "a sequence of something else than tensors"
           : type->optional_type ? "an optional of something else than tensors and sequences of them"
           : type->map_type      ? "a map"
                                 : "a value of another kind";
}

/* Dims of the tensors in a sequence or optional: what is named may differ from tensor to tensor. */
static Node *dim_inside(Importer *importer, const Onnx__TensorShapeProto__Dimension *dim)
{
    return dim->has_dim_value ? index_const(importer->ir, dim->dim_value) : NULL;
}

/* dims[i] of a value, NULL where nobody knows it; false after a diagnostic. */
static bool dims_import(Importer *importer, const char *what, const Onnx__TensorShapeProto *shape, ValueForm form,
                        Name name, const ShapeOption *option, Dtype dtype, size_t rank, Node **dims)
{
    const Where *where = &importer->file;
    int64_t fixed[RANK_MAX];
    uint64_t elements, bytes;
    for (size_t i = 0; i < rank && i < RANK_MAX; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape ? shape->dim[i] : NULL;
        if (dim && dim->has_dim_value && dim->dim_value < 0) /* before it becomes an index */
            return dims_check(importer, where, what, &dim->dim_value, 1, dtype, &elements, &bytes);
        dims[i] = form != FORM_TENSOR              ? dim_inside(importer, dim)
                  : option && option->dims[i] >= 0 ? index_const(importer->ir, option->dims[i])
                                                   : dim_import(importer, where, dim, name, (int)i);
        if (!dims[i] && form == FORM_TENSOR)
            return false;
        if (!dims[i] || !const_is_int(dims[i], &fixed[i]))
            fixed[i] = 1;
    }
    return dims_check(importer, where, what, fixed, rank, dtype, &elements, &bytes);
}

bool type_import(Importer *importer, const Onnx__TypeProto *declared, Name name, const ShapeOption *option, Type *type)
{
    const Where *where = &importer->file;
    const char *what = arena_format(importer->scratch, "value \"%s\"", diag_quote(importer->scratch, name, 100));
    ValueForm form;
    if (!declared)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "%s has no type", what);
    const Onnx__TypeProto__Tensor *tensor = type_inside(declared, &form);
    if (!tensor)
        return diag_error(importer->diagnostics, EXIT_UNSUPPORTED, where, "%s is %s, which is not supported", what,
                          type_kind(declared));
    const Dtype dtype = dtype_import(importer, where, what, tensor->elem_type);
    if (dtype == DTYPE_NONE)
        return false;
    const Onnx__TensorShapeProto *shape = tensor->shape;
    if (!shape && form != FORM_TENSOR) {
        *type = (Type){.dtype = dtype, .lanes = 1, .rank = RANK_UNKNOWN, .form = form};
        return true;
    }
    if (!shape && !option)
        return diag_error(importer->diagnostics, EXIT_UNSUPPORTED, where, "%s has no shape: give one with --shape",
                          what);
    const size_t rank = shape ? shape->n_dim : (size_t)option->rank;
    if (option && (size_t)option->rank != rank)
        return diag_error(importer->diagnostics, EXIT_USAGE, where, "%s has %zu dims, --shape gives %d", what, rank,
                          option->rank);
    Node *dims[RANK_MAX];
    if (!dims_import(importer, what, shape, form, name, option, dtype, rank, dims))
        return false;
    *type = type_tensor(importer->ir, dtype, (int)rank, dims);
    type->form = form;
    return true;
}

bool declared_check(Importer *importer, const Onnx__ValueInfoProto *declared, const char *kind, Name name, Type type)
{
    const Where *where = &importer->file;
    const char *what = arena_format(importer->scratch, "%s \"%s\"", kind, diag_quote(importer->scratch, name, 100));
    if (!declared->type)
        return true;
    if (type_is_empty(declared->type))
        return true;
    ValueForm form;
    const Onnx__TypeProto__Tensor *tensor = type_inside(declared->type, &form);
    if (!tensor || form_inside(form) != form_inside(type.form))
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                          "%s is declared as something else than the %s it is", what,
                          type.form == FORM_TENSOR ? "tensor" : type_text(importer->ir, type));
    if (tensor->elem_type && dtype_from_onnx(tensor->elem_type) != type.dtype)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "%s is declared with element type %d but is %s",
                          what, tensor->elem_type, type_text(importer->ir, type));
    if (!tensor->shape || importer->options->shape_count || !type_is_tensor(type))
        return true;
    if (tensor->shape->n_dim != (size_t)type.rank)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "%s is declared with %zu dims but is %s", what,
                          tensor->shape->n_dim, type_text(importer->ir, type));
    for (int i = 0; i < type.rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = tensor->shape->dim[i];
        int64_t is;
        if (dim->has_dim_value && const_is_int(type.dims[i], &is) && is != dim->dim_value)
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                              "%s is declared with dim %d = %lld but is %s", what, i, (long long)dim->dim_value,
                              type_text(importer->ir, type));
    }
    return true;
}
