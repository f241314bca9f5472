/* Parts of a model file as models of their own: for those who look for the smallest model that still fails.
 *
 * Any choice of nodes is a model: what they need and nobody in it makes becomes an input of the type that the value has
 * in the whole model, what they make and nobody in it needs becomes an output. A choice for which types are not known,
 * or that has no nodes, is no model. */
#ifndef LATHE_FRONTEND_SHRINK_H
#define LATHE_FRONTEND_SHRINK_H

#include "ir/ir.h"

#include <stdio.h>

typedef struct Shrink Shrink; /* an open model */

typedef struct ShrinkChoice {
    bool *nodes;      /* one per node of the graph, in its order: keep it? */
    bool *constants;  /* one per initialiser: keep its values? Else it is an input; those that no node needs go away in
                         any case */
    bool *attributes; /* one per attribute of all nodes, in their order */
    bool inner_outputs; /* keep outputs of the whole model that nodes of the choice also need */
    bool functions;     /* keep the model's own functions */
    int dim_count;      /* in the types of inputs dims[i] becomes to[i] */
    int64_t dims[64], to[64];
} ShrinkChoice;

/* Maps the model at `path`; it may be one that cannot be imported. Everything belongs to the Ir's arena. NULL after a
 * diagnostic. */
Shrink *shrink_open(Ir *ir, const char *path);
void shrink_close(Shrink *shrink);
int shrink_node_count(const Shrink *shrink);
int shrink_constant_count(const Shrink *shrink);
int shrink_attribute_count(const Shrink *shrink);
/* Everything. */
ShrinkChoice shrink_all(const Shrink *shrink, Arena *arena);
/* Do nodes of the choice need this initialiser; is the attribute one of its nodes'? */
bool shrink_uses_constant(const Shrink *shrink, const ShrinkChoice *choice, int constant);
bool shrink_uses_attribute(const Shrink *shrink, const ShrinkChoice *choice, int attribute);
/* The serialised model, in the arena; NULL when the choice is no model. */
const void *shrink_pack(Shrink *shrink, Arena *arena, const ShrinkChoice *choice, size_t *size);
/* The extents above 1 of the inputs of the choice as it was packed last, each once; at most `most` of them. */
int shrink_extents(const Shrink *shrink, int64_t *extents, int most);

#endif
