//! Loaded models, their instances and pins.

use crate::{
    error::Error,
    ffi::{Api, Instance, Place, PortInfo, Status, Watches},
};
use std::{
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};
use toolchain::io;

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

/// The direction in which a port carries data, seen from the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the model.
    Input,
    /// Out of the model.
    Output,
    /// In both directions.
    Inout,
}

/// A port of the top module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name of the port in the RTL.
    pub name: String,
    /// Width of the port in bits.
    pub width: u32,
    /// Direction in which the port carries data.
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

    /// Adds up the counters of all instances in this process. The sums are written to a file in `dir` when the
    /// process ends; every process has its own file for each model.
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

    /// Name of the top module.
    pub fn top(&self) -> &str {
        &self.inner.top
    }

    /// The hash of everything the model was built from.
    pub fn key(&self) -> &str {
        &self.inner.key
    }

    /// Path of the shared library.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Whether the library came from the cache.
    pub fn was_cached(&self) -> bool {
        self.inner.was_cached
    }

    /// Seconds from the request until the library was loaded, including the download of tools.
    pub fn build_seconds(&self) -> f64 {
        self.inner.build_seconds
    }
}

impl std::fmt::Debug for ModelLibrary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelLibrary").field("top", &self.top()).field("path", &self.path()).finish()
    }
}

/// The values at power-up of state without a reset or an initial value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PowerUp {
    /// All zeros.
    Zeros,
    /// All ones.
    Ones,
    /// Random bits, which are the same for the same seed.
    #[default]
    Random,
}

/// The conditions under which an instance starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerilatedContext {
    /// Seed of power-up values and `$random`.
    pub seed: u64,
    /// Power-up values.
    pub power_up: PowerUp,
    /// Name of the clock input.
    pub clock: String,
    /// Whether the printed text of the model is kept for [`Model::take_log`].
    pub keep_log: bool,
}

impl Default for VerilatedContext {
    /// Random power-up with seed 1, clock `clk_i`, no log.
    fn default() -> Self {
        Self { seed: 1, power_up: PowerUp::Random, clock: "clk_i".into(), keep_log: false }
    }
}

/// Pins of a library that end a run of cycles, see [`Model::run`].
#[derive(Debug)]
pub struct Watch(Watches);

/// A handle of a port. It is valid for every instance of the same library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    place: Place,
    /// Index in the list of ports.
    index: usize,
}

/// One running instance of a model.
///
/// A model prints nothing, and never ends the process. If an assertion fails, or `$error`, `$fatal`, `$stop` or
/// `$finish` is reached, the current call and all later calls return an `Err`.
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
    /// The waveform that is being recorded.
    trace: Option<PathBuf>,
}

