//! Loaded models, their instances and pins.

use crate::{
    error::{Error, io},
    ffi::{Api, Instance, Place, PortInfo, Status},
};
use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// A built and loaded model, from which instances are made. Cheap to clone.
#[derive(Clone)]
pub struct ModelLibrary {
    inner: Arc<Inner>,
}

struct Inner {
    api: Arc<Api>,
    top: String,
    key: String,
    path: PathBuf,
    ports: OnceLock<Vec<Port>>,
    was_cached: bool,
    build_seconds: f64,
}

/// Which way a port carries data, seen from the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the model.
    Input,
    /// Out of the model.
    Output,
    /// Both.
    Inout,
}

/// A port of the top module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name in the RTL.
    pub name: String,
    /// Its width in bits.
    pub width: u32,
    /// Which way it carries data.
    pub direction: Direction,
}

impl From<PortInfo> for Port {
    fn from(info: PortInfo) -> Self {
        let direction = match info.direction {
            0 => Direction::Input,
            1 => Direction::Output,
            _ => Direction::Inout,
        };
        Self { name: info.name, width: info.width, direction }
    }
}

impl ModelLibrary {
    pub(crate) fn load(path: &Path, top: &str, key: &str, was_cached: bool, build_seconds: f64) -> Result<Self, Error> {
        Ok(Self {
            inner: Arc::new(Inner {
                api: Arc::new(Api::load(path)?),
                top: top.into(),
                key: key.into(),
                path: path.into(),
                ports: OnceLock::new(),
                was_cached,
                build_seconds,
            }),
        })
    }

    /// Adds up what instances count in this process, in a file of its own in `dir`, written when the process ends.
    pub(crate) fn collect_coverage(&self, dir: &Path) -> Result<(), Error> {
        std::fs::create_dir_all(dir).map_err(io(dir))?;
        let key = self.key().get(..16).unwrap_or_default();
        let path = std::path::absolute(dir).map_err(io(dir))?.join(format!("{key}-{}.dat", std::process::id()));
        creatable(&path)?;
        match self.inner.api.collect_coverage(&path) {
            0 => Ok(()),
            _ => Err(Error::NotBuiltIn { top: self.top().into(), facility: "coverage" }),
        }
    }

    /// The top module.
    pub fn top(&self) -> &str {
        &self.inner.top
    }

    /// The hash of everything the model was built from.
    pub fn key(&self) -> &str {
        &self.inner.key
    }

    /// The shared library.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Whether it came out of the cache.
    pub fn was_cached(&self) -> bool {
        self.inner.was_cached
    }

    /// Seconds from the request to the library, fetching of tools included.
    pub fn build_seconds(&self) -> f64 {
        self.inner.build_seconds
    }
}

impl std::fmt::Debug for ModelLibrary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelLibrary").field("top", &self.top()).field("path", &self.path()).finish()
    }
}

/// What state without a reset or an initial value holds at power-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PowerUp {
    /// All zeros.
    Zeros,
    /// All ones.
    Ones,
    /// Random bits, the same for the same seed.
    #[default]
    Random,
}

/// The conditions an instance starts under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerilatedContext {
    /// Seed of power-up values and `$random`.
    pub seed: u64,
    /// Power-up values.
    pub power_up: PowerUp,
    /// The clock input.
    pub clock: String,
    /// Whether what the model prints is kept for [`Model::take_log`].
    pub keep_log: bool,
}

impl Default for VerilatedContext {
    /// Random power-up with seed 1, clock `clk_i`, no log.
    fn default() -> Self {
        Self { seed: 1, power_up: PowerUp::Random, clock: "clk_i".into(), keep_log: false }
    }
}

/// A port that was looked up: good for every instance of the same library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    place: Place,
    /// In the list of ports.
    index: usize,
}

/// One running instance of a model.
///
/// Nothing is printed and the process never ends by the model's hand: a failing assertion, `$error`, `$fatal`,
/// `$stop` or `$finish` becomes the `Err` of the call that reached it, and of every later one.
///
/// ```no_run
/// use verilated::{Model, ModelSpec, VerilatedContext};
///
/// # fn main() -> Result<(), verilated::Error> {
/// let spec = ModelSpec::new("counter", ["rtl/counter.sv"]).param("Width", 12);
/// let library = verilated::build(&spec, &mut |step| eprintln!("{step}"))?;
/// let mut counter = Model::new(&library, &VerilatedContext::default())?;
/// let (reset, count) = (counter.pin("rst_ni")?, counter.pin("count_o")?);
/// counter.set(reset, 0);
/// counter.cycle()?;
/// counter.set(reset, 1);
/// counter.cycle()?;
/// assert_eq!(counter.get(count), 1);
/// # Ok(())
/// # }
/// ```
pub struct Model {
    instance: Instance,
    cycles: u64,
    library: ModelLibrary,
}

