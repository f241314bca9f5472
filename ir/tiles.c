/* The arithmetic of tile registers: see tiles.h. */
#include "ir/tiles.h"

#include "ir/kernel.h"
#include "ir/run.h"

#include <float.h>
#include <math.h>
#include <string.h>

static float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return fabsf(value) < FLT_MIN ? copysignf(0, value) : value;
}

static float flushed(float value)
{
    return fabsf(value) < FLT_MIN ? copysignf(0, value) : value;
}

enum { LOW, HIGH };

static float half(uint32_t word, int which)
{
    return of_bits(which == LOW ? word << 16 : word & 0xffff0000);
}

void tile_dot(float *sums, const uint32_t *a, const uint32_t *b)
{
    float wide[2][TILE_ELEMENTS];
    for (int which = LOW; which <= HIGH; which++)
        for (int i = 0; i < TILE_ELEMENTS; i++)
            wide[which][i] = half(b[i], which);
    for (int row = 0; row < TILE_ROWS; row++) {
        float total[2][TILE_WORDS] = {{0}};
        for (int k = 0; k < TILE_WORDS; k++)
            for (int which = LOW; which <= HIGH; which++) {
                const float left = half(a[row * TILE_WORDS + k], which);
                for (int j = 0; j < TILE_WORDS; j++) {
                    const float product = left * wide[which][k * TILE_WORDS + j]; /* 16 bits: exact */
                    total[which][j] = flushed(product + total[which][j]);
                }
            }
        for (int j = 0; j < TILE_WORDS; j++) {
            float *const sum = &sums[row * TILE_WORDS + j];
            *sum = flushed(flushed(*sum) + flushed(total[LOW][j] + total[HIGH][j]));
        }
    }
}

static bool has_tiles(const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        if (op_is_tile(block->nodes[i]->op))
            return true;
        for (int j = 0; j < block->nodes[i]->block_count; j++) /* blocks nest as deep as a template makes loops */
            if (has_tiles(block->nodes[i]->blocks[j]))
                return true;
    }
    return false;
}

bool kernel_has_tiles(const Node *kernel)
{
    return kernel_body(kernel) && has_tiles(kernel_body(kernel));
}

/* ---- runs ---- */

/* Row by row, as loads and stores of 16 words do it: in bounds, and written before they are read. */
static int32_t tile_move(const Run *run, const Instruction *instruction, uint32_t *tile, bool is_store)
{
    const View *const view = &run->views[instruction->buffer];
    const int64_t first = *(const int64_t *)(run->frame + instruction->a), pitch = instruction->immediate / TILES;
    for (int row = 0; row < TILE_ROWS; row++) {
        const int64_t offset = first + row * pitch;
        if (offset < 0 || (uint64_t)offset + TILE_WORDS > view->elements)
            return run_fail_access(run, instruction, offset, INTERPRET_RANGE);
        for (uint64_t i = (uint64_t)offset; view->written && i < (uint64_t)offset + TILE_WORDS; i++)
            if (is_store)
                view->written[i / 8] |= (uint8_t)(1 << (i % 8));
            else if (!(view->written[i / 8] >> (i % 8) & 1))
                return run_fail_access(run, instruction, (int64_t)i, INTERPRET_UNWRITTEN);
        uint8_t *const memory = view->data + offset * 4;
        void *const words = tile + row * TILE_WORDS;
        if (is_store)
            memcpy(memory, words, TILE_WORDS * 4);
        else
            memcpy(words, memory, TILE_WORDS * 4);
    }
    return INTERPRET_OK;
}

int32_t tile_run(const Run *run, const Instruction *instruction)
{
    uint32_t *const tiles = (uint32_t *)(run->frame + run->code->tiles);
    const int64_t number = instruction->immediate;
    uint32_t *const tile = tiles + number % TILES * TILE_ELEMENTS;
    switch (instruction->node->op) {
    case OP_tile_zero:
        memset(tile, 0, TILE_ELEMENTS * 4);
        return INTERPRET_OK;
    case OP_tile_load:
    case OP_tile_store:
        return tile_move(run, instruction, tile, instruction->node->op == OP_tile_store);
    default:
        tile_dot((float *)tile, tiles + number / TILES % TILES * TILE_ELEMENTS,
                 tiles + number / TILES / TILES * TILE_ELEMENTS);
        return INTERPRET_OK;
    }
}
