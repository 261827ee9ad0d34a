{{- /*
podhooks.callbacks: the entries of a list of callbacks, as JSON: names (texts) and mappings. `text` is an annotation's: names
with commas or lines, or a YAML or JSON list. Only timeouts are read from it here; the rest is the runtime's business.
*/ -}}
{{- define "podhooks.callbacks" -}}
{{- $lines := list -}}
{{- range splitList "\n" (.text | default "" | replace "\r\n" "\n") -}}
  {{- $line := regexReplaceAll "(^| )#.*$" (trim .) "" | trim -}}
  {{- if $line -}}{{- $lines = append $lines $line -}}{{- end -}}
{{- end -}}
{{- $first := first $lines | default "" -}}
{{- $structured := or (regexMatch "^([\\[{\"|>&!%]|- |---|-$)" $first) (contains ": " $first) (hasSuffix ":" $first) -}}
{{- $entries := list -}}
{{- if $structured -}}
  {{- $value := include "podhooks.parsed" . | fromJson -}}
  {{- if kindIs "slice" $value.value -}}
    {{- $entries = $value.value -}}
  {{- else if $value.value -}}
    {{- $entries = list $value.value -}}
  {{- end -}}
{{- else -}}
  {{- range splitList "," (join "," $lines) -}}
    {{- if trim . -}}{{- $entries = append $entries (trim .) -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $entries -}}
{{- end -}}

{{- /* podhooks.parsed: the value of a JSON or YAML text, as JSON with the one key `value`. */ -}}
{{- define "podhooks.parsed" -}}
{{- $value := printf "{\"value\":%s}" .text | fromJson -}}
{{- if hasKey $value "Error" -}}
  {{- $value = printf "value:\n%s" (indent 2 .text) | fromYaml -}}
{{- end -}}
{{- if hasKey $value "Error" -}}
  {{- fail (printf "%s: can't be read: %s" .where $value.Error) -}}
{{- end -}}
{{- toRawJson $value -}}
{{- end -}}

{{- /* podhooks.milliseconds: of a duration like 30s, 5m, 1h30m, 1.5s or 500ms. */ -}}
{{- define "podhooks.milliseconds" -}}
{{- $number := "[0-9]+(?:\\.[0-9]+)?" -}}
{{- $text := toString .text | trim -}}
{{- if not (kindIs "string" .text) -}}
  {{- fail (printf "%s: %v is a number without a unit: write %vs for seconds" .where .text .text) -}}
{{- end -}}
{{- if or (not $text) (not (regexMatch (printf "^(?:%[1]sh)?(?:%[1]sm)?(?:%[1]ss)?(?:%[1]sms)?$" $number) $text)) -}}
  {{- fail (printf "%s: %q isn't a duration: write one like 30s, 5m, 1h30m or 500ms" .where $text) -}}
{{- end -}}
{{- $units := dict "h" 3600000 "m" 60000 "s" 1000 "ms" 1 -}}
{{- $total := 0 -}}
{{- range regexFindAll (printf "%s[a-z]+" $number) $text -1 -}}
  {{- $unit := regexFind "[a-z]+$" . -}}
  {{- $total = addf $total (mulf (trimSuffix $unit . | float64) (get $units $unit)) -}}
{{- end -}}
{{- if or (le (float64 $total) 0.0) (gt (float64 $total) 604800000.0) -}}
  {{- fail (printf "%s: %q must be above zero and at most 168h" .where $text) -}}
{{- end -}}
{{- ceil $total | int64 -}}
{{- end -}}

{{- /*
podhooks.reserve: whole seconds of the grace period that are kept for on_exit, behind main's own. The annotation's, else the
sum of the callbacks' timeouts, at most the contract's bound. 0 without on_exit.
*/ -}}
{{- define "podhooks.reserve" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $timeout := get .annotations $contract.names.onExitTimeout | default $contract.onExitTimeoutDefault -}}
{{- $default := include "podhooks.milliseconds" (dict "where" $contract.names.onExitTimeout "text" $timeout) | int64 -}}
{{- $sum := 0 -}}
{{- range $index, $entry := .onExit -}}
  {{- $own := kindIs "map" $entry | ternary $entry dict -}}
  {{- if kindIs "invalid" $own.timeout -}}
    {{- $sum = add $sum $default -}}
  {{- else -}}
    {{- $where := printf "%s[%d].timeout" $contract.names.onExit $index -}}
    {{- $sum = add $sum (include "podhooks.milliseconds" (dict "where" $where "text" $own.timeout) | int64) -}}
  {{- end -}}
{{- end -}}
{{- $reserve := min $sum $contract.maxReserveMilliseconds -}}
{{- with get .annotations $contract.names.reserve -}}
  {{- $reserve = include "podhooks.milliseconds" (dict "where" $contract.names.reserve "text" .) | int64 -}}
{{- end -}}
{{- .onExit | empty | ternary 0 (div (add $reserve 999) 1000) -}}
{{- end -}}
