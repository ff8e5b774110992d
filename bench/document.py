"""Fills the figures of docs/performance.md from a results file, so that nobody types them.

Must never touch a line outside of the two markers, and never use a run that left a part out.
"""

import json
from pathlib import Path

import targets
from busy import warnings
from parts import PARTS
from processes import BenchError
from report import RESULTS, TITLES, is_numeric

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin (made by bench/run --document) -->", "<!-- figures: end -->"


def newest_results():
    """The newest complete results and their file; files named *.tmp.json are somebody's trials and do not count."""
    found = []
    for path in RESULTS.glob("*.json"):
        results = json.loads(path.read_text())
        is_complete = set(results.get("parts", ())) == set(PARTS)
        if is_complete and not path.name.endswith(".tmp.json"):
            found.append((results["date"], path, results))
    if not found:
        raise BenchError("no results of a run with all parts: run `make bench` first")
    _, path, results = max(found, key=lambda entry: (entry[0], entry[1].name))
    return path, results


def markdown(head, rows):
    """A table in Markdown; words stand to the left, numbers to the right."""
    lines = [head, ["---:" if is_numeric(rows, column) else "---" for column in range(len(head))], *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def figures(path, results):
    """The text between the markers."""
    machine, versions = results["machine"], results["versions"]
    peers = ", ".join(filter(None, (versions.get(name) for name in ("nginx", "haproxy", "sentinel", "wrk"))))
    yield (
        f"Measured on {results['date'][:10]} (`bench/results/{path.name}`, commit {versions['commit']}): {machine['processor']},"
        f" {machine['cores']} cores, {machine['memory_mib']} MiB, Linux {machine['kernel']}; {peers}."
    )
    yield f"### Targets\n\n{markdown(*targets.table(results['targets']))}"
    for name, part in PARTS.items():
        result = results["parts"][name]
        yield f"### {TITLES[name]}\n\n{markdown(*part.table(result))}"
        yield from part.remarks(result)
        yield from (f"Note: {text}." for text in warnings(name, result.get("rounds", [])))


def fill_document():
    """Writes the figures of the newest results into the document; returns the name of the results file."""
    path, results = newest_results()
    text = DOCUMENT.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise BenchError(f"docs/performance.md must have one line `{BEGIN}` and one `{END}`")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    inside = "\n\n".join(figures(path, results))
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{inside}\n\n{END}{after}")
    return path.name
