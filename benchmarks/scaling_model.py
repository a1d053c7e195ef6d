"""How much faster L-BFGS is on several machines: the model of docs/guides/scaling.md, as a table.

    python benchmarks/scaling_model.py

One evaluation of cost and gradient by m machines takes

    rows * ROW / m  +  CALL  +  m * (TASK + 2 * bytes of the weights / NETWORK)

seconds: the rows are shared, and the driver talks to each machine in turn. The constants were measured with
28-64-1 in float64 and Dask on one machine; the network is one of 1 Gbit/s. Two workers on two cores were 8 %
off the model.
"""

from __future__ import annotations

ROW = 194e-9  # for a row, on one core
CALL = 17e-3  # for an evaluation, whatever there is to do
TASK = 0.75e-3  # for a worker's task
NETWORK = 1e9 / 8  # bytes a second
WEIGHTS = 8 * (28 * 64 + 64 + 64 + 1)  # bytes


def seconds(rows: float, machines: int) -> float:
    """Return the time of one evaluation."""
    return rows * ROW / machines + CALL + machines * (TASK + 2 * WEIGHTS / NETWORK)


def main() -> None:
    """Print how many times as fast some numbers of machines are as one."""
    machines = (1, 2, 10, 100, 1000)
    print("rows         " + "".join(f"{f'{m} machines':>15}" for m in machines[1:]))
    for rows in (2e6, 1e8, 1e9):
        gains = (seconds(rows, 1) / seconds(rows, m) for m in machines[1:])
        print(f"{rows:13,.0f}" + "".join(f"{gain:14.1f}x" for gain in gains))


if __name__ == "__main__":
    main()
