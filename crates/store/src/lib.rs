//! What outlives a room: records in SQLite, embedded, or in PostgreSQL.
//!
//! The only crate that knows SQL. It keeps small rows and never media, decides nothing about them, and
//! is never waited for by a packet. One [`Store`] is opened per process:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use crosspoint_store::Store;
//! use crosspoint_store::history::{Filter, NewOccurrence};
//!
//! let store = Store::open("sqlite::memory:").await?;
//! store.begin_occurrence(NewOccurrence {
//!     id: "RM_1".into(),
//!     room: "demo".into(),
//!     node: "here".into(),
//!     started_at_ms: 1_000,
//! });
//! store.flush().await;
//! assert_eq!(store.occurrences(&Filter::default()).await?.len(), 1);
//! # Ok::<(), crosspoint_store::StoreError>(())
//! # }).unwrap();
//! ```
//!
//! **Two ways to write.** Methods that return nothing put a [statement](statement) on a bounded queue
//! from which one task writes batches; a full queue, or a database that refuses, costs records, which
//! are [counted](Store::counters), and never the caller's time. Methods that are `async` and return
//! a `Result` have written when they return.
//!
//! **How a noun is added** (recordings, reports ...):
//! 1. `migrations/NNNN_noun.sql`, in SQL that both databases understand (TEXT, BIGINT, DOUBLE
//!    PRECISION, `$1`, `ON CONFLICT`), and a line in `migrations.rs`. Migrations that were released do
//!    not change any more; sets of tables may be added by several people, so take the next free number.
//! 2. `noun.rs`: plain structs of rows, and `impl Store` with methods in the words of the noun. They
//!    are written with [`Statement`](statement): `self.enqueue(...)` to write in passing,
//!    `self.execute(...)` to have written, `self.rows(...)` to read. Every read has a `LIMIT`.
//! 3. Its behaviours in `tests/behaviours/noun.rs`, which run on both databases.

pub mod calls;
pub mod history;
pub mod recordings;

mod migrations;
mod statement;
mod store;
mod writer;

pub use store::{Store, StoreError};
pub use writer::Counters;
