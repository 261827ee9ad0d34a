"""on_start leaves something for main; on_exit looks at what became of it and tells how main ended."""

import json


def prepare(context):
    rows = list(range(40))
    (context.shared_dir / "rows.json").write_text(json.dumps(rows))
    print(f"before main: {len(rows)} rows are ready in {context.shared_dir.name}/")


def report(context):
    end = context.exit
    progress = context.shared_dir / "progress"
    done = progress.read_text() if progress.exists() else "0"
    print(f"after main: result {end.result.value}, exit code {end.exit_code}, {done} rows done")
