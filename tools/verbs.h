/* The verbs: one function each, named after its row of options.def, in tools/<verb>.c. Returns an exit code; what went
 * wrong is in options->diagnostics, which main prints. */
#ifndef LATHE_TOOLS_VERBS_H
#define LATHE_TOOLS_VERBS_H

#include "tools/options.h"

#define VERB(id, name, ...) int verb_##name(const Options *options);
#include "tools/options.def"

#endif
