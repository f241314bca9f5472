/* Host tensors: types, sizes, checks, and the choice of a reader or writer. See tensorfile.h. */
#include "tools/tensorfile.h"

#include <string.h>

static const HostDtype dtypes[] = {
/* by ONNX number; row 0 belongs to the compiler's own types and is never given out */
#define DTYPE(id, text, bits, class, number, numpy) [number] = {text, number, bits, HOST_CLASS_##class, numpy},
#include "ir/dtype.def"
#undef DTYPE
    [ONNX_COMPLEX64] = {"c64", ONNX_COMPLEX64, 64, HOST_CLASS_COMPLEX, "<c8"},
    [ONNX_COMPLEX128] = {"c128", ONNX_COMPLEX128, 128, HOST_CLASS_COMPLEX, "<c16"},
};
static const int dtype_count = sizeof dtypes / sizeof *dtypes;

const HostDtype *host_dtype(int number)
{
    return number > 0 && number < dtype_count && dtypes[number].name ? &dtypes[number] : NULL;
}

const HostDtype *host_dtype_of_numpy(const char *descriptor)
{
    for (int i = 1; *descriptor && i < dtype_count; i++)
        if (dtypes[i].name && strcmp(dtypes[i].numpy, descriptor) == 0)
            return &dtypes[i];
    return NULL;
}

bool host_bytes(int64_t count, int bits, size_t *bytes)
{
    int64_t total = 0;
    if (count < 0 || __builtin_mul_overflow(count, (int64_t)bits, &total) || total > INT64_MAX - 7)
        return false;
    *bytes = (size_t)((total + 7) / 8);
    return true;
}

bool host_tensor_make(HostTensor *tensor, const Source *source, int dtype, int rank, const int64_t *dims)
{
    const HostDtype *const type = host_dtype(dtype);
    if (!type)
        return source_error(source, "has the element type %d, which is unknown", dtype);
    if (rank < 0 || rank > HOST_RANK_MOST)
        return source_error(source, "has %d dimensions, but at most %d are possible", rank, HOST_RANK_MOST);
    *tensor = (HostTensor){.dtype = dtype, .bits = type->bits, .rank = rank, .count = 1};
    tensor->dims = NEW_ARRAY(source->arena, int64_t, rank > 0 ? (size_t)rank : 1);
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return source_error(source, "has dimension %d of size %lld", i, (long long)dims[i]);
        tensor->dims[i] = dims[i];
        empty |= dims[i] == 0;
    }
    for (int i = 0; i < rank && !empty; i++)
        if (__builtin_mul_overflow(tensor->count, dims[i], &tensor->count))
            return source_error(source, "has more elements than 64 bits can count: %s",
                                host_shape_text(source->arena, dtype, rank, dims));
    tensor->count = empty ? 0 : tensor->count;
    if (!host_bytes(tensor->count, type->bits, &tensor->bytes))
        return source_error(source, "has more bytes than 64 bits can count: %s",
                            host_shape_text(source->arena, dtype, rank, dims));
    tensor->data = arena_alloc(source->arena, tensor->bytes > 0 ? tensor->bytes : 1);
    if (type->class == HOST_CLASS_STRING)
        for (int64_t i = 0; i < tensor->count; i++)
            ((const char **)tensor->data)[i] = "";
    return true;
}

HostValue host_value_of_tensor(HostTensor tensor)
{
    return (HostValue){.kind = HOST_TENSOR, .name = tensor.name, .tensor = tensor};
}

const char *host_shape_text(Arena *arena, int dtype, int rank, const int64_t *dims)
{
    const HostDtype *const type = host_dtype(dtype);
    char text[HOST_RANK_MOST * 22 + 64];
    int used = snprintf(text, sizeof text, "%s", type ? type->name : "any type");
    if (rank < 0)
        return arena_format(arena, "%s of any shape", text);
    used += snprintf(text + used, sizeof text - (size_t)used, "[");
    for (int i = 0; i < rank && i < HOST_RANK_MOST; i++)
        used += dims[i] < 0
                    ? snprintf(text + used, sizeof text - (size_t)used, "%s?", i ? "," : "")
                    : snprintf(text + used, sizeof text - (size_t)used, "%s%lld", i ? "," : "", (long long)dims[i]);
    return arena_format(arena, "%s]", text);
}

const char *host_type_text(Arena *arena, const HostValue *value)
{
    switch (value->kind) {
    case HOST_ABSENT:
        return "none";
    case HOST_TENSOR:
        return host_shape_text(arena, value->tensor.dtype, value->tensor.rank, value->tensor.dims);
    case HOST_SEQUENCE:
        return arena_format(arena, "sequence of %zu", value->item_count);
    case HOST_OPTIONAL:
        return value->item_count ? "optional with a value" : "optional without a value";
    }
    return "";
}

