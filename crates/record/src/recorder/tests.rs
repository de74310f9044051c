//! The recorder with its thread and real folders; disks that fail are stand-ins.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crosspoint_media::tap::{TapBatch, TapMessage, TapPacket};
use crosspoint_wire::codec::{Codec, Profile};
use crosspoint_wire::time::NtpTime;

use super::*;
use crate::Finisher;
use crate::disk::DiskFile;
use crate::verify::verify;

/// A disk with room for so many bytes, whose calls fail as it is told.
#[derive(Debug)]
struct Small {
    room: Arc<Mutex<u64>>,
    error: io::ErrorKind,
}

#[derive(Debug)]
struct SmallFile(fs::File, Arc<Mutex<u64>>, io::ErrorKind);

impl Disk for Small {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = fs::File::create_new(path)?;
        Ok(Arc::new(SmallFile(
            file,
            Arc::clone(&self.room),
            self.error,
        )))
    }
}

impl DiskFile for SmallFile {
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut room = self.1.lock().unwrap();
        let fits = bytes.len().min(*room as usize);
        *room -= fits as u64;
        DiskFile::write(&self.0, at, &bytes[..fits])?;
        match fits == bytes.len() {
            true => Ok(()),
            false => Err(self.2.into()),
        }
    }

    fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        DiskFile::reserve(&self.0, from, to)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        DiskFile::cut(&self.0, len)
    }

    fn sync(&self) -> io::Result<()> {
        DiskFile::sync(&self.0)
    }
}

struct Bench {
    recorder: Recorder,
    events: mpsc::Receiver<RecorderEvent>,
    folder: tempfile::TempDir,
    /// Workers' clocks minus the recorder's, in microseconds.
    ahead: Micros,
}

impl Bench {
    fn new() -> Self {
        Self::on(Box::new(SystemDisk), 0)
    }

    fn on(disk: Box<dyn Disk>, quota: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (recorder, events) = Recorder::start_on(folder.path(), quota, disk).unwrap();
        Self {
            recorder,
            events,
            folder,
            ahead: 0,
        }
    }

    fn begin(&self, room: &str) -> String {
        let request = Request {
            room: room.to_owned(),
            room_sid: "RM_1".to_owned(),
            mode: Mode::Individual,
            format: Format::Webm,
            on_failure: OnFailure::Continue,
        };
        self.recorder.begin(request).unwrap().id
    }

    fn track(&self, recording: &str, relay: u64, kind: MediaKind) {
        let codec = match kind {
            MediaKind::Audio => Codec::Opus,
            MediaKind::Video => Codec::Vp8,
        };
        let track = TrackRequest {
            relay: RelayId(relay),
            sid: format!("TR_{relay}"),
            participant: Participant {
                identity: "../../bob".to_owned(),
                sid: "PA_1".to_owned(),
                name: "Bob".to_owned(),
            },
            kind,
            source: "camera",
            payloads: vec![PayloadConfig {
                payload_type: 96,
                codec,
                profile: Profile::None,
                rtx: None,
                red: None,
                nack: true,
                pli: true,
                fir: false,
            }],
            size: (64, 64),
            muted: false,
        };
        self.recorder.track(recording, track).unwrap();
    }

    /// Sends frames `from..to`, 50 a second, that seem to arrive when they were due.
    fn frames(&self, relay: u64, from: u64, to: u64, payload: &[u8], rate: u64) {
        let zero = self.recorder.clock.now() - (to as i64) * 20_000 + self.ahead;
        let mut batch = TapBatch::new(RelayId(relay), Vec::new(), 0, None);
        for n in from..to {
            let wall = NtpTime::from_unix_micros((zero + n as i64 * 20_000) as u64);
            let message = TapMessage::Packet(TapPacket {
                encoding: 0,
                epoch: 0,
                marker: true,
                payload_type: 96,
                sequence_number: n as u16,
                timestamp: (n * rate / 50) as u32,
                payload,
            });
            batch.push(wall, |to| message.write(to));
        }
        self.recorder.door().hand_over(batch).unwrap();
    }

    fn sound(&self, relay: u64, from: u64, to: u64) {
        self.frames(relay, from, to, &[0x78, 1, 2, 3], 48_000);
    }

