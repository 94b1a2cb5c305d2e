//! CRC-32 as zlib and Ethernet have it, so that other programs can check what is stored.

/// Table `n` tells what a byte does that `n` other bytes follow.
static TABLES: [[u32; 256]; 16] = tables();

const fn tables() -> [[u32; 256]; 16] {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let mut tables = [[0; 256]; 16];
    let mut byte: u8 = 0;
    loop {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte as usize] = crc;
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    let mut behind = 1;
    while behind < 16 {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[behind - 1][byte];
            tables[behind][byte] = crc >> 8 ^ tables[0][(crc & 0xff) as usize];
            byte += 1;
        }
        behind += 1;
    }
    tables
}

/// A checksum on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crc(u32);

impl Crc {
    pub(crate) const fn new() -> Self {
        Self(u32::MAX)
    }

    pub(crate) fn finish(self) -> u32 {
        !self.0
    }

    /// Takes bytes in whose number is known.
    #[must_use]
    pub(crate) fn fixed(self, bytes: &[u8]) -> Self {
        let mut crc = self.0;
        let (blocks, rest) = bytes.as_chunks::<16>();
        for block in blocks {
            let mixed = (u128::from_le_bytes(*block) ^ u128::from(crc)).to_le_bytes();
            let at = |index: usize| TABLES[15 - index][usize::from(mixed[index])];
            let of_four = |first: usize| at(first) ^ at(first + 1) ^ at(first + 2) ^ at(first + 3);
            crc = of_four(0) ^ of_four(4) ^ of_four(8) ^ of_four(12);
        }
        for byte in rest {
            crc = crc >> 8 ^ TABLES[0][usize::from(crc.to_le_bytes()[0] ^ byte)];
        }
        Self(crc)
    }

    #[must_use]
    pub(crate) fn number(self, number: u64) -> Self {
        self.fixed(&number.to_le_bytes())
    }

    /// Takes in how many bytes there are, and the bytes: so that none can pass from one part to the next.
    #[must_use]
    pub(crate) fn sized(self, bytes: &[u8]) -> Self {
        self.number(bytes.len() as u64).fixed(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Crc;

    #[test]
    fn it_is_the_crc_of_zlib() {
        let crc = |text: &str| Crc::new().fixed(text.as_bytes()).finish();
        assert_eq!(crc(""), 0);
        assert_eq!(crc("123456789"), 0xcbf4_3926);
        assert_eq!(crc("The quick brown fox jumps over the lazy dog"), 0x414f_a339);
    }

    #[test]
    fn blocks_are_taken_in_as_their_bytes_are() {
        let bytes: Vec<u8> = (0..200_u8).map(|at| at.wrapping_mul(167) ^ 0x5a).collect();
        for from in 0..20 {
            for to in from..bytes.len() {
                let part = &bytes[from..to];
                let one_by_one = part.chunks(1).fold(Crc::new(), Crc::fixed);
                assert_eq!(Crc::new().fixed(part).finish(), one_by_one.finish(), "{from}..{to}");
            }
        }
    }
}
