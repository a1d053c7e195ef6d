"""The oracle's encoding of tables: numbers worked out by hand.

Nothing here uses `fastnet.tabular`, which is checked against it in tests/tabular.
"""

import math

from fastnet.reference.tables import (
    encode_category,
    encode_number,
    learn_category,
    learn_number,
    quantile,
    repeated_values,
)

NAN = math.nan


def test_quantiles_lie_between_the_two_nearest() -> None:
    assert [quantile([0.0, 4.0, 6.0], part) for part in (0.0, 0.25, 0.5, 0.75, 1.0)] == [0, 2, 4, 5, 6]


def test_a_number_by_hand() -> None:
    learned = learn_number([4.0, NAN, 0.0, 6.0], bins=2, distinct_bins=0)
    assert learned == {
        "centre": 4.0,
        "scale": 3.0,
        "gaps": True,
        "low": [0.0, 4.0],
        "high": [4.0, 6.0],
        "values": [],
    }
    # z = (x − 4)/3; x = 16: z = 4 and 4/√(1 + 16/9) = 12/5
    assert encode_number(learned, 16.0) == [4 / math.sqrt(1 + (4 / 3) * (4 / 3)), 0.0, 1.0, 1.0]
    assert encode_number(learned, 5.0)[1:] == [0.0, 1.0, 0.0]
    assert encode_number(learned, 1.0)[1:] == [0.0, -0.5, -1.0]
    assert encode_number(learned, NAN) == [0.0, 1.0, 1.0, -1.0]  # as its centre, 4, and told to be a gap


def test_repeated_values_by_hand() -> None:
    amounts = [0.0] * 12 + [500.0] * 6 + [90.0] * 2 + [120.0] * 2 + [float(k) for k in range(1, 3)]
    learned = learn_number(amounts, bins=2, distinct_bins=2)
    assert learned is not None
    assert learned["values"] == [500.0, 90.0, 120.0]  # of as many the smaller one first
    assert encode_number(learned, 90.0)[-3:] == [0.0, 1.0, 0.0]
    assert encode_number(learned, 91.0)[-3:] == encode_number(learned, 0.0)[-3:] == [0.0, 0.0, 0.0]
    assert repeated_values(amounts, 1) == [500.0]
    assert repeated_values([*amounts, 3.0], 9) == []  # 0 is less often there than the others together
    assert repeated_values([0.0, *amounts, *[1.5, 2.5]], 9) == []
    few_often = [0.0] * 12 + [500.0] * 5 + [float(k) for k in range(1, 7)]
    assert repeated_values(few_often, 9) == []  # 6 of the other 11 are there once
    assert learn_number(amounts, distinct_bins=5)["values"] == []  # type: ignore[index]  # bins tell them apart


def test_columns_that_tell_nothing_are_left_out() -> None:
    assert learn_number([NAN, NAN]) is None
    assert learn_number([2.0, 2.0]) is None
    assert learn_number([2.0, NAN]) is not None  # where the gaps are may tell something
    assert learn_category(["a", "a"]) is None
    assert learn_category([None]) is None
    assert learn_category(["a", None]) is not None


def test_categories_by_hand() -> None:
    pair = learn_category(["no", "yes", "no", None])
    assert pair is not None
    assert [encode_category(pair, value) for value in ("no", "yes", None, "?")] == [[-1], [1], [0], [0]]
    three = learn_category(["c", "b", "b", "a", "c", "b"], max_levels=2)
    assert three is not None
    assert three["levels"] == ["b", "c"]
    assert [encode_category(three, value) for value in ("b", "c", "a")] == [[1, 0], [0, 1], [0, 0]]
