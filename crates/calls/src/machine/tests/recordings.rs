//! Recordings: by policy, their signs of life, and what is told of their ends.

use std::time::Duration;

use super::rig::{Rig, call_of, hang_up, private};
use crate::command::{Command, NewCall};
use crate::door::{Input, Output, RecordingNews, StoreAction};
use crate::event::Event;
use crate::media::{MediaAction, MediaEvent};
use crate::model::{Media, RecordingMode};
use crate::policy::{RecordFailPolicy, RecordPolicy, TenantSettings};
use crate::reason::EndReason;

fn rig(settings: TenantSettings) -> Rig {
    let mut rig = Rig::new(settings);
    for name in ["ann", "bob"] {
        rig.login(name);
    }
    rig
}

#[test]
fn a_recorder_that_falls_silent_ends_the_call_where_the_policy_says_so() {
    for (policy, ends) in [
        (RecordFailPolicy::Continue, 0),
        (RecordFailPolicy::EndCall, 1),
    ] {
        let settings = TenantSettings {
            record_policy: RecordPolicy::Always,
            record_fail_policy: policy,
            ..TenantSettings::default()
        };
        let mut rig = rig(settings);
        let call = rig.talk("ann", "bob");
        let recording = rig.media.iter().find_map(|action| match action {
            MediaAction::StartRecording { recording, .. } => Some(recording.clone()),
            _ => None,
        });
        let recording = recording.expect("recorded by policy");
        let runs = |rig: &mut Rig| {
            rig.input(Input::Media(MediaEvent::RecordingRunning {
                call: call.clone(),
                recording: recording.clone(),
            }));
        };
        for _ in 0..5 {
            runs(&mut rig);
            rig.pass(Duration::from_secs(5));
        }
        rig.forget();
        rig.pass(Duration::from_secs(11));
        let told = rig.take("ann");
        assert!(
            told.iter()
                .any(|event| matches!(event, Event::RecAborted { .. }))
        );
        let ended = told.iter().filter_map(|event| match event {
            Event::CallEnded { reason, .. } => Some(*reason),
            _ => None,
        });
        let ended: Vec<_> = ended.collect();
        assert_eq!(ended, vec![EndReason::RecordAbort; ends]);
    }
}

#[test]
fn a_recording_is_announced_with_its_address_after_the_call() {
    let settings = TenantSettings {
        record_policy: RecordPolicy::Always,
        ..TenantSettings::default()
    };
    let mut rig = rig(settings);
    let call = rig.talk("ann", "bob");
    rig.ok("ann", hang_up(&call));
    let recording = rig.media.iter().find_map(|action| match action {
        MediaAction::StopRecording { recording, .. } => Some(recording.clone()),
        _ => None,
    });
    rig.forget();
    let recording = recording.expect("stopped");
    let url = "https://example.org/a.webm".to_owned();
    let outputs = rig.input(Input::Media(MediaEvent::RecordingReady {
        call: call.clone(),
        recording: recording.clone(),
        url: url.clone(),
        bytes: 1000,
    }));
    assert_eq!(rig.words("ann"), ["RecReady"]);
    let told = outputs.iter().find_map(|output| match output {
        Output::Webhook { event, .. } => event.recording.clone(),
        _ => None,
    });
    let expected = RecordingNews {
        id: recording,
        outcome: Ok(url.clone()),
    };
    assert_eq!(told, Some(expected), "the application server");
    let kept = Output::Store(StoreAction::RecordingUrl(call, url));
    assert!(outputs.contains(&kept), "{outputs:?}");
    assert_eq!(rig.machine.next_timeout(), None);
}

#[test]
fn a_recording_may_take_long_to_finish_while_it_shows_signs_of_life() {
    for (alive, word) in [(true, "RecReady"), (false, "RecAborted")] {
        let settings = TenantSettings {
            record_policy: RecordPolicy::Always,
            ..TenantSettings::default()
        };
        let mut rig = rig(settings);
        let call = rig.talk("ann", "bob");
        rig.ok("ann", hang_up(&call));
        let recording = rig.media.iter().find_map(|action| match action {
            MediaAction::StopRecording { recording, .. } => Some(recording.clone()),
            _ => None,
        });
        let recording = recording.expect("stopped");
        rig.forget();
        for _ in 0..20 {
            rig.pass(Duration::from_secs(20));
            if alive {
                rig.input(Input::Media(MediaEvent::RecordingRunning {
                    call: call.clone(),
                    recording: recording.clone(),
                }));
            }
        }
        rig.input(Input::Media(MediaEvent::RecordingReady {
            call,
            recording,
            url: "u".to_owned(),
            bytes: 1,
        }));
        assert_eq!(rig.words("ann"), [word]);
        assert_eq!(rig.machine.next_timeout(), None);
    }
}

#[test]
fn an_audio_call_is_mixed_in_stereo() {
    let settings = TenantSettings {
        record_policy: RecordPolicy::Always,
        ..TenantSettings::default()
    };
    for (media, expected) in [
        (Media::Audio, RecordingMode::Call),
        (Media::Video, RecordingMode::Mixed),
    ] {
        let mut rig = rig(settings.clone());
        let new = NewCall {
            media,
            ..private("bob")
        };
        let call = call_of(&rig.ok("ann", Command::CreateCall(new)));
        rig.accept("bob", &call);
        rig.media_up(&call, "ann");
        rig.media_up(&call, "bob");
        let mode = rig.media.iter().find_map(|action| match action {
            MediaAction::StartRecording { mode, .. } => Some(*mode),
            _ => None,
        });
        assert_eq!(mode, Some(expected));
    }
}
