{{- /* podhooks.contract: names and numbers of the injector, as JSON. Written by `make charts`; don't edit. */ -}}
{{- define "podhooks.contract" -}}
{
 "version": "0.1.0",
 "prefix": "podhooks.io/",
 "guaranteeLabel": "podhooks.io/guarantee",
 "guaranteeCluster": "cluster",
 "status": "podhooks.io/status",
 "annotations": [
  "podhooks.io/on-start",
  "podhooks.io/on-exit",
  "podhooks.io/on-start-policy",
  "podhooks.io/on-exit-policy",
  "podhooks.io/on-start-timeout",
  "podhooks.io/on-exit-timeout",
  "podhooks.io/on-start-retries",
  "podhooks.io/on-exit-retries",
  "podhooks.io/on-exit-when",
  "podhooks.io/on-exit-position",
  "podhooks.io/main-container",
  "podhooks.io/mode",
  "podhooks.io/image",
  "podhooks.io/python",
  "podhooks.io/reserve",
  "podhooks.io/guarantee",
  "podhooks.io/resources"
 ],
 "names": {
  "onStart": "podhooks.io/on-start",
  "onExit": "podhooks.io/on-exit",
  "onStartPolicy": "podhooks.io/on-start-policy",
  "onExitPolicy": "podhooks.io/on-exit-policy",
  "onStartTimeout": "podhooks.io/on-start-timeout",
  "onExitTimeout": "podhooks.io/on-exit-timeout",
  "onStartRetries": "podhooks.io/on-start-retries",
  "onExitRetries": "podhooks.io/on-exit-retries",
  "onExitWhen": "podhooks.io/on-exit-when",
  "onExitPosition": "podhooks.io/on-exit-position",
  "mainContainer": "podhooks.io/main-container",
  "mode": "podhooks.io/mode",
  "image": "podhooks.io/image",
  "python": "podhooks.io/python",
  "reserve": "podhooks.io/reserve",
  "guarantee": "podhooks.io/guarantee",
  "resources": "podhooks.io/resources"
 },
 "choices": {
  "podhooks.io/on-start-policy": [
   "fail",
   "ignore"
  ],
  "podhooks.io/on-exit-policy": [
   "fail",
   "ignore"
  ],
  "podhooks.io/on-exit-position": [
   "last",
   "first"
  ],
  "podhooks.io/mode": [
   "native",
   "classic",
   "outside"
  ],
  "podhooks.io/guarantee": [
   "pod",
   "cluster"
  ]
 },
 "words": [
  "podhooks.io/image",
  "podhooks.io/python"
 ],
 "defaultPython": "python3",
 "bundledPython": "bundled",
 "bundledInterpreter": [
  "/podhooks/runtime/opt/interpreter/bin/python3",
  "-I"
 ],
 "bundledDir": "/podhooks/runtime/opt/interpreter",
 "bundledEnv": [
  {
   "name": "LD_PRELOAD"
  }
 ],
 "onExitTimeoutDefault": "30s",
 "maxReserveMilliseconds": 300000,
 "graceSeconds": 30,
 "defaultResources": {
  "requests": {
   "cpu": "10m",
   "memory": "32Mi"
  },
  "limits": {
   "cpu": "1",
   "memory": "512Mi"
  }
 },
 "runtimeImage": "podhooks/podhooks:0.1.0",
 "containerNames": [
  "on-exit",
  "on-start",
  "podhooks-runtime"
 ],
 "volumeNames": [
  "podhooks-podinfo",
  "podhooks-runtime",
  "podhooks-shared"
 ],
 "runtimeContainer": "podhooks-runtime",
 "copyCommand": [
  "python3",
  "-I",
  "/opt/podhooks/podhooks/runtime/install.py",
  "/podhooks/runtime/opt/podhooks"
 ],
 "scripts": {
  "on-start": "/podhooks/runtime/opt/podhooks/on_start.py",
  "on-exit": "/podhooks/runtime/opt/podhooks/on_exit.py"
 },
 "programs": {
  "on-start": "podhooks_initcontainer",
  "on-exit": "podhooks_sidecar"
 },
 "inherited": [
  "workingDir",
  "envFrom",
  "volumeDevices"
 ],
 "ourEnv": [
  "PODHOOKS_MAIN_CONTAINER",
  "PODHOOKS_MODE",
  "PODHOOKS_GRACE_SECONDS",
  "PODHOOKS_POD_NAME",
  "PODHOOKS_POD_NAMESPACE",
  "PODHOOKS_POD_UID",
  "PODHOOKS_NODE_NAME",
  "PODHOOKS_PODINFO_DIR",
  "PODHOOKS_SHARED_DIR"
 ],
 "variableEnv": [
  "PODHOOKS_MAIN_CONTAINER",
  "PODHOOKS_MODE",
  "PODHOOKS_GRACE_SECONDS"
 ],
 "defaultEnv": [
  {
   "name": "NVIDIA_VISIBLE_DEVICES",
   "value": "void"
  }
 ],
 "constantEnv": [
  {
   "name": "PODHOOKS_POD_NAME",
   "valueFrom": {
    "fieldRef": {
     "fieldPath": "metadata.name"
    }
   }
  },
  {
   "name": "PODHOOKS_POD_NAMESPACE",
   "valueFrom": {
    "fieldRef": {
     "fieldPath": "metadata.namespace"
    }
   }
  },
  {
   "name": "PODHOOKS_POD_UID",
   "valueFrom": {
    "fieldRef": {
     "fieldPath": "metadata.uid"
    }
   }
  },
  {
   "name": "PODHOOKS_NODE_NAME",
   "valueFrom": {
    "fieldRef": {
     "fieldPath": "spec.nodeName"
    }
   }
  },
  {
   "name": "PODHOOKS_PODINFO_DIR",
   "value": "/podhooks/podinfo"
  },
  {
   "name": "PODHOOKS_SHARED_DIR",
   "value": "/podhooks/shared"
  }
 ],
 "sharedEnv": {
  "name": "PODHOOKS_SHARED_DIR",
  "value": "/podhooks/shared"
 },
 "sharedMount": {
  "name": "podhooks-shared",
  "mountPath": "/podhooks/shared"
 },
 "podinfoMount": {
  "name": "podhooks-podinfo",
  "mountPath": "/podhooks/podinfo",
  "readOnly": true
 },
 "runtimeMount": {
  "name": "podhooks-runtime",
  "mountPath": "/podhooks/runtime",
  "readOnly": true
 },
 "volumes": [
  {
   "name": "podhooks-shared",
   "emptyDir": {}
  },
  {
   "name": "podhooks-podinfo",
   "downwardAPI": {
    "items": [
     {
      "path": "annotations",
      "fieldRef": {
       "fieldPath": "metadata.annotations"
      }
     },
     {
      "path": "labels",
      "fieldRef": {
       "fieldPath": "metadata.labels"
      }
     }
    ]
   }
  }
 ],
 "runtimeDir": "/podhooks/runtime/opt/podhooks",
 "writtenByKubelet": [
  "configMap",
  "secret",
  "downwardAPI",
  "projected",
  "image"
 ],
 "serviceAccountDir": "/var/run/secrets/kubernetes.io/serviceaccount",
 "podRules": [
  {
   "apiGroups": [
    ""
   ],
   "resources": [
    "pods"
   ],
   "verbs": [
    "get",
    "watch"
   ]
  },
  {
   "apiGroups": [
    ""
   ],
   "resources": [
    "pods/log"
   ],
   "verbs": [
    "get"
   ]
  }
 ]
}
{{- end -}}
