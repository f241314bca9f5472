/* links: lathe_targets lathe_ir */
/* Machine files: what one says arrives at the levels, and nothing else does; what is wrong is named with file, line and
 * both values. */
#include "targets/machine.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static Diagnostics *diagnostics;

static void open_all(void)
{
    diagnostics = diagnostics_open(arena_open(0, NULL, NULL));
}

static void close_all(void)
{
    arena_close(diagnostics->arena);
}

TestSuite(machine, .init = open_all, .fini = close_all);

static TargetChoice both_levels(void)
{
    TargetChoice choice;
    cr_assert(target_choose(diagnostics, "x86-64:x86-64-v4,x86-64-v3", NULL, 0, &choice));
    return choice;
}

static bool apply(const char *text, TargetChoice *choice)
{
    return machine_apply(diagnostics, "this.machine", text, strlen(text), choice);
}

Test(machine, every_cpu_with_vectors_has_all_numbers)
{
    for (int i = 0; i < target_count(); i++) {
        const TargetMachineInfo *const level = target_at(i);
        for (int j = 0; level->family->system == SYSTEM_HOSTED && j < machine_field_count; j++) {
            const double number = machine_number(level, &machine_fields[j]);
            cr_expect(number >= machine_fields[j].least && number <= machine_fields[j].most, "%s: %s is %g",
                      level->name, machine_fields[j].name, number);
        }
    }
}

Test(machine, numbers_go_to_every_level_or_to_one)
{
    TargetChoice choice = both_levels();
    const TargetMachineInfo *const rows[] = {choice.levels[0], choice.levels[1]};
    cr_assert(apply(
        "lathe-machine 1\n# a comment\ncores 64\nl2 1048576 # another\n\nlevel x86-64-v3\r\nround_cycles 2.25\nl2 "
        "262144\nlevel sm_80\nl2 4096",
        &choice));
    cr_expect_str_eq(choice.levels[0]->name, "x86-64-v4");
    cr_expect_eq(choice.levels[0]->cores, 64);
    cr_expect_eq(choice.levels[0]->l2, 1 << 20);
    cr_expect_eq(choice.levels[1]->cores, 64);
    cr_expect_eq(choice.levels[1]->l2, 1 << 18);
    cr_expect_eq(choice.levels[1]->round_cycles, 2.25);
    /* What was not said is the row's, and the rows are as they were. */
    cr_expect_eq(choice.levels[0]->round_cycles, rows[0]->round_cycles);
    cr_expect_eq(choice.levels[1]->copy_cycles, rows[1]->copy_cycles);
    cr_expect_str_eq(choice.levels[1]->features, rows[1]->features);
    for (int i = 0; i < 2; i++) {
        cr_expect_neq(choice.levels[i], rows[i]);
        cr_expect_eq(target_find(diagnostics, rows[i]->name), rows[i]);
    }
}

/* Numbers near both ends of what is allowed, printed and read. */
Test(machine, what_is_printed_is_read_to_the_bit)
{
    TargetChoice choice = both_levels();
    for (int round = 0; round < 3; round++) {
        TargetMachineInfo level = *choice.levels[0];
        char *text = NULL;
        size_t size;
        FILE *const file = open_memstream(&text, &size);
        fputs("lathe-machine 1\n", file);
        for (int i = 0; i < machine_field_count; i++) {
            const MachineField *const field = &machine_fields[i];
            const double number = round == 0   ? field->least
                                  : round == 1 ? field->most
                                               : field->least + (field->most - field->least) / 3;
            machine_number_set(&level, field, number);
            machine_number_print(file, &level, field);
        }
        fclose(file);
        TargetChoice read = choice;
        cr_assert(apply(text, &read), "%s", diagnostics->first ? diagnostics->first->text : "");
        for (int i = 0; i < machine_field_count; i++)
            for (int j = 0; j < 2; j++)
                cr_expect_eq(machine_number(read.levels[j], &machine_fields[i]),
                             machine_number(&level, &machine_fields[i]), "%s", machine_fields[i].name);
        free(text);
    }
}

