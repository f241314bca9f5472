/* ELF64 and ELF32: everything is thought in the structs of ELF64; those of ELF32 are made and read at the edge. */
#ifndef LATHE_CODEGEN_ELF_CLASS_H
#define LATHE_CODEGEN_ELF_CLASS_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

/* Sizes of the structs of a class. */
typedef struct ElfClass {
    uint64_t header, section, symbol, relocation, relocation_addend;
    bool narrow;
} ElfClass;

extern const ElfClass elf_wide, elf_narrow;
const ElfClass *elf_class_of(int machine); /* e_machine */

Elf32_Shdr elf_narrow_section(const Elf64_Shdr *from);
Elf64_Shdr elf_wide_section(const Elf32_Shdr *from);
Elf32_Sym elf_narrow_symbol(const Elf64_Sym *from);
Elf64_Sym elf_wide_symbol(const Elf32_Sym *from);

#endif
