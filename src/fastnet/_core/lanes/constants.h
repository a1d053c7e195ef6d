/* Written by tools/polynomials.py, which derives them and says how good they are. Change it there. */
#ifndef FASTNET_CONSTANTS_H
#define FASTNET_CONSTANTS_H

/* exp(x) = 2^n (1 + r + r^2 q(r)), n = round(x log2 e), r = x - n ln 2 (Cody and Waite: ln 2 in two parts) */
static const real LOG2E = IF_DOUBLE(1.4426950408889634, 1.4426950216293335f);
static const real LN2_HI = IF_DOUBLE(0.6931471805598903, 0.693145751953125f);
static const real LN2_LO = IF_DOUBLE(5.497923018708371e-14, 1.428606765330187e-06f);
static const real EXP_LEAST = IF_DOUBLE(-746.0, -104.0f);      /* below: 0 */
static const real EXP_MOST = IF_DOUBLE(710.0, 89.0f);          /* above: infinity */
/* x + ROUND rounds x to a whole number, which is then in the low bits */
static const real ROUND = IF_DOUBLE(6755399441055744.0, 12582912.0f);          /* 1.5 2^52, 1.5 2^23 */
/* 2^(n + BIAS) is in range where 2^n is 0, denormal or infinite; UNBIAS = 2^-BIAS */
static const real BIAS = IF_DOUBLE(512.0, 64.0f);
static const real UNBIAS = IF_DOUBLE(7.458340731200207e-155, 5.421010862427522e-20f);
static const real BIAS_UP = IF_DOUBLE(1.3407807929942597e+154, 18446744073709551616.0f);       /* 2^BIAS */
static const real EXPM1_LEAST = IF_DOUBLE(-40.0, -20.0f);      /* below: e^x - 1 rounds to -1 */
static const real SMALLEST_SCALE = IF_DOUBLE(1e-12, 1e-12f); /* of an input, in scaling.pxi */
static const real LEAST_NORMAL = IF_DOUBLE(2.2250738585072014e-308, 1.17549435e-38f);
/* What counts as 0, see elementary.pxi: 2^-50 (2^-480) in products, 2^-120 (2^-1010) elsewhere */
static const real TINY = IF_DOUBLE(3.2033329522929615e-145, 8.881784197001252e-16f);
static const real LEAST = IF_DOUBLE(9.113902524445497e-305, 7.52316384526264e-37f);
static const real LOG_TINY = IF_DOUBLE(-332.5, -34.5f);        /* of a little more than these */
static const real LOG_LEAST = IF_DOUBLE(-700.0, -83.0f);
/* x + x^3 rounds to x below 2^-30 (2^-60) */
static const real LINEAR = IF_DOUBLE(8.673617379884035e-19, 9.313225746154785e-10f);
/* 2^-13 (2^-30): less of a weight times TINY^2 could be denormal soon */
static const real SMALL_WEIGHT = IF_DOUBLE(9.313225746154785e-10, 0.0001220703125f);
static const real ONE = 1;
static const real SQRT2 = IF_DOUBLE(1.4142135623730951, 1.4142135f);
/* Klambauer, Unterthiner, Mayr, Hochreiter 2017: lambda, and lambda alpha */
static const real SELU_SCALE = IF_DOUBLE(1.0507009873554805, 1.05070099f);
static const real SELU_LOW = IF_DOUBLE(1.7580993408473769, 1.75809934f);

enum { EXP_TERMS = IF_DOUBLE(11, 5), LOG_TERMS = IF_DOUBLE(11, 5) };
static const real EXP_Q[EXP_TERMS] = {
#if FASTNET_REAL_IS_DOUBLE
    0.5, 0.1666666666666668, 0.041666666666666415, 0.008333333333319278, 0.001388888888903289,
    0.00019841269891802095, 2.4801587023893103e-05, 2.755723877402068e-06, 2.7557529074815074e-07,
    2.5110842031187966e-08, 2.083725220187307e-09
#else
    0.4999999403953552f, 0.1666652113199234f, 0.041668254882097244f, 0.008368661627173424f,
    0.0013821454485878348f
#endif
};
/* log(1 + e) = 2 s (1 + m q(m)), s = e/(2 + e), m = s^2, for 0 <= e <= 1;
 * log(f) likewise with s = (f - 1)/(f + 1) for sqrt(1/2) <= f <= sqrt(2) */
static const real LOG_Q[LOG_TERMS] = {
#if FASTNET_REAL_IS_DOUBLE
    0.33333333333333337, 0.19999999999997692, 0.1428571428616679, 0.11111111068504512, 0.09090911377662467,
    0.0769223145198806, 0.06668315632030518, 0.05858874709661404, 0.054804907707411185, 0.03518318719414299,
    0.08200183420678359
#else
    0.3333333730697632f, 0.1999947428703308f, 0.143076092004776f, 0.10721859335899353f, 0.12123171985149384f
#endif
};
/* Phi(-x) = e^(-x^2/2) q(t) / (x + c) for x >= 0, Phi the normal distribution; t = (x - c)/(x + c) = 2 w - 1,
 * w = x/(x + c): one division, and w is exact to its last place where x is small.
 * Phi(-x) = 0 from x = MOST on. DENSITY = 1/sqrt(2 pi) */
static const real PHI_C = IF_DOUBLE(5.5, 3.765625f);
static const real PHI_MOST = IF_DOUBLE(38.75, 14.5f);
static const real PHI_DENSITY = IF_DOUBLE(0.3989422804014327, 0.3989422917366028f);
enum { PHI_TERMS = IF_DOUBLE(22, 9) };
static const real PHI_Q[PHI_TERMS] = {
#if FASTNET_REAL_IS_DOUBLE
    0.7737696342764068, -0.685183420574338, 0.5355964890624939, -0.3670490652936304, 0.21787243285798982,
    -0.10970308995840643, 0.045097580814476255, -0.013923510569806783, 0.002442982676813985,
    0.0002696040303723911, -0.00032452265363675957, 7.141472769825296e-05, 1.6319946668287005e-05,
    -1.2118591240027235e-05, 4.465241302954108e-07, 1.4834226112839939e-06, -2.6814517660449586e-07,
    -1.772827625199313e-07, 5.0636674396422776e-08, 2.290176745606499e-08, -5.812432603171757e-09,
    -2.6278574347283927e-09
#else
    0.7506300806999207f, -0.5895006060600281f, 0.3551720976829529f, -0.15372776985168457f,
    0.03885296359658241f, 0.0007477824692614377f, -0.004192020278424025f, 0.0005837472854182124f,
    0.0004525402910076082f
#endif
};
#endif
