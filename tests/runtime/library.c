/* A model library as the compiler would make it, for test_libraries.c: its own copy of the runtime, one visible symbol per use. */
#include "fixture.h"

static Dag dag;

__attribute__((visibility("default"))) const Dag *library_open(uint64_t seed);
__attribute__((visibility("default"))) int library_run(lathe_context *context, uint64_t number);

const Dag *library_open(uint64_t seed)
{
    (void)affine_model;
    dag_make(&dag, seed, -1);
    return &dag;
}

int library_run(lathe_context *context, uint64_t number)
{
    return dag_run(&dag, context, number);
}
