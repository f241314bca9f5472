/* Fourier transforms as stages, for DFT and STFT.
 *
 * A transform of known length is factorised: N = f1 f2 ... fs with small factors, and every factor is one contraction
 * with a table of 2f x 2f numbers (Cooley and Tukey); between them elements are turned by twiddle factors where they are
 * loaded. A length with a large prime factor becomes a convolution whose length is a power of two (Bluestein). Tables are made here,
 * each entry rounded once. A length that only a run knows is summed as it stands in the definition, with a table that
 * the run makes. */
#ifndef LATHE_IR_OPS_FOURIER_H
#define LATHE_IR_OPS_FOURIER_H

#include "ir/ops/lower.h"

enum { FOURIER_LENGTH_MAX = 1 << 22, FACTORS_MAX = 8 };

typedef struct Fourier Fourier;
/* Part c (0 real, 1 imaginary; a constant or an axis) of sample n of the signal at `batch`. Where the signal is real only
 * part 0 is asked for. */
typedef Node *FourierSample(const Fourier *fourier, const void *context, Node *const *batch, Node *n, Node *c);

struct Fourier {
    Lower *lower;
    Dtype compute; /* f32 or f64 */
    int batch_rank;
    Node *batch[RANK_MAX]; /* dims of what is transformed at once */
    int place;             /* of the frequencies among the batch dims, in the output */
    Node *length;
    bool inverse;
    bool real;      /* the signal has no imaginary part */
    bool real_only; /* nor has the output */
    FourierSample *sample;
    const void *context;
};

/* Defines the output: [batch before place, frequencies, batch from place, parts]. */
void fourier_define(const Fourier *fourier, Node *out);

/* ---- fourier_tables.c ---- */
/* e^(2 pi i m / n), each part rounded once. */
void root_of_unity(int64_t m, int64_t n, double *real, double *imaginary);
/* N as factors, mostly up to 8, the smallest first; false when there is a large prime among them. */
bool fourier_factors(int64_t length, int *factors, int *count);
/* A constant of f32 or f64. */
Node *fourier_table(const Fourier *fourier, int rank, const int64_t *dims, const double *values);
/* The transform of `count` (a power of two) pairs, in place. */
void fourier_compute(double *pairs, int64_t count, int sign);

#endif
