/* A model whose shape or course depends on data is a script over regions.
 *
 * A region is a tensor graph without such surprises: it goes through passes and code generation like a whole model,
 * with tensors in and tensors out. A script is what happens between regions: values in numbered slots, steps in order.
 * What only a run finds out about a value - a dim, an element of a small integer tensor - is a symbol, set by a bind as
 * soon as the value is there; regions that come later use it in their shapes.
 *
 * A model without a single host step is one region and needs no script.
 *
 * How nodes are divided (passes/partition.c): regions and host steps of a body alternate. Times 0, 2, 4 ... are
 * regions, -1, 1, 3 ... host steps; a node has the earliest time of its kind at which its inputs, and the symbols in
 * its type, are there. What a body is given is there at -1; a result of a host step at its own time, for other host
 * steps and for what comes after; a tensor of a region is read (lathe_Read) one later. All nodes of one time of one
 * body are one region, so that a hundred independent NonZero need two regions, not two hundred. Bodies of If and Loop
 * are bodies of the script; what they take from around them they take from the slots of the bodies around them. Slots
 * are numbered over the whole script: no body runs inside itself. What follows from constants alone is computed in
 * every region that wants it, where passes fold it.
 *
 * The runtime's form of this is runtime/lathe_script.h. */
#ifndef LATHE_IR_SCRIPT_H
#define LATHE_IR_SCRIPT_H

#include "ir/ir.h"

enum { SLOT_NONE = -1 }; /* an omitted input, an output nobody reads */

/* A symbol that a value in a slot tells: its dim `position`, or its element `position` (row-major; i32, i64, bool, or
 * the bits of an f32). */
typedef struct ScriptBind {
    int slot, position;
    bool element;
    Node *symbol;
} ScriptBind;

typedef enum StepKind {
    STEP_REGION, /* region `target`: inputs and outputs are those of its graph */
    STEP_COPY,   /* outputs[i] becomes inputs[i] */
    STEP_IF, /* inputs [condition]; bodies `target` (then) and `target` + 1 (else); their results become the outputs */
    STEP_LOOP, /* inputs [trip count or none, condition or none, carried...]; body `target` takes [iteration, condition,
                * carried...] and gives [condition, carried..., parts...]; outputs [carried..., parts stacked along axis
                * 0...] */
    STEP_HOST, /* function `host` of the runtime (runtime/host_*.c); attributes are the node's */
} StepKind;

typedef struct Step {
    StepKind kind;
    int target;
    const char *host; /* name without the prefix lathe_host_ */
    int input_count, output_count, bind_count;
    const int *inputs, *outputs; /* slots */
    const ScriptBind *binds;     /* of the outputs, right after the step */
    const int *ends;             /* slots of this body that nobody reads after the step */
    int end_count;
    const Node *node; /* for attributes and messages; a constant: host is "Constant"; NULL: of a region */
} Step;

typedef struct ScriptBody {
    int input_count, output_count, bind_count, step_count;
    const int *inputs, *outputs; /* slots: what the step gives to the body, what the body gives back */
    const ScriptBind *binds;     /* of the inputs, at the start of every run of the body */
    const Step *steps;
    int outer;      /* the body around it, -1: none */
    uint32_t scope; /* of its nodes (ir_scope_open) */
} ScriptBody;

typedef struct ScriptRegion {
    Graph *graph; /* inputs are OP_input nodes of the slots' types */
    int body, time;
    const RunCheck **checks; /* that it makes, once script_checks has found them */
    int check_count;
} ScriptRegion;

/* When and where a symbol becomes known: in every region of `body` from `time` on, and of the bodies inside. */
typedef struct ScriptSymbol {
    Node *symbol;
    int body, time;
} ScriptSymbol;

typedef struct Script {
    int slot_count, body_count, region_count, symbol_count;
    const Type *slots; /* type of each slot's value; dims are index expressions over symbols, NULL: tell nothing */
    const ScriptBody *bodies; /* bodies[0]: the model itself, whose inputs and outputs are the model's */
    ScriptRegion *regions;    /* in order of bodies and times */
    const ScriptSymbol *symbols;
} Script;

/* For people and tests. */
const char *print_script(Arena *arena, const Script *script, size_t *length);

#endif
