/* The wire reader: two passes over every message (count, then fill), an explicit stack, and pointers into the file. */
#include "frontend/wire.h"

#include "onnx.pb-c.h"

#include <stdint.h>
#include <string.h>

/* Graph > node > attribute > graph: three levels of messages for a level of graphs; types nest too. */
enum { MESSAGE_DEPTH = 512 };
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };
enum { SINGLE_FIELDS_MAX = 64 };

typedef struct Token {
    uint32_t number;
    int kind;
    uint64_t value;      /* kinds other than WIRE_BYTES */
    const uint8_t *data; /* WIRE_BYTES */
    size_t length;
    const uint8_t *next;
} Token;

typedef struct Frame {
    const ProtobufCMessageDescriptor *type;
    ProtobufCMessage *message;
    const uint8_t *at, *end;
} Frame;

typedef struct Reader {
    Arena *arena;
    Diagnostics *diagnostics;
    const Where *where;
    const WireLimits *limits;
    const uint8_t *base;
    size_t memory;
    int graphs;
    int depth;
    Frame frames[MESSAGE_DEPTH];
} Reader;

/* What kind of token holds one element, and how many bytes a fixed one takes (0: a varint; bytes and messages have
 * their length). */
static const struct {
    uint8_t kind, bytes, memory;
} type_info[] = {
    [PROTOBUF_C_TYPE_INT32] = {WIRE_VARINT, 0, 4},
    [PROTOBUF_C_TYPE_INT64] = {WIRE_VARINT, 0, 8},
    [PROTOBUF_C_TYPE_UINT64] = {WIRE_VARINT, 0, 8},
    [PROTOBUF_C_TYPE_FLOAT] = {WIRE_FIXED32, 4, 4},
    [PROTOBUF_C_TYPE_DOUBLE] = {WIRE_FIXED64, 8, 8},
    [PROTOBUF_C_TYPE_BYTES] = {WIRE_BYTES, 0, sizeof(ProtobufCBinaryData)},
    [PROTOBUF_C_TYPE_MESSAGE] = {WIRE_BYTES, 0, sizeof(void *)},
};

/* The position after a varint, or NULL when it is cut off or longer than 64 bits. */
static const uint8_t *varint_read(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t result = 0;
    for (int shift = 0; shift < 70 && at < end; shift += 7) {
        const uint8_t byte = *at++;
        if (shift == 63 && byte > 1)
            return NULL;
        result |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *value = result;
            return at;
        }
    }
    return NULL;
}

