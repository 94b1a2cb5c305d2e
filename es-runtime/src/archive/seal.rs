use uuid::Uuid;

/// The checksum of a line, which is also that of all lines before it: a line that is altered, lost, repeated or moved does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal(Uuid);

impl Default for Seal {
    /// The seal before the first line.
    fn default() -> Self {
        Self(Uuid::from_u128(0x2f5d_93a1_7c0e_4b68_8a41_d6e3_905b_1c7f))
    }
}

impl Seal {
    /// Takes in the next line, as it stands behind its seal.
    pub(super) fn take(&mut self, rest: &[u8]) {
        self.0 = Uuid::new_v5(&self.0, rest);
    }

    /// Returns the start of the line that was taken in last, up to where the rest begins.
    pub(super) fn prefix(self) -> Prefix {
        let mut prefix = *b"{\"sum\":\"00000000-0000-0000-0000-000000000000\",";
        self.0.as_hyphenated().encode_lower(&mut prefix[8..44]);
        prefix
    }
}

/// The start of a line: its seal, in the form in which it is written.
pub(super) type Prefix = [u8; PREFIX];

/// The length of the start of a line.
pub(super) const PREFIX: usize = 46;
