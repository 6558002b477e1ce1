"""Apache Beam carries the work to workers and puts together what they found."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from tfadvrec.data.checks import SHOWN, DataError
from tfadvrec.data.sharded.tally import Tally, merged

Work = Callable[[int], Tally]
Engine = Callable[[Work, Sequence[int]], Tally]
"""Does the work on every number (of a file, of a shard) and merges the findings."""

IN_PROCESS = ("--runner=FnApiRunner",)
"""Beam's direct runner in this process; the runner called DirectRunner first looks for a program
that it would download."""


class BeamEngine:
    """Runs each step of a preparation as one Beam pipeline.

    Workers read and write the folder of the preparation, so they must all see it: what passes
    through Beam are numbers of files, counts and ids, never interactions.

    Args:
        folder: Where findings are put down.
        options: Beam's pipeline options, as on its command line.

    Raises:
        ImportError: When Apache Beam is not installed.
    """

    def __init__(self, folder: Path, options: Sequence[str] | None = None) -> None:
        self.beam = _beam()
        self.folder, self.options = folder, list(IN_PROCESS if options is None else options)
        self.steps = 0

    def __call__(self, work: Work, numbers: Sequence[int]) -> Tally:
        """Does one step.

        Raises:
            DataError: When the work refused data somewhere; the first complaints are quoted.
        """
        from apache_beam.options.pipeline_options import PipelineOptions

        beam, self.steps = self.beam, self.steps + 1
        found = self.folder / "found" / f"{self.steps:04d}"
        with beam.Pipeline(options=PipelineOptions(self.options)) as pipeline:
            _ = (
                pipeline
                | "numbers" >> beam.Create(list(numbers))
                | "spread" >> beam.Reshuffle()
                | "work" >> beam.Map(functools.partial(guarded, work))
                | "merge" >> beam.CombineGlobally(merged).without_defaults()
                | "save" >> beam.Map(functools.partial(_save, found))
            )
        return complained(Tally.load(found))


def guarded(work: Work, number: int) -> Tally:
    """Does the work; what it says against the data becomes a finding, so that all is heard."""
    try:
        return work(number)
    except DataError as error:
        return Tally(facts=[{"number": number, "error": str(error)}])


def complained(tally: Tally) -> Tally:
    """Raises what was found against the data, in the order of the files; else the findings.

    Raises:
        DataError: When there is a complaint.
    """
    errors = sorted((f["number"], f["error"]) for f in tally.facts if "error" in f)
    if errors:
        more = f"\n... and {len(errors) - SHOWN} files more." if len(errors) > SHOWN else ""
        raise DataError("\n".join(text for _, text in errors[:SHOWN]) + more)
    return tally


def _save(folder: Path, tally: Tally) -> None:
    tally.save(folder)


def _beam():
    try:
        import apache_beam
    except ImportError:
        raise ImportError(
            "preparing a log that is larger than memory needs Apache Beam, which lowers protobuf "
            "to version 6: in an environment of its own, pip install 'tfadvrec[beam]'. What was "
            "prepared is read without it."
        ) from None
    return apache_beam
