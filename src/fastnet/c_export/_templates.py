"""The pieces of C code that an exported network is made of: exp, the activations, the matrix product.

Each of `FUNCTIONS` repeats the function of the same name in `_core/kernels/activations.pxi` for one number,
operation by operation, with the constants of `_core/lanes/constants.h`, which tools/polynomials.py derives.
`tests/api/test_c_export.py` compares the bits.
"""

from __future__ import annotations

__all__ = ["CONTRACT_OFF", "DENSE", "FUNCTIONS", "HEAD", "LOG_LEAST", "c_functions", "takes_least"]

# A product and a sum stay two operations: by default gcc makes one of them if it can, with other bits
CONTRACT_OFF = """\
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=off")
#else
#pragma STDC FP_CONTRACT OFF
#endif
"""

# What `real`, `bits` and `FMA` mean in the code below, for each dtype
HEAD = {
    "float32": """\
typedef float real;
typedef uint32_t bits;
#define MANTISSA_BITS 23

#ifdef FP_FAST_FMAF
#define FMA(a, b, c) fmaf(a, b, c)
#else /* a double holds the product exactly, and the sum all but exactly */
static real FMA(real a, real b, real c) { return (real)((double)a * b + c); }
#endif
""",
    "float64": """\
typedef double real;
typedef uint64_t bits;
#define MANTISSA_BITS 52

#define FMA(a, b, c) fma(a, b, c)
""",
}

_EXP_Q = {
    "float32": """\
    0.4999999403953552f, 0.1666652113199234f, 0.041668254882097244f, 0.008368661627173424f,
    0.0013821454485878348f""",
    "float64": """\
    0.5, 0.1666666666666668, 0.041666666666666415, 0.008333333333319278, 0.001388888888903289,
    0.00019841269891802095, 2.4801587023893103e-05, 2.755723877402068e-06, 2.7557529074815074e-07,
    2.5110842031187966e-08, 2.083725220187307e-09""",
}
_LOG_Q = {
    "float32": """\
    0.3333333730697632f, 0.1999947428703308f, 0.143076092004776f, 0.10721859335899353f,
    0.12123171985149384f""",
    "float64": """\
    0.33333333333333337, 0.19999999999997692, 0.1428571428616679, 0.11111111068504512, 0.09090911377662467,
    0.0769223145198806, 0.06668315632030518, 0.05858874709661404, 0.054804907707411185, 0.03518318719414299,
    0.08200183420678359""",
}
_PHI_Q = {
    "float32": """\
    0.7506300806999207f, -0.5895006060600281f, 0.3551720976829529f, -0.15372776985168457f,
    0.03885296359658241f, 0.0007477824692614377f, -0.004192020278424025f, 0.0005837472854182124f,
    0.0004525402910076082f""",
    "float64": """\
    0.7737696342764068, -0.685183420574338, 0.5355964890624939, -0.3670490652936304, 0.21787243285798982,
    -0.10970308995840643, 0.045097580814476255, -0.013923510569806783, 0.002442982676813985,
    0.0002696040303723911, -0.00032452265363675957, 7.141472769825296e-05, 1.6319946668287005e-05,
    -1.2118591240027235e-05, 4.465241302954108e-07, 1.4834226112839939e-06, -2.6814517660449586e-07,
    -1.772827625199313e-07, 5.0636674396422776e-08, 2.290176745606499e-08, -5.812432603171757e-09,
    -2.6278574347283927e-09""",
}

# In the texts below @NAME stands for one of these; (float32, float64)
_CONSTANTS = {
    "LOG2E": ("1.4426950216293335f", "1.4426950408889634"),
    "LN2_HI": ("0.693145751953125f", "0.6931471805598903"),
    "LN2_LO": ("1.428606765330187e-06f", "5.497923018708371e-14"),
    "EXP_MOST": ("89.0f", "710.0"),
    "LINEAR": ("9.313225746154785e-10f", "8.673617379884035e-19"),
    "ROUND": ("12582912.0f", "6755399441055744.0"),
    "BIAS_UP": ("18446744073709551616.0f", "1.3407807929942597e+154"),
    "BIAS": ("64.0f", "512.0"),
    "UNBIAS": ("5.421010862427522e-20f", "7.458340731200207e-155"),
    "EXPM1_LEAST": ("-20.0f", "-40.0"),
    "SELU_SCALE": ("1.05070099f", "1.0507009873554805"),
    "SELU_LOW": ("1.75809934f", "1.7580993408473769"),
    "PHI_C": ("3.765625f", "5.5"),
    "PHI_MOST": ("14.5f", "38.75"),
    "SLOPE": ("0.01f", "0.01"),
    "HALF": ("0.5f", "0.5"),
}

