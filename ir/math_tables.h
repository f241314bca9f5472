/* Minimax coefficients of ir/math*.c, lowest power first. Made by ir/math_coefficients.py: do not edit. */
#ifndef LATHE_IR_MATH_TABLES_H
#define LATHE_IR_MATH_TABLES_H

#define TWICE_LN2_F32_1 0x1.62e4000000000p+0
#define TWICE_LN2_F32_2 0x1.7f7d1c0000000p-19
#define LN2_F32_1 0x1.62e4000000000p-1
#define LN2_F32_2 0x1.7f7d1c0000000p-20
#define HALF_LN2_F32_1 0x1.62e4000000000p-2
#define HALF_LN2_F32_2 0x1.7f7d1c0000000p-21
#define LN2_F64_1 0x1.62e42fefa3800p-1
#define LN2_F64_2 0x1.ef35793c76730p-45
#define HALF_PI_1 0x1.921fb54442d18p+0
#define HALF_PI_2 0x1.1a62633145c07p-54
#define HALF_PI_3 -0x1.f1976b7ed8fbcp-110
#define TWO_THIRDS_1 0x1.5555555555555p-1
#define TWO_THIRDS_2 0x1.5555555555555p-55
#define TWO_OVER_PI 0x1.45f306dc9c883p-1

/* exp(r), |r| <= ln 2, from r^2 on: relative error 2^-25.9. */
static const double exp_f32[] = {
    0x1.00000c0000000p-1,
    0x1.5555160000000p-3,
    0x1.5549d00000000p-5,
    0x1.11251c0000000p-7,
    0x1.71c8fc0000000p-10,
    0x1.9c8cde0000000p-13,
};

/* exp(r), |r| <= ln 2 / 2, from r^2 on: relative error 2^-28.2. */
static const double softexp_f32[] = {
    0x1.fffffc0000000p-2,
    0x1.5554940000000p-3,
    0x1.5558880000000p-5,
    0x1.1238520000000p-7,
    0x1.6a79460000000p-10,
};

/* exp(-r), |r| <= ln 2 / 2, from r^2 on: relative error 2^-28.2. */
static const double sigmoid_f32[] = {
    0x1.fffffc0000000p-2,
    -0x1.5554940000000p-3,
    0x1.5558880000000p-5,
    -0x1.1238520000000p-7,
    0x1.6a79460000000p-10,
};

/* exp(-r), |r| <= ln 2 / 2, from r on: relative error 2^-23.4. */
static const double gate_f32[] = {
    -0x1.fffff60000000p-1,
    0x1.fffdc60000000p-2,
    -0x1.555a920000000p-3,
    0x1.573a0a0000000p-5,
    -0x1.0f96540000000p-7,
};

/* (exp(2r) - 1) / 2, |r| <= ln 2 / 4, from r^3 on: relative error 2^-26.1. */
static const double tanh_f32[] = {
    0x1.5554b80000000p-1,
    0x1.5555cc0000000p-2,
    0x1.1222ea0000000p-3,
    0x1.6c3ed60000000p-5,
};

/* exp(r) - 1, |r| <= ln 2 / 2, from r^3 on: relative error 2^-61.4. */
static const double expm1_f64[] = {
    0x1.5555555555559p-3,
    0x1.5555555555559p-5,
    0x1.111111110f71fp-7,
    0x1.6c16c16c16b24p-10,
    0x1.a01a01af8e6cap-13,
    0x1.a01a019c62ef6p-16,
    0x1.71ddf961db00bp-19,
    0x1.27e4fe7050d2cp-22,
    0x1.af5cbbe3b63e4p-26,
    0x1.1f2e725010a11p-29,
};

/* log(1 + f), sqrt(1/2) <= 1 + f <= sqrt(2), from f^3 on: relative error 2^-27.3. */
static const double log_f32[] = {
    0x1.5555540000000p-2,
    -0x1.0002260000000p-2,
    0x1.99a0300000000p-3,
    -0x1.5472b00000000p-3,
    0x1.22d6b40000000p-3,
    -0x1.0d7d900000000p-3,
    0x1.0571440000000p-3,
    -0x1.3917180000000p-4,
};

/* (log((1+s)/(1-s)) - 2s) / s in z = s^2, from z on: relative error 2^-59.5. */
static const double log_f64[] = {
    0x1.5555555555592p-1,
    0x1.999999997ff03p-2,
    0x1.24924941e34b1p-2,
    0x1.c71c5212492a0p-3,
    0x1.74663d6aaa1efp-3,
    0x1.39a1da8e6e2cep-3,
    0x1.2f0457f554becp-3,
};

/* (log((1+s)/(1-s)) - 2s) / s^3 in z = s^2, from z on: relative error 2^-73.5. */
static const double log_pow[] = {
    0x1.9999999999996p-2,
    0x1.2492492492f51p-2,
    0x1.c71c71c5968bep-3,
    0x1.745d18295a4dep-3,
    0x1.3b1364c7c7923p-3,
    0x1.11206f78d000bp-3,
    0x1.de3d626ec4b26p-4,
    0x1.eac64486d01cep-4,
};

/* log2(1 - erf(a)) / a, 0 <= a <= 4, relative to erf: relative error 2^-27.3. */
static const double erf_f32[] = {
    -0x1.a0be840000000p+0,
    -0x1.d63ebc0000000p-1,
    -0x1.2fada80000000p-3,
    0x1.c4fdc60000000p-6,
    0x1.973b3c0000000p-13,
    -0x1.3570960000000p-9,
    0x1.cffb1a0000000p-11,
    -0x1.5128000000000p-13,
    0x1.9a46ac0000000p-17,
};