impl Model {
    /// Powers an instance up. Inputs hold power-up values too, until they are set.
    ///
    /// # Errors
    /// [`Error::NoSuchPin`] and [`Error::PinWidth`] for the clock, [`Error::Simulation`] if the model's
    /// constructor fails.
    pub fn new(library: &ModelLibrary, context: &VerilatedContext) -> Result<Self, Error> {
        let reset = match context.power_up {
            PowerUp::Zeros => 0,
            PowerUp::Ones => 1,
            PowerUp::Random => 2,
        };
        let inner = &library.inner;
        let instance = Instance::new(&inner.api, reset, fold(context.seed), context.keep_log)
            .ok_or_else(|| Error::Simulation { cycle: 0, message: "the constructor failed".into() })?;
        inner.ports.get_or_init(|| instance.port_list().into_iter().map(Port::from).collect());
        let mut model = Self { instance, cycles: 0, library: library.clone() };
        let clock = model.pin_of_width(&context.clock, 1)?;
        model.instance.set_clock(clock.place);
        Ok(model)
    }

    /// The library this is an instance of.
    pub fn library(&self) -> &ModelLibrary {
        &self.library
    }

    /// The ports of the top module; unpacked arrays are not among them.
    pub fn ports(&self) -> &[Port] {
        self.library.inner.ports.get().map_or(&[], Vec::as_slice)
    }

