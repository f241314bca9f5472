/* UTF-8 for host functions of strings: host_text.c. */
#ifndef LATHE_RUNTIME_HOST_TEXT_H
#define LATHE_RUNTIME_HOST_TEXT_H

#include "runtime/script.h"

enum { TEXT_BROKEN = 0xfffd };

uint32_t text_decode(const char **text); /* one code point, and the text behind it; a byte that is no UTF-8: TEXT_BROKEN */
uint32_t text_encode(uint32_t point, char bytes[4]); /* how many bytes */
uint32_t text_lower(uint32_t point); /* as Unicode maps single code points to single ones */
uint32_t text_upper(uint32_t point);
uint32_t text_blank(const char *text); /* bytes of the white space that the text begins with, 0: none */

#endif
