"""Prefect's REST API as far as callbacks need it. Standard library only: importing Prefect takes 1.6 s and 81 MB.

The environment is Prefect's own: PREFECT_API_URL, PREFECT_API_KEY (Cloud), PREFECT_API_AUTH_STRING (a server with
basic authentication), PREFECT_CLIENT_CUSTOM_HEADERS (JSON), PREFECT_API_SSL_CERT_FILE and
PREFECT_API_TLS_INSECURE_SKIP_VERIFY.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from podhooks.callbacks.budget import Budget, within
from podhooks.callbacks.delivery import AGAIN, NoRedirects, retry_after
from podhooks.callbacks.secrecy import shown_url
from podhooks.errors import CallbackError, InputError
from podhooks.runtime.backoff import backoff_seconds
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from podhooks.context import Json

ANSWER_TIMEOUT_SECONDS = 10.0
TRUE_WORDS = frozenset({"1", "true", "t", "yes", "y", "on"})


class PrefectError(CallbackError):
    """Prefect said no, or said nothing. `status` is the HTTP status, 0 for no answer."""

    def __init__(self, message: str, *, status: int = 0, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.wait_seconds = wait_seconds

    @property
    def may_pass(self) -> bool:
        return self.status == 0 or self.status in AGAIN


def _unknown(_name: str) -> str:
    return ""


class PrefectSettings(Value):
    """Where Prefect is and what opens it."""

    api_url: str
    headers: Mapping[str, str]
    ca_file: str = ""
    insecure: bool = False
    lacking: str = ""  # where main's credentials are, when this container has none

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], source: Callable[[str], str] = _unknown) -> PrefectSettings:
        """
        Args:
            source: says of a variable where main has it from, when only main has it; "" where that isn't known.

        Raises:
            InputError: no API URL, or a variable that holds nonsense.
        """
        url = environ.get("PREFECT_API_URL", "").strip().rstrip("/")
        if not url:
            raise InputError(_no_url(source("PREFECT_API_URL")))
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise InputError(f"PREFECT_API_URL={shown(url)} isn't a URL: write one like http://prefect-server:4200/api")
        insecure = environ.get("PREFECT_API_TLS_INSECURE_SKIP_VERIFY", "").lower() in TRUE_WORDS
        headers = _headers(environ)
        lacking = "" if "Authorization" in headers else _where_credentials_are(source)
        return cls(url, headers, environ.get("PREFECT_API_SSL_CERT_FILE", ""), insecure, lacking)


def _no_url(source: str) -> str:
    if source:
        return (
            f"PREFECT_API_URL isn't set in this container, and main has it from {source}, which the pod doesn't show: "
            "set the job variable callback_api_url, or add the Secret to callback_env_from"
        )
    return (
        "PREFECT_API_URL isn't set in this container: add it. In a work pool's pod it's main's, "
        "read from the pod with the permission to get pods: "
        "podhooks render pod-rbac --namespace NAMESPACE --service-account ACCOUNT | kubectl apply -f -"
    )


def _where_credentials_are(source: Callable[[str], str]) -> str:
    """What to do about credentials that main has and this container hasn't; "" where main seems to have none."""
    variables = {
        "PREFECT_API_KEY": "callback_api_key_from",
        "PREFECT_API_AUTH_STRING": "callback_api_auth_string_from",
    }
    for name, variable in variables.items():
        if found := source(name):
            return (
                f"main has {name} from {found}, and this container hasn't: set the job variable {variable}, or add "
                "the Secret to callback_env_from"
            )
    return ""


def shown(url: str) -> str:
    """`url` without a password in it."""
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://{after}" if at else url


def _headers(environ: Mapping[str, str]) -> dict[str, str]:
    headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "podhooks"}
    headers |= _custom_headers(environ.get("PREFECT_CLIENT_CUSTOM_HEADERS", ""))
    key, auth = environ.get("PREFECT_API_KEY", ""), environ.get("PREFECT_API_AUTH_STRING", "")
    if auth:  # before the key, as in Prefect's own client
        headers["Authorization"] = "Basic " + base64.b64encode(auth.encode()).decode("ascii")
    elif key:
        headers["Authorization"] = f"Bearer {key.strip()}"
    return headers