    /// Looks a port up.
    ///
    /// # Errors
    /// [`Error::NoSuchPin`].
    pub fn pin(&self, name: &str) -> Result<Pin, Error> {
        match self.ports().iter().position(|port| port.name == name) {
            Some(index) => Ok(Pin { place: self.instance.place(index), index }),
            None => Err(Error::NoSuchPin {
                top: self.library.top().into(),
                name: name.into(),
                available: self.ports().iter().map(|port| &*port.name).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// Looks a port of a known width up.
    ///
    /// # Errors
    /// [`Error::NoSuchPin`], [`Error::PinWidth`].
    pub fn pin_of_width(&self, name: &str, width: u32) -> Result<Pin, Error> {
        let pin = self.pin(name)?;
        let found = self.width(pin);
        if found == width { Ok(pin) } else { Err(Error::PinWidth { name: name.into(), expected: width, found }) }
    }

    /// The port behind a pin.
    ///
    /// # Panics
    /// If the pin belongs to another library.
    pub fn port(&self, pin: Pin) -> &Port {
        self.instance.check(pin.place);
        &self.ports()[pin.index]
    }

    /// The width of a pin in bits.
    ///
    /// # Panics
    /// If the pin belongs to another library.
    pub fn width(&self, pin: Pin) -> u32 {
        self.port(pin).width
    }

    /// Reads a pin of at most 64 bits.
    ///
    /// # Panics
    /// If the pin is wider, or belongs to another library.
    #[inline]
    pub fn get(&self, pin: Pin) -> u64 {
        match self.instance.read(pin.place) {
            Some(value) => value,
            None => self.misuse(pin, "is read as 64 bits"),
        }
    }

    /// Writes an input of at most 64 bits; higher bits of `value` are dropped.
    ///
    /// # Panics
    /// If the pin is wider or an output, or belongs to another library.
    #[inline]
    pub fn set(&mut self, pin: Pin, value: u64) {
        if !self.instance.write(pin.place, value) {
            self.misuse(pin, "is written as 64 bits");
        }
    }

    /// Reads bytes of a pin's value, the least significant first.
    ///
    /// # Panics
    /// If the range is not inside the value, or the pin belongs to another library.
    #[inline]
    pub fn get_bytes(&self, pin: Pin, byte_offset: usize, out: &mut [u8]) {
        if !self.instance.read_bytes(pin.place, byte_offset, out) {
            self.misuse(pin, &format!("is read at byte {byte_offset}, {} bytes", out.len()));
        }
    }

    /// Writes bytes of an input's value, the least significant first; bits above its width are dropped.
    ///
    /// # Panics
    /// If the range is not inside the value, or the pin is an output or belongs to another library.
    #[inline]
    pub fn set_bytes(&mut self, pin: Pin, byte_offset: usize, bytes: &[u8]) {
        if !self.instance.write_bytes(pin.place, byte_offset, bytes) {
            self.misuse(pin, &format!("is written at byte {byte_offset}, {} bytes", bytes.len()));
        }
    }

    /// Reads a pin of any width as bytes, the least significant first.
    pub fn get_wide(&self, pin: Pin) -> Vec<u8> {
        let mut value = vec![0; self.width(pin).div_ceil(8) as usize];
        self.get_bytes(pin, 0, &mut value);
        value
    }

    /// Writes an input of any width from bytes, the least significant first; missing bytes are zero.
    ///
    /// # Panics
    /// If there are more bytes than the pin has, or the pin is an output or belongs to another library.
    pub fn set_wide(&mut self, pin: Pin, value: &[u8]) {
        let bytes = self.width(pin).div_ceil(8) as usize;
        self.set_bytes(pin, 0, value);
        self.set_bytes(pin, value.len(), &vec![0; bytes - value.len()]);
    }

    #[cold]
    #[inline(never)]
    fn misuse(&self, pin: Pin, what: &str) -> ! {
        panic!("{:?} {what}", self.port(pin))
    }

    /// Settles the model after pins were set, without advancing time.
    ///
    /// # Errors
    /// [`Error::Simulation`], [`Error::Finished`].
    #[inline]
    pub fn eval(&mut self) -> Result<(), Error> {
        match self.instance.eval() {
            Status::Running => Ok(()),
            status => self.stopped(status),
        }
    }

    /// One clock cycle: low half, in which inputs settle, then the rising edge. Outputs then show the state after it.
    ///
    /// # Errors
    /// [`Error::Simulation`], [`Error::Finished`].
    #[inline]
    pub fn cycle(&mut self) -> Result<(), Error> {
        match self.instance.cycle() {
            Status::Running => {
                self.cycles += 1;
                Ok(())
            }
            status => self.stopped(status),
        }
    }

    /// Runs `final` blocks: the end of a simulation, once.
    ///
    /// # Errors
    /// [`Error::Simulation`], [`Error::Finished`].
    pub fn finish(&mut self) -> Result<(), Error> {
        match self.instance.finish() {
            Status::Running => Ok(()),
            status => self.stopped(status),
        }
    }

    #[cold]
    fn stopped(&self, status: Status) -> Result<(), Error> {
        let (cycle, message) = (self.cycles, self.instance.message());
        Err(match status {
            Status::Finished => Error::Finished { cycle, message },
            Status::Running | Status::Failed => Error::Simulation { cycle, message },
        })
    }

    /// Full clock cycles so far.
    #[inline]
    pub fn cycles(&self) -> u64 {
        self.cycles
    }

    /// Takes what the model printed since the last call, if the context keeps a log (the last MiB of it).
    pub fn take_log(&mut self) -> String {
        self.instance.take_log()
    }

    /// Records a waveform of the clock cycles in `window`, in the format the library was built for.
    /// The file is complete after the window's last cycle, [`Model::close_trace`] or drop.
    ///
    /// # Errors
    /// [`Error::NotBuiltIn`], [`Error::Io`].
    pub fn open_trace(&mut self, path: &Path, window: Range<u64>) -> Result<(), Error> {
        creatable(path)?;
        let code = self.instance.open_trace(path, window.start, window.end);
        self.outcome(code, path, "tracing")
    }

    /// Completes and closes the waveform, if there is one.
    pub fn close_trace(&mut self) {
        self.instance.close_trace();
    }

    /// Writes this instance's coverage counters, in Verilator's format.
    ///
    /// # Errors
    /// [`Error::NotBuiltIn`], [`Error::Io`].
    pub fn write_coverage(&mut self, path: &Path) -> Result<(), Error> {
        creatable(path)?;
        let code = self.instance.write_coverage(path);
        self.outcome(code, path, "coverage")
    }

    fn outcome(&self, code: i32, path: &Path, facility: &'static str) -> Result<(), Error> {
        match code {
            0 => Ok(()),
            1 => Err(Error::NotBuiltIn { top: self.library.top().into(), facility }),
            _ => Err(io(path)(std::io::Error::other("Verilator cannot write it"))),
        }
    }
}

/// The runtime tells no reasons: find out ahead of it whether the file can be made.
fn creatable(path: &Path) -> Result<(), Error> {
    std::fs::File::create(path).map(drop).map_err(io(path))
}

/// A seed for the runtime, which takes 31 bits, and for which 0 means "any".
fn fold(seed: u64) -> i32 {
    match (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as i32 {
        0 => 0x7fff_ffff,
        seed => seed,
    }
}
