"""What a `caSecret` has to be. A wrong one is told at once: the operator would refuse the whole Prometheus with it."""

import re
import ssl

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


def are_certificates(text: str) -> bool:
    """Whether the text (PEM) holds certificates, at least one, and no keys or anything else."""
    blocks = list(_BLOCK.finditer(text))
    return bool(blocks) and all(block[1] == "CERTIFICATE" and _readable(block[0]) for block in blocks)


def _readable(block: str) -> bool:
    if not block.isascii():
        return False
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=block)
    except ssl.SSLError:
        return False
    return True
