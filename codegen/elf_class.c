/* Field by field from one class to the other. */
#include "codegen/elf_class.h"

const ElfClass elf_wide = {sizeof(Elf64_Ehdr), sizeof(Elf64_Shdr), sizeof(Elf64_Sym),
                           sizeof(Elf64_Rel),  sizeof(Elf64_Rela), false};
const ElfClass elf_narrow = {sizeof(Elf32_Ehdr), sizeof(Elf32_Shdr), sizeof(Elf32_Sym),
                             sizeof(Elf32_Rel),  sizeof(Elf32_Rela), true};

const ElfClass *elf_class_of(int machine)
{
    return machine == EM_ARM ? &elf_narrow : &elf_wide;
}

Elf32_Shdr elf_narrow_section(const Elf64_Shdr *from)
{
    return (Elf32_Shdr){
        .sh_name = from->sh_name,
        .sh_type = from->sh_type,
        .sh_flags = (uint32_t)from->sh_flags,
        .sh_addr = (uint32_t)from->sh_addr,
        .sh_offset = (uint32_t)from->sh_offset,
        .sh_size = (uint32_t)from->sh_size,
        .sh_link = from->sh_link,
        .sh_info = from->sh_info,
        .sh_addralign = (uint32_t)from->sh_addralign,
        .sh_entsize = (uint32_t)from->sh_entsize,
    };
}

Elf64_Shdr elf_wide_section(const Elf32_Shdr *from)
{
    return (Elf64_Shdr){
        .sh_name = from->sh_name,
        .sh_type = from->sh_type,
        .sh_flags = from->sh_flags,
        .sh_addr = from->sh_addr,
        .sh_offset = from->sh_offset,
        .sh_size = from->sh_size,
        .sh_link = from->sh_link,
        .sh_info = from->sh_info,
        .sh_addralign = from->sh_addralign,
        .sh_entsize = from->sh_entsize,
    };
}

Elf32_Sym elf_narrow_symbol(const Elf64_Sym *from)
{
    return (Elf32_Sym){
        .st_name = from->st_name,
        .st_value = (uint32_t)from->st_value,
        .st_size = (uint32_t)from->st_size,
        .st_info = from->st_info,
        .st_other = from->st_other,
        .st_shndx = from->st_shndx,
    };
}

Elf64_Sym elf_wide_symbol(const Elf32_Sym *from)
{
    return (Elf64_Sym){
        .st_name = from->st_name,
        .st_info = from->st_info,
        .st_other = from->st_other,
        .st_shndx = from->st_shndx,
        .st_value = from->st_value,
        .st_size = from->st_size,
    };
}
