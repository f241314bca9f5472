/* What LLVM calls on 32-bit ARM where there is no instruction: integer division (RTABI, section 4.3). Ours, so that a model needs no
 * compiler's library. Division by zero gives 0 with the dividend as the remainder; nothing traps. */
#include "runtime/internal.h"

/* What the RTABI asks for: a quotient and a remainder in registers, which C cannot return for 64 bits. */
uint64_t __aeabi_uidivmod(uint32_t dividend, uint32_t divisor);
uint64_t __aeabi_idivmod(int32_t dividend, int32_t divisor);
uint32_t __aeabi_uidiv(uint32_t dividend, uint32_t divisor);
int32_t __aeabi_idiv(int32_t dividend, int32_t divisor);
void __aeabi_uldivmod(void);
void __aeabi_ldivmod(void);

/* One bit of the quotient at a time, beginning where the divisor's highest bit meets the dividend's. */
static uint64_t divide(uint64_t dividend, uint64_t divisor, uint64_t *remainder)
{
    uint64_t quotient = 0;
    *remainder = dividend;
    if (divisor == 0 || divisor > dividend)
        return 0;
    int shift = __builtin_clzll(divisor) - __builtin_clzll(dividend);
    for (divisor <<= shift; shift >= 0; shift--, divisor >>= 1) {
        quotient <<= 1;
        if (*remainder >= divisor) {
            *remainder -= divisor;
            quotient |= 1;
        }
    }
    return quotient;
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? -(uint64_t)value : (uint64_t)value;
}

static uint64_t signed_as(bool negative, uint64_t value)
{
    return negative ? -value : value;
}

/* Toward zero; the remainder has the dividend's sign. */
static uint64_t divide_signed(int64_t dividend, int64_t divisor, int64_t *remainder)
{
    uint64_t left;
    const uint64_t quotient = divide(magnitude(dividend), magnitude(divisor), &left);
    *remainder = (int64_t)signed_as(dividend < 0, left);
    return signed_as((dividend < 0) != (divisor < 0), quotient);
}

uint64_t __aeabi_uidivmod(uint32_t dividend, uint32_t divisor)
{
    uint64_t remainder;
    const uint64_t quotient = divide(dividend, divisor, &remainder);
    return remainder << 32 | quotient;
}

uint64_t __aeabi_idivmod(int32_t dividend, int32_t divisor)
{
    int64_t remainder;
    const uint64_t quotient = divide_signed(dividend, divisor, &remainder);
    return (uint64_t)remainder << 32 | (uint32_t)quotient;
}

uint32_t __aeabi_uidiv(uint32_t dividend, uint32_t divisor)
{
    return (uint32_t)__aeabi_uidivmod(dividend, divisor);
}

int32_t __aeabi_idiv(int32_t dividend, int32_t divisor)
{
    return (int32_t)(uint32_t)__aeabi_idivmod(dividend, divisor);
}

/* Operands in r0:r1 and r2:r3, quotient to r0:r1, remainder to r2:r3; the C function's third argument is on the stack. */
#define IN_REGISTERS(name, function)                                                                                   \
    __attribute__((naked, used)) void name(void)                                                                       \
    {                                                                                                                  \
        __asm__ volatile("push {r11, lr}\n\t"                                                                          \
                         "sub sp, sp, #16\n\t"                                                                         \
                         "add r12, sp, #8\n\t"                                                                         \
                         "str r12, [sp]\n\t"                                                                           \
                         "bl %c0\n\t"                                                                                  \
                         "ldr r2, [sp, #8]\n\t"                                                                        \
                         "ldr r3, [sp, #12]\n\t"                                                                       \
                         "add sp, sp, #16\n\t"                                                                         \
                         "pop {r11, pc}" ::"i"(function));                                                             \
    }
IN_REGISTERS(__aeabi_uldivmod, divide)
IN_REGISTERS(__aeabi_ldivmod, divide_signed)
