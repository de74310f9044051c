//! Too many invitations: limited for who makes them, and nobody else's matter.

use std::time::Duration;

use super::rig::{Rig, call_of, device, hang_up, private};
use crate::command::{AdminCommand, Command, Login};
use crate::door::{Input, Output};
use crate::error::ErrorCode;
use crate::event::CommandResult;
use crate::ids::{DeviceRef, RequestId, TenantId};
use crate::model::Terminal;
use crate::policy::{TenantSettings, Timers};

#[test]
fn invitations_are_limited_for_one_tenant_and_recover() {
    let mut settings = TenantSettings {
        timers: Timers {
            ring_ms: 1_000,
            ..Timers::default()
        },
        ..TenantSettings::default()
    };
    settings.limits.invites_per_second = 10;
    let mut rig = Rig::new(settings);
    rig.login("ann");
    let mut refused = 0;
    for _ in 0..30 {
        let result = rig.ask("ann", Command::CreateCall(private("bob")));
        match result.error {
            ErrorCode::Ok => {
                rig.ok("ann", hang_up(&call_of(&result.data)));
            }
            error => {
                assert_eq!(error, ErrorCode::RateLimited);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 20);
    rig.pass(Duration::from_millis(500));
    for _ in 0..5 {
        let call = rig.ring("ann", "bob");
        rig.ok("ann", hang_up(&call));
    }
    let more = rig.err("ann", Command::CreateCall(private("bob")));
    assert_eq!(more, ErrorCode::RateLimited);
}

#[test]
fn a_page_that_is_loaded_again_and_again_is_let_in() {
    let mut settings = TenantSettings::default();
    settings.limits.devices_per_user = 2;
    let mut rig = Rig::new(settings);
    for load in 0..20 {
        let page = format!("ann/page-{load}");
        rig.login(&page);
        rig.lose(&page);
    }
    rig.login("ann/one");
    rig.login("ann/two");
    let login = Command::Login(Login {
        terminal: Terminal::Web,
        skill_group: None,
        seat: false,
    });
    assert_eq!(rig.err("ann/three", login), ErrorCode::RateLimited);
}

/// A tenant beside the rig's.
struct Flood {
    tenant: TenantId,
    requests: u64,
}

impl Flood {
    fn new(rig: &mut Rig) -> Self {
        let tenant = TenantId::new("flood").expect("a name");
        let settings = Box::new(TenantSettings {
            open_registration: true,
            ..TenantSettings::default()
        });
        rig.input(Input::Admin {
            request: 1,
            tenant: tenant.clone(),
            command: AdminCommand::PutTenant { settings },
        });
        let mut flood = Self {
            tenant,
            requests: 0,
        };
        for name in ["zoe", "zed"] {
            let login = Command::Login(Login {
                terminal: Terminal::Web,
                skill_group: None,
                seat: false,
            });
            assert_eq!(flood.ask(rig, name, login).error, ErrorCode::Ok);
        }
        flood
    }

    fn ask(&mut self, rig: &mut Rig, name: &str, command: Command) -> CommandResult {
        self.requests += 1;
        let outputs = rig.input(Input::Command {
            from: DeviceRef {
                tenant: self.tenant.clone(),
                ..device(name)
            },
            request: RequestId::new(&format!("f{}", self.requests)).expect("a name"),
            command,
        });
        let mut results = outputs.into_iter().filter_map(|output| match output {
            Output::Result { result, .. } => Some(result),
            _ => None,
        });
        results.next().expect("one result")
    }
}

#[test]
fn ten_thousand_invitations_a_second_of_one_tenant_harm_no_other() {
    let mut rig = Rig::new(TenantSettings::default());
    for name in ["ann", "bob"] {
        rig.login(name);
    }
    let mut flood = Flood::new(&mut rig);
    let (mut made, mut limited) = (0, 0);
    for step in 0..10_000 {
        let result = flood.ask(&mut rig, "zoe", Command::CreateCall(private("zed")));
        match result.error {
            ErrorCode::Ok => {
                made += 1;
                flood.ask(&mut rig, "zoe", hang_up(&call_of(&result.data)));
            }
            error => {
                assert_eq!(error, ErrorCode::RateLimited);
                limited += 1;
            }
        }
        if step % 100 == 0 {
            // None of theirs is refused, or takes another way than ever.
            let call = rig.talk("ann", "bob");
            rig.ok("ann", hang_up(&call));
        }
        rig.told.clear();
        rig.pass(Duration::from_micros(100));
    }
    // The burst, and what grows again within the second.
    assert!((1_990..=2_010).contains(&made), "{made} were made");
    assert_eq!(made + limited, 10_000);
}
