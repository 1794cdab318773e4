//! The C interface of a model. All unsafe code of this crate is in this module.
#![allow(unsafe_code)]

use crate::error::Error;
use libloading::Library;
use std::{
    ffi::{CStr, CString, c_char, c_void},
    mem::ManuallyDrop,
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr::{self, NonNull},
    slice,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

#[cfg(target_endian = "big")]
compile_error!("Verilated storage is read as little-endian bytes");

/// The version of the C interface in `cpp/face.h`.
const ABI: u32 = 4;

#[repr(C)]
struct RawPort {
    name: *const c_char,
    width: u32,
    storage: u32,
    direction: u32,
    data: *mut c_void,
}

/// Bits of a word of the state.
#[repr(C)]
#[derive(Debug)]
struct RawWatch {
    offset: u64,
    mask: u64,
}

/// Ports of one library that end a run of cycles when a bit of them is set.
#[derive(Debug)]
pub(crate) struct Watches {
    library: u32,
    words: Vec<RawWatch>,
}

type Handle = NonNull<c_void>;
type Call = unsafe extern "C" fn(Handle) -> i32;
type Text = unsafe extern "C" fn(Handle, *mut usize) -> *const c_char;

/// The functions of one loaded model.
pub(crate) struct Api {
    new: unsafe extern "C" fn(i32, i32, i32) -> Option<Handle>,
    ports: unsafe extern "C" fn(Handle, *mut RawPort, u32) -> u32,
    state: unsafe extern "C" fn(Handle, *mut usize) -> *mut c_void,
    set_clock: unsafe extern "C" fn(Handle, *mut c_void),
    eval: Call,
    cycle: Call,
    cycles: unsafe extern "C" fn(Handle, u64, *const RawWatch, u32, *mut u64) -> i32,
    finish: Call,
    message: Text,
    log: Text,
    clear_log: unsafe extern "C" fn(Handle),
    trace_open: unsafe extern "C" fn(Handle, *const c_char, u64, u64) -> i32,
    trace_close: Call,
    write_coverage: unsafe extern "C" fn(Handle, *const c_char) -> i32,
    collect_coverage: unsafe extern "C" fn(*const c_char) -> i32,
    free: unsafe extern "C" fn(Handle),
    /// Distinguishes the places of this library from those of others.
    id: u32,
    /// The places of the ports, which are the same for every instance.
    places: OnceLock<Box<[Place]>>,
    /// Held while an instance is created, is dropped or writes its coverage, because these calls change globals of
    /// the runtime.
    lifecycle: Mutex<()>,
}

impl Api {
    /// Loads a library that this crate built.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let failed = |reason: String| Error::Load { path: path.to_owned(), reason };
        // SAFETY: the library consists of this crate's shim and the output of the simulator, and its checksum was
        // verified; its initialisers only set up C++ statics.
        let library = unsafe { Library::new(path) }.map_err(|error| failed(error.to_string()))?;
        // The library is never unloaded, so that the function pointers below and thread-local state of the runtime
        // stay valid.
        let library = ManuallyDrop::new(library);
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: each type in `Api` mirrors the declaration in `cpp/face.h`, whose text is part of
                // the cache key.
                *unsafe { library.get($name) }.map_err(|error| failed(error.to_string()))?
            };
        }
        let abi: unsafe extern "C" fn() -> u32 = function!(c"tmv_abi");
        // SAFETY: the function takes no arguments and changes nothing.
        let abi = unsafe { abi() };
        if abi != ABI {
            return Err(failed(format!("its interface has version {abi}, expected {ABI}")));
        }
        Ok(Self {
            new: function!(c"tmv_new"),
            ports: function!(c"tmv_ports"),
            state: function!(c"tmv_state"),
            set_clock: function!(c"tmv_set_clock"),
            eval: function!(c"tmv_eval"),
            cycle: function!(c"tmv_cycle"),
            cycles: function!(c"tmv_cycles"),
            finish: function!(c"tmv_final"),
            message: function!(c"tmv_message"),
            log: function!(c"tmv_log"),
            clear_log: function!(c"tmv_clear_log"),
            trace_open: function!(c"tmv_trace_open"),
            trace_close: function!(c"tmv_trace_close"),
            write_coverage: function!(c"tmv_write_coverage"),
            collect_coverage: function!(c"tmv_collect_coverage"),
            free: function!(c"tmv_free"),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            places: OnceLock::new(),
            lifecycle: Mutex::new(()),
        })
    }

    /// From now on, the counters of all instances are added up, and written to this file when the process ends.
    /// Returns the code of the shim: 0 done, 1 not built in, 2 file not writable.
    pub(crate) fn collect_coverage(&self, path: &Path) -> i32 {
        // SAFETY: the path is copied during the call.
        with_path(path, |path| unsafe { (self.collect_coverage)(path) })
    }
}

