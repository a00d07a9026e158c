//! Network namespaces by iproute2's `ip`: made, furnished, removed. What a killed lab has left is found
//! by the process id in its name, and removed only when that process is gone.

use std::{
    fs,
    io::{self, Write},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{error::LabError, limits::MAX_PACKET_BYTES};

/// Where iproute2 keeps namespaces.
const FOLDER: &str = "/run/netns";
const PREFIX: &str = "pulse-lab-";

/// The host's side of its device.
pub(crate) const DEVICE: &str = "eth0";

/// A namespace, removed on drop.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one. `world` tells the worlds of this process apart.
    pub(crate) fn create(world: usize, host: &str) -> Result<Self, LabError> {
        let name = format!("{PREFIX}{}-{world}-{host}", std::process::id());
        ip(&["netns", "add", &name]).map_err(|error| match error {
            LabError::Ip { said, .. } if is_refusal(&said) => LabError::NotPermitted(format!(
                "network namespaces are refused ({said}). Run as root in a machine or container \
                 that allows them (--privileged)."
            )),
            other => other,
        })?;
        Ok(Self { name })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }

    /// Moves a device in, gives it the address and everything's route, with the congestion control
    /// that every TCP connection of the host takes from the route.
    pub(crate) fn furnish(
        &self,
        device: &str,
        address: Ipv4Addr,
        congestion: Option<&str>,
    ) -> Result<(), LabError> {
        ip(&[
            "link", "set", "dev", device, "netns", &self.name, "name", DEVICE,
        ])?;
        self.batch(&[
            "link set dev lo up".into(),
            format!("link set dev {DEVICE} mtu {MAX_PACKET_BYTES} addrgenmode none up"),
            format!("addr add {address}/32 dev {DEVICE}"),
        ])?;
        self.set_congestion(congestion)
    }

    /// Changes the congestion control of connections that begin from now on; `None` is the kernel's.
    pub(crate) fn set_congestion(&self, congestion: Option<&str>) -> Result<(), LabError> {
        let mut route = format!("route replace default dev {DEVICE}");
        if let Some(name) = congestion {
            route = format!("{route} congctl {name}");
        }
        self.batch(&[route])
    }

    /// A program that runs within.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Packets that the device has dropped on the way to the lab and from it.
    pub(crate) fn device_drops(&self) -> Result<(u64, u64), LabError> {
        let text = ip(&["-n", &self.name, "-s", "-j", "link", "show", "dev", DEVICE])?;
        let links: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let dropped = |side| {
            let path = format!("/0/stats64/{side}/dropped");
            links
                .pointer(&path)
                .and_then(serde_json::Value::as_u64)
                .unwrap_or(0)
        };
        Ok((dropped("tx"), dropped("rx")))
    }

    fn batch(&self, lines: &[String]) -> Result<(), LabError> {
        let mut child = Command::new("ip")
            .args(["-n", &self.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(no_ip)?;
        if let Some(mut input) = child.stdin.take() {
            let text = lines.join("\n");
            writeln!(input, "{text}").map_err(LabError::system("Could not write to ip"))?;
        }
        let output = child.wait_with_output().map_err(no_ip)?;
        check(&lines.join("; "), output).map(|_| ())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nothing is left to tell: the next lab finds what could not be removed.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// Says why there can be no lab here.
pub(crate) fn check_permitted() -> Result<(), LabError> {
    let not = |why: &str| Err(LabError::NotPermitted(why.into()));
    if !rustix::process::geteuid().is_root() {
        return not("it needs root. Run it with sudo.");
    }
    if !Path::new("/dev/net/tun").exists() {
        return not(
            "/dev/net/tun is missing. Run \"modprobe tun\"; in a container pass --device /dev/net/tun.",
        );
    }
    ip(&["-V"]).map(|_| ())
}

/// Removes the namespaces of labs that were killed.
pub(crate) fn remove_leftovers() {
    let Ok(entries) = fs::read_dir(FOLDER) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(is_gone) {
            // Another lab may be doing the same.
            let _ = ip(&["netns", "del", name]);
        }
    }
}

/// Whether this is a process id that nobody has.
pub fn is_gone(pid: &str) -> bool {
    pid.parse::<u32>()
        .is_ok_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

fn ip(arguments: &[&str]) -> Result<Vec<u8>, LabError> {
    let output = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(no_ip)?;
    check(&arguments.join(" "), output)
}

fn check(command: &str, output: Output) -> Result<Vec<u8>, LabError> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(LabError::Ip {
        command: command.into(),
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

fn no_ip(source: io::Error) -> LabError {
    if source.kind() == io::ErrorKind::NotFound {
        let why = "the program \"ip\" is missing. Install iproute2 (apt-get install iproute2).";
        return LabError::NotPermitted(why.into());
    }
    LabError::System {
        what: "Could not run ip".into(),
        source,
    }
}

fn is_refusal(said: &str) -> bool {
    said.contains("not permitted") || said.contains("Permission denied")
}
