/* The operator table: one row per ONNX operator, and what the importer, shape inference, lowering, documentation and tests read from it.
 *
 * An operator is a row of ops.def. Its meaning has one of three forms: SCALAR text (elementwise, broadcasting), EXPAND text (other
 * operators), LOWER function (a room: stages). Shape rules and rooms stand in ir/ops/<family>.c. */
#ifndef LATHE_IR_OPS_OPS_H
#define LATHE_IR_OPS_OPS_H

#include "ir/ir.h"

enum {
#define OP(name, ...) OP_ROW_##name,
#include "ir/ops/ops.def"
#undef OP
    OP_ROW_COUNT
};

/* What the elements of a value may be. */
typedef enum TypeSet {
    ANY_TYPE,   /* everything but string */
    ANY_VALUE,  /* string too, and sequences and optionals */
    NUMERIC,    /* floats and integers */
    FLOATS,     /* f64 f32 f16 bf16 */
    INTEGERS,
    BOOLEAN_ONLY,
    ANY_FLOAT, /* FLOATS and those of 8 and 4 bits */
} TypeSet;

typedef struct AttributeRow {
    const char *name; /* NULL ends the list */
    AttributeKind kind;
    bool has_default;
    int64_t integer;    /* default of INT */
    double real;        /* default of FLOAT */
    const char *string; /* default of STRING */
} AttributeRow;

/* One call of a shape rule: reads inputs and attributes, fills types. */
typedef struct Infer {
    Ir *ir;
    const Node *node; /* draft: op, inputs (OP_omitted where absent), attributes with defaults filled in */
    Node **inputs;    /* those of the draft, which infer_read replaces; NULL in rooms, where nothing is replaced */
    int output_count;
    Type *types; /* output_count of them, dtype NONE to begin with */
} Infer;

/* One call of a room: makes stages that compute the outputs from the inputs. See ir/ops/lower.h. */
typedef struct Lower Lower;

typedef enum MeaningForm { MEANING_SCALAR, MEANING_EXPAND, MEANING_EXPAND_BY, MEANING_LOWER, MEANING_HOST, MEANING_AT_ONCE } MeaningForm;
typedef struct Meaning {
    MeaningForm form;
    const char *text; /* HOST: the step of a script that it becomes (ir/script.h), or the runtime's function without its prefix */
    bool (*lower)(Lower *lower);
    /* The outputs as other tensor operators: writes node->result_count (or one) nodes; false after a diagnostic. AT_ONCE: when the
     * node is made; writes the one node that stands for it from then on, with as many results. Such a row has no nodes and no shape
     * rule (at_once): operators whose result has a size that must be read before it is filled. */
    bool (*expand)(Ir *ir, const Node *node, Node **outputs);
} Meaning;

typedef struct OpRow {
    const char *name;   /* operator type, as ONNX models write it */
    const char *domain; /* "" for the default domain */
    const char *text;   /* in texts of the IR: the name, for other domains "com_microsoft_Gelu" */
    int since;          /* opset version that this meaning belongs to: older ones are raised by the importer */
    int input_min, input_max; /* max INPUTS_MANY: variadic */
    int output_min, output_max;
    TypeSet types;      /* of the first input */
    const AttributeRow *attributes;
    bool (*shape)(Infer *infer);
    Meaning meaning;
} OpRow;
enum { INPUTS_MANY = 1 << 20, NEWEST_OPSET = 28 };
/* No value of a graph may be larger. */
#define TENSOR_BYTES_MAX (UINT64_C(1) << 38)
extern const OpRow op_rows[];

Op op_row_find(const char *name, size_t length); /* default domain; OP_NONE when there is none */
Op op_find(const char *domain, const char *name); /* as models name them: what we made for ourselves is not found */
/* The name of the row nearest to `name`, for "did you mean"; NULL when none is near. */
const char *op_nearest(const char *name);
static inline const OpRow *op_row(const Node *node)
{
    return &op_rows[node->op - OP_TENSOR_FIRST];
}

/* Makes an operator node: checks arity, attributes and element types, fills in default attributes, infers the types and (for small
 * integer tensors) the contents of its results. With several outputs the results are node->results; with one it is the node itself.
 * NULL after a diagnostic. When all contents are constants the result is a constant node instead. */
Node *tensor_make(Ir *ir, Op op, Node *const *inputs, int input_count, int output_count, const Attribute *attributes,
                  int attribute_count);
