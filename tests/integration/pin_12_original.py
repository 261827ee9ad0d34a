"""Runs where Prefect 0.15.13 is installed, and prints what its `prefect.environments` do: JSON, in the last line.

Each fact has the topic of its row in docs/from-pin-12.md. Nothing of ours can be imported here.
"""

import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import warnings

os.environ["PREFECT__CLOUD__AUTH_TOKEN"] = "token"
warnings.simplefilter("ignore")

import cloudpickle  # noqa: E402
import prefect  # noqa: E402
import yaml  # noqa: E402
from pin_12_files import JOB, POD  # noqa: E402
from prefect import Flow, task  # noqa: E402
from prefect.environments import DaskKubernetesEnvironment, KubernetesJobEnvironment, LocalEnvironment  # noqa: E402

FACTS = {}


def fact(topic):
    def keep(function):
        FACTS[topic] = function
        return function

    return keep


def flow_of(body):
    with Flow("load rows") as flow:
        task(body)()
    return flow


def raised(function):
    """The name of the exception's class, or None."""
    try:
        function()
    except BaseException as error:  # noqa: BLE001  the class is the fact
        return type(error).__name__
    return None


def job(content=JOB, **arguments):
    """The Job as it would be created."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(content)
        file.flush()
        made = KubernetesJobEnvironment(file.name, **arguments)
    with prefect.context(flow_run_id="run-1", namespace="theirs"):
        return made._populate_run_time_job_spec_details("storage:1")


def names(function):
    return list(inspect.signature(function).parameters)[1:]


@fact("the order of arguments")
def order():
    return {each.__name__: names(each.__init__) for each in (KubernetesJobEnvironment, LocalEnvironment)} | {
        "DaskKubernetesEnvironment": names(DaskKubernetesEnvironment.__init__)
    }


@fact("callbacks run")
def process():
    seen = []
    LocalEnvironment(on_start=lambda: seen.append(os.getpid())).run(flow_of(lambda: None))
    return {"in main's process": seen == [os.getpid()]}


@fact("main is killed, runs out of memory, is evicted")
def killed():
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [sys.executable, __file__, directory], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return {"killed": done.returncode == -signal.SIGKILL, "on_exit": bool(os.listdir(directory))}


def be_killed(directory):
    def leave():
        open(os.path.join(directory, "exit"), "w").close()

    LocalEnvironment(on_exit=leave).run(flow_of(lambda: os.kill(os.getpid(), signal.SIGKILL)))


@fact("a callback hangs")
def hangs():
    """As long as it takes: nothing but the callback itself ends it."""
    go_on, ended = threading.Event(), []
    timer = threading.Timer(0.6, go_on.set)
    LocalEnvironment(on_start=lambda: (timer.start(), ended.append(go_on.wait()))).run(flow_of(lambda: None))
    return {"waited for": ended == [True]}


@fact("a callback changes a variable of Python")
def variable():
    values, seen = [], []
    LocalEnvironment(on_start=lambda: values.append(1)).run(flow_of(lambda: seen.extend(values)))
    return {"seen by main": seen == [1]}


def failing():
    raise RuntimeError("on purpose")


@fact("`on_start` fails")
def start_fails():
    ran = []
    environment = LocalEnvironment(on_start=failing, on_exit=lambda: ran.append("on_exit"))
    return {"raised": raised(lambda: environment.run(flow_of(lambda: ran.append("flow")))), "ran": ran}


@fact("`on_exit` fails")
def exit_fails():
    return {"raised": raised(lambda: LocalEnvironment(on_exit=failing).run(flow_of(lambda: None)))}


@fact("the flow fails")
def flow_fails():
    ran = []
    environment = LocalEnvironment(on_exit=lambda: ran.append("on_exit"))
    return {"raised": raised(lambda: environment.run(flow_of(failing))), "ran": ran}


@fact("a callback is given")
def given():
    seen = []
    LocalEnvironment(on_start=lambda *all: seen.append(len(all))).run(flow_of(lambda: None))
    needing = raised(lambda: LocalEnvironment(on_start=lambda context: None).run(flow_of(lambda: None)))
    return {"arguments": seen, "one that needs an argument": needing}


@fact("`execute` returns")
def returns():
    return {"value": LocalEnvironment().execute(flow_of(lambda: 1))}


@fact("`execute` works")
def outside():
    flow = flow_of(lambda: None)
    flow.environment = KubernetesJobEnvironment(metadata={"image": "i"})
    return {"outside": raised(lambda: flow.environment.execute(flow))}


@fact("functions get to the Job")
def travel():
    flow = flow_of(lambda: None)
    flow.environment = LocalEnvironment(on_start=lambda: "pickled with the flow")
    return {"on_start": cloudpickle.loads(cloudpickle.dumps(flow)).environment.on_start()}


@fact("what runs in the Job")
def command():
    return {"args": job()["spec"]["template"]["spec"]["containers"][0]["args"]}


@fact("`executor=`")
def executor():
    made = KubernetesJobEnvironment(executor=prefect.executors.LocalExecutor())
    return {"kept": type(made.executor).__name__}


@fact("`labels`")
def labels():
    made = KubernetesJobEnvironment(labels=["gpu machine"])
    return {"kept": sorted(made.labels), "of the Job": sorted(job(labels=["gpu machine"])["metadata"]["labels"])}


@fact("the flow's image")
def image():
    flow = flow_of(lambda: None)
    flow.environment = KubernetesJobEnvironment(metadata={"image": "i:1"})
    named = prefect.utilities.storage.get_flow_image(flow)
    flow.environment = KubernetesJobEnvironment()
    unnamed = raised(lambda: prefect.utilities.storage.get_flow_image(flow))
    return {
        "metadata": named,
        "none": unnamed,
        "job file's": job()["spec"]["template"]["spec"]["containers"][0]["image"],
    }


@fact("added variables")
def variables():
    containers = job()["spec"]["template"]["spec"]["containers"]
    added = [[each["name"] for each in container["env"]] for container in containers]
    return {"first": added[0], "second": added[1]}


@fact("a variable that the job file has, too")
def conflict():
    env = job()["spec"]["template"]["spec"]["containers"][0]["env"]
    return {"values": [each["value"] for each in env if each["name"] == "PREFECT__CONTEXT__FLOW_RUN_ID"]}


@fact("the labels `prefect.io/...`")
def prefect_labels():
    made = job()
    both = (made["metadata"]["labels"], made["spec"]["template"]["metadata"]["labels"])
    return {"names": [sorted(each) for each in both], "flow_run_id": [each["prefect.io/flow_run_id"] for each in both]}


@fact("a job file without `metadata.name`")
def nameless():
    return {"name": job()["metadata"].get("name"), "unique": raised(lambda: job(unique_job_name=True))}


@fact("a job file without `backoffLimit`")
def tries():
    spec = job()["spec"]
    return {"backoffLimit": spec.get("backoffLimit"), "restartPolicy": spec["template"]["spec"]["restartPolicy"]}


@fact("a job file without containers")
def sections():
    containers = job("metadata: {name: x}")["spec"]["template"]["spec"]["containers"]
    return {"containers": len(containers), "name": containers[0].get("name")}


@fact("the namespace")
def namespace():
    made = job(JOB.replace("generateName", "namespace: mine, generateName"))
    used = "prefect" in KubernetesJobEnvironment.execute.__code__.co_names
    return {"in the file": made["metadata"]["namespace"], "asks the context": used}


@fact("an environment warns that it is deprecated")
def deprecated():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        LocalEnvironment()
    return {"said": any("deprecated" in str(each.message) for each in caught)}


@fact("`serialize()`, `dependencies`, `logger`")
def members():
    return {"there": all(hasattr(LocalEnvironment(), each) for each in ("serialize", "dependencies", "logger"))}


@fact("`DaskKubernetesEnvironment`")
def dask():
    used = DaskKubernetesEnvironment.run.__code__.co_names
    return {
        "setup": DaskKubernetesEnvironment().setup(None),
        "made by main": "KubeCluster" in used,
        "closed": "close" in used,
    }


def dask_files(**arguments):
    with tempfile.TemporaryDirectory() as directory:
        job_file, pod_file = os.path.join(directory, "job"), os.path.join(directory, "pod")
        for path, content in ((job_file, JOB), (pod_file, POD)):
            with open(path, "w") as file:
                file.write(content)
        return DaskKubernetesEnvironment(scheduler_spec_file=job_file, worker_spec_file=pod_file, **arguments)


@fact("its `scheduler_spec_file`")
def scheduler():
    made = dask_files()
    found = made._populate_scheduler_spec_yaml(made._scheduler_spec, "storage:1")
    return {
        "name": found["metadata"]["name"].startswith("prefect-dask-job-"),
        "image": first_image(found["spec"]["template"]),
    }


def first_image(pod):
    return pod["spec"]["containers"][0]["image"]


@fact("its `worker_spec_file`")
def worker():
    made = dask_files()
    with prefect.context(image="storage:1"):
        found = made._populate_worker_spec_yaml(made._worker_spec)
    return {
        "image": first_image(found),
        "args": found["spec"]["containers"][0]["args"],
        "replicas": found["spec"]["replicas"],
    }


@fact("`scheduler_logs`, `log_k8s_errors`")
def loggers():
    made = DaskKubernetesEnvironment(scheduler_logs=True, log_k8s_errors=True)
    return {"loggers": made._extra_loggers()}


@fact("`private_registry`, `docker_secret`")
def registry():
    made = DaskKubernetesEnvironment(private_registry=True)
    with open(os.path.join(os.path.dirname(inspect.getfile(DaskKubernetesEnvironment)), "worker_pod.yaml")) as file:
        pod = made._populate_worker_pod_yaml(yaml.safe_load(file))
    return {"secret": made.docker_secret, "pull secrets": pod["spec"]["imagePullSecrets"]}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        be_killed(sys.argv[1])
    else:
        found = {topic: function() for topic, function in FACTS.items()}
        print(json.dumps(found))  # the last line: Prefect's log is above
