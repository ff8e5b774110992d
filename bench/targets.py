"""The targets that the figures are held against. Must never call a target met that was not measured."""

from dataclasses import dataclass

AT_LEAST, AT_MOST = "at least", "at most"


@dataclass(frozen=True)
class Target:
    """One target: what was measured (None: nothing to compare with), and the limit it must keep."""

    name: str
    value: float | None
    bound: str
    limit: float

    def verdict(self):
        """`pass`, `miss` or `not measured`."""
        if self.value is None:
            return "not measured"
        met = self.value >= self.limit if self.bound == AT_LEAST else self.value <= self.limit
        return "pass" if met else "miss"

    def as_json(self):
        """The target with its verdict, for the results file."""
        return {
            "name": self.name,
            "value": self.value,
            "bound": self.bound,
            "limit": self.limit,
            "verdict": self.verdict(),
        }


def table(targets):
    """The head and the rows of the closing table, from targets as JSON."""
    rows = []
    for target in targets:
        value = "-" if target["value"] is None else f"{target['value']:.2f}"
        sign = "≥" if target["bound"] == AT_LEAST else "≤"
        rows.append([target["name"], value, f"{sign} {target['limit']:g}", target["verdict"]])
    return ["target", "measured", "limit", ""], rows
