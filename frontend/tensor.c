/* TensorProto and SparseTensorProto become constants. Data that stands in a file as we need it is not copied. */
#include "frontend/importer.h"
#include "ir/ops/ops.h"

#include <string.h>

enum { FIELD_FLOAT = 4, FIELD_INT32 = 5, FIELD_STRING = 6, FIELD_INT64 = 7, FIELD_DOUBLE = 10, FIELD_UINT64 = 11 };

static const uint8_t number_fields[] = {FIELD_FLOAT, FIELD_INT32, FIELD_INT64, FIELD_DOUBLE, FIELD_UINT64};

/* Which list of TensorProto holds the elements of a dtype; int32_data where the row is empty. */
static const uint8_t field_of[DTYPE_COUNT] = {
    [DTYPE_F32] = FIELD_FLOAT,  [DTYPE_F64] = FIELD_DOUBLE, [DTYPE_I64] = FIELD_INT64,
    [DTYPE_U32] = FIELD_UINT64, [DTYPE_U64] = FIELD_UINT64, [DTYPE_STRING] = FIELD_STRING,
};

enum { ONNX_COMPLEX64 = 14, ONNX_COMPLEX128 = 15, ONNX_FLOAT6A = 27, ONNX_FLOAT6B = 28 };

Dtype dtype_import(Importer *importer, const Where *where, const char *what, int32_t number)
{
    const Dtype dtype = dtype_from_onnx(number);
    if (dtype != DTYPE_NONE && number > 0)
        return dtype;
    if (number == ONNX_COMPLEX64 || number == ONNX_COMPLEX128 || number == ONNX_FLOAT6A || number == ONNX_FLOAT6B)
        diag_error(importer->diagnostics, EXIT_UNSUPPORTED, where, "%s has elements of type %s, which is not supported",
                   what, number >= ONNX_FLOAT6A ? "float6" : "complex");
    else
        diag_error(importer->diagnostics, EXIT_MALFORMED, where, "%s has the unknown element type %d", what, number);
    return DTYPE_NONE;
}

bool dims_check(Importer *importer, const Where *where, const char *what, const int64_t *dims, size_t rank, Dtype dtype,
                uint64_t *elements, uint64_t *bytes)
{
    if (rank > RANK_MAX)
        return diag_error(importer->diagnostics, EXIT_LIMIT, where, "%s has %zu dims, the limit is %d", what, rank,
                          RANK_MAX);
    bool empty = false, overflow = false;
    *elements = 1;
    for (size_t i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "%s has the negative dim %lld", what,
                              (long long)dims[i]);
        empty |= dims[i] == 0;
        overflow |= !empty && __builtin_mul_overflow(*elements, (uint64_t)dims[i], elements);
    }
    if (empty)
        *elements = 0;
    uint64_t bits = 0;
    overflow = (!empty && overflow) || __builtin_mul_overflow(*elements, (uint64_t)dtype_info[dtype].bits, &bits) ||
               bits > INT64_MAX - 7;
    if (overflow)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "%s has more bytes than 63 bits can count",
                          what);
    *bytes = (bits + 7) / 8;
    return true;
}

static Type dims_type(Ir *ir, Dtype dtype, const int64_t *dims, size_t rank)
{
    Node *nodes[RANK_MAX];
    for (size_t i = 0; i < rank; i++)
        nodes[i] = index_const(ir, dims[i]);
    return type_tensor(ir, dtype, (int)rank, nodes);
}

/* Small data is copied: readers of small integers want it aligned, and files align nothing. */
enum { ALIGN_COPY = 4096 };

static Node *constant_new(Importer *importer, Type type, Constant constant)
{
    Arena *arena = importer->ir->arena;
    if (constant.bytes <= ALIGN_COPY && !constant.strings && (uintptr_t)constant.data % 16 != 0)
        constant.data = arena_copy(arena, constant.data, constant.bytes);
    return constant_make(importer->ir, type, arena_copy(arena, &constant, sizeof constant));
}

Node *values_constant(Importer *importer, Dtype dtype, int rank, const void *values, int64_t count, Name name)
{
    const uint64_t bytes = (uint64_t)count * (uint64_t)dtype_info[dtype].bits / 8;
    Constant constant = {.data = arena_copy(importer->ir->arena, values, bytes), .bytes = bytes, .name = name};
    if (dtype == DTYPE_STRING)
        constant.strings = (char **)(uintptr_t)constant.data;
    return constant_new(importer, dims_type(importer->ir, dtype, &count, (size_t)rank), constant);
}

/* Does an element read as 64 bits fit `bits`, read as signed or unsigned? Writers disagree on which. */
static bool element_fits(uint64_t element, int bits)
{
    const int64_t value = (int64_t)element;
    return bits >= 64 || (value >= -(1ll << (bits - 1)) && value < 1ll << bits);
}

