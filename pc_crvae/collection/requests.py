"""Which requests the server of a page answers: those of its own page, to its own name.

A page of another site that the same browser shows can send requests to this machine. Such a page
does not know the token, and its requests carry its Origin. Where its name was made to mean this
machine (DNS rebinding), they carry that name as their Host.
"""

import ipaddress
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

_MOST_NAME = 200
"""Letters of the name of a dropped file that are looked at."""


class RefusedError(Exception):
    """A request that is not answered.

    Args:
        status: the status of HTTP that says why.
        sentence: why, in words.
    """

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Gate:
    """What a request is held against.

    Attributes:
        host: the name or address that the server listens on.
        token: what the address of the page holds, anew each start.
    """

    host: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def admit(
        self, target: str, host: str | None, origin: str | None
    ) -> tuple[str, dict[str, str]]:
        """Check a request.

        Args:
            target: the path and query that it asks for.
            host: its header ``Host``, None where it has none.
            origin: its header ``Origin``.

        Returns:
            The path below the token, and the query.

        Raises:
            RefusedError: it is not the page's own.
        """
        if host is None or not self._is_own(host):
            raise _forbidden("the Host of the request is not this server: open the printed address")
        # A page's own script always says its Origin where something is sent. Programs need not.
        if origin is not None and origin != f"http://{host}":
            raise _forbidden("the request comes from a page of another origin")
        parts = urlsplit(target)
        first, _, rest = parts.path.removeprefix("/").partition("/")
        if not secrets.compare_digest(first.encode(), self.token.encode()):
            raise _forbidden("the token is missing or wrong: open the printed address")
        return rest, {name: values[-1] for name, values in parse_qs(parts.query).items()}

    def _is_own(self, host: str) -> bool:
        """Whether a Host means this server; its port is free, so that a tunnel may change it."""
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:  # a bracket without its other
            name = None
        if name is None:
            return False
        if name in ("localhost", self.host.lower()):
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:  # a name, which another site may have made to mean this machine
            return not _is_loopback(self.host) and name == socket.gethostname().lower()
        return address.is_loopback or not _is_loopback(self.host)


def _forbidden(sentence: str) -> RefusedError:
    return RefusedError(HTTPStatus.FORBIDDEN, sentence)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def name_of(query: Mapping[str, str]) -> str:
    """Return the name of a dropped file, without folders."""
    name = query.get("name", "").replace("\\", "/").rpartition("/")[2]
    return name[-_MOST_NAME:] or "the file"
