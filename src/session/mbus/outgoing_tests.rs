use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_access_number_comes_again_within_300_s(
        first: u8,
        waits in proptest::collection::vec(0_u32..6, 1..1_500),
    ) {
        let mut numbers = AccessNumbers::begin_at(first);
        let (mut now_s, mut used) = (1_000_u32, [0_u32; 256]);
        for wait in waits {
            now_s += wait;
            match numbers.take(now_s) {
                Ok(number) => {
                    let last = &mut used[usize::from(number)];
                    prop_assert!(*last == 0 || now_s - *last >= 300);
                    *last = now_s;
                }
                Err(NoAccessNumber { free_at_s }) => now_s = free_at_s,
            }
            prop_assert_eq!(AccessNumbers::decode(numbers.encode()), numbers);
        }
    }
}

#[test]
fn a_clock_that_goes_back_frees_no_access_number() {
    let mut numbers = AccessNumbers::begin_at(0);
    (0..256).for_each(|_| assert!(numbers.take(5_000).is_ok()));
    for now_s in [5_000, 0, 5_299] {
        assert_eq!(
            numbers.take(now_s),
            Err(NoAccessNumber { free_at_s: 5_300 })
        );
    }
    assert_eq!(numbers.take(5_300), Ok(0));
}
