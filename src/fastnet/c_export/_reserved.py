"""Names that a C function must not have: keywords, and what the standard library and its headers define.

A function named like one of the library's would take its place in the whole program, also where nothing
includes its header, so the functions of all headers are here (C11 7.1.3, and those of C23 in <math.h>).
"""

from __future__ import annotations

import re

__all__ = ["reserved"]

_KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long
register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
alignas alignof asm bool constexpr false nullptr static_assert thread_local true typeof typeof_unqual main
"""
_MATH = """
acos acosh acospi asin asinh asinpi atan atan2 atan2pi atanh atanpi cbrt ceil canonicalize compoundn copysign
cos cosh cospi daddl ddivl dfmal dmull dsqrtl dsubl drem erf erfc exp exp10 exp10m1 exp2 exp2m1 expm1 fabs
fadd fdim fdiv ffma finite floor fma fmax fmaximum fmaximum_mag fmaximum_mag_num fmaximum_num fmaxmag fmin
fminimum fminimum_mag fminimum_mag_num fminimum_num fminmag fmod fmul frexp fromfp fromfpx fsqrt fsub gamma
getpayload hypot ilogb j0 j1 jn ldexp lgamma llogb llrint llround log log10 log10p1 log1p log2 log2p1 logb
logp1 lrint lround modf nan nearbyint nextafter nextdown nexttoward nextup pow pow10 pown powr remainder
remquo rint rootn round roundeven rsqrt scalb scalbln scalbn setpayload setpayloadsig significand sin sincos
sinh sinpi sqrt tan tanh tanpi tgamma totalorder totalordermag trunc ufromfp ufromfpx y0 y1 yn
"""
_MACROS = """
fpclassify iscanonical iseqsig isfinite isgreater isgreaterequal isinf isless islessequal islessgreater isnan
isnormal issignaling issubnormal isunordered iszero signbit math_errhandling float_t double_t signgam
"""
_OTHERS = """
abort abs acosf aligned_alloc alloca asctime assert at_quick_exit atexit atof atoi atol atoll bcmp bcopy
bsearch btowc bzero calloc clearerr clock clock_t close ctime difftime div div_t errno execve exit
explicit_bzero fclose feof ferror fflush ffs ffsl ffsll fgetc fgetpos fgets fgetwc fgetws fopen fork fprintf
fputc fputs fputwc fputws fread free freopen fscanf fseek fsetpos ftell fwide fwprintf fwrite fwscanf getc
getchar getenv gets getwc getwchar gmtime imaxabs imaxdiv index isalnum isalpha isascii isblank iscntrl
isdigit isgraph islower isprint ispunct isspace isupper iswalnum iswalpha iswblank iswcntrl iswctype iswdigit
iswgraph iswlower iswprint iswpunct iswspace iswupper iswxdigit isxdigit kill labs ldiv linux llabs lldiv
locale_t localeconv localtime longjmp malloc mblen mbrlen mbrtowc mbsinit mbsrtowcs mbstowcs mbtowc memccpy
memchr memcmp memcpy memfrob memmem memmove mempcpy memrchr memset memset_explicit mktime offsetof open perror
posix_memalign printf ptrdiff_t putc putchar puts putwc putwchar qsort quick_exit raise rand rawmemchr read
realloc remove rename rewind rindex scanf setbuf setjmp setlocale setvbuf signal size_t snprintf sprintf srand
sscanf stderr stdin stdout stpcpy stpncpy strcasecmp strcasecmp_l strcasestr strcat strchr strchrnul strcmp
strcoll strcoll_l strcpy strcspn strdup strerror strerror_l strerror_r strfromd strfromf strfroml strfry
strftime strlcat strlcpy strlen strncasecmp strncasecmp_l strncat strncmp strncpy strndup strnlen strpbrk
strrchr strsep strsignal strspn strstr strtod strtof strtoimax strtok strtok_r strtol strtold strtoll strtoul
strtoull strtoumax strverscmp strxfrm strxfrm_l swprintf swscanf system time time_t timespec_get tmpfile
tmpnam toascii tolower toupper towctrans towlower towupper ungetc ungetwc unix va_arg va_copy va_end va_list
va_start vfprintf vfscanf vfwprintf vfwscanf vprintf vscanf vsnprintf vsprintf vsscanf vswprintf vswscanf
vwprintf vwscanf wait wchar_t wcrtomb wcscat wcschr wcscmp wcscoll wcscpy wcscspn wcsftime wcslen wcsncat
wcsncmp wcsncpy wcspbrk wcsrchr wcsrtombs wcsspn wcsstr wcstod wcstof wcstoimax wcstok wcstol wcstold wcstoll
wcstombs wcstoul wcstoull wcstoumax wcsxfrm wctob wctomb wctrans wctype wint_t wmemchr wmemcmp wmemcpy
wmemmove wmemset wprintf write wscanf
"""
_NAMES = frozenset(f"{_KEYWORDS} {_MATH} {_MACROS} {_OTHERS}".split())
# ... of <math.h>, for float, long double and the types of IEEE 754
_SUFFIXED = re.compile(
    rf"({'|'.join([*_MATH.split(), *_MACROS.split()])})(f|l|f32|f64|f128|f32x|f64x|d32|d64|d128)?(_r)?",
    re.ASCII,
)
# types of <stdint.h>, and what headers define as macros: NULL, INFINITY, M_PI, INT8_MAX, FP_NAN, INT64_C, ...
_PATTERNS = re.compile(
    r"u?int(_least|_fast)?\d+_t|u?int(max|ptr)_t|u_?(char|short|int|long|int\d+_t)|NULL|NAN|SNAN\w*|INFINITY|EOF"
    r"|HUGE(_VAL\w*)?|MAXFLOAT|DOMAIN|SING|OVERFLOW|UNDERFLOW|PLOSS|TLOSS|(FP|M|MATH|DEC|FLT|DBL|LDBL)_\w+"
    r"|(U?INT|SIZE|PTRDIFF|SIG_ATOMIC|WCHAR|WINT|RSIZE)\w*_(MAX|MIN|C|WIDTH)|[fd]\d+x?(add|div|fma|mul|sqrt|sub)\w*",
    re.ASCII,
)


def reserved(name: str) -> bool:
    """Tell whether C or its standard library has this name."""
    name = name.removesuffix("_unlocked")  # as in putc_unlocked
    return name in _NAMES or bool(_SUFFIXED.fullmatch(name) or _PATTERNS.fullmatch(name))
