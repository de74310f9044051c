//! A PostgreSQL server of the tests' own, from Debian's package, in a temporary folder, reached by a
//! socket in it.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends with the value.
pub(crate) struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    server: Child,
    user: Option<(u32, u32)>,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let programs = programs();
        let folder = std::env::temp_dir().join(format!("crosspoint-pg-{}", rand::random::<u32>()));
        std::fs::create_dir_all(&folder).unwrap();
        let user = user();
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let data = folder.join("data");
        let made = command(&programs.join("initdb"), user)
            .args(["--auth=trust", "--username=crosspoint", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "initdb failed");
        let server = command(&programs.join("postgres"), user)
            .args(["-F", "-c", "listen_addresses="])
            .arg("-k")
            .arg(&folder)
            .arg("-D")
            .arg(&data)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            folder,
            programs,
            server,
            user,
        };
        server.wait();
        server
    }

    /// Makes an empty database; its URL.
    pub(crate) fn database(&self, name: &str) -> String {
        let made = self.psql(&format!("CREATE DATABASE {name}"));
        assert!(made, "cannot make a database");
        let host = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://crosspoint@{host}/{name}?sslmode=disable")
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.psql("SELECT 1") {
            assert!(Instant::now() < deadline, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn psql(&self, sql: &str) -> bool {
        Command::new(self.programs.join("psql"))
            .args([
                "-q",
                "-X",
                "-U",
                "crosspoint",
                "-d",
                "postgres",
                "-c",
                sql,
                "-h",
            ])
            .arg(&self.folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = command(&self.programs.join("pg_ctl"), self.user);
        let _ = stop
            .args(["stop", "-m", "immediate", "-D"])
            .arg(self.folder.join("data"))
            .stdout(Stdio::null())
            .status();
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Debian keeps them apart by version and out of `PATH`.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let found = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("postgres").exists())
        .max();
    found.expect("this test needs PostgreSQL: apt-get install postgresql")
}

/// PostgreSQL does not run as root: then as the user that its package made.
fn user() -> Option<(u32, u32)> {
    let id = |args: &[&str]| -> u32 {
        let output = Command::new("id").args(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().parse().expect("there is no user `postgres`")
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"])))
}

fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}
