/* What the files of the importer share: one import's state, scopes of names, and the steps they call in each other. */
#ifndef LATHE_FRONTEND_IMPORTER_H
#define LATHE_FRONTEND_IMPORTER_H

#include "frontend/external.h"
#include "frontend/import.h"
#include "frontend/names.h"
#include "frontend/wire.h"
#include "ir/map.h"

#include "onnx.pb-c.h"

typedef ProtobufCBinaryData Text; /* bytes of the file; an absent one is empty */

typedef struct Importer {
    Ir *ir;
    Arena *scratch; /* ends with the import */
    Diagnostics *diagnostics;
    const ImportOptions *options;
    ImportLimits limits;
    Files *files;
    const Onnx__ModelProto *model;
    Where file;        /* the model as a whole */
    NameMap functions; /* Function by its key */
    NameMap symbols;   /* index node by the name of a dim */
    NameMap bound;     /* index node (constant) by the name of a dim that an option gives */
    NameMap used;      /* names of dims that the model has */
    NameMap settled;   /* by a node of the file: what is known of a loop that was imported before (loop.c) */
    struct Assumptions *assumptions; /* assume.c */
    NodeMap singles;                 /* by a node of one element whose rank nobody knows: the same as a scalar */
    NameMap declared;                /* names of dims that the model's inputs have: not to be invented */
    ImportedDim *dims;               /* in the order in which they were met */
    int dim_count, dim_capacity;
    uint64_t nodes; /* imported so far */
    int kept_count; /* with options->keep_values */
    KeptValue *kept;
    int value_count;
    ImportedValue *values;
} Importer;

typedef struct Opsets {
    int count;
    const ImportedOpset *entries;
} Opsets;

/* Values by name. Bodies see the values of the graphs around them; functions see their own only. */
typedef struct Scope {
    const struct Scope *outer;
    NameMap values; /* Node */
} Scope;

/* What a graph declares of its outputs; looked into when the length of a list depends on it. */
typedef struct Declared {
    const Onnx__GraphProto *graph;
    NameMap values; /* ValueInfoProto by name, once `known` */
    bool known;
} Declared;

/* What the nodes of a graph or function share. */
typedef struct Context {
    const Opsets *opsets;
    const NameMap *attributes; /* AttributeProto by name, given by the call; NULL outside functions */
    Name path;                 /* names of the calls that lead here, each with a slash; "" outside functions */
    int depth;                 /* graphs and functions around this one */
    Declared *declared;        /* NULL in functions */
} Context;

/* A node on its way into the graph: resolved, and then raised to the newest opset. */
typedef struct Draft {
    Importer *importer;
    const Where *where;
    const char *op;     /* raising may rename it */
    const char *domain; /* "" is the default domain */
    int version;
    int input_count, attribute_count, output_count; /* there is room for DRAFT_ROOM more inputs and attributes */
    int written_count;                              /* outputs that the node lists, unused ones at the end included */
    Node **inputs;
    Attribute *attributes;
    Node **outputs; /* output_count nodes, filled in when raising has made the whole answer; else NULL */
} Draft;
enum { DRAFT_ROOM = 8 };

/* ---- names.c, import.c ---- */
/* `text` interned; NULL after a diagnostic when it is over the limit. `what` names it in the message. */
Name text_name(Importer *importer, const Where *where, const Text *text, const char *what);
bool text_is(const Text *text, const char *word);
/* The version in which a domain is imported, 0 when it is not. */
int opset_version(const Opsets *opsets, const char *domain);
/* "ai.onnx" is "". */
const char *domain_normal(const char *domain);
/* importer->model from the first file's bytes, in memory bounded by their number; false after a diagnostic, also when
 * there is no graph in it. */
bool model_decode(Importer *importer);
bool opsets_import(Importer *importer, Onnx__OperatorSetIdProto *const *entries, size_t count, Opsets *opsets);

/* ---- tensor.c ---- */
/* Both give a constant node, NULL after a diagnostic. */
Node *tensor_import(Importer *importer, const Where *where, const Onnx__TensorProto *tensor);
Node *sparse_import(Importer *importer, const Where *where, const Onnx__SparseTensorProto *sparse);
/* dtype of a TensorProto.DataType; DTYPE_NONE after a diagnostic. */
Dtype dtype_import(Importer *importer, const Where *where, const char *what, int32_t number);
/* Bytes of a tensor of constant dims; false after a diagnostic when they are negative, too many, or their product
 * overflows. */
