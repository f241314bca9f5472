/* One run of a plan, by the caller alone or by several walkers.
 *
 * Every chunk of every step has a word: run * 4 + state, where state is CLAIMED, AWAITED (claimed, and somebody sleeps on the word)
 * or DONE. `run` grows by one per run of the plan and words are compared by signed difference, so they are never cleared.
 *
 * Every walker goes through the steps in order. A chunk waits for chunks of earlier steps: those that touch the same memory, or all.
 * The walker waits, holding nothing, until its own chunks may start (the same slice in every step: its data is in its cache), claims
 * them by compare-and-swap and runs them; then what is left of the other slices and may start, each from its end; if something has
 * to wait still, it runs a chunk of a later step that need not, or waits, and begins again. When every chunk of the step is claimed,
 * it goes on. Hence
 * - a claimed chunk never waits, and nobody waits for a chunk that no thread has started: one walker alone finishes the program,
 *   and a thread that loses its core holds up only the chunk it has claimed;
 * - a walker of an earlier run that was late finds everything claimed and does nothing.
 * The caller returns when every step is done; helpers leave when every step is claimed. */
#include "runtime/internal.h"
#include "runtime/libc.h"

enum {
    CLAIMED = 1,
    AWAITED = 2,
    DONE = 3,
    PROGRESS_BITS = 24,
    AHEAD_NS = 5000, /* who waits longer looks for other work: in other slices of the step, then in steps behind it */
    STEPS_AHEAD = 32,
    MOVE_NS = 2000000, /* at most so often does a worker go to another core */
};

typedef struct Walker {
    Context *context;
    Plan *plan;
    uint64_t run;
    uint32_t base; /* run * 4, as words count */
    uint32_t seat;
    Seat *place;
    uint64_t *seen;
    void *scratch;
    int32_t *error;
    Times *times;
} Walker;

static Walker walker_make(Context *context, Plan *plan, uint64_t run, uint32_t seat)
{
    return (Walker){
        .context = context,
        .plan = plan,
        .run = run,
        .base = (uint32_t)run * 4,
        .seat = seat,
        .place = &context->seats[seat],
        .seen = plan->seen + seat * plan->seen_stride,
        .scratch = context->scratch + seat * context->scratch_stride,
        .error = &context->seats[seat].error,
        .times = context->times ? context->times + (size_t)seat * context->program->launch_count : NULL,
    };
}

/* Has the word come to `state` of this run, or further? */
static bool word_reached(uint32_t word, uint32_t base, uint32_t state)
{
    return (int32_t)(word - (base + state)) >= 0;
}

static Word *step_words(const Plan *plan, const Step *step, uint32_t slice)
{
    return plan->words + (size_t)(step->first_line + slice) * LINE_WORDS;
}

/* --- running ---------------------------------------------------------------------------------------------------------------- */

/* Keeps the first error of a run and leaves the walker's own word clear for the next. */
static void walker_report(const Walker *walker, uint32_t launch)
{
    uint64_t none = 0;
    const uint64_t failure = (uint64_t)(launch + 1) << 32 | (uint32_t)*walker->error;
    atomic_compare_exchange_strong(&walker->context->failure, &none, failure);
    *walker->error = 0;
}

static void launch_run(const Walker *walker, uint32_t launch, int64_t begin, int64_t end)
{
    const Call *call = &walker->plan->calls[launch];
    if (begin >= end)
        return;
    const uint64_t start = walker->times ? clock_ns() : 0;
    call->kernel(call->buffers, call->dims, begin, end, walker->scratch, walker->error);
    if (walker->times != NULL) {
        Times *times = &walker->times[launch];
        times->end = clock_ns();
        times->busy += times->end - start;
        if (times->start == 0)
            times->start = start;
    }
    if (*walker->error != 0)
        walker_report(walker, launch);
}

static void chunk_run(const Walker *walker, const Step *step, uint32_t chunk)
{
    const uint32_t chunks = step->slices * step->per_slice;
    for (uint32_t i = 0; i < step->launch_count; i++) {
        if (atomic_load_explicit(&walker->context->failure, memory_order_relaxed) != 0)
            return;
        const uint32_t launch = step->launch_first + i;
        const int64_t units = walker->plan->calls[launch].units;
        launch_run(walker, launch, chunk_units(units, chunks, chunk), chunk_units(units, chunks, chunk + 1));
    }
}