    fn pictures(&self, relay: u64, count: u64, keyframes: bool) {
        let header = if keyframes { 0x10 } else { 0x11 };
        let frame = [0x10, header, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 64, 0];
        self.frames(relay, 0, count, &frame, 90_000);
    }

    /// Waits for the end of a recording; its reason.
    fn ended(&mut self, recording: &str) -> Reason {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            match self.events.try_recv() {
                Ok(RecorderEvent::Ended { id, reason }) if id == recording => return reason,
                Ok(_) => {}
                Err(_) => std::thread::yield_now(),
            }
        }
        panic!("the recording does not end");
    }

    fn path(&self, recording: &str) -> PathBuf {
        self.folder.path().join(recording)
    }

    /// Does what comes after the end.
    fn finish(&self, recording: &str, ended: Reason) -> io::Result<Manifest> {
        let finisher = Finisher::new(self.folder.path(), None, self.recorder.backlog());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let finished = runtime.block_on(finisher.finish(recording, ended));
        finished.map(|finished| finished.manifest)
    }

    /// Frames that can be read of the file of a recording's only track.
    fn blocks(&self, recording: &str) -> u64 {
        let file = fs::File::open(self.path(recording).join("01-camera.webm")).unwrap();
        let found = crate::matroska::scan(io::BufReader::new(file), |_| {});
        found.map_or(0, |found| found.blocks)
    }

    fn manifest(&self, recording: &str) -> Manifest {
        Manifest::read(&self.path(recording)).unwrap()
    }
}

#[test]
fn tracks_become_files_that_are_as_their_manifest_says() {
    let mut bench = Bench::new();
    let id = bench.begin("demo");
    assert_eq!(bench.manifest(&id).state, State::Recording);
    bench.track(&id, 1, MediaKind::Audio);
    bench.track(&id, 2, MediaKind::Video);
    bench.sound(1, 0, 100);
    bench.pictures(2, 100, true);
    std::thread::yield_now();
    bench.recorder.stop(&id, Reason::Stopped).unwrap();
    assert_eq!(bench.ended(&id), Reason::Stopped);
    let manifest = bench.manifest(&id);
    assert_eq!(manifest.state, State::Composing);
    assert_eq!(manifest.participants.len(), 1);
    assert_eq!(manifest.tracks.len(), 2);
    let files: Vec<_> = manifest
        .files
        .iter()
        .map(|f| (f.frames, f.codec.as_str()))
        .collect();
    assert!(files.contains(&(100, "opus")) || files.iter().any(|f| f.0 >= 100));
    assert!(manifest.files.iter().all(|f| f.duration_ms >= 1980));
    assert_eq!(verify(&bench.path(&id)).unwrap(), Vec::<String>::new());
}

