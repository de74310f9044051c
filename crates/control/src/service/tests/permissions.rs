//! Permissions, mutes and wishes take effect at once.

use crosspoint_media::config::{LayerLimit, TrackSource};

use super::*;
use crate::api::TrackDescription;

async fn permit(bench: &Bench, name: &str, permissions: Permissions) {
    let patch = ParticipantPatch {
        permissions: Some(permissions),
        ..ParticipantPatch::default()
    };
    let (a, name) = (room("a"), identity(name));
    bench
        .service
        .update_participant(&a, &name, patch)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_may_not_publish_any_more_is_not_heard_and_may_again_later() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    let (_bob, before) = bench.call("a", "bob").await;
    told(&mut alice);
    bench.commands();
    let no = Permissions {
        can_publish: false,
        ..Permissions::default()
    };
    permit(&bench, "bob", no).await;
    assert_eq!(
        told(&mut alice),
        ["no track bob", "no track bob", "updated bob Joining"]
    );
    assert_eq!(bench.commands(), ["0 PutSession 0 tracks 4 slots auto"]);
    permit(&bench, "bob", Permissions::default()).await;
    assert_eq!(
        told(&mut alice),
        ["track bob Audio", "track bob Video", "updated bob Joining"]
    );
    assert_eq!(bench.commands(), ["0 PutSession 2 tracks 4 slots auto"]);
    let info = bench
        .service
        .participant(&room("a"), &identity("bob"))
        .await
        .unwrap();
    assert_ne!(info.tracks[0].sid, before.tracks[0].sid, "another track");
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn single_sources_can_be_permitted() {
    let bench = Bench::new();
    let mut request = request("a", "alice");
    request.permissions.can_publish_sources = vec![TrackSource::ScreenShare];
    let alice = bench.service.join(request).await.unwrap();
    let screen = TrackDescription {
        mid: "1".to_owned(),
        source: TrackSource::ScreenShare,
        name: "slides".to_owned(),
        muted: true,
        width: 1920,
        height: 1080,
    };
    let offer = Offer {
        sdp: CHROME.to_owned(),
        tracks: vec![screen],
    };
    let answer = bench.service.offer(alice.session, offer).await.unwrap();
    let [track] = answer.tracks.as_slice() else {
        panic!("the screen only");
    };
    assert_eq!((track.name.as_str(), track.width), ("slides", 1920));
    assert!(track.muted && track.source == TrackSource::ScreenShare);
    assert!(
        answer.sdp.contains("a=inactive"),
        "the microphone is not asked for"
    );
}

#[tokio::test(start_paused = true)]
async fn who_may_not_subscribe_gets_nothing_whatever_it_wishes() {
    let bench = Bench::new();
    let (_alice, answer) = bench.call("a", "alice").await;
    bench.call("a", "bob").await;
    let (a, bob) = (room("a"), identity("bob"));
    let sid = &answer.tracks[1].sid;
    let wish = SubscriptionWish {
        wanted: true,
        largest: LayerLimit::Small,
    };
    bench
        .service
        .set_subscription(&a, &bob, sid, wish)
        .await
        .unwrap();
    assert_eq!(bench.commands().last().unwrap(), "0 SetWish wanted");
    let no = Permissions {
        can_subscribe: false,
        ..Permissions::default()
    };
    permit(&bench, "bob", no).await;
    assert!(in_order(
        &bench.commands(),
        &["0 PutSession 2 tracks 4 slots asked", "0 SetWish"]
    ));
    let refused = bench.service.set_subscription(&a, &bob, sid, wish).await;
    assert_eq!(refused, Err(ControlError::NotPermitted("canSubscribe")));
    permit(&bench, "bob", Permissions::default()).await;
    assert!(in_order(
        &bench.commands(),
        &["0 PutSession 2 tracks 4 slots auto", "0 SetWish wanted"]
    ));
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn who_has_no_business_at_all_is_told_so() {
    let bench = Bench::new();
    let mut publisher = request("a", "publisher");
    publisher.permissions.can_publish = false;
    let publisher = bench.service.join(publisher).await.unwrap();
    let sendonly = WATCHER.replace("a=recvonly", "a=sendonly");
    let refused = bench.try_offer(&publisher, &sendonly).await;
    assert_eq!(refused, Err(ControlError::NotPermitted("canPublish")));
    let mut watcher = request("a", "watcher");
    watcher.permissions.can_subscribe = false;
    let watcher = bench.service.join(watcher).await.unwrap();
    let refused = bench.try_offer(&watcher, WATCHER).await;
    assert_eq!(refused, Err(ControlError::NotPermitted("canSubscribe")));
}

#[tokio::test(start_paused = true)]
async fn who_receives_one_participant_only_gets_its_tracks_and_later_ones() {
    let bench = Bench::new();
    bench.call("a", "alice").await;
    let request = JoinRequest {
        only: Some(identity("bob")),
        ..request("a", "watcher")
    };
    let watcher = bench.service.join(request).await.unwrap();
    bench.offer(&watcher, WATCHER).await;
    let wishes = |commands: Vec<String>| {
        let wishes = commands.into_iter().filter(|line| line.contains("SetWish"));
        wishes.collect::<Vec<_>>()
    };
    assert!(wishes(bench.commands()).is_empty(), "alice is not wanted");
    bench.call("a", "bob").await;
    assert_eq!(
        wishes(bench.commands()),
        ["0 SetWish wanted", "0 SetWish wanted"]
    );
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn a_track_flows_when_neither_owner_nor_server_mutes_it() {
    let bench = Bench::new();
    let (mut alice, answer) = bench.call("a", "alice").await;
    let (mut bob, _) = bench.call("a", "bob").await;
    told(&mut alice);
    bench.commands();
    let (a, sid) = (room("a"), answer.tracks[0].sid.clone());
    let mute = async |by, muted| {
        let info = bench.service.set_track_muted(&a, &sid, by, muted).await;
        info.unwrap().muted
    };
    assert!(mute(MutedBy::Server, true).await);
    assert!(mute(MutedBy::Owner, true).await);
    assert!(mute(MutedBy::Server, false).await);
    assert!(!mute(MutedBy::Owner, false).await);
    assert_eq!(bench.commands(), ["0 SetMuted true", "0 SetMuted false"]);
    assert_eq!(
        told(&mut alice),
        ["own muted true", "own muted false"],
        "she knows what unmuting would do"
    );
    assert_eq!(
        told(&mut bob),
        ["track of alice muted", "track of alice open"]
    );
    let other = room("b");
    bench.join("b", "x").await;
    let refused = bench
        .service
        .set_track_muted(&other, &sid, MutedBy::Server, true)
        .await;
    assert_eq!(refused, Err(ControlError::TrackNotFound(sid.clone())));
}

#[tokio::test(start_paused = true)]
async fn an_m_line_that_stops_sending_unpublishes_its_track() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    let (bob, _) = bench.call("a", "bob").await;
    told(&mut alice);
    let answer = bench
        .offer(&bob, &CHROME.replacen("a=sendonly", "a=inactive", 1))
        .await;
    assert_eq!(answer.tracks.len(), 1);
    assert_eq!(told(&mut alice), ["no track bob"]);
    let other = CHROME.replace("a=msid:5d9b 8e2a-video", "a=msid:5d9b other");
    bench.offer(&bob, &other).await;
    assert_eq!(
        told(&mut alice),
        ["no track bob", "track bob Audio", "track bob Video"]
    );
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn what_its_owner_muted_is_still_muted_when_it_may_be_published_again() {
    let bench = Bench::new();
    let alice = bench.join("a", "alice").await;
    let camera = TrackDescription {
        mid: "1".to_owned(),
        source: TrackSource::Camera,
        name: String::new(),
        muted: false,
        width: 0,
        height: 0,
    };
    let offer = Offer {
        sdp: CHROME.to_owned(),
        tracks: vec![camera],
    };
    let answer = bench.service.offer(alice.session, offer).await.unwrap();
    let a = room("a");
    bench
        .service
        .set_track_muted(&a, &answer.tracks[1].sid, MutedBy::Owner, true)
        .await
        .unwrap();
    let no = Permissions {
        can_publish: false,
        ..Permissions::default()
    };
    permit(&bench, "alice", no).await;
    permit(&bench, "alice", Permissions::default()).await;
    let info = bench.service.participant(&a, &identity("alice")).await;
    assert!(info.unwrap().tracks[1].muted);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_muted_is_still_muted_when_it_may_be_published_again() {
    let bench = Bench::new();
    let (alice, answer) = bench.call("a", "alice").await;
    let a = room("a");
    let mute = async |sid: &TrackSid, muted| {
        let service = &bench.service;
        let info = service.set_track_muted(&a, sid, MutedBy::Server, muted);
        info.await.unwrap()
    };
    let revoke_and_grant = async || {
        let no = Permissions {
            can_publish: false,
            ..Permissions::default()
        };
        permit(&bench, "alice", no).await;
        permit(&bench, "alice", Permissions::default()).await;
        let info = bench.service.participant(&a, &identity("alice")).await;
        info.unwrap().tracks
    };
    mute(&answer.tracks[0].sid, true).await;
    let tracks = revoke_and_grant().await;
    assert_ne!(tracks[0].sid, answer.tracks[0].sid, "another track");
    assert!(tracks[0].muted && !tracks[1].muted);

    mute(&tracks[0].sid, false).await;
    let tracks = revoke_and_grant().await;
    assert!(!tracks[0].muted, "it flows once the server lets it");

    mute(&tracks[0].sid, true).await;
    bench
        .offer(&alice, &CHROME.replacen("a=sendonly", "a=inactive", 1))
        .await;
    let answer = bench.offer(&alice, CHROME).await;
    assert!(!answer.tracks[0].muted, "its owner stopped and sends anew");
    bench.assert_nothing_refused();
}

async fn set_audience(bench: &Bench, name: &str, audience: Option<&[&str]>) {
    let audience = audience.map(|names| names.iter().map(|name| identity(name)).collect());
    bench
        .service
        .set_audience(&room("a"), &identity(name), audience)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_is_hidden_is_heard_by_an_audience_that_nobody_else_knows_of() {
    let bench = Bench::new();
    let (mut agent, _) = bench.call("a", "agent").await;
    let agent_session = agent.session;
    let (mut customer, _) = bench.call("a", "customer").await;
    let mut hidden = request("a", "supervisor");
    hidden.permissions.hidden = true;
    let supervisor = bench.service.join(hidden).await.unwrap();
    bench.offer(&supervisor, CHROME).await;
    told(&mut agent);
    told(&mut customer);
    let mut events = bench.service.events();
    bench.desk.fed.lock().unwrap().clear();

    set_audience(&bench, "supervisor", Some(&["agent"])).await;
    assert_eq!(
        told(&mut agent),
        [
            "joined supervisor",
            "track supervisor Audio",
            "track supervisor Video"
        ]
    );
    assert!(told(&mut customer).is_empty());
    let fed = std::mem::take(&mut *bench.desk.fed.lock().unwrap());
    assert_eq!(fed, [agent_session; 2], "not for a moment anybody else");
    assert!(events.try_recv().is_err(), "nothing for webhooks");
    // Nor who comes now, but for what all may have.
    let (late, _) = bench.call("a", "late").await;
    let fed = std::mem::take(&mut *bench.desk.fed.lock().unwrap());
    let of_late = fed.iter().filter(|&&session| session == late.session);
    assert_eq!(of_late.count(), 4, "two of the agent, two of the customer");
    told(&mut agent);
    told(&mut customer);
    let mut events = bench.service.events();

    set_audience(&bench, "supervisor", None).await;
    assert_eq!(
        told(&mut agent),
        [
            "no track supervisor",
            "no track supervisor",
            "left supervisor client_left"
        ]
    );
    assert!(told(&mut customer).is_empty());
    assert!(events.try_recv().is_err(), "nothing for webhooks");
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn an_audience_of_somebody_visible_only_says_who_receives() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    let (_bob, _) = bench.call("a", "bob").await;
    let (_carol, _) = bench.call("a", "carol").await;
    told(&mut alice);
    bench.commands();
    let wishes = |bench: &Bench| {
        let wishes = bench.commands().into_iter();
        let wishes = wishes.filter_map(|c| Some(c.split_once(" SetWish")?.1.to_owned()));
        wishes.collect::<Vec<_>>()
    };
    set_audience(&bench, "bob", Some(&["carol"])).await;
    assert!(told(&mut alice).is_empty(), "bob is still there");
    // Alice gets neither of his tracks, Carol both.
    assert_eq!(wishes(&bench), ["", " wanted", "", " wanted"]);
    set_audience(&bench, "bob", None).await;
    assert_eq!(wishes(&bench), [" wanted"; 4]);
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn presence_tells_of_hidden_people_too() {
    let bench = Bench::new();
    let mut presence = bench.service.presence();
    let mut hidden = request("a", "supervisor");
    hidden.permissions.hidden = true;
    let supervisor = bench.service.join(hidden).await.unwrap();
    bench.offer(&supervisor, CHROME).await;
    let connected = Event::Connected {
        session: supervisor.session,
        srtp_profile: "test",
    };
    bench.tell(0, connected).await;
    let up = presence.try_recv().unwrap();
    assert_eq!(up.identity, identity("supervisor"));
    assert_eq!(up.state, crate::api::PresenceState::Up);
    bench
        .service
        .leave(supervisor.session, Reason::Kicked)
        .await
        .unwrap();
    let gone = presence.try_recv().unwrap();
    assert_eq!(gone.state, crate::api::PresenceState::Gone(Reason::Kicked));
}
