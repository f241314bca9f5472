/* Growing text: see text.h. */
#include "codegen/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(Text *text, size_t more)
{
    if (text->capacity - text->length > more)
        return;
    text->capacity = (text->capacity + more) * 2;
    char *const data = realloc(text->data, text->capacity);
    if (!data) {
        fprintf(stderr, "lathe: error: out of memory\n");
        exit(8);
    }
    text->data = data;
}

void text_open(Text *text)
{
    *text = (Text){0};
    reserve(text, 4096);
    text->data[0] = 0;
}

void text_close(Text *text)
{
    free(text->data);
    *text = (Text){0};
}

void text_add(Text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length > 0) {
        reserve(text, (size_t)length + 1);
        vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
        text->length += (size_t)length;
    }
    va_end(arguments);
}

void text_add_escaped(Text *text, const char *bytes)
{
    text_add_bytes(text, bytes, strlen(bytes));
}

void text_add_bytes(Text *text, const char *bytes, size_t length)
{
    static const char hex[] = "0123456789ABCDEF";
    reserve(text, length * 3 + 1);
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            text->data[text->length++] = (char)c;
            continue;
        }
        text->data[text->length++] = '\\';
        text->data[text->length++] = hex[c >> 4];
        text->data[text->length++] = hex[c & 15];
    }
    text->data[text->length] = 0;
}
