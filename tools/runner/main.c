/* lathe-runner: measures candidates of lathe tune on the machine that it runs on.
 *
 * It needs nothing of the compiler and builds with any C compiler for Linux, in one command at the root of the
 * sources, for example
 *
 *     aarch64-linux-gnu-gcc -O2 -I. tools/runner/[a-z]*.c -o lathe-runner -ldl -lpthread
 *
 * Whoever can write to its standard input runs code as its user. */
#include "tools/runner/runner.h"

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 1 && !isatty(STDIN_FILENO))
        return runner_serve(STDIN_FILENO, STDOUT_FILENO);
    fprintf(stderr,
            "lathe-runner is started by lathe tune --runner, which talks to it over standard input and output\n");
    return 2;
}
