/* SHA-256 of a model file beside everything else: hundreds of megabytes take a quarter of a second. */
#ifndef LATHE_TOOLS_DIGEST_H
#define LATHE_TOOLS_DIGEST_H

#include "frontend/import.h"

#include <sys/types.h>

typedef struct Digest {
    pid_t child; /* computes it; 0: nobody does */
    int pipe;    /* where it comes from */
} Digest;

/* Starts a process that computes it, if the file is large and a process can be had. The caller must not have started
 * threads. */
void digest_start(Digest *digest, Ir *ir, const ImportedModel *model);
/* The digest, from the process or computed here. */
Name digest_get(Digest *digest, Ir *ir, const ImportedModel *model);
/* Ends the process if nobody has asked. */
void digest_close(Digest *digest);

#endif
