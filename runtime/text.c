/* Messages: a formatter of two conversions (libc's stdio is not wanted in a model) and the names of codes and types. */
#include "runtime/internal.h"

#include <stdarg.h>

typedef struct Text {
    char *buffer;
    size_t used, size;
} Text;

static void text_add(Text *text, char c)
{
    if (text->used + 1 < text->size)
        text->buffer[text->used++] = c;
}

static void text_add_string(Text *text, const char *string)
{
    for (const char *c = string ? string : "?"; *c != '\0'; c++)
        text_add(text, *c);
}

static void text_add_integer(Text *text, int64_t value)
{
    char digits[20];
    int count = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0)
        text_add(text, '-');
    while (count > 0)
        text_add(text, digits[--count]);
}

static void format_at(Text *text, const char *format, va_list arguments)
{
    for (const char *c = format; *c != '\0'; c++) {
        if (*c != '%')
            text_add(text, *c);
        else if (*++c == 's')
            text_add_string(text, va_arg(arguments, const char *));
        else
            text_add_integer(text, va_arg(arguments, int64_t));
    }
    text->buffer[text->used] = '\0';
}

void text_format(char *buffer, size_t size, const char *format, ...)
{
    if (buffer == NULL || size == 0)
        return;
    Text text = {buffer, 0, size};
    va_list arguments;
    va_start(arguments, format);
    format_at(&text, format, arguments);
    va_end(arguments);
}

void text_append(char *buffer, size_t size, const char *format, ...)
{
    Text text = {buffer, 0, size};
    while (text.used + 1 < size && buffer[text.used] != '\0')
        text.used++;
    va_list arguments;
    va_start(arguments, format);
    format_at(&text, format, arguments);
    va_end(arguments);
}

static const char *const code_texts[] = {
    [-LATHE_OK] = "no error",
    [-LATHE_E_NULL] = "a pointer that must not be NULL is NULL",
    [-LATHE_E_SHAPE] = "a shape is not one that the model takes",
    [-LATHE_E_DTYPE] = "an element type is not the one that the model takes",
    [-LATHE_E_COUNT] = "the number of inputs or outputs is not that of the model",
    [-LATHE_E_ARGUMENT] = "an argument is not valid",
    [-LATHE_E_DEVICE] = "a tensor is not in host memory",
    [-LATHE_E_CPU] = "the CPU lacks features that the model was compiled for",
    [-LATHE_E_MEMORY] = "not enough memory",
    [-LATHE_E_INDEX] = "an index is out of range",
    [-LATHE_E_ABI] = "a struct is of another version",
    [-LATHE_E_STATE] = "the object is in use or not open",
    [-LATHE_E_DRIVER] = "the CUDA driver is missing, too old or does not start",
    [-LATHE_E_NO_DEVICE] = "there is no such GPU",
    [-LATHE_E_IMAGE] = "the model has no code for this GPU and driver",
    [-LATHE_E_LAUNCH] = "the CUDA driver reports an error",
    [-LATHE_E_STOPPED] = "the run was stopped",
};

const char *text_of_code(int code)
{
    const int count = (int)(sizeof code_texts / sizeof code_texts[0]);
    return code <= 0 && code > -count ? code_texts[-code] : "unknown code";
}

/* By ONNX TensorProto.DataType. */
static const char *const dtype_texts[] = {
    "undefined", "float32",    "uint8",       "int8",      "uint16",        "int16",   "int32",   "int64",  "string",
    "bool",      "float16",    "float64",     "uint32",    "uint64",        "complex64", "complex128", "bfloat16",
    "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4", "float4e2m1", "float8e8m0", "uint2", "int2",
};

const char *text_of_dtype(int32_t dtype)
{
    const int32_t count = (int32_t)(sizeof dtype_texts / sizeof dtype_texts[0]);
    return dtype >= 0 && dtype < count ? dtype_texts[dtype] : "unknown";
}
