"""Every string and number that crosses a process border, once.

Annotations, container and volume names, paths, environment variables, exit codes and promised defaults. Whoever
changes one of these changes what users wrote into their manifests.
"""

PREFIX = "podhooks.io/"

# What users write on the pod (template), as far as code asks for it by name; annotations/plan.py has the table of all.
ON_START = PREFIX + "on-start"
ON_EXIT = PREFIX + "on-exit"
ON_START_POLICY = PREFIX + "on-start-policy"
ON_EXIT_POLICY = PREFIX + "on-exit-policy"
ON_START_TIMEOUT = PREFIX + "on-start-timeout"
ON_EXIT_TIMEOUT = PREFIX + "on-exit-timeout"
ON_START_RETRIES = PREFIX + "on-start-retries"
ON_EXIT_RETRIES = PREFIX + "on-exit-retries"
ON_EXIT_WHEN = PREFIX + "on-exit-when"
ON_EXIT_POSITION = PREFIX + "on-exit-position"
MAIN_CONTAINER = PREFIX + "main-container"
MODE = PREFIX + "mode"
IMAGE = PREFIX + "image"
PYTHON = PREFIX + "python"
RESERVE = PREFIX + "reserve"
GUARANTEE = PREFIX + "guarantee"
RESOURCES = PREFIX + "resources"
STATUS = PREFIX + "status"  # written by the injector, never by users
RELEASED = PREFIX + "released"  # written when the rescuer's finalizer is dropped: why, one of RELEASES

# `guarantee: cluster`. The label makes the pods cheap to watch; the finalizer keeps a pod's object until its end has
# been read. Every door sets the label. The finalizer comes from the webhook of an operator that also takes it away, or
# from the rescuer itself.
GUARANTEE_LABEL = GUARANTEE
GUARANTEE_CLUSTER = "cluster"
FINALIZER = PREFIX + "on-exit"
RELEASED_COMPLETE = "complete"  # the pod had run all of on_exit itself
RELEASED_RECORDED = "recorded"  # a Rescue holds what is owed
RELEASED_BY_HAND = "by-hand"  # podhooks release; the rescuer doesn't hold the pod again
RELEASES = (RELEASED_COMPLETE, RELEASED_RECORDED, RELEASED_BY_HAND)

# The rescuer's own objects.
RESCUE_GROUP = "podhooks.io"
RESCUE_VERSION = "v1alpha1"
RESCUE_LABEL = PREFIX + "rescue"  # on a rescue Job and its pod: the UID of the pod whose on_exit it runs
RESCUE_ANNOTATION = PREFIX + "rescue"  # on a rescue Job's pod: what its program is told, JSON
RESCUE_FILE = "rescue"  # the same as a file in PODINFO_DIR

# On a namespace: `disabled` keeps the webhook and the policy out of it; where they are set up to be asked for,
# `enabled` lets them in.
INJECTION_LABEL = PREFIX + "injection"
INJECTION_ENABLED = "enabled"
INJECTION_DISABLED = "disabled"

# On objects that `podhooks inject --with-rbac` adds to a stream: `uninject` knows them by it.
ADDED_LABEL = PREFIX + "added-by"
ADDED_BY_INJECT = "inject"

DEFAULT_CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container"  # kubectl's own, the fallback for main
ALL_CONTAINERS = "*"  # as `main-container`: all containers together
MAIN_IMAGE = "main"  # as `image`: main's own image
BUNDLED_PYTHON = "bundled"  # as `python`: the interpreter of our own image, see INTERPRETER

# Promised defaults.
DEFAULT_ON_START_TIMEOUT_SECONDS = 300.0
DEFAULT_ON_EXIT_TIMEOUT_SECONDS = 30.0
DEFAULT_ON_START_RETRIES = 0
DEFAULT_ON_EXIT_RETRIES = 2
DEFAULT_PYTHON = "python3"
DEFAULT_GRACE_SECONDS = 30  # Kubernetes' own, when terminationGracePeriodSeconds isn't set
MAX_DEFAULT_RESERVE_SECONDS = 300.0  # an unset `reserve` is the sum of on_exit timeouts, at most this
MAX_RETRIES = 100
MAX_TIMEOUT_SECONDS = 7 * 24 * 3600.0

# What the injector adds to a pod.
ON_START_CONTAINER = "on-start"  # init container
# native: init container with restartPolicy Always, behind the user's init containers; classic: a container, last
ON_EXIT_CONTAINER = "on-exit"
RUNTIME_CONTAINER = "podhooks-runtime"  # copying init container, only with delivery `copy`
OUR_CONTAINERS = frozenset({ON_START_CONTAINER, ON_EXIT_CONTAINER, RUNTIME_CONTAINER})

SHARED_VOLUME = "podhooks-shared"
RUNTIME_VOLUME = "podhooks-runtime"
PODINFO_VOLUME = "podhooks-podinfo"
OUR_VOLUMES = frozenset({SHARED_VOLUME, RUNTIME_VOLUME, PODINFO_VOLUME})

SHARED_DIR = "/podhooks/shared"  # emptyDir, also mounted in main
RUNTIME_MOUNT = "/podhooks/runtime"  # image volume, or an emptyDir filled by the copying init container
RUNTIME_DIR = RUNTIME_MOUNT + "/opt/podhooks"  # where the packages lie in it: an image is mounted with its whole root
IMAGE_INTERPRETER_DIR = "/opt/interpreter"  # in our own image: its Python with all that it loads, and nothing absolute
INTERPRETER_DIR = RUNTIME_MOUNT + IMAGE_INTERPRETER_DIR
# The program's header names its loader by this mount's path: it starts in an image with another C library, or none.
INTERPRETER = INTERPRETER_DIR + "/bin/python3"
PODINFO_DIR = "/podhooks/podinfo"  # downward API volume with the files `annotations` and `labels`
IMAGE_RUNTIME_DIR = "/opt/podhooks"  # where the same packages lie inside our own image

