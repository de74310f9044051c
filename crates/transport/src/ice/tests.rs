use crosspoint_wire::stun::TransactionId;

use super::*;
use crate::path::Link;

const TRANSACTION: TransactionId = [7; 12];

fn credentials(name: &str) -> IceCredentials {
    IceCredentials {
        ufrag: format!("{name}-ufrag"),
        pwd: format!("{name}-password-of-22-characters"),
    }
}

fn path(port: u16) -> Path {
    Path {
        link: Link::Udp(0),
        remote: ([192, 0, 2, 1], port).into(),
    }
}

/// An agent that knows `ours` and `theirs`, and a hand on its clock.
struct Bench {
    agent: Agent,
    now: Time,
}

/// How a check differs from a plain one.
#[derive(Clone, Copy)]
struct Check<'a> {
    ours: &'a str,
    theirs: &'a str,
    nominate: bool,
    role: Role,
}

const PLAIN: Check<'_> = Check {
    ours: "ours",
    theirs: "theirs",
    nominate: false,
    role: Role::Controlling,
};

const NOMINATE: Check<'_> = Check {
    nominate: true,
    ..PLAIN
};

const RESTARTED: Check<'_> = Check {
    ours: "ours2",
    theirs: "theirs2",
    ..PLAIN
};

impl Bench {
    fn new() -> Self {
        let now = Time::from_millis(1000);
        Self {
            agent: Agent::new(now, &credentials("ours"), &credentials("theirs")),
            now,
        }
    }

    /// Lets a check arrive a second later. Returns what came of it and the reply.
    fn check(&mut self, path: Path, check: Check<'_>) -> Result<(Accepted, Vec<u8>), Refused> {
        self.now += Duration::from_secs(1);
        let ours = credentials(check.ours);
        let mut bytes = [0; 400];
        let mut writer = Writer::new(&mut bytes, Class::Request, &TRANSACTION)
            .username(&ours.ufrag, &credentials(check.theirs).ufrag)
            .priority(1)
            .role(check.role, 1);
        if check.nominate {
            writer = writer.use_candidate();
        }
        let len = writer.finish(&Key::new(&ours.pwd)).unwrap();
        let message = Message::parse(&bytes[..len]).unwrap();
        let mut reply = [0; REPLY_BYTES_MAX];
        let accepted = self.agent.check(self.now, path, &message, &mut reply)?;
        let reply = reply[..accepted.reply_len].to_vec();
        Ok((accepted, reply))
    }

    fn prove(&mut self, path: Path, check: Check<'_>) {
        assert!(self.check(path, check).unwrap().0.proved);
    }
}

#[test]
fn a_check_is_answered_with_where_it_came_from() {
    let mut bench = Bench::new();
    let (accepted, reply) = bench.check(path(1), PLAIN).unwrap();
    assert!(accepted.proved);
    let reply = Message::parse(&reply).unwrap();
    assert_eq!(reply.class(), Class::Success);
    assert_eq!(reply.transaction(), &TRANSACTION);
    assert_eq!(reply.mapped_address(), Some(path(1).remote));
    assert_eq!(reply.verify(&Key::new(&credentials("ours").pwd)), Ok(()));
}

#[test]
fn before_nomination_media_goes_to_the_path_checked_last() {
    let mut bench = Bench::new();
    assert_eq!(bench.agent.selected(), None);
    bench.prove(path(1), PLAIN);
    assert_eq!(bench.agent.selected(), Some(path(1)));
    bench.prove(path(2), PLAIN);
    assert_eq!(bench.agent.selected(), Some(path(2)));
}

#[test]
fn the_last_nomination_wins_and_plain_checks_change_nothing() {
    let mut bench = Bench::new();
    bench.prove(path(1), NOMINATE);
    bench.prove(path(2), PLAIN);
    assert_eq!(bench.agent.selected(), Some(path(1)));
    bench.prove(path(2), NOMINATE);
    bench.prove(path(1), PLAIN);
    assert_eq!(bench.agent.selected(), Some(path(2)));
}

#[test]
fn a_peer_that_claims_to_be_controlled_is_told_and_proves_nothing() {
    let mut bench = Bench::new();
    let check = Check {
        role: Role::Controlled,
        ..NOMINATE
    };
    let (accepted, reply) = bench.check(path(1), check).unwrap();
    assert!(!accepted.proved);
    assert_eq!(Message::parse(&reply).unwrap().error_code(), Some(487));
    assert_eq!(bench.agent.selected(), None);
    assert_eq!(bench.agent.paths().count(), 0);
}

#[test]
fn wrong_names_are_refused() {
    let mut bench = Bench::new();
    for (ours, theirs) in [("ours", "other"), ("other", "theirs"), ("theirs", "ours")] {
        let check = Check {
            ours,
            theirs,
            ..NOMINATE
        };
        assert_eq!(bench.check(path(1), check), Err(Refused::UnknownUser));
    }
    assert_eq!(bench.agent.selected(), None);
    assert_eq!(bench.agent.last_check(), Time::from_millis(1000));
}

