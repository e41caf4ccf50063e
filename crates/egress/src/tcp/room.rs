//! Memory for the bytes of connections, used again by the next one: neither zeroed nor faulted in anew.
//!
//! What an earlier connection of the same sandbox left in it is never read: a ring buffer gives out only what was
//! written into it since.

use std::{cell::RefCell, ptr::NonNull, rc::Rc};

/// Most bytes that are kept for the next connections while there are some.
const KEPT: usize = 16 * 1024 * 1024;

/// One mapping.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(length: usize) -> Option<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping, anywhere; no other memory is touched.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        Some(Self {
            start: NonNull::new(start.cast())?,
            length,
        })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped, and nobody has a reference into it: `Room` gives the only one.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// What is free. Cloned handles mean the same.
#[derive(Clone, Default)]
pub(crate) struct Rooms(Rc<RefCell<Vec<Mapping>>>);

impl Rooms {
    /// `length` is a whole number of pages.
    pub fn take(&self, length: usize) -> Option<Room> {
        let mut free = self.0.borrow_mut();
        let found = free.iter().rposition(|mapping| mapping.length == length);
        let mapping = match found {
            Some(place) => free.swap_remove(place),
            None => Mapping::new(length)?,
        };
        Some(Room {
            mapping: Some(mapping),
            home: self.clone(),
        })
    }

    /// Gives everything back to the system: nobody talks.
    pub fn clear(&self) {
        self.0.take();
    }
}

/// Lent memory. It comes home when this is dropped.
pub(crate) struct Room {
    mapping: Option<Mapping>,
    home: Rooms,
}

impl Room {
    /// The memory, as the buffer of a socket wants it.
    ///
    /// # Safety
    ///
    /// Called once, and what it returns is gone before the room is dropped.
    pub unsafe fn lend(&mut self) -> &'static mut [u8] {
        let mapping = self
            .mapping
            .as_ref()
            .expect("a room has its mapping until it is dropped");
        // SAFETY: the mapping is readable, writable and initialised by the kernel; the caller promises the rest.
        unsafe { std::slice::from_raw_parts_mut(mapping.start.as_ptr(), mapping.length) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Some(mapping) = self.mapping.take() else {
            return;
        };
        let mut free = self.home.0.borrow_mut();
        let kept: usize = free.iter().map(|mapping| mapping.length).sum();
        if kept + mapping.length <= KEPT {
            free.push(mapping);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_used_again_and_given_back_at_last() {
        let rooms = Rooms::default();
        let start = {
            let mut room = rooms.take(8192).unwrap();
            // SAFETY: gone with this block, before the room is.
            let bytes = unsafe { room.lend() };
            bytes.fill(7);
            bytes.as_ptr()
        };
        let mut again = rooms.take(8192).unwrap();
        // SAFETY: used for this comparison only.
        assert_eq!(unsafe { again.lend() }.as_ptr(), start);
        drop(again);
        rooms.clear();
        assert!(rooms.0.borrow().is_empty());
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        let rooms = Rooms::default();
        let taken: Vec<_> = (0..40).map(|_| rooms.take(1024 * 1024).unwrap()).collect();
        drop(taken);
        assert_eq!(rooms.0.borrow().len(), KEPT / (1024 * 1024));
    }
}
