/* Signal handlers: only system calls and static memory. */
#include "tools/leave.h"

#include "ir/diag.h"
#include "tools/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t self;
static char children_path[64]; /* lists the processes that the main thread has started */

/* Kills them and those they started, which become ours when their parents are gone. */
static void children_end(void)
{
    enum { ROUNDS_MOST = 100 };
    char text[4096];
    for (int round = 0; round < ROUNDS_MOST; round++) {
        const int file = open(children_path, O_RDONLY | O_CLOEXEC);
        const ssize_t got = file < 0 ? 0 : read(file, text, sizeof text);
        if (file >= 0)
            close(file);
        if (got <= 0)
            return;
        pid_t process = 0;
        for (ssize_t i = 0; i < got; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                process = process * 10 + (text[i] - '0');
                continue;
            }
            if (process > 1 && kill(process, SIGKILL) == 0)
                while (waitpid(process, NULL, 0) < 0 && errno == EINTR)
                    continue;
            process = 0;
        }
    }
}

static void on_signal(int number)
{
    if (getpid() != self)
        _exit(128 + number); /* forked, and not yet its own program */
    children_end();
    temporaries_remove();
    _exit(128 + number);
}

/* ---- crashes ---- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as GCC says it */
#endif
#endif

typedef struct Line {
    char text[512];
    size_t length;
} Line;

static void line_add(Line *line, const char *text)
{
    for (; *text && line->length < sizeof line->text - 1; text++)
        line->text[line->length++] = *text;
}

/* Names come from the model: what could steer a terminal becomes '?'. */
static void line_add_name(Line *line, const char *name)
{
    for (; *name && line->length < sizeof line->text - 80; name++)
        line->text[line->length++] = *name >= 0x20 && *name < 0x7f ? *name : '?';
}

static void on_crash(int number)
{
    static const struct {
        int number;
        const char *text;
    } kinds[] = {{SIGSEGV, "invalid memory access or stack overflow"},
                 {SIGBUS, "bus error"},
                 {SIGFPE, "arithmetic exception"},
                 {SIGILL, "illegal instruction"},
                 {SIGABRT, "abort"}};
    Line line = {.length = 0};
    const char *pass, *node;
    breadcrumb_read(&pass, &node);
    line_add(&line, "lathe: internal error: ");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].number == number)
            line_add(&line, kinds[i].text);
    if (pass) {
        line_add(&line, " while running \"");
        line_add_name(&line, pass);
        line_add(&line, "\"");
    }
    if (node) {
        line_add(&line, " on node \"");
        line_add_name(&line, node);
        line_add(&line, "\"");
    }
    line_add(&line, "; please report this\n");
    (void)!write(STDERR_FILENO, line.text, line.length);
    if (getpid() == self) {
        children_end();
        temporaries_remove();
    }
    _exit(EXIT_INTERNAL);
}

/* ---- set-up ---- */

/* What the parent has switched off (nohup) stays off. */
static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction before, action = {.sa_handler = handler, .sa_flags = flags};
    sigfillset(&action.sa_mask);
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

void leave_cleanly(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE},
                     crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    static char crash_stack[64 << 10];
    self = getpid();
    char number[16];
    int digits = 0;
    for (pid_t rest = self; rest; rest /= 10)
        number[digits++] = (char)('0' + rest % 10);
    char *at = stpcpy(children_path, "/proc/self/task/");
    while (digits)
        *at++ = number[--digits];
    strcpy(at, "/children");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    atexit(temporaries_remove);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        handle(ends[i], on_signal, 0);
    /* An overflown stack has no room for its handler. */
    const stack_t stack = {.ss_sp = crash_stack, .ss_size = sizeof crash_stack};
    sigaltstack(&stack, NULL);
#if !defined(__SANITIZE_ADDRESS__)
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        handle(crashes[i], on_crash, SA_ONSTACK);
#else
    (void)crashes; /* the sanitizer's own report says more */
    (void)on_crash;
#endif
}
