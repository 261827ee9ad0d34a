{{- /*
podhooks.inject: your pod template with the containers that its callbacks ask for, as YAML.

  pod     the pod template (or Pod), a dictionary with `metadata` and `spec`
  values  this chart's values, as you have them below the dependency's name or alias

  template:
    {{- include "podhooks.inject" (dict "pod" (include "app.pod" . | fromYaml) "values" .Values.podhooks) | nindent 4 }}

It gives the pod that `podhooks inject` gives for the same annotations. Annotations of ours in the pod's own metadata count
too; `values` come before them. Without callbacks the pod comes back as it is.
*/ -}}
{{- define "podhooks.inject" -}}
{{- $case := include "podhooks.case" . | fromJson -}}
{{- if $case.injectable -}}
{{- include "podhooks.injected" $case -}}
{{- else -}}
{{- toYaml $case.pod -}}
{{- end -}}
{{- end -}}

{{- /* podhooks.injected: a case that has callbacks, to the pod with our containers. */ -}}
{{- define "podhooks.injected" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $pod := .pod -}}
{{- $spec := $pod.spec -}}
{{- $was := list -}}
{{- $own := list -}}
{{- range $field := list "volumes" "initContainers" -}}
  {{- if and (hasKey $spec $field) (not (get $spec $field)) -}}
    {{- $was = append $was (printf "%q:%s" $field (toRawJson (get $spec $field))) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $spec "volumes" (concat ($spec.volumes | default list) (include "podhooks.volumes" . | fromJsonArray)) -}}
{{- $_ := set $spec "initContainers" (include "podhooks.initContainers" . | fromJsonArray) -}}
{{- $containers := list -}}
{{- range $container := $spec.containers -}}
  {{- range $pair := list (list "volumeMounts" $contract.sharedMount) (list "env" $contract.sharedEnv) -}}
    {{- $field := index $pair 0 -}}
    {{- $entry := index $pair 1 -}}
    {{- $path := printf "%s.%s" $container.name $field -}}
    {{- $entries := get $container $field | default list -}}
    {{- $there := has $entry $entries -}}
    {{- range $entries -}}
      {{- if and (eq $field "volumeMounts") (include "podhooks.isSharedMount" .) -}}{{- $there = true -}}{{- end -}}
    {{- end -}}
    {{- if $there -}}
      {{- $own = append $own $path -}}
    {{- else if has $container.name $.mains -}}
      {{- if and (hasKey $container $field) (not $entries) -}}
        {{- $was = append $was (printf "%s:%s" (toRawJson $path) (toRawJson (get $container $field))) -}}
      {{- end -}}
      {{- $_ := set $container $field (append $entries $entry) -}}
    {{- end -}}
  {{- end -}}
  {{- $containers = append $containers $container -}}
{{- end -}}
{{- if and .onExit (eq .mode "classic") -}}
  {{- $containers = append $containers (include "podhooks.container" (merge (dict "name" "on-exit") .) | fromJson) -}}
{{- end -}}
{{- $_ := set $spec "containers" $containers -}}
{{- $raised := ne (int .graceSeconds) (int .graceBefore) -}}
{{- $grace := get $spec "terminationGracePeriodSeconds" -}}
{{- if $raised -}}
  {{- if and (hasKey $spec "terminationGracePeriodSeconds") (not (kindIs "float64" $grace)) -}}
    {{- $was = append $was "\"terminationGracePeriodSeconds\":null" -}}
  {{- end -}}
  {{- $_ := set $spec "terminationGracePeriodSeconds" (int .graceSeconds) -}}
{{- end -}}
{{- $labels := $pod.metadata.labels | default dict -}}
{{- if eq (get $labels $contract.guaranteeLabel) $contract.guaranteeCluster -}}
  {{- $own = append $own "metadata.labels" -}}
{{- else if .guaranteed -}}
  {{- if and (hasKey $pod.metadata "labels") (not $labels) -}}
    {{- $was = append $was (printf "\"metadata.labels\":%s" (toRawJson $pod.metadata.labels)) -}}
  {{- end -}}
  {{- $_ := set $pod.metadata "labels" (merge (dict $contract.guaranteeLabel $contract.guaranteeCluster) $labels) -}}
{{- end -}}
{{- $status := list (printf "\"version\":%q" $contract.version) (printf "\"hash\":%q" .hash) -}}
{{- if $raised -}}
  {{- $status = append $status (printf "\"grace\":%s" (kindIs "float64" $grace | ternary (toString (int $grace)) "null")) -}}
{{- end -}}
{{- if $was -}}
  {{- $status = append $status (printf "\"was\":{%s}" (join "," $was)) -}}
{{- end -}}
{{- if $own -}}
  {{- $status = append $status (printf "\"own\":%s" (toRawJson $own)) -}}
{{- end -}}
{{- $_ := set $pod.metadata.annotations $contract.status (printf "{%s}" (join "," $status)) -}}
{{- toYaml $pod -}}
{{- end -}}

{{- /*
podhooks.initContainers: with ours among them. on-exit is behind all of yours, or with position first behind your last native
sidecar, which outlives it so; on-start is the last; what copies the runtime is the very first.
*/ -}}
{{- define "podhooks.initContainers" -}}
{{- $copy := list -}}
{{- if eq .delivery "copy" -}}
  {{- $copy = list (include "podhooks.runtimeContainer" . | fromJson) -}}
{{- end -}}
{{- $onExit := list -}}
{{- if and .onExit (eq .mode "native") -}}
  {{- $onExit = list (include "podhooks.container" (merge (dict "name" "on-exit") .) | fromJson) -}}
{{- end -}}
{{- $theirs := include "podhooks.aroundOnExit" . | fromJson -}}
{{- $onStart := list (include "podhooks.container" (merge (dict "name" "on-start") .) | fromJson) -}}
{{- concat $copy $theirs.front $onExit $theirs.behind $onStart | toRawJson -}}
{{- end -}}

{{- /* podhooks.aroundOnExit: the case's init containers in `front` of on-exit, in native mode, and `behind` it; as JSON. */ -}}
{{- define "podhooks.aroundOnExit" -}}
{{- $front := list -}}
{{- $behind := list -}}
{{- range $container := .pod.spec.initContainers -}}
  {{- $behind = append $behind $container -}}
  {{- if or (eq $.position "last") (eq ($container.restartPolicy | default "") "Always") -}}
    {{- $front = concat $front $behind -}}
    {{- $behind = list -}}
  {{- end -}}
{{- end -}}
{{- dict "front" $front "behind" $behind | toRawJson -}}
{{- end -}}