static uint64_t fixed_read(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* The token at `at`; the text says what is wrong, NULL when nothing is. */
static const char *token_read(const uint8_t *at, const uint8_t *end, Token *token)
{
    uint64_t tag;
    at = varint_read(at, end, &tag);
    if (!at)
        return "a field's number is cut off or too long";
    if (tag > UINT32_MAX || tag >> 3 == 0)
        return "a field has an impossible number";
    token->number = (uint32_t)(tag >> 3);
    token->kind = (int)(tag & 7);
    const size_t left = (size_t)(end - at);
    const size_t fixed = token->kind == WIRE_FIXED64 ? 8 : token->kind == WIRE_FIXED32 ? 4 : 0;
    if (fixed) {
        if (left < fixed)
            return "a number is cut off";
        token->value = fixed_read(at, (int)fixed);
        token->next = at + fixed;
        return NULL;
    }
    if (token->kind != WIRE_VARINT && token->kind != WIRE_BYTES)
        return "a field has a wire type that ONNX does not use";
    token->next = varint_read(at, end, &token->value);
    if (!token->next)
        return "a number is cut off or too long";
    if (token->kind == WIRE_VARINT)
        return NULL;
    if (token->value > (uint64_t)(end - token->next))
        return "a length reaches past the end";
    token->data = token->next;
    token->length = (size_t)token->value;
    token->next += token->length;
    return NULL;
}

static bool broken(Reader *reader, const uint8_t *at, const ProtobufCMessageDescriptor *type, const char *what)
{
    return diag_error(reader->diagnostics, EXIT_MALFORMED, reader->where, "not a valid ONNX file: %s (%s, byte %zu)",
                      what, type->short_name, (size_t)(at - reader->base));
}

static bool is_raw(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field)
{
    return type == &onnx__tensor_proto__descriptor && field->label == PROTOBUF_C_LABEL_REPEATED && field->id != 1 &&
           field->type != PROTOBUF_C_TYPE_BYTES && field->type != PROTOBUF_C_TYPE_MESSAGE;
}

/* Does the token hold (elements of) `field`? A packed list is bytes; lists may always be packed. */
static bool token_fits(const Token *token, const ProtobufCFieldDescriptor *field)
{
    return token->kind == type_info[field->type].kind ||
           (token->kind == WIRE_BYTES && field->label == PROTOBUF_C_LABEL_REPEATED);
}

static bool is_packed(const Token *token, const ProtobufCFieldDescriptor *field)
{
    return token->kind == WIRE_BYTES && type_info[field->type].kind != WIRE_BYTES;
}

static uint64_t packed_count(const uint8_t *data, size_t length, ProtobufCType type)
{
    const size_t bytes = type_info[type].bytes;
    if (bytes)
        return length % bytes ? UINT64_MAX : length / bytes;
    uint64_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += data[i] < 128;
    return length && data[length - 1] >= 128 ? UINT64_MAX : count;
}

/* Memory for one message, counted against the limit: a message of two bytes becomes a struct of hundreds. */
static void *reader_alloc(Reader *reader, uint64_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > reader->limits->memory - reader->memory) {
        diag_error(reader->diagnostics, EXIT_LIMIT, reader->where,
                   "the model's structure needs more than %zu MiB when decoded", reader->limits->memory >> 20);
        return NULL;
    }
    reader->memory += bytes;
    return arena_alloc(reader->arena, bytes);
}

static size_t *quantifier_of(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (size_t *)(void *)((char *)message + field->quantifier_offset);
}

static void *member_of(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (char *)message + field->offset;
}

/* First pass: checks the tokens, counts the elements of each list and makes room for them; leaves the counts at 0. */
static bool message_measure(Reader *reader, const Frame *frame)
{
    ProtobufCMessage *message = frame->message;
    uint64_t seen = 0;
    unsigned parts = 0;
    uint32_t previous = 0; /* raw field of the token before, when that one was not packed */
    Token token;
    for (const uint8_t *at = frame->at; at < frame->end; at = token.next) {
        const char *wrong = token_read(at, frame->end, &token);
        if (wrong)
            return broken(reader, at, frame->type, wrong);
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(frame->type, token.number);
        const uint32_t run = previous;
        previous = 0;
        if (!field)
            continue;
        if (!token_fits(&token, field))
            return broken(reader, at, frame->type, "a field has the wrong wire type");
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            const uint64_t bit = 1ull << (field - frame->type->fields) % SINGLE_FIELDS_MAX;
            if (seen & bit)
                return broken(reader, at, frame->type, "a field that may stand once is there twice");
            seen |= bit;
        } else if (is_raw(frame->type, field)) {
            parts += token.kind == WIRE_BYTES || run != token.number;
            previous = token.kind == WIRE_BYTES ? 0 : token.number;
        } else {
            const uint64_t count = is_packed(&token, field) ? packed_count(token.data, token.length, field->type) : 1;
            if (count == UINT64_MAX)
                return broken(reader, at, frame->type, "a list of numbers is cut off");
            *quantifier_of(message, field) += count;
        }
    }
    if (parts && !(message->unknown_fields = reader_alloc(reader, parts, sizeof *message->unknown_fields)))
        return false;
    for (unsigned i = 0; i < frame->type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &frame->type->fields[i];
        if (field->label != PROTOBUF_C_LABEL_REPEATED || is_raw(frame->type, field))
            continue;
        size_t *count = quantifier_of(message, field);
        void **list = member_of(message, field);
        if (*count && !(*list = reader_alloc(reader, *count, type_info[field->type].memory)))
            return false;
        *count = 0;
    }
    return true;
}

