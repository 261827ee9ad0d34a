"""Where a real cluster is, and who we are there: by a kubeconfig as the official client reads it, or in a pod."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from podhooks import errors
from podhooks.inject.shapes import Json
from podhooks.pod.object import text
from podhooks.runtime.client import Access


def connect(kubeconfig: str | None, context: str | None) -> tuple[Any, Mapping[str, Json]]:
    """The official client, and the chosen entry of the kubeconfig's contexts.

    Args:
        kubeconfig: its file; None for the usual one ($KUBECONFIG, ~/.kube/config), and where there is none, in a pod,
            for that pod's service account.
        context: None for the current one.

    Raises:
        InputError: the kubernetes package isn't installed, or the kubeconfig can't be used.
    """
    try:
        from kubernetes import config
    except ImportError:
        raise errors.InputError(
            "a real cluster needs the kubernetes package: pip install 'podhooks[kubernetes]'"
        ) from None
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # what it warns of comes to us as errors
    warnings.filterwarnings("ignore", message="Unverified HTTPS request")  # the kubeconfig asks for it
    named = kubeconfig or "the kubeconfig"
    if not any(os.path.isfile(os.path.expanduser(each)) for each in _paths(kubeconfig)):
        if kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            return _in_pod(Access.in_cluster(os.environ))
        advice = "" if kubeconfig else ": name one with --kubeconfig"
        raise errors.InputError(f"there is no kubeconfig at {' or '.join(_paths(kubeconfig))}{advice}")
    with _read(named):
        contexts, active = config.list_kube_config_contexts(  # type: ignore[no-untyped-call,unused-ignore]
            config_file=kubeconfig
        )
        names = [text(each.get("name")) for each in contexts]
    if context is not None and context not in names:
        raise errors.InputError(f"--context {context}: {named} has {', '.join(names) or 'no context'}")
    chosen = next((each for each in contexts if each.get("name") == context), active)
    with _read(named) as complaints:
        client = config.new_client_from_config(  # type: ignore[no-untyped-call,unused-ignore]
            config_file=kubeconfig, context=context, persist_config=False
        )
    _check(client, named, complaints)
    return client, chosen


def _paths(kubeconfig: str | None) -> list[str]:
    if kubeconfig is not None:
        return [kubeconfig]
    return [each for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each] or ["~/.kube/config"]


def _in_pod(access: Access) -> tuple[Any, Mapping[str, Json]]:
    """As a pod finds its own cluster. The token is read for each request: it is rotated."""
    from kubernetes import client

    def renew(configuration: Any) -> None:
        configuration.api_key["authorization"] = f"Bearer {Path(access.token_file).read_text(encoding='utf-8').strip()}"

    configuration: Any = client.Configuration()
    configuration.host = access.base_url
    configuration.ssl_ca_cert = access.ca_file if os.path.isfile(access.ca_file) else None
    configuration.refresh_api_key_hook = renew
    renew(configuration)
    chosen = {"name": "this pod's cluster", "context": {"namespace": access.namespace}}
    return client.ApiClient(configuration), chosen


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


def _check(client: Any, named: str, complaints: Sequence[str]) -> None:
    if complaints:
        raise errors.InputError(f"{named}: its login command failed: {complaints[0]}: log in again")
    host = client.configuration.host
    if urlsplit(host).scheme not in ("http", "https"):
        raise errors.InputError(f"{named}: its cluster's server is {host!r}: write it like https://HOST:6443")
    for each in client.configuration.auth_settings().values():
        if not (value := each.get("value") or "").strip().isascii() or not value.strip().isprintable():
            raise errors.InputError(f"{named}: its token has characters that can't be in one: log in again")
