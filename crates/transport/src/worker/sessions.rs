//! A worker's sessions by the dense keys that its engine hands out.

use crosspoint_media::config::SessionKey;

use crate::session::Session;

#[derive(Default)]
pub(super) struct Sessions {
    by_key: Vec<Option<Box<Session>>>,
    count: usize,
}

impl Sessions {
    pub(super) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.by_key.get_mut(key.0 as usize)?.as_deref_mut()
    }

    pub(super) fn contains(&self, key: SessionKey) -> bool {
        self.by_key.get(key.0 as usize).is_some_and(Option::is_some)
    }

    pub(super) fn insert(&mut self, session: Session) {
        let index = session.key.0 as usize;
        if self.by_key.len() <= index {
            self.by_key.resize_with(index + 1, || None);
        }
        if let Some(place) = self.by_key.get_mut(index) {
            let before = place.replace(Box::new(session));
            debug_assert!(before.is_none(), "two sessions have one key");
            self.count += 1;
        }
    }

    pub(super) fn remove(&mut self, key: SessionKey) -> Option<Box<Session>> {
        let session = self.by_key.get_mut(key.0 as usize)?.take()?;
        self.count -= 1;
        Some(session)
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) fn keys(&self) -> Vec<SessionKey> {
        let open = self.by_key.iter().flatten();
        open.map(|session| session.key).collect()
    }
}
