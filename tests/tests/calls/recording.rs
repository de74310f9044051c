//! Recordings of calls: by policy and on demand, and what becomes of a call whose recording fails.

use anyhow::{Context, Result, ensure};
use crosspoint_tests::caller::{Caller, grant};
use crosspoint_tests::client::Publisher;
use crosspoint_tests::server::{TestServer, until};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{Answered, contact_centre, online};

const TENANT: &str = "/v1/tenants/acme";

/// Bytes of a file that has more than its head.
const SOME_SOUND: usize = 1_000;

/// What a WebM file begins with (RFC 8794 §11.2.1).
const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];

/// A call of ann and bob with sound in both directions.
struct Talk {
    server: TestServer,
    admin: String,
    recorder: String,
    id: String,
    ann: Caller,
    bob: Caller,
    sending: [JoinHandle<()>; 2],
}

impl Talk {
    async fn begin(settings: Value) -> Result<Self> {
        let (server, admin) = contact_centre().await?;
        Self::begin_on(server, admin, settings).await
    }

    async fn begin_on(server: TestServer, admin: String, mut settings: Value) -> Result<Self> {
        settings["openRegistration"] = json!(true);
        server.write(Method::PUT, TENANT, &admin, &settings).await?;
        let mut ann = online(&server, "ann").await?;
        let mut bob = online(&server, "bob").await?;
        let call = json!({
            "kind": "private", "media": "audio", "target": { "type": "user", "user": "bob" },
        });
        let call = Answered::new(&mut ann, &mut bob, call).await?;
        let Answered { id, made, answered } = call;
        let mut sending = Vec::new();
        for side in [&made, &answered] {
            let (room, token) = grant(side)?;
            let publisher = Publisher::of_sound(&server, &room, token).await?;
            sending.push(publisher.send_numbered());
        }
        let recorder = server.sign("", &json!({ "roomRecord": true }))?;
        Ok(Self {
            server,
            admin,
            recorder,
            id,
            ann,
            bob,
            sending: sending.try_into().ok().context("two sides")?,
        })
    }