static const struct {
    const char *text, *says;
} wrong[] = {
    {"", "no text of a machine"},
    {"cores 4\n", "this.machine:1:1: error: a machine file begins with \"lathe-machine 1\", this one with \"cores\""},
    {"\n\n", "this.machine:1:1: error: a machine file begins"},
    {"lathe-machine 2\n", "this.machine:1:1: error: this is version 2 of the format; this program reads version 1"},
    {"lathe-machine 1\ncorse 4\n",
     "this.machine:2:1: error: no number of a machine is called \"corse\"; did you mean \"cores\"?"},
    {"lathe-machine 1\ncores\n", "this.machine:2:1: error: a line has a name and a number, this one 1 words"},
    {"lathe-machine 1\n\ncores 4 5\n", "this.machine:3:1: error: a line has a name and a number, this one 3 words"},
    {"lathe-machine 1\ncores four\n", "this.machine:2:1: error: \"cores\" takes a number, not \"four\""},
    {"lathe-machine 1\nround_cycles inf\n", "\"round_cycles\" takes a number, not \"inf\""},
    {"lathe-machine 1\nround_cycles 0x3\n", "\"round_cycles\" takes a number, not \"0x3\""},
    {"lathe-machine 1\nround_cycles 1e999\n", "\"round_cycles\" takes a number, not \"1e999\""},
    {"lathe-machine 1\ncores 2.5\n", "this.machine:2:1: error: \"cores\" takes a whole number, not 2.5"},
    {"lathe-machine 1\ncores 0\n", "this.machine:2:1: error: \"cores\" is 0, which is not within 1 to 4096"},
    {"lathe-machine 1\nl1 -1\n", "\"l1\" is -1, which is not within 1024 to 1073741824"},
    {"lathe-machine 1\ncores 4\nl1 4096\ncores 5\n", "this.machine:4:1: error: \"cores\" is 5 here and 4 in line 2"},
    {"lathe-machine 1\nlevel x86-64-v9\n",
     "this.machine:2:1: error: no level is called \"x86-64-v9\"; did you mean \"x86-64-v"},
    {"lathe-machine 1\nlevel null\nlevel x86-64-v3\nlevel null\n",
     "this.machine:4:1: error: the numbers of \"null\" begin here and in line 2"},
    {"lathe-machine 1\nlevel sm_80\nl1 1\n", "this.machine:3:1: error: \"l1\" is 1, which is not within"},
};

Test(machine, mistakes_are_named_with_file_line_and_both_values)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Diagnostics *const own = diagnostics_open(diagnostics->arena);
        TargetChoice choice = both_levels();
        const TargetChoice before = choice;
        cr_expect_not(machine_apply(own, "this.machine", wrong[i].text, strlen(wrong[i].text), &choice), "row %zu", i);
        cr_expect_eq(own->code, EXIT_MALFORMED);
        cr_expect_eq(memcmp(&before, &choice, sizeof choice), 0, "row %zu: the choice is as it was", i);
        cr_expect(own->first && strstr(own->first->text, wrong[i].says), "row %zu: %s", i,
                  own->first ? own->first->text : "nothing was said");
    }
}

Test(machine, bytes_that_are_no_text_are_refused)
{
    TargetChoice choice = both_levels();
    static const char bytes[] = "lathe-machine 1\ncores\0 4\n";
    cr_expect_not(machine_apply(diagnostics, "this.machine", bytes, sizeof bytes - 1, &choice));
}

Test(machine, devices_that_say_more_than_their_level_do_so_in_this_format)
{
    int saying = 0;
    for (int i = 0; i < target_device_count(); i++) {
        const TargetDevice *const device = target_device_at(i);
        TargetChoice choice;
        cr_assert(target_choose(diagnostics, device->name, NULL, 0, &choice), "%s: %s", device->name,
                  diagnostics->first ? diagnostics->first->text : "");
        bool differs = false;
        for (int j = 0; j < machine_field_count; j++)
            differs = differs || machine_number(choice.levels[0], &machine_fields[j]) !=
                                     machine_number(target_find(diagnostics, device->target), &machine_fields[j]);
        cr_expect_eq(differs, device->machine != NULL, "%s", device->name);
        saying += differs;
    }
    cr_expect_gt(saying, 0);
}
