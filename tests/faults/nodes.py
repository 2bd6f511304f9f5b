"""A Ray cluster on this machine, of nodes with a processor each, until the input ends.

Prints its address; `kill` on a line kills the last node without a word to anybody. Arguments are
variables of the environment of the second node, as NAME=VALUE.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster


def main() -> None:
    """Start, obey, stop."""
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    second = cluster.add_node(
        num_cpus=1, env_vars=dict(word.split("=", 1) for word in sys.argv[1:])
    )
    try:
        print(cluster.address, flush=True)
        for line in sys.stdin:
            if line.strip() == "kill":
                cluster.remove_node(second, allow_graceful=False)
                print("killed", flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
