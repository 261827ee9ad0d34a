"""`podhooks inject` on a large file: its CPU beside libyaml's parse of the same text, and its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.result import Row, interleaved
from benchmarks.stage import Stage

JOBS = 1000
QUICK_JOBS = 20
JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: job-{number}
  labels: {{app: etl, team: data}}
spec:
  backoffLimit: 2
  template:
    metadata:
      annotations:
        podhooks.io/on-exit: notify:main   # whom to tell
    spec:
      restartPolicy: Never
      containers:
        - name: main
          image: python:3.12
          command: ["python3", "-c", "print('x')"]
          env:
            - name: A
              value: "1"
            - name: B
              valueFrom:
                secretKeyRef:
                  name: credentials
                  key: password
          resources:
            requests:
              cpu: 100m
              memory: 256Mi
            limits:
              memory: 512Mi
"""
PARSE = """
import sys, time, yaml
text = open(sys.argv[1]).read()
began = time.process_time()
for _ in yaml.load_all(text, yaml.CSafeLoader):
    pass
print(time.process_time() - began, PEAK)
"""
INJECT = """
import sys, time
from podhooks.cli import main
code = main(["inject", "-q", "-f", sys.argv[1]])
sys.stdout.flush()
print(time.process_time(), PEAK, file=sys.stderr)
sys.exit(code)
"""
# Of this program's own memory: getrusage's maximum holds that of the process which started it, too.
PEAK = "next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))"


def measure(stage: Stage) -> list[Row]:
    """With this interpreter, which has PyYAML; the floor is the parse alone, ours the whole process with its start."""
    jobs = QUICK_JOBS if stage.quick else JOBS
    path = stage.directory / "jobs.yaml"
    path.write_text("---\n".join(JOB.format(number=number) for number in range(jobs)))
    floors: list[float] = []
    peaks: list[float] = []
    parse, inject = interleaved(1 if stage.quick else 3, lambda: parsed(path, floors), lambda: injected(path, peaks))
    kilobytes = path.stat().st_size // 1000
    name = f"podhooks inject, {jobs} Jobs ({kilobytes} kB)"
    return [
        Row(f"{name}: CPU", "ms", "libyaml's parse", parse, inject, at_most=None if stage.quick else 25.0),
        Row(
            f"{name}: peak memory",
            "MB",
            "a process that parses it",
            max(floors),
            max(peaks),
            at_most=150.0,
            absolute=True,
        ),
    ]


def parsed(path: Path, peaks: list[float]) -> float:
    """Milliseconds of CPU, of the parse alone; the process' peak of resident memory goes to `peaks`, in MB."""
    return figures(run(PARSE, path).stdout, peaks)


def injected(path: Path, peaks: list[float]) -> float:
    """Milliseconds of CPU, of the whole process; the peak of resident memory goes to `peaks`, in MB."""
    return figures(run(INJECT, path).stderr, peaks)


def run(program: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program.replace("PEAK", PEAK), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def figures(said: str, peaks: list[float]) -> float:
    seconds, kibibytes = said.split()[-2:]
    peaks.append(int(kibibytes) * 1024 / 1e6)
    return 1000 * float(seconds)
