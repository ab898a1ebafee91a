"""How images are assembled where no registry answers; users, folders and entrypoints are the official images'."""

from collections.abc import Callable
from pathlib import Path

from tools import binaries
from tools.cluster import debian
from tools.cluster.oci import Image

NOBODY = 65534
ALLOY = 473
LOKI = 10001
MINIO = 1000
NGINX = 101
NGINX_PACKAGES = ("nginx", "nginx-common", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g")
NGINX_CONFIG = """\
pid /tmp/nginx.pid;
error_log /dev/stderr;
events {}
http {
  access_log /dev/stdout;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  include /etc/nginx/conf.d/*.conf;
}
"""


def _program(tool: str, path: str, user: int, *folders: str) -> Callable[[], Image]:
    """An image of one program; its first folder, if any, is the working directory."""

    def assemble() -> Image:
        files = {path: binaries.find(tool, static=True)}
        return Image((path,), user=user, files=files, folders=folders, workdir=folders[0] if folders else "/")

    return assemble


def _busybox_file() -> Path:
    return debian.unpack("busybox-static", ["busybox-static"]) / "bin" / "busybox"


def _pause() -> Image:
    return Image(("/bin/busybox", "sleep", "infinity"), user=NOBODY, files={"/bin/busybox": _busybox_file()})


def _busybox() -> Image:
    """Busybox under the names of its commands. Being static it cannot resolve names: its wget wants addresses."""
    commands = "sh cat echo sleep ls wget nc nslookup true false dd kill head tail date touch rm mkdir env id yes seq"
    links = {f"/bin/{name}": "busybox" for name in commands.split()}
    return Image(command=("sh",), files={"/bin/busybox": _busybox_file()}, links=links)


def _nginx() -> Image:
    return Image(
        command=("nginx", "-g", "daemon off;"),
        user=NGINX,
        tree=debian.unpack("nginx", NGINX_PACKAGES),
        folders=("/var/lib/nginx", "/var/log/nginx"),
        texts={"/etc/nginx/nginx.conf": NGINX_CONFIG},
    )


def _alertmanager() -> Image:
    """With amtool and a shell, as the official image: silences of a stack file and backups are made by pods of it."""
    programs = {f"/bin/{name}": binaries.find(name, static=True) for name in ("alertmanager", "amtool")}
    return Image(
        ("/bin/alertmanager",),
        user=NOBODY,
        workdir="/alertmanager",
        files={**programs, "/bin/busybox": _busybox_file()},
        links={f"/bin/{name}": "busybox" for name in ("sh", "sed", "tar", "find", "rm", "sleep")},
        folders=("/alertmanager",),
    )


RECIPES: dict[str, Callable[[], Image]] = {
    "docker.io/grafana/alloy": _program("alloy", "/bin/alloy", ALLOY),
    "docker.io/grafana/loki": _program("loki", "/usr/bin/loki", LOKI, "/loki"),
    "docker.io/grafana/promtail": _program("promtail", "/usr/bin/promtail", 0),
    "docker.io/library/busybox": _busybox,
    "docker.io/minio/minio": _program("minio", "/usr/bin/minio", MINIO),
    "docker.io/nginxinc/nginx-unprivileged": _nginx,
    "quay.io/prometheus/alertmanager": _alertmanager,
    "quay.io/prometheus/blackbox-exporter": _program("blackbox_exporter", "/bin/blackbox_exporter", 0),
    "quay.io/prometheus/node-exporter": _program("node_exporter", "/bin/node_exporter", NOBODY),
    "quay.io/prometheus/prometheus": _program("prometheus", "/bin/prometheus", NOBODY, "/prometheus"),
    "quay.io/prometheus-operator/prometheus-config-reloader": _program(
        "prometheus-config-reloader", "/bin/prometheus-config-reloader", NOBODY
    ),
    "quay.io/prometheus-operator/prometheus-operator": _program("prometheus-operator", "/bin/operator", NOBODY),
    "registry.k8s.io/coredns/coredns": _program("coredns", "/coredns", 65532),
    "registry.k8s.io/kube-state-metrics/kube-state-metrics": _program(
        "kube-state-metrics", "/kube-state-metrics", NOBODY
    ),
    "registry.k8s.io/pause": _pause,
}
"""By image name without tag. The tag may be any: what runs is the version that tools/go pins."""
