/* Names a handwritten digit on a microcontroller, and measures the stack that the model takes. The image and the memory that the
 * model works in are arrays; nothing is allocated. */
#include "board.h"
#include "digits.h"
#include "image.h"

enum { CLASSES = DIGITS_SCORES_DIM1, PAINT_BYTES = DIGITS_STACK_SIZE + 256 };
static const uint32_t paint = 0xdeadbeef;

static _Alignas(DIGITS_RAM_ALIGNMENT) uint8_t memory[DIGITS_RAM_SIZE];
static float scores[DIGITS_SCORES_ELEMS];

static uint32_t stack_pointer(void)
{
    uint32_t pointer;
    __asm__ volatile("mov %0, sp" : "=r"(pointer));
    return pointer;
}

/* Runs the model and returns the bytes below this function's stack that were written. */
static __attribute__((noinline)) int run(digits_context *context, uint32_t *stack_used)
{
    const uint32_t top = stack_pointer() & ~3u;
    for (uint32_t word = top - PAINT_BYTES; word < top; word += 4)
        *(volatile uint32_t *)word = paint;
    const int result = digits_run(context, image, scores);
    uint32_t lowest = top - PAINT_BYTES;
    while (lowest < top && *(volatile uint32_t *)lowest == paint)
        lowest += 4;
    *stack_used = top - lowest;
    return result;
}

static void print_line(const char *what, uint32_t number, const char *unit)
{
    board_print(what);
    board_print_number(number, 10);
    board_print(unit);
}

int main(void)
{
    int error = 0, best = 0;
    uint32_t stack_used;
    /* One byte less than it asks for, or NULL, and the model does not start. */
    if (digits_init(memory, sizeof memory - 1, &error) || error != LATHE_E_MEMORY || digits_init(0, sizeof memory, 0))
        return 1;
    digits_context *const context = digits_init(memory, sizeof memory, &error);
    if (!context || run(context, &stack_used) != LATHE_OK)
        return 2;
    board_print("scores");
    for (int i = 0; i < CLASSES; i++) {
        union {
            float number;
            uint32_t bits;
        } score = {scores[i]};
        board_print(" ");
        board_print_number(score.bits, 16);
        best = scores[i] > scores[best] ? i : best;
    }
    print_line("\nram ", DIGITS_RAM_SIZE, " bytes\n");
    print_line("flash ", DIGITS_FLASH_SIZE, " bytes\n");
    print_line("stack ", stack_used, " bytes, ");
    print_line("at most ", DIGITS_STACK_SIZE, "\n");
    print_line("this is a ", (uint32_t)best, "\n");
    return stack_used <= DIGITS_STACK_SIZE ? 0 : 3;
}