/// The state of a model after an evaluation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    Failed,
    Finished,
}

impl From<i32> for Status {
    #[inline]
    fn from(code: i32) -> Self {
        match code {
            0 => Self::Running,
            2 => Self::Finished,
            _ => Self::Failed,
        }
    }
}

/// Name, width in bits and direction (0 in, 1 out, 2 both) of a port.
pub(crate) struct PortInfo {
    pub(crate) name: String,
    pub(crate) width: u32,
    pub(crate) direction: u32,
}

/// The location of a port's value, relative to the state of any instance of one library.
///
/// A port of at most 64 bits lies inside one aligned 64-bit word of the state. It is accessed by shifting and masking
/// this word, without a branch on the size of its storage. Bits above the width of the port are padding, and zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// [`Api::id`] of the library.
    library: u32,
    /// Byte offset of the value.
    offset: u32,
    /// Byte offset of the aligned word that holds the value.
    word: u32,
    /// Offset of the value in its word, in bits.
    shift: u32,
    /// The bits of the value, before the shift; 0 for a port wider than 64 bits.
    mask: u64,
    /// Number of bytes that hold bits of the value: the width, rounded up.
    bytes: u32,
    /// Mask of the value's bits in its last byte.
    top: u8,
    writable: bool,
}

/// One C++ instance. Its pointers keep it from being `Sync`; calls that change it take `&mut self`.
pub(crate) struct Instance {
    handle: Handle,
    state: NonNull<u8>,
    id: u32,
    api: Arc<Api>,
}

// SAFETY: an instance owns everything that its handle and state point to. The runtime keeps the current instance and
// context in thread-locals, which the shim sets on every entry. Globals of the runtime are only touched while
// instances are created and dropped, under `Api::lifecycle`.
unsafe impl Send for Instance {}

impl Instance {
    /// Creates an instance, or `None` if the model's constructor fails.
    pub(crate) fn new(api: &Arc<Api>, reset: i32, seed: i32, keep_log: bool) -> Option<Self> {
        let _guard = api.lifecycle.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the function takes plain numbers, and exceptions are caught inside it.
        let handle = unsafe { (api.new)(reset, seed, keep_log.into()) }?;
        let mut size = 0;
        // SAFETY: the handle is live. The function returns the state of the instance and sets its size.
        let state = unsafe { (api.state)(handle, &raw mut size) };
        let state = NonNull::new(state.cast()).expect("the model has a root");
        let places: Box<[Place]> = raw_ports(api, handle).iter().map(|port| place(api.id, port, state, size)).collect();
        // This makes the places valid for every instance.
        assert!(*api.places.get_or_init(|| places.clone()) == places, "instances have one layout");
        Some(Self { handle, state, id: api.id, api: Arc::clone(api) })
    }

    /// The place of the port with this index in `port_list`.
    pub(crate) fn place(&self, index: usize) -> Place {
        self.api.places.get().expect("set when the first instance was made")[index]
    }

    /// All ports, in the order of the shim.
    pub(crate) fn port_list(&self) -> Vec<PortInfo> {
        let describe = |port: &RawPort| PortInfo {
            // SAFETY: the shim's port names are string literals.
            name: unsafe { CStr::from_ptr(port.name) }.to_string_lossy().into_owned(),
            width: port.width,
            direction: port.direction,
        };
        raw_ports(&self.api, self.handle).iter().map(describe).collect()
    }

    /// Sets the port, one bit wide, that `cycle` toggles.
    pub(crate) fn set_clock(&mut self, place: Place) {
        assert!(place.mask == 1, "the clock is one bit wide");
        let clock = self.at(place, 0);
        // SAFETY: the place is inside this instance and belongs to a port of one bit, as the shim expects.
        unsafe { (self.api.set_clock)(self.handle, clock.cast()) }
    }

    #[inline]
    pub(crate) fn eval(&mut self) -> Status {
        // SAFETY: the handle is live and `&mut self` excludes other calls.
        unsafe { (self.api.eval)(self.handle) }.into()
    }

