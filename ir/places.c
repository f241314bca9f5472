/* Places of registers in the frame: a register lives from its first to its last appearance, to the end of a loop when
 * it is carried into one; dead places are used again, so that a frame stays in the nearest cache. */
#include "ir/machine.h"

#include <string.h>

typedef struct Life {
    int first, last;
    int next_start, next_end; /* lists of registers that start or end at the same position; -1 ends */
} Life;

typedef struct FreeList {
    uint32_t bytes;
    uint32_t *places;
    int count, capacity;
} FreeList;

typedef struct Places {
    Arena *scratch;
    uint32_t top;
    FreeList *lists; /* one per size: a kernel has few */
    int list_count, list_capacity;
} Places;

static void appear(Life *lives, const Register *registers, uint32_t number, int position)
{
    if (number == NO_REGISTER)
        return;
    Life *const life = &lives[registers[number].base];
    if (life->first < 0)
        life->first = position;
    life->last = position;
}

static void find_lives(const Listing *listing, const Register *registers, int count, Life *lives)
{
    for (int i = 0; i < count; i++)
        lives[i] = (Life){-1, -1, -1, -1};
    for (int i = 0; i < listing->count; i++) {
        const Instruction *const instruction = &listing->instructions[i];
        appear(lives, registers, instruction->to, i);
        appear(lives, registers, instruction->a, i);
        appear(lives, registers, instruction->b, i);
        appear(lives, registers, instruction->c, i);
    }
    for (int i = 0; i < listing->count; i++) { /* inner loops end first */
        const Instruction *const end = &listing->instructions[i];
        if (end->opcode != CODE_NEXT && end->opcode != CODE_AGAIN)
            continue;
        const int start = i + end->jump;
        for (int j = 0; j < count; j++)
            if (lives[j].first >= 0 && lives[j].first < start && lives[j].last >= start && lives[j].last < i)
                lives[j].last = i;
    }
}

static FreeList *list_of(Places *places, uint32_t bytes)
{
    for (int i = 0; i < places->list_count; i++)
        if (places->lists[i].bytes == bytes)
            return &places->lists[i];
    if (places->list_count == places->list_capacity) {
        places->list_capacity = places->list_capacity * 2 + 8;
        FreeList *const lists = NEW_ARRAY(places->scratch, FreeList, (size_t)places->list_capacity);
        if (places->list_count)
            memcpy(lists, places->lists, (size_t)places->list_count * sizeof *lists);
        places->lists = lists;
    }
    places->lists[places->list_count] = (FreeList){.bytes = bytes};
    return &places->lists[places->list_count++];
}

static uint32_t rounded(int bytes)
{
    return bytes <= 8 ? 8 : ((uint32_t)bytes + 63) & ~63u;
}

static uint32_t place_take(Places *places, int bytes)
{
    const uint32_t size = rounded(bytes);
    FreeList *const list = list_of(places, size);
    if (list->count)
        return list->places[--list->count];
    const uint32_t alignment = size > 8 ? 64 : 8;
    const uint32_t place = (places->top + alignment - 1) & ~(alignment - 1);
    if (place > UINT32_MAX / 2)
        BUG("the registers of a kernel need more than 2 GB");
    places->top = place + size;
    return place;
}

static void place_give(Places *places, uint32_t place, int bytes)
{
    FreeList *const list = list_of(places, rounded(bytes));
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 16;
        uint32_t *const grown = NEW_ARRAY(places->scratch, uint32_t, (size_t)list->capacity);
        if (list->count)
            memcpy(grown, list->places, (size_t)list->count * sizeof *grown);
        list->places = grown;
    }
    list->places[list->count++] = place;
}

uint32_t places_assign(const Listing *listing, Register *registers, int register_count, uint32_t first, Arena *scratch)
{
    Places places = {.scratch = scratch, .top = first};
    Life *const lives = NEW_ARRAY(scratch, Life, (size_t)register_count);
    int *const starts = NEW_ARRAY(scratch, int, (size_t)listing->count);
    int *const ends = NEW_ARRAY(scratch, int, (size_t)listing->count);
    find_lives(listing, registers, register_count, lives);
    for (int i = 0; i < listing->count; i++)
        starts[i] = ends[i] = -1;
    for (int i = register_count - 1; i >= 0; i--) {
        if (lives[i].first < 0 || registers[i].pinned)
            continue;
        lives[i].next_start = starts[lives[i].first];
        starts[lives[i].first] = i;
        lives[i].next_end = ends[lives[i].last];
        ends[lives[i].last] = i;
    }
    for (int i = 0; i < listing->count; i++) { /* what ends here is still read here: give after taking */
        for (int j = starts[i]; j >= 0; j = lives[j].next_start)
            registers[j].place = place_take(&places, registers[j].bytes);
        for (int j = ends[i]; j >= 0; j = lives[j].next_end)
            place_give(&places, registers[j].place, registers[j].bytes);
    }
    return (places.top + 63) & ~63u;
}
