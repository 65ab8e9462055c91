"""The contrasts at each trial's final step, by model and estimand."""

from dataclasses import dataclass

from intervene.analysis.findings import Contrast, Findings


@dataclass(frozen=True)
class Finals:
    """Final contrasts, found by name at once.

    Args:
        findings: that they are of.
        table: by trial's label and estimand's name, one contrast per arm.
    """

    findings: Findings
    table: dict[tuple[str, str], list[Contrast]]

    @property
    def labels(self) -> list[str]:
        """The trials that have any, in their order."""
        having = {label for label, _ in self.table}
        return [trial.label for trial in self.findings.trials if trial.label in having]

    def get(self, label: str, name: str) -> list[Contrast]:
        """One trial's contrasts for one estimand; empty where there are none."""
        return self.table.get((label, name), [])

    def section(self, *sections: str) -> list[Contrast]:
        """All contrasts of these sections, estimand by estimand and model by model."""
        return [
            c
            for estimand in self.findings.estimands
            if estimand.section in sections
            for label in self.labels
            for c in self.get(label, estimand.name)
        ]


def gather_finals(findings: Findings) -> Finals:
    """Sort a comparison's final contrasts."""
    table: dict[tuple[str, str], list[Contrast]] = {}
    for c in findings.contrasts:
        if c.final:
            table.setdefault((c.label, c.estimand.name), []).append(c)
    return Finals(findings, table)