static bool message_push(Reader *reader, const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
                         ProtobufCMessage **made)
{
    if (reader->depth == MESSAGE_DEPTH)
        return diag_error(reader->diagnostics, EXIT_LIMIT, reader->where, "messages are nested more than %d deep",
                          MESSAGE_DEPTH);
    if (type == &onnx__graph_proto__descriptor && reader->graphs++ > reader->limits->graphs)
        return diag_error(reader->diagnostics, EXIT_LIMIT, reader->where, "graphs are nested more than %d deep",
                          reader->limits->graphs);
    ProtobufCMessage *message = reader_alloc(reader, 1, type->sizeof_message);
    if (!message)
        return false;
    message->descriptor = type;
    Frame *frame = &reader->frames[reader->depth++];
    *frame = (Frame){type, message, data, data + length};
    *made = message;
    return message_measure(reader, frame);
}

/* One number into memory; false when it does not fit. */
static bool number_store(void *to, ProtobufCType type, uint64_t bits)
{
    if (type == PROTOBUF_C_TYPE_INT32) {
        if ((int64_t)bits < INT32_MIN || (int64_t)bits > INT32_MAX)
            return false;
        const int32_t value = (int32_t)(int64_t)bits;
        memcpy(to, &value, sizeof value);
        return true;
    }
    memcpy(to, &bits, type_info[type].memory);
    return true;
}

static bool numbers_fill(Reader *reader, const Frame *frame, const ProtobufCFieldDescriptor *field, const Token *token)
{
    const size_t size = type_info[field->type].memory;
    size_t *count = quantifier_of(frame->message, field);
    char *list = *(char **)member_of(frame->message, field);
    if (token->kind != WIRE_BYTES)
        return number_store(list + (*count)++ * size, field->type, token->value) ||
               broken(reader, frame->at, frame->type, "a number does not fit");
    const int bytes = type_info[field->type].bytes;
    const uint8_t *end = token->data + token->length;
    for (const uint8_t *at = token->data; at < end;) {
        uint64_t bits;
        const uint8_t *next = at + bytes;
        if (bytes)
            bits = fixed_read(at, bytes);
        else
            next = varint_read(at, end, &bits);
        if (!next || !number_store(list + (*count)++ * size, field->type, bits))
            return broken(reader, at, frame->type, "a number does not fit");
        at = next;
    }
    return true;
}

/* An undecoded list: a run of unpacked numbers is kept whole, tags included. */
static void raw_fill(const Frame *frame, const Token *token, uint32_t previous)
{
    ProtobufCMessage *message = frame->message;
    ProtobufCMessageUnknownField *last = message->unknown_fields + message->n_unknown_fields - 1;
    if (token->kind != WIRE_BYTES && previous == token->number) {
        last->len += (size_t)(token->next - frame->at);
        return;
    }
    const bool packed = token->kind == WIRE_BYTES;
    message->unknown_fields[message->n_unknown_fields++] = (ProtobufCMessageUnknownField){
        .tag = token->number,
        .wire_type = (ProtobufCWireType)token->kind,
        .len = packed ? token->length : (size_t)(token->next - frame->at),
        .data = (uint8_t *)(uintptr_t)(packed ? token->data : frame->at),
    };
}

