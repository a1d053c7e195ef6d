# The weights of layers, which several layers change in one step: see fastnet.layer.
# Uses: nothing

cdef class Publication:
    """New weights of several layers, which all become valid in the one step that sets `done`."""
    cdef readonly bint done

    def __init__(self, bint done=False):
        self.done = done


cdef class LayerWeights:
    """W and b of a layer. They count once their publication is done; until then those in `before` count.

    `version` is another object after each assignment to W or b: who keeps it can tell that they are the same.
    """
    cdef public object W, b, version
    cdef readonly Publication publication
    cdef readonly LayerWeights before

    def __init__(self, W, b, Publication publication not None, LayerWeights before=None):
        self.W, self.b, self.publication, self.before = W, b, publication, before
        self.version = object()


cdef LayerWeights valid(LayerWeights latest):
    cdef LayerWeights before = latest.before       # read first: it is given up once the publication is done
    return latest if latest.publication.done or before is None else before


def valid_weights(LayerWeights latest not None):
    """Those of a layer that are valid now, of the latest and those before."""
    return valid(latest)


def weights_of(tuple layers):
    """Lists of version, W and b of all layers, as one finished fit left them."""
    cdef LayerWeights weights
    cdef list found = [valid(layer.latest) for layer in layers], versions = [], W = [], b = []
    cdef Py_ssize_t k = 0
    while k < len(found):
        if valid(layers[k].latest) is not found[k]:    # a fit has published meanwhile, in another thread
            return weights_of(layers)
        weights = found[k]
        versions.append(weights.version)               # first: see the setters of fastnet.layer
        W.append(weights.W)
        b.append(weights.b)
        k += 1
    return versions, W, b


def publish(tuple layers, list W, list b):
    """Give all layers new arrays, which nobody else holds, in one step; an error leaves the old ones."""
    cdef Publication publication = Publication()
    cdef LayerWeights latest, before
    if not len(layers) == len(W) == len(b):
        raise ValueError(f"W and b must be of {len(layers)} layers, got {len(W)} and {len(b)}")
    for layer, new_W, new_b in zip(layers, W, b):
        before = valid(layer.latest)
        before.before = None
        layer.latest = LayerWeights(new_W, new_b, publication, before)
    publication.done = True                        # the one step: before it all layers have their old weights
    for layer in layers:
        latest = valid(layer.latest)
        latest.before = None                       # frees the old ones
