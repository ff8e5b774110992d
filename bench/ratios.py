"""Medians over the rounds, and ratios taken within each round, because machines drift between them."""

import statistics

REFERENCE = "nginx"


def select(rounds, **wanted):
    """The rows in which these fields have these values."""
    return [row for row in rounds if all(row[name] == value for name, value in wanted.items())]


def medians(rows, fields):
    """The median of each field."""
    return {field: statistics.median(row[field] for row in rows) for field in fields}


def ratio(rows, others, field):
    """The median, least and most of `field` of the rows divided by that of the others in the same round, or None
    without others."""
    references = {row["round"]: row[field] for row in others}
    found = [row[field] / references[row["round"]] for row in rows if references.get(row["round"])]
    return {"median": statistics.median(found), "range": [min(found), max(found)]} if found else None


def summarise(rounds, keys, fields, ratio_fields):
    """One entry for each group of `keys` and each proxy: its medians, and its ratios to every other proxy."""
    summary = []
    groups = dict.fromkeys(tuple((name, row[name]) for name in keys) for row in rounds)
    for group in groups:
        rows = select(rounds, **dict(group))
        proxies = list(dict.fromkeys(row["proxy"] for row in rows))
        for proxy in proxies:
            own = select(rows, proxy=proxy)
            entry = dict(group) | {"proxy": proxy, "rounds": len(own)} | medians(own, fields)
            others = {other: select(rows, proxy=other) for other in proxies if other not in (proxy, "direct")}
            entry["ratios"] = {
                other: {field: ratio(own, rows_of_other, field) for field in ratio_fields}
                for other, rows_of_other in others.items()
            }
            summary.append(entry)
    return summary


def against(entry, reference, field):
    """The median ratio of an entry to another proxy, or None when it was not measured."""
    found = entry["ratios"].get(reference, {}).get(field)
    return found and found["median"]


def shown(entry, field, reference=REFERENCE):
    """The same as text for a table; 1 for the reference itself."""
    value = 1.0 if entry["proxy"] == reference else against(entry, reference, field)
    return f"{value:.2f}" if value is not None else "-"


def in_turn(proxies, number):
    """The proxies in the order of a round: another one begins each."""
    return [proxies[(number + offset) % len(proxies)] for offset in range(len(proxies))]
