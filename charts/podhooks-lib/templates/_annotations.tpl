{{- /*
podhooks.annotations: this chart's values as annotations, as JSON. A list of names becomes names with commas, any other list
JSON; texts stay as they are. What isn't given isn't written: the injector's defaults are its own.
*/ -}}
{{- define "podhooks.annotations" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $annotations := dict -}}
{{- range $key, $name := $contract.names -}}
  {{- $value := get $ $key -}}
  {{- $given := hasKey $ $key -}}
  {{- if kindIs "invalid" $value -}}{{- $given = false -}}{{- end -}}
  {{- if and (or (kindIs "slice" $value) (kindIs "map" $value) (kindIs "string" $value)) (not $value) -}}{{- $given = false -}}{{- end -}}
  {{- if $given -}}
    {{- $_ := set $annotations $name (include "podhooks.annotationText" (dict "value" $value "key" $key)) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $annotations -}}
{{- end -}}

{{- define "podhooks.annotationText" -}}
{{- $names := true -}}
{{- if kindIs "string" .value -}}
  {{- .value -}}
{{- else if kindIs "slice" .value -}}
  {{- range .value -}}
    {{- if not (and (kindIs "string" .) (regexMatch "^[A-Za-z_/][^\\s,#:]*(:[^\\s,#:]+)?$" (toString .))) -}}{{- $names = false -}}{{- end -}}
  {{- end -}}
  {{- $names | ternary (join ", " .value) (toRawJson .value) -}}
{{- else if kindIs "map" .value -}}
  {{- toRawJson .value -}}
{{- else -}}
  {{- toString (int .value) -}}
{{- end -}}
{{- end -}}

{{- /* podhooks.checkAnnotations: fails at names that aren't ours and words that aren't known. */ -}}
{{- define "podhooks.checkAnnotations" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- range $name, $text := . -}}
  {{- if hasPrefix $contract.prefix $name -}}
    {{- if eq $name $contract.status -}}
      {{- fail (printf "%s: this pod is injected already; give podhooks.inject the pod as you wrote it" $name) -}}
    {{- end -}}
    {{- if not (has $name $contract.annotations) -}}
      {{- fail (printf "%s: isn't an annotation; the names are %s" $name (join ", " $contract.annotations)) -}}
    {{- end -}}
    {{- if not (kindIs "string" $text) -}}
      {{- fail (printf "%s: is %v, but annotations hold text: put it in quotes" $name $text) -}}
    {{- end -}}
    {{- if not (trim $text) -}}
      {{- fail (printf "%s: is empty: write a value, or remove the annotation" $name) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $name, $words := $contract.choices -}}
  {{- $text := get $ $name | trim -}}
  {{- if and $text (not (has $text $words)) -}}
    {{- fail (printf "%s: %q isn't known: write %s" $name $text (join " or " $words)) -}}
  {{- end -}}
{{- end -}}
{{- range $name := $contract.words -}}
  {{- if regexMatch "\\s" (get $ $name | trim) -}}
    {{- fail (printf "%s: %q has a blank in it: write one word" $name (get $ $name)) -}}
  {{- end -}}
{{- end -}}
{{- if and (eq (get . $contract.names.onExitPolicy | trim) "fail") (ne (get . $contract.names.mode | default "native" | trim) "classic") -}}
  {{- fail (printf "%s: fail can't fail the pod in native mode, where main alone decides: write %s: classic, or policy ignore" $contract.names.onExitPolicy $contract.names.mode) -}}
{{- end -}}
{{- if and (eq (get . $contract.names.onExitPosition | trim) "first") (eq (get . $contract.names.mode | trim) "classic") -}}
  {{- fail (printf "%s: first is for native mode: in classic mode on-exit is an ordinary container, which starts with main: remove this, or %s" $contract.names.onExitPosition $contract.names.mode) -}}
{{- end -}}
{{- end -}}

