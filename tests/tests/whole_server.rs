//! A whole server and clients that share no code with it, over loopback.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crosspoint_tests::client::{Player, Publisher};
use crosspoint_tests::relay::Relay;
use crosspoint_tests::server::{TestServer, until};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The number that [`Publisher::send_numbered`] put into a frame.
fn number(payload: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(payload.last_chunk().copied()?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_webrtc_crate_publishes_and_plays() -> Result<()> {
    let server = TestServer::start(1, LOOPBACK).await?;
    let publisher = Publisher::start(&server, "stage", "camera").await?;
    let sending = publisher.send_numbered();
    let mut player = Player::start(&server, "stage", "player").await?;

    let first = player.next().await?;
    let mut expected_sequence = first.header.sequence_number;
    let mut expected_number = number(&first.payload).context("a numbered frame")?;
    for _ in 0..100 {
        let packet = player.next().await?;
        expected_sequence = expected_sequence.wrapping_add(1);
        expected_number += 1;
        ensure!(
            packet.header.sequence_number == expected_sequence,
            "a gap in the slot's stream"
        );
        ensure!(
            number(&packet.payload) == Some(expected_number),
            "not what was sent"
        );
    }
    player.stop(&server).await?;
    sending.abort();
    server.stop().await;
    Ok(())
}

/// Every metric that the dashboard in `deploy/` draws is there once somebody has been in a room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_finds_its_metrics() -> Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/grafana.json");
    let dashboard: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let text = dashboard.to_string();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names: BTreeSet<&str> = text
        .split(|c| !is_name(c))
        .filter(|word| word.starts_with("crosspoint_"))
        .collect();
    ensure!(names.len() > 20, "only {names:?}");

    let server = TestServer::start(1, LOOPBACK).await?;
    let publisher = Publisher::start(&server, "stage", "camera").await?;
    let sending = publisher.send_numbered();
    let mut player = Player::start(&server, "stage", "player").await?;
    player.next().await?;
    player.stop(&server).await?;
    until("the dashboard's metrics", || async {
        let found = server.metrics().await?;
        let is_missing = |name: &&&str| {
            let mut lines = found.lines().filter_map(|line| line.strip_prefix(**name));
            !lines.any(|rest| rest.starts_with([' ', '{']))
        };
        let missing: Vec<_> = names.iter().filter(is_missing).collect();
        println!("missing: {missing:?}");
        Ok(missing.is_empty().then_some(()))
    })
    .await?;
    sending.abort();
    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_joins_and_leaves_leave_nothing_behind() -> Result<()> {
    let server = TestServer::start(2, LOOPBACK).await?;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    // One of each first: what is made once and kept is not left behind.
    Player::start(&server, "warm", "up")
        .await?
        .stop(&server)
        .await?;
    until("rooms to end", || async {
        Ok((server.metric("crosspoint_worker_sessions").await? == 0.0).then_some(()))
    })
    .await?;
    let tasks_before = tasks();

    let server = Arc::new(server);
    for round in 0..30 {
        let mut people = tokio::task::JoinSet::new();
        for seat in 0..10 {
            let (room, identity) = (format!("room-{}", seat % 3), format!("p{round}-{seat}"));
            let server = Arc::clone(&server);
            people.spawn(async move {
                Player::start(&server, &room, &identity)
                    .await?
                    .stop(&server)
                    .await
            });
        }
        while let Some(stay) = people.join_next().await {
            stay??;
        }
    }

    for gauge in [
        "crosspoint_participants",
        "crosspoint_worker_sessions",
        "crosspoint_worker_tracks",
    ] {
        until(gauge, || async {
            Ok((server.metric(gauge).await? == 0.0).then_some(()))
        })
        .await?;
    }
    until("tasks to end", || async {
        Ok((tasks() <= tasks_before + 2).then_some(()))
    })
    .await?;
    Arc::into_inner(server)
        .context("still in use")?
        .stop()
        .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_goes_on_when_a_client_changes_its_port() -> Result<()> {
    // The relay stands at the advertised address, in front of the server at the same port.
    let advertised = Ipv4Addr::new(127, 0, 0, 2);
    let server = TestServer::start(1, advertised.into()).await?;
    let port = server.udp_port;
    let mut relay = Relay::start((advertised, port).into(), (LOOPBACK, port).into()).await?;
    let sending = Publisher::start(&server, "roam", "camera")
        .await?
        .send_numbered();
    let received = || async { server.metric("crosspoint_rtp_received_total").await };
    until("media", || async {
        Ok((received().await? > 50.0).then_some(()))
    })
    .await?;

    relay.change_port().await?;
    let changed = Instant::now();
    let before = received().await?;
    // A check from the new port comes within half a second; only then its media is taken.
    until("media from the new port", || async {
        Ok((received().await? > before + 5.0).then_some(()))
    })
    .await?;
    let gap = changed.elapsed();
    ensure!(
        gap < Duration::from_secs(1),
        "media came back after {gap:?}"
    );
    sending.abort();
    server.stop().await;
    Ok(())
}
