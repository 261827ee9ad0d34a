"""The Role and RoleBinding that injected pods' service accounts need, in front of a stream, and out of it again.

In front, because `kubectl apply` goes by the order of the file: a pod that has no right to look at the moment of its
start has to wait for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from podhooks import contract
from podhooks.cli.reports import Judged
from podhooks.inject.shapes import Json
from podhooks.inject.templates import look_up
from podhooks.pod.object import mapping, text
from podhooks.render.pod_rbac import NAME, pod_rbac
from podhooks.yamltext.emit import document_lines
from podhooks.yamltext.stream import Stream, parse

SEPARATOR = "---\n"
_SEPARATOR_LINE = re.compile(r"^---[ \t]*\r?\n", re.MULTILINE)


def accounts(judged: Sequence[Judged], namespace: str) -> list[tuple[str, str]]:
    """(namespace, service account) of each pod whose on-exit asks the API. `namespace`: of objects that name none."""
    found = []
    for one in judged:
        for each in one.reports:
            if not (each.report.injectable and each.report.plan.on_exit):
                continue
            metadata = mapping(mapping(look_up(one.result, each.at)).get("metadata"))
            spec = mapping(look_up(one.result, (*each.path, "spec")))
            account = text(spec.get("serviceAccountName")) or "default"
            found.append((text(metadata.get("namespace")) or namespace, account))
    return list(dict.fromkeys(found))


def objects(found: Sequence[tuple[str, str]]) -> list[dict[str, Json]]:
    """Of each account its own pair: another file's pods have theirs."""
    made = []
    for namespace, account in found:
        for each in pod_rbac(name=f"{NAME}-{account}", account=account, namespace=namespace):
            labels = {contract.ADDED_LABEL: contract.ADDED_BY_INJECT}
            made.append({**each, "metadata": {**each["metadata"], "labels": labels}})
    return made


def put_in(whole: str, added: Sequence[dict[str, Json]], *, is_json: bool) -> str:
    if is_json:
        return "".join(json.dumps(each) + "\n" for each in added) + whole
    return "".join("\n".join(document_lines(each, 2)) + "\n" + SEPARATOR for each in added) + whole


def taken_out(stream: Stream) -> Stream:
    """Without what `put_in` put in front of it; the stream itself where there is nothing."""
    ours = 0
    for document in stream.documents:
        labels = mapping(mapping(document.value.get("metadata")).get("labels"))
        if labels.get(contract.ADDED_LABEL) != contract.ADDED_BY_INJECT:
            break
        ours += 1
    if not ours:
        return stream
    last = stream.documents[ours - 1]
    if stream.is_json:
        return parse(stream.text[last.end :].removeprefix("\n"), stream.name)
    lines = stream.text.splitlines(keepends=True)
    start = len("".join(lines[: last.line]))
    behind = _SEPARATOR_LINE.search(stream.text, start)
    return parse(stream.text[behind.end() :] if behind else "", stream.name)
