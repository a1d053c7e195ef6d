"""The kernels of one build: all arithmetic of fastnet, compiled once for each instruction set and dtype.

Nothing here touches Python or allocates; engine.pyx calls through the table that this module hands out in a
capsule. Each file says in its first line what it does:

    forward and backward pass       passes.pxi
    matrix products                 product.pxi (few features: narrow.pxi; many zeros: sparse.pxi,
                                    sparse_gradient.pxi)
    activations, losses             activations.pxi, losses.pxi (exp and log: elementary.pxi)
    a step of an optimiser          optimizers.pxi (a scaling layer before the first: scaling.pxi)
    batches and epochs              epoch.pxi (a few examples a batch: row_steps.pxi)
    prediction                      predict.pxi for many rows, small_batch.pxi for one row and a few
    single functions of arrays      functions.pxi, for fastnet.functions
    a raw table, encoded on the way raw.pxi
    random numbers, shuffles        random.pxi, order.pxi
    memory and its layout           arena.pxi (all memory of a training), panels.pxi (how a matrix lies in it)

The words: a *lane* is a number of a vector register, and holds one example (in small_batch.pxi one unit).
A *panel* is a few vectors of columns that lie together in memory. A *chunk* is 64 examples, a *strip* the
examples that go through all layers together, a *block* at most 1024 examples, whose gradients are one sum; a
*tree* adds the sums of blocks.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport isinf, sqrt
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
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
include "kernels/order.pxi"
include "kernels/arena.pxi"
include "kernels/sparse.pxi"
include "kernels/sparse_gradient.pxi"
include "kernels/raw.pxi"
include "kernels/passes.pxi"
include "kernels/optimizers.pxi"
include "kernels/scaling.pxi"
include "kernels/row_steps.pxi"
include "kernels/epoch.pxi"
include "kernels/predict.pxi"
include "kernels/small_batch.pxi"
include "kernels/sparse_layer.pxi"
include "kernels/functions.pxi"

v_prepare()
cdef kernel_table kernels
kernels.isa = FASTNET_ISA_NAME
kernels.itemsize = sizeof(real)
kernels.width = VW
kernels.panel = PW
kernels.set_caches = set_caches
kernels.arena_size = arena_size
kernels.prepare = prepare
kernels.use_rows = use_rows
kernels.train = train
kernels.use_first_weights = use_first_weights
kernels.gradients = gradients
kernels.costs = costs
kernels.read = read_arrays
kernels.write = write_arrays
kernels.steps = get_steps
kernels.set_steps = set_steps
kernels.weights_finite = weights_finite
kernels.moments_finite = moments_finite
kernels.was_sparse = was_sparse
kernels.encode_rows = encode_rows
kernels.predict_size = predict_size
kernels.predict_prepare = predict_prepare
kernels.predict = predict
kernels.small_batch_packed_size = small_batch_packed_size
kernels.small_batch_pack = small_batch_pack
kernels.small_batch_scratch_packed = small_batch_scratch_packed
kernels.small_batch_predict_packed = small_batch_predict_packed
kernels.small_batch_scratch_unpacked = small_batch_scratch_unpacked
kernels.small_batch_predict_unpacked = small_batch_predict_unpacked
kernels.sparse_layer_scratch = sparse_layer_scratch
kernels.sparse_layer = sparse_layer
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
kernels.draw_below = draw_below
kernels.all_below = all_below
kernels.fma_flops = fma_flops

table = PyCapsule_New(&kernels, "fastnet.kernels", NULL)
