/* The language of the house: one node type for tensor graph, stage graph, scheduled kernels and program.
 *
 * A Node is an operation with typed inputs. Pure nodes are hash-consed: making one returns the equal one that exists,
 * so equal is pointer-equal. Ordered nodes stand in a Block and take effect in order. Binders (axes) are unique nodes
 * that map-like nodes own. Index expressions (dtype INDEX) are kept canonical by construction: integer polynomials over
 * atoms (symbols, axes, floordiv, min, max, loads), sums sorted by atom with the constant last; so two equal dims or
 * offsets are the same pointer.
 *
 * Nodes are immutable except an ordered node's place in its block; passes rebuild what they change.
 * Everything belongs to the Ir's arena. An Ir is not thread-safe. */
#ifndef LATHE_IR_IR_H
#define LATHE_IR_IR_H

#include "ir/arena.h"
#include "ir/diag.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum Dtype {
#define DTYPE(enumerator, text, bits, kind, onnx, numpy) DTYPE_##enumerator,
#include "ir/dtype.def"
#undef DTYPE
    DTYPE_COUNT
} Dtype;

typedef enum DtypeClass {
    CLASS_NONE,
    CLASS_FLOAT,
    CLASS_SIGNED,
    CLASS_UNSIGNED,
    CLASS_BOOL,
    CLASS_INDEX,
    CLASS_STRING
} DtypeClass;

typedef struct DtypeInfo {
    const char *name;
    int bits;
    DtypeClass kind;
    int onnx;          /* TensorProto.DataType, 0 when ONNX has none */
    const char *numpy; /* descriptor, "" when NumPy has none */
} DtypeInfo;
extern const DtypeInfo dtype_info[DTYPE_COUNT];
Dtype dtype_from_onnx(int onnx);         /* DTYPE_NONE when unknown */
Dtype dtype_from_name(const char *name); /* DTYPE_NONE when unknown */
/* The type that arithmetic on values stored as `dtype` happens in: f32 for f16, bf16, f8*, f4; i32 for i4, i2; u32 for
 * u4, u2; else itself. */
Dtype dtype_compute(Dtype dtype);
static inline bool dtype_is_float(Dtype dtype)
{
    return dtype_info[dtype].kind == CLASS_FLOAT;
}
static inline bool dtype_is_signed(Dtype dtype)
{
    return dtype_info[dtype].kind == CLASS_SIGNED || dtype_info[dtype].kind == CLASS_INDEX;
}
static inline bool dtype_is_integer(Dtype dtype)
{
    return dtype_is_signed(dtype) || dtype_info[dtype].kind == CLASS_UNSIGNED;
}

typedef enum Op {
    OP_NONE,
#define CORE(enumerator, text, kind, levels) OP_##enumerator,
#include "ir/core.def"
#undef CORE
    OP_SCALAR_FIRST,
#define SCALAR_OP(enumerator, text, arity, rule, classes) OP_##enumerator,
#include "ir/scalar.def"
#undef SCALAR_OP
    OP_SCALAR_END,
    OP_TENSOR_FIRST = OP_SCALAR_END, /* rows of ir/ops/ops.def, in table order: see ir/ops/ops.h */
    OP_TENSOR_BEFORE = OP_TENSOR_FIRST - 1,
#define OP(name, ...) OP_##name,
#include "ir/ops/ops.def"
#undef OP
} Op;

const char *op_name(Op op);
Op op_from_name(const char *name, size_t length); /* OP_NONE when no operation is called that */
static inline bool op_is_scalar(Op op)
{
    return op > OP_SCALAR_FIRST && op < OP_SCALAR_END;
}
static inline bool op_is_tensor(Op op)
{
    return op >= OP_TENSOR_FIRST;
}
typedef enum OpKind { KIND_PURE, KIND_UNIQUE, KIND_ORDERED } OpKind;
OpKind op_kind(Op op);
enum { LEVEL_TENSOR = 1, LEVEL_STAGES = 2, LEVEL_KERNEL = 4, LEVEL_PROGRAM = 8 };
int op_levels(Op op);

typedef struct Ir Ir;
typedef struct Node Node;
typedef struct Block Block;

/* What a value of the tensor graph is. Only scripts (ir/script.h) handle values that are no tensors; what a region
 * computes and takes are tensors. */