#[test]
fn how_much_was_recorded_is_seen_while_it_goes_on() {
    let mut bench = Bench::new();
    let id = bench.begin("demo");
    bench.track(&id, 1, MediaKind::Audio);
    bench.sound(1, 0, 50);
    let total = || bench.manifest(&id).tracks.first().map_or(0, |t| t.packets);
    let deadline = Instant::now() + Duration::from_secs(10);
    let awaits = |packets| {
        while total() < packets {
            assert!(Instant::now() < deadline, "{} of {packets}", total());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    awaits(50);
    // Nothing happens but that it goes on.
    bench.sound(1, 50, 100);
    awaits(100);
    bench.recorder.stop(&id, Reason::Stopped).unwrap();
    assert_eq!(bench.ended(&id), Reason::Stopped);
}

#[test]
fn a_second_stop_and_one_of_nothing_change_nothing() {
    let mut bench = Bench::new();
    let id = bench.begin("demo");
    bench.track(&id, 1, MediaKind::Audio);
    bench.sound(1, 0, 50);
    bench.recorder.stop(&id, Reason::Stopped).unwrap();
    bench.recorder.stop(&id, Reason::Overloaded).unwrap();
    bench
        .recorder
        .stop("RC_000000000000", Reason::Stopped)
        .unwrap();
    assert_eq!(bench.ended(&id), Reason::Stopped);
    bench.recorder.stop(&id, Reason::Overloaded).unwrap();
    let other = bench.begin("demo");
    bench.recorder.stop(&other, Reason::Stopped).unwrap();
    assert_eq!(bench.ended(&other), Reason::NoMedia);
    assert_eq!(bench.manifest(&id).reason, Some(Reason::Stopped));
}

#[test]
fn without_a_packet_or_a_keyframe_it_is_aborted_and_says_so() {
    let mut bench = Bench::new();
    let id = bench.begin("demo");
    bench.track(&id, 1, MediaKind::Video);
    bench.recorder.stop(&id, Reason::Stopped).unwrap();
    assert_eq!(bench.ended(&id), Reason::NoMedia);
    assert_eq!(bench.manifest(&id).state, State::Aborted);

    let id = bench.begin("demo");
    bench.track(&id, 2, MediaKind::Video);
    bench.pictures(2, 100, false);
    let wanted = RecorderEvent::KeyframeWanted(RelayId(2));
    assert_eq!(bench.events.blocking_recv(), Some(wanted));
    bench.recorder.stop(&id, Reason::Stopped).unwrap();
    assert_eq!(bench.ended(&id), Reason::NoKeyframe);
    let manifest = bench.manifest(&id);
    assert_eq!(manifest.tracks[0].reason, Some(Reason::NoKeyframe));
    assert_eq!(manifest.tracks[0].packets, 100);
}

#[test]
fn a_disk_that_is_full_or_fails_ends_the_recording_and_keeps_what_was_written() {
    for (error, reason) in [
        (io::ErrorKind::StorageFull, Reason::DiskFull),
        (io::ErrorKind::Other, Reason::DiskError),
    ] {
        let room = Arc::new(Mutex::new(1 << 20));
        let disk = Small {
            room: Arc::clone(&room),
            error,
        };
        let mut bench = Bench::on(Box::new(disk), 0);
        let id = bench.begin("demo");
        bench.track(&id, 1, MediaKind::Audio);
        bench.sound(1, 0, 50);
        while !bench.path(&id).join("01-camera.webm").exists() || bench.blocks(&id) < 50 {
            std::thread::yield_now();
        }
        // The next cluster fits in part.
        *room.lock().unwrap() = 100;
        bench.sound(1, 50, 100);
        assert_eq!(bench.ended(&id), reason);
        assert_eq!(bench.manifest(&id).reason, Some(reason));
        // What was written half is cut off, all else can be played.
        let manifest = bench.finish(&id, reason).unwrap();
        assert_eq!(
            (manifest.state, manifest.reason),
            (State::Aborted, Some(reason))
        );
        assert_eq!(manifest.files[0].frames, 50);
        assert_eq!(verify(&bench.path(&id)).unwrap(), Vec::<String>::new());
        // Other recordings go on as soon as there is room.
        *room.lock().unwrap() = 1 << 20;
        let id = bench.begin("demo");
        bench.track(&id, 2, MediaKind::Audio);
        bench.sound(2, 0, 50);
        bench.recorder.stop(&id, Reason::Stopped).unwrap();
        assert_eq!(bench.ended(&id), Reason::Stopped);
        assert_eq!(verify(&bench.path(&id)).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_manifest_that_cannot_be_written_loses_nothing_and_is_written_later() {
    let mut bench = Bench::new();
    let id = bench.begin("demo");
    bench.track(&id, 1, MediaKind::Audio);
    bench.sound(1, 0, 100);
    // Something stands where manifests are made before they are put in their place.
    let obstacle = bench.path(&id).join(".manifest.json.new");
    while fs::create_dir(&obstacle).is_err() {
        std::thread::yield_now();
    }
    bench.recorder.stop(&id, Reason::DiskFull).unwrap();
    assert_eq!(bench.ended(&id), Reason::DiskError);
    for _ in 0..2 {
        assert!(bench.finish(&id, Reason::DiskFull).is_err());
        assert_eq!(bench.manifest(&id).state, State::Recording);
    }
    fs::remove_dir(&obstacle).unwrap();
    let manifest = bench.finish(&id, Reason::DiskFull).unwrap();
    assert_eq!(manifest.reason, Some(Reason::DiskFull));
    assert_eq!(manifest.state, State::Aborted);
    assert!(manifest.files[0].frames >= 100);
    assert_eq!(verify(&bench.path(&id)).unwrap(), Vec::<String>::new());
}

#[test]
fn a_worker_whose_clock_began_an_hour_apart_makes_no_difference() {
    const HOUR_US: Micros = 3_600_000_000;
    for ahead in [HOUR_US, -HOUR_US] {
        let mut bench = Bench::new();
        bench.ahead = ahead;
        let id = bench.begin("demo");
        bench.track(&id, 1, MediaKind::Audio);
        bench.sound(1, 0, 50);
        // Everything arrives with one batch: the length of that is as far as it can be off.
        bench.sound(1, 50, 100);
        bench.recorder.stop(&id, Reason::Stopped).unwrap();
        assert_eq!(bench.ended(&id), Reason::Stopped);
        let manifest = bench.manifest(&id);
        assert!(manifest.files[0].offset_ms < 2_000, "{manifest:?}");
        assert!(manifest.duration_ms < 60_000, "{manifest:?}");
        assert_eq!(verify(&bench.path(&id)).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_full_spool_ends_recordings() {
    let mut bench = Bench::on(Box::new(SystemDisk), 10_000);
    bench.recorder.backlog().store(20_000, Ordering::Relaxed);
    let id = bench.begin("demo");
    bench.track(&id, 1, MediaKind::Audio);
    bench.sound(1, 0, 50);
    assert_eq!(bench.ended(&id), Reason::SpoolFull);
}

#[test]
fn what_workers_could_not_hand_over_is_an_overflow_and_not_a_loss() {
    let mut bench = Bench::new();
    let id = bench.begin("demo");
    bench.track(&id, 1, MediaKind::Audio);
    bench.sound(1, 0, 50);
    let batch = TapBatch::new(RelayId(1), Vec::new(), 25, None);
    bench.recorder.door().hand_over(batch).unwrap();
    bench.sound(1, 75, 100);
    bench.recorder.stop(&id, Reason::Stopped).unwrap();
    bench.ended(&id);
    let gaps = &bench.manifest(&id).tracks[0].gaps;
    let overflow = gaps.iter().find(|gap| gap.packets == 25).unwrap();
    assert_eq!(overflow.reason, manifest::GapReason::Overflow);
    let lost = bench
        .recorder
        .counters()
        .find(|(name, _)| *name == "messages_lost");
    assert_eq!(lost, Some(("messages_lost", 25)));
}

#[test]
fn a_server_that_stops_closes_what_it_records() {
    let mut bench = Bench::new();
    let id = bench.begin("demo");
    bench.track(&id, 1, MediaKind::Audio);
    bench.sound(1, 0, 50);
    let folder = bench.folder;
    drop(bench.recorder);
    let event = bench.events.blocking_recv();
    assert!(matches!(
        event,
        Some(RecorderEvent::Ended {
            reason: Reason::ServerShutdown,
            ..
        })
    ));
    assert_eq!(
        verify(&folder.path().join(&id)).unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(crate::unfinished(folder.path()).unwrap(), [id]);
}

#[test]
fn space_that_is_set_aside_is_given_back_when_a_file_is_closed() {
    use std::os::unix::fs::MetadataExt as _;
    let mut bench = Bench::new();
    let id = bench.begin("demo");
    bench.track(&id, 1, MediaKind::Audio);
    bench.sound(1, 0, 50);
    let path = bench.path(&id).join("01-camera.webm");
    let taken = || fs::metadata(&path).map_or(0, |file| file.blocks() * 512);
    let deadline = Instant::now() + Duration::from_secs(10);
    while taken() < 64 << 10 {
        assert!(Instant::now() < deadline, "{} bytes", taken());
        std::thread::yield_now();
    }
    bench.recorder.stop(&id, Reason::Stopped).unwrap();
    bench.ended(&id);
    assert!(taken() < 16 << 10, "{} bytes", taken());
    assert_eq!(verify(&bench.path(&id)).unwrap(), Vec::<String>::new());
}
