use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn codecs() -> impl Iterator<Item = Compression> {
    Compression::ALL.into_iter().filter(|codec| *codec != Compression::None && codec.is_available())
}

fn compress(level: impl Into<CompressionLevel>, input: &[u8]) -> Bytes {
    let mut compressor = Compressor::new(level).expect("the codec is available");
    let compressed = compressor.compress(input).expect("the input is small");
    Bytes::copy_from_slice(compressed.unwrap_or(input))
}

/// Text that compresses, of this many bytes.
fn text(len: usize) -> Vec<u8> {
    (0..)
        .flat_map(|n: u32| format!("{{\"id\":{n},\"name\":\"n{}\"}}", n % 7).into_bytes())
        .take(len)
        .collect()
}

#[test]
fn names_and_ids_are_those_of_kafka() {
    let names: Vec<_> = Compression::ALL.map(|codec| (codec.id(), codec.to_string())).into();
    let expected =
        [(0, "none"), (1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")].map(|(id, n)| (id, n.into()));
    assert_eq!(names, expected);
    for codec in Compression::ALL {
        assert_eq!(Compression::from_id(codec.id()), Some(codec));
        assert_eq!(codec.name().parse(), Ok(codec));
    }
    assert_eq!(Compression::from_id(5), None);
    assert_eq!("GZIP".parse::<Compression>(), Err(UnknownCompression));
}

#[test]
fn levels_outside_the_codecs_range_are_refused() {
    assert_eq!(Compression::Gzip.level(-1), Ok(Compression::Gzip.default_level()));
    for (codec, good, bad) in [
        (Compression::Gzip, vec![1, 9], vec![-2, 0, 10]),
        (Compression::Lz4, vec![1, 17], vec![0, 18]),
        (Compression::Zstd, vec![-131_072, 0, 22], vec![-131_073, 23]),
        (Compression::Snappy, vec![], vec![0, 1]),
        (Compression::None, vec![], vec![0, 1]),
    ] {
        for level in good {
            assert_eq!(codec.level(level).map(|l| (l.codec(), l.level())), Ok((codec, level)));
        }
        for level in bad {
            assert_eq!(codec.level(level), Err(CompressionError::Level { codec, level }));
        }
    }
    let error = CompressionError::Level { codec: Compression::Gzip, level: 10 };
    assert_eq!(error.to_string(), "gzip has no level 10: use 1 to 9");
}

#[test]
fn every_level_comes_back() {
    let input = text(100_000);
    for codec in codecs() {
        let levels = match codec {
            Compression::Gzip => vec![1, 6, 9],
            Compression::Zstd => vec![-50, -1, 1, 3, 9],
            Compression::Lz4 => vec![1, 17],
            _ => vec![],
        };
        let levels = levels.into_iter().map(|level| codec.level(level).expect("a level of the codec"));
        for level in levels.chain([codec.into()]) {
            let compressed = compress(level, &input);
            assert!(compressed.len() < input.len(), "{level:?}: {} bytes", compressed.len());
            assert_eq!(decompress(codec, compressed, input.len()).expect("valid"), input, "{level:?}");
        }
    }
}

#[test]
fn a_compressor_is_used_for_many_batches() {
    for codec in codecs() {
        let mut compressor = Compressor::new(codec).expect("the codec is available");
        for len in [0, 1, 100_000, 3, 70_000, 200_000] {
            let input = text(len);
            let compressed = compressor.compress(&input).expect("small").expect("a codec");
            let output = decompress(codec, Bytes::copy_from_slice(compressed), len);
            assert_eq!(output.expect("valid"), input, "{codec} {len}");
        }
    }
}

#[test]
fn no_codec_leaves_bytes_alone() {
    assert_eq!(Compressor::none().compress(b"abc"), Ok(None));
    let input = Bytes::from_static(b"abc");
    assert_eq!(decompress(Compression::None, input.clone(), 3), Ok(input.clone()));
    let mut source = Decompressor::new(Compression::None, input.clone(), 3).expect("nothing to check");
    let mut pieces = Vec::new();
    assert_eq!((source.read(&mut pieces, 2), pieces.len()), (Ok(false), 2));
    assert_eq!((source.read(&mut pieces, 2), &pieces[..]), (Ok(true), &b"abc"[..]));
    let codec = Compression::None;
    assert_eq!(decompress(codec, input, 2), Err(CompressionError::Limit { codec, limit: 2 }));
}

#[test]
fn output_beyond_the_limit_is_an_error_and_costs_no_memory() {
    let input = vec![7; 64 << 20];
    for codec in codecs() {
        let compressed = compress(codec, &input);
        let mut source = Decompressor::new(codec, compressed.clone(), 10 << 20).expect("starts well");
        let mut pieces = 0;
        let error = loop {
            let mut piece = Vec::new();
            match source.read(&mut piece, 1 << 20) {
                Ok(ended) => assert!(!ended && !piece.is_empty()),
                Err(error) => break error,
            }
            assert!(piece.capacity() <= 2 << 20, "{codec}: {}", piece.capacity());
            pieces += 1;
        };
        assert_eq!(error, CompressionError::Limit { codec, limit: 10 << 20 });
        assert!(pieces >= 9, "{codec}: {pieces}");
        assert_eq!(decompress(codec, compressed.clone(), input.len()).expect("valid").len(), input.len());
        let limit = input.len() - 1;
        assert_eq!(decompress(codec, compressed, limit), Err(CompressionError::Limit { codec, limit }));
    }
}

#[test]
fn every_truncation_is_an_error() {
    let input = text(5000);
    for codec in codecs() {
        let compressed = compress(codec, &input);
        for len in 0..compressed.len() {
            let output = decompress(codec, compressed.slice(..len), 1 << 20);
            // Snappy's framing has no end: cut at the end of a chunk it is a shorter stream.
            if codec != Compression::Snappy || len != 16 {
                assert!(output.is_err(), "{codec} cut to {len} of {}", compressed.len());
            }
        }
    }
}

#[test]
fn streams_one_after_the_other_are_one() {
    for codec in codecs() {
        let (one, two) = (text(3000), text(100_000));
        let both = [compress(codec, &one), compress(codec, b""), compress(codec, &two)].concat();
        let output = decompress(codec, both.into(), 1 << 20).expect("valid");
        assert_eq!(output, [one, two].concat(), "{codec}");
    }
}

#[test]
fn bytes_after_the_stream_are_an_error() {
    for codec in codecs() {
        let longer = [&compress(codec, &text(1000))[..], b"\x01garbage"].concat();
        let error = decompress(codec, longer.into(), 1 << 20).expect_err("garbage");
        assert!(matches!(error, CompressionError::Corrupt { .. }), "{codec}: {error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_come_back_in_any_pieces(input: Vec<u8>, repeat in 1usize..300, want in 1usize..5000) {
        let input = input.repeat(repeat);
        for codec in codecs() {
            let mut source = Decompressor::new(codec, compress(codec, &input), input.len()).expect("valid");
            let mut output = Vec::new();
            while !source.read(&mut output, want).expect("valid") {}
            prop_assert_eq!(&output, &input, "{}", codec);
        }
    }

    #[test]
    fn damaged_bytes_end_in_an_error_or_within_the_limit(
        at: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
    ) {
        for codec in codecs() {
            let mut compressed = compress(codec, &text(3000)).to_vec();
            let at = at.index(compressed.len());
            compressed[at] = byte;
            if cut.index(2) == 0 {
                compressed.truncate(cut.index(compressed.len() + 1));
            }
            if let Ok(output) = decompress(codec, compressed.into(), 100_000) {
                prop_assert!(output.len() <= 100_000);
            }
        }
    }
}

#[cfg(feature = "snappy")]
mod snappy_framing {
    use super::*;

    #[test]
    fn chunks_are_written_as_java_reads_them() {
        let compressed = compress(Compression::Snappy, &text(40_000));
        assert_eq!(&compressed[..16], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
        let first = u32::from_be_bytes(compressed[16..20].try_into().expect("four bytes")) as usize;
        let second_at = 20 + first;
        let second =
            u32::from_be_bytes(compressed[second_at..second_at + 4].try_into().expect("four")) as usize;
        assert_eq!(second_at + 4 + second, compressed.len());
        assert_eq!(snap::raw::decompress_len(&compressed[20..]), Ok(32 * 1024));
    }

    #[test]
    fn a_raw_block_is_read() {
        let input = text(100_000);
        let raw = snap::raw::Encoder::new().compress_vec(&input).expect("small");
        assert_eq!(decompress(Compression::Snappy, raw.into(), input.len()).expect("valid"), input);
    }

    #[test]
    fn a_block_that_claims_more_than_it_can_hold_is_refused_before_memory_is_taken() {
        let lie = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]);
        let error = decompress(Compression::Snappy, lie, usize::MAX).expect_err("a lie");
        assert!(matches!(error, CompressionError::Corrupt { .. }), "{error}");
    }
}

#[cfg(feature = "lz4")]
mod lz4_frames {
    use super::*;
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;

    fn foreign(info: FrameInfo, input: &[u8]) -> Bytes {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(input).expect("memory");
        encoder.finish().expect("memory").into()
    }

    #[test]
    fn the_frame_header_is_the_one_that_kafka_writes() {
        let compressed = compress(Compression::Lz4, b"abc");
        // Independent blocks of 64 KiB, no checksums but that of the header; "abc" is stored as it is.
        assert_eq!(compressed[..], *b"\x04\x22\x4d\x18\x60\x40\x82\x03\0\0\x80abc\0\0\0\0");
    }

    #[test]
    fn sizes_and_checksums_are_read_and_checked() {
        let input = text(300_000);
        let full = || FrameInfo::new().block_checksums(true).content_checksum(true);
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            let info = full().block_size(size).content_size(Some(input.len() as u64));
            let compressed = foreign(info, &input);
            assert_eq!(decompress(Compression::Lz4, compressed.clone(), input.len()).expect("valid"), input);
            for at in [4, 7, 15, 40, compressed.len() - 1] {
                let mut damaged = compressed.to_vec();
                damaged[at] ^= 1;
                assert!(decompress(Compression::Lz4, damaged.into(), 1 << 20).is_err(), "byte {at}");
            }
        }
        let wrong_size = foreign(full(), &input);
        assert_eq!(decompress(Compression::Lz4, wrong_size, input.len()).expect("valid"), input);
    }

    #[test]
    fn linked_blocks_are_refused_as_in_kafka() {
        let linked = foreign(FrameInfo::new().block_mode(BlockMode::Linked), &text(1000));
        let error = decompress(Compression::Lz4, linked, 1 << 20).expect_err("linked");
        assert_eq!(error.to_string(), "corrupt lz4 data: linked lz4 blocks, which Kafka does not allow");
    }
}

#[cfg(feature = "zstd")]
mod zstd_frames {
    use super::*;

    #[test]
    fn a_large_window_is_refused_when_it_would_be_needed() {
        // No content size, a window of 1 TiB, then blocks of one repeated byte that pass what is decoded at
        // once.
        let mut frame = b"\x28\xb5\x2f\xfd\x00\xf0".to_vec();
        for _ in 0..40 {
            frame.extend_from_slice(&[0x02, 0x00, 0x10, b'a']);
        }
        frame.extend_from_slice(&[0x01, 0x00, 0x00]);
        let error = decompress(Compression::Zstd, frame.into(), usize::MAX).expect_err("too large a window");
        assert_eq!(error, CompressionError::Window { window: 1 << 40, limit: MAX_ZSTD_WINDOW });
    }

    #[test]
    fn a_declared_size_is_a_claim_only() {
        // A content size of 2^62 and nothing in the frame.
        let mut frame = b"\x28\xb5\x2f\xfd\xc0\x00".to_vec();
        frame.extend_from_slice(&(1u64 << 62).to_le_bytes());
        frame.extend_from_slice(&[0x01, 0x00, 0x00]);
        let error = decompress(Compression::Zstd, frame.into(), usize::MAX).expect_err("nothing there");
        assert!(matches!(error, CompressionError::Corrupt { .. }), "{error}");
    }
}
