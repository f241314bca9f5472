/* A pool of threads that help callers with their runs, and the sleeping and waking below it.
 *
 * A job is attached to a slot once and posted for each run. Workers look through the posted slots and call work(job), which finds
 * out by itself whether anything is left to do: no worker is ever needed, so a pool may be short of threads or busy elsewhere.
 * A worker counts itself into the slot before it looks at the job, so that settle() can tell when nobody does any more.
 *
 * A child of fork() has the memory of the pool but none of its threads: there the caller does everything. */
#include "runtime/internal.h"
#include "runtime/libc.h"

enum {
    SLOTS = 256,
    SLOT_SETS = SLOTS / 64,
    WORKER_STACK = 1 << 20,
    SETTLE_SLEEP_NS = 50000,
    TICK_NEAR_NS = 300000, /* longer than most chunks take */
    TICK_DRIFT_NS = 1000,  /* by which the clocks may part between two looks */
    TICK_AWAY_NS = 1500000,
    TICK_SLICE_NS = 2000000, /* who came later keeps its core beyond the tick */
    SLICE_NS = 100000,       /* of workers, the shortest that Linux gives */
};

typedef struct Slot {
    _Alignas(CACHE_LINE) Word inside; /* workers that may look at job */
    Word generation;                  /* grows with each post: nobody takes the same post twice */
    void *job;
    PoolWork *work;
} Slot;

typedef struct Pool Pool;

typedef struct Worker {
    Pool *pool;
    libc_thread thread;
    uint32_t index;
    uint32_t finished[SLOTS]; /* generation that this worker has left */
} Worker;

struct Pool {
    lathe_pool head;
    int process;
    int started;
    Worker *workers[THREADS_MAX];
    _Alignas(CACHE_LINE) _Atomic uint64_t taken[SLOT_SETS];
    _Alignas(CACHE_LINE) _Atomic uint64_t posted[SLOT_SETS];
    _Alignas(CACHE_LINE) Word epoch; /* changes when something was posted, and at the end */
    Word sleepers;
    Word stop;
    Slot slots[SLOTS];
};

static uint64_t nanoseconds_of(libc_time time)
{
    return (uint64_t)time.seconds * 1000000000u + (uint64_t)time.nanoseconds;
}

uint64_t clock_ns(void)
{
    libc_time now;
    clock_gettime(LIBC_CLOCK_MONOTONIC, &now);
    return nanoseconds_of(now);
}

/* The coarse clock makes its step in the tick, so the least age that it ever has is that just after one. */
void tick_pass(Tick *tick)
{
    const uint64_t now = clock_ns(), least = tick->age + TICK_DRIFT_NS, away = now - tick->seen;
    libc_time coarse = {0, 0};
    tick->seen = now;
    if (away > TICK_AWAY_NS)
        tick->since = now;
    if (now < tick->look)
        return;
    if (tick->period == 0 && clock_getres(LIBC_CLOCK_MONOTONIC_COARSE, &coarse) == 0)
        tick->period = nanoseconds_of(coarse);
    clock_gettime(LIBC_CLOCK_MONOTONIC_COARSE, &coarse);
    const uint64_t age = now - nanoseconds_of(coarse);
    tick->age = tick->age == 0 || age < least ? age : least;
    const uint64_t next = nanoseconds_of(coarse) + tick->age + tick->period;
    if (next > now + TICK_NEAR_NS) {
        tick->look = next - TICK_NEAR_NS;
        return;
    }
    tick->look = next > now ? next : now + TICK_NEAR_NS;
    if (next - tick->since > TICK_SLICE_NS)
        sched_yield();
}

