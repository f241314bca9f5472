/* Values of slots: see script.h. A tensor is one block: the value, its dims, then its elements at the next cache line. */
#include "runtime/libc.h"
#include "runtime/script.h"

enum { TEXTS_BYTES = 4096, ITEMS_LEAST = 8 };

int64_t elements_bytes(int64_t count, int32_t bits)
{
    int64_t all;
    if (count < 0 || __builtin_mul_overflow(count, (int64_t)bits, &all) || all > INT64_MAX - 7)
        return -1;
    return (all + 7) / 8;
}

int64_t elements_count(int32_t rank, const int64_t *dims)
{
    int64_t count = 1;
    bool empty = false;
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return -1;
        empty |= dims[i] == 0;
    }
    for (int32_t i = 0; i < rank && !empty; i++)
        if (__builtin_mul_overflow(count, dims[i], &count))
            return -1;
    return empty ? 0 : count;
}

/* Elements below a byte are packed, the first in the low bits. */
static void narrow_copy(unsigned char *to, int64_t to_first, const unsigned char *from, int64_t from_first, int64_t count, int32_t bits)
{
    const int64_t each = 8 / bits;
    const unsigned mask = (1u << bits) - 1;
    for (int64_t i = 0; i < count; i++) {
        const int64_t source = from_first + i, target = to_first + i;
        const unsigned element = (unsigned)from[source / each] >> (source % each * bits) & mask;
        const int shift = (int)(target % each * bits);
        to[target / each] = (unsigned char)((to[target / each] & ~(mask << shift)) | element << shift);
    }
}

void elements_copy(void *to, int64_t to_first, const void *from, int64_t from_first, int64_t count, int32_t bits)
{
    if (count <= 0)
        return;
    if (bits < 8)
        narrow_copy(to, to_first, from, from_first, count, bits);
    else
        memcpy((unsigned char *)to + to_first * (bits / 8), (const unsigned char *)from + from_first * (bits / 8),
               (size_t)count * (size_t)(bits / 8));
}

/* --- making ----------------------------------------------------------------------------------------------------------------- */

static void *run_memory(Run *run, const lathe_step *step, uint64_t bytes)
{
    void *memory = heap_take(&run->heap, bytes);
    if (memory == NULL)
        (void)run_fail(run, step, LATHE_E_MEMORY, "%i bytes are wanted and %i are in use: the limit of the heap is %i bytes",
                       (int64_t)bytes, (int64_t)run->heap.used, (int64_t)run->heap.limit);
    return memory;
}