bool dims_check(Importer *importer, const Where *where, const char *what, const int64_t *dims, size_t rank, Dtype dtype,
                uint64_t *elements, uint64_t *bytes);
/* NUL-terminated copies in the IR's arena; NULL after a diagnostic: a zero byte inside. */
char **strings_decode(Importer *importer, const Where *where, const Text *strings, size_t count);
/* rank-0 and rank-1 constants from numbers in memory. */
Node *values_constant(Importer *importer, Dtype dtype, int rank, const void *values, int64_t count, Name name);

/* ---- attribute.c ---- */
/* The attributes of a node, references resolved and absent ones left out; false after a diagnostic. */
bool attributes_import(Importer *importer, const Context *context, const Scope *scope, const Where *where,
                       const Onnx__NodeProto *node, Attribute *attributes, int *count);
/* The attribute that stands there or that the call gives for it; NULL when the call gives none. Reports references
 * outside functions. */
bool attribute_resolve(Importer *importer, const Context *context, const Where *where,
                       const Onnx__AttributeProto *attribute, const Onnx__AttributeProto **resolved);
/* Its AttributeType, checked against the value it holds; 0 after a diagnostic. */
int attribute_type(Importer *importer, const Where *where, const Onnx__AttributeProto *attribute);
enum {
    TYPE_FLOAT = 1,
    TYPE_INT,
    TYPE_STRING,
    TYPE_TENSOR,
    TYPE_GRAPH,
    TYPE_FLOATS,
    TYPE_INTS,
    TYPE_STRINGS,
    TYPE_SPARSE = 11,
    TYPE_TYPE = 13
};
/* Constant: its attributes are its value. */
Node *constant_import(Importer *importer, const Context *context, const Where *where, const Onnx__NodeProto *node);

/* ---- graph.c, node.c, order.c ---- */
Node *scope_find(const Scope *scope, Name name);
bool scope_add(Importer *importer, const Where *where, Scope *scope, Name name, Node *node);
/* keep.c: remembers the tensors that the nodes of the model's own graph make; false after a diagnostic. */
bool values_keep(Importer *importer, const Context *context, const Scope *scope, const Onnx__GraphProto *graph);
/* Bodies have the scope `outer` around them; the model has NULL. */
Graph *graph_import(Importer *importer, const Context *context, const Scope *outer, const Onnx__GraphProto *graph);
/* As graph_import, with values of the graph around it in the place of its inputs: as many as it has. */
Graph *body_import(Importer *importer, const Context *context, const Scope *outer, const Onnx__GraphProto *graph,
                   Node *const *inputs);
/* The nodes of a graph or function body, in an order in which values are made before they are used. */
bool nodes_import(Importer *importer, const Context *context, Scope *scope, Onnx__NodeProto *const *nodes,
                  size_t count);
/* order[i] is the i-th node to import; false after a diagnostic: two nodes make one value, or a cycle. */
bool nodes_order(Importer *importer, const Context *context, const Scope *scope, Onnx__NodeProto *const *nodes,
                 size_t count, uint32_t *order);
/* Where of a node: its name, or that of its first output. */
const Where *node_where(Importer *importer, const Context *context, const Onnx__NodeProto *node);

/* ---- type.c ---- */
/* Type of a declared value; symbolic dims where model and option (which may be NULL) leave them open. */
bool type_import(Importer *importer, const Onnx__TypeProto *declared, Name name, const ShapeOption *option, Type *type);
/* What a value is declared to be, against what it is: types that contradict each other mean a wrong model. */
bool declared_check(Importer *importer, const Onnx__ValueInfoProto *declared, const char *kind, Name name, Type type);

/* ---- function.c ---- */
typedef struct Function {
    const Onnx__FunctionProto *proto;
    Opsets opsets;
    uint64_t size; /* nodes of one call, all inlined */
    enum { FUNCTION_NEW, FUNCTION_OPEN, FUNCTION_DONE } state;
} Function;
bool functions_import(Importer *importer);
/* The function that a node calls, NULL when it is an operator. */
Function *function_find(Importer *importer, const Onnx__NodeProto *node);
/* Imports the body with the given inputs; fills in `outputs`, NULL where the function has fewer. */
bool function_inline(Importer *importer, const Context *context, const Scope *scope, const Where *where,
                     const Onnx__NodeProto *node, Function *function, Node *const *inputs, int input_count,
                     Node **outputs);