/* The numbers of a list, each `bits` wide (8 for packed elements below a byte), one after the other. */
static const void *numbers_decode(Importer *importer, const Where *where, const Onnx__TensorProto *tensor,
                                  uint32_t field, int bits, uint64_t bytes, Name name)
{
    size_t length;
    const uint8_t *packed =
        field == FIELD_FLOAT || field == FIELD_DOUBLE ? wire_packed(&tensor->base, field, &length) : NULL;
    if (packed && length == bytes)
        return packed;
    uint8_t *data = arena_alloc(importer->ir->arena, bytes);
    const size_t size = (size_t)bits / 8;
    WireList list = wire_list(&tensor->base, field);
    uint64_t element, at = 0;
    for (; wire_next(&list, &element); at += size) {
        if (at + size > bytes || !element_fits(element, bits))
            break;
        memcpy(data + at, &element, size);
    }
    if (at == bytes && list.at == list.end)
        return data;
    diag_error(importer->diagnostics, EXIT_MALFORMED, where, "tensor \"%s\" holds a number that does not fit its type",
               name);
    return NULL;
}

/* ONNX stores bool as bytes; everything after relies on 0 and 1. */
static const void *bools_normal(Arena *arena, const uint8_t *data, uint64_t bytes)
{
    uint8_t highest = 0;
    for (uint64_t i = 0; i < bytes; i++)
        highest |= data[i];
    if (highest <= 1)
        return data;
    uint8_t *normal = arena_alloc(arena, bytes);
    for (uint64_t i = 0; i < bytes; i++)
        normal[i] = data[i] != 0;
    return normal;
}

char **strings_decode(Importer *importer, const Where *where, const Text *strings, size_t count)
{
    char **list = NEW_ARRAY(importer->ir->arena, char *, count);
    for (size_t i = 0; i < count; i++) {
        if (strings[i].len && memchr(strings[i].data, 0, strings[i].len)) {
            diag_error(importer->diagnostics, EXIT_UNSUPPORTED, where,
                       "strings with zero bytes inside are not supported");
            return NULL;
        }
        list[i] = arena_alloc(importer->ir->arena, strings[i].len + 1);
        memcpy(list[i], strings[i].len ? strings[i].data : (const uint8_t *)"", strings[i].len);
    }
    return list;
}

/* Every list but `field` is empty; else the message names what is there too much. */
static bool lists_empty_but(Importer *importer, const Where *where, const Onnx__TensorProto *tensor, uint32_t field,
                            Name name)
{
    bool extra = field != FIELD_STRING && tensor->n_string_data;
    for (size_t i = 0; i < sizeof number_fields; i++)
        extra |= number_fields[i] != field && wire_count(&tensor->base, number_fields[i]) > 0;
    return !extra || diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                                "tensor \"%s\" has data in a field that is not its type's", name);
}

static bool size_wrong(Importer *importer, const Where *where, Name name, uint64_t has, const char *unit,
                       uint64_t needs)
{
    if (has == UINT64_MAX)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where, "the data of tensor \"%s\" is cut off", name);
    return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                      "tensor \"%s\" has %llu %s but its shape and type need %llu", name, (unsigned long long)has, unit,
                      (unsigned long long)needs);
}

/* Fills in data and bytes of the constant. */
static bool data_import(Importer *importer, const Where *where, const Onnx__TensorProto *tensor, Dtype dtype,
                        uint64_t elements, Constant *constant)
{
    const uint64_t bytes = constant->bytes;
    const Name name = constant->name;
    const uint32_t field = field_of[dtype] ? field_of[dtype] : FIELD_INT32;
    if (tensor->segment || (uint32_t)tensor->data_location > 1)
        return diag_error(importer->diagnostics, EXIT_UNSUPPORTED, where,
                          "tensor \"%s\" is stored in %s, which is not supported", name,
                          tensor->segment ? "segments" : "an unknown place");
    const bool external = tensor->data_location == 1;
    if ((external || tensor->has_raw_data) && dtype == DTYPE_STRING)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                          "tensor \"%s\" holds strings, which cannot be raw data", name);
    if (!lists_empty_but(importer, where, tensor, external || tensor->has_raw_data ? 0 : field, name))
        return false;
    if (external && tensor->raw_data.len)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, where,
                          "tensor \"%s\" has data both in the model and outside", name);
    if (external) {
        constant->data =
            external_data(importer->files, where, diag_quote(importer->scratch, name, 100),
                          (ProtobufCMessage *const *)tensor->external_data, tensor->n_external_data, bytes);
    } else if (tensor->has_raw_data) {
        if (tensor->raw_data.len != bytes)
            return size_wrong(importer, where, name, tensor->raw_data.len, "bytes of raw data", bytes);
        constant->data = tensor->raw_data.data;
    } else if (dtype == DTYPE_STRING) {
        if (tensor->n_string_data != elements)
            return size_wrong(importer, where, name, tensor->n_string_data, "strings", elements);
        constant->data = constant->strings = strings_decode(importer, where, tensor->string_data, elements);
    } else {
        const int bits = dtype_info[dtype].bits;
        const uint64_t has = wire_count(&tensor->base, field), needs = bits < 8 ? bytes : elements;
        if (has != needs)
            return size_wrong(importer, where, name, has, "numbers", needs);
        constant->data = numbers_decode(importer, where, tensor, field, bits < 8 ? 8 : bits, bytes, name);
    }
    if (constant->data && dtype == DTYPE_BOOL)
        constant->data = bools_normal(importer->ir->arena, constant->data, bytes);
    return constant->data;
}

