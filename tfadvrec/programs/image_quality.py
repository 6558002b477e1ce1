"""How good generated digits are, with what stands beside them."""

import numpy as np

from tfadvrec.programs.distances import earth_movers_distance, neighbourhoods
from tfadvrec.programs.images import Images

MADE = 500  # images that are judged, as many as are held out
_FITTED = 5_000  # training images behind the classifier
_SHARE = 0.02  # of a class among generated images that counts as being there


class ImageQuality:
    """Judges images against held-out ones.

    Args:
        images: The set.

    Attributes:
        accuracy: How often the classifier is right on held-out images.
    """

    def __init__(self, images: Images) -> None:
        from sklearn.neighbors import KNeighborsClassifier

        self.images = images
        self.classifier = KNeighborsClassifier(3)
        self.classifier.fit(images.train[:_FITTED], images.train_labels[:_FITTED])
        self.real = images.test[:MADE]
        labels = images.test_labels[:MADE]
        self.shares = np.bincount(labels, minlength=10) / len(labels)
        self.accuracy = float((self.classifier.predict(self.real) == labels).mean())

    def figures(self, made: np.ndarray) -> dict[str, float]:
        """Figures of generated images, `(n, pixels)`.

        Returns:
            `"precision"`, `"coverage"` and `"told_apart"` (see `neighbourhoods`); `"classes"`, the
            share of the ten digits with at least 2% of the images; `"class_distance"`, the total
            variation between their shares and those of held-out images; `"distance"`, the exact
            Wasserstein-1 distance to equally many held-out images; `"copies"`, the share of
            images that equal a training image in every pixel after rounding.
        """
        found = np.bincount(self.classifier.predict(made), minlength=10) / len(made)
        count = min(len(made), len(self.real))
        return {
            **neighbourhoods(self.real, made),
            "classes": float((found >= _SHARE).mean()),
            "class_distance": float(np.abs(found - self.shares).sum() / 2),
            "distance": earth_movers_distance(self.real[:count], made[:count]),
            "copies": self._copies(made),
        }

    def neighbours(self, seed: int) -> dict[str, dict[str, float]]:
        """The same figures of images that no game made."""
        train, generator = self.images.train, np.random.default_rng(seed)
        chosen = generator.choice(len(train), min(MADE, len(train)), replace=False)
        pixels = [generator.choice(column, MADE) for column in train.T]
        return {
            "real training images": self.figures(train[chosen]),
            "one Gaussian": self.figures(_gaussian(train, generator)),
            "independent pixels": self.figures(np.stack(pixels, axis=1)),
        }

    def _copies(self, made: np.ndarray) -> float:
        """Exact copies, at 17 shades as the small set has them."""
        known = {row.tobytes() for row in _shades(self.images.train)}
        return float(np.mean([row.tobytes() in known for row in _shades(made)]))


def _gaussian(train: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    centred = train - train.mean(axis=0)
    # a draw with the covariance of the training images, without its square root
    mix = generator.normal(size=(MADE, len(train))) / np.sqrt(len(train) - 1)
    made = train.mean(axis=0) + (mix @ centred).astype(np.float32)
    return np.clip(made, -1.0, 1.0)


def _shades(images: np.ndarray) -> np.ndarray:
    return np.rint((images + 1) * 8).astype(np.int8)