static Value *value_make(Run *run, const lathe_step *step, int32_t rank, uint64_t bytes)
{
    const uint64_t head = (sizeof(Value) + (uint64_t)rank * sizeof(int64_t) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    Value *value = run_memory(run, step, head + bytes);
    if (value == NULL)
        return NULL;
    memset(value, 0, sizeof *value);
    value->references = 1;
    value->rank = rank;
    value->bytes = bytes;
    value->data = (unsigned char *)value + head;
    return value;
}

static Value *tensor_make(Run *run, const lathe_step *step, int32_t dtype, int32_t rank, const int64_t *dims, bool borrowed, bool roomy)
{
    const int64_t count = elements_count(rank, dims);
    const int64_t bytes = elements_bytes(count, dtype_bits(dtype));
    if (bytes < 0) {
        (void)run_fail(run, step, LATHE_E_SHAPE, "a result has a negative dim or more bytes than 63 bits can tell");
        return NULL;
    }
    Value *value = value_make(run, step, rank, borrowed ? 0 : (uint64_t)bytes + (roomy ? (uint64_t)bytes / 2 : 0));
    if (value == NULL)
        return NULL;
    value->form = LATHE_TENSOR;
    value->dtype = dtype;
    value->count = count;
    value->bytes = (uint64_t)bytes;
    value->borrowed = borrowed;
    for (int32_t i = 0; i < rank; i++)
        value->dims[i] = dims[i];
    return value;
}

Value *value_tensor(Run *run, const lathe_step *step, int32_t dtype, int32_t rank, const int64_t *dims)
{
    return tensor_make(run, step, dtype, rank, dims, false, false);
}

Value *value_roomy(Run *run, const lathe_step *step, int32_t dtype, int32_t rank, const int64_t *dims)
{
    return tensor_make(run, step, dtype, rank, dims, false, true);
}

Value *value_grow(Value *value, const int64_t *dims)
{
    const int64_t count = elements_count(value->rank, dims), bytes = elements_bytes(count, dtype_bits(value->dtype));
    const uint64_t head = (uint64_t)((unsigned char *)value->data - (unsigned char *)value);
    if (bytes < 0 || (uint64_t)bytes > heap_room(value) - head)
        return NULL;
    value->count = count;
    value->bytes = (uint64_t)bytes;
    for (int32_t i = 0; i < value->rank; i++)
        value->dims[i] = dims[i];
    return value;
}

Value *value_borrow(Run *run, const lathe_step *step, int32_t dtype, int32_t rank, const int64_t *dims, void *data)
{
    Value *value = tensor_make(run, step, dtype, rank, dims, true, false);
    if (value != NULL && data != NULL)
        value->data = data;
    return value;
}

Value *value_nothing(Run *run, const lathe_step *step)
{
    Value *value = value_make(run, step, 0, 0);
    if (value != NULL)
        value->form = LATHE_NOTHING;
    return value;
}

Value *value_sequence(Run *run, const lathe_step *step, int32_t dtype, int64_t room)
{
    Value *value = value_make(run, step, 0, 0);
    if (value == NULL)
        return NULL;
    value->form = LATHE_SEQUENCE;
    value->dtype = dtype;
    value->room = room > ITEMS_LEAST ? room : ITEMS_LEAST;
    value->items = run_memory(run, step, (uint64_t)value->room * sizeof *value->items);
    if (value->items != NULL)
        return value;
    value_release(run, value);
    return NULL;
}

int value_append(Run *run, const lathe_step *step, Value *sequence, Value *item)
{
    if (item == NULL)
        return LATHE_E_MEMORY;
    if (sequence->count == sequence->room) {
        Value **items = run_memory(run, step, (uint64_t)sequence->room * 2 * sizeof *items);
        if (items == NULL) {
            value_release(run, item);
            return LATHE_E_MEMORY;
        }
        memcpy(items, sequence->items, (size_t)sequence->count * sizeof *items);
        heap_give(&run->heap, sequence->items);
        sequence->items = items;
        sequence->room *= 2;
    }
    sequence->items[sequence->count++] = item;
    return LATHE_OK;
}

Value *value_retain(Value *value)
{
    if (value != NULL)
        value->references++;
    return value;
}

/* Items of sequences may be sequences: those whose last reference goes wait in a list, linked through `data`, instead of recursion. */
void value_release(Run *run, Value *value)
{
    Value *waiting = NULL;
    if (value != NULL && --value->references == 0) {
        value->data = NULL;
        waiting = value;
    }
    while (waiting != NULL) {
        Value *gone = waiting;
        waiting = gone->data;
        for (int64_t i = 0; gone->form == LATHE_SEQUENCE && i < gone->count; i++)
            if (--gone->items[i]->references == 0) {
                gone->items[i]->data = waiting;
                waiting = gone->items[i];
            }
        heap_give(&run->heap, gone->items);
        heap_give(&run->heap, gone);
    }
}

lathe_value value_show(Value *value)
{
    lathe_value shown = {.form = value->form};
    if (value->form == LATHE_TENSOR) {
        shown.tensor = (lathe_tensor){.data = value->data, .device = {.device_type = DEVICE_HOST}, .ndim = value->rank, .shape = value->dims};
        tensor_type(value->dtype, &shown.tensor);
    }
    return shown;
}

/* --- text ------------------------------------------------------------------------------------------------------------------- */

typedef struct TextChunk {
    struct TextChunk *next;
    uint64_t used, size;
    char text[];
} TextChunk;

char *run_text(Run *run, const lathe_step *step, uint64_t length)
{
    TextChunk *chunk = run->texts;
    if (length > (uint64_t)INT64_MAX / 8) {
        (void)run_fail(run, step, LATHE_E_MEMORY, "a text has more bytes than 60 bits can tell");
        return NULL;
    }
    if (chunk == NULL || chunk->size - chunk->used <= length) {
        const uint64_t wanted = sizeof *chunk + length + 1;
        chunk = run_memory(run, step, wanted > TEXTS_BYTES ? wanted : TEXTS_BYTES);
        if (chunk == NULL)
            return NULL;
        *chunk = (TextChunk){.next = run->texts, .size = heap_room(chunk) - sizeof *chunk};
        run->texts = chunk;
    }
    char *text = chunk->text + chunk->used;
    chunk->used += length + 1;
    text[length] = '\0';
    return text;
}

void script_forget(Run *run)
{
    const uint32_t outputs = run->program->output_count;
    for (uint32_t i = 0; i < outputs; i++) {
        value_release(run, run->results[i]);
        run->results[i] = NULL;
        heap_give(&run->heap, (void *)(uintptr_t)run->shown[i].items);
        run->shown[i] = (lathe_value){.form = LATHE_NOTHING};
    }
    while (run->texts != NULL) {
        TextChunk *chunk = run->texts;
        run->texts = chunk->next;
        heap_give(&run->heap, chunk);
    }
}
