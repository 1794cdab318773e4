//! Memory of a job. Nothing is freed before the job ends: a layer allocates a few hundred kilobytes.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::null_mut;

use sequencer::job::Region;

/// An allocator that goes through a region once.
struct Bump {
    next: Cell<usize>,
    end: Cell<usize>,
}

// SAFETY: there is one core, and no interrupt is taken.
unsafe impl Sync for Bump {}

#[global_allocator]
static HEAP: Bump = Bump { next: Cell::new(0), end: Cell::new(0) };

/// Gives the heap a new region. What was allocated before must not be used any more.
pub(crate) fn begin(region: Region) {
    HEAP.next.set(region.address as usize);
    HEAP.end.set(region.address as usize + region.bytes as usize);
}

// SAFETY: `alloc` returns memory that no other call has returned since `begin`, aligned as asked.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let begin = self.next.get().next_multiple_of(layout.align());
        match begin.checked_add(layout.size()).filter(|end| *end <= self.end.get()) {
            Some(end) => {
                self.next.set(end);
                begin as *mut u8
            }
            None => null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
