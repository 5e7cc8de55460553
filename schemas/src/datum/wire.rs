//! What every datum is made of: bytes as they are, and zigzag varints.

/// Bytes of the longest varint.
const VARINT_BYTES_MAX: usize = 10;

/// Appends a zigzag varint, Avro's form of every integer.
#[inline]
pub(crate) fn write_long(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    if rest < 0x80 {
        out.push(low_byte(rest));
        return;
    }
    let mut bytes = [0; VARINT_BYTES_MAX];
    let mut length = 0;
    for byte in &mut bytes {
        *byte = low_byte(rest) | 0x80;
        length += 1;
        rest >>= 7;
        if rest == 0 {
            *byte &= 0x7f;
            break;
        }
    }
    // All ten bytes are copied: with a length that the compiler knows, that is two moves and no call.
    let end = out.len() + length;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0]
}

/// What is not read yet.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    /// The next bytes.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("the datum ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next zigzag varint.
    #[inline]
    pub(crate) fn long(&mut self) -> Result<i64, &'static str> {
        let (&first, rest) = self.0.split_first().ok_or("the datum ends early")?;
        self.0 = rest;
        let first = u64::from(first);
        let zigzag = if first < 0x80 { first } else { self.longer(first & 0x7f)? };
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    /// The rest of a varint of several bytes.
    fn longer(&mut self, first_bits: u64) -> Result<u64, &'static str> {
        let mut zigzag = first_bits;
        for (at, &byte) in self.0.iter().enumerate().take(VARINT_BYTES_MAX - 1) {
            let shift = 7 * (at + 1);
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            zigzag |= bits << shift;
            if byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Ok(zigzag);
            }
        }
        let is_cut = self.0.len() < VARINT_BYTES_MAX - 1;
        Err(if is_cut { "the datum ends early" } else { "an integer has more than 64 bits" })
    }

    /// A length, and so many bytes.
    #[inline]
    pub(crate) fn length_and_bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let length = usize::try_from(self.long()?).map_err(|_| "a length is negative")?;
        self.take(length)
    }

    /// How many items the next block of an array has; 0 ends the array.
    ///
    /// No array has more items than bytes: what claims more is refused before anything is allocated for it.
    #[inline]
    pub(crate) fn block(&mut self) -> Result<usize, &'static str> {
        let claimed = self.long()?;
        if claimed < 0 {
            // The block's size in bytes, for readers that pass over it.
            self.long()?;
        }
        let count = usize::try_from(claimed.unsigned_abs()).unwrap_or(usize::MAX);
        if count > self.0.len() {
            return Err("an array claims more items than the datum has bytes");
        }
        Ok(count)
    }
}
