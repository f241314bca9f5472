/* Regular expressions as RE2 writes them: host_regex.c makes a program of a pattern, host_match.c runs it. */
#ifndef LATHE_RUNTIME_HOST_REGEX_H
#define LATHE_RUNTIME_HOST_REGEX_H

#include "runtime/script.h"

enum { CODE_MOST = 1 << 16, RANGES_MOST = 1 << 15, GROUPS_MOST = 1000, REPEAT_MOST = 1000, POINT_MOST = 0x10ffff };

typedef enum Operation { ONE, CLASS, NOT_CLASS, SPLIT, JUMP, TEXT_BEGIN, TEXT_END, LINE_BEGIN, LINE_END, WORD_EDGE, NO_WORD_EDGE, MATCH } Operation;

typedef struct Instruction {
    int16_t operation;
    int16_t fold;       /* ONE, CLASS: upper and lower case are the same */
    int32_t first, second; /* ONE: point; classes: first range, count; jumps: distances */
} Instruction;

typedef struct Range {
    uint32_t first, last;
} Range;

typedef enum Flag { FLAG_FOLD = 1, FLAG_LINES = 2, FLAG_DOT_ALL = 4, FLAG_LAZY = 8 } Flag;

typedef struct Group {
    int32_t start, alternative; /* code of the group; of the alternative that is being read */
    int32_t pending;            /* the last jump to the end, which holds the distance to the one before; -1: none */
    int32_t flags;
} Group;

typedef struct Regex {
    Instruction *code;
    Range *ranges;
    Group *groups;
    int32_t count, range_count, depth;
    int32_t flags;
    int32_t atom;         /* where the code of the last atom begins; -1: there is nothing to repeat */
    const char *at;
    const char *why;
} Regex;

/* code, ranges and groups are there, everything else is zero. False: `why`, at `at`. */
bool regex_compile(Regex *regex, const char *pattern);

#endif
