/* ONNX TensorProto, SequenceProto and OptionalProto: test data and outputs in .pb files.
 *
 * Reads the protobuf wire format itself: the messages are few and flat, and nothing of a hostile file is trusted. Every
 * data field is understood, packed or not; external data and segments are refused, for they belong to models. Writes
 * raw_data, or string_data for strings. */
#include "tools/tensorfile.h"

#include <string.h>

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
enum { NESTING_MOST = 8 };

/* TensorProto */
enum {
    TENSOR_DIMS = 1,
    TENSOR_DATA_TYPE = 2,
    TENSOR_SEGMENT = 3,
    TENSOR_FLOAT_DATA = 4,
    TENSOR_INT32_DATA = 5,
    TENSOR_STRING_DATA = 6,
    TENSOR_INT64_DATA = 7,
    TENSOR_NAME = 8,
    TENSOR_RAW_DATA = 9,
    TENSOR_DOUBLE_DATA = 10,
    TENSOR_UINT64_DATA = 11,
    TENSOR_DATA_LOCATION = 14,
};
/* SequenceProto and OptionalProto number their fields alike; the values of elem_type differ by one name only. */
enum {
    LIST_NAME = 1,
    LIST_ELEM_TYPE = 2,
    LIST_TENSOR = 3,
    LIST_SPARSE = 4,
    LIST_SEQUENCE = 5,
    LIST_MAP = 6,
    LIST_OPTIONAL = 7
};
enum { ELEM_UNDEFINED = 0, ELEM_TENSOR = 1, ELEM_SPARSE = 2, ELEM_SEQUENCE = 3, ELEM_MAP = 4, ELEM_OPTIONAL = 5 };

typedef struct Wire {
    const uint8_t *at, *end;
} Wire;

typedef struct Field {
    uint32_t number;
    int type;
    uint64_t value;       /* VARINT, FIXED32, FIXED64 */
    const uint8_t *bytes; /* BYTES */
    size_t size;
} Field;