/* ---- support.c ---- */
/* Looks through nodes, bodies and functions for what cannot be imported, reports all of it at once, and counts nodes.
 */
bool nodes_supported(Importer *importer, const Context *context, const Onnx__GraphProto *graph);

/* ---- sequence.c ---- */
/* As tensor_make; what is known of sequences and optionals is answered at once. */
Node *operator_make(Importer *importer, Op op, Node *const *inputs, int input_count, int output_count,
                    const Attribute *attributes, int attribute_count);

/* ---- control.c, scan.c, sequence.c ---- */
/* One node on its way in whose attributes hold bodies. */
typedef struct Control {
    Importer *importer;
    const Context *context;
    const Scope *scope;
    const Where *where;
    const Onnx__NodeProto *node;
    Node *const *inputs; /* input_count of them, omitted ones too */
    int input_count;
    Node **outputs; /* node->n_output of them, to be filled in */
} Control;
typedef bool ControlImport(const Control *control);
/* Is it one of the operators whose attributes hold bodies (or a type)? */
bool is_control(const Onnx__NodeProto *node);
bool control_import(const Control *control);
bool is_if(const Onnx__NodeProto *node);
/* The attribute of that name, references resolved; *found is NULL when it is absent. */
bool control_attribute(const Control *control, const char *name, const Onnx__AttributeProto **found);
/* The graph that an attribute holds; false after a diagnostic when there is none or it has other numbers of inputs and
 * outputs. */
bool control_body(const Control *control, const char *name, size_t inputs, size_t outputs,
                  const Onnx__GraphProto **graph);
/* Is the value of this one bool known, and which? Reports what is no bool. */
bool condition_read(const Control *control, const Node *condition, bool *known, bool *value);
ControlImport if_import, loop_import, scan_import, sequence_map_import, optional_import;

/* ---- node.c: what raising and settling are made of ---- */
Attribute *draft_attribute(const Draft *draft, const char *name); /* NULL when absent */
void draft_drop(Draft *draft, const char *name);                  /* nothing when absent */
Node *draft_input(const Draft *draft, int i);                     /* NULL when omitted */

/* ---- lists.c ---- */
/* Is input i of the draft a list whose length is not a constant, and the operator one that must know it? */
bool lists_are_open(const Draft *draft);
/* Gives such lists a length: see lists.c. result_rank: that of the first output as the model declares it, -1 when it
 * does not. False after a diagnostic. */
bool lists_settle(Draft *draft, int result_rank);

/* ---- assume.c ---- */
void assume_open(Importer *importer);
/* The model's graph; what its import has to assume of symbolic dims becomes a check of the run. */
Graph *model_graph_import(Importer *importer, const Context *context);
/* Is it assumed which branch an If takes, and which? False after a diagnostic. */
bool assume_known(const Control *control, Node *condition, bool *taken, bool *known);
/* A result of an If that a run decides, and whose rank an assumption would tell. */
void assume_offer(const Control *control, Node *condition, Node *result);
/* An operator with these inputs could not be made. */
void assume_want(Importer *importer, Node *const *inputs, int count);

/* ---- readable.c ---- */
/* Sizes that a run tells in types that it cannot read are brought into one that it can; may fill in draft->outputs. */
bool sizes_settle(Draft *draft);

/* ---- flex.c ---- */
bool is_flex(const Onnx__NodeProto *node);
ControlImport flex_import;

/* ---- versions.c ---- */
/* The name that an operator of the default domain has in the newest opset. */
const char *operator_newest(const char *op);
/* Is it an operator of the default domain in that opset? Else *what says why not. */
bool operator_exists(const char *op, int version, const char **what, int *since);
/* The opset versions below which the operator is raised, ascending; at most `most` of them. Returns their number. */
int operator_raised(const char *op, int *versions, int most);
/* Changes the draft until it means the same in the newest opset; may fill in draft->outputs instead. */
bool draft_raise(Draft *draft);

#endif