RECORD_DIR = ".podhooks"  # below the shared directory: records of finished callbacks, one file per hook

TERMINATION_LOG = "/dev/termination-log"  # Kubernetes' default terminationMessagePath
TERMINATION_MESSAGE_BYTES = 4096  # the kubelet reads no more (kubelet fact 17)

SERVICE_ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"

# Environment of our containers. The injector sets them; the programs read them once, in main().
ENV_MAIN_CONTAINER = "PODHOOKS_MAIN_CONTAINER"  # who main is: chosen once, and written here
ENV_MODE = "PODHOOKS_MODE"
ENV_GRACE_SECONDS = "PODHOOKS_GRACE_SECONDS"
ENV_POD_NAME = "PODHOOKS_POD_NAME"
ENV_POD_NAMESPACE = "PODHOOKS_POD_NAMESPACE"
ENV_POD_UID = "PODHOOKS_POD_UID"
ENV_NODE_NAME = "PODHOOKS_NODE_NAME"
ENV_PODINFO_DIR = "PODHOOKS_PODINFO_DIR"
ENV_SHARED_DIR = "PODHOOKS_SHARED_DIR"  # in main too: where on_start leaves things for main
ENV_RESCUE = "PODHOOKS_RESCUE"  # only in a rescue Job: the file that says which pod's on_exit it runs
ENV_TERMINATION_LOG = (
    "PODHOOKS_TERMINATION_LOG"  # not set in a cluster; the stand-in sets it where it can't mount files
)

# Read, but set only where the defaults of a cluster don't hold (the embedded stand-in, tests).
ENV_API_SERVER = "PODHOOKS_API_SERVER"  # base URL instead of https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT
ENV_SERVICE_ACCOUNT_DIR = "PODHOOKS_SERVICE_ACCOUNT_DIR"

# Of our containers in a Prefect work pool's template: their callbacks take main's variables from the pod, see
# main_environment.py.
ENV_INHERIT = "PODHOOKS_INHERIT_ENVIRONMENT"
# Prefix of a variable that callbacks get where neither our container nor main's entries in the pod have it.
ENV_OTHERWISE = "PODHOOKS_OTHERWISE_"
# How often the Job's controller makes another pod after one that failed, as a number; not set where nobody said.
ENV_BACKOFF_LIMIT = "PODHOOKS_BACKOFF_LIMIT"

# What an `exec` callback finds in its environment (and the context as JSON on stdin).
ENV_HOOK = "PODHOOKS_HOOK"
ENV_CALLBACK = "PODHOOKS_CALLBACK"
ENV_IDEMPOTENCY_KEY = "PODHOOKS_IDEMPOTENCY_KEY"
ENV_ATTEMPT = "PODHOOKS_ATTEMPT"
ENV_DEADLINE = "PODHOOKS_DEADLINE"
ENV_RESULT = "PODHOOKS_RESULT"
ENV_EXIT_CODE = "PODHOOKS_EXIT_CODE"
ENV_SIGNAL = "PODHOOKS_SIGNAL"
ENV_REASON = "PODHOOKS_REASON"
ENV_MESSAGE = "PODHOOKS_MESSAGE"
ENV_FLOW_RUN_ID = "PODHOOKS_FLOW_RUN_ID"

# In the environment of every callback's process, with a value of its own: by it the runner knows what a callback left.
ENV_MARK = "PODHOOKS_MARK"

# Labels, annotations and variables of neighbours.
LABEL_JOB_NAME = "batch.kubernetes.io/job-name"
LABEL_JOB_COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
ANNOTATION_JOB_COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
LABEL_DASK_CLUSTER = "dask.org/cluster-name"  # on every pod of the Dask operator's
ENV_SCHEDULER = "DASK_SCHEDULER_ADDRESS"  # in their ordinary containers
LABEL_FLOW_RUN_ID = "prefect.io/flow-run-id"
LABEL_FLOW_RUN_ID_OF_0_15 = "prefect.io/flow_run_id"  # as prefect.environments wrote it, until Prefect 0.15
LABEL_IDENTIFIER = "prefect.io/identifier"  # one for each of Prefect 0.15's environments
# Variables that work on a container from outside of its programs: see inject/env.py.
ENV_PRELOADED = "LD_PRELOAD"  # libraries that the loader puts into every program (ld.so(8))
ENV_VISIBLE_GPUS = "NVIDIA_VISIBLE_DEVICES"  # what NVIDIA's container runtime puts into a container
NO_GPU = "void"  # "the same behavior as runc" (its documentation, Environment variables)
PREFECT_FLOW_RUN_ID_VARIABLES = ("PREFECT__FLOW_RUN_ID", "PREFECT_FLOW_RUN_ID")

# Exit codes of our programs.
EXIT_OK = 0
EXIT_CALLBACK_FAILED = 1  # a callback failed and its policy is `fail`
EXIT_BAD_INPUT = 2  # the one line on stderr says what, where and what to do

LOCAL_NODE = "local"  # the stand-in's only node: a run on this machine doesn't name it