    /// Runs one full clock cycle. `set_clock` must have been called before.
    #[inline]
    pub(crate) fn cycle(&mut self) -> Status {
        // SAFETY: as in `eval`; the clock is not null, because `Model::new` sets it.
        unsafe { (self.api.cycle)(self.handle) }.into()
    }

    /// The watches for ports of at most 64 bits; `None` if one is wider.
    pub(crate) fn watches(&self, places: &[Place]) -> Option<Watches> {
        let mut words: Vec<RawWatch> = Vec::new();
        for place in places {
            self.check(*place);
            let (offset, mask) = (u64::from(place.word), place.mask << place.shift);
            match words.iter_mut().find(|word| word.offset == offset) {
                Some(word) => word.mask |= mask,
                None => words.push(RawWatch { offset, mask }),
            }
        }
        places.iter().all(|place| place.mask != 0).then_some(Watches { library: self.id, words })
    }

    /// Runs full clock cycles, at most `most`, until a bit of the watched ports is set after one. Returns how many.
    /// Panics if the watches belong to another library.
    #[inline]
    pub(crate) fn cycles(&mut self, most: u64, watches: &Watches) -> (u64, Status) {
        assert!(watches.library == self.id, "the watches belong to another model library");
        let (words, mut cycles) = (&watches.words, 0);
        // SAFETY: as in `cycle`. The words are inside the state: they are those of places of this library.
        let code = unsafe { (self.api.cycles)(self.handle, most, words.as_ptr(), words.len() as u32, &raw mut cycles) };
        (cycles, code.into())
    }

    pub(crate) fn finish(&mut self) -> Status {
        // SAFETY: as in `eval`.
        unsafe { (self.api.finish)(self.handle) }.into()
    }

    pub(crate) fn message(&self) -> String {
        self.text(self.api.message)
    }

    pub(crate) fn take_log(&mut self) -> String {
        let log = self.text(self.api.log);
        // SAFETY: as in `eval`.
        unsafe { (self.api.clear_log)(self.handle) };
        log
    }

    fn text(&self, function: Text) -> String {
        let mut length = 0;
        // SAFETY: the shim returns the data of a string and sets its length. The string lives at least as long as the
        // instance, and does not change before it is copied here.
        let bytes = unsafe {
            let data = function(self.handle, &raw mut length);
            slice::from_raw_parts(data.cast::<u8>(), length)
        };
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Returns the code of the shim: 0 done, 1 not built in, 2 file not writable.
    pub(crate) fn open_trace(&mut self, path: &Path, from: u64, to: u64) -> i32 {
        // SAFETY: as in `eval`; the path is copied during the call.
        with_path(path, |path| unsafe { (self.api.trace_open)(self.handle, path, from, to) })
    }

    /// Returns the code of the shim: 0 done, 1 not built in, 2 file not written.
    pub(crate) fn close_trace(&mut self) -> i32 {
        // SAFETY: as in `eval`.
        unsafe { (self.api.trace_close)(self.handle) }
    }

    /// Returns the code of the shim: 0 done, 1 not built in, 2 file not writable.
    pub(crate) fn write_coverage(&mut self, path: &Path) -> i32 {
        let _guard = self.api.lifecycle.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: as in `open_trace`.
        with_path(path, |path| unsafe { (self.api.write_coverage)(self.handle, path) })
    }

    /// A pointer to byte `skip` of the value. Panics if the place belongs to another library.
    #[inline]
    fn at(&self, place: Place, skip: usize) -> *mut u8 {
        self.check(place);
        // SAFETY: callers keep `skip` inside the value, and the function `place` has checked that the value is inside
        // the state.
        unsafe { self.state.as_ptr().add(place.offset as usize + skip) }
    }

    /// Panics if the place belongs to another library.
    #[inline]
    pub(crate) fn check(&self, place: Place) {
        assert!(place.library == self.id, "the pin belongs to another model library");
    }

    #[inline]
    fn word(&self, place: Place) -> *mut u64 {
        self.check(place);
        // SAFETY: the function `place` has checked that the word is inside the state and aligned.
        unsafe { self.state.as_ptr().add(place.word as usize).cast() }
    }

    /// The value of a port of at most 64 bits; `None` for a wider port.
    #[inline]
    pub(crate) fn read(&self, place: Place) -> Option<u64> {
        // SAFETY: `word` is valid; nothing else runs on this instance, which is not `Sync`.
        let word = unsafe { self.word(place).read() };
        (place.mask != 0).then_some(word >> place.shift & place.mask)
    }

    /// Writes a port of at most 64 bits and drops the bits of `value` above its width. Returns `false` if the port is
    /// wider or an output.
    #[inline]
    pub(crate) fn write(&mut self, place: Place, value: u64) -> bool {
        let word = self.word(place);
        if place.mask == 0 || !place.writable {
            return false;
        }
        // SAFETY: as in `read`; other ports in the same word keep their values.
        unsafe {
            *word = *word & !(place.mask << place.shift) | (value & place.mask) << place.shift;
        }
        true
    }

    /// Copies bytes of the value of a port, the least significant first. Returns `false` if the range is not inside
    /// the value.
    #[inline]
    pub(crate) fn read_bytes(&self, place: Place, offset: usize, out: &mut [u8]) -> bool {
        if !within(offset, out.len(), place.bytes as usize) {
            return false;
        }
        // SAFETY: the range was checked, and `out` is Rust memory: no overlap.
        unsafe { ptr::copy_nonoverlapping(self.at(place, offset), out.as_mut_ptr(), out.len()) }
        true
    }

    /// Writes bytes of the value of a port. Returns `false` if the range is not inside the value, or if the port is
    /// an output.
    #[inline]
    pub(crate) fn write_bytes(&mut self, place: Place, offset: usize, bytes: &[u8]) -> bool {
        let total = place.bytes as usize;
        if !place.writable || !within(offset, bytes.len(), total) {
            return false;
        }
        // SAFETY: the range was checked; `&mut self` makes the access exclusive.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.at(place, offset), bytes.len());
            // Verilator relies on bits above the width being zero.
            *self.at(place, total - 1) &= place.top;
        }
        true
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _guard = self.api.lifecycle.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the handle is live and not used again.
        unsafe { (self.api.free)(self.handle) }
    }
}