/* Second pass, up to the next message inside: that one is pushed and the frame goes on later. */
static bool frame_fill(Reader *reader)
{
    Frame *frame = &reader->frames[reader->depth - 1];
    uint32_t previous = 0;
    Token token;
    for (; frame->at < frame->end; frame->at = token.next) {
        token_read(frame->at, frame->end, &token);
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(frame->type, token.number);
        const uint32_t run = previous;
        previous = 0;
        if (!field)
            continue;
        const bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
        if (is_raw(frame->type, field)) {
            raw_fill(frame, &token, run);
            previous = token.kind == WIRE_BYTES ? 0 : token.number;
        } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            ProtobufCMessage **slot = member_of(frame->message, field);
            if (repeated)
                slot = *(ProtobufCMessage ***)(void *)slot + (*quantifier_of(frame->message, field))++;
            frame->at = token.next;
            return message_push(reader, field->descriptor, token.data, token.length, slot);
        } else if (field->type == PROTOBUF_C_TYPE_BYTES) {
            ProtobufCBinaryData *slot = member_of(frame->message, field);
            if (repeated)
                slot = *(ProtobufCBinaryData **)(void *)slot + (*quantifier_of(frame->message, field))++;
            else
                *(protobuf_c_boolean *)(void *)quantifier_of(frame->message, field) = 1;
            *slot = (ProtobufCBinaryData){token.length, (uint8_t *)(uintptr_t)token.data};
        } else if (repeated) {
            if (!numbers_fill(reader, frame, field, &token))
                return false;
        } else {
            *(protobuf_c_boolean *)(void *)quantifier_of(frame->message, field) = 1;
            if (!number_store(member_of(frame->message, field), field->type, token.value))
                return broken(reader, frame->at, frame->type, "a number does not fit");
        }
    }
    reader->graphs -= frame->type == &onnx__graph_proto__descriptor;
    reader->depth--;
    return true;
}

const void *wire_read(Arena *arena, Diagnostics *diagnostics, const Where *where,
                      const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length,
                      const WireLimits *limits)
{
    Reader *reader = NEW(arena, Reader);
    *reader = (Reader){.arena = arena, .diagnostics = diagnostics, .where = where, .limits = limits, .base = bytes};
    ProtobufCMessage *root = NULL;
    bool good = message_push(reader, type, bytes, length, &root);
    while (good && reader->depth > 0)
        good = frame_fill(reader);
    return good ? root : NULL;
}

WireList wire_list(const ProtobufCMessage *message, uint32_t field)
{
    return (WireList){
        .message = message,
        .field = field,
        .type = protobuf_c_message_descriptor_get_field(message->descriptor, field)->type,
    };
}

bool wire_next(WireList *list, uint64_t *bits)
{
    while (list->at == list->end) {
        if (list->part == list->message->n_unknown_fields)
            return false;
        const ProtobufCMessageUnknownField *part = &list->message->unknown_fields[list->part++];
        if (part->tag != list->field)
            continue;
        list->at = part->data;
        list->end = part->data + part->len;
        list->kind = (int)part->wire_type;
    }
    if (list->kind != WIRE_BYTES) { /* validated when the file was read */
        Token token;
        token_read(list->at, list->end, &token);
        *bits = token.value;
        list->at = token.next;
        return true;
    }
    const int bytes = type_info[list->type].bytes;
    if (!bytes) {
        const uint8_t *next = varint_read(list->at, list->end, bits);
        if (next)
            list->at = next;
        return next;
    }
    if (list->end - list->at < bytes)
        return false;
    *bits = fixed_read(list->at, bytes);
    list->at += bytes;
    return true;
}

uint64_t wire_count(const ProtobufCMessage *message, uint32_t field)
{
    uint64_t total = 0;
    const ProtobufCType type = protobuf_c_message_descriptor_get_field(message->descriptor, field)->type;
    for (unsigned i = 0; i < message->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *part = &message->unknown_fields[i];
        if (part->tag != field)
            continue;
        if (part->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            const uint64_t count = packed_count(part->data, part->len, type);
            if (count == UINT64_MAX)
                return UINT64_MAX;
            total += count;
            continue;
        }
        Token token;
        for (const uint8_t *at = part->data; at < part->data + part->len; at = token.next, total++)
            token_read(at, part->data + part->len, &token);
    }
    return total;
}

const uint8_t *wire_packed(const ProtobufCMessage *message, uint32_t field, size_t *length)
{
    const ProtobufCMessageUnknownField *found = NULL;
    for (unsigned i = 0; i < message->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *part = &message->unknown_fields[i];
        if (part->tag != field)
            continue;
        if (found || part->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
            return NULL;
        found = part;
    }
    if (!found)
        return NULL;
    *length = found->len;
    return found->data;
}
