"""The report's content as titled blocks of text and tables, the same for Markdown and HTML."""

from collections.abc import Iterator
from typing import Any

from tfadvrec.pages import Block
from tfadvrec.synthesis.fidelity_tables import fidelity_blocks
from tfadvrec.synthesis.wording import NOTHING, counted, interval, rate


def blocks(record: dict[str, Any]) -> list[Block]:
    """All blocks: data, fidelity, utility, privacy, how it was measured, limits.

    Args:
        record: A report's record.
    """
    return [
        *_header(record),
        *fidelity_blocks(record["fidelity"]),
        *_utility(record["utility"]),
        *_copies(record["copy_check"]),
        *_membership(record["membership"]),
        *_end(record),
    ]


def _header(record: dict[str, Any]) -> Iterator[Block]:
    data = record["data"]
    yield Block(
        f"Synthetic data report: {data['synthetic']['name']} for {data['real']['name']}",
        level=1,
        text=(
            f"Made by: {record['generator']}.",
            f"Real people's log: {'yes' if data['real']['real'] else 'no, generated'}. There is no "
            "overall score: closeness, use and privacy pull against each other.",
        ),
        head=("log", "interactions", "users", "items", "fingerprint"),
        rows=tuple(
            (
                f"{name}: {log['name']}",
                f"{log['interactions']:,}",
                f"{log['users']:,}",
                f"{log['items']:,}",
                log["fingerprint"][:12],
            )
            for name, log in data.items()
        ),
    )


def _utility(record: dict[str, Any]) -> Iterator[Block]:
    if record["status"] != "RUN":
        yield Block("Utility", text=(f"NOT RUN: {record['reason']}.",))
        return
    counts = record["counts"]
    lead = record["lead"]
    names = tuple(record["popularity"]["metrics"])
    rows = [
        (f"{model}, learnt from {label}", *(interval(row["metrics"].get(n)) for n in names))
        for model, found in record["models"].items()
        for label, row in found["rows"].items()
    ]
    popular = record["popularity"]["metrics"]
    rows.append(("most popular in the real log", *(interval(popular.get(n)) for n in names)))
    ratios = tuple(
        f"{model}: learnt from synthetic data {lead} is {interval(found['ratio'])} times that of "
        f"real data; from independent columns {interval(found['ratio of independent columns'])}."
        for model, found in record["models"].items()
    )
    yield Block(
        "Utility: train on synthetic, test on real",
        text=(
            *ratios,
            f"Real test users, who are known by their real histories: {counted(counts)}. Mask: "
            f"{record['mask']}. Settings "
            + ("chosen on the validation part." if record["tuned"] else "not tuned.")
            + " Means over users [95% bootstrap interval over users].",
            record["policy"],
        ),
        head=("model", *names),
        rows=tuple(rows),
        figure="utility",
        caption=f"{lead} of models that learnt from real, synthetic and independent data",
    )


def _copies(record: dict[str, Any]) -> Iterator[Block]:
    heads = tuple(record["against"])
    measures = (
        ("users compared with", "users", "{:,}"),
        ("exact copies of profiles", "exact profiles", "{:.4f}"),
        ("exact copies of longer profiles", "exact long profiles", "{:.4f}"),
        ("the same, count", "exact long profiles, count", "{:,}"),
        (f"exact copies of rows ({', '.join(record['row columns'])})", "exact rows", "{:.4f}"),
        ("distance: minimum", "minimum", "{:.4f}"),
        ("distance: first percentile", "first percentile", "{:.4f}"),
        ("distance: median", "median", "{:.4f}"),
    )
    yield Block(
        "Copy check",
        text=(
            record["policy"],
            f"{record['profiles']:,} synthetic profiles ({record['long profiles']:,} longer ones), "
            f"{record['rows']:,} rows.",
        ),
        head=("against", *heads),
        rows=tuple(
            (
                title,
                *(
                    NOTHING
                    if record["against"][name][key] is None
                    else text.format(record["against"][name][key])
                    for name in heads
                ),
            )
            for title, key, text in measures
        ),
    )


def _membership(record: dict[str, Any]) -> Iterator[Block]:
    if record["status"] != "RUN":
        yield Block("Membership inference", text=(f"NOT RUN: {record['reason']}.",))
        return
    rows = []
    for title, key in (("all users", "at"), ("outlier users", "outliers")):
        for wanted, found in record[key].items():
            rows.append(
                (
                    title,
                    f"{float(wanted):.1%}",
                    rate(found["true positives"]),
                    rate(found["false positives"]),
                    f"{found['blind guess']:.1%}",
                )
            )
    yield Block(
        "Membership inference",
        text=(
            f"{record['members']:,} members and {record['non-members']:,} non-members.",
            record["attack"],
            record["policy"],
        ),
        head=(
            "users",
            "false positives allowed",
            "true-positive rate [95%]",
            "false-positive rate [95%]",
            "blind guess",
        ),
        rows=tuple(rows),
        figure="membership",
        caption="True- against false-positive rate of the attack, logarithmic axes",
    )


def _end(record: dict[str, Any]) -> Iterator[Block]:
    yield Block("Differential privacy", text=(record["differential_privacy"],))
    settings = {**record["settings"], **{f"seed of {k}": v for k, v in record["seeds"].items()}}
    yield Block(
        "Settings",
        head=("name", "value"),
        rows=tuple((name, str(v)) for name, v in {**settings, **record["versions"]}.items()),
    )
    yield Block("Limits", text=(record["limits"],))