/* 1 - 2^r, |r| <= 1/2, from r on: relative error 2^-26.1. */
static const double exp2m1_f32[] = {
    -0x1.62e4300000000p-1,
    -0x1.ebfbde0000000p-3,
    -0x1.c6af960000000p-5,
    -0x1.3b2c900000000p-7,
    -0x1.5ef9a20000000p-10,
    -0x1.4254ac0000000p-13,
};

/* erf(x) / x - 1 in z = x^2, |x| <= 1: relative error 2^-56.3. */
static const double erf_f64[] = {
    0x1.06eba8214db69p-3,
    -0x1.812746b037a25p-2,
    0x1.ce2f21a0458d7p-4,
    -0x1.b82ce31354c46p-6,
    0x1.565bcd2c606f8p-8,
    -0x1.c02db93277bccp-11,
    0x1.f9a3b93b7b7ccp-14,
    -0x1.f4dcef38b271cp-17,
    0x1.ba68f57dbe794p-20,
    -0x1.638fa26760d36p-23,
    0x1.131a0b38b8a6dp-26,
    -0x1.c48e7db44177bp-30,
    0x1.3b62c2e54c2aap-33,
};

/* exp(x^2) erfc(x) in t = (x - 2) / (x + 2), 1 <= x <= 6, relative to erf: relative error 2^-60.1. */
static const double erfc_f64[] = {
    0x1.058671b52c776p-2,
    -0x1.b57034efd3f68p-2,
    0x1.eeea7dc8a77dep-3,
    -0x1.437f0b68caabep-4,
    0x1.e947158e1f8f7p-9,
    0x1.ca95ed85fd5ebp-8,
    -0x1.bc258fa600196p-11,
    -0x1.016b565aeb8b0p-10,
    0x1.6d35ff2a0bf54p-15,
    0x1.6d83d2d99b2d1p-13,
    0x1.cf80dcfc568b2p-16,
    -0x1.be7895fca3015p-16,
    -0x1.a85b197e91d3cp-17,
};

/* sin(r) / r in z = r^2, |r| <= pi / 4, from z on: relative error 2^-63.2. */
static const double sin_f64[] = {
    -0x1.5555555555555p-3,
    0x1.1111111111069p-7,
    -0x1.a01a019ffe523p-13,
    0x1.71de3a33a57fap-19,
    -0x1.ae642c51b36cdp-26,
    0x1.6109bd7d485a5p-33,
    -0x1.9ffd80752250dp-41,
};

/* cos(r) in z = r^2, from z^2 on: relative error 2^-63.9. */
static const double cos_f64[] = {
    0x1.555555555554bp-5,
    -0x1.6c16c16c15014p-10,
    0x1.a01a019c8efaap-16,
    -0x1.27e4f7f168d28p-22,
    0x1.1ee9dbae38063p-29,
    -0x1.8fa6714b4ac01p-37,
};

/* the same for results in f32: relative error 2^-37.5. */
static const double sin_short[] = {
    -0x1.5555554c70f92p-3,
    0x1.11110869c043ap-7,
    -0x1.a00f7ea4f8961p-13,
    0x1.6cd1d2df17a12p-19,
};

/* the same for results in f32: relative error 2^-33.0. */
static const double cos_short[] = {
    0x1.55554a1082ef6p-5,
    -0x1.6c0c3320dd608p-10,
    0x1.99eb74ac09db7p-16,
};

/* atan(x) / x in z = x^2, |x| <= tan(pi / 8), from z on: relative error 2^-59.4. */
static const double atan_f64[] = {
    -0x1.555555555553dp-2,
    0x1.9999999995863p-3,
    -0x1.24924922ad16dp-3,
    0x1.c71c70e5ec3bdp-4,
    -0x1.745cf8d803818p-4,
    0x1.3b1118c9a6b3bp-4,
    -0x1.10ebb48647c2bp-4,
    0x1.df0f14568f1b2p-5,
    -0x1.9cd1c6d05a2bcp-5,
    0x1.37d339627d7edp-5,
    -0x1.25651e19544aep-6,
};

/* asin(x) / x in z = x^2, |x| <= 1/2, from z on: relative error 2^-59.9. */
static const double asin_f64[] = {
    0x1.5555555555577p-3,
    0x1.333333332e131p-4,
    0x1.6db6db7212687p-5,
    0x1.f1c71a94f2d7ep-6,
    0x1.6e8bdee03b0abp-6,
    0x1.1c49f05dc3191p-6,
    0x1.ca1f8d4df69f5p-7,
    0x1.75858b21c67dap-7,
    0x1.613c820f10e7bp-7,
    0x1.e5f645e84e924p-9,
    0x1.639c2e404ab9fp-6,
    -0x1.57fd0d540cf20p-6,
    0x1.0b469652122f0p-5,
};

/* sinh(x) / x in z = x^2, |x| <= 1, from z on: relative error 2^-63.0. */
static const double sinh_f64[] = {
    0x1.5555555555555p-3,
    0x1.111111111119bp-7,
    0x1.a01a01a00735dp-13,
    0x1.71de3a68cfedcp-19,
    0x1.ae644123058aap-26,
    0x1.61314cfe3998ep-33,
    0x1.a66593316eecbp-41,
    0x1.d293942c45b42p-48,
};

#endif
