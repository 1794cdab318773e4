//! The output head on both units: the ternary unit ranks all rows, the vector unit computes the logits of some, and a
//! processor chooses.
//!
//! Every row has an upper estimate of its logit ([`golden::ranking`]). A row whose estimate is below a logit that is known
//! cannot be the largest, but for the probability that the margin states. So the processor goes through the estimates,
//! chunk by chunk, and has the exact logits computed of all rows whose estimate is not below the largest logit so far.
//! However many these are, all of them are computed: in a head of equal rows, that is every row. And however few, some are
//! computed in each chunk, because that costs no time: the ternary unit takes longer. So where few logits are large, the
//! margin is larger than was asked for.

use alloc::vec::Vec;

use tmv::descriptor::DESCRIPTOR_BYTES;
use tmv::device::Device;
use tmv::driver::Weights;
use tmv::regs as ternary;
use vector::head::{CHUNKS, EXACT, GROUPS, Head, HeadPrograms, PLACES, TAGS};
use vector::instruction::{ADDRESS_WORD, WORDS};
use vector::layer::Unfit;
use vector::{VectorConfig, regs};

use crate::job::Region;
use crate::whole::{Error, POLLS, Units};

/// The first word of a job of this kind.
const MAGIC: u32 = 0x4A4F_4248;
/// log2 of the descriptors in both rings. At most three programs are queued.
const RINGS: [u32; 2] = [CHUNKS.trailing_zeros(), 4];
/// Bytes of both rings, and of the descriptors of all programs.
const RING_BYTES: usize = DESCRIPTOR_BYTES * ((1 << RINGS[0]) + (1 << RINGS[1]));
const TEMPLATE_BYTES: usize = DESCRIPTOR_BYTES * (1 + CHUNKS + EXACT);
/// The most rows of a program.
const ROWS: usize = 8 * GROUPS;
/// Rows of a block: those among which a tag gives a place.
const BLOCK_ROWS: u32 = PLACES as u32;
/// Blocks whose tags are searched at a time.
const BLOCKS: usize = 32;
/// Blocks of a chunk whose largest estimates always count.
const FIRST: usize = 4;
/// Bytes of a cache line.
const LINE: u32 = 64;
/// Programs after which only full ones are started. The unit counts them in 16 bits; [`Head::check`] limits the full ones.
const EAGER: u16 = 1 << 13;
/// Words of a descriptor that are not zero.
const USED_WORDS: usize = regs::DESC_PROGRAM_HI + 1;
/// The bits of 2^23: tags of 0 and more below it are exact integers.
const INTEGERS: u32 = 0x4b00_0000;
/// Shares of a logit that its rounding can be wrong by, for the estimates of other rows: of fp32 sums, and of bfloat16.
const SLACK: [f32; 2] = [1.0 / 262_144.0, 1.0 / 128.0];

/// A head that was placed, for the processor that runs it. Offsets are in bytes, from the begin of `shared`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadJob {
    /// Memory that processor and units share: rings, programs, and all that the units write.
    pub shared: Region,
    /// Physical address of `shared`.
    pub base: u64,
    /// Physical address of the head's rows.
    pub exact: u64,
    /// Bytes of a row of the head.
    pub row_bytes: u32,
    /// Rows of the head.
    pub rows: u32,
    /// Lanes of the vector unit.
    pub lanes: u32,
    /// Blocks of all rows, and of a chunk.
    pub blocks: [u32; 2],
    /// Rows of a group, whose logits are computed together.
    pub group: u32,
    /// Whether logits are rounded to bfloat16.
    pub rounded: bool,
    /// Offset of the programs for exact logits.
    pub programs: u32,
    /// Offset of their logits.
    pub logits: u32,
    /// Offset of the estimates.
    pub estimates: u32,
    /// Offset of the tags, and bytes of the largest ones of a chunk.
    pub tags: [u32; 2],
    /// Offset of the numbers, a word of the vector unit each.
    pub numbers: u32,
    /// Offset of the log: for each of these programs, the rows whose logits it computed.
    pub log: u32,
    /// Memory of the processor alone.
    pub heap: Region,
    /// Room for records.
    pub records: Region,
}

