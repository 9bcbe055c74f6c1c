"""A recording session as studies take it: spike times of units on one clock, trials, a movie; whatever file it came in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from respike.formats.movies import Movie

LATE = 0.995  # share of all spikes that come after the last trial: more of them are not in seconds
SLOWEST = 0.05  # Hz, of all units together: slower ones are silent, or their times are not in seconds
TICK = 1e-9  # s, what rounding of clocks may be; a spike so near to the edge of a bin belongs into the next one
MISSED = 20  # spikes that empty trials at the beginning or the end should hold: they were not recorded


@dataclass(frozen=True)
class Session:
    """Spike times (s) of each unit in rising order, and what else the file says: of the units, of trials and of a movie."""

    path: Path
    times: list[Float[np.ndarray, " spike"]]
    numbers: Int[np.ndarray, " unit"]  # by which the file calls each unit
    columns: Mapping[str, np.ndarray]  # by name, a value for each unit
    starts: Float[np.ndarray, " trial"]  # s
    stops: Float[np.ndarray, " trial"]  # s; infinite where unknown
    trials: str = ""  # name of their table
    movie: Movie | None = None
    observed: list[Float[np.ndarray, "interval 2"]] | None = None  # s, of each unit: when it was recorded
    invalid: Sequence[tuple[float, float]] = ()  # s: from when to when nothing is to be used
    key: str = ""  # of the config: what of the session is used

    def chosen(self, wanted: Mapping[str, str], key: str) -> "Session":
        """The session with the units that have these values in these columns; `key` of the config names them."""
        return self.of(np.flatnonzero(matching(self.path, "units", self.columns, wanted, len(self.times), key)))

    def of(self, index: Int[np.ndarray, " unit"]) -> "Session":
        """The session with these of its units, counted as they stand here."""
        times, observed = [self.times[unit] for unit in index], self.observed and [self.observed[unit] for unit in index]
        columns = {name: column[index] for name, column in self.columns.items()}
        return replace(self, times=times, numbers=self.numbers[index], columns=columns, observed=observed)

    def span(self) -> str:
        """From when to when there are spikes, for messages."""
        some = [times for times in self.times if len(times)]
        return f"spikes from {min(t[0] for t in some):g} to {max(t[-1] for t in some):g} s" if some else "no spike at all"

    def cut(self, seconds: float, slack: float) -> list[list[Float[np.ndarray, " spike"]]]:
        """Spike times [trial][unit] from the start of each trial (s), up to its end; at least `seconds` of it are used.

        ValueError when trials repeat or overlap by more than `slack` and 1 %, when spikes and trials are not on one clock,
        when the first or the last trials were not recorded, and when a trial has a `gap`.
        """
        self._check_starts(seconds, slack)
        self._check_gaps(seconds, slack)
        stops = np.where(np.isfinite(self.stops), np.maximum(self.stops, self.starts + seconds), self.starts + seconds)
        cells = [
            [times[slice(*np.searchsorted(times, (start, stop)))] - start for times in self.times]
            for start, stop in zip(self.starts, stops, strict=True)
        ]
        counts = np.array([sum(map(len, units)) for units in cells])
        rate = counts.sum() / (np.sum(stops - self.starts) * len(self.times))
        self._check_clock(np.flatnonzero(counts == 0), stops.max())
        self._check_ends(counts)
        if rate < SLOWEST:
            raise ValueError(
                f"{self.path}: {len(self.times)} units fire {counts.sum()} spikes in {len(cells)} trials, {rate:.2g} Hz each: "
                f"{self.span()}, trials from {self.starts.min():g} to {stops.max():g} s; expected {SLOWEST:g} Hz or "
                f"more, and seconds; are spikes and trials in milliseconds? Else choose units that fire by {self.key}.units"
            )
        return cells

    def _check_starts(self, seconds: float, slack: float) -> None:
        order = np.argsort(self.starts, kind="stable")
        apart = np.diff(self.starts[order])
        close = np.flatnonzero(apart <= max(0.0, 0.99 * seconds - slack))
        if len(close):
            first, second = sorted(order[close[0] : close[0] + 2])
            raise ValueError(
                f"{self.path}: {self.trials}: trial {first} starts at {self.starts[first]:g} s and trial {second} at "
                f"{self.starts[second]:g} s ({len(close)} such pairs), and {seconds:g} s of each are used; expected trials "
                f"that neither repeat nor overlap: choose them by {self.key}.only, use less of each by {self.key}.seconds, or "
                "correct the times; is the rate of the movie in frames per second?"
            )

    def _check_clock(self, empty: Int[np.ndarray, " trial"], end: float) -> None:
        """ValueError when more than half of the trials are `empty`, or nearly all spikes come after the last, at `end` (s)."""
        n = sum(map(len, self.times))
        late = n - sum(int(np.searchsorted(times, end)) for times in self.times)
        if 2 * len(empty) > len(self.starts) or late > LATE * n:
            first = f", first trial {empty[0]} at {self.starts[empty[0]]:g} s" if len(empty) else ""
            raise ValueError(
                f"{self.path}: no spike falls into {len(empty)} of {len(self.starts)} trials{first}; {late} of {n} spikes "
                f"come after the last: {self.span()}, trials from {self.starts.min():g} to {end:g} s; expected both in "
                "seconds on the same clock, and spikes in at least half of the trials; are the spikes in samples or "
                "milliseconds, or does the recording end before the trials?"
            )

    def _check_ends(self, counts: Int[np.ndarray, " trial"]) -> None:
        """ValueError when the first or the last trials are empty and by the mean of the others should hold `MISSED` spikes."""
        fired, usual = np.flatnonzero(counts[np.argsort(self.starts, kind="stable")]), counts[counts > 0].mean()
        for which, n in (("first", fired[0]), ("last", len(counts) - 1 - fired[-1])):
            if n * usual > MISSED:
                raise ValueError(
                    f"{self.path}: the {which} {n} of {len(counts)} trials hold no spike of any unit, the others {usual:.3g} "
                    f"on average: {self.span()}, trials from {self.starts.min():g} to {self.starts.max():g} s; expected "
                    "spikes in all; did the recording begin late or end early? Leave these trials out of the file, or choose "
                    f"the others by {self.key}.only"
                )

    def gap(self, start: float, seconds: float, slack: float) -> str:
        """What tells that `seconds` from `start` (s) on were not recorded whole, `slack` at either end aside; or nothing."""
        first, last = start + slack, start + seconds - slack
        for number, intervals in zip(self.numbers, self.observed or [], strict=False):
            seen = first  # up to when it was recorded, from `first` on; an interval may begin where another ends
            for begin, end in intervals[np.argsort(intervals[:, 0], kind="stable")]:
                seen = max(seen, end) if begin <= seen + TICK else seen
            if seen < last:
                return f"unit {number} was not recorded throughout (obs_intervals)"
        for begin, end in self.invalid:
            if begin < last and end > first:
                return f"{begin:g} to {end:g} s are marked as invalid (intervals/invalid_times)"
        return ""

    def _check_gaps(self, seconds: float, slack: float) -> None:
        gaps = [self.gap(start, seconds, slack) for start in self.starts]
        bad = [trial for trial, gap in enumerate(gaps) if gap]
        if bad:
            raise ValueError(
                f"{self.path}: {self.trials}: {len(bad)} of {len(gaps)} trials were not recorded whole, first trial {bad[0]} "
                f"at {self.starts[bad[0]]:g} s: {gaps[bad[0]]}; expected trials that were: choose others by {self.key}.only, "
                f"use less of each by {self.key}.seconds, or leave the unit out by {self.key}.units"
            )


def listed(numbers: Int[np.ndarray, " unit"]) -> str:
    """Numbers of units for messages: from the first to the last where none is left out."""
    whole = len(numbers) > 1 and np.all(np.diff(numbers) == 1)
    return f"{numbers[0]} to {numbers[-1]}" if whole else ", ".join(map(str, numbers[:12])) + ", ..." * (len(numbers) > 12)


def rising(path: Path, times: list[np.ndarray]) -> list[Float[np.ndarray, " spike"]]:
    """Spike times of each unit in rising order; ValueError for one that is not a finite number, or when there is no spike."""
    for unit, own in enumerate(times):
        bad = np.flatnonzero(~np.isfinite(own))
        if len(bad):
            raise ValueError(
                f"{path}: spike {bad[0]} of unit {unit} is at {own[bad[0]]} ({len(bad)} such times in the unit); "
                "expected seconds"
            )
    if not any(len(own) for own in times):
        raise ValueError(f"{path}: none of its {len(times)} units has a spike; expected spike times in seconds")
    return [np.sort(not_early(own)) for own in times]


def not_early(times: np.ndarray) -> Float[np.ndarray, "..."]:
    """Times (s) in double precision; coarser ones, which may be rounded down, moved up by a unit of their last digit.

    So what fell on an edge, or lasted to it, does not fall short of it, though what it is counted from be rounded up.
    """
    coarse = times.dtype.kind == "f" and times.dtype.itemsize < 8  # bytes
    return (np.nextafter(times, np.inf) if coarse else times).astype(float)


def matching(
    path: Path, table: str, columns: Mapping[str, np.ndarray], wanted: Mapping[str, str], n: int, key: str
) -> np.ndarray:
    """Which of the `n` rows have the `wanted` values in the named columns; ValueError that lists what there is."""
    fits = np.ones(n, dtype=bool)
    for name, value in wanted.items():
        if name not in columns:
            raise ValueError(
                f"{path}: {table} has no column {name!r} to choose by ({key}); expected one of {sorted(columns) or 'none'}"
            )
        texts = np.array([as_text(entry) for entry in columns[name]], dtype=object)
        fits &= texts == as_text(value)
        if not fits.any():
            there = sorted(set(texts))
            listed = ", ".join(there[:12]) + (", ..." if len(there) > 12 else "")
            raise ValueError(f"{path}: {table}: no row has {name} = {value!r} ({key}); expected one of {listed}")
    return fits


def as_text(value: object) -> str:
    """A value of a column as people write it: 1 for 1.0, true for True."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    return f"{value:.15g}" if isinstance(value, float | np.floating) else str(value)
