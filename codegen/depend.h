/* Which launches wait for which: read after write, write after read, write after write, by the memory that planning
 * gave out. */
#ifndef LATHE_CODEGEN_DEPEND_H
#define LATHE_CODEGEN_DEPEND_H

#include "codegen/program.h"

/* Fills the deps of every launch and dep_refs. What follows from other deps is left out. */
void launches_depend(Program *program);

#endif
