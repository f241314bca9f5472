/* NumPy's .npy: versions 1 to 3, C and Fortran order, little-endian.
 *
 * Read: every type that ONNX shares with NumPy; 'S' and 'U' arrays become strings; 'V' bytes (as ml_dtypes saves
 * bfloat16, float8 and int4) when the model says which type they are. Refused: big-endian, structured and pickled
 * arrays. */
#include "tools/npy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DESCRIPTOR_MOST = 32, HEADER_TEXT_MOST = 1 << 20 };

typedef struct Header {
    char descriptor[DESCRIPTOR_MOST];
    bool fortran;
    int rank;
    int64_t dims[HOST_RANK_MOST];
    bool has_descriptor, has_order, has_shape;
    size_t data; /* where the elements start */
} Header;

/* The text of the header, a Python dictionary; `at` never passes `end`. */
typedef struct Text {
    const char *at, *end;
    const Source *source;
} Text;

static void skip_spaces(Text *text)
{
    while (text->at < text->end && memchr(" \t\r\n", *text->at, 4))
        text->at++;
}

static bool take(Text *text, char wanted)
{
    skip_spaces(text);
    if (text->at == text->end || *text->at != wanted)
        return false;
    text->at++;
    return true;
}

static bool take_word(Text *text, const char *word)
{
    const size_t length = strlen(word);
    skip_spaces(text);
    if ((size_t)(text->end - text->at) < length || memcmp(text->at, word, length) != 0)
        return false;
    text->at += length;
    return true;
}

/* 'text' or "text" without escapes. */
static bool take_string(Text *text, char *out, size_t size)
{
    skip_spaces(text);
    const char quote = text->at < text->end ? *text->at : '\0';
    if (quote != '\'' && quote != '"')
        return false;
    const char *const start = text->at + 1;
    const char *const stop = memchr(start, quote, (size_t)(text->end - start));
    if (!stop || (size_t)(stop - start) >= size)
        return false;
    memcpy(out, start, (size_t)(stop - start));
    out[stop - start] = '\0';
    text->at = stop + 1;
    return true;
}

static bool take_shape(Text *text, Header *header)
{
    if (!take(text, '('))
        return source_error(text->source, "the .npy header has no shape in parentheses");
    header->rank = 0;
    while (!take(text, ')')) {
        int64_t dim = 0;
        const char *const start = text->at;
        for (; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++)
            if (__builtin_mul_overflow(dim, (int64_t)10, &dim) ||
                __builtin_add_overflow(dim, (int64_t)(*text->at - '0'), &dim))
                return source_error(text->source, "the .npy header has a dimension that exceeds 64 bits");
        if (text->at == start)
            return source_error(text->source, "the .npy header has a shape that is not made of numbers");
        if (header->rank == HOST_RANK_MOST)
            return source_error(text->source, "has more than %d dimensions", HOST_RANK_MOST);
        header->dims[header->rank++] = dim;
        take(text, 'L'); /* Python 2 wrote 3L */
        if (!take(text, ',') && (text->at == text->end || *text->at != ')'))
            return source_error(text->source, "the .npy header has a shape without an end");
    }
    return true;
}

static bool take_entry(Text *text, Header *header)
{
    char key[DESCRIPTOR_MOST];
    if (!take_string(text, key, sizeof key) || !take(text, ':'))
        return source_error(text->source, "the .npy header is not a dictionary of NumPy's");
    if (strcmp(key, "shape") == 0) {
        header->has_shape = true;
        return take_shape(text, header);
    }
    if (strcmp(key, "fortran_order") == 0) {
        header->has_order = true;
        header->fortran = take_word(text, "True");
        return header->fortran || take_word(text, "False") ||
               source_error(text->source, "the .npy header has a fortran_order that is neither True nor False");
    }
    if (strcmp(key, "descr") == 0) {
        header->has_descriptor = true;
        return take_string(text, header->descriptor, sizeof header->descriptor) ||
               source_error(text->source, "holds a structured array; only arrays of one plain type can be read");
    }
    return source_error(text->source, "the .npy header has an unknown key '%s'",
                        diag_quote(text->source->arena, key, 40));
}

