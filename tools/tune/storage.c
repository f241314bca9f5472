/* SQLite: see storage.h. WAL with synchronous NORMAL: what was committed survives the death of the process, and at
 * worst the last trials are lost with the machine's power. Writes begin with BEGIN IMMEDIATE, so that two tuners wait
 * for each other instead of failing. */
#define _GNU_SOURCE
#include "tools/tune/storage.h"

#include "tools/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { SCHEMA_VERSION = 1, APPLICATION = 0x4c544831, BUSY_MS = 30000 };

struct Storage {
    sqlite3 *database;
    Arena *arena;
    Diagnostics *diagnostics;
    const char *path;
};

static const char schema[] =
    "CREATE TABLE study(id INTEGER PRIMARY KEY, model TEXT NOT NULL, model_sha256 TEXT NOT NULL, target TEXT NOT NULL,"
    " features TEXT NOT NULL, threads INTEGER NOT NULL, machine TEXT NOT NULL, tool TEXT NOT NULL,"
    " started TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);"
    "CREATE TABLE task(id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES study(id), key TEXT NOT NULL,"
    " text TEXT NOT NULL, name TEXT NOT NULL, UNIQUE(study, key));"
    "CREATE TABLE trial(id INTEGER PRIMARY KEY, task INTEGER NOT NULL REFERENCES task(id), number INTEGER NOT NULL,"
    " state TEXT NOT NULL, template TEXT NOT NULL, space INTEGER NOT NULL, \"values\" TEXT NOT NULL, ns REAL NOT NULL,"
    " standard_ns REAL NOT NULL, promoted INTEGER NOT NULL, detail TEXT NOT NULL,"
    " finished TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, UNIQUE(task, number));";

/* ---- where ---- */

/* Numbers of statfs(2): NFS, SMB, SMB2, CIFS, Lustre, GPFS, AFS, 9P, Ceph, OCFS2, Coda. */
static const long network_types[] = {0x6969,     0x517B,     0xFE534D42, 0xFF534D42, 0x0BD00BD0, 0x47504653,
                                     0x5346414F, 0x01021997, 0x00C36400, 0x7461636f, 0x73757245};

static bool on_network(const char *folder)
{
    struct statfs facts;
    if (statfs(folder, &facts) != 0)
        return false;
    for (size_t i = 0; i < sizeof network_types / sizeof *network_types; i++)
        if ((facts.f_type & 0xffffffff) == (network_types[i] & 0xffffffff))
            return true;
    return false;
}

const char *storage_path(const char *given, Arena *arena, Diagnostics *diagnostics)
{
    static const char scheme[] = "sqlite:///";
    if (!given || !*given)
        given = getenv("LATHE_STORAGE");
    if (given && strncmp(given, scheme, sizeof scheme - 1) == 0)
        given += sizeof scheme - 1;
    if (given && strstr(given, "://")) {
        diag_error(diagnostics, EXIT_UNSUPPORTED, NULL,
                   "--storage %s: only files are supported, as PATH or sqlite:///PATH", diag_quote(arena, given, 200));
        return NULL;
    }
    if (given && *given)
        return given;
    const char *const data = getenv("XDG_DATA_HOME"), *const home = getenv("HOME");
    if (data && *data == '/')
        return arena_format(arena, "%s/lathe/tune.db", data);
    if (home && *home)
        return arena_format(arena, "%s/.local/share/lathe/tune.db", home);
    diag_error(diagnostics, EXIT_USAGE, NULL, "there is no home folder for the trials; name a file with --storage");
    return NULL;
}

static bool make_folder(const char *path, Arena *arena, Diagnostics *diagnostics)
{
    const char *const slash = strrchr(path, '/');
    const char *const folder = slash ? arena_format(arena, "%.*s", (int)(slash - path + 1), path) : ".";
    if (!folder_make(folder, arena, diagnostics))
        return false;
    return !on_network(folder) ||
           diag_error(diagnostics, EXIT_IO, NULL,
                      "%s lies on a network file system, where the storage would be damaged; name a local file with "
                      "--storage",
                      diag_quote(arena, path, 300));
}

/* ---- statements ---- */

static bool wrong(Storage *storage, const char *what)
{
    return diag_error(storage->diagnostics, EXIT_IO, NULL, "%s: cannot %s: %s",
                      diag_quote(storage->arena, storage->path, 300), what, sqlite3_errmsg(storage->database));
}

