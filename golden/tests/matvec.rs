//! Compares fast integer code with its definition, over random shapes and corner cases.
#![allow(clippy::unwrap_used, missing_docs)]

use golden::matvec::{matvec, reference};
use golden::{Codec, Error, Layout, TernaryMatrix, packed};
use proptest::prelude::*;

/// A matrix whose rows are either random or all +1, all 0 or all -1.
fn matrix(
    rows: impl Strategy<Value = usize>,
    cols: impl Strategy<Value = usize>,
) -> impl Strategy<Value = TernaryMatrix> {
    (rows, cols).prop_flat_map(|(rows, cols)| {
        let row = prop_oneof![
            4 => prop::collection::vec(-1i8..=1, cols),
            1 => (-1i8..=1).prop_map(move |w| vec![w; cols]),
        ];
        let rows_of = prop::collection::vec(row, rows);
        rows_of.prop_map(move |w| TernaryMatrix::from_rows(rows, cols, &w.concat()).unwrap())
    })
}

fn activations(len: usize) -> impl Strategy<Value = Vec<i8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<i8>(), len),
        1 => prop_oneof![Just(-128i8), Just(127), Just(-1), Just(0)].prop_map(move |x| vec![x; len]),
    ]
}

fn product() -> impl Strategy<Value = (TernaryMatrix, Vec<i8>)> {
    (matrix(1usize..80, 1usize..1200), 1usize..=9).prop_flat_map(|(w, tokens)| {
        let x = activations(tokens * w.cols());
        (Just(w), x)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn fast_is_reference((w, x) in product()) {
        prop_assert_eq!(matvec(&w, &x), reference(&w, &x));
    }

    #[test]
    fn i8_round_trip(w in matrix(0usize..20, 0usize..200)) {
        let trits = w.to_i8();
        prop_assert_eq!(w.count_nonzero(), trits.iter().filter(|w| **w != 0).count());
        prop_assert_eq!(TernaryMatrix::from_rows(w.rows(), w.cols(), &trits).unwrap(), w);
    }

    #[test]
    fn packed_round_trip(w in matrix((0usize..10).prop_map(|n| 4 * n), 0usize..200)) {
        let bytes = packed::pack(&w).unwrap();
        let (quarter, cols) = (w.rows() / 4, w.cols());
        for r in 0..w.rows() {
            for c in 0..cols {
                let code = bytes[r % quarter * cols + c] >> (2 * (r / quarter)) & 3;
                prop_assert_eq!(code as i8 - 1, w.get(r, c));
            }
        }
        prop_assert_eq!(packed::unpack(&bytes, w.rows(), cols).unwrap(), w);
    }

    #[test]
    fn codec_round_trip(
        w in matrix(0usize..40, 0usize..200),
        port in prop_oneof![Just(8usize), Just(16)],
        gap in 0usize..70,
        fill: u8,
        codec in prop::sample::select(&Codec::ALL),
        layout in prop::sample::select(&[Layout::Blocks, Layout::Rows, Layout::Columns]),
    ) {
        let together = if layout == Layout::Blocks { 8 } else { 1 };
        let lanes = codec.lanes_per_beat(port);
        let block = codec.piece_bytes(layout, w.rows(), w.cols(), port);
        let stride = block + gap;
        let mut image = vec![fill; codec.image_bytes_in(layout, w.rows(), w.cols(), port, stride)];
        codec.encode_in(layout, &w, port, stride, &mut image).unwrap();
        prop_assert_eq!(&codec.decode_in(layout, &image, w.rows(), w.cols(), port, stride).unwrap(), &w);
        // Columns are the rows of the transposed matrix.
        let transposed = layout == Layout::Columns;
        let (rows, cols) = if transposed { (w.cols(), w.rows()) } else { (w.rows(), w.cols()) };
        let get = |row, col| if transposed { w.get(col, row) } else { w.get(row, col) };
        let pieces = rows.div_ceil(8) * 8 / together;
        prop_assert_eq!(image.len(), if pieces == 0 { 0 } else { (pieces - 1) * stride + block });
        // The image by its definition, bit by bit. The bytes between blocks must be unchanged.
        for (i, byte) in image.iter().enumerate() {
            let (b, at) = (i / stride.max(1), i % stride.max(1));
            if at >= block {
                prop_assert_eq!(*byte, fill);
                continue;
            }
            let (beat, byte_of_beat) = (at / port, at % port);
            let row = b * together + beat % together;
            if codec == Codec::WeightsBase3 {
                let digit = |j: usize| {
                    let col = beat / together * lanes + byte_of_beat * 5 + j;
                    let weight = if row < rows && col < cols { get(row, col) } else { 0 };
                    (weight + 1) as usize * 3usize.pow(j as u32)
                };
                prop_assert_eq!(usize::from(*byte), (0..5).map(digit).sum::<usize>());
                continue;
            }
            for bit in 0..8 {
                let lane = (byte_of_beat * 8 + bit) % (port * 4);
                let col = beat / together * lanes + lane;
                let weight = if row < rows && col < cols { get(row, col) } else { 0 };
                let plane = if byte_of_beat < port / 2 { weight != 0 } else { weight < 0 };
                prop_assert_eq!(byte >> bit & 1 == 1, plane);
            }
        }
    }

    #[test]
    fn a_flipped_weight_shows((w, x) in product(), at: prop::sample::Index) {
        // An activation of zero would hide the flipped weight.
        let x: Vec<i8> = x.iter().map(|x| if *x == 0 { 1 } else { *x }).collect();
        let (r, c) = (at.index(w.rows()), at.index(w.cols()));
        let mut flipped = w.clone();
        flipped.set(r, c, if w.get(r, c) == 1 { -1 } else { w.get(r, c) + 1 });
        let (right, wrong) = (reference(&w, &x), matvec(&flipped, &x));
        let differ: Vec<_> = (0..right.len()).filter(|i| right[*i] != wrong[*i]).map(|i| i % w.rows()).collect();
        prop_assert_eq!(differ, vec![r; x.len() / w.cols()]);
    }
}

#[test]
fn extremes_at_the_real_size() {
    // Large enough for several tasks, with the largest possible accumulators.
    let (rows, cols) = (1000, 6912);
    for (weight, x, want) in [(1, -128, -884_736), (-1, -128, 884_736), (1, 127, 877_824), (-1, 127, -877_824)] {
        let w = TernaryMatrix::from_rows(rows, cols, &vec![weight; rows * cols]).unwrap();
        assert_eq!(matvec(&w, &vec![x; 2 * cols]), vec![want; 2 * rows]);
    }
}

#[test]
fn no_tokens_no_rows_no_columns() {
    assert_eq!(matvec(&TernaryMatrix::zeros(3, 4), &[]), []);
    assert_eq!(matvec(&TernaryMatrix::zeros(0, 4), &[1; 8]), []);
    assert_eq!(matvec(&TernaryMatrix::zeros(3, 0), &[]), []);
}

#[test]
fn packed_faults_are_named() {
    let w = TernaryMatrix::zeros(8, 70);
    let mut bytes = packed::pack(&w).unwrap();
    bytes[70 + 66] |= 3 << 6;
    assert_eq!(packed::unpack(&bytes, 8, 70), Err(Error::PackedCode { row: 7, col: 66 }));
    assert_eq!(packed::unpack(&bytes, 6, 70), Err(Error::PackedRows { rows: 6 }));
    assert!(matches!(packed::unpack(&bytes, 8, 71), Err(Error::Length { expected: 142, got: 140, .. })));
    assert_eq!(packed::pack(&TernaryMatrix::zeros(5, 1)), Err(Error::PackedRows { rows: 5 }));
    assert_eq!(TernaryMatrix::from_rows(2, 2, &[0, 1, 2, 0]), Err(Error::NotTernary { row: 1, col: 0, got: 2 }));
}

#[test]
fn image_faults_are_named() {
    let (codec, rows, cols) = (Codec::Weights2b, 11, 70);
    for port in [8, 16] {
        let stride = codec.block_bytes(cols, port);
        let lanes = codec.lanes_per_beat(port);
        let mut clean = vec![0; codec.image_bytes(rows, cols, port, stride)];
        codec.encode(&TernaryMatrix::zeros(rows, cols), port, stride, &mut clean).unwrap();
        let decode = |row: usize, col: usize, neg: bool| {
            let mut image = clean.clone();
            let beat = row / 8 * stride + (col / lanes * 8 + row % 8) * port;
            image[beat + col % lanes / 8 + if neg { port / 2 } else { 0 }] |= 1 << (col % 8);
            codec.decode(&image, rows, cols, port, stride)
        };
        assert_eq!(decode(10, 69, false).unwrap().get(10, 69), 1);
        assert_eq!(decode(10, 69, true), Err(Error::ImageCode { row: 10, col: 69 }));
        assert_eq!(decode(3, 70, false), Err(Error::ImagePadding { row: 3, col: 70 }));
        assert_eq!(decode(11, 5, false), Err(Error::ImagePadding { row: 11, col: 5 }));
        let short = codec.decode(&clean[1..], rows, cols, port, stride);
        assert!(matches!(short, Err(Error::Length { .. })));
        let overlap = codec.encode(&TernaryMatrix::zeros(rows, cols), port, stride - 1, &mut clean);
        assert_eq!(overlap, Err(Error::BlockStride { expected: stride, got: stride - 1 }));
    }
    assert_eq!(codec.decode(&[], 1, 1, 4, 8), Err(Error::PortBytes { got: 4 }));
}

#[test]
fn every_base3_byte_is_five_weights_or_named() {
    let (codec, port) = (Codec::WeightsBase3, 8);
    for byte in 0..=255u8 {
        // Byte 3 of row 0; all other weights are zero.
        let mut image = vec![121; codec.image_bytes(1, 40, port, 64)];
        image[3] = byte;
        let decoded = codec.decode(&image, 1, 40, port, 64);
        if byte >= 243 {
            assert_eq!(decoded, Err(Error::ImageCode { row: 0, col: 15 }), "{byte}");
            continue;
        }
        let w = decoded.unwrap();
        let digits: Vec<i8> = (0..5).map(|j| (i32::from(byte) / 3i32.pow(j) % 3) as i8 - 1).collect();
        assert_eq!(w.to_i8()[15..20], digits, "{byte}");
        assert_eq!(w.to_i8().iter().filter(|w| **w != 0).count(), digits.iter().filter(|w| **w != 0).count());
        let mut again = vec![0; image.len()];
        codec.encode(&w, port, 64, &mut again).unwrap();
        assert_eq!(again, image);
    }
    let padding = |at: usize, cols: usize| {
        let mut image = vec![121; codec.image_bytes(1, cols, port, 64)];
        image[at] = 122;
        codec.decode(&image, 1, cols, port, 64)
    };
    assert_eq!(padding(1, 6).unwrap().get(0, 5), 1);
    assert_eq!(padding(1, 5), Err(Error::ImagePadding { row: 0, col: 5 }));
    assert_eq!(padding(8, 40), Err(Error::ImagePadding { row: 1, col: 0 }));
}

#[test]
fn codec_names() {
    for codec in Codec::ALL {
        assert_eq!(codec.to_string().parse(), Ok(codec));
    }
    let error = "3bit".parse::<Codec>().unwrap_err();
    assert_eq!(error.to_string(), r#"codec: expected 2bit or base3, got "3bit""#);
}

#[test]
fn planes_there_and_back() {
    let weights: Vec<i8> = (0..3 * 70).map(|i| (i * i % 7 % 3) as i8 - 1).collect();
    let w = TernaryMatrix::from_rows(3, 70, &weights).unwrap();
    let (nz, neg) = w.planes();
    let rows: Vec<_> = (0..3).map(|r| w.row(r)).collect();
    assert_eq!(nz, rows.iter().flat_map(|row| row.0).copied().collect::<Vec<_>>());
    assert_eq!(neg, rows.iter().flat_map(|row| row.1).copied().collect::<Vec<_>>());
    assert_eq!(TernaryMatrix::from_planes(3, 70, nz.to_vec(), neg.to_vec()), Some(w.clone()));
    // `set` must overwrite every weight, whatever the old value.
    let others: Vec<i8> = weights.iter().enumerate().map(|(i, w)| (w + 1 + (i % 3) as i8) % 3 - 1).collect();
    let mut set = w.clone();
    (0..3 * 70).for_each(|i| set.set(i / 70, i % 70, others[i]));
    assert_eq!((set.to_i8(), set), (others.clone(), TernaryMatrix::from_rows(3, 70, &others).unwrap()));
    // Bits that belong to no weight are cleared.
    let all = TernaryMatrix::from_planes(3, 70, vec![!0; 6], vec![!0; 6]).unwrap();
    assert_eq!((all.count_nonzero(), all.to_i8()), (210, vec![-1; 210]));
    assert_eq!(TernaryMatrix::from_planes(3, 70, vec![0; 6], vec![!0; 6]), Some(TernaryMatrix::zeros(3, 70)));
    // Planes of a wrong length.
    for (nz, neg) in [(5, 6), (6, 5), (7, 6), (6, 7)] {
        assert_eq!(TernaryMatrix::from_planes(3, 70, vec![0; nz], vec![0; neg]), None);
    }
}
