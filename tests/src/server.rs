//! A server in this process, on free loopback ports.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crosspoint_server::config::{Config, DEFAULTS};
use crosspoint_server::{RunningServer, Server};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

const KEY: &str = "testkey";
const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";

/// A running server and a way to ask it.
pub struct TestServer {
    server: RunningServer,
    http: reqwest::Client,
    config: Config,
    data: tempfile::TempDir,
    /// Port of worker 0; known before the start, so that a relay can stand in front of it.
    pub udp_port: u16,
}

impl TestServer {
    /// Starts a server with `workers` workers that advertises `address`.
    ///
    /// # Errors
    /// Whatever keeps a server from starting.
    pub async fn start(workers: u16, address: IpAddr) -> Result<Self> {
        Self::start_with(workers, address, |_| ()).await
    }

    /// The same with other settings.
    ///
    /// # Errors
    /// Whatever keeps a server from starting.
    pub async fn start_with(
        workers: u16,
        address: IpAddr,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let mut config: Config = toml::from_str(DEFAULTS)?;
        config.keys = format!("{KEY}: {SECRET}").parse()?;
        config.data_dir = data.path().to_path_buf();
        config.http.listen = (Ipv4Addr::LOCALHOST, 0).into();
        config.media.listen = vec![Ipv4Addr::LOCALHOST.into()];
        config.media.addresses = vec![address];
        config.media.udp_port = free_udp_port()?;
        config.media.tcp = false;
        config.media.workers = workers;
        config.media.pin_workers = false;
        change(&mut config);
        Self::start_on(data, config).await
    }

    async fn start_on(data: tempfile::TempDir, config: Config) -> Result<Self> {
        Ok(Self {
            server: Server::start(config.clone()).await?,
            http: reqwest::Client::new(),
            udp_port: config.media.udp_port,
            config,
            data,
        })
    }

    /// Ends the server and starts another one on its data, at other ports.
    ///
    /// # Errors
    /// Whatever keeps a server from starting.
    pub async fn restart(self) -> Result<Self> {
        let Self {
            server,
            mut config,
            data,
            ..
        } = self;
        server.stop().await;
        config.media.udp_port = free_udp_port()?;
        Self::start_on(data, config).await
    }

    /// Ends the server as if it had been killed: another one starts with what was on its disk until now,
    /// and under its name.
    ///
    /// # Errors
    /// Whatever keeps a server from starting.
    pub async fn kill(self) -> Result<Self> {
        let left = tempfile::tempdir()?;
        copy_folder(self.data.path(), left.path())?;
        let mut config = self.config;
        let address = self.server.http_addr();
        self.server.stop().await;
        let free = || async { Ok(std::net::TcpListener::bind(address).ok()) };
        drop(until("its port", free).await?);
        config.data_dir = left.path().to_path_buf();
        config.http.listen = address;
        config.media.udp_port = free_udp_port()?;
        Self::start_on(left, config).await
    }

    /// The folder where the server keeps what outlives it.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// The server's base URL.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.http_addr())
    }

    /// A token for one room.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, room: &str, identity: &str) -> Result<String> {
        let grants = json!({
            "room": room, "roomJoin": true, "roomAdmin": true, "roomList": true, "roomCreate": true,
        });
        self.sign(identity, &grants)
    }

    /// A token with any grants.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign(&self, identity: &str, grants: &Value) -> Result<String> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let claims = json!({
            "iss": KEY,
            "sub": identity,
            "exp": now.as_secs() + 600,
            "video": grants,
        });
        Ok(jsonwebtoken::encode(
            &Header::default(),
            &claims,
            &EncodingKey::from_secret(SECRET.as_bytes()),
        )?)
    }

    /// Posts an offer; the answer and the session's URL.
    ///
    /// # Errors
    /// Any answer but 201.
    pub async fn offer(&self, path: &str, token: &str, sdp: String) -> Result<(String, String)> {
        let response = self
            .http
            .post(self.url(path))
            .bearer_auth(token)
            .header("content-type", "application/sdp")
            .body(sdp)
            .send()
            .await?;
        let status = response.status();
        let location = response.headers().get("location").cloned();
        let body = response.text().await?;
        ensure!(status == 201, "{status}: {body}");
        let location = location.context("no Location")?.to_str()?.to_owned();
        Ok((body, location))
    }

    /// Ends a WHIP or WHEP session.
    ///
    /// # Errors
    /// Any answer but 200.
    pub async fn end(&self, location: &str, token: &str) -> Result<()> {
        let url = if location.starts_with("http") {
            location.to_owned()
        } else {
            self.url(location)
        };
        let status = self
            .http
            .delete(url)
            .bearer_auth(token)
            .send()
            .await?
            .status();
        ensure!(status == 200, "DELETE: {status}");
        Ok(())
    }

    /// Asks the API.
    ///
    /// # Errors
    /// Any answer but a success.
    pub async fn get(&self, path: &str, token: &str) -> Result<Value> {
        let response = self
            .http
            .get(self.url(path))
            .bearer_auth(token)
            .send()
            .await?;
        Ok(response.error_for_status()?.json().await?)
    }

    /// Writes by the API; the answer, null where it has no body.
    ///
    /// # Errors
    /// Any answer but a success.
    pub async fn write(
        &self,
        method: reqwest::Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Value> {
        let request = self.http.request(method, self.url(path));
        let response = request.bearer_auth(token).json(body).send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{path}: {status}: {text}");
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// One sample of `/metrics`, without labels; 0 when it is not there.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let text = self.metrics().await?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Ok(value.unwrap_or(0.0))
    }

    /// All that `/metrics` says.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn metrics(&self) -> Result<String> {
        let request = self.http.get(self.url("/metrics"));
        Ok(request.send().await?.text().await?)
    }

    /// Ends the server.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// Awaits a condition that some other party brings about, at most 20 s.
///
/// # Errors
/// When it did not come about.
pub async fn until<F, T>(what: &str, mut condition: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let wait = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if let Some(value) = condition().await? {
                return Ok(value);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .with_context(|| format!("waited for {what}"))?
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &copy)?;
        } else {
            std::fs::copy(entry.path(), copy)?;
        }
    }
    Ok(())
}

fn free_udp_port() -> Result<u16> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}
