"""The command lines of etcd, the API server, the controller manager and the scheduler."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.pki import Authority

SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
POD_CIDR = "10.244.0.0/16"

DEFAULT_PORTS: dict[str, int] = {
    "etcd": 2379,
    "etcd-peer": 2380,
    "etcd-metrics": 2381,
    "api": 6443,
    "controller-manager": 10257,
    "scheduler": 10259,
    "kwok": 10247,
}
"""Where the parts listen in a network namespace of their own: the ports that kubeadm uses."""


@dataclass(frozen=True)
class ControlPlane:
    """Where the control plane keeps its files and listens.

    `listen` is the address that the daemons bind, `address` the one by which clients reach them.
    """

    folder: Path
    listen: str
    address: str
    ports: Mapping[str, int]

    @property
    def pki(self) -> Path:
        """The folder of certificates and keys."""
        return self.folder / "pki"

    @property
    def server(self) -> str:
        """The API server's URL for the parts of the cluster."""
        return f"https://{self.address}:{self.ports['api']}"

    def kubeconfig(self, name: str) -> Path:
        """The kubeconfig of the part called `name`."""
        return self.folder / f"{name}.kubeconfig"

    @property
    def loopback(self) -> bool:
        """Whether it listens on the machine's own loopback device, where no Service address leads to it."""
        return self.listen == "127.0.0.1"


def write_credentials(plane: ControlPlane, node: str | None, outside: str) -> None:
    """Write the CA, all certificates and kubeconfigs; `outside` is the API server's URL for people and tests."""
    authority = Authority(plane.pki)
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    here = sorted({plane.address, "127.0.0.1"})
    authority.issue("apiserver", "kube-apiserver", hosts=[*here, API_SERVICE_ADDRESS, "localhost", *names])
    authority.issue("etcd", "etcd", hosts=[*here, "localhost"])
    authority.issue("etcd-client", "kube-apiserver-etcd-client")
    authority.issue("kubelet-client", "kube-apiserver-kubelet-client", groups=["system:masters"])
    authority.issue("service-accounts", "service-accounts")
    users = {
        "admin": ("kubernetes-admin", ["system:masters"]),
        "controller-manager": ("system:kube-controller-manager", []),
        "scheduler": ("system:kube-scheduler", []),
        "kwok": ("kwok", ["system:masters"]),
    }
    if node:
        users["kubelet"] = (f"system:node:{node}", ["system:nodes"])
        users["kube-proxy"] = ("system:kube-proxy", [])
        authority.issue("kubelet-server", node, hosts=[plane.address, "127.0.0.1", node])
    for name, (user, groups) in users.items():
        authority.issue(name, user, groups)
        authority.kubeconfig(name, outside if name == "admin" else plane.server, plane.kubeconfig(name))


def etcd(program: Path, plane: ControlPlane) -> list[str | Path]:
    """The command of etcd. It does not wait for the disk: the data of a local cluster may be lost with the machine."""
    client, peer = (f"https://{plane.address}:{plane.ports[name]}" for name in ("etcd", "etcd-peer"))
    pki = plane.pki
    return [
        program,
        "--name=local",
        f"--data-dir={plane.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=local={peer}",
        f"--listen-metrics-urls=http://{plane.listen}:{plane.ports['etcd-metrics']}",
        *(f"--{side}cert-file={pki / 'etcd.crt'}" for side in ("", "peer-")),
        *(f"--{side}key-file={pki / 'etcd.key'}" for side in ("", "peer-")),
        *(f"--{side}trusted-ca-file={pki / 'ca.crt'}" for side in ("", "peer-")),
        "--client-cert-auth=true",
        "--peer-client-cert-auth=true",
        "--unsafe-no-fsync=true",
        "--log-level=warn",
    ]


def api_server(program: Path, plane: ControlPlane) -> list[str | Path]:
    """The command of the API server: Node and RBAC authorizers, default admission (with Pod Security)."""
    pki = plane.pki
    # A loopback address cannot be the endpoint of the `kubernetes` Service.
    reconciler = ["--endpoint-reconciler-type=none"] if plane.loopback else []
    return [
        program,
        f"--bind-address={plane.listen}",
        f"--advertise-address={plane.address}",
        f"--secure-port={plane.ports['api']}",
        f"--etcd-servers=https://{plane.address}:{plane.ports['etcd']}",
        f"--etcd-cafile={pki / 'ca.crt'}",
        f"--etcd-certfile={pki / 'etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'etcd-client.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'service-accounts.crt'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        *reconciler,
    ]


def controller_manager(program: Path, plane: ControlPlane) -> list[str | Path]:
    """The command of the controller manager; its metrics need a bearer token that may read /metrics."""
    pki = plane.pki
    return [
        *_controller(program, plane, "controller-manager"),
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki / 'service-accounts.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        f"--cluster-cidr={POD_CIDR}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
    ]


def scheduler(program: Path, plane: ControlPlane) -> list[str | Path]:
    """The command of the scheduler; its metrics need a bearer token that may read /metrics."""
    return _controller(program, plane, "scheduler")


def _controller(program: Path, plane: ControlPlane, name: str) -> list[str | Path]:
    config = plane.kubeconfig(name)
    return [
        program,
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={plane.listen}",
        f"--secure-port={plane.ports[name]}",
        f"--tls-cert-file={plane.pki / 'apiserver.crt'}",
        f"--tls-private-key-file={plane.pki / 'apiserver.key'}",
        "--leader-elect=false",
        "--profiling=false",
    ]
