/* Shortens a listing where it copies: `get` of a variable that is not set before the value's last use reads the
 * variable itself, and a value that is only made to be `set` is made in the variable's register. What an accumulation x
 * = fma(a, b, x) costs is then one instruction instead of three.
 *
 * Within one innermost loop, jumps only go forward: there the order of the listing is the order of execution. */
#include "ir/machine.h"

#include <string.h>

enum { LOOK_MAX = 4096 }; /* how far a value's uses are followed, so that time stays linear */

typedef struct Peephole {
    Listing *listing;
    Register *registers;
    int *loop;     /* innermost loop of an instruction: the position of its end, -1 outside loops */
    int *region;   /* straight-line stretch that an instruction is in */
    int *last_use; /* per register, by its base */
    int *uses, *writes;
    bool *gone;
} Peephole;

static bool is_control(int opcode)
{
    return opcode == CODE_FOR || opcode == CODE_NEXT || opcode == CODE_AGAIN || opcode == CODE_JUMP ||
           opcode == CODE_UNLESS || opcode == CODE_BREAK;
}

/* Chains grow by one link per rewrite of a register, and end at a variable. */
static uint32_t base_of(const Peephole *peephole, uint32_t number)
{
    while (peephole->registers[number].base != number)
        number = peephole->registers[number].base;
    return number;
}

static void find_loops(Peephole *peephole)
{
    const Listing *const listing = peephole->listing;
    for (int i = 0; i < listing->count; i++)
        peephole->loop[i] = -1;
    for (int i = listing->count - 1; i >= 0; i--) { /* outer loops end later: inner ones overwrite */
        const Instruction *const end = &listing->instructions[i];
        if (end->opcode == CODE_NEXT || end->opcode == CODE_AGAIN)
            for (int j = i + end->jump; j <= i; j++)
                peephole->loop[j] = i;
    }
}

static void find_regions(Peephole *peephole, Arena *scratch)
{
    const Listing *const listing = peephole->listing;
    bool *const starts = NEW_ARRAY(scratch, bool, (size_t)listing->count + 1);
    for (int i = 0; i < listing->count; i++)
        if (is_control(listing->instructions[i].opcode)) {
            starts[i + 1] = true;
            starts[i + listing->instructions[i].jump] = true;
        }
    int region = 0;
    for (int i = 0; i < listing->count; i++)
        peephole->region[i] = region += starts[i];
}

static void count_uses(Peephole *peephole)
{
    const Listing *const listing = peephole->listing;
    for (int i = 0; i < listing->count; i++) {
        const Instruction *const instruction = &listing->instructions[i];
        const uint32_t read[] = {instruction->a, instruction->b, instruction->c};
        for (int j = 0; j < 3; j++)
            if (read[j] != NO_REGISTER) {
                const uint32_t base = base_of(peephole, read[j]);
                peephole->last_use[base] = i;
                peephole->uses[base]++;
            }
        if (instruction->to != NO_REGISTER)
            peephole->writes[base_of(peephole, instruction->to)]++;
        if (instruction->opcode == CODE_NEXT) /* reads what it counts */
            peephole->last_use[base_of(peephole, instruction->to)] = i;
    }
}

static bool reads(const Peephole *peephole, const Instruction *instruction, uint32_t base)
{
    const uint32_t read[] = {instruction->a, instruction->b, instruction->c};
    for (int j = 0; j < 3; j++)
        if (read[j] != NO_REGISTER && base_of(peephole, read[j]) == base)
            return true;
    return false;
}

static bool writes(const Peephole *peephole, const Instruction *instruction, uint32_t base)
{
    return instruction->to != NO_REGISTER && base_of(peephole, instruction->to) == base;
}

static bool is_whole_copy(const Peephole *peephole, const Instruction *instruction)
{
    return instruction->opcode == CODE_COPY && instruction->immediate == 0 &&
           peephole->registers[instruction->a].offset == 0 &&
           peephole->registers[instruction->a].bytes == peephole->registers[instruction->to].bytes;
}

/* value = variable: may every use of the value read the variable? */
static bool can_read_in_place(const Peephole *peephole, int position, uint32_t value, uint32_t variable)
{
    const int last = peephole->last_use[value];
    if (peephole->writes[value] != 1 || last - position > LOOK_MAX)
        return false;
    for (int i = position + 1; i <= last; i++) {
        const Instruction *const instruction = &peephole->listing->instructions[i];
        if (!peephole->gone[i] && writes(peephole, instruction, variable) && i < last)
            return false;
        if (reads(peephole, instruction, value) && peephole->loop[i] != peephole->loop[position])
            return false;
    }
    return true;
}

