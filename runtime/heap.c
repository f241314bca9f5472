/* Memory for the values of runs: see script.h. */
#include "runtime/libc.h"
#include "runtime/script.h"

enum { LEAST = 256, HEADER = CACHE_LINE };

typedef struct HeapBlock {
    struct HeapBlock *next;
    uint64_t bytes; /* with the header */
    uint32_t class;
} HeapBlock;

/* Sizes of a class: (5 to 8) << shift; at most a quarter of a block is wasted. */
static uint32_t class_of(uint64_t bytes)
{
    const uint64_t last = (bytes < LEAST ? LEAST : bytes) - 1;
    const uint32_t shift = 61 - (uint32_t)__builtin_clzll(last);
    return shift * 4 + (uint32_t)(last >> shift) - 4;
}

static uint64_t class_bytes(uint32_t class)
{
    return (uint64_t)(class % 4 + 5) << class / 4;
}

void heap_trim(Heap *heap)
{
    for (int i = 0; i < HEAP_CLASSES; i++)
        while (heap->ready[i] != NULL) {
            HeapBlock *block = heap->ready[i];
            heap->ready[i] = block->next;
            heap->held -= block->bytes;
            free(block);
        }
}

/* A block that waits, of this class or of the next ones up to twice its size. */
static HeapBlock *block_ready(Heap *heap, uint32_t class)
{
    for (uint32_t i = class; i <= class + 4 && i < HEAP_CLASSES; i++)
        if (heap->ready[i] != NULL) {
            HeapBlock *block = heap->ready[i];
            heap->ready[i] = block->next;
            return block;
        }
    return NULL;
}

static HeapBlock *block_make(Heap *heap, uint32_t class)
{
    const uint64_t bytes = class_bytes(class);
    if (heap->used > heap->limit || bytes > heap->limit - heap->used)
        return NULL;
    if (bytes > heap->limit - (heap->held < heap->limit ? heap->held : heap->limit))
        heap_trim(heap);
    HeapBlock *block = memory_aligned(bytes);
    if (block == NULL) {
        heap_trim(heap);
        block = memory_aligned(bytes);
    }
    if (block == NULL)
        return NULL;
    *block = (HeapBlock){.bytes = bytes, .class = class};
    heap->held += bytes;
    return block;
}

void *heap_take(Heap *heap, uint64_t bytes)
{
    if (bytes > (uint64_t)INT64_MAX / 4)
        return NULL;
    const uint32_t class = class_of(bytes + HEADER);
    HeapBlock *block = block_ready(heap, class);
    if (block == NULL)
        block = block_make(heap, class);
    if (block == NULL)
        return NULL;
    heap->used += block->bytes;
    return (unsigned char *)block + HEADER;
}

static HeapBlock *block_of(const void *memory)
{
    return (HeapBlock *)(uintptr_t)((uintptr_t)memory - HEADER);
}

void heap_give(Heap *heap, void *memory)
{
    if (memory == NULL)
        return;
    HeapBlock *block = block_of(memory);
    heap->used -= block->bytes;
    block->next = heap->ready[block->class];
    heap->ready[block->class] = block;
}

uint64_t heap_room(const void *memory)
{
    return block_of(memory)->bytes - HEADER;
}
