"""A servable whose answers are plain to see, made without the export."""

import tensorflow as tf


class Plain(tf.Module):
    """One signature for each thing that a server or a client must get right."""

    def __init__(self):
        super().__init__(name="plain")
        self.one = tf.Variable(1.0, trainable=False)

    def add_one(self, x):
        return {"y": x + self.one}

    def affine(self, x, factor, shift):
        return {"result": x * factor + shift, "positive": x > 0}

    def echo(self, text, small, large, flag):
        return {"text": text, "small": small, "large": large, "flag": flag}

    def join(self, text):
        return {"joined": tf.strings.reduce_join(text, axis=1, separator="|")}

    def total(self, x):
        return {"sum": tf.reduce_sum(x)}  # no axis 0: not fit for batches

    def generate(self, user_id, seed):
        known = user_id != "nobody"
        profile = tf.stack([tf.cast(seed, tf.float32)] * 3, axis=1)
        return {"profile": profile, "known_user": known}  # (batch, 3, 2)

    def detect(self, profile):
        return {"p_fake": tf.reduce_mean(profile, axis=1)}

    def recommend(self, history):
        score = tf.constant([[3.0, 2.0, 1.0]])
        masked = tf.where(history == "", tf.float32.min, score)
        return {"item_id": history, "score": masked, "known_user": history[:, 0] != ""}


def save_plain(folder):
    """Writes the servable and gives its folder."""
    plain = Plain()

    def spec(name, dtype=tf.float32, *width):
        return tf.TensorSpec([None, *width], dtype, name=name)

    factor, shift = tf.constant([10.0]), tf.constant([0.5])

    @tf.function(input_signature=[spec("x"), spec("factor"), spec("shift")])
    def affine(x, factor=factor, shift=shift):
        return plain.affine(x, factor, shift)

    inputs = {
        "add_one": [spec("x")],
        "echo": [
            spec("text", tf.string, None),
            spec("small", tf.int32),
            spec("large", tf.int64),
            spec("flag", tf.bool),
        ],
        "join": [spec("text", tf.string, None)],
        "total": [spec("x")],
        "generate": [spec("user_id", tf.string), spec("seed", tf.int64, 2)],
        "detect": [spec("profile", tf.float32, 4)],
        "recommend": [spec("history", tf.string, 3)],
    }
    signatures = {
        name: tf.function(getattr(plain, name), input_signature=specs)
        for name, specs in inputs.items()
    }
    plain.functions = [affine, *signatures.values()]
    signatures |= {"affine": affine, "serving_default": signatures.pop("add_one")}
    tf.saved_model.save(plain, str(folder), signatures=signatures)
    return folder
