/* The names, and functions without a body under them. tests/runtime/symbols.cmake holds the runtime to the first row.
 */
#include "codegen/standin.h"

#include "codegen/object.h"
#include "codegen/text.h"

#include <string.h>

static const struct {
    const char *library, *names;
} rows[STAND_INS] = {
    {"libc.so.6",
     "calloc clock_getres clock_gettime close dlopen dlsym free getauxval getenv getpid madvise malloc memchr memcmp "
     "memcpy memmove "
     "memset "
     "nanosleep open posix_memalign pthread_attr_destroy pthread_attr_init pthread_attr_setstacksize pthread_create "
     "pthread_join pthread_sigmask read sched_getcpu sched_yield sigfillset strchr strcmp strlen syscall"},
    {"libm.so.6", "fmod fmodf"},
};

bool stand_ins_make(Ir *ir, const TargetMachineInfo *target, LinkStandIn stand_ins[STAND_INS])
{
    for (int i = 0; i < STAND_INS; i++) {
        Text text;
        text_open(&text);
        for (const char *name = rows[i].names; *name; name += strspn(name, " ")) {
            const size_t length = strcspn(name, " ");
            text_add(&text, "define void @%.*s() {\n  ret void\n}\n", (int)length, name);
            name += length;
        }
        ObjectBytes object;
        const bool made = object_from_text(ir, ir->arena, rows[i].library, target, text.data, FORMAT_OBJECT, &object);
        text_close(&text);
        if (!made)
            return false;
        stand_ins[i] = (LinkStandIn){rows[i].library, {.data = object.data, .bytes = object.bytes}};
    }
    return true;
}
