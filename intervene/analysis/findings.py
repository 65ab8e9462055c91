"""What a comparison found: contrasts at every step, and all that is fitted to them."""

from dataclasses import dataclass
from functools import cached_property

from intervene.analysis.bootstrap import Estimate
from intervene.analysis.curve import Curve, Reading
from intervene.analysis.estimands import ESTIMANDS, Estimand
from intervene.analysis.floor import Floor
from intervene.analysis.mcnemar import find_least
from intervene.analysis.sizes import SizeTrend
from intervene.analysis.slope import Slope
from intervene.analysis.spread import Spread
from intervene.analysis.trial import Trial


@dataclass(frozen=True, slots=True)
class Contrast:
    """One arm minus its control at one step, for one estimand.

    Args:
        label: the trial's.
        run: the arm's last reading; its facts name the arm.
        reading: the arm's reading at this step; the base, where the arm has not begun.
        control_reading: the control's reading of the same step.
        final: whether the step is the trial's last.
        n, clusters: items, and clusters of items that were resampled.
        arm, control: their own values.
        difference: arm − control, paired.
        low, high: the 95% band of the difference that holds at all steps of the curve at once.
        discordant: for a binary estimand, items that only the arm and only the control has as 1.
        p: exact McNemar for a binary estimand, else of the bootstrap's standard error.
        mismatches: what else than the arm differs, as the trial says.
        holm: p after Holm's correction, for endpoints at the final step.
    """

    label: str
    estimand: Estimand
    run: Reading
    reading: Reading
    control_reading: Reading
    final: bool
    n: int
    clusters: int
    arm: Estimate
    control: Estimate
    difference: Estimate
    low: float
    high: float
    discordant: tuple[int, int] | None
    p: float
    mismatches: tuple[str, ...] = ()
    holm: float | None = None

    @property
    def test(self) -> str:
        """The test that `p` is of."""
        return "bootstrap" if self.discordant is None else "McNemar"

    @property
    def established(self) -> bool:
        """Whether the interval leaves zero out, and so does Holm's correction where it applies."""
        return self.difference.excludes_zero and (self.holm is None or self.holm < 0.05)

    @property
    def detectable(self) -> float:
        """The smallest change that would be found with power .80, in the estimand's unit.

        Of a share no less than what exact McNemar can find at all: items of which none changed
        have a standard error of 0, but six must change before the test says anything.
        """
        least = 0.0 if self.discordant is None else find_least(self.n)
        return max(self.difference.detectable, least)


@dataclass(frozen=True)
class Findings:
    """All that is computed from trials.

    Args:
        contrasts: of every arm, step and estimand.
        controls: the controls' own curves, each with its trial's label.
        slopes, spreads, trends: of final contrasts over rates, over seeds and over sizes.
        floors: controls against released checkpoints.
        refused: sentences on arms and tasks that may not be contrasted.
        resamples, seed: of the bootstrap.
        estimands: all that were looked for, in the report's order.
    """

    trials: tuple[Trial, ...]
    contrasts: tuple[Contrast, ...]
    controls: tuple[tuple[str, Curve], ...]
    slopes: tuple[Slope, ...]
    resamples: int
    seed: int
    spreads: tuple[Spread, ...] = ()
    trends: tuple[SizeTrend, ...] = ()
    floors: tuple[Floor, ...] = ()
    refused: tuple[str, ...] = ()
    estimands: tuple[Estimand, ...] = ESTIMANDS

    def final(self, estimand: Estimand) -> list[Contrast]:
        """The contrasts of one estimand at each trial's final step."""
        return list(self._finals.get(estimand.name, ()))

    def path(self, label: str, arm: str, estimand: Estimand) -> list[Contrast]:
        """One arm's contrasts by step."""
        return list(self._paths.get((label, arm, estimand.name), ()))

    @cached_property
    def _finals(self) -> dict[str, list[Contrast]]:
        found: dict[str, list[Contrast]] = {}
        for c in self.contrasts:
            if c.final:
                found.setdefault(c.estimand.name, []).append(c)
        return found

    @cached_property
    def _paths(self) -> dict[tuple[str, str, str], list[Contrast]]:
        found: dict[tuple[str, str, str], list[Contrast]] = {}
        for c in self.contrasts:
            found.setdefault((c.label, c.run.arm, c.estimand.name), []).append(c)
        return found
