//! Why a deployment does not come, in one word, and what mends it.

use gauntlet_core::port::Trouble;

/// A reason with a name.
#[derive(Debug, PartialEq, Eq)]
pub struct Cause {
    /// One word.
    pub name: &'static str,
    /// What a person does about it.
    pub mend: &'static str,
    /// Whether waiting helps no more.
    pub(crate) hopeless: bool,
    told: &'static [&'static str],
}

/// In this order: what is more telling comes first.
const CAUSES: [Cause; 13] = [
    Cause {
        name: "image-pull",
        mend: "build the image and bring it to the nodes, or name a registry that has it",
        hopeless: true,
        told: &["ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName"],
    },
    Cause {
        name: "quota",
        mend: "raise the ResourceQuota of the namespace, or ask for less in the overlay",
        hopeless: true,
        told: &["exceeded quota", "must specify limits", "must specify requests"],
    },
    Cause {
        name: "pod-security",
        mend: "the namespace enforces a stricter pod-security standard than the manifests keep to",
        hopeless: true,
        told: &["violates PodSecurity"],
    },
    Cause {
        name: "configuration",
        mend: "a Secret or ConfigMap, or a key of it, is not there",
        hopeless: true,
        told: &["CreateContainerConfigError", "CreateContainerError", "RunContainerError"],
    },
    Cause {
        name: "out-of-memory",
        mend: "raise the container's memory limit",
        hopeless: false,
        told: &["OOMKilled"],
    },
    Cause {
        name: "crash",
        mend: "logs/*.previous.log say why it ended",
        hopeless: false,
        told: &["CrashLoopBackOff", ", code "],
    },
    Cause {
        name: "node-not-ready",
        mend: "bring the node back (does its kubelet run?), or take it out of the cluster; nodes-described.txt says more",
        hopeless: false,
        told: &["is not ready since", "node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"],
    },
    Cause {
        name: "volume",
        mend: "the storage class cannot make the volume, or it is bound to a node that is away",
        hopeless: false,
        told: &["PersistentVolumeClaim", "volume node affinity", "FailedMount", "FailedAttachVolume"],
    },
    Cause {
        name: "unschedulable",
        mend: "no node has room for the pod, or none that it may run on",
        hopeless: false,
        told: &["Unschedulable", "nodes are available"],
    },
    Cause {
        name: "port-taken",
        mend: "another Service has that node port: choose another one in an overlay",
        hopeless: false,
        told: &["provided port is already allocated"],
    },
    Cause {
        name: "forbidden",
        mend: "the account of this context may not do that",
        hopeless: false,
        told: &["(403)", "(401)", "is forbidden"],
    },
    Cause {
        name: "unreachable",
        mend: "the API server does not answer: is the context right, and is the cluster up?",
        hopeless: false,
        told: &["the API server does not answer", "no answer within", "onnection refused", "dns error"],
    },
    Cause {
        name: "not-ready",
        mend: "its pods run but do not get ready in time: see what their probes ask",
        hopeless: false,
        told: &["Unhealthy", "ContainersNotReady", "not done within"],
    },
];

/// The cause that a text tells of.
pub fn cause(text: &str) -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| cause.told.iter().any(|words| text.contains(words)))
}

/// A trouble with the name of its cause before it, and the mend behind.
pub fn named(trouble: &Trouble) -> String {
    let text = trouble.to_string();
    match cause(&text) {
        Some(cause) => format!("{}: {text}\n  mend: {}", cause.name, cause.mend),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_core::port::Trouble;

    use super::{cause, named};

    #[test]
    fn a_text_tells_its_cause() {
        for (text, name) in [
            ("pod a: container web: ErrImageNeverPull: Container image \"x\" is not present", "image-pull"),
            ("pods \"a\" is forbidden: exceeded quota: small, requested: cpu=1", "quota"),
            ("pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\"", "pod-security"),
            ("container web: CreateContainerConfigError: secret \"x\" not found", "configuration"),
            ("container web: CrashLoopBackOff (OOMKilled, code 137)", "out-of-memory"),
            ("container web: CrashLoopBackOff (Error, code 3: no such word)", "crash"),
            ("Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.", "unschedulable"),
            (
                "0/3 nodes are available: 1 had untolerated taint {node.kubernetes.io/unreachable: }",
                "node-not-ready",
            ),
            ("pod a: Unschedulable: no; node b is not ready since x: NodeStatusUnknown", "node-not-ready"),
            ("Unschedulable: pod has unbound immediate PersistentVolumeClaims", "volume"),
            (
                "applying Service x/y failed: spec.ports[0].nodePort: provided port is already allocated (422)",
                "port-taken",
            ),
            ("deployments.apps is forbidden: User \"x\" cannot patch (403)", "forbidden"),
            ("it failed: given up: the API server does not answer", "unreachable"),
            ("not done within 60s: 0 of 1 pods are available; pod a: ContainersNotReady", "not-ready"),
        ] {
            assert_eq!(cause(text).map(|cause| cause.name), Some(name), "{text}");
        }
        assert_eq!(cause("something else"), None);
    }

    #[test]
    fn a_trouble_is_told_with_its_mend() {
        let told = named(&Trouble::failed("rollout of x", "0 of 1; OOMKilled"));
        assert!(
            told.starts_with("out-of-memory: rollout of x failed:") && told.contains("\n  mend: raise"),
            "{told}"
        );
        assert_eq!(named(&Trouble::failed("x", "y")), "x failed: y");
    }
}