Node *tensor_import(Importer *importer, const Where *where, const Onnx__TensorProto *tensor)
{
    const Name name = text_name(importer, where, &tensor->name, "a tensor's name");
    if (!name)
        return NULL;
    const char *what = arena_format(importer->scratch, "tensor \"%s\"", diag_quote(importer->scratch, name, 100));
    const Dtype dtype = dtype_import(importer, where, what, tensor->data_type);
    Constant constant = {.name = name};
    uint64_t elements;
    if (dtype == DTYPE_NONE ||
        !dims_check(importer, where, what, tensor->dims, tensor->n_dims, dtype, &elements, &constant.bytes) ||
        !data_import(importer, where, tensor, dtype, elements, &constant))
        return NULL;
    return constant_new(importer, dims_type(importer->ir, dtype, tensor->dims, tensor->n_dims), constant);
}

/* ---- sparse ---- */

static int64_t index_at(const Constant *indices, uint64_t i)
{
    int64_t index;
    memcpy(&index, (const char *)indices->data + i * sizeof index, sizeof index);
    return index;
}

/* Linear position of element i: its indices are one linear number, or one number per dim. False when they are out of
 * range. */
static bool sparse_position(const Onnx__SparseTensorProto *sparse, const Constant *indices, bool linear, uint64_t i,
                            uint64_t elements, uint64_t *position)
{
    *position = 0;
    if (linear) {
        *position = (uint64_t)index_at(indices, i);
        return *position < elements;
    }
    for (size_t k = 0; k < sparse->n_dims; k++) {
        const int64_t index = index_at(indices, i * sparse->n_dims + k);
        if (index < 0 || index >= sparse->dims[k])
            return false;
        *position = *position * (uint64_t)sparse->dims[k] + (uint64_t)index;
    }
    return true;
}

Node *sparse_import(Importer *importer, const Where *where, const Onnx__SparseTensorProto *sparse)
{
    Diagnostics *diagnostics = importer->diagnostics;
    if (!sparse->values || !sparse->indices) {
        diag_error(diagnostics, EXIT_MALFORMED, where, "a sparse tensor has no %s",
                   sparse->values ? "indices" : "values");
        return NULL;
    }
    const Node *values = tensor_import(importer, where, sparse->values);
    const Node *indices = values ? tensor_import(importer, where, sparse->indices) : NULL;
    if (!indices)
        return NULL;
    const Constant *from = values->payload.constant, *at = indices->payload.constant;
    const Dtype dtype = values->type.dtype;
    uint64_t elements, position, next = 0;
    Constant constant = {.name = from->name};
    if (!dims_check(importer, where, "a sparse tensor", sparse->dims, sparse->n_dims, dtype, &elements,
                    &constant.bytes))
        return NULL;
    const size_t size = (size_t)dtype_info[dtype].bits / 8;
    if (size == 0 || dtype == DTYPE_STRING || constant.bytes > importer->limits.fold) {
        diag_error(diagnostics, constant.bytes > importer->limits.fold ? EXIT_LIMIT : EXIT_UNSUPPORTED, where,
                   "sparse tensor \"%s\" of type %s takes %llu bytes when dense, which is not supported", from->name,
                   dtype_info[dtype].name, (unsigned long long)constant.bytes);
        return NULL;
    }
    int64_t count = 0, rows = 0, columns = (int64_t)sparse->n_dims;
    const bool linear = indices->type.rank == 1;
    if (values->type.rank != 1 || indices->type.dtype != DTYPE_I64 || indices->type.rank < 1 ||
        indices->type.rank > 2 || !const_is_int(values->type.dims[0], &count) ||
        !const_is_int(indices->type.dims[0], &rows) || rows != count ||
        (!linear && !index_is(indices->type.dims[1], columns))) {
        diag_error(diagnostics, EXIT_MALFORMED, where,
                   "sparse tensor \"%s\": the shapes of values and indices do not match", from->name);
        return NULL;
    }
    uint8_t *data = arena_alloc(importer->ir->arena, constant.bytes);
    for (uint64_t i = 0; i < (uint64_t)count; i++) {
        if (!sparse_position(sparse, at, linear, i, elements, &position) || position < next) {
            diag_error(diagnostics, EXIT_MALFORMED, where,
                       "sparse tensor \"%s\": index %llu is out of range or out of order", from->name,
                       (unsigned long long)i);
            return NULL;
        }
        memcpy(data + position * size, (const char *)from->data + i * size, size);
        next = position + 1;
    }
    constant.data = data;
    return constant_new(importer, dims_type(importer->ir, dtype, sparse->dims, sparse->n_dims), constant);
}
