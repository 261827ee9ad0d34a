{{- /*
podhooks.case: what the containers are made from, as JSON: the pod with its annotations, which containers are main, the
mode, the grace period. Fails with one sentence where the annotations can't be meant.
*/ -}}
{{- define "podhooks.case" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $values := .values | default dict -}}
{{- $runtime := $values.runtime | default dict -}}
{{- if not (kindIs "map" .pod) -}}
  {{- fail "podhooks.inject: pod must be a dictionary with metadata and spec; give it (include ... | fromYaml)" -}}
{{- end -}}
{{- if hasKey .pod "Error" -}}
  {{- fail (printf "podhooks.inject: the pod template isn't YAML: %s" .pod.Error) -}}
{{- end -}}
{{- $pod := .pod | toRawJson | fromJson -}}
{{- $metadata := $pod.metadata | default dict -}}
{{- $annotations := merge (include "podhooks.annotations" $values | fromJson) ($metadata.annotations | default dict) -}}
{{- if $annotations -}}
  {{- $_ := set $pod "metadata" (merge (dict "annotations" $annotations) $metadata) -}}
{{- end -}}
{{- include "podhooks.checkAnnotations" $annotations -}}
{{- $onStart := include "podhooks.callbacks" (dict "where" $contract.names.onStart "text" (get $annotations $contract.names.onStart)) | fromJsonArray -}}
{{- $onExit := include "podhooks.callbacks" (dict "where" $contract.names.onExit "text" (get $annotations $contract.names.onExit)) | fromJsonArray -}}
{{- if not (or $onStart $onExit) -}}
  {{- dict "pod" $pod "injectable" false | toRawJson -}}
{{- else -}}
  {{- include "podhooks.checkPod" $pod -}}
  {{- $mains := include "podhooks.mains" $pod | fromJsonArray -}}
  {{- $grace := get $pod.spec "terminationGracePeriodSeconds" -}}
  {{- $before := kindIs "float64" $grace | ternary $grace $contract.graceSeconds | int -}}
  {{- $outside := eq (get $annotations $contract.names.mode | default "native" | trim) "outside" -}}
  {{- $reserve := include "podhooks.reserve" (dict "annotations" $annotations "onExit" $onExit) | int -}}
  {{- $main := dict -}}
  {{- range $pod.spec.containers -}}
    {{- if eq .name (first $mains) -}}{{- $main = . -}}{{- end -}}
    {{- if has .name $mains -}}{{- include "podhooks.checkMain" . -}}{{- end -}}
  {{- end -}}
  {{- $label := gt (len $mains) 1 | ternary "*" (first $mains) -}}
  {{- if eq (get $annotations $contract.names.mainContainer | default "" | trim) "*" -}}{{- $label = "*" -}}{{- end -}}
  {{- $case := dict
        "pod" $pod
        "injectable" true
        "onExit" (gt (len $onExit) 0)
        "main" $main
        "mains" $mains
        "mainLabel" $label
        "guaranteed" (and (gt (len $onExit) 0) (or $outside (eq (get $annotations $contract.names.guarantee | default "" | trim) $contract.guaranteeCluster)))
        "mode" (get $annotations $contract.names.mode | default "native" | trim)
        "position" (get $annotations $contract.names.onExitPosition | default "last" | trim)
        "image" (get $annotations $contract.names.image | default "main" | trim)
        "python" (get $annotations $contract.names.python | default $contract.defaultPython | trim)
        "bundled" (eq (get $annotations $contract.names.python | default "" | trim) $contract.bundledPython)
        "resources" (include "podhooks.resources" (get $annotations $contract.names.resources) | fromJson)
        "graceBefore" $before
        "graceSeconds" ($outside | ternary $before (add $before $reserve))
        "delivery" ($runtime.delivery | default "image")
        "runtimeImage" ($runtime.image | default $contract.runtimeImage)
        "pullPolicy" ($runtime.pullPolicy | default "")
        "hash" (include "podhooks.hash" $annotations)
  -}}
  {{- include "podhooks.checkToken" $case -}}
  {{- include "podhooks.checkNeeds" $case -}}
  {{- if and $case.bundled (eq $case.delivery "installed") -}}
    {{- fail (printf "%s: bundled is the interpreter that comes along with the runtime: set runtime.delivery to image or copy, or name the image's own" $contract.names.python) -}}
  {{- end -}}
  {{- toRawJson $case -}}
{{- end -}}
{{- end -}}

{{- /* podhooks.mains: names of the containers that `main-container` means: one, or with * all of them. */ -}}
{{- define "podhooks.mains" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $annotations := .metadata.annotations -}}
{{- $names := list -}}
{{- range .spec.containers -}}{{- $names = append $names .name -}}{{- end -}}
{{- $wanted := get $annotations $contract.names.mainContainer | default "" | trim -}}
{{- $default := get $annotations "kubectl.kubernetes.io/default-container" | default "" -}}
{{- if eq $wanted "*" -}}
  {{- toRawJson $names -}}
{{- else if $wanted -}}
  {{- if not (has $wanted $names) -}}
    {{- fail (printf "%s: names %q, which is no container of this pod: write one of %s, or *" $contract.names.mainContainer $wanted (join ", " $names)) -}}
  {{- end -}}
  {{- list $wanted | toRawJson -}}
{{- else -}}
  {{- list (has $default $names | ternary $default (first $names)) | toRawJson -}}
{{- end -}}
{{- end -}}

{{- /* podhooks.hash: of our annotations; the injector's, so that it finds the pod as it would have made it. */ -}}
{{- define "podhooks.hash" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $pairs := list -}}
{{- range $name := $contract.annotations -}}
  {{- if hasKey $ $name -}}
    {{- $pairs = append $pairs (printf "[%q, %s]" $name (get $ $name | toRawJson)) -}}
  {{- end -}}
{{- end -}}
{{- printf "[%s]" (join ", " $pairs) | sha256sum | trunc 16 -}}
{{- end -}}