/// A head in memory.
#[derive(Clone, Debug)]
pub struct PlacedHead {
    /// Where everything is.
    pub head: Head,
    /// The programs.
    pub programs: HeadPrograms,
    /// The job. Its regions have no addresses of the processor yet.
    pub job: HeadJob,
    /// What has to be in memory at the begin of the shared region: rings, descriptors, and behind them the programs.
    pub bytes: [(usize, Vec<u8>); 2],
}

/// Rings, descriptors and programs of a head, for a shared region at the physical address `at`, a multiple of 64. `head`
/// has the places of what the units read.
///
/// # Errors
/// [`Unfit`].
pub fn place(mut head: Head, weights: &Weights, config: VectorConfig, at: u64) -> Result<PlacedHead, Unfit> {
    let results = head.place_results(&config, at + (RING_BYTES + TEMPLATE_BYTES) as u64);
    let code = results + 4 * EXACT as u64;
    let programs = head.programs(config)?;
    let mut first = Vec::new();
    for (index, chunk) in programs.chunks.iter().enumerate() {
        let rows = chunk.start * config.lanes..head.rows.min(chunk.end * config.lanes);
        let y = head.results.accumulators + 4 * rows.start as u64;
        let mut descriptor =
            weights.part(rows).descriptor(1, head.results.codes, head.cols.next_multiple_of(DESCRIPTOR_BYTES), y);
        descriptor.keep_x = index > 0;
        first.extend(descriptor.encode());
    }
    first.resize(RING_BYTES, 0);
    let mut begin = 0;
    for end in &programs.ends {
        let address = code + (begin * regs::INSTR_BYTES as usize) as u64;
        first.extend(vector::driver::descriptor(address, end - begin, false).into_iter().flat_map(u32::to_le_bytes));
        begin = *end;
    }
    let instructions: Vec<u8> =
        programs.code.code().iter().flat_map(|i| i.encode()).flat_map(u32::to_le_bytes).collect();
    let offset = |address: u64| (address - at) as u32;
    let code = offset(code);
    let none = Region { address: 0, bytes: 0 };
    let job = HeadJob {
        shared: Region { address: 0, bytes: code + instructions.len() as u32 },
        base: at,
        exact: head.exact,
        row_bytes: head.row_bytes() as u32,
        rows: head.rows as u32,
        lanes: config.lanes as u32,
        blocks: [head.words(&config), programs.chunks.first().map_or(0, ExactSizeIterator::len)]
            .map(|words| (words * config.lanes / PLACES) as u32),
        group: programs.group as u32,
        rounded: head.dtype == golden::Dtype::Bf16,
        programs: code + programs.exact as u32 * regs::INSTR_BYTES,
        logits: offset(head.results.logits),
        estimates: offset(head.results.estimates),
        tags: [offset(head.results.tags), head.tag_bytes(&config) as u32],
        numbers: offset(head.results.numbers),
        log: offset(results),
        heap: none,
        records: none,
    };
    Ok(PlacedHead { head, programs, job, bytes: [(0, first), (code as usize, instructions)] })
}

impl HeadJob {
    /// Words of a job.
    pub const WORDS: usize = 26;

    /// The job as words, little endian in memory.
    pub fn to_words(&self) -> [u32; Self::WORDS] {
        let Self { shared, base, exact, row_bytes, rows, lanes, blocks, group, rounded, .. } = *self;
        let Self { programs, logits, estimates, tags, numbers, log, heap, records, .. } = *self;
        [
            MAGIC,
            shared.address,
            shared.bytes,
            base as u32,
            (base >> 32) as u32,
            exact as u32,
            (exact >> 32) as u32,
            row_bytes,
            rows,
            lanes,
            blocks[0],
            blocks[1],
            group,
            u32::from(rounded),
            programs,
            logits,
            estimates,
            tags[0],
            tags[1],
            numbers,
            log,
            heap.address,
            heap.bytes,
            records.address,
            records.bytes,
            // So that a job that is cut short is none.
            !MAGIC,
        ]
    }

