/* Atoms that stand for themselves: numbers of every dtype, and the names of types. */
#include "ir/read.h"
#include "ir/scalar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LANES_MAX = 1024 };

bool type_read(const char *text, Type *type)
{
    const Dtype whole = dtype_from_name(text);
    if (whole != DTYPE_NONE) {
        *type = type_scalar(whole);
        return true;
    }
    /* The lanes stand after the last x: "f32x16", "indexx8". */
    const char *const x = strrchr(text, 'x');
    char name[16];
    if (!x || (size_t)(x - text) >= sizeof name)
        return false;
    memcpy(name, text, (size_t)(x - text));
    name[x - text] = 0;
    int64_t lanes;
    if (!integer_read(x + 1, &lanes) || lanes < 2 || lanes > LANES_MAX || dtype_from_name(name) == DTYPE_NONE)
        return false;
    *type = type_vector(dtype_from_name(name), (int)lanes);
    return true;
}

bool integer_read(const char *text, int64_t *value)
{
    const char *const digits = text + (*text == '-');
    if (*digits < '0' || *digits > '9' || (digits[0] == '0' && digits[1] == 'x'))
        return false;
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return *end == 0 && errno == 0;
}

static uint64_t pattern(const void *value, size_t bytes)
{
    uint64_t bits = 0;
    memcpy(&bits, value, bytes);
    return bits;
}

static bool hex_read(const char *text, int width, uint64_t *bits)
{
    if (text[0] != '0' || text[1] != 'x' || text[2] == 0 ||
        strspn(text + 2, "0123456789abcdefABCDEF") != strlen(text + 2))
        return false;
    char *end;
    errno = 0;
    *bits = strtoull(text, &end, 16);
    return *end == 0 && errno == 0 && (width >= 64 || *bits >> width == 0);
}

static bool float_read(const char *text, Dtype dtype, uint64_t *bits)
{
    static const char *const words[] = {"nan", "inf", "-inf"};
    bool word = false;
    for (int i = 0; i < 3; i++)
        word = word || strcmp(text, words[i]) == 0;
    if (!word && (strlen(text) == 0 || strspn(text, "0123456789+-.eE") != strlen(text)))
        return false;
    char *end;
    if (dtype == DTYPE_F32) {
        const float value = strtof(text, &end);
        *bits = pattern(&value, sizeof value);
    } else {
        const double value = strtod(text, &end);
        *bits = pattern(&value, sizeof value);
        if (dtype != DTYPE_F64)
            *bits = scalar_evaluate(OP_cast, dtype, DTYPE_F64, bits);
    }
    return end != text && *end == 0;
}

static bool whole_read(const char *text, Dtype dtype, uint64_t *bits)
{
    const int width = dtype_info[dtype].bits;
    int64_t value;
    if (dtype == DTYPE_U64 && text[0] != '-') {
        char *end;
        errno = 0;
        *bits = strtoull(text, &end, 10);
        return *text >= '0' && *text <= '9' && *end == 0 && errno == 0;
    }
    if (!integer_read(text, &value))
        return false;
    const bool is_signed = dtype_is_signed(dtype);
    if (width < 64) {
        const int64_t low = is_signed ? -((int64_t)1 << (width - 1)) : 0;
        const int64_t high = is_signed ? ((int64_t)1 << (width - 1)) - 1 : ((int64_t)1 << width) - 1;
        if (value < low || value > high)
            return false;
    } else if (!is_signed && value < 0) {
        return false;
    }
    *bits = (uint64_t)value;
    return true;
}

bool literal_read(const char *text, Dtype dtype, uint64_t *bits)
{
    switch (dtype_info[dtype].kind) {
    case CLASS_FLOAT:
        return hex_read(text, dtype_info[dtype].bits, bits) || float_read(text, dtype, bits);
    case CLASS_SIGNED:
    case CLASS_UNSIGNED:
    case CLASS_INDEX:
        return whole_read(text, dtype, bits);
    case CLASS_BOOL:
        *bits = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
        return *bits || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
    default:
        return false;
    }
}
