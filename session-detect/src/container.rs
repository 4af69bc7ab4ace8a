//! Whether a process sits in a container, and in whose: from the root mount, the control groups and marker files.
//!
//! Marker files travel with images and are therefore believed only under a root that is not the machine's own.

use crate::facts::{Facts, Namespaces, Process};

/// The container a process sits in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) runtime: String,
    /// What told it.
    pub(crate) signal: &'static str,
    pub(crate) value: String,
    /// Whether only a variable, which any shell may set, told it.
    pub(crate) only_claimed: bool,
}

/// Marker files, and whose they are; podman's before docker's, since images made of containers keep the other.
pub(crate) const MARKERS: &[(&str, &str)] = &[
    ("/run/.containerenv", "podman"),
    ("/.dockerenv", "docker"),
    ("/dev/incus/sock", "incus"),
    ("/dev/lxd/sock", "lxd"),
    ("/run/systemd/container", "container"),
];

/// Finds the container, by the most trustworthy sign there is.
pub(crate) fn container(facts: &Facts) -> Option<Container> {
    let found = |runtime: &str, signal, value: &str| {
        Some(Container { runtime: runtime.to_owned(), signal, value: value.to_owned(), only_claimed: false })
    };
    if let Some((runtime, group)) = by_control_group(&facts.cgroup) {
        return found(runtime, "cgroup", group);
    }
    if facts.marker_files.iter().any(|file| file == "/run/host/container-manager") {
        let manager = facts.container_manager.as_deref().unwrap_or("systemd-nspawn");
        let runtime = manager.strip_prefix("systemd-").unwrap_or(manager);
        return found(runtime, "container-manager", manager);
    }
    if facts.kernel.ends_with("-gvisor") {
        return found("gvisor", "kernel", &facts.kernel);
    }
    let mounted = |by: &str| facts.mounted_by.iter().any(|it| it == by);
    // No machine has its own hosts file from a runtime's folder, whatever its root is made of.
    if mounted("kubelet") {
        return found("kubernetes", "mount", "kubelet");
    }
    if !foreign_root(&facts.root_mount) && !mounted("podman") && !mounted("containers") {
        return None;
    }
    if let Some((file, runtime)) =
        MARKERS.iter().find(|(file, _)| facts.marker_files.iter().any(|it| it == file))
    {
        return found(runtime, "marker", file);
    }
    if let Some((by, runtime)) =
        [("podman", "podman"), ("containers", "docker")].into_iter().find(|(by, _)| mounted(by))
    {
        return found(runtime, "mount", by);
    }
    let namespace = facts.ns.pid_inode().is_some_and(|inode| inode != Namespaces::INIT_PID);
    if let Some((runtime, signal, value)) = claimed(facts) {
        return Some(Container { runtime, signal, value, only_claimed: !namespace })
            .filter(|it| it.runtime != "flatpak");
    }
    if namespace { found("container", "pid namespace", &facts.ns.pid) } else { None }
}

/// Whose container it is by the variables that runtimes set.
fn claimed(facts: &Facts) -> Option<(String, &'static str, String)> {
    let value = |name: &str| facts.env.get(name).filter(|value| !value.is_empty());
    let container = value("container").map(|value| {
        (value.strip_prefix("systemd-").unwrap_or(value).to_owned(), "container", value.clone())
    });
    container.or_else(|| {
        let name = "KUBERNETES_SERVICE_HOST";
        value(name).map(|value| ("kubernetes".to_owned(), name, value.clone()))
    })
}

/// Whether the root folder is one that a machine would not boot from.
pub(crate) fn foreign_root(mount: &str) -> bool {
    let Some((before, after)) = mount.split_once(" - ") else { return false };
    let root = before.split(' ').nth(3).unwrap_or("/");
    let kind = after.split(' ').next().unwrap_or_default();
    matches!(kind, "overlay" | "fuse-overlayfs" | "fuse.fuse-overlayfs" | "aufs" | "9p")
        || (!matches!(root, "/" | "")
            && (kind != "btrfs" || root.contains("/docker/") || root.contains("/containers/")))
}

/// Whose control group it is, and its name.
fn by_control_group(text: &str) -> Option<(&'static str, &str)> {
    text.lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .find_map(|path| Some((runtime_of_group(path)?, path)))
}

fn runtime_of_group(path: &str) -> Option<&'static str> {
    let hexadecimal = |text: &str| text.len() >= 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let scope = |part: &str, prefix: &str| {
        let id = part.strip_prefix(prefix).map(|id| id.strip_suffix(".scope").unwrap_or(id));
        id.is_some_and(hexadecimal)
    };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let below = |parent: &str| parts.windows(2).any(|pair| pair[0] == parent && hexadecimal(pair[1]));
    if parts.iter().any(|part| part.starts_with("kubepods")) {
        return Some("kubernetes");
    }
    if parts.iter().any(|part| scope(part, "libpod-")) || below("libpod_parent") {
        return Some("podman");
    }
    if parts
        .iter()
        .any(|part| scope(part, "docker-") || scope(part, "nerdctl-") || scope(part, "cri-containerd-"))
        || ["docker", "ecs", "actions_job", "buildkit", "default"].into_iter().any(below)
    {
        return Some("docker");
    }
    if parts.first() == Some(&"lxc") && parts.len() > 1
        || parts.iter().any(|part| part.starts_with("lxc.payload"))
    {
        return Some("lxc");
    }
    None
}

/// What confines the process without being a container.
pub(crate) fn sandbox(facts: &Facts, chain: &[Process], in_container: bool) -> Option<&'static str> {
    let has = |name: &str| facts.env.contains_key(name);
    let runs = |name: &str| chain.iter().any(|process| process.comm == name);
    let namespace = facts.ns.pid_inode().is_some_and(|inode| inode != Namespaces::INIT_PID);
    if facts.marker_files.iter().any(|file| file == "/.flatpak-info") {
        Some("flatpak")
    } else if has("SNAP") {
        Some("snap")
    } else if runs("bwrap") {
        Some("bubblewrap")
    } else if runs("firejail") {
        Some("firejail")
    } else if in_container || is_wsl(facts) {
        None
    } else if namespace {
        Some("namespace")
    } else {
        (facts.root_same_as_pid1 == Some(false)).then_some("chroot")
    }
}

/// Whether the kernel is that of the Windows Subsystem for Linux, and the root is not that of a container upon it.
pub(crate) fn is_wsl(facts: &Facts) -> bool {
    let kernel = facts.kernel.to_ascii_lowercase();
    let named = kernel.contains("microsoft") || kernel.contains("wsl");
    let interop = facts.marker_files.iter().any(|file| file.ends_with("/WSLInterop"));
    (named || interop) && !foreign_root(&facts.root_mount)
}
