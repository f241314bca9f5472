/* A model whose shape or course depends on data is a script over regions.
 *
 * A region is a tensor graph without such surprises: it goes through passes and code generation like a whole model, with
 * tensors in and tensors out. A script is what happens between regions: values in numbered slots, steps in order. What
 * only a run finds out about a value - a dim, an element of a small integer tensor - is a symbol, set by a bind as soon as
 * the value is there; regions that come later use it in their shapes.
 *
 * A model without a single host step is one region and needs no script.
 *
 * How nodes are divided (passes/partition.c): the phase of a node is 0, or that of its latest input; a result of a host
 * operator (MEANING_HOST) is one phase later than what it takes. All nodes of one phase of one body are one region, so
 * that a hundred independent NonZero need two regions, not two hundred. Steps of a body: region of phase 0, host steps of
 * phase 0, region of phase 1, ... Bodies of If and Loop are bodies of the script; what they take from around them they
 * take from the slots of the bodies around them. Slots are numbered over the whole script: no body runs inside itself.
 *
 * The runtime's form of this is runtime/lathe_script.h. */
#ifndef LATHE_IR_SCRIPT_H
#define LATHE_IR_SCRIPT_H

#include "ir/ir.h"

enum { SLOT_NONE = -1 }; /* an omitted input, an output nobody reads */

/* A symbol that a value in a slot tells: its dim `position`, or its element `position` (row-major; i32, i64, bool, or the
 * bits of an f32). */
typedef struct ScriptBind {
    int slot, position;
    bool element;
    Node *symbol;
} ScriptBind;

typedef enum StepKind {
    STEP_REGION, /* region `target`: inputs and outputs are those of its graph */
    STEP_COPY,   /* outputs[i] becomes inputs[i] */
    STEP_IF,     /* inputs [condition]; bodies `target` (then) and `target` + 1 (else); their results become the outputs */
    STEP_LOOP,   /* inputs [trip count or none, condition or none, carried...]; body `target` takes [iteration, condition,
                  * carried...] and gives [condition, carried..., parts...]; outputs [carried..., parts stacked along axis 0...] */
    STEP_HOST,   /* function `host` of the runtime (runtime/host_*.c); attributes are the node's */
} StepKind;

typedef struct Step {
    StepKind kind;
    int target;
    const char *host; /* name without the prefix lathe_host_ */
    int input_count, output_count, bind_count;
    const int *inputs, *outputs; /* slots */
    const ScriptBind *binds;     /* of the outputs, right after the step */
    const Node *node;            /* for attributes and messages; NULL: a region's copy */
} Step;

typedef struct ScriptBody {
    int input_count, output_count, bind_count, step_count;
    const int *inputs, *outputs; /* slots: what the step gives to the body, what the body gives back */
    const ScriptBind *binds;     /* of the inputs, at the start of every run of the body */
    const Step *steps;
} ScriptBody;

typedef struct Script {
    int slot_count, body_count, region_count;
    const Type *slots;        /* type of each slot's value; dims are index expressions over symbols, NULL: tell nothing */
    const ScriptBody *bodies; /* bodies[0]: the model itself, whose inputs and outputs are the model's */
    Graph **regions;          /* inputs are OP_input nodes of the slots' types */
} Script;

#endif
