//! CRC-32C (Castagnoli), which guards record batches.
//!
//! With the feature `fast-crc` the processor's own instruction does it; without, tables do, eight bytes at a time.
//!
//! Sources: RFC 3720, appendix B.4.

/// The checksum of `bytes`.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    extend(0, bytes)
}

/// The checksum of what `crc` is the checksum of, followed by `bytes`.
#[cfg(feature = "fast-crc")]
#[inline]
pub(crate) fn extend(crc: u32, bytes: &[u8]) -> u32 {
    ::crc32c::crc32c_append(crc, bytes)
}

/// The checksum of what `crc` is the checksum of, followed by `bytes`.
#[cfg(not(feature = "fast-crc"))]
pub(crate) use by_table as extend;

/// The checksum of two parts, from that of each and the length of the second, of which no byte is looked at.
pub(crate) fn join(front: u32, back: u32, back_len: usize) -> u32 {
    shift(front, back_len) ^ back
}

/// What a difference between two checksums becomes when `len` bytes follow that are the same for both.
pub(crate) fn shift(difference: u32, len: usize) -> u32 {
    let powers = POWERS.iter().enumerate().filter(|(bit, _)| len >> bit & 1 == 1);
    powers.fold(difference, |product, (_, power)| multiply(product, *power))
}

/// `POWERS[n]`: x to the power of 2^n bytes, modulo the polynomial.
const POWERS: [u32; usize::BITS as usize] = {
    let mut powers = [0; usize::BITS as usize];
    // x itself, and then its squares: of one bit, two, four, eight.
    let mut power = 1 << 30;
    let mut squares = 0;
    while squares < 3 {
        power = multiply(power, power);
        squares += 1;
    }
    let mut at = 0;
    while at < powers.len() {
        powers[at] = power;
        power = multiply(power, power);
        at += 1;
    }
    powers
};

/// The product of two polynomials modulo [`POLYNOMIAL`]. The highest bit is the constant term.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 32;
    while bit > 0 {
        bit -= 1;
        product ^= b & (a >> bit & 1).wrapping_neg();
        b = b >> 1 ^ POLYNOMIAL & (b & 1).wrapping_neg();
    }
    product
}

/// The reversed Castagnoli polynomial.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `TABLES[n][b]`: what byte `b` does to the checksum when `n` more bytes follow it.
#[cfg(any(test, not(feature = "fast-crc")))]
static TABLES: [[u32; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ POLYNOMIAL };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut following = 1;
    while following < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[following - 1][byte];
            tables[following][byte] = crc >> 8 ^ tables[0][(crc & 0xff) as usize];
            byte += 1;
        }
        following += 1;
    }
    tables
};

#[cfg(any(test, not(feature = "fast-crc")))]
pub(crate) fn by_table(crc: u32, bytes: &[u8]) -> u32 {
    let (eights, rest) = bytes.as_chunks::<8>();
    let mut crc = !crc;
    for eight in eights {
        let mixed = u64::from_le_bytes(*eight) ^ u64::from(crc);
        let steps = mixed.to_le_bytes().into_iter().zip(TABLES.iter().rev());
        crc = steps.fold(0, |crc, (byte, table)| crc ^ table[usize::from(byte)]);
    }
    !rest.iter().fold(crc, |crc, byte| crc >> 8 ^ TABLES[0][usize::from(crc as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_agree_with_the_rfc() {
        assert_eq!(by_table(0, &[0; 32]), 0x8a91_36aa);
        assert_eq!(by_table(0, &[0xff; 32]), 0x62a8_ab43);
        assert_eq!(by_table(0, b"123456789"), 0xe306_9283);
    }

    #[test]
    fn the_tables_agree_with_the_instruction_at_every_length() {
        let bytes: Vec<u8> = (0..200u32).map(|at| (at * 37 + at / 7) as u8).collect();
        for len in 0..bytes.len() {
            assert_eq!(by_table(0, &bytes[..len]), crc32c(&bytes[..len]), "{len} bytes");
        }
    }

    #[test]
    fn parts_are_summed_one_after_the_other_or_each_alone() {
        let bytes: Vec<u8> = (0..5000u32).map(|at| (at * 31 + at / 5) as u8).collect();
        let whole = crc32c(&bytes);
        for at in (0..100).chain([255, 256, 1024, 4095, 4096, 4999, 5000]) {
            let (front, back) = bytes.split_at(at);
            assert_eq!(extend(crc32c(front), back), whole, "extended at {at}");
            assert_eq!(by_table(by_table(0, front), back), whole, "extended by tables at {at}");
            assert_eq!(join(crc32c(front), crc32c(back), back.len()), whole, "joined at {at}");
        }
    }
}
