/* Types of values that are no tensors, sizes that only a run knows, and attempts that are given up. */
#include "ir/ir.h"

#include <string.h>

const char *const form_text[] = {
    [FORM_TENSOR] = "",
    [FORM_SEQUENCE] = "sequence ",
    [FORM_OPTIONAL] = "optional ",
    [FORM_OPTIONAL_SEQUENCE] = "optional sequence ",
};

bool type_same_kind(Type a, Type b)
{
    return a.form == b.form && a.dtype == b.dtype;
}

/* No symbol of a model has a '~': letters, digits, '_' and '.' are left in the names of its dims, and those of elements
 * end in ']'. */
Node *symbol_fresh(Ir *ir, const char *hint)
{
    enum { HINT_MAX = 60 };
    char text[HINT_MAX + 1];
    const size_t length = strnlen(hint, HINT_MAX);
    for (size_t i = 0; i < length; i++) {
        const char c = hint[i];
        const bool digit = c >= '0' && c <= '9', letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        text[i] = letter || (i && (digit || c == '.')) ? c : '_';
    }
    text[length] = 0;
    return symbol_make(ir, name_intern(ir->arena, arena_format(ir->arena, "%s~%u", text, ir->next_id)));
}

RunCheck *run_checks_last(const Ir *ir)
{
    RunCheck *last = ir->checks;
    while (last && last->next)
        last = last->next;
    return last;
}

void run_checks_forget(Ir *ir, RunCheck *last)
{
    *(last ? &last->next : &ir->checks) = NULL;
}
