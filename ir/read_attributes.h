/* Attributes of tensor operators as text: `:axes [1 2] :alpha 0.5 :auto_pad "SAME"`. Private to the readers. */
#ifndef LATHE_IR_READ_ATTRIBUTES_H
#define LATHE_IR_READ_ATTRIBUTES_H

#include "ir/read.h"

/* The attributes that items[first..] of `list` spell, sorted by name; NULL after a diagnostic. */
const Attribute *attributes_build(Ir *ir, const Environment *environment, const Sexpr *list, int first, int *count);
/* A number with a fraction, exponent, nan or inf; a trailing f rounds it to f32. */
bool real_read(const char *text, double *value);

#endif