static void shorten_gets(Peephole *peephole)
{
    Register *const registers = peephole->registers;
    for (int i = 0; i < peephole->listing->count; i++) {
        const Instruction *const copy = &peephole->listing->instructions[i];
        if (!is_whole_copy(peephole, copy) || registers[copy->to].base != copy->to || registers[copy->to].variable ||
            !registers[copy->a].variable || !can_read_in_place(peephole, i, copy->to, copy->a))
            continue;
        registers[copy->to].base = copy->a;
        peephole->gone[i] = true;
    }
}

/* Operations that may write over what they read: see rows.h. */
static bool can_write_in_place(const Peephole *peephole, const Instruction *instruction, uint32_t variable)
{
    if (instruction->opcode != CODE_ROW && instruction->opcode != CODE_LOAD && instruction->opcode != CODE_GATHER &&
        instruction->opcode != CODE_REDUCE && instruction->opcode < CODE_ADD_64)
        return false;
    const uint32_t read[] = {instruction->a, instruction->b, instruction->c};
    for (int j = 0; j < 3; j++)
        if (read[j] != NO_REGISTER && base_of(peephole, read[j]) == variable &&
            (peephole->registers[read[j]].offset != 0 ||
             peephole->registers[read[j]].bytes != peephole->registers[variable].bytes))
            return false;
    return true;
}

/* variable = value at `position`: where the value is made, when it can be made in the variable; else -1. */
static int find_making(const Peephole *peephole, int position, uint32_t value, uint32_t variable)
{
    if (peephole->uses[value] != 1 || peephole->writes[value] != 1)
        return -1;
    for (int i = position - 1; i >= 0 && peephole->region[i] == peephole->region[position]; i--) {
        const Instruction *const instruction = &peephole->listing->instructions[i];
        if (peephole->gone[i])
            continue;
        if (writes(peephole, instruction, value))
            return can_write_in_place(peephole, instruction, variable) ? i : -1;
        if (reads(peephole, instruction, variable) || writes(peephole, instruction, variable) ||
            position - i > LOOK_MAX)
            return -1;
    }
    return -1;
}

static void shorten_sets(Peephole *peephole)
{
    Register *const registers = peephole->registers;
    for (int i = 0; i < peephole->listing->count; i++) {
        const Instruction *const copy = &peephole->listing->instructions[i];
        if (peephole->gone[i] || !is_whole_copy(peephole, copy) || !registers[copy->to].variable)
            continue;
        if (base_of(peephole, copy->a) == copy->to) { /* set to what it holds */
            peephole->gone[i] = true;
            continue;
        }
        const Register value = registers[copy->a];
        if (value.base != copy->a || value.pinned || value.variable || find_making(peephole, i, copy->a, copy->to) < 0)
            continue;
        registers[copy->a].base = copy->to;
        peephole->gone[i] = true;
    }
}

static void remove_gone(Peephole *peephole, Arena *scratch)
{
    Listing *const listing = peephole->listing;
    int *const moved = NEW_ARRAY(scratch, int, (size_t)listing->count + 1); /* kept instructions before this one */
    for (int i = 0; i < listing->count; i++)
        moved[i + 1] = moved[i] + !peephole->gone[i];
    for (int i = 0; i < listing->count; i++) {
        Instruction instruction = listing->instructions[i];
        if (peephole->gone[i])
            continue;
        if (is_control(instruction.opcode))
            instruction.jump = moved[i + instruction.jump] - moved[i];
        listing->instructions[moved[i]] = instruction;
    }
    listing->count = moved[listing->count];
}

void peephole_shorten(Listing *listing, Register *registers, int register_count, Arena *scratch)
{
    const size_t count = (size_t)listing->count, numbers = (size_t)register_count;
    Peephole peephole = {.listing = listing,
                         .registers = registers,
                         .loop = NEW_ARRAY(scratch, int, count),
                         .region = NEW_ARRAY(scratch, int, count),
                         .last_use = NEW_ARRAY(scratch, int, numbers),
                         .uses = NEW_ARRAY(scratch, int, numbers),
                         .writes = NEW_ARRAY(scratch, int, numbers),
                         .gone = NEW_ARRAY(scratch, bool, count)};
    find_loops(&peephole);
    find_regions(&peephole, scratch);
    count_uses(&peephole);
    shorten_gets(&peephole);
    shorten_sets(&peephole);
    remove_gone(&peephole, scratch);
    for (uint32_t i = 0; i < numbers; i++) /* views of what moved have moved with it */
        registers[i].base = base_of(&peephole, i);
}