static const char *spec_text(Arena *arena, const HostSpec *spec)
{
    if (spec->kind == HOST_SEQUENCE)
        return "a sequence";
    if (spec->kind == HOST_OPTIONAL)
        return "an optional";
    return host_shape_text(arena, spec->dtype, spec->rank, spec->dims);
}

bool host_value_check(const HostValue *value, const HostSpec *spec, const char *file, Diagnostics *diagnostics)
{
    Arena *const arena = diagnostics->arena;
    const Where where = {.file = name_intern(arena, file)};
    if (value->kind == HOST_ABSENT && (spec->optional || spec->kind == HOST_OPTIONAL || spec->kind == HOST_ABSENT))
        return true;
    /* An optional value that is there may come as what it is. */
    const bool content = spec->kind == HOST_OPTIONAL && value->kind != HOST_ABSENT;
    bool same = spec->kind == HOST_ABSENT || value->kind == spec->kind || content;
    if (same && !content && value->kind == HOST_TENSOR) {
        const HostTensor *const tensor = &value->tensor;
        same = (spec->dtype <= 0 || tensor->dtype == spec->dtype) && (spec->rank < 0 || tensor->rank == spec->rank);
        for (int i = 0; same && i < spec->rank; i++)
            same = spec->dims[i] < 0 || tensor->dims[i] == spec->dims[i];
    }
    return same || diag_error(diagnostics, EXIT_MALFORMED, &where, "holds %s, but the input \"%s\" is %s",
                              host_type_text(arena, value), diag_quote(arena, spec->name ? spec->name : "", 80),
                              spec_text(arena, spec));
}

bool raw_read(HostTensor *tensor, const Source *source, const HostSpec *spec)
{
    if (!spec || spec->dtype <= 0 || spec->rank < 0)
        return source_error(source, "raw bytes have no type or shape of their own, and the model gives none");
    const HostDtype *const type = host_dtype(spec->dtype);
    if (!type || type->class == HOST_CLASS_STRING)
        return source_error(source, "raw bytes cannot hold %s", type ? type->name : "an unknown type");
    int64_t dims[HOST_RANK_MOST] = {0};
    int64_t known = 1;
    int unknown = -1;
    for (int i = 0; i < spec->rank && i < HOST_RANK_MOST; i++) {
        dims[i] = spec->dims[i];
        if (dims[i] < 0 && unknown >= 0)
            return source_error(source, "raw bytes cannot settle two unknown dimensions of %s",
                                host_shape_text(source->arena, spec->dtype, spec->rank, spec->dims));
        if (dims[i] < 0)
            unknown = i;
        else if (__builtin_mul_overflow(known, dims[i], &known))
            return source_error(source, "the shape %s has too many elements",
                                host_shape_text(source->arena, spec->dtype, spec->rank, spec->dims));
    }
    size_t bytes = 0;
    if (!host_bytes(known, type->bits, &bytes))
        return source_error(source, "the shape %s is too large",
                            host_shape_text(source->arena, spec->dtype, spec->rank, spec->dims));
    if (unknown >= 0) {
        dims[unknown] = bytes ? (int64_t)(source->size / bytes) : 0;
        bytes *= (size_t)dims[unknown];
    }
    if (bytes != source->size)
        return source_error(source, "has %zu bytes, but %s takes %s%zu", source->size,
                            host_shape_text(source->arena, spec->dtype, spec->rank, spec->dims),
                            unknown >= 0 ? "a multiple, such as " : "", bytes);
    if (!host_tensor_make(tensor, source, spec->dtype, spec->rank, dims))
        return false;
    if (tensor->bytes != bytes) /* packed elements: a row of odd length does not end on a byte */
        return source_error(source, "has %zu bytes, but %s takes %zu", source->size,
                            host_shape_text(source->arena, spec->dtype, spec->rank, dims), tensor->bytes);
    if (bytes)
        memcpy(tensor->data, source->bytes, bytes);
    for (size_t i = 0; type->class == HOST_CLASS_BOOL && i < bytes; i++)
        ((uint8_t *)tensor->data)[i] = source->bytes[i] != 0;
    return true;
}

typedef enum Format { FORMAT_UNKNOWN, FORMAT_NPY, FORMAT_NPZ, FORMAT_PB, FORMAT_IMAGE, FORMAT_WAV, FORMAT_RAW } Format;

