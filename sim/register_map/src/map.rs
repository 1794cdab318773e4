//! The register map, as its file has it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The content of the file, and its hash.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterMap {
    /// Major and minor version.
    pub version: [u32; 2],
    /// First 32 bits of the SHA-256 of the file. The unit's register MAP_HASH has this value.
    #[serde(skip_deserializing)]
    pub hash: u32,
    /// Values that the RTL, the driver and its model agree on.
    #[serde(rename(serialize = "constants"))]
    pub constant: Vec<Constant>,
    /// The registers, by offset.
    #[serde(rename(serialize = "registers"))]
    pub register: Vec<Register>,
    /// The codes of ERROR.CODE.
    #[serde(rename(serialize = "errors"))]
    pub error: Vec<ErrorCode>,
    /// The words of a descriptor.
    #[serde(rename(serialize = "descriptor"))]
    pub descriptor: Vec<DescriptorWord>,
}

/// A named value.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// Name of the constant, in capitals.
    pub name: String,
    /// The value.
    pub value: u32,
    /// Meaning of the constant.
    pub doc: String,
}

/// A register, or a bank of registers with one register for each port.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Name of the register.
    pub name: String,
    /// Offset from the base address in bytes.
    pub offset: u32,
    /// The effect of reads and writes.
    pub access: Access,
    /// Meaning of the register's value.
    pub doc: String,
    /// Fields of the register; empty if the register is one number.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// Most and least significant bit of a register without fields; all 32 bits unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<[u32; 2]>,
    /// Number of registers in the bank; 1 for a single register.
    #[serde(default = "one")]
    pub count: u32,
    /// Bytes from one register of the bank to the next.
    #[serde(default)]
    pub stride: u32,
}

fn one() -> u32 {
    1
}

/// The effect of reads and writes of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Read only.
    Ro,
    /// Read and write.
    Rw,
    /// Writing a one clears the bit.
    W1c,
    /// Write only; reads zero.
    Wo,
}

impl Access {
    /// The access mode's name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ro => "ro",
            Self::Rw => "rw",
            Self::W1c => "w1c",
            Self::Wo => "wo",
        }
    }
}

/// A field: some bits of a register.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name of the field.
    pub name: String,
    /// Most and least significant bit.
    pub bits: [u32; 2],
    /// Meaning of the field.
    pub doc: String,
}

impl Register {
    /// Mask with ones in the bits that are not reserved.
    pub fn mask(&self) -> u32 {
        match self.bits {
            Some(bits) => mask(bits),
            None if self.fields.is_empty() => u32::MAX,
            None => self.fields.iter().fold(0, |all, field| all | field.mask()),
        }
    }
}

/// Mask with ones in the bits `high` to `low`.
fn mask([high, low]: [u32; 2]) -> u32 {
    (u32::MAX >> (31 - high + low)) << low
}

impl Field {
    /// Mask with ones in the bits of the field.
    pub fn mask(&self) -> u32 {
        mask(self.bits)
    }

    /// Number of bits in the field.
    pub fn width(&self) -> u32 {
        self.bits[0] - self.bits[1] + 1
    }
}

/// An error code.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorCode {
    /// Name of the error code.
    pub name: String,
    /// The code.
    pub code: u8,
    /// The error that the code stands for.
    pub doc: String,
}

/// A word of a descriptor, or the first word of an address that has two words.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DescriptorWord {
    /// Name of the word.
    pub name: String,
    /// Index of the word, in words of 32 bits.
    pub word: u32,
    /// Mask of the bits that must be zero.
    #[serde(default)]
    pub reserved: u32,
    /// Content of the word.
    pub doc: String,
}

/// Words of a descriptor, of 32 bits.
pub const DESCRIPTOR_WORDS: u32 = 16;

impl RegisterMap {
    /// For each word of a descriptor, the mask of the bits that must be zero.
    pub fn reserved_bits(&self) -> [u32; DESCRIPTOR_WORDS as usize] {
        let mut words = [0; DESCRIPTOR_WORDS as usize];
        self.descriptor.iter().for_each(|d| words[d.word as usize] |= d.reserved);
        words
    }

    /// Parses the text of a register map file.
    ///
    /// # Errors
    /// If the text is not TOML, lacks a key or has an unknown key, has a field outside its register, or has two
    /// constants, registers, errors or descriptor words with the same name. The message names the problem.
    ///
    /// ```
    /// let bad = register_map::RegisterMap::parse("version = [0, 2]");
    /// assert!(bad.is_err_and(|why| why.contains("constant")));
    /// ```
    pub fn parse(text: &str) -> Result<Self, String> {
        let hash = Sha256::digest(text.as_bytes());
        let hash = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        let map: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        map.check()?;
        Ok(Self { hash, ..map })
    }

    fn check(&self) -> Result<(), String> {
        for r in &self.register {
            if r.bits.is_some_and(|[high, low]| high > 31 || low > high || !r.fields.is_empty()) {
                return Err(format!(
                    "register {}: `bits` must be in 31:0, and a register with fields has none",
                    r.name
                ));
            }
            if let Some(f) = r.fields.iter().find(|f| f.bits[0] > 31 || f.bits[1] > f.bits[0]) {
                let [high, low] = f.bits;
                return Err(format!("field {}.{}: bits {high}:{low} are not in 31:0", r.name, f.name));
            }
        }
        let constants = self.constant.iter().map(|c| &c.name);
        unique("constants", constants.chain(self.register.iter().map(|r| &r.name)))?;
        unique("errors", self.error.iter().map(|e| &e.name))?;
        if let Some(d) = self.descriptor.iter().find(|d| d.word >= DESCRIPTOR_WORDS) {
            return Err(format!("descriptor word {}: a descriptor has no word {}", d.name, d.word));
        }
        unique("descriptor words", self.descriptor.iter().map(|d| &d.name))
    }
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("two {what} are called {name}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "version = [1, 2]\nerror = []\ndescriptor = []\n[[constant]]\nname = \"A\"\nvalue = 3\ndoc = \"a\"\n\
                         [[register]]\nname = \"R\"\noffset = 4\naccess = \"rw\"\ndoc = \"r\"\n\
                         fields = [{ name = \"F\", bits = [7, 4], doc = \"f\" }]\n";

    #[test]
    fn a_small_map_is_read() {
        let map = RegisterMap::parse(SMALL).expect("the map is right");
        let field = &map.register[0].fields[0];
        assert_eq!((map.version, map.register[0].count, map.constant[0].value), ([1, 2], 1, 3));
        assert_eq!((field.mask(), field.width()), (0xf0, 4));
        assert_ne!(map.hash, RegisterMap::parse(&SMALL.replace("\"a\"", "\"b\"")).expect("right too").hash);
        let whole = Field { name: "W".into(), bits: [31, 0], doc: String::new() };
        assert_eq!((whole.mask(), whole.width()), (u32::MAX, 32));
    }

    #[test]
    fn a_wrong_map_is_refused() {
        for (old, new, what) in [
            ("\"rw\"", "\"rx\"", "access"),
            ("[7, 4]", "[4, 7]", "R.F: bits 4:7"),
            ("[7, 4]", "[32, 4]", "R.F: bits 32:4"),
            ("\"R\"", "\"A\"", "called A"),
            ("offset", "ofset", "ofset"),
            ("value = 3\n", "", "value"),
            ("\"r\"\n", "\"r\"\nbits = [3, 0]\n", "register R: `bits`"),
        ] {
            let why = RegisterMap::parse(&SMALL.replace(old, new)).expect_err(new);
            assert!(why.contains(what), "{new}: {why}");
        }
    }
}
