//! One pod of a StatefulSet.

use super::manifests::{list, text};
use super::sandbox::{self, Mount, User};
use super::{Image, Manifests, volumes};
use crate::netns::Namespace;
use crate::{Process, Signal};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a probe was answered: the status, and the sentence.
pub type Probe = (u16, String);

/// A pod on a machine of its own, with the files of its volumes.
pub struct Pod {
    manifests: Manifests,
    set: Value,
    ordinal: usize,
    directory: PathBuf,
    /// In which address and name of each pod stand.
    hosts: PathBuf,
    address: Ipv4Addr,
    process: Option<Process>,
}

impl Pod {
    /// The pod with this ordinal; `hosts` is a file that stands for the cluster's DNS.
    pub fn new(
        manifests: &Manifests,
        set: &str,
        ordinal: usize,
        address: Ipv4Addr,
        directory: &Path,
        hosts: &Path,
    ) -> Self {
        let directory = directory.join(format!("{set}-{ordinal}"));
        std::fs::create_dir_all(&directory).unwrap();
        Self {
            manifests: manifests.clone(),
            set: manifests.get("StatefulSet", set).clone(),
            ordinal,
            directory,
            hosts: hosts.to_owned(),
            address,
            process: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        format!("{}-{}", text(&self.set["metadata"]["name"]), self.ordinal)
    }

    /// The line of the hosts file that the cluster's DNS would answer by, for as long as its headless Service is there.
    pub fn host(&self) -> String {
        let service = text(&self.set["spec"]["serviceName"]);
        let object = self.manifests.get("Service", &service);
        assert_eq!(
            (&object["spec"]["clusterIP"], &object["spec"]["publishNotReadyAddresses"]),
            (&"None".into(), &true.into())
        );
        let selected = object["spec"]["selector"].as_object().unwrap().iter();
        assert!(
            selected.clone().all(|(label, value)| self.labels()[label] == text(value)),
            "{service} has no such pods"
        );
        let namespace = text(&self.set["metadata"]["namespace"]);
        format!("{} {}.{service}.{namespace}.svc\n", self.address, self.name())
    }

    /// The directory of one of its volumes.
    pub fn volume(&self, name: &str) -> PathBuf {
        self.directory.join("volumes").join(name)
    }

    /// Runs the init containers, one after the other, to their ends; returns the last line that each wrote to stdout.
    ///
    /// # Panics
    /// When one fails.
    pub async fn initialise(&self, machine: &Namespace, image: &Image) -> Vec<Value> {
        let mut results = Vec::new();
        for container in list(&self.spec()["initContainers"]) {
            let mut process = self.run(container, machine, image);
            let (status, stdout) = process.ended().await;
            let name = text(&container["name"]);
            assert!(status.success(), "{name} of {}: {status}:\n{}", self.name(), process.log());
            results.push(serde_json::from_str(stdout.lines().last().unwrap_or_default()).unwrap());
        }
        results
    }

    /// Starts its one container.
    pub fn start(&mut self, machine: &Namespace, image: &Image) {
        let [container] = list(&self.spec()["containers"]) else { panic!("not one container: {}", self.name()) };
        self.process = Some(self.run(container, machine, image));
    }

    /// Ends its container as a kubelet does; it must end well, before the kubelet would kill it.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().expect("a running pod");
        process.signal(Signal::Terminate).await;
        let (status, _) = process.ended().await;
        assert!(status.success(), "{}: {status}:\n{}", self.name(), process.log());
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a running pod")
    }

    fn run(&self, container: &Value, machine: &Namespace, image: &Image) -> Process {
        assert_eq!(container.get("command"), None, "the image's entry point is `heddle`");
        let environment = self.environment(container);
        let mounts = self.mounts(container, &environment);
        let name = text(&container["name"]);
        let root = image.container(&self.directory.join(&name));
        mounts.iter().for_each(|mount| root.make_mount_point(&mount.path, &mount.source));
        let script = sandbox::script(&root, &mounts, self.user(), &environment);
        let wrapper = [&machine.wrapper()[..], &["sh", "-c", &script]].concat();
        let arguments = Vec::from_iter(list(&container["args"]).iter().map(text));
        let log = self.directory.join(format!("{name}.log"));
        Process::spawn_under(&log, &wrapper, &Vec::from_iter(arguments.iter().map(String::as_str)))
    }

    fn spec(&self) -> &Value {
        &self.set["spec"]["template"]["spec"]
    }

