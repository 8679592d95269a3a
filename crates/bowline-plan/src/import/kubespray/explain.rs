//! What Kubespray itself would have made of an inventory.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

pub(super) mod current;
pub(super) mod documents;

/// The endpoints Kubespray decides on, known defects included.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Explained {
    /// As the code of today decides.
    Current(Current),
    /// As an older document says.
    Document(Document),
}

/// What the code decides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Current {
    /// URLs of all members of etcd, with commas between them.
    pub etcd_access_addresses: String,
    /// The first address of the service range.
    pub kube_apiserver_ip: String,
    /// By inventory name.
    pub hosts: BTreeMap<String, Host>,
}

/// One host.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, JsonSchema)]
pub struct Host {
    /// What the host's components use.
    pub endpoint: String,
    /// What a component gets that is the same on all nodes.
    pub global_endpoint: String,
    /// Where kubeadm looks when the host joins.
    pub kubeadm_discovery: String,
    /// Control planes: what kubeadm is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeadm_control_plane_endpoint: Option<String>,
    /// Whether a node-local proxy is installed.
    pub local_proxy_installed: bool,
    /// Where it listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_listen: Option<Vec<String>>,
    /// Where it connects to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_upstreams: Option<Vec<String>>,
    /// Own addresses, IPv4 first.
    pub main_ips: Vec<String>,
    /// Where others reach it, IPv4 first.
    pub main_access_ips: Vec<String>,
    /// As a member of etcd.
    pub etcd_client_url: String,
    /// Members of etcd: names in the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etcd_cert_dns: Option<Vec<String>>,
    /// Members of etcd: addresses in the certificate, repeated as Kubespray repeats them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etcd_cert_ips: Option<Vec<String>>,
    /// Control planes: what the certificate names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apiserver_sans: Option<Vec<String>>,
    /// Control planes: the server in the exported kubeconfig, if it is exported from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig_artifact_server_if_run_here: Option<String>,
}

/// What an older document says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Document {
    /// By inventory name.
    pub hosts: BTreeMap<String, DocumentHost>,
    /// What users outside of the cluster use, where the document says so.
    pub external: Option<String>,
}

/// One host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct DocumentHost {
    /// What the host's components use.
    pub endpoint: String,
}
