/* The least that a program needs on a Cortex-M: a vector table, memory in its first state, and a way to talk. What it prints goes
 * through semihosting to the debugger or emulator; on a board of yours these functions are a serial port. */
#include "board.h"

#include <stdint.h>

int main(void);

extern uint32_t board_stack_end, board_data_start, board_data_end, board_data_load, board_bss_start, board_bss_end;

static uint32_t semihosting(uint32_t operation, const void *parameter)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = parameter;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_print(const char *text)
{
    semihosting(0x04, text); /* SYS_WRITE0 */
}

void board_print_number(uint32_t number, uint32_t base)
{
    char digits[11];
    char *first = digits + sizeof digits;
    *--first = 0;
    do {
        *--first = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    board_print(first);
}

void board_exit(int status)
{
    const uint32_t reason[2] = {0x20026, (uint32_t)status}; /* ADP_Stopped_ApplicationExit */
    semihosting(0x20, reason);                              /* SYS_EXIT_EXTENDED */
    semihosting(0x18, (const void *)(status ? 0x20023 : 0x20026)); /* SYS_EXIT, where the other is not known */
    for (;;)
        ;
}

static void fault(void)
{
    board_print("fault\n");
    board_exit(70);
}

void board_reset(void)
{
#ifdef __ARM_FP
    *(volatile uint32_t *)0xe000ed88 |= 0xf << 20; /* CPACR: the FPU is off after reset */
    __asm__ volatile("dsb\n isb");
#endif
    const uint32_t *from = &board_data_load;
    for (uint32_t *to = &board_data_start; to < &board_data_end; to++)
        *to = *from++;
    for (uint32_t *to = &board_bss_start; to < &board_bss_end; to++)
        *to = 0;
    board_exit(main());
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &board_stack_end, (void *)board_reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
};
