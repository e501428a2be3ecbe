//! CRC-32C (Castagnoli), which guards record batches.
//!
//! With the feature `fast-crc` the processor's own instruction does it; without, tables do, eight bytes at a time.
//!
//! Sources: RFC 3720, appendix B.4.

/// The checksum of `bytes`.
#[cfg(feature = "fast-crc")]
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

/// The checksum of `bytes`.
#[cfg(not(feature = "fast-crc"))]
pub(crate) use by_table as crc32c;

/// The reversed Castagnoli polynomial.
#[cfg(any(test, not(feature = "fast-crc")))]
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
pub(crate) fn by_table(bytes: &[u8]) -> u32 {
    let (eights, rest) = bytes.as_chunks::<8>();
    let mut crc = !0;
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
        assert_eq!(by_table(&[0; 32]), 0x8a91_36aa);
        assert_eq!(by_table(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(by_table(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn the_tables_agree_with_the_instruction_at_every_length() {
        let bytes: Vec<u8> = (0..200u32).map(|at| (at * 37 + at / 7) as u8).collect();
        for len in 0..bytes.len() {
            assert_eq!(by_table(&bytes[..len]), crc32c(&bytes[..len]), "{len} bytes");
        }
    }
}
