//! Dense storage with keys that know when what they named is gone.
//!
//! A key is four bytes: index and generation. The packet path follows keys that lie in queues and
//! logs; after a removal such a key finds nothing instead of a stranger.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

/// Bits of a key that are its index: about a million values of one kind.
const INDEX_BITS: u32 = 20;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;

/// Names a value in a [`Slab`] of the same type.
pub(crate) struct Key<T> {
    raw: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    fn new(index: usize, generation: u32) -> Option<Self> {
        let index = u32::try_from(index).ok().filter(|&i| i <= INDEX_MASK)?;
        Some(Self::from_raw((generation << INDEX_BITS) | index))
    }

    /// The key as a plain number, for logs that do not know `T`.
    pub(crate) const fn raw(self) -> u32 {
        self.raw
    }

    /// The key that [`Key::raw`] gave.
    pub(crate) const fn from_raw(raw: u32) -> Self {
        Self {
            raw,
            of: PhantomData,
        }
    }

    const fn index(self) -> usize {
        (self.raw & INDEX_MASK) as usize
    }

    const fn generation(self) -> u32 {
        self.raw >> INDEX_BITS
    }
}

// Derives would ask the same of `T`.
impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Key<T> {}
impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}
impl<T> Eq for Key<T> {}
impl<T> PartialOrd for Key<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Key<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.raw.cmp(&other.raw)
    }
}
impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}
impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.index(), self.generation())
    }
}

/// Values in one vector, their places reused.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Stores a value. `None` when a million values are there already.
    pub(crate) fn insert(&mut self, value: T) -> Option<Key<T>> {
        if let Some(index) = self.free.pop() {
            let place = self.places.get_mut(index as usize)?;
            place.value = Some(value);
            return Key::new(index as usize, place.generation);
        }
        let key = Key::new(self.places.len(), 0)?;
        self.places.push(Place {
            generation: 0,
            value: Some(value),
        });
        Some(key)
    }

    pub(crate) fn remove(&mut self, key: Key<T>) -> Option<T> {
        let place = self.places.get_mut(key.index())?;
        if place.generation != key.generation() {
            return None;
        }
        let value = place.value.take()?;
        place.generation = (place.generation + 1) & (u32::MAX >> INDEX_BITS);
        self.free.push(key.raw() & INDEX_MASK);
        Some(value)
    }

    #[inline]
    pub(crate) fn get(&self, key: Key<T>) -> Option<&T> {
        let place = self.places.get(key.index())?;
        if place.generation == key.generation() {
            place.value.as_ref()
        } else {
            None
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        let place = self.places.get_mut(key.index())?;
        if place.generation == key.generation() {
            place.value.as_mut()
        } else {
            None
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_value_is_not_found_by_its_old_key() {
        let mut slab = Slab::default();
        let a = slab.insert("a").unwrap();
        assert_eq!(slab.remove(a), Some("a"));
        let b = slab.insert("b").unwrap();
        assert_eq!(
            (a.index(), slab.get(a), slab.get(b)),
            (b.index(), None, Some(&"b"))
        );
        assert_eq!((slab.remove(a), slab.len()), (None, 1));
    }

    #[test]
    fn keys_survive_the_way_through_a_plain_number() {
        let mut slab = Slab::default();
        let first = slab.insert(1).unwrap();
        slab.remove(first);
        let key = slab.insert(2).unwrap();
        assert_eq!(slab.get(Key::from_raw(key.raw())), Some(&2));
    }
}