    /// The recording of the call's room, once it has some of both voices.
    async fn has_both_voices(&self) -> Result<String> {
        let path = format!("/v1/recordings?room=call-{}", self.id);
        until("both voices", || async {
            let list = self.server.get(&path, &self.recorder).await?;
            let recording = &list["recordings"][0];
            let id = recording["id"].as_str().unwrap_or_default();
            let mut heard = 0;
            for file in recording["files"].as_array().into_iter().flatten() {
                let name = file["name"].as_str().context("no name")?;
                let path = format!("/v1/recordings/{id}/files/{name}");
                heard += usize::from(self.fetch(&path).await?.len() > SOME_SOUND);
            }
            Ok((heard == 2).then(|| id.to_owned()))
        })
        .await
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>> {
        let request = reqwest::Client::new().get(self.server.url(url));
        let response = request.bearer_auth(&self.recorder).send().await?;
        Ok(response.error_for_status()?.bytes().await?.to_vec())
    }

    /// The call's record.
    async fn record(&self) -> Result<Value> {
        let path = format!("{TENANT}/records");
        let mut records = self.server.get(&path, &self.admin).await?;
        ensure!(
            records["records"][0]["call"] == self.id.as_str(),
            "{records}"
        );
        Ok(records["records"][0].take())
    }

    async fn end(self) {
        for sending in self.sending {
            sending.abort();
        }
        self.server.stop().await;
    }
}

/// The next state of the call's recording.
async fn state(caller: &mut Caller) -> Result<Value> {
    let mut event = caller.event("recStateChanged").await?;
    Ok(event["recording"]["state"].take())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_recorded_in_stereo_where_the_tenant_wants_it() -> Result<()> {
    let settings = json!({ "recordPolicy": "always", "recordMode": "call" });
    let mut talk = Talk::begin(settings).await?;
    ensure!(state(&mut talk.ann).await? == "starting");
    ensure!(state(&mut talk.ann).await? == "running");
    let recording = talk.has_both_voices().await?;
    talk.bob.ask("hangUp", json!({})).await?;
    let ended = talk.ann.event("callEnded").await?;
    ensure!(ended["reason"] == "hang_up", "{ended}");

    let ready = talk.ann.event("recReady").await?;
    let url = ready["url"].as_str().context("no url")?.to_owned();
    ensure!(url == format!("/v1/recordings/{recording}/files/call.webm"));
    let file = talk.fetch(&url).await?;
    ensure!(file.starts_with(&EBML));
    // RFC 7845 §5.1: the identification header, its version, the number of channels.
    let head = file.windows(8).position(|bytes| bytes == b"OpusHead");
    let channels = head.and_then(|head| file.get(head + 9));
    ensure!(channels == Some(&2), "{channels:?}");
    let record = talk.record().await?;
    ensure!(record["recordings"] == json!([url]), "{record}");
    talk.end().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_recorded_on_demand_with_a_file_for_each_participant() -> Result<()> {
    let mut talk = Talk::begin(json!({})).await?;
    let begun = talk.bob.ask("recStart", json!({ "mode": "each" })).await?;
    ensure!(begun["recording"].is_string(), "{begun}");
    ensure!(state(&mut talk.ann).await? == "starting");
    ensure!(state(&mut talk.ann).await? == "running");
    let recording = talk.has_both_voices().await?;
    talk.bob.ask("recStop", json!({})).await?;
    ensure!(state(&mut talk.ann).await? == "finalizing");
    ensure!(
        state(&mut talk.ann).await? == "ready",
        "and the call goes on"
    );
    let ready = talk.bob.event("recReady").await?;
    let url = format!("/v1/recordings/{recording}");
    ensure!(
        ready["url"] == url.as_str() && ready["bytes"].as_u64() > Some(0),
        "{ready}"
    );
    let list = talk.server.get(&url, &talk.recorder).await?;
    let files = list["files"].as_array().context("files")?;
    ensure!(files.len() == 2, "{list}");
    for file in files {
        let name = file["name"].as_str().context("name")?;
        ensure!(
            talk.fetch(&format!("{url}/files/{name}"))
                .await?
                .starts_with(&EBML)
        );
    }
    talk.ann.ask("hangUp", json!({})).await?;
    talk.bob.event("callEnded").await?;
    let record = talk.record().await?;
    ensure!(record["recordings"] == json!([url]), "{record}");
    talk.end().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_cannot_be_recorded_ends_or_goes_on_as_the_tenant_wants_it() -> Result<()> {
    for (policy, ends) in [("endCall", true), ("continue", false)] {
        let (server, admin) = contact_centre().await?;
        // Where the recordings' folders would be made, there is a file.
        let folder = server.data().join("recordings");
        std::fs::remove_dir(&folder)?;
        std::fs::write(&folder, "")?;
        let settings = json!({ "recordFailPolicy": policy });
        let mut talk = Talk::begin_on(server, admin, settings).await?;
        talk.ann.ask("recStart", json!({})).await?;
        let aborted = talk.ann.event("recAborted").await?;
        ensure!(aborted["endsCall"] == ends, "{aborted}");
        let detail = aborted["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains("cannot be written"), "{aborted}");
        if !ends {
            talk.ann.ask("hangUp", json!({})).await?;
        }
        let ended = talk.bob.event("callEnded").await?;
        let reason = if ends { "record_abort" } else { "hang_up" };
        ensure!(ended["reason"] == reason, "{ended}");
        let record = talk.record().await?;
        ensure!(record["recordings"] == json!([]), "{record}");
        talk.end().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_lost_with_its_server_has_a_record_with_what_was_recorded() -> Result<()> {
    let talk = Talk::begin(json!({ "recordPolicy": "always" })).await?;
    let recording = talk.has_both_voices().await?;
    let records = format!("{TENANT}/records");
    let none = talk.server.get(&records, &talk.admin).await?;
    ensure!(none["records"] == json!([]), "it goes on: {none}");
    let server = talk.server.kill().await?;
    for sending in talk.sending {
        sending.abort();
    }

    let record = until("the recording in the record", || async {
        let mut records = server.get(&records, &talk.admin).await?;
        let record = records["records"][0].take();
        let recorded = record["recordings"].as_array().map_or(0, Vec::len);
        Ok((recorded > 0).then_some(record))
    });
    let record = record.await?;
    ensure!(record["call"] == talk.id.as_str(), "{record}");
    ensure!(record["reason"] == "network", "{record}");
    ensure!(record["members"] == json!(["ann", "bob"]), "{record}");
    let address = record["recordings"][0].as_str().context("address")?;
    ensure!(address.contains(&recording), "{record}");
    let path = format!("/v1/recordings/{recording}");
    let manifest = server.get(&path, &talk.recorder).await?;
    ensure!(manifest["state"] == "ready", "{manifest}");
    ensure!(manifest["reason"] == "crashed", "{manifest}");
    ensure!(
        manifest["bytes"].as_u64() > Some(SOME_SOUND as u64),
        "{manifest}"
    );
    server.stop().await;
    Ok(())
}