void word_sleep(Word *word, uint32_t expected)
{
    syscall(LIBC_CALL_FUTEX, word, LIBC_FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void word_wake(Word *word, int sleepers)
{
    syscall(LIBC_CALL_FUTEX, word, LIBC_FUTEX_WAKE_PRIVATE, sleepers, NULL, NULL, 0);
}

bool word_spin(Word *word, uint32_t expected, uint32_t nanoseconds)
{
    const uint64_t end = clock_ns() + nanoseconds;
    do {
        for (int i = 0; i < 16; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != expected)
                return true;
            cpu_pause();
        }
    } while (clock_ns() < end);
    return false;
}

static uint64_t slot_bit(int slot)
{
    return UINT64_C(1) << (slot & 63);
}

/* Helps with what is posted in this slot; false when it is retired or this worker has been there already. */
static bool slot_help(Worker *worker, int number)
{
    Pool *pool = worker->pool;
    Slot *slot = &pool->slots[number];
    bool helped = false;
    atomic_fetch_add(&slot->inside, 1);
    if (atomic_load(&pool->posted[number / 64]) & slot_bit(number)) {
        const uint32_t generation = atomic_load(&slot->generation);
        if (worker->finished[number] != generation) {
            slot->work(slot->job, worker->index);
            worker->finished[number] = generation;
            helped = true;
        }
    }
    atomic_fetch_sub(&slot->inside, 1);
    return helped;
}

/* Workers begin at different slots, so that several callers at once all find help. */
static bool worker_help(Worker *worker)
{
    const uint32_t first = worker->index & 63;
    bool helped = false;
    for (int set = 0; set < SLOT_SETS; set++) {
        uint64_t posted = atomic_load(&worker->pool->posted[set]);
        posted = posted >> first | posted << (-first & 63);
        for (; posted != 0; posted &= posted - 1)
            helped |= slot_help(worker, set * 64 + (int)(((uint32_t)__builtin_ctzll(posted) + first) & 63));
    }
    return helped;
}

static void worker_wait(Pool *pool, uint32_t epoch)
{
    if (word_spin(&pool->epoch, epoch, SPIN_NS))
        return;
    atomic_fetch_add(&pool->sleepers, 1);
    if (atomic_load(&pool->epoch) == epoch)
        word_sleep(&pool->epoch, epoch);
    atomic_fetch_sub(&pool->sleepers, 1);
}

/* Asks for short slices: a thread with one goes before others when it wakes, instead of after the slice of who is there. */
static void slice_shorten(void)
{
    libc_schedule schedule;
    if (limits_filtered() || syscall(LIBC_CALL_SCHEDULE, 0, &schedule, sizeof schedule, 0) != 0)
        return;
    if (schedule.policy != LIBC_POLICY_FAIR || schedule.runtime <= SLICE_NS)
        return;
    schedule.runtime = SLICE_NS;
    syscall(LIBC_CALL_SET_SCHEDULE, 0, &schedule, 0);
}

static void *worker_main(void *argument)
{
    Worker *worker = argument;
    Pool *pool = worker->pool;
    slice_shorten();
    for (;;) {
        const uint32_t epoch = atomic_load(&pool->epoch); /* before stop: who stops the pool changes it afterwards */
        if (atomic_load(&pool->stop))
            return NULL;
        if (!worker_help(worker))
            worker_wait(pool, epoch);
    }
}

static int pool_attach(lathe_pool *head, void *job, PoolWork *work)
{
    Pool *pool = (Pool *)head;
    for (int number = 0; number < SLOTS; number++) {
        if (atomic_load(&pool->taken[number / 64]) & slot_bit(number))
            continue;
        if (atomic_fetch_or(&pool->taken[number / 64], slot_bit(number)) & slot_bit(number))
            continue;
        pool->slots[number].job = job;
        pool->slots[number].work = work;
        return number;
    }
    return -1;
}

static void pool_post(lathe_pool *head, int number, int helpers)
{
    Pool *pool = (Pool *)head;
    atomic_fetch_add(&pool->slots[number].generation, 1);
    atomic_fetch_or(&pool->posted[number / 64], slot_bit(number));
    atomic_fetch_add(&pool->epoch, 1);
    if (atomic_load(&pool->sleepers) != 0)
        word_wake(&pool->epoch, helpers);
}

static void pool_retire(lathe_pool *head, int number)
{
    Pool *pool = (Pool *)head;
    atomic_fetch_and(&pool->posted[number / 64], ~slot_bit(number));
}

static void pool_settle(lathe_pool *head, int number)
{
    Pool *pool = (Pool *)head;
    if (getpid() != pool->process)
        return;
    Word *inside = &pool->slots[number].inside;
    uint32_t now;
    while ((now = atomic_load(inside)) != 0) {
        if (!word_spin(inside, now, SPIN_NS))
            nanosleep(&(libc_time){0, SETTLE_SLEEP_NS}, NULL);
    }
}

static void pool_detach(lathe_pool *head, int number)
{
    Pool *pool = (Pool *)head;
    atomic_fetch_and(&pool->taken[number / 64], ~slot_bit(number));
}

static int pool_close(lathe_pool *head)
{
    Pool *pool = (Pool *)head;
    for (int set = 0; set < SLOT_SETS; set++)
        if (atomic_load(&pool->taken[set]) != 0)
            return LATHE_E_STATE;
    const bool child = getpid() != pool->process;
    atomic_store(&pool->stop, 1);
    atomic_fetch_add(&pool->epoch, 1);
    word_wake(&pool->epoch, INT_MAX);
    for (int i = 0; i < pool->started; i++) {
        if (!child)
            pthread_join(pool->workers[i]->thread, NULL);
        free(pool->workers[i]);
    }
    free(pool);
    return LATHE_OK;
}

static bool worker_start(Pool *pool)
{
    Worker *worker = malloc(sizeof *worker);
    if (worker == NULL)
        return false;
    memset(worker, 0, sizeof *worker);
    worker->pool = pool;
    worker->index = (uint32_t)pool->started + 1;

    libc_thread_attributes attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, WORKER_STACK);
    const int result = pthread_create(&worker->thread, &attributes, worker_main, worker);
    pthread_attr_destroy(&attributes);
    if (result != 0) {
        free(worker);
        return false;
    }
    pool->workers[pool->started++] = worker;
    return true;
}

void pool_grow(lathe_pool *head, int threads)
{
    Pool *pool = (Pool *)head;
    libc_signals all, before; /* signals are for the host's own threads */
    sigfillset(&all);
    pthread_sigmask(LIBC_SIGNALS_REPLACE, &all, &before);
    while (pool->started + 1 < threads && pool->started + 1 < THREADS_MAX && worker_start(pool))
        ;
    pthread_sigmask(LIBC_SIGNALS_REPLACE, &before, NULL);
    pool->head.threads = pool->started + 1;
}

lathe_pool *pool_open(int threads, int *error)
{
    int code = LATHE_OK;
    Pool *pool = NULL;
    if (threads < 0 || threads > THREADS_MAX)
        code = LATHE_E_ARGUMENT;
    else if ((pool = memory_aligned(sizeof *pool)) == NULL)
        code = LATHE_E_MEMORY;
    if (error != NULL)
        *error = code;
    if (pool == NULL)
        return NULL;
    memset(pool, 0, sizeof *pool);
    pool->process = getpid();
    pool->head = (lathe_pool){
        .size = sizeof pool->head,
        .abi = POOL_ABI,
        .attach = pool_attach,
        .post = pool_post,
        .retire = pool_retire,
        .settle = pool_settle,
        .detach = pool_detach,
        .close = pool_close,
    };
    pool_grow(&pool->head, threads > 0 ? threads : limits_threads());
    return &pool->head;
}