typedef enum ValueForm {
    FORM_TENSOR,
    FORM_SEQUENCE,          /* of tensors */
    FORM_OPTIONAL,          /* a tensor or nothing */
    FORM_OPTIONAL_SEQUENCE, /* a sequence of tensors or nothing */
} ValueForm;
extern const char *const form_text[]; /* "", "sequence ", "optional ", "optional sequence " */

/* rank -1: a scalar or, with lanes > 1, a vector of registers; rank >= 0: a tensor, dims are index nodes. dtype NONE:
 * no value. Of another form than FORM_TENSOR dtype, rank and dims are those of the tensors inside: dims that differ
 * from tensor to tensor are NULL, and the rank is RANK_NONE as long as no tensor was seen. RANK_UNKNOWN: it differs, or
 * nobody tells it; a tensor of such a type may only travel between steps of a script. */
typedef struct Type {
    Dtype dtype;
    int lanes;
    int rank;
    Node *const *dims;
    ValueForm form;
} Type;
#define RANK_MAX     32
#define RANK_UNKNOWN (-2)
#define RANK_NONE    (-3)
Type type_scalar(Dtype dtype);
Type type_vector(Dtype dtype, int lanes);
Type type_tensor(Ir *ir, Dtype dtype, int rank, Node *const *dims); /* copies dims into the arena */
bool type_equal(Type a, Type b);
bool type_same_kind(Type a, Type b); /* form and dtype */
static inline bool type_is_tensor(Type type)
{
    return type.form == FORM_TENSOR && type.rank >= 0;
}

/* A tensor known at compile time. data is little-endian, row-major, sub-byte elements packed low bits first. It belongs
 * to the arena or to a mapped file that outlives the Ir. A splat holds one element for the whole tensor. */
typedef struct Constant {
    const void *data;
    uint64_t bytes;
    bool splat;
    Name name;      /* initialiser name, or NULL */
    char **strings; /* dtype string only: element pointers */
} Constant;

typedef enum Place {
    PLACE_TEMP,   /* an intermediate value: planned into the arena */
    PLACE_INPUT,  /* number: the graph input */
    PLACE_OUTPUT, /* number: the graph output */
    PLACE_WEIGHT, /* constant: read-only data, packed in the buffer's layout */
    PLACE_LOCAL,  /* inside one kernel: scratch of the worker (or of one of a block's threads), constant extents */
    PLACE_SHARED, /* inside one kernel of threads: one per block, constant extents */
} Place;
/* Is it memory that one kernel declares itself? */
static inline bool place_is_inner(Place place)
{
    return place == PLACE_LOCAL || place == PLACE_SHARED;
}

/* One storage dimension of a layout, outermost first. block 0: the whole axis; OUTER: axis / block; INNER: axis %
 * block. A buffer without entries is row-major. Blocked axes are padded with zeros to a multiple of block. */
typedef enum LayoutPart { PART_WHOLE, PART_OUTER, PART_INNER } LayoutPart;
typedef struct LayoutEntry {
    uint8_t axis;
    uint8_t part;
    uint16_t block;
} LayoutEntry;
typedef struct Layout {
    int count; /* 0: row-major */
    LayoutEntry entries[RANK_MAX + 4];
} Layout;

typedef struct Buffer {
    Name name;
    Place place;
    int number;
    Layout layout;
    const Constant *constant;
    /* A weight of f32 in panels that are all finite and, in each column, not all negative at one point of the reduced
     * axes but the last: products of +0 with it, added to a sum, are +0 added once. */
    bool tame;
    Node *alias; /* a buffer whose memory this one shares from its first byte, or NULL; the layouts then agree in memory
                  */
    /* Set by planning: */
    int slot;
    int64_t offset; /* bytes into arena slot or weights */
} Buffer;

/* Codes that `check` nodes set; the same numbers as the runtime's LATHE_E_* (a test compares). */
enum { ERROR_INDEX = -9 };
enum { DOT_TERMS = 4 }; /* products of bytes in one sum of OP_dot */

