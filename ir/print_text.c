/* The printer's letters: growing text, literals, constants, names. See print_internal.h. */
#include "ir/print_internal.h"
#include "ir/scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ELEMENTS_INLINE = 64 };

void printer_open(Printer *printer, Arena *arena, int flags)
{
    *printer = (Printer){.arena = arena, .flags = flags};
    printer->capacity = 4096;
    printer->text = arena_alloc(arena, printer->capacity);
    printer->taken = names_open(arena);
    map_open(&printer->names, arena);
    map_open(&printer->symbols, arena);
    /* %begin, %end and %thread are values of kernels. */
    names_bind(printer->taken, name_intern(arena, "begin"), (Node *)printer);
    names_bind(printer->taken, name_intern(arena, "end"), (Node *)printer);
    names_bind(printer->taken, name_intern(arena, "thread"), (Node *)printer);
}

const char *printer_finish(Printer *printer, size_t *length)
{
    if (length)
        *length = printer->used;
    return printer->text;
}

static void put_bytes(Printer *printer, const char *bytes, size_t length)
{
    if (printer->used + length + 1 > printer->capacity) {
        while (printer->used + length + 1 > printer->capacity)
            printer->capacity *= 2;
        char *const text = arena_alloc(printer->arena, printer->capacity);
        memcpy(text, printer->text, printer->used);
        printer->text = text;
    }
    memcpy(printer->text + printer->used, bytes, length);
    printer->used += length;
    printer->text[printer->used] = 0;
}

void put(Printer *printer, const char *format, ...)
{
    char small[256];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(small, sizeof small, format, arguments);
    if (length >= 0 && (size_t)length < sizeof small) {
        put_bytes(printer, small, (size_t)length);
    } else {
        const char *const text = arena_vformat(printer->arena, format, again);
        put_bytes(printer, text, strlen(text));
    }
    va_end(again);
    va_end(arguments);
}

void put_line(Printer *printer)
{
    if (printer->used)
        put_bytes(printer, "\n", 1);
    for (int i = 0; i < printer->indent; i++)
        put_bytes(printer, "    ", 4);
}

static void put_escaped(Printer *printer, const char *bytes, size_t length, char quote)
{
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)bytes[i];
        if (c == (unsigned char)quote || c == '\\')
            put(printer, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            put(printer, "\\x%02x", c);
        else
            put_bytes(printer, bytes + i, 1);
    }
}

void put_string(Printer *printer, const char *bytes, size_t length)
{
    put(printer, "\"");
    put_escaped(printer, bytes, length, '"');
    put(printer, "\"");
}

static bool is_word(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.0123456789";
    return *text && !strchr(".0123456789", *text) && strspn(text, letters) == strlen(text);
}

void put_title(Printer *printer, const char *name)
{
    if (is_word(name))
        put(printer, "%s", name);
    else
        put_string(printer, name, strlen(name));
}

/* ---- numbers ---- */

static bool reads_back(const char *text, Dtype dtype, uint64_t bits)
{
    uint64_t back;
    return literal_read(text, dtype, &back) && back == bits;
}

/* 1e-08 is 1e-8, 1e+20 is 1e20. */
static void exponent_trim(char *text)
{
    char *const exponent = strchr(text, 'e');
    if (!exponent)
        return;
    char *to = exponent + 1, *from = exponent + 1;
    if (*from == '-')
        to++;
    if (*from == '-' || *from == '+')
        from++;
    while (*from == '0' && from[1])
        from++;
    memmove(to, from, strlen(from) + 1);
}

