use aes_siv::siv::Aes256Siv;
use proptest::prelude::*;

use super::*;

fn key() -> impl Strategy<Value = [u8; 64]> {
    prop::collection::vec(any::<u8>(), 64).prop_map(|bytes| bytes.try_into().expect("64 bytes"))
}

proptest! {
    #[test]
    fn an_independent_implementation_gives_the_same(
        key in key(), associated: [u8; 32], text in prop::collection::vec(any::<[u8; 16]>(), 1..6),
    ) {
        let mut sealed = text.concat();
        let tag = Siv::new(&key).seal(&associated, &mut sealed);
        let theirs = Aes256Siv::new(&key.into()).encrypt([associated], &text.concat()).expect("one header is allowed");
        prop_assert_eq!([tag.as_slice(), &sealed].concat(), theirs);
    }

    #[test]
    fn what_was_sealed_opens_and_nothing_else_does(
        key in key(), associated: [u8; 32], text in prop::collection::vec(any::<[u8; 16]>(), 1..4),
        at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let siv = Siv::new(&key);
        let (mut sealed, mut associated, text) = (text.concat(), associated, text.concat());
        let mut tag = siv.seal(&associated, &mut sealed);
        let mut opened = sealed.clone();
        prop_assert!(siv.open(&associated, &mut opened, &tag));
        prop_assert_eq!(&opened, &text);
        let sealed_bytes = sealed.len();
        match at.index(16 + 32 + sealed_bytes) {
            n if n < 16 => tag[n] ^= flip,
            n if n < 48 => associated[n - 16] ^= flip,
            n => sealed[n - 48] ^= flip,
        }
        prop_assert!(!siv.open(&associated, &mut sealed, &tag));
        prop_assert!(sealed.iter().all(|byte| *byte == 0), "no unverified plaintext is left");
    }
}

#[test]
#[should_panic(expected = "a text of another shape")]
fn a_text_of_part_of_a_block_is_not_for_this_cipher() {
    Siv::new(&[0; 64]).seal(&[0; 32], &mut [0; 17]);
}
