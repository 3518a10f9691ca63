//! Lengths of padded frames.

use crate::wire::error::EncodeError;
use crate::wire::otl::ident::Mode;
use crate::wire::otl::padding::{is_on_ladder, padded_len, padding_for, routine_size_after};

// spec: FRM-10, FRM-12
#[test]
fn ladder_is_every_multiple_of_64_from_128_to_1152_and_1200() {
    let ladder: Vec<usize> = (0..2_000).filter(|len| is_on_ladder(*len)).collect();
    let mut expected: Vec<usize> = (2..=18).map(|step| step * 64).collect();
    expected.push(1_200);
    assert_eq!(ladder, expected);
}

// spec: FRM-10
#[test]
fn frame_is_padded_to_the_least_length_that_holds_it() {
    for (unpadded, padded) in [
        (31, 128),
        (128, 128),
        (129, 192),
        (1_152, 1_152),
        (1_153, 1_200),
        (1_200, 1_200),
    ] {
        assert_eq!(padded_len(unpadded, 128), Ok(padded));
        let padding = padding_for(Mode::CcmStatic, unpadded, 128).map(usize::from);
        assert_eq!(padding, Ok(padded - unpadded));
    }
    assert_eq!(padded_len(1_201, 128), Err(EncodeError::NoRoom));
}

// spec: FRM-11
#[test]
fn frame_is_never_shorter_than_the_routine_size_which_never_shrinks() {
    assert_eq!(padded_len(100, 192), Ok(192));
    assert_eq!(padded_len(200, 192), Ok(256));
    assert_eq!(padded_len(100, 0), Ok(128));
    let mut routine = 128;
    for (unpadded, expected) in [(100, 128), (150, 192), (90, 192), (257, 320)] {
        routine = routine_size_after(routine, unpadded).unwrap();
        assert_eq!(routine, expected);
    }
    assert_eq!(padded_len(100, 1_201), Err(EncodeError::NoRoom));
}

// spec: FRM-13
#[test]
fn mode_0_is_not_padded() {
    assert_eq!(padding_for(Mode::Clear, 26, 128), Ok(0));
    assert_eq!(
        padding_for(Mode::Clear, 1_201, 128),
        Err(EncodeError::NoRoom)
    );
}