/* Claims and runs the chunk; false: somebody else has claimed it. */
static bool chunk_claim(const Walker *walker, const Step *step, uint32_t slice, uint32_t k)
{
    Word *word = step_words(walker->plan, step, slice) + k;
    uint32_t now = atomic_load_explicit(word, memory_order_relaxed);
    if (word_reached(now, walker->base, CLAIMED))
        return false;
    tick_pass(&walker->place->tick);
    if (!atomic_compare_exchange_strong_explicit(word, &now, walker->base + CLAIMED, memory_order_acquire, memory_order_relaxed))
        return false;
    chunk_run(walker, step, slice * step->per_slice + k);
    if (atomic_exchange_explicit(word, walker->base + DONE, memory_order_acq_rel) == walker->base + AWAITED)
        word_wake(word, INT_MAX);
    return true;
}

/* --- waiting ---------------------------------------------------------------------------------------------------------------- */

/* A word of the step's chunks first to last that is not done; NULL: all are. */
static Word *chunk_not_done(const Walker *walker, const Step *step, uint32_t first, uint32_t last)
{
    for (uint32_t chunk = first; chunk <= last; chunk++) {
        const uint32_t slice = step->per_slice == 1 ? chunk : chunk / SLICE_CHUNKS;
        Word *word = step_words(walker->plan, step, slice) + (chunk - slice * step->per_slice);
        if (!word_reached(atomic_load_explicit(word, memory_order_acquire), walker->base, DONE))
            return word;
    }
    return NULL;
}

/* A word that the chunk still has to wait for; NULL: it may start. */
static Word *chunk_blocker(const Walker *walker, const Step *step, uint32_t chunk)
{
    const Plan *plan = walker->plan;
    const uint32_t chunks = step->slices * step->per_slice;
    for (uint32_t i = 0; i < step->deps_count; i++) {
        const uint32_t number = plan->deps[step->deps_first + i];
        if (walker->seen[number] == walker->run)
            continue;
        const Step *other = &plan->steps[number];
        Span span = {0, (uint16_t)(other->slices * other->per_slice - 1)};
        const uint32_t most = span.last;
        if (step->spans_first != SPANS_NONE)
            span = plan->spans[step->spans_first + (uint64_t)i * chunks + chunk];
        Word *word = chunk_not_done(walker, other, span.first, span.last);
        if (word != NULL)
            return word;
        if (span.first == 0 && span.last == most)
            walker->seen[number] = walker->run;
    }
    return NULL;
}

/* Waits for a claimed chunk, awake and not for long; is it done? */
static bool word_await_awake(Word *word, uint32_t base, uint32_t nanoseconds)
{
    uint32_t now;
    while (!word_reached(now = atomic_load_explicit(word, memory_order_acquire), base, DONE))
        if (!word_spin(word, now, nanoseconds))
            return false;
    return true;
}

static void walker_arrive(const Walker *walker)
{
    atomic_store_explicit(&walker->place->cpu, (uint32_t)sched_getcpu() + 1, memory_order_relaxed);
}

static void walker_leave(const Walker *walker)
{
    atomic_store_explicit(&walker->place->cpu, 0, memory_order_relaxed);
}

/* Is another walker on the core that this one came to? */
static bool walker_crowded(const Walker *walker)
{
    const Context *main = walker->context->main;
    const uint32_t here = atomic_load_explicit(&walker->place->cpu, memory_order_relaxed);
    for (uint32_t i = 0; i < main->threads; i++)
        if (i != walker->seat && atomic_load_explicit(&main->seats[i].cpu, memory_order_relaxed) == here)
            return true;
    return false;
}

/* On a machine that has other things to do, the system may leave two walkers on one core for long: they run by turns, and another
 * core runs nothing of this. A worker that finds another walker where it woke goes to a core that none of them is on. */
static void walker_part(const Walker *walker)
{
    const Context *main = walker->context->main;
    unsigned char taken[CPUS_MAX / 8];
    if (walker->seat == 0 || main->pool == NULL || !walker_crowded(walker))
        return; /* only our own threads move */
    const uint64_t now = clock_ns();
    if (now - walker->place->moved < MOVE_NS)
        return;
    walker->place->moved = now;
    memset(taken, 0, sizeof taken);
    for (uint32_t i = 0; i < main->threads; i++) {
        const uint32_t cpu = atomic_load_explicit(&main->seats[i].cpu, memory_order_relaxed);
        if (cpu > 0 && cpu <= CPUS_MAX)
            taken[(cpu - 1) / 8] |= (unsigned char)(1u << (cpu - 1) % 8);
    }
    limits_move(taken);
    walker_arrive(walker);
}

