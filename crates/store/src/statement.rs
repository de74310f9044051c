//! One SQL statement with its arguments, as a value: made by a noun, carried out here or by the
//! writer.
//!
//! The text is `&'static str`, so nothing that came from outside can become SQL.

use sqlx::Any;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

/// See the module documentation.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    sql: &'static str,
    arguments: Vec<Argument>,
}

/// `None` is NULL.
#[derive(Clone, Debug)]
pub(crate) enum Argument {
    Text(Option<String>),
    Int(Option<i64>),
}

impl Statement {
    /// `sql` has `$1`, `$2` ... for its arguments.
    pub(crate) const fn new(sql: &'static str) -> Self {
        Self {
            sql,
            arguments: Vec::new(),
        }
    }

    /// Adds the next argument.
    pub(crate) fn with(mut self, argument: impl Into<Argument>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// About how many bytes it takes while it waits.
    pub(crate) fn weight(&self) -> usize {
        let text = |argument: &Argument| match argument {
            Argument::Text(Some(text)) => text.len(),
            Argument::Text(None) | Argument::Int(_) => 0,
        };
        self.arguments.iter().map(text).sum::<usize>() + 128
    }

    pub(crate) fn query(&self) -> Query<'_, Any, AnyArguments> {
        self.arguments
            .iter()
            .fold(sqlx::query(self.sql), |query, argument| match argument {
                Argument::Text(text) => query.bind(text.clone()),
                Argument::Int(number) => query.bind(*number),
            })
    }
}

impl From<String> for Argument {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<String>> for Argument {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Argument {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Argument {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}
