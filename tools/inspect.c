#include "tools/verbs.h"
int verb_inspect(const Options *options) { (void)options; return EXIT_OK; }