    /// The job in `words`; `None` if they are no job of this kind.
    pub fn from_words(words: &[u32]) -> Option<Self> {
        let w = words.first_chunk::<{ Self::WORDS }>()?;
        let region = |at: usize| Region { address: w[at], bytes: w[at + 1] };
        let long = |at: usize| u64::from(w[at]) | u64::from(w[at + 1]) << 32;
        let sized = w[8] > 0 && [8, 16, 32].contains(&w[9]) && (1..=(ROWS / GROUPS) as u32).contains(&w[12]);
        let chunked = w[11] > 0 && w[10].div_ceil(w[11].max(1)) <= CHUNKS as u32;
        (w[0] == MAGIC && w[25] == !MAGIC && sized && chunked).then(|| Self {
            shared: region(1),
            base: long(3),
            exact: long(5),
            row_bytes: w[7],
            rows: w[8],
            lanes: w[9],
            blocks: [w[10], w[11]],
            group: w[12],
            rounded: w[13] != 0,
            programs: w[14],
            logits: w[15],
            estimates: w[16],
            tags: [w[17], w[18]],
            numbers: w[19],
            log: w[20],
            heap: region(21),
            records: region(23),
        })
    }
}

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The row with the largest logit; of several, the first.
    pub row: u32,
    /// The bits of its logit.
    pub logit: u32,
    /// Logits that were computed.
    pub logits: u32,
}

impl<T: Device, V: Device> Units<T, V> {
    /// Chooses the row of a head with the largest logit. This can be done once after the units were opened. The memory of
    /// the vector unit's device is `job.shared`; it begins at a multiple of four.
    ///
    /// # Errors
    /// [`Error`].
    pub fn head(&mut self, job: &HeadJob) -> Result<Chosen, Error> {
        self.rings(job.base, RINGS)?;
        let mut search = Search {
            units: self,
            job,
            rung: 0,
            program: 0,
            filled: 0,
            rows: [0; ROWS],
            before: [0; ROWS],
            running: None,
            estimated: [0; CHUNKS],
            counts: [i32::MAX; CHUNKS],
            done: [i32::MAX; CHUNKS],
            scale: 0.0,
            cut: 0.0,
            best: (i32::MIN, 0, 0),
            threshold: i32::MIN,
            least_tag: i32::MIN,
            logits: 0,
        };
        search.run()?;
        Ok(Chosen { row: search.best.1, logit: search.best.2, logits: search.logits })
    }
}

/// Rows of some blocks, those of the tags that are large enough.
struct Rows {
    rows: [u32; TAGS * BLOCKS],
    count: usize,
}

impl Rows {
    fn push(&mut self, row: u32) {
        self.rows[self.count] = row;
        self.count += 1;
    }

    fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows[..self.count].iter().copied()
    }
}

/// The search for the largest logit.
struct Search<'a, T, V> {
    units: &'a mut Units<T, V>,
    job: &'a HeadJob,
    /// Programs started.
    rung: u16,
    /// The program that computes the next logits, the rows collected for it so far, and those of the program before.
    program: usize,
    filled: usize,
    rows: [u32; ROWS],
    before: [u32; ROWS],
    /// The program before, if its logits were not taken yet: its number, the programs that were started when it was, and
    /// its rows.
    running: Option<(usize, u16, usize)>,
    /// For each chunk: the programs that were started when that of its estimates was.
    estimated: [u16; CHUNKS],
    /// For each chunk, the key of the least tag whose row always counts.
    counts: [i32; CHUNKS],
    /// For each chunk, the key of the least tag that was searched for: rows with larger ones were added.
    done: [i32; CHUNKS],
    /// The scale of the codes, and the factor by which an estimate becomes an integer.
    scale: f32,
    cut: f32,
    /// The largest logit so far: its key, its row and its bits.
    best: (i32, u32, u32),
    /// The key of the least estimate with which a row can have a logit as large.
    threshold: i32,
    /// The key of the least tag of such an estimate.
    least_tag: i32,
    logits: u32,
}

