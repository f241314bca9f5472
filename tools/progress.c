/* Progress: see progress.h. */
#include "tools/progress.h"

#include "tools/json.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const double REDRAW_SECONDS = 0.1;
static const double PLAIN_SECONDS = 10;

static double machine_clock(void *context)
{
    (void)context;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

ProgressMode progress_mode(const char *text, FILE *file)
{
    static const char *const names[] = {"auto", "bar", "plain", "json", "none"};
    for (int mode = PROGRESS_BAR; mode <= PROGRESS_NONE; mode++)
        if (text && strcmp(names[mode], text) == 0)
            return (ProgressMode)mode;
    const char *const terminal = getenv("TERM");
    const char *const automatic = getenv("CI");
    const bool interactive =
        isatty(fileno(file)) && (!terminal || strcmp(terminal, "dumb") != 0) && !(automatic && *automatic);
    return interactive ? PROGRESS_BAR : PROGRESS_PLAIN;
}

Progress progress_open(FILE *file, ProgressMode mode, const char *label, int64_t total, ProgressClock *clock,
                       void *context)
{
    Progress progress = {.file = file,
                         .mode = mode == PROGRESS_AUTO ? progress_mode(NULL, file) : mode,
                         .label = label,
                         .total = total,
                         .clock = clock ? clock : machine_clock,
                         .clock_context = context,
                         .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0};
    progress.start = progress.clock(progress.clock_context);
    progress.shown = progress.start - REDRAW_SECONDS; /* a bar shows at once, a line only when it took a while */
    if (progress.mode != PROGRESS_BAR)
        progress.shown = progress.start;
    return progress;
}

/* "1:02:03", "2:03" */
static void time_write(char *text, size_t size, double seconds)
{
    const long whole = seconds < 359999 ? (long)(seconds + 0.5) : 359999;
    if (whole >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(text, size, "%ld:%02ld", whole / 60, whole % 60);
}

/* "12/200, 3.1/s, 1:02 left, best 1.9 ms" */
static void state_write(char *text, size_t size, const Progress *progress, double elapsed, const char *note)
{
    const double rate = elapsed > 0 ? (double)progress->done / elapsed : 0;
    int used = progress->total
                   ? snprintf(text, size, "%lld/%lld", (long long)progress->done, (long long)progress->total)
                   : snprintf(text, size, "%lld", (long long)progress->done);
    if (rate > 0)
        used += snprintf(text + used, size - (size_t)used, ", %.*f/s", rate < 10 ? 1 : 0, rate);
    if (rate > 0 && progress->total > progress->done) {
        char left[32];
        time_write(left, sizeof left, (double)(progress->total - progress->done) / rate);
        used += snprintf(text + used, size - (size_t)used, ", %s left", left);
    }
    if (note && (size_t)used < size)
        snprintf(text + used, size - (size_t)used, ", %.60s", note);
}

static int terminal_columns(FILE *file)
{
    struct winsize window;
    return ioctl(fileno(file), TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
}

static int bar_write(const Progress *progress, int width)
{
    if (!progress->total || width < 4)
        return 0;
    const double part = progress->done >= progress->total ? 1 : (double)progress->done / (double)progress->total;
    const int eighths = (int)(part * width * 8);
    fputs(progress->utf8 ? "▕" : "[", progress->file);
    for (int i = 0; i < width; i++) {
        const int filled = eighths - i * 8 < 0 ? 0 : eighths - i * 8 > 8 ? 8 : eighths - i * 8;
        static const char *const blocks[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
        fputs(progress->utf8 ? blocks[filled] : filled == 8 ? "#" : " ", progress->file);
    }
    fputs(progress->utf8 ? "▏ " : "] ", progress->file);
    return width + 3;
}

/* The width is asked for on each redraw: a window that changes its size needs no signal handler. */
static void bar_draw(Progress *progress, double elapsed, const char *note)
{
    char state[200];
    state_write(state, sizeof state, progress, elapsed, note);
    const int room = terminal_columns(progress->file) - 1;
    const int label = (int)strnlen(progress->label, 24);
    const int width = room - label - 1 - 3 - (int)strlen(state);
    fprintf(progress->file, "\r%.*s ", label, progress->label);
    int columns = label + 1;
    columns += bar_write(progress, width > 30 ? 30 : width);
    const int state_room = room > columns ? room - columns : 0;
    const int shown = (int)strlen(state) < state_room ? (int)strlen(state) : state_room;
    fprintf(progress->file, "%.*s", shown, state);
    columns += shown;
    if (progress->shown_columns > columns && progress->shown_columns <= room)
        fprintf(progress->file, "%*s", progress->shown_columns - columns, "");
    progress->shown_columns = columns;
    fflush(progress->file);
}

static void line_print(Progress *progress, double elapsed, const char *note)
{
    if (progress->mode == PROGRESS_JSON) {
        JsonWriter json = json_writer(progress->file, true);
        json_object(&json);
        json_field_string(&json, "event", "progress");
        json_field_string(&json, "label", progress->label);
        json_field_integer(&json, "done", progress->done);
        if (progress->total)
            json_field_integer(&json, "total", progress->total);
        json_field_double(&json, "elapsed_s", elapsed);
        if (note)
            json_field_string(&json, "note", note);
        json_close(&json);
    } else {
        char state[200], since[32];
        state_write(state, sizeof state, progress, elapsed, note);
        time_write(since, sizeof since, elapsed);
        fprintf(progress->file, "[%s] %s: %s\n", since, progress->label, state);
    }
    fflush(progress->file);
}

static void show(Progress *progress, double now, const char *note)
{
    if (progress->mode == PROGRESS_BAR)
        bar_draw(progress, now - progress->start, note);
    else
        line_print(progress, now - progress->start, note);
    progress->shown = now;
    progress->shown_done = progress->done;
}

void progress_update(Progress *progress, int64_t done, const char *note)
{
    progress->done = done;
    if (progress->mode == PROGRESS_NONE)
        return;
    const double now = progress->clock(progress->clock_context);
    const double waited = now - progress->shown;
    const bool tenth = progress->total && (done - progress->shown_done) >= (progress->total + 9) / 10;
    if (progress->mode == PROGRESS_BAR ? waited >= REDRAW_SECONDS : waited >= PLAIN_SECONDS || (tenth && waited >= 1))
        show(progress, now, note);
}

void progress_close(Progress *progress, const char *note)
{
    if (progress->mode == PROGRESS_NONE)
        return;
    show(progress, progress->clock(progress->clock_context), note);
    if (progress->mode == PROGRESS_BAR)
        fputc('\n', progress->file);
}

void progress_wipe(Progress *progress)
{
    if (progress->mode != PROGRESS_BAR || !progress->shown_columns)
        return;
    fprintf(progress->file, "\r%*s\r", progress->shown_columns, "");
    fflush(progress->file);
    progress->shown_columns = 0;
    progress->shown -= REDRAW_SECONDS;
}
