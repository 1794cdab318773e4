//! What a vector unit is built with.

/// Elements of a sum that belong to partial sums of their own: golden's order of sums.
pub const PARTIALS: usize = 32;

/// The parameters of a vector unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VectorConfig {
    /// Lanes: singles of a word, 8, 16 or 32.
    pub lanes: usize,
    /// Memory ports for reading, 1 or 2.
    pub ports: usize,
    /// Bits of a beat of a memory port, 64 or 128.
    pub port_bits: usize,
    /// Words of the scratchpad.
    pub words: usize,
    /// Accumulators of a lane.
    pub accs: usize,
    /// Words of a stream that a block may have.
    pub stream_words: usize,
}

impl VectorConfig {
    /// A unit of `lanes` lanes with 32,768 singles of scratchpad; with 8 lanes, for small devices, half of that. With 32
    /// lanes, the words of a stream come at the rate of attention only through two ports.
    pub const fn of(lanes: usize) -> Self {
        let port_bits = if lanes == 8 { 64 } else { 128 };
        let ports = if lanes == 32 { 2 } else { 1 };
        Self {
            lanes,
            ports,
            port_bits,
            words: if lanes == 8 { 2048 } else { 32_768 / lanes },
            accs: 64,
            stream_words: 32,
        }
    }

    /// The unit for memory ports of `port_bits` bits.
    pub const fn for_ports_of(port_bits: usize) -> Self {
        Self::of(if port_bits == 64 { 8 } else { 32 })
    }

    /// Bytes of a beat.
    pub const fn port_bytes(&self) -> usize {
        self.port_bits / 8
    }

    /// Words that hold the partial sums of one sum.
    pub const fn sets(&self) -> usize {
        PARTIALS / self.lanes
    }
}