def _custom_headers(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        headers = json.loads(text)
        return {str(name): str(value) for name, value in headers.items()}
    except (ValueError, AttributeError) as error:
        raise InputError(
            'PREFECT_CLIENT_CUSTOM_HEADERS isn\'t a JSON object of headers: write one like {"X-Team": "data"}'
        ) from error


class PrefectApi:
    """Requests, tried again where that may help, as long as the budget lasts.

    Raises PrefectError; every request that changes something is made so that a second one changes nothing.
    """

    def __init__(self, settings: PrefectSettings, budget: Budget) -> None:
        self.settings = settings
        self._budget = budget
        https = urllib.request.HTTPSHandler(context=_tls(settings))
        self._opener = urllib.request.build_opener(https, NoRedirects)  # the key is for this server alone

    def get_flow_run(self, flow_run_id: str) -> dict[str, Json]:
        run = self.request("GET", f"/flow_runs/{flow_run_id}", what=f"flow run {flow_run_id}")
        if not isinstance(run, dict):
            raise PrefectError(_no_prefect(self.settings.api_url))
        return run

    def set_state(self, flow_run_id: str, state: Mapping[str, Json]) -> dict[str, Json]:
        """Prefect's verdict: `status` is ACCEPT, REJECT, ABORT or WAIT, `details.reason` says why. Never forced."""
        body = {"state": dict(state), "force": False}
        verdict = self.request("POST", f"/flow_runs/{flow_run_id}/set_state", body, what=f"flow run {flow_run_id}")
        return verdict if isinstance(verdict, dict) else {}

    def find_artifacts(self, flow_run_id: str, key: str) -> list[dict[str, Json]]:
        body = {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}, "key": {"any_": [key]}}, "limit": 50}
        found = self.request("POST", "/artifacts/filter", body, what="artifacts")
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

    def create_artifact(self, artifact: Mapping[str, Json]) -> None:
        self.request("POST", "/artifacts/", dict(artifact), what="the artifact")

    def send_event(self, event: Mapping[str, Json]) -> None:
        self.request("POST", "/events", [dict(event)], what="the event")

    def request(self, method: str, path: str, body: Json = None, *, what: str) -> Json:
        tries = 0
        while True:
            tries += 1
            try:
                return self._once(method, path, body, what)
            except PrefectError as error:
                if not error.may_pass or not self._budget.pause(backoff_seconds(tries, error.wait_seconds)):
                    raise

    def _once(self, method: str, path: str, body: Json, what: str) -> Json:
        seconds = max(min(ANSWER_TIMEOUT_SECONDS, self._budget.left()), 0.1)
        try:
            return within(seconds, lambda: self._exchange(method, path, body, what, seconds))
        except TimeoutError as error:
            raise PrefectError(f"can't reach Prefect at {shown(self.settings.api_url)}: no answer in time") from error

    def _exchange(self, method: str, path: str, body: Json, what: str, seconds: float) -> Json:
        url = self.settings.api_url + path
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, dict(self.settings.headers), method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                return _parse(answer.read(), self.settings.api_url)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error, what, self.settings) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise PrefectError(f"can't reach Prefect at {shown(self.settings.api_url)}: {_reason(error)}") from error


def _tls(settings: PrefectSettings) -> ssl.SSLContext | None:
    if not settings.api_url.startswith("https:"):
        return None
    if settings.insecure:
        return ssl._create_unverified_context()  # noqa: S323  asked for by Prefect's own variable
    try:
        return ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError as error:
        raise InputError(f"PREFECT_API_SSL_CERT_FILE={settings.ca_file}: {error}") from error


def _parse(body: bytes, api_url: str) -> Json:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError as error:
        raise PrefectError(_no_prefect(api_url), status=200) from error


def _no_prefect(api_url: str) -> str:
    return f"{shown(api_url)} doesn't answer as Prefect's API: PREFECT_API_URL ends with /api, or is a workspace's URL"


def _refusal(error: urllib.error.HTTPError, what: str, settings: PrefectSettings) -> PrefectError:
    where = f"Prefect at {shown(settings.api_url)}"
    try:
        said = _detail(error.read(4096))
    except (OSError, http.client.HTTPException):
        said = ""
    texts = {
        401: f"{where} doesn't accept these credentials (401): {_credentials(settings)}",
        403: f"{where} forbids it (403): give the API key's account write access to the workspace",
        404: f"{where} doesn't know {what} (404): it was deleted, or PREFECT_API_URL is another server's",
        409: f"{where} refuses a conflicting change of {what} (409): {said or 'somebody else changed it meanwhile'}",
        422: f"{where} can't read what was sent for {what} (422): {said}",
        429: f"{where} is being asked too often (429), and the callback's time is over: give it a longer timeout",
    }
    if 300 <= error.code < 400:
        moved = shown_url(error.headers.get("Location") or "")
        said = f"{where} has moved to {moved} ({error.code}): set PREFECT_API_URL to its new URL"
        return PrefectError(said, status=error.code)
    message = texts.get(error.code, f"{where} answered with status {error.code}: {said or error.reason}")
    return PrefectError(message, status=error.code, wait_seconds=retry_after(error.headers))


def _credentials(settings: PrefectSettings) -> str:
    kind = settings.headers.get("Authorization", "").partition(" ")[0]
    if not kind:
        return settings.lacking or "neither PREFECT_API_KEY nor PREFECT_API_AUTH_STRING is set in this container"
    return f"check {'PREFECT_API_KEY' if kind == 'Bearer' else 'PREFECT_API_AUTH_STRING'}"


def _detail(body: bytes) -> str:
    """What a server says is wrong, on one line."""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    detail = said.get("detail") or said.get("exception_message") or said if isinstance(said, dict) else said
    return (detail if isinstance(detail, str) else json.dumps(detail))[:300]


def _reason(error: Exception) -> str:
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {inner.verify_message}"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return str(inner) or type(inner).__name__
