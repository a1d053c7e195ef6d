"""What the tests of model files share."""

from __future__ import annotations

import io
import json
from typing import Any

from networks import bits, network

import fastnet as fn
from fastnet.files import description


def described(dtype: str = "float32") -> fn.Network:
    net = network((3, 4, 2), dtype)
    net.classes, net.feature_names = ["left", "ríght"], ["a", "b\n", 'c"']
    net.preprocessing = fn.Standardize([1.0, 2.0, 3.0], [1.0, 0.3, 2.0])
    return net


def saved(net: fn.Network, **how: Any) -> bytes:
    file = io.BytesIO()
    fn.save(net, file, **how)
    return file.getvalue()


def loaded(file: bytes, **how: Any) -> fn.Network:
    return fn.load(io.BytesIO(file), **how)


def assert_same(one: fn.Network, two: fn.Network) -> None:
    assert bits(one) == bits(two)
    assert description.describe_network(one) == description.describe_network(two)
    assert one.dtype == two.dtype
    if one.preprocessing is None or two.preprocessing is None:
        assert one.preprocessing is two.preprocessing
    else:
        assert one.preprocessing.mean.tobytes() == two.preprocessing.mean.tobytes()
        assert one.preprocessing.scale.tobytes() == two.preprocessing.scale.tobytes()


def rewritten(change: Any, checksums: bool = False) -> bytes:
    """Return a file whose header and description went through a function; by default without checksums."""
    file = saved(described())
    length = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + length])
    about = json.loads(header["__metadata__"]["fastnet"])
    change(header, about)
    kept = header["__metadata__"] if checksums else {}
    header["__metadata__"] = kept | {"fastnet": json.dumps(about)}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + file[8 + length :]


def with_value(place: Any, path: str, value: Any) -> None:
    *above, last = (int(key) if key.isdigit() else key for key in path.split("/"))
    for key in above:
        place = place[key]
    place[last] = value