static bool header_read(Header *header, const Source *source)
{
    const uint8_t *const bytes = source->bytes;
    if (source->size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return source_error(source, "is no .npy file: it does not start with \\x93NUMPY");
    if (bytes[6] < 1 || bytes[6] > 3)
        return source_error(source, "has .npy version %d.%d, but 1.0 to 3.0 are known", bytes[6], bytes[7]);
    const size_t start = bytes[6] == 1 ? 10 : 12;
    if (source->size < start)
        return source_error(source, "has %zu bytes, too few for a .npy header", source->size);
    size_t length = bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > source->size - start || length > HEADER_TEXT_MOST)
        return source_error(source, "has a .npy header of %zu bytes, but the file has %zu", length, source->size);
    Text text = {.at = (const char *)bytes + start, .end = (const char *)bytes + start + length, .source = source};
    if (!take(&text, '{'))
        return source_error(source, "the .npy header is not a dictionary");
    while (!take(&text, '}')) {
        if (!take_entry(&text, header))
            return false;
        if (!take(&text, ',') && (text.at == text.end || *text.at != '}'))
            return source_error(source, "the .npy header is a dictionary without an end");
    }
    header->data = start + length;
    return (header->has_descriptor && header->has_order && header->has_shape) ||
           source_error(source, "the .npy header lacks one of descr, fortran_order and shape");
}

/* How one element stands in the file. */
typedef struct Element {
    const HostDtype *type;
    size_t bytes;
    char kind; /* 'S' and 'U': text; 'V': a type that NumPy lacks; 0: as in memory */
} Element;

static bool element_of_void(Element *element, const Source *source, const HostSpec *spec, const char *descriptor)
{
    const HostDtype *const type = spec ? host_dtype(spec->dtype) : NULL;
    if (!type)
        return source_error(
            source, "holds '%s', bytes without a meaning, and the model does not say which type they are", descriptor);
    const size_t bytes = type->bits < 8 ? 1 : (size_t)type->bits / 8;
    if (*type->numpy || type->class == HOST_CLASS_STRING || bytes != element->bytes)
        return source_error(source, "holds '%s', but the model wants %s", descriptor, type->name);
    element->type = type;
    return true;
}

static bool element_of(Element *element, const Source *source, const HostSpec *spec, char *descriptor)
{
    const char *const quoted = diag_quote(source->arena, descriptor, DESCRIPTOR_MOST);
    const char order = descriptor[0];
    if (!order || !strchr("<>|=", order) || !descriptor[1])
        return source_error(source, "has the element type '%s', which is not understood", quoted);
    char *end = NULL;
    errno = 0;
    element->bytes = descriptor[2] >= '0' && descriptor[2] <= '9' ? strtoull(descriptor + 2, &end, 10) : 0;
    if (errno || element->bytes > INT32_MAX || (end && *end))
        return source_error(source, "has the element type '%s', which is not understood", quoted);
    const bool single = element->bytes == 1 || descriptor[1] == 'S';
    if (order == '>' && !single)
        return source_error(source, "is big-endian ('%s'); save it as little-endian ('<%s')", quoted, quoted + 1);
    if (descriptor[1] == 'O')
        return source_error(source, "holds Python objects, which cannot be read safely");
    descriptor[0] = element->bytes == 1 ? '|' : '<';
    element->type = host_dtype_of_numpy(descriptor);
    if (element->type)
        return true;
    element->kind = descriptor[1];
    if (element->kind == 'S' || element->kind == 'U') {
        element->type = host_dtype(ONNX_STRING);
        element->bytes *= element->kind == 'U' ? 4 : 1;
        return true;
    }
    if (element->kind == 'V' ||
        (element->kind == 'f' && element->bytes == 1)) { /* ml_dtypes saves float8_e5m2 as '<f1' */
        element->kind = 'V';
        return element_of_void(element, source, spec, quoted);
    }
    return source_error(source, "has the element type '%s', which ONNX lacks", quoted);
}

/* UTF-8 of one code point; returns its length, 0 when it is none. */
static int utf8_encode(char out[4], uint32_t point)
{
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    const int length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = length - 1; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)(marks[length] | point);
    return length;
}

/* NUL pads at the end; text never holds it otherwise. */
static bool text_decode(const char **out, const Source *source, const Element *element, const uint8_t *bytes)
{
    const bool wide = element->kind == 'U';
    char *const text = arena_alloc(source->arena, element->bytes + 1);
    size_t length = 0;
    size_t at = 0;
    for (; at < element->bytes; at += wide ? 4 : 1) {
        uint32_t point = bytes[at];
        if (wide)
            memcpy(&point, bytes + at, 4);
        if (point == 0)
            break;
        const int wrote = wide ? utf8_encode(text + length, point) : 1;
        if (!wide)
            text[length] = (char)bytes[at];
        if (wrote == 0)
            return source_error(source, "holds the code point 0x%x, which is none of Unicode", point);
        length += (size_t)wrote;
    }
    for (; at < element->bytes; at++)
        if (bytes[at])
            return source_error(source, "holds text with a NUL inside, which cannot be kept");
    *out = text;
    return true;
}

