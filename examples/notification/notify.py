"""Tells somebody how main ended: as JSON to WEBHOOK_URL, or as a line of NOTIFY_FILE; without either, in the log."""

import json
import os
import urllib.request


def post(context, channel):
    end = context.exit
    message = {
        "channel": channel,
        "text": f"{context.pod.name}: {end.result.value}",
        "result": end.result.value,
        "exit_code": end.exit_code,
        "reason": end.reason,
        "attempt": context.attempt,
        "key": context.idempotency_key,  # the receiver drops what it has already had: a retry has the same key
        "log": end.log_tail(5) if not end.succeeded else "",
    }
    body = json.dumps(message)
    if url := os.environ.get("WEBHOOK_URL"):
        headers = {"Content-Type": "application/json", "Idempotency-Key": context.idempotency_key}
        request = urllib.request.Request(url, body.encode(), headers)
        with urllib.request.urlopen(request, timeout=5) as answer:
            print(f"told {channel}: HTTP {answer.status}")
    elif path := os.environ.get("NOTIFY_FILE"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(body + "\n")
        print(f"told {channel}: a line in {path}")
    else:
        print(body)