#[test]
fn both_credentials_work_after_a_restart_until_the_new_ones_are_used() {
    let mut bench = Bench::new();
    bench.prove(path(1), NOMINATE);
    let (local, remote) = (credentials("ours2"), credentials("theirs2"));
    assert_eq!(bench.agent.restart(&local, &remote), None);
    assert_eq!(bench.agent.ufrags().count(), 2);
    bench.prove(path(1), PLAIN);

    let (accepted, reply) = bench.check(path(2), RESTARTED).unwrap();
    assert_eq!(accepted.retired.as_deref(), Some("ours-ufrag"));
    let reply = Message::parse(&reply).unwrap();
    assert_eq!(reply.verify(&Key::new(&local.pwd)), Ok(()));
    assert_eq!(bench.agent.selected(), Some(path(1)), "until it nominates");
    bench.prove(
        path(2),
        Check {
            nominate: true,
            ..RESTARTED
        },
    );
    assert_eq!(bench.agent.selected(), Some(path(2)));
    assert_eq!(bench.check(path(1), NOMINATE), Err(Refused::UnknownUser));
    assert_eq!(bench.agent.ufrags().collect::<Vec<_>>(), ["ours2-ufrag"]);
}

#[test]
fn a_second_restart_replaces_one_that_was_not_used() {
    let mut bench = Bench::new();
    let restart = |bench: &mut Bench, ours, theirs| {
        let (local, remote) = (credentials(ours), credentials(theirs));
        bench.agent.restart(&local, &remote)
    };
    restart(&mut bench, "ours2", "theirs2");
    let replaced = restart(&mut bench, "ours3", "theirs3");
    assert_eq!(replaced.as_deref(), Some("ours2-ufrag"));
    assert_eq!(bench.check(path(1), RESTARTED), Err(Refused::UnknownUser));
}

#[test]
fn of_too_many_paths_the_one_checked_longest_ago_is_forgotten_but_never_the_selected_one() {
    let mut bench = Bench::new();
    bench.prove(path(1), NOMINATE);
    for port in 2..=8 {
        bench.prove(path(port), PLAIN);
    }
    assert_eq!(bench.agent.paths().count(), PATHS_MAX);
    let (accepted, _) = bench.check(path(9), PLAIN).unwrap();
    assert_eq!(accepted.forgotten, Some(path(2)));
    bench.prove(path(3), PLAIN);
    let (accepted, _) = bench.check(path(10), PLAIN).unwrap();
    assert_eq!(accepted.forgotten, Some(path(4)));
    assert_eq!(bench.agent.paths().count(), PATHS_MAX);
    assert_eq!(bench.agent.selected(), Some(path(1)));
}

#[test]
fn when_the_selected_path_is_gone_the_one_checked_last_takes_over() {
    let mut bench = Bench::new();
    bench.prove(path(2), PLAIN);
    bench.prove(path(3), PLAIN);
    bench.prove(path(1), NOMINATE);
    bench.agent.forget(path(1));
    assert_eq!(bench.agent.selected(), Some(path(3)));
    bench.prove(path(2), PLAIN);
    assert_eq!(bench.agent.selected(), Some(path(2)));
}

#[test]
fn peers_that_check_seldom_count_as_interrupted_later() {
    let mut bench = Bench::new();
    bench.prove(path(1), PLAIN);
    bench.prove(path(1), PLAIN);
    assert_eq!(bench.agent.quiet_limit(), Duration::from_secs(5));
    bench.now += Duration::from_millis(3200);
    bench.prove(path(1), PLAIN);
    assert_eq!(bench.agent.quiet_limit(), Duration::from_millis(8400));
    bench.now += Duration::from_secs(60);
    bench.prove(path(1), PLAIN);
    assert_eq!(bench.agent.quiet_limit(), Duration::from_secs(10));
}

#[test]
fn unknown_required_attributes_are_answered_by_420_and_prove_nothing() {
    // A required attribute that nobody knows, put where PRIORITY was.
    let mut bench = Bench::new();
    let mut bytes = [0; 400];
    let ours = credentials("ours");
    let len = Writer::new(&mut bytes, Class::Request, &TRANSACTION)
        .unknown_attributes(&[1])
        .username(&ours.ufrag, &credentials("theirs").ufrag)
        .finish(&Key::new(&ours.pwd))
        .unwrap();
    let message = Message::parse(&bytes[..len]).unwrap();
    let mut reply = [0; REPLY_BYTES_MAX];
    let accepted = bench
        .agent
        .check(bench.now, path(1), &message, &mut reply)
        .unwrap();
    assert!(!accepted.proved);
    let reply = Message::parse(&reply[..accepted.reply_len]).unwrap();
    assert_eq!(reply.error_code(), Some(420));
}
