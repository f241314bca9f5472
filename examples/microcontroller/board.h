/* What board.c offers. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

void board_print(const char *text);
void board_print_number(uint32_t number, uint32_t base);
void board_exit(int status);

#endif