typedef enum FoldKind {
    FOLD_SUM,
    FOLD_PROD,
    FOLD_MAX,
    FOLD_MIN,
    FOLD_AND,
    FOLD_OR,
    FOLD_ARGMAX,
    FOLD_ARGMIN,
    FOLD_ARGMAX_LAST,
    FOLD_ARGMIN_LAST,
    FOLD_KINDS
} FoldKind;
extern const char *const fold_name[FOLD_KINDS]; /* "sum" ... */
/* The order of a fold is part of its meaning. lanes 1: one accumulator, reduced axes ascending, first axis outermost.
 * lanes 16: sixteen accumulators, element i of the LAST reduced axis goes to accumulator i % 16 (outer reduced axes
 * ascending, same accumulators), and at the end the accumulators are combined by halves: lane j with lane j+8, then
 * j+4, j+2, j+1. Accumulators start with the kind's neutral element (sum 0, prod 1, max lowest or -inf, min highest or
 * +inf, and true, or false). Argmax and argmin have lanes 1 and give the index (along the one reduced axis) of the
 * first (or last) extreme value, NaN counting as extreme. */
typedef struct Fold {
    uint8_t kind;
    uint8_t lanes;
} Fold;

/* A schedule: a template and its integers, one text line such as "contract mr=6 nr=4 kc=0".
 *
 * A kernel of threads is for a GPU: its units are the blocks of the grid, a block runs its unit by all its threads at
 * once, each with begin = the unit, end = begin + 1. */
typedef struct Kernel {
    Name name;                  /* unique in the module */
    const char *schedule;       /* NULL until chosen */
    Node *units;                /* index: how many chunks the launch may be cut into; set by scheduling */
    int threads;                /* of a block; 0: a kernel of a CPU */
    int64_t scratch;            /* bytes of scratch that the body needs (of each thread) */
    const Where *const *wheres; /* the ONNX nodes that this kernel computes, NULL-terminated */
} Kernel;

typedef enum AttributeKind {
    ATTRIBUTE_INT,
    ATTRIBUTE_FLOAT,
    ATTRIBUTE_STRING,
    ATTRIBUTE_INTS,
    ATTRIBUTE_FLOATS,
    ATTRIBUTE_STRINGS,
    ATTRIBUTE_TENSOR,
    ATTRIBUTE_GRAPH
} AttributeKind;
typedef struct Graph Graph;
typedef struct Attribute {
    Name name;
    AttributeKind kind;
    int count; /* of ints, floats, strings */
    union {
        int64_t integer;
        double real;
        Name string; /* for STRING; length in `count` (may hold zero bytes) */
        const int64_t *integers;
        const double *reals;
        const Name *strings;
        Node *tensor; /* a constant node */
        Graph *graph; /* body of If, Loop, Scan */
    };
} Attribute;

struct Node {
    Op op;
    uint32_t id; /* order of creation: the order that deterministic passes use */
    uint32_t hash;
    uint32_t scope; /* of an operator's node: the body it was made in, 0: the model itself; see ir_scope_open */
    uint16_t axis_count, attribute_count, block_count, result_count;
    uint32_t input_count;
    Type type; /* of a node with several results: dtype NONE; see results */
    Node *const *inputs;
    Node *const *axes;
    const Attribute *attributes; /* sorted by name */
    Block **blocks;
    Node *const *results; /* result_count > 1: the result nodes, in order */
    const Where *where;
    union {
        uint64_t bits; /* const: the value's bits in type.dtype (index and integers sign-extended to 64) */
        int64_t integer;
        Name name; /* symbol, axis, input, launch */
        Buffer *buffer;
        const Constant *constant;
        Fold fold;
        Kernel *kernel;
    } payload;
    Node *const *contents; /* integer tensors of up to 64 elements: their elements as index nodes, or NULL when not
                              known (ir/contents.h) */
};

/* A list of ordered nodes. */
struct Block {
    Node **nodes;
    int count, capacity;
};

/* The tensor graph of a model or of a body (If, Loop). A body uses nodes of the graphs around it directly; its own are
 * those of its scope. */
struct Graph {
    Name name;
    uint32_t scope; /* 0: the model */
    int input_count, output_count;
    Node **inputs;  /* OP_input nodes */
    Node **outputs; /* any tensor-valued nodes */
    const Name *input_names, *output_names;
};

/* A module at stage, kernel or program level: kernels in order of execution over shared buffers. */
typedef struct Module {
    Name name;
    int input_count, output_count;
    Node **inputs;  /* buffers with PLACE_INPUT */
    Node **outputs; /* buffers with PLACE_OUTPUT */
    const Name *input_names, *output_names;
    Block *body; /* OP_kernel nodes (stages and kernels) or OP_launch nodes (program) */
} Module;