static bool element_store(HostTensor *tensor, const Source *source, const Element *element, int64_t position,
                          const uint8_t *bytes)
{
    if (element->type->class == HOST_CLASS_STRING)
        return text_decode(&((const char **)tensor->data)[position], source, element, bytes);
    if (tensor->bits >= 8) {
        memcpy((uint8_t *)tensor->data + (size_t)position * element->bytes, bytes, element->bytes);
        return true;
    }
    const int per_byte = 8 / tensor->bits;
    const int value = bytes[0] & ((1 << tensor->bits) - 1);
    ((uint8_t *)tensor->data)[position / per_byte] |= (uint8_t)(value << (position % per_byte * tensor->bits));
    return true;
}

/* One element at a time, of at least one: counts through the indices, last one fastest, and keeps the place in the file
 * along. */
static bool elements_read(HostTensor *tensor, const Source *source, const Element *element, const Header *header)
{
    const uint8_t *const data = source->bytes + header->data;
    int64_t index[HOST_RANK_MOST] = {0};
    int64_t step[HOST_RANK_MOST];
    int64_t stride = 1;
    for (int i = 0; i < tensor->rank; i++) {
        const int axis = header->fortran ? i : tensor->rank - 1 - i;
        step[axis] = stride;
        stride *= tensor->dims[axis];
    }
    int64_t place = 0;
    for (int64_t position = 0; position < tensor->count; position++) {
        if (!element_store(tensor, source, element, position, data + (size_t)place * element->bytes))
            return false;
        for (int axis = tensor->rank - 1; axis >= 0; axis--) {
            place += step[axis];
            if (++index[axis] < tensor->dims[axis])
                break;
            place -= step[axis] * tensor->dims[axis];
            index[axis] = 0;
        }
    }
    return true;
}

bool npy_read(HostTensor *tensor, const Source *source, const HostSpec *spec)
{
    Header header = {0};
    Element element = {0};
    if (!header_read(&header, source) || !element_of(&element, source, spec, header.descriptor))
        return false;
    int64_t count = 1;
    size_t bytes = 0;
    bool fits = true;
    for (int i = 0; i < header.rank; i++)
        count = header.dims[i] == 0 ? 0 : count;
    for (int i = 0; i < header.rank && count; i++)
        fits = fits && !__builtin_mul_overflow(count, header.dims[i], &count);
    fits = fits && !__builtin_mul_overflow((size_t)count, element.bytes, &bytes);
    const size_t present = source->size - header.data;
    const char *const type = host_shape_text(source->arena, element.type->number, header.rank, header.dims);
    if (!fits)
        return source_error(source, "%s is more than 64 bits can count", type);
    if (bytes != present)
        return source_error(source, "%s takes %zu bytes, but %zu follow the header", type, bytes, present);
    /* Only elements of no bytes (strings of length 0) take more memory than the file has, and nothing bounds their
     * number. */
    if (element.bytes == 0 && count > (1 << 20))
        return source_error(source, "%s has too many empty strings", type);
    if (!host_tensor_make(tensor, source, element.type->number, header.rank, header.dims))
        return false;
    if (tensor->count > 0 && (header.fortran || element.kind))
        return elements_read(tensor, source, &element, &header);
    if (bytes)
        memcpy(tensor->data, source->bytes + header.data, bytes);
    for (size_t i = 0; element.type->class == HOST_CLASS_BOOL && i < bytes; i++)
        ((uint8_t *)tensor->data)[i] = ((uint8_t *)tensor->data)[i] != 0;
    return true;
}

size_t npy_header(char header[NPY_HEADER_MOST], const HostTensor *tensor)
{
    enum { MAGIC = 10 };
    int used = MAGIC + sprintf(header + MAGIC, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                               host_dtype(tensor->dtype)->numpy);
    for (int i = 0; i < tensor->rank; i++)
        used += sprintf(header + used, "%s%lld", i ? ", " : "", (long long)tensor->dims[i]);
    used += sprintf(header + used, "%s), }", tensor->rank == 1 ? "," : "");
    const int total = (used + 1 + 63) / 64 * 64;
    memset(header + used, ' ', (size_t)(total - used));
    header[total - 1] = '\n';
    memcpy(header, "\x93NUMPY\1\0", 8);
    header[8] = (char)((total - MAGIC) & 0xff);
    header[9] = (char)((total - MAGIC) >> 8);
    return (size_t)total;
}

bool npy_write(FILE *file, const HostTensor *tensor)
{
    char header[NPY_HEADER_MOST];
    const size_t length = npy_header(header, tensor);
    return fwrite(header, 1, length, file) == length && fwrite(tensor->data, 1, tensor->bytes, file) == tensor->bytes;
}
