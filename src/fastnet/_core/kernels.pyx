"""The kernels of one build: all arithmetic of fastnet, compiled once for each instruction set and dtype.

Nothing here touches Python or allocates; engine.pyx calls through the table that this module hands out in a
capsule. Read product.pxi for the matrix products, passes.pxi for the forward and backward pass,
optimizers.pxi for a step, epoch.pxi for batches and epochs.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport isinf, sqrt
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport atoll, getenv
from libc.string cimport memcpy, memset

from fastnet._core.simd cimport *
from fastnet._core.table cimport *

cdef extern from *:
    const char* FASTNET_ISA_NAME

include "kernels/util.pxi"
include "kernels/panels.pxi"
include "kernels/narrow.pxi"
include "kernels/elementary.pxi"
include "kernels/activations.pxi"
include "kernels/product.pxi"
include "kernels/losses.pxi"
include "kernels/random.pxi"
include "kernels/arena.pxi"
include "kernels/sparse.pxi"
include "kernels/passes.pxi"
include "kernels/optimizers.pxi"
include "kernels/scaling.pxi"
include "kernels/epoch.pxi"
include "kernels/predict.pxi"
include "kernels/small_batch.pxi"
include "kernels/single.pxi"

v_prepare()
cdef kernel_table kernels
kernels.isa = FASTNET_ISA_NAME
kernels.itemsize = sizeof(real)
kernels.width = VW
kernels.panel = PW
kernels.set_caches = set_caches
kernels.arena_size = arena_size
kernels.prepare = prepare
kernels.train = train
kernels.gradients = gradients
kernels.costs = costs
kernels.read = read_arrays
kernels.write = write_arrays
kernels.steps = get_steps
kernels.set_steps = set_steps
kernels.weights_finite = weights_finite
kernels.was_sparse = was_sparse
kernels.predict_size = predict_size
kernels.predict_prepare = predict_prepare
kernels.predict = predict
kernels.small_batch_packed_size = small_batch_packed_size
kernels.small_batch_pack = small_batch_pack
kernels.small_batch_scratch_packed = small_batch_scratch_packed
kernels.small_batch_predict_packed = small_batch_predict_packed
kernels.small_batch_scratch_unpacked = small_batch_scratch_unpacked
kernels.small_batch_predict_unpacked = small_batch_predict_unpacked
kernels.dense_backward_size = dense_backward_size
kernels.dense_backward = dense_backward
kernels.activate = activate_array
kernels.multiply = multiply_arrays
kernels.subtract = subtract_arrays
kernels.sigmoid_backward = sigmoid_backward_array
kernels.bce_cost_of_a = bce_cost_of_a
kernels.softmax_backward = softmax_backward
kernels.loss_size = loss_size
kernels.loss = loss_of_logits
kernels.all_finite = all_finite_array
kernels.fma_flops = fma_flops

table = PyCapsule_New(&kernels, "fastnet.kernels", NULL)
