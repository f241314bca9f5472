/* What LLVM calls on 32-bit ARM where there is no instruction: conversions between 64-bit integers and floats (RTABI, section 4.1),
 * rounded once to nearest, to integers toward zero. Arguments and results are in integer registers, whatever the rest of the program
 * does. What is out of range never comes: the compiler clamps before. */
#include "runtime/internal.h"

#define IN_INTEGER_REGISTERS __attribute__((pcs("aapcs")))

IN_INTEGER_REGISTERS double __aeabi_l2d(int64_t value);
IN_INTEGER_REGISTERS double __aeabi_ul2d(uint64_t value);
IN_INTEGER_REGISTERS float __aeabi_l2f(int64_t value);
IN_INTEGER_REGISTERS float __aeabi_ul2f(uint64_t value);
IN_INTEGER_REGISTERS int64_t __aeabi_d2lz(double value);
IN_INTEGER_REGISTERS uint64_t __aeabi_d2ulz(double value);
IN_INTEGER_REGISTERS int64_t __aeabi_f2lz(float value);
IN_INTEGER_REGISTERS uint64_t __aeabi_f2ulz(float value);

static const double word = 4294967296.0;

/* Both halves and the product are exact: the sum rounds, once. */
static double double_of(uint32_t high, uint32_t low)
{
    return (double)high * word + (double)low;
}

/* Through double and yet rounded once: bits that double would round away become one bit that says whether there were any. It lies
 * far below what float keeps. */
static float float_of(uint64_t value)
{
    const uint64_t cut = 0x7ff;
    if (value >> 53 != 0)
        value = (value & ~cut) | ((value & cut) != 0 ? cut + 1 : 0);
    return (float)double_of((uint32_t)(value >> 32), (uint32_t)value);
}

static uint64_t integer_of(double value)
{
    const uint32_t high = (uint32_t)(value / word), low = (uint32_t)(value - (double)high * word);
    return (uint64_t)high << 32 | low;
}

double __aeabi_ul2d(uint64_t value)
{
    return double_of((uint32_t)(value >> 32), (uint32_t)value);
}

double __aeabi_l2d(int64_t value)
{
    return (double)(int32_t)(value >> 32) * word + (double)(uint32_t)value;
}

float __aeabi_ul2f(uint64_t value)
{
    return float_of(value);
}

float __aeabi_l2f(int64_t value)
{
    return value < 0 ? -float_of(-(uint64_t)value) : float_of((uint64_t)value);
}

uint64_t __aeabi_d2ulz(double value)
{
    return integer_of(value);
}

int64_t __aeabi_d2lz(double value)
{
    return (int64_t)(value < 0 ? -integer_of(-value) : integer_of(value));
}

uint64_t __aeabi_f2ulz(float value)
{
    return integer_of((double)value);
}

int64_t __aeabi_f2lz(float value)
{
    return __aeabi_d2lz((double)value);
}
