"""Images of digits as vectors between -1 and 1: scikit-learn's, or MNIST where it can be had."""

import os
import queue
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass

import numpy as np
from rich.console import Console

MNIST = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
HELD_OUT = 500  # of the 1,797 small digits
SECONDS = 5.0  # how long the host of the larger set may take to give a sign of life


@dataclass(frozen=True, eq=False, kw_only=True)
class Images:
    """Images as vectors, with what they show.

    Attributes:
        train: float32 `(n, side * side)`, values between -1 and 1.
        train_labels: Digits, int64 `(n,)`.
        test: Held-out images.
        test_labels: Their digits.
        name: A short name.
        origin: Where the set came from, in words.
    """

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    name: str
    origin: str

    @property
    def side(self) -> int:
        """Pixels along an edge."""
        return int(np.sqrt(self.train.shape[1]))

    def describe(self) -> dict[str, object]:
        """What a record says of the set."""
        return {
            "name": self.name,
            "origin": self.origin,
            "real": True,
            "train": len(self.train),
            "test": len(self.test),
            "pixels": self.train.shape[1],
        }


def load_images(which: str = "digits") -> Images:
    """Returns a set of digit images.

    Args:
        which: `"digits"`, 1,797 images of 8 by 8 pixels that scikit-learn ships, or `"mnist"`,
            70,000 of 28 by 28 that Keras downloads once. Where those cannot be had, the small set
            is returned; `origin` and a line on the standard error say so.

    Returns:
        The set. Its division into train and test is always the same.

    Example:
        >>> images = load_images()
        >>> images.train.shape, images.test.shape, images.side
        ((1297, 64), (500, 64), 8)
        >>> float(images.train.min()), float(images.train.max())
        (-1.0, 1.0)
    """
    if which not in ("digits", "mnist"):
        raise ValueError(f"data: expected 'digits' or 'mnist', got {which!r}.")
    if which == "digits":
        return _small("scikit-learn's digits")
    try:
        return _mnist()
    except OSError as error:
        why = f"MNIST could not be had ({error}), so this is scikit-learn's digits"
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"NOT MNIST: {why}.", markup=False)
        return _small(why)


def _small(origin: str) -> Images:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.data))
    pixels = (bunch.data[order] / 8.0 - 1.0).astype(np.float32)  # 0..16 to -1..1
    labels = bunch.target[order].astype(np.int64)
    return Images(
        train=pixels[HELD_OUT:],
        train_labels=labels[HELD_OUT:],
        test=pixels[:HELD_OUT],
        test_labels=labels[:HELD_OUT],
        name="digits",
        origin=origin,
    )


def _mnist() -> Images:
    import keras

    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
    if not os.path.exists(os.path.join(home, "datasets", "mnist.npz")):
        _probe()
    try:
        (train, train_labels), (test, test_labels) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises plain ones when a download breaks off or differs
        raise OSError(f"Keras's download failed: {error}") from error
    return Images(
        train=(train.reshape(len(train), -1) / 127.5 - 1.0).astype(np.float32),
        train_labels=train_labels.astype(np.int64),
        test=(test.reshape(len(test), -1) / 127.5 - 1.0).astype(np.float32),
        test_labels=test_labels.astype(np.int64),
        name="mnist",
        origin="MNIST, through keras.datasets",
    )


def _probe() -> None:
    """Asks the host for a sign of life: without one, Keras would wait for minutes."""
    answer: queue.Queue[str] = queue.Queue()

    def ask() -> None:
        try:
            with urllib.request.urlopen(
                urllib.request.Request(MNIST, method="HEAD"), timeout=SECONDS
            ):
                answer.put("")
        except OSError as error:
            answer.put(str(error) or type(error).__name__)

    # a thread, because no timeout covers a name server that does not answer
    threading.Thread(target=ask, daemon=True).start()
    try:
        reason = answer.get(timeout=SECONDS)
    except queue.Empty:
        reason = f"no answer within {SECONDS:.0f} s"
    if reason:
        raise OSError(f"its host cannot be reached: {reason}")
