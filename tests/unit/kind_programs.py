"""A machine for the tests of kind: programs that do what kind, docker and kubectl do, as far as it is asked for."""

import os
import sys
from pathlib import Path

import pytest

from tools.cluster import namespaces

KIND = """\
#!/bin/sh
# Remembers its clusters as files of the folder CLUSTERS, its calls in the file CALLS, and a configuration in CONFIG.
echo "kind $*" >> "$CALLS"
for argument; do
  case "$argument" in
    --name=*) name="${argument#--name=}" ;;
    --kubeconfig=*) config="${argument#--kubeconfig=}" ;;
  esac
done
case "$1 $2" in
  "create cluster") cat > "$CONFIG"
                    test -z "$BROKEN" || { echo "$BROKEN" >&2; exit 1; }
                    touch "$CLUSTERS/$name"; echo "apiVersion: v1" > "$config" ;;
  "get clusters") ls "$CLUSTERS" ;;
  "delete cluster") rm -f "$CLUSTERS/$name" ;;
esac
"""
KUBECTL = f"""\
#!{sys.executable}
# A kubectl whose API server and pods are there, but for one call after the file SILENT was made. Its
# port-forward answers until there is the file GONE: it takes that away and ends.
import os, socket, sys
if "port-forward" in sys.argv:
    if os.path.exists(os.environ["SILENT"]):
        os.remove(os.environ["SILENT"])
        sys.exit("error: pod not found")
    listener = socket.create_server(("127.0.0.1", int(sys.argv[-1].partition(":")[0])))
    print(sys.argv[1:], flush=True)
    while True:
        connection = listener.accept()[0]
        asked = connection.recv(65536)
        if asked and os.path.exists(os.environ["GONE"]):
            os.remove(os.environ["GONE"])
            sys.exit("error: lost connection to pod")
        if asked:
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
        connection.close()
if os.path.exists(os.environ["SILENT"]):
    os.remove(os.environ["SILENT"])
    sys.exit("connection refused")
print("ok", end="")
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the programs and their files into `folder`, and PATH onto them; the user is not root."""
    programs = folder / "programs"
    programs.mkdir()
    (folder / "clusters").mkdir()
    for name, text in {"kind": KIND, "docker": "#!/bin/sh\nexit 0\n", "kubectl": KUBECTL}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("CLUSTERS", str(folder / "clusters"))
    monkeypatch.setenv("CALLS", str(folder / "calls"))
    monkeypatch.setenv("SILENT", str(folder / "silent"))
    monkeypatch.setenv("GONE", str(folder / "gone"))
    monkeypatch.setenv("CONFIG", str(folder / "config.yaml"))
    monkeypatch.setattr(namespaces, "why_not", lambda: "you are not root")
    monkeypatch.setattr("tools.binaries.find", lambda name: programs / name)
