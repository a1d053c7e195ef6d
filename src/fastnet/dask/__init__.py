"""Training on data that lie on several machines: MLPClassifier and MLPRegressor for dask.

>>> from fastnet.dask import MLPClassifier, MLPRegressor

They are the estimators of `fastnet.sklearn` with the solver "lbfgs", for dask arrays and data frames. The
result has the bits of `fastnet.sklearn` on the whole data in one process, whatever the chunks and the number
of workers. scikit-learn is needed to import this module, dask and distributed to use it.
"""

from fastnet.dask.estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