/* The shortest decimal that gives these bits, or the bits themselves (NaNs with a payload). */
static void float_text(char text[static 64], Dtype dtype, uint64_t bits)
{
    const uint64_t wide = dtype == DTYPE_F64 ? bits : scalar_evaluate(OP_cast, DTYPE_F64, dtype, &bits);
    double value;
    memcpy(&value, &wide, sizeof value);
    if (fabs(value) < 1e9 && value == floor(value)) {
        snprintf(text, 64, "%.0f", value);
        if (reads_back(text, dtype, bits))
            return;
    }
    if (isnan(value) || isinf(value)) {
        strcpy(text, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        if (reads_back(text, dtype, bits))
            return;
    }
    for (int digits = 1; digits <= 17 && isfinite(value); digits++) {
        snprintf(text, 64, "%.*g", digits, value);
        exponent_trim(text);
        if (reads_back(text, dtype, bits))
            return;
    }
    snprintf(text, 64, "0x%llx", (unsigned long long)bits);
}

void put_literal(Printer *printer, Dtype dtype, uint64_t bits)
{
    char text[64];
    if (dtype == DTYPE_BOOL)
        put(printer, "%s", bits ? "true" : "false");
    else if (dtype_is_float(dtype)) {
        float_text(text, dtype, bits);
        put(printer, "%s", text);
    } else if (dtype_is_signed(dtype))
        put(printer, "%lld", (long long)bits);
    else
        put(printer, "%llu", (unsigned long long)bits);
}

void put_real(Printer *printer, double value)
{
    char text[64], single[64];
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    float_text(text, DTYPE_F64, bits);
    const float narrow = (float)value;
    uint32_t word;
    memcpy(&word, &narrow, sizeof word);
    if ((double)narrow == value) {
        /* An attribute of ONNX is f32: 0.1f is shorter than the double that it is. */
        float_text(single, DTYPE_F32, word);
        if (strlen(single) + 1 < strlen(text)) {
            put(printer, "%sf", single);
            return;
        }
    }
    put(printer, "%s%s", text, strpbrk(text, ".en") || text[1] == 'x' ? "" : ".0");
}

/* ---- constants ---- */

/* Elements of a tensor with constant dims, -1 when there are no such or too many to print. */
static int element_count(Type type)
{
    int64_t count = 1;
    for (int i = 0; i < type.rank; i++) {
        int64_t dim;
        if (!const_is_int(type.dims[i], &dim) || dim < 0 || dim > ELEMENTS_INLINE)
            return -1;
        count *= dim;
        if (count > ELEMENTS_INLINE)
            return -1;
    }
    return (int)count;
}

static uint64_t constant_element(const Constant *constant, Dtype dtype, int i)
{
    const int width = dtype_info[dtype].bits;
    const unsigned char *const data = constant->data;
    uint64_t bits = 0;
    if (width < 8)
        bits = (uint64_t)(data[(size_t)i * (size_t)width / 8] >> ((size_t)i * (size_t)width % 8)) & ((1u << width) - 1);
    else
        memcpy(&bits, data + (size_t)i * (size_t)(width / 8), (size_t)width / 8);
    if (dtype_is_signed(dtype) && width < 64 && bits >> (width - 1))
        bits |= ~(uint64_t)0 << width;
    return bits;
}

static uint64_t constant_hash(const Constant *constant)
{
    uint64_t hash = constant->bytes * 0x9e3779b97f4a7c15u + 1;
    const unsigned char *const data = constant->data;
    for (uint64_t i = 0; data && i < constant->bytes; i += 8) {
        uint64_t word = 0;
        memcpy(&word, data + i, constant->bytes - i < 8 ? (size_t)(constant->bytes - i) : 8);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    return hash;
}

static void put_element(Printer *printer, Type type, const Constant *constant, int i)
{
    if (type.dtype == DTYPE_STRING)
        put_string(printer, constant->strings[i], strlen(constant->strings[i]));
    else
        put_literal(printer, type.dtype, constant_element(constant, type.dtype, i));
}

void put_constant(Printer *printer, Type type, const Constant *constant)
{
    const int count = element_count(type);
    const int elements = constant->splat ? 1 : count;
    const uint64_t bytes = ((uint64_t)(elements < 0 ? 0 : elements) * (uint64_t)dtype_info[type.dtype].bits + 7) / 8;
    const bool known = type.dtype == DTYPE_STRING
                           ? constant->strings != NULL
                           : elements >= 0 && constant->bytes >= bytes && (constant->data || !bytes);
    if (known && constant->splat) {
        put(printer, " splat ");
        put_element(printer, type, constant, 0);
    } else if (known && count >= 0) {
        put(printer, " [");
        for (int i = 0; i < count; i++) {
            put(printer, "%s", i ? " " : "");
            put_element(printer, type, constant, i);
        }
        put(printer, "]");
    } else {
        put(printer, " #%016llx", (unsigned long long)constant_hash(constant));
    }
    if (constant->name) {
        put(printer, " ");
        put_string(printer, constant->name, strlen(constant->name));
    }
}

void put_layout(Printer *printer, const Layout *layout)
{
    put(printer, " layout [");
    for (int i = 0; i < layout->count; i++) {
        const LayoutEntry *const entry = &layout->entries[i];
        put(printer, "%s%d", i ? " " : "", entry->axis);
        if (entry->part != PART_WHOLE)
            put(printer, "%c%d", entry->part == PART_OUTER ? '/' : '%', entry->block);
    }
    put(printer, "]");
}

/* ---- names ---- */

/* Counters live among the names, so that they fall back when a scope closes: "#base" stands for the next number. */
static int counter_take(Printer *printer, const char *base, int from)
{
    const Name key = name_intern(printer->arena, arena_format(printer->arena, "#%s", base));
    const uintptr_t known = (uintptr_t)names_find(printer->taken, key);
    const int next = known ? (int)known - 1 : from;
    names_bind(printer->taken, key, (Node *)(uintptr_t)(next + 2));
    return next;
}

static const char *sanitized(Printer *printer, const char *base)
{
    char *const text = arena_format(printer->arena, "%s", *base ? base : "_");
    for (char *c = text; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_./0123456789", *c))
            *c = '_';
    return text;
}

const char *name_give(Printer *printer, Node *node, const char *base, int numbered_from)
{
    const char *const clean = numbered_from < 0 ? sanitized(printer, base) : base;
    Name name = name_intern(printer->arena, clean);
    while (numbered_from >= 0 || names_find(printer->taken, name)) {
        const int number = counter_take(printer, clean, numbered_from < 0 ? 2 : numbered_from);
        name = name_intern(printer->arena,
                           arena_format(printer->arena, numbered_from < 0 ? "%s.%d" : "%s%d", clean, number));
        if (!names_find(printer->taken, name))
            break;
    }
    names_bind(printer->taken, name, node);
    const char *const text = arena_format(printer->arena, "%%%s", name);
    map_set(&printer->names, node, (void *)(uintptr_t)text);
    if (printer->named_count == printer->named_capacity) {
        printer->named_capacity = printer->named_capacity ? printer->named_capacity * 2 : 64;
        Node **const named = NEW_ARRAY(printer->arena, Node *, printer->named_capacity);
        if (printer->named_count)
            memcpy(named, printer->named, printer->named_count * sizeof *named);
        printer->named = named;
    }
    printer->named[printer->named_count++] = node;
    return text;
}

size_t scope_enter(Printer *printer)
{
    names_enter(printer->taken);
    return printer->named_count;
}

void scope_leave(Printer *printer, size_t mark)
{
    names_leave(printer->taken);
    while (printer->named_count > mark)
        map_set(&printer->names, printer->named[--printer->named_count], NULL);
}

const char *symbol_label(void *context, const Node *symbol)
{
    static const char *const words[] = {"true", "false", "nan", "inf", "_"};
    Printer *const printer = context;
    const char *known = map_get(&printer->symbols, symbol);
    if (known)
        return known;
    bool plain = is_word(symbol->payload.name);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        plain = plain && strcmp(symbol->payload.name, words[i]) != 0;
    if (printer->flags & PRINT_CANONICAL) {
        known = arena_format(printer->arena, "d%d", printer->symbol_count++);
    } else if (plain) {
        known = symbol->payload.name;
    } else {
        Printer quoted;
        printer_open(&quoted, printer->arena, 0);
        put(&quoted, "'");
        put_escaped(&quoted, symbol->payload.name, strlen(symbol->payload.name), '\'');
        put(&quoted, "'");
        known = quoted.text;
    }
    map_set(&printer->symbols, symbol, (void *)(uintptr_t)known);
    return known;
}