/* A condition on symbolic dims that only a run can decide: `condition` (a bool over symbols) must hold, else the call
 * fails with `text`. */
typedef struct RunCheck {
    Node *condition;
    const char *text;
    uint32_t scope; /* the body that asked */
    struct RunCheck *next;
} RunCheck;

/* ---- context ---- */
struct Ir {
    Arena *arena;
    Diagnostics *diagnostics;
    uint32_t next_id;
    struct ConsTable *table; /* private to ir/node.c */
    const Where *where;      /* given to nodes made from now on */
    RunCheck *checks;        /* in order of discovery, each condition once in a scope and those inside it */
    uint32_t scope;          /* given to operators' nodes made from now on */
    uint32_t scope_count, scope_capacity;
    uint32_t *scope_outer; /* of each scope but 0: the one around it */
};
Ir *ir_open(Arena *arena, Diagnostics *diagnostics);
/* What is made for a body of If or Loop belongs to the body: it is computed when the body runs. An operator's node is
 * shared with an equal one of the same scope or of a scope around it, never with one of a body beside it. A new scope,
 * inside the current one, becomes the current one; closing returns to the one around it. */
uint32_t ir_scope_open(Ir *ir);
void ir_scope_close(Ir *ir);
/* Is `outer` the scope `inner` or one around it? */
bool ir_scope_holds(const Ir *ir, uint32_t outer, uint32_t inner);
/* Asks for `condition` at run time; nothing when it is proven. False when it is proven not to hold. */
bool run_check(Ir *ir, Node *condition, const char *text);
/* The condition found last, NULL when there is none; forgets those found after it (of an attempt that was given up). */
RunCheck *run_checks_last(const Ir *ir);
void run_checks_forget(Ir *ir, RunCheck *last);

/* ---- making nodes ---- */
/* Fills in what is given by `node` (op, type, inputs, axes, attributes, blocks, payload); pure nodes are looked up
 * first. Arrays are copied. */
Node *node_make(Ir *ir, const Node *node);
Node *const_bits(Ir *ir, Type type, uint64_t bits);
Node *const_int(Ir *ir, Dtype dtype, int64_t value);  /* any numeric dtype; converted */
Node *const_float(Ir *ir, Dtype dtype, double value); /* any numeric dtype; rounded to dtype */
Node *const_bool(Ir *ir, bool value);
bool const_is_int(const Node *node, int64_t *value); /* an integer, index or bool constant */
double const_as_double(const Node *node);
Node *symbol_make(Ir *ir, Name name);
/* A symbol that is there for the first time, for a dim that only a run knows: "hint~17". */
Node *symbol_fresh(Ir *ir, const char *hint);
Node *axis_make(Ir *ir, const char *name, Node *extent); /* extent NULL: a loop variable */
Node *buffer_make(Ir *ir, Type type, const Buffer *buffer);
/* Scalar arithmetic with folding of constants and, on INDEX, canonical form. Operands have equal types; a scalar
 * operand is splat to the lanes of a vector one. The result type follows scalar.def; `cast_make` and `bitcast_make`
 * take the dtype. */
Node *scalar_make(Ir *ir, Op op, Node *const *inputs, int count);
Node *scalar1(Ir *ir, Op op, Node *a);
Node *scalar2(Ir *ir, Op op, Node *a, Node *b);
Node *scalar3(Ir *ir, Op op, Node *a, Node *b, Node *c);
Node *cast_make(Ir *ir, Node *value, Dtype dtype);
Node *bitcast_make(Ir *ir, Node *value, Dtype dtype);
Node *splat_make(Ir *ir, Node *scalar, int lanes);
Node *guard_make(Ir *ir, Node *condition, Node *value, Node *otherwise);
/* A run-time index brought into 0..extent-1; outside that range the run reports an index error. `index` itself when
 * proven. */
Node *bound_make(Ir *ir, Node *index, Node *extent);
Node *at_make(Ir *ir, Node *buffer, Node *const *indices); /* rank(buffer) of them */
Node *fold_make(Ir *ir, FoldKind kind, int lanes, Node *const *axes, int count,
                Node *value); /* arg kinds give an index */
Node *contract_make(Ir *ir, Dtype accumulator, Node *const *axes, int count, Node *a, Node *b);

/* ---- blocks ---- */
Block *block_make(Ir *ir);
void block_append(Ir *ir, Block *block, Node *node);