/// An integer in the order of the floats with these bits.
fn key(bits: u32) -> i32 {
    let bits = bits as i32;
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

/// The integer that a float of 0 or more, below 2^23, is, without its fraction. A core without floats takes long to
/// convert it.
fn integer(bits: u32) -> u32 {
    let significand = bits & 0x007f_ffff | 0x0080_0000;
    significand.checked_shr(150u32.saturating_sub(bits >> 23)).unwrap_or(0)
}

impl<T: Device, V: Device> Search<'_, T, V> {
    fn run(&mut self) -> Result<(), Error> {
        // Weights of the first chunk are read while the vector unit computes its input.
        let chunks = self.chunks();
        self.units.ring_ternary(chunks as u16, 0)?;
        self.start(0)?;
        self.wait(self.rung)?;
        [self.scale, self.cut] =
            [0, 2].map(|number| f32::from_bits(self.words(self.job.numbers + 4 * number * self.job.lanes, 1)[0]));
        self.units.ring_ternary(chunks as u16, chunks as u16)?;
        let warm = chunks.div_ceil(4);
        for chunk in 0..chunks {
            self.estimate(chunk)?;
            // The estimates of the next chunk come while this one is searched.
            if chunk + 1 < chunks && self.products()? > chunk + 1 {
                self.estimate(chunk + 1)?;
            }
            self.wait(self.estimated[chunk as usize])?;
            // A large logit is known before the first chunk is searched for all rows that count, so fewer do.
            self.rank(chunk)?;
            if chunk < warm {
                self.best_of(chunk)?;
            }
            if chunk + 1 >= warm {
                let first = if chunk + 1 == warm { 0 } else { chunk };
                (first..=chunk).try_for_each(|chunk| self.scan(chunk, i32::MIN))?;
            }
        }
        self.finish()
    }

    /// Products that the ternary unit has completed.
    fn products(&mut self) -> Result<u32, Error> {
        Ok(self.units.ternary.read_register(ternary::RING_HEAD)?)
    }

    /// Has the estimates of a chunk computed when its products are there, unless that was done before.
    fn estimate(&mut self, chunk: u32) -> Result<(), Error> {
        if self.estimated[chunk as usize] == 0 {
            self.units.wait_ternary(Some(chunk as u16 + 1))?;
            self.start(1 + chunk)?;
            self.estimated[chunk as usize] = self.rung;
        }
        Ok(())
    }

    /// The shared memory as words.
    fn memory(&mut self) -> &mut [u32] {
        bytemuck::cast_slice_mut(self.units.vector.device().memory())
    }

    /// Words of the shared memory.
    fn words(&mut self, offset: u32, count: u32) -> &[u32] {
        &self.memory()[offset as usize / 4..][..count as usize]
    }

    /// Makes visible to the units what the processor wrote to `bytes` bytes from `offset` on.
    fn publish(&mut self, offset: u32, bytes: u32) -> Result<(), Error> {
        let range = offset as usize..(offset + bytes) as usize;
        Ok(self.units.vector.device().to_device(range)?)
    }

    /// Starts a program.
    fn start(&mut self, program: u32) -> Result<(), Error> {
        self.start_part(program, None)
    }

    /// Starts the first instructions of a program, so many if a number is given.
    fn start_part(&mut self, program: u32, count: Option<u32>) -> Result<(), Error> {
        const BYTES: u32 = DESCRIPTOR_BYTES as u32;
        let slot = (1 << RINGS[0]) + u32::from(self.rung) % (1 << RINGS[1]);
        let (template, to) = (RING_BYTES as u32 + program * BYTES, slot * BYTES);
        // All other words are zero, or those of a record.
        let mut words: [u32; USED_WORDS] = self.words(template, USED_WORDS as u32).try_into().unwrap_or_default();
        words[regs::DESC_COUNT] = count.unwrap_or(words[regs::DESC_COUNT]);
        self.memory()[to as usize / 4..][..USED_WORDS].copy_from_slice(&words);
        self.publish(to, BYTES)?;
        self.rung += 1;
        let device = self.units.vector.device();
        device.barrier();
        Ok(device.write_register(regs::RING_TAIL, u32::from(self.rung))?)
    }

    /// Waits until so many programs are complete.
    fn wait(&mut self, programs: u16) -> Result<(), Error> {
        self.units.vector.wait_for(programs, POLLS)?;
        let device = self.units.vector.device();
        device.barrier();
        Ok(device.from_device(0..self.job.shared.bytes as usize)?)
    }

    fn chunks(&self) -> u32 {
        self.job.blocks[0].div_ceil(self.job.blocks[1])
    }

    /// The first block of a chunk, and the number of its blocks.
    fn chunk(&self, chunk: u32) -> (u32, u32) {
        let [all, step] = self.job.blocks;
        (chunk * step, step.min(all - chunk * step))
    }

    /// Where the tags of a chunk are, from one of its blocks on: the largest ones, and words from these to the second ones.
    fn tags(&self, chunk: u32, block: u32) -> (usize, usize) {
        let [tags, bytes] = self.job.tags;
        ((tags + chunk * TAGS as u32 * bytes + 4 * block) as usize / 4, bytes as usize / 4)
    }

    /// Finds the blocks of a chunk that have the largest tags.
    fn rank(&mut self, chunk: u32) -> Result<(), Error> {
        let (first, count) = self.chunk(chunk);
        let mut best = [(i32::MIN, 0); FIRST];
        let (at, _) = self.tags(chunk, 0);
        for (block, bits) in self.memory()[at..][..count as usize].iter().enumerate() {
            // In ascending order: the least one leaves.
            let (key, mut place) = (key(*bits), 0);
            if key > best[0].0 {
                while place + 1 < FIRST && best[place + 1].0 < key {
                    best[place] = best[place + 1];
                    place += 1;
                }
                best[place] = (key, first + block as u32);
            }
        }
        // If there are few blocks, or if tags say nothing about their places, some row of each block.
        if best[0].0 <= 0 {
            let blocks = best.into_iter().rev().filter(|(key, _)| *key > i32::MIN);
            blocks.map(|(_, block)| block * BLOCK_ROWS).try_for_each(|row| self.add(row))?;
        } else {
            self.counts[chunk as usize] = best[0].0;
        }
        Ok(())
    }

    /// Has the logits computed of the rows of a chunk that always count.
    fn best_of(&mut self, chunk: u32) -> Result<(), Error> {
        let least = self.counts[chunk as usize];
        if least < i32::MAX {
            self.scan(chunk, least)?;
        }
        self.finish()
    }

    /// Has the logits computed of all rows of a chunk that count, and whose tags have the key `floor` or a larger one,
    /// unless that was done before.
    fn scan(&mut self, chunk: u32, floor: i32) -> Result<(), Error> {
        let (first, count) = self.chunk(chunk);
        let always = self.counts[chunk as usize];
        let done = core::mem::replace(&mut self.done[chunk as usize], self.least_tag.max(floor).min(always));
        for begin in (0..count).step_by(BLOCKS) {
            // A list first, and then what takes long: waiting for the unit empties the cache.
            let (mut rows, mut full) = (Rows { rows: [0; TAGS * BLOCKS], count: 0 }, 0u32);
            let least = self.least_tag.max(floor).min(always);
            let (at, step) = self.tags(chunk, begin);
            let tags = &self.memory()[at..];
            for block in 0..(count - begin).min(BLOCKS as u32) {
                let ranked = tags[block as usize..].iter().step_by(step).take(TAGS);
                let (before, mut large) = (rows.count, 0);
                for tag in ranked.take_while(|tag| key(**tag) >= least) {
                    // In place of the larger tags, the others have zeros.
                    if least <= 0 || *tag >= INTEGERS {
                        large = TAGS;
                        break;
                    }
                    if key(*tag) < done {
                        rows.push((first + begin + block) * BLOCK_ROWS + integer(*tag) % BLOCK_ROWS);
                    }
                    large += 1;
                }
                if large == TAGS {
                    (rows.count, full) = (before, full | 1 << block);
                }
            }
            rows.iter().try_for_each(|row| self.add(row))?;
            while full != 0 {
                self.scan_block(first + begin + full.trailing_zeros())?;
                full &= full - 1;
            }
        }
        Ok(())
    }

    /// Has the logits computed of all rows of a block whose estimates are large enough.
    fn scan_block(&mut self, block: u32) -> Result<(), Error> {
        let row = block * BLOCK_ROWS;
        let mut estimates = [0; PLACES];
        estimates.copy_from_slice(self.words(self.job.estimates + 4 * row, BLOCK_ROWS));
        for (place, bits) in estimates.iter().enumerate() {
            if key(*bits) >= self.threshold {
                self.add(row + place as u32)?;
            }
        }
        Ok(())
    }

    /// Adds a row to those whose logits are computed. The last block may have more rows than the head.
    fn add(&mut self, row: u32) -> Result<(), Error> {
        if row < self.job.rows {
            self.rows[self.filled] = row;
            self.filled += 1;
            let group = self.job.group as usize;
            // A unit that has nothing to do gets what there is.
            if self.filled == GROUPS * group || (self.filled.is_multiple_of(2 * group) && self.is_idle()?) {
                self.submit()?;
            }
        }
        Ok(())
    }

    /// Whether all programs are complete.
    fn is_idle(&mut self) -> Result<bool, Error> {
        if self.rung > EAGER {
            return Ok(false);
        }
        let head = self.units.vector.device().read_register(regs::RING_HEAD)?;
        Ok(head as u16 == self.rung)
    }

    /// Starts the program with the rows that were collected, and takes the results of the one before.
    fn submit(&mut self) -> Result<(), Error> {
        const PROGRAM: u32 = (GROUPS as u32) * regs::INSTR_BYTES;
        let (program, filled, job) = (self.program, self.filled, self.job);
        let of_group = job.group + HeadPrograms::REST as u32;
        let at = job.programs + program as u32 * of_group * PROGRAM;
        let count = (filled as u32).div_ceil(job.group) * of_group;
        // The programs have the upper half of the first row's address.
        let last = job.exact + u64::from(job.rows) * u64::from(job.row_bytes);
        let crosses = (job.exact >> 32) != (last >> 32);
        // A group that is not full computes the first row again.
        let first = self.rows[0];
        self.rows[filled..].fill(first);
        let rows = self.rows;
        let words = &mut self.memory()[at as usize / 4..][..count as usize * WORDS];
        let load = |(index, _): &(usize, _)| (*index as u32 % of_group) < job.group;
        for ((_, instruction), row) in words.chunks_exact_mut(WORDS).enumerate().filter(load).zip(rows) {
            instruction[ADDRESS_WORD] = (job.exact as u32).wrapping_add(row.wrapping_mul(job.row_bytes));
            if crosses {
                let address = job.exact + u64::from(row) * u64::from(job.row_bytes);
                instruction[ADDRESS_WORD + 1] = (address >> 32) as u32;
            }
        }
        self.memory()[job.log as usize / 4 + program] = filled as u32;
        self.publish((job.log + 4 * program as u32) / LINE * LINE, LINE)?;
        self.publish(at, count * regs::INSTR_BYTES)?;
        self.start_part(1 + self.chunks() + program as u32, Some(count))?;
        self.collect()?;
        (self.running, self.before) = (Some((program, self.rung, filled)), rows);
        (self.program, self.filled) = (if program + 1 < EXACT { program + 1 } else { EXACT - 2 }, 0);
        Ok(())
    }

    /// Takes the results of the program before, if that was not done.
    fn collect(&mut self) -> Result<(), Error> {
        let Some((program, rung, count)) = self.running.take() else { return Ok(()) };
        self.wait(rung)?;
        self.logits += count as u32;
        let (group, lanes) = (self.job.group as usize, self.job.lanes as usize);
        let mut logits = [0; ROWS];
        let at = self.job.logits as usize / 4 + program * GROUPS * lanes;
        let memory = self.memory();
        for (part, logits) in logits[..count].chunks_mut(group).enumerate() {
            logits.copy_from_slice(&memory[at + part * lanes..][..logits.len()]);
        }
        for (index, bits) in logits[..count].iter().copied().enumerate() {
            let row = self.before[index];
            if f32::from_bits(bits).is_nan() || f32::from_bits(bits).is_infinite() {
                return Err(Error::Logit { row });
            }
            // Zeros are equal.
            let key = if bits == 1 << 31 { 0 } else { key(bits) };
            if key > self.best.0 {
                let limit = f32::from_bits(bits) * self.scale;
                let limit = limit - limit.abs() * SLACK[usize::from(self.job.rounded)];
                self.threshold = self::key(limit.to_bits());
                self.least_tag = self::key((libm::truncf(limit * self.cut) * PLACES as f32).to_bits());
            }
            if key > self.best.0 || (key == self.best.0 && row < self.best.1) {
                self.best = (key, row, bits);
            }
        }
        Ok(())
    }

    /// Has all logits computed that were asked for.
    fn finish(&mut self) -> Result<(), Error> {
        if self.filled > 0 {
            self.submit()?;
        }
        self.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_round_trips() {
        let region = |n: u32| Region { address: n << 8, bytes: n };
        let job = HeadJob {
            shared: region(1),
            base: 0x9_0000_0040,
            exact: 0x8_0000_0080,
            row_bytes: 2,
            rows: 3,
            lanes: 16,
            blocks: [40, 5],
            group: 6,
            rounded: true,
            programs: 7,
            logits: 9,
            estimates: 11,
            tags: [12, 13],
            numbers: 14,
            log: 15,
            heap: region(17),
            records: region(18),
        };
        let words = job.to_words();
        assert_eq!(HeadJob::from_words(&words), Some(job));
        assert_eq!(HeadJob::from_words(&words[..HeadJob::WORDS - 1]), None);
        assert_eq!(HeadJob::from_words(&[0; HeadJob::WORDS]), None);
        // A job whose last word was not written.
        assert_eq!(HeadJob::from_words(&[&words[..HeadJob::WORDS - 1], &[0]].concat()), None);
        for damaged in [
            HeadJob { group: 9, ..job },
            HeadJob { lanes: 64, ..job },
            HeadJob { blocks: [4, 0], ..job },
            HeadJob { blocks: [CHUNKS as u32 + 1, 1], ..job },
        ] {
            assert_eq!(HeadJob::from_words(&damaged.to_words()), None);
        }
    }

    #[test]
    fn integers_of_tags() {
        for tag in [0, 1, 2, 31, 32, 33, 4_095, 65_536, 1_048_577, (1 << 23) - 1] {
            assert_eq!(integer((tag as f32).to_bits()), tag);
        }
        assert!((8_388_607.0f32).to_bits() < INTEGERS && (8_388_608.0f32).to_bits() == INTEGERS);
    }

    #[test]
    fn keys_have_the_order_of_floats() {
        let sorted = [f32::NEG_INFINITY, -3.0, -1e-40, 0.0, 1e-45, 2.0, f32::INFINITY];
        assert!(sorted.windows(2).all(|pair| key(pair[0].to_bits()) < key(pair[1].to_bits())));
    }
}