# name: what must come before it, and its text; z is one number, a a row of n
FUNCTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "scale_of": (
        (),
        """\
/* c[0] + c[1] x + ... + c[n-1] x^(n-1): even and odd powers apart */
static real polynomial(const real *c, int n, real x)
{
    const real square = x * x;
    int even = (n - 1) / 2 * 2, odd = n / 2 * 2 - 1;
    real y = c[even], z = c[odd];
    while (even > 0)
        y = FMA(y, square, c[even -= 2]);
    while (odd > 1)
        z = FMA(z, square, c[odd -= 2]);
    return FMA(z, x, y);
}

/* p 2^n: t has n plus a bias in its low bits, and unbias is 2^-bias */
static real scale_of(real p, real t, real unbias)
{
    bits sum, power;
    memcpy(&sum, &p, sizeof sum);
    memcpy(&power, &t, sizeof power);
    sum += power << MANTISSA_BITS;
    memcpy(&p, &sum, sizeof p);
    return p * unbias;
}

/* e^x = 2^n (1 + r + r^2 q(r)), n = round(x log2 e), r = x - n ln 2 */
static const real EXP_Q[] = {
@EXP_Q};
#define EXP_TERMS ((int)(sizeof EXP_Q / sizeof *EXP_Q))
""",
    ),
    "exp_scaled": (
        ("scale_of",),
        """\
/* e^(x + tail) */
static real exp_scaled(real x, real tail, real bias, real unbias)
{
    const real shift = @ROUND + bias;
    const real t = FMA(x, @LOG2E, shift);
    const real n = t - shift;
    const real r = FMA(-n, @LN2_LO, FMA(-n, @LN2_HI, x)) + tail;
    return scale_of(FMA(polynomial(EXP_Q, EXP_TERMS, r), r * r, r) + 1, t, unbias);
}
""",
    ),
    "exp_of_negative": (
        ("exp_scaled",),
        """\
/* e^x for least <= x <= 0, within 1.1 ULP, and 0 below: no denormal number slows down what comes next */
static real exp_of_negative(real x, real least)
{
    return x < least ? 0 : exp_scaled(x, 0, @BIAS, @UNBIAS);
}
""",
    ),
    "expm1_of_negative": (
        ("scale_of",),
        """\
/* e^x - 1 for x <= 0, within 1.5 ULP, as 2^n p + (2^n - 1), e^r = 1 + p */
static real expm1_of_negative(real x)
{
    const real y = x < @EXPM1_LEAST ? @EXPM1_LEAST : x;
    const real t = FMA(y, @LOG2E, @ROUND);
    const real n = t - @ROUND;
    const real r = FMA(-n, @LN2_LO, FMA(-n, @LN2_HI, y));
    const real p = FMA(polynomial(EXP_Q, EXP_TERMS, r), r * r, r);
    const real power = scale_of(1, t, 1);
    return FMA(power, p, power - 1);
}
""",
    ),
    "exp": (
        ("exp_scaled",),
        """\
/* e^z, within 1.1 ULP */
static real act_exp(real z, real least)
{
    const real x = z > @EXP_MOST ? @EXP_MOST : z;
    if (z < least)
        return 0;
    return z < 0 ? exp_scaled(x, 0, @BIAS, @UNBIAS) : exp_scaled(x, 0, -@BIAS, @BIAS_UP);
}
""",
    ),
    "sigmoid": (
        ("exp_of_negative",),
        """\
/* 1/(1 + e^-z), within 2 ULP */
static real act_sigmoid(real z, real least)
{
    const real e = exp_of_negative(z < 0 ? z : -z, least);
    const real s = z < 0 ? e : 1;
    return FMA(-s, e / (1 + e), s);
}
""",
    ),
    "logistic": (
        ("exp_of_negative",),
        """\
/* 1/(1 + e^-z), within 2.5 ULP, as scikit-learn rounds it */
static real act_logistic(real z, real least)
{
    const real e = exp_of_negative(z < 0 ? z : -z, least);
    return (z < 0 ? e : 1) / (1 + e);
}
""",
    ),
    "tanh": (
        ("expm1_of_negative",),
        """\
/* tanh z, within 4 ULP */
static real act_tanh(real z)
{
    const real x = z < 0 ? z : -z;
    const real m = expm1_of_negative(x + x);
    return z < 0 ? m / (2 + m) : -(m / (2 + m));
}
""",
    ),
    "relu": ((), "static real act_relu(real z) { return z > 0 ? z : 0; }\n"),
    "leaky_relu": ((), "static real act_leaky_relu(real z) { return z > 0 ? z : @SLOPE * z; }\n"),
    "elu": (
        ("expm1_of_negative",),
        "static real act_elu(real z) { return z > 0 ? z : expm1_of_negative(z); }\n",
    ),
    "selu": (
        ("expm1_of_negative",),
        """\
static real act_selu(real z)
{
    return z > 0 ? @SELU_SCALE * z : @SELU_LOW * expm1_of_negative(z);
}
""",
    ),
    "silu": (
        ("sigmoid",),
        "static real act_silu(real z, real least) { return z * act_sigmoid(z, least); }\n",
    ),
    "gelu": (
        ("exp_scaled",),
        """\
/* z Phi(z), within 5 ULP; Phi(-x) = e^(-x^2/2) q(2 w - 1) / (x + c), w = x/(x + c) */
static const real PHI_Q[] = {
@PHI_Q};

static real act_gelu(real z, real least)
{
    const real size = z < 0 ? -z : z;
    const real x = size < @PHI_MOST ? size : @PHI_MOST;
    const real w = x * (1 / (x + @PHI_C));
    const real q = polynomial(PHI_Q, (int)(sizeof PHI_Q / sizeof *PHI_Q), w + w - 1);
    const real square = x * x;
    const real y = -(@HALF * square);
    const real e = y < least ? 0 : exp_scaled(y, @HALF * FMA(-x, x, square), @BIAS, @UNBIAS);
    return (z > 0 ? z : 0) - w * q * e;
}
""",
    ),
    "softplus": (
        ("exp_of_negative",),
        """\
/* log(1 + e^z) within 3 ULP; log(1 + e) = 2 s (1 + m q(m)), s = e/(2 + e), m = s^2 */
static const real LOG_Q[] = {
@LOG_Q};

static real act_softplus(real z, real least)
{
    const real e = exp_of_negative(z < 0 ? z : -z, least);
    const real s = e / (e + 2);
    const real m = s < @LINEAR ? 0 : s * s;
    const real q = polynomial(LOG_Q, (int)(sizeof LOG_Q / sizeof *LOG_Q), m);
    return (z > 0 ? z : 0) + FMA((s + s) * m, q, s + s);
}
""",
    ),
    "mish": (
        ("exp_of_negative",),
        """\
/* z tanh(log(1 + e^z)), within 6 ULP */
static real act_mish(real z, real least)
{
    const real e = exp_of_negative(z < 0 ? z : -z, least);
    const real n = z < 0 ? e * (2 + e) : FMA(2, e, 1);
    return z * (n / (n + (z < 0 ? 2 : (e + e) * e)));
}
""",
    ),
    "softmax": (
        ("exp_of_negative",),
        """\
static void softmax(real *a, int n, real least)
{
    real most = a[0], sum = 0;
    int i;
    for (i = 1; i < n; i++)
        most = a[i] > most ? a[i] : most;
    for (i = 0; i < n; i++) {
        a[i] = exp_of_negative(a[i] - most, least);
        sum += a[i];
    }
    sum = 1 / sum;
    for (i = 0; i < n; i++)
        a[i] *= sum;
}
""",
    ),
}

