"""How the goals judge a run."""

from __future__ import annotations

from benchmarks import goals
from benchmarks.tests.made_up import results


def test_goals_are_judged_by_least_times_and_medians() -> None:
    found = results()
    found["training"][0]["peer"] = "jax-scan"
    found["training"][0]["ratio"]["least"] = 2.5
    verdicts = {verdict.goal: verdict for verdict in goals.verdicts(found)}
    scan = verdicts["30-100-1, batch 200, float32: times as fast as jax-scan"]
    assert (scan.wanted, scan.least, scan.median, scan.met) == (2.2, 2.5, 2.0, "by one of the two")
    share = verdicts["30-100-1, batch 200, float32, v3: share of the FMA peak"]
    assert (share.wanted, share.met) == (0.52, "no")
    assert verdicts["30-100-1, batch 200, float32: two threads"].met == "yes"
    assert len(verdicts) == 3
    assert goals.table(found).splitlines()[-1].endswith("| yes |")
