"""Where a real cluster is, and who we are there: by a kubeconfig, or in a pod by its service account."""

from __future__ import annotations

import base64
import contextlib
import http.client
import logging
import os
import ssl
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from podhooks import errors
from podhooks.pod.object import mapping, text
from podhooks.runtime.access import Access

if TYPE_CHECKING:
    from podhooks.runtime.access import Login

ADVICE = {
    401: "The cluster doesn't accept these credentials: log in again",
    403: "Ask for the right, or use another --context",
}
NO_CREDENTIALS = "The kubeconfig has no credentials for it: log in, or use another --context"


class KubeconfigLogin:
    """A kubeconfig's context, as the kubernetes package has read it. That package runs login commands and renews
    what expires, so it is asked for every connection and every request."""

    def __init__(self, configuration: Any, namespace: str) -> None:
        self.base_url = str(configuration.host).rstrip("/")
        self.namespace = namespace
        self._configuration = configuration

    def connection(self, timeout_seconds: float) -> http.client.HTTPConnection:
        url, proxy = urlsplit(self.base_url), self._proxy()
        there = (url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
        host, port = (proxy.hostname or "", proxy.port or 80) if proxy else there
        if url.scheme == "http":
            connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
        else:
            name = self._configuration.tls_server_name
            connection = NamedServer(host, port, timeout=timeout_seconds, context=self._context(), server_name=name)
        if proxy:
            connection.set_tunnel(*there, headers=dict(self._configuration.proxy_headers or _proxy_login(proxy)))
        return connection

    def headers(self) -> dict[str, str]:
        found = self._configuration.auth_settings().values()
        given = {each["key"]: (each.get("value") or "").strip() for each in found if each.get("in") == "header"}
        return {name: value for name, value in given.items() if value}  # stripped: a token's file ends in a newline

    def advice(self, status: int, _: str) -> str:
        return ADVICE[status] if self._configuration.cert_file or self.headers() else NO_CREDENTIALS

    def _context(self) -> ssl.SSLContext:
        asked, context = self._configuration, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not asked.verify_ssl:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        elif asked.ssl_ca_cert:
            context.load_verify_locations(asked.ssl_ca_cert)
        else:
            context.load_default_certs()
        if asked.cert_file:
            context.load_cert_chain(asked.cert_file, asked.key_file)
        return context

    def _proxy(self) -> SplitResult | None:
        from kubernetes.client.rest import should_bypass_proxies

        proxy = self._configuration.proxy
        if not proxy or should_bypass_proxies(self.base_url, self._configuration.no_proxy or ""):
            return None
        return urlsplit(str(proxy))


class NamedServer(http.client.HTTPSConnection):
    """A connection whose certificate must be for another name than the address has (`tls-server-name`)."""

    def __init__(self, *args: Any, context: ssl.SSLContext, server_name: str | None, **options: Any) -> None:
        super().__init__(*args, context=context, **options)
        self._tls, self._server_name = context, server_name

    def connect(self) -> None:
        if not self._server_name:
            return super().connect()
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._server_name)
        return None


def _proxy_login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"}


def connect(kubeconfig: str | None, context: str | None) -> tuple[Login, str]:
    """What opens a cluster, and the name of the kubeconfig's context.

    Args:
        kubeconfig: its file; None for the usual one ($KUBECONFIG, ~/.kube/config), and where there is none, in a pod,
            for that pod's service account.
        context: None for the current one.

    Raises:
        InputError: the kubernetes package isn't installed, or the kubeconfig can't be used.
    """
    named = kubeconfig or "the kubeconfig"
    if not any(os.path.isfile(os.path.expanduser(each)) for each in _paths(kubeconfig)):
        if kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            return Access.in_cluster(os.environ), "this pod's cluster"
        advice = "" if kubeconfig else ": name one with --kubeconfig"
        raise errors.InputError(f"there is no kubeconfig at {' or '.join(_paths(kubeconfig))}{advice}")
    try:
        from kubernetes import client, config
    except ImportError:
        raise errors.InputError(
            "a kubeconfig needs the kubernetes package: pip install 'podhooks[kubernetes]'"
        ) from None
    with _read(named):
        contexts, active = config.list_kube_config_contexts(  # type: ignore[no-untyped-call,unused-ignore]
            config_file=kubeconfig
        )
        names = [text(each.get("name")) for each in contexts]
    if context is not None and context not in names:
        raise errors.InputError(f"--context {context}: {named} has {', '.join(names) or 'no context'}")
    chosen = next((each for each in contexts if each.get("name") == context), active)
    configuration: Any = client.Configuration()
    with _read(named) as complaints:
        config.load_kube_config(  # type: ignore[no-untyped-call,unused-ignore]
            config_file=kubeconfig, context=context, client_configuration=configuration, persist_config=False
        )
    _check(configuration, named, complaints)
    namespace = text(mapping(chosen.get("context")).get("namespace")) or "default"
    return KubeconfigLogin(configuration, namespace), text(chosen.get("name"))


def _paths(kubeconfig: str | None) -> list[str]:
    if kubeconfig is not None:
        return [kubeconfig]
    return [each for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each] or ["~/.kube/config"]


@contextlib.contextmanager
def _read(named: str) -> Iterator[list[str]]:
    """Gives what the client only logs: that the login command failed, and it goes on as nobody.

    Raises:
        InputError: whatever YAML's reader and the client meet in what is no kubeconfig.
    """
    from kubernetes.config import ConfigException

    complaints = _Complaints()
    logging.getLogger().addHandler(complaints)
    try:
        yield complaints.said
    except ConfigException as error:
        raise errors.InputError(f"{named} can't be used: {_in_a_line(error)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InputError(f"{named} can't be read: {_in_a_line(error)}") from error
    except Exception as error:
        said = f"{type(error).__name__}: {_in_a_line(error)}"
        raise errors.InputError(f"{named} is no kubeconfig that can be used: {said}") from error
    finally:
        logging.getLogger().removeHandler(complaints)


def _in_a_line(said: object) -> str:
    return " ".join(str(said).split())[:200]


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(_in_a_line(record.getMessage()))


def _check(configuration: Any, named: str, complaints: Sequence[str]) -> None:
    if complaints:
        raise errors.InputError(f"{named}: its login command failed: {complaints[0]}: log in again")
    if urlsplit(host := configuration.host).scheme not in ("http", "https"):
        raise errors.InputError(f"{named}: its cluster's server is {host!r}: write it like https://HOST:6443")
    if (proxy := configuration.proxy) and urlsplit(proxy).scheme != "http":
        raise errors.InputError(f"{named}: its proxy is {proxy!r}: only an http:// proxy can be used")
    for each in configuration.auth_settings().values():
        if not (value := each.get("value") or "").strip().isascii() or not value.strip().isprintable():
            raise errors.InputError(f"{named}: its token has characters that can't be in one: log in again")
