/* names: the activations, the losses and the optimisers, a row each.
 *
 * What can be derived comes from a row: the codes, the names that Python uses, what fits what, and the choice
 * among the functions (choose.h). The formulas are in activations.pxi, losses.pxi and optimizers.pxi.
 * To add one: a function there, a row here, and its twin in fastnet.reference.
 */
#ifndef FASTNET_NAMES_H
#define FASTNET_NAMES_H

/* Activations of one number: name; how a backward pass gets the slope, from a itself in the tile of the
 * product or, with END_KEPT, as the forward pass kept it; and which layers may have it. */
enum { ANY_LAYER, LAST_LAYER };
#define ACTIVATIONS(ROW) \
    ROW(identity, END_IDENTITY, ANY_LAYER) \
    ROW(sigmoid, END_SIGMOID, ANY_LAYER) \
    ROW(logistic, END_SIGMOID, ANY_LAYER) \
    ROW(tanh, END_TANH, ANY_LAYER) \
    ROW(relu, END_RELU, ANY_LAYER) \
    ROW(leaky_relu, END_KEPT, ANY_LAYER) \
    ROW(elu, END_KEPT, ANY_LAYER) \
    ROW(selu, END_KEPT, ANY_LAYER) \
    ROW(silu, END_KEPT, ANY_LAYER) \
    ROW(gelu, END_KEPT, ANY_LAYER) \
    ROW(softplus, END_KEPT, ANY_LAYER) \
    ROW(mish, END_KEPT, ANY_LAYER) \
    ROW(exp, END_KEPT, LAST_LAYER)
/* and softmax, of a whole column at once, for the last layer */

/* Losses of one output: name; the activation whose logits it starts from, or FROM_OUTPUTS; and the targets it
 * is defined for. */
enum { FROM_OUTPUTS = -1 };
enum { TARGETS_ANY, TARGETS_UNIT_INTERVAL, TARGETS_NON_NEGATIVE, TARGETS_DISTRIBUTION };
#define LOSSES(ROW) \
    ROW(bce, ACTIVATION_sigmoid, TARGETS_UNIT_INTERVAL) \
    ROW(clipped_bce, ACTIVATION_sigmoid, TARGETS_UNIT_INTERVAL) \
    ROW(poisson, ACTIVATION_exp, TARGETS_NON_NEGATIVE) \
    ROW(squared_error, FROM_OUTPUTS, TARGETS_ANY) \
    ROW(absolute_error, FROM_OUTPUTS, TARGETS_ANY) \
    ROW(huber, FROM_OUTPUTS, TARGETS_ANY) \
    ROW(quantile, FROM_OUTPUTS, TARGETS_ANY)
/* and cross_entropy, of a whole column of softmax at once: its targets sum to 1 */

/* Optimisers: name; how many numbers it keeps for each weight from batch to batch (at most 2); and which of
 * the fit_options in table.pxd it reads. */
#define OPTIMIZERS(ROW) \
    ROW(sgd, 0, "") \
    ROW(momentum, 1, "momentum nesterov") \
    ROW(adam, 2, "beta_1 beta_2 epsilon") \
    ROW(adamw, 2, "beta_1 beta_2 epsilon weight_decay") \
    ROW(rmsprop, 2, "beta_2 epsilon momentum")

#define ACTIVATION_CODE(name, end, layers) ACTIVATION_##name,
enum { ACTIVATIONS(ACTIVATION_CODE) ACTIVATION_softmax, ACTIVATION_COUNT };
#define LOSS_CODE(name, from, targets) LOSS_##name,
enum { LOSSES(LOSS_CODE) LOSS_cross_entropy, LOSS_COUNT };
#define OPTIMIZER_CODE(name, moments, parameters) OPTIMIZER_##name,
enum { OPTIMIZERS(OPTIMIZER_CODE) OPTIMIZER_COUNT };

#define FIRST_OF(name, second, third) #name,
#define SECOND_OF(name, second, third) second,
#define THIRD_OF(name, second, third) third,
static const char *const ACTIVATION_NAMES[] = {ACTIVATIONS(FIRST_OF) "softmax"};
static const int LAYERS_OF_ACTIVATION[] = {ACTIVATIONS(THIRD_OF) LAST_LAYER};
static const char *const LOSS_NAMES[] = {LOSSES(FIRST_OF) "cross_entropy"};
static const int ACTIVATION_OF_LOSS[] = {LOSSES(SECOND_OF) ACTIVATION_softmax};
static const int TARGETS_OF_LOSS[] = {LOSSES(THIRD_OF) TARGETS_DISTRIBUTION};
static const char *const OPTIMIZER_NAMES[] = {OPTIMIZERS(FIRST_OF)};
static const int MOMENTS_OF_OPTIMIZER[] = {OPTIMIZERS(SECOND_OF)};
static const char *const PARAMETERS_OF_OPTIMIZER[] = {OPTIMIZERS(THIRD_OF)};

#endif
