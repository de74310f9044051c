//! The tables, in the steps in which they came to be.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Number, name and text of each step.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "history", include_str!("../migrations/0001_history.sql")),
    (2, "calls", include_str!("../migrations/0002_calls.sql")),
    (
        3,
        "recordings",
        include_str!("../migrations/0003_recordings.sql"),
    ),
    (
        4,
        "begun calls",
        include_str!("../migrations/0004_begun_calls.sql"),
    ),
    (
        5,
        "calls by age",
        include_str!("../migrations/0005_calls_by_age.sql"),
    ),
];

/// Brings a database to the present form; one that is newer than this program is refused.
pub(crate) fn migrator() -> Migrator {
    let step = |&(version, name, sql): &(i64, &'static str, &'static str)| {
        let simple = MigrationType::Simple;
        Migration::new(version, name.into(), simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(STEPS.iter().map(step).collect())
}
