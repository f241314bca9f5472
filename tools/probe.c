/* See probe.h. */
#include "tools/probe.h"

#include "ir/ops/ops.h"

Node *probe_input(Ir *ir, int number, int rank, const int64_t *dims)
{
    Node *extents[RANK_MAX];
    for (int i = 0; i < rank; i++)
        extents[i] = index_const(ir, dims[i]);
    return input_make(ir, name_intern(ir->arena, arena_format(ir->arena, "x%d", number)),
                      type_tensor(ir, DTYPE_F32, rank, extents));
}

Graph *probe_graph(Ir *ir, const char *name, Node *const *inputs, int count, Node *output)
{
    Graph *const graph = NEW(ir->arena, Graph);
    Node **const nodes = NEW_ARRAY(ir->arena, Node *, (size_t)count + 1);
    Name *const names = NEW_ARRAY(ir->arena, Name, (size_t)count + 1);
    if (!output)
        return NULL;
    for (int i = 0; i < count; i++) {
        nodes[i] = inputs[i];
        names[i] = name_intern(ir->arena, arena_format(ir->arena, "x%d", i));
    }
    nodes[count] = output;
    names[count] = name_intern(ir->arena, "y");
    *graph = (Graph){.name = name_intern(ir->arena, name),
                     .input_count = count,
                     .output_count = 1,
                     .inputs = nodes,
                     .outputs = nodes + count,
                     .input_names = names,
                     .output_names = names + count};
    return graph;
}

bool probe_build(const Options *options, const char *name, Graph *(*make)(Ir *ir, const void *context),
                 const void *context, Library *library)
{
    Pipeline pipeline;
    bool good = pipeline_start(&pipeline, options);
    Graph *const graph = good ? make(pipeline.ir, context) : NULL;
    *library = (Library){0};
    if (graph)
        pipeline_take(&pipeline, graph, name);
    good = graph && library_build(library, &pipeline);
    pipeline_close(&pipeline);
    return good;
}