static bool execute(Storage *storage, const char *sql, const char *what)
{
    return sqlite3_exec(storage->database, sql, NULL, NULL, NULL) == SQLITE_OK || wrong(storage, what);
}

/* Values by the letters of `types`: s text, i int64_t, d double. */
static sqlite3_stmt *prepare(Storage *storage, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(storage->database, sql, -1, &statement, NULL) != SQLITE_OK) {
        wrong(storage, "prepare a statement");
        return NULL;
    }
    va_list arguments;
    va_start(arguments, types);
    for (int i = 0; types[i]; i++)
        if (types[i] == 's')
            sqlite3_bind_text(statement, i + 1, va_arg(arguments, const char *), -1, SQLITE_TRANSIENT);
        else if (types[i] == 'i')
            sqlite3_bind_int64(statement, i + 1, va_arg(arguments, int64_t));
        else
            sqlite3_bind_double(statement, i + 1, va_arg(arguments, double));
    va_end(arguments);
    return statement;
}

/* One write, whole or not at all. Returns the row, 0 after a diagnostic. */
static int64_t insert(Storage *storage, sqlite3_stmt *statement)
{
    if (!statement)
        return 0;
    bool good = execute(storage, "BEGIN IMMEDIATE", "begin to write");
    if (good && sqlite3_step(statement) != SQLITE_DONE)
        good = wrong(storage, "write");
    const int64_t row = sqlite3_last_insert_rowid(storage->database);
    sqlite3_finalize(statement);
    if (good)
        good = execute(storage, "COMMIT", "write");
    else
        sqlite3_exec(storage->database, "ROLLBACK", NULL, NULL, NULL);
    return good ? row : 0;
}

