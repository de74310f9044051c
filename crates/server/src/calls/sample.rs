//! Development mode: a tenant for each call system, with a handful of users and the accounts that the
//! systems' own samples use.

use std::sync::Arc;

use crosspoint_calls::command::AdminCommand;
use crosspoint_calls::ids::{GroupId, TenantId, UserId};
use crosspoint_calls::model::{Group, GroupKind, Person, UserRecord};
use crosspoint_calls::policy::{
    LoginPolicy, NumberCipher, RecordPolicy, RejectPolicy, TenantSettings,
};
use crosspoint_calls::service::CallService;

use super::who;

/// The password of all sample users but the phonebar's, whose document has the extension as password.
const PASSWORD: &str = "crosspoint";
/// The phonebar's enterprise, as its document's sample has it.
const PHONEBAR_NUMBER: &str = "02566699734";
/// What the phonebar's sample numbers are encrypted with.
const CIPHER_SEED: &str = "00112233445566778899aabbccddeeff";

/// A user: name, extension, skill group, whether a supervisor.
type Sample = (&'static str, &'static str, &'static str, bool);

const DESK: [Sample; 6] = [
    ("alice", "1001", "service", false),
    ("bob", "1002", "service", false),
    ("carol", "1003", "service", false),
    ("sam", "1009", "service", true),
    ("customer1", "", "", false),
    ("customer2", "", "", false),
];
const PEOPLE: [Sample; 4] = [
    ("alice", "", "", false),
    ("bob", "", "", false),
    ("carol", "", "", false),
    ("dave", "", "", false),
];
const VIDEO_REVIEW: [Sample; 5] = [
    ("zhujiaqi@sinosafe.com.cn", "", "review", false),
    ("agent2@sinosafe.com.cn", "", "review", false),
    ("agent3@sinosafe.com.cn", "", "review", false),
    ("customer1", "", "", false),
    ("customer2", "", "", false),
];
const PHONEBAR: [Sample; 5] = [
    ("1001", "1001", "1", false),
    ("1002", "1002", "1", false),
    ("1003", "1003", "1", false),
    ("1006", "1006", "1", false),
    ("1009", "1009", "1", true),
];

/// Makes the sample tenants that are not there yet; those of an earlier start are as people left them.
pub(super) async fn furnish(service: Arc<CallService>) {
    let open = TenantSettings {
        open_registration: true,
        ..TenantSettings::default()
    };
    let tenants = [
        (
            "desk",
            TenantSettings {
                name: "Desk".to_owned(),
                reject_policy: RejectPolicy::Overflow,
                ..open.clone()
            },
            &DESK[..],
        ),
        (
            "jrtc",
            TenantSettings {
                name: "JRTC".to_owned(),
                login_policy: LoginPolicy::SameTerminal,
                ..open.clone()
            },
            &PEOPLE[..],
        ),
        (
            "rong",
            TenantSettings {
                name: "RongCloud".to_owned(),
                ..open.clone()
            },
            &PEOPLE[..],
        ),
        (
            "videoReview",
            TenantSettings {
                name: "Video review".to_owned(),
                reject_policy: RejectPolicy::Overflow,
                record_policy: RecordPolicy::Always,
                ..open.clone()
            },
            &VIDEO_REVIEW[..],
        ),
        (
            PHONEBAR_NUMBER,
            TenantSettings {
                name: "Phonebar".to_owned(),
                reject_policy: RejectPolicy::Rering,
                login_policy: LoginPolicy::Single,
                number_cipher: NumberCipher::Aes128EcbSha1prng {
                    seed: CIPHER_SEED.to_owned(),
                },
                ..open
            },
            &PHONEBAR[..],
        ),
    ];
    let Some(password) = who::hash(PASSWORD.to_owned()).await else {
        return;
    };
    for (tenant, settings, users) in tenants {
        let there = match TenantId::new(tenant) {
            Some(tenant) => service.admin(tenant, AdminCommand::Tenant).await.is_ok(),
            None => false,
        };
        if there {
            continue;
        }
        if put(&service, tenant, settings, users, &password)
            .await
            .is_none()
        {
            tracing::warn!(tenant, "the sample tenant is not complete");
        }
    }
}

async fn put(
    service: &CallService,
    tenant: &str,
    settings: TenantSettings,
    users: &[Sample],
    password: &str,
) -> Option<()> {
    let tenant = TenantId::new(tenant)?;
    let settings = Box::new(settings);
    let put = AdminCommand::PutTenant { settings };
    service.admin(tenant.clone(), put).await.ok()?;
    for (name, extension, group, supervisor) in users {
        let password = if tenant.as_str() == PHONEBAR_NUMBER {
            who::hash((*extension).to_owned()).await?
        } else {
            password.to_owned()
        };
        let user = Box::new(UserRecord {
            person: Person {
                user: UserId::new(name)?,
                name: (*name).to_owned(),
                portrait_uri: String::new(),
                extra: String::new(),
                extension: (*extension).to_owned(),
            },
            skill_groups: GroupId::new(group).into_iter().collect(),
            supervisor: *supervisor,
            blocked: Vec::new(),
            password: Some(password),
        });
        let put = AdminCommand::PutUser { user };
        service.admin(tenant.clone(), put).await.ok()?;
    }
    let skills: std::collections::BTreeSet<_> =
        users.iter().map(|(_, _, group, _)| *group).collect();
    for skill in skills {
        let Some(id) = GroupId::new(skill) else {
            continue;
        };
        let members = users.iter().filter(|(_, _, group, _)| *group == skill);
        let group = Group {
            id,
            name: skill.to_owned(),
            kind: GroupKind::Skill,
            members: members.filter_map(|(name, ..)| UserId::new(name)).collect(),
        };
        let put = AdminCommand::PutGroup { group };
        service.admin(tenant.clone(), put).await.ok()?;
    }
    Some(())
}
