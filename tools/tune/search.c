/* Search: see search.h. Points are drawn, mutated or enumerated, ranked by the closed form of the cost model, and the
 * best of them are measured. All this asks the templates many times, which takes memory of the Ir: so it happens in a
 * forked child that prints the points. */
#include "tools/tune/search.h"

#include "codegen/schedule.h"
#include "tools/tune/builder.h"
#include "tools/tune/records.h"

#include <stdlib.h>
#include <string.h>

enum { DRAWS = 400, PARENTS_SHARE = 50, WALK_MOST = 20000, TRIES = 4 };

typedef struct Drawn {
    const char *text;
    double cycles;
    bool mutant;
} Drawn;

typedef struct Draw {
    const Search *search;
    const TuneTask *task;
    int most;
    int64_t count_most; /* search_count */
    uint64_t state;
    int change; /* mutation: the question that gets another answer */
    const Decision *parent;
    Drawn *drawn;
    int drawn_count;
} Draw;

static uint64_t next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int64_t below(uint64_t *state, int64_t count)
{
    return count > 0 ? (int64_t)(next(state) >> 1) % count : 0;
}

/* Wide ranges are drawn by their logarithm: 1, 2, 3 differ more than 1001, 1002, 1003. */
static int64_t draw_answer(uint64_t *state, const Decision *question)
{
    const int64_t width = question->high - question->low + 1;
    if (below(state, 4) == 0)
        return question->standard;
    if (width <= 16)
        return question->low + below(state, width);
    int bits = 0;
    while ((width >> bits) > 1)
        bits++;
    const int64_t scale = INT64_C(1) << (1 + below(state, bits));
    const int64_t value = question->low + below(state, scale < width ? scale : width);
    return below(state, 2) ? value : question->low + question->high - value;
}

static int64_t answer_random(void *context, const Decision *question)
{
    return draw_answer(context, question);
}

/* One asking of the space. False: refused. */
static bool ask(const Draw *draw, Trial *trial, double *cycles)
{
    const Search *const search = draw->search;
    return kernel_cost(search->ir, draw->task->kernel, search->target, trial, search->threads, cycles);
}

static const char *point_text(Arena *arena, const Trial *trial)
{
    TrialValue values[DECISIONS_MAX];
    for (int i = 0; i < trial->decision_count; i++)
        values[i] = decision_value(&trial->decisions[i]);
    return values_text(arena, values, trial->decision_count);
}

static void keep(Draw *draw, const Trial *trial, double cycles, bool mutant)
{
    Arena *const arena = draw->search->ir->arena;
    const char *const text = point_text(arena, trial);
    for (int i = 0; i < draw->drawn_count; i++)
        if (strcmp(draw->drawn[i].text, text) == 0)
            return;
    if (!task_seen(draw->task, text))
        draw->drawn[draw->drawn_count++] = (Drawn){text, cycles, mutant};
}

static void draw_random(Draw *draw)
{
    double cycles;
    Trial trial = trial_open(draw->search->ir->arena, NULL, 0);
    trial.answer = answer_random;
    trial.context = &draw->state;
    if (ask(draw, &trial, &cycles))
        keep(draw, &trial, cycles, false);
}

/* The parent's answers where they are offered; one of them changes, often to a neighbour. */
static int64_t answer_mutated(void *context, const Decision *question)
{
    Draw *const draw = context;
    int64_t value = question->standard;
    for (int i = 0; i < draw->task->best_point.count; i++) {
        const TrialValue *const parent = &draw->task->best_point.values[i];
        if (strcmp(parent->name, question->name) != 0)
            continue;
        for (int64_t j = question->low; question->choices && j <= question->high; j++)
            value = parent->choice && strcmp(question->choices[j], parent->choice) == 0 ? j : value;
        if (!question->choices && parent->number >= question->low && parent->number <= question->high)
            value = parent->number;
    }
    if (draw->change-- != 0 && below(&draw->state, 10) != 0)
        return value;
    const int64_t steps[] = {value + 1, value - 1, value * 2, value / 2, draw_answer(&draw->state, question)};
    const int64_t changed = steps[question->choices ? 4 : below(&draw->state, 5)];
    return changed >= question->low && changed <= question->high ? changed : value;
}

static void draw_mutated(Draw *draw)
{
    double cycles;
    const int questions = draw->task->best_point.count;
    Trial trial = trial_open(draw->search->ir->arena, NULL, 0);
    draw->change = (int)below(&draw->state, questions ? questions : 1);
    trial.answer = answer_mutated;
    trial.context = draw;
    if (ask(draw, &trial, &cycles))
        keep(draw, &trial, cycles, true);
}

/* ---- walking the whole space ---- */

/* The answer after `value`: every one of narrow ranges, of wide ones 1 2 3 4 6 8 12 16 ... above the lowest. */
static int64_t following(const Decision *question, int64_t value)
{
    const int64_t above = value - question->low + 1;
    if (question->choices || question->high - question->low < 16 || above < 4)
        return value + 1;
    int64_t power = 1;
    while (power * 2 <= above)
        power *= 2;
    const int64_t wanted = above < power + power / 2 ? power + power / 2 : power * 2;
    return question->low + wanted - 1;
}

typedef struct Walk {
    int64_t answers[DECISIONS_MAX];
    int fixed, asked;
} Walk;

static int64_t answer_walk(void *context, const Decision *question)
{
    Walk *const walk = context;
    const int number = walk->asked++;
    if (number >= walk->fixed)
        walk->answers[number] = question->low;
    return walk->answers[number];
}