/* ---- index arithmetic (all on dtype INDEX, scalar or vector) ---- */
Node *index_const(Ir *ir, int64_t value);
Node *index_add(Ir *ir, Node *a, Node *b);
Node *index_sub(Ir *ir, Node *a, Node *b);
Node *index_mul(Ir *ir, Node *a, Node *b);
Node *index_floordiv(Ir *ir, Node *a, Node *b);
Node *index_ceildiv(Ir *ir, Node *a, Node *b);
/* The same of numbers; a may be negative, b is positive. */
static inline int64_t ceil_divide(int64_t a, int64_t b)
{
    return a > 0 ? (a + b - 1) / b : -(-a / b);
}
Node *index_mod(Ir *ir, Node *a, Node *b);
Node *index_min(Ir *ir, Node *a, Node *b);
Node *index_max(Ir *ir, Node *a, Node *b);
static inline bool index_is(const Node *node, int64_t value)
{
    int64_t constant;
    return const_is_int(node, &constant) && constant == value;
}
/* Proven bounds of an index expression (inclusive; INT64_MIN / MAX: none known). Axes are 0..extent-1, symbols >= 0. */
typedef struct Range {
    int64_t low, high;
} Range;
Range index_range(Ir *ir, Node *node);
static inline int64_t common_divisor(int64_t a, int64_t b) /* the greatest; of two zeros 0 */
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}
/* The factor of `axis` when node is coefficient*axis + rest with `axis` in neither; NULL when it is not affine in axis.
 * rest may be NULL. */
Node *index_coefficient(Ir *ir, Node *node, Node *axis, Node **rest);
/* Is it affine in axis with a factor that is a number? */
static inline bool index_factor(Ir *ir, Node *node, Node *axis, int64_t *factor, Node **rest)
{
    Node *const coefficient = index_coefficient(ir, node, axis, rest);
    return coefficient && const_is_int(coefficient, factor);
}
/* Is it axis + rest? Neighbours along the axis are neighbours then. */
static inline bool index_has_unit(Ir *ir, Node *node, Node *axis, Node **rest)
{
    int64_t factor;
    return index_factor(ir, node, axis, &factor, rest) && factor == 1;
}

/* ---- walking ---- */
/* Does `node` depend on `leaf` (through inputs; bound axes included)? Memoised per call. */
bool node_depends(Ir *ir, Node *node, const Node *leaf);
bool node_depends_on_any(Ir *ir, Node *node, Node *const *leaves, int count); /* a node that is NULL does not */
/* Pure expression with leaves replaced: from[i] becomes to[i]. Scalars rebuild through scalar_make, so they stay
 * canonical. */
Node *node_substitute(Ir *ir, Node *node, Node *const *from, Node *const *to, int count);
/* The same with those of the axes that have one point at 0. */
Node *node_without_points(Ir *ir, Node *node, Node *const *axes, int count);
/* All nodes that `roots` reach through inputs, inputs before users; explicit stack. The list belongs to the arena. */
Node **nodes_topological(Ir *ir, Node *const *roots, int root_count, int *count);

/* As nodes_topological, but the list lies in the arena's scratch, as the caller's mark there: for walks that are over
 * when the caller returns. */
Node **nodes_in_scratch(Ir *ir, Node *const *roots, int root_count, int *count);

/* ---- attributes (ONNX operators) ---- */
const Attribute *attribute_find(const Node *node, const char *name); /* NULL when absent and without default */
bool attribute_same_value(const Attribute *a, const Attribute *b);   /* whatever their names */
int64_t attribute_int(const Node *node, const char *name, int64_t otherwise);
double attribute_float(const Node *node, const char *name, double otherwise);
Name attribute_string(const Node *node, const char *name, Name otherwise);
const int64_t *attribute_ints(const Node *node, const char *name, int *count); /* NULL and 0 when absent */

/* ---- layout ---- */
/* Linear element offset of logical `indices` in the buffer's layout. */
Node *layout_offset(Ir *ir, Node *buffer, Node *const *indices);
/* Elements that the buffer occupies, padding included. */
Node *layout_elements(Ir *ir, Node *buffer);
Node *type_elements(Ir *ir, Type type);                  /* product of dims */
Node *axes_points(Ir *ir, Node *const *axes, int count); /* product of extents */
bool axes_have(Node *const *axes, int count, const Node *node);

#endif
