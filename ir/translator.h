/* Shared by ir/translate.c (ordered nodes, scopes, the whole kernel) and ir/values.c (registers, pure nodes, accesses).
 * Private to them. */
#ifndef LATHE_IR_TRANSLATOR_H
#define LATHE_IR_TRANSLATOR_H

#include "ir/machine.h"
#include "ir/map.h"

typedef enum ScopeKind { SCOPE_ROOT, SCOPE_PRE, SCOPE_BODY, SCOPE_BRANCH } ScopeKind;

typedef struct Scope {
    struct Scope *parent;
    ScopeKind kind;
    int depth;
    const Node *node;   /* the for, loop or if */
    const Block *block; /* what is walked; none in `pre` */
    int position;
    bool certain;       /* entered whenever its parent is. pre: the loop surely runs; body: no break stands before the
                           position; branch: never */
    Listing code, then; /* then: of an if whose else is being walked */
    uint32_t variable, lower, upper, step;
    Node **known; /* nodes whose values end with this scope */
    int known_count, known_capacity;
} Scope;

typedef struct Translator {
    Ir *ir;
    const Node *kernel;
    Arena *scratch;
    Scope *scope;
    bool has_tiles;
    uint32_t tiles;  /* where tile registers begin in the frame */
    NodeMap values;  /* node -> register + 1 */
    NodeMap buffers; /* buffer -> number + 1 */
    Register *registers;
    int register_count, register_capacity;
    CodeBuffer *buffer_list;
    int buffer_count, buffer_capacity;
    int64_t local_bytes, shared_bytes;
    uint8_t *image;
    size_t image_bytes, image_capacity;
    Node **stack; /* nodes being computed */
    int stack_count, stack_capacity;
} Translator;

uint32_t register_new(Translator *translator, int bytes, Scope *scope);
/* A register with a fixed place at the end of the image, zero to begin with. */
uint32_t register_pinned(Translator *translator, int bytes, Scope *root);
Instruction *instruction_emit(Translator *translator, Listing *listing, Opcode opcode, const Node *node);
uint16_t buffer_number(Translator *translator, Node *node);
uint16_t buffer_add(Translator *translator, const Node *node, bool local);

/* `number` is the value of `node` until `scope` ends. */
void value_remember(Translator *translator, Scope *scope, Node *node, uint32_t number);
uint32_t value_of(const Translator *translator, const Node *node);
int value_bytes(const Node *node);
/* Makes the value of `root` known in the current scope, operands first. */
void value_need(Translator *translator, Node *root);

void access_require(const Node *access, const Node *operand, int lanes, Dtype dtype);
uint32_t access_load(Translator *translator, Scope *scope, const Node *node);
void access_store(Translator *translator, Scope *scope, const Node *node);
/* The first input that is a value: accesses name a buffer first. */
uint32_t access_first_value(const Node *node);

#endif
