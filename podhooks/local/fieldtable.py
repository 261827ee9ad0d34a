"""The fields of the kinds that a manifest is made of, with their JSON types: Kubernetes 1.36's API as a table.

So that a typo in a manifest is an error here as it is on a cluster (`unknown field "spec.restartpolicy"`), and so that
`kubectl explain` can list fields. A test compares it with the published schemas. One type per paragraph: `field:type`,
where the type is s(tring), i(nteger), b(oolean), q(uantity), x (integer or string), * (anything), another type,
[list of] or {object whose values are}. Volume types of storage vendors are `*`.
"""

from __future__ import annotations

from functools import cache

_TABLE = """
Pod: apiVersion:s kind:s metadata:ObjectMeta spec:PodSpec status:PodStatus
ObjectMeta: annotations:{s} creationTimestamp:s deletionGracePeriodSeconds:i deletionTimestamp:s finalizers:[s]
    generateName:s generation:i labels:{s} managedFields:[*] name:s namespace:s ownerReferences:[OwnerReference]
    resourceVersion:s selfLink:s uid:s
OwnerReference: apiVersion:s blockOwnerDeletion:b controller:b kind:s name:s uid:s
PodSpec: activeDeadlineSeconds:i affinity:Affinity automountServiceAccountToken:b containers:[Container]
    dnsConfig:PodDNSConfig dnsPolicy:s enableServiceLinks:b ephemeralContainers:[*] hostAliases:[HostAlias]
    hostIPC:b hostNetwork:b hostPID:b hostUsers:b hostname:s hostnameOverride:s
    imagePullSecrets:[LocalObjectReference] initContainers:[Container] nodeName:s nodeSelector:{s} os:PodOS
    overhead:{q} preemptionPolicy:s priority:i priorityClassName:s readinessGates:[PodReadinessGate]
    resourceClaims:[PodResourceClaim] resources:ResourceRequirements restartPolicy:s runtimeClassName:s
    schedulerName:s schedulingGates:[PodSchedulingGate] schedulingGroup:PodSchedulingGroup
    securityContext:PodSecurityContext serviceAccount:s serviceAccountName:s setHostnameAsFQDN:b
    shareProcessNamespace:b subdomain:s terminationGracePeriodSeconds:i tolerations:[Toleration]
    topologySpreadConstraints:[TopologySpreadConstraint] volumes:[Volume]
Affinity: nodeAffinity:NodeAffinity podAffinity:PodAffinity podAntiAffinity:PodAntiAffinity
NodeAffinity: preferredDuringSchedulingIgnoredDuringExecution:[PreferredSchedulingTerm]
    requiredDuringSchedulingIgnoredDuringExecution:NodeSelector
PreferredSchedulingTerm: preference:NodeSelectorTerm weight:i
NodeSelectorTerm: matchExpressions:[NodeSelectorRequirement] matchFields:[NodeSelectorRequirement]
NodeSelectorRequirement: key:s operator:s values:[s]
NodeSelector: nodeSelectorTerms:[NodeSelectorTerm]
PodAffinity: preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]
    requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]
WeightedPodAffinityTerm: podAffinityTerm:PodAffinityTerm weight:i
PodAffinityTerm: labelSelector:LabelSelector matchLabelKeys:[s] mismatchLabelKeys:[s]
    namespaceSelector:LabelSelector namespaces:[s] topologyKey:s
LabelSelector: matchExpressions:[LabelSelectorRequirement] matchLabels:{s}
LabelSelectorRequirement: key:s operator:s values:[s]
PodAntiAffinity: preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]
    requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]
Container: args:[s] command:[s] env:[EnvVar] envFrom:[EnvFromSource] image:s imagePullPolicy:s
    lifecycle:Lifecycle livenessProbe:Probe name:s ports:[ContainerPort] readinessProbe:Probe
    resizePolicy:[ContainerResizePolicy] resources:ResourceRequirements restartPolicy:s
    restartPolicyRules:[ContainerRestartRule] securityContext:SecurityContext startupProbe:Probe stdin:b
    stdinOnce:b terminationMessagePath:s terminationMessagePolicy:s tty:b volumeDevices:[VolumeDevice]
    volumeMounts:[VolumeMount] workingDir:s
EnvVar: name:s value:s valueFrom:EnvVarSource
EnvVarSource: configMapKeyRef:ConfigMapKeySelector fieldRef:ObjectFieldSelector fileKeyRef:FileKeySelector
    resourceFieldRef:ResourceFieldSelector secretKeyRef:SecretKeySelector
ConfigMapKeySelector: key:s name:s optional:b
ObjectFieldSelector: apiVersion:s fieldPath:s
FileKeySelector: key:s optional:b path:s volumeName:s
ResourceFieldSelector: containerName:s divisor:q resource:s
SecretKeySelector: key:s name:s optional:b
EnvFromSource: configMapRef:ConfigMapEnvSource prefix:s secretRef:SecretEnvSource
ConfigMapEnvSource: name:s optional:b
SecretEnvSource: name:s optional:b
Lifecycle: postStart:LifecycleHandler preStop:LifecycleHandler stopSignal:s
LifecycleHandler: exec:ExecAction httpGet:HTTPGetAction sleep:SleepAction tcpSocket:TCPSocketAction
ExecAction: command:[s]
HTTPGetAction: host:s httpHeaders:[HTTPHeader] path:s port:x scheme:s
HTTPHeader: name:s value:s
SleepAction: seconds:i
TCPSocketAction: host:s port:x
Probe: exec:ExecAction failureThreshold:i grpc:GRPCAction httpGet:HTTPGetAction initialDelaySeconds:i
    periodSeconds:i successThreshold:i tcpSocket:TCPSocketAction terminationGracePeriodSeconds:i
    timeoutSeconds:i
GRPCAction: port:i service:s
ContainerPort: containerPort:i hostIP:s hostPort:i name:s protocol:s
ContainerResizePolicy: resourceName:s restartPolicy:s
ResourceRequirements: claims:[ResourceClaim] limits:{q} requests:{q}
ResourceClaim: name:s request:s
ContainerRestartRule: action:s exitCodes:ContainerRestartRuleOnExitCodes
ContainerRestartRuleOnExitCodes: operator:s values:[i]
SecurityContext: allowPrivilegeEscalation:b appArmorProfile:AppArmorProfile capabilities:Capabilities
    privileged:b procMount:s readOnlyRootFilesystem:b runAsGroup:i runAsNonRoot:b runAsUser:i
    seLinuxOptions:SELinuxOptions seccompProfile:SeccompProfile windowsOptions:*
AppArmorProfile: localhostProfile:s type:s
Capabilities: add:[s] drop:[s]
SELinuxOptions: level:s role:s type:s user:s
SeccompProfile: localhostProfile:s type:s
VolumeDevice: devicePath:s name:s
VolumeMount: mountPath:s mountPropagation:s name:s readOnly:b recursiveReadOnly:s subPath:s subPathExpr:s
PodDNSConfig: nameservers:[s] options:[PodDNSConfigOption] searches:[s]
PodDNSConfigOption: name:s value:s
HostAlias: hostnames:[s] ip:s
LocalObjectReference: name:s
PodOS: name:s
PodReadinessGate: conditionType:s
PodResourceClaim: name:s resourceClaimName:s resourceClaimTemplateName:s
PodSchedulingGate: name:s
PodSchedulingGroup: podGroupName:s
PodSecurityContext: appArmorProfile:AppArmorProfile fsGroup:i fsGroupChangePolicy:s runAsGroup:i runAsNonRoot:b
    runAsUser:i seLinuxChangePolicy:s seLinuxOptions:SELinuxOptions seccompProfile:SeccompProfile
    supplementalGroups:[i] supplementalGroupsPolicy:s sysctls:[Sysctl] windowsOptions:*
Sysctl: name:s value:s
Toleration: effect:s key:s operator:s tolerationSeconds:i value:s
TopologySpreadConstraint: labelSelector:LabelSelector matchLabelKeys:[s] maxSkew:i minDomains:i
    nodeAffinityPolicy:s nodeTaintsPolicy:s topologyKey:s whenUnsatisfiable:s
Volume: awsElasticBlockStore:* azureDisk:* azureFile:* cephfs:* cinder:* configMap:ConfigMapVolumeSource
    csi:CSIVolumeSource downwardAPI:DownwardAPIVolumeSource emptyDir:EmptyDirVolumeSource
    ephemeral:EphemeralVolumeSource fc:* flexVolume:* flocker:* gcePersistentDisk:* gitRepo:* glusterfs:*
    hostPath:HostPathVolumeSource image:ImageVolumeSource iscsi:* name:s nfs:NFSVolumeSource
    persistentVolumeClaim:PersistentVolumeClaimVolumeSource photonPersistentDisk:* portworxVolume:*
    projected:ProjectedVolumeSource quobyte:* rbd:* scaleIO:* secret:SecretVolumeSource storageos:*
    vsphereVolume:*
ConfigMapVolumeSource: defaultMode:i items:[KeyToPath] name:s optional:b
KeyToPath: key:s mode:i path:s
CSIVolumeSource: driver:s fsType:s nodePublishSecretRef:LocalObjectReference readOnly:b volumeAttributes:{s}
DownwardAPIVolumeSource: defaultMode:i items:[DownwardAPIVolumeFile]
DownwardAPIVolumeFile: fieldRef:ObjectFieldSelector mode:i path:s resourceFieldRef:ResourceFieldSelector
EmptyDirVolumeSource: medium:s sizeLimit:q
EphemeralVolumeSource: volumeClaimTemplate:PersistentVolumeClaimTemplate
PersistentVolumeClaimTemplate: metadata:ObjectMeta spec:PersistentVolumeClaimSpec
PersistentVolumeClaimSpec: accessModes:[s] dataSource:TypedLocalObjectReference
    dataSourceRef:TypedObjectReference resources:VolumeResourceRequirements selector:LabelSelector
    storageClassName:s volumeAttributesClassName:s volumeMode:s volumeName:s
TypedLocalObjectReference: apiGroup:s kind:s name:s
TypedObjectReference: apiGroup:s kind:s name:s namespace:s
VolumeResourceRequirements: limits:{q} requests:{q}
HostPathVolumeSource: path:s type:s
ImageVolumeSource: pullPolicy:s reference:s
NFSVolumeSource: path:s readOnly:b server:s
PersistentVolumeClaimVolumeSource: claimName:s readOnly:b
ProjectedVolumeSource: defaultMode:i sources:[VolumeProjection]
VolumeProjection: clusterTrustBundle:ClusterTrustBundleProjection configMap:ConfigMapProjection
    downwardAPI:DownwardAPIProjection podCertificate:PodCertificateProjection secret:SecretProjection
    serviceAccountToken:ServiceAccountTokenProjection
ClusterTrustBundleProjection: labelSelector:LabelSelector name:s optional:b path:s signerName:s
ConfigMapProjection: items:[KeyToPath] name:s optional:b
DownwardAPIProjection: items:[DownwardAPIVolumeFile]
PodCertificateProjection: certificateChainPath:s credentialBundlePath:s keyPath:s keyType:s
    maxExpirationSeconds:i signerName:s userAnnotations:{s}
SecretProjection: items:[KeyToPath] name:s optional:b
ServiceAccountTokenProjection: audience:s expirationSeconds:i path:s
SecretVolumeSource: defaultMode:i items:[KeyToPath] optional:b secretName:s
PodStatus: allocatedResources:{q} conditions:[PodCondition] containerStatuses:[ContainerStatus]
    ephemeralContainerStatuses:[ContainerStatus] extendedResourceClaimStatus:PodExtendedResourceClaimStatus
    hostIP:s hostIPs:[HostIP] initContainerStatuses:[ContainerStatus] message:s
    nodeAllocatableResourceClaimStatuses:[NodeAllocatableResourceClaimStatus] nominatedNodeName:s
    observedGeneration:i phase:s podIP:s podIPs:[PodIP] qosClass:s reason:s resize:s
    resourceClaimStatuses:[PodResourceClaimStatus] resources:ResourceRequirements startTime:s
PodCondition: lastProbeTime:s lastTransitionTime:s message:s observedGeneration:i reason:s status:s type:s
ContainerStatus: allocatedResources:{q} allocatedResourcesStatus:[ResourceStatus] containerID:s image:s
    imageID:s lastState:ContainerState name:s ready:b resources:ResourceRequirements restartCount:i started:b
    state:ContainerState stopSignal:s user:ContainerUser volumeMounts:[VolumeMountStatus]
ResourceStatus: name:s resources:[ResourceHealth]
ResourceHealth: health:s message:s resourceID:s
ContainerState: running:ContainerStateRunning terminated:ContainerStateTerminated waiting:ContainerStateWaiting
ContainerStateRunning: startedAt:s
ContainerStateTerminated: containerID:s exitCode:i finishedAt:s message:s reason:s signal:i startedAt:s
ContainerStateWaiting: message:s reason:s
ContainerUser: linux:LinuxContainerUser
LinuxContainerUser: gid:i supplementalGroups:[i] uid:i
VolumeMountStatus: mountPath:s name:s readOnly:b recursiveReadOnly:s volumeStatus:VolumeStatus
VolumeStatus: image:ImageVolumeStatus
ImageVolumeStatus: imageRef:s
PodExtendedResourceClaimStatus: requestMappings:[ContainerExtendedResourceRequest] resourceClaimName:s
ContainerExtendedResourceRequest: containerName:s requestName:s resourceName:s
HostIP: ip:s
NodeAllocatableResourceClaimStatus: containers:[s] resourceClaimName:s resources:{q}
PodIP: ip:s
PodResourceClaimStatus: name:s resourceClaimName:s
Job: apiVersion:s kind:s metadata:ObjectMeta spec:JobSpec status:JobStatus
JobSpec: activeDeadlineSeconds:i backoffLimit:i backoffLimitPerIndex:i completionMode:s completions:i
    managedBy:s manualSelector:b maxFailedIndexes:i parallelism:i podFailurePolicy:PodFailurePolicy
    podReplacementPolicy:s selector:LabelSelector successPolicy:SuccessPolicy suspend:b template:PodTemplateSpec
    ttlSecondsAfterFinished:i
PodFailurePolicy: rules:[PodFailurePolicyRule]
PodFailurePolicyRule: action:s onExitCodes:PodFailurePolicyOnExitCodesRequirement
    onPodConditions:[PodFailurePolicyOnPodConditionsPattern]
PodFailurePolicyOnExitCodesRequirement: containerName:s operator:s values:[i]
PodFailurePolicyOnPodConditionsPattern: status:s type:s
SuccessPolicy: rules:[SuccessPolicyRule]
SuccessPolicyRule: succeededCount:i succeededIndexes:s
PodTemplateSpec: metadata:ObjectMeta spec:PodSpec
JobStatus: active:i completedIndexes:s completionTime:s conditions:[JobCondition] failed:i failedIndexes:s
    ready:i startTime:s succeeded:i terminating:i uncountedTerminatedPods:UncountedTerminatedPods
JobCondition: lastProbeTime:s lastTransitionTime:s message:s reason:s status:s type:s
UncountedTerminatedPods: failed:[s] succeeded:[s]
CronJob: apiVersion:s kind:s metadata:ObjectMeta spec:CronJobSpec status:CronJobStatus
CronJobSpec: concurrencyPolicy:s failedJobsHistoryLimit:i jobTemplate:JobTemplateSpec schedule:s
    startingDeadlineSeconds:i successfulJobsHistoryLimit:i suspend:b timeZone:s
JobTemplateSpec: metadata:ObjectMeta spec:JobSpec
CronJobStatus: active:[ObjectReference] lastScheduleTime:s lastSuccessfulTime:s
ObjectReference: apiVersion:s fieldPath:s kind:s name:s namespace:s resourceVersion:s uid:s
ConfigMap: apiVersion:s binaryData:{s} data:{s} immutable:b kind:s metadata:ObjectMeta
Secret: apiVersion:s data:{s} immutable:b kind:s metadata:ObjectMeta stringData:{s} type:s
"""


@cache
def fields() -> dict[str, dict[str, str]]:
    """Type name to its fields, each with its type in the notation of the table."""
    table: dict[str, dict[str, str]] = {}
    for paragraph in _TABLE.replace("\n    ", " ").strip().splitlines():
        name, _, members = paragraph.partition(": ")
        table[name] = dict(member.split(":", 1) for member in members.split())
    return table
