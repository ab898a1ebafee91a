"""The program: one stack, one cluster."""

import gc
import os
import signal
import sys

# What is made at the start is kept to the end: the collector would look through all of it again and again.
gc.set_threshold(100_000)

ALL_IS_SAID = 32
"""The exit code after which the engine adds no error of its own (Pulumi's language host of Python)."""

if __name__ == "__main__":
    # This is how the engine ends the program when an object could not be made or a person pressed Ctrl-C; it says why.
    # Python itself would say where in the SDK the program happened to be.
    signal.signal(signal.SIGINT, lambda *_: os._exit(ALL_IS_SAID))

import pulumi  # noqa: E402
import pulumi_kubernetes as k8s  # noqa: E402

import settings  # noqa: E402
from components.stack import ObservabilityStack  # noqa: E402

loaded = settings.load()
cluster = loaded.settings.cluster

provider = k8s.Provider(
    "cluster",
    kubeconfig=cluster.kubeconfig,
    context=cluster.context,
    # With an identity of its own, a changed kubeconfig does not replace every object.
    cluster_identifier=cluster.identifier or cluster.name,
    # A changed ConfigMap or Secret is updated in place; as a replacement it would roll what mounts it.
    enable_config_map_mutable=True,
    enable_secret_mutable=True,
    # A destroy makes five requests an object; the provider's own limit, 50 a second, would be what it waits for.
    kube_client_settings=k8s.KubeClientSettingsArgs(burst=400, qps=200),
)

# The engine writes into its state, for each object, the calls that led to it. Of the last ten it leaves out the SDK's;
# the others tell where in this program. The rest, of asyncio and of the engine itself, was a twelfth of the state.
sys.tracebacklimit = 10
try:
    stack = ObservabilityStack(
        "observability",
        settings=loaded.settings,
        secrets=loaded.secrets,
        opts=pulumi.ResourceOptions(providers=[provider]),
    )
finally:
    # An error is told with all of its calls.
    del sys.tracebacklimit

for name, value in stack.exports.items():
    pulumi.export(name, value)
