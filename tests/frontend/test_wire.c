/* The wire reader on bytes written by hand after the protobuf encoding. */
#include "imported.h"

#include "frontend/importer.h"

typedef struct Read {
    Arena *arena;
    Diagnostics *diagnostics;
    const void *message;
} Read;

static Read read_bytes(const ProtobufCMessageDescriptor *type, const char *bytes, size_t size)
{
    Read read = {.arena = arena_open(0, NULL, NULL)};
    read.diagnostics = diagnostics_open(read.arena);
    const WireLimits limits = {.graphs = 2, .memory = 1 << 16};
    const Where where = {.file = "m.onnx"};
    read.message = wire_read(read.arena, read.diagnostics, &where, type, (const uint8_t *)bytes, size, &limits);
    cr_assert_eq(read.message != NULL, read.diagnostics->error_count == 0);
    return read;
}
#define READ(type, bytes) read_bytes(&onnx__##type##__descriptor, bytes, sizeof(bytes) - 1)

/* dims 1, 300 and 2^63 - 1: one by one, packed, and both. Field 1: tag 08 or 0a. */
Test(wire, lists_packed_and_unpacked)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
#define CASE(bytes) {bytes, sizeof(bytes) - 1}
        CASE("\x08\x01\x08\xac\x02\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        CASE("\x0a\x0c\x01\xac\x02\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        CASE("\x0a\x01\x01\x08\xac\x02\x0a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Read read = read_bytes(&onnx__tensor_proto__descriptor, cases[i].bytes, cases[i].size);
        const Onnx__TensorProto *tensor = read.message;
        cr_assert(tensor, "case %zu", i);
        cr_assert_eq(tensor->n_dims, 3);
        cr_assert_arr_eq(tensor->dims, ((const int64_t[]){1, 300, INT64_MAX}), 3 * sizeof(int64_t));
        arena_close(read.arena);
    }
}

/* int32_data (field 5) -1, 5, 7 in three pieces: unpacked run, packed, unpacked. */
Test(wire, undecoded_lists_keep_their_order)
{
    Read read = READ(tensor_proto, "\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x2a\x01\x05\x28\x07");
    const Onnx__TensorProto *tensor = read.message;
    cr_assert(tensor);
    cr_assert_eq(wire_count(&tensor->base, 5), 3);
    cr_assert_eq(wire_count(&tensor->base, 7), 0);
    WireList list = wire_list(&tensor->base, 5);
    const int64_t expected[] = {-1, 5, 7};
    uint64_t bits;
    for (int i = 0; i < 3; i++) {
        cr_assert(wire_next(&list, &bits));
        cr_assert_eq((int64_t)bits, expected[i]);
    }
    cr_assert_not(wire_next(&list, &bits));
    arena_close(read.arena);
}

Test(wire, packed_floats_stay_where_they_are)
{
    static const char bytes[] = "\x22\x08\x00\x00\x80\x3f\x00\x00\x00\x40";
    Read read = read_bytes(&onnx__tensor_proto__descriptor, bytes, sizeof bytes - 1);
    const Onnx__TensorProto *tensor = read.message;
    size_t length;
    cr_assert_eq((const char *)wire_packed(&tensor->base, 4, &length), bytes + 2);
    cr_assert_eq(length, 8);
    WireList list = wire_list(&tensor->base, 4);
    uint64_t bits;
    cr_assert(wire_next(&list, &bits) && bits == 0x3f800000);
    cr_assert(wire_next(&list, &bits) && bits == 0x40000000);
    arena_close(read.arena);
}

