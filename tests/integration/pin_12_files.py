"""A job file and a worker's pod as written for Prefect 0.15. The original reads them, too: nothing is imported."""

JOB = """
metadata: {generateName: etl-, labels: {team: data}}
spec:
  template:
    spec:
      restartPolicy: OnFailure
      containers:
        - {name: flow, image: mine, env: [{name: PREFECT__CONTEXT__FLOW_RUN_ID, value: file}]}
        - {name: proxy, image: proxy, command: [sleep, "600"]}
"""
POD = """
kind: Pod
spec: {replicas: 3, containers: [{name: w, image: mine, args: [dask-worker, --no-bokeh]}]}
"""