/* The first column of the first row; `otherwise` when there is none. */
static int64_t ask(Storage *storage, sqlite3_stmt *statement, int64_t otherwise)
{
    int64_t value = otherwise;
    const int state = statement ? sqlite3_step(statement) : SQLITE_DONE;
    if (state == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    else if (state != SQLITE_DONE)
        wrong(storage, "read");
    sqlite3_finalize(statement);
    return value;
}

/* ---- opening ---- */

static bool check_version(Storage *storage)
{
    if (!execute(storage, "BEGIN IMMEDIATE", "write"))
        return false;
    const int64_t application = ask(storage, prepare(storage, "PRAGMA application_id", ""), 0);
    const int64_t version = ask(storage, prepare(storage, "PRAGMA user_version", ""), 0);
    const int64_t tables = ask(storage, prepare(storage, "SELECT count(*) FROM sqlite_master", ""), 0);
    bool good = true;
    if (tables == 0 && application == 0) {
        const char *const numbers = arena_format(storage->arena, "PRAGMA application_id=%d; PRAGMA user_version=%d",
                                                 APPLICATION, SCHEMA_VERSION);
        good = execute(storage, schema, "make its tables") && execute(storage, numbers, "write its version");
    } else if (application != APPLICATION) {
        good = diag_error(storage->diagnostics, EXIT_IO, NULL, "%s is a database of something else",
                          diag_quote(storage->arena, storage->path, 300));
    } else if (version != SCHEMA_VERSION) {
        good = diag_error(storage->diagnostics, EXIT_IO, NULL,
                          "%s has version %lld of the schema, this program version %d",
                          diag_quote(storage->arena, storage->path, 300), (long long)version, SCHEMA_VERSION);
    }
    return execute(storage, good ? "COMMIT" : "ROLLBACK", "write") && good;
}

Storage *storage_open(const char *path, Arena *arena, Diagnostics *diagnostics)
{
    if (!make_folder(path, arena, diagnostics))
        return NULL;
    Storage *const storage = NEW(arena, Storage);
    *storage = (Storage){.arena = arena, .diagnostics = diagnostics, .path = path};
    bool good =
        sqlite3_open_v2(path, &storage->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK;
    if (!good)
        wrong(storage, "open it");
    if (good) {
        sqlite3_busy_timeout(storage->database, BUSY_MS);
        good = execute(storage, "PRAGMA journal_mode=WAL", "switch to a write-ahead log") &&
               execute(storage, "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON", "set it up") &&
               check_version(storage);
    }
    if (good)
        return storage;
    storage_close(storage);
    return NULL;
}

void storage_close(Storage *storage)
{
    if (storage)
        sqlite3_close(storage->database);
}

/* ---- rows ---- */

int64_t storage_study(Storage *storage, const StudyKey *key, bool resume, bool *found)
{
    int64_t study = 0;
    if (resume)
        study = ask(storage,
                    prepare(storage,
                            "SELECT max(id) FROM study WHERE model_sha256=?1 AND target=?2 AND features=?3 AND "
                            "threads=?4 AND machine=?5 AND tool=?6",
                            "sssiss", key->model_sha256, key->target, key->features, (int64_t)key->threads,
                            key->machine, key->tool),
                    0);
    *found = study != 0;
    if (study)
        return study;
    return insert(storage, prepare(storage,
                                   "INSERT INTO study(model, model_sha256, target, features, threads, machine, tool) "
                                   "VALUES(?1,?2,?3,?4,?5,?6,?7)",
                                   "ssssiss", key->model, key->model_sha256, key->target, key->features,
                                   (int64_t)key->threads, key->machine, key->tool));
}

int64_t storage_task(Storage *storage, int64_t study, const char *key, const char *text, const char *name)
{
    /* The whole text decides, not its hash alone. */
    const int64_t task =
        ask(storage,
            prepare(storage, "SELECT id FROM task WHERE study=?1 AND key=?2 AND text=?3", "iss", study, key, text), 0);
    return task ? task
                : insert(storage, prepare(storage, "INSERT INTO task(study, key, text, name) VALUES(?1,?2,?3,?4)",
                                          "isss", study, key, text, name));
}

bool storage_trial(Storage *storage, int64_t task, const TrialRow *trial)
{
    return insert(
               storage,
               prepare(storage,
                       "INSERT INTO trial(task, number, state, template, space, \"values\", ns, standard_ns, promoted, "
                       "detail) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
                       "iissisddis", task, (int64_t)trial->number, trial->state, trial->template, (int64_t)trial->space,
                       trial->values, trial->ns, trial->standard_ns, (int64_t)trial->promoted, trial->detail)) != 0;
}

static const char *column(Storage *storage, sqlite3_stmt *statement, int number)
{
    const unsigned char *const text = sqlite3_column_text(statement, number);
    return arena_format(storage->arena, "%s", text ? (const char *)text : "");
}

bool storage_trials(Storage *storage, int64_t task, void (*each)(void *context, const TrialRow *trial), void *context)
{
    sqlite3_stmt *const statement = prepare(storage,
                                            "SELECT number, state, template, space, \"values\", ns, standard_ns, "
                                            "promoted, detail FROM trial WHERE task=?1 ORDER BY number",
                                            "i", task);
    if (!statement)
        return false;
    int state;
    while ((state = sqlite3_step(statement)) == SQLITE_ROW) {
        const TrialRow row = {.number = sqlite3_column_int(statement, 0),
                              .state = column(storage, statement, 1),
                              .template = column(storage, statement, 2),
                              .space = sqlite3_column_int(statement, 3),
                              .values = column(storage, statement, 4),
                              .ns = sqlite3_column_double(statement, 5),
                              .standard_ns = sqlite3_column_double(statement, 6),
                              .promoted = sqlite3_column_int(statement, 7) != 0,
                              .detail = column(storage, statement, 8)};
        each(context, &row);
    }
    sqlite3_finalize(statement);
    return state == SQLITE_DONE || wrong(storage, "read trials");
}

/* ---- one tuner at a time ---- */

int machine_open(void)
{
    static const char path[] = "/tmp/lathe-tune.lock";
    /* Whoever comes first makes it; the others only read and lock it. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0 && errno == ENOENT) {
        file = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
        if (file < 0)
            file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    return file;
}

bool machine_lock(int descriptor, MachineLock lock, const volatile bool *stop)
{
    static const int kinds[] = {[MACHINE_FREE] = LOCK_UN, [MACHINE_SHARED] = LOCK_SH, [MACHINE_ALONE] = LOCK_EX};
    while (descriptor >= 0 && flock(descriptor, kinds[lock] | LOCK_NB) != 0) {
        if (*stop)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return !*stop;
}
