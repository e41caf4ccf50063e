//! Memory for the bytes of connections, used again by the next one: neither zeroed nor faulted in anew.
//!
//! What an earlier connection of the same sandbox left in it is never read: a ring buffer gives out only what was
//! written into it since.

use std::{cell::RefCell, ptr::NonNull, rc::Rc};

/// Most rooms that are kept for the next connections while there are some, and what of each stays in memory: many
/// short connections touch no more, and pay for no memory.
const KEPT: usize = 256;
const WARM: usize = 64 * 1024;

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

impl Mapping {
    /// Gives back what a connection of many bytes may have touched.
    fn cool(&self, used: usize) {
        if used > WARM {
            // SAFETY: within the mapping, and nobody has a reference into it: `Room` gave the only one.
            unsafe {
                let tail = self.start.as_ptr().add(WARM);
                libc::madvise(tail.cast(), used - WARM, libc::MADV_DONTNEED);
            }
        }
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
    /// `length` is a whole number of pages. The one that was given back last is the most likely to be in a cache.
    pub fn take(&self, length: usize) -> Option<Room> {
        let mut free = self.0.borrow_mut();
        let found = free.iter().rposition(|mapping| mapping.length >= length);
        let mapping = match found {
            Some(place) => free.remove(place),
            None => Mapping::new(length)?,
        };
        Some(Room {
            mapping: Some(mapping),
            length,
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
    length: usize,
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
        // SAFETY: the mapping is at least as long, readable, writable and initialised by the kernel; the caller promises
        // the rest.
        unsafe { std::slice::from_raw_parts_mut(mapping.start.as_ptr(), self.length) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Some(mapping) = self.mapping.take() else {
            return;
        };
        let mut free = self.home.0.borrow_mut();
        if free.len() < KEPT {
            mapping.cool(self.length);
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
        let taken: Vec<_> = (0..KEPT + 10).map(|_| rooms.take(1024 * 1024).unwrap()).collect();
        drop(taken);
        assert_eq!(rooms.0.borrow().len(), KEPT);
    }

    #[test]
    fn a_larger_room_serves_a_smaller_wish_and_keeps_its_beginning_only() {
        let rooms = Rooms::default();
        let mut room = rooms.take(1024 * 1024).unwrap();
        // SAFETY: gone before the room is.
        unsafe { room.lend() }.fill(7);
        drop(room);
        let mut room = rooms.take(8192).unwrap();
        // SAFETY: gone before the room is.
        assert_eq!(unsafe { room.lend() }.len(), 8192);
        drop(room);
        let mut room = rooms.take(1024 * 1024).unwrap();
        // SAFETY: gone before the room is.
        let bytes = unsafe { room.lend() };
        assert_eq!(
            (bytes[WARM - 1], bytes[WARM]),
            (7, 0),
            "the rest went back to the system"
        );
    }
}