/* The same operator over other inputs. The results of one with HOST meaning keep their types: the symbols in them are its own. */
Node *tensor_remake(Ir *ir, const Node *node, Node *const *inputs);
/* As tensor_make for an operator with HOST meaning whose maker knows the types of its results. types NULL: as tensor_make. */
Node *tensor_make_typed(Ir *ir, Op op, Node *const *inputs, int input_count, int output_count, const Attribute *attributes,
                        int attribute_count, const Type *types);
static inline Node *node_result(Node *node, int i)
{
    return node->result_count > 1 ? node->results[i] : node;
}
Node *input_make(Ir *ir, Name name, Type type);
/* The symbol that element `content` of a graph input stands for: itself, or what holds a float's bits; NULL when it is neither. */
Node *content_symbol(Node *content);
Node *constant_make(Ir *ir, Type type, const Constant *constant);
/* A rank-1 i64 constant; a rank-0 constant of any dtype. */
Node *constant_ints(Ir *ir, const int64_t *values, int count);
Node *constant_scalar(Ir *ir, Dtype dtype, double value);
enum { READ_MAX = 64 };
/* The tensor with elements that are known: itself when they are, else a lathe_Read of it, whose elements are fresh symbols that a run sets. A
 * tensor that cannot be read (more than READ_MAX elements or not a static count of them; not i64, i32, bool, f32) is given back as it is,
 * without contents. NULL after a diagnostic. */
Node *read_make(Ir *ir, Node *tensor);
/* As read_make, for elements that are counted or computed so that they are never negative: dims made of them need no check. */
Node *read_sizes_make(Ir *ir, Node *tensor);
Node *omitted_make(Ir *ir);
static inline bool is_omitted(const Node *node)
{
    return node->op == OP_omitted;
}

/* Attribute drafts for tensor_make. */
Attribute attr_int(Ir *ir, const char *name, int64_t value);
Attribute attr_float(Ir *ir, const char *name, double value);
Attribute attr_ints(Ir *ir, const char *name, const int64_t *values, int count);
Attribute attr_string(Ir *ir, const char *name, const char *value);

/* ---- for shape rules ---- */
static inline Node *infer_input(const Infer *infer, int i)
{
    return i < (int)infer->node->input_count ? infer->node->inputs[i] : NULL;
}
/* Is input i given? */
static inline bool infer_has(const Infer *infer, int i)
{
    return i < (int)infer->node->input_count && !is_omitted(infer->node->inputs[i]);
}
static inline Type infer_type(const Infer *infer, int i)
{
    return infer->node->inputs[i]->type;
}
/* Reports against the node's place in the model; returns false. */
bool infer_error(const Infer *infer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "f32[1,3,N]" for messages, in the arena. */
const char *type_text(Ir *ir, Type type);
/* An axis attribute or value brought into 0..rank-1 (rank itself allowed when `after`); reports when it is outside. */
bool infer_axis(const Infer *infer, int64_t given, int rank, bool after, int *axis);
/* The two dims are the same, are proven equal, or one is 1 (*result is then the other). Symbolic pairs that are not proven equal get a
 * run-time check that they are so. Reports and returns false when they cannot be equal. */
bool infer_broadcast_dim(const Infer *infer, Node *a, Node *b, Node **result);
/* `dim` must be `onto` or 1: constants are compared, symbolic ones become a run-time check. */
bool infer_broadcast_onto(const Infer *infer, Node *dim, Node *onto, const char *what);
/* Every dim of input i, aligned at the end, to that of `onto`. */
bool infer_broadcasts_onto(const Infer *infer, int i, Type onto);
bool infer_broadcast(const Infer *infer, const Type *types, int count, Dtype dtype, Type *result);
/* Both dims must be equal: constants are compared, symbolic ones become a run-time check. */
bool infer_same_dim(const Infer *infer, Node *a, Node *b, const char *what);
/* Elements of the integer input i as index nodes: constant, symbolic, or read when the model runs (the input of the node becomes a lathe_Read).
 * NULL when they are too many, and after a diagnostic when the input holds no i64 or i32. */
Node *const *infer_contents(const Infer *infer, int i, int *count);
/* As infer_contents, for every type that can be read. */
Node *const *infer_read(const Infer *infer, int i, int *count);
/* Elements of an input of any type where they are known without reading; NULL where not. */
Node *const *infer_elements(const Infer *infer, int i, int *count);
/* Constants among `values` of input i are at most 2^40 either way, so that adding them to dims does not overflow; false after a diagnostic. */
bool infer_moderate(const Infer *infer, int i, Node *const *values, int count);

#endif
