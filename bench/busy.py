"""How busy the two cores were during a measurement, and what that says about it. Must never change a figure."""

import time

from processes import core_idle_seconds

OTHERS_SHARE_MAX = 0.10


class Busy:
    """Watches the proxy's and the load's core from its making on."""

    def __init__(self, process, options):
        self.process = process
        self.cores = (options.proxy_core, options.load_core)
        self.begun = (time.monotonic(), process.cpu_us(), *map(core_idle_seconds, self.cores))

    def shares(self):
        """Shares of a core from 0 to 1 since the beginning."""
        begun, cpu_us, *idle = self.begun
        elapsed = time.monotonic() - begun
        proxy = (self.process.cpu_us() - cpu_us) / 1e6 / elapsed
        proxy_core, load_core = [1 - (core_idle_seconds(core) - was) / elapsed for core, was in zip(self.cores, idle)]
        # What else ran on the proxy's core: a noisy neighbour makes the round worth less.
        return {"proxy_busy": proxy, "load_core_busy": load_core, "others_on_proxy_core": max(0.0, proxy_core - proxy)}


def warnings(part, rounds):
    """What makes the figures of a part worth less than they look."""
    noisy = [row for row in rounds if row.get("others_on_proxy_core", 0) > OTHERS_SHARE_MAX]
    if noisy:
        worst = max(row["others_on_proxy_core"] for row in noisy)
        yield (
            f"{part}: {len(noisy)} of {len(rounds)} measurements had others on the proxy's core (up to {worst:.0%} of"
            " it): run again on a quiet machine"
        )
    full = [row["proxy"] for row in rounds if row.get("proxy_busy", 1) < 0.9 and row.get("load_core_busy", 0) > 0.97]
    limited = sorted(set(full) - {"direct"})
    if limited:
        yield f"{part}: the load's core was full with {', '.join(limited)}: compare CPU time, not throughput or latency"