static bool wire_varint(Wire *wire, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 70 && wire->at < wire->end; shift += 7) {
        const uint8_t byte = *wire->at++;
        if (shift == 63 && byte > 1)
            return false;
        *value |= (uint64_t)(byte & 0x7f) << (shift & 63);
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool wire_fixed(Wire *wire, uint64_t *value, size_t size)
{
    if ((size_t)(wire->end - wire->at) < size)
        return false;
    *value = 0;
    memcpy(value, wire->at, size);
    wire->at += size;
    return true;
}

/* 1: a field; 0: the message ends here; -1: it is broken. */
static int wire_next(Wire *wire, Field *field)
{
    if (wire->at == wire->end)
        return 0;
    uint64_t key = 0, size = 0;
    if (!wire_varint(wire, &key) || key >> 3 == 0 || key > UINT32_MAX)
        return -1;
    *field = (Field){.number = (uint32_t)(key >> 3), .type = (int)(key & 7)};
    switch (field->type) {
    case VARINT:
        return wire_varint(wire, &field->value) ? 1 : -1;
    case FIXED64:
        return wire_fixed(wire, &field->value, 8) ? 1 : -1;
    case FIXED32:
        return wire_fixed(wire, &field->value, 4) ? 1 : -1;
    case BYTES:
        if (!wire_varint(wire, &size) || size > (size_t)(wire->end - wire->at))
            return -1;
        field->bytes = wire->at;
        field->size = (size_t)size;
        wire->at += size;
        return 1;
    default:
        return -1; /* groups are no part of ONNX */
    }
}

/* The values of a repeated number: one that stands alone, or all of a packed field. */
typedef struct Numbers {
    Wire wire;
    Field single;
    int type; /* wire type of one value */
    bool packed, used;
} Numbers;

static bool numbers_open(Numbers *numbers, const Field *field, int type)
{
    *numbers = (Numbers){.single = *field, .type = type, .packed = field->type == BYTES};
    if (numbers->packed)
        numbers->wire = (Wire){field->bytes, field->bytes + field->size};
    return field->type == type || field->type == BYTES;
}

/* 1: a value; 0: no more; -1: broken. */
static int numbers_next(Numbers *numbers, uint64_t *value)
{
    if (!numbers->packed) {
        *value = numbers->single.value;
        const int more = !numbers->used;
        numbers->used = true;
        return more;
    }
    if (numbers->wire.at == numbers->wire.end)
        return 0;
    if (numbers->type == VARINT)
        return wire_varint(&numbers->wire, value) ? 1 : -1;
    return wire_fixed(&numbers->wire, value, numbers->type == FIXED64 ? 8 : 4) ? 1 : -1;
}

/* Which field holds the values of which types, unless raw_data does. */
typedef struct Storage {
    uint32_t field;
    int wire;
    int units;     /* values per element: complex numbers have two */
    int unit_bits; /* that each value fills in memory */
} Storage;

static Storage storage_of(const HostDtype *type)
{
    if (type->class == HOST_CLASS_STRING)
        return (Storage){TENSOR_STRING_DATA, BYTES, 1, type->bits};
    if (type->class == HOST_CLASS_COMPLEX)
        return type->bits == 64 ? (Storage){TENSOR_FLOAT_DATA, FIXED32, 2, 32}
                                : (Storage){TENSOR_DOUBLE_DATA, FIXED64, 2, 64};
    if (type->class == HOST_CLASS_FLOAT && type->bits == 32)
        return (Storage){TENSOR_FLOAT_DATA, FIXED32, 1, 32};
    if (type->class == HOST_CLASS_FLOAT && type->bits == 64)
        return (Storage){TENSOR_DOUBLE_DATA, FIXED64, 1, 64};
    if (type->class == HOST_CLASS_UNSIGNED && type->bits >= 32)
        return (Storage){TENSOR_UINT64_DATA, VARINT, 1, type->bits};
    if (type->bits == 64)
        return (Storage){TENSOR_INT64_DATA, VARINT, 1, 64};
    /* Everything small: the bits in the low end of an int32; below 8 bits a packed byte in each. */
    return (Storage){TENSOR_INT32_DATA, VARINT, 1, type->bits < 8 ? 8 : type->bits};
}

/* A tensor's fields as they stand in the message. */
typedef struct Parts {
    int64_t dims[HOST_RANK_MOST];
    int rank;
    int64_t dtype;
    const char *name;
    const uint8_t *raw;
    size_t raw_size;
    size_t value_fields; /* float_data and its like that hold anything */
} Parts;

static bool parts_dims(Parts *parts, const Source *source, const Field *field)
{
    Numbers numbers;
    uint64_t dim = 0;
    int more = numbers_open(&numbers, field, VARINT) ? 1 : -1;
    while (more > 0 && (more = numbers_next(&numbers, &dim)) > 0) {
        if (parts->rank == HOST_RANK_MOST)
            return source_error(source, "has more than %d dimensions", HOST_RANK_MOST);
        parts->dims[parts->rank++] = (int64_t)dim;
    }
    return more == 0 || source_error(source, "has broken dimensions");
}

static bool parts_field(Parts *parts, const Source *source, const Field *field)
{
    switch (field->number) {
    case TENSOR_DIMS:
        return parts_dims(parts, source, field);
    case TENSOR_DATA_TYPE:
        parts->dtype = (int64_t)field->value;
        return field->type == VARINT || source_error(source, "has a data_type that is no number");
    case TENSOR_NAME:
        if (field->type == BYTES)
            parts->name = name_intern_bytes(source->arena, (const char *)field->bytes, field->size);
        return field->type == BYTES || source_error(source, "has a name that is no text");
    case TENSOR_RAW_DATA:
        parts->raw = field->bytes;
        parts->raw_size = field->size;
        return field->type == BYTES || source_error(source, "has raw_data that is no bytes");
    case TENSOR_FLOAT_DATA:
    case TENSOR_INT32_DATA:
    case TENSOR_STRING_DATA:
    case TENSOR_INT64_DATA:
    case TENSOR_DOUBLE_DATA:
    case TENSOR_UINT64_DATA:
        parts->value_fields += field->type != BYTES || field->size > 0 || field->number == TENSOR_STRING_DATA;
        return true;
    case TENSOR_SEGMENT:
        return source_error(source, "is a segment of a tensor, which is not supported");
    case TENSOR_DATA_LOCATION:
        return field->value == 0 ||
               source_error(source, "keeps its data in another file, which is read for models only");
    default:
        return true; /* documentation, metadata, fields to come */
    }
}

/* Does an int32_data value fit the type, read as signed or as unsigned? */
static bool value_fits(uint64_t value, int bits)
{
    const int64_t number = (int64_t)value;
    return bits >= 32 ? (bits == 64 || (number >= INT32_MIN && number <= UINT32_MAX))
                      : number >= -(INT64_C(1) << (bits - 1)) && number < INT64_C(1) << bits;
}

/* Appends the values of one field; `*filled` counts units. */
static bool values_append(HostTensor *tensor, const Source *source, const Field *field, const Storage *storage,
                          int64_t units, int64_t *filled)
{
    Numbers numbers;
    uint64_t value = 0;
    const size_t size = (size_t)storage->unit_bits / 8;
    int more = numbers_open(&numbers, field, storage->wire) ? 1 : -1;
    while (more > 0 && (more = numbers_next(&numbers, &value)) > 0) {
        if (*filled == units)
            return source_error(source, "has more values than the %lld of its shape", (long long)units);
        if (storage->wire == VARINT && !value_fits(value, storage->unit_bits))
            return source_error(source, "value %lld is %lld, which %s cannot hold", (long long)*filled,
                                (long long)value, host_dtype(tensor->dtype)->name);
        memcpy((uint8_t *)tensor->data + (size_t)*filled * size, &value, size);
        ++*filled;
    }
    return more == 0 || source_error(source, "has broken values in field %u", field->number);
}

static bool string_append(HostTensor *tensor, const Source *source, const Field *field, int64_t *filled)
{
    if (field->type != BYTES)
        return source_error(source, "has string_data that is no text");
    if (*filled == tensor->count)
        return source_error(source, "has more strings than the %lld of its shape", (long long)tensor->count);
    if (field->size && memchr(field->bytes, 0, field->size))
        return source_error(source, "string %lld has a NUL inside, which cannot be kept", (long long)*filled);
    char *const text = arena_alloc(source->arena, field->size + 1);
    if (field->size)
        memcpy(text, field->bytes, field->size);
    ((const char **)tensor->data)[(*filled)++] = text;
    return true;
}

static bool values_read(HostTensor *tensor, const Source *source)
{
    const Storage storage = storage_of(host_dtype(tensor->dtype));
    const int64_t units =
        storage.wire == BYTES ? tensor->count : (int64_t)(tensor->bytes / ((size_t)storage.unit_bits / 8));
    int64_t filled = 0;
    Wire wire = {source->bytes, source->bytes + source->size};
    for (Field field; wire_next(&wire, &field) > 0;) {
        const bool values = field.number == storage.field;
        if (values && !(storage.wire == BYTES ? string_append(tensor, source, &field, &filled)
                                              : values_append(tensor, source, &field, &storage, units, &filled)))
            return false;
    }
    return filled == units ||
           source_error(source, "has %lld values, but %s has %lld", (long long)filled,
                        host_shape_text(source->arena, tensor->dtype, tensor->rank, tensor->dims), (long long)units);
}

/* Memory is taken only for what the message can hold: every value takes at least a byte of it, every string two. */
static bool parts_plausible(const Parts *parts, const Source *source, const HostDtype *type)
{
    const Storage storage = storage_of(type);
    int64_t count = 1;
    for (int i = 0; i < parts->rank; i++) {
        if (parts->dims[i] < 0)
            return source_error(source, "has dimension %d of size %lld", i, (long long)parts->dims[i]);
        count = parts->dims[i] == 0 ? 0 : count;
    }
    size_t bytes = 0;
    bool fits = true;
    for (int i = 0; i < parts->rank && count; i++)
        fits = fits && !__builtin_mul_overflow(count, parts->dims[i], &count);
    fits = fits && host_bytes(count, type->bits, &bytes);
    if (!fits)
        return source_error(source, "%s is more than 64 bits can count",
                            host_shape_text(source->arena, type->number, parts->rank, parts->dims));
    const size_t smallest = storage.wire == BYTES ? 2 : storage.wire == VARINT ? 1 : (size_t)storage.unit_bits / 8;
    const size_t units = storage.wire == BYTES ? (size_t)count : bytes / ((size_t)storage.unit_bits / 8);
    if (parts->raw_size ? bytes == parts->raw_size : units <= source->size / smallest)
        return true;
    return source_error(source, "%s takes %zu bytes, but %zu are there",
                        host_shape_text(source->arena, type->number, parts->rank, parts->dims), bytes,
                        parts->raw_size ? parts->raw_size : source->size);
}

static bool tensor_read(HostTensor *tensor, const Source *source)
{
    Parts parts = {0};
    Wire wire = {source->bytes, source->bytes + source->size};
    Field field;
    int more;
    while ((more = wire_next(&wire, &field)) > 0)
        if (!parts_field(&parts, source, &field))
            return false;
    if (more < 0)
        return source_error(source, "is no TensorProto: the message is broken at byte %zu",
                            (size_t)(wire.at - source->bytes));
    const HostDtype *const type = parts.dtype > 0 && parts.dtype < INT32_MAX ? host_dtype((int)parts.dtype) : NULL;
    if (!type)
        return source_error(source, "has the data_type %lld, which is unknown", (long long)parts.dtype);
    if (parts.raw_size && parts.value_fields)
        return source_error(source, "has values both in raw_data and in another field");
    if (parts.raw_size && type->class == HOST_CLASS_STRING)
        return source_error(source, "has strings in raw_data");
    if (!parts_plausible(&parts, source, type) ||
        !host_tensor_make(tensor, source, type->number, parts.rank, parts.dims))
        return false;
    tensor->name = parts.name;
    if (!parts.raw_size)
        return values_read(tensor, source);
    memcpy(tensor->data, parts.raw, parts.raw_size);
    return true;
}

/* Any other byte than 0 is true; inside, true is 1. */
static void bools_settle(HostTensor *tensor)
{
    uint8_t *const bytes = tensor->data;
    for (size_t i = 0; tensor->dtype == ONNX_BOOL && i < tensor->bytes; i++)
        bytes[i] = bytes[i] != 0;
}

static bool value_read(HostValue *value, const Source *source, HostKind kind, int depth);

static bool list_items(HostValue *list, const Source *source, int depth)
{
    size_t filled = 0;
    Wire wire = {source->bytes, source->bytes + source->size};
    for (Field field; wire_next(&wire, &field) > 0;) {
        const HostKind kind = field.number == LIST_TENSOR     ? HOST_TENSOR
                              : field.number == LIST_SEQUENCE ? HOST_SEQUENCE
                              : field.number == LIST_OPTIONAL ? HOST_OPTIONAL
                                                              : HOST_ABSENT;
        if (kind == HOST_ABSENT)
            continue;
        Source inner = *source;
        inner.bytes = field.bytes;
        inner.size = field.size;
        if (!value_read(&list->items[filled++], &inner, kind, depth + 1))
            return false;
    }
    return true;
}

/* A sequence or an optional. */
static bool list_read(HostValue *list, const Source *source, int depth)
{
    static const HostKind kinds[] = {[ELEM_UNDEFINED] = HOST_ABSENT,
                                     [ELEM_TENSOR] = HOST_TENSOR,
                                     [ELEM_SEQUENCE] = HOST_SEQUENCE,
                                     [ELEM_OPTIONAL] = HOST_OPTIONAL};
    static const uint32_t fields[] = {
        [HOST_TENSOR] = LIST_TENSOR, [HOST_SEQUENCE] = LIST_SEQUENCE, [HOST_OPTIONAL] = LIST_OPTIONAL};
    Wire wire = {source->bytes, source->bytes + source->size};
    Field field;
    uint64_t type = ELEM_UNDEFINED;
    size_t counts[LIST_OPTIONAL + 1] = {0};
    int more;
    while ((more = wire_next(&wire, &field)) > 0) {
        if (field.number == LIST_ELEM_TYPE)
            type = field.type == VARINT ? field.value : UINT64_MAX;
        else if (field.number == LIST_NAME && field.type == BYTES)
            list->name = name_intern_bytes(source->arena, (const char *)field.bytes, field.size);
        else if (field.number <= LIST_OPTIONAL && field.type == BYTES)
            counts[field.number]++;
        else if (field.number <= LIST_OPTIONAL)
            return source_error(source, "has an element that is no message, in field %u", field.number);
    }
    if (more < 0)
        return source_error(source, "is no list of values: the message is broken at byte %zu",
                            (size_t)(wire.at - source->bytes));
    if (type == ELEM_SPARSE || type == ELEM_MAP || counts[LIST_SPARSE] || counts[LIST_MAP])
        return source_error(source, "holds sparse tensors or maps, which are not supported");
    if (type > ELEM_OPTIONAL)
        return source_error(source, "has the elem_type %llu, which is unknown", (unsigned long long)type);
    list->item_kind = kinds[type];
    const size_t total = counts[LIST_TENSOR] + counts[LIST_SEQUENCE] + counts[LIST_OPTIONAL];
    if (total != (list->item_kind == HOST_ABSENT ? 0 : counts[fields[list->item_kind]]))
        return source_error(source, "has elements of another kind than its elem_type %llu", (unsigned long long)type);
    if (list->kind == HOST_OPTIONAL && total > 1)
        return source_error(source, "is an optional with %zu values", total);
    list->item_count = total;
    list->items = NEW_ARRAY(source->arena, HostValue, total ? total : 1);
    return list_items(list, source, depth);
}

/* Recursion ends at NESTING_MOST, whatever the file says. */
static bool value_read(HostValue *value, const Source *source, HostKind kind, int depth)
{
    *value = (HostValue){.kind = kind};
    if (depth == NESTING_MOST)
        return source_error(source, "nests deeper than %d", NESTING_MOST);
    if (kind != HOST_TENSOR)
        return list_read(value, source, depth);
    if (!tensor_read(&value->tensor, source))
        return false;
    bools_settle(&value->tensor);
    value->name = value->tensor.name;
    return true;
}

bool pb_read(HostValue *value, const Source *source, const HostSpec *spec)
{
    if (spec && spec->kind != HOST_ABSENT)
        return value_read(value, source, spec->kind, 0);
    /* The messages do not say what they are. Of a tensor the sizes must agree, so it is tried first; a sequence and an
     * optional of one value look the same, and the sequence is taken. The message is that of the first try. */
    Source silent = *source;
    silent.diagnostics = diagnostics_open(source->arena);
    if (value_read(value, &silent, HOST_TENSOR, 0) || value_read(value, &silent, HOST_SEQUENCE, 0))
        return true;
    return value_read(value, source, HOST_TENSOR, 0);
}

static void varint_write(FILE *file, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        fputc((int)(value & 0x7f) | 0x80, file);
    fputc((int)value, file);
}

static size_t varint_size(uint64_t value)
{
    size_t size = 1;
    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

static void number_write(FILE *file, uint32_t field, uint64_t value)
{
    varint_write(file, field << 3 | VARINT);
    varint_write(file, value);
}

static void bytes_write(FILE *file, uint32_t field, const void *bytes, size_t size)
{
    varint_write(file, field << 3 | BYTES);
    varint_write(file, size);
    fwrite(bytes, 1, size, file);
}

static size_t bytes_size(size_t size)
{
    return 1 + varint_size(size) + size; /* every field number here is below 16 */
}

static size_t tensor_size(const HostTensor *tensor)
{
    size_t size = 1 + varint_size((uint64_t)tensor->dtype) + (tensor->name ? bytes_size(strlen(tensor->name)) : 0);
    for (int i = 0; i < tensor->rank; i++)
        size += 1 + varint_size((uint64_t)tensor->dims[i]);
    if (tensor->dtype != ONNX_STRING)
        return size + bytes_size(tensor->bytes);
    for (int64_t i = 0; i < tensor->count; i++)
        size += bytes_size(strlen(((const char *const *)tensor->data)[i]));
    return size;
}

static void tensor_write(FILE *file, const HostTensor *tensor)
{
    for (int i = 0; i < tensor->rank; i++)
        number_write(file, TENSOR_DIMS, (uint64_t)tensor->dims[i]);
    number_write(file, TENSOR_DATA_TYPE, (uint64_t)tensor->dtype);
    for (int64_t i = 0; tensor->dtype == ONNX_STRING && i < tensor->count; i++) {
        const char *const text = ((const char *const *)tensor->data)[i];
        bytes_write(file, TENSOR_STRING_DATA, text, strlen(text));
    }
    if (tensor->name)
        bytes_write(file, TENSOR_NAME, tensor->name, strlen(tensor->name));
    if (tensor->dtype != ONNX_STRING)
        bytes_write(file, TENSOR_RAW_DATA, tensor->data, tensor->bytes);
}

static const struct {
    uint32_t elem_type, field;
} list_numbers[] = {
    [HOST_ABSENT] = {ELEM_UNDEFINED, 0},
    [HOST_TENSOR] = {ELEM_TENSOR, LIST_TENSOR},
    [HOST_SEQUENCE] = {ELEM_SEQUENCE, LIST_SEQUENCE},
    [HOST_OPTIONAL] = {ELEM_OPTIONAL, LIST_OPTIONAL},
};

/* Values are made by the compiler or the reader, so their nesting is bounded. */
static size_t value_size(const HostValue *value)
{
    if (value->kind == HOST_TENSOR)
        return tensor_size(&value->tensor);
    size_t size =
        1 + varint_size(list_numbers[value->item_kind].elem_type) + (value->name ? bytes_size(strlen(value->name)) : 0);
    for (size_t i = 0; i < value->item_count; i++)
        size += bytes_size(value_size(&value->items[i]));
    return size;
}

static void value_write(FILE *file, const HostValue *value)
{
    if (value->kind == HOST_TENSOR) {
        tensor_write(file, &value->tensor);
        return;
    }
    if (value->name)
        bytes_write(file, LIST_NAME, value->name, strlen(value->name));
    number_write(file, LIST_ELEM_TYPE, list_numbers[value->item_kind].elem_type);
    for (size_t i = 0; i < value->item_count; i++) {
        varint_write(file, list_numbers[value->items[i].kind].field << 3 | BYTES);
        varint_write(file, value_size(&value->items[i]));
        value_write(file, &value->items[i]);
    }
}

bool pb_write(FILE *file, const HostValue *value)
{
    value_write(file, value); /* an absent value is an OptionalProto without one */
    return !ferror(file);
}