/* Calls `found` for every point; an odometer whose wheels depend on those before them. */
static void walk_space(Draw *draw, bool (*found)(Draw *draw, const Trial *trial, double cycles))
{
    Walk walk = {.fixed = 0};
    for (;;) {
        double cycles;
        Trial trial = trial_open(draw->search->ir->arena, NULL, 0);
        trial.answer = answer_walk;
        trial.context = &walk;
        walk.asked = 0;
        if (ask(draw, &trial, &cycles) && !found(draw, &trial, cycles))
            return;
        int last = trial.decision_count - 1;
        while (last >= 0 && following(&trial.decisions[last], walk.answers[last]) > trial.decisions[last].high)
            last--;
        if (last < 0)
            return;
        walk.answers[last] = following(&trial.decisions[last], walk.answers[last]);
        walk.fixed = last + 1;
    }
}

static bool walk_keep(Draw *draw, const Trial *trial, double cycles)
{
    const char *const text = point_text(draw->search->ir->arena, trial);
    if (!task_seen(draw->task, text))
        draw->drawn[draw->drawn_count++] = (Drawn){text, cycles, false};
    return draw->drawn_count < WALK_MOST;
}

static bool walk_count(Draw *draw, const Trial *trial, double cycles)
{
    (void)trial;
    (void)cycles;
    return ++draw->count_most < draw->most;
}

/* ---- in the child ---- */

static int by_cycles(const void *a, const void *b)
{
    const Drawn *const left = a, *const right = b;
    if (left->cycles != right->cycles)
        return left->cycles < right->cycles ? -1 : 1;
    return strcmp(left->text, right->text);
}

/* The cost model errs, and its favourites are much alike. So of four points two are drawn from its better half, the
 * front of it most, one is a neighbour of the best so far, and one is any. */
static int pick(Draw *draw, int from)
{
    enum { STEPS = 1024 };
    const int left = draw->drawn_count - from;
    const int64_t front = below(&draw->state, STEPS) * below(&draw->state, STEPS) / STEPS; /* small ones often */
    const int any = from + (int)below(&draw->state, left);
    if (from % 4 < 2)
        return from + (int)(left * front / STEPS / 2);
    for (int i = 0; from % 4 == 2 && i < left; i++) {
        const int place = from + (any - from + i) % left;
        if (draw->drawn[place].mutant)
            return place;
    }
    return any;
}

static void print_drawn(Draw *draw, FILE *file)
{
    if (draw->search->kind != SEARCH_RANDOM)
        qsort(draw->drawn, (size_t)draw->drawn_count, sizeof *draw->drawn, by_cycles);
    for (int i = 0; i < draw->drawn_count && i < draw->most; i++) {
        if (draw->search->kind == SEARCH_EVOLUTIONARY && i > 0) {
            const int other = pick(draw, i);
            const Drawn swap = draw->drawn[i];
            draw->drawn[i] = draw->drawn[other];
            draw->drawn[other] = swap;
        }
        fprintf(file, "%s\n", draw->drawn[i].text);
    }
}

static void propose(void *context, FILE *file)
{
    Draw *const draw = context;
    Arena *const arena = draw->search->ir->arena;
    double cycles;
    Trial standard = trial_open(arena, NULL, 0);
    if (!ask(draw, &standard, &cycles))
        return;
    fprintf(file, "%s\n", point_text(arena, &standard));
    draw->drawn = NEW_ARRAY(arena, Drawn, WALK_MOST + 1);
    if (draw->search->kind == SEARCH_EXHAUSTIVE) {
        walk_space(draw, walk_keep);
    } else {
        const bool parents = draw->search->kind == SEARCH_EVOLUTIONARY;
        for (int i = 0; i < DRAWS || (draw->drawn_count < draw->most && i < TRIES * DRAWS); i++)
            if (parents && below(&draw->state, 100) < PARENTS_SHARE)
                draw_mutated(draw);
            else
                draw_random(draw);
    }
    print_drawn(draw, file);
}

static void count(void *context, FILE *file)
{
    Draw *const draw = context;
    walk_space(draw, walk_count);
    fprintf(file, "%lld\n", (long long)draw->count_most);
}

/* ---- in the parent ---- */

static bool read_point(const char *line, size_t length, Arena *arena, Point *point)
{
    *point = (Point){.text = arena_format(arena, "%.*s", (int)length, line)};
    return values_parse(line, length, arena, point->values, &point->count);
}

int search_propose(const Search *search, const TuneTask *task, Arena *arena, Point *points, int most, Point *standard)
{
    Draw draw = {.search = search, .task = task, .most = most};
    draw.state = search->seed * 0x9e3779b97f4a7c15u + (uint64_t)task->trials;
    for (const char *c = task->key; *c; c++)
        draw.state = draw.state * 31 + (unsigned char)*c;
    const char *text = fork_text(arena, propose, &draw, search->stop);
    int found = -1;
    for (; text && *text; text += strcspn(text, "\n") + 1, found++) {
        if (found == most || !read_point(text, strcspn(text, "\n"), arena, found < 0 ? standard : &points[found]))
            break;
    }
    /* What the cost model takes has been measured already. */
    int kept = 0;
    for (int i = 0; i < found; i++)
        if (strcmp(points[i].text, standard->text) != 0)
            points[kept++] = points[i];
    return found < 0 ? -1 : kept;
}

int64_t search_count(const Search *search, const TuneTask *task, Arena *arena, int64_t most)
{
    Draw draw = {.search = search, .task = task, .most = (int)most};
    const char *const text = fork_text(arena, count, &draw, search->stop);
    return text ? atoll(text) : 0;
}
