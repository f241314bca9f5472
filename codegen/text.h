/* A text that grows: generated headers, tables, reports. Belongs to a malloc'd buffer until text_close. */
#ifndef LATHE_CODEGEN_TEXT_H
#define LATHE_CODEGEN_TEXT_H

#include <stdarg.h>
#include <stddef.h>

typedef struct Text {
    char *data; /* ends in a zero byte */
    size_t length, capacity;
} Text;

void text_open(Text *text);
void text_close(Text *text);
void text_add(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `bytes` as the inside of an LLVM c"..." string. */
void text_add_escaped(Text *text, const char *bytes);
void text_add_bytes(Text *text, const char *bytes, size_t length);

#endif