/* Waits for a claimed chunk: awake at first, then asleep on its word. */
static void word_await(const Walker *walker, Word *word)
{
    const uint32_t base = walker->base;
    while (!word_await_awake(word, base, SPIN_NS)) {
        walker_part(walker);
        uint32_t now = atomic_load_explicit(word, memory_order_acquire);
        if (now != base + AWAITED && (now != base + CLAIMED || !atomic_compare_exchange_strong(word, &now, base + AWAITED)))
            continue;
        walker_leave(walker);
        word_sleep(word, base + AWAITED);
        walker_arrive(walker);
    }
}

static void step_await(const Walker *walker, const Step *step)
{
    Word *word;
    while ((word = chunk_blocker(walker, step, 0)) != NULL)
        word_await(walker, word);
}

/* --- walking ---------------------------------------------------------------------------------------------------------------- */

/* Runs the chunk, unless somebody has claimed it or it has to wait: then the word that it waits for. `awake`: it waits a little. */
static Word *chunk_try(const Walker *walker, const Step *step, uint32_t slice, uint32_t k, bool awake)
{
    Word *word = step_words(walker->plan, step, slice) + k, *blocker;
    if (word_reached(atomic_load_explicit(word, memory_order_relaxed), walker->base, CLAIMED))
        return NULL;
    while ((blocker = chunk_blocker(walker, step, slice * step->per_slice + k)) != NULL)
        if (!awake || !word_await_awake(blocker, walker->base, AHEAD_NS))
            return blocker;
    chunk_claim(walker, step, slice, k);
    return NULL;
}

/* Tries every chunk once, the walker's own first. A word that one of those which are left waits for; NULL: none is left. */
static Word *step_try(const Walker *walker, const Step *step)
{
    uint32_t slice = walker->seat % step->slices;
    const bool own = slice == walker->seat;
    Word *first = NULL;
    for (uint32_t i = 0; i < step->slices; i++) {
        for (uint32_t k = 0; k < step->per_slice; k++) {
            const bool mine = own && i == 0;
            Word *blocker = chunk_try(walker, step, slice, mine ? k : step->per_slice - 1 - k, mine);
            first = first != NULL ? first : blocker;
        }
        if (++slice == step->slices)
            slice = 0;
    }
    return first;
}

/* Runs a chunk of the step that may start; false: there is none. */
static bool step_take(const Walker *walker, const Step *step)
{
    uint32_t slice = walker->seat % step->slices;
    for (uint32_t i = 0; i < step->slices; i++) {
        for (uint32_t k = 0; k < step->per_slice; k++) {
            Word *word = step_words(walker->plan, step, slice) + k;
            if (!word_reached(atomic_load_explicit(word, memory_order_relaxed), walker->base, CLAIMED) &&
                chunk_blocker(walker, step, slice * step->per_slice + k) == NULL && chunk_claim(walker, step, slice, k))
                return true;
        }
        if (++slice == step->slices)
            slice = 0;
    }
    return false;
}

/* While a step waits for a chunk whose walker has lost its core, those behind it may have some that do not. Not while times are taken:
 * of a launch whose pieces lie far apart no time from the first to the last means anything. */
static bool walker_run_ahead(const Walker *walker, uint32_t number)
{
    const Plan *plan = walker->plan;
    for (uint32_t i = number + 1; i < plan->step_count && i - number <= STEPS_AHEAD; i++)
        if (step_take(walker, &plan->steps[i]))
            return true;
    return false;
}

static void step_walk(const Walker *walker, uint32_t number)
{
    const Step *step = &walker->plan->steps[number];
    Word *blocker;
    while ((blocker = step_try(walker, step)) != NULL)
        if (!word_await_awake(blocker, walker->base, AHEAD_NS) && (walker->times != NULL || !walker_run_ahead(walker, number)))
            word_await(walker, blocker);
}

/* Helpers that come late begin where the walker of seat 0 is. */
static uint32_t walker_start(const Walker *walker)
{
    const uint64_t progress = atomic_load_explicit(&walker->plan->progress, memory_order_acquire);
    const uint64_t run_mask = UINT64_MAX >> PROGRESS_BITS;
    if (progress >> PROGRESS_BITS != (walker->run & run_mask))
        return 0;
    return (uint32_t)(progress & ((1u << PROGRESS_BITS) - 1));
}

static void walker_walk(const Walker *walker)
{
    Plan *plan = walker->plan;
    for (uint32_t i = walker_start(walker); i < plan->step_count; i++) {
        step_walk(walker, i);
        if (walker->seat == 0)
            atomic_store_explicit(&plan->progress, walker->run << PROGRESS_BITS | (i + 1), memory_order_release);
    }
}

