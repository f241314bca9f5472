/* Memory of a board, from its data sheet: FLASH_START, FLASH_BYTES, RAM_START and RAM_BYTES come from the Makefile. The stack grows
 * down from the end of RAM to what the program has put there. */
MEMORY
{
    flash (rx) : ORIGIN = FLASH_START, LENGTH = FLASH_BYTES
    ram (rw) : ORIGIN = RAM_START, LENGTH = RAM_BYTES
}

ENTRY(board_reset)

SECTIONS
{
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) . = ALIGN(4); } > flash
    .ARM.exidx : { *(.ARM.exidx*) } > flash
    .data : { board_data_start = .; *(.data*) . = ALIGN(4); board_data_end = .; } > ram AT > flash
    board_data_load = LOADADDR(.data);
    .bss (NOLOAD) : { board_bss_start = .; *(.bss*) *(COMMON) . = ALIGN(8); board_bss_end = .; } > ram
    board_stack_start = .;
    board_stack_end = ORIGIN(ram) + LENGTH(ram);
    ASSERT(board_stack_start + STACK_BYTES <= board_stack_end, "no room for the stack")
}