#[inline]
fn within(offset: usize, length: usize, total: usize) -> bool {
    offset <= total && length <= total - offset
}

fn raw_ports(api: &Api, handle: Handle) -> Vec<RawPort> {
    // SAFETY: with a capacity of 0, nothing is written. The second call writes exactly the number of ports that the
    // first call has returned.
    unsafe {
        let count = (api.ports)(handle, ptr::null_mut(), 0);
        let mut ports = Vec::with_capacity(count as usize);
        (api.ports)(handle, ports.as_mut_ptr(), count);
        ports.set_len(count as usize);
        ports
    }
}

/// The place of a port in a state of `size` bytes. The safety of all later accesses rests on the checks here.
fn place(library: u32, port: &RawPort, state: NonNull<u8>, size: usize) -> Place {
    let offset = (port.data.addr()).checked_sub(state.addr().get()).expect("ports follow the state's start");
    let (bytes, word) = (port.width.div_ceil(8), offset & !7);
    let narrow = port.width <= 64;
    assert!(port.width > 0 && bytes <= port.storage, "the storage holds the value");
    assert!(offset + port.storage as usize <= size, "the state holds the port");
    assert!(state.addr().get().is_multiple_of(8) && size.is_multiple_of(8), "the state is made of words");
    assert!(!narrow || offset - word + port.storage as usize <= 8, "narrow ports are aligned");
    let small = |value: usize| u32::try_from(value).expect("the state is smaller than 4 GiB");
    Place {
        library,
        offset: small(offset),
        word: small(word),
        shift: small(offset - word) * 8,
        mask: if narrow { u64::MAX >> (64 - port.width) } else { 0 },
        bytes,
        top: 0xff >> (bytes * 8 - port.width),
        writable: port.direction != 1,
    }
}

fn with_path(path: &Path, call: impl FnOnce(*const c_char) -> i32) -> i32 {
    CString::new(path.as_os_str().as_bytes()).map_or(2, |path| call(path.as_ptr()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_simulator_has_the_whole_face() {
        let loaded = include_str!("ffi.rs").split("function!(c\"").skip(1).filter_map(|rest| rest.split_once('"'));
        let names: Vec<&str> = loaded.map(|(name, _)| name).filter(|name| name.starts_with("tmv_")).collect();
        assert!(names.len() > 10, "{names:?}");
        for (file, text) in [("shim.cpp", include_str!("cpp/shim.cpp")), ("cxxrtl.cpp", include_str!("cpp/cxxrtl.cpp"))]
        {
            for name in &names {
                let defined =
                    text.lines().any(|line| line.starts_with("TMV_API") && line.contains(&format!("{name}(")));
                assert!(defined, "{file} has no {name}");
            }
        }
    }
}