/* A free seat, best the one asked for; -1: all are taken. */
static int seat_take(Context *context, uint32_t first, uint32_t wanted)
{
    uint32_t seat = wanted < context->threads ? wanted : first;
    for (uint32_t i = first; i < context->threads; i++) {
        if (atomic_exchange_explicit(&context->seats[seat].taken, 1, memory_order_acquire) == 0)
            return (int)seat;
        if (++seat == context->threads)
            seat = first;
    }
    return -1;
}

/* context: the main one. */
static void seat_walk(Context *context, uint32_t first, uint32_t wanted)
{
    const int seat = seat_take(context, first, wanted);
    if (seat < 0)
        return;
    /* Whatever run this reads belongs to this plan: the one now going on, or one that has nothing left to claim. */
    Plan *plan = atomic_load_explicit(&context->plan, memory_order_acquire);
    const uint64_t run = atomic_load_explicit(&plan->run, memory_order_acquire);
    const Walker walker = walker_make(plan->owner, plan, run, (uint32_t)seat);
    walker_arrive(&walker);
    walker_walk(&walker);
    walker_leave(&walker);
    atomic_store_explicit(&context->seats[seat].taken, 0, memory_order_release);
}

void run_help(void *job, uint32_t worker)
{
    const Context *context = job;
    float_mode_enter(context->program->flags); /* the pool may serve models of other modes: each run sets its own */
    seat_walk(job, 1, worker);
}

static void run_item(void *job, int item)
{
    const Context *context = job;
    const uint32_t saved = float_mode_enter(context->program->flags);
    seat_walk(job, 0, (uint32_t)item);
    float_mode_leave(saved);
}

static void run_shared(Context *context, Plan *plan)
{
    const uint64_t run = atomic_load_explicit(&plan->run, memory_order_relaxed) + 1;
    atomic_store_explicit(&plan->progress, run << PROGRESS_BITS, memory_order_relaxed);
    atomic_store_explicit(&plan->run, run, memory_order_release);
    atomic_store_explicit(&context->main->plan, plan, memory_order_release);
    if (context->parallel_for != NULL)
        context->parallel_for(context->parallel_pool, (int)context->threads, run_item, context->main);
    else if (context->pool != NULL)
        context->pool->post(context->pool, context->slot, (int)context->threads - 1);

    const Walker walker = walker_make(context, plan, run, 0);
    walker_arrive(&walker);
    walker_walk(&walker);
    step_await(&walker, &plan->last);
    walker_leave(&walker);
    if (context->pool != NULL)
        context->pool->retire(context->pool, context->slot);
}

static void run_alone(Context *context, Plan *plan)
{
    const Walker walker = walker_make(context, plan, 0, 0);
    const uint32_t count = context->program->launch_count;
    if (walker.times != NULL) {
        for (uint32_t i = 0; i < count && atomic_load_explicit(&context->failure, memory_order_relaxed) == 0; i++)
            launch_run(&walker, i, 0, plan->calls[i].units);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const Call *call = &plan->calls[i];
        if (call->units <= 0)
            continue;
        call->kernel(call->buffers, call->dims, 0, call->units, walker.scratch, walker.error);
        if (*walker.error != 0) {
            walker_report(&walker, i);
            return;
        }
    }
}

void run_patch(Context *context, Plan *plan)
{
    for (uint32_t i = 0; i < context->patch_count; i++) {
        const Patch *patch = &context->patches[i];
        unsigned char *data = context->tensors[patch->tensor];
        plan->pointers[patch->pointer] = data != NULL ? data + patch->offset : NULL;
    }
}

int run_plan(Context *context, Plan *plan)
{
    if (context->program->device != NULL)
        return context->program->device->run(context, plan);
    run_patch(context, plan);
    atomic_store_explicit(&context->failure, 0, memory_order_relaxed);

    const uint32_t saved = float_mode_enter(context->program->flags);
    if (plan->parallel)
        run_shared(context, plan);
    else
        run_alone(context, plan);
    float_mode_leave(saved);

    if (context->times != NULL)
        profile_fold(context);
    const uint64_t failure = atomic_load_explicit(&context->failure, memory_order_relaxed);
    if (failure == 0)
        return LATHE_OK;
    const int32_t code = (int32_t)(uint32_t)failure;
    return context_fail(context, code, "node '%s': %s", context->program->launches[(failure >> 32) - 1].name, text_of_code(code));
}
