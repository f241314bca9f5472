/* The values between the nodes of a model, for those who look for the node that is wrong. */
#include "frontend/importer.h"
#include "ir/map.h"

#include <string.h>

/* What can be an output: a tensor of numbers that only a run knows. */
static bool wanted(const Node *node)
{
    return node->op != OP_constant && node->op != OP_input && type_is_tensor(node->type) &&
           node->type.dtype != DTYPE_STRING;
}

static bool inputs_name(Importer *importer, const Where *where, const Onnx__NodeProto *node, KeptValue *kept)
{
    Name *const names = NEW_ARRAY(importer->ir->arena, Name, node->n_input + 1);
    for (size_t i = 0; i < node->n_input; i++) {
        const Name name = text_name(importer, where, &node->input[i], "an input's name");
        if (!name)
            return false;
        if (*name)
            names[kept->input_count++] = name;
    }
    kept->inputs = names;
    return true;
}

bool values_keep(Importer *importer, const Context *context, const Scope *scope, const Onnx__GraphProto *graph)
{
    size_t most = 0;
    for (size_t i = 0; i < graph->n_node; i++)
        most += graph->node[i]->n_output;
    importer->kept = NEW_ARRAY(importer->ir->arena, KeptValue, most + 1);
    importer->values = NEW_ARRAY(importer->ir->arena, ImportedValue, most + 1);
    NodeMap seen;
    map_open(&seen, importer->scratch);
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *const node = graph->node[i];
        const Where *const where = node_where(importer, context, node);
        for (size_t k = 0; k < node->n_output; k++) {
            const Name name = text_name(importer, where, &node->output[k], "an output's name");
            Node *const value = name && *name ? scope_find(scope, name) : NULL;
            if (!name)
                return false;
            if (value)
                importer->values[importer->value_count++] = (ImportedValue){name, value->type};
            if (!value || !wanted(value) || map_has(&seen, value))
                continue;
            map_set(&seen, value, value);
            KeptValue *const kept = &importer->kept[importer->kept_count++];
            *kept = (KeptValue){.name = name, .node = value, .where = where};
            if (!inputs_name(importer, where, node, kept))
                return false;
        }
    }
    return true;
}
