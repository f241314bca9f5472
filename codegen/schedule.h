/* The choice of a schedule: which template, with which integers, for one kernel on one level. */
#ifndef LATHE_CODEGEN_SCHEDULE_H
#define LATHE_CODEGEN_SCHEDULE_H

#include "codegen/program.h"

typedef struct ScheduleOptions {
    int level; /* -O: at 0 only `loops` */
} ScheduleOptions;

/* Templates in order of preference; the first that matches wins, `loops` matches everything. `context` is a
 * ScheduleOptions. */
ScheduleFunction kernel_schedule;
/* The plain schedule, for kernels whose better one could not be compiled. */
Node *kernel_schedule_plain(Ir *ir, Node *kernel, const TargetMachineInfo *target);

#endif
