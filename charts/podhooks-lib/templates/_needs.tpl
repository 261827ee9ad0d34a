{{- /*
podhooks.checkNeeds: fails where something that main's container needs isn't there yet when ours start, which are made of the
same. podhooks/inject/needs.py says it in full. The argument is a case.
*/ -}}
{{- define "podhooks.checkNeeds" -}}
{{- $spec := .pod.spec -}}
{{- $main := .main -}}
{{- $advice := "take podhooks.io/on-exit-position: first out, and on-exit starts behind your init containers" -}}
{{- $behind := list -}}
{{- if and .onExit (eq .mode "native") (eq .position "first") -}}
  {{- $behind = (include "podhooks.aroundOnExit" . | fromJson).behind -}}
{{- end -}}
{{- $beside := list -}}
{{- range $spec.containers -}}
  {{- if ne .name $main.name -}}{{- $beside = append $beside . -}}{{- end -}}
{{- end -}}
{{- $volumes := $spec.volumes | default list -}}
{{- $made := include "podhooks.written" (dict "containers" $behind "volumes" $volumes) | fromJsonArray -}}
{{- $early := include "podhooks.written" (dict "containers" ($spec.initContainers | default list) "volumes" $volumes) | fromJsonArray -}}
{{- $late := include "podhooks.written" (dict "containers" $beside "volumes" $volumes) | fromJsonArray -}}
{{- $mounts := $main.volumeMounts | default list -}}
{{- range $mount := $mounts -}}
  {{- $below := include "podhooks.plainPath" $mount.subPath -}}
  {{- if and (or $below $mount.subPathExpr) (include "podhooks.makes" (dict "mounts" $made "volume" $mount.name "path" $below "unknown" (hasKey $mount "subPathExpr"))) -}}
    {{- fail (printf "on-exit would be in front of what makes a subPath of main, %s of volume %s: %s" ($mount.subPathExpr | default $below) $mount.name $advice) -}}
  {{- end -}}
{{- end -}}
{{- $points := list -}}
{{- range $mounts -}}{{- $points = append $points (include "podhooks.plainPath" .mountPath) -}}{{- end -}}
{{- $paths := $points -}}
{{- $directory := include "podhooks.plainPath" $main.workingDir -}}
{{- if not (has $directory $points) -}}{{- $paths = append $paths $directory -}}{{- end -}}
{{- if hasPrefix "/" .python -}}{{- $paths = append $paths (include "podhooks.plainPath" .python) -}}{{- end -}}
{{- range $path := $paths -}}
  {{- range $mount := $mounts -}}
    {{- $holder := include "podhooks.plainPath" $mount.mountPath -}}
    {{- if hasPrefix (printf "%s/" $holder) $path -}}
      {{- $below := printf "%s/%s" ($mount.subPath | default "") (trimPrefix $holder $path) | include "podhooks.plainPath" -}}
      {{- if include "podhooks.makes" (dict "mounts" $made "volume" $mount.name "path" $below "unknown" (hasKey $mount "subPathExpr")) -}}
        {{- fail (printf "on-exit would be in front of what makes a path of main, /%s: %s" $path $advice) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $references := list -}}
{{- range $main.envFrom -}}
  {{- $references = concat $references (list (.configMapRef | default dict) (.secretRef | default dict)) -}}
{{- end -}}
{{- range $main.env -}}
  {{- $source := .valueFrom | default dict -}}
  {{- $references = concat $references (list ($source.configMapKeyRef | default dict) ($source.secretKeyRef | default dict)) -}}
  {{- with $source.fileKeyRef -}}
    {{- $wanted := dict "volume" .volumeName "path" (include "podhooks.plainPath" .path) "unknown" false -}}
    {{- if include "podhooks.makes" (merge (dict "mounts" $made) $wanted) -}}
      {{- fail (printf "on-exit would be in front of what makes main's environment, the file %s of volume %s: %s" .path .volumeName $advice) -}}
    {{- end -}}
    {{- if and (include "podhooks.makes" (merge (dict "mounts" $late) $wanted)) (not (include "podhooks.makes" (merge (dict "mounts" $early) $wanted))) -}}
      {{- fail (printf "a container beside main makes main's environment, the file %s of volume %s: let an init container" .path .volumeName) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $container := $behind -}}
  {{- if include "podhooks.mayUseApi" (dict "spec" $spec "container" $container) -}}
    {{- range $references -}}
      {{- if and . (not .optional) -}}
        {{- fail (printf "on-exit would be in front of what may make main's environment, %s: %s" .name $advice) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* podhooks.plainPath: a path without slashes at its ends, doubled ones and dots. */ -}}
{{- define "podhooks.plainPath" -}}
{{- $parts := list -}}
{{- range splitList "/" (. | default "" | toString) -}}
  {{- if and . (ne . ".") -}}{{- $parts = append $parts . -}}{{- end -}}
{{- end -}}
{{- join "/" $parts -}}
{{- end -}}

{{- /* podhooks.written: the mounts that `containers` may write to, as JSON. */ -}}
{{- define "podhooks.written" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $readOnly := list -}}
{{- range $volume := .volumes -}}
  {{- range $contract.writtenByKubelet -}}
    {{- if hasKey $volume . -}}{{- $readOnly = append $readOnly $volume.name -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- $written := list -}}
{{- range .containers -}}
  {{- range .volumeMounts -}}
    {{- if and (not .readOnly) (not (has .name $readOnly)) -}}{{- $written = append $written . -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $written -}}
{{- end -}}

{{- /* podhooks.makes: "true" where one of `mounts` has a directory above `path` of `volume`; `unknown` is any path. Else nothing. */ -}}
{{- define "podhooks.makes" -}}
{{- $found := false -}}
{{- range .mounts -}}
  {{- if eq .name $.volume -}}
    {{- $root := include "podhooks.plainPath" .subPath -}}
    {{- if or $.unknown (hasKey . "subPathExpr") (not $root) (hasPrefix (printf "%s/" $root) $.path) -}}{{- $found = true -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- if $found -}}true{{- end -}}
{{- end -}}

{{- /* podhooks.mayUseApi: "true" for a container that may have a service account's token; else nothing. */ -}}
{{- define "podhooks.mayUseApi" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $mounted := eq (get .spec "automountServiceAccountToken" | toString) "false" | not -}}
{{- range .container.volumeMounts -}}
  {{- if eq (.mountPath | default "") $contract.serviceAccountDir -}}{{- $mounted = true -}}{{- end -}}
{{- end -}}
{{- if $mounted -}}true{{- end -}}
{{- end -}}
