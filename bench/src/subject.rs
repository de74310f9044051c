//! Servers under test: started for a measurement, ended with it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::load::KeyPair;

/// A process that is killed when it is no longer needed.
#[derive(Debug)]
pub struct Subject {
    child: Child,
    folder: PathBuf,
    /// Of its HTTP API.
    pub address: SocketAddr,
}

/// How long a server may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Ports of servers in a network of their own; on the loopback interface a free one is taken.
const CROSSPOINT_PORT: u16 = 7880;
const JANUS_PORT: u16 = 8088;

const KEY: &str = "bench";
const SECRET: &str = "only-for-measurements-on-this-machine";

impl Subject {
    /// Starts `crosspoint` with a number of workers, on the loopback interface or in `network`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn crosspoint(binary: &Path, workers: usize, network: Option<&Network>) -> Result<Self> {
        let (ip, port) = match network {
            Some(network) => (network.far, CROSSPOINT_PORT),
            None => (Ipv4Addr::LOCALHOST, free_port()?),
        };
        let folder = temporary_folder("crosspoint")?;
        let mut command = within(network, binary);
        command
            .arg("serve")
            .env("CROSSPOINT_KEYS", format!("{KEY}: {SECRET}"))
            .env("CROSSPOINT_DATA_DIR", &folder)
            .env("CROSSPOINT_HTTP_LISTEN", format!("{ip}:{port}"))
            .env("CROSSPOINT_MEDIA_LISTEN", ip.to_string())
            .env("CROSSPOINT_MEDIA_ADDRESSES", ip.to_string())
            .env("CROSSPOINT_MEDIA_UDP_PORT", "0")
            .env("CROSSPOINT_MEDIA_TCP", "false")
            .env("CROSSPOINT_MEDIA_WORKERS", workers.to_string())
            .env("CROSSPOINT_LOG_LEVEL", "warn");
        Self::start(command, folder, (ip, port).into())
    }

    /// Starts Janus with nothing but the VideoRoom and its HTTP API. It passes over loopback
    /// interfaces, so it needs a `network`. `event_loops`: 0 is a thread for each peer, as shipped.
    ///
    /// # Errors
    /// When it is not installed, or does not come up.
    pub fn janus(event_loops: usize, network: &Network) -> Result<Self> {
        let folder = temporary_folder("janus")?;
        let ip = network.far;
        let general = format!(
            "general: {{ debug_level = 2\n event_loops = {event_loops}\n \
             admin_secret = \"{SECRET}\" }}\n\
             media: {{ ipv6 = false }}\n\
             nat: {{ ice_lite = true\n ice_enforce_list = \"{ip}\" }}\n\
             plugins: {{ disable = \"libjanus_audiobridge.so,libjanus_echotest.so,\
             libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,\
             libjanus_textroom.so,libjanus_videocall.so,libjanus_voicemail.so,libjanus_lua.so,\
             libjanus_duktape.so\" }}\n\
             transports: {{ disable = \"libjanus_rabbitmq.so,libjanus_pfunix.so,\
             libjanus_websockets.so,libjanus_mqtt.so,libjanus_nanomsg.so\" }}\n"
        );
        let http =
            format!("general: {{ json = \"compact\"\n http = true\n port = {JANUS_PORT} }}\n");
        std::fs::write(folder.join("janus.jcfg"), general)?;
        std::fs::write(folder.join("janus.transport.http.jcfg"), http)?;
        std::fs::write(folder.join("janus.plugin.videoroom.jcfg"), "general: { }\n")?;
        let mut command = within(Some(network), Path::new("janus"));
        command.arg("-F").arg(&folder);
        Self::start(command, folder, (ip, JANUS_PORT).into())
    }

    fn start(mut command: Command, folder: PathBuf, address: SocketAddr) -> Result<Self> {
        let log = std::fs::File::create(folder.join("log"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let mut subject = Self {
            child,
            folder,
            address,
        };
        let start = Instant::now();
        while TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err() {
            let ended = subject.child.try_wait()?;
            if ended.is_some() || start.elapsed() > START_TIMEOUT {
                let log = std::fs::read_to_string(subject.folder.join("log"));
                bail!("the server did not start:\n{}", log.unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(subject)
    }

    /// Of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The key with which clients of a `crosspoint` sign their tokens.
    #[must_use]
    pub fn key() -> KeyPair {
        KeyPair::new(KEY, SECRET)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A network namespace at the far end of a pair of virtual Ethernet devices, so that servers that
/// pass over loopback interfaces can be measured, and others on the same path beside them.
#[derive(Debug)]
pub struct Network {
    name: String,
    near_device: String,
    /// Our end.
    pub near: IpAddr,
    /// The servers' end.
    pub far: Ipv4Addr,
}

impl Network {
    /// Makes it. Needs root and `ip` (Debian package iproute2).
    ///
    /// # Errors
    /// When either is missing.
    pub fn create() -> Result<Self> {
        let id = std::process::id() % 0xffff;
        let network = Self {
            name: format!("bench{id}"),
            near_device: format!("bn{id}"),
            near: Ipv4Addr::new(10, 213, 7, 1).into(),
            far: Ipv4Addr::new(10, 213, 7, 2),
        };
        let (name, near) = (&network.name, &network.near_device);
        let far = format!("bf{id}");
        ip(&["netns", "add", name])?;
        ip(&[
            "link", "add", near, "type", "veth", "peer", "name", &far, "netns", name,
        ])?;
        ip(&["addr", "add", "10.213.7.1/24", "dev", near])?;
        ip(&["link", "set", near, "up"])?;
        ip(&["-n", name, "addr", "add", "10.213.7.2/24", "dev", &far])?;
        ip(&["-n", name, "link", "set", &far, "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", &self.near_device]);
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("`ip` is needed (Debian package iproute2)")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "ip {}: {} (root is needed)",
        arguments.join(" "),
        error.trim()
    );
    Ok(())
}

/// A command that runs in the network. `ip netns exec` becomes the program, so that the child is it.
fn within(network: Option<&Network>, program: &Path) -> Command {
    match network {
        None => Command::new(program),
        Some(network) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &network.name]).arg(program);
            command
        }
    }
}

fn free_port() -> Result<u16> {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(socket.local_addr()?.port())
}

fn temporary_folder(name: &str) -> Result<PathBuf> {
    let id = rand::random::<u32>();
    let folder = std::env::temp_dir().join(format!("bench-{name}-{id:08x}"));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