{{- /* podhooks.checkPod: fails at pods that can't have callbacks, and where our names are taken. */ -}}
{{- define "podhooks.checkPod" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $spec := .spec | default dict -}}
{{- range $field := list "containers" "initContainers" "volumes" -}}
  {{- include "podhooks.checkList" (dict "where" (printf "spec.%s" $field) "value" (get $spec $field | default list)) -}}
{{- end -}}
{{- range $index, $container := $spec.containers -}}
  {{- range $field := list "env" "volumeMounts" -}}
    {{- $where := printf "spec.containers[%d].%s" $index $field -}}
    {{- include "podhooks.checkList" (dict "where" $where "value" (get $container $field | default list)) -}}
  {{- end -}}
{{- end -}}
{{- with $spec.terminationGracePeriodSeconds -}}
  {{- if or (not (kindIs "float64" .)) (ne (toString .) (toString (floor .))) (lt (float64 .) 0.0) -}}
    {{- fail (printf "spec.terminationGracePeriodSeconds: must be a number of seconds, not %s" (toRawJson .)) -}}
  {{- end -}}
{{- end -}}
{{- if not $spec.containers -}}
  {{- fail "spec.containers: the pod has no containers, so there is no main" -}}
{{- end -}}
{{- if eq (($spec.os | default dict).name | default (get ($spec.nodeSelector | default dict) "kubernetes.io/os") | default "") "windows" -}}
  {{- fail "spec.os.name: Podhooks runs in Linux pods only: take its annotations out" -}}
{{- end -}}
{{- range $field, $taken := dict "containers" $contract.containerNames "initContainers" $contract.containerNames "volumes" $contract.volumeNames -}}
  {{- range $index, $each := get $spec $field | default list -}}
    {{- if has $each.name $taken -}}
      {{- fail (printf "spec.%s[%d].name: %q is there already, a name that Podhooks needs: rename it" $field $index $each.name) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* podhooks.checkList: fails at what isn't a list of mappings, which values often give for one (env: {A: b}). */ -}}
{{- define "podhooks.checkList" -}}
{{- $where := .where -}}
{{- if not (kindIs "slice" .value) -}}
  {{- fail (printf "%s: must be a list, not a %s" $where (kindOf .value)) -}}
{{- end -}}
{{- range $index, $each := .value -}}
  {{- if not (kindIs "map" $each) -}}
    {{- fail (printf "%s[%d]: must be a map, not %s" $where $index (toRawJson $each)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* podhooks.checkMain: fails where one of the main containers has what is ours to set. */ -}}
{{- define "podhooks.checkMain" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $container := . -}}
{{- range .env -}}
  {{- if and (has .name $contract.ourEnv) (ne (toRawJson .) (toRawJson $contract.sharedEnv)) -}}
    {{- fail (printf "%s is a variable of %s that Podhooks sets itself: take it out" .name $container.name) -}}
  {{- end -}}
{{- end -}}
{{- range .volumeMounts -}}
  {{- $path := .mountPath | default "" | trimAll "/" | printf "/%s/" -}}
  {{- if and (hasPrefix "/podhooks/" $path) (not (include "podhooks.isSharedMount" .)) -}}
    {{- fail (printf "%s of %s is below /podhooks, where Podhooks mounts its own volumes: mount it elsewhere" .mountPath $container.name) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* podhooks.isSharedMount: "true" for a mount that is the shared directory's, however it is mounted; else nothing. */ -}}
{{- define "podhooks.isSharedMount" -}}
{{- $shared := (include "podhooks.contract" . | fromJson).sharedMount -}}
{{- if and (eq (.name | default "") $shared.name) (eq (.mountPath | default "") $shared.mountPath) -}}true{{- end -}}
{{- end -}}

{{- /* podhooks.checkToken: fails where on-exit, in classic mode, would wait for ever: only the API tells it that main ended. */ -}}
{{- define "podhooks.checkToken" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $mounted := eq (get .pod.spec "automountServiceAccountToken" | toString) "false" | not -}}
{{- range .main.volumeMounts -}}
  {{- if eq (.mountPath | default "") $contract.serviceAccountDir -}}{{- $mounted = true -}}{{- end -}}
{{- end -}}
{{- if and .onExit (eq .mode "classic") (not $mounted) -}}
  {{- fail "spec.automountServiceAccountToken: classic mode needs the API to learn how main ended: mount the token, or use native mode" -}}
{{- end -}}
{{- end -}}
