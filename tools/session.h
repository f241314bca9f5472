/* A model that is ready to run again and again on some inputs: what run, bench and profile begin with. */
#ifndef LATHE_TOOLS_SESSION_H
#define LATHE_TOOLS_SESSION_H

#include "tools/library.h"

typedef struct Session {
    const Options *options;
    Library library;
    HostValue *inputs, *outputs;
} Session;

/* Opens the model that the command line names and binds its inputs; --dim and --shape say how large the symbolic dims
 * of generated inputs are. With `fill`, inputs that are not given are random, dims that are left open are the least
 * possible (at least 1), integers that shapes are made of are 1, and other integers of more than 8 bits 0 or 1, which
 * are in range as indices and masks. Always to be closed. */
bool session_open(Session *session, const Options *options, bool fill);
/* The same from a pipeline that has its graph. */
bool session_build(Session *session, const Options *options, Pipeline *pipeline, bool fill);
void session_close(Session *session);
/* One run; the nanoseconds that it took. */
bool session_run(Session *session, int64_t *nanoseconds);
/* "batch=8 sequence=128": what symbols were set to; "" when there are none. */
const char *session_sizes(const Session *session);

#endif
