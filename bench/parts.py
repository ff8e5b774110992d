"""The parts of the benchmark by name, in the order in which they run."""

import part_bodies
import part_memory
import part_refusals
import part_requests
import part_stores
import part_streams

PARTS = {
    "requests": part_requests,
    "streams": part_streams,
    "memory": part_memory,
    "bodies": part_bodies,
    "stores": part_stores,
    "refusals": part_refusals,
}