Test(wire, messages_bytes_and_unknown_fields)
{
    /* node { op_type: "Op" input: "a" input: "" attribute { name: "n" f: 1 } } and unknown fields 100 (bytes), 101
     * (fixed64) */
    Read read = READ(node_proto, "\x22\x02Op\x0a\x01"
                                 "a\x0a\x00\x2a\x08\x0a\x01n\x15\x00\x00\x80\x3f\xa2\x06\x03xyz\xa9\x06"
                                 "12345678");
    const Onnx__NodeProto *node = read.message;
    cr_assert(node);
    cr_assert(text_is(&node->op_type, "Op"));
    cr_assert_eq(node->n_input, 2);
    cr_assert(text_is(&node->input[0], "a"));
    cr_assert(text_is(&node->input[1], ""));
    cr_assert_eq(node->n_attribute, 1);
    cr_assert_eq(node->attribute[0]->f, 1);
    cr_assert_not(node->has_name);
    arena_close(read.arena);
}

Test(wire, broken_bytes_are_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } cases[] = {
#define CASE(bytes, words) {bytes, sizeof(bytes) - 1, words}
        CASE("\x08", "a number is cut off"),
        CASE("\x08\xff", "a number is cut off"),
        CASE("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "cut off or too long"),
        CASE("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "cut off or too long"),
        CASE("\x00\x01", "impossible number"),
        CASE("\xf8\xff\xff\xff\xff\x01\x01", "impossible number"),
        CASE("\xff", "a field's number is cut off"),
        CASE("\x0b", "a wire type that ONNX does not use"),
        CASE("\x0c", "a wire type that ONNX does not use"),
        CASE("\x0e\x01", "a wire type that ONNX does not use"),
        CASE("\x0f\x01", "a wire type that ONNX does not use"),
        CASE("\x42\x05name", "reaches past the end"),
        CASE("\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01name", "reaches past the end"),
        CASE("\x40\x01", "the wrong wire type"),
        CASE("\x0d\x01\x00\x00\x00", "the wrong wire type"),
        CASE("\x25\x00\x00", "a number is cut off"),
        CASE("\x0a\x02\x01\xff", "a list of numbers is cut off"),
        CASE("\x42\x01n\x42\x01n", "there twice"),
        CASE("\x10\xff\xff\xff\xff\xff\x01", "a number does not fit"),
        CASE("\x0a\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "a number does not fit"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Read read = read_bytes(&onnx__tensor_proto__descriptor, cases[i].bytes, cases[i].size);
        cr_expect_null(read.message, "case %zu", i);
        cr_expect_eq(read.diagnostics->code, EXIT_MALFORMED);
        if (read.diagnostics->first)
            cr_expect(strstr(read.diagnostics->first->text, cases[i].words), "case %zu: %s", i,
                      read.diagnostics->first->text);
        arena_close(read.arena);
    }
}

/* graph { node { attribute { g { node { attribute { g {} } } } } } }: two graphs inside the first are the limit here.
 */
Test(wire, nesting_is_limited)
{
    char bytes[64] = "";
    size_t size = 0;
    for (int depth = 0; depth <= 3; depth++) {
        Read read = read_bytes(&onnx__graph_proto__descriptor, bytes, size);
        cr_expect_eq(read.message != NULL, depth <= 2, "%d graphs inside", depth);
        if (!read.message)
            cr_expect_eq(read.diagnostics->code, EXIT_LIMIT);
        arena_close(read.arena);
        static const char tags[] = {0x32, 0x2a, 0x0a}; /* attribute.g, node.attribute, graph.node */
        for (int i = 0; i < 3; i++) {
            memmove(bytes + 2, bytes, size);
            bytes[0] = tags[i];
            bytes[1] = (char)size;
            size += 2;
        }
    }
}

/* Two bytes of file make a struct of some hundred: 64 KiB of them are used up by 1,000 nodes. */
Test(wire, memory_is_limited)
{
    static char bytes[2000];
    for (size_t i = 0; i < sizeof bytes; i += 2)
        bytes[i] = 0x0a;
    Read read = read_bytes(&onnx__graph_proto__descriptor, bytes, sizeof bytes);
    cr_assert_null(read.message);
    cr_assert_eq(read.diagnostics->code, EXIT_LIMIT);
    arena_close(read.arena);
}
