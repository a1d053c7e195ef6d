"""Children forked while threads of the parent use the same network: none hangs, none is refused."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FORKS = """
import io, os, signal, sys, tempfile, threading, time, warnings
import numpy as np
import fastnet as fn
from fastnet import c_export

warnings.simplefilter("ignore")
count, folder = int(sys.argv[1]), tempfile.mkdtemp()
net = fn.Network([fn.Layer(20, 50, "relu", seed=1), fn.Layer(50, 1, seed=2)])
trainer = fn.Trainer(net, optimizer="adam")
X = np.random.default_rng(0).normal(size=(20, 500))
T = (X[:1] > 0).astype(float)
few = X[:, :3]

def fit(name):
    try:
        net.fit(X, T, epochs=1, batch_size=100, n_threads=2)
        trainer.fit_one_epoch(X, T)
    except RuntimeError:  # two threads fit this network: one at a time
        pass

def save(name):
    fn.save(net, os.path.join(folder, f"{name}.safetensors"))
    fn.load(os.path.join(folder, f"{name}.safetensors")).predict_proba(few)

USES = {
    "predict": lambda name: (net.predict_proba(X, n_threads=2), net.predict_proba(few), net.forward(X)),
    "fit": fit,
    "fit too": fit,
    "save": save,
    "compile": lambda name: net.compile()(X),
    "shuffle": lambda name: (fn.reference.permutation(50, 1, 2), net.loss(X, T), net.gradients(X, T)),
    "export": lambda name: c_export.export(net, os.path.join(folder, f"{name}.c")),
}
stop = threading.Event()

def work(name):
    while not stop.is_set():
        USES[name](name)

def child():
    signal.alarm(20)  # kills a child that hangs
    weights = [layer.W.copy() for layer in net.layers]
    net.fit(X, T, epochs=1, batch_size=100)  # nobody else is here: it may not be refused
    trainer.fit_one_epoch(X, T)
    assert not all(np.array_equal(W, layer.W) for W, layer in zip(weights, net.layers))
    for name in USES:
        USES[name](f"{name}.{os.getpid()}")

sys.setswitchinterval(1e-5)
workers = [threading.Thread(target=work, args=(name,), daemon=True) for name in USES]
for worker in workers:
    worker.start()
answered, failed = 0, []
for k in range(count):
    time.sleep(0.0005 * (k % 7))
    pid = os.fork()
    if pid == 0:
        try:
            child()
        except BaseException as error:
            print("child:", type(error).__name__, error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    answered += status == 0
stop.set()
for worker in workers:
    worker.join(60)
print(answered, "of", count, "and", sum(worker.is_alive() for worker in workers), "threads hang")
"""


FIRST_FORK = """
import os, sys, threading
import fastnet

go_on = threading.Event()
thread = threading.Thread(target=go_on.wait)
thread.start()
child = os.fork()
if child == 0:
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "fastnet.training.many" in sys.modules)
go_on.set()
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_is_loaded_before_a_fork_releases_no_lock_that_it_does_not_hold() -> None:
    """Python runs what a module asks for after a fork, also if it was loaded only while the fork began."""
    run = [sys.executable, "-W", "ignore", "-c", FIRST_FORK]
    result = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
    assert (result.stdout, result.stderr) == ("0 True\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_children_of_a_parent_whose_threads_use_the_network() -> None:
    result = subprocess.run(
        [sys.executable, "-c", FORKS, "200"], capture_output=True, text=True, timeout=500, check=False
    )
    assert result.stdout == "200 of 200 and 0 threads hang\n", result.stderr[-2000:]