DENSE = """\
/* z = W a + b */
static void dense(const real *W, const real *b, const real *a, real *z, int n_out, int n_in)
{
    int i, k;
    for (i = 0; i < n_out; i++) {
        real sum = b[i];
        for (k = 0; k < n_in; k++)
            sum = FMA(W[k], a[k], sum);
        z[i] = sum;
        W += n_in;
    }
}
"""


# Exponentials are 0 where their logarithm is below this: in hidden layers, and in the last one
LOG_LEAST = {"float32": ("-34.5f", "-83.0f"), "float64": ("-332.5", "-700.0")}


def takes_least(activation: str) -> bool:
    """Return whether the function of an activation has the parameter `least`."""
    return "real least)" in FUNCTIONS[activation][1]


def c_functions(activations: list[str], dtype: str) -> list[str]:
    """Return the C code of some activations and of what they call, each once, callees first."""
    names: list[str] = []

    def need(name: str) -> None:
        before, _ = FUNCTIONS[name]
        for other in before:
            need(other)
        if name not in names:
            names.append(name)

    for activation in activations:
        if activation != "identity":
            need(activation)
    return [_filled(FUNCTIONS[name][1], dtype) for name in names]


def _filled(template: str, dtype: str) -> str:
    tables = {"EXP_Q": _EXP_Q, "LOG_Q": _LOG_Q, "PHI_Q": _PHI_Q}
    for name, table in tables.items():
        template = template.replace(f"@{name}", table[dtype])
    for name in sorted(_CONSTANTS, key=len, reverse=True):  # BIAS is in BIAS_UP
        template = template.replace(f"@{name}", _CONSTANTS[name][dtype == "float64"])
    return template
