"""Certificates of our own making: `rotation` decides, this reads, makes and writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from podhooks import log
from podhooks.errors import Conflict, InputError, NotFound
from podhooks_operator.certificates import published as configurations
from podhooks_operator.certificates import x509
from podhooks_operator.certificates.published import Published
from podhooks_operator.certificates.rotation import Action, Authority, Publish, Rhythm, choose, decide
from podhooks_operator.certificates.secret import Holdings, Maker, authority_of, decode, encode, serving_of
from podhooks_operator.certificates.x509 import Pair
from podhooks_operator.cluster import SECRETS, Cluster

Json: TypeAlias = Any
STEPS = 8  # in a row; from nothing to everything it takes two


class SelfMade:
    """One replica's part: it serves the certificate that the Secret holds, and looks after the Secret. All replicas do.

    A write is only over the version that was read. Of two replicas that write at once, one gets a Conflict
    and reads again.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        namespace: str,
        secret: str,
        configuration: str,
        names: tuple[str, ...],
        rhythm: Rhythm,
    ) -> None:
        self._cluster = cluster
        self._collection = SECRETS.format(namespace)
        self._metadata = {"name": secret, "namespace": namespace}
        self._configuration = configuration
        self._maker = Maker(names, rhythm)
        self._held: Pair | None = None

    def refresh(self, published: Published, ages: Mapping[str, float]) -> Pair | None:
        secret, holdings = self._read()
        for _ in range(STEPS):
            action = self._decided(holdings, published, ages)
            if action is None:
                break
            try:
                self._carry_out(action, secret, holdings, published)
            except Conflict as conflict:
                log.info("somebody else was faster", why=conflict)
                break
            published = configurations.read(self._cluster, self._configuration)  # always before the Secret
            ages = {each: ages.get(each, 0.0) for each in published.authorities}
            secret, holdings = self._read()
        self._held = self._chosen(holdings, published, ages)
        return self._held

    def _decided(self, holdings: Holdings | None, published: Published, ages: Mapping[str, float]) -> Action | None:
        stock = holdings.stock(self._maker.names) if holdings else None
        action = decide(stock, _authorities(published), ages, self._cluster.now(), self._maker.rhythm)
        return None if isinstance(action, Publish) and not published.webhooks else action

    def _carry_out(self, action: Action, secret: Json, holdings: Holdings | None, published: Published) -> None:
        bundle = {each: x509.to_pem(certificate) for each, certificate in published.authorities.items()}
        if isinstance(action, Publish) and holdings is not None:
            known = holdings.authorities()
            wanted = [known[each] for each in action.authorities]
            configurations.publish(self._cluster, self._configuration, published, wanted)
        else:
            self._write(secret, self._maker.after(action, holdings, bundle, self._cluster.now()))
        log.info("certificates", step=type(action).__name__.lower())

    def _read(self) -> tuple[Json, Holdings | None]:
        """The Secret, None if there is none, and what it holds, None if it is of no use."""
        try:
            secret = self._cluster.get(self._path)
        except NotFound:
            return None, None
        try:
            return secret, decode(secret)
        except InputError as error:
            log.error("the certificates must be made anew", why=error)
            return secret, None

    def _write(self, secret: Json, holdings: Holdings) -> None:
        if secret is None:
            new = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": self._metadata}
            self._cluster.create(self._collection, {**new, "data": encode(holdings)})
        else:
            self._cluster.update(self._path, {**secret, "data": encode(holdings)})

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self._metadata['name']}"

    def _chosen(self, holdings: Holdings | None, published: Published, ages: Mapping[str, float]) -> Pair | None:
        if holdings is None or self._held is None:
            return self._held if holdings is None else holdings.serving
        issuers = [holdings.authority.certificate, *(x509.to_pem(each) for each in published.bundle)]
        offered, held = (serving_of(each, issuers, self._maker.names) for each in (holdings.serving, self._held))
        chosen = choose(held, offered, ages, self._cluster.now(), self._maker.rhythm)
        return holdings.serving if chosen == offered else self._held


def _authorities(published: Published) -> dict[str, Authority]:
    return {each: authority_of(x509.to_pem(certificate)) for each, certificate in published.authorities.items()}