impl Model {
    /// Creates an instance in its power-up state. Inputs also hold power-up values until they are set.
    ///
    /// # Errors
    /// [`Error::NoSuchPin`] and [`Error::PinWidth`] for the clock, [`Error::Simulation`] if the constructor of the
    /// model fails.
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
        let mut model = Self { instance, cycles: 0, library: library.clone(), trace: None };
        let clock = model.pin_of_width(&context.clock, 1)?;
        model.instance.set_clock(clock.place);
        Ok(model)
    }

    /// The library to which this instance belongs.
    pub fn library(&self) -> &ModelLibrary {
        &self.library
    }

    /// The ports of the top module, except for unpacked arrays.
    pub fn ports(&self) -> &[Port] {
        self.library.inner.ports.get().map_or(&[], Vec::as_slice)
    }

    /// Looks up a port by its name.
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

    /// Looks up a port by its name and checks its width in bits.
    ///
    /// # Errors
    /// [`Error::NoSuchPin`], [`Error::PinWidth`].
    pub fn pin_of_width(&self, name: &str, width: u32) -> Result<Pin, Error> {
        let pin = self.pin(name)?;
        let found = self.width(pin);
        if found == width { Ok(pin) } else { Err(Error::PinWidth { name: name.into(), expected: width, found }) }
    }

    /// The port to which a pin belongs.
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

    /// Reads bytes of the value of a pin, from byte `byte_offset` on. Byte 0 is the least significant.
    ///
    /// # Panics
    /// If the range is not inside the value, or the pin belongs to another library.
    #[inline]
    pub fn get_bytes(&self, pin: Pin, byte_offset: usize, out: &mut [u8]) {
        if !self.instance.read_bytes(pin.place, byte_offset, out) {
            self.misuse(pin, &format!("is read at byte {byte_offset}, {} bytes", out.len()));
        }
    }

    /// Writes bytes of the value of an input, from byte `byte_offset` on. Byte 0 is the least significant. Bits above
    /// the width are dropped.
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
    ///
    /// # Panics
    /// If the pin belongs to another library.
    pub fn get_wide(&self, pin: Pin) -> Vec<u8> {
        let mut value = vec![0; self.width(pin).div_ceil(8) as usize];
        self.get_bytes(pin, 0, &mut value);
        value
    }

    /// Writes an input of any width from bytes, the least significant first. Missing bytes are set to zero.
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

    /// Evaluates the model after pins were set, without advancing time.
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

    /// Runs one clock cycle: first the low half, in which inputs settle, then the rising edge. The outputs then show
    /// the state after the edge.
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

    /// What ends a run of cycles: that a bit of one of these pins is set.
    ///
    /// # Panics
    /// If a pin is wider than 64 bits, or belongs to another library.
    pub fn watch(&self, pins: &[Pin]) -> Watch {
        let places: Vec<_> = pins.iter().map(|pin| pin.place).collect();
        Watch(self.instance.watches(&places).unwrap_or_else(|| panic!("{pins:?}: one is wider than 64 bits")))
    }

    /// Runs clock cycles as [`Model::cycle`] does, at most `most`; ends after a cycle in which a watched bit is set.
    /// Returns how many. One call takes less time than as many calls of `cycle`.
    ///
    /// # Errors
    /// [`Error::Simulation`], [`Error::Finished`].
    ///
    /// # Panics
    /// If the watch belongs to another library.
    pub fn run(&mut self, most: u64, until: &Watch) -> Result<u64, Error> {
        let (cycles, status) = self.instance.cycles(most, &until.0);
        self.cycles += cycles;
        match status {
            Status::Running => Ok(cycles),
            status => self.stopped(status).map(|()| cycles),
        }
    }

    /// Runs the `final` blocks. To be called once, at the end of a simulation.
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

    /// Number of full clock cycles so far.
    #[inline]
    pub fn cycles(&self) -> u64 {
        self.cycles
    }

    /// Returns the text that the model printed since the last call, if the context keeps a log. At most the last MiB
    /// is kept.
    pub fn take_log(&mut self) -> String {
        self.instance.take_log()
    }

    /// Records a waveform of the clock cycles in `window`, in the format for which the library was built. The file is
    /// complete after the last cycle of the window, after [`Model::close_trace`], or when the model is dropped. If the
    /// disk is full, the simulation goes on, and `close_trace` tells.
    ///
    /// # Errors
    /// [`Error::NotBuiltIn`], [`Error::Toolchain`].
    pub fn open_trace(&mut self, path: &Path, window: Range<u64>) -> Result<(), Error> {
        creatable(path)?;
        let code = self.instance.open_trace(path, window.start, window.end);
        self.trace = Some(path.into());
        // If the file has no room for the names of the signals either, `close_trace` tells.
        self.outcome(if code == 1 { code } else { 0 }, path, "tracing")
    }

    /// Completes and closes the waveform, if there is one.
    ///
    /// # Errors
    /// If it could not be written, with the reason that the operating system gives.
    pub fn close_trace(&mut self) -> std::io::Result<()> {
        let Some(path) = self.trace.take() else { return Ok(()) };
        if self.instance.close_trace() == 0 { Ok(()) } else { Err(unwritten(&path)) }
    }

    /// Writes the coverage counters of this instance in Verilator's format.
    ///
    /// # Errors
    /// [`Error::NotBuiltIn`], [`Error::Toolchain`].
    pub fn write_coverage(&mut self, path: &Path) -> Result<(), Error> {
        creatable(path)?;
        let code = self.instance.write_coverage(path);
        self.outcome(code, path, "coverage")
    }

    fn outcome(&self, code: i32, path: &Path, facility: &'static str) -> Result<(), Error> {
        match code {
            0 => Ok(()),
            1 => Err(Error::NotBuiltIn { top: self.library.top().into(), facility }),
            _ => Err(io(path)(std::io::Error::other("Verilator cannot write it")).into()),
        }
    }
}

/// Checks that the file can be created. The runtime does not report the reason of a failure, so the check comes first.
fn creatable(path: &Path) -> Result<(), Error> {
    Ok(std::fs::File::create(path).map(drop).map_err(io(path))?)
}

/// The reason why a file could not be written, which the runtime does not report: the reason why more cannot be
/// written now.
fn unwritten(path: &Path) -> std::io::Error {
    let more = |mut file: std::fs::File| file.write_all(&[0; 1 << 16]).and_then(|()| file.sync_data());
    let reason = std::fs::File::options().append(true).open(path).and_then(more);
    reason.err().unwrap_or_else(|| std::io::Error::other("the simulator could not write it"))
}

/// Converts a seed to the 31 bits that the runtime accepts. The result is never 0, which means "any seed" to the
/// runtime.
fn fold(seed: u64) -> i32 {
    match (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as i32 {
        0 => 0x7fff_ffff,
        seed => seed,
    }
}