static Format format_of_name(const char *path)
{
    static const struct {
        const char *suffix;
        Format format;
    } rows[] = {{".npy", FORMAT_NPY},   {".npz", FORMAT_NPZ},   {".pb", FORMAT_PB},
                {".png", FORMAT_IMAGE}, {".jpg", FORMAT_IMAGE}, {".jpeg", FORMAT_IMAGE},
                {".wav", FORMAT_WAV},   {".raw", FORMAT_RAW},   {".bin", FORMAT_RAW}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (path_has_suffix(path, rows[i].suffix))
            return rows[i].format;
    return FORMAT_UNKNOWN;
}

static Format format_of_bytes(const Source *source)
{
    static const struct {
        const char *magic;
        size_t size;
        Format format;
    } rows[] = {{"\x93NUMPY", 6, FORMAT_NPY}, {"PK\3\4", 4, FORMAT_NPZ},         {"PK\5\6", 4, FORMAT_NPZ},
                {"\x89PNG", 4, FORMAT_IMAGE}, {"\xff\xd8\xff", 3, FORMAT_IMAGE}, {"RIFF", 4, FORMAT_WAV}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (source->size >= rows[i].size && memcmp(source->bytes, rows[i].magic, rows[i].size) == 0)
            return rows[i].format;
    return FORMAT_PB; /* the one format without a mark of its own */
}

static bool npz_read_one(HostTensor *tensor, const Source *source, const HostSpec *spec)
{
    HostTensor *members = NULL;
    size_t count = 0;
    if (!npz_read(&members, &count, source))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (count != 1 && !(spec && spec->name && strcmp(members[i].name, spec->name) == 0))
            continue;
        *tensor = members[i];
        return true;
    }
    return source_error(source, "has %zu members, and none is called \"%s\"", count,
                        diag_quote(source->arena, spec && spec->name ? spec->name : "", 80));
}

static bool read_format(HostValue *value, Format format, const Source *source, const HostSpec *spec,
                        const HostImageOptions *image)
{
    HostTensor tensor = {0};
    bool good = false;
    switch (format) {
    case FORMAT_PB:
        return pb_read(value, source, spec);
    case FORMAT_NPY:
        good = npy_read(&tensor, source, spec);
        break;
    case FORMAT_NPZ:
        good = npz_read_one(&tensor, source, spec);
        break;
    case FORMAT_IMAGE:
        good = image_read(&tensor, source, spec, image);
        break;
    case FORMAT_WAV:
        good = wav_read(&tensor, source, spec);
        break;
    case FORMAT_RAW:
        good = raw_read(&tensor, source, spec);
        break;
    case FORMAT_UNKNOWN:
        break;
    }
    if (good)
        *value = host_value_of_tensor(tensor);
    return good;
}

bool host_value_read(HostValue *value, const char *path, const HostSpec *spec, const HostImageOptions *image,
                     Arena *arena, Diagnostics *diagnostics)
{
    Source source;
    if (!source_open(&source, path, 0, arena, diagnostics))
        return false;
    const Format named = format_of_name(path);
    const bool good =
        read_format(value, named == FORMAT_UNKNOWN ? format_of_bytes(&source) : named, &source, spec, image);
    source_close(&source);
    return good;
}

bool npy_holds(const HostValue *value)
{
    return value->kind == HOST_TENSOR && *host_dtype(value->tensor.dtype)->numpy;
}

bool host_value_write(const char *path, const HostValue *value, Arena *arena, Diagnostics *diagnostics)
{
    const Where where = {.file = name_intern(arena, path)};
    const Format named = format_of_name(path);
    if (named != FORMAT_PB && !npy_holds(value))
        return diag_error(diagnostics, EXIT_UNSUPPORTED, &where, "this format cannot hold %s; name it .pb",
                          host_type_text(arena, value));
    if (named == FORMAT_IMAGE || named == FORMAT_WAV)
        return diag_error(diagnostics, EXIT_UNSUPPORTED, &where, "results are written as .npy, .npz, .pb or .raw");
    FileWriter writer;
    if (!file_writer_open(&writer, path, arena, diagnostics))
        return false;
    HostTensor member = value->tensor;
    member.name = member.name ? member.name : "output";
    bool written = false;
    if (named == FORMAT_PB)
        written = pb_write(writer.file, value);
    else if (named == FORMAT_NPZ)
        written = npz_write(writer.file, &member, 1);
    else if (named == FORMAT_RAW)
        written = fwrite(member.data, 1, member.bytes, writer.file) == member.bytes;
    else
        written = npy_write(writer.file, &member);
    if (written)
        return file_writer_commit(&writer);
    file_writer_abandon(&writer);
    return diag_error(diagnostics, EXIT_IO, &where, "cannot be written");
}