    fn user(&self) -> User {
        let number = |name: &str| self.spec()["securityContext"][name].as_u64().unwrap_or_else(|| panic!("no {name}"));
        let [user, group, fs_group] = ["runAsUser", "runAsGroup", "fsGroup"].map(number);
        User { user, group, fs_group: fs_group.try_into().unwrap() }
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let written = self.set["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
        let mut labels = BTreeMap::from_iter(written.iter().map(|(label, value)| (label.clone(), text(value))));
        labels.insert("apps.kubernetes.io/pod-index".into(), self.ordinal.to_string());
        labels
    }

    /// What a container's variables are, in their order; each may name those before it.
    fn environment(&self, container: &Value) -> Vec<(String, String)> {
        let mut environment = Vec::new();
        for variable in list(&container["env"]) {
            let value = match variable.get("value") {
                Some(value) => expand(&text(value), &environment),
                None => self.field(&text(&variable["valueFrom"]["fieldRef"]["fieldPath"])),
            };
            environment.push((text(&variable["name"]), value));
        }
        environment
    }

    /// The downward API.
    fn field(&self, path: &str) -> String {
        let label = path.strip_prefix("metadata.labels['").and_then(|rest| rest.strip_suffix("']"));
        match (path, label) {
            ("status.podIP", _) => self.address.to_string(),
            (_, Some(label)) => self.labels()[label].clone(),
            _ => panic!("{path} is no field that this knows"),
        }
    }

    fn mounts(&self, container: &Value, environment: &[(String, String)]) -> Vec<Mount> {
        let volumes = self.directory.join("volumes");
        let volumes = volumes::prepare(&self.manifests, &self.set, self.user().fs_group, &volumes);
        let mount = |mount: &Value| {
            let sub_path = mount.get("subPath").map(text);
            let sub_path = sub_path.or_else(|| Some(expand(&text(mount.get("subPathExpr")?), environment)));
            let volume = &volumes[&text(&mount["name"])];
            let source = sub_path.map_or_else(|| volume.clone(), |sub_path| volume.join(sub_path));
            if !source.exists() {
                // As a kubelet does, whatever was meant to be there.
                std::fs::create_dir_all(&source).unwrap();
            }
            Mount { source, path: text(&mount["mountPath"]).into(), read_only: mount["readOnly"] == true }
        };
        let hosts = Mount { source: self.hosts.clone(), path: "/etc/hosts".into(), read_only: true };
        let resolver = Mount { source: "/etc/resolv.conf".into(), path: "/etc/resolv.conf".into(), read_only: true };
        list(&container["volumeMounts"]).iter().map(mount).chain([hosts, resolver]).collect()
    }

    /// Asks a probe of the container, `startupProbe` and the like, as a kubelet does; `None` when nobody answers.
    pub fn probe(&self, name: &str, machine: &Namespace) -> Option<Probe> {
        let [container] = list(&self.spec()["containers"]) else { panic!("not one container: {}", self.name()) };
        let get = &container[name]["httpGet"];
        self.get(&text(&get["path"]), self.port(&text(&get["port"])), machine)
    }

    /// The number of a port that the container names.
    pub fn port(&self, name: &str) -> u16 {
        let ports = list(&self.spec()["containers"][0]["ports"]);
        let port = ports.iter().find(|port| port["name"] == name).unwrap_or_else(|| panic!("no port {name}"));
        u16::try_from(port["containerPort"].as_u64().unwrap()).unwrap()
    }

    /// What is at a path of a port, by the pod's address; `None` when nobody answers.
    pub fn get(&self, path: &str, port: u16, machine: &Namespace) -> Option<Probe> {
        self.exchange(
            &format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address),
            port,
            machine,
        )
    }

    /// The result of a JSON-RPC method without parameters; `None` when nobody answers.
    pub fn call(&self, method: &str, port: u16, machine: &Namespace) -> Option<Value> {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[]}}"#);
        let head = format!("POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        let head = format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        let (status, body) = self.exchange(&(head + &body), port, machine)?;
        assert_eq!(status, 200, "{body}");
        Some(serde_json::from_str::<Value>(&body).unwrap()["result"].clone())
    }

    fn exchange(&self, request: &str, port: u16, machine: &Namespace) -> Option<Probe> {
        /// As the manifests' longest.
        const TIMEOUT: Duration = Duration::from_secs(5);
        let response = machine.enter(|| {
            let mut stream = TcpStream::connect((self.address, port))?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.write_all(request.as_bytes())?;
            let mut response = String::new();
            stream.read_to_string(&mut response).map(|_| response)
        });
        let response = response.ok()?;
        let (head, body) = response.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }
}

/// Replaces `$(NAME)` by the variables before.
fn expand(value: &str, environment: &[(String, String)]) -> String {
    environment.iter().fold(value.to_owned(), |value, (name, with)| value.replace(&format!("$({name})"), with))
}
