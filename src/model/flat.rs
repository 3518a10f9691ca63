//! Values written flat into octets that are there already.

/// Writes a value at the beginning of `rest`, and gives what is behind it. Where too little is
/// left, nothing is written and nothing given.
#[must_use]
pub(crate) fn put<const N: usize>(rest: &mut [u8], value: [u8; N]) -> &mut [u8] {
    match rest.split_first_chunk_mut() {
        Some((place, rest)) => {
            *place = value;
            rest
        }
        None => &mut [],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_one_behind_the_other_and_one_that_has_no_room_is_left_out() {
        let mut octets = [0; 5];
        let rest = put(&mut octets, [1, 2]);
        let rest = put(rest, [3]);
        assert_eq!(rest.len(), 2);
        assert!(put(rest, [4, 5, 6]).is_empty());
        assert_eq!(octets, [1, 2, 3, 0, 0]);
    }
}
