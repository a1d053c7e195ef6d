"""fastnet against its peers: ``python -m benchmarks`` and ``pytest benchmarks`` (see README.md here)."""

import os

# Peers get all that the CPU has: what holds them back may be set for the whole machine. With
# OPENBLAS_CORETYPE=Haswell, NumPy's products on a CPU with AVX-512 take twice as long. Their libraries read
# these when they are loaded, which is after this.
for _name in (
    *("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "MKL_CBWR"),
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "NPY_DISABLE_CPU_FEATURES"),
):
    os.environ.pop(_name, None)
