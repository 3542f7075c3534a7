{{- /* Puts the policy called `name` into force everywhere; `labels` are the chart's. What it refuses is in the audit log too. */ -}}
{{- define "gotocloud.policyBinding" -}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels:
    {{- include "gotocloud.labels" .context | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny, Audit]
{{- end -}}

{{- /* CEL: those whom no protection by the operator stops: itself, and those of the break-glass groups. */ -}}
{{- define "gotocloud.exempt" -}}
request.userInfo.username == '{{ include "gotocloud.username" . }}'
{{- /* A list of strings in JSON is one in CEL. */ -}}
{{- with .Values.policies.breakGlassGroups }} || request.userInfo.groups.exists(group, group in {{ toJson . }}){{ end }}
{{- end -}}
