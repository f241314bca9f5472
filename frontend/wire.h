/* Reads protobuf's wire format into the structs that protoc-c generates, without copying anything large.
 *
 * The reader follows the generated descriptors with a stack of its own, so depth is bounded and deep files cannot
 * overflow ours. Bytes fields point into the file. The numeric lists of TensorProto stay undecoded as WireList: a
 * model's weights are never copied here. Refused: groups, lengths past the end, numbers that do not fit, a single field
 * given twice, nesting and memory over the limits. */
#ifndef LATHE_FRONTEND_WIRE_H
#define LATHE_FRONTEND_WIRE_H

#include "ir/arena.h"
#include "ir/diag.h"

#include <protobuf-c/protobuf-c.h>

typedef struct WireLimits {
    int graphs;    /* graphs inside graphs */
    size_t memory; /* bytes of decoded messages */
} WireLimits;

/* The message in `bytes`, which must outlive it; NULL after a diagnostic. Belongs to `arena`. */
const void *wire_read(Arena *arena, Diagnostics *diagnostics, const Where *where,
                      const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length,
                      const WireLimits *limits);

/* The numbers of one undecoded list, in order. Start with wire_list. */
typedef struct WireList {
    const ProtobufCMessage *message;
    uint32_t field;
    unsigned part; /* next run of bytes */
    int kind;      /* wire type of the current run: 2 is packed */
    const uint8_t *at, *end;
    ProtobufCType type;
} WireList;
WireList wire_list(const ProtobufCMessage *message, uint32_t field);
/* The next number's bits: floats as they stand, integers sign-extended. False at the end and when the bytes are broken:
 * then at < end. */
bool wire_next(WireList *list, uint64_t *bits);
/* How many numbers there are, without decoding them; UINT64_MAX when the bytes are broken. */
uint64_t wire_count(const ProtobufCMessage *message, uint32_t field);
/* The bytes of a list of floats or doubles that stands packed in one piece; NULL otherwise. */
const uint8_t *wire_packed(const ProtobufCMessage *message, uint32_t field, size_t *length);

#endif
