//! Frames as JSON objects, and reading fields of them. Everything read is checked and bounded.

use serde_json::{Map, Value};

use crate::error::ErrorCode;
use crate::ids::{CallId, GroupId, UserId};
use crate::model::Push;

/// A JSON object: one message.
pub type Frame = Map<String, Value>;

/// Most users that one frame may name.
const USERS_MAX: usize = 256;

/// The object that a literal describes.
///
/// Anything but an object is a mistake of ours and gives an empty one.
#[must_use]
pub fn frame(value: Value) -> Frame {
    match value {
        Value::Object(map) => map,
        _ => {
            debug_assert!(false, "a frame is an object");
            Frame::new()
        }
    }
}

/// The fields of a client's frame. What is missing or of another type is [`ErrorCode::Param`].
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a Frame);

impl<'a> Fields<'a> {
    /// Those of this frame.
    #[must_use]
    pub const fn of(frame: &'a Frame) -> Self {
        Self(frame)
    }

    /// The whole frame.
    #[must_use]
    pub const fn frame(self) -> &'a Frame {
        self.0
    }

    /// A text.
    ///
    /// # Errors
    ///
    /// It is missing or no text; so with the others.
    pub fn text(self, name: &str) -> Result<&'a str, ErrorCode> {
        self.0
            .get(name)
            .and_then(Value::as_str)
            .ok_or(ErrorCode::Param)
    }

    /// A text, or a number as text: vendors pass both for numbers of people and groups.
    ///
    /// # Errors
    ///
    /// See [`Self::text`].
    pub fn label(self, name: &str) -> Result<String, ErrorCode> {
        match self.0.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => Err(ErrorCode::Param),
        }
    }

    /// A text that may be missing (then empty).
    #[must_use]
    pub fn text_or_empty(self, name: &str) -> String {
        self.text(name).unwrap_or_default().to_owned()
    }

    /// A whole number, not negative; also written as text.
    ///
    /// # Errors
    ///
    /// See [`Self::text`].
    pub fn number(self, name: &str) -> Result<u64, ErrorCode> {
        match self.0.get(name) {
            Some(Value::Number(number)) => number.as_u64().ok_or(ErrorCode::Param),
            Some(Value::String(text)) => text.parse().map_err(|_| ErrorCode::Param),
            _ => Err(ErrorCode::Param),
        }
    }

    /// True or false.
    ///
    /// # Errors
    ///
    /// See [`Self::text`].
    pub fn flag(self, name: &str) -> Result<bool, ErrorCode> {
        self.0
            .get(name)
            .and_then(Value::as_bool)
            .ok_or(ErrorCode::Param)
    }

    /// A user.
    ///
    /// # Errors
    ///
    /// See [`Self::text`]; or no name of a user.
    pub fn user(self, name: &str) -> Result<UserId, ErrorCode> {
        UserId::new(&self.label(name)?).ok_or(ErrorCode::Param)
    }

    /// Users, at most 256.
    ///
    /// # Errors
    ///
    /// See [`Self::user`]; or too many.
    pub fn users(self, name: &str) -> Result<Vec<UserId>, ErrorCode> {
        let list = self
            .0
            .get(name)
            .and_then(Value::as_array)
            .ok_or(ErrorCode::Param)?;
        if list.len() > USERS_MAX {
            return Err(ErrorCode::Param);
        }
        list.iter()
            .map(|each| each.as_str().and_then(UserId::new).ok_or(ErrorCode::Param))
            .collect()
    }

    /// A group.
    ///
    /// # Errors
    ///
    /// See [`Self::text`]; or no name of a group.
    pub fn group(self, name: &str) -> Result<GroupId, ErrorCode> {
        GroupId::new(&self.label(name)?).ok_or(ErrorCode::Param)
    }

    /// A call.
    ///
    /// # Errors
    ///
    /// See [`Self::text`]; or no id of a call.
    pub fn call(self, name: &str) -> Result<CallId, ErrorCode> {
        CallId::new(self.text(name)?).ok_or(ErrorCode::Param)
    }

    /// The fields of an object within.
    #[must_use]
    pub fn within(self, name: &str) -> Option<Self> {
        self.0.get(name).and_then(Value::as_object).map(Self)
    }

    /// Title and text of a notification.
    #[must_use]
    pub fn push(self) -> Push {
        Push {
            title: self.text_or_empty("pushTitle"),
            content: self.text_or_empty("pushContent"),
            options: Frame::new(),
        }
    }

    /// The same of an object that is about nothing else: what it has besides are the vendor's options.
    #[must_use]
    pub fn push_config(self) -> Push {
        let mut options = self.0.clone();
        options.remove("pushTitle");
        options.remove("pushContent");
        Push {
            options,
            ..self.push()
        }
    }
}
