/* The choice of a schedule: which template, with which integers, for one kernel on one level.
 *
 * The cost model decides, unless a tuning record says otherwise (codegen/tuning.h) or a tuner tries something (a
 * Trial, codegen/space.h). */
#ifndef LATHE_CODEGEN_SCHEDULE_H
#define LATHE_CODEGEN_SCHEDULE_H

#include "codegen/program.h"
#include "codegen/space.h"
#include "codegen/tuning.h"

typedef struct ScheduleOptions {
    int level;      /* -O: at 0 only `loops` */
    MathMode math;  /* which bits a schedule may change */
    Tuning *tuning; /* NULL: none */
} ScheduleOptions;

/* Templates in order of preference; the first that matches wins, `loops` matches everything. `context` is a
 * ScheduleOptions. */
ScheduleFunction kernel_schedule;
/* Are products and sums of contractions rounded apart? Where fma is a long function, unless every bit is to stay. */
bool schedule_apart(const TargetMachineInfo *target, MathMode math);
/* The plain schedule, for kernels whose better one could not be compiled. */
Node *kernel_schedule_plain(Ir *ir, Node *kernel, const TargetMachineInfo *target);

/* ---- for tuners ---- */

/* The first question of every trial is "template": which one, of those that can do the kernel. NULL when the trial was
 * refused: trial->refusal says why. */
Node *kernel_schedule_trial(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
/* Asks the trial's questions without making the schedule; *cycles: what the cost model expects it to take on `threads`
 * cores. False when the trial was refused. */
bool kernel_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);
/* The version of a template's space, 0 when no template is called that. */
int template_space(const char *name);
/* The template that the trial has chosen. */
const char *trial_template(const Trial *trial);

#endif
