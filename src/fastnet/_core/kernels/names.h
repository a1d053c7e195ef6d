/* names: the activations and the losses, a row each. Their formulas are in activations.pxi and losses.pxi.
 *
 * From these rows come the codes, the names that Python uses, and the choice among the functions. To add one:
 * a function there, a row here, and its twin in fastnet.reference.
 */
#ifndef FASTNET_NAMES_H
#define FASTNET_NAMES_H

/* Elementwise: name, and how a backward pass gets the slope: from a itself in the tile of the product, or, with
 * END_KEPT, as the forward pass kept it. */
#define ACTIVATIONS(ROW) \
    ROW(identity, END_STORE) \
    ROW(sigmoid, END_SIGMOID) \
    ROW(logistic, END_SIGMOID) \
    ROW(tanh, END_TANH) \
    ROW(relu, END_RELU) \
    ROW(leaky_relu, END_KEPT) \
    ROW(elu, END_KEPT) \
    ROW(selu, END_KEPT) \
    ROW(silu, END_KEPT) \
    ROW(gelu, END_KEPT) \
    ROW(softplus, END_KEPT) \
    ROW(mish, END_KEPT) \
    ROW(exp, END_KEPT)
/* and softmax, which takes a whole column at once */

/* Elementwise losses: name, and the activation it is worked out from the logits of, or -1: from a */
#define LOSSES(ROW) \
    ROW(bce, ACTIVATION_sigmoid) \
    ROW(clipped_bce, ACTIVATION_sigmoid) \
    ROW(poisson, ACTIVATION_exp) \
    ROW(squared_error, -1) \
    ROW(absolute_error, -1) \
    ROW(huber, -1) \
    ROW(quantile, -1)
/* and cross_entropy, which takes a whole column of softmax at once */

#define OPTIMIZERS(ROW) ROW(sgd, 0) ROW(momentum, 0) ROW(adam, 0) ROW(adamw, 0) ROW(rmsprop, 0)

#define ACTIVATION_CODE(name, end) ACTIVATION_##name,
enum { ACTIVATIONS(ACTIVATION_CODE) ACTIVATION_softmax, ACTIVATION_COUNT };
#define LOSS_CODE(name, of) LOSS_##name,
enum { LOSSES(LOSS_CODE) LOSS_cross_entropy, LOSS_COUNT };
#define OPTIMIZER_CODE(name, _) OPTIMIZER_##name,
enum { OPTIMIZERS(OPTIMIZER_CODE) OPTIMIZER_COUNT };

#define NAME_OF(name, _) #name,
static const char *const ACTIVATION_NAMES[] = {ACTIVATIONS(NAME_OF) "softmax"};
static const char *const LOSS_NAMES[] = {LOSSES(NAME_OF) "cross_entropy"};
static const char *const OPTIMIZER_NAMES[] = {OPTIMIZERS(NAME_OF)};
#define ACTIVATION_OF(name, of) of,
static const int LOSS_OF_LOGITS[] = {LOSSES(ACTIVATION_OF) ACTIVATION_softmax};

#endif
