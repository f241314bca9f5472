/* An ONNX model becomes a tensor graph: names resolved, operators raised to the newest opset, functions inlined,
 * everything checked.
 *
 * Weights are not copied: constants point into the mapped files, which stay open until onnx_close. A model that is
 * wrong gets one diagnostic that names the node; the operators that are not supported are reported together before
 * anything is built. */
#ifndef LATHE_FRONTEND_IMPORT_H
#define LATHE_FRONTEND_IMPORT_H

#include "ir/custom.h"
#include "ir/ir.h"

/* Limits; 0 stands for the default. */
typedef struct ImportLimits {
    uint64_t file;   /* bytes of the model file; 2 GiB */
    uint64_t nodes;  /* after inlining of functions; 1,000,000 */
    uint64_t inputs; /* of one node: each may need a kernel of its own; 2,048 */
    uint32_t name;   /* bytes of any name; 128 KiB */
    int nesting;     /* graphs in graphs, functions in functions; 64 */
    int iterations;  /* of one Loop or Scan, which is unrolled; 64 */
    uint64_t fold;   /* bytes of one tensor that the importer computes (sparse ones); 256 MiB */
} ImportLimits;

/* --shape INPUT=1x3x224x224: dims below 0 stay as the model has them. */
typedef struct ShapeOption {
    const char *input;
    int rank;
    const int64_t *dims;
} ShapeOption;

/* --dim NAME=VALUE */
typedef struct DimOption {
    const char *name;
    int64_t value;
} DimOption;

typedef struct ImportOptions {
    const char *external; /* folder of the external data, in which links are followed; NULL: the model's folder, without
                             links */
    int shape_count, dim_count;
    const ShapeOption *shapes;
    const DimOption *dims;
    ImportLimits limits;
    const Customs *customs; /* the user's own operators, which go before all others; may be NULL */
    bool keep_values; /* fills in ImportedModel.kept and .values, the latter also when the import fails, with what was
                         there by then */
} ImportOptions;

/* A tensor that a node of the model's own graph makes. */
typedef struct KeptValue {
    Name name;
    Node *node; /* what makes it in the graph; no two have the same */
    const Where *where;
    int input_count; /* of the ONNX node */
    const Name *inputs;
} KeptValue;

typedef struct ImportedValue {
    Name name;
    Type type;
} ImportedValue;

typedef struct ImportedDim {
    Name symbol; /* as the graph has it */
    Name name;   /* as the model has it */
} ImportedDim;

typedef struct ImportedOpset {
    Name domain; /* "" is the default domain */
    int version;
} ImportedOpset;

typedef struct ImportedText {
    Name key, value;
} ImportedText;

typedef struct ImportedModel {
    Graph *graph;
    Name name;     /* of the graph; may be "" */
    Name producer; /* may be "" */
    int64_t ir_version;
    int opset_count, input_count, output_count, dim_count, metadata_count, file_count;
    const ImportedOpset *opsets;
    const ImportedValue *inputs, *outputs; /* in the order of the model, without inputs that are constants */
    const ImportedDim *dims;               /* symbolic dims */
    const ImportedText *metadata;
    const Name *files; /* everything that was read, the model first */
    int kept_count;    /* with ImportOptions.keep_values: in the order of the nodes */
    const KeptValue *kept;
    int value_count; /* with ImportOptions.keep_values: the values of all nodes of the model's own graph */
    const ImportedValue *values;
    struct Files *open; /* private */
} ImportedModel;

/* path "-" is standard input. options may be NULL. False after diagnostics; the model then needs no closing. */
bool onnx_import(Ir *ir, const char *path, const ImportOptions *options, ImportedModel *model);
/* The same from memory, which must outlive the graph. `name` stands for the file in messages. */
bool onnx_import_memory(Ir *ir, const char *name, const void *data, size_t size, const ImportOptions *options,
                        ImportedModel *model);
/* Unmaps the files: no constant of the graph may be read after this. */
void onnx_close(ImportedModel *model);
/* SHA-256 of the model file as 64 hexadecimal digits, in the arena. Reads the whole file, so it is computed only when
 * asked. */
Name onnx_sha256(Ir *ir, const ImportedModel *model);
/* Bytes of the model file. */
size_t onnx_bytes(const ImportedModel *model);

#endif
