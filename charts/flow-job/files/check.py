"""What `helm test` runs in main's image: can the callbacks be found, and may on-exit ask the API how main ended?

The annotations come as JSON, so that no injector takes this pod for one of its own. Nothing is called.
"""

import json
import os
import sys

sys.path.insert(0, sys.argv[1])

from podhooks.annotations.finding import Severity
from podhooks.annotations.parser import parse
from podhooks.errors import PodhooksError
from podhooks.runtime import resolve
from podhooks.runtime.access import Access
from podhooks.runtime.client import Client

plan, findings = parse(json.loads(sys.argv[2]))
problems = [str(each) for each in findings if each.severity is Severity.ERROR]
problems += resolve.check((*plan.on_start, *plan.on_exit), 60.0)
try:
    if plan.on_exit:
        Client(Access.in_cluster(os.environ)).get_pod(os.environ["PODHOOKS_POD_NAME"])
except PodhooksError as error:
    problems.append(str(error))
for problem in problems:
    print(problem)
print(f"{len(plan.on_start)} on_start and {len(plan.on_exit)} on_exit callbacks: {len(problems)} problems")
sys.exit(bool(problems))
