"""CTGAN on a log's events, in its own environment: reads a CSV, writes a CSV of made-up rows.

    python ctgan_events.py EVENTS.csv SECONDS SEED COUNT OUTPUT.csv

A row of the CSV is an event: user, item, rating, weekday, hour, and the user's features. CTGAN has
no notion of a user beyond a column, so `user` is one (a category, as `item` is). It trains for as
many epochs as fit into the seconds; one thread.
"""

import sys
import time

import numpy as np
import pandas as pd
import torch
from ctgan.synthesizers import ctgan


class Timed:
    """Counts epochs until the time is up; put where CTGAN shows its progress."""

    def __init__(self, seconds: float) -> None:
        self.until, self.done = time.perf_counter() + seconds, 0

    def __call__(self, epochs, **_):
        for epoch in epochs:
            if time.perf_counter() >= self.until:
                return
            yield epoch
            self.done += 1


def main(events: str, seconds: str, seed: str, count: str, output: str) -> None:
    """Fits for the time that is given and writes the rows."""
    torch.set_num_threads(1)
    torch.manual_seed(int(seed))
    np.random.seed(int(seed))
    table = pd.read_csv(events, dtype=str)
    ctgan.tqdm = Timed(float(seconds))
    model = ctgan.CTGAN(epochs=100_000, batch_size=500, pac=10, verbose=False, enable_gpu=False)
    model.fit(table, list(table.columns))
    model.sample(int(count)).to_csv(output, index=False)
    print(f"{ctgan.tqdm.done} epochs")


if __name__ == "__main__":
    main(*sys.argv[1:])
